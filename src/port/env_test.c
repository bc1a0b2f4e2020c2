/* Steps of the wall clock under timers of both kinds. */
#include "port/env.h"

#include "aq_test.h"
#include "port/timer_heap.h"

typedef struct {
  uint64_t wall_ns, mono_ns;
  uint64_t late_ns; /* passes between two readings */
} clocks;

static uint64_t wall(void *ctx) { return ((clocks *)ctx)->wall_ns; }

static uint64_t mono(void *ctx) {
  clocks *c = ctx;
  uint64_t now_ns = c->mono_ns;
  c->mono_ns += c->late_ns, c->wall_ns += c->late_ns;
  return now_ns;
}

static void pass(clocks *c, uint64_t ns) { c->wall_ns += ns, c->mono_ns += ns; }

/* Goal: a step of the wall clock is seen once, with its size and sign; slewing and a late thread are none.
   Method: two clocks that go together, then apart by steps of every size, a slew, and readings far apart. */
static void steps_are_seen(void **state) {
  (void)state;
  static const int64_t step_ns[] = {250000000, -250000000, 3000000000, -3000000000, 3600000000000, -31536000000000000};
  clocks c = {.wall_ns = UINT64_C(1700000000) * AQ_NS_PER_SEC, .mono_ns = AQ_SECONDS(5)};
  const aq_env env = {.ctx = &c, .now_ns = wall, .mono_ns = mono};
  aq_clock_look look = {0};
  assert_int_equal(aq_clock_stepped(&env, &look), 0);
  for (size_t i = 0; i < AQ_COUNT(step_ns); i++) {
    pass(&c, AQ_SECONDS(1));
    assert_int_equal(aq_clock_stepped(&env, &look), 0);
    c.wall_ns += (uint64_t)step_ns[i];
    assert_int_equal(aq_clock_stepped(&env, &look), step_ns[i]);
    assert_int_equal(aq_clock_stepped(&env, &look), 0);
  }
  for (int i = 0; i < 100; i++) {
    pass(&c, AQ_SECONDS(1));
    c.wall_ns += AQ_MILLIS(83); /* the fastest slew of a common daemon */
    assert_int_equal(aq_clock_stepped(&env, &look), 0);
  }
  c.late_ns = AQ_MILLIS(400);
  c.wall_ns += AQ_SECONDS(7);
  assert_int_equal(aq_clock_stepped(&env, &look), 0);
  c.late_ns = 0;
  assert_int_equal(aq_clock_stepped(&env, &look), AQ_SECONDS(7));
}

/* Goal: after a step timers at a time keep it, timers after a span keep what was left, and the heap its order.
   Method: 200 timers of both kinds in a scrambled order, steps back and forward, then all are taken out. */
static void heap_follows_a_step(void **state) {
  (void)state;
  static aq_timer t[200];
  static const int64_t step_ns[] = {0, 1000, -1000, 5000000, -5000000, INT64_MAX, INT64_MIN + 1};
  for (size_t s = 0; s < AQ_COUNT(step_ns); s++) {
    aq_timer_heap h = {0};
    memset(t, 0, sizeof t);
    for (size_t i = 0; i < AQ_COUNT(t); i++) {
      t[i].at_ns = UINT64_C(1) << 62;
      t[i].at_ns += (i * 7919) % 1000;
      t[i].seq = i, t[i].span = i % 2 == 1;
      aq_timer_heap_add(&h, &t[i]);
    }
    aq_timer_heap_step(&h, step_ns[s]);
    const aq_timer *last = NULL;
    for (aq_timer *first; (first = aq_timer_heap_first(&h)); last = first) {
      size_t i = (size_t)(first - t);
      uint64_t was_ns = (UINT64_C(1) << 62) + (i * 7919) % 1000, want_ns = was_ns + (uint64_t)step_ns[s];
      if (step_ns[s] == INT64_MIN + 1) want_ns = 0;
      assert_int_equal(first->at_ns, first->span ? want_ns : was_ns);
      assert_true(!last || !aq_timer_before(first, last));
      aq_timer_heap_remove(&h, first);
    }
    aq_timer_heap_free(&h);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(steps_are_seen),
      cmocka_unit_test(heap_follows_a_step),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
