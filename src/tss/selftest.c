/* A known key, split, signed with, combined and verified on a worker. */
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "tss/tss_internal.h"

/* tss.md 2.4: three partials with fixed shares, verified, combined, verified, so that the latency panel never goes
   blind. */
struct tss_selftest {
  aq_job job;
  aq_tss *tss;
  bool ok;
  uint64_t started_ns;
};

static bool sign_and_combine(void) {
  enum { N = 4, T = 3 };
  static const uint32_t idx[T] = {1, 2, 3};
  uint8_t seed[64], sk[32], coeff[T - 1][32], share[N][32], root[32], pk[48], sig[96];
  aq_bls_point point[T], sum;
  memset(seed, 0x5a, sizeof seed);
  memset(root, 0xa5, sizeof root);
  aq_bls_secret_reduce(sk, seed);
  for (unsigned i = 0; i < T - 1; i++) {
    seed[0] = (uint8_t)i;
    aq_bls_secret_reduce(coeff[i], seed);
  }
  if (aq_tbls_split(share, sk, (const uint8_t(*)[32])coeff, T, N) != AQ_OK) return false;
  for (unsigned i = 0; i < T; i++) {
    aq_bls_sign(sig, share[i], root);
    aq_bls_secret_to_pubkey(pk, share[i]);
    if (aq_bls_verify(pk, root, sig) != AQ_OK || aq_bls_sig_decode(&point[i], sig, false) != AQ_OK) return false;
  }
  aq_tbls_combine(&sum, point, idx, T);
  aq_bls_sig_encode(sig, &sum);
  aq_bls_secret_to_pubkey(pk, sk);
  return aq_bls_verify(pk, root, sig) == AQ_OK;
}

static void run(aq_job *job) { AQ_CONTAINER(job, tss_selftest, job)->ok = sign_and_combine(); }

static void done(aq_job *job) {
  tss_selftest *t = AQ_CONTAINER(job, tss_selftest, job);
  aq_tss *s = t->tss;
  if (s) {
    s->selftest = NULL;
    aq_metric_observe(AQ_M_SERVICE_OP_MS, tss_ms(aq_mono_ns(s->cfg.env) - t->started_ns), AQ_LABELS("tss", "selftest"));
    if (!t->ok) AQ_LOG(AQ_LOG_ERROR, "tss_selftest", AQ_STR("result", "error"));
  }
  free(t);
}

void tss_selftest_start(aq_tss *s) {
  if (s->selftest) return;
  tss_selftest *t = calloc(1, sizeof *t);
  if (!t) return;
  t->job = (aq_job){.run = run, .done = done, .priority = AQ_JOB_BACKGROUND};
  t->tss = s;
  t->started_ns = aq_mono_ns(s->cfg.env);
  s->selftest = t;
  aq_work(s->cfg.env, &t->job);
}

void tss_selftest_stop(aq_tss *s) {
  if (s->selftest) s->selftest->tss = NULL;
}
