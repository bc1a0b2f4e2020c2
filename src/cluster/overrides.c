/* All entries are checked before the first one changes the lock. */
#include "cluster/overrides.h"

#include <stdlib.h>

#include "cluster/deposit.h"
#include "cluster/eip712.h"
#include "codec/json.h"

static aq_status parse(aq_registration *out, yyjson_val *entry) {
  const char *version = aq_json_str(entry, "version");
  yyjson_val *v1 = yyjson_obj_get(entry, "v1"), *message = yyjson_obj_get(v1, "message");
  const char *address = aq_json_str(message, "fee_recipient");
  bool ok = version && strcmp(version, "v1") == 0 && address &&
            aq_address_parse(out->fee_recipient, address) == AQ_OK &&
            aq_json_u64(message, "gas_limit", &out->gas_limit) && aq_json_u64(message, "timestamp", &out->timestamp) &&
            aq_json_hex(message, "pubkey", out->pubkey, 48) && aq_json_hex(v1, "signature", out->signature, 96);
  return ok ? AQ_OK : AQ_E_FORMAT;
}

static aq_status check(aq_registration *out, const aq_lock *l, yyjson_val *entry, size_t i, aq_err *err) {
  uint8_t root[32];
  if (parse(out, entry) != AQ_OK) return aq_fail(err, AQ_E_FORMAT, "entry %zu is no builder registration", i);
  aq_registration_signing_root(root, out, l->def.fork_version);
  if (aq_bls_verify(out->pubkey, root, out->signature) != AQ_OK)
    return aq_fail(err, AQ_E_AUTH, "entry %zu: the signature is wrong for this cluster's network", i);
  return AQ_OK;
}

static uint64_t made_at(const aq_dist_validator *v) {
  if (v->has_override) return v->override.timestamp;
  return v->has_registration ? v->registration.timestamp : 0;
}

static void apply(aq_lock *l, const aq_registration *r) {
  int at = aq_lock_validator(l, r->pubkey);
  if (at < 0) return;
  aq_dist_validator *v = &l->validators[at];
  if (r->timestamp <= made_at(v)) return;
  v->override = *r;
  v->has_override = true;
}

aq_status aq_overrides_take(aq_lock *l, uint32_t *taken, aq_bytes json, aq_err *err) {
  *taken = 0;
  yyjson_doc *doc = aq_json_parse(json, AQ_OVERRIDES_BYTES_MAX, err);
  if (!doc) return AQ_E_FORMAT;
  yyjson_val *list = yyjson_doc_get_root(doc), *entry;
  size_t cnt = yyjson_arr_size(list), i, max;
  aq_registration *all = calloc(cnt + 1, sizeof *all);
  aq_status st = AQ_OK;
  if (!all) st = aq_fail(err, AQ_E_LIMIT, "no memory for %zu registrations", cnt);
  if (st == AQ_OK && !yyjson_is_arr(list)) st = aq_fail(err, AQ_E_FORMAT, "not a list of builder registrations");
  yyjson_arr_foreach(list, i, max, entry) {
    if (st == AQ_OK) st = check(&all[i], l, entry, i, err);
  }
  for (i = 0; st == AQ_OK && i < cnt; i++) apply(l, &all[i]);
  for (uint32_t v = 0; v < l->validator_cnt; v++) *taken += l->validators[v].has_override;
  free(all);
  yyjson_doc_free(doc);
  return st;
}
