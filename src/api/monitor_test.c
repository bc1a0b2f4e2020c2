/* The listener's answers, codes and the line that each leaves. */
#include "api/monitor.h"

#include "aq_test.h"

#include "base/log.h"
#include "base/metrics.h"
#include "fake/env.h"
#include "fake/server.h"

typedef struct {
  fake_env env;
  aq_monitor *m;
  int state;
  const char *text;
  uint32_t asked;
} world;

static int ready(void *arg, const char **text) {
  world *w = arg;
  w->asked++;
  *text = w->text;
  return w->state;
}

static void world_init(world *w) {
  aq_metrics_init();
  fake_env_init(&w->env, AQ_SECONDS(1700000000));
  w->state = 1, w->text = "ok", w->asked = 0;
  w->m = aq_monitor_new(&(aq_monitor_cfg){&w->env.env, w, ready});
}

static fake_res *get(world *w, const char *target) {
  return fake_send(aq_monitor_handler(w->m), &(fake_req){.method = "GET", .target = target});
}

static void expect(fake_res *r, int code, const char *type, const char *body) {
  assert_int_equal(r->code, code);
  assert_string_equal(fake_header(r, "Content-Type"), type);
  assert_string_equal(aq_buf_cstr(&r->body), body);
  fake_res_free(r);
}

/* Goal: /metrics is the exposition with its type, counted by route as the runbook reads it; dvt_up leads.
   Method: contract.md 4.5 and 6.1, scraped twice. */
static void test_metrics(void **state) {
  (void)state;
  world w;
  world_init(&w);
  w.state = 5;
  for (int i = 0; i < 2; i++) {
    fake_res *r = get(&w, "/metrics");
    assert_int_equal(r->code, 200);
    assert_string_equal(fake_header(r, "content-type"), "text/plain; version=0.0.4");
    const char *text = aq_buf_cstr(&r->body);
    assert_ptr_equal(strstr(text, "# HELP dvt_up"), text);
    assert_non_null(strstr(text, "\napp_monitoring_readyz 5\n"));
    char count[80];
    snprintf(count, sizeof count, "api_requests_total{code=\"200\",route=\"/metrics\"} %d\n", i + 1);
    assert_non_null(strstr(text, count));
    fake_res_free(r);
  }
  assert_int_equal(w.asked, 2);
  aq_monitor_free(w.m);
}

static void take_line(void *arg, const char *line, size_t len) {
  aq_buf *out = arg;
  aq_buf_put(out, line, len);
}

/* Goal: a scrape leaves a request line with the runbook's six fields, and adopts the trace id of the request.
   Method: contract.md 5; one scrape with an id, one with an id that is too long. */
static void test_metrics_line(void **state) {
  (void)state;
  world w;
  world_init(&w);
  aq_buf lines = AQ_BUF(4000);
  char wide[80];
  memset(wide, 'x', sizeof wide - 1);
  wide[sizeof wide - 1] = 0;
  const char *const id[] = {"t-1", wide};
  aq_log_start(AQ_LOG_INFO, take_line, &lines);
  for (size_t i = 0; i < AQ_COUNT(id); i++) {
    const fake_req q = {.method = "GET", .target = "/metrics", .header = {{"X-Trace-ID", id[i]}}, .header_cnt = 1};
    fake_res_free(fake_send(aq_monitor_handler(w.m), &q));
  }
  aq_log_stop();
  const char *text = aq_buf_cstr(&lines);
  const char *first =
      "{\"code\":200,\"latency_ms\":0,\"level\":\"info\",\"msg\":\"api_request\",\"result\":\"ok\","
      "\"route\":\"/metrics\",\"trace_id\":\"t-1\",\"ts\":";
  assert_int_equal(strncmp(text, first, strlen(first)), 0);
  assert_non_null(strstr(text, "\"trace_id\":\"1700000000000000000\""));
  aq_buf_free(&lines);
  aq_monitor_free(w.m);
}

/* Goal: /readyz says the reason, with 500 for everything but ready; the gauge has the state; /livez always lives.
   Method: each state of core.md 13.1. */
static void test_readyz(void **state) {
  static const struct {
    int state;
    const char *text;
  } cases[] = {{1, "ok"},
               {2, "beacon node down"},
               {3, "beacon node not synced"},
               {4, "quorum peers not connected"},
               {5, "vc not connected"},
               {7, "beacon node has zero peers"},
               {8, "beacon node far behind"}};
  const char *plain = "text/plain; charset=utf-8";
  (void)state;
  world w;
  world_init(&w);
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    w.state = cases[i].state, w.text = cases[i].text;
    expect(get(&w, "/readyz?verbose"), i ? 500 : 200, plain, cases[i].text);
    assert_true(aq_metric_value(AQ_M_APP_MONITORING_READYZ, AQ_NO_LABELS) == cases[i].state);
    expect(get(&w, "/livez"), 200, plain, "ok");
  }
  aq_monitor_free(w.m);
}

/* Goal: the bare root does not fail scripts, anything else is not found, bodies are not taken.
   Method: contract.md 4.5. */
static void test_others(void **state) {
  static const char *const targets[] = {"/metric", "/metrics/", "//", "/health", "/readyz/x"};
  const char *plain = "text/plain; charset=utf-8";
  (void)state;
  world w;
  world_init(&w);
  fake_res *r = get(&w, "/");
  assert_int_equal(r->code, 200);
  assert_non_null(strstr(aq_buf_cstr(&r->body), "/metrics"));
  assert_ptr_equal(strchr(aq_buf_cstr(&r->body), '\n'), aq_buf_cstr(&r->body) + r->body.len - 1);
  fake_res_free(r);
  for (size_t i = 0; i < AQ_COUNT(targets); i++) expect(get(&w, targets[i]), 404, plain, "404 page not found\n");
  fake_req q = {.method = "POST", .target = "/metrics", .body = aq_bytes_str("x")};
  r = fake_send(aq_monitor_handler(w.m), &q);
  assert_int_equal(r->code, 413);
  fake_res_free(r);
  assert_int_equal(w.asked, 0);
  aq_monitor_free(w.m);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_metrics), cmocka_unit_test(test_metrics_line),
                                     cmocka_unit_test(test_readyz), cmocka_unit_test(test_others)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
