/* Stands in for crypto/bls.c, tbls.c and k1.c in the fast simulator: the same functions, the same algebra (linear
   sharing, combining, batches) over the integers modulo 2^61 - 1, where a key is its own secret. A signature is secret
   times hash of the root: wrong keys, roots and shares are found out as with curves, for nanoseconds instead of
   milliseconds. Protects nothing: whoever sees a public key can sign, and the simulated liars are written not to. */
#include <stdlib.h>

#include "base/assert.h"
#include "crypto/bls.h"
#include "crypto/hash.h"
#include "crypto/k1.h"
#include "crypto/k1_internal.h"

#define P ((UINT64_C(1) << 61) - 1)
enum { TAG = 0xa0, OUTSIDE = 1 }; /* OUTSIDE: byte 1 of a signature that is not in the subgroup */

__extension__ typedef unsigned __int128 wide;

static uint64_t mul(uint64_t a, uint64_t b) {
  wide x = (wide)a * b;
  uint64_t r = (uint64_t)(x & P) + (uint64_t)(x >> 61);
  return r >= P ? r - P : r;
}

static uint64_t add(uint64_t a, uint64_t b) { return (a + b) % P; }

static uint64_t power(uint64_t a, uint64_t e) {
  uint64_t r = 1;
  for (; e; e >>= 1, a = mul(a, a)) {
    if (e & 1) r = mul(r, a);
  }
  return r;
}

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static uint64_t digest(const uint8_t *ptr, size_t len) {
  uint64_t h = len;
  for (size_t i = 0; i < len; i += 8) {
    uint8_t word[8] = {0};
    memcpy(word, ptr + i, len - i < 8 ? len - i : 8);
    h = mix(h * UINT64_C(0x9e3779b97f4a7c15) + aq_le64_get(word));
  }
  return h;
}

static uint64_t element(const uint8_t *ptr, size_t len) { return digest(ptr, len) % (P - 1) + 1; }

static void put(uint8_t *out, size_t len, uint64_t v) {
  memset(out, 0, len);
  aq_be64_put(out + len - 8, v);
}

/* ---- bls ---- */

static aq_status decode(uint64_t *out, const uint8_t *in, size_t len) {
  *out = aq_be64_get(in + len - 8);
  bool zeros = aq_bytes_is_zero(aq_bytes_of(in + 2, len - 10));
  return in[0] == TAG && in[1] <= OUTSIDE && zeros && *out > 0 && *out < P ? AQ_OK : AQ_E_FORMAT;
}

aq_status aq_bls_pk_decode(aq_bls_pk *out, const uint8_t in[48]) {
  memset(out, 0, sizeof *out);
  return in[1] ? AQ_E_FORMAT : decode(&out->w[0], in, 48);
}

aq_status aq_bls_sig_decode(aq_bls_point *out, const uint8_t in[96], bool subgroup) {
  memset(out, 0, sizeof *out);
  aq_status st = decode(&out->w[0], in, 96);
  out->w[1] = in[1];
  return st == AQ_OK && subgroup && out->w[1] ? AQ_E_FORMAT : st;
}

bool aq_bls_in_subgroup(const aq_bls_point *sig) { return sig->w[1] == 0; }

void aq_bls_sig_encode(uint8_t out[96], const aq_bls_point *sig) {
  put(out, 96, sig->w[0]);
  out[0] = TAG;
  out[1] = (uint8_t)sig->w[1];
}

void aq_bls_hash(aq_bls_point *out, const uint8_t root[32]) {
  memset(out, 0, sizeof *out);
  out->w[0] = element(root, 32);
}

aq_status aq_bls_secret_check(const uint8_t sk[32]) {
  uint64_t v = aq_be64_get(sk + 24);
  return v > 0 && v < P && aq_bytes_is_zero(aq_bytes_of(sk, 24)) ? AQ_OK : AQ_E_FORMAT;
}

void aq_bls_secret_from_seed(uint8_t sk[32], const uint8_t *ikm, size_t ikm_len) { put(sk, 32, element(ikm, ikm_len)); }

void aq_bls_secret_reduce(uint8_t sk[32], const uint8_t bytes[64]) { put(sk, 32, element(bytes, 64)); }

void aq_bls_secret_to_pubkey(uint8_t out[48], const uint8_t sk[32]) {
  put(out, 48, aq_be64_get(sk + 24));
  out[0] = TAG;
}

void aq_bls_sign(uint8_t out[96], const uint8_t sk[32], const uint8_t root[32]) {
  aq_bls_point hash;
  aq_bls_hash(&hash, root);
  hash.w[0] = mul(aq_be64_get(sk + 24), hash.w[0]);
  aq_bls_sig_encode(out, &hash);
}

bool aq_bls_verify_points(const aq_bls_pk *pk, const aq_bls_point *hash, const aq_bls_point *sig) {
  return sig->w[1] == 0 && mul(pk->w[0], hash->w[0]) == sig->w[0];
}

aq_status aq_bls_verify(const uint8_t pubkey[48], const uint8_t root[32], const uint8_t sig[96]) {
  aq_bls_pk pk;
  aq_status st = aq_bls_pk_decode(&pk, pubkey);
  return st == AQ_OK ? aq_bls_fast_aggregate_verify(&pk, 1, root, sig) : st;
}

aq_status aq_bls_aggregate(uint8_t out[96], const aq_sig *sigs, size_t cnt) {
  aq_bls_point sum = {{0}}, p;
  if (cnt == 0) return AQ_E_FORMAT;
  for (size_t i = 0; i < cnt; i++) {
    aq_status st = aq_bls_sig_decode(&p, sigs[i].b, true);
    if (st != AQ_OK) return st;
    sum.w[0] = add(sum.w[0], p.w[0]);
  }
  aq_bls_sig_encode(out, &sum);
  return AQ_OK;
}

aq_status aq_bls_fast_aggregate_verify(const aq_bls_pk *pks, size_t cnt, const uint8_t root[32],
                                       const uint8_t sig[96]) {
  aq_bls_point hash, point;
  aq_bls_pk sum = {{0}};
  aq_status st = aq_bls_sig_decode(&point, sig, true);
  if (st != AQ_OK) return st;
  for (size_t i = 0; i < cnt; i++) sum.w[0] = add(sum.w[0], pks[i].w[0]);
  aq_bls_hash(&hash, root);
  return aq_bls_verify_points(&sum, &hash, &point) ? AQ_OK : AQ_E_AUTH;
}

bool aq_bls_verify_batch(const aq_bls_item *items, size_t cnt, const uint8_t *rnd) {
  (void)rnd;
  for (size_t i = 0; i < cnt; i++) {
    if (!aq_bls_verify_points(items[i].pk, items[i].hash, items[i].sig)) return false;
  }
  return true;
}

size_t aq_bls_find_bad(bool *bad, const aq_bls_item *items, size_t cnt, const uint8_t *rnd) {
  size_t found = 0;
  (void)rnd;
  for (size_t i = 0; i < cnt; i++) {
    bad[i] = !aq_bls_verify_points(items[i].pk, items[i].hash, items[i].sig);
    found += bad[i];
  }
  return found;
}

/* ---- threshold ---- */

static uint64_t lambda(const uint32_t *idx, unsigned cnt, unsigned i) {
  uint64_t up = 1, down = 1;
  for (unsigned j = 0; j < cnt; j++) {
    if (j == i) continue;
    up = mul(up, idx[j]);
    down = mul(down, add(idx[j], P - idx[i]));
  }
  return mul(up, power(down, P - 2));
}

aq_status aq_tbls_split(uint8_t (*shares)[32], const uint8_t sk[32], const uint8_t (*coeff)[32], unsigned t,
                        unsigned n) {
  if (t == 0 || t > n || n > AQ_SHARES_MAX || aq_bls_secret_check(sk) != AQ_OK) return AQ_E_FORMAT;
  for (unsigned i = 1; i <= n; i++) {
    uint64_t v = 0;
    for (unsigned k = t - 1; k > 0; k--) v = mul(add(v, aq_be64_get(coeff[k - 1] + 24)), i);
    put(shares[i - 1], 32, add(v, aq_be64_get(sk + 24)));
  }
  return AQ_OK;
}

aq_status aq_tbls_recover_secret(uint8_t sk[32], const uint8_t (*shares)[32], const uint32_t *idx, unsigned cnt) {
  uint64_t sum = 0;
  if (!aq_tbls_indices_ok(idx, cnt)) return AQ_E_FORMAT;
  for (unsigned i = 0; i < cnt; i++) sum = add(sum, mul(lambda(idx, cnt, i), aq_be64_get(shares[i] + 24)));
  put(sk, 32, sum);
  return aq_bls_secret_check(sk);
}

aq_status aq_tbls_recover_pubkey(uint8_t out[48], const aq_bls_pk *shares, const uint32_t *idx, unsigned cnt) {
  uint64_t sum = 0;
  if (!aq_tbls_indices_ok(idx, cnt)) return AQ_E_FORMAT;
  for (unsigned i = 0; i < cnt; i++) sum = add(sum, mul(lambda(idx, cnt, i), shares[i].w[0]));
  put(out, 48, sum);
  out[0] = TAG;
  return sum ? AQ_OK : AQ_E_FORMAT;
}

bool aq_tbls_lagrange(int64_t *coeff, int64_t *den, const uint32_t *idx, unsigned cnt) {
  (void)coeff, (void)den, (void)idx, (void)cnt;
  return false;
}

void aq_tbls_combine(aq_bls_point *out, const aq_bls_point *partials, const uint32_t *idx, unsigned cnt) {
  uint64_t sum = 0, outside = 0;
  AQ_ASSERT(aq_tbls_indices_ok(idx, cnt));
  for (unsigned i = 0; i < cnt; i++) {
    sum = add(sum, mul(lambda(idx, cnt, i), partials[i].w[0]));
    outside |= partials[i].w[1];
  }
  memset(out, 0, sizeof *out);
  out->w[0] = sum;
  out->w[1] = outside;
}

/* ---- secp256k1: the public key and a check sum over it and the digest ---- */

enum { PUB = 33, SUM = 16 };

struct aq_k1_key {
  uint8_t secret[32], pub[PUB];
};

static void check_sum(uint8_t out[SUM], const uint8_t pub[PUB], const uint8_t d[32]) {
  uint8_t in[PUB + 32 + 8];
  memcpy(in, pub, PUB);
  memcpy(in + PUB, d, 32);
  memset(in + PUB + 32, 0, 8);
  aq_le64_put(out, digest(in, sizeof in));
  in[PUB + 32] = 1;
  aq_le64_put(out + 8, digest(in, sizeof in));
}

aq_status aq_k1_key_new(aq_k1_key **out, const uint8_t secret[32]) {
  if (aq_bytes_is_zero(aq_bytes_of(secret, 32))) return AQ_E_FORMAT;
  aq_k1_key *k = calloc(1, sizeof *k);
  AQ_ASSERT(k);
  memcpy(k->secret, secret, 32);
  k->pub[0] = 2;
  aq_sha256(k->pub + 1, aq_bytes_of(secret, 32));
  *out = k;
  return AQ_OK;
}

const secp256k1_context *aq_k1_ctx(void) { return NULL; }
aq_k1_key *aq_k1_key_generate(void) { return NULL; } /* no simulated program makes identities */
void aq_k1_key_free(aq_k1_key *k) { free(k); }
void aq_k1_pubkey(uint8_t out[33], const aq_k1_key *k) { memcpy(out, k->pub, PUB); }
void aq_k1_export(uint8_t out[32], const aq_k1_key *k) { memcpy(out, k->secret, 32); }

void aq_k1_sign(uint8_t out[65], const aq_k1_key *k, const uint8_t d[32]) {
  memset(out, 0, 65);
  memcpy(out, k->pub, PUB);
  check_sum(out + PUB, k->pub, d);
}

aq_status aq_k1_recover(uint8_t pubkey[33], const uint8_t sig[65], const uint8_t d[32]) {
  uint8_t sum[SUM];
  if (sig[64] > 28 || (sig[64] > 1 && sig[64] < 27)) return AQ_E_FORMAT;
  check_sum(sum, sig, d);
  if (memcmp(sum, sig + PUB, SUM) != 0) return AQ_E_AUTH;
  memcpy(pubkey, sig, PUB);
  return AQ_OK;
}

aq_status aq_k1_verify65(const uint8_t pubkey[33], const uint8_t sig[65], const uint8_t d[32]) {
  uint8_t who[PUB];
  aq_status st = aq_k1_recover(who, sig, d);
  return st == AQ_OK && memcmp(who, pubkey, PUB) != 0 ? AQ_E_AUTH : st;
}

aq_status aq_k1_verify64(const uint8_t pubkey[33], const uint8_t sig[64], const uint8_t d[32]) {
  uint8_t whole[65] = {0};
  memcpy(whole, sig, 64);
  return aq_k1_verify65(pubkey, whole, d);
}

size_t aq_k1_sign_der(uint8_t out[AQ_K1_DER_MAX], const aq_k1_key *k, aq_bytes message) {
  uint8_t d[32], sig[65];
  aq_sha256(d, message);
  aq_k1_sign(sig, k, d);
  memcpy(out, sig, PUB + SUM);
  return PUB + SUM;
}

aq_status aq_k1_verify_der(const uint8_t pubkey[33], aq_bytes sig, aq_bytes message) {
  uint8_t d[32], whole[65] = {0};
  if (sig.len != PUB + SUM) return AQ_E_FORMAT;
  aq_sha256(d, message);
  memcpy(whole, sig.ptr, sig.len);
  return aq_k1_verify65(pubkey, whole, d);
}

aq_status aq_k1_pubkey_parse(uint8_t out[33], aq_bytes in) {
  if (in.len != PUB || (in.ptr[0] != 2 && in.ptr[0] != 3)) return AQ_E_FORMAT;
  memcpy(out, in.ptr, PUB);
  return AQ_OK;
}

void aq_k1_eth_address(uint8_t out[20], const uint8_t pubkey[33]) {
  uint8_t h[32];
  aq_sha256(h, aq_bytes_of(pubkey, PUB));
  memcpy(out, h, 20);
}
