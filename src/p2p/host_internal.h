/* p2p/host_internal.h - what the files of the host share: host.c (life, connections), host_door.c (who may knock),
   host_dial.c (address book), host_send.c (own messages). */
#ifndef AQ_P2P_HOST_INTERNAL_H
#define AQ_P2P_HOST_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "p2p/book.h"
#include "p2p/gate.h"
#include "p2p/host.h"
#include "p2p/switch.h"

enum {
  HOST_OPS_MAX = 1024, /* own messages to one peer that are not finished */
  HOST_OPS_BYTES_MAX = 128 * 1024 * 1024,
  HOST_DIALS_MAX = 2,         /* at one time, for one peer */
  HOST_STRANGERS_MAX = 32,    /* connections of whom nobody knows who they are, from where no member is known to be */
  HOST_STRANGERS_EACH = 4,    /* of those, of one IPv4 address or /64 */
  HOST_UNKNOWN_DIALS_MAX = 8, /* at one time, to addresses whose owner is not known */
  /* Own dials have no part in the cap on connections: so many may be beside it, and become connections. */
  HOST_OWN_MAX = AQ_HOST_PEERS_MAX * (AQ_REMOTE_LINKS_MAX + HOST_DIALS_MAX) + HOST_UNKNOWN_DIALS_MAX
};
#define HOST_RETRY_NS AQ_MILLIS(100)
#define HOST_SHAKE_NS AQ_SECONDS(1)  /* a handshake takes milliseconds; after that its place is anybody's */
#define HOST_STABLE_NS AQ_SECONDS(5) /* a connection that lived less counts as a failed dial */

/* A member of the lock; user of its aq_remote. */
typedef struct {
  uint32_t idx;
  aq_remote *remote;
  uint32_t dial_cnt;
  aq_book book;
  char came_from[AQ_GATE_REMOTE_LEN]; /* where its last inbound connection came from, as the gate knows it */
  uint64_t forced_ns;                 /* last dial that a message asked for */
  aq_list waiting;                    /* hop.node: for a connection */
  aq_list active;                     /* hop.node: on a stream, or before their second try */
  uint32_t op_cnt;
  size_t op_bytes;
} hpeer;

/* A socket, from its dial or its accept on; user of its aq_link. */
typedef struct {
  aq_list of_host;
  struct aq_host *h;
  uint64_t tcp_id;
  aq_link *link; /* NULL: TCP is not open yet */
  bool inbound, dead;
  char remote[AQ_PIPE_ADDR_LEN];
  char from[AQ_GATE_REMOTE_LEN]; /* inbound: the same as the gate knows it */
  bool members, spoke;           /* a member is known there; bytes have come */
  bool counted;                  /* in up_cnt */
  hpeer *peer;                   /* after the handshake */
  int want;                      /* peer that the address belongs to; < 0: any */
  char host[AQ_BOOK_HOST_LEN];
  uint16_t port; /* 0: inbound */
  uint64_t begin_ns;
} hconn;

/* An own message on its way. */
typedef struct hop {
  aq_list node;
  hpeer *peer;
  aq_net_proto proto;
  struct aq_host *h;
  bool request, retried;
  bool counted; /* in op_cnt and op_bytes */
  aq_buf wire;  /* as aq_stream_send borrows it */
  size_t len;
  aq_net_done done;
  aq_net_answer answer;
  void *arg;
  aq_timer timer, retry;
  aq_stream *stream;
  aq_status st;
  uint64_t start_ns;
} hop;

typedef struct {
  struct aq_host *h;
  aq_net_handler f;
} hhandler;

struct aq_host {
  aq_host_cfg cfg;
  const aq_env *env;
  aq_net net;
  aq_switch *sw;
  aq_gate gate;
  aq_map conns;       /* tcp id to hconn */
  aq_list all, grave; /* hconn.of_host; grave: dead, freed on the next turn */
  uint32_t conn_cnt, up_cnt;
  hpeer peer[AQ_HOST_PEERS_MAX];
  aq_book unknown; /* addresses whose owner is not known */
  uint32_t unknown_dials;
  hhandler handler[AQ_PROTO_CNT];
  bool started, stopped;
  aq_list done; /* hop.node: results to be told on the next turn */
  aq_timer turn, dial, tick;
  uint64_t refused_log_ns, refused_cnt; /* refused peers since the last log line about them */
};

/* host.c */
void host_turn(aq_host *h); /* soon: tell results, free what is dead */
void host_conn_close(hconn *hc, uint32_t code);
bool host_conn_is_up(const hconn *hc);
bool host_connected(const hpeer *p);
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

/* host_send.c */
void host_send_init(aq_host *h);
void host_ops_go(hpeer *p); /* a connection is up */
void host_ops_abort(hpeer *p, aq_status st);
void host_ops_tell(aq_host *h);

#endif
