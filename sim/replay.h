/* sim/replay.h - consensus instances of a real run once more: what the nodes of a cluster recorded in their stores
   (aequa.db) is fed to fresh machines, message by message, and must lead to what the nodes decided; each COMMIT that a
   node decided by must be on record where it came from. Reads only. */
#ifndef AQ_SIM_REPLAY_H
#define AQ_SIM_REPLAY_H

/* The command line: aequa-sim replay [--nodes N] [--verbose] STORE... Exit status. */
int aq_replay_main(int argc, char **argv);

#endif
