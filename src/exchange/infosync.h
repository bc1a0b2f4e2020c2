/* exchange/infosync.h - once an epoch the nodes tell each other which versions, protocols and proposal types they
   know, and agree on the ones that enough of them share. Spec: wire.md 9.2 and 9.4, core.md 7.5 and 10.6. Runs by
   its own timer in the last slot of each epoch: exchange with all peers, then the result goes through consensus as
   duty (slot, info_sync). Limits: one exchange at a time; 2 early requests a peer, held for at most 4.5 s. All on
   the loop thread. */
#ifndef AQ_EXCHANGE_INFOSYNC_H
#define AQ_EXCHANGE_INFOSYNC_H

#include "consensus/consensus.h"
#include "exchange/priority.h"

enum { AQ_INFOSYNC_RESULTS_MAX = 100 };

typedef struct {
  const aq_env *env;
  const aq_net *net;
  aq_consensus *consensus;
  const aq_chain *chain;
  const aq_k1_key *key;
  aq_priority_cluster cluster; /* views stay the caller's */
  uint32_t self;
  bool builder_api;
} aq_infosync_cfg;

typedef struct aq_infosync aq_infosync;
aq_infosync *aq_infosync_new(const aq_infosync_cfg *cfg); /* registers its handler with net */
void aq_infosync_start(aq_infosync *x);
void aq_infosync_free(aq_infosync *x); /* before its consensus */

/* In the last slot of an epoch. */
bool aq_infosync_scheduled(const aq_clock *c, uint64_t slot);

/* For the consensus component: valid_info and decided_info. */
bool aq_infosync_valid(const aq_infosync *x, aq_duty duty, aq_bytes result);
void aq_infosync_decided(aq_infosync *x, aq_duty duty, aq_bytes result);

/* core.md 7.5: is a sync contribution of this slot proposed in its plural form? */
bool aq_infosync_plural(const aq_infosync *x, uint64_t slot);

#endif
