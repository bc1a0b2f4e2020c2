/* consensus/consensus.h - the consensus component: one QBFT instance a duty, its timer, its journal, its wire. Spec:
   consensus.md; the pure machine is consensus/qbft.h. Votes leave only after the store says they are on disk; a
   decided value is handed on only after its record is. All on the loop thread. */
#ifndef AQ_CONSENSUS_CONSENSUS_H
#define AQ_CONSENSUS_CONSENSUS_H

#include "crypto/k1.h"
#include "eth/chain.h"
#include "port/env.h"
#include "port/net.h"
#include "port/store.h"

typedef struct {
  const aq_env *env;
  const aq_net *net;
  const aq_store *store;
  const aq_chain *chain;
  const aq_k1_key *key;
  uint32_t n, self;
  const uint8_t (*peer_pubkey)[33];                 /* n of them */
  uint64_t started_ns;                              /* process start, for abstaining (7.3) */
  bool linear_timer, eager_timer, proposal_timeout; /* feature flags; defaults false, true, true */
  void *arg;
  /* 5.1: may this value be prepared? Entries are decoded and canonical; keys of the lock are the caller's to check. */
  bool (*valid)(void *arg, aq_duty duty, const aq_unsigned_set *set);
  /* Durable decision. Called once an instance, also again after a restart (idempotent for the receiver). */
  void (*decided)(void *arg, aq_duty duty, const aq_unsigned_set *set, uint64_t round);
  /* Instance ended at its deadline without a decision; why: one line naming the missing step and the missing peers. */
  void (*failed)(void *arg, aq_duty duty, const char *why);
  /* The same for info_sync (13), whose value is a PriorityResult in canonical bytes. NULL: every well-formed one is
     prepared; it is handed to `decided` as an empty set. */
  bool (*valid_info)(void *arg, aq_duty duty, aq_bytes result);
  void (*decided_info)(void *arg, aq_duty duty, aq_bytes result, uint64_t round);
  /* May the cluster have this duty at all? What a peer says for another one is dropped. NULL: any duty. */
  bool (*scheduled)(void *arg, aq_duty duty);
  /* Another live instance has our key and we are not known to be the earlier one: stop (contract.md 13.6). At most
     once; from inside receipt: free nothing in it. NULL: only abstain. */
  void (*live_double)(void *arg, const char *why);
} aq_consensus_cfg;

typedef struct aq_consensus aq_consensus;
aq_consensus *aq_consensus_new(const aq_consensus_cfg *cfg); /* registers its handler with net */
void aq_consensus_free(aq_consensus *c);
/* Replays the store; before anything is received. */
AQ_NODISCARD aq_status aq_consensus_recover(aq_consensus *c);
/* Starts the instance without a value (attester, proposer at their trigger). AQ_E_EXISTS: already. AQ_E_STALE. */
AQ_NODISCARD aq_status aq_consensus_participate(aq_consensus *c, aq_duty duty);
/* Own value; starts the instance if need be. Copied. */
AQ_NODISCARD aq_status aq_consensus_propose(aq_consensus *c, aq_duty duty, const aq_unsigned_set *set);
/* The same for info_sync: an encoded PriorityResult. AQ_E_FORMAT: not one. */
AQ_NODISCARD aq_status aq_consensus_propose_info(aq_consensus *c, aq_duty duty, aq_bytes result);
uint32_t aq_consensus_instances(const aq_consensus *c);

#endif
