/* Long division, digit by digit: peer ids are short. */
#include "codec/base58.h"

#include "base/assert.h"

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

static int digit_of(uint8_t c) {
  const char *at = c ? strchr(alphabet, c) : NULL;
  return at ? (int)(at - alphabet) : -1;
}

/* Leading zero bytes become leading '1' digits, one for one; the rest is one big number in base 58. */
void aq_base58_encode(char out[AQ_BASE58_TEXT_MAX], aq_bytes in) {
  AQ_ASSERT(in.len <= AQ_BASE58_BYTES_MAX);
  uint8_t digit[AQ_BASE58_TEXT_MAX];
  size_t cnt = 0, zeros = 0;
  while (zeros < in.len && in.ptr[zeros] == 0) zeros++;
  for (size_t i = zeros; i < in.len; i++) {
    uint32_t carry = in.ptr[i];
    for (size_t k = 0; k < cnt; k++) {
      carry += (uint32_t)digit[k] << 8;
      digit[k] = (uint8_t)(carry % 58);
      carry /= 58;
    }
    for (; carry; carry /= 58) digit[cnt++] = (uint8_t)(carry % 58);
  }
  size_t len = 0;
  while (len < zeros) out[len++] = alphabet[0];
  while (cnt) out[len++] = alphabet[digit[--cnt]];
  out[len] = 0;
}

aq_status aq_base58_decode(uint8_t *out, size_t *out_len, size_t max, aq_bytes text) {
  AQ_ASSERT(max <= AQ_BASE58_BYTES_MAX);
  if (text.len == 0) return AQ_E_FORMAT;
  if (text.len >= AQ_BASE58_TEXT_MAX) return AQ_E_LIMIT;
  uint8_t byte[AQ_BASE58_TEXT_MAX]; /* little endian; one byte a digit is always enough */
  size_t cnt = 0, zeros = 0;
  while (zeros < text.len && text.ptr[zeros] == (uint8_t)alphabet[0]) zeros++;
  for (size_t i = zeros; i < text.len; i++) {
    int digit = digit_of(text.ptr[i]);
    if (digit < 0) return AQ_E_FORMAT;
    uint32_t carry = (uint32_t)digit;
    for (size_t k = 0; k < cnt; k++) {
      carry += (uint32_t)byte[k] * 58;
      byte[k] = (uint8_t)carry;
      carry >>= 8;
    }
    if (carry) byte[cnt++] = (uint8_t)carry;
  }
  if (zeros + cnt > max) return AQ_E_LIMIT;
  memset(out, 0, zeros);
  for (size_t i = 0; i < cnt; i++) out[zeros + i] = byte[cnt - 1 - i];
  *out_len = zeros + cnt;
  return AQ_OK;
}
