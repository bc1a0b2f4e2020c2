/* Charon's bytes, hashes and verdicts, and messages at their bounds. */
#include "qbft/qbft_wire.h"

#include "aq_test.h"
#include "base/time.h"
#include "crypto/hash.h"

enum { ARENA_MAX = 1 << 20 };

static aq_arena arena;

static int setup(void **state) {
  (void)state;
  aq_arena_init(&arena, ARENA_MAX);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_arena_free(&arena);
  return 0;
}

static void expect_hex(aq_bytes got, yyjson_val *obj, const char *name) {
  aq_buf want = aq_test_hex_of(obj, name);
  assert_bytes(got, aq_buf_bytes(&want));
  aq_buf_free(&want);
}

static bool has(yyjson_val *obj, const char *name) { return yyjson_obj_get(obj, name) != NULL; }

/* Goal: our own messages are Charon's bytes: digest, signature and encoding. Method: signing.json; those with 32-byte
   hash fields and known fields are made by us, of all the digest is compared. */
static void signing(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/signing.json");
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "sign"));
  size_t made = 0;
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it));) {
    yyjson_val *f = yyjson_obj_get(c, "fields");
    aq_buf signed_msg = aq_test_hex_of(c, "signed"), secret = aq_test_hex_of(c, "private_key");
    aq_buf value = aq_test_hex_of(f, "value_hash"), prepared = aq_test_hex_of(f, "prepared_value_hash");
    aq_hash digest;
    assert_true(aq_qbft_digest(&digest, &arena, aq_buf_bytes(&signed_msg)));
    expect_hex(aq_bytes_of(digest.b, 32), c, "digest");
    if (value.len == 32 && !strstr(aq_test_str(c, "name"), "unknown field")) {
      aq_qbft_msg m = {.type = (aq_qbft_type)aq_test_u64(f, "type"),
                       .from = (uint32_t)aq_test_u64(f, "peer_idx"),
                       .round = (int64_t)aq_test_u64(f, "round"),
                       .prepared_round = (int64_t)aq_test_u64(f, "prepared_round")};
      memcpy(m.value.b, value.ptr, 32);
      memcpy(m.prepared_value.b, prepared.ptr, 32);
      aq_duty duty = {aq_test_u64(f, "slot"), (aq_duty_type)aq_test_u64(f, "duty_type")};
      aq_k1_key *key;
      assert_int_equal(aq_k1_key_new(&key, secret.ptr), AQ_OK);
      uint8_t raw[AQ_QBFT_RAW_MAX];
      size_t len = aq_qbft_wire_sign(raw, key, duty, &m);
      assert_bytes(aq_bytes_of(raw, len), aq_buf_bytes(&signed_msg));
      aq_k1_key_free(key);
      made++;
    }
    aq_buf_free(&signed_msg), aq_buf_free(&secret), aq_buf_free(&value), aq_buf_free(&prepared);
  }
  assert_true(made >= 3);
  yyjson_doc_free(doc);
}

/* Goal: the verdict on signatures is Charon's, and a signature once found good vouches for no other one.
   Method: signing.json verify[]; each message is looked up before it is learnt. */
static void verifying(void **state) {
  (void)state;
  static aq_qbft_cache cache;
  memset(&cache, 0, sizeof cache);
  yyjson_doc *doc = aq_test_json("consensus/signing.json");
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "verify"));
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it));) {
    aq_buf raw = aq_test_hex_of(c, "message"), pubkey = aq_test_hex_of(c, "public_key_compressed");
    uint8_t keys[AQ_QBFT_NODES_MAX][33];
    for (size_t i = 0; i < AQ_QBFT_NODES_MAX; i++) memcpy(keys[i], pubkey.ptr, 33);
    aq_qbft_wire w = {.msg = {.raw = aq_buf_bytes(&raw)}};
    aq_qbft_fresh fresh;
    aq_qbft_wire_look(&fresh, &w, &cache);
    bool ok = aq_qbft_wire_verify_one(&arena, &w.msg, (const uint8_t(*)[33])keys);
    assert_int_equal(ok, yyjson_get_bool(yyjson_obj_get(c, "valid")));
    if (strcmp(aq_test_str(c, "name"), "other key") != 0) { /* an index has one key for life, so the cache too */
      assert_int_equal(fresh.cnt, 1);
      if (ok) aq_qbft_cache_learn(&cache, &w, &fresh);
    }
    aq_qbft_wire_look(&fresh, &w, &cache);
    if (ok) assert_int_equal(fresh.cnt, 0);
    aq_buf_free(&raw), aq_buf_free(&pubkey);
  }
  yyjson_doc_free(doc);
}

/* Goal: the Merkle hash of bytes around the chunk limits is Charon's.
   Method: hash.json, those with bytes. */
static void hashing(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/hash.json");
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  size_t cnt = 0;
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it));) {
    if (!has(c, "marshalled")) continue;
    aq_buf in = aq_test_hex_of(c, "marshalled");
    uint8_t got[32];
    aq_merkle_bytes(got, aq_buf_bytes(&in), -1);
    expect_hex(aq_bytes_of(got, 32), c, "hash");
    aq_buf_free(&in);
    cnt++;
  }
  assert_true(cnt >= 10);
  yyjson_doc_free(doc);
}

static aq_status canon(aq_buf *out, aq_hash *hash, aq_duty_type type, const char *url, const aq_buf *value) {
  aq_qbft_any any = {aq_bytes_str(url), aq_buf_bytes(value)};
  return aq_qbft_value_canon(out, hash, &arena, type, &any);
}

static const char set_url[] = "type.googleapis.com/core.corepb.v1.UnsignedDataSet";

/* Goal: any order and form of a set gives the canonical bytes and the hash; foreign types are refused though they
   hash alike. Method: values.json canonicalisation and type_confusion, priority_value.json. */
static void canonical_values(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/values.json");
  yyjson_val *root = yyjson_doc_get_root(doc);
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(root, "canonicalisation"));
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it));) {
    aq_buf wire = aq_test_hex_of(c, "wire"), out = AQ_BUF(1 << 16);
    aq_hash hash;
    bool decodes = yyjson_get_bool(yyjson_obj_get(c, "decodes"));
    assert_int_equal(canon(&out, &hash, AQ_DUTY_ATTESTER, set_url, &wire) == AQ_OK, decodes);
    if (decodes) {
      expect_hex(aq_buf_bytes(&out), c, "canonical");
      expect_hex(aq_bytes_of(hash.b, 32), c, "value_hash");
    }
    aq_buf_free(&wire), aq_buf_free(&out);
  }
  it = yyjson_arr_iter_with(yyjson_obj_get(root, "type_confusion"));
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it));) {
    aq_buf value = aq_test_hex_of(c, "value"), out = AQ_BUF(1 << 16);
    aq_hash hash;
    assert_int_equal(canon(&out, &hash, AQ_DUTY_ATTESTER, aq_test_str(c, "type_url"), &value), AQ_E_FORMAT);
    assert_int_equal(canon(&out, &hash, AQ_DUTY_ATTESTER, "any/prefix/core.corepb.v1.UnsignedDataSet", &value), AQ_OK);
    expect_hex(aq_bytes_of(hash.b, 32), c, "hash");
    aq_buf_free(&value), aq_buf_free(&out);
  }
  yyjson_doc_free(doc);
  doc = aq_test_json("consensus/priority_value.json");
  root = yyjson_doc_get_root(doc);
  aq_buf value = aq_test_hex_of(root, "result_proto"), out = AQ_BUF(1 << 16);
  aq_hash hash;
  const char *url = "type.googleapis.com/core.corepb.v1.PriorityResult";
  assert_int_equal(canon(&out, &hash, AQ_DUTY_INFO_SYNC, url, &value), AQ_OK);
  expect_hex(aq_bytes_of(hash.b, 32), root, "value_hash");
  assert_int_equal(canon(&out, &hash, AQ_DUTY_ATTESTER, url, &value), AQ_E_FORMAT);
  aq_buf_reset(&out);
  aq_qbft_wire_put_value(&out, AQ_DUTY_INFO_SYNC, aq_buf_bytes(&value));
  aq_buf any = aq_test_hex_of(root, "any");
  assert_bytes(aq_bytes_sub(aq_buf_bytes(&out), out.len - any.len, any.len), aq_buf_bytes(&any));
  aq_buf_free(&any), aq_buf_free(&value), aq_buf_free(&out);
  yyjson_doc_free(doc);
}

/* Goal: a set of ours is encoded as Charon's canonical bytes, with its hash.
   Method: values.json sets[], every duty type and version. */
static void own_sets(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/values.json");
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "sets"));
  size_t cnt = 0;
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it)); cnt++) {
    yyjson_val *entries = yyjson_obj_get(c, "entries");
    aq_unsigned item[8];
    aq_buf data[8];
    uint32_t n = (uint32_t)yyjson_arr_size(entries);
    assert_true(n <= 8);
    for (uint32_t i = 0; i < n; i++) {
      yyjson_val *e = yyjson_arr_get(entries, i);
      aq_buf key = aq_test_hex_of(e, "pubkey");
      memcpy(item[i].pubkey, key.ptr, 48);
      aq_buf_free(&key);
      data[i] = aq_test_hex_of(e, "data");
      item[i].data = aq_buf_bytes(&data[i]);
    }
    for (uint32_t i = 1; i < n; i++) { /* ascending by key, as aq_unsigned_set wants it */
      for (uint32_t k = i; k && memcmp(item[k - 1].pubkey, item[k].pubkey, 48) > 0; k--) {
        aq_unsigned t = item[k];
        item[k] = item[k - 1], item[k - 1] = t;
      }
    }
    aq_buf out = AQ_BUF(1 << 20);
    aq_hash hash;
    aq_unsigned_set set = {item, n};
    assert_int_equal(aq_qbft_value_encode(&out, &hash, &arena, &set), AQ_OK);
    expect_hex(aq_bytes_of(hash.b, 32), c, "value_hash");
    uint8_t sum[32];
    aq_sha256(sum, aq_buf_bytes(&out));
    expect_hex(aq_bytes_of(sum, 32), c, "set_proto_sha256");
    aq_buf_free(&out);
    for (uint32_t i = 0; i < n; i++) aq_buf_free(&data[i]);
  }
  assert_true(cnt >= 15);
  yyjson_doc_free(doc);
}

/* Where our verdict differs from Charon's on purpose (consensus.md 2.3, 4.6 "Ours"). Values are no matter of the wire
   checks. */
static const struct {
  const char *name;
  aq_qbft_wire_code code;
} ours[] = {
    {"duty type 4 (exit) never expires", AQ_QBFT_WIRE_BAD_DUTY_TYPE},
    {"duty type 7 (randao) passes", AQ_QBFT_WIRE_BAD_DUTY_TYPE},
    {"round max int64", AQ_QBFT_WIRE_ROUND_OOB},
    {"value hash not among values", AQ_QBFT_WIRE_OK},
    {"no values", AQ_QBFT_WIRE_OK},
    {"prepared value missing", AQ_QBFT_WIRE_OK},
    {"justification value missing", AQ_QBFT_WIRE_OK},
    {"value of unknown type", AQ_QBFT_WIRE_OK},
    {"value bytes not protobuf", AQ_QBFT_WIRE_OK},
};

static const aq_chain chain_320 = {
    .clock = {.genesis_ns = AQ_SECONDS(1000000), .slot_ns = AQ_SECONDS(12), .slots_per_epoch = 32}};

static void peers_of(uint8_t keys[4][33], yyjson_val *root) {
  for (size_t i = 0; i < 4; i++) {
    aq_buf key = aq_test_hex_of(yyjson_arr_get(yyjson_obj_get(root, "peers"), i), "public_key_compressed");
    memcpy(keys[i], key.ptr, 33);
    aq_buf_free(&key);
  }
}

static aq_qbft_wire_code receive(aq_qbft_wire *w, aq_arena *a, aq_bytes in, const uint8_t (*keys)[33]) {
  aq_qbft_wire_ctx ctx = {4, &chain_320, aq_slot_start_ns(&chain_320.clock, 320)};
  aq_qbft_wire_code code = aq_qbft_wire_decode(w, a, &ctx, in);
  static const aq_qbft_cache empty;
  aq_qbft_fresh fresh;
  if (code != AQ_QBFT_WIRE_OK) return code;
  aq_qbft_wire_look(&fresh, w, &empty);
  return aq_qbft_wire_verify(w, a, keys, &fresh);
}

/* Goal: every complete message gets Charon's verdict, or ours where we differ on purpose; what we take and write
   again is equal. Method: wire.json, 49 messages. */
static void receive_checks(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/wire.json");
  yyjson_val *root = yyjson_doc_get_root(doc);
  uint8_t keys[4][33];
  peers_of(keys, root);
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(root, "cases"));
  size_t cnt = 0;
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it)); cnt++) {
    const char *name = aq_test_str(c, "name"), *want = aq_test_str(c, "result");
    aq_buf in = aq_test_hex_of(c, "message");
    aq_qbft_wire w;
    aq_qbft_wire_code code = receive(&w, &arena, aq_buf_bytes(&in), (const uint8_t(*)[33])keys);
    bool nested = w.nested && code != AQ_QBFT_WIRE_OK;
    for (size_t i = 0; i < AQ_COUNT(ours); i++) {
      if (strcmp(ours[i].name, name) == 0) want = aq_qbft_wire_name(ours[i].code);
    }
    if (strcmp(want, "justification_missing_field") == 0) want = "missing_field";
    char got[64];
    snprintf(got, sizeof got, "%s%s", nested ? "justification_" : "", aq_qbft_wire_name(code));
    if (strcmp(got, want) != 0) fail_msg("%s: got %s, want %s", name, got, want);
    aq_buf_free(&in);
    aq_arena_reset(&arena);
  }
  assert_int_equal(cnt, 49);
  yyjson_doc_free(doc);
}

static aq_qbft_wire_code code_of(const aq_k1_key *key, aq_qbft_msg m) {
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_buf out = AQ_BUF(1 << 16);
  aq_qbft_wire_ctx ctx = {4, &chain_320, aq_slot_start_ns(&chain_320.clock, 320)};
  aq_qbft_wire w;
  aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, key, (aq_duty){320, AQ_DUTY_ATTESTER}, &m)));
  aq_qbft_wire_code code = aq_qbft_wire_decode(&w, &arena, &ctx, aq_buf_bytes(&out));
  aq_buf_free(&out);
  return code;
}

/* Goal: rounds and senders are bounded on both sides, prepared rounds too.
   Method: well-signed messages at each bound and one beyond. */
static void bounds(void **state) {
  (void)state;
  const int64_t top = AQ_QBFT_ROUND_MAX;
  uint8_t secret[32];
  memset(secret, 2, sizeof secret);
  aq_k1_key *key;
  assert_int_equal(aq_k1_key_new(&key, secret), AQ_OK);
  aq_qbft_msg m = {.type = AQ_QBFT_ROUND_CHANGE, .from = 3, .round = top, .prepared_round = top};
  assert_int_equal(code_of(key, m), AQ_QBFT_WIRE_OK);
  m.round = top + 1;
  assert_int_equal(code_of(key, m), AQ_QBFT_WIRE_ROUND_OOB);
  m.round = 0;
  assert_int_equal(code_of(key, m), AQ_QBFT_WIRE_BAD_ROUND);
  m.round = 1, m.prepared_round = top + 1;
  assert_int_equal(code_of(key, m), AQ_QBFT_WIRE_ROUND_OOB);
  m.prepared_round = -1;
  assert_int_equal(code_of(key, m), AQ_QBFT_WIRE_BAD_PREPARED_ROUND);
  m.prepared_round = 0, m.from = 4;
  assert_int_equal(code_of(key, m), AQ_QBFT_WIRE_BAD_PEER_INDEX);
  m.from = 0, m.type = (aq_qbft_type)(AQ_QBFT_DECIDED + 1);
  assert_int_equal(code_of(key, m), AQ_QBFT_WIRE_BAD_TYPE);
  aq_k1_key_free(key);
}

/* Goal: a value of another kind than its duty's, or no protobuf, is none. Method: both kinds under each other's
   name. */
static void foreign_values(void **state) {
  (void)state;
  const aq_bytes info_url = aq_bytes_str(AQ_QBFT_INFO_URL), empty = aq_bytes_str("");
  aq_buf out = AQ_BUF(1024);
  aq_hash hash;
  const struct {
    aq_duty_type type;
    aq_qbft_any any;
    aq_status st;
  } t[] = {
      {AQ_DUTY_ATTESTER, {aq_bytes_str(set_url), empty}, AQ_OK},
      {AQ_DUTY_ATTESTER, {info_url, empty}, AQ_E_FORMAT},
      {AQ_DUTY_ATTESTER, {aq_bytes_str(set_url), aq_bytes_str("x")}, AQ_E_FORMAT},
      {AQ_DUTY_INFO_SYNC, {info_url, empty}, AQ_OK},
      {AQ_DUTY_INFO_SYNC, {aq_bytes_str(set_url), empty}, AQ_E_FORMAT},
      {AQ_DUTY_INFO_SYNC, {info_url, aq_bytes_str("x")}, AQ_E_FORMAT},
  };
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    aq_buf_reset(&out);
    assert_int_equal(aq_qbft_value_canon(&out, &hash, &arena, t[i].type, &t[i].any), t[i].st);
  }
  aq_buf_free(&out);
}

/* Goal: a value for which there is no room is not written in part. Method: arenas and buffers of every smaller size. */
static void value_without_room(void **state) {
  (void)state;
  const aq_unsigned item[2] = {{{1}, aq_bytes_str("some data")}, {{2}, aq_bytes_str("other data")}};
  const aq_unsigned_set set = {item, 2};
  aq_hash hash;
  aq_status st = AQ_E_LIMIT;
  aq_buf whole = AQ_BUF(1 << 12);
  for (size_t max = 0; st != AQ_OK; max += 8) {
    aq_arena a;
    aq_arena_init(&a, max);
    st = aq_qbft_value_encode(&whole, &hash, &a, &set);
    assert_true(st == AQ_OK || (st == AQ_E_LIMIT && whole.len == 0));
    aq_arena_free(&a);
  }
  for (size_t max = 0; max < whole.len; max++) {
    aq_buf out = AQ_BUF(max);
    assert_int_equal(aq_qbft_value_encode(&out, &hash, &arena, &set), AQ_E_LIMIT);
    aq_buf_free(&out);
    aq_arena_reset(&arena);
  }
  aq_buf_free(&whole);
}

/* Goal: no prefix of a message and no flipped bit crashes the decoder, and none but the untouched message verifies
   with other content. Method: the longest accepted messages of wire.json, cut and flipped everywhere. */
static void cut_and_flipped(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/wire.json");
  yyjson_val *root = yyjson_doc_get_root(doc), *longest = NULL;
  uint8_t keys[4][33];
  peers_of(keys, root);
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(root, "cases"));
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it));) {
    if (strcmp(aq_test_str(c, "name"), "round_change prepared with three prepares") == 0) longest = c;
  }
  assert_non_null(longest);
  aq_buf in = aq_test_hex_of(longest, "message");
  aq_qbft_wire_ctx ctx = {4, &chain_320, aq_slot_start_ns(&chain_320.clock, 320)};
  aq_qbft_wire w;
  for (size_t len = 0; len < in.len; len++) {
    aq_arena_reset(&arena);
    (void)aq_qbft_wire_decode(&w, &arena, &ctx, aq_bytes_of(in.ptr, len));
  }
  for (size_t i = 0; i < in.len; i++) {
    aq_arena_reset(&arena);
    in.ptr[i] ^= (uint8_t)(1u << i % 8);
    (void)aq_qbft_wire_decode(&w, &arena, &ctx, aq_buf_bytes(&in));
    in.ptr[i] ^= (uint8_t)(1u << i % 8);
  }
  aq_buf_free(&in);
  yyjson_doc_free(doc);
}

/* Goal: what the journal keeps comes back equal. Method: a COMMIT's PREPAREs through put_just and read, and too many
   of them. */
static void journal_lists(void **state) {
  (void)state;
  uint8_t secret[32];
  memset(secret, 2, sizeof secret);
  aq_k1_key *key;
  assert_int_equal(aq_k1_key_new(&key, secret), AQ_OK);
  aq_duty duty = {7, AQ_DUTY_ATTESTER}, read_duty;
  aq_buf list = AQ_BUF(1 << 16);
  for (uint32_t i = 0; i < 3; i++) {
    aq_qbft_msg m = {.type = AQ_QBFT_PREPARE, .from = i, .round = 4 + i, .value = {{9}}};
    aq_qbft_wire_put_just(&list, key, duty, &m);
  }
  aq_qbft_msg back[4];
  uint32_t cnt;
  assert_int_equal(aq_qbft_wire_read(back, &cnt, 4, &read_duty, &arena, 4, aq_buf_bytes(&list), true), AQ_OK);
  assert_int_equal(cnt, 3);
  assert_true(aq_duty_eq(duty, read_duty));
  for (uint32_t i = 0; i < 3; i++) assert_true(back[i].from == i && back[i].round == 4 + i && back[i].value.b[0] == 9);
  assert_int_equal(aq_qbft_wire_read(back, &cnt, 2, &read_duty, &arena, 4, aq_buf_bytes(&list), true), AQ_E_LIMIT);
  assert_int_equal(aq_qbft_wire_read(back, &cnt, 0, &read_duty, &arena, 4, aq_buf_bytes(&list), false), AQ_E_LIMIT);
  aq_qbft_msg other = {.type = AQ_QBFT_PREPARE, .from = 3, .round = 7, .value = {{9}}};
  size_t whole = list.len;
  aq_qbft_wire_put_just(&list, key, (aq_duty){8, AQ_DUTY_ATTESTER}, &other);
  assert_int_equal(aq_qbft_wire_read(back, &cnt, 4, &read_duty, &arena, 4, aq_buf_bytes(&list), true), AQ_E_FORMAT);
  list.len = whole;
  for (size_t len = 1; len < list.len; len += 7) {
    (void)!aq_qbft_wire_read(back, &cnt, 4, &read_duty, &arena, 4, aq_bytes_of(list.ptr, len), true);
  }
  aq_buf_free(&list);
  aq_k1_key_free(key);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signing),          cmocka_unit_test(verifying),          cmocka_unit_test(hashing),
      cmocka_unit_test(canonical_values), cmocka_unit_test(own_sets),           cmocka_unit_test(receive_checks),
      cmocka_unit_test(cut_and_flipped),  cmocka_unit_test(journal_lists),      cmocka_unit_test(bounds),
      cmocka_unit_test(foreign_values),   cmocka_unit_test(value_without_room),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
