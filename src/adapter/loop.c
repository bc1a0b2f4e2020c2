/* Timers are our own heap under one libuv timer; posts of other threads come by an async handle, clock changes by a
   timerfd. */
#include "adapter/loop.h"

#include "adapter/workers.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "crypto/aead.h"
#include "port/timer_heap.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { STEP_MAX_NS = 1000 * 1000, CORES_USED_MAX = 4, DRAIN_MAX_MS = 1000 };
#define LOOK_NS AQ_MILLIS(250) /* at the clock, where the kernel does not tell when it is set */

typedef struct post {
  struct post *next;
  void (*fn)(void *arg);
  void *arg;
} post;

struct aq_loop {
  uv_loop_t uv;
  uv_async_t async;
  uv_poll_t tick;
  uv_timer_t plain; /* in its place, where the kernel has no such timers (gVisor, faketime) */
  uv_prepare_t prepare;
  uv_signal_t sig[2];
  int tick_fd;          /* timerfd on the wall clock: the kernel follows clock steps, and wakes us when one comes */
  bool no_tick;         /* it is not to be had */
  int64_t clock_off_ns; /* tests */
  aq_clock_look look;
  aq_env env;
  aq_workers *workers;
  void (*on_signal)(void *arg, int signo);
  void *signal_arg;

  aq_timer_heap timers;
  uint64_t seq;
  uint64_t armed_ns; /* what tick_fd waits for, 0: nothing */
  uint64_t turn_ns;  /* wall clock of the turn while timers fire, else 0 */

  uint64_t polls;
  uint64_t step_ns, step_idle_ns; /* at the last prepare */

  pthread_mutex_t post_lock;
  post *post_head, **post_tail;
};

/* ---- time and randomness ---- */

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  AQ_MUST(clock_gettime(id, &t) == 0);
  return (uint64_t)t.tv_sec * AQ_NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static uint64_t env_now(void *ctx) { return clock_ns(CLOCK_REALTIME) + (uint64_t)((aq_loop *)ctx)->clock_off_ns; }

static uint64_t env_mono(void *ctx) {
  (void)ctx;
  return clock_ns(CLOCK_MONOTONIC);
}

static void env_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  aq_system_random(out, len);
}

/* ---- timers ---- */

static void env_timer_cancel(void *ctx, aq_timer *t) { aq_timer_heap_remove(&((aq_loop *)ctx)->timers, t); }

static void env_timer_set(void *ctx, aq_timer *t, uint64_t at_ns, void (*fn)(void *), void *arg) {
  aq_loop *l = ctx;
  aq_timer_heap_remove(&l->timers, t);
  /* One set in the past by a timer of this turn must not come before the older ones that are due. */
  t->at_ns = at_ns < l->turn_ns ? l->turn_ns : at_ns;
  t->fn = fn, t->arg = arg, t->seq = l->seq++, t->span = false;
  aq_timer_heap_add(&l->timers, t);
}

/* A step: what waits for the end of a span moves with the clock. */
static void look_at_clock(aq_loop *l) {
  int64_t step_ns = aq_clock_stepped(&l->env, &l->look);
  if (step_ns != 0) aq_timer_heap_step(&l->timers, step_ns);
}

static void fire_timers(aq_loop *l) {
  uint64_t limit = l->seq;
  l->turn_ns = env_now(l);
  for (aq_timer *t; (t = aq_timer_heap_first(&l->timers)) && t->at_ns <= l->turn_ns && t->seq < limit;) {
    aq_timer_heap_remove(&l->timers, t);
    t->fn(t->arg);
  }
  l->turn_ns = 0;
}

static void on_tick(uv_poll_t *h, int status, int events) {
  (void)status, (void)events;
  aq_loop *l = h->data;
  uint64_t expirations;
  ssize_t got = read(l->tick_fd, &expirations, sizeof expirations);
  if (got > 0 || errno == ECANCELED) l->armed_ns = 0; /* the latter: the clock was set */
  look_at_clock(l);
  fire_timers(l);
}

static void on_plain(uv_timer_t *h) {
  aq_loop *l = h->data;
  look_at_clock(l);
  fire_timers(l);
}

/* Until the next timer, and no longer than until the next look at the clock. Rounded up: never before its time. */
static void arm_plain(aq_loop *l) {
  const aq_timer *first = aq_timer_heap_first(&l->timers);
  uint64_t now_ns = env_now(l), wait_ns = LOOK_NS;
  if (first && first->at_ns <= now_ns)
    wait_ns = 0;
  else if (first && first->at_ns - now_ns < wait_ns)
    wait_ns = first->at_ns - now_ns;
  uv_update_time(&l->uv);
  AQ_MUST(uv_timer_start(&l->plain, on_plain, (wait_ns + AQ_NS_PER_MS - 1) / AQ_NS_PER_MS, 0) == 0);
}

static void no_tick(aq_loop *l, int why) {
  l->no_tick = true;
  if (l->tick_fd >= 0) uv_poll_stop(&l->tick);
  AQ_LOG(AQ_LOG_WARN, "clock", AQ_STR("event", "not_told"), AQ_STR("err", strerror(why)),
         AQ_STR("note", "this kernel does not tell when the clock is set: it is looked at four times a second"));
}

/* The answer ECANCELED: the clock was set since the last call. The timer is armed, but what waits may have moved. */
static void arm_tick(aq_loop *l) {
  for (bool again = true; again && !l->no_tick;) {
    const aq_timer *first = aq_timer_heap_first(&l->timers);
    uint64_t at_ns = first ? first->at_ns : 0;
    if (first && at_ns == 0) at_ns = 1; /* 0 would disarm */
    if (at_ns == l->armed_ns) return;
    uint64_t at = at_ns == 0 ? 0 : at_ns - (uint64_t)l->clock_off_ns;
    if (at_ns > INT64_MAX || at > INT64_MAX) at = INT64_MAX;
    struct itimerspec spec = {.it_value = {(time_t)(at / AQ_NS_PER_SEC), (long)(at % AQ_NS_PER_SEC)}};
    again = timerfd_settime(l->tick_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL) != 0;
    if (again && errno != ECANCELED) no_tick(l, errno);
    if (again) look_at_clock(l);
    l->armed_ns = again ? 0 : at_ns;
  }
  if (l->no_tick) arm_plain(l);
}

/* Before each wait for events: the watchdog looks at the step that ends here. */
static void on_prepare(uv_prepare_t *h) {
  aq_loop *l = h->data;
  uint64_t now = uv_hrtime(), idle = uv_metrics_idle_time(&l->uv);
  uint64_t busy = now - l->step_ns - (idle - l->step_idle_ns);
  if (l->step_ns && busy > STEP_MAX_NS) {
    aq_metric_add(AQ_M_LOOP_STALLS_TOTAL, 1, AQ_NO_LABELS);
    aq_metric_add(AQ_M_LOOP_STALL_SECONDS_TOTAL, (double)busy / 1e9, AQ_NO_LABELS);
  }
  l->step_ns = now, l->step_idle_ns = idle;
  l->polls++;
  look_at_clock(l);
  arm_tick(l);
}

/* ---- posts and jobs ---- */

void aq_loop_post(aq_loop *l, void (*fn)(void *arg), void *arg) {
  post *p = malloc(sizeof *p);
  AQ_ASSERT(p);
  *p = (post){NULL, fn, arg};
  pthread_mutex_lock(&l->post_lock);
  *l->post_tail = p;
  l->post_tail = &p->next;
  pthread_mutex_unlock(&l->post_lock);
  uv_async_send(&l->async);
}

static bool run_posts(aq_loop *l) {
  pthread_mutex_lock(&l->post_lock);
  post *p = l->post_head;
  l->post_head = NULL, l->post_tail = &l->post_head;
  pthread_mutex_unlock(&l->post_lock);
  bool any = p != NULL;
  while (p) {
    post *next = p->next;
    p->fn(p->arg);
    free(p);
    p = next;
  }
  return any;
}

static void on_async(uv_async_t *h) {
  aq_loop *l = h->data;
  run_posts(l);
  aq_workers_drain(l->workers);
}

static void wake(void *arg) { uv_async_send(&((aq_loop *)arg)->async); }

static void env_work(void *ctx, aq_job *job) { aq_workers_submit(((aq_loop *)ctx)->workers, job); }

/* ---- signals ---- */

static void exit_now(int signo) { _exit(128 + signo); }

static void on_first_signal(uv_signal_t *h, int signo) {
  aq_loop *l = h->data;
  struct sigaction second = {.sa_handler = exit_now};
  for (size_t i = 0; i < AQ_COUNT(l->sig); i++) uv_signal_stop(&l->sig[i]);
  sigaction(SIGINT, &second, NULL);
  sigaction(SIGTERM, &second, NULL);
  l->on_signal(l->signal_arg, signo);
}

void aq_loop_on_signal(aq_loop *l, void (*fn)(void *arg, int signo), void *arg) {
  static const int signo[] = {SIGINT, SIGTERM};
  l->on_signal = fn, l->signal_arg = arg;
  for (size_t i = 0; i < AQ_COUNT(signo); i++) AQ_MUST(uv_signal_start(&l->sig[i], on_first_signal, signo[i]) == 0);
}

/* ---- life ---- */

static void start_tick(aq_loop *l) {
  l->tick_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (l->tick_fd < 0) {
    no_tick(l, errno);
    return;
  }
  AQ_MUST(uv_poll_init(&l->uv, &l->tick, l->tick_fd) == 0);
  AQ_MUST(uv_poll_start(&l->tick, UV_READABLE, on_tick) == 0);
}

/* What nothing here works without: too few descriptors, or a container that forbids epoll or eventfd. */
static void need(int rc) {
  if (rc == 0) return;
  AQ_LOG(AQ_LOG_ERROR, "start", AQ_STR("err", uv_strerror(rc)),
         AQ_STR("note",
                "the system refuses an event loop (epoll, eventfd, descriptors): look at the limits of this "
                "process and the container's seccomp profile"));
  aq_log_stop();
  exit(1);
}

aq_loop *aq_loop_new(uint32_t workers) {
  aq_loop *l = calloc(1, sizeof *l);
  AQ_ASSERT(l);
  signal(SIGPIPE, SIG_IGN);
  uv_os_setenv("UV_THREADPOOL_SIZE", "2"); /* libuv's threads only resolve names here */
  mallopt(M_ARENA_MAX, 2);                 /* else every thread brings an arena of its own */
  need(uv_loop_init(&l->uv));
  AQ_MUST(uv_loop_configure(&l->uv, UV_METRICS_IDLE_TIME) == 0);
  need(uv_async_init(&l->uv, &l->async, on_async));
  AQ_MUST(uv_timer_init(&l->uv, &l->plain) == 0);
  AQ_MUST(uv_prepare_init(&l->uv, &l->prepare) == 0);
  l->async.data = l->tick.data = l->plain.data = l->prepare.data = l;
  start_tick(l);
  for (size_t i = 0; i < AQ_COUNT(l->sig); i++) {
    need(uv_signal_init(&l->uv, &l->sig[i]));
    l->sig[i].data = l;
  }
  AQ_MUST(uv_prepare_start(&l->prepare, on_prepare) == 0);
  pthread_mutex_init(&l->post_lock, NULL);
  l->post_tail = &l->post_head;
  if (workers == 0) {
    uint32_t cores = uv_available_parallelism();
    workers = cores < CORES_USED_MAX ? cores : CORES_USED_MAX;
  }
  l->workers = aq_workers_new(workers, wake, l);
  l->env = (aq_env){l, env_now, env_mono, env_random, env_timer_set, env_timer_cancel, env_work};
  return l;
}

const aq_env *aq_loop_env(aq_loop *l) { return &l->env; }
struct uv_loop_s *aq_loop_uv(aq_loop *l) {
  return &l->uv;
}
void aq_loop_run(aq_loop *l) { uv_run(&l->uv, UV_RUN_DEFAULT); }
void aq_loop_stop(aq_loop *l) { uv_stop(&l->uv); }
uint64_t aq_loop_turn(const aq_loop *l) { return l->polls; }

void aq_loop_set_clock(aq_loop *l, int64_t off_ns) {
  l->clock_off_ns = off_ns;
  l->armed_ns = 0;
}

/* Lets closed handles end. A name that is still being resolved may hold the loop: then its memory is left to the end
   of the process. */
static bool run_down(aq_loop *l) {
  for (int ms = 0; uv_run(&l->uv, UV_RUN_NOWAIT) != 0; ms++) {
    if (ms >= DRAIN_MAX_MS) return false;
    struct timespec pause = {0, (long)AQ_NS_PER_MS};
    nanosleep(&pause, NULL);
  }
  return uv_loop_close(&l->uv) == 0;
}

void aq_loop_free(aq_loop *l) {
  if (!l) return;
  aq_workers_free(l->workers);
  l->workers = NULL;
  while (run_posts(l)) continue;
  for (size_t i = 0; i < AQ_COUNT(l->sig); i++) uv_close((uv_handle_t *)&l->sig[i], NULL);
  uv_close((uv_handle_t *)&l->async, NULL);
  if (l->tick_fd >= 0) uv_close((uv_handle_t *)&l->tick, NULL);
  uv_close((uv_handle_t *)&l->plain, NULL);
  uv_close((uv_handle_t *)&l->prepare, NULL);
  bool ended = run_down(l);
  if (l->tick_fd >= 0) close(l->tick_fd);
  aq_timer_heap_free(&l->timers);
  pthread_mutex_destroy(&l->post_lock);
  if (ended) free(l);
}
