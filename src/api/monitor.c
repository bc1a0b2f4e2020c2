/* Three answers and an index, with the request line that the runbook reads. */
#include "api/monitor.h"

#include <stdlib.h>

#include "api/trace_id.h"
#include "base/assert.h"
#include "base/line_limit.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/router.h"

enum { METRICS_MAX = 32 << 20 };

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

typedef struct {
  aq_monitor *m;
  const aq_http_req *req;
  aq_http_res *res;
  const aq_http_server_vt *vt;
} call;

static void plain(const call *c, int code, const char *text) {
  text_answer(c->res, c->vt, code, "text/plain; charset=utf-8", aq_bytes_str(text));
}

static void get_metrics(const call *c) {
  aq_monitor *m = c->m;
  uint64_t start_ns = aq_mono_ns(m->cfg.env);
  const char *text;
  char trace_id[AQ_TRACE_ID_MAX + 1];
  aq_trace_id(trace_id, c->req, aq_now_ns(m->cfg.env));
  ready(m, &text);
  aq_metric_add(AQ_M_API_REQUESTS_TOTAL, 1, AQ_LABELS("/metrics", "200"));
  aq_buf out = AQ_BUF(METRICS_MAX);
  aq_metrics_write(&out);
  text_answer(c->res, c->vt, 200, "text/plain; version=0.0.4", aq_buf_bytes(&out));
  aq_buf_free(&out);
  double ms = (double)(aq_mono_ns(m->cfg.env) - start_ns) / 1e6;
  aq_metric_observe(AQ_M_API_LATENCY_MS, ms, AQ_LABELS("/metrics"));
  if (!aq_line_flows(&m->lines, aq_mono_ns(m->cfg.env))) return;
  AQ_LOG(AQ_LOG_INFO, "api_request", AQ_INT("code", 200), AQ_INT("latency_ms", (int64_t)ms),
         AQ_UINT(m->lines.more ? "more" : NULL, m->lines.more), AQ_STR("result", "ok"), AQ_STR("route", "/metrics"),
         AQ_STR("trace_id", trace_id));
}

static void get_livez(const call *c) { plain(c, 200, "ok"); }

static void get_readyz(const call *c) {
  const char *text = "ok";
  int code = ready(c->m, &text) == 1 ? 200 : 500;
  plain(c, code, text);
}

static void get_index(const call *c) { plain(c, 200, "aequa monitoring: /metrics /livez /readyz\n"); }

typedef struct {
  aq_route route;
  void (*handle)(const call *c);
} row;
static const row rows[] = {{{NULL, "/metrics"}, get_metrics},
                           {{NULL, "/livez"}, get_livez},
                           {{NULL, "/readyz"}, get_readyz},
                           {{NULL, "/"}, get_index}};

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  const call c = {arg, req, res, vt};
  const row *r = aq_route_find(AQ_ROUTES(rows), req->method, req->path, NULL);
  if (r)
    r->handle(&c);
  else
    plain(&c, 404, "404 page not found\n");
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
