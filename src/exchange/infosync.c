/* One duty at an epoch's last slot: lists are gathered, the leader's result goes through consensus. */
#include "exchange/infosync.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/line_limit.h"
#include "base/list.h"
#include "base/log.h"
#include "base/peerinfo_version.h"

#define EXCHANGE_NS AQ_SECONDS(6)
#define HOLD_NS AQ_MILLIS(4500) /* the network keeps a request for 5 s */
enum { HELD_PER_PEER = 2, PLURAL_MINOR = 11 };

/* Charon versions whose messages we understand. v1.11 promises that plural sync contributions are decoded, which
   duty/payload.h does. */
static const char *const versions[] = {"v1.11", "v1.10", "v1.9", "v1.8", "v1.7", "v1.6",
                                       "v1.5",  "v1.4",  "v1.3", "v1.2", "v1.1", "v1.0"};
/* A lock may prefer a consensus protocol; there is one, and it leads the list already. */
static const char *const protocols[] = {"/charon/consensus/qbft/2.0.0", "/charon/parsigex/2.0.0",
                                        "/charon/peerinfo/2.0.0", "/charon/priority/2.0.0", "charon/priority/2.0.0"};
static const char *const proposals[] = {"builder", "full"};

/* A request that came before our exchange began. */
typedef struct {
  aq_list node;
  aq_infosync *x;
  uint32_t peer;
  uint64_t slot;
  aq_buf msg;
  aq_net_reply *reply;
  aq_timer timer;
} held;

/* A request of ours under way. */
typedef struct {
  aq_list node;
  aq_infosync *x; /* NULL: freed meanwhile */
  uint64_t slot;
  uint32_t peer;
} ask;

typedef struct {
  uint64_t slot;
  bool plural;
} outcome;

struct aq_infosync {
  aq_infosync_cfg cfg;
  aq_timer trigger, propose_timer, end_timer;
  uint64_t next_slot;
  aq_list held, asks;
  /* The exchange, while `on`. */
  bool on, proposed;
  uint64_t slot;
  aq_buf *msg;     /* by peer; empty: none yet */
  uint32_t *order; /* peers, ours first, then as they came */
  uint32_t cnt;
  aq_line_limit *line;                     /* by peer */
  outcome result[AQ_INFOSYNC_RESULTS_MAX]; /* ring */
  uint32_t result_cnt;
};

static aq_duty duty_of(uint64_t slot) { return (aq_duty){slot, AQ_DUTY_INFO_SYNC}; }

bool aq_infosync_scheduled(const aq_clock *c, uint64_t slot) {
  return slot % c->slots_per_epoch == c->slots_per_epoch - 1;
}

static bool over(const aq_infosync *x, uint64_t slot) {
  return aq_now_ns(x->cfg.env) >= aq_duty_deadline_ns(x->cfg.chain, duty_of(slot));
}

/* ---- the exchange ---- */

static void propose(aq_infosync *x) {
  aq_bytes *msg = calloc(x->cnt + 1, sizeof *msg); /* never of size 0 */
  size_t len = 0;
  AQ_ASSERT(msg && !x->proposed);
  x->proposed = true;
  aq_timer_cancel(x->cfg.env, &x->propose_timer);
  for (uint32_t i = 0; i < x->cnt; i++) {
    msg[i] = aq_buf_bytes(&x->msg[x->order[i]]);
    len += msg[i].len;
  }
  aq_arena a;
  aq_arena_init(&a, AQ_PRIORITY_ARENA(len));
  aq_buf result = AQ_BUF(2 * len + AQ_PRIORITY_MSG_MAX);
  aq_status st = aq_priority_result(&result, &a, x->cfg.cluster.threshold, msg, x->cnt);
  if (st == AQ_OK) st = aq_consensus_propose_info(x->cfg.consensus, duty_of(x->slot), aq_buf_bytes(&result));
  AQ_LOG(st == AQ_OK ? AQ_LOG_DEBUG : AQ_LOG_WARN, "infosync", AQ_STR("op", "propose"), AQ_UINT("slot", x->slot),
         AQ_UINT("peers", x->cnt), AQ_STR("result", st == AQ_OK ? "ok" : "error"),
         AQ_STR("err", st == AQ_OK ? NULL : aq_status_text(st)));
  aq_buf_free(&result);
  aq_arena_free(&a);
  free(msg);
}

static void on_propose_timer(void *arg) { propose(arg); }

/* The first message of each peer counts. */
static void take(aq_infosync *x, uint32_t peer, aq_bytes msg) {
  if (x->proposed || x->msg[peer].len) return;
  aq_buf_put_bytes(&x->msg[peer], msg);
  if (x->msg[peer].failed) return;
  x->order[x->cnt++] = peer;
  if (x->cnt == x->cfg.cluster.n) propose(x);
}

/* Form, sender, signature and time. `of`: who must have written it. */
static aq_status check(const aq_infosync *x, aq_duty *duty, uint32_t of, aq_bytes msg) {
  const aq_clock *clock = &x->cfg.chain->clock;
  uint32_t peer;
  aq_arena a;
  aq_arena_init(&a, AQ_PRIORITY_ARENA(msg.len));
  aq_status st = aq_priority_check(duty, &peer, &a, &x->cfg.cluster, msg);
  aq_arena_free(&a);
  if (st) return st;
  if (peer != of) return AQ_E_UNKNOWN;
  if (!aq_duty_is(duty->type, AQ_DF_INFO) || !aq_infosync_scheduled(clock, duty->slot)) return AQ_E_FORMAT;
  if (!aq_duty_gate(clock, duty->slot, duty->type, aq_now_ns(x->cfg.env)) || over(x, duty->slot)) return AQ_E_STALE;
  return AQ_OK;
}

static void refused(aq_infosync *x, uint32_t peer, aq_status st) {
  if (st == AQ_E_STALE) {
    AQ_LOG(AQ_LOG_DEBUG, "infosync", AQ_STR("op", "recv"), AQ_UINT("peer", peer), AQ_STR("result", "error"),
           AQ_STR("err", aq_status_text(st)));
    return;
  }
  aq_net_fault(x->cfg.net, peer, AQ_PROTO_PRIORITY, st);
  aq_line_limit *line = &x->line[peer];
  if (!aq_line_due(line, aq_mono_ns(x->cfg.env))) return;
  AQ_LOG(AQ_LOG_WARN, "infosync", AQ_STR("op", "recv"), AQ_UINT("peer", peer), AQ_UINT("more", line->more),
         AQ_STR("result", "error"), AQ_STR("err", aq_status_text(st)));
}

static void on_answer(void *arg, aq_status st, aq_bytes answer) {
  ask *k = arg;
  aq_infosync *x = k->x;
  uint64_t slot = k->slot;
  uint32_t peer = k->peer;
  aq_list_remove(&k->node);
  free(k);
  if (!x || !x->on || x->slot != slot) return;
  if (st != AQ_OK) {
    AQ_LOG(AQ_LOG_DEBUG, "infosync", AQ_STR("op", "ask"), AQ_UINT("peer", peer), AQ_STR("result", "error"),
           AQ_STR("err", aq_status_text(st)));
    return;
  }
  aq_duty duty;
  st = check(x, &duty, peer, answer);
  if (st == AQ_OK && duty.slot != slot) st = AQ_E_FORMAT;
  if (st == AQ_OK)
    take(x, peer, answer);
  else
    refused(x, peer, st);
}

static void ask_peer(aq_infosync *x, uint32_t peer) {
  ask *k = calloc(1, sizeof *k);
  if (!k) return;
  *k = (ask){.x = x, .slot = x->slot, .peer = peer};
  aq_list_push(&x->asks, &k->node);
  x->cfg.net->request(x->cfg.net->ctx, peer, AQ_PROTO_PRIORITY, aq_buf_bytes(&x->msg[x->cfg.self]), on_answer, k);
}

static void end(aq_infosync *x) {
  if (!x->on) return;
  if (!x->proposed) {
    AQ_LOG(AQ_LOG_WARN, "infosync", AQ_STR("op", "propose"), AQ_UINT("slot", x->slot), AQ_UINT("peers", x->cnt),
           AQ_STR("result", "error"),
           AQ_STR("err", "peers are missing, and the slot is shorter than the wait for them"));
  }
  x->on = false;
  aq_timer_cancel(x->cfg.env, &x->propose_timer);
  aq_timer_cancel(x->cfg.env, &x->end_timer);
  for (uint32_t i = 0; i < x->cfg.cluster.n; i++) aq_buf_free(&x->msg[i]);
}

static void on_end_timer(void *arg) { end(arg); }

static bool write_own(aq_infosync *x) {
  bool builder = x->cfg.builder_api;
  const aq_priority_topic topic[] = {{"version", versions, AQ_COUNT(versions)},
                                     {"protocol", protocols, AQ_COUNT(protocols)},
                                     {"proposal", builder ? proposals : proposals + 1, builder ? 2 : 1}};
  aq_buf *own = &x->msg[x->cfg.self];
  return aq_priority_write(own, x->cfg.key, duty_of(x->slot), topic, AQ_COUNT(topic)) == AQ_OK;
}

/* ---- requests ---- */

static void held_free(held *h) {
  aq_timer_cancel(h->x->cfg.env, &h->timer);
  aq_list_remove(&h->node);
  aq_buf_free(&h->msg);
  free(h);
}

static void held_refuse(void *arg) {
  held *h = arg;
  const aq_net *net = h->x->cfg.net;
  aq_net_reply *reply = h->reply;
  held_free(h);
  net->refuse(net->ctx, reply);
}

/* A third one of the same peer takes the place of its first. */
static void hold(aq_infosync *x, uint32_t peer, uint64_t slot, aq_bytes msg, aq_net_reply *reply) {
  held *first = NULL, *h = calloc(1, sizeof *h);
  uint32_t cnt = 0;
  AQ_LIST_EACH(&x->held, o, held, node) {
    if (o->peer != peer) continue;
    if (cnt++ == 0) first = o;
  }
  if (first && cnt >= HELD_PER_PEER) held_refuse(first);
  if (!h) {
    x->cfg.net->refuse(x->cfg.net->ctx, reply);
    return;
  }
  *h = (held){.x = x, .peer = peer, .slot = slot, .msg = AQ_BUF(AQ_PRIORITY_MSG_MAX), .reply = reply};
  aq_buf_put_bytes(&h->msg, msg);
  aq_list_push(&x->held, &h->node);
  aq_timer_after(x->cfg.env, &h->timer, HOLD_NS, held_refuse, h);
}

/* The answer ends the request, and with it perhaps msg. */
static void answer(aq_infosync *x, uint32_t peer, aq_bytes msg, aq_net_reply *reply) {
  take(x, peer, msg);
  x->cfg.net->respond(x->cfg.net->ctx, reply, aq_buf_bytes(&x->msg[x->cfg.self]));
}

static void on_request(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  aq_infosync *x = arg;
  aq_duty duty;
  aq_status st = check(x, &duty, from, msg);
  if (st != AQ_OK) {
    refused(x, from, st);
    x->cfg.net->refuse(x->cfg.net->ctx, reply);
  } else if (x->on && x->slot == duty.slot) {
    answer(x, from, msg, reply);
  } else {
    hold(x, from, duty.slot, msg, reply);
  }
}

static void answer_held(aq_infosync *x) {
  AQ_LIST_EACH(&x->held, h, held, node) {
    if (h->slot != x->slot) continue;
    answer(x, h->peer, aq_buf_bytes(&h->msg), h->reply);
    held_free(h);
  }
}

/* ---- time ---- */

static void begin(aq_infosync *x, uint64_t slot) {
  const aq_env *env = x->cfg.env;
  end(x);
  if (over(x, slot)) return;
  x->on = true;
  x->proposed = false;
  x->slot = slot;
  x->cnt = 0;
  for (uint32_t i = 0; i < x->cfg.cluster.n; i++) x->msg[i] = AQ_BUF(AQ_PRIORITY_MSG_MAX);
  bool ok = write_own(x);
  AQ_ASSERT(ok);
  x->order[x->cnt++] = x->cfg.self;
  aq_timer_after(env, &x->propose_timer, EXCHANGE_NS, on_propose_timer, x);
  aq_timer_set(env, &x->end_timer, aq_duty_deadline_ns(x->cfg.chain, duty_of(slot)), on_end_timer, x);
  for (uint32_t i = 0; i < x->cfg.cluster.n; i++) {
    if (i != x->cfg.self) ask_peer(x, i);
  }
  answer_held(x);
  if (x->cnt == x->cfg.cluster.n && !x->proposed) propose(x); /* alone */
}

static void on_trigger(void *arg);

/* The first last slot of an epoch from this slot on. */
static void arm(aq_infosync *x, uint64_t from) {
  const aq_clock *clock = &x->cfg.chain->clock;
  uint64_t per_epoch = clock->slots_per_epoch;
  x->next_slot = from - from % per_epoch + per_epoch - 1;
  /* A slot at a time: the clock may be set meanwhile. */
  uint64_t now_ns = aq_now_ns(x->cfg.env), at_ns = aq_slot_start_ns(clock, x->next_slot);
  uint64_t wait_ns = at_ns > now_ns ? at_ns - now_ns : 0;
  aq_timer_after(x->cfg.env, &x->trigger, wait_ns < clock->slot_ns ? wait_ns : clock->slot_ns, on_trigger, x);
}

/* Late after the machine slept or the clock was set: begin finds the duty over, and the next epoch of now is armed. */
static void on_trigger(void *arg) {
  aq_infosync *x = arg;
  const aq_clock *clock = &x->cfg.chain->clock;
  uint64_t slot = x->next_slot, now_ns = aq_now_ns(x->cfg.env), now_slot = aq_slot_at(clock, now_ns);
  if (now_ns < aq_slot_start_ns(clock, slot)) {
    arm(x, x->on && x->slot >= now_slot && x->slot < slot ? x->slot + 1 : now_slot);
    return;
  }
  begin(x, slot);
  arm(x, now_slot > slot ? now_slot : slot + 1);
}

void aq_infosync_start(aq_infosync *x) { arm(x, aq_slot_at(&x->cfg.chain->clock, aq_now_ns(x->cfg.env))); }

aq_infosync *aq_infosync_new(const aq_infosync_cfg *cfg) {
  AQ_ASSERT(cfg->consensus && cfg->self < cfg->cluster.n);
  aq_infosync *x = calloc(1, sizeof *x);
  AQ_ASSERT(x);
  x->cfg = *cfg;
  aq_list_init(&x->held);
  aq_list_init(&x->asks);
  x->msg = calloc(cfg->cluster.n, sizeof *x->msg);
  x->order = calloc(cfg->cluster.n, sizeof *x->order);
  x->line = calloc(cfg->cluster.n, sizeof *x->line);
  AQ_ASSERT(x->msg && x->order && x->line);
  cfg->net->handle(cfg->net->ctx, AQ_PROTO_PRIORITY, &(aq_net_handler){.arg = x, .serve = on_request});
  return x;
}

void aq_infosync_free(aq_infosync *x) {
  if (!x) return;
  x->cfg.net->handle(x->cfg.net->ctx, AQ_PROTO_PRIORITY, &(aq_net_handler){0});
  aq_timer_cancel(x->cfg.env, &x->trigger);
  x->proposed = true; /* nothing is missing: we stop */
  end(x);
  AQ_LIST_EACH(&x->held, h, held, node) held_refuse(h);
  AQ_LIST_EACH(&x->asks, k, ask, node) {
    aq_list_remove(&k->node);
    k->x = NULL;
  }
  free(x->msg);
  free(x->order);
  free(x->line);
  free(x);
}

/* ---- the result ---- */

bool aq_infosync_valid(const aq_infosync *x, aq_duty duty, aq_bytes result) {
  aq_arena a;
  aq_arena_init(&a, AQ_PRIORITY_ARENA(result.len));
  bool ok = aq_priority_valid(&a, &x->cfg.cluster, duty, result);
  aq_arena_free(&a);
  return ok;
}

static bool has_plural(const aq_priority_topic *version) {
  for (uint32_t i = 0; version && i < version->cnt; i++) {
    aq_wire_version v;
    if (aq_wire_version_parse(&v, aq_bytes_str(version->item[i])) != AQ_OK) continue;
    if (v.major > 1 || (v.major == 1 && v.minor >= PLURAL_MINOR)) return true;
  }
  return false;
}

static const char *best(const aq_priority_topic *t) { return t && t->cnt ? t->item[0] : NULL; }

void aq_infosync_decided(aq_infosync *x, aq_duty duty, aq_bytes result) {
  const aq_priority_topic *topic = NULL;
  uint32_t cnt = 0;
  aq_arena a;
  aq_arena_init(&a, AQ_PRIORITY_ARENA(result.len));
  aq_status st = aq_priority_read(&topic, &cnt, &a, result);
  if (st == AQ_OK) {
    const aq_priority_topic *version = aq_priority_find(topic, cnt, "version");
    bool plural = has_plural(version);
    x->result[x->result_cnt++ % AQ_INFOSYNC_RESULTS_MAX] = (outcome){.slot = duty.slot, .plural = plural};
    AQ_LOG(AQ_LOG_INFO, "infosync", AQ_STR("op", "decide"), AQ_UINT("slot", duty.slot),
           AQ_STR("version", best(version)), AQ_STR("protocol", best(aq_priority_find(topic, cnt, "protocol"))),
           AQ_STR("proposal", best(aq_priority_find(topic, cnt, "proposal"))), AQ_FLAG("plural", plural),
           AQ_STR("result", "ok"));
  } else {
    AQ_LOG(AQ_LOG_WARN, "infosync", AQ_STR("op", "decide"), AQ_UINT("slot", duty.slot), AQ_STR("result", "error"),
           AQ_STR("err", aq_status_text(st)));
  }
  aq_arena_free(&a);
}

bool aq_infosync_plural(const aq_infosync *x, uint64_t slot) {
  const outcome *last = NULL;
  uint32_t cnt = x->result_cnt < AQ_INFOSYNC_RESULTS_MAX ? x->result_cnt : AQ_INFOSYNC_RESULTS_MAX;
  for (uint32_t i = 0; i < cnt; i++) {
    const outcome *o = &x->result[i];
    if (o->slot <= slot && (!last || o->slot >= last->slot)) last = o;
  }
  return last && last->plural;
}
