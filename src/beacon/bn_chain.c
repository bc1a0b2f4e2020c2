/* Before anything else: genesis, spec, forks and whether the node is synced, asked again until one node told all of
   it. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "beacon/bn_internal.h"
#include "codec/json.h"

const char *const aq_bn_part_path[AQ_BN_PARTS] = {"/eth/v1/beacon/genesis", "/eth/v1/config/spec",
                                                  "/eth/v1/config/fork_schedule"};

/* Order of core.md 6.1; the chain is known when all four steps went through: the parts, and a synced node. */
enum { STEP_SYNC = AQ_BN_PARTS, STEP_CNT };

typedef struct {
  const char *name, *endpoint;
  uint64_t pause_ns, pause_max_ns; /* pause * 1.6^i, at most pause_max */
} load_step;

static const load_step steps[STEP_CNT] = {
    {"genesis", "genesis", AQ_MILLIS(100), AQ_SECONDS(5)},
    {"spec", "spec", AQ_MILLIS(100), AQ_SECONDS(5)},
    {"fork_schedule", "fork_schedule", AQ_MILLIS(100), AQ_SECONDS(5)},
    {"sync", "node_syncing", AQ_SECONDS(1), AQ_SECONDS(120)},
};

enum { GENESIS_TIME_MAX_S = INT32_MAX, SPEC_SLOT_MAX_MS = 3600 * 1000, SPEC_SLOTS_PER_EPOCH_MAX = 1024 };

static void ask(void *arg);

static void finish(aq_bn_load *l, aq_status st, const char *why) {
  aq_bn *b = l->bn;
  b->load = NULL;
  if (st == AQ_OK) {
    b->chain_known = true;
    b->loaded = l->told;
    b->loaded_from = l->ep;
    b->clock = l->told.chain.clock;
  }
  l->fn(l->arg, st, st == AQ_OK ? &l->told.chain : NULL, why);
  free(l);
}

static void again(aq_bn_load *l, const char *why) {
  const load_step *s = &steps[l->step];
  double pause = (double)s->pause_ns;
  for (uint32_t i = 0; i < l->tries && pause < (double)s->pause_max_ns; i++) pause *= 1.6;
  uint64_t pause_ns = pause < (double)s->pause_max_ns ? (uint64_t)pause : s->pause_max_ns;
  if (l->tries == 0 || pause_ns >= AQ_SECONDS(1)) {
    AQ_LOG(AQ_LOG_WARN, "beacon_node_wait", AQ_STR("step", s->name), AQ_STR("err", why),
           AQ_UINT("retry_ms", pause_ns / AQ_NS_PER_MS));
  }
  l->tries++;
  if (l->step < STEP_SYNC && l->bn->ep_cnt > 1) { /* another node may know it all */
    l->step = AQ_BN_GENESIS;
    l->ep = NULL;
  }
  aq_timer_after(l->bn->cfg.env, &l->timer, pause_ns, ask, l);
}

static aq_status take_genesis(aq_bn_told *t, yyjson_val *data, aq_err *err) {
  uint64_t time_s;
  if (!aq_json_u64(data, "genesis_time", &time_s) ||
      !aq_json_hex(data, "genesis_validators_root", t->chain.genesis_validators_root, 32) ||
      !aq_json_hex(data, "genesis_fork_version", t->genesis_fork_version, 4)) {
    return aq_fail(err, AQ_E_AGAIN, "genesis lacks a field");
  }
  if (time_s > GENESIS_TIME_MAX_S) return aq_fail(err, AQ_E_FORMAT, "genesis_time is out of range");
  t->chain.clock.genesis_ns = AQ_SECONDS(time_s);
  return AQ_OK;
}

static aq_status take_clock(aq_clock *clock, yyjson_val *data, aq_err *err) {
  uint64_t seconds = 0, millis = 0;
  aq_json_u64(data, "SECONDS_PER_SLOT", &seconds);
  aq_json_u64(data, "SLOT_DURATION_MS", &millis);
  if (millis == 0 && seconds <= SPEC_SLOT_MAX_MS / 1000) millis = seconds * 1000;
  if (millis == 0 || millis > SPEC_SLOT_MAX_MS) {
    return aq_fail(err, AQ_E_FORMAT, "spec lacks a usable SECONDS_PER_SLOT or SLOT_DURATION_MS");
  }
  if (!aq_json_u64(data, "SLOTS_PER_EPOCH", &clock->slots_per_epoch) || clock->slots_per_epoch == 0 ||
      clock->slots_per_epoch > SPEC_SLOTS_PER_EPOCH_MAX) {
    return aq_fail(err, AQ_E_FORMAT, "spec lacks a usable SLOTS_PER_EPOCH");
  }
  clock->slot_ns = AQ_MILLIS(millis);
  return AQ_OK;
}

static void fork_key(char out[40], aq_fork f, const char *what) {
  snprintf(out, 40, "%s%s", aq_fork_of(f)->spec_key, what);
}

static uint64_t at_least_one(yyjson_val *data, const char *name, uint64_t otherwise) {
  uint64_t v = 0;
  aq_json_u64(data, name, &v);
  return v ? v : otherwise;
}

static aq_status take_spec(aq_bn_told *t, yyjson_val *data, aq_err *err) {
  aq_chain *c = &t->chain;
  if (!yyjson_is_obj(data)) return aq_fail(err, AQ_E_AGAIN, "spec is no object");
  aq_status st = take_clock(&c->clock, data, err);
  if (st != AQ_OK) return st;
  /* Lodestar 1.5.1 reports the fork active at slot 0 as genesis fork version: the spec knows better. */
  memcpy(c->genesis_version, t->genesis_fork_version, 4);
  aq_json_hex(data, "GENESIS_FORK_VERSION", c->genesis_version, 4);
  memcpy(c->fork[AQ_PHASE0].version, c->genesis_version, 4);
  c->fork[AQ_PHASE0].epoch = 0;
  for (aq_fork f = AQ_ALTAIR; f < AQ_FORK_CNT; f++) {
    char key[40];
    c->fork[f] = (aq_fork_at){.epoch = AQ_FAR_EPOCH};
    fork_key(key, f, "_FORK_VERSION");
    if (!aq_json_hex(data, key, c->fork[f].version, 4)) continue; /* unknown to this beacon node: never */
    fork_key(key, f, "_FORK_EPOCH");
    aq_json_u64(data, key, &c->fork[f].epoch);
  }
  c->epochs_per_sync_period = at_least_one(data, "EPOCHS_PER_SYNC_COMMITTEE_PERIOD", 256);
  c->target_aggregators_per_committee = at_least_one(data, "TARGET_AGGREGATORS_PER_COMMITTEE", 16);
  c->sync_committee_size = at_least_one(data, "SYNC_COMMITTEE_SIZE", 512);
  return AQ_OK;
}

/* The schedule decides when a fork is (core.md 5): it names versions, the spec says which fork a version is. */
static aq_status take_schedule(aq_bn_told *t, yyjson_val *data, aq_err *err) {
  if (!yyjson_is_arr(data) || yyjson_arr_size(data) > 64) return aq_fail(err, AQ_E_AGAIN, "fork schedule is no list");
  aq_chain *c = &t->chain;
  t->strange_epoch = AQ_FAR_EPOCH;
  yyjson_arr_iter it = yyjson_arr_iter_with(data);
  for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
    uint8_t version[4];
    uint64_t epoch;
    if (!aq_json_hex(v, "current_version", version, 4) || !aq_json_u64(v, "epoch", &epoch)) {
      return aq_fail(err, AQ_E_AGAIN, "fork schedule lacks a field");
    }
    bool strange = memcmp(c->genesis_version, version, 4) != 0;
    for (aq_fork f = AQ_ALTAIR; f < AQ_FORK_CNT; f++) {
      bool known = !aq_bytes_is_zero(aq_bytes_of(c->fork[f].version, 4));
      if (!known || memcmp(c->fork[f].version, version, 4) != 0) continue;
      c->fork[f].epoch = epoch;
      strange = false;
    }
    if (!strange || epoch >= t->strange_epoch) continue;
    t->strange_epoch = epoch;
    memcpy(t->strange_version, version, 4);
  }
  if (c->fork[AQ_CAPELLA].epoch != AQ_FAR_EPOCH) memcpy(c->capella_version, c->fork[AQ_CAPELLA].version, 4);
  return AQ_OK;
}

static aq_status take_sync(aq_bn_told *t, yyjson_val *data, aq_err *err) {
  if (t) t->head_known = aq_json_u64(data, "head_slot", &t->head_slot);
  yyjson_val *syncing = yyjson_obj_get(data, "is_syncing");
  if (!yyjson_is_bool(syncing)) return aq_fail(err, AQ_E_AGAIN, "node/syncing lacks is_syncing");
  return yyjson_get_bool(syncing) ? aq_fail(err, AQ_E_AGAIN, "the beacon node is syncing") : AQ_OK;
}

static aq_status take(aq_bn_told *t, int step, aq_bytes body, aq_err *err) {
  static aq_status (*const parser[AQ_BN_PARTS])(aq_bn_told *, yyjson_val *, aq_err *) = {take_genesis, take_spec,
                                                                                         take_schedule};
  yyjson_doc *doc = aq_json_parse(body, AQ_BN_SMALL_MAX, err);
  if (!doc) return AQ_E_AGAIN;
  yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data");
  aq_status st = AQ_OK;
  if (!data)
    st = aq_fail(err, AQ_E_AGAIN, "the answer has no data");
  else
    st = step == STEP_SYNC ? take_sync(t, data, err) : parser[step](t, data, err);
  yyjson_doc_free(doc);
  return st;
}

aq_status aq_bn_told_take(aq_bn_told *t, int part, aq_bytes body, aq_err *err) {
  AQ_ASSERT(part >= 0 && part < AQ_BN_PARTS);
  return take(t, part, body, err);
}

/* One synced beacon node is enough, so each answer is judged on its own. */
static bool synced(void *arg, const aq_bn_answer *ans) {
  (void)arg;
  return take(NULL, STEP_SYNC, ans->body, NULL) == AQ_OK;
}

static bool another_usable(const aq_bn *b, const aq_bn_endpoint *but) {
  for (size_t i = 0; i < b->ep_cnt; i++) {
    if (&b->ep[i] != but && aq_bn_usable(&b->ep[i])) return true;
  }
  return false;
}

/* All parts are there: is it our chain? Else another beacon node's may be. The last one's fault is the end of the load,
   which its owner tells: it is not logged here too. */
static aq_status judge(aq_bn_load *l, aq_err *err) {
  const aq_bn_cfg *cfg = &l->bn->cfg;
  aq_err why = {.text = ""};
  aq_status st = cfg->accepts ? cfg->accepts(cfg->arg, &l->told.chain, &why) : AQ_OK;
  if (st == AQ_OK) return AQ_OK;
  if (!another_usable(l->bn, l->ep)) return aq_fail(err, st, "%s: %s", l->ep->site, why.text);
  aq_bn_pass_over(l->ep, why.text);
  return aq_fail(err, AQ_E_AGAIN, "%s", why.text);
}

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_bn_load *l = arg;
  l->call_id = 0;
  if (st == AQ_E_CLOSED && !ans && aq_list_empty(&l->bn->calls) && l->bn->ep_cnt == 0) {
    finish(l, st, "no beacon node is configured");
    return;
  }
  aq_err err = {.text = ""};
  if (ans && ans->code >= 200 && ans->code <= 299) {
    if (l->step == AQ_BN_GENESIS) l->ep = l->bn->answering;
    st = take(&l->told, l->step, ans->body, &err);
    if (st == AQ_OK && l->step == AQ_BN_SCHEDULE) st = judge(l, &err);
  } else {
    st = aq_fail(&err, AQ_E_AGAIN, "%s", aq_bn_why(l->bn));
  }
  if (st == AQ_E_AGAIN) {
    again(l, err.text);
  } else if (st != AQ_OK) {
    finish(l, st, err.text);
  } else if (++l->step < STEP_CNT) {
    l->tries = 0;
    ask(l);
  } else {
    l->bn->health.head_known = l->told.head_known, l->bn->health.head_slot = l->told.head_slot;
    finish(l, AQ_OK, "");
  }
}

static void ask(void *arg) {
  aq_bn_load *l = arg;
  const load_step *s = &steps[l->step];
  bool sync = l->step == STEP_SYNC;
  const aq_bn_req req = {.endpoint = s->endpoint,
                         .method = "GET",
                         .path = sync ? "/eth/v1/node/syncing" : aq_bn_part_path[l->step],
                         .body_max = AQ_BN_SMALL_MAX,
                         .good = sync ? synced : NULL,
                         .forgiving = true};
  l->call_id = aq_bn_call_on(l->bn, sync ? NULL : l->ep, &req, answered, l);
}

void aq_bn_load_chain(aq_bn *b, void (*fn)(void *arg, aq_status st, const aq_chain *chain, const char *why),
                      void *arg) {
  AQ_ASSERT(!b->load);
  aq_bn_load *l = calloc(1, sizeof *l);
  AQ_ASSERT(l);
  *l = (aq_bn_load){.bn = b, .step = AQ_BN_GENESIS, .fn = fn, .arg = arg};
  b->load = l;
  ask(l);
}

void aq_bn_load_stop(aq_bn *b) {
  aq_bn_load *l = b->load;
  if (!l) return;
  aq_timer_cancel(b->cfg.env, &l->timer);
  aq_bn_cancel(b, l->call_id);
  finish(l, AQ_E_CLOSED, "stopped");
}
