/* Pairs of addresses, and whether the way from one to the other is gone. */
#include "adapter/http_redirect.h"

#include "aq_test.h"

/* Goal: a redirect is followed on the same origin, and up to https of the same host; user and password stay with it and
   never go elsewhere. Method: locations of each form. */
static void where(void **state) {
  (void)state;
  static const struct {
    const char *from, *location;
    aq_status st;
    const char *to;
  } rows[] = {
      {"http://bn:1/a/b?x=1", "/r/b?x=1", AQ_OK, "http://bn:1/r/b?x=1"},
      {"http://bn:1/a/b", "c", AQ_OK, "http://bn:1/a/c"},
      {"http://bn:1/a/b", "?y=2", AQ_OK, "http://bn:1/a/b?y=2"},
      {"http://bn:1/a", "http://bn:1/b#part", AQ_OK, "http://bn:1/b"},
      {"http://bn/a", "http://BN:80/b", AQ_OK, "http://BN:80/b"},
      {"http://bn/a", "https://bn/a", AQ_OK, "https://bn/a"},
      {"http://bn:8080/a", "https://bn:8443/a", AQ_OK, "https://bn:8443/a"},
      {"http://u:p@bn:1/a", "/b", AQ_OK, "http://u:p@bn:1/b"},
      {"http://u:p@bn/a", "https://bn/b", AQ_OK, "https://u:p@bn/b"},
      {"http://u:p@bn/a", "http://x:y@bn/b", AQ_OK, "http://u:p@bn/b"},
      {"http://bn/a", "http://x:y@bn/b", AQ_OK, "http://bn/b"},
      {"http://[::1]:5052/a", "/b", AQ_OK, "http://[::1]:5052/b"},
      {"https://bn/a", "https://bn:443/b", AQ_OK, "https://bn:443/b"},
      {"http://u:p@bn/a", "http://other/b", AQ_E_REFUSED, ""},
      {"http://u:p@bn/a", "//other/b", AQ_E_REFUSED, ""},
      {"http://u:p@bn/a", "http://bn@other/b", AQ_E_REFUSED, ""},
      {"http://u:p@bn/a", "http://bn.other/b", AQ_E_REFUSED, ""},
      {"http://u:p@bn:1/a", "http://bn:2/b", AQ_E_REFUSED, ""},
      {"https://u:p@bn/a", "http://bn/a", AQ_E_REFUSED, ""},
      {"https://bn/a", "https://bn:444/a", AQ_E_REFUSED, ""},
      {"http://bn/a", "ftp://bn/a", AQ_E_FORMAT, ""},
      {"http://bn/a", "file:///etc/passwd", AQ_E_FORMAT, ""},
      {"http://bn/a", "", AQ_E_FORMAT, ""},
      {"http://bn/a", "/a b", AQ_E_FORMAT, ""},
      {"http://bn/a", "/\\other", AQ_E_FORMAT, ""},
      {"http://bn/a", "http://", AQ_E_FORMAT, ""},
      {"http://bn/a", "http://bn:99999/", AQ_E_FORMAT, ""},
  };
  for (size_t i = 0; i < AQ_COUNT(rows); i++) {
    aq_buf out = AQ_BUF(1 << 16);
    aq_status st = aq_http_redirect(&out, rows[i].from, rows[i].location);
    if (st != rows[i].st || strcmp(aq_buf_cstr(&out), rows[i].to) != 0)
      fail_msg("%s %s: %d %s", rows[i].from, rows[i].location, st, aq_buf_cstr(&out));
    aq_buf_free(&out);
  }
  char longest[AQ_HTTP_LOCATION_MAX + 2];
  memset(longest, 'a', sizeof longest);
  for (size_t len = AQ_HTTP_LOCATION_MAX; len <= AQ_HTTP_LOCATION_MAX + 1; len++) {
    aq_buf out = AQ_BUF(1 << 16);
    longest[len] = 0;
    assert_int_equal(aq_http_redirect(&out, "http://bn/", longest), len > AQ_HTTP_LOCATION_MAX ? AQ_E_FORMAT : AQ_OK);
    longest[len] = 'a';
    aq_buf_free(&out);
  }
}

/* Goal: a submission is never made a read of, and only redirects are followed. Method: all codes. */
static void which(void **state) {
  (void)state;
  for (int code = 200; code < 600; code++) {
    bool same = code == 301 || code == 302 || code == 307 || code == 308;
    assert_int_equal(aq_http_redirects(code, "POST"), same);
    assert_int_equal(aq_http_redirects(code, "GET"), same || code == 303);
    assert_int_equal(aq_http_redirects(code, "HEAD"), same || code == 303);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(where), cmocka_unit_test(which)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
