/* Own requests with bad items among good ones, and partials that come late. */
#include "fake/tss_world.h"

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
  fake_env_jobs(&w->env);
  assert_true(r.called && r.cnt == 0);
  corrupt(w, &set[2], NEGATED, 0);
  corrupt(w, &set[7], OFF_SUBGROUP, 0);
  r.called = false;
  aq_tss_verify_local(&w->env.env, &w->cluster, set, V, on_verified, &r);
  fake_env_jobs(&w->env);
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
      fake_env_jobs(&w->env);
      assert_true(r.called);
      assert_int_equal(r.cnt, w->env.zero_random ? 0 : 2);
      for (uint32_t v = 0; v < V; v++) assert_int_equal(r.bad[v], r.cnt && (v == a || v == b));
    }
  }
  world_free(w);
}

/* The clock passes the session's end while its job is still to come, and is set back. */
static void end_and_set_back(world *w) {
  int64_t ahead_ns = 2 * (int64_t)the_chain.clock.slot_ns;
  fake_env_shift(&w->env, ahead_ns);
  while (fake_env_timer_step(&w->env)) continue;
  fake_env_shift(&w->env, -ahead_ns);
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
    const aq_sign_key key = key_of(100, AQ_DUTY_SYNC_MESSAGE, 0);
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
    fake_env_jobs(&w->env);
    assert_int_equal(w->sig_cnt, 1);
    want_group_sig(w, 0, 2);
    assert_int_equal(w->end_cnt, 2);
    assert_int_equal(w->end[1].result, AQ_TSS_OK);
    world_free(w);
  }
}

/* A session of each validator in the slot with its signature; share 4 is still to come. Strict, so that nothing of it
   is looked at afterwards. */
static void all_signed(world *w, uint64_t slot) {
  for (uint32_t v = 0; v < V; v++) {
    for (uint32_t share = 1; share <= T; share++) {
      aq_tss_partial p = sign(w, key_of(slot, AQ_DUTY_ATTESTER, v), share, slot);
      if (share == 1)
        aq_tss_local(w->tss, &p, 1);
      else
        assert_int_equal(remote(w, &p), AQ_OK);
    }
  }
  fake_env_jobs(&w->env);
  assert_int_equal(w->tss->audit_cnt, 0);
}

static world *strict_world(uint64_t seed) {
  world *w = world_new(0, seed);
  w->cfg.strict = true;
  restart(w);
  return w;
}

/* Goal: late partials are looked at when 64 of them wait, once no batch is on its way (tss.md 5). Method: one by one,
   the first is wrong; then as many while a batch is under way. */
static void test_audit_batch(void **state) {
  (void)state;
  for (int busy = 0; busy < 2; busy++) {
    world *w = strict_world(20);
    uint32_t cnt = 0;
    for (uint64_t slot = 100; slot < 108; slot++) all_signed(w, slot);
    for (uint32_t share = 1; share <= T && busy; share++) {
      aq_tss_partial p = sign(w, key_of(108, AQ_DUTY_ATTESTER, 0), share, 108);
      if (share == 1)
        aq_tss_local(w->tss, &p, 1);
      else
        assert_int_equal(remote(w, &p), AQ_OK);
    }
    while (busy && w->tss->batch_cnt == 0) assert_true(fake_env_job_step(&w->env));
    for (uint64_t slot = 100; slot < 108; slot++) {
      for (uint32_t v = 0; v < V; v++) {
        aq_tss_partial p = sign(w, key_of(slot, AQ_DUTY_ATTESTER, v), 4, slot);
        if (cnt == 0) corrupt(w, &p, NEGATED, slot);
        assert_true(w->tss->check_cnt == 0 && w->tss->audit_cnt == cnt);
        assert_int_equal(remote(w, &p), AQ_OK);
        cnt++;
      }
    }
    assert_int_equal(cnt, TSS_AUDIT_BATCH);
    assert_int_equal(w->tss->check_cnt, !busy);
    assert_int_equal(w->tss->audit_cnt, busy ? cnt : 0);
    assert_int_equal(w->blame_cnt, 0);
    fake_env_jobs(&w->env);
    assert_int_equal(w->tss->audit_cnt, 0);
    assert_int_equal(w->blame_cnt, 1);
    assert_true(w->blame[0].share == 4 && w->blame[0].key.validator == 0 && w->blame[0].why == AQ_BLAME_SIGNATURE);
    world_free(w);
  }
}

/* Goal: a late partial is looked at once it is a slot old, and no longer once it is older than two (tss.md 5).
   Method: a wrong one each, and an event at the four moments around. */
static void test_audit_age(void **state) {
  (void)state;
  static const struct {
    int64_t slots, ns;
    bool looked, waits;
  } row[] = {{1, -1, false, true}, {1, 0, true, false}, {2, 0, true, false}, {2, 1, false, false}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    world *w = strict_world(21);
    all_signed(w, 100);
    aq_tss_partial p = sign(w, key_of(100, AQ_DUTY_ATTESTER, 0), 4, 100);
    corrupt(w, &p, NEGATED, 100);
    assert_int_equal(remote(w, &p), AQ_OK);
    fake_env_jobs(&w->env);
    assert_int_equal(w->tss->audit_cnt, 1);
    fake_env_hold(&w->env, (uint64_t)(row[i].slots * (int64_t)the_chain.clock.slot_ns + row[i].ns));
    aq_tss_local(w->tss, NULL, 0);
    fake_env_jobs(&w->env);
    assert_int_equal(w->blame_cnt, row[i].looked);
    assert_int_equal(w->tss->audit_cnt, row[i].waits);
    world_free(w);
  }
}

/* Goal: what is checked stands in the order of its shares and roots, so that a peer's partials are searched by
   themselves. Method: strict mode, partials of three peers and two roots in several orders; the job is looked at. */
static void test_check_order(void **state) {
  (void)state;
  world *w = strict_world(22);
  aq_tss_partial first = sign(w, key_of(100, AQ_DUTY_PROPOSER, 0), 2, 9); /* keeps the others waiting */
  aq_tss_partial own[V];
  for (uint32_t v = 0; v < V; v++) own[v] = sign(w, key_of(100, AQ_DUTY_ATTESTER, v), 1, v % 2);
  uint8_t root[32];
  root_of(root, 9);
  aq_tss_agreed(w->tss, &first.key, root);
  assert_int_equal(remote(w, &first), AQ_OK);
  assert_int_equal(w->tss->check_cnt, 1);
  aq_tss_local(w->tss, own, V);
  for (uint32_t i = 0; i < 3 * V; i++) { /* 7 and 24 share no factor */
    aq_tss_partial p =
        sign(w, key_of(100, AQ_DUTY_ATTESTER, 7 * i % (3 * V) / 3), 4 - 7 * i % 3, 7 * i % (3 * V) / 3 % 2);
    assert_int_equal(remote(w, &p), AQ_OK);
  }
  while (w->tss->check_cnt == 0 || AQ_CONTAINER(w->tss->checks.next, tss_check, link)->cnt == 1)
    assert_true(fake_env_job_step(&w->env));
  const tss_check *c = AQ_CONTAINER(w->tss->checks.next, tss_check, link);
  assert_int_equal(c->cnt, 3 * V);
  for (uint32_t i = 1; i < c->cnt; i++) {
    const tss_check_item *a = &c->item[i - 1], *b = &c->item[i];
    assert_true(a->share < b->share || (a->share == b->share && a->root <= b->root));
  }
  fake_env_jobs(&w->env);
  assert_int_equal(w->sig_cnt, V);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_verify_local), cmocka_unit_test(test_verify_local_pairs),
      cmocka_unit_test(test_late_results), cmocka_unit_test(test_audit_batch),
      cmocka_unit_test(test_audit_age),    cmocka_unit_test(test_check_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
