/* Encodings of keys and signatures, and combination of whatever decodes, at indices from the input. */
#include "base/assert.h"
#include "crypto/bls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void keys(aq_rd *r) {
  uint8_t in[48], out[48];
  aq_bls_pk pk;
  aq_rd_copy(r, in, sizeof in);
  if (aq_bls_pk_decode(&pk, in) != AQ_OK) return;
  /* A decoded key has exactly one encoding: interpolation over one share gives it back. */
  AQ_ASSERT(aq_tbls_recover_pubkey(out, &pk, (const uint32_t[]){1}, 1) == AQ_OK);
  AQ_ASSERT(memcmp(in, out, sizeof in) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  aq_rd r = aq_rd_of(aq_bytes_of(data, len));
  aq_bls_point partials[AQ_SHARES_MAX], out;
  uint32_t idx[AQ_SHARES_MAX], at = 0;
  unsigned cnt = 0;
  keys(&r);
  while (r.left >= 97 && cnt < AQ_SHARES_MAX) {
    uint8_t in[96], back[96];
    uint32_t step = aq_rd_u8(&r);
    aq_rd_copy(&r, in, sizeof in);
    bool loose = aq_bls_sig_decode(&partials[cnt], in, false) == AQ_OK;
    AQ_ASSERT((aq_bls_sig_decode(&out, in, true) == AQ_OK) == (loose && aq_bls_in_subgroup(&partials[cnt])));
    if (!loose) continue;
    aq_bls_sig_encode(back, &partials[cnt]);
    AQ_ASSERT(memcmp(in, back, sizeof in) == 0);
    idx[cnt++] = at += 1 + step * (step > 250 ? 1u << 20 : 1);
  }
  if (cnt == 0) return 0;
  aq_tbls_combine(&out, partials, idx, cnt);
  int64_t coeff[AQ_SHARES_MAX], den;
  if (aq_tbls_lagrange(coeff, &den, idx, cnt)) {
    /* The coefficients of the constant polynomial 1 sum up to 1, when the sum fits. */
    int64_t sum = 0;
    bool fits = true;
    for (unsigned i = 0; i < cnt && fits; i++) fits = !__builtin_add_overflow(sum, coeff[i], &sum);
    AQ_ASSERT(!fits || sum == den);
  }
  return 0;
}
