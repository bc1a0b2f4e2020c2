/* One cause after the other, the worse one first. */
#include "node/ready.h"

#include "aq_test.h"

static const aq_ready_in well = {.chain_known = true,
                                 .bn = {.reachable = true, .peers_known = true, .peers = 9},
                                 .quorum = true,
                                 .vc_seen = true,
                                 .enable_tss = true,
                                 .disk_free = UINT64_MAX};

static void expect(const aq_ready_in *in, int state, const char *text, bool healthy) {
  aq_ready r;
  aq_ready_judge(&r, in);
  assert_int_equal(r.state, state);
  if (!strstr(r.text, text)) fail_msg("\"%s\" lacks \"%s\"", r.text, text);
  assert_int_equal(r.healthy, healthy);
}

/* Goal: each cause has its number and its text; those that name a mend name it; the worst of several is told.
   Method: a well node with one thing wrong, each; then with everything wrong, and one after the other mended. */
static void test_causes(void **state) {
  (void)state;
  expect(&well, AQ_READY, "ok", true);
  aq_ready_in in = well;
  in.enable_tss = false;
  expect(&in, AQ_READY, "threshold signing off", true);
  in = well, in.disk_free = 0;
  expect(&in, AQ_READY_STORE, "disk full", false);
  in = well, in.store_failing = true;
  expect(&in, AQ_READY_STORE, "store cannot be written", false);
  in = well, in.bn.fork_mismatch = true;
  expect(&in, AQ_READY_BN_FORK, "beacon node fork mismatch", false);
  in = well, in.bn.unfit = true;
  expect(&in, AQ_READY_BN_UNFIT, "beacon node answers do not fit", false);
  in = well, in.clock_off = true;
  expect(&in, AQ_READY_CLOCK, "clock off", true);
  in = well, in.held_back = true;
  expect(&in, AQ_READY_HELD_BACK, "take no other node down", true);
  in = (aq_ready_in){.disk_free = AQ_DISK_FULL_BYTES - 1, .store_failing = true, .held_back = true};
  in.bn.fork_mismatch = in.bn.unfit = in.bn.syncing = in.bn.peers_known = true;
  in.bn.sync_distance = 321;
  snprintf(in.bn.why, sizeof in.bn.why, "http://b:2 does not know fork fulu: upgrade that beacon node");
  expect(&in, AQ_READY_STORE, "disk full", false);
  in.disk_free = AQ_DISK_FULL_BYTES;
  expect(&in, AQ_READY_STORE, "store cannot be written", false);
  in.store_failing = false;
  expect(&in, AQ_READY_BN_FORK, "upgrade that beacon node", false);
  in.bn.fork_mismatch = false;
  expect(&in, AQ_READY_BN_UNFIT, "check --beacon-node-endpoints", false);
  in.bn.unfit = false;
  in.bn.disagree = in.bn.some_unfit = true; /* others serve */
  expect(&in, AQ_READY_BN_DOWN, "beacon node down", true);
  in.chain_known = true;
  expect(&in, AQ_READY_BN_DOWN, "beacon node down", true);
  in.bn.reachable = true;
  expect(&in, AQ_READY_BN_SYNCING, "beacon node not synced", true);
  in.bn.syncing = false;
  expect(&in, AQ_READY_BN_NO_PEERS, "beacon node has zero peers", true);
  in.bn.peers_known = false;
  expect(&in, AQ_READY_BN_FAR_BEHIND, "beacon node far behind", true);
  in.bn.sync_distance = 320;
  in.clock_off = true;
  expect(&in, AQ_READY_CLOCK, "synchronise the time", true);
  in.clock_off = false;
  expect(&in, AQ_READY_HELD_BACK, "held back", true);
  in.held_back = false;
  expect(&in, AQ_READY_NO_QUORUM, "quorum peers not connected", true);
  in.quorum = true;
  expect(&in, AQ_READY_NO_VC, "vc not connected", true);
  in.vc_seen = in.enable_tss = true;
  expect(&in, AQ_READY, "ok", true);
}

/* Goal: a store that fails is known from its first failed commit until one succeeds, and not longer.
   Method: the counters as they come. */
static void test_store(void **state) {
  (void)state;
  aq_ready_store s = {0};
  aq_ready_store_see(&s, 0, 3);
  assert_false(s.failing);
  aq_ready_store_see(&s, 1, 9);
  assert_true(s.failing);
  aq_ready_store_see(&s, 1, 9); /* nothing was tried */
  assert_true(s.failing);
  aq_ready_store_see(&s, 2, 10); /* one of two */
  assert_true(s.failing);
  aq_ready_store_see(&s, 2, 11);
  assert_false(s.failing);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_causes), cmocka_unit_test(test_store)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
