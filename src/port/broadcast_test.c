#include "port/broadcast.h"

#include "aq_test.h"

#include "base/log.h"
#include "base/metrics.h"

static char lines[2000];

static void take(void *arg, const char *line, size_t len) {
  size_t have = strlen(lines);
  (void)arg;
  assert_true(have + len < sizeof lines);
  memcpy(lines + have, line, len);
}

static uint64_t mono(void *ctx) { return *(const uint64_t *)ctx; }

/* Goal: a broadcast moves its two families and leaves one line with the contract's fields.
   Method: one that went well after 2.5 ms, one that failed. */
static void test_note(void **state) {
  (void)state;
  uint64_t now = 4500000;
  const aq_env env = {.ctx = &now, .mono_ns = mono};
  aq_metrics_init();
  aq_log_start(AQ_LOG_DEBUG, take, NULL);
  aq_broadcast_note(&env, "aequa/qbft/v1", 2000000, 3, NULL);
  aq_broadcast_note(&env, "aequa/parsigex/v1", now, 0, "too long");
  aq_log_stop();
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
