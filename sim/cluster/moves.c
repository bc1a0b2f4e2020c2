/* Duties hang on blocks: where beacon nodes said that they are, when the chain moved them, and reorganisations that do
   it. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/cluster/world.h"
#include "simchain/beacon_internal.h"

/* By kind of duty: attesters, proposers. */
struct sim_duties {
  bool told[2][SIM_VALIDATORS_MAX][SIM_SLOTS_MAX];
  uint8_t root[2][SIM_SLOTS_MAX][32]; /* of the chain, by epoch */
  uint64_t moved_ns[2][SIM_SLOTS_MAX];
  bool differed[SIM_SLOTS_MAX]; /* beacon nodes told of other seats than the chain has, or had */
};

enum { ATTESTERS, PROPOSERS };
#define HEARD_NS AQ_SECONDS(1) /* until all have a block, or have left it; until what hangs on it is learnt: as much */

static struct sim_duties *duties(sim_world *w) {
  if (!w->duties) w->duties = calloc(1, sizeof *w->duties);
  AQ_ASSERT(w->duties);
  return w->duties;
}

void sim_moves_free(sim_world *w) {
  free(w->duties);
  w->duties = NULL;
}

/* ---- what was told ---- */

void sim_moves_told(sim_world *w, uint32_t op, uint64_t epoch) {
  struct sim_duties *d = duties(w);
  aq_beacon *b = w->bn[op];
  uint64_t first = epoch * w->slots_per_epoch;
  if (first + w->slots_per_epoch > SIM_SLOTS_MAX) return;
  for (uint32_t v = 0; v < w->validators; v++) d->told[ATTESTERS][v][aq_beacon_attests_at(b, epoch, v)] = true;
  for (uint64_t slot = first; slot < first + w->slots_per_epoch; slot++) {
    uint64_t proposer = aq_beacon_proposer(b, slot);
    if (proposer < w->validators) d->told[PROPOSERS][proposer][slot] = true;
  }
  if (memcmp(aq_sim_attester_root(b, epoch), aq_sim_attester_root(w->chain, epoch), 32) != 0) d->differed[epoch] = true;
}

bool sim_chain_told(const sim_world *w, uint64_t slot, uint64_t validator, bool attester) {
  if (slot >= SIM_SLOTS_MAX || validator >= w->validators || !w->duties) return false;
  return w->duties->told[attester ? ATTESTERS : PROPOSERS][validator][slot];
}

/* ---- what moved ---- */

/* The first slot in which the root that duties of the epoch hang on should be known. */
static uint64_t settled_at(const sim_world *w, uint64_t epoch, int kind) {
  bool ahead = kind == ATTESTERS || (epoch > 0 && aq_chain_fork_at(&w->chain->chain, epoch - 1) >= AQ_FULU);
  if (ahead && epoch > 0) epoch--;
  return epoch * w->slots_per_epoch;
}

void sim_moves_look(sim_world *w) {
  struct sim_duties *d = duties(w);
  uint64_t now =
      w->time.now_ns > w->genesis_ns ? (w->time.now_ns - w->genesis_ns) / w->slot_ns / w->slots_per_epoch : 0;
  for (uint64_t epoch = now > 0 ? now - 1 : 0; epoch < now + 2 && epoch < SIM_SLOTS_MAX; epoch++) {
    for (int kind = ATTESTERS; kind <= PROPOSERS; kind++) {
      const uint8_t *root =
          kind == ATTESTERS ? aq_sim_attester_root(w->chain, epoch) : aq_sim_proposer_root(w->chain, epoch);
      uint64_t settled_ns = w->genesis_ns + settled_at(w, epoch, kind) * w->slot_ns;
      if (memcmp(d->root[kind][epoch], root, 32) == 0) continue;
      memcpy(d->root[kind][epoch], root, 32);
      if (w->time.now_ns + HEARD_NS <= settled_ns) continue;
      d->moved_ns[kind][epoch] = w->time.now_ns;
      if (kind == ATTESTERS) d->differed[epoch] = true;
    }
  }
}

/* Clients look each slot at its begin, before they propose, and at its quarter, before they vote at its third. */
bool sim_chain_moved(const sim_world *w, uint64_t slot, bool attesters) {
  uint64_t epoch = slot / w->slots_per_epoch, at_ns = w->genesis_ns + slot * w->slot_ns;
  if (!w->duties || epoch >= SIM_SLOTS_MAX) return false;
  uint64_t moved_ns = w->duties->moved_ns[attesters ? ATTESTERS : PROPOSERS][epoch];
  if (attesters) at_ns += w->slot_ns / 3;
  return moved_ns && at_ns < moved_ns + 2 * HEARD_NS;
}

bool sim_chain_differed(const sim_world *w, uint32_t op, uint64_t epoch) {
  if (epoch >= SIM_SLOTS_MAX || !w->duties || aq_chain_fork_at(&w->chain->chain, epoch) >= AQ_ELECTRA) return false;
  return w->duties->differed[epoch] ||
         memcmp(aq_sim_attester_root(w->bn[op], epoch), aq_sim_attester_root(w->chain, epoch), 32) != 0;
}

/* ---- reorganisations ---- */

/* Of the last epoch, and the duties that hang on it are the proposers' of this one and the attesters' of the next, or
   (p 2) of the one before that, and those are the attesters' of this one. */
void sim_chain_reorg(sim_world *w, sim_fault *f) {
  uint64_t now = (w->time.now_ns - w->genesis_ns) / w->slot_ns, epoch = now / w->slots_per_epoch;
  if (epoch < f->p) return;
  uint64_t first = (epoch + 1 - f->p) * w->slots_per_epoch, slot = first - 1;
  while (slot > 0 && slot + w->slots_per_epoch >= first && !w->has_root[slot]) slot--;
  if (slot == 0 || slot + w->slots_per_epoch < first) return;
  sim_say(w, "the chain leaves the block of slot %llu", (unsigned long long)slot);
  sim_count_fault(w, SIM_REORG);
  f->b = (uint32_t)slot;
  w->has_root[slot] = false;
  w->left[slot] = true;
  aq_beacon_orphan(w->chain, slot);
  sim_moves_look(w);
  for (uint32_t op = 0; op < w->n; op++) sim_chain_leave(w, op, slot, sim_between(w, 30, 900));
}

void sim_chain_return(sim_world *w, const sim_fault *f) {
  uint64_t slot = f->b;
  if (slot == 0 || w->has_root[slot]) return;
  sim_say(w, "the block of slot %llu is of the chain again", (unsigned long long)slot);
  w->has_root[slot] = true;
  w->left[slot] = false;
  sim_chain_again(w, slot);
}
