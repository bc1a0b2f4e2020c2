/* The registry against the operator contract, and its text against the exposition format. */
#include "base/metrics.h"

#include <pthread.h>

#include "aq_test.h"

static char *text(void) {
  static aq_buf out;
  out.max = 8 << 20;
  aq_buf_reset(&out);
  aq_metrics_write(&out);
  assert_int_equal(aq_buf_status(&out), AQ_OK);
  return (char *)(uintptr_t)aq_buf_cstr(&out);
}

static void has(const char *line) {
  char want[400];
  snprintf(want, sizeof want, "\n%s\n", line);
  if (!strstr(text(), want)) fail_msg("the exposition lacks: %s", line);
}

/* Goal: no family of the operator contract changes its name, type or labels, and none is missing.
   Method: every line "name type labels" of contract/families.txt is compared with the table; labels sorted. */
static void test_golden_families(void **state) {
  (void)state;
  static const char *const type_name[] = {"counter", "gauge", "summary", "histogram"};
  aq_buf golden = aq_test_file("contract/families.txt");
  const char *at = aq_buf_cstr(&golden);
  size_t lines = 0;
  for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
    char name[80] = "", type[20] = "", labels[200] = "";
    if (*at == '#') continue;
    assert_true(sscanf(at, "%79s %19s%199[^\n]", name, type, labels) >= 2);
    size_t id = 0;
    while (id < AQ_METRIC_CNT && strcmp(aq_metric_name((aq_metric_id)id), name) != 0) id++;
    if (id == AQ_METRIC_CNT) fail_msg("no family %s", name);
    assert_string_equal(type_name[aq_metric_type_of((aq_metric_id)id)], type);
    if (strcmp(aq_metric_labels((aq_metric_id)id), labels + (labels[0] == ' ')) != 0)
      fail_msg("%s has other labels", name);
    assert_true(strlen(aq_metric_help((aq_metric_id)id)) > 3);
    lines++;
  }
  assert_true(lines > 150);
  aq_buf_free(&golden);
}

/* Goal: the first scrape has every runbook series at 0, so that alerts on rates are never blind.
   Method: the lines of contract/first_scrape.txt, made from contract.md 6, are all there; dvt_up is first. */
static void test_first_scrape(void **state) {
  (void)state;
  aq_metrics_init();
  aq_buf golden = aq_test_file("contract/first_scrape.txt");
  char *at = (char *)(uintptr_t)aq_buf_cstr(&golden);
  for (char *end; (end = strchr(at, '\n')); at = end + 1) {
    *end = 0;
    has(at);
  }
  assert_int_equal(strncmp(text(), "# HELP dvt_up ", 14), 0);
  assert_non_null(strstr(text(), "\n# TYPE dvt_up gauge\ndvt_up 1\n# HELP "));
  aq_buf_free(&golden);
}

/* Goal: each type of family is written as Prometheus text 0.0.4.
   Method: known changes and the exact lines. */
static void test_exposition(void **state) {
  (void)state;
  aq_metrics_init();
  aq_metric_add(AQ_M_API_REQUESTS_TOTAL, 2, AQ_LABELS("/health", "200"));
  aq_metric_add(AQ_M_API_REQUESTS_TOTAL, -5, AQ_LABELS("/health", "200")); /* counters never fall */
  has("api_requests_total{code=\"200\",route=\"/health\"} 2");
  aq_metric_observe(AQ_M_API_LATENCY_MS, 0.25, AQ_LABELS("/health"));
  aq_metric_observe(AQ_M_API_LATENCY_MS, 0.5, AQ_LABELS("/health"));
  has("# TYPE api_latency_ms summary");
  has("api_latency_ms_sum{route=\"/health\"} 0.75");
  has("api_latency_ms_count{route=\"/health\"} 2");
  aq_metric_set(AQ_M_P2P_CONNS_OPEN, 3, AQ_NO_LABELS);
  aq_metric_add(AQ_M_P2P_CONNS_OPEN, -1, AQ_NO_LABELS);
  has("p2p_conns_open 2");
  aq_metric_set(AQ_M_DFBA_CLEARING_PRICE, 0.1, AQ_NO_LABELS);
  has("dfba_clearing_price 0.1");
  aq_metric_set(AQ_M_DFBA_CLEARING_PRICE, 123456789012345, AQ_NO_LABELS);
  has("dfba_clearing_price 123456789012345");
  aq_metric_add(AQ_M_QBFT_MSG_VERIFIED_TOTAL, 1, AQ_LABELS(NULL, "prepare"));
  aq_metric_add(AQ_M_QBFT_MSG_VERIFIED_TOTAL, 1, AQ_LABELS("replay"));
  has("qbft_msg_verified_total{type=\"prepare\"} 1");
  has("qbft_msg_verified_total{result=\"replay\"} 1");
  assert_int_equal(aq_metric_value(AQ_M_QBFT_MSG_VERIFIED_TOTAL, AQ_LABELS("", "prepare")), 1);
  assert_true(aq_metric_value(AQ_M_API_LATENCY_MS, AQ_LABELS("/health")) == 0.75);
}

/* Goal: histograms are cumulative with the bounds of core.md 13.4.
   Method: values on, below and above bounds. */
static void test_histogram(void **state) {
  (void)state;
  aq_metrics_init();
  static const double v[] = {0.001, 0.0011, 0.3, 7};
  for (size_t i = 0; i < AQ_COUNT(v); i++)
    aq_metric_observe(AQ_M_CORE_PARSIGEX_SET_VERIFICATION_SECONDS, v[i], AQ_LABELS("attester"));
  has("# TYPE core_parsigex_set_verification_seconds histogram");
  has("core_parsigex_set_verification_seconds_bucket{duty=\"attester\",le=\"0.001\"} 1");
  has("core_parsigex_set_verification_seconds_bucket{duty=\"attester\",le=\"0.005\"} 2");
  has("core_parsigex_set_verification_seconds_bucket{duty=\"attester\",le=\"0.25\"} 2");
  has("core_parsigex_set_verification_seconds_bucket{duty=\"attester\",le=\"0.5\"} 3");
  has("core_parsigex_set_verification_seconds_bucket{duty=\"attester\",le=\"5\"} 3");
  has("core_parsigex_set_verification_seconds_bucket{duty=\"attester\",le=\"+Inf\"} 4");
  has("core_parsigex_set_verification_seconds_count{duty=\"attester\"} 4");
}

/* Goal: label values from peers cannot break the text, and are bounded.
   Method: quotes, newlines, backslashes, bytes that are not UTF-8, a value cut inside a character. */
static void test_hostile_labels(void **state) {
  (void)state;
  aq_metrics_init();
  aq_metric_set(AQ_M_APP_PEERINFO_NICKNAME, 1, AQ_LABELS("a\"b\\c\nd", "\xff\xc3\xa9\xc3"));
  has("app_peerinfo_nickname{peer=\"a\\\"b\\\\c?d\",peer_nickname=\"?\xc3\xa9\"} 1");
  char wide[AQ_METRIC_LABEL_MAX + 40], line[400];
  memset(wide, 'x', sizeof wide - 1);
  wide[sizeof wide - 1] = 0;
  memcpy(wide + AQ_METRIC_LABEL_MAX - 1, "\xc3\xa9", 2);
  aq_metric_set(AQ_M_APP_PEERINFO_NICKNAME, 2, AQ_LABELS("p", wide));
  snprintf(line, sizeof line, "app_peerinfo_nickname{peer=\"p\",peer_nickname=\"%.*s\"} 2", AQ_METRIC_LABEL_MAX - 1,
           wide);
  has(line);
  aq_metric_clear(AQ_M_APP_PEERINFO_NICKNAME, AQ_LABELS("p", wide));
  assert_null(strstr(text(), "peer=\"p\""));
  aq_metric_clear(AQ_M_APP_PEERINFO_NICKNAME, AQ_LABELS("absent", "x"));
}

/* Goal: a family cannot grow without end.
   Method: more label values than the limit; the surplus is counted and the earlier series still move. */
static void test_series_limit(void **state) {
  (void)state;
  aq_metrics_init();
  char name[20];
  for (int i = 0; i < AQ_METRIC_SERIES_MAX + 10; i++) {
    snprintf(name, sizeof name, "p%d", i);
    aq_metric_add(AQ_M_P2P_PING_ERROR_TOTAL, 1, AQ_LABELS(name));
  }
  assert_int_equal(aq_metric_value(AQ_M_METRICS_SERIES_DROPPED_TOTAL, AQ_NO_LABELS), 10);
  aq_metric_add(AQ_M_P2P_PING_ERROR_TOTAL, 1, AQ_LABELS("p7"));
  assert_int_equal(aq_metric_value(AQ_M_P2P_PING_ERROR_TOTAL, AQ_LABELS("p7")), 2);
  aq_metrics_init();
  assert_int_equal(aq_metric_value(AQ_M_P2P_PING_ERROR_TOTAL, AQ_LABELS("p7")), 0);
}

/* Goal: Charon's families carry the constant labels in their place in the alphabet, the operator's families do not.
   Method: two constant labels, one line of each kind, then none. */
static void test_const_labels(void **state) {
  (void)state;
  aq_metrics_init();
  aq_metrics_const_labels("nickname=a\"b\ncluster_hash=0123456\n");
  aq_metric_set(AQ_M_P2P_PING_SUCCESS, 1, AQ_LABELS("lazy-cat"));
  has("p2p_ping_success{cluster_hash=\"0123456\",nickname=\"a\\\"b\",peer=\"lazy-cat\"} 1");
  has("core_scheduler_current_slot{cluster_hash=\"0123456\",nickname=\"a\\\"b\"} 0");
  has("p2p_conns_open 0");
  has("tss_sessions_open 0");
  aq_metrics_const_labels(NULL);
  has("core_scheduler_current_slot 0");
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *change(void *arg) {
  char name[8];
  for (int i = 0; i < ROUNDS; i++) {
    snprintf(name, sizeof name, "p%d", i % 50);
    aq_metric_add(AQ_M_P2P_PING_ERROR_TOTAL, 1, AQ_LABELS(name));
    aq_metric_observe(AQ_M_STATE_PERSIST_MS, 1, AQ_NO_LABELS);
    if (i % 5000 == 0) {
      aq_buf out = AQ_BUF(8 << 20);
      aq_metrics_write(&out);
      aq_buf_free(&out);
    }
  }
  return arg;
}

/* Goal: no change of any thread is lost.
   Method: four threads change and write the same families; the sums must be exact. */
static void test_threads(void **state) {
  (void)state;
  aq_metrics_init();
  pthread_t thread[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, change, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  assert_int_equal(aq_metric_value(AQ_M_P2P_PING_ERROR_TOTAL, AQ_LABELS("p7")), THREADS * ROUNDS / 50);
  assert_int_equal(aq_metric_value(AQ_M_STATE_PERSIST_MS, AQ_NO_LABELS), THREADS * ROUNDS);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden_families), cmocka_unit_test(test_first_scrape),
                                     cmocka_unit_test(test_exposition),      cmocka_unit_test(test_histogram),
                                     cmocka_unit_test(test_hostile_labels),  cmocka_unit_test(test_series_limit),
                                     cmocka_unit_test(test_const_labels),    cmocka_unit_test(test_threads)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
