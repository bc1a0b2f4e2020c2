/* A validator client whose node lies on one route. Input: a byte, the route; a byte, the status and content type; then
   the answer's body. Whatever it says, the client signs only what its slashing protection took first, each attestation
   and block once, and ends clean. */
#include "vc/vc.h"

#include "base/log.h"
#include "base/metrics.h"
#include "fake/http.h"
#include "fake/chain.h"
#include "fake/fuzz_json.h"
#include "fake/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { VALIDATORS = 2, SPE = 4, HEAD_LEN = 2, SLOTS = 3 };
#define GENESIS FAKE_CHAIN_GENESIS
#define SLOT_NS FAKE_CHAIN_SLOT

typedef struct {
  fake_env env;
  aq_beacon *b;
  aq_http_handler liar;
  fake_http bridge;
  fake_disk disk;
  fake_store protection; /* over it */
  const char *path;
  int code;
  const char *type, *version;
  aq_bytes body;
  uint8_t secret[VALIDATORS][32], pubkey[VALIDATORS][48];
} world;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

/* What arrives signed must have been recorded. */
static void check_recorded(const world *w, const aq_http_req *req) {
  bool attestation = strstr(req->path, "/pool/attestations") != NULL;
  bool block = strstr(req->path, "/beacon/bl") != NULL;
  bool recorded = !attestation && !block;
  for (fake_row *i = NULL; (i = fake_disk_next(&w->disk, i)) != NULL;) {
    recorded |= attestation && fake_row_duty(i).type == AQ_DUTY_ATTESTER;
    recorded |= block && fake_row_duty(i).type == AQ_DUTY_PROPOSER;
  }
  AQ_ASSERT(recorded || strcmp(req->method, "POST") != 0);
}

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  world *w = arg;
  const aq_http_handler *truth = aq_beacon_handler(w->b);
  check_recorded(w, req);
  if (!strstr(req->path, w->path)) {
    truth->handle(truth->arg, req, res, vt);
    return;
  }
  const aq_http_header h[] = {{"Content-Type", w->type}, {"Eth-Consensus-Version", w->version}};
  vt->respond(res, w->code, &(aq_http_headers){h, AQ_COUNT(h)}, w->body);
}

static size_t any_body(void *arg, const char *method, const char *path) {
  (void)arg, (void)method, (void)path;
  return 64u << 20;
}

static void start(world *w) {
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  fake_env_init(&w->env, GENESIS - AQ_SECONDS(1));
  w->b = fake_chain_new(&w->env, w->pubkey, VALIDATORS, SPE, AQ_FULU);
  w->liar = (aq_http_handler){w, any_body, handle};
  fake_disk_init(&w->disk);
  fake_store_open(&w->protection, &w->disk, &w->env.env, NULL);
  fake_http_bridge(&w->bridge, &w->env, &w->liar, AQ_MILLIS(3));
}

static void once(world *w) {
  aq_metrics_init();
  fake_chain_keys(w->secret, w->pubkey, VALIDATORS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const char *const path[] = {"/beacon/genesis",    "/config/spec",      "/config/fork_schedule",
                                     "/states/head",       "/duties/att",       "/duties/pro",
                                     "/attestation_data",  "/validator/blocks", "/beacon/bl",
                                     "/pool/attestations", "subscriptions",     "/node/"};
  static const int code[] = {200, 202, 400, 404, 503};
  static const char *const type[] = {"application/json", "application/octet-stream", "text/html"};
  static const char *const version[] = {"fulu", "deneb"};
  static world w;
  if (w.pubkey[0][0] == 0) once(&w);
  if (len < HEAD_LEN || len > 1 << 18) return 0;
  w.path = path[data[0] % AQ_COUNT(path)];
  w.code = code[data[1] % AQ_COUNT(code)];
  w.type = type[data[1] / 8 % AQ_COUNT(type)];
  w.version = version[data[1] / 64 % AQ_COUNT(version)];
  w.body = aq_bytes_of(data + HEAD_LEN, len - HEAD_LEN);
  start(&w);
  aq_vc *vc = aq_vc_new(&(aq_vc_cfg){.env = &w.env.env,
                                     .http = &w.bridge.http,
                                     .store = &w.protection.port,
                                     .url = "http://sim",
                                     .secret = (const uint8_t(*)[32])w.secret,
                                     .key_cnt = VALIDATORS,
                                     .ssz_blocks = data[0] & 0x80});
  aq_vc_start(vc);
  fake_env_run_until(&w.env, GENESIS + SLOTS * SLOT_NS);
  aq_vc_free(vc);
  fake_env_run_for(&w.env, AQ_MILLIS(10)); /* jobs and writes come back; then the client is gone */
  AQ_ASSERT(fake_http_open_cnt(&w.bridge) == 0);
  aq_beacon_free(w.b);
  fake_env_drain(&w.env);
  fake_env_free(&w.env);
  fake_disk_free(&w.disk);
  return 0;
}

FUZZ_JSON_MUTATOR(HEAD_LEN)
