/* flow/fetcher.h - asks the beacon node for what a duty needs and builds this node's unsigned set. Spec: core.md 7.
   Retries as core.md 10.8 until the duty's deadline. An empty set ends quietly (no call of fetched). Answers
   are believed only when they are of the duty's slot, committee and RANDAO. Aggregators: validators that have no
   selection half a second after the trigger are left out once there is one aggregate. Sync contributions are not
   fetched (AQ_E_UNSUPPORTED, final). Blocks: v3, or v2 where a node lacks it; aggregates v2 or, before electra, v1;
   what worked is remembered. Limits: 256 duties, 64 MiB a block. */
#ifndef AQ_FLOW_FETCHER_H
#define AQ_FLOW_FETCHER_H

#include "ledger/aggsigdb.h"
#include "ledger/dutydb.h"
#include "schedule/scheduler.h"

typedef struct {
  const aq_env *env;
  aq_bn *bn;
  const aq_chain *chain;
  aq_aggsigdb *aggsigdb;
  aq_dutydb *dutydb;
  const uint8_t (*pubkey)[48];
  uint32_t validator_cnt;
  const char *graffiti; /* at most 32 bytes */
  bool builder_api;
  void *arg;
  void (*fetched)(void *arg, aq_duty duty, const aq_unsigned_set *set);
  void (*failed)(void *arg, aq_duty duty, aq_status st, const char *why, bool final); /* each failed try */
} aq_fetcher_cfg;

typedef struct aq_fetcher aq_fetcher;
aq_fetcher *aq_fetcher_new(const aq_fetcher_cfg *cfg);
void aq_fetcher_free(aq_fetcher *f);
/* defs copied; nothing is called from inside but failed with AQ_E_LIMIT. A duty that is being fetched is left alone. */
void aq_fetcher_fetch(aq_fetcher *f, aq_duty duty, const aq_duty_defs *defs);

#endif
