/* Who may knock. A connection whose other side has not said who it is holds a place until then. Strangers have few, and
   few each; where a member is known to be there are others, so that no crowd keeps it out. Who comes takes the place of
   who has said nothing: a real peer speaks with its first packet. */
#include "p2p/host_internal.h"

#include <string.h>

static bool is_shaking(const hconn *hc) { return hc->inbound && !hc->peer; }

static bool is_at(const char *key, const aq_book *b) {
  for (uint32_t i = 0; i < b->cnt; i++) {
    const char *host = b->addr[i].host;
    if (strcmp(host, key) == 0) return true; /* IPv4 */
    if (!strchr(host, ':')) continue;
    char other[AQ_GATE_REMOTE_LEN], text[AQ_BOOK_HOST_LEN + 10];
    aq_addr_text(text, sizeof text, host, b->addr[i].port);
    aq_gate_key(other, text);
    if (strcmp(other, key) == 0) return true;
  }
  return false;
}

/* In the book of a peer, or where it last came from. */
static bool is_members(const aq_host *h, const char *key) {
  for (uint32_t i = 0; i < h->cfg.peer_cnt; i++) {
    if (strcmp(h->peer[i].came_from, key) == 0 || is_at(key, &h->peer[i].book)) return true;
  }
  return is_at(key, &h->unknown);
}

/* Those of one kind, of one address unless key is NULL; *worst: who goes first. */
static uint32_t crowd(aq_host *h, bool members, const char *key, hconn **worst) {
  uint64_t now = aq_mono_ns(h->env);
  uint32_t cnt = 0;
  hconn *silent = NULL, *stale = NULL;
  AQ_LIST_EACH(&h->all, hc, hconn, of_host) { /* oldest first */
    if (!is_shaking(hc) || hc->members != members || (key && strcmp(hc->from, key) != 0)) continue;
    cnt++;
    if (!silent && !hc->spoke) silent = hc;
    if (!stale && now - hc->begin_ns >= HOST_SHAKE_NS) stale = hc;
  }
  *worst = silent ? silent : stale;
  return cnt;
}

static bool make_room(aq_host *h, bool members, const char *key, uint32_t max) {
  hconn *worst;
  if (crowd(h, members, key, &worst) < max) return true;
  if (!worst) return false;
  host_attempt(AQ_GATE_DENIED);
  host_conn_close(worst, AQ_YAMUX_CODE_NONE);
  return true;
}

static uint32_t member_places(const aq_host *h) {
  uint32_t all = 2 * HOST_DIALS_MAX * h->cfg.peer_cnt;
  return all > HOST_STRANGERS_MAX ? all : HOST_STRANGERS_MAX;
}

/* A place within the whole cap: strangers go first. */
static bool below_cap(aq_host *h) {
  if (h->conn_cnt < h->gate.conns_max) return true;
  return make_room(h, false, NULL, 1) && h->conn_cnt < h->gate.conns_max;
}

aq_gate_verdict host_door(aq_host *h, const char *remote, hconn *as) {
  aq_gate_key(as->from, remote);
  as->members = is_members(h, as->from);
  aq_gate_verdict v = aq_gate_accept(&h->gate, as->from, as->members, aq_mono_ns(h->env));
  if (v != AQ_GATE_ALLOWED) return v;
  bool room = as->members
                  ? make_room(h, true, NULL, member_places(h))
                  : make_room(h, false, as->from, HOST_STRANGERS_EACH) && make_room(h, false, NULL, HOST_STRANGERS_MAX);
  return room && below_cap(h) ? AQ_GATE_ALLOWED : AQ_GATE_LIMITED;
}

/* A member that proves itself and then says nothing more holds as many places as its connections. */
void host_door_secured(hconn *hc) {
  aq_host *h = hc->h;
  hpeer *p = hc->peer;
  hconn *oldest = NULL;
  uint32_t cnt = 0;
  memcpy(p->came_from, hc->from, sizeof p->came_from);
  AQ_LIST_EACH(&h->all, o, hconn, of_host) {
    if (o == hc || o->peer != p || host_conn_is_up(o) || !o->inbound) continue;
    if (cnt++ == 0) oldest = o;
  }
  if (cnt >= AQ_REMOTE_LINKS_MAX) host_conn_close(oldest, AQ_YAMUX_CODE_NONE);
}
