/* Rooms of a session: strangers' roots, evicted partials, places in the maps. */
#include "fake/tss_world.h"

/* A cluster of n with bytes for signatures, which nobody looks at below the threshold of n. */
static void wide_cluster(world *w, aq_bls_pk share[AQ_SHARES_MAX], uint32_t n) {
  for (uint32_t i = 0; i < n; i++) share[i] = w->share[0];
  w->cluster = (aq_tss_cluster){n, n, n - 1, 1, w->group, share};
  restart(w);
}

static aq_tss_partial bytes_of(aq_sign_key key, uint32_t share, uint8_t first, uint8_t last) {
  aq_tss_partial p = {.key = key, .share_idx = share};
  p.root[0] = first, p.root[31] = last;
  p.sig[0] = 0x80, p.sig[1] = (uint8_t)share;
  return p;
}

/* Goal: strangers' roots of a session are f+1 or four, whatever they are; what we signed and what was agreed has room
   besides (tss.md 3). Method: clusters of 7 to 32, a root a peer; one of zeros, one that differs from the agreed one in
   its last byte. */
static void test_group_limit(void **state) {
  (void)state;
  world *w = world_new(0, 40);
  aq_bls_pk share[AQ_SHARES_MAX];
  for (uint32_t n = 7; n <= AQ_SHARES_MAX; n++) {
    aq_sign_key key = key_of(100, AQ_DUTY_SYNC_MESSAGE, 0);
    uint32_t max = (n + 2) / 3 > 4 ? (n + 2) / 3 : 4, peer = 1;
    double refused = metric(AQ_M_TSS_RATE_LIMITED_TOTAL, "tss_group");
    wide_cluster(w, share, n);
    for (; peer <= max; peer++) {
      aq_tss_partial p = bytes_of(key, peer, (uint8_t)peer, 1);
      assert_int_equal(remote(w, &p), AQ_OK);
    }
    aq_tss_partial own = bytes_of(key, n, 200, 1), zero = bytes_of(key, peer, 0, 0),
                   agreed = bytes_of(key, peer, 201, 1), near = bytes_of(key, peer, 201, 2),
                   known = bytes_of(key, peer + 1, (uint8_t)max, 1);
    assert_int_equal(remote(w, &zero), AQ_E_LIMIT);
    aq_tss_local(w->tss, &own, 1);
    aq_tss_agreed(w->tss, &key, agreed.root);
    assert_int_equal(remote(w, &zero), AQ_E_LIMIT);
    assert_int_equal(remote(w, &near), AQ_E_LIMIT);
    assert_true(metric(AQ_M_TSS_RATE_LIMITED_TOTAL, "tss_group") == refused + 3);
    assert_int_equal(remote(w, &agreed), AQ_OK);
    assert_int_equal(remote(w, &known), AQ_OK);
    const tss_session *e = tss_find(w->tss, &key);
    assert_int_equal(e->group_cnt, max + 2);
    assert_non_null(tss_group_of(e, own.root));
  }
  world_free(w);
}

/* Goal: a partial that was pushed out while its batch was on its way does not come back with the result (tss.md 2.3).
   Method: an exit whose batch fails by share 3; meanwhile share 2 sends ten newer ones; the fourth share is then one
   too few. */
static void test_evicted_in_flight(void **state) {
  (void)state;
  world *w = world_new(0, 41);
  for (uint64_t i = 0; i <= 10; i++) {
    for (uint32_t share = 1; share <= (i ? 2 : 3); share++) {
      aq_tss_partial p = sign(w, key_of(32 * i, AQ_DUTY_EXIT, 0), share, i);
      if (i && share == 1) continue;
      if (share == 3) corrupt(w, &p, NEGATED, i);
      if (share == 1)
        aq_tss_local(w->tss, &p, 1);
      else
        assert_int_equal(remote(w, &p), AQ_OK);
    }
    assert_int_equal(w->tss->batch_cnt, 1);
  }
  fake_env_jobs(&w->env);
  assert_int_equal(w->blame_cnt, 1);
  assert_int_equal(w->blame[0].share, 3);
  aq_tss_partial last = sign(w, key_of(0, AQ_DUTY_EXIT, 0), 4, 0);
  assert_int_equal(remote(w, &last), AQ_OK);
  fake_env_jobs(&w->env);
  assert_int_equal(w->sig_cnt, 0);
  world_free(w);
}

/* Goal: peers cannot foretell where keys stand in the maps. Method: the seeds are what the environment gives, bytes by
   chance, then zeros. */
static void test_map_seeds(void **state) {
  (void)state;
  world *w = world_new(0, 42);
  for (int zero = 0; zero < 2; zero++) {
    w->env.zero_random = zero;
    fake_rng expected = w->env.time->rng;
    uint64_t seed[2];
    restart(w);
    fake_rng_bytes(&expected, seed, sizeof seed);
    if (zero) memset(seed, 0, sizeof seed);
    const aq_map *map[] = {&w->tss->sessions, &w->tss->duties, &w->tss->exempts, &w->tss->hashes};
    for (size_t i = 0; i < AQ_COUNT(map); i++) assert_memory_equal(map[i]->seed, seed, sizeof seed);
    assert_true(zero || (seed[0] != 0 && seed[1] != 0));
  }
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_group_limit),
      cmocka_unit_test(test_evicted_in_flight),
      cmocka_unit_test(test_map_seeds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
