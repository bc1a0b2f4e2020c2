/* crypto/bls.h - BLS12-381 signatures, minimal public key size, ciphersuite
   BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_, and the threshold arithmetic on them. Spec: tss.md 4, cluster.md 4.1
   to 4.3. Pure: no threads, no clock; randomness is passed in. Everything but signing and splitting is variable time on
   public data. */
#ifndef AQ_CRYPTO_BLS_H
#define AQ_CRYPTO_BLS_H

#include "base/bytes.h"

enum { AQ_PUBKEY_LEN = 48, AQ_SIG_LEN = 96, AQ_SECKEY_LEN = 32, AQ_SHARES_MAX = 32 };

typedef struct {
  uint8_t b[48];
} aq_pubkey;
typedef struct {
  uint8_t b[96];
} aq_sig;

/* Decoded points in blst's affine form (sizes asserted in bls.c). A decoded key is on the curve, in the subgroup, not
   infinity. */
typedef struct {
  uint64_t w[12];
} aq_bls_pk;
typedef struct {
  uint64_t w[24];
} aq_bls_point; /* G2: a signature or a hashed root */

AQ_NODISCARD aq_status aq_bls_pk_decode(aq_bls_pk *out, const uint8_t in[48]); /* AQ_E_FORMAT */
/* Curve check always; subgroup check only when asked (tss.md 4.1). Infinity is refused. */
AQ_NODISCARD aq_status aq_bls_sig_decode(aq_bls_point *out, const uint8_t in[96], bool subgroup);
bool aq_bls_in_subgroup(const aq_bls_point *sig);
void aq_bls_sig_encode(uint8_t out[96], const aq_bls_point *sig);
void aq_bls_hash(aq_bls_point *out, const uint8_t root[32]); /* hash to curve, affine; 185 us: cache it by root */

/* Secret key: 32 bytes big endian in [1, r-1]. */
AQ_NODISCARD aq_status aq_bls_secret_check(const uint8_t sk[32]);
void aq_bls_secret_from_seed(uint8_t sk[32], const uint8_t *ikm, size_t ikm_len); /* RFC draft KeyGen; ikm_len >= 32 */
void aq_bls_secret_reduce(uint8_t sk[32], const uint8_t wide[64]);                /* uniform bytes mod r, never 0 */
void aq_bls_secret_to_pubkey(uint8_t out[48], const uint8_t sk[32]);
void aq_bls_sign(uint8_t out[96], const uint8_t sk[32], const uint8_t root[32]);

/* From bytes, with subgroup checks: AQ_OK, AQ_E_FORMAT, AQ_E_AUTH. */
AQ_NODISCARD aq_status aq_bls_verify(const uint8_t pubkey[48], const uint8_t root[32], const uint8_t sig[96]);
bool aq_bls_verify_points(const aq_bls_pk *pk, const aq_bls_point *hash,
                          const aq_bls_point *sig); /* sig in the subgroup */
/* Aggregate of plain signatures and fast aggregate verify (one root, many keys). */
AQ_NODISCARD aq_status aq_bls_aggregate(uint8_t out[96], const aq_sig *sigs, size_t cnt);
AQ_NODISCARD aq_status aq_bls_fast_aggregate_verify(const aq_bls_pk *pks, size_t cnt, const uint8_t root[32],
                                                    const uint8_t sig[96]);

/* One check for many signatures: random odd 64-bit factors from `rnd` (8 bytes an item, unpredictable to peers), one
   Miller loop a distinct hash plus one. All signatures must be in the subgroup. hash[i] belongs to item i; equal
   pointers share a loop. true: every item verifies, but for 2^-63. */
typedef struct {
  const aq_bls_pk *pk;
  const aq_bls_point *hash;
  const aq_bls_point *sig;
} aq_bls_item;
bool aq_bls_verify_batch(const aq_bls_item *items, size_t cnt, const uint8_t *rnd);
/* The items that do not verify, by bisection: bad[i] set; returns their number. rnd: 8 * cnt bytes. */
size_t aq_bls_find_bad(bool *bad, const aq_bls_item *items, size_t cnt, const uint8_t *rnd);

/* ---- threshold ---- */

/* Share indices as all functions here want them: distinct, from 1, at most AQ_SHARES_MAX of them. */
static inline bool aq_tbls_indices_ok(const uint32_t *idx, unsigned cnt) {
  if (cnt == 0 || cnt > AQ_SHARES_MAX) return false;
  for (unsigned i = 0; i < cnt; i++) {
    if (idx[i] == 0) return false;
    for (unsigned j = 0; j < i; j++) {
      if (idx[i] == idx[j]) return false;
    }
  }
  return true;
}

/* Shamir: share i (1-based, i <= n) of the secret. coeff: (t-1) * 32 random scalars from aq_bls_secret_reduce. Wiped
   inside. */
AQ_NODISCARD aq_status aq_tbls_split(uint8_t (*shares)[32], const uint8_t sk[32], const uint8_t (*coeff)[32],
                                     unsigned t, unsigned n);
/* Interpolates at 0. idx: distinct share indices >= 1. AQ_E_FORMAT on bad input. */
AQ_NODISCARD aq_status aq_tbls_recover_secret(uint8_t sk[32], const uint8_t (*shares)[32], const uint32_t *idx,
                                              unsigned cnt);
AQ_NODISCARD aq_status aq_tbls_recover_pubkey(uint8_t out[48], const aq_bls_pk *shares, const uint32_t *idx,
                                              unsigned cnt);
/* Integer Lagrange coefficients at 0: lambda_i = coeff[i] / den. false when they do not fit int64 (large n): then
   combine uses the full-width way by itself. */
bool aq_tbls_lagrange(int64_t *coeff, int64_t *den, const uint32_t *idx, unsigned cnt);
/* Combines cnt partials (any number >= 1, the caller passes exactly t). The result is NOT verified and not
   subgroup-checked. */
void aq_tbls_combine(aq_bls_point *out, const aq_bls_point *partials, const uint32_t *idx, unsigned cnt);

#endif
