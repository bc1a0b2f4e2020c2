/* The chain's own state: who attests and proposes when, blocks and their roots, what an attestation should say. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "codec/json_out.h"
#include "simchain/beacon_internal.h"

enum { EVENT_MAX = 1024 }; /* four roots, some numbers */

uint64_t aq_sim_now_slot(const aq_beacon *b) { return aq_slot_at(&b->chain.clock, aq_now_ns(b->cfg.env)); }

const aq_sim_block *aq_sim_block_at(const aq_beacon *b, uint64_t slot) {
  return slot < b->block_cap ? b->block[slot] : NULL;
}

const uint8_t *aq_sim_root_at(const aq_beacon *b, uint64_t slot) {
  for (uint64_t s = slot < b->head_slot ? slot : b->head_slot; s > 0; s--) {
    const aq_sim_block *block = aq_sim_block_at(b, s);
    if (block) return block->root;
  }
  return b->genesis_root;
}

/* ---- duties ---- */

uint32_t aq_sim_committees(const aq_beacon *b) {
  uint64_t cnt = b->cfg.validator_cnt / b->cfg.slots_per_epoch / 8;
  return cnt < 1 ? 1 : cnt > AQ_SIM_COMMITTEES_MAX ? AQ_SIM_COMMITTEES_MAX : (uint32_t)cnt;
}

/* Seat number in the shuffled order -> slot, committee, position, dealt like cards. */
static aq_sim_seat seat_of(const aq_beacon *b, uint32_t pos) {
  uint32_t spe = (uint32_t)b->cfg.slots_per_epoch, cc = aq_sim_committees(b), in_slot = pos / spe;
  return (aq_sim_seat){.slot_off = pos % spe, .committee = in_slot % cc, .position = in_slot / cc};
}

uint32_t aq_sim_committee_size(const aq_beacon *b, uint32_t slot_off, uint32_t committee) {
  uint32_t spe = (uint32_t)b->cfg.slots_per_epoch, cc = aq_sim_committees(b), cnt = 0;
  for (uint32_t pos = slot_off + committee * spe; pos < b->cfg.validator_cnt; pos += cc * spe) cnt++;
  return cnt;
}

/* The newest block before an epoch begins; before the first one the genesis block. */
static const uint8_t *root_before(const aq_beacon *b, uint64_t epoch) {
  return epoch ? aq_sim_root_at(b, epoch * b->cfg.slots_per_epoch - 1) : b->genesis_root;
}

const uint8_t *aq_sim_attester_root(const aq_beacon *b, uint64_t epoch) {
  return root_before(b, epoch ? epoch - 1 : 0);
}

const uint8_t *aq_sim_proposer_root_v1(const aq_beacon *b, uint64_t epoch) { return root_before(b, epoch); }

/* EIP-7917: fixed an epoch ahead; those of the fork's own epoch are of the rule before. */
const uint8_t *aq_sim_proposer_root(const aq_beacon *b, uint64_t epoch) {
  bool ahead = epoch > 0 && aq_fork_of(aq_chain_fork_at(&b->chain, epoch - 1))->proposers_ahead;
  return root_before(b, ahead ? epoch - 1 : epoch);
}

static uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

const aq_sim_epoch *aq_sim_seats(aq_beacon *b, uint64_t epoch) {
  aq_sim_epoch *e = &b->epoch[epoch % 4];
  const uint8_t *root = aq_sim_attester_root(b, epoch);
  if (e->filled && e->epoch == epoch && memcmp(e->root, root, 32) == 0) return e;
  uint32_t cnt = b->cfg.validator_cnt;
  if (!e->seat) {
    e->seat = calloc(cnt, sizeof *e->seat);
    e->order = calloc(cnt, sizeof *e->order);
    AQ_ASSERT(e->seat && e->order);
  }
  for (uint32_t i = 0; i < cnt; i++) e->order[i] = i;
  uint64_t seed = mix(aq_le64_get(root) ^ mix(epoch));
  for (uint32_t i = cnt; i > 1; i--) { /* Fisher and Yates */
    seed = mix(seed);
    uint32_t j = (uint32_t)(seed % i), t = e->order[i - 1];
    e->order[i - 1] = e->order[j];
    e->order[j] = t;
  }
  for (uint32_t pos = 0; pos < cnt; pos++) e->seat[e->order[pos]] = seat_of(b, pos);
  e->epoch = epoch;
  memcpy(e->root, root, 32);
  e->filled = true;
  return e;
}

uint64_t aq_sim_proposer(const aq_beacon *b, uint64_t slot) {
  const uint8_t *root = aq_sim_proposer_root(b, slot / b->cfg.slots_per_epoch);
  return mix(aq_le64_get(root) ^ mix(slot ^ 0x5bd1e995u)) % b->cfg.validator_cnt;
}

/* Everything is justified at once, but during a leak. */
uint64_t aq_beacon_justified(const aq_beacon *b, uint64_t epoch) {
  if (epoch >= b->leak_from && epoch < b->leak_until) epoch = b->leak_from - 1;
  return epoch ? epoch - 1 : 0;
}

const uint8_t *aq_beacon_genesis(const aq_beacon *b) { return b->genesis_root; }

void aq_beacon_unjustified(aq_beacon *b, uint64_t from, uint64_t until) {
  AQ_ASSERT(from > 0);
  b->leak_from = from;
  b->leak_until = until;
}

void aq_sim_att_data(const aq_beacon *b, uint64_t slot, uint64_t index, aq_att_data *out) {
  uint64_t spe = b->cfg.slots_per_epoch, epoch = slot / spe, source = aq_beacon_justified(b, epoch);
  *out = (aq_att_data){.slot = slot, .index = index, .source_epoch = source, .target_epoch = epoch};
  memcpy(out->beacon_block_root, aq_sim_root_at(b, slot), 32);
  memcpy(out->source_root, aq_sim_root_at(b, source * spe), 32);
  memcpy(out->target_root, aq_sim_root_at(b, epoch * spe), 32);
}

/* ---- blocks ---- */

/* `in` with the field replaced; takes the place of *in. */
static aq_status with(aq_buf *in, const aq_ssz_type *t, const char *path, const void *ptr, size_t len) {
  aq_buf out = AQ_BUF(in->max);
  aq_status st = aq_ssz_with(&out, t, aq_buf_bytes(in), path, aq_bytes_of(ptr, len));
  if (st != AQ_OK) {
    aq_buf_free(&out);
    return st;
  }
  aq_buf_free(in);
  *in = out;
  return AQ_OK;
}

static aq_status with_u64(aq_buf *in, const aq_ssz_type *t, const char *path, uint64_t v) {
  uint8_t le[8];
  aq_le64_put(le, v);
  return with(in, t, path, le, sizeof le);
}

static bool has_field(const aq_ssz_type *t, const char *name) {
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    if (strcmp(t->field[i].name, name) == 0) return true;
  }
  return false;
}

/* A sync aggregate without bits carries the point at infinity. */
static aq_status fill_body(aq_beacon *b, aq_buf *out, const aq_ssz_type *t, uint64_t slot) {
  const aq_ssz_type *body = aq_ssz_type_at(t, "body");
  aq_status st = AQ_OK;
  uint8_t infinity[96] = {0xc0};
  if (has_field(body, "sync_aggregate"))
    st = with(out, t, "body.sync_aggregate.sync_committee_signature", infinity, 96);
  if (st != AQ_OK || !has_field(body, "execution_payload")) return st;
  uint8_t hash[32];
  uint64_t time_s = aq_slot_start_ns(&b->chain.clock, slot) / AQ_NS_PER_SEC;
  aq_sha256(hash, aq_bytes_of(&slot, sizeof slot));
  st = with_u64(out, t, "body.execution_payload.block_number", slot);
  if (st == AQ_OK) st = with_u64(out, t, "body.execution_payload.timestamp", time_s);
  if (st == AQ_OK) st = with_u64(out, t, "body.execution_payload.gas_limit", 30000000);
  if (st == AQ_OK) st = with(out, t, "body.execution_payload.block_hash", hash, 32);
  const uint8_t *fee = b->validator[aq_sim_proposer(b, slot)].fee_recipient;
  if (st == AQ_OK) st = with(out, t, "body.execution_payload.fee_recipient", fee, 20);
  return st;
}

aq_status aq_sim_make_block(aq_beacon *b, uint64_t slot, const uint8_t randao[96], const uint8_t graffiti[32],
                            aq_buf *out) {
  aq_fork fork = aq_chain_fork_at(&b->chain, aq_epoch_of(&b->chain.clock, slot));
  const aq_ssz_type *t = aq_t_block(fork);
  aq_buf block = AQ_BUF(AQ_SIM_BLOCK_MAX);
  uint8_t state[32], seed[40];
  memcpy(seed, aq_sim_root_at(b, slot ? slot - 1 : 0), 32);
  aq_le64_put(seed + 32, slot);
  aq_sha256(state, aq_bytes_of(seed, sizeof seed));
  aq_status st = aq_ssz_default(&block, t);
  if (st == AQ_OK) st = with_u64(&block, t, "slot", slot);
  if (st == AQ_OK) st = with_u64(&block, t, "proposer_index", aq_sim_proposer(b, slot));
  if (st == AQ_OK) st = with(&block, t, "parent_root", seed, 32);
  if (st == AQ_OK) st = with(&block, t, "state_root", state, 32);
  if (st == AQ_OK) st = with(&block, t, "body.randao_reveal", randao, 96);
  if (st == AQ_OK) st = with(&block, t, "body.graffiti", graffiti, 32);
  if (st == AQ_OK) st = fill_body(b, &block, t, slot);
  if (st == AQ_OK && aq_t_block_contents(fork)) {
    const aq_bytes part[] = {aq_buf_bytes(&block), aq_bytes_of("", 0), aq_bytes_of("", 0)};
    st = aq_ssz_pack(out, aq_t_block_contents(fork), part, 3);
  } else if (st == AQ_OK) {
    aq_buf_put_bytes(out, aq_buf_bytes(&block));
    st = aq_buf_status(out);
  }
  aq_buf_free(&block);
  return st;
}

void aq_sim_block_free(aq_sim_block *block) {
  if (!block) return;
  aq_buf_free(&block->ssz);
  free(block);
}

static void drop_block(aq_beacon *b, uint64_t slot) {
  aq_sim_block **place = &b->orphan[b->orphan_next++ % AQ_SIM_ORPHANS_MAX];
  aq_sim_block_free(*place);
  *place = b->block[slot];
  b->block[slot] = NULL;
  while (b->head_slot > 0 && !b->block[b->head_slot]) b->head_slot--;
}

static void put_root(aq_json_out *o, const char *name, const uint8_t root[32]) {
  aq_json_out_hex(o, name, aq_bytes_of(root, 32));
}

static void event_end(aq_beacon *b, const char *name, aq_json_out *o) {
  aq_json_out_bool(o, "execution_optimistic", false);
  aq_json_out_close(o, '}');
  aq_sim_event(b, name, aq_buf_cstr(o->out));
  aq_buf_free(o->out);
}

/* Of the newest block, which is not always the one that came. */
static void tell_head(aq_beacon *b) {
  const aq_sim_block *head = aq_sim_block_at(b, b->head_slot);
  uint64_t epoch = b->head_slot / b->cfg.slots_per_epoch;
  aq_buf out = AQ_BUF(EVENT_MAX);
  aq_json_out o = aq_json_out_line(&out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64_str(&o, "slot", b->head_slot);
  put_root(&o, "block", head ? head->root : b->genesis_root);
  put_root(&o, "state", head ? head->parent : b->genesis_root);
  aq_json_out_bool(&o, "epoch_transition", false);
  put_root(&o, "previous_duty_dependent_root", root_before(b, epoch ? epoch - 1 : 0));
  put_root(&o, "current_duty_dependent_root", root_before(b, epoch));
  event_end(b, "head", &o);
}

/* At the slot, to so many slots below the head. */
static void tell_reorg(aq_beacon *b, uint64_t slot, uint64_t depth, const uint8_t from[32], const uint8_t to[32]) {
  aq_buf out = AQ_BUF(EVENT_MAX);
  aq_json_out o = aq_json_out_line(&out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64_str(&o, "slot", aq_sim_now_slot(b));
  aq_json_out_u64_str(&o, "depth", depth);
  put_root(&o, "old_head_block", from);
  put_root(&o, "new_head_block", to);
  put_root(&o, "old_head_state", from);
  put_root(&o, "new_head_state", to);
  aq_json_out_u64_str(&o, "epoch", aq_epoch_of(&b->chain.clock, slot));
  event_end(b, "chain_reorg", &o);
}

static void tell_block(aq_beacon *b, const aq_beacon_block *in) {
  aq_buf out = AQ_BUF(EVENT_MAX);
  aq_json_out o = aq_json_out_line(&out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64_str(&o, "slot", in->slot);
  put_root(&o, "block", in->root);
  event_end(b, "block", &o);
}

void aq_sim_add_block(aq_beacon *b, const aq_beacon_block *in) {
  if (in->slot >= b->block_cap) {
    size_t cap = (size_t)in->slot * 2 + 64;
    aq_sim_block **grown = realloc(b->block, cap * sizeof *grown);
    AQ_ASSERT(grown);
    memset(grown + b->block_cap, 0, (cap - b->block_cap) * sizeof *grown);
    b->block = grown;
    b->block_cap = cap;
  }
  if (b->block[in->slot]) drop_block(b, in->slot);
  aq_sim_block *block = calloc(1, sizeof *block);
  AQ_ASSERT(block);
  *block = (aq_sim_block){.slot = in->slot, .proposer = in->proposer, .fork = in->fork, .ssz = AQ_BUF(AQ_SIM_BODY_MAX)};
  memcpy(block->root, in->root, 32);
  memcpy(block->parent, in->parent, 32);
  aq_buf_put_bytes(&block->ssz, in->ssz);
  b->block[in->slot] = block;
  bool below = in->slot < b->head_slot; /* which was not built on it */
  if (!below) b->head_slot = in->slot;
  tell_block(b, in);
  if (below) tell_reorg(b, in->slot, b->head_slot - in->slot + 1, in->parent, in->root);
  tell_head(b);
}

void aq_beacon_import(aq_beacon *b, const aq_beacon_block *block) {
  const aq_sim_block *known = aq_sim_block_at(b, block->slot);
  if (known && memcmp(known->root, block->root, 32) == 0) return;
  aq_sim_add_block(b, block);
}

void aq_beacon_orphan(aq_beacon *b, uint64_t slot) {
  if (!aq_sim_block_at(b, slot)) return;
  uint64_t depth = b->head_slot - slot + 1;
  uint8_t old[32];
  memcpy(old, b->block[slot]->root, 32);
  drop_block(b, slot);
  tell_reorg(b, slot, depth, old, aq_sim_root_at(b, slot));
  tell_head(b);
}

uint64_t aq_beacon_proposer(const aq_beacon *b, uint64_t slot) { return aq_sim_proposer(b, slot); }

uint64_t aq_beacon_attests_at(aq_beacon *b, uint64_t epoch, uint64_t validator) {
  AQ_ASSERT(validator < b->cfg.validator_cnt);
  return epoch * b->cfg.slots_per_epoch + aq_sim_seats(b, epoch)->seat[validator].slot_off;
}

/* ---- events ---- */

void aq_beacon_restart(aq_beacon *b) {
  for (uint32_t i = 0; i < b->cfg.validator_cnt; i++)
    memset(b->validator[i].fee_recipient, 0, sizeof b->validator[i].fee_recipient);
  AQ_LIST_EACH(&b->streams, s, aq_sim_stream, link) {
    aq_http_res *res = s->res;
    const aq_http_server_vt *vt = s->vt;
    aq_list_remove(&s->link);
    b->stream_cnt--;
    free(s);
    vt->end(res);
  }
}

void aq_sim_event(aq_beacon *b, const char *topic, const char *json) {
  char text[1024];
  int len = snprintf(text, sizeof text, "event: %s\ndata: %s\n\n", topic, json);
  AQ_LIST_EACH(&b->streams, s, aq_sim_stream, link) {
    bool wanted = (strcmp(topic, "head") == 0 && s->head) || (strcmp(topic, "block") == 0 && s->block) ||
                  (strcmp(topic, "chain_reorg") == 0 && s->reorg);
    if (wanted)
      s->vt->write(s->res, aq_bytes_of(text, (size_t)len)); /* a slow reader is cut by the server's own limit */
  }
}
