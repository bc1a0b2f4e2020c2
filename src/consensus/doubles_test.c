/* Whom a vote of our own that comes from outside makes believe that another instance lives (contract.md 13.6). */
#include "aq_test.h"
#include "base/log.h"
#include "consensus/consensus_internal.h"
#include "fake/scenario.h"
#include "fake/value.h"

static uint32_t doubles;

static void on_double(void *arg, const char *why) {
  (void)arg;
  assert_non_null(strstr(why, "another instance"));
  doubles++;
}

/* A PREPARE of node 0's key for a slot, which node 2 delivers to node 0 when the duty begins. */
static void foreign_vote(scenario *s, uint64_t slot) {
  aq_duty duty = {slot, AQ_DUTY_ATTESTER};
  fake_run_until(s->w, aq_duty_start_ns(&s->w->chain, duty) + AQ_MILLIS(10));
  aq_qbft_msg m = {.type = AQ_QBFT_PREPARE, .from = 0, .round = 1, .value = {{9}}};
  inject(s->w, 2, 0, duty, &m, aq_bytes_of(NULL, 0));
  fake_run_until(s->w, fake_cluster_now(s->w) + AQ_MILLIS(10));
}

static yyjson_doc *watched(scenario *s, uint64_t up_slots) {
  yyjson_doc *doc = happy(s);
  scenario_run(s, 0);
  aq_consensus *c = s->w->node[0].c;
  doubles = 0;
  c->cfg.live_double = on_double;
  aq_consensus_chain_heard(c);
  c->started_mono_ns = aq_mono_ns(&s->w->node[0].env.env) -
                       (fake_cluster_now(s->w) - aq_slot_start_ns(&s->w->chain.clock, s->duty.slot)) -
                       up_slots * s->w->chain.clock.slot_ns;
  return doc;
}

/* Goal: the later of two live instances stops; replayed votes of an earlier run of ours never stop us (contract.md
   13.6).
   Method: node 0 started at this slot gets a foreign vote for this slot's duty's predecessor, then for the next. */
static void later_double_stops(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = watched(&s, 0);
  uint64_t slot = s.duty.slot;
  for (int i = 0; i < 3; i++) foreign_vote(&s, slot - 1);
  assert_int_equal(doubles, 0);
  assert_true(s.w->node[0].c->abstain_until_ns > 0);
  foreign_vote(&s, slot + 1);
  assert_int_equal(doubles, 1);
  foreign_vote(&s, slot + 2); /* told once */
  assert_int_equal(doubles, 1);
  finish(&s, doc);
}

/* Goal: a duty of before, in which the others show our lost votes again and again, holds back what began up to the
   first of them and no later duty: else one stuck duty silences the node for as long as it lives (consensus.md 7.3).
   Method: a vote of the slot before; later ones of other rounds while a new duty is being agreed. */
static void old_duty_silences_once(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = watched(&s, 0);
  aq_consensus *c = s.w->node[0].c;
  const aq_duty old = {s.duty.slot - 1, AQ_DUTY_ATTESTER}, next = {s.duty.slot + 1, AQ_DUTY_ATTESTER};
  fake_run_until(s.w, aq_duty_start_ns(&s.w->chain, s.duty));
  c->started_mono_ns = aq_mono_ns(&s.w->node[0].env.env);
  aq_qbft_msg m = {.type = AQ_QBFT_PREPARE, .from = 0, .round = 1, .value = {{9}}};
  inject(s.w, 2, 0, old, &m, aq_bytes_of(NULL, 0));
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(10));
  uint64_t until_ns = c->abstain_until_ns;
  assert_true(until_ns > 0 && aq_consensus_must_abstain(c, s.duty));
  fake_run_until(s.w, aq_duty_start_ns(&s.w->chain, next));
  for (uint32_t i = 0; i < 4; i++) fake_value_propose(s.w, i, next, i);
  for (m.round = 2; m.round < 6; m.round++) {
    inject(s.w, 2, 0, old, &m, aq_bytes_of(NULL, 0));
    fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(1));
  }
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_SECONDS(3));
  assert_int_equal(c->abstain_until_ns, until_ns);
  assert_false(aq_instance_find(c, next)->abstain);
  assert_non_null(fake_decision_of(s.w, 0, next));
  assert_int_equal(doubles, 0);
  finish(&s, doc);
}

/* Goal: the earlier of two live instances goes on while the other one stops; when it does not stop within an epoch,
   or both ran for long before they met, none goes on. A second meeting is a new one.
   Method: node 0 has run for two epochs; foreign votes of some slots, of much later, then of each slot of an epoch. */
static void earlier_double_waits(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = watched(&s, 64);
  uint64_t slot = s.duty.slot, epoch = s.w->chain.clock.slots_per_epoch;
  for (uint64_t i = 1; i < 5; i++) foreign_vote(&s, slot + i);
  slot += 3 * epoch;
  for (uint64_t i = 0; i <= epoch; i++) foreign_vote(&s, slot + i);
  assert_int_equal(doubles, 0);
  foreign_vote(&s, slot + epoch + 1);
  assert_int_equal(doubles, 1);
  finish(&s, doc);
}

/* Goal: what an earlier run of ours sent never looks like another live instance, whatever was lost and however wrong a
   clock is or was; who can have sent nothing before is believed (contract.md 13.6).
   Method: an unknown vote of a duty after the start, (0) before the chain was heard, which is when a clock that is a
   year behind shows, (1) with a clock known to be behind, (2) on a lost journal, (3) on an old store, in both up to
   what a clock ahead of the present could have voted for; then a vote of later than that. */
static void earlier_runs_stop_nobody(void **state) {
  (void)state;
  for (int which = 0; which < 4; which++) {
    scenario s;
    yyjson_doc *doc = watched(&s, 0);
    aq_consensus *c = s.w->node[0].c;
    uint64_t slot = s.duty.slot, gate_ns = aq_duty_gate_end_ns(&s.w->chain.clock, fake_cluster_now(s.w));
    uint64_t gate = aq_slot_at(&s.w->chain.clock, gate_ns);
    if (which == 0) c->chain_heard = false;
    if (which == 1) (void)aq_consensus_clock(c, gate_ns - c->made_ns, UINT64_MAX);
    if (which == 2) c->mark_ns = fake_cluster_now(s.w);
    if (which == 3) c->votes.stale_ns = fake_cluster_now(s.w);
    for (uint64_t i = 1; i <= 3; i++) foreign_vote(&s, slot + i);
    assert_int_equal(c->abstain_until_ns >= gate_ns, which != 0);
    foreign_vote(&s, gate - 1);
    assert_int_equal(doubles, 0);
    aq_consensus_chain_heard(c);
    foreign_vote(&s, gate + 1);
    assert_int_equal(doubles, which >= 2); /* the others run for longer than an epoch by then */
    finish(&s, doc);
  }
}

/* Goal: a vote that the journal knows is no foreign one, whoever brings it back and how often, restarts included.
   Method: node 0 decides with the others, restarts on its journal, and gets its own PREPARE again. */
static void own_votes_come_back(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  scenario_run(&s, 1000);
  aq_qbft_msg m = {.type = AQ_QBFT_PREPARE, .from = 0, .round = 1};
  bool recorded = false;
  for (size_t i = 0; i < s.w->shown_cnt && !recorded; i++) {
    recorded = s.w->shown[i].node == 0 && s.w->shown[i].m.type == AQ_QBFT_PREPARE;
    if (recorded) m.value = s.w->shown[i].m.value;
  }
  assert_true(recorded);
  fake_kill(s.w, 0);
  fake_boot(s.w, 0, AQ_STORE_OK);
  aq_consensus *c = s.w->node[0].c;
  doubles = 0;
  c->cfg.live_double = on_double;
  aq_consensus_chain_heard(c);
  c->started_mono_ns -= AQ_SECONDS(20); /* as if the duty were new */
  for (int i = 0; i < 3; i++) inject(s.w, 1, 0, s.duty, &m, aq_bytes_of(NULL, 0));
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(10));
  assert_int_equal(doubles, 0);
  m.value.b[0] ^= 1;
  inject(s.w, 1, 0, s.duty, &m, aq_bytes_of(NULL, 0));
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(10));
  assert_int_equal(doubles, 1);
  finish(&s, doc);
}

/* A decided duty, node 0 as if it had run for long, told of doubles. */
static yyjson_doc *decided_and_watched(scenario *s) {
  yyjson_doc *doc = happy(s);
  scenario_run(s, 2000);
  assert_non_null(fake_decision_of(s->w, 0, s->duty));
  doubles = 0;
  s->w->node[0].c->cfg.live_double = on_double;
  aq_consensus_chain_heard(s->w->node[0].c);
  s->w->node[0].c->started_mono_ns -= AQ_SECONDS(7200);
  return doc;
}

/* All that node 0 showed of the duty, to node 0, by a member. */
static void replay_own(scenario *s) {
  assert_true(s->w->shown_cnt > 0);
  for (size_t i = 0; i < s->w->shown_cnt; i++) {
    if (s->w->shown[i].node != 0 || !aq_duty_eq(s->w->shown[i].duty, s->duty)) continue;
    aq_qbft_msg m = s->w->shown[i].m;
    m.just = NULL, m.just_cnt = 0, m.raw = aq_bytes_of(NULL, 0);
    inject(s->w, 1, 0, s->duty, &m, aq_bytes_of(NULL, 0));
  }
  fake_run_until(s->w, fake_cluster_now(s->w) + AQ_MILLIS(20));
}

/* Goal: what was forgotten when its time was over stays over when the clock is set back: own votes that come back then
   stop nobody, hold nothing back, and the duty is not voted in afresh.
   Method: a duty is decided and ends; 3 s back, half an epoch back; its messages come again, and its trigger. */
static void clock_set_back(void **state) {
  (void)state;
  static const uint64_t back_s[] = {3, 190};
  for (size_t i = 0; i < AQ_COUNT(back_s); i++) {
    scenario s;
    yyjson_doc *doc = decided_and_watched(&s);
    fake_run_until(s.w, aq_duty_deadline_ns(&s.w->chain, s.duty) + AQ_SECONDS(1));
    aq_consensus *c = s.w->node[0].c;
    assert_null(aq_instance_find(c, s.duty));
    fake_step(s.w, -(int64_t)AQ_SECONDS(back_s[i]));
    assert_true(fake_cluster_now(s.w) < aq_duty_deadline_ns(&s.w->chain, s.duty));
    assert_int_equal(aq_consensus_participate(c, s.duty), AQ_E_STALE); /* also before anybody brings votes back */
    replay_own(&s);
    assert_int_equal(doubles, 0);
    assert_int_equal(c->abstain_until_ns, 0);
    uint32_t sends = s.w->node[0].sends;
    assert_int_equal(aq_consensus_participate(c, s.duty), AQ_E_STALE);
    fake_run_until(s.w, fake_cluster_now(s.w) + AQ_SECONDS(2));
    assert_int_equal(s.w->node[0].sends, sends);
    finish(&s, doc);
  }
}

/* Goal: the journal is asked before a double is believed, in whatever way memory came to lack the vote.
   Method: memory forgets a decided duty and that it ended; what the journal has (also only its COMMIT, which implies
   the PREPARE) is ours, what it does not have is a double, and where it cannot answer nobody is told to stop. */
static void journal_is_asked(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = decided_and_watched(&s);
  fake_node *n = &s.w->node[0];
  aq_consensus *c = n->c;
  c->started_mono_ns = aq_mono_ns(&n->env.env) - AQ_SECONDS(60);
  aq_instance_close(aq_instance_find(c, s.duty));
  replay_own(&s);
  assert_int_equal(doubles, 0);
  assert_int_equal(c->abstain_until_ns, 0);
  aq_qbft_msg prepare = {0};
  for (size_t i = 0; i < s.w->shown_cnt; i++) {
    if (s.w->shown[i].node == 0 && s.w->shown[i].m.type == AQ_QBFT_PREPARE) prepare = s.w->shown[i].m;
  }
  assert_int_equal(prepare.type, AQ_QBFT_PREPARE);
  for (fake_row *r = fake_disk_next(&n->disk, NULL), *after; r; r = after) {
    after = fake_disk_next(&n->disk, r);
    if (r->kind == FAKE_VOTE && r->u.vote.msg_type == AQ_QBFT_PREPARE) fake_disk_drop(r);
  }
  memset(c->ended, 0, sizeof c->ended);
  inject(s.w, 1, 0, s.duty, &prepare, aq_bytes_of(NULL, 0));
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(20));
  assert_int_equal(c->abstain_until_ns, 0);
  memset(c->ended, 0, sizeof c->ended);
  prepare.value.b[0] ^= 1;
  n->disk.fails = true;
  inject(s.w, 1, 0, s.duty, &prepare, aq_bytes_of(NULL, 0));
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(20));
  assert_int_equal(doubles, 0);
  assert_true(c->abstain_until_ns > 0);
  n->disk.fails = false;
  inject(s.w, 1, 0, s.duty, &prepare, aq_bytes_of(NULL, 0));
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(20));
  assert_int_equal(doubles, 1);
  finish(&s, doc);
}

/* Goal: two votes with our index are one only where all of it is the same, also what a ROUND-CHANGE says was prepared:
   each other one is asked about, and the journal's answer about the one says nothing about the other.
   Method: a message of each kind that the journal has and memory does not comes, and one that differs in one thing, by
   itself and while the answer about the first is on its way. Of a DECIDED only the value counts. */
static void votes_are_compared_whole(void **state) {
  (void)state;
  enum { SAME, ROUND, PREPARED_ROUND, PREPARED_VALUE, VALUE, TYPE, DUTY, CNT };
  static const aq_qbft_type kind[] = {AQ_QBFT_PREPARE, AQ_QBFT_COMMIT, AQ_QBFT_ROUND_CHANGE, AQ_QBFT_DECIDED};
  for (size_t i = 0; i < AQ_COUNT(kind) * 2 * CNT; i++) {
    bool together = i % 2;
    size_t differs = i / 2 % CNT;
    scenario s;
    yyjson_doc *doc = decided_and_watched(&s);
    fake_node *n = &s.w->node[0];
    aq_duty of = s.duty;
    uint8_t raw[AQ_QBFT_RAW_MAX];
    aq_qbft_msg m = {.type = kind[i / 2 / CNT], .round = 4, .prepared_round = 2};
    bool decided = m.type == AQ_QBFT_DECIDED;
    bool is_double = differs != SAME && (!decided || differs == VALUE || differs == TYPE || differs == DUTY);
    m.value = m.prepared_value = fake_decision_of(s.w, 0, s.duty)->hash;
    aq_bytes vote = aq_bytes_of(raw, aq_qbft_wire_sign(raw, n->key, s.duty, &m));
    const aq_store_vote own = {
        .duty = s.duty, .msg_type = (uint8_t)m.type, .round = 4, .prepared_round = 2, .msg = vote};
    if (!decided) fake_disk_put(&n->disk, fake_row_vote(&own)); /* the decision itself is there */
    n->c->started_mono_ns = aq_mono_ns(&n->env.env) - AQ_SECONDS(60);
    aq_instance_close(aq_instance_find(n->c, s.duty));
    memset(n->c->ended, 0, sizeof n->c->ended);
    if (together) inject(s.w, 1, 0, s.duty, &m, aq_bytes_of(NULL, 0));
    m.round -= differs == ROUND;
    m.prepared_round += differs == PREPARED_ROUND;
    m.prepared_value.b[31] ^= differs == PREPARED_VALUE;
    m.value.b[31] ^= differs == VALUE;
    if (differs == TYPE) m.type = AQ_QBFT_PRE_PREPARE;
    of.slot += differs == DUTY;
    inject(s.w, 1, 0, of, &m, aq_bytes_of(NULL, 0));
    assert_int_equal(n->c->ask_cnt, 1 + (together && differs != SAME));
    fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(20));
    assert_int_equal(n->c->ask_cnt, 0);
    assert_int_equal(doubles, is_double);
    assert_int_equal(n->c->abstain_until_ns > 0, is_double);
    finish(&s, doc);
  }
}

/* Goal: a restart under a clock that is ahead takes the votes of live duties for over, not for unknown.
   Method: a duty is decided; an hour forward, restart, an hour back; own votes come again, and the trigger. */
static void restart_while_ahead(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  scenario_run(&s, 2000);
  fake_step(s.w, (int64_t)AQ_SECONDS(3600));
  fake_kill(s.w, 0);
  fake_boot(s.w, 0, AQ_STORE_OK);
  fake_step(s.w, -(int64_t)AQ_SECONDS(3600));
  aq_consensus *c = s.w->node[0].c;
  c->cfg.live_double = on_double;
  aq_consensus_chain_heard(c);
  doubles = 0;
  assert_int_equal(aq_consensus_participate(c, s.duty), AQ_E_STALE);
  replay_own(&s);
  assert_int_equal(doubles, 0);
  assert_int_equal(c->abstain_until_ns, 0);
  finish(&s, doc);
}

/* Goal: a duty whose records are pruned and that memory forgot stays over when the clock is set back, in the same
   process and over a restart: its votes that come again stop nobody and hold nothing back, and it is not voted in.
   Method: a duty is decided; as many duties end as memory holds, or a restart finds newer records only; the clock is
   set back to just before the duty. */
static void pruned_duties_are_over(void **state) {
  (void)state;
  for (int restart = 0; restart < 2; restart++) {
    scenario s;
    yyjson_doc *doc = decided_and_watched(&s);
    fake_node *n = &s.w->node[0];
    const uint64_t later = 4 * AQ_STORE_KEEP_SLOTS;
    fake_run_until(s.w, aq_duty_start_ns(&s.w->chain, (aq_duty){s.duty.slot + later, AQ_DUTY_ATTESTER}));
    for (uint64_t i = 1; i <= AQ_INST_ENDED_MAX; i++)
      aq_consensus_ended(n->c, (aq_duty){s.duty.slot + i, AQ_DUTY_ATTESTER});
    if (restart) fake_kill(s.w, 0);
    fake_disk moved; /* by their keys: the bytes then fit no duty */
    fake_disk_init(&moved);
    for (fake_row *r; (r = fake_disk_next(&n->disk, NULL)) != NULL;) {
      aq_duty *at = r->kind == FAKE_VOTE   ? &r->u.vote.duty
                    : r->kind == FAKE_BLOB ? &r->u.blob.duty
                                           : &r->u.decided.duty;
      aq_list_remove(&r->link);
      at->slot += later;
      fake_disk_put(&moved, r);
    }
    fake_disk_copy(&n->disk, &moved);
    fake_disk_free(&moved);
    fake_step(s.w, (int64_t)(aq_duty_start_ns(&s.w->chain, s.duty) - AQ_SECONDS(5)) - (int64_t)fake_cluster_now(s.w));
    if (restart) fake_boot(s.w, 0, AQ_STORE_OK);
    n->c->cfg.live_double = on_double;
    n->c->started_mono_ns = aq_mono_ns(&n->env.env);
    aq_consensus_chain_heard(n->c);
    uint32_t sends = n->sends;
    replay_own(&s);
    assert_int_equal(doubles, 0);
    assert_int_equal(n->c->abstain_until_ns, 0);
    assert_int_equal(aq_consensus_participate(n->c, s.duty), AQ_E_STALE);
    assert_int_equal(aq_consensus_participate(n->c, (aq_duty){s.duty.slot, AQ_DUTY_PROPOSER}),
                     restart ? AQ_E_STALE : AQ_OK); /* this process forgot none of them */
    fake_run_until(s.w, fake_cluster_now(s.w) + AQ_SECONDS(2));
    assert_int_equal(n->sends, sends);
    finish(&s, doc);
  }
}

/* Goal: a clock that was years ahead while duties ended, or took records for the newest, leaves nothing over beyond
   what anybody takes a message of (docs/decisions/008). Method: an ended duty of long after, the bound. */
static void what_is_over_is_bounded(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  scenario_run(&s, 0);
  aq_consensus *c = s.w->node[0].c;
  const aq_clock *clock = &s.w->chain.clock;
  uint64_t limit_ns = aq_duty_gate_end_ns(clock, fake_cluster_now(s.w)), limit = aq_slot_at(clock, limit_ns);
  aq_consensus_ended_before(c, AQ_DUTY_ATTESTER, limit + 1000000);
  (void)aq_consensus_clock(c, AQ_SECONDS(31536000), UINT64_MAX);
  assert_true(aq_consensus_has_ended(c, (aq_duty){limit, AQ_DUTY_ATTESTER}));
  (void)aq_consensus_clock(c, 0, limit_ns);
  assert_true(aq_consensus_has_ended(c, (aq_duty){limit - 1, AQ_DUTY_ATTESTER}));
  assert_false(aq_consensus_has_ended(c, (aq_duty){limit, AQ_DUTY_ATTESTER}));
  assert_true(c->made_ns + c->behind_ns <= limit_ns);
  finish(&s, doc);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(later_double_stops),       cmocka_unit_test(old_duty_silences_once),
      cmocka_unit_test(earlier_double_waits),     cmocka_unit_test(earlier_runs_stop_nobody),
      cmocka_unit_test(own_votes_come_back),      cmocka_unit_test(clock_set_back),
      cmocka_unit_test(journal_is_asked),         cmocka_unit_test(restart_while_ahead),
      cmocka_unit_test(pruned_duties_are_over),   cmocka_unit_test(what_is_over_is_bounded),
      cmocka_unit_test(votes_are_compared_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
