/* Members of the lock on a switch: sockets, who is connected, what messages of one cost it. */
#include "p2p/host_internal.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "identity/identity.h"

enum { CONNS_DEFAULT = 128, UNKNOWN_ADDRS_MAX = 64 };
_Static_assert((int)AQ_GATE_PEERS_MAX == (int)AQ_HOST_PEERS_MAX, "the gate keeps a score for every peer");
#define TICK_NS AQ_SECONDS(1)
#define REFUSED_LOG_NS AQ_SECONDS(10)

uint32_t host_random(aq_host *h) {
  uint32_t r;
  aq_random(h->env, &r, sizeof r);
  return r;
}

const char *host_peer_label(const aq_host *h, const hpeer *p) { return h->cfg.peers[p->idx].name; }

void host_attempt(aq_gate_verdict v) {
  aq_metric_add(AQ_M_P2P_CONN_ATTEMPTS_TOTAL, 1, AQ_LABELS(aq_gate_verdict_name(v)));
}

static uint64_t now_ns(const aq_host *h) { return aq_mono_ns(h->env); } /* no deadline here is one of the chain */

/* ---- next turn ---- */

static void on_turn(void *arg) {
  aq_host *h = arg;
  AQ_LIST_EACH(&h->grave, hc, hconn, of_host) {
    aq_list_remove(&hc->of_host);
    free(hc);
  }
  host_ops_tell(h);
}

void host_turn(aq_host *h) { aq_timer_set(h->env, &h->turn, 0, on_turn, h); }

/* ---- connections: end ---- */

static void log_peer(const aq_host *h, const hpeer *p, const char *event) {
  char id[AQ_PEER_ID_TEXT_MAX];
  aq_peer_id_text(id, h->cfg.peers[p->idx].pubkey);
  AQ_LOG(AQ_LOG_INFO, "p2p_peer", AQ_STR("event", event), AQ_STR("peer", host_peer_label(h, p)), AQ_STR("peer_id", id),
         AQ_STR("result", "ok"));
}

bool host_connected(const hpeer *p) { return p->remote->link_cnt > 0; }
bool host_conn_is_up(const hconn *hc) { return hc->link && hc->link->up; }

static void set_conn_metrics(aq_host *h, const hpeer *p) {
  aq_metric_set(AQ_M_P2P_CONNS_OPEN, h->up_cnt, AQ_NO_LABELS);
  aq_metric_set(AQ_M_P2P_PEER_CONNECTION_TYPES, p->remote->link_cnt, AQ_LABELS(host_peer_label(h, p), "direct", "tcp"));
}

static void conn_not_up(hconn *hc) {
  hc->h->up_cnt--;
  aq_metric_add(AQ_M_P2P_CONN_CLOSE_TOTAL, 1, AQ_NO_LABELS);
  set_conn_metrics(hc->h, hc->peer);
}

static void peer_left(aq_host *h, hpeer *p) {
  aq_metric_add(AQ_M_P2P_PEERS_LEFT_TOTAL, 1, AQ_NO_LABELS);
  log_peer(h, p, "leave");
  if (h->cfg.peer_change) h->cfg.peer_change(h->cfg.arg, p->idx, false);
}

static void penalty(aq_host *h, hpeer *p, int32_t points) {
  if (aq_gate_penalty(&h->gate, p->idx, points, now_ns(h))) aq_remote_close(p->remote, AQ_YAMUX_AWAY_GATED);
}

/* Takes the connection, whose socket is closed, out of everything. It is freed on the next turn. */
static void conn_ended(hconn *hc, aq_status st) {
  aq_host *h = hc->h;
  hc->dead = true;
  h->conn_cnt--;
  if (hc->counted) conn_not_up(hc);
  aq_list_remove(&hc->of_host);
  aq_list_push(&h->grave, &hc->of_host);
  host_dial_ended(hc);
  if (host_conn_is_up(hc) && !host_connected(hc->peer)) peer_left(h, hc->peer);
  bool fault = aq_status_class_of(st) == AQ_CLASS_PEER && st != AQ_E_UNKNOWN;
  if (hc->inbound && !hc->peer && hc->link && fault) host_attempt(AQ_GATE_DENIED); /* it never said who it is */
  if (hc->peer && fault) penalty(h, hc->peer, AQ_SCORE_BAD_CONN);
  host_turn(h);
}

static size_t pipe_write(void *ctx, aq_bytes out) {
  const hconn *hc = ctx;
  const aq_tcp *tcp = hc->h->cfg.tcp;
  return tcp->write(tcp->ctx, hc->tcp_id, out);
}

static void pipe_close(void *ctx) {
  hconn *hc = ctx;
  const aq_tcp *tcp = hc->h->cfg.tcp;
  aq_map_del(&hc->h->conns, &hc->tcp_id);
  tcp->close(tcp->ctx, hc->tcp_id);
}

/* The socket did not open, or is not wanted any more. */
static void conn_drop(hconn *hc, aq_status st) {
  pipe_close(hc);
  conn_ended(hc, st);
}

void host_conn_close(hconn *hc, uint32_t code) {
  if (hc->dead) return;
  if (hc->link)
    aq_link_close(hc->link, code);
  else
    conn_drop(hc, AQ_E_CLOSED);
}

/* ---- connections: begin ---- */

hconn *host_conn_new(aq_host *h, bool inbound) {
  hconn *hc = calloc(1, sizeof *hc);
  AQ_ASSERT(hc);
  hc->h = h;
  hc->inbound = inbound;
  hc->begin_ns = now_ns(h);
  hc->want = -1;
  aq_list_push(&h->all, &hc->of_host);
  h->conn_cnt++;
  return hc;
}

static void conn_start(hconn *hc) {
  const aq_pipe pipe = {.ctx = hc, .write = pipe_write, .close = pipe_close};
  hc->link = aq_switch_link(hc->h->sw, &pipe, hc->inbound, hc->remote, hc);
  aq_link_start(hc->link);
}

static hpeer *peer_of_key(aq_host *h, const uint8_t key[33]) {
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) {
    if (i != h->cfg.self && memcmp(h->cfg.peers[i].pubkey, key, 33) == 0) return &h->peer[i];
  }
  return NULL;
}

/* A stranger may knock a hundred times a second: the metrics count, the log says so now and then. */
static void log_refused(aq_host *h, const hconn *hc, const uint8_t remote[33], aq_gate_verdict v) {
  uint64_t now = now_ns(h);
  h->refused_cnt++;
  if (h->refused_log_ns && now < h->refused_log_ns + REFUSED_LOG_NS) return;
  char id[AQ_PEER_ID_TEXT_MAX];
  aq_peer_id_text(id, remote);
  AQ_LOG(AQ_LOG_WARN, "p2p_dkg_gate", AQ_STR("addr", hc->remote), AQ_UINT("cnt", h->refused_cnt), AQ_STR("peer_id", id),
         AQ_STR("result", aq_gate_verdict_name(v)));
  h->refused_log_ns = now;
  h->refused_cnt = 0;
}

static aq_remote *on_secured(void *arg, aq_link *l, const uint8_t key[33]) {
  aq_host *h = arg;
  hconn *hc = l->user;
  bool self = memcmp(key, aq_switch_key(h->sw), 33) == 0;
  hpeer *p = peer_of_key(h, key);
  if (self && hc->inbound) return NULL; /* counted at its other end */
  if (!self) {
    aq_gate_verdict v = aq_gate_secured(&h->gate, p ? (int)p->idx : -1, now_ns(h));
    if (hc->inbound || v != AQ_GATE_ALLOWED) host_attempt(v);
    if (v != AQ_GATE_ALLOWED) {
      log_refused(h, hc, key, v);
      return NULL;
    }
  }
  hc->peer = p;
  if (hc->inbound) host_door_secured(hc);
  bool stays = hc->inbound || host_dial_secured(hc, p);
  return stays && p ? p->remote : NULL;
}

static void on_joined(void *arg, aq_remote *r) {
  aq_host *h = arg;
  hpeer *p = r->user;
  aq_metric_add(AQ_M_P2P_PEERS_JOINED_TOTAL, 1, AQ_NO_LABELS);
  log_peer(h, p, "join");
  if (h->cfg.peer_change) h->cfg.peer_change(h->cfg.arg, p->idx, true);
}

static void on_up(void *arg, aq_link *l) {
  aq_host *h = arg;
  hconn *hc = l->user;
  hpeer *p = hc->peer;
  hc->counted = true;
  h->up_cnt++;
  aq_metric_add(AQ_M_P2P_CONN_OPEN_TOTAL, 1, AQ_NO_LABELS);
  aq_metric_add(AQ_M_P2P_PEER_CONNECTION_TOTAL, 1, AQ_LABELS(host_peer_label(h, p)));
  set_conn_metrics(h, p);
  aq_book_forgive(&p->book, l->up_ns);
  if (!hc->inbound && h->cfg.peer_addr) h->cfg.peer_addr(h->cfg.arg, p->idx, hc->remote);
  if (h->cfg.peer_up) h->cfg.peer_up(h->cfg.arg, p->idx);
  host_ops_go(p);
}

static void on_ended(void *arg, aq_link *l, aq_status st) {
  (void)arg;
  conn_ended(l->user, st);
}

static void on_heard(void *arg, aq_remote *r) {
  aq_host *h = arg;
  hpeer *p = r->user;
  aq_book_drop_source(&p->book, AQ_ADDR_ANNOUNCED);
  for (uint32_t i = 0; i < r->info.addr_cnt; i++) {
    const aq_identify_addr *a = &r->info.addr[i];
    aq_status st = aq_book_add(&p->book, a->host, a->port, AQ_ADDR_ANNOUNCED, now_ns(h));
    if (st != AQ_OK) break; /* full of better ones */
  }
  AQ_LOG(AQ_LOG_DEBUG, "p2p_identify", AQ_UINT("addrs", r->info.addr_cnt), AQ_STR("agent", r->info.agent),
         AQ_STR("peer", host_peer_label(h, p)));
}

static void on_fault(void *arg, aq_remote *r, aq_status st) {
  penalty(arg, r->user, st == AQ_E_LIMIT ? AQ_SCORE_TOO_MANY : AQ_SCORE_BAD_MSG);
}

/* ---- sockets ---- */

static hconn *conn_of(aq_host *h, uint64_t id) { return aq_map_get(&h->conns, &id); }

static bool tcp_accepted(void *arg, uint64_t id, const char *remote) {
  aq_host *h = arg;
  if (!h->started || h->stopped) return false;
  hconn as = {.peer = NULL};
  aq_gate_verdict v = host_door(h, remote, &as);
  if (v != AQ_GATE_ALLOWED) {
    host_attempt(v);
    return false;
  }
  hconn *hc = host_conn_new(h, true);
  hc->members = as.members;
  memcpy(hc->from, as.from, sizeof hc->from);
  hc->tcp_id = id;
  size_t len = strlen(remote) < sizeof hc->remote ? strlen(remote) : sizeof hc->remote - 1;
  memcpy(hc->remote, remote, len);
  aq_status st = aq_map_put(&h->conns, &hc->tcp_id, hc);
  AQ_ASSERT(st == AQ_OK);
  conn_start(hc);
  return !hc->dead;
}

static void tcp_opened(void *arg, uint64_t id, aq_status st) {
  hconn *hc = conn_of(arg, id);
  if (!hc) return;
  if (st == AQ_OK)
    conn_start(hc);
  else
    conn_drop(hc, st);
}

static void tcp_data(void *arg, uint64_t id, aq_bytes in) {
  aq_host *h = arg;
  hconn *hc = conn_of(h, id);
  if (!hc || !hc->link) return;
  hc->spoke = true;
  aq_link_data(hc->link, in);
}

static void tcp_writable(void *arg, uint64_t id) {
  hconn *hc = conn_of(arg, id);
  if (hc && hc->link) aq_link_writable(hc->link);
}

static void tcp_closed(void *arg, uint64_t id, aq_status st) {
  hconn *hc = conn_of(arg, id);
  if (!hc) return;
  if (st == AQ_OK) st = AQ_E_CLOSED;
  if (hc->link)
    aq_link_broken(hc->link, st);
  else
    conn_drop(hc, st);
}

/* ---- each second ---- */

/* Between aequa nodes the worse one of a double dial is ended by the side that dialled it, once nothing runs on it.
   Other peers may have plans with theirs. */
static void end_duplicates(const aq_host *h, hpeer *p) {
  aq_remote *r = p->remote;
  if (r->link_cnt < 2 || !r->info.heard || strncmp(r->info.agent, "aequa/", 6) != 0) return;
  aq_link *best = aq_remote_best(r);
  if (aq_link_rtt_ns(best) == 0 || now_ns(h) - best->up_ns < TICK_NS) return;
  AQ_LIST_EACH(&r->links, l, aq_link, of_remote) {
    if (l != best && !l->inbound && aq_link_streams(l) == 0) aq_link_close(l, AQ_YAMUX_CODE_NONE);
  }
}

static void on_tick(void *arg) {
  aq_host *h = arg;
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) end_duplicates(h, &h->peer[i]);
  aq_switch_tell(h->sw);
  aq_timer_after(h->env, &h->tick, TICK_NS, on_tick, h);
}

/* ---- object ---- */

static void on_recv(void *arg, aq_remote *from, aq_bytes msg) {
  const hhandler *hh = arg;
  hh->f.recv(hh->f.arg, ((const hpeer *)from->user)->idx, msg);
}

static void on_serve(void *arg, aq_remote *from, aq_bytes msg, aq_reply *reply) {
  const hhandler *hh = arg;
  hh->f.serve(hh->f.arg, ((const hpeer *)from->user)->idx, msg, (aq_net_reply *)(void *)reply);
}

static void net_handle(void *ctx, aq_net_proto proto, const aq_net_handler *f) {
  aq_host *h = ctx;
  AQ_ASSERT(proto < AQ_PROTO_CNT);
  hhandler *hh = &h->handler[proto];
  *hh = (hhandler){h, *f};
  const aq_service_handler sh = {.arg = hh, .recv = f->recv ? on_recv : NULL, .serve = f->serve ? on_serve : NULL};
  aq_switch_handle(h->sw, proto, &sh);
}

static void net_respond(void *ctx, aq_net_reply *reply, aq_bytes answer) {
  aq_switch_respond(((aq_host *)ctx)->sw, (aq_reply *)(void *)reply, answer);
}

static void net_refuse(void *ctx, aq_net_reply *reply) {
  aq_switch_refuse(((aq_host *)ctx)->sw, (aq_reply *)(void *)reply);
}

static void net_fault(void *ctx, uint32_t peer, aq_net_proto proto, aq_status st) {
  aq_host *h = ctx;
  (void)proto;
  AQ_ASSERT(peer < h->cfg.peer_cnt);
  aq_switch_judge(h->sw, st);
  penalty(h, &h->peer[peer], st == AQ_E_LIMIT ? AQ_SCORE_TOO_MANY : AQ_SCORE_BAD_MSG);
}

static bool net_connected(void *ctx, uint32_t peer) {
  const aq_host *h = ctx;
  return peer < h->cfg.peer_cnt && host_connected(&h->peer[peer]);
}

static void peer_init(aq_host *h, uint32_t idx) {
  hpeer *p = &h->peer[idx];
  const aq_host_peer *who = &h->cfg.peers[idx];
  p->idx = idx;
  p->remote = aq_switch_member(h->sw, who->pubkey, who->name, p);
  aq_list_init(&p->waiting), aq_list_init(&p->active);
  aq_book_init(&p->book, AQ_HOST_ADDRS_MAX);
}

static aq_switch *switch_new(aq_host *h) {
  const aq_host_cfg *cfg = &h->cfg;
  const aq_switch_cfg sw = {.env = cfg->env,
                            .key = cfg->key,
                            .rows = aq_services,
                            .row_cnt = AQ_PROTO_CNT,
                            .role = AQ_ROLE_RUN,
                            .listen_addrs = cfg->listen_addrs,
                            .listen_addr_cnt = cfg->listen_addr_cnt,
                            .agent = cfg->agent,
                            .on = {.arg = h,
                                   .secured = on_secured,
                                   .joined = on_joined,
                                   .up = on_up,
                                   .ended = on_ended,
                                   .heard = on_heard,
                                   .fault = on_fault}};
  return aq_switch_new(&sw);
}

aq_host *aq_host_new(const aq_host_cfg *cfg) {
  AQ_ASSERT(cfg->peer_cnt <= AQ_HOST_PEERS_MAX && cfg->self < cfg->peer_cnt);
  aq_host *h = calloc(1, sizeof *h);
  AQ_ASSERT(h);
  h->cfg = *cfg;
  h->env = cfg->env;
  h->sw = switch_new(h);
  uint32_t conns_max = cfg->conns_max ? cfg->conns_max : CONNS_DEFAULT;
  aq_gate_init(&h->gate, cfg->rate_limit, conns_max, cfg->score_threshold);
  uint8_t seed[16];
  aq_random(h->env, seed, sizeof seed);
  aq_map_init(&h->conns, sizeof(uint64_t), (size_t)conns_max + HOST_OWN_MAX, seed);
  aq_list_init(&h->all), aq_list_init(&h->grave), aq_list_init(&h->done);
  for (uint32_t i = 0; i < cfg->peer_cnt; i++) peer_init(h, i);
  aq_book_init(&h->unknown, UNKNOWN_ADDRS_MAX);
  h->net = (aq_net){.ctx = h,
                    .respond = net_respond,
                    .refuse = net_refuse,
                    .handle = net_handle,
                    .connected = net_connected,
                    .fault = net_fault};
  host_send_init(h);
  const aq_tcp_events ev = {h, tcp_accepted, tcp_opened, tcp_data, tcp_writable, tcp_closed};
  cfg->tcp->events(cfg->tcp->ctx, &ev);
  aq_metric_add(AQ_M_P2P_PEERS_ADDED_TOTAL, cfg->peer_cnt - 1, AQ_NO_LABELS);
  return h;
}

void aq_host_free(aq_host *h) {
  if (!h) return;
  aq_host_stop(h);
  aq_timer_cancel(h->env, &h->turn);
  AQ_LIST_EACH(&h->done, op, hop, node) free(op);
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) aq_book_free(&h->peer[i].book);
  aq_book_free(&h->unknown);
  aq_map_free(&h->conns);
  aq_switch_free(h->sw);
  free(h);
}

const aq_net *aq_host_net(aq_host *h) { return &h->net; }

void aq_host_start(aq_host *h) {
  char id[AQ_PEER_ID_TEXT_MAX];
  AQ_ASSERT(!h->started);
  h->started = true;
  aq_peer_id_text(id, aq_switch_key(h->sw));
  AQ_LOG(AQ_LOG_INFO, "p2p_start", AQ_UINT("peers", h->cfg.peer_cnt - 1), AQ_STR("result", "ok"),
         AQ_STR("self_id", id));
  for (size_t i = 0; i < h->cfg.listen_addr_cnt || i == 0; i++) {
    const char *addr = i < h->cfg.listen_addr_cnt ? h->cfg.listen_addrs[i] : "";
    AQ_LOG(AQ_LOG_INFO, "p2p_addr", AQ_STR("addr", addr), AQ_STR("result", "ok"), AQ_STR("self_id", id));
  }
  aq_timer_after(h->env, &h->tick, TICK_NS, on_tick, h);
  host_dial_soon(h);
}

void aq_host_stop(aq_host *h) {
  if (h->stopped) return;
  h->stopped = true;
  aq_timer_cancel(h->env, &h->dial);
  aq_timer_cancel(h->env, &h->tick);
  AQ_LIST_EACH(&h->all, hc, hconn, of_host) host_conn_close(hc, AQ_YAMUX_CODE_NONE);
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) host_ops_abort(&h->peer[i], AQ_E_CLOSED);
  aq_switch_stop(h->sw);
  on_turn(h);
  aq_timer_cancel(h->env, &h->turn);
}

uint32_t aq_host_connected(const aq_host *h) {
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) cnt += host_connected(&h->peer[i]);
  return cnt;
}

uint64_t aq_host_bytes(const aq_host *h, bool in) { return aq_switch_bytes(h->sw, in); }
