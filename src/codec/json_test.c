/* Limits, getters and escapes, one small document each. */
#include "aq_test.h"

#include "codec/json.h"
#include "codec/json_out.h"

static yyjson_doc *parse(const char *text, size_t max, aq_err *err) {
  return aq_json_parse(aq_bytes_str(text), max, err);
}

/* Goal: size, nesting and syntax are limited, with a reason.
   Method: the largest allowed and one more of each; brackets inside strings do not nest. */
static void limits(void **state) {
  (void)state;
  char deep[2 * AQ_JSON_DEPTH_MAX + 3];
  for (size_t depth = AQ_JSON_DEPTH_MAX; depth <= AQ_JSON_DEPTH_MAX + 1; depth++) {
    memset(deep, '[', depth);
    memset(deep + depth, ']', depth);
    yyjson_doc *doc = aq_json_parse(aq_bytes_of(deep, 2 * depth), 1000, NULL);
    assert_int_equal(doc != NULL, depth == AQ_JSON_DEPTH_MAX);
    yyjson_doc_free(doc);
  }
  aq_err err = {0};
  yyjson_doc *doc = parse("[\"[[[\\\"[[[\",{}]", 14, &err);
  assert_null(doc);
  assert_int_equal(err.status, AQ_E_LIMIT);
  doc = parse("[\"[[[\\\"[[[\",{}]", 15, NULL);
  assert_non_null(doc);
  yyjson_doc_free(doc);
  static const char *const bad[] = {"",         " ",  "{",       "{\"a\":1,}", "[1] x",
                                    "\"\xff\"", "01", "{'a':1}", "nul",        "\"a\nb\""};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    assert_null(parse(bad[i], 100, &err));
    assert_int_equal(err.status, AQ_E_FORMAT);
  }
}

/* Goal: members in the allowed forms are read, all others leave out untouched.
   Method: one object with each form. */
static void members(void **state) {
  (void)state;
  yyjson_doc *doc = parse(
      "{\"n\":7,\"s\":\"18446744073709551615\",\"neg\":-1,\"over\":\"18446744073709551616\",\"real\":1.0,\"h\":"
      "\"0xAb01\","
      "\"bare\":\"ab01\",\"t\":\"x\",\"n\":8,\"null\":null}",
      1000, NULL);
  yyjson_val *obj = yyjson_doc_get_root(doc);
  uint64_t v = 1;
  uint8_t h[2] = {9, 9};
  assert_true(aq_json_u64(obj, "n", &v) && v == 7);
  assert_true(aq_json_u64(obj, "s", &v) && v == UINT64_MAX);
  static const char *const none[] = {"neg", "over", "real", "h", "t", "null", "absent"};
  for (size_t i = 0; i < AQ_COUNT(none); i++) assert_false(aq_json_u64(obj, none[i], &v));
  assert_true(v == UINT64_MAX);
  assert_false(aq_json_hex(obj, "bare", h, 2) || aq_json_hex(obj, "h", h, 1) || aq_json_hex(obj, "n", h, 2));
  assert_int_equal(h[0], 9);
  assert_true(aq_json_hex(obj, "h", h, 2));
  assert_int_equal(h[0], 0xab);
  assert_string_equal(aq_json_str(obj, "t"), "x");
  assert_null(aq_json_str(obj, "n"));
  assert_null(aq_json_str(obj, "absent"));
  assert_false(aq_json_u64(NULL, "n", &v));
  yyjson_doc_free(doc);
}

/* Goal: an integer is read whether it is quoted or not, up to its limit, and nothing else is; what is handed on to a
   client has it quoted.
   Method: both limits and one more of each, other numbers, a byte order mark; a document with all of them. */
static void numbers(void **state) {
  (void)state;
  static const struct {
    const char *text, *digits; /* NULL: none */
    bool good;
    uint64_t v;
  } rows[] = {
      {"0", NULL, true, 0},
      {"\xef\xbb\xbf 7", NULL, true, 7},
      {"\"7\"", "7", true, 7},
      {"18446744073709551615", NULL, true, UINT64_MAX},
      {"\"18446744073709551615\"", "18446744073709551615", true, UINT64_MAX},
      {"18446744073709551616", "18446744073709551616", false, 0},
      {"\"18446744073709551616\"", "18446744073709551616", false, 0},
      {"-1", NULL, false, 0},
      {"-18446744073709551616", NULL, false, 0},
      {"1.0", NULL, false, 0},
      {"1e3", NULL, false, 0},
      {"1e999", NULL, false, 0},
      {"\"\"", NULL, false, 0},
      {"\" 1\"", NULL, false, 0},
      {"\"0x1\"", NULL, false, 0},
      {"true", NULL, false, 0},
      {"null", NULL, false, 0},
      {"[1]", NULL, false, 0},
  };
  for (size_t i = 0; i < AQ_COUNT(rows); i++) {
    yyjson_doc *doc = parse(rows[i].text, 100, NULL);
    uint64_t v = 3;
    aq_bytes digits;
    assert_non_null(doc);
    print_message("%s\n", rows[i].text);
    assert_int_equal(aq_json_val_u64(yyjson_doc_get_root(doc), &v), rows[i].good);
    assert_true(v == (rows[i].good ? rows[i].v : 3));
    assert_int_equal(aq_json_val_digits(yyjson_doc_get_root(doc), &digits), rows[i].digits != NULL);
    if (rows[i].digits) assert_bytes(digits, aq_bytes_str(rows[i].digits));
    yyjson_doc_free(doc);
  }
  yyjson_doc *in = parse(
      "{\"a\":[1,{\"b\":18446744073709551615,\"c\":true}],\"d\":\"x\",\"e\":99999999999999999999,"
      "\"f\":1.5,\"g\":-1,\"h\":null}",
      200, NULL);
  yyjson_mut_doc *out = yyjson_mut_doc_new(NULL);
  yyjson_mut_doc_set_root(out, aq_json_quoted(out, yyjson_doc_get_root(in)));
  yyjson_doc_free(in);
  char *text = yyjson_mut_write(out, 0, NULL);
  assert_string_equal(text,
                      "{\"a\":[\"1\",{\"b\":\"18446744073709551615\",\"c\":true}],\"d\":\"x\",\"e\":"
                      "\"99999999999999999999\",\"f\":1.5,\"g\":-1,\"h\":null}");
  free(text);
  yyjson_mut_doc_free(out);
}

/* Goal: any bytes become a JSON string that another parser reads back; what is not UTF-8 becomes U+FFFD.
   Method: escapes, controls, each ill-formed shape of the Unicode standard's table 3-7; then random bytes through
   yyjson. */
static void strings(void **state) {
  (void)state;
  static const struct {
    const char *in, *out;
  } cases[] = {
      {"", "\"\""},
      {"a\"b\\c/\n\r\t\b\f", "\"a\\\"b\\\\c/\\n\\r\\t\\b\\f\""},
      {"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
      {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
      {"\x80", "\"\xef\xbf\xbd\""},                                                 /* lone continuation */
      {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                                 /* overlong */
      {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},                 /* surrogate */
      {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* above U+10FFFF */
      {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                                 /* cut */
      {"\xe2(\xa1", "\"\xef\xbf\xbd(\xef\xbf\xbd\""},
  };
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    aq_buf out = AQ_BUF(200);
    aq_json_put_str(&out, aq_bytes_str(cases[i].in));
    assert_string_equal(aq_buf_cstr(&out), cases[i].out);
    aq_buf_free(&out);
  }
  aq_test_rng r;
  aq_test_rng_seed(&r, 42);
  for (int n = 0; n < 2000; n++) {
    uint8_t in[24];
    aq_test_rng_bytes(&r, in, sizeof in);
    for (size_t i = 0; i < sizeof in; i++) in[i] = in[i] & 1 ? in[i] : (uint8_t)(0xc0 | in[i]);
    aq_buf out = AQ_BUF(400);
    aq_json_put_str(&out, aq_bytes_of(in, sizeof in));
    yyjson_doc *doc = yyjson_read((const char *)out.ptr, out.len, 0);
    assert_non_null(doc);
    yyjson_doc_free(doc);
    aq_buf_free(&out);
  }
}

/* Goal: the same calls make a file as the reference lays it out, or one line without blanks; strings are escaped as
   each form wants it, and what the caller puts itself stands in its place.
   Method: one document of every call, in both forms. */
static void both_forms(void **state) {
  (void)state;
  static const char *const want[] = {
      "{\n \"s\": \"\\u003c\\n\",\n \"n\": 7,\n \"q\": \"8\",\n \"b\": true,\n \"z\": null,\n \"h\": \"0x0102\",\n"
      " \"own\": [],\n \"l\": [\n  {\n   \"a\": false\n  },\n  1\n ],\n \"e\": {}\n}",
      "{\"s\":\"<\\n\",\"n\":7,\"q\":\"8\",\"b\":true,\"z\":null,\"h\":\"0x0102\",\"own\":[],\"l\":[{\"a\":false},1],"
      "\"e\":{}}"};
  for (size_t form = 0; form < 2; form++) {
    aq_buf out = AQ_BUF(1000);
    aq_json_out o = form ? aq_json_out_line(&out) : aq_json_out_of(&out, 1);
    aq_json_out_open(&o, NULL, '{');
    aq_json_out_str(&o, "s", "<\n");
    aq_json_out_u64(&o, "n", 7);
    aq_json_out_u64_str(&o, "q", 8);
    aq_json_out_bool(&o, "b", true);
    aq_json_out_null(&o, "z");
    aq_json_out_hex(&o, "h", aq_bytes_of("\1\2", 2));
    aq_json_out_value(&o, "own");
    aq_buf_put_str(&out, "[]");
    aq_json_out_open(&o, "l", '[');
    aq_json_out_open(&o, NULL, '{');
    aq_json_out_bool(&o, "a", false);
    aq_json_out_close(&o, '}');
    aq_json_out_u64(&o, NULL, 1);
    aq_json_out_close(&o, ']');
    aq_json_out_open(&o, "e", '{');
    aq_json_out_close(&o, '}');
    aq_json_out_close(&o, '}');
    assert_string_equal(aq_buf_cstr(&out), want[form]);
    aq_buf_free(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(limits), cmocka_unit_test(members), cmocka_unit_test(strings),
                                     cmocka_unit_test(numbers), cmocka_unit_test(both_forms)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
