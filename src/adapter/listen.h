/* adapter/listen.h - a listening TCP socket on the loop. At most AQ_LISTEN_TURN connections are taken a turn, so that a
   crowd does not hold up the rest. Where the kernel gives none out (no descriptors, a filter), a line says so and it is
   tried again each second: the connections wait in the backlog. All calls and callbacks on the loop thread. */
#ifndef AQ_ADAPTER_LISTEN_H
#define AQ_ADAPTER_LISTEN_H

#include <sys/socket.h>

#include "adapter/loop.h"

enum { AQ_LISTEN_TURN = 16, AQ_LISTEN_BACKLOG = 128 };

typedef struct aq_listen aq_listen;

typedef struct {
  void *arg;
  bool (*room)(void *arg);                                               /* false: wait for resume; NULL: always room */
  void (*taken)(void *arg, int fd, const struct sockaddr_storage *from); /* owns fd, which does not block */
} aq_listen_cb;

/* host may be a name: resolving it may wait, so at a program's start only. Port 0: any. */
AQ_NODISCARD aq_status aq_listen_new(aq_listen **out, aq_loop *loop, const char *host, uint16_t port,
                                     const aq_listen_cb *cb, aq_err *err);
uint16_t aq_listen_port(const aq_listen *l);
void aq_listen_resume(aq_listen *l); /* there may be room, or descriptors, again; harmless when nothing waits */
void aq_listen_free(aq_listen *l);   /* no callback after it; NULL is harmless */

#endif
