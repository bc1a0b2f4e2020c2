/* Subscriptions to the subnets of duties: to every beacon node, and once more to one that was restarted. */
#include <stdlib.h>

#include "api/vapi_internal.h"
#include "base/assert.h"

enum {
  OPEN_MAX = 24, /* at once; beside what is forwarded: slow reads must not keep a client from its duties' subnets */
  OPEN_EACH = 8,
  KEPT_MAX = 128,           /* posts: some clients send one a slot; the oldest goes */
  KEPT_BYTES_MAX = 2 << 20, /* 20,000 entries */
  KEPT_EPOCHS = 2           /* what a client may subscribe to ahead */
};

typedef struct {
  aq_list link;
  const aq_vapi_route *route;
  uint64_t id, until_ns; /* monotonic */
  bool due;
  aq_buf body;
} kept;

static void drop(aq_vapi *v, kept *k) {
  v->kept_cnt--;
  v->kept_bytes -= k->body.len;
  aq_list_remove(&k->link);
  aq_buf_free(&k->body);
  free(k);
}

/* Over, or renewed by this one. */
static bool gives_way(const aq_vapi *v, const kept *k, const aq_vapi_route *route, aq_bytes body) {
  return aq_mono_ns(v->cfg.env) >= k->until_ns || (k->route == route && aq_bytes_eq(aq_buf_bytes(&k->body), body));
}

/* Besides those that give way the oldest go, as many as it takes. */
static void make_room(aq_vapi *v, const aq_vapi_route *route, aq_bytes body) {
  size_t cnt = v->kept_cnt, bytes = v->kept_bytes;
  AQ_LIST_EACH(&v->kept, k, kept, link) {
    if (gives_way(v, k, route, body)) cnt--, bytes -= k->body.len;
  }
  AQ_LIST_EACH(&v->kept, k, kept, link) {
    bool gives = gives_way(v, k, route, body), full = cnt >= KEPT_MAX || bytes + body.len > KEPT_BYTES_MAX;
    if (!gives && full) cnt--, bytes -= k->body.len;
    if (gives || full) drop(v, k);
  }
}

/* Its number; 0: it is not kept. */
static uint64_t keep(aq_vapi *v, const aq_vapi_route *route, aq_bytes body) {
  if (!v->cfg.chain || body.len > KEPT_BYTES_MAX) return 0;
  make_room(v, route, body);
  kept *k = calloc(1, sizeof *k);
  AQ_ASSERT(k);
  const aq_clock *c = &v->cfg.chain->clock;
  uint64_t life_ns = KEPT_EPOCHS * c->slots_per_epoch * c->slot_ns;
  *k = (kept){.route = route, .id = ++v->kept_id, .until_ns = aq_mono_ns(v->cfg.env) + life_ns};
  k->body = AQ_BUF(KEPT_BYTES_MAX);
  aq_buf_put_bytes(&k->body, body);
  v->kept_cnt++;
  v->kept_bytes += body.len;
  aq_list_push(&v->kept, &k->link);
  return k->id;
}

static void subscribed(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_call *c = arg;
  c->bn_id = 0;
  AQ_LIST_EACH(&c->v->kept, k, kept, link) {
    if (k->id == c->kept_id && st != AQ_OK) drop(c->v, k); /* the client was told so */
  }
  if (ans && ans->code)
    aq_call_json(c, ans->code, ans->body);
  else
    aq_call_error(c, 502, "no beacon node took the subscription: %s", aq_status_text(st));
}

static uint64_t post(aq_vapi *v, const aq_vapi_route *route, aq_bytes body, aq_bn_fn fn, void *arg) {
  const aq_bn_req req = {.endpoint = route->name,
                         .method = "POST",
                         .path = route->route.path,
                         .body = body,
                         .submit = true,
                         .pool = AQ_HTTPC_PROXY};
  return aq_bn_call(v->cfg.bn, &req, fn, arg);
}

void aq_vapi_subscribe_all(aq_call *c) {
  aq_vapi *v = c->v;
  if (!v->cfg.bn) {
    aq_vapi_not_found(c);
    return;
  }
  if (!aq_vapi_room(&v->subscribing, aq_vapi_client(c->req), OPEN_MAX, OPEN_EACH)) {
    aq_call_busy(c);
    return;
  }
  c->proxy_client = aq_vapi_client(c->req);
  c->kept_id = keep(v, c->route, c->req->body);
  aq_list_push(&v->subscribing, &c->proxy_link);
  c->bn_id = post(v, c->route, c->req->body, subscribed, c);
}

/* ---- once more ---- */

static void next(aq_vapi *v);

static void taken_again(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_vapi *v = arg;
  (void)st, (void)ans; /* its client subscribes again with the next epoch */
  v->again_id = 0;
  next(v);
}

/* One at a time: a beacon node that just started has other work too. */
static void next(aq_vapi *v) {
  uint64_t now_ns = aq_mono_ns(v->cfg.env);
  AQ_LIST_EACH(&v->kept, k, kept, link) {
    bool due = k->due && now_ns < k->until_ns;
    k->due = false;
    if (!due) continue;
    v->again_id = post(v, k->route, aq_buf_bytes(&k->body), taken_again, v);
    return;
  }
}

void aq_vapi_subscribe_again(aq_vapi *v) {
  AQ_LIST_EACH(&v->kept, k, kept, link) k->due = true;
  if (!v->again_id) next(v);
}

void aq_vapi_subscribe_stop(aq_vapi *v) {
  if (v->again_id) aq_bn_cancel(v->cfg.bn, v->again_id);
  AQ_LIST_EACH(&v->kept, k, kept, link) drop(v, k);
}
