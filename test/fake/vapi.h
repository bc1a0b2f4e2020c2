/* fake/vapi.h - a validator API over a real workflow in virtual time, for tests: a cluster of one node that agrees
   with itself, its journal, and a beacon node that answers by fork. Both validators attest in slot 3 of an epoch, in
   committees 0 and 1; validator 1 proposes slot 5. With a lock of its own the node stands alone among silent peers.
   Header only; without cmocka, since fuzz targets use it too. */
#ifndef AQ_FAKE_VAPI_H
#define AQ_FAKE_VAPI_H

#include "api/vapi.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/bn.h"
#include "fake/store.h"
#include "fake/link.h"

enum {
  FV_VALIDATORS = FAKE_BN_VALIDATORS,
  FV_FIRST_INDEX = FAKE_BN_FIRST_INDEX,
  FV_SPE = FAKE_BN_SPE,
  FV_ATTEST = FV_SPE + 3, /* duties of epoch 1, where the tests start */
  FV_PROPOSE = FV_SPE + 5,
  FV_LINES_MAX = 64,
  FV_BUF_MAX = 64 << 20
};
#define FV_GENESIS AQ_SECONDS(1700000000)

typedef struct {
  aq_fork fork;
  const aq_lock *lock; /* NULL: the own single-node cluster */
  uint64_t slot_ns, slots_per_epoch, slot;
  bool no_bn, not_ready, real_network, tss_off, store_lost;
  void (*bn)(void *arg, fake_ex *ex); /* NULL: the own beacon node */
  void *arg;
} fv_cfg;

typedef struct {
  fv_cfg cfg;
  fake_env env;
  aq_chain chain;
  aq_lock lock;
  aq_operator operator_;
  aq_dist_validator validator[FV_VALIDATORS];
  uint8_t share[FV_VALIDATORS][1][48], secret[FV_VALIDATORS][32];
  aq_k1_key *key;
  fake_links links; /* to peers who are not there */
  fake_link link;
  fake_disk disk;
  fake_store store; /* over it */
  fake_http http;
  aq_bn *bn;
  aq_workflow *workflow;
  aq_vapi *vapi;
  fake_bn beacon;
  char line[FV_LINES_MAX][2048]; /* api_request lines */
  size_t line_cnt;
} fv;

/* ---- life ---- */

static inline void fv_line_(void *arg, const char *line, size_t len) {
  fv *f = arg;
  if (len >= sizeof f->line[0] || f->line_cnt == FV_LINES_MAX || !strstr(line, "\"msg\":\"api_request\"")) return;
  memcpy(f->line[f->line_cnt], line, len);
  f->line[f->line_cnt++][len] = 0;
}

static inline void fv_keys_(fv *f) {
  uint8_t secret[32];
  memset(secret, 1, 32);
  aq_status st = aq_k1_key_new(&f->key, secret);
  AQ_ASSERT(st == AQ_OK);
  for (uint8_t v = 0; v < FV_VALIDATORS; v++) {
    memset(secret, v + 1, 32);
    aq_bls_secret_from_seed(f->secret[v], secret, sizeof secret);
    aq_bls_secret_to_pubkey(f->validator[v].pubkey, f->secret[v]);
    memcpy(f->share[v][0], f->validator[v].pubkey, 48);
    f->validator[v].share = f->share[v];
    f->validator[v].share_cnt = 1;
  }
  aq_k1_pubkey(f->operator_.pubkey, f->key);
  f->lock = (aq_lock){.validators = f->validator, .validator_cnt = FV_VALIDATORS};
  f->lock.def.operators = &f->operator_;
  f->lock.def.operator_cnt = f->lock.def.threshold = 1;
}

static inline void fv_workflow_(fv *f, const aq_lock *lock) {
  f->workflow = aq_workflow_new(&(aq_workflow_cfg){.env = &f->env.env,
                                                   .net = &f->link.net,
                                                   .store = &f->store.port,
                                                   .bn = f->bn,
                                                   .chain = &f->chain,
                                                   .lock = lock,
                                                   .key = f->key,
                                                   .started_ns = fake_env_now(&f->env),
                                                   .enable_tss = !f->cfg.tss_off});
  aq_err err = {0};
  AQ_ASSERT(f->workflow && aq_workflow_start(f->workflow, &err) == AQ_OK);
}

/* The chain and the workflow become known, as they do once the beacon node has answered. */
static inline void fv_ready(fv *f) { aq_vapi_ready(f->vapi, &f->chain, f->workflow); }

static inline fv *fv_new(const fv_cfg *cfg) {
  static const char *const urls[] = {"http://bn"};
  fv *f = calloc(1, sizeof *f);
  AQ_ASSERT(f);
  f->cfg = *cfg;
  if (f->cfg.slots_per_epoch == 0) f->cfg.slots_per_epoch = FV_SPE;
  if (f->cfg.slot_ns == 0) f->cfg.slot_ns = AQ_SECONDS(12);
  if (f->cfg.slot == 0) f->cfg.slot = FV_SPE;
  aq_metrics_init();
  aq_log_start(AQ_LOG_INFO, fv_line_, f);
  fake_env_init(&f->env, FV_GENESIS + f->cfg.slot * f->cfg.slot_ns);
  f->chain.clock = (aq_clock){FV_GENESIS, f->cfg.slot_ns, f->cfg.slots_per_epoch};
  for (uint8_t i = 0; i < AQ_FORK_CNT; i++)
    f->chain.fork[i] = (aq_fork_at){i <= cfg->fork ? 0 : AQ_FAR_EPOCH, {i, 0, 0, 1}};
  fv_keys_(f);
  fake_links_init(&f->links, &f->env, f);
  f->links.delay_ns = AQ_MILLIS(1);
  fake_link_join(&f->links, &f->link, 0, f);
  fake_disk_init(&f->disk);
  f->disk.missing = cfg->store_lost;
  fake_store_open(&f->store, &f->disk, &f->env.env, NULL);
  f->beacon = (fake_bn){.validator = f->validator, .fork = cfg->fork, .parent = 7, .exiting = 1u << 1};
  fake_http_init(&f->http, &f->env, cfg->bn ? cfg->bn : fake_bn_handle, cfg->bn ? cfg->arg : &f->beacon);
  const aq_lock *lock = cfg->lock ? cfg->lock : &f->lock;
  if (!cfg->no_bn) {
    f->bn = aq_bn_new(&(aq_bn_cfg){.env = &f->env.env, .http = &f->http.http, .endpoints = urls, .endpoint_cnt = 1});
    fv_workflow_(f, lock);
  }
  f->vapi = aq_vapi_new(&(aq_vapi_cfg){.env = &f->env.env,
                                       .http = &f->http.http,
                                       .bn = f->bn,
                                       .lock = lock,
                                       .version = "v9.9.9-test",
                                       .simulated = !cfg->real_network});
  if (!cfg->not_ready && !cfg->no_bn) fv_ready(f);
  return f;
}

static inline void fv_free(fv *f) {
  fake_env_run_for(&f->env, AQ_MILLIS(1)); /* what the net owes is told while there is somebody to hear it */
  fake_link_end(&f->link);
  fake_store_close(&f->store, SIZE_MAX, FAKE_CLOSE_ANSWERS); /* as in the product, before its users go */
  if (f->workflow) aq_workflow_free(f->workflow);
  fake_link_drop(&f->link);
  aq_vapi_free(f->vapi);
  if (f->bn) aq_bn_free(f->bn);
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  fake_env_free(&f->env);
  fake_http_free(&f->http);
  fake_bn_free(&f->beacon);
  fake_disk_free(&f->disk);
  aq_k1_key_free(f->key);
  aq_log_stop();
  free(f);
}

/* ---- doing things ---- */

/* The chain is another from epoch 0 on. answered: and the beacon node has told the duties there. */
static inline void fv_reorg(fv *f, bool answered) {
  f->beacon.moved = true;
  f->beacon.silent = !answered;
  aq_scheduler_reorg(aq_workflow_scheduler(f->workflow), 0);
  if (answered) fake_env_run_for(&f->env, AQ_MILLIS(50));
}

static inline void fv_run_to(fv *f, uint64_t slot, uint64_t after_ns) {
  fake_env_run_until(&f->env, FV_GENESIS + slot * f->cfg.slot_ns + after_ns);
}

/* Sends without waiting. version, type: headers, or NULL. */
static inline fake_res *fv_send(fv *f, const char *method, const char *target, const char *version, const char *type,
                                aq_bytes body) {
  fake_req r = {.method = method, .target = target, .body = body};
  if (version) r.header[r.header_cnt++] = (aq_http_header){"eth-consensus-version", version};
  if (type) r.header[r.header_cnt++] = (aq_http_header){"Content-Type", type};
  return fake_send(aq_vapi_handler(f->vapi), &r);
}

/* Waits as long as a client would: two seconds, no more than the node needs when nothing is missing. */
static inline fake_res *fv_wait(fv *f, fake_res *r) {
  for (uint32_t i = 0; i < 200 && r->code == 0; i++) fake_env_run_for(&f->env, AQ_MILLIS(10));
  return r;
}

static inline fake_res *fv_get(fv *f, const char *target) {
  return fv_wait(f, fv_send(f, "GET", target, NULL, NULL, aq_bytes_of("", 0)));
}

static inline fake_res *fv_post_json(fv *f, const char *target, const char *version, const char *json) {
  return fv_wait(f, fv_send(f, "POST", target, version, "application/json", aq_bytes_str(json)));
}

static inline void fv_sign_root(const fv *f, uint32_t v, uint8_t sig[96], aq_domain_type domain, uint64_t epoch,
                                const uint8_t object_root[32]) {
  uint8_t root[32];
  aq_chain_signing_root(root, &f->chain, domain, epoch, object_root);
  aq_bls_sign(sig, f->secret[v], root);
}

static inline void fv_sign_epoch(const fv *f, uint32_t v, uint8_t sig[96], uint64_t epoch) {
  uint8_t object[32] = {0};
  aq_le64_put(object, epoch);
  fv_sign_root(f, v, sig, AQ_DOMAIN_RANDAO, epoch, object);
}

/* One attestation of a request: a SingleAttestation from Electra on. */
static inline void fv_put_attestation(const fv *f, aq_buf *out, uint32_t v, uint64_t committee, const aq_att_data *d,
                                      uint32_t signer) {
  uint8_t ssz[128], root[32], sig[96];
  aq_att_data_put(ssz, d);
  aq_ssz_root(root, &aq_t_attestation_data, aq_bytes_of(ssz, sizeof ssz));
  fv_sign_root(f, signer, sig, AQ_DOMAIN_BEACON_ATTESTER, d->target_epoch, root);
  if (f->cfg.fork >= AQ_ELECTRA) {
    aq_buf_printf(out, "{\"committee_index\":\"%llu\",\"attester_index\":\"%u\"", (unsigned long long)committee,
                  FV_FIRST_INDEX + v);
  } else {
    uint8_t bits[2] = {(uint8_t)(1u << (v + 1)), 2}; /* nine members */
    aq_buf_put_str(out, "{\"aggregation_bits\":");
    fake_put_hex(out, bits, sizeof bits);
  }
  aq_buf_put_str(out, ",\"data\":");
  fake_put_att_data(out, d);
  aq_buf_put_str(out, ",\"signature\":");
  fake_put_hex(out, sig, sizeof sig);
  aq_buf_put_u8(out, '}');
}

#endif
