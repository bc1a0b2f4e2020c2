/* p2p/host_internal.h - what the files of the host share: host.c (life, connections), host_door.c (who may knock),
   host_dial.c (address book),
   host_stream.c (streams of both directions), host_send.c (own messages), host_service.c (identify and ping). */
#ifndef AQ_P2P_HOST_INTERNAL_H
#define AQ_P2P_HOST_INTERNAL_H

#include "base/bucket.h"
#include "base/line_limit.h"
#include "base/list.h"
#include "base/map.h"
#include "p2p/book.h"
#include "p2p/conn.h"
#include "p2p/delimited.h"
#include "p2p/gate.h"
#include "p2p/host.h"
#include "p2p/identify.h"
#include "p2p/multistream.h"
#include "p2p/services.h"

enum {
  HOST_PEER_CONNS_MAX = 8,        /* a ninth connection ends the oldest */
  HOST_BIG_MAX = 2,               /* messages over the first window that one peer may have under way */
  HOST_RX_MAX = 80 * 1024 * 1024, /* bytes of incomplete messages of one peer: two big ones and small ones */
  HOST_OPS_MAX = 1024,            /* own messages to one peer that are not finished */
  HOST_OPS_BYTES_MAX = 128 * 1024 * 1024,
  HOST_REPLIES_MAX = 256,     /* requests of all peers that wait for our answer */
  HOST_DIALS_MAX = 2,         /* at one time, for one peer */
  HOST_STRANGERS_MAX = 32,    /* connections of whom nobody knows who they are, from where no member is known to be */
  HOST_STRANGERS_EACH = 4,    /* of those, of one IPv4 address or /64 */
  HOST_UNKNOWN_DIALS_MAX = 8, /* at one time, to addresses whose owner is not known */
  /* Own dials have no part in the cap on connections: so many may be beside it, and become connections. */
  HOST_OWN_MAX = AQ_HOST_PEERS_MAX * (HOST_PEER_CONNS_MAX + HOST_DIALS_MAX) + HOST_UNKNOWN_DIALS_MAX,
  HOST_NEG_MAX = 4096, /* unread bytes of a negotiation */
  HOST_PING_LEN = 32
};
#define HOST_NEGOTIATE_LIMIT_NS AQ_SECONDS(15) /* streams may stay silent for some seconds (wire.md 14.1) */
#define HOST_SERVE_LIMIT_NS AQ_SECONDS(5)      /* of identify; others have their own (p2p/services.h) */
#define HOST_RETRY_NS AQ_MILLIS(100)
#define HOST_PING_EVERY_NS AQ_SECONDS(10)
#define HOST_SHAKE_NS AQ_SECONDS(1)  /* a handshake takes milliseconds; after that its place is anybody's */
#define HOST_STABLE_NS AQ_SECONDS(5) /* a connection that lived less counts as a failed dial */

typedef struct {
  uint32_t idx;
  aq_list conns; /* hconn.of_peer of those that are up, newest first */
  uint32_t conn_cnt, dial_cnt;
  aq_book book;
  char came_from[AQ_GATE_REMOTE_LEN]; /* where its last inbound connection came from, as the gate knows it */
  uint64_t forced_ns;                 /* last dial that a message asked for */
  aq_identify_info info;
  aq_list waiting; /* hop.node: for a connection */
  aq_list active;  /* hop.node: on a stream, or before their second try */
  uint32_t op_cnt;
  size_t op_bytes;
  size_t rx_bytes; /* held in incomplete messages */
  uint32_t big_cnt;
  aq_list big_wait; /* hstream.big_node */
  aq_timer ping;
  uint32_t ping_fails;
  uint64_t in_bytes, out_bytes;              /* since the metrics were last written */
  uint32_t streams[2][AQ_SERVICE_NAMES_MAX]; /* settled ones by direction, ours second */
  uint32_t streams_told[2][AQ_SERVICE_NAMES_MAX];
  aq_bucket opens, asks[AQ_SERVICE_NAMES_MAX]; /* what it may open, and ask for */
  aq_line_limit line_limit, line_bad;
} hpeer;

typedef struct {
  aq_list of_host, of_peer;
  struct aq_host *h;
  uint64_t tcp_id; /* 0: the pipe is closed */
  aq_conn *c;      /* NULL: TCP is not open yet */
  bool inbound, up, dead;
  char remote[AQ_BOOK_HOST_LEN + 10];
  char from[AQ_GATE_REMOTE_LEN]; /* inbound: the same as the gate knows it */
  bool members, spoke;           /* a member is known there; bytes have come */
  hpeer *peer;                   /* after the handshake */
  int want;                      /* peer that the address belongs to; < 0: any */
  char host[AQ_BOOK_HOST_LEN];
  uint16_t port; /* 0: inbound */
  uint64_t begin_ns, up_ns;
  aq_list streams;
} hconn;

typedef enum { STREAM_IN, STREAM_OP, STREAM_IDENTIFY, STREAM_PING } hstream_kind;

typedef struct hop hop;
typedef struct {
  aq_list node;
  hconn *hc;
  uint32_t id;
  hstream_kind kind;
  bool settled;      /* the protocol is agreed on */
  uint32_t *counted; /* its place in the peer's streams[], once settled */
  int svc;           /* STREAM_IN: what it speaks, a place in aq_host.names; -1: not known */
  aq_ms_responder respond;
  aq_ms_initiator propose;
  aq_buf neg; /* unread bytes of the negotiation, of pings afterwards */
  aq_delimited msg;
  bool big, big_waits;
  aq_list big_node;
  size_t unpaid;  /* received and not credited */
  size_t charged; /* part of the peer's rx_bytes */
  aq_timer timer;
  hop *op;        /* STREAM_OP */
  uint32_t reply; /* STREAM_IN: 1 + slot of the request that waits for an answer */
  uint32_t parts; /* identify messages read */
  aq_identify_info info;
  uint8_t ping[HOST_PING_LEN];
  uint64_t start_ns;
} hstream;

/* An own message on its way. */
struct hop {
  aq_list node;
  hpeer *peer;
  aq_net_proto proto;
  struct aq_host *h;
  bool request, retried;
  bool written;      /* the message, not only the offer, is in the muxer */
  bool echoed, sent; /* the name was accepted; everything has left */
  bool counted;      /* in op_cnt and op_bytes */
  aq_buf wire; /* header, name and message in one piece; of a protocol with two names: the message with its length */
  size_t len;
  aq_net_done done;
  aq_net_answer answer;
  void *arg;
  aq_timer timer, retry;
  hstream *stream;
  aq_status st;
  uint64_t start_ns;
};

typedef struct {
  hstream *stream;
  uint32_t gen;
} hreply;

struct aq_host {
  aq_host_cfg cfg;
  const aq_env *env;
  aq_net net;
  uint8_t self_key[33];
  aq_gate gate;
  aq_conn_scratch scratch;
  aq_map conns;       /* tcp id to hconn */
  aq_list all, grave; /* hconn.of_host; grave: dead, freed on the next turn */
  uint32_t conn_cnt, up_cnt;
  hpeer peer[AQ_HOST_PEERS_MAX];
  aq_book unknown; /* addresses whose owner is not known */
  uint32_t unknown_dials;
  aq_service_names names;
  aq_net_handler handler[AQ_PROTO_CNT];
  bool handled[AQ_PROTO_CNT], started, stopped;
  hreply reply[HOST_REPLIES_MAX];
  aq_list done;      /* hop.node: results to be told on the next turn */
  aq_list done_mark; /* end of the turn's share of them */
  aq_timer turn, dial, tick;
  uint64_t bytes_in, bytes_out;
  uint64_t refused_log_ns, refused_cnt; /* refused peers since the last log line about them */
  aq_status *verdict;                   /* of the message that its handler looks at now */
};

/* host.c */
void host_turn(aq_host *h); /* soon: tell results, free what is dead */
void host_conn_close(hconn *hc, uint32_t code);
void host_conn_down(hconn *hc, aq_status st);
void host_penalty(aq_host *h, hpeer *p, int32_t points);
hconn *host_best_conn(hpeer *p); /* NULL: not connected */
hconn *host_conn_new(aq_host *h, bool inbound);
const char *host_peer_label(const aq_host *h, const hpeer *p);
uint32_t host_random(aq_host *h);
void host_attempt(aq_gate_verdict v);

/* host_door.c */
aq_gate_verdict host_door(aq_host *h, const char *remote, hconn *as); /* fills in from and members of as */
void host_door_secured(hconn *hc);                                    /* hc->peer is known */

/* host_dial.c */
void host_dial_soon(aq_host *h);
void host_dial_forced(aq_host *h, hpeer *p);
bool host_dial_secured(hconn *hc, hpeer *p); /* p NULL: ourselves. False: drop the connection */
void host_dial_ended(hconn *hc);

/* host_stream.c */
void host_stream_init(aq_host *h);
void host_stream_event(hconn *hc, const aq_yamux_ev *ev);
hstream *host_stream_open(hconn *hc, hstream_kind kind, aq_status *st);
void host_stream_reset(hstream *s, uint32_t code); /* and free */
void host_stream_release(hstream *s);              /* FIN, and free */
void host_stream_free(hstream *s);                 /* the muxer has forgotten it */
void host_stream_timer(hstream *s, uint64_t wait_ns);
void host_count(const aq_service *row, bool tx, const char *result, size_t bytes);
void host_count_ping(bool tx, const char *result, size_t bytes);
bool host_may_ask(hstream *s, uint64_t cnt); /* false: over its budget; the stream is gone */

/* host_send.c */
void host_send_init(aq_host *h);
void host_op_lost(hop *op); /* its stream was reset or its connection is gone; op->stream still there */
void host_op_settled(hop *op);
void host_op_sent(hop *op);
void host_op_answer(hop *op, aq_bytes msg);
void host_op_end(hop *op, aq_status st); /* its stream, if any, is dealt with by the caller */
void host_ops_go(hpeer *p);              /* a connection is up */
void host_ops_abort(aq_host *h, hpeer *p, aq_status st);
void host_ops_tell(aq_host *h);

/* host_service.c */
void host_identify_serve(hstream *s);
void host_identify_ask(hconn *hc);
void host_identify_part(hstream *s, aq_bytes msg);
void host_identify_done(hstream *s);
void host_ping_serve(hstream *s, aq_bytes in);
void host_ping_answer(hstream *s, aq_bytes in);
void host_ping_failed(hstream *s);
void host_ping_start(hpeer *p);
void host_ping_stop(aq_host *h, hpeer *p);

#endif
