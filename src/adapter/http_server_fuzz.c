/* The HTTP server by sequences. Input: steps. A byte below 0x20 is one of the client's lines or acts (tables below),
   or the core's with the request that it has held for longest; any other byte begins a piece of raw bytes, up to the
   next such byte. The core hears whole requests within the limits, `gone` once and only for what it has not ended; in
   the end, when the clients have left, it has heard of all and no byte is held. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/adapters.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_MAX = 4096, BODY_MAX = 2048, CONNS = 4, HELD_MAX = 64, TURNS_MAX = 400 };

enum {
  ACT_RESPOND = 0x13,
  ACT_ODD_CODE,
  ACT_BEGIN,
  ACT_WRITE,
  ACT_FLOOD,
  ACT_END,
  ACT_CUT,
  ACT_TURN,
  ACT_READ,
  ACT_SHUT,
  ACT_CLOSE,
  ACT_NEXT
};

static const char *const says[ACT_RESPOND] = {
    "GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /x HTTP/1.0\r\n\r\n",
    "POST /x?a=b HTTP/1.1\r\nHost: x\r\n",
    "Content-Length: 4\r\n",
    "Content-Length: 2048\r\n",
    "Content-Length: 2049\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "\r\n",
    "body",
    "4\r\nbody\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    " folded\r\n",
    "A : b\r\n",
    "GET http://h?q HTTP/1.1\r\nHost: x\r\n\r\n",
    "\n",
};

typedef struct {
  aq_http_res *res;
  const aq_http_req *req;
  bool used;
} held;

static aq_loop *loop;
static const aq_env *env;
static aq_http_server *server;
static const aq_http_server_vt *vt;
static held requests[HELD_MAX]; /* by age; used: the core has it */
static size_t request_cnt;
static int client[CONNS];
static size_t client_at;
static uint64_t mono_ns;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }
static void stop(void *arg) { (void)arg, aq_loop_stop(loop); }

static uint64_t stopped_clock(void *ctx) {
  (void)ctx;
  return mono_ns;
}

static void turn(void) {
  aq_timer t = {0};
  aq_timer_set(env, &t, aq_now_ns(env) + AQ_MILLIS(1) / 10, stop, NULL);
  aq_loop_run(loop);
  aq_timer_cancel(env, &t);
}

static size_t body_max(void *arg, const char *method, const char *path) {
  (void)arg;
  AQ_ASSERT(*method && *path);
  return BODY_MAX;
}

static void gone(void *arg) {
  held *h = arg;
  AQ_ASSERT(h->used);
  h->used = false;
}

static void drained(void *arg) {
  held *h = arg;
  AQ_ASSERT(h->used);
  vt->write(h->res, aq_bytes_str("more"));
}

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *server_vt) {
  (void)arg;
  vt = server_vt;
  AQ_ASSERT(req->body.len <= BODY_MAX && *req->method && *req->path && *req->raw_path && req->query);
  for (size_t i = 0; i < req->headers.cnt; i++) AQ_ASSERT(*req->headers.item[i].name && req->headers.item[i].value);
  if (request_cnt == HELD_MAX) {
    vt->respond(res, 200, NULL, req->body);
    return;
  }
  requests[request_cnt] = (held){res, req, true};
  vt->watch(res, gone, drained, &requests[request_cnt++]);
}

static void once(void) {
  static const aq_http_server_cfg cfg = {"127.0.0.1", 0, 3, 120};
  static const aq_http_handler h = {NULL, body_max, handle};
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  loop = aq_loop_new(1), env = aq_loop_env(loop);
  mono_ns = AQ_SECONDS(1000);
  ((aq_env *)(uintptr_t)env)->mono_ns = stopped_clock;
  AQ_ASSERT(aq_http_server_new(&server, loop, &cfg, &h, NULL) == AQ_OK);
}

static int connected(void) {
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(aq_http_server_port(server))};
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  AQ_ASSERT(fd >= 0 && (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 || errno == EINPROGRESS));
  return fd;
}

static void core_acts(uint8_t act, uint8_t arg) {
  static const uint8_t flood[1 << 18];
  size_t i = 0;
  while (i < request_cnt && !requests[i].used) i++;
  if (i == request_cnt) return;
  held *h = &requests[i];
  const aq_http_header item = {"A", "b"};
  const aq_http_headers headers = {&item, 1};
  if (act == ACT_BEGIN) vt->begin(h->res, arg & 1 ? 204 : 200, &headers);
  if (act == ACT_WRITE) vt->write(h->res, aq_bytes_str("piece"));
  if (act == ACT_FLOOD) vt->write(h->res, aq_bytes_of(flood, sizeof flood));
  if (act != ACT_RESPOND && act != ACT_ODD_CODE && act != ACT_END && act != ACT_CUT) return;
  h->used = false;
  if (act == ACT_RESPOND) vt->respond(h->res, 200, &headers, h->req->body);
  if (act == ACT_ODD_CODE) vt->respond(h->res, arg * 5, &headers, aq_bytes_str("odd"));
  if (act == ACT_END) vt->end(h->res);
  if (act == ACT_CUT) vt->cut(h->res);
}

static void say(const void *text, size_t len) {
  int *fd = &client[client_at];
  if (*fd < 0) *fd = connected();
  turn();
  if (send(*fd, text, len, MSG_NOSIGNAL) < 0)
    AQ_ASSERT(errno == EPIPE || errno == ECONNRESET || errno == EAGAIN || errno == ENOTCONN);
}

static void client_acts(uint8_t act) {
  char sink[4096];
  int *fd = &client[client_at];
  if (act == ACT_TURN) turn();
  if (act == ACT_NEXT) client_at = (client_at + 1) % CONNS;
  if (*fd < 0) return;
  if (act == ACT_READ) (void)!recv(*fd, sink, sizeof sink, 0);
  if (act == ACT_SHUT) shutdown(*fd, SHUT_WR);
  if (act == ACT_CLOSE) close(*fd), *fd = -1;
}

static void play(aq_bytes in) {
  for (size_t i = 0; i < in.len; i++) {
    size_t from = i;
    while (i < in.len && in.ptr[i] >= 0x20) i++;
    if (i > from) say(in.ptr + from, i - from);
    if (i == in.len) return;
    uint8_t act = in.ptr[i], arg = i + 1 < in.len ? in.ptr[i + 1] : 0;
    if (act < ACT_RESPOND)
      say(says[act], strlen(says[act]));
    else if (act < ACT_TURN)
      core_acts(act, arg);
    else
      client_acts(act);
    if (act == 0x1f) mono_ns += AQ_SECONDS(arg);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len > INPUT_MAX) return 0;
  if (!loop) once();
  request_cnt = client_at = 0;
  for (size_t i = 0; i < CONNS; i++) client[i] = -1;
  play(aq_bytes_of(data, len));
  turn();
  for (size_t i = 0; i < CONNS; i++) {
    if (client[i] >= 0) close(client[i]);
  }
  bool open = true;
  for (int i = 0; i < TURNS_MAX && open; i++) {
    turn();
    open = aq_http_server_held(server) > 0;
    for (size_t k = 0; k < request_cnt; k++) open = open || requests[k].used;
  }
  AQ_ASSERT(!open);
  return 0;
}
