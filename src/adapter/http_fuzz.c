/* Bytes on the sockets of the HTTP server and client. Input: a byte, which side, and in which pieces; then what the
   other side sends before it hangs up. The server's core hears whole requests within the limits only, never more than
   the bytes can hold; the client ends each call once. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/adapters.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { BODY_MAX = 4096, ANSWER_MAX = 8192, TURNS_MAX = 80 };

static aq_loop *loop;
static const aq_env *env;
static aq_http_server *server;
static aq_curl *curl;
static int listener;
static uint16_t listener_port;
static uint32_t requests, dones;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void stop(void *arg) { (void)arg, aq_loop_stop(loop); }

static void turn(void) {
  aq_timer t = {0};
  aq_timer_set(env, &t, aq_now_ns(env) + AQ_MILLIS(1) / 4, stop, NULL);
  aq_loop_run(loop);
  aq_timer_cancel(env, &t);
}

static size_t body_max(void *arg, const char *method, const char *path) {
  (void)arg;
  AQ_ASSERT(*method && *path);
  return BODY_MAX;
}

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  (void)arg;
  AQ_ASSERT(req->body.len <= BODY_MAX && req->method && req->path && req->raw_path && req->query);
  requests++;
  for (size_t i = 0; i < req->headers.cnt; i++) AQ_ASSERT(req->headers.item[i].name && req->headers.item[i].value);
  if (req->body.len % 2) { /* streamed */
    vt->begin(res, 200, NULL);
    vt->write(res, req->body);
    vt->end(res);
    return;
  }
  vt->respond(res, 200, NULL, req->body);
}

static int socket_to(uint16_t port) {
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  AQ_ASSERT(fd >= 0 && (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 || errno == EINPROGRESS));
  return fd;
}

static void once(void) {
  static const aq_http_server_cfg cfg = {"127.0.0.1", 0, 64, 120};
  static const aq_http_handler h = {NULL, body_max, handle};
  struct sockaddr_in addr = {.sin_family = AF_INET};
  socklen_t len = sizeof addr;
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  loop = aq_loop_new(1), env = aq_loop_env(loop);
  AQ_ASSERT(aq_http_server_new(&server, loop, &cfg, &h, NULL) == AQ_OK);
  curl = aq_curl_new(loop);
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  AQ_ASSERT(listener >= 0 && bind(listener, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(listener, 16) == 0);
  AQ_ASSERT(getsockname(listener, (struct sockaddr *)&addr, &len) == 0);
  listener_port = ntohs(addr.sin_port);
}

/* Sends in pieces, then hangs up on that side and reads until the other one does. */
static void talk(int fd, aq_bytes in, size_t piece) {
  char answer[1024];
  bool sending = true;
  for (int i = 0; i < TURNS_MAX; i++) {
    size_t take = piece < in.len ? piece : in.len;
    ssize_t sent = sending && take ? send(fd, in.ptr, take, MSG_NOSIGNAL) : 0;
    if (sent > 0) in = aq_bytes_sub(in, (size_t)sent, in.len - (size_t)sent);
    bool broken = sent < 0 && errno != EAGAIN;
    if (sending && (broken || in.len == 0)) shutdown(fd, SHUT_WR), sending = false;
    turn();
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    if (!sending && (got == 0 || (got < 0 && errno != EAGAIN))) break;
  }
  close(fd);
}

static void serve(aq_bytes in, size_t piece) {
  requests = 0;
  talk(socket_to(aq_http_server_port(server)), in, piece);
  turn();
  AQ_ASSERT(requests <= in.len);
}

static void head(void *arg, int code, const aq_http_headers *h) {
  (void)arg;
  AQ_ASSERT(code >= 100 && code <= 999);
  for (size_t i = 0; i < h->cnt; i++) AQ_ASSERT(h->item[i].name && h->item[i].value);
}

static bool data_cb(void *arg, aq_bytes chunk) {
  (void)arg, (void)chunk;
  return true;
}

static void done(void *arg, aq_status st, const aq_httpc_res *res) {
  (void)arg;
  AQ_ASSERT(st == AQ_OK || st == AQ_E_TIMEOUT || st == AQ_E_CLOSED || st == AQ_E_LIMIT || st == AQ_E_FORMAT);
  AQ_ASSERT(res->body.len <= ANSWER_MAX);
  dones++;
}

static void ask(aq_bytes in, size_t piece, bool streamed) {
  char url[64];
  const aq_httpc *client = aq_curl_port(curl);
  snprintf(url, sizeof url, "http://127.0.0.1:%u/x", listener_port);
  const aq_httpc_req req = {.method = "GET", .url = url, .timeout_ns = AQ_SECONDS(20), .body_max = ANSWER_MAX};
  dones = 0;
  uint64_t id = client->start(client->ctx, &req, &(aq_httpc_cb){NULL, head, streamed ? data_cb : NULL, done});
  int fd = -1;
  for (int i = 0; i < TURNS_MAX && fd < 0 && dones == 0; i++) {
    turn();
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  }
  if (fd >= 0) talk(fd, in, piece);
  for (int i = 0; i < TURNS_MAX && dones == 0; i++) turn();
  AQ_ASSERT(dones <= 1);
  client->cancel(client->ctx, id);
  turn();
  AQ_ASSERT(dones <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 2 || len > 3 * BODY_MAX) return 0;
  if (!loop) once();
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  size_t piece = in.len / (1 + (data[0] >> 2 & 7u)) + 1;
  if (data[0] & 1) {
    ask(in, piece, data[0] & 2);
    return 0;
  }
  serve(in, piece);
  return 0;
}
