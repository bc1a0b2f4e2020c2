/* Random records out of a small set of keys, so that many contradict one another. */
#include "store_fire_internal.h"

/* Small spaces of keys, so that equal repetitions and contradictions are frequent. */
enum { VALIDATORS = 3, SLOTS_BACK = 6 };

static aq_duty some_duty(fire *f) {
  static const aq_duty_type type[] = {AQ_DUTY_ATTESTER, AQ_DUTY_PROPOSER, AQ_DUTY_SYNC_CONTRIBUTION};
  uint64_t back = fire_below(f, SLOTS_BACK);
  return (aq_duty){f->slot > back ? f->slot - back : 0, type[fire_below(f, AQ_COUNT(type))]};
}

static world_bytes some_bytes(fire *f, uint32_t kinds) {
  uint64_t len = 40 + fire_below(f, 400);
  if (fire_one_in(f, 12)) len = fire_below(f, 12000);
  if (f->big && fire_one_in(f, 12)) len = fire_below(f, WORLD_BYTES_MAX);
  return (world_bytes){.seed = 1 + (uint32_t)fire_below(f, kinds), .len = (uint32_t)len};
}

static world_blob some_blob(fire *f, aq_duty duty) {
  /* The value is a function of its hash, as in life. */
  uint32_t id = 1 + (uint32_t)fire_below(f, 4);
  uint32_t len = (uint32_t)((duty.slot * 977 + id * 131) % 9000);
  if (f->big && (duty.slot + id) % 5 == 0) len = (uint32_t)((duty.slot * 7919 + id * 131) % WORLD_BYTES_MAX);
  return (world_blob){duty, id, {id, len}};
}

static void some_vote(fire *f, world_op *op) {
  op->kind = WORLD_VOTE;
  if (f->base.votes > 0 && fire_one_in(f, 4)) {
    op->vote = f->base.vote[fire_below(f, f->base.votes)];
    if (fire_one_in(f, 2)) op->vote.msg = some_bytes(f, 1000);
    if (fire_one_in(f, 4)) op->vote.just = some_bytes(f, 1000);
  } else {
    op->vote = (world_vote){.duty = some_duty(f),
                            .msg_type = (uint8_t)(1 + fire_below(f, 4)),
                            .round = 1 + fire_below(f, 5),
                            .msg = some_bytes(f, 1000),
                            .just = some_bytes(f, 1000)};
    if (op->vote.msg_type == 4) op->vote.prepared = fire_below(f, op->vote.round);
  }
  op->has_blob = fire_one_in(f, 3);
  if (op->has_blob) op->blob = some_blob(f, op->vote.duty);
}

static void some_decided(fire *f, world_op *op) {
  op->kind = WORLD_DECIDE;
  op->decided = (world_decided){.duty = some_duty(f),
                                .round = 1 + fire_below(f, 4),
                                .hash = 1 + (uint32_t)fire_below(f, 2),
                                .commits = some_bytes(f, 1000)};
  op->has_blob = fire_one_in(f, 2);
  if (op->has_blob) op->blob = some_blob(f, op->decided.duty);
}

static world_sign some_sign(fire *f) {
  static const aq_duty_type type[] = {
      AQ_DUTY_ATTESTER,          AQ_DUTY_ATTESTER, AQ_DUTY_PROPOSER, AQ_DUTY_BUILDER_PROPOSER,
      AQ_DUTY_SYNC_CONTRIBUTION, AQ_DUTY_EXIT,     AQ_DUTY_RANDAO};
  world_sign s = {.kind = (uint8_t)(1 + fire_below(f, 2)), .pubkey = (uint8_t)(1 + fire_below(f, VALIDATORS))};
  s.duty = (aq_duty){f->slot - fire_below(f, SLOTS_BACK), type[fire_below(f, AQ_COUNT(type))]};
  s.root = 1 + (uint32_t)fire_below(f, 2);
  if (s.duty.type == AQ_DUTY_SYNC_CONTRIBUTION) s.sub = (uint32_t)fire_below(f, 3);
  if (s.duty.type == AQ_DUTY_ATTESTER) {
    s.target = s.duty.slot / 4 + fire_below(f, 2);
    s.source = s.target - fire_below(f, 4 < s.target + 1 ? 4 : s.target + 1);
    if (fire_one_in(f, 16)) s.source = s.target + 1;
  }
  return s;
}

static void some_signs(fire *f, world_op *op) {
  op->kind = WORLD_SIGN;
  op->sign_cnt = 1 + (uint32_t)fire_below(f, 3);
  for (uint32_t i = 0; i < op->sign_cnt; i++) {
    op->sign[i] = some_sign(f);
    if (f->base.signs == 0 || !fire_one_in(f, 4)) continue;
    op->sign[i] = f->base.sign[fire_below(f, f->base.signs)];
    if (fire_one_in(f, 2)) op->sign[i].root += 7;
  }
}

/* Mostly the recent past; at times far ahead, so that the journal is compacted too. */
static void some_prune(fire *f, world_op *op) {
  op->kind = WORLD_PRUNE;
  op->before_slot = f->slot > 8 ? f->slot - fire_below(f, 8) : 0;
  if (fire_one_in(f, 3)) op->before_slot += fire_below(f, 1400);
}

/* Little is pruned near the newest vote: to make room there must be one far from the rest. */
static void make_room(fire *f, world_op *op) {
  uint64_t newest = 0, oldest = UINT64_MAX;
  for (uint32_t i = 0; i < f->base.votes; i++) {
    uint64_t slot = f->base.vote[i].duty.slot;
    newest = slot > newest ? slot : newest, oldest = slot < oldest ? slot : oldest;
  }
  op->kind = WORLD_PRUNE;
  op->before_slot = f->slot + 2000;
  if (f->base.votes == 0 || (newest - oldest > 2000 && newest + 2000 > f->slot)) return;
  f->slot += 4000;
  op->kind = WORLD_VOTE;
  op->vote = (world_vote){.duty = {f->slot, AQ_DUTY_ATTESTER},
                          .msg_type = 2,
                          .round = 1,
                          .msg = some_bytes(f, 1000),
                          .just = some_bytes(f, 1000)};
}

world_op fire_next_op(fire *f) {
  world_op op = {0};
  if (fire_one_in(f, 6)) f->slot += 1 + fire_below(f, 3);
  if (fire_one_in(f, 200)) f->slot += 300;
  uint64_t dice = fire_below(f, 20);
  bool crowded = f->base.votes > WORLD_VOTES - 16 || f->base.blobs > WORLD_BLOBS - 16 ||
                 f->base.decided > WORLD_DECIDED - 16 || f->base.signs > WORLD_SIGNS - 32;
  if (crowded) {
    make_room(f, &op);
  } else if (dice == 0) {
    some_prune(f, &op);
  } else if (dice < 9) {
    some_vote(f, &op);
  } else if (dice < 12) {
    some_decided(f, &op);
  } else if (dice < 19) {
    some_signs(f, &op);
  } else {
    op.kind = WORLD_PEER;
    op.peer = (uint32_t)fire_below(f, WORLD_PEERS), op.addr = (uint32_t)fire_below(f, 5);
  }
  return op;
}
