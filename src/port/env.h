/* port/env.h - time, timers, randomness and the worker pool of the one thread that owns the state. Production:
   adapter/loop and adapter/workers. Simulator: virtual time, a seed, jobs run in order. All functions are called on
   the loop thread. */
#ifndef AQ_PORT_ENV_H
#define AQ_PORT_ENV_H

#include "base/bytes.h"
#include "base/time.h"

/* A timer is caller memory, zeroed before first use. It fires once. Re-arming an armed one replaces it. When the wall
   clock is set, a timer at a time waits for that time by the new clock; one after a span fires when the span is
   over. */
typedef struct aq_timer {
  void (*fn)(void *arg);
  void *arg;
  uint64_t at_ns; /* Unix time; owned by the environment */
  uint64_t seq;   /* owned by the environment: equal times fire in the order of arming */
  size_t pos;     /* owned by the environment: 0 = not armed */
  bool span;      /* owned by the environment: moves with the clock when that is set; timer_set clears it */
} aq_timer;

/* A job is caller memory, alive until done was called. run: on a worker, touches only the job. done: on the loop
   thread; called exactly once, also when the environment stops. Priority 0 runs before 1 before 2. */
typedef struct aq_job {
  void (*run)(struct aq_job *job);
  void (*done)(struct aq_job *job);
  uint8_t priority;
  struct aq_job *next; /* owned by the environment */
} aq_job;

enum { AQ_JOB_PROPOSAL = 0, AQ_JOB_DUTY = 1, AQ_JOB_BACKGROUND = 2, AQ_JOB_PRIORITIES = 3 };

typedef struct aq_env {
  void *ctx;
  uint64_t (*now_ns)(void *ctx);  /* wall clock, Unix */
  uint64_t (*mono_ns)(void *ctx); /* never goes back */
  void (*random)(void *ctx, void *out, size_t len);
  void (*timer_set)(void *ctx, aq_timer *t, uint64_t at_unix_ns, void (*fn)(void *arg),
                    void *arg);                 /* past: next turn */
  void (*timer_cancel)(void *ctx, aq_timer *t); /* harmless when not armed */
  void (*work)(void *ctx, aq_job *job);
} aq_env;

static inline uint64_t aq_now_ns(const aq_env *e) { return e->now_ns(e->ctx); }
static inline uint64_t aq_mono_ns(const aq_env *e) { return e->mono_ns(e->ctx); }
static inline void aq_random(const aq_env *e, void *out, size_t len) { e->random(e->ctx, out, len); }
static inline void aq_timer_set(const aq_env *e, aq_timer *t, uint64_t at_ns, void (*fn)(void *), void *arg) {
  e->timer_set(e->ctx, t, at_ns, fn, arg);
}
/* A span of time from now. */
static inline void aq_timer_after(const aq_env *e, aq_timer *t, uint64_t after_ns, void (*fn)(void *), void *arg) {
  e->timer_set(e->ctx, t, e->now_ns(e->ctx) + after_ns, fn, arg);
  t->span = true;
}
/* The same, where the end of the span is known. */
static inline void aq_timer_until(const aq_env *e, aq_timer *t, uint64_t end_ns, void (*fn)(void *arg), void *arg) {
  e->timer_set(e->ctx, t, end_ns, fn, arg);
  t->span = true;
}
static inline void aq_timer_cancel(const aq_env *e, aq_timer *t) { e->timer_cancel(e->ctx, t); }
static inline void aq_work(const aq_env *e, aq_job *job) { e->work(e->ctx, job); }

/* ---- a clock that is set ----
   The wall clock steps (NTP, a hand, a machine that slept) while the monotonic one does not. Slewing is no step: 250 ms
   between two looks is more than any daemon slews in a few seconds. */
#define AQ_CLOCK_STEP_NS UINT64_C(250000000)

/* Zeroed before first use. Each who must know of steps has its own. */
typedef struct {
  bool set;
  uint64_t off_ns; /* wall minus monotonic, modulo 2^64 */
} aq_clock_look;

/* What the wall clock jumped by since the last look; 0: nothing worth the name. */
int64_t aq_clock_stepped(const aq_env *e, aq_clock_look *l);

#endif
