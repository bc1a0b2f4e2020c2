/* aequa-sim: deterministic simulations. */
#include <stdio.h>
#include <string.h>

#include "sim/cluster/cluster.h"
#include "sim/qbft/sim.h"
#include "sim/replay.h"

int main(int argc, char **argv) {
  if (argc >= 2 && strcmp(argv[1], "qbft") == 0) return aq_qbft_sim_main(argc - 1, argv + 1);
  if (argc >= 2 && strcmp(argv[1], "cluster") == 0) return aq_sim_cluster_main(argc - 1, argv + 1);
  if (argc >= 2 && strcmp(argv[1], "replay") == 0) return aq_replay_main(argc - 1, argv + 1);
  FILE *out = argc >= 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr;
  fputs(
      "usage: aequa-sim cluster [--help]   whole nodes: wiring, duties, disks, beacon nodes, clients\n"
      "       aequa-sim replay [--help]    recorded consensus instances of real nodes once more\n"
      "       aequa-sim qbft [--help]      consensus alone\n",
      out);
  return out == stdout ? 0 : 2;
}
