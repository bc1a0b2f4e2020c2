/* A request to the monitoring listener, and its trace id. Input: text as on the wire: "METHOD target", header lines, an
   empty line, the body. Each is answered at once, and an id is printable and short whatever the client sends. */
#include "api/monitor.h"

#include "api/trace_id.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/env.h"
#include "fake/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void quiet(void *arg, const char *text, size_t len) { (void)arg, (void)text, (void)len; }

static int ready(void *arg, const char **text) {
  *text = "state";
  return *(int *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static fake_env env;
  static int state;
  static aq_monitor *m;
  if (!m) {
    aq_log_start(AQ_LOG_ERROR, quiet, NULL);
    aq_metrics_init();
    fake_env_init(&env, AQ_SECONDS(1700000000));
    m = aq_monitor_new(&(aq_monitor_cfg){&env.env, &state, ready});
  }
  state = len ? data[0] % 9 : 1;
  fake_req q;
  char *text = fake_read(&q, data, len), id[AQ_TRACE_ID_MAX + 1];
  const aq_http_req req = {.method = q.method, .path = "/", .headers = {q.header, q.header_cnt}};
  aq_trace_id(id, &req, fake_env_now(&env));
  AQ_ASSERT(*id && strlen(id) <= AQ_TRACE_ID_MAX);
  for (const char *p = id; *p; p++) AQ_ASSERT(*p > ' ' && *p < 0x7f);
  fake_res *r = fake_send(aq_monitor_handler(m), &q);
  AQ_ASSERT(r->ended && r->code >= 200 && r->code <= 599);
  fake_res_free(r);
  free(text);
  return 0;
}
