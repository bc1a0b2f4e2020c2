/* A session from its first partial to its one end, its groups by root, and the room that duties and peers have. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "tss/tss_internal.h"

enum { DUTY_KEY_LEN = 12, EXEMPT_KEY_LEN = 8 };

static const char *const result_name[] = {
    [AQ_TSS_OK] = "ok",           [AQ_TSS_TIMEOUT] = "timeout",
    [AQ_TSS_INVALID] = "invalid", [AQ_TSS_CONFLICT] = "conflict",
    [AQ_TSS_UNARMED] = "unarmed", [AQ_TSS_CANCELLED] = "cancelled",
};

static void exempt_bytes(uint8_t out[EXEMPT_KEY_LEN], const tss_session *e) {
  aq_le32_put(out, e->validator);
  aq_le32_put(out + 4, (uint32_t)e->duty->duty.type);
}

aq_sign_key tss_key_of(const tss_session *e) {
  return (aq_sign_key){.duty = e->duty->duty, .validator = e->validator, .sub = e->sub};
}

tss_session *tss_find(const aq_tss *s, const aq_sign_key *key) {
  uint8_t k[AQ_SIGN_KEY_LEN];
  aq_sign_key_bytes(k, key);
  return aq_map_get(&s->sessions, k);
}

/* ---- groups ---- */

tss_group *tss_group_of(const tss_session *e, const uint8_t root[32]) {
  for (tss_group *g = e->group; g; g = g->next) {
    if (memcmp(g->root, root, 32) == 0) return g;
  }
  return NULL;
}

/* NULL: too many roots. What is ours, and the agreed root, always finds room: strangers must not crowd it out. */
tss_group *tss_group_add(aq_tss *s, tss_session *e, const uint8_t root[32], bool local) {
  bool wanted = local || (e->has_root && memcmp(e->root, root, 32) == 0);
  if (!wanted && e->group_cnt >= s->group_max) {
    aq_metric_add(AQ_M_TSS_RATE_LIMITED_TOTAL, 1, AQ_LABELS("tss_group"));
    return NULL;
  }
  tss_group *g = s->free_group;
  if (g)
    s->free_group = g->next;
  else
    g = aq_arena_alloc(&s->arena, sizeof *g + (size_t)s->n * 97);
  if (!g) return NULL;
  memset(g, 0, sizeof *g + (size_t)s->n * 97);
  memcpy(g->root, root, 32);
  g->sig = (uint8_t(*)[96])(g + 1);
  g->state = (uint8_t *)(g + 1) + (size_t)s->n * 96;
  g->next = e->group;
  e->group = g;
  e->group_cnt++;
  return g;
}

static void groups_free(aq_tss *s, tss_session *e) {
  while (e->group) {
    tss_group *g = e->group;
    e->group = g->next;
    g->next = s->free_group;
    s->free_group = g;
  }
  e->group_cnt = 0;
}

/* ---- duties ---- */

static void duty_key(uint8_t out[DUTY_KEY_LEN], aq_duty d) {
  aq_le64_put(out, d.slot);
  aq_le32_put(out + 8, (uint32_t)d.type);
}

/* tss.md 10: one line a slot and duty, once nothing is open any more. */
void tss_duty_summary(tss_duty *d) {
  if (d->open > 0 || d->ok + d->failed == 0) return;
  AQ_LOG(AQ_LOG_INFO, "tss_duty", AQ_UINT("batch_max", d->batch_max), AQ_UINT("batches", d->batches),
         AQ_STR("duty", aq_duty_name(d->duty.type)), AQ_UINT("failed", d->failed),
         AQ_UINT("latency_ms", d->slowest_ns / 1000000), AQ_UINT("ok", d->ok), AQ_UINT("slot", d->duty.slot));
  d->ok = d->failed = d->batches = d->batch_max = 0;
  d->slowest_ns = 0;
}

static void duty_free(tss_duty *d) {
  aq_tss *s = d->tss;
  uint8_t k[DUTY_KEY_LEN];
  duty_key(k, d->duty);
  aq_timer_cancel(s->cfg.env, &d->timer);
  aq_map_del(&s->duties, k);
  aq_list_remove(&d->link);
  free(d);
}

static aq_tss_result verdict(const aq_tss *s, const tss_session *e) {
  if (!e->armed) return AQ_TSS_UNARMED;
  if (e->had_threshold) return AQ_TSS_INVALID;
  return (uint32_t)__builtin_popcount(e->seen) >= s->t ? AQ_TSS_CONFLICT : AQ_TSS_TIMEOUT;
}

static void leave(const aq_tss *s, const tss_session *e) {
  static const char *const round[] = {"init", "gather", "combine"};
  AQ_ASSERT(e->state != TSS_S_LINGER);
  aq_metric_observe(AQ_M_TSS_ROUND_MS, tss_ms(aq_mono_ns(s->cfg.env) - e->entered_ns), AQ_LABELS(round[e->state]));
}

/* First seven digits of the group key. Points are only held decoded: combining one share of index 1 writes it. */
static const char *validator_name(const aq_tss *s, uint32_t validator) {
  const uint32_t one = 1;
  uint8_t key[48];
  char hex[97];
  char *name = s->name[validator];
  if (name[0] || aq_tbls_recover_pubkey(key, &s->cfg.cluster->group[validator], &one, 1) != AQ_OK) return name;
  aq_hex_encode(hex, aq_bytes_of(key, 48));
  memcpy(name, hex, 7);
  return name;
}

static void log_session(const aq_tss *s, aq_log_level level, aq_duty duty, uint32_t validator, const char *phase,
                        const char *result, uint64_t took_ns) {
  if (!aq_log_enabled(level)) return;
  char id[64];
  snprintf(id, sizeof id, "%s/%llu/%s", aq_duty_name(duty.type), (unsigned long long)duty.slot,
           validator_name(s, validator));
  AQ_LOG(level, "tss_session", AQ_STR("id", id), AQ_UINT("latency_ms", took_ns / 1000000), AQ_STR("phase", phase),
         AQ_STR("result", result));
}

static void log_end(const aq_tss *s, const tss_session *e, aq_tss_result result, uint64_t took_ns) {
  static const char *const phase[] = {"init", "gather", "combine", "done"};
  aq_log_level level = result == AQ_TSS_OK || result == AQ_TSS_CANCELLED ? AQ_LOG_DEBUG : AQ_LOG_INFO;
  log_session(s, level, e->duty->duty, e->validator, phase[e->state], result_name[result], took_ns);
}

/* The session's only end: counts, then tells the owner. It lingers or is freed by the caller. */
static void end(aq_tss *s, tss_session *e, aq_tss_result result) {
  uint64_t now = aq_mono_ns(s->cfg.env), took = e->armed ? now - e->armed_ns : 0;
  leave(s, e);
  if (result == AQ_TSS_OK) {
    aq_metric_observe(AQ_M_CORE_SIGAGG_SLOT_AGGREGATION_SECONDS, (double)(now - e->entered_ns) / 1e9,
                      AQ_LABELS(aq_duty_name(e->duty->duty.type)));
  }
  log_end(s, e, result, took);
  aq_list_remove(&e->queue);
  e->state = TSS_S_LINGER;
  s->open--;
  s->last_end_ns = now;
  aq_metric_set(AQ_M_TSS_SESSIONS_OPEN, s->open, AQ_NO_LABELS);
  aq_metric_add(AQ_M_TSS_SESSIONS_TOTAL, 1, AQ_LABELS(result_name[result]));
  tss_duty *d = e->duty;
  d->open--;
  if (result == AQ_TSS_OK)
    d->ok++;
  else if (result != AQ_TSS_UNARMED)
    d->failed++;
  if (took > d->slowest_ns) d->slowest_ns = took;
  aq_sign_key key = tss_key_of(e);
  uint32_t partials = (uint32_t)__builtin_popcount(e->seen);
  if (s->cfg.end) s->cfg.end(s->cfg.arg, &key, result, partials);
}

void tss_finish(aq_tss *s, tss_session *e, const uint8_t root[32], const uint8_t sig[96]) {
  aq_sign_key key = tss_key_of(e);
  AQ_ASSERT(e->armed && e->state != TSS_S_LINGER && !(e->has_root && memcmp(e->root, root, 32) != 0));
  memcpy(e->root, root, 32);
  e->has_root = true;
  groups_free(s, e);
  if (s->cfg.signature) s->cfg.signature(s->cfg.arg, &key, root, sig);
  end(s, e, AQ_TSS_OK);
}

/* All sessions, then the duty itself. */
static void sessions_free(tss_duty *d) {
  d->cnt++;
  AQ_LIST_EACH(&d->sessions, e, tss_session, in_duty) tss_session_free(d->tss, e);
  AQ_ASSERT(d->cnt == 1);
  duty_free(d);
}

static void duty_over(void *arg) {
  tss_duty *d = arg;
  aq_tss *s = d->tss;
  d->expired = true;
  AQ_LIST_EACH(&d->sessions, e, tss_session, in_duty) {
    if (e->state != TSS_S_LINGER) end(s, e, verdict(s, e));
  }
  tss_duty_summary(d);
  sessions_free(d);
}

static tss_duty *duty_get(aq_tss *s, aq_duty duty) {
  uint8_t k[DUTY_KEY_LEN];
  duty_key(k, duty);
  tss_duty *d = aq_map_get(&s->duties, k);
  if (d) return d;
  d = calloc(1, sizeof *d);
  if (!d || aq_map_put(&s->duties, k, d) != AQ_OK) {
    free(d);
    return NULL;
  }
  d->tss = s;
  d->duty = duty;
  aq_list_init(&d->sessions);
  aq_list_push(&s->duty_list, &d->link);
  uint64_t at = aq_duty_deadline_ns(s->cfg.chain, duty);
  if (at != AQ_NEVER) aq_timer_set(s->cfg.env, &d->timer, at, duty_over, d);
  return d;
}

/* ---- sessions ---- */

/* Room for one more: evicts the oldest session that only strangers asked for. Ours are never evicted. */
static bool make_room(aq_tss *s) {
  if (s->open < s->open_max) return true;
  if (aq_list_empty(&s->remote_open)) {
    aq_metric_add(AQ_M_TSS_RATE_LIMITED_TOTAL, 1, AQ_LABELS("tss_session"));
    return false;
  }
  tss_session *old = AQ_CONTAINER(s->remote_open.next, tss_session, queue);
  end(s, old, AQ_TSS_UNARMED);
  tss_session_free(s, old);
  return true;
}

static bool exempt_add(aq_tss *s, tss_session *e) {
  uint8_t k[EXEMPT_KEY_LEN];
  exempt_bytes(k, e);
  tss_exempt *x = aq_map_get(&s->exempts, k);
  if (!x) {
    x = calloc(1, sizeof *x);
    if (!x || aq_map_put(&s->exempts, k, x) != AQ_OK) {
      free(x);
      return false;
    }
    aq_list_init(&x->sessions);
  }
  aq_list_push(&x->sessions, &e->exempt);
  return true;
}

static void exempt_del(aq_tss *s, tss_session *e) {
  uint8_t k[EXEMPT_KEY_LEN];
  exempt_bytes(k, e);
  aq_list_remove(&e->exempt);
  tss_exempt *x = aq_map_get(&s->exempts, k);
  if (x && aq_list_empty(&x->sessions)) free(aq_map_del(&s->exempts, k));
}

tss_session *tss_open(aq_tss *s, const aq_sign_key *key, bool remote, aq_status *st) {
  uint64_t at = aq_duty_deadline_ns(s->cfg.chain, key->duty);
  *st = AQ_E_STALE;
  if (at <= aq_now_ns(s->cfg.env)) return NULL;
  *st = AQ_E_LIMIT;
  if (!make_room(s)) { /* peers can bring this about at will: not for every operator's log */
    log_session(s, AQ_LOG_DEBUG, key->duty, key->validator, "init", "limited", 0);
    return NULL;
  }
  tss_session *e;
  if (!aq_list_empty(&s->free_session)) {
    e = AQ_CONTAINER(s->free_session.next, tss_session, in_duty);
    aq_list_remove(&e->in_duty);
  } else {
    e = aq_arena_alloc(&s->arena, sizeof *e);
    if (!e) return NULL;
  }
  memset(e, 0, sizeof *e);
  aq_list_init(&e->in_duty), aq_list_init(&e->queue), aq_list_init(&e->exempt);
  uint8_t k[AQ_SIGN_KEY_LEN];
  aq_sign_key_bytes(k, key);
  e->duty = duty_get(s, key->duty);
  e->validator = key->validator;
  e->sub = key->sub;
  if (!e->duty || e->duty->expired || aq_map_put(&s->sessions, k, e) != AQ_OK) {
    aq_list_push(&s->free_session, &e->in_duty);
    if (e->duty && !e->duty->expired && e->duty->cnt == 0) duty_free(e->duty);
    return NULL;
  }
  e->id = ++s->next_id;
  e->entered_ns = aq_mono_ns(s->cfg.env);
  aq_list_push(&e->duty->sessions, &e->in_duty);
  e->duty->cnt++, e->duty->open++;
  if (remote) aq_list_push(&s->remote_open, &e->queue);
  s->open++;
  aq_metric_set(AQ_M_TSS_SESSIONS_OPEN, s->open, AQ_NO_LABELS);
  if (at == AQ_NEVER && !exempt_add(s, e)) {
    end(s, e, AQ_TSS_CANCELLED);
    tss_session_free(s, e);
    return NULL;
  }
  *st = AQ_OK;
  return e;
}

void tss_session_free(aq_tss *s, tss_session *e) {
  AQ_ASSERT(e->state == TSS_S_LINGER);
  uint8_t k[AQ_SIGN_KEY_LEN];
  aq_sign_key key = tss_key_of(e);
  aq_sign_key_bytes(k, &key);
  aq_map_del(&s->sessions, k);
  groups_free(s, e);
  if (!aq_list_empty(&e->exempt)) exempt_del(s, e);
  aq_list_remove(&e->queue);
  aq_list_remove(&e->in_duty);
  tss_duty *d = e->duty;
  aq_list_push(&s->free_session, &e->in_duty);
  if (--d->cnt == 0) duty_free(d);
}

/* Exits and registrations have no deadline: a share keeps its newest ones only. Called before a share's partial is
   added to e. */
void tss_exempt_trim(aq_tss *s, tss_session *e, uint32_t share) {
  if (aq_list_empty(&e->exempt)) return;
  uint8_t k[EXEMPT_KEY_LEN];
  exempt_bytes(k, e);
  tss_exempt *x = aq_map_get(&s->exempts, k);
  uint32_t bit = UINT32_C(1) << (share - 1), cnt = 0;
  tss_session *oldest = NULL;
  AQ_LIST_EACH(&x->sessions, it, tss_session, exempt) {
    if (!(it->seen & bit) || it == e) continue;
    cnt++;
    if (!oldest) oldest = it;
  }
  if (cnt < TSS_EXEMPT_MAX) return;
  aq_line_limit *line = &s->peer[share - 1].exempt_line;
  if (aq_line_due(line, aq_mono_ns(s->cfg.env))) {
    AQ_LOG(AQ_LOG_WARN, "tss_exempt", AQ_STR("duty", aq_duty_name(e->duty->duty.type)), AQ_UINT("more", line->more),
           AQ_UINT("share", share), AQ_STR("result", "evicted"), AQ_UINT("validator", e->validator));
  }
  for (tss_group *g = oldest->group; g; g = g->next) tss_drop(oldest, g, share, false);
  oldest->seen &= ~bit;
  if (oldest->seen != 0) return;
  if (oldest->state != TSS_S_LINGER) end(s, oldest, verdict(s, oldest));
  tss_session_free(s, oldest);
}

/* Own partial or agreed data: the session is ours now. */
void tss_arm(aq_tss *s, tss_session *e) {
  if (e->armed) return;
  leave(s, e);
  aq_list_remove(&e->queue);
  e->armed = true;
  e->state = TSS_S_GATHER;
  e->entered_ns = e->armed_ns = aq_mono_ns(s->cfg.env);
}

void tss_end_all(aq_tss *s, aq_tss_result result) {
  AQ_LIST_EACH(&s->duty_list, d, tss_duty, link) {
    d->expired = true;
    AQ_LIST_EACH(&d->sessions, e, tss_session, in_duty) {
      if (e->state != TSS_S_LINGER) end(s, e, result);
    }
    sessions_free(d);
  }
}
