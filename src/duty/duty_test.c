/* Times of a Charon node's duties, and the gate at both its ends. */
#include "aq_test.h"

#include "base/time.h"
#include "duty/duty.h"

static const aq_chain mainnet = {.clock = {AQ_SECONDS(1606824023), AQ_SECONDS(12), 32}};

/* Goal: deadlines are those of a Charon node.
   Method: consensus/timers.json, duty_deadlines (mainnet timing). */
static void deadlines(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/timers.json");
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "duty_deadlines"), *v;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, v) {
    aq_duty d = {aq_test_u64(v, "slot"), (aq_duty_type)aq_test_u64(v, "duty_type")};
    uint64_t got = aq_duty_deadline_ns(&mainnet, d);
    if (!yyjson_get_bool(yyjson_obj_get(v, "expires"))) {
      assert_true(got == AQ_NEVER);
      continue;
    }
    uint64_t want =
        aq_slot_start_ns(&mainnet.clock, d.slot) + AQ_MILLIS(aq_test_u64(v, "deadline_after_slot_start_ms"));
    assert_true(got == want);
  }
  assert_int_equal(max, 13);
  yyjson_doc_free(doc);
}

/* Goal: triggers are integer thirds of the slot; a peer's absurd slot neither wraps nor becomes "never".
   Method: values by hand from core.md 3.1, a slot time that does not divide by three, slots near 2^64. */
static void starts(void **state) {
  (void)state;
  const aq_chain odd = {.clock = {0, 5, 32}};
  assert_int_equal(aq_duty_start_ns(&mainnet, (aq_duty){10, AQ_DUTY_ATTESTER}),
                   aq_slot_start_ns(&mainnet.clock, 10) + AQ_SECONDS(4));
  assert_int_equal(aq_duty_start_ns(&mainnet, (aq_duty){10, AQ_DUTY_AGGREGATOR}),
                   aq_slot_start_ns(&mainnet.clock, 10) + AQ_SECONDS(8));
  assert_int_equal(aq_duty_start_ns(&odd, (aq_duty){2, AQ_DUTY_SYNC_CONTRIBUTION}), 13);
  assert_int_equal(aq_duty_start_ns(&odd, (aq_duty){2, AQ_DUTY_PROPOSER}), 10);
  assert_true(aq_duty_start_ns(&mainnet, (aq_duty){UINT64_MAX, AQ_DUTY_PROPOSER}) == AQ_NEVER - 1);
  assert_true(aq_duty_deadline_ns(&mainnet, (aq_duty){UINT64_MAX / AQ_SECONDS(12), AQ_DUTY_ATTESTER}) == AQ_NEVER - 1);
  assert_true(aq_duty_deadline_ns(&mainnet, (aq_duty){UINT64_MAX, AQ_DUTY_EXIT}) == AQ_NEVER);
  for (uint64_t before = 0; before < 3; before++) { /* 13 s after genesis */
    const aq_chain last = {.clock = {AQ_NEVER - before - AQ_SECONDS(13), AQ_SECONDS(12), 32}};
    assert_true(aq_duty_deadline_ns(&last, (aq_duty){0, AQ_DUTY_SYNC_MESSAGE}) == AQ_NEVER - (before ? before : 1));
  }
}

/* Goal: the gate lets the valid types of up to two epochs ahead pass, and any past slot.
   Method: both sides of the limit (core.md 10.7), from a clock in the middle of an epoch. */
static void gate(void **state) {
  (void)state;
  uint64_t now = aq_slot_start_ns(&mainnet.clock, 330) + 7; /* epoch 10 */
  assert_int_equal(aq_slot_at(&mainnet.clock, now), 330);
  assert_int_equal(aq_slot_at(&mainnet.clock, mainnet.clock.genesis_ns - 1), 0);
  assert_true(aq_duty_gate(&mainnet.clock, 13 * 32 - 1, 2, now));
  assert_false(aq_duty_gate(&mainnet.clock, 13 * 32, 2, now));
  assert_false(aq_duty_gate(&mainnet.clock, UINT64_MAX, 2, now));
  assert_true(aq_duty_gate(&mainnet.clock, 0, 13, now));
  assert_false(aq_duty_gate(&mainnet.clock, 0, 14, now));
  assert_false(aq_duty_gate(&mainnet.clock, 0, 0, now));
  assert_false(aq_duty_gate(&mainnet.clock, 0, INT64_MIN, now));
  assert_true(aq_duty_gate(&mainnet.clock, 95, 1, 0));
  assert_int_equal(aq_duty_gate_end_ns(&mainnet.clock, now), aq_slot_start_ns(&mainnet.clock, 13 * 32));
  assert_int_equal(aq_duty_gate_end_ns(&mainnet.clock, 0), aq_slot_start_ns(&mainnet.clock, 96));
  assert_true(aq_duty_gate_end_ns(&mainnet.clock, UINT64_MAX) == AQ_NEVER - 1);
}

/* Goal: names and the set of agreed types.
   Method: the table of core.md 1. */
static void names(void **state) {
  (void)state;
  assert_string_equal(aq_duty_name(AQ_DUTY_PREPARE_SYNC_CONTRIBUTION), "prepare_sync_contribution");
  assert_string_equal(aq_duty_name((aq_duty_type)99), "unknown");
  assert_string_equal(aq_duty_name(AQ_DUTY_UNKNOWN), "unknown");
  unsigned agreed = 0;
  for (unsigned t = 0; t < AQ_DUTY_CNT; t++) agreed |= (unsigned)aq_duty_is((aq_duty_type)t, AQ_DF_CONSENSUS) << t;
  assert_int_equal(agreed, 1 << 1 | 1 << 2 | 1 << 9 | 1 << 12 | 1 << 13);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deadlines),
      cmocka_unit_test(starts),
      cmocka_unit_test(gate),
      cmocka_unit_test(names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
