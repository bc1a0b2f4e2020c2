/* Heads that come early or late, by runs. */
#include "schedule/clock_watch.h"

#include "aq_test.h"
#include "base/time.h"

static const aq_clock clock12 = {UINT64_C(1700000000) * AQ_NS_PER_SEC, AQ_SECONDS(12), 32};

/* The head of the slot comes after so many ms of it, by a clock that is off. */
static bool hear(aq_clock_watch *w, uint64_t slot, uint64_t after_ms, int64_t off_ms) {
  uint64_t now_ns = aq_slot_start_ns(w->clock, slot) + AQ_MILLIS(after_ms);
  return aq_clock_watch_head(w, slot, now_ns + (uint64_t)(off_ms * (int64_t)AQ_NS_PER_MS));
}

/* Goal: a clock that is over a slot ahead, or behind the blocks, is told after four heads and forgiven after four; what
   a healthy chain does is never told.
   Method: clocks off by amounts on both sides of the borders; then late, missing and early heads, a node that catches
   up, and numbers that no chain has. */
static void clocks_that_are_off(void **state) {
  (void)state;
  static const struct {
    int64_t off_ms;
    bool off;
  } t[] = {{0, false},    {500, false},   {-2000, false},  {9000, false},    {10500, true},       {-4000, true},
           {13000, true}, {-13000, true}, {3600000, true}, {-3600000, true}, {31536000000, true}, {-31536000000, true}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    aq_clock_watch w;
    aq_clock_watch_init(&w, &clock12);
    for (uint64_t k = 0; k < 3; k++) assert_false(hear(&w, 9000000 + k, 2000, t[i].off_ms));
    assert_false(hear(&w, 9000002, 2500, t[i].off_ms)); /* another node's word of the same */
    assert_int_equal(hear(&w, 9000003, 2000, t[i].off_ms), t[i].off);
    assert_int_equal(w.off, t[i].off);
    if (t[i].off) assert_int_equal(w.off_ns / (int64_t)AQ_NS_PER_MS, t[i].off_ms + 2000);
    for (uint64_t k = 4; k < 20; k++) assert_false(hear(&w, 9000000 + k, 2000, t[i].off_ms));
    bool told = false;
    for (uint64_t k = 20; k < 24; k++) told |= hear(&w, 9000000 + k, 2000, 0);
    assert_int_equal(told, t[i].off);
    assert_false(w.off);
  }
}

static void healthy_chains(void **state) {
  (void)state;
  static const uint64_t late_ms[] = {900, 4000, 11900, 13000, 200, 15000, 16000, 3000, 30000, 2000};
  aq_clock_watch w;
  aq_clock_watch_init(&w, &clock12);
  for (uint64_t k = 0; k < 100; k++) {
    if (k % 7 < 3) continue; /* empty slots */
    assert_false(hear(&w, 100 + k, late_ms[k % AQ_COUNT(late_ms)], k % 5 == 0 ? -1500 : 0));
  }
  for (uint64_t k = 0; k < 500; k++) /* ten old slots a second */
    assert_false(aq_clock_watch_head(&w, 1000 + k, aq_slot_start_ns(&clock12, 1500) + AQ_MILLIS(100 * k)));
  for (uint64_t k = 0; k < 12; k++) (void)hear(&w, UINT64_MAX - k, 0, 0);
  aq_clock_watch_forget(&w);
  assert_false(w.off);
  for (uint64_t k = 0; k < 8; k++) assert_false(hear(&w, 2000 + k, 1000, 0));
  assert_true(w.known);
  assert_int_equal(w.slot, 2007);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clocks_that_are_off),
      cmocka_unit_test(healthy_chains),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
