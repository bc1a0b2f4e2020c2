#include "cluster/datadir.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aq_test.h"
#include "base/hex.h"
#include "base/time.h"
#include "crypto/aead.h"

static char dir[64];

static int setup(void **state) {
  (void)state;
  snprintf(dir, sizeof dir, "datadir_test.XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}

static void remove_tree(const char *path) { /* one level of directories is all the tests make */
  DIR *d = opendir(path);
  for (struct dirent *e; d && (e = readdir(d));) {
    char name[512];
    if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.')) continue;
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    if (unlink(name) != 0) remove_tree(name);
  }
  if (d) closedir(d);
  rmdir(path);
}

static int teardown(void **state) {
  (void)state;
  remove_tree(dir);
  return 0;
}

static const char *in_dir(const char *name) {
  static char path[16][256];
  static int next;
  next = (next + 1) % 16;
  snprintf(path[next], sizeof path[next], "%s/%s", dir, name);
  return path[next];
}

static unsigned mode_of(const char *path) {
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  return st.st_mode & 07777;
}

/* Goal: a written file has its content and mode at once, replaces what was there, and leaves no temporary file.
   Method: write twice with different modes, list the directory; faults name the file. */
static void files(void **state) {
  (void)state;
  aq_buf out = AQ_BUF(16);
  aq_err err = {AQ_OK, ""};
  const char *path = in_dir("f");
  assert_int_equal(aq_file_write(path, aq_bytes_str("one"), 0444, &err), AQ_OK);
  assert_int_equal(mode_of(path), 0444);
  assert_int_equal(aq_file_write(path, aq_bytes_str("two"), 0600, &err), AQ_OK);
  assert_int_equal(mode_of(path), 0600);
  assert_int_equal(aq_file_read(&out, path, &err), AQ_OK);
  assert_bytes(aq_buf_bytes(&out), aq_bytes_str("two"));
  assert_int_equal(aq_file_write(path, aq_bytes_str("seventeen letters"), 0600, &err), AQ_OK);
  aq_buf_reset(&out);
  assert_int_equal(aq_file_read(&out, path, &err), AQ_E_LIMIT);
  aq_buf_reset(&out);
  assert_int_equal(aq_file_read(&out, in_dir("none"), &err), AQ_E_NOTFOUND);
  assert_non_null(strstr(err.text, "none"));
  assert_int_equal(aq_file_read(&out, dir, &err), AQ_E_IO);
  assert_int_equal(aq_file_write(in_dir("no/such/dir"), aq_bytes_str(""), 0600, &err), AQ_E_NOTFOUND);
  DIR *d = opendir(dir);
  int cnt = 0;
  for (struct dirent *e; (e = readdir(d));) cnt += e->d_name[0] != '.';
  closedir(d);
  assert_int_equal(cnt, 1);
  assert_int_equal(aq_dir_create(in_dir("a/b/c"), 0755, &err), AQ_OK);
  assert_int_equal(aq_dir_create(in_dir("a/b/c"), 0755, &err), AQ_OK);
  assert_int_not_equal(aq_dir_create(in_dir("f/x"), 0755, &err), AQ_OK);
  aq_buf_free(&out);
}

/* Goal: the key file is Charon's: 64 hex digits, mode 0600, never replaced; reading takes white space and nothing else.
   Method: create, load, create again; a key file of the reference; broken files. */
static void identity(void **state) {
  (void)state;
  aq_k1_key *key, *again;
  aq_err err = {AQ_OK, ""};
  uint8_t a[33], b[33];
  const char *path = in_dir("node/charon-enr-private-key");
  assert_int_equal(aq_identity_create(&key, path, &err), AQ_OK);
  assert_int_equal(mode_of(path), 0600);
  assert_int_equal(aq_identity_create(&again, path, &err), AQ_E_EXISTS);
  assert_int_equal(aq_identity_load(&again, path, &err), AQ_OK);
  aq_k1_pubkey(a, key), aq_k1_pubkey(b, again);
  assert_memory_equal(a, b, 33);
  aq_k1_key_free(key), aq_k1_key_free(again);
  aq_buf text = AQ_BUF(256);
  assert_int_equal(aq_file_read(&text, path, &err), AQ_OK);
  assert_int_equal(text.len, 64);
  aq_buf_free(&text);
  assert_int_equal(aq_identity_load(&key, AQ_VECTORS "/cluster/golden/hoodi-4x2/node0/charon-enr-private-key", &err),
                   AQ_OK);
  aq_k1_key_free(key);
  static const struct {
    const char *text;
    bool ok;
  } row[] = {{" \n1111111111111111111111111111111111111111111111111111111111111111\n", true},
             {"111111111111111111111111111111111111111111111111111111111111111", false},
             {"0x1111111111111111111111111111111111111111111111111111111111111111", false},
             {"0000000000000000000000000000000000000000000000000000000000000000", false},
             {"fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe", false},
             {"", false}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    assert_int_equal(aq_file_write(in_dir("k"), aq_bytes_str(row[i].text), 0600, &err), AQ_OK);
    bool ok = aq_identity_load(&key, in_dir("k"), &err) == AQ_OK;
    assert_int_equal(ok, row[i].ok);
    if (ok) aq_k1_key_free(key);
  }
}

/* Goal: a key in use, or one whose cluster changed a moment ago, is not taken.
   Method: the rules of cluster.md 1.5 at their borders, the reference's sample file, and garbage. */
static void key_lock(void **state) {
  (void)state;
  const uint64_t t = AQ_SECONDS(1800000000);
  aq_err err = {AQ_OK, ""};
  const char *key = in_dir("k"), *file = in_dir("k.lock");
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x01", t, &err), AQ_E_NOTFOUND);
  assert_int_equal(aq_file_write(key, aq_bytes_str("x"), 0600, &err), AQ_OK);
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x01", t, &err), AQ_OK);
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x01", t + AQ_SECONDS(5), &err), AQ_E_EXISTS);
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x01", t - AQ_SECONDS(1), &err), AQ_E_EXISTS);
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x01", t + AQ_SECONDS(5) + 1, &err), AQ_OK);
  assert_int_equal(aq_keylock_touch(key, "aequa run", "0x01", t), AQ_OK);
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x02", t + AQ_SECONDS(767), &err), AQ_E_EXISTS);
  assert_non_null(strstr(err.text, "wait 1 s"));
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x02", t + AQ_SECONDS(768), &err), AQ_OK);
  assert_int_equal(aq_keylock_touch(key, "aequa run", "", t), AQ_OK);
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x02", t + AQ_SECONDS(6), &err), AQ_OK);
  aq_buf sample = aq_test_file("cluster/golden/charon-enr-private-key.lock.sample");
  assert_int_equal(aq_file_write(file, aq_buf_bytes(&sample), 0644, &err), AQ_OK);
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x02", AQ_SECONDS(4000000000), &err), AQ_OK);
  aq_buf_free(&sample);
  static const char *const bad[] = {"", "{", "[]", "{\"timestamp\":\"now\"}"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    assert_int_equal(aq_file_write(file, aq_bytes_str(bad[i]), 0644, &err), AQ_OK);
    assert_int_equal(aq_keylock_take(key, "aequa run", "0x02", t, &err), AQ_E_FORMAT);
  }
}

/* Goal: a path that is too long, names a directory where a file is due or the other way round is refused by name.
   Method: each call with each of them. */
static void places(void **state) {
  (void)state;
  static char far[8192];
  aq_err err = {AQ_OK, ""};
  aq_k1_key *key = NULL;
  const aq_bytes x = aq_bytes_str("x");
  memset(far, 'a', sizeof far - 1);
  assert_int_equal(aq_file_write(far, x, 0600, &err), AQ_E_LIMIT);
  assert_int_equal(aq_dir_create(far, 0700, &err), AQ_E_LIMIT);
  assert_int_equal(aq_dir_create("", 0700, &err), AQ_E_LIMIT);
  far[4000] = '/';
  assert_int_equal(aq_identity_create(&key, far + 3999, &err),
                   AQ_E_IO); /* the name alone is longer than names may be */
  far[sizeof far - 2] = '/';
  far[4000] = 'a';
  assert_int_equal(aq_identity_create(&key, far, &err), AQ_E_LIMIT);
  assert_int_equal(aq_keylock_touch(far, "aequa run", "", 0), AQ_E_LIMIT);
  assert_int_equal(aq_dir_create(in_dir("d"), 0700, &err), AQ_OK);
  assert_int_equal(aq_file_write(in_dir("d"), x, 0600, &err), AQ_E_IO);
  assert_non_null(strstr(err.text, "cannot replace"));
  assert_int_equal(aq_file_write(in_dir("file"), x, 0600, &err), AQ_OK);
  assert_int_equal(aq_dir_create(in_dir("file"), 0700, &err), AQ_E_EXISTS);
  assert_int_equal(aq_keylock_take(in_dir("d"), "aequa run", "", 0, &err), AQ_E_IO);
  assert_null(key);
}

/* Goal: the reference's keystores, insecure and real, give the secrets it wrote.
   Method: golden directories against expected.json. */
static void golden_keys(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("cluster/golden/expected.json");
  yyjson_val *it, *secret;
  size_t i, max, k, cnt;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, it) {
    char path[512];
    aq_keys keys;
    aq_err err = {AQ_OK, ""};
    snprintf(path, sizeof path, "%s/cluster/%s/node0/validator_keys", AQ_VECTORS, aq_test_str(it, "directory"));
    if (aq_keys_load(&keys, path, &err) != AQ_OK) fail_msg("%s", err.text);
    assert_true(keys.sequenced);
    yyjson_arr_foreach(yyjson_obj_get(yyjson_arr_get(yyjson_obj_get(it, "nodes"), 0), "share_secrets"), k, cnt,
                       secret) {
      aq_buf want = aq_test_hex(yyjson_get_str(secret));
      assert_bytes(aq_bytes_of(keys.secret[k], 32), aq_buf_bytes(&want));
      aq_buf_free(&want);
    }
    assert_int_equal(keys.cnt, cnt);
    aq_keys_free(&keys);
  }
  yyjson_doc_free(doc);
}

/* Goal: stored keys load again in their order, with the modes of the reference; faults name the file.
   Method: twelve insecure keys; then one password is taken away, one name broken. */
static void store_and_load(void **state) {
  (void)state;
  enum { CNT = 12 };
  uint8_t secret[CNT][32];
  aq_keys keys;
  aq_err err = {AQ_OK, ""};
  const char *path = in_dir("validator_keys");
  memset(secret, 0, sizeof secret);
  for (uint8_t i = 0; i < CNT; i++) secret[i][31] = (uint8_t)(i + 1);
  assert_int_equal(aq_keys_load(&keys, path, &err), AQ_E_NOTFOUND);
  assert_int_equal(aq_keys_store(path, (const uint8_t(*)[32])secret, CNT, true, &err), AQ_OK);
  assert_int_equal(mode_of(in_dir("validator_keys/keystore-insecure-11.json")), 0444);
  assert_int_equal(mode_of(in_dir("validator_keys/keystore-insecure-11.txt")), 0400);
  assert_int_equal(aq_keys_load(&keys, path, &err), AQ_OK);
  assert_int_equal(keys.cnt, CNT);
  assert_true(keys.sequenced);
  assert_memory_equal(keys.secret, secret, sizeof secret);
  aq_keys_free(&keys);
  assert_int_equal(rename(in_dir("validator_keys/keystore-insecure-3.json"), in_dir("validator_keys/keystore-x.json")),
                   0);
  assert_int_equal(aq_keys_load(&keys, path, &err), AQ_E_NOTFOUND);
  assert_non_null(strstr(err.text, "keystore-x.txt"));
  assert_int_equal(rename(in_dir("validator_keys/keystore-insecure-3.txt"), in_dir("validator_keys/keystore-x.txt")),
                   0);
  assert_int_equal(aq_keys_load(&keys, path, &err), AQ_OK);
  assert_false(keys.sequenced);
  aq_keys_free(&keys);
  assert_int_equal(aq_file_write(in_dir("validator_keys/keystore-x.txt"), aq_bytes_str("wrong"), 0600, &err), AQ_OK);
  assert_int_equal(aq_keys_load(&keys, path, &err), AQ_E_AUTH);
  assert_non_null(strstr(err.text, "keystore-x.json"));
}

/* Goal: a text that is too long for a password hides no keystore; none is passed over silently.
   Method: texts of 1500 and 5000 bytes beside keystores with passwords of other names; then a cost over the limit. */
static void long_texts(void **state) {
  (void)state;
  enum { CNT = 2 };
  uint8_t secret[CNT][32] = {{0}};
  aq_keys keys;
  aq_err err = {AQ_OK, ""};
  char text[5000];
  const char *path = in_dir("keys");
  memset(text, 'a', sizeof text);
  for (uint8_t i = 0; i < CNT; i++) secret[i][31] = (uint8_t)(i + 1);
  assert_int_equal(aq_keys_store(path, (const uint8_t(*)[32])secret, CNT, true, &err), AQ_OK);
  assert_int_equal(rename(in_dir("keys/keystore-insecure-0.txt"), in_dir("keys/of-0.txt")), 0);
  assert_int_equal(rename(in_dir("keys/keystore-insecure-1.txt"), in_dir("keys/of-1.txt")), 0);
  assert_int_equal(aq_file_write(in_dir("keys/README.txt"), aq_bytes_of(text, 1500), 0600, &err), AQ_OK);
  assert_int_equal(aq_file_write(in_dir("keys/keystore-insecure-1.txt"), aq_bytes_of(text, 5000), 0600, &err), AQ_OK);
  assert_int_equal(aq_keys_load_any(&keys, path, &err), AQ_OK);
  assert_int_equal(keys.cnt, CNT);
  aq_keys_free(&keys);
  static const char costly[] =
      "{\"version\":4,\"crypto\":{\"kdf\":{\"function\":\"pbkdf2\",\"params\":{\"c\":99999999,\"dklen\":32,"
      "\"prf\":\"hmac-sha256\",\"salt\":\"00\"}},\"checksum\":{\"function\":\"sha256\",\"message\":"
      "\"0000000000000000000000000000000000000000000000000000000000000000\"},\"cipher\":{\"function\":"
      "\"aes-128-ctr\",\"params\":{\"iv\":\"00000000000000000000000000000000\"},\"message\":"
      "\"0000000000000000000000000000000000000000000000000000000000000000\"}}}";
  assert_int_equal(aq_file_write(in_dir("keys/costly.json"), aq_bytes_str(costly), 0600, &err), AQ_OK);
  assert_int_equal(aq_keys_load_any(&keys, path, &err), AQ_E_LIMIT);
  assert_non_null(strstr(err.text, "costly.json"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(files, setup, teardown),
      cmocka_unit_test_setup_teardown(identity, setup, teardown),
      cmocka_unit_test_setup_teardown(places, setup, teardown),
      cmocka_unit_test_setup_teardown(key_lock, setup, teardown),
      cmocka_unit_test(golden_keys),
      cmocka_unit_test_setup_teardown(store_and_load, setup, teardown),
      cmocka_unit_test_setup_teardown(long_texts, setup, teardown),
  };
  aq_crypto_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
