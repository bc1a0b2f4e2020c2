/* Files as they are found on real disks: modes, pipes, locks, leftovers of a crash. */
#include "cluster/datadir.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/* The files of git have the modes of a checkout: a secret among them is copied as its owner would keep it. */
static void copy_secret(const char *to, const char *from) {
  aq_buf text = AQ_BUF(1 << 16);
  aq_err err = {AQ_OK, ""};
  if (aq_file_read(&text, from, &err) != AQ_OK || aq_file_write(to, aq_buf_bytes(&text), 0600, &err) != AQ_OK)
    fail_msg("%s", err.text);
  aq_buf_free(&text);
}

static void copy_secrets(const char *to, const char *from) {
  aq_err err = {AQ_OK, ""};
  char a[1024], b[1024];
  assert_int_equal(aq_dir_create(to, 0755, &err), AQ_OK);
  DIR *d = opendir(from);
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    snprintf(a, sizeof a, "%s/%s", to, e->d_name);
    snprintf(b, sizeof b, "%s/%s", from, e->d_name);
    copy_secret(a, b);
  }
  closedir(d);
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
  copy_secret(in_dir("golden"), AQ_VECTORS "/cluster/golden/hoodi-4x2/node0/charon-enr-private-key");
  assert_int_equal(aq_identity_load(&key, in_dir("golden"), &err), AQ_OK);
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

/* Goal: a key lock dated in the future is refused with what is true, the time between and what to do, and only then: a
   clock that is set back by little, and a node that goes on, look like a node that runs.
   Method: the border, an hour, a year, two centuries; of the same cluster and of another. */
static void key_lock_of_the_future(void **state) {
  (void)state;
  const uint64_t t = AQ_SECONDS(1800000000);
  static const uint64_t ahead_s[] = {6, 3600, 31536000, 7000000000};
  aq_err err = {AQ_OK, ""};
  const char *key = in_dir("k");
  assert_int_equal(aq_file_write(key, aq_bytes_str("x"), 0600, &err), AQ_OK);
  assert_int_equal(aq_keylock_touch(key, "charon run", "0x01", t + AQ_SECONDS(5)), AQ_OK);
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x01", t, &err), AQ_E_EXISTS);
  assert_non_null(strstr(err.text, "\"charon run\" uses this key right now"));
  for (size_t i = 0; i < AQ_COUNT(ahead_s); i++) {
    char seconds[32];
    snprintf(seconds, sizeof seconds, "%llu s ahead", (unsigned long long)ahead_s[i]);
    assert_int_equal(aq_keylock_touch(key, "charon run", i % 2 ? "0x01" : "0x02", t + AQ_SECONDS(ahead_s[i])), AQ_OK);
    assert_int_equal(aq_keylock_take(key, "aequa run", "0x01", t, &err), AQ_E_EXISTS);
    assert_non_null(strstr(err.text, seconds));
    assert_non_null(strstr(err.text, "set the clock right"));
    assert_non_null(strstr(err.text, "if no node uses this key, remove the file"));
    assert_null(strstr(err.text, "right now"));
    assert_null(strstr(err.text, "wait"));
  }
  assert_int_equal(aq_keylock_take(key, "aequa run", "0x01", t + AQ_SECONDS(31536000), &err), AQ_E_EXISTS);
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
    const char *copy = in_dir(aq_test_str(it, "name"));
    copy_secrets(copy, path);
    if (aq_keys_load(&keys, copy, &err) != AQ_OK) fail_msg("%s", err.text);
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

/* Goal: a password file in UTF-16 is told from a wrong password, with the mend; beside the right one it is just a text.
   Method: one keystore's password in both orders with marks, read as a node's key and as any keystore; then the right
   password under another name. */
static void utf16_passwords(void **state) {
  (void)state;
  uint8_t secret[1][32] = {{[31] = 1}}, text[256];
  static const uint8_t mark[2][2] = {{0xff, 0xfe}, {0xfe, 0xff}};
  aq_keys keys;
  aq_err err = {AQ_OK, ""};
  aq_buf password = AQ_BUF(64);
  const char *path = in_dir("wide");
  assert_int_equal(aq_keys_store(path, (const uint8_t(*)[32])secret, 1, true, &err), AQ_OK);
  assert_int_equal(aq_file_read(&password, in_dir("wide/keystore-insecure-0.txt"), &err), AQ_OK);
  for (size_t order = 0; order < 2; order++) {
    size_t len = 2 + 2 * password.len;
    memset(text, 0, sizeof text);
    memcpy(text, mark[order], 2);
    for (size_t i = 0; i < password.len; i++) text[2 + 2 * i + order] = password.ptr[i];
    assert_int_equal(aq_file_write(in_dir("wide/keystore-insecure-0.txt"), aq_bytes_of(text, len), 0600, &err), AQ_OK);
    assert_int_equal(aq_keys_load(&keys, path, &err), AQ_E_AUTH);
    assert_non_null(strstr(err.text, "UTF-16: save"));
    assert_non_null(strstr(err.text, "keystore-insecure-0.json"));
    assert_int_equal(aq_keys_load_any(&keys, path, &err), AQ_E_AUTH);
    assert_non_null(strstr(err.text, "keystore-insecure-0.txt as UTF-8"));
  }
  assert_int_equal(aq_file_write(in_dir("wide/other.txt"), aq_buf_bytes(&password), 0600, &err), AQ_OK);
  assert_int_equal(aq_keys_load_any(&keys, path, &err), AQ_OK);
  aq_keys_free(&keys);
  assert_int_equal(aq_file_write(in_dir("wide/other.txt"), aq_bytes_str("wrong"), 0600, &err), AQ_OK);
  assert_int_equal(aq_file_write(in_dir("wide/keystore-insecure-0.txt"), aq_bytes_str("\xff"), 0600, &err), AQ_OK);
  assert_int_equal(aq_keys_load_any(&keys, path, &err), AQ_E_AUTH);
  assert_null(strstr(err.text, "UTF-16"));
  assert_int_equal(aq_keys_load(&keys, path, &err), AQ_E_AUTH);
  assert_null(strstr(err.text, "UTF-16"));
  aq_buf_free(&password);
}

/* Goal: where a file is meant, nothing else is opened or waited for, and the text says what is there.
   Method: a pipe, a socket, a device and a directory, themselves and behind a link, for each kind of reader; a link to
   a file is a file. The pipe has no writer: who opens it waits for ever. */
static void not_files(void **state) {
  (void)state;
  static const struct {
    const char *name, *what;
  } row[] = {{"pipe", "a pipe"}, {"socket", "a socket"}, {"device", "a device"}, {"folder", "a directory"}};
  uint8_t secret[64];
  size_t len;
  aq_err err = {AQ_OK, ""};
  aq_k1_key *key = NULL;
  assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  snprintf(addr.sun_path, sizeof addr.sun_path, "%s", in_dir("socket"));
  assert_int_equal(bind(s, (const struct sockaddr *)&addr, sizeof addr), 0);
  assert_int_equal(symlink("/dev/zero", in_dir("device")), 0);
  assert_int_equal(mkdir(in_dir("folder"), 0700), 0);
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    const char *path[] = {in_dir(row[i].name), in_dir("link")};
    assert_int_equal(symlink(row[i].name, path[1]), 0);
    for (size_t k = 0; k < AQ_COUNT(path); k++) {
      aq_buf out = AQ_BUF(64);
      assert_int_equal(aq_file_read(&out, path[k], &err), AQ_E_IO);
      assert_non_null(strstr(err.text, row[i].what));
      assert_int_equal(aq_secret_file_read(secret, &len, sizeof secret, path[k], &err), AQ_E_IO);
      assert_non_null(strstr(err.text, row[i].what));
      assert_int_equal(aq_secret_file_try(secret, &len, sizeof secret, path[k], &err), AQ_E_IO);
      assert_int_equal(aq_secret_file_private(path[k], &err), AQ_E_IO);
      assert_int_equal(aq_identity_load(&key, path[k], &err), AQ_E_IO);
      assert_non_null(strstr(err.text, row[i].what));
      aq_buf_free(&out);
    }
    assert_int_equal(unlink(path[1]), 0);
  }
  close(s);
  assert_int_equal(aq_file_write(in_dir("real"), aq_bytes_str("x"), 0600, &err), AQ_OK);
  assert_int_equal(symlink("real", in_dir("link")), 0);
  assert_int_equal(aq_secret_file_read(secret, &len, sizeof secret, in_dir("link"), &err), AQ_OK);
  assert_int_equal(len, 1);
}

/* Goal: a secret that others can use is refused, with the mend; what is no secret is read whoever may.
   Method: every mode of an identity key and of a password, each bit of group and others alone; a keystore may be read
   by all, and so may a text beside keystores that turns out to be no password. */
static void private_files(void **state) {
  (void)state;
  uint8_t secret[1][32] = {{[31] = 7}};
  aq_keys keys;
  aq_k1_key *key = NULL;
  aq_err err = {AQ_OK, ""};
  const char *id = in_dir("node/charon-enr-private-key"), *dir_keys = in_dir("keys");
  const char *password = in_dir("keys/keystore-insecure-0.txt");
  assert_int_equal(aq_identity_create(&key, id, &err), AQ_OK);
  aq_k1_key_free(key);
  assert_int_equal(aq_keys_store(dir_keys, (const uint8_t(*)[32])secret, 1, true, &err), AQ_OK);
  assert_int_equal(aq_file_write(in_dir("keys/README.txt"), aq_bytes_str("hello"), 0644, &err), AQ_OK);
  for (unsigned bit = 0; bit < 9; bit++) {
    unsigned mode = 0400 | 1u << bit;
    bool good = !(mode & 077);
    char want[16];
    snprintf(want, sizeof want, "%04o", mode);
    assert_int_equal(chmod(id, mode), 0);
    assert_int_equal(chmod(password, mode), 0);
    assert_int_equal(aq_identity_load(&key, id, &err), good ? AQ_OK : AQ_E_IO);
    if (good) aq_k1_key_free(key);
    if (!good) assert_true(strstr(err.text, "chmod 600") && strstr(err.text, id) && strstr(err.text, want));
    assert_int_equal(aq_keys_load(&keys, dir_keys, &err), good ? AQ_OK : AQ_E_IO);
    if (good) aq_keys_free(&keys);
    if (!good) assert_true(strstr(err.text, "chmod 600") && strstr(err.text, password));
    assert_int_equal(aq_keys_load_any(&keys, dir_keys, &err), good ? AQ_OK : AQ_E_IO);
    if (good) aq_keys_free(&keys);
    if (!good) assert_true(strstr(err.text, "chmod 600") && strstr(err.text, password));
  }
  assert_int_equal(chmod(password, 0400), 0);
  assert_int_equal(chmod(in_dir("keys/keystore-insecure-0.json"), 0666), 0);
  assert_int_equal(aq_keys_load(&keys, dir_keys, &err), AQ_OK);
  aq_keys_free(&keys);
}

/* Goal: whose shares a directory holds is known without a password.
   Method: three stored keys; their passwords are taken away; a keystore that names no key is left out, one that is no
   JSON is refused by name. */
static void named_keys(void **state) {
  (void)state;
  uint8_t secret[3][32] = {{[31] = 1}, {[31] = 2}, {[31] = 3}}, want[48], (*pubkey)[48];
  uint32_t cnt;
  aq_err err = {AQ_OK, ""};
  const char *path = in_dir("keys");
  assert_int_equal(aq_keys_pubkeys(&pubkey, &cnt, path, &err), AQ_E_NOTFOUND);
  assert_int_equal(aq_keys_store(path, (const uint8_t(*)[32])secret, 3, true, &err), AQ_OK);
  for (int i = 0; i < 3; i++) {
    char name[64];
    snprintf(name, sizeof name, "keys/keystore-insecure-%d.txt", i);
    assert_int_equal(unlink(in_dir(name)), 0);
  }
  assert_int_equal(aq_file_write(in_dir("keys/keystore-9.json"), aq_bytes_str("{}"), 0644, &err), AQ_OK);
  assert_int_equal(aq_keys_pubkeys(&pubkey, &cnt, path, &err), AQ_OK);
  assert_int_equal(cnt, 3);
  for (uint32_t i = 0; i < cnt; i++) {
    aq_bls_secret_to_pubkey(want, secret[i]);
    assert_memory_equal(pubkey[i], want, 48);
  }
  free(pubkey);
  assert_int_equal(aq_file_write(in_dir("keys/keystore-9.json"), aq_bytes_str("{"), 0644, &err), AQ_OK);
  assert_int_equal(aq_keys_pubkeys(&pubkey, &cnt, path, &err), AQ_E_FORMAT);
  assert_non_null(strstr(err.text, "keystore-9.json"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(files, setup, teardown),
      cmocka_unit_test_setup_teardown(identity, setup, teardown),
      cmocka_unit_test_setup_teardown(places, setup, teardown),
      cmocka_unit_test_setup_teardown(key_lock, setup, teardown),
      cmocka_unit_test_setup_teardown(key_lock_of_the_future, setup, teardown),
      cmocka_unit_test_setup_teardown(golden_keys, setup, teardown),
      cmocka_unit_test_setup_teardown(not_files, setup, teardown),
      cmocka_unit_test_setup_teardown(private_files, setup, teardown),
      cmocka_unit_test_setup_teardown(named_keys, setup, teardown),
      cmocka_unit_test_setup_teardown(store_and_load, setup, teardown),
      cmocka_unit_test_setup_teardown(long_texts, setup, teardown),
      cmocka_unit_test_setup_teardown(utf16_passwords, setup, teardown),
  };
  aq_crypto_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
