/* crypto/hash.h - SHA-256 (blst's: measured as fast as OpenSSL's, and with less overhead on 64 bytes), HMAC and HKDF on
   it, Keccak-256 (original padding, not SHA3). Pure, no secrets kept. Merkle helpers: SSZ consensus-specs
   "Merkleization". */
#ifndef AQ_CRYPTO_HASH_H
#define AQ_CRYPTO_HASH_H

#include "base/bytes.h"

typedef struct {
  uint8_t b[32];
} aq_hash;

static inline bool aq_hash_eq(const aq_hash *a, const aq_hash *b) { return memcmp(a->b, b->b, 32) == 0; }
static inline bool aq_hash_is_zero(const aq_hash *h) { return aq_bytes_is_zero(aq_bytes_of(h->b, 32)); }

void aq_sha256(uint8_t out[32], aq_bytes in);
void aq_sha256_pair(uint8_t out[32], const uint8_t left[32], const uint8_t right[32]); /* out may be left or right */
void aq_keccak256(uint8_t out[32], aq_bytes in);
void aq_hmac_sha256(uint8_t out[32], aq_bytes key, aq_bytes in);

/* Root of the zero subtree of that depth; depth <= 64. */
const uint8_t *aq_zero_hash(unsigned depth);
/* Merkle root of the bytes cut into 32-byte chunks, padded with zero chunks to 2^depth leaves; depth < 0: to the next
   power of two. No length mixed in. Empty input: the zero hash of the depth (32 zero bytes for depth <= 0). */
void aq_merkle_bytes(uint8_t out[32], aq_bytes in, int depth);

#endif
