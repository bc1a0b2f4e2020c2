/* Clusters whose messages are slow, or whose leader shows its proposal to some: when do rounds end? */
#include "aq_test.h"

#include "consensus/consensus_internal.h"
#include "fake/value.h"

/* Four nodes and an attester duty; node r % 4 leads round r. Three make a quorum, two pull a third along. */
enum { NODES = 4, SLOT = 6 };

static const aq_duty duty = {SLOT, AQ_DUTY_ATTESTER};

/* What the network does to the messages of one test; messages of `mute` never come. */
static struct {
  uint32_t mute;       /* node, NODES: none */
  int64_t round;       /* that the rest is about */
  uint32_t shown_to;   /* bit i: node i is shown the round's proposal */
  uint64_t prepare_ms; /* its PREPAREs come later by this */
} net;

static fake_verdict filter(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                           uint64_t *extra_ns) {
  (void)w, (void)out;
  if (from == net.mute) return FAKE_DROP;
  if (m->msg.round != net.round) return FAKE_PASS;
  if (m->msg.type == AQ_QBFT_PRE_PREPARE) return net.shown_to >> to & 1 ? FAKE_PASS : FAKE_DROP;
  if (m->msg.type == AQ_QBFT_PREPARE) *extra_ns = AQ_MILLIS(net.prepare_ms);
  return FAKE_PASS;
}

static uint64_t start_ns(const fake_cluster *w) { return aq_duty_start_ns(&w->chain, duty); }

static fake_cluster *begin(uint64_t leader_after_ms) {
  for (int64_t r = 1; r <= 4; r++) assert_int_equal(aq_qbft_leader(SLOT, AQ_DUTY_ATTESTER, r, NODES), r % NODES);
  fake_cluster *w = fake_cluster_before(NODES, 0, duty);
  w->filter = filter;
  for (uint32_t i = 0; i < NODES; i++) {
    if (i != 1) fake_value_propose(w, i, duty, i);
  }
  if (leader_after_ms) fake_run_until(w, start_ns(w) + AQ_MILLIS(leader_after_ms));
  fake_value_propose(w, 1, duty, 1);
  return w;
}

static void decided_in(fake_cluster *w, uint64_t round, uint64_t from_ms, uint64_t until_ms) {
  fake_run_until(w, start_ns(w) + AQ_SECONDS(7));
  for (uint32_t i = 0; i < NODES; i++) {
    const fake_decision *d = fake_decision_of(w, i, duty);
    assert_non_null(d);
    assert_int_equal(d->round, round);
    assert_in_range(d->at_ns, start_ns(w) + AQ_MILLIS(from_ms), start_ns(w) + AQ_MILLIS(until_ms));
  }
  fake_cluster_free(w);
}

/* Says to all others that node 3 is in a later round. */
static void goes_ahead(fake_cluster *w) {
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_buf bytes = AQ_BUF(4096);
  const aq_qbft_msg m = {.type = AQ_QBFT_ROUND_CHANGE, .from = 3, .round = 4};
  aq_qbft_wire_put_msg(&bytes, aq_bytes_of(raw, aq_qbft_wire_sign(raw, w->node[3].key, duty, &m)));
  for (uint32_t to = 0; to < 3; to++) fake_hand_over(w, to, 3, aq_buf_bytes(&bytes));
  aq_buf_free(&bytes);
}

/* Goal: a leader that shows its proposal to some nodes only, and is silent besides, costs its round and no more: who
   took the proposal does not wait for twice its time, in which other leaders would get no turn.
   Method: in round 1 the silent leader itself is that leader; in round 2 another one, and the first is silent. */
static void costs_one_round(void **state) {
  (void)state;
  memset(&net, 0, sizeof net);
  net.mute = NODES, net.round = 1, net.shown_to = 1 << 0 | 1 << 1;
  decided_in(begin(0), 2, 1000, 1300);
  net.mute = 1, net.round = 2, net.shown_to = 1 << 0 | 1 << 2;
  decided_in(begin(0), 3, 2000, 2300);
}

/* Goal: where nobody is ahead a slow round has all of its doubled time, as in Charon's table.
   Method: the PREPAREs of round 2 take 2.3 s, so that its quorum is there after 3.3 s; node 1 is silent. */
static void slow_round_has_its_time(void **state) {
  (void)state;
  memset(&net, 0, sizeof net);
  net.mute = 1, net.round = 2, net.shown_to = 0xf, net.prepare_ms = 2300;
  decided_in(begin(0), 2, 3300, 3999);
}

/* Goal: votes under way are waited for although a node went on. Method: the proposal of round 1 comes after 800 ms, to
   all but node 3, and the PREPAREs take 600 ms: node 3 goes on after 1 s, the quorum is there after 1.4 s. */
static void votes_on_their_way(void **state) {
  (void)state;
  memset(&net, 0, sizeof net);
  net.mute = NODES, net.round = 1, net.shown_to = 0x7, net.prepare_ms = 600;
  decided_in(begin(800), 1, 1400, 1700);
}

/* Goal: nobody ends a round before its ordinary end. Method: node 3 says at once that it is in round 4; the PREPAREs of
   round 1 come after 900 ms. */
static void not_before_its_end(void **state) {
  (void)state;
  memset(&net, 0, sizeof net);
  net.mute = NODES, net.round = 1, net.shown_to = 0xf, net.prepare_ms = 900;
  fake_cluster *w = begin(0);
  fake_run_until(w, start_ns(w) + AQ_MILLIS(100));
  goes_ahead(w);
  decided_in(w, 1, 850, 999);
}

/* Goal: a node whose verdict on a proposal is owed does not stay longer than one that was not shown it: the answer
   may never come. Method: two nodes have none in round 1, but do in round 2. */
static void owed_verdict(void **state) {
  (void)state;
  memset(&net, 0, sizeof net);
  net.mute = NODES;
  fake_cluster *w = begin(0);
  for (uint32_t i = 2; i < NODES; i++) w->node[i].always_waits = true;
  fake_run_until(w, start_ns(w) + AQ_MILLIS(1000));
  for (uint32_t i = 2; i < NODES; i++) w->node[i].always_waits = false;
  decided_in(w, 2, 1000, 1300);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(costs_one_round),    cmocka_unit_test(slow_round_has_its_time),
      cmocka_unit_test(votes_on_their_way), cmocka_unit_test(not_before_its_end),
      cmocka_unit_test(owed_verdict),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
