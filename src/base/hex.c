/* Digits by a table, prefixes by mode; and decimal numbers, which have no other home. */
#include "base/hex.h"

void aq_hex_encode(char *out, aq_bytes in) {
  static const char digit[] = "0123456789abcdef";
  for (size_t i = 0; i < in.len; i++) {
    out[2 * i] = digit[in.ptr[i] >> 4];
    out[2 * i + 1] = digit[in.ptr[i] & 15];
  }
  out[2 * in.len] = 0;
}

static int nibble(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Strips the prefix as form asks; false when it is missing or unwanted. */
static bool strip(aq_bytes *text, aq_hex_form form) {
  bool has = text->len >= 2 && text->ptr[0] == '0' && (text->ptr[1] == 'x' || text->ptr[1] == 'X');
  if (form == AQ_HEX_PREFIX && !has) return false;
  if (form == AQ_HEX_BARE && has) return false;
  if (has) *text = aq_bytes_sub(*text, 2, text->len - 2);
  return true;
}

static bool all_digits(aq_bytes text) {
  for (size_t i = 0; i < text.len; i++) {
    if (nibble(text.ptr[i]) < 0) return false;
  }
  return true;
}

static void decode(uint8_t *out, aq_bytes text) {
  for (size_t i = 0; i < text.len / 2; i++) {
    out[i] = (uint8_t)((unsigned)nibble(text.ptr[2 * i]) << 4 | (unsigned)nibble(text.ptr[2 * i + 1]));
  }
}

aq_status aq_hex_decode(uint8_t *out, size_t len, aq_bytes text, aq_hex_form form) {
  if (!strip(&text, form) || text.len % 2 != 0 || text.len / 2 != len || !all_digits(text)) return AQ_E_FORMAT;
  decode(out, text);
  return AQ_OK;
}

aq_status aq_hex_decode_buf(aq_buf *out, aq_bytes text, aq_hex_form form) {
  if (!strip(&text, form) || text.len % 2 != 0 || !all_digits(text)) return AQ_E_FORMAT;
  uint8_t *to = aq_buf_extend(out, text.len / 2);
  if (!to) return AQ_E_LIMIT;
  decode(to, text);
  return AQ_OK;
}

aq_status aq_u64_parse(uint64_t *out, aq_bytes text) {
  if (text.len == 0 || text.len > 20) return AQ_E_FORMAT;
  uint64_t v = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return AQ_E_FORMAT;
    if (__builtin_mul_overflow(v, 10u, &v)) return AQ_E_FORMAT;
    if (__builtin_add_overflow(v, (uint64_t)(text.ptr[i] - '0'), &v)) return AQ_E_FORMAT;
  }
  *out = v;
  return AQ_OK;
}
