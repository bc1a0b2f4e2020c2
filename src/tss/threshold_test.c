/* Every cluster size and threshold: the signature comes with the last partial that it needs. */
#include "fake/tss_world.h"

/* Each place that compares a count of partials with the threshold, for every size of a cluster: one fewer does nothing,
   the last one does it. The model is consensus/quorum_test.c. */

typedef struct {
  uint32_t n, t, own;
  aq_bls_pk group, share[AQ_SHARES_MAX];
  uint8_t secret[32], part[AQ_SHARES_MAX][32];
} keys;

/* One validator of n shares, t of which sign; the world becomes such a cluster. */
static void deal(world *w, keys *k, uint32_t n, uint32_t t) {
  uint8_t wide[64], coeff[AQ_SHARES_MAX][32];
  *k = (keys){.n = n, .t = t, .own = (n + t) % n + 1};
  aq_test_rng_bytes(&w->rng, wide, 64);
  aq_bls_secret_reduce(k->secret, wide);
  for (uint32_t i = 0; i + 1 < t; i++) {
    aq_test_rng_bytes(&w->rng, wide, 64);
    aq_bls_secret_reduce(coeff[i], wide);
  }
  assert_int_equal(aq_tbls_split(k->part, k->secret, (const uint8_t(*)[32])coeff, t, n), AQ_OK);
  pk_of(&k->group, k->secret);
  for (uint32_t i = 0; i < n; i++) pk_of(&k->share[i], k->part[i]);
  w->cluster = (aq_tss_cluster){n, t, k->own - 1, 1, &k->group, k->share};
  w->sig_cnt = w->end_cnt = w->blame_cnt = 0;
  restart(w);
}

static aq_tss_partial part_of(const keys *k, uint64_t slot, uint32_t share, uint64_t root) {
  aq_tss_partial p = {.key = key_of(slot, AQ_DUTY_SYNC_MESSAGE, 0), .share_idx = share};
  root_of(p.root, root);
  aq_bls_sign(p.sig, k->part[share - 1], p.root);
  return p;
}

static void give(world *w, const keys *k, const aq_tss_partial *p) {
  if (p->share_idx == k->own)
    aq_tss_local(w->tss, p, 1);
  else
    assert_int_equal(remote(w, p), AQ_OK);
  fake_env_jobs(&w->env);
}

/* Quorum, all, and f+1: with fewer nothing is promised. */
static uint32_t threshold_of(uint32_t n, int kind) { return kind == 0 ? (2 * n + 2) / 3 : kind == 1 ? n : (n + 2) / 3; }

/* Goal: the signature comes with the threshold's last valid partial, not before and once. Method: partials one by one,
   our own first; one of a stranger's root and, where a share is to spare, one that is wrong do not count. In strict
   mode each is verified first. */
static void signature_needs_the_threshold(void **state) {
  (void)state;
  world *w = world_new(0, 33);
  static keys k;
  for (uint32_t n = 1; n <= AQ_SHARES_MAX; n++) {
    for (int kind = 0; kind < 3; kind++) {
      uint32_t t = threshold_of(n, kind), wrong = n > t && t > 1 ? (n + t + 1) % n + 1 : 0, have = 0;
      w->cfg.strict = n % 2 == 0;
      deal(w, &k, n, t);
      for (uint32_t i = 0; i < n; i++) {
        uint32_t share = (k.own - 1 + i) % n + 1;
        aq_tss_partial p = part_of(&k, 100, share, share == wrong ? 2 : 1);
        if (share == wrong && n % 3) root_of(p.root, 1);
        give(w, &k, &p);
        have += share != wrong;
        assert_int_equal(w->sig_cnt, have >= t);
      }
      uint8_t want[96];
      aq_bls_sign(want, k.secret, w->root[0]);
      assert_bytes(aq_bytes_of(w->sig[0], 96), aq_bytes_of(want, 96));
      for (uint32_t i = 0; i < w->blame_cnt; i++) assert_int_equal(w->blame[i].share, wrong);
    }
  }
  world_free(w);
}

/* Goal: a duty that ends with the threshold of partials, none of whose roots has it, is a conflict; with fewer it is a
   timeout. Method: our own partial of one root, the others' of another; bytes that nobody verifies. */
static void conflict_needs_the_threshold(void **state) {
  (void)state;
  world *w = world_new(0, 34);
  static keys k;
  for (uint32_t n = 2; n <= AQ_SHARES_MAX; n++) {
    for (int kind = 0; kind < 3; kind++) {
      uint32_t t = threshold_of(n, kind);
      if (t < 2) continue;
      deal(w, &k, n, t);
      uint64_t slot = aq_slot_at(&the_chain.clock, fake_env_now(&w->env)) + 1;
      for (uint32_t cnt = t - 1; cnt <= t; cnt++, slot++) {
        for (uint32_t i = 0; i < cnt; i++) {
          aq_tss_partial p = part_of(&k, slot, (k.own - 1 + i) % n + 1, i == 0);
          give(w, &k, &p);
        }
      }
      fake_env_run_until(&w->env, fake_env_now(&w->env) + 4 * the_chain.clock.slot_ns);
      assert_int_equal(w->sig_cnt, 0);
      assert_int_equal(w->end_cnt, 2);
      for (uint32_t i = 0; i < 2; i++) {
        bool conflict = w->end[i].partials == t;
        assert_int_equal(w->end[i].partials, conflict ? t : t - 1);
        assert_int_equal(w->end[i].result, conflict ? AQ_TSS_CONFLICT : AQ_TSS_TIMEOUT);
      }
      assert_true(w->end[0].partials != w->end[1].partials);
    }
  }
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signature_needs_the_threshold),
      cmocka_unit_test(conflict_needs_the_threshold),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
