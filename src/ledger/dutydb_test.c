/* Each kind of value by each of its keys, and sets that do not fit together. */
#include "ledger/dutydb.h"

#include "aq_test.h"
#include "fake/env.h"

enum { SPE = 32 };
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT_NS AQ_SECONDS(12)

typedef struct {
  fake_env env;
  aq_chain chain;
  aq_dutydb *db;
} fixture;

typedef struct {
  int calls;
  aq_status st;
  uint8_t first[160], pubkey[48];
  uint64_t index;
} answer;

static void open_db(fixture *f, uint64_t slot) {
  memset(f, 0, sizeof *f);
  fake_env_init(&f->env, GENESIS + slot * SLOT_NS);
  f->chain.clock = (aq_clock){GENESIS, SLOT_NS, SPE};
  f->db = aq_dutydb_new(&f->env.env, &f->chain);
}

static void close_db(fixture *f) {
  aq_dutydb_free(f->db);
  fake_env_free(&f->env);
}

static void on_answer(void *arg, aq_status st, const aq_unsigned_data *d, const uint8_t *pubkey) {
  answer *a = arg;
  a->calls++;
  a->st = st;
  if (!d) return;
  memcpy(a->first, d->value.ptr, d->value.len < sizeof a->first ? d->value.len : sizeof a->first);
  memcpy(a->pubkey, pubkey, 48);
}

static void key_of(uint8_t out[48], uint32_t v) {
  memset(out, 0xaa, 48);
  aq_be32_put(out, v);
}

/* Entry of validator v, committee c; head is the block root's first byte, target the target root's. */
static aq_buf attester_in(uint64_t duty_slot, uint64_t slot, uint32_t v, uint64_t c, uint64_t data_index, uint8_t head,
                          uint8_t target) {
  aq_buf out = AQ_BUF(4096);
  aq_att_data a = {.slot = slot, .index = data_index, .source_epoch = slot / SPE - 1, .target_epoch = slot / SPE};
  uint8_t ssz[128];
  a.beacon_block_root[0] = head;
  a.target_root[0] = target;
  aq_att_data_put(ssz, &a);
  aq_unsigned_data d = {.duty = AQ_DUTY_ATTESTER, .type = &aq_t_attestation_data, .value = aq_bytes_of(ssz, 128)};
  d.attester = (aq_attester_duty){.slot = duty_slot,
                                  .validator_index = 100 + v,
                                  .committee_index = c,
                                  .committee_length = 8,
                                  .committees_at_slot = 4,
                                  .validator_committee_index = v};
  key_of(d.attester.pubkey, v);
  assert_int_equal(aq_unsigned_encode(&out, &d), AQ_OK);
  return out;
}

static aq_buf attester(uint64_t slot, uint32_t v, uint64_t c, uint64_t data_index, uint8_t head, uint8_t target) {
  return attester_in(slot, slot, v, c, data_index, head, target);
}

static aq_status store(fixture *f, aq_duty duty, uint32_t v, aq_buf data) {
  aq_unsigned item;
  key_of(item.pubkey, v);
  item.data = aq_buf_bytes(&data);
  aq_status st = aq_dutydb_store(f->db, duty, &(aq_unsigned_set){&item, 1});
  aq_buf_free(&data);
  return st;
}

/* Goal: attestation data of a slot and committee is one truth; index 0 is an alias whose head may differ (core.md 8.2).
   Method: equal, contradicting and aliasing stores, and what queries see. */
static void test_attester(void **state) {
  (void)state;
  fixture f;
  open_db(&f, 320);
  aq_duty duty = {320, AQ_DUTY_ATTESTER};
  uint8_t want[48];
  answer a3 = {0}, a0 = {0}, late = {0};
  aq_dutydb_waiter w3 = {.kind = AQ_DUTY_ATTESTER, .slot = 320, .index = 3, .fn = on_answer, .arg = &a3};
  aq_dutydb_waiter w0 = {.kind = AQ_DUTY_ATTESTER, .slot = 320, .index = 0, .fn = on_answer, .arg = &a0};
  aq_dutydb_await(f.db, &w3, fake_env_now(&f.env) + AQ_SECONDS(10));
  aq_dutydb_await(f.db, &w0, fake_env_now(&f.env) + AQ_SECONDS(10));
  assert_int_equal(a3.calls + a0.calls, 0);
  assert_int_equal(store(&f, duty, 1, attester(320, 1, 3, 0, 7, 1)), AQ_OK);
  assert_true(a3.calls == 1 && a3.st == AQ_OK && a3.first[16] == 7);
  assert_true(a0.calls == 1 && a0.st == AQ_OK && a0.first[16] == 7);
  assert_int_equal(store(&f, duty, 1, attester(320, 1, 3, 0, 7, 1)), AQ_OK);
  assert_int_equal(store(&f, duty, 1, attester(320, 1, 3, 0, 8, 1)), AQ_E_EXISTS); /* another head, same committee */
  assert_int_equal(store(&f, duty, 2, attester(320, 2, 2, 0, 9, 2)), AQ_E_EXISTS); /* another target under the alias */
  assert_int_equal(aq_dutydb_attestation(f.db, 320, 2).len, 0);                    /* nothing of it stayed */
  assert_int_equal(store(&f, duty, 2, attester(320, 2, 2, 0, 9, 1)), AQ_OK);       /* another head, other committee */
  assert_int_equal(aq_dutydb_attestation(f.db, 320, 2).ptr[16], 9);
  assert_int_equal(aq_dutydb_attestation(f.db, 320, 0).ptr[16], 7); /* the first stays */
  key_of(want, 2);
  assert_memory_equal(aq_dutydb_attester(f.db, 320, 2, 102).pubkey, want, 48);
  assert_memory_equal(aq_dutydb_attester(f.db, 320, 0, 102).pubkey, want, 48);
  assert_int_equal(aq_dutydb_attester(f.db, 320, 0, 102).data->attester.committee_index, 2);
  assert_null(aq_dutydb_attester(f.db, 320, 3, 102).data);
  assert_null(aq_dutydb_attester(f.db, 321, 2, 102).data);
  uint64_t place = aq_dutydb_attester(f.db, 320, 2, 102).data->attester.validator_committee_index;
  assert_memory_equal(aq_dutydb_member(f.db, 320, 2, place).pubkey, want, 48);
  assert_null(aq_dutydb_member(f.db, 320, 0, place).data); /* a place belongs to its own committee only */
  assert_null(aq_dutydb_member(f.db, 320, 2, place + 1).data);
  assert_int_equal(store(&f, duty, 4, attester(321, 4, 6, 0, 7, 1)), AQ_E_FORMAT); /* of another slot */
  aq_buf other = attester(320, 1, 3, 0, 7, 1);
  aq_unsigned item = {.data = aq_buf_bytes(&other)};
  key_of(item.pubkey, 4); /* validator 101 under another key */
  assert_int_equal(aq_dutydb_store(f.db, duty, &(aq_unsigned_set){&item, 1}), AQ_E_EXISTS);
  aq_buf_free(&other);
  key_of(want, 1);
  assert_memory_equal(aq_dutydb_attester(f.db, 320, 3, 101).pubkey, want, 48);
  aq_dutydb_waiter wl = {.kind = AQ_DUTY_ATTESTER, .slot = 320, .index = 2, .fn = on_answer, .arg = &late};
  aq_dutydb_await(f.db, &wl, fake_env_now(&f.env) + AQ_SECONDS(10));
  assert_true(late.calls == 1 && late.first[16] == 9);
  close_db(&f);
}

/* Goal: one set is stored as a whole or not at all, and committee 0 itself comes before the alias of another.
   Method: a set with an inner contradiction, then a set with committees 5 and 0. */
static void test_sets(void **state) {
  (void)state;
  fixture f;
  open_db(&f, 320);
  aq_duty duty = {320, AQ_DUTY_ATTESTER};
  aq_buf a = attester(320, 1, 5, 5, 7, 1), b = attester(320, 2, 5, 5, 8, 1), c = attester(320, 3, 0, 0, 6, 1);
  aq_unsigned item[2];
  key_of(item[0].pubkey, 1), key_of(item[1].pubkey, 2);
  item[0].data = aq_buf_bytes(&a), item[1].data = aq_buf_bytes(&b);
  assert_int_equal(aq_dutydb_store(f.db, duty, &(aq_unsigned_set){item, 2}), AQ_E_EXISTS);
  assert_int_equal(aq_dutydb_attestation(f.db, 320, 5).len, 0);
  assert_int_equal(f.env.timers.cnt, 0); /* nothing waits for its deadline */
  key_of(item[1].pubkey, 3);
  item[1].data = aq_buf_bytes(&c);
  assert_int_equal(aq_dutydb_store(f.db, duty, &(aq_unsigned_set){item, 2}), AQ_OK);
  assert_int_equal(aq_dutydb_attestation(f.db, 320, 0).ptr[16], 6);
  assert_int_equal(aq_dutydb_attestation(f.db, 320, 5).ptr[16], 7);
  assert_int_equal(aq_dutydb_store(f.db, duty, &(aq_unsigned_set){item, 0}), AQ_E_FORMAT);
  for (uint64_t i = 0; i < 2; i++) { /* data, or a duty, of another slot */
    aq_buf other = attester_in(320 + i, 321 - i, 1, 6, 6, 7, 1);
    item[0].data = aq_buf_bytes(&other);
    assert_int_equal(aq_dutydb_store(f.db, duty, &(aq_unsigned_set){item, 1}), AQ_E_FORMAT);
    assert_int_equal(aq_dutydb_attestation(f.db, 320, 6).len, 0);
    aq_buf_free(&other);
  }
  item[0].data = aq_buf_bytes(&a);
  item[0].data.len--;
  assert_int_equal(aq_dutydb_store(f.db, duty, &(aq_unsigned_set){item, 1}), AQ_E_FORMAT);
  aq_buf_free(&a), aq_buf_free(&b), aq_buf_free(&c);
  close_db(&f);
}

static aq_buf proposal(uint64_t slot, uint8_t parent) {
  aq_buf ssz = AQ_BUF(1 << 20), with = AQ_BUF(1 << 20), out = AQ_BUF(1 << 20);
  uint8_t le[8], root[32] = {parent};
  const aq_ssz_type *t = aq_t_proposal(AQ_CAPELLA, false, false);
  aq_le64_put(le, slot);
  assert_int_equal(aq_ssz_default(&ssz, t), AQ_OK);
  assert_int_equal(aq_ssz_with(&with, t, aq_buf_bytes(&ssz), "slot", aq_bytes_of(le, 8)), AQ_OK);
  aq_buf_reset(&ssz);
  assert_int_equal(aq_ssz_with(&ssz, t, aq_buf_bytes(&with), "parent_root", aq_bytes_of(root, 32)), AQ_OK);
  aq_unsigned_data d = {.duty = AQ_DUTY_PROPOSER, .fork = AQ_CAPELLA, .type = t, .value = aq_buf_bytes(&ssz)};
  assert_int_equal(aq_unsigned_encode(&out, &d), AQ_OK);
  aq_buf_free(&ssz), aq_buf_free(&with);
  return out;
}

/* Goal: one proposal a slot. Method: equal and another block; two entries; waiters before and after. */
static void test_proposal(void **state) {
  (void)state;
  fixture f;
  open_db(&f, 320);
  aq_duty duty = {320, AQ_DUTY_PROPOSER};
  answer a = {0};
  aq_dutydb_waiter w = {.kind = AQ_DUTY_PROPOSER, .slot = 320, .fn = on_answer, .arg = &a};
  aq_dutydb_await(f.db, &w, fake_env_now(&f.env) + AQ_SECONDS(1));
  assert_int_equal(store(&f, duty, 4, proposal(320, 1)), AQ_OK);
  assert_true(a.calls == 1 && a.st == AQ_OK && aq_le64_get(a.first) == 320);
  assert_int_equal(store(&f, duty, 4, proposal(320, 1)), AQ_OK);
  assert_int_equal(store(&f, duty, 4, proposal(320, 2)), AQ_E_EXISTS);
  close_db(&f);
}

static aq_buf contribution(uint64_t slot, uint64_t sub, uint8_t root, uint8_t bits) {
  aq_buf out = AQ_BUF(4096);
  uint8_t ssz[160] = {0};
  aq_le64_put(ssz, slot);
  ssz[8] = root;
  aq_le64_put(ssz + 40, sub);
  ssz[48] = bits;
  aq_buf_put(&out, ssz, sizeof ssz);
  return out;
}

/* Goal: contributions are kept by subcommittee and block root; the plural form serves each of its elements.
   Method: single stores that agree and contradict, then a JSON array. */
static void test_contributions(void **state) {
  (void)state;
  fixture f;
  open_db(&f, 320);
  aq_duty duty = {320, AQ_DUTY_SYNC_CONTRIBUTION};
  assert_int_equal(store(&f, duty, 1, contribution(320, 2, 5, 1)), AQ_OK);
  assert_int_equal(store(&f, duty, 1, contribution(320, 2, 5, 3)), AQ_E_EXISTS);
  assert_int_equal(store(&f, duty, 1, contribution(320, 2, 6, 3)), AQ_OK);
  assert_int_equal(store(&f, duty, 1, contribution(321, 2, 6, 3)), AQ_E_FORMAT);
  aq_buf one = contribution(320, 0, 9, 1), two = contribution(320, 3, 9, 2), json = AQ_BUF(1 << 16);
  const aq_ssz_type *t = &aq_t_sync_committee_contribution;
  aq_buf_put_str(&json, "[");
  aq_ssz_to_json(&json, t, aq_buf_bytes(&one));
  aq_buf_put_str(&json, ",");
  aq_ssz_to_json(&json, t, aq_buf_bytes(&two));
  aq_buf_put_str(&json, "]");
  assert_int_equal(store(&f, duty, 7, json), AQ_OK);
  answer a = {0};
  aq_dutydb_waiter w = {
      .kind = AQ_DUTY_SYNC_CONTRIBUTION, .slot = 320, .index = 3, .root = {9}, .fn = on_answer, .arg = &a};
  aq_dutydb_await(f.db, &w, fake_env_now(&f.env));
  assert_true(a.calls == 1 && a.st == AQ_OK);
  assert_memory_equal(a.first, two.ptr, 160);
  aq_buf_free(&one), aq_buf_free(&two);
  close_db(&f);
}

static aq_buf aggregate(uint64_t slot, unsigned committee, uint8_t sig) {
  aq_buf ssz = AQ_BUF(1 << 16), with = AQ_BUF(1 << 16), out = AQ_BUF(1 << 16);
  const aq_ssz_type *t = aq_t_attestation(AQ_ELECTRA);
  uint8_t le[8], bits[8] = {0}, s[96] = {sig};
  aq_le64_put(le, slot);
  bits[committee / 8] = (uint8_t)(1u << committee % 8);
  assert_int_equal(aq_ssz_default(&ssz, t), AQ_OK);
  assert_int_equal(aq_ssz_with(&with, t, aq_buf_bytes(&ssz), "data.slot", aq_bytes_of(le, 8)), AQ_OK);
  aq_buf_reset(&ssz);
  assert_int_equal(aq_ssz_with(&ssz, t, aq_buf_bytes(&with), "committee_bits", aq_bytes_of(bits, 8)), AQ_OK);
  aq_buf_reset(&with);
  assert_int_equal(aq_ssz_with(&with, t, aq_buf_bytes(&ssz), "signature", aq_bytes_of(s, 96)), AQ_OK);
  aq_unsigned_data d = {.duty = AQ_DUTY_AGGREGATOR, .fork = AQ_ELECTRA, .type = t, .value = aq_buf_bytes(&with)};
  assert_int_equal(aq_unsigned_encode(&out, &d), AQ_OK);
  aq_buf_free(&ssz), aq_buf_free(&with);
  return out;
}

/* Goal: an aggregate is found by data root and committee bit; a newer one replaces it.
   Method: two aggregates of one committee with different signatures, and one of another committee. */
static void test_aggregates(void **state) {
  (void)state;
  fixture f;
  open_db(&f, 320);
  aq_duty duty = {320, AQ_DUTY_AGGREGATOR};
  answer a = {0}, b = {0};
  assert_int_equal(store(&f, duty, 1, aggregate(320, 6, 1)), AQ_OK);
  assert_int_equal(store(&f, duty, 1, aggregate(320, 6, 2)), AQ_OK);
  assert_int_equal(store(&f, duty, 1, aggregate(321, 6, 2)), AQ_E_FORMAT);
  uint8_t data[128] = {0};
  aq_le64_put(data, 320);
  aq_dutydb_waiter w = {.kind = AQ_DUTY_AGGREGATOR, .slot = 320, .index = 6, .fn = on_answer, .arg = &a};
  aq_ssz_root(w.root, &aq_t_attestation_data, aq_bytes_of(data, 128));
  aq_dutydb_waiter other = w;
  other.index = 5, other.arg = &b;
  aq_dutydb_await(f.db, &w, fake_env_now(&f.env));
  assert_int_equal(a.calls, 1);
  assert_int_equal(a.first[4 + 128], 2); /* the signature follows the offset and the data */
  aq_dutydb_await(f.db, &other, fake_env_now(&f.env) + 1);
  assert_int_equal(b.calls, 0);
  fake_env_run_for(&f.env, 2);
  assert_true(b.calls == 1 && b.st == AQ_E_TIMEOUT);
  close_db(&f);
}

/* Goal: values end at the duty's deadline, waiters at theirs or at the end of the database.
   Method: time passes; a store after the deadline; cancel and free with open waiters. */
static void test_expiry(void **state) {
  (void)state;
  fixture f;
  open_db(&f, 320);
  answer a = {0}, b = {0}, c = {0};
  assert_int_equal(store(&f, (aq_duty){320, AQ_DUTY_ATTESTER}, 1, attester(320, 1, 3, 0, 7, 1)), AQ_OK);
  fake_env_run_until(&f.env, GENESIS + (320 + SPE) * SLOT_NS + SLOT_NS / 12 - 1);
  assert_int_equal(aq_dutydb_attestation(f.db, 320, 3).len, 128);
  fake_env_run_for(&f.env, 1);
  assert_int_equal(aq_dutydb_attestation(f.db, 320, 3).len, 0);
  assert_int_equal(store(&f, (aq_duty){320, AQ_DUTY_ATTESTER}, 1, attester(320, 1, 3, 0, 7, 1)), AQ_E_STALE);
  assert_int_equal(store(&f, (aq_duty){400, AQ_DUTY_RANDAO}, 1, attester(400, 1, 3, 0, 7, 1)), AQ_E_FORMAT);
  aq_dutydb_waiter w[3] = {{.kind = AQ_DUTY_PROPOSER, .slot = 360, .fn = on_answer, .arg = &a},
                           {.kind = AQ_DUTY_PROPOSER, .slot = 360, .fn = on_answer, .arg = &b},
                           {.kind = AQ_DUTY_PROPOSER, .slot = 360, .fn = on_answer, .arg = &c}};
  for (int i = 0; i < 3; i++) aq_dutydb_await(f.db, &w[i], fake_env_now(&f.env) + AQ_SECONDS(10 * (i + 1)));
  aq_dutydb_cancel(&w[1]);
  aq_dutydb_cancel(&w[1]);
  fake_env_run_for(&f.env, AQ_SECONDS(11));
  assert_true(a.calls == 1 && a.st == AQ_E_TIMEOUT && b.calls == 0 && c.calls == 0);
  close_db(&f);
  assert_true(c.calls == 1 && c.st == AQ_E_CLOSED && b.calls == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_attester),      cmocka_unit_test(test_sets),       cmocka_unit_test(test_proposal),
      cmocka_unit_test(test_contributions), cmocka_unit_test(test_aggregates), cmocka_unit_test(test_expiry),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
