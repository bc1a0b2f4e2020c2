/* Exchanges in memory: by hand, or handed to a server of the same program. */
#include "fake/http.h"

#include <stdlib.h>

#include "base/assert.h"

static char *copy(const char *s) {
  char *out = strdup(s);
  AQ_ASSERT(out);
  return out;
}

/* ---- life of an exchange ---- */

static void take(fake_ex *ex) {
  const aq_env *env = &ex->h->env->env;
  aq_timer_cancel(env, &ex->step);
  aq_timer_cancel(env, &ex->limit);
  aq_timer_cancel(env, &ex->silence);
  if (ex->left) return;
  ex->left = true;
  aq_list_remove(&ex->node);
  ex->h->open_cnt--;
}

static void ex_free(fake_ex *ex) {
  fake_res_free(ex->res);
  free(ex->url);
  free(ex->of);
  free(ex);
}

/* The client is done with it; a handler learns it where it has not answered yet. */
static void leave(fake_ex *ex) {
  take(ex);
  if (!ex->in_handler) ex_free(ex);
}

/* Not among the open ones during the callbacks: whoever ends exchanges there does not meet it. */
static void finish(fake_ex *ex, aq_status st) {
  aq_http_header h[FAKE_HEADERS_MAX * 4];
  aq_httpc_res res = {.why = ex->why};
  take(ex);
  if (ex->h->ended) ex->h->ended(ex->h->arg, ex, st);
  fake_leave(ex->res);
  if (st == AQ_OK) {
    res.code = ex->res->code;
    res.headers = fake_headers(ex->res, h);
    if (!ex->cb.data) res.body = aq_buf_bytes(&ex->res->body);
  }
  ex->cb.done(ex->cb.arg, st, &res);
  ex_free(ex);
}

static fake_ex *by_id(const fake_http *h, uint64_t id) {
  AQ_LIST_EACH((aq_list *)(uintptr_t)&h->open, ex, fake_ex, node) {
    if (ex->id == id) return ex;
  }
  return NULL;
}

/* What came of a stream since; false: the client left meanwhile. */
static bool hand_on(fake_ex *ex) {
  const fake_http *h = ex->h;
  uint64_t id = ex->id;
  if (!ex->head_told && ex->res->code) {
    aq_http_header out[FAKE_HEADERS_MAX * 4];
    const aq_http_headers all = fake_headers(ex->res, out);
    ex->head_told = true;
    if (ex->cb.head) ex->cb.head(ex->cb.arg, ex->res->code, &all);
  }
  if (!by_id(h, id)) return false;
  size_t from = ex->told;
  ex->told = ex->res->body.len;
  if (ex->told > from) ex->cb.data(ex->cb.arg, aq_bytes_of(ex->res->body.ptr + from, ex->told - from));
  return by_id(h, id) != NULL;
}

static void arrive(fake_ex *ex) {
  fake_http *h = ex->h;
  ex->arrived = true;
  if (h->handle)
    h->handle(h->arg, ex);
  else if (h->server)
    fake_http_serve(ex, h->server);
  else
    fake_http_refuse(ex);
}

static void step(void *arg) {
  fake_ex *ex = arg;
  if (!ex->arrived) {
    arrive(ex);
    return;
  }
  if (ex->st != AQ_OK) {
    finish(ex, ex->st);
    return;
  }
  if (ex->cb.data && !hand_on(ex)) return;
  if (ex->res->ended) finish(ex, ex->res->cut ? AQ_E_CLOSED : AQ_OK);
}

static void out_of_time(void *arg) { finish(arg, AQ_E_TIMEOUT); }

/* A byte came: the silence begins anew. */
static void heard(fake_ex *ex) {
  const aq_env *env = &ex->h->env->env;
  aq_timer_cancel(env, &ex->silence);
  if (ex->silence_ns && !ex->h->patient) aq_timer_after(env, &ex->silence, ex->silence_ns, out_of_time, ex);
}

static uint64_t way_ns(fake_ex *ex) {
  const fake_http *h = ex->h;
  return h->way_ns ? h->way_ns(h->arg, ex) : h->delay_ns;
}

static void later(fake_ex *ex, uint64_t ns) {
  if (ex->step.pos == 0) aq_timer_after(&ex->h->env->env, &ex->step, ns, step, ex);
}

/* A piece of the answer goes out. */
static void on_piece(void *arg, fake_res *r) {
  fake_ex *ex = arg;
  (void)r;
  if (ex->script || ex->left) return;
  heard(ex);
  later(ex, way_ns(ex));
}

/* ---- the port ---- */

static const char *header(const fake_ex *ex, const char *name) {
  return aq_http_header_get(&ex->res->req->headers, name);
}

static void keep_request(fake_ex *ex, const aq_httpc_req *req) {
  const char *host = strstr(req->url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
  const fake_req q = {.method = req->method, .target = path ? path : "/", .body = req->body};
  ex->url = copy(req->url);
  ex->res = fake_request(&q, &req->headers, on_piece, ex);
  ex->method = ex->res->req->method;
  ex->accept = header(ex, "accept");
  ex->content_type = header(ex, "content-type");
  ex->version = header(ex, "eth-consensus-version");
  ex->body = ex->res->req->body;
  ex->pool = req->pool;
  ex->silence_ns = req->silence_ns;
}

static void keep_log(fake_http *h, const aq_httpc_req *req) {
  aq_buf line = AQ_BUF(1 << 20);
  AQ_ASSERT(h->log_cnt < FAKE_HTTP_LOG_MAX);
  aq_buf_printf(&line, "%s %s", req->method, req->url);
  h->log[h->log_cnt++] = copy(aq_buf_cstr(&line));
  aq_buf_free(&line);
}

static void start_limit(fake_ex *ex, uint64_t ns) {
  if (ns) aq_timer_after(&ex->h->env->env, &ex->limit, ns, out_of_time, ex);
}

static uint64_t start(void *ctx, const aq_httpc_req *req, const aq_httpc_cb *cb) {
  const fake_httpc *from = ctx;
  fake_http *h = from->h;
  fake_ex *ex = calloc(1, sizeof *ex);
  AQ_ASSERT(ex && h->open_cnt < FAKE_HTTP_OPEN_MAX);
  ex->h = h, ex->from = from, ex->cb = *cb, ex->asked = req;
  uint64_t id = ex->id = ++h->last_id;
  keep_request(ex, req);
  aq_list_push(&h->open, &ex->node);
  h->open_cnt++;
  if (h->started) h->started(h->arg, ex);
  ex->script = ex->res->kept = h->handle && !h->way_ns;
  if (ex->script) {
    keep_log(h, req);
    heard(ex);
    start_limit(ex, req->timeout_ns);
    arrive(ex);
  } else {
    uint64_t ns = way_ns(ex);
    if (ns != AQ_NEVER) {
      later(ex, ns);
      start_limit(ex, req->timeout_ns);
      heard(ex);
    }
  }
  if ((ex = by_id(h, id)) != NULL) ex->asked = NULL;
  return id;
}

static void resume(void *ctx, uint64_t id) {
  fake_http *h = ((const fake_httpc *)ctx)->h;
  h->resume_cnt++;
  h->resumed_id = id;
}

static void cancel(void *ctx, uint64_t id) {
  fake_http *h = ((const fake_httpc *)ctx)->h;
  fake_ex *ex = by_id(h, id);
  if (!ex) return;
  h->cancel_cnt++;
  leave(ex);
}

void fake_http_client(fake_http *h, fake_httpc *out, void *who) {
  *out = (fake_httpc){.http = {out, start, resume, cancel}, .h = h, .who = who};
}

void fake_http_init(fake_http *h, fake_env *env, void (*handle)(void *arg, fake_ex *ex), void *arg) {
  memset(h, 0, sizeof *h);
  h->env = env, h->handle = handle, h->arg = arg;
  aq_list_init(&h->open);
  fake_http_client(h, &h->own, NULL);
  h->http = h->own.http;
}

void fake_http_bridge(fake_http *h, fake_env *env, const aq_http_handler *server, uint64_t delay_ns) {
  fake_http_init(h, env, NULL, NULL);
  h->server = server, h->delay_ns = delay_ns;
}

void fake_http_free(fake_http *h) {
  AQ_LIST_EACH(&h->open, ex, fake_ex, node) leave(ex);
  fake_http_forget(h);
}

/* ---- answers of a script ---- */

static void set_step(fake_ex *ex, uint64_t delay_ns) {
  aq_timer_after(&ex->h->env->env, &ex->step, delay_ns, step, ex);
}

void fake_http_answer_h(fake_ex *ex, uint64_t delay_ns, int code, const char *content_type, aq_bytes body,
                        const char *name, const char *value) {
  aq_http_header h[2];
  size_t cnt = 0;
  if (content_type) h[cnt++] = (aq_http_header){"content-type", content_type};
  if (name) h[cnt++] = (aq_http_header){name, value};
  if (ex->streaming) { /* its head is out */
    aq_buf_put_bytes(&ex->res->body, body);
    ex->res->ended = true;
  } else {
    fake_respond(ex->res, code, &(aq_http_headers){h, cnt}, body);
  }
  set_step(ex, delay_ns);
}

void fake_http_answer(fake_ex *ex, uint64_t delay_ns, int code, const char *json) {
  fake_http_answer_h(ex, delay_ns, code, "application/json", aq_bytes_str(json), NULL, NULL);
}

void fake_http_fail(fake_ex *ex, uint64_t delay_ns, aq_status st) {
  ex->st = st;
  if (st == AQ_OK) ex->res->ended = true;
  set_step(ex, delay_ns);
}

void fake_http_fail_why(fake_ex *ex, uint64_t delay_ns, aq_status st, const char *why) {
  ex->why = why;
  fake_http_fail(ex, delay_ns, st);
}

void fake_http_open_h(fake_ex *ex, int code, const aq_http_headers *h) {
  ex->streaming = ex->head_told = true;
  ex->res->code = code;
  heard(ex);
  ex->cb.head(ex->cb.arg, code, h);
}

void fake_http_open(fake_ex *ex, int code) { fake_http_open_h(ex, code, &(aq_http_headers){NULL, 0}); }

void fake_http_chunk(fake_ex *ex, const char *text) {
  heard(ex);
  ex->cb.data(ex->cb.arg, aq_bytes_str(text));
}

/* ---- a request that arrived ---- */

void fake_http_serve(fake_ex *ex, const aq_http_handler *server) {
  ex->server = server;
  ex->in_handler = true;
  fake_serve(ex->res, server);
  ex->in_handler = false;
  if (ex->left) ex_free(ex);
}

void fake_http_refuse(fake_ex *ex) { finish(ex, AQ_E_CLOSED); }

/* Each callback may change what is open: every time from the beginning. */
static fake_ex *next_of(const fake_http *h, const aq_http_handler *server, const void *who) {
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed has left the list, which is not followed there */
  AQ_LIST_EACH((aq_list *)(uintptr_t)&h->open, ex, fake_ex, node) {
    if (server ? ex->server == server && !ex->res->ended : ex->from->who == who) return ex;
  }
  return NULL;
}

void fake_http_cut(fake_http *h, const aq_http_handler *server) {
  for (fake_ex *ex; (ex = next_of(h, server, NULL)) != NULL;) {
    fake_leave(ex->res);
    finish(ex, AQ_E_CLOSED);
  }
}

void fake_http_drop(fake_http *h, const void *who) {
  for (fake_ex *ex; (ex = next_of(h, NULL, who)) != NULL;) leave(ex);
}

/* ---- what was asked ---- */

void fake_http_forget(fake_http *h) {
  for (size_t i = 0; i < h->log_cnt; i++) free(h->log[i]);
  h->log_cnt = 0;
}

size_t fake_http_open_cnt(const fake_http *h) { return h->open_cnt; }

size_t fake_http_count(const fake_http *h, const char *text) {
  size_t n = 0;
  for (size_t i = 0; i < h->log_cnt; i++) n += strstr(h->log[i], text) != NULL;
  return n;
}

fake_ex *fake_http_find(const fake_http *h, const char *text) {
  AQ_LIST_EACH((aq_list *)(uintptr_t)&h->open, ex, fake_ex, node) {
    if (strstr(ex->url, text)) return ex;
  }
  return NULL;
}
