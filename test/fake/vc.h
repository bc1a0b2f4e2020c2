/* fake/vc.h - the validator client on a simulated chain of its own, in virtual time: for tests that need no
   more than both. */
#ifndef AQ_FAKE_VC_H
#define AQ_FAKE_VC_H

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/http.h"
#include "fake/chain.h"
#include "fake/store.h"
#include "vc/vc.h"

enum { FAKE_VC_KEYS_MAX = 16 };

typedef struct {
  fake_env env;
  aq_beacon *b;
  fake_http bridge;
  fake_disk disk;
  fake_store protection; /* over it */
  aq_vc *vc;
  uint8_t secret[FAKE_VC_KEYS_MAX][32], pubkey[FAKE_VC_KEYS_MAX][48];
} fake_vc;

static inline void fake_vc_quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

/* Five seconds before genesis. All keys are the client's; builder and watch, which may be NULL, are borrowed. */
static inline void fake_vc_up(fake_vc *w, uint8_t keys, uint64_t slots_per_epoch, aq_fork fork, bool ssz_blocks,
                              const aq_beacon_builder *builder, const aq_beacon_watch *watch) {
  AQ_ASSERT(keys <= FAKE_VC_KEYS_MAX);
  aq_metrics_init();
  aq_log_start(AQ_LOG_ERROR, fake_vc_quiet, NULL);
  fake_env_init(&w->env, FAKE_CHAIN_GENESIS - AQ_SECONDS(5));
  fake_chain_keys(w->secret, w->pubkey, keys);
  w->b = fake_chain_with(&w->env, w->pubkey, keys, slots_per_epoch, fork, builder, watch);
  fake_disk_init(&w->disk);
  fake_store_open(&w->protection, &w->disk, &w->env.env, NULL);
  fake_http_bridge(&w->bridge, &w->env, aq_beacon_handler(w->b), AQ_MILLIS(3));
  w->vc = aq_vc_new(&(aq_vc_cfg){.env = &w->env.env,
                                 .http = &w->bridge.http,
                                 .store = &w->protection.port,
                                 .url = "http://sim",
                                 .secret = (const uint8_t(*)[32])w->secret,
                                 .key_cnt = keys,
                                 .ssz_blocks = ssz_blocks});
  aq_vc_start(w->vc);
}

static inline void fake_vc_down(fake_vc *w) {
  aq_vc_free(w->vc);
  fake_env_run_for(&w->env, AQ_MILLIS(5)); /* jobs and writes come back; then the client is gone */
  AQ_ASSERT(fake_http_open_cnt(&w->bridge) == 0);
  aq_beacon_free(w->b);
  fake_env_drain(&w->env);
  fake_env_free(&w->env);
  fake_disk_free(&w->disk);
  aq_log_stop();
}

#endif
