/* Goal: what operators write is taken in one normal form or refused with the mend; no secret of it is ever shown.
   Method: tables of texts, and every byte at every place of one. */
#include "base/url.h"

#include <ctype.h>

#include "aq_test.h"

static aq_err err;

static const char *parsed(const char *text) {
  static char url[AQ_URL_MAX + 1];
  err = (aq_err){AQ_OK, ""};
  return aq_url_parse(url, text, &err) == AQ_OK ? url : err.text;
}

static const char *site(const char *url) {
  static char out[AQ_URL_SITE_MAX + 1];
  aq_url_site(out, url);
  return out;
}

static const char *request(const char *url, const char *path) {
  static char text[512];
  aq_buf b = AQ_BUF(sizeof text - 1);
  aq_url_request(&b, url, path);
  snprintf(text, sizeof text, "%s", aq_buf_cstr(&b));
  aq_buf_free(&b);
  return text;
}

static void test_taken(void **state) {
  (void)state;
  static const struct {
    const char *text, *url, *site;
  } row[] = {
      {"http://127.0.0.1:5052", "http://127.0.0.1:5052", "http://127.0.0.1:5052"},
      {"http://127.0.0.1:5052/", "http://127.0.0.1:5052", "http://127.0.0.1:5052"},
      {" \thttp://bn:5052// \r\n", "http://bn:5052", "http://bn:5052"},
      {"HTTPS://Beacon.Example", "https://beacon.example", "https://beacon.example"},
      {"https://bn.example:/v2/KEY/", "https://bn.example/v2/KEY", "https://bn.example"},
      {"https://bn.example:0443/Ab/?key=C/d?", "https://bn.example:443/Ab?key=C/d?", "https://bn.example:443"},
      {"http://bn?key=ABC&x=@", "http://bn?key=ABC&x=@", "http://bn"},
      {"http://bn/?", "http://bn", "http://bn"},
      {"http://Us:p%40ss%2Fw@BN:1", "http://Us:p%40ss%2Fw@bn:1", "http://bn:1"},
      {"http://us@bn", "http://us@bn", "http://bn"},
      {"http://[::1]:5052/", "http://[::1]:5052", "http://[::1]:5052"},
      {"http://us:p@[2001:DB8::1]", "http://us:p@[2001:db8::1]", "http://[2001:db8::1]"},
      {"http://[2001:0db8:0:0::0001]", "http://[2001:db8::1]", "http://[2001:db8::1]"},
      {"http://[FE80::1%25Eth0]:80", "http://[fe80::1%25Eth0]:80", "http://[fe80::1%25Eth0]:80"},
      {"http://lighthouse_1:65535/eth/", "http://lighthouse_1:65535/eth", "http://lighthouse_1:65535"},
      {"http://bn./eth/v1x", "http://bn./eth/v1x", "http://bn."},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    char url[AQ_URL_MAX + 1];
    snprintf(url, sizeof url, "%s", parsed(row[i].text));
    assert_string_equal(url, row[i].url);
    assert_string_equal(site(url), row[i].site);
    assert_string_equal(parsed(url), url); /* it is the normal form */
  }
}

static void test_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *why;
  } row[] = {
      {"", "it is no http or https URL: write http://HOST:PORT or https://HOST"},
      {"127.0.0.1:5052", "it is no http or https URL: did you mean http://127.0.0.1:5052?"},
      {"us:SECRET@bn:5052/SECRET", "it is no http or https URL: did you mean http://bn:5052?"},
      {"ftp://us:SECRET@bn", "it is no http or https URL: write http://HOST:PORT or https://HOST"},
      {"http:/bn/SECRET", "it is no http or https URL: write http://HOST:PORT or https://HOST"},
      {"http://", "it names no host"},
      {"http:///SECRET", "it names no host"},
      {"http://:5052", "it names no host"},
      {"http://us:SECRET@", "it names no host"},
      {"http://bn:0",
       "its port is no number from 1 to 65535 (in a user or password / is written %2F, ? %3F and # %23)"},
      {"http://us:SECRET/w@bn:1",
       "its port is no number from 1 to 65535 (in a user or password / is written %2F, ? %3F and # %23)"},
      {"http://us:SECRET@bn:65536", "its port is no number from 1 to 65535"},
      {"http://us:SECRET@bn:80a", "its port is no number from 1 to 65535"},
      {"http://us:SEC@RET@bn", "in a user or password @ is written %40"},
      {"http://us:SECRET#@bn", "a part after # means nothing here (in a password # is written %23)"},
      {"http://us:SEC\x7fRET@bn", "its user or password has a character that stands there as %7F only"},
      {"http://us:SECRET%@bn", "its user or password has a % without two hexadecimal digits: a % is written %25"},
      {"http://us:SECRET%0a@bn", "its user or password has a control character"},
      {"http://us:SECRET%7F@bn", "its user or password has a control character"},
      {"http://::1:5052", "an IPv6 address stands in brackets: http://[::1]:5052"},
      {"http://[::1", "what stands in brackets is no IPv6 address"},
      {"http://[::g]", "what stands in brackets is no IPv6 address"},
      {"http://[::1]x:80", "what stands in brackets is no IPv6 address"},
      {"http://[fe80::1%eth0]", "what stands in brackets is no IPv6 address"},
      {"http://[fe80::1%25e123456789012345]", "what stands in brackets is no IPv6 address"},
      {"http://[fe80::1%25]", "what stands in brackets is no IPv6 address"},
      {"http://[fe80::1%25e*]", "what stands in brackets is no IPv6 address"},
      {"http://[fe80::1%eth00]", "what stands in brackets is no IPv6 address"},
      {"http://300.1.1.1", "its host is neither a name nor an address (names beyond ASCII: in their xn-- form)"},
      {"http://127.1", "its host is neither a name nor an address (names beyond ASCII: in their xn-- form)"},
      {"http://b\xc3\xbcro", "its host is neither a name nor an address (names beyond ASCII: in their xn-- form)"},
      {"http://a..b", "its host is neither a name nor an address (names beyond ASCII: in their xn-- form)"},
      {"http://-a", "its host is neither a name nor an address (names beyond ASCII: in their xn-- form)"},
      {"http://.a", "its host is neither a name nor an address (names beyond ASCII: in their xn-- form)"},
      {"http://a%41", "its host is neither a name nor an address (names beyond ASCII: in their xn-- form)"},
      {"http://bn:5052, http://b", "it has a blank inside: addresses are separated by commas"},
      {"http://bn/SECRET\tx", "its path has a character that stands there as %09 only"},
      {"http://bn/SECRET\"", "its path has a character that stands there as %22 only"},
      {"http://bn/?k=SECRET\xc3", "its query has a character that stands there as %C3 only"},
      {"http://bn/eth/v1", "its path ends in /eth/v1: name only what comes before that"},
      {"http://bn/SECRET/eth/v2/", "its path ends in /eth/v2: name only what comes before that"},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    assert_string_equal(parsed(row[i].text), row[i].why);
    assert_true(err.status == AQ_E_FORMAT);
    assert_null(strstr(err.text, "SEC"));
  }
}

static void test_limits(void **state) {
  (void)state;
  char text[AQ_URL_MAX + 16];
  snprintf(text, sizeof text, "http://bn/%0*d", AQ_URL_MAX - 10, 7);
  assert_int_equal(strlen(text), AQ_URL_MAX);
  assert_string_equal(parsed(text), text);
  snprintf(text, sizeof text, "http://bn/%0*d", AQ_URL_MAX - 9, 7);
  assert_string_equal(parsed(text), "it is over 2047 characters");
  assert_int_equal(err.status, AQ_E_LIMIT);
  snprintf(text, sizeof text, "https://a%0*d:65535", AQ_URL_HOST_MAX - 1, 7);
  assert_string_equal(parsed(text), text);
  assert_string_equal(site(text), text);
  snprintf(text, sizeof text, "https://a%0*d:65535", AQ_URL_HOST_MAX, 7);
  assert_non_null(strstr(parsed(text), "host"));
  snprintf(text, sizeof text, "https://a%0*d:65535", AQ_URL_SITE_MAX, 7);
  assert_string_equal(site(text), ""); /* never half of one */
}

/* Whatever byte stands wherever: what is taken stays the same when it is read again, and is visible ASCII. */
static void test_each_byte(void **state) {
  (void)state;
  static const char *const form[] = {"https://us:pa@bn.x:123/a/b?c=d", "http://[fe80::1%25e0]:80/",
                                     "http://1.2.3.4/v1"};
  for (size_t f = 0; f < AQ_COUNT(form); f++) {
    for (size_t at = 0; at < strlen(form[f]); at++) {
      for (int c = 1; c < 256; c++) {
        char text[64], url[AQ_URL_MAX + 1], again[AQ_URL_MAX + 1];
        snprintf(text, sizeof text, "%s", form[f]);
        text[at] = (char)c;
        err = (aq_err){AQ_OK, ""};
        if (aq_url_parse(url, text, &err) != AQ_OK) {
          assert_true(err.text[0]);
          continue;
        }
        assert_int_equal(aq_url_parse(again, url, NULL), AQ_OK);
        assert_string_equal(url, again);
        for (const char *p = url; *p; p++) assert_true(*p > ' ' && *p < 0x7f);
        assert_true(site(url)[0]);
        assert_null(strchr(site(url), '@'));
      }
    }
  }
}

static void test_requests(void **state) {
  (void)state;
  assert_string_equal(request("http://bn", "/eth/v1/x"), "http://bn/eth/v1/x");
  assert_string_equal(request("http://bn/v2/KEY", "/eth/v1/x?a=b"), "http://bn/v2/KEY/eth/v1/x?a=b");
  assert_string_equal(request("http://bn?key=ABC", "/eth/v1/x"), "http://bn/eth/v1/x?key=ABC");
  assert_string_equal(request("http://bn/v2?key=ABC", "/eth/v1/x?a=b?c"), "http://bn/v2/eth/v1/x?key=ABC&a=b?c");
  assert_string_equal(request("http://bn", "/x?"), "http://bn/x");
  assert_string_equal(site(request("https://u:p@bn:1/v2?key=ABC", "/eth/x?id=a@b")), "https://bn:1");
  assert_string_equal(site("bn:5052"), "");
  assert_true(aq_url_has_user("http://us:p@bn/x"));
  assert_true(aq_url_has_user("http://us@bn"));
  assert_false(aq_url_has_user("http://bn/a@b"));
  assert_false(aq_url_has_user("http://bn?a@b"));
  assert_false(aq_url_has_user("us@bn"));
  assert_true(aq_url_is_tls("HTTPS://bn") && !aq_url_is_tls("http://https://") && !aq_url_is_tls(""));
}

static void test_names(void **state) {
  (void)state;
  static const char *const good[] = {"a", "bn.example.", "a_b", "1.2.3.4", "4you", "xn--bro-hoa"};
  static const char *const bad[] = {"",    ".",   "1.2.3", "1.2.3.4.", "256.1.1.1", "a b",
                                    "a/b", "a:1", "::1",   "-a",       "a..b",      "\xc3\xbc"};
  for (size_t i = 0; i < AQ_COUNT(good); i++) assert_true(aq_host_name_ok(aq_bytes_str(good[i])));
  for (size_t i = 0; i < AQ_COUNT(bad); i++) assert_false(aq_host_name_ok(aq_bytes_str(bad[i])));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_taken),     cmocka_unit_test(test_refused),  cmocka_unit_test(test_limits),
      cmocka_unit_test(test_each_byte), cmocka_unit_test(test_requests), cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
