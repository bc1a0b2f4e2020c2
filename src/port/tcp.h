/* port/tcp.h - byte pipes to other machines. adapter/tcp.c and the simulator implement it. */
#ifndef AQ_PORT_TCP_H
#define AQ_PORT_TCP_H

#include "base/bytes.h"

/* A connection id is never 0 and never used twice. All calls and callbacks on the loop thread. */
typedef struct {
  void *arg;
  bool (*accepted)(void *arg, uint64_t conn, const char *remote); /* "ip:port"; false: close at once */
  void (*opened)(void *arg, uint64_t conn, aq_status st);         /* answer to dial; not AQ_OK: conn is dead */
  void (*data)(void *arg, uint64_t conn, aq_bytes in);
  void (*writable)(void *arg, uint64_t conn);             /* room again after write took less than asked */
  void (*closed)(void *arg, uint64_t conn, aq_status st); /* not after our own close */
} aq_tcp_events;

typedef struct aq_tcp {
  void *ctx;
  void (*events)(void *ctx, const aq_tcp_events *ev);
  uint64_t (*dial)(void *ctx, const char *host, uint16_t port); /* names are resolved; connect limit 5 s */
  size_t (*write)(void *ctx, uint64_t conn, aq_bytes out);      /* bytes taken (copied); at most 4 MiB wait */
  void (*close)(void *ctx, uint64_t conn);                      /* immediate, no callback after it */
} aq_tcp;

#endif
