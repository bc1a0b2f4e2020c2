/* Queries, headers and paths, one rule a row. */
#include "http/http.h"

#include "aq_test.h"

static void query(const char *text, const char *name, size_t nth, const char *want) {
  char out[16] = "untouched";
  bool found = aq_http_query_nth(text, name, nth, out, sizeof out);
  if (!want) {
    assert_false(found);
    return;
  }
  assert_true(found);
  assert_string_equal(out, want);
}

/* Goal: parameters are found by decoded name and come out decoded, repeated ones in order.
   Method: a table of queries, with escapes, empty names and values, and near misses. */
static void test_query(void **state) {
  (void)state;
  query("", "slot", 0, NULL);
  query("slot=12", "slot", 0, "12");
  query("a=1&slot=12&b=2", "slot", 0, "12");
  query("slots=1&slo=2", "slot", 0, NULL);
  query("slot", "slot", 0, "");
  query("slot=", "slot", 0, "");
  query("&&slot=3&", "slot", 0, "3");
  query("id=1&id=2&x=9&id=3", "id", 2, "3");
  query("id=1&id=2&x=9&id=3", "id", 3, NULL);
  query("g=a%20b+c%2Bd", "g", 0, "a b c+d");
  query("%67=x", "g", 0, "x");
  query("a=b=c", "a", 0, "b=c");
  query("a=b?c", "a", 0, "b?c");
}

/* Goal: bad escapes, an escaped 0 and values that do not fit are refused.
   Method: the exact size of the output and one more; escapes cut at the end of the text. */
static void test_query_bad(void **state) {
  (void)state;
  query("a=%", "a", 0, NULL);
  query("a=%4", "a", 0, NULL);
  query("a=%4&b=1", "a", 0, NULL);
  query("a=%zz", "a", 0, NULL);
  query("a=%00", "a", 0, NULL);
  query("%=1&a=2", "a", 0, "2");
  query("a=123456789012345", "a", 0, "123456789012345");
  query("a=1234567890123456", "a", 0, NULL);
  char none[1];
  assert_false(aq_http_query_get("a=1", "a", none, 0));
  assert_true(aq_http_query_get("a=", "a", none, 1));
}

/* Goal: header names compare without case and the first one wins.
   Method: a list with a repeated name. */
static void test_header(void **state) {
  (void)state;
  const aq_http_header item[] = {{"Accept", "a"}, {"X-Trace-ID", "1"}, {"x-trace-id", "2"}};
  const aq_http_headers h = {item, AQ_COUNT(item)};
  assert_string_equal(aq_http_header_get(&h, "x-TRACE-id"), "1");
  assert_null(aq_http_header_get(&h, "X-Trace"));
}

/* Goal: tokens of a list are whole words, in any case, between commas and blanks.
   Method: a table with near misses and empty places. */
static void test_list(void **state) {
  (void)state;
  static const struct {
    const char *list, *token;
    bool has;
  } rows[] = {
      {"close", "close", true},
      {"Close", "cLOSE", true},
      {"keep-alive, close", "close", true},
      {" ,, close\t,x", "close", true},
      {"closed", "close", false},
      {"not close", "close", false},
      {"keep-alive", "alive", false},
      {"", "close", false},
      {" , ", "", false},
      {"a,b ,c", "b", true},
      {"x-a;q=1", "x-a", false},
      {"close x", "close", false},
  };
  for (size_t i = 0; i < AQ_COUNT(rows); i++) {
    print_message("%s\n", rows[i].list);
    assert_int_equal(aq_http_list_has(rows[i].list, rows[i].token), rows[i].has);
  }
}

/* Goal: headers of one connection, and those that any of the Connection headers names, are told from the rest.
   Method: a request with two Connection headers. */
static void test_hop_by_hop(void **state) {
  (void)state;
  const aq_http_header item[] = {
      {"Accept", "a"}, {"connection", "X-Secret, close"}, {"X-Secret", "1"}, {"Connection", "x-two"}};
  const aq_http_headers h = {item, AQ_COUNT(item)}, none = {NULL, 0};
  static const char *const hop[] = {"Connection",
                                    "keep-alive",
                                    "TE",
                                    "Trailer",
                                    "transfer-encoding",
                                    "Upgrade",
                                    "Proxy-Authorization",
                                    "Proxy-Authenticate",
                                    "Proxy-Connection",
                                    "http2-settings"};
  for (size_t i = 0; i < AQ_COUNT(hop); i++) assert_true(aq_http_hop_by_hop(&none, hop[i]));
  assert_true(aq_http_hop_by_hop(&h, "x-secret"));
  assert_true(aq_http_hop_by_hop(&h, "X-Two"));
  assert_false(aq_http_hop_by_hop(&none, "X-Secret"));
  assert_false(aq_http_hop_by_hop(&h, "Accept"));
  assert_false(aq_http_hop_by_hop(&h, "X-Secret-2"));
  assert_false(aq_http_hop_by_hop(&none, "Authorization"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_query), cmocka_unit_test(test_query_bad),  cmocka_unit_test(test_header),
      cmocka_unit_test(test_list),  cmocka_unit_test(test_hop_by_hop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
