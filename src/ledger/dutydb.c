/* The ledger of decisions: a row of operations a type of duty. */
#include "ledger/dutydb.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/map.h"

enum {
  DUTY_BYTES_MAX = 96 << 20, /* one consensus value is at most 32 MiB; JSON converted beside it, a second store */
  VALUES_MAX = 1 << 20,
  KEY_LEN = 64,
  COMMITTEES_MAX = 64 /* bits of an attestation's committee_bits */
};

typedef enum { KIND_ATTESTATION = 1, KIND_PUBKEY, KIND_MEMBER, KIND_PROPOSAL, KIND_AGGREGATE, KIND_CONTRIBUTION } kind;

/* One duty: its memory and its values, gone at the deadline. */
typedef struct {
  aq_list link, values;
  aq_timer timer;
  aq_duty duty;
  aq_arena arena;
  aq_dutydb *db;
} record;

typedef struct {
  aq_list link;
  uint8_t key[KEY_LEN];
  aq_unsigned_data data;
  uint8_t pubkey[48];
  bool alias; /* attestation data of some committee under index 0 */
  bool fresh; /* not there before the store that is under way */
} value;

struct aq_dutydb {
  const aq_env *env;
  const aq_chain *chain;
  aq_list records, waiters;
  aq_map values;
};

aq_dutydb *aq_dutydb_new(const aq_env *env, const aq_chain *chain) {
  aq_dutydb *db = calloc(1, sizeof *db);
  AQ_ASSERT(db);
  uint8_t seed[16];
  aq_random(env, seed, sizeof seed);
  db->env = env;
  db->chain = chain;
  aq_list_init(&db->records);
  aq_list_init(&db->waiters);
  aq_map_init(&db->values, KEY_LEN, VALUES_MAX, seed);
  return db;
}

static void key_of(uint8_t out[KEY_LEN], kind k, uint64_t slot, uint64_t a, uint64_t b, const uint8_t *root) {
  memset(out, 0, KEY_LEN);
  aq_le64_put(out, (uint64_t)k);
  aq_le64_put(out + 8, slot);
  aq_le64_put(out + 16, a);
  aq_le64_put(out + 24, b);
  if (root) memcpy(out + 32, root, 32);
}

static void record_free(record *r) {
  AQ_LIST_EACH(&r->values, v, value, link) aq_map_del(&r->db->values, v->key);
  aq_timer_cancel(r->db->env, &r->timer);
  aq_list_remove(&r->link);
  aq_arena_free(&r->arena);
  free(r);
}

static void record_over(void *arg) { record_free(arg); }

static record *record_get(aq_dutydb *db, aq_duty duty, uint64_t deadline_ns) {
  AQ_LIST_EACH(&db->records, it, record, link) {
    if (aq_duty_eq(it->duty, duty)) return it;
  }
  record *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->duty = duty;
  r->db = db;
  aq_arena_init(&r->arena, DUTY_BYTES_MAX);
  aq_list_init(&r->values);
  aq_list_push(&db->records, &r->link);
  aq_timer_set(db->env, &r->timer, deadline_ns, record_over, r);
  return r;
}

/* ---- storing ---- */

static bool same_bytes(const value *v, const aq_unsigned_data *d) {
  return v->data.type == d->type && v->data.fork == d->fork && v->data.blinded == d->blinded &&
         aq_bytes_eq(v->data.value, d->value);
}

static bool same_root(const value *v, const aq_unsigned_data *d) {
  uint8_t a[32], b[32];
  if (same_bytes(v, d)) return true;
  if (!v->data.type || !d->type) return false;
  aq_ssz_root(a, v->data.type, v->data.value);
  aq_ssz_root(b, d->type, d->value);
  return memcmp(a, b, 32) == 0;
}

static bool same_votes(const value *v, const aq_unsigned_data *d) {
  aq_att_data a, b;
  aq_att_data_get(&a, v->data.value);
  aq_att_data_get(&b, d->value);
  return a.source_epoch == b.source_epoch && a.target_epoch == b.target_epoch &&
         memcmp(a.source_root, b.source_root, 32) == 0 && memcmp(a.target_root, b.target_root, 32) == 0;
}

static aq_status add(record *r, const uint8_t key[KEY_LEN], const aq_unsigned_data *d, const uint8_t pubkey[48],
                     bool alias) {
  value *v = aq_arena_alloc(&r->arena, sizeof *v);
  if (!v) return AQ_E_LIMIT;
  memcpy(v->key, key, KEY_LEN);
  memcpy(v->pubkey, pubkey, 48);
  v->data = *d;
  v->alias = alias;
  v->fresh = true;
  aq_status st = aq_map_put(&r->db->values, key, v);
  if (st == AQ_OK) aq_list_push(&r->values, &v->link);
  return st;
}

/* Of two that claim one place the first has it: no other check hangs on it. */
static aq_status put_member(record *r, const aq_unsigned_data *d, const uint8_t pubkey[48]) {
  uint8_t key[KEY_LEN];
  key_of(key, KIND_MEMBER, r->duty.slot, d->attester.committee_index, d->attester.validator_committee_index, NULL);
  return aq_map_get(&r->db->values, key) ? AQ_OK : add(r, key, d, pubkey, false);
}

/* core.md 8.2: the table's first three rows. The alias under index 0 gives way to committee 0 itself. */
static aq_status put_attestation(record *r, const aq_unsigned_data *d, const uint8_t pubkey[48]) {
  uint8_t key[KEY_LEN];
  uint64_t slot = r->duty.slot, index = d->attester.committee_index;
  if (aq_le64_get(d->value.ptr) != slot || d->attester.slot != slot) return AQ_E_FORMAT;
  const uint64_t places[] = {index, 0};
  for (size_t i = 0; i < (index == 0 ? 1 : 2); i++) {
    bool alias = places[i] != index;
    key_of(key, KIND_ATTESTATION, slot, places[i], 0, NULL);
    value *v = aq_map_get(&r->db->values, key);
    aq_status st = AQ_OK;
    if (!v) {
      st = add(r, key, d, pubkey, alias);
    } else if (alias || v->alias) {
      if (!same_votes(v, d)) return AQ_E_EXISTS;
      if (!alias && v->fresh) v->data = *d, v->alias = false;
    } else if (!same_bytes(v, d)) {
      return AQ_E_EXISTS;
    }
    if (st) return st;
    key_of(key, KIND_PUBKEY, slot, places[i], d->attester.validator_index, NULL);
    v = aq_map_get(&r->db->values, key);
    if (v && memcmp(v->pubkey, pubkey, 48) != 0) return AQ_E_EXISTS;
    if (!v) st = add(r, key, d, pubkey, alias);
    if (st) return st;
  }
  return put_member(r, d, pubkey);
}

static aq_status put_one(record *r, kind k, uint64_t a, const uint8_t *root, const aq_unsigned_data *d,
                         const uint8_t pubkey[48]) {
  uint8_t key[KEY_LEN];
  key_of(key, k, r->duty.slot, a, 0, root);
  value *v = aq_map_get(&r->db->values, key);
  if (!v) return add(r, key, d, pubkey, false);
  if (k == KIND_AGGREGATE) { /* newer replaces older: the data root is the same by construction */
    v->data = *d;
    return AQ_OK;
  }
  return same_root(v, d) ? AQ_OK : AQ_E_EXISTS;
}

static uint64_t committee_of(const aq_unsigned_data *d) {
  if (!aq_fork_of(d->fork)->committee_bits) return aq_ssz_get_u64(d->type, d->value, "data.index");
  const aq_ssz_type *t = aq_ssz_type_at(d->type, "committee_bits");
  aq_bytes bits = aq_ssz_get(d->type, d->value, "committee_bits");
  for (uint64_t i = 0; i < COMMITTEES_MAX; i++) {
    if (aq_ssz_bit(t, bits, i)) return i;
  }
  return 0;
}

static aq_status put_aggregate(record *r, const aq_unsigned_data *d, const uint8_t pubkey[48]) {
  uint8_t root[32];
  aq_bytes data = aq_ssz_get(d->type, d->value, "data");
  if (aq_le64_get(data.ptr) != r->duty.slot) return AQ_E_FORMAT;
  aq_ssz_root(root, &aq_t_attestation_data, data);
  return put_one(r, KIND_AGGREGATE, committee_of(d), root, d, pubkey);
}

static aq_status put_contributions(record *r, const aq_unsigned_data *d, const uint8_t pubkey[48]) {
  bool list = d->type->kind == AQ_SSZ_LIST;
  size_t cnt = list ? aq_ssz_count(d->type, d->value) : 1;
  aq_unsigned_data one = *d;
  one.type = &aq_t_sync_committee_contribution;
  for (size_t i = 0; i < cnt; i++) {
    if (list) one.value = aq_ssz_elem(d->type, d->value, i);
    if (aq_ssz_get_u64(one.type, one.value, "slot") != r->duty.slot) return AQ_E_FORMAT;
    aq_status st = put_one(r, KIND_CONTRIBUTION, aq_ssz_get_u64(one.type, one.value, "subcommittee_index"),
                           aq_ssz_get(one.type, one.value, "beacon_block_root").ptr, &one, pubkey);
    if (st) return st;
  }
  return AQ_OK;
}

static aq_status put_proposal(record *r, const aq_unsigned_data *d, const uint8_t pubkey[48]) {
  return put_one(r, KIND_PROPOSAL, 0, NULL, d, pubkey);
}

/* ---- the rows ---- */

typedef struct {
  aq_status (*put)(record *r, const aq_unsigned_data *d, const uint8_t pubkey[48]); /* NULL: nothing is kept */
  kind kind; /* of what is waited for, and what else its key has */
  bool by_index, by_root;
} aq_ledger_ops;

AQ_DUTY_OPS(aq_ledger_ops, ledger)

const aq_ledger_ops aq_ledger_attester = {.put = put_attestation, .kind = KIND_ATTESTATION, .by_index = true};
const aq_ledger_ops aq_ledger_proposer = {.put = put_proposal, .kind = KIND_PROPOSAL};
const aq_ledger_ops aq_ledger_aggregator = {
    .put = put_aggregate, .kind = KIND_AGGREGATE, .by_index = true, .by_root = true};
const aq_ledger_ops aq_ledger_sync_contribution = {
    .put = put_contributions, .kind = KIND_CONTRIBUTION, .by_index = true, .by_root = true};
const aq_ledger_ops aq_ledger_signature = {0}, aq_ledger_exit = {0}, aq_ledger_builder_proposer = {0},
                    aq_ledger_builder_registration = {0}, aq_ledger_randao = {0}, aq_ledger_prepare_aggregator = {0},
                    aq_ledger_sync_message = {0}, aq_ledger_prepare_sync_contribution = {0}, aq_ledger_info_sync = {0};

static aq_status put_entry(record *r, const aq_unsigned *in) {
  aq_unsigned_data d;
  aq_bytes copy = aq_arena_copy(&r->arena, in->data);
  if (!copy.ptr) return AQ_E_LIMIT;
  aq_status st = aq_unsigned_decode(&d, &r->arena, r->duty.type, copy);
  if (st) return AQ_E_FORMAT;
  const aq_ledger_ops *o = ops_of(r->duty.type);
  return o->put ? o->put(r, &d, in->pubkey) : AQ_E_FORMAT;
}

static bool matches(const aq_dutydb_waiter *w, uint8_t key[KEY_LEN]) {
  const aq_ledger_ops *o = ops_of(w->kind);
  if (!o->put) return false;
  key_of(key, o->kind, w->slot, o->by_index ? w->index : 0, 0, o->by_root ? w->root : NULL);
  return true;
}

static void answer(aq_dutydb_waiter *w, aq_status st, const value *v) {
  if (w->db) aq_timer_cancel(w->db->env, &w->timer);
  if (w->db) aq_list_remove(&w->link);
  w->db = NULL;
  w->fn(w->arg, st, v ? &v->data : NULL, v ? v->pubkey : NULL);
}

/* A waiter's call may cancel another: start again after each. */
static void wake(aq_dutydb *db) {
  for (bool again = true; again;) {
    again = false;
    AQ_LIST_EACH(&db->waiters, w, aq_dutydb_waiter, link) {
      uint8_t key[KEY_LEN];
      value *v = matches(w, key) ? aq_map_get(&db->values, key) : NULL;
      if (!v) continue;
      answer(w, AQ_OK, v);
      again = true;
      break;
    }
  }
}

aq_status aq_dutydb_store(aq_dutydb *db, aq_duty duty, const aq_unsigned_set *set) {
  if (!ops_of(duty.type)->put) return AQ_E_FORMAT;
  if (set->cnt == 0 || (aq_duty_is(duty.type, AQ_DF_ONE_ENTRY) && set->cnt != 1)) return AQ_E_FORMAT;
  uint64_t deadline = aq_duty_deadline_ns(db->chain, duty);
  if (deadline <= aq_now_ns(db->env)) return AQ_E_STALE;
  record *r = record_get(db, duty, deadline);
  if (!r) return AQ_E_LIMIT;
  aq_status st = AQ_OK;
  for (uint32_t i = 0; i < set->cnt && st == AQ_OK; i++) st = put_entry(r, &set->item[i]);
  AQ_LIST_EACH(&r->values, v, value, link) {
    if (v->fresh && st) { /* all or nothing */
      aq_map_del(&db->values, v->key);
      aq_list_remove(&v->link);
    }
    v->fresh = false;
  }
  if (aq_list_empty(&r->values)) record_free(r);
  if (st == AQ_OK) wake(db);
  return st;
}

/* ---- queries ---- */

static void waiter_late(void *arg) { answer(arg, AQ_E_TIMEOUT, NULL); }

void aq_dutydb_await(aq_dutydb *db, aq_dutydb_waiter *w, uint64_t until_ns) {
  uint8_t key[KEY_LEN];
  value *v = matches(w, key) ? aq_map_get(&db->values, key) : NULL;
  w->db = NULL;
  if (v) {
    answer(w, AQ_OK, v);
    return;
  }
  w->db = db;
  memset(&w->timer, 0, sizeof w->timer);
  aq_list_push(&db->waiters, &w->link);
  aq_timer_until(db->env, &w->timer, until_ns, waiter_late, w);
}

void aq_dutydb_cancel(aq_dutydb_waiter *w) {
  if (!w->db) return;
  aq_timer_cancel(w->db->env, &w->timer);
  aq_list_remove(&w->link);
  w->db = NULL;
}

static aq_dutydb_entry lookup(const aq_dutydb *db, kind k, uint64_t slot, uint64_t a, uint64_t b) {
  uint8_t key[KEY_LEN];
  key_of(key, k, slot, a, b, NULL);
  const value *v = aq_map_get(&db->values, key);
  return v ? (aq_dutydb_entry){&v->data, v->pubkey} : (aq_dutydb_entry){NULL, NULL};
}

aq_dutydb_entry aq_dutydb_attester(const aq_dutydb *db, uint64_t slot, uint64_t committee_index,
                                   uint64_t validator_index) {
  return lookup(db, KIND_PUBKEY, slot, committee_index, validator_index);
}

aq_dutydb_entry aq_dutydb_member(const aq_dutydb *db, uint64_t slot, uint64_t committee_index, uint64_t place) {
  return lookup(db, KIND_MEMBER, slot, committee_index, place);
}

aq_dutydb_entry aq_dutydb_proposal(const aq_dutydb *db, uint64_t slot) { return lookup(db, KIND_PROPOSAL, slot, 0, 0); }

bool aq_dutydb_has(const aq_dutydb *db, aq_duty_type type) {
  AQ_LIST_EACH(&db->records, r, const record, link) {
    if (r->duty.type == type) return true;
  }
  return false;
}

aq_bytes aq_dutydb_attestation(const aq_dutydb *db, uint64_t slot, uint64_t committee_index) {
  const aq_unsigned_data *d = lookup(db, KIND_ATTESTATION, slot, committee_index, 0).data;
  return d ? d->value : (aq_bytes){NULL, 0};
}

void aq_dutydb_free(aq_dutydb *db) {
  if (!db) return;
  while (!aq_list_empty(&db->waiters))
    answer(AQ_CONTAINER(db->waiters.next, aq_dutydb_waiter, link), AQ_E_CLOSED, NULL);
  AQ_LIST_EACH(&db->records, r, record, link) record_free(r);
  aq_map_free(&db->values);
  free(db);
}
