/* One context for all threads; signatures are made low, and read high or low as Charon reads them. */
#include "crypto/k1.h"

#include <pthread.h>

#include <secp256k1_recovery.h>
#include <sodium.h>

#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/k1_internal.h"
#include "crypto/secret.h"

enum { PUB = 33, PUB_FULL = 65 };

struct aq_k1_key {
  uint8_t secret[32];
  uint8_t pub[PUB];
};

static secp256k1_context *ctx;
static pthread_once_t ctx_once = PTHREAD_ONCE_INIT;

/* Blinding against side channels. */
static void ctx_make(void) {
  AQ_MUST(sodium_init() >= 0);
  uint8_t seed[32];
  randombytes_buf(seed, sizeof seed);
  ctx = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
  AQ_ASSERT(ctx);
  AQ_MUST(secp256k1_context_randomize(ctx, seed));
  sodium_memzero(seed, sizeof seed);
}

const secp256k1_context *aq_k1_ctx(void) {
  pthread_once(&ctx_once, ctx_make);
  return ctx;
}

/* ---- keys ---- */

static void serialize(uint8_t out[PUB], const secp256k1_pubkey *pub) {
  size_t len = PUB;
  AQ_MUST(secp256k1_ec_pubkey_serialize(aq_k1_ctx(), out, &len, pub, SECP256K1_EC_COMPRESSED) && len == PUB);
}

aq_status aq_k1_key_new(aq_k1_key **out, const uint8_t secret[32]) {
  secp256k1_pubkey pub;
  int ok = secp256k1_ec_pubkey_create(aq_k1_ctx(), &pub, secret); /* checks the range */
  aq_stack_clear();
  AQ_DECLASSIFY(&ok, sizeof ok);
  if (!ok) return AQ_E_FORMAT;
  AQ_DECLASSIFY(&pub, sizeof pub);
  aq_k1_key *k = aq_guarded_alloc(1, sizeof *k);
  AQ_ASSERT(k);
  memcpy(k->secret, secret, sizeof k->secret);
  aq_stack_clear();
  serialize(k->pub, &pub);
  aq_guarded_readonly(k);
  *out = k;
  return AQ_OK;
}

aq_k1_key *aq_k1_key_generate(void) {
  uint8_t secret[32];
  aq_k1_key *k = NULL;
  do {
    aq_system_random(secret, sizeof secret);
  } while (aq_k1_key_new(&k, secret) != AQ_OK);
  aq_wipe(secret, sizeof secret);
  return k;
}

void aq_k1_key_free(aq_k1_key *k) { aq_guarded_free(k); }

void aq_k1_pubkey(uint8_t out[33], const aq_k1_key *k) { memcpy(out, k->pub, PUB); }

void aq_k1_export(uint8_t out[32], const aq_k1_key *k) {
  memcpy(out, k->secret, sizeof k->secret);
  aq_stack_clear();
}

aq_status aq_k1_pubkey_parse(uint8_t out[33], aq_bytes in) {
  secp256k1_pubkey pub;
  if (in.len != PUB && in.len != PUB_FULL) return AQ_E_FORMAT;
  /* The library takes the hybrid forms 6 and 7 too; no format here knows them. */
  if (in.len == PUB_FULL && in.ptr[0] != 4) return AQ_E_FORMAT;
  if (!secp256k1_ec_pubkey_parse(aq_k1_ctx(), &pub, in.ptr, in.len)) return AQ_E_FORMAT;
  serialize(out, &pub);
  return AQ_OK;
}

void aq_k1_eth_address(uint8_t out[20], const uint8_t pubkey[33]) {
  secp256k1_pubkey pub;
  uint8_t full[PUB_FULL], hash[32];
  size_t len = sizeof full;
  AQ_MUST(secp256k1_ec_pubkey_parse(aq_k1_ctx(), &pub, pubkey, PUB));
  AQ_MUST(secp256k1_ec_pubkey_serialize(aq_k1_ctx(), full, &len, &pub, SECP256K1_EC_UNCOMPRESSED));
  aq_keccak256(hash, aq_bytes_of(full + 1, sizeof full - 1));
  memcpy(out, hash + 12, 20);
}

/* ---- R || S (|| V) ---- */

void aq_k1_sign(uint8_t out[65], const aq_k1_key *k, const uint8_t digest[32]) {
  secp256k1_ecdsa_recoverable_signature sig;
  int v;
  int ok = secp256k1_ecdsa_sign_recoverable(aq_k1_ctx(), &sig, digest, k->secret, NULL, NULL);
  aq_stack_clear();
  AQ_DECLASSIFY(&ok, sizeof ok);
  AQ_DECLASSIFY(&sig, sizeof sig);
  AQ_ASSERT(ok);
  AQ_MUST(secp256k1_ecdsa_recoverable_signature_serialize_compact(aq_k1_ctx(), out, &v, &sig));
  out[64] = (uint8_t)v;
}

aq_status aq_k1_recover(uint8_t pubkey[33], const uint8_t sig[65], const uint8_t digest[32]) {
  secp256k1_ecdsa_recoverable_signature parsed;
  secp256k1_pubkey pub;
  int v = sig[64] >= 27 ? sig[64] - 27 : sig[64];
  if (v > 1) return AQ_E_FORMAT;
  if (!secp256k1_ecdsa_recoverable_signature_parse_compact(aq_k1_ctx(), &parsed, sig, v)) return AQ_E_FORMAT;
  if (!secp256k1_ecdsa_recover(aq_k1_ctx(), &pub, &parsed, digest)) return AQ_E_AUTH;
  serialize(pubkey, &pub);
  return AQ_OK;
}

aq_status aq_k1_verify65(const uint8_t pubkey[33], const uint8_t sig[65], const uint8_t digest[32]) {
  uint8_t got[PUB];
  aq_status st = aq_k1_recover(got, sig, digest);
  if (st != AQ_OK) return st;
  return memcmp(got, pubkey, PUB) == 0 ? AQ_OK : AQ_E_AUTH;
}

/* Low S first: secp256k1_ecdsa_verify refuses the other half, which both Charon and discv5 accept. */
static aq_status verify(const uint8_t pubkey[PUB], const secp256k1_ecdsa_signature *sig, const uint8_t digest[32]) {
  secp256k1_ecdsa_signature low;
  secp256k1_pubkey pub;
  if (!secp256k1_ec_pubkey_parse(aq_k1_ctx(), &pub, pubkey, PUB)) return AQ_E_FORMAT;
  secp256k1_ecdsa_signature_normalize(aq_k1_ctx(), &low, sig);
  return secp256k1_ecdsa_verify(aq_k1_ctx(), &low, digest, &pub) ? AQ_OK : AQ_E_AUTH;
}

aq_status aq_k1_verify64(const uint8_t pubkey[33], const uint8_t sig[64], const uint8_t digest[32]) {
  secp256k1_ecdsa_signature parsed;
  if (!secp256k1_ecdsa_signature_parse_compact(aq_k1_ctx(), &parsed, sig)) return AQ_E_FORMAT;
  return verify(pubkey, &parsed, digest);
}

/* ---- DER ---- */

size_t aq_k1_sign_der(uint8_t out[AQ_K1_DER_MAX], const aq_k1_key *k, aq_bytes message) {
  secp256k1_ecdsa_signature sig;
  uint8_t digest[32];
  size_t len = AQ_K1_DER_MAX;
  aq_sha256(digest, message);
  int ok = secp256k1_ecdsa_sign(aq_k1_ctx(), &sig, digest, k->secret, NULL, NULL);
  aq_stack_clear();
  AQ_DECLASSIFY(&ok, sizeof ok);
  AQ_DECLASSIFY(&sig, sizeof sig);
  AQ_ASSERT(ok);
  AQ_MUST(secp256k1_ecdsa_signature_serialize_der(aq_k1_ctx(), out, &len, &sig));
  return len;
}

aq_status aq_k1_verify_der(const uint8_t pubkey[33], aq_bytes sig, aq_bytes message) {
  secp256k1_ecdsa_signature parsed;
  uint8_t digest[32];
  if (sig.len == 0) return AQ_E_FORMAT; /* the library takes a NULL input for misuse and aborts */
  if (!secp256k1_ecdsa_signature_parse_der(aq_k1_ctx(), &parsed, sig.ptr, sig.len)) return AQ_E_FORMAT;
  aq_sha256(digest, message);
  return verify(pubkey, &parsed, digest);
}
