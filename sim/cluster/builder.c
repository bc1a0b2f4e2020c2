/* A builder behind a relay: which beacon nodes reach it, in which slots it bids, when it breaks its word. One seed in
   three has one, of random numbers of its own: other seeds stay what they were, those of sim/seeds until now among
   them. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/cluster/world.h"

static fake_rng stream(const sim_world *w, uint64_t of) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x8f745b2f8d8c8) ^ of);
  return r;
}

/* Is this beacon node's way to the relay broken, altogether? */
static bool cut_off(sim_world *w, uint32_t op) {
  const sim_fault *f = sim_fault_of(w, SIM_BN_LOCAL, op);
  if (!f || f->p == SIM_LOCAL_LATER) return false;
  sim_count_fault(w, SIM_BN_LOCAL);
  return true;
}

/* It has none once a slot was asked about before. */
static bool tired(sim_world *w, uint32_t op, uint64_t slot) {
  const sim_fault *f = sim_fault_of(w, SIM_BN_LOCAL, op);
  bool again = w->bid_slot[op] == slot;
  w->bid_slot[op] = slot;
  if (!f || f->p != SIM_LOCAL_LATER || !again) return false;
  sim_count_fault(w, SIM_BN_LOCAL);
  return true;
}

static bool bids(void *arg, uint64_t slot) {
  const sim_seat *s = arg;
  sim_world *w = s->w;
  fake_rng r = stream(w, (slot + 1) << 8 ^ (w->bids_differ ? s->op + 1 : 0));
  if (fake_rng_below(&r, 1000) >= w->bid_share) return false;
  return !cut_off(w, s->op) && !tired(w, s->op, slot);
}

static aq_reveal reveals(void *arg, uint64_t slot) {
  const sim_seat *s = arg;
  sim_world *w = s->w;
  if (cut_off(w, s->op)) return AQ_REVEAL_UNKNOWN;
  if (!sim_fault_of(w, SIM_WITHHOLD, s->op)) return AQ_REVEAL_YES;
  sim_count_fault(w, SIM_WITHHOLD);
  if (slot < SIM_SLOTS_MAX) w->withheld[slot] = true;
  return AQ_REVEAL_NO;
}

/* Where some beacon nodes do not know the relay, more than the cluster can spare do: a blinded block that all sign
   reaches one of them. */
void sim_builder_shape(sim_world *w) {
  fake_rng r = stream(w, 0);
  if (w->opts.calm || fake_rng_below(&r, 3) > 0) return;
  w->relay = aq_relay_new();
  w->builder_api = fake_rng_below(&r, 4) > 0;
  w->bid_share = (uint32_t)(300 + fake_rng_below(&r, 701));
  w->bids_differ = fake_rng_below(&r, 2) > 0;
  for (uint32_t op = 0; op < w->n; op++) w->relayed |= 1u << op;
  if (fake_rng_below(&r, 2) > 0) return;
  for (uint32_t tries = w->n; tries > 0 && (uint32_t)__builtin_popcount(w->relayed) > w->f + 1; tries--)
    w->relayed &= ~(1u << fake_rng_below(&r, w->n));
}

const aq_beacon_builder *sim_builder_of(sim_world *w, uint32_t op) {
  w->way[op] = (aq_beacon_builder){w->relay, &w->seat[op], bids, reveals};
  return w->relayed >> op & 1 ? &w->way[op] : NULL;
}

static void add(sim_world *w, fake_rng *r, sim_fault_kind k, uint64_t slots_max) {
  uint64_t slots = (w->heal_ns - w->genesis_ns) / w->slot_ns, slot = 1 + fake_rng_below(r, slots);
  sim_fault f = {.kind = k, .a = (uint32_t)fake_rng_below(r, w->n), .p = fake_rng_below(r, SIM_LOCAL_CNT)};
  f.from_ns = w->genesis_ns + slot * w->slot_ns - AQ_MILLIS(1);
  f.until_ns = f.from_ns + (1 + fake_rng_below(r, slots_max)) * w->slot_ns + AQ_MILLIS(fake_rng_below(r, 900));
  if (f.until_ns > w->heal_ns) f.until_ns = w->heal_ns;
  if (f.until_ns > f.from_ns && w->fault_cnt < SIM_FAULTS_MAX) w->fault[w->fault_cnt++] = f;
}

void sim_builder_faults(sim_world *w) {
  fake_rng r = stream(w, 1);
  if (!w->relay) return;
  if (fake_rng_below(&r, 2) > 0) add(w, &r, SIM_WITHHOLD, 4);
  for (uint64_t more = fake_rng_below(&r, 3); more > 0; more--) add(w, &r, SIM_BN_LOCAL, 2 * w->slots_per_epoch);
}

/* core.md 7.3: what a node asks for is what its operators have set. */
void sim_check_asked(sim_node *n, const aq_httpc_req *req) {
  static const char wanted[] = "builder_boost_factor=18446744073709551615", unwanted[] = "builder_boost_factor=0";
  const char *want = n->w->builder_api ? wanted : unwanted;
  if (n->nature != SIM_HONEST || !strstr(req->url, "/eth/v3/validator/blocks/")) return;
  const char *at = strstr(req->url, want);
  if (!at || (at[strlen(want)] && at[strlen(want)] != '&'))
    sim_fail(n->w, "node %u asks for a block with the builder %s: %.*s", n->op, n->w->builder_api ? "off" : "on",
             (int)strcspn(req->url, "?"), req->url);
}
