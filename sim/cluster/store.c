/* The journal as port/store.h wants it, in memory, on a disk that outlives the process: written down from the header,
   apart from the SQL of adapter/sqlite_rules.c. Commits take time, fail, or are cut off by the end of the process. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/cluster/world.h"

typedef enum { REC_VOTE, REC_DECIDED, REC_SIGN, REC_BLOB } rec_kind;

struct sim_record {
  aq_list link;
  rec_kind kind;
  union {
    aq_store_vote vote;
    aq_store_decided decided;
    aq_store_sign sign;
    aq_store_blob blob;
  } u;
  uint8_t data[];
};

static sim_record *record_new(rec_kind kind, aq_bytes a, aq_bytes b) {
  sim_record *r = calloc(1, sizeof *r + a.len + b.len);
  AQ_ASSERT(r);
  r->kind = kind;
  aq_list_init(&r->link);
  if (a.len) memcpy(r->data, a.ptr, a.len);
  if (b.len) memcpy(r->data + a.len, b.ptr, b.len);
  return r;
}

static sim_record *vote_record(const aq_store_vote *v) {
  sim_record *r = record_new(REC_VOTE, v->msg, v->just);
  r->u.vote = *v;
  r->u.vote.msg = aq_bytes_of(r->data, v->msg.len);
  r->u.vote.just = aq_bytes_of(r->data + v->msg.len, v->just.len);
  return r;
}

static sim_record *decided_record(const aq_store_decided *d) {
  sim_record *r = record_new(REC_DECIDED, d->commits, aq_bytes_of(NULL, 0));
  r->u.decided = *d;
  r->u.decided.commits = aq_bytes_of(r->data, d->commits.len);
  return r;
}

static sim_record *blob_record(const aq_store_blob *b) {
  sim_record *r = record_new(REC_BLOB, b->value, aq_bytes_of(NULL, 0));
  r->u.blob = *b;
  r->u.blob.value = aq_bytes_of(r->data, b->value.len);
  return r;
}

static sim_record *sign_record(const aq_store_sign *s) {
  sim_record *r = record_new(REC_SIGN, s->partial, aq_bytes_of(NULL, 0));
  r->u.sign = *s;
  r->u.sign.partial = aq_bytes_of(r->data, s->partial.len);
  return r;
}

static sim_record *record_copy(const sim_record *r) {
  switch (r->kind) {
    case REC_VOTE: return vote_record(&r->u.vote);
    case REC_DECIDED: return decided_record(&r->u.decided);
    case REC_SIGN: return sign_record(&r->u.sign);
    case REC_BLOB: return blob_record(&r->u.blob);
  }
  return NULL;
}

/* ---- disks ---- */

void sim_disk_init(sim_disk *d) {
  memset(d, 0, sizeof *d);
  for (size_t i = 0; i < SIM_SLOTS_MAX; i++) aq_list_init(&d->slot[i]);
  aq_list_init(&d->far);
}

static aq_list *bucket(sim_disk *d, uint64_t slot) { return slot < SIM_SLOTS_MAX ? &d->slot[slot] : &d->far; }

static void list_free(aq_list *l) {
  AQ_LIST_EACH(l, r, sim_record, link) free(r);
  aq_list_init(l);
}

void sim_disk_free(sim_disk *d) {
  for (size_t i = 0; i < SIM_SLOTS_MAX; i++) list_free(&d->slot[i]);
  list_free(&d->far);
}

void sim_disk_lose(sim_disk *d, uint64_t now_ns) {
  sim_disk_free(d);
  sim_disk_init(d);
  d->empty_again = true;
  d->since_ns = now_ns;
}

void sim_disk_copy(sim_disk *out, const sim_disk *in) {
  sim_disk_free(out);
  *out = *in;
  for (size_t i = 0; i <= SIM_SLOTS_MAX; i++) {
    aq_list *to = i < SIM_SLOTS_MAX ? &out->slot[i] : &out->far;
    const aq_list *from = i < SIM_SLOTS_MAX ? &in->slot[i] : &in->far;
    aq_list_init(to);
    for (const aq_list *it = from->next; it != from; it = it->next)
      aq_list_push(to, &record_copy(AQ_CONTAINER(it, const sim_record, link))->link);
  }
}

static size_t size_of(const sim_disk *d) {
  size_t cnt = 0;
  for (size_t i = 0; i <= SIM_SLOTS_MAX; i++) {
    const aq_list *l = i < SIM_SLOTS_MAX ? &d->slot[i] : &d->far;
    for (const aq_list *it = l->next; it != l; it = it->next) cnt++;
  }
  return cnt;
}

bool sim_disk_same_size(const sim_disk *a, const sim_disk *b) { return size_of(a) == size_of(b); }

bool sim_disk_has_vote(const sim_disk *d, aq_duty duty, aq_bytes msg) {
  AQ_LIST_EACH(bucket((sim_disk *)(uintptr_t)d, duty.slot), r, sim_record, link) {
    if (r->kind == REC_VOTE && aq_duty_eq(r->u.vote.duty, duty) && aq_bytes_eq(r->u.vote.msg, msg)) return true;
  }
  return false;
}

bool sim_disk_has_root(const sim_disk *d, aq_sign_kind kind, aq_duty duty, const uint8_t pubkey[48],
                       const uint8_t root[32]) {
  AQ_LIST_EACH(bucket((sim_disk *)(uintptr_t)d, duty.slot), r, sim_record, link) {
    const aq_store_sign *s = &r->u.sign;
    if (r->kind == REC_SIGN && s->kind == kind && aq_duty_eq(s->duty, duty) && memcmp(s->pubkey, pubkey, 48) == 0 &&
        memcmp(s->root, root, 32) == 0)
      return true;
  }
  return false;
}

bool sim_disk_has_partial(const sim_disk *d, aq_duty duty, const uint8_t pubkey[48]) {
  AQ_LIST_EACH(bucket((sim_disk *)(uintptr_t)d, duty.slot), r, sim_record, link) {
    const aq_store_sign *s = &r->u.sign;
    bool same = r->kind == REC_SIGN && aq_duty_eq(s->duty, duty) && memcmp(s->pubkey, pubkey, 48) == 0;
    if (same && s->partial.len > 0) return true;
  }
  return false;
}

static const aq_store_blob *blob_of(const sim_disk *d, aq_duty duty, const uint8_t hash[32]) {
  AQ_LIST_EACH(bucket((sim_disk *)(uintptr_t)d, duty.slot), r, sim_record, link) {
    if (r->kind == REC_BLOB && aq_duty_eq(r->u.blob.duty, duty) && memcmp(r->u.blob.hash, hash, 32) == 0)
      return &r->u.blob;
  }
  return NULL;
}

static const aq_store_decided *decision_of(const sim_disk *d, aq_duty duty) {
  AQ_LIST_EACH(bucket((sim_disk *)(uintptr_t)d, duty.slot), r, sim_record, link) {
    if (r->kind == REC_DECIDED && aq_duty_eq(r->u.decided.duty, duty)) return &r->u.decided;
  }
  return NULL;
}

bool sim_disk_has_decision(const sim_disk *d, aq_duty duty) { return decision_of(d, duty) != NULL; }

bool sim_disk_decision(aq_bytes *value, const sim_disk *d, aq_duty duty) {
  const aq_store_decided *decided = decision_of(d, duty);
  const aq_store_blob *blob = decided ? blob_of(d, duty, decided->hash) : NULL;
  if (blob) *value = blob->value;
  return blob != NULL;
}

/* ---- the rules ---- */

static aq_status check_vote(sim_disk *d, const aq_store_vote *v) {
  AQ_LIST_EACH(bucket(d, v->duty.slot), r, sim_record, link) {
    const aq_store_vote *o = &r->u.vote;
    if (r->kind != REC_VOTE || !aq_duty_eq(o->duty, v->duty)) continue;
    if (o->msg_type == v->msg_type && o->round == v->round)
      return aq_bytes_eq(o->msg, v->msg) && aq_bytes_eq(o->just, v->just) ? AQ_E_DUP : AQ_E_SLASH;
  }
  AQ_LIST_EACH(bucket(d, v->duty.slot), r, sim_record, link) {
    const aq_store_vote *o = &r->u.vote;
    if (r->kind != REC_VOTE || !aq_duty_eq(o->duty, v->duty)) continue;
    bool other_value = o->round == v->round && memcmp(o->value_hash, v->value_hash, 32) != 0;
    if (v->msg_type == 2 && o->msg_type == 3 && (v->round < o->round || other_value)) return AQ_E_SLASH;
    bool vote = v->msg_type == 2 || v->msg_type == 3, change = v->msg_type == 4;
    if ((vote || change) && o->msg_type == 4 && v->round < o->round) return AQ_E_SLASH;
    if (vote && o->msg_type == v->msg_type && v->round < o->round) return AQ_E_SLASH;
    if (change && o->msg_type == 4 && v->prepared_round < o->prepared_round) return AQ_E_SLASH;
    if (change && o->msg_type == 3 && v->prepared_round < o->round) return AQ_E_SLASH;
  }
  return AQ_OK;
}

static aq_status check_decided(sim_disk *d, const aq_store_decided *in) {
  AQ_LIST_EACH(bucket(d, in->duty.slot), r, sim_record, link) {
    if (r->kind != REC_DECIDED || !aq_duty_eq(r->u.decided.duty, in->duty)) continue;
    return memcmp(r->u.decided.hash, in->hash, 32) == 0 ? AQ_E_DUP : AQ_E_SLASH;
  }
  return AQ_OK;
}

static bool is_block(aq_duty_type t) { return t == AQ_DUTY_PROPOSER || t == AQ_DUTY_BUILDER_PROPOSER; }

static bool signs_clash(const aq_store_sign *o, const aq_store_sign *s) {
  if (o->kind != s->kind || memcmp(o->pubkey, s->pubkey, 48) != 0) return false;
  bool same_root = memcmp(o->root, s->root, 32) == 0;
  if (aq_duty_eq(o->duty, s->duty) && o->sub == s->sub && !same_root) return true;
  if (is_block(o->duty.type) && is_block(s->duty.type) && o->duty.slot == s->duty.slot) return !same_root;
  if (o->duty.type != AQ_DUTY_ATTESTER || s->duty.type != AQ_DUTY_ATTESTER || aq_duty_eq(o->duty, s->duty))
    return false;
  return o->target_epoch == s->target_epoch ||
         (o->source_epoch < s->source_epoch && s->target_epoch < o->target_epoch) ||
         (s->source_epoch < o->source_epoch && o->target_epoch < s->target_epoch);
}

static bool same_sign(const aq_store_sign *o, const aq_store_sign *s) {
  return o->kind == s->kind && aq_duty_eq(o->duty, s->duty) && o->sub == s->sub && !memcmp(o->pubkey, s->pubkey, 48) &&
         !memcmp(o->root, s->root, 32);
}

static aq_status check_mark(const sim_disk *d, const aq_store_sign *s) {
  for (size_t i = 0; i < SIM_VALIDATORS_MAX; i++) {
    const sim_mark *m = &d->mark[s->kind - 1][i];
    if (!m->used || memcmp(m->pubkey, s->pubkey, 48) != 0) continue;
    bool below = (int64_t)s->source_epoch < m->source || (int64_t)s->target_epoch <= m->target;
    if (s->duty.type == AQ_DUTY_ATTESTER && below) return AQ_E_SLASH;
    if (is_block(s->duty.type) && (int64_t)s->duty.slot <= m->block_slot) return AQ_E_SLASH;
  }
  return AQ_OK;
}

static aq_status check_sign(sim_disk *d, const aq_store_sign *s) {
  if (s->duty.type == AQ_DUTY_ATTESTER && s->source_epoch > s->target_epoch) return AQ_E_SLASH;
  for (size_t i = 0; i <= SIM_SLOTS_MAX; i++) {
    aq_list *l = i < SIM_SLOTS_MAX ? &d->slot[i] : &d->far;
    if (s->duty.type != AQ_DUTY_ATTESTER && l != bucket(d, s->duty.slot)) continue;
    AQ_LIST_EACH(l, r, sim_record, link) {
      if (r->kind != REC_SIGN) continue;
      if (same_sign(&r->u.sign, s)) return AQ_E_DUP;
      if (signs_clash(&r->u.sign, s)) return AQ_E_SLASH;
    }
  }
  return check_mark(d, s);
}

/* ---- writes ---- */

typedef enum { OP_VOTE, OP_DECIDED, OP_SIGN, OP_PRUNE, OP_FIND, OP_MARK, OP_OVER } op_kind;

typedef struct {
  aq_list link;
  op_kind kind;
  aq_list records; /* blob first, then what is checked; on the disk once committed */
  uint64_t slot;   /* prune; mark: the time */
  aq_store_vote key;
  uint8_t pubkey[48]; /* over, of the key's duty */
  aq_store_found found;
  aq_store_done done;
  void *arg;
  aq_status st;
} op;

static void put_mark(sim_disk *d, const aq_store_sign *s) {
  sim_mark *m = d->mark[s->kind - 1], *end = m + SIM_VALIDATORS_MAX;
  while (m < end && m->used && memcmp(m->pubkey, s->pubkey, 48) != 0) m++;
  AQ_ASSERT(m < end);
  if (!m->used) {
    *m = (sim_mark){.used = true, .source = -1, .target = -1, .block_slot = -1};
    memcpy(m->pubkey, s->pubkey, 48);
  }
  if (s->duty.type == AQ_DUTY_ATTESTER) {
    if ((int64_t)s->source_epoch > m->source) m->source = (int64_t)s->source_epoch;
    if ((int64_t)s->target_epoch > m->target) m->target = (int64_t)s->target_epoch;
  } else if ((int64_t)s->duty.slot > m->block_slot) {
    m->block_slot = (int64_t)s->duty.slot;
  }
}

static void prune(sim_disk *d, uint64_t before) {
  for (; d->pruned < before && d->pruned < SIM_SLOTS_MAX; d->pruned++) {
    AQ_LIST_EACH(&d->slot[d->pruned], r, sim_record, link) {
      aq_duty_type t = r->kind == REC_SIGN ? r->u.sign.duty.type : AQ_DUTY_UNKNOWN;
      if (t == AQ_DUTY_EXIT || t == AQ_DUTY_BUILDER_REGISTRATION) continue;
      if (t == AQ_DUTY_ATTESTER || is_block(t)) put_mark(d, &r->u.sign);
      aq_list_remove(&r->link);
      free(r);
    }
  }
}

static aq_status check_record(sim_disk *d, const sim_record *r) {
  switch (r->kind) {
    case REC_VOTE: return check_vote(d, &r->u.vote);
    case REC_DECIDED: return check_decided(d, &r->u.decided);
    case REC_SIGN: return check_sign(d, &r->u.sign);
    case REC_BLOB: return blob_of(d, r->u.blob.duty, r->u.blob.hash) ? AQ_E_DUP : AQ_OK;
  }
  return AQ_E_FORMAT;
}

static uint64_t record_slot(const sim_record *r) {
  switch (r->kind) {
    case REC_VOTE: return r->u.vote.duty.slot;
    case REC_DECIDED: return r->u.decided.duty.slot;
    case REC_SIGN: return r->u.sign.duty.slot;
    case REC_BLOB: return r->u.blob.duty.slot;
  }
  return 0;
}

static aq_status find(sim_disk *d, aq_store_vote *v) {
  AQ_LIST_EACH(bucket(d, v->duty.slot), r, sim_record, link) {
    if (r->kind == REC_VOTE && aq_duty_eq(r->u.vote.duty, v->duty) && r->u.vote.msg_type == v->msg_type &&
        r->u.vote.round == v->round) {
      *v = r->u.vote;
      return AQ_OK;
    }
    if (r->kind == REC_DECIDED && v->msg_type == 5 && aq_duty_eq(r->u.decided.duty, v->duty)) {
      memcpy(v->value_hash, r->u.decided.hash, 32);
      v->round = r->u.decided.round;
      return AQ_OK;
    }
  }
  return AQ_E_NOTFOUND;
}

static void forget_partials(sim_disk *d, aq_duty duty, const uint8_t pubkey[48]) {
  AQ_LIST_EACH(bucket(d, duty.slot), r, sim_record, link) {
    aq_store_sign *s = &r->u.sign;
    bool same = r->kind == REC_SIGN && aq_duty_eq(s->duty, duty) && memcmp(s->pubkey, pubkey, 48) == 0;
    if (same) s->partial.len = 0;
  }
}

/* All of an operation or nothing. */
static void apply(sim_store *s, op *o) {
  sim_disk *d = s->disk;
  o->st = o->kind == OP_FIND ? find(d, &o->key) : AQ_OK;
  if (o->kind == OP_MARK) d->since_ns = o->slot;
  if (o->kind == OP_OVER) forget_partials(d, o->key.duty, o->pubkey);
  if (o->kind == OP_PRUNE) {
    prune(d, o->slot);
    return;
  }
  AQ_LIST_EACH(&o->records, r, sim_record, link) {
    aq_status st = check_record(d, r);
    if (st == AQ_E_DUP || st == AQ_OK) continue;
    o->st = st;
    return;
  }
  AQ_LIST_EACH(&o->records, r, sim_record, link) {
    const aq_store_decided *decided = &r->u.decided;
    if (r->kind == REC_DECIDED)
      sim_check_bytes(s->node, decided->duty, decided->hash, blob_of(d, decided->duty, decided->hash));
    if (check_record(d, r) == AQ_E_DUP) continue;
    if (s->client && r->kind == REC_SIGN) sim_check_client(s->node, &r->u.sign);
    aq_list_remove(&r->link);
    aq_list_push(bucket(d, record_slot(r)), &r->link);
  }
}

static void op_free(op *o) {
  aq_list_remove(&o->link);
  list_free(&o->records);
  free(o);
}

static void refused(sim_store *s, op *o) {
  AQ_LIST_EACH(&o->records, r, sim_record, link) {
    if (r->kind == REC_BLOB) continue;
    aq_duty duty = r->kind == REC_VOTE ? r->u.vote.duty : r->kind == REC_DECIDED ? r->u.decided.duty : r->u.sign.duty;
    sim_check_refused(s->node, r->kind != REC_SIGN, duty);
    return;
  }
}

/* Frees it: what it calls may bring more. */
static void tell(op *o, aq_status st) {
  op copy = *o;
  aq_store_done fn = o->done;
  aq_store_found found = o->found;
  op_free(o);
  if (fn) fn(copy.arg, st);
  if (found) found(copy.arg, st, st == AQ_OK ? &copy.key : NULL);
}

static void commit(void *arg) {
  sim_store *s = arg;
  sim_world *w = s->proc->w;
  const sim_fault *broken = s->client ? NULL : sim_fault_of(w, SIM_WRITE_ERROR, s->node->op);
  bool fails = !s->client && sim_fault_of(w, SIM_DISK_FULL, s->node->op) != NULL;
  if (fails) sim_count_fault(w, SIM_DISK_FULL);
  if (!fails && broken && sim_chance(w, (uint32_t)broken->p)) fails = true, sim_count_fault(w, SIM_WRITE_ERROR);
  if (!sim_effect(s->proc)) return; /* dies before the write */
  aq_list done;
  aq_list_init(&done);
  AQ_LIST_EACH(&s->queue, o, op, link) {
    if (fails)
      o->st = AQ_E_IO;
    else
      apply(s, o);
    if (o->st == AQ_E_SLASH && !s->client) refused(s, o);
    sim_trace(w, fails ? "write_err" : "write", s->proc->id, (uint64_t)o->kind, aq_bytes_of(&o->st, sizeof o->st));
    aq_list_remove(&o->link);
    aq_list_push(&done, &o->link);
  }
  AQ_LIST_EACH(&done, o, op, link) { tell(o, o->st); }
}

static op *enqueue(sim_store *s, op_kind kind, aq_list *records, uint64_t slot, aq_store_done done, void *arg) {
  sim_world *w = s->proc->w;
  op *o = calloc(1, sizeof *o);
  AQ_ASSERT(o);
  *o = (op){.kind = kind, .slot = slot, .done = done, .arg = arg};
  aq_list_init(&o->records);
  while (records && !aq_list_empty(records)) aq_list_push(&o->records, aq_list_pop(records));
  bool first = aq_list_empty(&s->queue);
  aq_list_push(&s->queue, &o->link);
  if (!first || !sim_effect(s->proc)) return o;
  const sim_fault *slow = sim_fault_of(w, SIM_SLOW_DISK, s->node->op);
  uint64_t us = sim_between(w, 200, 3000);
  if (slow) us += sim_random(w, slow->p * 1000 + 1), sim_count_fault(w, SIM_SLOW_DISK);
  aq_timer_after(&s->proc->env, &s->commit, us * AQ_NS_PER_US, commit, s);
  return o;
}

static void put_vote(void *ctx, const aq_store_vote *v, const aq_store_blob *blob, aq_store_done done, void *arg) {
  sim_store *s = ctx;
  if (!s->proc->dead) sim_check_voted(s->node, v);
  aq_list records;
  aq_list_init(&records);
  if (blob) aq_list_push(&records, &blob_record(blob)->link);
  aq_list_push(&records, &vote_record(v)->link);
  enqueue(ctx, OP_VOTE, &records, 0, done, arg);
}

static void put_decided(void *ctx, const aq_store_decided *d, const aq_store_blob *blob, aq_store_done done,
                        void *arg) {
  sim_store *s = ctx;
  aq_list records;
  aq_list_init(&records);
  if (blob) aq_list_push(&records, &blob_record(blob)->link);
  aq_list_push(&records, &decided_record(d)->link);
  if (!s->proc->dead) sim_check_decided(s->node, d);
  enqueue(s, OP_DECIDED, &records, 0, done, arg);
}

static void put_sign(void *ctx, const aq_store_sign *sign, uint32_t cnt, aq_store_done done, void *arg) {
  aq_list records;
  aq_list_init(&records);
  for (uint32_t i = 0; i < cnt; i++) aq_list_push(&records, &sign_record(&sign[i])->link);
  enqueue(ctx, OP_SIGN, &records, 0, done, arg);
}

static void put_peer(void *ctx, uint32_t peer, const char *addr) { (void)ctx, (void)peer, (void)addr; }
static void put_prune(void *ctx, uint64_t before_slot) { enqueue(ctx, OP_PRUNE, NULL, before_slot, NULL, NULL); }
static void backup(void *ctx) { (void)ctx; }

static void put_find(void *ctx, aq_duty duty, uint8_t msg_type, uint64_t round, aq_store_found done, void *arg) {
  op *o = enqueue(ctx, OP_FIND, NULL, 0, NULL, arg);
  o->key = (aq_store_vote){.duty = duty, .msg_type = msg_type, .round = round};
  o->found = done;
}

static void move_mark(void *ctx, uint64_t since_ns) {
  ((sim_store *)ctx)->store.since_ns = since_ns;
  enqueue(ctx, OP_MARK, NULL, since_ns, NULL, NULL);
}

/* The others end by themselves. */
static void put_over(void *ctx, const uint8_t pubkey[48], aq_duty duty) {
  if (duty.type != AQ_DUTY_EXIT) return;
  op *o = enqueue(ctx, OP_OVER, NULL, 0, NULL, NULL);
  o->key.duty = duty;
  memcpy(o->pubkey, pubkey, 48);
}

static void visit(const sim_record *r, const aq_store_visitor *v) {
  if (r->kind == REC_VOTE && v->vote) v->vote(v->arg, &r->u.vote);
  if (r->kind == REC_BLOB && v->blob) v->blob(v->arg, &r->u.blob);
  if (r->kind == REC_DECIDED && v->decided) v->decided(v->arg, &r->u.decided);
  if (r->kind != REC_SIGN || r->u.sign.partial.len == 0 || !v->partial) return;
  aq_store_partial p = {.duty = r->u.sign.duty, .sub = r->u.sign.sub, .partial = r->u.sign.partial};
  memcpy(p.pubkey, r->u.sign.pubkey, sizeof p.pubkey);
  v->partial(v->arg, &p);
}

static aq_status load(void *ctx, uint64_t from_slot, const aq_store_visitor *v) {
  sim_store *s = ctx;
  for (uint64_t i = from_slot < SIM_SLOTS_MAX ? from_slot : SIM_SLOTS_MAX; i <= SIM_SLOTS_MAX; i++) {
    AQ_LIST_EACH(i < SIM_SLOTS_MAX ? &s->disk->slot[i] : &s->disk->far, r, sim_record, link) {
      if (record_slot(r) >= from_slot) visit(r, v);
    }
  }
  return AQ_OK;
}

void sim_store_open(sim_store *s, sim_disk *d, sim_proc *proc, sim_node *node, bool client) {
  *s = (sim_store){.disk = d, .proc = proc, .node = node, .client = client};
  aq_list_init(&s->queue);
  s->store = (aq_store){.ctx = s,
                        .state = d->empty_again ? AQ_STORE_MISS : AQ_STORE_OK,
                        .since_ns = d->since_ns,
                        .vote = put_vote,
                        .decided = put_decided,
                        .sign = put_sign,
                        .peer = put_peer,
                        .prune = put_prune,
                        .backup = backup,
                        .load = load,
                        .find = put_find,
                        .mark = move_mark,
                        .over = put_over};
  d->empty_again = false;
}

void sim_store_close(sim_store *s, bool killed) {
  bool lands = !killed || sim_chance(s->proc->w, 500);
  aq_timer_cancel(&s->proc->env, &s->commit);
  for (aq_list *it; (it = aq_list_pop(&s->queue)) != NULL;) {
    op *o = AQ_CONTAINER(it, op, link);
    if (killed && lands) lands = !sim_chance(s->proc->w, 200);
    o->st = AQ_E_IO;
    if (lands) apply(s, o);
    tell(o, killed ? AQ_E_IO : o->st);
  }
}
