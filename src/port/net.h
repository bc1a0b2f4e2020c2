/* port/net.h - messages between the nodes of the cluster, as consensus and duties see them: peers are operator
   indices (0-based), messages are whole protobuf messages without length prefix. Who dials, what is connected and
   how streams work is the host's business (p2p/host.h). Spec: wire.md 3 and 4. */
#ifndef AQ_PORT_NET_H
#define AQ_PORT_NET_H

#include "base/bytes.h"

/* A row of p2p/services.c each: names, limits. */
typedef enum {
  AQ_PROTO_QBFT,     /* one way */
  AQ_PROTO_PARSIGEX, /* one way */
  AQ_PROTO_PEERINFO, /* request and answer */
  AQ_PROTO_VOTES,    /* request and answer; no peer need have it */
  AQ_PROTO_PRIORITY, /* request and answer */
  AQ_PROTO_CNT
} aq_net_proto;

/* st: AQ_OK when the message was written and closed, AQ_E_TIMEOUT (its row's limit), AQ_E_CLOSED, AQ_E_LIMIT. Called
   exactly once, never from inside send. done may be NULL. */
typedef void (*aq_net_done)(void *arg, aq_status st);
/* answer: valid during the call; empty unless st is AQ_OK. */
typedef void (*aq_net_answer)(void *arg, aq_status st, aq_bytes answer);

/* A request that waits for our answer: the host keeps it until respond or refuse was called, or the
   limit of its row has passed. */
typedef struct aq_net_reply aq_net_reply;

typedef struct {
  void *arg;
  void (*recv)(void *arg, uint32_t from, aq_bytes msg);                       /* one-way protocols */
  void (*serve)(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply); /* request protocols */
} aq_net_handler;

typedef struct aq_net {
  void *ctx;
  /* msg is copied. An unconnected peer is dialled first, as far as an address is known. */
  void (*send)(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_done done, void *arg);
  void (*request)(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_answer fn, void *arg);
  void (*respond)(void *ctx, aq_net_reply *reply, aq_bytes answer); /* ends the reply */
  void (*refuse)(void *ctx, aq_net_reply *reply);                   /* closes without an answer; ends the reply */
  void (*handle)(void *ctx, aq_net_proto proto,
                 const aq_net_handler *h); /* copied; one handler a protocol, an empty one takes it away */
  bool (*connected)(void *ctx, uint32_t peer);
  /* A message of that peer was no good: AQ_E_FORMAT and AQ_E_TRUNC, it does not decode; AQ_E_LIMIT, it is one too many;
     AQ_E_AUTH, AQ_E_UNKNOWN, AQ_E_UNJUST. From inside recv or serve it is about the message just handed over, which is
     counted so instead of as good; later about an earlier one. Costs the peer some of its score. Use aq_net_fault. */
  void (*fault)(void *ctx, uint32_t peer, aq_net_proto proto, aq_status st);
} aq_net;

/* fault may be NULL: nobody keeps count. */
static inline void aq_net_fault(const aq_net *n, uint32_t peer, aq_net_proto proto, aq_status st) {
  if (n->fault) n->fault(n->ctx, peer, proto, st);
}

#endif
