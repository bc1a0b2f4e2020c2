/* Exits: own shares go out until a beacon node has the exit, or the chain. */
#include "fake/nodes.h"
#include "flow/workflow_internal.h"

#define EXITS "/eth/v1/beacon/pool/voluntary_exits"
enum { ALL = 0xf, SIGNERS = 3 };

static const aq_duty duty = {SPE, AQ_DUTY_EXIT};

static void sign_exit(world *w, uint32_t i, uint32_t v, vc_answer *out) {
  uint8_t quit[112] = {1, [8] = (uint8_t)(FIRST_INDEX + v)};
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  aq_partial p = {v, {.duty = AQ_DUTY_EXIT, .epoch = 1, .type = &aq_t_signed_voluntary_exit}};
  p.data.value = aq_bytes_of(quit, sizeof quit);
  vc_sign(w, i, v, &a, &p.data);
  aq_workflow_submit(w->node[i].workflow, duty, &p, 1, vc_done, out);
  aq_arena_free(&a);
}

/* The threshold signs for all validators, and nobody hears of it for longer than a message is repeated. */
static world *signed_apart(uint32_t tss) {
  static vc_answer answer[SIGNERS][VALIDATORS];
  memset(answer, 0, sizeof answer);
  world *w = world_new(ALL, tss);
  run_to(w, SPE + 1, 0);
  for (uint32_t i = 0; i < SIGNERS; i++) {
    w->node[i].mute = true;
    for (uint32_t v = 0; v < VALIDATORS; v++) sign_exit(w, i, v, &answer[i][v]);
  }
  fake_env_run_for(&w->env, 2 * AQ_PARSIGEX_TRIES * AQ_SECONDS(1));
  for (uint32_t i = 0; i < SIGNERS; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) assert_int_equal(answer[i][v].item[0], AQ_OK);
    w->node[i].mute = false;
    w->node[i].partials_sent = 0;
  }
  return w;
}

static size_t kept(const node *n) { return signs(n, AQ_SIGN_PARTIAL, AQ_DUTY_EXIT, true); }

/* Goal: operators who were cut off from one another when they signed leave all the same, without a restart, and then it
   is quiet. Method: no share gets through until all tries are used; an epoch later; two more. */
static void test_cut_off(void **state) {
  (void)state;
  world *w = signed_apart(ALL);
  for (uint32_t i = 0; i < NODES; i++) assert_int_equal(posts(&w->node[i], EXITS), 0);
  fake_env_run_for(&w->env, SPE * SLOT_NS);
  for (uint32_t i = 0; i < SIGNERS; i++) {
    assert_int_equal(posts(&w->node[i], EXITS), VALIDATORS);
    assert_int_equal(w->node[i].partials_sent, NODES - 1); /* all validators in one message each */
    assert_int_equal(kept(&w->node[i]), 0);
  }
  fake_env_run_for(&w->env, 2 * SPE * SLOT_NS);
  for (uint32_t i = 0; i < SIGNERS; i++) assert_int_equal(w->node[i].partials_sent, NODES - 1);
  world_free(w);
}

/* Goal: a node that does not combine goes on until the chain says that the validators leave; then its share is
   forgotten, also on the disk. Method: nobody combines; the beacon node of one says so after three epochs. */
static void test_chain_tells(void **state) {
  (void)state;
  world *w = signed_apart(0);
  const node *n = &w->node[0];
  fake_env_run_for(&w->env, 3 * SPE * SLOT_NS);
  assert_int_equal(n->partials_sent, 3 * (NODES - 1));
  assert_int_equal(kept(n), VALIDATORS);
  w->node[0].beacon.exiting = (1u << VALIDATORS) - 1;
  fake_env_run_for(&w->env, 2 * SPE * SLOT_NS);
  uint32_t sent = n->partials_sent;
  assert_true(sent <= 4 * (NODES - 1));
  assert_int_equal(kept(n), 0);
  assert_int_equal(kept(&w->node[1]), VALIDATORS);
  fake_env_run_for(&w->env, 2 * SPE * SLOT_NS);
  assert_int_equal(n->partials_sent, sent);
  assert_true(w->node[1].partials_sent >= 6 * (NODES - 1));
  world_free(w);
}

/* Goal: what cannot be kept is not, and what is too much costs the oldest. Method: other duties, an object of more than
   a few KiB, one exit more than there is room for. */
static void test_limits(void **state) {
  (void)state;
  enum { MOST = 1024 };
  static const uint8_t data[4097];
  world *w = world_new(1, 1);
  aq_workflow *flow = w->node[0].workflow;
  aq_parsig p = {.data = aq_bytes_of(data, 8)};
  aq_workflow_leaving(flow, (aq_duty){SPE, AQ_DUTY_ATTESTER}, 0, &p);
  assert_int_equal(flow->leaving_cnt, 0);
  p.data.len = sizeof data;
  aq_workflow_leaving(flow, duty, 0, &p);
  assert_int_equal(flow->leaving_cnt, 0);
  p.data.len = sizeof data - 1;
  for (uint64_t i = 0; i <= MOST; i++) aq_workflow_leaving(flow, (aq_duty){i * SPE, AQ_DUTY_EXIT}, 0, &p);
  assert_int_equal(flow->leaving_cnt, MOST);
  aq_workflow_leaving(flow, (aq_duty){MOST * SPE, AQ_DUTY_EXIT}, 0, &p); /* the same again */
  aq_workflow_left(flow, (aq_duty){0, AQ_DUTY_EXIT}, 0);
  assert_int_equal(flow->leaving_cnt, MOST);
  aq_workflow_left(flow, (aq_duty){SPE, AQ_DUTY_EXIT}, 1);
  assert_int_equal(flow->leaving_cnt, MOST);
  aq_workflow_left(flow, (aq_duty){SPE, AQ_DUTY_EXIT}, 0);
  assert_int_equal(flow->leaving_cnt, MOST - 1);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut_off), cmocka_unit_test(test_chain_tells),
                                     cmocka_unit_test(test_limits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
