/* The server side of HTTP in memory: one request, its answer as it comes. */
#include "fake/server.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"

enum { BODY_MAX = 256 << 20 };

/* One block, freed as a whole, so that a use after the end is found by the sanitizer. */
typedef struct {
  aq_http_req req;
  char text[];
} memory;

static fake_res *res_of(aq_http_res *res) { return (fake_res *)(void *)res; }

static char *copy(const char *s) {
  char *out = strdup(s);
  AQ_ASSERT(out);
  return out;
}

static void drop(fake_res *r) {
  if (r->kept) return;
  free((void *)(uintptr_t)r->req);
  r->req = NULL;
}

static void tell(fake_res *r) {
  if (r->notify) r->notify(r->notify_arg, r);
}

/* ---- what a handler may call ---- */

static void head(fake_res *r, int code, const aq_http_headers *h) {
  AQ_ASSERT(!r->gone && !r->ended && r->code == 0 && (r->kept || (code >= 200 && code <= 599)));
  r->code = code;
  for (size_t i = 0; h && i < h->cnt; i++) {
    AQ_ASSERT(r->header_cnt < AQ_COUNT(r->header) && h->item[i].name && h->item[i].value);
    r->header[r->header_cnt][0] = copy(h->item[i].name);
    r->header[r->header_cnt++][1] = copy(h->item[i].value);
  }
}

void fake_respond(fake_res *r, int code, const aq_http_headers *h, aq_bytes body) {
  head(r, code, h);
  if (strcmp(r->req->method, "HEAD") != 0) aq_buf_put_bytes(&r->body, body);
  r->ended = true;
  drop(r);
  tell(r);
}

static void respond(aq_http_res *res, int code, const aq_http_headers *h, aq_bytes body) {
  fake_respond(res_of(res), code, h, body);
}

static void begin(aq_http_res *res, int code, const aq_http_headers *h) {
  fake_res *r = res_of(res);
  head(r, code, h);
  r->streamed = true;
  tell(r);
}

static bool write_chunk(aq_http_res *res, aq_bytes chunk) {
  fake_res *r = res_of(res);
  AQ_ASSERT(r->streamed && !r->ended && !r->gone);
  aq_buf_put_bytes(&r->body, chunk);
  r->writes++;
  tell(r);
  return !r->full;
}

static void end(aq_http_res *res) {
  fake_res *r = res_of(res);
  AQ_ASSERT(r->streamed && !r->ended && !r->gone);
  r->ended = true;
  drop(r);
  tell(r);
}

static void cut(aq_http_res *res) {
  res_of(res)->cut = true;
  end(res);
}

static void watch(aq_http_res *res, void (*gone)(void *arg), void (*drained)(void *arg), void *arg) {
  fake_res *r = res_of(res);
  AQ_ASSERT(!r->ended && !r->gone);
  r->on_gone = gone, r->on_drained = drained, r->watch_arg = arg;
}

/* ---- a request ---- */

/* As the adapter decodes: a bad escape or an escaped 0 refuses the request. */
static bool decode_path(char *out, const char *raw, size_t len) {
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

static char *put(char **at, const void *from, size_t len) {
  char *out = *at;
  if (len) memcpy(out, from, len);
  out[len] = 0;
  *at += len + 1;
  return out;
}

static void keep_request(fake_res *r, const fake_req *in, const aq_http_headers *h) {
  size_t path_len = strcspn(in->target, "?"), headers_len = h->cnt * sizeof(aq_http_header);
  const char *query = in->target[path_len] ? in->target + path_len + 1 : "";
  size_t len = headers_len + strlen(in->method) + 2 * path_len + strlen(query) + in->body.len + 8;
  for (size_t i = 0; i < h->cnt; i++) len += strlen(h->item[i].name) + strlen(h->item[i].value) + 2;
  memory *m = calloc(1, sizeof *m + len);
  AQ_ASSERT(m);
  aq_http_header *header = (aq_http_header *)(void *)m->text;
  char *at = m->text + headers_len;
  m->req.method = put(&at, in->method, strlen(in->method));
  m->req.raw_path = put(&at, in->target, path_len);
  m->req.query = put(&at, query, strlen(query));
  for (size_t i = 0; i < h->cnt; i++) {
    header[i].name = put(&at, h->item[i].name, strlen(h->item[i].name));
    header[i].value = put(&at, h->item[i].value, strlen(h->item[i].value));
  }
  m->req.headers = (aq_http_headers){header, h->cnt};
  m->req.client = in->client;
  m->req.body = aq_bytes_of(put(&at, in->body.ptr, in->body.len), in->body.len);
  m->req.path = at;
  r->bad_target = !decode_path(at, in->target, path_len);
  if (r->bad_target) *at = 0;
  r->req = &m->req;
}

fake_res *fake_request(const fake_req *in, const aq_http_headers *h, void (*notify)(void *arg, fake_res *r),
                       void *arg) {
  fake_res *r = calloc(1, sizeof *r);
  AQ_ASSERT(r);
  aq_buf_init(&r->body, BODY_MAX);
  keep_request(r, in, h);
  r->notify = notify, r->notify_arg = arg;
  return r;
}

static void refuse(fake_res *r, int code, const char *text) {
  drop(r);
  r->code = code;
  r->ended = true;
  aq_buf_put_str(&r->body, text);
  tell(r);
}

void fake_serve(fake_res *r, const aq_http_handler *h) {
  static const aq_http_server_vt vt = {respond, begin, write_chunk, end, cut, watch};
  if (r->bad_target)
    refuse(r, 400, "bad request target\n");
  else if (r->req->body.len > h->body_max(h->arg, r->req->method, r->req->path))
    refuse(r, 413, "request body too large\n");
  else
    h->handle(h->arg, r->req, (aq_http_res *)(void *)r, &vt);
}

fake_res *fake_send(const aq_http_handler *h, const fake_req *in) {
  AQ_ASSERT(in->header_cnt <= FAKE_HEADERS_MAX);
  fake_res *r = fake_request(in, &(aq_http_headers){in->header, in->header_cnt}, NULL, NULL);
  fake_serve(r, h);
  return r;
}

/* One line of *text, which moves behind it; the last one may lack its end. */
static char *next_line(char **text) {
  char *line = *text, *stop = line + strcspn(line, "\n");
  *text = *stop ? stop + 1 : stop;
  *stop = 0;
  return line;
}

char *fake_read(fake_req *q, const void *data, size_t len) {
  char *text = malloc(len + 1), *at = text;
  AQ_ASSERT(text);
  memcpy(text, data, len);
  text[len] = 0;
  *q = (fake_req){.method = next_line(&at), .target = "/"};
  char *space = strchr(q->method, ' ');
  if (space) {
    *space = 0;
    q->target = space + 1;
  }
  for (char *line; *at && *(line = next_line(&at));) {
    char *colon = strchr(line, ':');
    if (!colon || q->header_cnt == FAKE_HEADERS_MAX) continue;
    *colon++ = 0;
    q->header[q->header_cnt++] = (aq_http_header){line, colon + (*colon == ' ')};
  }
  q->body = aq_bytes_of(at, (size_t)(text + len - at));
  return text;
}

/* ---- the client's side ---- */

void fake_leave(fake_res *r) {
  if (r->ended || r->gone) return;
  r->gone = true;
  if (r->on_gone) r->on_gone(r->watch_arg);
  drop(r);
}

void fake_drain(fake_res *r) {
  r->full = false;
  if (r->on_drained && !r->ended && !r->gone) r->on_drained(r->watch_arg);
}

aq_http_headers fake_headers(const fake_res *r, aq_http_header out[FAKE_HEADERS_MAX * 4]) {
  for (size_t i = 0; i < r->header_cnt; i++) out[i] = (aq_http_header){r->header[i][0], r->header[i][1]};
  return (aq_http_headers){out, r->header_cnt};
}

const char *fake_header(const fake_res *r, const char *name) {
  aq_http_header h[FAKE_HEADERS_MAX * 4];
  const aq_http_headers all = fake_headers(r, h);
  return aq_http_header_get(&all, name);
}

void fake_res_free(fake_res *r) {
  if (!r) return;
  fake_leave(r);
  r->kept = false;
  drop(r);
  for (size_t i = 0; i < r->header_cnt; i++) free(r->header[i][0]), free(r->header[i][1]);
  aq_buf_free(&r->body);
  free(r);
}
