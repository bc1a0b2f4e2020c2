/* A partial signature message of a peer. Input: sender, slot of the clock (8 bytes little endian), message. Whatever
   is accepted obeys the rules that the databases and tss rely on. */
#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "cluster/pubkeys.h"
#include "exchange/parsigex.h"
#include "fake/env.h"

enum { N = 4, V = 2, SELF = 0, HEAD_LEN = 9 };
#define GENESIS AQ_SECONDS(1742213400)
#define SLOT_NS AQ_SECONDS(12)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }
static void on_received(void *arg, const aq_parsigex_set *set) { (void)arg, (void)set; }

static void chain_init(aq_chain *c) {
  *c = (aq_chain){.clock = {GENESIS, SLOT_NS, 32}};
  for (uint8_t i = 0; i < AQ_FORK_CNT; i++)
    c->fork[i] = (aq_fork_at){i == AQ_ELECTRA ? 2048 : i == AQ_FULU ? 50688 : 0, {i, 0, 0, 1}};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const char key[] =
      "b6f4cefbc805c5c2b9605a342f8ddf660298332095ea79e80adbdaad83b7e45c3048fea401551f76dc4fcf060530d6db";
  static aq_chain chain;
  static aq_dist_validator validator[V];
  static aq_lock lock;
  static fake_env env;
  static aq_map keys;
  if (!keys.slots) {
    aq_log_start(AQ_LOG_ERROR, quiet, NULL);
    chain_init(&chain);
    fake_env_init(&env, GENESIS);
    AQ_ASSERT(aq_hex_decode(validator[1].pubkey, 48, aq_bytes_str(key), AQ_HEX_BARE) == AQ_OK);
    lock.validators = validator;
    lock.validator_cnt = V;
    lock.def.operator_cnt = N;
    AQ_ASSERT(aq_pubkeys_init(&keys, &env.env, &lock) == AQ_OK);
  }
  if (len < HEAD_LEN) return 0;
  uint64_t slot = aq_le64_get(data + 1) & 0xffffffff;
  fake_env_set(&env, GENESIS + slot * SLOT_NS);
  const aq_parsigex_cfg cfg = {&env.env, NULL, &chain, &lock, SELF, NULL, on_received};
  aq_parsigex_set set;
  aq_arena a;
  aq_arena_init(&a, 4 << 20);
  if (aq_parsigex_decode(&set, &a, &cfg, &keys, data[0], aq_bytes_of(data + HEAD_LEN, len - HEAD_LEN)) == AQ_OK) {
    AQ_ASSERT(set.cnt > 0 && set.cnt <= V && set.share == data[0] + 1u && data[0] != SELF);
    AQ_ASSERT(aq_parsigex_travels(set.duty.type) && aq_duty_deadline_ns(&chain, set.duty) > fake_env_now(&env));
    for (uint32_t i = 0; i < set.cnt; i++) {
      AQ_ASSERT(set.item[i].validator < V && (i == 0 || set.item[i - 1].validator < set.item[i].validator));
      AQ_ASSERT(set.item[i].sub < 4 && aq_parsigex_belongs(&chain, set.duty, set.item[i].data));
    }
  }
  aq_arena_free(&a);
  return 0;
}
