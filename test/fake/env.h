/* fake/env.h - the environment of port/env.h in memory: virtual time, timers, seeded randomness, workers. Nothing
   happens by itself: only the functions below that say so call back.

   A fake_time is what several environments share (the nodes of a cluster, each with a wall clock of its own): the
   time that passes, one order of all timers, one source of numbers. An environment that stands alone has its own.

   Timers are never early. Those that are due fire by their time, then in the order of arming, across all environments
   of a time; one armed for the past counts as armed for now. Waiting jobs come before timers.

   Faults are fields and calls: a clock that is off or jumps, a thread that is held up, numbers that are all 0, workers
   that finish in another order or late, a process that is dead.

   Does not: run anything in parallel, copy timers or jobs (they stay their owners'). Limit: FAKE_STEPS_MAX callbacks at
   one moment; more is a loop that never ends, and fails. */
#ifndef AQ_FAKE_ENV_H
#define AQ_FAKE_ENV_H

#include "base/assert.h"
#include "base/list.h"
#include "fake/rng.h"
#include "port/env.h"
#include "port/timer_heap.h"

enum { FAKE_STEPS_MAX = 1000000 };

typedef struct {
  uint64_t now_ns; /* monotonic */
  uint64_t seq;    /* of what was armed last; others may take numbers of it for an order of their own */
  uint64_t fired;  /* timers so far */
  fake_rng rng;
  aq_list envs;       /* private, as the rest */
  uint32_t waiting;   /* jobs that no worker has taken */
  uint64_t moment_ns; /* steps were taken at it: so many */
  uint32_t steps;
} fake_time;

typedef struct {
  aq_env env; /* pass &fake.env to the code under test */
  fake_time *time;
  int64_t skew_ns;  /* wall clock minus monotonic time; change it by the calls below, so that spans keep their length */
  bool dead;        /* arms no timer and fires none */
  bool zero_random; /* all numbers are 0 */
  bool reverse_jobs; /* of one priority the newest waiting job runs first */
  /* NULL: jobs wait, by priority, until a step takes one. Else each runs at once, and its end is told after so long. */
  uint64_t (*job_ns)(void *arg);
  void *job_arg;
  aq_timer_heap timers; /* to read: what is armed, by own wall clock */
  fake_time own;        /* private, as the rest */
  aq_list node, untold; /* untold: jobs that ran */
  aq_job *job[AQ_JOB_PRIORITIES];
} fake_env;

void fake_time_init(fake_time *t, uint64_t now_ns, uint64_t seed);
bool fake_time_step(fake_time *t, uint64_t until_ns); /* one job, or one timer due until then; false: neither */

/* Alone: a time of its own that has run for 1,000 s, numbers of seed 1, queued jobs. */
void fake_env_init(fake_env *f, uint64_t wall_ns);
/* On a time that outlives it; its wall clock is skew_ns ahead. */
void fake_env_join(fake_env *f, fake_time *t, int64_t skew_ns);
/* Ends the jobs under way, as environments do; how many timers are still armed then, which is a fault of their owners.
   Not to be used afterwards. */
AQ_NODISCARD size_t fake_env_end(fake_env *f);
void fake_env_free(fake_env *f); /* the same where no timer may be armed */

uint64_t fake_env_now(const fake_env *f);  /* wall clock */
uint64_t fake_env_mono(const fake_env *f); /* monotonic */
/* The armed timer that fires first, NULL when none is armed. */
aq_timer *fake_env_first_timer(const fake_env *f);
size_t fake_env_untold(const fake_env *f); /* jobs that ran and whose end is still to be told: a timer each */

/* These call back. */
bool fake_env_job_step(fake_env *f);   /* the most urgent waiting job, else the end of one that ran; false: none */
void fake_env_jobs(fake_env *f);       /* all of them, and what they start; no timer */
bool fake_env_timer_step(fake_env *f); /* one timer that is due by the own clock; false: there is none */
bool fake_env_step(fake_env *f);       /* one job or due timer of the time; false: nothing is left to do now */
void fake_env_drain(fake_env *f);      /* everything that is due at this moment */
void fake_env_run_until(fake_env *f, uint64_t wall_ns); /* lets time pass up to a moment, inclusive */
void fake_env_run_for(fake_env *f, uint64_t ns);

/* These do not: what became due fires with the next call of the above. */
void fake_env_hold(fake_env *f, uint64_t ns);      /* time passes while the thread is held up */
void fake_env_set(fake_env *f, uint64_t wall_ns);  /* the wall clock is set (NTP, a hand, a machine that slept) */
void fake_env_shift(fake_env *f, int64_t step_ns); /* the same by a difference */

#endif
