/* aequa-bench [--json FILE] [--quick] [PART...]: measures the parts named, or all. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "bench.h"
#include "crypto/aead.h"

#define PARTS(X) \
  X(bls)         \
  X(hash)        \
  X(p2p)         \
  X(ssz)

#define X(name) void aq_bench_##name(aq_bench *b);
PARTS(X)
#undef X

static const struct {
  const char *name;
  aq_bench_fn fn;
} part[] = {
#define X(name) {#name, aq_bench_##name},
    PARTS(X)
#undef X
};

enum { ROWS_MAX = 256, REPEATS = 21, REPEATS_QUICK = 5, NAME_LEN = 64 };
static const uint64_t repeat_ns = 20000000;

typedef struct {
  char name[NAME_LEN], unit[16];
  uint64_t ops;
  double p50, p95, mb_s;
} row;

struct aq_bench {
  row rows[ROWS_MAX], values[ROWS_MAX];
  size_t row_cnt, value_cnt;
  unsigned repeats;
};

/* Processor time of this thread: other work on the machine disturbs it least. */
static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t time_ops(aq_bench_op op, void *arg, uint64_t ops) {
  uint64_t start = now_ns();
  for (uint64_t i = 0; i < ops; i++) op(arg);
  return now_ns() - start;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void aq_bench_run(aq_bench *b, const char *name, aq_bench_op op, void *arg, uint64_t bytes) {
  AQ_ASSERT(b->row_cnt < ROWS_MAX);
  row *r = &b->rows[b->row_cnt++];
  double per_op[REPEATS];
  uint64_t ops = 1;
  for (uint64_t spent; (spent = time_ops(op, arg, ops)) < repeat_ns / 2;) {
    ops = spent > repeat_ns / 100 ? ops * repeat_ns / spent + 1 : ops * 10;
  }
  for (unsigned i = 0; i < b->repeats; i++) per_op[i] = (double)time_ops(op, arg, ops) / (double)ops;
  qsort(per_op, b->repeats, sizeof *per_op, by_value);
  snprintf(r->name, sizeof r->name, "%s", name);
  r->ops = ops * b->repeats;
  r->p50 = per_op[b->repeats / 2];
  r->p95 = per_op[(b->repeats * 95 - 1) / 100];
  r->mb_s = (double)bytes * 1000 / r->p50;
  printf("%-36s %10llu  %12.0f ns/op  p50 %12.0f  p95 %12.0f", r->name, (unsigned long long)r->ops, r->p50, r->p50,
         r->p95);
  if (bytes) printf("  %8.0f MB/s", r->mb_s);
  printf("\n");
  fflush(stdout);
}

void aq_bench_value(aq_bench *b, const char *title, double value, const char *unit) {
  AQ_ASSERT(b->value_cnt < ROWS_MAX);
  row *r = &b->values[b->value_cnt++];
  snprintf(r->name, sizeof r->name, "%s", title);
  snprintf(r->unit, sizeof r->unit, "%s", unit);
  r->p50 = value;
  printf("%-60s %10.3f %s\n", r->name, value, r->unit);
}

static double median_of(const aq_bench *b, const char *name) {
  for (size_t i = 0; i < b->row_cnt; i++) {
    if (strcmp(b->rows[i].name, name) == 0) return b->rows[i].p50;
  }
  return 0;
}

void aq_bench_ratio(aq_bench *b, const char *title, const char *num, uint64_t cnt, const char *den) {
  double n = median_of(b, num), d = median_of(b, den);
  if (n > 0 && d > 0) aq_bench_value(b, title, n / ((double)cnt * d), "x");
}

static bool write_json(const aq_bench *b, const char *path) {
  FILE *f = fopen(path, "w");
  if (!f) return false;
  fprintf(f, "{\n \"rows\": {");
  for (size_t i = 0; i < b->row_cnt; i++) {
    const row *r = &b->rows[i];
    fprintf(f, "%s\n  \"%s\": {\"ops\": %llu, \"p50_ns\": %.1f, \"p95_ns\": %.1f, \"mb_s\": %.1f}", i ? "," : "",
            r->name, (unsigned long long)r->ops, r->p50, r->p95, r->mb_s);
  }
  fprintf(f, "\n },\n \"values\": {");
  for (size_t i = 0; i < b->value_cnt; i++) {
    const row *r = &b->values[i];
    fprintf(f, "%s\n  \"%s\": {\"value\": %.4f, \"unit\": \"%s\"}", i ? "," : "", r->name, r->p50, r->unit);
  }
  fprintf(f, "\n }\n}\n");
  return fclose(f) == 0;
}

int main(int argc, char **argv) {
  static aq_bench b = {.repeats = REPEATS};
  const char *json = NULL;
  bool wanted[sizeof part / sizeof *part] = {false}, all = true;
  for (int i = 1; i < argc; i++) {
    size_t k = 0;
    if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      json = argv[++i];
      continue;
    }
    if (strcmp(argv[i], "--quick") == 0) {
      b.repeats = REPEATS_QUICK;
      continue;
    }
    while (k < sizeof part / sizeof *part && strcmp(part[k].name, argv[i]) != 0) k++;
    if (k == sizeof part / sizeof *part) {
      fprintf(stderr, "usage: aequa-bench [--json FILE] [--quick] [PART...]\nparts:");
      for (k = 0; k < sizeof part / sizeof *part; k++) fprintf(stderr, " %s", part[k].name);
      fprintf(stderr, "\n");
      return 2;
    }
    wanted[k] = true;
    all = false;
  }
  aq_crypto_init();
  for (size_t k = 0; k < sizeof part / sizeof *part; k++) {
    if (all || wanted[k]) part[k].fn(&b);
  }
  if (json && !write_json(&b, json)) {
    perror(json);
    return 1;
  }
  return 0;
}
