/* Answers of a beacon node: the input, by its first byte, answers one route with one status; the others answer well.
   The chain's routes with the SSZ bit set answer so once the chain is loaded: its watch reads them. Chain, scheduler,
   fetcher, preparer and the health questions run for two slots and must refuse or take it. */
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "fake/fuzz_json.h"
#include "fake/http.h"
#include "flow/fetcher.h"
#include "schedule/preparer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ROUTES = 14, CHAIN_ROUTES = 3 };
static const char *const route[ROUTES] = {
    "/beacon/genesis",       "/config/spec",      "/config/fork_schedule",   "/node/syncing",   "states/head",
    "duties/attester",       "attestation_data?", "/validator/blocks/",      "duties/proposer", "duties/sync",
    "aggregate_attestation", "/node/peer_count",  "prepare_beacon_proposer", "/eth/v1/events"};
static const int code[] = {200, 404, 400, 405, 500, 503, 204, 206, 415};
#define ROOT "0x2121212121212121212121212121212121212121212121212121212121212121"
#define KEY "0xa0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"
static const char *const good[ROUTES] = {
    "{\"data\":{\"genesis_time\":\"1700000000\",\"genesis_validators_root\":\"" ROOT
    "\",\"genesis_fork_version\":\"0x00000001\"}}",
    "{\"data\":{\"SECONDS_PER_SLOT\":\"6\",\"SLOTS_PER_EPOCH\":\"8\",\"FULU_FORK_VERSION\":\"0x70000910\","
    "\"FULU_FORK_EPOCH\":\"0\"}}",
    "{\"data\":[]}",
    "{\"data\":{\"is_syncing\":false}}",
    "{\"data\":[{\"index\":\"10\",\"balance\":\"1\",\"status\":\"active_ongoing\",\"validator\":{\"pubkey\":\"" KEY
    "\"}}]}",
    "{\"dependent_root\":\"" ROOT "\",\"data\":[{\"pubkey\":\"" KEY
    "\",\"slot\":\"0\",\"validator_index\":\"10\",\"committee_index\":\"0\",\"committee_length\":\"1\","
    "\"committees_at_slot\":\"1\",\"validator_committee_index\":\"0\"}]}",
    "{\"data\":{\"slot\":\"0\",\"index\":\"0\",\"beacon_block_root\":\"" ROOT
    "\",\"source\":{\"epoch\":\"0\",\"root\":\"" ROOT "\"},\"target\":{\"epoch\":\"0\",\"root\":\"" ROOT "\"}}}",
    "{}",
    "{\"dependent_root\":\"" ROOT "\",\"data\":[{\"pubkey\":\"" KEY "\",\"slot\":\"0\",\"validator_index\":\"10\"}]}",
    "{\"data\":[{\"pubkey\":\"" KEY "\",\"validator_index\":\"10\",\"validator_sync_committee_indices\":[\"3\"]}]}",
    "{}",
    "{\"data\":{\"connected\":\"5\"}}",
    "",
    ""};

typedef struct {
  fake_env env;
  fake_http http;
  aq_bn *bn;
  aq_chain chain;
  bool loaded;
  aq_fetcher *fetcher;
  const uint8_t *data;
  size_t len;
  int which, code;
  bool ssz;
} world;

static void handle(void *arg, fake_ex *ex) {
  world *w = arg;
  for (int i = 0; i < ROUTES; i++) {
    if (!strstr(ex->url, route[i])) continue;
    bool later = w->ssz && i < CHAIN_ROUTES && !w->loaded;
    if (i == w->which && !later)
      fake_http_answer_h(ex, 1, w->code, w->ssz ? "application/octet-stream" : "application/json",
                         aq_bytes_of(w->data, w->len), "Eth-Consensus-Version", "fulu");
    else
      fake_http_answer(ex, 1, 200, good[i]);
    return;
  }
  fake_http_answer(ex, 1, 200, "{\"data\":[]}");
}

static void loaded(void *arg, aq_status st, const aq_chain *chain, const char *why) {
  world *w = arg;
  (void)why;
  if (st == AQ_OK) w->chain = *chain;
  w->loaded = st == AQ_OK;
}

static void fetched(void *arg, aq_duty duty, const aq_unsigned_set *set) {
  (void)arg, (void)duty;
  AQ_ASSERT(set->cnt > 0 && set->item[0].data.len > 0);
}
static void failed(void *arg, aq_duty duty, aq_status st, const char *why, bool final) {
  (void)arg, (void)duty, (void)st, (void)why, (void) final;
}
static void trigger(void *arg, aq_duty duty, const aq_duty_defs *defs) {
  world *w = arg;
  AQ_ASSERT(defs->cnt > 0);
  aq_fetcher_fetch(w->fetcher, duty, defs);
}
static void duties(void *arg, aq_status st, yyjson_val *answer) { (void)arg, (void)st, (void)answer; }
static void on_head(void *arg, const aq_bn_head *head) { (void)arg, (void)head; }
static void on_reorg(void *arg, uint64_t slot, uint64_t depth) { (void)arg, (void)slot, (void)depth; }
static void quiet(void *arg, const char *line, size_t n) { (void)arg, (void)line, (void)n; }

static void run_duties(world *w) {
  static uint8_t key[1][48];
  memset(key, 0xa0, 48);
  aq_aggsigdb *aggsigdb = aq_aggsigdb_new(&w->env.env, &w->chain);
  aq_dutydb *dutydb = aq_dutydb_new(&w->env.env, &w->chain);
  const aq_fetcher_cfg fc = {.env = &w->env.env,
                             .bn = w->bn,
                             .chain = &w->chain,
                             .aggsigdb = aggsigdb,
                             .dutydb = dutydb,
                             .pubkey = (const uint8_t(*)[48])key,
                             .validator_cnt = 1,
                             .fetched = fetched,
                             .failed = failed};
  w->fetcher = aq_fetcher_new(&fc);
  const aq_scheduler_cfg sc = {
      .env = &w->env.env,
      .bn = w->bn,
      .chain = &w->chain,
      .pubkey = (const uint8_t(*)[48])key,
      .validator_cnt = 1,
      .types = 1u << AQ_DUTY_ATTESTER | 1u << AQ_DUTY_PROPOSER | 1u << AQ_DUTY_AGGREGATOR | 1u << AQ_DUTY_SYNC_MESSAGE,
      .arg = w,
      .trigger = trigger};
  aq_scheduler *s = aq_scheduler_new(&sc);
  static aq_validator_address address = {.fee_recipient = "0x0000000000000000000000000000000000000001"};
  static aq_dist_validator validator;
  static aq_lock lock = {.validators = &validator, .validator_cnt = 1};
  lock.def.addresses = &address;
  aq_preparer *p = aq_preparer_new(&(aq_preparer_cfg){&w->env.env, w->bn, &w->chain, s, &lock, NULL, NULL});
  aq_scheduler_start(s);
  aq_preparer_start(p);
  aq_scheduler_duties(s, AQ_DUTIES_SYNC, 0, duties, NULL);
  aq_bn_watch_chain(w->bn, &w->chain);
  aq_bn_subscribe(w->bn, &(aq_bn_events){.arg = w, .head = on_head, .reorg = on_reorg});
  const aq_duty block = {0, AQ_DUTY_PROPOSER};
  aq_signed_data randao = {.duty = AQ_DUTY_RANDAO};
  if (aq_aggsigdb_store(aggsigdb, &(aq_sign_key){.duty = {0, AQ_DUTY_RANDAO}}, &randao) == AQ_OK) {
    const aq_duty_def def = {.validator_index = 10};
    aq_fetcher_fetch(w->fetcher, block, &(aq_duty_defs){&def, 1});
  }
  aq_signed_data selection = {.duty = AQ_DUTY_PREPARE_AGGREGATOR};
  if (aq_aggsigdb_store(aggsigdb, &(aq_sign_key){.duty = {0, AQ_DUTY_PREPARE_AGGREGATOR}}, &selection) == AQ_OK) {
    const aq_duty_def def = {.validator_index = 10, .attester = {.committee_length = 1}};
    aq_fetcher_fetch(w->fetcher, (aq_duty){0, AQ_DUTY_AGGREGATOR}, &(aq_duty_defs){&def, 1});
  }
  fake_env_run_for(&w->env, AQ_SECONDS(8));
  aq_bn_health health;
  aq_bn_health_get(w->bn, &health);
  aq_preparer_free(p);
  aq_scheduler_free(s);
  aq_fetcher_free(w->fetcher);
  aq_aggsigdb_free(aggsigdb);
  aq_dutydb_free(dutydb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const char *const urls[] = {"http://bn"};
  static world w;
  if (len == 0) return 0;
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  w.loaded = false;
  w.which = (data[0] & 0x7f) % ROUTES;
  w.code = code[(data[0] & 0x7f) / ROUTES % AQ_COUNT(code)];
  w.ssz = data[0] >= 128;
  w.data = data + 1;
  w.len = len - 1;
  fake_env_init(&w.env, AQ_SECONDS(1700000000));
  fake_http_init(&w.http, &w.env, handle, &w);
  const aq_bn_cfg bc = {.env = &w.env.env, .http = &w.http.http, .endpoints = urls, .endpoint_cnt = 1};
  w.bn = aq_bn_new(&bc);
  aq_bn_load_chain(w.bn, loaded, &w);
  fake_env_run_for(&w.env, AQ_MILLIS(50));
  if (w.loaded && w.chain.clock.slot_ns >= AQ_SECONDS(1)) run_duties(&w);
  aq_bn_free(w.bn);
  fake_http_free(&w.http);
  fake_env_free(&w.env);
  return 0;
}

FUZZ_JSON_MUTATOR(1)
