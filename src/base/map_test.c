/* The map beside a plain table of the same keys, by random operations. */
#include "base/map.h"

#include "aq_test.h"

/* Goal: the map behaves as a plain table of keys does, through growth, deletion and reuse.
   Method: 40,000 random operations on 600 keys beside an array; lookups of all keys now and then; all key lengths. */
static void test_model(void **state) {
  (void)state;
  enum { KEYS = 600 };
  static const size_t key_len[] = {1, 4, 7, 8, 9, 33, 48};
  for (size_t l = 0; l < AQ_COUNT(key_len); l++) {
    static uint8_t key[KEYS][48];
    void *want[KEYS] = {0};
    size_t cnt = 0, keys = key_len[l] == 1 ? 200 : KEYS;
    aq_test_rng rng;
    aq_test_rng_seed(&rng, 6 + l);
    uint8_t seed[16];
    aq_test_rng_bytes(&rng, seed, sizeof seed);
    for (size_t i = 0; i < keys; i++) {
      aq_test_rng_bytes(&rng, key[i], sizeof key[i]);
      key[i][0] = (uint8_t)i;
      if (key_len[l] > 1) key[i][1] = (uint8_t)(i >> 8);
    }
    aq_map m;
    aq_map_init(&m, key_len[l], KEYS, l % 2 ? seed : NULL);
    for (size_t op = 0; op < 6000; op++) {
      size_t i = (size_t)(aq_test_rng_next(&rng) % keys);
      assert_ptr_equal(aq_map_get(&m, key[i]), want[i]);
      if (aq_test_rng_next(&rng) % 3) {
        cnt += want[i] == NULL;
        want[i] = &want[aq_test_rng_next(&rng) % keys];
        assert_int_equal(aq_map_put(&m, key[i], want[i]), AQ_OK);
      } else {
        assert_ptr_equal(aq_map_del(&m, key[i]), want[i]);
        cnt -= want[i] != NULL;
        want[i] = NULL;
      }
      assert_int_equal(m.cnt, cnt);
    }
    size_t seen = 0;
    const void *at;
    void *val;
    for (size_t it = 0; (val = aq_map_next(&m, &it, &at));) {
      size_t i = ((const uint8_t *)at)[0] | (key_len[l] > 1 ? (size_t)((const uint8_t *)at)[1] << 8 : 0);
      assert_ptr_equal(val, want[i]);
      seen++;
    }
    assert_int_equal(seen, cnt);
    aq_map_free(&m);
  }
}

/* Goal: the maximum is kept, and a full map still replaces and deletes.
   Method: fill to the limit, one more, replace, delete, one more. */
static void test_limit(void **state) {
  (void)state;
  aq_map m;
  int val;
  aq_map_init(&m, 4, 100, NULL);
  assert_null(aq_map_get(&m, &(uint32_t){1}));
  assert_null(aq_map_del(&m, &(uint32_t){1}));
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(aq_map_put(&m, &i, &val), AQ_OK);
  assert_int_equal(aq_map_put(&m, &(uint32_t){100}, &val), AQ_E_LIMIT);
  assert_int_equal(aq_map_put(&m, &(uint32_t){99}, &m), AQ_OK);
  assert_ptr_equal(aq_map_del(&m, &(uint32_t){99}), &m);
  assert_int_equal(aq_map_put(&m, &(uint32_t){100}, &val), AQ_OK);
  aq_map_free(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_model), cmocka_unit_test(test_limit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
