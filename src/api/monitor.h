/* api/monitor.h - the monitoring listener: /metrics, /livez, /readyz, and a pointer at /. Spec: contract.md 4.5,
   core.md 13.1. */
#ifndef AQ_API_MONITOR_H
#define AQ_API_MONITOR_H

#include "port/env.h"
#include "port/http.h"

/* Readiness: 1 ok, 2 beacon node down, 3 syncing, 4 quorum peers not connected, 5 vc not connected, 7 zero peers, 8
   far behind, 9 beacon node of another chain or fork, 10 its answers do not fit, 11 the store cannot be written, 12
   the clock is off, 13 votes and signatures are held back. */
typedef struct aq_monitor aq_monitor;
typedef struct {
  const aq_env *env;
  void *arg;
  int (*ready)(void *arg, const char **text); /* asked for each request and each scrape */
} aq_monitor_cfg;
aq_monitor *aq_monitor_new(const aq_monitor_cfg *cfg);
void aq_monitor_free(aq_monitor *m);
const aq_http_handler *aq_monitor_handler(aq_monitor *m);

#endif
