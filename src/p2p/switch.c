/* Remotes and their links: who is at the other end, which link is used, when one ends. */
#include "p2p/switch.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/metrics.h"
#include "p2p/switch_internal.h"

#define TOGETHER_NS AQ_SECONDS(10) /* two links this close in time are a double dial, not a reconnection */

/* Consensus and the exchange of signatures have budgets of their own by what a message costs; a busy honest member
   opens some hundred streams a second, and ten thousand when it catches up. */
static const aq_remote_limits member = {.links_max = AQ_REMOTE_LINKS_MAX,
                                        .big_max = 2,
                                        .rx_max = AQ_REMOTE_RX_MAX,
                                        .opens = {.full = 16384, .rate = 2048, .per_ns = AQ_NS_PER_SEC},
                                        .pinged = true};
/* What identify, a reservation and some circuits take. */
static const aq_remote_limits stranger = {
    .links_max = 2, .big_max = 0, .rx_max = 1024 * 1024, .opens = {.full = 64, .rate = 8, .per_ns = AQ_NS_PER_SEC}};

static uint64_t now_ns(const aq_switch *sw) { return aq_mono_ns(sw->env); } /* no deadline here is one of the chain */

/* ---- remotes ---- */

static aq_remote *remote_new(aq_switch *sw, const uint8_t key[33], const aq_remote_limits *limits) {
  aq_remote *r = calloc(1, sizeof *r);
  AQ_ASSERT(r);
  r->sw = sw;
  r->limits = limits;
  memcpy(r->key, key, sizeof r->key);
  aq_list_init(&r->links), aq_list_init(&r->big_wait);
  aq_list_push(&sw->remotes, &r->node);
  return r;
}

static void remote_free(aq_remote *r) {
  aq_timer_cancel(r->sw->env, &r->ping);
  aq_list_remove(&r->node);
  free(r);
}

aq_remote *aq_switch_member(aq_switch *sw, const uint8_t key[33], const char *label, void *user) {
  aq_remote *r = remote_new(sw, key, &member);
  r->label = label;
  r->user = user;
  return r;
}

aq_remote *aq_switch_stranger(aq_switch *sw, const uint8_t key[33]) {
  AQ_LIST_EACH(&sw->remotes, r, aq_remote, node) {
    if (r->limits == &stranger && memcmp(r->key, key, sizeof r->key) == 0) return r;
  }
  if (sw->stranger_cnt >= AQ_SWITCH_STRANGERS_MAX) return NULL;
  sw->stranger_cnt++;
  return remote_new(sw, key, &stranger);
}

static void remote_unref(aq_remote *r) {
  if (--r->refs || r->limits != &stranger) return;
  r->sw->stranger_cnt--;
  remote_free(r);
}

static bool dialled_by_smaller(const aq_link *l) {
  bool self_smaller = memcmp(l->sw->self_key, l->remote->key, sizeof l->remote->key) < 0;
  return self_smaller != l->inbound;
}

static bool better(const aq_link *a, const aq_link *b) {
  uint64_t apart = a->up_ns > b->up_ns ? a->up_ns - b->up_ns : b->up_ns - a->up_ns;
  if (apart < TOGETHER_NS && dialled_by_smaller(a) != dialled_by_smaller(b)) return dialled_by_smaller(a);
  return a->up_ns > b->up_ns;
}

aq_link *aq_remote_best(aq_remote *r) {
  aq_link *best = NULL;
  AQ_LIST_EACH(&r->links, l, aq_link, of_remote) {
    if (!best || better(l, best)) best = l;
  }
  return best;
}

void aq_remote_close(aq_remote *r, uint32_t code) {
  while (!aq_list_empty(&r->links)) aq_link_close(AQ_CONTAINER(r->links.next, aq_link, of_remote), code);
}

bool aq_remote_speaks(const aq_remote *r, uint32_t row) {
  uint32_t cnt, svc = aq_service_offer(&cnt, &r->sw->names, row, r->info.known);
  return !r->info.heard || (r->info.known & (1u << svc));
}

/* ---- links: end ---- */

static void link_free(aq_link *l) {
  aq_list_remove(&l->of_switch);
  aq_conn_free(l->c);
  if (l->remote) remote_unref(l->remote);
  free(l->own);
  free(l);
}

static void sweep(aq_switch *sw) {
  aq_list *node;
  while ((node = aq_list_pop(&sw->grave))) link_free(AQ_CONTAINER(node, aq_link, of_switch));
}

static void on_turn(void *arg) { sweep(arg); }

/* Takes the link out of everything. It is freed on the next turn, since its own code may be running. */
static void link_down(aq_link *l, aq_status st) {
  aq_switch *sw = l->sw;
  if (l->dead) return;
  l->dead = true;
  l->pipe.close(l->pipe.ctx);
  if (l->up) {
    aq_list_remove(&l->of_remote);
    l->remote->link_cnt--;
  }
  aq_sw_drop_streams(l);
  aq_list_remove(&l->of_switch);
  aq_list_push(&sw->grave, &l->of_switch);
  if (l->up && l->remote->link_cnt == 0 && l->remote->limits->pinged) aq_sw_ping_stop(l->remote);
  if (sw->cfg.on.ended) sw->cfg.on.ended(sw->cfg.on.arg, l, st);
  aq_timer_set(sw->env, &sw->turn, 0, on_turn, sw);
}

void aq_link_close(aq_link *l, uint32_t code) {
  if (l->dead) return;
  if (l->c) aq_conn_close(l->c, code);
  link_down(l, AQ_E_CLOSED);
}

void aq_link_broken(aq_link *l, aq_status st) {
  if (l->dead) return;
  if (l->c) aq_conn_abort(l->c);
  link_down(l, st);
}

/* ---- links: begin ---- */

static size_t io_write(void *arg, aq_bytes out) {
  aq_link *l = arg;
  if (l->dead) return out.len;
  size_t taken = l->pipe.write(l->pipe.ctx, out);
  l->sw->bytes_out += taken;
  if (l->remote) l->remote->out_bytes += taken;
  return taken;
}

static bool io_secured(void *arg, const uint8_t key[33]) {
  aq_link *l = arg;
  const aq_switch_events *on = &l->sw->cfg.on;
  l->remote = on->secured(on->arg, l, key);
  if (l->remote) l->remote->refs++;
  return l->remote != NULL;
}

static void io_up(void *arg) {
  aq_link *l = arg;
  aq_remote *r = l->remote;
  const aq_switch_events *on = &l->sw->cfg.on;
  l->up = true;
  l->up_ns = now_ns(l->sw);
  aq_list_push(r->links.next, &l->of_remote); /* before the first: newest first */
  r->link_cnt++;
  if (r->link_cnt > r->limits->links_max) {
    aq_link_close(AQ_CONTAINER(r->links.prev, aq_link, of_remote), AQ_YAMUX_CODE_NONE);
  }
  if (l->dead) return;
  aq_sw_identify_ask(l);
  if (r->link_cnt == 1) {
    if (on->joined) on->joined(on->arg, r);
    if (r->limits->pinged) aq_sw_ping_start(r);
  }
  if (on->up && !l->dead) on->up(on->arg, l);
}

static void io_event(void *arg, const aq_yamux_ev *ev) { aq_sw_event(arg, ev); }
static void io_down(void *arg, aq_status st) { link_down(arg, st); }

aq_link *aq_switch_link(aq_switch *sw, const aq_pipe *pipe, bool inbound, const char *addr, void *user) {
  aq_link *l = calloc(1, sizeof *l);
  AQ_ASSERT(l && strlen(addr) < sizeof l->addr);
  l->sw = sw;
  l->pipe = *pipe;
  l->inbound = inbound;
  l->user = user;
  memcpy(l->addr, addr, strlen(addr) + 1);
  if (pipe->nested) {
    l->own = malloc(sizeof *l->own);
    AQ_ASSERT(l->own);
  }
  aq_list_init(&l->of_remote), aq_list_init(&l->streams);
  aq_list_push(&sw->links, &l->of_switch);
  return l;
}

void aq_link_start(aq_link *l) {
  aq_switch *sw = l->sw;
  const aq_conn_io io = {l, io_write, io_secured, io_up, io_event, io_down};
  l->c = aq_conn_new(sw->env, sw->cfg.key, l->own ? l->own : &sw->scratch, !l->inbound, &io);
  aq_conn_start(l->c);
}

void aq_link_data(aq_link *l, aq_bytes in) {
  if (l->dead) return;
  l->sw->bytes_in += in.len;
  if (l->remote) l->remote->in_bytes += in.len;
  aq_conn_data(l->c, in);
}

void aq_link_writable(aq_link *l) {
  if (!l->dead) aq_conn_writable(l->c);
}

void aq_link_flush(aq_link *l) {
  if (!l->dead) aq_conn_flush(l->c);
}

uint32_t aq_link_streams(const aq_link *l) { return aq_yamux_streams(aq_conn_mux(l->c)); }
uint64_t aq_link_rtt_ns(const aq_link *l) { return aq_conn_rtt_ns(l->c); }

/* ---- metrics ---- */

static void tell_bytes(aq_remote *r) {
  if (r->in_bytes) {
    aq_metric_add(AQ_M_P2P_PEER_NETWORK_RECEIVE_BYTES_TOTAL, (double)r->in_bytes, AQ_LABELS(r->label, NULL, "tcp"));
  }
  if (r->out_bytes) {
    aq_metric_add(AQ_M_P2P_PEER_NETWORK_SENT_BYTES_TOTAL, (double)r->out_bytes, AQ_LABELS(r->label, NULL, "tcp"));
  }
  r->in_bytes = r->out_bytes = 0;
}

/* As of each call: most streams live for milliseconds. */
static void tell_streams(aq_remote *r) {
  static const char *const direction[2] = {"inbound", "outbound"};
  const aq_service_names *n = &r->sw->names;
  for (int own = 0; own < 2; own++) {
    for (uint32_t svc = 0; svc < n->cnt; svc++) {
      if (r->streams[own][svc] == r->streams_told[own][svc]) continue;
      r->streams_told[own][svc] = r->streams[own][svc];
      aq_metric_set(AQ_M_P2P_PEER_STREAMS, r->streams[own][svc],
                    AQ_LABELS(r->label, direction[own], n->name[svc], "tcp"));
    }
  }
}

void aq_switch_tell(aq_switch *sw) {
  AQ_LIST_EACH(&sw->remotes, r, aq_remote, node) {
    if (!r->label) continue;
    tell_bytes(r);
    tell_streams(r);
  }
}

/* ---- object ---- */

aq_switch *aq_switch_new(const aq_switch_cfg *cfg) {
  aq_switch *sw = calloc(1, sizeof *sw);
  AQ_ASSERT(sw && cfg->on.secured);
  sw->cfg = *cfg;
  sw->env = cfg->env;
  aq_k1_pubkey(sw->self_key, cfg->key);
  aq_service_names_init(&sw->names, cfg->rows, cfg->row_cnt);
  aq_list_init(&sw->links), aq_list_init(&sw->grave), aq_list_init(&sw->remotes);
  return sw;
}

void aq_switch_stop(aq_switch *sw) {
  while (!aq_list_empty(&sw->links)) {
    aq_link_close(AQ_CONTAINER(sw->links.next, aq_link, of_switch), AQ_YAMUX_CODE_NONE);
  }
  sweep(sw);
  aq_timer_cancel(sw->env, &sw->turn);
}

void aq_switch_free(aq_switch *sw) {
  if (!sw) return;
  aq_switch_stop(sw);
  AQ_LIST_EACH(&sw->remotes, r, aq_remote, node) remote_free(r);
  free(sw);
}

const uint8_t *aq_switch_key(const aq_switch *sw) { return sw->self_key; }
const aq_service_names *aq_switch_names(const aq_switch *sw) { return &sw->names; }
uint64_t aq_switch_bytes(const aq_switch *sw, bool in) { return in ? sw->bytes_in : sw->bytes_out; }

void aq_switch_handle(aq_switch *sw, uint32_t row, const aq_service_handler *h) {
  AQ_ASSERT(row < sw->cfg.row_cnt && (sw->cfg.rows[row].roles & sw->cfg.role));
  sw->handler[row] = *h;
  switch (sw->cfg.rows[row].pattern) {
    case AQ_PATTERN_ONE_WAY: sw->handled[row] = h->recv != NULL; break;
    case AQ_PATTERN_REQUEST: sw->handled[row] = h->serve != NULL; break;
    case AQ_PATTERN_STREAM: sw->handled[row] = h->opened != NULL; break;
  }
}
