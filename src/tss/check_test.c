#include "tss/fake_world.h"

typedef struct {
  bool called, bad[V];
  uint32_t cnt;
} local_result;

static void on_verified(void *arg, const bool *bad, uint32_t bad_cnt) {
  local_result *r = arg;
  r->called = true;
  r->cnt = bad_cnt;
  memcpy(r->bad, bad, sizeof r->bad);
}

/* Goal: the own validator client's request is verified as a batch and the bad items named.
   Method: eight partials, two of them wrong in different ways. */
static void test_verify_local(void **state) {
  (void)state;
  world *w = world_new(1, 14);
  aq_tss_partial set[V];
  for (uint32_t v = 0; v < V; v++) set[v] = sign(w, key_of(100, AQ_DUTY_ATTESTER, v), 2, v % 2);
  local_result r = {0};
  aq_tss_verify_local(&w->env.env, &w->cluster, set, V, on_verified, &r);
  assert_false(r.called);
  test_env_jobs(&w->env);
  assert_true(r.called && r.cnt == 0);
  corrupt(w, &set[2], NEGATED, 0);
  corrupt(w, &set[7], OFF_SUBGROUP, 0);
  r.called = false;
  aq_tss_verify_local(&w->env.env, &w->cluster, set, V, on_verified, &r);
  test_env_jobs(&w->env);
  assert_true(r.called && r.cnt == 2 && r.bad[2] && r.bad[7] && !r.bad[0]);
  world_free(w);
}

/* Goal: faults of one request that cancel out in the sum are found, whichever two partials have them: they weigh by
   chance (tss.md 12.4). Method: over one root, each pair gets a point more and the same less; then weights of one. */
static void test_verify_local_pairs(void **state) {
  (void)state;
  world *w = world_new(1, 18);
  aq_tss_partial set[V];
  for (uint32_t a = 0; a < V; a++) {
    for (uint32_t b = a + 1; b < V; b++) {
      uint8_t x[96];
      local_result r = {0};
      for (uint32_t v = 0; v < V; v++) set[v] = sign(w, key_of(100, AQ_DUTY_ATTESTER, v), 2, 1);
      aq_bls_sign(x, w->secret[0], set[0].root);
      add_point(set[a].sig, x);
      x[0] ^= 0x20;
      add_point(set[b].sig, x);
      w->env.zero_random = a == 0 && b == 1;
      aq_tss_verify_local(&w->env.env, &w->cluster, set, V, on_verified, &r);
      test_env_jobs(&w->env);
      assert_true(r.called);
      assert_int_equal(r.cnt, w->env.zero_random ? 0 : 2);
      for (uint32_t v = 0; v < V; v++) assert_int_equal(r.bad[v], r.cnt && (v == a || v == b));
    }
  }
  world_free(w);
}

/* The clock passes the session's end while its job is still to come, and is set back. */
static void end_and_set_back(world *w) {
  uint64_t now_ns = w->env.now_ns;
  w->env.now_ns += 2 * chain_clock.slot_ns;
  for (size_t i = 0; i < w->env.timer_cnt;) {
    aq_timer *t = w->env.timer[i];
    if (t->at_ns > w->env.now_ns) {
      i++;
      continue;
    }
    test_env_cancel(&w->env, t);
    t->fn(t->arg);
    i = 0;
  }
  w->env.now_ns = now_ns;
}

/* Goal: what comes back late from a worker is not taken for the session that has the same duty now.
   Method: a session ends while its batch, or with `strict` its check, is under way; another one over another root, or
   the same, is under way when that comes back, good or bad. */
static void test_late_results(void **state) {
  (void)state;
  for (int i = 0; i < 8; i++) {
    world *w = world_new(0, 19);
    w->cfg.strict = i & 1;
    restart(w);
    const aq_tss_key key = key_of(100, AQ_DUTY_SYNC_MESSAGE, 0);
    uint64_t first = i & 4 ? 2 : 1;
    for (int life = 0; life < 2; life++) {
      for (uint32_t share = 1; share <= 3; share++) {
        aq_tss_partial p = sign(w, key, share, life ? 2 : first);
        if ((i & 2) && !life && share > 1) memcpy(p.sig, sign(w, key, share, 9).sig, 96);
        if (share == 1)
          aq_tss_local(w->tss, &p, 1);
        else
          assert_int_equal(remote(w, &p), AQ_OK);
      }
      if (!life) end_and_set_back(w);
    }
    assert_int_equal(w->end_cnt, 1);
    assert_int_equal(w->sig_cnt, 0);
    test_env_jobs(&w->env);
    assert_int_equal(w->sig_cnt, 1);
    want_group_sig(w, 0, 2);
    assert_int_equal(w->end_cnt, 2);
    assert_int_equal(w->end[1].result, AQ_TSS_OK);
    world_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_verify_local),
      cmocka_unit_test(test_verify_local_pairs),
      cmocka_unit_test(test_late_results),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
