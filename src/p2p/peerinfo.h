/* p2p/peerinfo.h - who runs what: answers and asks peerinfo once a minute. Spec: wire.md 6. Metrics app_peerinfo_*. */
#ifndef AQ_P2P_PEERINFO_H
#define AQ_P2P_PEERINFO_H

#include "port/env.h"
#include "port/net.h"

typedef struct {
  const aq_env *env;
  const aq_net *net;
  uint32_t self, peer_cnt;
  const char *const *peer_names;
  uint8_t lock_hash[32];
  const char *wire_version; /* "v1.11.0" */
  const char *git_hash;     /* 7 hex digits or "unknown" */
  const char *nickname;
  bool builder_api;
} aq_peerinfo_cfg;

typedef struct aq_peerinfo aq_peerinfo;
aq_peerinfo *aq_peerinfo_new(const aq_peerinfo_cfg *cfg); /* registers its handler */
void aq_peerinfo_start(aq_peerinfo *p);
void aq_peerinfo_free(aq_peerinfo *p);

#endif
