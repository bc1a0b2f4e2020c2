/* Sockets in memory: dials, pipes of two directions, and what is lost. */
#include "fake/net.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

typedef struct {
  aq_list node;
  uint64_t at_ns;
  size_t len;
  uint8_t data[];
} segment;

typedef struct tcp_end {
  aq_list node;
  fake_net *net;
  fake_node *owner;
  struct tcp_end *other; /* NULL: that side is gone for good */
  uint32_t other_idx;    /* its node */
  uint64_t id;
  bool open; /* callbacks may be made */
  bool dialing, accepting, short_write, closing;
  aq_status fate; /* of the dial, or of the end */
  aq_list in;     /* segments on their way to this end */
  size_t in_len;
  uint64_t line_free_ns; /* when the line towards this end has sent what it took */
  uint64_t last_ns;      /* arrival of what was written last */
  aq_timer event;        /* dial result, segment or end, at this end */
} tcp_end;

static void end_event(void *arg);

static void end_wake(tcp_end *e, uint64_t at_ns) { aq_timer_set(e->net->env, &e->event, at_ns, end_event, e); }

static uint64_t net_now(const fake_net *n) { return aq_now_ns(n->env); }

static uint64_t net_way(const fake_net *n, uint32_t from, uint32_t to) {
  return n->latency_ns + (n->extra_ns ? n->extra_ns(n->extra_arg, from, to) : 0);
}

static tcp_end *end_new(fake_node *owner) {
  fake_net *n = owner->net;
  tcp_end *e = calloc(1, sizeof *e);
  AQ_ASSERT(e);
  e->net = n;
  e->owner = owner;
  e->id = ++n->next_id;
  aq_list_init(&e->in);
  aq_list_push(&n->ends, &e->node);
  return e;
}

static tcp_end *end_of(fake_node *owner, uint64_t id) {
  AQ_LIST_EACH(&owner->net->ends, e, tcp_end, node) {
    if (e->id == id && e->owner == owner) return e;
  }
  return NULL;
}

static void end_free(tcp_end *e) {
  AQ_LIST_EACH(&e->in, s, segment, node) free(s);
  if (e->other) e->other->other = NULL;
  aq_timer_cancel(e->net->env, &e->event);
  aq_list_remove(&e->node);
  free(e);
}

static bool end_cut(const tcp_end *e) { /* towards this end */
  return e->net->cut[e->other_idx][e->owner->idx];
}

/* Something is on its way to e: see to it when it arrives, unless the link is cut; then when it is whole again. */
static void end_expect(tcp_end *e) {
  uint64_t now = net_now(e->net), at = now + e->net->latency_ns;
  if (e->dialing || e->accepting || end_cut(e)) return;
  if (!aq_list_empty(&e->in))
    end_wake(e, AQ_CONTAINER(e->in.next, segment, node)->at_ns);
  else if (e->closing)
    end_wake(e, at);
}

/* The far side learns of the end behind what is on its way. */
static void end_part(tcp_end *e, aq_status st, bool silent) {
  tcp_end *o = e->other;
  if (!o) return;
  o->other = NULL;
  e->other = NULL;
  if (silent) return;
  o->closing = true;
  if (!o->dialing) o->fate = st;
  if (aq_list_empty(&o->in)) end_expect(o);
}

static void end_gone(tcp_end *e) { /* our callback: nothing follows */
  aq_tcp_events ev = e->owner->ev;
  uint64_t id = e->id;
  aq_status st = e->fate;
  end_free(e);
  ev.closed(ev.arg, id, st);
}

static void end_dialled(tcp_end *e) {
  aq_tcp_events ev = e->owner->ev;
  uint64_t id = e->id;
  e->dialing = false;
  if (e->fate != AQ_OK) {
    aq_status st = e->fate;
    end_free(e);
    ev.opened(ev.arg, id, st);
    return;
  }
  e->open = true;
  e->fate = AQ_E_CLOSED;
  end_expect(e);
  ev.opened(ev.arg, id, AQ_OK);
}

static void end_accepted(tcp_end *e) {
  char remote[64];
  aq_tcp_events ev = e->owner->ev;
  uint64_t id = e->id;
  fake_node *owner = e->owner;
  e->accepting = false;
  e->open = true;
  snprintf(remote, sizeof remote, "%s:%u", owner->net->node[e->other_idx].host, 40000 + (unsigned)(id % 20000));
  end_expect(e);
  if (ev.accepted && ev.accepted(ev.arg, id, remote)) return;
  e = end_of(owner, id);
  if (!e) return;
  end_part(e, AQ_E_CLOSED, false);
  end_free(e);
}

static void end_segment(tcp_end *e) {
  segment *s = AQ_CONTAINER(e->in.next, segment, node);
  fake_node *owner = e->owner;
  aq_tcp_events ev = owner->ev;
  uint64_t id = e->id, now = net_now(e->net);
  if (s->at_ns > now) {
    end_wake(e, s->at_ns);
    return;
  }
  aq_list_remove(&s->node);
  e->in_len -= s->len;
  tcp_end *o = e->other;
  uint64_t writer = 0;
  aq_tcp_events writer_ev = {0};
  if (o && o->open && o->short_write && e->in_len <= FAKE_WAITING_MAX / 2) {
    o->short_write = false;
    writer = o->id, writer_ev = o->owner->ev;
  }
  end_expect(e);
  owner->bytes_in += s->len;
  ev.data(ev.arg, id, aq_bytes_of(s->data, s->len));
  free(s);
  if (writer) writer_ev.writable(writer_ev.arg, writer);
}

static void end_event(void *arg) {
  tcp_end *e = arg;
  if (e->owner->down) return;
  if (!e->dialing && !e->accepting && end_cut(e)) return;
  if (e->dialing)
    end_dialled(e);
  else if (e->accepting)
    end_accepted(e);
  else if (!e->open)
    return;
  else if (!aq_list_empty(&e->in))
    end_segment(e);
  else if (e->closing)
    end_gone(e);
}

static void tcp_events(void *ctx, const aq_tcp_events *ev) { ((fake_node *)ctx)->ev = *ev; }

static uint64_t tcp_dial(void *ctx, const char *host, uint16_t port) {
  fake_node *from = ctx, *to = NULL;
  fake_net *n = from->net;
  uint64_t now = net_now(n);
  n->dials++;
  for (uint32_t i = 0; i < n->node_cnt; i++) {
    if (strcmp(n->node[i].host, host) == 0 && port == FAKE_PORT) to = &n->node[i];
  }
  tcp_end *e = end_new(from);
  e->dialing = true;
  if (to && (n->cut[from->idx][to->idx] || n->cut[to->idx][from->idx])) {
    e->fate = AQ_E_TIMEOUT;
    end_wake(e, now + AQ_SECONDS(5));
    return e->id;
  }
  end_wake(e, now + 2 * n->latency_ns);
  if (!to || to->down || !to->ev.accepted) {
    e->fate = AQ_E_CLOSED;
    return e->id;
  }
  tcp_end *o = end_new(to);
  e->other = o, o->other = e;
  e->other_idx = to->idx, o->other_idx = from->idx;
  o->accepting = true;
  end_wake(o, now + n->latency_ns);
  return e->id;
}

static size_t tcp_write(void *ctx, uint64_t id, aq_bytes out) {
  tcp_end *e = end_of(ctx, id);
  if (!e || !e->open) return 0;
  tcp_end *o = e->other;
  fake_net *n = e->net;
  if (!o) return out.len;
  uint64_t now = net_now(n);
  size_t taken = out.len < FAKE_WAITING_MAX - o->in_len ? out.len : FAKE_WAITING_MAX - o->in_len;
  if (taken < out.len) e->short_write = true;
  bool idle = aq_list_empty(&o->in);
  for (size_t off = 0; off < taken;) {
    size_t max = n->chunk_max ? 1 + fake_splitmix(&n->rng) % n->chunk_max : 65536;
    size_t len = taken - off < max ? taken - off : max;
    segment *s = malloc(sizeof *s + len);
    AQ_ASSERT(s);
    if (o->line_free_ns < now) o->line_free_ns = now;
    if (n->bytes_per_ms) o->line_free_ns += len * AQ_NS_PER_MS / n->bytes_per_ms;
    s->at_ns = o->line_free_ns + net_way(n, e->owner->idx, o->owner->idx);
    if (s->at_ns < o->last_ns) s->at_ns = o->last_ns; /* a stream keeps its order */
    o->last_ns = s->at_ns;
    s->len = len;
    memcpy(s->data, out.ptr + off, len);
    aq_list_push(&o->in, &s->node);
    off += len;
  }
  o->in_len += taken;
  if (idle && taken) end_expect(o);
  return taken;
}

static void tcp_close(void *ctx, uint64_t id) {
  tcp_end *e = end_of(ctx, id);
  if (!e) return;
  end_part(e, AQ_E_CLOSED, false);
  end_free(e);
}

void fake_net_init(fake_net *n, const aq_env *env, uint64_t seed) {
  memset(n, 0, sizeof *n);
  n->env = env;
  n->rng = seed;
  n->latency_ns = AQ_MILLIS(1);
  aq_list_init(&n->ends);
}

fake_node *fake_net_node(fake_net *n) {
  AQ_ASSERT(n->node_cnt < FAKE_NODES_MAX);
  fake_node *node = &n->node[n->node_cnt];
  node->net = n;
  node->idx = n->node_cnt++;
  snprintf(node->host, sizeof node->host, "10.0.0.%u", node->idx + 1);
  node->tcp = (aq_tcp){node, tcp_events, tcp_dial, tcp_write, tcp_close};
  return node;
}

void fake_net_free(fake_net *n) { AQ_LIST_EACH(&n->ends, e, tcp_end, node) end_free(e); }

void fake_net_changed(fake_net *n) { AQ_LIST_EACH(&n->ends, e, tcp_end, node) end_expect(e); }

void fake_net_cut(fake_net *n, uint32_t a, uint32_t b, bool cut) {
  n->cut[a][b] = n->cut[b][a] = cut;
  fake_net_changed(n);
}

void fake_net_reset(fake_net *n, uint32_t a, uint32_t b) {
  AQ_LIST_EACH(&n->ends, e, tcp_end, node) {
    if (!e->other || !e->open || e->owner->idx != a || e->other->owner->idx != b) continue;
    e->closing = e->other->closing = true;
    e->fate = e->other->fate = AQ_E_CLOSED;
    end_wake(e, net_now(n));
    end_wake(e->other, net_now(n));
  }
}

void fake_net_crash(fake_net *n, uint32_t idx, bool silent) {
  fake_node *node = &n->node[idx];
  memset(&node->ev, 0, sizeof node->ev);
  AQ_LIST_EACH(&n->ends, e, tcp_end, node) {
    if (e->owner != node) continue;
    end_part(e, AQ_E_CLOSED, silent);
    end_free(e);
  }
  node->down = true;
}

void fake_net_up(fake_net *n, uint32_t idx) { n->node[idx].down = false; }

uint32_t fake_net_conns(const fake_net *n, uint32_t idx) {
  uint32_t cnt = 0;
  AQ_LIST_EACH((aq_list *)(uintptr_t)&n->ends, e, tcp_end, node) cnt += e->owner->idx == idx && e->open;
  return cnt;
}
