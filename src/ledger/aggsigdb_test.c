/* First signatures, waiters, and the exits that no deadline clears away. */
#include "ledger/aggsigdb.h"

#include "aq_test.h"
#include "fake/env.h"

#define GENESIS AQ_SECONDS(1700000000)

typedef struct {
  int calls;
  aq_status st;
  uint8_t sig0;
} answer;

static void on_answer(void *arg, aq_status st, const aq_signed_data *d) {
  answer *a = arg;
  a->calls++;
  a->st = st;
  if (d) a->sig0 = d->sig[0];
}

static aq_signed_data selection(uint64_t slot, uint8_t sig) {
  aq_signed_data d = {.duty = AQ_DUTY_PREPARE_AGGREGATOR, .slot = slot, .validator_index = 9};
  d.sig[0] = sig;
  return d;
}

/* Goal: the first signature of a key wins and wakes who waits; keys differ in validator and subcommittee.
   Method: stores and waiters in both orders, a second signature, the deadline of two epochs. */
static void test_store_and_wait(void **state) {
  (void)state;
  fake_env env;
  aq_chain chain = {.clock = {GENESIS, AQ_SECONDS(12), 32}};
  fake_env_init(&env, GENESIS + 320 * AQ_SECONDS(12));
  aq_aggsigdb *db = aq_aggsigdb_new(&env.env, &chain);
  aq_duty duty = {320, AQ_DUTY_PREPARE_AGGREGATOR};
  answer a = {0}, b = {0}, c = {0}, d = {0};
  aq_aggsigdb_waiter w = {.key = {.duty = duty, .validator = 1}, .fn = on_answer, .arg = &a};
  aq_aggsigdb_waiter other = {.key = {.duty = duty, .validator = 2}, .fn = on_answer, .arg = &b};
  aq_aggsigdb_waiter sub = {.key = {.duty = duty, .validator = 1, .sub = 1}, .fn = on_answer, .arg = &c};
  aq_aggsigdb_await(db, &w, fake_env_now(&env) + AQ_SECONDS(5));
  aq_aggsigdb_await(db, &other, fake_env_now(&env) + AQ_SECONDS(5));
  aq_aggsigdb_await(db, &sub, AQ_NEVER - 1);
  aq_signed_data one = selection(320, 1), two = selection(320, 2);
  assert_int_equal(aq_aggsigdb_store(db, &w.key, &one), AQ_OK);
  assert_true(a.calls == 1 && a.st == AQ_OK && a.sig0 == 1 && b.calls == 0 && c.calls == 0);
  assert_int_equal(aq_aggsigdb_store(db, &w.key, &one), AQ_OK);
  assert_int_equal(aq_aggsigdb_store(db, &w.key, &two), AQ_E_EXISTS);
  aq_aggsigdb_waiter later = {.key = {.duty = duty, .validator = 1}, .fn = on_answer, .arg = &d};
  aq_aggsigdb_await(db, &later, fake_env_now(&env));
  assert_true(d.calls == 1 && d.sig0 == 1);
  fake_env_run_for(&env, AQ_SECONDS(6));
  assert_true(b.calls == 1 && b.st == AQ_E_TIMEOUT);
  fake_env_run_for(&env, AQ_SECONDS(12 * 65));
  assert_int_equal(aq_aggsigdb_store(db, &w.key, &one), AQ_E_STALE);
  aq_aggsigdb_await(db, &later, fake_env_now(&env) + 1);
  assert_int_equal(d.calls, 1); /* gone at the deadline */
  aq_aggsigdb_free(db);
  assert_true(c.calls == 1 && c.st == AQ_E_CLOSED && d.calls == 2 && d.st == AQ_E_CLOSED);
  fake_env_free(&env);
}

/* Goal: exits, which never expire, do not pile up. Method: more than the cap; the oldest is gone. */
static void test_exempt(void **state) {
  (void)state;
  fake_env env;
  aq_chain chain = {.clock = {GENESIS, AQ_SECONDS(12), 32}};
  fake_env_init(&env, GENESIS);
  aq_aggsigdb *db = aq_aggsigdb_new(&env.env, &chain);
  aq_signed_data d = {.duty = AQ_DUTY_EXIT, .sig = {1}};
  for (uint32_t i = 0; i < 1100; i++)
    assert_int_equal(aq_aggsigdb_store(db, &(aq_sign_key){.duty = {i, AQ_DUTY_EXIT}}, &d), AQ_OK);
  answer a = {0}, b = {0};
  aq_aggsigdb_waiter old = {.key = {.duty = {0, AQ_DUTY_EXIT}}, .fn = on_answer, .arg = &a};
  aq_aggsigdb_waiter new = {.key = {.duty = {1099, AQ_DUTY_EXIT}}, .fn = on_answer, .arg = &b};
  aq_aggsigdb_await(db, &old, AQ_SECONDS(1));
  aq_aggsigdb_await(db, &new, AQ_SECONDS(1));
  assert_true(a.calls == 0 && b.calls == 1);
  aq_aggsigdb_cancel(&old);
  aq_aggsigdb_free(db);
  fake_env_free(&env);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_store_and_wait), cmocka_unit_test(test_exempt)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
