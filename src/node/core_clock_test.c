/* What a node does about its clock, on the validator API's fixture: a whole workflow over fakes. */
#include "aq_test.h"
#include "consensus/consensus_internal.h"
#include "fake/vapi.h"
#include "flow/workflow_internal.h"
#include "node/core.h"

enum { SLOT = 100 * FV_SPE + 5 };
#define YEAR_S UINT64_C(31536000)

typedef struct {
  fv *f;
  aq_store store;
  aq_core core;
  uint64_t pruned; /* what was asked for last, 0: nothing */
  uint32_t backups, marks;
} fixture;

static fixture g;

static void prune(void *ctx, uint64_t before_slot) { (void)ctx, g.pruned = before_slot; }
static void backup(void *ctx) { (void)ctx, g.backups++; }
static void mark(void *ctx, uint64_t since_ns) { (void)ctx, g.store.since_ns = since_ns, g.marks++; }

static uint64_t start_of(uint64_t slot) { return aq_slot_start_ns(&g.f->chain.clock, slot); }
static uint64_t epochs(uint64_t n) { return n * FV_SPE * AQ_SECONDS(12); }
static uint64_t now(void) { return fake_env_now(&g.f->env); }

/* A core around the workflow; its store was made at this time, and what the workflow holds back goes by it. */
static void open_core(uint64_t since_ns) {
  memset(&g, 0, sizeof g);
  g.f = fv_new(&(fv_cfg){.slot = SLOT});
  g.store = g.f->store.port;
  g.store.prune = prune, g.store.backup = backup, g.store.mark = mark, g.store.since_ns = since_ns;
  g.core.cfg = (aq_core_cfg){.env = &g.f->env.env, .store = &g.store, .enable_tss = true};
  g.core.chain = g.f->chain;
  g.core.workflow = g.f->workflow;
  g.core.workflow->unproven_until_ns = aq_store_unproven_until_ns(&g.store, now());
  g.core.workflow->consensus->abstain_until_ns = g.core.workflow->unproven_until_ns;
  (void)aq_clock_stepped(g.core.cfg.env, &g.core.look);
  aq_clock_watch_init(&g.core.watch, &g.core.chain.clock);
  aq_core_clock_start(&g.core);
}

static void close_core(void) {
  aq_timer_cancel(g.core.cfg.env, &g.core.clock_timer);
  fv_free(g.f);
}

/* The chain goes on with the true time; the clock is off by so much. */
static void pass(uint64_t slots, uint64_t *true_slot) {
  for (uint64_t i = 0; i < slots; i++) {
    fake_env_run_for(&g.f->env, g.core.chain.clock.slot_ns);
    aq_core_head(&g.core, ++*true_slot);
    fake_http_forget(&g.f->http);
  }
}

static void step_s(int64_t s) { fake_env_set(&g.f->env, now() + (uint64_t)s * AQ_NS_PER_SEC); }

static aq_core_clock clock_of(void) {
  aq_core_clock c;
  aq_core_clock_get(&g.core, &c);
  return c;
}

/* Goal: what is pruned goes by the chain where the clock is ahead, by the clock where that is behind, and waits for the
   first head.
   Method: the right clock, a year ahead, an hour behind; the slot that is asked for each time. */
static void pruning(void **state) {
  (void)state;
  uint64_t slot = SLOT;
  open_core(0);
  fake_env_run_for(&g.f->env, 2 * g.core.chain.clock.slot_ns);
  assert_int_equal(g.pruned, 0);
  assert_int_equal(g.backups, 1);
  slot += 2;
  pass(1, &slot);
  fake_env_run_for(&g.f->env, g.core.chain.clock.slot_ns / 2);
  assert_int_equal(g.pruned, SLOT + 3 - 3 * FV_SPE);
  g.pruned = 0;
  pass(FV_SPE, &slot);
  assert_true(g.pruned >= SLOT + 3 - 3 * FV_SPE && g.pruned <= slot - 3 * FV_SPE);
  step_s((int64_t)YEAR_S);
  g.pruned = 0;
  pass(2 * FV_SPE, &slot);
  assert_true(g.pruned > 0 && g.pruned <= slot - 3 * FV_SPE);
  assert_int_equal(g.marks, 0);
  step_s(-(int64_t)YEAR_S - 3600);
  g.pruned = 0;
  pass(2 * FV_SPE, &slot);
  assert_true(g.pruned > 0 && g.pruned <= slot - 3600 / 12 - 3 * FV_SPE + 1);
  close_core();
}

/* Goal: a mark by a clock that was ahead, by seconds or years, holds duties back to the end of the second epoch after
   the chain's at the most, also over the next start; one that is not ahead is left alone.
   Method: marks on both sides of the bound; heads come; the mark, what is held back, and the health row to its end. */
static void marks_of_a_clock_that_was_ahead(void **state) {
  (void)state;
  static const uint64_t ahead_s[] = {0, 30, 300, 900, 3600, 86400, YEAR_S, 500 * YEAR_S};
  for (size_t i = 0; i < AQ_COUNT(ahead_s); i++) {
    uint64_t slot = SLOT, since_ns = FV_GENESIS + SLOT * AQ_SECONDS(12) + AQ_SECONDS(ahead_s[i]);
    open_core(since_ns);
    assert_true(clock_of().held_back);
    uint64_t end_ns = start_of((SLOT / FV_SPE + 3) * FV_SPE), want_ns = since_ns + AQ_STORE_MARGIN_NS;
    aq_core_head(&g.core, slot);
    fake_env_run_for(&g.f->env, AQ_SECONDS(4));
    if (want_ns > end_ns) want_ns = end_ns;
    assert_int_equal(g.core.workflow->unproven_until_ns, want_ns);
    assert_int_equal(g.core.workflow->consensus->abstain_until_ns, want_ns);
    assert_int_equal(g.store.since_ns, want_ns - AQ_STORE_MARGIN_NS);
    assert_int_equal(g.marks, want_ns == end_ns);
    if (want_ns > now()) pass((want_ns - now()) / AQ_SECONDS(12) + 1, &slot);
    assert_false(clock_of().held_back);
    close_core();
  }
}

/* Goal: without a head nothing is lowered: the clock of now may be the one that is wrong. Where heads say that it is
   behind, marks are of a later time; a head that no chain has moves nothing.
   Method: a mark two hours ahead of a clock that is two hours behind, no head; a head far away; a head of the true
   time, then the clock is set right. A new store under such a clock holds back what the chain has reached. */
static void marks_and_a_clock_that_is_behind(void **state) {
  (void)state;
  uint64_t since_ns = FV_GENESIS + SLOT * AQ_SECONDS(12) + AQ_SECONDS(7200);
  open_core(since_ns);
  fake_env_run_for(&g.f->env, AQ_SECONDS(60));
  aq_core_head(&g.core, UINT64_MAX);
  fake_env_run_for(&g.f->env, AQ_SECONDS(60));
  assert_int_equal(g.marks, 0);
  assert_int_equal(g.core.workflow->unproven_until_ns, since_ns + AQ_STORE_MARGIN_NS);
  uint64_t head = SLOT + 612, end_ns = start_of((head / FV_SPE + 3) * FV_SPE);
  aq_core_head(&g.core, head);
  fake_env_run_for(&g.f->env, AQ_SECONDS(4));
  assert_int_equal(g.core.workflow->unproven_until_ns, end_ns);
  step_s(7200);
  fake_env_run_for(&g.f->env, AQ_SECONDS(4));
  assert_int_equal(g.core.workflow->unproven_until_ns, end_ns);
  close_core();
  open_core(FV_GENESIS + SLOT * AQ_SECONDS(12));
  aq_core_head(&g.core, SLOT + 20);
  uint64_t want_ns = start_of(SLOT + 21) + AQ_STORE_MARGIN_NS;
  assert_int_equal(g.core.workflow->unproven_until_ns, want_ns);
  assert_int_equal(g.core.workflow->consensus->abstain_until_ns, want_ns);
  assert_int_equal(g.store.since_ns, want_ns - AQ_STORE_MARGIN_NS);
  close_core();
}

/* Goal: a node that starts before genesis takes part from the first slot on; a head of later slots still shows a clock
   that is behind.
   Method: genesis in 3 s and in a day; the head of slot 0, then the one of slot 1 before its time. */
static void genesis_to_come(void **state) {
  (void)state;
  static const uint64_t ahead_s[] = {3, 86400};
  for (size_t i = 0; i < AQ_COUNT(ahead_s); i++) {
    uint64_t since_ns = FV_GENESIS + SLOT * AQ_SECONDS(12), want_ns = since_ns + AQ_STORE_MARGIN_NS;
    open_core(since_ns);
    g.core.chain.clock.genesis_ns = since_ns + AQ_SECONDS(ahead_s[i]);
    aq_core_head(&g.core, 0);
    aq_core_clock_look(&g.core);
    assert_int_equal(g.core.behind_ns, 0);
    assert_int_equal(g.marks, 0);
    assert_int_equal(g.core.workflow->unproven_until_ns, want_ns);
    assert_int_equal(g.core.workflow->consensus->abstain_until_ns, want_ns);
    aq_core_head(&g.core, 1);
    assert_true(g.core.workflow->unproven_until_ns > since_ns + AQ_SECONDS(ahead_s[i]));
    assert_true(g.core.behind_ns > 0 && g.marks > 0);
    close_core();
  }
}

/* Goal: a clock that was behind when the store was made raises the mark when it is set right; going back and forth
   raises nothing; an old mark stays.
   Method: forward by 600 s; back 60 s and forward again; a mark of days ago. */
static void forward_raises(void **state) {
  (void)state;
  uint64_t since_ns = FV_GENESIS + SLOT * AQ_SECONDS(12) - AQ_SECONDS(5);
  open_core(since_ns);
  step_s(600);
  fake_env_run_for(&g.f->env, AQ_SECONDS(4));
  since_ns += AQ_SECONDS(600);
  assert_int_equal(g.store.since_ns, since_ns);
  assert_int_equal(g.core.workflow->unproven_until_ns, since_ns + AQ_STORE_MARGIN_NS);
  assert_int_equal(g.core.workflow->consensus->abstain_until_ns, since_ns + AQ_STORE_MARGIN_NS);
  step_s(-60);
  fake_env_run_for(&g.f->env, AQ_SECONDS(4));
  step_s(60);
  fake_env_run_for(&g.f->env, AQ_SECONDS(4));
  assert_int_equal(g.store.since_ns, since_ns);
  close_core();
  since_ns = FV_GENESIS + SLOT * AQ_SECONDS(12) - epochs(10);
  open_core(since_ns);
  step_s(600);
  fake_env_run_for(&g.f->env, AQ_SECONDS(4));
  assert_int_equal(g.store.since_ns, since_ns);
  close_core();
}

/* Goal: the health rows: a step is shown for ten minutes, a clock apart from the heads until it fits again.
   Method: a step of an hour, heads of the true time; back; time passes. */
static void health_rows(void **state) {
  (void)state;
  uint64_t slot = SLOT;
  open_core(0);
  pass(6, &slot);
  aq_core_clock c = clock_of();
  assert_false(c.off || c.set || c.held_back);
  step_s(3600);
  pass(6, &slot);
  c = clock_of();
  assert_true(c.off && c.set);
  step_s(-3600);
  pass(6, &slot);
  c = clock_of();
  assert_true(!c.off && c.set);
  pass(50, &slot);
  c = clock_of();
  assert_false(c.off || c.set || c.held_back);
  close_core();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pruning),        cmocka_unit_test(marks_of_a_clock_that_was_ahead),
      cmocka_unit_test(forward_raises), cmocka_unit_test(marks_and_a_clock_that_is_behind),
      cmocka_unit_test(health_rows),    cmocka_unit_test(genesis_to_come),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
