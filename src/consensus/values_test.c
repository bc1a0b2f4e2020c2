/* Verdicts that come late, never or against the others, and peers that send too many values. */
#include "aq_test.h"

#include "base/log.h"
#include "consensus/consensus_internal.h"
#include "fake/value.h"

/* How an instance lives with a verdict that comes later, and what it tells whoever judges. Four nodes and an attester
   duty whose rounds nodes 1, 2, 3, 0 lead. */
enum { NODES = 4, SLOT = 6 };

static const aq_duty duty = {SLOT, AQ_DUTY_ATTESTER};

static fake_cluster *cluster_of(uint32_t n) {
  fake_cluster *w = fake_cluster_new(n, AQ_DENEB);
  w->commit_ns = AQ_MILLIS(2);
  fake_run_until(w, aq_duty_start_ns(&w->chain, duty));
  for (uint32_t i = 0; i < n; i++) {
    fake_boot(w, i, AQ_STORE_OK);
    assert_int_equal(aq_consensus_participate(w->node[i].c, duty), AQ_OK);
  }
  return w;
}

static fake_cluster *cluster(void) {
  assert_int_equal(aq_qbft_leader(SLOT, AQ_DUTY_ATTESTER, 1, NODES), 1);
  return cluster_of(NODES);
}

static void run_ms(fake_cluster *w, uint64_t ms) { fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(ms)); }

static size_t votes(const fake_node *n, aq_qbft_type type, int64_t round) {
  size_t cnt = 0;
  for (fake_row *r = NULL; (r = fake_disk_next(&n->disk, r)) != NULL;)
    cnt += r->kind == FAKE_VOTE && r->u.vote.msg_type == (int)type && r->u.vote.round == (uint64_t)round;
  return cnt;
}

static void everybody_waits(fake_cluster *w, bool waits) {
  for (uint32_t i = 0; i < NODES; i++) w->node[i].always_waits = waits;
}

/* Goal: a verdict may come later; nothing is prepared before it, everything goes on after it, and what is not waited
   for may be answered without harm. Method: all nodes wait; then they are told to judge again, twice. */
static void verdicts_come_later(void **state) {
  (void)state;
  fake_cluster *w = cluster();
  everybody_waits(w, true);
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 300);
  for (uint32_t i = 0; i < NODES; i++) {
    assert_int_equal(votes(&w->node[i], AQ_QBFT_PREPARE, 1), 0);
    assert_int_equal(w->node[i].asked_cnt, 1);
    aq_consensus_judge(w->node[i].c, duty); /* not yet */
    assert_int_equal(w->node[i].asked_cnt, 2);
  }
  everybody_waits(w, false);
  for (int again = 0; again < 2; again++) {
    for (uint32_t i = 0; i < NODES; i++) aq_consensus_judge(w->node[i].c, duty);
    for (uint32_t i = 0; i < NODES; i++) assert_int_equal(w->node[i].asked_cnt, 3);
  }
  run_ms(w, 200);
  for (uint32_t i = 0; i < NODES; i++) {
    const fake_decision *d = fake_decision_of(w, i, duty);
    assert_true(d && d->round == 1);
    aq_consensus_judge(w->node[i].c, duty);
    aq_consensus_judge(w->node[i].c, (aq_duty){SLOT + 1, AQ_DUTY_ATTESTER});
  }
  fake_cluster_free(w);
}

/* Goal: a verdict that never comes ends with its round: the next leader is heard. Method: all wait in round 1 only. */
static void owed_verdicts_end(void **state) {
  (void)state;
  fake_cluster *w = cluster();
  everybody_waits(w, true);
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 300);
  everybody_waits(w, false);
  for (uint32_t i = 0; i < NODES; i++) {
    if (i != 1) fake_value_propose(w, i, duty, 10 + i);
  }
  run_ms(w, 4000);
  for (uint32_t i = 0; i < NODES; i++) {
    const fake_decision *d = fake_decision_of(w, i, duty);
    assert_true(d && d->round > 1);
    aq_consensus_judge(w->node[i].c, duty);
  }
  fake_cluster_free(w);
}

static fake_verdict lose_round1_commits(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                        uint64_t *extra) {
  (void)w, (void)from, (void)to, (void)out, (void)extra;
  return m->msg.type == AQ_QBFT_COMMIT && m->msg.round == 1 ? FAKE_DROP : FAKE_PASS;
}

/* Goal: who refused a value learns that a quorum prepared it, and need not lock the instance by refusing it for ever.
   Method: all but node 0 prepare it, the COMMITs are lost, node 2 leaves: without node 0 there is no quorum. Round 2
   ends with the extended round 1, round 3 is node 3's. */
static void prepared_values_are_named(void **state) {
  (void)state;
  fake_cluster *w = cluster();
  fake_node *n = &w->node[0];
  w->filter = lose_round1_commits;
  n->always_reject = n->trusts_prepared = true;
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 300);
  assert_int_equal(votes(&w->node[3], AQ_QBFT_COMMIT, 1), 1);
  assert_int_equal(votes(n, AQ_QBFT_PREPARE, 1), 0);
  assert_false(n->asked[0].prepared);
  fake_kill(w, 2);
  run_ms(w, 6000);
  for (uint32_t i = 0; i < NODES; i++) {
    const fake_decision *d = i == 2 ? NULL : fake_decision_of(w, i, duty);
    assert_true(i == 2 || (d && d->round == 3));
  }
  const aq_value_case *last = &n->asked[n->asked_cnt - 1];
  assert_true(last->prepared && last->round == 3);
  fake_cluster_free(w);
}

/* Node 1's proposal reaches node 0 with another value. */
static fake_verdict two_stories(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                uint64_t *extra) {
  (void)extra;
  if (from != 1 || to != 0 || m->msg.type != AQ_QBFT_PRE_PREPARE) return FAKE_PASS;
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_buf bytes = AQ_BUF(FAKE_VALUE_MAX);
  aq_qbft_msg other = m->msg;
  fake_value_put(&bytes, &other.value, duty, 99);
  aq_qbft_wire_put_msg(out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, w->node[1].key, m->duty, &other)));
  aq_qbft_wire_put_value(out, m->duty.type, aq_buf_bytes(&bytes));
  aq_buf_free(&bytes);
  return FAKE_REPLACE;
}

/* Goal: once a quorum prepared the leader's other value, a late verdict on the one that was shown here does not make a
   PREPARE after the COMMIT that contradicts it. Method: node 0 waits for its verdict meanwhile. */
static void commits_end_the_wait(void **state) {
  (void)state;
  fake_cluster *w = cluster();
  w->filter = two_stories;
  w->node[0].always_waits = true;
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 26); /* PREPAREs are there, the COMMITs of a quorum are not */
  for (int ms = 0; ms < 100 && votes(&w->node[0], AQ_QBFT_COMMIT, 1) == 0; ms++) run_ms(w, 1);
  assert_int_equal(votes(&w->node[0], AQ_QBFT_COMMIT, 1), 1);
  w->node[0].always_waits = false;
  aq_consensus_judge(w->node[0].c, duty);
  run_ms(w, 200);
  assert_int_equal(votes(&w->node[0], AQ_QBFT_PREPARE, 1), 0);
  for (uint32_t i = 0; i < NODES; i++) assert_non_null(fake_decision_of(w, i, duty));
  fake_cluster_free(w);
}

static fake_verdict late_proposals(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                   uint64_t *extra) {
  (void)from, (void)to, (void)out;
  if (m->msg.type == AQ_QBFT_PRE_PREPARE && w->node[to].doubts) *extra = AQ_MILLIS(400);
  return FAKE_PASS;
}

/* Goal: who doubts a value prepares it once f+1 others do, whether their PREPAREs come before or after the proposal;
   f of them move nobody, and such a round ends in its ordinary time. Method: all but the first nodes from the leader
   on doubt; sizes with f from 0 to 3, a node fewer, and late proposals. */
static void doubts_follow_the_others(void **state) {
  (void)state;
  static const uint32_t size[] = {3, 4, 5, 6, 7, 10};
  for (uint32_t k = 0; k < 3 * AQ_COUNT(size); k++) {
    uint32_t n = size[k / 3], f = aq_qbft_faulty(n), lead = aq_qbft_leader(SLOT, AQ_DUTY_ATTESTER, 1, n);
    bool few = k % 3 == 0, late = k % 3 == 2;
    if (few && f == 0) continue; /* the leader alone is enough */
    fake_cluster *w = cluster_of(n);
    if (late) w->filter = late_proposals;
    for (uint32_t i = few ? f : f + 1; i < n; i++) w->node[(lead + i) % n].doubts = true;
    fake_value_propose(w, lead, duty, 1);
    run_ms(w, 900);
    const fake_node *last = &w->node[(lead + n - 1) % n];
    assert_int_equal(votes(last, AQ_QBFT_PREPARE, 1), !few);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(fake_decision_of(w, i, duty) != NULL, !few);
    assert_int_equal(last->asked_cnt, late || few ? 1 : 2); /* and not at each PREPARE */
    run_ms(w, 300);
    assert_int_equal(votes(last, AQ_QBFT_ROUND_CHANGE, 2), few);
    fake_cluster_free(w);
  }
}

/* Goal: who waits for its beacon node goes with f+1 others meanwhile, and is asked once more only. Method: node 0
   waits; f others prepare, then one more. */
static void waits_are_asked_again(void **state) {
  (void)state;
  fake_cluster *w = cluster();
  for (uint32_t i = 2; i < NODES; i++) w->node[i].doubts = true;
  w->node[0].always_waits = true;
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 100);
  assert_int_equal(w->node[0].asked_cnt, 1);
  w->node[2].doubts = false;
  aq_consensus_judge(w->node[2].c, duty);
  run_ms(w, 100);
  assert_int_equal(w->node[0].asked_cnt, 2);
  assert_true(w->node[0].asked[1].seconded && !w->node[0].asked[0].seconded);
  fake_cluster_free(w);
}

/* Goal: only a quorum's PREPAREs of this value in one earlier round count, whatever else the leader adds. Method: lists
   with each part wrong. */
static void certificates(void **state) {
  (void)state;
  enum { QUORUM = 3 };
  aq_qbft_msg just[5], m = {.type = AQ_QBFT_PRE_PREPARE, .round = 3, .value = {{7}}, .just = just, .just_cnt = 3};
  for (uint32_t i = 0; i < 5; i++)
    just[i] = (aq_qbft_msg){.type = AQ_QBFT_PREPARE, .from = i % NODES, .round = 2, .value = {{7}}};
  assert_true(aq_value_certified(&m, QUORUM));
  just[2].value.b[0] = 8;
  assert_false(aq_value_certified(&m, QUORUM));
  just[2].value.b[0] = 7, just[2].round = 1;
  assert_false(aq_value_certified(&m, QUORUM));
  just[2].round = 2, just[2].type = AQ_QBFT_ROUND_CHANGE;
  assert_false(aq_value_certified(&m, QUORUM));
  just[2].type = AQ_QBFT_PREPARE, just[2].from = 0;
  assert_false(aq_value_certified(&m, QUORUM));
  m.just_cnt = 4; /* a ROUND-CHANGE's place does not matter */
  just[0].type = AQ_QBFT_ROUND_CHANGE, just[0].round = 3;
  assert_true(aq_value_certified(&m, QUORUM));
  m.round = 2;
  assert_false(aq_value_certified(&m, QUORUM));
  m.just_cnt = 0;
  assert_false(aq_value_certified(&m, QUORUM));
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(verdicts_come_later),
      cmocka_unit_test(owed_verdicts_end),
      cmocka_unit_test(prepared_values_are_named),
      cmocka_unit_test(commits_end_the_wait),
      cmocka_unit_test(doubts_follow_the_others),
      cmocka_unit_test(waits_are_asked_again),
      cmocka_unit_test(certificates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
