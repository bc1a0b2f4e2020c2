/* Sets of partials, good, corrupt in each way, or colluding; and the one end of each session. */
#include "fake/tss_world.h"

/* Goal: every set of at least t partials gives the cluster's one group signature.
   Method: the vectors of key ceremonies with 3 to 7 nodes; each subset is one session, its first share is our own. */
static void test_vectors(void **state) {
  (void)state;
  for (unsigned n = 3; n <= 7; n++) {
    char path[64];
    snprintf(path, sizeof path, "tss/frost_n%u.json", n);
    yyjson_doc *doc = aq_test_json(path);
    yyjson_val *all = yyjson_doc_get_root(doc), *res = yyjson_obj_get(all, "result");
    world *w = world_new(0, n);
    aq_bls_pk group, share[7];
    for (size_t v = 0; v < yyjson_arr_size(res); v++) {
      yyjson_val *r = yyjson_arr_get(res, v);
      aq_buf pk = aq_test_hex_of(r, "group_public_key"), msg = aq_test_hex_of(r, "test_message"),
             want = aq_test_hex_of(r, "group_signature");
      uint8_t sig[7][96];
      assert_int_equal(aq_bls_pk_decode(&group, pk.ptr), AQ_OK);
      for (unsigned i = 0; i < n; i++) {
        aq_buf s = aq_test_hex(yyjson_get_str(yyjson_arr_get(yyjson_obj_get(r, "public_shares"), i)));
        aq_buf p = aq_test_hex(yyjson_get_str(yyjson_arr_get(yyjson_obj_get(r, "partial_signatures"), i)));
        assert_int_equal(aq_bls_pk_decode(&share[i], s.ptr), AQ_OK);
        memcpy(sig[i], p.ptr, 96);
        aq_buf_free(&s), aq_buf_free(&p);
      }
      unsigned t = (unsigned)aq_test_u64(all, "threshold");
      for (uint32_t set = 1; set < 1u << n; set++) {
        if ((unsigned)__builtin_popcount(set) < t) continue;
        w->cluster = (aq_tss_cluster){n, t, (uint32_t)__builtin_ctz(set), 1, &group, share};
        w->sig_cnt = w->end_cnt = 0;
        restart(w);
        for (uint32_t i = n; i-- > 0;) {
          if (!(set >> i & 1)) continue;
          aq_tss_partial p = {.key = key_of(100, AQ_DUTY_ATTESTER, 0), .share_idx = i + 1};
          memcpy(p.root, msg.ptr, 32);
          memcpy(p.sig, sig[i], 96);
          if (i == w->cluster.self)
            aq_tss_local(w->tss, &p, 1);
          else
            assert_int_equal(aq_tss_remote(w->tss, &p, 1), AQ_OK);
        }
        fake_env_jobs(&w->env);
        assert_int_equal(w->sig_cnt, 1);
        assert_bytes(aq_bytes_of(w->sig[0], 96), aq_buf_bytes(&want));
        assert_int_equal(w->blame_cnt, 0);
      }
      aq_buf_free(&pk), aq_buf_free(&msg), aq_buf_free(&want);
    }
    world_free(w);
    yyjson_doc_free(doc);
  }
}

/* Goal: any corruption of one partial is blamed on exactly its share, and the duty completes with the others (tss.md
   6.1).
   Method: per kind, sessions in which the corrupted partial completes the threshold; the fourth share comes
      afterwards. */
static void test_corruption(void **state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    for (uint32_t round = 0; round < 6; round++) {
      world *w = world_new(round % N, (uint64_t)kind * 100 + round + 1);
      uint32_t own = w->cluster.self + 1, bad = (own + round / 2) % N + 1;
      if (bad == own) bad = bad % N + 1;
      uint32_t m = 1 + round % 3; /* validators in the batch; the last one is hit */
      aq_tss_partial p;
      for (uint32_t v = 0; v < m; v++) {
        p = sign(w, key_of(100, AQ_DUTY_ATTESTER, v), own, 5);
        aq_tss_local(w->tss, &p, 1);
      }
      for (uint32_t share = 1, used = 1; share <= N && used < T; share++) {
        if (share == own || (share != bad && used == T - 1 && bad > share)) continue;
        used++;
        aq_tss_partial set[V];
        for (uint32_t v = 0; v < m; v++) set[v] = sign(w, key_of(100, AQ_DUTY_ATTESTER, v), share, 5);
        if (share == bad) corrupt(w, &set[m - 1], (corruption)kind, 5);
        assert_int_equal(aq_tss_remote(w->tss, set, m), AQ_OK);
      }
      fake_env_jobs(&w->env);
      assert_int_equal(w->sig_cnt, m - 1);
      for (uint32_t share = 1; share <= N; share++) {
        if (share == own) continue;
        p = sign(w, key_of(100, AQ_DUTY_ATTESTER, m - 1), share, 5);
        if (share != bad) (void)remote(w, &p);
      }
      fake_env_jobs(&w->env);
      assert_int_equal(w->sig_cnt, m);
      for (uint32_t i = 0; i < m; i++) want_group_sig(w, i, 5);
      assert_int_equal(w->blame_cnt, 1);
      assert_int_equal(w->blame[0].share, bad);
      assert_int_equal(w->blame[0].key.validator, m - 1);
      world_free(w);
    }
  }
}

/* Goal: two peers that send each other's partials are both blamed.
   Method: shares 2 and 3 swapped, own share 1, then 4 arrives too late to complete: no signature, result invalid. */
static void test_swapped(void **state) {
  (void)state;
  world *w = world_new(0, 3);
  aq_sign_key key = key_of(100, AQ_DUTY_ATTESTER, 0);
  aq_tss_partial own = sign(w, key, 1, 9), a = sign(w, key, 2, 9), b = sign(w, key, 3, 9), c = sign(w, key, 4, 9);
  a.share_idx = 3, b.share_idx = 2;
  aq_tss_local(w->tss, &own, 1);
  assert_int_equal(remote(w, &a), AQ_OK);
  assert_int_equal(remote(w, &b), AQ_OK);
  fake_env_jobs(&w->env);
  assert_int_equal(w->blame_cnt, 2);
  assert_int_equal(remote(w, &c), AQ_OK);
  fake_env_run_until(&w->env, fake_env_now(&w->env) + 40 * the_chain.clock.slot_ns);
  assert_int_equal(w->sig_cnt, 0);
  assert_int_equal(w->end_cnt, 1);
  assert_int_equal(w->end[0].result, AQ_TSS_INVALID);
  world_free(w);
}

/* Goal: partials that are wrong but cancel out still give the right signature, and the audit blames both peers (tss.md
   12.3).
   Method: with shares 1, 2, 3 the coefficients are 3, -3, 1, so the same point is added to 1 and 2. */
static void test_cancelling_pair(void **state) {
  (void)state;
  world *w = world_new(2, 4);
  bool seen[N + 1] = {false};
  for (uint64_t slot = 100; slot < 400 && !(seen[1] && seen[2]); slot++) {
    aq_sign_key key = key_of(slot, AQ_DUTY_ATTESTER, 0);
    aq_tss_partial own = sign(w, key, 3, slot), p = sign(w, key, 1, slot), q = sign(w, key, 2, slot);
    uint8_t x[96];
    aq_bls_sign(x, w->secret[1], own.root);
    add_point(p.sig, x);
    add_point(q.sig, x);
    w->sig_cnt = w->end_cnt = 0;
    aq_tss_local(w->tss, &own, 1);
    assert_int_equal(remote(w, &p), AQ_OK);
    assert_int_equal(remote(w, &q), AQ_OK);
    fake_env_run_until(&w->env, fake_env_now(&w->env) + the_chain.clock.slot_ns);
    assert_int_equal(w->sig_cnt, 1);
    want_group_sig(w, 0, slot);
    fake_env_run_until(&w->env, the_chain.clock.genesis_ns + (slot + 1) * the_chain.clock.slot_ns);
    aq_tss_local(w->tss, &own, 1); /* an event: the audit starts between others */
    fake_env_jobs(&w->env);
    for (uint32_t i = 0; i < w->blame_cnt; i++) seen[w->blame[i].share] = true;
  }
  assert_true(seen[1] && seen[2] && !seen[3] && !seen[4]);
  world_free(w);
}

/* Goal: batches are sound because of their random factors (tss.md 12.4).
   Method: two sessions whose errors cancel in the sum: they pass with factors of one, and fail with random ones. */
static void test_batch_soundness(void **state) {
  (void)state;
  for (int random = 0; random < 2; random++) {
    world *w = world_new(1, 5);
    w->env.zero_random = random == 0;
    uint8_t x[96];
    aq_tss_partial set[2], own[2];
    for (uint32_t share = 2; share <= 4; share++) {
      for (uint32_t v = 0; v < 2; v++) {
        set[v] = sign(w, key_of(100, AQ_DUTY_ATTESTER, v), share, 6);
        if (share == 2) own[v] = set[v];
      }
      if (share == 2) continue;
      if (share == 3) {
        aq_bls_sign(x, w->secret[5], set[0].root);
        add_point(set[0].sig, x);
        x[0] ^= 0x20;
        add_point(set[1].sig, x);
      }
      assert_int_equal(aq_tss_remote(w->tss, set, 2), AQ_OK);
    }
    aq_tss_local(w->tss, own, 2);
    fake_env_jobs(&w->env);
    assert_int_equal(w->sig_cnt, random ? 0 : 2);
    assert_int_equal(w->blame_cnt, random ? 2 : 0);
    if (random) assert_int_equal(w->blame[0].share, 3);
    world_free(w);
  }
}

/* Goal: every session ends exactly once with the result of 2.3.
   Method: one session of each kind, run past the deadline. */
static void test_results(void **state) {
  (void)state;
  world *w = world_new(0, 6);
  aq_tss_partial p;
  uint8_t root[32];
  uint64_t slot = 100;
  p = sign(w, key_of(slot, AQ_DUTY_SYNC_MESSAGE, 0), 1, 1); /* timeout: one partial only */
  aq_tss_local(w->tss, &p, 1);
  p = sign(w, key_of(slot, AQ_DUTY_SYNC_MESSAGE, 1), 2, 1); /* unarmed: a stranger's */
  assert_int_equal(remote(w, &p), AQ_OK);
  for (uint32_t share = 1; share <= 4; share++) { /* conflict: two and two */
    p = sign(w, key_of(slot, AQ_DUTY_SYNC_MESSAGE, 2), share, share % 2);
    if (share == 1)
      aq_tss_local(w->tss, &p, 1);
    else
      assert_int_equal(remote(w, &p), AQ_OK);
  }
  for (uint32_t share = 2; share <= 4; share++) { /* ok, armed by agreed data */
    p = sign(w, key_of(slot, AQ_DUTY_SYNC_MESSAGE, 3), share, 3);
    assert_int_equal(remote(w, &p), AQ_OK);
  }
  fake_env_jobs(&w->env);
  assert_int_equal(w->sig_cnt, 0);
  root_of(root, 3);
  aq_sign_key key = key_of(slot, AQ_DUTY_SYNC_MESSAGE, 3);
  aq_tss_agreed(w->tss, &key, root);
  for (uint32_t share = 2; share <= 4; share++) { /* conflict: t partials, but not of the agreed root */
    p = sign(w, key_of(slot, AQ_DUTY_SYNC_MESSAGE, 4), share, 4);
    assert_int_equal(remote(w, &p), AQ_OK);
  }
  key = key_of(slot, AQ_DUTY_SYNC_MESSAGE, 4);
  aq_tss_agreed(w->tss, &key, root);
  fake_env_run_until(&w->env, fake_env_now(&w->env) + 2 * the_chain.clock.slot_ns);
  static const aq_tss_result want[] = {AQ_TSS_TIMEOUT, AQ_TSS_UNARMED, AQ_TSS_CONFLICT, AQ_TSS_OK, AQ_TSS_CONFLICT};
  assert_int_equal(w->end_cnt, 5);
  for (uint32_t i = 0; i < 5; i++) assert_int_equal(w->end[i].result, want[w->end[i].key.validator]);
  assert_int_equal(w->sig_cnt, 1);
  want_group_sig(w, 0, 3);
  p = sign(w, key_of(slot, AQ_DUTY_SYNC_MESSAGE, 0), 2, 1);
  assert_int_equal(remote(w, &p), AQ_E_STALE);
  p = sign(w, key_of(slot + 2, AQ_DUTY_SYNC_MESSAGE, 0), 1, 1);
  aq_tss_local(w->tss, &p, 1);
  restart(w);
  assert_int_equal(w->end[5].result, AQ_TSS_CANCELLED);
  world_free(w);
}

/* Goal: a lock with a wrong group key is nobody's fault: its validator gets no signature, no peer is blamed, and the
   others of the batch, on other roots, are not held up (tss.md 6.1 step 5). Method: validator 0 under validator 1's
   key; all partials are good. */
static void test_wrong_lock(void **state) {
  (void)state;
  world *w = world_new(0, 17);
  aq_tss_partial own[3];
  pk_of(&w->group[0], w->secret[1]);
  for (uint32_t v = 0; v < 3; v++) own[v] = sign(w, key_of(100, AQ_DUTY_SYNC_MESSAGE, v), 1, v);
  for (uint32_t share = 2; share <= 4; share++) {
    for (uint32_t v = 0; v < 3; v++) {
      aq_tss_partial p = sign(w, own[v].key, share, v);
      assert_int_equal(remote(w, &p), AQ_OK);
    }
  }
  aq_tss_local(w->tss, own, 3);
  fake_env_run_until(&w->env, fake_env_now(&w->env) + 2 * the_chain.clock.slot_ns);
  assert_int_equal(w->sig_cnt, 2);
  for (uint32_t i = 0; i < 2; i++) want_group_sig(w, i, w->sig_key[i].validator);
  assert_int_equal(w->blame_cnt, 0);
  assert_int_equal(w->end_cnt, 3);
  for (uint32_t i = 0; i < 3; i++)
    assert_int_equal(w->end[i].result, w->end[i].key.validator ? AQ_TSS_OK : AQ_TSS_INVALID);
  world_free(w);
}

/* Goal: repeats are ignored, a share's second partial is a conflict, late partials only counted.
   Method: the same session before and after its end; metrics of tss.md 10. */
static void test_repeats(void **state) {
  (void)state;
  world *w = world_new(0, 7);
  aq_sign_key key = key_of(100, AQ_DUTY_ATTESTER, 0);
  aq_tss_partial a = sign(w, key, 2, 1), b = sign(w, key, 2, 2), own = sign(w, key, 1, 1), c = sign(w, key, 3, 1),
                 d = sign(w, key, 4, 1);
  assert_int_equal(remote(w, &a), AQ_OK);
  assert_int_equal(remote(w, &a), AQ_E_DUP);
  assert_int_equal(remote(w, &b), AQ_E_EXISTS);
  assert_int_equal(w->blame_cnt, 1);
  assert_int_equal(w->blame[0].why, AQ_BLAME_CONFLICT);
  aq_tss_local(w->tss, &own, 1);
  assert_int_equal(remote(w, &c), AQ_OK);
  fake_env_jobs(&w->env);
  assert_int_equal(w->sig_cnt, 1);
  assert_int_equal(w->end[0].partials, 3);
  assert_int_equal(remote(w, &d), AQ_OK);
  assert_int_equal(remote(w, &d), AQ_E_DUP);
  assert_true(metric(AQ_M_TSS_MSGS_TOTAL, "partial_late") == 1 &&
              metric(AQ_M_TSS_MSGS_TOTAL, "partial_duplicate") == 2);
  aq_tss_partial outside[] = {own, sign(w, key, 4, 1), sign(w, key, 4, 1)};
  assert_int_equal(aq_tss_remote(w->tss, outside, 1), AQ_E_UNKNOWN); /* our own share from outside */
  outside[1].key.validator = V;
  assert_int_equal(aq_tss_remote(w->tss, outside + 1, 1), AQ_E_UNKNOWN);
  outside[2].share_idx = N + 1;
  assert_int_equal(aq_tss_remote(w->tss, outside + 2, 1), AQ_E_UNKNOWN);
  world_free(w);
}

/* Goal: a lying peer costs one failed batch in two epochs, and regains its standing afterwards (tss.md 6.3).
   Method: peer 2 sends only garbage for a run of slots; peers 3 and 4 are good. */
static void test_suspect(void **state) {
  (void)state;
  world *w = world_new(0, 8);
  for (uint64_t slot = 100; slot < 120; slot++) {
    fake_env_run_until(&w->env, the_chain.clock.genesis_ns + slot * the_chain.clock.slot_ns);
    for (uint32_t share = 1; share <= N; share++) {
      aq_tss_partial set[V];
      for (uint32_t v = 0; v < V; v++) {
        set[v] = sign(w, key_of(slot, AQ_DUTY_ATTESTER, v), share, slot);
        if (share == 2) memcpy(set[v].sig, sign(w, set[v].key, 2, slot + 1000).sig, 96);
      }
      if (share == 1)
        aq_tss_local(w->tss, set, V);
      else
        assert_int_equal(aq_tss_remote(w->tss, set, V), AQ_OK);
      fake_env_jobs(&w->env);
    }
    assert_int_equal(w->sig_cnt, (slot - 99) * V);
  }
  double failed = metric(AQ_M_TSS_BATCH_FAILED_TOTAL, "signature");
  assert_true(failed == 1);
  assert_true(metric(AQ_M_TSS_PEER_SUSPECT, "2") == 1 && metric(AQ_M_TSS_PEER_SUSPECT, "3") == 0);
  for (uint32_t i = 0; i < w->blame_cnt; i++) assert_int_equal(w->blame[i].share, 2);
  fake_env_run_until(&w->env, fake_env_now(&w->env) + 70 * the_chain.clock.slot_ns);
  assert_true(metric(AQ_M_TSS_PEER_SUSPECT, "2") == 0);
  world_free(w);
}

/* Goal: with only t honest shares left a suspect peer's good partials still count, after verification.
   Method: peer 2 lies once, then share 3 is down and peer 2 is honest. Strict mode takes the same way for all peers. */
static void test_verified_before_counting(void **state) {
  (void)state;
  for (int strict = 0; strict < 2; strict++) {
    world *w = world_new(0, 9);
    w->cfg.strict = strict;
    restart(w);
    aq_sign_key key = key_of(100, AQ_DUTY_ATTESTER, 0);
    aq_tss_partial own = sign(w, key, 1, 1), a = sign(w, key, 2, 1), b = sign(w, key, 3, 1), c = sign(w, key, 4, 1);
    corrupt(w, &a, FLIP, 1);
    aq_tss_local(w->tss, &own, 1);
    assert_int_equal(remote(w, &a) | remote(w, &b), AQ_OK);
    fake_env_jobs(&w->env);
    assert_int_equal(remote(w, &c), AQ_OK);
    fake_env_jobs(&w->env);
    assert_int_equal(w->sig_cnt, 1);
    assert_int_equal(w->blame_cnt, 1);
    key.duty.slot = 101;
    own = sign(w, key, 1, 2), a = sign(w, key, 2, 2), c = sign(w, key, 4, 2);
    assert_int_equal(remote(w, &a) | remote(w, &c), AQ_OK);
    aq_tss_local(w->tss, &own, 1);
    fake_env_jobs(&w->env);
    assert_int_equal(w->sig_cnt, 2);
    want_group_sig(w, 1, 2);
    double failed = metric(AQ_M_TSS_BATCH_FAILED_TOTAL, "encoding") + metric(AQ_M_TSS_BATCH_FAILED_TOTAL, "subgroup") +
                    metric(AQ_M_TSS_BATCH_FAILED_TOTAL, "signature");
    assert_true(failed == (strict ? 0 : 1));
    world_free(w);
  }
}

/* Goal: sessions of the validator client never lose against strangers', and limits make no state (tss.md 3).
   Method: a limit of 16; strangers fill it, own ones push them out, then a stranger is refused. */
static void test_session_limit(void **state) {
  (void)state;
  world *w = world_new(0, 10);
  w->cfg.sessions_max = 16;
  restart(w);
  for (uint64_t slot = 100; slot < 140; slot++) {
    aq_tss_partial p = sign(w, key_of(slot, AQ_DUTY_ATTESTER, 0), 2, 1);
    assert_int_equal(remote(w, &p), AQ_OK);
    assert_true(aq_tss_open(w->tss) <= 16);
  }
  assert_int_equal(w->end_cnt, 24);
  for (uint64_t slot = 200; slot < 216; slot++) {
    aq_tss_partial p = sign(w, key_of(slot, AQ_DUTY_ATTESTER, 1), 1, 1);
    aq_tss_local(w->tss, &p, 1);
  }
  assert_int_equal(w->end_cnt, 40);
  size_t used = w->tss->arena.used;
  aq_tss_partial p = sign(w, key_of(300, AQ_DUTY_ATTESTER, 2), 3, 1);
  assert_int_equal(remote(w, &p), AQ_E_LIMIT);
  assert_int_equal(w->tss->arena.used, used);
  assert_int_equal(aq_tss_open(w->tss), 16);
  assert_true(metric(AQ_M_TSS_RATE_LIMITED_TOTAL, "tss_session") == 1);
  world_free(w);
}

/* Goal: one peer cannot fill memory or crowd out the good root (tss.md 12.6).
   Method: 100,000 partials of one peer for as many sessions while time stands still, then with time passing. */
static void test_flood(void **state) {
  (void)state;
  world *w = world_new(0, 11);
  aq_tss_partial p = sign(w, key_of(0, AQ_DUTY_ATTESTER, 0), 2, 1);
  uint32_t took = 0;
  for (uint64_t i = 0; i < 100000; i++) {
    p.key = key_of(100 + i, AQ_DUTY_ATTESTER, (uint32_t)(i % V));
    took += remote(w, &p) == AQ_OK;
  }
  assert_int_equal(took, 4 * V + 256);
  assert_true(metric(AQ_M_TSS_RATE_LIMITED_TOTAL, "tss_partial") == 100000 - took);
  assert_true(w->tss->arena.used < (size_t)2 * took * 1024);
  aq_tss_partial set[V + 1];
  for (uint32_t i = 0; i <= V; i++) set[i] = sign(w, key_of(100, AQ_DUTY_RANDAO, i % V), 3, 1);
  assert_int_equal(aq_tss_remote(w->tss, set, V + 1), AQ_E_LIMIT);
  fake_env_run_until(&w->env, fake_env_now(&w->env) + the_chain.clock.slot_ns);
  for (uint32_t i = 0; i < 40; i++) {
    p.key = key_of(300000 + i, AQ_DUTY_ATTESTER, 0);
    took += remote(w, &p) == AQ_OK;
  }
  assert_int_equal(took, 4 * V + 256 + 32);
  /* local work goes on */
  aq_sign_key key = key_of(105, AQ_DUTY_SYNC_MESSAGE, 3);
  p = sign(w, key, 1, 4);
  aq_tss_local(w->tss, &p, 1);
  for (uint32_t share = 3; share <= 4; share++) {
    p = sign(w, key, share, 4);
    assert_int_equal(remote(w, &p), AQ_OK);
  }
  fake_env_jobs(&w->env);
  assert_int_equal(w->sig_cnt, 1);
  fake_env_run_until(&w->env,
                     fake_env_now(&w->env) + 100 * the_chain.clock.slot_ns); /* as many as at first, not more */
  took = 0;
  for (uint32_t i = 0; i < 400; i++) {
    p.key = key_of(400000 + i, AQ_DUTY_ATTESTER, 0);
    took += remote(w, &p) == AQ_OK;
  }
  assert_int_equal(took, 4 * V + 256);
  world_free(w);
}

/* Goal: exits have no deadline; a share keeps ten of them a validator, the oldest goes (tss.md 2.3, 3).
   Method: twelve exits of peer 2; the eleventh and twelfth push out the first two. */
static void test_exempt(void **state) {
  (void)state;
  world *w = world_new(0, 12);
  for (uint64_t i = 0; i < 12; i++) {
    aq_tss_partial p = sign(w, key_of(32 * i, AQ_DUTY_EXIT, 0), 2, i);
    assert_int_equal(remote(w, &p), AQ_OK);
  }
  assert_int_equal(aq_tss_open(w->tss), 10);
  assert_int_equal(w->end[0].key.duty.slot, 0);
  assert_int_equal(w->end[1].key.duty.slot, 32);
  aq_tss_partial own = sign(w, key_of(32 * 5, AQ_DUTY_EXIT, 0), 1, 5), c = sign(w, own.key, 3, 5);
  aq_tss_local(w->tss, &own, 1);
  assert_int_equal(remote(w, &c), AQ_OK);
  fake_env_run_until(&w->env, fake_env_now(&w->env) + 200 * the_chain.clock.slot_ns);
  assert_int_equal(w->sig_cnt, 1);
  assert_int_equal(aq_tss_open(w->tss), 9);
  world_free(w);
}

/* Goal: whatever the order of events, each session ends once and with ok only for a right signature (tss.md 12.5).
   Method: random partials, good and bad, of all shares, agreed roots, passing time, restarts and late jobs, from a
      seed. */
static void test_random_events(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 12; seed++) {
    world *w = world_new((uint32_t)seed % N, seed);
    w->cfg.strict = seed % 3 == 0;
    w->env.reverse_jobs = seed % 2 == 0;
    restart(w);
    for (int step = 0; step < 250; step++) {
      uint64_t slot = aq_slot_at(&the_chain.clock, fake_env_now(&w->env)), r = aq_test_rng_next(&w->rng);
      aq_sign_key key =
          key_of(slot + (r & 1), (r & 2) ? AQ_DUTY_SYNC_MESSAGE : AQ_DUTY_PROPOSER, (uint32_t)(r >> 2) % 3);
      uint32_t share = (uint32_t)(r >> 8) % N + 1;
      uint64_t root = slot * 4 + ((r >> 12) % 8 == 0);
      aq_tss_partial p = sign(w, key, share, root);
      if ((r >> 16) % 5 == 0 && share != w->cluster.self + 1) corrupt(w, &p, (corruption)((r >> 20) % KINDS), root);
      if (share == w->cluster.self + 1)
        aq_tss_local(w->tss, &p, 1);
      else
        (void)remote(w, &p);
      if ((r >> 24) % 7 == 0) {
        root_of(p.root, slot * 4);
        aq_tss_agreed(w->tss, &key, p.root);
      }
      if ((r >> 28) % 3 == 0) (void)fake_env_job_step(&w->env);
      if ((r >> 32) % 16 == 0)
        fake_env_run_until(&w->env, fake_env_now(&w->env) + (r >> 36) % (2 * the_chain.clock.slot_ns));
      if ((r >> 40) % 101 == 0) restart(w);
    }
    restart(w);
    for (uint32_t i = 0; i < w->sig_cnt; i++) {
      uint8_t want[96];
      aq_bls_sign(want, w->secret[w->sig_key[i].validator], w->root[i]);
      assert_bytes(aq_bytes_of(w->sig[i], 96), aq_bytes_of(want, 96));
    }
    uint32_t ok = 0;
    for (uint32_t i = 0; i < w->end_cnt; i++) ok += w->end[i].result == AQ_TSS_OK;
    assert_int_equal(ok, w->sig_cnt);
    assert_true(ok > 0);
    double total = 0;
    static const char *const result[] = {"ok", "timeout", "invalid", "conflict", "unarmed", "cancelled"};
    for (size_t i = 0; i < AQ_COUNT(result); i++) total += metric(AQ_M_TSS_SESSIONS_TOTAL, result[i]);
    assert_true(total == w->end_cnt);
    world_free(w);
  }
}

/* Goal: one batch carries many sessions and one proposal overtakes them.
   Method: all validators become ready in one call, then a proposal: its signature comes first although it came last. */
static void test_batches(void **state) {
  (void)state;
  world *w = world_new(0, 13);
  aq_tss_partial set[V];
  for (uint32_t share = 1; share <= T; share++) {
    for (uint32_t v = 0; v < V; v++) set[v] = sign(w, key_of(100, AQ_DUTY_ATTESTER, v), share, v % 3);
    if (share == 1)
      aq_tss_local(w->tss, set, V);
    else
      assert_int_equal(aq_tss_remote(w->tss, set, V), AQ_OK);
  }
  for (uint32_t share = 1; share <= T; share++) {
    aq_tss_partial p = sign(w, key_of(100, AQ_DUTY_PROPOSER, 0), share, 77);
    if (share == 1)
      aq_tss_local(w->tss, &p, 1);
    else
      assert_int_equal(remote(w, &p), AQ_OK);
  }
  fake_env_jobs(&w->env);
  assert_int_equal(w->sig_cnt, V + 1);
  assert_int_equal(w->sig_key[0].duty.type, AQ_DUTY_PROPOSER);
  for (uint32_t i = 1; i <= V; i++) want_group_sig(w, i, w->sig_key[i].validator % 3);
  assert_true(aq_metric_value(AQ_M_TSS_BATCH_SESSIONS, AQ_NO_LABELS) == V + 1);
  world_free(w);
}

/* Goal: an idle subsystem tests itself every 30 s. Method: time passes with no session. */
static void test_selftest(void **state) {
  (void)state;
  world *w = world_new(0, 15);
  aq_buf before = AQ_BUF(1 << 20), after = AQ_BUF(1 << 20);
  fake_env_run_until(&w->env, fake_env_now(&w->env) + AQ_SECONDS(95));
  aq_metrics_write(&after);
  assert_non_null(strstr(aq_buf_cstr(&after), "service_op_ms_count{op=\"selftest\",service=\"tss\"} 3"));
  aq_buf_free(&before), aq_buf_free(&after);
  world_free(w);
}

/* Goal: freeing with jobs under way leaks nothing and calls nobody back. Method: free between submission and the job;
   in strict mode the jobs are checks. */
static void test_free_in_flight(void **state) {
  (void)state;
  for (int strict = 0; strict < 2; strict++) {
    world *w = world_new(0, 16);
    w->cfg.strict = strict;
    restart(w);
    for (uint32_t share = 1; share <= T; share++) {
      aq_tss_partial p = sign(w, key_of(100, AQ_DUTY_ATTESTER, 0), share, 1);
      if (share == 1)
        aq_tss_local(w->tss, &p, 1);
      else
        assert_int_equal(remote(w, &p), AQ_OK);
    }
    assert_int_equal(strict ? w->tss->check_cnt : w->tss->batch_cnt, 1);
    tss_selftest_start(w->tss);
    restart(w);
    fake_env_jobs(&w->env);
    assert_int_equal(w->sig_cnt, 0);
    assert_int_equal(w->end[0].result, AQ_TSS_CANCELLED);
    world_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_corruption),
      cmocka_unit_test(test_swapped),
      cmocka_unit_test(test_cancelling_pair),
      cmocka_unit_test(test_batch_soundness),
      cmocka_unit_test(test_results),
      cmocka_unit_test(test_repeats),
      cmocka_unit_test(test_suspect),
      cmocka_unit_test(test_verified_before_counting),
      cmocka_unit_test(test_session_limit),
      cmocka_unit_test(test_flood),
      cmocka_unit_test(test_exempt),
      cmocka_unit_test(test_random_events),
      cmocka_unit_test(test_batches),
      cmocka_unit_test(test_wrong_lock),
      cmocka_unit_test(test_selftest),
      cmocka_unit_test(test_free_in_flight),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
