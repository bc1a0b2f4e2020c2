/* Keystores of the EIP, of Charon and of the deposit tool, our own, and files that are bad in one place. */
#include "crypto/keystore.h"

#include "aq_test.h"
#include "base/hex.h"
#include "crypto/aead.h"
#include "crypto/bls.h"
#include "crypto/hash.h"

static void hex_into(uint8_t *out, size_t len, const char *text) {
  aq_buf b = aq_test_hex(text);
  assert_int_equal(b.len, len);
  memcpy(out, b.ptr, len);
  aq_buf_free(&b);
}

static void check_file(const char *path) {
  yyjson_doc *doc = aq_test_json(path);
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  while ((item = yyjson_arr_iter_next(&it))) {
    uint8_t want[32], got[32];
    size_t len;
    aq_err err;
    char *json = yyjson_val_write(yyjson_obj_get(item, "keystore"), 0, &len);
    yyjson_val *pass = yyjson_obj_get(item, "password");
    aq_bytes password = aq_bytes_of(yyjson_get_str(pass), yyjson_get_len(pass));
    hex_into(want, 32, aq_test_str(item, "secret"));
    assert_int_equal(aq_keystore_read(got, aq_bytes_of(json, len), password, &err), AQ_OK);
    assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
    free(json);
  }
  yyjson_doc_free(doc);
}

/* Goal: keystores of the EIP, of Charon and of the deposit tool open, with both key derivations, at full and tiny cost.
   Method: recorded files with their passwords and secrets. */
static void test_read(void **state) {
  (void)state;
  check_file("crypto/eip2335_cases.json");
  check_file("crypto/eip2335.json");
  check_file("crypto/keystores_deposit_cli.json");
}

static aq_buf write_one(const uint8_t secret[32], const char *password, aq_keystore_kdf kdf) {
  aq_keystore_opts opts = {kdf, true, "m/12381/3600/0/0/0", "a \"b\" \\ \xc3\xa9"};
  aq_buf json = AQ_BUF(8192);
  assert_int_equal(aq_keystore_write(&json, secret, aq_bytes_str(password), &opts), AQ_OK);
  return json;
}

/* Goal: what is written can be read, with the right password only, and has the members of EIP-2335.
   Method: both derivations; wrong passwords, control characters, no password; the JSON is parsed. */
static void test_round_trip(void **state) {
  (void)state;
  uint8_t secret[32] = {1, 2, 3, [31] = 7}, got[32], pub[48], want[48];
  for (int kdf = AQ_KEYSTORE_SCRYPT; kdf <= AQ_KEYSTORE_PBKDF2; kdf++) {
    aq_buf json = write_one(secret, "pass\tword", (aq_keystore_kdf)kdf);
    assert_int_equal(aq_keystore_read(got, aq_buf_bytes(&json), aq_bytes_str("password\n"), NULL), AQ_OK);
    assert_memory_equal(got, secret, 32);
    assert_int_equal(aq_keystore_read(got, aq_buf_bytes(&json), aq_bytes_str("passwore"), NULL), AQ_E_AUTH);
    assert_int_equal(aq_keystore_read(got, aq_buf_bytes(&json), aq_bytes_str(""), NULL), AQ_E_AUTH);
    yyjson_doc *doc = yyjson_read((const char *)json.ptr, json.len, 0);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(aq_test_str(root, "description"), "a \"b\" \\ \xc3\xa9");
    assert_string_equal(aq_test_str(root, "path"), "m/12381/3600/0/0/0");
    assert_int_equal(strlen(aq_test_str(root, "uuid")), 36);
    hex_into(pub, 48, aq_test_str(root, "pubkey"));
    aq_bls_secret_to_pubkey(want, secret);
    assert_memory_equal(pub, want, 48);
    yyjson_doc_free(doc);
    aq_buf_free(&json);
  }
}

/* The file with one piece of text exchanged. */
static aq_status read_changed(aq_bytes json, const char *from, const char *to) {
  aq_buf changed = AQ_BUF(1 << 17);
  uint8_t secret[32];
  aq_err err;
  char *text = malloc(json.len + 1);
  memcpy(text, json.ptr, json.len);
  text[json.len] = 0;
  char *at = strstr(text, from);
  assert_non_null(at);
  aq_buf_put(&changed, text, (size_t)(at - text));
  aq_buf_put_str(&changed, to);
  aq_buf_put_str(&changed, at + strlen(from));
  aq_status st = aq_keystore_read(secret, aq_buf_bytes(&changed), aq_bytes_str("p"), &err);
  free(text);
  aq_buf_free(&changed);
  return st;
}

static aq_status read_with(aq_bytes json, const char *password) {
  uint8_t got[32];
  aq_err err;
  return aq_keystore_read(got, json, aq_bytes_str(password), &err);
}

/* A keystore by a program that takes the password as the bytes that it is: no kdf, so they are the key. */
static aq_buf plain_store(const char *password) {
  uint8_t key[32], sum_of[16 + 32], sum[32], message[32] = {5};
  aq_buf json = AQ_BUF(4096);
  memcpy(key, password, 32);
  memcpy(sum_of, key + 16, 16), memcpy(sum_of + 16, message, 32);
  aq_sha256(sum, aq_bytes_of(sum_of, sizeof sum_of));
  aq_buf_put_str(&json, "{\"version\":4,\"crypto\":{\"checksum\":{\"function\":\"sha256\",\"message\":\"");
  aq_buf_put_hex(&json, aq_bytes_of(sum, 32));
  aq_buf_put_str(&json, "\"},\"cipher\":{\"function\":\"aes-128-ctr\",\"message\":\"");
  aq_buf_put_hex(&json, aq_bytes_of(message, 32));
  aq_buf_put_str(&json, "\",\"params\":{\"iv\":\"264daa3f303d7259501c93d997d84fe6\"}}}}");
  return json;
}

/* Goal: a password works in whatever form it was typed, here and in other programs.
   Method: one keystore by us opened with composed and decomposed text, with a byte order mark and line ends; keystores
   by programs that do not normalise; one whose password is not UTF-8. */
static void test_passwords(void **state) {
  (void)state;
  uint8_t secret[32] = {[31] = 9};
  aq_buf json = write_one(secret,
                          "\xc3\xbc"
                          "ber \xef\xbc\x91",
                          AQ_KEYSTORE_PBKDF2);
  assert_int_equal(read_with(aq_buf_bytes(&json),
                             "\xc3\xbc"
                             "ber 1"),
                   AQ_OK);
  assert_int_equal(read_with(aq_buf_bytes(&json),
                             "u\xcc\x88"
                             "ber 1\r\n"),
                   AQ_OK);
  assert_int_equal(read_with(aq_buf_bytes(&json),
                             "\xef\xbb\xbfu\xcc\x88"
                             "be\xc2\x85r \xef\xbc\x91"),
                   AQ_OK);
  assert_int_equal(read_with(aq_buf_bytes(&json), "uber 1"), AQ_E_AUTH);
  assert_int_equal(read_with(aq_buf_bytes(&json),
                             "\xfc"
                             "ber 1"),
                   AQ_E_AUTH);
  aq_buf_free(&json);
  static const char *const raw[] = {
      "\xc3\xbc"
      "ber-thirty-two-bytes-long-or-more",
      "\xfc"
      "ber-thirty-two-bytes-long-or-more-!",
      "\xef\xbb\xbf thirty-two-bytes-long-or-more-!!", "\xff\xfe thirty-two-bytes-long-or-more-!!!"};
  for (size_t i = 0; i < AQ_COUNT(raw); i++) {
    static const uint8_t none[32];
    uint8_t got[32] = {0};
    json = plain_store(raw[i]);
    assert_int_equal(aq_keystore_read(got, aq_buf_bytes(&json), aq_bytes_str(raw[i]), NULL), AQ_OK);
    assert_memory_not_equal(got, none, 32);
    aq_buf_free(&json);
  }
}

/* Goal: a keystore never gives another key than the one it names.
   Method: its pubkey exchanged, broken, written otherwise, empty, null and taken out; nothing is left of a refused
   one. */
static void test_pubkey(void **state) {
  (void)state;
  uint8_t secret[32] = {[31] = 3}, got[32] = {1}, none[32] = {0}, pub[48];
  char line[128], hex[97], other[128];
  aq_buf json = write_one(secret, "p", AQ_KEYSTORE_PBKDF2);
  aq_bls_secret_to_pubkey(pub, secret);
  aq_hex_encode(hex, aq_bytes_of(pub, 48));
  snprintf(line, sizeof line, "\"pubkey\": \"%s\"", hex);
  snprintf(other, sizeof other, "\"pubkey\": \"0x%s\"", hex);
  assert_int_equal(read_changed(aq_buf_bytes(&json), line, other), AQ_OK);
  assert_int_equal(read_changed(aq_buf_bytes(&json), line, "\"pubkey\": \"\""), AQ_OK);
  assert_int_equal(read_changed(aq_buf_bytes(&json), line, "\"pubkey\": null"), AQ_OK);
  assert_int_equal(read_changed(aq_buf_bytes(&json), line, "\"publickey\": \"\""), AQ_OK);
  assert_int_equal(read_changed(aq_buf_bytes(&json), line, "\"pubkey\": 7"), AQ_E_FORMAT);
  assert_int_equal(read_changed(aq_buf_bytes(&json), line, "\"pubkey\": \"ab\""), AQ_E_FORMAT);
  hex[95] = hex[95] == '0' ? '1' : '0'; /* near it */
  snprintf(other, sizeof other, "\"pubkey\": \"%s\"", hex);
  assert_int_equal(read_changed(aq_buf_bytes(&json), line, other), AQ_E_FORMAT);
  secret[31] = 4;
  aq_bls_secret_to_pubkey(pub, secret);
  aq_hex_encode(hex, aq_bytes_of(pub, 48));
  snprintf(other, sizeof other, "\"pubkey\": \"%s\"", hex);
  assert_int_equal(read_changed(aq_buf_bytes(&json), line, other), AQ_E_FORMAT);
  char *at = strstr((char *)json.ptr, line);
  assert_non_null(at);
  memcpy(at, other, strlen(other));
  assert_int_equal(aq_keystore_read(got, aq_buf_bytes(&json), aq_bytes_str("p"), NULL), AQ_E_FORMAT);
  assert_memory_equal(got, none, 32);
  aq_buf_free(&json);
}

/* Goal: the file is laid out as Charon writes it: order, indent, upper-case id, no newline at the end.
   Method: every hexadecimal value and the id of a written file replaced by dots, against the expected text. */
static void test_layout(void **state) {
  (void)state;
  static const char want[] =
      "{\n \"crypto\": {\n  \"checksum\": {\n   \"function\": \"sha256\",\n   \"message\": \"#\",\n   \"params\": {}\n "
      " },\n"
      "  \"cipher\": {\n   \"function\": \"aes-128-ctr\",\n   \"message\": \"#\",\n   \"params\": {\n    \"iv\": "
      "\"#\"\n"
      "   }\n  },\n  \"kdf\": {\n   \"function\": \"pbkdf2\",\n   \"message\": \"\",\n   \"params\": {\n    \"c\": "
      "16,\n"
      "    \"dklen\": 32,\n    \"prf\": \"hmac-sha256\",\n    \"salt\": \"#\"\n   }\n  }\n },\n \"description\": "
      "\"\",\n"
      " \"pubkey\": \"#\",\n \"path\": \"\",\n \"uuid\": \"#\",\n \"version\": 4\n}";
  uint8_t secret[32] = {[31] = 3};
  aq_keystore_opts opts = {AQ_KEYSTORE_PBKDF2, true, "", NULL};
  aq_buf json = AQ_BUF(8192), got = AQ_BUF(8192);
  assert_int_equal(aq_keystore_write(&json, secret, aq_bytes_str("x"), &opts), AQ_OK);
  const char *text = aq_buf_cstr(&json);
  while (*text) {
    size_t run = strspn(text, "0123456789abcdefABCDEF-");
    if (run >= 32) {
      aq_buf_put_u8(&got, '#');
      text += run;
    } else {
      aq_buf_put_u8(&got, (uint8_t)*text++);
    }
  }
  assert_string_equal(aq_buf_cstr(&got), want);
  aq_buf_free(&json), aq_buf_free(&got);
}

/* Goal: hostile and foreign files are refused before any costly work.
   Method: one member of a good file changed at a time: unknown functions, huge and odd costs, lengths, types. */
static void test_refusals(void **state) {
  (void)state;
  uint8_t secret[32] = {[31] = 3}, got[32];
  aq_buf pb = write_one(secret, "p", AQ_KEYSTORE_PBKDF2), sc = write_one(secret, "p", AQ_KEYSTORE_SCRYPT);
  aq_bytes p = aq_buf_bytes(&pb), s = aq_buf_bytes(&sc);
  static const struct {
    bool scrypt;
    const char *from, *to;
    aq_status st;
  } row[] = {
      {false, "\"version\": 4", "\"version\": 3", AQ_E_UNSUPPORTED},
      {false, "aes-128-ctr", "aes-256-ctr", AQ_E_UNSUPPORTED},
      {false, "sha256", "sha512", AQ_E_UNSUPPORTED},
      {false, "\"pbkdf2\"", "\"argon2\"", AQ_E_UNSUPPORTED},
      {false, "hmac-sha256", "hmac-sha512", AQ_E_UNSUPPORTED},
      {false, "\"c\": 16", "\"c\": 0", AQ_E_LIMIT},
      {false, "\"c\": 16", "\"c\": 4294967312", AQ_E_LIMIT},
      {false, "\"c\": 16", "\"c\": -1", AQ_E_LIMIT},
      {false, "\"c\": 16", "\"c\": \"16\"", AQ_E_LIMIT},
      {false, "\"c\": 16", "\"c\": 17", AQ_E_AUTH},
      {false, "\"dklen\": 32", "\"dklen\": 64", AQ_E_FORMAT},
      {false, "\"salt\": \"", "\"salt\": \"0", AQ_E_FORMAT},
      {false, "\"salt\": \"", "\"salt\": \"zz", AQ_E_FORMAT},
      {false, "\"salt\": \"", "\"salt\": \"00", AQ_E_AUTH},
      {false, "\"iv\": \"", "\"iv\": \"00", AQ_E_FORMAT},
      {false, "\"message\": \"", "\"message\": \"00", AQ_E_FORMAT},
      {false, "\"crypto\"", "\"krypto\"", AQ_E_UNSUPPORTED},
      {false, "{", "[", AQ_E_FORMAT},
      {true, "\"n\": 16", "\"n\": 17", AQ_E_LIMIT},
      {true, "\"n\": 16", "\"n\": 1", AQ_E_LIMIT},
      {true, "\"n\": 16", "\"n\": 1073741824", AQ_E_LIMIT},
      {true, "\"n\": 16", "\"n\": 9223372036854775808", AQ_E_LIMIT},
      {true, "\"n\": 16", "\"n\": 16777216", AQ_E_LIMIT},
      {true, "\"r\": 8", "\"r\": 0", AQ_E_LIMIT},
      {true, "\"r\": 8", "\"r\": 1000000", AQ_E_LIMIT},
      {true, "\"p\": 1", "\"p\": 4000000000", AQ_E_LIMIT},
      {true, "\"r\": 8", "\"r\": 4", AQ_E_AUTH},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    assert_int_equal(read_changed(row[i].scrypt ? s : p, row[i].from, row[i].to), row[i].st);
  }
  for (size_t len = 0; len < p.len; len++) {
    assert_int_not_equal(aq_keystore_read(got, aq_bytes_of(p.ptr, len), aq_bytes_str("p"), NULL), AQ_OK);
  }
  uint8_t *big = calloc(1, 64 * 1024 + 1);
  assert_int_equal(aq_keystore_read(got, aq_bytes_of(big, 64 * 1024 + 1), aq_bytes_str("p"), NULL), AQ_E_LIMIT);
  assert_int_equal(aq_keystore_read(got, p, aq_bytes_of(big, 2000), NULL), AQ_E_LIMIT);
  free(big);
  aq_buf_free(&pb), aq_buf_free(&sc);
}

/* Goal: what cannot be written well is not written.
   Method: secret 0, password that is not UTF-8, description that is not UTF-8, buffer too small. */
static void test_write_refusals(void **state) {
  (void)state;
  uint8_t secret[32] = {[31] = 3}, zero[32] = {0};
  aq_keystore_opts opts = {AQ_KEYSTORE_PBKDF2, true, "", NULL};
  aq_buf json = AQ_BUF(8192), tiny = AQ_BUF(50);
  assert_int_equal(aq_keystore_write(&json, zero, aq_bytes_str("p"), &opts), AQ_E_FORMAT);
  assert_int_equal(aq_keystore_write(&json, secret, aq_bytes_str("p\xc3"), &opts), AQ_E_FORMAT);
  assert_int_equal(aq_keystore_write(&tiny, secret, aq_bytes_str("p"), &opts), AQ_E_LIMIT);
  opts.description = "\xff";
  assert_int_equal(aq_keystore_write(&json, secret, aq_bytes_str("p"), &opts), AQ_E_FORMAT);
  aq_buf_free(&json), aq_buf_free(&tiny);
}

int main(void) {
  aq_crypto_init();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_read),          cmocka_unit_test(test_round_trip),
                                     cmocka_unit_test(test_passwords),     cmocka_unit_test(test_pubkey),
                                     cmocka_unit_test(test_layout),        cmocka_unit_test(test_refusals),
                                     cmocka_unit_test(test_write_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
