/* Goal: no branch and no address of our code depends on a secret byte.
   Method: secrets are undefined memory for valgrind, which reports each jump and each address that comes from them.

   What becomes public is marked at that place with AQ_DECLASSIFY (crypto/secret.h). The sources are compiled into this
   program once more with AQ_CTIME and -O2. Seeded leaks show that the method sees. Reports inside libraries that leak
   nothing are in ctime.supp, each with its reason. Run it under valgrind (test/ctime/run). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/memcheck.h>

#include "base/assert.h"
#include "base/hex.h"
#include "crypto/aead.h"
#include "crypto/bls.h"
#include "crypto/hash.h"
#include "crypto/k1.h"
#include "crypto/keystore.h"
#include "crypto/secret.h"
#include "p2p/noise.h"

static void secret(void *ptr, size_t len) { (void)VALGRIND_MAKE_MEM_UNDEFINED(ptr, len); }

#define WANT(cond) AQ_ASSERT(cond)

/* 32 bytes below both group orders. */
static void fill(uint8_t out[32], uint8_t which) {
  for (unsigned i = 0; i < 32; i++) out[i] = (uint8_t)(which + 31 * i);
  out[0] = 0x1b;
  secret(out, 32);
}

/* ---- node identity ---- */

static void identity_text(void) {
  char text[] = "  1b2f3C4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192A3B4C5D6E7F809\n";
  uint8_t b[32];
  aq_k1_key *key = NULL;
  secret(text, sizeof text - 1);
  WANT(aq_secret_hex_decode(b, 32, aq_secret_trim(aq_bytes_of(text, sizeof text - 1))) == AQ_OK);
  WANT(aq_k1_key_new(&key, b) == AQ_OK);
  aq_k1_key_free(key);
  memset(text, 'g', sizeof text - 1);
  secret(text, sizeof text - 1);
  WANT(aq_secret_hex_decode(b, 32, aq_bytes_of(text, 64)) == AQ_E_FORMAT);
}

static aq_k1_key *identity(uint8_t which) {
  uint8_t b[32];
  aq_k1_key *key = NULL;
  fill(b, which);
  WANT(aq_k1_key_new(&key, b) == AQ_OK);
  return key;
}

static void identity_out_of_range(void) {
  uint8_t b[32];
  aq_k1_key *key = NULL;
  memset(b, 0xff, sizeof b);
  secret(b, sizeof b);
  WANT(aq_k1_key_new(&key, b) == AQ_E_FORMAT);
}

static void identity_sign(void) {
  uint8_t digest[32] = {1}, sig[65], pub[33];
  aq_k1_key *key = identity(1);
  aq_k1_sign(sig, key, digest);
  aq_k1_pubkey(pub, key);
  WANT(aq_k1_verify65(pub, sig, digest) == AQ_OK);
  aq_k1_key_free(key);
}

static void identity_sign_der(void) {
  uint8_t msg[5] = "hello", sig[AQ_K1_DER_MAX], pub[33];
  aq_k1_key *key = identity(2);
  size_t len = aq_k1_sign_der(sig, key, aq_bytes_of(msg, sizeof msg));
  aq_k1_pubkey(pub, key);
  WANT(aq_k1_verify_der(pub, aq_bytes_of(sig, len), aq_bytes_of(msg, sizeof msg)) == AQ_OK);
  aq_k1_key_free(key);
}

static void identity_export(void) {
  uint8_t b[32];
  char text[65];
  aq_k1_key *key = identity(3);
  aq_k1_export(b, key);
  aq_secret_hex_encode(text, b, sizeof b);
  aq_k1_key_free(key);
}

/* ---- connections ---- */

static void x25519(void) {
  uint8_t a[32], b[32], pub_a[32], pub_b[32], ab[32], ba[32], zero[32] = {0};
  fill(a, 4), fill(b, 5);
  aq_x25519_base(pub_a, a);
  aq_x25519_base(pub_b, b);
  WANT(aq_x25519(ab, a, pub_b) == AQ_OK && aq_x25519(ba, b, pub_a) == AQ_OK);
  WANT(aq_ct_eq(ab, ba, 32));
  WANT(aq_x25519(ab, a, zero) == AQ_E_AUTH);
}

static void aead(void) {
  uint8_t key[32], plain[100] = {0}, sealed[116], opened[100];
  fill(key, 6);
  secret(plain, sizeof plain);
  aq_aead_seal(sealed, key, 7, aq_bytes_str("ad"), aq_bytes_of(plain, sizeof plain));
  WANT(aq_aead_open(opened, key, 7, aq_bytes_str("ad"), aq_bytes_of(sealed, sizeof sealed)) == AQ_OK);
  WANT(aq_ct_eq(opened, plain, sizeof plain));
  sealed[50] ^= 1;
  WANT(aq_aead_open(opened, key, 7, aq_bytes_str("ad"), aq_bytes_of(sealed, sizeof sealed)) == AQ_E_AUTH);
}

static void hkdf(void) {
  uint8_t ck[32], ikm[32], a[32], b[32];
  fill(ck, 7), fill(ikm, 8);
  aq_noise_hkdf(a, b, ck, aq_bytes_of(ikm, sizeof ikm));
  WANT(!aq_ct_eq(a, b, 32));
}

/* A message of the one as the argument of the other. */
static void pass(aq_noise *to, aq_buf *from, aq_buf *answer) {
  aq_bytes msg;
  size_t used;
  WANT(aq_noise_split(&msg, &used, aq_buf_bytes(from)) == AQ_OK);
  WANT(aq_noise_handshake(to, msg, answer) == AQ_OK);
}

static void noise(void) {
  uint8_t secrets[64], frame[64], plain[20] = "twenty bytes of text";
  aq_k1_key *key[2] = {identity(9), identity(10)};
  aq_noise n[2];
  aq_buf msg[3] = {AQ_BUF(4096), AQ_BUF(4096), AQ_BUF(4096)};
  aq_bytes body;
  size_t len;
  for (unsigned i = 0; i < 2; i++) {
    fill(secrets, (uint8_t)(11 + i)), fill(secrets + 32, (uint8_t)(13 + i));
    aq_noise_init(&n[i], i == 0, key[i], secrets, true);
  }
  aq_noise_start(&n[0], &msg[0]);
  pass(&n[1], &msg[0], &msg[1]);
  pass(&n[0], &msg[1], &msg[2]);
  pass(&n[1], &msg[2], &msg[0]);
  WANT(n[0].done && n[1].done);
  secret(plain, sizeof plain);
  len = aq_noise_seal(&n[0], frame, aq_bytes_of(plain, sizeof plain));
  WANT(aq_noise_split(&body, &len, aq_bytes_of(frame, len)) == AQ_OK);
  WANT(aq_noise_open(&n[1], frame + 2, &len, body) == AQ_OK);
  for (unsigned i = 0; i < 2; i++) aq_noise_wipe(&n[i]), aq_k1_key_free(key[i]);
  for (unsigned i = 0; i < 3; i++) aq_buf_free(&msg[i]);
}

/* ---- key shares ---- */

static void bls_make(void) {
  uint8_t seed[32], wide[64], sk[32], pub[48];
  fill(seed, 15), fill(wide, 16), fill(wide + 32, 17);
  aq_bls_secret_from_seed(sk, seed, sizeof seed);
  WANT(aq_bls_secret_check(sk) == AQ_OK);
  aq_bls_secret_reduce(sk, wide);
  WANT(aq_bls_secret_check(sk) == AQ_OK);
  memset(sk, 0xff, sizeof sk);
  secret(sk, sizeof sk);
  WANT(aq_bls_secret_check(sk) == AQ_E_FORMAT);
  fill(sk, 18);
  aq_bls_secret_to_pubkey(pub, sk);
}

static void bls_sign(void) {
  uint8_t sk[32], pub[48], root[32] = {3}, sig[96];
  fill(sk, 19);
  aq_bls_secret_to_pubkey(pub, sk);
  aq_bls_sign(sig, sk, root);
  WANT(aq_bls_verify(pub, root, sig) == AQ_OK);
}

static void bls_split(void) {
  enum { T = 3, N = 4 };
  uint8_t sk[32], coeff[T - 1][32], share[N][32], got[32];
  const uint32_t idx[T] = {1, 2, 3};
  fill(sk, 20), fill(coeff[0], 21), fill(coeff[1], 22);
  WANT(aq_tbls_split(share, sk, (const uint8_t(*)[32])coeff, T, N) == AQ_OK);
  WANT(aq_tbls_recover_secret(got, (const uint8_t(*)[32])share, idx, T) == AQ_OK);
  WANT(aq_ct_eq(got, sk, 32));
}

/* scrypt reads memory at places that the password decides (RFC 7914): only PBKDF2 can be checked, and what follows. */
static void keystore(void) {
  const aq_keystore_opts opts = {.kdf = AQ_KEYSTORE_PBKDF2, .insecure = true, .path = ""};
  uint8_t sk[32], got[32];
  char password[] = "correct horse\nbattery";
  aq_buf json = AQ_BUF(65536);
  fill(sk, 23);
  secret(password, sizeof password - 1);
  WANT(aq_keystore_write(&json, sk, aq_bytes_of(password, sizeof password - 1), &opts) == AQ_OK);
  WANT(aq_keystore_read(got, aq_buf_bytes(&json), aq_bytes_of(password, sizeof password - 1), NULL) == AQ_OK);
  WANT(aq_ct_eq(got, sk, 32));
  password[0] ^= 1;
  WANT(aq_keystore_read(got, aq_buf_bytes(&json), aq_bytes_of(password, sizeof password - 1), NULL) == AQ_E_AUTH);
  /* Of one that is not ASCII the letters show, and nothing of the key. */
  memcpy(password, "\xc3\xbc", 2);
  aq_buf_free(&json);
  WANT(aq_keystore_write(&json, sk, aq_bytes_of(password, sizeof password - 1), &opts) == AQ_OK);
  WANT(aq_keystore_read(got, aq_buf_bytes(&json), aq_bytes_of(password, sizeof password - 1), NULL) == AQ_OK);
  WANT(aq_ct_eq(got, sk, 32));
  aq_buf_free(&json);
}

/* ---- leaks on purpose ---- */

static volatile unsigned sink;

static void leak_branch(void) {
  uint8_t b[32];
  fill(b, 24);
  if (b[3] & 1) sink++;
}

static void leak_compare(void) {
  uint8_t a[32], b[32];
  fill(a, 25), fill(b, 25);
  for (unsigned i = 0; i < 32; i++) {
    if (a[i] != b[i]) break;
    sink++;
  }
}

static void leak_hex_table(void) {
  uint8_t b[32];
  char text[65];
  fill(b, 26);
  aq_hex_encode(text, aq_bytes_of(b, sizeof b));
}

static void leak_hex_branch(void) {
  char text[] = "1b2f";
  uint8_t b[2];
  secret(text, 4);
  if (aq_hex_decode(b, 2, aq_bytes_of(text, 4), AQ_HEX_BARE) == AQ_OK) sink++;
}

/* ---- running ---- */

static const struct {
  const char *name;
  void (*run)(void);
  bool leaks;
} op[] = {
    {"identity from hex", identity_text, false},
    {"identity out of range", identity_out_of_range, false},
    {"identity signs, 65 bytes", identity_sign, false},
    {"identity signs, DER", identity_sign_der, false},
    {"identity to hex", identity_export, false},
    {"X25519", x25519, false},
    {"ChaCha20-Poly1305", aead, false},
    {"HKDF", hkdf, false},
    {"Noise handshake and transport", noise, false},
    {"BLS secret: make, check, public key", bls_make, false},
    {"BLS signature of a share", bls_sign, false},
    {"split and interpolation", bls_split, false},
    {"keystore, PBKDF2", keystore, false},
    {"seeded: a branch on a secret byte", leak_branch, true},
    {"seeded: a comparison that stops early", leak_compare, true},
    {"seeded: hex by a table", leak_hex_table, true},
    {"seeded: hex by branches", leak_hex_branch, true},
};

int main(void) {
  int bad = 0;
  if (!RUNNING_ON_VALGRIND) {
    puts("skipped: runs under valgrind only");
    return 77;
  }
  aq_crypto_init();
  for (size_t i = 0; i < sizeof op / sizeof *op; i++) {
    VALGRIND_PRINTF("---- %s\n", op[i].name);
    unsigned before = VALGRIND_COUNT_ERRORS;
    op[i].run();
    bool leaks = VALGRIND_COUNT_ERRORS != before;
    bad += leaks != op[i].leaks;
    printf("%-6s %s%s\n", leaks == op[i].leaks ? "ok" : "FAILED", op[i].name,
           leaks == op[i].leaks ? ""
           : leaks              ? ": time depends on a secret"
                                : ": not seen");
    fflush(stdout);
  }
  return bad ? 1 : 0;
}
