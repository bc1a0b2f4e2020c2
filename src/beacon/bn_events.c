/* An event stream a beacon node, made again when it is silent, and a look at each one's health in every slot. */
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "beacon/bn_internal.h"
#include "codec/json.h"

#define PAUSE_MIN_NS AQ_SECONDS(1)
#define PAUSE_MAX_NS AQ_SECONDS(30)
#define STALL_MIN_NS AQ_SECONDS(5)
#define PEERS_EVERY_NS AQ_SECONDS(60)

static uint64_t slot_ns(const aq_bn *b) { return b->chain_known ? b->clock.slot_ns : AQ_SECONDS(12); }

/* ---- events ---- */

static double since_slot_s(const aq_bn *b, uint64_t slot) {
  uint64_t start_ns = aq_slot_time_ns(&b->clock, slot, 0), now_ns = aq_now_ns(b->cfg.env);
  return now_ns > start_ns ? (double)(now_ns - start_ns) / 1e9 : 0;
}

static bool same_head(const aq_bn_head *a, const aq_bn_head *b) {
  return a->slot == b->slot && memcmp(a->block, b->block, 32) == 0 && memcmp(a->previous, b->previous, 32) == 0 &&
         memcmp(a->current, b->current, 32) == 0;
}

static void head_event(aq_bn_endpoint *ep, yyjson_val *root, uint64_t slot) {
  aq_bn *b = ep->bn;
  aq_bn_stream *s = &ep->stream;
  aq_bn_head h = {.slot = slot};
  if (!aq_json_hex(root, "block", h.block, 32)) return;
  h.has_roots = aq_json_hex(root, "previous_duty_dependent_root", h.previous, 32) &&
                aq_json_hex(root, "current_duty_dependent_root", h.current, 32);
  aq_metric_set(AQ_M_APP_BEACON_NODE_SSE_HEAD_SLOT, (double)slot, AQ_LABELS(ep->site));
  if (b->chain_known) {
    aq_metric_observe(AQ_M_APP_BEACON_NODE_SSE_HEAD_DELAY, since_slot_s(b, slot), AQ_LABELS(ep->site));
  }
  if (s->gossip_ns && s->gossip_slot == slot) {
    double took_s = (double)(aq_mono_ns(b->cfg.env) - s->gossip_ns) / 1e9;
    aq_metric_observe(AQ_M_APP_BEACON_NODE_SSE_BLOCK_PROCESSING_TIME, took_s, AQ_LABELS(ep->site));
  }
  if (b->head_seen && same_head(&b->head, &h)) return; /* from another node */
  b->head_seen = true;
  b->head = h;
  if (b->events.head) b->events.head(b->events.arg, &h);
}

static void reorg_event(aq_bn_endpoint *ep, yyjson_val *root, uint64_t slot) {
  aq_bn *b = ep->bn;
  uint64_t depth;
  uint8_t head[32] = {0};
  if (!aq_json_u64(root, "depth", &depth)) return;
  aq_json_hex(root, "new_head_block", head, 32);
  aq_metric_observe(AQ_M_APP_BEACON_NODE_SSE_CHAIN_REORG_DEPTH, (double)depth, AQ_LABELS(ep->site));
  bool same = b->reorg_seen && b->reorg_slot == slot && b->reorg_depth == depth && !memcmp(b->reorg_head, head, 32);
  if (same) return;
  b->reorg_seen = true;
  b->reorg_slot = slot;
  b->reorg_depth = depth;
  memcpy(b->reorg_head, head, 32);
  if (b->events.reorg) b->events.reorg(b->events.arg, slot, depth);
}

/* A bad event is skipped; the stream stays (core.md 12.5). */
void aq_bn_event(aq_bn_endpoint *ep, const char *name, aq_bytes data) {
  aq_bn *b = ep->bn;
  yyjson_doc *doc = aq_json_parse(data, AQ_SSE_DATA_MAX, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  uint64_t slot;
  bool good = yyjson_is_obj(root) && aq_json_u64(root, "slot", &slot) && aq_bn_usable(ep);
  if (good && b->events.heard && strcmp(name, "head") == 0) b->events.heard(b->events.arg, slot);
  if (good && b->chain_known && slot > aq_slot_at(&b->clock, aq_now_ns(b->cfg.env)) + 2) good = false;
  if (!good) {
    AQ_LOG(AQ_LOG_DEBUG, "beacon_node_event_bad", AQ_STR("addr", ep->site), AQ_STR("event", name));
  } else if (strcmp(name, "head") == 0) {
    ep->stream.pause_ns = 0;
    head_event(ep, root, slot);
  } else if (strcmp(name, "chain_reorg") == 0) {
    reorg_event(ep, root, slot);
  } else if (strcmp(name, "block_gossip") == 0) {
    ep->stream.gossip_slot = slot;
    ep->stream.gossip_ns = aq_mono_ns(b->cfg.env);
    if (b->chain_known)
      aq_metric_observe(AQ_M_APP_BEACON_NODE_SSE_BLOCK_GOSSIP, since_slot_s(b, slot), AQ_LABELS(ep->site));
  } else if (strcmp(name, "block") == 0 && b->chain_known) {
    aq_metric_observe(AQ_M_APP_BEACON_NODE_SSE_BLOCK, since_slot_s(b, slot), AQ_LABELS(ep->site));
  }
  yyjson_doc_free(doc);
}

/* ---- streams ---- */

static void connect_stream(void *arg);

static uint64_t stall_ns(const aq_bn *b) {
  uint64_t two = 2 * slot_ns(b);
  return two > STALL_MIN_NS ? two : STALL_MIN_NS;
}

static void lost(aq_bn_endpoint *ep, const char *why) {
  aq_bn_stream *s = &ep->stream;
  const aq_env *env = ep->bn->cfg.env;
  uint64_t pause_ns = s->pause_ns ? s->pause_ns + s->pause_ns * 6 / 10 : PAUSE_MIN_NS;
  uint64_t asked_ns = s->sse.retry_ms < 30000 ? AQ_MILLIS(s->sse.retry_ms) : PAUSE_MAX_NS;
  if (pause_ns < asked_ns) pause_ns = asked_ns;
  if (pause_ns > PAUSE_MAX_NS) pause_ns = PAUSE_MAX_NS;
  AQ_LOG(s->opened ? AQ_LOG_WARN : AQ_LOG_DEBUG, "beacon_node_events_lost", AQ_STR("addr", ep->site),
         AQ_STR("err", why), AQ_UINT("retry_ms", pause_ns / AQ_NS_PER_MS));
  s->opened = false;
  s->pause_ns = pause_ns;
  aq_timer_after(env, &s->timer, pause_ns, connect_stream, ep);
}

static void check_stall(void *arg) {
  aq_bn_endpoint *ep = arg;
  aq_bn_stream *s = &ep->stream;
  const aq_bn_cfg *cfg = &ep->bn->cfg;
  uint64_t silent_ns = aq_mono_ns(cfg->env) - s->heard_ns, limit_ns = stall_ns(ep->bn);
  if (silent_ns < limit_ns) {
    aq_timer_after(cfg->env, &s->timer, (limit_ns - silent_ns), check_stall, ep);
    return;
  }
  /* Perhaps only empty slots: again at once, and no alarm. */
  if (!s->opened) ep->away = true;
  AQ_LOG(AQ_LOG_DEBUG, "beacon_node_events_stalled", AQ_STR("addr", ep->site));
  cfg->http->cancel(cfg->http->ctx, s->http_id);
  s->http_id = 0;
  connect_stream(ep);
}

static void stream_head(void *arg, int code, const aq_http_headers *h) {
  aq_bn_endpoint *ep = arg;
  (void)h;
  ep->stream.opened = code >= 200 && code <= 299;
  if (code >= 400 && code <= 499) ep->stream.few_topics = !ep->stream.few_topics;
  if (!ep->stream.opened) return;
  ep->away = false;
  aq_bn_trouble(ep, "");
  AQ_LOG(AQ_LOG_INFO, "beacon_node_events", AQ_STR("addr", ep->site));
  aq_bn_version_ask(ep);
  aq_bn_watch_ask(ep);
  const aq_bn_cfg *cfg = &ep->bn->cfg;
  if (cfg->opened) cfg->opened(cfg->arg);
}

static void stream_event(void *arg, const char *name, aq_bytes data) { aq_bn_event(arg, name, data); }

static bool stream_data(void *arg, aq_bytes chunk) {
  aq_bn_endpoint *ep = arg;
  ep->stream.heard_ns = aq_mono_ns(ep->bn->cfg.env);
  if (ep->stream.opened) aq_sse_feed(&ep->stream.sse, chunk, stream_event, ep);
  return true;
}

static void stream_done(void *arg, aq_status st, const aq_httpc_res *res) {
  aq_bn_endpoint *ep = arg;
  bool good = st == AQ_OK && res->code >= 200 && res->code <= 299;
  char why[AQ_HTTP_WHY_MAX] = "the stream ended";
  ep->stream.http_id = 0;
  aq_bn_heard(ep, st == AQ_OK ? res->code : 0);
  if (!good) aq_bn_why_of(why, ep, st, res);
  /* few_topics: refused for its topics, perhaps, which are fewer the next time. */
  if (!good && !ep->stream.opened && !ep->stream.few_topics) aq_bn_trouble(ep, why);
  lost(ep, why);
}

static void connect_stream(void *arg) {
  aq_bn_endpoint *ep = arg;
  aq_bn_stream *s = &ep->stream;
  const aq_bn_cfg *cfg = &ep->bn->cfg;
  aq_http_header h[1 + AQ_BN_HEADERS_MAX] = {{"Accept", "text/event-stream"}};
  size_t n = 1;
  for (size_t i = 0; i < cfg->headers.cnt && n < AQ_COUNT(h); i++) h[n++] = cfg->headers.item[i];
  aq_buf url = AQ_BUF(AQ_BN_URL_MAX);
  aq_url_request(&url, ep->url,
                 s->few_topics ? "/eth/v1/events?topics=head&topics=chain_reorg"
                               : "/eth/v1/events?topics=head&topics=chain_reorg&topics=block_gossip&topics=block");
  const aq_httpc_req req = {.method = "GET", .url = aq_buf_cstr(&url), .headers = {h, n}};
  const aq_httpc_cb cb = {ep, stream_head, stream_data, stream_done};
  aq_sse_reset(&s->sse);
  s->opened = false;
  s->heard_ns = aq_mono_ns(cfg->env);
  s->http_id = cfg->http->start(cfg->http->ctx, &req, &cb);
  aq_buf_free(&url);
  aq_timer_after(cfg->env, &s->timer, stall_ns(ep->bn), check_stall, ep);
}

/* ---- health ---- */

static void health_tick(void *arg);

static bool not_syncing(void *arg, const aq_bn_answer *ans) {
  aq_bn *b = arg;
  yyjson_doc *doc = aq_json_parse(ans->body, AQ_BN_SMALL_MAX, NULL);
  yyjson_val *syncing = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "data"), "is_syncing");
  bool good = yyjson_is_bool(syncing) && !yyjson_get_bool(syncing);
  yyjson_doc_free(doc);
  if (b->answering) b->answering->unsynced = !good;
  return good;
}

static void syncing_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_bn *b = arg;
  aq_bn_health *h = &b->health;
  b->syncing_id = 0;
  h->reachable = false;
  if (!ans || (st != AQ_OK && st != AQ_E_FORMAT)) return;
  yyjson_doc *doc = aq_json_parse(ans->body, AQ_BN_SMALL_MAX, NULL);
  yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data");
  yyjson_val *syncing = yyjson_obj_get(data, "is_syncing");
  if (yyjson_is_bool(syncing)) {
    h->reachable = true;
    h->syncing = yyjson_get_bool(syncing);
    h->sync_distance = 0;
    aq_json_u64(data, "sync_distance", &h->sync_distance);
    h->head_known = aq_json_u64(data, "head_slot", &h->head_slot);
  }
  yyjson_doc_free(doc);
}

static void peers_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_bn *b = arg;
  b->peers_id = 0;
  if (st != AQ_OK) return;
  yyjson_doc *doc = aq_json_parse(ans->body, AQ_BN_SMALL_MAX, NULL);
  uint64_t peers;
  if (aq_json_u64(yyjson_obj_get(yyjson_doc_get_root(doc), "data"), "connected", &peers)) {
    b->health.peers = peers;
    b->health.peers_known = true;
    aq_metric_set(AQ_M_APP_BEACON_NODE_PEERS, (double)peers, AQ_NO_LABELS);
  }
  yyjson_doc_free(doc);
}

uint64_t aq_bn_quiet_ns(const aq_bn *b) {
  uint64_t now_ns = aq_now_ns(b->cfg.env);
  if (!b->chain_known || now_ns < b->clock.genesis_ns) return slot_ns(b);
  uint64_t at_ns = aq_slot_start_ns(&b->clock, aq_slot_at(&b->clock, now_ns)) + 3 * b->clock.slot_ns / 4;
  return at_ns > now_ns ? at_ns - now_ns : at_ns + b->clock.slot_ns - now_ns;
}

static void health_tick(void *arg) {
  aq_bn *b = arg;
  uint64_t mono_ns = aq_mono_ns(b->cfg.env);
  if (!b->syncing_id) {
    const aq_bn_req req = {.endpoint = "node_syncing",
                           .method = "GET",
                           .path = "/eth/v1/node/syncing",
                           .body_max = AQ_BN_SMALL_MAX,
                           .good = not_syncing,
                           .forgiving = true};
    b->syncing_id = aq_bn_call(b, &req, syncing_answer, b);
  }
  if (!b->peers_id && (b->peers_asked_ns == 0 || mono_ns - b->peers_asked_ns >= PEERS_EVERY_NS)) {
    const aq_bn_req req = {
        .endpoint = "node_peer_count", .method = "GET", .path = "/eth/v1/node/peer_count", .body_max = AQ_BN_SMALL_MAX};
    b->peers_asked_ns = mono_ns;
    b->peers_id = aq_bn_call(b, &req, peers_answer, b);
  }
  aq_timer_after(b->cfg.env, &b->health_timer, aq_bn_quiet_ns(b), health_tick, b);
}

void aq_bn_subscribe(aq_bn *b, const aq_bn_events *ev) {
  b->events = *ev;
  if (b->subscribed) return;
  b->subscribed = true;
  for (size_t i = 0; i < b->cfg.endpoint_cnt; i++) connect_stream(&b->ep[i]);
  health_tick(b);
}

void aq_bn_stream_stop(aq_bn *b) {
  aq_timer_cancel(b->cfg.env, &b->health_timer);
  for (size_t i = 0; i < b->ep_cnt; i++) {
    aq_bn_stream *s = &b->ep[i].stream;
    aq_timer_cancel(b->cfg.env, &s->timer);
    if (s->http_id) b->cfg.http->cancel(b->cfg.http->ctx, s->http_id);
    s->http_id = 0;
    aq_bn_version_stop(&b->ep[i]);
  }
}
