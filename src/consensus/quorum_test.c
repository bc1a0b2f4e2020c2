/* Exactly one vote too few, then the one that is missing, for every rule that counts. */
#include "aq_test.h"

#include <stdlib.h>

#include "consensus/consensus_internal.h"
#include "qbft/qbft_internal.h"

/* Each place where the machine compares a count with a quorum or with f, for every size of a cluster: one message fewer
   does nothing, the last one does it. Node 0 leads all rounds. */

typedef struct {
  uint32_t n, quorum, f;
  aq_qbft *q;
  void *mem, *store;
  uint32_t votes[AQ_QBFT_DECIDED];
} machine;

static const aq_hash value = {{7}};

static uint32_t node0(const void *arg, int64_t round) {
  (void)arg, (void)round;
  return 0;
}

static void drain(machine *m) {
  for (aq_qbft_fx fx; aq_qbft_next(m->q, &fx);) m->votes[fx.msg.type % AQ_QBFT_DECIDED] += fx.kind == AQ_QBFT_FX_VOTE;
}

/* quorum and f by what they are for: two quorums share an honest node, and n - f nodes are one. */
static machine machine_of(uint32_t n, uint32_t self) {
  machine m = {.n = n};
  while (3 * m.quorum < 2 * n) m.quorum++;
  while (3 * (m.f + 1) < n) m.f++;
  aq_qbft_cfg cfg = {.n = n, .self = self, .leader = node0};
  m.mem = malloc(aq_qbft_footprint(n, false)), m.store = malloc(aq_qbft_store_footprint(n, false));
  m.q = aq_qbft_init(m.mem, m.store, &cfg);
  aq_qbft_start(m.q);
  drain(&m);
  return m;
}

static void machine_free(machine *m) {
  free(m->mem);
  free(m->store);
}

static aq_status feed(machine *m, const aq_qbft_msg *msg) {
  aq_status st = aq_qbft_recv(m->q, msg);
  drain(m);
  return st;
}

static uint32_t list(aq_qbft_msg out[AQ_QBFT_NODES_MAX], aq_qbft_type type, int64_t round, uint32_t cnt) {
  for (uint32_t i = 0; i < cnt; i++) {
    out[i] = (aq_qbft_msg){.type = type, .from = i, .round = round};
    if (type != AQ_QBFT_ROUND_CHANGE) out[i].value = value;
  }
  return cnt;
}

/* Goal: a COMMIT needs a quorum of PREPAREs, a decision one of COMMITs, of one value. Method: one message a node. */
static void votes_need_a_quorum(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= AQ_QBFT_NODES_MAX; n++) {
    machine p = machine_of(n, n - 1), c = machine_of(n, n - 1);
    aq_qbft_msg m[AQ_QBFT_NODES_MAX];
    assert_int_equal(aq_qbft_quorum(n), p.quorum);
    assert_int_equal(aq_qbft_faulty(n), p.f);
    for (uint32_t i = 0; i < list(m, AQ_QBFT_PREPARE, 1, n); i++) {
      assert_int_equal(feed(&p, &m[i]), AQ_OK);
      assert_int_equal(p.votes[AQ_QBFT_COMMIT], i + 1 >= p.quorum);
    }
    for (uint32_t i = 0; i < list(m, AQ_QBFT_COMMIT, 1, c.quorum); i++) {
      assert_int_equal(feed(&c, &m[i]), AQ_OK);
      assert_int_equal(aq_qbft_decided(c.q) != NULL, i + 1 == c.quorum);
    }
    machine_free(&p), machine_free(&c);
  }
}

/* Goal: f+1 nodes in a later round bring this one there, a quorum of them lets its leader propose. Method:
   ROUND-CHANGEs one by one, to a node in round 1 and to a leader in round 2. */
static void round_changes_are_counted(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= AQ_QBFT_NODES_MAX; n++) {
    machine j = machine_of(n, n - 1), l = machine_of(n, 0);
    aq_qbft_msg m[AQ_QBFT_NODES_MAX];
    for (uint32_t i = 0; i < list(m, AQ_QBFT_ROUND_CHANGE, 3, n - 1); i++) {
      assert_int_equal(feed(&j, &m[i]), AQ_OK);
      assert_int_equal(aq_qbft_round(j.q), i >= j.f ? 3 : 1);
    }
    aq_qbft_value(l.q, &value);
    drain(&l);
    assert_int_equal(l.votes[AQ_QBFT_PRE_PREPARE], 1);
    aq_qbft_timeout(l.q, 1);
    drain(&l); /* its own ROUND-CHANGE is the first */
    (void)list(m, AQ_QBFT_ROUND_CHANGE, 2, n);
    for (uint32_t have = 1; have <= n; have++) {
      if (have > 1) assert_int_equal(feed(&l, &m[have - 1]), AQ_OK);
      assert_int_equal(l.votes[AQ_QBFT_PRE_PREPARE], 1 + (have >= l.quorum));
    }
    machine_free(&j), machine_free(&l);
  }
}

/* Goal: what a message rests on is a quorum: a proposal of a later round, a prepared round, a decision; and what spares
   a value the judging. Method: justifications of one fewer, as many, one more. */
static void justifications_need_a_quorum(void **state) {
  (void)state;
  static const aq_qbft_type type[] = {AQ_QBFT_PRE_PREPARE, AQ_QBFT_ROUND_CHANGE, AQ_QBFT_DECIDED},
                            inner[] = {AQ_QBFT_ROUND_CHANGE, AQ_QBFT_PREPARE, AQ_QBFT_COMMIT};
  for (uint32_t n = 1; n <= AQ_QBFT_NODES_MAX; n++) {
    for (uint32_t kind = 0; kind < AQ_COUNT(type); kind++) {
      machine q = machine_of(n, n - 1);
      aq_qbft_msg just[AQ_QBFT_NODES_MAX];
      aq_qbft_msg m = {.type = type[kind], .round = 2, .value = value, .just = just};
      if (type[kind] == AQ_QBFT_ROUND_CHANGE) m.value = (aq_hash){{0}}, m.prepared_round = 1, m.prepared_value = value;
      for (uint32_t cnt = q.quorum - 1; cnt <= q.quorum + 1 && cnt <= n; cnt++) {
        if (cnt == 0 && type[kind] == AQ_QBFT_ROUND_CHANGE) continue;
        m.just_cnt = list(just, inner[kind], type[kind] == AQ_QBFT_ROUND_CHANGE ? 1 : 2, cnt);
        assert_int_equal(aq_qbft_justified(q.q, &m), cnt >= q.quorum);
      }
      machine_free(&q);
    }
    uint32_t quorum = aq_qbft_quorum(n);
    aq_qbft_msg just[AQ_QBFT_NODES_MAX], pp = {.type = AQ_QBFT_PRE_PREPARE, .round = 2, .value = value, .just = just};
    for (uint32_t cnt = quorum - 1; cnt <= quorum + 1 && cnt <= n; cnt++) {
      pp.just_cnt = list(just, AQ_QBFT_PREPARE, 1, cnt);
      assert_int_equal(aq_value_certified(&pp, quorum), cnt >= quorum);
    }
  }
}

/* Goal: a proposal over a prepared value rests on a quorum of ROUND-CHANGEs, one of which claims it, and on a quorum of
   PREPAREs of it. Method: of each kind one fewer, as many, one more. */
static void prepared_values_need_two_quorums(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= AQ_QBFT_NODES_MAX; n++) {
    machine q = machine_of(n, n - 1);
    aq_qbft_msg just[2 * AQ_QBFT_NODES_MAX],
        m = {.type = AQ_QBFT_PRE_PREPARE, .round = 3, .value = value, .just = just};
    for (uint32_t changes = q.quorum - 1; changes <= q.quorum + 1 && changes <= n; changes++) {
      for (uint32_t prepares = q.quorum - 1; prepares <= q.quorum + 1 && prepares <= n; prepares++) {
        if (changes == 0) continue;
        m.just_cnt = list(just, AQ_QBFT_ROUND_CHANGE, 3, changes);
        just[0].prepared_round = 1, just[0].prepared_value = value;
        m.just_cnt += list(just + changes, AQ_QBFT_PREPARE, 1, prepares);
        assert_int_equal(aq_qbft_justified(q.q, &m), changes >= q.quorum && prepares >= q.quorum);
      }
    }
    machine_free(&q);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(votes_need_a_quorum),
      cmocka_unit_test(round_changes_are_counted),
      cmocka_unit_test(justifications_need_a_quorum),
      cmocka_unit_test(prepared_values_need_two_quorums),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
