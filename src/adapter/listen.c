/* Listening sockets: accept4 by our own hand, since versions of libuv differ in what they do where it is refused. */
#include "adapter/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/line_limit.h"
#include "base/log.h"

#define AGAIN_NS AQ_SECONDS(1)

struct aq_listen {
  uv_poll_t poll;
  const aq_env *env;
  aq_listen_cb cb;
  int fd;
  uint16_t port;
  bool waiting; /* not watched */
  aq_timer again;
  aq_line_limit line;
};

static void on_ready(uv_poll_t *h, int status, int events);

void aq_listen_resume(aq_listen *l) {
  if (!l->waiting) return;
  l->waiting = false;
  aq_timer_cancel(l->env, &l->again);
  AQ_MUST(uv_poll_start(&l->poll, UV_READABLE, on_ready) == 0);
}

static void on_again(void *arg) { aq_listen_resume(arg); }

static void wait_for_room(aq_listen *l) {
  l->waiting = true;
  uv_poll_stop(&l->poll);
}

static void refused(aq_listen *l, int why) {
  wait_for_room(l);
  if (aq_line_due(&l->line, aq_mono_ns(l->env)))
    AQ_LOG(AQ_LOG_ERROR, "accept", AQ_STR("err", strerror(why)), AQ_UINT("more", l->line.more),
           AQ_STR("note", "no connections are taken; it is tried again each second"), AQ_UINT("port", l->port));
  aq_timer_after(l->env, &l->again, AGAIN_NS, on_again, l);
}

/* Of one connection that went away before it was taken. */
static bool passes(int why) { return why == EAGAIN || why == EINTR || why == ECONNABORTED || why == EPROTO; }

static void on_ready(uv_poll_t *h, int status, int events) {
  (void)status, (void)events;
  aq_listen *l = h->data;
  for (int i = 0; i < AQ_LISTEN_TURN; i++) {
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof from;
    if (l->cb.room && !l->cb.room(l->cb.arg)) {
      wait_for_room(l);
      return;
    }
    int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC), why = errno;
    if (fd < 0) {
      if (!passes(why)) refused(l, why);
      return;
    }
    l->cb.taken(l->cb.arg, fd, &from);
  }
}

static int port_of(int fd) {
  struct sockaddr_in6 addr = {0};
  socklen_t len = sizeof addr;
  _Static_assert(offsetof(struct sockaddr_in6, sin6_port) == offsetof(struct sockaddr_in, sin_port), "one place");
  return getsockname(fd, (struct sockaddr *)&addr, &len) == 0 ? ntohs(addr.sin6_port) : -1;
}

static aq_status listen_on(int *out, const char *host, uint16_t port, aq_err *err) {
  char service[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *addrs = NULL;
  snprintf(service, sizeof service, "%u", port);
  int rc = getaddrinfo(host, service, &hints, &addrs), one = 1;
  if (rc != 0) return aq_fail(err, AQ_E_IO, "cannot listen on %s:%u: %s", host, port, gai_strerror(rc));
  int fd = socket(addrs->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(fd, addrs->ai_addr, addrs->ai_addrlen) == 0 && listen(fd, AQ_LISTEN_BACKLOG) == 0;
  int why = errno;
  freeaddrinfo(addrs);
  if (good) {
    *out = fd;
    return AQ_OK;
  }
  if (fd >= 0) close(fd);
  return aq_fail(err, AQ_E_IO, "cannot listen on %s:%u: %s", host, port, strerror(why));
}

aq_status aq_listen_new(aq_listen **out, aq_loop *loop, const char *host, uint16_t port, const aq_listen_cb *cb,
                        aq_err *err) {
  int fd = -1;
  aq_status st = listen_on(&fd, host, port, err);
  if (st != AQ_OK) return st;
  aq_listen *l = calloc(1, sizeof *l);
  AQ_ASSERT(l);
  int bound = port_of(fd);
  l->env = aq_loop_env(loop), l->cb = *cb, l->fd = fd, l->port = bound < 0 ? port : (uint16_t)bound;
  AQ_MUST(uv_poll_init(aq_loop_uv(loop), &l->poll, fd) == 0);
  l->poll.data = l;
  AQ_MUST(uv_poll_start(&l->poll, UV_READABLE, on_ready) == 0);
  *out = l;
  return AQ_OK;
}

uint16_t aq_listen_port(const aq_listen *l) { return l->port; }

static void on_closed(uv_handle_t *h) { free(h->data); }

void aq_listen_free(aq_listen *l) {
  if (!l) return;
  aq_timer_cancel(l->env, &l->again);
  uv_close((uv_handle_t *)&l->poll, on_closed);
  close(l->fd);
}
