/* Loading: the stages in their order. Spec: cluster.md 2.11. */
#include "cluster/lock.h"

#include <stdlib.h>

#include "cluster/eip712.h"
#include "cluster/lock_internal.h"

void aq_lock_free(aq_lock *l) {
  if (!l) return;
  aq_arena_free(&l->arena);
  free(l);
}

const aq_network *aq_definition_network(const aq_definition *d, const aq_network *custom) {
  if (custom && memcmp(custom->genesis_version, d->fork_version, 4) == 0) return custom;
  return aq_network_by_version(d->fork_version);
}

static aq_status fail_stage(aq_err *err, const char *stage, aq_status st, const aq_err *why) {
  return aq_fail(err, st, "%s: %s", stage, why->text);
}

/* What code above indexes by, even when the lock was not verified. */
static aq_status check_shape(const aq_lock *l, aq_err *why) {
  if (l->validator_cnt != l->def.validator_cnt)
    return aq_fail(why, AQ_E_FORMAT, "num_validators is not the number of validators");
  if (l->def.threshold < 1 || l->def.threshold > l->def.operator_cnt)
    return aq_fail(why, AQ_E_FORMAT, "threshold is out of range");
  for (uint32_t i = 0; i < l->validator_cnt; i++) {
    if (l->validators[i].share_cnt != l->def.operator_cnt)
      return aq_fail(why, AQ_E_FORMAT, "validator %u has not one share an operator", i);
  }
  for (uint32_t i = 0; i < l->def.operator_cnt; i++) {
    if (l->def.operators[i].pubkey[0] == 0) return aq_fail(why, AQ_E_FORMAT, "the ENR of operator %u is wrong", i);
  }
  return AQ_OK;
}

static aq_status verify(const aq_lock *l, const aq_lock_late *late, bool definition_only, const aq_network *network,
                        aq_err *err) {
  aq_err why = {AQ_OK, ""};
  aq_status st =
      definition_only ? aq_definition_verify_hashes(&l->def, late, &why) : aq_lock_verify_hashes(l, late, &why);
  if (st != AQ_OK) return fail_stage(err, "hashes", st, &why);
  st = definition_only ? aq_definition_verify_signatures(&l->def, network, &why)
                       : aq_lock_verify_signatures(l, late, network, &why);
  return st == AQ_OK ? AQ_OK : fail_stage(err, "signatures", st, &why);
}

static aq_status load(aq_lock **out, aq_bytes json, bool definition_only, const aq_lock_opts *opts, aq_err *err) {
  static const aq_lock_opts none;
  aq_lock_late late;
  aq_lock *l = NULL;
  aq_err why = {AQ_OK, ""};
  if (!opts) opts = &none;
  if (err) *err = (aq_err){AQ_OK, ""};
  aq_status st = aq_lock_parse(&l, &late, json, definition_only, err);
  if (st != AQ_OK) return st;
  st = verify(l, &late, definition_only, aq_definition_network(&l->def, opts->network), err);
  if (st != AQ_OK && opts->no_verify) {
    st = definition_only ? AQ_OK : check_shape(l, &why);
    if (st != AQ_OK) st = fail_stage(err, "unusable even without verification", st, &why);
  }
  if (st != AQ_OK)
    aq_lock_free(l);
  else
    *out = l;
  return st;
}

aq_status aq_lock_load(aq_lock **out, aq_bytes json, const aq_lock_opts *opts, aq_err *err) {
  return load(out, json, false, opts, err);
}

aq_status aq_definition_load_with(aq_lock **out, aq_bytes json, const aq_lock_opts *opts, aq_err *err) {
  return load(out, json, true, opts, err);
}

aq_status aq_definition_load(aq_lock **out, aq_bytes json, aq_err *err) { return load(out, json, true, NULL, err); }

int aq_lock_operator(const aq_lock *l, const uint8_t pubkey[33]) {
  for (uint32_t i = 0; i < l->def.operator_cnt; i++) {
    if (memcmp(l->def.operators[i].pubkey, pubkey, 33) == 0) return (int)i;
  }
  return -1;
}

bool aq_lock_fee_recipient(uint8_t out[20], const aq_lock *l, uint32_t validator) {
  const aq_dist_validator *v = &l->validators[validator];
  const char *text = l->def.addresses ? l->def.addresses[validator].fee_recipient : NULL;
  if (v->has_override) memcpy(out, v->override.fee_recipient, 20);
  return v->has_override || (text && aq_address_parse(out, text) == AQ_OK);
}

int aq_lock_validator(const aq_lock *l, const uint8_t pubkey[48]) {
  for (uint32_t i = 0; i < l->validator_cnt; i++) {
    if (memcmp(l->validators[i].pubkey, pubkey, 48) == 0) return (int)i;
  }
  return -1;
}
