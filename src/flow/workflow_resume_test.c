/* A node that was killed right after it had acknowledged its client's signatures, before a byte of them got out. */
#include "fake/nodes.h"
#include "flow/workflow_internal.h"

#define ATTESTATIONS "/eth/v2/beacon/pool/attestations"
#define EXITS "/eth/v1/beacon/pool/voluntary_exits"
enum { ALL = 0xf, ATTEST_SLOT = SPE + 3, PROPOSE_SLOT = SPE + 5 };

static const aq_duty attest = {ATTEST_SLOT, AQ_DUTY_ATTESTER}, leave_duty = {SPE, AQ_DUTY_EXIT};

/* Nodes 0 to 2 sign, which is the threshold; nothing of node 0 gets out and nothing to it, and it dies once it has
   answered. */
static world *acknowledged(void) {
  world *w = world_new(ALL, ALL);
  for (uint32_t i = 0; i < 3; i++) w->node[i].mute = true;
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t i = 0; i < 3; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, i, v, attest, v);
  }
  fake_env_run_for(&w->env, SLOT_NS / 3 + AQ_SECONDS(2));
  for (uint32_t v = 0; v < VALIDATORS; v++) {
    const vc_answer *a = &w->node[0].call[v].answer;
    assert_true(a->called && a->item[0] == AQ_OK);
  }
  for (uint32_t i = 1; i < NODES; i++) assert_int_equal(posts(&w->node[i], ATTESTATIONS), 0);
  node_stop(w, 0);
  fake_env_run_for(&w->env, AQ_MILLIS(100)); /* what was on its way from it is over */
  for (size_t k = 0; k < w->node[0].beacon.post_cnt; k++) aq_buf_free(&w->node[0].beacon.post[k].body);
  w->node[0].beacon.post_cnt = 0;
  for (uint32_t i = 0; i < 3; i++) w->node[i].mute = false;
  w->node[0].partials_sent = 0;
  return w;
}

/* Its peers see it again: each has what the other missed (port/net.h). */
static void start_again(world *w, aq_store_state state) {
  node_start(w, 0, true, state);
  for (uint32_t i = 1; i < NODES; i++) {
    aq_workflow_peer_up(w->node[i].workflow, 0);
    aq_workflow_peer_up(w->node[0].workflow, i);
  }
}

static uint32_t attested(const world *w) {
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < NODES; i++) cnt += posts(&w->node[i], ATTESTATIONS) > 0;
  return cnt;
}

/* Goal: the duty is done when only the share of a node that died after its acknowledgement was missing, by that node
   too. Method: it starts again within the duty's slot, its client says nothing more. */
static void test_resent(void **state) {
  (void)state;
  world *w = acknowledged();
  size_t records = signs(&w->node[0], AQ_SIGN_PARTIAL, AQ_DUTY_ATTESTER, false);
  start_again(w, AQ_STORE_OK);
  fake_env_run_for(&w->env, AQ_SECONDS(4));
  assert_int_equal(attested(w), NODES);
  assert_int_equal(w->node[0].partials_sent, NODES - 1); /* both validators in one message each */
  assert_int_equal(signs(&w->node[0], AQ_SIGN_PARTIAL, AQ_DUTY_ATTESTER, false), records); /* nothing a second time */
  world_free(w);
}

/* Goal: the same for as long as the duty lives, and not longer. Method: it comes back some slots later, the second time
   after more than an epoch. */
static void test_within_life(void **state) {
  (void)state;
  world *w = acknowledged();
  run_to(w, ATTEST_SLOT + 3, 0);
  start_again(w, AQ_STORE_OK);
  fake_env_run_for(&w->env, AQ_SECONDS(4));
  assert_int_equal(attested(w), NODES - 1); /* two of them have given up on one another */
  world_free(w);
  w = acknowledged();
  run_to(w, ATTEST_SLOT + SPE + 1, 0);
  start_again(w, AQ_STORE_OK);
  fake_env_run_for(&w->env, AQ_SECONDS(4));
  assert_int_equal(w->node[0].partials_sent, 0);
  assert_int_equal(attested(w), 0);
  world_free(w);
}

/* Goal: what a beacon node took is not sent again by a node that starts anew. Method: the duty is done by
   all; node 0 starts again within its life. */
static void test_done(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, i, v, attest, v);
  }
  fake_env_run_for(&w->env, SLOT_NS / 3 + AQ_SECONDS(3));
  assert_int_equal(attested(w), NODES);
  node_stop(w, 0);
  w->node[0].partials_sent = 0;
  start_again(w, AQ_STORE_OK);
  fake_env_run_for(&w->env, AQ_SECONDS(4));
  assert_int_equal(w->node[0].partials_sent, 0);
  world_free(w);
}

/* Goal: what the store brings back passes every check of a client's post. Method: a signature that is spoilt, one of
   another length, one under a recorded root that was not agreed on; a store that may lack records. */
static void test_checked(void **state) {
  (void)state;
  for (int how = 0; how < 4; how++) {
    world *w = acknowledged();
    const fake_row *last = NULL;
    for (fake_row *r = NULL; (r = fake_disk_next(&w->node[0].disk, r)) != NULL;) {
      aq_store_sign *s = &r->u.sign;
      if (r->kind != FAKE_SIGN || s->kind != AQ_SIGN_PARTIAL || s->duty.type != AQ_DUTY_ATTESTER) continue;
      assert_int_equal(s->partial.len, 96);
      if (how == 0 && last) memcpy(r->data, last->data, 96);
      if (how == 1) s->partial.len = 95;
      if (how == 2) s->root[0] ^= 1;
      last = r;
    }
    start_again(w, how == 3 ? AQ_STORE_FALLBACK : AQ_STORE_OK);
    fake_env_run_for(&w->env, AQ_SECONDS(4));
    assert_int_equal(w->node[0].partials_sent, how == 0 ? 3 : 0);
    world_free(w);
  }
}

/* The nodes 0 to 2 sign a RANDAO and an exit. Nothing of node 0 gets out, and nothing of the others gets to it. */
static world *signed_without_decision(vc_answer *randao, vc_answer *leave) {
  world *w = world_new(ALL, ALL);
  run_to(w, PROPOSE_SLOT, AQ_MILLIS(100));
  for (uint32_t i = 0; i < 3; i++) w->node[i].mute = true;
  static const uint8_t quit[112] = {1, [8] = FIRST_INDEX};
  for (uint32_t i = 0; i < 3; i++) {
    aq_arena a;
    aq_arena_init(&a, 1 << 20);
    aq_partial p = {0, {.duty = AQ_DUTY_EXIT, .epoch = 1, .type = &aq_t_signed_voluntary_exit}};
    p.data.value = aq_bytes_of(quit, sizeof quit);
    vc_sign(w, i, 0, &a, &p.data);
    aq_workflow_submit(w->node[i].workflow, leave_duty, &p, 1, vc_done, &leave[i]);
    aq_arena_free(&a);
    vc_randao(w, i, PROPOSE_SLOT, &randao[i]);
  }
  fake_env_run_for(&w->env, AQ_MILLIS(300));
  return w;
}

/* Goal: duties without a decision too: a RANDAO within its slot, an exit whenever the node comes back, until it is
   done.
   Method: both acknowledged by a node that dies before the others' shares reach it; a second restart later. */
static void test_without_decision(void **state) {
  (void)state;
  static vc_answer randao[3], leave[3];
  memset(randao, 0, sizeof randao), memset(leave, 0, sizeof leave);
  world *w = signed_without_decision(randao, leave);
  for (uint32_t i = 0; i < 3; i++) assert_true(randao[i].item[0] == AQ_OK && leave[i].item[0] == AQ_OK);
  node_stop(w, 0);
  fake_env_run_for(&w->env, AQ_MILLIS(100));
  for (uint32_t i = 0; i < 3; i++) w->node[i].mute = false;
  start_again(w, AQ_STORE_OK);
  fake_env_run_for(&w->env, AQ_SECONDS(3));
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(posts(&w->node[i], EXITS), 1);
  run_to(w, PROPOSE_SLOT + 1, 0);
  assert_true(verdicts(w, "randao", "ok") >= 3);
  node_stop(w, 0);
  run_to(w, PROPOSE_SLOT + 2 * SPE, 0);
  w->node[0].partials_sent = 0;
  start_again(w, AQ_STORE_OK);
  fake_env_run_for(&w->env, AQ_SECONDS(3));
  assert_int_equal(w->node[0].partials_sent, 0); /* done, or past their time */
  world_free(w);
}

/* Goal: an exit has no deadline: it waits for the other operators over any time. Method: node 0 signs one, is stopped,
   and comes back epochs later, when the others sign. */
static void test_exit_waits(void **state) {
  (void)state;
  static vc_answer randao[3], leave[3];
  memset(randao, 0, sizeof randao), memset(leave, 0, sizeof leave);
  world *w = signed_without_decision(randao, leave);
  for (uint32_t i = 0; i < 3; i++) node_stop(w, i);
  run_to(w, PROPOSE_SLOT + 5 * SPE, 0);
  for (uint32_t i = 0; i < 3; i++) {
    w->node[i].mute = false;
    node_start(w, i, true, AQ_STORE_OK);
  }
  fake_env_run_for(&w->env, AQ_SECONDS(3));
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(posts(&w->node[i], EXITS), 1);
  world_free(w);
}

/* Goal: what a beacon node refused is not done: its signature stays on the disk, and goes out again after a restart.
   Method: an exit of three operators whose beacon nodes answer 400; then they are restarted, with others. */
static void test_refused(void **state) {
  (void)state;
  static vc_answer randao[3], leave[3];
  memset(randao, 0, sizeof randao), memset(leave, 0, sizeof leave);
  world *w = signed_without_decision(randao, leave);
  for (int refused = 1; refused >= 0; refused--) {
    for (uint32_t i = 0; i < 3; i++) node_stop(w, i);
    fake_env_run_for(&w->env, AQ_MILLIS(100));
    for (uint32_t i = 0; i < 3; i++) {
      w->node[i].mute = false;
      w->node[i].beacon.refuses = refused;
      node_start(w, i, true, AQ_STORE_OK);
    }
    fake_env_run_for(&w->env, AQ_SECONDS(3));
    for (uint32_t i = 0; i < 3; i++) {
      const node *n = &w->node[i];
      assert_int_equal(signs(n, AQ_SIGN_PARTIAL, AQ_DUTY_EXIT, true), refused);
      assert_int_equal(posts(n, EXITS), !refused);
    }
  }
  world_free(w);
}

enum { RESUMED_MAX = 1 << 16 };

static aq_status load_many(void *ctx, uint64_t from_slot, const aq_store_visitor *v) {
  const node *n = AQ_CONTAINER((fake_store *)ctx, node, store);
  static const uint8_t sig[96] = {1};
  aq_store_partial p = {.duty = attest, .partial = aq_bytes_of(sig, sizeof sig)};
  (void)from_slot;
  memcpy(p.pubkey, n->w->lock.validators[0].pubkey, sizeof p.pubkey);
  for (uint32_t i = 0; i < RESUMED_MAX + 10; i++) v->partial(v->arg, &p);
  return AQ_OK;
}

/* Goal: a store with more signatures of living duties than there can be takes no more than so much memory. Method: ten
   over the limit. */
static void test_too_many(void **state) {
  (void)state;
  world *w = world_new(1, 1);
  uint32_t cnt = 0;
  w->node[0].store.port.load = load_many;
  assert_int_equal(aq_workflow_resume(w->node[0].workflow), AQ_OK);
  for (const aq_list *l = w->node[0].workflow->resumed.next; l != &w->node[0].workflow->resumed; l = l->next) cnt++;
  assert_int_equal(cnt, RESUMED_MAX);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resent),  cmocka_unit_test(test_within_life),      cmocka_unit_test(test_done),
      cmocka_unit_test(test_checked), cmocka_unit_test(test_without_decision), cmocka_unit_test(test_exit_waits),
      cmocka_unit_test(test_refused), cmocka_unit_test(test_too_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
