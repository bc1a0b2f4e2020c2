/* adapter/http_raw.h - for the tests of the HTTP server: the loop by turns, and clients that are bare sockets. */
#ifndef AQ_ADAPTER_HTTP_RAW_H
#define AQ_ADAPTER_HTTP_RAW_H

#include "adapter/adapters.h"
#include "aq_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static aq_loop *g_loop;
static const aq_env *g_env;
static aq_http_server *g_server;

static inline void stop(void *arg) {
  (void)arg;
  aq_loop_stop(g_loop);
}

static inline void run_for(uint64_t ns) {
  aq_timer t = {0};
  aq_timer_set(g_env, &t, aq_now_ns(g_env) + ns, stop, NULL);
  aq_loop_run(g_loop);
  aq_timer_cancel(g_env, &t);
}

/* Runs until the counter has the value, 10 s at most. */
static inline void run_until(const uint32_t *counter, uint32_t want) {
  for (int turn = 0; turn < 2000 && *counter != want; turn++) run_for(AQ_MILLIS(5));
  assert_int_equal(*counter, want);
}

/* From an address of 127/8: the server takes each for another client. */
static inline int raw_connect_from(uint32_t host) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in own = {.sin_family = AF_INET};
  own.sin_addr.s_addr = htonl(host);
  assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(aq_http_server_port(g_server))};
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

static inline int raw_connect(void) { return raw_connect_from(INADDR_LOOPBACK); }

static inline void raw_send(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Runs the loop until the text was received or the connection ended; returns what came. */
static char g_raw[65536];

static inline bool raw_expect(int fd, const char *text) {
  size_t len = 0;
  g_raw[0] = 0;
  for (int turn = 0; turn < 400 && !strstr(g_raw, text); turn++) {
    ssize_t got = recv(fd, g_raw + len, sizeof g_raw - 1 - len, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) break;
    if (got > 0)
      len += (size_t)got, g_raw[len] = 0;
    else
      run_for(AQ_MILLIS(5));
  }
  return strstr(g_raw, text) != NULL;
}

static inline bool raw_closed(int fd) {
  char c[4096];
  for (int turn = 0; turn < 400; turn++) {
    ssize_t got = recv(fd, c, sizeof c, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return true;
    if (got < 0) run_for(AQ_MILLIS(5));
  }
  return false;
}

#endif
