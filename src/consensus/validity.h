/* consensus/validity.h - may a proposed value be prepared, as far as that can be told without the cluster lock, our own
   schedule and our own beacon node (flow/judge.h): every entry decodes with nothing left over; slot, epochs and fork
   fit the duty; a set of attestations has one source, one target and one data a committee. No honest value breaks
   these rules, so they hold in every round. Spec: consensus.md 5 and 5.1. Not compared: head, parent, block content,
   builder setting; honest leaders differ there. Limit: 64 committees a slot (MAX_COMMITTEES_PER_SLOT). Pure. */
#ifndef AQ_CONSENSUS_VALIDITY_H
#define AQ_CONSENSUS_VALIDITY_H

#include "base/arena.h"
#include "duty/duty.h"
#include "eth/chain.h"

/* The entries of a value in canonical bytes (map sorted, no key twice). AQ_E_FORMAT: unknown fields, no entry, a key
   that is not a public key in lower case. Views live in the arena. */
AQ_NODISCARD aq_status aq_value_decode(aq_unsigned_set *out, aq_arena *a, aq_bytes canonical);
/* Do all entries decode, as a receiver of a decision must be able to? err or NULL. */
AQ_NODISCARD aq_status aq_value_readable(aq_arena *a, aq_duty_type type, const aq_unsigned_set *set, aq_err *err);
/* consensus.md 5.1 without what needs the lock (known validators, proposer index, our own definitions). */
AQ_NODISCARD aq_status aq_value_valid(aq_arena *a, const aq_chain *chain, aq_duty duty, const aq_unsigned_set *set,
                                      aq_err *err);
/* info_sync: a well-formed PriorityResult. */
bool aq_value_priority_ok(aq_arena *a, aq_bytes canonical);

#endif
