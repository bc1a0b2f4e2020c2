/* Signing roots of real clients on two networks, at both ends of each fork. */
#include "aq_test.h"

#include "base/hex.h"
#include "eth/chain.h"

static void hex_of(uint8_t *out, size_t len, yyjson_val *obj, const char *name) {
  assert_int_equal(aq_hex_decode(out, len, aq_bytes_str(aq_test_str(obj, name)), AQ_HEX_EITHER), AQ_OK);
}

/* The chain of a vector's network; phase0 is called genesis there. */
static aq_chain chain_of(yyjson_val *network) {
  aq_chain c = {0};
  hex_of(c.genesis_validators_root, 32, network, "genesis_validators_root");
  for (size_t f = 0; f < AQ_FORK_CNT; f++) c.fork[f].epoch = AQ_FAR_EPOCH;
  yyjson_val *v;
  size_t i, max;
  yyjson_arr_foreach(yyjson_obj_get(network, "forks"), i, max, v) {
    c.fork[i].epoch = aq_test_u64(v, "epoch");
    hex_of(c.fork[i].version, 4, v, "version");
  }
  memcpy(c.genesis_version, c.fork[AQ_PHASE0].version, 4);
  memcpy(c.capella_version, c.fork[AQ_CAPELLA].version, 4);
  return c;
}

static aq_domain_type domain_named(const char *name) {
  static const struct {
    const char *name;
    aq_domain_type type;
  } domains[] = {
      {"DOMAIN_BEACON_PROPOSER", AQ_DOMAIN_BEACON_PROPOSER},
      {"DOMAIN_BEACON_ATTESTER", AQ_DOMAIN_BEACON_ATTESTER},
      {"DOMAIN_RANDAO", AQ_DOMAIN_RANDAO},
      {"DOMAIN_DEPOSIT", AQ_DOMAIN_DEPOSIT},
      {"DOMAIN_VOLUNTARY_EXIT", AQ_DOMAIN_VOLUNTARY_EXIT},
      {"DOMAIN_SELECTION_PROOF", AQ_DOMAIN_SELECTION_PROOF},
      {"DOMAIN_AGGREGATE_AND_PROOF", AQ_DOMAIN_AGGREGATE_AND_PROOF},
      {"DOMAIN_SYNC_COMMITTEE", AQ_DOMAIN_SYNC_COMMITTEE},
      {"DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF", AQ_DOMAIN_SYNC_SELECTION_PROOF},
      {"DOMAIN_CONTRIBUTION_AND_PROOF", AQ_DOMAIN_CONTRIBUTION_AND_PROOF},
      {"DOMAIN_APPLICATION_BUILDER", AQ_DOMAIN_APPLICATION_BUILDER},
  };
  for (size_t i = 0; i < AQ_COUNT(domains); i++) {
    if (strcmp(domains[i].name, name) == 0) return domains[i].type;
  }
  fail_msg("no domain %s", name);
  return AQ_DOMAIN_RANDAO;
}

/* Goal: signing roots of every object on mainnet and hoodi, at both ends of each fork.
   Method: cluster/signing_roots.json, made by Charon's own code. */
static void signing_roots(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("cluster/signing_roots.json");
  yyjson_val *root = yyjson_doc_get_root(doc), *v, *n;
  size_t i, max, k, networks;
  yyjson_arr_foreach(yyjson_obj_get(root, "signing_roots"), i, max, v) {
    aq_chain c = {0};
    yyjson_arr_foreach(yyjson_obj_get(root, "networks"), k, networks, n) {
      if (strcmp(aq_test_str(n, "name"), aq_test_str(v, "network")) == 0) c = chain_of(n);
    }
    uint8_t object[32], want[32], got[32];
    hex_of(object, 32, v, "object_root");
    hex_of(want, 32, v, "signing_root");
    aq_chain_signing_root(got, &c, domain_named(aq_test_str(v, "domain_name")), aq_test_u64(v, "epoch"), object);
    assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
  }
  assert_int_equal(max, 127);
  yyjson_doc_free(doc);
}

/* Goal: the roots of the built-in networks are theirs.
   Method: those of cluster/signing_roots.json; every network has one of 32 bytes, and no two the same. */
static void genesis_roots(void **state) {
  static const char *const name[] = {"mainnet", "goerli", "gnosis", "chiado", "sepolia", "hoodi"};
  (void)state;
  uint8_t root[AQ_COUNT(name)][32];
  for (size_t i = 0; i < AQ_COUNT(name); i++) {
    const char *text = aq_network_by_name(name[i])->genesis_validators_root;
    assert_int_equal(aq_hex_decode(root[i], 32, aq_bytes_str(text), AQ_HEX_BARE), AQ_OK);
    for (size_t k = 0; k < i; k++) assert_memory_not_equal(root[i], root[k], 32);
  }
  yyjson_doc *doc = aq_test_json("cluster/signing_roots.json");
  yyjson_val *n;
  size_t i, max, found = 0;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "networks"), i, max, n) {
    for (size_t k = 0; k < AQ_COUNT(name); k++) {
      if (strcmp(aq_test_str(n, "name"), name[k]) != 0) continue;
      uint8_t want[32];
      hex_of(want, 32, n, "genesis_validators_root");
      assert_memory_equal(root[k], want, 32);
      found++;
    }
  }
  assert_true(found >= 2);
  yyjson_doc_free(doc);
}

/* Goal: deposits are signed for the genesis version, without a validators root.
   Method: cluster/deposit_signing_roots.json, one entry a network, which also shows the network table. */
static void deposits(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("cluster/deposit_signing_roots.json");
  yyjson_val *v;
  size_t i, max;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, v) {
    aq_chain c = {0};
    uint8_t object[32], want[32], got[32], version[4];
    memset(c.genesis_validators_root, 0x55, 32);
    hex_of(version, 4, v, "genesis_fork_version");
    const aq_network *n = aq_network_by_version(version);
    assert_non_null(n);
    assert_ptr_equal(n, aq_network_by_name(aq_test_str(v, "network")));
    memcpy(c.genesis_version, n->genesis_version, 4);
    hex_of(object, 32, v, "deposit_message_root");
    hex_of(want, 32, v, "signing_root");
    aq_chain_signing_root(got, &c, AQ_DOMAIN_DEPOSIT, 12345, object);
    assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
  }
  assert_int_equal(max, 6);
  yyjson_doc_free(doc);
}

/* Goal: the fork at an epoch, with forks that share one and forks that are not scheduled.
   Method: hoodi's schedule up to electra, by hand. */
static void fork_at(void **state) {
  (void)state;
  aq_chain c = {.fork = {[AQ_ELECTRA] = {2048, {0x60, 0, 9, 0x10}}, [AQ_FULU] = {AQ_FAR_EPOCH, {0}}}};
  assert_int_equal(aq_chain_fork_at(&c, 0), AQ_DENEB);
  assert_int_equal(aq_chain_fork_at(&c, 2047), AQ_DENEB);
  assert_int_equal(aq_chain_fork_at(&c, 2048), AQ_ELECTRA);
  assert_int_equal(aq_chain_fork_at(&c, UINT64_MAX), AQ_ELECTRA);
}

/* Goal: a chain without a known Capella version signs exits with the version of their epoch.
   Method: compares with the domain computed from that version. */
static void exit_without_capella(void **state) {
  (void)state;
  aq_chain c = {.fork = {{0, {1, 2, 3, 4}}, {10, {5, 6, 7, 8}}}};
  for (size_t f = AQ_BELLATRIX; f < AQ_FORK_CNT; f++) c.fork[f].epoch = AQ_FAR_EPOCH;
  uint8_t object[32] = {9}, got[32], want[32], domain[32];
  aq_chain_signing_root(got, &c, AQ_DOMAIN_VOLUNTARY_EXIT, 10, object);
  aq_compute_domain(domain, AQ_DOMAIN_VOLUNTARY_EXIT, c.fork[AQ_ALTAIR].version, c.genesis_validators_root);
  aq_signing_root(want, object, domain);
  assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
}

/* Goal: where Capella's version is known exits are signed under it, before that fork and after it (EIP-7044).
   Method: epochs of three forks, against the domain computed from that version. */
static void exit_with_capella(void **state) {
  (void)state;
  aq_chain c = {.fork = {{0, {1, 2, 3, 4}}, [AQ_CAPELLA] = {10, {5, 6, 7, 8}}, [AQ_DENEB] = {20, {9, 9, 9, 9}}},
                .capella_version = {5, 6, 7, 8}};
  for (size_t f = AQ_ELECTRA; f < AQ_FORK_CNT; f++) c.fork[f].epoch = AQ_FAR_EPOCH;
  uint8_t object[32] = {9}, got[32], want[32], domain[32];
  aq_compute_domain(domain, AQ_DOMAIN_VOLUNTARY_EXIT, c.capella_version, c.genesis_validators_root);
  aq_signing_root(want, object, domain);
  for (uint64_t epoch = 0; epoch <= 30; epoch += 10) {
    aq_chain_signing_root(got, &c, AQ_DOMAIN_VOLUNTARY_EXIT, epoch, object);
    assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
  }
}

/* Goal: names of forks and networks, in the forms headers and flags give them.
   Method: table. */
static void names(void **state) {
  (void)state;
  aq_fork f = AQ_PHASE0;
  assert_true(aq_fork_parse(&f, aq_bytes_str("FuLu")));
  assert_int_equal(f, AQ_FULU);
  assert_false(aq_fork_parse(&f, aq_bytes_str("gloas")));
  assert_false(aq_fork_parse(&f, aq_bytes_str("")));
  assert_false(aq_fork_parse(&f, aq_bytes_str("fulu ")));
  assert_string_equal(aq_fork_name(AQ_ELECTRA), "electra");
  assert_string_equal(aq_fork_name((aq_fork)9), "unknown");
  assert_string_equal(aq_network_by_name("prater")->name, "goerli");
  assert_null(aq_network_by_name("holesky"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signing_roots), cmocka_unit_test(genesis_roots),        cmocka_unit_test(deposits),
      cmocka_unit_test(fork_at),       cmocka_unit_test(exit_without_capella), cmocka_unit_test(exit_with_capella),
      cmocka_unit_test(names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
