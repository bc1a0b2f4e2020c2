/* A file is judged before its costly key derivation, and every secret on the way lies in guarded memory. */
#include "crypto/keystore.h"

#include <openssl/evp.h>
#include <yyjson.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "crypto/aead.h"
#include "crypto/bls.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

enum { SCRYPT_SPARE = 1 << 20 }; /* OpenSSL counts more than the table itself */

enum {
  JSON_MAX = 64 * 1024,
  SALT_MAX = 128,
  KEY_LEN = 32,
  IV_LEN = 16,
  SUM_LEN = 32,
  ROUNDS = 262144, /* EIP-2335 test vectors and every known tool: PBKDF2 rounds and scrypt n */
  ROUNDS_INSECURE = 16,
  ROUNDS_MAX = 1 << 24,
  SCRYPT_R = 8,
  SCRYPT_R_MAX = 64,
  SCRYPT_P_MAX = 16,
};
static const uint64_t scrypt_memory_max = UINT64_C(1) << 30;

typedef struct {
  bool named; /* has a pubkey */
  uint8_t pubkey[AQ_PUBKEY_LEN];
  bool scrypt, plain; /* plain: no kdf member, the password is the key (cluster.md 3.2) */
  uint64_t rounds, r, p;
  uint8_t salt[SALT_MAX];
  size_t salt_len;
  uint8_t iv[IV_LEN], message[KEY_LEN], checksum[SUM_LEN];
} params;

/* What must not outlive the call; in guarded pages. */
typedef struct {
  uint8_t password[AQ_PASSWORD_FORM_MAX], other[AQ_PASSWORD_FORM_MAX];
  size_t password_len;
  uint8_t key[KEY_LEN];
  uint8_t check[KEY_LEN / 2 + KEY_LEN];
} secrets;

/* ---- keys and ciphers ---- */

static aq_status derive(secrets *s, const params *p, aq_err *err) {
  const char *pass = (const char *)s->password;
  int ok = 0;
  if (p->plain) {
    if (s->password_len < KEY_LEN) return aq_fail(err, AQ_E_AUTH, "keystore without kdf needs a password of 32 bytes");
    memcpy(s->key, s->password, KEY_LEN);
    return AQ_OK;
  }
  if (p->scrypt) {
    ok = EVP_PBE_scrypt(pass, s->password_len, p->salt, p->salt_len, p->rounds, p->r, p->p,
                        scrypt_memory_max + SCRYPT_SPARE, s->key, KEY_LEN);
  } else {
    ok = PKCS5_PBKDF2_HMAC(pass, (int)s->password_len, p->salt, (int)p->salt_len, (int)p->rounds, EVP_sha256(), KEY_LEN,
                           s->key);
  }
  aq_stack_clear();
  return ok == 1 ? AQ_OK : aq_fail(err, AQ_E_FORMAT, "keystore kdf parameters are not usable");
}

/* Counter mode: the same call encrypts and decrypts. */
static void aes_ctr(uint8_t out[KEY_LEN], const uint8_t key[16], const uint8_t iv[IV_LEN], const uint8_t in[KEY_LEN]) {
  int len = 0;
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  AQ_ASSERT(ctx);
  AQ_MUST(EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv) == 1);
  AQ_MUST(EVP_EncryptUpdate(ctx, out, &len, in, KEY_LEN) == 1 && len == KEY_LEN);
  EVP_CIPHER_CTX_free(ctx);
  aq_stack_clear();
}

static void checksum(uint8_t out[SUM_LEN], secrets *s, const uint8_t message[KEY_LEN]) {
  memcpy(s->check, s->key + KEY_LEN / 2, KEY_LEN / 2);
  memcpy(s->check + KEY_LEN / 2, message, KEY_LEN);
  aq_sha256(out, aq_bytes_of(s->check, sizeof s->check));
  aq_stack_clear();
  AQ_DECLASSIFY(out, SUM_LEN);
}

/* ---- reading ---- */

static const char *text_of(yyjson_val *obj, const char *name) {
  const char *text = yyjson_get_str(yyjson_obj_get(obj, name));
  return text ? text : "";
}

static aq_bytes bytes_of(yyjson_val *obj, const char *name) {
  yyjson_val *v = yyjson_obj_get(obj, name);
  return yyjson_is_str(v) ? aq_bytes_of(yyjson_get_str(v), yyjson_get_len(v)) : aq_bytes_of("", 0);
}

static bool module_is(yyjson_val *module, const char *function) {
  return strcmp(text_of(module, "function"), function) == 0;
}

static bool scrypt_ok(const params *p) {
  return p->rounds >= 2 && (p->rounds & (p->rounds - 1)) == 0 && p->rounds <= ROUNDS_MAX && p->r >= 1 &&
         p->r <= SCRYPT_R_MAX && p->p >= 1 && p->p <= SCRYPT_P_MAX &&
         128 * p->r * (p->rounds + p->p) <= scrypt_memory_max;
}

static aq_status read_kdf(params *p, yyjson_val *kdf, aq_err *err) {
  yyjson_val *in = yyjson_obj_get(kdf, "params");
  aq_bytes salt = bytes_of(in, "salt");
  p->plain = kdf == NULL;
  if (p->plain) return AQ_OK;
  p->scrypt = module_is(kdf, "scrypt");
  if (!p->scrypt && !module_is(kdf, "pbkdf2")) {
    return aq_fail(err, AQ_E_UNSUPPORTED, "keystore kdf is neither pbkdf2 nor scrypt");
  }
  p->salt_len = salt.len / 2;
  if (p->salt_len > SALT_MAX || aq_hex_decode(p->salt, p->salt_len, salt, AQ_HEX_BARE) != AQ_OK) {
    return aq_fail(err, AQ_E_FORMAT, "keystore salt is not hex or too long");
  }
  if (yyjson_get_uint(yyjson_obj_get(in, "dklen")) != KEY_LEN) {
    return aq_fail(err, AQ_E_FORMAT, "keystore dklen is not 32");
  }
  if (p->scrypt) {
    p->rounds = yyjson_get_uint(yyjson_obj_get(in, "n"));
    p->r = yyjson_get_uint(yyjson_obj_get(in, "r"));
    p->p = yyjson_get_uint(yyjson_obj_get(in, "p"));
    return scrypt_ok(p) ? AQ_OK : aq_fail(err, AQ_E_LIMIT, "keystore scrypt costs are invalid or over the limit");
  }
  if (strcmp(text_of(in, "prf"), "hmac-sha256") != 0) {
    return aq_fail(err, AQ_E_UNSUPPORTED, "keystore prf is not hmac-sha256");
  }
  p->rounds = yyjson_get_uint(yyjson_obj_get(in, "c"));
  if (p->rounds == 0 || p->rounds > ROUNDS_MAX) {
    return aq_fail(err, AQ_E_LIMIT, "keystore pbkdf2 rounds are 0 or over the limit");
  }
  return AQ_OK;
}

static aq_status read_pubkey(params *p, yyjson_val *v, aq_err *err) {
  aq_bytes text = aq_bytes_of(yyjson_get_str(v), yyjson_get_len(v));
  p->named = v && !yyjson_is_null(v) && !(yyjson_is_str(v) && text.len == 0);
  if (!p->named || (yyjson_is_str(v) && aq_hex_decode(p->pubkey, AQ_PUBKEY_LEN, text, AQ_HEX_EITHER) == AQ_OK))
    return AQ_OK;
  return aq_fail(err, AQ_E_FORMAT, "keystore pubkey is not a public key");
}

static aq_status read_params(params *p, yyjson_val *root, aq_err *err) {
  yyjson_val *crypto = yyjson_obj_get(root, "crypto"), *cipher = yyjson_obj_get(crypto, "cipher");
  yyjson_val *sum = yyjson_obj_get(crypto, "checksum");
  if (yyjson_get_uint(yyjson_obj_get(root, "version")) != 4) {
    return aq_fail(err, AQ_E_UNSUPPORTED, "keystore version is not 4");
  }
  if (!module_is(cipher, "aes-128-ctr") || !module_is(sum, "sha256")) {
    return aq_fail(err, AQ_E_UNSUPPORTED, "keystore cipher is not aes-128-ctr or checksum not sha256");
  }
  if (aq_hex_decode(p->iv, IV_LEN, bytes_of(yyjson_obj_get(cipher, "params"), "iv"), AQ_HEX_BARE) != AQ_OK ||
      aq_hex_decode(p->message, KEY_LEN, bytes_of(cipher, "message"), AQ_HEX_BARE) != AQ_OK ||
      aq_hex_decode(p->checksum, SUM_LEN, bytes_of(sum, "message"), AQ_HEX_BARE) != AQ_OK) {
    return aq_fail(err, AQ_E_FORMAT, "keystore iv, message or checksum is not hex of the right length");
  }
  aq_status st = read_pubkey(p, yyjson_obj_get(root, "pubkey"), err);
  return st == AQ_OK ? read_kdf(p, yyjson_obj_get(crypto, "kdf"), err) : st;
}

/* AQ_E_AUTH: another password, or another form of it. */
static aq_status unlock(secrets *s, const params *p, aq_err *err) {
  uint8_t sum[SUM_LEN];
  aq_status st = derive(s, p, err);
  if (st != AQ_OK) return st;
  checksum(sum, s, p->message);
  return aq_ct_eq(sum, p->checksum, SUM_LEN) ? AQ_OK : aq_fail(err, AQ_E_AUTH, "keystore password is wrong");
}

static aq_status decrypt(uint8_t secret[KEY_LEN], secrets *s, const params *p, aq_bytes password, aq_err *err) {
  size_t plain_len;
  if (password.len > AQ_PASSWORD_MAX)
    return aq_fail(err, AQ_E_LIMIT, "keystore password is longer than %d bytes", AQ_PASSWORD_MAX);
  aq_status st = aq_password_eip2335(s->password, &s->password_len, password);
  bool normal = st == AQ_OK;
  if (normal) st = unlock(s, p, err);
  if (st == AQ_E_AUTH || !normal) {
    aq_password_plain(s->other, &plain_len, password);
    bool same = normal && plain_len == s->password_len && aq_ct_eq(s->password, s->other, plain_len);
    AQ_DECLASSIFY(&same, sizeof same);
    if (!same) {
      memcpy(s->password, s->other, plain_len);
      s->password_len = plain_len;
      st = unlock(s, p, err);
    }
  }
  if (st == AQ_E_AUTH && aq_password_is_utf16(password))
    return aq_fail(err, st, "keystore password is text in UTF-16: save its file as UTF-8");
  if (st == AQ_OK) aes_ctr(secret, s->key, p->iv, p->message);
  return st;
}

/* Whoever imports keys by the name on the file must not get another one. Absent, null and "" name none. */
static aq_status check_pubkey(const params *p, const uint8_t secret[KEY_LEN], aq_err *err) {
  uint8_t own[AQ_PUBKEY_LEN];
  if (!p->named) return AQ_OK;
  if (aq_bls_secret_check(secret) != AQ_OK) return aq_fail(err, AQ_E_FORMAT, "keystore holds no BLS key");
  aq_bls_secret_to_pubkey(own, secret);
  if (memcmp(own, p->pubkey, AQ_PUBKEY_LEN) == 0) return AQ_OK;
  return aq_fail(err, AQ_E_FORMAT, "keystore pubkey is not that of the key in it");
}

aq_status aq_keystore_read(uint8_t secret[32], aq_bytes json, aq_bytes password, aq_err *err) {
  if (json.len > JSON_MAX) return aq_fail(err, AQ_E_LIMIT, "keystore is larger than 64 KiB");
  yyjson_doc *doc = yyjson_read((const char *)json.ptr, json.len, YYJSON_READ_NOFLAG);
  if (!doc) return aq_fail(err, AQ_E_FORMAT, "keystore is not JSON");
  params p = {0};
  aq_status st = read_params(&p, yyjson_doc_get_root(doc), err);
  yyjson_doc_free(doc);
  if (st != AQ_OK) return st;
  secrets *s = aq_guarded_alloc(1, sizeof *s);
  AQ_ASSERT(s);
  st = decrypt(secret, s, &p, password, err);
  aq_guarded_free(s);
  if (st == AQ_OK) st = check_pubkey(&p, secret, err);
  if (st != AQ_OK) aq_wipe(secret, KEY_LEN);
  return st;
}

/* ---- writing ---- */

static bool is_control(uint8_t c) { return c < 0x20 || c == 0x7f; }

static bool put_string(aq_buf *out, const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    size_t step = aq_utf8_step((const uint8_t *)text, left);
    if (step == 0 || is_control((uint8_t)*text)) return false;
    if (*text == '"' || *text == '\\') aq_buf_put_u8(out, '\\');
    aq_buf_put(out, text, step);
    text += step, left -= step;
  }
  return true;
}

static void put_kdf(aq_buf *out, const params *p) {
  aq_buf_printf(out, "  \"kdf\": {\n   \"function\": \"%s\",\n   \"message\": \"\",\n   \"params\": {\n",
                p->scrypt ? "scrypt" : "pbkdf2");
  if (p->scrypt) {
    aq_buf_printf(out, "    \"dklen\": %d,\n    \"n\": %u,\n    \"p\": %u,\n    \"r\": %u,\n", KEY_LEN,
                  (unsigned)p->rounds, (unsigned)p->p, (unsigned)p->r);
  } else {
    aq_buf_printf(out, "    \"c\": %u,\n    \"dklen\": %d,\n    \"prf\": \"hmac-sha256\",\n", (unsigned)p->rounds,
                  KEY_LEN);
  }
  aq_buf_put_str(out, "    \"salt\": \"");
  aq_buf_put_hex(out, aq_bytes_of(p->salt, p->salt_len));
  aq_buf_put_str(out, "\"\n   }\n  }\n },\n");
}

/* The 16 random bytes as Charon writes them: upper case, version bits not set. */
static void put_uuid(aq_buf *out) {
  uint8_t id[16];
  aq_system_random(id, sizeof id);
  for (size_t i = 0; i < sizeof id; i++) {
    aq_buf_printf(out, "%s%02X", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
  }
}

/* One space of indent and this order of members: byte for byte what Charon writes. */
static aq_status put_json(aq_buf *out, const params *p, const uint8_t pubkey[48], const aq_keystore_opts *opts) {
  aq_buf_put_str(out, "{\n \"crypto\": {\n  \"checksum\": {\n   \"function\": \"sha256\",\n   \"message\": \"");
  aq_buf_put_hex(out, aq_bytes_of(p->checksum, SUM_LEN));
  aq_buf_put_str(out, "\",\n   \"params\": {}\n  },\n");
  aq_buf_put_str(out, "  \"cipher\": {\n   \"function\": \"aes-128-ctr\",\n   \"message\": \"");
  aq_buf_put_hex(out, aq_bytes_of(p->message, KEY_LEN));
  aq_buf_put_str(out, "\",\n   \"params\": {\n    \"iv\": \"");
  aq_buf_put_hex(out, aq_bytes_of(p->iv, IV_LEN));
  aq_buf_put_str(out, "\"\n   }\n  },\n");
  put_kdf(out, p);
  aq_buf_put_str(out, " \"description\": \"");
  bool ok = put_string(out, opts->description ? opts->description : "");
  aq_buf_put_str(out, "\",\n \"pubkey\": \"");
  aq_buf_put_hex(out, aq_bytes_of(pubkey, AQ_PUBKEY_LEN));
  aq_buf_put_str(out, "\",\n \"path\": \"");
  ok = put_string(out, opts->path ? opts->path : "") && ok;
  aq_buf_put_str(out, "\",\n \"uuid\": \"");
  put_uuid(out);
  aq_buf_put_str(out, "\",\n \"version\": 4\n}");
  return ok ? aq_buf_status(out) : AQ_E_FORMAT;
}

aq_status aq_keystore_write(aq_buf *json, const uint8_t secret[32], aq_bytes password, const aq_keystore_opts *opts) {
  params p = {.scrypt = opts->kdf == AQ_KEYSTORE_SCRYPT,
              .rounds = opts->insecure ? ROUNDS_INSECURE : ROUNDS,
              .r = SCRYPT_R,
              .p = 1,
              .salt_len = 32};
  if (aq_bls_secret_check(secret) != AQ_OK) return AQ_E_FORMAT;
  if (password.len > AQ_PASSWORD_MAX) return AQ_E_LIMIT;
  secrets *s = aq_guarded_alloc(1, sizeof *s);
  AQ_ASSERT(s);
  aq_system_random(p.salt, p.salt_len);
  aq_system_random(p.iv, IV_LEN);
  aq_status st = aq_password_eip2335(s->password, &s->password_len, password);
  if (st == AQ_OK) st = derive(s, &p, NULL);
  if (st == AQ_OK) {
    uint8_t pubkey[AQ_PUBKEY_LEN];
    aes_ctr(p.message, s->key, p.iv, secret);
    AQ_DECLASSIFY(p.message, KEY_LEN);
    checksum(p.checksum, s, p.message);
    aq_bls_secret_to_pubkey(pubkey, secret);
    st = put_json(json, &p, pubkey, opts);
  }
  aq_guarded_free(s);
  return st;
}
