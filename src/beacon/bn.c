/* Which beacon nodes a call goes to and in which order, whose answer counts, and what each of them ails. */
#include "beacon/bn_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/url.h"
#include "beacon/retry.h"
#include "http/http.h"

enum { URL_IDS_MAX = 1 << 20 }; /* a URL that lists the ids of all validators */

/* ---- endpoints ---- */

static uint64_t minute_now(const aq_bn *b) { return aq_mono_ns(b->cfg.env) / AQ_SECONDS(60); }

static void ep_turn(aq_bn_endpoint *ep, uint64_t minute) {
  if (ep->minute == minute) return;
  ep->ok_before = ep->minute + 1 == minute ? ep->ok_now : 0;
  ep->ok_now = 0;
  ep->minute = minute;
}

static void ep_good(aq_bn_endpoint *ep) {
  ep_turn(ep, minute_now(ep->bn));
  ep->ok_now++;
}

static uint32_t ep_score(const aq_bn_endpoint *ep, uint64_t minute) {
  if (ep->minute == minute) return ep->ok_now + ep->ok_before;
  return ep->minute + 1 == minute ? ep->ok_now : 0;
}

void aq_bn_heard(aq_bn_endpoint *ep, int code) { ep->away = code == 0 || (code >= 500 && code != 501); }

static int ills(const aq_bn_endpoint *ep) { return ep->away ? 2 : ep->unsynced; }

/* Of our chain before others, then the healthier, then the more successful, then the one named first. */
static bool goes_before(const aq_bn_endpoint *a, const aq_bn_endpoint *b, uint64_t minute) {
  if (aq_bn_usable(a) != aq_bn_usable(b)) return aq_bn_usable(a);
  if (ills(a) != ills(b)) return ills(a) < ills(b);
  uint32_t x = ep_score(a, minute), y = ep_score(b, minute);
  return x > y || (x == y && a < b);
}

_Static_assert(AQ_BN_ALL_MAX <= 32, "tried nodes are bits of 32");

/* With none of our chain the first stays: what it answers concerns its client only. */
const char *aq_bn_next(const aq_bn *b, uint32_t *tried, size_t *place) {
  uint64_t minute = minute_now(b);
  const aq_bn_endpoint *best = NULL;
  for (size_t i = 0; i < b->ep_cnt; i++) {
    const aq_bn_endpoint *ep = &b->ep[i];
    bool left = !(*tried >> i & 1) && (*tried == 0 || aq_bn_usable(ep));
    if (left && (!best || goes_before(ep, best, minute))) best = ep;
  }
  if (!best) return NULL;
  *place = (size_t)(best - b->ep);
  *tried |= UINT32_C(1) << *place;
  return best->url;
}

const char *aq_bn_best(const aq_bn *b) {
  uint32_t tried = 0;
  size_t place;
  const char *url = aq_bn_next(b, &tried, &place);
  return url ? url : "";
}

void aq_bn_tell(aq_bn *b, size_t place, bool answered) {
  AQ_ASSERT(place < b->ep_cnt);
  b->ep[place].away = !answered;
}

bool aq_bn_ails(const aq_bn *b, size_t place) {
  AQ_ASSERT(place < b->ep_cnt);
  return ills(&b->ep[place]) > 0;
}

aq_http_headers aq_bn_headers(const aq_bn *b) { return b->cfg.headers; }

aq_bn *aq_bn_new(const aq_bn_cfg *cfg) {
  AQ_ASSERT(cfg->endpoint_cnt <= AQ_BN_ENDPOINTS_MAX && cfg->fallback_cnt <= AQ_BN_ENDPOINTS_MAX);
  AQ_ASSERT(cfg->headers.cnt <= AQ_BN_HEADERS_MAX);
  aq_bn *b = calloc(1, sizeof *b);
  AQ_ASSERT(b);
  b->cfg = *cfg;
  if (b->cfg.timeout_ns == 0) b->cfg.timeout_ns = AQ_SECONDS(2);
  if (b->cfg.submit_timeout_ns == 0) b->cfg.submit_timeout_ns = AQ_SECONDS(2);
  aq_list_init(&b->calls);
  for (size_t i = 0; i < cfg->endpoint_cnt + cfg->fallback_cnt; i++) {
    aq_bn_endpoint *ep = &b->ep[b->ep_cnt++];
    ep->bn = b;
    ep->url = i < cfg->endpoint_cnt ? cfg->endpoints[i] : cfg->fallbacks[i - cfg->endpoint_cnt];
    aq_url_site(ep->site, ep->url);
    aq_sse_init(&ep->stream.sse);
  }
  return b;
}

/* ---- failures ---- */

void aq_bn_why_of(char out[AQ_HTTP_WHY_MAX], const aq_bn_endpoint *ep, aq_status st, const aq_httpc_res *res) {
  if (st == AQ_OK && (res->code < 200 || res->code > 299))
    aq_http_code_text(out, ep->site, res->code, res->body);
  else if (st != AQ_OK && res->why)
    snprintf(out, AQ_HTTP_WHY_MAX, "%s", res->why);
  else
    snprintf(out, AQ_HTTP_WHY_MAX, "%s: %s", ep->site,
             st == AQ_OK ? "its answer does not fit the question" : aq_status_text(st));
}

void aq_bn_trouble(aq_bn_endpoint *ep, const char *why) {
  if (strcmp(ep->trouble, why) == 0) return;
  snprintf(ep->trouble, sizeof ep->trouble, "%s", why);
  if (*why) AQ_LOG(AQ_LOG_WARN, "beacon_node_trouble", AQ_STR("addr", ep->site), AQ_STR("err", ep->trouble));
}

const char *aq_bn_why(const aq_bn *b) { return b->why ? b->why : ""; }

/* ---- calls ---- */

static void call_free(aq_bn_call_rec *c) {
  aq_bn *b = c->bn;
  for (size_t i = 0; i < c->leg_cnt; i++) {
    if (c->leg[i].http_id) b->cfg.http->cancel(b->cfg.http->ctx, c->leg[i].http_id);
  }
  aq_timer_cancel(b->cfg.env, &c->timer);
  aq_list_remove(&c->link);
  b->call_cnt--;
  aq_arena_free(&c->arena);
  free(c);
}

static void call_account(const aq_bn_call_rec *c, bool ok) {
  const char *const *label = AQ_LABELS(c->req.endpoint);
  aq_metric_add(AQ_M_APP_ETH2_REQUESTS_TOTAL, 1, label);
  if (!ok) aq_metric_add(AQ_M_APP_ETH2_ERRORS_TOTAL, 1, label);
  double s = (double)(aq_mono_ns(c->bn->cfg.env) - c->start_ns) / 1e9;
  aq_metric_observe(AQ_M_APP_ETH2_LATENCY_SECONDS, s, label);
}

static bool is_judged(const aq_bn_call_rec *c) { return c->req.good && !c->req.forgiving; }

/* Ends the call without a good answer: unlinked first, so that a cancel from inside fn finds nothing. */
static void call_fail(aq_bn_call_rec *c, aq_status st, const aq_bn_answer *ans) {
  call_account(c, false);
  if (st == AQ_E_FORMAT && is_judged(c)) c->bn->unfit_run++;
  if (!ans) c->bn->unfit_run = 0; /* it is away */
  aq_bn_fn fn = c->fn;
  void *arg = c->arg;
  c->answered = true;
  aq_list_remove(&c->link);
  c->bn->why = c->best_why ? c->best_why : aq_status_text(st);
  fn(arg, st, ans);
  c->bn->why = NULL;
  call_free(c);
}

static void leg_done(void *arg, aq_status st, const aq_httpc_res *res);

static void leg_start(aq_bn_call_rec *c, aq_bn_endpoint *ep, aq_http_headers headers) {
  aq_bn *b = c->bn;
  aq_bn_leg *leg = &c->leg[c->leg_cnt++];
  aq_buf url = AQ_BUF(URL_IDS_MAX);
  aq_url_request(&url, ep->url, c->req.path);
  const aq_httpc_req req = {.method = c->req.method,
                            .url = aq_buf_cstr(&url),
                            .headers = headers,
                            .body = c->req.body,
                            .timeout_ns = c->req.timeout_ns,
                            .pool = c->req.pool,
                            .body_max = c->req.body_max};
  const aq_httpc_cb cb = {.arg = leg, .done = leg_done};
  *leg = (aq_bn_leg){c, ep, 0};
  c->open++;
  leg->http_id = b->cfg.http->start(b->cfg.http->ctx, &req, &cb);
  aq_buf_free(&url);
}

/* A question to all of a kind, but to none of another chain. False: there is nobody to ask. */
static bool call_start(aq_bn_call_rec *c, aq_bn_endpoint *first, size_t cnt) {
  aq_bn *b = c->bn;
  aq_http_header h[4 + AQ_BN_HEADERS_MAX];
  size_t n = 0;
  h[n++] = (aq_http_header){"Accept", c->req.accept};
  if (c->req.content_type) h[n++] = (aq_http_header){"Content-Type", c->req.content_type};
  if (c->req.consensus_version) h[n++] = (aq_http_header){"Eth-Consensus-Version", c->req.consensus_version};
  for (size_t i = 0; i < b->cfg.headers.cnt && n < AQ_COUNT(h); i++) h[n++] = b->cfg.headers.item[i];
  c->leg_cnt = c->open = 0;
  for (size_t i = 0; i < cnt; i++) {
    if (aq_bn_usable(&first[i]) && (!c->only || c->only == &first[i])) leg_start(c, &first[i], (aq_http_headers){h, n});
  }
  return c->leg_cnt > 0;
}

/* How much a failure tells the caller. What may pass at one node (it lacks a block yet) keeps the whole call from
   being final; a clear refusal beats a missing route, that a broken node, a gate or a busy one, that silence. */
enum { RANK_LIMIT = 3, RANK_BROKEN, RANK_UNFIT, RANK_ROUTE, RANK_REFUSED, RANK_PASSES };

static int failure_rank(aq_status st, const aq_bn_answer *ans) {
  if (st == AQ_E_LIMIT || (st == AQ_E_FORMAT && !ans)) return RANK_LIMIT;
  if (!ans) return st == AQ_E_TIMEOUT ? 2 : 1;
  if (ans->code >= 200 && ans->code <= 299) return RANK_UNFIT;
  if (ans->code < 400 || ans->code > 499) return RANK_BROKEN;
  switch (aq_failure_of(AQ_E_REFUSED, ans)) {
    case AQ_FAILURE_ROUTE: return RANK_ROUTE;
    case AQ_FAILURE_MEDIA:
    case AQ_FAILURE_FINAL: return RANK_REFUSED;
    case AQ_FAILURE_AGAIN: break;
  }
  return ans->code == 400 ? RANK_PASSES : RANK_BROKEN;
}

static void keep_failure(aq_bn_call_rec *c, aq_status st, const aq_bn_answer *ans, const char *why) {
  int rank = failure_rank(st, ans);
  if (rank <= c->best_rank) return;
  aq_bn_answer best = {0};
  if (ans) {
    size_t len = ans->body.len < AQ_BN_ERROR_BODY_MAX ? ans->body.len : AQ_BN_ERROR_BODY_MAX;
    best.code = ans->code;
    best.body = aq_arena_copy(&c->arena, aq_bytes_of(ans->body.ptr, len));
    best.content_type = aq_arena_str(&c->arena, aq_bytes_str(ans->content_type));
    if (!best.body.ptr || !best.content_type) return;
  }
  c->best_rank = rank;
  c->best_st = st;
  c->best = best;
  c->best_why = aq_arena_str(&c->arena, aq_bytes_str(why));
}

/* Fallbacks are for nodes that are down, not synced or of another chain (core.md 12.1); a refusal would be repeated. */
static bool start_fallbacks(aq_bn_call_rec *c) {
  if (c->on_fallbacks || c->best_rank == RANK_ROUTE || c->best_rank == RANK_REFUSED) return false;
  c->on_fallbacks = true;
  if (!call_start(c, &c->bn->ep[c->bn->cfg.endpoint_cnt], c->bn->cfg.fallback_cnt)) return false;
  if (c->best_rank < RANK_PASSES) c->best_rank = 0;
  return true;
}

static void stage_end(aq_bn_call_rec *c) {
  if (c->answered)
    call_free(c);
  else if (!start_fallbacks(c))
    call_fail(c, c->best_st, c->best.code ? &c->best : NULL);
}

static void call_good(aq_bn_call_rec *c, const aq_bn_answer *ans) {
  call_account(c, true);
  if (is_judged(c)) c->bn->unfit_run = 0;
  aq_metric_set(AQ_M_APP_ETH2_USING_FALLBACK, c->on_fallbacks ? 1 : 0, AQ_NO_LABELS);
  c->answered = true;
  aq_bn_fn fn = c->fn;
  void *arg = c->arg;
  if (c->req.submit && c->open > 0) {
    fn(arg, AQ_OK, ans);
    return;
  }
  aq_list_remove(&c->link);
  for (size_t i = 0; i < c->leg_cnt; i++) {
    if (c->leg[i].http_id) c->bn->cfg.http->cancel(c->bn->cfg.http->ctx, c->leg[i].http_id);
    c->leg[i].http_id = 0;
  }
  fn(arg, AQ_OK, ans);
  call_free(c);
}

static void leg_done(void *arg, aq_status st, const aq_httpc_res *res) {
  aq_bn_leg *leg = arg;
  aq_bn_call_rec *c = leg->call;
  leg->http_id = 0;
  c->open--;
  aq_bn_answer ans = {.content_type = ""};
  bool came = st == AQ_OK;
  c->bn->answering = leg->ep;
  aq_bn_heard(leg->ep, came ? res->code : 0);
  if (came) {
    ans = (aq_bn_answer){.code = res->code, .body = res->body, .headers = res->headers};
    const char *type = aq_http_header_get(&res->headers, "Content-Type");
    ans.content_type = type ? type : "";
    if (ans.code < 200 || ans.code > 299) {
      st = AQ_E_REFUSED;
      if (c->req.submit && (ans.code == 400 || ans.code == 415)) aq_bn_watch_doubt(leg->ep); /* perhaps of its fork */
    } else if (c->answered) {
      ep_good(leg->ep);
    } else if (!c->req.good || c->req.good(c->arg, &ans)) {
      ep_good(leg->ep);
      if (is_judged(c)) leg->ep->unfit_run = 0;
      call_good(c, &ans);
      return;
    } else {
      st = AQ_E_FORMAT;
      leg->ep->unfit_run += is_judged(c);
    }
  }
  if (!c->answered && st != AQ_OK) {
    char why[AQ_HTTP_WHY_MAX];
    aq_bn_why_of(why, leg->ep, came ? AQ_OK : st, res);
    /* Later the event streams tell it; a call that fails at all tells of one beacon node only. */
    if (!c->bn->chain_known && c->bn->ep_cnt > 1 && st != AQ_E_FORMAT) aq_bn_trouble(leg->ep, why);
    keep_failure(c, st, came ? &ans : NULL, why);
  }
  if (c->open == 0) stage_end(c);
}

static void not_started(void *arg) {
  aq_bn_call_rec *c = arg;
  call_fail(c, c->best_st, NULL);
}

static const char *copy_str(aq_arena *a, const char *s) { return s ? aq_arena_str(a, aq_bytes_str(s)) : NULL; }

static void copy_req(aq_bn_call_rec *c, const aq_bn_req *req) {
  aq_arena *a = &c->arena;
  c->req = *req;
  c->req.endpoint = copy_str(a, req->endpoint);
  c->req.method = copy_str(a, req->method);
  c->req.path = copy_str(a, req->path);
  c->req.accept = copy_str(a, req->accept ? req->accept : "application/json");
  c->req.content_type = copy_str(a, req->content_type ? req->content_type : req->body.len ? "application/json" : NULL);
  c->req.consensus_version = copy_str(a, req->consensus_version);
  c->req.body = aq_arena_copy(a, req->body.len ? req->body : aq_bytes_of("", 0));
  if (req->timeout_ns == 0) c->req.timeout_ns = req->submit ? c->bn->cfg.submit_timeout_ns : c->bn->cfg.timeout_ns;
  if (req->body_max == 0) c->req.body_max = AQ_BN_BODY_MAX;
}

uint64_t aq_bn_call_on(aq_bn *b, aq_bn_endpoint *only, const aq_bn_req *req, aq_bn_fn fn, void *arg) {
  aq_bn_call_rec *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  c->bn = b;
  c->only = only;
  c->id = ++b->last_id;
  c->fn = fn;
  c->arg = arg;
  c->start_ns = aq_mono_ns(b->cfg.env);
  aq_arena_init(&c->arena, SIZE_MAX / 2); /* our own request, then one error answer per beacon node */
  copy_req(c, req);
  AQ_ASSERT(c->req.endpoint && c->req.method && c->req.path && c->req.accept && c->req.body.ptr);
  aq_list_push(&b->calls, &c->link);
  b->call_cnt++;
  if (b->ep_cnt == 0 || b->call_cnt > AQ_BN_CALLS_MAX) {
    c->best_st = b->ep_cnt ? AQ_E_LIMIT : AQ_E_CLOSED;
    c->best_why = b->ep_cnt ? "too many questions at once" : "no beacon node is configured";
    aq_timer_after(b->cfg.env, &c->timer, 0, not_started, c);
  } else if (!call_start(c, b->ep, b->cfg.endpoint_cnt) && !start_fallbacks(c)) {
    c->best_st = AQ_E_CLOSED;
    c->best_why = "no beacon node is of this chain";
    aq_timer_after(b->cfg.env, &c->timer, 0, not_started, c);
  }
  return c->id;
}

uint64_t aq_bn_call(aq_bn *b, const aq_bn_req *req, aq_bn_fn fn, void *arg) {
  return aq_bn_call_on(b, NULL, req, fn, arg);
}

void aq_bn_cancel(aq_bn *b, uint64_t id) {
  AQ_LIST_EACH(&b->calls, c, aq_bn_call_rec, link) {
    if (c->id != id) continue;
    if (!c->answered) call_free(c);
    return;
  }
}

void aq_bn_free(aq_bn *b) {
  if (!b) return;
  aq_bn_stream_stop(b);
  aq_bn_watch_stop(b);
  aq_bn_load_stop(b);
  for (aq_list *first; (first = aq_list_pop(&b->calls));) {
    aq_bn_call_rec *c = AQ_CONTAINER(first, aq_bn_call_rec, link);
    if (c->answered)
      call_free(c);
    else
      call_fail(c, AQ_E_CLOSED, NULL);
  }
  for (size_t i = 0; i < b->ep_cnt; i++) aq_sse_free(&b->ep[i].stream.sse);
  free(b);
}

void aq_bn_health_get(const aq_bn *b, aq_bn_health *out) {
  *out = b->health;
  aq_bn_watch_health(b, out);
}
