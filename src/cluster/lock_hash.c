/* Hashes of definitions and locks of every version. Spec: cluster.md 2.5 to 2.8. */
#include <stdio.h>

#include "base/assert.h"
#include "base/hex.h"
#include "cluster/lock_internal.h"

enum { OPERATORS_LIMIT = 256, VALIDATORS_LIMIT = 65536, DEPOSITS_LIMIT = 256, ENR_LIMIT = 1024, PROTOCOL_LIMIT = 256 };
enum { ADDRESS_LEN = 20, ADDRESS_TEXT_LEN = 42 };

/* Versions that changed how things are hashed. */
enum { V1_DIGESTS_SSZ = 3, V1_CREATOR = 4, V1_ADDRESS_LIST = 5, V1_DEPOSITS = 6, V1_REGISTRATIONS = 7, V1_AMOUNTS = 8 };
enum { V1_PROTOCOL = 9, V1_GAS_LIMIT = 10, V1_SIG_LISTS = 11 };

static const char sig_too_long[] = "a k1 signature is too long for this version";

/* 20 bytes of an address text; an absent one gives zeros and false. */
static bool address_bytes(uint8_t out[ADDRESS_LEN], aq_tree *t, const char *text) {
  memset(out, 0, ADDRESS_LEN);
  if (!*text) return false;
  bool ok = aq_hex_decode(out, ADDRESS_LEN, aq_bytes_str(text), AQ_HEX_PREFIX) == AQ_OK;
  if (!ok && !t->fault) t->fault = "an address is not 0x and 40 hex digits";
  return ok;
}

static void put_address(aq_tree *t, const char *text) {
  uint8_t b[ADDRESS_LEN];
  (void)address_bytes(b, t, text);
  aq_tree_fixed(t, aq_bytes_of(b, sizeof b));
}

static void put_address_raw(aq_tree *t, const char *text) {
  uint8_t b[ADDRESS_LEN];
  if (address_bytes(b, t, text)) aq_tree_raw(t, aq_bytes_of(b, sizeof b));
}

static void put_text_raw(aq_tree *t, const char *text) { aq_tree_raw(t, aq_bytes_str(text)); }

/* v1.11: List[Bytes[65], 32] of the concatenated pieces; before: Bytes[65], extended on the left. */
static void put_signature(aq_tree *t, aq_bytes sig, int minor) {
  if (minor < V1_SIG_LISTS) {
    aq_tree_left(t, sig, AQ_K1_SIG_LEN, sig_too_long);
    return;
  }
  aq_tree list = AQ_TREE;
  size_t cnt = sig.len / AQ_K1_SIG_LEN;
  if (sig.len % AQ_K1_SIG_LEN != 0 || cnt > AQ_K1_SIGS_MAX)
    list.fault = "a k1 signature is no list of up to 32 pieces of 65 bytes";
  for (size_t i = 0; !list.fault && i < cnt; i++)
    aq_tree_fixed(&list, aq_bytes_sub(sig, i * AQ_K1_SIG_LEN, AQ_K1_SIG_LEN));
  aq_tree_close_list(t, &list, AQ_K1_SIGS_MAX, cnt);
}

static void put_enr(aq_tree *t, const char *enr) { aq_tree_text(t, enr, ENR_LIMIT, "an ENR is too long"); }

/* ---- v1.5 to v1.11 ---- */

static void put_operators(aq_tree *t, const aq_definition *d, bool config_only) {
  aq_tree list = AQ_TREE;
  for (uint32_t i = 0; i < d->operator_cnt; i++) {
    const aq_operator *op = &d->operators[i];
    aq_tree one = AQ_TREE;
    put_address(&one, op->address);
    if (!config_only) {
      put_enr(&one, op->enr);
      put_signature(&one, op->config_sig, d->minor);
      put_signature(&one, op->enr_sig, d->minor);
    }
    aq_tree_close(&list, &one);
  }
  aq_tree_close_list(t, &list, OPERATORS_LIMIT, d->operator_cnt);
}

static void put_creator(aq_tree *t, const aq_definition *d, bool config_only) {
  aq_tree one = AQ_TREE;
  put_address(&one, d->creator_address);
  if (!config_only) put_signature(&one, d->creator_config_sig, d->minor);
  aq_tree_close(t, &one);
}

static void put_addresses(aq_tree *t, const aq_definition *d) {
  aq_tree list = AQ_TREE;
  for (uint32_t i = 0; i < d->validator_cnt; i++) {
    aq_tree one = AQ_TREE;
    put_address(&one, d->addresses[i].fee_recipient);
    put_address(&one, d->addresses[i].withdrawal);
    aq_tree_close(&list, &one);
  }
  aq_tree_close_list(t, &list, VALIDATORS_LIMIT, d->validator_cnt);
}

static void put_head(aq_tree *t, const aq_definition *d) {
  aq_tree_text(t, d->uuid, AQ_UUID_MAX, "uuid is too long");
  aq_tree_text(t, d->name, AQ_NAME_MAX, "name is too long");
  aq_tree_text(t, d->version, AQ_VERSION_MAX, "version is too long");
  aq_tree_text(t, d->timestamp, AQ_TIMESTAMP_MAX, "timestamp is too long");
  aq_tree_u64(t, d->validator_cnt);
  aq_tree_u64(t, d->threshold);
}

static void leaves_v1x5(aq_tree *t, const aq_definition *d, bool config_only) {
  put_head(t, d);
  aq_tree_text(t, d->dkg_algorithm, AQ_ALGORITHM_MAX, "dkg_algorithm is too long");
  aq_tree_fixed(t, aq_bytes_of(d->fork_version, 4));
  put_operators(t, d, config_only);
  put_creator(t, d, config_only);
  put_addresses(t, d);
  if (d->minor >= V1_AMOUNTS) aq_tree_u64_list(t, d->deposit_amounts, d->deposit_amount_cnt, AQ_DEPOSIT_AMOUNTS_MAX);
  if (d->minor >= V1_PROTOCOL) aq_tree_text(t, d->consensus_protocol, PROTOCOL_LIMIT, "consensus_protocol is too long");
  if (d->minor >= V1_GAS_LIMIT) aq_tree_u64(t, d->target_gas_limit);
  if (d->minor >= V1_GAS_LIMIT) aq_tree_u64(t, d->compounding);
  if (!config_only) aq_tree_chunk(t, d->config_hash);
}

/* ---- v1.3 and v1.4 ---- */

static void leaves_v1x3(aq_tree *t, const aq_definition *d, bool config_only) {
  aq_tree list = AQ_TREE;
  put_head(t, d);
  put_address_raw(t, d->validator_cnt ? d->addresses[0].fee_recipient : "");
  put_address_raw(t, d->validator_cnt ? d->addresses[0].withdrawal : "");
  aq_tree_text(t, d->dkg_algorithm, AQ_ALGORITHM_MAX, "dkg_algorithm is too long");
  aq_tree_raw(t, aq_bytes_of(d->fork_version, 4));
  for (uint32_t i = 0; i < d->operator_cnt; i++) {
    const aq_operator *op = &d->operators[i];
    aq_tree one = AQ_TREE;
    put_address_raw(&one, op->address);
    if (!config_only) {
      put_enr(&one, op->enr);
      aq_tree_raw(&one, op->config_sig);
      aq_tree_raw(&one, op->enr_sig);
    }
    aq_tree_close(&list, &one);
  }
  aq_tree_close_list(t, &list, OPERATORS_LIMIT, d->operator_cnt);
  if (d->minor >= V1_CREATOR) {
    aq_tree one = AQ_TREE;
    put_address_raw(&one, d->creator_address);
    if (!config_only) aq_tree_raw(&one, d->creator_config_sig);
    aq_tree_close(t, &one);
  }
  if (!config_only) aq_tree_chunk(t, d->config_hash);
}

/* ---- v1.0 to v1.2 ---- */

static void put_operator_v1x0(aq_tree *list, const aq_definition *d, const aq_operator *op) {
  aq_tree one = AQ_TREE;
  put_text_raw(&one, op->address);
  put_text_raw(&one, op->enr);
  if (d->minor <= 1) aq_tree_u64(&one, 0); /* the nonce */
  aq_tree_raw(&one, op->config_sig);
  aq_tree_raw(&one, op->enr_sig);
  aq_tree_close(list, &one);
}

static void leaves_v1x0(aq_tree *t, const aq_definition *d, bool config_only) {
  char fork[2 + 8 + 1] = "0x";
  aq_hex_encode(fork + 2, aq_bytes_of(d->fork_version, 4));
  aq_tree list = AQ_TREE;
  put_text_raw(t, d->uuid);
  put_text_raw(t, d->name);
  put_text_raw(t, d->version);
  aq_tree_u64(t, d->validator_cnt);
  aq_tree_u64(t, d->threshold);
  put_text_raw(t, d->validator_cnt ? d->addresses[0].fee_recipient : "");
  put_text_raw(t, d->validator_cnt ? d->addresses[0].withdrawal : "");
  put_text_raw(t, d->dkg_algorithm);
  put_text_raw(t, fork);
  for (uint32_t i = 0; i < d->operator_cnt; i++) {
    if (config_only)
      put_text_raw(&list, d->operators[i].address);
    else
      put_operator_v1x0(&list, d, &d->operators[i]);
  }
  aq_tree_close_list(t, &list, d->operator_cnt, d->operator_cnt);
  if (config_only ? *d->timestamp != 0 : d->minor >= 1) put_text_raw(t, d->timestamp);
}

/* ---- definition ---- */

static void leaves(aq_tree *t, const aq_definition *d, bool config_only) {
  if (d->minor >= V1_ADDRESS_LIST)
    leaves_v1x5(t, d, config_only);
  else if (d->minor >= V1_DIGESTS_SSZ)
    leaves_v1x3(t, d, config_only);
  else
    leaves_v1x0(t, d, config_only);
}

aq_status aq_definition_leaves(aq_buf *out, const aq_definition *d, bool config_only, aq_err *err) {
  aq_tree t = AQ_TREE;
  leaves(&t, d, config_only);
  aq_status st = t.fault ? aq_fail(err, AQ_E_FORMAT, "%s", t.fault) : AQ_OK;
  aq_buf_put_bytes(out, aq_buf_bytes(&t.leaf));
  aq_buf_free(&t.leaf);
  return st == AQ_OK ? aq_buf_status(out) : st;
}

aq_status aq_definition_root(uint8_t out[32], const aq_definition *d, bool config_only, aq_err *err) {
  aq_tree t = AQ_TREE;
  leaves(&t, d, config_only);
  return aq_tree_root(out, &t, err);
}

void aq_definition_hashes(uint8_t config_hash[32], uint8_t definition_hash[32], const aq_definition *d) {
  aq_definition copy = *d; /* the definition hash covers the config hash that belongs to it */
  aq_status st = aq_definition_root(copy.config_hash, d, true, NULL);
  AQ_ASSERT(st == AQ_OK);
  memcpy(config_hash, copy.config_hash, 32);
  st = aq_definition_root(definition_hash, &copy, false, NULL);
  AQ_ASSERT(st == AQ_OK);
}

/* ---- lock ---- */

static void put_deposit_fields(aq_tree *t, const aq_deposit *d) {
  aq_tree_fixed(t, aq_bytes_of(d->pubkey, 48));
  aq_tree_fixed(t, aq_bytes_of(d->withdrawal_credentials, 32));
  aq_tree_u64(t, d->amount);
  aq_tree_fixed(t, aq_bytes_of(d->signature, 96));
}

static void put_deposit(aq_tree *t, const aq_deposit *d) {
  aq_tree one = AQ_TREE;
  put_deposit_fields(&one, d);
  aq_tree_close(t, &one);
}

static void put_deposits(aq_tree *t, const aq_dist_validator *v, int minor) {
  static const aq_deposit none;
  const aq_deposit *first = v->deposit_cnt ? &v->deposits[0] : &none;
  if (minor == V1_DEPOSITS) {
    put_deposit_fields(t, first); /* a historical defect: the four roots lie in the validator itself */
  } else if (minor < V1_AMOUNTS) {
    put_deposit(t, first);
  } else {
    aq_tree list = AQ_TREE;
    for (uint32_t i = 0; i < v->deposit_cnt; i++) put_deposit(&list, &v->deposits[i]);
    aq_tree_close_list(t, &list, DEPOSITS_LIMIT, v->deposit_cnt);
  }
}

static void put_registration(aq_tree *t, const aq_dist_validator *v) {
  const aq_registration *r = &v->registration;
  aq_tree outer = AQ_TREE, msg = AQ_TREE;
  aq_bytes recipient = aq_bytes_of(r->fee_recipient, 20);
  if (v->has_registration || !aq_bytes_is_zero(recipient)) aq_tree_raw(&msg, recipient); /* absent: no leaf at all */
  aq_tree_u64(&msg, r->gas_limit);
  aq_tree_u64(&msg, r->timestamp);
  aq_tree_fixed(&msg, aq_bytes_of(r->pubkey, 48));
  aq_tree_close(&outer, &msg);
  aq_tree_fixed(&outer, aq_bytes_of(r->signature, 96));
  aq_tree_close(t, &outer);
}

static void put_validator(aq_tree *t, const aq_lock *l, const aq_dist_validator *v) {
  aq_tree one = AQ_TREE, shares = AQ_TREE;
  int minor = l->def.minor;
  if (minor < V1_DIGESTS_SSZ) {
    char text[2 + 96 + 1] = "0x";
    aq_hex_encode(text + 2, aq_bytes_of(v->pubkey, 48));
    put_text_raw(&one, text);
  } else {
    aq_tree_fixed(&one, aq_bytes_of(v->pubkey, 48));
  }
  for (uint32_t i = 0; i < v->share_cnt; i++) aq_tree_fixed(&shares, aq_bytes_of(v->share[i], 48));
  aq_tree_close_list(&one, &shares, minor < V1_DIGESTS_SSZ ? v->share_cnt : OPERATORS_LIMIT, v->share_cnt);
  if (minor >= V1_DEPOSITS) put_deposits(&one, v, minor);
  if (minor >= V1_REGISTRATIONS) put_registration(&one, v);
  aq_tree_close(t, &one);
}

aq_status aq_lock_root(uint8_t out[32], const aq_lock *l, aq_err *err) {
  aq_tree t = AQ_TREE, list = AQ_TREE, def = AQ_TREE;
  leaves(&def, &l->def, false);
  aq_tree_close(&t, &def);
  for (uint32_t i = 0; i < l->validator_cnt; i++) put_validator(&list, l, &l->validators[i]);
  aq_tree_close_list(&t, &list, l->def.minor < V1_DIGESTS_SSZ ? l->validator_cnt : VALIDATORS_LIMIT, l->validator_cnt);
  return aq_tree_root(out, &t, err);
}

void aq_lock_hash(uint8_t out[32], const aq_lock *l) {
  aq_status st = aq_lock_root(out, l, NULL);
  AQ_ASSERT(st == AQ_OK);
}

/* ---- checks of the stage "hashes", cluster.md 2.11 ---- */

aq_status aq_definition_verify_hashes(const aq_definition *d, const aq_lock_late *late, aq_err *err) {
  uint8_t root[32];
  aq_status st = aq_definition_root(root, d, true, err);
  if (st != AQ_OK) return st;
  if (late->config_hash || memcmp(root, d->config_hash, 32) != 0)
    return aq_fail(err, AQ_E_FORMAT, "config_hash is wrong");
  st = aq_definition_root(root, d, false, err);
  if (st != AQ_OK) return st;
  if (late->definition_hash || memcmp(root, d->definition_hash, 32) != 0)
    return aq_fail(err, AQ_E_FORMAT, "definition_hash is wrong");
  return AQ_OK;
}

aq_status aq_lock_verify_hashes(const aq_lock *l, const aq_lock_late *late, aq_err *err) {
  uint8_t root[32];
  aq_status st = aq_definition_verify_hashes(&l->def, late, err);
  if (st != AQ_OK) return st;
  if (l->validator_cnt != l->def.validator_cnt) {
    return aq_fail(err, AQ_E_FORMAT, "%u distributed validators, num_validators says %u", l->validator_cnt,
                   l->def.validator_cnt);
  }
  if (late->lock_hash) return aq_fail(err, AQ_E_FORMAT, "lock_hash: %s", late->lock_hash);
  st = aq_lock_root(root, l, err);
  if (st == AQ_OK && memcmp(root, l->lock_hash, 32) != 0) st = aq_fail(err, AQ_E_FORMAT, "lock_hash is wrong");
  return st;
}
