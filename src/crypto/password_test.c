/* Passwords in many scripts, against what other implementations make of them. */
#include "crypto/password.h"

#include "aq_test.h"
#include "crypto/aead.h"

static uint8_t out[AQ_PASSWORD_FORM_MAX], again[AQ_PASSWORD_FORM_MAX];
static size_t len, again_len;

/* Goal: passwords of every script come out as EIP-2335 says.
   Method: texts and their forms by another implementation of NFKD. */
static void test_vectors(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/nfkd.json");
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "case"));
  while ((item = yyjson_arr_iter_next(&it))) {
    aq_buf in = aq_test_hex(aq_test_str(item, "in")), want = aq_test_hex(aq_test_str(item, "out"));
    assert_int_equal(aq_password_eip2335(out, &len, aq_buf_bytes(&in)), AQ_OK);
    assert_bytes(aq_bytes_of(out, len), aq_buf_bytes(&want));
    aq_buf_free(&in), aq_buf_free(&want);
  }
  yyjson_doc_free(doc);
}

static size_t encode(uint8_t text[4], uint32_t code) {
  size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--, code >>= 6) text[i] = (uint8_t)(0x80 | (code & 0x3f));
  text[0] = (uint8_t)(n == 1 ? code : (0xff00u >> n & 0xff) | code);
  return n;
}

static bool grows(const uint8_t *one, size_t n) {
  if (aq_password_eip2335(out, &len, aq_bytes_of(one, n)) != AQ_OK || len < 5 * n) return false;
  assert_true(len <= 11 * n);
  return true;
}

/* The longest password of one code point. */
static void check_many(const uint8_t *one, size_t n) {
  uint8_t many[AQ_PASSWORD_MAX];
  size_t cnt = sizeof many / n;
  for (size_t i = 0; i < cnt; i++) memcpy(many + i * n, one, n);
  assert_int_equal(aq_password_eip2335(again, &again_len, aq_bytes_of(many, cnt * n)), AQ_OK);
  assert_int_equal(again_len, cnt * len);
}

/* Goal: no text outgrows its buffers, and a form stays what it is.
   Method: every code point, some at a time; where such a text grows, the longest password of each of them. */
static void test_every_code_point(void **state) {
  (void)state;
  enum { PACK = 16 };
  for (uint32_t code = 0; code <= 0x10ffff; code += PACK) {
    uint8_t text[PACK * 5], one[4];
    size_t text_len = 0;
    if (code >= 0xd800 && code <= 0xdfff) continue;
    for (uint32_t i = 0; i < PACK; i++) text[text_len++] = ' ', text_len += encode(text + text_len, code + i);
    assert_int_equal(aq_password_eip2335(out, &len, aq_bytes_of(text, text_len)), AQ_OK);
    size_t form_len = len;
    assert_int_equal(aq_password_eip2335(again, &again_len, aq_bytes_of(out, len)), AQ_OK);
    assert_bytes(aq_bytes_of(again, again_len), aq_bytes_of(out, len));
    for (uint32_t i = 0; form_len > text_len && i < PACK; i++) {
      size_t n = encode(one, code + i);
      if (grows(one, n)) check_many(one, n);
    }
  }
}

static void check(const char *in, const char *want) {
  assert_int_equal(aq_password_eip2335(out, &len, aq_bytes_str(in)), AQ_OK);
  assert_bytes(aq_bytes_of(out, len), aq_bytes_str(want));
}

/* Goal: what editors and shells add does no harm; what is not UTF-8 has no such form.
   Method: byte order marks, line ends; broken sequences, surrogates, overlong forms; both forms of each. */
static void test_edges(void **state) {
  (void)state;
  check("\xef\xbb\xbfpassword\r\n", "password");
  check("\xef\xbb\xbf", "");
  check("\xef\xbb\xbf\xef\xbb\xbfp", "\xef\xbb\xbfp");
  check("p\xef\xbb\xbf", "p\xef\xbb\xbf");
  check("p\xc2\x80\xc2\x9f\xc2\xa0", "p ");
  static const char *const broken[] = {
      "\xff", "p\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xef\xbb\xbf\xfe"};
  for (size_t i = 0; i < AQ_COUNT(broken); i++) {
    assert_int_equal(aq_password_eip2335(out, &len, aq_bytes_str(broken[i])), AQ_E_FORMAT);
    aq_password_plain(out, &len, aq_bytes_str(broken[i]));
    assert_bytes(aq_bytes_of(out, len), aq_bytes_str(broken[i]));
  }
  aq_password_plain(out, &len, aq_bytes_of("a\0b\x1f\x7f\xc2\x85\n", 8));
  assert_bytes(aq_bytes_of(out, len), aq_bytes_str("ab\xc2\x85"));
}

int main(void) {
  aq_crypto_init();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_every_code_point),
                                     cmocka_unit_test(test_edges)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
