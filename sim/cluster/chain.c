/* The beacon nodes: one an operator, all of one chain, each with its own sight of it. Blocks of validators that are not
   the cluster's appear by themselves; those of the cluster spread from the beacon node that was sent them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "codec/ssz.h"
#include "crypto/hash.h"
#include "http/http.h"
#include "sim/cluster/world.h"
#include "simchain/beacon_internal.h"
#include "vc/vc_internal.h"

/* ---- the fork on the way ---- */

static aq_fork fork_of_slot(const sim_world *w, uint64_t slot) {
  return slot / w->slots_per_epoch >= w->fork_epoch ? w->next_fork : w->fork;
}

/* Of its own random numbers, so that the rest of a seed does not depend on it. A beacon node learns the fork at the
   latest when the question of the last slot before it can still be answered. */
void sim_chain_shape(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x666f726b));
  uint64_t epochs = w->slots / w->slots_per_epoch;
  w->fork_epoch = AQ_FAR_EPOCH;
  if (w->opts.calm || w->fork == AQ_FULU || epochs < 3 || fake_rng_below(&r, 10) < 3) return;
  w->next_fork = (aq_fork)(w->fork + 1);
  w->fork_epoch = 2 + fake_rng_below(&r, epochs - 2);
  uint64_t span = w->fork_epoch * w->slots_per_epoch * w->slot_ns - w->slot_ns / 2;
  for (uint32_t op = 0; op < w->n; op++) {
    bool late = fake_rng_below(&r, 2) != 0;
    uint64_t after = late ? span - fake_rng_below(&r, 2 * w->slot_ns) : fake_rng_below(&r, span);
    w->learn_ns[op] = w->genesis_ns + after;
  }
}

static void learn(void *arg) {
  const sim_seat *s = arg;
  sim_world *w = s->w;
  sim_say(w, "beacon node %u learns of %s at epoch %llu", s->op, aq_fork_name(w->next_fork),
          (unsigned long long)w->fork_epoch);
  aq_beacon_schedule(w->bn[s->op], w->next_fork, w->fork_epoch);
  if (s->op % 2 == 0) aq_beacon_restart(w->bn[s->op]); /* it was restarted; else nothing tells of it */
}

static bool knows(const sim_world *w, const aq_chain *c, uint64_t epoch) {
  return c->fork[w->next_fork].epoch <= epoch;
}

/* Who had trouble with its beacon node in all the time between takes part from the epoch on that follows the first
   answer. */
static void epoch_of_fork_begins(sim_world *w, uint64_t epoch) {
  uint32_t *unlearnt = &w->unlearnt[epoch];
  for (uint32_t i = 0; i < w->node_cnt; i++) {
    const sim_node *n = w->node[i];
    bool node = n->up && n->core.chain_known, client = n->vc_up && n->vc->ready;
    if ((node && !knows(w, &n->core.chain, epoch)) || (client && !knows(w, &n->vc->chain, epoch)))
      *unlearnt |= 1u << n->op;
  }
  if (epoch == w->fork_epoch || *unlearnt)
    sim_say(w, "%s has begun, operators 0x%x do not know it", aq_fork_name(w->next_fork), *unlearnt);
}

/* ---- blocks ---- */

typedef struct {
  aq_list link;
  sim_world *w;
  uint32_t op;
  aq_beacon_block block;
  aq_buf ssz;
  bool leaves; /* the block is left, not heard */
  aq_timer timer;
} gossip;

static void gossip_free(gossip *g) {
  aq_timer_cancel(&g->w->own.env.env, &g->timer);
  aq_list_remove(&g->link);
  aq_buf_free(&g->ssz);
  free(g);
}

static void other_root(uint8_t out[32], const uint8_t root[32], uint32_t op) {
  uint8_t in[33];
  memcpy(in, root, 32);
  in[32] = (uint8_t)op;
  aq_sha256(out, aq_bytes_of(in, sizeof in));
}

static void heard(void *arg) {
  gossip *g = arg;
  sim_world *w = g->w;
  const aq_sim_block *known = aq_sim_block_at(w->bn[g->op], g->block.slot);
  bool same = known && memcmp(known->root, g->block.root, 32) == 0;
  if (g->leaves && same) aq_beacon_orphan(w->bn[g->op], g->block.slot);
  if (g->leaves || same || (g->block.slot < SIM_SLOTS_MAX && w->left[g->block.slot])) {
    gossip_free(g);
    return;
  }
  g->block.ssz = aq_buf_bytes(&g->ssz);
  if (sim_fault_of(w, SIM_BN_FORK, g->op) && g->block.slot < SIM_SLOTS_MAX) {
    sim_count_fault(w, SIM_BN_FORK);
    w->forked[g->op][g->block.slot] = true;
    other_root(g->block.root, g->block.root, g->op);
  }
  aq_beacon_import(w->bn[g->op], &g->block);
  gossip_free(g);
}

/* Views that differ at an epoch's begin: the first block comes only after the attestations of its slot are asked for.
   Of every second such fault another block stands in its place until then. NULL: nothing of the kind. */
static const sim_fault *split_at(sim_world *w, uint64_t slot, uint32_t op) {
  for (uint32_t i = 0; i < w->fault_cnt && slot % w->slots_per_epoch == 0; i++) {
    const sim_fault *f = &w->fault[i];
    if (f->on && f->kind == SIM_SPLIT && f->p >> op & 1) return f;
  }
  return NULL;
}

static void split_root(uint8_t out[32], const uint8_t root[32]) { other_root(out, root, UINT8_MAX); }

static gossip *reach(sim_world *w, const aq_beacon_block *b, uint32_t op, uint64_t ms) {
  gossip *g = calloc(1, sizeof *g);
  AQ_ASSERT(g);
  g->w = w, g->op = op, g->block = *b;
  g->ssz = AQ_BUF(SIM_SCRATCH);
  aq_buf_put_bytes(&g->ssz, b->ssz);
  aq_list_push(&w->blocks, &g->link);
  aq_timer_set(&w->own.env.env, &g->timer, w->time.now_ns + AQ_MILLIS(ms), heard, g);
  return g;
}

void sim_chain_leave(sim_world *w, uint32_t op, uint64_t slot, uint64_t ms) {
  aq_beacon_block b = {.slot = slot};
  memcpy(b.root, w->root_seen[slot], 32);
  reach(w, &b, op, ms)->leaves = true;
}

static void reach_split(sim_world *w, const aq_beacon_block *b, uint32_t op, uint64_t ms, const sim_fault *f) {
  uint64_t at_ns = w->genesis_ns + b->slot * w->slot_ns + w->slot_ns / 3 + AQ_MILLIS(f->b);
  aq_beacon_block other = *b;
  split_root(other.root, b->root);
  if (f->a % 2 == 1) reach(w, &other, op, ms);
  sim_count_fault(w, SIM_SPLIT);
  reach(w, b, op, at_ns > w->time.now_ns + AQ_MILLIS(ms) ? (at_ns - w->time.now_ns) / AQ_NS_PER_MS : ms + 1);
}

/* A beacon node that refused the block it was sent, for want of its parent, gets it from the others as they did. */
static void spread(sim_world *w, const aq_beacon_block *b, uint32_t not_op) {
  enum { REFUSED_MS = 1000 };
  for (uint32_t op = 0; op < w->n; op++) {
    if (op == not_op) {
      reach(w, b, op, REFUSED_MS);
      continue;
    }
    uint64_t ms = sim_between(w, 30, 900);
    const sim_fault *late = sim_fault_of(w, SIM_BN_LATE, op), *split = split_at(w, b->slot, op);
    if (late) ms += late->p, sim_count_fault(w, SIM_BN_LATE);
    if (split)
      reach_split(w, b, op, ms, split);
    else
      reach(w, b, op, ms);
  }
}

void sim_chain_again(sim_world *w, uint64_t slot) {
  aq_beacon_block b = {.slot = slot, .proposer = aq_beacon_proposer(w->chain, slot), .fork = fork_of_slot(w, slot)};
  memcpy(b.root, w->root_seen[slot], 32);
  aq_beacon_import(w->chain, &b);
  sim_moves_look(w);
  for (uint32_t op = 0; op < w->n; op++) reach(w, &b, op, sim_between(w, 30, 900));
}

/* The first block of a slot is the chain's, unless it left one there. */
static bool first_of(sim_world *w, const aq_beacon_block *b) {
  if (b->slot >= SIM_SLOTS_MAX || w->has_root[b->slot] || w->left[b->slot]) return false;
  aq_beacon_block bare = *b;
  bare.ssz = aq_bytes_of(NULL, 0);
  w->has_root[b->slot] = true;
  memcpy(w->root_seen[b->slot], b->root, 32);
  aq_beacon_import(w->chain, &bare);
  sim_moves_look(w);
  return true;
}

static void foreign_block(sim_world *w, uint64_t slot) {
  uint8_t seed[16];
  aq_beacon_block b = {.slot = slot, .proposer = aq_beacon_proposer(w->chain, slot), .fork = fork_of_slot(w, slot)};
  aq_le64_put(seed, slot);
  aq_le64_put(seed + 8, w->opts.seed);
  aq_sha256(b.root, aq_bytes_of(seed, sizeof seed));
  if (slot > 0 && w->has_root[slot - 1]) memcpy(b.parent, w->root_seen[slot - 1], 32);
  if (first_of(w, &b)) spread(w, &b, UINT32_MAX);
}

static void slot_tick(void *arg) {
  sim_world *w = arg;
  uint64_t slot = (w->time.now_ns - w->genesis_ns) / w->slot_ns;
  aq_timer_set(&w->own.env.env, &w->slot_timer, w->genesis_ns + (slot + 1) * w->slot_ns, slot_tick, w);
  sim_check_slot(w, slot);
  uint64_t epoch = slot / w->slots_per_epoch;
  if (epoch >= w->fork_epoch && slot % w->slots_per_epoch == 0 && slot < SIM_SLOTS_MAX) epoch_of_fork_begins(w, epoch);
  if (slot == 0 || slot >= SIM_SLOTS_MAX) return;
  bool ours = aq_beacon_proposer(w->chain, slot) < w->validators;
  if (!ours && !sim_chance(w, 50)) foreign_block(w, slot);
}

/* ---- what the chain takes ---- */

enum { DEPTH = 64 }; /* slots */

static bool root_before(const sim_world *w, const uint8_t root[32], uint64_t slot) {
  for (uint64_t s = slot + 1; s-- > 0 && slot - s <= DEPTH;) {
    uint8_t other[32];
    if (s >= SIM_SLOTS_MAX || !(w->has_root[s] || w->left[s])) continue;
    split_root(other, w->root_seen[s]); /* lost in the end: an honest vote all the same */
    if (memcmp(w->root_seen[s], root, 32) == 0 || memcmp(other, root, 32) == 0) return true;
  }
  return slot < DEPTH && memcmp(root, aq_beacon_genesis(w->chain), 32) == 0;
}

/* The same, or a block of some beacon node's fork. */
static bool some_block(const sim_world *w, const uint8_t root[32], uint64_t slot) {
  if (root_before(w, root, slot)) return true;
  for (uint64_t s = slot + 1; s-- > 0 && slot - s <= DEPTH;) {
    for (uint32_t op = 0; s < SIM_SLOTS_MAX && (w->has_root[s] || w->left[s]) && op < w->n; op++) {
      uint8_t other[32];
      other_root(other, w->root_seen[s], op);
      if (memcmp(other, root, 32) == 0) return true;
    }
  }
  return false;
}

/* A block of the cluster whose signature is right: of its slot's fork, on a block, with its proposer's RANDAO. */
static bool block_counts(const sim_world *w, uint32_t op, const aq_beacon_block *b) {
  uint8_t le[8], epoch_root[32], root[32];
  uint64_t epoch = b->slot / w->slots_per_epoch;
  if (b->ssz.len == 0) return false; /* its payload is not to be had */
  if (b->fork != fork_of_slot(w, b->slot) || b->slot == 0 || !some_block(w, b->parent, b->slot - 1)) return false;
  aq_le64_put(le, epoch);
  aq_ssz_root(epoch_root, &aq_t_u64, aq_bytes_of(le, sizeof le));
  aq_chain_signing_root(root, &w->bn[op]->chain, AQ_DOMAIN_RANDAO, epoch, epoch_root);
  aq_bytes randao = aq_ssz_get(aq_t_signed_block(b->fork), b->ssz, "message.body.randao_reveal");
  return aq_bls_verify(w->chain_pub[b->proposer], root, randao.ptr) == AQ_OK;
}

/* Does a bad beacon node or a hostile leader make up what nobody judges: heads, and what is in a block? */
static bool made_up(const sim_world *w) {
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    sim_fault_kind k = w->fault[i].kind;
    if ((k == SIM_BN_LIE || k == SIM_BN_GARBAGE) && w->opts.keep >> i & 1) return true;
  }
  return w->liars != 0;
}

/* ---- what the beacon nodes see ---- */

static void attested(void *arg, uint64_t validator, const aq_att_data *data, const uint8_t root[32]) {
  const sim_seat *s = arg;
  if (s->w->over) return;
  sim_trace(s->w, "attested", s->op, validator, aq_bytes_of(root, 32));
  sim_check_attested(s->w, validator, data, root);
}

static void proposed(void *arg, const aq_beacon_block *b) {
  const sim_seat *s = arg;
  if (s->w->over) return;
  sim_trace(s->w, "proposed", s->op, b->slot, aq_bytes_of(b->root, 32));
  bool counts = block_counts(s->w, s->op, b);
  sim_check_proposed(s->w, b, counts || made_up(s->w));
  if (counts && first_of(s->w, b))
    spread(s->w, b, s->op);
  else if (b->slot < SIM_SLOTS_MAX && s->w->left[b->slot])
    sim_chain_leave(s->w, s->op, b->slot, 1); /* it comes too late to be of the chain again */
}

static void told(void *arg, uint64_t epoch) {
  const sim_seat *s = arg;
  sim_moves_told(s->w, s->op, epoch);
}

static void forged(void *arg, uint64_t slot, uint64_t validator) {
  const sim_seat *s = arg;
  if (s->w->over) return;
  sim_check_forged(s->w, s->op, slot, validator);
}

static void exited(void *arg, uint64_t validator, uint64_t epoch, bool valid) {
  const sim_seat *s = arg;
  if (s->w->over) return;
  sim_trace(s->w, "exited", s->op, validator, aq_bytes_of(&epoch, sizeof epoch));
  sim_exit_seen(s->w, s->op, validator, epoch, valid);
}

void sim_chain_heal(sim_world *w, uint32_t op) {
  for (uint64_t slot = 0; slot < SIM_SLOTS_MAX; slot++) {
    if (!w->forked[op][slot]) continue;
    w->forked[op][slot] = false;
    aq_beacon_orphan(w->bn[op], slot);
    aq_beacon_block b = {.slot = slot, .proposer = aq_beacon_proposer(w->chain, slot), .fork = fork_of_slot(w, slot)};
    memcpy(b.root, w->root_seen[slot], 32);
    if (w->has_root[slot]) aq_beacon_import(w->bn[op], &b);
  }
}

void sim_chain_leak(sim_world *w, const sim_fault *f) {
  uint64_t epoch_ns = w->slots_per_epoch * w->slot_ns, now = w->time.now_ns, until = f->until_ns;
  uint64_t from = now > w->genesis_ns ? (now - w->genesis_ns) / epoch_ns + 1 : 1;
  uint64_t to = until > w->genesis_ns ? (until - w->genesis_ns) / epoch_ns + 1 : 1;
  for (uint32_t op = 0; op < w->n; op++) aq_beacon_unjustified(w->bn[op], from, to);
  aq_beacon_unjustified(w->chain, from, to);
  if (to > from) sim_count_fault(w, SIM_LEAK);
}

bool sim_chain_counts(const sim_world *w, const aq_att_data *d) {
  uint64_t spe = w->slots_per_epoch;
  return d->source_epoch == aq_beacon_justified(w->chain, d->target_epoch) &&
         root_before(w, d->source_root, d->source_epoch * spe) &&
         root_before(w, d->target_root, d->target_epoch * spe) &&
         (made_up(w) || some_block(w, d->beacon_block_root, d->slot));
}

/* A lie about what to attest to. Each part is changed with some chance. */
bool sim_chain_answer(sim_world *w, uint32_t op, const aq_http_req *req, aq_buf *out) {
  char text[32];
  uint64_t slot;
  if (!strstr(req->path, "/attestation_data") || !aq_http_query_get(req->query, "slot", text, sizeof text) ||
      aq_u64_parse(&slot, aq_bytes_str(text)) != AQ_OK)
    return false;
  uint64_t epoch = slot / w->slots_per_epoch;
  aq_att_data d = {.slot = slot, .source_epoch = epoch ? epoch - 1 : 0, .target_epoch = epoch};
  uint8_t ssz[128];
  if (slot < SIM_SLOTS_MAX) memcpy(d.beacon_block_root, w->root_seen[slot], 32);
  other_root(d.target_root, d.beacon_block_root, op);
  if (sim_chance(w, 500)) other_root(d.beacon_block_root, d.beacon_block_root, op);
  if (sim_chance(w, 300)) d.source_epoch = sim_random(w, epoch + 2);
  if (sim_chance(w, 200)) d.target_epoch = sim_random(w, epoch + 3);
  if (sim_chance(w, 100)) d.slot = slot + sim_random(w, 3);
  if (sim_chance(w, 100)) d.index = sim_random(w, 4);
  aq_att_data_put(ssz, &d);
  aq_buf_put_str(out, "{\"data\":");
  aq_ssz_to_json(out, &aq_t_attestation_data, aq_bytes_of(ssz, sizeof ssz));
  aq_buf_put_u8(out, '}');
  return true;
}

static aq_beacon *beacon_new(sim_world *w, sim_proc *proc, uint32_t id, const aq_beacon_watch *watch,
                             const aq_beacon_builder *builder) {
  sim_proc_init(proc, w, id);
  aq_beacon_cfg cfg = {.env = &proc->env.env,
                       .pubkey = (const uint8_t(*)[48])w->chain_pub,
                       .validator_cnt = w->chain_validators,
                       .genesis_ns = w->genesis_ns,
                       .slot_ns = w->slot_ns,
                       .slots_per_epoch = w->slots_per_epoch,
                       .genesis_version = {0x20, 0, 0, 1},
                       .watch = watch,
                       .builder = builder};
  for (int f = 0; f < AQ_FORK_CNT; f++) cfg.fork_epoch[f] = f <= (int)w->fork ? 0 : AQ_FAR_EPOCH;
  aq_beacon *b = aq_beacon_new(&cfg);
  AQ_ASSERT(b);
  return b;
}

void sim_chain_start(sim_world *w) {
  w->chain = beacon_new(w, &w->chain_proc, 199, NULL, NULL);
  if (w->fork_epoch != AQ_FAR_EPOCH) aq_beacon_schedule(w->chain, w->next_fork, w->fork_epoch);
  for (uint32_t op = 0; op < w->n; op++) {
    w->seat[op] = (sim_seat){w, op};
    w->watch[op] = (aq_beacon_watch){&w->seat[op], attested, proposed, forged, told, exited};
    w->bn[op] = beacon_new(w, &w->bn_proc[op], 200 + op, &w->watch[op], sim_builder_of(w, op));
    aq_beacon_start(w->bn[op]);
    if (w->fork_epoch != AQ_FAR_EPOCH)
      aq_timer_set(&w->own.env.env, &w->learn[op], w->learn_ns[op], learn, &w->seat[op]);
  }
  aq_timer_set(&w->own.env.env, &w->slot_timer, w->genesis_ns, slot_tick, w);
}

void sim_chain_free(sim_world *w) {
  w->over = true; /* verifications under way end, when other beacon nodes are gone already */
  aq_timer_cancel(&w->own.env.env, &w->slot_timer);
  AQ_LIST_EACH(&w->blocks, g, gossip, link) gossip_free(g);
  for (uint32_t op = 0; op < w->n; op++) {
    aq_timer_cancel(&w->own.env.env, &w->learn[op]);
    if (!w->bn[op]) continue;
    fake_http_cut(&w->web, aq_beacon_handler(w->bn[op]));
    aq_beacon_free(w->bn[op]);
    sim_proc_end(&w->bn_proc[op]);
  }
  if (w->chain) {
    aq_beacon_free(w->chain);
    sim_proc_end(&w->chain_proc);
  }
  sim_moves_free(w);
}
