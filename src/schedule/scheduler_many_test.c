/* More validators than a GET request takes. */
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/http.h"
#include "schedule/scheduler_internal.h"

/* A beacon node that has no POST for validators and knows every fifth key, with its number as index. */
enum { MANY = 2 * AQ_SCHED_GET_IDS + 5, SPE = 8 };
#define GENESIS AQ_SECONDS(1700000000)

static uint8_t keys[MANY][48];
static uint32_t asked[MANY], questions;

static void handle(void *arg, fake_ex *ex) {
  (void)arg;
  aq_buf out = AQ_BUF(1 << 20);
  int code = 404;
  if (strstr(ex->url, "/states/head/validators") && strcmp(ex->method, "GET") == 0) {
    code = 200;
    questions++;
    uint32_t cnt = 0, told = 0;
    aq_buf_put_str(&out, "{\"data\":[");
    for (const char *id = ex->url; (id = strstr(id, "id=0x")); cnt++) {
      uint32_t number = (uint32_t)strtoul((id += 5) + 88, NULL, 16); /* the last four bytes */
      assert_true(number < MANY);
      asked[number]++;
      if (number % 5) continue;
      aq_buf_printf(
          &out,
          "%s{\"index\":\"%u\",\"balance\":\"1\",\"status\":\"active_ongoing\",\"validator\":{\"pubkey\":\"0x%.96s\",",
          told++ ? "," : "", number, id);
      aq_buf_put_str(&out, "\"activation_epoch\":\"0\"}}");
    }
    assert_in_range(cnt, 1, AQ_SCHED_GET_IDS);
    aq_buf_put_str(&out, "]}");
  }
  fake_http_answer(ex, AQ_MILLIS(5), code, aq_buf_cstr(&out));
  aq_buf_free(&out);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

/* Goal: more validators than one GET request takes are asked for in several, each once (Lodestar 1.5.1).
   Method: 133 keys, which takes three; what is known of each, and whether it was asked for. */
static void many_by_get(void **state) {
  (void)state;
  static const char *const urls[] = {"http://bn"};
  fake_env env;
  static fake_http http;
  aq_chain chain = {.clock = {GENESIS, AQ_SECONDS(6), SPE}};
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  for (uint32_t i = 0; i < MANY; i++) aq_be32_put(keys[i] + 44, i);
  fake_env_init(&env, GENESIS);
  fake_http_init(&http, &env, handle, NULL);
  const aq_bn_cfg bn_cfg = {.env = &env.env, .http = &http.http, .endpoints = urls, .endpoint_cnt = 1};
  aq_bn *bn = aq_bn_new(&bn_cfg);
  const aq_scheduler_cfg cfg = {.env = &env.env,
                                .bn = bn,
                                .chain = &chain,
                                .pubkey = (const uint8_t(*)[48])keys,
                                .validator_cnt = MANY,
                                .types = 1u << AQ_DUTY_ATTESTER};
  aq_scheduler *s = aq_scheduler_new(&cfg);
  aq_scheduler_start(s);
  fake_env_run_for(&env, AQ_SECONDS(1));
  assert_int_equal(questions, 3);
  for (uint32_t i = 0; i < MANY; i++) assert_int_equal(asked[i], 1);
  assert_true(aq_metric_value(AQ_M_CORE_SCHEDULER_VALIDATORS_ACTIVE, AQ_NO_LABELS) == (MANY + 4) / 5);
  aq_scheduler_free(s);
  aq_bn_free(bn);
  fake_http_free(&http);
  fake_env_free(&env);
  aq_log_stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(many_by_get)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
