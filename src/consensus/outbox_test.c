/* What leaves an instance, is repeated and given up, and what it says of itself. consensus.md 1.10, 3, 8.5. */
#include "aq_test.h"

#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"
#include "fake/value.h"

/* Four nodes and an attester duty whose round 1 node 1 leads. */
enum { NODES = 4, SLOT = 6 };

static const aq_duty duty = {SLOT, AQ_DUTY_ATTESTER};

static fake_cluster *cluster(uint32_t away) { return fake_cluster_before(NODES, away, duty); }

static void run_ms(fake_cluster *w, uint64_t ms) { fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(ms)); }

/* ---- what a filter saw ---- */

enum { SEEN_MAX = 64 };
static struct {
  uint32_t from, to;
  aq_qbft_type type;
  int64_t round;
} seen_what;
static uint64_t seen_at[SEEN_MAX];
static size_t seen_cnt;

static fake_verdict note_times(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                               uint64_t *extra_ns) {
  (void)out, (void)extra_ns;
  bool wanted = from == seen_what.from && to == seen_what.to && m->msg.type == seen_what.type &&
                (seen_what.round == 0 || m->msg.round == seen_what.round);
  if (wanted && seen_cnt < SEEN_MAX) seen_at[seen_cnt++] = fake_cluster_now(w);
  return FAKE_PASS;
}

static void note(fake_cluster *w, uint32_t from, uint32_t to, aq_qbft_type type, int64_t round) {
  seen_cnt = 0;
  seen_what.from = from, seen_what.to = to, seen_what.type = type, seen_what.round = round;
  w->filter = note_times;
}

/* Goal: a failed send is repeated after 100 ms, 250 ms and then each 500 ms, until 10 s after the decision
   (consensus.md 8.5). Method: node 3 is away; the times of node 0's PREPARE to it, each refused after 10 ms. */
static void repeats(void **state) {
  (void)state;
  fake_cluster *w = cluster(1u << 3);
  note(w, 0, 3, AQ_QBFT_PREPARE, 1);
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 20000);
  assert_non_null(fake_decision_of(w, 0, duty));
  static const uint64_t gap_ms[] = {110, 260, 510, 510, 510};
  assert_true(seen_cnt > AQ_COUNT(gap_ms) + 10);
  for (size_t i = 0; i < AQ_COUNT(gap_ms); i++) assert_int_equal(seen_at[i + 1] - seen_at[i], AQ_MILLIS(gap_ms[i]));
  uint64_t last = seen_at[seen_cnt - 1], decided = fake_decision_of(w, 0, duty)->at_ns;
  assert_true(last < decided + AQ_SECONDS(10) && last + AQ_MILLIS(600) > decided + AQ_SECONDS(10));
  fake_cluster_free(w);
}

/* Goal: what nobody will take any more is not kept: messages of rounds long left, and all of an instance that ended.
   Method: node 0 alone, its sends fail from round to round; then the duty's end. */
static void gives_up(void **state) {
  (void)state;
  fake_cluster *w = cluster(1u << 1 | 1u << 2 | 1u << 3);
  const aq_consensus *c = w->node[0].c;
  note(w, 0, 3, AQ_QBFT_ROUND_CHANGE, 2);
  run_ms(w, 5000);
  assert_true(aq_qbft_round(aq_instance_find(c, duty)->q) >= 4);
  assert_true(seen_cnt > 2);
  size_t before = seen_cnt, kept = 0;
  run_ms(w, 3000);
  assert_int_equal(seen_cnt, before);
  for (const aq_list *l = c->tx_all.next; l != &c->tx_all; l = l->next) kept++;
  assert_in_range(kept, 1, 3);
  fake_run_until(w, aq_duty_deadline_ns(&w->chain, duty) + AQ_SECONDS(2));
  assert_null(aq_instance_find(c, duty));
  assert_true(aq_list_empty(&c->tx_all));
  fake_cluster_free(w);
}

static aq_store plain;

/* Later writes wait with it. */
static void slow_decided(void *ctx, const aq_store_decided *d, const aq_store_blob *blob, aq_store_done done,
                         void *arg) {
  fake_cluster *w = AQ_CONTAINER((fake_store *)ctx, fake_node, store)->w;
  uint64_t usual = w->commit_ns;
  w->commit_ns = AQ_MILLIS(200);
  plain.decided(ctx, d, blob, done, arg);
  w->commit_ns = usual;
}

/* Goal: who asks for the decision while it is on its way to the disk gets it once it is there, and not before.
   Method: node 0's record takes 200 ms; node 3, which is not connected, asks meanwhile. */
static void answers_once_recorded(void **state) {
  (void)state;
  fake_cluster *w = cluster(1u << 3);
  plain = w->node[0].store.port;
  w->node[0].store.port.decided = slow_decided;
  note(w, 0, 3, AQ_QBFT_DECIDED, 0);
  fake_value_propose(w, 1, duty, 1);
  const aq_instance *in = aq_instance_find(w->node[0].c, duty);
  for (int ms = 0; ms < 500 && !aq_qbft_decided(in->q); ms++) run_ms(w, 1);
  assert_true(aq_qbft_decided(in->q) && !in->recorded);
  aq_buf out = AQ_BUF(1 << 12);
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_qbft_msg m = {.type = AQ_QBFT_ROUND_CHANGE, .from = 3, .round = 2};
  aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, w->node[3].key, duty, &m)));
  fake_hand_over(w, 0, 3, aq_buf_bytes(&out));
  run_ms(w, 100);
  assert_true(!in->recorded && seen_cnt == 0);
  run_ms(w, 110);
  assert_true(in->recorded && seen_cnt == 1);
  aq_buf_free(&out);
  fake_cluster_free(w);
}

/* Goal: a round's timer that fires late lets what waits in the sockets go first, once; then the round ends.
   Method: the process stands still until 20 ms after the round's end, and its timer is the first thing it sees. */
static void late_timers(void **state) {
  (void)state;
  fake_cluster *w = cluster(1u << 1 | 1u << 2 | 1u << 3);
  aq_instance *in = aq_instance_find(w->node[0].c, duty);
  assert_int_equal(aq_qbft_round(in->q), 1);
  for (int late = 0; late < 2; late++) {
    int64_t round = aq_qbft_round(in->q);
    fake_run_until(w, in->timer_at_ns - 1);
    fake_hold_until(w, in->timer_at_ns + AQ_MILLIS(late ? 20 : 5));
    void (*fire)(void *) = in->round_timer.fn;
    aq_timer_cancel(&w->node[0].env.env, &in->round_timer);
    fire(in);
    assert_int_equal(aq_qbft_round(in->q), late ? round : round + 1);
    if (!late) continue;
    assert_true(in->round_timer.pos != 0 && in->round_timer.at_ns <= fake_cluster_now(w));
    run_ms(w, 1);
    assert_int_equal(aq_qbft_round(in->q), round + 1);
  }
  fake_cluster_free(w);
}

static aq_qbft_type lost;

static fake_verdict lose_kind(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                              uint64_t *extra_ns) {
  (void)w, (void)from, (void)to, (void)out, (void)extra_ns;
  return m->msg.type == lost ? FAKE_DROP : FAKE_PASS;
}

/* Goal: a round that failed says what it lacked and who was silent (contract.md). Method: nobody proposes; then all
   messages of one kind are lost, node 0 tells. */
static void why_it_failed(void **state) {
  (void)state;
  static const struct {
    aq_qbft_type lost;
    const char *why;
  } t[] = {{AQ_QBFT_PRE_PREPARE, "round 1: no pre-prepare, missing leader 1"},
           {AQ_QBFT_PREPARE, "round 1: insufficient prepares, missing 1,2,3"},
           {AQ_QBFT_COMMIT, "round 1: insufficient commits, missing 1,2,3"}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    fake_cluster *w = cluster(0);
    lost = t[i].lost;
    w->filter = lose_kind;
    fake_value_propose(w, 1, duty, 1);
    run_ms(w, 200);
    aq_instance *in = aq_instance_find(w->node[0].c, duty);
    aq_instance_explain(in);
    assert_string_equal(in->why, t[i].why);
    assert_false(in->short_of_changes);
    fake_cluster_free(w);
  }
}

/* Goal: a decision that the journal did not take is tried again, and nobody is asked for bytes that are here.
   Method: node 0's record fails for a while; its ROUND-CHANGEs, which ask, are counted. */
static void a_record_is_tried_again(void **state) {
  (void)state;
  fake_cluster *w = cluster(0);
  w->node[0].store.ends[FAKE_OP_DECIDED] = AQ_E_IO;
  note(w, 0, 2, AQ_QBFT_ROUND_CHANGE, 0);
  fake_value_propose(w, 1, duty, 1);
  run_ms(w, 900);
  assert_null(fake_decision_of(w, 0, duty));
  w->node[0].store.ends[FAKE_OP_DECIDED] = AQ_OK;
  run_ms(w, 2000);
  assert_non_null(fake_decision_of(w, 0, duty));
  assert_int_equal(seen_cnt, 0);
  fake_cluster_free(w);
}

/* Goal: the names of the kinds in metrics and logs (contract.md). Method: all of them. */
static void labels(void **state) {
  (void)state;
  assert_string_equal(aq_qbft_type_label(AQ_QBFT_PRE_PREPARE, 1), "preprepare");
  assert_string_equal(aq_qbft_type_label(AQ_QBFT_PRE_PREPARE, 2), "new_view");
  assert_string_equal(aq_qbft_type_label(AQ_QBFT_PREPARE, 1), "prepare");
  assert_string_equal(aq_qbft_type_label(AQ_QBFT_COMMIT, 1), "commit");
  assert_string_equal(aq_qbft_type_label(AQ_QBFT_DECIDED, 1), "commit");
  assert_string_equal(aq_qbft_type_label(AQ_QBFT_ROUND_CHANGE, 2), "view_change");
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  aq_metrics_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(repeats),
      cmocka_unit_test(gives_up),
      cmocka_unit_test(answers_once_recorded),
      cmocka_unit_test(late_timers),
      cmocka_unit_test(why_it_failed),
      cmocka_unit_test(labels),
      cmocka_unit_test(a_record_is_tried_again),
  };
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
