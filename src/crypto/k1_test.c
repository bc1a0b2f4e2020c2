/* Signatures and keys of Charon, libp2p and Ethereum, and secrets out of range. */
#include "crypto/k1.h"

#include "aq_test.h"
#include "base/hex.h"
#include "crypto/aead.h"

static void hex_into(uint8_t *out, size_t len, yyjson_val *obj, const char *name) {
  aq_buf b = aq_test_hex_of(obj, name);
  assert_int_equal(b.len, len);
  memcpy(out, b.ptr, len);
  aq_buf_free(&b);
}

static aq_k1_key *key_of(const uint8_t secret[32]) {
  aq_k1_key *k = NULL;
  assert_int_equal(aq_k1_key_new(&k, secret), AQ_OK);
  return k;
}

/* Goal: 65-byte signatures are those of Charon: RFC 6979, low S, V 0 or 1; they verify with V 27 and 28 too.
   Method: signatures recorded from Charon's code and from an independent library, then each wrong V and each flipped
   byte. */
static void test_sign65(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/k1.json");
  static const char *const list[] = {"charon", "coincurve"};
  for (size_t l = 0; l < AQ_COUNT(list); l++) {
    yyjson_val *item, *array = yyjson_obj_get(yyjson_doc_get_root(doc), list[l]);
    assert_true(yyjson_arr_size(array) > 0);
    yyjson_arr_iter it = yyjson_arr_iter_with(array);
    while ((item = yyjson_arr_iter_next(&it))) {
      uint8_t secret[32], digest[32], want[65], sig[65], pub[33], got[33];
      hex_into(secret, 32, item, "private_key");
      hex_into(digest, 32, item, "digest");
      hex_into(want, 65, item, "signature");
      aq_k1_key *k = key_of(secret);
      aq_k1_sign(sig, k, digest);
      assert_bytes(aq_bytes_of(sig, 65), aq_bytes_of(want, 65));
      aq_k1_pubkey(pub, k);
      assert_int_equal(aq_k1_verify65(pub, sig, digest), AQ_OK);
      assert_int_equal(aq_k1_verify64(pub, sig, digest), AQ_OK);
      assert_int_equal(aq_k1_recover(got, sig, digest), AQ_OK);
      assert_bytes(aq_bytes_of(got, 33), aq_bytes_of(pub, 33));
      for (unsigned v = 0; v < 256; v++) {
        bool right = v == want[64] || v == want[64] + 27u, other = v == 1u - want[64] || v == 28u - want[64];
        sig[64] = (uint8_t)v;
        assert_int_equal(aq_k1_verify65(pub, sig, digest), right ? AQ_OK : other ? AQ_E_AUTH : AQ_E_FORMAT);
      }
      for (size_t i = 0; i < 64; i++) {
        memcpy(sig, want, 65);
        sig[i] ^= 1;
        assert_int_not_equal(aq_k1_verify65(pub, sig, digest), AQ_OK);
        assert_int_not_equal(aq_k1_verify64(pub, sig, digest), AQ_OK);
      }
      aq_k1_key_free(k);
    }
  }
  yyjson_doc_free(doc);
}

/* Goal: high S, which Charon's verifiers accept, is accepted; r or s of 0 or n is not.
   Method: S replaced by n - S with V flipped, then the edge scalars. */
static void test_high_s(void **state) {
  (void)state;
  static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                    0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
  uint8_t secret[32] = {[31] = 9}, digest[32] = {1, 2, 3}, sig[65], edge[65], pub[33];
  aq_k1_key *k = key_of(secret);
  aq_k1_pubkey(pub, k);
  aq_k1_sign(sig, k, digest);
  int borrow = 0;
  for (int i = 31; i >= 0; i--) {
    int v = order[i] - sig[32 + i] - borrow;
    borrow = v < 0;
    sig[32 + i] = (uint8_t)(v + 256 * borrow);
  }
  sig[64] ^= 1;
  assert_int_equal(aq_k1_verify65(pub, sig, digest), AQ_OK);
  assert_int_equal(aq_k1_verify64(pub, sig, digest), AQ_OK);
  for (int half = 0; half < 2; half++) {
    for (int zero = 0; zero < 2; zero++) {
      memcpy(edge, sig, 65);
      if (zero) {
        memset(edge + 32 * half, 0, 32);
      } else {
        memcpy(edge + 32 * half, order, 32);
      }
      assert_int_not_equal(aq_k1_verify65(pub, edge, digest), AQ_OK);
      assert_int_not_equal(aq_k1_verify64(pub, edge, digest), AQ_OK);
    }
  }
  aq_k1_key_free(k);
}

/* Goal: DER signatures are those of go-libp2p; truncated, extended and damaged ones are refused.
   Method: recorded signatures, then every prefix, one byte more, every byte flipped. */
static void test_der(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/k1.json");
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "der"));
  while ((item = yyjson_arr_iter_next(&it))) {
    uint8_t secret[32], pub[33], want_pub[33], sig[AQ_K1_DER_MAX + 1];
    hex_into(secret, 32, item, "private_key");
    hex_into(want_pub, 33, item, "public_key_compressed");
    aq_buf message = aq_test_hex_of(item, "sign_message"), want = aq_test_hex_of(item, "signature_der_rfc6979_low_s");
    aq_k1_key *k = key_of(secret);
    aq_k1_pubkey(pub, k);
    assert_bytes(aq_bytes_of(pub, 33), aq_bytes_of(want_pub, 33));
    size_t len = aq_k1_sign_der(sig, k, aq_buf_bytes(&message));
    assert_bytes(aq_bytes_of(sig, len), aq_buf_bytes(&want));
    assert_int_equal(aq_k1_verify_der(pub, aq_bytes_of(sig, len), aq_buf_bytes(&message)), AQ_OK);
    for (size_t i = 0; i < len; i++) {
      assert_int_not_equal(aq_k1_verify_der(pub, aq_bytes_of(sig, i), aq_buf_bytes(&message)), AQ_OK);
      sig[i] ^= 1;
      assert_int_not_equal(aq_k1_verify_der(pub, aq_bytes_of(sig, len), aq_buf_bytes(&message)), AQ_OK);
      sig[i] ^= 1;
    }
    sig[len] = 0;
    assert_int_not_equal(aq_k1_verify_der(pub, aq_bytes_of(sig, len + 1), aq_buf_bytes(&message)), AQ_OK);
    assert_int_equal(aq_k1_verify_der(pub, aq_bytes_of(NULL, 0), aq_buf_bytes(&message)), AQ_E_FORMAT);
    aq_k1_key_free(k);
    aq_buf_free(&message), aq_buf_free(&want);
  }
  yyjson_doc_free(doc);
}

/* Goal: public keys and Ethereum addresses of known identities; only the two usual encodings parse.
   Method: identities recorded from Charon; hybrid, truncated and off-curve encodings. */
static void test_pubkeys(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/k1.json");
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "identities"));
  while ((item = yyjson_arr_iter_next(&it))) {
    uint8_t secret[32], pub[33], want[33], full[65], out[33], address[20], want_address[20];
    hex_into(secret, 32, item, "private_key_file_content");
    hex_into(want, 33, item, "compressed_public_key");
    hex_into(full, 65, item, "uncompressed_public_key");
    hex_into(want_address, 20, item, "eth_address");
    aq_k1_key *k = key_of(secret);
    aq_k1_pubkey(pub, k);
    assert_bytes(aq_bytes_of(pub, 33), aq_bytes_of(want, 33));
    aq_k1_export(out, k);
    assert_memory_equal(out, secret, 32);
    assert_int_equal(aq_k1_pubkey_parse(out, aq_bytes_of(pub, 33)), AQ_OK);
    assert_memory_equal(out, pub, 33);
    assert_int_equal(aq_k1_pubkey_parse(out, aq_bytes_of(full, 65)), AQ_OK);
    assert_memory_equal(out, pub, 33);
    aq_k1_eth_address(address, pub);
    assert_bytes(aq_bytes_of(address, 20), aq_bytes_of(want_address, 20));
    full[0] = (uint8_t)(6 + (full[64] & 1));
    assert_int_equal(aq_k1_pubkey_parse(out, aq_bytes_of(full, 65)), AQ_E_FORMAT);
    full[0] = 4, full[64] ^= 1;
    assert_int_equal(aq_k1_pubkey_parse(out, aq_bytes_of(full, 65)), AQ_E_FORMAT);
    assert_int_equal(aq_k1_pubkey_parse(out, aq_bytes_of(pub, 32)), AQ_E_FORMAT);
    assert_int_equal(aq_k1_pubkey_parse(out, aq_bytes_of(full, 64)), AQ_E_FORMAT);
    aq_k1_key_free(k);
  }
  yyjson_doc_free(doc);
}

/* Goal: secrets outside [1, n-1] are refused; fresh keys differ and work.
   Method: 0, n, 2^256-1; two generated keys sign and verify crosswise. */
static void test_secrets(void **state) {
  (void)state;
  uint8_t secret[32] = {0}, digest[32] = {5}, sig[65], pub[2][33];
  aq_k1_key *k = NULL;
  assert_int_equal(aq_k1_key_new(&k, secret), AQ_E_FORMAT);
  memset(secret, 0xff, sizeof secret);
  assert_int_equal(aq_k1_key_new(&k, secret), AQ_E_FORMAT);
  aq_k1_key *pair[2] = {aq_k1_key_generate(), aq_k1_key_generate()};
  for (int i = 0; i < 2; i++) aq_k1_pubkey(pub[i], pair[i]);
  assert_memory_not_equal(pub[0], pub[1], 33);
  aq_k1_sign(sig, pair[0], digest);
  assert_int_equal(aq_k1_verify65(pub[0], sig, digest), AQ_OK);
  assert_int_equal(aq_k1_verify65(pub[1], sig, digest), AQ_E_AUTH);
  assert_int_equal(aq_k1_verify64(pub[1], sig, digest), AQ_E_AUTH);
  pub[1][0] = 5; /* no point */
  assert_int_equal(aq_k1_verify64(pub[1], sig, digest), AQ_E_FORMAT);
  for (int i = 0; i < 2; i++) aq_k1_key_free(pair[i]);
  aq_k1_key_free(NULL);
}

int main(void) {
  aq_crypto_init();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sign65), cmocka_unit_test(test_high_s),
                                     cmocka_unit_test(test_der), cmocka_unit_test(test_pubkeys),
                                     cmocka_unit_test(test_secrets)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
