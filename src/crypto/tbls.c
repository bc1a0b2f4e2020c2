/* The threshold part of crypto/bls.h. */
#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/bls_internal.h"
#include "crypto/secret.h"

AQ_EXTENSION typedef __int128 i128;

enum { SCALAR_BITS = 255 };

static void fr_of(blst_fr *out, uint64_t v) { blst_fr_from_uint64(out, (const uint64_t[4]){v, 0, 0, 0}); }

static void fr_from_bytes(blst_fr *out, const uint8_t in[32]) {
  blst_scalar s;
  blst_scalar_from_bendian(&s, in);
  blst_fr_from_scalar(out, &s);
  aq_wipe(&s, sizeof s);
}

static void fr_to_bytes(uint8_t out[32], const blst_fr *in) {
  blst_scalar s;
  blst_scalar_from_fr(&s, in);
  blst_bendian_from_scalar(out, &s);
  aq_wipe(&s, sizeof s);
}

aq_status aq_tbls_split(uint8_t (*shares)[32], const uint8_t sk[32], const uint8_t (*coeff)[32], unsigned t,
                        unsigned n) {
  if (t == 0 || t > n || n > AQ_SHARES_MAX || aq_bls_secret_check(sk) != AQ_OK) return AQ_E_FORMAT;
  blst_fr a[AQ_SHARES_MAX], x, y;
  aq_status st = AQ_OK;
  fr_from_bytes(&a[0], sk);
  for (unsigned k = 1; k < t && st == AQ_OK; k++) {
    st = aq_bls_secret_check(coeff[k - 1]);
    if (st == AQ_OK) fr_from_bytes(&a[k], coeff[k - 1]);
  }
  for (unsigned i = 1; i <= n && st == AQ_OK; i++) {
    fr_of(&x, i);
    y = a[t - 1];
    for (unsigned k = t - 1; k-- > 0;) {
      blst_fr_mul(&y, &y, &x);
      blst_fr_add(&y, &y, &a[k]);
    }
    fr_to_bytes(shares[i - 1], &y);
    st = aq_bls_secret_check(shares[i - 1]); /* a zero share: once in 2^255 */
  }
  aq_wipe(a, sizeof a);
  aq_wipe(&y, sizeof y);
  aq_stack_clear();
  return st;
}

/* ---- Lagrange coefficients at 0: cluster.md 4.2 ---- */

/* lambda_i mod r, full width. */
static void lambda_fr(blst_fr *out, const uint32_t *idx, unsigned cnt, unsigned i) {
  blst_fr num, den, v;
  fr_of(&num, 1), fr_of(&den, 1);
  for (unsigned j = 0; j < cnt; j++) {
    if (j == i) continue;
    fr_of(&v, idx[j]);
    blst_fr_mul(&num, &num, &v);
    fr_of(&v, idx[j] > idx[i] ? idx[j] - idx[i] : idx[i] - idx[j]);
    blst_fr_cneg(&v, &v, idx[j] < idx[i]);
    blst_fr_mul(&den, &den, &v);
  }
  blst_fr_inverse(&den, &den);
  blst_fr_mul(out, &num, &den);
}

static void lambda_scalar(blst_scalar *out, const uint32_t *idx, unsigned cnt, unsigned i) {
  blst_fr v;
  lambda_fr(&v, idx, cnt, i);
  blst_scalar_from_fr(out, &v);
}

static i128 gcd(i128 a, i128 b) {
  if (a < 0) a = -a;
  if (b < 0) b = -b;
  while (b != 0) {
    i128 rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* lambda_i as a reduced fraction with a positive denominator; false when 128 bits do not hold it. */
static bool lambda_ratio(i128 *num, i128 *den, const uint32_t *idx, unsigned cnt, unsigned i) {
  *num = *den = 1;
  for (unsigned j = 0; j < cnt; j++) {
    if (j == i) continue;
    i128 up = idx[j], down = (i128)idx[j] - idx[i];
    i128 g = gcd(up, down);
    up /= g, down /= g;
    g = gcd(*num, down);
    *num /= g, down /= g;
    g = gcd(up, *den);
    up /= g, *den /= g;
    if (__builtin_mul_overflow(*num, up, num) || __builtin_mul_overflow(*den, down, den)) return false;
  }
  if (*den < 0) *num = -*num, *den = -*den;
  return true;
}

bool aq_tbls_lagrange(int64_t *coeff, int64_t *den, const uint32_t *idx, unsigned cnt) {
  if (!aq_tbls_indices_ok(idx, cnt)) return false;
  i128 num[AQ_SHARES_MAX], below[AQ_SHARES_MAX], lcm = 1;
  for (unsigned i = 0; i < cnt; i++) {
    if (!lambda_ratio(&num[i], &below[i], idx, cnt, i)) return false;
    if (__builtin_mul_overflow(lcm / gcd(lcm, below[i]), below[i], &lcm) || lcm > INT64_MAX) return false;
  }
  for (unsigned i = 0; i < cnt; i++) {
    i128 c;
    if (__builtin_mul_overflow(num[i], lcm / below[i], &c) || c > INT64_MAX || c < -INT64_MAX) return false;
    coeff[i] = (int64_t)c;
  }
  *den = (int64_t)lcm;
  return true;
}

/* ---- interpolation ---- */

aq_status aq_tbls_recover_secret(uint8_t sk[32], const uint8_t (*shares)[32], const uint32_t *idx, unsigned cnt) {
  if (!aq_tbls_indices_ok(idx, cnt)) return AQ_E_FORMAT;
  blst_fr sum, lambda, share;
  fr_of(&sum, 0);
  aq_status st = AQ_OK;
  for (unsigned i = 0; i < cnt && st == AQ_OK; i++) {
    st = aq_bls_secret_check(shares[i]);
    if (st != AQ_OK) break;
    lambda_fr(&lambda, idx, cnt, i);
    fr_from_bytes(&share, shares[i]);
    blst_fr_mul(&share, &share, &lambda);
    blst_fr_add(&sum, &sum, &share);
  }
  if (st == AQ_OK) {
    fr_to_bytes(sk, &sum);
    st = aq_bls_secret_check(sk);
  }
  aq_wipe(&sum, sizeof sum);
  aq_wipe(&share, sizeof share);
  aq_stack_clear();
  return st;
}

aq_status aq_tbls_recover_pubkey(uint8_t out[48], const aq_bls_pk *shares, const uint32_t *idx, unsigned cnt) {
  if (!aq_tbls_indices_ok(idx, cnt)) return AQ_E_FORMAT;
  blst_p1 sum, p;
  memset(&sum, 0, sizeof sum); /* infinity */
  for (unsigned i = 0; i < cnt; i++) {
    blst_scalar lambda;
    lambda_scalar(&lambda, idx, cnt, i);
    blst_p1_from_affine(&p, aq_blst_g1(&shares[i]));
    blst_p1_mult(&p, &p, lambda.b, SCALAR_BITS);
    blst_p1_add_or_double(&sum, &sum, &p);
  }
  if (blst_p1_is_inf(&sum)) return AQ_E_FORMAT;
  blst_p1_compress(out, &sum);
  return AQ_OK;
}

/* Straus with shared doublings; partials may be equal or opposite, so only complete additions (tss.md 4.2). */
static void combine_small(blst_p2 *sum, const aq_bls_point *partials, const int64_t *coeff, unsigned cnt) {
  uint64_t size[AQ_SHARES_MAX], all = 0;
  blst_p2_affine p[AQ_SHARES_MAX];
  for (unsigned i = 0; i < cnt; i++) {
    p[i] = *aq_blst_g2(&partials[i]);
    blst_fp2_cneg(&p[i].y, &p[i].y, coeff[i] < 0);
    size[i] = (uint64_t)(coeff[i] < 0 ? -coeff[i] : coeff[i]);
    all |= size[i];
  }
  memset(sum, 0, sizeof *sum); /* infinity */
  for (unsigned bit = 64 - (unsigned)__builtin_clzll(all); bit-- > 0;) {
    blst_p2_double(sum, sum);
    for (unsigned i = 0; i < cnt; i++) {
      if (size[i] >> bit & 1) blst_p2_add_or_double_affine(sum, sum, &p[i]);
    }
  }
}

static void combine_wide(blst_p2 *sum, const aq_bls_point *partials, const uint32_t *idx, unsigned cnt) {
  memset(sum, 0, sizeof *sum); /* infinity */
  for (unsigned i = 0; i < cnt; i++) {
    blst_scalar lambda;
    blst_p2 p;
    lambda_scalar(&lambda, idx, cnt, i);
    blst_p2_from_affine(&p, aq_blst_g2(&partials[i]));
    blst_p2_mult(&p, &p, lambda.b, SCALAR_BITS);
    blst_p2_add_or_double(sum, sum, &p);
  }
}

void aq_tbls_combine(aq_bls_point *out, const aq_bls_point *partials, const uint32_t *idx, unsigned cnt) {
  AQ_ASSERT(aq_tbls_indices_ok(idx, cnt));
  int64_t coeff[AQ_SHARES_MAX], den;
  blst_p2 sum;
  if (aq_tbls_lagrange(coeff, &den, idx, cnt)) {
    combine_small(&sum, partials, coeff, cnt);
    if (den != 1) {
      blst_fr inverse;
      blst_scalar s;
      fr_of(&inverse, (uint64_t)den);
      blst_fr_inverse(&inverse, &inverse);
      blst_scalar_from_fr(&s, &inverse);
      blst_p2_mult(&sum, &sum, s.b, SCALAR_BITS);
    }
  } else {
    combine_wide(&sum, partials, idx, cnt);
  }
  blst_p2_to_affine(aq_blst_g2_out(out), &sum);
}
