/* Clusters on virtual time, at the last slot of an epoch, with peers that are slow, silent or wrong. */
#include "exchange/infosync.h"

#include "fake/nodes.h"
#include "qbft/qbft_wire.h"

enum { ALL = 0xf, LAST = 2 * SPE - 1, KEPT_MAX = 64 };
static const aq_duty info = {LAST, AQ_DUTY_INFO_SYNC};

static char line_of[KEPT_MAX][1024];
static size_t line_cnt;

static void on_log(void *arg, const char *line, size_t len) {
  (void)arg;
  bool ours = strstr(line, "\"msg\":\"infosync\"") || strstr(line, "\"duty\":\"info_sync\"");
  if (!ours || len >= sizeof line_of[0]) return;
  assert_true(line_cnt < KEPT_MAX);
  memcpy(line_of[line_cnt], line, len);
  line_of[line_cnt++][len] = 0;
}

static size_t lines(const char *a, const char *b) {
  size_t cnt = 0;
  for (size_t i = 0; i < line_cnt; i++) cnt += strstr(line_of[i], a) && strstr(line_of[i], b);
  return cnt;
}

static void collect(aq_log_level min) {
  aq_log_stop();
  aq_log_start(min, on_log, NULL);
}

static world *open_world(uint32_t up) {
  world *w = world_new(up, ALL);
  line_cnt = 0;
  collect(AQ_LOG_INFO);
  for (uint32_t i = 0; i < NODES; i++) w->node[i].w = w, w->node[i].idx = i; /* those that are down ask, too */
  return w;
}

static aq_infosync *infosync(world *w, uint32_t i) { return w->node[i].workflow->infosync; }

static bool decided(world *w, uint32_t i) { return aq_infosync_plural(infosync(w, i), LAST); }

static uint32_t decided_by(world *w) {
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < NODES; i++) cnt += w->node[i].up && decided(w, i);
  return cnt;
}

/* Goal: in the last slot of the epoch all nodes agree on one result, at once, and it holds from that slot on.
   Method: four whole nodes; the logged hashes of their decisions are compared. */
static void agreement(void **state) {
  (void)state;
  world *w = open_world(ALL);
  run_to(w, LAST, 0);
  assert_int_equal(decided_by(w), 0);
  run_to(w, LAST, AQ_MILLIS(200));
  assert_int_equal(decided_by(w), NODES);
  assert_int_equal(lines("consensus_decided", "info_sync"), NODES);
  const char *hash = strstr(line_of[0], "\"hash\":\"");
  char first[80];
  assert_non_null(hash);
  snprintf(first, sizeof first, "%.74s", hash);
  assert_int_equal(lines("consensus_decided", first), NODES);
  assert_int_equal(lines("\"version\":\"v1.11\"", "\"proposal\":\"full\""), NODES);
  assert_int_equal(lines("\"protocol\":\"/charon/consensus/qbft/2.0.0\"", "\"op\":\"decide\""), NODES);
  assert_false(aq_infosync_plural(infosync(w, 0), LAST - 1));
  assert_true(aq_infosync_plural(infosync(w, 0), LAST + 1000));
  run_to(w, LAST + SPE, AQ_MILLIS(200));
  assert_int_equal(lines("\"op\":\"decide\"", "\"slot\":23"), NODES);
  world_free(w);
}

/* Goal: a peer that says nothing costs 6 s, not the result. Method: node 0 is down. Rounds 1 to 6 are over by then
   (consensus.md 3 counts them from the slot's start), and node 3 leads the seventh. */
static void silent_peer(void **state) {
  (void)state;
  world *w = open_world(ALL & ~1u);
  run_to(w, LAST, AQ_MILLIS(5900));
  assert_int_equal(decided_by(w), 0);
  run_to(w, LAST, AQ_MILLIS(6300));
  assert_int_equal(decided_by(w), NODES - 1);
  assert_int_equal(lines("\"op\":\"decide\"", "\"version\":\"v1.11\""), NODES - 1);
  world_free(w);
}

/* Goal: who starts within the slot still takes part, and the others need not wait. Method: node 3 comes up 2 s
   after the slot began. */
static void late_start(void **state) {
  (void)state;
  world *w = open_world(ALL & ~8u);
  run_to(w, LAST, AQ_SECONDS(2));
  node_start(w, 3, true, AQ_STORE_OK);
  run_to(w, LAST, AQ_MILLIS(2300));
  assert_int_equal(decided_by(w), NODES);
  world_free(w);
}

typedef struct {
  bool called;
  aq_status st;
  aq_buf msg;
} got;

static void on_got(void *arg, aq_status st, aq_bytes answer) {
  got *g = arg;
  assert_false(g->called);
  g->called = true;
  g->st = st;
  g->msg = AQ_BUF(1 << 20);
  if (answer.len) aq_buf_put_bytes(&g->msg, answer);
}

static void write_msg(const world *w, aq_buf *out, uint32_t of, aq_duty duty) {
  static const char *const item[] = {"v1.11", "v1.10"};
  const aq_priority_topic topic = {"version", item, 2};
  *out = AQ_BUF(1 << 20);
  assert_int_equal(aq_priority_write(out, w->node[of].key, duty, &topic, 1), AQ_OK);
}

/* Node `from` asks node 0. */
static void ask_with(world *w, uint32_t from, aq_bytes msg, got *g) {
  memset(g, 0, sizeof *g);
  const aq_net *net = &w->node[from].link.net;
  net->request(net->ctx, 0, AQ_PROTO_PRIORITY, msg, on_got, g);
}

/* Goal: what is not the asking peer's own, well signed and of a coming last slot gets no answer. Method: messages
   to node 0 just before the slot; the good one of the same peer is held, and answered when the slot begins. */
static void refusals(void **state) {
  (void)state;
  world *w = open_world(1);
  got g[8];
  aq_buf good, bad;
  run_to(w, LAST - 1, SLOT_NS - AQ_SECONDS(2));
  write_msg(w, &good, 1, info);
  ask_with(w, 2, aq_buf_bytes(&good), &g[0]); /* node 1's words from node 2 */
  good.ptr[good.len - 10] ^= 1;
  ask_with(w, 1, aq_buf_bytes(&good), &g[1]);
  good.ptr[good.len - 10] ^= 1;
  write_msg(w, &bad, 1, (aq_duty){LAST - 1, AQ_DUTY_INFO_SYNC});
  ask_with(w, 1, aq_buf_bytes(&bad), &g[2]);
  aq_buf_free(&bad);
  write_msg(w, &bad, 1, (aq_duty){LAST - SPE, AQ_DUTY_INFO_SYNC}); /* over */
  ask_with(w, 1, aq_buf_bytes(&bad), &g[3]);
  aq_buf_free(&bad);
  write_msg(w, &bad, 1, (aq_duty){LAST + 3 * SPE, AQ_DUTY_INFO_SYNC}); /* past the gate */
  ask_with(w, 1, aq_buf_bytes(&bad), &g[4]);
  aq_buf_free(&bad);
  write_msg(w, &bad, 1, (aq_duty){LAST, AQ_DUTY_ATTESTER});
  ask_with(w, 1, aq_buf_bytes(&bad), &g[5]);
  aq_buf_free(&bad);
  write_msg(w, &bad, 0, info); /* our own words come back */
  ask_with(w, 1, aq_buf_bytes(&bad), &g[6]);
  aq_buf_free(&bad);
  ask_with(w, 1, aq_buf_bytes(&good), &g[7]);
  fake_env_run_for(&w->env, AQ_MILLIS(100));
  for (int i = 0; i < 7; i++) assert_true(g[i].called && g[i].st == AQ_E_CLOSED);
  assert_false(g[7].called);
  run_to(w, LAST, AQ_MILLIS(100));
  assert_true(g[7].called && g[7].st == AQ_OK);
  aq_arena a;
  aq_duty duty;
  uint32_t peer;
  aq_arena_init(&a, 1 << 20);
  const aq_priority_cluster c = {NODES, THRESHOLD, (const uint8_t(*)[33])w->node[0].workflow->peer_key};
  assert_int_equal(aq_priority_check(&duty, &peer, &a, &c, aq_buf_bytes(&g[7].msg)), AQ_OK);
  assert_true(peer == 0 && aq_duty_eq(duty, info));
  aq_arena_free(&a);
  for (int i = 0; i < 8; i++) aq_buf_free(&g[i].msg);
  aq_buf_free(&good);
  world_free(w);
}

/* Node `from`'s vote reaches node 0. */
static void vote_for(world *w, uint32_t from, aq_duty duty) {
  aq_qbft_msg m = {.type = AQ_QBFT_ROUND_CHANGE, .from = from, .round = 2};
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_buf out = AQ_BUF(1 << 12);
  size_t len = aq_qbft_wire_sign(raw, w->node[from].key, duty, &m);
  aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, len));
  w->node[0].link.handler[AQ_PROTO_QBFT].recv(w->node[0].link.handler[AQ_PROTO_QBFT].arg, from, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

/* Goal: a peer cannot make the others agree in slots in which there is nothing to agree on.
   Method: a well signed vote of node 1 for each slot of the epoch, before it began; whose timers run out is logged, and
   only in the last slot is an instance under way. */
static void any_slot(void **state) {
  (void)state;
  world *w = open_world(1);
  run_to(w, LAST - SPE, SLOT_NS / 2);
  uint32_t before = aq_consensus_instances(w->node[0].workflow->consensus);
  for (uint64_t slot = LAST - SPE + 1; slot <= LAST; slot++) vote_for(w, 1, (aq_duty){slot, AQ_DUTY_INFO_SYNC});
  fake_env_run_for(&w->env, AQ_MILLIS(100));
  assert_int_equal(aq_consensus_instances(w->node[0].workflow->consensus) - before, 1);
  run_to(w, LAST - 1, SLOT_NS - AQ_SECONDS(1));
  assert_int_equal(lines("consensus_timeout", "info_sync"), 0);
  world_free(w);
}

/* Goal: early requests cost a peer its own places only, and nothing for long. Method: three requests of node 1 and
   one of node 2 for the last slot of the next epoch; then the node stops while some are held. */
static void early(void **state) {
  (void)state;
  world *w = open_world(1);
  got g[5];
  aq_buf one, two;
  write_msg(w, &one, 1, (aq_duty){LAST + SPE, AQ_DUTY_INFO_SYNC});
  write_msg(w, &two, 2, (aq_duty){LAST + SPE, AQ_DUTY_INFO_SYNC});
  for (int i = 0; i < 3; i++) ask_with(w, 1, aq_buf_bytes(&one), &g[i]);
  ask_with(w, 2, aq_buf_bytes(&two), &g[3]);
  fake_env_run_for(&w->env, AQ_MILLIS(100));
  assert_true(g[0].called && g[0].st == AQ_E_CLOSED);
  assert_false(g[1].called || g[2].called || g[3].called);
  fake_env_run_for(&w->env, AQ_MILLIS(4500));
  for (int i = 1; i < 4; i++) assert_true(g[i].called && g[i].st == AQ_E_CLOSED);
  ask_with(w, 2, aq_buf_bytes(&two), &g[4]);
  fake_env_run_for(&w->env, AQ_MILLIS(100));
  assert_false(g[4].called);
  aq_buf_free(&one), aq_buf_free(&two);
  world_free(w); /* runs a second on: the held one is refused, no timer stays */
  assert_true(g[4].called && g[4].st == AQ_E_CLOSED);
}

/* Goal: a message from outside counts as its sender's even if that peer never answers us. Method: nodes 1 to 3 are
   down and ask node 0 by hand: with the third request node 0 proposes, before 6 s. */
static void requests_count(void **state) {
  (void)state;
  world *w = open_world(1);
  got g[4];
  run_to(w, LAST, AQ_SECONDS(1));
  collect(AQ_LOG_DEBUG);
  for (uint32_t i = 1; i < NODES; i++) {
    aq_buf msg;
    write_msg(w, &msg, i, info);
    assert_int_equal(lines("\"op\":\"propose\"", "\"peers\":4"), 0);
    ask_with(w, i, aq_buf_bytes(&msg), &g[i]);
    fake_env_run_for(&w->env, AQ_MILLIS(50));
    assert_true(g[i].called && g[i].st == AQ_OK);
    aq_buf_free(&g[i].msg), aq_buf_free(&msg);
  }
  assert_int_equal(lines("\"op\":\"propose\"", "\"peers\":4"), 1);
  aq_buf again;
  write_msg(w, &again, 1, info); /* still answered, until the deadline */
  ask_with(w, 1, aq_buf_bytes(&again), &g[0]);
  fake_env_run_for(&w->env, AQ_MILLIS(50));
  assert_true(g[0].called && g[0].st == AQ_OK);
  aq_buf_free(&g[0].msg);
  run_to(w, LAST + 1, AQ_SECONDS(2));
  ask_with(w, 1, aq_buf_bytes(&again), &g[0]);
  fake_env_run_for(&w->env, AQ_MILLIS(50));
  assert_true(g[0].called && g[0].st == AQ_E_CLOSED);
  aq_buf_free(&again);
  world_free(w);
}

/* Goal: the gate of core.md 7.5 follows the last result at or before a slot, and forgets the oldest of more than
   100. Method: results handed in: plural in slot 0, single form from slot 200 on, then 100 more with plural. */
static void plural_gate(void **state) {
  (void)state;
  static const char *const old[] = {"v1.10", "v1.9", "nonsense"}, *const young[] = {"v1.10", "v1.11"};
  world *w = open_world(1);
  aq_infosync *x = infosync(w, 0);
  assert_false(aq_infosync_plural(x, 1000000));
  for (uint64_t i = 0; i < 102; i++) {
    const aq_priority_topic topic = {"version", i == 1 ? old : young, i == 1 ? 3 : 2};
    const aq_duty duty = {i * 200, AQ_DUTY_INFO_SYNC};
    aq_buf msg = AQ_BUF(1 << 16), result = AQ_BUF(1 << 16);
    aq_arena a;
    aq_arena_init(&a, 1 << 20);
    assert_int_equal(aq_priority_write(&msg, w->node[0].key, duty, &topic, 1), AQ_OK);
    const aq_bytes one = aq_buf_bytes(&msg);
    assert_int_equal(aq_priority_result(&result, &a, 1, &one, 1), AQ_OK);
    aq_infosync_decided(x, duty, aq_buf_bytes(&result));
    if (i == 1) {
      assert_true(aq_infosync_plural(x, 0) && aq_infosync_plural(x, 199));
      assert_false(aq_infosync_plural(x, 200) || aq_infosync_plural(x, 5000));
    }
    aq_arena_free(&a);
    aq_buf_free(&msg), aq_buf_free(&result);
    line_cnt = 0;
  }
  assert_false(aq_infosync_plural(x, 399)); /* slots 0 and 200 are forgotten */
  assert_true(aq_infosync_plural(x, 400) && aq_infosync_plural(x, 1000000));
  aq_infosync_decided(x, info, aq_bytes_str("no result"));
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(agreement),      cmocka_unit_test(silent_peer),
                                     cmocka_unit_test(late_start),     cmocka_unit_test(refusals),
                                     cmocka_unit_test(any_slot),       cmocka_unit_test(early),
                                     cmocka_unit_test(requests_count), cmocka_unit_test(plural_gate)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
