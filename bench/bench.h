/* bench/bench.h - unit costs. A file bench/<x>.c defines one function of type aq_bench_fn and main.c names it in its
   table. Figures are nanoseconds of the median and the 95th percentile of repeated runs; ratios compare two rows of the
   same run and are what may be compared between machines. */
#ifndef AQ_BENCH_H
#define AQ_BENCH_H

#include <stdint.h>

typedef struct aq_bench aq_bench;
typedef void (*aq_bench_fn)(aq_bench *b);
typedef void (*aq_bench_op)(void *arg); /* one operation */

/* Measures op. bytes: what one operation processes, for a row in MB/s; 0 if that means nothing. Names follow Go's
   ("BenchmarkSignShare"), which the operator's tools look for. */
void aq_bench_run(aq_bench *b, const char *name, aq_bench_op op, void *arg, uint64_t bytes);
/* num / (cnt * den) of two rows measured before; left out when either row is not there. */
void aq_bench_ratio(aq_bench *b, const char *title, const char *num, uint64_t cnt, const char *den);
/* A figure that is not a time: a size, a count. */
void aq_bench_value(aq_bench *b, const char *title, double value, const char *unit);

#endif
