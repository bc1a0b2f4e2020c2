/* The rules over votes, decisions and signed roots. */
#include "journal/journal.h"

#include "duty/duty.h"

enum { MSG_PREPARE = 2, MSG_COMMIT = 3, MSG_ROUND_CHANGE = 4, MSG_CNT = 5 };

/* Stores keep signed numbers: what they would take as negative breaks every comparison. */
static bool fits(uint64_t a, uint64_t b, uint64_t c) { return a <= INT64_MAX && b <= INT64_MAX && c <= INT64_MAX; }

static bool same_bytes(const uint8_t *a, const uint8_t *b, size_t len) { return memcmp(a, b, len) == 0; }

/* ---- votes ---- */

typedef struct {
  const aq_store_vote *v;
  uint64_t top[MSG_CNT]; /* the highest round of each kind */
  uint64_t prepared;     /* the highest that a ROUND-CHANGE or a COMMIT says was prepared */
  bool known, same;      /* there is one under its key; with its content */
  bool other_commit;     /* its own round has a COMMIT of another value */
} vote_look;

static void higher(uint64_t *top, uint64_t v) {
  if (v > *top) *top = v;
}

static void look_at_vote(void *arg, const aq_store_vote *o) {
  vote_look *l = arg;
  if (o->msg_type == l->v->msg_type && o->round == l->v->round) {
    l->known = true;
    l->same = aq_bytes_eq(o->msg, l->v->msg) && aq_bytes_eq(o->just, l->v->just);
  }
  if (o->msg_type >= MSG_CNT) return;
  higher(&l->top[o->msg_type], o->round);
  if (o->msg_type == MSG_ROUND_CHANGE) higher(&l->prepared, o->prepared_round);
  if (o->msg_type != MSG_COMMIT) return;
  higher(&l->prepared, o->round);
  l->other_commit |= o->round == l->v->round && !same_bytes(o->value_hash, l->v->value_hash, 32);
}

/* Takes back what an earlier vote said. */
static bool goes_back(const vote_look *l) {
  const aq_store_vote *v = l->v;
  switch (v->msg_type) {
    case MSG_PREPARE:
      return v->round < l->top[MSG_ROUND_CHANGE] || v->round < l->top[MSG_PREPARE] || v->round < l->top[MSG_COMMIT] ||
             l->other_commit;
    case MSG_COMMIT: return v->round < l->top[MSG_ROUND_CHANGE] || v->round < l->top[MSG_COMMIT];
    case MSG_ROUND_CHANGE: return v->round < l->top[MSG_ROUND_CHANGE] || v->prepared_round < l->prepared;
    default: return false;
  }
}

aq_status aq_journal_vote(const aq_journal_view *j, const aq_store_vote *v) {
  if (!fits(v->duty.slot, v->round, v->prepared_round)) return AQ_E_LIMIT;
  vote_look l = {.v = v};
  aq_status st = j->votes(j->ctx, v, look_at_vote, &l);
  if (st != AQ_OK) return st;
  if (l.known) return l.same ? AQ_E_DUP : AQ_E_SLASH;
  return goes_back(&l) ? AQ_E_SLASH : AQ_OK;
}

aq_status aq_journal_decided(const aq_journal_view *j, const aq_store_decided *d) {
  if (!fits(d->duty.slot, d->round, 0)) return AQ_E_LIMIT;
  bool known = false;
  uint8_t hash[32];
  aq_status st = j->decided(j->ctx, d->duty, &known, hash);
  if (st != AQ_OK || !known) return st;
  return same_bytes(hash, d->hash, 32) ? AQ_E_DUP : AQ_E_SLASH;
}

/* ---- signed roots ---- */

static bool is_block(aq_duty_type type) { return aq_duty_of(type)->slash == AQ_SLASH_BLOCK; }
static bool attests(aq_duty_type type) { return aq_duty_of(type)->slash == AQ_SLASH_ATTESTATION; }

typedef struct {
  const aq_store_sign *r;
  bool known, same; /* there is one under its key; of its root */
  bool other_block, twice, surrounds;
} sign_look;

static void look_at_sign(void *arg, const aq_store_sign *o) {
  sign_look *l = arg;
  const aq_store_sign *r = l->r;
  if (o->kind != r->kind || !same_bytes(o->pubkey, r->pubkey, 48)) return;
  bool same_root = same_bytes(o->root, r->root, 32);
  if (aq_duty_eq(o->duty, r->duty) && o->sub == r->sub) {
    l->known = true;
    l->same = same_root;
    return;
  }
  if (is_block(r->duty.type) && is_block(o->duty.type)) l->other_block |= o->duty.slot == r->duty.slot && !same_root;
  if (!attests(r->duty.type) || !attests(o->duty.type)) return;
  l->twice |= o->target_epoch == r->target_epoch;
  l->surrounds |= (o->source_epoch < r->source_epoch && r->target_epoch < o->target_epoch) ||
                  (r->source_epoch < o->source_epoch && o->target_epoch < r->target_epoch);
}

/* Conditions 2, 4 and 5 of EIP-3076. */
static bool below(const aq_journal_mark *m, const aq_store_sign *r) {
  if (is_block(r->duty.type)) return (int64_t)r->duty.slot <= m->block_slot;
  return (int64_t)r->source_epoch < m->source || (int64_t)r->target_epoch <= m->target;
}

static aq_store_refusal refusal_of(const sign_look *l) {
  bool block = is_block(l->r->duty.type);
  if (l->known) return l->same ? AQ_REFUSAL_UNKNOWN : block ? AQ_REFUSAL_BLOCK : AQ_REFUSAL_ROOT;
  if (attests(l->r->duty.type) && l->r->source_epoch > l->r->target_epoch) return AQ_REFUSAL_EPOCHS;
  if (l->twice) return AQ_REFUSAL_TARGET;
  if (l->surrounds) return AQ_REFUSAL_SURROUND;
  return l->other_block ? AQ_REFUSAL_BLOCK : AQ_REFUSAL_UNKNOWN;
}

aq_status aq_journal_sign(const aq_journal_view *j, const aq_store_sign *r, aq_store_refusal *why) {
  *why = AQ_REFUSAL_UNKNOWN;
  if (!fits(r->duty.slot, r->source_epoch, r->target_epoch)) return AQ_E_LIMIT;
  sign_look l = {.r = r};
  aq_status st = j->signs(j->ctx, r, look_at_sign, &l);
  if (st != AQ_OK) return st;
  *why = refusal_of(&l);
  if (*why != AQ_REFUSAL_UNKNOWN) return AQ_E_SLASH;
  if (l.known) return AQ_E_DUP;
  if (!aq_journal_marks(r->duty.type)) return AQ_OK;
  aq_journal_mark mark = AQ_JOURNAL_NO_MARK;
  st = j->mark(j->ctx, r->kind, r->pubkey, &mark);
  if (st != AQ_OK || !below(&mark, r)) return st;
  *why = AQ_REFUSAL_MARK;
  return AQ_E_SLASH;
}

/* ---- pruning ---- */

bool aq_journal_stays(aq_duty_type type) { return aq_duty_of(type)->window == AQ_WINDOW_NEVER; }

bool aq_journal_marks(aq_duty_type type) { return is_block(type) || attests(type); }

static void lift(int64_t *at, int64_t v) {
  if (v > *at) *at = v;
}

void aq_journal_join(aq_journal_mark *m, const aq_journal_mark *other) {
  lift(&m->source, other->source);
  lift(&m->target, other->target);
  lift(&m->block_slot, other->block_slot);
}

void aq_journal_raise(aq_journal_mark *m, const aq_store_sign *r) {
  aq_journal_mark one = AQ_JOURNAL_NO_MARK;
  if (attests(r->duty.type))
    one.source = (int64_t)r->source_epoch, one.target = (int64_t)r->target_epoch;
  else if (is_block(r->duty.type))
    one.block_slot = (int64_t)r->duty.slot;
  aq_journal_join(m, &one);
}

uint64_t aq_journal_prune_to(uint64_t before_slot, bool any_vote, uint64_t newest_slot) {
  uint64_t first = newest_slot > AQ_STORE_KEEP_SLOTS ? newest_slot - AQ_STORE_KEEP_SLOTS : 0;
  return any_vote && before_slot > first ? first : before_slot;
}
