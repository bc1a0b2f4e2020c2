/* Charon's hashes, scores and results, and results that do not follow from their messages. */
#include "exchange/priority.h"

#include "aq_test.h"
#include "codec/pb.h"
#include "core.pb-c.h"
#include "crypto/hash.h"
#include "identity/identity.h"

enum { N = 4, TEXT_MAX = 64, BUF_MAX = 1 << 20 };
static const aq_duty duty = {31, AQ_DUTY_INFO_SYNC};

typedef struct {
  yyjson_doc *doc;
  yyjson_val *root;
  aq_k1_key *key[N];
  uint8_t pubkey[N][33];
  aq_priority_cluster cluster;
} fixture;

static void open_fixture(fixture *f) {
  f->doc = aq_test_json("wire/priority.json");
  f->root = yyjson_doc_get_root(f->doc);
  yyjson_val *keys = yyjson_obj_get(f->root, "keys");
  for (size_t i = 0; i < N; i++) {
    yyjson_val *k = yyjson_arr_get(keys, i);
    char id[AQ_PEER_ID_TEXT_MAX];
    aq_buf secret = aq_test_hex_of(k, "private_key");
    assert_int_equal(aq_k1_key_new(&f->key[i], secret.ptr), AQ_OK);
    aq_k1_pubkey(f->pubkey[i], f->key[i]);
    aq_peer_id_text(id, f->pubkey[i]);
    assert_string_equal(id, aq_test_str(k, "peer_id"));
    aq_buf_free(&secret);
  }
  f->cluster = (aq_priority_cluster){N, 3, (const uint8_t(*)[33])f->pubkey};
}

static void close_fixture(fixture *f) {
  for (size_t i = 0; i < N; i++) aq_k1_key_free(f->key[i]);
  yyjson_doc_free(f->doc);
}

static aq_bytes inner(const aq_buf *delimited) {
  uint64_t len;
  size_t used;
  assert_int_equal(aq_uvarint_get(&len, &used, aq_buf_bytes(delimited)), AQ_OK);
  return aq_bytes_sub(aq_buf_bytes(delimited), used, (size_t)len);
}

static uint32_t topics_of(aq_priority_topic *out, const char *(*item)[TEXT_MAX], yyjson_val *topics) {
  size_t i, k, max, kmax;
  yyjson_val *t, *p;
  yyjson_arr_foreach(topics, i, max, t) {
    yyjson_arr_foreach(yyjson_obj_get(t, "priorities"), k, kmax, p) {
      item[i][k] = yyjson_is_obj(p) ? aq_test_str(p, "priority") : yyjson_get_str(p);
    }
    out[i] = (aq_priority_topic){aq_test_str(t, "topic"), item[i], (uint32_t)kmax};
  }
  return (uint32_t)max;
}

static void expect_topics(const aq_priority_topic *got, uint32_t cnt, yyjson_val *want) {
  aq_priority_topic topic[TEXT_MAX];
  const char *item[8][TEXT_MAX];
  assert_int_equal(cnt, topics_of(topic, item, want));
  for (uint32_t i = 0; i < cnt; i++) {
    assert_string_equal(got[i].name, topic[i].name);
    assert_int_equal(got[i].cnt, topic[i].cnt);
    for (uint32_t k = 0; k < got[i].cnt; k++) assert_string_equal(got[i].item[k], topic[i].item[k]);
    assert_ptr_equal(aq_priority_find(got, cnt, topic[i].name), &got[i]);
  }
  assert_null(aq_priority_find(got, cnt, "nothing"));
}

static void check_message(fixture *f, yyjson_val *m, aq_bytes msg) {
  aq_priority_topic topic[8];
  const char *item[8][TEXT_MAX];
  const aq_duty want = {aq_test_u64(m, "duty_slot"), (aq_duty_type)aq_test_u64(m, "duty_type")};
  aq_duty got;
  uint32_t peer;
  aq_arena a;
  aq_arena_init(&a, BUF_MAX);
  assert_int_equal(aq_priority_check(&got, &peer, &a, &f->cluster, msg), AQ_OK);
  assert_true(aq_duty_eq(got, want));
  char id[AQ_PEER_ID_TEXT_MAX];
  aq_peer_id_text(id, f->pubkey[peer]);
  assert_string_equal(id, aq_test_str(m, "peer_id"));
  aq_buf out = AQ_BUF(BUF_MAX);
  uint32_t cnt = topics_of(topic, item, yyjson_obj_get(m, "topics"));
  assert_int_equal(aq_priority_write(&out, f->key[peer], want, topic, cnt), AQ_OK);
  assert_bytes(aq_buf_bytes(&out), msg);
  aq_buf_free(&out);
  aq_arena_free(&a);
}

static void check_case(fixture *f, yyjson_val *c) {
  yyjson_val *msgs = yyjson_obj_get(c, "messages_in_arrival_order"), *m;
  aq_buf wire[N], want = aq_test_hex_of(c, "result_bytes"), hash = aq_test_hex_of(c, "result_hash");
  aq_bytes msg[N];
  size_t i, cnt;
  yyjson_arr_foreach(msgs, i, cnt, m) {
    wire[i] = aq_test_hex_of(m, "delimited");
    msg[i] = inner(&wire[i]);
    check_message(f, m, msg[i]);
  }
  aq_arena a;
  aq_arena_init(&a, BUF_MAX);
  aq_buf out = AQ_BUF(BUF_MAX);
  f->cluster.threshold = (uint32_t)aq_test_u64(c, "min_required");
  assert_int_equal(aq_priority_result(&out, &a, f->cluster.threshold, msg, (uint32_t)cnt), AQ_OK);
  assert_bytes(aq_buf_bytes(&out), aq_buf_bytes(&want));
  uint8_t root[32];
  aq_merkle_bytes(root, aq_buf_bytes(&out), -1);
  assert_memory_equal(root, hash.ptr, 32);
  const aq_priority_topic *topic;
  uint32_t topics;
  assert_int_equal(aq_priority_read(&topic, &topics, &a, aq_buf_bytes(&out)), AQ_OK);
  expect_topics(topic, topics, yyjson_obj_get(c, "result_topics"));
  const aq_duty of = {aq_test_u64(yyjson_arr_get(msgs, 0), "duty_slot"), AQ_DUTY_INFO_SYNC};
  assert_true(aq_priority_valid(&a, &f->cluster, of, aq_buf_bytes(&out)));
  assert_false(aq_priority_valid(&a, &f->cluster, (aq_duty){of.slot + 32, of.type}, aq_buf_bytes(&out)));
  f->cluster.threshold += 2; /* other topics survive */
  assert_false(aq_priority_valid(&a, &f->cluster, of, aq_buf_bytes(&out)));
  aq_buf_free(&out), aq_buf_free(&want), aq_buf_free(&hash);
  for (i = 0; i < cnt; i++) aq_buf_free(&wire[i]);
  aq_arena_free(&a);
}

/* Goal: hashes, signatures, scores, order and encoding are Charon's (wire.md 9). Method: the three recorded
   calculations: each message is read, and written again byte for byte; the results are compared as bytes, as hash
   and as text. */
static void vectors(void **state) {
  (void)state;
  fixture f;
  open_fixture(&f);
  yyjson_val *c;
  size_t i, max;
  yyjson_arr_foreach(yyjson_obj_get(f.root, "cases"), i, max, c) check_case(&f, c);
  assert_int_equal(max, 3);
  close_fixture(&f);
}

static void simple(const fixture *f, aq_buf *out, uint32_t i, aq_duty d, const char *const *item, uint32_t cnt) {
  const aq_priority_topic topic = {"version", item, cnt};
  *out = AQ_BUF(BUF_MAX);
  assert_int_equal(aq_priority_write(out, f->key[i], d, &topic, 1), AQ_OK);
}

/* Goal: too little room for a calculation or its reading is an error, never half a result.
   Method: arenas from nothing up to what is enough, in steps smaller than any part. */
static void no_room(void **state) {
  (void)state;
  static const char *const item[] = {"v1.1", "v1.0"};
  fixture f;
  open_fixture(&f);
  aq_buf wire[N], want = AQ_BUF(BUF_MAX);
  aq_bytes msg[N];
  aq_status st = AQ_E_LIMIT;
  size_t steps[2] = {0, 0};
  for (uint32_t i = 0; i < N; i++) simple(&f, &wire[i], i, duty, item, 2), msg[i] = aq_buf_bytes(&wire[i]);
  for (size_t max = 0; st != AQ_OK; max += 8, steps[0]++) {
    aq_arena a;
    aq_arena_init(&a, max);
    aq_buf_reset(&want);
    st = aq_priority_result(&want, &a, f.cluster.threshold, msg, N);
    assert_true(st == AQ_OK || ((st == AQ_E_LIMIT || st == AQ_E_FORMAT) && want.len == 0));
    aq_arena_free(&a);
  }
  st = AQ_E_LIMIT;
  for (size_t max = 0; st != AQ_OK; max += 8, steps[1]++) {
    const aq_priority_topic *topic;
    uint32_t cnt;
    aq_arena a;
    aq_arena_init(&a, max);
    st = aq_priority_read(&topic, &cnt, &a, aq_buf_bytes(&want));
    assert_true(st == AQ_OK || st == AQ_E_LIMIT || st == AQ_E_FORMAT);
    if (st == AQ_OK) assert_true(cnt <= 1); /* without room for its text a topic is left out */
    aq_arena_free(&a);
  }
  assert_true(steps[0] > 100 && steps[1] > 50);
  for (uint32_t i = 0; i < N; i++) aq_buf_free(&wire[i]);
  aq_buf_free(&want);
  close_fixture(&f);
}

static aq_status result_of(const aq_bytes *msg, uint32_t cnt) {
  aq_arena a;
  aq_buf out = AQ_BUF(BUF_MAX);
  aq_arena_init(&a, 8 * BUF_MAX);
  aq_status st = aq_priority_result(&out, &a, 3, msg, cnt);
  aq_buf_free(&out);
  aq_arena_free(&a);
  return st;
}

/* Goal: wire.md 9.5 step 1: what is refused makes no proposal. Method: no message, one peer twice, two duties, a
   priority twice, a topic twice, 1000 priorities; 999 are fine. */
static void refused_input(void **state) {
  (void)state;
  static const char *const ab[] = {"a", "b"}, *const aa[] = {"a", "a"}, *const c[] = {"c"};
  fixture f;
  open_fixture(&f);
  aq_buf one, two, other_duty, twice, many, topics;
  simple(&f, &one, 0, duty, ab, 2);
  simple(&f, &two, 1, duty, ab, 2);
  simple(&f, &other_duty, 1, (aq_duty){63, AQ_DUTY_INFO_SYNC}, ab, 2);
  simple(&f, &twice, 1, duty, aa, 2);
  const aq_bytes a = aq_buf_bytes(&one);
  assert_int_equal(result_of(NULL, 0), AQ_E_FORMAT);
  assert_int_equal(result_of((aq_bytes[]){a, aq_buf_bytes(&two)}, 2), AQ_OK);
  assert_int_equal(result_of((aq_bytes[]){a, a}, 2), AQ_E_FORMAT);
  assert_int_equal(result_of((aq_bytes[]){a, aq_buf_bytes(&other_duty)}, 2), AQ_E_FORMAT);
  assert_int_equal(result_of((aq_bytes[]){a, aq_buf_bytes(&twice)}, 2), AQ_E_FORMAT);
  const aq_priority_topic same[] = {{"version", ab, 2}, {"version", c, 1}};
  topics = AQ_BUF(BUF_MAX);
  assert_int_equal(aq_priority_write(&topics, f.key[1], duty, same, 2), AQ_OK);
  assert_int_equal(result_of((aq_bytes[]){a, aq_buf_bytes(&topics)}, 2), AQ_E_FORMAT);
  static char text[1000][16];
  static const char *name[1000];
  for (int i = 0; i < 1000; i++) {
    snprintf(text[i], sizeof text[i], "p%d", i);
    name[i] = text[i];
  }
  for (uint32_t cnt = 999; cnt <= 1000; cnt++) {
    simple(&f, &many, 1, duty, name, cnt);
    assert_int_equal(result_of((aq_bytes[]){a, aq_buf_bytes(&many)}, 2), cnt == 999 ? AQ_OK : AQ_E_FORMAT);
    aq_buf_free(&many);
  }
  aq_buf_free(&one), aq_buf_free(&two), aq_buf_free(&other_duty), aq_buf_free(&twice), aq_buf_free(&topics);
  close_fixture(&f);
}

static aq_status check_bytes(const fixture *f, aq_bytes msg) {
  aq_arena a;
  aq_duty got;
  uint32_t peer;
  aq_arena_init(&a, AQ_PRIORITY_ARENA(msg.len));
  aq_status st = aq_priority_check(&got, &peer, &a, &f->cluster, msg);
  aq_arena_free(&a);
  return st;
}

/* Goal: only a member's own words pass. Method: every byte of a good message changed and every prefix; a
   stranger's key; too many topics. */
static void forged(void **state) {
  (void)state;
  static const char *const ab[] = {"a", "b"};
  static const uint8_t secret[32] = {9, 9};
  fixture f;
  open_fixture(&f);
  aq_buf good, foreign = AQ_BUF(BUF_MAX), wide = AQ_BUF(BUF_MAX);
  simple(&f, &good, 2, duty, ab, 2);
  assert_int_equal(check_bytes(&f, aq_buf_bytes(&good)), AQ_OK);
  for (size_t i = 0; i < good.len; i++) {
    good.ptr[i] ^= 1;
    bool recovery = i == good.len - 1; /* V is part of the signature: 0 and 1 recover different keys */
    aq_status st = check_bytes(&f, aq_buf_bytes(&good));
    assert_true(st != AQ_OK && (!recovery || st == AQ_E_AUTH));
    good.ptr[i] ^= 1;
    assert_int_not_equal(check_bytes(&f, aq_bytes_of(good.ptr, i)), AQ_OK);
  }
  aq_k1_key *stranger;
  assert_int_equal(aq_k1_key_new(&stranger, secret), AQ_OK);
  const aq_priority_topic topic = {"version", ab, 2};
  assert_int_equal(aq_priority_write(&foreign, stranger, duty, &topic, 1), AQ_OK);
  assert_int_equal(check_bytes(&f, aq_buf_bytes(&foreign)), AQ_E_UNKNOWN);
  aq_k1_key_free(stranger);
  aq_priority_topic many[AQ_PRIORITY_TOPICS_MAX + 1];
  for (size_t i = 0; i < AQ_COUNT(many); i++) many[i] = (aq_priority_topic){"t", ab, 0};
  assert_int_equal(aq_priority_write(&wide, f.key[2], duty, many, AQ_COUNT(many)), AQ_OK);
  assert_int_equal(check_bytes(&f, aq_buf_bytes(&wide)), AQ_E_FORMAT);
  aq_buf_free(&good), aq_buf_free(&foreign), aq_buf_free(&wide);
  close_fixture(&f);
}

/* Goal: a leader cannot slip in a result that does not follow from its messages (consensus.md 5 "Ours"). Method:
   every byte of a good result changed; results without messages, with one left out, and with a topic of its own. */
static void invented_result(void **state) {
  (void)state;
  fixture f;
  open_fixture(&f);
  yyjson_val *c = yyjson_arr_get(yyjson_obj_get(f.root, "cases"), 2);
  aq_buf bytes = aq_test_hex_of(c, "result_bytes");
  const aq_duty of = {95, AQ_DUTY_INFO_SYNC};
  f.cluster.threshold = 1;
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  assert_true(aq_priority_valid(&a, &f.cluster, of, aq_buf_bytes(&bytes)));
  for (size_t i = 0; i < bytes.len; i++) {
    aq_arena_reset(&a);
    bytes.ptr[i] ^= 2;
    assert_false(aq_priority_valid(&a, &f.cluster, of, aq_buf_bytes(&bytes)));
    bytes.ptr[i] ^= 2;
  }
  for (int what = 0; what < 3; what++) {
    aq_arena_reset(&a);
    Corepb__PriorityResult *r = aq_pb_unpack(&a, &corepb__priority_result__descriptor, aq_buf_bytes(&bytes));
    assert_non_null(r);
    if (what == 0) r->n_msgs = 0;
    if (what == 1) r->n_msgs--;
    if (what == 2) r->topics[0]->priorities[0]->score++;
    aq_buf out = AQ_BUF(BUF_MAX);
    aq_pb_pack(&out, &r->base);
    assert_false(aq_priority_valid(&a, &f.cluster, of, aq_buf_bytes(&out)));
    aq_buf_free(&out);
  }
  aq_buf_free(&bytes);
  aq_arena_free(&a);
  close_fixture(&f);
}

/* Goal: a result of other programs is read as far as it is text. Method: the minimal result of the consensus
   vectors; one whose topic is no string. */
static void foreign_result(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/priority_value.json");
  aq_buf bytes = aq_test_hex_of(yyjson_doc_get_root(doc), "result_proto");
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  const aq_priority_topic *topic;
  uint32_t cnt;
  assert_int_equal(aq_priority_read(&topic, &cnt, &a, aq_buf_bytes(&bytes)), AQ_OK);
  assert_int_equal(cnt, 1);
  assert_string_equal(topic[0].name, "protocol");
  assert_string_equal(topic[0].item[0], "/charon/consensus/qbft/2.0.0");
  Corepb__PriorityResult *r = aq_pb_unpack(&a, &corepb__priority_result__descriptor, aq_buf_bytes(&bytes));
  r->topics[0]->topic->value.data[0] = 0x22; /* no string: field 4 */
  aq_buf out = AQ_BUF(BUF_MAX);
  aq_pb_pack(&out, &r->base);
  assert_int_equal(aq_priority_read(&topic, &cnt, &a, aq_buf_bytes(&out)), AQ_OK);
  assert_int_equal(cnt, 0);
  assert_int_equal(aq_priority_read(&topic, &cnt, &a, aq_bytes_str("no protobuf")), AQ_E_FORMAT);
  aq_buf_free(&out), aq_buf_free(&bytes);
  aq_arena_free(&a);
  yyjson_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(vectors),        cmocka_unit_test(refused_input),
                                     cmocka_unit_test(forged),         cmocka_unit_test(invented_result),
                                     cmocka_unit_test(foreign_result), cmocka_unit_test(no_room)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
