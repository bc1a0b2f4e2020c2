/* Values of Lodestar's and Charon's libraries for every container, damaged ones, and the table's own arithmetic. */
#include "aq_test.h"

#include <strings.h>

#include "base/hex.h"
#include "eth/types.h"

enum { BLOB_LEN = 131072 };

static const struct {
  const char *name;
  const aq_ssz_type *type;
} plain_types[] = {
    {"u64", &aq_t_u64},
    {"root", &aq_t_root},
    {"pubkey", &aq_t_pubkey},
    {"signature", &aq_t_signature},
    {"Checkpoint", &aq_t_checkpoint},
    {"AttestationDataBigint", &aq_t_attestation_data},
    {"VoluntaryExit", &aq_t_voluntary_exit},
    {"SignedVoluntaryExit", &aq_t_signed_voluntary_exit},
    {"BeaconBlockHeader", &aq_t_beacon_block_header},
    {"SignedBeaconBlockHeader", &aq_t_signed_beacon_block_header},
    {"ForkData", &aq_t_fork_data},
    {"SigningData", &aq_t_signing_data},
    {"DepositMessage", &aq_t_deposit_message},
    {"DepositData", &aq_t_deposit_data},
    {"SyncCommitteeMessage", &aq_t_sync_committee_message},
    {"SyncCommitteeContribution", &aq_t_sync_committee_contribution},
    {"ContributionAndProof", &aq_t_contribution_and_proof},
    {"SignedContributionAndProof", &aq_t_signed_contribution_and_proof},
    {"SyncAggregatorSelectionData", &aq_t_sync_aggregator_selection_data},
    {"ValidatorRegistrationV1", &aq_t_validator_registration},
    {"SignedValidatorRegistrationV1", &aq_t_signed_validator_registration},
    {"SingleAttestation", &aq_t_single_attestation},
    {"Attestation/phase0", &aq_t_attestation_phase0},
    {"Attestation/electra", &aq_t_attestation_electra},
    {"AggregateAndProof/phase0", &aq_t_aggregate_and_proof_phase0},
    {"AggregateAndProof/electra", &aq_t_aggregate_and_proof_electra},
    {"SignedAggregateAndProof/phase0", &aq_t_signed_aggregate_and_proof_phase0},
    {"SignedAggregateAndProof/electra", &aq_t_signed_aggregate_and_proof_electra},
};

static const struct {
  const char *name;
  const aq_ssz_type *(*of)(aq_fork f);
} fork_types[] = {
    {"BeaconBlock", aq_t_block},
    {"SignedBeaconBlock", aq_t_signed_block},
    {"BlindedBeaconBlock", aq_t_blinded_block},
    {"SignedBlindedBeaconBlock", aq_t_signed_blinded_block},
    {"BlockContents", aq_t_block_contents},
    {"SignedBlockContents", aq_t_signed_block_contents},
};

static const aq_ssz_type *type_named(const char *name) {
  for (size_t i = 0; i < AQ_COUNT(plain_types); i++) {
    if (strcmp(plain_types[i].name, name) == 0) return plain_types[i].type;
  }
  size_t len = strcspn(name, "/");
  aq_fork fork;
  assert_int_equal(name[len], '/');
  assert_true(aq_fork_parse(&fork, aq_bytes_str(name + len + 1)));
  for (size_t i = 0; i < AQ_COUNT(fork_types); i++) {
    if (strlen(fork_types[i].name) == len && memcmp(fork_types[i].name, name, len) == 0) return fork_types[i].of(fork);
  }
  fail_msg("no type for %s", name);
  return NULL;
}

static aq_bytes view(const aq_buf *b) { return aq_bytes_of(b->ptr, b->len); }

static void assert_root(const aq_ssz_type *t, aq_bytes in, const char *want) {
  uint8_t root[32];
  aq_buf expected = aq_test_hex(want);
  aq_ssz_root(root, t, in);
  assert_bytes(aq_bytes_of(root, 32), view(&expected));
  aq_buf_free(&expected);
}

/* The value's JSON, with the one blob of the file put in place. */
static yyjson_doc *json_of(yyjson_val *vector, const aq_buf *blob) {
  size_t len;
  char *text = yyjson_val_write(yyjson_obj_get(vector, "json"), 0, &len);
  char *mark = strstr(text, "@blob");
  if (!mark) {
    yyjson_doc *doc = yyjson_read(text, len, 0);
    free(text);
    return doc;
  }
  aq_buf full = AQ_BUF(1 << 20);
  aq_buf_put(&full, text, (size_t)(mark - text));
  aq_buf_put_str(&full, "0x");
  aq_buf_put_hex(&full, view(blob));
  aq_buf_put_str(&full, mark + strlen("@blob"));
  yyjson_doc *doc = yyjson_read((const char *)full.ptr, full.len, 0);
  aq_buf_free(&full);
  free(text);
  return doc;
}

static void fill_blob(aq_buf *out) {
  for (uint32_t i = 0; i < BLOB_LEN; i++) aq_buf_put_u8(out, (uint8_t)(i * 7 + (i >> 8)));
}

static void each_vector(void (*run)(const aq_ssz_type *t, aq_bytes ssz, yyjson_val *vector, yyjson_doc *json)) {
  yyjson_doc *doc = aq_test_json("eth/ssz_lodestar.json");
  yyjson_val *vector;
  size_t i, max;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, vector) {
    aq_buf blob = AQ_BUF(BLOB_LEN), ssz = aq_test_hex_of(vector, "ssz");
    if (yyjson_get_bool(yyjson_obj_get(vector, "blob"))) {
      fill_blob(&blob);
      aq_buf_put_bytes(&ssz, view(&blob));
    }
    yyjson_doc *json = json_of(vector, &blob);
    run(type_named(aq_test_str(vector, "name")), view(&ssz), vector, json);
    yyjson_doc_free(json);
    aq_buf_free(&ssz);
    aq_buf_free(&blob);
  }
  assert_true(max > 60);
  yyjson_doc_free(doc);
}

/* Addresses are written in checksum case by the other side, in lower case by us: both are allowed. */
static bool same_any_case(yyjson_val *a, yyjson_val *b) {
  char *left = yyjson_val_write(a, 0, NULL), *right = yyjson_val_write(b, 0, NULL);
  bool same = left && right && strcasecmp(left, right) == 0;
  free(left);
  free(right);
  return same;
}

static void check_vector(const aq_ssz_type *t, aq_bytes ssz, yyjson_val *vector, yyjson_doc *json) {
  assert_int_equal(aq_ssz_check(t, ssz), AQ_OK);
  assert_root(t, ssz, aq_test_str(vector, "root"));
  aq_buf text = AQ_BUF(16 << 20), back = AQ_BUF(16 << 20);
  aq_ssz_to_json(&text, t, ssz);
  yyjson_doc *ours = yyjson_read((const char *)text.ptr, text.len, 0);
  assert_non_null(ours);
  assert_true(same_any_case(yyjson_doc_get_root(ours), yyjson_doc_get_root(json)));
  aq_err err = {0};
  assert_int_equal(aq_ssz_from_json(&back, t, yyjson_doc_get_root(json), &err), AQ_OK);
  assert_bytes(view(&back), ssz);
  yyjson_doc_free(ours);
  aq_buf_free(&text);
  aq_buf_free(&back);
}

/* Goal: every container of every fork agrees with another client's code in validity, root and JSON.
   Method: random values made with @lodestar/types 1.50.0 (test/vectors/eth/ssz_lodestar.mjs). */
static void lodestar_vectors(void **state) {
  (void)state;
  each_vector(check_vector);
}

/* Goal: agreement with the library that Charon uses.
   Method: cluster/ssz_objects.json, made by go-eth2-client. */
static void charon_objects(void **state) {
  (void)state;
  static const char *const names[][2] = {
      {"BeaconBlock", "BeaconBlock"},
      {"BlindedBeaconBlock", "BlindedBeaconBlock"},
  };
  static const struct {
    const char *go;
    const aq_ssz_type *type;
  } others[] = {
      {"phase0.AttestationData", &aq_t_attestation_data},
      {"phase0.AggregateAndProof", &aq_t_aggregate_and_proof_phase0},
      {"electra.AggregateAndProof", &aq_t_aggregate_and_proof_electra},
      {"altair.ContributionAndProof", &aq_t_contribution_and_proof},
      {"phase0.VoluntaryExit", &aq_t_voluntary_exit},
      {"v1.ValidatorRegistration", &aq_t_validator_registration},
      {"altair.SyncAggregatorSelectionData",
       &aq_t_sync_aggregator_selection_data}, /* the vector's JSON is not the API's */
      {"phase0.DepositMessage", &aq_t_deposit_message},
      {"phase0.DepositData", &aq_t_deposit_data},
  };
  yyjson_doc *doc = aq_test_json("cluster/ssz_objects.json");
  yyjson_val *v;
  size_t i, max, done = 0;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, v) {
    const char *go = aq_test_str(v, "type"), *dot = strchr(go, '.');
    const aq_ssz_type *t = NULL;
    for (size_t k = 0; k < AQ_COUNT(others); k++) {
      if (strcmp(others[k].go, go) == 0) t = others[k].type;
    }
    for (size_t k = 0; !t && dot && k < AQ_COUNT(names); k++) {
      aq_fork fork;
      if (strcmp(dot + 1, names[k][0]) != 0) continue;
      assert_true(aq_fork_parse(&fork, aq_bytes_of(go, (size_t)(dot - go))));
      t = fork_types[k * 2].of(fork);
    }
    if (!t || !yyjson_obj_get(v, "ssz")) continue;
    aq_buf ssz = aq_test_hex_of(v, "ssz"), back = AQ_BUF(1 << 20);
    assert_int_equal(aq_ssz_check(t, view(&ssz)), AQ_OK);
    assert_root(t, view(&ssz), aq_test_str(v, "hash_tree_root"));
    aq_err err = {0};
    if (t == &aq_t_sync_aggregator_selection_data)
      aq_buf_put_bytes(&back, view(&ssz));
    else if (aq_ssz_from_json(&back, t, yyjson_obj_get(v, "json"), &err) != AQ_OK)
      fail_msg("%s: %s", go, err.text);
    assert_bytes(view(&back), view(&ssz));
    aq_buf_free(&ssz);
    aq_buf_free(&back);
    done++;
  }
  assert_int_equal(done, 21);
  yyjson_doc_free(doc);
}

static size_t consumed; /* shows that the test is not empty */

/* What passes the check has a root, and its JSON gives the same bytes back: nothing in it was overlooked. */
static void assert_consumed(const aq_ssz_type *t, aq_bytes in) {
  uint8_t root[32];
  consumed++;
  aq_ssz_root(root, t, in);
  aq_buf text = AQ_BUF(1 << 20), back = AQ_BUF(1 << 20);
  aq_ssz_to_json(&text, t, in);
  yyjson_doc *doc = yyjson_read((const char *)text.ptr, text.len, 0);
  assert_non_null(doc);
  assert_int_equal(aq_ssz_from_json(&back, t, yyjson_doc_get_root(doc), NULL), AQ_OK);
  assert_bytes(view(&back), in);
  yyjson_doc_free(doc);
  aq_buf_free(&text);
  aq_buf_free(&back);
}

static void damage_vector(const aq_ssz_type *t, aq_bytes ssz, yyjson_val *vector, yyjson_doc *json) {
  (void)vector, (void)json;
  if (ssz.len > BLOB_LEN) return; /* the sizes of blobs are as any other list's */
  for (size_t len = 0; len < ssz.len; len++) {
    uint8_t *copy = malloc(len + 1); /* on the heap, so that a sanitizer sees a read past the end */
    memcpy(copy, ssz.ptr, len);
    uint8_t *exact = realloc(copy, len ? len : 1);
    bool valid = aq_ssz_check(t, aq_bytes_of(exact, len)) == AQ_OK;
    if (t->size) assert_false(valid);
    if (valid) assert_consumed(t, aq_bytes_of(exact, len));
    free(exact);
  }
  uint8_t *copy = malloc(ssz.len + 1);
  memcpy(copy, ssz.ptr, ssz.len);
  copy[ssz.len] = 0;
  aq_bytes longer = aq_bytes_of(copy, ssz.len + 1);
  if (aq_ssz_check(t, longer) == AQ_OK) assert_consumed(t, longer);
  unsigned passed = 0;
  for (size_t i = 0; i < ssz.len; i++) {
    copy[i] = (uint8_t)(copy[i] ^ (1u << i % 8));
    if (aq_ssz_check(t, aq_bytes_of(copy, ssz.len)) == AQ_OK && ++passed % 64 == 1) {
      assert_consumed(t, aq_bytes_of(copy, ssz.len));
    }
    copy[i] = ssz.ptr[i];
  }
  free(copy);
}

/* Goal: no damaged value crashes, and one that is accepted is accepted to its last byte.
   Method: every prefix, one more byte, and a bit flipped in every byte of the vectors; the JSON round trip shows what
   was read. */
static void damaged_values(void **state) {
  (void)state;
  each_vector(damage_vector);
  assert_true(consumed > 1500);
}

static void check_layout(const aq_ssz_type *t, unsigned depth) {
  assert_true(depth <= 16);
  size_t sum = 0;
  bool fixed = true;
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    const aq_ssz_type *ft = t->field[i].type;
    check_layout(ft, depth + 1);
    sum += ft->size;
    fixed &= ft->size != 0;
  }
  if (t->kind == AQ_SSZ_CONTAINER) assert_int_equal(t->size, fixed ? sum : 0);
  if (t->kind == AQ_SSZ_VECTOR) assert_int_equal(t->size, t->limit * t->elem->size);
  if (t->kind == AQ_SSZ_BITVECTOR) assert_int_equal(t->size, (t->limit + 7) / 8);
  if (t->elem) check_layout(t->elem, depth + 1);
}

/* Goal: the sizes written in the table are right and nesting is bounded.
   Method: adds up the fields of every descriptor that can be reached. */
static void layouts(void **state) {
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(plain_types); i++) check_layout(plain_types[i].type, 0);
  for (unsigned f = 0; f < AQ_FORK_CNT; f++) {
    for (size_t i = 0; i < AQ_COUNT(fork_types); i++) {
      const aq_ssz_type *t = fork_types[i].of((aq_fork)f);
      if (t) check_layout(t, 0);
    }
  }
}

/* Goal: a type for each combination that exists, NULL for the others, since peers choose the combination.
   Method: the table of core.md 12.4, and numbers outside the list. */
static void proposals(void **state) {
  (void)state;
  for (unsigned f = 0; f < AQ_FORK_CNT; f++) {
    for (int is_signed = 0; is_signed < 2; is_signed++) {
      const aq_ssz_type *full = aq_t_proposal((aq_fork)f, false, is_signed),
                        *blinded = aq_t_proposal((aq_fork)f, true, is_signed);
      assert_non_null(full);
      assert_int_equal(blinded != NULL, f >= AQ_BELLATRIX);
      assert_int_equal(full->field_cnt, f >= AQ_DENEB ? 3 : is_signed ? 2 : 5);
    }
    assert_int_equal(aq_t_block_contents((aq_fork)f) != NULL, f >= AQ_DENEB);
    assert_ptr_equal(aq_t_attestation((aq_fork)f),
                     f >= AQ_ELECTRA ? &aq_t_attestation_electra : &aq_t_attestation_phase0);
  }
  assert_null(aq_t_proposal(AQ_FORK_CNT, false, true));
  assert_null(aq_t_attestation((aq_fork)77));
  assert_null(aq_t_signed_aggregate((aq_fork)-1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lodestar_vectors), cmocka_unit_test(charon_objects), cmocka_unit_test(damaged_values),
      cmocka_unit_test(layouts),          cmocka_unit_test(proposals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
