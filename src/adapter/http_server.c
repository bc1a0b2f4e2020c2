/* An own server on libuv's polls: a library's gives no say over which connection is read, how much of it a turn, and
   which must go (docs/decisions/009). Bytes become requests in http_parse.c, by llhttp, and answers bytes in
   http_answer.c; here are sockets, limits and the order of events.

   A turn of the loop reads at most READ_MAX and writes at most SEND_MAX bytes of each connection, hands over at most
   one request of it, and then looks at the others. */
#include "adapter/adapters.h"
#include "adapter/http_answer.h"
#include "adapter/http_parse.h"
#include "adapter/listen.h"
#include "base/assert.h"
#include "base/hex.h"
#include "base/list.h"
#include "http/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  READ_MAX = 16 * 1024,
  SEND_MAX = 64 * 1024,
  HEAD_LIMIT_S = 10, /* for a whole head, from its first byte or from the connect: slow senders */
  BODY_LIMIT_S = 60, /* for a whole body */
  LINGER_S = 2,      /* for the client to read a last answer before the connection ends */
  YIELD_S = 5,       /* a body or an answer under way for so long gives way to new connections */
  SWEEP_MS = 1000,
  OUT_HIGH = 1 << 20, /* port/http.h: write returns false over it */
  OUT_LOW = 64 * 1024,
  OUT_MAX = 16 << 20,    /* a stream's source that ignores it is cut */
  DISCARD_MAX = 8 << 20, /* of a body that was refused, so that the client gets to read why */
  RETRY_AFTER_S = 1,
};

/* Memory of all requests and answers, with docs/decisions/006. Each connection has SHARE_MAX: a head, and the small
   bodies and answers of duties. What is larger comes out of one pot for the whole server, which holds one block of
   the largest size that a route takes; when it is empty, what has drawn on it for longest gives way, so that large
   requests that dawdle never keep out one that comes in time. 256 connections: 80 MiB at most. */
enum { SHARE_MAX = 64 * 1024, POT_MAX = 64 << 20 };

typedef enum {
  CONN_HEAD, /* waits for a request or its head */
  CONN_BODY,
  CONN_HANDLED,  /* the core has it */
  CONN_ANSWERED, /* the answer is whole, its rest is being sent */
  CONN_LINGER,   /* no more is sent; what comes is dropped */
  CONN_CLOSED
} conn_state;

typedef struct {
  aq_list node; /* in aq_http_server.conns, until it is closed */
  aq_http_server *server;
  uv_poll_t poll;
  int fd, events;
  char addr[INET6_ADDRSTRLEN]; /* the client's */
  conn_state state;
  bool close;        /* after this answer */
  bool doomed;       /* cut: to be closed outside of the core's calls */
  uint64_t since_ns; /* when the state began */
  uint64_t by_ns;    /* monotonic: it must have gone on by then */
  aq_buf in, out;    /* in: what the parser has not taken */
  size_t sent;       /* of out */
  aq_http_parse parse;
  aq_http_res *res;
  size_t discarded;
  size_t held, drawn; /* bytes in memory, and of them out of the pot */
  uint64_t drawn_ns;  /* when it began to draw */
} conn;

struct aq_http_res {
  conn *conn;
  char *path; /* decoded */
  size_t path_len;
  aq_http_header *header;
  aq_http_req req;
  aq_buf body;
  bool old;   /* HTTP/1.0 */
  bool begun; /* a streamed answer */
  bool bare, chunks;
  bool sized;    /* by a length that the core named: */
  uint64_t left; /* of it */
  bool ended;    /* the core made its last call; freed in the next turn: until then the core may read the request */
  bool dead;     /* the core was told that the client left */
  bool full;
  void (*gone)(void *arg);
  void (*drained)(void *arg);
  void *arg;
};

struct aq_http_server {
  aq_loop *loop;
  const aq_env *env;
  aq_http_handler handler;
  aq_listen *listener;
  uv_timer_t sweep; /* monotonic: time limits do not care about the wall clock */
  uv_timer_t soon;  /* closes the doomed */
  unsigned handles;
  aq_list conns;
  size_t conn_cnt, held, pot;
  uint32_t idle_timeout_s, conns_max;
  bool stopping;
};

/* ---- connections: ends ---- */

static void handle_closed(aq_http_server *s) {
  if (--s->handles == 0) free(s);
}

static void on_server_handle_closed(uv_handle_t *h) { handle_closed(h->data); }

static void res_free(conn *c) {
  aq_http_res *res = c->res;
  aq_http_parse_reset(&c->parse);
  if (!res) return;
  c->res = NULL;
  aq_buf_free(&res->body);
  free(res->header);
  free(res->path);
  free(res);
}

static void on_conn_closed(uv_handle_t *h) {
  conn *c = AQ_CONTAINER(h, conn, poll);
  aq_http_server *s = c->server;
  res_free(c);
  free(c);
  handle_closed(s);
}

static void account(conn *c) {
  aq_http_server *s = c->server;
  size_t held = c->in.len + c->out.len + c->parse.text.len + (c->res ? c->res->body.len + c->res->path_len : 0);
  if (c->state == CONN_CLOSED) held = 0;
  size_t drawn = held > SHARE_MAX ? held - SHARE_MAX : 0;
  if (c->drawn == 0 && drawn > 0) c->drawn_ns = aq_mono_ns(s->env);
  s->held += held - c->held, s->pot += drawn - c->drawn;
  c->held = held, c->drawn = drawn;
}

/* One may have ended, or can give way now. */
static void watch_listener(aq_http_server *s) {
  if (!s->stopping) aq_listen_resume(s->listener);
}

/* Of half an answer: the client must not take it for the whole, where the connection's end means that, whoever ends
   it. The memory lives until libuv lets go of the handle: callers up the stack may still look at it. */
static void conn_close(conn *c) {
  aq_http_server *s = c->server;
  if (c->state == CONN_CLOSED) return;
  bool reset = c->doomed || c->state == CONN_HANDLED || c->out.len > c->sent;
  c->state = CONN_CLOSED;
  const struct linger now = {1, 0};
  if (reset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  aq_list_remove(&c->node);
  s->conn_cnt--;
  uv_close((uv_handle_t *)&c->poll, on_conn_closed);
  close(c->fd);
  aq_buf_free(&c->in), aq_buf_free(&c->out);
  account(c);
  watch_listener(s);
}

/* The client left, or has to. */
static void drop(conn *c) {
  aq_http_res *res = c->state == CONN_HANDLED ? c->res : NULL;
  if (res && !res->ended && !res->dead) {
    res->dead = true;
    if (res->gone) res->gone(res->arg);
  }
  conn_close(c);
}

static void on_soon(uv_timer_t *h) {
  aq_http_server *s = h->data;
  for (bool again = true; again;) { /* the core may doom others meanwhile */
    again = false;
    AQ_LIST_EACH(&s->conns, c, conn, node) {
      if (!c->doomed) continue;
      drop(c);
      again = true;
      break;
    }
  }
}

/* Ends a connection from inside of a call of the core, which must not hear `gone` there. */
static void doom(conn *c) {
  c->doomed = true;
  aq_buf_free(&c->out), c->sent = 0;
  account(c);
  uv_timer_start(&c->server->soon, on_soon, 0, 0);
}

/* ---- connections: states ---- */

static void on_poll(uv_poll_t *h, int status, int events);

static void watch(conn *c) {
  static const int wanted[] = {[CONN_HEAD] = UV_READABLE,
                               [CONN_BODY] = UV_READABLE,
                               [CONN_HANDLED] = UV_DISCONNECT,
                               [CONN_ANSWERED] = UV_WRITABLE,
                               [CONN_LINGER] = UV_READABLE};
  if (c->state == CONN_CLOSED) return;
  int events = wanted[c->state] | (c->out.len > c->sent ? UV_WRITABLE : 0);
  if (events == c->events) return;
  c->events = events;
  AQ_MUST(uv_poll_start(&c->poll, events, on_poll) == 0);
}

static void enter(conn *c, conn_state state, uint64_t limit_s) {
  c->state = state;
  c->since_ns = aq_mono_ns(c->server->env);
  c->by_ns = limit_s ? c->since_ns + AQ_SECONDS(limit_s) : AQ_NEVER;
}

static const char *refusal(int code) {
  switch (code) {
    case 413: return "request body too large\n";
    case 414: return "request target too long: 32 KiB at most\n";
    case 417: return "the only expectation known is 100-continue\n";
    case 431: return "request head too large: 32 KiB and 100 lines at most\n";
    case 501: return "unknown method\n";
    case 505: return "HTTP/1.0 or 1.1, please\n";
    default: return "bad request\n";
  }
}

/* A whole answer of the server's own, also in the middle of a request that no core has seen. The rest of that may be
   anything: the connection ends. */
static void refuse(conn *c, int code) {
  const char *text = refusal(code);
  char retry[16];
  snprintf(retry, sizeof retry, "%d", RETRY_AFTER_S);
  const aq_http_header h[] = {{"Content-Type", "text/plain; charset=utf-8"}, {"Retry-After", retry}};
  bool bare = aq_http_bare(aq_http_parse_method(&c->parse), code);
  const aq_http_answer a = {.code = code,
                            .framing = AQ_HTTP_LENGTH,
                            .length = strlen(text),
                            .close = true,
                            .now_ns = aq_now_ns(c->server->env)};
  aq_http_answer_head(&c->out, &a, &(aq_http_headers){h, code == 503 ? 2 : 1});
  if (!bare) aq_buf_put_str(&c->out, text);
  c->close = true;
  if (c->state == CONN_HANDLED)
    c->res->ended = true;
  else
    res_free(c);
  aq_buf_free(&c->in);
  enter(c, CONN_ANSWERED, HEAD_LIMIT_S);
  if (c->out.failed) doom(c);
  account(c);
  watch(c);
}

/* Who draws on the pot and waits for its client, for the longest time; not c. */
static conn *slowest_drawer(const conn *c) {
  conn *found = NULL;
  AQ_LIST_EACH(&c->server->conns, it, conn, node) {
    bool waits = it->state == CONN_BODY || it->state == CONN_ANSWERED || (it->state == CONN_HANDLED && it->out.len > 0);
    if (it == c || it->drawn == 0 || it->doomed || !waits) continue;
    if (!found || it->drawn_ns < found->drawn_ns) found = it;
  }
  return found;
}

/* False: even with all others out of the way there is no room for so many bytes more. */
static bool make_room(conn *c, size_t more) {
  aq_http_server *s = c->server;
  for (;;) {
    size_t after = c->held + more, drawn = after > SHARE_MAX ? after - SHARE_MAX : 0;
    if (drawn == 0 || s->pot - c->drawn + drawn <= POT_MAX) return true;
    conn *other = slowest_drawer(c);
    if (!other) return false;
    if (other->state == CONN_BODY)
      refuse(other, 503);
    else
      doom(other);
  }
}

/* ---- the core's side ---- */

static void answered(conn *c) {
  c->res->ended = true;
  enter(c, CONN_ANSWERED, c->server->idle_timeout_s);
  account(c);
  watch(c);
}

static void vt_cut(aq_http_res *res) {
  AQ_ASSERT(!res->ended && !res->dead);
  res->ended = true;
  doom(res->conn);
}

static void vt_respond(aq_http_res *res, int code, const aq_http_headers *h, aq_bytes body) {
  AQ_ASSERT(!res->ended && !res->dead);
  conn *c = res->conn;
  if (res->begun || c->doomed) {
    vt_cut(res);
    return;
  }
  if (!make_room(c, body.len)) {
    refuse(c, 503);
    return;
  }
  bool bare = aq_http_bare(res->req.method, code);
  aq_http_answer a = {.code = code,
                      .framing = AQ_HTTP_LENGTH,
                      .length = body.len,
                      .close = c->close,
                      .now_ns = aq_now_ns(c->server->env)};
  if (code == 204 || code == 304 || (bare && body.len == 0)) a.framing = AQ_HTTP_BARE; /* GET's length is not known */
  c->out.max = POT_MAX + SHARE_MAX;
  aq_http_answer_head(&c->out, &a, h);
  if (!bare) aq_buf_put_bytes(&c->out, body);
  if (c->out.failed) {
    vt_cut(res);
    return;
  }
  answered(c);
}

/* A length spares clients the chunks, which older ones take for a broken connection. */
static aq_http_framing stream_framing(aq_http_res *res, int code, const aq_http_headers *h) {
  const char *length = h ? aq_http_header_get(h, "Content-Length") : NULL;
  if (aq_http_bare(res->req.method, code)) return AQ_HTTP_BARE;
  if (length && aq_u64_parse(&res->left, aq_bytes_str(length)) == AQ_OK) return AQ_HTTP_LENGTH;
  return res->old ? AQ_HTTP_CLOSE : AQ_HTTP_CHUNKS;
}

static void vt_begin(aq_http_res *res, int code, const aq_http_headers *h) {
  AQ_ASSERT(!res->ended && !res->dead);
  conn *c = res->conn;
  if (res->begun) doom(c);
  if (c->doomed) return;
  const aq_http_framing framing = stream_framing(res, code, h);
  res->begun = true, res->bare = framing == AQ_HTTP_BARE, res->chunks = framing == AQ_HTTP_CHUNKS;
  res->sized = framing == AQ_HTTP_LENGTH;
  c->close = c->close || framing == AQ_HTTP_CLOSE;
  const aq_http_answer a = {
      .code = code, .framing = framing, .length = res->left, .close = c->close, .now_ns = aq_now_ns(c->server->env)};
  c->out.max = OUT_MAX;
  aq_http_answer_head(&c->out, &a, h);
  if (c->out.failed) doom(c);
  c->by_ns = aq_mono_ns(c->server->env) + AQ_SECONDS(c->server->idle_timeout_s);
  account(c);
  watch(c);
}

static bool vt_write(aq_http_res *res, aq_bytes chunk) {
  AQ_ASSERT(!res->ended && !res->dead);
  conn *c = res->conn;
  if (!res->begun) doom(c);
  if (c->doomed || res->bare || chunk.len == 0) return true;
  if ((res->sized && chunk.len > res->left) || !make_room(c, chunk.len)) {
    doom(c);
    return true;
  }
  if (res->sized) res->left -= chunk.len;
  if (c->out.len == 0) c->by_ns = aq_mono_ns(c->server->env) + AQ_SECONDS(c->server->idle_timeout_s);
  if (res->chunks) aq_buf_printf(&c->out, "%zx\r\n", chunk.len);
  aq_buf_put_bytes(&c->out, chunk);
  if (res->chunks) aq_buf_put_str(&c->out, "\r\n");
  if (c->out.failed) {
    doom(c);
    return true;
  }
  account(c);
  size_t waits = c->out.len - c->sent;
  res->full = res->full || waits > OUT_HIGH || (waits > OUT_LOW && c->server->pot > POT_MAX / 2);
  watch(c);
  return !res->full;
}

static void vt_end(aq_http_res *res) {
  AQ_ASSERT(!res->ended && !res->dead);
  conn *c = res->conn;
  if (res->chunks) aq_buf_put_str(&c->out, "0\r\n\r\n");
  if (!res->begun || c->doomed || c->out.failed || (res->sized && res->left > 0))
    vt_cut(res);
  else
    answered(c);
}

static void vt_watch(aq_http_res *res, void (*gone)(void *arg), void (*drained)(void *arg), void *arg) {
  res->gone = gone, res->drained = drained, res->arg = arg;
}

static const aq_http_server_vt server_vt = {vt_respond, vt_begin, vt_write, vt_end, vt_cut, vt_watch};

/* ---- requests ---- */

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

/* Splits the target, in the head's text. */
static bool take_target(aq_http_res *res, char *target) {
  size_t scheme = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
  if (scheme) { /* absolute form */
    target += scheme + strcspn(target + scheme, "/?");
    if (*target != '/') *--target = '/'; /* over the host's end */
  }
  char *query = strchr(target, '?');
  if (query) *query++ = 0;
  res->req.raw_path = target, res->req.query = query ? query : "", res->req.path = res->path;
  return (*target == '/' || strcmp(target, "*") == 0) && decode_path(res->path, target);
}

/* False: the system has no memory. */
static bool res_new(conn *c, const aq_http_head *head) {
  aq_http_res *res = calloc(1, sizeof *res);
  size_t len = strlen(head->target) + 1;
  char *path = calloc(1, len);
  if (!res || !path) {
    free(res), free(path);
    return false;
  }
  res->conn = c, res->path = path, res->path_len = len, res->old = head->old;
  res->req.method = head->method, res->req.client = *c->addr ? c->addr : NULL;
  c->res = res, c->close = head->close;
  return true;
}

static bool take_headers(aq_http_res *res, const aq_http_head *head) {
  res->header = calloc(head->header_cnt + 1, sizeof *res->header);
  if (!res->header) return false;
  memcpy(res->header, head->header, head->header_cnt * sizeof *res->header);
  res->req.headers = (aq_http_headers){res->header, head->header_cnt};
  return true;
}

static void take_head(conn *c) {
  aq_http_server *s = c->server;
  aq_http_head head;
  int code = aq_http_parse_head(&head, &c->parse);
  if (code == 0 && !res_new(c, &head)) code = 503;
  aq_http_res *res = c->res;
  if (code == 0 && !take_target(res, (char *)(uintptr_t)head.target)) code = 400;
  if (code == 0 && !take_headers(res, &head)) code = 503;
  size_t max = code == 0 ? s->handler.body_max(s->handler.arg, head.method, res->req.path) : 0;
  if (code == 0 && head.length > max) code = 413;
  if (code) {
    refuse(c, code);
    return;
  }
  aq_buf_init(&res->body, max);
  if (head.expects) aq_buf_put_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
  enter(c, CONN_BODY, BODY_LIMIT_S);
}

static void hand_over(conn *c) {
  aq_http_server *s = c->server;
  enter(c, CONN_HANDLED, 0);
  c->res->req.body = aq_buf_bytes(&c->res->body);
  s->handler.handle(s->handler.arg, &c->res->req, c->res, &server_vt);
}

/* What has arrived is kept, not what was announced. */
static void take_data(conn *c, aq_bytes data) {
  aq_buf *body = &c->res->body;
  int code = 0;
  if (data.len > body->max - body->len)
    code = 413;
  else if (!make_room(c, data.len))
    code = 503;
  else
    aq_buf_put_bytes(body, data);
  if (code || body->failed) refuse(c, code ? code : 503);
  account(c);
}

/* As far as the bytes go that are here, but one request at most. */
static void take_request(conn *c) {
  aq_bytes in = aq_buf_bytes(&c->in), data;
  aq_http_step step;
  do {
    step = aq_http_parse_next(&c->parse, &in, &data);
    if (step == AQ_HTTP_HEAD) take_head(c);
    if (step == AQ_HTTP_DATA) take_data(c, data);
    if (step == AQ_HTTP_BAD) refuse(c, c->parse.refuse);
    if (c->state != CONN_HEAD && c->state != CONN_BODY) return; /* refused */
  } while (step != AQ_HTTP_MORE && step != AQ_HTTP_END);
  if (in.len == 0)
    aq_buf_free(&c->in);
  else
    aq_buf_drop_front(&c->in, c->in.len - in.len);
  account(c);
  if (step == AQ_HTTP_END) hand_over(c);
}

/* ---- sockets ---- */

static void answer_sent(conn *c) {
  res_free(c);
  account(c);
  if (c->close) {
    shutdown(c->fd, SHUT_WR);
    enter(c, CONN_LINGER, LINGER_S);
    aq_buf_free(&c->in);
    return;
  }
  enter(c, CONN_HEAD, c->in.len ? HEAD_LIMIT_S : c->server->idle_timeout_s);
  watch_listener(c->server);
}

static void flush(conn *c) {
  size_t left = c->out.len - c->sent;
  if (left > 0) {
    ssize_t n = send(c->fd, c->out.ptr + c->sent, left < SEND_MAX ? left : SEND_MAX, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
      drop(c);
      return;
    }
    c->sent += (size_t)n, left -= (size_t)n;
    if (c->state != CONN_BODY) c->by_ns = aq_mono_ns(c->server->env) + AQ_SECONDS(c->server->idle_timeout_s);
  }
  if (left == 0) {
    aq_buf_free(&c->out), c->sent = 0;
    if (c->state == CONN_HANDLED) c->by_ns = AQ_NEVER; /* it waits for the core */
  } else if (c->sent > c->out.len / 2) {
    aq_buf_drop_front(&c->out, c->sent), c->sent = 0;
  }
  account(c);
  if (c->state == CONN_ANSWERED && left == 0) answer_sent(c);
  if (c->state == CONN_HANDLED && c->res->full && left <= OUT_LOW) {
    c->res->full = false;
    if (c->res->drained) c->res->drained(c->res->arg);
  }
}

static void fill(conn *c) {
  uint8_t piece[READ_MAX];
  ssize_t n = recv(c->fd, piece, sizeof piece, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    drop(c);
    return;
  }
  if (c->state == CONN_LINGER) {
    c->discarded += (size_t)n;
    if (c->discarded > DISCARD_MAX) drop(c);
    return;
  }
  if (c->state == CONN_HEAD && !aq_http_parse_begun(&c->parse)) enter(c, CONN_HEAD, HEAD_LIMIT_S);
  aq_buf_put(&c->in, piece, (size_t)n);
  account(c);
  if (c->in.failed) drop(c);
}

static void on_poll(uv_poll_t *h, int status, int events) {
  conn *c = AQ_CONTAINER(h, conn, poll);
  if (c->doomed || status < 0 || (c->state == CONN_HANDLED && events & UV_DISCONNECT)) {
    drop(c);
    return;
  }
  if (c->res && c->res->ended) res_free(c), account(c);
  if (events & UV_WRITABLE) flush(c);
  if (events & UV_READABLE && (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_LINGER)) fill(c);
  if (c->in.len > 0 && (c->state == CONN_HEAD || c->state == CONN_BODY)) take_request(c);
  watch(c);
}

/* ---- places ---- */

static bool is_loopback(const char *addr) {
  return strcmp(addr, "127.0.0.1") == 0 || strcmp(addr, "::1") == 0 || strcmp(addr, "::ffff:127.0.0.1") == 0;
}

/* Who can be closed for a newcomer, lowest first: waits for its end, between two requests, within a head, within a
   body or an answer that take long. Never a request that the core has. 0: not at all. */
static int readiness(const conn *c, uint64_t now) {
  bool slow = now - c->since_ns >= AQ_SECONDS(YIELD_S);
  if (c->doomed || c->state == CONN_LINGER) return 1;
  if (c->state == CONN_HEAD) return aq_http_parse_begun(&c->parse) ? 3 : 2;
  return slow && (c->state == CONN_BODY || c->state == CONN_ANSWERED) ? 4 : 0;
}

/* Of them the one that has been so for longest; addr: of that client's only, NULL: any. */
static conn *most_idle(aq_http_server *s, const char *addr) {
  uint64_t now = aq_mono_ns(s->env);
  conn *found = NULL;
  int best = 0;
  AQ_LIST_EACH(&s->conns, c, conn, node) {
    int rank = readiness(c, now);
    if (rank == 0 || (addr && strcmp(addr, c->addr) != 0)) continue;
    if (found && (rank > best || (rank == best && c->since_ns >= found->since_ns))) continue;
    found = c, best = rank;
  }
  return found;
}

/* One client may have three quarters of the places; 127.0.0.1 and ::1 are many programs and have all. */
static bool has_place(aq_http_server *s, const char *addr) {
  size_t cnt = 0;
  AQ_LIST_EACH(&s->conns, c, conn, node) { cnt += strcmp(c->addr, addr) == 0; }
  if (is_loopback(addr) || cnt < (s->conns_max * 3 + 3) / 4) return true;
  conn *own = most_idle(s, addr);
  if (own) drop(own);
  return own != NULL;
}

static bool on_room(void *arg) {
  aq_http_server *s = arg;
  return s->conn_cnt < s->conns_max || most_idle(s, NULL);
}

static void take_connection(void *arg, int fd, const struct sockaddr_storage *from) {
  aq_http_server *s = arg;
  static const char busy[] =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
      "Connection: close\r\n\r\n";
  char addr[INET6_ADDRSTRLEN];
  if (uv_ip_name((const struct sockaddr *)from, addr, sizeof addr) != 0) addr[0] = 0;
  if (!has_place(s, addr)) {
    (void)!send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL);
    close(fd);
    return;
  }
  conn *c = calloc(1, sizeof *c);
  int one = 1;
  if (!c || uv_poll_init_socket(aq_loop_uv(s->loop), &c->poll, fd) != 0) {
    free(c);
    close(fd);
    return;
  }
  if (s->conn_cnt >= s->conns_max) drop(most_idle(s, NULL)); /* on_room has seen that there is one */
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one); /* event streams to a machine that vanished */
  c->server = s, c->fd = fd;
  memcpy(c->addr, addr, sizeof addr);
  aq_buf_init(&c->in, 2 * READ_MAX);
  aq_http_parse_init(&c->parse);
  aq_buf_init(&c->out, OUT_MAX);
  aq_list_push(&s->conns, &c->node);
  s->conn_cnt++, s->handles++;
  enter(c, CONN_HEAD, HEAD_LIMIT_S);
  watch(c);
}

static void on_sweep(uv_timer_t *h) {
  aq_http_server *s = h->data;
  uint64_t now = aq_mono_ns(s->env);
  AQ_LIST_EACH(&s->conns, c, conn, node) {
    if (now > c->by_ns) drop(c);
  }
  watch_listener(s);
}

/* ---- object ---- */

aq_status aq_http_server_new(aq_http_server **out, aq_loop *l, const aq_http_server_cfg *cfg, const aq_http_handler *h,
                             aq_err *err) {
  aq_http_server *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  aq_status st =
      aq_listen_new(&s->listener, l, cfg->host, cfg->port, &(aq_listen_cb){s, on_room, take_connection}, err);
  if (st != AQ_OK) {
    free(s);
    return st;
  }
  s->loop = l, s->env = aq_loop_env(l), s->handler = *h;
  s->idle_timeout_s = cfg->idle_timeout_s, s->conns_max = cfg->conns_max;
  aq_list_init(&s->conns);
  AQ_MUST(uv_timer_init(aq_loop_uv(l), &s->sweep) == 0);
  AQ_MUST(uv_timer_init(aq_loop_uv(l), &s->soon) == 0);
  s->sweep.data = s->soon.data = s;
  s->handles = 2;
  AQ_MUST(uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS) == 0);
  *out = s;
  return AQ_OK;
}

uint16_t aq_http_server_port(const aq_http_server *s) { return aq_listen_port(s->listener); }

size_t aq_http_server_held(const aq_http_server *s) { return s->held; }

void aq_http_server_free(aq_http_server *s) {
  if (!s) return;
  s->stopping = true;
  AQ_LIST_EACH(&s->conns, c, conn, node) { drop(c); }
  aq_listen_free(s->listener);
  uv_close((uv_handle_t *)&s->sweep, on_server_handle_closed);
  uv_close((uv_handle_t *)&s->soon, on_server_handle_closed);
}
