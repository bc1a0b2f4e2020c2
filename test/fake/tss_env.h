/* fake/tss_env.h - environment of this folder's tests: virtual time, timers, jobs in order. Header only. */
#ifndef AQ_FAKE_TSS_ENV_H
#define AQ_FAKE_TSS_ENV_H

#include <stdlib.h>

#include "base/assert.h"
#include "port/env.h"

typedef struct {
  aq_env env;
  uint64_t now_ns, seq, rng;
  bool zero_random; /* factors of 1 in every batch */
  aq_timer **timer;
  size_t timer_cnt, timer_cap;
  aq_job *job[AQ_JOB_PRIORITIES];
  bool reverse_jobs; /* the newest first */
} test_env;

static inline uint64_t test_env_now(void *ctx) { return ((test_env *)ctx)->now_ns; }

static inline void test_env_random(void *ctx, void *out, size_t len) {
  test_env *e = ctx;
  uint8_t *p = out;
  for (size_t i = 0; i < len; i++) {
    e->rng = e->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    p[i] = e->zero_random ? 0 : (uint8_t)(e->rng >> 56);
  }
}

static inline void test_env_cancel(void *ctx, aq_timer *t) {
  test_env *e = ctx;
  if (t->pos == 0) return;
  e->timer[t->pos - 1] = e->timer[--e->timer_cnt];
  e->timer[t->pos - 1]->pos = t->pos;
  t->pos = 0;
}

static inline void test_env_set(void *ctx, aq_timer *t, uint64_t at_ns, void (*fn)(void *), void *arg) {
  test_env *e = ctx;
  test_env_cancel(e, t);
  if (e->timer_cnt == e->timer_cap) {
    e->timer_cap = e->timer_cap * 2 + 64;
    e->timer = realloc(e->timer, e->timer_cap * sizeof(aq_timer *));
    AQ_ASSERT(e->timer);
  }
  t->fn = fn, t->arg = arg, t->at_ns = at_ns, t->seq = ++e->seq, t->span = false;
  e->timer[e->timer_cnt++] = t;
  t->pos = e->timer_cnt;
}

static inline void test_env_work(void *ctx, aq_job *job) {
  test_env *e = ctx;
  aq_job **end = &e->job[job->priority];
  while (*end && !e->reverse_jobs) end = &(*end)->next;
  job->next = *end;
  *end = job;
}

static inline void test_env_init(test_env *e, uint64_t now_ns) {
  *e = (test_env){.now_ns = now_ns, .rng = 7};
  e->env = (aq_env){e, test_env_now, test_env_now, test_env_random, test_env_set, test_env_cancel, test_env_work};
}

static inline bool test_env_job(test_env *e) {
  for (size_t i = 0; i < AQ_JOB_PRIORITIES; i++) {
    aq_job *j = e->job[i];
    if (!j) continue;
    e->job[i] = j->next;
    j->run(j);
    j->done(j);
    return true;
  }
  return false;
}

static inline void test_env_jobs(test_env *e) {
  while (test_env_job(e)) continue;
}

/* Time passes; jobs take none. */
static inline void test_env_until(test_env *e, uint64_t at_ns) {
  for (;;) {
    test_env_jobs(e);
    aq_timer *first = NULL;
    for (size_t i = 0; i < e->timer_cnt; i++) {
      aq_timer *t = e->timer[i];
      if (!first || t->at_ns < first->at_ns || (t->at_ns == first->at_ns && t->seq < first->seq)) first = t;
    }
    if (!first || first->at_ns > at_ns) break;
    if (first->at_ns > e->now_ns) e->now_ns = first->at_ns;
    test_env_cancel(e, first);
    first->fn(first->arg);
  }
  if (at_ns > e->now_ns) e->now_ns = at_ns;
}

static inline void test_env_free(test_env *e) {
  test_env_jobs(e);
  AQ_ASSERT(e->timer_cnt == 0);
  free(e->timer);
}

#endif
