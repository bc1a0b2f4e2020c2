/* The store port over SQLite: a queue, one thread that commits it, answers on the loop in order. */
#include "adapter/sqlite_db.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREAD_STACK = 512 * 1024, BACKUP_PAGES = 128, QUEUE_BYTES_MAX = 64 << 20 };

/* A signed QBFTMsg (qbft/qbft.h): a longer row is no vote of ours. */
enum { FOUND_MSG_MAX = 256 };

typedef enum {
  OP_VOTE,
  OP_DECIDED,
  OP_SIGN,
  OP_PEER,
  OP_PRUNE,
  OP_BACKUP,
  OP_FIND,
  OP_MARK,
  OP_OVER,
  OP_REFUSED
} op_kind;

/* One call of the port with copies of all it was given behind it. */
typedef struct op {
  struct op *next;
  op_kind kind;
  aq_status st;
  aq_store_refusal refusal;
  aq_store_done done;
  void *arg;
  size_t size;
  union {
    aq_store_vote vote;
    aq_store_decided decided;
    struct {
      aq_store_sign *item;
      uint32_t cnt;
    } sign;
    struct {
      uint32_t peer;
      const char *addr;
    } peer;
    struct {
      uint8_t pubkey[48];
      aq_duty duty;
    } over;
    uint64_t before_slot, since_ns;
  } u;
  aq_store_found found;
  bool has_blob;
  aq_store_blob blob;
} op;

typedef struct {
  op *head, **tail;
} queue;

struct aq_sqlite {
  aq_loop *loop; /* NULL: by hand */
  const aq_env *env;
  aq_store port;
  aq_store_refusal refusal; /* of the answer that is being told */
  pthread_t thread;
  char path[AQ_DB_PATH_MAX];

  pthread_mutex_t lock; /* guards what follows up to `told` */
  pthread_cond_t work;
  queue waiting, finished;
  size_t queued_bytes;
  bool stopping;
  bool told; /* a call of deliver is on its way to the loop */
  bool closed;

  pthread_mutex_t db_lock; /* held while the database is used: by the thread, and by load */
  aq_db db;
  sqlite3 *backup_h;
  sqlite3_backup *backup;
};

static void queue_init(queue *q) { q->head = NULL, q->tail = &q->head; }

static void queue_push(queue *q, op *o) {
  o->next = NULL;
  *q->tail = o;
  q->tail = &o->next;
}

/* ---- answers, on the loop thread ---- */

static void answer_all(aq_sqlite *s) {
  pthread_mutex_lock(&s->lock);
  op *o = s->finished.head;
  queue_init(&s->finished);
  pthread_mutex_unlock(&s->lock);
  while (o) {
    op *next = o->next;
    s->refusal = o->refusal;
    if (o->done) o->done(o->arg, o->st);
    if (o->found) o->found(o->arg, o->st, o->st == AQ_OK ? &o->u.vote : NULL);
    free(o);
    o = next;
  }
}

static void release(aq_sqlite *s) {
  pthread_mutex_destroy(&s->lock);
  pthread_mutex_destroy(&s->db_lock);
  pthread_cond_destroy(&s->work);
  free(s);
}

static void deliver(void *arg) {
  aq_sqlite *s = arg;
  if (s->closed) {
    release(s);
    return;
  }
  pthread_mutex_lock(&s->lock);
  s->told = false;
  pthread_mutex_unlock(&s->lock);
  answer_all(s);
}

/* ---- the store thread ---- */

/* The row goes into the room behind the operation. */
static aq_status find(aq_sqlite *s, op *o) {
  aq_status st = aq_db_find(&s->db, &o->u.vote);
  aq_bytes row = o->u.vote.msg;
  o->u.vote.msg = aq_bytes_of(o + 1, 0);
  if (st != AQ_OK) return st;
  if (row.len > FOUND_MSG_MAX) return AQ_E_FORMAT;
  if (row.len > 0) memcpy(o + 1, row.ptr, row.len);
  o->u.vote.msg.len = row.len;
  return AQ_OK;
}

static aq_status apply(aq_sqlite *s, op *o) {
  const aq_store_blob *blob = o->has_blob ? &o->blob : NULL;
  switch (o->kind) {
    case OP_VOTE: return aq_db_vote(&s->db, &o->u.vote, blob);
    case OP_DECIDED: return aq_db_decided(&s->db, &o->u.decided, blob);
    case OP_SIGN: return aq_db_sign(&s->db, o->u.sign.item, o->u.sign.cnt);
    case OP_PEER: return aq_db_peer(&s->db, o->u.peer.peer, o->u.peer.addr);
    case OP_PRUNE: return aq_db_prune(&s->db, o->u.before_slot);
    case OP_BACKUP: return AQ_OK;
    case OP_FIND: return find(s, o);
    case OP_MARK: return aq_db_since(&s->db, o->u.since_ns);
    case OP_OVER: return aq_db_over(&s->db, o->u.over.pubkey, o->u.over.duty);
    case OP_REFUSED: break;
  }
  return AQ_E_LIMIT;
}

static void log_save(const op *head, aq_status st, const char *err) {
  const op *last = NULL;
  for (const op *o = head; o; o = o->next) {
    if (o->kind == OP_VOTE || o->kind == OP_DECIDED) last = o;
  }
  aq_duty duty = !last                   ? (aq_duty){0, AQ_DUTY_UNKNOWN}
                 : last->kind == OP_VOTE ? last->u.vote.duty
                                         : last->u.decided.duty;
  uint64_t round = !last ? 0 : last->kind == OP_VOTE ? last->u.vote.round : last->u.decided.round;
  char trace[48];
  snprintf(trace, sizeof trace, "%s/%llu", aq_duty_name(duty.type), (unsigned long long)duty.slot);
  aq_log_level level = st == AQ_OK ? AQ_LOG_DEBUG : AQ_LOG_ERROR;
  if (!aq_log_enabled(level)) return;
  AQ_LOG(level, "consensus_state", AQ_STR("err", err), AQ_UINT("height", duty.slot), AQ_STR("op", "save"),
         AQ_STR("result", st == AQ_OK ? "ok" : "error"), AQ_UINT("round", round),
         AQ_STR("trace_id", last ? trace : "store"));
}

/* One transaction for all of the batch: everything of it is durable when it returns, or nothing is. */
static void commit_batch(aq_sqlite *s, op *head) {
  uint64_t start_ns = aq_mono_ns(s->env);
  uint64_t compacted_slot = s->db.compacted_slot;
  aq_status st = aq_db_run(&s->db, AQ_DB_BEGIN);
  for (op *o = head; o && st == AQ_OK; o = o->next) {
    o->st = apply(s, o);
    if (o->kind == OP_SIGN && o->st == AQ_E_SLASH) o->refusal = s->db.refusal;
    if (o->st == AQ_E_IO) st = AQ_E_IO;
  }
  if (st == AQ_OK) st = aq_db_stamp_count(&s->db);
  if (st == AQ_OK) st = aq_db_run(&s->db, AQ_DB_COMMIT);
  if (st != AQ_OK) {
    char why[160];
    snprintf(why, sizeof why, "%s", sqlite3_errmsg(s->db.h));
    if (!sqlite3_get_autocommit(s->db.h)) (void)!aq_db_run(&s->db, AQ_DB_ROLLBACK);
    s->db.compacted_slot = compacted_slot;
    for (op *o = head; o; o = o->next) o->st = AQ_E_IO;
    aq_metric_add(AQ_M_STATE_PERSIST_ERRORS_TOTAL, 1, AQ_NO_LABELS);
    log_save(head, st, why);
    return;
  }
  aq_db_stamp_written(&s->db);
  double ms = (double)(aq_mono_ns(s->env) - start_ns) / (double)AQ_NS_PER_MS;
  aq_metric_observe(AQ_M_STATE_PERSIST_MS, ms, AQ_NO_LABELS);
  log_save(head, AQ_OK, NULL);
}

static void backup_end(aq_sqlite *s, bool keep) {
  char fresh[AQ_DB_PATH_MAX + 8], final[AQ_DB_PATH_MAX + 8];
  snprintf(fresh, sizeof fresh, "%s.bak.new", s->path);
  snprintf(final, sizeof final, "%s.bak", s->path);
  bool good = sqlite3_backup_finish(s->backup) == SQLITE_OK && keep;
  if (sqlite3_close(s->backup_h) != SQLITE_OK) good = false;
  s->backup = NULL, s->backup_h = NULL;
  if (good && rename(fresh, final) == 0) {
    aq_db_sync_folder(final);
    return;
  }
  (void)unlink(fresh);
  if (keep) aq_db_log(AQ_LOG_WARN, "save", "error", 0, "backup failed");
}

static void backup_start(aq_sqlite *s) {
  char fresh[AQ_DB_PATH_MAX + 8];
  if (s->backup) return;
  snprintf(fresh, sizeof fresh, "%s.bak.new", s->path);
  (void)unlink(fresh);
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(fresh, &s->backup_h, flags, NULL) == SQLITE_OK) {
    sqlite3_exec(s->backup_h, "PRAGMA cache_size=-64; PRAGMA synchronous=FULL; PRAGMA journal_mode=OFF", NULL, NULL,
                 NULL);
    s->backup = sqlite3_backup_init(s->backup_h, "main", s->db.h, "main");
  }
  if (s->backup) return;
  aq_db_log(AQ_LOG_WARN, "save", "error", 0, sqlite3_errmsg(s->backup_h));
  sqlite3_close(s->backup_h);
  s->backup_h = NULL;
}

/* A few pages at a time, so that a commit never waits long. */
static void backup_step(aq_sqlite *s) {
  int rc = sqlite3_backup_step(s->backup, BACKUP_PAGES);
  if (rc == SQLITE_OK) return;
  backup_end(s, true);
}

static void finish_batch(aq_sqlite *s, op *head) {
  pthread_mutex_lock(&s->lock);
  while (head) {
    op *next = head->next;
    s->queued_bytes -= head->size;
    queue_push(&s->finished, head);
    head = next;
  }
  bool tell = s->loop && !s->told;
  s->told = s->told || tell;
  pthread_mutex_unlock(&s->lock);
  if (tell) aq_loop_post(s->loop, deliver, s);
}

/* Waits for work; NULL: the backup goes on, or *end. */
static op *take_batch(aq_sqlite *s, bool *end) {
  pthread_mutex_lock(&s->lock);
  while (s->loop && !s->waiting.head && !s->stopping && !s->backup) pthread_cond_wait(&s->work, &s->lock);
  op *head = s->waiting.head;
  queue_init(&s->waiting);
  *end = !head && s->stopping;
  pthread_mutex_unlock(&s->lock);
  return head;
}

/* One batch, or one step of the backup; true: it was the last. */
static bool store_turn(aq_sqlite *s) {
  bool end;
  op *head = take_batch(s, &end);
  pthread_mutex_lock(&s->db_lock);
  if (head) commit_batch(s, head);
  for (const op *o = head; o; o = o->next) {
    if (o->kind == OP_BACKUP) backup_start(s);
  }
  if (!head && !end && s->backup) backup_step(s);
  pthread_mutex_unlock(&s->db_lock);
  if (head) finish_batch(s, head);
  if (end && s->backup) backup_end(s, false);
  return end;
}

static void *store_main(void *arg) {
  aq_sqlite *s = arg;
  while (!store_turn(s)) continue;
  return NULL;
}

bool aq_sqlite_turn(aq_sqlite *s) {
  AQ_ASSERT(!s->loop);
  if (!s->waiting.head && !s->backup) return false;
  (void)store_turn(s);
  answer_all(s);
  return true;
}

/* ---- the port, on the loop thread ---- */

static op *op_new(aq_sqlite *s, op_kind kind, size_t extra, aq_store_done done, void *arg) {
  pthread_mutex_lock(&s->lock);
  bool full = s->queued_bytes + extra > QUEUE_BYTES_MAX;
  pthread_mutex_unlock(&s->lock);
  if (full) kind = OP_REFUSED, extra = 0; /* takes its turn, so that the answers keep their order */
  op *o = calloc(1, sizeof *o + extra);
  AQ_ASSERT(o);
  o->kind = kind, o->done = done, o->arg = arg, o->size = sizeof *o + extra;
  return o;
}

static void op_submit(aq_sqlite *s, op *o) {
  pthread_mutex_lock(&s->lock);
  queue_push(&s->waiting, o);
  s->queued_bytes += o->size;
  pthread_cond_signal(&s->work);
  pthread_mutex_unlock(&s->lock);
}

static aq_bytes copy_to(uint8_t **at, aq_bytes b) {
  if (b.len == 0) return (aq_bytes){*at, 0};
  memcpy(*at, b.ptr, b.len);
  aq_bytes copy = aq_bytes_of(*at, b.len);
  *at += b.len;
  return copy;
}

static void take_blob(op *o, uint8_t **at, const aq_store_blob *blob) {
  if (!blob) return;
  o->has_blob = true;
  o->blob = *blob;
  o->blob.value = copy_to(at, blob->value);
}

static void port_vote(void *ctx, const aq_store_vote *v, const aq_store_blob *blob, aq_store_done done, void *arg) {
  aq_sqlite *s = ctx;
  op *o = op_new(s, OP_VOTE, v->msg.len + v->just.len + (blob ? blob->value.len : 0), done, arg);
  uint8_t *at = (uint8_t *)(o + 1);
  if (o->kind == OP_VOTE) {
    o->u.vote = *v;
    o->u.vote.msg = copy_to(&at, v->msg);
    o->u.vote.just = copy_to(&at, v->just);
    take_blob(o, &at, blob);
  }
  op_submit(s, o);
}

static void port_decided(void *ctx, const aq_store_decided *d, const aq_store_blob *blob, aq_store_done done,
                         void *arg) {
  aq_sqlite *s = ctx;
  op *o = op_new(s, OP_DECIDED, d->commits.len + (blob ? blob->value.len : 0), done, arg);
  uint8_t *at = (uint8_t *)(o + 1);
  if (o->kind == OP_DECIDED) {
    o->u.decided = *d;
    o->u.decided.commits = copy_to(&at, d->commits);
    take_blob(o, &at, blob);
  }
  op_submit(s, o);
}

static void port_sign(void *ctx, const aq_store_sign *r, uint32_t cnt, aq_store_done done, void *arg) {
  aq_sqlite *s = ctx;
  size_t size = cnt * sizeof *r;
  for (uint32_t i = 0; i < cnt; i++) size += r[i].partial.len;
  op *o = op_new(s, OP_SIGN, size, done, arg);
  if (o->kind == OP_SIGN) {
    aq_store_sign *item = o->u.sign.item = (aq_store_sign *)(void *)(o + 1);
    uint8_t *at = (uint8_t *)(item + cnt);
    o->u.sign.cnt = cnt;
    for (uint32_t i = 0; i < cnt; i++) item[i] = r[i], item[i].partial = copy_to(&at, r[i].partial);
  }
  op_submit(s, o);
}

static aq_store_refusal port_refusal(void *ctx) { return ((aq_sqlite *)ctx)->refusal; }

static void port_peer(void *ctx, uint32_t peer, const char *addr) {
  aq_sqlite *s = ctx;
  op *o = op_new(s, OP_PEER, strlen(addr) + 1, NULL, NULL);
  if (o->kind == OP_PEER) {
    memcpy(o + 1, addr, strlen(addr) + 1);
    o->u.peer.peer = peer, o->u.peer.addr = (const char *)(o + 1);
  }
  op_submit(s, o);
}

static void port_prune(void *ctx, uint64_t before_slot) {
  op *o = op_new(ctx, OP_PRUNE, 0, NULL, NULL);
  o->u.before_slot = before_slot;
  op_submit(ctx, o);
}

static void port_find(void *ctx, aq_duty duty, uint8_t msg_type, uint64_t round, aq_store_found done, void *arg) {
  op *o = op_new(ctx, OP_FIND, FOUND_MSG_MAX, NULL, arg);
  o->found = done;
  o->u.vote = (aq_store_vote){.duty = duty, .msg_type = msg_type, .round = round};
  op_submit(ctx, o);
}

static void port_mark(void *ctx, uint64_t since_ns) {
  aq_sqlite *s = ctx;
  op *o = op_new(s, OP_MARK, 0, NULL, NULL);
  o->u.since_ns = since_ns;
  s->port.since_ns = since_ns;
  op_submit(s, o);
}

static void port_over(void *ctx, const uint8_t pubkey[48], aq_duty duty) {
  op *o = op_new(ctx, OP_OVER, 0, NULL, NULL);
  memcpy(o->u.over.pubkey, pubkey, 48);
  o->u.over.duty = duty;
  op_submit(ctx, o);
}

static void port_backup(void *ctx) { op_submit(ctx, op_new(ctx, OP_BACKUP, 0, NULL, NULL)); }

static aq_status port_load(void *ctx, uint64_t from_slot, const aq_store_visitor *v) {
  aq_sqlite *s = ctx;
  pthread_mutex_lock(&s->db_lock);
  aq_status st = aq_db_load(&s->db, from_slot, v);
  pthread_mutex_unlock(&s->db_lock);
  bool peers_only = from_slot > INT64_MAX;
  if (st != AQ_OK)
    aq_db_log(AQ_LOG_ERROR, "load", "error", 0, NULL);
  else if (!peers_only)
    aq_db_log(AQ_LOG_INFO, "load", "ok", from_slot, NULL);
  return st;
}

static aq_status port_pin(void *ctx, const uint8_t genesis_validators_root[32], aq_err *err) {
  aq_sqlite *s = ctx;
  pthread_mutex_lock(&s->db_lock);
  aq_status st = aq_db_chain_pin(&s->db, genesis_validators_root, err);
  pthread_mutex_unlock(&s->db_lock);
  return st;
}

/* ---- object ---- */

/* Signals stay with the loop thread: the store thread inherits a full mask. */
static aq_status start_thread(aq_sqlite *s) {
  pthread_attr_t attr;
  sigset_t all, old;
  sigfillset(&all);
  AQ_MUST(pthread_attr_init(&attr) == 0);
  AQ_MUST(pthread_attr_setstacksize(&attr, THREAD_STACK) == 0);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int rc = pthread_create(&s->thread, &attr, store_main, s);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  return rc == 0 ? AQ_OK : AQ_E_IO;
}

aq_status aq_sqlite_open(aq_sqlite **out, aq_loop *l, const aq_sqlite_cfg *cfg, aq_err *err) {
  aq_err own = {0};
  aq_sqlite *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  s->loop = cfg->by_hand ? NULL : l, s->env = cfg->by_hand ? cfg->by_hand : aq_loop_env(l);
  aq_status st = aq_db_open(&s->db, cfg, aq_now_ns(s->env), err ? err : &own);
  if (st != AQ_OK) {
    free(s);
    return st;
  }
  snprintf(s->path, sizeof s->path, "%s", cfg->path);
  s->port =
      (aq_store){s,           s->db.state, s->db.since_ns, port_vote,    port_decided, port_sign, port_peer, port_prune,
                 port_backup, port_load,   port_pin,       port_refusal, port_find,    port_mark, port_over};
  pthread_mutex_init(&s->lock, NULL);
  pthread_mutex_init(&s->db_lock, NULL);
  pthread_cond_init(&s->work, NULL);
  queue_init(&s->waiting), queue_init(&s->finished);
  if (s->loop) st = start_thread(s);
  if (st != AQ_OK) {
    aq_db_close(&s->db);
    release(s);
    return aq_fail(err, st, "cannot start the store's thread");
  }
  *out = s;
  return AQ_OK;
}

const aq_store *aq_sqlite_port(aq_sqlite *s) { return &s->port; }

void aq_sqlite_close(aq_sqlite *s) {
  if (!s) return;
  pthread_mutex_lock(&s->lock);
  s->stopping = true;
  pthread_cond_signal(&s->work);
  pthread_mutex_unlock(&s->lock);
  if (s->loop)
    pthread_join(s->thread, NULL);
  else
    while (!store_turn(s)) continue;
  answer_all(s);
  while (s->waiting.head) { /* handed in by an answer */
    op *head = s->waiting.head;
    queue_init(&s->waiting);
    commit_batch(s, head);
    s->finished.head = head;
    answer_all(s);
  }
  aq_db_close(&s->db);
  s->closed = true;
  if (!s->told) release(s); /* else the call that is on its way does */
}
