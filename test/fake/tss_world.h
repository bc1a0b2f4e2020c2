/* fake/tss_world.h - a cluster of four with its keys around one aq_tss, and what it said. Header only, tests only. */
#ifndef AQ_FAKE_TSS_WORLD_H
#define AQ_FAKE_TSS_WORLD_H

#include "aq_test.h"

#include "base/hex.h"
#include "base/metrics.h"
#include "fake/env.h"
#include "tss/tss_internal.h"

enum { N = 4, T = 3, V = 8, LOG_MAX = 4096 };

static const aq_chain the_chain = {
    .clock = {.genesis_ns = 1000 * AQ_NS_PER_SEC, .slot_ns = 12 * AQ_NS_PER_SEC, .slots_per_epoch = 32}};

typedef struct {
  aq_sign_key key;
  uint32_t share;
  aq_blame why;
} blame_row;

typedef struct {
  aq_sign_key key;
  aq_tss_result result;
  uint32_t partials;
} end_row;

typedef struct {
  fake_env env;
  aq_tss_cluster cluster;
  aq_bls_pk group[V], share[V * N];
  uint8_t secret[V][32], part[V][N][32];
  aq_tss_cfg cfg;
  aq_tss *tss;
  uint8_t (*sig)[96], (*root)[32];
  aq_sign_key *sig_key;
  uint32_t sig_cnt, blame_cnt, end_cnt;
  blame_row blame[LOG_MAX];
  end_row end[LOG_MAX];
  aq_test_rng rng;
} world;

static inline void on_signature(void *arg, const aq_sign_key *key, const uint8_t root[32], const uint8_t sig[96]) {
  world *w = arg;
  assert_true(w->sig_cnt < LOG_MAX);
  w->sig_key[w->sig_cnt] = *key;
  memcpy(w->root[w->sig_cnt], root, 32);
  memcpy(w->sig[w->sig_cnt++], sig, 96);
}

static inline void on_blame(void *arg, const aq_sign_key *key, uint32_t share, aq_blame why) {
  world *w = arg;
  assert_true(w->blame_cnt < LOG_MAX);
  w->blame[w->blame_cnt++] = (blame_row){*key, share, why};
}

static inline void on_end(void *arg, const aq_sign_key *key, aq_tss_result result, uint32_t partials) {
  world *w = arg;
  assert_true(w->end_cnt < LOG_MAX);
  w->end[w->end_cnt++] = (end_row){*key, result, partials};
}

static inline void pk_of(aq_bls_pk *out, const uint8_t sk[32]) {
  uint8_t pk[48];
  aq_bls_secret_to_pubkey(pk, sk);
  assert_int_equal(aq_bls_pk_decode(out, pk), AQ_OK);
}

static inline void restart(world *w) {
  aq_tss_free(w->tss);
  w->tss = aq_tss_new(&w->cfg);
}

/* A cluster of 4 with V validators; we are the operator `self`. */
static inline world *world_new(uint32_t self, uint64_t seed) {
  static uint8_t sigs[LOG_MAX][96], roots[LOG_MAX][32];
  static aq_sign_key keys[LOG_MAX];
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  aq_metrics_init();
  aq_test_rng_seed(&w->rng, seed);
  fake_env_init(&w->env, the_chain.clock.genesis_ns + 100 * the_chain.clock.slot_ns);
  w->sig = sigs, w->root = roots, w->sig_key = keys;
  w->cluster = (aq_tss_cluster){N, T, self, V, w->group, w->share};
  for (uint32_t v = 0; v < V; v++) {
    uint8_t wide[64], coeff[T - 1][32];
    aq_test_rng_bytes(&w->rng, wide, 64);
    aq_bls_secret_reduce(w->secret[v], wide);
    for (uint32_t i = 0; i < T - 1; i++) {
      aq_test_rng_bytes(&w->rng, wide, 64);
      aq_bls_secret_reduce(coeff[i], wide);
    }
    assert_int_equal(aq_tbls_split(w->part[v], w->secret[v], (const uint8_t(*)[32])coeff, T, N), AQ_OK);
    pk_of(&w->group[v], w->secret[v]);
    for (uint32_t i = 0; i < N; i++) pk_of(&w->share[v * N + i], w->part[v][i]);
  }
  w->cfg = (aq_tss_cfg){.env = &w->env.env,
                        .cluster = &w->cluster,
                        .chain = &the_chain,
                        .arg = w,
                        .signature = on_signature,
                        .blame = on_blame,
                        .end = on_end};
  restart(w);
  return w;
}

static inline void world_free(world *w) {
  aq_tss_free(w->tss);
  assert_true(aq_metric_value(AQ_M_TSS_SESSIONS_OPEN, AQ_NO_LABELS) == 0);
  fake_env_free(&w->env);
  free(w);
}

static inline aq_sign_key key_of(uint64_t slot, aq_duty_type type, uint32_t v) {
  return (aq_sign_key){.duty = {slot, type}, .validator = v};
}

static inline void root_of(uint8_t out[32], uint64_t n) {
  memset(out, 0x11, 32);
  aq_le64_put(out, n);
}

static inline aq_tss_partial sign(const world *w, aq_sign_key key, uint32_t share, uint64_t root) {
  aq_tss_partial p = {.key = key, .share_idx = share};
  root_of(p.root, root);
  aq_bls_sign(p.sig, w->part[key.validator][share - 1], p.root);
  return p;
}

static inline aq_status remote(world *w, const aq_tss_partial *p) { return aq_tss_remote(w->tss, p, 1); }

static inline void want_group_sig(const world *w, uint32_t i, uint64_t root) {
  uint8_t r[32], want[96];
  root_of(r, root);
  aq_bls_sign(want, w->secret[w->sig_key[i].validator], r);
  assert_bytes(aq_bytes_of(w->sig[i], 96), aq_bytes_of(want, 96));
  assert_bytes(aq_bytes_of(w->root[i], 32), aq_bytes_of(r, 32));
}

static inline double metric(aq_metric_id id, const char *label) { return aq_metric_value(id, AQ_LABELS(label)); }

static inline void add_point(uint8_t sig[96], const uint8_t x[96]) {
  aq_sig two[2];
  memcpy(two[0].b, sig, 96);
  memcpy(two[1].b, x, 96);
  assert_int_equal(aq_bls_aggregate(sig, two, 2), AQ_OK);
}

typedef enum { FLIP, OTHER_MSG, OTHER_VALIDATOR, OTHER_SHARE, INFINITY_POINT, OFF_SUBGROUP, NEGATED, KINDS } corruption;

static inline void corrupt(world *w, aq_tss_partial *p, corruption kind, uint64_t root) {
  aq_sign_key other = p->key;
  uint8_t keep[32];
  memcpy(keep, p->root, 32);
  other.validator = (p->key.validator + 1) % V;
  switch (kind) {
    case FLIP: p->sig[1 + aq_test_rng_next(&w->rng) % 95] ^= (uint8_t)(1u << aq_test_rng_next(&w->rng) % 8); break;
    case OTHER_MSG: *p = sign(w, p->key, p->share_idx, root + 1000000); break;
    case OTHER_VALIDATOR: memcpy(p->sig, sign(w, other, p->share_idx, root).sig, 96); break;
    case OTHER_SHARE: memcpy(p->sig, sign(w, p->key, p->share_idx % N + 1, root).sig, 96); break;
    case INFINITY_POINT:
      memset(p->sig, 0, 96);
      p->sig[0] = 0xc0;
      break;
    case OFF_SUBGROUP: { /* a point of the curve; that it lies in the subgroup is a matter of 2^-126 */
      aq_bls_point point;
      do {
        aq_test_rng_bytes(&w->rng, p->sig, 96);
        p->sig[0] = (uint8_t)((p->sig[0] & 0x0f) | 0x80);
      } while (aq_bls_sig_decode(&point, p->sig, false) != AQ_OK);
      break;
    }
    case NEGATED: p->sig[0] ^= 0x20; break;
    case KINDS: fail();
  }
  memcpy(p->root, keep, 32);
}

#endif
