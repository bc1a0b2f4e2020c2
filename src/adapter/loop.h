/* adapter/loop.h - the production environment: a libuv loop, timers, the worker pool, signals. Implements
   port/env.h. A wall clock that is set is noticed at once, by the kernel's word; within a quarter of a second where the
   kernel has no word for it. */
#ifndef AQ_ADAPTER_LOOP_H
#define AQ_ADAPTER_LOOP_H

#include "port/env.h"

typedef struct aq_loop aq_loop;
aq_loop *aq_loop_new(uint32_t workers); /* 0: min(cores, 4) */
void aq_loop_free(aq_loop *l);
const aq_env *aq_loop_env(aq_loop *l);
struct uv_loop_s *aq_loop_uv(aq_loop *l);
void aq_loop_run(aq_loop *l); /* until aq_loop_stop */
void aq_loop_stop(aq_loop *l);
/* Counts the polls. Who serves a source at most once a turn never serves it twice before others that are ready. A timer
   of the environment that is due when it is set fires in the next turn, so after a poll. libuv's own timers of 0 ms do
   not: set again in their callback they fire again before anything is polled. */
uint64_t aq_loop_turn(const aq_loop *l);
/* SIGINT and SIGTERM: first call fn, a second signal exits at once with 130 or 143. */
void aq_loop_on_signal(aq_loop *l, void (*fn)(void *arg, int signo), void *arg);
/* For tests: the wall clock as this loop has it is off by so much from now on. */
void aq_loop_set_clock(aq_loop *l, int64_t off_ns);
/* Calls fn on the loop thread; from any thread. */
void aq_loop_post(aq_loop *l, void (*fn)(void *arg), void *arg);

#endif
