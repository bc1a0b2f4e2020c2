/* Goal: what is wrong with a beacon node is told once, with its address and the mend, and no secret of the address is
   told to anybody but that node. Method: beacon nodes that fail in each way, all log lines kept. */
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "beacon/bn.h"
#include "fake/http.h"

enum { LINES_MAX = 64 };
static const char REFUSED[] = "http://a:1: connection refused";
static const char *const endpoints[] = {"http://us:SECRET@a:1/SECRET?key=SECRET", "http://b:2"};

typedef struct {
  fake_env env;
  fake_http http;
  aq_bn *bn;
  bool a_up, b_up; /* else a refuses connections, and b has no route */
  char line[LINES_MAX][512];
  size_t line_cnt, head_cnt;
  aq_status st;
  char why[512];
} fixture;

static void take_line(void *arg, const char *text, size_t len) {
  fixture *f = arg;
  assert_true(f->line_cnt < LINES_MAX);
  snprintf(f->line[f->line_cnt++], sizeof f->line[0], "%.*s", (int)len, text);
  assert_null(strstr(f->line[f->line_cnt - 1], "SECRET"));
}

static size_t told(const fixture *f, const char *msg, const char *err) {
  size_t cnt = 0;
  char part[512];
  snprintf(part, sizeof part, "\"err\":\"%s", err);
  for (size_t i = 0; i < f->line_cnt; i++) cnt += strstr(f->line[i], msg) && strstr(f->line[i], part);
  return cnt;
}

static void handle(void *arg, fake_ex *ex) {
  fixture *f = arg;
  bool a = strstr(ex->url, "a:1") != NULL;
  if (a && !f->a_up)
    fake_http_fail_why(ex, AQ_MILLIS(1), AQ_E_CLOSED, REFUSED);
  else if (!a && !f->b_up)
    fake_http_answer(ex, AQ_MILLIS(1), 404, "no");
  else if (strstr(ex->url, "/events"))
    return; /* the test opens it */
  else
    fake_http_answer(ex, AQ_MILLIS(1), 200, "{\"data\":{\"version\":\"v\"}}");
}

static fixture *open_nodes(size_t cnt) {
  static fixture f;
  memset(&f, 0, sizeof f);
  aq_log_start(AQ_LOG_INFO, take_line, &f);
  aq_metrics_init();
  fake_env_init(&f.env, AQ_SECONDS(1700000000));
  fake_http_init(&f.http, &f.env, handle, &f);
  f.bn = aq_bn_new(&(aq_bn_cfg){.env = &f.env.env, .http = &f.http.http, .endpoints = endpoints, .endpoint_cnt = cnt});
  return &f;
}

static void close_nodes(fixture *f) {
  aq_bn_free(f->bn);
  fake_env_free(&f->env);
  fake_http_free(&f->http);
  aq_log_stop();
}

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  fixture *f = arg;
  (void)ans;
  f->st = st;
  snprintf(f->why, sizeof f->why, "%s", aq_bn_why(f->bn));
}

static void ask(fixture *f) {
  const aq_bn_req req = {.endpoint = "x", .method = "GET", .path = "/eth/v1/x?id=1"};
  aq_bn_call(f->bn, &req, answered, f);
  fake_env_run_for(&f->env, AQ_MILLIS(100));
}

/* The requests alone have all of the address. */
static void test_requests(void **state) {
  (void)state;
  fixture *f = open_nodes(1);
  ask(f);
  assert_string_equal(f->http.log[0], "GET http://us:SECRET@a:1/SECRET/eth/v1/x?key=SECRET&id=1");
  assert_int_equal(f->st, AQ_E_CLOSED);
  assert_string_equal(f->why, REFUSED);
  assert_string_equal(aq_bn_why(f->bn), ""); /* from inside only */
  f->a_up = true;
  ask(f);
  assert_int_equal(f->st, AQ_OK);
  assert_string_equal(f->why, "");
  close_nodes(f);
}

/* The most telling of several failures. */
static void test_call(void **state) {
  (void)state;
  fixture *f = open_nodes(2);
  ask(f);
  assert_int_equal(f->st, AQ_E_REFUSED);
  assert_int_equal(strncmp(f->why, "http://b:2: HTTP 404, it has no such route", 42), 0);
  close_nodes(f);
  f = open_nodes(0);
  ask(f);
  assert_string_equal(f->why, "no beacon node is configured");
  assert_int_equal(f->st, AQ_E_CLOSED);
  close_nodes(f);
}

static void never(void *arg, aq_status st, const aq_chain *chain, const char *why) {
  (void)arg, (void)st, (void)chain, (void)why;
}

static void test_start(void **state) {
  (void)state;
  fixture *f = open_nodes(1);
  aq_bn_load_chain(f->bn, never, f);
  fake_env_run_for(&f->env, AQ_SECONDS(30));
  assert_true(told(f, "\"beacon_node_wait\"", REFUSED) >= 2);
  assert_int_equal(told(f, "\"beacon_node_trouble\"", ""), 0); /* it would say the same */
  close_nodes(f);
  f = open_nodes(2);
  aq_bn_load_chain(f->bn, never, f);
  fake_env_run_for(&f->env, AQ_SECONDS(30));
  assert_true(told(f, "\"beacon_node_wait\"", "http://b:2: HTTP 404") >= 2);
  assert_int_equal(told(f, "\"beacon_node_trouble\"", REFUSED), 1);
  assert_int_equal(told(f, "\"beacon_node_trouble\"", "http://b:2: HTTP 404"), 1);
  close_nodes(f);
}

/* While the node runs each beacon node's event stream tells, again after it had been well. */
static void test_streams(void **state) {
  (void)state;
  fixture *f = open_nodes(2);
  aq_bn_subscribe(f->bn, &(aq_bn_events){.arg = f});
  fake_env_run_for(&f->env, AQ_SECONDS(60));
  assert_int_equal(told(f, "\"beacon_node_trouble\"", REFUSED), 1);
  assert_int_equal(told(f, "\"beacon_node_trouble\"", "http://b:2: HTTP 404"), 1);
  f->a_up = true;
  fake_env_run_for(&f->env, AQ_SECONDS(60));
  fake_ex *stream = fake_http_find(&f->http, "/events");
  assert_non_null(stream);
  assert_string_equal(stream->url,
                      "http://us:SECRET@a:1/SECRET/eth/v1/events?key=SECRET&topics=head&topics=chain_reorg"
                      "&topics=block_gossip&topics=block");
  fake_http_open(stream, 200);
  fake_env_run_for(&f->env, AQ_MILLIS(100));
  assert_true(aq_metric_value(AQ_M_APP_BEACON_NODE_VERSION, AQ_LABELS("v", "http://a:1")) == 1);
  f->a_up = false;
  fake_http_fail_why(stream, 0, AQ_E_CLOSED, "http://a:1: broke off");
  fake_env_run_for(&f->env, AQ_SECONDS(60));
  assert_int_equal(told(f, "\"beacon_node_events_lost\"", "http://a:1: broke off"), 1);
  assert_int_equal(told(f, "\"beacon_node_trouble\"", REFUSED), 2);
  close_nodes(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests), cmocka_unit_test(test_call),
                                     cmocka_unit_test(test_start), cmocka_unit_test(test_streams)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
