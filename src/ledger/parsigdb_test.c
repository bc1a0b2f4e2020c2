/* Partial signatures by share and root, refused, repeated, evicted. */
#include "ledger/parsigdb.h"

#include "aq_test.h"
#include "base/log.h"
#include "fake/env.h"

#define GENESIS AQ_SECONDS(1700000000)

typedef struct {
  fake_env env;
  aq_chain chain;
  aq_parsigdb *db;
} fixture;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void open_db(fixture *f) {
  memset(f, 0, sizeof *f);
  fake_env_init(&f->env, GENESIS + 320 * AQ_SECONDS(12));
  f->chain.clock = (aq_clock){GENESIS, AQ_SECONDS(12), 32};
  f->db = aq_parsigdb_new(&(aq_parsigdb_cfg){.env = &f->env.env, .chain = &f->chain, .n = 4});
}

static void close_db(fixture *f) {
  aq_parsigdb_free(f->db);
  fake_env_free(&f->env);
}

static aq_status put(fixture *f, const aq_sign_key *key, uint32_t share, uint8_t root, uint8_t sig) {
  uint8_t r[32] = {root}, s[96] = {sig};
  aq_status want = aq_parsigdb_check(f->db, key, share, r, s);
  aq_status st = aq_parsigdb_store(f->db, key, share, r, s);
  assert_int_equal(st, want);
  return st;
}

/* Goal: equal roots count by share; repeats are ignored, another partial of a share is refused (core.md 9.1).
   Method: four shares, a repeat, a conflict, a late one. */
static void test_shares(void **state) {
  (void)state;
  fixture f;
  open_db(&f);
  aq_sign_key key = {.duty = {320, AQ_DUTY_ATTESTER}, .validator = 7};
  assert_int_equal(put(&f, &key, 1, 5, 1), AQ_OK);
  assert_int_equal(put(&f, &key, 1, 5, 1), AQ_E_DUP);
  assert_int_equal(put(&f, &key, 1, 5, 2), AQ_E_EXISTS);
  assert_int_equal(put(&f, &key, 1, 6, 1), AQ_E_EXISTS);
  assert_int_equal(put(&f, &key, 2, 5, 1), AQ_OK);
  assert_int_equal(put(&f, &key, 4, 5, 1), AQ_OK);
  uint32_t roots;
  assert_int_equal(aq_parsigdb_shares(f.db, &key, &roots), 0xb);
  assert_int_equal(roots, 1);
  assert_int_equal(put(&f, &key, 3, 5, 1), AQ_OK);
  assert_int_equal(aq_parsigdb_shares(f.db, &key, &roots), 0xf);
  assert_int_equal(roots, 1);
  close_db(&f);
}

/* Goal: partials of different roots do not count together. Method: two and two, then another subcommittee of the same
   duty. */
static void test_roots(void **state) {
  (void)state;
  fixture f;
  open_db(&f);
  aq_sign_key key = {.duty = {320, AQ_DUTY_SYNC_MESSAGE}, .validator = 0},
              other = {.duty = {320, AQ_DUTY_SYNC_MESSAGE}, .validator = 0, .sub = 1};
  for (uint32_t share = 1; share <= 4; share++) assert_int_equal(put(&f, &key, share, (uint8_t)(share % 2), 1), AQ_OK);
  uint32_t roots;
  assert_int_equal(aq_parsigdb_shares(f.db, &key, &roots), 0xf);
  assert_int_equal(roots, 2);
  assert_int_equal(put(&f, &other, 1, 0, 1), AQ_OK);
  assert_int_equal(aq_parsigdb_shares(f.db, &other, &roots), 1);
  close_db(&f);
}

/* Goal: agreed roots and objects live with the key until the deadline. Method: agree, keep, replace, expire. */
static void test_objects(void **state) {
  (void)state;
  fixture f;
  open_db(&f);
  aq_sign_key key = {.duty = {320, AQ_DUTY_SYNC_MESSAGE}, .validator = 0};
  uint8_t a[32] = {1}, b[32] = {2}, value[3] = {7, 8, 9};
  aq_signed_data d = {.duty = AQ_DUTY_SYNC_MESSAGE, .value = aq_bytes_of(value, 3), .validator_index = 5};
  assert_null(aq_parsigdb_agreed(f.db, &key));
  const aq_sign_key over = {.duty = {1, AQ_DUTY_SYNC_MESSAGE}, .validator = 0};
  assert_int_equal(aq_parsigdb_agree(f.db, &over, a), AQ_E_STALE);
  assert_int_equal(aq_parsigdb_keep(f.db, &over, a, &d), AQ_E_STALE);
  assert_null(aq_parsigdb_agreed(f.db, &over));
  assert_int_equal(aq_parsigdb_agree(f.db, &key, a), AQ_OK);
  assert_int_equal(aq_parsigdb_agree(f.db, &key, a), AQ_OK);
  assert_int_equal(aq_parsigdb_agree(f.db, &key, b), AQ_E_EXISTS);
  assert_memory_equal(aq_parsigdb_agreed(f.db, &key), a, 32);
  assert_null(aq_parsigdb_object(f.db, &key, a));
  assert_int_equal(aq_parsigdb_keep(f.db, &key, a, &d), AQ_OK);
  value[0] = 70;
  assert_int_equal(aq_parsigdb_object(f.db, &key, a)->value.ptr[0], 7); /* copied */
  d.validator_index = 6;
  assert_int_equal(aq_parsigdb_keep(f.db, &key, a, &d), AQ_OK);
  assert_int_equal(aq_parsigdb_object(f.db, &key, a)->validator_index, 6);
  for (uint8_t i = 10; i < 13; i++) assert_int_equal(aq_parsigdb_keep(f.db, &key, (uint8_t[32]){i}, &d), AQ_OK);
  assert_int_equal(aq_parsigdb_keep(f.db, &key, b, &d), AQ_E_LIMIT);
  fake_env_run_for(&f.env, AQ_SECONDS(13));
  assert_null(aq_parsigdb_object(f.db, &key, a));
  assert_null(aq_parsigdb_agreed(f.db, &key));
  assert_int_equal(put(&f, &key, 1, 1, 1), AQ_E_STALE);
  close_db(&f);
}

/* Goal: a share keeps its ten newest exits of a validator. Method: twelve exits, two shares; the oldest keys lose
   share 2. */
static void test_exempt(void **state) {
  (void)state;
  fixture f;
  open_db(&f);
  for (uint64_t i = 0; i < 12; i++) {
    aq_sign_key key = {.duty = {32 * i, AQ_DUTY_EXIT}, .validator = 3};
    assert_int_equal(put(&f, &key, 2, (uint8_t)i, 1), AQ_OK);
    if (i == 0) assert_int_equal(put(&f, &key, 3, (uint8_t)i, 1), AQ_OK);
  }
  for (uint64_t i = 0; i < 12; i++) {
    aq_sign_key key = {.duty = {32 * i, AQ_DUTY_EXIT}, .validator = 3};
    assert_int_equal(aq_parsigdb_shares(f.db, &key, NULL), i == 0 ? 4 : i == 1 ? 0 : 2);
  }
  aq_sign_key other = {.duty = {0, AQ_DUTY_EXIT}, .validator = 4};
  assert_int_equal(put(&f, &other, 2, 1, 1), AQ_OK);
  fake_env_run_for(&f.env, AQ_SECONDS(100000));
  assert_int_equal(aq_parsigdb_shares(f.db, &other, NULL), 2);
  close_db(&f);
}

int main(void) {
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares), cmocka_unit_test(test_roots),
                                     cmocka_unit_test(test_objects), cmocka_unit_test(test_exempt)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
