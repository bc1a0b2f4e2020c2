/* Any bytes as a received message, as a journal list and as a value: no crash, what is taken is written again
   equally, canonical bytes are a fixed point with one hash. */
#include "base/assert.h"
#include "base/time.h"
#include "consensus/validity.h"
#include "qbft/qbft_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const aq_chain chain_320 = {
    .clock = {.genesis_ns = AQ_SECONDS(1000000), .slot_ns = AQ_SECONDS(12), .slots_per_epoch = 32}};

static void same(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  AQ_ASSERT(a->type == b->type && a->from == b->from && a->round == b->round && a->prepared_round == b->prepared_round);
  AQ_ASSERT(aq_hash_eq(&a->value, &b->value) && aq_hash_eq(&a->prepared_value, &b->prepared_value));
  AQ_ASSERT(aq_bytes_eq(a->raw, b->raw));
}

static void message(aq_arena *a, aq_bytes in) {
  aq_qbft_wire_ctx ctx = {4, &chain_320, aq_slot_start_ns(&chain_320.clock, 320)};
  aq_qbft_wire w, again;
  if (aq_qbft_wire_decode(&w, a, &ctx, in) != AQ_QBFT_WIRE_OK) return;
  aq_buf out = AQ_BUF(1 << 16);
  aq_qbft_wire_put_msg(&out, w.msg.raw);
  for (uint32_t i = 0; i < w.msg.just_cnt; i++) aq_qbft_wire_put_just(&out, NULL, w.duty, &w.msg.just[i]);
  AQ_ASSERT(!out.failed);
  AQ_ASSERT(aq_qbft_wire_decode(&again, a, &ctx, aq_buf_bytes(&out)) == AQ_QBFT_WIRE_OK);
  same(&w.msg, &again.msg);
  AQ_ASSERT(w.msg.just_cnt == again.msg.just_cnt && aq_duty_eq(w.duty, again.duty));
  for (uint32_t i = 0; i < w.msg.just_cnt; i++) same(&w.msg.just[i], &again.msg.just[i]);
  aq_buf_free(&out);
  static const uint8_t keys[4][33] = {{2}, {2}, {3}, {3}};
  static aq_qbft_cache cache;
  aq_qbft_fresh fresh;
  aq_qbft_wire_look(&fresh, &w, &cache);
  AQ_ASSERT(fresh.cnt >= 1 && fresh.cnt <= 1 + w.msg.just_cnt);
  (void)aq_qbft_wire_verify(&w, a, keys, &fresh);
}

static void value(aq_arena *a, aq_bytes in, aq_duty_type type, const char *url) {
  static const aq_chain chain = {.clock = {.genesis_ns = 0, .slot_ns = 1, .slots_per_epoch = 32}};
  aq_qbft_any any = {aq_bytes_str(url), in};
  aq_buf once = AQ_BUF(1 << 20), twice = AQ_BUF(1 << 20);
  aq_hash h1, h2;
  if (aq_qbft_value_canon(&once, &h1, a, type, &any) == AQ_OK) {
    any.value = aq_buf_bytes(&once);
    AQ_ASSERT(aq_qbft_value_canon(&twice, &h2, a, type, &any) == AQ_OK);
    AQ_ASSERT(aq_hash_eq(&h1, &h2) && aq_bytes_eq(aq_buf_bytes(&once), aq_buf_bytes(&twice)));
    aq_unsigned_set set;
    if (type == AQ_DUTY_INFO_SYNC) {
      (void)aq_value_priority_ok(a, aq_buf_bytes(&once));
    } else if (aq_value_decode(&set, a, aq_buf_bytes(&once)) == AQ_OK) {
      (void)!aq_value_readable(a, type, &set, NULL);
      (void)!aq_value_valid(a, &chain, (aq_duty){1, type}, &set, NULL);
    }
  }
  aq_buf_free(&once);
  aq_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const aq_duty_type type[] = {AQ_DUTY_ATTESTER, AQ_DUTY_PROPOSER, AQ_DUTY_AGGREGATOR,
                                      AQ_DUTY_SYNC_CONTRIBUTION};
  aq_arena a;
  aq_arena_init(&a, 32 << 20);
  aq_bytes in = aq_bytes_of(data, len);
  message(&a, in);
  aq_qbft_msg list[8];
  uint32_t cnt;
  aq_duty duty = {0, AQ_DUTY_ATTESTER};
  (void)!aq_qbft_wire_read(list, &cnt, 8, &duty, &a, 4, in, true);
  for (size_t i = 0; i < AQ_COUNT(type); i++) value(&a, in, type[i], "x/core.corepb.v1.UnsignedDataSet");
  value(&a, in, AQ_DUTY_INFO_SYNC, "core.corepb.v1.PriorityResult");
  aq_arena_free(&a);
  return 0;
}
