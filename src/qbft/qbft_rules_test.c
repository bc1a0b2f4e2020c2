/* Messages that a rule must tell apart from those that nearly prove the same. */
#include "aq_test.h"

#include <stdlib.h>

#include "qbft/qbft_internal.h"

/* Node 0 of four; node (round mod 4) leads. */

static uint32_t round_robin(const void *arg, int64_t round) {
  (void)arg;
  return (uint32_t)(round % 4);
}

typedef struct {
  aq_qbft *q;
  void *mem, *store;
  uint32_t votes, checks, rules, timers, longer; /* of the latest input; longer: timers that extend their round */
  aq_qbft_msg vote;
} machine;

static machine machine_of(uint32_t self, bool strict) {
  aq_qbft_cfg cfg = {.n = 4, .self = self, .leader = round_robin, .strict = strict, .compare = strict};
  machine m = {.mem = malloc(aq_qbft_footprint(4, strict)), .store = malloc(aq_qbft_store_footprint(4, strict))};
  m.q = aq_qbft_init(m.mem, m.store, &cfg);
  return m;
}

static machine machine_new(void) { return machine_of(0, false); }

static void machine_free(machine *m) {
  free(m->mem);
  free(m->store);
}

/* Takes the effects; a check is left to the test. */
static void drain(machine *m) {
  m->votes = m->checks = m->rules = m->timers = m->longer = 0;
  for (aq_qbft_fx fx; aq_qbft_next(m->q, &fx);) {
    m->votes += fx.kind == AQ_QBFT_FX_VOTE;
    m->checks += fx.kind == AQ_QBFT_FX_CHECK;
    m->rules += fx.kind == AQ_QBFT_FX_RULE;
    m->timers += fx.kind == AQ_QBFT_FX_TIMER;
    m->longer += fx.kind == AQ_QBFT_FX_TIMER && fx.again;
    if (fx.kind == AQ_QBFT_FX_VOTE) m->vote = fx.msg;
  }
}

static aq_status feed(machine *m, aq_qbft_msg msg) {
  aq_status st = aq_qbft_recv(m->q, &msg);
  drain(m);
  return st;
}

static aq_hash hash_of(uint8_t value) {
  aq_hash h = {{0}};
  h.b[31] = value;
  return h;
}

static aq_qbft_msg msg(aq_qbft_type type, uint32_t from, int64_t round, uint8_t value) {
  return (aq_qbft_msg){.type = type, .from = from, .round = round, .value = hash_of(value)};
}

/* A ROUND-CHANGE into `round` that claims (prepared_round, value). */
static aq_qbft_msg change(uint32_t from, int64_t round, int64_t prepared_round, uint8_t value) {
  return (aq_qbft_msg){.type = AQ_QBFT_ROUND_CHANGE,
                       .from = from,
                       .round = round,
                       .prepared_round = prepared_round,
                       .prepared_value = hash_of(value)};
}

static void certificate(aq_qbft_msg out[3], int64_t round, uint8_t value) {
  for (uint32_t i = 0; i < 3; i++) out[i] = msg(AQ_QBFT_PREPARE, i, round, value);
}

/* Goal: a ROUND-CHANGE shows a certificate of an earlier round than the one it enters; nobody enters round 1
   (consensus.md 1.7). Method: the same certificate under claims that fit and that do not. */
static void claims_of_changes(void **state) {
  (void)state;
  static const struct {
    int64_t round, prepared_round, of;
    uint32_t cnt;
    bool good;
  } t[] = {
      {4, 3, 3, 3, true},  {4, 1, 1, 3, true},  {4, 4, 4, 3, false}, {4, 5, 5, 3, false},
      {4, 3, 2, 3, false}, {4, 3, 3, 2, false}, {4, 3, 3, 0, false}, {4, 0, 3, 3, false},
      {1, 0, 0, 0, false}, {2, 0, 0, 0, true},  {2, 1, 1, 3, true},
  };
  machine m = machine_new();
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    aq_qbft_msg list[3], rc = change(1, t[i].round, t[i].prepared_round, t[i].prepared_round ? 7 : 0);
    certificate(list, t[i].of, 7);
    rc.just = list;
    rc.just_cnt = t[i].cnt;
    assert_int_equal(aq_qbft_justified(m.q, &rc), t[i].good);
  }
  machine_free(&m);
}

/* A PRE-PREPARE of node 3 in round 3, on the ROUND-CHANGEs and a certificate. */
static bool proposal_good(const machine *m, uint8_t value, const aq_qbft_msg *changes, uint32_t cnt,
                          const aq_qbft_msg *list) {
  aq_qbft_msg just[8], pp = msg(AQ_QBFT_PRE_PREPARE, 3, 3, value);
  memcpy(just, changes, cnt * sizeof *just);
  memcpy(just + cnt, list, 3 * sizeof *just);
  pp.just = just;
  pp.just_cnt = cnt + 3;
  return aq_qbft_justified(m->q, &pp);
}

/* Goal: a proposal of a later round takes the value that its ROUND-CHANGEs claim to be prepared highest; a certificate
   that nobody claims is none (consensus.md 1.7 J2). Method: claims and certificates that fit and that do not. */
static void certificates_of_proposals(void **state) {
  (void)state;
  machine m = machine_new();
  aq_qbft_msg of_1[3], of_2[3], other[3];
  certificate(of_1, 1, 7);
  certificate(of_2, 2, 8);
  certificate(other, 1, 9);
  aq_qbft_msg rc[3] = {change(1, 3, 1, 7), change(2, 3, 0, 0), change(3, 3, 0, 0)};
  assert_true(proposal_good(&m, 7, rc, 3, of_1));
  assert_false(proposal_good(&m, 8, rc, 3, of_1));  /* another value */
  assert_false(proposal_good(&m, 9, rc, 3, other)); /* claimed by nobody */
  assert_false(proposal_good(&m, 8, rc, 3, of_2));
  assert_false(proposal_good(&m, 7, rc, 2, of_1)); /* no quorum */
  rc[1] = change(2, 3, 2, 8);
  assert_false(proposal_good(&m, 7, rc, 3, of_1)); /* not the highest */
  assert_true(proposal_good(&m, 8, rc, 3, of_2));
  rc[2].from = 1;
  assert_false(proposal_good(&m, 8, rc, 3, of_2)); /* one source twice */
  rc[1] = change(2, 3, 1, 0), rc[2] = change(3, 3, 0, 0), rc[0] = change(1, 3, 1, 0);
  certificate(other, 1, 0);
  assert_false(proposal_good(&m, 7, rc, 3, other)); /* prepared: nothing */
  machine_free(&m);
}

/* Goal: a verdict counts for the value it was asked about, in its round, once.
   Method: verdicts on another value and round, then the right one twice. */
static void verdicts_fit(void **state) {
  (void)state;
  machine m = machine_new();
  aq_hash wanted = hash_of(7), other = hash_of(8);
  aq_qbft_start(m.q);
  drain(&m);
  assert_int_equal(feed(&m, msg(AQ_QBFT_PRE_PREPARE, 1, 1, 7)), AQ_OK);
  assert_int_equal(m.checks, 1);
  assert_int_equal(m.votes, 0);
  aq_qbft_verdict(m.q, 1, &other, true);
  drain(&m);
  assert_int_equal(m.votes, 0);
  aq_qbft_verdict(m.q, 2, &wanted, true);
  drain(&m);
  assert_int_equal(m.votes, 0);
  aq_qbft_verdict(m.q, 1, &wanted, true);
  drain(&m);
  assert_int_equal(m.votes, 1);
  assert_int_equal(m.vote.type, AQ_QBFT_PREPARE);
  aq_qbft_verdict(m.q, 1, &wanted, true);
  drain(&m);
  assert_int_equal(m.votes, 0);
  machine_free(&m);
}

/* Goal: PREPAREs are counted by source, of one round and value. Method: others of each beside them. */
static void preparers_are_counted(void **state) {
  (void)state;
  const aq_hash value = hash_of(7);
  machine m = machine_new();
  aq_qbft_start(m.q);
  drain(&m);
  assert_int_equal(aq_qbft_preparers(m.q, 1, &value), 0);
  (void)!feed(&m, msg(AQ_QBFT_PREPARE, 1, 1, 7));
  (void)!feed(&m, msg(AQ_QBFT_PREPARE, 1, 1, 7));
  (void)!feed(&m, msg(AQ_QBFT_PREPARE, 2, 1, 8));
  (void)!feed(&m, msg(AQ_QBFT_PREPARE, 3, 2, 7));
  (void)!feed(&m, msg(AQ_QBFT_COMMIT, 2, 1, 7));
  assert_int_equal(aq_qbft_preparers(m.q, 1, &value), 1 << 1);
  (void)!feed(&m, msg(AQ_QBFT_PREPARE, 2, 1, 7));
  assert_int_equal(aq_qbft_preparers(m.q, 1, &value), 1 << 1 | 1 << 2);
  machine_free(&m);
}

/* Goal: of the proposals of one source for a round the first counts and no other, also in a round that the proposal
   itself began. Method: two values for each of rounds 1, 2 and 3; the verdicts on both. */
static void first_proposal_of_a_round_counts(void **state) {
  (void)state;
  machine m = machine_new();
  aq_hash wanted = hash_of(7), other = hash_of(8);
  aq_qbft_start(m.q);
  drain(&m);
  for (uint32_t round = 1; round < 4; round++) {
    aq_qbft_msg rc[3], pp = msg(AQ_QBFT_PRE_PREPARE, round, round, 7);
    for (uint32_t i = 0; i < 3; i++) rc[i] = change(i + 1, round, 0, 0);
    pp.just = rc, pp.just_cnt = 3;
    assert_int_equal(feed(&m, pp), AQ_OK);
    assert_int_equal(m.checks, 1);
    pp.value = other;
    assert_int_equal(feed(&m, pp), AQ_OK);
    assert_int_equal(m.checks + m.rules + m.timers, 0);
    aq_qbft_verdict(m.q, round, &other, true);
    drain(&m);
    assert_int_equal(m.votes, 0);
    aq_qbft_verdict(m.q, round, &wanted, true);
    drain(&m);
    assert_true(m.votes == 1 && m.vote.type == AQ_QBFT_PREPARE && aq_hash_eq(&m.vote.value, &wanted));
  }
  machine_free(&m);
}

/* Goal: strict: a proposal rests on a certificate that one of its ROUND-CHANGEs claims, as Charon's does; one that
   nobody claims is passed over (consensus.md 1.7 J2). Method: node 0, which leads round 4, holds a quorum of PREPAREs;
   the only ROUND-CHANGE that claims anything shows the same certificate, one of another value, or of a lower round. */
static void strict_certificates_are_claimed(void **state) {
  (void)state;
  static const struct {
    int64_t held;
    uint8_t claimed;
  } t[] = {{1, 7}, {1, 8}, {2, 7}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    machine m = machine_of(0, true), peer = machine_of(1, true);
    aq_hash own = hash_of(9), claimed = hash_of(t[i].claimed);
    aq_qbft_value(m.q, &own);
    aq_qbft_start(m.q);
    drain(&m);
    for (int64_t round = 1; round < 4; round++) {
      aq_qbft_timeout(m.q, round);
      drain(&m);
    }
    for (uint32_t from = 1; from < 4; from++) (void)!feed(&m, msg(AQ_QBFT_PREPARE, from, t[i].held, 7));
    aq_qbft_msg list[3], claims = change(1, 4, 1, t[i].claimed);
    certificate(list, 1, t[i].claimed);
    claims.just = list, claims.just_cnt = 3;
    assert_int_equal(feed(&m, change(2, 4, 0, 0)), AQ_OK);
    assert_int_equal(feed(&m, claims), AQ_OK);
    assert_true(m.votes == 1 && m.vote.type == AQ_QBFT_PRE_PREPARE && aq_hash_eq(&m.vote.value, &claimed));
    assert_true(aq_qbft_justified(peer.q, &m.vote));
    machine_free(&m), machine_free(&peer);
  }
}

/* Goal: a journal is not believed beyond what it proves: a COMMIT without its PREPAREs, kinds and rounds that are
   never recorded (consensus.md 7.3). Method: restore each. */
static void restores_only_what_is_proved(void **state) {
  (void)state;
  machine m = machine_new();
  aq_qbft_msg list[3], many[9], commit = msg(AQ_QBFT_COMMIT, 0, 2, 7);
  certificate(list, 2, 7);
  for (size_t i = 0; i < AQ_COUNT(many); i++) many[i] = list[0];
  assert_int_equal(aq_qbft_restore(m.q, &commit), AQ_E_UNJUST);
  commit.just = list, commit.just_cnt = 2;
  assert_int_equal(aq_qbft_restore(m.q, &commit), AQ_E_UNJUST);
  commit.just = many, commit.just_cnt = AQ_COUNT(many);
  assert_int_equal(aq_qbft_restore(m.q, &commit), AQ_E_LIMIT);
  aq_qbft_msg decided = msg(AQ_QBFT_DECIDED, 0, 2, 7), early = msg(AQ_QBFT_PREPARE, 0, 0, 7);
  aq_qbft_msg late = msg(AQ_QBFT_PREPARE, 0, (int64_t)AQ_QBFT_ROUND_MAX + 1, 7), claim = change(0, 3, 2, 7);
  assert_int_equal(aq_qbft_restore(m.q, &decided), AQ_E_FORMAT);
  assert_int_equal(aq_qbft_restore(m.q, &early), AQ_E_FORMAT);
  assert_int_equal(aq_qbft_restore(m.q, &late), AQ_E_FORMAT);
  assert_int_equal(aq_qbft_restore(m.q, &claim), AQ_E_UNJUST);
  assert_int_equal(aq_qbft_round(m.q), 1);
  commit.just = list, commit.just_cnt = 3;
  assert_int_equal(aq_qbft_restore(m.q, &commit), AQ_OK);
  assert_int_equal(aq_qbft_round(m.q), 2);
  machine_free(&m);
}

/* Goal: after a restart the proposal of a round in which this node has voted is not looked at again, whatever its value
   (consensus.md 7.3). Method: a restored PREPARE, then PRE-PREPAREs of its round and of the next one. */
static void restored_votes_close_their_round(void **state) {
  (void)state;
  machine m = machine_new();
  aq_qbft_msg prepare = msg(AQ_QBFT_PREPARE, 0, 1, 7), rc[3];
  assert_int_equal(aq_qbft_restore(m.q, &prepare), AQ_OK);
  aq_qbft_start(m.q);
  drain(&m);
  for (uint8_t value = 7; value < 9; value++) {
    assert_int_equal(feed(&m, msg(AQ_QBFT_PRE_PREPARE, 1, 1, value)), AQ_OK);
    assert_int_equal(m.checks + m.rules + m.votes, 0);
  }
  aq_qbft_msg next = msg(AQ_QBFT_PRE_PREPARE, 2, 2, 8);
  for (uint32_t i = 0; i < 3; i++) rc[i] = change(i + 1, 2, 0, 0);
  next.just = rc, next.just_cnt = 3;
  assert_int_equal(feed(&m, next), AQ_OK);
  assert_int_equal(m.checks, 1);
  machine_free(&m);
}

/* Goal: a restored COMMIT implies its PREPARE, whose own record may have failed: the round takes no PREPARE of another
   value, and the one that the certificate shows is sent again (port/store.h). Method: only the COMMIT restored, with
   this node in its certificate and without; then PRE-PREPAREs of its round; a PREPARE that contradicts the
   certificate. */
static void restored_commit_implies_its_prepare(void **state) {
  (void)state;
  for (uint32_t first = 0; first < 2; first++) {
    machine m = machine_new();
    aq_qbft_msg list[3], commit = msg(AQ_QBFT_COMMIT, 0, 1, 7), other = msg(AQ_QBFT_PREPARE, 0, 1, 8);
    for (uint32_t i = 0; i < 3; i++) list[i] = msg(AQ_QBFT_PREPARE, i + first, 1, 7);
    commit.just = list, commit.just_cnt = 3;
    assert_int_equal(aq_qbft_restore(m.q, &commit), AQ_OK);
    if (first == 0) assert_int_equal(aq_qbft_restore(m.q, &other), AQ_E_SLASH);
    aq_qbft_start(m.q);
    drain(&m);
    assert_int_equal(m.votes, 2 - first);
    for (uint8_t value = 7; value < 9; value++) {
      assert_int_equal(feed(&m, msg(AQ_QBFT_PRE_PREPARE, 1, 1, value)), AQ_OK);
      assert_int_equal(m.checks + m.votes, 0);
    }
    machine_free(&m);
    m = machine_new();
    assert_int_equal(aq_qbft_restore(m.q, &other), AQ_OK);
    assert_int_equal(aq_qbft_restore(m.q, &commit), first == 0 ? AQ_E_SLASH : AQ_OK);
    machine_free(&m);
  }
}

/* Goal: whoever sent a COMMIT before it saw the proposal prepares that value, and no other. Method: a quorum of
   PREPAREs without node 0, then a PRE-PREPARE of the value or of another one. */
static void late_proposal_after_commit(void **state) {
  (void)state;
  for (uint8_t value = 7; value < 9; value++) {
    machine m = machine_new();
    aq_qbft_start(m.q);
    drain(&m);
    for (uint32_t i = 1; i < 4; i++) assert_int_equal(feed(&m, msg(AQ_QBFT_PREPARE, i, 1, 7)), AQ_OK);
    assert_true(m.votes == 1 && m.vote.type == AQ_QBFT_COMMIT);
    assert_int_equal(feed(&m, msg(AQ_QBFT_PRE_PREPARE, 1, 1, value)), AQ_OK);
    assert_int_equal(m.checks, 1);
    aq_hash hash = hash_of(value);
    aq_qbft_verdict(m.q, 1, &hash, true);
    drain(&m);
    assert_int_equal(m.votes, value == 7);
    machine_free(&m);
  }
}

/* Goal: what a recorded COMMIT or ROUND-CHANGE prepared is claimed by each later ROUND-CHANGE, with its certificate: a
   decision of it may stand (consensus.md 7.3). Method: one of them restored, or both with the certificate of a later
   round in the one or the other; then the round's end. */
static void restored_certificate_is_claimed(void **state) {
  (void)state;
  static const struct { int64_t commit, changed, want; } t[] = {{1, 0, 1}, {0, 1, 1}, {2, 1, 2}, {1, 1, 1}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    machine m = machine_new();
    aq_qbft_msg list[3], other[3], commit = msg(AQ_QBFT_COMMIT, 0, t[i].commit, 7), rc = change(0, 3, t[i].changed, 7);
    certificate(list, t[i].commit, 7), certificate(other, t[i].changed, 7);
    commit.just = list, rc.just = other, commit.just_cnt = rc.just_cnt = 3;
    if (t[i].changed && t[i].changed >= t[i].commit) assert_int_equal(aq_qbft_restore(m.q, &rc), AQ_OK);
    if (t[i].commit) assert_int_equal(aq_qbft_restore(m.q, &commit), AQ_OK);
    aq_qbft_start(m.q);
    drain(&m);
    int64_t round = aq_qbft_round(m.q);
    aq_qbft_timeout(m.q, round);
    drain(&m);
    assert_true(m.vote.type == AQ_QBFT_ROUND_CHANGE && m.vote.round == round + 1);
    assert_int_equal(m.vote.prepared_round, t[i].want);
    aq_hash value = hash_of(7);
    assert_true(aq_hash_eq(&m.vote.prepared_value, &value));
    assert_int_equal(m.vote.just_cnt, 3);
    for (uint32_t k = 0; k < 3; k++) assert_int_equal(m.vote.just[k].round, t[i].want);
    machine_free(&m);
  }
}

/* Goal: who has committed in a round does not do so once more when its PREPAREs come again. Method: a restored COMMIT,
   then the PREPAREs of the others. */
static void restored_commit_stands_once(void **state) {
  (void)state;
  machine m = machine_new();
  aq_qbft_msg list[3], commit = msg(AQ_QBFT_COMMIT, 0, 2, 7);
  certificate(list, 2, 7);
  commit.just = list, commit.just_cnt = 3;
  assert_int_equal(aq_qbft_restore(m.q, &commit), AQ_OK);
  aq_qbft_start(m.q);
  drain(&m);
  for (uint32_t from = 1; from < 4; from++) {
    assert_int_equal(feed(&m, msg(AQ_QBFT_PREPARE, from, 2, 7)), AQ_OK);
    assert_int_equal(m.votes, 0);
  }
  machine_free(&m);
}

/* Goal: a leader that died between its proposal and its own PREPARE goes on: it shows the proposal again, has it
   checked, and prepares that value and no other (consensus.md 7.3). Method: node 0's PRE-PREPARE of round 4 restored.
   */
static void restored_proposal(void **state) {
  (void)state;
  machine m = machine_new();
  aq_qbft_msg pp = msg(AQ_QBFT_PRE_PREPARE, 0, 4, 7), rc[3];
  for (uint32_t i = 0; i < 3; i++) rc[i] = change(i + 1, 4, 0, 0);
  pp.just = rc, pp.just_cnt = 3;
  assert_int_equal(aq_qbft_restore(m.q, &pp), AQ_OK);
  aq_qbft_start(m.q);
  drain(&m);
  assert_int_equal(m.votes, 1);
  assert_int_equal(m.vote.type, AQ_QBFT_PRE_PREPARE);
  assert_int_equal(m.vote.just_cnt, 3);
  assert_int_equal(m.checks, 1);
  assert_true(m.timers == 1 && m.longer == 1); /* as the proposal had it */
  aq_hash value = hash_of(7), other = hash_of(8);
  aq_qbft_value(m.q, &other); /* what its beacon node says after the restart */
  drain(&m);
  assert_int_equal(m.votes, 0);
  aq_qbft_verdict(m.q, 4, &value, true);
  drain(&m);
  assert_int_equal(m.votes, 1);
  assert_true(m.vote.type == AQ_QBFT_PREPARE && aq_hash_eq(&m.vote.value, &value));
  machine_free(&m);
}

/* Goal: the leader of round 1 proposes at once when its value is there, and when it comes; once.
   Method: the value before the start, after it, and twice. */
static void first_proposal(void **state) {
  (void)state;
  for (int early = 0; early < 2; early++) {
    machine m = machine_of(1, false);
    aq_hash value = hash_of(7), other = hash_of(8);
    if (early) aq_qbft_value(m.q, &value);
    aq_qbft_start(m.q);
    drain(&m);
    assert_int_equal(m.votes, early);
    if (!early) {
      aq_qbft_value(m.q, &value);
      drain(&m);
    }
    assert_true(m.votes == 1 && m.vote.type == AQ_QBFT_PRE_PREPARE && aq_hash_eq(&m.vote.value, &value));
    aq_qbft_value(m.q, &other);
    drain(&m);
    assert_int_equal(m.votes, 0);
    machine_free(&m);
  }
}

/* Goal: a source holds a bounded number of rounds, the highest ones, and two values of each.
   Method: PREPAREs of one source beyond both bounds, then one below all that are kept. */
static void store_bounds(void **state) {
  (void)state;
  machine m = machine_new();
  aq_qbft_start(m.q);
  drain(&m);
  for (uint8_t value = 1; value <= 2; value++) assert_int_equal(feed(&m, msg(AQ_QBFT_PREPARE, 2, 50, value)), AQ_OK);
  assert_int_equal(feed(&m, msg(AQ_QBFT_PREPARE, 2, 50, 3)), AQ_E_LIMIT);
  assert_int_equal(feed(&m, msg(AQ_QBFT_PREPARE, 2, 50, 1)), AQ_E_DUP);
  for (int64_t r = 51; r < 51 + 2 * AQ_QBFT_GROUP_MAX; r++)
    assert_int_equal(feed(&m, msg(AQ_QBFT_PREPARE, 2, r, 1)), AQ_OK);
  assert_int_equal(feed(&m, msg(AQ_QBFT_PREPARE, 2, 49, 1)), AQ_E_STALE);
  assert_int_equal(feed(&m, msg(AQ_QBFT_PREPARE, 3, 49, 1)), AQ_OK);
  aq_qbft_msg list[3], other = change(2, 9, 1, 7);
  certificate(list, 1, 7);
  other.just = list, other.just_cnt = 3;
  assert_int_equal(feed(&m, change(2, 9, 0, 0)), AQ_OK);
  assert_int_equal(feed(&m, change(2, 9, 0, 0)), AQ_E_DUP);
  assert_int_equal(feed(&m, other), AQ_E_LIMIT);
  assert_int_equal(feed(&m, change(2, 10, 0, 0)), AQ_OK);
  assert_int_equal(feed(&m, change(2, 8, 0, 0)), AQ_E_STALE);
  machine_free(&m);
}

/* Goal: what was sent is shown again once and asks for no second verdict, and a node that abstains shows nothing
   (consensus.md 7.3). Method: node 0's PRE-PREPARE and PREPARE of round 4 restored; started as it is and abstaining. */
static void restored_round_is_shown_once(void **state) {
  (void)state;
  for (int abstains = 0; abstains < 2; abstains++) {
    machine m = machine_new();
    aq_qbft_msg pp = msg(AQ_QBFT_PRE_PREPARE, 0, 4, 7), prepare = msg(AQ_QBFT_PREPARE, 0, 4, 7), rc[3];
    for (uint32_t i = 0; i < 3; i++) rc[i] = change(i + 1, 4, 0, 0);
    pp.just = rc, pp.just_cnt = 3;
    assert_int_equal(aq_qbft_restore(m.q, &pp), AQ_OK);
    assert_int_equal(aq_qbft_restore(m.q, &prepare), AQ_OK);
    if (abstains) aq_qbft_abstain(m.q);
    aq_qbft_start(m.q);
    drain(&m);
    assert_int_equal(m.votes, abstains ? 0 : 2);
    assert_int_equal(m.checks, 0);
    machine_free(&m);
  }
}

/* Goal: of the ROUND-CHANGEs of a source the two highest rounds stay, in whatever order they came.
   Method: every order of three rounds, then what is held. */
static void two_highest_changes_stay(void **state) {
  (void)state;
  static const int64_t order[][3] = {{5, 6, 7}, {5, 7, 6}, {6, 5, 7}, {6, 7, 5}, {7, 5, 6}, {7, 6, 5}};
  void *mem = malloc(aq_qbft_store_size(4, false));
  for (size_t i = 0; i < AQ_COUNT(order); i++) {
    aq_qbft_store *s = aq_qbft_store_init(mem, 4, false);
    const aq_qbft_msg *other;
    for (size_t k = 0; k < 3; k++) {
      aq_qbft_msg rc = change(2, order[i][k], 0, 0);
      (void)!aq_qbft_store_add(s, &rc, &other);
      assert_null(other);
    }
    aq_qbft_it it = {0, 0, 0};
    int64_t sum = 0;
    for (const aq_qbft_msg *m; (m = aq_qbft_store_next(s, &it, AQ_QBFT_ROUND_CHANGE));) sum += m->round;
    assert_int_equal(sum, 6 + 7);
  }
  free(mem);
}

/* Goal: the largest cluster's store holds a message of each kind of every node and looks no further than it.
   Method: a store of exactly its size, in both modes, empty and filled; the sanitizers see a look beyond. */
static void largest_store(void **state) {
  (void)state;
  enum { N = AQ_QBFT_NODES_MAX };
  for (int strict = 0; strict < 2; strict++) {
    void *mem = malloc(aq_qbft_store_size(N, strict));
    aq_qbft_store *s = aq_qbft_store_init(mem, N, strict);
    for (int filled = 0; filled < 2; filled++) {
      for (int type = AQ_QBFT_PRE_PREPARE; type <= AQ_QBFT_ROUND_CHANGE; type++) {
        aq_qbft_it it = {0, 0, 0};
        uint32_t seen = 0;
        for (const aq_qbft_msg *m; (m = aq_qbft_store_next(s, &it, (aq_qbft_type)type));) seen |= 1u << m->from;
        assert_int_equal(seen, filled ? UINT32_MAX : 0);
        for (uint32_t from = 0; from < N; from++) {
          const aq_qbft_msg *other;
          aq_qbft_msg m = msg((aq_qbft_type)type, from, 2, 7);
          assert_int_equal(aq_qbft_store_add(s, &m, &other), filled && !strict ? AQ_E_DUP : AQ_OK);
        }
      }
    }
    free(mem);
  }
}

/* Goal: of a DECIDED only the COMMITs of its round and value are kept, one a source: they are what this node shows to
   others (consensus.md 1.10). Method: a quorum among COMMITs of another value and round, PREPAREs and a repeat; too
   few of them, the others left in. */
static void decided_keeps_what_fits(void **state) {
  (void)state;
  for (uint32_t cnt = 2; cnt <= 3; cnt++) {
    machine m = machine_new();
    aq_qbft_start(m.q);
    drain(&m);
    aq_qbft_msg list[7], decided = msg(AQ_QBFT_DECIDED, 2, 1, 7);
    list[0] = msg(AQ_QBFT_COMMIT, 0, 1, 8);
    list[1] = msg(AQ_QBFT_PREPARE, 0, 1, 7);
    list[2] = msg(AQ_QBFT_COMMIT, 0, 2, 7);
    list[3] = msg(AQ_QBFT_COMMIT, 1, 1, 7);
    list[4] = list[3];
    list[5] = msg(AQ_QBFT_COMMIT, 2, 1, 7);
    list[6] = msg(AQ_QBFT_COMMIT, cnt, 1, 7);
    decided.just = list, decided.just_cnt = 7;
    assert_int_equal(feed(&m, decided), cnt == 3 ? AQ_OK : AQ_E_UNJUST);
    const aq_qbft_msg *d = aq_qbft_decided(m.q);
    assert_int_equal(d != NULL, cnt == 3);
    for (uint32_t i = 0; d && i < d->just_cnt; i++) {
      assert_true(d->just[i].type == AQ_QBFT_COMMIT && d->just[i].round == 1 && d->just[i].from == i + 1);
      assert_true(aq_hash_eq(&d->just[i].value, &d->value));
    }
    if (d) assert_int_equal(d->just_cnt, 3);
    machine_free(&m);
  }
}

/* Goal: a leader that refused a value itself proposes it all the same once a quorum is shown to have prepared it
   (consensus.md 1.7 J2). Method: node 0 refuses round 1's proposal; it leads round 4, with that certificate. */
static void refused_value_comes_back(void **state) {
  (void)state;
  machine m = machine_new();
  aq_hash value = hash_of(7), own = hash_of(9);
  aq_qbft_msg list[3];
  certificate(list, 1, 7);
  aq_qbft_start(m.q);
  drain(&m);
  aq_qbft_value(m.q, &own);
  drain(&m);
  assert_int_equal(feed(&m, msg(AQ_QBFT_PRE_PREPARE, 1, 1, 7)), AQ_OK);
  assert_int_equal(m.checks, 1);
  aq_qbft_verdict(m.q, 1, &value, false);
  drain(&m);
  assert_int_equal(m.votes, 0);
  for (uint32_t i = 1; i < 4; i++) {
    aq_qbft_msg rc = change(i, 4, i == 1 ? 1 : 0, i == 1 ? 7 : 0);
    if (i == 1) rc.just = list, rc.just_cnt = 3;
    assert_int_equal(feed(&m, rc), AQ_OK);
  }
  assert_int_equal(m.vote.type, AQ_QBFT_PRE_PREPARE);
  assert_true(aq_hash_eq(&m.vote.value, &value));
  machine_free(&m);
}

/* Goal: the strict store keeps the last hundred messages of a source in their order, each with its justification, in
   which nothing is nested. Method: more than that, then the walk. */
static void strict_store_is_a_queue(void **state) {
  (void)state;
  void *mem = malloc(aq_qbft_store_size(4, true));
  aq_qbft_store *s = aq_qbft_store_init(mem, 4, true);
  const int64_t last = 3 * AQ_QBFT_FIFO_MAX / 2;
  for (int64_t r = 1; r <= last; r++) {
    const aq_qbft_msg *other;
    aq_qbft_msg m = msg(AQ_QBFT_ROUND_CHANGE, 1, r, 7), list[2];
    for (uint32_t i = 0; i < 2; i++) {
      list[i] = msg(AQ_QBFT_PREPARE, i, 2 * r + i, 7);
      list[i].just = &m, list[i].just_cnt = 1;
    }
    m.just = list, m.just_cnt = 2;
    assert_int_equal(aq_qbft_store_add(s, &m, &other), AQ_OK);
  }
  aq_qbft_it it = {0, 0, 0};
  int64_t next = last - AQ_QBFT_FIFO_MAX + 1;
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(s, &it, AQ_QBFT_ROUND_CHANGE)); next++) {
    assert_true(m->round == next && m->just_cnt == 2);
    for (uint32_t i = 0; i < 2; i++) {
      assert_true(m->just[i].round == 2 * next + i && m->just[i].just == NULL && m->just[i].just_cnt == 0);
    }
  }
  assert_int_equal(next, last + 1);
  it = (aq_qbft_it){0, 0, 0};
  next = 2 * (last - AQ_QBFT_FIFO_MAX + 1);
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(s, &it, AQ_QBFT_PREPARE));) assert_int_equal(m->round, next++);
  assert_int_equal(next, 2 * (last + 1));
  free(mem);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(claims_of_changes),
      cmocka_unit_test(certificates_of_proposals),
      cmocka_unit_test(verdicts_fit),
      cmocka_unit_test(first_proposal_of_a_round_counts),
      cmocka_unit_test(strict_certificates_are_claimed),
      cmocka_unit_test(preparers_are_counted),
      cmocka_unit_test(restores_only_what_is_proved),
      cmocka_unit_test(restored_votes_close_their_round),
      cmocka_unit_test(restored_commit_implies_its_prepare),
      cmocka_unit_test(late_proposal_after_commit),
      cmocka_unit_test(restored_certificate_is_claimed),
      cmocka_unit_test(restored_commit_stands_once),
      cmocka_unit_test(restored_proposal),
      cmocka_unit_test(first_proposal),
      cmocka_unit_test(store_bounds),
      cmocka_unit_test(restored_round_is_shown_once),
      cmocka_unit_test(two_highest_changes_stay),
      cmocka_unit_test(largest_store),
      cmocka_unit_test(decided_keeps_what_fits),
      cmocka_unit_test(refused_value_comes_back),
      cmocka_unit_test(strict_store_is_a_queue),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
