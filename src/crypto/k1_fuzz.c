/* Identity keys and signatures. Input: a byte, what; then the key or signature, the digest behind it. Whatever is
   accepted verifies against the key that it names; an own signature that was changed does not. */
#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/k1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static aq_k1_key *own_key(uint8_t pubkey[33]) {
  static aq_k1_key *key;
  static const uint8_t secret[32] = {3, 1, 4};
  if (!key) {
    aq_crypto_init();
    AQ_ASSERT(aq_k1_key_new(&key, secret) == AQ_OK);
  }
  aq_k1_pubkey(pubkey, key);
  return key;
}

static void keys(aq_bytes in) {
  uint8_t out[33], again[33], address[20];
  if (aq_k1_pubkey_parse(out, in) != AQ_OK) return;
  AQ_ASSERT((out[0] == 2 || out[0] == 3) && (in.len == 33 || in.len == 65) && memcmp(out + 1, in.ptr + 1, 32) == 0);
  AQ_ASSERT(aq_k1_pubkey_parse(again, aq_bytes_of(out, 33)) == AQ_OK && memcmp(out, again, 33) == 0);
  aq_k1_eth_address(address, out);
}

static void recover(aq_rd *r) {
  uint8_t sig[65], digest[32], pubkey[33], own[33];
  aq_rd_copy(r, sig, sizeof sig);
  aq_rd_copy(r, digest, sizeof digest);
  own_key(own);
  aq_status st = aq_k1_recover(pubkey, sig, digest);
  AQ_ASSERT(st == AQ_OK || st == AQ_E_FORMAT || st == AQ_E_AUTH);
  if (st == AQ_OK) {
    AQ_ASSERT(aq_k1_verify65(pubkey, sig, digest) == AQ_OK && aq_k1_verify64(pubkey, sig, digest) == AQ_OK);
    digest[0] ^= 1;
    AQ_ASSERT(aq_k1_verify65(pubkey, sig, digest) != AQ_OK && aq_k1_verify64(pubkey, sig, digest) != AQ_OK);
  }
}

/* The message is signed, then the signature's bytes change as the input says. */
static void changed(aq_rd *r) {
  uint8_t sig[65], der[AQ_K1_DER_MAX], digest[32], pubkey[33];
  const aq_k1_key *key = own_key(pubkey);
  uint8_t at = aq_rd_u8(r), with = aq_rd_u8(r);
  aq_bytes msg = aq_rd_bytes(r, r->left);
  aq_sha256(digest, msg);
  aq_k1_sign(sig, key, digest);
  AQ_ASSERT(aq_k1_verify65(pubkey, sig, digest) == AQ_OK && sig[64] < 2);
  sig[at % 65] ^= with;
  bool spelling = at % 65 == 64 && (with == 0 || sig[64] == 27 + (sig[64] ^ with)); /* V may be 27 higher */
  if (!spelling) AQ_ASSERT(with == 0 || at % 65 == 64 || aq_k1_verify65(pubkey, sig, digest) != AQ_OK);
  size_t der_len = aq_k1_sign_der(der, key, msg);
  AQ_ASSERT(aq_k1_verify_der(pubkey, aq_bytes_of(der, der_len), msg) == AQ_OK);
  der[at % der_len] ^= with;
  if (with) AQ_ASSERT(aq_k1_verify_der(pubkey, aq_bytes_of(der, der_len), msg) != AQ_OK);
  if (with) AQ_ASSERT(aq_k1_verify_der(pubkey, aq_bytes_of(der, at % der_len), msg) != AQ_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  uint8_t pubkey[33];
  if (len == 0) return 0;
  own_key(pubkey);
  aq_rd r = aq_rd_of(aq_bytes_of(data + 1, len - 1));
  aq_bytes all = aq_bytes_of(data + 1, len - 1);
  switch (data[0] % 4) {
    case 0: keys(all); break;
    case 1: recover(&r); break;
    case 2: changed(&r); break;
    default: AQ_ASSERT(aq_k1_verify_der(pubkey, all, aq_bytes_str("message")) != AQ_OK); break;
  }
  return 0;
}
