/* Listening sockets where nothing can be taken: no room, no descriptors. */
#include "adapter/listen.h"
#include "aq_test.h"
#include "base/log.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum { KNOCKS = 3 };

static aq_loop *g_loop;
static aq_listen *g_listen;
static int g_client[KNOCKS], g_taken[KNOCKS];
static uint32_t g_taken_cnt, g_stop_at, g_asked, g_lines;
static bool g_full;

static bool on_room(void *arg) {
  (void)arg;
  g_asked++;
  if (g_full) aq_loop_stop(g_loop);
  return !g_full;
}

static void on_taken(void *arg, int fd, const struct sockaddr_storage *from) {
  (void)arg;
  assert_int_equal(from->ss_family, AF_INET);
  g_taken[g_taken_cnt++] = fd;
  if (g_taken_cnt == g_stop_at) aq_loop_stop(g_loop);
}

static void on_line(void *arg, const char *line, size_t len) {
  (void)arg;
  g_lines += memmem(line, len, "\"accept\"", 8) != NULL;
}

static int setup(void **state) {
  (void)state;
  g_loop = aq_loop_new(1);
  g_taken_cnt = g_stop_at = g_asked = g_lines = 0, g_full = false;
  aq_log_start(AQ_LOG_ERROR, on_line, NULL);
  assert_int_equal(aq_listen_new(&g_listen, g_loop, "127.0.0.1", 0, &(aq_listen_cb){NULL, on_room, on_taken}, NULL),
                   AQ_OK);
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(aq_listen_port(g_listen)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  for (int i = 0; i < KNOCKS; i++) {
    g_client[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(g_client[i], (struct sockaddr *)&to, sizeof to), 0);
  }
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_listen_free(g_listen);
  aq_loop_free(g_loop);
  aq_log_stop();
  for (int i = 0; i < KNOCKS; i++) close(g_client[i]);
  for (uint32_t i = 0; i < g_taken_cnt; i++) close(g_taken[i]);
  return 0;
}

/* Goal: who has no room is asked once, not in each turn, and takes those that wait when there is room again.
   Method: full at the first knock, a hundred turns, room and the word for it; the word once more. */
static void test_room(void **state) {
  (void)state;
  g_full = true;
  aq_loop_run(g_loop);
  assert_int_equal(g_asked, 1);
  for (int i = 0; i < 100; i++) uv_run(aq_loop_uv(g_loop), UV_RUN_NOWAIT);
  assert_int_equal(g_asked, 1);
  g_full = false, g_stop_at = KNOCKS;
  aq_listen_resume(g_listen);
  aq_listen_resume(g_listen);
  aq_loop_run(g_loop);
  assert_int_equal(g_taken_cnt, KNOCKS);
}

/* Goal: where the kernel gives out no connection, one line says so, the loop is not kept busy, and those that waited
   are taken when it does again, without anybody's word.
   Method: no descriptor is left; a hundred turns; then there are some. */
static void test_refused(void **state) {
  (void)state;
  struct rlimit was, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
  none = was, none.rlim_cur = 3;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  while (g_asked == 0) uv_run(aq_loop_uv(g_loop), UV_RUN_ONCE);
  for (int i = 0; i < 100; i++) uv_run(aq_loop_uv(g_loop), UV_RUN_NOWAIT);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
  aq_log_stop(); /* the lines are written now */
  assert_int_equal(g_lines, 1);
  assert_int_equal(g_asked, 1);
  assert_int_equal(g_taken_cnt, 0);
  g_stop_at = KNOCKS;
  aq_loop_run(g_loop);
  assert_int_equal(g_taken_cnt, KNOCKS);
}

/* Goal: a port that is taken is an error that names it.
   Method: a second listener on the first one's. */
static void test_taken_port(void **state) {
  (void)state;
  aq_listen *second = NULL;
  aq_err err;
  char where[32];
  uint16_t port = aq_listen_port(g_listen);
  assert_int_equal(aq_listen_new(&second, g_loop, "127.0.0.1", port, &(aq_listen_cb){0}, &err), AQ_E_IO);
  snprintf(where, sizeof where, "127.0.0.1:%u", port);
  assert_non_null(strstr(err.text, where));
  assert_null(second);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_room, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_taken_port, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
