/* The environment in memory: order of timers and jobs, clocks that are set, processes that are dead. */
#include "fake/env.h"

#include "aq_test.h"

static char order[32];
static const fake_env *now_of;
static uint64_t fired_ns[32];

static void note(void *arg) {
  size_t len = strlen(order);
  assert_true(len + 1 < sizeof order);
  order[len] = *(const char *)arg;
  order[len + 1] = 0;
  fired_ns[len] = fake_env_mono(now_of);
}

/* Goal: the timers of all environments of a time have one order, by time, then by arming; a clock that is off or set
   moves those at a time and not those after a span, and none of them goes back.
   Method: two environments, one ten seconds ahead; timers at equal and past times; the second one's clock set back. */
static void one_order(void **state) {
  (void)state;
  fake_time t;
  fake_env a, b;
  aq_timer timer[5] = {0};
  order[0] = 0;
  fake_time_init(&t, AQ_SECONDS(100), 1);
  fake_env_join(&a, &t, 0);
  fake_env_join(&b, &t, (int64_t)AQ_SECONDS(10));
  now_of = &a;
  assert_int_equal(aq_now_ns(&b.env), AQ_SECONDS(110));
  assert_int_equal(aq_mono_ns(&b.env), AQ_SECONDS(100));
  aq_timer_set(&b.env, &timer[0], AQ_SECONDS(112), note, "1");
  aq_timer_set(&a.env, &timer[1], AQ_SECONDS(102), note, "2");
  aq_timer_after(&b.env, &timer[2], AQ_SECONDS(3), note, "3");
  aq_timer_set(&a.env, &timer[3], AQ_SECONDS(50), note, "0");
  aq_timer_set(&b.env, &timer[4], AQ_SECONDS(113), note, "4");
  fake_env_run_for(&a, AQ_SECONDS(2));
  assert_string_equal(order, "012");
  assert_int_equal(fired_ns[0], AQ_SECONDS(100));
  assert_int_equal(fired_ns[2], AQ_SECONDS(102));
  fake_env_set(&b, AQ_SECONDS(111));
  fake_env_run_for(&a, AQ_SECONDS(1));
  assert_string_equal(order, "0123");
  fake_env_hold(&a, AQ_SECONDS(5));
  assert_string_equal(order, "0123");
  fake_env_run_for(&a, 0);
  assert_string_equal(order, "01234");
  assert_int_equal(fired_ns[4], AQ_SECONDS(108));
  fake_env_free(&a);
  fake_env_free(&b);
}

typedef struct {
  aq_job job;
  const char *name;
} named;

static void run(aq_job *job) { (void)job; }
static void done(aq_job *job) { note((void *)(uintptr_t)((named *)(void *)job)->name); }

static uint64_t second(void *arg) {
  (void)arg;
  return AQ_SECONDS(1);
}

/* Goal: jobs come back by priority, in order or newest first, or after a time of their own; never from inside work.
   Method: three jobs each way; the last way with the environment ended while they are under way. */
static void jobs(void **state) {
  static const char *const want[] = {"bac", "bca", "abc"};
  (void)state;
  for (int way = 0; way < 3; way++) {
    fake_env f;
    named job[] = {{.job = {run, done, 1, NULL}, .name = "a"},
                   {.job = {run, done, 0, NULL}, .name = "b"},
                   {.job = {run, done, 1, NULL}, .name = "c"}};
    order[0] = 0;
    fake_env_init(&f, AQ_SECONDS(1700000000));
    now_of = &f;
    f.reverse_jobs = way == 1;
    f.job_ns = way == 2 ? second : NULL;
    for (size_t i = 0; i < AQ_COUNT(job); i++) aq_work(&f.env, &job[i].job);
    assert_string_equal(order, "");
    fake_env_free(&f);
    assert_string_equal(order, want[way]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_order), cmocka_unit_test(jobs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
