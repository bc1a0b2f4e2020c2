/* The constant-time forms against the plain ones, and guarded memory in use. */
#include "aq_test.h"

#include "base/hex.h"
#include "crypto/aead.h"
#include "crypto/secret.h"

/* Goal: the constant-time hex says what the plain one says, for every pair of characters.
   Method: all 65536 two-character texts through both decoders; every byte through both encoders. */
static void test_hex_every_pair(void **state) {
  (void)state;
  for (unsigned v = 0; v < 0x10000; v++) {
    const uint8_t text[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    uint8_t got = 0xee, want = 0;
    aq_status st = aq_hex_decode(&want, 1, aq_bytes_of(text, 2), AQ_HEX_BARE);
    assert_int_equal(aq_secret_hex_decode(&got, 1, aq_bytes_of(text, 2)), st);
    assert_int_equal(got, st == AQ_OK ? want : 0);
  }
  for (unsigned v = 0; v < 256; v++) {
    const uint8_t b = (uint8_t)v;
    char got[3], want[3];
    aq_secret_hex_encode(got, &b, 1);
    aq_hex_encode(want, aq_bytes_of(&b, 1));
    assert_string_equal(got, want);
  }
}

/* Goal: wrong lengths and a bad digit in any place are refused and leave zeros.
   Method: 64 digits cut, extended, and spoiled at each place. */
static void test_hex_refusals(void **state) {
  (void)state;
  char text[68];
  uint8_t out[32];
  for (size_t len = 0; len < 67; len++) {
    memset(text, 'c', sizeof text);
    assert_int_equal(aq_secret_hex_decode(out, 32, aq_bytes_of(text, len)), len == 64 ? AQ_OK : AQ_E_FORMAT);
    assert_int_equal(aq_bytes_is_zero(aq_bytes_of(out, 32)), len != 64);
  }
  for (size_t i = 0; i < 64; i++) {
    memset(text, 'F', sizeof text);
    text[i] = 'g';
    assert_int_equal(aq_secret_hex_decode(out, 32, aq_bytes_of(text, 64)), AQ_E_FORMAT);
    assert_true(aq_bytes_is_zero(aq_bytes_of(out, 32)));
  }
}

/* Goal: blanks around a text go, blanks inside stay.
   Method: a table. */
static void test_trim(void **state) {
  (void)state;
  const char *const c[][2] = {
      {"", ""}, {" \t\r\n\v\f", ""}, {"a", "a"}, {"\n a b\r\n", "a b"}, {"\x08z\x0e", "\x08z\x0e"}};
  for (size_t i = 0; i < AQ_COUNT(c); i++) assert_bytes(aq_secret_trim(aq_bytes_str(c[i][0])), aq_bytes_str(c[i][1]));
}

/* Goal: guarded memory is usable, may be read only, and takes NULL.
   Method: write, protect, read, free; sizes that overflow are refused. */
static void test_guarded(void **state) {
  (void)state;
  uint8_t *p = aq_guarded_alloc(3, 32);
  assert_non_null(p);
  memset(p, 7, 96);
  aq_guarded_readonly(p);
  assert_int_equal(p[95], 7);
  aq_guarded_free(p);
  aq_guarded_free(NULL);
  aq_guarded_readonly(NULL);
  assert_null(aq_guarded_alloc(SIZE_MAX / 2, 4));
}

int main(void) {
  aq_crypto_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hex_every_pair),
      cmocka_unit_test(test_hex_refusals),
      cmocka_unit_test(test_trim),
      cmocka_unit_test(test_guarded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
