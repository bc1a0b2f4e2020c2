/* Allowances of remotes, scores, and who counts as one. */
#include "p2p/gate.h"

#include "aq_test.h"
#include "base/time.h"

/* Goal: each remote has its own allowance, refilled over time, with a burst of one second.
   Method: virtual time, two remotes, limit 4; members are limited like all. */
static void rate(void **state) {
  (void)state;
  static aq_gate g;
  aq_gate_init(&g, 4, 100, 0);
  uint64_t now = AQ_SECONDS(1000);
  for (int i = 0; i < 4; i++) assert_int_equal(aq_gate_accept(&g, "10.0.0.1", i % 2, now), AQ_GATE_ALLOWED);
  assert_int_equal(aq_gate_accept(&g, "10.0.0.1", true, now), AQ_GATE_LIMITED);
  assert_int_equal(aq_gate_accept(&g, "10.0.0.2", true, now), AQ_GATE_ALLOWED);
  assert_int_equal(aq_gate_accept(&g, "10.0.0.1", true, now + AQ_MILLIS(249)), AQ_GATE_LIMITED);
  assert_int_equal(aq_gate_accept(&g, "10.0.0.1", true, now + AQ_MILLIS(250)), AQ_GATE_ALLOWED);
  assert_int_equal(aq_gate_accept(&g, "10.0.0.1", true, now + AQ_MILLIS(250)), AQ_GATE_LIMITED);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(aq_gate_accept(&g, "10.0.0.1", true, now + AQ_SECONDS(50)), AQ_GATE_ALLOWED);
  }
  assert_int_equal(aq_gate_accept(&g, "10.0.0.1", true, now + AQ_SECONDS(50)), AQ_GATE_LIMITED);
}

/* Goal: strangers are limited when the operator names no limit, members are not.
   Method: two thousand attempts in one second of each. */
static void built_in_rate(void **state) {
  (void)state;
  static aq_gate g;
  uint32_t let_in[2] = {0};
  aq_gate_init(&g, 0, 100, 0);
  for (int i = 0; i < 4000; i++) {
    uint64_t now = AQ_SECONDS(1000) + AQ_MILLIS(i / 4);
    let_in[i % 2] += aq_gate_accept(&g, i % 2 ? "10.0.0.1" : "10.0.0.2", i % 2, now) == AQ_GATE_ALLOWED;
  }
  assert_int_equal(let_in[0], AQ_GATE_STRANGER_BURST + AQ_GATE_STRANGER_RATE - 1);
  assert_int_equal(let_in[1], 2000);
}

/* Goal: an IPv4 address is one remote, so is a /64 of IPv6. Method: texts as the listener gives them. */
static void keys(void **state) {
  (void)state;
  static const char *const t[][2] = {{"10.0.0.1:80", "10.0.0.1"},
                                     {"10.0.0.1:65535", "10.0.0.1"},
                                     {"[2001:db8:1:2::1]:80", "[2001:0db8:0001:0002]"},
                                     {"[2001:db8:1:2:3:4:5:6]:81", "[2001:0db8:0001:0002]"},
                                     {"[2001:db8:1:3::1]:80", "[2001:0db8:0001:0003]"},
                                     {"[fe80::1%eth0]:80", "[fe80:0000:0000:0000]"},
                                     {"[]:1", "[]"},
                                     {"[x]:1", "[x]"},
                                     {"name:1", "name"},
                                     {"", ""}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    char key[AQ_GATE_REMOTE_LEN];
    aq_gate_key(key, t[i][0]);
    assert_string_equal(key, t[i][1]);
  }
}

/* Goal: the table of remotes is bounded and forgets the one unused longest.
   Method: more remotes than it has places. */
static void remotes_bounded(void **state) {
  (void)state;
  static aq_gate g;
  aq_gate_init(&g, 1, 100, 0);
  char remote[32];
  for (int i = 0; i < 1000; i++) {
    snprintf(remote, sizeof remote, "10.0.%d.%d", i / 256, i % 256);
    assert_int_equal(aq_gate_accept(&g, remote, false, AQ_MILLIS(i)), AQ_GATE_ALLOWED);
  }
  assert_int_equal(g.remote_cnt, AQ_GATE_REMOTES_MAX);
  assert_int_equal(aq_gate_accept(&g, remote, false, AQ_MILLIS(1000)), AQ_GATE_LIMITED);
}

/* Goal: order and verdicts of contract.md 6.5: not in the lock, rate, score, cap.
   Method: one gate with all limits on. */
static void verdicts(void **state) {
  (void)state;
  static aq_gate g;
  uint64_t now = AQ_SECONDS(1000);
  aq_gate_init(&g, 0, 10, 50);
  assert_int_equal(aq_gate_secured(&g, -1, now), AQ_GATE_DKG_DENIED);
  assert_int_equal(aq_gate_secured(&g, 3, now), AQ_GATE_ALLOWED);
  assert_int_equal(aq_gate_accept(&g, "a", false, now), AQ_GATE_ALLOWED);
  assert_int_equal(aq_gate_dial(&g, -1, now), AQ_GATE_ALLOWED);
  assert_false(aq_gate_penalty(&g, 3, 50, now));
  assert_int_equal(aq_gate_secured(&g, 3, now), AQ_GATE_ALLOWED);
  assert_true(aq_gate_penalty(&g, 3, 1, now));
  assert_int_equal(aq_gate_secured(&g, 3, now), AQ_GATE_DENIED);
  assert_int_equal(aq_gate_dial(&g, 3, now), AQ_GATE_DENIED);
  assert_int_equal(aq_gate_secured(&g, 2, now), AQ_GATE_ALLOWED);
  assert_int_equal(aq_gate_secured(&g, 3, now + AQ_SECONDS(1)), AQ_GATE_ALLOWED); /* one point a second */
  for (int i = 0; i < 100; i++) aq_gate_penalty(&g, 3, 100, now + AQ_SECONDS(1));
  assert_int_equal(aq_gate_score(&g, 3, now + AQ_SECONDS(1)), AQ_SCORE_MIN);
  assert_int_equal(aq_gate_score(&g, 3, now + AQ_SECONDS(5000)), AQ_SCORE_MAX);
  assert_string_equal(aq_gate_verdict_name(AQ_GATE_DKG_DENIED), "dkg_denied");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rate),     cmocka_unit_test(built_in_rate),
      cmocka_unit_test(keys),     cmocka_unit_test(remotes_bounded),
      cmocka_unit_test(verdicts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
