/* lab/testnet.h - a whole test network as processes: cluster, simulated chain, nodes, validator clients; kills and
   restarts on a plan; a live table; a report. Spec: architecture.md 6. */
#ifndef AQ_LAB_TESTNET_H
#define AQ_LAB_TESTNET_H

#include "base/bytes.h"

enum { AQ_TESTNET_NODES_MAX = 31, AQ_TESTNET_PLAN_MAX = 64 };

typedef struct {
  uint32_t node;
  uint64_t slot;
  bool restart, done; /* else kill, with SIGKILL */
} aq_testnet_step;

/* Strings are borrowed for the whole run. */
typedef struct {
  uint32_t nodes, validators;
  uint64_t slot_ns, slots, slots_per_epoch; /* slots 0: until a signal */
  uint64_t chaos_slots;      /* every so many slots a random node is killed and started again a slot later; 0: off */
  uint64_t seed;             /* of the chaos */
  uint64_t start_timeout_ns; /* every process is up by then, or the network ends */
  bool tss[AQ_TESTNET_NODES_MAX];
  const char *binary[AQ_TESTNET_NODES_MAX]; /* NULL: this program */
  const char *validator_binary, *beacon_url, *cluster_dir, *work_dir, *report_path, *fork, *log_level; /* NULL or "" */
  uint16_t base_port; /* validator APIs at base + i, monitoring at base + 20 + i; 0: free ports */
  bool keep;          /* leave the work directory behind */
  aq_testnet_step plan[AQ_TESTNET_PLAN_MAX];
  uint32_t plan_cnt;
} aq_testnet_cfg;

/* Exit status: 0 every duty done, 1 some failed or nothing could start, 3 slashable messages were seen. */
int aq_testnet_run(aq_testnet_cfg *cfg); /* the plan's steps are ticked off */

#endif
