/* sim/cluster/cluster.h - the whole-cluster simulator: run one seed, read its verdict. What is simulated:
   sim/cluster/world.h. Same seed and options, same run to the byte, whatever the compiler. */
#ifndef AQ_SIM_CLUSTER_CLUSTER_H
#define AQ_SIM_CLUSTER_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

enum { AQ_SIM_KINDS_MAX = 64, AQ_SIM_TRICKS_MAX = 16, AQ_SIM_NODES_MIN = 3, AQ_SIM_NODES_MAX = 16 };

typedef struct {
  uint64_t seed;
  uint64_t keep;  /* mask of the faults that stay (shrinking, sim/seeds); UINT64_MAX: all */
  uint64_t until; /* stop after this many steps; 0: at the end */
  uint32_t nodes; /* so many operators; 0: as the seed picks */
  bool calm;      /* no faults at all: for measuring */
  bool wire;      /* real bytes through Noise and yamux over simulated sockets, instead of whole messages */
  bool trace;     /* one line an event on stdout */
  bool logs;      /* and the nodes' own log lines */
} aq_sim_opts;

typedef struct {
  uint32_t nodes, liars, faults;
  uint64_t slots, steps, messages, requests, duties, done;
  uint64_t blinded; /* slots with a signed block of the builder */
  uint64_t must;    /* slots in which at most f operators were in trouble, so that all duties had to be done */
  uint64_t exits_asked, exits_must, exits_seen; /* 1: operators left; the chain had to get it; it did */
  uint64_t hash;                                /* of everything that happened */
  uint64_t injected[AQ_SIM_KINDS_MAX];          /* faults that had an effect, by kind */
  uint64_t scheduled[AQ_SIM_KINDS_MAX];
  uint64_t tricks[AQ_SIM_TRICKS_MAX]; /* lies about values that were told, by kind */
  char why[400];                      /* broken promise; empty: none */
} aq_sim_result;

/* false: a promise was broken. */
bool aq_sim_cluster_run(const aq_sim_opts *opts, aq_sim_result *out);
const char *aq_sim_kind_name(uint32_t kind);   /* NULL: no such kind */
const char *aq_sim_trick_name(uint32_t trick); /* the same */

/* The fault script of a seed, one line a fault; returns their number. */
uint32_t aq_sim_cluster_script(const aq_sim_opts *opts, bool print);

int aq_sim_cluster_main(int argc, char **argv);

#endif
