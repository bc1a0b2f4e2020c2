/* One node and its journal: what leaves when the journal refuses, fails or answers late. */
#include "aq_test.h"

#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"
#include "fake/value.h"

/* Four nodes and an attester duty whose round 1 node 1 leads; a little before its start. */
enum { NODES = 4, SLOT = 6 };

static const aq_duty duty = {SLOT, AQ_DUTY_ATTESTER};

/* All but `away` are up and take part. */
static fake_cluster *cluster(uint32_t away) {
  assert_int_equal(aq_qbft_leader(SLOT, AQ_DUTY_ATTESTER, 1, NODES), 1);
  return fake_cluster_before(NODES, away, duty);
}

static void run_ms(fake_cluster *w, uint64_t ms) { fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(ms)); }

static fake_row *record_of(fake_node *n, fake_row_kind kind, int type) {
  for (fake_row *r = NULL; (r = fake_disk_next(&n->disk, r)) != NULL;) {
    if (r->kind == kind && (kind != FAKE_VOTE || r->u.vote.msg_type == type)) return r;
  }
  return NULL;
}

/* The vote with other bytes. */
static void rewrite(const fake_row *r, aq_bytes msg, aq_bytes just) {
  aq_store_vote v = r->u.vote;
  v.msg = msg, v.just = just;
  fake_row *n = fake_row_vote(&v);
  aq_list_push((aq_list *)(uintptr_t)&r->link, &n->link);
  fake_disk_drop((fake_row *)(uintptr_t)r);
}

/* Goal: one refusal of the journal ends the voting of its instance, though the journal works again (consensus.md 7.2).
   Method: node 2's first record fails; the others decide, node 2 learns it. */
static void one_refusal_ends_voting(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  w->node[2].disk.fails = true;
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 14);
  assert_non_null(aq_instance_find(w->node[2].c, duty));
  assert_true(aq_instance_find(w->node[2].c, duty)->abstain);
  w->node[2].disk.fails = false;
  run_ms(w, 1000);
  for (uint32_t i = 0; i < NODES; i++) assert_non_null(fake_decision_of(w, i, duty));
  assert_null(record_of(&w->node[2], FAKE_VOTE, AQ_QBFT_COMMIT));
  assert_non_null(record_of(&w->node[1], FAKE_VOTE, AQ_QBFT_COMMIT));
  fake_cluster_free(w);
}

/* Goal: bytes count as recorded only when the journal said so, and a vote that it did not take never was (consensus.md
   7.2). Method: node 2's COMMIT, which brings the bytes, is not written; the decision is, and must bring them. The
   fakes look for the bytes of each recorded decision. */
static void failed_write_brings_nothing(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  fake_value_propose(w, 1, duty, 1);
  aq_instance *in = aq_instance_find(w->node[2].c, duty);
  for (int ms = 0; ms < 200 && aq_qbft_phase_of(in->q) != AQ_QBFT_PREPARED; ms++) run_ms(w, 1);
  assert_int_equal(aq_qbft_phase_of(in->q), AQ_QBFT_PREPARED);
  w->node[2].disk.fails = true;
  for (int ms = 0; ms < 200 && !in->abstain; ms++) run_ms(w, 1);
  assert_true(in->abstain);
  assert_null(record_of(&w->node[2], FAKE_VOTE, AQ_QBFT_COMMIT));
  w->node[2].disk.fails = false;
  AQ_LIST_EACH(&in->sent, s, aq_inst_sent, node) assert_int_not_equal(s->type, AQ_QBFT_COMMIT);
  run_ms(w, 1000);
  assert_non_null(record_of(&w->node[2], FAKE_DECIDED, 0));
  assert_non_null(record_of(&w->node[2], FAKE_BLOB, 0));
  fake_kill(w, 2);
  w->node[2].decision_cnt = 0;
  fake_boot(w, 2, AQ_STORE_OK);
  run_ms(w, 1);
  assert_non_null(fake_decision_of(w, 2, duty));
  fake_cluster_free(w);
}

/* Goal: nothing leaves once the duty's deadline is past (consensus.md S6), also when the process stood still and its
   timers are late. Method: the journal answers the leader's first vote after the deadline, before any timer. */
static void nothing_after_the_deadline(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  fake_value_propose(w, 1, duty, 1);
  assert_true(aq_list_empty(&w->links.letters) && fake_store_waiting(&w->node[1].store) > 0);
  fake_hold_until(w, aq_duty_deadline_ns(&w->chain, duty));
  fake_store_commit(&w->node[1].store);
  assert_int_equal(w->node[1].sends, 0);
  fake_cluster_free(w);
}

/* Goal: a decision that contradicts the recorded one is never used (consensus.md S5).
   Method: node 2's store says so; the others decide, node 2 reports the duty as failed in the end. */
static void contradicting_decision(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  w->node[2].store.ends[FAKE_OP_DECIDED] = AQ_E_SLASH;
  double refused = aq_metric_value(AQ_M_STATE_REFUSED_TOTAL, AQ_LABELS("decision"));
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 5000);
  for (uint32_t i = 0; i < NODES; i++) assert_true((fake_decision_of(w, i, duty) == NULL) == (i == 2));
  assert_true(aq_instance_find(w->node[2].c, duty)->contradicts);
  assert_true(aq_metric_value(AQ_M_STATE_REFUSED_TOTAL, AQ_LABELS("decision")) == refused + 1);
  fake_run_until(w, aq_duty_deadline_ns(&w->chain, duty) + 1);
  assert_null(fake_decision_of(w, 2, duty));
  assert_int_equal(w->node[2].failures, 1);
  fake_cluster_free(w);
}

/* Goal: a vote that the journal takes for a contradiction does not leave, nor any after it (consensus.md 7.2).
   Method: node 2's store says so from the first vote on. */
static void contradicting_votes(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  w->node[2].store.ends[FAKE_OP_VOTE] = AQ_E_SLASH;
  double refused = aq_metric_value(AQ_M_STATE_REFUSED_TOTAL, AQ_LABELS("vote"));
  double drops = aq_metric_value(AQ_M_QBFT_WAL_GUARD_DROPS_TOTAL, AQ_NO_LABELS);
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 80);
  refused = aq_metric_value(AQ_M_STATE_REFUSED_TOTAL, AQ_LABELS("vote")) - refused;
  assert_true(refused > 0 && aq_metric_value(AQ_M_QBFT_WAL_GUARD_DROPS_TOTAL, AQ_NO_LABELS) == drops + refused);
  assert_int_equal(w->node[2].sends, 0);
  assert_true(aq_instance_find(w->node[2].c, duty)->abstain);
  run_ms(w, 1000);
  for (uint32_t i = 0; i < NODES; i++) assert_non_null(fake_decision_of(w, i, duty));
  fake_cluster_free(w);
}

/* A DECIDED under node 0's index reaches node 0. */
static void show_own_decision(fake_cluster *w, const aq_hash *value) {
  aq_buf out = AQ_BUF(1 << 16);
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_qbft_msg m = {.type = AQ_QBFT_DECIDED, .from = 0, .round = 1, .value = *value};
  aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, w->node[0].key, duty, &m)));
  fake_hand_over(w, 0, 2, aq_buf_bytes(&out));
  aq_buf_free(&out);
  run_ms(w, 50); /* the journal is asked */
}

/* Goal: our own decision may come back, another one under our index is another process with our key (consensus.md 7.3).
   Method: both, after node 0 decided, and one before it did. */
static void own_decisions_come_back(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  aq_buf bytes = AQ_BUF(FAKE_VALUE_MAX);
  aq_hash hash, other = {{9}};
  fake_value_put(&bytes, &hash, duty, 1);
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 1000);
  assert_non_null(fake_decision_of(w, 0, duty));
  show_own_decision(w, &hash);
  assert_false(aq_instance_find(w->node[0].c, duty)->foreign_own);
  assert_false(aq_instance_find(w->node[0].c, duty)->abstain); /* and it is known */
  show_own_decision(w, &other);
  assert_true(aq_instance_find(w->node[0].c, duty)->foreign_own);
  fake_cluster_free(w);
  w = cluster(0);
  show_own_decision(w, &hash);
  assert_true(aq_instance_find(w->node[0].c, duty)->foreign_own);
  aq_buf_free(&bytes);
  fake_cluster_free(w);
}

/* Goal: a vote under our index inside another's message is looked at as one that comes by itself: it, too, may be of
   another process with our key (consensus.md 7.3). Method: node 2's messages of each kind show votes of round 1, one of
   them, at each place, by node 0's key, which never sent it; without that one; for a duty that has no instance yet. */
static void own_votes_inside_others(void **state) {
  (void)state;
  static const aq_qbft_type outer[] = {AQ_QBFT_ROUND_CHANGE, AQ_QBFT_COMMIT, AQ_QBFT_PRE_PREPARE, AQ_QBFT_DECIDED},
                            inner[] = {AQ_QBFT_PREPARE, AQ_QBFT_PREPARE, AQ_QBFT_ROUND_CHANGE, AQ_QBFT_COMMIT};
  static const uint32_t by[][3] = {{0, 1, 2}, {1, 0, 2}, {1, 2, 0}, {1, 2, 3}};
  for (size_t k = 0; k < AQ_COUNT(outer) * AQ_COUNT(by) * 2; k++) {
    size_t kind = k % AQ_COUNT(outer), at = k / AQ_COUNT(outer) % AQ_COUNT(by);
    bool later = k / AQ_COUNT(outer) / AQ_COUNT(by);
    aq_duty of = later ? (aq_duty){SLOT + 1, AQ_DUTY_ATTESTER} : duty;
    fake_cluster *w = cluster(0);
    aq_buf out = AQ_BUF(1 << 16);
    uint8_t raw[AQ_QBFT_RAW_MAX];
    double unknown = aq_metric_value(AQ_M_QBFT_MSG_VERIFIED_TOTAL, AQ_LABELS("error", NULL));
    aq_qbft_msg m = {.type = outer[kind], .from = 2, .round = 2, .value = {{9}}};
    if (m.type == AQ_QBFT_ROUND_CHANGE) m.value = (aq_hash){{0}}, m.prepared_round = 1, m.prepared_value.b[0] = 9;
    aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, w->node[2].key, of, &m)));
    for (uint32_t i = 0; i < 3; i++) {
      aq_qbft_msg p = {.type = inner[kind], .from = by[at][i], .round = m.type == AQ_QBFT_ROUND_CHANGE ? 1 : 2};
      if (p.type != AQ_QBFT_ROUND_CHANGE) p.value.b[0] = 9;
      aq_qbft_wire_put_just(&out, w->node[p.from].key, of, &p);
    }
    fake_hand_over(w, 0, 2, aq_buf_bytes(&out));
    run_ms(w, 50); /* the journal is asked */
    const aq_instance *in = aq_instance_find(w->node[0].c, of);
    if (!later) assert_int_equal(in->foreign_own, at < 3);
    if (later) assert_int_equal(in != NULL && in->held_cnt[2] > 0, at == 3);
    assert_true(at == 3 || aq_metric_value(AQ_M_QBFT_MSG_VERIFIED_TOTAL, AQ_LABELS("error", NULL)) > unknown);
    aq_buf_free(&out);
    fake_cluster_free(w);
  }
}

/* ---- damaged journals ---- */

static fake_verdict lose_all(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                             uint64_t *extra_ns) {
  (void)w, (void)from, (void)to, (void)m, (void)out, (void)extra_ns;
  return FAKE_DROP;
}

static fake_verdict lose_commits(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                 uint64_t *extra_ns) {
  (void)w, (void)from, (void)to, (void)out, (void)extra_ns;
  return m->msg.type == AQ_QBFT_COMMIT ? FAKE_DROP : FAKE_PASS;
}

/* A vote of `from` as a record has it. */
static void sign(aq_buf *out, const fake_node *from, aq_duty of, const aq_qbft_msg *m) {
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_buf_reset(out);
  aq_buf_put(out, raw, aq_qbft_wire_sign(raw, from->key, of, m));
}

/* A certificate whose PREPAREs are of `round`, by the sources given. */
static void put_proof(aq_buf *out, fake_cluster *w, int64_t round, const aq_hash *value, const uint32_t by[3]) {
  aq_buf_reset(out);
  for (size_t i = 0; i < 3; i++) {
    aq_qbft_msg p = {.type = AQ_QBFT_PREPARE, .from = by[i], .round = round, .value = *value};
    aq_qbft_wire_put_just(out, w->node[by[i]].key, duty, &p);
  }
}

/* What damages node 2's journal after its PREPARE and COMMIT of round 1. */
typedef void (*damage)(fake_cluster *w, fake_node *n);

static void untouched(fake_cluster *w, fake_node *n) { (void)w, (void)n; }

/* Its write failed, the one behind it did not. */
static void prepare_not_written(fake_cluster *w, fake_node *n) {
  (void)w;
  fake_disk_drop(record_of(n, FAKE_VOTE, AQ_QBFT_PREPARE));
}

static void foreign_vote(fake_cluster *w, fake_node *n) {
  const fake_row *r = record_of(n, FAKE_VOTE, AQ_QBFT_PREPARE);
  aq_qbft_msg m = {.type = AQ_QBFT_PREPARE, .from = 3, .round = 1};
  memcpy(m.value.b, r->u.vote.value_hash, 32);
  aq_buf vote = AQ_BUF(AQ_QBFT_RAW_MAX);
  sign(&vote, &w->node[3], duty, &m);
  rewrite(r, aq_buf_bytes(&vote), r->u.vote.just);
  aq_buf_free(&vote);
}

static void vote_of_another_duty(fake_cluster *w, fake_node *n) {
  (void)w;
  const fake_row *r = record_of(n, FAKE_VOTE, AQ_QBFT_PREPARE);
  aq_qbft_msg m = {.type = AQ_QBFT_PREPARE, .from = 2, .round = 1};
  memcpy(m.value.b, r->u.vote.value_hash, 32);
  aq_buf vote = AQ_BUF(AQ_QBFT_RAW_MAX);
  sign(&vote, n, (aq_duty){SLOT + 1, AQ_DUTY_ATTESTER}, &m);
  rewrite(r, aq_buf_bytes(&vote), r->u.vote.just);
  aq_buf_free(&vote);
}

static void vote_of_another_round(fake_cluster *w, fake_node *n) {
  (void)w;
  record_of(n, FAKE_VOTE, AQ_QBFT_PREPARE)->u.vote.round = 2;
}

static void vote_of_another_kind(fake_cluster *w, fake_node *n) {
  (void)w;
  record_of(n, FAKE_VOTE, AQ_QBFT_PREPARE)->u.vote.msg_type = AQ_QBFT_PRE_PREPARE;
}

static void proof_of_another_duty(fake_cluster *w, fake_node *n) {
  const fake_row *r = record_of(n, FAKE_VOTE, AQ_QBFT_COMMIT);
  aq_buf just = AQ_BUF(1 << 12);
  for (uint32_t i = 0; i < 3; i++) {
    aq_qbft_msg p = {.type = AQ_QBFT_PREPARE, .from = i, .round = 1};
    memcpy(p.value.b, r->u.vote.value_hash, 32);
    aq_qbft_wire_put_just(&just, w->node[i].key, (aq_duty){SLOT + 1, AQ_DUTY_ATTESTER}, &p);
  }
  rewrite(r, r->u.vote.msg, aq_buf_bytes(&just));
  aq_buf_free(&just);
}

static void no_proof_but_bytes(fake_cluster *w, fake_node *n) {
  (void)w;
  const fake_row *r = record_of(n, FAKE_VOTE, AQ_QBFT_PREPARE);
  rewrite(r, r->u.vote.msg, aq_bytes_of("\1", 1));
}

static void half_a_vote(fake_cluster *w, fake_node *n) {
  (void)w;
  record_of(n, FAKE_VOTE, AQ_QBFT_PREPARE)->u.vote.msg.len /= 2;
}

static void half_a_proof(fake_cluster *w, fake_node *n) {
  (void)w;
  record_of(n, FAKE_VOTE, AQ_QBFT_COMMIT)->u.vote.just.len -= 1;
}

static void proof(fake_cluster *w, fake_node *n, int64_t round, const uint32_t by[3]) {
  const fake_row *r = record_of(n, FAKE_VOTE, AQ_QBFT_COMMIT);
  aq_hash value;
  memcpy(value.b, r->u.vote.value_hash, 32);
  aq_buf just = AQ_BUF(1 << 12);
  put_proof(&just, w, round, &value, by);
  rewrite(r, r->u.vote.msg, aq_buf_bytes(&just));
  aq_buf_free(&just);
}

static void proof_of_another_round(fake_cluster *w, fake_node *n) { proof(w, n, 2, (const uint32_t[]){0, 1, 2}); }
static void proof_by_one(fake_cluster *w, fake_node *n) { proof(w, n, 1, (const uint32_t[]){0, 1, 1}); }

static void proof_of_another_kind(fake_cluster *w, fake_node *n) {
  const fake_row *r = record_of(n, FAKE_VOTE, AQ_QBFT_COMMIT);
  aq_buf just = AQ_BUF(1 << 12);
  for (uint32_t i = 0; i < 3; i++) {
    aq_qbft_msg p = {.type = AQ_QBFT_COMMIT, .from = i, .round = 1};
    memcpy(p.value.b, r->u.vote.value_hash, 32);
    aq_qbft_wire_put_just(&just, w->node[i].key, duty, &p);
  }
  rewrite(r, r->u.vote.msg, aq_buf_bytes(&just));
  aq_buf_free(&just);
}

static void other_value(fake_cluster *w, fake_node *n) {
  (void)w;
  fake_row *r = record_of(n, FAKE_BLOB, 0);
  r->data[r->u.blob.value.len - 1] ^= 1;
}

/* Goal: a node whose journal of a duty is damaged votes no more in it, and takes nothing out of it; a sound one goes on
   where it was (consensus.md 7.3). Method: node 2 dies between its COMMIT and the decision; each damage in turn; it
   comes back and is followed through a round, in which all that it sends is lost. */
static void damaged_journals(void **state) {
  (void)state;
  static const struct {
    damage fn;
    bool votes;
  } t[] = {{untouched, true},
           {prepare_not_written, true},
           {foreign_vote, false},
           {vote_of_another_duty, false},
           {vote_of_another_round, false},
           {vote_of_another_kind, false},
           {proof_of_another_duty, false},
           {no_proof_but_bytes, false},
           {half_a_vote, false},
           {half_a_proof, false},
           {proof_of_another_round, false},
           {proof_by_one, false},
           {proof_of_another_kind, false},
           {other_value, false}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    fake_cluster *w = cluster(0);
    fake_node *n = &w->node[2];
    w->filter = lose_commits;
    fake_value_propose(w, 1, duty, 1);
    run_ms(w, 100);
    assert_non_null(record_of(n, FAKE_VOTE, AQ_QBFT_COMMIT));
    assert_non_null(record_of(n, FAKE_BLOB, 0));
    fake_kill(w, 2);
    t[i].fn(w, n);
    w->filter = lose_all;
    n->sends = 0;
    fake_boot(w, 2, AQ_STORE_OK);
    aq_hash hash;
    aq_buf bytes = AQ_BUF(FAKE_VALUE_MAX);
    fake_value_put(&bytes, &hash, duty, 1);
    const aq_instance *in = aq_instance_find(n->c, duty);
    assert_int_equal(in->abstain, !t[i].votes);
    const aq_qbft_msg own = {.type = AQ_QBFT_PREPARE, .from = 2, .round = 1, .value = hash};
    if (t[i].votes) assert_true(aq_instance_knows_own(in, &own)); /* peers show it inside their votes */
    assert_int_equal(aq_value_find(in, &hash) != NULL, t[i].fn != other_value);
    run_ms(w, 3000);
    assert_int_equal(n->sends > 0, t[i].votes);
    aq_buf_free(&bytes);
    fake_cluster_free(w);
  }
}

/* A vote of node 2 in its journal, under the key given; `proof`: whose PREPAREs of (proof_round, value) it shows. */
static void record_vote(fake_cluster *w, aq_duty of, const aq_qbft_msg *m, aq_duty key, int64_t key_round,
                        int64_t proof_round, const uint32_t *by, size_t cnt) {
  fake_node *n = &w->node[2];
  aq_buf vote = AQ_BUF(AQ_QBFT_RAW_MAX), just = AQ_BUF(1 << 12);
  const aq_hash *value = m->type == AQ_QBFT_ROUND_CHANGE ? &m->prepared_value : &m->value;
  sign(&vote, n, of, m);
  for (size_t i = 0; i < cnt; i++) {
    aq_qbft_msg p = {.type = AQ_QBFT_PREPARE, .from = by[i], .round = proof_round, .value = *value};
    aq_qbft_wire_put_just(&just, w->node[by[i]].key, of, &p);
  }
  aq_store_vote v = {.duty = key, .msg_type = (uint8_t)m->type, .round = (uint64_t)key_round};
  v.prepared_round = (uint64_t)m->prepared_round;
  v.msg = aq_buf_bytes(&vote), v.just = aq_buf_bytes(&just);
  memcpy(v.value_hash, m->value.b, 32);
  fake_disk_put(&n->disk, fake_row_vote(&v));
  aq_buf_free(&vote), aq_buf_free(&just);
}

static void knows_only(const aq_instance *in, const aq_qbft_msg *m) {
  aq_qbft_msg other[] = {*m, *m, *m, *m, *m};
  other[0].type = AQ_QBFT_PRE_PREPARE;
  other[1].round--;
  other[2].prepared_round++;
  other[3].value.b[31] ^= 1;
  other[4].prepared_value.b[31] ^= 1;
  assert_true(aq_instance_knows_own(in, m));
  for (size_t i = 0; i < AQ_COUNT(other); i++) assert_false(aq_instance_knows_own(in, &other[i]));
}

/* Goal: nothing of a record that is distrusted is taken over: not the vote, not what it shows of us, not what it shows
   of others (consensus.md 7.3); of a sound one the vote is known, and no other. Method: a journal of one record: under
   another round or duty, a COMMIT or a ROUND-CHANGE without the quorum or of another round than it claims. */
static void nothing_of_a_bad_record(void **state) {
  (void)state;
  static const aq_hash value = {{9}};
  static const uint32_t by[] = {2, 0, 1};
  static const struct {
    aq_qbft_msg m;
    int64_t key_round, proof_round;
    size_t cnt;
    uint64_t off; /* slots that the key is off */
    bool good;
  } t[] = {{{.type = AQ_QBFT_PREPARE, .round = 3}, 3, 0, 0, 0, true},
           {{.type = AQ_QBFT_PREPARE, .round = 3}, 2, 0, 0, 0, false},
           {{.type = AQ_QBFT_PREPARE, .round = 3}, 3, 0, 0, 1, false},
           {{.type = AQ_QBFT_COMMIT, .round = 3}, 3, 3, 3, 0, true},
           {{.type = AQ_QBFT_COMMIT, .round = 3}, 3, 3, 2, 0, false},
           {{.type = AQ_QBFT_COMMIT, .round = 3}, 3, 2, 3, 0, false},
           {{.type = AQ_QBFT_ROUND_CHANGE, .round = 4, .prepared_round = 3}, 4, 3, 3, 0, true},
           {{.type = AQ_QBFT_ROUND_CHANGE, .round = 4, .prepared_round = 3}, 4, 3, 2, 0, false},
           {{.type = AQ_QBFT_ROUND_CHANGE, .round = 4, .prepared_round = 3}, 4, 2, 3, 0, false}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    fake_cluster *w = cluster(1u << 2);
    aq_qbft_msg m = t[i].m;
    m.from = 2;
    *(m.type == AQ_QBFT_ROUND_CHANGE ? &m.prepared_value : &m.value) = value;
    aq_duty key = {SLOT + t[i].off, AQ_DUTY_ATTESTER};
    record_vote(w, duty, &m, key, t[i].key_round, t[i].proof_round, by, t[i].cnt);
    fake_boot(w, 2, AQ_STORE_OK);
    const aq_instance *in = aq_instance_find(w->node[2].c, key);
    assert_int_equal(in->abstain, !t[i].good);
    assert_int_equal(aq_list_empty(&in->sent), !t[i].good);
    if (t[i].good) knows_only(in, &m);
    assert_int_equal(aq_qbft_seen(in->q, m.type, m.round) != 0, t[i].good);
    for (uint32_t k = 0; k < NODES; k++) assert_int_equal(in->seen[k] != NULL, t[i].good && t[i].cnt && k < 2);
    fake_cluster_free(w);
  }
}

/* Goal: what an own vote shows of us, and of nobody else, counts as sent in its own duty, and nowhere else. Method: a
   COMMIT whose proof begins with our PREPARE, its own record missing; behind it the vote of another duty, which shows
   nothing, and a COMMIT that rests on others. */
static void shown_in_its_own_duty(void **state) {
  (void)state;
  static const uint32_t by[] = {2, 0, 1}, by_others[] = {0, 1, 3};
  const aq_duty later = {SLOT + 1, AQ_DUTY_ATTESTER}, last = {SLOT + 2, AQ_DUTY_ATTESTER};
  fake_cluster *w = cluster(1u << 2);
  const aq_qbft_msg commit = {.type = AQ_QBFT_COMMIT, .from = 2, .round = 1, .value = {{9}}};
  const aq_qbft_msg prepare = {.type = AQ_QBFT_PREPARE, .from = 2, .round = 1, .value = {{9}}};
  const aq_qbft_msg other = {.type = AQ_QBFT_PREPARE, .from = 2, .round = 2, .value = {{8}}};
  record_vote(w, duty, &commit, duty, 1, 1, by, AQ_COUNT(by));
  record_vote(w, later, &other, later, 2, 0, by, 0);
  record_vote(w, last, &commit, last, 1, 1, by_others, AQ_COUNT(by_others));
  fake_boot(w, 2, AQ_STORE_OK);
  const aq_instance *first = aq_instance_find(w->node[2].c, duty), *second = aq_instance_find(w->node[2].c, later);
  assert_true(aq_instance_knows_own(first, &commit) && aq_instance_knows_own(first, &prepare));
  assert_false(aq_instance_knows_own(first, &other));
  assert_true(aq_instance_knows_own(second, &other));
  assert_false(aq_instance_knows_own(second, &prepare));
  const aq_instance *third = aq_instance_find(w->node[2].c, last);
  assert_true(aq_instance_knows_own(third, &commit) && !aq_instance_knows_own(third, &prepare));
  fake_cluster_free(w);
}

/* ---- a lost journal ---- */

/* Goal: a node whose journal was lost takes part in no decision that began before it started, whatever is decided, and
   in all later ones (contract.md 13.6). Method: node 2 starts anew without a journal in the middle of a slot; each kind
   of duty of that slot, of the one before and of two slots on. */
static void abstains_from_every_kind(void **state) {
  (void)state;
  static const aq_duty_type type[] = {AQ_DUTY_ATTESTER, AQ_DUTY_PROPOSER, AQ_DUTY_AGGREGATOR, AQ_DUTY_SYNC_CONTRIBUTION,
                                      AQ_DUTY_INFO_SYNC};
  fake_cluster *w = cluster(1u << 2);
  fake_run_until(w, aq_slot_start_ns(&w->chain.clock, SLOT + 1) - AQ_SECONDS(1));
  fake_boot(w, 2, AQ_STORE_MISS);
  const aq_consensus *c = w->node[2].c;
  for (size_t i = 0; i < AQ_COUNT(type); i++) {
    for (uint64_t slot = SLOT - 1; slot <= SLOT + 2; slot++) {
      aq_duty of = {slot, type[i]};
      if (slot == SLOT + 1) continue; /* within what clocks of two runs may differ by, or not */
      assert_int_equal(aq_consensus_must_abstain(c, of), slot <= SLOT);
    }
  }
  fake_cluster_free(w);
}

/* ---- values ---- */

/* A message that names `hash`, with the bytes. */
static void admit(aq_instance *in, uint32_t peer, const aq_hash *hash, aq_bytes bytes) {
  aq_qbft_any any = {.type_url = aq_bytes_str("type.googleapis.com/core.corepb.v1.UnsignedDataSet"), .value = bytes};
  aq_qbft_wire w = {.duty = duty, .any = &any, .any_cnt = 1};
  w.msg = (aq_qbft_msg){.type = AQ_QBFT_PREPARE, .from = peer, .round = 1, .value = *hash};
  aq_values_admit(in, peer, &w);
}

/* Goal: only bytes that the message itself names are kept, and of each peer only so many; nobody spends another's room
   (consensus.md 7.4). Method: bytes under another hash; more values of one peer than fit; then one of another peer. */
static void values_have_bounds(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  aq_instance *in = aq_instance_find(w->node[0].c, duty);
  aq_buf bytes = AQ_BUF(FAKE_VALUE_MAX);
  aq_hash named = {{9}}, hash;
  uint32_t kept = 0;
  fake_value_put(&bytes, &hash, duty, 1);
  admit(in, 2, &named, aq_buf_bytes(&bytes));
  assert_null(aq_value_find(in, &hash));
  admit(in, 2, &hash, aq_buf_bytes(&bytes));
  assert_non_null(aq_value_find(in, &hash));
  for (uint32_t i = 2; i < 4 * AQ_INST_VALUES_PER_PEER; i++) {
    aq_buf_reset(&bytes);
    fake_value_put(&bytes, &hash, duty, i);
    admit(in, 2, &hash, aq_buf_bytes(&bytes));
    kept += aq_value_find(in, &hash) != NULL;
  }
  assert_int_equal(kept + 1, AQ_INST_VALUES_PER_PEER);
  admit(in, 3, &hash, aq_buf_bytes(&bytes));
  assert_non_null(aq_value_find(in, &hash));
  in->c->held_bytes[3] = AQ_INST_HELD_BYTES;
  aq_buf_reset(&bytes);
  fake_value_put(&bytes, &hash, duty, UINT32_MAX);
  admit(in, 3, &hash, aq_buf_bytes(&bytes));
  assert_null(aq_value_find(in, &hash));
  in->c->held_bytes[3] = 0;
  aq_values_drop_peer(in, 2); /* its whole room is free again */
  kept = 0;
  for (uint32_t i = 1; i < 4 * AQ_INST_VALUES_PER_PEER; i++) {
    aq_buf_reset(&bytes);
    fake_value_put(&bytes, &hash, duty, 1000 + i);
    admit(in, 2, &hash, aq_buf_bytes(&bytes));
    kept += aq_value_find(in, &hash) != NULL;
  }
  assert_int_equal(kept, AQ_INST_VALUES_PER_PEER);
  aq_buf_free(&bytes);
  fake_cluster_free(w);
}

/* A DECIDED of node 2 whose COMMITs are of one source only; each of another round, for a repeat is one anyway. */
static void put_unjust(fake_cluster *w, int64_t round) {
  aq_buf out = AQ_BUF(1 << 16);
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_qbft_msg m = {.type = AQ_QBFT_DECIDED, .from = 2, .round = round, .value = {{7}}};
  aq_qbft_msg commit = {.type = AQ_QBFT_COMMIT, .from = 2, .round = round, .value = {{7}}};
  aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, w->node[2].key, duty, &m)));
  aq_qbft_wire_put_just(&out, w->node[2].key, duty, &commit);
  fake_hand_over(w, 0, 2, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

/* Goal: a peer that brings unjust DECIDEDs is soon not listened to for them, in that instance (consensus.md 7.4); a
   just one of another peer is. Method: ten of them, then the round. */
static void unjust_decisions(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  for (int64_t round = 1; round <= 10; round++) put_unjust(w, round);
  const aq_instance *in = aq_instance_find(w->node[0].c, duty);
  assert_int_equal(in->bad_decided[2], AQ_INST_BAD_DECIDED_MAX);
  assert_null(aq_qbft_decided(in->q));
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 1000);
  for (uint32_t i = 0; i < NODES; i++) assert_non_null(fake_decision_of(w, i, duty));
  fake_cluster_free(w);
}

/* Goal: what has no consensus, is over or was begun already is refused to the caller.
   Method: each call once more than it may come. */
static void calls_out_of_place(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  aq_consensus *c = w->node[0].c;
  const aq_unsigned_set none = {NULL, 0};
  assert_int_equal(aq_consensus_participate(c, duty), AQ_E_EXISTS);
  assert_int_equal(aq_consensus_participate(c, (aq_duty){SLOT, AQ_DUTY_RANDAO}), AQ_E_UNSUPPORTED);
  assert_int_equal(aq_consensus_propose(c, (aq_duty){SLOT, AQ_DUTY_INFO_SYNC}, &none), AQ_E_UNSUPPORTED);
  assert_int_equal(aq_consensus_propose(c, duty, &none), AQ_E_UNSUPPORTED);
  assert_int_equal(aq_consensus_propose_info(c, duty, aq_bytes_str("")), AQ_E_UNSUPPORTED);
  fake_value_propose(w, 0, duty, 1);
  run_ms(w, 100);
  fake_run_until(w, aq_duty_deadline_ns(&w->chain, duty));
  assert_int_equal(aq_consensus_participate(c, duty), AQ_E_STALE);
  fake_cluster_free(w);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  aq_metrics_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_refusal_ends_voting),    cmocka_unit_test(failed_write_brings_nothing),
      cmocka_unit_test(nothing_after_the_deadline), cmocka_unit_test(contradicting_decision),
      cmocka_unit_test(contradicting_votes),        cmocka_unit_test(own_decisions_come_back),
      cmocka_unit_test(damaged_journals),           cmocka_unit_test(values_have_bounds),
      cmocka_unit_test(unjust_decisions),           cmocka_unit_test(calls_out_of_place),
      cmocka_unit_test(own_votes_inside_others),    cmocka_unit_test(nothing_of_a_bad_record),
      cmocka_unit_test(shown_in_its_own_duty),      cmocka_unit_test(abstains_from_every_kind),
  };
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
