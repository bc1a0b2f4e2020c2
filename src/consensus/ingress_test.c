/* What comes in from the peers, until its signatures are known. consensus.md 2.3, 4.6. */
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"
#include "fake/cluster.h"

typedef struct {
  fake_cluster *w;
  aq_duty duty;
  uint32_t refused_lines;
  char last_line[AQ_LOG_LINE_MAX + 1];
} world;

static void on_line(void *arg, const char *line, size_t len) {
  world *g = arg;
  if (!strstr(line, "\"msg\":\"qbft_refused\"")) return;
  g->refused_lines++;
  snprintf(g->last_line, sizeof g->last_line, "%.*s", (int)len, line);
}

static int setup(void **state) {
  world *g = calloc(1, sizeof *g);
  assert_non_null(g);
  aq_metrics_init();
  aq_log_start(AQ_LOG_WARN, on_line, g);
  g->w = fake_cluster_new(4, AQ_CAPELLA);
  g->duty = (aq_duty){40, AQ_DUTY_ATTESTER};
  fake_hold_until(g->w, aq_slot_start_ns(&g->w->chain.clock, 38));
  fake_boot(g->w, 0, AQ_STORE_OK);
  *state = g;
  return 0;
}

static int teardown(void **state) {
  world *g = *state;
  fake_cluster_free(g->w);
  aq_log_stop();
  free(g);
  return 0;
}

static aq_consensus *node(const world *g) { return g->w->node[0].c; }

static aq_qbft_msg vote(uint32_t from, int64_t round) {
  return (aq_qbft_msg){.type = AQ_QBFT_PREPARE, .from = from, .round = round, .value = {{1}}};
}

/* A message of `from` that `signer` signed, over `peer`'s stream. */
static void put(world *g, uint32_t peer, uint32_t signer, aq_duty duty, aq_qbft_msg m) {
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_buf out = AQ_BUF(1 << 12);
  size_t len = aq_qbft_wire_sign(raw, g->w->node[signer].key, duty, &m);
  aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, len));
  fake_node *n = &g->w->node[0];
  n->link.handler[AQ_PROTO_QBFT].recv(n->link.handler[AQ_PROTO_QBFT].arg, peer, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

static size_t jobs(const world *g) { return fake_env_untold(&g->w->node[0].env); }

static void run_jobs(world *g) { fake_jobs_end(g->w); }

static double counted(const char *result) {
  return aq_metric_value(AQ_M_QBFT_MSG_VERIFIED_TOTAL, AQ_LABELS(result, NULL));
}

static uint32_t held(const world *g, aq_duty duty, uint32_t peer) {
  const aq_instance *in = aq_instance_find(node(g), duty);
  return in ? in->held_cnt[peer] : 0;
}

/* Goal: what a peer sends beyond its budget is dropped before its signatures cost anything; a second gives back some;
   the others are not concerned; a flood writes a line a reason.
   Method: 12000 forged votes of one peer at one moment, some more a second later, one good vote of another peer. */
static void budget(void **state) {
  world *g = *state;
  for (int64_t i = 1; i <= 12000; i++) {
    put(g, 3, 3, g->duty, vote(2, i));
    if (i % 100 == 0) run_jobs(g);
  }
  double checked = counted("sig_invalid");
  assert_in_range((size_t)checked, 8000, 8192);
  assert_true(checked + counted("error") == 12000);
  put(g, 2, 2, g->duty, vote(2, 1));
  run_jobs(g);
  assert_int_equal(held(g, g->duty, 2), 1);
  assert_int_equal(held(g, g->duty, 3), 0);
  fake_env_hold(&g->w->between, AQ_SECONDS(1));
  for (int64_t i = 1; i <= 1000; i++) {
    put(g, 3, 3, g->duty, vote(2, 20000 + i));
    run_jobs(g);
  }
  assert_in_range((size_t)(counted("sig_invalid") - checked), 200, 260);
  assert_int_equal(g->refused_lines, 2);
  fake_env_hold(&g->w->between, AQ_SECONDS(10));
  put(g, 3, 3, g->duty, vote(2, 30000));
  run_jobs(g);
  assert_int_equal(g->refused_lines, 3);
  assert_non_null(strstr(g->last_line, "\"reason\":\"bad_signature\""));
  assert_null(strstr(g->last_line, "\"more\":0,"));
}

/* Goal: of each peer one short batch is at the workers, whatever it sends.
   Method: 200 votes of each of three peers; the jobs under way are counted. */
static void one_batch(void **state) {
  world *g = *state;
  for (int64_t i = 1; i <= 200; i++) {
    for (uint32_t peer = 1; peer < 4; peer++) put(g, peer, 0, g->duty, vote(peer, i));
  }
  assert_int_equal(jobs(g), 3);
  assert_true(counted("sig_invalid") == 0);
  run_jobs(g);
  assert_int_equal(jobs(g), 0);
  assert_true(counted("sig_invalid") == 600);
  assert_true(aq_metric_value(AQ_M_CONSENSUS_PROC_MS, AQ_LABELS("consensus")) == 0); /* time stands still */
}

/* Goal: the messages of a peer stay in order; one that is known already does not overtake.
   Method: a vote that peer 1 brought before, behind a new one in peer 2's stream; alone it takes no worker. Then both
   wait behind a batch. */
static void in_order(void **state) {
  world *g = *state;
  put(g, 1, 1, g->duty, vote(1, 7));
  assert_int_equal(jobs(g), 1);
  run_jobs(g);
  put(g, 3, 1, g->duty, vote(1, 7));
  assert_int_equal(jobs(g), 0);
  assert_int_equal(held(g, g->duty, 3), 1);
  put(g, 2, 2, g->duty, vote(2, 3));
  put(g, 2, 1, g->duty, vote(1, 7));
  assert_int_equal(held(g, g->duty, 2), 0);
  run_jobs(g);
  assert_int_equal(held(g, g->duty, 2), 2);
  const aq_instance *in = aq_instance_find(node(g), g->duty);
  uint32_t seen = 0;
  AQ_LIST_EACH(&in->held, h, aq_inst_held, node) {
    if (h->peer != 2) continue;
    aq_qbft_wire_ctx ctx = {4, &g->w->chain, fake_cluster_now(g->w)};
    aq_qbft_wire w;
    aq_arena_reset(&g->w->arena);
    assert_int_equal(aq_qbft_wire_decode(&w, &g->w->arena, &ctx, aq_buf_bytes(&h->bytes)), AQ_QBFT_WIRE_OK);
    assert_int_equal(w.msg.from, seen++ == 0 ? 2 : 1);
  }
  assert_int_equal(seen, 2);
  put(g, 3, 3, g->duty, vote(3, 1));
  put(g, 3, 3, g->duty, vote(3, 2));
  put(g, 3, 1, g->duty, vote(1, 7));
  if (jobs(g) == 1) (void)fake_env_job_step(&g->w->node[0].env); /* the first batch alone */
  assert_int_equal(jobs(g), 1);
  assert_int_equal(held(g, g->duty, 3), 2); /* the one of before and the first */
  run_jobs(g);
  assert_int_equal(held(g, g->duty, 3), 4);
}

/* Goal: long messages cost what they weigh, and the room that they took while they waited is free again.
   Method: messages of 2 MB in pairs, the second of each behind a batch: all that the budget pays for, far more than the
   queue holds at once. */
static void weight(void **state) {
  world *g = *state;
  enum { LEN = 2 << 20 };
  uint8_t *junk = calloc(1, LEN);
  assert_non_null(junk);
  uint32_t taken = 0;
  for (int64_t i = 0; i < 200 && counted("error") == 0; i++) {
    uint8_t raw[AQ_QBFT_RAW_MAX];
    aq_buf out = AQ_BUF(LEN + (1 << 12));
    aq_qbft_msg m = vote(2, i + 1);
    aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, g->w->node[1].key, g->duty, &m))); /* forged */
    aq_qbft_wire_put_value(&out, g->duty.type, aq_bytes_of(junk, LEN));
    fake_node *n = &g->w->node[0];
    n->link.handler[AQ_PROTO_QBFT].recv(n->link.handler[AQ_PROTO_QBFT].arg, 2, aq_buf_bytes(&out));
    aq_buf_free(&out);
    if (i % 2 == 1) run_jobs(g);
    taken++;
  }
  run_jobs(g);
  assert_in_range(taken - 1, 120, 128);
  assert_true(counted("sig_invalid") == taken - 1);
  free(junk);
}

/* Goal: what a peer leaves in a duty that did not start has a bound, and what is refused is counted as such.
   Method: more votes than fit. */
static void held_votes(void **state) {
  world *g = *state;
  for (int64_t i = 1; i <= 20; i++) put(g, 2, 2, g->duty, vote(2, i));
  run_jobs(g);
  assert_int_equal(held(g, g->duty, 2), 2 * 4 + 4);
  assert_true(counted("error") == 20 - (2 * 4 + 4));
}

/* Goal: a forged signature is not remembered as good, nor is a good one beside it.
   Method: a vote with a wrong signature twice; then a message that carries a good vote of another peer in front of
   it. */
static void forged(void **state) {
  world *g = *state;
  for (int i = 1; i < 3; i++) {
    put(g, 2, 1, g->duty, vote(2, 5));
    assert_int_equal(jobs(g), 1);
    run_jobs(g);
    assert_true(counted("sig_invalid") == i);
  }
  aq_buf out = AQ_BUF(1 << 12);
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_qbft_msg m = vote(2, 6), other = vote(2, 5);
  size_t len = aq_qbft_wire_sign(raw, g->w->node[2].key, g->duty, &m);
  aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, len));
  aq_qbft_wire_put_just(&out, g->w->node[1].key, g->duty, &other);
  fake_node *n = &g->w->node[0];
  n->link.handler[AQ_PROTO_QBFT].recv(n->link.handler[AQ_PROTO_QBFT].arg, 2, aq_buf_bytes(&out));
  run_jobs(g);
  assert_true(counted("sig_invalid") == 3);
  put(g, 3, 2, g->duty, m); /* takes a worker: not learnt beside the forged one */
  assert_int_equal(jobs(g), 1);
  run_jobs(g);
  assert_int_equal(held(g, g->duty, 3), 1);
  assert_int_equal(held(g, g->duty, 2), 0);
  aq_buf_free(&out);
}

/* Goal: a message whose duty ends while it waits is dropped, costs nothing more and vouches for nothing.
   Method: two votes, the first at a worker, the second behind it, when the duty ends. */
static void dead_duty(void **state) {
  world *g = *state;
  put(g, 2, 2, g->duty, vote(2, 1));
  for (int64_t i = 2; i < 60; i++) put(g, 2, 1, g->duty, vote(2, i)); /* forged */
  fake_hold_until(g->w, aq_duty_deadline_ns(&g->w->chain, g->duty));
  run_jobs(g);
  assert_int_equal(jobs(g), 0);
  assert_true(counted("old") == 59 && counted("sig_invalid") == 0);
  assert_int_equal(aq_consensus_instances(node(g)), 0);
  assert_int_equal(g->refused_lines, 0);
}

static bool odd_slots(void *arg, aq_duty duty) {
  (void)arg;
  return duty.slot % 2 == 1;
}

/* Goal: for a duty that nobody has no instance is made and no signature looked at; what comes early for one that exists
   is held.
   Method: the same votes for a slot that is scheduled and for one that is not. */
static void unscheduled(void **state) {
  world *g = *state;
  fake_kill(g->w, 0);
  g->w->scheduled = odd_slots;
  fake_boot(g->w, 0, AQ_STORE_OK);
  for (uint64_t slot = 40; slot < 42; slot++) {
    for (int64_t i = 1; i < 4; i++) put(g, 2, 2, (aq_duty){slot, AQ_DUTY_INFO_SYNC}, vote(2, i));
    assert_int_equal(jobs(g), slot % 2);
    run_jobs(g);
  }
  assert_true(counted("error") == 3);
  assert_int_equal(aq_consensus_instances(node(g)), 1);
  assert_int_equal(held(g, (aq_duty){41, AQ_DUTY_INFO_SYNC}, 2), 3);
  assert_int_equal(g->refused_lines, 1);
  assert_non_null(strstr(g->last_line, "\"reason\":\"unscheduled_duty\""));
}

/* Goal: a component may end while a worker has its messages.
   Method: ends with a batch under way and a queue behind it; the job is told afterwards. */
static void ends_early(void **state) {
  world *g = *state;
  for (int64_t i = 1; i < 100; i++) put(g, 2, 2, g->duty, vote(2, i));
  assert_int_equal(jobs(g), 1);
  fake_kill(g->w, 0);
  run_jobs(g);
  assert_int_equal(jobs(g), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(budget, setup, teardown),
      cmocka_unit_test_setup_teardown(one_batch, setup, teardown),
      cmocka_unit_test_setup_teardown(in_order, setup, teardown),
      cmocka_unit_test_setup_teardown(forged, setup, teardown),
      cmocka_unit_test_setup_teardown(dead_duty, setup, teardown),
      cmocka_unit_test_setup_teardown(unscheduled, setup, teardown),
      cmocka_unit_test_setup_teardown(ends_early, setup, teardown),
      cmocka_unit_test_setup_teardown(weight, setup, teardown),
      cmocka_unit_test_setup_teardown(held_votes, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
