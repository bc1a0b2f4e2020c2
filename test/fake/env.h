/* fake/env.h - environment of tests: a virtual clock, timers in order, jobs run one after another when the test
   drains. Nothing happens by itself: only fake_env_drain and fake_env_run_* call back. Header only; used by *_test.c
   and *_fuzz.c. */
#ifndef AQ_FAKE_ENV_H
#define AQ_FAKE_ENV_H

#include "base/assert.h"
#include "port/env.h"

enum { FAKE_ENV_TIMERS_MAX = 8192, FAKE_ENV_STEPS_MAX = 1000000 };

typedef struct {
  aq_env env; /* pass &fake.env to the code under test */
  uint64_t wall_ns, mono_ns;
  uint64_t seq, rng;
  aq_timer *timer[FAKE_ENV_TIMERS_MAX];
  size_t timer_cnt;
  aq_job *job[AQ_JOB_PRIORITIES], **job_end[AQ_JOB_PRIORITIES];
} fake_env;

static inline uint64_t fake_env_now_(void *ctx) { return ((fake_env *)ctx)->wall_ns; }
static inline uint64_t fake_env_mono_(void *ctx) { return ((fake_env *)ctx)->mono_ns; }

static inline void fake_env_random_(void *ctx, void *out, size_t len) {
  fake_env *f = ctx;
  uint8_t *p = out;
  for (size_t i = 0; i < len; i++) {
    f->rng = f->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    p[i] = (uint8_t)(f->rng >> 56);
  }
}

static inline void fake_env_timer_cancel_(void *ctx, aq_timer *t) {
  fake_env *f = ctx;
  if (t->pos == 0) return;
  AQ_ASSERT(t->pos <= f->timer_cnt && f->timer[t->pos - 1] == t);
  aq_timer *last = f->timer[--f->timer_cnt];
  f->timer[t->pos - 1] = last;
  last->pos = t->pos;
  t->pos = 0;
}

static inline void fake_env_timer_set_(void *ctx, aq_timer *t, uint64_t at_ns, void (*fn)(void *), void *arg) {
  fake_env *f = ctx;
  fake_env_timer_cancel_(ctx, t);
  AQ_ASSERT(f->timer_cnt < FAKE_ENV_TIMERS_MAX);
  t->fn = fn, t->arg = arg, t->at_ns = at_ns, t->seq = ++f->seq, t->span = false;
  f->timer[f->timer_cnt++] = t;
  t->pos = f->timer_cnt;
}

static inline void fake_env_work_(void *ctx, aq_job *job) {
  fake_env *f = ctx;
  AQ_ASSERT(job->priority < AQ_JOB_PRIORITIES);
  job->next = NULL;
  *f->job_end[job->priority] = job;
  f->job_end[job->priority] = &job->next;
}

static inline void fake_env_init(fake_env *f, uint64_t now_ns) {
  memset(f, 0, sizeof *f);
  f->wall_ns = now_ns, f->mono_ns = AQ_SECONDS(1000), f->rng = 1;
  for (size_t i = 0; i < AQ_JOB_PRIORITIES; i++) f->job_end[i] = &f->job[i];
  f->env = (aq_env){.ctx = f,
                    .now_ns = fake_env_now_,
                    .mono_ns = fake_env_mono_,
                    .random = fake_env_random_,
                    .timer_set = fake_env_timer_set_,
                    .timer_cancel = fake_env_timer_cancel_,
                    .work = fake_env_work_};
}

/* Runs the most urgent waiting job; false when there is none. */
static inline bool fake_env_job_step(fake_env *f) {
  for (size_t i = 0; i < AQ_JOB_PRIORITIES; i++) {
    aq_job *j = f->job[i];
    if (!j) continue;
    f->job[i] = j->next;
    if (!j->next) f->job_end[i] = &f->job[i];
    j->next = NULL;
    j->run(j);
    j->done(j);
    return true;
  }
  return false;
}

/* The armed timer that fires first, NULL when none is armed. */
static inline aq_timer *fake_env_first_timer(const fake_env *f) {
  aq_timer *best = NULL;
  for (size_t i = 0; i < f->timer_cnt; i++) {
    aq_timer *t = f->timer[i];
    if (!best || t->at_ns < best->at_ns || (t->at_ns == best->at_ns && t->seq < best->seq)) best = t;
  }
  return best;
}

/* One job or one due timer; false when nothing is left to do now. */
static inline bool fake_env_step(fake_env *f) {
  if (fake_env_job_step(f)) return true;
  aq_timer *t = fake_env_first_timer(f);
  if (!t || t->at_ns > f->wall_ns) return false;
  fake_env_timer_cancel_(f, t);
  t->fn(t->arg);
  return true;
}

/* Everything that is due at this moment. */
static inline void fake_env_drain(fake_env *f) {
  for (size_t i = 0; fake_env_step(f); i++) AQ_ASSERT(i < FAKE_ENV_STEPS_MAX);
}

/* Lets time pass up to a moment (inclusive), firing timers at their exact time. */
static inline void fake_env_run_until(fake_env *f, uint64_t at_ns) {
  for (;;) {
    fake_env_drain(f);
    aq_timer *t = fake_env_first_timer(f);
    uint64_t next_ns = t && t->at_ns < at_ns ? t->at_ns : at_ns;
    if (next_ns <= f->wall_ns) return;
    f->mono_ns += next_ns - f->wall_ns;
    f->wall_ns = next_ns;
  }
}

static inline void fake_env_run_for(fake_env *f, uint64_t ns) { fake_env_run_until(f, f->wall_ns + ns); }

/* The wall clock jumps (a machine that slept, NTP): no timer fires before the next drain or run. */
static inline void fake_env_jump(fake_env *f, uint64_t wall_ns) {
  for (size_t i = 0; i < f->timer_cnt; i++) {
    if (f->timer[i]->span) f->timer[i]->at_ns += wall_ns - f->wall_ns;
  }
  f->wall_ns = wall_ns;
}

#endif
