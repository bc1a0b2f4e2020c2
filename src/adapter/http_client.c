/* libcurl's multi interface on the loop: one pool of connections for the node's own calls, one for the proxy's. */
#include "adapter/adapters.h"
#include "adapter/ca.h"
#include "adapter/curl_fault.h"
#include "adapter/http_redirect.h"
#include "base/assert.h"
#include "base/list.h"
#include "http/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <uv.h>

enum {
  BODY_DEFAULT_MAX = 64 << 20,
  HEADERS_MAX = 128,
  URL_MAX = 1 << 20,
  HEADERS_BYTES_MAX = 64 * 1024,
  RECV_BUFFER = 16 * 1024,
  CONNECT_LIMIT_MS = 5000,
  CONN_KEPT_S = 60,
  GROWTH_FREE = 64 << 20, /* a streamed body may grow to this by being unpacked, */
  GROWTH_TIMES = 100,     /* and beyond that to so many times what came */
  NAME_KEPT_S = 5,        /* containers change addresses when they are made anew; another node may get the old one */
};

/* Connections of a pool to one host, and those kept open between requests. OWN: an event stream, and a handful of
   requests for each duty and batch at once. PROXY: as many event streams and slow requests of clients as a beacon node
   is asked to bear; what is over it waits for a free one. */
static const struct {
  long host_max, kept_max;
} pool_conns[AQ_HTTPC_POOLS] = {[AQ_HTTPC_OWN] = {64, 16}, [AQ_HTTPC_PROXY] = {64, 8}};

typedef struct {
  aq_list node; /* in aq_curl.requests until it is freed */
  aq_curl *owner;
  CURLM *multi; /* its pool's */
  uint64_t id;
  CURL *easy;
  struct curl_slist *sent_headers;
  aq_httpc_cb cb;
  bool added;     /* the multi handle has it */
  bool cancelled; /* no callback any more */
  bool ended;
  bool streamed, no_body, over_limit;
  bool want_pause, paused, want_resume;
  bool head_whole;      /* the final head was there, and was told: only then is there a body and a good end */
  size_t head_len;      /* bytes of all heads, interim ones and trailers with them */
  bool unpacks, packed; /* unpacks: libcurl does, unless the caller asked for an encoding; packed: this answer was */
  uint64_t streamed_len;
  char *method;
  bool moving; /* the answer is a redirect that is followed: not told */
  uint32_t moves;
  size_t skipped;  /* of redirects' bodies */
  aq_buf url;      /* of this try */
  aq_status early; /* could not even be started */
  CURLcode result; /* why it failed, with libcurl's words */
  char words[CURL_ERROR_SIZE];
  int code;
  uint64_t by_ns;                /* monotonic: whole by then */
  uint64_t silence_ns, heard_ns; /* the longest pause, 0: any; the last byte or, before it, the start */
  aq_buf body;
  aq_buf text; /* header lines as "name\0value\0" */
  size_t header_cnt;
} request;

typedef struct {
  aq_curl *owner;
  CURLM *multi; /* made with the first request */
  uv_timer_t timer;
  uv_idle_t now; /* libuv 1.44 would not poll between a timer of 0 ms and the same one armed in its callback */
} pool;

typedef struct {
  uv_poll_t h;
  pool *pool;
  curl_socket_t fd;
} socket_watch;

struct aq_curl {
  aq_loop *loop;
  const aq_env *env;
  aq_httpc port;
  pool pool[AQ_HTTPC_POOLS];
  uv_timer_t limits; /* monotonic, as the pools': time limits do not care about the wall clock */
  unsigned handles;
  aq_timer kick;
  aq_buf ca; /* whose certificates are believed; empty: libcurl's own choice */
  aq_list requests;
  uint64_t next_id;
  unsigned inside; /* calls of libcurl in progress: it must not be entered again */
};

/* ---- ends ---- */

static void collect(aq_curl *c);

static void kick_run(void *arg);

/* Work that must not happen inside a callback of libcurl or of the caller's start. */
static void kick(aq_curl *c) { aq_timer_set(c->env, &c->kick, 0, kick_run, c); }

static void request_free(request *r) {
  if (r->added) curl_multi_remove_handle(r->multi, r->easy);
  curl_easy_cleanup(r->easy);
  curl_slist_free_all(r->sent_headers);
  aq_buf_free(&r->body);
  aq_buf_free(&r->text);
  aq_buf_free(&r->url);
  free(r->method);
  aq_list_remove(&r->node);
  free(r);
}

/* Of a body that was unpacked, these tell of another one. */
static bool of_packed(const char *name) {
  return strcasecmp(name, "Content-Encoding") == 0 || strcasecmp(name, "Content-Length") == 0;
}

static aq_http_headers header_views(const request *r, aq_http_header *item) {
  const char *p = (const char *)r->text.ptr;
  size_t cnt = 0;
  for (size_t i = 0; i < r->header_cnt; i++) {
    item[cnt].name = p, p += strlen(p) + 1;
    item[cnt].value = p, p += strlen(p) + 1;
    if (!r->packed || !of_packed(item[cnt].name)) cnt++;
  }
  return (aq_http_headers){item, cnt};
}

static void finish(request *r, aq_status st) {
  aq_http_header item[HEADERS_MAX];
  r->ended = true;
  if (r->cancelled) return;
  char why[AQ_HTTP_WHY_MAX];
  aq_httpc_res res = {.code = st == AQ_OK ? r->code : 0, .headers = {item, 0}};
  if (st != AQ_OK) aq_curl_why(why, r->easy, st == AQ_E_LIMIT ? CURLE_FILESIZE_EXCEEDED : r->result, r->words);
  if (st != AQ_OK) res.why = why;
  if (st == AQ_OK) res.headers = header_views(r, item), res.body = aq_buf_bytes(&r->body);
  r->cb.done(r->cb.arg, st, &res);
}

static aq_status status_of(const request *r, CURLcode code) {
  if (r->over_limit) return AQ_E_LIMIT;
  if (code == CURLE_OK) return r->head_whole ? AQ_OK : AQ_E_CLOSED; /* it is content with a head that is cut off */
  if (code == CURLE_BAD_CONTENT_ENCODING) return AQ_E_FORMAT;
  return code == CURLE_OPERATION_TIMEDOUT ? AQ_E_TIMEOUT : AQ_E_CLOSED;
}

/* ---- driving libcurl ---- */

static void drive(pool *p, curl_socket_t fd, int events) {
  int running;
  p->owner->inside++;
  curl_multi_socket_action(p->multi, fd, events, &running);
  p->owner->inside--;
  collect(p->owner);
}

static void on_timer(uv_timer_t *h) { drive(h->data, CURL_SOCKET_TIMEOUT, 0); }

static void on_now(uv_idle_t *h) {
  uv_idle_stop(h);
  drive(h->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout_wanted(CURLM *multi, long ms, void *arg) {
  (void)multi;
  pool *p = arg;
  uv_timer_stop(&p->timer);
  uv_idle_stop(&p->now);
  if (ms > 0) uv_timer_start(&p->timer, on_timer, (uint64_t)ms, 0);
  if (ms == 0) uv_idle_start(&p->now, on_now);
  return 0;
}

static void on_socket_ready(uv_poll_t *h, int status, int events) {
  socket_watch *w = AQ_CONTAINER(h, socket_watch, h);
  int flags = status < 0 ? CURL_CSELECT_ERR : 0;
  if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
  drive(w->pool, w->fd, flags);
}

static void on_watch_closed(uv_handle_t *h) { free(AQ_CONTAINER(h, socket_watch, h)); }

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *ctx) {
  (void)easy;
  pool *p = arg;
  socket_watch *w = ctx;
  if (what == CURL_POLL_REMOVE) {
    if (w) uv_close((uv_handle_t *)&w->h, on_watch_closed);
    return 0;
  }
  if (!w) {
    w = calloc(1, sizeof *w);
    if (!w) return -1;
    if (uv_poll_init_socket(aq_loop_uv(p->owner->loop), &w->h, fd) != 0) {
      free(w);
      return -1;
    }
    w->pool = p, w->fd = fd;
    curl_multi_assign(p->multi, fd, w);
  }
  int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  return uv_poll_start(&w->h, events, on_socket_ready) == 0 ? 0 : -1;
}

/* Asks at the place that a redirect named. */
static bool move(request *r) {
  if (!r->moving || r->ended || r->cancelled) return false;
  r->moving = r->head_whole = r->packed = false;
  r->head_len = 0, r->code = 0;
  if (curl_easy_setopt(r->easy, CURLOPT_URL, aq_buf_cstr(&r->url)) != CURLE_OK) return false;
  r->added = curl_multi_add_handle(r->multi, r->easy) == CURLM_OK;
  return r->added;
}

static void finish_ended(CURLM *multi) {
  int left;
  for (CURLMsg *msg; (msg = curl_multi_info_read(multi, &left));) {
    request *r;
    if (msg->msg != CURLMSG_DONE || curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &r) != CURLE_OK) continue;
    CURLcode code = msg->data.result;
    curl_multi_remove_handle(multi, r->easy);
    r->added = false;
    r->result = code;
    if (code == CURLE_OK && move(r)) continue;
    if (!r->ended) finish(r, status_of(r, code));
  }
}

/* Outside of libcurl: tells what has ended and frees it. Callbacks may start and cancel requests. */
static void collect(aq_curl *c) {
  if (c->inside) return;
  for (size_t i = 0; i < AQ_HTTPC_POOLS; i++) {
    if (c->pool[i].multi) finish_ended(c->pool[i].multi);
  }
  AQ_LIST_EACH(&c->requests, r, request, node) {
    if (r->ended || r->cancelled) request_free(r);
  }
}

/* ---- time limits ---- */

static uint64_t after(uint64_t now_ns, uint64_t limit_ns) {
  uint64_t at;
  return limit_ns == 0 || __builtin_add_overflow(now_ns, limit_ns, &at) ? UINT64_MAX : at;
}

/* libcurl's own limits do not run while a request waits for a free connection. */
static uint64_t limit_of(const request *r) {
  if (r->want_pause || r->paused) return r->by_ns; /* the reader makes the silence, not the other side */
  uint64_t silent = after(r->heard_ns, r->silence_ns);
  return silent < r->by_ns ? silent : r->by_ns;
}

static void on_limits(uv_timer_t *h);

/* Limits only move away: bytes that arrive do not set the timer anew, it looks again when it fires. */
static void arm_limits(aq_curl *c) {
  uint64_t first = UINT64_MAX, now = aq_mono_ns(c->env);
  AQ_LIST_EACH(&c->requests, r, request, node) {
    if (!r->ended && !r->cancelled && limit_of(r) < first) first = limit_of(r);
  }
  uint64_t ms = first > now ? (first - now) / AQ_NS_PER_MS + 1 : 1;
  if (first == UINT64_MAX)
    uv_timer_stop(&c->limits);
  else
    uv_timer_start(&c->limits, on_limits, ms, 0);
}

static void on_limits(uv_timer_t *h) {
  aq_curl *c = h->data;
  uint64_t now = aq_mono_ns(c->env);
  AQ_LIST_EACH(&c->requests, r, request, node) {
    if (r->ended || r->cancelled || limit_of(r) > now) continue;
    r->result = CURLE_OPERATION_TIMEDOUT;
    finish(r, AQ_E_TIMEOUT);
  }
  arm_limits(c);
  collect(c);
}

/* ---- what the caller wants ---- */

static void add_waiting(aq_curl *c) {
  AQ_LIST_EACH(&c->requests, r, request, node) {
    if (r->added || r->ended || r->cancelled) continue;
    if (r->early == AQ_OK && curl_multi_add_handle(r->multi, r->easy) == CURLM_OK)
      r->added = true;
    else
      finish(r, r->early != AQ_OK ? r->early : AQ_E_CLOSED);
  }
}

static void resume_waiting(aq_curl *c) {
  AQ_LIST_EACH(&c->requests, r, request, node) {
    if (!r->want_resume || r->cancelled || r->ended) continue;
    r->want_resume = r->want_pause = false;
    r->heard_ns = aq_mono_ns(c->env);
    if (!r->paused) continue;
    r->paused = false;
    c->inside++; /* delivers what was held back */
    curl_easy_pause(r->easy, CURLPAUSE_CONT);
    c->inside--;
  }
}

static void kick_run(void *arg) {
  aq_curl *c = arg;
  add_waiting(c);
  resume_waiting(c);
  arm_limits(c);
  collect(c);
}

/* ---- what arrives ---- */

/* False: more than is kept. */
static bool take_header(request *r, const char *line, size_t len) {
  const char *colon = memchr(line, ':', len);
  if (!colon || memchr(line, 0, len)) return true;
  const char *value = colon + 1, *end = line + len;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && strchr("\r\n \t", end[-1])) end--;
  aq_buf_put(&r->text, line, (size_t)(colon - line));
  aq_buf_put_u8(&r->text, 0);
  aq_buf_put(&r->text, value, (size_t)(end - value));
  aq_buf_put_u8(&r->text, 0);
  return !r->text.failed && ++r->header_cnt <= HEADERS_MAX;
}

/* Compressed, and unpacked for the caller; also where the body stays away (HEAD, 304). */
static void note_packed(request *r) {
  aq_http_header item[HEADERS_MAX];
  const aq_http_headers h = header_views(r, item);
  const char *encoding = aq_http_header_get(&h, "Content-Encoding");
  r->packed = r->unpacks && encoding && *encoding && strcasecmp(encoding, "identity") != 0;
}

/* The answer is a redirect, and is followed. */
static bool leads_on(request *r) {
  aq_http_header item[HEADERS_MAX];
  const aq_http_headers h = header_views(r, item);
  const char *location = aq_http_header_get(&h, "Location");
  if (!location || !aq_http_redirects(r->code, r->method) || r->moves >= AQ_HTTP_REDIRECTS_MAX) return false;
  aq_buf to = AQ_BUF(URL_MAX);
  r->moving = aq_http_redirect(&to, aq_buf_cstr(&r->url), location) == AQ_OK;
  if (r->moving) {
    aq_buf_free(&r->url);
    r->url = to;
    r->moves++;
  } else {
    aq_buf_free(&to);
  }
  return r->moving;
}

/* libcurl takes any three digits, and a 101 that nobody asked for as an answer with a body. False: no
   answer of HTTP. */
static bool end_head(request *r) {
  long code = 0;
  curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &code);
  if (code >= 100 && code < 200 && code != 101) return true; /* interim: the next head follows */
  if (code < 200 || code > 599) return false;
  r->code = (int)code, r->head_whole = true;
  note_packed(r);
  if (leads_on(r)) return true;
  /* A body that comes all the same must not be read as the next answer. */
  if (r->no_body || code == 204 || code == 304) curl_easy_setopt(r->easy, CURLOPT_FORBID_REUSE, 1L);
  if (!r->streamed || !r->cb.head) return true;
  aq_http_header item[HEADERS_MAX];
  aq_http_headers h = header_views(r, item);
  r->cb.head(r->cb.arg, r->code, &h);
  return !r->cancelled;
}

static size_t on_header(char *line, size_t size, size_t cnt, void *arg) {
  request *r = arg;
  size_t len = size * cnt;
  if (r->cancelled || r->ended) return 0;
  r->heard_ns = aq_mono_ns(r->owner->env);
  r->head_len += len;
  if (r->head_len > HEADERS_BYTES_MAX) r->over_limit = true;
  if (r->over_limit) return 0;
  if (r->head_whole) return len; /* a trailer */
  if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
    aq_buf_reset(&r->text);
    r->header_cnt = 0;
    return len;
  }
  if (*line == '\r' || *line == '\n') return end_head(r) ? len : 0;
  r->over_limit = !take_header(r, line, len);
  return r->over_limit ? 0 : len;
}

/* More than any text becomes by being unpacked. A body that is kept has its own limit. */
static bool grows(request *r, size_t len) {
  curl_off_t came = 0;
  r->streamed_len += len;
  if (!r->packed || r->streamed_len <= GROWTH_FREE) return false;
  curl_easy_getinfo(r->easy, CURLINFO_SIZE_DOWNLOAD_T, &came);
  return r->streamed_len / GROWTH_TIMES > (uint64_t)came;
}

static size_t on_body(char *data, size_t size, size_t cnt, void *arg) {
  request *r = arg;
  size_t len = size * cnt;
  if (r->cancelled || r->ended || !r->head_whole) return 0;
  r->heard_ns = aq_mono_ns(r->owner->env);
  if (r->moving) {
    r->skipped += len;
    r->over_limit = r->skipped > AQ_HTTP_REDIRECT_BODY_MAX;
    return r->over_limit ? 0 : len;
  }
  if (!r->streamed) {
    aq_buf_put(&r->body, data, len);
    r->over_limit = r->body.failed;
    return r->body.failed ? 0 : len;
  }
  if (r->want_pause) {
    r->paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  r->over_limit = grows(r, len);
  if (r->over_limit) return 0;
  if (!r->cb.data(r->cb.arg, aq_bytes_of(data, len))) r->want_pause = true;
  return r->cancelled ? 0 : len;
}

/* ---- requests ---- */

static bool add_header(request *r, const char *name, const char *value) {
  char line[8192];
  int len = snprintf(line, sizeof line, *value ? "%s: %s" : "%s;", name, value);
  if (len < 0 || (size_t)len >= sizeof line || strpbrk(line, "\r\n")) return false;
  struct curl_slist *list = curl_slist_append(r->sent_headers, line);
  if (list) r->sent_headers = list;
  return list != NULL;
}

/* A bare "Name:" keeps libcurl from adding a header of its own. */
static bool drop_header(request *r, const char *line) {
  struct curl_slist *list = curl_slist_append(r->sent_headers, line);
  if (list) r->sent_headers = list;
  return list != NULL;
}

static bool set_headers(request *r, const aq_httpc_req *req) {
  bool ok = drop_header(r, "Expect:");
  if (r->unpacks) ok = ok && drop_header(r, "Accept-Encoding:"); /* to pack costs a beacon node time */
  if (!aq_http_header_get(&req->headers, "Content-Type")) ok = ok && drop_header(r, "Content-Type:");
  if (!aq_http_header_get(&req->headers, "User-Agent")) ok = ok && add_header(r, "User-Agent", "aequa/" AQ_VERSION);
  for (size_t i = 0; ok && i < req->headers.cnt; i++) {
    const aq_http_header *h = &req->headers.item[i];
    if (strcasecmp(h->name, "Content-Length") == 0 || strcasecmp(h->name, "Transfer-Encoding") == 0) continue;
    ok = add_header(r, h->name, h->value);
  }
  return ok && curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->sent_headers) == CURLE_OK;
}

static bool set_method(request *r, const aq_httpc_req *req) {
  CURL *e = r->easy;
  r->no_body = strcmp(req->method, "HEAD") == 0;
  if (r->no_body) return curl_easy_setopt(e, CURLOPT_NOBODY, 1L) == CURLE_OK;
  if (strcmp(req->method, "GET") != 0 || req->body.len > 0) {
    const char *body = req->body.len > 0 ? (const char *)req->body.ptr : "";
    bool has_body = req->body.len > 0 || strcmp(req->method, "POST") == 0 || strcmp(req->method, "PUT") == 0;
    if (has_body && (curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len) != CURLE_OK ||
                     curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, body) != CURLE_OK)) {
      return false;
    }
    return curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method) == CURLE_OK;
  }
  return true;
}

static bool set_options(request *r, const aq_httpc_req *req) {
  CURL *e = r->easy;
  curl_easy_setopt(e, CURLOPT_PRIVATE, r);
  curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->words);
  curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
  curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
  curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(e, CURLOPT_NOPROGRESS, 1L);
  curl_easy_setopt(e, CURLOPT_PROXY, "");
  curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)RECV_BUFFER);
  curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, (long)NAME_KEPT_S);
  curl_easy_setopt(e, CURLOPT_MAXLIFETIME_CONN, (long)CONN_KEPT_S);
  curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_LIMIT_MS);
  curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
  struct curl_blob ca = {r->owner->ca.ptr, r->owner->ca.len, CURL_BLOB_NOCOPY};
  if (ca.len > 0 && curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &ca) != CURLE_OK) return false;
  if (r->unpacks) curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl was built with */
  return curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
         curl_easy_setopt(e, CURLOPT_URL, req->url) == CURLE_OK && set_method(r, req) && set_headers(r, req);
}

static CURLM *multi_of(aq_curl *c, aq_httpc_pool which) {
  AQ_ASSERT(which < AQ_HTTPC_POOLS);
  pool *p = &c->pool[which];
  if (p->multi) return p->multi;
  AQ_MUST(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
  p->multi = curl_multi_init();
  AQ_ASSERT(p->multi);
  curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
  curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
  curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
  curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
  curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, pool_conns[which].kept_max);
  curl_multi_setopt(p->multi, CURLMOPT_MAX_HOST_CONNECTIONS, pool_conns[which].host_max);
  return p->multi;
}

static uint64_t port_start(void *ctx, const aq_httpc_req *req, const aq_httpc_cb *cb) {
  aq_curl *c = ctx;
  request *r = calloc(1, sizeof *r);
  AQ_ASSERT(r);
  r->multi = multi_of(c, req->pool), r->heard_ns = aq_mono_ns(c->env), r->silence_ns = req->silence_ns;
  r->by_ns = after(r->heard_ns, req->timeout_ns);
  r->owner = c, r->id = ++c->next_id, r->cb = *cb, r->streamed = cb->data != NULL;
  aq_buf_init(&r->body, req->body_max ? req->body_max : BODY_DEFAULT_MAX);
  aq_buf_init(&r->text, HEADERS_BYTES_MAX);
  r->url = AQ_BUF(URL_MAX), r->method = strdup(req->method);
  AQ_ASSERT(r->method);
  aq_buf_put_str(&r->url, req->url);
  r->unpacks = !aq_http_header_get(&req->headers, "Accept-Encoding");
  r->easy = curl_easy_init();
  AQ_ASSERT(r->easy);
  r->result = CURLE_FAILED_INIT;
  if (r->url.failed || !set_options(r, req)) r->early = AQ_E_CLOSED;
  aq_list_push(&c->requests, &r->node);
  kick(c);
  return r->id;
}

static request *find(aq_curl *c, uint64_t id) {
  AQ_LIST_EACH(&c->requests, r, request, node) {
    if (r->id == id && !r->cancelled && !r->ended) return r;
  }
  return NULL;
}

static void port_resume(void *ctx, uint64_t id) {
  request *r = find(ctx, id);
  if (!r) return;
  r->want_resume = true;
  kick(ctx);
}

static void port_cancel(void *ctx, uint64_t id) {
  aq_curl *c = ctx;
  request *r = find(c, id);
  if (!r) return;
  r->cancelled = true;
  kick(c);
}

aq_curl *aq_curl_new(aq_loop *l) {
  aq_curl *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  c->loop = l, c->env = aq_loop_env(l);
  c->port = (aq_httpc){c, port_start, port_resume, port_cancel};
  c->ca = AQ_BUF(2 * AQ_CA_FILE_MAX + 2);
  aq_list_init(&c->requests);
  for (size_t i = 0; i < AQ_HTTPC_POOLS; i++) {
    AQ_MUST(uv_timer_init(aq_loop_uv(l), &c->pool[i].timer) == 0);
    AQ_MUST(uv_idle_init(aq_loop_uv(l), &c->pool[i].now) == 0);
    c->pool[i].owner = c, c->pool[i].timer.data = c->pool[i].now.data = &c->pool[i];
  }
  AQ_MUST(uv_timer_init(aq_loop_uv(l), &c->limits) == 0);
  c->limits.data = c;
  return c;
}

const aq_httpc *aq_curl_port(aq_curl *c) { return &c->port; }

aq_status aq_curl_trust(aq_curl *c, const char *file, bool need, aq_err *err) {
  AQ_ASSERT(aq_list_empty(&c->requests));
  aq_buf_reset(&c->ca);
  return aq_ca_load(&c->ca, file, need, err);
}

static void handle_closed(aq_curl *c) {
  if (--c->handles == 0) free(c);
}

static void on_pool_closed(uv_handle_t *h) { handle_closed(((pool *)h->data)->owner); }
static void on_limits_closed(uv_handle_t *h) { handle_closed(h->data); }

void aq_curl_free(aq_curl *c) {
  if (!c) return;
  AQ_LIST_EACH(&c->requests, r, request, node) { request_free(r); }
  aq_timer_cancel(c->env, &c->kick);
  aq_buf_free(&c->ca);
  c->handles = 2 * AQ_HTTPC_POOLS + 1;
  for (size_t i = 0; i < AQ_HTTPC_POOLS; i++) {
    if (c->pool[i].multi) curl_multi_cleanup(c->pool[i].multi);
    uv_close((uv_handle_t *)&c->pool[i].timer, on_pool_closed);
    uv_close((uv_handle_t *)&c->pool[i].now, on_pool_closed);
  }
  uv_close((uv_handle_t *)&c->limits, on_limits_closed);
}
