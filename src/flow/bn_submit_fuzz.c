/* Answers of two beacon nodes to submissions. Input: a byte, what is submitted; two status codes as indices; then the
   answer's body. Each validator's object ends exactly once, with a reason where it failed, before its deadline. */
#include "base/log.h"
#include "base/metrics.h"
#include "fake/fuzz_json.h"
#include "fake/http.h"
#include "flow/broadcaster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEAD_LEN = 3, OBJECTS = 3, VALUE_MAX = 4 << 20 };
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT_NS AQ_SECONDS(12)

typedef struct {
  fake_env env;
  fake_http http;
  int code[2];
  aq_bytes body;
  uint32_t ended[OBJECTS];
} world;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void handle(void *arg, fake_ex *ex) {
  world *w = arg;
  int code = w->code[strstr(ex->url, "//b") != NULL];
  if (code)
    fake_http_answer_h(ex, AQ_MILLIS(1), code, "application/json", w->body, NULL, NULL);
  else
    fake_http_fail(ex, AQ_MILLIS(1), AQ_E_CLOSED);
}

static void done(void *arg, aq_duty duty, const uint32_t *validators, uint32_t cnt, aq_status st, const char *why) {
  world *w = arg;
  (void)duty;
  AQ_ASSERT(cnt > 0 && (st == AQ_OK || *why));
  for (uint32_t i = 0; i < cnt; i++) {
    AQ_ASSERT(validators[i] < OBJECTS);
    w->ended[validators[i]]++;
  }
}

/* A default object of the duty. */
static aq_signed_data object(aq_buf *value, aq_duty_type duty, bool blinded) {
  aq_signed_data d = {.duty = duty, .fork = AQ_FULU, .blinded = blinded, .has_index = true};
  switch ((int)duty) {
    case AQ_DUTY_ATTESTER: d.type = &aq_t_attestation_electra; break;
    case AQ_DUTY_PROPOSER: d.type = aq_t_proposal(AQ_FULU, blinded, true); break;
    case AQ_DUTY_AGGREGATOR: d.type = &aq_t_signed_aggregate_and_proof_electra; break;
    case AQ_DUTY_SYNC_CONTRIBUTION: d.type = &aq_t_signed_contribution_and_proof; break;
    case AQ_DUTY_SYNC_MESSAGE: d.type = &aq_t_sync_committee_message; break;
    case AQ_DUTY_EXIT: d.type = &aq_t_signed_voluntary_exit; break;
    default: return d;
  }
  AQ_ASSERT(aq_ssz_default(value, d.type) == AQ_OK);
  d.value = aq_buf_bytes(value);
  if (duty == AQ_DUTY_ATTESTER) { /* one committee, which the single attestation names */
    aq_buf with = AQ_BUF(VALUE_MAX);
    static const uint8_t bits[8] = {1};
    AQ_ASSERT(aq_ssz_with(&with, d.type, d.value, "committee_bits", aq_bytes_of(bits, sizeof bits)) == AQ_OK);
    aq_buf_free(value);
    *value = with;
    d.value = aq_buf_bytes(value);
  }
  return d;
}

static void run(world *w, aq_duty_type duty, bool blinded) {
  static const char *const urls[] = {"http://a", "http://b"};
  static const uint32_t validators[OBJECTS] = {0, 1, 2};
  aq_chain chain = {.clock = {GENESIS, SLOT_NS, 32}};
  aq_buf value = AQ_BUF(VALUE_MAX);
  aq_signed_data one = object(&value, duty, blinded), all[OBJECTS] = {one, one, one};
  fake_env_init(&w->env, GENESIS + 2 * SLOT_NS);
  fake_http_init(&w->http, &w->env, handle, w);
  for (uint32_t i = 0; i < OBJECTS; i++) all[i].validator_index = i, w->ended[i] = 0;
  aq_bn *bn = aq_bn_new(
      &(aq_bn_cfg){.env = &w->env.env, .http = &w->http.http, .endpoints = urls, .endpoint_cnt = AQ_COUNT(urls)});
  aq_broadcaster *b = aq_broadcaster_new(&(aq_broadcaster_cfg){&w->env.env, bn, &chain, w, done});
  uint32_t cnt = duty == AQ_DUTY_PROPOSER || duty == AQ_DUTY_EXIT ? 1 : OBJECTS;
  aq_broadcaster_submit(b, (aq_duty){2, duty}, all, validators, cnt);
  bool endless = duty == AQ_DUTY_EXIT; /* tried for ever */
  uint64_t until_ns = endless ? GENESIS + 8 * SLOT_NS : aq_duty_deadline_ns(&chain, (aq_duty){2, duty});
  fake_env_run_until(&w->env, until_ns + AQ_SECONDS(3));
  for (uint32_t i = 0; i < cnt; i++) AQ_ASSERT(w->ended[i] == 1 || (endless && w->ended[i] == 0));
  aq_broadcaster_free(b);
  aq_bn_free(bn);
  AQ_ASSERT(fake_http_open_cnt(&w->http) == 0);
  fake_env_free(&w->env);
  fake_http_free(&w->http);
  aq_buf_free(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const aq_duty_type duty[] = {AQ_DUTY_ATTESTER,   AQ_DUTY_PROPOSER,     AQ_DUTY_PROPOSER,
                                      AQ_DUTY_AGGREGATOR, AQ_DUTY_SYNC_MESSAGE, AQ_DUTY_SYNC_CONTRIBUTION,
                                      AQ_DUTY_EXIT,       AQ_DUTY_RANDAO};
  static const int code[] = {200, 202, 400, 404, 405, 415, 500, 503, 0};
  static world w;
  if (len < HEAD_LEN || len > 1 << 16) return 0;
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  w.code[0] = code[data[1] % AQ_COUNT(code)], w.code[1] = code[data[2] % AQ_COUNT(code)];
  w.body = aq_bytes_of(data + HEAD_LEN, len - HEAD_LEN);
  size_t what = data[0] % AQ_COUNT(duty);
  run(&w, duty[what], what == 2);
  return 0;
}

FUZZ_JSON_MUTATOR(HEAD_LEN)
