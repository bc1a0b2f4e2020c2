/* Partials looked at one by one: what waits for its session, what came late, and the own client's requests. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/metrics.h"
#include "tss/tss_internal.h"

/* Verification of one suspect peer's partial, amortised over a batch; 25 % of a core a slot for them all (tss.md 3,
   6.3). */
#define COST_NS UINT64_C(300000)

static tss_check_entry *entry_new(aq_tss *s, const aq_sign_key *key, uint32_t share, const uint8_t root[32],
                                  const uint8_t sig[96]) {
  tss_check_entry *e;
  if (!aq_list_empty(&s->free_entry)) {
    e = AQ_CONTAINER(s->free_entry.next, tss_check_entry, link);
    aq_list_remove(&e->link);
  } else {
    e = aq_arena_alloc(&s->arena, sizeof *e);
    if (!e) return NULL;
  }
  *e = (tss_check_entry){.key = *key, .share = share, .since_ns = aq_mono_ns(s->cfg.env)};
  aq_list_init(&e->link);
  memcpy(e->root, root, 32);
  memcpy(e->raw, sig, 96);
  return e;
}

static void entry_free(aq_tss *s, tss_check_entry *e) {
  aq_list_remove(&e->link);
  aq_list_push(&s->free_entry, &e->link);
}

static bool in_budget(aq_tss *s) {
  uint64_t slot_ns = s->cfg.chain->clock.slot_ns, slot = aq_mono_ns(s->cfg.env) / slot_ns;
  if (s->cfg.strict) return true;
  if (slot != s->budget_slot) s->budget_slot = slot, s->budget_ns = slot_ns / 4;
  if (s->budget_ns < COST_NS) {
    aq_metric_add(AQ_M_TSS_RATE_LIMITED_TOTAL, 1, AQ_LABELS("tss_verify"));
    return false;
  }
  s->budget_ns -= COST_NS;
  return true;
}

/* The partial counts only once it is verified. */
void tss_hold(aq_tss *s, tss_session *e, tss_group *g, uint32_t share) {
  aq_sign_key key = tss_key_of(e);
  tss_check_entry *c = in_budget(s) ? entry_new(s, &key, share, g->root, g->sig[share - 1]) : NULL;
  if (!c) {
    tss_drop(e, g, share, false);
    return;
  }
  c->id = e->id;
  g->state[share - 1] = TSS_P_HELD;
  aq_list_push(&s->held, &c->link);
}

/* A partial that nobody waits for: verified when there is nothing else to do, to notice bad peers (tss.md 5). */
void tss_audit(aq_tss *s, const aq_sign_key *key, uint32_t share, const uint8_t root[32], const uint8_t sig[96]) {
  if (s->audit_cnt >= TSS_AUDIT_MAX) return;
  tss_check_entry *c = entry_new(s, key, share, root, sig);
  if (!c) return;
  aq_list_push(&s->audit, &c->link);
  s->audit_cnt++;
}

/* ---- one job ---- */

static void check_free(tss_check *c) {
  aq_arena_free(&c->arena);
  free(c);
}

static tss_check *check_new(aq_tss *s, uint32_t max) {
  tss_check *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  aq_arena_init(&c->arena, TSS_CHECK_ARENA(max));
  c->tss = s;
  c->item = aq_arena_array(&c->arena, max, sizeof *c->item);
  c->root = aq_arena_array(&c->arena, max, sizeof *c->root);
  c->rnd = aq_arena_array(&c->arena, max, 8);
  if (tss_check_work_init(&c->work, &c->arena, max) && c->item && c->root && c->rnd) return c;
  check_free(c);
  return NULL;
}

static void check_run(aq_job *job) {
  tss_check *c = AQ_CONTAINER(job, tss_check, job);
  tss_work_check(c->item, c->cnt, c->root, c->root_cnt, c->rnd, &c->work);
}

static void settle(aq_tss *s, const tss_check *c, const tss_check_item *it) {
  tss_session *e = c->audit ? NULL : tss_find(s, &it->key);
  if (it->fault != TSS_F_NONE) tss_bad(s, &it->key, it->share, tss_blame_of(it->fault));
  if (!e || e->id != it->id || e->state == TSS_S_LINGER) return;
  tss_group *g = tss_group_of(e, c->root[it->root].root);
  if (!g || g->state[it->share - 1] != TSS_P_HELD) return;
  if (it->fault == TSS_F_NONE)
    g->state[it->share - 1] = TSS_P_GOOD;
  else
    tss_drop(e, g, it->share, true);
  tss_advance(s, e);
}

static void check_done(aq_job *job) {
  tss_check *c = AQ_CONTAINER(job, tss_check, job);
  aq_tss *s = c->tss;
  if (s) {
    aq_list_remove(&c->link);
    s->check_cnt--;
    aq_metric_observe(AQ_M_SERVICE_OP_MS, tss_ms(aq_mono_ns(s->cfg.env) - c->started_ns), AQ_LABELS("tss", "verify"));
    for (uint32_t i = 0; i < c->root_cnt; i++) tss_hash_put(s, &c->root[i]);
    for (uint32_t i = 0; i < c->cnt; i++) settle(s, c, &c->item[i]);
  }
  check_free(c);
  if (s) tss_kick(s);
}

/* Nobody waits for it any more. */
static bool void_entry(const aq_tss *s, const tss_check_entry *e) {
  if (e->id == 0) return aq_mono_ns(s->cfg.env) - e->since_ns > 2 * s->cfg.chain->clock.slot_ns;
  const tss_session *x = tss_find(s, &e->key);
  return !x || x->id != e->id || x->state == TSS_S_LINGER;
}

static int by_share(const void *pa, const void *pb) {
  const tss_check_item *a = pa, *b = pb;
  if (a->share != b->share) return a->share < b->share ? -1 : 1;
  return a->root < b->root ? -1 : a->root > b->root;
}

static bool start(aq_tss *s, aq_list *from, uint8_t priority) {
  const aq_tss_cluster *cl = s->cfg.cluster;
  bool audit = from == &s->audit;
  tss_check *c = check_new(s, TSS_BATCH_MAX);
  if (!c) return false;
  AQ_LIST_EACH(from, e, tss_check_entry, link) {
    if (c->cnt == TSS_BATCH_MAX) break;
    if (!void_entry(s, e)) {
      tss_check_item *it = &c->item[c->cnt++];
      *it = (tss_check_item){.key = e->key, .id = e->id, .share = e->share};
      it->pk = cl->share[(size_t)e->key.validator * s->n + e->share - 1];
      it->root = tss_root_index(s, c->root, &c->root_cnt, e->root);
      memcpy(it->raw, e->raw, 96);
      if (!audit && aq_duty_is(e->key.duty.type, AQ_DF_URGENT)) priority = AQ_JOB_PROPOSAL;
    }
    if (audit) s->audit_cnt--;
    entry_free(s, e);
  }
  if (c->cnt == 0) {
    check_free(c);
    return false;
  }
  qsort(c->item, c->cnt, sizeof *c->item, by_share);
  aq_random(s->cfg.env, c->rnd, (size_t)8 * c->cnt);
  c->audit = audit;
  c->started_ns = aq_mono_ns(s->cfg.env);
  c->job = (aq_job){.run = check_run, .done = check_done, .priority = priority};
  aq_list_push(&s->checks, &c->link);
  s->check_cnt++;
  aq_work(s->cfg.env, &c->job);
  return true;
}

void tss_check_kick(aq_tss *s) {
  if (s->check_cnt > 0) return;
  if (!aq_list_empty(&s->held) && start(s, &s->held, AQ_JOB_DUTY)) return;
  if (aq_list_empty(&s->audit) || s->batch_cnt > 0 || !aq_list_empty(&s->ready)) return;
  const tss_check_entry *oldest = AQ_CONTAINER(s->audit.next, tss_check_entry, link);
  bool old = aq_mono_ns(s->cfg.env) - oldest->since_ns >= s->cfg.chain->clock.slot_ns;
  if (old || s->audit_cnt >= TSS_AUDIT_BATCH) (void)start(s, &s->audit, AQ_JOB_BACKGROUND);
}

/* ---- the own validator client's request ---- */

typedef struct {
  aq_job job;
  aq_arena arena;
  tss_check_item *item;
  uint32_t cnt;
  tss_root *root;
  uint32_t root_cnt;
  uint8_t *rnd;
  tss_check_work work;
  bool *bad;
  const aq_env *env;
  uint64_t started_ns;
  aq_tss_verified fn;
  void *arg;
} local_job;

static void local_run(aq_job *job) {
  local_job *l = AQ_CONTAINER(job, local_job, job);
  tss_work_check(l->item, l->cnt, l->root, l->root_cnt, l->rnd, &l->work);
}

static void local_done(aq_job *job) {
  local_job *l = AQ_CONTAINER(job, local_job, job);
  uint32_t bad = 0;
  for (uint32_t i = 0; i < l->cnt; i++) {
    l->bad[i] = l->item[i].fault != TSS_F_NONE;
    bad += l->bad[i];
  }
  aq_metric_observe(AQ_M_SERVICE_OP_MS, tss_ms(aq_mono_ns(l->env) - l->started_ns), AQ_LABELS("tss", "sign"));
  l->fn(l->arg, l->bad, bad);
  aq_arena_free(&l->arena);
  free(l);
}

void aq_tss_verify_local(const aq_env *env, const aq_tss_cluster *cluster, const aq_tss_partial *p, uint32_t cnt,
                         aq_tss_verified fn, void *arg) {
  local_job *l = calloc(1, sizeof *l);
  AQ_ASSERT(l && cnt > 0);
  aq_arena_init(&l->arena, TSS_CHECK_ARENA(cnt));
  l->cnt = cnt;
  l->item = aq_arena_array(&l->arena, cnt, sizeof *l->item);
  l->root = aq_arena_array(&l->arena, cnt, sizeof *l->root);
  l->rnd = aq_arena_array(&l->arena, cnt, 8);
  l->bad = aq_arena_array(&l->arena, cnt, sizeof *l->bad);
  AQ_ASSERT(l->item && l->root && l->rnd && l->bad);
  AQ_MUST(tss_check_work_init(&l->work, &l->arena, cnt));
  bool proposal = false;
  for (uint32_t i = 0; i < cnt; i++) {
    AQ_ASSERT(p[i].key.validator < cluster->validator_cnt);
    tss_check_item *it = &l->item[i];
    *it = (tss_check_item){.key = p[i].key, .share = 1}; /* one sender: its items are searched as one run */
    it->pk = cluster->share[(size_t)p[i].key.validator * cluster->n + cluster->self];
    it->root = tss_root_index(NULL, l->root, &l->root_cnt, p[i].root);
    memcpy(it->raw, p[i].sig, 96);
    proposal = proposal || aq_duty_is(p[i].key.duty.type, AQ_DF_URGENT);
  }
  aq_random(env, l->rnd, (size_t)8 * cnt);
  l->env = env;
  l->fn = fn;
  l->arg = arg;
  l->started_ns = aq_mono_ns(env);
  l->job = (aq_job){.run = local_run, .done = local_done, .priority = proposal ? AQ_JOB_PROPOSAL : AQ_JOB_DUTY};
  aq_work(env, &l->job);
}
