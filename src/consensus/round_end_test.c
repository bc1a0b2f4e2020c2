#include "aq_test.h"

#include "consensus/fake_value.h"
#include "consensus/instance.h"

/* Four nodes and an attester duty; node r % 4 leads round r, and node 1 is never heard: rounds need all three others. */
enum { NODES = 4, SLOT = 6, MUTE = 1 };

static const aq_duty duty = {SLOT, AQ_DUTY_ATTESTER};

/* Goal of both filters: round 1 fails, and what happens in round 2 is up to its leader, node 2. */
static fake_verdict shown_to_one(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                 uint64_t *extra_ns) {
  (void)w, (void)out, (void)extra_ns;
  bool hidden = m->msg.type == AQ_QBFT_PRE_PREPARE && m->msg.round == 2 && to != 0;
  return from == MUTE || hidden ? FAKE_DROP : FAKE_PASS;
}

static fake_verdict slow_prepares(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                  uint64_t *extra_ns) {
  (void)w, (void)to, (void)out;
  if (m->msg.type == AQ_QBFT_PREPARE && m->msg.round == 2) *extra_ns = AQ_MILLIS(2300);
  return from == MUTE ? FAKE_DROP : FAKE_PASS;
}

static fake_cluster *run(fake_verdict (*filter)(fake_cluster *, uint32_t, uint32_t, const aq_qbft_wire *, aq_buf *,
                                                uint64_t *)) {
  for (int64_t r = 1; r <= 4; r++) assert_int_equal(aq_qbft_leader(SLOT, AQ_DUTY_ATTESTER, r, NODES), r % NODES);
  fake_cluster *w = fake_cluster_before(NODES, 0, duty);
  w->filter = filter;
  for (uint32_t i = 0; i < NODES; i++) fake_value_propose(w, i, duty, i);
  fake_run_until(w, aq_duty_start_ns(&w->chain.clock, duty) + AQ_SECONDS(7));
  return w;
}

static void decided_in(fake_cluster *w, uint64_t round, uint64_t from_ms, uint64_t until_ms) {
  uint64_t start = aq_duty_start_ns(&w->chain.clock, duty);
  for (uint32_t i = 0; i < NODES; i++) {
    const fake_decision *d = fake_decision_of(w, i, duty);
    assert_non_null(d);
    assert_int_equal(d->round, round);
    assert_in_range(d->at_ns, start + AQ_MILLIS(from_ms), start + AQ_MILLIS(until_ms));
  }
  fake_cluster_free(w);
}

/* Goal: who took a proposal that the others were not shown does not wait for the doubled end of its round, in which
   two more leaders would get no turn: one round ends in vain, and the next decides.
   Method: node 2 shows its proposal of round 2 to node 0 alone. Node 3 goes on at 2 s, the two follow at 3 s; with them
   round 4 has its quorum at once. */
static void who_is_left_behind_follows(void **state) {
  (void)state;
  decided_in(run(shown_to_one), 4, 3000, 3500);
}

/* Goal: where nobody is ahead a slow round has all of its doubled time, as in Charon's table.
   Method: the PREPAREs of round 2 take 2.3 s, so that its quorum is there after 3.3 s. */
static void a_slow_round_has_its_time(void **state) {
  (void)state;
  decided_in(run(slow_prepares), 2, 3300, 3999);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_is_left_behind_follows),
      cmocka_unit_test(a_slow_round_has_its_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
