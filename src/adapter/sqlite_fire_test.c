/* The store on a disk that fails, against a world in plain arrays (test/support/store). */
#include "adapter/sqlite_db.h"
#include "aq_test.h"
#include "store_fire.h"

enum { SEEDS = 48, TWICE = 5 };
/* Seeds that once failed. */
static const uint64_t found[] = {52, 169, 171, 533, 733, 748, 813, 1065, 1381, 1734, 2141};

/* Goal: whatever the disk does, nothing acknowledged is lost and nothing refused is there (contract.md 7.1, 7.2).
   Method: the first seeds of aequa-sim-store: random calls, faults and power cuts against a reference. */
static void test_seeds(void **state) {
  (void)state;
  store_fire_result r, sum = {0};
  for (uint64_t i = 0; i < SEEDS + AQ_COUNT(found); i++) {
    uint64_t seed = i < SEEDS ? i : found[i - SEEDS];
    if (!store_fire_run(seed, NULL, &r)) fail_msg("seed %llu: %s", (unsigned long long)seed, r.why);
    sum.cuts += r.cuts, sum.failed_batches += r.failed_batches, sum.restored += r.restored, sum.refused += r.refused;
  }
  assert_true(sum.cuts > SEEDS && sum.failed_batches > SEEDS && sum.restored > 0 && sum.refused > 0);
}

/* Goal: a seed says all.
   Method: some seeds twice; the digests of everything seen are equal. */
static void test_same_again(void **state) {
  (void)state;
  for (uint64_t seed = 100; seed < 100 + TWICE; seed++) {
    store_fire_result a, b;
    (void)store_fire_run(seed, NULL, &a);
    (void)store_fire_run(seed, NULL, &b);
    assert_true(a.digest == b.digest && a.batches == b.batches && a.digest != 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds), cmocka_unit_test(test_same_again)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
