/* The two families and the line that every broadcast leaves. */
#include "port/broadcast.h"

#include "base/log.h"
#include "base/metrics.h"

void aq_broadcast_note(const aq_env *env, const char *topic, uint64_t start_ns, uint32_t peers, const char *err) {
  double ms = (double)(aq_mono_ns(env) - start_ns) / 1e6;
  aq_metric_add(AQ_M_P2P_MESSAGES_TOTAL, 1, AQ_LABELS("broadcast"));
  aq_metric_observe(AQ_M_P2P_BROADCAST_MS, ms, AQ_LABELS("broadcast"));
  AQ_LOG(err ? AQ_LOG_ERROR : AQ_LOG_DEBUG, "p2p_broadcast", AQ_STR("err", err), AQ_INT("latency_ms", (int64_t)ms),
         AQ_UINT("peers", peers), AQ_STR("result", err ? "error" : "ok"), AQ_STR("topic", topic));
}
