/* sim/qbft/sim.h - QBFT under random faults: n pure machines in virtual time with a model of the journal, links that
   lose, delay, reorder, double and part, crashes with restart on the journal, and up to f nodes that lie. After some
   seconds the network heals and everybody must decide. One seed is one run, and the whole of it. Checks: consensus.md
   I1 to I10. */
#ifndef AQ_SIM_QBFT_SIM_H
#define AQ_SIM_QBFT_SIM_H

#include <stdbool.h>
#include <stdint.h>

enum { AQ_QBFT_SIM_NODES_MAX = 16 };

typedef struct {
  uint32_t nodes, liars, crashes;
  uint64_t events, messages, unjust;
  int64_t round;          /* of the decision; highest over nodes */
  uint64_t after_heal_ms; /* last decision after the network healed; 0: before */
  char why[240];          /* violated invariant; empty: none */
} aq_qbft_sim_result;

/* false: an invariant was violated. nodes: 1 to 16; 0: as the seed picks. trace: every event on stdout. */
bool aq_qbft_sim_run(uint64_t seed, uint32_t nodes, bool trace, aq_qbft_sim_result *out);

/* The command line: aequa-sim qbft --seeds N [--start S] [--seed S] [--nodes N] [--trace] [--json]. Exit status. */
int aq_qbft_sim_main(int argc, char **argv);

#endif
