#include "base/hex.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/hash.h"
#include "eth/payload_wire.h"

enum { SIG_LEN = 96 };

/* ---- reading ---- */

/* Where the signature lies in the value. */
static const char *sig_path(const aq_signed_data *d) {
  bool contents = d->duty == AQ_DUTY_PROPOSER && !d->blinded && aq_t_signed_block_contents(d->fork);
  return contents ? "signed_block.signature" : "signature";
}

/* The beacon block inside a signed proposal. */
static const char *block_path(const aq_signed_data *d) {
  return !d->blinded && aq_t_signed_block_contents(d->fork) ? "signed_block.message" : "message";
}

/* Copies out of the checked value what callers look at. */
static void fill(aq_signed_data *d) {
  const aq_ssz_type *t = d->type;
  memcpy(d->sig, aq_ssz_get(t, d->value, sig_path(d)).ptr, SIG_LEN);
  if (d->duty == AQ_DUTY_ATTESTER) d->slot = aq_ssz_get_u64(t, d->value, "data.slot");
  if (d->duty == AQ_DUTY_PROPOSER) {
    aq_bytes block = aq_ssz_get(t, d->value, block_path(d));
    d->slot = aq_le64_get(block.ptr); /* slot and proposer_index lead every block */
    d->validator_index = aq_le64_get(block.ptr + 8);
  }
  if (d->duty == AQ_DUTY_AGGREGATOR) {
    d->slot = aq_ssz_get_u64(t, d->value, "message.aggregate.data.slot");
    d->validator_index = aq_ssz_get_u64(t, d->value, "message.aggregator_index");
  }
  if (d->duty == AQ_DUTY_SYNC_MESSAGE) {
    d->slot = aq_ssz_get_u64(t, d->value, "slot");
    d->validator_index = aq_ssz_get_u64(t, d->value, "validator_index");
    memcpy(d->block_root, aq_ssz_get(t, d->value, "beacon_block_root").ptr, 32);
  }
  if (d->duty == AQ_DUTY_SYNC_CONTRIBUTION) {
    d->slot = aq_ssz_get_u64(t, d->value, "message.contribution.slot");
    d->subcommittee = aq_ssz_get_u64(t, d->value, "message.contribution.subcommittee_index");
    d->validator_index = aq_ssz_get_u64(t, d->value, "message.aggregator_index");
  }
  if (d->duty == AQ_DUTY_EXIT) {
    d->epoch = aq_ssz_get_u64(t, d->value, "message.epoch");
    d->validator_index = aq_ssz_get_u64(t, d->value, "message.validator_index");
  }
}

static aq_status attester_ssz(aq_signed_data *d, aq_bytes in) {
  if (in.len < AQ_HEADER_INDEX_LEN) return AQ_E_TRUNC;
  d->has_index = aq_le32_get(in.ptr + 16) == AQ_HEADER_INDEX_LEN;
  aq_status st = aq_header_get(&d->fork, &d->value, in, d->has_index ? 16 : 8);
  if (st) return st;
  d->validator_index = d->has_index ? aq_le64_get(in.ptr + 8) : 0;
  d->type = aq_t_attestation(d->fork);
  return aq_ssz_check(d->type, d->value);
}

static aq_status proposer_ssz(aq_signed_data *d, aq_bytes in) {
  aq_status st = aq_header_get(&d->fork, &d->value, in, 9);
  if (st) return st;
  if (in.ptr[8] > 1) return AQ_E_FORMAT;
  d->blinded = in.ptr[8];
  d->type = aq_t_proposal(d->fork, d->blinded, true);
  return d->type ? aq_ssz_check(d->type, d->value) : AQ_E_FORMAT;
}

static aq_status aggregator_ssz(aq_signed_data *d, aq_bytes in) {
  d->fork = AQ_PHASE0; /* bare from old peers: its first offset, 100, is no version (wire.md 7.3) */
  d->type = &aq_t_signed_aggregate_and_proof_phase0;
  d->value = in;
  if (aq_ssz_check(d->type, in) == AQ_OK) return AQ_OK;
  aq_status st = aq_header_get(&d->fork, &d->value, in, 8);
  if (st) return st;
  d->type = aq_t_signed_aggregate(d->fork);
  return aq_ssz_check(d->type, d->value);
}

static aq_status signed_ssz(aq_signed_data *d, aq_bytes in) {
  if (d->duty == AQ_DUTY_ATTESTER) return attester_ssz(d, in);
  if (d->duty == AQ_DUTY_PROPOSER) return proposer_ssz(d, in);
  if (d->duty == AQ_DUTY_AGGREGATOR) return aggregator_ssz(d, in);
  if (d->duty == AQ_DUTY_SYNC_MESSAGE)
    d->type = &aq_t_sync_committee_message;
  else if (d->duty == AQ_DUTY_SYNC_CONTRIBUTION)
    d->type = &aq_t_signed_contribution_and_proof;
  else
    return AQ_E_FORMAT; /* the others have no SSZ form */
  d->value = in;
  return aq_ssz_check(d->type, in);
}

/* The versioned and the bare JSON objects of typed payloads: which type, and which member holds it. */
static aq_status json_form(aq_signed_data *d, yyjson_val **val) {
  bool versioned = aq_json_version(&d->fork, *val);
  switch (d->duty) {
    case AQ_DUTY_ATTESTER:
      d->has_index = aq_json_u64(*val, "validator_index", &d->validator_index);
      d->type = aq_t_attestation(d->fork);
      *val = yyjson_obj_get(*val, "attestation");
      return versioned ? AQ_OK : AQ_E_FORMAT;
    case AQ_DUTY_PROPOSER:
      d->blinded = yyjson_get_bool(yyjson_obj_get(*val, "blinded"));
      d->type = aq_t_proposal(d->fork, d->blinded, true);
      *val = yyjson_obj_get(*val, "block");
      return versioned ? AQ_OK : AQ_E_FORMAT;
    case AQ_DUTY_AGGREGATOR:
      d->type = aq_t_signed_aggregate(d->fork);
      if (versioned) *val = yyjson_obj_get(*val, "aggregate_and_proof");
      return AQ_OK;
    case AQ_DUTY_BUILDER_REGISTRATION:
      d->type = &aq_t_signed_validator_registration;
      *val = yyjson_obj_get(*val, "registration");
      return versioned && d->fork == AQ_PHASE0 ? AQ_OK : AQ_E_FORMAT; /* version 0 is V1, the only one */
    case AQ_DUTY_EXIT: d->type = &aq_t_signed_voluntary_exit; return AQ_OK;
    case AQ_DUTY_SYNC_MESSAGE: d->type = &aq_t_sync_committee_message; return AQ_OK;
    case AQ_DUTY_SYNC_CONTRIBUTION: d->type = &aq_t_signed_contribution_and_proof; return AQ_OK;
    case AQ_DUTY_UNKNOWN:
    case AQ_DUTY_SIGNATURE:
    case AQ_DUTY_BUILDER_PROPOSER:
    case AQ_DUTY_RANDAO:
    case AQ_DUTY_PREPARE_AGGREGATOR:
    case AQ_DUTY_PREPARE_SYNC_CONTRIBUTION:
    case AQ_DUTY_INFO_SYNC:
    case AQ_DUTY_CNT: break;
  }
  return AQ_E_FORMAT;
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

static bool json_only(aq_signed_data *d, yyjson_val *root) {
  if (d->duty == AQ_DUTY_SIGNATURE) return sig_from_base64(d->sig, root);
  if (d->duty == AQ_DUTY_RANDAO) {
    return aq_json_u64(root, "epoch", &d->epoch) && aq_json_hex(root, "signature", d->sig, SIG_LEN);
  }
  return aq_json_u64(root, "validator_index", &d->validator_index) && aq_json_u64(root, "slot", &d->slot) &&
         (d->duty != AQ_DUTY_PREPARE_SYNC_CONTRIBUTION || aq_json_u64(root, "subcommittee_index", &d->subcommittee)) &&
         aq_json_hex(root, "selection_proof", d->sig, SIG_LEN);
}

static bool is_json_only(aq_duty_type duty) {
  return duty == AQ_DUTY_SIGNATURE || duty == AQ_DUTY_RANDAO || duty == AQ_DUTY_PREPARE_AGGREGATOR ||
         duty == AQ_DUTY_PREPARE_SYNC_CONTRIBUTION;
}

static aq_status signed_json(aq_signed_data *d, aq_arena *a, aq_bytes in) {
  yyjson_doc *doc = aq_json_parse(in, aq_payload_json_max(d->duty), NULL);
  if (!doc) return AQ_E_FORMAT;
  yyjson_val *val = yyjson_doc_get_root(doc);
  aq_status st;
  if (is_json_only(d->duty)) {
    st = json_only(d, val) ? AQ_OK : AQ_E_FORMAT;
  } else {
    st = json_form(d, &val);
    if (st == AQ_OK) st = aq_payload_json(&d->value, a, d->type, val);
  }
  yyjson_doc_free(doc);
  if (st == AQ_OK && d->duty == AQ_DUTY_BUILDER_REGISTRATION) d->json = in;
  return st;
}

aq_status aq_signed_decode(aq_signed_data *out, aq_arena *a, aq_duty_type duty, aq_bytes in) {
  *out = (aq_signed_data){.duty = duty};
  aq_status st = signed_ssz(out, in);
  uint8_t first = aq_first_char(in);
  if (st && (first == '{' || (first == '"' && duty == AQ_DUTY_SIGNATURE))) {
    *out = (aq_signed_data){.duty = duty};
    st = signed_json(out, a, in);
  }
  if (st == AQ_OK && out->type) fill(out);
  return st;
}

/* ---- writing ---- */

static void put_hex(aq_buf *out, const char *before, const uint8_t *ptr, size_t len) {
  aq_buf_put_str(out, before);
  aq_buf_put_str(out, "\"0x");
  aq_buf_put_hex(out, aq_bytes_of(ptr, len));
  aq_buf_put_u8(out, '"');
}

/* EIP-55: a letter is upper case where the hash of the lower-case text has a high nibble. */
static void put_address(aq_buf *out, aq_bytes address) {
  char text[41];
  uint8_t hash[32];
  aq_hex_encode(text, address);
  aq_keccak256(hash, aq_bytes_of(text, 40));
  for (size_t i = 0; i < 40; i++) {
    unsigned nibble = (unsigned)hash[i / 2] >> (i % 2 ? 0 : 4) & 15;
    if (text[i] >= 'a' && nibble >= 8) text[i] = (char)(text[i] - 'a' + 'A');
  }
  aq_buf_printf(out, "\"0x%s\"", text);
}

static void put_registration(aq_buf *out, const aq_signed_data *d) {
  const aq_ssz_type *t = d->type;
  aq_buf_put_str(out, "{\"version\":0,\"registration\":{\"message\":{\"fee_recipient\":");
  put_address(out, aq_ssz_get(t, d->value, "message.fee_recipient"));
  aq_buf_printf(out, ",\"gas_limit\":\"%llu\",\"timestamp\":\"%llu\"",
                (unsigned long long)aq_ssz_get_u64(t, d->value, "message.gas_limit"),
                (unsigned long long)aq_ssz_get_u64(t, d->value, "message.timestamp"));
  put_hex(out, ",\"pubkey\":", aq_ssz_get(t, d->value, "message.pubkey").ptr, 48);
  put_hex(out, "},\"signature\":", d->sig, SIG_LEN);
  aq_buf_put_str(out, "}}");
}

static void put_selection(aq_buf *out, const aq_signed_data *d) {
  aq_buf_printf(out, "{\"validator_index\":\"%llu\",\"slot\":\"%llu\"", (unsigned long long)d->validator_index,
                (unsigned long long)d->slot);
  if (d->duty == AQ_DUTY_PREPARE_SYNC_CONTRIBUTION) {
    aq_buf_printf(out, ",\"subcommittee_index\":\"%llu\"", (unsigned long long)d->subcommittee);
  }
  put_hex(out, ",\"selection_proof\":", d->sig, SIG_LEN);
  aq_buf_put_u8(out, '}');
}

static void put_attester(aq_buf *out, const aq_signed_data *d) {
  aq_header_put(out, d->fork);
  if (d->has_index) {
    uint8_t le[8];
    aq_le64_put(le, d->validator_index);
    aq_buf_put(out, le, sizeof le);
  }
  aq_le32_append(out, d->has_index ? AQ_HEADER_INDEX_LEN : AQ_HEADER_LEN);
  aq_buf_put_bytes(out, d->value);
}

aq_status aq_signed_encode(aq_buf *out, const aq_signed_data *in) {
  switch (in->duty) {
    case AQ_DUTY_ATTESTER: put_attester(out, in); break;
    case AQ_DUTY_PROPOSER:
      aq_header_put(out, in->fork);
      aq_buf_put_u8(out, in->blinded);
      aq_le32_append(out, AQ_HEADER_BLINDED_LEN);
      aq_buf_put_bytes(out, in->value);
      break;
    case AQ_DUTY_AGGREGATOR:
      aq_header_put(out, in->fork);
      aq_le32_append(out, AQ_HEADER_LEN);
      aq_buf_put_bytes(out, in->value);
      break;
    case AQ_DUTY_SYNC_MESSAGE:
    case AQ_DUTY_SYNC_CONTRIBUTION: aq_buf_put_bytes(out, in->value); break;
    case AQ_DUTY_EXIT: aq_ssz_to_json(out, in->type, in->value); break;
    case AQ_DUTY_BUILDER_REGISTRATION: put_registration(out, in); break;
    case AQ_DUTY_RANDAO:
      aq_buf_printf(out, "{\"epoch\":\"%llu\"", (unsigned long long)in->epoch);
      put_hex(out, ",\"signature\":", in->sig, SIG_LEN);
      aq_buf_put_u8(out, '}');
      break;
    case AQ_DUTY_PREPARE_AGGREGATOR:
    case AQ_DUTY_PREPARE_SYNC_CONTRIBUTION: put_selection(out, in); break;
    case AQ_DUTY_SIGNATURE:
      aq_buf_put_u8(out, '"');
      aq_base64_encode(out, aq_bytes_of(in->sig, SIG_LEN), AQ_BASE64_STD);
      aq_buf_put_u8(out, '"');
      break;
    case AQ_DUTY_UNKNOWN:
    case AQ_DUTY_BUILDER_PROPOSER:
    case AQ_DUTY_INFO_SYNC:
    case AQ_DUTY_CNT: return AQ_E_UNSUPPORTED;
  }
  return out->failed ? AQ_E_LIMIT : AQ_OK;
}

aq_status aq_signed_with_sig(aq_signed_data *out, aq_arena *a, const aq_signed_data *in, const uint8_t sig[96]) {
  aq_signed_data d = *in;
  d.json = (aq_bytes){NULL, 0};
  memcpy(d.sig, sig, SIG_LEN);
  if (d.type) {
    aq_bytes at = aq_ssz_get(d.type, in->value, sig_path(in));
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

/* ---- roots ---- */

static void root_at(uint8_t out[32], const aq_signed_data *d, const char *path) {
  aq_ssz_root(out, aq_ssz_type_at(d->type, path), aq_ssz_get(d->type, d->value, path));
}

void aq_signed_message_root(uint8_t out[32], const aq_signed_data *d) {
  uint8_t selection[16];
  memset(out, 0, 32);
  switch (d->duty) {
    case AQ_DUTY_ATTESTER: root_at(out, d, "data"); return;
    case AQ_DUTY_PROPOSER: root_at(out, d, block_path(d)); return;
    case AQ_DUTY_EXIT:
    case AQ_DUTY_BUILDER_REGISTRATION:
    case AQ_DUTY_AGGREGATOR:
    case AQ_DUTY_SYNC_CONTRIBUTION: root_at(out, d, "message"); return;
    case AQ_DUTY_RANDAO: aq_le64_put(out, d->epoch); return;
    case AQ_DUTY_PREPARE_AGGREGATOR: aq_le64_put(out, d->slot); return;
    case AQ_DUTY_SYNC_MESSAGE: memcpy(out, d->block_root, 32); return;
    case AQ_DUTY_PREPARE_SYNC_CONTRIBUTION:
      aq_le64_put(selection, d->slot);
      aq_le64_put(selection + 8, d->subcommittee);
      aq_ssz_root(out, &aq_t_sync_aggregator_selection_data, aq_bytes_of(selection, sizeof selection));
      return;
    case AQ_DUTY_UNKNOWN:
    case AQ_DUTY_SIGNATURE: /* raw: what it signs is not in it */
    case AQ_DUTY_BUILDER_PROPOSER:
    case AQ_DUTY_INFO_SYNC:
    case AQ_DUTY_CNT: return;
  }
}

void aq_signed_signing_root(uint8_t out[32], const aq_chain *c, const aq_signed_data *d) {
  static const aq_domain_type domain[AQ_DUTY_CNT] = {
      [AQ_DUTY_PROPOSER] = AQ_DOMAIN_BEACON_PROPOSER,
      [AQ_DUTY_ATTESTER] = AQ_DOMAIN_BEACON_ATTESTER,
      [AQ_DUTY_EXIT] = AQ_DOMAIN_VOLUNTARY_EXIT,
      [AQ_DUTY_BUILDER_REGISTRATION] = AQ_DOMAIN_APPLICATION_BUILDER,
      [AQ_DUTY_RANDAO] = AQ_DOMAIN_RANDAO,
      [AQ_DUTY_PREPARE_AGGREGATOR] = AQ_DOMAIN_SELECTION_PROOF,
      [AQ_DUTY_AGGREGATOR] = AQ_DOMAIN_AGGREGATE_AND_PROOF,
      [AQ_DUTY_SYNC_MESSAGE] = AQ_DOMAIN_SYNC_COMMITTEE,
      [AQ_DUTY_PREPARE_SYNC_CONTRIBUTION] = AQ_DOMAIN_SYNC_SELECTION_PROOF,
      [AQ_DUTY_SYNC_CONTRIBUTION] = AQ_DOMAIN_CONTRIBUTION_AND_PROOF,
  };
  memset(out, 0, 32);
  if ((unsigned)d->duty >= AQ_DUTY_CNT || (!d->type && !is_json_only(d->duty)) || d->duty == AQ_DUTY_SIGNATURE) return;
  uint64_t epoch = aq_epoch_of(&c->clock, d->slot);
  if (d->duty == AQ_DUTY_ATTESTER) epoch = aq_ssz_get_u64(d->type, d->value, "data.target.epoch");
  if (d->duty == AQ_DUTY_RANDAO || d->duty == AQ_DUTY_EXIT) epoch = d->epoch;
  uint8_t root[32];
  aq_signed_message_root(root, d);
  aq_chain_signing_root(out, c, domain[d->duty], epoch, root);
}
