/* The loop on real time: order of timers, jobs and posts, clocks that are set, ends that leave nothing. */
#include "adapter/loop.h"

#include "adapter/workers.h"
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

/* What the kernel refuses: nothing, to tell that the clock is set (gVisor), such timers at all. Every test runs with
   each. */
enum { TOLD, NOT_TOLD, NO_TIMERFD, KERNELS };
static int g_kernel;
static uint64_t g_step_at_ns; /* monotonic: from then on the wall clock is an hour later; 0: never */

/* These take the place of the C library's in this program. */
int timerfd_create(clockid_t id, int flags) {
  if (g_kernel != NO_TIMERFD) return (int)syscall(SYS_timerfd_create, id, flags);
  errno = ENOSYS;
  return -1;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *spec, struct itimerspec *old) {
  if (g_kernel == TOLD || !(flags & TFD_TIMER_CANCEL_ON_SET))
    return (int)syscall(SYS_timerfd_settime, fd, flags, spec, old);
  errno = EINVAL;
  return -1;
}

ssize_t getrandom(void *out, size_t len, unsigned flags) {
  if (g_kernel == TOLD) return syscall(SYS_getrandom, out, len, flags);
  errno = ENOSYS;
  return -1;
}

int clock_gettime(clockid_t id, struct timespec *out) {
  int rc = (int)syscall(SYS_clock_gettime, id, out);
  struct timespec mono;
  if (rc != 0 || id != CLOCK_REALTIME || g_step_at_ns == 0) return rc;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &mono);
  if ((uint64_t)mono.tv_sec * AQ_NS_PER_SEC + (uint64_t)mono.tv_nsec >= g_step_at_ns) out->tv_sec += 3600;
  return 0;
}

static char g_trace[64];
static size_t g_not_told;

static void count_line(void *arg, const char *line, size_t len) {
  (void)arg;
  g_not_told += memmem(line, len, "\"event\":\"not_told\"", strlen("\"event\":\"not_told\"")) != NULL;
}
static aq_loop *g_loop;
static const aq_env *g_env;

static void trace(char c) {
  size_t len = strlen(g_trace);
  assert_true(len + 1 < sizeof g_trace);
  g_trace[len] = c, g_trace[len + 1] = 0;
}

static int setup(void **state) {
  (void)state;
  aq_metrics_init();
  aq_log_start(AQ_LOG_WARN, count_line, NULL);
  g_trace[0] = 0, g_not_told = 0;
  g_loop = aq_loop_new(2);
  g_env = aq_loop_env(g_loop);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_loop_free(g_loop);
  aq_log_stop();
  return 0;
}

static void note(void *arg) { trace(*(const char *)arg); }

static void stop(void *arg) {
  (void)arg;
  aq_loop_stop(g_loop);
}

/* Goal: timers fire in the order of their time, equal times in the order of arming, never before their time.
   Method: eight timers set out of order, one replaced, one cancelled; the last checks the clock. */
static void test_timer_order(void **state) {
  (void)state;
  aq_timer t[8] = {0};
  uint64_t now = aq_now_ns(g_env);
  aq_timer_set(g_env, &t[0], now + AQ_MILLIS(8), note, "d");
  aq_timer_set(g_env, &t[1], now + AQ_MILLIS(2), note, "a");
  aq_timer_set(g_env, &t[2], now + AQ_MILLIS(5), note, "b");
  aq_timer_set(g_env, &t[3], now + AQ_MILLIS(5), note, "c");
  aq_timer_set(g_env, &t[4], now + AQ_MILLIS(1), note, "x");
  aq_timer_set(g_env, &t[5], now + AQ_MILLIS(1), note, "y");
  aq_timer_set(g_env, &t[6], now + AQ_MILLIS(9), stop, NULL);
  aq_timer_set(g_env, &t[7], AQ_NEVER, note, "z");
  aq_timer_set(g_env, &t[5], now + AQ_MILLIS(6), note, "e");
  aq_timer_cancel(g_env, &t[4]);
  aq_timer_cancel(g_env, &t[4]);
  aq_loop_run(g_loop);
  assert_string_equal(g_trace, "abced");
  assert_true(aq_now_ns(g_env) >= now + AQ_MILLIS(9));
  assert_int_equal(t[0].pos, 0);
  assert_int_not_equal(t[7].pos, 0);
}

static aq_timer g_t[4];

static void cancel_next(void *arg) {
  (void)arg;
  trace('a');
  aq_timer_cancel(g_env, &g_t[1]);
}

static void again(void *arg) {
  (void)arg;
  trace('r');
  if (strlen(g_trace) < 6)
    aq_timer_set(g_env, &g_t[2], 0, again, NULL);
  else
    aq_loop_stop(g_loop);
}

/* Goal: a timer may cancel one that is due in the same turn; one that sets itself in the past does not starve others.
   Method: four due timers; the third re-arms itself with time 0 and would come first for ever if it could. */
static void test_timer_in_callback(void **state) {
  (void)state;
  memset(g_t, 0, sizeof g_t);
  aq_timer_set(g_env, &g_t[0], 1, cancel_next, NULL);
  aq_timer_set(g_env, &g_t[1], 2, note, "x");
  aq_timer_set(g_env, &g_t[2], 3, again, NULL);
  aq_timer_set(g_env, &g_t[3], 4, note, "d");
  aq_loop_run(g_loop);
  assert_string_equal(g_trace, "ardrrr");
}

static uint64_t g_turn[3];
static int g_pipe[2];
static uv_poll_t g_watch;

static void on_pipe(uv_poll_t *h, int status, int events) {
  (void)h, (void)status, (void)events;
  trace('p');
  aq_loop_stop(g_loop);
}

/* Due at once, for ever: 0 and the past are both "next turn". */
static void for_ever(void *arg) {
  size_t i = (size_t)((aq_timer *)arg - g_t);
  assert_int_not_equal(g_turn[i], aq_loop_turn(g_loop));
  g_turn[i] = aq_loop_turn(g_loop);
  if (strlen(g_trace) < 6) trace((char)('0' + i));
  aq_timer_set(g_env, arg, i == 0 ? 0 : aq_now_ns(g_env) - i, for_ever, arg);
}

static void gone(uv_handle_t *h) { (void)h; }

/* Goal: timers that are always due leave a poll between two rounds of theirs, and what is ready there is served.
   Method: three timers that set themselves again, and a pipe with a byte in it; the polls are counted. */
static void test_timer_turns(void **state) {
  (void)state;
  memset(g_t, 0, sizeof g_t), memset(g_turn, 0, sizeof g_turn);
  assert_int_equal(pipe(g_pipe), 0);
  assert_int_equal(write(g_pipe[1], "x", 1), 1);
  uv_poll_init(aq_loop_uv(g_loop), &g_watch, g_pipe[0]);
  uv_poll_start(&g_watch, UV_READABLE, on_pipe);
  for (size_t i = 0; i < 3; i++) aq_timer_set(g_env, &g_t[i], 0, for_ever, &g_t[i]);
  aq_loop_run(g_loop);
  assert_non_null(strchr(g_trace, 'p'));
  assert_true(aq_loop_turn(g_loop) <= 2);
  for (size_t i = 0; i < 3; i++) aq_timer_cancel(g_env, &g_t[i]);
  uv_close((uv_handle_t *)&g_watch, gone);
  close(g_pipe[0]), close(g_pipe[1]);
}

/* Goal: the heap keeps its order under any mix of set and cancel.
   Method: 2000 random operations over 200 timers in the past, then one turn that fires them all; seed printed. */
static aq_timer g_many[200];
static uint64_t g_last_at, g_last_seq;
static size_t g_fired;

static void in_order(void *arg) {
  const aq_timer *t = arg;
  assert_true(t->at_ns > g_last_at || (t->at_ns == g_last_at && t->seq > g_last_seq) || g_fired == 0);
  g_last_at = t->at_ns, g_last_seq = t->seq;
  g_fired++;
}

static void test_timer_random(void **state) {
  (void)state;
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 42);
  print_message("seed 42\n");
  memset(g_many, 0, sizeof g_many);
  g_fired = 0;
  for (int i = 0; i < 2000; i++) {
    aq_timer *t = &g_many[aq_test_rng_next(&rng) % AQ_COUNT(g_many)];
    if (aq_test_rng_next(&rng) % 3 == 0)
      aq_timer_cancel(g_env, t);
    else
      aq_timer_set(g_env, t, 1 + aq_test_rng_next(&rng) % 50, in_order, t);
  }
  size_t armed = 0;
  for (size_t i = 0; i < AQ_COUNT(g_many); i++) armed += g_many[i].pos != 0;
  aq_timer end = {0};
  aq_timer_set(g_env, &end, 1000, stop, NULL);
  aq_loop_run(g_loop);
  assert_int_equal(g_fired, armed);
}

/* ---- workers ---- */

typedef struct {
  aq_job job;
  char name;
  pthread_barrier_t *gate;
  pthread_t ran_on;
} named_job;

static char g_ran[16];
static size_t g_ran_cnt, g_done_cnt, g_done_want;
static pthread_mutex_t g_ran_lock = PTHREAD_MUTEX_INITIALIZER;

static void job_run(aq_job *job) {
  named_job *j = AQ_CONTAINER(job, named_job, job);
  j->ran_on = pthread_self();
  if (j->gate) pthread_barrier_wait(j->gate);
  pthread_mutex_lock(&g_ran_lock);
  g_ran[g_ran_cnt++] = j->name;
  pthread_mutex_unlock(&g_ran_lock);
}

static void job_done(aq_job *job) {
  (void)job;
  if (++g_done_cnt == g_done_want) aq_loop_stop(g_loop);
}

/* Goal: jobs run on workers by priority, first in first out within one, and their end is told on the loop thread.
   Method: one worker, held by a first job until all others are queued. */
static void test_priorities(void **state) {
  (void)state;
  aq_loop_free(g_loop);
  g_loop = aq_loop_new(1), g_env = aq_loop_env(g_loop);
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  named_job j[6] = {
      {.name = 'h', .gate = &gate}, {.name = 'e'}, {.name = 'c'}, {.name = 'a'}, {.name = 'd'}, {.name = 'b'}};
  static const uint8_t priority[] = {0, 2, 1, 0, 1, 0};
  memset(g_ran, 0, sizeof g_ran), g_ran_cnt = 0, g_done_cnt = 0, g_done_want = AQ_COUNT(j);
  for (size_t i = 0; i < AQ_COUNT(j); i++) {
    j[i].job = (aq_job){job_run, job_done, priority[i], NULL};
    aq_work(g_env, &j[i].job);
  }
  pthread_barrier_wait(&gate);
  aq_loop_run(g_loop);
  pthread_barrier_destroy(&gate);
  assert_string_equal(g_ran, "habcde");
  for (size_t i = 0; i < AQ_COUNT(j); i++) assert_false(pthread_equal(j[i].ran_on, pthread_self()));
}

/* Goal: jobs run beside each other, and those still queued when the loop is freed are run and told.
   Method: two jobs that only end together; then jobs queued without ever running the loop. */
static void test_parallel_and_stop(void **state) {
  (void)state;
  pthread_barrier_t gate;
  pthread_barrier_init(&gate, NULL, 2);
  named_job j[8] = {{.name = 'a', .gate = &gate}, {.name = 'b', .gate = &gate}};
  g_ran_cnt = 0, g_done_cnt = 0, g_done_want = 2;
  for (size_t i = 0; i < 2; i++) {
    j[i].job = (aq_job){job_run, job_done, 1, NULL};
    aq_work(g_env, &j[i].job);
  }
  aq_loop_run(g_loop);
  assert_false(pthread_equal(j[0].ran_on, j[1].ran_on));
  for (size_t i = 2; i < 8; i++) {
    j[i].job = (aq_job){job_run, job_done, (uint8_t)(i % 3), NULL};
    aq_work(g_env, &j[i].job);
  }
  aq_loop_free(g_loop);
  assert_int_equal(g_ran_cnt, 8);
  assert_int_equal(g_done_cnt, 8);
  pthread_barrier_destroy(&gate);
  g_loop = aq_loop_new(0);
}

/* ---- posts ---- */

enum { POSTERS = 4, POSTS_EACH = 500 };
static uint32_t g_seen[POSTERS], g_posts;

static void on_post(void *arg) {
  uintptr_t v = (uintptr_t)arg;
  assert_int_equal(g_seen[v / POSTS_EACH], v % POSTS_EACH);
  g_seen[v / POSTS_EACH]++;
  if (++g_posts == POSTERS * POSTS_EACH) aq_loop_stop(g_loop);
}

static void *poster(void *arg) {
  for (uintptr_t i = 0; i < POSTS_EACH; i++) aq_loop_post(g_loop, on_post, (void *)((uintptr_t)arg * POSTS_EACH + i));
  return NULL;
}

/* Goal: posts of any thread arrive on the loop thread, each thread's in order, none lost.
   Method: four threads post 500 numbers each. */
static void test_post(void **state) {
  (void)state;
  memset(g_seen, 0, sizeof g_seen), g_posts = 0;
  pthread_t t[POSTERS];
  for (uintptr_t i = 0; i < POSTERS; i++) pthread_create(&t[i], NULL, poster, (void *)i);
  aq_loop_run(g_loop);
  for (int i = 0; i < POSTERS; i++) pthread_join(t[i], NULL);
  assert_int_equal(g_posts, POSTERS * POSTS_EACH);
}

/* ---- watchdog, signals, randomness ---- */

static void hog(void *arg) {
  for (uint64_t end = aq_mono_ns(g_env) + AQ_MILLIS(3); aq_mono_ns(g_env) < end;) continue;
  aq_timer_set(g_env, arg, aq_now_ns(g_env) + AQ_MILLIS(5), stop, NULL);
}

/* Goal: a step over 1 ms is counted, waiting is not.
   Method: one timer that computes for 3 ms, then a wait of 5 ms. */
static void test_stalls(void **state) {
  (void)state;
  aq_timer t = {0};
  aq_timer_set(g_env, &t, 0, hog, &t);
  aq_loop_run(g_loop);
  double stalls = aq_metric_value(AQ_M_LOOP_STALLS_TOTAL, AQ_NO_LABELS);
  assert_true(stalls >= 1 && stalls <= 3);
  assert_true(aq_metric_value(AQ_M_LOOP_STALL_SECONDS_TOTAL, AQ_NO_LABELS) >= 0.003);
}

static aq_timer g_by_clock[2]; /* armed by the callbacks below */

static void set_back(void *arg) {
  (void)arg;
  trace('s');
  aq_timer_set(g_env, &g_by_clock[0], aq_now_ns(g_env) + AQ_MILLIS(1), note, "x"); /* an hour away after the step */
  aq_loop_set_clock(g_loop, -(int64_t)AQ_SECONDS(3600));
}

static void set_forward(void *arg) {
  (void)arg;
  trace('S');
  aq_loop_set_clock(g_loop, (int64_t)AQ_SECONDS(3600));
}

static void last(void *arg) {
  note(arg);
  aq_timer_set(g_env, &g_by_clock[1], aq_now_ns(g_env) + AQ_MILLIS(1), stop, NULL);
}

/* Goal: a clock that is set does not hold up what waits for the end of a span, nor end it early; what waits for a time
   waits for that time by the new clock.
   Method: an hour back, then two forward, between timers of both kinds; a timer at a time of the new clock ends it. */
static void test_clock_steps(void **state) {
  (void)state;
  aq_timer t[5] = {0};
  uint64_t mono = aq_mono_ns(g_env);
  aq_timer_after(g_env, &t[0], AQ_MILLIS(1), set_back, NULL);
  aq_timer_after(g_env, &t[1], AQ_MILLIS(4), note, "a");
  aq_timer_after(g_env, &t[2], AQ_MILLIS(6), set_forward, NULL);
  aq_timer_after(g_env, &t[3], AQ_SECONDS(3000), note, "y");
  aq_timer_after(g_env, &t[4], AQ_MILLIS(30), last, "b");
  aq_loop_run(g_loop);
  /* On a slow machine the last two are due at once. */
  assert_true(strcmp(g_trace, "saSxb") == 0 || strcmp(g_trace, "saSbx") == 0);
  assert_true(aq_mono_ns(g_env) - mono >= AQ_MILLIS(30));
  assert_int_not_equal(t[3].pos, 0);
}

static void stop_late(void *arg) {
  trace('l');
  stop(arg);
}

static void wait_for_an_hour(void *arg) {
  (void)arg;
  g_step_at_ns = aq_mono_ns(g_env) + AQ_MILLIS(20);
  aq_timer_set(g_env, &g_by_clock[0], aq_now_ns(g_env) + AQ_SECONDS(3600), note, "x");
  aq_timer_set(g_env, &g_by_clock[1], aq_now_ns(g_env) + AQ_SECONDS(3600) + 1, stop, NULL);
}

/* Goal: a clock that is set while nothing else happens is noticed where the kernel does not tell, and one line says
   that it does not.
   Method: a timer an hour away; 20 ms later the clock is set forward by an hour. Not where the kernel tells: it knows
   nothing of this clock. */
static void test_clock_set_untold(void **state) {
  (void)state;
  aq_timer t[2] = {0};
  if (g_kernel == TOLD) skip();
  memset(g_by_clock, 0, sizeof g_by_clock);
  aq_timer_after(g_env, &t[0], 0, wait_for_an_hour, NULL);
  aq_timer_after(g_env, &t[1], AQ_SECONDS(100), stop_late, NULL);
  aq_loop_run(g_loop);
  g_step_at_ns = 0;
  assert_string_equal(g_trace, "x");
  assert_int_equal(g_not_told, 1);
  aq_timer_cancel(g_env, &t[1]);
}

static void on_signal(void *arg, int signo) {
  assert_int_equal(signo, *(int *)arg);
  trace('s');
  aq_loop_stop(g_loop);
}

/* Before the sanitizer looks for leaks, which it cannot without descriptors. */
static void exit_at_line(void *arg, const char *line, size_t len) {
  (void)arg;
  _exit(memmem(line, len, "an event loop", strlen("an event loop")) ? 42 : 43);
}

static void send_signal(void *arg) { kill(getpid(), *(int *)arg); }

static int exit_of_second(int first, int second) {
  pid_t pid = fork();
  if (pid == 0) {
    g_loop = aq_loop_new(1), g_env = aq_loop_env(g_loop);
    aq_timer t = {0};
    aq_loop_on_signal(g_loop, on_signal, &first);
    aq_timer_set(g_env, &t, 0, send_signal, &first);
    aq_loop_run(g_loop);
    kill(getpid(), second);
    for (;;) pause();
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Goal: the first signal is told, the second ends the process with 128 + number.
   Method: a signal to the own process; children that get two. */
static void test_signals(void **state) {
  (void)state;
  aq_timer t = {0};
  int signo = SIGTERM;
  aq_loop_on_signal(g_loop, on_signal, &signo);
  aq_timer_set(g_env, &t, 0, send_signal, &signo);
  aq_loop_run(g_loop);
  assert_string_equal(g_trace, "s");
  signal(SIGTERM, SIG_DFL), signal(SIGINT, SIG_DFL);
  assert_int_equal(exit_of_second(SIGTERM, SIGINT), 130);
  assert_int_equal(exit_of_second(SIGINT, SIGTERM), 143);
}

/* Goal: without what an event loop cannot do without, the process ends with a line and a status, not by an assertion.
   Method: a child that may open no descriptor. */
static void test_no_descriptors(void **state) {
  (void)state;
  pid_t pid = fork();
  if (pid == 0) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_NOFILE, &none);
    aq_log_start(AQ_LOG_WARN, exit_at_line, NULL);
    aq_loop_new(1);
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* Goal: random bytes fill any length.
   Method: 1000 bytes twice; equal or all zero is impossible in practice. */
static void test_random(void **state) {
  (void)state;
  static uint8_t a[1000], b[1000];
  aq_random(g_env, a, sizeof a), aq_random(g_env, b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
  assert_false(aq_bytes_is_zero(aq_bytes_of(a + 968, 32)));
  assert_true(aq_mono_ns(g_env) > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_timer_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_timer_in_callback, setup, teardown),
      cmocka_unit_test_setup_teardown(test_timer_turns, setup, teardown),
      cmocka_unit_test_setup_teardown(test_timer_random, setup, teardown),
      cmocka_unit_test_setup_teardown(test_clock_steps, setup, teardown),
      cmocka_unit_test_setup_teardown(test_clock_set_untold, setup, teardown),
      cmocka_unit_test_setup_teardown(test_priorities, setup, teardown),
      cmocka_unit_test_setup_teardown(test_parallel_and_stop, setup, teardown),
      cmocka_unit_test_setup_teardown(test_post, setup, teardown),
      cmocka_unit_test_setup_teardown(test_stalls, setup, teardown),
      cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
      cmocka_unit_test_setup_teardown(test_random, setup, teardown),
  };
  int failed = 0;
  for (g_kernel = 0; g_kernel < KERNELS;
       g_kernel++) { /* what libraries found out about the kernel stays in the child */
    pid_t pid = fork();
    if (pid == 0) return cmocka_run_group_tests(tests, NULL, NULL);
    int status = -1;
    waitpid(pid, &status, 0);
    failed |= status;
  }
  return failed != 0;
}
