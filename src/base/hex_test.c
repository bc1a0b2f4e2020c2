/* All byte values in all forms, and numbers at the ends of their range. */
#include "base/hex.h"

#include "aq_test.h"

/* Goal: all byte values survive, in both cases and prefix forms; nothing else is taken.
   Method: round trip of all bytes; each form with and without 0x; wrong lengths; every non-digit character. */
static void test_hex(void **state) {
  (void)state;
  uint8_t all[256], out[256];
  char text[513], bad[5] = "0xab";
  for (size_t i = 0; i < 256; i++) all[i] = (uint8_t)i;
  aq_hex_encode(text, aq_bytes_of(all, 256));
  assert_int_equal(aq_hex_decode(out, 256, aq_bytes_str(text), AQ_HEX_BARE), AQ_OK);
  assert_memory_equal(out, all, 256);
  for (size_t i = 0; i < 512; i++) text[i] = (char)(text[i] >= 'a' ? text[i] - 32 : text[i]);
  assert_int_equal(aq_hex_decode(out, 256, aq_bytes_str(text), AQ_HEX_EITHER), AQ_OK);
  assert_memory_equal(out, all, 256);
  assert_int_equal(aq_hex_decode(out, 1, aq_bytes_str("0xab"), AQ_HEX_PREFIX), AQ_OK);
  assert_int_equal(aq_hex_decode(out, 1, aq_bytes_str("0xab"), AQ_HEX_EITHER), AQ_OK);
  assert_int_equal(aq_hex_decode(out, 1, aq_bytes_str("0xab"), AQ_HEX_BARE), AQ_E_FORMAT);
  assert_int_equal(aq_hex_decode(out, 1, aq_bytes_str("ab"), AQ_HEX_PREFIX), AQ_E_FORMAT);
  assert_int_equal(aq_hex_decode(out, 2, aq_bytes_str("0xab"), AQ_HEX_EITHER), AQ_E_FORMAT);
  assert_int_equal(aq_hex_decode(out, 1, aq_bytes_str("abc"), AQ_HEX_EITHER), AQ_E_FORMAT);
  assert_int_equal(aq_hex_decode(out, 0, aq_bytes_str(""), AQ_HEX_BARE), AQ_OK);
  out[0] = 0x77;
  for (int c = 0; c < 256; c++) {
    bad[3] = (char)c;
    bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    aq_status st = aq_hex_decode(out, 1, aq_bytes_of(bad, 4), AQ_HEX_PREFIX);
    assert_int_equal(st, digit ? AQ_OK : AQ_E_FORMAT);
    if (!digit) assert_int_equal(out[0], 0x77);
    out[0] = 0x77;
  }
}

/* Goal: decoding into a buffer appends all or nothing.
   Method: good and bad text after earlier content; a buffer that is too small. */
static void test_buffer(void **state) {
  (void)state;
  aq_buf b = AQ_BUF(4);
  aq_buf_put_str(&b, "x");
  assert_int_equal(aq_hex_decode_buf(&b, aq_bytes_str("6162"), AQ_HEX_BARE), AQ_OK);
  assert_string_equal(aq_buf_cstr(&b), "xab");
  assert_int_equal(aq_hex_decode_buf(&b, aq_bytes_str("6"), AQ_HEX_BARE), AQ_E_FORMAT);
  assert_int_equal(aq_hex_decode_buf(&b, aq_bytes_str("6g"), AQ_HEX_BARE), AQ_E_FORMAT);
  assert_int_equal(b.len, 3);
  assert_int_not_equal(aq_hex_decode_buf(&b, aq_bytes_str("616263"), AQ_HEX_BARE), AQ_OK);
  aq_buf_free(&b);
}

/* Goal: decimal numbers over the whole range, nothing with signs, blanks or an overflow.
   Method: table. */
static void test_decimal(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool ok;
    uint64_t want;
  } row[] = {{"0", true, 0},
             {"007", true, 7},
             {"18446744073709551615", true, UINT64_MAX},
             {"18446744073709551616", false, 0},
             {"99999999999999999999", false, 0},
             {"184467440737095516150", false, 0},
             {"", false, 0},
             {"-1", false, 0},
             {"+1", false, 0},
             {" 1", false, 0},
             {"1 ", false, 0},
             {"1x", false, 0},
             {"0x1", false, 0}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    uint64_t got = 0;
    assert_int_equal(aq_u64_parse(&got, aq_bytes_str(row[i].text)), row[i].ok ? AQ_OK : AQ_E_FORMAT);
    assert_true(got == row[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_hex), cmocka_unit_test(test_buffer),
                                     cmocka_unit_test(test_decimal)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
