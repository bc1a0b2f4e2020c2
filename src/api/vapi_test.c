/* The server's own routes, what every route shares, and the routes that do nothing or come later. */
#include "aq_test.h"

#include "api/vapi_internal.h"

#include "fake/vapi.h"

static fv *electra(void) { return fv_new(&(fv_cfg){.fork = AQ_ELECTRA}); }

static void expect(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

static void expect_body(fake_res *r, int code, const char *body) {
  assert_int_equal(r->code, code);
  assert_string_equal(aq_buf_cstr(&r->body), body);
  fake_res_free(r);
}

/* Goal: /health is exactly `ok` while the node works, whatever it waits for, and says why when it does not.
   Method: no beacon node at all; every method; then unhealthy and back (contract.md 4.1). */
static void test_health(void **state) {
  static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
  (void)state;
  fv *f = fv_new(&(fv_cfg){.no_bn = true});
  for (size_t i = 0; i < AQ_COUNT(methods); i++)
    expect_body(fv_send(f, methods[i], "/health", NULL, NULL, aq_bytes_of("", 0)), 200, "ok");
  aq_vapi_unhealthy(f->vapi, "the store is gone");
  expect_body(fv_get(f, "/health"), 503, "the store is gone");
  aq_vapi_unhealthy(f->vapi, NULL);
  expect_body(fv_get(f, "/health"), 200, "ok");
  expect_body(fv_get(f, "//health/"), 200, "ok"); /* one normal form of paths */
  expect_body(fv_get(f, "/healthy"), 404, "404 page not found\n");
  assert_int_equal(aq_vapi_last_request_ns(f->vapi), fake_env_mono(&f->env));
  fv_free(f);
}

/* Goal: probes of the runbook are no validator client. Method: the readiness time stamp after /health and /v1/duty. */
static void test_last_request(void **state) {
  (void)state;
  fv *f = electra();
  fake_res_free(fv_get(f, "/health"));
  fake_res_free(fv_post_json(f, "/v1/duty", NULL, "{}"));
  assert_int_equal(aq_vapi_last_request_ns(f->vapi), 0);
  fake_res_free(fv_get(f, "/eth/v1/node/version"));
  assert_int_equal(aq_vapi_last_request_ns(f->vapi), fake_env_mono(&f->env));
  fv_free(f);
}

/* Goal: every code of contract.md 4.2 with its text, and the headers that go with it.
   Method: one body each, as the Go node's tests have them. */
static void test_duty_codes(void **state) {
  static const struct {
    const char *body;
    int code;
    const char *text;
  } cases[] = {
      {"", 400, "empty body\n"},
      {"{}", 400, "empty\n"},
      {"nonsense", 400, "invalid json\n"},
      {"[]", 400, "invalid json\n"},
      {"null", 400, "invalid json\n"},
      {"{\"type\":\"attester\"", 400, "invalid json\n"},
      {"{\"type\":\"builder\"}", 400, "invalid type\n"},
      {"{\"type\":7}", 400, "invalid type\n"},
      {"{\"height\":1}", 400, "invalid type\n"},
      {"{\"type\":\"attester\",\"height\":4611686018427387905}", 400, "height out of range\n"},
      {"{\"type\":\"attester\",\"height\":-1}", 400, "height out of range\n"},
      {"{\"type\":\"attester\",\"height\":\"x\"}", 400, "height out of range\n"},
      {"{\"type\":\"attester\",\"height\":1,\"round\":1099511627777}", 400, "round out of range\n"},
      {"{\"type\":\"sync\",\"height\":11}", 400, "no such duty in this slot\n"},
      {"{\"type\":\"attester\",\"height\":12}", 400, "no such duty in this slot\n"},
      {"{\"type\":\"attester\",\"height\":4611686018427387904}", 503, "not ready\n"},
  };
  (void)state;
  fv *f = electra();
  fake_res_free(fv_get(f, "/eth/v1/beacon/states/head/validators"));
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    fake_res *r = fv_post_json(f, "/v1/duty", NULL, cases[i].body);
    assert_string_equal(fake_header(r, "content-type"), "text/plain; charset=utf-8");
    assert_string_equal(fake_header(r, "x-content-type-options"), "nosniff");
    if (r->code != cases[i].code) fail_msg("%s: %d", cases[i].body, r->code);
    expect_body(r, cases[i].code, cases[i].text);
  }
  fake_res *r = fv_get(f, "/v1/duty");
  assert_string_equal(fake_header(r, "allow"), "POST");
  expect_body(r, 405, "method not allowed\n");
  char *large = calloc(1, AQ_VAPI_SMALL_MAX + 2);
  memset(large, ' ', AQ_VAPI_SMALL_MAX + 1);
  expect_body(fv_post_json(f, "/v1/duty", NULL, large), 400, "read error\n");
  large[AQ_VAPI_SMALL_MAX] = 0;
  expect_body(fv_post_json(f, "/v1/duty", NULL, large), 400, "invalid json\n");
  free(large);
  fv_free(f);
}

/* Goal: a posted duty runs through the scheduler's own entry, at most once; real networks and nodes that are not up
   say so.
   Method: the slot's attester duty posted at its start and again, before its own moment. */
static void test_duty_runs(void **state) {
  static const char attest[] = "{\"type\":\"attester\",\"height\":11,\"round\":3,\"payload\":{\"any\":[1]},\"more\":1}";
  (void)state;
  fv *f = electra();
  fv_run_to(f, FV_ATTEST, 0);
  expect_body(fv_send(f, "POST", "/v1/duty", NULL, NULL, aq_bytes_str(attest)), 202, "");
  expect_body(fv_send(f, "POST", "/v1/duty", NULL, NULL, aq_bytes_str(attest)), 202, "");
  fv_run_to(f, FV_ATTEST, AQ_SECONDS(2));
  assert_int_equal(fake_http_count(&f->http, "attestation_data?slot=11"), 1);
  assert_non_null(aq_dutydb_attestation(aq_workflow_dutydb(f->workflow), FV_ATTEST, 0).ptr);
  fv_run_to(f, FV_ATTEST, AQ_SECONDS(6));
  assert_int_equal(fake_http_count(&f->http, "attestation_data?slot=11"), 1);
  fv_free(f);
  f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA, .real_network = true});
  expect_body(fv_post_json(f, "/v1/duty", NULL, attest), 403, "duty injection is for simulated networks\n");
  fv_free(f);
  f = fv_new(&(fv_cfg){.no_bn = true});
  expect_body(fv_post_json(f, "/v1/duty", NULL, attest), 503, "not ready\n");
  fv_free(f);
}

/* Goal: the request's trace id is taken when it is short and printable, else replaced; the line has the contract's
   keys.
   Method: contract.md 4 and 5 with good and bad ids. */
static void test_trace_and_log(void **state) {
  static const struct {
    const char *id;
    bool kept;
  } cases[] = {{"t-1", true},
               {"", false},
               {"two words", false},
               {"tab\there", false},
               {"0123456789012345678901234567890123456789012345678901234567890123", true},
               {"01234567890123456789012345678901234567890123456789012345678901234", false}};
  (void)state;
  fv *f = electra();
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    fake_req q = {.method = "POST", .target = "/v1/duty", .header = {{"x-trace-id", cases[i].id}}, .header_cnt = 1};
    q.body = aq_bytes_str("{\"type\":\"x\"}");
    fake_res_free(fake_send(aq_vapi_handler(f->vapi), &q));
    assert_int_equal(f->line_cnt, i + 1);
    yyjson_doc *doc = yyjson_read(f->line[i], strlen(f->line[i]), 0);
    yyjson_val *line = yyjson_doc_get_root(doc);
    const char *got = aq_test_str(line, "trace_id");
    if (cases[i].kept)
      assert_string_equal(got, cases[i].id);
    else
      assert_int_equal(aq_test_u64(line, "trace_id"), fake_env_now(&f->env));
    assert_string_equal(aq_test_str(line, "route"), "/v1/duty");
    assert_string_equal(aq_test_str(line, "result"), "error");
    assert_string_equal(aq_test_str(line, "level"), "error");
    assert_string_equal(aq_test_str(line, "err"), "invalid type");
    assert_int_equal(aq_test_u64(line, "code"), 400);
    assert_int_equal(aq_test_u64(line, "bytes"), 12);
    assert_int_equal(aq_test_u64(line, "latency_ms"), 0);
    yyjson_doc_free(doc);
  }
  fv_free(f);
}

/* Goal: series are named by templates, never by what a client sent, so that their number is bounded.
   Method: many raw paths; then no label of the exposition holds any of them. */
static void test_metrics(void **state) {
  static const char *const targets[] = {"/eth/v1/beacon/states/secret1/validators/0",
                                        "/eth/v1/validator/duties/proposer/7777", "/secret2?secret3=1",
                                        "/eth/v3/validator/blocks/8888?randao_reveal=0x00"};
  (void)state;
  fv *f = electra();
  for (size_t i = 0; i < AQ_COUNT(targets); i++) fake_res_free(fv_get(f, targets[i]));
  aq_buf out = AQ_BUF(8 << 20);
  aq_metrics_write(&out);
  const char *text = aq_buf_cstr(&out);
  assert_null(strstr(text, "secret"));
  assert_null(strstr(text, "7777"));
  assert_null(strstr(text, "8888"));
  aq_buf_free(&out);
  const char *block = "/eth/v3/validator/blocks/{}";
  assert_true(aq_metric_value(AQ_M_API_REQUESTS_TOTAL, AQ_LABELS(block, "400")) == 1);
  assert_true(aq_metric_value(AQ_M_API_REQUESTS_TOTAL, AQ_LABELS("proxy", "404")) == 1);
  assert_true(
      aq_metric_value(AQ_M_CORE_VALIDATORAPI_REQUEST_TOTAL, AQ_LABELS("propose_block_v3", "application/json")) == 1);
  assert_true(aq_metric_value(AQ_M_CORE_VALIDATORAPI_REQUEST_ERROR_TOTAL, AQ_LABELS("propose_block_v3", "400")) == 1);
  for (size_t i = 0; i < aq_vapi_row_cnt; i++) assert_null(strchr(aq_vapi_rows[i].route.path, '%'));
  fv_free(f);
}

/* Goal: one series with the last user agent, cut to its limit. Method: three agents, one over the limit. */
static void test_user_agent(void **state) {
  char agent[300], cut[AQ_VAPI_AGENT_MAX + 1];
  memset(agent, 'a', sizeof agent - 1);
  agent[sizeof agent - 1] = 0;
  memcpy(cut, agent, AQ_VAPI_AGENT_MAX);
  cut[AQ_VAPI_AGENT_MAX] = 0;
  const char *const agents[] = {"Lighthouse/v8.1.0", "teku/v25", agent};
  (void)state;
  fv *f = electra();
  for (size_t i = 0; i < AQ_COUNT(agents); i++) {
    fake_req q = {
        .method = "GET", .target = "/eth/v1/node/version", .header = {{"User-Agent", agents[i]}}, .header_cnt = 1};
    fake_res_free(fake_send(aq_vapi_handler(f->vapi), &q));
    for (size_t k = 0; k < AQ_COUNT(agents); k++) {
      double want = k == i ? 1 : 0;
      assert_true(aq_metric_value(AQ_M_CORE_VALIDATORAPI_VC_USER_AGENT, AQ_LABELS(k == 2 ? cut : agents[k])) == want);
    }
  }
  fv_free(f);
}

/* Goal: registrations and preparations are taken and ignored, retired routes are gone, later ones say so; nothing
   of them reaches the beacon node.
   Method: validator-api.md 3 and 11, with garbage bodies. */
static void test_other_routes(void **state) {
  static const struct {
    const char *method, *target;
    int code;
    const char *text;
  } cases[] = {
      {"POST", "/eth/v1/validator/register_validator", 200, ""},
      {"POST", "/eth/v1/validator/prepare_beacon_proposer", 200, ""},
      {"GET", "/proposer_config", 404, "{\"code\":404,\"message\":\"NotFound\"}"},
      {"GET", "/teku_proposer_config", 404, "{\"code\":404,\"message\":\"NotFound\"}"},
      {"GET", "/eth/v1/validator/blinded_blocks/13?randao_reveal=0x00", 404, "{\"code\":404,\"message\":\"NotFound\"}"},
      {"GET", "/eth/v2/validator/blocks/13", 404, "{\"code\":404,\"message\":\"NotFound\"}"},
      {"GET", "/eth/v1/validator/aggregate_attestation", 404, "{\"code\":404,\"message\":\"NotFound\"}"},
      {"POST", "/eth/v1/validator/aggregate_and_proofs", 404, "{\"code\":404,\"message\":\"NotFound\"}"},
      {"POST", "/eth/v2/validator/aggregate_and_proofs", 501,
       "{\"code\":501,\"message\":\"submit_aggregate_and_proofs_v2: this version does attester and proposer duties "
       "only\"}"},
      {"POST", "/eth/v1/beacon/pool/sync_committees", 501, "submit_sync_committee_messages"},
      {"POST", "/eth/v1/validator/contribution_and_proofs", 501, "submit_contribution_and_proofs"},
      {"POST", "/eth/v1/validator/beacon_committee_selections", 501, "aggregate_beacon_committee_selections"},
      {"POST", "/eth/v1/validator/sync_committee_selections", 501, "aggregate_sync_committee_selections"},
  };
  (void)state;
  fv *f = electra();
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  size_t before = f->http.log_cnt;
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    fake_res *r = fv_send(f, cases[i].method, cases[i].target, NULL, NULL, aq_bytes_str("\x01garbage"));
    if (!cases[i].text[0]) assert_int_equal(r->body.len, 0);
    if (r->code >= 400) assert_string_equal(fake_header(r, "content-type"), "application/json");
    expect(r, cases[i].code, cases[i].text);
  }
  assert_int_equal(f->http.log_cnt, before);
  fv_free(f);
}

/* Goal: while the chain is not known, or the beacon node does not answer, every route that needs it ends with 503,
   in time.
   Method: no workflow yet; then a workflow whose beacon node is mute. */
static void test_not_ready(void **state) {
  static const char *const gets[] = {"/eth/v1/beacon/states/head/validators", "/eth/v1/beacon/states/head/validators/0",
                                     "/eth/v1/validator/duties/proposer/1",
                                     "/eth/v1/validator/attestation_data?slot=11&committee_index=0"};
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA, .not_ready = true});
  for (size_t i = 0; i < AQ_COUNT(gets); i++) expect(fv_get(f, gets[i]), 503, "the node is starting");
  expect(fv_post_json(f, "/eth/v2/beacon/blocks", "electra", "{}"), 503, "the node is starting");
  expect(fv_post_json(f, "/eth/v2/beacon/pool/attestations", "electra", "[]"), 503, "the node is starting");
  expect(fv_post_json(f, "/eth/v1/beacon/pool/voluntary_exits", NULL, "{}"), 503, "the node is starting");
  fv_ready(f);
  expect(fv_get(f, gets[0]), 200, "\"data\":[{");
  fv_free(f);

  f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  f->beacon.silent = true;
  fake_res *r[AQ_COUNT(gets)];
  for (size_t i = 0; i < AQ_COUNT(gets); i++) r[i] = fv_send(f, "GET", gets[i], NULL, NULL, aq_bytes_of("", 0));
  fake_env_run_for(&f->env, AQ_VAPI_CALL_NS);
  for (size_t i = 0; i < AQ_COUNT(gets); i++) expect(r[i], 503, "not known");
  fv_free(f);
}

/* Goal: the node version has what client libraries look for. Method: validator-api.md 12. */
static void test_version(void **state) {
  (void)state;
  fv *f = electra();
  fake_res *r = fv_get(f, "/eth/v1/node/version");
  assert_string_equal(fake_header(r, "Content-Type"), "application/json");
  expect(r, 200, "{\"data\":{\"version\":\"aequa/v9.9.9-test/charon-compatible/");
  fv_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_health),        cmocka_unit_test(test_last_request),
                                     cmocka_unit_test(test_duty_codes),    cmocka_unit_test(test_duty_runs),
                                     cmocka_unit_test(test_trace_and_log), cmocka_unit_test(test_metrics),
                                     cmocka_unit_test(test_user_agent),    cmocka_unit_test(test_other_routes),
                                     cmocka_unit_test(test_not_ready),     cmocka_unit_test(test_version)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
