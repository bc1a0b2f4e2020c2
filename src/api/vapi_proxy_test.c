/* The proxy and the subscriptions. validator-api.md 13 and 18.7, contract.md 4.4. */
#include "aq_test.h"

#include "api/vapi_internal.h"

#include "beacon/bn_internal.h"
#include "fake/vapi.h"

typedef struct {
  fv *f;
  fake_ex *ex; /* the request that waits for its answer */
  char method[16], url[512], headers[2048];
  aq_buf body;
  uint64_t timeout_ns, silence_ns;
  aq_httpc_pool pool;
  fake_httpc own;
  int first; /* what the first beacon node does: two, late_first */
} proxy;

static void expect(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

/* Sees what the proxy asks of its HTTP client. */
static void watch(void *arg, const fake_ex *ex) {
  proxy *p = arg;
  const aq_httpc_req *req = ex->asked;
  aq_buf text = AQ_BUF(sizeof p->headers - 1);
  if (ex->from != &p->own) return;
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
  p->silence_ns = req->silence_ns;
  p->pool = req->pool;
}

static void bn(void *arg, fake_ex *ex) {
  proxy *p = arg;
  if (strstr(ex->url, "/echo"))
    fake_http_answer_h(ex, AQ_MILLIS(5), strstr(ex->url, "400") ? 400 : 200, "text/event", aq_bytes_str("the body"),
                       "X-From-Beacon", "yes");
  else if (strstr(ex->url, "/refuse"))
    fake_http_fail(ex, AQ_MILLIS(5), AQ_E_CLOSED);
  else if (strstr(ex->url, "/mute"))
    return;
  else if (strstr(ex->url, "/wait") || strstr(ex->url, "/eth/v1/events"))
    p->ex = ex;
  else
    fake_bn_handle(&p->f->beacon, ex);
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
  p->f->http.started = watch;
  fake_http_client(&p->f->http, &p->own, p);
  aq_vapi_free(p->f->vapi);
  p->f->bn = aq_bn_new(&(aq_bn_cfg){
      .env = &p->f->env.env, .http = &p->f->http.http, .endpoints = urls, .endpoint_cnt = 2, .headers = {&token, 1}});
  p->f->vapi = aq_vapi_new(&(aq_vapi_cfg){
      .env = &p->f->env.env, .http = &p->own.http, .bn = p->f->bn, .lock = &p->f->lock, .version = "v1"});
  return p;
}

static void proxy_free(proxy *p) {
  aq_buf_free(&p->body);
  fv_free(p->f);
  free(p);
}

static const char liveness[] = "/eth/v1/validator/liveness/7"; /* a POST that is forwarded */

/* Goal: the normal form of the path, the query as received, end-to-end headers and body reach the beacon node, with its
   own header and credentials and nobody else's; its status, end-to-end headers and body come back.
   Method: one request with everything; hop-by-hop headers and those that Connection names both ways. */
static void test_passes(void **state) {
  (void)state;
  proxy *p = proxy_new();
  fake_req q = {.method = "GET",
                .target = "//eth/v1/x/../echo/a%2Fb/?topics=x&y=%20",
                .header = {{"Accept", "application/json;q=1"},
                           {"Content-Type", "text/special"},
                           {"Eth-Consensus-Version", "electra"},
                           {"Content-Encoding", "gzip"},
                           {"connection", "keep-alive, X-Mine,x-other"},
                           {"X-Mine", "1"},
                           {"X-Other", "1"},
                           {"Host", "node:3600"},
                           {"Expect", "100-continue"},
                           {"Content-Length", "4"},
                           {"Authorization", "Bearer client"},
                           {"x-token", "client"},
                           {"X-HTTP-Method-Override", "POST"},
                           {"X-Original-URL", "/eth/v2/beacon/blocks"},
                           {"x-rewrite-url", "/eth/v2/beacon/blocks"},
                           {"X-Any", "1"}},
                .header_cnt = 16,
                .body = aq_bytes_str("body")};
  fake_res *r = fv_wait(p->f, fake_send(aq_vapi_handler(p->f->vapi), &q));
  assert_string_equal(p->method, "GET");
  assert_string_equal(p->url, "http://user:pass@bn/base/eth/v1/echo/a/b?topics=x&y=%20");
  assert_string_equal(p->headers,
                      "X-Token: secret\nAccept: application/json;q=1\nContent-Type: text/special\n"
                      "Eth-Consensus-Version: electra\nContent-Encoding: gzip\nX-Any: 1\n");
  assert_int_equal(p->body.len, 0); /* some servers believe a body that a GET has */
  assert_true(p->timeout_ns == 0 && p->silence_ns == AQ_VAPI_CALL_NS && p->pool == AQ_HTTPC_PROXY);
  assert_string_equal(fake_header(r, "Content-Type"), "text/event");
  assert_string_equal(fake_header(r, "X-From-Beacon"), "yes");
  expect(r, 200, "the body");
  expect(fv_get(p->f, "/eth/v1/echo/400"), 400, "the body");
  expect(fv_get(p->f, "/eth/v1/none"), 404, "no such route");
  assert_true(aq_metric_value(AQ_M_API_REQUESTS_TOTAL, AQ_LABELS("proxy", "400")) == 1);
  fake_res_free(fv_post_json(p->f, liveness, NULL, "[\"1\"]"));
  assert_string_equal(p->method, "POST");
  assert_bytes(aq_buf_bytes(&p->body), aq_bytes_str("[\"1\"]"));
  r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  const aq_http_header back[] = {{"Connection", "X-Hop"}, {"X-Hop", "1"},     {"Keep-Alive", "1"}, {"Set-Cookie", "a"},
                                 {"Set-Cookie", "b"},     {"X-Whole", "yes"}, {"Upgrade", "h2c"},  {"TE", "x"}};
  fake_http_open_h(p->ex, 200, &(aq_http_headers){back, AQ_COUNT(back)});
  assert_int_equal(r->header_cnt, 3);
  assert_string_equal(fake_header(r, "X-Whole"), "yes");
  assert_string_equal(r->header[1][1], "b");
  fake_res_free(r);
  proxy_free(p);
}

static const struct {
  const char *method, *target;
  int code; /* 0: as the plain form of the route */
} odd_paths[] = {{"POST", "//eth/v2/beacon/pool/attestations", 0},
                 {"POST", "/eth//v2/beacon/pool/attestations", 0},
                 {"POST", "/eth/v2/beacon/pool/attestations/", 0},
                 {"POST", "/eth/v2/beacon/pool/attestations///", 0},
                 {"POST", "/eth/v2/beacon%2fpool%2Fattestations", 0},
                 {"POST", "/eth/v2/%62eacon/pool/attestations", 0},
                 {"POST", "/eth/v2/./beacon/pool/attestations/.", 0},
                 {"POST", "/eth/v1/../v2/beacon/pool/attestations", 0},
                 {"POST", "/../../eth/v2/beacon/pool/attestations", 0},
                 {"POST", "/eth/v2/%2e%2e/v2/beacon/pool/attestations", 0},
                 {"POST", "/eth/v2/x%2f%2e%2e%2Fbeacon/pool/attestations", 0},
                 {"POST", "/eth/v2/beacon%252fpool/attestations", 400},
                 {"POST", "/eth/v2/beacon/pool/attestations;x=1", 400},
                 {"POST", "/eth/v2/beacon\\pool\\attestations", 400},
                 {"POST", "/eth/v2/beacon/pool/attestations%20", 400},
                 {"POST", "/eth/v2/beacon/pool/attestations%C0%AF", 400},
                 {"POST", "eth/v2/beacon/pool/attestations", 400},
                 {"POST", "*", 400},
                 {"POST", "/eth/v3/beacon/pool/attestations", 404},
                 {"POST", "/eth/v1alpha1/validator/attestation", 404},
                 {"POST", "/ETH/v2/beacon/pool/attestations", 404},
                 {"POST", "/base/eth/v2/beacon/pool/attestations", 404},
                 {"POST", "/eth/v3/beacon/blocks", 404},
                 {"POST", "/eth/v3/beacon/blinded_blocks", 404},
                 {"POST", "/eth/v2/beacon/pool/sync_committees", 404},
                 {"POST", "/eth/v1/beacon/pool/bls_to_execution_changes", 404},
                 {"POST", "/eth/v1/beacon/pool/attester_slashings", 404},
                 {"POST", "/eth/v3/validator/aggregate_and_proofs", 404},
                 {"POST", "/eth/v2/validator/contribution_and_proofs", 404},
                 {"POST", "/eth/v2/validator/beacon_committee_selections", 404},
                 {"POST", "/eth/v2/validator/register_validator", 404},
                 {"POST", "/eth/v1/beacon/genesis", 404},
                 {"POST", "/", 404},
                 {"PUT", "/eth/v2/beacon/pool/attestations", 405},
                 {"PATCH", "/eth/v2/beacon/pool/attestations", 405},
                 {"DELETE", "/eth/v2/beacon/blocks", 405},
                 {"post", "/eth/v2/beacon/blocks", 405},
                 {"TRACE", "/eth/v1/beacon/genesis", 405},
                 {"TRACE", "/health", 405},
                 {"CONNECT", "/v1/duty", 405},
                 {"CONNECT", "/eth/v1/beacon/genesis", 405},
                 {"OPTIONS", "/eth/v1/beacon/genesis", 405},
                 {"GET", "/eth/v2/validator/aggregate_attestation", 501},
                 {"GET", "/eth/v1/validator/sync_committee_contribution", 501},
                 {"GET", "/eth/v3/validator/aggregate_attestation", 404},
                 {"GET", "/eth/v2/validator/attestation_data?slot=11&committee_index=0", 404},
                 {"GET", "/eth/v4/validator/blocks/13?randao_reveal=0x00", 404},
                 {"GET", "/ETH/v4/Validator/blocks/13?randao_reveal=0x00", 404},
                 {"HEAD", "/eth/v4/validator/blocks/13?randao_reveal=0x00", 404}};

/* Goal: no spelling of a request that belongs to the cluster reaches a beacon node: a partial signature would be there
   unrecorded. Method: what falls through is tried with every odd path, version and method; nothing is sent, and what is
   ours by its normal form is answered as ours. */
static void test_nothing_falls_through(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  fake_res *plain = fv_send(f, "POST", "/eth/v2/beacon/pool/attestations", "electra", NULL, aq_bytes_str("[0]"));
  assert_int_equal(plain->code, 400);
  for (size_t i = 0; i < AQ_COUNT(odd_paths); i++) {
    size_t asked = f->http.log_cnt;
    fake_res *r = fv_send(f, odd_paths[i].method, odd_paths[i].target, "electra", NULL, aq_bytes_str("[0]"));
    bool right = odd_paths[i].code ? r->code == odd_paths[i].code
                                   : r->code == 400 && strcmp(aq_buf_cstr(&r->body), aq_buf_cstr(&plain->body)) == 0;
    if (!right || f->http.log_cnt != asked)
      fail_msg("%s %s: %d %s, %zu requests", odd_paths[i].method, odd_paths[i].target, r->code, aq_buf_cstr(&r->body),
               f->http.log_cnt - asked);
    if (r->code == 405) assert_non_null(fake_header(r, "Allow"));
    fake_res_free(r);
  }
  fake_res_free(plain);
  fake_res *r = fv_send(f, "PUT", "/eth/v1/beacon/states/head/validators/", NULL, NULL, aq_bytes_of("", 0));
  assert_string_equal(fake_header(r, "Allow"), "GET, POST");
  fake_res_free(r);
  fv_free(f);
}

/* Goal: what clients and operators read still reaches the beacon node. Method: the calls that validator clients make
   (validator-api.md 13), and their forms that only normalise. */
static void test_reads_are_forwarded(void **state) {
  static const char *const gets[] = {"/eth/v1/beacon/genesis",
                                     "/eth/v1/config/spec",
                                     "/eth/v1/config/fork_schedule",
                                     "/eth/v1/node/syncing",
                                     "/eth/v1/node/health",
                                     "/eth/v1/node/peers/16Uiu2HAm",
                                     "/eth/v1/beacon/states/head/fork",
                                     "/eth/v1/beacon/states/0x21/finality_checkpoints",
                                     "/eth/v2/beacon/blocks/head",
                                     "/eth/v1/beacon/blocks/head/root",
                                     "/eth/v1/beacon/blinded_blocks/head",
                                     "/eth/v1/beacon/headers/head",
                                     "/eth/v1/beacon/pool/voluntary_exits",
                                     "/eth/v1/beacon/states/head/validator_balances?id=1",
                                     "/eth/v2/debug/beacon/heads",
                                     "/lighthouse/syncing",
                                     "/"};
  static const char *const posts[] = {"/eth/v1/validator/liveness/7", "/eth/v1/beacon/states/head/validator_balances",
                                      "/eth/v1/beacon/states/head/validator_identities",
                                      "/eth/v1/beacon/rewards/attestations/7"};
  (void)state;
  proxy *p = proxy_new();
  for (size_t i = 0; i < AQ_COUNT(gets) + AQ_COUNT(posts); i++) {
    const char *path = i < AQ_COUNT(gets) ? gets[i] : posts[i - AQ_COUNT(gets)];
    for (int head = 0; head <= (i < AQ_COUNT(gets)); head++) {
      const char *method = i >= AQ_COUNT(gets) ? "POST" : head ? "HEAD" : "GET";
      char line[256];
      fake_res_free(fv_wait(p->f, fv_send(p->f, method, path, NULL, NULL, aq_bytes_of("", 0))));
      snprintf(line, sizeof line, "%s http://user:pass@bn/base%s", method, path);
      if (fake_http_count(&p->f->http, line) == 0) fail_msg("%s was not forwarded", line);
    }
  }
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

/* Goal: beacon nodes that are all down or silent give 502, in the client's time.
   Method: refused connections, a POST among them, and the limit on silence, with two beacon nodes. */
static void test_upstream_fails(void **state) {
  (void)state;
  proxy *p = proxy_new();
  fake_res *r = fv_get(p->f, "/refuse");
  assert_string_equal(fake_header(r, "Content-Type"), "text/plain; charset=utf-8");
  assert_string_equal(fake_header(r, "X-Content-Type-Options"), "nosniff");
  expect(r, 502, "upstream error\n");
  assert_int_equal(fake_http_count(&p->f->http, "GET http://user:pass@bn/base/refuse"), 1);
  assert_int_equal(fake_http_count(&p->f->http, "GET http://bn2/refuse"), 1);
  p->f->beacon.gone = true;
  expect(fv_post_json(p->f, liveness, NULL, "[]"), 502, "upstream error\n");
  assert_int_equal(fake_http_count(&p->f->http, "/eth/v1/validator/liveness"), 2);
  assert_bytes(aq_buf_bytes(&p->body), aq_bytes_str("[]"));
  r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  fake_env_run_for(&p->f->env, AQ_VAPI_CALL_NS - 1);
  assert_int_equal(r->code, 0);
  fake_env_run_for(&p->f->env, 1);
  expect(r, 502, "upstream error\n");
  assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
  proxy_free(p);
}

/* Sends without a wait, then waits for the head, by milliseconds and to the end of the client's time. */
static fake_res *ask(proxy *p, bool post) {
  fake_res *r = post ? fv_send(p->f, "POST", liveness, NULL, "application/json", aq_bytes_str("[\"1\"]"))
                     : fv_send(p->f, "GET", "/eth/v1/x", NULL, NULL, aq_bytes_of("", 0));
  for (int i = 0; i < 11000 && r->code == 0; i++) fake_env_run_for(&p->f->env, AQ_MILLIS(1));
  return r;
}

/* Two beacon nodes, the first with an answer of its kind; the second answers. */
enum { REFUSES = 1, SAYS_NOTHING, SENDS_AWAY };

static void two(void *arg, fake_ex *ex) {
  proxy *p = arg;
  if (strstr(ex->url, "http://bn2")) {
    fake_http_answer(ex, AQ_MILLIS(30), 200, "\"second\"");
  } else if (p->first == REFUSES) {
    fake_http_fail(ex, AQ_MILLIS(1), AQ_E_CLOSED);
  } else if (p->first == SENDS_AWAY) {
    fake_http_answer_h(ex, AQ_MILLIS(1), 307, NULL, aq_bytes_of("", 0), "Location", "http://elsewhere/");
  } else if (p->first != SAYS_NOTHING) {
    fake_http_answer(ex, AQ_MILLIS(1), p->first, "\"first\"");
  }
}

/* Goal: however well the first beacon node did before, a client gets the next one's answer at once when it is down, in
   no state to answer or busy, soon when it is silent; then the next one is asked first, until the first is well again.
   POSTs, too; a verdict is handed on. Method: a hundred good answers, then each state; time and requests it took. */
static void test_by_health(void **state) {
  (void)state;
  static const struct {
    int first;
    uint64_t ms;
    const char *body;
  } cases[] = {{REFUSES, 31, "second"}, {SAYS_NOTHING, 2030, "second"},
               {503, 31, "second"},     {500, 31, "second"},
               {429, 31, "second"},     {401, 31, "second"},
               {200, 1, "first"},       {404, 1, "first"},
               {400, 1, "first"},       {SENDS_AWAY, 31, "second"},
               {501, 31, "second"},     {301, 31, "second"},
               {308, 31, "second"},     {300, 1, "first"},
               {309, 1, "first"}};
  for (size_t i = 0; i < 2 * AQ_COUNT(cases); i++) {
    proxy *p = proxy_new();
    bool post = i & 1, moved = strcmp(cases[i / 2].body, "second") == 0;
    p->f->http.handle = two;
    p->first = 200;
    for (int k = 0; k < 100; k++) expect(ask(p, false), 200, "first");
    p->first = cases[i / 2].first;
    uint64_t from_ns = fake_env_mono(&p->f->env);
    fake_res *r = ask(p, post);
    assert_int_equal((fake_env_mono(&p->f->env) - from_ns) / AQ_MILLIS(1), cases[i / 2].ms);
    expect(r, moved || cases[i / 2].first < 200 ? 200 : cases[i / 2].first, cases[i / 2].body);
    if (post) assert_bytes(aq_buf_bytes(&p->body), aq_bytes_str("[\"1\"]"));
    assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
    size_t asked = p->f->http.log_cnt;
    fake_res_free(ask(p, false));
    assert_int_equal(p->f->http.log_cnt - asked, 1);
    assert_int_equal(strstr(p->url, "bn2") != NULL, moved);
    proxy_free(p);
  }
}

/* Goal: a slow answer is not lost to a second question: who begins first answers, the other one is ended; and with two
   that are in no state to answer the client hears that.
   Method: the first begins after three and after five seconds, the second after four; 503 of both. */
static void late_first(void *arg, fake_ex *ex) {
  proxy *p = arg;
  bool second = strstr(ex->url, "http://bn2");
  fake_http_answer(ex, second ? AQ_SECONDS(2) : AQ_SECONDS((uint64_t)p->first), 200, second ? "second" : "first");
}

static void unready(void *arg, fake_ex *ex) {
  proxy *p = arg;
  if (strstr(ex->url, "http://bn2") && p->first == REFUSES)
    fake_http_fail(ex, AQ_MILLIS(1), AQ_E_CLOSED);
  else
    fake_http_answer(ex, AQ_MILLIS(1), 503, "\"syncing\"");
}

static void test_slow_first(void **state) {
  (void)state;
  proxy *p = proxy_new();
  p->f->http.handle = late_first;
  p->first = 3;
  expect(ask(p, false), 200, "first");
  assert_true(p->f->http.log_cnt == 2 && p->f->http.cancel_cnt == 1);
  assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
  p->first = 5;
  expect(ask(p, false), 200, "second");
  assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
  p->f->http.handle = unready;
  expect(ask(p, false), 503, "syncing");
  p->first = REFUSES;
  expect(ask(p, false), 503, "upstream error");
  proxy_free(p);
}

/* Goal: a client is never sent to a beacon node past this one. Method: a lone one that does so. */
static void test_lone(void **state) {
  (void)state;
  proxy *p = proxy_new();
  aq_bn_pass_over(&p->f->bn->ep[1], "another chain");
  p->f->http.handle = two;
  p->first = SENDS_AWAY;
  expect(ask(p, false), 502, "upstream error");
  p->first = 503;
  expect(ask(p, false), 503, "first");
  p->first = REFUSES;
  size_t asked = p->f->http.log_cnt;
  expect(ask(p, false), 502, "upstream error");
  assert_int_equal(p->f->http.log_cnt - asked, 2); /* it may have closed a kept connection */
  proxy_free(p);
}

/* Goal: a code that answers no request is no answer: no assertion, no status from it. Method: 0, 101, 103, 199, 600,
   a second head. */
static void test_odd_codes(void **state) {
  static const int codes[] = {0, 101, 103, 199, 600, 999};
  (void)state;
  proxy *p = proxy_new();
  for (size_t i = 0; i < AQ_COUNT(codes); i++) {
    fake_res *r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
    for (int node = 0; node < 2; node++) {
      fake_http_open(p->ex, codes[i]);
      fake_http_chunk(p->ex, "bytes of another protocol");
      fake_env_drain(&p->f->env);
    }
    expect(fv_wait(p->f, r), 502, "upstream error\n");
    assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
  }
  fake_res *r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  fake_http_open(p->ex, 200);
  fake_http_open(p->ex, 404);
  fake_http_fail(p->ex, 0, AQ_OK);
  fake_env_drain(&p->f->env);
  assert_true(r->ended && !r->cut);
  expect(r, 200, "");
  proxy_free(p);
}

/* Goal: an answer that breaks off does not look whole: the client's connection is cut. However long it takes, it may
   go on while bytes come.
   Method: an end by each status after the head; ten minutes of a chunk every nine seconds, then silence. */
static void test_breaks_off(void **state) {
  static const aq_status ends[] = {AQ_E_CLOSED, AQ_E_TIMEOUT, AQ_E_LIMIT, AQ_OK};
  (void)state;
  proxy *p = proxy_new();
  for (size_t i = 0; i < AQ_COUNT(ends); i++) {
    fake_res *r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
    fake_http_open(p->ex, 200);
    fake_http_chunk(p->ex, "half");
    fake_http_fail(p->ex, 0, ends[i]);
    fake_env_drain(&p->f->env);
    assert_true(r->ended && r->cut == (ends[i] != AQ_OK));
    expect(r, 200, "half");
  }
  fake_res *r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  fake_http_open(p->ex, 200);
  for (int i = 0; i < 66; i++) {
    fake_env_run_for(&p->f->env, AQ_SECONDS(9));
    assert_false(r->ended);
    fake_http_chunk(p->ex, ".");
  }
  fake_env_run_for(&p->f->env, AQ_VAPI_CALL_NS);
  assert_true(r->ended && r->cut);
  fake_res_free(r);
  proxy_free(p);
}

/* Goal: HEAD, 204 and 304 have no body, whatever the beacon node sends: it would be read as the next answer; HEAD of
   our own routes is their GET.
   Method: each with a body behind it, whole and broken off; the headers are there. */
static void test_bodiless(void **state) {
  static const struct {
    const char *method;
    int code;
  } cases[] = {{"HEAD", 200}, {"HEAD", 404}, {"GET", 204}, {"GET", 304}};
  (void)state;
  proxy *p = proxy_new();
  for (size_t i = 0; i < 2 * AQ_COUNT(cases); i++) {
    const aq_http_header tag[] = {{"ETag", "\"x\""}, {"Content-Length", "15"}};
    fake_res *r = fv_send(p->f, cases[i / 2].method, "/wait", NULL, NULL, aq_bytes_of("", 0));
    fake_http_open_h(p->ex, cases[i / 2].code, &(aq_http_headers){tag, 2});
    fake_http_chunk(p->ex, "HTTP/1.1 200 OK");
    fake_http_fail(p->ex, 0, i & 1 ? AQ_E_CLOSED : AQ_OK);
    fake_env_drain(&p->f->env);
    assert_true(r->ended && !r->streamed && r->body.len == 0 && r->code == cases[i / 2].code);
    assert_string_equal(fake_header(r, "etag"), "\"x\"");
    const char *length = fake_header(r, "content-length"); /* of what GET gives; 204 has none */
    assert_true(cases[i / 2].code == 204 ? !length : length && strcmp(length, "15") == 0);
    fake_res_free(r);
  }
  size_t asked = p->f->http.log_cnt;
  expect(fv_send(p->f, "HEAD", "/eth/v1/node/version", NULL, NULL, aq_bytes_of("", 0)), 200, "");
  assert_int_equal(p->f->http.log_cnt, asked);
  proxy_free(p);
}

/* Goal: a client is told the length of a body that streams through, as far as the beacon node knew it.
   Method: with and without chunks, for which a length beside them is void. */
static void test_length(void **state) {
  (void)state;
  proxy *p = proxy_new();
  for (size_t cnt = 1; cnt <= 2; cnt++) {
    const aq_http_header h[] = {{"Content-Length", "4"}, {"Transfer-Encoding", "chunked"}};
    fake_res *r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
    fake_http_open_h(p->ex, 200, &(aq_http_headers){h, cnt});
    fake_http_chunk(p->ex, "body");
    fake_http_fail(p->ex, 0, AQ_OK);
    fake_env_drain(&p->f->env);
    assert_true(r->ended && r->streamed && !r->cut && r->body.len == 4);
    const char *length = fake_header(r, "content-length");
    assert_true(cnt == 1 ? length && strcmp(length, "4") == 0 : !length);
    assert_null(fake_header(r, "transfer-encoding"));
    fake_res_free(r);
  }
  proxy_free(p);
}

/* Sends n requests of one client that get no answer yet. */
static void hold(proxy *p, fake_res **r, size_t n, const char *client, const char *agent) {
  for (size_t i = 0; i < n; i++) {
    fake_req q = {.method = "GET", .target = "/mute", .client = client};
    if (agent) q.header[q.header_cnt++] = (aq_http_header){"User-Agent", agent};
    r[i] = fake_send(aq_vapi_handler(p->f->vapi), &q);
  }
}

/* Goal: slow requests of one client leave connections and places to the others; beyond its share a client waits, beyond
   that it is told to come back; what ends makes room.
   Method: 400 requests that are never answered, of one address and program; then of another program, then of another
   address. */
static void test_budget(void **state) {
  enum { MANY = 400, OPEN = 8, WAITING = 48 };
  (void)state;
  proxy *p = proxy_new();
  fake_res *r[MANY], *other[2];
  hold(p, r, MANY, "10.0.0.1", "greedy");
  assert_int_equal(fake_http_open_cnt(&p->f->http), OPEN);
  for (size_t i = 0; i < MANY; i++) {
    if (r[i]->code == 0 && i < OPEN + WAITING) continue;
    assert_int_equal(r[i]->code, 503);
    assert_non_null(fake_header(r[i], "Retry-After"));
  }
  hold(p, &other[0], 1, "10.0.0.1", "modest");
  hold(p, &other[1], 1, "10.0.0.2", "greedy");
  assert_int_equal(fake_http_open_cnt(&p->f->http), OPEN + 2);
  fake_res_free(other[0]);
  fake_leave(r[0]);
  fake_env_drain(&p->f->env);
  assert_int_equal(fake_http_open_cnt(&p->f->http), OPEN + 1); /* the next of the first client */
  fake_res *events = fv_send(p->f, "GET", "/eth/v1/events?topics=head", NULL, NULL, aq_bytes_of("", 0));
  fake_env_drain(&p->f->env);
  assert_int_equal(fake_http_count(&p->f->http, "/eth/v1/events"), 1);
  fake_env_run_for(&p->f->env, AQ_VAPI_CALL_NS); /* nobody waits for ever */
  for (size_t i = 1; i < MANY; i++) assert_int_not_equal(r[i]->code, 0);
  for (size_t i = 0; i < MANY; i++) fake_res_free(r[i]);
  fake_res_free(other[1]);
  fake_res_free(events);
  proxy_free(p);
}

/* Goal: any number of programs holds no more than the whole budget, and none of what subscriptions have. Method: forty
   of them; then more subscriptions at once than one program may have. */
static void test_budget_in_all(void **state) {
  enum { CLIENTS = 40, EACH = 10, OPEN_MAX = 24, OPEN_EACH = 8, WAITING_MAX = 96 };
  (void)state;
  proxy *p = proxy_new();
  fake_res *r[CLIENTS * EACH], *sub[OPEN_EACH + 1];
  for (size_t i = 0; i < CLIENTS; i++) {
    char agent[16];
    snprintf(agent, sizeof agent, "%zu", i);
    hold(p, r + i * EACH, EACH, NULL, agent);
  }
  size_t kept = 0;
  for (size_t i = 0; i < CLIENTS * EACH; i++) kept += r[i]->code == 0;
  assert_int_equal(fake_http_open_cnt(&p->f->http), OPEN_MAX);
  assert_int_equal(kept, OPEN_MAX + WAITING_MAX);
  for (size_t i = 0; i < AQ_COUNT(sub); i++)
    sub[i] = fv_send(p->f, "POST", "/eth/v1/validator/beacon_committee_subscriptions", NULL, NULL, aq_bytes_str("[]"));
  for (size_t i = 0; i < AQ_COUNT(sub); i++) {
    assert_int_equal(fv_wait(p->f, sub[i])->code, i < OPEN_EACH ? 200 : 503);
    fake_res_free(sub[i]);
  }
  for (size_t i = 0; i < CLIENTS * EACH; i++) fake_res_free(r[i]);
  proxy_free(p);
}

/* Goal: a client that does not read gives its connection back. Method: its buffer stays full for half a minute. */
static void test_stalled(void **state) {
  (void)state;
  proxy *p = proxy_new();
  fake_res *r = fv_send(p->f, "GET", "/wait", NULL, NULL, aq_bytes_of("", 0));
  fake_http_open(p->ex, 200);
  r->full = true;
  for (int i = 0; i < 4; i++) {
    assert_false(r->ended);
    fake_http_chunk(p->ex, "data");
    fake_drain(r);
    r->full = true;
    fake_env_run_for(&p->f->env, AQ_SECONDS(9));
  }
  fake_http_chunk(p->ex, "data");
  p->ex->silence_ns = 0;
  fake_http_fail(p->ex, AQ_SECONDS(100), AQ_OK);
  fake_env_run_for(&p->f->env, AQ_SECONDS(30));
  assert_true(r->ended && r->cut);
  assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
  fake_res_free(r);
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
  assert_int_equal(p->f->http.resume_cnt, 0);
  fake_drain(r);
  assert_int_equal(p->f->http.resume_cnt, 1);
  assert_int_equal(p->f->http.resumed_id, p->ex->id);
  assert_true(p->ex->cb.data(p->ex->cb.arg, aq_bytes_str("three")));
  fake_http_fail(p->ex, 0, AQ_OK);
  fake_env_drain(&p->f->env);
  assert_true(r->ended);
  expect(r, 200, "one two three");
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
  assert_int_equal(p->f->beacon.post_cnt, 4);
  assert_bytes(aq_buf_bytes(&p->f->beacon.post[3].body), aq_bytes_str("[{\"validator_index\":\"10\"}]"));
  p->f->beacon.gone = true;
  expect(fv_post_json(p->f, targets[0], NULL, "[]"), 502, "no beacon node took the subscription");
  fake_res *r = fv_send(p->f, "POST", targets[0], NULL, NULL, aq_bytes_str("[]"));
  fake_res_free(r); /* gone */
  assert_int_equal(fake_http_open_cnt(&p->f->http), 0);
  proxy_free(p);
}

/* Goal: a beacon node that is restarted gets the subscriptions of coming duties again, not a client's next epoch later.
   Method: two posts, one of them twice, one that is refused; asked for once more, while that is under way, and when
   their duties are over. */
static void test_subscribed_again(void **state) {
  static const char target[] = "/eth/v1/validator/beacon_committee_subscriptions";
  (void)state;
  proxy *p = proxy_new();
  fv *f = p->f;
  aq_vapi_ready(f->vapi, &f->chain, NULL);
  expect(fv_post_json(f, target, NULL, "[1]"), 200, "");
  expect(fv_post_json(f, target, NULL, "[2]"), 200, "");
  expect(fv_post_json(f, target, NULL, "[1]"), 200, "");
  f->beacon.gone = true;
  expect(fv_post_json(f, target, NULL, "[3]"), 502, "no beacon node took the subscription");
  f->beacon.gone = false;
  size_t before = f->beacon.post_cnt;
  aq_vapi_subscribe_again(f->vapi);
  fake_env_run_for(&f->env, AQ_SECONDS(2));
  assert_int_equal(f->beacon.post_cnt, before + 4); /* each to both beacon nodes, one after the other */
  assert_bytes(aq_buf_bytes(&f->beacon.post[before].body), aq_bytes_str("[2]"));
  assert_bytes(aq_buf_bytes(&f->beacon.post[before + 3].body), aq_bytes_str("[1]"));
  aq_vapi_subscribe_again(f->vapi);
  aq_vapi_subscribe_again(f->vapi);
  fake_env_run_for(&f->env, AQ_SECONDS(2));
  assert_true(f->beacon.post_cnt >= before + 8 && f->beacon.post_cnt <= before + 10);
  before = f->beacon.post_cnt;
  fake_env_run_for(&f->env, 2 * FV_SPE * f->chain.clock.slot_ns);
  aq_vapi_subscribe_again(f->vapi);
  fake_env_run_for(&f->env, AQ_SECONDS(2));
  assert_int_equal(f->beacon.post_cnt, before);
  expect(fv_post_json(f, target, NULL, "[4]"), 200, "");
  aq_vapi_subscribe_again(f->vapi); /* under way at the end */
  proxy_free(p);
}

/* Goal: what is kept has bounds. Method: more posts than are kept, then ones that are larger together. */
static void test_subscriptions_kept(void **state) {
  static const char target[] = "/eth/v1/validator/beacon_committee_subscriptions";
  (void)state;
  proxy *p = proxy_new();
  fv *f = p->f;
  aq_buf body = AQ_BUF(4 << 20);
  aq_vapi_ready(f->vapi, &f->chain, NULL);
  for (uint32_t i = 0; i < 140; i++) {
    aq_buf_reset(&body);
    aq_buf_printf(&body, "[%u]", i);
    fake_res_free(fv_post_json(f, target, NULL, aq_buf_cstr(&body)));
  }
  assert_int_equal(f->vapi->kept_cnt, 128);
  for (uint32_t i = 0; i < 5; i++) {
    aq_buf_reset(&body);
    aq_buf_printf(&body, "[%u", i);
    for (uint32_t k = 0; k < 500000; k++) aq_buf_put_u8(&body, ' ');
    aq_buf_put_u8(&body, ']');
    fake_res_free(fv_post_json(f, target, NULL, aq_buf_cstr(&body)));
    assert_true(f->vapi->kept_bytes <= 2 << 20 && f->vapi->kept_cnt > 0);
  }
  assert_int_equal(f->vapi->kept_cnt, 4);
  aq_buf_free(&body);
  proxy_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_passes),
                                     cmocka_unit_test(test_nothing_falls_through),
                                     cmocka_unit_test(test_latency),
                                     cmocka_unit_test(test_reads_are_forwarded),
                                     cmocka_unit_test(test_upstream_fails),
                                     cmocka_unit_test(test_odd_codes),
                                     cmocka_unit_test(test_breaks_off),
                                     cmocka_unit_test(test_bodiless),
                                     cmocka_unit_test(test_length),
                                     cmocka_unit_test(test_budget),
                                     cmocka_unit_test(test_budget_in_all),
                                     cmocka_unit_test(test_stalled),
                                     cmocka_unit_test(test_back_pressure),
                                     cmocka_unit_test(test_gone),
                                     cmocka_unit_test(test_no_beacon_node),
                                     cmocka_unit_test(test_subscriptions),
                                     cmocka_unit_test(test_by_health),
                                     cmocka_unit_test(test_slow_first),
                                     cmocka_unit_test(test_lone),
                                     cmocka_unit_test(test_subscribed_again),
                                     cmocka_unit_test(test_subscriptions_kept)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
