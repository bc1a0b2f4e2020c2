/* aequa-sim: deterministic simulations. aequa-sim qbft --seeds N. */
#include <stdio.h>
#include <string.h>

#include "qbft_sim.h"

int main(int argc, char **argv) {
  if (argc >= 2 && strcmp(argv[1], "qbft") == 0) return aq_qbft_sim_main(argc - 1, argv + 1);
  fprintf(stderr, "usage: aequa-sim qbft [--seeds N] [--start S] [--seed S] [--trace] [--json]\n");
  return 2;
}
