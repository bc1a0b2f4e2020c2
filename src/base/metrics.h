/* base/metrics.h - the metrics registry: every family is a row of base/metric_families.h, nothing is created by name at
   run time. Exposition: Prometheus text 0.0.4 as contract.md 6.1 says (dvt_up first, labels in alphabetical order, HELP
   and TYPE for all, families named X_sum and X_count form a summary). Values may be changed from any thread. */
#ifndef AQ_BASE_METRICS_H
#define AQ_BASE_METRICS_H

#include "base/bytes.h"

typedef enum { AQ_M_COUNTER, AQ_M_GAUGE, AQ_M_SUMMARY, AQ_M_HISTOGRAM } aq_metric_type;

#include "base/metric_families.h"

typedef enum {
#define X(id, name, type, labels, preset, help) AQ_M_##id,
  AQ_METRIC_FAMILIES(X)
#undef X
      AQ_METRIC_CNT
} aq_metric_id;

/* Series over the limit of their family are dropped and counted in metrics_series_dropped_total. */
enum { AQ_METRIC_LABELS_MAX = 4, AQ_METRIC_LABEL_MAX = 128, AQ_METRIC_SERIES_MAX = 4096 };

/* Label values in the order of the family's label list; a missing or NULL or empty value leaves the label out (the two
   label sets of qbft_msg_verified_total are that). */
#define AQ_LABELS(...) ((const char *const[AQ_METRIC_LABELS_MAX + 1]){__VA_ARGS__})
#define AQ_NO_LABELS ((const char *const *)0)
/* aq_metric_add(AQ_M_API_REQUESTS_TOTAL, 1, AQ_LABELS(route, code)); */
void aq_metric_add(aq_metric_id id, double delta, const char *const *label);     /* counter, gauge */
void aq_metric_set(aq_metric_id id, double value, const char *const *label);     /* gauge; a counter kept elsewhere */
void aq_metric_observe(aq_metric_id id, double value, const char *const *label); /* summary, histogram */
void aq_metric_clear(aq_metric_id id, const char *const *label);                 /* drops one series */
double aq_metric_value(aq_metric_id id, const char *const *label);               /* counter, gauge; sum of a summary */

/* Each series of a family, in the order of its labels: their values ("" where left out), value or sum, and how many
   observations. The family is locked meanwhile: fn must not touch its metrics. */
typedef void (*aq_metric_fn)(void *arg, const char *const *label, double value, uint64_t cnt);
void aq_metric_each(aq_metric_id id, aq_metric_fn fn, void *arg);

/* Forgets all values and writes the preset series at 0; called once at start, and by tests. */
void aq_metrics_init(void);
void aq_metrics_write(aq_buf *out);
/* Constant labels added to every family that Charon has too (core_*, app_*, cluster_*, p2p_ping_*, ...): lines
   name=value, values unescaped, at most 12 and 1,000 bytes; copied. NULL: none. */
void aq_metrics_const_labels(const char *text);

const char *aq_metric_name(aq_metric_id id);
const char *aq_metric_help(aq_metric_id id);
const char *aq_metric_labels(aq_metric_id id); /* comma list */
aq_metric_type aq_metric_type_of(aq_metric_id id);

#endif
