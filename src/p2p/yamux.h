/* p2p/yamux.h - the yamux 1.0.0 stream multiplexer without sockets. Spec: wire.md 2.6. Bytes in, bytes out, events
   out, next deadline out. One owner thread; times are monotonic. Loop: recv until all input is used, taking all
   events with next after each call; then send until it returns 0. Memory: at most streams_max streams a direction,
   each with the output its owner wrote. Received data is never kept here: the owner gets it at once and pays for it
   with credit, so a sender is never more than one window ahead of its reader. */
#ifndef AQ_P2P_YAMUX_H
#define AQ_P2P_YAMUX_H

#include "base/bytes.h"
#include "base/time.h"

enum {
  AQ_YAMUX_WINDOW = 256 * 1024,           /* start of every window, fixed by the protocol */
  AQ_YAMUX_WINDOW_MAX = 16 * 1024 * 1024, /* largest window that we open, as go-yamux */
  AQ_YAMUX_BODY_MAX = 65535 - 16 - 12,    /* own data bodies: header and body fill one Noise message */
  AQ_YAMUX_UNACKED_MAX = 256,             /* go-yamux resets what is beyond its accept backlog */
  AQ_YAMUX_OUT_MAX = 34 * 1024 * 1024,    /* unsent bytes of one stream: a 32 MiB message and its framing */
  AQ_YAMUX_SMALL = 64 * 1024              /* streams with no more to send than this go before others */
};

/* Reset and go-away codes in use (wire.md 2.6). */
enum {
  AQ_YAMUX_CODE_NONE = 0,
  AQ_YAMUX_CODE_PROTOCOL = 1,
  AQ_YAMUX_RST_NEGOTIATION = 0x1001,
  AQ_YAMUX_RST_LIMIT = 0x1002,
  AQ_YAMUX_RST_VIOLATION = 0x1004,
  AQ_YAMUX_RST_SHUTDOWN = 0x1007,
  AQ_YAMUX_AWAY_SHUTDOWN = 0x1006,
  AQ_YAMUX_AWAY_GATED = 0x1007
};

typedef struct {
  bool client;          /* opened the connection: odd ids */
  uint32_t streams_max; /* live ones, counted for each side */
  uint8_t seed[16];     /* of the id table, random */
} aq_yamux_cfg;

typedef enum {
  AQ_YAMUX_EV_OPENED, /* by the other side; give it an owner with aq_yamux_own or reset it */
  AQ_YAMUX_EV_DATA,   /* data: valid until the next call of recv */
  AQ_YAMUX_EV_FIN,    /* no more data will come */
  AQ_YAMUX_EV_RESET,  /* the stream is gone; code */
  AQ_YAMUX_EV_SENT,   /* all that was written has been handed out, and the FIN after it where close was called */
  AQ_YAMUX_EV_PONG,   /* rtt_ns */
  AQ_YAMUX_EV_GOAWAY  /* code; the connection is to be closed, all streams count as reset */
} aq_yamux_ev_kind;

typedef struct {
  aq_yamux_ev_kind kind;
  uint32_t stream, code;
  void *owner;
  aq_bytes data;
  uint64_t rtt_ns;
} aq_yamux_ev;

typedef struct aq_yamux aq_yamux;
aq_yamux *aq_yamux_new(const aq_yamux_cfg *cfg, uint64_t now_ns); /* the first ping is due at once */
void aq_yamux_free(aq_yamux *y);                                  /* owners are not told */

/* Eats up to one frame; every event of the last call must have been taken. AQ_E_FORMAT or AQ_E_LIMIT: the other side
   broke the protocol; a go-away is queued, send it and close. */
AQ_NODISCARD aq_status aq_yamux_recv(aq_yamux *y, size_t *used, aq_bytes in, uint64_t now_ns);
bool aq_yamux_next(aq_yamux *y, aq_yamux_ev *ev);
size_t aq_yamux_send(aq_yamux *y, uint8_t *out, size_t out_len, uint64_t now_ns); /* whole frames; 0: nothing due */

bool aq_yamux_due(const aq_yamux *y); /* send would write something, given room */

/* Owner side. A stream belongs to its owner until RESET, reset or release; ids of others are asserted away. */
AQ_NODISCARD aq_status aq_yamux_open(aq_yamux *y, uint32_t *stream, void *owner); /* AQ_E_LIMIT, AQ_E_CLOSED */
void aq_yamux_own(aq_yamux *y, uint32_t stream, void *owner);
void *aq_yamux_owner(const aq_yamux *y, uint32_t stream); /* NULL: no such stream, or nobody's */
AQ_NODISCARD aq_status aq_yamux_write(aq_yamux *y, uint32_t stream,
                                      aq_bytes data); /* copied; AQ_E_LIMIT: nothing was taken */
AQ_NODISCARD aq_status aq_yamux_give(aq_yamux *y, uint32_t stream,
                                     aq_buf *data); /* takes the memory; data is empty then */
/* What give took, whole, while nothing of it was dropped: for a second try after RESET or the end of the connection.
   Asked for with keep before; false when there is nothing. The stream is of no use afterwards. */
void aq_yamux_keep(aq_yamux *y, uint32_t stream);
bool aq_yamux_reclaim(aq_yamux *y, uint32_t stream, aq_buf *data);
size_t aq_yamux_unsent(const aq_yamux *y, uint32_t stream);
void aq_yamux_credit(aq_yamux *y, uint32_t stream, size_t bytes);  /* reader consumed: reopens the window by halves */
void aq_yamux_window(aq_yamux *y, uint32_t stream, size_t window); /* largest credit from now on, up to WINDOW_MAX */
void aq_yamux_close(aq_yamux *y, uint32_t stream);                 /* FIN after what was written */
void aq_yamux_reset(aq_yamux *y, uint32_t stream, uint32_t code);  /* RST; no event comes any more */
/* Gives the stream up: what was written and a FIN still leave, what comes is dropped; after 30 s it is reset. */
void aq_yamux_release(aq_yamux *y, uint32_t stream);

void aq_yamux_goaway(aq_yamux *y, uint32_t code);
uint32_t aq_yamux_streams(const aq_yamux *y); /* live in both directions */
uint64_t aq_yamux_deadline_ns(const aq_yamux *y);
/* Keep-alive: a ping each 30 s; AQ_E_TIMEOUT when nothing at all came for 10 s after one (wire.md 2.6). */
AQ_NODISCARD aq_status aq_yamux_tick(aq_yamux *y, uint64_t now_ns);

#endif
