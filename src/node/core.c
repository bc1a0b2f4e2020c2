/* Beacon node and validator API first; the rest once the chain's parameters are known. */
#include "node/core.h"

#include "base/hex.h"
#include "base/log.h"

const aq_network *aq_core_network(const aq_lock *lock, const aq_network *custom) {
  if (custom && memcmp(custom->genesis_version, lock->def.fork_version, 4) == 0) return custom;
  return aq_network_by_version(lock->def.fork_version);
}

/* Is the cluster's fork version in the beacon node's schedule? */
static aq_status accepts(void *arg, const aq_chain *chain, aq_err *err) {
  const aq_core *c = arg;
  const uint8_t *version = c->cfg.lock->def.fork_version;
  char text[9];
  for (int f = 0; f < AQ_FORK_CNT; f++) {
    if (memcmp(chain->fork[f].version, version, 4) == 0) return AQ_OK;
  }
  if (memcmp(chain->genesis_version, version, 4) == 0) return AQ_OK;
  aq_hex_encode(text, aq_bytes_of(version, 4));
  const aq_network *ours = aq_core_network(c->cfg.lock, c->cfg.network), *theirs;
  theirs = aq_network_by_version(chain->genesis_version);
  return aq_fail(err, AQ_E_UNKNOWN,
                 "the beacon node is on another network (%s) than the cluster (%s), whose fork version 0x%s is not in "
                 "its schedule: name a beacon node of the cluster's network, or the directory of the right cluster",
                 theirs ? theirs->name : "none that is known here", ours ? ours->name : "none that is known here",
                 text);
}

static void stream_opened(void *arg) {
  aq_core *c = arg;
  if (c->preparer) aq_preparer_again(c->preparer);
  aq_vapi_subscribe_again(c->vapi);
}

void aq_core_init(aq_core *c, const aq_core_cfg *cfg) {
  *c = (aq_core){.cfg = *cfg};
  (void)aq_clock_stepped(cfg->env, &c->look);
  aq_clock_watch_init(&c->watch, &c->chain.clock);
  if (cfg->http) {
    c->bn = aq_bn_new(&(aq_bn_cfg){.env = cfg->env,
                                   .http = cfg->http,
                                   .endpoints = cfg->endpoints,
                                   .endpoint_cnt = cfg->endpoint_cnt,
                                   .fallbacks = cfg->fallbacks,
                                   .fallback_cnt = cfg->fallback_cnt,
                                   .headers = cfg->headers,
                                   .timeout_ns = cfg->beacon_timeout_ns,
                                   .submit_timeout_ns = cfg->beacon_submit_timeout_ns,
                                   .arg = c,
                                   .accepts = accepts,
                                   .opened = stream_opened});
  }
  c->vapi = aq_vapi_new(&(aq_vapi_cfg){.env = cfg->env,
                                       .http = cfg->http,
                                       .bn = c->bn,
                                       .lock = cfg->lock,
                                       .self = cfg->self,
                                       .version = cfg->version,
                                       .simulated = aq_network_by_version(cfg->lock->def.fork_version) == NULL});
}

static void on_double(void *arg, const char *why) {
  aq_core *c = arg;
  c->cfg.unsafe(c->cfg.arg, why);
}

static void on_forgot(void *arg) {
  aq_core *c = arg;
  if (c->preparer) aq_preparer_again(c->preparer);
}

static void on_told(void *arg) { aq_workflow_prepared(((aq_core *)arg)->workflow); }

static aq_status start_workflow(aq_core *c, aq_err *err) {
  const aq_core_cfg *cfg = &c->cfg;
  c->workflow = aq_workflow_new(&(aq_workflow_cfg){.env = cfg->env,
                                                   .net = cfg->net,
                                                   .store = cfg->store,
                                                   .bn = c->bn,
                                                   .chain = &c->chain,
                                                   .lock = cfg->lock,
                                                   .key = cfg->key,
                                                   .self = cfg->self,
                                                   .started_ns = cfg->started_ns + (uint64_t)c->behind_ns,
                                                   .enable_tss = cfg->enable_tss,
                                                   .tss_sessions_max = cfg->tss_sessions_max,
                                                   .tss_strict = cfg->tss_strict,
                                                   .graffiti = cfg->graffiti,
                                                   .builder_api = cfg->builder_api,
                                                   .peer_names = cfg->peer_names,
                                                   .arg = c,
                                                   .live_double = cfg->unsafe ? on_double : NULL,
                                                   .head = aq_core_head,
                                                   .forgot = on_forgot});
  if (!c->workflow) return aq_fail(err, AQ_E_FORMAT, "a public key of the lock is no point of the curve");
  return aq_workflow_start(c->workflow, err);
}

static void chain_loaded(void *arg, aq_status st, const aq_chain *chain, const char *why) {
  aq_core *c = arg;
  const aq_core_cfg *cfg = &c->cfg;
  if (st != AQ_OK) {
    cfg->failed(cfg->arg, why);
    return;
  }
  c->chain = *chain;
  c->chain_known = true;
  aq_err err = {0};
  if (cfg->store->pin && cfg->store->pin(cfg->store->ctx, chain->genesis_validators_root, &err) != AQ_OK) {
    cfg->failed(cfg->arg, err.text);
    return;
  }
  const aq_network *net = aq_core_network(cfg->lock, cfg->network);
  memcpy(c->chain.genesis_version, cfg->lock->def.fork_version, 4);
  if (net) memcpy(c->chain.capella_version, net->capella_version, 4);
  aq_bn_watch_chain(c->bn, &c->chain);
  aq_core_clock_look(c);
  uint64_t start_ns = aq_mono_ns(cfg->env);
  if (start_workflow(c, &err) != AQ_OK) {
    cfg->failed(cfg->arg, err.text);
    return;
  }
  c->preparer = aq_preparer_new(&(aq_preparer_cfg){.env = cfg->env,
                                                   .bn = c->bn,
                                                   .chain = &c->chain,
                                                   .scheduler = aq_workflow_scheduler(c->workflow),
                                                   .lock = cfg->lock,
                                                   .arg = c,
                                                   .told = on_told});
  aq_preparer_start(c->preparer);
  aq_vapi_ready(c->vapi, &c->chain, c->workflow);
  aq_core_clock_start(c);
  cfg->ready(cfg->arg, aq_mono_ns(cfg->env) - start_ns);
}

void aq_core_start(aq_core *c) {
  if (c->bn) aq_bn_load_chain(c->bn, chain_loaded, c);
}

void aq_core_stop(aq_core *c) {
  if (!c->vapi) return;
  aq_timer_cancel(c->cfg.env, &c->clock_timer);
  aq_vapi_unhealthy(c->vapi, "shutting down");
}

void aq_core_end_duties(aq_core *c) {
  aq_preparer_free(c->preparer);
  aq_workflow_free(c->workflow);
  c->preparer = NULL;
  c->workflow = NULL;
}

void aq_core_peer_up(aq_core *c, uint32_t peer) {
  if (c->workflow) aq_workflow_peer_up(c->workflow, peer);
}

void aq_core_free(aq_core *c) {
  aq_vapi_free(c->vapi);
  aq_bn_free(c->bn);
  *c = (aq_core){0};
}
