/* The event stream of the beacon API for any number of clients over one stream to a beacon node. Spec:
   validator-api.md 12 and 13. The stream has the topics of all clients; a client gets those that it named. When a
   client names a topic that the stream does not have, a second stream with it is opened beside the first and takes its
   place; what both brought meanwhile is sent once. When the beacon node goes away the clients stay, and the stream
   comes back. A client that does not read is cut, as is one whose topics a beacon node that comes back does not
   know. */
#include "api/vapi_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/url.h"
#include "beacon/bn_sse.h"
#include "http/http.h"
#include "http/http_fault.h"

enum {
  CLIENTS_MAX = 128,                                /* half of the server's connections */
  CLIENTS_EACH = 64,                                /* of one address and program */
  REFUSAL_MAX = 4096,                               /* of a beacon node's answer to topics that it does not know */
  SENT_MAX = 64,                                    /* events remembered while two streams run: those of a few slots */
  EVENT_MAX = AQ_SSE_DATA_MAX + AQ_SSE_DATA_MAX / 2 /* with "data: " before each line */
};
#define OVERLAP_NS AQ_SECONDS(2)   /* longer than what is under way on the old stream */
#define SILENCE_NS AQ_SECONDS(60)  /* `head` is always asked for: some slots without one */
#define PAUSE_MIN_NS AQ_SECONDS(1) /* before the beacon node is asked again */
#define PAUSE_MAX_NS AQ_SECONDS(8)
#define SLOW_NS AQ_SECONDS(2)   /* without the head of an answer, when there is another beacon node */
#define ALIVE_NS AQ_SECONDS(15) /* a comment that often finds out who is gone, and keeps the others waiting */

/* Topics of the beacon API of all forks so far. The first ones are those that every beacon node has. */
static const char *const topics[] = {"head",
                                     "block",
                                     "attestation",
                                     "voluntary_exit",
                                     "finalized_checkpoint",
                                     "chain_reorg",
                                     "contribution_and_proof",
                                     "block_gossip",
                                     "single_attestation",
                                     "bls_to_execution_change",
                                     "proposer_slashing",
                                     "attester_slashing",
                                     "light_client_finality_update",
                                     "light_client_optimistic_update",
                                     "payload_attributes",
                                     "blob_sidecar",
                                     "data_column_sidecar",
                                     "head_v2",
                                     "execution_payload",
                                     "execution_payload_gossip",
                                     "execution_payload_available",
                                     "execution_payload_bid",
                                     "payload_attestation_message",
                                     "proposer_preferences",
                                     "inclusion_list"};
enum { HEAD = 1, COMMON = 0x7f /* the first seven */ };
_Static_assert(AQ_COUNT(topics) <= 32, "topics are bits of 32");

/* One stream to a beacon node. */
typedef struct {
  aq_vapi_events *e;
  uint64_t id; /* 0: ended */
  uint32_t topics;
  size_t place; /* which beacon node */
  int code;     /* 0 before the head */
  aq_sse sse;
  aq_buf refusal;
} upstream;

struct aq_vapi_events {
  aq_vapi *v;
  aq_list clients;               /* by age */
  upstream *live, *probe, *old;  /* old: the one before live, for a moment */
  aq_call *probe_for;            /* the client whose topics the probe adds, or NULL */
  aq_timer soon, overlap, alive; /* soon: next look at what is to be done */
  uint64_t pause_ns;
  bool pausing;              /* `soon` is armed for a later moment: new clients wait for it */
  aq_vapi_tries tries;       /* beacon nodes that failed in a row */
  char why[AQ_HTTP_WHY_MAX]; /* the last one that failed */
  aq_timer slow;             /* the probe has no head yet */
  uint64_t sent[SENT_MAX];
  size_t sent_next;
};

static void look(void *arg);

static void look_at(aq_vapi_events *e, uint64_t in_ns) {
  const aq_env *env = e->v->cfg.env;
  e->pausing = in_ns > 0;
  aq_timer_after(env, &e->soon, in_ns, look, e);
}

/* ---- streams ---- */

static void upstream_free(upstream **place) {
  upstream *u = *place;
  if (!u) return;
  const aq_httpc *http = u->e->v->cfg.http;
  if (u->id) http->cancel(http->ctx, u->id);
  aq_sse_free(&u->sse);
  aq_buf_free(&u->refusal);
  free(u);
  *place = NULL;
}

static void overlap_over(void *arg) {
  aq_vapi_events *e = arg;
  upstream_free(&e->old);
  look_at(e, 0);
}

/* Sent before, by the other of two streams? */
static bool known(aq_vapi_events *e, const char *name, aq_bytes text) {
  uint64_t h = aq_vapi_hash(aq_vapi_hash(AQ_VAPI_HASH_START, aq_bytes_str(name)), text);
  for (size_t i = 0; e->old && i < SENT_MAX; i++) {
    if (e->sent[i] == h) return true;
  }
  e->sent[e->sent_next] = h;
  e->sent_next = (e->sent_next + 1) % SENT_MAX;
  return false;
}

static void put_event(aq_buf *out, const char *name, aq_bytes text) {
  aq_buf_printf(out, "event: %s\n", name);
  for (bool more = true; more;) {
    const uint8_t *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    size_t len = end ? (size_t)(end - text.ptr) : text.len;
    aq_buf_put_str(out, "data: ");
    aq_buf_put(out, text.ptr, len);
    aq_buf_put_u8(out, '\n');
    more = end != NULL;
    if (more) text = aq_bytes_of(end + 1, text.len - len - 1);
  }
  aq_buf_put_u8(out, '\n');
}

static void cut(aq_call *c, const char *why) {
  c->vt->cut(c->res);
  aq_call_done(c, 200, why);
}

static void send_all(aq_vapi_events *e, uint32_t wanted, aq_bytes text) {
  AQ_LIST_EACH(&e->clients, c, aq_call, proxy_link) {
    if (c->streaming && (c->topics & wanted) && !c->vt->write(c->res, text)) cut(c, "the client does not read");
  }
}

static uint32_t topic_bit(aq_bytes name) {
  for (size_t i = 0; i < AQ_COUNT(topics); i++) {
    if (aq_bytes_eq(name, aq_bytes_str(topics[i]))) return UINT32_C(1) << i;
  }
  return 0;
}

static void on_event(void *arg, const char *name, aq_bytes text) {
  upstream *u = arg;
  aq_vapi_events *e = u->e;
  uint32_t bit = topic_bit(aq_bytes_str(name));
  if (!bit || known(e, name, text)) return;
  aq_buf out = AQ_BUF(EVENT_MAX);
  put_event(&out, name, text);
  if (!out.failed) send_all(e, bit, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

static void begin(aq_call *c) {
  static const aq_http_header h[] = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}};
  c->streaming = true;
  aq_timer_cancel(c->v->cfg.env, &c->proxy_timer);
  c->vt->begin(c->res, 200, &(aq_http_headers){h, AQ_COUNT(h)});
  if (!c->vt->write(c->res, aq_bytes_str(":\n\n"))) cut(c, "the client does not read");
}

/* Whether what runs has all topics of a client, and what is about to take its place, too. */
static bool served(const aq_vapi_events *e, const aq_call *c) {
  if (!e->live || (c->topics & ~e->live->topics) != 0) return false;
  return !e->probe || (c->topics & ~e->probe->topics) == 0;
}

static void begin_served(aq_vapi_events *e) {
  AQ_LIST_EACH(&e->clients, c, aq_call, proxy_link) {
    if (!c->streaming && served(e, c)) begin(c);
  }
}

/* The stream is open: it takes the place of the one before, and who waited for its topics begins. */
static void opened(upstream *u) {
  aq_vapi_events *e = u->e;
  const aq_env *env = e->v->cfg.env;
  AQ_LOG(AQ_LOG_INFO, "events_stream", AQ_STR("result", "ok"),
         AQ_UINT("topics", (uint64_t)__builtin_popcount(u->topics)));
  upstream_free(&e->old);
  e->old = e->live;
  if (e->old) aq_timer_after(env, &e->overlap, OVERLAP_NS, overlap_over, e);
  e->live = u;
  e->probe = NULL;
  e->probe_for = NULL;
  e->pause_ns = 0;
  e->tries = (aq_vapi_tries){0};
  aq_timer_cancel(env, &e->slow);
  aq_bn_tell(e->v->cfg.bn, u->place, true);
  begin_served(e);
  look_at(e, 0);
}

static void head(void *arg, int code, const aq_http_headers *h) {
  upstream *u = arg;
  (void)h;
  if (u->code) return;
  u->code = code;
  if (code >= 200 && code <= 299) opened(u);
}

static bool data(void *arg, aq_bytes chunk) {
  upstream *u = arg;
  if (u->code >= 200 && u->code <= 299)
    aq_sse_feed(&u->sse, chunk, on_event, u);
  else if (chunk.len <= REFUSAL_MAX - u->refusal.len)
    aq_buf_put_bytes(&u->refusal, chunk);
  return true;
}

/* ---- ends ---- */

/* Topics of all clients that have a stream, 0 when none has. */
static uint32_t streamed(aq_vapi_events *e) {
  uint32_t all = 0;
  AQ_LIST_EACH(&e->clients, c, aq_call, proxy_link) {
    if (c->streaming) all |= c->topics | HEAD;
  }
  return all;
}

static void no_stream(void *arg) {
  const aq_call *c = arg;
  const char *why = c->v->events->why[0] ? c->v->events->why : "upstream error";
  const aq_http_header h[] = {{"Content-Type", "text/plain; charset=utf-8"}, {"Retry-After", "1"}};
  aq_call_answer(arg, 502, &(aq_http_headers){h, 2}, aq_bytes_str("upstream error\n"), why);
}

/* The beacon node does not take these topics. Asked for one client: it gets the answer. A beacon node that came back:
   those go that want more than every one has. False: nobody went. */
static bool refused(aq_vapi_events *e, const upstream *u) {
  const aq_http_header h = {"Content-Type", "application/json"};
  bool any = false;
  if (e->probe_for) {
    aq_call_answer(e->probe_for, u->code, &(aq_http_headers){&h, 1}, aq_buf_bytes(&u->refusal),
                   "the beacon node refused");
    return true;
  }
  AQ_LIST_EACH(&e->clients, c, aq_call, proxy_link) {
    if (e->live || !c->streaming || (c->topics & ~(uint32_t)COMMON) == 0) continue;
    cut(c, "the beacon node does not have the topic");
    any = true;
  }
  return any;
}

/* The next beacon node, or a pause. Who waits goes: a client asks again as long as it likes. */
static void failed(aq_vapi_events *e) {
  if (e->tries.cnt == 1 || aq_vapi_another(e->v, &e->tries)) {
    look_at(e, 0);
    return;
  }
  e->tries = (aq_vapi_tries){0};
  AQ_LIST_EACH(&e->clients, c, aq_call, proxy_link) {
    if (!c->streaming) no_stream(c);
  }
  e->pause_ns = e->pause_ns ? 2 * e->pause_ns : PAUSE_MIN_NS;
  if (e->pause_ns > PAUSE_MAX_NS) e->pause_ns = PAUSE_MAX_NS;
  look_at(e, e->pause_ns);
}

static void probe_done(upstream *u, bool answered) {
  aq_vapi_events *e = u->e;
  bool shrinks = e->live && !e->probe_for; /* what runs serves all */
  bool gate = u->code != 400 && aq_vapi_another(e->v, &e->tries);
  bool settled = answered && u->code >= 400 && u->code <= 499 && !gate && refused(e, u);
  if (!answered || u->code >= 500) aq_bn_tell(e->v->cfg.bn, u->place, false);
  aq_timer_cancel(e->v->cfg.env, &e->slow);
  upstream_free(&e->probe);
  e->probe_for = NULL;
  begin_served(e); /* what runs stays */
  if (settled || shrinks)
    look_at(e, 0);
  else
    failed(e);
}

/* The beacon node does not even begin to answer: another one may. A lone one has its time. */
static void slow(void *arg) {
  aq_vapi_events *e = arg;
  if (e->probe && aq_vapi_another(e->v, &e->tries)) probe_done(e->probe, false);
}

static void done(void *arg, aq_status st, const aq_httpc_res *res) {
  upstream *u = arg;
  aq_vapi_events *e = u->e;
  u->id = 0;
  if (u == e->probe) {
    snprintf(e->why, sizeof e->why, "%s", st != AQ_OK && res->why ? res->why : "upstream error");
    probe_done(u, st == AQ_OK);
  } else if (u == e->old) {
    upstream_free(&e->old);
  } else {
    AQ_LOG(AQ_LOG_WARN, "events_stream",
           AQ_STR("err", st == AQ_OK ? "the stream ended"
                         : res->why  ? res->why
                                     : aq_status_text(st)),
           AQ_STR("result", "lost"));
    if (st != AQ_OK) aq_bn_tell(e->v->cfg.bn, u->place, false);
    upstream_free(&e->live);
    look_at(e, PAUSE_MIN_NS);
  }
}

/* ---- what is to be done ---- */

static void connect_to(aq_vapi_events *e, uint32_t wanted) {
  const aq_vapi_cfg *cfg = &e->v->cfg;
  const char *base = aq_vapi_upstream(e->v, &e->tries), *join = "?topics=";
  if (!base) { /* since it was looked for, one turned out to be of another chain */
    e->tries = (aq_vapi_tries){0};
    base = aq_vapi_upstream(e->v, &e->tries);
  }
  aq_buf path = AQ_BUF(AQ_BN_URL_MAX), url = AQ_BUF(AQ_BN_URL_MAX);
  upstream *u = calloc(1, sizeof *u);
  AQ_ASSERT(u && base);
  *u = (upstream){.e = e, .topics = wanted, .place = e->tries.place, .refusal = AQ_BUF(REFUSAL_MAX)};
  aq_sse_init(&u->sse);
  aq_buf_put_str(&path, "/eth/v1/events");
  for (size_t i = 0; i < AQ_COUNT(topics); i++) {
    if (!(wanted >> i & 1)) continue;
    aq_buf_printf(&path, "%s%s", join, topics[i]);
    join = "&topics=";
  }
  aq_url_request(&url, base, aq_buf_cstr(&path));
  aq_buf_free(&path);
  aq_http_header h[1 + AQ_BN_HEADERS_MAX] = {{"Accept", "text/event-stream"}};
  const aq_http_headers own = aq_bn_headers(cfg->bn);
  size_t cnt = 1;
  for (size_t i = 0; i < own.cnt && cnt < AQ_COUNT(h); i++) h[cnt++] = own.item[i];
  const aq_httpc_req req = {
      .method = "GET", .url = aq_buf_cstr(&url), .headers = {h, cnt}, .silence_ns = SILENCE_NS, .pool = AQ_HTTPC_PROXY};
  const aq_httpc_cb cb = {u, head, data, done};
  e->probe = u;
  u->id = cfg->http->start(cfg->http->ctx, &req, &cb);
  aq_buf_free(&url);
  aq_timer_after(cfg->env, &e->slow, SLOW_NS, slow, e);
}

static void stop(aq_vapi_events *e) {
  const aq_env *env = e->v->cfg.env;
  upstream_free(&e->live);
  upstream_free(&e->probe);
  upstream_free(&e->old);
  aq_timer_cancel(env, &e->soon);
  aq_timer_cancel(env, &e->overlap);
  aq_timer_cancel(env, &e->alive);
  aq_timer_cancel(env, &e->slow);
  e->probe_for = NULL;
  e->pausing = false;
  e->pause_ns = 0;
  e->tries = (aq_vapi_tries){0};
}

static aq_call *first_waiting(aq_vapi_events *e) {
  AQ_LIST_EACH(&e->clients, c, aq_call, proxy_link) {
    if (!c->streaming) return c;
  }
  return NULL;
}

/* Connects, never from inside a stream's own calls: again what was lost, else for the client that waits longest. */
static void look(void *arg) {
  aq_vapi_events *e = arg;
  e->pausing = false;
  if (aq_list_empty(&e->clients)) stop(e);
  if (aq_list_empty(&e->clients) || e->probe || e->old) return;
  uint32_t wanted = streamed(e);
  if (e->live || !wanted) {
    e->probe_for = first_waiting(e);
    if (!e->probe_for) return;
    wanted |= e->probe_for->topics | HEAD;
  }
  connect_to(e, wanted);
}

/* A stream that nobody answers any more looks like a quiet one: the beacon node's other answers tell. */
static bool ails(const aq_vapi_events *e) {
  aq_vapi_tries first = {0};
  const aq_bn *bn = e->v->cfg.bn;
  return aq_bn_ails(bn, e->live->place) && aq_vapi_upstream(e->v, &first) && !aq_bn_ails(bn, first.place);
}

/* Also makes the stream anew when it needs fewer topics now, or from a beacon node that is well. */
static void alive(void *arg) {
  aq_vapi_events *e = arg;
  const aq_env *env = e->v->cfg.env;
  aq_timer_after(env, &e->alive, ALIVE_NS, alive, e);
  send_all(e, UINT32_MAX, aq_bytes_str(":\n\n"));
  uint32_t wanted = streamed(e);
  if (e->live && !e->probe && !e->old && wanted && (wanted != e->live->topics || ails(e))) connect_to(e, wanted);
}

/* ---- clients ---- */

/* False: 400 was answered, as beacon nodes do. */
static bool read_topics(aq_call *c) {
  const char *at = c->req->query;
  size_t max = strlen(at) + 1;
  char *text = aq_arena_alloc(&c->arena, max);
  aq_status st = text ? AQ_OK : AQ_E_LIMIT;
  while (st == AQ_OK && (st = aq_http_query_next(&at, "topics", text, max)) == AQ_OK) {
    for (const char *p = text; *p; p += *p == ',') {
      size_t len = strcspn(p, ",");
      uint32_t bit = topic_bit(aq_bytes_of(p, len));
      if (!bit) {
        aq_call_error(c, 400, "Invalid topic: %.*s", len > 64 ? 64 : (int)len, p);
        return false;
      }
      c->topics |= bit;
      p += len;
    }
  }
  if (st == AQ_E_NOTFOUND && c->topics) return true;
  aq_call_error(c, 400, st == AQ_E_NOTFOUND ? "missing query parameter topics" : "invalid query parameter topics");
  return false;
}

void aq_vapi_get_events(aq_call *c) {
  aq_vapi_events *e = c->v->events;
  const aq_env *env = c->v->cfg.env;
  if (!c->v->cfg.bn || !aq_bn_best(c->v->cfg.bn)[0]) {
    aq_call_error(c, 503, "there is no beacon node");
    return;
  }
  if (!read_topics(c)) return;
  uint64_t client = aq_vapi_client(c->req);
  if (!aq_vapi_room(&e->clients, client, CLIENTS_MAX, CLIENTS_EACH)) {
    aq_call_busy(c);
    return;
  }
  if (strcmp(c->req->method, "HEAD") == 0) {
    const aq_http_header type = {"Content-Type", "text/event-stream"};
    aq_call_answer(c, 200, &(aq_http_headers){&type, 1}, aq_bytes_of("", 0), NULL);
    return;
  }
  if (aq_list_empty(&e->clients)) aq_timer_after(env, &e->alive, ALIVE_NS, alive, e);
  c->proxy_client = client;
  aq_list_push(&e->clients, &c->proxy_link);
  if (served(e, c)) {
    begin(c);
    return;
  }
  aq_timer_until(env, &c->proxy_timer, aq_call_until(c), no_stream, c);
  if (!e->pausing) look_at(e, 0);
}

void aq_vapi_events_leave(aq_call *c) {
  aq_vapi_events *e = c->v->events;
  if (e->probe_for == c) e->probe_for = NULL;
  if (aq_list_empty(&e->clients)) look_at(e, 0);
}

aq_vapi_events *aq_vapi_events_new(aq_vapi *v) {
  aq_vapi_events *e = calloc(1, sizeof *e);
  AQ_ASSERT(e);
  e->v = v;
  aq_list_init(&e->clients);
  return e;
}

void aq_vapi_events_free(aq_vapi_events *e) {
  if (!e) return;
  stop(e);
  free(e);
}
