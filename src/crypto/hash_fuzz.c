/* Hashes against OpenSSL and libsodium, Keccak and Merkle trees against the plain definition. Input: a byte, the depth
   of the tree and the length of the HMAC key; then the message. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "base/assert.h"
#include "crypto/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RATE = 136, INPUT_MAX = 1 << 14 };

static uint64_t rotl(uint64_t v, unsigned n) { return n ? v << n | v >> (64 - n) : v; }

/* FIPS 202 section 3.2, step by step; rho's offsets and iota's constants are computed as it defines them. */
static void keccak_f(uint64_t a[25]) {
  uint8_t lfsr = 1;
  for (int round = 0; round < 24; round++) {
    uint64_t c[5], b[25];
    for (int x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    for (int i = 0; i < 25; i++) a[i] ^= c[(i + 4) % 5] ^ rotl(c[(i + 1) % 5], 1);
    b[0] = a[0];
    for (int t = 0, x = 1, y = 0; t < 24; t++) {
      int next = (2 * x + 3 * y) % 5;
      b[y + 5 * next] = rotl(a[x + 5 * y], (unsigned)((t + 1) * (t + 2) / 2 % 64));
      x = y, y = next;
    }
    for (int i = 0; i < 25; i++) a[i] = b[i] ^ (~b[i / 5 * 5 + (i + 1) % 5] & b[i / 5 * 5 + (i + 2) % 5]);
    for (int j = 0; j < 7; j++) {
      if (lfsr & 1) a[0] ^= UINT64_C(1) << ((1 << j) - 1);
      lfsr = (uint8_t)(lfsr << 1 ^ (lfsr & 0x80 ? 0x71 : 0));
    }
  }
}

static void keccak_plain(uint8_t out[32], aq_bytes in) {
  uint64_t state[25] = {0};
  for (bool last = false; !last;) {
    uint8_t block[RATE] = {0};
    size_t take = in.len < RATE ? in.len : RATE;
    if (take) memcpy(block, in.ptr, take);
    last = take < RATE;
    if (last) block[take] ^= 1, block[RATE - 1] ^= 0x80;
    for (int i = 0; i < RATE / 8; i++) state[i] ^= aq_le64_get(block + 8 * i);
    keccak_f(state);
    in = aq_bytes_sub(in, take, in.len - take);
  }
  for (int i = 0; i < 4; i++) aq_le64_put(out + 8 * i, state[i]);
}

/* Level by level over all leaves. */
static void merkle_plain(uint8_t out[32], aq_bytes in, int depth) {
  static uint8_t node[2 * INPUT_MAX][32];
  size_t cnt = (in.len + 31) / 32, width = 1;
  for (int d = 0; depth < 0 ? width < cnt : d < depth; d++) width *= 2;
  memset(node, 0, width * 32);
  if (in.len) memcpy(node, in.ptr, in.len);
  for (; width > 1; width /= 2) {
    for (size_t i = 0; i < width / 2; i++) crypto_hash_sha256(node[i], node[2 * i], 64);
  }
  memcpy(out, node[0], 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  uint8_t ours[32], theirs[32];
  if (len < 1 || len > INPUT_MAX) return 0;
  AQ_ASSERT(sodium_init() >= 0);
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  aq_sha256(ours, in);
  AQ_ASSERT(EVP_Digest(in.ptr, in.len, theirs, NULL, EVP_sha256(), NULL) == 1 && memcmp(ours, theirs, 32) == 0);
  aq_keccak256(ours, in);
  keccak_plain(theirs, in);
  AQ_ASSERT(memcmp(ours, theirs, 32) == 0);

  size_t key_len = data[0] < in.len ? data[0] : in.len;
  aq_bytes key = aq_bytes_sub(in, 0, key_len), text = aq_bytes_sub(in, key_len, in.len - key_len);
  aq_hmac_sha256(ours, key, text);
  AQ_ASSERT(HMAC(EVP_sha256(), key.ptr, (int)key.len, text.ptr, text.len, theirs, NULL));
  AQ_ASSERT(memcmp(ours, theirs, 32) == 0);

  size_t chunks = (in.len + 31) / 32;
  int depth = data[0] % 12 - 1;
  if (depth >= 0 && chunks > (size_t)1 << depth) in.len = (size_t)32 << depth;
  aq_merkle_bytes(ours, in, depth);
  merkle_plain(theirs, in, depth);
  AQ_ASSERT(memcmp(ours, theirs, 32) == 0);
  if (in.len >= 64) {
    uint8_t pair[64];
    memcpy(pair, in.ptr, 64);
    aq_sha256_pair(pair, pair, pair + 32);
    crypto_hash_sha256(theirs, in.ptr, 64);
    AQ_ASSERT(memcmp(pair, theirs, 32) == 0);
  }
  return 0;
}
