/* JSON of definitions and locks, byte for byte as the reference writes it. Spec: cluster.md 2.2 to 2.4. */
#include <stdio.h>

#include "base/hex.h"
#include "cluster/lock_internal.h"
#include "codec/json_out.h"

enum { V1_HEX = 2, V1_CREATOR = 4, V1_ADDRESS_LIST = 5, V1_DEPOSITS = 6, V1_REGISTRATIONS = 7, V1_AMOUNTS = 8 };
enum { V1_PROTOCOL = 9, V1_GAS_LIMIT = 10 };

static void put_data(aq_json_out *o, const char *name, aq_bytes b, int minor) {
  if (minor < V1_HEX)
    aq_json_out_base64(o, name, b);
  else
    aq_json_out_hex(o, name, b);
}

static void put_if(aq_json_out *o, const char *name, const char *text) {
  if (*text) aq_json_out_str(o, name, text);
}

/* ---- definition ---- */

static void put_operators(aq_json_out *o, const aq_definition *d) {
  aq_json_out_open(o, "operators", '[');
  for (uint32_t i = 0; i < d->operator_cnt; i++) {
    const aq_operator *op = &d->operators[i];
    aq_json_out_open(o, NULL, '{');
    aq_json_out_str(o, "address", op->address);
    aq_json_out_str(o, "enr", op->enr);
    if (d->minor < V1_HEX) aq_json_out_u64(o, "nonce", 0);
    put_data(o, "config_signature", op->config_sig, d->minor);
    put_data(o, "enr_signature", op->enr_sig, d->minor);
    aq_json_out_close(o, '}');
  }
  aq_json_out_close(o, ']');
}

static void put_addresses(aq_json_out *o, const aq_definition *d) {
  if (d->minor < V1_ADDRESS_LIST) {
    put_if(o, "fee_recipient_address", d->validator_cnt ? d->addresses[0].fee_recipient : "");
    put_if(o, "withdrawal_address", d->validator_cnt ? d->addresses[0].withdrawal : "");
    return;
  }
  aq_json_out_open(o, "validators", '[');
  for (uint32_t i = 0; i < d->validator_cnt; i++) {
    aq_json_out_open(o, NULL, '{');
    aq_json_out_str(o, "fee_recipient_address", d->addresses[i].fee_recipient);
    aq_json_out_str(o, "withdrawal_address", d->addresses[i].withdrawal);
    aq_json_out_close(o, '}');
  }
  aq_json_out_close(o, ']');
}

static void put_amounts(aq_json_out *o, const aq_definition *d) {
  if (d->deposit_amount_cnt == 0) {
    aq_json_out_null(o, "deposit_amounts");
    return;
  }
  aq_json_out_open(o, "deposit_amounts", '[');
  for (uint32_t i = 0; i < d->deposit_amount_cnt; i++) aq_json_out_u64_str(o, NULL, d->deposit_amounts[i]);
  aq_json_out_close(o, ']');
}

static void put_definition(aq_json_out *o, const char *name, const aq_definition *d) {
  aq_json_out_open(o, name, '{');
  put_if(o, "name", d->name);
  if (d->minor >= V1_CREATOR) {
    aq_json_out_open(o, "creator", '{');
    aq_json_out_str(o, "address", d->creator_address);
    aq_json_out_hex(o, "config_signature", d->creator_config_sig);
    aq_json_out_close(o, '}');
  }
  put_operators(o, d);
  aq_json_out_str(o, "uuid", d->uuid);
  aq_json_out_str(o, "version", d->version);
  put_if(o, "timestamp", d->timestamp);
  aq_json_out_u64(o, "num_validators", d->validator_cnt);
  aq_json_out_u64(o, "threshold", d->threshold);
  put_addresses(o, d);
  aq_json_out_str(o, "dkg_algorithm", d->dkg_algorithm);
  aq_json_out_hex(o, "fork_version", aq_bytes_of(d->fork_version, 4));
  if (d->minor >= V1_AMOUNTS) put_amounts(o, d);
  if (d->minor >= V1_PROTOCOL) aq_json_out_str(o, "consensus_protocol", d->consensus_protocol);
  if (d->minor >= V1_GAS_LIMIT) aq_json_out_u64(o, "target_gas_limit", d->target_gas_limit);
  if (d->minor >= V1_GAS_LIMIT) aq_json_out_bool(o, "compounding", d->compounding);
  put_data(o, "config_hash", aq_bytes_of(d->config_hash, 32), d->minor);
  put_data(o, "definition_hash", aq_bytes_of(d->definition_hash, 32), d->minor);
  aq_json_out_close(o, '}');
}

/* Hashes are recomputed on every write; so a member that cannot be hashed cannot be written. */
static aq_status set_hashes(aq_definition *d) {
  for (uint32_t i = 1; d->minor < V1_ADDRESS_LIST && i < d->validator_cnt; i++) {
    if (strcmp(d->addresses[i].fee_recipient, d->addresses[0].fee_recipient) != 0 ||
        strcmp(d->addresses[i].withdrawal, d->addresses[0].withdrawal) != 0) {
      return AQ_E_FORMAT; /* these versions have one pair of addresses */
    }
  }
  aq_status st = aq_definition_root(d->config_hash, d, true, NULL);
  return st == AQ_OK ? aq_definition_root(d->definition_hash, d, false, NULL) : st;
}

aq_status aq_definition_write(aq_buf *out, const aq_lock *l) {
  aq_definition d = l->def;
  aq_json_out o = aq_json_out_of(out, 1);
  aq_status st = set_hashes(&d);
  if (st != AQ_OK) return st;
  put_definition(&o, NULL, &d);
  return aq_buf_status(out);
}

/* ---- lock ---- */

static void put_deposit(aq_json_out *o, const char *name, const aq_deposit *d) {
  bool some = d != NULL;
  aq_json_out_open(o, name, '{');
  aq_json_out_hex(o, "pubkey", aq_bytes_of(some ? d->pubkey : NULL, some ? 48 : 0));
  aq_json_out_hex(o, "withdrawal_credentials", aq_bytes_of(some ? d->withdrawal_credentials : NULL, some ? 32 : 0));
  aq_json_out_u64_str(o, "amount", some ? d->amount : 0);
  aq_json_out_hex(o, "signature", aq_bytes_of(some ? d->signature : NULL, some ? 96 : 0));
  aq_json_out_close(o, '}');
}

/* Members of an absent registration are empty. */
static aq_bytes present(const uint8_t *ptr, size_t len, bool some) {
  aq_bytes b = aq_bytes_of(ptr, len);
  return some || !aq_bytes_is_zero(b) ? b : aq_bytes_of(ptr, 0);
}

static void put_registration(aq_json_out *o, const aq_dist_validator *v) {
  const aq_registration *r = &v->registration;
  aq_json_out_open(o, "builder_registration", '{');
  aq_json_out_open(o, "message", '{');
  aq_json_out_hex(o, "fee_recipient", present(r->fee_recipient, 20, v->has_registration));
  aq_json_out_u64(o, "gas_limit", r->gas_limit);
  aq_json_out_u64(o, "timestamp", r->timestamp);
  aq_json_out_hex(o, "pubkey", present(r->pubkey, 48, v->has_registration));
  aq_json_out_close(o, '}');
  aq_json_out_hex(o, "signature", present(r->signature, 96, v->has_registration));
  aq_json_out_close(o, '}');
}

static void put_validator(aq_json_out *o, const aq_dist_validator *v, int minor) {
  aq_json_out_open(o, NULL, '{');
  aq_json_out_hex(o, "distributed_public_key", aq_bytes_of(v->pubkey, 48));
  aq_json_out_open(o, "public_shares", '[');
  for (uint32_t i = 0; i < v->share_cnt; i++) put_data(o, NULL, aq_bytes_of(v->share[i], 48), minor);
  aq_json_out_close(o, ']');
  if (minor >= V1_DEPOSITS && minor < V1_AMOUNTS)
    put_deposit(o, "deposit_data", v->deposit_cnt ? &v->deposits[0] : NULL);
  if (minor >= V1_REGISTRATIONS) put_registration(o, v);
  if (minor >= V1_AMOUNTS && v->deposit_cnt) {
    aq_json_out_open(o, "partial_deposit_data", '[');
    for (uint32_t i = 0; i < v->deposit_cnt; i++) put_deposit(o, NULL, &v->deposits[i]);
    aq_json_out_close(o, ']');
  }
  aq_json_out_close(o, '}');
}

aq_status aq_lock_write(aq_buf *out, const aq_lock *l) {
  aq_lock copy = *l;
  aq_json_out o = aq_json_out_of(out, 1);
  int minor = l->def.minor;
  aq_status st = set_hashes(&copy.def);
  if (st == AQ_OK) st = aq_lock_root(copy.lock_hash, &copy, NULL);
  if (st != AQ_OK) return st;
  aq_json_out_open(&o, NULL, '{');
  put_definition(&o, "cluster_definition", &copy.def);
  aq_json_out_open(&o, "distributed_validators", '[');
  for (uint32_t i = 0; i < l->validator_cnt; i++) put_validator(&o, &l->validators[i], minor);
  aq_json_out_close(&o, ']');
  put_data(&o, "signature_aggregate", aq_bytes_of(l->signature_aggregate, l->has_aggregate ? 96 : 0), minor);
  put_data(&o, "lock_hash", aq_bytes_of(copy.lock_hash, 32), minor);
  if (minor >= V1_REGISTRATIONS) {
    aq_json_out_open(&o, "node_signatures", '[');
    for (uint32_t i = 0; i < l->node_signature_cnt; i++) aq_json_out_hex(&o, NULL, l->node_signatures[i]);
    aq_json_out_close(&o, ']');
  }
  aq_json_out_close(&o, '}');
  return aq_buf_status(out);
}
