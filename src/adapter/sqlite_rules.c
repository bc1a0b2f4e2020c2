/* The operations of a transaction: rows as the rules of journal/journal.h look at them, and what is written then. */
#include "adapter/sqlite_db.h"
#include "journal/journal.h"

#include <stdio.h>

enum { MSG_DECIDED = 5 };

static const char *const sql[AQ_DB_STMT_CNT] = {
    [AQ_DB_BEGIN] = "BEGIN IMMEDIATE",
    [AQ_DB_COMMIT] = "COMMIT",
    [AQ_DB_ROLLBACK] = "ROLLBACK",
    [AQ_DB_SAVE] = "SAVEPOINT one",
    [AQ_DB_SAVE_UNDO] = "ROLLBACK TO one",
    [AQ_DB_SAVE_END] = "RELEASE one",
    [AQ_DB_VOTES] =
        "SELECT msg_type, round, prepared_round, value_hash, iif(msg_type=?3 AND round=?4, msg, NULL), "
        "iif(msg_type=?3 AND round=?4, just, NULL) FROM vote WHERE slot=?1 AND type=?2",
    [AQ_DB_VOTE_FIND] =
        "SELECT prepared_round, value_hash, msg FROM vote WHERE slot=?1 AND type=?2 AND msg_type=?3 AND round=?4",
    [AQ_DB_VOTE_NEWEST] = "SELECT max(slot) FROM vote",
    [AQ_DB_VOTE_PUT] = "INSERT INTO vote VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [AQ_DB_BLOB_PUT] =
        "INSERT INTO blob(slot, type, hash, value) VALUES(?1, ?2, ?3, ?4) "
        "ON CONFLICT(slot, type, hash) DO UPDATE SET value=excluded.value WHERE value<>excluded.value",
    [AQ_DB_DECIDED_GET] = "SELECT hash, round FROM decided WHERE slot=?1 AND type=?2",
    [AQ_DB_DECIDED_PUT] = "INSERT INTO decided(slot, type, round, hash, commits) VALUES(?1, ?2, ?3, ?4, ?5)",
    [AQ_DB_SIGN_GET] =
        "SELECT type, slot, sub, root, source, target FROM sign "
        "WHERE kind=?1 AND pubkey=?2 AND type=?3 AND slot=?4 AND sub=?5",
    [AQ_DB_ATTESTATIONS] =
        "SELECT type, slot, sub, root, source, target FROM sign "
        "WHERE kind=?1 AND pubkey=?2 AND type=2",
    [AQ_DB_BLOCKS] =
        "SELECT type, slot, sub, root, source, target FROM sign "
        "WHERE kind=?1 AND pubkey=?2 AND type IN (1, 5) AND slot=?3",
    [AQ_DB_SIGN_PUT] = "INSERT INTO sign VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [AQ_DB_PARTIAL_PUT] = "INSERT OR IGNORE INTO partial VALUES(?1, ?2, ?3, ?4, ?5)",
    [AQ_DB_PARTIAL_DEL] = "DELETE FROM partial WHERE slot=?1 AND type=?2 AND pubkey=?3",
    [AQ_DB_MARK_GET] = "SELECT source, target, block_slot FROM mark WHERE kind=?1 AND pubkey=?2",
    [AQ_DB_MARK_PUT] =
        "INSERT OR REPLACE INTO mark(kind, pubkey, source, target, block_slot) VALUES(?1, ?2, ?3, ?4, ?5)",
    [AQ_DB_PEER_PUT] = "INSERT INTO peer(peer, addr) VALUES(?1, ?2) ON CONFLICT(peer) DO UPDATE SET addr=excluded.addr",
    [AQ_DB_PEER_DEL] = "DELETE FROM peer WHERE peer=?1",
};

/* ---- statements ---- */

/* A statement that is ready to take its values; NULL: the database does not work. */
static sqlite3_stmt *get(aq_db *db, aq_db_stmt id) {
  sqlite3_stmt **s = &db->stmt[id];
  if (!*s && sqlite3_prepare_v3(db->h, sql[id], -1, SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK) return NULL;
  sqlite3_reset(*s);
  sqlite3_clear_bindings(*s);
  return *s;
}

static void bind_u64(sqlite3_stmt *s, int at, uint64_t v) { sqlite3_bind_int64(s, at, (sqlite3_int64)v); }

static void bind_bytes(sqlite3_stmt *s, int at, aq_bytes b) {
  if (b.len == 0)
    sqlite3_bind_zeroblob(s, at, 0);
  else
    sqlite3_bind_blob64(s, at, b.ptr, b.len, SQLITE_STATIC);
}

static void bind_duty(sqlite3_stmt *s, aq_duty d) {
  bind_u64(s, 1, d.slot);
  bind_u64(s, 2, (uint64_t)d.type);
}

static aq_bytes column_bytes(sqlite3_stmt *s, int at) {
  const void *ptr = sqlite3_column_blob(s, at);
  return aq_bytes_of(ptr, (size_t)sqlite3_column_bytes(s, at));
}

/* A blob column of a fixed length; zeros when it is another (a damaged row contradicts everything). */
static void column_fixed(sqlite3_stmt *s, int at, void *out, size_t len) {
  aq_bytes b = column_bytes(s, at);
  memset(out, 0, len);
  if (b.len == len) memcpy(out, b.ptr, len);
}

/* Runs a statement that gives no rows, and lets go of the values. */
static aq_status finish(sqlite3_stmt *s) {
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  sqlite3_clear_bindings(s);
  return rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

aq_status aq_db_run(aq_db *db, aq_db_stmt id) {
  sqlite3_stmt *s = get(db, id);
  return s ? finish(s) : AQ_E_IO;
}

/* ---- votes ---- */

static aq_status see_votes(void *ctx, const aq_store_vote *about, aq_journal_vote_fn fn, void *arg) {
  sqlite3_stmt *s = get(ctx, AQ_DB_VOTES);
  if (!s) return AQ_E_IO;
  bind_duty(s, about->duty);
  bind_u64(s, 3, about->msg_type);
  bind_u64(s, 4, about->round);
  int rc;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    aq_store_vote v = {.duty = about->duty, .msg = column_bytes(s, 4), .just = column_bytes(s, 5)};
    v.msg_type = (uint8_t)sqlite3_column_int(s, 0);
    v.round = (uint64_t)sqlite3_column_int64(s, 1);
    v.prepared_round = (uint64_t)sqlite3_column_int64(s, 2);
    column_fixed(s, 3, v.value_hash, sizeof v.value_hash);
    fn(arg, &v);
  }
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

static aq_status see_decided(void *ctx, aq_duty duty, bool *known, uint8_t hash[32]) {
  sqlite3_stmt *s = get(ctx, AQ_DB_DECIDED_GET);
  if (!s) return AQ_E_IO;
  bind_duty(s, duty);
  int rc = sqlite3_step(s);
  *known = rc == SQLITE_ROW;
  if (*known) column_fixed(s, 0, hash, 32);
  sqlite3_reset(s);
  return *known || rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

/* ---- signed roots ---- */

static void bind_signer(sqlite3_stmt *s, aq_sign_kind kind, const uint8_t pubkey[48]) {
  bind_u64(s, 1, (uint64_t)kind);
  bind_bytes(s, 2, aq_bytes_of(pubkey, 48));
}

/* The record of its own key is among those that could contradict it. */
static sqlite3_stmt *signs_about(aq_db *db, const aq_store_sign *r) {
  aq_duty_slash slash = aq_duty_of(r->duty.type)->slash;
  sqlite3_stmt *s = get(db, slash == AQ_SLASH_ATTESTATION ? AQ_DB_ATTESTATIONS
                            : slash == AQ_SLASH_BLOCK     ? AQ_DB_BLOCKS
                                                          : AQ_DB_SIGN_GET);
  if (!s) return NULL;
  bind_signer(s, r->kind, r->pubkey);
  if (slash == AQ_SLASH_BLOCK) bind_u64(s, 3, r->duty.slot);
  if (slash != AQ_SLASH_NONE) return s;
  bind_u64(s, 3, (uint64_t)r->duty.type);
  bind_u64(s, 4, r->duty.slot);
  bind_u64(s, 5, r->sub);
  return s;
}

static aq_status see_signs(void *ctx, const aq_store_sign *about, aq_journal_sign_fn fn, void *arg) {
  sqlite3_stmt *s = signs_about(ctx, about);
  if (!s) return AQ_E_IO;
  int rc;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    aq_store_sign r = {.kind = about->kind};
    memcpy(r.pubkey, about->pubkey, sizeof r.pubkey);
    r.duty = (aq_duty){(uint64_t)sqlite3_column_int64(s, 1), (aq_duty_type)sqlite3_column_int(s, 0)};
    r.sub = (uint32_t)sqlite3_column_int64(s, 2);
    column_fixed(s, 3, r.root, sizeof r.root);
    r.source_epoch = (uint64_t)sqlite3_column_int64(s, 4);
    r.target_epoch = (uint64_t)sqlite3_column_int64(s, 5);
    fn(arg, &r);
  }
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

static aq_status see_mark(void *ctx, aq_sign_kind kind, const uint8_t pubkey[48], aq_journal_mark *out) {
  sqlite3_stmt *s = get(ctx, AQ_DB_MARK_GET);
  if (!s) return AQ_E_IO;
  bind_signer(s, kind, pubkey);
  int rc = sqlite3_step(s);
  if (rc == SQLITE_ROW)
    *out = (aq_journal_mark){.source = sqlite3_column_int64(s, 0),
                             .target = sqlite3_column_int64(s, 1),
                             .block_slot = sqlite3_column_int64(s, 2)};
  sqlite3_reset(s);
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? AQ_OK : AQ_E_IO;
}

static aq_journal_view view_of(aq_db *db) {
  return (aq_journal_view){.ctx = db, .votes = see_votes, .decided = see_decided, .signs = see_signs, .mark = see_mark};
}

/* ---- votes and decisions are written ---- */

static aq_status put_blob(aq_db *db, const aq_store_blob *b) {
  if (!b) return AQ_OK;
  sqlite3_stmt *s = get(db, AQ_DB_BLOB_PUT);
  if (!s) return AQ_E_IO;
  bind_duty(s, b->duty);
  bind_bytes(s, 3, aq_bytes_of(b->hash, sizeof b->hash));
  bind_bytes(s, 4, b->value);
  return finish(s);
}

aq_status aq_db_vote(aq_db *db, const aq_store_vote *v, const aq_store_blob *blob) {
  const aq_journal_view view = view_of(db);
  if (blob && blob->duty.slot > INT64_MAX) return AQ_E_LIMIT;
  aq_status st = aq_journal_vote(&view, v);
  if (st == AQ_E_DUP) return put_blob(db, blob);
  if (st == AQ_OK) st = put_blob(db, blob);
  if (st != AQ_OK) return st;
  sqlite3_stmt *s = get(db, AQ_DB_VOTE_PUT);
  if (!s) return AQ_E_IO;
  bind_duty(s, v->duty);
  bind_u64(s, 3, v->msg_type);
  bind_u64(s, 4, v->round);
  bind_u64(s, 5, v->prepared_round);
  bind_bytes(s, 6, aq_bytes_of(v->value_hash, sizeof v->value_hash));
  bind_bytes(s, 7, v->msg);
  bind_bytes(s, 8, v->just);
  return finish(s);
}

aq_status aq_db_decided(aq_db *db, const aq_store_decided *d, const aq_store_blob *blob) {
  const aq_journal_view view = view_of(db);
  if (blob && blob->duty.slot > INT64_MAX) return AQ_E_LIMIT;
  aq_status st = aq_journal_decided(&view, d);
  if (st == AQ_E_DUP) return put_blob(db, blob);
  if (st == AQ_OK) st = put_blob(db, blob);
  if (st != AQ_OK) return st;
  sqlite3_stmt *s = get(db, AQ_DB_DECIDED_PUT);
  if (!s) return AQ_E_IO;
  bind_duty(s, d->duty);
  bind_u64(s, 3, d->round);
  bind_bytes(s, 4, aq_bytes_of(d->hash, sizeof d->hash));
  bind_bytes(s, 5, d->commits);
  return finish(s);
}

aq_status aq_db_find(aq_db *db, aq_store_vote *v) {
  bool decision = v->msg_type == MSG_DECIDED;
  if (v->duty.slot > INT64_MAX || v->round > INT64_MAX) return AQ_E_NOTFOUND;
  sqlite3_stmt *s = get(db, decision ? AQ_DB_DECIDED_GET : AQ_DB_VOTE_FIND);
  if (!s) return AQ_E_IO;
  bind_duty(s, v->duty);
  if (!decision) bind_u64(s, 3, v->msg_type), bind_u64(s, 4, v->round);
  int rc = sqlite3_step(s);
  if (rc != SQLITE_ROW) {
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? AQ_E_NOTFOUND : AQ_E_IO;
  }
  column_fixed(s, decision ? 0 : 1, v->value_hash, sizeof v->value_hash);
  if (decision) {
    v->round = (uint64_t)sqlite3_column_int64(s, 1);
    return AQ_OK;
  }
  v->prepared_round = (uint64_t)sqlite3_column_int64(s, 0);
  v->msg = column_bytes(s, 2);
  return AQ_OK;
}

/* ---- signed roots are written ---- */

static aq_status put_partial(aq_db *db, const aq_store_sign *r) {
  if (r->partial.len == 0) return AQ_OK;
  sqlite3_stmt *s = get(db, AQ_DB_PARTIAL_PUT);
  if (!s) return AQ_E_IO;
  bind_duty(s, r->duty);
  bind_bytes(s, 3, aq_bytes_of(r->pubkey, sizeof r->pubkey));
  bind_u64(s, 4, r->sub);
  bind_bytes(s, 5, r->partial);
  return finish(s);
}

aq_status aq_db_over(aq_db *db, const uint8_t pubkey[48], aq_duty duty) {
  sqlite3_stmt *s = get(db, AQ_DB_PARTIAL_DEL);
  if (!s || duty.slot > INT64_MAX) return s ? AQ_E_LIMIT : AQ_E_IO;
  bind_duty(s, duty);
  bind_bytes(s, 3, aq_bytes_of(pubkey, 48));
  return finish(s);
}

static aq_status sign_one(aq_db *db, const aq_store_sign *r) {
  const aq_journal_view view = view_of(db);
  aq_status st = aq_journal_sign(&view, r, &db->refusal);
  if (st == AQ_E_DUP) return put_partial(db, r);
  if (st != AQ_OK) return st;
  sqlite3_stmt *s = get(db, AQ_DB_SIGN_PUT);
  if (!s) return AQ_E_IO;
  bind_signer(s, r->kind, r->pubkey);
  bind_u64(s, 3, (uint64_t)r->duty.type);
  bind_u64(s, 4, r->duty.slot);
  bind_u64(s, 5, r->sub);
  bind_bytes(s, 6, aq_bytes_of(r->root, sizeof r->root));
  bind_u64(s, 7, r->source_epoch);
  bind_u64(s, 8, r->target_epoch);
  st = finish(s);
  return st == AQ_OK ? put_partial(db, r) : st;
}

aq_status aq_db_sign(aq_db *db, const aq_store_sign *r, uint32_t cnt) {
  aq_status st = aq_db_run(db, AQ_DB_SAVE);
  for (uint32_t i = 0; i < cnt && st == AQ_OK; i++) st = sign_one(db, &r[i]);
  if (st == AQ_OK) return aq_db_run(db, AQ_DB_SAVE_END);
  if (st == AQ_E_IO) return st;
  if (aq_db_run(db, AQ_DB_SAVE_UNDO) != AQ_OK || aq_db_run(db, AQ_DB_SAVE_END) != AQ_OK) return AQ_E_IO;
  return st;
}

/* ---- the rest ---- */

aq_status aq_db_peer(aq_db *db, uint32_t peer, const char *addr) {
  sqlite3_stmt *s = get(db, *addr ? AQ_DB_PEER_PUT : AQ_DB_PEER_DEL);
  if (!s) return AQ_E_IO;
  bind_u64(s, 1, peer);
  if (*addr) sqlite3_bind_text(s, 2, addr, -1, SQLITE_STATIC);
  return finish(s);
}

static int64_t types_that(bool (*hold)(aq_duty_type type)) {
  int64_t set = 0;
  for (int type = 1; type < AQ_DUTY_CNT; type++) set |= (int64_t)hold((aq_duty_type)type) << type;
  return set;
}

/* Statements too rare to keep; :slot is the number, :stays and :marks are sets of types. NULL: it does not work. */
static sqlite3_stmt *prepare(aq_db *db, const char *text, int64_t slot) {
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(db->h, text, -1, &s, NULL) != SQLITE_OK) return NULL;
  sqlite3_bind_int64(s, sqlite3_bind_parameter_index(s, ":slot"), slot);
  int stays = sqlite3_bind_parameter_index(s, ":stays"), marks = sqlite3_bind_parameter_index(s, ":marks");
  if (stays) sqlite3_bind_int64(s, stays, types_that(aq_journal_stays));
  if (marks) sqlite3_bind_int64(s, marks, types_that(aq_journal_marks));
  return s;
}

static aq_status run_with(aq_db *db, const char *text, int64_t slot) {
  sqlite3_stmt *s = prepare(db, text, slot);
  if (!s) return AQ_E_IO;
  int rc = sqlite3_step(s);
  sqlite3_finalize(s);
  return rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

/* Raises the validator's watermark. */
static aq_status raise_mark(aq_db *db, aq_sign_kind kind, const uint8_t pubkey[48], const aq_journal_mark *by) {
  aq_journal_mark m = AQ_JOURNAL_NO_MARK;
  aq_status st = see_mark(db, kind, pubkey, &m);
  if (st != AQ_OK) return st;
  aq_journal_join(&m, by);
  sqlite3_stmt *s = get(db, AQ_DB_MARK_PUT);
  if (!s) return AQ_E_IO;
  bind_signer(s, kind, pubkey);
  sqlite3_bind_int64(s, 3, m.source);
  sqlite3_bind_int64(s, 4, m.target);
  sqlite3_bind_int64(s, 5, m.block_slot);
  return finish(s);
}

/* Those of one signer follow each other. */
static aq_status raise_marks(aq_db *db, sqlite3_stmt *s) {
  aq_store_sign of = {0};
  aq_journal_mark mark = AQ_JOURNAL_NO_MARK;
  aq_status st = AQ_OK;
  int rc;
  while (st == AQ_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
    aq_store_sign r = {.kind = (aq_sign_kind)sqlite3_column_int(s, 0)};
    column_fixed(s, 1, r.pubkey, sizeof r.pubkey);
    r.duty = (aq_duty){(uint64_t)sqlite3_column_int64(s, 3), (aq_duty_type)sqlite3_column_int(s, 2)};
    r.source_epoch = (uint64_t)sqlite3_column_int64(s, 4);
    r.target_epoch = (uint64_t)sqlite3_column_int64(s, 5);
    bool other = r.kind != of.kind || memcmp(r.pubkey, of.pubkey, sizeof r.pubkey) != 0;
    if (other && of.kind) st = raise_mark(db, of.kind, of.pubkey, &mark);
    if (other) of = r, mark = AQ_JOURNAL_NO_MARK;
    aq_journal_raise(&mark, &r);
  }
  if (st == AQ_OK && rc != SQLITE_DONE) st = AQ_E_IO;
  return st == AQ_OK && of.kind ? raise_mark(db, of.kind, of.pubkey, &mark) : st;
}

/* Old signed roots become the validator's watermark. Exits and registrations have no deadline and stay. */
static aq_status compact(aq_db *db, int64_t before) {
  sqlite3_stmt *s = prepare(db,
                            "SELECT kind, pubkey, type, slot, source, target FROM sign "
                            "WHERE slot<:slot AND (:marks >> type & 1) ORDER BY kind, pubkey",
                            before);
  if (!s) return AQ_E_IO;
  /* A table that is missing is an error now, not with the first record. */
  aq_status st = get(db, AQ_DB_MARK_PUT) ? raise_marks(db, s) : AQ_E_IO;
  sqlite3_finalize(s);
  return st == AQ_OK ? run_with(db, "DELETE FROM sign WHERE slot<:slot AND NOT (:stays >> type & 1)", before) : st;
}

static aq_status keep_newest(aq_db *db, uint64_t *before_slot) {
  sqlite3_stmt *s = get(db, AQ_DB_VOTE_NEWEST);
  if (!s) return AQ_E_IO;
  int rc = sqlite3_step(s);
  if (rc == SQLITE_ROW) {
    bool any = sqlite3_column_type(s, 0) != SQLITE_NULL;
    *before_slot = aq_journal_prune_to(*before_slot, any, (uint64_t)sqlite3_column_int64(s, 0));
  }
  sqlite3_reset(s);
  return rc == SQLITE_ROW ? AQ_OK : AQ_E_IO;
}

aq_status aq_db_prune(aq_db *db, uint64_t before_slot) {
  static const char *const step[] = {"DELETE FROM vote WHERE slot<:slot", "DELETE FROM blob WHERE slot<:slot",
                                     "DELETE FROM decided WHERE slot<:slot",
                                     "DELETE FROM partial WHERE slot<:slot AND NOT (:stays >> type & 1)"};
  if (before_slot > INT64_MAX) return AQ_E_LIMIT;
  aq_status st = keep_newest(db, &before_slot);
  int64_t before = (int64_t)before_slot;
  for (size_t i = 0; i < AQ_COUNT(step) && st == AQ_OK; i++) st = run_with(db, step[i], before);
  /* It reads the whole journal: in larger steps than the rest. */
  uint64_t cutoff = before_slot > AQ_DB_JOURNAL_SLOTS ? before_slot - AQ_DB_JOURNAL_SLOTS : 0;
  if (st == AQ_OK && cutoff >= db->compacted_slot + AQ_DB_JOURNAL_SLOTS / 4) {
    st = compact(db, (int64_t)cutoff);
    if (st == AQ_OK) db->compacted_slot = cutoff;
  }
  return st;
}

aq_status aq_db_mark(aq_db *db, const uint8_t pubkey[48], int64_t source, int64_t target, int64_t block_slot) {
  const aq_journal_mark by = {.source = source, .target = target, .block_slot = block_slot};
  aq_status st = AQ_OK;
  for (int kind = AQ_SIGN_PARTIAL; kind <= AQ_SIGN_GROUP && st == AQ_OK; kind++)
    st = raise_mark(db, (aq_sign_kind)kind, pubkey, &by);
  return st;
}

/* ---- recovery ---- */

static void visit_blob(sqlite3_stmt *s, const aq_store_visitor *v) {
  aq_store_blob b = {.duty = {(uint64_t)sqlite3_column_int64(s, 0), (aq_duty_type)sqlite3_column_int(s, 1)}};
  column_fixed(s, 2, b.hash, sizeof b.hash);
  b.value = column_bytes(s, 3);
  v->blob(v->arg, &b);
}

static void visit_vote(sqlite3_stmt *s, const aq_store_visitor *v) {
  aq_store_vote r = {.duty = {(uint64_t)sqlite3_column_int64(s, 0), (aq_duty_type)sqlite3_column_int(s, 1)}};
  r.msg_type = (uint8_t)sqlite3_column_int(s, 2);
  r.round = (uint64_t)sqlite3_column_int64(s, 3);
  r.prepared_round = (uint64_t)sqlite3_column_int64(s, 4);
  column_fixed(s, 5, r.value_hash, sizeof r.value_hash);
  r.msg = column_bytes(s, 6), r.just = column_bytes(s, 7);
  v->vote(v->arg, &r);
}

static void visit_decided(sqlite3_stmt *s, const aq_store_visitor *v) {
  aq_store_decided d = {.duty = {(uint64_t)sqlite3_column_int64(s, 0), (aq_duty_type)sqlite3_column_int(s, 1)}};
  d.round = (uint64_t)sqlite3_column_int64(s, 2);
  column_fixed(s, 3, d.hash, sizeof d.hash);
  d.commits = column_bytes(s, 4);
  v->decided(v->arg, &d);
}

static void visit_peer(sqlite3_stmt *s, const aq_store_visitor *v) {
  const char *addr = (const char *)sqlite3_column_text(s, 1);
  if (addr) v->peer(v->arg, (uint32_t)sqlite3_column_int64(s, 0), addr);
}

static void visit_partial(sqlite3_stmt *s, const aq_store_visitor *v) {
  aq_store_partial p = {.duty = {(uint64_t)sqlite3_column_int64(s, 0), (aq_duty_type)sqlite3_column_int(s, 1)}};
  column_fixed(s, 2, p.pubkey, sizeof p.pubkey);
  p.sub = (uint32_t)sqlite3_column_int64(s, 3);
  p.partial = column_bytes(s, 4);
  v->partial(v->arg, &p);
}

aq_status aq_db_load(aq_db *db, uint64_t from_slot, const aq_store_visitor *v) {
  const struct {
    bool wanted;
    const char *text;
    void (*visit)(sqlite3_stmt *s, const aq_store_visitor *v);
  } part[] = {
      {v->blob, "SELECT slot, type, hash, value FROM blob WHERE slot>=:slot ORDER BY slot, type", visit_blob},
      {v->vote,
       "SELECT slot, type, msg_type, round, prepared_round, value_hash, msg, just FROM vote WHERE slot>=:slot "
       "ORDER BY slot, type, round, msg_type",
       visit_vote},
      {v->decided, "SELECT slot, type, round, hash, commits FROM decided WHERE slot>=:slot ORDER BY slot, type",
       visit_decided},
      {v->peer, "SELECT peer, addr FROM peer WHERE :slot>=0 ORDER BY peer", visit_peer},
      {v->partial,
       "SELECT slot, type, pubkey, sub, data FROM partial WHERE slot>=:slot OR (:stays >> type & 1) ORDER BY slot, "
       "type",
       visit_partial},
  };
  for (size_t i = 0; i < AQ_COUNT(part); i++) {
    if (!part[i].wanted) continue;
    sqlite3_stmt *s = prepare(db, part[i].text, from_slot > INT64_MAX ? INT64_MAX : (int64_t)from_slot);
    if (!s) return AQ_E_IO;
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) part[i].visit(s, v);
    sqlite3_finalize(s);
    if (rc != SQLITE_DONE) return AQ_E_IO;
  }
  return AQ_OK;
}
