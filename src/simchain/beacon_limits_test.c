/* What the simulated chain does not take. */
#include "aq_test.h"

#include "base/log.h"
#include "fake/chain.h"
#include "fake/env.h"
#include "fake/server.h"

enum { VALIDATORS = 16, SPE = 8 };

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

/* Goal: an answer that would be too large is an error, no crash. Method: one validator named 300,000 times. */
static void test_too_large(void **state) {
  (void)state;
  static fake_env env;
  static uint8_t secret[VALIDATORS][32], pubkey[VALIDATORS][48];
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  fake_env_init(&env, FAKE_CHAIN_GENESIS);
  fake_chain_keys(secret, pubkey, VALIDATORS);
  aq_beacon *b = fake_chain_new(&env, pubkey, VALIDATORS, SPE, AQ_FULU);
  aq_buf body = AQ_BUF(8 << 20);
  aq_buf_put_str(&body, "{\"ids\":[\"0\"");
  for (int i = 0; i < 300000; i++) aq_buf_put_str(&body, ",\"0\"");
  aq_buf_put_str(&body, "]}");
  fake_req q = {.method = "POST", .target = "/eth/v1/beacon/states/head/validators", .body = aq_buf_bytes(&body)};
  fake_res *r = fake_send(aq_beacon_handler(b), &q);
  fake_env_drain(&env);
  assert_int_equal(r->code, 413);
  assert_non_null(strstr(aq_buf_cstr(&r->body), "too large"));
  fake_res_free(r);
  aq_buf_free(&body);
  aq_beacon_free(b);
  fake_env_drain(&env);
  fake_env_free(&env);
}

/* Goal: keys that are none are refused. Method: a key of zeros. */
static void test_bad_key(void **state) {
  (void)state;
  static fake_env env;
  static const uint8_t zero[1][48];
  fake_env_init(&env, FAKE_CHAIN_GENESIS);
  aq_beacon_cfg cfg = {
      .env = &env.env, .pubkey = zero, .validator_cnt = 1, .slot_ns = FAKE_CHAIN_SLOT, .slots_per_epoch = SPE};
  assert_null(aq_beacon_new(&cfg));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_too_large), cmocka_unit_test(test_bad_key)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
