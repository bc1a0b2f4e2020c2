/* Charon's table of time-outs and leaders, and what we added to it. */
#include "qbft/timer.h"

#include "aq_test.h"
#include "base/time.h"
#include "qbft/qbft.h"

enum { SLOT_MS = 12000, SLOT = 1000 };

static const aq_chain mainnet = {
    .clock = {.genesis_ns = AQ_SECONDS(1606824023), .slot_ns = AQ_MILLIS(SLOT_MS), .slots_per_epoch = 32}};

static aq_timer_flags flags_of(const char *features) {
  aq_timer_flags f = {.eager = true, .proposal_timeout = true};
  if (strstr(features, "eager_off")) f.eager = false;
  if (strstr(features, "no_proposal_timeout")) f.proposal_timeout = false;
  return f;
}

/* Goal: rounds end when Charon's do, for every duty, combination of the flags that we have and moment of arming.
   Method: timers.json, first and second arming of rounds 1 to 6; an end in the past fires at once. */
static void deadlines_of_charon(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/timers.json");
  yyjson_val *cases = yyjson_obj_get(yyjson_doc_get_root(doc), "round_timers"), *c;
  yyjson_arr_iter it = yyjson_arr_iter_with(cases);
  size_t cnt = 0;
  while ((c = yyjson_arr_iter_next(&it))) {
    if (strstr(aq_test_str(c, "features"), "linear_on")) continue;
    aq_timer_flags f = flags_of(aq_test_str(c, "features"));
    aq_duty duty = {SLOT, (aq_duty_type)aq_test_u64(c, "duty_type")};
    assert_string_equal(aq_round_timer_name(aq_round_timer_for(&f)), aq_test_str(c, "timer"));
    uint64_t now = aq_duty_start_ns(&mainnet, duty) + AQ_MILLIS(aq_test_u64(c, "now_after_duty_start_ms"));
    yyjson_val *first = yyjson_obj_get(c, "first_call_fires_after_ms_round_1_to_6");
    yyjson_val *second = yyjson_obj_get(c, "second_call_fires_after_ms_round_1_to_6");
    assert_int_equal(yyjson_arr_size(first), 6);
    for (size_t r = 0; r < 6; r++, cnt++) {
      uint64_t at = aq_round_deadline_ns(&f, &mainnet, duty, (int64_t)r + 1, false, now, 0);
      uint64_t again = aq_round_deadline_ns(&f, &mainnet, duty, (int64_t)r + 1, true, now, at);
      assert_int_equal(at < now ? 0 : (at - now) / AQ_NS_PER_MS, yyjson_get_uint(yyjson_arr_get(first, r)));
      assert_int_equal(again < now ? 0 : (again - now) / AQ_NS_PER_MS, yyjson_get_uint(yyjson_arr_get(second, r)));
    }
  }
  assert_true(cnt > 300);
  yyjson_doc_free(doc);
}

/* Goal: where a slot is shorter than 5 s a round takes twice the share of it that it has on mainnet; three rounds and
   the second end of the first fit into it, as they must for a block. Other slots change nothing.
   Method: slots on both sides of the bound, rounds of less and of more than six seconds, both armings, both duties. */
static void rounds_of_short_slots(void **state) {
  (void)state;
  static const uint64_t slot_ms[] = {500, 1000, 2000, 3000, 4999, 5000, 6000, 12000};
  aq_timer_flags f = flags_of("default");
  for (size_t i = 0; i < AQ_COUNT(slot_ms); i++) {
    aq_chain chain = {.clock = {AQ_SECONDS(1606824023), AQ_MILLIS(slot_ms[i]), 32}};
    for (int64_t r = 1; r <= 13; r++) {
      for (int block = 0; block < 2; block++) {
        aq_duty duty = {SLOT, block ? AQ_DUTY_PROPOSER : AQ_DUTY_ATTESTER};
        uint64_t ms = (uint64_t)r * 1000 + (block ? 500 : 0), start = aq_duty_start_ns(&chain, duty);
        uint64_t want = slot_ms[i] < 5000 ? ms * slot_ms[i] * 1000 / 6 : AQ_MILLIS(ms);
        uint64_t first = aq_round_deadline_ns(&f, &chain, duty, r, false, start, 0) - start;
        uint64_t second = aq_round_deadline_ns(&f, &chain, duty, r, true, start, start + first) - start;
        assert_in_range(first, want - 10, want + 10); /* whole nanoseconds */
        assert_int_equal(second, 2 * first);
      }
    }
  }
}

/* Goal: what a node waits for the votes of others is three quarters of a first round, a quarter as much more each
   round, in short slots too. Method: slots on both sides of the bound, early and late rounds. */
static void patience(void **state) {
  (void)state;
  static const uint64_t slot_ms[] = {500, 2000, 4999, 5000, 12000};
  aq_timer_flags f = flags_of("default");
  aq_duty duty = {SLOT, AQ_DUTY_ATTESTER};
  for (size_t i = 0; i < AQ_COUNT(slot_ms); i++) {
    aq_chain chain = {.clock = {AQ_SECONDS(1606824023), AQ_MILLIS(slot_ms[i]), 32}};
    uint64_t round = aq_round_deadline_ns(&f, &chain, duty, 1, false, 0, 0) - aq_duty_start_ns(&chain, duty);
    for (uint64_t r = 1; r < 20; r++) {
      uint64_t want = round * 3 / 4 + (r - 1) * (round * 3 / 16);
      assert_in_range(aq_round_patience_ns(&chain.clock, (int64_t)r), want - 50, want + 50);
    }
  }
}

/* Goal: without genesis the first arming counts from now, the second from that end; no round overflows.
   Method: formula of consensus.md 3, and the highest round. */
static void without_a_clock(void **state) {
  (void)state;
  aq_timer_flags f = flags_of("default");
  aq_duty duty = {SLOT, AQ_DUTY_ATTESTER};
  assert_int_equal(aq_round_deadline_ns(&f, NULL, duty, 2, false, 500, 0), AQ_SECONDS(2) + 500);
  assert_int_equal(aq_round_deadline_ns(&f, NULL, duty, 2, true, 900, AQ_SECONDS(2) + 500), AQ_SECONDS(4) + 500);
  uint64_t last = aq_round_deadline_ns(&f, &mainnet, duty, INT32_MAX, true, 0, 0);
  assert_true(last > aq_duty_start_ns(&mainnet, duty) && last < AQ_NEVER);
}

/* Goal: the same leader as Charon names, wrap cases included, and the same quorum for every cluster size.
   Method: leader.json. */
static void leaders_of_charon(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/leader.json");
  yyjson_val *root = yyjson_doc_get_root(doc), *c;
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(root, "leaders"));
  while ((c = yyjson_arr_iter_next(&it))) {
    yyjson_val *want = yyjson_obj_get(c, "leaders_round_1_to_8");
    for (size_t r = 0; r < 8; r++) {
      uint32_t got = aq_qbft_leader(aq_test_u64(c, "slot"), (int64_t)aq_test_u64(c, "type"), (int64_t)r + 1,
                                    (uint32_t)aq_test_u64(c, "n"));
      assert_int_equal(got, yyjson_get_uint(yyjson_arr_get(want, r)));
    }
  }
  it = yyjson_arr_iter_with(yyjson_obj_get(root, "overflow_edges"));
  while ((c = yyjson_arr_iter_next(&it))) {
    int64_t want = yyjson_get_sint(yyjson_obj_get(c, "leader"));
    uint32_t got = aq_qbft_leader(aq_test_u64(c, "slot"), (int64_t)aq_test_u64(c, "type"),
                                  (int64_t)aq_test_u64(c, "round"), (uint32_t)aq_test_u64(c, "n"));
    assert_int_equal(got, want < 0 ? UINT32_MAX : (uint32_t)want);
  }
  it = yyjson_arr_iter_with(yyjson_obj_get(root, "quorum"));
  while ((c = yyjson_arr_iter_next(&it))) {
    uint32_t n = (uint32_t)aq_test_u64(c, "n");
    assert_int_equal(aq_qbft_quorum(n), aq_test_u64(c, "quorum"));
    assert_int_equal(aq_qbft_faulty(n), aq_test_u64(c, "faulty"));
  }
  yyjson_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deadlines_of_charon),   cmocka_unit_test(patience),          cmocka_unit_test(without_a_clock),
      cmocka_unit_test(rounds_of_short_slots), cmocka_unit_test(leaders_of_charon),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
