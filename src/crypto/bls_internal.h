/* crypto/bls_internal.h - the public point types of crypto/bls.h as blst's. For the files of this folder only. */
#ifndef AQ_CRYPTO_BLS_INTERNAL_H
#define AQ_CRYPTO_BLS_INTERNAL_H

#include <blst.h>

#include "crypto/bls.h"

_Static_assert(sizeof(aq_bls_pk) == sizeof(blst_p1_affine), "G1 size");
_Static_assert(sizeof(aq_bls_point) == sizeof(blst_p2_affine), "G2 size");
_Static_assert(_Alignof(aq_bls_pk) >= _Alignof(blst_p1_affine), "alignment");

static inline const blst_p1_affine *aq_blst_g1(const aq_bls_pk *p) { return (const blst_p1_affine *)p; }
static inline const blst_p2_affine *aq_blst_g2(const aq_bls_point *p) { return (const blst_p2_affine *)p; }
static inline blst_p1_affine *aq_blst_g1_out(aq_bls_pk *p) { return (blst_p1_affine *)p; }
static inline blst_p2_affine *aq_blst_g2_out(aq_bls_point *p) { return (blst_p2_affine *)p; }

#endif
