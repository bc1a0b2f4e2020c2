/* The component: which duties have an instance, whose messages it gets, and what is answered of those that are over.
   */
#include "consensus/consensus.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"

enum { KEY_LEN = 12, INSTANCES_MAX = AQ_QBFT_NODES_MAX * AQ_INST_WAITING_PER_PEER + 1024 };

const char *aq_qbft_type_label(aq_qbft_type type, int64_t round) {
  switch (type) {
    case AQ_QBFT_PRE_PREPARE: return round == 1 ? "preprepare" : "new_view";
    case AQ_QBFT_PREPARE: return "prepare";
    case AQ_QBFT_COMMIT:
    case AQ_QBFT_DECIDED: return "commit";
    case AQ_QBFT_ROUND_CHANGE: return "view_change";
  }
  return "unknown";
}

/* ---- instances ---- */

static void key_of(uint8_t key[KEY_LEN], aq_duty duty) {
  aq_be64_put(key, duty.slot);
  aq_be32_put(key + 8, (uint32_t)duty.type);
}

aq_instance *aq_instance_find(const aq_consensus *c, aq_duty duty) {
  uint8_t key[KEY_LEN];
  key_of(key, duty);
  return aq_map_get(&c->by_duty, key);
}

static void report_failure(aq_instance *in) {
  const aq_consensus_cfg *cfg = &in->c->cfg;
  const char *duty = aq_duty_name(in->duty.type), *why = in->why;
  const aq_qbft_msg *d = aq_qbft_decided(in->q);
  if (d) why = in->contradicts ? "the journal holds another decision" : "decided, but the value was never received";
  if (!d && why[0] == 0) aq_instance_explain(in);
  aq_metric_add(AQ_M_CORE_CONSENSUS_TIMEOUT_TOTAL, 1, AQ_LABELS(AQ_QBFT_PROTOCOL, duty, in->timer_name));
  if (in->short_of_changes) {
    aq_metric_add(AQ_M_CORE_CONSENSUS_INSUFFICIENT_ROUND_CHANGES_TOTAL, 1,
                  AQ_LABELS(AQ_QBFT_PROTOCOL, duty, in->timer_name, "timeout"));
  }
  AQ_LOG(AQ_LOG_ERROR, "consensus_timeout", AQ_STR("duty", duty), AQ_UINT("height", in->duty.slot),
         AQ_INT("round", aq_qbft_round(in->q)), AQ_STR("trace_id", in->trace), AQ_STR("reason", why),
         AQ_FLAG("abstained", in->abstain), AQ_STR("result", "error"));
  if (cfg->failed) cfg->failed(cfg->arg, in->duty, why);
}

void aq_consensus_ended_before(aq_consensus *c, aq_duty_type type, uint64_t slot) {
  if (slot > c->ended_before[type]) c->ended_before[type] = slot;
}

bool aq_consensus_has_ended(const aq_consensus *c, aq_duty duty) {
  if (duty.type < AQ_DUTY_CNT && duty.slot < c->ended_before[duty.type]) return true;
  for (size_t i = 0; i < AQ_INST_ENDED_MAX; i++) {
    if (aq_duty_eq(c->ended[i], duty)) return true;
  }
  return false;
}

/* The duties of a type end by slots: with the one that has to go all before it are over. */
void aq_consensus_ended(aq_consensus *c, aq_duty duty) {
  if (aq_consensus_has_ended(c, duty)) return;
  const aq_duty *gone = &c->ended[c->ended_next];
  if (gone->type) aq_consensus_ended_before(c, gone->type, gone->slot + 1);
  c->ended[c->ended_next] = duty;
  c->ended_next = (c->ended_next + 1) % AQ_INST_ENDED_MAX;
}

static void on_end(void *arg) {
  aq_instance *in = arg;
  if (in->running && !in->delivered) report_failure(in);
  if (in->recorded || !aq_list_empty(&in->sent)) aq_consensus_ended(in->c, in->duty);
  aq_instance_close(in);
}

aq_instance *aq_instance_open(aq_consensus *c, aq_duty duty) {
  aq_instance *in = aq_instance_find(c, duty);
  if (in) return in;
  in = calloc(1, sizeof *in);
  if (!in) return NULL;
  uint8_t key[KEY_LEN];
  key_of(key, duty);
  if (aq_map_put(&c->by_duty, key, in) != AQ_OK) {
    free(in);
    return NULL;
  }
  in->c = c;
  in->duty = duty;
  in->timer_name = aq_round_timer_name(aq_round_timer_for(&c->flags));
  snprintf(in->trace, sizeof in->trace, "%s/%llu", aq_duty_name(duty.type), (unsigned long long)duty.slot);
  aq_arena_init(&in->arena, AQ_INST_ARENA_MAX);
  aq_arena_init(&in->store_arena, AQ_INST_ARENA_MAX);
  aq_list_init(&in->values);
  aq_list_init(&in->held);
  aq_list_init(&in->sent);
  aq_list_init(&in->outbox);
  aq_list_push(&c->all, &in->node);
  aq_timer_set(c->cfg.env, &in->end_timer, aq_duty_deadline_ns(c->cfg.chain, duty), on_end, in);
  return in;
}

static void drop_held(aq_instance *in, uint32_t peer) {
  AQ_LIST_EACH(&in->held, h, aq_inst_held, node) {
    if (h->peer != peer) continue;
    aq_list_remove(&h->node);
    aq_buf_free(&h->bytes);
    free(h);
  }
  if (in->held_cnt[peer]) in->c->waiting_cnt[peer]--;
  in->held_cnt[peer] = 0;
}

void aq_instance_close(aq_instance *in) {
  aq_consensus *c = in->c;
  const aq_env *env = c->cfg.env;
  for (uint32_t i = 0; i < c->cfg.n; i++) {
    if (!in->running) drop_held(in, i);
    aq_values_drop_peer(in, i);
  }
  aq_outbox_stop(in);
  if (in->record) in->record->in = NULL;
  aq_timer_cancel(env, &in->round_timer);
  aq_timer_cancel(env, &in->end_timer);
  aq_timer_cancel(env, &in->start_timer);
  aq_timer_cancel(env, &in->retry_timer);
  aq_timer_cancel(env, &in->offer_timer);
  uint8_t key[KEY_LEN];
  key_of(key, in->duty);
  aq_map_del(&c->by_duty, key);
  aq_list_remove(&in->node);
  aq_arena_free(&in->store_arena);
  aq_arena_free(&in->arena);
  free(in);
}

/* A recorded decision needs no vote of ours. */
void aq_instance_begin(aq_instance *in) {
  if (in->running) return;
  if (!in->recorded && aq_votes_must_wait(in->c, in->duty))
    in->wants_start = true;
  else
    aq_instance_start(in);
}

bool aq_consensus_must_abstain(const aq_consensus *c, aq_duty duty) {
  return c->abstain_until_ns && aq_duty_start_ns(c->cfg.chain, duty) <= c->abstain_until_ns;
}

void aq_consensus_chain_heard(aq_consensus *c) { c->chain_heard = true; }

uint64_t aq_consensus_clock(aq_consensus *c, uint64_t raise_ns, uint64_t limit_ns) {
  uint64_t lived_ns = c->made_ns + (aq_mono_ns(c->cfg.env) - c->started_mono_ns);
  uint64_t behind_max_ns = limit_ns > lived_ns ? limit_ns - lived_ns : 0;
  uint64_t limit_slot = aq_slot_at(&c->cfg.chain->clock, limit_ns);
  if (__builtin_add_overflow(c->behind_ns, raise_ns, &c->behind_ns) || c->behind_ns > behind_max_ns)
    c->behind_ns = behind_max_ns; /* it was set too far, and back */
  for (size_t type = 0; type < AQ_COUNT(c->ended_before); type++) {
    if (c->ended_before[type] > limit_slot) c->ended_before[type] = limit_slot;
  }
  uint64_t *const until[] = {&c->abstain_until_ns, &c->votes.stale_ns, &c->mark_ns};
  for (size_t i = 0; i < AQ_COUNT(until); i++) {
    if (*until[i] && __builtin_add_overflow(*until[i], raise_ns, until[i])) *until[i] = UINT64_MAX;
    if (*until[i] > limit_ns) *until[i] = limit_ns;
  }
  return *until[0] > *until[1] ? *until[0] : *until[1];
}

/* ---- messages that come before their instance starts, consensus.md 2.3 ---- */

/* The oldest duty that the peer filled goes; nobody else's. One that we abstain from stays known as such. */
static void make_room(aq_consensus *c, uint32_t peer) {
  aq_instance *oldest = NULL;
  AQ_LIST_EACH(&c->all, in, aq_instance, node) {
    if (in->running || in->held_cnt[peer] == 0) continue;
    if (!oldest || in->duty.slot < oldest->duty.slot) oldest = in;
  }
  if (!oldest) return;
  drop_held(oldest, peer);
  aq_values_drop_peer(oldest, peer);
  if (aq_list_empty(&oldest->held) && !oldest->wants_start && !oldest->abstain) aq_instance_close(oldest);
}

static void on_start(void *arg) { aq_instance_begin(arg); }

static aq_status hold(aq_instance *in, uint32_t peer, const aq_qbft_wire *w) {
  aq_consensus *c = in->c;
  if (in->held_cnt[peer] >= 2 * c->cfg.n + 4) return AQ_E_LIMIT;
  aq_inst_held *h = calloc(1, sizeof *h);
  if (!h) return AQ_E_LIMIT;
  h->peer = peer;
  h->bytes = AQ_BUF((AQ_QBFT_JUST_MAX + 1) * (AQ_QBFT_RAW_MAX + 4));
  aq_qbft_wire_put_msg(&h->bytes, w->msg.raw);
  for (uint32_t i = 0; i < w->msg.just_cnt; i++) aq_qbft_wire_put_just(&h->bytes, NULL, in->duty, &w->msg.just[i]);
  if (h->bytes.failed) { /* a peer's bytes: no memory for them is no reason to stop */
    aq_buf_free(&h->bytes);
    free(h);
    return AQ_E_LIMIT;
  }
  aq_list_push(&in->held, &h->node);
  if (in->held_cnt[peer]++ == 0) c->waiting_cnt[peer]++;
  aq_values_admit(in, peer, w);
  /* Our own proposal of info_sync may take seconds (wire.md 9.4): until then the others decide with our votes. */
  if (aq_duty_is(in->duty.type, AQ_DF_INFO) && in->start_timer.pos == 0) {
    aq_timer_set(c->cfg.env, &in->start_timer, aq_duty_start_ns(c->cfg.chain, in->duty), on_start, in);
  }
  return AQ_OK;
}

/* ---- receipt ---- */

/* When this process began, at the earliest: by the clock of now, or later where it was behind. */
static uint64_t began_ns(const aq_consensus *c) {
  uint64_t now = aq_now_ns(c->cfg.env), run = aq_mono_ns(c->cfg.env) - c->started_mono_ns;
  uint64_t by_now = now > run ? now - run : 0, by_chain = c->made_ns + c->behind_ns;
  return c->behind_ns && by_chain > by_now ? by_chain : by_now;
}

/* Unknown votes of duties that began up to then may be of an earlier run of ours. What the journal proves nothing of
   can also have been sent ahead of time, by a clock that was ahead, as far as anybody takes it: the gate. */
static uint64_t doubt_until_ns(const aq_consensus *c) {
  const uint64_t mark[] = {c->mark_ns, c->votes.stale_ns};
  uint64_t until = began_ns(c) + AQ_STORE_MARGIN_NS;
  for (size_t i = 0; i < AQ_COUNT(mark); i++) {
    uint64_t gate = mark[i] ? aq_duty_gate_end_ns(&c->cfg.chain->clock, mark[i]) : 0;
    if (gate > until) until = gate;
  }
  return until;
}

/* contract.md 13.6: of two live instances the later one stops. Both see votes of the other. Who can tell since less
   than an epoch takes itself for the later one; who has seen them for an epoch cannot rely on the other any more. A
   vote proves nothing before the chain was heard: a clock that is far behind takes duties long over for coming ones. */
static const char *must_stop(aq_consensus *c, aq_duty duty) {
  const aq_clock *clock = &c->cfg.chain->clock;
  uint64_t start = aq_duty_start_ns(c->cfg.chain, duty), epoch = clock->slots_per_epoch * clock->slot_ns;
  uint64_t now = aq_now_ns(c->cfg.env), mono = aq_mono_ns(c->cfg.env), run = mono - c->started_mono_ns;
  uint64_t doubt = doubt_until_ns(c);
  if (!c->chain_heard || start <= doubt) return NULL;
  if (c->double_last_ns == 0 || mono > c->double_last_ns + epoch) c->double_first_ns = mono;
  c->double_last_ns = mono;
  if (run <= doubt - began_ns(c) + epoch)
    return "another instance with this identity was running when this one started: stop it before this is started "
           "again";
  if (start + (mono - c->double_first_ns) > now + epoch)
    return "another instance with this identity has been running for an epoch: one of the two must go for ever";
  return NULL;
}

static void look_for_double(aq_consensus *c, aq_duty duty) {
  if (!c->cfg.live_double || c->double_told) return;
  const char *why = must_stop(c, duty);
  if (!why) return;
  c->double_told = true;
  c->cfg.live_double(c->cfg.arg, why);
}

static void log_foreign(aq_consensus *c, const aq_instance *here, aq_duty duty, const aq_qbft_msg *m, uint32_t peer) {
  aq_metric_add(AQ_M_QBFT_WAL_GUARD_DROPS_TOTAL, 1, AQ_NO_LABELS);
  if (!aq_line_due(&c->foreign_line, aq_mono_ns(c->cfg.env))) return;
  AQ_LOG(AQ_LOG_ERROR, "qbft_wal_guard", AQ_STR("type", aq_qbft_type_label(m->type, m->round)),
         AQ_UINT("height", duty.slot), AQ_INT("round", m->round), AQ_UINT("from", peer), AQ_UINT("last_h", duty.slot),
         AQ_INT("last_r", here && here->q ? aq_qbft_round(here->q) : 0), AQ_UINT("more", c->foreign_line.more),
         AQ_STR("result", "drop"),
         AQ_STR("err",
                "a vote with our own index that the journal does not know: another process uses this key, or the "
                "store is older than what was sent"));
}

/* Until when an unknown vote of ours holds votes back: what began up to now. Where it may have been sent ahead of time
   by an earlier run, there may be more of them. */
static uint64_t held_by_foreign_ns(const aq_consensus *c, aq_duty duty) {
  uint64_t start = aq_duty_start_ns(c->cfg.chain, duty), began = began_ns(c), now = aq_now_ns(c->cfg.env);
  uint64_t present = began + (aq_mono_ns(c->cfg.env) - c->started_mono_ns);
  if (present < now) present = now;
  bool ahead = start > began + AQ_STORE_MARGIN_NS && start <= doubt_until_ns(c);
  return ahead ? aq_duty_gate_end_ns(&c->cfg.chain->clock, present) : present;
}

/* What peers told of once they may not know any more after a restart of all: later lives hold it back, too. */
static void keep_unproven(const aq_store *store, uint64_t now_ns) {
  uint64_t since_ns = now_ns > AQ_STORE_MARGIN_NS ? now_ns - AQ_STORE_MARGIN_NS : 0;
  if (store->mark && since_ns > store->since_ns) store->mark(store->ctx, since_ns);
}

static void hold_back(aq_consensus *c, aq_instance *here, aq_duty duty) {
  uint64_t until = held_by_foreign_ns(c, duty);
  if (until > c->abstain_until_ns) c->abstain_until_ns = until;
  keep_unproven(c->cfg.store, aq_now_ns(c->cfg.env));
  const char *why = "a vote with our own index that the journal does not know";
  AQ_LIST_EACH(&c->all, in, aq_instance, node) {
    if (in == here || aq_consensus_must_abstain(c, in->duty)) aq_instance_abstain(in, why);
  }
}

/* consensus.md 7.3: our key is used elsewhere, or our journal is older than what we sent. sure: the journal said so; it
   may also be out of order. Further votes of a duty say nothing new, and may come each second: what began since then
   is not held back for them. */
static void own_from_outside(aq_consensus *c, aq_duty duty, const aq_qbft_msg *m, uint32_t peer, bool sure) {
  aq_instance *here = aq_instance_open(c, duty);
  bool told = here && here->foreign_own, held = here && here->held_back;
  if (here) here->foreign_own = here->held_back = true;
  if (!held) hold_back(c, here, duty);
  if (!told) log_foreign(c, here, duty, m, peer);
  if (sure) look_for_double(c, duty);
}

/* ---- an own vote that this process does not remember: the journal knows better (a clock was set back) ---- */

typedef struct {
  aq_list node;
  aq_consensus *c;
  aq_duty duty;
  aq_qbft_msg m; /* without views */
  uint32_t peer;
  uint32_t left;   /* answers to come */
  bool same, sure; /* what they said */
  bool shown;      /* as an answer to our question for votes */
} own_ask;

static void ask_free(own_ask *k) {
  aq_list_remove(&k->node);
  k->c->ask_cnt--;
  free(k);
}

static bool same_vote(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  return a->type == b->type && a->round == b->round && a->prepared_round == b->prepared_round &&
         aq_hash_eq(&a->value, &b->value) && aq_hash_eq(&a->prepared_value, &b->prepared_value);
}

static bool is_same(const own_ask *k, const aq_store_vote *v) {
  aq_qbft_msg m;
  uint32_t cnt;
  aq_duty duty = v->duty;
  bool implied = k->m.type == AQ_QBFT_PREPARE && v->msg_type == AQ_QBFT_COMMIT;
  if (k->m.type == AQ_QBFT_DECIDED || implied) return memcmp(v->value_hash, k->m.value.b, 32) == 0;
  aq_arena_reset(&k->c->scratch);
  return aq_qbft_wire_read(&m, &cnt, 1, &duty, &k->c->scratch, k->c->cfg.n, v->msg, false) == AQ_OK &&
         same_vote(&m, &k->m);
}

/* Ours, of before: it says nothing about another instance. But a machine that does not know it must not vote. */
static void is_own(own_ask *k) {
  aq_instance *in = aq_instance_find(k->c, k->duty);
  if (in && !aq_instance_knows_own(in, &k->m))
    aq_instance_abstain(in, "the journal has votes of this duty that are not in memory");
  else if (!in)
    aq_consensus_ended(k->c, k->duty);
}

static void on_found(void *arg, aq_status st, const aq_store_vote *v) {
  own_ask *k = arg;
  if (st == AQ_OK && is_same(k, v)) k->same = true;
  if (st != AQ_OK && st != AQ_E_NOTFOUND) k->sure = false;
  if (--k->left > 0) return;
  if (!k->same && k->shown) aq_votes_stale(k->c, k->duty, &k->m, k->peer);
  if (k->same)
    is_own(k);
  else
    own_from_outside(k->c, k->duty, &k->m, k->peer, k->sure);
  ask_free(k);
}

/* The journal answers in the order of the calls: before any vote of ours that is recorded from now on may leave. */
void aq_consensus_own_unknown(aq_consensus *c, aq_duty duty, const aq_qbft_msg *m, uint32_t peer, bool shown) {
  AQ_LIST_EACH(&c->asks, o, own_ask, node) {
    if (!aq_duty_eq(o->duty, duty) || !same_vote(&o->m, m)) continue;
    o->shown |= shown;
    return;
  }
  own_ask *k = c->ask_cnt < AQ_INST_ASKS_MAX ? calloc(1, sizeof *k) : NULL;
  if (!k) return;                            /* it will come again, or is one of a flood */
  bool prepare = m->type == AQ_QBFT_PREPARE; /* a COMMIT of the round implies it */
  *k = (own_ask){.c = c, .duty = duty, .m = *m, .peer = peer, .left = prepare ? 2 : 1, .sure = true, .shown = shown};
  k->m.raw = aq_bytes_of(NULL, 0);
  k->m.just = NULL, k->m.just_cnt = 0;
  aq_list_push(&c->asks, &k->node);
  c->ask_cnt++;
  const aq_store *store = c->cfg.store;
  if (prepare) store->find(store->ctx, duty, AQ_QBFT_COMMIT, (uint64_t)m->round, on_found, k);
  store->find(store->ctx, duty, (uint8_t)m->type, (uint64_t)m->round, on_found, k);
}

static const aq_qbft_msg *unknown_own(const aq_consensus *c, const aq_qbft_wire *w) {
  const aq_instance *in = aq_instance_find(c, w->duty);
  if (w->msg.from == c->cfg.self && !(in && aq_instance_knows_own(in, &w->msg))) return &w->msg;
  for (uint32_t i = 0; i < w->msg.just_cnt; i++) {
    const aq_qbft_msg *m = &w->msg.just[i];
    if (m->from == c->cfg.self && !(in && aq_instance_knows_own(in, m))) return m;
  }
  return NULL;
}

void aq_consensus_trace(char out[40], const aq_qbft_wire *w) {
  snprintf(out, 40, "%s/%llu", aq_duty_name(w->duty.type), (unsigned long long)w->duty.slot);
}

static void log_verify(const aq_qbft_wire *w, const char *result, const char *reason) {
  if (!aq_log_enabled(AQ_LOG_DEBUG)) return;
  char trace[40];
  aq_consensus_trace(trace, w);
  AQ_LOG(AQ_LOG_DEBUG, "qbft_verify", AQ_STR("type", aq_qbft_type_label(w->msg.type, w->msg.round)),
         AQ_UINT("from", w->msg.from), AQ_UINT("height", w->duty.slot), AQ_INT("round", w->msg.round),
         AQ_STR("trace_id", trace), AQ_STR("result", result), AQ_STR("reason", reason));
}

void aq_consensus_refuse(const aq_qbft_wire *w, const char *result, const char *reason) {
  aq_metric_add(AQ_M_QBFT_MSG_VERIFIED_TOTAL, 1, AQ_LABELS(result, NULL));
  log_verify(w, result, reason);
}

static void accept(const aq_qbft_wire *w, aq_status st) {
  const char *type = aq_qbft_type_label(w->msg.type, w->msg.round);
  if (st == AQ_E_DUP) {
    aq_consensus_refuse(w, "replay", NULL);
    return;
  }
  if (st == AQ_E_NOTFOUND) {
    aq_consensus_refuse(w, "error", aq_qbft_wire_name(AQ_QBFT_WIRE_VALUE_MISSING));
    return;
  }
  aq_metric_add(AQ_M_QBFT_MSG_TOTAL, 1, AQ_LABELS(type));
  if (st == AQ_E_UNJUST) {
    aq_consensus_refuse(w, "error", "unjustified");
    return;
  }
  aq_metric_add(AQ_M_QBFT_MSG_VERIFIED_TOTAL, 1, AQ_LABELS(NULL, type));
  aq_metric_add(AQ_M_QBFT_STATE_TRANSITIONS_TOTAL, 1, AQ_LABELS(type));
  log_verify(w, type, NULL);
}

void aq_consensus_step(aq_consensus *c, uint32_t peer, const aq_qbft_wire *w) {
  if (aq_consensus_has_ended(c, w->duty)) {
    aq_consensus_refuse(w, aq_qbft_wire_result(AQ_QBFT_WIRE_EXPIRED), aq_qbft_wire_name(AQ_QBFT_WIRE_EXPIRED));
    return;
  }
  const aq_qbft_msg *own = unknown_own(c, w);
  if (own) {
    aq_consensus_own_unknown(c, w->duty, own, peer, false);
    aq_consensus_refuse(w, "error", "own vote that is not in memory");
    return;
  }
  aq_instance *in = aq_instance_find(c, w->duty);
  if (in && in->running) {
    aq_votes_note(in, &w->msg);
    accept(w, aq_instance_recv(in, peer, w));
    return;
  }
  if (!(in && in->held_cnt[peer]) && c->waiting_cnt[peer] >= AQ_INST_WAITING_PER_PEER) make_room(c, peer);
  in = aq_instance_open(c, w->duty);
  if (in) aq_votes_note(in, &w->msg);
  if (!in || hold(in, peer, w) != AQ_OK) {
    aq_consensus_refuse(w, "error", "too many messages before the duty starts");
    return;
  }
  aq_metric_add(AQ_M_QBFT_MSG_VERIFIED_TOTAL, 1, AQ_LABELS(NULL, aq_qbft_type_label(w->msg.type, w->msg.round)));
  log_verify(w, aq_qbft_type_label(w->msg.type, w->msg.round), "held");
}

/* ---- the component ---- */

aq_consensus *aq_consensus_new(const aq_consensus_cfg *cfg) {
  AQ_ASSERT(cfg->n >= 1 && cfg->n <= AQ_QBFT_NODES_MAX && cfg->self < cfg->n);
  AQ_ASSERT(cfg->env && cfg->net && cfg->store && cfg->chain && cfg->key && cfg->peer_pubkey && cfg->decided);
  aq_consensus *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  c->cache = calloc(1, sizeof *c->cache);
  AQ_ASSERT(c->cache);
  c->cfg = *cfg;
  c->flags = (aq_timer_flags){.eager = cfg->eager_timer, .proposal_timeout = cfg->proposal_timeout};
  uint8_t seed[16];
  aq_random(cfg->env, seed, sizeof seed);
  aq_map_init(&c->by_duty, KEY_LEN, INSTANCES_MAX, seed);
  aq_list_init(&c->all);
  aq_list_init(&c->tx_all);
  aq_list_init(&c->records);
  aq_list_init(&c->asks);
  c->started_mono_ns = aq_mono_ns(cfg->env);
  c->made_ns = aq_now_ns(cfg->env);
  if (cfg->started_ns > c->made_ns) c->behind_ns = cfg->started_ns - c->made_ns;
  aq_arena_init(&c->scratch, AQ_INST_SCRATCH);
  c->abstain_until_ns = c->mark_ns = aq_store_unproven_until_ns(cfg->store, cfg->started_ns);
  if (cfg->store->state != AQ_STORE_OK) {
    AQ_LOG(AQ_LOG_WARN, "qbft_wal", AQ_STR("op", "load"), AQ_STR("result", "miss"),
           AQ_UINT("height", aq_slot_at(&cfg->chain->clock, c->abstain_until_ns)), AQ_INT("round", 0),
           AQ_UINT("last_h", 0), AQ_INT("last_r", 0),
           AQ_STR("note",
                  "no journal of earlier votes: this node abstains from duties that begin up to this slot and 2 s "
                  "after its start"));
  }
  aq_ingress_start(c);
  aq_votes_init(c);
  return c;
}

void aq_consensus_free(aq_consensus *c) {
  if (!c) return;
  aq_ingress_stop(c);
  aq_votes_free(c);
  AQ_LIST_EACH(&c->all, in, aq_instance, node) { aq_instance_close(in); }
  aq_outbox_free(c);
  AQ_LIST_EACH(&c->records, r, aq_inst_record, node) {
    aq_list_remove(&r->node);
    free(r);
  }
  AQ_LIST_EACH(&c->asks, k, own_ask, node) { ask_free(k); }
  aq_map_free(&c->by_duty);
  aq_arena_free(&c->scratch);
  free(c->cache);
  free(c);
}

static void duty_event(const aq_consensus *c, uint64_t start, const aq_instance *in) {
  uint64_t took = aq_mono_ns(c->cfg.env) - start;
  aq_metric_add(AQ_M_CONSENSUS_EVENTS_TOTAL, 1, AQ_LABELS("duty"));
  aq_metric_observe(AQ_M_CONSENSUS_PROC_MS, (double)took / 1e6, AQ_LABELS("duty"));
  AQ_LOG(AQ_LOG_DEBUG, "consensus_recv", AQ_STR("kind", "duty"), AQ_STR("trace_id", in->trace),
         AQ_UINT("latency_ms", took / AQ_NS_PER_MS), AQ_STR("result", "recv"));
}

static aq_status usable(const aq_consensus *c, aq_duty duty) {
  if (!aq_duty_is(duty.type, AQ_DF_CONSENSUS)) return AQ_E_UNSUPPORTED;
  if (aq_consensus_has_ended(c, duty)) return AQ_E_STALE;
  return aq_now_ns(c->cfg.env) >= aq_duty_deadline_ns(c->cfg.chain, duty) ? AQ_E_STALE : AQ_OK;
}

aq_status aq_consensus_participate(aq_consensus *c, aq_duty duty) {
  uint64_t start = aq_mono_ns(c->cfg.env);
  aq_status st = usable(c, duty);
  if (st) return st;
  aq_instance *in = aq_instance_open(c, duty);
  if (!in) return AQ_E_LIMIT;
  if (in->participated) return AQ_E_EXISTS;
  in->participated = true;
  aq_instance_begin(in);
  duty_event(c, start, in);
  return AQ_OK;
}

/* Canonical bytes and their hash. */
static aq_status propose(aq_consensus *c, aq_duty duty, const aq_hash *hash, aq_bytes value) {
  uint64_t start = aq_mono_ns(c->cfg.env);
  aq_instance *in = aq_instance_open(c, duty);
  if (!in) return AQ_E_LIMIT;
  if (in->proposed) return AQ_E_EXISTS;
  if (!aq_value_keep(in, c->cfg.self, hash, value)) return AQ_E_LIMIT;
  in->proposed = true;
  in->propose_ns = aq_now_ns(c->cfg.env);
  aq_instance_begin(in);
  aq_instance_machine(in); /* it may wait: the value is there when it starts */
  aq_instance_propose(in, hash);
  duty_event(c, start, in);
  return AQ_OK;
}

aq_status aq_consensus_propose(aq_consensus *c, aq_duty duty, const aq_unsigned_set *set) {
  aq_status st = usable(c, duty);
  if (st) return st;
  if (aq_duty_is(duty.type, AQ_DF_INFO) || set->cnt == 0) return AQ_E_UNSUPPORTED;
  size_t size = AQ_INST_SCRATCH;
  for (uint32_t i = 0; i < set->cnt; i++) size += 512;
  aq_arena scratch;
  aq_arena_init(&scratch, size);
  aq_buf bytes = AQ_BUF(AQ_INST_VALUE_MAX);
  aq_hash hash;
  st = aq_qbft_value_encode(&bytes, &hash, &scratch, set);
  if (st == AQ_OK) st = propose(c, duty, &hash, aq_buf_bytes(&bytes));
  aq_buf_free(&bytes);
  aq_arena_free(&scratch);
  return st;
}

aq_status aq_consensus_propose_info(aq_consensus *c, aq_duty duty, aq_bytes result) {
  aq_status st = aq_duty_is(duty.type, AQ_DF_INFO) ? usable(c, duty) : AQ_E_UNSUPPORTED;
  if (st) return st;
  aq_arena scratch;
  aq_arena_init(&scratch, AQ_INST_COPIES(result.len) + AQ_INST_SCRATCH);
  aq_buf bytes = AQ_BUF(AQ_INST_VALUE_MAX);
  aq_hash hash;
  st = aq_qbft_value_canon(&bytes, &hash, &scratch, duty.type,
                           &(aq_qbft_any){.type_url = aq_bytes_str(AQ_QBFT_INFO_URL), .value = result});
  if (st == AQ_OK) st = propose(c, duty, &hash, aq_buf_bytes(&bytes));
  aq_buf_free(&bytes);
  aq_arena_free(&scratch);
  return st;
}

void aq_consensus_judge(aq_consensus *c, aq_duty duty) {
  aq_instance *in = aq_instance_find(c, duty);
  if (in && in->running) aq_instance_judge(in);
}

uint64_t aq_consensus_unproven_until_ns(const aq_consensus *c) { return c->votes.stale_ns; }

uint32_t aq_consensus_instances(const aq_consensus *c) { return (uint32_t)c->by_duty.cnt; }
