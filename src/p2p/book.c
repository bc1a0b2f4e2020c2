/* Addresses of one peer with a back-off each; which one is next. */
#include "p2p/book.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "codec/multiaddr.h"
#include "identity/identity.h"

#define BACKOFF_MIN_NS AQ_SECONDS(1)
#define BACKOFF_MAX_NS AQ_SECONDS(30)
#define REDIAL_NS AQ_MILLIS(250) /* both sides of a lost connection should not dial in step */

void aq_book_init(aq_book *b, uint32_t max) {
  *b = (aq_book){.addr = calloc(max, sizeof(aq_addr)), .max = max};
  AQ_ASSERT(b->addr);
}

void aq_book_free(aq_book *b) {
  free(b->addr);
  *b = (aq_book){0};
}

/* ---- text ---- */

static bool host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

/* A name in a multiaddr may hold anything; what cannot be a host is not for the resolver, a log line or the store. */
static bool is_host(const char *host) {
  while (host_char(*host) || *host == ':') host++;
  return *host == 0;
}

static aq_status parse_multiaddr(char host[AQ_BOOK_HOST_LEN], uint16_t *port, uint8_t peer[33], bool *has_peer,
                                 const char *text) {
  aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX);
  aq_multiaddr_target t;
  aq_status st = aq_multiaddr_parse(&bin, aq_bytes_str(text));
  if (st == AQ_OK) st = aq_multiaddr_target_of(&t, aq_buf_bytes(&bin));
  if (st == AQ_OK && (!t.tcp || t.circuit || t.port == 0)) st = AQ_E_UNSUPPORTED;
  if (st == AQ_OK && !is_host(t.host)) st = AQ_E_FORMAT;
  if (st == AQ_OK && t.peer.len) {
    st = aq_peer_id_pubkey(peer, t.peer);
    *has_peer = st == AQ_OK;
  }
  if (st == AQ_OK) {
    snprintf(host, AQ_BOOK_HOST_LEN, "%s", t.host);
    *port = t.port;
  }
  aq_buf_free(&bin);
  return st;
}

aq_status aq_addr_parse(char host[AQ_BOOK_HOST_LEN], uint16_t *port, uint8_t peer[33], bool *has_peer,
                        const char *text) {
  *has_peer = false;
  if (text[0] == '/') return parse_multiaddr(host, port, peer, has_peer, text);
  const char *colon = strrchr(text, ':');
  uint64_t number;
  if (!colon || aq_u64_parse(&number, aq_bytes_str(colon + 1)) != AQ_OK || number == 0 || number > UINT16_MAX) {
    return AQ_E_FORMAT;
  }
  size_t len = (size_t)(colon - text);
  bool bracket = len > 2 && text[0] == '[' && text[len - 1] == ']';
  if (bracket) text++, len -= 2;
  if (len == 0 || len >= AQ_BOOK_HOST_LEN) return AQ_E_FORMAT;
  for (size_t i = 0; i < len; i++) {
    if (!host_char(text[i]) && !(bracket && text[i] == ':')) return AQ_E_FORMAT;
  }
  snprintf(host, AQ_BOOK_HOST_LEN, "%.*s", (int)len, text);
  *port = (uint16_t)number;
  return AQ_OK;
}

void aq_addr_text(char *out, size_t out_len, const char *host, uint16_t port) {
  snprintf(out, out_len, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* ---- the table ---- */

aq_addr *aq_book_find(aq_book *b, const char *host, uint16_t port) {
  for (uint32_t i = 0; i < b->cnt; i++) {
    if (b->addr[i].port == port && strcmp(b->addr[i].host, host) == 0) return &b->addr[i];
  }
  return NULL;
}

static void drop_at(aq_book *b, aq_addr *a) { *a = b->addr[--b->cnt]; }

void aq_book_drop(aq_book *b, const char *host, uint16_t port) {
  aq_addr *a = aq_book_find(b, host, port);
  if (a) drop_at(b, a);
}

void aq_book_drop_source(aq_book *b, aq_addr_source source) {
  for (uint32_t i = 0; i < b->cnt;) {
    if (b->addr[i].source == source && !b->addr[i].dialing)
      drop_at(b, &b->addr[i]);
    else
      i++;
  }
}

static aq_addr *worst(aq_book *b) {
  aq_addr *out = NULL;
  for (uint32_t i = 0; i < b->cnt; i++) {
    aq_addr *a = &b->addr[i];
    if (a->source != AQ_ADDR_STATIC && !a->dialing && (!out || a->fails > out->fails)) out = a;
  }
  return out;
}

aq_status aq_book_add(aq_book *b, const char *host, uint16_t port, aq_addr_source source, uint64_t now_ns) {
  aq_addr *a = aq_book_find(b, host, port);
  if (a) {
    if (source == AQ_ADDR_STATIC) a->source = source;
    return AQ_OK;
  }
  if (b->cnt == b->max) {
    a = source == AQ_ADDR_STATIC ? worst(b) : NULL;
    if (!a) return AQ_E_LIMIT;
    drop_at(b, a);
  }
  a = &b->addr[b->cnt++];
  *a = (aq_addr){.port = port, .source = source, .next_ns = now_ns};
  snprintf(a->host, sizeof a->host, "%s", host);
  return AQ_OK;
}

/* ---- when ---- */

aq_addr *aq_book_due(aq_book *b, uint64_t now_ns) {
  aq_addr *out = NULL;
  for (uint32_t i = 0; i < b->cnt; i++) {
    aq_addr *a = &b->addr[i];
    if (a->dialing || a->next_ns > now_ns) continue;
    bool fixed = a->source == AQ_ADDR_STATIC, best_fixed = out && out->source == AQ_ADDR_STATIC;
    if (!out || (fixed && !best_fixed) || (fixed == best_fixed && a->fails < out->fails)) out = a;
  }
  return out;
}

uint64_t aq_book_next_ns(const aq_book *b) {
  uint64_t next = AQ_NEVER;
  for (uint32_t i = 0; i < b->cnt; i++) {
    if (!b->addr[i].dialing && b->addr[i].next_ns < next) next = b->addr[i].next_ns;
  }
  return next;
}

void aq_book_wake(aq_book *b, uint64_t now_ns) {
  for (uint32_t i = 0; i < b->cnt; i++) {
    if (b->addr[i].next_ns > now_ns) b->addr[i].next_ns = now_ns;
  }
}

void aq_book_forgive(aq_book *b, uint64_t now_ns) {
  for (uint32_t i = 0; i < b->cnt; i++) {
    aq_addr *a = &b->addr[i];
    if (a->dialing) continue;
    a->fails = 0;
    if (a->next_ns > now_ns) a->next_ns = now_ns;
  }
}

void aq_book_failed(aq_book *b, const char *host, uint16_t port, uint64_t now_ns, uint32_t random) {
  aq_addr *a = aq_book_find(b, host, port);
  if (!a) return;
  a->dialing = false;
  if (++a->fails >= AQ_BOOK_FAILS_MAX && a->source != AQ_ADDR_STATIC) {
    drop_at(b, a);
    return;
  }
  uint64_t wait = a->fails > 5 ? BACKOFF_MAX_NS : BACKOFF_MIN_NS << (a->fails - 1);
  if (wait > BACKOFF_MAX_NS) wait = BACKOFF_MAX_NS;
  uint64_t part = wait / 5; /* up to a fifth less, so that 30 s stays the most */
  a->next_ns = now_ns + wait - part * (random % 1024) / 1024;
}

void aq_book_worked(aq_book *b, const char *host, uint16_t port, uint64_t now_ns, uint32_t random) {
  aq_addr *a = aq_book_find(b, host, port);
  if (!a) return;
  a->dialing = false;
  a->fails = 0;
  a->next_ns = now_ns + REDIAL_NS * (random % 1024) / 1024;
}
