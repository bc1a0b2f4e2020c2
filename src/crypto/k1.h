/* crypto/k1.h - secp256k1: node identities, ENR, Charon's 65-byte and libp2p's DER signatures. Spec: wire.md 1,
   cluster.md 1. RFC 6979 nonces, low S. The secret key lies in guarded memory and has no way out but a file write. */
#ifndef AQ_CRYPTO_K1_H
#define AQ_CRYPTO_K1_H

#include "base/bytes.h"

typedef struct aq_k1_key aq_k1_key; /* sodium_malloc pages, wiped by free */

AQ_NODISCARD aq_status aq_k1_key_new(aq_k1_key **out, const uint8_t secret[32]); /* AQ_E_FORMAT: not in [1, n-1] */
aq_k1_key *aq_k1_key_generate(void);                                             /* from the system's randomness */
void aq_k1_key_free(aq_k1_key *k);
void aq_k1_pubkey(uint8_t out[33], const aq_k1_key *k); /* compressed */
void aq_k1_export(uint8_t out[32], const aq_k1_key *k); /* for writing the key file; the caller wipes */

/* 65 bytes R || S || V (V 0 or 1) over a 32-byte digest as it is. */
void aq_k1_sign(uint8_t out[65], const aq_k1_key *k, const uint8_t digest[32]);
/* V in {0, 1, 27, 28}, high S accepted. AQ_E_FORMAT, AQ_E_AUTH when nothing can be recovered. */
AQ_NODISCARD aq_status aq_k1_recover(uint8_t pubkey[33], const uint8_t sig[65], const uint8_t digest[32]);
AQ_NODISCARD aq_status aq_k1_verify65(const uint8_t pubkey[33], const uint8_t sig[65], const uint8_t digest[32]);
/* R || S without recovery byte (ENR). High S accepted. */
AQ_NODISCARD aq_status aq_k1_verify64(const uint8_t pubkey[33], const uint8_t sig[64], const uint8_t digest[32]);

/* ASN.1 DER over SHA-256(message) (libp2p). */
enum { AQ_K1_DER_MAX = 72 };
size_t aq_k1_sign_der(uint8_t out[AQ_K1_DER_MAX], const aq_k1_key *k, aq_bytes message);
AQ_NODISCARD aq_status aq_k1_verify_der(const uint8_t pubkey[33], aq_bytes sig, aq_bytes message);

AQ_NODISCARD aq_status aq_k1_pubkey_parse(uint8_t out[33], aq_bytes in); /* 33 or 65 bytes; AQ_E_FORMAT */
void aq_k1_eth_address(uint8_t out[20], const uint8_t pubkey[33]);       /* keccak of the uncompressed point */

#endif
