/* Connections over libuv: a dial tries its addresses in turn, a socket is read once a turn, what waits to be written
   is bounded. */
#include "adapter/adapters.h"
#include "adapter/listen.h"
#include "base/assert.h"
#include "base/map.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

enum {
  CONNS_MAX = 1024,
  LISTENERS_MAX = 8,
  KEEPALIVE_S = 30,
  READ_CHUNK = 32 * 1024, /* shared: a read is handed on before the next one starts; and one is all in a turn */
};
#define CONNECT_LIMIT_NS AQ_SECONDS(5)
#define WAITING_MAX ((size_t)4 << 20) /* port/tcp.h: at most 4 MiB wait */

typedef enum { HOLD_NONE, HOLD_RESOLVE, HOLD_HANDLE } hold;

typedef struct {
  uv_tcp_t h;
  aq_uv_tcp *owner;
  uint64_t id;
  hold hold; /* what libuv keeps of this memory */
  bool open;
  bool dead;  /* no callback any more; freed when libuv lets go */
  bool retry; /* the handle is being closed to try the next address */
  bool short_write;
  uint64_t read_turn; /* the turn of the last read */
  aq_timer limit;
  uv_getaddrinfo_t resolve;
  uv_connect_t connect;
  uv_write_t write;
  struct sockaddr_storage literal;
  struct addrinfo *addrs, *next_addr;
  aq_buf pending, flying; /* flying belongs to the write request while it is not empty */
} conn;

struct aq_uv_tcp {
  aq_loop *loop;
  const aq_env *env;
  aq_tcp port;
  aq_tcp_events ev;
  aq_map conns;
  uint64_t next_id;
  aq_listen *listener[LISTENERS_MAX];
  size_t listener_cnt;
  size_t open_handles; /* the object outlives them */
  bool freed;
  uint8_t chunk[READ_CHUNK];
};

static void handle_gone(aq_uv_tcp *t) {
  t->open_handles--;
  if (t->freed && t->open_handles == 0) free(t);
}

/* ---- ends of a connection ---- */

static void try_next(conn *c);

static void conn_release(conn *c) {
  aq_uv_tcp *t = c->owner;
  if (c->addrs) uv_freeaddrinfo(c->addrs);
  aq_buf_free(&c->pending);
  aq_buf_free(&c->flying);
  free(c);
  handle_gone(t);
}

static void on_handle_closed(uv_handle_t *h) {
  conn *c = h->data;
  c->hold = HOLD_NONE;
  if (c->dead) {
    conn_release(c);
    return;
  }
  c->retry = false;
  try_next(c);
}

/* Takes the connection out of service: no callback follows. */
static void conn_kill(conn *c) {
  if (c->dead) return;
  c->dead = true;
  aq_timer_cancel(c->owner->env, &c->limit);
  aq_map_del(&c->owner->conns, &c->id);
  if (c->hold == HOLD_NONE)
    conn_release(c);
  else if (c->hold == HOLD_RESOLVE)
    uv_cancel((uv_req_t *)&c->resolve);
  else if (!c->retry)
    uv_close((uv_handle_t *)&c->h, on_handle_closed);
}

static void conn_closed(conn *c, aq_status st) {
  aq_uv_tcp *t = c->owner;
  uint64_t id = c->id;
  conn_kill(c);
  t->ev.closed(t->ev.arg, id, st);
}

static void dial_failed(conn *c, aq_status st) {
  aq_uv_tcp *t = c->owner;
  uint64_t id = c->id;
  conn_kill(c);
  t->ev.opened(t->ev.arg, id, st);
}

static void on_limit(void *arg) { dial_failed(arg, AQ_E_TIMEOUT); }
static void on_unreachable(void *arg) { dial_failed(arg, AQ_E_CLOSED); }
static void on_write_failed(void *arg) { conn_closed(arg, AQ_E_CLOSED); }

/* ---- reading ---- */

/* One read a turn: libuv would read a flooding stream 32 times before it looks at the others. Without a buffer it
   leaves the rest to the next poll. */
static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  conn *c = h->data;
  aq_uv_tcp *t = c->owner;
  uint64_t turn = aq_loop_turn(t->loop);
  bool again = c->read_turn == turn;
  c->read_turn = turn;
  *buf = again ? uv_buf_init(NULL, 0) : uv_buf_init((char *)t->chunk, sizeof t->chunk);
}

static void on_read(uv_stream_t *s, ssize_t len, const uv_buf_t *buf) {
  conn *c = s->data;
  aq_uv_tcp *t = c->owner;
  if (c->dead || len == UV_ENOBUFS) return;
  if (len < 0)
    conn_closed(c, len == UV_EOF || len == UV_ECONNRESET ? AQ_E_CLOSED : AQ_E_IO);
  else if (len > 0)
    t->ev.data(t->ev.arg, c->id, aq_bytes_of(buf->base, (size_t)len));
}

static void conn_opened(conn *c) {
  c->open = true;
  uv_tcp_nodelay(&c->h, 1);
  uv_tcp_keepalive(&c->h, 1, KEEPALIVE_S);
}

/* ---- writing ---- */

static void start_write(conn *c);

static void on_written(uv_write_t *req, int status) {
  conn *c = AQ_CONTAINER(req, conn, write);
  aq_uv_tcp *t = c->owner;
  if (c->dead) return;
  if (status < 0) {
    conn_closed(c, AQ_E_CLOSED);
    return;
  }
  aq_buf_free(&c->flying); /* an idle connection keeps no buffer */
  if (c->pending.len > 0) start_write(c);
  if (c->short_write && c->pending.len + c->flying.len <= WAITING_MAX / 2) {
    c->short_write = false;
    t->ev.writable(t->ev.arg, c->id);
  }
}

static void start_write(conn *c) {
  aq_buf done = c->flying;
  c->flying = c->pending, c->pending = done;
  uv_buf_t buf = uv_buf_init((char *)c->flying.ptr, (unsigned)c->flying.len);
  if (uv_write(&c->write, (uv_stream_t *)&c->h, &buf, 1, on_written) != 0) {
    aq_timer_set(c->owner->env, &c->limit, 0, on_write_failed, c); /* never from inside write */
  }
}

static conn *conn_find(aq_uv_tcp *t, uint64_t id) { return aq_map_get(&t->conns, &id); }

static size_t port_write(void *ctx, uint64_t id, aq_bytes out) {
  conn *c = conn_find(ctx, id);
  if (!c || !c->open || out.len == 0) return 0;
  size_t sent = 0;
  if (c->flying.len == 0) {
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)out.ptr, (unsigned)(out.len < WAITING_MAX ? out.len : WAITING_MAX));
    int rc = uv_try_write((uv_stream_t *)&c->h, &buf, 1);
    if (rc > 0) sent = (size_t)rc;
  }
  size_t waiting = c->flying.len + c->pending.len;
  size_t room = WAITING_MAX - waiting, rest = out.len - sent;
  if (rest > room) rest = room, c->short_write = true;
  aq_buf_put(&c->pending, out.ptr + sent, rest);
  if (c->flying.len == 0 && c->pending.len > 0) start_write(c);
  return sent + rest;
}

static void port_close(void *ctx, uint64_t id) {
  conn *c = conn_find(ctx, id);
  if (c) conn_kill(c);
}

/* ---- dialling ---- */

static conn *conn_new(aq_uv_tcp *t) {
  conn *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  c->owner = t, c->id = ++t->next_id;
  aq_buf_init(&c->pending, WAITING_MAX);
  aq_buf_init(&c->flying, WAITING_MAX);
  AQ_MUST(aq_map_put(&t->conns, &c->id, c) == AQ_OK);
  t->open_handles++;
  return c;
}

static void conn_init_handle(conn *c) {
  AQ_MUST(uv_tcp_init(aq_loop_uv(c->owner->loop), &c->h) == 0);
  c->h.data = c;
  c->hold = HOLD_HANDLE;
}

static void start_reading(conn *c) {
  if (uv_read_start((uv_stream_t *)&c->h, on_alloc, on_read) != 0) conn_closed(c, AQ_E_IO);
}

/* This address does not answer: the next one, with a new socket, or the end. */
static void connect_failed(conn *c) {
  if (!c->next_addr) {
    aq_timer_set(c->owner->env, &c->limit, 0, on_unreachable, c); /* never from inside dial */
    return;
  }
  c->retry = true;
  uv_close((uv_handle_t *)&c->h, on_handle_closed);
}

static void on_connected(uv_connect_t *req, int status) {
  conn *c = AQ_CONTAINER(req, conn, connect);
  aq_uv_tcp *t = c->owner;
  if (c->dead) return;
  if (status != 0) {
    connect_failed(c);
    return;
  }
  aq_timer_cancel(t->env, &c->limit);
  if (c->addrs) uv_freeaddrinfo(c->addrs);
  c->addrs = NULL;
  conn_opened(c);
  t->ev.opened(t->ev.arg, c->id, AQ_OK);
  if (!c->dead) start_reading(c);
}

static void start_connect(conn *c, const struct sockaddr *addr) {
  conn_init_handle(c);
  if (uv_tcp_connect(&c->connect, &c->h, addr, on_connected) != 0) connect_failed(c);
}

static void try_next(conn *c) {
  const struct addrinfo *addr = c->next_addr;
  c->next_addr = addr->ai_next;
  start_connect(c, addr->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *addrs) {
  conn *c = AQ_CONTAINER(req, conn, resolve);
  c->hold = HOLD_NONE;
  c->addrs = c->next_addr = addrs;
  if (c->dead)
    conn_release(c);
  else if (status != 0 || !addrs)
    dial_failed(c, AQ_E_NOTFOUND);
  else
    try_next(c);
}

static bool parse_literal(struct sockaddr_storage *out, const char *host, uint16_t port) {
  return uv_ip4_addr(host, port, (struct sockaddr_in *)out) == 0 ||
         uv_ip6_addr(host, port, (struct sockaddr_in6 *)out) == 0;
}

static uint64_t port_dial(void *ctx, const char *host, uint16_t port) {
  aq_uv_tcp *t = ctx;
  conn *c = conn_new(t);
  aq_timer_after(t->env, &c->limit, CONNECT_LIMIT_NS, on_limit, c);
  if (parse_literal(&c->literal, host, port)) {
    start_connect(c, (struct sockaddr *)&c->literal);
    return c->id;
  }
  char service[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
  snprintf(service, sizeof service, "%u", port);
  c->hold = HOLD_RESOLVE;
  if (uv_getaddrinfo(aq_loop_uv(t->loop), &c->resolve, on_resolved, host, service, &hints) != 0) {
    c->hold = HOLD_NONE; /* the name is too long */
    aq_timer_set(t->env, &c->limit, 0, on_unreachable, c);
  }
  return c->id;
}

/* ---- listening ---- */

static void remote_text(char *out, size_t out_len, const struct sockaddr_storage *addr) {
  char ip[INET6_ADDRSTRLEN] = "";
  if (addr->ss_family == AF_INET6) {
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)addr;
    uv_ip6_name(a, ip, sizeof ip);
    bool mapped = IN6_IS_ADDR_V4MAPPED(&a->sin6_addr);
    snprintf(out, out_len, mapped ? "%s:%u" : "[%s]:%u", mapped ? ip + strlen("::ffff:") : ip, ntohs(a->sin6_port));
    return;
  }
  const struct sockaddr_in *a = (const struct sockaddr_in *)addr;
  uv_ip4_name(a, ip, sizeof ip);
  snprintf(out, out_len, "%s:%u", ip, ntohs(a->sin_port));
}

static void take_connection(void *arg, int fd, const struct sockaddr_storage *from) {
  aq_uv_tcp *t = arg;
  char remote[INET6_ADDRSTRLEN + 16];
  if (t->conns.cnt >= CONNS_MAX || !t->ev.accepted) {
    close(fd);
    return;
  }
  conn *c = conn_new(t);
  conn_init_handle(c);
  if (uv_tcp_open(&c->h, fd) != 0) {
    close(fd);
    conn_kill(c);
    return;
  }
  conn_opened(c);
  remote_text(remote, sizeof remote, from);
  bool keep = t->ev.accepted(t->ev.arg, c->id, remote);
  if (c->dead) return;
  if (keep)
    start_reading(c);
  else
    conn_kill(c);
}

aq_status aq_uv_tcp_listen(aq_uv_tcp *t, const char *host, uint16_t port, aq_err *err) {
  if (t->listener_cnt == LISTENERS_MAX) return aq_fail(err, AQ_E_LIMIT, "more than %d listeners", LISTENERS_MAX);
  aq_status st =
      aq_listen_new(&t->listener[t->listener_cnt], t->loop, host, port, &(aq_listen_cb){t, NULL, take_connection}, err);
  if (st == AQ_OK) t->listener_cnt++;
  return st;
}

/* ---- object ---- */

static void port_events(void *ctx, const aq_tcp_events *ev) { ((aq_uv_tcp *)ctx)->ev = *ev; }

aq_uv_tcp *aq_uv_tcp_new(aq_loop *l) {
  aq_uv_tcp *t = calloc(1, sizeof *t);
  AQ_ASSERT(t);
  t->loop = l, t->env = aq_loop_env(l);
  t->port = (aq_tcp){t, port_events, port_dial, port_write, port_close};
  uint8_t seed[16];
  aq_random(t->env, seed, sizeof seed);
  aq_map_init(&t->conns, sizeof(uint64_t), 4 * (size_t)CONNS_MAX, seed);
  return t;
}

const aq_tcp *aq_uv_tcp_port(aq_uv_tcp *t) { return &t->port; }

uint16_t aq_uv_tcp_bound_port(const aq_uv_tcp *t) { return t->listener_cnt ? aq_listen_port(t->listener[0]) : 0; }

void aq_uv_tcp_free(aq_uv_tcp *t) {
  if (!t) return;
  t->open_handles++; /* until the end of this function */
  for (conn *c; (c = aq_map_next(&t->conns, &(size_t){0}, NULL));) conn_kill(c);
  for (size_t i = 0; i < t->listener_cnt; i++) aq_listen_free(t->listener[i]);
  aq_map_free(&t->conns);
  t->freed = true;
  handle_gone(t);
}
