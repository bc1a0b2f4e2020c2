/* Everything else that only reads goes to the beacon node, streamed both in size and time, over connections of its own
   (AQ_HTTPC_PROXY): the node's duties never wait for it. Spec: validator-api.md 13 and 18.7, contract.md 4.4. Status
   and body of the beacon node pass through; an answer that breaks off is broken off here too. Subscriptions reach every
   beacon node. A client (its address and program) has a share of the connections, waits its turn for a while, and is
   told to come back when too many of its requests wait. */
#include "api/vapi_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/url.h"
#include "http/http.h"

enum {
  OPEN_MAX = 24,     /* requests to the beacon node at once, and as many subscriptions: the client port has
                        connections for both */
  OPEN_EACH = 8,     /* of one client: two that hold all of theirs leave room for a third */
  WAITING_MAX = 96,  /* for their turn; each holds its request, AQ_VAPI_READ_MAX at most */
  WAITING_EACH = 48, /* of one client: what one asks for at its start, times some */
  SEEN_MAX = 128,    /* headers that are looked at: each against all that Connection names */
  HEADERS_MAX = 64,  /* of an answer that are handed on */
  URL_MAX = 65536
};
#define STALL_NS AQ_SECONDS(30) /* for a client that does not read */
#define SLOW_NS AQ_SECONDS(2)   /* without the head of an answer: another beacon node is asked, too */

static void plain(aq_call *c, int code, const char *text, const char *err, bool again) {
  const aq_http_header h[] = {
      {"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}, {"Retry-After", "1"}};
  aq_call_answer(c, code, &(aq_http_headers){h, again ? 3u : 2u}, aq_bytes_str(text), err);
}

void aq_vapi_not_found(aq_call *c) { plain(c, 404, "404 page not found\n", "404 page not found", false); }
static void upstream_error(aq_call *c, const char *why) {
  plain(c, 502, "upstream error\n", why ? why : "upstream error", false);
}
void aq_call_busy(aq_call *c) { plain(c, 503, "too many requests at once\n", "too many requests at once", true); }

/* ---- headers ---- */

/* What the two ends of each connection settle themselves, and what would make another request of this one. */
static bool ours(const char *name) {
  static const char *const own[] = {"Content-Length",
                                    "Host",
                                    "Expect",
                                    "Accept-Encoding",
                                    "Range", /* its bytes would be of the packed body */
                                    "If-Range",
                                    "Date",
                                    "X-HTTP-Method",
                                    "X-Method-Override",
                                    "X-HTTP-Method-Override",
                                    "X-Original-URL",
                                    "X-Rewrite-URL"};
  for (size_t i = 0; i < AQ_COUNT(own); i++) {
    if (strcasecmp(name, own[i]) == 0) return true;
  }
  return false;
}

/* Adds those of `in` that pass and are not among the `cnt` before them. gated: the URL has a user, who is no other. */
static size_t filter(aq_http_header *out, size_t cnt, const aq_http_headers *in, bool gated) {
  const aq_http_headers before = {out, cnt};
  for (size_t i = 0; i < in->cnt && i < SEEN_MAX && cnt < HEADERS_MAX; i++) {
    const char *name = in->item[i].name;
    if (gated && strcasecmp(name, "Authorization") == 0) continue;
    if (ours(name) || aq_http_hop_by_hop(in, name) || aq_http_header_get(&before, name)) continue;
    out[cnt++] = in->item[i];
  }
  return cnt;
}

/* ---- turns ---- */

const char *aq_vapi_upstream(const aq_vapi *v, aq_vapi_tries *t) {
  const char *base = aq_bn_next(v->cfg.bn, &t->tried, &t->place);
  if (!base && t->cnt == 1) {
    t->tried = 0;
    base = aq_bn_next(v->cfg.bn, &t->tried, &t->place);
  }
  t->cnt += base != NULL;
  return base;
}

bool aq_vapi_another(const aq_vapi *v, const aq_vapi_tries *t) {
  aq_vapi_tries copy = *t;
  return aq_bn_next(v->cfg.bn, &copy.tried, &copy.place) != NULL;
}

/* One program on one machine, as far as a request shows it. */
uint64_t aq_vapi_client(const aq_http_req *req) {
  const char *agent = aq_http_header_get(&req->headers, "User-Agent");
  const char *const part[] = {req->client ? req->client : "", "\n", agent ? agent : ""};
  uint64_t h = AQ_VAPI_HASH_START;
  for (size_t i = 0; i < AQ_COUNT(part); i++) h = aq_vapi_hash(h, aq_bytes_str(part[i]));
  return h | 1; /* 0: none */
}

static size_t count(aq_list *list, uint64_t client, size_t *of_client) {
  size_t all = 0;
  *of_client = 0;
  AQ_LIST_EACH(list, c, aq_call, proxy_link) {
    all++;
    *of_client += c->proxy_client == client;
  }
  return all;
}

bool aq_vapi_room(aq_list *list, uint64_t client, size_t max, size_t each) {
  size_t own;
  return count(list, client, &own) < max && own < each;
}

static bool start(aq_call *c);

/* The oldest whose client has a connection left. */
static void next_turn(aq_vapi *v) {
  AQ_LIST_EACH(&v->proxy_waiting, c, aq_call, proxy_link) {
    if (!aq_vapi_room(&v->proxy_open, c->proxy_client, OPEN_MAX, OPEN_EACH)) continue;
    aq_timer_cancel(v->cfg.env, &c->proxy_timer);
    aq_list_remove(&c->proxy_link);
    aq_list_push(&v->proxy_open, &c->proxy_link);
    (void)start(c);
  }
}

static void turn(void *arg) { next_turn(arg); }

static void stop_leg(aq_vapi_leg *leg) {
  if (leg->id) leg->c->v->cfg.http->cancel(leg->c->v->cfg.http->ctx, leg->id);
  leg->id = 0;
}

void aq_vapi_proxy_leave(aq_call *c) {
  aq_vapi *v = c->v;
  if (!c->proxy_client) return;
  c->proxy_client = 0;
  for (size_t i = 0; i < AQ_VAPI_LEGS; i++) stop_leg(&c->proxy_leg[i]);
  aq_timer_cancel(v->cfg.env, &c->proxy_timer);
  aq_timer_cancel(v->cfg.env, &c->proxy_slow);
  aq_timer_cancel(v->cfg.env, &c->proxy_drop);
  aq_list_remove(&c->proxy_link);
  if (!aq_list_empty(&v->proxy_waiting)) aq_timer_after(v->cfg.env, &v->proxy_turn, 0, turn, v);
}

static void no_turn(void *arg) { aq_call_busy(arg); }

/* False: 503 was answered. */
static bool enqueue(aq_call *c) {
  aq_vapi *v = c->v;
  uint64_t client = aq_vapi_client(c->req);
  if (!aq_vapi_room(&v->proxy_waiting, client, WAITING_MAX, WAITING_EACH)) {
    aq_call_busy(c);
    return false;
  }
  c->proxy_client = client;
  aq_list_push(&v->proxy_waiting, &c->proxy_link);
  aq_timer_until(v->cfg.env, &c->proxy_timer, aq_call_until(c), no_turn, c);
  next_turn(v);
  return true;
}

/* ---- the answer ---- */

/* RFC 9110 6.4.1: what a beacon node sends after all would be read as the start of the next answer. */
static bool bodiless(const aq_call *c) {
  return strcmp(c->req->method, "HEAD") == 0 || c->proxy_code == 204 || c->proxy_code == 304;
}

/* Kept until the end, which answers: from inside here the request must not be ended. */
static void keep_head(aq_call *c, const aq_http_header *in, size_t cnt) {
  c->proxy_head = aq_arena_array(&c->arena, cnt, sizeof *c->proxy_head);
  for (size_t i = 0; c->proxy_head && i < cnt; i++) {
    const char *name = aq_arena_str(&c->arena, aq_bytes_str(in[i].name));
    const char *value = aq_arena_str(&c->arena, aq_bytes_str(in[i].value));
    if (!name || !value) return;
    c->proxy_head[c->proxy_head_cnt++] = (aq_http_header){name, value};
  }
}

/* The node is in no state to answer, or a gate before it speaks: another may be. */
static bool passes_over(int code) { return code == 401 || code == 403 || code == 408 || code == 429 || code >= 500; }

/* A client must not be led past this node. */
static bool leads_away(int code) { return code > 300 && code < 309 && code != 304; }

static void drop_failed(void *arg);

/* No answer that is handed on; from inside here the request must not be ended. */
static void fail_leg(aq_vapi_leg *leg) {
  leg->failed = true;
  aq_timer_after(leg->c->v->cfg.env, &leg->c->proxy_drop, 0, drop_failed, leg->c);
}

static bool under_way(const aq_call *c) {
  for (size_t i = 0; i < AQ_VAPI_LEGS; i++) {
    if (c->proxy_leg[i].id && !c->proxy_leg[i].failed) return true;
  }
  return false;
}

static bool in_time(const aq_call *c) { return aq_call_until(c) > aq_now_ns(c->v->cfg.env); }

/* Somebody else may answer yet. */
static bool others(aq_vapi_leg *leg) {
  const aq_call *c = leg->c;
  bool running = false;
  for (size_t i = 0; i < AQ_VAPI_LEGS; i++) {
    const aq_vapi_leg *l = &c->proxy_leg[i];
    running |= l != leg && l->id && !l->failed;
  }
  return running || (in_time(c) && aq_vapi_another(c->v, &c->proxy_tries));
}

static void head(void *arg, int code, const aq_http_headers *h) {
  aq_vapi_leg *leg = arg;
  aq_call *c = leg->c;
  aq_http_header out[HEADERS_MAX];
  if (c->proxy_won || leg->failed) return;
  if (code < 200 || code > 599 || leads_away(code) || (passes_over(code) && others(leg))) {
    if (passes_over(code) && code <= 599) c->proxy_refused = code;
    fail_leg(leg);
    return;
  }
  aq_bn_tell(c->v->cfg.bn, leg->place, code < 500);
  aq_timer_cancel(c->v->cfg.env, &c->proxy_slow);
  aq_timer_cancel(c->v->cfg.env, &c->proxy_drop);
  for (size_t i = 0; i < AQ_VAPI_LEGS; i++) {
    if (&c->proxy_leg[i] != leg) stop_leg(&c->proxy_leg[i]);
  }
  c->proxy_won = leg;
  c->proxy_code = code;
  size_t cnt = filter(out, 0, h, false);
  const char *length = aq_http_header_get(h, "Content-Length"); /* without a body: of the one that GET gives */
  bool chunks = aq_http_header_get(h, "Transfer-Encoding") && !bodiless(c); /* the length is void then */
  if (code != 204 && length && !chunks && cnt < HEADERS_MAX) out[cnt++] = (aq_http_header){"Content-Length", length};
  if (bodiless(c))
    keep_head(c, out, cnt);
  else
    c->vt->begin(c->res, code, &(aq_http_headers){out, cnt});
}

static void stalled(void *arg) {
  aq_call *c = arg;
  c->vt->cut(c->res);
  aq_call_done(c, c->proxy_code, "the client does not read");
}

static bool data(void *arg, aq_bytes chunk) {
  const aq_vapi_leg *leg = arg;
  aq_call *c = leg->c;
  if (c->proxy_won != leg || bodiless(c)) return true;
  if (c->vt->write(c->res, chunk)) return true;
  const aq_env *env = c->v->cfg.env;
  aq_timer_after(env, &c->proxy_timer, STALL_NS, stalled, c);
  return false;
}

/* Charon's label (core.md 13.4): segments joined by "_"; what is not a name becomes its kind. */
static void path_label(char out[AQ_METRIC_LABEL_MAX], const char *path) {
  size_t len = 0;
  bool peers = false;
  out[0] = 0;
  for (; len < AQ_METRIC_LABEL_MAX && *path; path += strcspn(path, "/")) {
    while (*path == '/') path++;
    size_t n = strcspn(path, "/");
    if (n == 0) break;
    bool hex = strncmp(path, "0x", 2) == 0, number = strspn(path, "0123456789") == n;
    const char *kind = peers ? "{peer_id}" : hex ? "{hex}" : number ? "{n}" : NULL;
    peers = n == 5 && strncmp(path, "peers", 5) == 0;
    int put =
        kind ? snprintf(out + len, AQ_METRIC_LABEL_MAX - len, "%s%s", len ? "_" : "", kind)
             : snprintf(out + len, AQ_METRIC_LABEL_MAX - len, "%s%.*s", len ? "_" : "", n > 64 ? 64 : (int)n, path);
    len += put > 0 ? (size_t)put : 0;
  }
}

/* Only paths that the beacon node has: others would be as many series as somebody asks for. */
static void count_proxied(const aq_call *c) {
  if (c->proxy_code < 200 || c->proxy_code > 299 || strncmp(c->path, "/eth/", 5) != 0) return;
  char path[AQ_METRIC_LABEL_MAX];
  path_label(path, c->path);
  double seconds = (double)(aq_mono_ns(c->v->cfg.env) - c->start_ns) / 1e9;
  aq_metric_observe(AQ_M_CORE_VALIDATORAPI_PROXY_REQUEST_LATENCY_SECONDS, seconds, AQ_LABELS(path));
}

/* Without an answer so far: the next beacon node, while the client waits. */
static void go_on(aq_call *c) {
  bool more = in_time(c) && start(c);
  if (more || (in_time(c) && under_way(c))) return;
  if (c->proxy_refused)
    plain(c, c->proxy_refused, "upstream error\n", "upstream error", c->proxy_refused == 503);
  else
    upstream_error(c, c->proxy_why);
}

static void drop_failed(void *arg) {
  aq_call *c = arg;
  aq_timer_cancel(c->v->cfg.env, &c->proxy_drop);
  for (size_t i = 0; i < AQ_VAPI_LEGS; i++) {
    aq_vapi_leg *leg = &c->proxy_leg[i];
    if (!leg->failed) continue;
    stop_leg(leg);
    leg->failed = false;
    aq_bn_tell(c->v->cfg.bn, leg->place, false);
  }
  go_on(c);
}

/* Both may be slow, and the answer long in the making: the first one goes on. */
static void slow(void *arg) {
  aq_call *c = arg;
  if (!aq_vapi_another(c->v, &c->proxy_tries)) return;
  for (size_t i = 0; i < AQ_VAPI_LEGS; i++) {
    if (c->proxy_leg[i].id) aq_bn_tell(c->v->cfg.bn, c->proxy_leg[i].place, false);
  }
  (void)start(c);
}

static void done(void *arg, aq_status st, const aq_httpc_res *res) {
  aq_vapi_leg *leg = arg;
  aq_call *c = leg->c;
  leg->id = 0;
  if (c->proxy_won != leg) {
    leg->failed = true;
    if (st != AQ_OK && res->why) c->proxy_why = aq_arena_str(&c->arena, aq_bytes_str(res->why));
    drop_failed(c);
    return;
  }
  if (st == AQ_OK) count_proxied(c);
  const char *err = c->proxy_code >= 400 ? "the beacon node refused" : NULL;
  if (bodiless(c)) {
    aq_call_answer(c, c->proxy_code, &(aq_http_headers){c->proxy_head, c->proxy_head_cnt}, aq_bytes_of("", 0), err);
    return;
  }
  if (st == AQ_OK)
    c->vt->end(c->res);
  else
    c->vt->cut(c->res); /* the status is out: only so the client sees that this is not all */
  aq_call_done(c, c->proxy_code, st == AQ_OK ? err : res->why ? res->why : "the beacon node's answer broke off");
}

static void drained(void *arg) {
  aq_call *c = arg;
  aq_timer_cancel(c->v->cfg.env, &c->proxy_timer);
  if (c->proxy_won && c->proxy_won->id) c->v->cfg.http->resume(c->v->cfg.http->ctx, c->proxy_won->id);
}

/* ---- the request ---- */

static aq_vapi_leg *free_leg(aq_call *c) {
  for (size_t i = 0; i < AQ_VAPI_LEGS; i++) {
    if (!c->proxy_leg[i].id) return &c->proxy_leg[i];
  }
  return NULL;
}

/* The normal form, never what was received: its characters need no escape. False: there is no beacon node left. */
static bool start(aq_call *c) {
  const aq_bn *bn = c->v->cfg.bn;
  aq_vapi_leg *leg = free_leg(c);
  const char *base = leg ? aq_vapi_upstream(c->v, &c->proxy_tries) : NULL;
  if (!base) return false;
  aq_buf path = AQ_BUF(URL_MAX), url = AQ_BUF(URL_MAX);
  aq_http_header out[HEADERS_MAX];
  bool post = strcmp(c->req->method, "POST") == 0;
  const aq_http_headers own = aq_bn_headers(bn);
  aq_buf_printf(&path, "%s%s%s", c->path, c->req->query[0] ? "?" : "", c->req->query);
  aq_url_request(&url, base, aq_buf_cstr(&path));
  aq_buf_free(&path);
  size_t cnt = filter(out, 0, &own, false); /* first: a beacon node behind a gate wants its token, not the client's */
  aq_httpc_req req = {.method = c->req->method,
                      .url = aq_buf_cstr(&url),
                      .headers = {out, filter(out, cnt, &c->req->headers, aq_url_has_user(base))},
                      .body = post ? c->req->body : aq_bytes_of("", 0),
                      .silence_ns = AQ_VAPI_CALL_NS,
                      .pool = AQ_HTTPC_PROXY};
  *leg = (aq_vapi_leg){.c = c, .place = c->proxy_tries.place};
  const aq_httpc_cb cb = {leg, head, data, done};
  leg->id = c->v->cfg.http->start(c->v->cfg.http->ctx, &req, &cb);
  aq_buf_free(&url);
  aq_timer_after(c->v->cfg.env, &c->proxy_slow, SLOW_NS, slow, c);
  return true;
}

/* False: 404 or 405 was answered. */
static bool forwarded(aq_call *c) {
  if (aq_vapi_forwards(c->req->method, c->path)) return true;
  bool reads = strcmp(c->req->method, "GET") == 0 || strcmp(c->req->method, "HEAD") == 0;
  if (reads || strcmp(c->req->method, "POST") == 0)
    aq_call_error(c, 404, "%s %.128s is not served: it was neither recorded nor sent on", c->req->method, c->path);
  else
    aq_call_not_allowed(c);
  return false;
}

void aq_vapi_proxy(aq_call *c) {
  if (!c->v->cfg.bn || !aq_bn_best(c->v->cfg.bn)[0]) {
    aq_vapi_not_found(c);
    return;
  }
  if (!forwarded(c)) return;
  if (strlen(c->req->query) > URL_MAX - AQ_URL_MAX - AQ_VAPI_PATH_MAX - 2 /* '?' and '&' */) {
    aq_call_error(c, 414, "the request line is too long");
    return;
  }
  c->vt->watch(c->res, aq_call_gone, drained, c);
  (void)enqueue(c);
}
