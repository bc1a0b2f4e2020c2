/* Lines that others can cause. */
#include "aq_test.h"
#include "base/line_limit.h"

/* Goal: the first is written at once, then one in ten seconds that tells how many were left out.
   Method: a thousand a second for 25 seconds, then quiet, then one more. */
static void test_due(void **state) {
  (void)state;
  aq_line_limit l = {0};
  uint64_t now = AQ_SECONDS(5), more[8];
  size_t lines = 0;
  for (int i = 0; i < 25000; i++, now += AQ_MILLIS(1)) {
    if (!aq_line_due(&l, now)) continue;
    assert_true(lines < 8);
    more[lines++] = l.more;
  }
  assert_int_equal(lines, 3);
  assert_int_equal(more[0], 0);
  assert_int_equal(more[1], 9999);
  assert_int_equal(more[2], 9999);
  now += AQ_SECONDS(60);
  assert_true(aq_line_due(&l, now));
  assert_int_equal(l.more, 4999);
}

/* Goal: a line each while they are few; of a flood a bounded number, and none is lost from the count.
   Method: ten thousand a second for ten seconds; then one a second. */
static void test_flows(void **state) {
  (void)state;
  aq_line_flow f = {0};
  uint64_t now = AQ_SECONDS(5), lines = 0, more = 0;
  for (int i = 0; i < 100000; i++, now += AQ_MILLIS(1) / 10) {
    if (aq_line_flows(&f, now)) lines++, more += f.more;
  }
  assert_in_range(lines, AQ_LINE_BURST + 10 * AQ_LINE_RATE - 1, AQ_LINE_BURST + 10 * AQ_LINE_RATE);
  now += AQ_SECONDS(1);
  assert_true(aq_line_flows(&f, now));
  assert_int_equal(lines + more + f.more, 100000);
  for (int i = 0; i < 100; i++) {
    now += AQ_SECONDS(1);
    assert_true(aq_line_flows(&f, now));
    assert_int_equal(f.more, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_due), cmocka_unit_test(test_flows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
