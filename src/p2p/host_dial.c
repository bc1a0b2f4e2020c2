/* Whom to dial when, and what became of it. */
#include "p2p/host_internal.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "identity/identity.h"

#define REFUSED_WAIT_NS AQ_SECONDS(1) /* our own gate said no: a later try costs nothing */
#define IDLE_WAIT_NS AQ_SECONDS(30)   /* addresses of unknown owners while all peers are connected */
#define FORCED_WAIT_NS AQ_MILLIS(500) /* between dials that messages ask for */

static aq_book *book_of(hconn *hc) { return hc->want < 0 ? &hc->h->unknown : &hc->h->peer[hc->want].book; }

static void dial(aq_host *h, hpeer *p, aq_addr *a) {
  uint64_t now = aq_mono_ns(h->env);
  aq_gate_verdict v = aq_gate_dial(&h->gate, p ? (int)p->idx : -1, now);
  if (h->conn_cnt >= h->gate.conns_max + HOST_OWN_MAX) v = AQ_GATE_LIMITED;
  host_attempt(v);
  if (v != AQ_GATE_ALLOWED) {
    a->next_ns = now + REFUSED_WAIT_NS;
    return;
  }
  hconn *hc = host_conn_new(h, false);
  hc->want = p ? (int)p->idx : -1;
  hc->port = a->port;
  memcpy(hc->host, a->host, sizeof hc->host);
  aq_addr_text(hc->remote, sizeof hc->remote, a->host, a->port);
  a->dialing = true;
  *(p ? &p->dial_cnt : &h->unknown_dials) += 1;
  hc->tcp_id = h->cfg.tcp->dial(h->cfg.tcp->ctx, a->host, a->port);
  AQ_ASSERT(hc->tcp_id != 0);
  aq_status st = aq_map_put(&h->conns, &hc->tcp_id, hc);
  AQ_ASSERT(st == AQ_OK);
}

static bool all_connected(const aq_host *h) { return aq_host_connected(h) + 1 >= h->cfg.peer_cnt; }

static void dial_peer(aq_host *h, hpeer *p, uint64_t now) {
  for (aq_addr *a; p->dial_cnt < HOST_DIALS_MAX && (a = aq_book_due(&p->book, now));) dial(h, p, a);
}

static void dial_unknown(aq_host *h, uint64_t now) {
  for (aq_addr *a; h->unknown_dials < HOST_UNKNOWN_DIALS_MAX && (a = aq_book_due(&h->unknown, now));) {
    if (all_connected(h))
      a->next_ns = now + IDLE_WAIT_NS;
    else
      dial(h, NULL, a);
  }
}

static void on_dial(void *arg) {
  aq_host *h = arg;
  uint64_t now = aq_mono_ns(h->env), next;
  if (h->stopped) return;
  dial_unknown(h, now);
  next = h->unknown_dials < HOST_UNKNOWN_DIALS_MAX ? aq_book_next_ns(&h->unknown) : AQ_NEVER;
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) {
    hpeer *p = &h->peer[i];
    if (i == h->cfg.self || host_connected(p)) continue;
    dial_peer(h, p, now);
    uint64_t due = p->dial_cnt < HOST_DIALS_MAX ? aq_book_next_ns(&p->book) : AQ_NEVER;
    if (due < next) next = due;
  }
  if (next != AQ_NEVER) aq_timer_after(h->env, &h->dial, next > now ? next - now : 0, on_dial, h);
}

void host_dial_soon(aq_host *h) {
  if (h->started && !h->stopped) aq_timer_set(h->env, &h->dial, 0, on_dial, h);
}

void host_dial_forced(aq_host *h, hpeer *p) {
  uint64_t now = aq_mono_ns(h->env);
  if (!h->started || h->stopped || host_connected(p)) return;
  if (p->forced_ns && now < p->forced_ns + FORCED_WAIT_NS) return;
  p->forced_ns = now;
  aq_book_wake(p->book.cnt ? &p->book : &h->unknown, now);
  host_dial_soon(h);
}

/* ---- what became of it ---- */

/* An address whose owner was unknown belongs to p from now on. */
static bool learned(hconn *hc, hpeer *p) {
  aq_host *h = hc->h;
  aq_book_drop(&h->unknown, hc->host, hc->port);
  h->unknown_dials--;
  hc->want = (int)p->idx;
  p->dial_cnt++;
  host_dial_soon(h); /* room for another one */
  if (aq_book_add(&p->book, hc->host, hc->port, AQ_ADDR_STATIC, aq_mono_ns(h->env)) != AQ_OK) return true;
  aq_book_find(&p->book, hc->host, hc->port)->dialing = true;
  return !host_connected(p); /* a second connection would only be a duplicate */
}

/* Scripts take self_id from the first line of this name (contract.md 5). */
static void log_addr(const aq_host *h, const char *addr, const char *err, const char *peer) {
  char id[AQ_PEER_ID_TEXT_MAX];
  aq_peer_id_text(id, aq_switch_key(h->sw));
  AQ_LOG(AQ_LOG_WARN, "p2p_addr", AQ_STR("addr", addr), AQ_STR("err", err), AQ_STR("peer", peer),
         AQ_STR("result", "error"), AQ_STR("self_id", id));
}

bool host_dial_secured(hconn *hc, hpeer *p) {
  aq_host *h = hc->h;
  if (!p) {
    /* Lists of addresses are the same for all operators: our own is in them. */
    aq_book_drop(book_of(hc), hc->host, hc->port);
    return false;
  }
  if (hc->want < 0) return learned(hc, p);
  if ((uint32_t)hc->want == p->idx) return true;
  log_addr(h, hc->remote, "another peer answers there", host_peer_label(h, p));
  return false;
}

void host_dial_ended(hconn *hc) {
  aq_host *h = hc->h;
  host_dial_soon(h);
  if (hc->inbound) return;
  uint64_t now = aq_mono_ns(h->env);
  *(hc->want < 0 ? &h->unknown_dials : &h->peer[hc->want].dial_cnt) -= 1;
  bool duplicate = hc->peer && host_connected(hc->peer); /* ended for that reason */
  if (duplicate || (host_conn_is_up(hc) && now - hc->link->up_ns >= HOST_STABLE_NS)) {
    aq_book_worked(book_of(hc), hc->host, hc->port, now, host_random(h));
  } else {
    aq_book_failed(book_of(hc), hc->host, hc->port, now, host_random(h));
  }
}

/* ---- configuration ---- */

static int peer_of_key(const aq_host *h, const uint8_t key[33]) {
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) {
    if (memcmp(h->cfg.peers[i].pubkey, key, 33) == 0) return (int)i;
  }
  return -1;
}

aq_status aq_host_add_addr(aq_host *h, int peer, const char *addr, bool is_static, aq_err *err) {
  char host[AQ_BOOK_HOST_LEN];
  uint16_t port;
  uint8_t key[33];
  bool has_key;
  AQ_ASSERT(peer < (int)h->cfg.peer_cnt);
  if (aq_addr_parse(host, &port, key, &has_key, addr) != AQ_OK) {
    return aq_fail(err, AQ_E_FORMAT, "peer address %.100s is neither host:port nor a multiaddr over TCP", addr);
  }
  if (has_key) {
    int owner = peer_of_key(h, key);
    if (owner < 0 || (peer >= 0 && owner != peer)) {
      log_addr(h, addr, "names no such peer of the cluster", NULL);
      return AQ_OK; /* lists may name nodes of other clusters */
    }
    peer = owner;
  }
  if (peer == (int)h->cfg.self) return AQ_OK;
  aq_book *b = peer < 0 ? &h->unknown : &h->peer[peer].book;
  aq_status st = aq_book_add(b, host, port, is_static ? AQ_ADDR_STATIC : AQ_ADDR_REMEMBERED, aq_mono_ns(h->env));
  if (st != AQ_OK) return aq_fail(err, st, "more than %u addresses for one peer", b->max);
  host_dial_soon(h);
  return AQ_OK;
}
