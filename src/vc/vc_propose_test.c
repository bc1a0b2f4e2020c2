/* The validator client proposes blinded blocks as it does full ones. */
#include "aq_test.h"

#include "fake/vc.h"
#include "simchain/beacon_internal.h"

enum { VALIDATORS = 4, SPE = 8 };

typedef struct {
  fake_vc c;
  aq_relay *relay;
  aq_beacon_builder way;
  aq_beacon_watch watch;
  uint32_t blinded, full; /* slots of blocks that the chain was sent so */
  uint8_t root[2 * SPE + 1][32];
} world;

static bool odd(void *arg, uint64_t slot) { return arg && slot % 2 == 1; }
static void forged(void *arg, uint64_t slot, uint64_t v) { fail_msg("%p %d %d", arg, (int)slot, (int)v); }
static void attested(void *arg, uint64_t v, const aq_att_data *data, const uint8_t root[32]) {
  (void)arg, (void)v, (void)data, (void)root;
}

static void proposed(void *arg, const aq_beacon_block *block) {
  world *w = arg;
  *(block->blinded ? &w->blinded : &w->full) |= 1u << block->slot;
  memcpy(w->root[block->slot], block->root, 32);
}

static world *world_new(aq_fork fork, bool ssz) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->relay = aq_relay_new();
  w->way = (aq_beacon_builder){w->relay, w, odd, NULL};
  w->watch = (aq_beacon_watch){.arg = w, .attested = attested, .proposed = proposed, .forged = forged};
  fake_vc_up(&w->c, VALIDATORS, SPE, fork, ssz, &w->way, &w->watch);
  return w;
}

static void world_free(world *w) {
  fake_vc_down(&w->c);
  aq_relay_free(w->relay);
  free(w);
}

/* One record a block, of what was signed. */
static void check_records(const world *w) {
  uint32_t slots = 0;
  for (fake_row *i = NULL; (i = fake_disk_next(&w->c.disk, i)) != NULL;) {
    const aq_store_sign *r = &i->u.sign;
    uint64_t slot = r->duty.slot;
    uint8_t root[32];
    if (r->duty.type != AQ_DUTY_PROPOSER) continue;
    assert_false(slots >> slot & 1);
    slots |= 1u << slot;
    aq_chain_signing_root(root, &w->c.b->chain, AQ_DOMAIN_BEACON_PROPOSER, slot / SPE, w->root[slot]);
    assert_memory_equal(r->root, root, 32);
  }
  assert_int_equal(slots, w->blinded | w->full);
}

/* Goal: what the builder offers is signed, recorded and sent back on its own route, what the beacon node made itself on
   the other, in both encodings.
   Method: two epochs in which the builder bids in odd slots; an early, a middle and the newest fork. */
static void test_blinded(void **state) {
  static const aq_fork forks[] = {AQ_BELLATRIX, AQ_DENEB, AQ_FULU};
  (void)state;
  for (size_t f = 0; f < 2 * AQ_COUNT(forks); f++) {
    world *w = world_new(forks[f / 2], f % 2);
    fake_env_run_until(&w->c.env, FAKE_CHAIN_GENESIS + 2 * SPE * FAKE_CHAIN_SLOT + AQ_SECONDS(1));
    aq_beacon_stats s;
    aq_vc_stats c;
    aq_beacon_stats_get(w->c.b, &s);
    aq_vc_stats_get(w->c.vc, &c);
    assert_true(s.blocks_ok == 2 * SPE && s.blocks_missed == 0 && s.bad == 0 && s.slashable == 0);
    assert_true(c.blocks == 2 * SPE && c.errors == 0);
    assert_int_equal(w->blinded, 0x0aaaa);
    assert_int_equal(w->full, 0x15554);
    check_records(w);
    world_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_blinded)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
