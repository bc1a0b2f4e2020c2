/* Submissions beside recorded ones, to beacon nodes that refuse, are old, or are away. */
#include "flow/broadcaster.h"

#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "fake/http.h"

enum { SPE = 16 };
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT AQ_SECONDS(6)

static const char *const urls[] = {"http://a:1", "http://b:2"};

typedef struct {
  int code; /* 0: refused connection */
  const char *body;
} reply;

typedef struct {
  fake_env env;
  fake_http http;
  aq_chain chain;
  aq_bn *bn;
  aq_broadcaster *b;
  reply reply, v1, ssz; /* v1: routes of /eth/v1/; ssz: bodies that are not JSON; code 0: as reply */
  reply b_reply;        /* of the second node */
  aq_buf body;          /* last one */
  char url[256], type[64], version[16];
  int done;
  aq_status st[8];
  uint32_t validator[8][4], cnt[8];
  char why[256];
} fixture;

static void handle(void *arg, fake_ex *ex) {
  fixture *f = arg;
  const reply *r = strstr(ex->url, "b:2") && f->b_reply.code ? &f->b_reply : &f->reply;
  if (f->v1.code && strstr(ex->url, "/eth/v1/")) r = &f->v1;
  if (f->ssz.code && strcmp(ex->content_type, "application/octet-stream") == 0) r = &f->ssz;
  aq_buf_reset(&f->body);
  aq_buf_put_bytes(&f->body, ex->body);
  snprintf(f->url, sizeof f->url, "%s %s", ex->method, ex->url);
  snprintf(f->type, sizeof f->type, "%s", ex->content_type);
  snprintf(f->version, sizeof f->version, "%s", ex->version ? ex->version : "");
  if (r->code)
    fake_http_answer(ex, AQ_MILLIS(1), r->code, r->body ? r->body : "");
  else
    fake_http_fail(ex, AQ_MILLIS(1), AQ_E_CLOSED);
}

static void done(void *arg, aq_duty duty, const uint32_t *validators, uint32_t cnt, aq_status st, const char *why) {
  fixture *f = arg;
  (void)duty;
  assert_true(f->done < 8 && cnt <= 4);
  memcpy(f->validator[f->done], validators, cnt * sizeof *validators);
  f->cnt[f->done] = cnt;
  f->st[f->done++] = st;
  snprintf(f->why, sizeof f->why, "%s", why);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void open_fixture(fixture *f, uint64_t slot, size_t nodes) {
  memset(f, 0, sizeof *f);
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  fake_env_init(&f->env, GENESIS + slot * SLOT);
  fake_http_init(&f->http, &f->env, handle, f);
  f->body = AQ_BUF(64 << 20);
  f->reply.code = 200;
  f->chain.clock = (aq_clock){GENESIS, SLOT, SPE};
  const aq_bn_cfg bn = {.env = &f->env.env, .http = &f->http.http, .endpoints = urls, .endpoint_cnt = nodes};
  f->bn = aq_bn_new(&bn);
  const aq_broadcaster_cfg cfg = {.env = &f->env.env, .bn = f->bn, .chain = &f->chain, .arg = f, .done = done};
  f->b = aq_broadcaster_new(&cfg);
}

static void close_fixture(fixture *f) {
  aq_broadcaster_free(f->b);
  aq_bn_free(f->bn);
  assert_int_equal(fake_http_open_cnt(&f->http), 0);
  fake_env_free(&f->env);
  fake_http_free(&f->http);
  aq_buf_free(&f->body);
}

static yyjson_val *recorded(yyjson_doc *doc, const char *pattern) {
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
    if (strcmp(aq_test_str(v, "pattern"), pattern) == 0) return v;
  }
  fail_msg("no recorded request %s", pattern);
  return NULL;
}

/* The request that was made is the recorded one: method, path, content type, version, and the body as JSON. */
static void assert_as_recorded(const fixture *f, yyjson_val *rec) {
  char url[256];
  yyjson_val *headers = yyjson_obj_get(rec, "headers");
  snprintf(url, sizeof url, "%s http://a:1%s", aq_test_str(rec, "method"), aq_test_str(rec, "path"));
  assert_string_equal(f->url, url);
  assert_string_equal(f->type, aq_test_str(headers, "Content-Type"));
  const char *version = yyjson_get_str(yyjson_obj_get(headers, "Eth-Consensus-Version"));
  assert_string_equal(f->version, version ? version : "");
  yyjson_val *want = yyjson_obj_get(rec, "body");
  if (!want) return;
  yyjson_doc *got = yyjson_read((const char *)f->body.ptr, f->body.len, 0);
  assert_non_null(got);
  assert_true(yyjson_equals(yyjson_doc_get_root(got), want));
  yyjson_doc_free(got);
}

static aq_buf from_json(const aq_ssz_type *t, yyjson_val *val) {
  aq_buf out = AQ_BUF(1 << 20);
  aq_err err = {.text = ""};
  if (aq_ssz_from_json(&out, t, val, &err) != AQ_OK) fail_msg("%s", err.text);
  return out;
}

static void submit(fixture *f, uint64_t slot, aq_duty_type type, const aq_signed_data *d, uint32_t cnt) {
  static const uint32_t validators[] = {4, 5, 6, 7};
  aq_broadcaster_submit(f->b, (aq_duty){slot, type}, d, validators, cnt);
}

/* An attestation as the cluster keeps it from electra on (core.md 4.2): no bits, the committee bit, the validator's
   index. */
static aq_buf electra_attestation(aq_signed_data *d, aq_bytes data, uint64_t committee, uint64_t index,
                                  const uint8_t sig[96]) {
  static const uint8_t no_bits[1] = {1};
  uint8_t bits[8] = {0};
  aq_buf out = AQ_BUF(1024);
  bits[committee / 8] = (uint8_t)(1u << (committee % 8));
  const aq_bytes part[] = {aq_bytes_of(no_bits, 1), data, aq_bytes_of(sig, 96), aq_bytes_of(bits, 8)};
  assert_int_equal(aq_ssz_pack(&out, &aq_t_attestation_electra, part, 4), AQ_OK);
  *d = (aq_signed_data){.duty = AQ_DUTY_ATTESTER, .fork = AQ_FULU, .has_index = true, .validator_index = index};
  d->type = &aq_t_attestation_electra;
  d->value = aq_buf_bytes(&out);
  memcpy(d->sig, sig, 96);
  return out;
}

/* The attestation of the recorded request, as the cluster keeps it. */
static aq_buf recorded_attestation(aq_signed_data *d, yyjson_val *rec) {
  yyjson_val *item = yyjson_arr_get_first(yyjson_obj_get(rec, "body"));
  aq_buf data = from_json(&aq_t_attestation_data, yyjson_obj_get(item, "data"));
  aq_buf sig = aq_test_hex_of(item, "signature");
  aq_buf out = electra_attestation(d, aq_buf_bytes(&data), aq_test_u64(item, "committee_index"),
                                   aq_test_u64(item, "attester_index"), sig.ptr);
  aq_buf_free(&data);
  aq_buf_free(&sig);
  return out;
}

/* Goal: an attestation from electra on is sent as a recorded node sends it.
   Method: the recorded SingleAttestation turned into the cluster's form and back. */
static void attestation_as_recorded(void **state) {
  (void)state;
  static fixture f;
  aq_signed_data d;
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  yyjson_val *rec = recorded(doc, "/eth/v2/beacon/pool/attestations");
  open_fixture(&f, 656, 1);
  aq_buf value = recorded_attestation(&d, rec);
  submit(&f, 656, AQ_DUTY_ATTESTER, &d, 1);
  aq_buf_free(&value); /* copied */
  assert_int_equal(f.http.log_cnt, 0);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_as_recorded(&f, rec);
  assert_true(f.done == 1 && f.st[0] == AQ_OK && f.cnt[0] == 1 && f.validator[0][0] == 4);
  assert_true(aq_metric_value(AQ_M_CORE_BCAST_BROADCAST_TOTAL, AQ_LABELS("attester")) == 1);
  yyjson_doc_free(doc);
  close_fixture(&f);
}

typedef struct {
  const char *pattern;
  aq_duty_type duty;
  const aq_ssz_type *type;
  uint64_t slot;
  bool blinded;
} list_case;

/* Goal: aggregates, sync messages, contributions and blinded blocks are sent as a recorded node sends them.
   Method: the recorded JSON to SSZ, through the broadcaster, compared as JSON. */
static void others_as_recorded(void **state) {
  (void)state;
  const list_case cases[] = {
      {"/eth/v2/validator/aggregate_and_proofs", AQ_DUTY_AGGREGATOR, aq_t_signed_aggregate(AQ_FULU), 640, false},
      {"/eth/v1/beacon/pool/sync_committees", AQ_DUTY_SYNC_MESSAGE, &aq_t_sync_committee_message, 641, false},
      {"/eth/v1/validator/contribution_and_proofs", AQ_DUTY_SYNC_CONTRIBUTION, &aq_t_signed_contribution_and_proof, 643,
       false},
      {"/eth/v2/beacon/blinded_blocks", AQ_DUTY_PROPOSER, aq_t_signed_blinded_block(AQ_FULU), 642, true},
  };
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    static fixture f;
    const list_case *c = &cases[i];
    yyjson_val *rec = recorded(doc, c->pattern), *body = yyjson_obj_get(rec, "body");
    aq_buf value = from_json(c->type, yyjson_is_arr(body) ? yyjson_arr_get_first(body) : body);
    const aq_signed_data d = {
        .duty = c->duty, .fork = AQ_FULU, .blinded = c->blinded, .type = c->type, .value = aq_buf_bytes(&value)};
    open_fixture(&f, c->slot, 1);
    submit(&f, c->slot, c->duty, &d, 1);
    fake_env_run_for(&f.env, AQ_SECONDS(1));
    assert_as_recorded(&f, rec);
    assert_true(f.done == 1 && f.st[0] == AQ_OK);
    aq_buf_free(&value);
    close_fixture(&f);
  }
  yyjson_doc_free(doc);
}

static void recorded_block(aq_signed_data *d, aq_buf *value, yyjson_val *rec) {
  *value = aq_test_hex_of(rec, "body_hex");
  *d = (aq_signed_data){.duty = AQ_DUTY_PROPOSER, .fork = AQ_FULU, .type = aq_t_signed_block_contents(AQ_FULU)};
  d->value = aq_buf_bytes(value);
  assert_int_equal(aq_ssz_check(d->type, d->value), AQ_OK);
}

/* Goal: a block goes out in SSZ, byte for byte as recorded; a node without SSZ gets JSON, from then on at once.
   Method: the recorded block; 415 on SSZ; a second block; an accepted but not imported one (202). */
static void block_ssz_then_json(void **state) {
  (void)state;
  static fixture f;
  aq_signed_data d;
  aq_buf value;
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  yyjson_val *rec = recorded(doc, "/eth/v2/beacon/blocks");
  open_fixture(&f, 642, 1);
  recorded_block(&d, &value, rec);
  f.reply.code = 202;
  submit(&f, 642, AQ_DUTY_PROPOSER, &d, 1);
  fake_env_run_for(&f.env, AQ_MILLIS(10));
  assert_as_recorded(&f, rec);
  assert_bytes(aq_buf_bytes(&f.body), d.value);
  assert_true(f.done == 1 && f.st[0] == AQ_OK);
  f.ssz.code = 415;
  submit(&f, 642, AQ_DUTY_PROPOSER, &d, 1);
  fake_env_run_for(&f.env, AQ_MILLIS(10));
  assert_string_equal(f.type, "application/json");
  yyjson_doc *json = yyjson_read((const char *)f.body.ptr, f.body.len, 0);
  aq_buf again = from_json(d.type, yyjson_doc_get_root(json));
  assert_bytes(aq_buf_bytes(&again), d.value);
  assert_int_equal(f.http.log_cnt, 3);
  submit(&f, 642, AQ_DUTY_PROPOSER, &d, 1);
  fake_env_run_for(&f.env, AQ_MILLIS(10));
  assert_int_equal(f.http.log_cnt, 4);
  assert_true(f.done == 3 && f.st[2] == AQ_OK);
  aq_buf_free(&again);
  aq_buf_free(&value);
  yyjson_doc_free(json);
  yyjson_doc_free(doc);
  close_fixture(&f);
}

/* Goal: the old Lodestar's v1 routes are found in the same try and remembered: attestations before electra, blocks in
   JSON.
   Method: 404 on v2; a phase0-form attestation and a capella block of default values. */
static void old_lodestar(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, 642, 1);
  f.reply = (reply){404, "{\"statusCode\":404,\"error\":\"Not Found\"}"};
  f.v1.code = 200;
  aq_buf att = AQ_BUF(1024), block = AQ_BUF(1 << 16);
  assert_int_equal(aq_ssz_default(&att, &aq_t_attestation_phase0), AQ_OK);
  assert_int_equal(aq_ssz_default(&block, aq_t_signed_block(AQ_CAPELLA)), AQ_OK);
  const aq_signed_data a = {
      .duty = AQ_DUTY_ATTESTER, .fork = AQ_CAPELLA, .type = &aq_t_attestation_phase0, .value = aq_buf_bytes(&att)};
  const aq_signed_data p = {.duty = AQ_DUTY_PROPOSER,
                            .fork = AQ_CAPELLA,
                            .type = aq_t_signed_block(AQ_CAPELLA),
                            .value = aq_buf_bytes(&block)};
  for (int i = 0; i < 2; i++) {
    submit(&f, 642, AQ_DUTY_ATTESTER, &a, 1);
    fake_env_run_for(&f.env, AQ_MILLIS(10));
    assert_string_equal(f.url, "POST http://a:1/eth/v1/beacon/pool/attestations");
    assert_int_equal(f.body.ptr[0], '[');
    submit(&f, 642, AQ_DUTY_PROPOSER, &p, 1);
    fake_env_run_for(&f.env, AQ_MILLIS(10));
    assert_string_equal(f.url, "POST http://a:1/eth/v1/beacon/blocks");
    assert_string_equal(f.type, "application/json");
    assert_int_equal(f.body.ptr[0], '{');
  }
  assert_int_equal(f.done, 4);
  for (int i = 0; i < 4; i++) assert_int_equal(f.st[i], AQ_OK);
  assert_int_equal(fake_http_count(&f.http, "/eth/v2/"), 2);
  f.reply = (reply){.code = 200}; /* a new node without v1, and two submissions at once that both learn it */
  f.v1.code = 404;
  submit(&f, 642, AQ_DUTY_ATTESTER, &a, 1);
  submit(&f, 643, AQ_DUTY_ATTESTER, &a, 1);
  fake_env_run_for(&f.env, AQ_MILLIS(10));
  assert_int_equal(f.done, 6);
  assert_true(f.st[4] == AQ_OK && f.st[5] == AQ_OK);
  aq_buf_free(&att);
  aq_buf_free(&block);
  close_fixture(&f);
}

/* Goal: a node that has no form of a route is asked four times more in one try, not on and on. Method: 404 on every
   route, for both duties that have two. */
static void no_route_at_all(void **state) {
  (void)state;
  static const aq_duty_type type[] = {AQ_DUTY_ATTESTER, AQ_DUTY_PROPOSER};
  static fixture f;
  for (size_t i = 0; i < AQ_COUNT(type); i++) {
    open_fixture(&f, 642, 1);
    f.reply = (reply){404, "{\"statusCode\":404,\"error\":\"Not Found\",\"message\":\"Route not found\"}"};
    const aq_ssz_type *t = i ? aq_t_signed_block(AQ_CAPELLA) : &aq_t_attestation_phase0;
    aq_buf value = AQ_BUF(1 << 16);
    assert_int_equal(aq_ssz_default(&value, t), AQ_OK);
    const aq_signed_data d = {.duty = type[i], .fork = AQ_CAPELLA, .type = t, .value = aq_buf_bytes(&value)};
    submit(&f, 642, type[i], &d, 1);
    fake_env_run_for(&f.env, AQ_MILLIS(200)); /* before the next try */
    assert_int_equal(f.http.log_cnt, 1 + 4);
    aq_buf_free(&value);
    close_fixture(&f);
  }
}

/* Goal: "somebody was faster" is success; a refusal is final with the node's words; a mixed answer gives each
   validator its own.
   Method: texts of several nodes; indexed failures in all mixtures, and nonsense indices. */
static void verdicts_from_answers(void **state) {
  (void)state;
  static const struct {
    int code;
    const char *body;
    int ok, bad; /* validators */
  } cases[] = {
      {400, "{\"code\":400,\"message\":\"PriorAttestationKnown { .. }\"}", 3, 0},
      {500, "{\"code\":500,\"message\":\"ATTESTATION_ERROR_ATTESTATION_ALREADY_KNOWN\"}", 3, 0},
      {400, "{\"code\":400,\"message\":\"x\",\"failures\":[{\"index\":1,\"message\":\"already known\"}]}", 3, 0},
      {400, "{\"code\":400,\"message\":\"x\",\"failures\":[{\"index\":\"1\",\"message\":\"bad signature\"}]}", 2, 1},
      {400,
       "{\"code\":400,\"message\":\"x\",\"failures\":[{\"index\":0,\"message\":\"bad\"},{\"index\":2,\"message\":"
       "\"bad\"},"
       "{\"index\":2,\"message\":\"bad\"}]}",
       1, 2},
      {400, "{\"code\":400,\"message\":\"x\",\"failures\":[{\"index\":9,\"message\":\"bad\"}]}", 0, 3},
      {400, "{\"code\":400,\"message\":\"unknown block\"}", 0, 3},
      {400, "not json", 0, 3},
      /* one that lacks a block for all of the duty's time, and one that is wrong: only these two failed */
      {400,
       "{\"code\":400,\"message\":\"x\",\"failures\":[{\"index\":0,\"message\":\"UnknownHeadBlock\"},{\"index\":2,"
       "\"message\":\"bad\"}]}",
       1, 2},
  };
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    static fixture f;
    aq_signed_data d[3];
    aq_buf value = recorded_attestation(&d[0], recorded(doc, "/eth/v2/beacon/pool/attestations"));
    d[1] = d[2] = d[0];
    open_fixture(&f, 656, 1);
    f.reply = (reply){cases[i].code, cases[i].body};
    submit(&f, 656, AQ_DUTY_ATTESTER, d, 3);
    fake_env_run_for(&f.env, AQ_SECONDS(100));
    int ok = 0, bad = 0;
    for (int k = 0; k < f.done; k++) *(f.st[k] == AQ_OK ? &ok : &bad) += (int)f.cnt[k];
    assert_int_equal(ok, cases[i].ok);
    assert_int_equal(bad, cases[i].bad);
    if (i == 3) assert_int_equal(f.validator[1][0], 5);
    aq_buf_free(&value);
    close_fixture(&f);
  }
  yyjson_doc_free(doc);
}

/* Goal: a node that is away is tried again until the deadline; every node gets the object; one that took it is
   enough.
   Method: no answers until the end of a proposal's time; then an attestation whose node comes back; then two nodes,
   one refusing. */
static void retries_and_fan_out(void **state) {
  (void)state;
  static fixture f;
  aq_signed_data d, a;
  aq_buf value;
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  recorded_block(&d, &value, recorded(doc, "/eth/v2/beacon/blocks"));
  aq_buf att = recorded_attestation(&a, recorded(doc, "/eth/v2/beacon/pool/attestations"));
  open_fixture(&f, 642, 1);
  f.reply.code = 0;
  submit(&f, 642, AQ_DUTY_PROPOSER, &d, 1);
  fake_env_run_for(&f.env, AQ_SECONDS(8));
  assert_true(f.done == 1 && f.st[0] == AQ_E_CLOSED);
  assert_in_range(f.http.log_cnt, 3, 6); /* 0, 0.25, 0.65, 1.3, 2.3 s of 2.5 s */
  submit(&f, 644, AQ_DUTY_ATTESTER, &a, 1);
  fake_env_run_for(&f.env, AQ_SECONDS(8));
  assert_int_equal(f.done, 1);
  f.reply.code = 200;
  fake_env_run_for(&f.env, AQ_SECONDS(8));
  assert_true(f.done == 2 && f.st[1] == AQ_OK);
  submit(&f, 644, AQ_DUTY_ATTESTER, &a, 1);
  fake_env_drain(&f.env); /* open at free */
  close_fixture(&f);
  open_fixture(&f, 656, 2);
  f.b_reply = (reply){400, "{\"message\":\"no\"}"};
  submit(&f, 656, AQ_DUTY_ATTESTER, &a, 1);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.http.log_cnt, 2);
  assert_true(f.done == 1 && f.st[0] == AQ_OK);
  aq_buf_free(&value);
  aq_buf_free(&att);
  yyjson_doc_free(doc);
  close_fixture(&f);
}

/* Goal: what a node refuses because it lacks a block yet is sent again until it is taken, at a bounded pace; with a
   node beside it that refuses for good, too. A refusal for good alone is final at once.
   Method: attestations and blocks; the words of two beacon nodes, then success; a lone final refusal. */
static void lacks_a_block(void **state) {
  (void)state;
  static fixture f;
  static const char *const words[] = {
      "{\"code\":400,\"message\":\"x\",\"failures\":[{\"index\":0,\"message\":\"UnknownHeadBlock\"}]}",
      "{\"code\":400,\"message\":\"BAD_REQUEST: Invalid block: ParentUnknown\"}"};
  aq_signed_data d[2];
  aq_buf value[2];
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  value[0] = recorded_attestation(&d[0], recorded(doc, "/eth/v2/beacon/pool/attestations"));
  recorded_block(&d[1], &value[1], recorded(doc, "/eth/v2/beacon/blocks"));
  for (int i = 0; i < 8; i++) {
    bool block = i & 1, beside = i & 2, known = i & 4;
    open_fixture(&f, block ? 642 : 656, beside ? 2 : 1);
    f.reply = (reply){400, words[known]};
    if (beside) f.b_reply = (reply){400, "{\"message\":\"InvalidSignature\"}"};
    submit(&f, block ? 642 : 656, block ? AQ_DUTY_PROPOSER : AQ_DUTY_ATTESTER, &d[block], 1);
    fake_env_run_for(&f.env, AQ_MILLIS(1500));
    assert_int_equal(f.done, 0);
    assert_in_range(fake_http_count(&f.http, "a:1"), 3, 4);
    f.reply.code = 200;
    fake_env_run_for(&f.env, AQ_SECONDS(2));
    assert_true(f.done == 1 && f.st[0] == AQ_OK);
    size_t sent = f.http.log_cnt;
    fake_env_run_for(&f.env, AQ_SECONDS(100));
    assert_int_equal(f.http.log_cnt, sent);
    close_fixture(&f);
  }
  open_fixture(&f, 642, 1);
  f.reply = (reply){400, "{\"message\":\"InvalidSignature\"}"};
  submit(&f, 642, AQ_DUTY_PROPOSER, &d[1], 1);
  fake_env_run_for(&f.env, AQ_SECONDS(3));
  assert_true(f.done == 1 && f.st[0] == AQ_E_REFUSED && f.http.log_cnt == 1);
  aq_buf_free(&value[0]);
  aq_buf_free(&value[1]);
  yyjson_doc_free(doc);
  close_fixture(&f);
}

/* Goal: what has no submission is done at once but never from inside; what cannot be sent says so; exits go one by
   one.
   Method: randao, a selection, an attestation without index, a pretended block, two blocks, two exits, which
   are refused. */
static void odd_ones(void **state) {
  (void)state;
  static fixture f;
  aq_signed_data d[2], none = {.duty = AQ_DUTY_RANDAO};
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  aq_buf att = recorded_attestation(&d[0], recorded(doc, "/eth/v2/beacon/pool/attestations"));
  d[1] = d[0];
  d[0].has_index = false;
  open_fixture(&f, 656, 1);
  submit(&f, 656, AQ_DUTY_RANDAO, &none, 1);
  submit(&f, 656, AQ_DUTY_PREPARE_AGGREGATOR, &none, 1);
  assert_int_equal(f.done, 0);
  fake_env_drain(&f.env);
  assert_true(f.done == 2 && f.st[0] == AQ_OK && f.st[1] == AQ_OK && f.http.log_cnt == 0);
  submit(&f, 656, AQ_DUTY_ATTESTER, d, 2);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.done, 4);
  assert_true(f.st[2] == AQ_E_FORMAT && f.validator[2][0] == 4 && f.st[3] == AQ_OK && f.validator[3][0] == 5);
  aq_buf block = AQ_BUF(1 << 16), synthetic = AQ_BUF(1 << 16), quit = AQ_BUF(1024);
  uint8_t graffiti[32] = "SYNTHETIC BLOCK: DO NOT SUBMIT";
  const aq_ssz_type *t = aq_t_signed_block_contents(AQ_FULU);
  assert_int_equal(aq_ssz_default(&block, t), AQ_OK);
  assert_int_equal(
      aq_ssz_with(&synthetic, t, aq_buf_bytes(&block), "signed_block.message.body.graffiti", aq_bytes_of(graffiti, 32)),
      AQ_OK);
  const aq_signed_data p = {.duty = AQ_DUTY_PROPOSER, .fork = AQ_FULU, .type = t, .value = aq_buf_bytes(&synthetic)};
  size_t requests = f.http.log_cnt;
  submit(&f, 656, AQ_DUTY_PROPOSER, &p, 1);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_true(f.done == 5 && f.st[4] == AQ_OK && f.http.log_cnt == requests);
  assert_int_equal(aq_ssz_default(&quit, &aq_t_signed_voluntary_exit), AQ_OK);
  aq_signed_data e[2] = {{.duty = AQ_DUTY_EXIT, .type = &aq_t_signed_voluntary_exit, .value = aq_buf_bytes(&quit)}};
  e[1] = e[0];
  submit(&f, 656, AQ_DUTY_EXIT, e, 2);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.done, 7);
  assert_int_equal(fake_http_count(&f.http, "/eth/v1/beacon/pool/voluntary_exits"), 2);
  assert_memory_equal(f.body.ptr, "{\"message\":{\"epoch\":\"0\"", 23);
  aq_signed_data two[2] = {p, p}; /* two blocks of one slot: neither */
  two[0].value = two[1].value = aq_buf_bytes(&block);
  requests = f.http.log_cnt;
  submit(&f, 656, AQ_DUTY_PROPOSER, two, 2);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_true(f.done == 8 && f.st[7] == AQ_E_FORMAT && f.http.log_cnt == requests);
  aq_buf_free(&att);
  aq_buf_free(&block);
  aq_buf_free(&synthetic);
  aq_buf_free(&quit);
  yyjson_doc_free(doc);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(attestation_as_recorded),
      cmocka_unit_test(others_as_recorded),
      cmocka_unit_test(block_ssz_then_json),
      cmocka_unit_test(old_lodestar),
      cmocka_unit_test(no_route_at_all),
      cmocka_unit_test(verdicts_from_answers),
      cmocka_unit_test(retries_and_fan_out),
      cmocka_unit_test(lacks_a_block),
      cmocka_unit_test(odd_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
