/* No branch and no table index depends on a secret here; what calls leave on the stack and in registers is
   overwritten. */
#include "crypto/secret.h"

#include <sodium.h>

#include "base/assert.h"

/* ---- guarded memory ---- */

void *aq_guarded_alloc(size_t cnt, size_t size) {
  AQ_MUST(sodium_init() >= 0);
  return sodium_allocarray(cnt, size);
}

void aq_guarded_free(void *ptr) { sodium_free(ptr); }

void aq_guarded_readonly(void *ptr) {
  if (ptr) AQ_MUST(sodium_mprotect_readonly(ptr) == 0);
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
  aq_stack_clear();
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
  aq_stack_clear();
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

/* ---- the stack and the registers ---- */

/* A copy of 32 bytes passes through these, and no call has to clear them. The upper sixteen of AVX-512 are those that
   the C library's copies use where there are any. */
#if defined(__x86_64__)
#define Z(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n"
#define X(n) "pxor %%xmm" #n ", %%xmm" #n "\n"
static void vectors_clear(void) {
  if (__builtin_cpu_supports("avx512f"))
    __asm__ volatile(Z(16) Z(17) Z(18) Z(19) Z(20) Z(21) Z(22) Z(23) Z(24) Z(25) Z(26) Z(27) Z(28) Z(29) Z(30) Z(31)::);
  if (__builtin_cpu_supports("avx"))
    __asm__ volatile("vzeroall" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  else
    __asm__ volatile(X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}
#undef X
#undef Z
#elif defined(__aarch64__)
#define V(n) "movi v" #n ".16b, #0\n"
static void vectors_clear(void) {
  __asm__ volatile(V(0) V(1) V(2) V(3) V(4) V(5) V(6) V(7) V(16) V(17) V(18) V(19) V(20) V(21) V(22) V(23) V(24) V(25)
                       V(26) V(27) V(28) V(29) V(30) V(31)::
                           : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21",
                             "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}
#undef V
#else
static void vectors_clear(void) {}
#endif

AQ_NOINLINE void aq_stack_clear(void) {
  uint8_t below_caller[16 << 10];
  sodium_memzero(below_caller, sizeof below_caller);
  AQ_BARRIER(below_caller);
  vectors_clear();
}
