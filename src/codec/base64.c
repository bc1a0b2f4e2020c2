/* Bits are gathered and given out six or five at a time; spare bits must be zero. */
#include "codec/base64.h"

enum { NO_DIGIT = 0xff };

static const char std_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

void aq_base64_encode(aq_buf *out, aq_bytes in, aq_base64_form form) {
  const char *digits = form == AQ_BASE64_URL ? url_digits : std_digits;
  for (size_t i = 0; i < in.len; i += 3) {
    size_t left = in.len - i;
    uint32_t v = (uint32_t)in.ptr[i] << 16;
    if (left > 1) v |= (uint32_t)in.ptr[i + 1] << 8;
    if (left > 2) v |= in.ptr[i + 2];
    aq_buf_put_u8(out, (uint8_t)digits[v >> 18]);
    aq_buf_put_u8(out, (uint8_t)digits[v >> 12 & 63]);
    if (left > 1) aq_buf_put_u8(out, (uint8_t)digits[v >> 6 & 63]);
    if (left > 2) aq_buf_put_u8(out, (uint8_t)digits[v & 63]);
    for (size_t pad = left; pad < 3 && form == AQ_BASE64_STD; pad++) aq_buf_put_u8(out, '=');
  }
}

/* Digits of `bits` bits each into bytes; a whole unused digit at the end is as wrong as a set unused bit. */
static aq_status decode(aq_buf *out, aq_bytes text, const char *digits, unsigned bits) {
  uint8_t value[256];
  memset(value, NO_DIGIT, sizeof value);
  for (int i = 0; digits[i]; i++) value[(uint8_t)digits[i]] = (uint8_t)i;
  size_t total;
  if (!aq_mul_ok(&total, text.len, bits)) return AQ_E_LIMIT;
  if (total % 8 >= bits) return AQ_E_FORMAT;
  for (size_t i = 0; i < text.len; i++) {
    if (value[text.ptr[i]] == NO_DIGIT) return AQ_E_FORMAT;
  }
  if (text.len && (value[text.ptr[text.len - 1]] & ((1u << total % 8) - 1u))) return AQ_E_FORMAT;
  uint8_t *to = aq_buf_extend(out, total / 8);
  if (!to) return AQ_E_LIMIT;
  uint32_t acc = 0;
  unsigned have = 0;
  for (size_t i = 0; i < text.len; i++) {
    acc = (acc << bits | value[text.ptr[i]]) & 0xffff;
    have += bits;
    if (have < 8) continue;
    have -= 8;
    *to++ = (uint8_t)(acc >> have);
  }
  return AQ_OK;
}

aq_status aq_base64_decode(aq_buf *out, aq_bytes text, aq_base64_form form) {
  if (form == AQ_BASE64_URL) return decode(out, text, url_digits, 6);
  if (text.len % 4 != 0) return AQ_E_FORMAT;
  size_t pad = 0;
  while (pad < 2 && pad < text.len && text.ptr[text.len - 1 - pad] == '=') pad++;
  return decode(out, aq_bytes_sub(text, 0, text.len - pad), std_digits, 6);
}

aq_status aq_base32_decode(aq_buf *out, aq_bytes text) { return decode(out, text, base32_digits, 5); }
