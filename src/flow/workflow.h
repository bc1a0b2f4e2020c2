/* flow/workflow.h - the duty path on one page: scheduler -> fetcher -> consensus -> dutydb -> (validator API) ->
   parsigdb -> parsigex -> tss -> aggsigdb -> broadcaster, and the tracker that writes one verdict a duty. Spec:
   core.md 2, architecture.md 7. Production and simulator both use this wiring. */
#ifndef AQ_FLOW_WORKFLOW_H
#define AQ_FLOW_WORKFLOW_H

#include "cluster/lock.h"
#include "consensus/consensus.h"
#include "flow/broadcaster.h"
#include "flow/fetcher.h"
#include "ledger/dutydb.h"
#include "schedule/scheduler.h"
#include "tss/tss.h"

typedef struct {
  const aq_env *env;
  const aq_net *net;
  const aq_store *store;
  aq_bn *bn;
  const aq_chain *chain;
  const aq_lock *lock;
  const aq_k1_key *key;
  uint32_t self; /* operator index */
  uint64_t started_ns;
  bool enable_tss;
  uint32_t tss_sessions_max;
  bool tss_strict;
  const char *graffiti;
  bool builder_api;
  const char *const *peer_names; /* by operator index, for logs and metrics */
  void *arg;
  void (*live_double)(void *arg, const char *why); /* aq_consensus_cfg; NULL: only abstain */
  void (*head)(void *arg, uint64_t slot);          /* a beacon node announced it; or NULL */
  /* Our own beacon node's block pays somebody else: it was restarted, perhaps, and must be told the fee recipients
     again, then aq_workflow_prepared. Once a duty; or NULL. */
  void (*forgot)(void *arg);
} aq_workflow_cfg;

typedef struct aq_workflow aq_workflow;
aq_workflow *aq_workflow_new(const aq_workflow_cfg *cfg); /* NULL: a public key of the lock is no point of the curve */
void aq_workflow_free(aq_workflow *w);
AQ_NODISCARD aq_status aq_workflow_start(aq_workflow *w, aq_err *err); /* recovers, then starts the scheduler */

/* A connection to a peer was made: it gets the partial signatures of living duties again. */
void aq_workflow_peer_up(aq_workflow *w, uint32_t peer);
void aq_workflow_chain_heard(aq_workflow *w); /* as aq_consensus_chain_heard */
/* The beacon nodes know the fee recipients: a block that was refused for want of them is fetched once more. */
void aq_workflow_prepared(aq_workflow *w);
/* As aq_consensus_clock, for votes and signatures. */
uint64_t aq_workflow_clock(aq_workflow *w, uint64_t raise_ns, uint64_t limit_ns);

aq_scheduler *aq_workflow_scheduler(aq_workflow *w);
aq_dutydb *aq_workflow_dutydb(aq_workflow *w);
bool aq_workflow_combines(const aq_workflow *w); /* enable_tss: signatures of the cluster come to be here */

/* The validator client's partial signatures of one duty. Each is verified under this node's share, checked against
   what was agreed, recorded in the store, kept, then sent to the peers; then done is called (never from inside), with a
   status an item: AQ_OK, AQ_E_AUTH (signature), AQ_E_SLASH (journal), AQ_E_EXISTS (another payload of the same share),
   AQ_E_STALE (deadline, or a duty from before this node's records begin), AQ_E_FORMAT (contradicts the agreed object);
   and with a static text that says which rule and what can be done, NULL where the status says it.
   Good items go through although others fail. Copied. */
typedef struct {
  uint32_t validator;  /* index in the lock */
  aq_signed_data data; /* partial signature in data.sig and in the value */
} aq_partial;
typedef void (*aq_submit_done)(void *arg, const aq_status *item, const char *const *why, uint32_t cnt);
void aq_workflow_submit(aq_workflow *w, aq_duty duty, const aq_partial *p, uint32_t cnt, aq_submit_done done,
                        void *arg);

#endif
