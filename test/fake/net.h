/* fake/net.h - sockets in memory for tests and simulators: many nodes, one aq_tcp each, over any environment of virtual
   time. Every direction of a connection has a latency, a rate and a buffer; bytes arrive in pieces, cut at random when
   asked. Faults: cut links (dials hang, bytes wait), crashed nodes, resets. Callbacks come from timers only,
   never from inside a call, as with real sockets. Header only. */
#ifndef AQ_FAKE_NET_H
#define AQ_FAKE_NET_H

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/list.h"
#include "fake/env.h"
#include "p2p/host.h"

enum { FAKE_NODES_MAX = 64, FAKE_PORT = 3610 };
#define FAKE_WAITING_MAX ((size_t)4 << 20) /* p2p/host.h: what write takes before it says no */

typedef struct fake_net fake_net;

typedef struct {
  fake_net *net;
  uint32_t idx;
  char host[32]; /* "10.0.0.<idx+1>", listening on FAKE_PORT */
  aq_tcp tcp;    /* hand this to the code under test */
  aq_tcp_events ev;
  bool down; /* answers nothing; dials to it are refused */
  uint64_t bytes_in;
} fake_node;

typedef struct {
  aq_list node;
  uint64_t at_ns;
  size_t len;
  uint8_t data[];
} fake_segment;

typedef struct fake_end {
  aq_list node;
  fake_net *net;
  fake_node *owner;
  struct fake_end *other; /* NULL: that side is gone for good */
  uint32_t other_idx;     /* its node */
  uint64_t id;
  bool open; /* callbacks may be made */
  bool dialing, accepting, short_write, closing;
  aq_status fate; /* of the dial, or of the end */
  aq_list in;     /* segments on their way to this end */
  size_t in_len;
  uint64_t line_free_ns; /* when the line towards this end has sent what it took */
  uint64_t last_ns;      /* arrival of what was written last */
  aq_timer event;        /* dial result, segment or end, at this end */
} fake_end;

struct fake_net {
  const aq_env *env;
  uint64_t rng, next_id;
  fake_node node[FAKE_NODES_MAX];
  uint32_t node_cnt;
  aq_list ends;
  uint64_t latency_ns;                                         /* one way, all links; set before use */
  uint64_t (*extra_ns)(void *arg, uint32_t from, uint32_t to); /* on top of it, asked for each piece; may be NULL */
  void *extra_arg;
  uint64_t bytes_per_ms;                    /* each direction of each connection; 0: no limit */
  size_t chunk_max;                         /* bytes are cut into pieces of 1 to this; 0: into 64 KiB */
  bool cut[FAKE_NODES_MAX][FAKE_NODES_MAX]; /* from, to: nothing arrives */
  uint32_t dials;
};

static inline void fake_end_event(void *arg);

static inline void fake_end_wake(fake_end *e, uint64_t at_ns) {
  aq_timer_set(e->net->env, &e->event, at_ns, fake_end_event, e);
}

static inline uint64_t fake_net_now(const fake_net *n) { return aq_now_ns(n->env); }

static inline uint64_t fake_net_way(const fake_net *n, uint32_t from, uint32_t to) {
  return n->latency_ns + (n->extra_ns ? n->extra_ns(n->extra_arg, from, to) : 0);
}

static inline fake_end *fake_end_new(fake_node *owner) {
  fake_net *n = owner->net;
  fake_end *e = calloc(1, sizeof *e);
  AQ_ASSERT(e);
  e->net = n;
  e->owner = owner;
  e->id = ++n->next_id;
  aq_list_init(&e->in);
  aq_list_push(&n->ends, &e->node);
  return e;
}

static inline fake_end *fake_end_of(fake_node *owner, uint64_t id) {
  AQ_LIST_EACH(&owner->net->ends, e, fake_end, node) {
    if (e->id == id && e->owner == owner) return e;
  }
  return NULL;
}

static inline void fake_end_free(fake_end *e) {
  AQ_LIST_EACH(&e->in, s, fake_segment, node) free(s);
  if (e->other) e->other->other = NULL;
  aq_timer_cancel(e->net->env, &e->event);
  aq_list_remove(&e->node);
  free(e);
}

static inline bool fake_end_cut(const fake_end *e) { /* towards this end */
  return e->net->cut[e->other_idx][e->owner->idx];
}

/* Something is on its way to e: see to it when it arrives, unless the link is cut; then when it is whole again. */
static inline void fake_end_expect(fake_end *e) {
  uint64_t now = fake_net_now(e->net), at = now + e->net->latency_ns;
  if (e->dialing || e->accepting || fake_end_cut(e)) return;
  if (!aq_list_empty(&e->in))
    fake_end_wake(e, AQ_CONTAINER(e->in.next, fake_segment, node)->at_ns);
  else if (e->closing)
    fake_end_wake(e, at);
}

/* The far side learns of the end behind what is on its way. */
static inline void fake_end_part(fake_end *e, aq_status st, bool silent) {
  fake_end *o = e->other;
  if (!o) return;
  o->other = NULL;
  e->other = NULL;
  if (silent) return;
  o->closing = true;
  if (!o->dialing) o->fate = st;
  if (aq_list_empty(&o->in)) fake_end_expect(o);
}

static inline void fake_end_gone(fake_end *e) { /* our callback: nothing follows */
  aq_tcp_events ev = e->owner->ev;
  uint64_t id = e->id;
  aq_status st = e->fate;
  fake_end_free(e);
  ev.closed(ev.arg, id, st);
}

static inline void fake_end_dialled(fake_end *e) {
  aq_tcp_events ev = e->owner->ev;
  uint64_t id = e->id;
  e->dialing = false;
  if (e->fate != AQ_OK) {
    aq_status st = e->fate;
    fake_end_free(e);
    ev.opened(ev.arg, id, st);
    return;
  }
  e->open = true;
  e->fate = AQ_E_CLOSED;
  fake_end_expect(e);
  ev.opened(ev.arg, id, AQ_OK);
}

static inline void fake_end_accepted(fake_end *e) {
  char remote[64];
  aq_tcp_events ev = e->owner->ev;
  uint64_t id = e->id;
  fake_node *owner = e->owner;
  e->accepting = false;
  e->open = true;
  snprintf(remote, sizeof remote, "%s:%u", owner->net->node[e->other_idx].host, 40000 + (unsigned)(id % 20000));
  fake_end_expect(e);
  if (ev.accepted && ev.accepted(ev.arg, id, remote)) return;
  e = fake_end_of(owner, id);
  if (!e) return;
  fake_end_part(e, AQ_E_CLOSED, false);
  fake_end_free(e);
}

static inline void fake_end_segment(fake_end *e) {
  fake_segment *s = AQ_CONTAINER(e->in.next, fake_segment, node);
  fake_node *owner = e->owner;
  aq_tcp_events ev = owner->ev;
  uint64_t id = e->id, now = fake_net_now(e->net);
  if (s->at_ns > now) {
    fake_end_wake(e, s->at_ns);
    return;
  }
  aq_list_remove(&s->node);
  e->in_len -= s->len;
  fake_end *o = e->other;
  uint64_t writer = 0;
  aq_tcp_events writer_ev = {0};
  if (o && o->open && o->short_write && e->in_len <= FAKE_WAITING_MAX / 2) {
    o->short_write = false;
    writer = o->id, writer_ev = o->owner->ev;
  }
  fake_end_expect(e);
  owner->bytes_in += s->len;
  ev.data(ev.arg, id, aq_bytes_of(s->data, s->len));
  free(s);
  if (writer) writer_ev.writable(writer_ev.arg, writer);
}

static inline void fake_end_event(void *arg) {
  fake_end *e = arg;
  if (e->owner->down) return;
  if (!e->dialing && !e->accepting && fake_end_cut(e)) return;
  if (e->dialing)
    fake_end_dialled(e);
  else if (e->accepting)
    fake_end_accepted(e);
  else if (!e->open)
    return;
  else if (!aq_list_empty(&e->in))
    fake_end_segment(e);
  else if (e->closing)
    fake_end_gone(e);
}

static inline void fake_tcp_events(void *ctx, const aq_tcp_events *ev) { ((fake_node *)ctx)->ev = *ev; }

static inline uint64_t fake_tcp_dial(void *ctx, const char *host, uint16_t port) {
  fake_node *from = ctx, *to = NULL;
  fake_net *n = from->net;
  uint64_t now = fake_net_now(n);
  n->dials++;
  for (uint32_t i = 0; i < n->node_cnt; i++) {
    if (strcmp(n->node[i].host, host) == 0 && port == FAKE_PORT) to = &n->node[i];
  }
  fake_end *e = fake_end_new(from);
  e->dialing = true;
  if (to && (n->cut[from->idx][to->idx] || n->cut[to->idx][from->idx])) {
    e->fate = AQ_E_TIMEOUT;
    fake_end_wake(e, now + AQ_SECONDS(5));
    return e->id;
  }
  fake_end_wake(e, now + 2 * n->latency_ns);
  if (!to || to->down || !to->ev.accepted) {
    e->fate = AQ_E_CLOSED;
    return e->id;
  }
  fake_end *o = fake_end_new(to);
  e->other = o, o->other = e;
  e->other_idx = to->idx, o->other_idx = from->idx;
  o->accepting = true;
  fake_end_wake(o, now + n->latency_ns);
  return e->id;
}

static inline size_t fake_tcp_write(void *ctx, uint64_t id, aq_bytes out) {
  fake_end *e = fake_end_of(ctx, id);
  if (!e || !e->open) return 0;
  fake_end *o = e->other;
  fake_net *n = e->net;
  if (!o) return out.len;
  uint64_t now = fake_net_now(n);
  size_t taken = out.len < FAKE_WAITING_MAX - o->in_len ? out.len : FAKE_WAITING_MAX - o->in_len;
  if (taken < out.len) e->short_write = true;
  bool idle = aq_list_empty(&o->in);
  for (size_t off = 0; off < taken;) {
    size_t max = n->chunk_max ? 1 + fake_splitmix(&n->rng) % n->chunk_max : 65536;
    size_t len = taken - off < max ? taken - off : max;
    fake_segment *s = malloc(sizeof *s + len);
    AQ_ASSERT(s);
    if (o->line_free_ns < now) o->line_free_ns = now;
    if (n->bytes_per_ms) o->line_free_ns += len * AQ_NS_PER_MS / n->bytes_per_ms;
    s->at_ns = o->line_free_ns + fake_net_way(n, e->owner->idx, o->owner->idx);
    if (s->at_ns < o->last_ns) s->at_ns = o->last_ns; /* a stream keeps its order */
    o->last_ns = s->at_ns;
    s->len = len;
    memcpy(s->data, out.ptr + off, len);
    aq_list_push(&o->in, &s->node);
    off += len;
  }
  o->in_len += taken;
  if (idle && taken) fake_end_expect(o);
  return taken;
}

static inline void fake_tcp_close(void *ctx, uint64_t id) {
  fake_end *e = fake_end_of(ctx, id);
  if (!e) return;
  fake_end_part(e, AQ_E_CLOSED, false);
  fake_end_free(e);
}

static inline void fake_net_init(fake_net *n, const aq_env *env, uint64_t seed) {
  memset(n, 0, sizeof *n);
  n->env = env;
  n->rng = seed;
  n->latency_ns = AQ_MILLIS(1);
  aq_list_init(&n->ends);
}

static inline fake_node *fake_net_node(fake_net *n) {
  AQ_ASSERT(n->node_cnt < FAKE_NODES_MAX);
  fake_node *node = &n->node[n->node_cnt];
  node->net = n;
  node->idx = n->node_cnt++;
  snprintf(node->host, sizeof node->host, "10.0.0.%u", node->idx + 1);
  node->tcp = (aq_tcp){node, fake_tcp_events, fake_tcp_dial, fake_tcp_write, fake_tcp_close};
  return node;
}

static inline void fake_net_free(fake_net *n) { AQ_LIST_EACH(&n->ends, e, fake_end, node) fake_end_free(e); }

/* Both directions between two nodes. While cut, connections are half open; what was sent meanwhile arrives
   afterwards, as TCP would repeat it. */
static inline void fake_net_cut(fake_net *n, uint32_t a, uint32_t b, bool cut) {
  n->cut[a][b] = n->cut[b][a] = cut;
  AQ_LIST_EACH(&n->ends, e, fake_end, node) fake_end_expect(e);
}

/* Ends all connections between two nodes, as a middle box would. */
static inline void fake_net_reset(fake_net *n, uint32_t a, uint32_t b) {
  AQ_LIST_EACH(&n->ends, e, fake_end, node) {
    if (!e->other || !e->open || e->owner->idx != a || e->other->owner->idx != b) continue;
    e->closing = e->other->closing = true;
    e->fate = e->other->fate = AQ_E_CLOSED;
    fake_end_wake(e, fake_net_now(n));
    fake_end_wake(e->other, fake_net_now(n));
  }
}

/* The process of a node is gone: its sockets end, for the others with a reset or (silent) without a word. Its host
   object is not to be used again. Dials are refused until up. */
static inline void fake_net_crash(fake_net *n, uint32_t idx, bool silent) {
  fake_node *node = &n->node[idx];
  memset(&node->ev, 0, sizeof node->ev);
  AQ_LIST_EACH(&n->ends, e, fake_end, node) {
    if (e->owner != node) continue;
    fake_end_part(e, AQ_E_CLOSED, silent);
    fake_end_free(e);
  }
  node->down = true;
}

static inline void fake_net_up(fake_net *n, uint32_t idx) { n->node[idx].down = false; }

/* Connections that are open at a node. */
static inline uint32_t fake_net_conns(const fake_net *n, uint32_t idx) {
  uint32_t cnt = 0;
  AQ_LIST_EACH((aq_list *)(uintptr_t)&n->ends, e, fake_end, node) cnt += e->owner->idx == idx && e->open;
  return cnt;
}

#endif
