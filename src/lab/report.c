/* Lines of all nodes come in by the duty; a duty counts once, as done when one of them says so. */
#include "lab/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/json.h"
#include "codec/json_out.h"

enum { LINE_MAX_LEN = 1 << 16, STATS_MAX = 1 << 20 }; /* far more than a node logs at once, than /sim/stats says */

typedef unsigned long long ull;
#define SLOT_MAX (UINT64_MAX >> 1)

void aq_report_init(aq_report *r, uint32_t node_cnt) {
  AQ_ASSERT(node_cnt <= AQ_REPORT_NODES_MAX);
  memset(r, 0, sizeof *r);
  r->node_cnt = node_cnt;
}

void aq_report_free(aq_report *r) {
  for (int d = 0; d < AQ_DUTY_CNT; d++) {
    free(r->duty[d].latency_ms.value);
    free(r->duty[d].seen);
    for (uint32_t i = 0; i < r->duty[d].step_cnt; i++) free(r->duty[d].step[i].ms.value);
  }
}

static void add_sample(aq_samples *s, double value) {
  if (s->cnt >= AQ_REPORT_SAMPLES_MAX) return;
  if (s->cnt == s->cap) {
    uint32_t cap = s->cap ? s->cap * 2 : 64;
    double *grown = realloc(s->value, cap * sizeof *grown);
    if (!grown) return;
    s->value = grown;
    s->cap = cap;
  }
  s->value[s->cnt++] = value;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double aq_samples_quantile(const aq_samples *s, double q) {
  if (s->cnt == 0) return 0;
  double *sorted = malloc(s->cnt * sizeof *sorted);
  if (!sorted) return 0;
  memcpy(sorted, s->value, s->cnt * sizeof *sorted);
  qsort(sorted, s->cnt, sizeof *sorted, by_value);
  uint32_t at = (uint32_t)(q * (double)(s->cnt - 1) + 0.5);
  double out = sorted[at];
  free(sorted);
  return out;
}

/* Counts a (slot, type) once; a later "ok" of another node turns a failure into a success. Verdicts come nearly in the
   order of the slots. */
static void count(aq_report_duty *d, uint64_t slot, bool ok) {
  uint32_t at = d->seen_cnt;
  while (at > 0 && d->seen[at - 1] >> 1 > slot) at--;
  if (at > 0 && d->seen[at - 1] >> 1 == slot) {
    if (ok && !(d->seen[at - 1] & 1)) {
      d->seen[at - 1] |= 1;
      d->failed--, d->ok++;
    }
    return;
  }
  if (d->seen_cnt == d->seen_cap) {
    uint32_t cap = d->seen_cap ? d->seen_cap * 2 : 256;
    uint64_t *grown = realloc(d->seen, cap * sizeof *grown);
    if (!grown) return;
    d->seen = grown;
    d->seen_cap = cap;
  }
  memmove(d->seen + at + 1, d->seen + at, (d->seen_cnt++ - at) * sizeof *d->seen);
  d->seen[at] = slot << 1 | (ok ? 1 : 0);
  d->scheduled++;
  if (ok)
    d->ok++;
  else
    d->failed++;
}

/* "fetch=3.1 consensus=9.8": milliseconds from the trigger. */
static void add_steps(aq_report_duty *d, const char *text) {
  char name[24];
  double ms;
  int used;
  while (sscanf(text, " %23[a-z_]=%lf%n", name, &ms, &used) == 2) {
    text += used;
    if (!isfinite(ms)) continue;
    uint32_t i = 0;
    while (i < d->step_cnt && strcmp(d->step[i].name, name) != 0) i++;
    if (i == AQ_REPORT_STEPS_MAX) continue;
    if (i == d->step_cnt) snprintf(d->step[d->step_cnt++].name, sizeof d->step[0].name, "%s", name);
    add_sample(&d->step[i].ms, ms);
  }
}

static void verdict(aq_report *r, uint32_t node, yyjson_val *v) {
  const char *name = aq_json_str(v, "duty"), *result = aq_json_str(v, "result"), *steps = aq_json_str(v, "steps_ms");
  uint64_t slot;
  if (!name || !result || !aq_json_u64(v, "slot", &slot) || slot > SLOT_MAX || slot < r->first_slot) return;
  for (int t = 0; t < AQ_DUTY_CNT; t++) {
    if (strcmp(aq_duty_name((aq_duty_type)t), name) != 0) continue;
    aq_report_duty *d = &r->duty[t];
    bool ok = strcmp(result, "ok") == 0;
    if (ok)
      r->node[node].duties_ok++;
    else
      r->node[node].duties_failed++;
    if (!d->from_chain) count(d, slot, ok);
    if (ok) {
      add_sample(&d->latency_ms, yyjson_get_num(yyjson_obj_get(v, "latency_ms")));
      if (steps) add_steps(d, steps);
    } else {
      const char *reason = aq_json_str(v, "reason");
      snprintf(r->last_failure, sizeof r->last_failure, "node %u: %s %llu: %s", node, name, (ull)slot,
               reason ? reason : "?");
    }
  }
}

void aq_report_line(aq_report *r, uint32_t node, const char *line, size_t len) {
  AQ_ASSERT(node < r->node_cnt);
  if (len < 2 || line[0] != '{') return;
  yyjson_doc *doc = aq_json_parse(aq_bytes_of(line, len), LINE_MAX_LEN, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  const char *msg = aq_json_str(root, "msg");
  if (msg && strcmp(msg, "duty") == 0) verdict(r, node, root);
  if (msg && strcmp(msg, "node_ready") == 0) aq_json_u64(root, "ready_ms", &r->node[node].ready_ms);
  yyjson_doc_free(doc);
}

static void chain_duty(aq_report_duty *d, yyjson_val *counts) {
  uint64_t ok = 0, missed = 0;
  if (!aq_json_u64(counts, "ok", &ok) || !aq_json_u64(counts, "missed", &missed)) return;
  d->from_chain = true;
  d->ok = ok, d->failed = missed, d->scheduled = ok + missed;
}

aq_status aq_report_chain(aq_report *r, aq_bytes json) {
  yyjson_doc *doc = aq_json_parse(json, STATS_MAX, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  uint64_t slashable, bad;
  bool ok = aq_json_u64(root, "slashable", &slashable) && aq_json_u64(root, "bad", &bad);
  if (ok) {
    r->slashable = slashable, r->bad = bad;
    chain_duty(&r->duty[AQ_DUTY_ATTESTER], yyjson_obj_get(root, "attestations"));
    chain_duty(&r->duty[AQ_DUTY_PROPOSER], yyjson_obj_get(root, "blocks"));
    aq_json_u64(yyjson_obj_get(root, "attestations"), "late", &r->late);
  }
  yyjson_doc_free(doc);
  return ok ? AQ_OK : AQ_E_FORMAT;
}

static void put_quantiles(aq_json_out *o, const char *name, const aq_samples *s) {
  aq_json_out_open(o, name, '{');
  aq_json_out_value(o, "p50");
  aq_buf_printf(o->out, "%.3f", aq_samples_quantile(s, 0.5));
  aq_json_out_value(o, "p99");
  aq_buf_printf(o->out, "%.3f", aq_samples_quantile(s, 0.99));
  aq_json_out_close(o, '}');
}

static void put_duty(aq_json_out *o, const char *name, const aq_report_duty *d) {
  aq_json_out_open(o, name, '{');
  aq_json_out_u64(o, "scheduled", d->scheduled);
  aq_json_out_u64(o, "ok", d->ok);
  aq_json_out_u64(o, "failed", d->failed);
  put_quantiles(o, "latency_ms", &d->latency_ms);
  aq_json_out_open(o, "steps_ms", '{');
  for (uint32_t i = 0; i < d->step_cnt; i++) put_quantiles(o, d->step[i].name, &d->step[i].ms);
  aq_json_out_close(o, '}');
  aq_json_out_close(o, '}');
}

static void put_node(aq_json_out *o, uint32_t i, const aq_report_node *n) {
  aq_json_out_open(o, NULL, '{');
  aq_json_out_u64(o, "index", i);
  aq_json_out_str(o, "binary", n->binary);
  aq_json_out_u64(o, "rss_kib_max", n->rss_kib_max);
  aq_json_out_u64(o, "cpu_ms", n->cpu_ms);
  aq_json_out_u64(o, "bytes_in", n->bytes_in);
  aq_json_out_u64(o, "bytes_out", n->bytes_out);
  aq_json_out_u64(o, "ready_ms", n->ready_ms);
  aq_json_out_u64(o, "duties_ok", n->duties_ok);
  aq_json_out_u64(o, "duties_failed", n->duties_failed);
  aq_json_out_close(o, '}');
}

void aq_report_write(aq_buf *out, const aq_report *r) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_open(&o, "duties", '{');
  for (int t = 0; t < AQ_DUTY_CNT; t++) {
    if (r->duty[t].scheduled) put_duty(&o, aq_duty_name((aq_duty_type)t), &r->duty[t]);
  }
  aq_json_out_close(&o, '}');
  aq_json_out_u64(&o, "first_slot", r->first_slot);
  aq_json_out_u64(&o, "slashable", r->slashable);
  aq_json_out_u64(&o, "bad", r->bad);
  aq_json_out_u64(&o, "late", r->late);
  aq_json_out_open(&o, "nodes", '[');
  for (uint32_t i = 0; i < r->node_cnt; i++) put_node(&o, i, &r->node[i]);
  aq_json_out_close(&o, ']');
  aq_json_out_close(&o, '}');
  aq_buf_put_u8(out, '\n');
}
