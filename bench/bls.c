/* Threshold signing: tss.md 7. Ratios to a single verification of cached key and root are its cost model. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "bench.h"
#include "crypto/aead.h"
#include "crypto/bls.h"

enum { MANY = 100, SHARES = 10 };

static struct {
  uint8_t sk[MANY][32], pub[MANY][48], sig[MANY][96], root[32], wide[64], rnd[MANY * 8];
  aq_bls_pk pk[MANY];
  aq_bls_point point[MANY], hash;
  aq_bls_item items[MANY];
  uint8_t shares[SHARES][32], partial[SHARES][96];
  aq_bls_point partials[SHARES];
} d;

static void prepare(void) {
  aq_system_random(d.root, sizeof d.root);
  aq_system_random(d.rnd, sizeof d.rnd);
  aq_bls_hash(&d.hash, d.root);
  for (size_t i = 0; i < MANY; i++) {
    aq_system_random(d.wide, sizeof d.wide);
    aq_bls_secret_reduce(d.sk[i], d.wide);
    aq_bls_secret_to_pubkey(d.pub[i], d.sk[i]);
    aq_bls_sign(d.sig[i], d.sk[i], d.root);
    AQ_MUST(aq_bls_pk_decode(&d.pk[i], d.pub[i]) == AQ_OK);
    AQ_MUST(aq_bls_sig_decode(&d.point[i], d.sig[i], true) == AQ_OK);
    d.items[i] = (aq_bls_item){.pk = &d.pk[i], .hash = &d.hash, .sig = &d.point[i]};
  }
}

static void op_keygen(void *arg) {
  (void)arg;
  aq_bls_secret_reduce(d.sk[0], d.wide);
  aq_bls_secret_to_pubkey(d.pub[0], d.sk[0]);
}

static void op_sign(void *arg) {
  (void)arg;
  aq_bls_sign(d.sig[0], d.sk[0], d.root);
}

static void op_hash(void *arg) {
  (void)arg;
  aq_bls_hash(&d.hash, d.root);
}

static void op_decode(void *arg) { AQ_MUST(aq_bls_sig_decode(&d.point[0], d.sig[0], arg != NULL) == AQ_OK); }

static void op_verify_bytes(void *arg) {
  (void)arg;
  AQ_MUST(aq_bls_verify(d.pub[1], d.root, d.sig[1]) == AQ_OK);
}

static void op_verify_cached(void *arg) {
  (void)arg;
  AQ_MUST(aq_bls_sig_decode(&d.point[1], d.sig[1], true) == AQ_OK);
  AQ_MUST(aq_bls_verify_points(&d.pk[1], &d.hash, &d.point[1]));
}

static void op_batch_points(void *arg) { AQ_MUST(aq_bls_verify_batch(d.items, *(size_t *)arg, d.rnd)); }

static void op_batch_bytes(void *arg) {
  size_t cnt = *(size_t *)arg;
  for (size_t i = 0; i < cnt; i++) AQ_MUST(aq_bls_sig_decode(&d.point[i], d.sig[i], true) == AQ_OK);
  AQ_MUST(aq_bls_verify_batch(d.items, cnt, d.rnd));
}

typedef struct {
  unsigned t, n;
  uint32_t idx[SHARES];
} subset;

static void prepare_shares(const subset *s) {
  AQ_MUST(aq_tbls_split(d.shares, d.sk[0], (const uint8_t(*)[32])(d.sk + 1), s->t, s->n) == AQ_OK);
  for (unsigned i = 0; i < s->t; i++) {
    aq_bls_sign(d.partial[i], d.shares[s->idx[i] - 1], d.root);
    AQ_MUST(aq_bls_sig_decode(&d.partials[i], d.partial[i], false) == AQ_OK);
  }
}

static void op_combine(void *arg) {
  const subset *s = arg;
  aq_bls_point out;
  aq_tbls_combine(&out, d.partials, s->idx, s->t);
}

/* What a session costs: partials from bytes, combination, subgroup check, verification (tss.md 4.4 with m = 1). */
static void op_session(void *arg) {
  const subset *s = arg;
  aq_bls_point out;
  for (unsigned i = 0; i < s->t; i++) AQ_MUST(aq_bls_sig_decode(&d.partials[i], d.partial[i], false) == AQ_OK);
  aq_tbls_combine(&out, d.partials, s->idx, s->t);
  AQ_MUST(aq_bls_in_subgroup(&out) && aq_bls_verify_points(&d.pk[0], &d.hash, &out));
}

static void bench_combine(aq_bench *b) {
  static subset sets[] = {
      {3, 4, {2, 3, 4}}, {3, 4, {1, 2, 4}}, {5, 7, {1, 2, 3, 4, 5}}, {7, 10, {1, 2, 3, 4, 5, 6, 7}}};
  static const char *const kind[] = {"", "Denominator", "", ""};
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    char name[64];
    prepare_shares(&sets[i]);
    snprintf(name, sizeof name, "BenchmarkCombine%uof%u%s", sets[i].t, sets[i].n, kind[i]);
    aq_bench_run(b, name, op_combine, &sets[i], 0);
    snprintf(name, sizeof name, "BenchmarkSession%uof%u%s", sets[i].t, sets[i].n, kind[i]);
    aq_bench_run(b, name, op_session, &sets[i], 0);
  }
  aq_bench_ratio(b, "session 3 of 4 / three single verifications", "BenchmarkSession3of4", 3, "BenchmarkVerifyShare");
}

void aq_bench_bls(aq_bench *b);
void aq_bench_bls(aq_bench *b) {
  static size_t cnt[] = {4, 32, 100};
  prepare();
  aq_bench_run(b, "BenchmarkKeyGen", op_keygen, NULL, 0);
  prepare();
  aq_bench_run(b, "BenchmarkSignShare", op_sign, NULL, 0);
  aq_bench_run(b, "BenchmarkHashToG2", op_hash, NULL, 0);
  aq_bench_run(b, "BenchmarkDecodeSig", op_decode, NULL, 0);
  aq_bench_run(b, "BenchmarkDecodeSigSubgroup", op_decode, b, 0);
  aq_bench_run(b, "BenchmarkVerifyShare", op_verify_cached, NULL, 0);
  aq_bench_run(b, "BenchmarkVerifyAggregate", op_verify_bytes, NULL, 0);
  for (size_t i = 0; i < sizeof cnt / sizeof *cnt; i++) {
    char name[64], title[64];
    snprintf(name, sizeof name, "BenchmarkBatchPoints%zu", cnt[i]);
    aq_bench_run(b, name, op_batch_points, &cnt[i], 0);
    snprintf(name, sizeof name, "BenchmarkBatchBytes%zu", cnt[i]);
    aq_bench_run(b, name, op_batch_bytes, &cnt[i], 0);
    snprintf(title, sizeof title, "batch of %zu, one root / %zu single verifications", cnt[i], cnt[i]);
    aq_bench_ratio(b, title, name, cnt[i], "BenchmarkVerifyShare");
  }
  bench_combine(b);
}
