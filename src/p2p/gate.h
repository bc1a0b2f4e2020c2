/* p2p/gate.h - who may connect: allow list, rate limit, score, resource cap, in this order (contract.md 6.5). Pure:
   time comes in. An inbound connection is judged twice: by remote address when it is accepted, by identity after the
   handshake. The cap on places is host_door.c's. */
#ifndef AQ_P2P_GATE_H
#define AQ_P2P_GATE_H

#include "base/bucket.h"
#include "base/bytes.h"

enum {
  AQ_GATE_REMOTES_MAX = 256, /* addresses remembered for the rate limit; the one unused longest makes room */
  AQ_GATE_REMOTE_LEN = 64,
  AQ_GATE_STRANGER_BURST = 16, /* attempts of an address where no member is known to be, whatever the operator's */
  AQ_GATE_STRANGER_RATE = 4,   /* limit says: at once, and then a second; a real peer backs off to fewer */
  AQ_GATE_PEERS_MAX = 32,
  AQ_SCORE_MAX = 100, /* of a peer without fault; regained by one a second */
  AQ_SCORE_MIN = -1000,
  AQ_SCORE_TOO_MANY = 1, /* one more than its budget; a burst of honest ones must not cost much */
  AQ_SCORE_BAD_MSG = 10, /* a message that breaks its framing or does not decode, or memory over the limit */
  AQ_SCORE_BAD_CONN = 25 /* a connection that broke the protocol of its layer */
};

typedef enum { AQ_GATE_ALLOWED, AQ_GATE_DENIED, AQ_GATE_LIMITED, AQ_GATE_DKG_DENIED } aq_gate_verdict;
const char *aq_gate_verdict_name(aq_gate_verdict v); /* label value of p2p_conn_attempts_total */

typedef struct {
  char remote[AQ_GATE_REMOTE_LEN];
  uint64_t used_ns;
  aq_bucket asked, built_in; /* the operator's limit, and ours for strangers */
} aq_gate_remote;

typedef struct {
  uint32_t rate_limit; /* attempts a second and remote, 0: off */
  uint32_t conns_max;
  int32_t score_threshold; /* lowest accepted, 0: off */
  aq_gate_remote remote[AQ_GATE_REMOTES_MAX];
  uint32_t remote_cnt;
  int32_t score[AQ_GATE_PEERS_MAX];
  uint64_t score_ns[AQ_GATE_PEERS_MAX];
} aq_gate;

void aq_gate_init(aq_gate *g, uint32_t rate_limit, uint32_t conns_max, int32_t score_threshold);

/* What counts as one remote in "ip:port" or "[ip6]:port": an IPv4 address, a /64 of IPv6. */
void aq_gate_key(char out[AQ_GATE_REMOTE_LEN], const char *remote);
/* An inbound connection from there; members: a member is known to be there. */
aq_gate_verdict aq_gate_accept(aq_gate *g, const char *key, bool members, uint64_t now_ns);
/* An own dial; peer < 0: not known yet. Never refused for others' connections. */
aq_gate_verdict aq_gate_dial(aq_gate *g, int peer, uint64_t now_ns);
/* Identity after the handshake; peer < 0: not in the cluster lock. */
aq_gate_verdict aq_gate_secured(aq_gate *g, int peer, uint64_t now_ns);

int32_t aq_gate_score(aq_gate *g, uint32_t peer, uint64_t now_ns);
/* Takes points off; true when the peer is below the threshold now and its connections are to be closed. */
bool aq_gate_penalty(aq_gate *g, uint32_t peer, int32_t points, uint64_t now_ns);

#endif
