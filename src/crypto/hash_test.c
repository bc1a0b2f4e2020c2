/* Vectors of the standards, other implementations at every length, roots at every depth. */
#include "crypto/hash.h"

#include "aq_test.h"
#include "base/hex.h"

/* Goal: SHA-256, HMAC and Keccak-256 agree with other implementations at every length around their block sizes.
   Method: digests by Python's hashlib and pycryptodome of the bytes i*7+len, lengths 0 to 300 and some larger ones. */
static void test_digests(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/hash.json");
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "digests"));
  while ((item = yyjson_arr_iter_next(&it))) {
    size_t len = (size_t)aq_test_u64(item, "len");
    uint8_t *in = malloc(len + 1), out[32];
    for (size_t i = 0; i < len; i++) in[i] = (uint8_t)(i * 7 + len);
    aq_buf sha = aq_test_hex_of(item, "sha256"), keccak = aq_test_hex_of(item, "keccak256");
    aq_buf mac = aq_test_hex_of(item, "hmac_key_is_first_third");
    aq_sha256(out, aq_bytes_of(in, len));
    assert_bytes(aq_bytes_of(out, 32), aq_buf_bytes(&sha));
    aq_keccak256(out, aq_bytes_of(in, len));
    assert_bytes(aq_bytes_of(out, 32), aq_buf_bytes(&keccak));
    aq_hmac_sha256(out, aq_bytes_of(in, len / 3), aq_bytes_of(in + len / 3, len - len / 3));
    assert_bytes(aq_bytes_of(out, 32), aq_buf_bytes(&mac));
    aq_buf_free(&sha), aq_buf_free(&keccak), aq_buf_free(&mac);
    free(in);
  }
  yyjson_doc_free(doc);
}

/* Goal: the answers that the standards print.
   Method: FIPS 180-2 "abc", RFC 4231 case 2, the empty Keccak-256 of the Ethereum yellow paper. */
static void test_known(void **state) {
  (void)state;
  char hex[65];
  uint8_t out[32];
  aq_sha256(out, aq_bytes_str("abc"));
  aq_hex_encode(hex, aq_bytes_of(out, 32));
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  aq_hmac_sha256(out, aq_bytes_str("Jefe"), aq_bytes_str("what do ya want for nothing?"));
  aq_hex_encode(hex, aq_bytes_of(out, 32));
  assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  aq_keccak256(out, aq_bytes_of(NULL, 0));
  aq_hex_encode(hex, aq_bytes_of(out, 32));
  assert_string_equal(hex, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
}

static void merkle_naive(uint8_t out[32], const uint8_t *leaves, size_t cnt) {
  if (cnt == 1) {
    memcpy(out, leaves, 32);
    return;
  }
  uint8_t left[32], right[32];
  merkle_naive(left, leaves, cnt / 2);
  merkle_naive(right, leaves + cnt / 2 * 32, cnt / 2);
  aq_sha256_pair(out, left, right);
}

/* Goal: Merkle roots of every length up to 40 chunks, with least depth, and with more.
   Method: a full tree over explicit zero leaves, hashed by the definition. */
static void test_merkle(void **state) {
  (void)state;
  enum { LEN_MAX = 40 * 32 };
  uint8_t in[LEN_MAX], *leaves = calloc(128, 32), got[32], want[32];
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 1);
  aq_test_rng_bytes(&rng, in, sizeof in);
  for (size_t len = 0; len <= LEN_MAX; len += len % 32 == 31 || len % 32 == 0 ? 1 : 15) {
    size_t width = 1;
    int depth = 0;
    while (width * 32 < len) width *= 2, depth++;
    memset(leaves, 0, 128 * 32);
    memcpy(leaves, in, len);
    for (int more = 0; width <= 128; more++, width *= 2) {
      merkle_naive(want, leaves, width);
      aq_merkle_bytes(got, aq_bytes_of(in, len), depth + more);
      assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
      if (more == 0) {
        aq_merkle_bytes(got, aq_bytes_of(in, len), -1);
        assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(want, 32));
      }
    }
  }
  free(leaves);
}

/* Goal: zero subtrees and deep limits (a list of 2^40 items has depth 40).
   Method: each zero hash is the pair of the one below; one chunk hashed upwards by hand. */
static void test_zero_depths(void **state) {
  (void)state;
  uint8_t node[32], got[32];
  assert_true(aq_bytes_is_zero(aq_bytes_of(aq_zero_hash(0), 32)));
  memset(node, 7, sizeof node);
  uint8_t leaf[32];
  memcpy(leaf, node, 32);
  for (unsigned depth = 0; depth < 64; depth++) {
    aq_merkle_bytes(got, aq_bytes_of(leaf, 32), (int)depth);
    assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(node, 32));
    aq_merkle_bytes(got, aq_bytes_of(NULL, 0), (int)depth);
    assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(aq_zero_hash(depth), 32));
    aq_sha256_pair(node, node, aq_zero_hash(depth));
    aq_sha256_pair(got, aq_zero_hash(depth), aq_zero_hash(depth));
    assert_bytes(aq_bytes_of(got, 32), aq_bytes_of(aq_zero_hash(depth + 1), 32));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_digests), cmocka_unit_test(test_known),
                                     cmocka_unit_test(test_merkle), cmocka_unit_test(test_zero_depths)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
