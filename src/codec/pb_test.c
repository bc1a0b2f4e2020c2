/* Bytes as Go writes them, orders of fields that Go would take too, and what must be refused. */
#include "aq_test.h"

#include "codec/pb.h"
#include "core.pb-c.h"
#include "crypto/hash.h"

enum { ARENA_MAX = 1 << 20 };

static aq_bytes view(const aq_buf *b) { return aq_bytes_of(b->ptr, b->len); }

static void *unpack_hex(aq_arena *a, const ProtobufCMessageDescriptor *d, const char *hex) {
  aq_buf in = aq_test_hex(hex);
  aq_arena_init(a, ARENA_MAX);
  void *msg = aq_pb_unpack(a, d, view(&in));
  aq_buf_free(&in);
  return msg;
}

/* Goal: an UnsignedDataSet in any order of bytes has one canonical encoding and hash, as in Go.
   Method: consensus/values.json, canonicalisation. */
static void canonical_sets(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/values.json");
  yyjson_val *v;
  size_t i, max;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "canonicalisation"), i, max, v) {
    aq_arena a;
    Corepb__UnsignedDataSet *set = unpack_hex(&a, &corepb__unsigned_data_set__descriptor, aq_test_str(v, "wire"));
    assert_int_equal(set != NULL, yyjson_get_bool(yyjson_obj_get(v, "decodes")));
    if (set) {
      aq_buf out = AQ_BUF(1000), want = aq_test_hex_of(v, "canonical"), hash = aq_test_hex_of(v, "value_hash");
      uint8_t root[32];
      assert_int_equal(aq_pb_sort_map(&a, set->set, &set->n_set), AQ_OK);
      aq_pb_pack(&out, &set->base);
      assert_bytes(view(&out), view(&want));
      aq_merkle_bytes(root, view(&out), -1);
      assert_bytes(aq_bytes_of(root, 32), view(&hash));
      aq_buf_free(&out);
      aq_buf_free(&want);
      aq_buf_free(&hash);
    }
    aq_arena_free(&a);
  }
  assert_true(max >= 11);
  yyjson_doc_free(doc);
}

/* Goal: consensus messages are written as Go writes them, with unknown fields kept.
   Method: consensus/signing.json: signed messages, and the bytes that were signed (the same without field 8). */
static void signed_messages(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/signing.json");
  yyjson_val *v;
  size_t i, max;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "sign"), i, max, v) {
    aq_arena a;
    Corepb__QBFTMsg *msg = unpack_hex(&a, &corepb__qbftmsg__descriptor, aq_test_str(v, "signed"));
    assert_non_null(msg);
    aq_buf out = AQ_BUF(1000), want = aq_test_hex_of(v, "signed");
    aq_pb_pack(&out, &msg->base);
    assert_bytes(view(&out), view(&want));
    msg->signature.len = 0;
    aq_buf_reset(&out);
    aq_buf_free(&want);
    want = aq_test_hex_of(v, "unsigned");
    aq_pb_pack(&out, &msg->base);
    assert_bytes(view(&out), view(&want));
    aq_buf_free(&out);
    aq_buf_free(&want);
    aq_arena_free(&a);
  }
  assert_true(max > 3);
  yyjson_doc_free(doc);
}

/* Goal: the nil check of wire.md 3.2, text rules and damage.
   Method: one message for each rule; every prefix of a good one is decoded without a crash. */
static void refused(void **state) {
  (void)state;
  static const struct {
    const ProtobufCMessageDescriptor *d;
    const char *hex;
    bool good;
  } cases[] = {
      {&corepb__qbftmsg__descriptor, "12 00", true},                        /* duty present, all defaults */
      {&corepb__qbftmsg__descriptor, "08 01", false},                       /* no duty */
      {&corepb__qbftconsensus_msg__descriptor, "0a 02 12 00", true},        /* */
      {&corepb__qbftconsensus_msg__descriptor, "0a 00", false},             /* msg without duty */
      {&corepb__qbftconsensus_msg__descriptor, "0a 02 12 00 12 00", false}, /* justification without duty */
      {&corepb__par_sig_ex_msg__descriptor, "0a 00", false},                /* no set */
      {&corepb__par_sig_ex_msg__descriptor, "0a 00 12 00", true},           /* empty set */
      {&corepb__par_sig_ex_msg__descriptor, "0a 00 12 04 0a 02 0a 00",
       true},                                                         /* map value absent: Go makes an empty one */
      {&corepb__priority_topic_proposal__descriptor, "12 00", false}, /* no topic */
      {&corepb__value__descriptor, "", true},                         /* nothing chosen in the oneof */
      {&corepb__any__descriptor, "0a 01 41", true},
      {&corepb__any__descriptor, "0a 01 ff", false},    /* not UTF-8 */
      {&corepb__any__descriptor, "0a 02 41 00", false}, /* a 0 inside */
      {&corepb__any__descriptor, "0a 02 41", false},
      {&corepb__any__descriptor, "0a", false},
      {&corepb__any__descriptor, "0b", false},                 /* group */
      {&corepb__any__descriptor, "80 00 1a", false},           /* the same, not minimal */
      {&corepb__duty__descriptor, "80 80 80 80 10 00", false}, /* field 2^29 */
      {&corepb__duty__descriptor, "f8 ff ff ff 0f 00", true},
      {&corepb__any__descriptor, "02", false},    /* field 0 */
      {&corepb__any__descriptor, "08 01", false}, /* wire type does not fit */
      {&corepb__duty__descriptor, "08 ff ff ff ff ff ff ff ff ff 01", true},
      {&corepb__duty__descriptor, "08 ff ff ff ff ff ff ff ff ff ff 01", false},
      {&corepb__duty__descriptor, "39 01 02 03 04 05 06 07 08 3d 01 02 03 04", true}, /* unknown fixed fields */
      {&corepb__duty__descriptor, "39 01 02 03 04 05 06 07", false},
  };
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    char hex[100];
    size_t len = 0;
    for (const char *c = cases[i].hex; *c; c++) {
      if (*c != ' ') hex[len++] = *c;
    }
    hex[len] = 0;
    aq_arena a;
    const void *msg = unpack_hex(&a, cases[i].d, hex);
    if ((msg != NULL) != cases[i].good) fail_msg("case %zu (%s)", i, cases[i].hex);
    aq_arena_free(&a);
  }
  yyjson_doc *doc = aq_test_json("consensus/signing.json");
  aq_buf good = aq_test_hex_of(yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "sign")), "signed");
  for (size_t len = 0; len < good.len; len++) {
    aq_arena a;
    aq_arena_init(&a, ARENA_MAX);
    uint8_t *exact = malloc(len ? len : 1);
    memcpy(exact, good.ptr, len);
    (void)aq_pb_unpack(&a, &corepb__qbftmsg__descriptor, aq_bytes_of(exact, len));
    free(exact);
    aq_arena_free(&a);
  }
  aq_buf_free(&good);
  yyjson_doc_free(doc);
}

/* Goal: a message over the arena's limit is refused, not half read.
   Method: the same bytes with a large and with a small arena. */
static void arena_limit(void **state) {
  (void)state;
  aq_buf in = AQ_BUF(10000);
  for (int i = 0; i < 500; i++) aq_buf_put(&in, "\x0a\x04\x0a\x02hi", 6);
  for (size_t max = 1000; max <= 1000000; max *= 1000) {
    aq_arena a;
    aq_arena_init(&a, max);
    Corepb__UnsignedDataSet *set = aq_pb_unpack(&a, &corepb__unsigned_data_set__descriptor, view(&in));
    assert_int_equal(set != NULL, max > 1000);
    size_t cnt = set ? set->n_set : 0;
    if (set) assert_int_equal(aq_pb_sort_map(&a, set->set, &cnt), AQ_OK);
    assert_int_equal(cnt, set ? 1 : 0); /* all keys are equal */
    aq_arena_free(&a);
  }
  aq_buf_free(&in);
}

/* Goal: values that protobuf-c leaves out or writes otherwise.
   Method: an empty string in a oneof, negative numbers, absent map values, against bytes by hand (wire.md 3.2 and
   9.1). */
static void packing(void **state) {
  (void)state;
  aq_buf out = AQ_BUF(200);
  Corepb__Value value = COREPB__VALUE__INIT;
  value.kind_case = COREPB__VALUE__KIND_STRING_VALUE;
  char empty[] = "";
  value.string_value = empty;
  aq_pb_pack(&out, &value.base);
  assert_bytes(view(&out), aq_bytes_of("\x1a\x00", 2));
  aq_buf_reset(&out);
  Corepb__Duty duty = COREPB__DUTY__INIT;
  duty.type = -1;
  aq_pb_pack(&out, &duty.base);
  assert_bytes(view(&out), aq_bytes_of("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11));
  aq_buf_reset(&out);
  Corepb__ParSignedDataSetEntry entry = COREPB__PAR_SIGNED_DATA_SET_ENTRY__INIT, *entries[] = {&entry};
  Corepb__ParSignedDataSet set = COREPB__PAR_SIGNED_DATA_SET__INIT;
  set.n_set = 1;
  set.set = entries;
  aq_pb_pack(&out, &set.base);
  assert_bytes(view(&out), aq_bytes_of("\x0a\x04\x0a\x00\x12\x00", 6));
  aq_buf small = AQ_BUF(5);
  aq_pb_pack(&small, &set.base);
  assert_true(small.failed);
  aq_buf_free(&small);
  aq_buf_free(&out);
}

/* Goal: sorting is by bytes, stable, and keeps the last of equal keys.
   Method: many entries of few keys in random order, compared with a walk over the input. */
static void sorting(void **state) {
  (void)state;
  enum { CNT = 300, KEYS = 40 };
  static Corepb__UnsignedDataSetEntry entry[CNT];
  static Corepb__UnsignedDataSetEntry *list[CNT];
  static char key[KEYS][4];
  const Corepb__UnsignedDataSetEntry *last[KEYS] = {NULL};
  aq_test_rng r;
  aq_test_rng_seed(&r, 7);
  for (size_t k = 0; k < KEYS; k++)
    snprintf(key[k], sizeof key[k], "%c%02zu", k < 3 ? '\xf0' : 'a', k); /* high bytes last */
  for (size_t i = 0; i < CNT; i++) {
    size_t k = aq_test_rng_next(&r) % KEYS;
    corepb__unsigned_data_set_entry__init(&entry[i]);
    entry[i].key = key[k];
    list[i] = &entry[i];
    last[k] = &entry[i];
  }
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  size_t cnt = CNT;
  assert_int_equal(aq_pb_sort_map(&a, list, &cnt), AQ_OK);
  assert_int_equal(cnt, KEYS);
  for (size_t i = 0; i < cnt; i++) {
    if (i) assert_true(strcmp(list[i - 1]->key, list[i]->key) < 0);
    size_t k = (size_t)((const char *)list[i]->key - key[0]) / sizeof key[0];
    assert_ptr_equal(list[i], last[k]);
  }
  aq_arena_free(&a);
  aq_arena_init(&a, 8);
  cnt = 2;
  assert_int_equal(aq_pb_sort_map(&a, list, &cnt), AQ_E_LIMIT);
  cnt = 0;
  assert_int_equal(aq_pb_sort_map(&a, NULL, &cnt), AQ_OK);
  aq_arena_free(&a);
}

/* Goal: libp2p's length prefix: minimal, below 2^63, more input told from wrong input.
   Method: wire/delimited.json, then borders by hand. */
static void uvarints(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/delimited.json");
  yyjson_val *v;
  size_t i, max, used;
  uint64_t n;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "lengths"), i, max, v) {
    uint8_t out[9];
    aq_buf want = aq_test_hex_of(v, "varint");
    n = aq_test_u64(v, "length");
    assert_bytes(aq_bytes_of(out, aq_uvarint_put(out, n)), view(&want));
    assert_int_equal(aq_uvarint_get(&n, &used, view(&want)), AQ_OK);
    assert_true(n == aq_test_u64(v, "length") && used == want.len);
    for (size_t len = 0; len < want.len; len++) {
      assert_int_equal(aq_uvarint_get(&n, &used, aq_bytes_of(want.ptr, len)), AQ_E_TRUNC);
    }
    aq_buf_free(&want);
  }
  yyjson_doc_free(doc);
  uint8_t top[9];
  assert_int_equal(aq_uvarint_put(top, INT64_MAX), 9);
  assert_int_equal(aq_uvarint_get(&n, &used, aq_bytes_of(top, 9)), AQ_OK);
  assert_true(n == INT64_MAX);
  assert_int_equal(aq_uvarint_get(&n, &used, aq_bytes_of("\x87\x00", 2)), AQ_E_FORMAT);
  assert_int_equal(aq_uvarint_get(&n, &used, aq_bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10)), AQ_E_FORMAT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(canonical_sets), cmocka_unit_test(signed_messages), cmocka_unit_test(refused),
      cmocka_unit_test(arena_limit),    cmocka_unit_test(packing),         cmocka_unit_test(sorting),
      cmocka_unit_test(uvarints),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
