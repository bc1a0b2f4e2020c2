/* aequa-sim-store: the SQLite store on a disk that fails, on seeds (test/support/store/store_fire.h).
   aequa-sim-store [--seeds N] [--from S] [--seed S [--trace]] | writer PATH ACKED SENT (store_writer.h) */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fault_disk.h"
#include "sim/cli.h"
#include "sim/store/writer.h"
#include "store_fire.h"

enum { SEED_SECONDS_MAX = 120 };

typedef struct {
  uint64_t seeds, from;
  bool trace;
} options;

static bool parse(options *o, int argc, char **argv) {
  *o = (options){.seeds = 1000};
  for (int i = 1; i < argc; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--trace") == 0) {
      o->trace = true;
    } else if (strcmp(argv[i], "--seeds") == 0 && cli_number(&o->seeds, next)) {
      i++;
    } else if (strcmp(argv[i], "--from") == 0 && cli_number(&o->from, next)) {
      i++;
    } else if (strcmp(argv[i], "--seed") == 0 && cli_number(&o->from, next)) {
      o->seeds = 1;
      i++;
    } else {
      fprintf(stderr, "usage: aequa-sim-store [--seeds N] [--from S] [--seed S [--trace]]\n");
      return false;
    }
  }
  return true;
}

static void add(store_fire_result *sum, const store_fire_result *r) {
  sum->batches += r->batches, sum->calls += r->calls, sum->failed_batches += r->failed_batches;
  sum->opens += r->opens, sum->cuts += r->cuts, sum->restored += r->restored, sum->refused += r->refused;
  sum->lies += r->lies, sum->load_failures += r->load_failures, sum->came_back += r->came_back;
  sum->digest = sum->digest * 31 + r->digest;
}

static void report(const options *o, const store_fire_result *t, uint64_t failed, uint64_t first, double took) {
  const fault_stats *s = fault_disk_stats();
  printf("%" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " violations, digest %016" PRIx64 ", %.1f s\n", o->seeds,
         o->from, failed, t->digest, took);
  printf("%" PRIu64 " commits of %" PRIu64 " calls, %" PRIu64 " failed (%" PRIu64 " came back after a crash), %" PRIu64
         " recoveries, %" PRIu64 " power cuts, %" PRIu64 " from the backup, %" PRIu64 " refusals, %" PRIu64
         " after a lying disk, %" PRIu64 " loads failed\n",
         t->batches, t->calls, t->failed_batches, t->came_back, t->opens, t->cuts, t->restored, t->refused, t->lies,
         t->load_failures);
  printf("faults of %" PRIu64 " disk calls:", s->calls);
  for (size_t i = 0; i < FAULT_KINDS; i++) printf(" %s %" PRIu64, fault_kind_name[i], s->injected[i]);
  printf("\n");
  if (failed) printf("run one alone: aequa-sim-store --seed %" PRIu64 " --trace\n", first);
}

int main(int argc, char **argv) {
  options o;
  store_fire_result sum = {0};
  uint64_t failed = 0, first = 0;
  if (argc > 1 && strcmp(argv[1], "writer") == 0) return store_writer_main(argc - 1, argv + 1);
  if (!parse(&o, argc, argv)) return 2;
  double start = cli_seconds(CLOCK_MONOTONIC);
  for (uint64_t i = 0; i < o.seeds; i++) {
    store_fire_result r;
    alarm(SEED_SECONDS_MAX); /* a hang is a failure: the signal ends the program */
    if (!store_fire_run(o.from + i, o.trace ? stdout : NULL, &r)) {
      fprintf(stderr, "seed %" PRIu64 ": %s\n", o.from + i, r.why);
      if (failed++ == 0) first = o.from + i;
    }
    add(&sum, &r);
  }
  report(&o, &sum, failed, first, cli_seconds(CLOCK_MONOTONIC) - start);
  return failed ? 1 : 0;
}
