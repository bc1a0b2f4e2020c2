/* The two families and the line. */
#include "port/broadcast.h"

#include "aq_test.h"

#include "base/log.h"
#include "base/metrics.h"
#include "fake/env.h"

static char lines[2000];

static void take(void *arg, const char *line, size_t len) {
  size_t have = strlen(lines);
  (void)arg;
  assert_true(have + len < sizeof lines);
  memcpy(lines + have, line, len);
}

/* Goal: a broadcast moves its two families and leaves one line with the contract's fields.
   Method: one that went well after 2.5 ms, one that failed. */
static void test_note(void **state) {
  (void)state;
  fake_env env;
  fake_env_init(&env, AQ_SECONDS(1700000000));
  const uint64_t now_ns = fake_env_mono(&env);
  aq_metrics_init();
  aq_log_start(AQ_LOG_DEBUG, take, NULL);
  aq_broadcast_note(&env.env, "aequa/qbft/v1", now_ns - 2500000, 3, NULL);
  aq_broadcast_note(&env.env, "aequa/parsigex/v1", now_ns, 0, "too long");
  aq_log_stop();
  fake_env_free(&env);
  assert_true(aq_metric_value(AQ_M_P2P_MESSAGES_TOTAL, AQ_LABELS("broadcast")) == 2);
  assert_true(aq_metric_value(AQ_M_P2P_BROADCAST_MS, AQ_LABELS("broadcast")) == 2.5);
  assert_non_null(strstr(lines,
                         "{\"latency_ms\":2,\"level\":\"debug\",\"msg\":\"p2p_broadcast\",\"peers\":3,"
                         "\"result\":\"ok\",\"topic\":\"aequa/qbft/v1\",\"ts\":"));
  assert_non_null(strstr(lines,
                         "{\"err\":\"too long\",\"latency_ms\":0,\"level\":\"error\",\"msg\":\"p2p_broadcast\","
                         "\"peers\":0,\"result\":\"error\",\"topic\":\"aequa/parsigex/v1\",\"ts\":"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_note)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
