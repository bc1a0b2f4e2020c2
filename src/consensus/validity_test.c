/* A good value of each type, changed in one member at a time. */
#include "aq_test.h"

#include <stdlib.h>

#include "consensus/validity.h"
#include "duty/payload.h"

/* Slots of 12 s, 32 an epoch; Electra from epoch 10 on. The duties here are of epoch 3 and slot 100. */
enum { SLOT = 100, EPOCH = 3, BYTES_MAX = 4 << 20 };

static aq_chain chain_of(void) {
  aq_chain c = {.clock = {0, UINT64_C(12000000000), 32}};
  for (size_t f = AQ_ALTAIR; f < AQ_FORK_CNT; f++) {
    c.fork[f].epoch = f <= AQ_DENEB ? 0 : f == AQ_ELECTRA ? 10 : AQ_FAR_EPOCH;
  }
  return c;
}

static aq_status judge_at(uint64_t slot, aq_duty_type type, const aq_unsigned *item, uint32_t cnt) {
  aq_chain chain = chain_of();
  aq_unsigned_set set = {item, cnt};
  aq_err err = {AQ_OK, ""};
  aq_arena a;
  aq_arena_init(&a, BYTES_MAX);
  aq_status st = aq_value_valid(&a, &chain, (aq_duty){slot, type}, &set, &err);
  assert_true((st == AQ_OK) == (err.text[0] == 0));
  aq_arena_free(&a);
  return st;
}

static aq_status judge(aq_duty_type type, const aq_unsigned *item, uint32_t cnt) {
  return judge_at(SLOT, type, item, cnt);
}

/* One entry under a key of ones. */
static aq_status judge_one(aq_duty_type type, aq_bytes data) {
  aq_unsigned item = {.data = data};
  memset(item.pubkey, 1, sizeof item.pubkey);
  return judge(type, &item, 1);
}

typedef struct {
  aq_att_data data;
  aq_attester_duty duty;
} attester;

static attester good_attester(void) {
  attester t = {.data = {.slot = SLOT, .index = 5, .source_epoch = EPOCH - 1, .target_epoch = EPOCH},
                .duty = {.slot = SLOT, .committee_index = 5}};
  memset(t.duty.pubkey, 1, sizeof t.duty.pubkey);
  return t;
}

static aq_status judge_attester(const attester *t, size_t surplus) {
  uint8_t ssz[128];
  aq_buf out = AQ_BUF(BYTES_MAX);
  aq_att_data_put(ssz, &t->data);
  aq_unsigned_data d = {.duty = AQ_DUTY_ATTESTER, .value = aq_bytes_of(ssz, sizeof ssz), .attester = t->duty};
  assert_int_equal(aq_unsigned_encode(&out, &d), AQ_OK);
  assert_non_null(aq_buf_extend(&out, surplus));
  aq_status st = judge_one(AQ_DUTY_ATTESTER, aq_buf_bytes(&out));
  aq_buf_free(&out);
  return st;
}

/* Goal: no attestation is agreed on that a validator must not sign, or that is of another duty (consensus.md 5.1).
   Method: a good one, then each field wrong for itself. */
static void attester_rules(void **state) {
  (void)state;
  attester t = good_attester();
  assert_int_equal(judge_attester(&t, 0), AQ_OK);
  assert_int_equal(judge_attester(&t, 1), AQ_E_FORMAT);
  t.data.slot++;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t = good_attester();
  t.duty.slot++;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t = good_attester();
  t.duty.pubkey[47]++;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t = good_attester();
  t.data.index = 4;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t.data.index = 0; /* since Electra only */
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t = good_attester();
  t.data.index = t.duty.committee_index = 63;
  assert_int_equal(judge_attester(&t, 0), AQ_OK);
  t.data.index = t.duty.committee_index = 64;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t = good_attester();
  t.data.source_epoch = 0;
  assert_int_equal(judge_attester(&t, 0), AQ_OK);
  t.data.source_epoch = EPOCH;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t.data.source_epoch = EPOCH + 1;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t = good_attester();
  t.data.target_epoch = EPOCH + 1;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
  t.data.source_epoch = t.data.target_epoch = EPOCH - 1;
  assert_int_equal(judge_attester(&t, 0), AQ_E_FORMAT);
}

/* A set of these, under keys of 1, 2, 3. */
static aq_status judge_set(uint64_t slot, attester *t, uint32_t cnt) {
  aq_unsigned item[3] = {0};
  aq_buf out[3];
  for (uint32_t i = 0; i < cnt; i++) {
    uint8_t ssz[128];
    memset(item[i].pubkey, (int)i + 1, 48);
    memset(t[i].duty.pubkey, (int)i + 1, 48);
    t[i].data.slot = t[i].duty.slot = slot;
    out[i] = AQ_BUF(BYTES_MAX);
    aq_att_data_put(ssz, &t[i].data);
    aq_unsigned_data d = {.duty = AQ_DUTY_ATTESTER, .value = aq_bytes_of(ssz, sizeof ssz), .attester = t[i].duty};
    assert_int_equal(aq_unsigned_encode(&out[i], &d), AQ_OK);
    item[i].data = aq_buf_bytes(&out[i]);
  }
  aq_status st = judge_at(slot, AQ_DUTY_ATTESTER, item, cnt);
  for (uint32_t i = 0; i < cnt; i++) aq_buf_free(&out[i]);
  return st;
}

/* Goal: what one set agrees on has one source, one target, and one data a committee: else it is agreed and then not
   served, or only in part. Method: three validators in two committees, each of these told in two ways; heads of two
   committees may differ. */
static void attester_sets(void **state) {
  (void)state;
  attester t[3];
  for (int i = 0; i < 3; i++) t[i] = good_attester();
  t[2].data.index = t[2].duty.committee_index = 6;
  assert_int_equal(judge_set(SLOT, t, 3), AQ_OK);
  t[2].data.beacon_block_root[0] = 1;
  assert_int_equal(judge_set(SLOT, t, 3), AQ_OK);
  t[1].data.beacon_block_root[0] = 1;
  assert_int_equal(judge_set(SLOT, t, 3), AQ_E_FORMAT);
  assert_int_equal(judge_set(SLOT, t, 1), AQ_OK);
  t[1].data.beacon_block_root[0] = 0;
  for (int i = 1; i < 3; i++) {
    const aq_att_data good = t[i].data;
    t[i].data.source_epoch--;
    assert_int_equal(judge_set(SLOT, t, 3), AQ_E_FORMAT);
    t[i].data = good;
    t[i].data.source_root[31] ^= 1;
    assert_int_equal(judge_set(SLOT, t, 3), AQ_E_FORMAT);
    t[i].data = good;
    t[i].data.target_root[31] ^= 1;
    assert_int_equal(judge_set(SLOT, t, 3), AQ_E_FORMAT);
    t[i].data = good;
  }
  assert_int_equal(judge_set(SLOT, t, 3), AQ_OK);
}

/* Goal: the rules at both ends: votes of the first epoch are for itself and no later one is; since Electra the index is
   0 in every committee. Method: slots of epoch 0 and 1, and around the fork at epoch 10. */
static void attester_epochs(void **state) {
  (void)state;
  attester t = good_attester();
  t.data.source_epoch = t.data.target_epoch = 0;
  assert_int_equal(judge_set(31, &t, 1), AQ_OK);
  t.data.target_epoch = 1;
  assert_int_equal(judge_set(32, &t, 1), AQ_OK);
  t.data.source_epoch = 1;
  assert_int_equal(judge_set(32, &t, 1), AQ_E_FORMAT);
  t.data.source_epoch = 8, t.data.target_epoch = 9;
  assert_int_equal(judge_set(319, &t, 1), AQ_OK);
  t.data.index = 0;
  assert_int_equal(judge_set(319, &t, 1), AQ_E_FORMAT);
  t.data.source_epoch = 9, t.data.target_epoch = 10;
  assert_int_equal(judge_set(320, &t, 1), AQ_OK);
  t.data.index = 5;
  assert_int_equal(judge_set(320, &t, 1), AQ_E_FORMAT);
  t.data.target_epoch = t.data.source_epoch = 10;
  t.data.index = 0;
  assert_int_equal(judge_set(320, &t, 1), AQ_E_FORMAT);
}

static void put_block(aq_buf *out, aq_fork fork, bool blinded, uint64_t slot) {
  const aq_ssz_type *t = aq_t_proposal(fork, blinded, false);
  aq_buf value = AQ_BUF(BYTES_MAX);
  uint8_t le[8];
  aq_le64_put(le, slot);
  assert_int_equal(aq_ssz_default(&value, t), AQ_OK);
  aq_bytes at = aq_ssz_get(t, aq_buf_bytes(&value), !blinded && fork >= AQ_DENEB ? "block.slot" : "slot");
  memcpy(value.ptr + (at.ptr - value.ptr), le, 8);
  aq_unsigned_data d = {
      .duty = AQ_DUTY_PROPOSER, .fork = fork, .blinded = blinded, .type = t, .value = aq_buf_bytes(&value)};
  assert_int_equal(aq_unsigned_encode(out, &d), AQ_OK);
  aq_buf_free(&value);
}

static aq_status judge_block(aq_fork fork, bool blinded, uint64_t slot, size_t surplus) {
  aq_buf out = AQ_BUF(BYTES_MAX);
  put_block(&out, fork, blinded, slot);
  assert_non_null(aq_buf_extend(&out, surplus));
  aq_status st = judge_one(AQ_DUTY_PROPOSER, aq_buf_bytes(&out));
  aq_buf_free(&out);
  return st;
}

/* Goal: a block is of the duty's slot and fork, whole and alone.
   Method: blocks of default content, blinded and not; other slots and forks, bytes behind, two in one set. */
static void proposer_rules(void **state) {
  (void)state;
  for (int blinded = 0; blinded < 2; blinded++) {
    assert_int_equal(judge_block(AQ_DENEB, blinded, SLOT, 0), AQ_OK);
    assert_int_equal(judge_block(AQ_DENEB, blinded, SLOT + 1, 0), AQ_E_FORMAT);
    assert_int_equal(judge_block(AQ_DENEB, blinded, SLOT - 1, 0), AQ_E_FORMAT);
    assert_int_equal(judge_block(AQ_ELECTRA, blinded, SLOT, 0), AQ_E_FORMAT);
    assert_int_equal(judge_block(AQ_CAPELLA, blinded, SLOT, 0), AQ_E_FORMAT);
  }
  aq_buf out = AQ_BUF(BYTES_MAX);
  put_block(&out, AQ_DENEB, true, SLOT);
  aq_unsigned two[2] = {{.data = aq_buf_bytes(&out)}, {.data = aq_buf_bytes(&out)}};
  two[1].pubkey[0] = 1;
  assert_int_equal(judge(AQ_DUTY_PROPOSER, two, 1), AQ_OK);
  assert_int_equal(judge(AQ_DUTY_PROPOSER, two, 2), AQ_E_FORMAT);
  assert_int_equal(judge(AQ_DUTY_PROPOSER, two, 0), AQ_E_FORMAT);
  two[0].data.len--;
  assert_int_not_equal(judge(AQ_DUTY_PROPOSER, two, 1), AQ_OK);
  aq_buf_free(&out);
}

static aq_status judge_aggregate(aq_fork fork, bool bare, uint64_t slot, size_t surplus) {
  const aq_ssz_type *t = aq_t_attestation(fork);
  aq_buf value = AQ_BUF(BYTES_MAX), out = AQ_BUF(BYTES_MAX);
  assert_int_equal(aq_ssz_default(&value, t), AQ_OK);
  aq_bytes at = aq_ssz_get(t, aq_buf_bytes(&value), "data.slot");
  aq_le64_put(value.ptr + (at.ptr - value.ptr), slot);
  aq_unsigned_data d = {.duty = AQ_DUTY_AGGREGATOR, .fork = fork, .type = t, .value = aq_buf_bytes(&value)};
  if (bare)
    aq_buf_put_bytes(&out, d.value);
  else
    assert_int_equal(aq_unsigned_encode(&out, &d), AQ_OK);
  assert_non_null(aq_buf_extend(&out, surplus));
  aq_status st = judge_one(AQ_DUTY_AGGREGATOR, aq_buf_bytes(&out));
  aq_buf_free(&value);
  aq_buf_free(&out);
  return st;
}

static aq_status judge_contribution(uint64_t slot, uint64_t subcommittee) {
  const aq_ssz_type *t = &aq_t_sync_committee_contribution;
  aq_buf value = AQ_BUF(BYTES_MAX);
  assert_int_equal(aq_ssz_default(&value, t), AQ_OK);
  aq_bytes at = aq_ssz_get(t, aq_buf_bytes(&value), "slot");
  aq_le64_put(value.ptr + (at.ptr - value.ptr), slot);
  at = aq_ssz_get(t, aq_buf_bytes(&value), "subcommittee_index");
  aq_le64_put(value.ptr + (at.ptr - value.ptr), subcommittee);
  aq_status st = judge_one(AQ_DUTY_SYNC_CONTRIBUTION, aq_buf_bytes(&value));
  aq_buf_free(&value);
  return st;
}

/* Goal: aggregates and contributions are of the duty's slot, contributions of an existing subcommittee.
   Method: default content with a slot, in the forms of new and old peers; an empty list of contributions. */
static void aggregation_rules(void **state) {
  (void)state;
  assert_int_equal(judge_aggregate(AQ_DENEB, false, SLOT, 0), AQ_OK);
  assert_int_equal(judge_aggregate(AQ_ELECTRA, false, SLOT, 0), AQ_OK);
  assert_int_equal(judge_aggregate(AQ_PHASE0, true, SLOT, 0), AQ_OK);
  assert_int_equal(judge_aggregate(AQ_DENEB, false, SLOT + 1, 0), AQ_E_FORMAT);
  assert_int_equal(judge_aggregate(AQ_DENEB, false, SLOT - 1, 0), AQ_E_FORMAT);
  assert_int_equal(judge_contribution(SLOT, 3), AQ_OK);
  assert_int_equal(judge_contribution(SLOT, 4), AQ_E_FORMAT);
  assert_int_equal(judge_contribution(SLOT + 1, 3), AQ_E_FORMAT);
  assert_int_equal(judge_one(AQ_DUTY_SYNC_CONTRIBUTION, aq_bytes_str("[]")), AQ_E_FORMAT);
  assert_int_equal(judge_one(AQ_DUTY_SYNC_CONTRIBUTION, aq_bytes_str("{}")), AQ_E_FORMAT);
}

/* Canonical bytes of cnt entries without data; keys of one repeated hex digit each, after the prefix. */
static void put_set(aq_buf *out, const char *prefix, const char *digits) {
  for (; *digits; digits++) {
    uint8_t head[] = {0x0a, 0, 0x0a, 0};
    size_t at = out->len, len = strlen(prefix) + 96;
    head[1] = (uint8_t)(len + 2), head[3] = (uint8_t)len;
    aq_buf_put(out, head, sizeof head);
    aq_buf_put_str(out, prefix);
    memset(aq_buf_extend(out, 96), *digits, 96);
    assert_int_equal(out->len, at + 4 + len);
  }
}

static aq_status decode(const char *prefix, const char *digits, const char *rest) {
  aq_buf in = AQ_BUF(BYTES_MAX);
  aq_unsigned_set set;
  aq_arena a;
  aq_arena_init(&a, BYTES_MAX);
  put_set(&in, prefix, digits);
  aq_buf_put_str(&in, rest);
  aq_status st = aq_value_decode(&set, &a, aq_buf_bytes(&in));
  assert_int_equal(set.cnt, st == AQ_OK ? strlen(digits) : 0);
  if (st == AQ_OK) assert_int_equal(set.item[0].pubkey[47] & 15, strtol((char[]){digits[0], 0}, NULL, 16));
  aq_arena_free(&a);
  aq_buf_free(&in);
  return st;
}

/* Goal: a set names each validator once, in order, by a lower-case key; nothing else is in it.
   Method: sets written by hand, good and with each fault. */
static void set_rules(void **state) {
  (void)state;
  assert_int_equal(decode("0x", "1", ""), AQ_OK);
  assert_int_equal(decode("0x", "1ab", ""), AQ_OK);
  assert_int_equal(decode("0x", "", ""), AQ_E_FORMAT);
  assert_int_equal(decode("0x", "11", ""), AQ_E_FORMAT);
  assert_int_equal(decode("0x", "1ba", ""), AQ_E_FORMAT);
  assert_int_equal(decode("0x", "A", ""), AQ_E_FORMAT);
  assert_int_equal(decode("0x", "g", ""), AQ_E_FORMAT);
  assert_int_equal(decode("0X", "1", ""), AQ_E_FORMAT);
  assert_int_equal(decode("1x", "1", ""), AQ_E_FORMAT);
  assert_int_equal(decode("", "1", ""), AQ_E_FORMAT);
  assert_int_equal(decode("0x", "1", "\x7a\x01\x01"), AQ_E_FORMAT); /* field 15 */
  assert_int_equal(decode("0x", "1", "\x0a"), AQ_E_FORMAT);
}

/* Goal: a set for which there is no room is an error. Method: arenas from nothing up to what is enough. */
static void set_without_room(void **state) {
  (void)state;
  aq_buf in = AQ_BUF(BYTES_MAX);
  aq_status st = AQ_E_LIMIT;
  size_t limits = 0;
  put_set(&in, "0x", "123");
  for (size_t max = 0; st != AQ_OK; max += 8) {
    aq_unsigned_set set;
    aq_arena a;
    aq_arena_init(&a, max);
    st = aq_value_decode(&set, &a, aq_buf_bytes(&in));
    assert_int_equal(set.cnt, st == AQ_OK ? 3 : 0);
    limits += st == AQ_E_LIMIT;
    aq_arena_free(&a);
  }
  assert_true(limits > 0);
  aq_buf_free(&in);
}

/* Goal: what is agreed on can be read by who receives it only as a decision, surplus bytes included.
   Method: an attestation with bytes behind it, and half of one. */
static void decisions_are_read(void **state) {
  (void)state;
  uint8_t ssz[128], data[300] = {0};
  attester t = good_attester();
  aq_buf out = AQ_BUF(BYTES_MAX);
  aq_err err = {AQ_OK, ""};
  aq_arena a;
  aq_arena_init(&a, BYTES_MAX);
  aq_att_data_put(ssz, &t.data);
  aq_unsigned_data d = {.duty = AQ_DUTY_ATTESTER, .value = aq_bytes_of(ssz, sizeof ssz), .attester = t.duty};
  assert_int_equal(aq_unsigned_encode(&out, &d), AQ_OK);
  memcpy(data, out.ptr, out.len);
  aq_unsigned item = {.data = aq_bytes_of(data, sizeof data)};
  aq_unsigned_set set = {&item, 1};
  assert_int_equal(aq_value_readable(&a, AQ_DUTY_ATTESTER, &set, &err), AQ_OK);
  item.data.len = out.len / 2;
  assert_int_not_equal(aq_value_readable(&a, AQ_DUTY_ATTESTER, &set, &err), AQ_OK);
  assert_string_equal(err.text, "entry 0 does not decode");
  aq_arena_free(&a);
  aq_buf_free(&out);
}

/* Goal: a priority result has messages or topics and nothing unknown, or nobody prepares it (consensus.md 5.1).
   Method: nothing, each part alone, with an unknown field, garbage. */
static void priority_results(void **state) {
  (void)state;
  static const struct {
    uint8_t bytes[6], len;
    bool good;
  } t[] = {{{0}, 0, false},       {{0x0a, 2, 0x0a, 0}, 4, true},           {{0x12, 2, 0x0a, 0}, 4, true},
           {{0x0a, 0}, 2, false}, /* without its duty */
           {{0x78, 1}, 2, false}, {{0x0a, 2, 0x0a, 0, 0x78, 1}, 6, false}, {{0x0a, 5}, 2, false}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    aq_arena a;
    aq_arena_init(&a, 1 << 20);
    assert_int_equal(aq_value_priority_ok(&a, aq_bytes_of(t[i].bytes, t[i].len)), t[i].good);
    aq_arena_free(&a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(attester_rules),   cmocka_unit_test(attester_sets),      cmocka_unit_test(attester_epochs),
      cmocka_unit_test(proposer_rules),   cmocka_unit_test(aggregation_rules),  cmocka_unit_test(set_rules),
      cmocka_unit_test(set_without_room), cmocka_unit_test(decisions_are_read), cmocka_unit_test(priority_results),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
