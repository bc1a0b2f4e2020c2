/* A node whose store was put back among peers that remember, lie, or run twice. */
#include "aq_test.h"

#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"
#include "duty/payload.h"
#include "fake/cluster.h"

/* Four nodes and an attester duty whose round 1 node 1 leads; node 0's store is put back. */
enum { NODES = 4, SLOT = 6 };

static const aq_duty duty = {SLOT, AQ_DUTY_ATTESTER};

static void propose(fake_cluster *w, uint32_t node, aq_duty of) {
  uint8_t ssz[128];
  aq_buf data = AQ_BUF(4096);
  aq_att_data att = {.slot = of.slot};
  aq_unsigned item = {.pubkey = {1}};
  aq_att_data_put(ssz, &att);
  aq_unsigned_data d = {.duty = AQ_DUTY_ATTESTER, .value = aq_bytes_of(ssz, sizeof ssz), .attester = {.slot = of.slot}};
  d.attester.pubkey[0] = 1;
  assert_int_equal(aq_unsigned_encode(&data, &d), AQ_OK);
  item.data = aq_buf_bytes(&data);
  assert_int_equal(aq_consensus_propose(w->node[node].c, of, &(aq_unsigned_set){&item, 1}), AQ_OK);
  aq_buf_free(&data);
}

static void run_ms(fake_cluster *w, uint64_t ms) { fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(ms)); }

/* COMMITs reach their receivers but for node 0's quorum: nobody decides. */
static fake_verdict no_decision(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                                uint64_t *extra_ns) {
  (void)w, (void)to, (void)out, (void)extra_ns;
  return m->msg.type == AQ_QBFT_COMMIT && from != 0 ? FAKE_DROP : FAKE_PASS;
}

static bool has(const fake_node *n, uint8_t type) {
  for (fake_row *r = NULL; (r = fake_disk_next(&n->disk, r)) != NULL;) {
    if (r->kind == FAKE_VOTE && r->u.vote.msg_type == type) return true;
  }
  return false;
}

/* Node 0 has sent its COMMIT; then it starts again with the store as it was before that. */
static fake_cluster *rolled_back(bool put_back, uint32_t mute) {
  fake_cluster *w = fake_cluster_new(NODES, AQ_DENEB);
  w->commit_ns = AQ_MILLIS(2);
  w->filter = no_decision;
  fake_run_until(w, aq_duty_start_ns(&w->chain, duty) - AQ_MILLIS(100));
  for (uint32_t i = 0; i < NODES; i++) {
    fake_boot(w, i, AQ_STORE_OK);
    assert_int_equal(aq_consensus_participate(w->node[i].c, duty), AQ_OK);
  }
  run_ms(w, 100);
  propose(w, 1, duty);
  fake_node *n = &w->node[0];
  for (int ms = 0; ms < 200 && !has(n, AQ_QBFT_PREPARE); ms++) run_ms(w, 1);
  fake_disk old;
  fake_disk_init(&old);
  fake_disk_copy(&old, &n->disk);
  for (int ms = 0; ms < 200 && !has(n, AQ_QBFT_COMMIT); ms++) run_ms(w, 1);
  assert_true(has(n, AQ_QBFT_COMMIT) && !has(n, AQ_QBFT_ROUND_CHANGE));
  run_ms(w, 50);
  fake_kill(w, 0);
  if (put_back) fake_disk_copy(&n->disk, &old);
  fake_disk_free(&old);
  for (uint32_t i = 0; i < NODES; i++) w->node[i].mute = mute >> i & 1;
  n->sends = 0;
  fake_boot(w, 0, AQ_STORE_OK);
  assert_int_equal(aq_consensus_participate(n->c, duty), AQ_OK);
  return w;
}

/* Goal: a node whose store was put back hears from its peers what it sent meanwhile, sends nothing more for duties that
   were alive when it started, says so, and votes for later ones (docs/decisions/007). Method: node 0 forgets its
   COMMIT; one peer that answers is enough. */
static void an_old_store_is_noticed(void **state) {
  (void)state;
  double before = aq_metric_value(AQ_M_STATE_STALE_TOTAL, AQ_LABELS("peer"));
  double foreign = aq_metric_value(AQ_M_QBFT_WAL_GUARD_DROPS_TOTAL, AQ_NO_LABELS);
  fake_cluster *w = rolled_back(true, 1u << 1 | 1u << 2);
  fake_node *n = &w->node[0];
  run_ms(w, 5000);
  assert_true(aq_metric_value(AQ_M_QBFT_WAL_GUARD_DROPS_TOTAL, AQ_NO_LABELS) == foreign); /* one cause, told once */
  assert_int_equal(n->sends, 0);
  assert_true(aq_instance_find(n->c, duty)->abstain);
  assert_true(aq_consensus_unproven_until_ns(n->c) >= n->c->cfg.started_ns);
  assert_true(aq_metric_value(AQ_M_STATE_STALE_TOTAL, AQ_LABELS("peer")) == before + 1);
  w->filter = NULL;
  const aq_duty later = {SLOT + 2, AQ_DUTY_ATTESTER};
  fake_run_until(w, aq_duty_start_ns(&w->chain, later));
  for (uint32_t i = 0; i < NODES; i++) propose(w, i, later);
  run_ms(w, 2000);
  assert_true(n->sends > 0);
  for (uint32_t i = 0; i < NODES; i++) assert_non_null(fake_decision_of(w, i, later));
  fake_cluster_free(w);
}

/* Goal: what the peers told of the store is not forgotten with them, and shortens nothing that is held back. Method:
   they tell it, then node 0 starts again and nobody answers; a later mark. */
static void what_was_noticed_stays(void **state) {
  (void)state;
  fake_cluster *w = rolled_back(true, 1u << 1 | 1u << 2);
  fake_node *n = &w->node[0];
  run_ms(w, 1000);
  assert_true(aq_instance_find(n->c, duty)->abstain);
  assert_true(n->disk.since_ns + AQ_STORE_MARGIN_NS >= n->c->cfg.started_ns);
  fake_kill(w, 0);
  for (uint32_t i = 0; i < NODES; i++) w->node[i].mute = true;
  fake_boot(w, 0, AQ_STORE_OK);
  assert_int_equal(aq_consensus_participate(n->c, duty), AQ_OK);
  run_ms(w, 5000);
  assert_int_equal(n->sends, 0);
  assert_true(aq_instance_find(n->c, duty)->abstain);
  fake_cluster_free(w);
  w = rolled_back(true, 1u << 1 | 1u << 2);
  n = &w->node[0];
  n->store.port.since_ns = fake_cluster_now(w) + AQ_SECONDS(100);
  run_ms(w, 1000);
  assert_true(aq_instance_find(n->c, duty)->abstain);
  assert_int_equal(n->store.port.since_ns, fake_cluster_now(w) + AQ_SECONDS(99));
  fake_cluster_free(w);
}

/* Goal: peers that cannot answer change nothing, and a duty waits for them no longer than its bound; with a sound store
   nobody abstains. Method: all peers mute with the sound store; then one that answers. The votes that were recorded are
   sent again, none before the answers or the bound. */
static void a_sound_store_goes_on(void **state) {
  (void)state;
  for (int mute = 0; mute < 2; mute++) {
    fake_cluster *w = rolled_back(false, mute ? 0xe : 0x6);
    fake_node *n = &w->node[0];
    if (mute) { /* what is refused is an answer; who is silent holds the duty up to the bound */
      for (uint32_t i = 1; i < NODES; i++) w->delay_ns[i][0] = AQ_SECONDS(4);
    }
    run_ms(w, 15);
    assert_int_equal(n->sends, 0);
    run_ms(w, AQ_VOTES_ASK_MS);
    assert_true(n->sends > 0);
    assert_false(aq_instance_find(n->c, duty)->abstain);
    assert_true(aq_consensus_unproven_until_ns(n->c) == 0);
    fake_cluster_free(w);
  }
}

static aq_buf lie;

static void tell_lies(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  const aq_net *net = &((fake_node *)arg)->link.net;
  (void)from, (void)msg;
  net->respond(net->ctx, reply, aq_buf_bytes(&lie));
}

/* Goal: nobody makes a node abstain with votes that it did not sign, nor stop with a hello that is not from its key, or
   from a process that ended before it began. Method: node 1 answers with a vote of its own under node 0's index, and
   with hellos. */
static void lies_change_nothing(void **state) {
  (void)state;
  for (int which = 0; which < 3; which++) {
    fake_cluster *w = rolled_back(false, 0xe);
    fake_node *n = &w->node[0], *liar = &w->node[1];
    aq_qbft_msg m = {.type = AQ_QBFT_COMMIT, .from = 0, .round = 3, .value = {{9}}};
    aq_votes_hello h = {.id = {5}, .started_ns = 1};
    uint8_t raw[AQ_QBFT_RAW_MAX];
    memcpy(h.sees, n->c->votes.own.id, which == 1 ? sizeof h.sees : 0);
    aq_votes_hello_sign(&h, which == 1 ? liar->key : n->key, n->c->votes.cluster);
    lie = AQ_BUF(AQ_VOTES_ANSWER_MAX);
    aq_votes_put_answer(&lie, which ? &h : NULL, which ? 0 : 1);
    if (which == 0) aq_votes_put_vote(&lie, aq_bytes_of(raw, aq_qbft_wire_sign(raw, liar->key, duty, &m)));
    liar->mute = false;
    liar->link.handler[AQ_PROTO_VOTES] = (aq_net_handler){.arg = liar, .serve = tell_lies};
    n->c->double_told = false;
    run_ms(w, 40000);
    assert_false(n->c->double_told);
    assert_true(aq_consensus_unproven_until_ns(n->c) == 0);
    aq_buf_free(&lie);
    fake_cluster_free(w);
  }
}

/* Goal: the journal is asked before a vote that a peer shows counts as one that the store lacks, in whatever way memory
   came to lack it; what it lacks, too, is one. Method: node 0 votes, its memory forgets the duty, node 1 shows the
   COMMIT; then another one of its key. */
static void the_journal_is_asked(void **state) {
  (void)state;
  double before = aq_metric_value(AQ_M_STATE_STALE_TOTAL, AQ_LABELS("peer"));
  for (int other = 0; other < 2; other++) {
    fake_cluster *w = rolled_back(false, 0xe);
    fake_node *n = &w->node[0], *peer = &w->node[1];
    aq_qbft_msg m = {0};
    uint8_t raw[AQ_QBFT_RAW_MAX];
    for (size_t i = 0; i < w->shown_cnt; i++) {
      if (w->shown[i].node == 0 && w->shown[i].m.type == AQ_QBFT_COMMIT) m = w->shown[i].m;
    }
    assert_int_equal(m.type, AQ_QBFT_COMMIT);
    m.just = NULL, m.just_cnt = 0, m.raw = aq_bytes_of(NULL, 0);
    m.value.b[0] ^= (uint8_t)other;
    lie = AQ_BUF(AQ_VOTES_ANSWER_MAX);
    aq_votes_put_answer(&lie, NULL, 1);
    aq_votes_put_vote(&lie, aq_bytes_of(raw, aq_qbft_wire_sign(raw, n->key, duty, &m)));
    peer->mute = false;
    peer->link.handler[AQ_PROTO_VOTES] = (aq_net_handler){.arg = peer, .serve = tell_lies};
    aq_instance_close(aq_instance_find(n->c, duty));
    run_ms(w, 12500);
    assert_int_equal(aq_consensus_unproven_until_ns(n->c) != 0, other);
    assert_int_equal(n->c->abstain_until_ns != 0, other);
    aq_buf_free(&lie);
    fake_cluster_free(w);
  }
  assert_true(aq_metric_value(AQ_M_STATE_STALE_TOTAL, AQ_LABELS("peer")) == before + 1);
}

static uint32_t stopped;

static void on_double(void *arg, const char *why) {
  (void)arg;
  assert_non_null(strstr(why, "another instance with this identity is running"));
  stopped++;
}

/* The other process of node 0's identity says hello to node 1, and takes what it is told. True: the one that it is told
   of sees it. */
static bool other_says_hello(fake_cluster *w, aq_votes_hello *h) {
  fake_node *n = &w->node[0], *peer = &w->node[1];
  fake_letter reply = {.data = AQ_BUF(AQ_QBFT_MSG_MAX)};
  aq_buf msg = AQ_BUF(AQ_VOTES_REQUEST_LEN);
  aq_votes_answer a;
  aq_votes_hello_sign(h, n->key, peer->c->votes.cluster);
  aq_votes_put_request(&msg, h, false);
  peer->link.handler[AQ_PROTO_VOTES].serve(peer->link.handler[AQ_PROTO_VOTES].arg, 0, aq_buf_bytes(&msg),
                                           (aq_net_reply *)(void *)&reply);
  assert_int_equal(aq_votes_read_answer(&a, aq_buf_bytes(&reply.data)), AQ_OK);
  if (a.has_other) memcpy(h->sees, a.other.id, sizeof h->sees);
  aq_buf_free(&reply.data), aq_buf_free(&msg);
  return a.has_other && memcmp(a.other.sees, h->id, sizeof h->id) == 0;
}

/* Goal: a member that tells node 0 of an earlier run of its own, again and again and after all others, does not keep it
   from naming a process that is there, by which that one stops; and one that is gone gives way to the next. Method: a
   later process says hello to node 1 each slot; node 3 knows the hello of a run long ago, whose clock was ahead; one of
   the two answers last. */
static void an_old_hello_hides_nobody(void **state) {
  (void)state;
  for (uint32_t slow = 1; slow <= 3; slow += 2) {
    fake_cluster *w = fake_cluster_new(NODES, AQ_DENEB);
    for (uint32_t i = 0; i < NODES; i++) fake_boot(w, i, AQ_STORE_OK);
    fake_node *n = &w->node[0], *liar = &w->node[3];
    aq_votes_hello old = {.id = {9}, .started_ns = UINT64_MAX / 2},
                   h = {.id = {5}, .started_ns = fake_cluster_now(w) + 1};
    aq_votes_hello_sign(&old, n->key, n->c->votes.cluster);
    lie = AQ_BUF(AQ_VOTES_ANSWER_MAX);
    aq_votes_put_answer(&lie, &old, 0);
    liar->link.handler[AQ_PROTO_VOTES] = (aq_net_handler){.arg = liar, .serve = tell_lies};
    w->delay_ns[0][slow] = AQ_SECONDS(1);
    uint32_t seen = 0;
    for (int slot = 0; slot < 10; slot++) {
      seen += other_says_hello(w, &h);
      run_ms(w, 12000);
    }
    assert_true(seen >= 3);
    run_ms(w, 12000 * (AQ_VOTES_OTHER_SLOTS + 3)); /* it stopped */
    assert_memory_equal(n->c->votes.own.sees, old.id, sizeof old.id);
    aq_buf_free(&lie);
    fake_cluster_free(w);
  }
}

/* Goal: of two live processes of one identity that reach the same peer the one that began later stops, within a few
   slots and without a vote of either; an earlier run that is gone stops nobody (contract.md 13.6). Method: another
   process says hello to node 1 each slot, or only before node 0 begins. */
static void one_of_two_processes_stops(void **state) {
  (void)state;
  for (int later = 0; later < 3; later++) {
    fake_cluster *w = fake_cluster_new(NODES, AQ_DENEB);
    for (uint32_t i = 0; i < NODES; i++) fake_boot(w, i, AQ_STORE_OK);
    aq_votes_hello h = {.id = {5}, .started_ns = fake_cluster_now(w) + (later == 1)};
    if (later != 1) h.started_ns = 1;
    w->node[0].c->cfg.live_double = on_double;
    stopped = 0;
    if (later == 1) run_ms(w, 100); /* node 0 has had its first answers */
    other_says_hello(w, &h);
    for (int slot = 0; slot < 6 && !stopped; slot++) {
      run_ms(w, 12000);
      if (later != 2) other_says_hello(w, &h);
    }
    assert_int_equal(stopped, later == 0);
    assert_int_equal(w->node[0].c->votes.earlier_told, later == 1);
    fake_cluster_free(w);
  }
}

/* Goal: of two live processes of one identity the one stops that came when the other was there, whatever their clocks
   say; nobody's earlier run counts, and a member that holds its first answer back does not make the earlier one stop.
   Method: another process says hello to node 1 before node 0 begins, or after node 1 answered node 0; its clock says
   the opposite, and it says itself whom it found. */
static void clocks_do_not_say_who_is_later(void **state) {
  (void)state;
  for (int which = 0; which < 3; which++) {
    bool was_first = which == 0;
    fake_cluster *w = fake_cluster_new(NODES, AQ_DENEB);
    fake_node *n = &w->node[0];
    for (uint32_t i = 1; i < NODES; i++) fake_boot(w, i, AQ_STORE_OK);
    run_ms(w, 100);
    uint64_t ahead = fake_cluster_now(w) + AQ_SECONDS(31536000);
    aq_votes_hello h = {.id = {5}, .started_ns = was_first ? ahead : 1 | AQ_VOTES_AFTER};
    if (was_first) other_says_hello(w, &h);
    if (which == 2) w->delay_ns[0][1] = AQ_SECONDS(60);
    fake_boot(w, 0, AQ_STORE_OK);
    w->delay_ns[0][1] = AQ_MILLIS(10);
    n->c->cfg.live_double = on_double;
    stopped = 0;
    run_ms(w, 3000);
    for (int slot = 0; slot < 10 && !stopped; slot++) {
      other_says_hello(w, &h);
      run_ms(w, 12000);
    }
    assert_int_equal(stopped, was_first);
    assert_int_equal(n->c->votes.earlier_told, !was_first);
    fake_cluster_free(w);
  }
}

/* Goal: a peer gets its votes only so often, and bytes that are no request get no answer. Method: one request more
   than fit a window, the next window; a broken one. */
static void answers_are_rationed(void **state) {
  (void)state;
  fake_cluster *w = rolled_back(false, 0);
  fake_node *n = &w->node[2];
  run_ms(w, AQ_VOTES_WINDOW_S * 1000);
  aq_votes_hello h = {.id = {5}};
  aq_buf msg = AQ_BUF(AQ_VOTES_REQUEST_LEN);
  aq_votes_put_request(&msg, &h, true);
  for (int i = 0; i < AQ_VOTES_GIVEN_MAX + 3; i++) {
    bool broken = i == AQ_VOTES_GIVEN_MAX + 2;
    fake_letter reply = {.data = AQ_BUF(AQ_QBFT_MSG_MAX), .st = AQ_E_CLOSED};
    if (i == AQ_VOTES_GIVEN_MAX + 1) run_ms(w, AQ_VOTES_WINDOW_S * 1000);
    if (broken) msg.len--;
    n->link.handler[AQ_PROTO_VOTES].serve(n->link.handler[AQ_PROTO_VOTES].arg, 0, aq_buf_bytes(&msg),
                                          (aq_net_reply *)(void *)&reply);
    aq_votes_answer a;
    assert_int_equal(reply.st, broken ? AQ_E_CLOSED : AQ_OK);
    if (!broken) assert_int_equal(aq_votes_read_answer(&a, aq_buf_bytes(&reply.data)), AQ_OK);
    if (!broken) assert_int_equal(a.cnt > 0, i != AQ_VOTES_GIVEN_MAX);
    aq_buf_free(&reply.data);
  }
  aq_buf_free(&msg);
  fake_cluster_free(w);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  aq_metrics_init();
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_old_store_is_noticed),        cmocka_unit_test(what_was_noticed_stays),
      cmocka_unit_test(a_sound_store_goes_on),          cmocka_unit_test(lies_change_nothing),
      cmocka_unit_test(one_of_two_processes_stops),     cmocka_unit_test(an_old_hello_hides_nobody),
      cmocka_unit_test(the_journal_is_asked),           cmocka_unit_test(answers_are_rationed),
      cmocka_unit_test(clocks_do_not_say_who_is_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
