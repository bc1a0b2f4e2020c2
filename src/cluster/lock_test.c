/* Real locks of every version, and each broken in one place. */
#include "cluster/lock.h"

#include "aq_test.h"
#include "base/hex.h"
#include "cluster/eip712.h"
#include "cluster/lock_internal.h"
#include "crypto/aead.h"

/* The custom network of golden/testnet-7x1. */
static const aq_network aequanet = {.name = "aequanet",
                                    .chain_id = 424242,
                                    .genesis_version = {0x0a, 0x0b, 0x0c, 0x0d},
                                    .genesis_time_s = 1700000000,
                                    .slot_s = 12};
static const aq_lock_opts with_aequanet = {.network = &aequanet};

static aq_buf vector(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "cluster/%s", name);
  return aq_test_file(path);
}

static aq_lock *load_ok(aq_bytes json, bool definition) {
  aq_lock *l = NULL;
  aq_err err = {AQ_OK, ""};
  aq_status st = definition ? aq_definition_load_with(&l, json, &with_aequanet, &err)
                            : aq_lock_load(&l, json, &with_aequanet, &err);
  if (st != AQ_OK) fail_msg("%s", err.text);
  return l;
}

static void check_hash(const uint8_t got[32], yyjson_val *obj, const char *name) {
  aq_buf want = aq_test_hex_of(obj, name);
  assert_bytes(aq_bytes_of(got, 32), aq_buf_bytes(&want));
  aq_buf_free(&want);
}

static void check_rewrite(const aq_lock *l, aq_bytes json, bool definition) {
  aq_buf out = AQ_BUF(AQ_LOCK_BYTES_MAX);
  assert_int_equal(definition ? aq_definition_write(&out, l) : aq_lock_write(&out, l), AQ_OK);
  assert_bytes(aq_buf_bytes(&out), json);
  aq_buf_free(&out);
}

/* Goal: locks and definitions of every version load with their hashes and are written byte for byte. Method:
   versions/, written by the reference. The lock with contract wallet signatures can only be refused offline, and
   loads without verification. */
static void versions(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("cluster/versions/index.json");
  yyjson_val *it;
  size_t i, max;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, it) {
    const char *file = aq_test_str(it, "file");
    bool definition = strcmp(aq_test_str(it, "kind"), "definition") == 0;
    aq_buf json = vector(file);
    aq_lock *l = NULL;
    aq_err err = {AQ_OK, ""};
    if (strstr(file, "multisig")) {
      assert_int_equal(aq_lock_load(&l, aq_buf_bytes(&json), NULL, &err), AQ_E_UNSUPPORTED);
      assert_non_null(strstr(err.text, "signatures: "));
      assert_non_null(strstr(err.text, "a contract wallet, as a Safe: only an execution client can check it"));
      assert_non_null(strstr(err.text, "--execution-client-rpc-endpoint has no effect"));
      assert_non_null(strstr(err.text, "--no-verify")); /* the mend is not cut off */
      aq_lock_opts opts = {.no_verify = true};
      assert_int_equal(aq_lock_load(&l, aq_buf_bytes(&json), &opts, &err), AQ_OK);
      assert_non_null(strstr(err.text, "signatures: "));
    } else {
      l = load_ok(aq_buf_bytes(&json), definition);
    }
    check_hash(l->def.config_hash, it, "config_hash");
    check_hash(l->def.definition_hash, it, "definition_hash");
    if (!definition) check_hash(l->lock_hash, it, "lock_hash");
    check_rewrite(l, aq_buf_bytes(&json), definition);
    aq_lock_free(l);
    aq_buf_free(&json);
  }
  assert_true(max > 30);
  yyjson_doc_free(doc);
}

/* Goal: real cluster directories of the reference load, find their operators, and are written byte for byte.
   Method: the golden locks, with the hashes and ENRs of expected.json. */
static void golden(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("cluster/golden/expected.json");
  yyjson_val *it, *node;
  size_t i, max, k, nodes;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, it) {
    char path[128];
    snprintf(path, sizeof path, "%s/node0/cluster-lock.json", aq_test_str(it, "directory"));
    aq_buf json = vector(path);
    aq_lock *l = load_ok(aq_buf_bytes(&json), false);
    check_hash(l->lock_hash, it, "lock_hash");
    assert_string_equal(l->lock_hash_text, aq_test_str(it, "lock_hash"));
    assert_string_equal(l->def.uuid, aq_test_str(it, "uuid"));
    assert_int_equal(l->def.threshold, aq_test_u64(it, "threshold"));
    yyjson_arr_foreach(yyjson_obj_get(it, "nodes"), k, nodes, node) {
      assert_string_equal(l->def.operators[k].enr, aq_test_str(node, "enr"));
      assert_int_equal(aq_lock_operator(l, l->def.operators[k].pubkey), aq_test_u64(node, "peer_index"));
    }
    assert_int_equal(nodes, l->def.operator_cnt);
    assert_int_equal(aq_lock_validator(l, l->validators[l->validator_cnt - 1].pubkey), l->validator_cnt - 1);
    assert_int_equal(aq_lock_validator(l, l->validators[0].share[0]), -1);
    check_rewrite(l, aq_buf_bytes(&json), false);
    aq_lock_free(l);
    aq_buf_free(&json);
  }
  assert_true(max >= 3);
  yyjson_doc_free(doc);
  aq_buf json = vector("golden/create-dkg/cluster-definition.json");
  aq_lock *l = load_ok(aq_buf_bytes(&json), true);
  assert_int_equal(l->def.deposit_amount_cnt, 3);
  check_rewrite(l, aq_buf_bytes(&json), true);
  aq_lock_free(l);
  aq_buf_free(&json);
}

/* Goal: every broken lock is refused at the stage, and for the reason, of the reference; the tolerated ones load.
   Method: invalid/ with its index; our reasons are matched by a word for each error class. */
static void invalid(void **state) {
  (void)state;
  static const char *const word[][2] = {
      {"unsupported_version", "version"},
      {"num_validators_vs_validators", "num_validators"},
      {"deposit_amounts_rule", "32 ETH"},
      {"deposit_amounts_not_strings", "deposit_amounts"},
      {"deposit_amount_not_string", "amount"},
      {"bad_hex", "hex"},
      {"config_hash_mismatch", "config_hash"},
      {"definition_hash_mismatch", "definition_hash"},
      {"lock_hash_mismatch", "lock_hash"},
      {"k1_signature_length", "65 bytes"},
      {"validator_count", "distributed validators"},
      {"aggregate_missing", "missing"},
      {"bls_length", "96 bytes"},
      {"aggregate_invalid", "signature_aggregate is wrong"},
      {"node_signature_count", "node signatures for"},
      {"node_signature_invalid", "node signature"},
      {"node_signature_recovery_id", "node signature"},
      {"operator_config_signature_invalid", "config_signature is not by"},
      {"operator_enr_signature_missing", "no enr_signature"},
      {"operator_config_signature_missing", "no config_signature"},
      {"operator_enr_signature_invalid", "enr_signature is not by"},
      {"creator_signature_missing", "creator has no"},
      {"creator_unsigned_operators_signed", "creator did not"},
      {"creator_signature_invalid", "creator: config_signature is not by"},
      {"shares_do_not_reconstruct", "polynomial"},
      {"share_off_polynomial", "polynomial"},
      {"duplicate_public_share", "are equal"},
      {"public_share_count", "public shares for"},
      {"threshold_range", "threshold"},
      {"registration_missing", "no builder registration"},
      {"registration_signature_invalid", "signature of the builder registration"},
      {"unknown_fork_version", "fork_version"},
      {"duplicate_validator", "public key of another"},
  };
  yyjson_doc *doc = aq_test_json("cluster/invalid/index.json");
  yyjson_val *it;
  size_t i, max;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, it) {
    const char *file = yyjson_get_str(yyjson_obj_get(it, "file"));
    if (!file) continue; /* a lock that must not be written: unhashable below */
    aq_buf json = vector(file);
    aq_lock *l = NULL;
    aq_err err = {AQ_OK, ""};
    bool ok = aq_lock_load(&l, aq_buf_bytes(&json), NULL, &err) == AQ_OK;
    if (ok != (strcmp(aq_test_str(it, "result"), "accepted") == 0))
      fail_msg("%s: %s", aq_test_str(it, "mutation"), err.text);
    if (!ok) {
      char stage[32];
      snprintf(stage, sizeof stage, "%s: ", aq_test_str(it, "stage"));
      size_t k = 0;
      while (k < AQ_COUNT(word) && strcmp(word[k][0], aq_test_str(it, "code")) != 0) k++;
      if (k == AQ_COUNT(word)) fail_msg("class %s is not in the table", aq_test_str(it, "code"));
      if (strncmp(err.text, stage, strlen(stage)) != 0 || !strstr(err.text, word[k][1])) {
        fail_msg("%s: stage %s, class %s, but \"%s\"", file, aq_test_str(it, "stage"), aq_test_str(it, "code"),
                 err.text);
      }
    } else {
      aq_lock_free(l);
    }
    aq_buf_free(&json);
  }
  assert_true(max >= 48);
  yyjson_doc_free(doc);
}

static void check_leaves(const aq_definition *d, bool config_only, yyjson_val *trace) {
  aq_buf got = AQ_BUF(4096);
  uint8_t root[32];
  assert_int_equal(aq_definition_leaves(&got, d, config_only, NULL), AQ_OK);
  yyjson_val *key;
  size_t i, max;
  yyjson_val *val;
  yyjson_obj_foreach(yyjson_obj_get(trace, "leaves"), i, max, key, val) {
    aq_buf want = aq_test_hex(yyjson_get_str(val));
    assert_true(got.len >= 32 * (i + 1));
    if (!aq_bytes_eq(aq_bytes_of(got.ptr + 32 * i, 32), aq_buf_bytes(&want)))
      fail_msg("leaf %s differs", yyjson_get_str(key));
    aq_buf_free(&want);
  }
  assert_int_equal(got.len, 32 * max);
  assert_int_equal(aq_definition_root(root, d, config_only, NULL), AQ_OK);
  check_hash(root, trace, "root");
  aq_buf_free(&got);
}

/* Goal: every leaf of the hashes is the reference's.
   Method: hash_trace.json, v1.7 to v1.11. */
static void hash_trace(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("cluster/hash_trace.json");
  yyjson_val *it;
  size_t i, max;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, it) {
    aq_buf json = vector(aq_test_str(it, "file"));
    aq_lock *l = load_ok(aq_buf_bytes(&json), false);
    uint8_t config[32], definition[32], lock[32];
    check_leaves(&l->def, true, yyjson_obj_get(it, "config_hash"));
    check_leaves(&l->def, false, yyjson_obj_get(it, "definition_hash"));
    aq_definition_hashes(config, definition, &l->def);
    aq_lock_hash(lock, l);
    check_hash(config, yyjson_obj_get(it, "config_hash"), "root");
    check_hash(definition, yyjson_obj_get(it, "definition_hash"), "root");
    check_hash(lock, yyjson_obj_get(it, "lock_hash"), "root");
    aq_lock_free(l);
    aq_buf_free(&json);
  }
  assert_true(max >= 5);
  yyjson_doc_free(doc);
}

/* Goal: what cannot be hashed cannot be written. Method: the last entry of invalid/: a v1.10 lock with a 130 byte
   operator signature; and a v1.4 lock with two address pairs. */
static void unwritable(void **state) {
  (void)state;
  aq_buf json = vector("versions/v1_10_0-signed-lock.json"), out = AQ_BUF(AQ_LOCK_BYTES_MAX);
  static const uint8_t sig[130];
  aq_lock *l = load_ok(aq_buf_bytes(&json), false);
  l->def.operators[0].config_sig = aq_bytes_of(sig, sizeof sig);
  assert_int_equal(aq_lock_write(&out, l), AQ_E_FORMAT);
  aq_lock_free(l);
  aq_buf_free(&json);
  json = vector("versions/v1_4_0-signed-lock.json");
  l = load_ok(aq_buf_bytes(&json), false);
  l->def.addresses[1].withdrawal = "0x0000000000000000000000000000000000000000";
  assert_int_equal(aq_lock_write(&out, l), AQ_E_FORMAT);
  assert_int_equal(out.len, 0);
  aq_lock_free(l);
  aq_buf_free(&json), aq_buf_free(&out);
}

/* Goal: reading is lenient where the reference is: member names of any case, the last duplicate counts, null is absent.
   Method: one valid lock, edited as text. */
static void lenient(void **state) {
  (void)state;
  static const char *const edit[][2] = {
      {"\"cluster_definition\"", "\"CLUSTER_definition\""},
      {"\"lock_hash\"", "\"lock_hash\": \"0x00\", \"Lock_Hash\""},
      {"\"uuid\"", "\"deposit_amounts\": [\"1\"], \"uuid\""},
  };
  aq_buf json = vector("versions/v1_11_0-signed-lock.json");
  for (size_t i = 0; i < AQ_COUNT(edit); i++) {
    char *at = strstr(aq_buf_cstr(&json), edit[i][0]);
    assert_non_null(at);
    size_t before = (size_t)(at - (char *)json.ptr);
    aq_buf text = AQ_BUF(1 << 20);
    aq_buf_put(&text, json.ptr, before);
    aq_buf_put_str(&text, edit[i][1]);
    aq_buf_put(&text, at + strlen(edit[i][0]), json.len - before - strlen(edit[i][0]));
    aq_lock_free(load_ok(aq_buf_bytes(&text), false));
    aq_buf_free(&text);
  }
  aq_buf_free(&json);
}

/* Goal: the shape that code above relies on is checked even without verification.
   Method: --no-verify over invalid/: what it accepts has one share an operator and a sane threshold. */
static void no_verify(void **state) {
  (void)state;
  const aq_lock_opts opts = {.no_verify = true};
  size_t accepted = 0;
  for (int i = 1; i <= 48; i++) {
    char name[32];
    snprintf(name, sizeof name, "invalid/%02d.json", i);
    aq_buf json = vector(name);
    aq_lock *l = NULL;
    aq_err err = {AQ_OK, ""};
    if (aq_lock_load(&l, aq_buf_bytes(&json), &opts, &err) == AQ_OK) {
      accepted++;
      assert_int_equal(l->validator_cnt, l->def.validator_cnt);
      assert_true(l->def.threshold >= 1 && l->def.threshold <= l->def.operator_cnt);
      for (uint32_t k = 0; k < l->validator_cnt; k++) assert_int_equal(l->validators[k].share_cnt, l->def.operator_cnt);
      aq_lock_free(l);
    } else {
      assert_true(err.text[0] != 0);
    }
    aq_buf_free(&json);
  }
  assert_true(accepted > 30);
}

/* Goal: typed messages have the reference's digests, and signatures lead back to the address.
   Method: eip712.json on every network; a changed digest is refused. */
static void eip712(void **state) {
  (void)state;
  static const char *const kind[] = {"CreatorConfigHash", "OperatorConfigHash", "ConfigHash", "ENR",
                                     "TermsAndConditions"};
  yyjson_doc *doc = aq_test_json("cluster/eip712.json");
  yyjson_val *it;
  size_t i, max;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, it) {
    uint8_t digest[32];
    int k = 0;
    while (strcmp(kind[k], aq_test_str(it, "primary_type")) != 0) k++;
    aq_eip712_digest(digest, (aq_eip712_kind)k, aq_test_str(it, "value"), aq_test_u64(it, "chain_id"));
    check_hash(digest, it, "digest");
    aq_buf sig = aq_test_hex_of(it, "signature");
    const char *address = aq_test_str(it, "address");
    assert_int_equal(aq_eip712_verify(address, aq_buf_bytes(&sig), digest), AQ_OK);
    assert_true(aq_address_is_checksummed(address));
    digest[0] ^= 1;
    assert_int_equal(aq_eip712_verify(address, aq_buf_bytes(&sig), digest), AQ_E_AUTH);
    assert_int_equal(aq_eip712_verify(address, aq_bytes_of(sig.ptr, 64), digest), AQ_E_FORMAT);
    sig.ptr[64] = 9; /* no recovery id */
    assert_int_equal(aq_eip712_verify(address, aq_buf_bytes(&sig), digest), AQ_E_AUTH);
    assert_int_equal(aq_eip712_verify(address + 2, aq_buf_bytes(&sig), digest), AQ_E_FORMAT);
    aq_buf_free(&sig);
  }
  assert_true(max >= 30);
  yyjson_doc_free(doc);
  assert_false(aq_address_is_checksummed("0x9f6078faa3e21dcfb6ee3a599dd6184cedcf6c49"));
}

/* ---- the stage "signatures" on loaded locks that are changed in memory ---- */

typedef void (*change)(aq_lock *l, aq_lock_late *late);

static void nothing(aq_lock *l, aq_lock_late *late) { (void)l, (void)late; }

static void one_operator_unsigned(aq_lock *l, aq_lock_late *late) {
  (void)late;
  aq_operator *op = &l->def.operators[1];
  op->address = "";
  op->config_sig = op->enr_sig = (aq_bytes){NULL, 0};
}

static void no_recipient(aq_lock *l, aq_lock_late *late) {
  (void)late;
  l->def.addresses[0].fee_recipient = "0x00";
}

static void no_enr(aq_lock *l, aq_lock_late *late) {
  (void)late;
  l->def.operators[1].enr = "enr:-";
}

static void operators_swapped(aq_lock *l, aq_lock_late *late) {
  (void)late;
  const char *enr = l->def.operators[0].enr;
  l->def.operators[0].enr = l->def.operators[1].enr;
  l->def.operators[1].enr = enr;
}

static void long_share(aq_lock *l, aq_lock_late *late) { (void)l, late->share = "a late share"; }
static void long_registration(aq_lock *l, aq_lock_late *late) { (void)l, late->registration = "a late registration"; }
static void long_node(aq_lock *l, aq_lock_late *late) { (void)l, late->node = "a late node signature"; }
static void long_aggregate(aq_lock *l, aq_lock_late *late) { (void)l, late->aggregate = "a late aggregate"; }

/* Goal: each check of the last stage refuses for its own reason what the reference's broken locks do not show: some
   operators without consent, records and addresses that are none, members of a wrong length (cluster.md 2.11).
   Method: sound locks, one thing changed after loading. */
static void last_stage(void **state) {
  (void)state;
  static const struct {
    const char *file;
    change fn;
    const char *why; /* NULL: accepted */
  } t[] = {
      {"versions/v1_11_0-signed-lock.json", nothing, NULL},
      {"versions/v1_11_0-unsigned-lock.json", nothing, NULL},
      {"versions/v1_11_0-signed-lock.json", one_operator_unsigned, "operators signed"},
      {"versions/v1_11_0-unsigned-lock.json", no_enr, "operator 1: "},
      {"versions/v1_11_0-unsigned-lock.json", operators_swapped, "node signature 0"},
      {"versions/v1_11_0-unsigned-lock.json", no_recipient, "fee_recipient_address"},
      {"versions/v1_11_0-unsigned-lock.json", long_share, "a late share"},
      {"versions/v1_11_0-unsigned-lock.json", long_registration, "a late registration"},
      {"versions/v1_11_0-unsigned-lock.json", long_node, "a late node signature"},
      {"versions/v1_11_0-unsigned-lock.json", long_aggregate, "a late aggregate"},
  };
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    aq_buf json = vector(t[i].file);
    aq_lock *l = load_ok(aq_buf_bytes(&json), false);
    aq_lock_late late = {NULL, NULL, NULL, NULL, NULL, NULL, NULL};
    aq_err err = {AQ_OK, ""};
    t[i].fn(l, &late);
    aq_status st = aq_lock_verify_signatures(l, &late, aq_definition_network(&l->def, NULL), &err);
    if ((st == AQ_OK) != !t[i].why || (t[i].why && !strstr(err.text, t[i].why)))
      fail_msg("change %zu: \"%s\"", i, err.text);
    aq_lock_free(l);
    aq_buf_free(&json);
  }
}

/* Goal: versions before v1.3 know no signatures of operators, and a lock hash of a wrong length is told as such.
   Method: a v1.2 lock that has one; the late reason at the stage of hashes. */
static void early_stages(void **state) {
  (void)state;
  static const uint8_t sig[65] = {1};
  aq_buf json = vector("versions/v1_2_0-signed-lock.json");
  aq_lock *l = load_ok(aq_buf_bytes(&json), false);
  aq_lock_late late = {.lock_hash = "too short"};
  aq_err err = {AQ_OK, ""};
  assert_int_equal(aq_lock_verify_hashes(l, &late, &err), AQ_E_FORMAT);
  assert_non_null(strstr(err.text, "too short"));
  l->def.operators[0].enr_sig = aq_bytes_of(sig, sizeof sig);
  assert_int_equal(aq_definition_verify_signatures(&l->def, NULL, &err), AQ_E_UNSUPPORTED);
  aq_lock_free(l);
  aq_buf_free(&json);
}

/* Goal: a v1.0 definition with a timestamp is valid, which counts in its config hash and not in its definition hash.
   Method: one hashed by another program; it is written back as it was; another timestamp, and none, are found. */
static void old_timestamp(void **state) {
  (void)state;
  aq_buf json = vector("v1_0_0-timestamp.json"), other = AQ_BUF(1 << 16);
  aq_lock *l = load_ok(aq_buf_bytes(&json), true);
  assert_string_equal(l->def.timestamp, "2022-08-01T00:00:00Z");
  aq_lock_free(l);
  static const char *const to[] = {"2022-08-01T00:00:01Z", ""};
  for (size_t i = 0; i < AQ_COUNT(to); i++) {
    aq_err err = {AQ_OK, ""};
    char *at = strstr(aq_buf_cstr(&json), "2022-08-01T00:00:00Z");
    assert_non_null(at);
    aq_buf_reset(&other);
    aq_buf_put(&other, json.ptr, (size_t)((uint8_t *)at - json.ptr));
    aq_buf_put_str(&other, to[i]);
    aq_buf_put_str(&other, at + 20);
    assert_int_not_equal(aq_definition_load_with(&l, aq_buf_bytes(&other), NULL, &err), AQ_OK);
    assert_non_null(strstr(err.text, "config_hash"));
  }
  aq_buf_free(&json), aq_buf_free(&other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(versions),   cmocka_unit_test(old_timestamp), cmocka_unit_test(golden),
      cmocka_unit_test(invalid),    cmocka_unit_test(hash_trace),    cmocka_unit_test(unwritable),
      cmocka_unit_test(lenient),    cmocka_unit_test(no_verify),     cmocka_unit_test(eip712),
      cmocka_unit_test(last_stage), cmocka_unit_test(early_stages),
  };
  aq_crypto_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
