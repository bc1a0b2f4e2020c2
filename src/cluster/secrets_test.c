/* The process's own memory is searched for secrets after each operation that had one. */
#include "aq_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "cluster/create.h"
#include "cluster/datadir.h"
#include "crypto/aead.h"
#include "crypto/bls.h"
#include "crypto/bls_internal.h"
#include "crypto/k1.h"
#include "crypto/keystore.h"
#include "crypto/secret.h"
#include "eth/chain.h"
#include "image_scan.h"

/* Each test runs an operation with a secret that this program knows only masked, frees everything, and then wants no
   readable page of the process to hold the secret: raw, reversed (limbs of a library), hex of both cases. */

enum { LEN = 32, MASK = AQ_NEEDLE_MASK, TEXT = 2 * LEN };

/* Secrets differ from test to test, so that none finds another's. In plain they are below both group orders. */
static void masked_secret(uint8_t out[LEN], unsigned which) {
  for (unsigned i = 0; i < LEN; i++) out[i] = (uint8_t)(0x11 + 7 * i + 37 * which + 3 * i * i);
  out[0] = 0x1b ^ MASK;
}

static void flip(uint8_t *out, const uint8_t *in, size_t len) {
  for (size_t i = 0; i < len; i++) out[i] = in[i] ^ MASK;
}

static aq_needles needles_of(const uint8_t masked[LEN], const char *name) {
  aq_needles n = {.cnt = 0};
  aq_needles_add(&n, name, masked, LEN, true);
  return n;
}

/* A scalar as blst computes with it: Montgomery limbs. */
static void add_montgomery(aq_needles *n, const char *name, const uint8_t plain[LEN]) {
  blst_scalar scalar;
  blst_fr fr;
  uint8_t hidden[LEN];
  blst_scalar_from_bendian(&scalar, plain);
  blst_fr_from_scalar(&fr, &scalar);
  flip(hidden, (const uint8_t *)&fr, LEN);
  aq_needles_add(n, name, hidden, LEN, false);
  aq_wipe(&scalar, sizeof scalar), aq_wipe(&fr, sizeof fr);
}

static void nothing_left(const aq_needles *n) {
  char where[160];
  size_t found = aq_image_scan(where, n);
  if (found) fail_msg("%zu copies are left, the first of %s", found, where);
}

static char dir[] = "aq-secrets-XXXXXX";
static char path[sizeof dir + 64];

static int make_dir(void **state) {
  (void)state;
  return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state) {
  (void)state;
  aq_dir_remove(dir);
  return 0;
}

/* Writes the hex of a masked secret without plain bytes of ours staying behind. */
static void write_hex(const char *name, const uint8_t masked[LEN], const char *after) {
  static const char digit[] = "0123456789abcdef";
  char text[TEXT];
  for (size_t i = 0; i < LEN; i++) {
    text[2 * i] = digit[(masked[i] ^ MASK) >> 4];
    text[2 * i + 1] = digit[(masked[i] ^ MASK) & 15];
  }
  snprintf(path, sizeof path, "%s/%s", dir, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, sizeof text), sizeof text);
  assert_int_equal(write(fd, after, strlen(after)), strlen(after));
  close(fd);
  aq_wipe(text, sizeof text);
}

static aq_k1_key *key_of(const uint8_t masked[LEN]) {
  uint8_t secret[LEN];
  aq_k1_key *key = NULL;
  flip(secret, masked, LEN);
  assert_int_equal(aq_k1_key_new(&key, secret), AQ_OK);
  aq_wipe(secret, sizeof secret);
  return key;
}

/* Goal: the search finds what is there, in each form, on the heap and on the stack.
   Method: plant a secret in three forms; wiped, it is gone. */
static void test_scan_finds(void **state) {
  (void)state;
  uint8_t masked[LEN], on_stack[LEN];
  char where[160];
  masked_secret(masked, 0);
  aq_needles n = needles_of(masked, "planted");
  nothing_left(&n);
  flip(on_stack, masked, LEN);
  assert_int_equal(aq_image_scan(where, &n), 1);
  uint8_t *on_heap = malloc(LEN);
  assert_non_null(on_heap);
  for (size_t i = 0; i < LEN; i++) on_heap[i] = on_stack[LEN - 1 - i];
  assert_int_equal(aq_image_scan(where, &n), 2);
  char text[TEXT + 1];
  for (size_t i = 0; i < LEN; i++) snprintf(text + 2 * i, 3, "%02X", on_stack[i]);
  assert_int_equal(aq_image_scan(where, &n), 3);
  aq_wipe(on_stack, sizeof on_stack), aq_wipe(on_heap, LEN), aq_wipe(text, sizeof text);
  free(on_heap);
  nothing_left(&n);
}

/* ---- registers ---- */

static uint8_t g_regs[1024] __attribute__((aligned(32)));

/* What the vector registers hold goes where the search finds it. */
#if defined(__x86_64__)
#define SAVE(op, reg, size)                                                                                         \
  op " %%" reg "0, (%0)\n" op " %%" reg "1, " size "(%0)\n" op " %%" reg "2, 2*" size "(%0)\n" op " %%" reg         \
     "3, 3*" size "(%0)\n" op " %%" reg "4, 4*" size "(%0)\n" op " %%" reg "5, 5*" size "(%0)\n" op " %%" reg       \
     "6, 6*" size "(%0)\n" op " %%" reg "7, 7*" size "(%0)\n" op " %%" reg "8, 8*" size "(%0)\n" op " %%" reg       \
     "9, 9*" size "(%0)\n" op " %%" reg "10, 10*" size "(%0)\n" op " %%" reg "11, 11*" size "(%0)\n" op " %%" reg   \
     "12, 12*" size "(%0)\n" op " %%" reg "13, 13*" size "(%0)\n" op " %%" reg "14, 14*" size "(%0)\n" op " %%" reg \
     "15, 15*" size "(%0)\n"
static AQ_NOINLINE void save_registers(void) {
  if (__builtin_cpu_supports("avx"))
    __asm__ volatile(SAVE("vmovdqu", "ymm", "32") : : "r"(g_regs) : "memory");
  else
    __asm__ volatile(SAVE("movdqu", "xmm", "16") : : "r"(g_regs) : "memory");
}
static AQ_NOINLINE void fill_registers(const uint8_t *from) {
  __asm__ volatile("movdqu (%0), %%xmm0\nmovdqu 16(%0), %%xmm15" : : "r"(from) : "memory", "xmm0", "xmm15");
}
#elif defined(__aarch64__)
static AQ_NOINLINE void save_registers(void) {
  __asm__ volatile(
      "st1 {v0.16b-v3.16b}, [%0], #64\nst1 {v4.16b-v7.16b}, [%0], #64\nst1 {v8.16b-v11.16b}, [%0], #64\n"
      "st1 {v12.16b-v15.16b}, [%0], #64\nst1 {v16.16b-v19.16b}, [%0], #64\nst1 {v20.16b-v23.16b}, [%0], #64\n"
      "st1 {v24.16b-v27.16b}, [%0], #64\nst1 {v28.16b-v31.16b}, [%0]\n"
      :
      : "r"(g_regs)
      : "memory");
}
static AQ_NOINLINE void fill_registers(const uint8_t *from) {
  __asm__ volatile("ld1 {v0.16b-v1.16b}, [%0]" : : "r"(from) : "memory", "v0", "v1");
}
#else
static void save_registers(void) {}
static void fill_registers(const uint8_t *from) { (void)from; }
#endif

/* A register holds a half, as it is. */
static aq_needles halves_of(const uint8_t masked[LEN], const char *name) {
  aq_needles n = {.cnt = 0};
  aq_needles_add(&n, name, masked, LEN / 2, false);
  aq_needles_add(&n, name, masked + LEN / 2, LEN / 2, false);
  return n;
}

static void not_in_registers(const aq_needles *n) {
  save_registers();
  nothing_left(n);
}

/* Goal: nor do the vector registers hold a secret when a call returns: the next symbol that a library binds late would
   save them all on the stack (and on some machines did).
   Method: planted there, they are found and cleared; then each way of a key from the file, to it, and of its text. */
static void test_registers(void **state) {
  (void)state;
  uint8_t masked[LEN], plain[LEN];
  char where[160], text[TEXT + 1];
  aq_k1_key *key = NULL;
  aq_err err = {AQ_OK, ""};
  masked_secret(masked, 8);
  aq_needles n = halves_of(masked, "identity key in registers");
  flip(plain, masked, LEN);
  fill_registers(plain);
  aq_stack_clear();
  save_registers();
  assert_int_equal(aq_image_scan(where, &n), 2); /* `plain` only */
  aq_secret_hex_encode(text, plain, LEN);
  save_registers();
  assert_int_equal(aq_image_scan(where, &n), 2);
  assert_int_equal(aq_secret_hex_decode(plain, LEN, aq_bytes_of((const uint8_t *)text, TEXT)), AQ_OK);
  save_registers();
  assert_int_equal(aq_image_scan(where, &n), 2);
  assert_int_equal(aq_k1_key_new(&key, plain), AQ_OK);
  save_registers();
  assert_int_equal(aq_image_scan(where, &n), 4); /* and the guarded page */
  aq_k1_export(plain, key);
  save_registers();
  assert_int_equal(aq_image_scan(where, &n), 4);
  aq_k1_key_free(key);
  aq_wipe(plain, sizeof plain), aq_wipe(text, sizeof text);
  not_in_registers(&n);
  write_hex("registers", masked, "");
  aq_stack_clear();
  assert_int_equal(aq_identity_load(&key, path, &err), AQ_OK);
  save_registers();
  assert_int_equal(aq_image_scan(where, &n), 2);
  snprintf(path, sizeof path, "%s/other", dir);
  assert_int_equal(aq_identity_store(path, key, &err), AQ_OK);
  save_registers();
  assert_int_equal(aq_image_scan(where, &n), 2);
  aq_k1_key_free(key);
  not_in_registers(&n);
}

/* Goal: an identity key leaves nothing after use.
   Method: make it from bytes, sign both ways, derive, free. */
static void test_identity_use(void **state) {
  (void)state;
  uint8_t masked[LEN], digest[32] = {1}, sig[65], der[AQ_K1_DER_MAX], pub[33];
  masked_secret(masked, 1);
  aq_needles n = needles_of(masked, "identity key");
  aq_k1_key *key = key_of(masked);
  aq_k1_sign(sig, key, digest);
  (void)aq_k1_sign_der(der, key, aq_bytes_of(digest, sizeof digest));
  aq_k1_pubkey(pub, key);
  char where[160];
  assert_int_equal(aq_image_scan(where, &n), 1); /* the guarded page */
  aq_k1_key_free(key);
  nothing_left(&n);
}

/* Goal: reading and writing the key file leaves nothing, on every way out.
   Method: a good file; with blanks; too long; a bad digit at the end; no place to write; already there. */
static void test_identity_files(void **state) {
  (void)state;
  uint8_t masked[LEN];
  aq_k1_key *key = NULL;
  aq_err err = {AQ_OK, ""};
  masked_secret(masked, 2);
  aq_needles n = needles_of(masked, "identity key in a file");
  char long_tail[400];
  memset(long_tail, ' ', sizeof long_tail);
  long_tail[sizeof long_tail - 1] = 0;
  const struct {
    const char *after;
    aq_status st;
  } c[] = {{"", AQ_OK}, {" \r\n", AQ_OK}, {"0", AQ_E_FORMAT}, {"x\n", AQ_E_FORMAT}, {long_tail, AQ_E_FORMAT}};
  for (size_t i = 0; i < AQ_COUNT(c); i++) {
    write_hex("identity", masked, c[i].after);
    assert_int_equal(aq_identity_load(&key, path, &err), c[i].st);
    if (c[i].st != AQ_OK) {
      nothing_left(&n);
      continue;
    }
    assert_int_equal(aq_identity_store(path, key, &err), AQ_E_EXISTS);
    snprintf(path, sizeof path, "%s/nowhere/identity", dir);
    assert_int_equal(aq_identity_store(path, key, &err), AQ_E_NOTFOUND);
    snprintf(path, sizeof path, "%s/copy%zu", dir, i);
    assert_int_equal(aq_identity_store(path, key, &err), AQ_OK);
    aq_k1_key_free(key);
    nothing_left(&n);
  }
}

/* Goal: a key that is out of range leaves nothing either.
   Method: a secret over both group orders through the k1 and the BLS checks. */
static void test_out_of_range(void **state) {
  (void)state;
  uint8_t masked[LEN], secret[LEN], share[2][LEN] = {{0}};
  aq_k1_key *key = NULL;
  aq_err err = {AQ_OK, ""};
  masked_secret(masked, 3);
  memset(masked, 0xff ^ MASK, 16); /* over both orders */
  aq_needles n = needles_of(masked, "out of range");
  write_hex("identity", masked, "\n");
  assert_int_equal(aq_identity_load(&key, path, &err), AQ_E_FORMAT);
  flip(secret, masked, LEN);
  assert_int_equal(aq_bls_secret_check(secret), AQ_E_FORMAT);
  assert_int_equal(aq_tbls_split(share, secret, (const uint8_t(*)[32])share, 1, 2), AQ_E_FORMAT);
  aq_wipe(secret, sizeof secret);
  nothing_left(&n);
}

/* Goal: BLS operations leave nothing of a key, nor of the shares and coefficients of a split.
   Method: public key, signature, split, interpolation, a bad coefficient; then all known secrets are looked for. */
static void test_bls(void **state) {
  (void)state;
  enum { T = 3, N = 4 };
  uint8_t masked[LEN], secret[LEN], share[N][LEN], coeff[T - 1][LEN], wide[64], root[32] = {7};
  uint8_t pub[48], sig[96], got[LEN];
  const uint32_t idx[T] = {1, 2, 4};
  masked_secret(masked, 4);
  aq_needles n = needles_of(masked, "group secret");
  flip(secret, masked, LEN);
  for (unsigned i = 0; i + 1 < T; i++) {
    aq_system_random(wide, sizeof wide);
    aq_bls_secret_reduce(coeff[i], wide);
  }
  assert_int_equal(aq_tbls_split(share, secret, (const uint8_t(*)[32])coeff, T, N), AQ_OK);
  memcpy(share[2], share[3], LEN);
  assert_int_equal(aq_tbls_recover_secret(got, (const uint8_t(*)[32])share, idx, T), AQ_OK);
  assert_memory_equal(got, secret, LEN);
  aq_bls_secret_to_pubkey(pub, secret);
  aq_bls_sign(sig, secret, root);
  aq_bls_secret_to_pubkey(pub, share[0]);
  aq_bls_sign(sig, share[1], root);
  uint8_t hidden[LEN];
  for (unsigned i = 0; i < N; i++) flip(hidden, share[i], LEN), aq_needles_add(&n, "share", hidden, LEN, true);
  for (unsigned i = 0; i + 1 < T; i++)
    flip(hidden, coeff[i], LEN), aq_needles_add(&n, "coefficient", hidden, LEN, true);
  for (unsigned i = 0; i < N; i++) add_montgomery(&n, "share in Montgomery form", share[i]);
  for (unsigned i = 0; i + 1 < T; i++) add_montgomery(&n, "coefficient in Montgomery form", coeff[i]);
  add_montgomery(&n, "group secret in Montgomery form", secret);
  flip(hidden, wide, LEN);
  aq_needles_add(&n, "randomness", hidden, LEN, true);
  memset(coeff[0], 0xff, LEN);
  assert_int_equal(aq_tbls_split(share, secret, (const uint8_t(*)[32])coeff, T, N), AQ_E_FORMAT);
  aq_wipe(secret, sizeof secret), aq_wipe(share, sizeof share), aq_wipe(coeff, sizeof coeff);
  aq_wipe(wide, sizeof wide), aq_wipe(got, sizeof got);
  nothing_left(&n);
}

/* Goal: a keystore leaves neither key nor password nor the derived key, with the right password and with a wrong one.
   Method: write one of each kind, read it back both ways; the derived key's half shows in a search for the password. */
static void test_keystore(void **state) {
  (void)state;
  for (unsigned kdf = 0; kdf < 2; kdf++) {
    uint8_t masked[LEN], hidden[LEN], secret[LEN], password[LEN];
    masked_secret(masked, 5 + kdf);
    masked_secret(hidden, 15 + kdf);
    for (size_t i = 0; i < LEN; i++) hidden[i] = (uint8_t)(('a' + (hidden[i] & 15)) ^ MASK);
    aq_needles n = needles_of(masked, "keystore secret");
    aq_needles_add(&n, "keystore password", hidden, LEN, true);
    flip(secret, masked, LEN), flip(password, hidden, LEN);
    const aq_keystore_opts opts = {.kdf = kdf ? AQ_KEYSTORE_PBKDF2 : AQ_KEYSTORE_SCRYPT, .insecure = true, .path = ""};
    aq_buf json = AQ_BUF(65536);
    assert_int_equal(aq_keystore_write(&json, secret, aq_bytes_of(password, LEN), &opts), AQ_OK);
    aq_wipe(secret, LEN);
    assert_int_equal(aq_keystore_read(secret, aq_buf_bytes(&json), aq_bytes_of(password, LEN), NULL), AQ_OK);
    aq_wipe(secret, LEN);
    password[3] = '\n'; /* stripped: a wrong password, near the right one */
    assert_int_equal(aq_keystore_read(secret, aq_buf_bytes(&json), aq_bytes_of(password, LEN), NULL), AQ_E_AUTH);
    aq_wipe(password, LEN);
    aq_buf_free(&json);
    nothing_left(&n);
  }
}

/* Goal: a password that must be normalised leaves nothing either, nor does its form, as text or as code points.
   Method: one that is ASCII but for its first letter, written and read, in its own form and by a wrong one. */
static void test_keystore_wide_password(void **state) {
  (void)state;
  enum { TAIL = LEN - 2, CODES = 12 };
  const aq_keystore_opts opts = {.kdf = AQ_KEYSTORE_PBKDF2, .insecure = true, .path = ""};
  uint8_t masked[LEN], tail[TAIL], code[4 * CODES], secret[LEN], password[LEN];
  masked_secret(masked, 7);
  masked_secret(password, 17);
  memset(code, MASK, sizeof code);
  for (size_t i = 0; i < TAIL; i++) tail[i] = (uint8_t)(('a' + (password[i] & 15)) ^ MASK);
  for (size_t i = 0; i < CODES; i++) code[4 * i] = tail[i];
  aq_needles n = needles_of(masked, "keystore secret");
  aq_needles_add(&n, "keystore password", tail, TAIL, true);
  aq_needles_add(&n, "its code points", code, sizeof code, false);
  flip(secret, masked, LEN), flip(password + 2, tail, TAIL);
  memcpy(password, "\xc3\xbc", 2);
  aq_buf json = AQ_BUF(65536);
  assert_int_equal(aq_keystore_write(&json, secret, aq_bytes_of(password, LEN), &opts), AQ_OK);
  aq_wipe(secret, LEN);
  assert_int_equal(aq_keystore_read(secret, aq_buf_bytes(&json), aq_bytes_of(password, LEN), NULL), AQ_OK);
  aq_wipe(secret, LEN);
  password[1] = 0xbd;
  assert_int_equal(aq_keystore_read(secret, aq_buf_bytes(&json), aq_bytes_of(password, LEN), NULL), AQ_E_AUTH);
  aq_wipe(password, LEN);
  aq_buf_free(&json);
  nothing_left(&n);
}

/* Goal: the keystores of a directory leave nothing: keys, passwords, with every layout and with a wrong password.
   Method: store and load on threads, in both ways; then a password file too much and one that is wrong. */
static void test_keystore_files(void **state) {
  (void)state;
  enum { CNT = 3 };
  uint8_t masked[CNT][LEN], secret[CNT][LEN], hidden[LEN];
  char name[sizeof dir + 32], text[64];
  aq_needles n = {.cnt = 0};
  aq_keys keys = {.secret = NULL};
  aq_err err = {AQ_OK, ""};
  for (unsigned i = 0; i < CNT; i++) {
    masked_secret(masked[i], 20 + i);
    aq_needles_add(&n, "stored key", masked[i], LEN, true);
    flip(secret[i], masked[i], LEN);
  }
  snprintf(name, sizeof name, "%s/keys", dir);
  assert_int_equal(aq_keys_store(name, (const uint8_t(*)[32])secret, CNT, true, &err), AQ_OK);
  aq_wipe(secret, sizeof secret);
  for (unsigned i = 0; i < CNT; i++) {
    snprintf(path, sizeof path, "%s/keystore-insecure-%u.txt", name, i);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, LEN), LEN); /* 16 random bytes in hex */
    close(fd);
    flip(hidden, (const uint8_t *)text, LEN);
    aq_wipe(text, sizeof text);
    aq_needles_add(&n, "stored password", hidden, LEN, false);
  }
  nothing_left(&n);
  assert_int_equal(aq_keys_load(&keys, name, &err), AQ_OK);
  assert_int_equal(keys.cnt, CNT);
  aq_keys_free(&keys);
  nothing_left(&n);
  assert_int_equal(aq_keys_load_any(&keys, name, &err), AQ_OK);
  assert_int_equal(keys.cnt, CNT);
  aq_keys_free(&keys);
  nothing_left(&n);
  snprintf(path, sizeof path, "%s/keystore-insecure-2.txt", name);
  assert_int_equal(aq_file_write(path, aq_bytes_str("wrong"), 0400, &err), AQ_OK);
  assert_int_equal(aq_keys_load(&keys, name, &err), AQ_E_AUTH);
  assert_int_equal(aq_keys_load_any(&keys, name, &err), AQ_E_AUTH);
  nothing_left(&n);
}

/* Goal: `create cluster` leaves nothing: validator keys, shares, node keys, on success and when it fails late.
   Method: make a cluster of a known key and write it; again with a withdrawal address that is none. */
static void test_cluster(void **state) {
  (void)state;
  uint8_t masked[LEN], secret[1][LEN], hidden[LEN];
  aq_validator_address address = {.fee_recipient = "0x00000000000000000000000000000000000000aa",
                                  .withdrawal = "0x00000000000000000000000000000000000000bb"};
  aq_definition def = {.name = "secrets",
                       .uuid = "5A10CF63-1F4F-4B17-A2E3-9E4D0C8A7B11",
                       .timestamp = "2026-01-01T00:00:00Z",
                       .dkg_algorithm = "default",
                       .consensus_protocol = "",
                       .operator_cnt = 4,
                       .threshold = 3,
                       .validator_cnt = 1,
                       .target_gas_limit = 60000000,
                       .addresses = &address};
  aq_err err = {AQ_OK, ""};
  for (unsigned late = 0; late < 2; late++) {
    aq_cluster *c = NULL;
    masked_secret(masked, 30 + late);
    aq_needles n = needles_of(masked, "validator key");
    flip(secret[0], masked, LEN);
    address.withdrawal = late ? "0x00" : address.withdrawal;
    const aq_cluster_cfg cfg = {
        .def = &def, .network = aq_network_by_name("hoodi"), .secret = (const uint8_t(*)[32])secret};
    aq_status st = aq_cluster_make(&c, &cfg, &err);
    aq_wipe(secret, sizeof secret);
    assert_int_equal(st, late ? AQ_E_FORMAT : AQ_OK);
    if (!late) {
      uint8_t key[LEN];
      for (unsigned i = 0; i < 4; i++) {
        flip(hidden, c->share[i], LEN);
        aq_needles_add(&n, "share of the cluster", hidden, LEN, true);
        aq_k1_export(key, c->node_key[i]);
        flip(hidden, key, LEN);
        aq_needles_add(&n, "node key of the cluster", hidden, LEN, true);
      }
      aq_wipe(key, sizeof key);
      snprintf(path, sizeof path, "%s/cluster", dir);
      assert_int_equal(aq_cluster_write(c, path, true, &err), AQ_OK);
      assert_int_equal(aq_cluster_write(c, path, true, &err), AQ_E_EXISTS);
      aq_cluster_free(c);
    }
    nothing_left(&n);
  }
}

int main(void) {
  aq_crypto_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scan_finds),
      cmocka_unit_test(test_identity_use),
      cmocka_unit_test(test_identity_files),
      cmocka_unit_test(test_out_of_range),
      cmocka_unit_test(test_bls),
      cmocka_unit_test(test_keystore),
      cmocka_unit_test(test_keystore_wide_password),
      cmocka_unit_test(test_keystore_files),
      cmocka_unit_test(test_cluster),
      cmocka_unit_test(test_registers),
  };
  return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
