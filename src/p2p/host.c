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
#define TOGETHER_NS AQ_SECONDS(10) /* two connections this close in time are a double dial, not a reconnection */

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
    aq_conn_free(hc->c);
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

static void set_conn_metrics(aq_host *h, const hpeer *p) {
  aq_metric_set(AQ_M_P2P_CONNS_OPEN, h->up_cnt, AQ_NO_LABELS);
  aq_metric_set(AQ_M_P2P_PEER_CONNECTION_TYPES, p->conn_cnt, AQ_LABELS(host_peer_label(h, p), "direct", "tcp"));
}

static void peer_left(aq_host *h, hpeer *p) {
  host_ping_stop(h, p);
  aq_metric_add(AQ_M_P2P_PEERS_LEFT_TOTAL, 1, AQ_NO_LABELS);
  log_peer(h, p, "leave");
  if (h->cfg.peer_change) h->cfg.peer_change(h->cfg.arg, p->idx, false);
}

static void conn_not_up(hconn *hc) {
  aq_host *h = hc->h;
  hpeer *p = hc->peer;
  aq_list_remove(&hc->of_peer);
  p->conn_cnt--;
  h->up_cnt--;
  aq_metric_add(AQ_M_P2P_CONN_CLOSE_TOTAL, 1, AQ_NO_LABELS);
  set_conn_metrics(h, p);
}

static void drop_streams(hconn *hc) {
  AQ_LIST_EACH(&hc->streams, s, hstream, node) {
    if (s->kind == STREAM_OP)
      host_op_lost(s->op);
    else if (s->kind == STREAM_PING)
      host_ping_failed(s);
    host_stream_free(s);
  }
}

/* Takes the connection out of everything. It is freed on the next turn, since its own code may be running. */
void host_conn_down(hconn *hc, aq_status st) {
  aq_host *h = hc->h;
  if (hc->dead) return;
  hc->dead = true;
  h->conn_cnt--;
  if (hc->tcp_id) {
    aq_map_del(&h->conns, &hc->tcp_id);
    h->cfg.tcp->close(h->cfg.tcp->ctx, hc->tcp_id);
  }
  bool was_up = hc->up;
  if (was_up) conn_not_up(hc);
  drop_streams(hc);
  aq_list_remove(&hc->of_host);
  aq_list_push(&h->grave, &hc->of_host);
  host_dial_ended(hc);
  if (was_up && hc->peer->conn_cnt == 0) peer_left(h, hc->peer);
  if (hc->inbound && !hc->peer && hc->c && aq_status_class_of(st) == AQ_CLASS_PEER && st != AQ_E_UNKNOWN) {
    host_attempt(AQ_GATE_DENIED); /* it never said who it is */
  }
  bool fault = aq_status_class_of(st) == AQ_CLASS_PEER && st != AQ_E_UNKNOWN;
  if (hc->peer && fault) host_penalty(h, hc->peer, AQ_SCORE_BAD_CONN);
  host_turn(h);
}

void host_conn_close(hconn *hc, uint32_t code) {
  if (hc->dead) return;
  if (hc->c) aq_conn_close(hc->c, code);
  host_conn_down(hc, AQ_E_CLOSED);
}

void host_penalty(aq_host *h, hpeer *p, int32_t points) {
  if (!aq_gate_penalty(&h->gate, p->idx, points, now_ns(h))) return;
  AQ_LIST_EACH(&p->conns, hc, hconn, of_peer) host_conn_close(hc, AQ_YAMUX_AWAY_GATED);
}

/* ---- connections: begin ---- */

hconn *host_conn_new(aq_host *h, bool inbound) {
  hconn *hc = calloc(1, sizeof *hc);
  AQ_ASSERT(hc);
  hc->h = h;
  hc->inbound = inbound;
  hc->begin_ns = now_ns(h);
  hc->want = -1;
  aq_list_init(&hc->of_peer), aq_list_init(&hc->streams);
  aq_list_push(&h->all, &hc->of_host);
  h->conn_cnt++;
  return hc;
}

static size_t io_write(void *arg, aq_bytes out) {
  hconn *hc = arg;
  aq_host *h = hc->h;
  if (hc->dead) return out.len;
  size_t taken = h->cfg.tcp->write(h->cfg.tcp->ctx, hc->tcp_id, out);
  h->bytes_out += taken;
  if (hc->peer) hc->peer->out_bytes += taken;
  return taken;
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

static bool io_secured(void *arg, const uint8_t remote[33]) {
  hconn *hc = arg;
  aq_host *h = hc->h;
  bool self = memcmp(remote, h->self_key, 33) == 0;
  hpeer *p = peer_of_key(h, remote);
  if (self && hc->inbound) return false; /* counted at its other end */
  if (!self) {
    aq_gate_verdict v = aq_gate_secured(&h->gate, p ? (int)p->idx : -1, now_ns(h));
    if (hc->inbound || v != AQ_GATE_ALLOWED) host_attempt(v);
    if (v != AQ_GATE_ALLOWED) {
      log_refused(h, hc, remote, v);
      return false;
    }
  }
  hc->peer = p;
  if (hc->inbound) host_door_secured(hc);
  return hc->inbound || host_dial_secured(hc, p);
}

static void drop_oldest(hpeer *p) {
  hconn *oldest = AQ_CONTAINER(p->conns.prev, hconn, of_peer);
  host_conn_close(oldest, AQ_YAMUX_CODE_NONE);
}

static void io_up(void *arg) {
  hconn *hc = arg;
  aq_host *h = hc->h;
  hpeer *p = hc->peer;
  hc->up = true;
  hc->up_ns = now_ns(h);
  aq_list_push(p->conns.next, &hc->of_peer); /* before the first: newest first */
  p->conn_cnt++;
  h->up_cnt++;
  aq_metric_add(AQ_M_P2P_CONN_OPEN_TOTAL, 1, AQ_NO_LABELS);
  aq_metric_add(AQ_M_P2P_PEER_CONNECTION_TOTAL, 1, AQ_LABELS(host_peer_label(h, p)));
  set_conn_metrics(h, p);
  if (p->conn_cnt > HOST_PEER_CONNS_MAX) drop_oldest(p);
  aq_book_forgive(&p->book, hc->up_ns);
  host_identify_ask(hc);
  if (!hc->inbound && h->cfg.peer_addr) h->cfg.peer_addr(h->cfg.arg, p->idx, hc->remote);
  if (p->conn_cnt == 1) {
    aq_metric_add(AQ_M_P2P_PEERS_JOINED_TOTAL, 1, AQ_NO_LABELS);
    log_peer(h, p, "join");
    if (h->cfg.peer_change) h->cfg.peer_change(h->cfg.arg, p->idx, true);
    host_ping_start(p);
  }
  if (h->cfg.peer_up) h->cfg.peer_up(h->cfg.arg, p->idx);
  host_ops_go(p);
}

static void io_event(void *arg, const aq_yamux_ev *ev) { host_stream_event(arg, ev); }
static void io_down(void *arg, aq_status st) { host_conn_down(arg, st); }

static void conn_start(hconn *hc) {
  aq_host *h = hc->h;
  const aq_conn_io io = {hc, io_write, io_secured, io_up, io_event, io_down};
  hc->c = aq_conn_new(h->env, h->cfg.key, &h->scratch, !hc->inbound, &io);
  aq_conn_start(hc->c);
}

/* Of several connections the newest that works: the other side may have lost the older ones without a word. Of a
   double dial the one that the smaller peer id dialled, so that both sides choose the same (wire.md 10.6). */
static bool dialled_by_smaller(const hconn *hc) {
  const aq_host *h = hc->h;
  bool self_smaller = memcmp(h->self_key, h->cfg.peers[hc->peer->idx].pubkey, 33) < 0;
  return self_smaller != hc->inbound;
}

static bool better(const hconn *a, const hconn *b) {
  uint64_t apart = a->up_ns > b->up_ns ? a->up_ns - b->up_ns : b->up_ns - a->up_ns;
  if (apart < TOGETHER_NS && dialled_by_smaller(a) != dialled_by_smaller(b)) return dialled_by_smaller(a);
  return a->up_ns > b->up_ns;
}

hconn *host_best_conn(hpeer *p) {
  hconn *best = NULL;
  AQ_LIST_EACH(&p->conns, hc, hconn, of_peer) {
    if (!best || better(hc, best)) best = hc;
  }
  return best;
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
    host_conn_down(hc, st);
}

static void tcp_data(void *arg, uint64_t id, aq_bytes in) {
  aq_host *h = arg;
  hconn *hc = conn_of(h, id);
  if (!hc || !hc->c) return;
  h->bytes_in += in.len;
  hc->spoke = true;
  if (hc->peer) hc->peer->in_bytes += in.len;
  aq_conn_data(hc->c, in);
}

static void tcp_writable(void *arg, uint64_t id) {
  hconn *hc = conn_of(arg, id);
  if (hc && hc->c) aq_conn_writable(hc->c);
}

static void tcp_closed(void *arg, uint64_t id, aq_status st) {
  hconn *hc = conn_of(arg, id);
  if (!hc) return;
  if (hc->c) aq_conn_abort(hc->c);
  host_conn_down(hc, st == AQ_OK ? AQ_E_CLOSED : st);
}

/* ---- each second ---- */

/* Between aequa nodes the worse one of a double dial is ended by the side that dialled it, once nothing runs on it.
   Other peers may have plans with theirs. */
static void end_duplicates(aq_host *h, hpeer *p) {
  if (p->conn_cnt < 2 || !p->info.heard || strncmp(p->info.agent, "aequa/", 6) != 0) return;
  hconn *best = host_best_conn(p);
  if (aq_conn_rtt_ns(best->c) == 0 || now_ns(h) - best->up_ns < TICK_NS) return;
  AQ_LIST_EACH(&p->conns, hc, hconn, of_peer) {
    if (hc != best && !hc->inbound && aq_yamux_streams(aq_conn_mux(hc->c)) == 0) {
      host_conn_close(hc, AQ_YAMUX_CODE_NONE);
    }
  }
}

static void count_bytes(aq_host *h, hpeer *p) {
  const char *label = host_peer_label(h, p);
  if (p->in_bytes) {
    aq_metric_add(AQ_M_P2P_PEER_NETWORK_RECEIVE_BYTES_TOTAL, (double)p->in_bytes, AQ_LABELS(label, NULL, "tcp"));
  }
  if (p->out_bytes) {
    aq_metric_add(AQ_M_P2P_PEER_NETWORK_SENT_BYTES_TOTAL, (double)p->out_bytes, AQ_LABELS(label, NULL, "tcp"));
  }
  p->in_bytes = p->out_bytes = 0;
}

/* As of each tick: most streams live for milliseconds. */
static void count_streams(const aq_host *h, hpeer *p) {
  static const char *const direction[2] = {"inbound", "outbound"};
  for (int own = 0; own < 2; own++) {
    for (uint32_t svc = 0; svc < h->names.cnt; svc++) {
      if (p->streams[own][svc] == p->streams_told[own][svc]) continue;
      p->streams_told[own][svc] = p->streams[own][svc];
      aq_metric_set(AQ_M_P2P_PEER_STREAMS, p->streams[own][svc],
                    AQ_LABELS(host_peer_label(h, p), direction[own], h->names.name[svc], "tcp"));
    }
  }
}

static void on_tick(void *arg) {
  aq_host *h = arg;
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) {
    end_duplicates(h, &h->peer[i]);
    count_bytes(h, &h->peer[i]);
    count_streams(h, &h->peer[i]);
  }
  aq_timer_after(h->env, &h->tick, TICK_NS, on_tick, h);
}

/* ---- object ---- */

static void net_handle(void *ctx, aq_net_proto proto, const aq_net_handler *f) {
  aq_host *h = ctx;
  AQ_ASSERT(proto < AQ_PROTO_CNT && (aq_services[proto].roles & AQ_ROLE_RUN));
  h->handler[proto] = *f;
  h->handled[proto] = aq_services[proto].pattern == AQ_PATTERN_REQUEST ? f->serve != NULL : f->recv != NULL;
}

static bool net_connected(void *ctx, uint32_t peer) {
  const aq_host *h = ctx;
  return peer < h->cfg.peer_cnt && h->peer[peer].conn_cnt > 0;
}

static void peer_init(hpeer *p, uint32_t idx) {
  p->idx = idx;
  aq_list_init(&p->conns), aq_list_init(&p->waiting), aq_list_init(&p->active), aq_list_init(&p->big_wait);
  aq_book_init(&p->book, AQ_HOST_ADDRS_MAX);
}

aq_host *aq_host_new(const aq_host_cfg *cfg) {
  AQ_ASSERT(cfg->peer_cnt <= AQ_HOST_PEERS_MAX && cfg->self < cfg->peer_cnt);
  aq_host *h = calloc(1, sizeof *h);
  AQ_ASSERT(h);
  h->cfg = *cfg;
  h->env = cfg->env;
  aq_k1_pubkey(h->self_key, cfg->key);
  uint32_t conns_max = cfg->conns_max ? cfg->conns_max : CONNS_DEFAULT;
  aq_gate_init(&h->gate, cfg->rate_limit, conns_max, cfg->score_threshold);
  uint8_t seed[16];
  aq_random(h->env, seed, sizeof seed);
  aq_map_init(&h->conns, sizeof(uint64_t), (size_t)conns_max + HOST_OWN_MAX, seed);
  aq_list_init(&h->all), aq_list_init(&h->grave), aq_list_init(&h->done);
  for (uint32_t i = 0; i < cfg->peer_cnt; i++) peer_init(&h->peer[i], i);
  aq_book_init(&h->unknown, UNKNOWN_ADDRS_MAX);
  aq_service_names_init(&h->names, aq_services, AQ_PROTO_CNT);
  h->net.ctx = h;
  h->net.handle = net_handle;
  h->net.connected = net_connected;
  host_stream_init(h);
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
  free(h);
}

const aq_net *aq_host_net(aq_host *h) { return &h->net; }

void aq_host_start(aq_host *h) {
  char id[AQ_PEER_ID_TEXT_MAX];
  AQ_ASSERT(!h->started);
  h->started = true;
  aq_peer_id_text(id, h->self_key);
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
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) host_ops_abort(h, &h->peer[i], AQ_E_CLOSED);
  on_turn(h);
  aq_timer_cancel(h->env, &h->turn);
}

uint32_t aq_host_connected(const aq_host *h) {
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) cnt += h->peer[i].conn_cnt > 0;
  return cnt;
}

uint64_t aq_host_bytes(const aq_host *h, bool in) { return in ? h->bytes_in : h->bytes_out; }
