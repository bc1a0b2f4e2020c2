/* schedule/preparer.h - tells every beacon node the fee recipients of the cluster's validators, at start and in each
   first slot of an epoch, until it is taken, and when one may have been restarted. Spec: core.md 10.3. Addresses are
   the cluster definition's or those of newer registrations. Does not send builder registrations. */
#ifndef AQ_SCHEDULE_PREPARER_H
#define AQ_SCHEDULE_PREPARER_H

#include "cluster/lock.h"
#include "schedule/scheduler.h"

typedef struct {
  const aq_env *env;
  aq_bn *bn;
  const aq_chain *chain;
  const aq_scheduler *scheduler;
  const aq_lock *lock;
  void *arg;
  void (*told)(void *arg); /* a beacon node took them; or NULL */
} aq_preparer_cfg;

typedef struct aq_preparer aq_preparer;
aq_preparer *aq_preparer_new(const aq_preparer_cfg *cfg);
void aq_preparer_start(aq_preparer *p);
void aq_preparer_again(aq_preparer *p); /* a beacon node may have forgotten them */
void aq_preparer_free(aq_preparer *p);  /* before the beacon node client */

#endif
