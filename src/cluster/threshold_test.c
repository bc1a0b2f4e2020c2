/* All pairs of sizes and thresholds up to the limit, by counting who could do what. */
#include "aq_test.h"

#include "cluster/threshold.h"

/* Goal: a threshold is taken exactly when f = (n-1)/3 operators cannot sign alone and n can; exactly two thirds,
   rounded up, is usual, and that is always taken. Method: every threshold of 1 to 32 operators, against the
   definitions. */
static void every_size(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= 32; n++) {
    uint32_t usual = 0;
    for (uint32_t t = 0; t <= n + 1; t++) {
      aq_err err = {AQ_OK, ""};
      char text[160] = "";
      bool good = t >= 1 && t <= n && 3 * t + 1 > n; /* t > (n-1)/3 */
      while (usual * 3 < 2 * n) usual++;
      aq_status st = aq_threshold_check(n, t, &err);
      if (st != (good ? AQ_OK : AQ_E_FORMAT)) fail_msg("%u of %u: %s", t, n, aq_status_name(st));
      assert_int_equal(err.text[0] != 0, !good);
      assert_int_equal(aq_threshold_usual(n, t, text), t == usual);
      assert_int_equal(text[0] != 0, t != usual);
    }
    assert_int_equal(aq_threshold_default(n), usual);
    assert_int_equal(aq_threshold_check(n, usual, NULL), AQ_OK);
  }
}

/* Goal: the sizes that people run. Method: by hand. */
static void known_sizes(void **state) {
  (void)state;
  static const struct {
    uint32_t n, lowest, usual;
  } t[] = {{1, 1, 1}, {3, 1, 2}, {4, 2, 3}, {5, 2, 4}, {6, 2, 4}, {7, 3, 5}, {10, 4, 7}, {13, 5, 9}, {32, 11, 22}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    assert_int_equal(aq_threshold_check(t[i].n, t[i].lowest, NULL), AQ_OK);
    assert_int_equal(aq_threshold_check(t[i].n, t[i].lowest - 1, NULL), AQ_E_FORMAT);
    assert_int_equal(aq_threshold_default(t[i].n), t[i].usual);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_size), cmocka_unit_test(known_sizes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
