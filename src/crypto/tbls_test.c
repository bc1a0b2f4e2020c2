/* The threshold part of crypto/bls.h. */
#include "aq_test.h"
#include "crypto/aead.h"
#include "crypto/bls_internal.h"

static aq_test_rng rng;

static void hex_into(uint8_t *out, size_t len, const char *text) {
  aq_buf b = aq_test_hex(text);
  assert_int_equal(b.len, len);
  memcpy(out, b.ptr, len);
  aq_buf_free(&b);
}

static void hex_at(uint8_t *out, size_t len, yyjson_val *array, size_t i) {
  hex_into(out, len, yyjson_get_str(yyjson_arr_get(array, i)));
}

static unsigned indices_of(uint32_t *idx, yyjson_val *array) {
  unsigned cnt = (unsigned)yyjson_arr_size(array);
  assert_true(cnt <= AQ_SHARES_MAX);
  for (unsigned i = 0; i < cnt; i++) idx[i] = (uint32_t)yyjson_get_uint(yyjson_arr_get(array, i));
  return cnt;
}

static void random_secret(uint8_t sk[32]) {
  uint8_t wide[64];
  aq_test_rng_bytes(&rng, wide, sizeof wide);
  aq_bls_secret_reduce(sk, wide);
}

/* Goal: the integer coefficients are exact.
   Method: all subsets up to n = 7 and samples up to 13, computed with rationals elsewhere (lagrange.json). */
static void test_lagrange(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/lagrange.json");
  yyjson_val *table, *entry;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "tables"));
  size_t seen = 0;
  while ((table = yyjson_arr_iter_next(&it))) {
    yyjson_arr_iter entries = yyjson_arr_iter_with(yyjson_obj_get(table, "entries"));
    while ((entry = yyjson_arr_iter_next(&entries))) {
      uint32_t idx[AQ_SHARES_MAX];
      int64_t coeff[AQ_SHARES_MAX], den;
      unsigned cnt = indices_of(idx, yyjson_obj_get(entry, "indices"));
      assert_true(aq_tbls_lagrange(coeff, &den, idx, cnt));
      assert_int_equal(den, yyjson_get_sint(yyjson_obj_get(entry, "denominator")));
      for (unsigned i = 0; i < cnt; i++) {
        assert_int_equal(coeff[i], yyjson_get_sint(yyjson_arr_get(yyjson_obj_get(entry, "coefficients"), i)));
      }
      seen++;
    }
  }
  assert_true(seen > 100);
  yyjson_doc_free(doc);
}

/* Goal: refused index sets, and sets whose coefficients are too large for the integers.
   Method: zero, repeated, none, too many; indices near 2^32. */
static void test_lagrange_limits(void **state) {
  (void)state;
  int64_t coeff[AQ_SHARES_MAX], den;
  uint32_t many[AQ_SHARES_MAX + 1];
  for (uint32_t i = 0; i <= AQ_SHARES_MAX; i++) many[i] = i + 1;
  assert_false(aq_tbls_lagrange(coeff, &den, (uint32_t[]){1, 0}, 2));
  assert_false(aq_tbls_lagrange(coeff, &den, (uint32_t[]){2, 3, 2}, 3));
  assert_false(aq_tbls_lagrange(coeff, &den, many, 0));
  assert_false(aq_tbls_lagrange(coeff, &den, many, AQ_SHARES_MAX + 1));
  assert_true(aq_tbls_lagrange(coeff, &den, many, AQ_SHARES_MAX));
  assert_int_equal(den, 1);
  assert_int_equal(coeff[0], AQ_SHARES_MAX);
  assert_false(aq_tbls_lagrange(coeff, &den, (uint32_t[]){4294967295u, 4294967291u, 4294967279u, 5, 11}, 5));
  /* A denominator of 1 and a coefficient near 2^64. */
  assert_false(aq_tbls_lagrange(coeff, &den, (uint32_t[]){4294967295u, 4294967294u, 4294967293u}, 3));
}

static void decode_partials(aq_bls_point *out, yyjson_val *array, const uint32_t *idx, unsigned cnt) {
  for (unsigned i = 0; i < cnt; i++) {
    uint8_t sig[96];
    hex_at(sig, 96, array, idx[i] - 1);
    assert_int_equal(aq_bls_sig_decode(&out[i], sig, false), AQ_OK);
  }
}

static void check_combine(const aq_bls_point *partials, const uint32_t *idx, unsigned cnt, const uint8_t want[96]) {
  aq_bls_point out;
  uint8_t got[96];
  aq_tbls_combine(&out, partials, idx, cnt);
  aq_bls_sig_encode(got, &out);
  assert_bytes(aq_bytes_of(got, 96), aq_bytes_of(want, 96));
}

static void check_result(yyjson_val *r, unsigned n, unsigned t) {
  uint8_t want[96], want_pub[48], root[32], pub[48], sk[32], share[AQ_SHARES_MAX][32], partial[96];
  yyjson_val *sigs = yyjson_obj_get(r, "partial_signatures"), *keys = yyjson_obj_get(r, "public_shares");
  hex_into(want, 96, aq_test_str(r, "group_signature"));
  hex_into(want_pub, 48, aq_test_str(r, "group_public_key"));
  hex_into(root, 32, aq_test_str(r, "test_message"));
  assert_int_equal(aq_bls_verify(want_pub, root, want), AQ_OK);
  for (uint32_t set = 1; set < 1u << n; set++) {
    uint32_t idx[AQ_SHARES_MAX];
    unsigned cnt = 0;
    for (unsigned i = 0; i < n; i++) {
      if (set >> i & 1) idx[cnt++] = i + 1;
    }
    if (cnt < t) continue;
    aq_bls_point partials[AQ_SHARES_MAX];
    aq_bls_pk pks[AQ_SHARES_MAX];
    decode_partials(partials, sigs, idx, cnt);
    check_combine(partials, idx, cnt, want);
    for (unsigned i = 0; i < cnt; i++) {
      hex_at(pub, 48, keys, idx[i] - 1);
      assert_int_equal(aq_bls_pk_decode(&pks[i], pub), AQ_OK);
      hex_at(share[i], 32, yyjson_obj_get(r, "secret_shares"), idx[i] - 1);
      aq_bls_secret_to_pubkey(pub, share[i]);
      aq_bls_sign(partial, share[i], root);
      uint8_t recorded[96];
      hex_at(recorded, 96, sigs, idx[i] - 1);
      if (cnt == n) assert_memory_equal(partial, recorded, 96);
    }
    assert_int_equal(aq_tbls_recover_pubkey(pub, pks, idx, cnt), AQ_OK);
    assert_bytes(aq_bytes_of(pub, 48), aq_bytes_of(want_pub, 48));
    assert_int_equal(aq_tbls_recover_secret(sk, (const uint8_t(*)[32])share, idx, cnt), AQ_OK);
    aq_bls_secret_to_pubkey(pub, sk);
    assert_bytes(aq_bytes_of(pub, 48), aq_bytes_of(want_pub, 48));
  }
}

/* Goal: every set of t and more shares of a real key generation gives the group key, secret and signature.
   Method: results of FROST ceremonies of Charon's code, n = 3 to 7, all subsets. */
static void test_frost(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/frost.json");
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  while ((item = yyjson_arr_iter_next(&it))) {
    check_result(yyjson_arr_get_first(yyjson_obj_get(item, "result")), (unsigned)aq_test_u64(item, "n"),
                 (unsigned)aq_test_u64(item, "threshold"));
  }
  yyjson_doc_free(doc);
}

static void check_split(yyjson_val *item) {
  uint8_t sk[32], coeff[AQ_SHARES_MAX][32], shares[AQ_SHARES_MAX][32], want[32];
  unsigned t = (unsigned)aq_test_u64(item, "threshold"), n = (unsigned)aq_test_u64(item, "total");
  yyjson_val *poly = yyjson_obj_get(item, "polynomial_coefficients"), *list = yyjson_obj_get(item, "shares");
  hex_into(sk, 32, aq_test_str(item, "secret"));
  for (unsigned i = 1; i < t; i++) hex_at(coeff[i - 1], 32, poly, i);
  assert_int_equal(aq_tbls_split(shares, sk, (const uint8_t(*)[32])coeff, t, n), AQ_OK);
  for (unsigned i = 0; i < n; i++) {
    hex_into(want, 32, aq_test_str(yyjson_arr_get(list, i), "secret"));
    assert_bytes(aq_bytes_of(shares[i], 32), aq_bytes_of(want, 32));
  }
}

static void check_subset(yyjson_val *item, yyjson_val *subset, yyjson_val *as, const char *result) {
  uint32_t idx[AQ_SHARES_MAX];
  aq_bls_point partials[AQ_SHARES_MAX];
  uint8_t sig[96], want[96];
  unsigned cnt = indices_of(idx, subset);
  for (unsigned i = 0; i < cnt; i++) {
    yyjson_val *share = yyjson_arr_get(yyjson_obj_get(item, "shares"), idx[i] - 1);
    hex_into(sig, 96, aq_test_str(share, "partial_signature"));
    assert_int_equal(aq_bls_sig_decode(&partials[i], sig, true), AQ_OK);
  }
  if (as) indices_of(idx, as);
  hex_into(want, 96, aq_test_str(item, result));
  check_combine(partials, idx, cnt, want);
}

/* Goal: split and combine as Charon does, including the wrong answers of too few or misnumbered shares.
   Method: tbls.json, made by Charon's library. */
static void test_charon(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/tbls.json");
  yyjson_val *item, *subset;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "cases"));
  while ((item = yyjson_arr_iter_next(&it))) {
    aq_sig sigs[AQ_SHARES_MAX];
    uint8_t want[96], out[96];
    check_split(item);
    yyjson_arr_iter subsets = yyjson_arr_iter_with(yyjson_obj_get(item, "subsets_that_recover"));
    while ((subset = yyjson_arr_iter_next(&subsets))) check_subset(item, subset, NULL, "full_signature");
    check_subset(item, yyjson_obj_get(item, "subset_below_threshold"), NULL, "below_threshold_aggregate");
    unsigned n = (unsigned)aq_test_u64(item, "total");
    for (unsigned i = 0; i < n; i++) {
      hex_into(sigs[i].b, 96, aq_test_str(yyjson_arr_get(yyjson_obj_get(item, "shares"), i), "partial_signature"));
    }
    hex_into(want, 96, aq_test_str(item, "plain_aggregate_of_all_partials"));
    assert_int_equal(aq_bls_aggregate(out, sigs, n), AQ_OK);
    assert_bytes(aq_bytes_of(out, 96), aq_bytes_of(want, 96));
  }
  yyjson_doc_free(doc);
}

/* Goal: recombination agrees with another library, with large and sparse index sets too.
   Method: partials by milagro, recombined with py_ecc's group operations. */
static void test_third_party(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/bls.json");
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "threshold"));
  while ((item = yyjson_arr_iter_next(&it))) {
    uint8_t coeff[AQ_SHARES_MAX][32], shares[AQ_SHARES_MAX][32], want[96], sig[96], share[32], pub[48], want_pub[48];
    uint32_t idx[AQ_SHARES_MAX];
    aq_bls_point partials[AQ_SHARES_MAX];
    unsigned t = (unsigned)aq_test_u64(item, "t"), n = (unsigned)aq_test_u64(item, "n");
    for (unsigned i = 0; i < t; i++) hex_at(coeff[i], 32, yyjson_obj_get(item, "coefficients"), i);
    assert_int_equal(aq_tbls_split(shares, coeff[0], (const uint8_t(*)[32])(coeff + 1), t, n), AQ_OK);
    for (unsigned i = 0; i < n; i++) {
      hex_at(share, 32, yyjson_obj_get(item, "shares"), i);
      assert_bytes(aq_bytes_of(shares[i], 32), aq_bytes_of(share, 32));
    }
    unsigned cnt = indices_of(idx, yyjson_obj_get(item, "indices"));
    for (unsigned i = 0; i < cnt; i++) {
      hex_at(sig, 96, yyjson_obj_get(item, "partials"), i);
      assert_int_equal(aq_bls_sig_decode(&partials[i], sig, false), AQ_OK);
    }
    hex_into(want, 96, aq_test_str(item, "signature"));
    check_combine(partials, idx, cnt, want);
    hex_into(want_pub, 48, aq_test_str(item, "pubkey"));
    aq_bls_secret_to_pubkey(pub, coeff[0]);
    assert_bytes(aq_bytes_of(pub, 48), aq_bytes_of(want_pub, 48));
  }
  yyjson_doc_free(doc);
}

/* Splits a random secret and combines the partials of the chosen shares; secret and signature must come back. */
static void check_against_secret(unsigned t, unsigned n, const uint32_t *idx, unsigned cnt) {
  uint8_t sk[32], coeff[AQ_SHARES_MAX][32], shares[AQ_SHARES_MAX][32], chosen[AQ_SHARES_MAX][32], root[32], sig[96];
  uint8_t back[32];
  aq_bls_point partials[AQ_SHARES_MAX];
  random_secret(sk);
  for (unsigned i = 0; i + 1 < t; i++) random_secret(coeff[i]);
  aq_test_rng_bytes(&rng, root, 32);
  assert_int_equal(aq_tbls_split(shares, sk, (const uint8_t(*)[32])coeff, t, n), AQ_OK);
  for (unsigned i = 0; i < cnt; i++) {
    memcpy(chosen[i], shares[idx[i] - 1], 32);
    aq_bls_sign(sig, chosen[i], root);
    assert_int_equal(aq_bls_sig_decode(&partials[i], sig, false), AQ_OK);
  }
  assert_int_equal(aq_tbls_recover_secret(back, (const uint8_t(*)[32])chosen, idx, cnt), AQ_OK);
  assert_memory_equal(back, sk, 32);
  aq_bls_sign(sig, sk, root);
  check_combine(partials, idx, cnt, sig);
}

/* Goal: any t and n, any set of at least t shares in any order gives the signature of the secret.
   Method: 300 random splits; the set is a random permutation's head. */
static void test_random_subsets(void **state) {
  (void)state;
  for (unsigned round = 0; round < 300; round++) {
    unsigned n = 1 + (unsigned)(aq_test_rng_next(&rng) % (round % 10 ? 13 : AQ_SHARES_MAX));
    unsigned t = 1 + (unsigned)(aq_test_rng_next(&rng) % n);
    uint32_t idx[AQ_SHARES_MAX];
    for (unsigned i = 0; i < n; i++) idx[i] = i + 1;
    for (unsigned i = n; i-- > 1;) {
      unsigned j = (unsigned)(aq_test_rng_next(&rng) % (i + 1));
      uint32_t swap = idx[i];
      idx[i] = idx[j], idx[j] = swap;
    }
    check_against_secret(t, n, idx, t + (unsigned)(aq_test_rng_next(&rng) % (n - t + 1)));
  }
}

/* Goal: equal and opposite partials, which a peer may send on purpose, add up right.
   Method: random index sets over two points with random signs; den times the result is compared with the two points
   multiplied by their summed coefficients. */
static void test_equal_and_opposite(void **state) {
  (void)state;
  aq_bls_point base[2], partials[AQ_SHARES_MAX], got;
  for (unsigned i = 0; i < 2; i++) {
    uint8_t root[32];
    aq_test_rng_bytes(&rng, root, 32);
    aq_bls_hash(&base[i], root);
  }
  for (unsigned round = 0; round < 200; round++) {
    uint32_t idx[AQ_SHARES_MAX];
    unsigned cnt = 1 + (unsigned)(aq_test_rng_next(&rng) % 10), at = 0;
    for (unsigned i = 0; i < cnt; i++) idx[i] = at += 1 + (unsigned)(aq_test_rng_next(&rng) % 3);
    int64_t coeff[AQ_SHARES_MAX], den;
    assert_true(aq_tbls_lagrange(coeff, &den, idx, cnt));
    int64_t total[2] = {0, 0}; /* the sum over each base point, times den */
    for (unsigned i = 0; i < cnt; i++) {
      unsigned pick = (unsigned)(aq_test_rng_next(&rng) % 4);
      partials[i] = base[pick & 1];
      if (pick & 2) blst_fp2_cneg(&aq_blst_g2_out(&partials[i])->y, &aq_blst_g2(&partials[i])->y, true);
      total[pick & 1] += pick & 2 ? -coeff[i] : coeff[i];
    }
    aq_tbls_combine(&got, partials, idx, cnt);
    blst_p2 left, sum, term;
    uint8_t scalar[8];
    aq_le64_put(scalar, (uint64_t)den);
    blst_p2_from_affine(&left, aq_blst_g2(&got));
    blst_p2_mult(&left, &left, scalar, 64);
    memset(&sum, 0, sizeof sum);
    for (unsigned i = 0; i < 2; i++) {
      aq_le64_put(scalar, (uint64_t)(total[i] < 0 ? -total[i] : total[i]));
      blst_p2_from_affine(&term, aq_blst_g2(&base[i]));
      blst_p2_mult(&term, &term, scalar, 64);
      blst_p2_cneg(&term, total[i] < 0);
      blst_p2_add_or_double(&sum, &sum, &term);
    }
    assert_true(blst_p2_is_equal(&left, &sum));
  }
}

/* Goal: indices too large for the integers go the full-width way and are right.
   Method: a degree-2 polynomial evaluated at huge indices with scalars; the combination must be the value at 0. */
static void test_wide(void **state) {
  (void)state;
  static const uint32_t idx[5] = {4294967295u, 4294967291u, 4294967279u, 5, 11};
  blst_fr a[3], x, y;
  uint8_t bytes[32], sk[32], root[32] = {9}, sig[96];
  aq_bls_point partials[5];
  int64_t coeff[5], den;
  assert_false(aq_tbls_lagrange(coeff, &den, idx, 5));
  for (unsigned i = 0; i < 3; i++) {
    blst_scalar s;
    random_secret(bytes);
    if (i == 0) memcpy(sk, bytes, 32);
    blst_scalar_from_bendian(&s, bytes);
    blst_fr_from_scalar(&a[i], &s);
  }
  for (unsigned i = 0; i < 5; i++) {
    blst_scalar s;
    blst_fr_from_uint64(&x, (const uint64_t[4]){idx[i], 0, 0, 0});
    y = a[2];
    for (unsigned k = 2; k-- > 0;) blst_fr_mul(&y, &y, &x), blst_fr_add(&y, &y, &a[k]);
    blst_scalar_from_fr(&s, &y);
    blst_bendian_from_scalar(bytes, &s);
    aq_bls_sign(sig, bytes, root);
    assert_int_equal(aq_bls_sig_decode(&partials[i], sig, false), AQ_OK);
  }
  aq_bls_sign(sig, sk, root);
  check_combine(partials, idx, 5, sig);
}

/* Three of four shares with their good partials; items check bad[]. */
enum { T = 3 };
static struct {
  uint8_t shares[4][32], rnd[T * 8];
  aq_bls_point good[T], bad[T], hash;
  aq_bls_pk pk[T], group;
  aq_bls_item items[T];
} three;
static const uint32_t three_idx[T] = {1, 2, 4}; /* the subset with a denominator */

static void make_three(void) {
  uint8_t sk[32], coeff[T - 1][32], root[32], sig[96], pub[48];
  aq_test_rng_bytes(&rng, root, 32), aq_test_rng_bytes(&rng, three.rnd, sizeof three.rnd);
  random_secret(sk), random_secret(coeff[0]), random_secret(coeff[1]);
  assert_int_equal(aq_tbls_split(three.shares, sk, (const uint8_t(*)[32])coeff, T, 4), AQ_OK);
  aq_bls_hash(&three.hash, root);
  aq_bls_secret_to_pubkey(pub, sk);
  assert_int_equal(aq_bls_pk_decode(&three.group, pub), AQ_OK);
  for (unsigned i = 0; i < T; i++) {
    aq_bls_secret_to_pubkey(pub, three.shares[three_idx[i] - 1]);
    assert_int_equal(aq_bls_pk_decode(&three.pk[i], pub), AQ_OK);
    aq_bls_sign(sig, three.shares[three_idx[i] - 1], root);
    assert_int_equal(aq_bls_sig_decode(&three.good[i], sig, false), AQ_OK);
    three.items[i] = (aq_bls_item){&three.pk[i], &three.hash, &three.bad[i]};
  }
  memcpy(three.bad, three.good, sizeof three.bad);
}

static bool group_ok(void) {
  aq_bls_point sig;
  aq_tbls_combine(&sig, three.bad, three_idx, T);
  return aq_bls_in_subgroup(&sig) && aq_bls_verify_points(&three.group, &three.hash, &sig);
}

static void add_multiple(aq_bls_point *to, const aq_bls_point *p, int64_t by) {
  uint8_t scalar[8];
  blst_p2 x;
  aq_le64_put(scalar, (uint64_t)(by < 0 ? -by : by));
  blst_p2_from_affine(&x, aq_blst_g2(p));
  blst_p2_mult(&x, &x, scalar, 64);
  blst_p2_cneg(&x, by < 0);
  blst_p2_add_or_double_affine(&x, &x, aq_blst_g2(to));
  blst_p2_to_affine(aq_blst_g2_out(to), &x);
}

/* Goal: corruption of any kind spoils the combination, and blame falls on exactly the corrupted share (tss.md 12.2).
   Method: another message, another share's partial, the negated point; each share in turn. */
static void test_corruption(void **state) {
  (void)state;
  enum { OTHER_ROOT, OTHER_SHARE, NEGATED, KINDS };
  for (unsigned round = 0; round < KINDS * T; round++) {
    unsigned kind = round / T, at = round % T;
    uint8_t other[32], sig[96];
    bool blame[T];
    make_three();
    assert_true(group_ok());
    if (kind == OTHER_ROOT) {
      aq_test_rng_bytes(&rng, other, 32);
      aq_bls_sign(sig, three.shares[three_idx[at] - 1], other);
      assert_int_equal(aq_bls_sig_decode(&three.bad[at], sig, false), AQ_OK);
    } else if (kind == OTHER_SHARE) {
      three.bad[at] = three.good[(at + 1) % T];
    } else {
      add_multiple(&three.bad[at], &three.good[at], -2);
    }
    assert_false(group_ok());
    assert_int_equal(aq_bls_find_bad(blame, three.items, T, three.rnd), 1);
    assert_true(blame[at]);
  }
}

/* Goal: a partial with a part of small order never makes a valid group signature, and its own check finds it. (Random
   factors miss order 13 once in 13 times: hence the subgroup check before a batch, tss.md 4.1.)
   Method: the points of order 13 and 23 added to each partial in turn. */
static void test_torsion(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("crypto/bls.json");
  yyjson_val *item;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "torsion"));
  while ((item = yyjson_arr_iter_next(&it))) {
    aq_bls_point small;
    uint8_t sig[96];
    hex_into(sig, 96, aq_test_str(item, "point"));
    assert_int_equal(aq_bls_sig_decode(&small, sig, false), AQ_OK);
    for (unsigned at = 0; at < T; at++) {
      make_three();
      add_multiple(&three.bad[at], &small, 1);
      assert_false(group_ok());
      assert_false(aq_bls_in_subgroup(&three.bad[at]));
    }
  }
  yyjson_doc_free(doc);
}

/* Goal: two wrong partials that cancel combine to a valid signature, and both are blamed (tss.md 12.3).
   Method: c1 (s1 + c2 X) + c2 (s2 - c1 X) = c1 s1 + c2 s2. */
static void test_cancelling_pair(void **state) {
  (void)state;
  int64_t c[T], den;
  bool blame[T];
  make_three();
  assert_true(aq_tbls_lagrange(c, &den, three_idx, T));
  add_multiple(&three.bad[0], &three.hash, c[1]);
  add_multiple(&three.bad[1], &three.hash, -c[0]);
  assert_true(group_ok());
  assert_int_equal(aq_bls_find_bad(blame, three.items, T, three.rnd), 2);
  assert_true(blame[0] && blame[1] && !blame[2]);
}

/* Goal: bad arguments get a status.
   Method: thresholds, counts, secrets and indices outside their ranges. */
static void test_arguments(void **state) {
  (void)state;
  uint8_t sk[32] = {[31] = 1}, zero[32] = {0}, coeff[1][32] = {{[31] = 2}}, shares[AQ_SHARES_MAX][32], pub[48];
  const uint8_t(*c)[32] = (const uint8_t(*)[32])coeff;
  assert_int_equal(aq_tbls_split(shares, sk, c, 2, 3), AQ_OK);
  assert_int_equal(aq_tbls_split(shares, sk, c, 0, 3), AQ_E_FORMAT);
  assert_int_equal(aq_tbls_split(shares, sk, c, 4, 3), AQ_E_FORMAT);
  assert_int_equal(aq_tbls_split(shares, sk, c, 2, AQ_SHARES_MAX + 1), AQ_E_FORMAT);
  assert_int_equal(aq_tbls_split(shares, zero, c, 2, 3), AQ_E_FORMAT);
  memset(coeff, 0, sizeof coeff);
  assert_int_equal(aq_tbls_split(shares, sk, c, 2, 3), AQ_E_FORMAT);
  assert_int_equal(aq_tbls_recover_secret(sk, (const uint8_t(*)[32])shares, (uint32_t[]){1, 1}, 2), AQ_E_FORMAT);
  memset(shares[0], 0xff, 32);
  assert_int_equal(aq_tbls_recover_secret(sk, (const uint8_t(*)[32])shares, (uint32_t[]){1, 2}, 2), AQ_E_FORMAT);
  aq_bls_pk pk[2];
  memset(pk, 0, sizeof pk);
  assert_int_equal(aq_tbls_recover_pubkey(pub, pk, (uint32_t[]){1, 0}, 2), AQ_E_FORMAT);
  assert_int_equal(aq_tbls_recover_pubkey(pub, pk, (uint32_t[]){1, 2}, 0), AQ_E_FORMAT);
}

int main(void) {
  aq_crypto_init();
  aq_test_rng_seed(&rng, 5);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lagrange),
                                     cmocka_unit_test(test_lagrange_limits),
                                     cmocka_unit_test(test_frost),
                                     cmocka_unit_test(test_charon),
                                     cmocka_unit_test(test_third_party),
                                     cmocka_unit_test(test_random_subsets),
                                     cmocka_unit_test(test_equal_and_opposite),
                                     cmocka_unit_test(test_wide),
                                     cmocka_unit_test(test_corruption),
                                     cmocka_unit_test(test_torsion),
                                     cmocka_unit_test(test_cancelling_pair),
                                     cmocka_unit_test(test_arguments)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
