/* fake/chain.h - a small simulated chain for tests, with keys that follow from the validator's number. Header
   only. */
#ifndef AQ_FAKE_CHAIN_H
#define AQ_FAKE_CHAIN_H

#include "crypto/bls.h"
#include "fake/env.h"
#include "simchain/beacon.h"

#define FAKE_CHAIN_GENESIS AQ_SECONDS(1700000000)
#define FAKE_CHAIN_SLOT AQ_SECONDS(12)

static inline void fake_chain_keys(uint8_t (*secret)[32], uint8_t (*pubkey)[48], uint8_t cnt) {
  for (uint8_t i = 0; i < cnt; i++) {
    uint8_t seed[32];
    memset(seed, i + 1, sizeof seed);
    aq_bls_secret_from_seed(secret[i], seed, sizeof seed);
    aq_bls_secret_to_pubkey(pubkey[i], secret[i]);
  }
}

/* Started; all forks up to this one from genesis. pubkey, builder and watch, which may be NULL, are borrowed. */
static inline aq_beacon *fake_chain_with(fake_env *env, uint8_t (*pubkey)[48], uint32_t cnt, uint64_t slots_per_epoch,
                                         aq_fork fork, const aq_beacon_builder *builder, const aq_beacon_watch *watch) {
  aq_beacon_cfg cfg = {.env = &env->env,
                       .pubkey = (const uint8_t(*)[48])pubkey,
                       .validator_cnt = cnt,
                       .genesis_ns = FAKE_CHAIN_GENESIS,
                       .slot_ns = FAKE_CHAIN_SLOT,
                       .slots_per_epoch = slots_per_epoch,
                       .genesis_version = {0x70, 0, 0, 1},
                       .watch = watch,
                       .builder = builder};
  for (int i = 0; i < AQ_FORK_CNT; i++) cfg.fork_epoch[i] = i <= (int)fork ? 0 : AQ_FAR_EPOCH;
  aq_beacon *b = aq_beacon_new(&cfg);
  AQ_ASSERT(b);
  aq_beacon_start(b);
  return b;
}

static inline aq_beacon *fake_chain_new(fake_env *env, uint8_t (*pubkey)[48], uint32_t cnt, uint64_t slots_per_epoch,
                                        aq_fork fork) {
  return fake_chain_with(env, pubkey, cnt, slots_per_epoch, fork, NULL, NULL);
}

#endif
