/* Buckets are filled, emptied and left alone; what is in them is counted by hand. */
#include "aq_test.h"
#include "base/bucket.h"
#include "base/time.h"

/* Goal: a burst, then the rate, never more than the burst again; what does not fit takes nothing.
   Method: counts at chosen times. */
static void test_take(void **state) {
  (void)state;
  const aq_bucket_size size = {10, 4, AQ_SECONDS(1)};
  aq_bucket b = {0};
  uint64_t now = AQ_SECONDS(1000);
  for (int i = 0; i < 10; i++) assert_true(aq_bucket_take(&b, &size, now, 1));
  assert_false(aq_bucket_take(&b, &size, now, 1));
  assert_true(aq_bucket_take(&b, &size, now, 0));
  now += AQ_MILLIS(249);
  assert_false(aq_bucket_take(&b, &size, now, 1));
  now += AQ_MILLIS(1);
  assert_false(aq_bucket_take(&b, &size, now, 2));
  assert_true(aq_bucket_take(&b, &size, now, 1));
  assert_false(aq_bucket_take(&b, &size, now, 1));
  now += AQ_SECONDS(3600);
  assert_false(aq_bucket_take(&b, &size, now, 11));
  assert_true(aq_bucket_take(&b, &size, now, 10));
  assert_false(aq_bucket_take(&b, &size, now, 1));
  assert_false(aq_bucket_take(&b, &size, now, UINT64_MAX));
}

/* Goal: asking often loses no fraction of a token.
   Method: a try each 10 ms for ten seconds of 3 a second. */
static void test_fractions(void **state) {
  (void)state;
  const aq_bucket_size size = {3, 3, AQ_SECONDS(1)};
  aq_bucket b = {0};
  uint32_t got = 0;
  for (uint64_t at = 0; at <= AQ_SECONDS(10); at += AQ_MILLIS(10)) got += aq_bucket_take(&b, &size, at, 1);
  assert_int_equal(got, 33);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_take), cmocka_unit_test(test_fractions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
