/* Whole clusters of the component on virtual time, beside transcripts of Charon's. */
#include "consensus/consensus.h"

#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/pb.h"
#include "consensus/consensus_internal.h"
#include "fake/scenario.h"

/* ---- link faults of the scenarios ---- */

static fake_verdict lose_round1_commits(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                        uint64_t *extra) {
  (void)w, (void)from, (void)to, (void)out, (void)extra;
  return m->msg.type == AQ_QBFT_COMMIT && m->msg.round == 1 ? FAKE_DROP : FAKE_PASS;
}

static fake_verdict lose_rounds12_commits(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m,
                                          aq_buf *out, uint64_t *extra) {
  (void)w, (void)from, (void)to, (void)out, (void)extra;
  return m->msg.type == AQ_QBFT_COMMIT && m->msg.round <= 2 ? FAKE_DROP : FAKE_PASS;
}

static fake_verdict node3_misses_two(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                     uint64_t *extra) {
  (void)w, (void)out, (void)extra;
  bool lost = m->msg.type == AQ_QBFT_COMMIT && m->msg.round == 1 && to == 3 && (from == 1 || from == 2);
  return lost ? FAKE_DROP : FAKE_PASS;
}

static fake_verdict node0_commits_lost(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                       uint64_t *extra) {
  (void)w, (void)to, (void)out, (void)extra;
  return m->msg.type == AQ_QBFT_COMMIT && m->msg.round == 1 && from == 0 ? FAKE_DROP : FAKE_PASS;
}

static fake_verdict late_block(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                               uint64_t *extra) {
  (void)w, (void)out;
  if (m->msg.type == AQ_QBFT_PRE_PREPARE && m->msg.round == 1 && from == 3 && to != 0) *extra = AQ_MILLIS(300);
  return FAKE_PASS;
}

static const struct {
  const char *name;
  fake_verdict (*filter)(fake_cluster *, uint32_t, uint32_t, const aq_qbft_wire *, aq_buf *, uint64_t *);
} same_as_charon[] = {
    {"happy_n4", NULL},
    {"happy_n3", NULL},
    {"happy_n7", NULL},
    {"follower_offline", NULL},
    {"leader_offline", NULL},
    {"two_leaders_offline_n7", NULL},
    {"leader_value_900ms", NULL},
    {"leader_value_1500ms", NULL},
    {"all_values_2500ms", NULL},
    {"commits_lost_round1", lose_round1_commits},
    {"commits_lost_rounds1_2", lose_rounds12_commits},
    {"latency_400ms", NULL},
    {"latency_600ms", NULL},
    {"proposer_happy", NULL},
    {"proposer_leader_offline", NULL},
    {"proposer_late_block_partial", late_block},
};

/* Goal: under Charon's timers our component decides the same value, in the same round, no later than Charon's (to 1
   ms). Method: transcripts_component.json with the recorded links, times and losses; stores commit at once. */
static void as_fast_as_charon(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/transcripts_component.json");
  for (size_t i = 0; i < AQ_COUNT(same_as_charon); i++) {
    yyjson_val *t = find(doc, same_as_charon[i].name), *decided = yyjson_obj_get(t, "decided");
    scenario s;
    scenario_read(&s, t);
    s.w->filter = same_as_charon[i].filter;
    scenario_run(&s, 3000);
    for (uint32_t node = 0; node < s.w->n; node++) {
      char key[16];
      snprintf(key, sizeof key, "%u", node);
      yyjson_val *d = yyjson_obj_get(decided, key);
      if (s.offline[node]) continue;
      const char *msg = aq_test_str(d, "msg"), *name = strstr(msg, "v=") + 2;
      expect_decided(&s, node, name, yyjson_get_num(yyjson_obj_get(d, "t_ms")) + 1);
      assert_int_equal(fake_decision_of(s.w, node, s.duty)->round, strtoul(strchr(msg, '@') + 1, NULL, 10));
    }
    scenario_free(&s);
  }
  yyjson_doc_free(doc);
}

/* Goal: messages that waited for the start go before the timer, so that a late quorum still decides round 1: 1.2 s,
   Charon 2.0 s. Method: no_participate_stagger, values and so starts at 0, 500, 1200 and 2500 ms. */
static void late_starts_read_first(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/transcripts_component.json");
  scenario s;
  scenario_read(&s, find(doc, "no_participate_stagger"));
  scenario_run(&s, 3000);
  for (uint32_t i = 0; i < 4; i++) {
    expect_decided(&s, i, "V0", i < 3 ? 1225 : 2501);
    assert_int_equal(fake_decision_of(s.w, i, s.duty)->round, 1);
  }
  scenario_free(&s);
  yyjson_doc_free(doc);
}

/* Goal: a node that lost COMMITs learns the decision from those that decided, one round trip after its first
   ROUND-CHANGE. Method: one_follower_misses_two_commits and one_offline_one_commit_lost, where Charon's stragglers
   never decide. */
static void stragglers_are_answered(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/transcripts_component.json");
  scenario s;
  scenario_read(&s, find(doc, "one_follower_misses_two_commits"));
  s.w->filter = node3_misses_two;
  scenario_run(&s, 3000);
  for (uint32_t i = 0; i < 4; i++) expect_decided(&s, i, "V0", i < 3 ? 133 : 2025);
  scenario_free(&s);
  scenario_read(&s, find(doc, "one_offline_one_commit_lost"));
  s.w->filter = node0_commits_lost;
  scenario_run(&s, 3000);
  for (uint32_t i = 0; i < 3; i++) expect_decided(&s, i, "V0", i == 0 ? 133 : 2025);
  scenario_free(&s);
  yyjson_doc_free(doc);
}

/* ---- attacks and restarts, transcripts_adversarial.json ---- */

static void put_any(aq_buf *out, const char *url, aq_bytes bytes) {
  aq_buf any = AQ_BUF(1 << 20);
  uint8_t len[9];
  aq_buf_put_u8(&any, 0x0a);
  aq_buf_put(&any, len, aq_uvarint_put(len, strlen(url)));
  aq_buf_put_str(&any, url);
  aq_buf_put_u8(&any, 0x12);
  aq_buf_put(&any, len, aq_uvarint_put(len, bytes.len));
  aq_buf_put_bytes(&any, bytes);
  aq_buf_put_u8(out, 0x1a);
  aq_buf_put(out, len, aq_uvarint_put(len, any.len));
  aq_buf_put_bytes(out, aq_buf_bytes(&any));
  aq_buf_free(&any);
}

static const scenario *running; /* of the filters below */

/* Node 3 labels its values as something else; bytes and hash stay. */
static fake_verdict relabel(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                            uint64_t *extra) {
  (void)w, (void)to, (void)extra;
  if (from != 3 || m->any_cnt == 0) return FAKE_PASS;
  aq_qbft_wire_put_msg(out, m->msg.raw);
  for (uint32_t i = 0; i < m->msg.just_cnt; i++) aq_qbft_wire_put_just(out, NULL, m->duty, &m->msg.just[i]);
  for (uint32_t i = 0; i < m->any_cnt; i++)
    put_any(out, "type.googleapis.com/google.protobuf.Timestamp", m->any[i].value);
  return FAKE_REPLACE;
}

static fake_verdict equivocate(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                               uint64_t *extra) {
  (void)extra;
  if (from != 0 || to == 1 || m->msg.type > AQ_QBFT_COMMIT) return FAKE_PASS;
  aq_qbft_msg other = m->msg;
  other.value = *hash_of(running, "X0");
  put_signed(out, &w->node[0], m->duty, &other);
  for (uint32_t i = 0; i < m->msg.just_cnt; i++) aq_qbft_wire_put_just(out, NULL, m->duty, &m->msg.just[i]);
  for (uint32_t i = 0; i < running->value_cnt; i++) {
    if (strcmp(running->values[i].name, "X0") == 0) {
      aq_qbft_wire_put_value(out, m->duty.type, aq_buf_bytes(&running->values[i].bytes));
    }
  }
  return FAKE_REPLACE;
}

/* Node 3 sends, in place of its PREPARE, a DECIDED that rests on three copies of its own COMMIT. */
static fake_verdict forge_decided(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                  uint64_t *extra) {
  (void)to, (void)extra;
  if (from != 3 || m->msg.type != AQ_QBFT_PREPARE) return FAKE_PASS;
  aq_qbft_msg decided = m->msg, commit = m->msg;
  decided.type = AQ_QBFT_DECIDED;
  commit.type = AQ_QBFT_COMMIT;
  commit.raw.len = 0;
  put_signed(out, &w->node[3], m->duty, &decided);
  for (int i = 0; i < 3; i++) aq_qbft_wire_put_just(out, w->node[3].key, m->duty, &commit);
  aq_qbft_wire_put_value(out, m->duty.type, m->any[0].value);
  return FAKE_REPLACE;
}

/* Node 3 unreachable in round 1; the COMMITs of round 1 reach only node 0, the DECIDED of node 0 nobody. */
static fake_verdict two_restarts(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                 uint64_t *extra) {
  (void)w, (void)out, (void)extra;
  if (m->msg.round == 1 && (from == 3 || to == 3)) return FAKE_DROP;
  if (m->msg.round == 1 && m->msg.type == AQ_QBFT_COMMIT && to != 0) return FAKE_DROP;
  return from == 0 && m->msg.type == AQ_QBFT_DECIDED ? FAKE_DROP : FAKE_PASS;
}

static const struct {
  const char *name;
  fake_verdict (*filter)(fake_cluster *, uint32_t, uint32_t, const aq_qbft_wire *, aq_buf *, uint64_t *);
  uint32_t honest;   /* mask */
  const char *value; /* NULL: any, but one */
  double until_ms;
} attacks[] = {
    {"value_type_confusion", relabel, 0xf, "V0", 133},   {"leader_proposes_undecodable_value", NULL, 0xf, "V1", 1045},
    {"leader_equivocates", equivocate, 0xe, NULL, 2045}, {"forged_decided", forge_decided, 0xf, "V0", 133},
    {"two_restarts", two_restarts, 0xf, "V0", 3100},     {"one_restart_after_prepare", NULL, 0xf, "V0", 140},
};

/* Goal: what transcripts_adversarial.json requires of us: one value, the right one, in time; the fakes watch over
   consensus.md S1, S4, S5, I8. Method: the recorded scenario with node 0 or 3 lying on the wire, or nodes killed and
   started again on their journal. */
static void attacks_and_restarts(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/transcripts_adversarial.json");
  for (size_t i = 0; i < AQ_COUNT(attacks); i++) {
    scenario s;
    scenario_read(&s, find(doc, attacks[i].name));
    s.w->filter = attacks[i].filter;
    running = &s;
    scenario_run(&s, 4000);
    const fake_decision *first = NULL;
    for (uint32_t node = 0; node < s.w->n; node++) {
      if (!(attacks[i].honest >> node & 1)) continue;
      const fake_decision *d = fake_decision_of(s.w, node, s.duty);
      if (!d) fail_msg("%s: node %u did not decide", s.name, node);
      if (!first) first = d;
      assert_true(aq_hash_eq(&first->hash, &d->hash));
      if (attacks[i].value) expect_decided(&s, node, attacks[i].value, attacks[i].until_ms);
      if (decided_ms(&s, node) > attacks[i].until_ms)
        fail_msg("%s: node %u at %.3f", s.name, node, decided_ms(&s, node));
    }
    scenario_free(&s);
  }
  yyjson_doc_free(doc);
}

/* ---- store, restart without it, foreign use of the key ---- */

/* Goal: when the journal cannot be written nothing leaves and no decision is handed on; once it can, the decision is.
   Method: node 1's store fails for two seconds. */
static void failing_store(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  s.w->node[1].disk.fails = true;
  scenario_run(&s, 2000);
  assert_int_equal(s.w->node[1].sends, 0);
  assert_null(fake_decision_of(s.w, 1, s.duty));
  for (uint32_t i = 0; i < 4; i++) {
    if (i != 1) expect_decided(&s, i, "V0", 140);
  }
  s.w->node[1].disk.fails = false;
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_SECONDS(2));
  expect_decided(&s, 1, "V0", 4000);
  finish(&s, doc);
}

/* Goal: a node that lost its journal sends no vote for duties that began before it, learns their decision, and votes
   later. Method: node 1 starts on a missing store within the slot; a second duty three slots on (consensus.md 7.3,
   contract.md 13.6). */
static void lost_journal(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  s.offline[1] = true;
  scenario_run(&s, 0);
  fake_boot(s.w, 1, AQ_STORE_MISS);
  assert_int_equal(aq_consensus_participate(s.w->node[1].c, s.duty), AQ_OK);
  for (uint32_t i = 0; i < 4; i++) propose(&s, i);
  fake_run_until(s.w, s.start_ns + AQ_SECONDS(1));
  assert_int_equal(s.w->node[1].sends, 0);
  for (uint32_t i = 0; i < 4; i++) expect_decided(&s, i, "V0", 50);
  s.duty.slot += 3;
  fake_run_until(s.w, aq_duty_start_ns(&s.w->chain, s.duty));
  assert_int_equal(aq_consensus_participate(s.w->node[1].c, s.duty), AQ_OK);
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_SECONDS(2));
  assert_true(s.w->node[1].sends > 0);
  finish(&s, doc);
}

/* Goal: a vote with our own index that the journal does not know ends our voting, in that duty and in all that began
   (consensus.md 7.3). Method: a PREPARE signed with node 0's key reaches node 0 before it voted. */
static void own_key_elsewhere(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  scenario_run(&s, 0);
  aq_qbft_msg m = {.type = AQ_QBFT_PREPARE, .from = 0, .round = 1, .value = {{9}}};
  inject(s.w, 2, 0, s.duty, &m, aq_bytes_of(NULL, 0));
  for (uint32_t i = 0; i < 4; i++) propose(&s, i);
  fake_run_until(s.w, s.start_ns + AQ_SECONDS(3));
  assert_int_equal(s.w->node[0].sends, 0);
  expect_decided(&s, 1, "V1", 2100);
  finish(&s, doc);
}

/* ---- values that do not come, sends that fail ---- */

/* Node 3 gets all votes without their values until somebody answers with DECIDED. */
static fake_verdict strip_values(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                 uint64_t *extra) {
  (void)w, (void)from, (void)extra;
  if (to != 3 || m->msg.type == AQ_QBFT_DECIDED) return FAKE_PASS;
  aq_qbft_wire_put_msg(out, m->msg.raw);
  for (uint32_t i = 0; i < m->msg.just_cnt; i++) aq_qbft_wire_put_just(out, NULL, m->duty, &m->msg.just[i]);
  return FAKE_REPLACE;
}

/* Goal: a quorum of COMMITs decides a hash without its bytes; they are asked for by ROUND-CHANGE once a second
   (consensus.md 4.6 "Ours"). Method: values to node 3 are cut off; DECIDED comes whole. */
static void bytes_are_asked_for(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  s.w->filter = strip_values;
  scenario_run(&s, 2000);
  expect_decided(&s, 0, "V0", 133);
  expect_decided(&s, 3, "V0", 1200);
  assert_true(decided_ms(&s, 3) > 1000);
  finish(&s, doc);
}

static fake_verdict fail_at_first(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                  uint64_t *extra) {
  (void)m, (void)out, (void)extra, (void)from;
  uint64_t start = aq_duty_start_ns(&w->chain, running->duty);
  return to == 3 && fake_cluster_now(w) < start + AQ_MILLIS(150) ? FAKE_ERROR : FAKE_PASS;
}

/* Goal: a send that failed is repeated to that peer, so the round is not lost (consensus.md 8.5). Method: every stream
   to node 3 fails until 150 ms; it decides in round 1 all the same. */
static void failed_sends_are_repeated(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  s.w->filter = fail_at_first;
  running = &s;
  scenario_run(&s, 1000);
  expect_decided(&s, 3, "V0", 300);
  assert_int_equal(fake_decision_of(s.w, 3, s.duty)->round, 1);
  finish(&s, doc);
}

/* ---- info_sync, quotas, the end of a duty ---- */

/* Goal: we do not propose info_sync, yet a Charon leader's result is voted for and decided. Method: node 1, which
   leads, is played by hand and sends its PRE-PREPARE to our three nodes. */
static void info_sync_of_a_charon_leader(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/priority_value.json");
  aq_buf bytes = aq_test_hex_of(yyjson_doc_get_root(doc), "result_proto");
  fake_cluster *w = fake_cluster_new(4, AQ_CAPELLA);
  aq_duty duty = {31, AQ_DUTY_INFO_SYNC};
  fake_hold_until(w, aq_duty_start_ns(&w->chain, duty) + AQ_MILLIS(200));
  for (uint32_t i = 0; i < 4; i++) {
    if (i != 1) fake_boot(w, i, AQ_STORE_OK);
  }
  aq_qbft_msg pp = {.type = AQ_QBFT_PRE_PREPARE, .from = 1, .round = 1};
  aq_merkle_bytes(pp.value.b, aq_buf_bytes(&bytes), -1);
  for (uint32_t i = 0; i < 4; i++) {
    if (i != 1) inject(w, 1, i, duty, &pp, aq_buf_bytes(&bytes));
  }
  fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(100));
  for (uint32_t i = 0; i < 4; i++) {
    if (i == 1) continue;
    const fake_decision *d = fake_decision_of(w, i, duty);
    assert_non_null(d);
    assert_int_equal(d->entries, 0);
  }
  assert_int_equal(aq_consensus_propose(w->node[0].c, duty, &(aq_unsigned_set){NULL, 0}), AQ_E_UNSUPPORTED);
  fake_cluster_free(w);
  aq_buf_free(&bytes);
  yyjson_doc_free(doc);
}

/* Goal: what became of a message is counted as what it was: good, a repeat, without its value, without justification.
   Method: one of each to a node that has started, and one to a node that has not. */
static void messages_are_counted(void **state) {
  (void)state;
  static const struct {
    aq_qbft_msg m;
    const char *result, *type; /* how it is counted; type: as one that was looked at, NULL: it was not */
  } t[] = {
      {{.type = AQ_QBFT_PREPARE, .from = 2, .round = 1, .value = {{9}}}, NULL, "prepare"},
      {{.type = AQ_QBFT_PREPARE, .from = 2, .round = 1, .value = {{9}}}, "replay", NULL},
      {{.type = AQ_QBFT_PRE_PREPARE, .from = 1, .round = 1, .value = {{9}}}, "error", NULL},
      {{.type = AQ_QBFT_ROUND_CHANGE, .from = 2, .round = 2, .prepared_round = 1}, "error", "view_change"},
      {{.type = AQ_QBFT_ROUND_CHANGE, .from = 2, .round = 2}, NULL, "view_change"},
      {{.type = AQ_QBFT_COMMIT, .from = 2, .round = 1, .value = {{9}}}, NULL, "commit"},
  };
  const aq_duty duty = {6, AQ_DUTY_ATTESTER}, later = {7, AQ_DUTY_ATTESTER};
  assert_int_equal(aq_qbft_leader(duty.slot, duty.type, 1, 4), 1);
  fake_cluster *w = fake_cluster_before(4, 0, duty);
  for (size_t i = 0; i <= AQ_COUNT(t); i++) {
    bool held = i == AQ_COUNT(t);
    const aq_qbft_msg *m = &t[held ? 0 : i].m;
    const char *result = held ? NULL : t[i].result, *type = held ? "prepare" : t[i].type;
    double counted = aq_metric_value(AQ_M_QBFT_MSG_VERIFIED_TOTAL, AQ_LABELS(result, result ? NULL : type));
    double of_type = type ? aq_metric_value(AQ_M_QBFT_MSG_TOTAL, AQ_LABELS(type)) : 0;
    double moved = type ? aq_metric_value(AQ_M_QBFT_STATE_TRANSITIONS_TOTAL, AQ_LABELS(type)) : 0;
    inject(w, m->from, 0, held ? later : duty, m, aq_bytes_of(NULL, 0));
    assert_true(aq_metric_value(AQ_M_QBFT_MSG_VERIFIED_TOTAL, AQ_LABELS(result, result ? NULL : type)) == counted + 1);
    if (type) assert_true(aq_metric_value(AQ_M_QBFT_MSG_TOTAL, AQ_LABELS(type)) == of_type + !held);
    if (type)
      assert_true(aq_metric_value(AQ_M_QBFT_STATE_TRANSITIONS_TOTAL, AQ_LABELS(type)) == moved + (!held && !result));
  }
  fake_cluster_free(w);
}

/* Goal: a peer fills only its own room with messages for later duties, and the oldest goes first (consensus.md 2.3
   "Ours").
   Method: node 3 sends votes for 80 later slots, 30 for one; node 1 one vote for the first of them. */
static void floods_hit_their_sender(void **state) {
  (void)state;
  fake_cluster *w = fake_cluster_new(4, AQ_CAPELLA);
  fake_boot(w, 0, AQ_STORE_OK);
  aq_qbft_msg honest = {.type = AQ_QBFT_PREPARE, .from = 1, .round = 1, .value = {{5}}}, junk = honest;
  junk.from = 3;
  inject(w, 1, 0, (aq_duty){1, AQ_DUTY_ATTESTER}, &honest, aq_bytes_of(NULL, 0));
  for (uint64_t slot = 1; slot <= 80; slot++)
    inject(w, 3, 0, (aq_duty){slot, AQ_DUTY_ATTESTER}, &junk, aq_bytes_of(NULL, 0));
  assert_int_equal(aq_consensus_instances(w->node[0].c), 65); /* 64 of node 3, and the one of node 1 */
  for (int64_t r = 2; r < 40; r++) {
    junk.round = r;
    inject(w, 3, 0, (aq_duty){80, AQ_DUTY_ATTESTER}, &junk, aq_bytes_of(NULL, 0));
  }
  aq_duty first = {1, AQ_DUTY_ATTESTER};
  assert_int_equal(aq_consensus_participate(w->node[0].c, first), AQ_OK);
  aq_qbft_msg second = {.type = AQ_QBFT_COMMIT, .from = 2, .round = 1, .value = {{5}}};
  inject(w, 2, 0, first, &second, aq_bytes_of(NULL, 0));
  fake_cluster_free(w);
}

/* Goal: a duty that another process of ours voted in takes no vote of this one, also when a flood pushes its messages
   out before it starts. Method: a vote of node 0's key for a coming slot; node 3 fills its room for waiting duties. */
static void abstention_outlives_a_flood(void **state) {
  (void)state;
  fake_cluster *w = fake_cluster_new(4, AQ_CAPELLA);
  fake_boot(w, 0, AQ_STORE_OK);
  const aq_duty duty = {2, AQ_DUTY_ATTESTER};
  aq_qbft_msg foreign = {.type = AQ_QBFT_PREPARE, .from = 0, .round = 1, .value = {{9}}}, junk = foreign;
  junk.from = 3;
  inject(w, 2, 0, duty, &foreign, aq_bytes_of(NULL, 0));
  fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(20));
  assert_true(aq_instance_find(w->node[0].c, duty)->abstain);
  for (uint64_t slot = duty.slot; slot <= duty.slot + AQ_INST_WAITING_PER_PEER; slot++)
    inject(w, 3, 0, (aq_duty){slot, AQ_DUTY_ATTESTER}, &junk, aq_bytes_of(NULL, 0));
  fake_run_until(w, aq_duty_start_ns(&w->chain, duty));
  assert_int_equal(aq_consensus_participate(w->node[0].c, duty), AQ_OK);
  fake_run_until(w, fake_cluster_now(w) + AQ_SECONDS(5)); /* its rounds end */
  assert_int_equal(w->node[0].sends, 0);
  fake_cluster_free(w);
}

/* Goal: a duty without a decision ends at its deadline with one line that names what and who was missing, and leaves
   nothing. Method: node 0 alone with a proposer duty. */
static void deadline(void **state) {
  (void)state;
  fake_cluster *w = fake_cluster_new(4, AQ_CAPELLA);
  fake_boot(w, 0, AQ_STORE_OK);
  aq_duty duty = {7, AQ_DUTY_PROPOSER};
  fake_run_until(w, aq_duty_start_ns(&w->chain, duty));
  assert_int_equal(aq_consensus_participate(w->node[0].c, duty), AQ_OK);
  assert_int_equal(aq_consensus_participate(w->node[0].c, duty), AQ_E_EXISTS);
  fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(4990));
  assert_int_equal(w->node[0].failures, 0);
  fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(20));
  assert_int_equal(w->node[0].failures, 1);
  assert_non_null(strstr(w->node[0].why, "insufficient round-changes, missing 1,2,3"));
  assert_int_equal(aq_consensus_instances(w->node[0].c), 0);
  assert_int_equal(aq_consensus_participate(w->node[0].c, duty), AQ_E_STALE);
  fake_run_until(w, fake_cluster_now(w) + AQ_SECONDS(20));
  assert_int_equal(w->node[0].env.timers.cnt + w->between.timers.cnt, 1); /* of what it tells its peers each slot */
  fake_cluster_free(w);
}

/* Goal: a decision found at start is handed on again and still answers who asks. Method: nodes 0 to 2 decide while
   node 3 is away and are killed; node 0 comes back alone, then node 3 asks. */
static void decision_survives_a_kill(void **state) {
  (void)state;
  scenario s;
  yyjson_doc *doc = happy(&s);
  s.offline[3] = true;
  scenario_run(&s, 500);
  for (uint32_t i = 0; i < 3; i++) fake_kill(s.w, i);
  fake_boot(s.w, 0, AQ_STORE_OK);
  fake_boot(s.w, 3, AQ_STORE_OK);
  fake_run_until(s.w, fake_cluster_now(s.w) + AQ_MILLIS(10));
  assert_int_equal(fake_decision_of(s.w, 0, s.duty)->times, 2);
  assert_int_equal(aq_consensus_participate(s.w->node[3].c, s.duty), AQ_OK);
  fake_run_until(s.w, s.start_ns + AQ_MILLIS(1100));
  expect_decided(&s, 3, "V0", 1030);
  finish(&s, doc);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_fast_as_charon),
      cmocka_unit_test(late_starts_read_first),
      cmocka_unit_test(stragglers_are_answered),
      cmocka_unit_test(attacks_and_restarts),
      cmocka_unit_test(failing_store),
      cmocka_unit_test(lost_journal),
      cmocka_unit_test(own_key_elsewhere),
      cmocka_unit_test(bytes_are_asked_for),
      cmocka_unit_test(failed_sends_are_repeated),
      cmocka_unit_test(info_sync_of_a_charon_leader),
      cmocka_unit_test(messages_are_counted),
      cmocka_unit_test(floods_hit_their_sender),
      cmocka_unit_test(abstention_outlives_a_flood),
      cmocka_unit_test(deadline),
      cmocka_unit_test(decision_survives_a_kill),
  };
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
