/* What a batch takes, in which order, and what it need not look at again. */
#include "base/log.h"
#include "fake/tss_world.h"

/* What a batch is made of, looked at before a worker has it. */

static const tss_batch *newest(const world *w) { return AQ_CONTAINER(w->tss->batches.prev, tss_batch, link); }

/* Signed where the cluster is the world's own; else bytes, which no worker is waited for to look at. */
static aq_tss_partial part(const world *w, aq_sign_key key, uint32_t share) {
  if (w->cluster.share == w->share) return sign(w, key, share, 1);
  aq_tss_partial p = {.key = key, .share_idx = share, .sig = {0x80, (uint8_t)share}};
  root_of(p.root, 1);
  return p;
}

/* A session with the partials of `shares`, ours among them or not, that becomes ready at once. */
static void ready(world *w, aq_sign_key key, uint32_t shares) {
  aq_tss_partial p = part(w, key, w->cluster.self + 1);
  for (uint32_t share = 1; share <= w->cluster.n; share++) {
    aq_tss_partial other = part(w, key, share);
    if (share != p.share_idx && (shares >> (share - 1) & 1)) assert_int_equal(remote(w, &other), AQ_OK);
  }
  if (shares >> w->cluster.self & 1)
    aq_tss_local(w->tss, &p, 1);
  else
    aq_tss_agreed(w->tss, &key, p.root);
}

static int order(const aq_sign_key *a, const aq_sign_key *b) {
  uint64_t one[] = {a->duty.slot, a->duty.type, a->validator, a->sub};
  uint64_t two[] = {b->duty.slot, b->duty.type, b->validator, b->sub};
  for (size_t i = 0; i < AQ_COUNT(one); i++) {
    if (one[i] != two[i]) return one[i] < two[i] ? -1 : 1;
  }
  return 0;
}

/* Goal: a batch stands in the order of slot, type, validator and subcommittee, whatever became ready first (tss.md 9).
   Method: two batches under way, so that others collect: two of each, from the last to the first and shuffled. */
static void test_order(void **state) {
  (void)state;
  for (uint32_t step = 5; step <= 15; step += 2) { /* shares no factor with 16 */
    world *w = world_new(0, 50);
    for (uint64_t slot = 90; slot < 90 + TSS_IN_FLIGHT_MAX; slot++) ready(w, key_of(slot, AQ_DUTY_ATTESTER, 0), 0x7);
    assert_int_equal(w->tss->batch_cnt, TSS_IN_FLIGHT_MAX);
    for (uint32_t i = 0; i < 16; i++) {
      uint32_t k = i * step % 16;
      aq_duty_type type = k & 2 ? AQ_DUTY_SYNC_CONTRIBUTION : AQ_DUTY_ATTESTER;
      ready(w, (aq_sign_key){.duty = {100 + (k & 1), type}, .validator = k >> 2 & 1, .sub = k >> 3}, 0x7);
    }
    const tss_batch *last = newest(w);
    while (newest(w) == last) assert_true(fake_env_job_step(&w->env));
    const tss_batch *b = newest(w);
    assert_int_equal(b->cnt, 16);
    for (uint32_t i = 1; i < b->cnt; i++) assert_int_equal(order(&b->item[i - 1].key, &b->item[i].key), -1);
    fake_env_jobs(&w->env);
    world_free(w);
  }
}

/* What the choice weighs, written down once more: unverified ones, whether there is a denominator, set bits. */
static uint64_t weight(uint32_t set, uint32_t verified, unsigned t) {
  uint32_t idx[AQ_SHARES_MAX];
  int64_t coeff[AQ_SHARES_MAX], den = 1;
  unsigned cnt = 0;
  uint64_t bits = 0;
  for (uint32_t i = 0; i < 32; i++) {
    if (set >> i & 1) idx[cnt++] = i + 1;
  }
  assert_int_equal(cnt, t);
  assert_true(aq_tbls_lagrange(coeff, &den, idx, t));
  for (unsigned i = 0; i < t; i++)
    bits += (uint64_t)__builtin_popcountll((uint64_t)(coeff[i] < 0 ? -coeff[i] : coeff[i]));
  return (uint64_t)__builtin_popcount(set & ~verified) << 40 | (uint64_t)(den * den != 1) << 20 | bits;
}

/* Goal: of the usable partials those are combined that cost least: verified ones first, then without a denominator,
   then the fewest additions (tss.md 4.2). Method: clusters of 3 to 8, all sets of shares that are there, ours
   verified, in three places, against all choices. */
static void test_cheapest(void **state) {
  (void)state;
  world *w = world_new(0, 51);
  for (uint32_t n = 3; n <= 8; n++) {
    aq_bls_pk share[8];
    for (uint32_t i = 0; i < n; i++) share[i] = w->share[0];
    uint32_t t = n - (n - 1) / 3;
    for (uint32_t at = 0; at < 3 * (UINT32_C(1) << n); at++) {
      uint32_t shares = at / 3, self = at % 3 * (n - 1) / 2, own = shares & UINT32_C(1) << self, set = 0;
      if ((uint32_t)__builtin_popcount(shares) < t) continue;
      w->cluster = (aq_tss_cluster){n, t, self, 1, w->group, share};
      restart(w);
      ready(w, key_of(100, AQ_DUTY_ATTESTER, 0), shares);
      assert_int_equal(w->tss->batch_cnt, 1);
      const tss_item *it = &newest(w)->item[0];
      for (uint32_t i = 0; i < t; i++) set |= UINT32_C(1) << (it->idx[i] - 1);
      assert_int_equal(set & ~shares, 0);
      uint64_t least = UINT64_MAX;
      for (uint32_t any = 1; any <= shares; any++) {
        if ((any & ~shares) || (uint32_t)__builtin_popcount(any) != t) continue;
        uint64_t cost = weight(any, own, t);
        least = cost < least ? cost : least;
      }
      assert_true(weight(set, own, t) == least);
      fake_env_jobs(&w->env);
    }
  }
  world_free(w);
}

/* Goal: a partial that verified in a batch that failed is not looked at again, whatever its peer did meanwhile. Method:
   share 3 is wrong, then share 2 loses its standing, then share 4 completes the threshold. */
static void test_proved(void **state) {
  (void)state;
  world *w = world_new(0, 53);
  aq_sign_key key = key_of(100, AQ_DUTY_ATTESTER, 0);
  aq_tss_partial bad = part(w, key, 3), last = part(w, key, 4);
  ready(w, key, 0x3);
  corrupt(w, &bad, NEGATED, 1);
  assert_int_equal(remote(w, &bad), AQ_OK);
  fake_env_jobs(&w->env);
  assert_int_equal(w->blame_cnt, 1);
  tss_distrust(w->tss, 2);
  assert_int_equal(remote(w, &last), AQ_OK);
  assert_true(w->tss->check_cnt == 0 && w->tss->batch_cnt == 1);
  fake_env_jobs(&w->env);
  assert_int_equal(w->sig_cnt, 1);
  want_group_sig(w, 0, 1);
  world_free(w);
}

static char said[4096];
static void on_line(void *arg, const char *line, size_t len) {
  (void)arg;
  if (strstr(line, "tss_session") && len < sizeof said) memcpy(said, line, len), said[len] = 0;
}

/* Goal: the line of a session names its duty, its slot and the first digits of its validator's key. Method: sessions of
   each validator that time out. */
static void test_session_line(void **state) {
  (void)state;
  world *w = world_new(0, 52);
  aq_log_start(AQ_LOG_INFO, on_line, NULL);
  for (uint32_t v = 0; v < V; v++) {
    char want[64], hex[97];
    uint8_t pk[48];
    uint64_t slot = aq_slot_at(&the_chain.clock, fake_env_now(&w->env));
    ready(w, key_of(slot, AQ_DUTY_SYNC_MESSAGE, v), 0x3);
    fake_env_run_until(&w->env, fake_env_now(&w->env) + 4 * the_chain.clock.slot_ns);
    aq_bls_secret_to_pubkey(pk, w->secret[v]);
    aq_hex_encode(hex, aq_bytes_of(pk, 48));
    snprintf(want, sizeof want, "\"id\":\"sync_message/%u/%.7s\"", (unsigned)slot, hex);
    assert_non_null(strstr(said, want));
    assert_non_null(strstr(said, "\"phase\":\"gather\",\"result\":\"timeout\""));
  }
  aq_log_stop();
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_cheapest),
      cmocka_unit_test(test_proved),
      cmocka_unit_test(test_session_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
