/* Objects to sign, of what was agreed. */
#include "eth/block.h"
#include "flow/workflow_internal.h"

enum { BITS_MAX = 2048, OBJECT_MAX = 32 << 20 };

static const uint8_t zero_sig[96];

static aq_status to_arena(aq_bytes *out, aq_arena *a, aq_buf *buf, aq_status st) {
  if (st == AQ_OK) {
    *out = aq_arena_copy(a, aq_buf_bytes(buf));
    if (!out->ptr) st = AQ_E_LIMIT;
  }
  aq_buf_free(buf);
  return st;
}

/* Bits of a committee with one member set; from Electra on none: the outer header names the validator (core.md 4.2). */
static aq_status aggregation_bits(aq_bytes *out, aq_arena *a, const aq_attester_duty *d, bool named) {
  uint64_t cnt = named ? 0 : d->committee_length, at = d->validator_committee_index;
  if (cnt > BITS_MAX || (!named && at >= cnt)) return AQ_E_FORMAT;
  uint8_t *bits = aq_arena_alloc(a, (size_t)cnt / 8 + 1);
  if (!bits) return AQ_E_LIMIT;
  if (!named) bits[at / 8] = (uint8_t)(1u << at % 8);
  bits[cnt / 8] = (uint8_t)(bits[cnt / 8] | 1u << cnt % 8);
  *out = aq_bytes_of(bits, (size_t)cnt / 8 + 1);
  return AQ_OK;
}

static aq_status attestation(aq_signed_data *d, aq_arena *a, const aq_unsigned_data *in) {
  uint8_t committee[8] = {0};
  aq_bytes part[4] = {{NULL, 0}, in->value, aq_bytes_of(zero_sig, 96), aq_bytes_of(committee, 8)};
  bool bits = aq_fork_of(d->fork)->committee_bits;
  if (in->attester.committee_index >= 64) return AQ_E_FORMAT;
  committee[in->attester.committee_index / 8] = (uint8_t)(1u << in->attester.committee_index % 8);
  aq_status st = aggregation_bits(&part[0], a, &in->attester, bits);
  if (st) return st;
  d->type = aq_t_attestation(d->fork);
  d->has_index = true;
  d->validator_index = in->attester.validator_index;
  aq_buf buf = AQ_BUF(OBJECT_MAX);
  return to_arena(&d->value, a, &buf, aq_ssz_pack(&buf, d->type, part, bits ? 4 : 3));
}

static aq_status proposal(aq_signed_data *d, aq_arena *a, const aq_unsigned_data *in) {
  aq_block_view view;
  aq_block_view_get(&view, in->fork, in->blinded, false, in->value);
  aq_bytes pair[2] = {view.block, aq_bytes_of(zero_sig, 96)};
  d->fork = in->fork;
  d->blinded = in->blinded;
  d->type = aq_t_proposal(in->fork, in->blinded, true);
  if (!d->type) return AQ_E_FORMAT;
  d->validator_index = view.proposer;
  aq_buf buf = AQ_BUF(OBJECT_MAX);
  if (!view.wrapped) return to_arena(&d->value, a, &buf, aq_ssz_pack(&buf, d->type, pair, 2));
  aq_bytes part[3] = {
      {NULL, 0}, aq_ssz_get(in->type, in->value, "kzg_proofs"), aq_ssz_get(in->type, in->value, "blobs")};
  aq_status st = to_arena(&part[0], a, &buf, aq_ssz_pack(&buf, aq_ssz_type_at(d->type, "signed_block"), pair, 2));
  if (st) return st;
  buf = AQ_BUF(OBJECT_MAX);
  return to_arena(&d->value, a, &buf, aq_ssz_pack(&buf, d->type, part, 3));
}

/* What is signed, made of what was agreed. */
typedef aq_status (*aq_object_op)(aq_signed_data *d, aq_arena *a, const aq_unsigned_data *in);
AQ_DUTY_OPS(aq_object_op, object)
const aq_object_op aq_object_attester = attestation, aq_object_proposer = proposal;
/* These hold a selection proof that only the validator client's object has, */
const aq_object_op aq_object_aggregator = NULL, aq_object_sync_contribution = NULL;
/* and on these nobody agrees. */
const aq_object_op aq_object_signature = NULL, aq_object_exit = NULL, aq_object_builder_proposer = NULL,
                   aq_object_builder_registration = NULL, aq_object_randao = NULL, aq_object_prepare_aggregator = NULL,
                   aq_object_sync_message = NULL, aq_object_prepare_sync_contribution = NULL,
                   aq_object_info_sync = NULL;

aq_status aq_signed_of_agreed(aq_signed_data *out, aq_arena *a, const aq_chain *chain, aq_duty duty,
                              const aq_unsigned_data *in) {
  *out = (aq_signed_data){.duty = duty.type, .slot = duty.slot};
  out->fork = aq_chain_fork_at(chain, aq_epoch_of(&chain->clock, duty.slot));
  aq_object_op op = *ops_of(duty.type);
  return op ? op(out, a, in) : AQ_E_UNSUPPORTED;
}
