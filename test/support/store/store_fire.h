/* test/support/store/store_fire.h - the SQLite store against a reference (store_world.h) on a disk that fails
   (fault_disk.h), on a seed. One run makes random calls over the port, injects faults, cuts the power, opens again and
   compares. Checked: what was answered AQ_OK is there; what was refused, failed or never asked for is not (a batch that
   failed last may come back whole after a crash, when the disk failed in its last step); answers are those of the
   reference; damage leads to the backup, then to refusal, and each says so; the time of abstention covers what is lost;
   nothing fails without a fault. A disk that lies about syncs may lose anything; then nothing may be invented. */
#ifndef AQ_TEST_STORE_FIRE_H
#define AQ_TEST_STORE_FIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
  uint64_t batches, calls, failed_batches, opens, cuts, restored, refused, lies, load_failures, came_back;
  uint64_t digest; /* of everything that was observed: equal on every run */
  char why[320];   /* empty: nothing wrong */
} store_fire_result;

/* trace: NULL or where one line an event goes. */
bool store_fire_run(uint64_t seed, FILE *trace, store_fire_result *out);

#endif
