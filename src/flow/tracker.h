/* flow/tracker.h - one verdict a duty: what happened when, and if it failed at which step, why and without whom.
   Spec: core.md 11.1. It only listens: duties do not depend on it. The verdict is the log line "duty" {duty, slot,
   result ok|failed, latency_ms, steps_ms, and for failures step, reason, peers_missing}: when all of the duty is done,
   or at its deadline. Done means submitted; on a node that does not combine (architecture.md 7): decided, and the own
   partial signatures shared. Metrics core_tracker_*. */
#ifndef AQ_FLOW_TRACKER_H
#define AQ_FLOW_TRACKER_H

#include "duty/duty.h"
#include "eth/chain.h"
#include "port/env.h"

typedef struct {
  const aq_env *env;
  const aq_chain *chain;
  uint32_t n, self;
  bool combines;                 /* --enable-tss */
  const char *const *peer_names; /* n */
} aq_tracker_cfg;

typedef struct aq_tracker aq_tracker;
aq_tracker *aq_tracker_new(const aq_tracker_cfg *cfg);
void aq_tracker_free(aq_tracker *t); /* no verdicts */

/* The scheduler's trigger; cnt validators have the duty. */
void aq_tracker_scheduled(aq_tracker *t, aq_duty duty, uint32_t cnt);
/* A step's outcome for the whole duty. Static text in why, or NULL. */
void aq_tracker_fetched(aq_tracker *t, aq_duty duty, aq_status st);
void aq_tracker_decided(aq_tracker *t, aq_duty duty, uint32_t cnt,
                        aq_status stored); /* cnt signatures are expected now */
/* A partial signature was stored (st AQ_OK), or refused. share: 1..n. mixed: roots of the validator differ. */
void aq_tracker_partial(aq_tracker *t, aq_duty duty, uint32_t share, const uint8_t root[32], bool mixed, aq_status st);
void aq_tracker_shared(aq_tracker *t, aq_duty duty, uint32_t cnt);   /* own ones went to the peers */
void aq_tracker_combined(aq_tracker *t, aq_duty duty, aq_status st); /* one group signature, or none possible */
void aq_tracker_stored(aq_tracker *t, aq_duty duty, aq_status st);   /* journal and aggsigdb took it */
void aq_tracker_submitted(aq_tracker *t, aq_duty duty, uint32_t cnt, aq_status st);

#endif
