/* flow/broadcaster.h - submits combined signatures to the beacon nodes, with retries until the deadline. Spec:
   core.md 10.1. A chain before Electra whose beacon node lacks the v2 attestation route gets v1 (Lodestar 1.5.1),
   likewise v1 aggregates and blocks. Blocks go out in SSZ, in JSON where a node answers 415. "Already known"
   counts as success. Where an answer names the objects that failed, done is called for each group. */
#ifndef AQ_FLOW_BROADCASTER_H
#define AQ_FLOW_BROADCASTER_H

#include "beacon/bn.h"
#include "duty/payload.h"

typedef struct {
  const aq_env *env;
  aq_bn *bn;
  const aq_chain *chain;
  void *arg;
  void (*done)(void *arg, aq_duty duty, const uint32_t *validators, uint32_t cnt, aq_status st, const char *why);
} aq_broadcaster_cfg;

typedef struct aq_broadcaster aq_broadcaster;
aq_broadcaster *aq_broadcaster_new(const aq_broadcaster_cfg *cfg);
void aq_broadcaster_free(aq_broadcaster *b);
/* Copied. Types without a submission (randao, selections) report done at once, from a timer. */
void aq_broadcaster_submit(aq_broadcaster *b, aq_duty duty, const aq_signed_data *data, const uint32_t *validators,
                           uint32_t cnt);

#endif
