/* The HTTP client's callbacks by sequences. Input: a byte for the call (streamed or whole, HEAD, pausing), then
   steps: a byte below 0x20 is one of the upstream's lines or acts (table below), or the reader's (resume, cancel);
   any other byte begins a piece of raw bytes, up to the next such byte. The caller hears at most one head with a code
   of 200 to 599, then data, then one done; nothing after it or after cancel; and the next call works. Redirects are
   followed to the same upstream, on the connection or on another one, which is closed at once. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/adapters.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_MAX = 4096, ANSWER_MAX = 2048, TURNS_MAX = 400 };

enum { ACT_TURN = 0x1c, ACT_RESUME, ACT_CANCEL, ACT_CLOSE };

static const char *const says[0x1c] = {
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 C\r\n\r\n",
    "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n",
    "HTTP/1.1 103 E\r\n\r\n",
    "HTTP/1.1 204 N\r\n",
    "HTTP/1.1 304 N\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 401 U\r\nWWW-Authenticate: Basic\r\n",
    "HTTP/1.1 417 E\r\n",
    "HTTP/1.1 999 X\r\n",
    "HTTP/1.1 000 X\r\n",
    "HTTP/1.1 301 M\r\nLocation: /y\r\n",
    "HTTP/2 200\r\n",
    "Content-Length: 4\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Content-Encoding: gzip\r\n",
    "Connection: close\r\n",
    "Trailer: A\r\n",
    "A: b\r\n",
    " folded\r\n",
    "\r\n",
    "body",
    "4\r\nbody\r\n",
    "0\r\n",
    "0\r\n\r\n",
    "zz\r\n",
};

typedef struct {
  uint32_t heads, dones;
  bool streamed, pausing, over; /* over: nothing may follow */
  aq_status st;
} call;

static aq_loop *loop;
static const aq_env *env;
static aq_curl *curl;
static const aq_httpc *client;
static int listener;
static uint16_t port;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }
static void stop(void *arg) { (void)arg, aq_loop_stop(loop); }

static void turn(void) {
  aq_timer t = {0};
  aq_timer_set(env, &t, aq_now_ns(env) + AQ_MILLIS(1) / 10, stop, NULL);
  aq_loop_run(loop);
  aq_timer_cancel(env, &t);
}

static void once(void) {
  struct sockaddr_in addr = {.sin_family = AF_INET};
  socklen_t len = sizeof addr;
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  loop = aq_loop_new(1), env = aq_loop_env(loop);
  curl = aq_curl_new(loop), client = aq_curl_port(curl);
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  AQ_ASSERT(listener >= 0 && bind(listener, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(listener, 16) == 0);
  AQ_ASSERT(getsockname(listener, (struct sockaddr *)&addr, &len) == 0);
  port = ntohs(addr.sin_port);
}

static void head(void *arg, int code, const aq_http_headers *h) {
  call *c = arg;
  AQ_ASSERT(!c->over && c->heads == 0 && code >= 200 && code <= 599);
  c->heads++;
  for (size_t i = 0; i < h->cnt; i++) AQ_ASSERT(h->item[i].name && h->item[i].value);
}

static bool data_cb(void *arg, aq_bytes chunk) {
  call *c = arg;
  AQ_ASSERT(!c->over && c->heads == 1 && chunk.len > 0);
  return !c->pausing;
}

static void done(void *arg, aq_status st, const aq_httpc_res *res) {
  call *c = arg;
  AQ_ASSERT(!c->over && c->dones == 0);
  c->dones++;
  AQ_ASSERT(st == AQ_OK || st == AQ_E_CLOSED || st == AQ_E_LIMIT || st == AQ_E_FORMAT);
  AQ_ASSERT(st != AQ_OK || (c->streamed ? c->heads == 1 : res->code >= 200 && res->code <= 599));
  AQ_ASSERT(st == AQ_OK ? res->body.len <= ANSWER_MAX : res->code == 0 && res->body.len == 0);
  c->over = true, c->st = st;
}

static uint64_t ask(call *c, const char *method) {
  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%u/x", port);
  const aq_httpc_req req = {.method = method, .url = url, .body_max = ANSWER_MAX};
  return client->start(client->ctx, &req,
                       &(aq_httpc_cb){c, c->streamed ? head : NULL, c->streamed ? data_cb : NULL, done});
}

static int upstream(void) {
  int fd = -1;
  for (int i = 0; i < TURNS_MAX && fd < 0; i++) {
    turn();
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  }
  AQ_ASSERT(fd >= 0);
  return fd;
}

static void say(int fd, const void *text, size_t len) {
  if (send(fd, text, len, MSG_NOSIGNAL) < 0) AQ_ASSERT(errno == EPIPE || errno == ECONNRESET || errno == EAGAIN);
}

static void play(call *c, uint64_t id, int fd, aq_bytes in) {
  for (size_t i = 0; i < in.len; i++) {
    size_t from = i;
    while (i < in.len && in.ptr[i] >= 0x20) i++;
    if (i > from) say(fd, in.ptr + from, i - from);
    if (i == in.len || in.ptr[i] == ACT_CLOSE) return;
    if (in.ptr[i] < ACT_TURN) say(fd, says[in.ptr[i]], strlen(says[in.ptr[i]]));
    if (in.ptr[i] == ACT_RESUME) client->resume(client->ctx, id);
    if (in.ptr[i] == ACT_CANCEL) client->cancel(client->ctx, id), c->over = true;
    if (in.ptr[i] >= ACT_TURN) turn();
  }
}

/* With connections and the rest from before: no state of a bad answer is left. */
static void next_call(void) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
  call c = {.streamed = true};
  ask(&c, "GET");
  int fd = upstream();
  say(fd, answer, sizeof answer - 1);
  shutdown(fd, SHUT_WR);
  for (int i = 0; i < TURNS_MAX && !c.over; i++) turn();
  close(fd);
  AQ_ASSERT(c.over && c.st == AQ_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 1 || len > INPUT_MAX) return 0;
  if (!loop) once();
  call c = {.streamed = data[0] & 1, .pausing = data[0] & 2};
  uint64_t id = ask(&c, data[0] & 4 ? "HEAD" : data[0] & 8 ? "POST" : "GET");
  int fd = upstream();
  play(&c, id, fd, aq_bytes_of(data + 1, len - 1));
  shutdown(fd, SHUT_WR);
  c.pausing = false;
  for (int i = 0; i < TURNS_MAX && !c.over; i++) {
    client->resume(client->ctx, id), turn();
    int moved = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); /* a redirect that is followed */
    if (moved >= 0) close(moved);
  }
  AQ_ASSERT(c.over);
  close(fd);
  turn();
  next_call();
  return 0;
}
