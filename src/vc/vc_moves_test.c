/* The validator client on a chain whose duties move. */
#include "aq_test.h"
#include "fake/vc.h"
#include "simchain/beacon_internal.h"

enum { VALIDATORS = 16, SPE = 8 };
#define GENESIS FAKE_CHAIN_GENESIS
#define SLOT_NS FAKE_CHAIN_SLOT

typedef fake_vc world;

static world *world_new(aq_fork fork) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  fake_vc_up(w, VALIDATORS, SPE, fork, false, NULL, NULL);
  return w;
}

static void world_free(world *w) {
  fake_vc_down(w);
  free(w);
}

static void run_to(world *w, uint64_t slot, uint64_t after_ns) {
  fake_env_run_until(&w->env, GENESIS + slot * SLOT_NS + after_ns);
}

static aq_beacon_stats chain(const world *w) {
  aq_beacon_stats s;
  aq_beacon_stats_get(w->b, &s);
  return s;
}

/* Goal: blocks are proposed by whoever the chain names once it is told: from the first slot of each epoch on, and where
   a reorganisation moves proposers; nothing is proposed by an old list.
   Method: before Fulu, the last block before epoch 2 is left between slots 18 and 19. */
static void test_proposers_move(void **state) {
  (void)state;
  world *w = world_new(AQ_ELECTRA);
  run_to(w, 2 * SPE + 2, 9 * SLOT_NS / 10);
  assert_int_equal(chain(w).blocks_ok, 2 * SPE + 2);
  uint64_t before[SPE], moved = 0;
  for (uint64_t i = 3; i < SPE; i++) before[i] = aq_beacon_proposer(w->b, 2 * SPE + i);
  aq_beacon_orphan(w->b, 2 * SPE - 1);
  for (uint64_t i = 3; i < SPE; i++) moved += aq_beacon_proposer(w->b, 2 * SPE + i) != before[i];
  assert_true(moved > 0);
  run_to(w, 4 * SPE, 0);
  assert_int_equal(chain(w).blocks_ok, 4 * SPE - 1);
  assert_int_equal(chain(w).bad, 0);
  assert_int_equal(chain(w).slashable, 0);
  aq_vc_stats s;
  aq_vc_stats_get(w->vc, &s);
  assert_int_equal(s.errors, 0);
  world_free(w);
}

/* Goal: attesters whose duty moves vote once, at the new place, if their old one had not come; those that voted do not
   vote again.
   Method: the last block before epoch 1, on which attesters of epoch 2 depend, is left in a slot's first quarter. */
static void test_attesters_move(void **state) {
  (void)state;
  world *w = world_new(AQ_ELECTRA);
  uint64_t when = 2 * SPE + 3, late = 0;
  run_to(w, when, SLOT_NS / 8);
  uint64_t ok = chain(w).attestations_ok, before[VALIDATORS];
  for (uint64_t v = 0; v < VALIDATORS; v++) before[v] = aq_beacon_attests_at(w->b, 2, v);
  aq_beacon_orphan(w->b, SPE - 1);
  for (uint64_t v = 0; v < VALIDATORS; v++) {
    uint64_t after = aq_beacon_attests_at(w->b, 2, v);
    if (before[v] >= when && after < when) late++; /* its new place is over, and its old one did not come */
    if (before[v] >= when && after >= when) ok++;
  }
  run_to(w, 3 * SPE, SLOT_NS / 8);
  assert_int_equal(chain(w).attestations_ok, ok);
  assert_true(late < VALIDATORS / 2);
  assert_int_equal(chain(w).bad, 0);
  assert_int_equal(chain(w).slashable, 0);
  run_to(w, 4 * SPE, SLOT_NS / 8);
  assert_int_equal(chain(w).attestations_ok, ok + VALIDATORS);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_proposers_move), cmocka_unit_test(test_attesters_move)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
