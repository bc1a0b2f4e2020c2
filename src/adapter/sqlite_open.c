/* Finds, checks, restores and makes the database file: what a start trusts, and what it says of the rest. */
#include "adapter/sqlite_db.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 2000 };
/* A fallback speaks for the duties of the last minutes too when the process starts again soon after: the longest
   instance runs 385 s (consensus.md 7.1). */
#define FALLBACK_LASTS_NS AQ_SECONDS(600)

static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE vote(slot INTEGER NOT NULL, type INTEGER NOT NULL, msg_type INTEGER NOT NULL, round INTEGER NOT NULL,"
    " prepared_round INTEGER NOT NULL, value_hash BLOB NOT NULL, msg BLOB NOT NULL, just BLOB NOT NULL,"
    " PRIMARY KEY(slot, type, msg_type, round)) WITHOUT ROWID;"
    "CREATE TABLE blob(slot INTEGER NOT NULL, type INTEGER NOT NULL, hash BLOB NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(slot, type, hash));"
    "CREATE TABLE decided(slot INTEGER NOT NULL, type INTEGER NOT NULL, round INTEGER NOT NULL, hash BLOB NOT NULL,"
    " commits BLOB NOT NULL, PRIMARY KEY(slot, type));"
    "CREATE TABLE sign(kind INTEGER NOT NULL, pubkey BLOB NOT NULL, type INTEGER NOT NULL, slot INTEGER NOT NULL,"
    " sub INTEGER NOT NULL, root BLOB NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL,"
    " PRIMARY KEY(kind, pubkey, type, slot, sub)) WITHOUT ROWID;"
    "CREATE TABLE mark(kind INTEGER NOT NULL, pubkey BLOB NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL,"
    " block_slot INTEGER NOT NULL, PRIMARY KEY(kind, pubkey)) WITHOUT ROWID;"
    "CREATE TABLE peer(peer INTEGER PRIMARY KEY, addr TEXT NOT NULL);";

/* Not in the first versions of the schema, which neither need it nor mind it: it is added to their files. */
#define PARTIAL_TABLE                                                                                      \
  "CREATE TABLE IF NOT EXISTS partial(slot INTEGER NOT NULL, type INTEGER NOT NULL, pubkey BLOB NOT NULL," \
  " sub INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY(slot, type, pubkey, sub)) WITHOUT ROWID;"

/* What a file turned out to be. */
typedef enum { FOUND_SOUND, FOUND_NONE, FOUND_DAMAGED, FOUND_NEWER, FOUND_FOREIGN, FOUND_LOCKED, FOUND_DENIED } found;

/* ---- files ---- */

static bool path_with(char out[AQ_DB_PATH_MAX], const char *path, const char *suffix) {
  int len = snprintf(out, AQ_DB_PATH_MAX, "%s%s", path, suffix);
  return len > 0 && len < AQ_DB_PATH_MAX;
}

void aq_db_sync_folder(const char *path) {
  char folder[AQ_DB_PATH_MAX];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder] = 0;
  int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

static void move_suffix(const char *path, const char *suffix, const char *to) {
  char from[AQ_DB_PATH_MAX], dest[AQ_DB_PATH_MAX];
  if (path_with(from, path, suffix) && path_with(dest, path, to)) (void)rename(from, dest);
}

static void remove_suffix(const char *path, const char *suffix) {
  char name[AQ_DB_PATH_MAX];
  if (path_with(name, path, suffix)) (void)unlink(name);
}

static void remove_all(const char *path) {
  (void)unlink(path);
  remove_suffix(path, "-wal");
  remove_suffix(path, "-shm");
  remove_suffix(path, "-journal");
}

static aq_status copy_file(const char *from, const char *to) {
  uint8_t chunk[16384];
  int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
      out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool good = in >= 0 && out >= 0;
  while (good) {
    ssize_t len = read(in, chunk, sizeof chunk);
    if (len == 0) break;
    good = len > 0 && write(out, chunk, (size_t)len) == len;
  }
  good = good && fsync(out) == 0;
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  return good ? AQ_OK : AQ_E_IO;
}

/* What the page cache holds of the log may not be on disk: after a failed fsync Linux drops the pages' dirty marks, and
   a crash much later would tear a hole into the log before what was acknowledged since. The same bytes are written
   and synced once more before anything is added. Only with the lock: a writer would lose frames to it. */
static aq_status rewrite_log(const char *path, aq_err *err) {
  char name[AQ_DB_PATH_MAX];
  uint8_t chunk[16384];
  if (!path_with(name, path, "-wal")) return aq_fail(err, AQ_E_LIMIT, "the path of the store is too long");
  int fd = open(name, O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? AQ_OK : aq_fail(err, AQ_E_IO, "cannot open %s: %s", name, strerror(errno));
  errno = 0; /* a short write says nothing of itself */
  bool good = true;
  ssize_t len;
  for (off_t at = 0; good && (len = pread(fd, chunk, sizeof chunk, at)) != 0; at += len)
    good = len > 0 && pwrite(fd, chunk, (size_t)len, at) == len;
  good = good && fsync(fd) == 0;
  if (!good) (void)aq_fail(err, AQ_E_IO, "cannot write %s: %s", name, strerror(errno ? errno : ENOSPC));
  close(fd);
  return good ? AQ_OK : AQ_E_IO;
}

/* Puts path.new in the place of path. What was there goes to path.damaged: first the database, then its log, so that a
   crash in between leaves no database that lacks its log. A log left behind must never meet the new file. */
static aq_status replace(const char *path) {
  char fresh[AQ_DB_PATH_MAX];
  if (!path_with(fresh, path, ".new")) return AQ_E_LIMIT;
  move_suffix(path, "", ".damaged");
  aq_db_sync_folder(path);
  move_suffix(path, "-wal", ".damaged-wal");
  remove_suffix(path, "-shm");
  aq_db_sync_folder(path);
  if (rename(fresh, path) != 0) return AQ_E_IO;
  aq_db_sync_folder(path);
  return AQ_OK;
}

/* ---- looking into a database ---- */

static bool pragma_int(sqlite3 *h, const char *text, int64_t *out, int *rc_out) {
  sqlite3_stmt *s = NULL;
  int rc = sqlite3_prepare_v2(h, text, -1, &s, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(s);
  if (rc == SQLITE_ROW) *out = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  *rc_out = rc;
  return rc == SQLITE_ROW;
}

/* Only what says that the bytes are bad, or cannot be read, speaks for damage: a full disk, a missing descriptor or a
   failing lock says nothing about a database that may be sound, and must not put an older copy in its place. */
static found failure(int rc) {
  switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return FOUND_LOCKED;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
    case SQLITE_FULL:
    case SQLITE_AUTH: return FOUND_DENIED;
    case SQLITE_IOERR: break;
    default: return FOUND_DAMAGED;
  }
  bool unreadable = rc == SQLITE_IOERR_READ || rc == SQLITE_IOERR_SHORT_READ || rc == SQLITE_IOERR_DATA ||
                    rc == SQLITE_IOERR_CORRUPTFS;
  return unreadable ? FOUND_DAMAGED : FOUND_DENIED;
}

static found passes_check(sqlite3 *h) {
  sqlite3_stmt *s = NULL;
  int rc = sqlite3_prepare_v2(h, "PRAGMA quick_check(1)", -1, &s, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(s);
  const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
  found f = rc != SQLITE_ROW ? failure(rc) : text && strcmp(text, "ok") == 0 ? FOUND_SOUND : FOUND_DAMAGED;
  sqlite3_finalize(s);
  return f;
}

/* FOUND_SOUND: the rows are there and name this cluster and operator (cfg NULL: any). */
static found check_identity(sqlite3 *h, const aq_sqlite_cfg *cfg, uint64_t *since_ns, bool *restored) {
  sqlite3_stmt *s = NULL;
  const char *text =
      "SELECT (SELECT value FROM meta WHERE key='lock_hash'), (SELECT value FROM meta WHERE key='self'),"
      " (SELECT value FROM meta WHERE key='since_ns'), (SELECT value FROM meta WHERE key='restored'),"
      " (SELECT count(*) FROM sqlite_master WHERE type='table' AND name IN"
      " ('vote','blob','decided','sign','mark','peer'))";
  int rc = sqlite3_prepare_v2(h, text, -1, &s, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(s);
  found f = rc == SQLITE_ROW ? FOUND_DAMAGED : failure(rc);
  if (rc == SQLITE_ROW && sqlite3_column_int(s, 4) == 6 && sqlite3_column_bytes(s, 0) == sizeof cfg->lock_hash) {
    bool own = !cfg || (memcmp(sqlite3_column_blob(s, 0), cfg->lock_hash, sizeof cfg->lock_hash) == 0 &&
                        sqlite3_column_int64(s, 1) == (int64_t)cfg->self);
    f = own ? FOUND_SOUND : FOUND_FOREIGN;
    *since_ns = (uint64_t)sqlite3_column_int64(s, 2);
    *restored = sqlite3_column_int(s, 3) != 0;
  }
  sqlite3_finalize(s);
  return f;
}

static found inspect(sqlite3 *h, const aq_sqlite_cfg *cfg, uint64_t *since_ns, bool *restored) {
  int64_t tables = 0, application = 0, version = 0;
  int rc;
  if (!pragma_int(h, "SELECT count(*) FROM sqlite_master", &tables, &rc)) return failure(rc);
  if (!pragma_int(h, "PRAGMA application_id", &application, &rc)) return failure(rc);
  if (!pragma_int(h, "PRAGMA user_version", &version, &rc)) return failure(rc);
  if (tables == 0 && application == 0 && version == 0) return FOUND_NONE;
  if (application != AQ_DB_APPLICATION_ID || version < AQ_DB_SCHEMA) return FOUND_DAMAGED;
  if (version > AQ_DB_SCHEMA) return FOUND_NEWER;
  found f = passes_check(h);
  if (f != FOUND_SOUND) return f;
  return check_identity(h, cfg, since_ns, restored);
}

/* SQLite opens what lies beside a database as it finds it: on a pipe it would wait for ever. */
static bool files_beside(const char *path) {
  static const char *const suffix[] = {"-journal", "-wal", "-shm"};
  char name[AQ_DB_PATH_MAX];
  struct stat info;
  for (size_t i = 0; i < AQ_COUNT(suffix); i++) {
    if (path_with(name, path, suffix[i]) && stat(name, &info) == 0 && !S_ISREG(info.st_mode)) return false;
  }
  return true;
}

/* Opens without changing anything; *out stays open when the file is sound. *why: of FOUND_DENIED, an errno or 0. */
static found look(sqlite3 **out, int *why, const char *path, const aq_sqlite_cfg *cfg, uint64_t *since_ns,
                  bool *restored) {
  struct stat info;
  *out = NULL, *why = 0;
  if (stat(path, &info) != 0) {
    *why = errno;
    return errno == ENOENT ? FOUND_NONE : FOUND_DENIED;
  }
  if (!S_ISREG(info.st_mode) || !files_beside(path)) return FOUND_DENIED; /* a pipe has no length either */
  if (info.st_size == 0) return FOUND_NONE;
  sqlite3 *h = NULL;
  int rc = sqlite3_open_v2(path, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  found f = failure(rc);
  if (rc == SQLITE_OK) {
    sqlite3_busy_timeout(h, BUSY_MS);
    sqlite3_extended_result_codes(h, 1);
    sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    f = inspect(h, cfg, since_ns, restored);
  }
  *why = sqlite3_errcode(h) == SQLITE_FULL ? ENOSPC : sqlite3_system_errno(h);
  if (f == FOUND_SOUND) {
    sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    *out = h;
  } else {
    sqlite3_close(h);
  }
  return f;
}

/* ---- making one ---- */

static aq_status exec(sqlite3 *h, const char *text) {
  return sqlite3_exec(h, text, NULL, NULL, NULL) == SQLITE_OK ? AQ_OK : AQ_E_IO;
}

static aq_status put_meta(sqlite3 *h, const char *key, aq_bytes blob, int64_t number) {
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(h, "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)", -1, &s, NULL) != SQLITE_OK)
    return AQ_E_IO;
  sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
  if (blob.ptr)
    sqlite3_bind_blob64(s, 2, blob.ptr, blob.len, SQLITE_STATIC);
  else
    sqlite3_bind_int64(s, 2, number);
  int rc = sqlite3_step(s);
  sqlite3_finalize(s);
  return rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

static aq_status put_since(sqlite3 *h, uint64_t now_ns, bool restored) {
  aq_status st = put_meta(h, "since_ns", (aq_bytes){NULL, 0}, (int64_t)now_ns);
  return st == AQ_OK ? put_meta(h, "restored", (aq_bytes){NULL, 0}, restored) : st;
}

static aq_status fill(sqlite3 *h, const aq_sqlite_cfg *cfg, uint64_t now_ns) {
  char head[128];
  snprintf(head, sizeof head, "PRAGMA application_id=%d; PRAGMA user_version=%d; BEGIN;", AQ_DB_APPLICATION_ID,
           AQ_DB_SCHEMA);
  aq_status st = exec(h, head);
  if (st == AQ_OK) st = exec(h, schema);
  if (st == AQ_OK) st = put_meta(h, "lock_hash", aq_bytes_of(cfg->lock_hash, sizeof cfg->lock_hash), 0);
  if (st == AQ_OK) st = put_meta(h, "self", (aq_bytes){NULL, 0}, cfg->self);
  if (st == AQ_OK) st = put_since(h, now_ns, false);
  return st == AQ_OK ? exec(h, "COMMIT") : st;
}

aq_status aq_db_create(const char *path, const aq_sqlite_cfg *cfg, uint64_t now_ns, aq_err *err) {
  sqlite3 *h = NULL;
  remove_all(path);
  aq_status st = AQ_E_IO;
  if (sqlite3_open_v2(path, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
    st = fill(h, cfg, now_ns);
  }
  if (st != AQ_OK) aq_fail(err, st, "cannot make the store %s: %s", path, h ? sqlite3_errmsg(h) : "no memory");
  sqlite3_close(h);
  if (st != AQ_OK) remove_all(path);
  return st;
}

/* ---- the ways to start ---- */

static aq_status take_lock(aq_db *db, const char *path, aq_err *err) {
  char name[AQ_DB_PATH_MAX];
  if (!path_with(name, path, ".lock")) return aq_fail(err, AQ_E_LIMIT, "the path of the store is too long");
  db->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (db->lock_fd < 0) return aq_fail(err, AQ_E_IO, "cannot open %s: %s", name, strerror(errno));
  if (flock(db->lock_fd, LOCK_EX | LOCK_NB) == 0) return AQ_OK;
  if (errno == EWOULDBLOCK) return aq_fail(err, AQ_E_EXISTS, "another process uses the store %s", path);
  return aq_fail(err, AQ_E_IO, "cannot lock %s: %s", name, strerror(errno));
}

static aq_status configure(aq_db *db, const char *path, aq_err *err) {
  sqlite3_busy_timeout(db->h, BUSY_MS);
  aq_status st = exec(db->h,
                      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-256;"
                      "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint=512;"
                      "PRAGMA journal_size_limit=4194304; PRAGMA trusted_schema=OFF;" PARTIAL_TABLE);
  return st == AQ_OK ? AQ_OK : aq_fail(err, AQ_E_IO, "cannot use the store %s: %s", path, sqlite3_errmsg(db->h));
}

void aq_db_log(aq_log_level level, const char *op, const char *result, uint64_t height, const char *err) {
  AQ_LOG(level, "consensus_state", AQ_STR("err", err), AQ_UINT("height", height), AQ_STR("op", op),
         AQ_STR("result", result), AQ_UINT("round", 0), AQ_STR("trace_id", "store"));
}

static aq_status start_sound(aq_db *db, uint64_t now_ns, bool restored) {
  db->state = restored && now_ns < db->since_ns + FALLBACK_LASTS_NS ? AQ_STORE_FALLBACK : AQ_STORE_OK;
  aq_metric_add(AQ_M_STATE_RECOVERY_TOTAL, 1, AQ_LABELS("ok"));
  return AQ_OK;
}

static aq_status start_fresh(aq_db *db, const aq_sqlite_cfg *cfg, uint64_t now_ns, const char *result, aq_err *err) {
  char fresh[AQ_DB_PATH_MAX];
  bool restored;
  int why;
  if (!path_with(fresh, cfg->path, ".new")) return aq_fail(err, AQ_E_LIMIT, "the path of the store is too long");
  aq_status st = aq_db_create(fresh, cfg, now_ns, err);
  if (st != AQ_OK) return st;
  if (replace(cfg->path) != AQ_OK || look(&db->h, &why, cfg->path, cfg, &db->since_ns, &restored) != FOUND_SOUND) {
    return aq_fail(err, AQ_E_IO, "cannot put the new store in place: %s", cfg->path);
  }
  db->state = AQ_STORE_MISS;
  aq_metric_add(AQ_M_STATE_RECOVERY_TOTAL, 1, AQ_LABELS(result));
  aq_db_log(AQ_LOG_INFO, "load", "miss", 0, NULL);
  return AQ_OK;
}

/* Into the file itself: its log does not move with it, and closing says nothing when it could not be emptied. */
static aq_status mark_restored(sqlite3 *h, uint64_t now_ns) {
  aq_status st = put_since(h, now_ns, true);
  if (st != AQ_OK) return st;
  int left = 0;
  int rc = sqlite3_wal_checkpoint_v2(h, NULL, SQLITE_CHECKPOINT_TRUNCATE, &left, NULL);
  return rc == SQLITE_OK && left <= 0 ? AQ_OK : AQ_E_IO;
}

/* The backup takes the place of a damaged or missing database, if it is sound itself. */
static bool start_from_backup(aq_db *db, const aq_sqlite_cfg *cfg, uint64_t now_ns) {
  char fresh[AQ_DB_PATH_MAX], backup[AQ_DB_PATH_MAX];
  bool restored;
  int why;
  sqlite3 *h = NULL;
  if (!path_with(fresh, cfg->path, ".new") || !path_with(backup, cfg->path, ".bak")) return false;
  remove_all(fresh);
  bool good = access(backup, R_OK) == 0 && copy_file(backup, fresh) == AQ_OK &&
              look(&h, &why, fresh, cfg, &db->since_ns, &restored) == FOUND_SOUND && mark_restored(h, now_ns) == AQ_OK;
  if (sqlite3_close(h) != SQLITE_OK) good = false;
  good = good && replace(cfg->path) == AQ_OK &&
         look(&db->h, &why, cfg->path, cfg, &db->since_ns, &restored) == FOUND_SOUND;
  if (!good) {
    remove_all(fresh);
    return false;
  }
  db->state = AQ_STORE_FALLBACK;
  aq_metric_add(AQ_M_STATE_RECOVERY_TOTAL, 1, AQ_LABELS("fallback"));
  aq_db_log(AQ_LOG_WARN, "load", "error", 0, "the database is damaged or missing: the backup takes its place");
  return true;
}

static aq_status start_damaged(aq_db *db, const aq_sqlite_cfg *cfg, uint64_t now_ns, found f, aq_err *err) {
  char backup[AQ_DB_PATH_MAX];
  if (start_from_backup(db, cfg, now_ns)) return AQ_OK;
  if (!path_with(backup, cfg->path, ".bak")) return aq_fail(err, AQ_E_LIMIT, "the path of the store is too long");
  bool first = f == FOUND_NONE && access(backup, F_OK) != 0 && errno == ENOENT;
  if (first) return start_fresh(db, cfg, now_ns, "miss", err);
  if (cfg->accept_empty) return start_fresh(db, cfg, now_ns, "fail", err);
  aq_metric_add(AQ_M_STATE_RECOVERY_TOTAL, 1, AQ_LABELS("fail"));
  return aq_fail(err, AQ_E_IO,
                 "neither %s nor its backup is sound; restore one of them, or start with --accept-empty-store",
                 cfg->path);
}

static aq_status denied(const char *path, int why, aq_err *err) {
  if (why && why != EACCES && why != EPERM && why != EROFS)
    return aq_fail(err, AQ_E_IO, "cannot use the store %s: %s", path, strerror(why));
  return aq_fail(err, AQ_E_IO,
                 "cannot open the store %s: it and its -wal, -shm and -journal must be files that this user may write",
                 path);
}

static aq_status start(aq_db *db, const aq_sqlite_cfg *cfg, uint64_t now_ns, aq_err *err) {
  bool restored = false;
  if (rewrite_log(cfg->path, err) != AQ_OK) return AQ_E_IO;
  int why;
  found f = look(&db->h, &why, cfg->path, cfg, &db->since_ns, &restored);
  switch (f) {
    case FOUND_SOUND: return start_sound(db, now_ns, restored);
    case FOUND_NEWER:
      return aq_fail(err, AQ_E_UNSUPPORTED, "%s was written by a newer version; this one reads schema %d", cfg->path,
                     AQ_DB_SCHEMA);
    case FOUND_FOREIGN: return aq_fail(err, AQ_E_UNKNOWN, "%s belongs to another cluster or operator", cfg->path);
    case FOUND_LOCKED: return aq_fail(err, AQ_E_EXISTS, "another process has %s locked", cfg->path);
    case FOUND_DENIED: return denied(cfg->path, why, err);
    case FOUND_NONE:
    case FOUND_DAMAGED: break;
  }
  return start_damaged(db, cfg, now_ns, f, err);
}

aq_status aq_db_view(aq_db *db, const char *path, bool write, aq_err *err) {
  bool restored;
  *db = (aq_db){.lock_fd = -1, .stamp_fd = -1};
  aq_status st = access(path, F_OK) == 0
                     ? AQ_OK
                     : aq_fail(err, AQ_E_NOTFOUND, "there is no store %s: --data-dir or --store names it", path);
  if (st == AQ_OK && write) st = take_lock(db, path, err);
  if (st == AQ_OK && write) st = rewrite_log(path, err);
  if (st == AQ_OK) {
    int why;
    found f = look(&db->h, &why, path, NULL, &db->since_ns, &restored);
    if (f == FOUND_NEWER)
      st = aq_fail(err, AQ_E_UNSUPPORTED, "%s was written by a newer version", path);
    else if (f == FOUND_DAMAGED || f == FOUND_NONE)
      st = aq_fail(err, AQ_E_IO, "%s is damaged or no store", path);
    else if (f != FOUND_SOUND)
      st = denied(path, why, err);
  }
  if (st == AQ_OK && write) st = configure(db, path, err);
  if (st == AQ_OK && !write) sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  if (st != AQ_OK) aq_db_close(db);
  return st;
}

aq_status aq_db_since(aq_db *db, uint64_t since_ns) {
  return put_meta(db->h, "since_ns", (aq_bytes){NULL, 0}, (int64_t)since_ns);
}

aq_status aq_db_meta_put(aq_db *db, const char *key, aq_bytes value) { return put_meta(db->h, key, value, 0); }

aq_status aq_db_meta_get(aq_db *db, const char *key, void *out, size_t len) {
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(db->h, "SELECT value FROM meta WHERE key=?1", -1, &s, NULL) != SQLITE_OK) return AQ_E_IO;
  sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
  bool good = sqlite3_step(s) == SQLITE_ROW && (size_t)sqlite3_column_bytes(s, 0) == len;
  if (good) memcpy(out, sqlite3_column_blob(s, 0), len);
  sqlite3_finalize(s);
  return good ? AQ_OK : AQ_E_NOTFOUND;
}

/* Why a sound database may lack what this node sent; NULL: it does not. */
static const char *distrusted(aq_db_stamp mark) {
  switch (mark) {
    case AQ_DB_STAMP_STALE:
      return "an older copy of the database was put back: never do that (docs/operate.md). Duties that began before "
             "now "
             "are left out";
    case AQ_DB_STAMP_MISSING:
      return "the database's .stamp file is missing or unreadable, so it may be an older copy: duties that began "
             "before "
             "now "
             "are left out. Move and keep the two together";
    case AQ_DB_STAMP_MOVED:
      return "the database is a copy, as after a move or a restore: duties that began before now are left out";
    case AQ_DB_STAMP_OK:
    case AQ_DB_STAMP_NEW: break;
  }
  return NULL;
}

/* A database that may be older than what was sent speaks as a restored one does. */
static aq_status check_stamp(aq_db *db, const char *path, uint64_t now_ns, aq_err *err) {
  aq_db_stamp mark;
  aq_status st = aq_db_stamp_open(db, path, &mark);
  bool told = db->since_ns == now_ns; /* made or restored just now */
  const char *why = st == AQ_OK && !told ? distrusted(mark) : NULL;
  if (why) {
    aq_db_log(mark == AQ_DB_STAMP_STALE ? AQ_LOG_ERROR : AQ_LOG_WARN, "load", "error", db->commits, why);
    if (mark == AQ_DB_STAMP_STALE) aq_metric_add(AQ_M_STATE_STALE_TOTAL, 1, AQ_LABELS("stamp"));
    st = put_since(db->h, now_ns, true);
    db->state = AQ_STORE_FALLBACK, db->since_ns = now_ns;
  }
  if (st == AQ_OK && mark != AQ_DB_STAMP_OK) st = aq_db_stamp_begin(db, path);
  return st == AQ_OK ? AQ_OK : aq_fail(err, st, "cannot write the stamp of the store, %s.stamp", path);
}

aq_status aq_db_open(aq_db *db, const aq_sqlite_cfg *cfg, uint64_t now_ns, aq_err *err) {
  *db = (aq_db){.lock_fd = -1, .stamp_fd = -1};
  aq_status st = take_lock(db, cfg->path, err);
  if (st == AQ_OK) st = start(db, cfg, now_ns, err);
  if (st == AQ_OK) st = configure(db, cfg->path, err);
  if (st == AQ_OK) st = check_stamp(db, cfg->path, now_ns, err);
  if (st != AQ_OK) {
    aq_db_log(AQ_LOG_INFO, "load", "error", 0, NULL); /* why is told by who wanted it, once */
    aq_db_close(db);
  }
  return st;
}

void aq_db_close(aq_db *db) {
  for (size_t i = 0; i < AQ_COUNT(db->stmt); i++) sqlite3_finalize(db->stmt[i]);
  sqlite3_close(db->h);
  if (db->stamp_fd >= 0) close(db->stamp_fd);
  if (db->lock_fd >= 0) close(db->lock_fd);
  *db = (aq_db){.lock_fd = -1, .stamp_fd = -1};
}
