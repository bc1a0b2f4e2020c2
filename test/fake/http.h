/* fake/http.h - HTTP client of tests: a handler sees each request and answers it, at once or after a delay of
   the virtual clock, or never (then the request's timeout ends it). Streams are fed by the test. Header only. */
#ifndef AQ_FAKE_HTTP_H
#define AQ_FAKE_HTTP_H

#include <stdlib.h>

#include "fake/env.h"
#include "http/http.h"

enum { FAKE_HTTP_OPEN_MAX = 512, FAKE_HTTP_LOG_MAX = 4096 };

typedef struct fake_http fake_http;

typedef struct {
  fake_http *h;
  uint64_t id; /* 0: free place */
  char *method, *url, *accept, *content_type, *version;
  aq_buf body;
  aq_httpc_cb cb;
  aq_httpc_pool pool;
  uint64_t silence_ns;
  aq_timer timer;
  aq_status st;    /* what the timer delivers */
  const char *why; /* static */
  int code;
  char *res_body, *res_header[3][2];
  size_t res_len, res_header_cnt;
  bool streaming;
} fake_ex;

struct fake_http {
  aq_httpc http; /* pass &fake.http to the code under test */
  fake_env *env;
  void (*handle)(void *arg, fake_ex *ex); /* from inside start */
  void *arg;
  fake_ex ex[FAKE_HTTP_OPEN_MAX];
  uint64_t last_id, cancel_cnt;
  char *log[FAKE_HTTP_LOG_MAX]; /* "GET http://a/path?query" */
  size_t log_cnt;
};

static inline char *fake_http_dup_(const char *s) {
  char *out = s ? strdup(s) : NULL;
  AQ_ASSERT(!s || out);
  return out;
}

static inline void fake_http_release_(fake_ex *ex) {
  aq_timer_cancel(&ex->h->env->env, &ex->timer);
  free(ex->method), free(ex->url), free(ex->accept), free(ex->content_type), free(ex->version), free(ex->res_body);
  for (size_t i = 0; i < ex->res_header_cnt; i++) free(ex->res_header[i][0]), free(ex->res_header[i][1]);
  aq_buf_free(&ex->body);
  memset(ex, 0, sizeof *ex);
}

static inline void fake_http_deliver_(void *arg) {
  fake_ex *ex = arg, gone = *ex;
  aq_http_header h[3];
  for (size_t i = 0; i < gone.res_header_cnt; i++)
    h[i] = (aq_http_header){gone.res_header[i][0], gone.res_header[i][1]};
  aq_httpc_res res = {gone.code, {h, gone.res_header_cnt}, aq_bytes_of(gone.res_body, gone.res_len), gone.why};
  memset(ex, 0, sizeof *ex); /* the place is free: the callback may start another request */
  if (gone.cb.data && gone.code && gone.cb.head && !gone.streaming) {
    gone.cb.head(gone.cb.arg, gone.code, &res.headers);
    if (res.body.len) gone.cb.data(gone.cb.arg, res.body);
  }
  gone.cb.done(gone.cb.arg, gone.st, &res);
  gone.timer.pos = 0;
  fake_http_release_(&gone);
}

/* Answers after delay_ns. content_type and the header may be NULL. */
static inline void fake_http_answer_h(fake_ex *ex, uint64_t delay_ns, int code, const char *content_type, aq_bytes body,
                                      const char *name, const char *value) {
  ex->st = AQ_OK, ex->code = code, ex->res_len = body.len;
  ex->res_body = malloc(body.len + 1);
  AQ_ASSERT(ex->res_body);
  if (body.len) memcpy(ex->res_body, body.ptr, body.len);
  if (content_type) {
    ex->res_header[ex->res_header_cnt][0] = fake_http_dup_("content-type");
    ex->res_header[ex->res_header_cnt++][1] = fake_http_dup_(content_type);
  }
  if (name) {
    ex->res_header[ex->res_header_cnt][0] = fake_http_dup_(name);
    ex->res_header[ex->res_header_cnt++][1] = fake_http_dup_(value);
  }
  aq_timer_after(&ex->h->env->env, &ex->timer, delay_ns, fake_http_deliver_, ex);
}

static inline void fake_http_answer(fake_ex *ex, uint64_t delay_ns, int code, const char *json) {
  fake_http_answer_h(ex, delay_ns, code, "application/json", aq_bytes_str(json), NULL, NULL);
}

/* No answer: AQ_E_CLOSED (refused connection) or another status, after delay_ns. */
static inline void fake_http_fail(fake_ex *ex, uint64_t delay_ns, aq_status st) {
  ex->st = st;
  aq_timer_after(&ex->h->env->env, &ex->timer, delay_ns, fake_http_deliver_, ex);
}

/* The same with what the client says of it; the text is static. */
static inline void fake_http_fail_why(fake_ex *ex, uint64_t delay_ns, aq_status st, const char *why) {
  ex->why = why;
  fake_http_fail(ex, delay_ns, st);
}

/* A byte came: the silence begins anew. */
static inline void fake_http_heard_(fake_ex *ex) {
  if (ex->silence_ns) fake_http_fail(ex, ex->silence_ns, AQ_E_TIMEOUT);
}

/* Streams: head, chunks, end. */
static inline void fake_http_open_h(fake_ex *ex, int code, const aq_http_headers *h) {
  ex->streaming = true, ex->code = code;
  fake_http_heard_(ex);
  ex->cb.head(ex->cb.arg, code, h);
}
static inline void fake_http_open(fake_ex *ex, int code) {
  aq_http_headers none = {NULL, 0};
  fake_http_open_h(ex, code, &none);
}
static inline void fake_http_chunk(fake_ex *ex, const char *text) {
  fake_http_heard_(ex);
  ex->cb.data(ex->cb.arg, aq_bytes_str(text));
}

static inline uint64_t fake_http_start_(void *ctx, const aq_httpc_req *req, const aq_httpc_cb *cb) {
  fake_http *h = ctx;
  fake_ex *ex = NULL;
  for (size_t i = 0; i < FAKE_HTTP_OPEN_MAX && !ex; i++) ex = h->ex[i].id ? NULL : &h->ex[i];
  AQ_ASSERT(ex && h->log_cnt < FAKE_HTTP_LOG_MAX);
  aq_buf line = AQ_BUF(1 << 20);
  aq_buf_printf(&line, "%s %s", req->method, req->url);
  h->log[h->log_cnt++] = fake_http_dup_(aq_buf_cstr(&line));
  aq_buf_free(&line);
  ex->h = h, ex->id = ++h->last_id, ex->cb = *cb;
  ex->method = fake_http_dup_(req->method), ex->url = fake_http_dup_(req->url);
  ex->accept = fake_http_dup_(aq_http_header_get(&req->headers, "accept"));
  ex->content_type = fake_http_dup_(aq_http_header_get(&req->headers, "content-type"));
  ex->version = fake_http_dup_(aq_http_header_get(&req->headers, "eth-consensus-version"));
  ex->body = AQ_BUF(256u << 20);
  aq_buf_put_bytes(&ex->body, req->body);
  uint64_t id = ex->id;
  ex->pool = req->pool;
  ex->silence_ns = req->silence_ns;
  fake_http_heard_(ex);
  if (req->timeout_ns) fake_http_fail(ex, req->timeout_ns, AQ_E_TIMEOUT);
  h->handle(h->arg, ex);
  return id;
}

static inline void fake_http_resume_(void *ctx, uint64_t id) { (void)ctx, (void)id; }

static inline void fake_http_cancel_(void *ctx, uint64_t id) {
  fake_http *h = ctx;
  for (size_t i = 0; i < FAKE_HTTP_OPEN_MAX; i++) {
    if (h->ex[i].id != id || id == 0) continue;
    h->cancel_cnt++;
    fake_http_release_(&h->ex[i]);
  }
}

static inline void fake_http_init(fake_http *h, fake_env *env, void (*handle)(void *arg, fake_ex *ex), void *arg) {
  memset(h, 0, sizeof *h);
  h->env = env, h->handle = handle, h->arg = arg;
  h->http = (aq_httpc){h, fake_http_start_, fake_http_resume_, fake_http_cancel_};
}

/* What was asked so far: long tests have no room for all of it. */
static inline void fake_http_forget(fake_http *h) {
  for (size_t i = 0; i < h->log_cnt; i++) free(h->log[i]);
  h->log_cnt = 0;
}

static inline void fake_http_free(fake_http *h) {
  for (size_t i = 0; i < FAKE_HTTP_OPEN_MAX; i++) {
    if (h->ex[i].id) fake_http_release_(&h->ex[i]);
  }
  fake_http_forget(h);
}

/* Requests still open; requests whose log line holds the text. */
static inline size_t fake_http_open_cnt(const fake_http *h) {
  size_t n = 0;
  for (size_t i = 0; i < FAKE_HTTP_OPEN_MAX; i++) n += h->ex[i].id != 0;
  return n;
}
static inline size_t fake_http_count(const fake_http *h, const char *text) {
  size_t n = 0;
  for (size_t i = 0; i < h->log_cnt; i++) n += strstr(h->log[i], text) != NULL;
  return n;
}
static inline fake_ex *fake_http_find(fake_http *h, const char *text) {
  for (size_t i = 0; i < FAKE_HTTP_OPEN_MAX; i++) {
    if (h->ex[i].id && strstr(h->ex[i].url, text)) return &h->ex[i];
  }
  return NULL;
}

#endif
