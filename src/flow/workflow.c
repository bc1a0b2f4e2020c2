/* The wiring: every part is made here, and each says through here what the next one does. */
#include "flow/workflow.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "cluster/pubkeys.h"
#include "consensus/validity.h"
#include "flow/tracker_internal.h"
#include "flow/workflow_internal.h"
#include "qbft/qbft.h"

/* A lock's operators are nodes of an instance, shares of a key and peers of a verdict, each a bit of a word. */
_Static_assert((int)AQ_OPERATORS_MAX <= (int)AQ_QBFT_NODES_MAX && (int)AQ_OPERATORS_MAX <= (int)AQ_SHARES_MAX, "nodes");
_Static_assert((int)AQ_OPERATORS_MAX <= (int)AQ_TRACK_PEERS_MAX && AQ_OPERATORS_MAX <= 32, "peers");

/* ---- scheduler -> fetcher -> consensus ---- */

/* Duties whose data need a group signature first (RANDAO, selections): a node that makes none leaves them to the
   others. */
static bool fetches(const aq_workflow *w, aq_duty_type type) {
  return w->tss || aq_duty_of(type)->needs == AQ_DUTY_UNKNOWN;
}

/* Taken part in from the trigger on, so that a node with a slow beacon node still votes (core.md 2). */
static bool participates(aq_duty_type type) { return aq_duty_is(type, AQ_DF_AGREED); }

static void on_trigger(void *arg, aq_duty duty, const aq_duty_defs *defs) {
  aq_workflow *w = arg;
  aq_tracker_scheduled(w->tracker, duty, defs->cnt);
  if (participates(duty.type)) {
    aq_status st = aq_consensus_participate(w->consensus, duty);
    if (st != AQ_OK && st != AQ_E_EXISTS) {
      AQ_LOG(AQ_LOG_WARN, "consensus_participate", AQ_STR("duty", aq_duty_name(duty.type)),
             AQ_STR("err", aq_status_text(st)), AQ_UINT("slot", duty.slot));
    }
  }
  if (fetches(w, duty.type)) aq_fetcher_fetch(w->fetcher, duty, defs);
}

/* Own data are held to the rules of others' values: what these would refuse is not proposed. */
static aq_status own_value(aq_workflow *w, aq_duty duty, const aq_unsigned_set *set) {
  aq_err err = {AQ_OK, ""};
  aq_arena a;
  aq_arena_init(&a, AQ_WORKFLOW_OBJECT_MAX);
  aq_status st = aq_value_valid(&a, w->cfg.chain, duty, set, &err);
  aq_arena_free(&a);
  if (st == AQ_OK) st = aq_judge_own(w->judge, duty, set, &err);
  if (st != AQ_OK)
    AQ_LOG(AQ_LOG_WARN, "own_value", AQ_STR("duty", aq_duty_name(duty.type)), AQ_STR("err", err.text),
           AQ_UINT("slot", duty.slot), AQ_STR("result", "refused"),
           AQ_STR("note", "not proposed: check what the beacon node answers"));
  return st;
}

/* A beacon node that was restarted has forgotten whom blocks pay, and says so only by such a block. */
static void mend_fee(aq_workflow *w, aq_duty duty) {
  if (!w->cfg.forgot || aq_duty_eq(w->misdirected, duty)) return;
  w->misdirected = duty;
  w->refetch = true;
  w->cfg.forgot(w->cfg.arg);
}

void aq_workflow_prepared(aq_workflow *w) {
  aq_duty_defs defs;
  if (!w->refetch) return;
  w->refetch = false;
  if (aq_duty_deadline_ns(w->cfg.chain, w->misdirected) <= aq_now_ns(w->cfg.env)) return;
  if (aq_scheduler_defs(w->scheduler, w->misdirected, &defs) != AQ_OK) return;
  AQ_LOG(AQ_LOG_INFO, "refetch", AQ_UINT("slot", w->misdirected.slot),
         AQ_STR("note", "the beacon node was told the fee recipients again"));
  aq_fetcher_fetch(w->fetcher, w->misdirected, &defs);
}

static void on_fetched(void *arg, aq_duty duty, const aq_unsigned_set *set) {
  aq_workflow *w = arg;
  aq_status st = own_value(w, duty, set);
  aq_tracker_fetched(w->tracker, duty, st);
  if (st == AQ_E_UNKNOWN && aq_duty_of(duty.type)->slash == AQ_SLASH_BLOCK) mend_fee(w, duty);
  if (st != AQ_OK) return;
  st = aq_consensus_propose(w->consensus, duty, set);
  if (st != AQ_OK && st != AQ_E_EXISTS && st != AQ_E_STALE) {
    AQ_LOG(AQ_LOG_ERROR, "consensus_propose", AQ_STR("duty", aq_duty_name(duty.type)),
           AQ_STR("err", aq_status_text(st)), AQ_UINT("slot", duty.slot));
  }
  aq_consensus_judge(w->consensus, duty); /* a proposal of another leader may have waited for these */
}

static void on_fetch_failed(void *arg, aq_duty duty, aq_status st, const char *why, bool final) {
  aq_workflow *w = arg;
  aq_tracker_fetched(w->tracker, duty, st);
  AQ_LOG(final ? AQ_LOG_WARN : AQ_LOG_DEBUG, "fetch", AQ_STR("duty", aq_duty_name(duty.type)), AQ_STR("err", why),
         AQ_STR("result", final ? "failed" : "retry"), AQ_UINT("slot", duty.slot));
}

/* ---- what may be agreed on: flow/judge.h ---- */

static aq_value_verdict on_valid(void *arg, const aq_value_case *c, const aq_unsigned_set *set, aq_err *err) {
  return aq_judge_value(((aq_workflow *)arg)->judge, c, set, err);
}

static void on_known(void *arg, aq_duty duty) { aq_consensus_judge(((aq_workflow *)arg)->consensus, duty); }

/* ---- consensus -> dutydb, and the roots that may be signed ---- */

static void agree(aq_workflow *w, aq_duty duty, uint32_t validator, const aq_unsigned_data *d, aq_arena *a) {
  aq_signed_data object;
  const aq_sign_key key = {.duty = duty, .validator = validator};
  uint8_t root[32];
  aq_status st = aq_signed_of_agreed(&object, a, w->cfg.chain, duty, d);
  if (st == AQ_OK) {
    aq_signed_signing_root(root, w->cfg.chain, &object);
    st = aq_parsigdb_agree(w->parsigdb, &key, root);
  }
  if (st == AQ_OK && w->tss && !aq_parsigdb_object(w->parsigdb, &key, root))
    st = aq_parsigdb_keep(w->parsigdb, &key, root, &object);
  if (st == AQ_OK && w->tss) aq_tss_agreed(w->tss, &key, root);
  if (st == AQ_OK) aq_workflow_recall(w, &key, &object);
  if (st != AQ_OK && st != AQ_E_STALE) {
    AQ_LOG(AQ_LOG_ERROR, "agreed", AQ_STR("duty", aq_duty_name(duty.type)), AQ_STR("err", aq_status_text(st)),
           AQ_UINT("slot", duty.slot), AQ_UINT("validator", validator));
  }
}

/* Signatures that the set will bring: more than one a validator only for contributions in the plural form. */
static uint32_t signatures(aq_duty_type type, const aq_unsigned_data *d) {
  bool list = aq_duty_is(type, AQ_DF_SUBCOMMITTEE) && d->type->kind == AQ_SSZ_LIST;
  return list ? (uint32_t)aq_ssz_count(d->type, d->value) : 1;
}

/* The roots first: storing wakes the validator client, which may answer at once. */
static void on_decided(void *arg, aq_duty duty, const aq_unsigned_set *set, uint64_t round) {
  aq_workflow *w = arg;
  uint32_t cnt = 0;
  (void)round;
  if (aq_duty_deadline_ns(w->cfg.chain, duty) <= aq_now_ns(w->cfg.env)) return; /* replayed after its time */
  for (uint32_t i = 0; i < set->cnt; i++) {
    int64_t validator = aq_pubkeys_index(&w->validators, w->cfg.lock, set->item[i].pubkey);
    aq_unsigned_data d;
    aq_arena a;
    aq_arena_init(&a, AQ_WORKFLOW_OBJECT_MAX);
    if (validator >= 0 && aq_unsigned_decode(&d, &a, duty.type, set->item[i].data) == AQ_OK) {
      cnt += signatures(duty.type, &d);
      if (participates(duty.type)) agree(w, duty, (uint32_t)validator, &d, &a);
    }
    aq_arena_free(&a);
  }
  aq_status st = aq_dutydb_store(w->dutydb, duty, set);
  if (st != AQ_OK) {
    AQ_LOG(AQ_LOG_ERROR, "dutydb", AQ_STR("duty", aq_duty_name(duty.type)), AQ_STR("err", aq_status_text(st)),
           AQ_UINT("slot", duty.slot));
  }
  aq_tracker_decided(w->tracker, duty, cnt, st);
  aq_workflow_resend(w, duty);
}

static void on_undecided(void *arg, aq_duty duty, const char *why) {
  (void)arg;
  AQ_LOG(AQ_LOG_WARN, "consensus_failed", AQ_STR("duty", aq_duty_name(duty.type)), AQ_STR("err", why),
         AQ_UINT("slot", duty.slot));
}

/* Info_sync alone has a schedule that all nodes know for sure; theirs of the other duties can differ for a while, and
   such an instance starts with our own schedule only. */
static bool on_scheduled(void *arg, aq_duty duty) {
  const aq_workflow *w = arg;
  return !aq_duty_is(duty.type, AQ_DF_INFO) || aq_infosync_scheduled(&w->cfg.chain->clock, duty.slot);
}

static bool on_valid_info(void *arg, aq_duty duty, aq_bytes result) {
  return aq_infosync_valid(((aq_workflow *)arg)->infosync, duty, result);
}

static void on_decided_info(void *arg, aq_duty duty, aq_bytes result, uint64_t round) {
  (void)round;
  aq_infosync_decided(((aq_workflow *)arg)->infosync, duty, result);
}

static void on_double(void *arg, const char *why) {
  aq_workflow *w = arg;
  w->cfg.live_double(w->cfg.arg, why);
}

/* ---- tss, broadcaster ---- */

static void on_session_end(void *arg, const aq_sign_key *key, aq_tss_result result, uint32_t partials) {
  aq_workflow *w = arg;
  (void)partials;
  if (result == AQ_TSS_INVALID) aq_tracker_combined(w->tracker, key->duty, AQ_E_AUTH);
}

static void on_submitted(void *arg, aq_duty duty, const uint32_t *validators, uint32_t cnt, aq_status st,
                         const char *why) {
  aq_workflow *w = arg;
  const aq_store *store = w->cfg.store;
  aq_tracker_submitted(w->tracker, duty, cnt, st);
  for (uint32_t i = 0; i < cnt && st == AQ_OK; i++) {
    aq_workflow_left(w, duty, validators[i]);
    if (store->over) store->over(store->ctx, w->pubkey[validators[i]], duty);
  }
  if (st == AQ_OK) return;
  AQ_LOG(AQ_LOG_WARN, "submit", AQ_STR("duty", aq_duty_name(duty.type)), AQ_STR("err", why ? why : aq_status_text(st)),
         AQ_UINT("slot", duty.slot));
}

static void on_reorg(void *arg, uint64_t slot, uint64_t depth) {
  aq_workflow *w = arg;
  aq_scheduler_reorg(w->scheduler, aq_epoch_of(&w->cfg.chain->clock, slot > depth ? slot - depth : 0));
}

static void on_head(void *arg, const aq_bn_head *head) { aq_scheduler_head(((aq_workflow *)arg)->scheduler, head); }

static void on_heard(void *arg, uint64_t slot) {
  aq_workflow *w = arg;
  if (w->cfg.head) w->cfg.head(w->cfg.arg, slot);
}

void aq_workflow_chain_heard(aq_workflow *w) { aq_consensus_chain_heard(w->consensus); }

uint64_t aq_workflow_clock(aq_workflow *w, uint64_t raise_ns, uint64_t limit_ns) {
  uint64_t *until = &w->unproven_until_ns;
  if (*until && __builtin_add_overflow(*until, raise_ns, until)) *until = UINT64_MAX;
  if (*until > limit_ns) *until = limit_ns;
  uint64_t votes_ns = aq_consensus_clock(w->consensus, raise_ns, limit_ns);
  return votes_ns > *until ? votes_ns : *until;
}

/* ---- life ---- */

static bool decode_keys(aq_workflow *w) {
  const aq_lock *l = w->cfg.lock;
  for (uint32_t v = 0; v < l->validator_cnt; v++) {
    memcpy(w->pubkey[v], l->validators[v].pubkey, 48);
    if (aq_bls_pk_decode(&w->group[v], l->validators[v].pubkey) != AQ_OK) return false;
    for (uint32_t i = 0; i < w->n; i++) {
      if (aq_bls_pk_decode(&w->share[(size_t)v * w->n + i], l->validators[v].share[i]) != AQ_OK) return false;
    }
  }
  return true;
}

/* False: a key of the lock is no point of the curve. */
static bool keys_init(aq_workflow *w) {
  const aq_lock *l = w->cfg.lock;
  w->n = l->def.operator_cnt;
  w->threshold = l->def.threshold;
  w->pubkey = calloc(l->validator_cnt, sizeof *w->pubkey);
  w->group = calloc(l->validator_cnt, sizeof *w->group);
  w->share = calloc((size_t)l->validator_cnt * w->n, sizeof *w->share);
  w->peer_key = calloc(w->n, sizeof *w->peer_key);
  w->peer_name = calloc(w->n, sizeof *w->peer_name);
  w->peer_text = calloc(w->n, sizeof *w->peer_text);
  AQ_ASSERT(w->pubkey && w->group && w->share && w->peer_key && w->peer_name && w->peer_text);
  for (uint32_t i = 0; i < w->n; i++) {
    memcpy(w->peer_key[i], l->def.operators[i].pubkey, 33);
    snprintf(w->peer_text[i], sizeof w->peer_text[i], "%u", (unsigned)i);
    w->peer_name[i] = w->cfg.peer_names && w->cfg.peer_names[i] ? w->cfg.peer_names[i] : w->peer_text[i];
  }
  AQ_MUST(aq_pubkeys_init(&w->validators, w->cfg.env, l) == AQ_OK);
  if (!decode_keys(w)) return false;
  w->cluster = (aq_tss_cluster){.n = w->n,
                                .t = w->threshold,
                                .self = w->cfg.self,
                                .validator_cnt = l->validator_cnt,
                                .group = w->group,
                                .share = w->share};
  return true;
}

static void stores_init(aq_workflow *w) {
  const aq_workflow_cfg *c = &w->cfg;
  w->tracker = aq_tracker_new(&(aq_tracker_cfg){.env = c->env,
                                                .chain = c->chain,
                                                .n = w->n,
                                                .self = c->self,
                                                .combines = c->enable_tss,
                                                .peer_names = w->peer_name});
  w->dutydb = aq_dutydb_new(c->env, c->chain);
  w->aggsigdb = aq_aggsigdb_new(c->env, c->chain);
  w->parsigdb = aq_parsigdb_new(&(aq_parsigdb_cfg){.env = c->env, .chain = c->chain, .n = w->n});
  w->parsigex =
      aq_parsigex_new(&(aq_parsigex_cfg){c->env, c->net, c->chain, c->lock, c->self, w, aq_workflow_received});
  if (!c->enable_tss) return;
  w->tss = aq_tss_new(&(aq_tss_cfg){.env = c->env,
                                    .cluster = &w->cluster,
                                    .chain = c->chain,
                                    .sessions_max = c->tss_sessions_max,
                                    .strict = c->tss_strict,
                                    .peer_names = w->peer_name,
                                    .arg = w,
                                    .signature = aq_workflow_signature,
                                    .end = on_session_end});
}

static void actors_init(aq_workflow *w) {
  const aq_workflow_cfg *c = &w->cfg;
  /* Aggregation and sync contributions need selections, which the validator API does not take yet. */
  uint32_t types = 0;
  for (int t = 0; t < AQ_DUTY_CNT; t++) types |= (uint32_t)participates((aq_duty_type)t) << t;
  w->scheduler = aq_scheduler_new(&(aq_scheduler_cfg){.env = c->env,
                                                      .bn = c->bn,
                                                      .chain = c->chain,
                                                      .pubkey = (const uint8_t(*)[48])w->pubkey,
                                                      .validator_cnt = c->lock->validator_cnt,
                                                      .types = types,
                                                      .arg = w,
                                                      .trigger = on_trigger});
  w->fetcher = aq_fetcher_new(&(aq_fetcher_cfg){.env = c->env,
                                                .bn = c->bn,
                                                .chain = c->chain,
                                                .aggsigdb = w->aggsigdb,
                                                .dutydb = w->dutydb,
                                                .pubkey = (const uint8_t(*)[48])w->pubkey,
                                                .validator_cnt = c->lock->validator_cnt,
                                                .graffiti = c->graffiti,
                                                .builder_api = c->builder_api,
                                                .arg = w,
                                                .fetched = on_fetched,
                                                .failed = on_fetch_failed});
  w->broadcaster = aq_broadcaster_new(&(aq_broadcaster_cfg){c->env, c->bn, c->chain, w, on_submitted});
  w->consensus = aq_consensus_new(&(aq_consensus_cfg){.env = c->env,
                                                      .net = c->net,
                                                      .store = c->store,
                                                      .chain = c->chain,
                                                      .key = c->key,
                                                      .n = w->n,
                                                      .self = c->self,
                                                      .peer_pubkey = (const uint8_t(*)[33])w->peer_key,
                                                      .started_ns = c->started_ns,
                                                      .eager_timer = true,
                                                      .proposal_timeout = true,
                                                      .arg = w,
                                                      .valid = on_valid,
                                                      .decided = on_decided,
                                                      .failed = on_undecided,
                                                      .valid_info = on_valid_info,
                                                      .decided_info = on_decided_info,
                                                      .scheduled = on_scheduled,
                                                      .live_double = c->live_double ? on_double : NULL});
  w->judge = aq_judge_new(&(aq_judge_cfg){.env = c->env,
                                          .bn = c->bn,
                                          .chain = c->chain,
                                          .lock = c->lock,
                                          .validators = &w->validators,
                                          .scheduler = w->scheduler,
                                          .faulty = aq_qbft_faulty(w->n),
                                          .builder_api = c->builder_api,
                                          .arg = w,
                                          .known = on_known});
  const aq_priority_cluster cluster = {
      .n = w->n, .threshold = w->threshold, .pubkey = (const uint8_t(*)[33])w->peer_key};
  w->infosync = aq_infosync_new(&(aq_infosync_cfg){.env = c->env,
                                                   .net = c->net,
                                                   .consensus = w->consensus,
                                                   .chain = c->chain,
                                                   .key = c->key,
                                                   .cluster = cluster,
                                                   .self = c->self,
                                                   .builder_api = c->builder_api});
}

aq_workflow *aq_workflow_new(const aq_workflow_cfg *cfg) {
  aq_workflow *w = calloc(1, sizeof *w);
  AQ_ASSERT(w);
  w->cfg = *cfg;
  w->unproven_until_ns = aq_store_unproven_until_ns(cfg->store, cfg->started_ns);
  aq_list_init(&w->submissions);
  aq_list_init(&w->groups);
  aq_list_init(&w->resumed);
  aq_list_init(&w->leaving);
  AQ_ASSERT(cfg->self < cfg->lock->def.operator_cnt);
  if (!keys_init(w)) {
    aq_workflow_free(w);
    return NULL;
  }
  stores_init(w);
  actors_init(w);
  return w;
}

aq_status aq_workflow_start(aq_workflow *w, aq_err *err) {
  aq_status st = aq_consensus_recover(w->consensus);
  if (st == AQ_OK) st = aq_workflow_resume(w);
  if (st) return aq_fail(err, st, "the records of earlier votes cannot be read: %s", aq_status_text(st));
  w->started = true;
  aq_bn_subscribe(w->cfg.bn, &(aq_bn_events){.arg = w, .head = on_head, .heard = on_heard, .reorg = on_reorg});
  aq_scheduler_start(w->scheduler);
  aq_infosync_start(w->infosync);
  return AQ_OK;
}

void aq_workflow_peer_up(aq_workflow *w, uint32_t peer) { aq_parsigex_again(w->parsigex, peer); }

aq_scheduler *aq_workflow_scheduler(aq_workflow *w) { return w->scheduler; }
aq_dutydb *aq_workflow_dutydb(aq_workflow *w) { return w->dutydb; }
bool aq_workflow_combines(const aq_workflow *w) { return w->cfg.enable_tss; }

void aq_workflow_free(aq_workflow *w) {
  if (!w) return;
  if (w->started) aq_bn_subscribe(w->cfg.bn, &(aq_bn_events){0});
  aq_fetcher_free(w->fetcher);
  aq_judge_free(w->judge);
  aq_scheduler_free(w->scheduler);
  aq_infosync_free(w->infosync);
  aq_consensus_free(w->consensus);
  aq_workflow_exit_stop(w);
  aq_parsigex_free(w->parsigex);
  aq_workflow_sign_stop(w);
  aq_workflow_resume_stop(w);
  aq_tss_free(w->tss);
  aq_broadcaster_free(w->broadcaster);
  aq_parsigdb_free(w->parsigdb);
  aq_aggsigdb_free(w->aggsigdb);
  aq_dutydb_free(w->dutydb);
  aq_tracker_free(w->tracker);
  aq_map_free(&w->validators);
  free(w->pubkey);
  free(w->group);
  free(w->share);
  free(w->peer_key);
  free(w->peer_name);
  free(w->peer_text);
  free(w);
}
