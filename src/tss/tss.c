/* Partials in, from whom and how many; what they advance in sessions.c and batch.c. */
#include "tss/tss.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "tss/tss_internal.h"

enum { OPEN_HARD_MAX = 16384, LINGER_MAX = 65536 };

/* ---- peers ---- */

static const char *peer_name(const aq_tss *s, uint32_t share, char buf[16]) {
  if (s->cfg.peer_names && s->cfg.peer_names[share - 1]) return s->cfg.peer_names[share - 1];
  snprintf(buf, 16, "%u", (unsigned)share);
  return buf;
}

/* 6.3. Standing comes back by itself. */
bool tss_suspect(aq_tss *s, uint32_t share) {
  tss_peer *p = &s->peer[share - 1];
  if (p->suspect_until_ns == 0) return false;
  if (aq_mono_ns(s->cfg.env) < p->suspect_until_ns) return true;
  char buf[16];
  p->suspect_until_ns = 0;
  aq_metric_set(AQ_M_TSS_PEER_SUSPECT, 0, AQ_LABELS(peer_name(s, share, buf)));
  return false;
}

void tss_distrust(aq_tss *s, uint32_t share) {
  char buf[16];
  uint64_t epoch_ns = s->cfg.chain->clock.slots_per_epoch * s->cfg.chain->clock.slot_ns;
  s->peer[share - 1].suspect_until_ns = aq_mono_ns(s->cfg.env) + TSS_SUSPECT_EPOCHS * epoch_ns;
  aq_metric_set(AQ_M_TSS_PEER_SUSPECT, 1, AQ_LABELS(peer_name(s, share, buf)));
}

void tss_bad(aq_tss *s, const aq_sign_key *key, uint32_t share, aq_blame why) {
  static const char *const reason[TSS_BLAMES] = {"encoding", "subgroup", "signature", "conflict"};
  tss_peer *p = &s->peer[share - 1];
  aq_metric_add(AQ_M_TSS_MSGS_TOTAL, 1, AQ_LABELS("partial_bad"));
  if (why != AQ_BLAME_CONFLICT) tss_distrust(s, share);
  aq_line_limit *line = &p->blame_line[why];
  if (aq_line_due(line, aq_mono_ns(s->cfg.env))) {
    char buf[16];
    AQ_LOG(AQ_LOG_WARN, "tss_blame", AQ_STR("duty", aq_duty_name(key->duty.type)), AQ_UINT("more", line->more),
           AQ_STR("peer", peer_name(s, share, buf)), AQ_STR("reason", reason[why]), AQ_UINT("share", share),
           AQ_UINT("slot", key->duty.slot), AQ_UINT("validator", key->validator));
  }
  if (s->cfg.blame) s->cfg.blame(s->cfg.arg, key, share, why);
}

/* Tokens of tss.md 3: 4 (V/32 + 8) a slot, at most 4 V + 256. The level counts tokens times slot_ns, so that nothing
   is rounded. */
static bool take_tokens(aq_tss *s, uint32_t share, uint32_t cnt) {
  tss_peer *p = &s->peer[share - 1];
  uint64_t now = aq_mono_ns(s->cfg.env), slot_ns = s->cfg.chain->clock.slot_ns, v = s->cfg.cluster->validator_cnt;
  uint64_t passed = now - p->filled_ns, full = (4 * v + 256) * slot_ns, rate = 4 * (v / 32 + 8);
  p->filled_ns = now;
  uint64_t gain = passed >= full / rate ? full : passed * rate;
  p->level = gain >= full - p->level ? full : p->level + gain;
  if (p->level < cnt * slot_ns) return false;
  p->level -= cnt * slot_ns;
  return true;
}

/* ---- life of a session ---- */

void tss_drop(tss_session *e, tss_group *g, uint32_t share, bool ban) {
  g->state[share - 1] = TSS_P_NONE;
  if (ban) e->banned |= UINT32_C(1) << (share - 1);
}

bool tss_eligible(const tss_session *e, const tss_group *g) {
  return !e->has_root || memcmp(e->root, g->root, 32) == 0;
}

uint32_t tss_usable(aq_tss *s, const tss_group *g) {
  uint32_t set = 0;
  for (uint32_t share = 1; share <= s->n; share++) {
    uint8_t st = g->state[share - 1];
    if (st == TSS_P_GOOD || (st == TSS_P_FRESH && !s->cfg.strict && !tss_suspect(s, share)))
      set |= UINT32_C(1) << (share - 1);
  }
  return set;
}

void tss_advance(aq_tss *s, tss_session *e) {
  if (!e->armed || e->state == TSS_S_LINGER || e->in_flight || e->broken) return;
  bool ready = false;
  for (tss_group *g = e->group; g; g = g->next) {
    if (!tss_eligible(e, g)) continue;
    for (uint32_t share = 1; share <= s->n; share++) {
      if (g->state[share - 1] == TSS_P_FRESH && (s->cfg.strict || tss_suspect(s, share))) tss_hold(s, e, g, share);
    }
    ready = ready || (uint32_t)__builtin_popcount(tss_usable(s, g)) >= s->t;
  }
  if (ready == (e->state == TSS_S_READY)) {
    if (ready && aq_list_empty(&e->queue)) aq_list_push(&s->ready, &e->queue); /* its batch failed; others are there */
    return;
  }
  static const char *const round[] = {[TSS_S_GATHER] = "gather", [TSS_S_READY] = "combine"};
  uint64_t now = aq_mono_ns(s->cfg.env);
  aq_metric_observe(AQ_M_TSS_ROUND_MS, tss_ms(now - e->entered_ns), AQ_LABELS(round[e->state]));
  e->entered_ns = now;
  e->state = ready ? TSS_S_READY : TSS_S_GATHER;
  e->had_threshold = e->had_threshold || ready;
  aq_list_remove(&e->queue);
  if (ready) aq_list_push(&s->ready, &e->queue);
}

/* The share's partial in the session, whatever its root. */
static tss_group *partial_of(const tss_session *e, uint32_t share) {
  for (tss_group *g = e->group; g; g = g->next) {
    if (g->state[share - 1] != TSS_P_NONE) return g;
  }
  return NULL;
}

static void put(tss_session *e, tss_group *g, const aq_tss_partial *p, tss_partial_state st) {
  g->state[p->share_idx - 1] = (uint8_t)st;
  memcpy(g->sig[p->share_idx - 1], p->sig, 96);
  e->seen |= UINT32_C(1) << (p->share_idx - 1);
}

static aq_status late(aq_tss *s, tss_session *e, const aq_tss_partial *p) {
  uint32_t bit = UINT32_C(1) << (p->share_idx - 1);
  bool again = (e->seen & bit) != 0;
  aq_metric_add(AQ_M_TSS_MSGS_TOTAL, 1, AQ_LABELS(again ? "partial_duplicate" : "partial_late"));
  if (again) return AQ_E_DUP;
  e->seen |= bit;
  if (e->has_root && memcmp(e->root, p->root, 32) == 0) tss_audit(s, &p->key, p->share_idx, p->root, p->sig);
  return AQ_OK;
}

/* A second partial of a share: equal is ignored, another one is a conflict and the first stays. */
static aq_status again(aq_tss *s, tss_session *e, const aq_tss_partial *p) {
  tss_group *g = partial_of(e, p->share_idx);
  bool equal = !g || (memcmp(g->root, p->root, 32) == 0 && memcmp(g->sig[p->share_idx - 1], p->sig, 96) == 0);
  if (equal) {
    aq_metric_add(AQ_M_TSS_MSGS_TOTAL, 1, AQ_LABELS("partial_duplicate"));
    return AQ_E_DUP;
  }
  tss_bad(s, &p->key, p->share_idx, AQ_BLAME_CONFLICT);
  return AQ_E_EXISTS;
}

static aq_status remote_one(aq_tss *s, const aq_tss_partial *p) {
  aq_status st = AQ_OK;
  tss_session *e = tss_find(s, &p->key);
  if (!e) e = tss_open(s, &p->key, true, &st);
  if (!e) return st;
  if (e->state == TSS_S_LINGER) return late(s, e, p);
  if (e->seen & (UINT32_C(1) << (p->share_idx - 1))) return again(s, e, p);
  tss_group *g = tss_group_of(e, p->root);
  if (!g) g = tss_group_add(s, e, p->root, false);
  if (!g) return AQ_E_LIMIT;
  tss_exempt_trim(s, e, p->share_idx);
  put(e, g, p, TSS_P_FRESH);
  aq_metric_add(AQ_M_TSS_MSGS_TOTAL, 1, AQ_LABELS("partial_remote"));
  tss_advance(s, e);
  return AQ_OK;
}

aq_status aq_tss_remote(aq_tss *s, const aq_tss_partial *p, uint32_t cnt) {
  const aq_tss_cluster *c = s->cfg.cluster;
  if (cnt == 0) return AQ_OK;
  for (uint32_t i = 0; i < cnt; i++) {
    bool known = p[i].key.validator < c->validator_cnt && p[i].share_idx >= 1 && p[i].share_idx <= s->n;
    if (!known || p[i].share_idx == c->self + 1 || p[i].share_idx != p[0].share_idx) return AQ_E_UNKNOWN;
  }
  if (cnt > c->validator_cnt || !take_tokens(s, p[0].share_idx, cnt)) {
    aq_metric_add(AQ_M_TSS_RATE_LIMITED_TOTAL, 1, AQ_LABELS("tss_partial"));
    return AQ_E_LIMIT;
  }
  aq_status out = AQ_OK;
  bool any = false;
  for (uint32_t i = 0; i < cnt; i++) {
    aq_status st = remote_one(s, &p[i]);
    if (st == AQ_OK)
      any = true;
    else
      out = st;
  }
  tss_kick(s);
  return any && out == AQ_E_DUP ? AQ_OK : out;
}

static void local_one(aq_tss *s, const aq_tss_partial *p) {
  aq_status st;
  AQ_ASSERT(p->key.validator < s->cfg.cluster->validator_cnt && p->share_idx == s->cfg.cluster->self + 1);
  tss_session *e = tss_find(s, &p->key);
  if (!e) e = tss_open(s, &p->key, false, &st);
  if (!e) return;
  aq_metric_add(AQ_M_TSS_MSGS_TOTAL, 1, AQ_LABELS("partial_local"));
  if (e->state == TSS_S_LINGER) {
    e->seen |= UINT32_C(1) << (p->share_idx - 1);
    return;
  }
  if (!partial_of(e, p->share_idx)) {
    tss_group *g = tss_group_of(e, p->root);
    if (!g) g = tss_group_add(s, e, p->root, true);
    if (!g) return;
    tss_exempt_trim(s, e, p->share_idx);
    put(e, g, p, TSS_P_GOOD);
  }
  tss_arm(s, e);
  tss_advance(s, e);
}

void aq_tss_local(aq_tss *s, const aq_tss_partial *p, uint32_t cnt) {
  for (uint32_t i = 0; i < cnt; i++) local_one(s, &p[i]);
  tss_kick(s);
}

void aq_tss_agreed(aq_tss *s, const aq_sign_key *key, const uint8_t root[32]) {
  aq_status st;
  AQ_ASSERT(key->validator < s->cfg.cluster->validator_cnt);
  tss_session *e = tss_find(s, key);
  if (!e) e = tss_open(s, key, false, &st);
  if (!e || e->state == TSS_S_LINGER) return;
  if (e->has_root) {
    if (memcmp(e->root, root, 32) != 0)
      AQ_LOG(AQ_LOG_ERROR, "tss_agreed", AQ_STR("err", "a second root was agreed"), AQ_UINT("slot", key->duty.slot));
    return;
  }
  memcpy(e->root, root, 32);
  e->has_root = true;
  tss_arm(s, e);
  tss_advance(s, e);
  tss_kick(s);
}

uint32_t aq_tss_open(const aq_tss *s) { return s->open; }

/* ---- start and stop ---- */

static void tick(void *arg) {
  aq_tss *s = arg;
  uint64_t now = aq_mono_ns(s->cfg.env);
  for (uint32_t share = 1; share <= s->n; share++) (void)tss_suspect(s, share);
  if (now - s->last_end_ns >= AQ_SECONDS(TSS_SELFTEST_S)) tss_selftest_start(s);
  tss_kick(s);
  aq_timer_after(s->cfg.env, &s->tick, AQ_SECONDS(TSS_SELFTEST_S), tick, s);
}

static void maps_init(aq_tss *s, size_t sessions_max) {
  uint8_t seed[16];
  aq_random(s->cfg.env, seed, sizeof seed);
  aq_map_init(&s->sessions, 20, sessions_max, seed);
  aq_map_init(&s->duties, 12, sessions_max, seed);
  aq_map_init(&s->exempts, 8, sessions_max, seed);
  aq_map_init(&s->hashes, 32, TSS_HASHES_MAX, seed);
}

aq_tss *aq_tss_new(const aq_tss_cfg *cfg) {
  const aq_tss_cluster *c = cfg->cluster;
  AQ_ASSERT(c->n >= 1 && c->n <= AQ_SHARES_MAX && c->t >= 1 && c->t <= c->n && c->self < c->n);
  uint64_t started = aq_mono_ns(cfg->env);
  aq_tss *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  s->cfg = *cfg;
  s->n = c->n;
  s->t = c->t;
  s->group_max = (c->n - 1) / 3 + 1 > TSS_GROUPS_MAX ? (c->n - 1) / 3 + 1 : TSS_GROUPS_MAX;
  uint32_t hard = OPEN_HARD_MAX + 8 * c->validator_cnt;
  s->open_max = cfg->sessions_max > 0 && cfg->sessions_max < hard ? cfg->sessions_max : hard;
  size_t sessions_max = (size_t)hard + LINGER_MAX + (size_t)16 * c->validator_cnt;
  size_t group_len = sizeof(tss_group) + (size_t)c->n * 97 + 32;
  aq_arena_init(&s->arena, sessions_max * (sizeof(tss_session) + 32) + (size_t)hard * group_len * 2 +
                               ((size_t)hard * 2 + TSS_AUDIT_MAX) * (sizeof(tss_check_entry) + 32));
  maps_init(s, sessions_max);
  aq_list *const list[] = {&s->free_session, &s->free_entry, &s->duty_list, &s->remote_open, &s->ready,
                           &s->hash_list,    &s->batches,    &s->checks,    &s->held,        &s->audit};
  for (size_t i = 0; i < AQ_COUNT(list); i++) aq_list_init(list[i]);
  s->peer = calloc(c->n, sizeof *s->peer);
  s->name = calloc(c->validator_cnt, sizeof *s->name);
  AQ_ASSERT(s->peer && s->name);
  s->last_end_ns = started;
  for (uint32_t i = 0; i < c->n; i++) {
    s->peer[i].filled_ns = started;
    s->peer[i].level = ((uint64_t)4 * c->validator_cnt + 256) * cfg->chain->clock.slot_ns;
  }
  aq_metric_set(AQ_M_TSS_SESSIONS_OPEN, 0, AQ_NO_LABELS);
  aq_timer_after(cfg->env, &s->tick, AQ_SECONDS(TSS_SELFTEST_S), tick, s);
  aq_metric_observe(AQ_M_SERVICE_OP_MS, tss_ms(aq_mono_ns(cfg->env) - started), AQ_LABELS("tss", "start"));
  return s;
}

void aq_tss_free(aq_tss *s) {
  if (!s) return;
  uint64_t started = aq_mono_ns(s->cfg.env);
  aq_timer_cancel(s->cfg.env, &s->tick);
  tss_end_all(s, AQ_TSS_CANCELLED);
  tss_selftest_stop(s);
  AQ_LIST_EACH(&s->batches, b, tss_batch, link) {
    aq_list_remove(&b->link);
    b->tss = NULL;
  }
  AQ_LIST_EACH(&s->checks, c, tss_check, link) {
    aq_list_remove(&c->link);
    c->tss = NULL;
  }
  aq_metric_observe(AQ_M_SERVICE_OP_MS, tss_ms(aq_mono_ns(s->cfg.env) - started), AQ_LABELS("tss", "stop"));
  tss_hashes_free(s);
  aq_map_free(&s->sessions);
  aq_map_free(&s->duties);
  aq_map_free(&s->exempts);
  aq_arena_free(&s->arena);
  free(s->peer);
  free(s->name);
  free(s);
}
