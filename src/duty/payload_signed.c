/* Signed payloads: one row of operations a type of duty. */
#include "base/assert.h"
#include "base/hex.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/json_out.h"
#include "crypto/hash.h"
#include "duty/payload_internal.h"
#include "eth/block.h"

enum { SIG_LEN = 96 };

/* Where a member is NULL the type has no such form. */
typedef struct {
  aq_status (*ssz)(aq_signed_data *d, aq_bytes in);       /* sets type and value, checked */
  aq_status (*json)(aq_signed_data *d, yyjson_val **val); /* sets type and finds the object of it; else takes all */
  void (*fill)(aq_signed_data *d);          /* what callers look at, out of the value; not the signature */
  aq_bytes (*sig)(const aq_signed_data *d); /* in the value */
  void (*put)(aq_buf *out, const aq_signed_data *d);
  void (*root)(uint8_t out[32], const aq_signed_data *d); /* zeroed before */
  uint64_t (*epoch)(const aq_signed_data *d, const aq_clock *c);
  aq_domain_type domain;
  bool typed; /* has an SSZ type, whichever form it comes in */
  bool text;  /* its JSON is a string */
  bool keeps_json;
} aq_signed_ops;

static aq_status typed(aq_signed_data *d, const aq_ssz_type *t, aq_bytes in) {
  d->type = t;
  d->value = in;
  return aq_ssz_check(t, in);
}

static aq_bytes sig_of(const aq_signed_data *d) { return aq_ssz_get(d->type, d->value, "signature"); }

static uint64_t u64_at(const aq_signed_data *d, const char *path) { return aq_ssz_get_u64(d->type, d->value, path); }

static void root_at(uint8_t out[32], const aq_signed_data *d, const char *path) {
  aq_ssz_root(out, aq_ssz_type_at(d->type, path), aq_ssz_get(d->type, d->value, path));
}

static void message_root(uint8_t out[32], const aq_signed_data *d) { root_at(out, d, "message"); }
static uint64_t slot_epoch(const aq_signed_data *d, const aq_clock *c) { return aq_epoch_of(c, d->slot); }

static uint64_t own_epoch(const aq_signed_data *d, const aq_clock *c) {
  (void)c;
  return d->epoch;
}

static void put_value(aq_buf *out, const aq_signed_data *d) { aq_buf_put_bytes(out, d->value); }

/* ---- JSON that several write ---- */

/* ---- proposer ---- */

static aq_block_view view_of(const aq_signed_data *d) {
  aq_block_view view;
  aq_block_view_get(&view, d->fork, d->blinded, true, d->value);
  return view;
}

static aq_status proposer_ssz(aq_signed_data *d, aq_bytes in) {
  aq_status st = aq_header_get(&d->fork, &d->value, in, 9);
  if (st) return st;
  if (in.ptr[8] > 1) return AQ_E_FORMAT;
  d->blinded = in.ptr[8];
  const aq_ssz_type *t = aq_t_proposal(d->fork, d->blinded, true);
  return t ? typed(d, t, d->value) : AQ_E_FORMAT;
}

static aq_status proposer_json(aq_signed_data *d, yyjson_val **val) {
  bool versioned = aq_json_version(&d->fork, *val);
  d->blinded = yyjson_get_bool(yyjson_obj_get(*val, "blinded"));
  d->type = aq_t_proposal(d->fork, d->blinded, true);
  *val = yyjson_obj_get(*val, "block");
  return versioned && d->type ? AQ_OK : AQ_E_FORMAT;
}

static void proposer_fill(aq_signed_data *d) {
  aq_block_view view = view_of(d);
  d->slot = view.slot;
  d->validator_index = view.proposer;
}

static aq_bytes proposer_sig(const aq_signed_data *d) { return view_of(d).signature; }

static void proposer_put(aq_buf *out, const aq_signed_data *d) { aq_proposal_put(out, d->fork, d->blinded, d->value); }

static void proposer_root(uint8_t out[32], const aq_signed_data *d) {
  aq_block_view view = view_of(d);
  aq_ssz_root(out, view.type, view.block);
}

/* ---- attester ---- */

static aq_status attester_ssz(aq_signed_data *d, aq_bytes in) {
  if (in.len < AQ_HEADER_INDEX_LEN) return AQ_E_TRUNC;
  d->has_index = aq_le32_get(in.ptr + 16) == AQ_HEADER_INDEX_LEN;
  aq_status st = aq_header_get(&d->fork, &d->value, in, d->has_index ? 16 : 8);
  if (st) return st;
  d->validator_index = d->has_index ? aq_le64_get(in.ptr + 8) : 0;
  return typed(d, aq_t_attestation(d->fork), d->value);
}

static aq_status attester_json(aq_signed_data *d, yyjson_val **val) {
  bool versioned = aq_json_version(&d->fork, *val);
  d->has_index = aq_json_u64(*val, "validator_index", &d->validator_index);
  d->type = aq_t_attestation(d->fork);
  *val = yyjson_obj_get(*val, "attestation");
  return versioned ? AQ_OK : AQ_E_FORMAT;
}

static void attester_fill(aq_signed_data *d) { d->slot = u64_at(d, "data.slot"); }

static void attester_put(aq_buf *out, const aq_signed_data *d) {
  aq_header_put(out, d->fork);
  if (d->has_index) {
    uint8_t le[8];
    aq_le64_put(le, d->validator_index);
    aq_buf_put(out, le, sizeof le);
  }
  aq_le32_append(out, d->has_index ? AQ_HEADER_INDEX_LEN : AQ_HEADER_LEN);
  aq_buf_put_bytes(out, d->value);
}

static void attester_root(uint8_t out[32], const aq_signed_data *d) { root_at(out, d, "data"); }

static uint64_t attester_epoch(const aq_signed_data *d, const aq_clock *c) {
  (void)c;
  return u64_at(d, "data.target.epoch");
}

/* ---- aggregator ---- */

static aq_status aggregator_ssz(aq_signed_data *d, aq_bytes in) {
  d->fork = AQ_PHASE0; /* bare from old peers: its first offset, 100, is no version (wire.md 7.3) */
  if (typed(d, &aq_t_signed_aggregate_and_proof_phase0, in) == AQ_OK) return AQ_OK;
  aq_status st = aq_header_get(&d->fork, &d->value, in, 8);
  return st ? st : typed(d, aq_t_signed_aggregate(d->fork), d->value);
}

static aq_status aggregator_json(aq_signed_data *d, yyjson_val **val) {
  if (aq_json_version(&d->fork, *val)) *val = yyjson_obj_get(*val, "aggregate_and_proof");
  d->type = aq_t_signed_aggregate(d->fork);
  return AQ_OK;
}

static void aggregator_fill(aq_signed_data *d) {
  d->slot = u64_at(d, "message.aggregate.data.slot");
  d->validator_index = u64_at(d, "message.aggregator_index");
}

static void aggregator_put(aq_buf *out, const aq_signed_data *d) { aq_versioned_put(out, d->fork, d->value); }

/* ---- sync committee: message and contribution ---- */

static aq_status message_ssz(aq_signed_data *d, aq_bytes in) { return typed(d, &aq_t_sync_committee_message, in); }

static aq_status message_json(aq_signed_data *d, yyjson_val **val) {
  (void)aq_json_version(&d->fork, *val);
  d->type = &aq_t_sync_committee_message;
  return AQ_OK;
}

static void message_fill(aq_signed_data *d) {
  d->slot = u64_at(d, "slot");
  d->validator_index = u64_at(d, "validator_index");
  memcpy(d->block_root, aq_ssz_get(d->type, d->value, "beacon_block_root").ptr, 32);
}

static void head_root(uint8_t out[32], const aq_signed_data *d) { memcpy(out, d->block_root, 32); }

static aq_status contribution_ssz(aq_signed_data *d, aq_bytes in) {
  return typed(d, &aq_t_signed_contribution_and_proof, in);
}

static aq_status contribution_json(aq_signed_data *d, yyjson_val **val) {
  (void)aq_json_version(&d->fork, *val);
  d->type = &aq_t_signed_contribution_and_proof;
  return AQ_OK;
}

static void contribution_fill(aq_signed_data *d) {
  d->slot = u64_at(d, "message.contribution.slot");
  d->subcommittee = u64_at(d, "message.contribution.subcommittee_index");
  d->validator_index = u64_at(d, "message.aggregator_index");
}

/* ---- exit ---- */

static aq_status exit_json(aq_signed_data *d, yyjson_val **val) {
  (void)aq_json_version(&d->fork, *val);
  d->type = &aq_t_signed_voluntary_exit;
  return AQ_OK;
}

static void exit_fill(aq_signed_data *d) {
  d->epoch = u64_at(d, "message.epoch");
  d->validator_index = u64_at(d, "message.validator_index");
}

static void exit_put(aq_buf *out, const aq_signed_data *d) { aq_ssz_to_json(out, d->type, d->value); }

/* ---- builder registration ---- */

static aq_status registration_json(aq_signed_data *d, yyjson_val **val) {
  bool versioned = aq_json_version(&d->fork, *val);
  d->type = &aq_t_signed_validator_registration;
  *val = yyjson_obj_get(*val, "registration");
  return versioned && aq_fork_is_first(d->fork) ? AQ_OK : AQ_E_FORMAT; /* version 0 is V1, the only one */
}

/* EIP-55: a letter is upper case where the hash of the lower-case text has a high nibble. */
static void put_address(aq_json_out *o, const char *name, aq_bytes address) {
  char text[43] = "0x", *digit = text + 2;
  uint8_t hash[32];
  aq_hex_encode(digit, address);
  aq_keccak256(hash, aq_bytes_of(digit, 40));
  for (size_t i = 0; i < 40; i++) {
    unsigned nibble = (unsigned)hash[i / 2] >> (i % 2 ? 0 : 4) & 15;
    if (digit[i] >= 'a' && nibble >= 8) digit[i] = (char)(digit[i] - 'a' + 'A');
  }
  aq_json_out_str(o, name, text);
}

static void put_registration(aq_buf *out, const aq_signed_data *d) {
  const aq_ssz_type *t = d->type;
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64(&o, "version", 0);
  aq_json_out_open(&o, "registration", '{');
  aq_json_out_open(&o, "message", '{');
  put_address(&o, "fee_recipient", aq_ssz_get(t, d->value, "message.fee_recipient"));
  aq_json_out_u64_str(&o, "gas_limit", aq_ssz_get_u64(t, d->value, "message.gas_limit"));
  aq_json_out_u64_str(&o, "timestamp", aq_ssz_get_u64(t, d->value, "message.timestamp"));
  aq_json_out_hex(&o, "pubkey", aq_bytes_of(aq_ssz_get(t, d->value, "message.pubkey").ptr, 48));
  aq_json_out_close(&o, '}');
  aq_json_out_hex(&o, "signature", aq_bytes_of(d->sig, SIG_LEN));
  aq_json_out_close(&o, '}');
  aq_json_out_close(&o, '}');
}

/* ---- JSON only: RANDAO, selections, a bare signature ---- */

static aq_status randao_json(aq_signed_data *d, yyjson_val **val) {
  bool ok = aq_json_u64(*val, "epoch", &d->epoch) && aq_json_hex(*val, "signature", d->sig, SIG_LEN);
  return ok ? AQ_OK : AQ_E_FORMAT;
}

static void randao_put(aq_buf *out, const aq_signed_data *d) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64_str(&o, "epoch", d->epoch);
  aq_json_out_hex(&o, "signature", aq_bytes_of(d->sig, SIG_LEN));
  aq_json_out_close(&o, '}');
}

static void randao_root(uint8_t out[32], const aq_signed_data *d) { aq_le64_put(out, d->epoch); }

static aq_status selection_json(aq_signed_data *d, yyjson_val **val) {
  bool ok = aq_json_u64(*val, "validator_index", &d->validator_index) && aq_json_u64(*val, "slot", &d->slot) &&
            aq_json_hex(*val, "selection_proof", d->sig, SIG_LEN);
  return ok ? AQ_OK : AQ_E_FORMAT;
}

static aq_status sync_selection_json(aq_signed_data *d, yyjson_val **val) {
  return aq_json_u64(*val, "subcommittee_index", &d->subcommittee) ? selection_json(d, val) : AQ_E_FORMAT;
}

static void put_selection(aq_buf *out, const aq_signed_data *d, bool sync) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64_str(&o, "validator_index", d->validator_index);
  aq_json_out_u64_str(&o, "slot", d->slot);
  if (sync) aq_json_out_u64_str(&o, "subcommittee_index", d->subcommittee);
  aq_json_out_hex(&o, "selection_proof", aq_bytes_of(d->sig, SIG_LEN));
  aq_json_out_close(&o, '}');
}

static void selection_put(aq_buf *out, const aq_signed_data *d) { put_selection(out, d, false); }
static void sync_selection_put(aq_buf *out, const aq_signed_data *d) { put_selection(out, d, true); }

static void selection_root(uint8_t out[32], const aq_signed_data *d) { aq_le64_put(out, d->slot); }

static void sync_selection_root(uint8_t out[32], const aq_signed_data *d) {
  uint8_t selection[16];
  aq_le64_put(selection, d->slot);
  aq_le64_put(selection + 8, d->subcommittee);
  aq_ssz_root(out, &aq_t_sync_aggregator_selection_data, aq_bytes_of(selection, sizeof selection));
}

static bool sig_from_base64(uint8_t sig[SIG_LEN], yyjson_val *val) {
  aq_buf raw = AQ_BUF(SIG_LEN);
  bool ok = yyjson_is_str(val) &&
            aq_base64_decode(&raw, aq_bytes_of(yyjson_get_str(val), yyjson_get_len(val)), AQ_BASE64_STD) == AQ_OK &&
            raw.len == SIG_LEN;
  if (ok) memcpy(sig, raw.ptr, SIG_LEN);
  aq_buf_free(&raw);
  return ok;
}

static aq_status signature_json(aq_signed_data *d, yyjson_val **val) {
  return sig_from_base64(d->sig, *val) ? AQ_OK : AQ_E_FORMAT;
}

static void signature_put(aq_buf *out, const aq_signed_data *d) {
  aq_buf_put_u8(out, '"');
  aq_base64_encode(out, aq_bytes_of(d->sig, SIG_LEN), AQ_BASE64_STD);
  aq_buf_put_u8(out, '"');
}

/* ---- the rows ---- */

AQ_DUTY_OPS(aq_signed_ops, signed)

const aq_signed_ops aq_signed_proposer = {.ssz = proposer_ssz,
                                          .json = proposer_json,
                                          .fill = proposer_fill,
                                          .sig = proposer_sig,
                                          .put = proposer_put,
                                          .root = proposer_root,
                                          .epoch = slot_epoch,
                                          .domain = AQ_DOMAIN_BEACON_PROPOSER,
                                          .typed = true};
const aq_signed_ops aq_signed_attester = {.ssz = attester_ssz,
                                          .json = attester_json,
                                          .fill = attester_fill,
                                          .sig = sig_of,
                                          .put = attester_put,
                                          .root = attester_root,
                                          .epoch = attester_epoch,
                                          .domain = AQ_DOMAIN_BEACON_ATTESTER,
                                          .typed = true};
const aq_signed_ops aq_signed_aggregator = {.ssz = aggregator_ssz,
                                            .json = aggregator_json,
                                            .fill = aggregator_fill,
                                            .sig = sig_of,
                                            .put = aggregator_put,
                                            .root = message_root,
                                            .epoch = slot_epoch,
                                            .domain = AQ_DOMAIN_AGGREGATE_AND_PROOF,
                                            .typed = true};
const aq_signed_ops aq_signed_sync_message = {.ssz = message_ssz,
                                              .json = message_json,
                                              .fill = message_fill,
                                              .sig = sig_of,
                                              .put = put_value,
                                              .root = head_root,
                                              .epoch = slot_epoch,
                                              .domain = AQ_DOMAIN_SYNC_COMMITTEE,
                                              .typed = true};
const aq_signed_ops aq_signed_sync_contribution = {.ssz = contribution_ssz,
                                                   .json = contribution_json,
                                                   .fill = contribution_fill,
                                                   .sig = sig_of,
                                                   .put = put_value,
                                                   .root = message_root,
                                                   .epoch = slot_epoch,
                                                   .domain = AQ_DOMAIN_CONTRIBUTION_AND_PROOF,
                                                   .typed = true};
const aq_signed_ops aq_signed_exit = {.json = exit_json,
                                      .fill = exit_fill,
                                      .sig = sig_of,
                                      .put = exit_put,
                                      .root = message_root,
                                      .epoch = own_epoch,
                                      .domain = AQ_DOMAIN_VOLUNTARY_EXIT,
                                      .typed = true};
const aq_signed_ops aq_signed_builder_registration = {.json = registration_json,
                                                      .sig = sig_of,
                                                      .put = put_registration,
                                                      .root = message_root,
                                                      .epoch = slot_epoch,
                                                      .domain = AQ_DOMAIN_APPLICATION_BUILDER,
                                                      .typed = true,
                                                      .keeps_json = true};
const aq_signed_ops aq_signed_randao = {
    .json = randao_json, .put = randao_put, .root = randao_root, .epoch = own_epoch, .domain = AQ_DOMAIN_RANDAO};
const aq_signed_ops aq_signed_prepare_aggregator = {.json = selection_json,
                                                    .put = selection_put,
                                                    .root = selection_root,
                                                    .epoch = slot_epoch,
                                                    .domain = AQ_DOMAIN_SELECTION_PROOF};
const aq_signed_ops aq_signed_prepare_sync_contribution = {.json = sync_selection_json,
                                                           .put = sync_selection_put,
                                                           .root = sync_selection_root,
                                                           .epoch = slot_epoch,
                                                           .domain = AQ_DOMAIN_SYNC_SELECTION_PROOF};
/* Raw: what it signs is not in it, so it has no root. */
const aq_signed_ops aq_signed_signature = {.json = signature_json, .put = signature_put, .text = true};
const aq_signed_ops aq_signed_builder_proposer = {0}, aq_signed_info_sync = {0};

/* ---- the operations ---- */

static aq_status signed_json(aq_signed_data *d, aq_arena *a, aq_bytes in) {
  const aq_signed_ops *o = ops_of(d->duty);
  yyjson_doc *doc = o->json ? aq_json_parse(in, aq_payload_json_max(d->duty), NULL) : NULL;
  if (!doc) return AQ_E_FORMAT;
  yyjson_val *val = yyjson_doc_get_root(doc);
  aq_status st = o->json(d, &val);
  if (st == AQ_OK && o->typed) st = aq_payload_json(&d->value, a, d->type, val);
  yyjson_doc_free(doc);
  if (st == AQ_OK && o->keeps_json) d->json = in;
  return st;
}

aq_status aq_signed_decode(aq_signed_data *out, aq_arena *a, aq_duty_type duty, aq_bytes in) {
  const aq_signed_ops *o = ops_of(duty);
  *out = (aq_signed_data){.duty = duty};
  aq_status st = o->ssz ? o->ssz(out, in) : AQ_E_FORMAT;
  uint8_t first = aq_first_char(in);
  if (st && (first == '{' || (first == '"' && o->text))) {
    *out = (aq_signed_data){.duty = duty};
    st = signed_json(out, a, in);
  }
  if (st != AQ_OK || !out->type) return st;
  memcpy(out->sig, o->sig(out).ptr, SIG_LEN);
  if (o->fill) o->fill(out);
  return AQ_OK;
}

aq_status aq_signed_encode(aq_buf *out, const aq_signed_data *in) {
  const aq_signed_ops *o = ops_of(in->duty);
  if (!o->put) return AQ_E_UNSUPPORTED;
  o->put(out, in);
  return out->failed ? AQ_E_LIMIT : AQ_OK;
}

aq_status aq_signed_with_sig(aq_signed_data *out, aq_arena *a, const aq_signed_data *in, const uint8_t sig[96]) {
  const aq_signed_ops *o = ops_of(in->duty);
  aq_signed_data d = *in;
  d.json = (aq_bytes){NULL, 0};
  memcpy(d.sig, sig, SIG_LEN);
  if (d.type) {
    AQ_ASSERT(o->sig);
    aq_bytes at = o->sig(in);
    size_t pos = (size_t)(at.ptr - in->value.ptr);
    uint8_t *copy = aq_arena_alloc(a, in->value.len);
    if (!copy) return AQ_E_LIMIT;
    memcpy(copy, in->value.ptr, in->value.len);
    memcpy(copy + pos, sig, SIG_LEN);
    d.value = aq_bytes_of(copy, in->value.len);
  }
  *out = d;
  return AQ_OK;
}

void aq_signed_message_root(uint8_t out[32], const aq_signed_data *d) {
  const aq_signed_ops *o = ops_of(d->duty);
  memset(out, 0, 32);
  if (o->root) o->root(out, d);
}

void aq_signed_signing_root(uint8_t out[32], const aq_chain *c, const aq_signed_data *d) {
  const aq_signed_ops *o = ops_of(d->duty);
  uint8_t root[32] = {0};
  memset(out, 0, 32);
  if (!o->root || (o->typed && !d->type)) return;
  o->root(root, d);
  aq_chain_signing_root(out, c, o->domain, o->epoch(d, &c->clock), root);
}
