/* node/core.h - the node behind its ports: beacon node client, validator API and, once the chain's parameters are
   known, the duty workflow with its housekeeping. Production (node.c) and the simulator build the same. Does not own
   sockets, files or processes, nor who is connected to whom. Order of the end: stop, then the ports end what is under
   way with their callbacks, then free. Spec: core.md 2, contract.md 7.1. */
#ifndef AQ_NODE_CORE_H
#define AQ_NODE_CORE_H

#include "api/vapi.h"
#include "flow/workflow.h"
#include "schedule/clock_watch.h"
#include "schedule/preparer.h"

/* All borrowed until free. */
typedef struct {
  const aq_env *env;
  const aq_net *net;
  const aq_store *store;
  const aq_httpc *http; /* NULL: no beacon node (contract.md 17) */
  const char *const *endpoints, *const *fallbacks;
  size_t endpoint_cnt, fallback_cnt;
  aq_http_headers headers;
  uint64_t beacon_timeout_ns, beacon_submit_timeout_ns;
  const aq_lock *lock;
  const aq_network *network; /* custom network of the lock, NULL: a built-in one */
  const aq_k1_key *key;
  uint32_t self;
  uint64_t started_ns;
  bool enable_tss, tss_strict, builder_api;
  uint32_t tss_sessions_max;
  const char *graffiti, *version;
  const char *const *peer_names;
  void *arg;
  void (*ready)(void *arg, uint64_t took_ns); /* duties are under way */
  void (*failed)(void *arg, const char *why); /* cannot start: a line for the operator */
  void (*unsafe)(void *arg, const char *why); /* must not go on, nor start again unseen (contract.md 13.6); or NULL */
} aq_core_cfg;

typedef struct {
  aq_core_cfg cfg;
  aq_bn *bn; /* NULL: none */
  aq_vapi *vapi;
  aq_chain chain; /* all modules read it here; the beacon node client keeps its forks to come up to date */
  bool chain_known;
  aq_workflow *workflow; /* NULL until the chain is known */
  aq_preparer *preparer;
  /* core_clock.c */
  aq_timer clock_timer;
  aq_clock_look look;
  aq_clock_watch watch;
  bool head_known, prune_due;
  uint64_t head_slot;     /* of the last head: the chain has come at least this far */
  uint64_t epoch_kept;    /* whose housekeeping was done */
  int64_t steps_ns;       /* all steps of the clock since the start */
  int64_t behind_ns;      /* by how much it was behind then, as far as steps and heads have told */
  uint64_t set_mono_ns;   /* of the last step; 0: none */
  uint64_t held_until_ns; /* duties that began up to then are not voted or signed for; 0: none */
} aq_core;

void aq_core_init(aq_core *c, const aq_core_cfg *cfg);
void aq_core_start(aq_core *c); /* asks the beacon node for its chain; ready or failed follows */
void aq_core_stop(aq_core *c);  /* no timer of its own fires any more; the validator API says so */
void aq_core_end_duties(aq_core *c);
void aq_core_peer_up(aq_core *c, uint32_t peer); /* a connection to it was made; at any time */
void aq_core_free(aq_core *c);                   /* after end_duties; harmless on a zeroed one */

/* What health wants to know of the clock. */
typedef struct {
  bool off;       /* over a slot apart from the heads of the beacon nodes */
  bool set;       /* it was set, or the machine slept, in the last ten minutes */
  bool held_back; /* duties of now are not voted or signed for */
} aq_core_clock;
void aq_core_clock_get(const aq_core *c, aq_core_clock *out);

/* core_clock.c, for core.c. look: was the clock set? start: with the workflow, until the stop. */
void aq_core_clock_look(aq_core *c);
void aq_core_clock_start(aq_core *c);
void aq_core_head(void *core, uint64_t slot);

/* The network of the lock: the custom one when its version fits, else a built-in one, NULL when unknown. */
const aq_network *aq_core_network(const aq_lock *lock, const aq_network *custom);

#endif
