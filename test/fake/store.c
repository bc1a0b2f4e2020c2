/* The queue in front of a disk in memory. */
#include "fake/store.h"

#include <stdlib.h>

#include "base/assert.h"

enum { MSG_DECIDED = 5 };

typedef struct {
  aq_list link;
  fake_store_op kind;
  aq_list rows;    /* by turn: a blob first, then what is checked */
  uint64_t number; /* prune: the slot; mark: the time */
  aq_store_vote key;
  uint8_t pubkey[48]; /* over, of the key's duty */
  aq_store_found found;
  aq_store_done done;
  void *arg;
  aq_status st, spoilt; /* spoilt: what it was told to end with */
  aq_store_refusal why;
} op;

static aq_status find(const fake_disk *d, aq_store_vote *v) {
  const aq_store_decided *decided = v->msg_type == MSG_DECIDED ? fake_disk_decided(d, v->duty) : NULL;
  const aq_store_vote *vote = fake_disk_vote(d, v->duty, v->msg_type, v->round);
  if (vote) *v = *vote;
  if (decided) memcpy(v->value_hash, decided->hash, sizeof v->value_hash), v->round = decided->round;
  return vote || decided ? AQ_OK : AQ_E_NOTFOUND;
}

static void apply(fake_store *s, op *o) {
  o->st = o->spoilt;
  if (o->kind == FAKE_OP_FIND) o->st = find(s->disk, &o->key);
  if (o->kind == FAKE_OP_MARK) s->disk->since_ns = o->number;
  if (o->kind == FAKE_OP_OVER) fake_disk_over(s->disk, o->pubkey, o->key.duty);
  if (o->kind == FAKE_OP_PRUNE) fake_disk_prune(s->disk, o->number);
  if (o->kind == FAKE_OP_SIGN && s->refuses)
    o->st = AQ_E_SLASH, o->why = s->refuses;
  else
    o->st = o->st != AQ_OK ? o->st : fake_disk_write(s->disk, &o->rows, &o->why, s->hook.wrote, s->hook.arg);
}

static void op_free(op *o) {
  aq_list_remove(&o->link);
  fake_rows_free(&o->rows);
  free(o);
}

/* Frees it: what it calls may bring more. */
static void tell(fake_store *s, op *o, aq_status st) {
  op copy = *o;
  op_free(o);
  s->refusal_ = st == AQ_E_SLASH ? copy.why : AQ_REFUSAL_UNKNOWN;
  if (copy.done) copy.done(copy.arg, st);
  if (copy.found) copy.found(copy.arg, st, st == AQ_OK ? &copy.key : NULL);
}

static void commit(void *arg) {
  fake_store *s = arg;
  bool fails = s->disk->fails;
  if (s->hook.commit && !s->hook.commit(s->hook.arg, &fails)) return;
  aq_list done;
  aq_list_init(&done);
  AQ_LIST_EACH(&s->queue_, o, op, link) {
    fails ? (void)(o->st = AQ_E_IO) : apply(s, o);
    if (s->hook.applied && o->spoilt == AQ_OK) s->hook.applied(s->hook.arg, o->kind, &o->rows, o->st);
    aq_list_remove(&o->link);
    aq_list_push(&done, &o->link);
  }
  AQ_LIST_EACH(&done, o, op, link) { tell(s, o, o->st); }
}

void fake_store_commit(fake_store *s) {
  aq_timer_cancel(s->env, &s->commit_);
  commit(s);
}

static op *enqueue(fake_store *s, fake_store_op kind, aq_store_done done, void *arg) {
  op *o = calloc(1, sizeof *o);
  AQ_ASSERT(o);
  *o = (op){.kind = kind, .done = done, .arg = arg};
  aq_list_init(&o->rows);
  bool first = aq_list_empty(&s->queue_);
  aq_list_push(&s->queue_, &o->link);
  uint64_t delay_ns = !first ? AQ_NEVER : s->hook.delay_ns ? s->hook.delay_ns(s->hook.arg) : AQ_MILLIS(1);
  if (delay_ns != AQ_NEVER) aq_timer_after(s->env, &s->commit_, delay_ns, commit, s);
  return o;
}

static op *enqueue_write(fake_store *s, fake_store_op kind, aq_store_done done, void *arg) {
  op *o = enqueue(s, kind, done, arg);
  o->spoilt = s->ends[kind];
  return o;
}

static void add(op *o, fake_row *r) { aq_list_push(&o->rows, &r->turn); }

/* ---- the port ---- */

static void put_vote(void *ctx, const aq_store_vote *v, const aq_store_blob *blob, aq_store_done done, void *arg) {
  op *o = enqueue_write(ctx, FAKE_OP_VOTE, done, arg);
  if (blob) add(o, fake_row_blob(blob));
  add(o, fake_row_vote(v));
}

static void put_decided(void *ctx, const aq_store_decided *d, const aq_store_blob *blob, aq_store_done done,
                        void *arg) {
  op *o = enqueue_write(ctx, FAKE_OP_DECIDED, done, arg);
  if (blob) add(o, fake_row_blob(blob));
  add(o, fake_row_decided(d));
}

static void put_sign(void *ctx, const aq_store_sign *sign, uint32_t cnt, aq_store_done done, void *arg) {
  op *o = enqueue_write(ctx, FAKE_OP_SIGN, done, arg);
  for (uint32_t i = 0; i < cnt; i++) add(o, fake_row_sign(&sign[i]));
}

static void put_peer(void *ctx, uint32_t peer, const char *addr) { (void)ctx, (void)peer, (void)addr; }

static void put_prune(void *ctx, uint64_t before_slot) {
  fake_store *s = ctx;
  s->prunes++;
  s->pruned_slot = before_slot;
  enqueue(s, FAKE_OP_PRUNE, NULL, NULL)->number = before_slot;
}

static void backup(void *ctx) { ((fake_store *)ctx)->backups++; }

static void put_find(void *ctx, aq_duty duty, uint8_t msg_type, uint64_t round, aq_store_found done, void *arg) {
  op *o = enqueue(ctx, FAKE_OP_FIND, NULL, arg);
  o->key = (aq_store_vote){.duty = duty, .msg_type = msg_type, .round = round};
  o->found = done;
}

static void move_mark(void *ctx, uint64_t since_ns) {
  fake_store *s = ctx;
  s->port.since_ns = since_ns;
  enqueue(s, FAKE_OP_MARK, NULL, NULL)->number = since_ns;
}

static void put_over(void *ctx, const uint8_t pubkey[48], aq_duty duty) {
  op *o = enqueue(ctx, FAKE_OP_OVER, NULL, NULL);
  o->key.duty = duty;
  memcpy(o->pubkey, pubkey, sizeof o->pubkey);
}

static aq_status pin(void *ctx, const uint8_t root[32], aq_err *err) {
  fake_disk *d = ((fake_store *)ctx)->disk;
  if (d->pinned && memcmp(d->chain, root, sizeof d->chain) != 0) return aq_fail(err, AQ_E_UNKNOWN, "another chain");
  memcpy(d->chain, root, sizeof d->chain);
  d->pinned = true;
  return AQ_OK;
}

static aq_store_refusal refusal(void *ctx) { return ((fake_store *)ctx)->refusal_; }

static void visit(const fake_row *r, const aq_store_visitor *v) {
  if (r->kind == FAKE_VOTE && v->vote) v->vote(v->arg, &r->u.vote);
  if (r->kind == FAKE_BLOB && v->blob) v->blob(v->arg, &r->u.blob);
  if (r->kind == FAKE_DECIDED && v->decided) v->decided(v->arg, &r->u.decided);
  if (r->kind != FAKE_SIGN || r->u.sign.partial.len == 0 || !v->partial) return;
  aq_store_partial p = {.duty = r->u.sign.duty, .sub = r->u.sign.sub, .partial = r->u.sign.partial};
  memcpy(p.pubkey, r->u.sign.pubkey, sizeof p.pubkey);
  v->partial(v->arg, &p);
}

static aq_status load(void *ctx, uint64_t from_slot, const aq_store_visitor *v) {
  const fake_disk *d = ((fake_store *)ctx)->disk;
  for (fake_row *r = NULL; (r = fake_disk_next(d, r)) != NULL;) {
    bool stays = r->kind == FAKE_SIGN && aq_journal_stays(r->u.sign.duty.type);
    if (stays || fake_row_duty(r).slot >= from_slot) visit(r, v);
  }
  return AQ_OK;
}

/* ---- life ---- */

void fake_store_open(fake_store *s, fake_disk *d, aq_env *env, const fake_store_hooks *hooks) {
  *s = (fake_store){.env = env, .disk = d};
  if (hooks) s->hook = *hooks;
  aq_list_init(&s->queue_);
  s->port = (aq_store){.ctx = s,
                       .state = d->missing ? AQ_STORE_MISS : AQ_STORE_OK,
                       .since_ns = d->since_ns,
                       .vote = put_vote,
                       .decided = put_decided,
                       .sign = put_sign,
                       .peer = put_peer,
                       .prune = put_prune,
                       .backup = backup,
                       .load = load,
                       .pin = pin,
                       .refusal = refusal,
                       .find = put_find,
                       .mark = move_mark,
                       .over = put_over};
  d->missing = false;
}

size_t fake_store_waiting(const fake_store *s) {
  size_t cnt = 0;
  for (const aq_list *it = s->queue_.next; it != &s->queue_; it = it->next) cnt++;
  return cnt;
}

void fake_store_close(fake_store *s, size_t written, fake_close how) {
  aq_timer_cancel(s->env, &s->commit_);
  for (aq_list *it; (it = aq_list_pop(&s->queue_)) != NULL;) {
    op *o = AQ_CONTAINER(it, op, link);
    o->st = AQ_E_IO;
    if (written > 0) written--, apply(s, o);
    how == FAKE_CLOSE_SILENT ? op_free(o) : tell(s, o, how == FAKE_CLOSE_FAILS ? AQ_E_IO : o->st);
  }
}
