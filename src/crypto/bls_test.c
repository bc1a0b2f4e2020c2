/* Signatures of milagro and py_ecc, every encoding that the ciphersuite forbids, batches with one wrong member. */
#include "crypto/bls.h"

#include <pthread.h>

#include "aq_test.h"
#include "crypto/aead.h"
#include "crypto/k1.h"

static yyjson_doc *doc;
static aq_test_rng rng;

static void hex_into(uint8_t *out, size_t len, const char *text) {
  aq_buf b = aq_test_hex(text);
  assert_int_equal(b.len, len);
  memcpy(out, b.ptr, len);
  aq_buf_free(&b);
}

static yyjson_val *list(const char *name) {
  yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), name);
  assert_true(yyjson_is_arr(v) && yyjson_arr_size(v) > 0);
  return v;
}

static void random_secret(uint8_t sk[32]) {
  uint8_t wide[64];
  aq_test_rng_bytes(&rng, wide, sizeof wide);
  aq_bls_secret_reduce(sk, wide);
}

/* Goal: keys and signatures are those of two independent implementations, and they verify.
   Method: recorded secrets, roots and signatures (milagro, three also py_ecc), the ends of the range among them. */
static void test_sign(void **state) {
  (void)state;
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(list("sign"));
  while ((item = yyjson_arr_iter_next(&it))) {
    uint8_t sk[32], root[32], want_pub[48], want[96], pub[48], sig[96];
    hex_into(sk, 32, aq_test_str(item, "secret"));
    hex_into(root, 32, aq_test_str(item, "root"));
    hex_into(want_pub, 48, aq_test_str(item, "pubkey"));
    hex_into(want, 96, aq_test_str(item, "signature"));
    aq_bls_secret_to_pubkey(pub, sk);
    assert_bytes(aq_bytes_of(pub, 48), aq_bytes_of(want_pub, 48));
    aq_bls_sign(sig, sk, root);
    assert_bytes(aq_bytes_of(sig, 96), aq_bytes_of(want, 96));
    assert_int_equal(aq_bls_verify(pub, root, sig), AQ_OK);
    root[7] ^= 1;
    assert_int_equal(aq_bls_verify(pub, root, sig), AQ_E_AUTH);
  }
  it = yyjson_arr_iter_with(list("keygen"));
  while ((item = yyjson_arr_iter_next(&it))) {
    uint8_t sk[32], want[32];
    aq_buf ikm = aq_test_hex_of(item, "ikm");
    hex_into(want, 32, aq_test_str(item, "secret"));
    aq_bls_secret_from_seed(sk, ikm.ptr, ikm.len);
    assert_bytes(aq_bytes_of(sk, 32), aq_bytes_of(want, 32));
    aq_buf_free(&ikm);
  }
}

/* Goal: secrets of 0, r and more are refused; reduction is modulo r and never gives 0.
   Method: the ends of the range; wide inputs whose remainders are known. */
static void test_secrets(void **state) {
  (void)state;
  uint8_t sk[32] = {0}, wide[64] = {0};
  assert_int_equal(aq_bls_secret_check(sk), AQ_E_FORMAT);
  hex_into(sk, 32, "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
  assert_int_equal(aq_bls_secret_check(sk), AQ_E_FORMAT);
  memcpy(wide + 32, sk, 32);
  wide[63] = 6; /* r + 5 */
  aq_bls_secret_reduce(sk, wide);
  assert_true(aq_bytes_is_zero(aq_bytes_of(sk, 31)));
  assert_int_equal(sk[31], 5);
  wide[63] = 1; /* r itself */
  aq_bls_secret_reduce(sk, wide);
  assert_int_equal(aq_bls_secret_check(sk), AQ_OK);
  memset(sk, 0xff, 32);
  assert_int_equal(aq_bls_secret_check(sk), AQ_E_FORMAT);
}

/* Goal: every encoding that the ciphersuite forbids is refused.
   Method: infinity, all zero, flags, x over the modulus, off the curve, points outside the subgroup, for keys and
   signatures. */
static void test_decode(void **state) {
  (void)state;
  uint8_t pub[48] = {0}, sig[96] = {0}, root[32] = {1}, good_pub[48], good[96], sk[32];
  aq_bls_pk pk;
  aq_bls_point point;
  random_secret(sk);
  aq_bls_secret_to_pubkey(good_pub, sk);
  aq_bls_sign(good, sk, root);
  assert_int_equal(aq_bls_pk_decode(&pk, pub), AQ_E_FORMAT);
  assert_int_equal(aq_bls_sig_decode(&point, sig, false), AQ_E_FORMAT);
  pub[0] = sig[0] = 0xc0;
  assert_int_equal(aq_bls_pk_decode(&pk, pub), AQ_E_FORMAT);
  assert_int_equal(aq_bls_sig_decode(&point, sig, false), AQ_E_FORMAT);
  assert_int_equal(aq_bls_verify(pub, root, sig), AQ_E_FORMAT);
  assert_int_equal(aq_bls_verify(good_pub, root, sig), AQ_E_FORMAT);
  pub[0] = 0x80, pub[47] = 4; /* on the curve, not in the subgroup (tbls.json) */
  assert_int_equal(aq_bls_pk_decode(&pk, pub), AQ_E_FORMAT);
  memset(pub, 0xff, 48), memset(sig, 0xff, 96);
  pub[0] = sig[0] = 0x9f;
  assert_int_equal(aq_bls_pk_decode(&pk, pub), AQ_E_FORMAT);
  assert_int_equal(aq_bls_sig_decode(&point, sig, false), AQ_E_FORMAT);
  memcpy(sig, good, 96);
  sig[0] &= 0x7f; /* not compressed */
  assert_int_equal(aq_bls_sig_decode(&point, sig, false), AQ_E_FORMAT);
  memcpy(sig, good, 96);
  sig[0] ^= 0x20; /* the negated point */
  assert_int_equal(aq_bls_verify(good_pub, root, sig), AQ_E_AUTH);
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(list("torsion"));
  while ((item = yyjson_arr_iter_next(&it))) {
    hex_into(sig, 96, aq_test_str(item, "point"));
    assert_int_equal(aq_bls_sig_decode(&point, sig, false), AQ_OK);
    assert_false(aq_bls_in_subgroup(&point));
    assert_int_equal(aq_bls_sig_decode(&point, sig, true), AQ_E_FORMAT);
    assert_int_equal(aq_bls_verify(good_pub, root, sig), AQ_E_FORMAT);
  }
  hex_into(sig, 96, aq_test_str(yyjson_doc_get_root(doc), "not_in_subgroup"));
  assert_int_equal(aq_bls_sig_decode(&point, sig, true), AQ_E_FORMAT);
  memset(&pk, 0, sizeof pk), memset(&point, 0, sizeof point); /* infinity in affine form */
  assert_false(aq_bls_verify_points(&pk, &point, &point));
  aq_bls_point hash;
  aq_bls_hash(&hash, root);
  assert_false(aq_bls_verify_points(&pk, &hash, &point)); /* e(0, hash) = e(g1, 0) holds */
  assert_int_equal(aq_bls_sig_decode(&point, good, true), AQ_OK);
  aq_bls_sig_encode(sig, &point);
  assert_memory_equal(sig, good, 96);
}

/* Goal: aggregation is the plain sum and fast aggregate verify its check; no keys never verify.
   Method: an aggregate made by milagro, then each key and signature left out or repeated. */
static void test_aggregate(void **state) {
  (void)state;
  enum { CNT = 5 };
  yyjson_val *item = yyjson_obj_get(yyjson_doc_get_root(doc), "aggregate");
  uint8_t root[32], want[96], out[96];
  aq_bls_pk pk[CNT + 1];
  aq_sig sig[CNT];
  hex_into(root, 32, aq_test_str(item, "root"));
  hex_into(want, 96, aq_test_str(item, "aggregate"));
  for (size_t i = 0; i < CNT; i++) {
    uint8_t pub[48];
    hex_into(pub, 48, yyjson_get_str(yyjson_arr_get(yyjson_obj_get(item, "pubkeys"), i)));
    hex_into(sig[i].b, 96, yyjson_get_str(yyjson_arr_get(yyjson_obj_get(item, "signatures"), i)));
    assert_int_equal(aq_bls_pk_decode(&pk[i], pub), AQ_OK);
  }
  assert_int_equal(aq_bls_aggregate(out, sig, CNT), AQ_OK);
  assert_bytes(aq_bytes_of(out, 96), aq_bytes_of(want, 96));
  assert_int_equal(aq_bls_fast_aggregate_verify(pk, CNT, root, want), AQ_OK);
  assert_int_equal(aq_bls_fast_aggregate_verify(pk, CNT - 1, root, want), AQ_E_AUTH);
  pk[CNT] = pk[0];
  assert_int_equal(aq_bls_fast_aggregate_verify(pk, CNT + 1, root, want), AQ_E_AUTH);
  assert_int_equal(aq_bls_fast_aggregate_verify(pk, 0, root, want), AQ_E_AUTH);
  assert_int_equal(aq_bls_aggregate(out, sig, 0), AQ_E_FORMAT);
  aq_sig twice[2] = {sig[0], sig[0]};
  assert_int_equal(aq_bls_aggregate(out, twice, 2), AQ_OK); /* equal points add up */
  pk[1] = pk[0];
  assert_int_equal(aq_bls_fast_aggregate_verify(pk, 2, root, out), AQ_OK);
  twice[1].b[0] ^= 0x20;
  assert_int_equal(aq_bls_aggregate(out, twice, 2), AQ_OK); /* opposite ones cancel: infinity */
  assert_int_equal(out[0], 0xc0);
  assert_int_equal(aq_bls_fast_aggregate_verify(pk, 2, root, out), AQ_E_FORMAT);
}

/* ---- batches ---- */

enum { ITEMS_MAX = 300, ROOTS_MAX = 40 };

static struct {
  aq_bls_pk pk[ITEMS_MAX];
  aq_bls_point sig[ITEMS_MAX], hash[ROOTS_MAX];
  uint8_t root[ROOTS_MAX][32], rnd[ITEMS_MAX * 8];
  aq_bls_item item[ITEMS_MAX];
} set;

static void make_set(size_t cnt, size_t roots) {
  aq_test_rng_bytes(&rng, set.rnd, sizeof set.rnd);
  for (size_t r = 0; r < roots; r++) {
    aq_test_rng_bytes(&rng, set.root[r], 32);
    aq_bls_hash(&set.hash[r], set.root[r]);
  }
  for (size_t i = 0; i < cnt; i++) {
    uint8_t sk[32], pub[48], sig[96];
    random_secret(sk);
    aq_bls_secret_to_pubkey(pub, sk);
    aq_bls_sign(sig, sk, set.root[i % roots]);
    assert_int_equal(aq_bls_pk_decode(&set.pk[i], pub), AQ_OK);
    assert_int_equal(aq_bls_sig_decode(&set.sig[i], sig, true), AQ_OK);
    set.item[i] = (aq_bls_item){&set.pk[i], &set.hash[i % roots], &set.sig[i]};
  }
}

/* Goal: a batch verifies exactly when all items do, for one root, several roots, and more than one block of items.
   Method: good sets of many shapes; in each one signature is exchanged for another good one. */
static void test_batch(void **state) {
  (void)state;
  static const size_t shape[][2] = {{1, 1}, {2, 1}, {2, 2}, {3, 2}, {33, 1}, {40, 40}, {50, 7}, {257, 3}, {300, 1}};
  for (size_t s = 0; s < AQ_COUNT(shape); s++) {
    size_t cnt = shape[s][0], roots = shape[s][1];
    make_set(cnt, roots);
    assert_true(aq_bls_verify_batch(set.item, cnt, set.rnd));
    size_t at = (size_t)(aq_test_rng_next(&rng) % cnt);
    aq_bls_point other;
    uint8_t sk[32], sig[96];
    random_secret(sk);
    aq_bls_sign(sig, sk, set.root[at % roots]);
    assert_int_equal(aq_bls_sig_decode(&other, sig, true), AQ_OK);
    set.item[at].sig = &other;
    assert_false(aq_bls_verify_batch(set.item, cnt, set.rnd));
  }
  assert_true(aq_bls_verify_batch(set.item, 0, set.rnd));
}

/* Goal: the factors are what makes a batch sound (tss.md 12.4).
   Method: two wrong signatures whose errors cancel: with equal factors they pass, with random ones they do not. */
static void test_batch_soundness(void **state) {
  (void)state;
  make_set(2, 1);
  aq_bls_point swapped[2] = {set.sig[1], set.sig[0]}; /* the sum is unchanged */
  set.item[0].sig = &swapped[0], set.item[1].sig = &swapped[1];
  uint8_t equal[16] = {1, [8] = 1};
  assert_true(aq_bls_verify_batch(set.item, 2, equal));
  assert_false(aq_bls_verify_batch(set.item, 2, set.rnd));
  assert_false(aq_bls_verify_points(set.item[0].pk, set.item[0].hash, set.item[0].sig));
  bool bad[2];
  assert_int_equal(aq_bls_find_bad(bad, set.item, 2, set.rnd), 2);
  assert_true(bad[0] && bad[1]);
}

/* Goal: find_bad names exactly the wrong items.
   Method: random subsets, from none to all, get the signature of another root, key, or sign. */
static void test_find_bad(void **state) {
  (void)state;
  static const size_t bad_cnt[] = {0, 1, 2, 3, 10, 39, 40};
  enum { CNT = 40 };
  bool bad[CNT], want[CNT];
  make_set(CNT, 3);
  for (size_t round = 0; round < AQ_COUNT(bad_cnt); round++) {
    aq_bls_item item[CNT];
    memcpy(item, set.item, sizeof item);
    memset(want, 0, sizeof want);
    for (size_t k = 0; k < bad_cnt[round]; k++) {
      size_t at;
      do {
        at = (size_t)(aq_test_rng_next(&rng) % CNT);
      } while (want[at]);
      want[at] = true;
      if (k % 2) {
        item[at].hash = &set.hash[(at + 1) % 3];
      } else {
        item[at].sig = &set.sig[(at + 3) % CNT];
      }
    }
    assert_int_equal(aq_bls_find_bad(bad, item, CNT, set.rnd), bad_cnt[round]);
    assert_memory_equal(bad, want, sizeof want);
  }
  assert_int_equal(aq_bls_find_bad(bad, set.item, 0, set.rnd), 0);
}

enum { THREADS = 4 };

static void *work(void *arg) {
  bool bad[40];
  uint8_t digest[32] = {3}, sig[65], pub[33];
  aq_crypto_init();
  aq_k1_key *key = aq_k1_key_generate();
  aq_k1_pubkey(pub, key);
  bool ok = true;
  for (int i = 0; i < 20 && ok; i++) {
    aq_k1_sign(sig, key, digest);
    ok = aq_k1_verify65(pub, sig, digest) == AQ_OK && aq_bls_verify_batch(set.item, 40, set.rnd) &&
         aq_bls_find_bad(bad, set.item, 40, set.rnd) == 0;
  }
  aq_k1_key_free(key);
  return ok ? arg : NULL;
}

/* Goal: workers may call everything here at the same time.
   Method: four threads initialise, sign and verify over the same items. */
static void test_threads(void **state) {
  (void)state;
  make_set(40, 2);
  pthread_t thread[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&thread[i], NULL, work, &set), 0);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(thread[i], &result);
    assert_ptr_equal(result, &set);
  }
}

int main(void) {
  aq_crypto_init();
  aq_test_rng_seed(&rng, 4);
  doc = aq_test_json("crypto/bls.json");
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sign),     cmocka_unit_test(test_secrets),
                                     cmocka_unit_test(test_decode),   cmocka_unit_test(test_aggregate),
                                     cmocka_unit_test(test_batch),    cmocka_unit_test(test_batch_soundness),
                                     cmocka_unit_test(test_find_bad), cmocka_unit_test(test_threads)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  yyjson_doc_free(doc);
  return failed;
}
