/* fake/server.h - the server side of port/http for tests: sends one request to a handler and keeps what comes back.
   As strict as the contract: the request's memory is gone as soon as the answer is complete or the client left, and
   every call out of order fails. Header only; for *_test.c and *_fuzz.c here and above. */
#ifndef AQ_FAKE_SERVER_H
#define AQ_FAKE_SERVER_H

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "http/http.h"

enum { FAKE_HEADERS_MAX = 16 };

typedef struct {
  const char *method, *target; /* target: path?query, percent-encoded */
  aq_http_header header[FAKE_HEADERS_MAX];
  size_t header_cnt;
  aq_bytes body;
  const char *client; /* its address, not copied; NULL: not known */
} fake_req;

typedef struct fake_res {
  int code; /* 0: no answer yet */
  bool streamed, ended, gone, full, cut;
  char *header[FAKE_HEADERS_MAX * 4][2];
  size_t header_cnt, writes;
  aq_buf body;
  void (*on_gone)(void *arg);
  void (*on_drained)(void *arg);
  void *watch_arg;
  /* For bridges: called at the head, at each chunk and at the end. */
  void (*notify)(void *arg, struct fake_res *r);
  void *notify_arg;
  struct fake_req_mem *mem;
} fake_res;

/* One block, freed as a whole, so that a use after the end is found by the sanitizer. */
struct fake_req_mem {
  aq_http_req req;
  aq_http_header header[FAKE_HEADERS_MAX];
  char text[];
};

static inline fake_res *fake_res_of_(aq_http_res *res) { return (fake_res *)(void *)res; }

static inline void fake_req_drop_(fake_res *r) {
  free(r->mem);
  r->mem = NULL;
}

static inline char *fake_copy_(const char *s) {
  char *out = strdup(s);
  AQ_ASSERT(out);
  return out;
}

static inline void fake_head_(fake_res *r, int code, const aq_http_headers *h) {
  AQ_ASSERT(!r->gone && !r->ended && r->code == 0 && code >= 200 && code <= 599);
  r->code = code;
  for (size_t i = 0; h && i < h->cnt; i++) {
    AQ_ASSERT(r->header_cnt < AQ_COUNT(r->header) && h->item[i].name && h->item[i].value);
    r->header[r->header_cnt][0] = fake_copy_(h->item[i].name);
    r->header[r->header_cnt++][1] = fake_copy_(h->item[i].value);
  }
}

static inline void fake_respond_(aq_http_res *res, int code, const aq_http_headers *h, aq_bytes body) {
  fake_res *r = fake_res_of_(res);
  fake_head_(r, code, h);
  if (strcmp(r->mem->req.method, "HEAD") != 0) aq_buf_put_bytes(&r->body, body);
  r->ended = true;
  fake_req_drop_(r);
  if (r->notify) r->notify(r->notify_arg, r);
}

static inline void fake_begin_(aq_http_res *res, int code, const aq_http_headers *h) {
  fake_res *r = fake_res_of_(res);
  fake_head_(r, code, h);
  r->streamed = true;
  if (r->notify) r->notify(r->notify_arg, r);
}

static inline bool fake_write_(aq_http_res *res, aq_bytes chunk) {
  fake_res *r = fake_res_of_(res);
  AQ_ASSERT(r->streamed && !r->ended && !r->gone);
  aq_buf_put_bytes(&r->body, chunk);
  r->writes++;
  if (r->notify) r->notify(r->notify_arg, r);
  return !r->full;
}

static inline void fake_end_(aq_http_res *res) {
  fake_res *r = fake_res_of_(res);
  AQ_ASSERT(r->streamed && !r->ended && !r->gone);
  r->ended = true;
  fake_req_drop_(r);
  if (r->notify) r->notify(r->notify_arg, r);
}

static inline void fake_cut_(aq_http_res *res) {
  fake_res_of_(res)->cut = true;
  fake_end_(res);
}

static inline void fake_watch_(aq_http_res *res, void (*gone)(void *arg), void (*drained)(void *arg), void *arg) {
  fake_res *r = fake_res_of_(res);
  AQ_ASSERT(!r->ended && !r->gone);
  r->on_gone = gone, r->on_drained = drained, r->watch_arg = arg;
}

static inline const aq_http_server_vt *fake_server_vt(void) {
  static const aq_http_server_vt vt = {fake_respond_, fake_begin_, fake_write_, fake_end_, fake_cut_, fake_watch_};
  return &vt;
}

/* As the adapter decodes: a bad escape or an escaped 0 refuses the request. */
static inline bool fake_path_(char *out, const char *raw, size_t len) {
  for (size_t i = 0; i < len; i++) {
    uint8_t byte = (uint8_t)raw[i];
    if (byte == '%') {
      if (len - i < 3 || aq_hex_decode(&byte, 1, aq_bytes_of(raw + i + 1, 2), AQ_HEX_BARE) != AQ_OK) return false;
      i += 2;
    }
    if (byte == 0) return false;
    *out++ = (char)byte;
  }
  *out = 0;
  return true;
}

static inline char *fake_put_(char **at, const void *from, size_t len) {
  char *out = *at;
  if (len) memcpy(out, from, len);
  out[len] = 0;
  *at += len + 1;
  return out;
}

static inline struct fake_req_mem *fake_req_copy_(const fake_req *in, size_t path_len, const char *query) {
  size_t len = strlen(in->method) + 2 * path_len + strlen(query) + in->body.len + 8;
  for (size_t i = 0; i < in->header_cnt; i++) len += strlen(in->header[i].name) + strlen(in->header[i].value) + 2;
  struct fake_req_mem *m = calloc(1, sizeof *m + len);
  AQ_ASSERT(m);
  char *at = m->text;
  m->req.method = fake_put_(&at, in->method, strlen(in->method));
  m->req.raw_path = fake_put_(&at, in->target, path_len);
  m->req.query = fake_put_(&at, query, strlen(query));
  for (size_t i = 0; i < in->header_cnt; i++) {
    m->header[i].name = fake_put_(&at, in->header[i].name, strlen(in->header[i].name));
    m->header[i].value = fake_put_(&at, in->header[i].value, strlen(in->header[i].value));
  }
  m->req.headers = (aq_http_headers){m->header, in->header_cnt};
  m->req.client = in->client;
  m->req.body = aq_bytes_of(fake_put_(&at, in->body.ptr, in->body.len), in->body.len);
  m->req.path = at;
  if (fake_path_(at, in->target, path_len)) return m;
  free(m);
  return NULL;
}

static inline void fake_refuse_(fake_res *r, int code, const char *text) {
  r->code = code;
  r->ended = true;
  aq_buf_put_str(&r->body, text);
}

/* Sends the request. A bad target and a body over the limit are answered as the adapter does. */
static inline fake_res *fake_send_to(const aq_http_handler *h, const fake_req *in,
                                     void (*notify)(void *arg, fake_res *r), void *arg) {
  fake_res *r = calloc(1, sizeof *r);
  AQ_ASSERT(r && in->header_cnt <= FAKE_HEADERS_MAX);
  aq_buf_init(&r->body, 256u << 20);
  r->notify = notify, r->notify_arg = arg;
  size_t path_len = strcspn(in->target, "?");
  const char *query = in->target[path_len] ? in->target + path_len + 1 : "";
  r->mem = fake_req_copy_(in, path_len, query);
  if (!r->mem) {
    fake_refuse_(r, 400, "bad request target\n");
  } else if (in->body.len > h->body_max(h->arg, r->mem->req.method, r->mem->req.path)) {
    fake_req_drop_(r);
    fake_refuse_(r, 413, "request body too large\n");
  } else {
    h->handle(h->arg, &r->mem->req, (aq_http_res *)(void *)r, fake_server_vt());
  }
  return r;
}

static inline fake_res *fake_send(const aq_http_handler *h, const fake_req *in) {
  return fake_send_to(h, in, NULL, NULL);
}

/* One line of *text, which moves behind it; the last one may lack its end. */
static inline char *fake_line_(char **text) {
  char *line = *text, *end = line + strcspn(line, "\n");
  *text = *end ? end + 1 : end;
  *end = 0;
  return line;
}

/* A request as text: "METHOD target", header lines, an empty line, the body. q points into the result: free it last. */
static inline char *fake_read(fake_req *q, const void *data, size_t len) {
  char *text = malloc(len + 1), *at = text;
  AQ_ASSERT(text);
  memcpy(text, data, len);
  text[len] = 0;
  *q = (fake_req){.method = fake_line_(&at), .target = "/"};
  char *space = strchr(q->method, ' ');
  if (space) {
    *space = 0;
    q->target = space + 1;
  }
  for (char *line; *at && *(line = fake_line_(&at));) {
    char *colon = strchr(line, ':');
    if (!colon || q->header_cnt == FAKE_HEADERS_MAX) continue;
    *colon++ = 0;
    q->header[q->header_cnt++] = (aq_http_header){line, colon + (*colon == ' ')};
  }
  q->body = aq_bytes_of(at, (size_t)(text + len - at));
  return text;
}

/* The client leaves before the end. */
static inline void fake_leave(fake_res *r) {
  if (r->ended || r->gone) return;
  r->gone = true;
  if (r->on_gone) r->on_gone(r->watch_arg);
  fake_req_drop_(r);
}

/* The client read what waited. */
static inline void fake_drain(fake_res *r) {
  r->full = false;
  if (r->on_drained && !r->ended && !r->gone) r->on_drained(r->watch_arg);
}

static inline const char *fake_header(const fake_res *r, const char *name) {
  for (size_t i = 0; i < r->header_cnt; i++) {
    const aq_http_header one = {r->header[i][0], r->header[i][1]};
    if (aq_http_header_get(&(aq_http_headers){&one, 1}, name)) return one.value;
  }
  return NULL;
}

/* Leaves first when there is no whole answer yet. */
static inline void fake_res_free(fake_res *r) {
  if (!r) return;
  fake_leave(r);
  for (size_t i = 0; i < r->header_cnt; i++) free(r->header[i][0]), free(r->header[i][1]);
  aq_buf_free(&r->body);
  free(r);
}

#endif
