/* fake/value.h - values of an attester duty for the fake cluster. Tests only. */
#ifndef AQ_FAKE_VALUE_H
#define AQ_FAKE_VALUE_H

#include "aq_test.h"
#include "consensus/validity.h"
#include "duty/payload.h"
#include "fake/cluster.h"

enum { FAKE_VALUE_MAX = 4096 };

/* A set of one attestation; the salt makes it differ. */
static inline void fake_value_put(aq_buf *out, aq_hash *hash, aq_duty duty, uint32_t salt) {
  uint8_t ssz[128];
  aq_buf data = AQ_BUF(FAKE_VALUE_MAX);
  aq_att_data att = {.slot = duty.slot};
  aq_unsigned item = {.pubkey = {1}};
  aq_unsigned_set set = {&item, 1};
  aq_arena a;
  aq_arena_init(&a, 1 << 16);
  aq_le32_put(att.beacon_block_root, salt);
  aq_att_data_put(ssz, &att);
  aq_unsigned_data d = {
      .duty = AQ_DUTY_ATTESTER, .value = aq_bytes_of(ssz, sizeof ssz), .attester = {.slot = duty.slot}};
  d.attester.pubkey[0] = 1;
  assert_int_equal(aq_unsigned_encode(&data, &d), AQ_OK);
  item.data = aq_buf_bytes(&data);
  assert_int_equal(aq_qbft_value_encode(out, hash, &a, &set), AQ_OK);
  aq_arena_free(&a);
  aq_buf_free(&data);
}

static inline void fake_value_propose(fake_cluster *w, uint32_t by, aq_duty duty, uint32_t salt) {
  aq_buf bytes = AQ_BUF(FAKE_VALUE_MAX);
  aq_hash hash;
  aq_unsigned_set set;
  aq_arena a;
  aq_arena_init(&a, 1 << 16);
  fake_value_put(&bytes, &hash, duty, salt);
  assert_int_equal(aq_value_decode(&set, &a, aq_buf_bytes(&bytes)), AQ_OK);
  assert_int_equal(aq_consensus_propose(w->node[by].c, duty, &set), AQ_OK);
  aq_arena_free(&a);
  aq_buf_free(&bytes);
}

#endif
