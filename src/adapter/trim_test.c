/* Resident memory before and after. */
#include "adapter/trim.h"

#include "adapter/loop.h"
#include "aq_test.h"

static long resident_kib(void) {
  char line[256];
  long kib = 0;
  FILE *f = fopen("/proc/self/status", "r");
  assert_non_null(f);
  while (fgets(line, sizeof line, f)) sscanf(line, "VmRSS: %ld", &kib);
  fclose(f);
  return kib;
}

static void stop(void *arg) { aq_loop_stop(arg); }

/* Goal: the process is smaller afterwards and works on.
   Method: resident memory before and after; a loop with a timer made before and run after. */
static void test_trim(void **state) {
  (void)state;
  aq_loop *l = aq_loop_new(1);
  aq_timer t = {0};
  aq_timer_set(aq_loop_env(l), &t, 0, stop, l);
  long before = resident_kib();
  aq_trim();
  long after = resident_kib();
  print_message("%ld KiB, then %ld KiB\n", before, after);
  assert_true(after < before);
  aq_loop_run(l);
  aq_loop_free(l);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_trim)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
