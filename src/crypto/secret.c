#include "crypto/secret.h"

#include <sodium.h>

#include "base/assert.h"

/* ---- guarded memory ---- */

void *aq_guarded_alloc(size_t cnt, size_t size) {
  AQ_ASSERT(sodium_init() >= 0);
  return sodium_allocarray(cnt, size);
}

void aq_guarded_free(void *ptr) { sodium_free(ptr); }

void aq_guarded_readonly(void *ptr) {
  if (ptr) AQ_ASSERT(sodium_mprotect_readonly(ptr) == 0);
}

/* ---- text ---- */

/* 1 when a < b; both below 2^31. */
static uint32_t below(uint32_t a, uint32_t b) { return (a - b) >> 31; }

static char digit_of(uint32_t nibble) { return (char)('0' + nibble + ('a' - '0' - 10) * below(9, nibble)); }

void aq_secret_hex_encode(char *out, const uint8_t *in, size_t len) {
  for (size_t i = 0; i < len; i++) {
    out[2 * i] = digit_of(in[i] >> 4);
    out[2 * i + 1] = digit_of(in[i] & 15);
  }
  out[2 * len] = 0;
}

/* The value of a digit; *bad becomes 1 when it is none. */
static uint32_t nibble_of(uint8_t c, uint32_t *bad) {
  uint32_t number = (uint8_t)(c - '0'), letter = (uint8_t)((c | 0x20) - 'a');
  uint32_t is_number = below(number, 10), is_letter = below(letter, 6);
  *bad |= 1 ^ (is_number | is_letter);
  return (number & (0 - is_number)) | ((letter + 10) & (0 - is_letter));
}

aq_status aq_secret_hex_decode(uint8_t *out, size_t len, aq_bytes text) {
  uint32_t bad = 0;
  memset(out, 0, len);
  if (text.len % 2 != 0 || text.len / 2 != len) return AQ_E_FORMAT;
  for (size_t i = 0; i < len; i++) {
    uint32_t high = nibble_of(text.ptr[2 * i], &bad);
    out[i] = (uint8_t)(high << 4 | nibble_of(text.ptr[2 * i + 1], &bad));
  }
  AQ_DECLASSIFY(&bad, sizeof bad);
  if (bad) sodium_memzero(out, len);
  return bad ? AQ_E_FORMAT : AQ_OK;
}

static bool is_space(uint8_t c) {
  uint32_t space = below((uint8_t)(c - '\t'), 5) | below(c ^ ' ', 1);
  AQ_DECLASSIFY(&space, sizeof space);
  return space != 0;
}

aq_bytes aq_secret_trim(aq_bytes text) {
  while (text.len && is_space(text.ptr[0])) text = aq_bytes_sub(text, 1, text.len - 1);
  while (text.len && is_space(text.ptr[text.len - 1])) text.len--;
  return text;
}

/* ---- the stack ---- */

AQ_NOINLINE void aq_stack_clear(void) {
  uint8_t below_caller[16 << 10];
  sodium_memzero(below_caller, sizeof below_caller);
  AQ_BARRIER(below_caller);
}
