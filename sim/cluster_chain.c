/* The beacon nodes: one an operator, all of one chain, each with its own sight of it. Blocks of validators that are not
   the cluster's appear by themselves; those of the cluster spread from the beacon node that was sent them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "codec/ssz.h"
#include "crypto/hash.h"
#include "world.h"

typedef struct {
  aq_list link;
  sim_world *w;
  uint32_t op;
  aq_beacon_block block;
  aq_buf ssz;
  aq_timer timer;
} gossip;

static void gossip_free(gossip *g) {
  aq_timer_cancel(&g->w->own.env, &g->timer);
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
  g->block.ssz = aq_buf_bytes(&g->ssz);
  if (sim_fault_of(w, SIM_BN_FORK, g->op) && g->block.slot < SIM_SLOTS_MAX) {
    sim_count_fault(w, SIM_BN_FORK);
    w->forked[g->op][g->block.slot] = true;
    other_root(g->block.root, g->block.root, g->op);
  }
  aq_beacon_import(w->bn[g->op], &g->block);
  gossip_free(g);
}

static void spread(sim_world *w, const aq_beacon_block *b, uint32_t not_op) {
  for (uint32_t op = 0; op < w->n; op++) {
    if (op == not_op) continue;
    gossip *g = calloc(1, sizeof *g);
    AQ_ASSERT(g);
    g->w = w, g->op = op, g->block = *b;
    g->ssz = AQ_BUF(1 << 20);
    aq_buf_put_bytes(&g->ssz, b->ssz);
    aq_list_push(&w->blocks, &g->link);
    uint64_t ms = sim_between(w, 30, 900);
    const sim_fault *late = sim_fault_of(w, SIM_BN_LATE, op);
    if (late) ms += late->p, sim_count_fault(w, SIM_BN_LATE);
    aq_timer_set(&w->own.env, &g->timer, w->now_ns + AQ_MILLIS(ms), heard, g);
  }
}

/* The first block of a slot is the chain's. */
static bool first_of(sim_world *w, uint64_t slot, const uint8_t root[32]) {
  if (slot >= SIM_SLOTS_MAX || w->has_root[slot]) return false;
  w->has_root[slot] = true;
  memcpy(w->root_seen[slot], root, 32);
  return true;
}

static void foreign_block(sim_world *w, uint64_t slot) {
  uint8_t seed[16];
  aq_beacon_block b = {.slot = slot, .proposer = aq_beacon_proposer(w->bn[0], slot), .fork = w->fork};
  aq_le64_put(seed, slot);
  aq_le64_put(seed + 8, w->opts.seed);
  aq_sha256(b.root, aq_bytes_of(seed, sizeof seed));
  if (slot > 0 && w->has_root[slot - 1]) memcpy(b.parent, w->root_seen[slot - 1], 32);
  if (first_of(w, slot, b.root)) spread(w, &b, UINT32_MAX);
}

static void slot_tick(void *arg) {
  sim_world *w = arg;
  uint64_t slot = (w->now_ns - w->genesis_ns) / w->slot_ns;
  aq_timer_set(&w->own.env, &w->slot_timer, w->genesis_ns + (slot + 1) * w->slot_ns, slot_tick, w);
  sim_check_slot(w, slot);
  if (slot == 0 || slot >= SIM_SLOTS_MAX) return;
  bool ours = aq_beacon_proposer(w->bn[0], slot) < w->validators;
  if (!ours && !sim_chance(w, 50)) foreign_block(w, slot);
}

/* ---- what the beacon nodes see ---- */

static void attested(void *arg, uint64_t validator, const aq_att_data *data, const uint8_t root[32]) {
  const sim_seat *s = arg;
  sim_trace(s->w, "attested", s->op, validator, aq_bytes_of(root, 32));
  sim_check_attested(s->w, validator, data, root);
}

static void proposed(void *arg, const aq_beacon_block *b) {
  const sim_seat *s = arg;
  sim_trace(s->w, "proposed", s->op, b->slot, aq_bytes_of(b->root, 32));
  sim_check_proposed(s->w, b);
  if (first_of(s->w, b->slot, b->root)) spread(s->w, b, s->op);
}

static void forged(void *arg, uint64_t slot, uint64_t validator) {
  const sim_seat *s = arg;
  sim_check_forged(s->w, s->op, slot, validator);
}

void sim_chain_heal(sim_world *w, uint32_t op) {
  for (uint64_t slot = 0; slot < SIM_SLOTS_MAX; slot++) {
    if (!w->forked[op][slot]) continue;
    w->forked[op][slot] = false;
    aq_beacon_orphan(w->bn[op], slot);
    aq_beacon_block b = {.slot = slot, .proposer = aq_beacon_proposer(w->bn[op], slot), .fork = w->fork};
    memcpy(b.root, w->root_seen[slot], 32);
    if (w->has_root[slot]) aq_beacon_import(w->bn[op], &b);
  }
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

void sim_chain_start(sim_world *w) {
  for (uint32_t op = 0; op < w->n; op++) {
    w->seat[op] = (sim_seat){w, op};
    w->watch[op] = (aq_beacon_watch){&w->seat[op], attested, proposed, forged};
    sim_proc_init(&w->bn_proc[op], w, 200 + op);
    aq_beacon_cfg cfg = {.env = &w->bn_proc[op].env,
                         .pubkey = (const uint8_t(*)[48])w->chain_pub,
                         .validator_cnt = w->chain_validators,
                         .genesis_ns = w->genesis_ns,
                         .slot_ns = w->slot_ns,
                         .slots_per_epoch = w->slots_per_epoch,
                         .genesis_version = {0x20, 0, 0, 1},
                         .watch = &w->watch[op]};
    for (int f = 0; f < AQ_FORK_CNT; f++) cfg.fork_epoch[f] = f <= (int)w->fork ? 0 : AQ_FAR_EPOCH;
    w->bn[op] = aq_beacon_new(&cfg);
    AQ_ASSERT(w->bn[op]);
    aq_beacon_start(w->bn[op]);
  }
  aq_timer_set(&w->own.env, &w->slot_timer, w->genesis_ns, slot_tick, w);
}

void sim_chain_free(sim_world *w) {
  aq_timer_cancel(&w->own.env, &w->slot_timer);
  AQ_LIST_EACH(&w->blocks, g, gossip, link) gossip_free(g);
  for (uint32_t op = 0; op < w->n; op++) {
    if (!w->bn[op]) continue;
    sim_http_cut(w, aq_beacon_handler(w->bn[op]));
    aq_beacon_free(w->bn[op]);
    sim_proc_end(&w->bn_proc[op]);
  }
}
