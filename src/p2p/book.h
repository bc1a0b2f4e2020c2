/* p2p/book.h - addresses to try, and when: own back-off for each, 1 s doubling to 30 s with a jitter of a fifth
   (wire.md 10.6). Pure: time and random numbers come in. */
#ifndef AQ_P2P_BOOK_H
#define AQ_P2P_BOOK_H

#include "base/bytes.h"
#include "base/time.h"

enum {
  AQ_BOOK_HOST_LEN = 254,
  AQ_BOOK_FAILS_MAX = 5 /* after which an address that is not static is dropped */
};

typedef enum { AQ_ADDR_STATIC, AQ_ADDR_ANNOUNCED, AQ_ADDR_REMEMBERED } aq_addr_source;

typedef struct {
  char host[AQ_BOOK_HOST_LEN];
  uint16_t port;
  aq_addr_source source;
  uint32_t fails;
  bool dialing;
  uint64_t next_ns;
} aq_addr;

typedef struct {
  aq_addr *addr;
  uint32_t cnt, max;
} aq_book;

void aq_book_init(aq_book *b, uint32_t max);
void aq_book_free(aq_book *b);

/* "host:port", "[ip6]:port" or a multiaddr over plain TCP without relay. *peer: 33 bytes of the key that /p2p/
   names, if any. AQ_E_FORMAT, AQ_E_UNSUPPORTED. */
AQ_NODISCARD aq_status aq_addr_parse(char host[AQ_BOOK_HOST_LEN], uint16_t *port, uint8_t peer[33], bool *has_peer,
                                     const char *text);
void aq_addr_text(char *out, size_t out_len, const char *host, uint16_t port);

/* A known one becomes static when added as such. A full book drops the worst of those that are not static for a
   static one; AQ_E_LIMIT when there is none. New addresses are due at once. */
AQ_NODISCARD aq_status aq_book_add(aq_book *b, const char *host, uint16_t port, aq_addr_source source, uint64_t now_ns);
void aq_book_drop(aq_book *b, const char *host, uint16_t port);
void aq_book_drop_source(aq_book *b, aq_addr_source source); /* but those being dialled */
aq_addr *aq_book_find(aq_book *b, const char *host, uint16_t port);

aq_addr *aq_book_due(aq_book *b, uint64_t now_ns); /* static ones first, then the least failed; NULL: none */
uint64_t aq_book_next_ns(const aq_book *b);        /* AQ_NEVER: none that is not being dialled */
void aq_book_forgive(aq_book *b,
                     uint64_t now_ns);          /* the peer is alive: failures of addresses not in use are forgotten */
void aq_book_wake(aq_book *b, uint64_t now_ns); /* all are due now */
/* The dial of an address ended; random: any 32 bits. */
void aq_book_failed(aq_book *b, const char *host, uint16_t port, uint64_t now_ns, uint32_t random);
void aq_book_worked(aq_book *b, const char *host, uint16_t port, uint64_t now_ns, uint32_t random);

#endif
