/* libsodium as Noise wants it; the nonce is a counter, little-endian behind four zeros. */
#include "crypto/aead.h"

#include <pthread.h>

#include <sodium.h>

#include "base/assert.h"
#include "crypto/hash.h"
#include "crypto/k1_internal.h"
#include "crypto/secret.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void) {
  AQ_MUST(sodium_init() >= 0);
  aq_zero_hash(0);
  aq_k1_ctx();
}

void aq_crypto_init(void) { pthread_once(&once, init); }

void aq_wipe(void *ptr, size_t len) { sodium_memzero(ptr, len); }

bool aq_ct_eq(const void *a, const void *b, size_t len) {
  bool same = sodium_memcmp(a, b, len) == 0;
  AQ_DECLASSIFY(&same, sizeof same);
  return same;
}

void aq_system_random(void *out, size_t len) { randombytes_buf(out, len); }

void aq_x25519_base(uint8_t pub[32], const uint8_t secret[32]) {
  AQ_MUST(crypto_scalarmult_curve25519_base(pub, secret) == 0);
  aq_stack_clear();
  AQ_DECLASSIFY(pub, 32);
}

aq_status aq_x25519(uint8_t out[32], const uint8_t secret[32], const uint8_t pub[32]) {
  int rc = crypto_scalarmult_curve25519(out, secret, pub);
  aq_stack_clear();
  AQ_DECLASSIFY(&rc, sizeof rc); /* a point of small order: the other side's doing */
  return rc == 0 ? AQ_OK : AQ_E_AUTH;
}

static void nonce_of(uint8_t nonce[12], uint64_t counter) {
  memset(nonce, 0, 4);
  aq_le64_put(nonce + 4, counter);
}

void aq_aead_seal(uint8_t *out, const uint8_t key[32], uint64_t counter, aq_bytes ad, aq_bytes in) {
  uint8_t nonce[12];
  nonce_of(nonce, counter);
  unsigned long long len;
  AQ_MUST(crypto_aead_chacha20poly1305_ietf_encrypt(out, &len, in.ptr, in.len, ad.ptr, ad.len, NULL, nonce, key) == 0);
  AQ_DECLASSIFY(out, in.len + AQ_AEAD_TAG);
}

aq_status aq_aead_open(uint8_t *out, const uint8_t key[32], uint64_t counter, aq_bytes ad, aq_bytes in) {
  if (in.len < AQ_AEAD_TAG) return AQ_E_AUTH;
  uint8_t nonce[12];
  nonce_of(nonce, counter);
  unsigned long long len;
  int rc = crypto_aead_chacha20poly1305_ietf_decrypt(out, &len, NULL, in.ptr, in.len, ad.ptr, ad.len, nonce, key);
  AQ_DECLASSIFY(&rc, sizeof rc);
  return rc == 0 ? AQ_OK : AQ_E_AUTH;
}

/* Noise rev 34, section 4.3: HKDF with num_outputs = 2. */
void aq_noise_hkdf(uint8_t o1[32], uint8_t o2[32], const uint8_t ck[32], aq_bytes ikm) {
  uint8_t temp[32], first[32], block[33];
  aq_hmac_sha256(temp, aq_bytes_of(ck, 32), ikm);
  block[0] = 1;
  aq_hmac_sha256(first, aq_bytes_of(temp, 32), aq_bytes_of(block, 1));
  memcpy(block, first, 32);
  block[32] = 2;
  aq_hmac_sha256(o2, aq_bytes_of(temp, 32), aq_bytes_of(block, 33));
  memcpy(o1, first, 32);
  sodium_memzero(temp, sizeof temp);
  sodium_memzero(first, sizeof first);
  sodium_memzero(block, sizeof block);
}
