/* Virtual time. A timer's at_ns is of its environment's wall clock, which may be set back and forth; where that is past
   it, the timer is due at once. */
#include "fake/env.h"

#include <stdlib.h>

#define OWN_START_NS AQ_SECONDS(1000)

/* ---- the port ---- */

static uint64_t env_now(void *ctx) { return fake_env_now(ctx); }
static uint64_t env_mono(void *ctx) { return fake_env_mono(ctx); }

static void env_random(void *ctx, void *out, size_t len) {
  fake_env *f = ctx;
  fake_rng_bytes(&f->time->rng, out, len);
  if (f->zero_random) memset(out, 0, len);
}

static void env_timer_cancel(void *ctx, aq_timer *t) { aq_timer_heap_remove(&((fake_env *)ctx)->timers, t); }

static void env_timer_set(void *ctx, aq_timer *t, uint64_t at_ns, void (*fn)(void *arg), void *arg) {
  fake_env *f = ctx;
  env_timer_cancel(f, t);
  if (f->dead) return;
  uint64_t now_ns = fake_env_now(f);
  *t = (aq_timer){.fn = fn, .arg = arg, .at_ns = at_ns < now_ns ? now_ns : at_ns, .seq = ++f->time->seq};
  aq_timer_heap_add(&f->timers, t);
}

/* ---- workers ---- */

/* A job that ran and whose owner is told later. */
typedef struct {
  aq_list node;
  fake_env *f;
  aq_job *job;
  aq_timer timer;
} untold;

static void tell(void *arg) {
  untold *u = arg;
  aq_job *job = u->job;
  env_timer_cancel(u->f, &u->timer);
  aq_list_remove(&u->node);
  free(u);
  job->done(job);
}

static void work_at_once(fake_env *f, aq_job *job) {
  untold *u = calloc(1, sizeof *u);
  AQ_ASSERT(u);
  u->f = f, u->job = job;
  aq_list_push(&f->untold, &u->node);
  job->run(job);
  aq_timer_after(&f->env, &u->timer, f->job_ns(f->job_arg), tell, u);
}

static void env_work(void *ctx, aq_job *job) {
  fake_env *f = ctx;
  AQ_ASSERT(job->priority < AQ_JOB_PRIORITIES);
  if (f->job_ns) {
    work_at_once(f, job);
    return;
  }
  aq_job **end = &f->job[job->priority];
  while (*end && !f->reverse_jobs) end = &(*end)->next;
  job->next = *end;
  *end = job;
  f->time->waiting++;
}

static bool run_waiting(fake_env *f) {
  for (size_t i = 0; i < AQ_JOB_PRIORITIES; i++) {
    aq_job *j = f->job[i];
    if (!j) continue;
    f->job[i] = j->next;
    f->time->waiting--;
    j->next = NULL;
    j->run(j);
    j->done(j);
    return true;
  }
  return false;
}

bool fake_env_job_step(fake_env *f) {
  if (run_waiting(f)) return true;
  if (aq_list_empty(&f->untold)) return false;
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was told has left the list, which is not followed there */
  tell(AQ_CONTAINER(f->untold.next, untold, node));
  return true;
}

size_t fake_env_untold(const fake_env *f) {
  size_t cnt = 0;
  for (const aq_list *l = f->untold.next; l != &f->untold; l = l->next) cnt++;
  return cnt;
}

void fake_env_jobs(fake_env *f) {
  for (size_t i = 0; fake_env_job_step(f); i++) AQ_ASSERT(i < FAKE_STEPS_MAX);
}

/* ---- life ---- */

void fake_time_init(fake_time *t, uint64_t now_ns, uint64_t seed) {
  *t = (fake_time){.now_ns = now_ns};
  fake_rng_seed(&t->rng, seed);
  aq_list_init(&t->envs);
}

static void prepare(fake_env *f, fake_time *t, int64_t skew_ns) {
  *f = (fake_env){.time = t, .skew_ns = skew_ns};
  f->env = (aq_env){.ctx = f,
                    .now_ns = env_now,
                    .mono_ns = env_mono,
                    .random = env_random,
                    .timer_set = env_timer_set,
                    .timer_cancel = env_timer_cancel,
                    .work = env_work};
  aq_list_init(&f->untold);
}

void fake_env_init(fake_env *f, uint64_t wall_ns) {
  prepare(f, &f->own, (int64_t)(wall_ns - OWN_START_NS));
  fake_time_init(&f->own, OWN_START_NS, 1);
  aq_list_push(&f->own.envs, &f->node);
}

void fake_env_join(fake_env *f, fake_time *t, int64_t skew_ns) {
  prepare(f, t, skew_ns);
  aq_list_push(&t->envs, &f->node);
}

size_t fake_env_end(fake_env *f) {
  fake_env_jobs(f);
  size_t armed = f->timers.cnt;
  aq_timer_heap_free(&f->timers);
  aq_list_remove(&f->node);
  return armed;
}

void fake_env_free(fake_env *f) {
  size_t armed = fake_env_end(f);
  AQ_ASSERT(armed == 0);
}

/* ---- time ---- */

uint64_t fake_env_now(const fake_env *f) { return f->time->now_ns + (uint64_t)f->skew_ns; }
uint64_t fake_env_mono(const fake_env *f) { return f->time->now_ns; }
aq_timer *fake_env_first_timer(const fake_env *f) { return aq_timer_heap_first(&f->timers); }

static void count_step(fake_time *t) {
  if (t->moment_ns != t->now_ns) t->moment_ns = t->now_ns, t->steps = 0;
  AQ_ASSERT(t->steps < FAKE_STEPS_MAX);
  t->steps++;
}

static void fire(fake_env *f, aq_timer *t) {
  env_timer_cancel(f, t);
  f->time->fired++;
  t->fn(t->arg);
}

/* Whose timer is next; its moment, not before now, is in *at_ns. */
static fake_env *next_of(fake_time *t, uint64_t *at_ns) {
  fake_env *best = NULL;
  uint64_t seq = 0;
  AQ_LIST_EACH(&t->envs, f, fake_env, node) {
    const aq_timer *first = aq_timer_heap_first(&f->timers);
    if (!first || f->dead) continue;
    uint64_t own_ns = fake_env_now(f), fires_ns = t->now_ns + (first->at_ns > own_ns ? first->at_ns - own_ns : 0);
    if (best && (fires_ns > *at_ns || (fires_ns == *at_ns && first->seq > seq))) continue;
    best = f, *at_ns = fires_ns, seq = first->seq;
  }
  return best;
}

bool fake_time_step(fake_time *t, uint64_t until_ns) {
  uint64_t at_ns = 0;
  if (t->waiting > 0) {
    count_step(t);
    AQ_LIST_EACH(&t->envs, f, fake_env, node) {
      if (run_waiting(f)) return true;
    }
  }
  fake_env *f = next_of(t, &at_ns);
  if (!f || at_ns > until_ns) return false;
  t->now_ns = at_ns;
  count_step(t);
  fire(f, aq_timer_heap_first(&f->timers));
  return true;
}

bool fake_env_timer_step(fake_env *f) {
  aq_timer *t = fake_env_first_timer(f);
  if (!t || t->at_ns > fake_env_now(f)) return false;
  count_step(f->time);
  fire(f, t);
  return true;
}

bool fake_env_step(fake_env *f) { return fake_time_step(f->time, f->time->now_ns); }

void fake_env_drain(fake_env *f) {
  while (fake_env_step(f)) continue;
}

/* The clock may be set on the way: each step asks anew when that moment is. */
void fake_env_run_until(fake_env *f, uint64_t wall_ns) {
  uint64_t end_ns;
  do {
    uint64_t left_ns = wall_ns > fake_env_now(f) ? wall_ns - fake_env_now(f) : 0;
    end_ns = left_ns > UINT64_MAX - f->time->now_ns ? UINT64_MAX : f->time->now_ns + left_ns;
  } while (fake_time_step(f->time, end_ns));
  if (f->time->now_ns < end_ns) f->time->now_ns = end_ns;
}

void fake_env_run_for(fake_env *f, uint64_t ns) { fake_env_run_until(f, fake_env_now(f) + ns); }

void fake_env_hold(fake_env *f, uint64_t ns) { f->time->now_ns += ns; }

void fake_env_shift(fake_env *f, int64_t step_ns) {
  f->skew_ns += step_ns;
  aq_timer_heap_step(&f->timers, step_ns);
}

void fake_env_set(fake_env *f, uint64_t wall_ns) { fake_env_shift(f, (int64_t)(wall_ns - fake_env_now(f))); }
