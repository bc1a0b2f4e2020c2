/* blst's SHA-256 for everything, zero subtrees made once, and Keccak with the padding that Ethereum took before the
   standard had its own. */
#include "crypto/hash.h"

#include <pthread.h>

#include <blst.h>
#include <sodium.h>

#include "base/assert.h"

enum { CHUNK = 32, DEPTH_MAX = 64 };

void aq_sha256(uint8_t out[32], aq_bytes in) { blst_sha256(out, in.ptr, in.len); }

void aq_sha256_pair(uint8_t out[32], const uint8_t left[32], const uint8_t right[32]) {
  uint8_t both[2 * CHUNK];
  memcpy(both, left, CHUNK);
  memcpy(both + CHUNK, right, CHUNK);
  blst_sha256(out, both, sizeof both);
}

void aq_hmac_sha256(uint8_t out[32], aq_bytes key, aq_bytes in) {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.ptr, key.len);
  crypto_auth_hmacsha256_update(&state, in.ptr, in.len);
  crypto_auth_hmacsha256_final(&state, out);
  sodium_memzero(&state, sizeof state);
}

/* ---- Merkle trees ---- */

static uint8_t zero_hash[DEPTH_MAX + 1][CHUNK];
static pthread_once_t zero_once = PTHREAD_ONCE_INIT;

static void zero_make(void) {
  for (unsigned i = 0; i < DEPTH_MAX; i++) aq_sha256_pair(zero_hash[i + 1], zero_hash[i], zero_hash[i]);
}

const uint8_t *aq_zero_hash(unsigned depth) {
  AQ_ASSERT(depth <= DEPTH_MAX);
  pthread_once(&zero_once, zero_make);
  return zero_hash[depth];
}

/* Hashes of complete subtrees, one a level, as the bits of the number of leaves say. */
typedef struct {
  uint8_t node[DEPTH_MAX][CHUNK];
  uint64_t leaves;
} stack;

static void stack_push(stack *s, uint8_t node[CHUNK], unsigned level) {
  for (; s->leaves >> level & 1; level++) aq_sha256_pair(node, s->node[level], node);
  memcpy(s->node[level], node, CHUNK);
}

/* Pads with zero subtrees up to 2^depth leaves. */
static void stack_root(uint8_t out[CHUNK], const stack *s, unsigned depth) {
  if (s->leaves == 0) {
    memcpy(out, aq_zero_hash(depth), CHUNK);
    return;
  }
  unsigned level = (unsigned)__builtin_ctzll(s->leaves);
  uint8_t node[CHUNK];
  memcpy(node, s->node[level], CHUNK);
  if (level < depth) aq_sha256_pair(node, node, aq_zero_hash(level)), level++;
  for (; level < depth; level++) {
    if (s->leaves >> level & 1) {
      aq_sha256_pair(node, s->node[level], node);
    } else {
      aq_sha256_pair(node, node, aq_zero_hash(level));
    }
  }
  memcpy(out, node, CHUNK);
}

void aq_merkle_bytes(uint8_t out[32], aq_bytes in, int depth) {
  uint64_t chunks = in.len / CHUNK + (in.len % CHUNK != 0);
  unsigned least = chunks <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(chunks - 1);
  unsigned levels = depth < 0 ? least : (unsigned)depth;
  AQ_ASSERT(levels >= least && levels <= DEPTH_MAX);
  stack s;
  s.leaves = 0;
  uint8_t node[CHUNK];
  for (; in.len >= 2 * CHUNK; in.ptr += 2 * CHUNK, in.len -= 2 * CHUNK) {
    blst_sha256(node, in.ptr, 2 * CHUNK);
    stack_push(&s, node, 1);
    s.leaves += 2;
  }
  for (size_t len; in.len > 0; in.ptr += len, in.len -= len) {
    len = in.len < CHUNK ? in.len : CHUNK;
    memset(node, 0, CHUNK);
    memcpy(node, in.ptr, len);
    stack_push(&s, node, 0);
    s.leaves++;
  }
  stack_root(out, &s, levels);
}

/* ---- Keccak-256: FIPS 202 permutation, rate 136, padding 0x01 ---- */

enum { RATE = 136, ROUNDS = 24 };

static inline uint64_t rotl(uint64_t v, unsigned n) { return n ? v << n | v >> (64 - n) : v; }

static void keccak_f(uint64_t a[25]) {
  static const uint64_t iota[ROUNDS] = {0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
                                        0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
                                        0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
                                        0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
                                        0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
                                        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};
  static const uint8_t rho[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                  25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};
  for (unsigned round = 0; round < ROUNDS; round++) {
    uint64_t c[5], b[25];
    for (unsigned x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    for (unsigned x = 0; x < 5; x++) {
      uint64_t d = c[(x + 4) % 5] ^ rotl(c[(x + 1) % 5], 1);
      for (unsigned y = 0; y < 25; y += 5) a[x + y] ^= d;
    }
    for (unsigned x = 0; x < 5; x++) {
      for (unsigned y = 0; y < 5; y++) b[y + 5 * ((2 * x + 3 * y) % 5)] = rotl(a[x + 5 * y], rho[x + 5 * y]);
    }
    for (unsigned y = 0; y < 25; y += 5) {
      for (unsigned x = 0; x < 5; x++) a[x + y] = b[x + y] ^ (~b[(x + 1) % 5 + y] & b[(x + 2) % 5 + y]);
    }
    a[0] ^= iota[round];
  }
}

static void absorb(uint64_t a[25], const uint8_t block[RATE]) {
  for (unsigned i = 0; i < RATE / 8; i++) a[i] ^= aq_le64_get(block + (size_t)8 * i);
  keccak_f(a);
}

void aq_keccak256(uint8_t out[32], aq_bytes in) {
  uint64_t a[25] = {0};
  for (; in.len >= RATE; in.ptr += RATE, in.len -= RATE) absorb(a, in.ptr);
  uint8_t last[RATE] = {0};
  if (in.len) memcpy(last, in.ptr, in.len);
  last[in.len] = 0x01;
  last[RATE - 1] |= 0x80;
  absorb(a, last);
  for (unsigned i = 0; i < 4; i++) aq_le64_put(out + (size_t)8 * i, a[i]);
}
