/* p2p/host.h - who is connected: dials and accepts, Noise, yamux, identify, ping, gates, request/response over
   streams; implements port/net.h. Spec: wire.md 2 to 5, 10.6. A core: bytes in, bytes out, timers through aq_env;
   sockets come through port/tcp.h. */
#ifndef AQ_P2P_HOST_H
#define AQ_P2P_HOST_H

#include "crypto/k1.h"
#include "port/env.h"
#include "port/net.h"
#include "port/tcp.h"

enum { AQ_HOST_PEERS_MAX = 32, AQ_HOST_ADDRS_MAX = 16 };

typedef struct {
  uint8_t pubkey[33];
  char name[32];
} aq_host_peer;

typedef struct {
  const aq_env *env;
  const aq_tcp *tcp;
  const aq_k1_key *key;
  uint32_t self, peer_cnt;         /* operator indices of the lock */
  const aq_host_peer *peers;       /* borrowed */
  const char *const *listen_addrs; /* multiaddr text to announce, e.g. "/ip4/10.0.0.1/tcp/3610" */
  size_t listen_addr_cnt;
  const char *agent;                                             /* "aequa/v0.1.0" */
  uint32_t conns_max;                                            /* AEQUA_P2P_MAX_CONNS, 128 */
  uint32_t rate_limit;                                           /* attempts a second and remote, 0 off */
  int32_t score_threshold;                                       /* 0 off */
  void (*peer_addr)(void *arg, uint32_t peer, const char *addr); /* a dialled address worked: remember it */
  void (*peer_change)(void *arg, uint32_t peer, bool connected);
  void (*peer_up)(void *arg, uint32_t peer); /* a new connection, also beside an older one */
  void *arg;
} aq_host_cfg;

typedef struct aq_host aq_host;
aq_host *aq_host_new(const aq_host_cfg *cfg);
void aq_host_free(aq_host *h);
const aq_net *aq_host_net(aq_host *h);
/* Adds an address ("host:port" or multiaddr, with or without /p2p/) to try for a peer; peer < 0: whichever peer
   answers there. AQ_E_FORMAT, AQ_E_LIMIT. Static ones are tried for ever, others until they fail 5 times. */
AQ_NODISCARD aq_status aq_host_add_addr(aq_host *h, int peer, const char *addr, bool is_static, aq_err *err);
void aq_host_start(aq_host *h);
void aq_host_stop(aq_host *h);                /* closes all; net calls end with AQ_E_CLOSED */
uint32_t aq_host_connected(const aq_host *h); /* distinct other peers with a connection */
uint64_t aq_host_bytes(const aq_host *h, bool in);

#endif
