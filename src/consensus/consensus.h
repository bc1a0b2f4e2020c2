/* consensus/consensus.h - the consensus component: one QBFT instance a duty, its timer, its journal, its wire. Spec:
   consensus.md; the pure machine is qbft/qbft.h. Votes leave only after the store says they are on disk; a
   decided value is handed on only after its record is. All on the loop thread. */
#ifndef AQ_CONSENSUS_CONSENSUS_H
#define AQ_CONSENSUS_CONSENSUS_H

#include "crypto/k1.h"
#include "eth/chain.h"
#include "port/env.h"
#include "port/net.h"
#include "port/store.h"

/* What a value is judged for. */
typedef struct {
  aq_duty duty;
  int64_t round;
  /* The proposal shows a quorum's PREPAREs of this value in an earlier round: more honest nodes than there can be
     hostile ones have judged it, and to refuse it now could lock the instance. */
  bool prepared;
  /* f+1 nodes prepare it in this round, so one of them is honest and found it good. */
  bool seconded;
} aq_value_case;

/* WAIT: aq_consensus_judge follows, or the round ends first. DOUBT: the same, but the round ends in its ordinary time,
   as if the value were bad; err says why. Both are asked again once the value is seconded. */
typedef enum { AQ_VALUE_BAD, AQ_VALUE_GOOD, AQ_VALUE_WAIT, AQ_VALUE_DOUBT } aq_value_verdict;

typedef struct {
  const aq_env *env;
  const aq_net *net;
  const aq_store *store;
  const aq_chain *chain;
  const aq_k1_key *key;
  uint32_t n, self;
  const uint8_t (*peer_pubkey)[33];   /* n of them */
  uint64_t started_ns;                /* process start, for abstaining (consensus.md 7.3) */
  bool eager_timer, proposal_timeout; /* feature flags; both on unless the cluster says otherwise */
  void *arg;
  /* consensus.md 5.1: may this value be prepared? Entries decode and fit each other (validity.h); the lock, the
     schedule and the beacon node are the caller's to ask. Called again each round and after each aq_consensus_judge.
     err: why not. */
  aq_value_verdict (*valid)(void *arg, const aq_value_case *c, const aq_unsigned_set *set, aq_err *err);
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
/* What `valid` waited for came: it is asked again. Not from inside `valid`; harmless for a duty that waits for
   nothing. */
void aq_consensus_judge(aq_consensus *c, aq_duty duty);
uint32_t aq_consensus_instances(const aq_consensus *c);
/* Peers showed a vote of this node that its store lacks: duties that began up to this time (Unix; 0: none) may have
   been signed for without a record here. Beside aq_store_unproven_until_ns. */
uint64_t aq_consensus_unproven_until_ns(const aq_consensus *c);
/* The beacon node announced a head above the genesis block, and what it says of our clock was told: from now on votes
   of ours that the journal lacks may prove another live instance. */
void aq_consensus_chain_heard(aq_consensus *c);
/* The clock was behind by raise_ns more than was known (0: no): what is held back moves with it. Then nothing is held
   back beyond limit_ns. Returns until when duties are held back (Unix), 0: none are. */
uint64_t aq_consensus_clock(aq_consensus *c, uint64_t raise_ns, uint64_t limit_ns);

#endif
