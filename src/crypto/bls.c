/* blst with every check that a caller could forget inside; batches by Pippenger over random factors. */
#include "crypto/bls.h"

#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/bls_internal.h"
#include "crypto/secret.h"

static const uint8_t dst[] = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
enum { DST_LEN = sizeof dst - 1, RHO_LEN = 8, RHO_BITS = 64 };

/* ---- points ---- */

aq_status aq_bls_pk_decode(aq_bls_pk *out, const uint8_t in[48]) {
  blst_p1_affine *p = aq_blst_g1_out(out);
  if (blst_p1_uncompress(p, in) != BLST_SUCCESS) return AQ_E_FORMAT;
  if (blst_p1_affine_is_inf(p) || !blst_p1_affine_in_g1(p)) return AQ_E_FORMAT;
  return AQ_OK;
}

aq_status aq_bls_sig_decode(aq_bls_point *out, const uint8_t in[96], bool subgroup) {
  blst_p2_affine *p = aq_blst_g2_out(out);
  if (blst_p2_uncompress(p, in) != BLST_SUCCESS || blst_p2_affine_is_inf(p)) return AQ_E_FORMAT;
  return subgroup && !blst_p2_affine_in_g2(p) ? AQ_E_FORMAT : AQ_OK;
}

bool aq_bls_in_subgroup(const aq_bls_point *sig) { return blst_p2_affine_in_g2(aq_blst_g2(sig)); }

void aq_bls_sig_encode(uint8_t out[96], const aq_bls_point *sig) { blst_p2_affine_compress(out, aq_blst_g2(sig)); }

static void hash_to_g2(blst_p2 *out, const uint8_t root[32]) { blst_hash_to_g2(out, root, 32, dst, DST_LEN, NULL, 0); }

void aq_bls_hash(aq_bls_point *out, const uint8_t root[32]) {
  blst_p2 p;
  hash_to_g2(&p, root);
  blst_p2_to_affine(aq_blst_g2_out(out), &p);
}

/* ---- secret keys ---- */

aq_status aq_bls_secret_check(const uint8_t sk[32]) {
  blst_scalar s;
  blst_scalar_from_bendian(&s, sk);
  bool ok = blst_sk_check(&s);
  aq_wipe(&s, sizeof s);
  aq_stack_clear();
  AQ_DECLASSIFY(&ok, sizeof ok);
  return ok ? AQ_OK : AQ_E_FORMAT;
}

void aq_bls_secret_from_seed(uint8_t sk[32], const uint8_t *ikm, size_t ikm_len) {
  AQ_ASSERT(ikm_len >= 32);
  blst_scalar s;
  blst_keygen(&s, ikm, ikm_len, NULL, 0);
  blst_bendian_from_scalar(sk, &s);
  aq_wipe(&s, sizeof s);
  aq_stack_clear();
}

void aq_bls_secret_reduce(uint8_t sk[32], const uint8_t wide[64]) {
  blst_scalar s;
  bool ok = blst_scalar_from_be_bytes(&s, wide, 64);
  blst_bendian_from_scalar(sk, &s);
  sk[31] |= (uint8_t)!ok; /* zero, once in 2^255, becomes one */
  aq_wipe(&s, sizeof s);
  aq_stack_clear();
}

void aq_bls_secret_to_pubkey(uint8_t out[48], const uint8_t sk[32]) {
  blst_scalar s;
  blst_p1 p;
  blst_scalar_from_bendian(&s, sk);
  blst_sk_to_pk_in_g1(&p, &s);
  blst_p1_compress(out, &p);
  aq_wipe(&s, sizeof s);
  aq_wipe(&p, sizeof p); /* its Z depends on the way the key was walked */
  aq_stack_clear();
  AQ_DECLASSIFY(out, 48);
}

void aq_bls_sign(uint8_t out[96], const uint8_t sk[32], const uint8_t root[32]) {
  blst_scalar s;
  blst_p2 p;
  hash_to_g2(&p, root);
  blst_scalar_from_bendian(&s, sk);
  blst_sign_pk_in_g1(&p, &p, &s);
  blst_p2_compress(out, &p);
  aq_wipe(&s, sizeof s);
  aq_wipe(&p, sizeof p);
  aq_stack_clear();
  AQ_DECLASSIFY(out, 96);
}

/* ---- single checks ---- */

/* e(key, hash) = e(g1, sig), as a product of two Miller loops. */
static bool pairing_holds(const blst_p1_affine *key, const blst_p2_affine *hash, const blst_p2_affine *sig) {
  if (blst_p1_affine_is_inf(key) || blst_p2_affine_is_inf(sig)) return false;
  const blst_p2_affine *q[2] = {hash, sig};
  const blst_p1_affine *p[2] = {key, &BLS12_381_NEG_G1};
  blst_fp12 f;
  blst_miller_loop_n(&f, q, p, 2);
  blst_final_exp(&f, &f);
  return blst_fp12_is_one(&f);
}

bool aq_bls_verify_points(const aq_bls_pk *pk, const aq_bls_point *hash, const aq_bls_point *sig) {
  return pairing_holds(aq_blst_g1(pk), aq_blst_g2(hash), aq_blst_g2(sig));
}

aq_status aq_bls_verify(const uint8_t pubkey[48], const uint8_t root[32], const uint8_t sig[96]) {
  aq_bls_pk pk;
  aq_status st = aq_bls_pk_decode(&pk, pubkey);
  return st == AQ_OK ? aq_bls_fast_aggregate_verify(&pk, 1, root, sig) : st;
}

aq_status aq_bls_aggregate(uint8_t out[96], const aq_sig *sigs, size_t cnt) {
  blst_p2 sum;
  if (cnt == 0) return AQ_E_FORMAT;
  memset(&sum, 0, sizeof sum); /* infinity */
  for (size_t i = 0; i < cnt; i++) {
    aq_bls_point p;
    aq_status st = aq_bls_sig_decode(&p, sigs[i].b, true);
    if (st != AQ_OK) return st;
    blst_p2_add_or_double_affine(&sum, &sum, aq_blst_g2(&p));
  }
  blst_p2_compress(out, &sum);
  return AQ_OK;
}

aq_status aq_bls_fast_aggregate_verify(const aq_bls_pk *pks, size_t cnt, const uint8_t root[32],
                                       const uint8_t sig[96]) {
  aq_bls_point point, hash;
  aq_status st = aq_bls_sig_decode(&point, sig, true);
  if (st != AQ_OK) return st;
  blst_p1 sum;
  blst_p1_affine key;
  memset(&sum, 0, sizeof sum); /* infinity */
  for (size_t i = 0; i < cnt; i++) blst_p1_add_or_double_affine(&sum, &sum, aq_blst_g1(&pks[i]));
  blst_p1_to_affine(&key, &sum);
  aq_bls_hash(&hash, root);
  return pairing_holds(&key, aq_blst_g2(&hash), aq_blst_g2(&point)) ? AQ_OK : AQ_E_AUTH;
}

/* ---- batches: tss.md 4.4 and 4.5 ---- */

enum { BATCH_MAX = 256, SCRATCH_LEN = 32768 };

/* One batch of at most BATCH_MAX items; everything on the stack, about 60 kB. */
typedef struct {
  uint8_t rho[BATCH_MAX][RHO_LEN]; /* little endian, odd */
  const blst_p1_affine *pk[BATCH_MAX];
  const blst_p2_affine *sig[BATCH_MAX];
  const uint8_t *scalar[BATCH_MAX];
  limb_t scratch[SCRATCH_LEN / sizeof(limb_t)];
} batch;

static void sum_sigs(blst_p2_affine *out, batch *b, const aq_bls_item *items, size_t cnt) {
  AQ_ASSERT(blst_p2s_mult_pippenger_scratch_sizeof(cnt) <= sizeof b->scratch);
  blst_p2 sum;
  for (size_t i = 0; i < cnt; i++) b->sig[i] = aq_blst_g2(items[i].sig), b->scalar[i] = b->rho[i];
  blst_p2s_mult_pippenger(&sum, b->sig, cnt, b->scalar, RHO_BITS, b->scratch);
  blst_p2_to_affine(out, &sum);
}

/* The scaled keys of all items with the hash of item `first`; marks them done. */
static void sum_keys(blst_p1 *out, batch *b, bool *done, const aq_bls_item *items, size_t first, size_t cnt) {
  AQ_ASSERT(blst_p1s_mult_pippenger_scratch_sizeof(cnt) <= sizeof b->scratch);
  size_t n = 0;
  for (size_t i = first; i < cnt; i++) {
    if (items[i].hash != items[first].hash) continue;
    b->pk[n] = aq_blst_g1(items[i].pk);
    b->scalar[n++] = b->rho[i];
    done[i] = true;
  }
  if (n == 1) {
    blst_p1_from_affine(out, b->pk[0]);
    blst_p1_mult(out, out, b->scalar[0], RHO_BITS);
  } else {
    blst_p1s_mult_pippenger(out, b->pk, n, b->scalar, RHO_BITS, b->scratch);
  }
}

/* Product over the roots of e(sum of rho * key, hash) = e(g1, sum of rho * sig). */
static bool verify_some(const aq_bls_item *items, size_t cnt, const uint8_t *rnd) {
  batch b;
  bool done[BATCH_MAX] = {false};
  blst_p1 key[BATCH_MAX];
  blst_p1_affine affine[BATCH_MAX];
  blst_p2_affine sum;
  const blst_p2_affine *q[BATCH_MAX + 1];
  const blst_p1_affine *p[BATCH_MAX + 1];
  const blst_p1 *key_ptr[2] = {key, NULL};
  memcpy(b.rho, rnd, cnt * RHO_LEN);
  for (size_t i = 0; i < cnt; i++) b.rho[i][0] |= 1;
  size_t n = 0;
  for (size_t i = 0; i < cnt; i++) {
    if (done[i]) continue;
    sum_keys(&key[n], &b, done, items, i, cnt);
    if (blst_p1_is_inf(&key[n])) continue; /* contributes 1 */
    q[n++] = aq_blst_g2(items[i].hash);
  }
  if (n) blst_p1s_to_affine(affine, key_ptr, n);
  for (size_t i = 0; i < n; i++) p[i] = &affine[i];
  sum_sigs(&sum, &b, items, cnt);
  if (!blst_p2_affine_is_inf(&sum)) q[n] = &sum, p[n++] = &BLS12_381_NEG_G1;
  if (n == 0) return true;
  blst_fp12 f;
  blst_miller_loop_n(&f, q, p, n);
  blst_final_exp(&f, &f);
  return blst_fp12_is_one(&f);
}

bool aq_bls_verify_batch(const aq_bls_item *items, size_t cnt, const uint8_t *rnd) {
  for (size_t len; cnt > 0; items += len, rnd += len * RHO_LEN, cnt -= len) {
    len = cnt < BATCH_MAX ? cnt : BATCH_MAX;
    bool ok = len == 1 ? aq_bls_verify_points(items->pk, items->hash, items->sig) : verify_some(items, len, rnd);
    if (!ok) return false;
  }
  return true;
}

/* Halves; four and fewer one by one (tss.md 6.1). When the left half of a failing range is good, the right half needs
   no check of its own before it is cut again. */
size_t aq_bls_find_bad(bool *bad, const aq_bls_item *items, size_t cnt, const uint8_t *rnd) {
  enum { SINGLES = 4, STACK_MAX = 64 };
  struct {
    size_t lo, hi;
    bool fails;
  } todo[STACK_MAX];
  size_t depth = 0, found = 0;
  memset(bad, 0, cnt * sizeof *bad);
  todo[depth].lo = 0, todo[depth].hi = cnt, todo[depth++].fails = false;
  while (depth > 0) {
    size_t lo = todo[depth - 1].lo, hi = todo[depth - 1].hi;
    bool fails = todo[--depth].fails;
    if (hi - lo <= SINGLES) {
      for (size_t i = lo; i < hi; i++) {
        bad[i] = !aq_bls_verify_points(items[i].pk, items[i].hash, items[i].sig);
        found += bad[i];
      }
      continue;
    }
    if (!fails && aq_bls_verify_batch(items + lo, hi - lo, rnd + lo * RHO_LEN)) continue;
    size_t mid = lo + (hi - lo) / 2;
    bool left_ok = aq_bls_verify_batch(items + lo, mid - lo, rnd + lo * RHO_LEN);
    AQ_ASSERT(depth + 2 <= STACK_MAX);
    todo[depth].lo = mid, todo[depth].hi = hi, todo[depth++].fails = left_ok;
    if (!left_ok) todo[depth].lo = lo, todo[depth].hi = mid, todo[depth++].fails = true;
  }
  return found;
}
