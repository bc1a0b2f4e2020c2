/* Small types of each kind, so that each rule of the encoding stands alone. */
#include "aq_test.h"

#include "codec/json.h"
#include "codec/ssz.h"
#include "crypto/hash.h"

/* Small types that use every kind: {a: u16, items: List[Bytes[3], 4], inner: {flag, bits, text}, tail: u64}. */
static const aq_ssz_type u8 = {AQ_SSZ_UINT, 1, 0, NULL, NULL, 0}, u16 = {AQ_SSZ_UINT, 2, 0, NULL, NULL, 0};
static const aq_ssz_type u64 = {AQ_SSZ_UINT, 8, 0, NULL, NULL, 0}, u256 = {AQ_SSZ_UINT, 32, 0, NULL, NULL, 0};
static const aq_ssz_type flag = {AQ_SSZ_BOOL, 1, 0, NULL, NULL, 0}, b3 = {AQ_SSZ_BYTES, 3, 0, NULL, NULL, 0};
static const aq_ssz_type b100 = {AQ_SSZ_BYTES, 100, 0, NULL, NULL, 0};
static const aq_ssz_type items = {AQ_SSZ_LIST, 0, 4, &b3, NULL, 0}, text = {AQ_SSZ_BYTELIST, 0, 5, NULL, NULL, 0};
static const aq_ssz_type bits = {AQ_SSZ_BITLIST, 0, 9, NULL, NULL, 0},
                         ten_bits = {AQ_SSZ_BITVECTOR, 2, 10, NULL, NULL, 0};
static const aq_ssz_type pair = {AQ_SSZ_VECTOR, 4, 2, &u16, NULL, 0}, texts = {AQ_SSZ_LIST, 0, 3, &text, NULL, 0};
static const aq_ssz_type numbers = {AQ_SSZ_LIST, 0, 64, &u64, NULL, 0}, flags = {AQ_SSZ_LIST, 0, 4, &flag, NULL, 0};
static const aq_ssz_field inner_field[] = {{"flag", &flag}, {"bits", &bits}, {"text", &text}};
static const aq_ssz_type inner = {AQ_SSZ_CONTAINER, 0, 0, NULL, inner_field, 3};
static const aq_ssz_field outer_field[] = {{"a", &u16}, {"items", &items}, {"inner", &inner}, {"tail", &u64}};
static const aq_ssz_type outer = {AQ_SSZ_CONTAINER, 0, 0, NULL, outer_field, 4};

static aq_bytes view(const aq_buf *b) { return aq_bytes_of(b->ptr, b->len); }

static const char sample_hex[] =
    "0102"             /* a */
    "12000000"         /* items at 18 */
    "18000000"         /* inner at 24 */
    "0807060504030201" /* tail */
    "aabbccddeeff"     /* items */
    "01090000000b000000"
    "ff03"    /* bits: nine */
    "686921"; /* text */

static const char sample_json[] =
    "{\"a\":\"513\",\"items\":[\"0xaabbcc\",\"0xddeeff\"],\"inner\":{\"flag\":true,\"bits\":\"0xff03\",\"text\":"
    "\"0x686921\"},"
    "\"tail\":\"72623859790382856\"}";

static aq_status check_hex(const aq_ssz_type *t, const char *hex) {
  aq_buf in = aq_test_hex(hex);
  uint8_t *exact = malloc(in.len ? in.len : 1);
  if (in.len) memcpy(exact, in.ptr, in.len);
  aq_status st = aq_ssz_check(t, aq_bytes_of(exact, in.len));
  free(exact);
  aq_buf_free(&in);
  return st;
}

/* Goal: every rule of the encoding is checked.
   Method: a table of one broken byte string for each rule, beside the good one. */
static void checks(void **state) {
  (void)state;
  static const struct {
    const aq_ssz_type *type;
    const char *hex;
    aq_status want;
  } cases[] = {
      {&outer, sample_hex, AQ_OK},
      {&u16, "0102", AQ_OK},
      {&u16, "01", AQ_E_TRUNC},
      {&u16, "010203", AQ_E_FORMAT},
      {&flag, "01", AQ_OK},
      {&flag, "02", AQ_E_FORMAT},
      {&flags, "0001", AQ_OK},
      {&flags, "0002", AQ_E_FORMAT},
      {&ten_bits, "ff03", AQ_OK},
      {&ten_bits, "ff07", AQ_E_FORMAT},
      {&bits, "01", AQ_OK},
      {&bits, "", AQ_E_TRUNC},
      {&bits, "ff00", AQ_E_FORMAT},
      {&bits, "ff03", AQ_OK},
      {&bits, "ff04", AQ_E_LIMIT},
      {&text, "0102030405", AQ_OK},
      {&text, "010203040506", AQ_E_LIMIT},
      {&items, "", AQ_OK},
      {&items, "01020304", AQ_E_FORMAT},
      {&items, "010203010203010203010203", AQ_OK},
      {&items, "010203010203010203010203010203", AQ_E_LIMIT},
      {&pair, "01020304", AQ_OK},
      {&texts, "", AQ_OK},
      {&texts, "0800000009000000ff", AQ_OK},
      {&texts, "080000", AQ_E_TRUNC},
      {&texts, "00000000", AQ_E_FORMAT},
      {&texts, "05000000ff", AQ_E_FORMAT},
      {&texts, "08000000", AQ_E_TRUNC},
      {&texts, "080000000a000000ff", AQ_E_TRUNC},
      {&texts, "0c0000000d0000000c000000ff", AQ_E_FORMAT},
      {&texts, "10000000100000001000000010000000", AQ_E_LIMIT},
      {&texts, "0800000008000000010203040506", AQ_E_LIMIT},
      {&inner, "00090000000a00000001ff", AQ_OK},
      {&inner, "00090000000a000000", AQ_E_TRUNC},
      {&inner, "00080000000a00000001ff", AQ_E_FORMAT},
      {&inner, "000a0000000a0000000101", AQ_E_FORMAT},
      {&inner, "00090000000800000001ff", AQ_E_FORMAT},
      {&inner, "00090000000c00000001ff", AQ_E_TRUNC},
      {&inner, "02090000000a00000001ff", AQ_E_FORMAT},
      {&inner, "00090000", AQ_E_TRUNC},
  };
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    aq_status got = check_hex(cases[i].type, cases[i].hex);
    if (got != cases[i].want) fail_msg("case %zu (%s): %s", i, cases[i].hex, aq_status_name(got));
  }
}

/* Goal: fields, elements and bits are found.
   Method: the sample's parts by name and number. */
static void access_parts(void **state) {
  (void)state;
  aq_buf in = aq_test_hex(sample_hex);
  aq_bytes v = view(&in);
  assert_true(aq_ssz_get_u64(&outer, v, "tail") == 0x0102030405060708);
  assert_bytes(aq_ssz_get(&outer, v, "inner.text"), aq_bytes_str("hi!"));
  assert_ptr_equal(aq_ssz_type_at(&outer, "inner.bits"), &bits);
  assert_ptr_equal(aq_ssz_type_at(&outer, ""), &outer);
  aq_bytes list = aq_ssz_get(&outer, v, "items"), nine = aq_ssz_get(&outer, v, "inner.bits");
  assert_int_equal(aq_ssz_count(&items, list), 2);
  assert_bytes(aq_ssz_elem(&items, list, 1), aq_bytes_str("\xdd\xee\xff"));
  assert_int_equal(aq_ssz_count(&bits, nine), 9);
  assert_true(aq_ssz_bit(&bits, nine, 7) && aq_ssz_bit(&bits, nine, 8));
  aq_buf two = aq_test_hex("0800000009000000ff0102");
  assert_int_equal(aq_ssz_count(&texts, view(&two)), 2);
  assert_bytes(aq_ssz_elem(&texts, view(&two), 1), aq_bytes_str("\x01\x02"));
  aq_buf_free(&two);
  aq_buf_free(&in);
}

/* Goal: packing, defaults and replacement make valid values.
   Method: takes the sample apart and puts it together; replaces a nested field by a longer and a shorter one and
   undoes it. */
static void building(void **state) {
  (void)state;
  aq_buf in = aq_test_hex(sample_hex), out = AQ_BUF(256), back = AQ_BUF(256);
  aq_bytes v = view(&in), part[4];
  for (size_t i = 0; i < 4; i++) part[i] = aq_ssz_get(&outer, v, outer_field[i].name);
  assert_int_equal(aq_ssz_pack(&out, &outer, part, 4), AQ_OK);
  assert_bytes(view(&out), v);
  static const struct {
    const char *path, *value;
  } replaced[] = {{"inner.bits", "\x01"}, {"inner.text", ""}, {"inner.text", "five5"}, {"items", ""}, {"a", "zz"}};
  for (size_t i = 0; i < AQ_COUNT(replaced); i++) {
    aq_bytes value = aq_bytes_str(replaced[i].value);
    aq_buf_reset(&out);
    aq_buf_put_str(&out, "before"); /* appends */
    assert_int_equal(aq_ssz_with(&out, &outer, v, replaced[i].path, value), AQ_OK);
    aq_bytes changed = aq_bytes_of(out.ptr + 6, out.len - 6);
    assert_int_equal(aq_ssz_check(&outer, changed), AQ_OK);
    assert_bytes(aq_ssz_get(&outer, changed, replaced[i].path), value);
    assert_true(aq_ssz_get_u64(&outer, changed, "tail") == 0x0102030405060708);
    aq_buf_reset(&back);
    assert_int_equal(aq_ssz_with(&back, &outer, changed, replaced[i].path, aq_ssz_get(&outer, v, replaced[i].path)),
                     AQ_OK);
    assert_bytes(view(&back), v);
  }
  aq_buf_reset(&out);
  assert_int_equal(aq_ssz_default(&out, &outer), AQ_OK);
  assert_int_equal(aq_ssz_check(&outer, view(&out)), AQ_OK);
  assert_int_equal(aq_ssz_count(&bits, aq_ssz_get(&outer, view(&out), "inner.bits")), 0);
  aq_buf small = AQ_BUF(20);
  assert_int_equal(aq_ssz_pack(&small, &outer, part, 4), AQ_E_LIMIT);
  aq_buf_free(&small);
  aq_buf_free(&in);
  aq_buf_free(&out);
  aq_buf_free(&back);
}

static void hash_pair(uint8_t out[32], const uint8_t *l, const uint8_t *r) { aq_sha256_pair(out, l, r); }

/* Goal: roots at the edges of a chunk: bit lists with the delimiter in a byte and in a chunk of its own, byte vectors
   of several chunks, lists of numbers and of empty lists.
   Method: the tree of the specification put together by hand. */
static void roots(void **state) {
  (void)state;
  uint8_t got[32], want[32], chunk[4][32] = {{0}}, len[32] = {0};
  static const aq_ssz_type long_bits = {AQ_SSZ_BITLIST, 0, 512, NULL, NULL, 0};
  uint8_t in[101];
  memset(in, 0xff, 33);
  in[32] = 1; /* 256 bits and the delimiter */
  aq_ssz_root(got, &long_bits, aq_bytes_of(in, 33));
  memset(chunk[0], 0xff, 32);
  hash_pair(want, chunk[0], chunk[1]);
  len[1] = 1;
  hash_pair(want, want, len);
  assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
  aq_ssz_root(got, &long_bits, aq_bytes_of(in, 32)); /* 255 bits */
  chunk[0][31] = 0x7f;
  hash_pair(want, chunk[0], chunk[1]);
  len[0] = 255, len[1] = 0;
  hash_pair(want, want, len);
  assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));

  for (size_t i = 0; i < 100; i++) in[i] = chunk[i / 32][i % 32] = (uint8_t)(i + 1);
  memset(chunk[3] + 4, 0, 28);
  aq_ssz_root(got, &b100, aq_bytes_of(in, 100));
  hash_pair(chunk[0], chunk[0], chunk[1]);
  hash_pair(chunk[2], chunk[2], chunk[3]);
  hash_pair(want, chunk[0], chunk[2]);
  assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));

  memset(chunk, 0, sizeof chunk);
  memset(len, 0, sizeof len);
  chunk[0][0] = len[0] = 1; /* one number, 1, of at most 64: sixteen chunks */
  aq_ssz_root(got, &numbers, aq_bytes_of(chunk[0], 8));
  memcpy(want, chunk[0], 32);
  for (unsigned level = 0; level < 4; level++) hash_pair(want, want, aq_zero_hash(level));
  hash_pair(want, want, len);
  assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));

  aq_ssz_root(got, &texts, aq_bytes_of("", 0));
  memset(len, 0, sizeof len);
  hash_pair(want, aq_zero_hash(2), len);
  assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
}

static aq_status read_text(aq_buf *out, const aq_ssz_type *t, const char *json, aq_err *err) {
  yyjson_doc *doc = aq_json_parse(aq_bytes_str(json), 1 << 20, NULL);
  assert_non_null(doc);
  aq_status st = aq_ssz_from_json(out, t, yyjson_doc_get_root(doc), err);
  yyjson_doc_free(doc);
  return st;
}

/* Goal: JSON of every kind both ways; members in any order, unknown ones, numbers for strings.
   Method: the sample's text, and a variant that means the same. */
static void json_both_ways(void **state) {
  (void)state;
  aq_buf in = aq_test_hex(sample_hex), out = AQ_BUF(1024), back = AQ_BUF(256);
  aq_ssz_to_json(&out, &outer, view(&in));
  assert_string_equal(aq_buf_cstr(&out), sample_json);
  assert_int_equal(read_text(&back, &outer, sample_json, NULL), AQ_OK);
  assert_bytes(view(&back), view(&in));
  static const char other[] =
      " {\"tail\": 72623859790382856, \"more\":{\"x\":[1]}, "
      "\"inner\":{\"text\":\"0x686921\",\"flag\":true,\"bits\":\"0xFF03\"}, "
      "\"items\":[\"0xAABBCC\",\"0xddeeff\"], \"a\":\"0513\"}";
  aq_buf_reset(&back);
  aq_buf_put_str(&back, "x"); /* appends */
  assert_int_equal(read_text(&back, &outer, other, NULL), AQ_OK);
  assert_bytes(aq_bytes_of(back.ptr + 1, back.len - 1), view(&in));
  aq_buf_free(&in);
  aq_buf_free(&out);
  aq_buf_free(&back);
}

/* Goal: 256-bit numbers in decimal.
   Method: zero, borders of the nine-digit groups, the maximum, and one more. */
static void big_numbers(void **state) {
  (void)state;
  static const char *const good[] = {"0",
                                     "7",
                                     "1000000000",
                                     "999999999",
                                     "18446744073709551616",
                                     "1000000000000000000",
                                     "115792089237316195423570985008687907853269984665640564039457584007913129639935"};
  for (size_t i = 0; i < AQ_COUNT(good); i++) {
    char json[100];
    snprintf(json, sizeof json, "\"%s\"", good[i]);
    aq_buf ssz = AQ_BUF(32), out = AQ_BUF(100);
    assert_int_equal(read_text(&ssz, &u256, json, NULL), AQ_OK);
    aq_ssz_to_json(&out, &u256, view(&ssz));
    assert_string_equal(aq_buf_cstr(&out), json);
    aq_buf_reset(&ssz);
    aq_buf_reset(&out);
    assert_int_equal(read_text(&ssz, &u256, good[i], NULL), AQ_OK); /* a number where a string is usual */
    aq_ssz_to_json(&out, &u256, view(&ssz));
    assert_string_equal(aq_buf_cstr(&out), json);
    aq_buf_free(&ssz);
    aq_buf_free(&out);
  }
  static const char *const bad[] = {
      "\"\"", "\"-1\"", "\"1x\"", "\"115792089237316195423570985008687907853269984665640564039457584007913129639936\"",
      "\"999999999999999999999999999999999999999999999999999999999999999999999999999999\""};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    aq_buf ssz = AQ_BUF(32);
    assert_int_equal(read_text(&ssz, &u256, bad[i], NULL), AQ_E_FORMAT);
    assert_int_equal(ssz.len, 0);
    aq_buf_free(&ssz);
  }
}

/* Goal: wrong JSON is refused, the error names the place, and nothing is appended.
   Method: a table of text and the expected start of the error. */
static void json_errors(void **state) {
  (void)state;
  static const struct {
    const aq_ssz_type *type;
    const char *json, *where;
    aq_status want;
  } cases[] = {
      {&outer, "[]", "value: is not an object", AQ_E_FORMAT},
      {&outer, "{\"a\":1,\"items\":[]}", "inner: is missing", AQ_E_FORMAT},
      {&outer, "{\"a\":65536,\"items\":[]}", "a: is not a number in range", AQ_E_FORMAT},
      {&outer, "{\"a\":-1}", "a: is not a number", AQ_E_FORMAT},
      {&outer, "{\"a\":1.5}", "a: is not a number", AQ_E_FORMAT},
      {&outer, "{\"a\":\"\"}", "a: is not a number", AQ_E_FORMAT},
      {&outer, "{\"a\":1,\"items\":[\"0xaabbcc\",\"0xaabb\"]}", "items[1]: is not 0x-hex", AQ_E_FORMAT},
      {&outer, "{\"a\":1,\"items\":{}}", "items: is not a list", AQ_E_FORMAT},
      {&outer, "{\"a\":1,\"items\":[],\"inner\":{\"flag\":1}}", "inner.flag: is neither", AQ_E_FORMAT},
      {&outer, "{\"a\":1,\"items\":[],\"inner\":{\"flag\":true,\"bits\":\"0x00\"}}", "inner.bits: ", AQ_E_FORMAT},
      {&outer, "{\"a\":1,\"items\":[],\"inner\":{\"flag\":true,\"bits\":\"01\"}}", "inner.bits: is not 0x-hex",
       AQ_E_FORMAT},
      {&items, "[\"0x010203\",\"0x010203\",\"0x010203\",\"0x010203\",\"0x010203\"]", "value: has too many", AQ_E_LIMIT},
      {&text, "\"0x010203040506\"", "value: ", AQ_E_LIMIT},
      {&bits, "\"0xff04\"", "value: ", AQ_E_LIMIT},
      {&bits, "\"0x\"", "value: ", AQ_E_TRUNC},
      {&ten_bits, "\"0xff07\"", "value: ", AQ_E_FORMAT},
      {&pair, "[1]", "value: wants a list of the exact length", AQ_E_FORMAT},
      {&pair, "[1,2,3]", "value: wants a list of the exact length", AQ_E_FORMAT},
      {&u8, "256", "value: ", AQ_E_FORMAT},
      {&u8, "\"18446744073709551616\"", "value: ", AQ_E_FORMAT},
      {&flag, "null", "value: ", AQ_E_FORMAT},
  };
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    aq_buf out = AQ_BUF(256);
    aq_err err = {0};
    aq_status st = read_text(&out, cases[i].type, cases[i].json, &err);
    if (st != cases[i].want || strncmp(err.text, cases[i].where, strlen(cases[i].where)) != 0) {
      fail_msg("%s: %s, %s", cases[i].json, aq_status_name(st), err.text);
    }
    assert_int_equal(out.len, 0);
    assert_int_equal(err.status, cases[i].want);
    aq_buf_free(&out);
  }
  aq_buf small = AQ_BUF(10);
  assert_int_equal(read_text(&small, &outer, sample_json, NULL), AQ_E_LIMIT);
  aq_buf_free(&small);
}

/* Goal: a vector has its number of elements, in SSZ and in JSON, also where elements have no fixed size.
   Method: two texts in a vector of two, then one and three. */
static void vectors_of_lists(void **state) {
  (void)state;
  static const aq_ssz_type two = {AQ_SSZ_VECTOR, 0, 2, &text, NULL, 0};
  static const struct {
    const char *hex, *json;
    aq_status ssz, from_json;
  } t[] = {{"08000000090000006162", "[\"0x61\",\"0x62\"]", AQ_OK, AQ_OK},
           {"0400000061", "[\"0x61\"]", AQ_E_FORMAT, AQ_E_FORMAT},
           {"0c0000000d0000000e000000616263", "[\"0x61\",\"0x62\",\"0x63\"]", AQ_E_FORMAT, AQ_E_LIMIT},
           {"", "[]", AQ_E_FORMAT, AQ_E_FORMAT}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    aq_buf out = AQ_BUF(256), want = aq_test_hex(t[i].hex);
    assert_int_equal(check_hex(&two, t[i].hex), t[i].ssz);
    yyjson_doc *doc = yyjson_read(t[i].json, strlen(t[i].json), 0);
    assert_int_equal(aq_ssz_from_json(&out, &two, yyjson_doc_get_root(doc), NULL), t[i].from_json);
    if (t[i].from_json == AQ_OK) assert_bytes(view(&out), view(&want));
    yyjson_doc_free(doc);
    aq_buf_free(&out), aq_buf_free(&want);
  }
}

/* Goal: what does not fit the caller's buffer is refused in every way of building.
   Method: each function with a byte less than it needs, then with just enough. */
static void no_room(void **state) {
  (void)state;
  aq_buf sample = aq_test_hex(sample_hex);
  const aq_bytes in = view(&sample), longer = aq_bytes_str("12345");
  const aq_bytes part[] = {aq_ssz_get(&outer, in, "a"), aq_ssz_get(&outer, in, "items"),
                           aq_ssz_get(&outer, in, "inner"), aq_ssz_get(&outer, in, "tail")};
  yyjson_doc *doc = yyjson_read(sample_json, strlen(sample_json), 0), *number = yyjson_read("7", 1, 0);
  for (size_t more = 0; more < 2; more++) {
    const aq_status want = more ? AQ_OK : AQ_E_LIMIT;
    aq_buf out = AQ_BUF(in.len - 1 + more);
    assert_int_equal(aq_ssz_pack(&out, &outer, part, 4), want);
    aq_buf_reset(&out);
    assert_int_equal(aq_ssz_from_json(&out, &outer, yyjson_doc_get_root(doc), NULL), want);
    aq_buf_free(&out);
    out = AQ_BUF(in.len + 2 - 1 + more); /* two bytes longer than the text was */
    assert_int_equal(aq_ssz_with(&out, &outer, in, "inner.text", longer), want);
    aq_buf_free(&out);
    out = AQ_BUF(7 + more);
    assert_int_equal(aq_ssz_default(&out, &u64), want);
    aq_buf_reset(&out);
    assert_int_equal(aq_ssz_from_json(&out, &u64, yyjson_doc_get_root(number), NULL), want);
    aq_buf_free(&out);
    for (size_t max = 0; more == 0 && max < 28; max++) { /* the default of outer: 18 and 10 bytes */
      out = AQ_BUF(max);
      assert_int_equal(aq_ssz_default(&out, &outer), AQ_E_LIMIT);
      aq_buf_free(&out);
    }
    out = AQ_BUF(28);
    assert_int_equal(aq_ssz_default(&out, &outer), AQ_OK);
    aq_buf_free(&out);
  }
  yyjson_doc_free(doc), yyjson_doc_free(number);
  aq_buf_free(&sample);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(checks),           cmocka_unit_test(access_parts),
      cmocka_unit_test(building),         cmocka_unit_test(roots),
      cmocka_unit_test(json_both_ways),   cmocka_unit_test(big_numbers),
      cmocka_unit_test(vectors_of_lists), cmocka_unit_test(no_room),
      cmocka_unit_test(json_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
