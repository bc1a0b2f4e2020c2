/* Processes, virtual time, the one order of all events. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/cluster/world.h"

/* ---- randomness ---- */

uint64_t sim_random(sim_world *w, uint64_t below) { return sim_rng_below(&w->rng, below); }
bool sim_chance(sim_world *w, uint32_t per_mille) { return per_mille && sim_random(w, 1000) < per_mille; }
uint64_t sim_between(sim_world *w, uint64_t low, uint64_t high) { return low + sim_random(w, high - low + 1); }

/* ---- the record of what happens ---- */

static uint64_t mixed(uint64_t h, uint64_t v) {
  h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ (h >> 29);
}

void sim_trace(sim_world *w, const char *kind, uint64_t a, uint64_t b, aq_bytes data) {
  uint64_t h = mixed(w->out->hash, w->now_ns);
  for (const char *p = kind; *p; p++) h = mixed(h, (uint8_t)*p);
  h = mixed(mixed(h, a), b);
  size_t i = 0;
  for (; i + 8 <= data.len; i += 8) h = mixed(h, aq_le64_get(data.ptr + i));
  for (; i < data.len; i++) h = mixed(h, data.ptr[i]);
  w->out->hash = mixed(h, data.len);
  if (!w->opts.trace) return;
  sim_say(w, "%-9s %llu -> %llu  %zu bytes", kind, (unsigned long long)a, (unsigned long long)b, data.len);
}

void sim_say(sim_world *w, const char *fmt, ...) {
  va_list ap;
  if (!w->opts.trace) return;
  uint64_t ns = w->now_ns - w->genesis_ns;
  bool before = w->now_ns < w->genesis_ns;
  if (before) ns = w->genesis_ns - w->now_ns;
  printf("%8llu %s%3llu.%06llu  ", (unsigned long long)w->steps, before ? "-" : " ",
         (unsigned long long)(ns / AQ_NS_PER_SEC), (unsigned long long)(ns % AQ_NS_PER_SEC / 1000));
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
  putchar('\n');
}

void sim_fail(sim_world *w, const char *fmt, ...) {
  va_list ap;
  char text[sizeof w->out->why];
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  sim_say(w, "BROKEN: %s", text);
  if (w->out->why[0]) return;
  uint64_t slot = w->now_ns > w->genesis_ns ? (w->now_ns - w->genesis_ns) / w->slot_ns : 0;
  snprintf(w->out->why, sizeof w->out->why, "slot %llu, step %llu: %.330s", (unsigned long long)slot,
           (unsigned long long)w->steps, text);
}

/* ---- timers ---- */

static void timer_cancel(void *ctx, aq_timer *t) { aq_timer_heap_remove(&((sim_proc *)ctx)->timers, t); }

static uint64_t own_ns(const sim_proc *p) { return p->w->now_ns + (uint64_t)p->skew_ns; }

static void timer_set(void *ctx, aq_timer *t, uint64_t at_ns, void (*fn)(void *), void *arg) {
  sim_proc *p = ctx;
  timer_cancel(p, t);
  if (p->dead) return;
  uint64_t now_ns = own_ns(p);
  *t = (aq_timer){.fn = fn, .arg = arg, .at_ns = at_ns < now_ns ? now_ns : at_ns, .seq = ++p->w->seq};
  aq_timer_heap_add(&p->timers, t);
}

void sim_proc_step(sim_proc *p, int64_t step_ns) {
  p->skew_ns += step_ns;
  aq_timer_heap_step(&p->timers, step_ns);
}

static uint64_t now_of(void *ctx) { return own_ns(ctx); }
static uint64_t mono_of(void *ctx) { return ((sim_proc *)ctx)->w->now_ns; }

static void random_of(void *ctx, void *out, size_t len) {
  sim_world *w = ((sim_proc *)ctx)->w;
  uint8_t *at = out;
  for (; len >= 8; at += 8, len -= 8) aq_le64_put(at, sim_rng_next(&w->rng));
  for (uint64_t v = sim_rng_next(&w->rng); len > 0; len--, v >>= 8) *at++ = (uint8_t)v;
}

/* ---- jobs: run at once, finished a little later ---- */

typedef struct {
  aq_list link;
  sim_proc *p;
  aq_job *job;
  aq_timer timer;
} work;

static void work_done(void *arg) {
  work *k = arg;
  aq_job *job = k->job;
  timer_cancel(k->p, &k->timer);
  aq_list_remove(&k->link);
  free(k);
  job->done(job);
}

static void work_start(void *ctx, aq_job *job) {
  sim_proc *p = ctx;
  work *k = calloc(1, sizeof *k);
  AQ_ASSERT(k);
  k->p = p, k->job = job;
  aq_list_push(&p->jobs, &k->link);
  job->run(job);
  aq_timer_after(&p->env, &k->timer, sim_between(p->w, 100, 2000) * AQ_NS_PER_US, work_done, k);
}

/* ---- life ---- */

void sim_proc_init(sim_proc *p, sim_world *w, uint32_t id) {
  *p = (sim_proc){.w = w, .id = id, .skew_ns = p->skew_ns, .effects_left = UINT64_MAX};
  p->env = (aq_env){.ctx = p,
                    .now_ns = now_of,
                    .mono_ns = mono_of,
                    .random = random_of,
                    .timer_set = timer_set,
                    .timer_cancel = timer_cancel,
                    .work = work_start};
  aq_list_init(&p->jobs);
  AQ_ASSERT(w->proc_cnt < AQ_COUNT(w->proc));
  w->proc[w->proc_cnt++] = p;
}

void sim_proc_end(sim_proc *p) {
  sim_world *w = p->w;
  AQ_LIST_EACH(&p->jobs, k, work, link) work_done(k);
  AQ_ASSERT(aq_list_empty(&p->jobs));
  if (p->timers.cnt > 0) sim_fail(w, "process %u ended with %zu timers armed", p->id, p->timers.cnt);
  aq_timer_heap_free(&p->timers);
  for (uint32_t i = 0; i < w->proc_cnt; i++) {
    if (w->proc[i] != p) continue;
    memmove(&w->proc[i], &w->proc[i + 1], (w->proc_cnt - i - 1) * sizeof w->proc[0]);
    w->proc_cnt--;
    break;
  }
}

bool sim_effect(sim_proc *p) {
  if (p->dead) return false;
  if (p->effects_left == UINT64_MAX || --p->effects_left > 0) return true;
  p->dead = true;
  p->died(p->died_arg);
  return false;
}

bool sim_step(sim_world *w) {
  sim_proc *best = NULL;
  uint64_t at_ns = w->end_ns, seq = 0;
  for (uint32_t i = 0; i < w->proc_cnt; i++) {
    sim_proc *p = w->proc[i];
    const aq_timer *t = aq_timer_heap_first(&p->timers);
    if (!t || p->dead) continue;
    uint64_t fires_ns = t->at_ns - (uint64_t)p->skew_ns;
    if (fires_ns < w->now_ns) fires_ns = w->now_ns; /* a clock that stepped forward */
    if (fires_ns > at_ns || (fires_ns == at_ns && (!best || t->seq > seq))) continue;
    best = p, at_ns = fires_ns, seq = t->seq;
  }
  if (!best) return false;
  aq_timer *t = aq_timer_heap_first(&best->timers);
  w->now_ns = at_ns;
  w->steps++;
  w->steps_slot++;
  timer_cancel(best, t);
  t->fn(t->arg);
  return true;
}
