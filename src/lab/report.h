/* lab/report.h - what a test network did, gathered from the nodes' verdict lines and the simulated chain's
   counts. Pure. The report is the JSON of architecture.md 6. */
#ifndef AQ_LAB_REPORT_H
#define AQ_LAB_REPORT_H

#include "base/bytes.h"
#include "duty/duty.h"

enum { AQ_REPORT_NODES_MAX = 32, AQ_REPORT_SAMPLES_MAX = 1 << 20, AQ_REPORT_STEPS_MAX = 12 };

typedef struct {
  double *value;
  uint32_t cnt, cap;
} aq_samples;

typedef struct {
  char name[24];
  aq_samples ms;
} aq_report_step;

typedef struct {
  uint64_t scheduled, ok,
      failed; /* by (slot, type): ok when one node says so; by the chain's count where it is known */
  bool from_chain;
  aq_samples latency_ms;
  aq_report_step step[AQ_REPORT_STEPS_MAX];
  uint32_t step_cnt;
  uint64_t *seen; /* slot * 2 + ok, ascending */
  uint32_t seen_cnt, seen_cap;
} aq_report_duty;

typedef struct {
  char binary[256];
  uint64_t rss_kib_max, cpu_ms, bytes_in, bytes_out, ready_ms;
  uint64_t duties_ok, duties_failed;
} aq_report_node;

typedef struct {
  aq_report_duty duty[AQ_DUTY_CNT];
  aq_report_node node[AQ_REPORT_NODES_MAX];
  uint32_t node_cnt;
  uint64_t first_slot; /* verdicts of earlier ones are not counted */
  uint64_t slashable, bad, late;
  char last_failure[240];
} aq_report;

void aq_report_init(aq_report *r, uint32_t node_cnt);
void aq_report_free(aq_report *r);
/* One log line of a node; lines that are no verdicts are ignored, whatever they hold. */
void aq_report_line(aq_report *r, uint32_t node, const char *line, size_t len);
/* The answer of GET /sim/stats. AQ_E_FORMAT leaves the report as it was. */
AQ_NODISCARD aq_status aq_report_chain(aq_report *r, aq_bytes json);
void aq_report_write(aq_buf *out, const aq_report *r);
double aq_samples_quantile(const aq_samples *s, double q); /* 0 when empty; sorts a copy */

#endif
