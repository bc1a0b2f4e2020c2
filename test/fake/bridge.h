/* fake/bridge.h - HTTP from one core to another in one process and in virtual time: a client port whose
   requests reach a handler after a delay, and whose answers come back the same way. Header only; for tests. */
#ifndef AQ_FAKE_BRIDGE_H
#define AQ_FAKE_BRIDGE_H

#include "fake/env.h"
#include "fake/server.h"

enum { BRIDGE_CONNS_MAX = 256 };

typedef struct fake_bridge fake_bridge;

typedef struct {
  fake_bridge *bridge;
  uint64_t id; /* 0: free place */
  aq_httpc_cb cb;
  char *method, *target;
  aq_buf headers, body;    /* headers: "name\0value\0" */
  size_t header_cnt, told; /* bytes of a stream that were handed on */
  bool head_told;
  fake_res *res;
  aq_timer step, limit;
} bridge_conn;

struct fake_bridge {
  aq_httpc http; /* pass &bridge.http to the client */
  fake_env *env;
  const aq_http_handler *handler; /* NULL: connections are refused */
  uint64_t delay_ns;
  bridge_conn conn[BRIDGE_CONNS_MAX];
  uint64_t last_id, requests, timeouts;
};

static inline void bridge_close_(bridge_conn *c) {
  aq_timer_cancel(&c->bridge->env->env, &c->step);
  aq_timer_cancel(&c->bridge->env->env, &c->limit);
  fake_res_free(c->res);
  free(c->method), free(c->target);
  aq_buf_free(&c->headers);
  aq_buf_free(&c->body);
  memset(c, 0, sizeof *c);
}

static inline aq_http_headers bridge_headers_(const fake_res *r, aq_http_header *out) {
  for (size_t i = 0; i < r->header_cnt; i++) out[i] = (aq_http_header){r->header[i][0], r->header[i][1]};
  return (aq_http_headers){out, r->header_cnt};
}

/* The place is free before the callback, which may start and cancel requests. */
static inline void bridge_end_(bridge_conn *c, aq_status st) {
  bridge_conn was = *c;
  aq_http_header h[FAKE_HEADERS_MAX * 4];
  aq_httpc_res res = {0};
  aq_timer_cancel(&c->bridge->env->env, &c->step);
  aq_timer_cancel(&c->bridge->env->env, &c->limit);
  was.step = was.limit = (aq_timer){0};
  memset(c, 0, sizeof *c);
  if (st == AQ_OK) {
    res.code = was.res->code;
    res.headers = bridge_headers_(was.res, h);
    if (!was.cb.data) res.body = aq_buf_bytes(&was.res->body);
  } else if (was.res) {
    fake_leave(was.res);
  }
  was.cb.done(was.cb.arg, st, &res);
  bridge_close_(&was);
}

static inline void bridge_step_(void *arg);

static inline void bridge_later_(bridge_conn *c) {
  if (c->step.pos == 0) aq_timer_after(&c->bridge->env->env, &c->step, c->bridge->delay_ns, bridge_step_, c);
}

static inline void bridge_notify_(void *arg, fake_res *r) {
  bridge_conn *c = arg;
  if (c->res == NULL) c->res = r; /* answered from inside */
  if (r->ended || c->cb.data) bridge_later_(c);
}

static inline void bridge_limit_(void *arg) {
  bridge_conn *c = arg;
  c->bridge->timeouts++;
  bridge_end_(c, AQ_E_TIMEOUT);
}

static inline void bridge_send_(bridge_conn *c) {
  fake_req q = {.method = c->method, .target = c->target, .body = aq_buf_bytes(&c->body)};
  const char *p = (const char *)c->headers.ptr;
  for (size_t i = 0; i < c->header_cnt; i++) {
    const char *name = p, *value = p + strlen(p) + 1;
    q.header[q.header_cnt++] = (aq_http_header){name, value};
    p = value + strlen(value) + 1;
  }
  fake_res *r = fake_send_to(c->bridge->handler, &q, bridge_notify_, c);
  c->res = r;
  if (r->ended) bridge_later_(c);
}

/* First the request goes out, then what came back is handed on. */
static inline void bridge_step_(void *arg) {
  bridge_conn *c = arg;
  aq_http_header h[FAKE_HEADERS_MAX * 4];
  if (!c->res) {
    if (c->bridge->handler)
      bridge_send_(c);
    else
      bridge_end_(c, AQ_E_CLOSED);
    return;
  }
  if (c->cb.data) {
    fake_res *r = c->res;
    uint64_t id = c->id;
    if (!c->head_told && r->code && c->cb.head) {
      c->head_told = true;
      const aq_http_headers headers = bridge_headers_(r, h);
      c->cb.head(c->cb.arg, r->code, &headers);
    }
    if (c->id == id && r->body.len > c->told) {
      size_t from = c->told;
      c->told = r->body.len;
      c->cb.data(c->cb.arg, aq_bytes_of(r->body.ptr + from, r->body.len - from));
    }
    if (c->id != id) return;
  }
  if (c->res->ended) bridge_end_(c, AQ_OK);
}

static inline uint64_t bridge_start_(void *ctx, const aq_httpc_req *req, const aq_httpc_cb *cb) {
  fake_bridge *b = ctx;
  bridge_conn *c = NULL;
  for (size_t i = 0; i < BRIDGE_CONNS_MAX && !c; i++) c = b->conn[i].id ? NULL : &b->conn[i];
  AQ_ASSERT(c);
  const char *host = strstr(req->url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
  *c = (bridge_conn){.bridge = b, .id = ++b->last_id, .cb = *cb, .header_cnt = req->headers.cnt};
  c->method = fake_copy_(req->method);
  c->target = fake_copy_(path ? path : "/");
  c->headers = AQ_BUF(1 << 20);
  c->body = AQ_BUF(256u << 20);
  for (size_t i = 0; i < req->headers.cnt; i++) {
    aq_buf_put(&c->headers, req->headers.item[i].name, strlen(req->headers.item[i].name) + 1);
    aq_buf_put(&c->headers, req->headers.item[i].value, strlen(req->headers.item[i].value) + 1);
  }
  aq_buf_put_bytes(&c->body, req->body);
  b->requests++;
  bridge_later_(c);
  if (req->timeout_ns) aq_timer_after(&b->env->env, &c->limit, req->timeout_ns, bridge_limit_, c);
  return c->id;
}

static inline void bridge_resume_(void *ctx, uint64_t id) { (void)ctx, (void)id; }

static inline void bridge_cancel_(void *ctx, uint64_t id) {
  fake_bridge *b = ctx;
  for (size_t i = 0; i < BRIDGE_CONNS_MAX; i++) {
    if (id != 0 && b->conn[i].id == id) bridge_close_(&b->conn[i]);
  }
}

static inline void fake_bridge_init(fake_bridge *b, fake_env *env, const aq_http_handler *handler, uint64_t delay_ns) {
  memset(b, 0, sizeof *b);
  b->env = env, b->handler = handler, b->delay_ns = delay_ns;
  b->http = (aq_httpc){b, bridge_start_, bridge_resume_, bridge_cancel_};
}

/* Every client must have ended its requests. */
static inline void fake_bridge_check_idle(const fake_bridge *b) {
  for (size_t i = 0; i < BRIDGE_CONNS_MAX; i++) AQ_ASSERT(b->conn[i].id == 0);
}

#endif
