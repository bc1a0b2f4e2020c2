/* api/health.h - the health checks of core.md 13.3 over the node's own metrics: app_health_checks says which fail now,
   app_health_checks_failed_total how often, app_health_metrics_high_cardinality which families have too many series.
   Averages and growth are those of the last ten calls; the caller calls each 30 s. Not built, for want of their data:
   checks of Go's memory and routines, of late heads, of fee recipients and of sync messages. Pure: no I/O, no clock. */
#ifndef AQ_API_HEALTH_H
#define AQ_API_HEALTH_H

#include "base/metrics.h"

enum { AQ_HEALTH_EVERY_S = 30, AQ_HEALTH_SAMPLES = 10, AQ_HEALTH_SERIES_MAX = 192, AQ_HEALTH_KEY_MAX = 64 };

/* What the metrics do not say. */
typedef struct {
  uint32_t connected, needed; /* other peers: now, and for a quorum with this node */
  uint32_t validator_cnt;
  bool beacon_syncing, builder_api;
  bool fork_mismatch, beacon_disagree, beacon_unfit;
  bool store_failing, disk_low, lock_changed;
  bool clock_off, clock_set, held_back; /* node/core.h */
} aq_health_in;

typedef struct {
  aq_metric_id id;
  char key[AQ_HEALTH_KEY_MAX];
  double sum[AQ_HEALTH_SAMPLES];
  uint64_t cnt[AQ_HEALTH_SAMPLES];
} aq_health_series;

/* Zeroed at the start. */
typedef struct {
  uint64_t calls;
  uint32_t connected[AQ_HEALTH_SAMPLES];
  double round_changes[AQ_HEALTH_SAMPLES], registrations[AQ_HEALTH_SAMPLES], stalls[AQ_HEALTH_SAMPLES];
  aq_health_series series[AQ_HEALTH_SERIES_MAX]; /* those over the limit are not judged */
  size_t series_cnt;
} aq_health;

void aq_health_check(aq_health *h, const aq_health_in *in);

#endif
