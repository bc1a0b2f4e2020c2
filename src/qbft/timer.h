/* qbft/timer.h - when a round ends. Spec: consensus.md 3. Pure: the caller brings the time. All nodes of a
   cluster must use the same timers, Charon's included. */
#ifndef AQ_QBFT_TIMER_H
#define AQ_QBFT_TIMER_H

#include "duty/duty.h"
#include "eth/chain.h"

typedef enum { AQ_ROUND_TIMER_EAGER, AQ_ROUND_TIMER_INC } aq_round_timer;

typedef struct {
  bool eager, proposal_timeout; /* feature flags; both on by default. Charon's `linear`, alpha and off, we have not */
} aq_timer_flags;

aq_round_timer aq_round_timer_for(const aq_timer_flags *f);
const char *aq_round_timer_name(aq_round_timer t); /* metric label: "eager_dlinear", "inc" */

/* Unix time at which `round` ends when its timer is armed at now_ns. again: this round's timer was armed before;
   prev_ns is the end it had then (used only without a chain). chain NULL: genesis or slot duration unknown. May lie
   in the past. */
uint64_t aq_round_deadline_ns(const aq_timer_flags *f, const aq_chain *chain, aq_duty duty, int64_t round, bool again,
                              uint64_t now_ns, uint64_t prev_ns);
/* Not in Charon's table (decision 011): how long after its last vote in a round a node waits for those of others when
   some node has gone on without it. It grows with the round, as time-outs must: 3/16 of r+3 first rounds of
   attestations. */
uint64_t aq_round_patience_ns(const aq_clock *clock, int64_t round);

#endif
