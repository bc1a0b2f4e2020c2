/* Attestation data and unsigned payloads. */
#include "duty/payload.h"

#include "base/assert.h"
#include "codec/json.h"
#include "duty/payload_internal.h"

enum { ATTESTER_FIRST = 8, ATTESTER_SECOND = 136, DATA_LEN = 128, DUTY_LEN = 96 };

/* ---- shared ---- */

bool aq_version_get(aq_fork *out, uint64_t version) {
  if (version >= AQ_FORK_CNT) return false;
  *out = (aq_fork)version;
  return true;
}

aq_status aq_header_get(aq_fork *fork, aq_bytes *rest, aq_bytes in, size_t off_pos) {
  if (in.len < off_pos + 4) return AQ_E_TRUNC;
  if (!aq_version_get(fork, aq_le64_get(in.ptr))) return AQ_E_FORMAT;
  size_t off = aq_le32_get(in.ptr + off_pos);
  if (off < off_pos + 4 || off > in.len) return AQ_E_FORMAT;
  *rest = aq_bytes_sub(in, off, in.len - off);
  return AQ_OK;
}

void aq_header_put(aq_buf *out, aq_fork fork) {
  uint8_t le[8];
  aq_le64_put(le, (uint64_t)fork);
  aq_buf_put(out, le, sizeof le);
}

void aq_le32_append(aq_buf *out, uint32_t v) {
  uint8_t le[4];
  aq_le32_put(le, v);
  aq_buf_put(out, le, sizeof le);
}

void aq_versioned_put(aq_buf *out, aq_fork fork, aq_bytes value) {
  aq_header_put(out, fork);
  aq_le32_append(out, AQ_HEADER_LEN);
  aq_buf_put_bytes(out, value);
}

void aq_proposal_put(aq_buf *out, aq_fork fork, bool blinded, aq_bytes value) {
  aq_header_put(out, fork);
  aq_buf_put_u8(out, blinded);
  aq_le32_append(out, AQ_HEADER_BLINDED_LEN);
  aq_buf_put_bytes(out, value);
}

uint8_t aq_first_char(aq_bytes in) {
  size_t i = 0;
  while (i < in.len && (in.ptr[i] == ' ' || (in.ptr[i] >= '\t' && in.ptr[i] <= '\r'))) i++;
  return i < in.len ? in.ptr[i] : 0;
}

aq_status aq_payload_json(aq_bytes *out, aq_arena *a, const aq_ssz_type *t, yyjson_val *val) {
  aq_buf ssz = AQ_BUF(AQ_PROPOSAL_JSON_MAX);
  aq_status st = t ? aq_ssz_from_json(&ssz, t, val, NULL) : AQ_E_FORMAT;
  if (st == AQ_OK) {
    *out = aq_arena_copy(a, aq_bytes_of(ssz.ptr, ssz.len));
    if (!out->ptr) st = AQ_E_LIMIT;
  }
  aq_buf_free(&ssz);
  return st;
}

bool aq_json_version(aq_fork *out, yyjson_val *obj) {
  yyjson_val *v = yyjson_obj_get(obj, "version");
  return yyjson_is_uint(v) && aq_version_get(out, yyjson_get_uint(v));
}

void aq_att_data_get(aq_att_data *out, aq_bytes ssz) {
  AQ_ASSERT(ssz.len == DATA_LEN);
  const uint8_t *p = ssz.ptr;
  out->slot = aq_le64_get(p);
  out->index = aq_le64_get(p + 8);
  memcpy(out->beacon_block_root, p + 16, 32);
  out->source_epoch = aq_le64_get(p + 48);
  memcpy(out->source_root, p + 56, 32);
  out->target_epoch = aq_le64_get(p + 88);
  memcpy(out->target_root, p + 96, 32);
}

void aq_att_data_put(uint8_t out[128], const aq_att_data *in) {
  aq_le64_put(out, in->slot);
  aq_le64_put(out + 8, in->index);
  memcpy(out + 16, in->beacon_block_root, 32);
  aq_le64_put(out + 48, in->source_epoch);
  memcpy(out + 56, in->source_root, 32);
  aq_le64_put(out + 88, in->target_epoch);
  memcpy(out + 96, in->target_root, 32);
}

/* ---- unsigned data: reading ---- */

static void duty_numbers(uint64_t *field[6], aq_attester_duty *d) {
  field[0] = &d->slot, field[1] = &d->validator_index, field[2] = &d->committee_index;
  field[3] = &d->committee_length, field[4] = &d->committees_at_slot, field[5] = &d->validator_committee_index;
}

static aq_status attester_ssz(aq_unsigned_data *out, aq_bytes in) {
  if (in.len < ATTESTER_FIRST) return AQ_E_TRUNC;
  size_t first = aq_le32_get(in.ptr), second = aq_le32_get(in.ptr + 4);
  if (first < ATTESTER_FIRST || first > second || second > in.len || second - first != DATA_LEN) return AQ_E_FORMAT;
  if (in.len - second < DUTY_LEN) return AQ_E_TRUNC; /* a surplus is ignored, as Charon does (consensus.md 5) */
  const uint8_t *duty = in.ptr + second;
  uint64_t *field[6];
  duty_numbers(field, &out->attester);
  memcpy(out->attester.pubkey, duty, 48);
  for (size_t i = 0; i < 6; i++) *field[i] = aq_le64_get(duty + 48 + 8 * i);
  out->type = &aq_t_attestation_data;
  out->value = aq_bytes_sub(in, first, DATA_LEN);
  return AQ_OK;
}

static aq_status attester_json(aq_unsigned_data *out, aq_arena *a, yyjson_val *root) {
  static const char *const name[6] = {"slot",
                                      "validator_index",
                                      "committee_index",
                                      "committee_length",
                                      "committees_at_slot",
                                      "validator_committee_index"};
  yyjson_val *duty = yyjson_obj_get(root, "attestation_duty");
  uint64_t *field[6];
  duty_numbers(field, &out->attester);
  if (!aq_json_hex(duty, "pubkey", out->attester.pubkey, 48)) return AQ_E_FORMAT;
  for (size_t i = 0; i < 6; i++) {
    if (!aq_json_u64(duty, name[i], field[i])) return AQ_E_FORMAT;
  }
  out->type = &aq_t_attestation_data;
  return aq_payload_json(&out->value, a, out->type, yyjson_obj_get(root, "attestation_data"));
}

static aq_status proposer_ssz(aq_unsigned_data *out, aq_bytes in) {
  aq_status st = aq_header_get(&out->fork, &out->value, in, 9);
  if (st) return st;
  if (in.ptr[8] > 1) return AQ_E_FORMAT;
  out->blinded = in.ptr[8];
  out->type = aq_t_proposal(out->fork, out->blinded, false);
  return out->type ? aq_ssz_check(out->type, out->value) : AQ_E_FORMAT;
}

static aq_status proposer_json(aq_unsigned_data *out, aq_arena *a, yyjson_val *root) {
  if (!aq_json_version(&out->fork, root)) return AQ_E_FORMAT;
  out->blinded = yyjson_get_bool(yyjson_obj_get(root, "blinded"));
  out->type = aq_t_proposal(out->fork, out->blinded, false);
  return aq_payload_json(&out->value, a, out->type, yyjson_obj_get(root, "block"));
}

static aq_status aggregator_ssz(aq_unsigned_data *out, aq_bytes in) {
  aq_status st = aq_header_get(&out->fork, &out->value, in, 8);
  if (st == AQ_OK) {
    out->type = aq_t_attestation(out->fork);
    st = aq_ssz_check(out->type, out->value);
  }
  if (st == AQ_OK) return AQ_OK;
  out->fork = AQ_PHASE0; /* old peers send it bare */
  out->type = &aq_t_attestation_phase0;
  out->value = in;
  return aq_ssz_check(out->type, in);
}

static aq_status aggregator_json(aq_unsigned_data *out, aq_arena *a, yyjson_val *root) {
  if (aq_json_version(&out->fork, root)) {
    out->type = aq_t_attestation(out->fork);
    return aq_payload_json(&out->value, a, out->type, yyjson_obj_get(root, "attestation"));
  }
  out->fork = AQ_PHASE0;
  out->type = &aq_t_attestation_phase0;
  return aq_payload_json(&out->value, a, out->type, root);
}

static aq_status contribution_ssz(aq_unsigned_data *out, aq_bytes in) {
  out->type = &aq_t_sync_committee_contribution;
  out->value = in;
  return aq_ssz_check(out->type, in);
}

static aq_status contribution_json(aq_unsigned_data *out, aq_arena *a, yyjson_val *root) {
  out->type = yyjson_is_arr(root) ? &aq_t_sync_committee_contributions : &aq_t_sync_committee_contribution;
  return aq_payload_json(&out->value, a, out->type, root);
}

/* ---- unsigned data: a row a type ---- */

static void put_attester(aq_buf *out, const aq_unsigned_data *in) {
  aq_attester_duty duty = in->attester;
  uint64_t *field[6];
  duty_numbers(field, &duty);
  aq_le32_append(out, ATTESTER_FIRST);
  aq_le32_append(out, ATTESTER_SECOND);
  aq_buf_put_bytes(out, in->value);
  aq_buf_put(out, in->attester.pubkey, 48);
  for (size_t i = 0; i < 6; i++) {
    uint8_t le[8];
    aq_le64_put(le, *field[i]);
    aq_buf_put(out, le, sizeof le);
  }
}

static void put_proposer(aq_buf *out, const aq_unsigned_data *in) {
  aq_proposal_put(out, in->fork, in->blinded, in->value);
}

static void put_aggregator(aq_buf *out, const aq_unsigned_data *in) { aq_versioned_put(out, in->fork, in->value); }

static void put_contribution(aq_buf *out, const aq_unsigned_data *in) {
  if (in->type->kind == AQ_SSZ_LIST)
    aq_ssz_to_json(out, in->type, in->value);
  else
    aq_buf_put_bytes(out, in->value);
}

typedef struct {
  aq_status (*ssz)(aq_unsigned_data *out, aq_bytes in);
  aq_status (*json)(aq_unsigned_data *out, aq_arena *a, yyjson_val *root);
  void (*put)(aq_buf *out, const aq_unsigned_data *in);
  bool plural; /* has a JSON form that is a list, which comes before SSZ */
} aq_unsigned_ops;

AQ_DUTY_OPS(aq_unsigned_ops, unsigned)

const aq_unsigned_ops aq_unsigned_attester = {attester_ssz, attester_json, put_attester, false};
const aq_unsigned_ops aq_unsigned_proposer = {proposer_ssz, proposer_json, put_proposer, false};
const aq_unsigned_ops aq_unsigned_aggregator = {aggregator_ssz, aggregator_json, put_aggregator, false};
const aq_unsigned_ops aq_unsigned_sync_contribution = {contribution_ssz, contribution_json, put_contribution, true};
/* The others are not agreed on, or in a form of their own (info_sync). */
const aq_unsigned_ops aq_unsigned_signature = {0}, aq_unsigned_exit = {0}, aq_unsigned_builder_proposer = {0},
                      aq_unsigned_builder_registration = {0}, aq_unsigned_randao = {0},
                      aq_unsigned_prepare_aggregator = {0}, aq_unsigned_sync_message = {0},
                      aq_unsigned_prepare_sync_contribution = {0}, aq_unsigned_info_sync = {0};

static aq_status unsigned_json(aq_unsigned_data *out, aq_arena *a, aq_bytes in) {
  yyjson_doc *doc = aq_json_parse(in, aq_payload_json_max(out->duty), NULL);
  if (!doc) return AQ_E_FORMAT;
  aq_status st = ops_of(out->duty)->json(out, a, yyjson_doc_get_root(doc));
  yyjson_doc_free(doc);
  return st;
}

aq_status aq_unsigned_decode(aq_unsigned_data *out, aq_arena *a, aq_duty_type duty, aq_bytes in) {
  const aq_unsigned_ops *o = ops_of(duty);
  *out = (aq_unsigned_data){.duty = duty};
  if (!o->ssz) return AQ_E_FORMAT;
  uint8_t first = aq_first_char(in);
  aq_status st = AQ_E_FORMAT;
  /* The plural form has priority; SSZ has over every other JSON. */
  if (o->plural && first == '[') st = unsigned_json(out, a, in);
  if (st) st = o->ssz(out, in);
  if (st && first == '{') st = unsigned_json(out, a, in);
  return st;
}

aq_status aq_unsigned_encode(aq_buf *out, const aq_unsigned_data *in) {
  const aq_unsigned_ops *o = ops_of(in->duty);
  if (!o->put) return AQ_E_UNSUPPORTED;
  o->put(out, in);
  return out->failed ? AQ_E_LIMIT : AQ_OK;
}
