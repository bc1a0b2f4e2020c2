/* A request to the simulated chain. Input: one letter, the fork (upper case: the client leaves at once, and the
   chain goes before its jobs are back); then text as on the wire: "METHOD target", header lines, an empty line, the
   body. There is a builder. Whatever comes, only what is signed right counts. */
#include "base/log.h"
#include "fake/chain.h"
#include "fake/fuzz_json.h"
#include "fake/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { VALIDATORS = 4, SPE = 4, TEXT_MAX = 1 << 20 };

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static aq_beacon *chain_new(fake_env *env, aq_fork fork, const aq_beacon_builder *builder) {
  static uint8_t secret[VALIDATORS][32], pubkey[VALIDATORS][48];
  if (pubkey[0][0] == 0) {
    aq_log_start(AQ_LOG_ERROR, quiet, NULL);
    fake_chain_keys(secret, pubkey, VALIDATORS);
  }
  fake_env_init(env, FAKE_CHAIN_GENESIS + (SPE + 2) * FAKE_CHAIN_SLOT);
  return fake_chain_with(env, pubkey, VALIDATORS, SPE, fork, builder, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static fake_env env;
  if (len < 1 || len > TEXT_MAX) return 0;
  bool leaves = data[0] >= 'A' && data[0] <= 'Z';
  const aq_beacon_builder builder = {.relay = aq_relay_new()};
  aq_beacon *b = chain_new(&env, (aq_fork)((data[0] | 0x20u) % AQ_FORK_CNT), &builder);
  fake_req q;
  char *text = fake_read(&q, data + 1, len - 1);
  fake_res *r = fake_send(aq_beacon_handler(b), &q);
  if (!leaves) {
    fake_env_drain(&env);
    aq_beacon_stats s;
    aq_beacon_stats_get(b, &s);
    AQ_ASSERT(!r->ended || (r->code >= 200 && r->code <= 599));
    AQ_ASSERT(s.blocks_ok <= 1 && s.attestations_ok <= VALIDATORS);
    AQ_ASSERT(r->code == 400 || s.bad == 0 || s.attestations_ok + s.duplicates > 0);
  }
  fake_res_free(r);
  aq_beacon_free(b);
  fake_env_drain(&env);
  aq_relay_free(builder.relay);
  fake_env_free(&env);
  free(text);
  return 0;
}

FUZZ_JSON_MUTATOR(fuzz_json_body(data, size))
