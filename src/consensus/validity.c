/* A row of rules a type of duty, for what can be told from the value alone. */
#include "consensus/validity.h"

#include "base/hex.h"
#include "codec/pb.h"
#include "core.pb-c.h"
#include "duty/payload.h"
#include "eth/block.h"

enum {
  KEY_LEN = 98,
  PUBKEY_LEN = 48,
  ATTESTER_LEN = 232,
  PROPOSER_HEAD = 13,
  AGGREGATOR_HEAD = 12,
  SUBCOMMITTEES = 4,
  COMMITTEES_MAX = 64 /* consensus-specs MAX_COMMITTEES_PER_SLOT */
};

/* What the entries of one set of attestations must have in common. */
typedef struct {
  bool any;
  aq_att_data first;
  aq_bytes committee[COMMITTEES_MAX]; /* AttestationData of each; empty: none yet */
} att_set;

static bool parse_key(uint8_t out[PUBKEY_LEN], const char *key) {
  aq_bytes text = aq_bytes_str(key);
  if (text.len != KEY_LEN || key[0] != '0' || key[1] != 'x') return false;
  for (size_t i = 2; i < text.len; i++) {
    if (key[i] >= 'A' && key[i] <= 'F') return false;
  }
  return aq_hex_decode(out, PUBKEY_LEN, text, AQ_HEX_PREFIX) == AQ_OK;
}

aq_status aq_value_decode(aq_unsigned_set *out, aq_arena *a, aq_bytes canonical) {
  const Corepb__UnsignedDataSet *s = aq_pb_unpack(a, &corepb__unsigned_data_set__descriptor, canonical);
  *out = (aq_unsigned_set){NULL, 0};
  if (!s || s->n_set == 0 || s->n_set > UINT32_MAX || s->base.n_unknown_fields) return AQ_E_FORMAT;
  aq_unsigned *item = aq_arena_array(a, s->n_set, sizeof *item);
  if (!item) return AQ_E_LIMIT;
  for (size_t i = 0; i < s->n_set; i++) {
    if (!parse_key(item[i].pubkey, s->set[i]->key)) return AQ_E_FORMAT;
    if (i && memcmp(item[i - 1].pubkey, item[i].pubkey, PUBKEY_LEN) >= 0) return AQ_E_FORMAT;
    item[i].data = aq_bytes_of(s->set[i]->value.data, s->set[i]->value.len);
  }
  *out = (aq_unsigned_set){item, (uint32_t)s->n_set};
  return AQ_OK;
}

aq_status aq_value_readable(aq_arena *a, aq_duty_type type, const aq_unsigned_set *set, aq_err *err) {
  for (uint32_t i = 0; i < set->cnt; i++) {
    aq_unsigned_data d;
    aq_status st = aq_unsigned_decode(&d, a, type, set->item[i].data);
    if (st) return aq_fail(err, st, "entry %u does not decode", i);
  }
  return AQ_OK;
}

/* data.index: 0 since Electra, before it the committee's. */
static bool index_fits(const aq_chain *chain, const aq_att_data *data, uint64_t committee) {
  aq_fork fork = aq_chain_fork_at(chain, aq_epoch_of(&chain->clock, data->slot));
  return data->index == (aq_fork_of(fork)->committee_bits ? 0 : committee);
}

/* A vote of an epoch for itself cannot be slashed, so every journal takes it; while the epoch stays unjustified each
   later honest vote would surround it and be refused. Only the first epoch's votes are such. */
static bool epochs_fit(const aq_att_data *d) {
  return d->source_epoch < d->target_epoch || (d->source_epoch == 0 && d->target_epoch == 0);
}

static aq_status attester_valid(const aq_chain *chain, aq_duty duty, const aq_unsigned *e, const aq_unsigned_data *d,
                                aq_err *err) {
  aq_att_data data;
  aq_att_data_get(&data, d->value);
  if (data.slot != duty.slot || d->attester.slot != duty.slot) return aq_fail(err, AQ_E_FORMAT, "attester: other slot");
  if (memcmp(d->attester.pubkey, e->pubkey, PUBKEY_LEN) != 0)
    return aq_fail(err, AQ_E_FORMAT, "attester: other validator");
  if (d->attester.committee_index >= COMMITTEES_MAX) return aq_fail(err, AQ_E_FORMAT, "attester: no such committee");
  if (!index_fits(chain, &data, d->attester.committee_index))
    return aq_fail(err, AQ_E_FORMAT, "attester: data.index is not what the slot's fork wants");
  if (!epochs_fit(&data)) return aq_fail(err, AQ_E_FORMAT, "attester: source is not before target");
  if (data.target_epoch != aq_epoch_of(&chain->clock, duty.slot))
    return aq_fail(err, AQ_E_FORMAT, "attester: target is not the slot's epoch");
  return AQ_OK;
}

static bool same_votes(const aq_att_data *a, const aq_att_data *b) {
  return a->source_epoch == b->source_epoch && a->target_epoch == b->target_epoch &&
         memcmp(a->source_root, b->source_root, 32) == 0 && memcmp(a->target_root, b->target_root, 32) == 0;
}

/* Else it is agreed on and then not served, or serves a part only. */
static aq_status fits_set(att_set *all, const aq_unsigned_data *d, aq_err *err) {
  aq_att_data data;
  aq_att_data_get(&data, d->value);
  aq_bytes *of_committee = &all->committee[d->attester.committee_index];
  if (all->any && !same_votes(&all->first, &data))
    return aq_fail(err, AQ_E_FORMAT, "attester: two sources or targets in one set");
  if (of_committee->len && !aq_bytes_eq(*of_committee, d->value))
    return aq_fail(err, AQ_E_FORMAT, "attester: two data in one committee");
  all->any = true;
  all->first = data;
  *of_committee = d->value;
  return AQ_OK;
}

static aq_status proposer_valid(const aq_chain *chain, aq_duty duty, const aq_unsigned *e, const aq_unsigned_data *d,
                                aq_err *err) {
  (void)e;
  aq_block_view view;
  aq_block_view_get(&view, d->fork, d->blinded, false, d->value);
  if (view.slot != duty.slot) return aq_fail(err, AQ_E_FORMAT, "proposer: other slot");
  if (d->fork != aq_chain_fork_at(chain, aq_epoch_of(&chain->clock, duty.slot)))
    return aq_fail(err, AQ_E_FORMAT, "proposer: version is not the slot's fork");
  return AQ_OK;
}

static bool contribution_ok(const aq_ssz_type *t, aq_bytes in, uint64_t slot) {
  return aq_ssz_get_u64(t, in, "slot") == slot && aq_ssz_get_u64(t, in, "subcommittee_index") < SUBCOMMITTEES;
}

static aq_status contribution_valid(const aq_chain *chain, aq_duty duty, const aq_unsigned *e,
                                    const aq_unsigned_data *d, aq_err *err) {
  (void)chain, (void)e;
  bool ok = true;
  if (d->type->kind == AQ_SSZ_LIST) {
    size_t cnt = aq_ssz_count(d->type, d->value);
    ok = cnt > 0;
    for (size_t i = 0; i < cnt && ok; i++)
      ok = contribution_ok(d->type->elem, aq_ssz_elem(d->type, d->value, i), duty.slot);
  } else {
    ok = contribution_ok(d->type, d->value, duty.slot);
  }
  return ok ? AQ_OK : aq_fail(err, AQ_E_FORMAT, "sync contribution: other slot or subcommittee out of range");
}

static aq_status aggregate_valid(const aq_chain *chain, aq_duty duty, const aq_unsigned *e, const aq_unsigned_data *d,
                                 aq_err *err) {
  (void)chain, (void)e;
  bool ours = aq_ssz_get_u64(d->type, d->value, "data.slot") == duty.slot;
  return ours ? AQ_OK : aq_fail(err, AQ_E_FORMAT, "aggregator: other slot");
}

/* ---- the rows ---- */

typedef struct {
  aq_status (*valid)(const aq_chain *chain, aq_duty duty, const aq_unsigned *e, const aq_unsigned_data *d, aq_err *err);
  aq_status (*fits)(att_set *all, const aq_unsigned_data *d, aq_err *err); /* the entries before it; or NULL */
  size_t head;  /* bytes of an entry before its value, as the proposer writes it (consensus.md 5) */
  size_t fixed; /* and in all, where these are always as many */
  bool bare;    /* or none */
} aq_validity_ops;

AQ_DUTY_OPS(aq_validity_ops, validity)

const aq_validity_ops aq_validity_attester = {.valid = attester_valid, .fits = fits_set, .fixed = ATTESTER_LEN};
const aq_validity_ops aq_validity_proposer = {.valid = proposer_valid, .head = PROPOSER_HEAD};
const aq_validity_ops aq_validity_aggregator = {.valid = aggregate_valid, .head = AGGREGATOR_HEAD, .bare = true};
const aq_validity_ops aq_validity_sync_contribution = {.valid = contribution_valid, .bare = true};
const aq_validity_ops aq_validity_signature = {0}, aq_validity_exit = {0}, aq_validity_builder_proposer = {0},
                      aq_validity_builder_registration = {0}, aq_validity_randao = {0},
                      aq_validity_prepare_aggregator = {0}, aq_validity_sync_message = {0},
                      aq_validity_prepare_sync_contribution = {0}, aq_validity_info_sync = {0};

/* Other offsets and surplus bytes are tolerated on decisions only. */
static bool exact_form(const aq_validity_ops *o, const aq_unsigned_data *d, aq_bytes data) {
  uintptr_t at = (uintptr_t)d->value.ptr, from = (uintptr_t)data.ptr;
  if (at < from || at >= from + data.len) return true; /* converted from JSON, which the parser took whole */
  if (o->fixed) return data.len == o->fixed;
  return data.len == o->head + d->value.len || (o->bare && data.len == d->value.len);
}

aq_status aq_value_valid(aq_arena *a, const aq_chain *chain, aq_duty duty, const aq_unsigned_set *set, aq_err *err) {
  if (set->cnt == 0) return aq_fail(err, AQ_E_FORMAT, "no entry");
  if (aq_duty_is(duty.type, AQ_DF_ONE_ENTRY) && set->cnt != 1)
    return aq_fail(err, AQ_E_FORMAT, "%s: more than one entry", aq_duty_name(duty.type));
  const aq_validity_ops *o = ops_of(duty.type);
  att_set all = {.any = false};
  for (uint32_t i = 0; i < set->cnt; i++) {
    aq_unsigned_data d;
    aq_status st = aq_unsigned_decode(&d, a, duty.type, set->item[i].data);
    if (st || !o->valid) return aq_fail(err, st ? st : AQ_E_FORMAT, "entry %u does not decode", i);
    if (!exact_form(o, &d, set->item[i].data))
      return aq_fail(err, AQ_E_FORMAT, "entry has other bytes than its content needs");
    st = o->valid(chain, duty, &set->item[i], &d, err);
    if (st == AQ_OK && o->fits) st = o->fits(&all, &d, err);
    if (st) return st;
  }
  return AQ_OK;
}

bool aq_value_priority_ok(aq_arena *a, aq_bytes canonical) {
  const Corepb__PriorityResult *r = aq_pb_unpack(a, &corepb__priority_result__descriptor, canonical);
  return r && r->base.n_unknown_fields == 0 && (r->n_msgs || r->n_topics);
}
