/* The stamp: a small file beside the database that names its newest commit, so that an older copy of the database that
   was put in its place is noticed (docs/decisions/007). Each commit counts itself in the database; when it is durable
   the stamp is written, not synced: a power cut may leave an older stamp, never one that is ahead of the database. Two
   places take turns, so that a torn write leaves the other one. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/sqlite_db.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

enum { PLACES = 2, PLACE_AT = 512, RECORD = 64, HASHED = 40 };
static const uint8_t magic[8] = {'a', 'e', 'q', 's', 't', 'a', 'm', 'p'};

typedef struct {
  uint8_t line[AQ_DB_LINE_LEN]; /* which life of the database: new whenever one was made, restored or found to be old */
  uint64_t commits, inode;
} stamp;

static uint64_t inode_of(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 ? (uint64_t)info.st_ino : 0;
}

/* magic, line, commits, inode, then the first bytes of their hash. */
static void put(uint8_t out[RECORD], const stamp *s) {
  uint8_t hash[32];
  memcpy(out, magic, sizeof magic);
  memcpy(out + 8, s->line, sizeof s->line);
  aq_le64_put(out + 24, s->commits);
  aq_le64_put(out + 32, s->inode);
  aq_sha256(hash, aq_bytes_of(out, HASHED));
  memcpy(out + HASHED, hash, RECORD - HASHED);
}

static bool get(stamp *s, const uint8_t in[RECORD]) {
  uint8_t hash[32];
  aq_sha256(hash, aq_bytes_of(in, HASHED));
  if (memcmp(in, magic, sizeof magic) != 0 || memcmp(in + HASHED, hash, RECORD - HASHED) != 0) return false;
  memcpy(s->line, in + 8, sizeof s->line);
  s->commits = aq_le64_get(in + 24);
  s->inode = aq_le64_get(in + 32);
  return true;
}

/* The newer one of the two places; false: there is none. */
static bool read_stamp(stamp *out, int fd) {
  bool found = false;
  for (int i = 0; i < PLACES; i++) {
    uint8_t in[RECORD];
    stamp s;
    if (pread(fd, in, sizeof in, (off_t)i * PLACE_AT) != (ssize_t)sizeof in || !get(&s, in)) continue;
    if (!found || s.commits > out->commits) *out = s;
    found = true;
  }
  return found;
}

static bool write_place(const aq_db *db, uint64_t place) {
  stamp s = {.commits = db->commits, .inode = db->inode};
  uint8_t out[RECORD];
  memcpy(s.line, db->line, sizeof s.line);
  put(out, &s);
  return pwrite(db->stamp_fd, out, sizeof out, (off_t)(place % PLACES) * PLACE_AT) == (ssize_t)sizeof out;
}

aq_status aq_db_stamp_open(aq_db *db, const char *path, aq_db_stamp *found) {
  char name[AQ_DB_PATH_MAX + 8];
  snprintf(name, sizeof name, "%s.stamp", path);
  db->stamp_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (db->stamp_fd < 0) return AQ_E_IO;
  db->inode = inode_of(path);
  stamp s;
  uint8_t number[8];
  bool counted = aq_db_meta_get(db, "line", db->line, sizeof db->line) == AQ_OK &&
                 aq_db_meta_get(db, "commits", number, sizeof number) == AQ_OK;
  db->commits = counted ? aq_le64_get(number) : 0;
  bool stamped = read_stamp(&s, db->stamp_fd);
  if (!counted)
    *found = AQ_DB_STAMP_NEW;
  else if (!stamped)
    *found = AQ_DB_STAMP_MISSING;
  else if (memcmp(s.line, db->line, sizeof s.line) != 0 || s.commits > db->commits)
    *found = AQ_DB_STAMP_STALE;
  else
    *found = s.inode == db->inode ? AQ_DB_STAMP_OK : AQ_DB_STAMP_MOVED;
  if (stamped && s.commits > db->commits) db->commits = s.commits;
  return AQ_OK;
}

aq_status aq_db_stamp_begin(aq_db *db, const char *path) {
  aq_system_random(db->line, sizeof db->line);
  db->inode = inode_of(path);
  aq_status st = aq_db_meta_put(db, "line", aq_bytes_of(db->line, sizeof db->line));
  if (st == AQ_OK) st = aq_db_stamp_count(db);
  if (st != AQ_OK) return st;
  db->commits++;
  for (uint64_t i = 0; i < PLACES; i++) {
    if (!write_place(db, i)) return AQ_E_IO;
  }
  if (fsync(db->stamp_fd) != 0) return AQ_E_IO;
  aq_db_sync_folder(path);
  return AQ_OK;
}

aq_status aq_db_stamp_count(aq_db *db) {
  uint8_t number[8];
  sqlite3_stmt *s = db->stmt[AQ_DB_COUNT_PUT];
  if (!s && sqlite3_prepare_v3(db->h, "INSERT OR REPLACE INTO meta(key, value) VALUES('commits', ?1)", -1,
                               SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK)
    return AQ_E_IO;
  db->stmt[AQ_DB_COUNT_PUT] = s;
  aq_le64_put(number, db->commits + 1);
  sqlite3_bind_blob(s, 1, number, sizeof number, SQLITE_STATIC);
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  sqlite3_clear_bindings(s);
  return rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

/* A stamp that cannot be written stays behind: then an old copy may go unnoticed, nothing else. */
void aq_db_stamp_written(aq_db *db) {
  db->commits++;
  if (db->stamp_fd >= 0) (void)write_place(db, db->commits);
}
