/* Everything else goes to the beacon node, streamed both in size and time. Spec: validator-api.md 13 and 18.7,
   contract.md 4.4. Status and body of the beacon node pass through; event streams have no time limit; subscriptions
   reach every beacon node. */
#include "api/vapi_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static void not_found(aq_call *c) {
  const aq_http_header h[] = {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}};
  aq_call_answer(c, 404, &(aq_http_headers){h, 2}, aq_bytes_str("404 page not found\n"), "404 page not found");
}

static void upstream_error(aq_call *c) {
  const aq_http_header h[] = {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}};
  aq_call_answer(c, 502, &(aq_http_headers){h, 2}, aq_bytes_str("upstream error\n"), "upstream error");
}

/* Headers that describe one connection, and the length that the server writes itself. */
static bool passes(const char *name) {
  static const char *const own[] = {"Connection",
                                    "Keep-Alive",
                                    "Transfer-Encoding",
                                    "Content-Length",
                                    "Host",
                                    "Upgrade",
                                    "TE",
                                    "Trailer",
                                    "Expect",
                                    "Accept-Encoding",
                                    "Date",
                                    "Proxy-Authenticate",
                                    "Proxy-Authorization"};
  for (size_t i = 0; i < AQ_COUNT(own); i++) {
    if (strcasecmp(name, own[i]) == 0) return false;
  }
  return true;
}

enum { HEADERS_MAX = 64 };

static size_t filter(aq_http_header *out, size_t cnt, const aq_http_headers *in) {
  for (size_t i = 0; i < in->cnt && cnt < HEADERS_MAX; i++) {
    if (passes(in->item[i].name)) out[cnt++] = in->item[i];
  }
  return cnt;
}

static void head(void *arg, int code, const aq_http_headers *h) {
  aq_call *c = arg;
  aq_http_header out[HEADERS_MAX];
  c->proxy_code = code;
  c->vt->begin(c->res, code, &(aq_http_headers){out, filter(out, 0, h)});
}

static bool data(void *arg, aq_bytes chunk) {
  aq_call *c = arg;
  return c->vt->write(c->res, chunk);
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
  if (c->proxy_code < 200 || c->proxy_code > 299 || strncmp(c->req->path, "/eth/", 5) != 0) return;
  char path[AQ_METRIC_LABEL_MAX];
  path_label(path, c->req->path);
  double seconds = (double)(aq_mono_ns(c->v->cfg.env) - c->start_ns) / 1e9;
  aq_metric_observe(AQ_M_CORE_VALIDATORAPI_PROXY_REQUEST_LATENCY_SECONDS, seconds, AQ_LABELS(path));
}

static void done(void *arg, aq_status st, const aq_httpc_res *res) {
  (void)res;
  aq_call *c = arg;
  c->proxy_id = 0;
  if (c->proxy_code == 0) {
    upstream_error(c);
    return;
  }
  if (st == AQ_OK) count_proxied(c);
  c->vt->end(c->res);
  const char *err = st != AQ_OK ? "upstream error" : c->proxy_code >= 400 ? "the beacon node refused" : NULL;
  aq_call_done(c, c->proxy_code, err);
}

static void gone(void *arg) {
  aq_call *c = arg;
  c->gone = true;
  if (c->proxy_id) c->v->cfg.http->cancel(c->v->cfg.http->ctx, c->proxy_id);
  c->proxy_id = 0;
  aq_list_remove(&c->link);
  aq_arena_free(&c->arena);
  free(c);
}

static void drained(void *arg) {
  aq_call *c = arg;
  if (c->proxy_id) c->v->cfg.http->resume(c->v->cfg.http->ctx, c->proxy_id);
}

void aq_vapi_proxy(aq_call *c) {
  if (!c->v->cfg.bn) {
    not_found(c);
    return;
  }
  aq_buf url = AQ_BUF(65536);
  aq_buf_printf(&url, "%s%s%s%s", aq_bn_best(c->v->cfg.bn), c->req->raw_path, c->req->query[0] ? "?" : "",
                c->req->query);
  if (url.failed) {
    aq_buf_free(&url);
    aq_call_error(c, 414, "the request line is too long");
    return;
  }
  aq_http_header out[HEADERS_MAX];
  const aq_http_headers own = aq_bn_headers(c->v->cfg.bn);
  size_t cnt = filter(out, 0, &own); /* first: a beacon node behind a gate wants its token, not the client's */
  aq_httpc_req req = {.method = c->req->method,
                      .url = aq_buf_cstr(&url),
                      .headers = {out, filter(out, cnt, &c->req->headers)},
                      .body = c->req->body,
                      .timeout_ns = strstr(c->req->path, "/events") ? 0 : AQ_VAPI_CALL_NS};
  const aq_httpc_cb cb = {c, head, data, done};
  c->vt->watch(c->res, gone, drained, c);
  c->proxy_id = c->v->cfg.http->start(c->v->cfg.http->ctx, &req, &cb);
  aq_buf_free(&url);
}

static void subscribed(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_call *c = arg;
  c->bn_id = 0;
  if (ans && ans->code)
    aq_call_json(c, ans->code, ans->body);
  else
    aq_call_error(c, 502, "no beacon node took the subscription: %s", aq_status_text(st));
}

void aq_vapi_subscribe_all(aq_call *c) {
  if (!c->v->cfg.bn) {
    not_found(c);
    return;
  }
  const aq_bn_req req = {
      .endpoint = c->route->name, .method = "POST", .path = c->req->path, .body = c->req->body, .submit = true};
  c->bn_id = aq_bn_call(c->v->cfg.bn, &req, subscribed, c);
}
