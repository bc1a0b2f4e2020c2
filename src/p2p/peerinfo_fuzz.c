/* A peer's peerinfo messages and answers. */
#include "p2p/peerinfo.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/peerinfo_version.h"
#include "fake/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct {
  aq_net_answer fn;
  void *arg;
} captured;

static void request(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_answer fn, void *arg) {
  (void)peer, (void)proto, (void)msg;
  *(captured *)ctx = (captured){fn, arg};
}
static void handle(void *ctx, aq_net_proto proto, const aq_net_handler *h) { (void)ctx, (void)proto, (void)h; }

/* An answer of a peer, taken twice; and as a version text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static fake_env loop;
  static captured c;
  static aq_net net;
  static aq_peerinfo *p;
  static const char *const names[] = {"me", "other"};
  if (!p) {
    aq_log_start(AQ_LOG_ERROR, NULL, NULL);
    aq_metrics_init();
    fake_env_init(&loop, AQ_SECONDS(1700000000));
    net = (aq_net){.ctx = &c, .request = request, .handle = handle};
    aq_peerinfo_cfg cfg = {.env = &loop.env,
                           .net = &net,
                           .peer_cnt = 2,
                           .peer_names = names,
                           .wire_version = "v1.11.0",
                           .git_hash = "unknown",
                           .nickname = ""};
    p = aq_peerinfo_new(&cfg);
    aq_peerinfo_start(p);
    fake_env_run_for(&loop, AQ_SECONDS(60));
  }
  aq_wire_version own = {1, 11};
  (void)aq_wire_version_ok(&own, aq_bytes_of(data, len));
  c.fn(c.arg, AQ_OK, aq_bytes_of(data, len));
  c.fn(c.arg, AQ_OK, aq_bytes_of(data, len));
  return 0;
}
