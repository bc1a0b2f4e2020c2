/* Clusters of several sizes made, written, loaded again and recombined. */
#include "cluster/create.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aq_test.h"
#include "crypto/aead.h"

static aq_validator_address address[3] = {
    {"0x388C818CA8B9251b393131C08a736A67ccB19297", "0x00000000219ab540356cBB839Cbe05303d7705Fa"},
    {"0x0000000000000000000000000000000000000001", "0x0000000000000000000000000000000000000002"},
    {"0x0000000000000000000000000000000000000003", "0x0000000000000000000000000000000000000004"},
};

static aq_definition definition(uint32_t nodes, uint32_t threshold, uint32_t validators) {
  return (aq_definition){.name = "test <&>",
                         .uuid = "81B188F5-4E5A-4E48-988F-CAD452BEE248",
                         .timestamp = "2026-11-23T14:41:05Z",
                         .dkg_algorithm = "default",
                         .consensus_protocol = "",
                         .operator_cnt = nodes,
                         .threshold = threshold,
                         .validator_cnt = validators,
                         .addresses = address,
                         .target_gas_limit = 45000000};
}

static aq_cluster *make(const aq_definition *d, const aq_network *n, const uint8_t (*secret)[32]) {
  aq_cluster *c = NULL;
  aq_err err = {AQ_OK, ""};
  aq_cluster_cfg cfg = {.def = d, .network = n, .secret = secret, .registration_s = n->genesis_time_s};
  if (aq_cluster_make(&c, &cfg, &err) != AQ_OK) fail_msg("%s", err.text);
  return c;
}

/* Goal: given keys are split so that any threshold of shares gives them back, and the lock says what was asked for.
   Method: sizes from one node to ten on a built-in and a custom network; recover from the last `threshold` shares. */
static void given_keys(void **state) {
  (void)state;
  static const aq_network custom = {.name = "own",
                                    .chain_id = 1337,
                                    .genesis_version = {0x0a, 0x0b, 0x0c, 0x0d},
                                    .genesis_time_s = 1700000000,
                                    .slot_s = 12};
  static const uint32_t size[][2] = {{1, 1}, {2, 2}, {3, 2}, {4, 3}, {7, 5}, {10, 7}};
  uint8_t secret[3][32] = {{0}};
  for (uint8_t v = 0; v < 3; v++) secret[v][31] = (uint8_t)(v + 7);
  for (size_t i = 0; i < AQ_COUNT(size); i++) {
    uint32_t n = size[i][0], t = size[i][1];
    assert_int_equal(aq_threshold_default(n), t);
    aq_definition d = definition(n, t, 3);
    aq_cluster *c = make(&d, i % 2 ? &custom : aq_network_by_name("hoodi"), (const uint8_t(*)[32])secret);
    for (uint32_t v = 0; v < 3; v++) {
      uint8_t share[AQ_OPERATORS_MAX][32], got[32], pubkey[48];
      uint32_t idx[AQ_OPERATORS_MAX];
      for (uint32_t k = 0; k < t; k++) {
        idx[k] = n - k;
        memcpy(share[k], c->share[(size_t)(n - 1 - k) * 3 + v], 32);
      }
      assert_int_equal(aq_tbls_recover_secret(got, (const uint8_t(*)[32])share, idx, t), AQ_OK);
      assert_memory_equal(got, secret[v], 32);
      aq_bls_secret_to_pubkey(pubkey, secret[v]);
      assert_memory_equal(c->lock->validators[v].pubkey, pubkey, 48);
      assert_int_equal(c->lock->validators[v].registration.gas_limit, 45000000);
      assert_int_equal(c->lock->validators[v].deposit_cnt, 2);
    }
    aq_cluster_free(c);
  }
}

/* Goal: a definition with an address that is none gives no cluster, and says so.
   Method: the recipient and the withdrawal address of the last validator, each once. */
static void bad_addresses(void **state) {
  (void)state;
  uint8_t secret[3][32] = {{0}};
  for (uint8_t v = 0; v < 3; v++) secret[v][31] = (uint8_t)(v + 7);
  for (size_t i = 0; i < 2; i++) {
    aq_validator_address mine[3] = {address[0], address[1], address[2]};
    aq_definition d = definition(4, 3, 3);
    aq_cluster *c = NULL;
    aq_err err = {AQ_OK, ""};
    const aq_network *hoodi = aq_network_by_name("hoodi");
    aq_cluster_cfg cfg = {
        .def = &d, .network = hoodi, .secret = (const uint8_t(*)[32])secret, .registration_s = hoodi->genesis_time_s};
    d.addresses = mine;
    *(i ? &mine[2].withdrawal : &mine[2].fee_recipient) = "0x388c";
    assert_int_equal(aq_cluster_make(&c, &cfg, &err), AQ_E_FORMAT);
    assert_non_null(strstr(err.text, "address is not 0x and 40 hex digits"));
    assert_null(c);
  }
}

/* Goal: a launchpad definition, whose operators have Ethereum addresses, gives a lock whose hashes hold. Method: the
   signed v1.10 definition of the vectors; the reference itself writes a wrong lock_hash here (cluster.md 5.6). */
static void from_definition(void **state) {
  (void)state;
  aq_buf json = aq_test_file("cluster/versions/v1_10_0-definition.json");
  aq_lock *from = NULL;
  aq_err err = {AQ_OK, ""};
  assert_int_equal(aq_definition_load(&from, aq_buf_bytes(&json), &err), AQ_OK);
  aq_cluster *c = make(&from->def, aq_definition_network(&from->def, NULL), NULL);
  assert_string_equal(c->lock->def.uuid, from->def.uuid);
  assert_string_equal(c->lock->def.name, from->def.name);
  assert_string_equal(c->lock->def.version, "v1.11.0");
  assert_string_equal(c->lock->def.operators[0].address, "");
  aq_cluster_free(c);
  aq_lock_free(from);
  aq_buf_free(&json);
}

static void remove_tree(const char *path) {
  DIR *d = opendir(path);
  for (struct dirent *e; d && (e = readdir(d));) {
    char name[512];
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    if (unlink(name) != 0) remove_tree(name);
  }
  if (d) closedir(d);
  rmdir(path);
}

/* Goal: what is written loads as a cluster: lock, identity and keystores of each node fit together; nothing is
   overwritten. Method: write, read each node back, write again. Generated keys differ between runs. */
static void written(void **state) {
  (void)state;
  char dir[] = "create_test.XXXXXX", path[128];
  aq_err err = {AQ_OK, ""};
  aq_definition d = definition(4, 3, 2);
  aq_cluster *c = make(&d, aq_network_by_name("sepolia"), NULL), *other = make(&d, aq_network_by_name("sepolia"), NULL);
  assert_memory_not_equal(c->lock->validators[0].pubkey, other->lock->validators[0].pubkey, 48);
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/node1/validator_keys", dir); /* a volume that is mounted there */
  assert_int_equal(aq_dir_create(path, 0755, &err), AQ_OK);
  assert_int_equal(aq_cluster_write(c, dir, true, &err), AQ_OK);
  assert_int_equal(aq_cluster_write(other, dir, true, &err), AQ_E_EXISTS);
  for (uint32_t n = 0; n < 4; n++) {
    aq_buf json = AQ_BUF(AQ_LOCK_BYTES_MAX);
    aq_lock *l = NULL;
    aq_k1_key *key = NULL;
    aq_keys keys;
    uint8_t pubkey[48];
    snprintf(path, sizeof path, "%s/node%u/cluster-lock.json", dir, n);
    assert_int_equal(aq_file_read(&json, path, &err), AQ_OK);
    assert_int_equal(aq_lock_load(&l, aq_buf_bytes(&json), NULL, &err), AQ_OK);
    snprintf(path, sizeof path, "%s/node%u/charon-enr-private-key", dir, n);
    assert_int_equal(aq_identity_load(&key, path, &err), AQ_OK);
    aq_k1_pubkey(pubkey, key);
    assert_int_equal(aq_lock_operator(l, pubkey), n);
    snprintf(path, sizeof path, "%s/node%u/validator_keys", dir, n);
    assert_int_equal(aq_keys_load(&keys, path, &err), AQ_OK);
    assert_int_equal(keys.cnt, 2);
    for (uint32_t v = 0; v < 2; v++) {
      aq_bls_secret_to_pubkey(pubkey, keys.secret[v]);
      assert_memory_equal(pubkey, l->validators[v].share[n], 48);
    }
    aq_keys_free(&keys);
    aq_k1_key_free(key);
    aq_lock_free(l);
    aq_buf_free(&json);
  }
  aq_cluster_free(c);
  aq_cluster_free(other);
  remove_tree(dir);
}

/* Goal: a UUID is version 4, variant 1, upper case.
   Method: the fixed positions of one. */
static void uuid(void **state) {
  (void)state;
  char text[37];
  aq_uuid_random(text);
  assert_int_equal(strlen(text), 36);
  assert_int_equal(text[14], '4');
  assert_non_null(strchr("89AB", text[19]));
  assert_int_equal(strspn(text, "0123456789ABCDEF-"), 36);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(given_keys), cmocka_unit_test(bad_addresses),
                                     cmocka_unit_test(from_definition), cmocka_unit_test(written),
                                     cmocka_unit_test(uuid)};
  aq_crypto_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
