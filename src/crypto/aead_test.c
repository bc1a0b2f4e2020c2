/* Handshakes of go-libp2p with all their private keys, done again; and everything in them damaged. */
#include "crypto/aead.h"

#include "aq_test.h"
#include "crypto/hash.h"

static void hex_into(uint8_t *out, size_t len, yyjson_val *obj, const char *name) {
  aq_buf b = aq_test_hex_of(obj, name);
  assert_int_equal(b.len, len);
  memcpy(out, b.ptr, len);
  aq_buf_free(&b);
}

static void mix(uint8_t ck[32], const uint8_t secret[32], const uint8_t pub[32]) {
  uint8_t shared[32], key[32];
  assert_int_equal(aq_x25519(shared, secret, pub), AQ_OK);
  aq_noise_hkdf(ck, key, ck, aq_bytes_of(shared, 32));
}

static void derive(uint8_t to_responder[32], uint8_t to_initiator[32], yyjson_val *item) {
  yyjson_val *i = yyjson_obj_get(item, "initiator"), *r = yyjson_obj_get(item, "responder");
  uint8_t ck[32], ie[32], is[32], re[32], rs[32], pub[32], want[32];
  hex_into(ie, 32, i, "ephemeral_private"), hex_into(is, 32, i, "static_private");
  hex_into(re, 32, r, "ephemeral_private"), hex_into(rs, 32, r, "static_private");
  memcpy(ck, "Noise_XX_25519_ChaChaPoly_SHA256", 32);
  aq_x25519_base(pub, re);
  hex_into(want, 32, r, "ephemeral_public");
  assert_memory_equal(pub, want, 32);
  mix(ck, ie, pub); /* ee */
  aq_x25519_base(pub, rs);
  mix(ck, ie, pub); /* es */
  aq_x25519_base(pub, re);
  mix(ck, is, pub); /* se */
  aq_noise_hkdf(to_responder, to_initiator, ck, aq_bytes_of(NULL, 0));
}

static void check_frame(const uint8_t key[32], uint64_t nonce, aq_bytes plain, aq_bytes frame) {
  uint8_t *out = malloc(plain.len + AQ_AEAD_TAG);
  assert_int_equal(frame.len, plain.len + AQ_AEAD_TAG);
  aq_aead_seal(out, key, nonce, aq_bytes_of(NULL, 0), plain);
  assert_bytes(aq_bytes_of(out, frame.len), frame);
  assert_int_equal(aq_aead_open(out, key, nonce, aq_bytes_of(NULL, 0), aq_bytes_of(out, frame.len)), AQ_OK);
  assert_bytes(aq_bytes_of(out, plain.len), plain);
  assert_int_equal(aq_aead_open(out, key, nonce + 1, aq_bytes_of(NULL, 0), frame), AQ_E_AUTH);
  free(out);
}

/* Goal: X25519, HKDF and the AEAD give the session keys and frames of go-libp2p.
   Method: handshakes recorded with all private keys: the keys are derived again, the frames sealed and opened. */
static void test_noise(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/noise.json");
  yyjson_val *item, *t;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "cases"));
  while ((item = yyjson_arr_iter_next(&it))) {
    uint8_t key[2][32], want[32];
    derive(key[0], key[1], item);
    hex_into(want, 32, item, "key_initiator_to_responder");
    assert_memory_equal(key[0], want, 32);
    hex_into(want, 32, item, "key_responder_to_initiator");
    assert_memory_equal(key[1], want, 32);
    yyjson_arr_iter frames = yyjson_arr_iter_with(yyjson_obj_get(item, "transport"));
    while ((t = yyjson_arr_iter_next(&frames))) {
      aq_buf plain = aq_test_hex_of(t, "plaintext"), frame = aq_test_hex_of(t, "frame");
      bool forward = strcmp(aq_test_str(t, "direction"), "initiator_to_responder") == 0;
      check_frame(key[forward ? 0 : 1], aq_test_u64(t, "nonce"), aq_buf_bytes(&plain),
                  aq_bytes_sub(aq_buf_bytes(&frame), 2, frame.len - 2));
      aq_buf_free(&plain), aq_buf_free(&frame);
    }
  }
  yyjson_doc_free(doc);
}

/* Goal: nothing damaged opens, and a point of small order gives no shared secret.
   Method: every byte of text, tag and associated data flipped, each short length; the all-zero and order-8 points. */
static void test_refusals(void **state) {
  (void)state;
  uint8_t key[32] = {1}, text[20], out[36], back[36], ad[3] = {7, 8, 9}, secret[32] = {5};
  memset(text, 0x33, sizeof text);
  aq_aead_seal(out, key, 3, aq_bytes_of(ad, 3), aq_bytes_of(text, 20));
  assert_int_equal(aq_aead_open(back, key, 3, aq_bytes_of(ad, 3), aq_bytes_of(out, 36)), AQ_OK);
  assert_memory_equal(back, text, 20);
  for (size_t i = 0; i < 36; i++) {
    assert_int_equal(aq_aead_open(back, key, 3, aq_bytes_of(ad, 3), aq_bytes_of(out, i)), AQ_E_AUTH);
    out[i] ^= 0x80;
    assert_int_equal(aq_aead_open(back, key, 3, aq_bytes_of(ad, 3), aq_bytes_of(out, 36)), AQ_E_AUTH);
    out[i] ^= 0x80;
  }
  ad[1] ^= 1;
  assert_int_equal(aq_aead_open(back, key, 3, aq_bytes_of(ad, 3), aq_bytes_of(out, 36)), AQ_E_AUTH);
  static const uint8_t order8[32] = {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
                                     0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
                                     0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00};
  static const uint8_t zero[32] = {0};
  assert_int_equal(aq_x25519(back, secret, order8), AQ_E_AUTH);
  assert_int_equal(aq_x25519(back, secret, zero), AQ_E_AUTH);
}

/* Goal: initialisation may be repeated; wiping, comparing and randomness do what they say.
   Method: two calls; a wiped buffer is zero, two random ones differ. */
static void test_small(void **state) {
  (void)state;
  uint8_t a[32], b[32];
  aq_crypto_init();
  aq_crypto_init();
  aq_system_random(a, 32), aq_system_random(b, 32);
  assert_false(aq_ct_eq(a, b, 32));
  memcpy(b, a, 32);
  assert_true(aq_ct_eq(a, b, 32));
  aq_wipe(a, 32);
  assert_true(aq_bytes_is_zero(aq_bytes_of(a, 32)));
}

int main(void) {
  aq_crypto_init();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_noise), cmocka_unit_test(test_refusals),
                                     cmocka_unit_test(test_small)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
