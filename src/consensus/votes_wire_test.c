/* Messages at their limits, cut at every byte, and signatures that fit another message. */
#include "aq_test.h"

#include "consensus/votes_wire.h"

static aq_votes_hello hello_of(const aq_k1_key *key, const uint8_t cluster[32]) {
  aq_votes_hello h = {.id = {1, 2, 3}, .sees = {4, 5}, .started_ns = UINT64_C(0x1122334455667788)};
  aq_votes_hello_sign(&h, key, cluster);
  return h;
}

/* Goal: a hello counts only as its key signed it, for its cluster. Method: each byte of it changed, another key,
   another cluster. */
static void hellos_are_signed(void **state) {
  (void)state;
  uint8_t secret[32] = {0}, cluster[32] = {7}, pubkey[33], other[33];
  aq_k1_key *key, *second;
  secret[31] = 9;
  assert_int_equal(aq_k1_key_new(&key, secret), AQ_OK);
  secret[31] = 10;
  assert_int_equal(aq_k1_key_new(&second, secret), AQ_OK);
  aq_k1_pubkey(pubkey, key), aq_k1_pubkey(other, second);
  aq_votes_hello h = hello_of(key, cluster);
  assert_true(aq_votes_hello_ok(&h, pubkey, cluster));
  assert_false(aq_votes_hello_ok(&h, other, cluster));
  cluster[31]++;
  assert_false(aq_votes_hello_ok(&h, pubkey, cluster));
  cluster[31]--;
  h.id[15] ^= 1;
  assert_false(aq_votes_hello_ok(&h, pubkey, cluster));
  h.id[15] ^= 1, h.sees[15] ^= 1;
  assert_false(aq_votes_hello_ok(&h, pubkey, cluster));
  h.sees[15] ^= 1, h.started_ns++;
  assert_false(aq_votes_hello_ok(&h, pubkey, cluster));
  h.started_ns--, h.sig[40] ^= 1;
  assert_false(aq_votes_hello_ok(&h, pubkey, cluster));
  aq_k1_key_free(key), aq_k1_key_free(second);
}

/* Goal: requests and answers are read as they were written, and nothing else is. Method: both forms there and back;
   every shortening, a byte more, other versions and flags, too many and too long votes. */
static void only_what_was_written(void **state) {
  (void)state;
  aq_votes_hello h = {.id = {1}, .started_ns = 5}, got;
  aq_votes_answer a;
  bool wants = false;
  uint8_t vote[AQ_QBFT_RAW_MAX + 1];
  memset(vote, 0xab, sizeof vote);
  aq_buf out = AQ_BUF(AQ_VOTES_ANSWER_MAX + 1024);
  aq_votes_put_request(&out, &h, true);
  assert_int_equal(out.len, AQ_VOTES_REQUEST_LEN);
  assert_int_equal(aq_votes_read_request(&got, &wants, aq_buf_bytes(&out)), AQ_OK);
  assert_true(wants && got.started_ns == h.started_ns);
  assert_memory_equal(got.id, h.id, sizeof h.id);
  assert_memory_equal(got.sees, h.sees, sizeof h.sees);
  assert_memory_equal(got.sig, h.sig, sizeof h.sig);
  for (size_t len = 0; len < out.len; len++)
    assert_int_equal(aq_votes_read_request(&got, &wants, aq_bytes_of(out.ptr, len)), AQ_E_FORMAT);
  out.ptr[0] = 2;
  assert_int_equal(aq_votes_read_request(&got, &wants, aq_buf_bytes(&out)), AQ_E_FORMAT);
  out.ptr[0] = 1, out.ptr[1] = 2;
  assert_int_equal(aq_votes_read_request(&got, &wants, aq_buf_bytes(&out)), AQ_E_FORMAT);

  for (int other = 0; other < 2; other++) {
    aq_buf_reset(&out);
    aq_votes_put_answer(&out, other ? &h : NULL, 2);
    aq_votes_put_vote(&out, aq_bytes_of(vote, AQ_QBFT_RAW_MAX));
    aq_votes_put_vote(&out, aq_bytes_of(vote, 1));
    assert_int_equal(aq_votes_read_answer(&a, aq_buf_bytes(&out)), AQ_OK);
    assert_true(a.has_other == (other == 1) && a.cnt == 2);
    aq_bytes raw;
    assert_true(aq_votes_next(&a, &raw) && raw.len == AQ_QBFT_RAW_MAX);
    assert_true(aq_votes_next(&a, &raw) && raw.len == 1);
    assert_false(aq_votes_next(&a, &raw));
    for (size_t len = 0; len < out.len; len++)
      assert_int_equal(aq_votes_read_answer(&a, aq_bytes_of(out.ptr, len)), AQ_E_FORMAT);
    aq_buf_put(&out, vote, 1);
    assert_int_equal(aq_votes_read_answer(&a, aq_buf_bytes(&out)), AQ_E_FORMAT);
  }
  aq_buf_reset(&out);
  aq_votes_put_answer(&out, NULL, 1);
  aq_votes_put_vote(&out, aq_bytes_of(vote, sizeof vote));
  assert_int_equal(aq_votes_read_answer(&a, aq_buf_bytes(&out)), AQ_E_LIMIT);
  for (uint32_t cnt = AQ_VOTES_MAX; cnt <= AQ_VOTES_MAX + 1; cnt++) {
    aq_buf_reset(&out);
    aq_votes_put_answer(&out, &h, cnt);
    for (uint32_t i = 0; i < cnt; i++) aq_votes_put_vote(&out, aq_bytes_of(vote, AQ_QBFT_RAW_MAX));
    assert_int_equal(aq_votes_read_answer(&a, aq_buf_bytes(&out)), cnt == AQ_VOTES_MAX ? AQ_OK : AQ_E_LIMIT);
    if (cnt == AQ_VOTES_MAX) assert_int_equal(out.len, AQ_VOTES_ANSWER_MAX);
  }
  aq_buf_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(hellos_are_signed), cmocka_unit_test(only_what_was_written)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
