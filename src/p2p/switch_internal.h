/* p2p/switch_internal.h - what the files of the switch share: switch.c (life, links, remotes), switch_stream.c (streams
   of both directions, their negotiation and memory, requests of others), switch_own.c (own messages, and streams of
   pattern STREAM), switch_service.c (identify and ping). */
#ifndef AQ_P2P_SWITCH_INTERNAL_H
#define AQ_P2P_SWITCH_INTERNAL_H

#include "p2p/delimited.h"
#include "p2p/multistream.h"
#include "p2p/switch.h"

enum {
  AQ_SW_NEG_MAX = 4096, /* unread bytes of a negotiation */
  AQ_SW_PING_LEN = 32
};
#define AQ_SW_NEGOTIATE_NS AQ_SECONDS(15) /* streams may stay silent for some seconds (wire.md 14.1) */

typedef enum {
  AQ_STREAM_IN,      /* opened by the other side */
  AQ_STREAM_MESSAGE, /* aq_stream_send */
  AQ_STREAM_RAW,     /* aq_stream_open */
  AQ_STREAM_IDENTIFY,
  AQ_STREAM_PING
} aq_stream_kind;

struct aq_stream {
  aq_list node;
  aq_link *link;
  uint32_t id;
  aq_stream_kind kind;
  bool settled;          /* the protocol is agreed on */
  bool raw;              /* bytes are its user's: of pattern STREAM, once settled */
  uint32_t *counted;     /* its place in the remote's streams[], once settled */
  int svc;               /* IN: what it speaks, a place in aq_switch.names; -1: not known */
  const aq_service *row; /* NULL: not known, or of every link */
  aq_ms_responder respond;
  aq_ms_initiator propose;
  aq_buf neg; /* unread bytes of the negotiation, of pings afterwards */
  aq_delimited msg;
  bool big, big_waits;
  aq_list big_node;
  size_t unpaid;  /* received and not credited */
  size_t charged; /* part of the remote's rx_bytes */
  aq_timer timer;
  aq_stream_events on;
  aq_buf *wire;   /* MESSAGE: its user's */
  bool written;   /* the message, not only the offer, is in the muxer */
  bool sent;      /* and has left */
  uint32_t reply; /* IN: 1 + slot of the request that waits for an answer */
  uint32_t parts; /* identify messages read */
  aq_identify_info info;
  uint8_t ping[AQ_SW_PING_LEN];
  uint64_t start_ns;
};

typedef struct {
  aq_stream *stream;
  uint32_t gen;
} aq_sw_reply;

struct aq_switch {
  aq_switch_cfg cfg;
  const aq_env *env;
  uint8_t self_key[33];
  aq_service_names names;
  aq_service_handler handler[AQ_SERVICE_NAMES_MAX]; /* by row */
  bool handled[AQ_SERVICE_NAMES_MAX];
  aq_conn_scratch scratch;
  aq_list links, grave; /* aq_link.of_switch; grave: dead, freed on the next turn */
  aq_list remotes;      /* aq_remote.node */
  uint32_t stranger_cnt;
  aq_sw_reply reply[AQ_SWITCH_REPLIES_MAX];
  aq_timer turn;
  uint64_t bytes_in, bytes_out;
  aq_status *verdict; /* of the message that its handler looks at now */
};

/* switch_stream.c */
void aq_sw_event(aq_link *l, const aq_yamux_ev *ev);
void aq_sw_drop_streams(aq_link *l);
void aq_sw_stream_free(aq_stream *s); /* the muxer has forgotten it */
aq_stream *aq_sw_stream_open(aq_link *l, aq_stream_kind kind, aq_status *st);
void aq_sw_stream_timer(aq_stream *s, uint64_t wait_ns);
bool aq_sw_may_ask(aq_stream *s, uint64_t cnt); /* false: over its budget; the stream is gone */

/* switch_own.c */
void aq_sw_own_settled(aq_stream *s);
void aq_sw_own_sent(aq_stream *s);
void aq_sw_own_answer(aq_stream *s, aq_bytes msg);
void aq_sw_fail(aq_stream *s, aq_status st, uint32_t code); /* resets it and tells its user, if it has one */
void aq_sw_lose(aq_stream *s);                              /* the same for one that is no more, or whose link is */

/* switch_service.c */
void aq_sw_identify_serve(aq_stream *s);
void aq_sw_identify_ask(aq_link *l);
void aq_sw_identify_part(aq_stream *s, aq_bytes msg);
void aq_sw_identify_done(aq_stream *s);
void aq_sw_ping_serve(aq_stream *s, aq_bytes in);
void aq_sw_ping_answer(aq_stream *s, aq_bytes in);
void aq_sw_ping_failed(aq_stream *s);
void aq_sw_ping_start(aq_remote *r);
void aq_sw_ping_stop(aq_remote *r);
void aq_sw_count_ping(bool tx, const char *result, size_t bytes);

#endif
