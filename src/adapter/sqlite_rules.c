#include "adapter/sqlite_db.h"
#include "base/assert.h"

#include <stdio.h>

enum { MSG_PREPARE = 2, MSG_COMMIT = 3, MSG_ROUND_CHANGE = 4, MSG_CNT = 5, MSG_DECIDED = 5 };

static const char *const sql[AQ_DB_STMT_CNT] = {
    [AQ_DB_BEGIN] = "BEGIN IMMEDIATE",
    [AQ_DB_COMMIT] = "COMMIT",
    [AQ_DB_ROLLBACK] = "ROLLBACK",
    [AQ_DB_SAVE] = "SAVEPOINT one",
    [AQ_DB_SAVE_UNDO] = "ROLLBACK TO one",
    [AQ_DB_SAVE_END] = "RELEASE one",
    [AQ_DB_VOTE_GET] = "SELECT msg, just, value_hash FROM vote WHERE slot=?1 AND type=?2 AND msg_type=?3 AND round=?4",
    [AQ_DB_VOTE_TOP] =
        "SELECT msg_type, max(round), max(prepared_round) FROM vote WHERE slot=?1 AND type=?2 GROUP BY 1",
    [AQ_DB_VOTE_FIND] =
        "SELECT prepared_round, value_hash, msg FROM vote WHERE slot=?1 AND type=?2 AND msg_type=?3 AND round=?4",
    [AQ_DB_VOTE_NEWEST] = "SELECT max(slot) FROM vote",
    [AQ_DB_VOTE_PUT] = "INSERT INTO vote VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [AQ_DB_BLOB_PUT] = "INSERT OR IGNORE INTO blob(slot, type, hash, value) VALUES(?1, ?2, ?3, ?4)",
    [AQ_DB_DECIDED_GET] = "SELECT hash, round FROM decided WHERE slot=?1 AND type=?2",
    [AQ_DB_DECIDED_PUT] = "INSERT INTO decided(slot, type, round, hash, commits) VALUES(?1, ?2, ?3, ?4, ?5)",
    [AQ_DB_SIGN_GET] = "SELECT root FROM sign WHERE kind=?1 AND pubkey=?2 AND type=?3 AND slot=?4 AND sub=?5",
    [AQ_DB_SIGN_PUT] = "INSERT INTO sign VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [AQ_DB_PARTIAL_PUT] = "INSERT OR IGNORE INTO partial VALUES(?1, ?2, ?3, ?4, ?5)",
    [AQ_DB_PARTIAL_DEL] = "DELETE FROM partial WHERE slot=?1 AND type=?2 AND pubkey=?3",
    [AQ_DB_ATTESTATIONS] = "SELECT source, target FROM sign WHERE kind=?1 AND pubkey=?2 AND type=2",
    [AQ_DB_BLOCKS] = "SELECT root FROM sign WHERE kind=?1 AND pubkey=?2 AND type IN (1, 5) AND slot=?3",
    [AQ_DB_MARK_GET] = "SELECT source, target, block_slot FROM mark WHERE kind=?1 AND pubkey=?2",
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

/* Numbers that SQLite would take as negative break every comparison. */
static bool fits(uint64_t a, uint64_t b, uint64_t c) { return a <= INT64_MAX && b <= INT64_MAX && c <= INT64_MAX; }

/* ---- votes: consensus.md 7.2 rules 3 and 4 ---- */

/* AQ_OK: not there. AQ_E_DUP: there with the same content. */
static aq_status vote_recorded(aq_db *db, const aq_store_vote *v) {
  sqlite3_stmt *s = get(db, AQ_DB_VOTE_GET);
  if (!s) return AQ_E_IO;
  bind_duty(s, v->duty);
  bind_u64(s, 3, v->msg_type);
  bind_u64(s, 4, v->round);
  int rc = sqlite3_step(s);
  aq_status st = rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
  if (rc == SQLITE_ROW) {
    bool equal = aq_bytes_eq(column_bytes(s, 0), v->msg) && aq_bytes_eq(column_bytes(s, 1), v->just);
    st = equal ? AQ_E_DUP : AQ_E_SLASH;
  }
  sqlite3_reset(s);
  return st;
}

/* A PREPARE of another value than the COMMIT of its round contradicts what that COMMIT rests on. */
static aq_status prepare_fits(aq_db *db, const aq_store_vote *v) {
  sqlite3_stmt *s = get(db, AQ_DB_VOTE_GET);
  if (!s) return AQ_E_IO;
  bind_duty(s, v->duty);
  bind_u64(s, 3, MSG_COMMIT);
  bind_u64(s, 4, v->round);
  int rc = sqlite3_step(s);
  aq_status st = rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
  if (rc == SQLITE_ROW) {
    bool equal = aq_bytes_eq(column_bytes(s, 2), aq_bytes_of(v->value_hash, sizeof v->value_hash));
    st = equal ? AQ_OK : AQ_E_SLASH;
  }
  sqlite3_reset(s);
  return st;
}

static aq_status vote_in_order(aq_db *db, const aq_store_vote *v) {
  uint64_t top[MSG_CNT] = {0}, top_prepared = 0;
  sqlite3_stmt *s = get(db, AQ_DB_VOTE_TOP);
  if (!s) return AQ_E_IO;
  bind_duty(s, v->duty);
  int rc;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    int64_t type = sqlite3_column_int64(s, 0);
    if (type < 0 || type >= MSG_CNT) continue;
    top[type] = (uint64_t)sqlite3_column_int64(s, 1);
    if (type == MSG_ROUND_CHANGE) top_prepared = (uint64_t)sqlite3_column_int64(s, 2);
  }
  sqlite3_reset(s);
  if (rc != SQLITE_DONE) return AQ_E_IO;
  /* A COMMIT says that its round was prepared. */
  if (top[MSG_COMMIT] > top_prepared) top_prepared = top[MSG_COMMIT];
  bool back = false;
  if (v->msg_type == MSG_PREPARE || v->msg_type == MSG_COMMIT) {
    back = v->round < top[MSG_ROUND_CHANGE] || v->round < top[v->msg_type];
    if (v->msg_type == MSG_PREPARE) back = back || v->round < top[MSG_COMMIT];
  } else if (v->msg_type == MSG_ROUND_CHANGE) {
    back = v->round < top[MSG_ROUND_CHANGE] || v->prepared_round < top_prepared;
  }
  if (back) return AQ_E_SLASH;
  return v->msg_type == MSG_PREPARE ? prepare_fits(db, v) : AQ_OK;
}

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
  if (!fits(v->duty.slot, v->round, v->prepared_round) || (blob && blob->duty.slot > INT64_MAX)) return AQ_E_LIMIT;
  aq_status st = vote_recorded(db, v);
  if (st == AQ_E_DUP) return put_blob(db, blob);
  if (st == AQ_OK) st = vote_in_order(db, v);
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
  if (!fits(d->duty.slot, d->round, blob ? blob->duty.slot : 0)) return AQ_E_LIMIT;
  sqlite3_stmt *s = get(db, AQ_DB_DECIDED_GET);
  if (!s) return AQ_E_IO;
  bind_duty(s, d->duty);
  int rc = sqlite3_step(s);
  bool known = rc == SQLITE_ROW;
  bool equal = known && aq_bytes_eq(column_bytes(s, 0), aq_bytes_of(d->hash, sizeof d->hash));
  sqlite3_reset(s);
  if (!known && rc != SQLITE_DONE) return AQ_E_IO;
  if (known && !equal) return AQ_E_SLASH;
  aq_status st = put_blob(db, blob);
  if (known || st != AQ_OK) return st;
  s = get(db, AQ_DB_DECIDED_PUT);
  if (!s) return AQ_E_IO;
  bind_duty(s, d->duty);
  bind_u64(s, 3, d->round);
  bind_bytes(s, 4, aq_bytes_of(d->hash, sizeof d->hash));
  bind_bytes(s, 5, d->commits);
  return finish(s);
}

aq_status aq_db_find(aq_db *db, aq_store_vote *v) {
  bool decision = v->msg_type == MSG_DECIDED;
  if (!fits(v->duty.slot, v->round, 0)) return AQ_E_NOTFOUND;
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

/* ---- signed roots: EIP-3076 ---- */

static void bind_signer(sqlite3_stmt *s, const aq_store_sign *r) {
  bind_u64(s, 1, (uint64_t)r->kind);
  bind_bytes(s, 2, aq_bytes_of(r->pubkey, sizeof r->pubkey));
}

static aq_status refuse(aq_db *db, aq_store_refusal why) {
  db->refusal = why;
  return AQ_E_SLASH;
}

static bool is_block(aq_duty_type type) { return aq_duty_of(type)->slash == AQ_SLASH_BLOCK; }
static bool is_vote(aq_duty_type type) { return aq_duty_of(type)->slash == AQ_SLASH_ATTESTATION; }

static aq_status sign_recorded(aq_db *db, const aq_store_sign *r) {
  sqlite3_stmt *s = get(db, AQ_DB_SIGN_GET);
  if (!s) return AQ_E_IO;
  bind_signer(s, r);
  bind_u64(s, 3, (uint64_t)r->duty.type);
  bind_u64(s, 4, r->duty.slot);
  bind_u64(s, 5, r->sub);
  int rc = sqlite3_step(s);
  aq_status st = rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
  if (rc == SQLITE_ROW) {
    bool equal = aq_bytes_eq(column_bytes(s, 0), aq_bytes_of(r->root, sizeof r->root));
    st = equal ? AQ_E_DUP : refuse(db, is_block(r->duty.type) ? AQ_REFUSAL_BLOCK : AQ_REFUSAL_ROOT);
  }
  sqlite3_reset(s);
  return st;
}

/* What pruned and imported records forbid: conditions 2, 4 and 5 of EIP-3076. */
static aq_status above_mark(aq_db *db, const aq_store_sign *r) {
  sqlite3_stmt *s = get(db, AQ_DB_MARK_GET);
  if (!s) return AQ_E_IO;
  bind_signer(s, r);
  int rc = sqlite3_step(s);
  aq_status st = rc == SQLITE_DONE || rc == SQLITE_ROW ? AQ_OK : AQ_E_IO;
  if (rc == SQLITE_ROW) {
    int64_t source = sqlite3_column_int64(s, 0), target = sqlite3_column_int64(s, 1);
    int64_t block_slot = sqlite3_column_int64(s, 2);
    bool below = is_vote(r->duty.type) ? (int64_t)r->source_epoch < source || (int64_t)r->target_epoch <= target
                                       : (int64_t)r->duty.slot <= block_slot;
    if (below) st = refuse(db, AQ_REFUSAL_MARK);
  }
  sqlite3_reset(s);
  return st;
}

/* A second vote for a target, or one that surrounds or is surrounded. */
static aq_status attestation_fits(aq_db *db, const aq_store_sign *r) {
  int64_t source = (int64_t)r->source_epoch, target = (int64_t)r->target_epoch;
  if (source > target) return refuse(db, AQ_REFUSAL_EPOCHS);
  sqlite3_stmt *s = get(db, AQ_DB_ATTESTATIONS);
  if (!s) return AQ_E_IO;
  bind_signer(s, r);
  bool twice = false, clash = false;
  int rc;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    int64_t old_source = sqlite3_column_int64(s, 0), old_target = sqlite3_column_int64(s, 1);
    twice |= old_target == target;
    clash |= old_source < source && target < old_target;
    clash |= source < old_source && old_target < target;
  }
  sqlite3_reset(s);
  if (rc != SQLITE_DONE) return AQ_E_IO;
  if (twice) return refuse(db, AQ_REFUSAL_TARGET);
  return clash ? refuse(db, AQ_REFUSAL_SURROUND) : AQ_OK;
}

/* One block a slot, whichever way it was built. */
static aq_status block_fits(aq_db *db, const aq_store_sign *r) {
  sqlite3_stmt *s = get(db, AQ_DB_BLOCKS);
  if (!s) return AQ_E_IO;
  bind_signer(s, r);
  bind_u64(s, 3, r->duty.slot);
  bool clash = false;
  int rc;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    clash |= !aq_bytes_eq(column_bytes(s, 0), aq_bytes_of(r->root, sizeof r->root));
  }
  sqlite3_reset(s);
  if (rc != SQLITE_DONE) return AQ_E_IO;
  return clash ? refuse(db, AQ_REFUSAL_BLOCK) : AQ_OK;
}

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
  if (!fits(r->duty.slot, r->source_epoch, r->target_epoch)) return AQ_E_LIMIT;
  aq_status st = sign_recorded(db, r);
  if (st == AQ_E_DUP) return put_partial(db, r);
  if (st == AQ_OK && is_vote(r->duty.type)) st = attestation_fits(db, r);
  if (st == AQ_OK && is_block(r->duty.type)) st = block_fits(db, r);
  if (st == AQ_OK && (is_vote(r->duty.type) || is_block(r->duty.type))) st = above_mark(db, r);
  if (st != AQ_OK) return st;
  sqlite3_stmt *s = get(db, AQ_DB_SIGN_PUT);
  if (!s) return AQ_E_IO;
  bind_signer(s, r);
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

/* Statements too rare to keep; :1 and up are the numbers. */
static aq_status run_with(aq_db *db, const char *text, const int64_t *v, int cnt, aq_bytes blob) {
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(db->h, text, -1, &s, NULL) != SQLITE_OK) return AQ_E_IO;
  for (int i = 0; i < cnt; i++) sqlite3_bind_int64(s, i + 1, v[i]);
  if (blob.len > 0) bind_bytes(s, cnt + 1, blob);
  int rc = sqlite3_step(s);
  sqlite3_finalize(s);
  return rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

/* Old signed roots become the validator's watermark. Exits and registrations have no deadline and stay. */
static aq_status compact(aq_db *db, int64_t before) {
  static const char *const step[] = {
      "INSERT INTO mark(kind, pubkey, source, target, block_slot) "
      "SELECT kind, pubkey, max(iif(type=2, source, -1)), max(iif(type=2, target, -1)), max(iif(type=2, -1, slot)) "
      "FROM sign WHERE slot<?1 AND type IN (1, 2, 5) GROUP BY kind, pubkey "
      "ON CONFLICT(kind, pubkey) DO UPDATE SET source=max(source, excluded.source), "
      "target=max(target, excluded.target), block_slot=max(block_slot, excluded.block_slot)",
      "DELETE FROM sign WHERE slot<?1 AND type NOT IN (4, 6)",
  };
  aq_status st = AQ_OK;
  for (size_t i = 0; i < AQ_COUNT(step) && st == AQ_OK; i++)
    st = run_with(db, step[i], &before, 1, (aq_bytes){NULL, 0});
  return st;
}

static aq_status keep_newest(aq_db *db, uint64_t *before_slot) {
  sqlite3_stmt *s = get(db, AQ_DB_VOTE_NEWEST);
  if (!s) return AQ_E_IO;
  int rc = sqlite3_step(s);
  if (rc == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL) {
    uint64_t newest = (uint64_t)sqlite3_column_int64(s, 0);
    uint64_t first = newest > AQ_STORE_KEEP_SLOTS ? newest - AQ_STORE_KEEP_SLOTS : 0;
    if (*before_slot > first) *before_slot = first;
  }
  sqlite3_reset(s);
  return rc == SQLITE_ROW ? AQ_OK : AQ_E_IO;
}

aq_status aq_db_prune(aq_db *db, uint64_t before_slot) {
  static const char *const step[] = {"DELETE FROM vote WHERE slot<?1", "DELETE FROM blob WHERE slot<?1",
                                     "DELETE FROM decided WHERE slot<?1",
                                     "DELETE FROM partial WHERE slot<?1 AND type NOT IN (4, 6)"};
  if (before_slot > INT64_MAX) return AQ_E_LIMIT;
  aq_status st = keep_newest(db, &before_slot);
  int64_t before = (int64_t)before_slot;
  for (size_t i = 0; i < AQ_COUNT(step) && st == AQ_OK; i++)
    st = run_with(db, step[i], &before, 1, (aq_bytes){NULL, 0});
  /* It reads the whole journal: in larger steps than the rest. */
  uint64_t cutoff = before_slot > AQ_DB_JOURNAL_SLOTS ? before_slot - AQ_DB_JOURNAL_SLOTS : 0;
  if (st == AQ_OK && cutoff >= db->compacted_slot + AQ_DB_JOURNAL_SLOTS / 4) {
    st = compact(db, (int64_t)cutoff);
    if (st == AQ_OK) db->compacted_slot = cutoff;
  }
  return st;
}

aq_status aq_db_mark(aq_db *db, const uint8_t pubkey[48], int64_t source, int64_t target, int64_t block_slot) {
  aq_status st = AQ_OK;
  for (int64_t kind = AQ_SIGN_PARTIAL; kind <= AQ_SIGN_GROUP && st == AQ_OK; kind++) {
    const int64_t v[] = {kind, source, target, block_slot};
    st = run_with(db,
                  "INSERT INTO mark(kind, source, target, block_slot, pubkey) VALUES(?1, ?2, ?3, ?4, ?5) "
                  "ON CONFLICT(kind, pubkey) DO UPDATE SET source=max(source, excluded.source), "
                  "target=max(target, excluded.target), block_slot=max(block_slot, excluded.block_slot)",
                  v, AQ_COUNT(v), aq_bytes_of(pubkey, 48));
  }
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
      {v->blob, "SELECT slot, type, hash, value FROM blob WHERE slot>=?1 ORDER BY slot, type", visit_blob},
      {v->vote,
       "SELECT slot, type, msg_type, round, prepared_round, value_hash, msg, just FROM vote WHERE slot>=?1 "
       "ORDER BY slot, type, round, msg_type",
       visit_vote},
      {v->decided, "SELECT slot, type, round, hash, commits FROM decided WHERE slot>=?1 ORDER BY slot, type",
       visit_decided},
      {v->peer, "SELECT peer, addr FROM peer WHERE ?1>=0 ORDER BY peer", visit_peer},
      {v->partial,
       "SELECT slot, type, pubkey, sub, data FROM partial WHERE slot>=?1 OR type IN (4, 6) ORDER BY slot, type",
       visit_partial},
  };
  for (size_t i = 0; i < AQ_COUNT(part); i++) {
    sqlite3_stmt *s = NULL;
    if (!part[i].wanted) continue;
    if (sqlite3_prepare_v2(db->h, part[i].text, -1, &s, NULL) != SQLITE_OK) return AQ_E_IO;
    sqlite3_bind_int64(s, 1, from_slot > INT64_MAX ? INT64_MAX : (sqlite3_int64)from_slot);
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) part[i].visit(s, v);
    sqlite3_finalize(s);
    if (rc != SQLITE_DONE) return AQ_E_IO;
  }
  return AQ_OK;
}
