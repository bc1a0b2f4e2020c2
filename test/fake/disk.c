/* Rows in lists by slot, and the view of them that the journal's rules look through. */
#include "fake/disk.h"

#include <stdlib.h>

#include "base/assert.h"

struct fake_mark {
  aq_sign_kind kind;
  uint8_t pubkey[48];
  aq_journal_mark m;
};

/* ---- rows ---- */

static fake_row *row_new(fake_row_kind kind, aq_bytes a, aq_bytes b) {
  fake_row *r = calloc(1, sizeof *r + a.len + b.len);
  AQ_ASSERT(r);
  r->kind = kind;
  aq_list_init(&r->link);
  aq_list_init(&r->turn);
  if (a.len) memcpy(r->data, a.ptr, a.len);
  if (b.len) memcpy(r->data + a.len, b.ptr, b.len);
  return r;
}

fake_row *fake_row_vote(const aq_store_vote *v) {
  fake_row *r = row_new(FAKE_VOTE, v->msg, v->just);
  r->u.vote = *v;
  r->u.vote.msg = aq_bytes_of(r->data, v->msg.len);
  r->u.vote.just = aq_bytes_of(r->data + v->msg.len, v->just.len);
  return r;
}

fake_row *fake_row_decided(const aq_store_decided *d) {
  fake_row *r = row_new(FAKE_DECIDED, d->commits, aq_bytes_of(NULL, 0));
  r->u.decided = *d;
  r->u.decided.commits = aq_bytes_of(r->data, d->commits.len);
  return r;
}

fake_row *fake_row_sign(const aq_store_sign *s) {
  fake_row *r = row_new(FAKE_SIGN, s->partial, aq_bytes_of(NULL, 0));
  r->u.sign = *s;
  r->u.sign.partial = aq_bytes_of(r->data, s->partial.len);
  return r;
}

fake_row *fake_row_blob(const aq_store_blob *b) {
  fake_row *r = row_new(FAKE_BLOB, b->value, aq_bytes_of(NULL, 0));
  r->u.blob = *b;
  r->u.blob.value = aq_bytes_of(r->data, b->value.len);
  return r;
}

static fake_row *row_copy(const fake_row *r) {
  switch (r->kind) {
    case FAKE_VOTE: return fake_row_vote(&r->u.vote);
    case FAKE_DECIDED: return fake_row_decided(&r->u.decided);
    case FAKE_SIGN: return fake_row_sign(&r->u.sign);
    case FAKE_BLOB: return fake_row_blob(&r->u.blob);
  }
  return NULL;
}

aq_duty fake_row_duty(const fake_row *r) {
  switch (r->kind) {
    case FAKE_VOTE: return r->u.vote.duty;
    case FAKE_DECIDED: return r->u.decided.duty;
    case FAKE_SIGN: return r->u.sign.duty;
    case FAKE_BLOB: return r->u.blob.duty;
  }
  return (aq_duty){0};
}

void fake_rows_free(aq_list *rows) {
  AQ_LIST_EACH(rows, r, fake_row, turn) free(r);
  aq_list_init(rows);
}

/* ---- disks ---- */

/* As AQ_LIST_EACH, of a disk that is only looked at. */
#define EACH_OF(d, at, it) AQ_LIST_EACH((aq_list *)(uintptr_t)list_of(d, at), it, fake_row, link)

static const aq_list *list_of(const fake_disk *d, uint64_t slot) {
  return &d->slot[slot < FAKE_DISK_SLOTS ? slot : FAKE_DISK_SLOTS];
}

void fake_disk_init(fake_disk *d) {
  *d = (fake_disk){.journal_slots = 1024};
  for (size_t i = 0; i <= FAKE_DISK_SLOTS; i++) aq_list_init(&d->slot[i]);
}

void fake_disk_drop(fake_row *r) {
  aq_list_remove(&r->link);
  free(r);
}

void fake_disk_free(fake_disk *d) {
  for (uint64_t i = 0; i <= FAKE_DISK_SLOTS; i++) EACH_OF(d, i, r) fake_disk_drop(r);
  free(d->mark);
  d->mark = NULL;
  d->mark_cnt = 0;
}

void fake_disk_lose(fake_disk *d, uint64_t now_ns) {
  uint64_t journal_slots = d->journal_slots;
  bool fails = d->fails;
  fake_disk_free(d);
  fake_disk_init(d);
  d->journal_slots = journal_slots, d->fails = fails;
  d->missing = true;
  d->since_ns = now_ns;
}

void fake_disk_copy(fake_disk *out, const fake_disk *in) {
  fake_disk_free(out);
  *out = *in;
  for (uint64_t i = 0; i <= FAKE_DISK_SLOTS; i++) {
    aq_list_init(&out->slot[i]);
    EACH_OF(in, i, r) aq_list_push(&out->slot[i], &row_copy(r)->link);
  }
  out->mark = calloc(in->mark_cnt + 1, sizeof *out->mark);
  AQ_ASSERT(out->mark);
  for (size_t i = 0; i < in->mark_cnt; i++) out->mark[i] = in->mark[i];
}

fake_row *fake_disk_next(const fake_disk *d, const fake_row *at) {
  uint64_t i = at ? fake_row_duty(at).slot : 0;
  if (i > FAKE_DISK_SLOTS) i = FAKE_DISK_SLOTS;
  const aq_list *next = at ? at->link.next : d->slot[0].next;
  while (next == &d->slot[i]) {
    if (i == FAKE_DISK_SLOTS) return NULL;
    next = d->slot[++i].next;
  }
  return AQ_CONTAINER((aq_list *)(uintptr_t)next, fake_row, link);
}

size_t fake_disk_cnt(const fake_disk *d, fake_row_kind kind) {
  size_t cnt = 0;
  for (fake_row *r = NULL; (r = fake_disk_next(d, r)) != NULL;) cnt += r->kind == kind;
  return cnt;
}

size_t fake_disk_size(const fake_disk *d) {
  size_t cnt = 0;
  for (fake_row *r = NULL; (r = fake_disk_next(d, r)) != NULL;) cnt++;
  return cnt;
}

/* ---- looking ---- */

const aq_store_vote *fake_disk_vote(const fake_disk *d, aq_duty duty, uint8_t msg_type, uint64_t round) {
  EACH_OF(d, duty.slot, r) {
    const aq_store_vote *v = &r->u.vote;
    if (r->kind == FAKE_VOTE && aq_duty_eq(v->duty, duty) && v->msg_type == msg_type && v->round == round) return v;
  }
  return NULL;
}

const aq_store_decided *fake_disk_decided(const fake_disk *d, aq_duty duty) {
  EACH_OF(d, duty.slot, r) {
    if (r->kind == FAKE_DECIDED && aq_duty_eq(r->u.decided.duty, duty)) return &r->u.decided;
  }
  return NULL;
}

const aq_store_blob *fake_disk_blob(const fake_disk *d, aq_duty duty, const uint8_t hash[32]) {
  EACH_OF(d, duty.slot, r) {
    const aq_store_blob *b = &r->u.blob;
    if (r->kind == FAKE_BLOB && aq_duty_eq(b->duty, duty) && memcmp(b->hash, hash, 32) == 0) return b;
  }
  return NULL;
}

static bool is_sign_of(const fake_row *r, aq_duty duty, const uint8_t pubkey[48]) {
  const aq_store_sign *s = &r->u.sign;
  return r->kind == FAKE_SIGN && aq_duty_eq(s->duty, duty) && memcmp(s->pubkey, pubkey, 48) == 0;
}

const aq_store_sign *fake_disk_sign(const fake_disk *d, aq_sign_kind kind, aq_duty duty, const uint8_t pubkey[48],
                                    const uint8_t *root) {
  EACH_OF(d, duty.slot, r) {
    const aq_store_sign *s = &r->u.sign;
    if (is_sign_of(r, duty, pubkey) && s->kind == kind && (!root || memcmp(s->root, root, 32) == 0)) return s;
  }
  return NULL;
}

bool fake_disk_has_vote(const fake_disk *d, aq_duty duty, aq_bytes msg) {
  EACH_OF(d, duty.slot, r) {
    if (r->kind == FAKE_VOTE && aq_duty_eq(r->u.vote.duty, duty) && aq_bytes_eq(r->u.vote.msg, msg)) return true;
  }
  return false;
}

bool fake_disk_has_partial(const fake_disk *d, aq_duty duty, const uint8_t pubkey[48]) {
  EACH_OF(d, duty.slot, r) {
    if (is_sign_of(r, duty, pubkey) && r->u.sign.partial.len > 0) return true;
  }
  return false;
}

/* ---- what the rules look at ---- */

static aq_status see_votes(void *ctx, const aq_store_vote *about, aq_journal_vote_fn fn, void *arg) {
  EACH_OF(ctx, about->duty.slot, r) {
    if (r->kind == FAKE_VOTE && aq_duty_eq(r->u.vote.duty, about->duty)) fn(arg, &r->u.vote);
  }
  return AQ_OK;
}

static aq_status see_decided(void *ctx, aq_duty duty, bool *known, uint8_t hash[32]) {
  const aq_store_decided *d = fake_disk_decided(ctx, duty);
  *known = d != NULL;
  if (d) memcpy(hash, d->hash, 32);
  return AQ_OK;
}

static aq_status see_signs(void *ctx, const aq_store_sign *about, aq_journal_sign_fn fn, void *arg) {
  bool all = aq_duty_of(about->duty.type)->slash == AQ_SLASH_ATTESTATION;
  uint64_t own = about->duty.slot < FAKE_DISK_SLOTS ? about->duty.slot : FAKE_DISK_SLOTS;
  for (uint64_t i = all ? 0 : own; i <= (all ? FAKE_DISK_SLOTS : own); i++) {
    EACH_OF(ctx, i, r) {
      if (r->kind == FAKE_SIGN) fn(arg, &r->u.sign);
    }
  }
  return AQ_OK;
}

static fake_mark *mark_of(const fake_disk *d, aq_sign_kind kind, const uint8_t pubkey[48]) {
  for (size_t i = 0; i < d->mark_cnt; i++) {
    if (d->mark[i].kind == kind && memcmp(d->mark[i].pubkey, pubkey, 48) == 0) return &d->mark[i];
  }
  return NULL;
}

static aq_status see_mark(void *ctx, aq_sign_kind kind, const uint8_t pubkey[48], aq_journal_mark *out) {
  const fake_mark *m = mark_of(ctx, kind, pubkey);
  if (m) *out = m->m;
  return AQ_OK;
}

/* ---- writing ---- */

static aq_list *bucket(fake_disk *d, const fake_row *r) {
  return (aq_list *)(uintptr_t)list_of(d, fake_row_duty(r).slot);
}

void fake_disk_put(fake_disk *d, fake_row *r) { aq_list_push(bucket(d, r), &r->link); }

static bool known_bytes(const fake_disk *d, const aq_store_blob *b) {
  const aq_store_blob *o = fake_disk_blob(d, b->duty, b->hash);
  return o && aq_bytes_eq(o->value, b->value);
}

static aq_status check(fake_disk *d, const fake_row *r, aq_store_refusal *why) {
  const aq_journal_view view = {d, see_votes, see_decided, see_signs, see_mark};
  switch (r->kind) {
    case FAKE_VOTE: return aq_journal_vote(&view, &r->u.vote);
    case FAKE_DECIDED: return aq_journal_decided(&view, &r->u.decided);
    case FAKE_SIGN: return aq_journal_sign(&view, &r->u.sign, why);
    case FAKE_BLOB: return known_bytes(d, &r->u.blob) ? AQ_E_DUP : AQ_OK;
  }
  return AQ_E_FORMAT;
}

/* Bytes take the place of damaged ones. */
static void replace_blob(fake_disk *d, const fake_row *n) {
  EACH_OF(d, n->u.blob.duty.slot, r) {
    const aq_store_blob *o = &r->u.blob, *b = &n->u.blob;
    if (r != n && r->kind == FAKE_BLOB && aq_duty_eq(o->duty, b->duty) && memcmp(o->hash, b->hash, 32) == 0)
      fake_disk_drop(r);
  }
}

/* A repetition takes the place of a record whose partial is missing. */
static bool brings_partial(fake_disk *d, fake_row *n) {
  if (n->kind != FAKE_SIGN || n->u.sign.partial.len == 0) return false;
  EACH_OF(d, n->u.sign.duty.slot, r) {
    const aq_store_sign *o = &r->u.sign, *s = &n->u.sign;
    bool same = r->kind == FAKE_SIGN && o->kind == s->kind && o->sub == s->sub && aq_duty_eq(o->duty, s->duty);
    if (!same || o->partial.len > 0 || memcmp(o->pubkey, s->pubkey, 48) != 0) continue;
    aq_list_push(&r->link, &n->link); /* before it, and then in its place */
    fake_disk_drop(r);
    return true;
  }
  return false;
}

aq_status fake_disk_write(fake_disk *d, aq_list *rows, aq_store_refusal *why, fake_wrote_fn wrote, void *arg) {
  aq_status st = AQ_OK;
  AQ_LIST_EACH(rows, r, fake_row, turn) {
    if (st == AQ_OK) st = check(d, r, why);
    if (st == AQ_OK) fake_disk_put(d, r);
    if (st == AQ_E_DUP) st = AQ_OK;
  }
  AQ_LIST_EACH(rows, r, fake_row, turn) {
    bool fresh = !aq_list_empty(&r->link);
    if (st != AQ_OK) {
      aq_list_remove(&r->link);
      continue;
    }
    if (fresh && r->kind == FAKE_BLOB) replace_blob(d, r);
    if (wrote) wrote(arg, r, fresh);
    if (fresh || brings_partial(d, r)) aq_list_remove(&r->turn);
  }
  return st;
}

static void raise_mark(fake_disk *d, const aq_store_sign *s) {
  fake_mark *m = mark_of(d, s->kind, s->pubkey);
  if (!m) {
    d->mark = realloc(d->mark, (d->mark_cnt + 1) * sizeof *d->mark);
    AQ_ASSERT(d->mark);
    m = &d->mark[d->mark_cnt++];
    *m = (fake_mark){.kind = s->kind, .m = AQ_JOURNAL_NO_MARK};
    memcpy(m->pubkey, s->pubkey, sizeof m->pubkey);
  }
  aq_journal_raise(&m->m, s);
}

static bool newest_vote(const fake_disk *d, uint64_t *slot) {
  bool any = false;
  for (fake_row *r = NULL; (r = fake_disk_next(d, r)) != NULL;) {
    uint64_t at = fake_row_duty(r).slot;
    if (r->kind == FAKE_VOTE && (!any || at > *slot)) any = true, *slot = at;
  }
  return any;
}

void fake_disk_prune(fake_disk *d, uint64_t before_slot) {
  uint64_t newest = 0;
  bool any = newest_vote(d, &newest);
  before_slot = aq_journal_prune_to(before_slot, any, newest);
  uint64_t signs = before_slot > d->journal_slots ? before_slot - d->journal_slots : 0;
  for (uint64_t i = 0; i <= FAKE_DISK_SLOTS && i < before_slot; i++) {
    EACH_OF(d, i, r) {
      uint64_t slot = fake_row_duty(r).slot;
      aq_store_sign *s = r->kind == FAKE_SIGN ? &r->u.sign : NULL;
      if (slot >= before_slot || (s && aq_journal_stays(s->duty.type))) continue;
      if (s) s->partial.len = 0;
      if (s && slot >= signs) continue;
      if (s && aq_journal_marks(s->duty.type)) raise_mark(d, s);
      fake_disk_drop(r);
    }
  }
}

void fake_disk_over(fake_disk *d, const uint8_t pubkey[48], aq_duty duty) {
  EACH_OF(d, duty.slot, r) {
    if (is_sign_of(r, duty, pubkey)) r->u.sign.partial.len = 0;
  }
}
