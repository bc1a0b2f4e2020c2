/* The proxy and the subscriptions. validator-api.md 13 and 18.7, contract.md 4.4. */
#include "aq_test.h"

#include "api/vapi_internal.h"

#include "api/fake_vapi.h"

typedef struct {
  fv *f;
  fake_ex *ex; /* the request that waits for its answer */
  char method[16], url[512], headers[2048];
  aq_buf body;
  uint64_t timeout_ns, resumed_id;
  size_t resumed;
  aq_httpc inner;
} proxy;

static void expect(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

/* Sees what the proxy asks of the HTTP client. */
static uint64_t start(void *ctx, const aq_httpc_req *req, const aq_httpc_cb *cb) {
  proxy *p = ctx;
  aq_buf text = AQ_BUF(sizeof p->headers - 1);
  snprintf(p->method, sizeof p->method, "%s", req->method);
  snprintf(p->url, sizeof p->url, "%s", req->url);
  for (size_t i = 0; i < req->headers.cnt; i++)
    aq_buf_printf(&text, "%s: %s\n", req->headers.item[i].name, req->headers.item[i].value);
  snprintf(p->headers, sizeof p->headers, "%s", aq_buf_cstr(&text));
  aq_buf_free(&text);
  aq_buf_free(&p->body);
  p->body = AQ_BUF(1 << 20);
  aq_buf_put_bytes(&p->body, req->body);
  p->timeout_ns = req->timeout_ns;
  return p->inner.start(p->inner.ctx, req, cb);
}

static void resume(void *ctx, uint64_t id) {
  proxy *p = ctx;
  p->resumed++;
  p->resumed_id = id;
}

static void cancel(void *ctx, uint64_t id) {
  proxy *p = ctx;
  p->inner.cancel(p->inner.ctx, id);
}

static void bn(void *arg, fake_ex *ex) {
  proxy *p = arg;
  if (strstr(ex->url, "/echo"))
    fake_http_answer_h(ex, AQ_MILLIS(5), strstr(ex->url, "400") ? 400 : 200, "text/event", aq_bytes_str("the body"),
                       "X-From-Beacon", "yes");
  else if (strstr(ex->url, "/refuse"))
    fake_http_fail(ex, AQ_MILLIS(5), AQ_E_CLOSED);
  else if (strstr(ex->url, "/wait") || strstr(ex->url, "/eth/v1/events"))
    p->ex = ex;
  else
    fv_bn_(p->f, ex);
}

/* A validator API whose HTTP client is watched; it has its own beacon node with a header. */
static proxy *proxy_new(void) {
  static const aq_http_header token = {"X-Token", "secret"};
  static const char *const urls[] = {"http://user:pass@bn/base", "http://bn2"};
  proxy *p = calloc(1, sizeof *p);
  assert_non_null(p);
  p->f = fv_new(&(fv_cfg){.no_bn = true});
  p->f->http.handle = bn;
  p->f->http.arg = p;
  p->inner = p->f->http.http;
  static aq_httpc watched;
  watched = (aq_httpc){p, start, resume, cancel};
  aq_vapi_free(p->f->vapi);
  p->f->bn = aq_bn_new(&(aq_bn_cfg){
      .env = &p->f->env.env, .http = &p->f->http.http, .endpoints = urls, .endpoint_cnt = 2, .headers = {&token, 1}});
  p->f->vapi = aq_vapi_new(
      &(aq_vapi_cfg){.env = &p->f->env.env, .http = &watched, .bn = p->f->bn, .lock = &p->f->lock, .version = "v1"});
  return p;
}

static void proxy_free(proxy *p) {
  aq_buf_free(&p->body);
  fv_free(p->f);
  free(p);
}

/* Goal: method, target as received, end-to-end headers and body reach the beacon node, with its own header and
   credentials; its status, headers and body come back.
   Method: one request with everything; the same for another status. */
static void test_passes(void **state) {
  (void)state;
  proxy *p = proxy_new();
  fake_req q = {.method = "PUT",
                .target = "/eth/v1/echo/a%2Fb?topics=x&y=%20",
                .header = {{"Accept", "application/json;q=1"},
                           {"Content-Type", "text/special"},
                           {"Eth-Consensus-Version", "electra"},
                           {"Content-Encoding", "gzip"},
                           {"connection", "keep-alive"},
                           {"Host", "node:3600"},
                           {"Expect", "100-continue"},
                           {"Content-Length", "4"},
                           {"X-Any", "1"}},
                .header_cnt = 9,
                .body = aq_bytes_str("body")};
  fake_res *r = fv_wait(p->f, fake_send(aq_vapi_handler(p->f->vapi), &q));
  assert_string_equal(p->method, "PUT");
  assert_string_equal(p->url, "http://user:pass@bn/base/eth/v1/echo/a%2Fb?topics=x&y=%20");
  assert_string_equal(p->headers,
                      "X-Token: secret\nAccept: application/json;q=1\nContent-Type: text/special\n"
                      "Eth-Consensus-Version: electra\nContent-Encoding: gzip\nX-Any: 1\n");
  assert_bytes(aq_buf_bytes(&p->body), aq_bytes_str("body"));
  assert_int_equal(p->timeout_ns, AQ_VAPI_CALL_NS);
  assert_string_equal(fake_header(r, "Content-Type"), "text/event");
  assert_string_equal(fake_header(r, "X-From-Beacon"), "yes");
  expect(r, 200, "the body");
  expect(fv_get(p->f, "/eth/v1/echo/400"), 400, "the body");
  expect(fv_get(p->f, "/eth/v1/none"), 404, "no such route");
  assert_true(aq_metric_value(AQ_M_API_REQUESTS_TOTAL, AQ_LABELS("proxy", "400")) == 1);
  proxy_free(p);
}

static void count_series(void *arg, const char *const *label, double value, uint64_t cnt) {
  (void)label, (void)value;
  *(uint64_t *)arg += cnt;
}

/* Goal: latencies have Charon's label, a bounded one (core.md 13.4): no roots, numbers, ids, no path that nobody has.
   Method: paths of each kind, refused and foreign ones. */
static void test_latency(void **state) {
  (void)state;
  static const char *const paths[][2] = {{"/eth/v1/echo/0xabcd/x", "eth_v1_echo_{hex}_x"},
                                         {"/eth/v1//echo/17/", "eth_v1_echo_{n}"},
                                         {"/eth/v1/echo/peers/16Uiu2HA", "eth_v1_echo_peers_{peer_id}"},
                                         {"/eth/v1/echo/peers", "eth_v1_echo_peers"}};
  proxy *p = proxy_new();
  uint64_t all = 0;
  for (size_t i = 0; i < AQ_COUNT(paths); i++) {
    expect(fv_wait(p->f, fv_get(p->f, paths[i][0])), 200, "the body");
    double seconds = aq_metric_value(AQ_M_CORE_VALIDATORAPI_PROXY_REQUEST_LATENCY_SECONDS, AQ_LABELS(paths[i][1]));
    if (!(seconds >= 0.005 && seconds < 0.006)) fail_msg("%s: %f s", paths[i][1], seconds);
  }
  expect(fv_wait(p->f, fv_get(p->f, "/eth/v1/echo/400")), 400, "the body");
  expect(fv_wait(p->f, fv_get(p->f, "/other/echo")), 200, "the body");
  char longest[400];
  snprintf(longest, sizeof longest, "/eth/v1/echo/%0300d/x/%070d", 0, 0);
  expect(fv_wait(p->f, fv_get(p->f, longest)), 200, "the body");
  aq_metric_each(AQ_M_CORE_VALIDATORAPI_PROXY_REQUEST_LATENCY_SECONDS, count_series, &all);
  assert_int_equal(all, AQ_COUNT(paths) + 1);
  proxy_free(p);
}

/* Goal: a beacon node that is down, silent or breaks off gives 502, or ends what began.
   Method: a refused connection, the time limit, and an end after the head. */
static void test_upstream_fails(void **state) {
  (void)state;
  proxy *p = proxy_new();
  fake_res *r = fv_get(p->f, "/refuse");
  assert_string_equal(fake_header(r, "Content-Type"), "text/plain; charset=utf-8");
  assert_string_equal(fake_header(r, "X-Content-Type-Options"), "nosniff");
  expect(r, 502, "upstream error\n");
  r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  fake_env_run_for(&p->f->env, AQ_VAPI_CALL_NS - 1);
  assert_int_equal(r->code, 0);
  fake_env_run_for(&p->f->env, 1);
  expect(r, 502, "upstream error\n");
  r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  fake_http_open(p->ex, 200);
  fake_http_chunk(p->ex, "half");
  fake_http_fail(p->ex, 0, AQ_E_CLOSED);
  fake_env_drain(&p->f->env);
  assert_true(r->ended);
  expect(r, 200, "half");
  proxy_free(p);
}

/* Goal: an answer is handed on chunk by chunk, a slow client stops the source and starts it again.
   Method: the client's buffer fills and drains while chunks come. */
static void test_back_pressure(void **state) {
  (void)state;
  proxy *p = proxy_new();
  fake_res *r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  fake_http_open(p->ex, 200);
  assert_true(r->streamed && r->code == 200 && !r->ended);
  assert_true(p->ex->cb.data(p->ex->cb.arg, aq_bytes_str("one ")));
  assert_int_equal(r->writes, 1);
  r->full = true;
  assert_false(p->ex->cb.data(p->ex->cb.arg, aq_bytes_str("two ")));
  assert_int_equal(p->resumed, 0);
  fake_drain(r);
  assert_int_equal(p->resumed, 1);
  assert_int_equal(p->resumed_id, p->ex->id);
  assert_true(p->ex->cb.data(p->ex->cb.arg, aq_bytes_str("three")));
  fake_http_fail(p->ex, 0, AQ_OK);
  fake_env_drain(&p->f->env);
  assert_true(r->ended);
  expect(r, 200, "one two three");
  proxy_free(p);
}

/* Goal: event streams have no time limit, and end when either side ends. Method: an hour; the client leaves; again, the
   beacon node does. */
static void test_events(void **state) {
  (void)state;
  proxy *p = proxy_new();
  for (int turn = 0; turn < 2; turn++) {
    fake_res *r = fv_send(p->f, "GET", "/eth/v1/events?topics=head,block", NULL, NULL, aq_bytes_of("", 0));
    assert_int_equal(p->timeout_ns, 0);
    assert_non_null(strstr(p->url, "/eth/v1/events?topics=head,block"));
    fake_http_open(p->ex, 200);
    fake_http_chunk(p->ex, "event: head\n\n");
    fake_env_run_for(&p->f->env, AQ_SECONDS(3600));
    fake_http_chunk(p->ex, "event: block\n\n");
    assert_false(r->ended);
    uint64_t cancelled = p->f->http.cancel_cnt;
    if (turn == 0) {
      fake_leave(r);
      assert_int_equal(p->f->http.cancel_cnt, cancelled + 1);
    } else {
      fake_http_fail(p->ex, 0, AQ_E_CLOSED);
      fake_env_drain(&p->f->env);
      assert_true(r->ended);
    }
    expect(r, 200, "event: head\n\nevent: block\n\n");
  }
  proxy_free(p);
}

/* Goal: a client that leaves before the head cancels the request. Method: leaves; then the node stops with one open. */
static void test_gone(void **state) {
  (void)state;
  proxy *p = proxy_new();
  fake_res_free(fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0)));
  assert_int_equal(p->f->http.cancel_cnt, 1);
  assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
  fake_res *r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  fake_leave(r); /* the server goes first and tells all its clients' requests */
  fake_res_free(r);
  proxy_free(p);
}

/* Goal: without beacon node everything else is not found. Method: contract.md 4.4, text and series. */
static void test_no_beacon_node(void **state) {
  static const char *const targets[] = {"/", "/eth/v1/beacon/genesis", "/v1/tx/plain", "/metrics",
                                        "/eth/v1/validator/beacon_committee_subscriptions"};
  (void)state;
  fv *f = fv_new(&(fv_cfg){.no_bn = true});
  for (size_t i = 0; i < AQ_COUNT(targets); i++) {
    fake_res *r = fv_post_json(f, targets[i], NULL, "{}");
    assert_string_equal(fake_header(r, "Content-Type"), "text/plain; charset=utf-8");
    assert_string_equal(fake_header(r, "X-Content-Type-Options"), "nosniff");
    expect(r, 404, "404 page not found\n");
  }
  assert_true(aq_metric_value(AQ_M_API_REQUESTS_TOTAL, AQ_LABELS("proxy", "404")) == 4);
  assert_int_equal(f->line_cnt, AQ_COUNT(targets));
  fv_free(f);
}

/* Goal: subscriptions reach every beacon node; the answer is the first good one, or the most telling refusal.
   Method: two beacon nodes; then both down. */
static void test_subscriptions(void **state) {
  static const char *const targets[] = {"/eth/v1/validator/beacon_committee_subscriptions",
                                        "/eth/v1/validator/sync_committee_subscriptions"};
  (void)state;
  proxy *p = proxy_new();
  for (size_t i = 0; i < AQ_COUNT(targets); i++) {
    char url[128];
    expect(fv_post_json(p->f, targets[i], NULL, "[{\"validator_index\":\"10\"}]"), 200, "");
    snprintf(url, sizeof url, "POST http://bn2%s", targets[i]);
    assert_int_equal(fake_http_count(&p->f->http, url), 1);
    snprintf(url, sizeof url, "POST http://user:pass@bn/base%s", targets[i]);
    assert_int_equal(fake_http_count(&p->f->http, url), 1);
  }
  assert_int_equal(p->f->post_cnt, 4);
  assert_bytes(aq_buf_bytes(&p->f->post[3].body), aq_bytes_str("[{\"validator_index\":\"10\"}]"));
  p->f->bn_down = true;
  expect(fv_post_json(p->f, targets[0], NULL, "[]"), 502, "no beacon node took the subscription");
  fake_res *r = fv_send(p->f, "POST", targets[0], NULL, NULL, aq_bytes_str("[]"));
  fake_res_free(r); /* gone */
  assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
  proxy_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_passes),         cmocka_unit_test(test_latency),
                                     cmocka_unit_test(test_upstream_fails), cmocka_unit_test(test_back_pressure),
                                     cmocka_unit_test(test_events),         cmocka_unit_test(test_gone),
                                     cmocka_unit_test(test_no_beacon_node), cmocka_unit_test(test_subscriptions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
