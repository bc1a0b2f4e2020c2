/* crypto/aead.h - what Noise needs (libsodium): X25519, ChaCha20-Poly1305 IETF, secure wiping. Spec: wire.md 2.4. */
#ifndef AQ_CRYPTO_AEAD_H
#define AQ_CRYPTO_AEAD_H

#include "base/bytes.h"

enum { AQ_AEAD_TAG = 16 };

void aq_crypto_init(void); /* once, before anything of this folder; asserts success */
void aq_wipe(void *ptr, size_t len);
bool aq_ct_eq(const void *a, const void *b, size_t len); /* constant time */
void aq_system_random(void *out, size_t len);

void aq_x25519_base(uint8_t pub[32], const uint8_t secret[32]);
AQ_NODISCARD aq_status aq_x25519(uint8_t out[32], const uint8_t secret[32],
                                 const uint8_t pub[32]); /* AQ_E_AUTH: all zero */

/* Nonce = 4 zero bytes, counter little endian. out holds in.len + 16; in and out may overlap exactly. */
void aq_aead_seal(uint8_t *out, const uint8_t key[32], uint64_t counter, aq_bytes ad, aq_bytes in);
AQ_NODISCARD aq_status aq_aead_open(uint8_t *out, const uint8_t key[32], uint64_t counter, aq_bytes ad,
                                    aq_bytes in); /* AQ_E_AUTH */
/* HKDF of Noise: two outputs from chaining key and input. */
void aq_noise_hkdf(uint8_t o1[32], uint8_t o2[32], const uint8_t ck[32], aq_bytes ikm);

#endif
