#include "adapter/adapters.h"
#include "base/assert.h"
#include "base/hex.h"
#include "base/list.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* One connection of libmicrohttpd holds its request head, answer head and buffers in this memory: with it the head of a
   request stays below 32 KiB (validator-api.md 18.8). */
enum {
  CONN_MEMORY = 32 * 1024,
  STREAM_BLOCK = 4096,
  BACKLOG = 128,
  HEAD_LIMIT_S = 10, /* from connect to the end of the first request head: slow senders */
  BODY_LIMIT_S = 60, /* for a whole body */
  SWEEP_MS = 5000,
  OUT_HIGH = 1 << 20, /* port/http.h: write returns false over it */
  OUT_LOW = 256 * 1024,
  OUT_MAX = 128 << 20,   /* a source that ignores it is cut */
  DISCARD_MAX = 8 << 20, /* of a body over its limit, so that the client gets to read the 413 */
};

/* One TCP connection. */
typedef struct {
  aq_list node;
  int fd;
  char addr[INET6_ADDRSTRLEN]; /* "" when it has none */
  uint64_t by_ns; /* monotonic: the head or body that is being received must be whole by then; 0: none is */
} client;

typedef struct {
  uv_poll_t h;
  aq_http_res *res;
} leave_watch;

typedef enum { STATE_HEAD, STATE_BODY, STATE_HANDLED, STATE_QUEUED } res_state;

struct aq_http_res {
  aq_list node;
  aq_http_server *server;
  struct MHD_Connection *mc; /* NULL once libmicrohttpd has finished with the request */
  client *client;
  res_state state;
  bool suspended;
  bool ended; /* the core made its last call */
  bool dead;  /* the core was told that the client left */
  bool cut;   /* close instead of answering */
  bool sink;  /* streamed answer to HEAD: nothing is sent */
  bool too_large;
  leave_watch *leave;

  char *text; /* raw_path, path and query share it */
  aq_http_req req;
  aq_http_header *header;
  aq_buf body;
  size_t discarded;

  struct MHD_Response *response;
  int code;
  aq_buf out;
  size_t out_sent;
  bool full;
  void (*gone)(void *arg);
  void (*drained)(void *arg);
  void *arg;
};

struct aq_http_server {
  aq_loop *loop;
  const aq_env *env;
  aq_http_handler handler;
  struct MHD_Daemon *daemon;
  uv_poll_t poll;
  uv_timer_t again, sweep; /* monotonic: time limits do not care about the wall clock */
  unsigned handles;
  aq_list clients, requests;
  uint32_t idle_timeout_s, conns_max, client_cnt;
  uint16_t port;
  bool stopping, resumed;
};

/* ---- driving libmicrohttpd ---- */

static void run_again(uv_timer_t *h);

static void run(aq_http_server *s) {
  MHD_UNSIGNED_LONG_LONG ms;
  bool was_full = s->client_cnt >= s->conns_max;
  s->resumed = false;
  MHD_run(s->daemon);
  bool accepts_again = was_full && s->client_cnt < s->conns_max; /* it looks at the listener in the next run */
  if (s->resumed || accepts_again)
    uv_timer_start(&s->again, run_again, 0, 0);
  else if (MHD_get_timeout(s->daemon, &ms) == MHD_YES)
    uv_timer_start(&s->again, run_again, ms, 0);
  else
    uv_timer_stop(&s->again);
}

static void run_again(uv_timer_t *h) { run(h->data); }

static void on_poll(uv_poll_t *h, int status, int events) {
  (void)status, (void)events;
  run(h->data);
}

/* Slow senders: libmicrohttpd's own timeout starts anew with each byte. */
static void on_sweep(uv_timer_t *h) {
  aq_http_server *s = h->data;
  uint64_t now = aq_mono_ns(s->env);
  AQ_LIST_EACH(&s->clients, c, client, node) {
    if (c->by_ns && now > c->by_ns) shutdown(c->fd, SHUT_RDWR);
  }
}

/* ---- suspended requests ---- */

static void on_leave_closed(uv_handle_t *h) { free(AQ_CONTAINER(h, leave_watch, h)); }

static void resume(aq_http_res *res) {
  if (!res->suspended) return;
  res->suspended = false;
  if (res->leave) uv_poll_stop(&res->leave->h);
  MHD_resume_connection(res->mc);
  res->server->resumed = true; /* it goes on in the next run */
  uv_timer_start(&res->server->again, run_again, 0, 0);
}

static void tell_gone(aq_http_res *res) {
  if (res->ended || res->dead) return;
  res->dead = true;
  if (res->gone) res->gone(res->arg);
}

/* libmicrohttpd does not look at suspended connections. */
static void on_leave(uv_poll_t *h, int status, int events) {
  (void)status, (void)events;
  aq_http_res *res = AQ_CONTAINER(h, leave_watch, h)->res;
  uv_poll_stop(h);
  res->cut = true;
  tell_gone(res);
  resume(res);
}

static void suspend(aq_http_res *res) {
  res->suspended = true;
  MHD_suspend_connection(res->mc);
  if (!res->leave) {
    leave_watch *w = calloc(1, sizeof *w);
    AQ_ASSERT(w);
    if (uv_poll_init(aq_loop_uv(res->server->loop), &w->h, res->client->fd) != 0) {
      free(w);
      return;
    }
    w->res = res, res->leave = w;
  }
  uv_poll_start(&res->leave->h, UV_DISCONNECT, on_leave);
}

static void stop_leave_watch(aq_http_res *res) {
  if (!res->leave) return;
  uv_close((uv_handle_t *)&res->leave->h, on_leave_closed);
  res->leave = NULL;
}

/* ---- answers ---- */

/* What the server itself says. */
static bool own_header(const char *name) {
  static const char *const own[] = {"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Date"};
  for (size_t i = 0; i < AQ_COUNT(own); i++) {
    if (strcasecmp(name, own[i]) == 0) return true;
  }
  return false;
}

static void add_headers(aq_http_res *res, const aq_http_headers *h) {
  bool head = strcmp(res->req.method, "HEAD") == 0;
  for (size_t i = 0; h && i < h->cnt; i++) {
    const char *name = h->item[i].name;
    bool length = head && strcasecmp(name, "Content-Length") == 0; /* of the body that GET would give */
    if (length) MHD_set_response_options(res->response, MHD_RF_INSANITY_HEADER_CONTENT_LENGTH, MHD_RO_END);
    if (length || !own_header(name)) MHD_add_response_header(res->response, name, h->item[i].value);
  }
}

static void set_answer(aq_http_res *res, int code, const aq_http_headers *h, aq_bytes body) {
  res->response = MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY);
  AQ_ASSERT(res->response);
  res->code = code;
  add_headers(res, h);
}

static void vt_respond(aq_http_res *res, int code, const aq_http_headers *h, aq_bytes body) {
  AQ_ASSERT(!res->ended && !res->dead && !res->response);
  set_answer(res, code, h, body);
  res->ended = true;
  resume(res);
}

static ssize_t read_stream(void *cls, uint64_t pos, char *buf, size_t max) {
  (void)pos;
  aq_http_res *res = cls;
  if (res->cut) return MHD_CONTENT_READER_END_WITH_ERROR;
  size_t len = res->out.len - res->out_sent;
  if (len == 0) {
    if (res->ended) return MHD_CONTENT_READER_END_OF_STREAM;
    suspend(res);
    return 0;
  }
  if (len > max) len = max;
  memcpy(buf, res->out.ptr + res->out_sent, len);
  res->out_sent += len;
  if (res->out_sent == res->out.len) {
    aq_buf_free(&res->out);
    res->out_sent = 0;
  } else if (res->out_sent > res->out.len / 2) {
    aq_buf_drop_front(&res->out, res->out_sent);
    res->out_sent = 0;
  }
  if (res->full && res->out.len - res->out_sent <= OUT_LOW) {
    res->full = false;
    if (res->drained) res->drained(res->arg);
  }
  return (ssize_t)len;
}

static void vt_begin(aq_http_res *res, int code, const aq_http_headers *h) {
  AQ_ASSERT(!res->ended && !res->dead && !res->response);
  res->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, res, NULL);
  AQ_ASSERT(res->response);
  res->code = code;
  res->sink = strcmp(res->req.method, "HEAD") == 0;
  add_headers(res, h);
  resume(res);
}

static bool vt_write(aq_http_res *res, aq_bytes chunk) {
  AQ_ASSERT(!res->ended && !res->dead && res->response);
  if (res->sink || res->cut) return true;
  aq_buf_put_bytes(&res->out, chunk);
  if (res->out.failed) res->cut = true;
  if (res->out.len - res->out_sent > OUT_HIGH) res->full = true;
  resume(res);
  return !res->full;
}

static void res_release(aq_http_res *res);

static void vt_end(aq_http_res *res) {
  AQ_ASSERT(!res->ended && !res->dead && res->response);
  res->ended = true;
  if (res->mc)
    resume(res);
  else
    res_release(res);
}

static void vt_cut(aq_http_res *res) {
  res->cut = true;
  vt_end(res);
}

static void vt_watch(aq_http_res *res, void (*gone)(void *arg), void (*drained)(void *arg), void *arg) {
  res->gone = gone, res->drained = drained, res->arg = arg;
}

static const aq_http_server_vt server_vt = {vt_respond, vt_begin, vt_write, vt_end, vt_cut, vt_watch};

/* ---- requests ---- */

static void res_release(aq_http_res *res) {
  aq_list_remove(&res->node);
  aq_buf_free(&res->body);
  aq_buf_free(&res->out);
  free(res->header);
  free(res->text);
  free(res);
}

/* Percent-decodes a path; an escaped 0 would cut it short and is refused like a bad escape. */
static bool decode_path(char *out, const char *raw) {
  while (*raw) {
    uint8_t byte = (uint8_t)*raw++;
    if (byte == '%') {
      if (!raw[0] || aq_hex_decode(&byte, 1, aq_bytes_of(raw, raw[1] ? 2 : 1), AQ_HEX_BARE) != AQ_OK) return false;
      raw += 2;
    }
    if (byte == 0) return false;
    *out++ = (char)byte;
  }
  *out = 0;
  return true;
}

/* libmicrohttpd shows the request target undecoded only here, before the head is parsed further. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *mc) {
  aq_http_server *s = cls;
  aq_http_res *res = calloc(1, sizeof *res);
  size_t len = strlen(target);
  char *text = malloc(2 * len + 4);
  if (!res || !text) {
    free(res), free(text);
    return NULL;
  }
  const char *rest = target, *host = strstr(target, "://");
  if (*target != '/' && host) rest = strchr(host + 3, '/'); /* absolute form */
  snprintf(text, len + 2, "%s", rest ? rest : "/");
  char *query = strchr(text, '?');
  if (query) *query++ = 0;
  res->server = s, res->mc = mc, res->text = text;
  res->req.raw_path = text, res->req.query = query ? query : "";
  res->req.path = text + len + 2;
  res->cut = !decode_path(text + len + 2, text) || (*text != '/' && strcmp(text, "*") != 0);
  aq_buf_init(&res->out, OUT_MAX);
  aq_list_push(&s->requests, &res->node);
  return res;
}

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value) {
  (void)kind, (void)name, (void)value;
  ++*(size_t *)cls;
  return MHD_YES;
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value) {
  (void)kind;
  aq_http_res *res = cls;
  res->header[res->req.headers.cnt++] = (aq_http_header){name, value ? value : ""};
  return MHD_YES;
}

static bool take_headers(aq_http_res *res) {
  size_t cnt = 0;
  MHD_get_connection_values(res->mc, MHD_HEADER_KIND, count_header, &cnt);
  res->header = calloc(cnt + 1, sizeof *res->header);
  if (!res->header) return false;
  MHD_get_connection_values(res->mc, MHD_HEADER_KIND, take_header, res);
  res->req.headers.item = res->header;
  return true;
}

static enum MHD_Result queue_answer(aq_http_res *res) {
  res->state = STATE_QUEUED;
  return MHD_queue_response(res->mc, (unsigned)res->code, res->response);
}

static enum MHD_Result refuse(aq_http_res *res, int code, const char *text) {
  const aq_http_header type = {"Content-Type", "text/plain; charset=utf-8"};
  res->ended = true;
  set_answer(res, code, &(aq_http_headers){&type, 1}, aq_bytes_str(text));
  return queue_answer(res);
}

static enum MHD_Result on_head(aq_http_res *res, const char *method) {
  aq_http_server *s = res->server;
  res->client = MHD_get_connection_info(res->mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
  res->client->by_ns = aq_mono_ns(s->env) + AQ_SECONDS(BODY_LIMIT_S);
  res->req.method = method;
  res->req.client = res->client->addr;
  res->state = STATE_BODY;
  if (!take_headers(res)) return MHD_NO;
  if (res->cut) return refuse(res, 400, "bad request target\n");
  size_t max = s->handler.body_max(s->handler.arg, method, res->req.path);
  const char *length = aq_http_header_get(&res->req.headers, "Content-Length");
  uint64_t announced = 0;
  if (length && aq_u64_parse(&announced, aq_bytes_str(length)) != AQ_OK) announced = UINT64_MAX;
  if (announced > max && (announced > DISCARD_MAX || aq_http_header_get(&res->req.headers, "Expect"))) {
    return refuse(res, 413, "request body too large\n");
  }
  res->too_large = announced > max;
  aq_buf_init(&res->body, max);
  return MHD_YES;
}

static enum MHD_Result on_body(aq_http_res *res, const char *data, size_t len) {
  if (!res->too_large) {
    aq_buf_put(&res->body, data, len);
    if (!res->body.failed) return MHD_YES;
    res->too_large = true;
    aq_buf_free(&res->body);
  }
  res->discarded += len; /* an answer can only follow the end of the body */
  return res->discarded <= DISCARD_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result on_whole(aq_http_res *res) {
  aq_http_server *s = res->server;
  res->state = STATE_HANDLED;
  res->client->by_ns = 0;
  if (res->too_large) return refuse(res, 413, "request body too large\n");
  res->req.body = aq_buf_bytes(&res->body);
  s->handler.handle(s->handler.arg, &res->req, res, &server_vt);
  if (res->response) return queue_answer(res);
  suspend(res);
  return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mc, const char *url, const char *method,
                                  const char *version, const char *data, size_t *len, void **ctx) {
  (void)mc, (void)url, (void)version;
  aq_http_res *res = *ctx;
  if (!res || ((aq_http_server *)cls)->stopping) return MHD_NO;
  if (res->state == STATE_HEAD) return on_head(res, method);
  if (res->state == STATE_QUEUED) return MHD_YES;
  if (res->cut) return MHD_NO;
  if (*len > 0) {
    size_t got = *len;
    *len = 0;
    return on_body(res, data, got);
  }
  if (res->state == STATE_BODY) return on_whole(res);
  return res->response ? queue_answer(res) : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *mc, void **ctx, enum MHD_RequestTerminationCode why) {
  (void)mc;
  aq_http_server *s = cls;
  aq_http_res *res = *ctx;
  if (!res) return;
  *ctx = NULL;
  if (res->client) res->client->by_ns = aq_mono_ns(s->env) + AQ_SECONDS(s->idle_timeout_s);
  stop_leave_watch(res);
  res->mc = NULL, res->suspended = false;
  if (res->response) MHD_destroy_response(res->response);
  if (res->sink && !res->ended && why == MHD_REQUEST_TERMINATED_COMPLETED_OK) return; /* until end */
  if (res->state >= STATE_HANDLED) tell_gone(res);
  res_release(res);
}

static void read_addr(client *c) {
  struct sockaddr_storage peer = {0};
  socklen_t len = sizeof peer;
  if (getpeername(c->fd, (struct sockaddr *)&peer, &len) != 0) return;
  if (uv_ip_name((struct sockaddr *)&peer, c->addr, sizeof c->addr) != 0) c->addr[0] = 0;
}

static void on_connection(void *cls, struct MHD_Connection *mc, void **ctx, enum MHD_ConnectionNotificationCode code) {
  aq_http_server *s = cls;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    client *c = calloc(1, sizeof *c);
    AQ_ASSERT(c);
    c->fd = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    read_addr(c);
    c->by_ns = aq_mono_ns(s->env) + AQ_SECONDS(HEAD_LIMIT_S);
    aq_list_push(&s->clients, &c->node);
    s->client_cnt++;
    *ctx = c;
    return;
  }
  client *c = *ctx;
  aq_list_remove(&c->node);
  s->client_cnt--;
  free(c);
}

/* ---- object ---- */

static aq_status listen_on(int *fd_out, const aq_http_server_cfg *cfg, aq_err *err) {
  char service[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *addrs = NULL;
  snprintf(service, sizeof service, "%u", cfg->port);
  int rc = getaddrinfo(cfg->host, service, &hints, &addrs), one = 1; /* at start only: may wait */
  if (rc != 0) return aq_fail(err, AQ_E_IO, "cannot listen on %s:%u: %s", cfg->host, cfg->port, gai_strerror(rc));
  int fd = socket(addrs->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(fd, addrs->ai_addr, addrs->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
  int why = errno;
  freeaddrinfo(addrs);
  if (good) {
    *fd_out = fd;
    return AQ_OK;
  }
  if (fd >= 0) close(fd);
  return aq_fail(err, AQ_E_IO, "cannot listen on %s:%u: %s", cfg->host, cfg->port, strerror(why));
}

static uint16_t port_of(int fd) {
  struct sockaddr_in6 addr = {0};
  socklen_t len = sizeof addr;
  _Static_assert(offsetof(struct sockaddr_in6, sin6_port) == offsetof(struct sockaddr_in, sin_port), "one place");
  if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0) return 0;
  return ntohs(addr.sin6_port);
}

aq_status aq_http_server_new(aq_http_server **out, aq_loop *l, const aq_http_server_cfg *cfg, const aq_http_handler *h,
                             aq_err *err) {
  int fd = -1;
  aq_status st = listen_on(&fd, cfg, err);
  if (st != AQ_OK) return st;
  aq_http_server *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  s->loop = l, s->env = aq_loop_env(l), s->handler = *h, s->idle_timeout_s = cfg->idle_timeout_s;
  s->conns_max = cfg->conns_max;
  s->port = port_of(fd);
  aq_list_init(&s->clients), aq_list_init(&s->requests);
  s->daemon =
      MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET,
                       fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)cfg->conns_max, MHD_OPTION_CONNECTION_TIMEOUT,
                       (unsigned)cfg->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONN_MEMORY,
                       MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
                       MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
  if (!s->daemon) {
    close(fd);
    free(s);
    return aq_fail(err, AQ_E_IO, "cannot start the HTTP server of %s:%u", cfg->host, cfg->port);
  }
  int epoll_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  AQ_ASSERT(uv_poll_init(aq_loop_uv(l), &s->poll, epoll_fd) == 0);
  AQ_ASSERT(uv_timer_init(aq_loop_uv(l), &s->again) == 0);
  AQ_ASSERT(uv_timer_init(aq_loop_uv(l), &s->sweep) == 0);
  s->poll.data = s->again.data = s->sweep.data = s;
  AQ_ASSERT(uv_poll_start(&s->poll, UV_READABLE, on_poll) == 0);
  AQ_ASSERT(uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS) == 0);
  run(s); /* registers the listening socket */
  *out = s;
  return AQ_OK;
}

uint16_t aq_http_server_port(const aq_http_server *s) { return s->port; }

static void on_handle_closed(uv_handle_t *h) {
  aq_http_server *s = h->data;
  if (--s->handles == 0) free(s);
}

static bool tell_one_gone(aq_http_server *s) {
  AQ_LIST_EACH(&s->requests, res, aq_http_res, node) {
    if (res->state < STATE_HANDLED || res->ended || res->dead) continue;
    tell_gone(res);
    return true;
  }
  return false;
}

void aq_http_server_free(aq_http_server *s) {
  if (!s) return;
  s->stopping = true;
  while (tell_one_gone(s)) continue; /* each may end others */
  AQ_LIST_EACH(&s->requests, res, aq_http_res, node) {
    res->cut = true;
    if (res->mc)
      resume(res);
    else
      res_release(res); /* an answer to HEAD that its source had not ended */
  }
  uv_poll_stop(&s->poll);
  MHD_run(s->daemon); /* a daemon with suspended connections cannot be stopped */
  MHD_stop_daemon(s->daemon);
  s->handles = 3;
  uv_close((uv_handle_t *)&s->poll, on_handle_closed);
  uv_close((uv_handle_t *)&s->again, on_handle_closed);
  uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
}
