/* node/ready.h - is the node ready for its duties, and if not, why: core.md 13.1 and what was added to it. Pure. */
#ifndef AQ_NODE_READY_H
#define AQ_NODE_READY_H

#include "beacon/bn.h"

/* Values of app_monitoring_readyz; never renumbered. */
enum {
  AQ_READY = 1,
  AQ_READY_BN_DOWN = 2,
  AQ_READY_BN_SYNCING = 3,
  AQ_READY_NO_QUORUM = 4,
  AQ_READY_NO_VC = 5,
  AQ_READY_BN_NO_PEERS = 7,
  AQ_READY_BN_FAR_BEHIND = 8,
  AQ_READY_BN_FORK = 9,   /* beacon node of another chain or fork */
  AQ_READY_BN_UNFIT = 10, /* its answers cannot be believed */
  AQ_READY_STORE = 11,    /* the store cannot be written */
  AQ_READY_CLOCK = 12,    /* the clock and the beacon node's heads are apart */
  AQ_READY_HELD_BACK = 13 /* no votes and signatures for the duties of now: an older store, a clock that was ahead */
};

/* Free space on the store's disk: below the first the next commit fails, below the second a health check does. */
#define AQ_DISK_FULL_BYTES (UINT64_C(1) << 20)
#define AQ_DISK_LOW_BYTES (UINT64_C(256) << 20)

typedef struct {
  bool chain_known;
  aq_bn_health bn;
  bool clock_off, held_back; /* node/core.h */
  bool quorum, vc_seen, enable_tss;
  bool store_failing;
  uint64_t disk_free; /* UINT64_MAX: not known */
} aq_ready_in;

typedef struct {
  int state;
  char text[AQ_BN_WHY_MAX + 40];
  bool healthy; /* what /health says: false when the process itself cannot do its work (contract.md 4.1) */
} aq_ready;

void aq_ready_judge(aq_ready *out, const aq_ready_in *in);

/* Do commits fail? From counters of the store, each time they are looked at; zeroed at the start. */
typedef struct {
  double errors;
  uint64_t commits;
  bool failing; /* since a failed commit, until one is made after it */
} aq_ready_store;
void aq_ready_store_see(aq_ready_store *s, double errors, uint64_t commits);

#endif
