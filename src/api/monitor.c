#include "api/monitor.h"

#include <stdlib.h>

#include "api/trace_id.h"
#include "base/assert.h"
#include "base/line_limit.h"
#include "base/log.h"
#include "base/metrics.h"

struct aq_monitor {
  aq_monitor_cfg cfg;
  aq_http_handler handler;
  aq_line_flow lines; /* of requests */
};

static size_t body_max(void *arg, const char *method, const char *path) {
  (void)arg, (void)method, (void)path;
  return 0;
}

static int ready(aq_monitor *m, const char **text) {
  int state = m->cfg.ready(m->cfg.arg, text);
  aq_metric_set(AQ_M_APP_MONITORING_READYZ, state, AQ_NO_LABELS);
  return state;
}

static void text_answer(aq_http_res *res, const aq_http_server_vt *vt, int code, const char *type, aq_bytes body) {
  const aq_http_header h = {"Content-Type", type};
  vt->respond(res, code, &(aq_http_headers){&h, 1}, body);
}

static void metrics(aq_monitor *m, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  uint64_t start_ns = aq_mono_ns(m->cfg.env);
  const char *text;
  char trace_id[AQ_TRACE_ID_MAX + 1];
  aq_trace_id(trace_id, req, aq_now_ns(m->cfg.env));
  ready(m, &text);
  aq_metric_add(AQ_M_API_REQUESTS_TOTAL, 1, AQ_LABELS("/metrics", "200"));
  aq_buf out = AQ_BUF(32u << 20);
  aq_metrics_write(&out);
  text_answer(res, vt, 200, "text/plain; version=0.0.4", aq_buf_bytes(&out));
  aq_buf_free(&out);
  double ms = (double)(aq_mono_ns(m->cfg.env) - start_ns) / 1e6;
  aq_metric_observe(AQ_M_API_LATENCY_MS, ms, AQ_LABELS("/metrics"));
  if (!aq_line_flows(&m->lines, aq_mono_ns(m->cfg.env))) return;
  AQ_LOG(AQ_LOG_INFO, "api_request", AQ_INT("code", 200), AQ_INT("latency_ms", (int64_t)ms),
         AQ_UINT(m->lines.more ? "more" : NULL, m->lines.more), AQ_STR("result", "ok"), AQ_STR("route", "/metrics"),
         AQ_STR("trace_id", trace_id));
}

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  aq_monitor *m = arg;
  const char *text = "ok", *plain = "text/plain; charset=utf-8";
  if (strcmp(req->path, "/metrics") == 0) {
    metrics(m, req, res, vt);
  } else if (strcmp(req->path, "/livez") == 0) {
    text_answer(res, vt, 200, plain, aq_bytes_str("ok"));
  } else if (strcmp(req->path, "/readyz") == 0) {
    int code = ready(m, &text) == 1 ? 200 : 500;
    text_answer(res, vt, code, plain, aq_bytes_str(text));
  } else if (strcmp(req->path, "/") == 0) {
    text_answer(res, vt, 200, plain, aq_bytes_str("aequa monitoring: /metrics /livez /readyz\n"));
  } else {
    text_answer(res, vt, 404, plain, aq_bytes_str("404 page not found\n"));
  }
}

aq_monitor *aq_monitor_new(const aq_monitor_cfg *cfg) {
  aq_monitor *m = calloc(1, sizeof *m);
  AQ_ASSERT(m);
  m->cfg = *cfg;
  m->handler = (aq_http_handler){m, body_max, handle};
  return m;
}

void aq_monitor_free(aq_monitor *m) { free(m); }
const aq_http_handler *aq_monitor_handler(aq_monitor *m) { return &m->handler; }
