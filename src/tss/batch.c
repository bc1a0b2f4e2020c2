/* From ready groups to one pairing product on a worker, and by bisection to the wrong partials when it fails. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "tss/tss_internal.h"

enum { SUBSETS_MAX = 128 };

static bool urgent(const tss_session *e) { return aq_duty_is(e->duty->duty.type, AQ_DF_URGENT); }

/* ---- which t of the usable shares ---- */

typedef struct {
  uint32_t set;
  uint64_t cost;
} choice;

/* Fewer unverified partials first, then no denominator, then fewer additions (tss.md 4.2). */
static uint64_t cost_of(const tss_group *g, uint32_t set, unsigned t) {
  uint32_t idx[AQ_SHARES_MAX];
  int64_t coeff[AQ_SHARES_MAX], den = 1;
  uint64_t fresh = 0, bits = 0;
  unsigned cnt = 0;
  for (uint32_t share = 1; share <= AQ_SHARES_MAX && cnt < t; share++) {
    if (!(set & (UINT32_C(1) << (share - 1)))) continue;
    idx[cnt++] = share;
    fresh += g->state[share - 1] != TSS_P_GOOD;
  }
  if (!aq_tbls_lagrange(coeff, &den, idx, cnt)) return fresh << 32 | 0xffffffff;
  for (unsigned i = 0; i < cnt; i++) {
    uint64_t c = coeff[i] < 0 ? -(uint64_t)coeff[i] : (uint64_t)coeff[i];
    bits += (uint64_t)__builtin_popcountll(c);
  }
  return fresh << 32 | (uint64_t)(den != 1 && den != -1) << 16 | bits;
}

/* The next larger number with as many bits set (Gosper). 0: none below 2^32. */
static uint32_t next_subset(uint32_t x) {
  uint32_t low = x & (~x + 1), up = x + low;
  return up == 0 ? 0 : (((x ^ up) >> 2) / low) | up;
}

static uint32_t choose(const tss_group *g, uint32_t usable, unsigned t) {
  uint32_t share[AQ_SHARES_MAX];
  unsigned cnt = 0;
  for (unsigned pass = 0; pass < 2; pass++) { /* verified ones first */
    for (uint32_t i = 0; i < AQ_SHARES_MAX; i++) {
      if ((usable >> i & 1) && (g->state[i] == TSS_P_GOOD) == (pass == 0)) share[cnt++] = i;
    }
  }
  AQ_ASSERT(cnt >= t);
  choice best = {.cost = UINT64_MAX};
  uint32_t pick = t == 32 ? UINT32_MAX : (UINT32_C(1) << t) - 1;
  for (unsigned tried = 0; tried < SUBSETS_MAX && pick != 0 && (cnt == 32 || pick >> cnt == 0); tried++) {
    uint32_t set = 0;
    for (unsigned i = 0; i < cnt; i++) {
      if (pick >> i & 1) set |= UINT32_C(1) << share[i];
    }
    uint64_t cost = cnt == t ? 0 : cost_of(g, set, t);
    if (cost < best.cost) best = (choice){.set = set, .cost = cost};
    if (cnt == t) break;
    pick = next_subset(pick);
  }
  return best.set;
}

/* ---- building ---- */

static tss_group *ready_group(aq_tss *s, const tss_session *e) {
  for (tss_group *g = e->group; g; g = g->next) {
    if (tss_eligible(e, g) && (uint32_t)__builtin_popcount(tss_usable(s, g)) >= s->t) return g;
  }
  return NULL;
}

static bool item_init(aq_tss *s, tss_batch *b, tss_item *it, const tss_session *e, const tss_group *g) {
  const aq_tss_cluster *c = s->cfg.cluster;
  it->key = tss_key_of(e);
  it->id = e->id;
  it->ready_ns = e->entered_ns;
  it->pk = c->group[e->validator];
  it->root = tss_root_index(s, b->root, &b->root_cnt, g->root);
  it->idx = aq_arena_array(&b->arena, b->t, sizeof *it->idx);
  it->raw = aq_arena_array(&b->arena, b->t, sizeof *it->raw);
  it->good = aq_arena_array(&b->arena, b->t, sizeof *it->good);
  it->share = aq_arena_array(&b->arena, b->t, sizeof *it->share);
  it->point = aq_arena_array(&b->arena, b->t, sizeof *it->point);
  it->fault = aq_arena_array(&b->arena, b->t, sizeof *it->fault);
  it->proved = aq_arena_array(&b->arena, b->t, sizeof *it->proved);
  if (!it->idx || !it->raw || !it->good || !it->share || !it->point || !it->fault || !it->proved) return false;
  uint32_t set = choose(g, tss_usable(s, g), s->t), cnt = 0;
  for (uint32_t share = 1; share <= s->n; share++) {
    if (!(set & (UINT32_C(1) << (share - 1)))) continue;
    it->idx[cnt] = share;
    memcpy(it->raw[cnt], g->sig[share - 1], 96);
    it->good[cnt] = g->state[share - 1] == TSS_P_GOOD;
    it->share[cnt++] = c->share[(size_t)e->validator * s->n + share - 1];
  }
  AQ_ASSERT(cnt == b->t);
  return true;
}

static tss_batch *batch_new(aq_tss *s, uint32_t max) {
  tss_batch *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  size_t partial = AQ_SIG_LEN + sizeof(aq_bls_pk) + sizeof(aq_bls_point) + TSS_ITEM_SPARE;
  size_t lists = 8 * ((size_t)s->n + 2) + TSS_LISTS_SPARE;
  size_t each = sizeof(tss_item) + sizeof(tss_root) + sizeof(aq_bls_item) + lists + s->t * partial;
  aq_arena_init(&b->arena, max * each + TSS_WORK_SPARE);
  b->tss = s;
  b->n = s->n;
  b->t = s->t;
  b->started_ns = aq_mono_ns(s->cfg.env);
  b->item = aq_arena_array(&b->arena, max, sizeof *b->item);
  b->root = aq_arena_array(&b->arena, max, sizeof *b->root);
  b->list = aq_arena_array(&b->arena, max, sizeof *b->list);
  b->chunk = aq_arena_array(&b->arena, max / TSS_CHUNK + 1, sizeof *b->chunk);
  b->rnd = aq_arena_array(&b->arena, max, (size_t)8 * (s->n + 1));
  if (b->item && b->root && b->list && b->chunk && b->rnd) return b;
  aq_arena_free(&b->arena);
  free(b);
  return NULL;
}

/* Canonical order, so that a result depends on no order of arrival (tss.md 9 rule 10). */
static int by_key(const void *pa, const void *pb) {
  const tss_item *a = pa, *b = pb;
  if (a->key.duty.slot != b->key.duty.slot) return a->key.duty.slot < b->key.duty.slot ? -1 : 1;
  if (a->key.duty.type != b->key.duty.type) return a->key.duty.type < b->key.duty.type ? -1 : 1;
  if (a->key.validator != b->key.validator) return a->key.validator < b->key.validator ? -1 : 1;
  return a->key.sub < b->key.sub ? -1 : a->key.sub > b->key.sub;
}

/* Moves waiting sessions into the batch: one root of proposals, or everything that is not a proposal. */
static void collect(aq_tss *s, tss_batch *b, bool proposals, uint32_t max) {
  const uint8_t *root = NULL;
  AQ_LIST_EACH(&s->ready, e, tss_session, queue) {
    if (b->cnt == max) break;
    if (urgent(e) != proposals) continue;
    tss_group *g = ready_group(s, e);
    if (!g) { /* a peer lost its standing meanwhile */
      tss_advance(s, e);
      continue;
    }
    if (proposals && root && memcmp(root, g->root, 32) != 0) continue;
    root = g->root;
    if (!item_init(s, b, &b->item[b->cnt], e, g)) break;
    b->cnt++;
    e->in_flight = true;
    aq_list_remove(&e->queue);
  }
  if (b->cnt > 1) qsort(b->item, b->cnt, sizeof *b->item, by_key);
}

/* ---- running ---- */

static void chunk_run(aq_job *job) {
  tss_chunk *c = AQ_CONTAINER(job, tss_chunk, job);
  tss_work_combine(c->batch, c->from, c->to);
  if (c->batch->chunk_cnt == 1) tss_work_verify(c->batch);
}

static void verify_run(aq_job *job) { tss_work_verify(AQ_CONTAINER(job, tss_batch, job)); }

static void batch_done(tss_batch *b);
static void verify_done(aq_job *job) { batch_done(AQ_CONTAINER(job, tss_batch, job)); }

static void batch_free(tss_batch *b) {
  aq_arena_free(&b->arena);
  free(b);
}

static void chunk_done(aq_job *job) {
  tss_batch *b = AQ_CONTAINER(job, tss_chunk, job)->batch;
  if (--b->chunks_left > 0) return;
  if (!b->tss)
    batch_free(b);
  else if (b->chunk_cnt == 1)
    batch_done(b);
  else
    aq_work(b->tss->cfg.env, &b->job);
}

static bool start(aq_tss *s, bool proposals) {
  uint32_t max = 0;
  AQ_LIST_EACH(&s->ready, e, tss_session, queue) max += urgent(e) == proposals && max < TSS_BATCH_MAX;
  if (max == 0) return false;
  tss_batch *b = batch_new(s, max);
  if (!b) return false;
  collect(s, b, proposals, max);
  if (b->cnt == 0) {
    batch_free(b);
    return false;
  }
  aq_random(s->cfg.env, b->rnd, (size_t)8 * b->cnt * (s->n + 1));
  uint8_t priority = proposals ? AQ_JOB_PROPOSAL : AQ_JOB_DUTY;
  b->job = (aq_job){.run = verify_run, .done = verify_done, .priority = priority};
  b->chunk_cnt = b->chunks_left = (b->cnt + TSS_CHUNK - 1) / TSS_CHUNK;
  aq_list_push(&s->batches, &b->link);
  s->batch_cnt++;
  aq_metric_observe(AQ_M_TSS_BATCH_SESSIONS, b->cnt, AQ_NO_LABELS);
  for (uint32_t i = 0; i < b->chunk_cnt; i++) {
    uint32_t to = (i + 1) * TSS_CHUNK < b->cnt ? (i + 1) * TSS_CHUNK : b->cnt;
    b->chunk[i] =
        (tss_chunk){.job = {chunk_run, chunk_done, priority, NULL}, .batch = b, .from = i * TSS_CHUNK, .to = to};
    aq_work(s->cfg.env, &b->chunk[i].job);
  }
  return true;
}

void tss_kick(aq_tss *s) {
  while (start(s, true)) continue;
  while (s->batch_cnt < TSS_IN_FLIGHT_MAX && start(s, false)) continue;
  tss_check_kick(s);
}

/* ---- results ---- */

/* The first fault in a failed batch names it in the metric. */
static void count_failed(const tss_batch *b) {
  static const char *const name[] = {[TSS_F_ENCODING] = "encoding",
                                     [TSS_F_SUBGROUP] = "subgroup",
                                     [TSS_F_SIGNATURE] = "signature",
                                     [TSS_F_DOUBT] = "signature"};
  for (uint32_t i = 0; i < b->cnt; i++) {
    for (uint32_t j = 0; j < b->t; j++) {
      if (b->item[i].fault[j] == TSS_F_NONE) continue;
      aq_metric_add(AQ_M_TSS_BATCH_FAILED_TOTAL, 1, AQ_LABELS(name[b->item[i].fault[j]]));
      return;
    }
  }
}

static void item_ok(aq_tss *s, const tss_batch *b, const tss_item *it, tss_session *e, bool sample) {
  tss_duty *d = e->duty;
  if (sample) {
    for (uint32_t j = 0; j < b->t; j++) {
      if (!it->good[j]) tss_audit(s, &it->key, it->idx[j], b->root[it->root].root, it->raw[j]);
    }
  }
  aq_metric_observe(AQ_M_SERVICE_OP_MS, tss_ms(aq_mono_ns(s->cfg.env) - it->ready_ns), AQ_LABELS("tss", "combine"));
  tss_finish(s, e, b->root[it->root].root, it->sig);
  if (d->open == 0) tss_duty_summary(d);
}

static void item_failed(aq_tss *s, const tss_batch *b, const tss_item *it, tss_session *e) {
  tss_group *g = tss_group_of(e, b->root[it->root].root);
  AQ_ASSERT(g);
  for (uint32_t j = 0; j < b->t; j++) {
    uint32_t share = it->idx[j];
    uint8_t *state = &g->state[share - 1];
    if (it->proved[j] && *state == TSS_P_FRESH) *state = TSS_P_GOOD;
    if (it->fault[j] == TSS_F_NONE) continue;
    if (it->fault[j] == TSS_F_DOUBT) {
      tss_distrust(s, share);
      if (*state == TSS_P_FRESH) tss_hold(s, e, g, share);
      continue;
    }
    tss_drop(e, g, share, true);
    tss_bad(s, &it->key, share, tss_blame_of(it->fault[j]));
  }
  if (it->local_fault) { /* tss.md 6.1 step 5: the lock or the root is wrong, nobody is to blame */
    e->broken = true;
    AQ_LOG(AQ_LOG_ERROR, "tss_fault", AQ_STR("duty", aq_duty_name(it->key.duty.type)),
           AQ_UINT("slot", it->key.duty.slot),
           AQ_STR("err", "verified partials combine to a wrong signature: the cluster lock is wrong"),
           AQ_UINT("validator", it->key.validator));
  }
}

static void batch_done(tss_batch *b) {
  aq_tss *s = b->tss;
  if (!s) {
    batch_free(b);
    return;
  }
  aq_list_remove(&b->link);
  s->batch_cnt--;
  for (uint32_t i = 0; i < b->root_cnt; i++) tss_hash_put(s, &b->root[i]);
  if (b->failed) count_failed(b);
  uint8_t dice;
  aq_random(s->cfg.env, &dice, 1);
  const tss_duty *last = NULL;
  for (uint32_t i = 0; i < b->cnt; i++) {
    const tss_item *it = &b->item[i];
    tss_session *e = tss_find(s, &it->key);
    if (!e || e->id != it->id || e->state == TSS_S_LINGER) continue;
    e->in_flight = false;
    tss_duty *d = e->duty;
    AQ_ASSERT(d);
    d->batches += d != last;
    if (b->cnt > d->batch_max) d->batch_max = b->cnt;
    last = d;
    if (it->ok && (!e->has_root || memcmp(e->root, b->root[it->root].root, 32) == 0))
      item_ok(s, b, it, e, (dice & 7) == 0);
    else if (!it->ok)
      item_failed(s, b, it, e);
  }
  /* A failing column made its peer suspect for all: only now look again. */
  for (uint32_t i = 0; i < b->cnt; i++) {
    tss_session *e = tss_find(s, &b->item[i].key);
    if (e && e->id == b->item[i].id) tss_advance(s, e);
  }
  batch_free(b);
  tss_kick(s);
}
