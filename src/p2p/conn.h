/* p2p/conn.h - one connection from the first byte to streams: multistream for /noise, Noise, multistream for yamux
   where the handshake did not settle it, yamux. Spec: wire.md 2. Runs over any ordered byte pipe (TCP, later a
   relayed stream). Does not know who may connect, nor what streams carry: its user decides in `secured` and handles
   the muxer's events. Memory: 128 KiB of input and 64 KiB of output wait at most, besides what streams hold
   (p2p/yamux.h). */
#ifndef AQ_P2P_CONN_H
#define AQ_P2P_CONN_H

#include "crypto/k1.h"
#include "p2p/noise.h"
#include "p2p/yamux.h"
#include "port/env.h"

enum { AQ_CONN_STREAMS_MAX = 1024 }; /* each side; the widest bursts have some dozens a slot */

/* Working space that all connections of a thread share. */
typedef struct {
  uint8_t frame[AQ_NOISE_FRAME_MAX], plain[AQ_NOISE_PLAIN_MAX];
} aq_conn_scratch;

typedef struct {
  void *arg;
  size_t (*write)(void *arg, aq_bytes out);             /* bytes taken; less than asked: aq_conn_writable follows */
  bool (*secured)(void *arg, const uint8_t remote[33]); /* who it is; false: drop it without a word (wire.md 2.5) */
  void (*up)(void *arg);                                /* the other side speaks yamux: streams may be opened */
  void (*event)(void *arg, const aq_yamux_ev *ev);      /* never AQ_YAMUX_EV_GOAWAY */
  /* The connection is of no use any more; exactly once unless closed by us. Streams can be reclaimed; free it later,
     not here. */
  void (*down)(void *arg, aq_status st);
} aq_conn_io;

typedef struct aq_conn aq_conn;
/* All pointers are borrowed for the life of the connection; io is copied. */
aq_conn *aq_conn_new(const aq_env *env, const aq_k1_key *key, aq_conn_scratch *scratch, bool initiator,
                     const aq_conn_io *io);
void aq_conn_free(aq_conn *c);  /* not from inside its own callbacks */
void aq_conn_start(aq_conn *c); /* writes the first bytes; 15 s from here until up */
void aq_conn_data(aq_conn *c, aq_bytes in);
void aq_conn_writable(aq_conn *c);
void aq_conn_flush(aq_conn *c); /* after streams were used; at the end of data and events it happens by itself */
void aq_conn_close(aq_conn *c, uint32_t code); /* tries to send a go-away; no callback follows */
void aq_conn_abort(aq_conn *c);                /* the pipe is gone; no callback follows */

bool aq_conn_is_up(const aq_conn *c);
bool aq_conn_is_down(const aq_conn *c);
aq_yamux *aq_conn_mux(aq_conn *c);         /* from up until free */
uint64_t aq_conn_rtt_ns(const aq_conn *c); /* of the last keep-alive ping; 0 before the first answer */

#endif
