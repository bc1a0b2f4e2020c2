/* Goal: each mistake has a sentence of its own that begins with the address and fits a line of the log.
   Method: all faults and codes against each other. */
#include "http/http_fault.h"

#include "aq_test.h"

static const char SITE[] = "https://bn.example:5052";

static void test_each_is_another(void **state) {
  (void)state;
  char text[AQ_HTTP_FAULT_CNT][AQ_HTTP_WHY_MAX];
  for (int f = 0; f < AQ_HTTP_FAULT_CNT; f++) {
    aq_http_fault_text(text[f], SITE, (aq_http_fault)f);
    assert_int_equal(strncmp(text[f], "https://bn.example:5052: ", 25), 0);
    assert_true(strlen(text[f]) > 40 && strlen(text[f]) < 200);
    for (int g = 0; g < f; g++) assert_string_not_equal(text[f], text[g]);
  }
}

static void test_codes(void **state) {
  (void)state;
  char text[AQ_HTTP_WHY_MAX];
  static const struct {
    int code;
    const char *body, *want;
  } row[] = {
      {404, "", "https://bn.example:5052: HTTP 404, it has no such route: is the base path right"},
      {401, "", "https://bn.example:5052: HTTP 401, it wants credentials"},
      {403, "", "https://bn.example:5052: HTTP 403, it refuses the credentials"},
      {429, "", "https://bn.example:5052: HTTP 429, it takes no more requests"},
      {301, "", "https://bn.example:5052: HTTP 301, it sends on to another address"},
      {503, "", "https://bn.example:5052: HTTP 503, it cannot answer now"},
      {500, "", "https://bn.example:5052: HTTP 500, it failed"},
      {400, "no", "https://bn.example:5052: HTTP 400, it refused"},
      {400, "<center>The plain HTTP request was sent to HTTPS port</center>",
       "https://bn.example:5052: this port wants TLS"},
      {400, "Client sent an HTTP request to an HTTPS server.\n", "https://bn.example:5052: this port wants TLS"},
      {404, "HTTPS", "https://bn.example:5052: HTTP 404, it has no such route"},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_http_code_text(text, SITE, row[i].code, aq_bytes_str(row[i].body));
    assert_int_equal(strncmp(text, row[i].want, strlen(row[i].want)), 0);
    assert_true(strlen(text) < 200);
  }
  aq_http_code_text(text, "", 500, aq_bytes_of(NULL, 0));
  assert_string_equal(text, "HTTP 500, it failed: its own log says why");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_is_another), cmocka_unit_test(test_codes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
