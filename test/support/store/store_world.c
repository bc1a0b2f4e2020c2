/* The rules in the plainest form that they have, for others to be compared with. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "store_world.h"

enum { COMMIT = 3, PREPARE = 2, ROUND_CHANGE = 4, JOURNAL_SLOTS = 1024, KEEP_SLOTS = 96 };

/* ---- bytes and rows ---- */

void world_bytes_make(uint8_t *out, world_bytes b) {
  uint32_t x = b.seed * 2654435761U + 1;
  for (uint32_t i = 0; i < b.len; i++) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    out[i] = (uint8_t)x;
  }
}

static uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ (h >> 29);
}

static uint64_t mix_bytes(uint64_t h, aq_bytes b) {
  h = mix(h, b.len);
  for (size_t i = 0; i < b.len; i += 8) {
    uint64_t v = 0;
    memcpy(&v, b.ptr + i, b.len - i < 8 ? b.len - i : 8);
    h = mix(h, v);
  }
  return h;
}

uint64_t world_row_vote(const aq_store_vote *v) {
  uint64_t h = mix(mix(mix(1, v->duty.slot), (uint64_t)v->duty.type), v->msg_type);
  h = mix_bytes(mix(mix(h, v->round), v->prepared_round), aq_bytes_of(v->value_hash, 32));
  return mix_bytes(mix_bytes(h, v->msg), v->just);
}

uint64_t world_row_blob(const aq_store_blob *b) {
  uint64_t h = mix(mix(2, b->duty.slot), (uint64_t)b->duty.type);
  return mix_bytes(mix_bytes(h, aq_bytes_of(b->hash, 32)), b->value);
}

uint64_t world_row_decided(const aq_store_decided *d) {
  uint64_t h = mix(mix(mix(3, d->duty.slot), (uint64_t)d->duty.type), d->round);
  return mix_bytes(mix_bytes(h, aq_bytes_of(d->hash, 32)), d->commits);
}

uint64_t world_row_numbers(const uint64_t *v, size_t cnt) {
  uint64_t h = 4 + cnt;
  for (size_t i = 0; i < cnt; i++) h = mix(h, v[i]);
  return h;
}

uint64_t world_row_peer(uint32_t peer, const char *addr) { return mix_bytes(mix(5, peer), aq_bytes_str(addr)); }

/* ---- the port's form ---- */

static void put_number(uint8_t *out, uint32_t v) { aq_le32_put(out, v); }

aq_store_vote world_port_vote(const world_vote *v) {
  static uint8_t msg[WORLD_BYTES_MAX], just[WORLD_BYTES_MAX];
  world_bytes_make(msg, v->msg), world_bytes_make(just, v->just);
  aq_store_vote out = {.duty = v->duty, .msg_type = v->msg_type, .round = v->round, .prepared_round = v->prepared};
  put_number(out.value_hash, v->msg.seed);
  out.msg = aq_bytes_of(msg, v->msg.len), out.just = aq_bytes_of(just, v->just.len);
  return out;
}

aq_store_blob world_port_blob(const world_blob *b) {
  static uint8_t value[WORLD_BYTES_MAX];
  world_bytes_make(value, b->value);
  aq_store_blob out = {.duty = b->duty, .value = aq_bytes_of(value, b->value.len)};
  put_number(out.hash, b->hash);
  return out;
}

aq_store_decided world_port_decided(const world_decided *d) {
  static uint8_t commits[WORLD_BYTES_MAX];
  world_bytes_make(commits, d->commits);
  aq_store_decided out = {.duty = d->duty, .round = d->round, .commits = aq_bytes_of(commits, d->commits.len)};
  put_number(out.hash, d->hash);
  return out;
}

aq_store_sign world_port_sign(const world_sign *s) {
  aq_store_sign out = {.kind = (aq_sign_kind)s->kind, .duty = s->duty, .sub = s->sub};
  out.pubkey[0] = s->pubkey;
  put_number(out.root, s->root);
  out.source_epoch = s->source, out.target_epoch = s->target;
  return out;
}

void world_port_addr(char out[32], uint32_t addr) {
  out[0] = 0;
  if (addr) snprintf(out, 32, "10.0.0.%u:3610", (unsigned)addr);
}

/* ---- votes ---- */

static bool bytes_eq(world_bytes a, world_bytes b) { return a.seed == b.seed && a.len == b.len; }

static void put_blob(world *w, const world_op *op) {
  if (!op->has_blob) return;
  for (uint32_t i = 0; i < w->blobs; i++) {
    if (!aq_duty_eq(w->blob[i].duty, op->blob.duty) || w->blob[i].hash != op->blob.hash) continue;
    w->blob[i] = op->blob;
    return;
  }
  AQ_ASSERT(w->blobs < WORLD_BLOBS);
  w->blob[w->blobs++] = op->blob;
}

/* The sentences of port/store.h over aq_store_vote, one by one. */
static bool vote_refused(const world *w, const world_vote *v) {
  for (uint32_t i = 0; i < w->votes; i++) {
    const world_vote *o = &w->vote[i];
    if (!aq_duty_eq(o->duty, v->duty)) continue;
    bool moves = v->msg_type == PREPARE || v->msg_type == COMMIT;
    if (moves && o->msg_type == ROUND_CHANGE && v->round < o->round) return true;
    if (moves && o->msg_type == v->msg_type && v->round < o->round) return true;
    if (v->msg_type == PREPARE && o->msg_type == COMMIT) {
      if (v->round < o->round) return true;
      if (v->round == o->round && v->msg.seed != o->msg.seed) return true; /* the seed is the value */
    }
    if (v->msg_type != ROUND_CHANGE) continue;
    if (o->msg_type == ROUND_CHANGE && (v->round < o->round || v->prepared < o->prepared)) return true;
    if (o->msg_type == COMMIT && v->prepared < o->round) return true;
  }
  return false;
}

static aq_status apply_vote(world *w, const world_op *op) {
  const world_vote *v = &op->vote;
  for (uint32_t i = 0; i < w->votes; i++) {
    const world_vote *o = &w->vote[i];
    if (!aq_duty_eq(o->duty, v->duty) || o->msg_type != v->msg_type || o->round != v->round) continue;
    if (!bytes_eq(o->msg, v->msg) || !bytes_eq(o->just, v->just)) return AQ_E_SLASH;
    put_blob(w, op);
    return AQ_OK;
  }
  if (vote_refused(w, v)) return AQ_E_SLASH;
  put_blob(w, op);
  AQ_ASSERT(w->votes < WORLD_VOTES);
  w->vote[w->votes++] = *v;
  return AQ_OK;
}

static aq_status apply_decided(world *w, const world_op *op) {
  for (uint32_t i = 0; i < w->decided; i++) {
    if (!aq_duty_eq(w->decision[i].duty, op->decided.duty)) continue;
    if (w->decision[i].hash != op->decided.hash) return AQ_E_SLASH;
    put_blob(w, op);
    return AQ_OK;
  }
  put_blob(w, op);
  AQ_ASSERT(w->decided < WORLD_DECIDED);
  w->decision[w->decided++] = op->decided;
  return AQ_OK;
}

/* ---- signed roots ---- */

static bool is_block(aq_duty_type t) { return t == AQ_DUTY_PROPOSER || t == AQ_DUTY_BUILDER_PROPOSER; }

static bool attestations_clash(const world_sign *a, const world_sign *b) {
  return a->target == b->target || (a->source < b->source && b->target < a->target) ||
         (b->source < a->source && a->target < b->target);
}

static bool below_mark(const world *w, const world_sign *s) {
  for (uint32_t i = 0; i < w->marks; i++) {
    const world_mark *m = &w->mark[i];
    if (m->kind != s->kind || m->pubkey != s->pubkey) continue;
    if (s->duty.type == AQ_DUTY_ATTESTER) return (int64_t)s->source < m->source || (int64_t)s->target <= m->target;
    return (int64_t)s->duty.slot <= m->block_slot;
  }
  return false;
}

static aq_status sign_one(world *w, const world_sign *s) {
  bool attests = s->duty.type == AQ_DUTY_ATTESTER, clash = attests && s->source > s->target;
  for (uint32_t i = 0; i < w->signs; i++) {
    const world_sign *o = &w->sign[i];
    if (o->kind != s->kind || o->pubkey != s->pubkey) continue;
    if (aq_duty_eq(o->duty, s->duty) && o->sub == s->sub) return o->root == s->root ? AQ_OK : AQ_E_SLASH;
    if (attests && o->duty.type == AQ_DUTY_ATTESTER) clash = clash || attestations_clash(o, s);
    if (is_block(s->duty.type) && is_block(o->duty.type) && o->duty.slot == s->duty.slot)
      clash = clash || o->root != s->root;
  }
  if (clash || ((attests || is_block(s->duty.type)) && below_mark(w, s))) return AQ_E_SLASH;
  AQ_ASSERT(w->signs < WORLD_SIGNS);
  w->sign[w->signs++] = *s;
  return AQ_OK;
}

static aq_status apply_sign(world *w, const world_op *op) {
  uint32_t before = w->signs;
  for (uint32_t i = 0; i < op->sign_cnt; i++) {
    aq_status st = sign_one(w, &op->sign[i]);
    if (st == AQ_OK) continue;
    w->signs = before;
    return st;
  }
  return AQ_OK;
}

/* ---- pruning ---- */

static world_mark *mark_of(world *w, const world_sign *s) {
  for (uint32_t i = 0; i < w->marks; i++) {
    if (w->mark[i].kind == s->kind && w->mark[i].pubkey == s->pubkey) return &w->mark[i];
  }
  AQ_ASSERT(w->marks < WORLD_MARKS);
  w->mark[w->marks] = (world_mark){.kind = s->kind, .pubkey = s->pubkey, .source = -1, .target = -1, .block_slot = -1};
  return &w->mark[w->marks++];
}

static void raise(int64_t *at, uint64_t v) {
  if ((int64_t)v > *at) *at = (int64_t)v;
}

static void compact(world *w, uint64_t cutoff) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < w->signs; i++) {
    const world_sign s = w->sign[i];
    bool stays = s.duty.slot >= cutoff || s.duty.type == AQ_DUTY_EXIT || s.duty.type == AQ_DUTY_BUILDER_REGISTRATION;
    if (stays) {
      w->sign[kept++] = s;
    } else if (s.duty.type == AQ_DUTY_ATTESTER) {
      raise(&mark_of(w, &s)->source, s.source), raise(&mark_of(w, &s)->target, s.target);
    } else if (is_block(s.duty.type)) {
      raise(&mark_of(w, &s)->block_slot, s.duty.slot);
    }
  }
  w->signs = kept;
}

#define DROP(array, cnt)                                                   \
  do {                                                                     \
    uint32_t kept = 0;                                                     \
    for (uint32_t i = 0; i < w->cnt; i++)                                  \
      if (w->array[i].duty.slot >= before) w->array[kept++] = w->array[i]; \
    w->cnt = kept;                                                         \
  } while (0)

static aq_status apply_prune(world *w, uint64_t before) {
  uint64_t newest = 0;
  for (uint32_t i = 0; i < w->votes; i++) newest = w->vote[i].duty.slot > newest ? w->vote[i].duty.slot : newest;
  if (w->votes > 0 && before + KEEP_SLOTS > newest) before = newest > KEEP_SLOTS ? newest - KEEP_SLOTS : 0;
  DROP(vote, votes);
  DROP(blob, blobs);
  DROP(decision, decided);
  uint64_t cutoff = before > JOURNAL_SLOTS ? before - JOURNAL_SLOTS : 0;
  if (cutoff >= w->compacted_slot + JOURNAL_SLOTS / 4) {
    compact(w, cutoff);
    w->compacted_slot = cutoff;
  }
  return AQ_OK;
}

aq_status world_apply(world *w, const world_op *op) {
  switch (op->kind) {
    case WORLD_VOTE: return apply_vote(w, op);
    case WORLD_DECIDE: return apply_decided(w, op);
    case WORLD_SIGN: return apply_sign(w, op);
    case WORLD_PEER: w->peer[op->peer] = op->addr; return AQ_OK;
    case WORLD_PRUNE: return apply_prune(w, op->before_slot);
  }
  return AQ_E_LIMIT;
}

/* ---- sums ---- */

world_sum world_sum_of(const world *w) {
  world_sum s = {0};
  for (uint32_t i = 0; i < w->votes; i++) {
    aq_store_vote v = world_port_vote(&w->vote[i]);
    s.vote += world_row_vote(&v);
  }
  for (uint32_t i = 0; i < w->blobs; i++) {
    aq_store_blob b = world_port_blob(&w->blob[i]);
    s.blob += world_row_blob(&b);
  }
  for (uint32_t i = 0; i < w->decided; i++) {
    aq_store_decided d = world_port_decided(&w->decision[i]);
    s.decided += world_row_decided(&d);
  }
  for (uint32_t i = 0; i < w->signs; i++) {
    const world_sign *r = &w->sign[i];
    const uint64_t v[] = {r->kind,   r->pubkey, (uint64_t)r->duty.type, r->duty.slot, r->sub, r->root,
                          r->source, r->target};
    s.sign += world_row_numbers(v, AQ_COUNT(v));
  }
  for (uint32_t i = 0; i < w->marks; i++) {
    const world_mark *m = &w->mark[i];
    const uint64_t v[] = {m->kind, m->pubkey, (uint64_t)m->source, (uint64_t)m->target, (uint64_t)m->block_slot};
    s.mark += world_row_numbers(v, AQ_COUNT(v));
  }
  for (uint32_t i = 0; i < WORLD_PEERS; i++) {
    char addr[32];
    world_port_addr(addr, w->peer[i]);
    if (w->peer[i]) s.peer += world_row_peer(i, addr), s.rows++;
  }
  s.rows += w->votes + w->blobs + w->decided + w->signs + w->marks;
  return s;
}

bool world_sum_eq(const world_sum *a, const world_sum *b) {
  return a->vote == b->vote && a->blob == b->blob && a->decided == b->decided && a->sign == b->sign &&
         a->mark == b->mark && a->peer == b->peer && a->rows == b->rows;
}
