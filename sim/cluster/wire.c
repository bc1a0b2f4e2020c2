/* The network in wire mode: the real host of p2p/host.h, with Noise, yamux and identify, over the sockets of
   fake/net.h. The same checks see what leaves a node; cuts, delays and resets act on connections. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fake/net.h"
#include "p2p/peerinfo.h"
#include "sim/cluster/world.h"

typedef struct {
  aq_host *host;
  aq_peerinfo *info;
  aq_tcp tcp; /* silent once the process is dead */
} wire;

struct sim_wires {
  fake_net net;
  wire *of[SIM_INSTANCES_MAX];
};

static fake_node *socket_of(const sim_node *n) { return &n->w->wires->net.node[n->idx]; }
static wire *wire_of(const sim_node *n) { return n->w->wires->of[n->idx]; }

/* ---- sockets of a process ---- */

static void tcp_events(void *ctx, const aq_tcp_events *ev) { socket_of(ctx)->tcp.events(socket_of(ctx), ev); }

static uint64_t tcp_dial(void *ctx, const char *host, uint16_t port) {
  return socket_of(ctx)->tcp.dial(socket_of(ctx), host, port);
}

static size_t tcp_write(void *ctx, uint64_t conn, aq_bytes out) {
  sim_node *n = ctx;
  if (!sim_effect(&n->proc)) return out.len;
  return socket_of(n)->tcp.write(socket_of(n), conn, out);
}

static void tcp_close(void *ctx, uint64_t conn) { socket_of(ctx)->tcp.close(socket_of(ctx), conn); }

/* ---- messages: the host's port, with our eyes and lies in between ---- */

static void net_send(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_done done, void *arg) {
  sim_node *n = ctx;
  const aq_net *net = aq_host_net(wire_of(n)->host);
  aq_buf changed = AQ_BUF(SIM_MESSAGE_SCRATCH);
  n->w->out->messages++;
  if (!n->proc.env.dead && n->nature == SIM_HONEST) sim_check_sent(n, peer, proto, msg);
  if (!n->proc.env.dead) sim_trace(n->w, "send", n->idx, peer, msg);
  if (n->nature == SIM_LIAR && sim_lie(n, proto, msg, &changed)) msg = aq_buf_bytes(&changed);
  net->send(net->ctx, peer, proto, msg, done, arg);
  aq_buf_free(&changed);
}

static void net_request(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_answer fn, void *arg) {
  const aq_net *net = aq_host_net(wire_of(ctx)->host);
  net->request(net->ctx, peer, proto, msg, fn, arg);
}

static void net_respond(void *ctx, aq_net_reply *reply, aq_bytes answer) {
  const aq_net *net = aq_host_net(wire_of(ctx)->host);
  net->respond(net->ctx, reply, answer);
}

static void net_refuse(void *ctx, aq_net_reply *reply) {
  const aq_net *net = aq_host_net(wire_of(ctx)->host);
  net->refuse(net->ctx, reply);
}

static void net_handle(void *ctx, aq_net_proto proto, const aq_net_handler *h) {
  const aq_net *net = aq_host_net(wire_of(ctx)->host);
  net->handle(net->ctx, proto, h);
}

static bool net_connected(void *ctx, uint32_t peer) {
  const aq_net *net = aq_host_net(wire_of(ctx)->host);
  return net->connected(net->ctx, peer);
}

static void net_fault(void *ctx, uint32_t peer, aq_net_proto proto, aq_status st) {
  aq_net_fault(aq_host_net(wire_of(ctx)->host), peer, proto, st);
}

/* ---- faults ---- */

static uint64_t extra_ns(void *arg, uint32_t from, uint32_t to) {
  sim_world *w = arg;
  return sim_way_us(w, w->node[from]->op, w->node[to]->op) * AQ_NS_PER_US;
}

/* Loss below TCP is delay, until the connection dies of it. */
void sim_wire_faults(sim_world *w) {
  fake_net *net = &w->wires->net;
  for (uint32_t i = 0; i < w->node_cnt; i++) {
    for (uint32_t k = 0; k < w->node_cnt; k++) net->cut[i][k] = sim_cut(w, w->node[i]->op, w->node[k]->op);
  }
  fake_net_changed(net);
}

void sim_wire_reset(sim_world *w, uint32_t a, uint32_t b) {
  for (uint32_t i = 0; i < w->node_cnt; i++) {
    for (uint32_t k = 0; k < w->node_cnt; k++) {
      if (w->node[i]->op != a || w->node[k]->op != b) continue;
      fake_net_reset(&w->wires->net, i, k);
      sim_count_fault(w, SIM_RESET);
    }
  }
}

/* ---- life ---- */

void sim_wire_init(sim_world *w) {
  w->wires = calloc(1, sizeof *w->wires);
  AQ_ASSERT(w->wires);
  fake_net_init(&w->wires->net, &w->own.env.env, w->opts.seed);
  w->wires->net.latency_ns = AQ_NS_PER_MS / 5;
  w->wires->net.chunk_max = sim_chance(w, 300) ? 700 : 0;
  w->wires->net.bytes_per_ms = sim_chance(w, 300) ? 200 : 0;
  w->wires->net.extra_ns = extra_ns;
  w->wires->net.extra_arg = w;
  for (uint32_t i = 0; i < SIM_INSTANCES_MAX; i++) fake_net_node(&w->wires->net)->down = true;
}

void sim_wire_free(sim_world *w) {
  fake_net_free(&w->wires->net);
  free(w->wires);
  w->wires = NULL;
}

static void peer_up(void *arg, uint32_t peer) { aq_core_peer_up(&((sim_node *)arg)->core, peer); }

void sim_wire_start(sim_node *n) {
  sim_world *w = n->w;
  wire *x = calloc(1, sizeof *x);
  AQ_ASSERT(x);
  w->wires->of[n->idx] = x;
  x->tcp = (aq_tcp){n, tcp_events, tcp_dial, tcp_write, tcp_close};
  fake_net_up(&w->wires->net, n->idx);
  const aq_host_cfg cfg = {.env = &n->proc.env.env,
                           .tcp = &x->tcp,
                           .key = w->key[n->op],
                           .self = n->op,
                           .peer_cnt = w->n,
                           .peers = w->peers,
                           .agent = "aequa/sim",
                           .conns_max = 128,
                           .peer_up = peer_up,
                           .arg = n};
  x->host = aq_host_new(&cfg);
  n->link.net = (aq_net){n, net_send, net_request, net_respond, net_refuse, net_handle, net_connected, net_fault};
  for (uint32_t op = 0; op < w->n; op++) {
    char addr[32];
    snprintf(addr, sizeof addr, "10.0.0.%u:%d", op + 1, FAKE_PORT);
    if (op != n->op) AQ_MUST(aq_host_add_addr(x->host, (int)op, addr, true, NULL) == AQ_OK);
  }
  aq_peerinfo_cfg info = {.env = &n->proc.env.env,
                          .net = aq_host_net(x->host),
                          .self = n->op,
                          .peer_cnt = w->n,
                          .peer_names = w->names,
                          .wire_version = "v1.11.0",
                          .git_hash = "0000000",
                          .nickname = ""};
  memcpy(info.lock_hash, w->lock.lock_hash, 32);
  x->info = aq_peerinfo_new(&info);
  aq_host_start(x->host);
  aq_peerinfo_start(x->info);
}

/* The process stops talking: in good order, or without a word. */
void sim_wire_stop(sim_node *n) {
  aq_host_stop(wire_of(n)->host);
  fake_net_crash(&n->w->wires->net, n->idx, sim_chance(n->w, 300));
}

void sim_wire_end(sim_node *n) {
  wire *x = wire_of(n);
  aq_peerinfo_free(x->info);
  aq_host_free(x->host);
  free(x);
  n->w->wires->of[n->idx] = NULL;
}
