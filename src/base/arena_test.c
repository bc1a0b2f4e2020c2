/* Alignment, zeros, limits and products that overflow. */
#include "base/arena.h"

#include "aq_test.h"

/* Goal: blocks are zeroed, aligned, disjoint and counted against the limit.
   Method: allocations of random sizes filled with their own byte, all checked at the end, twice, a reset between. */
static void test_arena(void **state) {
  (void)state;
  enum { MAX = 300000, CNT = 400 };
  aq_arena a;
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 3);
  aq_arena_init(&a, MAX);
  for (int round = 0; round < 2; round++) {
    uint8_t *ptr[CNT];
    size_t len[CNT], cnt = 0, sum = 0;
    for (; cnt < CNT; cnt++) {
      len[cnt] = (size_t)(aq_test_rng_next(&rng) % (cnt % 50 ? 500 : 9000));
      ptr[cnt] = aq_arena_alloc(&a, len[cnt]);
      assert_int_equal(ptr[cnt] != NULL, sum + len[cnt] <= MAX);
      if (!ptr[cnt]) break;
      sum += len[cnt];
      assert_int_equal(a.used, sum);
      assert_int_equal((uintptr_t)ptr[cnt] % 16, 0);
      assert_true(aq_bytes_is_zero(aq_bytes_of(ptr[cnt], len[cnt])));
      memset(ptr[cnt], (int)(cnt & 0xff), len[cnt]);
    }
    for (size_t i = 0; i < cnt; i++) {
      for (size_t k = 0; k < len[i]; k++) assert_int_equal(ptr[i][k], i & 0xff);
    }
    aq_arena_reset(&a);
    assert_int_equal(a.used, 0);
  }
  aq_arena_free(&a);
}

/* Goal: the limit and the products on the way to it cannot overflow; copies are copies.
   Method: the largest sizes; text and bytes with a 0 inside; an empty copy. */
static void test_edges(void **state) {
  (void)state;
  aq_arena a;
  aq_arena_init(&a, 100);
  assert_null(aq_arena_alloc(&a, 101));
  assert_null(aq_arena_alloc(&a, SIZE_MAX));
  assert_null(aq_arena_array(&a, SIZE_MAX / 2, 3));
  assert_null(aq_arena_array(&a, 26, 4));
  assert_non_null(aq_arena_array(&a, 10, 4));
  aq_bytes copy = aq_arena_copy(&a, aq_bytes_of("a\0b", 3));
  assert_bytes(copy, aq_bytes_of("a\0b", 3));
  assert_non_null(aq_arena_copy(&a, aq_bytes_of(NULL, 0)).ptr);
  assert_string_equal(aq_arena_str(&a, aq_bytes_str("text")), "text");
  assert_non_null(aq_arena_alloc(&a, a.max - a.used));
  assert_null(aq_arena_copy(&a, aq_bytes_str("x")).ptr);
  assert_null(aq_arena_str(&a, aq_bytes_str("")));
  aq_arena_free(&a);
  assert_non_null(aq_arena_alloc(&a, 100));
  aq_arena_free(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_arena), cmocka_unit_test(test_edges)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
