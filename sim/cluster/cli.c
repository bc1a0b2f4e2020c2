/* The command line of the whole-cluster simulator: many seeds, one seed, shrinking, the seeds that once failed. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "sim/cli.h"
#include "sim/cluster/cluster.h"

typedef struct {
  uint64_t seeds, seconds, step;
  bool one, json, script, shrink;
  const char *file;
  aq_sim_opts run;
} options;

typedef struct {
  uint64_t runs, failed, first_failed, slots, steps, messages, requests, duties, done, blinded, must, liars, hash;
  uint64_t exits_asked, exits_must, exits_seen;
  uint64_t injected[AQ_SIM_KINDS_MAX], scheduled[AQ_SIM_KINDS_MAX], tricks[AQ_SIM_TRICKS_MAX];
  char why[400];
} totals;

static void usage(FILE *out) {
  fprintf(out,
          "usage: aequa-sim cluster [OPTIONS]\n\n"
          "  --seeds N      that many seeds (default 200)\n"
          "  --start S      from this seed on (default 0)\n"
          "  --step K       every K-th seed: shares the seeds among processes (default 1)\n"
          "  --seconds T    until T seconds have passed, instead of --seeds\n"
          "  --seed S       one seed alone\n"
          "  --trace        one line an event (with --seed)\n"
          "  --logs         the nodes' own log lines too\n"
          "  --until STEP   stop there\n"
          "  --nodes N      that many operators (3 to 16) instead of what each seed picks\n"
          "  --keep MASK    only these faults of the script (hex, as --shrink prints it)\n"
          "  --script       print the fault script of the seed and stop\n"
          "  --shrink       find a small part of the script that still breaks the promise\n"
          "  --file F       the seeds of a file: lines \"seed mask  # what it found\"\n"
          "  --calm         no faults: for measuring\n"
          "  --wire         real bytes through Noise and yamux, over simulated sockets\n"
          "  --json         totals as JSON\n\n"
          "Exit status: 0 all promises held, 1 one was broken, 2 wrong usage.\n");
}

static bool mask(uint64_t *out, const char *text) {
  char *end = NULL;
  if (!text) return false;
  *out = strtoull(text, &end, 16);
  return *text && !*end;
}

static bool nodes(uint32_t *out, const char *text) {
  uint64_t n;
  if (!cli_number(&n, text) || n < AQ_SIM_NODES_MIN || n > AQ_SIM_NODES_MAX) return false;
  *out = (uint32_t)n;
  return true;
}

static bool flag(options *o, const char *arg) {
  if (strcmp(arg, "--trace") == 0) return o->run.trace = true;
  if (strcmp(arg, "--logs") == 0) return o->run.trace = o->run.logs = true;
  if (strcmp(arg, "--script") == 0) return o->script = true;
  if (strcmp(arg, "--shrink") == 0) return o->shrink = true;
  if (strcmp(arg, "--calm") == 0) return o->run.calm = true;
  if (strcmp(arg, "--wire") == 0) return o->run.wire = true;
  if (strcmp(arg, "--json") == 0) return o->json = true;
  return false;
}

static bool value(options *o, const char *arg, const char *next) {
  if (strcmp(arg, "--seeds") == 0) return cli_number(&o->seeds, next);
  if (strcmp(arg, "--start") == 0) return cli_number(&o->run.seed, next);
  if (strcmp(arg, "--step") == 0) return cli_number(&o->step, next) && o->step > 0;
  if (strcmp(arg, "--seconds") == 0) return cli_number(&o->seconds, next);
  if (strcmp(arg, "--seed") == 0) return o->one = cli_number(&o->run.seed, next);
  if (strcmp(arg, "--until") == 0) return cli_number(&o->run.until, next);
  if (strcmp(arg, "--nodes") == 0) return nodes(&o->run.nodes, next);
  if (strcmp(arg, "--keep") == 0) return mask(&o->run.keep, next);
  if (strcmp(arg, "--file") == 0) return (o->file = next) != NULL;
  return false;
}

static bool parse(options *o, int argc, char **argv) {
  *o = (options){.seeds = 200, .step = 1, .run = {.keep = UINT64_MAX}};
  for (int i = 1; i < argc; i++) {
    if (flag(o, argv[i])) continue;
    if (i + 1 < argc && value(o, argv[i], argv[i + 1])) {
      i++;
      continue;
    }
    fprintf(stderr, "aequa-sim cluster: %s: unknown option, or what follows it is wrong\n", argv[i]);
    return false;
  }
  if (o->one) o->seeds = 1;
  return true;
}

static void count(totals *t, uint64_t seed, const aq_sim_result *r) {
  t->runs++;
  t->slots += r->slots, t->steps += r->steps, t->messages += r->messages, t->requests += r->requests;
  t->duties += r->duties, t->done += r->done, t->must += r->must, t->liars += r->liars > 0;
  t->blinded += r->blinded;
  t->exits_asked += r->exits_asked, t->exits_must += r->exits_must, t->exits_seen += r->exits_seen;
  t->hash = t->hash * UINT64_C(0x9e3779b97f4a7c15) + r->hash;
  for (size_t k = 0; k < AQ_SIM_KINDS_MAX; k++) t->injected[k] += r->injected[k], t->scheduled[k] += r->scheduled[k];
  for (size_t k = 0; k < AQ_SIM_TRICKS_MAX; k++) t->tricks[k] += r->tricks[k];
  if (!r->why[0]) return;
  if (t->failed++ == 0) {
    t->first_failed = seed;
    snprintf(t->why, sizeof t->why, "%s", r->why);
  }
  fprintf(stderr, "seed %" PRIu64 ": %u nodes, %u liars, %u faults: %s\n", seed, r->nodes, r->liars, r->faults, r->why);
}

static void print_json(const totals *t, double took) {
  printf("{\"seeds\":%" PRIu64 ",\"violations\":%" PRIu64 ",\"first_failed_seed\":%" PRId64 ",\"slots\":%" PRIu64
         ",\"steps\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"duties\":%" PRIu64
         ",\"done\":%" PRIu64 ",\"blinded\":%" PRIu64 ",\"slots_with_f_faulty\":%" PRIu64
         ",\"runs_with_liars\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\",\"faults\":{",
         t->runs, t->failed, t->failed ? (int64_t)t->first_failed : -1, t->slots, t->steps, t->messages, t->requests,
         t->duties, t->done, t->blinded, t->must, t->liars, t->hash);
  for (uint32_t k = 0; aq_sim_kind_name(k); k++)
    printf("%s\"%s\":[%" PRIu64 ",%" PRIu64 "]", k ? "," : "", aq_sim_kind_name(k), t->scheduled[k], t->injected[k]);
  printf("},\"lies\":{");
  for (uint32_t k = 0; aq_sim_trick_name(k); k++)
    printf("%s\"%s\":%" PRIu64, k ? "," : "", aq_sim_trick_name(k), t->tricks[k]);
  printf("},\"runs_with_exits\":%" PRIu64 ",\"exits_due\":%" PRIu64 ",\"exits_done\":%" PRIu64, t->exits_asked,
         t->exits_must, t->exits_seen);
  printf(",\"seconds\":%.2f,\"slots_per_core_second\":%.0f}\n", took,
         (double)t->slots / cli_seconds(CLOCK_PROCESS_CPUTIME_ID));
}

static void print_totals(const totals *t, double took) {
  printf("%" PRIu64 " seeds: %" PRIu64 " violations; %" PRIu64 " slots (%.0f a second of one core), %" PRIu64
         " of %" PRIu64 " duties done, all in the %" PRIu64 " slots with at most f operators in trouble\n",
         t->runs, t->failed, t->slots, (double)t->slots / cli_seconds(CLOCK_PROCESS_CPUTIME_ID), t->done, t->duties,
         t->must);
  printf("  %" PRIu64 " steps, %" PRIu64 " messages, %" PRIu64 " requests, %" PRIu64
         " blinded blocks, %.1f s; trace hash %016" PRIx64 "\n",
         t->steps, t->messages, t->requests, t->blinded, took, t->hash);
  uint32_t kinds = 0, seen = 0;
  for (uint32_t k = 0; aq_sim_kind_name(k); k++) {
    kinds++;
    seen += t->injected[k] > 0;
    if (t->scheduled[k])
      printf("  %-18s %8" PRIu64 " scheduled %10" PRIu64 " effects\n", aq_sim_kind_name(k), t->scheduled[k],
             t->injected[k]);
  }
  printf("  %u of %u kinds of faults had an effect\n  lies about values:", seen, kinds);
  for (uint32_t k = 0; aq_sim_trick_name(k); k++) printf(" %s %" PRIu64, aq_sim_trick_name(k), t->tricks[k]);
  printf("\n  operators left in %" PRIu64 " runs: the chain got %" PRIu64 " exits, and had to get %" PRIu64 "\n",
         t->exits_asked, t->exits_seen, t->exits_must);
  if (t->failed)
    printf("first: seed %" PRIu64 ": %s\nlook at it: aequa-sim cluster --seed %" PRIu64
           " --shrink, then --keep MASK --trace (with --nodes, if it was given)\n",
           t->first_failed, t->why, t->first_failed);
}

/* Leaves out one fault after the other while the promise stays broken. */
static int shrink(const options *o) {
  aq_sim_result r;
  aq_sim_opts run = o->run;
  run.trace = run.logs = false;
  uint32_t cnt = aq_sim_cluster_script(&run, false);
  if (aq_sim_cluster_run(&run, &r)) {
    printf("seed %" PRIu64 " breaks nothing\n", run.seed);
    return 0;
  }
  char why[400];
  snprintf(why, sizeof why, "%s", r.why);
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (uint32_t i = 0; i < cnt; i++) {
      aq_sim_opts less = run;
      less.keep &= ~(UINT64_C(1) << i);
      if (less.keep == run.keep || aq_sim_cluster_run(&less, &r)) continue;
      run = less;
      snprintf(why, sizeof why, "%s", r.why);
      smaller = true;
    }
  }
  run.keep &= (UINT64_C(1) << cnt) - 1;
  printf("%" PRIu64 " %" PRIx64 "  # %s\n", run.seed, run.keep, why);
  aq_sim_cluster_script(&run, true);
  return 1;
}

static int run_file(const options *o, totals *t) {
  FILE *f = fopen(o->file, "r");
  char line[512];
  if (!f) {
    fprintf(stderr, "aequa-sim cluster: %s cannot be read\n", o->file);
    return 2;
  }
  while (fgets(line, sizeof line, f)) {
    aq_sim_opts run = o->run;
    aq_sim_result r;
    char *end;
    run.seed = strtoull(line, &end, 10);
    if (line[0] == '#' || end == line) continue;
    run.keep = strtoull(end, NULL, 16);
    (void)aq_sim_cluster_run(&run, &r);
    count(t, run.seed, &r);
  }
  fclose(f);
  return t->failed ? 1 : 0;
}

int aq_sim_cluster_main(int argc, char **argv) {
  options o;
  totals t = {0};
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    usage(stdout);
    return 0;
  }
  if (!parse(&o, argc, argv)) {
    usage(stderr);
    return 2;
  }
  if (o.script) {
    aq_sim_cluster_script(&o.run, true);
    return 0;
  }
  aq_metrics_init();
  mallopt(M_MMAP_THRESHOLD, 64 << 20); /* memory is used again for the next seed, not mapped anew */
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  if (o.shrink) return shrink(&o);
  double start = cli_seconds(CLOCK_MONOTONIC);
  int code = 0;
  if (o.file) {
    code = run_file(&o, &t);
  } else {
    aq_sim_opts run = o.run;
    for (uint64_t i = 0; o.seconds ? cli_seconds(CLOCK_MONOTONIC) - start < (double)o.seconds : i < o.seeds; i++) {
      aq_sim_result r;
      run.seed = o.run.seed + i * o.step;
      (void)aq_sim_cluster_run(&run, &r);
      count(&t, run.seed, &r);
    }
    code = t.failed ? 1 : 0;
  }
  if (o.json)
    print_json(&t, cli_seconds(CLOCK_MONOTONIC) - start);
  else
    print_totals(&t, cli_seconds(CLOCK_MONOTONIC) - start);
  return code;
}
