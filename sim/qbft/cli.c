/* `aequa-sim qbft`: seeds from a start on, counts of what they met, one line or JSON. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/qbft/sim.h"

enum { ROUNDS_SHOWN = 16 };

typedef struct {
  uint64_t seeds, start, nodes;
  bool one, trace, json, help;
} options;

typedef struct {
  uint64_t runs, events, messages, crashes, unjust, with_liars, slowest_ms;
  uint64_t by_round[ROUNDS_SHOWN + 1]; /* last: later, or not decided */
  uint64_t failed, first_failed;
  char why[240];
} totals;

static void usage(FILE *out) {
  fputs(
      "usage: aequa-sim qbft [OPTIONS]     the consensus machine alone, against liars, losses and crashes\n\n"
      "  --seeds N  that many seeds (default 2000)\n"
      "  --start S  from this seed on (default 0)\n"
      "  --seed S   one seed alone\n"
      "  --nodes N  that many operators instead of what each seed picks\n"
      "  --trace    one line an event (with --seed)\n"
      "  --json     totals as JSON\n\n"
      "Exit status: 0 all promises held, 1 one was broken, 2 wrong usage.\n",
      out);
}

static bool parse(options *o, int argc, char **argv) {
  *o = (options){.seeds = 2000};
  for (int i = 1; i < argc; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--help") == 0) {
      o->help = true;
    } else if (strcmp(argv[i], "--trace") == 0) {
      o->trace = true;
    } else if (strcmp(argv[i], "--json") == 0) {
      o->json = true;
    } else if (strcmp(argv[i], "--seeds") == 0 && cli_number(&o->seeds, next)) {
      i++;
    } else if (strcmp(argv[i], "--start") == 0 && cli_number(&o->start, next)) {
      i++;
    } else if (strcmp(argv[i], "--nodes") == 0 && cli_number(&o->nodes, next) && o->nodes > 0 &&
               o->nodes <= AQ_QBFT_SIM_NODES_MAX) {
      i++;
    } else if (strcmp(argv[i], "--seed") == 0 && cli_number(&o->start, next)) {
      o->one = true;
      i++;
    } else {
      fprintf(stderr, "aequa-sim qbft: %s: unknown option or no number after it\n", argv[i]);
      return false;
    }
  }
  if (o->one) o->seeds = 1;
  return true;
}

static void count(totals *t, uint64_t seed, const aq_qbft_sim_result *r) {
  t->runs++;
  t->events += r->events;
  t->messages += r->messages;
  t->crashes += r->crashes;
  t->unjust += r->unjust;
  t->with_liars += r->liars > 0;
  if (r->after_heal_ms > t->slowest_ms) t->slowest_ms = r->after_heal_ms;
  t->by_round[r->round >= 1 && r->round <= ROUNDS_SHOWN ? r->round - 1 : ROUNDS_SHOWN]++;
  if (!r->why[0]) return;
  if (t->failed++ == 0) {
    t->first_failed = seed;
    snprintf(t->why, sizeof t->why, "%s", r->why);
  }
  fprintf(stderr, "seed %" PRIu64 ": %u nodes, %u liars: %s\n", seed, r->nodes, r->liars, r->why);
}

static void print_json(const options *o, const totals *t, double took) {
  printf("{\"seeds\":%" PRIu64 ",\"start\":%" PRIu64 ",\"violations\":%" PRIu64, t->runs, o->start, t->failed);
  if (t->failed) printf(",\"first_failed_seed\":%" PRIu64 ",\"reason\":\"%s\"", t->first_failed, t->why);
  printf(",\"events\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"crashes\":%" PRIu64 ",\"unjust\":%" PRIu64, t->events,
         t->messages, t->crashes, t->unjust);
  printf(",\"runs_with_liars\":%" PRIu64 ",\"slowest_after_heal_ms\":%" PRIu64 ",\"decided_in_round\":[", t->with_liars,
         t->slowest_ms);
  for (size_t i = 0; i <= ROUNDS_SHOWN; i++) printf("%s%" PRIu64, i ? "," : "", t->by_round[i]);
  printf("],\"seconds\":%.2f}\n", took);
}

int aq_qbft_sim_main(int argc, char **argv) {
  options o;
  totals t = {0};
  if (!parse(&o, argc, argv)) {
    usage(stderr);
    return 2;
  }
  if (o.help) {
    usage(stdout);
    return 0;
  }
  double start = cli_seconds(CLOCK_MONOTONIC);
  mallopt(M_MMAP_THRESHOLD, 64 << 20); /* the machines' memory is used again for the next seed, not mapped anew */
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  for (uint64_t i = 0; i < o.seeds; i++) {
    aq_qbft_sim_result r;
    (void)aq_qbft_sim_run(o.start + i, (uint32_t)o.nodes, o.trace, &r);
    count(&t, o.start + i, &r);
  }
  if (o.json) {
    print_json(&o, &t, cli_seconds(CLOCK_MONOTONIC) - start);
  } else {
    printf("%" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " violations, %" PRIu64 " events, %" PRIu64
           " messages, %" PRIu64 " crashes, %.1f s\n",
           t.runs, o.start, t.failed, t.events, t.messages, t.crashes, cli_seconds(CLOCK_MONOTONIC) - start);
    if (t.failed) printf("run one alone: aequa-sim qbft --seed %" PRIu64 " --trace\n", t.first_failed);
  }
  return t.failed ? 1 : 0;
}
