/* flow/judge.h - what a proposed value must be before this node prepares it, as far as the lock, our own schedule and
   our own beacon node tell; validity.h has the rest. Spec: consensus.md 5.1. Sets of attestations:
   - in every round: validators of the lock, each with the duty that our schedule has for it; no source epoch above what
     our beacon node has justified. While it does not answer, that is what it named last;
   - in rounds 1 to f+1, of which an honest node leads one: all validators of our schedule are there, the source is our
     beacon node's, the target is or is a block that it knows of an epoch's first slot or the epoch before. Honest
     beacon nodes can differ here for a moment. In rounds f+2 to 4f+3 such a value is in doubt until f+1 nodes prepare
     it: one of two views has f+1 honest nodes, and at most 2f others lead before one of those does. Later this is not
     asked, for clusters in more than two minds.
   The head is not judged. Blocks: of the slot's proposer (likewise), with its index; with the builder off a full
   one pays the fee recipient of the lock (every round), with it on another one is warned about, once a duty. Graffiti
   is not judged, nor what a blinded block pays. A value that a quorum prepared in an earlier round was judged by honest
   nodes: only the lock is asked then.
   On a mismatch the beacon node is asked once more in the round, 1/48 slot later: a leader can know a moment earlier.
   Limits: one record an attester duty until its deadline, two requests under way each. */
#ifndef AQ_FLOW_JUDGE_H
#define AQ_FLOW_JUDGE_H

#include "base/map.h"
#include "cluster/lock.h"
#include "consensus/consensus.h"
#include "schedule/scheduler.h"

typedef struct {
  const aq_env *env;
  aq_bn *bn;
  const aq_chain *chain;
  const aq_lock *lock;
  const aq_map *validators; /* pubkeys.h */
  const aq_scheduler *scheduler;
  uint32_t faulty; /* f */
  bool builder_api;
  void *arg;
  void (*known)(void *arg, aq_duty duty); /* an answer came: judge again; never from inside */
} aq_judge_cfg;

typedef struct aq_judge aq_judge;
aq_judge *aq_judge_new(const aq_judge_cfg *cfg);
void aq_judge_free(aq_judge *j);
/* `set` passed aq_value_valid. err: why it is AQ_VALUE_BAD or AQ_VALUE_DOUBT. */
aq_value_verdict aq_judge_value(aq_judge *j, const aq_value_case *c, const aq_unsigned_set *set, aq_err *err);
/* What our own beacon node gave us for a duty: AQ_OK, or it breaks a rule of every round, so that others would never
   take it; AQ_E_UNKNOWN: a block that pays somebody else. set is judged as in aq_judge_value. Attestations are also
   what others' values are compared with. */
AQ_NODISCARD aq_status aq_judge_own(aq_judge *j, aq_duty duty, const aq_unsigned_set *set, aq_err *err);

#endif
