/* Stage "signatures". Spec: cluster.md 2.9 to 2.11; numbers in comments are the steps of cluster.md 2.11. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "base/map.h"
#include "cluster/eip712.h"
#include "cluster/lock_internal.h"
#include "crypto/aead.h"
#include "identity/identity.h"

enum { V1_EIP712 = 3, V1_CREATOR = 4, V1_REGISTRATIONS = 7, V1_SIG_LISTS = 11 };

/* ---- definition ---- */

static bool sig_length_ok(aq_bytes sig, int minor) {
  if (minor < V1_SIG_LISTS) return sig.len == AQ_K1_SIG_LEN;
  return sig.len > 0 && sig.len % AQ_K1_SIG_LEN == 0 && sig.len <= AQ_K1_SIG_LEN * AQ_K1_SIGS_MAX;
}

/* EIP-1271. */
#define CONTRACT_WALLET                                                                                               \
  "only an execution client can check it, and --execution-client-rpc-endpoint has no effect here yet; once you have " \
  "checked the lock elsewhere, start with --no-verify"

static aq_status verify_sig(const char *who, const char *what, const char *address, aq_bytes sig,
                            const uint8_t digest[32], aq_err *err) {
  aq_status st = aq_eip712_verify(address, sig, digest);
  if (st == AQ_OK) return AQ_OK;
  if (st == AQ_E_UNSUPPORTED)
    return aq_fail(err, st, "%s: %s is that of a contract wallet, as a Safe: " CONTRACT_WALLET, who, what);
  return aq_fail(err, st,
                 "%s: %s is not by %.42s: it is wrong, or that is a contract wallet, as a Safe: " CONTRACT_WALLET, who,
                 what, address);
}

static void config_hash_text(char out[67], const aq_definition *d) {
  memcpy(out, "0x", 2);
  aq_hex_encode(out + 2, aq_bytes_of(d->config_hash, 32));
}

static bool is_unsigned(const aq_operator *op) {
  return !*op->address && op->enr_sig.len == 0 && op->config_sig.len == 0;
}

static aq_status verify_operator(const aq_definition *d, uint32_t i, uint64_t chain_id, aq_err *err) {
  const aq_operator *op = &d->operators[i];
  char text[67], who[32];
  uint8_t digest[32];
  snprintf(who, sizeof who, "operator %u", i);
  if (op->enr_sig.len == 0) return aq_fail(err, AQ_E_FORMAT, "operator %u has no enr_signature", i);
  if (op->config_sig.len == 0) return aq_fail(err, AQ_E_FORMAT, "operator %u has no config_signature", i);
  if (!sig_length_ok(op->config_sig, d->minor) || !sig_length_ok(op->enr_sig, d->minor)) {
    return aq_fail(err, AQ_E_FORMAT, "a signature of operator %u has a wrong length", i);
  }
  config_hash_text(text, d);
  aq_eip712_digest(digest, d->minor < V1_CREATOR ? AQ_EIP712_CONFIG : AQ_EIP712_OPERATOR_CONFIG, text, chain_id);
  aq_status st = verify_sig(who, "config_signature", op->address, op->config_sig, digest, err);
  if (st != AQ_OK) return st;
  aq_eip712_digest(digest, AQ_EIP712_ENR, op->enr, chain_id);
  return verify_sig(who, "enr_signature", op->address, op->enr_sig, digest, err);
}

static aq_status verify_creator(const aq_definition *d, bool operators_signed, uint64_t chain_id, aq_err *err) {
  char text[67];
  uint8_t digest[32];
  if (d->minor < V1_CREATOR) return AQ_OK; /* such files have no creator */
  if (!*d->creator_address && d->creator_config_sig.len == 0) {
    return operators_signed ? aq_fail(err, AQ_E_FORMAT, "the operators signed, the creator did not") : AQ_OK;
  }
  if (d->creator_config_sig.len == 0) return aq_fail(err, AQ_E_FORMAT, "the creator has no config_signature");
  config_hash_text(text, d);
  aq_eip712_digest(digest, AQ_EIP712_CREATOR_CONFIG, text, chain_id);
  return verify_sig("creator", "config_signature", d->creator_address, d->creator_config_sig, digest, err);
}

static aq_status verify_no_signatures(const aq_definition *d, aq_err *err) {
  for (uint32_t i = 0; i < d->operator_cnt; i++) {
    if (d->operators[i].config_sig.len == 0 && d->operators[i].enr_sig.len == 0) continue;
    return aq_fail(err, AQ_E_UNSUPPORTED, "operator %u has signatures, which %s cannot have", i, d->version);
  }
  return AQ_OK;
}

aq_status aq_definition_verify_signatures(const aq_definition *d, const aq_network *network, aq_err *err) {
  if (d->minor < V1_EIP712) return verify_no_signatures(d, err);
  if (d->creator_config_sig.len && !sig_length_ok(d->creator_config_sig, d->minor)) { /* 1 */
    return aq_fail(err, AQ_E_FORMAT, "the creator's config_signature has a wrong length");
  }
  if (!network) { /* 2 */
    char fork[9];
    aq_hex_encode(fork, aq_bytes_of(d->fork_version, 4));
    return aq_fail(err, AQ_E_UNKNOWN, "fork_version 0x%s is of no known network (use the --testnet-* flags)", fork);
  }
  uint32_t signed_cnt = 0;
  for (uint32_t i = 0; i < d->operator_cnt; i++) { /* 3 */
    if (is_unsigned(&d->operators[i])) continue;
    aq_status st = verify_operator(d, i, network->chain_id, err);
    if (st != AQ_OK) return st;
    signed_cnt++;
  }
  if (signed_cnt != 0 && signed_cnt != d->operator_cnt) { /* 4 */
    return aq_fail(err, AQ_E_FORMAT, "%u of %u operators signed", signed_cnt, d->operator_cnt);
  }
  return verify_creator(d, signed_cnt != 0, network->chain_id, err); /* 5 */
}

/* ---- lock ---- */

/* Shares 1..t and every {1..t-1, j} interpolate to the group key: all shares lie on one polynomial of degree t-1. */
static aq_status verify_polynomial(const aq_dist_validator *v, const aq_bls_pk *pk, uint32_t threshold, uint32_t i,
                                   aq_err *err) {
  aq_bls_pk some[AQ_OPERATORS_MAX];
  uint32_t idx[AQ_OPERATORS_MAX];
  for (uint32_t k = 0; k < threshold; k++) some[k] = pk[k], idx[k] = k + 1;
  for (uint32_t j = threshold - 1; j < v->share_cnt; j++) {
    uint8_t got[48];
    some[threshold - 1] = pk[j];
    idx[threshold - 1] = j + 1;
    if (aq_tbls_recover_pubkey(got, some, idx, threshold) == AQ_OK && memcmp(got, v->pubkey, 48) == 0) continue;
    return aq_fail(err, AQ_E_AUTH, "validator %u: share %u does not lie on the polynomial of the public key", i, j + 1);
  }
  return AQ_OK;
}

static aq_status verify_validator(const aq_lock *l, uint32_t i, aq_bls_pk *pk, aq_err *err) {
  const aq_dist_validator *v = &l->validators[i];
  uint32_t threshold = l->def.threshold;
  if (v->share_cnt != l->def.operator_cnt) {
    return aq_fail(err, AQ_E_FORMAT, "validator %u has %u public shares for %u operators", i, v->share_cnt,
                   l->def.operator_cnt);
  }
  for (uint32_t k = 0; k < v->share_cnt; k++) {
    for (uint32_t j = 0; j < k; j++) {
      if (memcmp(v->share[j], v->share[k], 48) == 0)
        return aq_fail(err, AQ_E_DUP, "validator %u: shares %u and %u are equal", i, j + 1, k + 1);
    }
    if (aq_bls_pk_decode(&pk[k], v->share[k]) != AQ_OK)
      return aq_fail(err, AQ_E_FORMAT, "validator %u: share %u is no public key", i, k + 1);
  }
  if (threshold < 1 || threshold > v->share_cnt) {
    return aq_fail(err, AQ_E_FORMAT, "threshold %u is not between 1 and %u", threshold, v->share_cnt);
  }
  return verify_polynomial(v, pk, threshold, i, err);
}

/* Step 8; pk gets the decoded shares of all validators. */
static aq_status verify_validators(const aq_lock *l, aq_bls_pk *pk, aq_err *err) {
  aq_map seen;
  uint8_t seed[16];
  aq_status st = AQ_OK;
  aq_system_random(seed, sizeof seed);
  aq_map_init(&seen, 48, AQ_VALIDATORS_MAX, seed);
  for (uint32_t i = 0; st == AQ_OK && i < l->validator_cnt; i++) {
    aq_dist_validator *v = &l->validators[i];
    if (aq_map_get(&seen, v->pubkey)) st = aq_fail(err, AQ_E_DUP, "validator %u has the public key of another one", i);
    if (st == AQ_OK) st = aq_map_put(&seen, v->pubkey, v);
    if (st == AQ_OK) st = verify_validator(l, i, pk + (size_t)i * l->def.operator_cnt, err);
  }
  aq_map_free(&seen);
  return st;
}

/* The fee recipient is the one of the definition; the stored one is not compared. */
static aq_status verify_registration(const aq_lock *l, uint32_t i, aq_err *err) {
  const aq_dist_validator *v = &l->validators[i];
  aq_registration r = v->registration;
  uint8_t root[32];
  if (!v->has_registration) return aq_fail(err, AQ_E_FORMAT, "validator %u has no builder registration", i);
  if (aq_address_parse(r.fee_recipient, l->def.addresses[i].fee_recipient) != AQ_OK) {
    return aq_fail(err, AQ_E_FORMAT, "validator %u: fee_recipient_address is no address", i);
  }
  memcpy(r.pubkey, v->pubkey, 48);
  aq_registration_signing_root(root, &r, l->def.fork_version);
  if (aq_bls_verify(v->pubkey, root, r.signature) != AQ_OK) {
    return aq_fail(err, AQ_E_AUTH, "validator %u: the signature of the builder registration is wrong", i);
  }
  return AQ_OK;
}

static aq_status verify_node_signatures(const aq_lock *l, const aq_lock_late *late, aq_err *err) {
  if (l->node_signature_cnt != l->def.operator_cnt) {
    return aq_fail(err, AQ_E_FORMAT, "%u node signatures for %u operators", l->node_signature_cnt, l->def.operator_cnt);
  }
  if (late->node) return aq_fail(err, AQ_E_FORMAT, "%s", late->node);
  for (uint32_t i = 0; i < l->def.operator_cnt; i++) {
    const aq_operator *op = &l->def.operators[i];
    aq_enr enr;
    aq_err why = {AQ_OK, ""};
    aq_status st = aq_enr_parse(&enr, aq_bytes_str(op->enr), &why);
    if (st != AQ_OK) return aq_fail(err, st, "operator %u: %s", i, why.text);
    if (aq_k1_verify65(enr.pubkey, l->node_signatures[i].ptr, l->lock_hash) != AQ_OK) {
      return aq_fail(err, AQ_E_AUTH, "node signature %u is not by the key of the operator's ENR", i);
    }
  }
  return AQ_OK;
}

static aq_status verify_keys(const aq_lock *l, aq_bls_pk *pk, aq_err *err) {
  size_t cnt = (size_t)l->validator_cnt * l->def.operator_cnt;
  aq_status st = verify_validators(l, pk, err); /* 8 */
  if (st != AQ_OK) return st;
  if (cnt == 0 || aq_bls_fast_aggregate_verify(pk, cnt, l->lock_hash, l->signature_aggregate) != AQ_OK) { /* 9 */
    return aq_fail(err, AQ_E_AUTH, "signature_aggregate is wrong");
  }
  return AQ_OK;
}

aq_status aq_lock_verify_signatures(const aq_lock *l, const aq_lock_late *late, const aq_network *network,
                                    aq_err *err) {
  aq_status st = aq_definition_verify_signatures(&l->def, network, err); /* 6 */
  if (st != AQ_OK) return st;
  if (!l->has_aggregate) { /* 7 */
    return l->def.minor <= 1 ? AQ_OK : aq_fail(err, AQ_E_FORMAT, "signature_aggregate is missing");
  }
  if (late->aggregate) return aq_fail(err, AQ_E_FORMAT, "%s", late->aggregate);
  if (late->share) return aq_fail(err, AQ_E_FORMAT, "%s", late->share);
  aq_bls_pk *pk = calloc((size_t)l->validator_cnt * l->def.operator_cnt + 1, sizeof *pk);
  if (!pk) return aq_fail(err, AQ_E_LIMIT, "out of memory");
  st = verify_keys(l, pk, err);
  free(pk);
  if (st != AQ_OK || l->def.minor < V1_REGISTRATIONS) return st;
  if (late->registration) return aq_fail(err, AQ_E_FORMAT, "%s", late->registration);
  for (uint32_t i = 0; st == AQ_OK && i < l->validator_cnt; i++) st = verify_registration(l, i, err); /* 10 */
  return st == AQ_OK ? verify_node_signatures(l, late, err) : st;                                     /* 11 */
}
