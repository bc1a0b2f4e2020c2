/* Files that Charon's own cluster wrote, and each with one bad entry. */
#include "cluster/overrides.h"

#include "aq_test.h"

static aq_lock *hoodi(void) {
  aq_lock *l = NULL;
  aq_err err = {AQ_OK, ""};
  aq_buf json = aq_test_file("cluster/golden/hoodi-4x2/node0/cluster-lock.json");
  if (aq_lock_load(&l, aq_buf_bytes(&json), NULL, &err) != AQ_OK) fail_msg("%s", err.text);
  aq_buf_free(&json);
  return l;
}

static aq_status take(aq_lock *l, uint32_t *taken, const char *text) {
  aq_err err = {AQ_OK, ""};
  aq_status st = aq_overrides_take(l, taken, aq_bytes_str(text), &err);
  assert_true((st == AQ_OK) == (err.text[0] == 0));
  return st;
}

/* Goal: registrations that Charon's cluster made later say whom blocks pay from then on, if they are newer and signed.
   Method: the file of two validators, taken twice; before, after, and with the lock's own as new. */
static void newer_ones_are_taken(void **state) {
  (void)state;
  aq_lock *l = hoodi();
  aq_buf json = aq_test_file("cluster/builder_registrations_overrides.json");
  uint8_t before[20], after[20];
  uint32_t taken;
  assert_true(aq_lock_fee_recipient(before, l, 0));
  for (int twice = 0; twice < 2; twice++) {
    assert_int_equal(take(l, &taken, aq_buf_cstr(&json)), AQ_OK);
    assert_int_equal(taken, 2);
  }
  for (uint32_t v = 0; v < 2; v++) {
    assert_true(aq_lock_fee_recipient(after, l, v));
    assert_memory_equal(after, l->validators[v].override.fee_recipient, 20);
    assert_int_equal(after[0], 0xab);
    assert_memory_not_equal(after, before, 20);
  }
  l->validators[0].has_override = l->validators[1].has_override = false;
  l->validators[0].registration.timestamp = l->validators[1].registration.timestamp = UINT64_MAX;
  assert_int_equal(take(l, &taken, aq_buf_cstr(&json)), AQ_OK);
  assert_int_equal(taken, 0);
  assert_true(aq_lock_fee_recipient(after, l, 0));
  assert_memory_equal(after, before, 20);
  aq_buf_free(&json);
  aq_lock_free(l);
}

/* Goal: one bad entry refuses the whole file, and an empty one is fine. Method: a digit of an address, of a signature
   and of a key changed; texts that are no list of registrations. */
static void bad_files_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "", "{}", "[1]", "[{}]", "[{\"version\":\"v2\"}]", "[{\"version\":\"v1\",\"v1\":{}}]"};
  static const char *const digit[] = {"\"fee_recipient\": \"0x", "\"signature\": \"0x", "\"pubkey\": \"0x",
                                      "\"timestamp\": \"", "\"gas_limit\": \""};
  aq_lock *l = hoodi();
  uint32_t taken;
  for (size_t i = 0; i < AQ_COUNT(wrong); i++) {
    assert_int_equal(take(l, &taken, wrong[i]), AQ_E_FORMAT);
    assert_int_equal(taken, 0);
  }
  assert_int_equal(take(l, &taken, "[]"), AQ_OK);
  for (size_t i = 0; i < AQ_COUNT(digit); i++) {
    aq_buf json = aq_test_file("cluster/builder_registrations_overrides.json");
    char *text = (char *)(uintptr_t)aq_buf_cstr(&json), *last = NULL;
    for (char *at = text; (at = strstr(at, digit[i])); at++) last = at; /* of the second entry */
    assert_non_null(last);
    last += strlen(digit[i]) + 3;
    *last = *last == '1' ? '2' : '1';
    assert_int_not_equal(take(l, &taken, text), AQ_OK);
    assert_int_equal(taken, 0);
    aq_buf_free(&json);
  }
  aq_lock_free(l);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(newer_ones_are_taken), cmocka_unit_test(bad_files_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
