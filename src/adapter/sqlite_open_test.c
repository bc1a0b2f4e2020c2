/* What errors of the disk mean when a store is opened, and want of room later: for the database, and for what is
   recorded. Runs on the disk in memory of test/support/store. */
#include "adapter/sqlite_db.h"
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/env.h"
#include "fault_disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define DB FAULT_DISK_DIR "/aequa.db"

static fake_env g_env;
static aq_sqlite *g_store;

static void drop_line(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static aq_err g_err; /* of the last open_store */

static aq_status open_store(void) {
  const aq_sqlite_cfg cfg = {.path = DB, .lock_hash = {9}, .self = 1, .by_hand = &g_env.env};
  g_err = (aq_err){AQ_OK, ""};
  fake_env_run_for(&g_env, AQ_SECONDS(1));
  return aq_sqlite_open(&g_store, NULL, &cfg, &g_err);
}

static void close_store(void) {
  aq_sqlite_close(g_store);
  g_store = NULL;
}

static void on_answer(void *arg, aq_status st) { *(aq_status *)arg = st; }

static aq_status attest(uint64_t target, uint8_t root) {
  const aq_store *p = aq_sqlite_port(g_store);
  const aq_store_sign s = {.kind = AQ_SIGN_PARTIAL,
                           .pubkey = {7},
                           .duty = {target * 32, AQ_DUTY_ATTESTER},
                           .root = {root},
                           .source_epoch = 1,
                           .target_epoch = target};
  aq_status st = AQ_E_CLOSED;
  p->sign(p->ctx, &s, 1, on_answer, &st);
  while (aq_sqlite_turn(g_store)) continue;
  return st;
}

static void back_up(void) {
  const aq_store *p = aq_sqlite_port(g_store);
  p->backup(p->ctx);
  while (aq_sqlite_turn(g_store)) continue;
}

static uint64_t injected(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < FAULT_KINDS; i++) sum += fault_disk_stats()->injected[i];
  return sum;
}

enum { IN_BACKUP = 5, RECORDED, FAILED, LATER };

/* A store as a process leaves it that was killed: a backup, a record later than that, and one whose sync failed, so
   that the log's pages in memory are not those on the disk. */
static void prepare(uint64_t seed, bool damaged) {
  fault_disk_start(seed);
  fake_env_init(&g_env, AQ_SECONDS(1700000000));
  assert_int_equal(open_store(), AQ_OK);
  assert_int_equal(attest(IN_BACKUP, 1), AQ_OK);
  back_up();
  assert_int_equal(attest(RECORDED, 1), AQ_OK);
  fault_disk_arm(FAULT_SYNC, 0, 1);
  assert_int_equal(attest(FAILED, 1), AQ_E_IO);
  fault_disk_arm(FAULT_SYNC | FAULT_TRUNCATE | FAULT_DELETE | FAULT_LOCK | FAULT_SHM, 0, UINT32_MAX);
  close_store();
  fault_disk_calm();
  if (damaged) assert_true(fault_disk_garble(DB, 0, 4096) && fault_disk_remove(DB "-wal"));
}

/* What was acknowledged is there, once the disk works. */
static void all_there(bool damaged, bool later) {
  assert_int_equal(open_store(), AQ_OK);
  if (later) assert_int_equal(attest(LATER, 2), AQ_E_SLASH);
  if (!damaged) assert_int_equal(attest(RECORDED, 2), AQ_E_SLASH);
  assert_int_equal(attest(IN_BACKUP, 2), AQ_E_SLASH);
}

/* False: so many calls there are not. */
static bool one_fails(uint64_t seed, bool damaged, uint32_t kind, uint64_t after) {
  prepare(seed, damaged);
  uint64_t before = injected();
  fault_disk_arm(kind, after, 1);
  aq_status st = open_store();
  bool hit = injected() != before;
  fault_disk_calm();
  if (st == AQ_OK) {
    const aq_store *p = aq_sqlite_port(g_store);
    if (damaged) assert_int_equal(p->state, AQ_STORE_FALLBACK);
    if (damaged) assert_int_equal(p->since_ns, aq_now_ns(&g_env.env));
    assert_int_equal(attest(LATER, 1), AQ_OK);
    fault_disk_cut(0);
    close_store();
    fault_disk_power_on();
  } else {
    assert_true(hit);
  }
  all_there(damaged || (kind == FAULT_READ && hit), st == AQ_OK);
  close_store();
  fault_disk_end();
  return hit;
}

/* Goal: while a store is opened no failing call takes a sound database away, and what is recorded afterwards outlives
   a loss of power (contract.md 7.1). Only what cannot be read counts as damage. What is restored says since when.
   Method: each call of each kind fails once, with a sound and with a damaged database; then a record and a power cut.
   */
static void each_call_fails(void **state) {
  (void)state;
  enum { SEEDS = 6 };
  for (int damaged = 0; damaged < 2; damaged++) {
    for (uint32_t kind = 1; kind < FAULT_ALL; kind *= 2) {
      if (kind == FAULT_LIE) continue;
      for (uint64_t seed = 0; seed < (kind == FAULT_SYNC ? SEEDS : 1); seed++) {
        uint64_t after = 0;
        while (one_fails(seed, damaged, kind, after)) after++;
        assert_true(after > 0 || !(kind & (FAULT_OPEN | FAULT_READ | FAULT_WRITE | FAULT_SYNC | FAULT_STAT)));
      }
    }
  }
}

/* A backup of a version that kept no stamp: nothing else says how old it is. */
static void old_backup(uint64_t seed) {
  const aq_sqlite_cfg cfg = {.path = DB, .lock_hash = {9}, .self = 1};
  sqlite3 *h;
  fault_disk_start(seed);
  fake_env_init(&g_env, AQ_SECONDS(1700000000));
  assert_int_equal(aq_db_create(DB ".bak", &cfg, 1, NULL), AQ_OK);
  assert_int_equal(sqlite3_open(DB ".bak", &h), SQLITE_OK);
  assert_int_equal(sqlite3_exec(h, "PRAGMA journal_mode=WAL", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

/* Goal: what is made of a backup says since when before it takes the place of the database, whatever fails, also where
   no stamp would tell. Method: each call of each kind fails once. */
static void restored_says_since(void **state) {
  (void)state;
  for (uint32_t kind = 1; kind < FAULT_ALL; kind *= 2) {
    bool hit = kind != FAULT_LIE;
    for (uint64_t after = 0; hit; after++) {
      old_backup(after);
      uint64_t before = injected();
      fault_disk_arm(kind, after, 1);
      aq_status st = open_store();
      hit = injected() != before;
      fault_disk_calm();
      if (st != AQ_OK) {
        assert_true(hit);
        assert_int_equal(open_store(), AQ_OK);
      }
      const aq_store *p = aq_sqlite_port(g_store);
      assert_int_equal(p->state, AQ_STORE_FALLBACK);
      assert_true(p->since_ns >= AQ_SECONDS(1700000000));
      close_store();
      fault_disk_end();
    }
  }
}

/* ---- what SQLite's file layer answers ---- */

static int g_code, g_reads, g_number;
static sqlite3_io_methods g_methods;
static sqlite3_vfs g_vfs;
static const sqlite3_vfs *g_under;
static int (*g_read)(sqlite3_file *, void *, int, sqlite3_int64);

static int bad_read(sqlite3_file *f, void *out, int len, sqlite3_int64 at) {
  return g_code && g_reads++ == 1 ? g_code : g_read(f, out, len, at);
}

static int bad_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags) {
  (void)vfs;
  int rc = g_under->xOpen(&g_vfs, name, f, flags, out_flags);
  if (rc != SQLITE_OK || !name || strncmp(name, DB, strlen(DB)) != 0) return rc;
  g_methods = *f->pMethods;
  g_read = g_methods.xRead;
  g_methods.xRead = bad_read;
  f->pMethods = &g_methods;
  return rc;
}

static int last_error(sqlite3_vfs *vfs, int len, char *out) {
  (void)vfs, (void)len, (void)out;
  return g_number;
}

/* The database answers with the code while it is opened, and the system with the number. */
static aq_status open_with(int code, int number) {
  g_code = code, g_number = number, g_reads = 0;
  aq_status st = open_store();
  if (g_reads < 2) fail_msg("code %d: %d reads, %s", code, g_reads, aq_status_text(st));
  g_code = 0;
  return st;
}

static void answers_begin(void) {
  fault_disk_start(0);
  g_under = sqlite3_vfs_find(NULL);
  g_vfs = *g_under;
  g_vfs.zName = "answers";
  g_vfs.xOpen = bad_open;
  g_vfs.xGetLastError = last_error;
}

static void answers_end(void) {
  assert_int_equal(sqlite3_vfs_unregister(&g_vfs), SQLITE_OK);
  fault_disk_end();
}

/* Goal: a start that a disk refuses says what the disk says, and speaks of rights only where it is about them.
   Method: codes of the file layer with the system's numbers; a log that cannot be written or opened once more. */
static void sentences(void **state) {
  (void)state;
  static const struct {
    int code, number;
    const char *text;
  } t[] = {{SQLITE_FULL, 0, "No space left on device"},
           {SQLITE_IOERR_SHMMAP, ENOSPC, "No space left on device"},
           {SQLITE_IOERR_WRITE, EIO, "Input/output error"},
           {SQLITE_CANTOPEN, EMFILE, "Too many open files"},
           {SQLITE_CANTOPEN, EACCES, "files that this user may write"},
           {SQLITE_CANTOPEN, EROFS, "files that this user may write"},
           {SQLITE_READONLY, 0, "files that this user may write"}};
  answers_begin();
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    prepare(i, false);
    assert_int_equal(sqlite3_vfs_register(&g_vfs, 1), SQLITE_OK);
    assert_int_equal(open_with(t[i].code, t[i].number), AQ_E_IO);
    if (!strstr(g_err.text, t[i].text) || !strstr(g_err.text, DB)) fail_msg("code %d: %s", t[i].code, g_err.text);
  }
  answers_end();
  static const uint32_t kind[] = {FAULT_FULL, FAULT_SYNC};
  for (size_t i = 0; i < AQ_COUNT(kind); i++) {
    prepare(i, false);
    fault_disk_arm(kind[i], 0, UINT32_MAX);
    assert_int_equal(open_store(), AQ_E_IO);
    fault_disk_calm();
    const char *why = kind[i] == FAULT_FULL ? "aequa.db-wal: No space left" : "aequa.db-wal: Input/output error";
    if (!strstr(g_err.text, why)) fail_msg("kind %u: %s", kind[i], g_err.text);
    all_there(false, false);
    close_store();
    fault_disk_end();
  }
}

/* Goal: only codes that speak of the bytes put the backup in the database's place; a full disk, no memory, no right, a
   lock, an error of a write do not. Method: each code from the reads of the database; what is there afterwards. */
static void codes(void **state) {
  (void)state;
  enum { REFUSED, RESTORED };
  static const struct {
    int code, what;
    aq_status st;
  } t[] = {{SQLITE_FULL, REFUSED, AQ_E_IO},           {SQLITE_NOMEM, REFUSED, AQ_E_IO},
           {SQLITE_IOERR_NOMEM, REFUSED, AQ_E_IO},    {SQLITE_CANTOPEN, REFUSED, AQ_E_IO},
           {SQLITE_PERM, REFUSED, AQ_E_IO},           {SQLITE_READONLY, REFUSED, AQ_E_IO},
           {SQLITE_AUTH, REFUSED, AQ_E_IO},           {SQLITE_IOERR_WRITE, REFUSED, AQ_E_IO},
           {SQLITE_IOERR_FSYNC, REFUSED, AQ_E_IO},    {SQLITE_IOERR_LOCK, REFUSED, AQ_E_IO},
           {SQLITE_IOERR_SHMMAP, REFUSED, AQ_E_IO},   {SQLITE_LOCKED, REFUSED, AQ_E_EXISTS},
           {SQLITE_IOERR_READ, RESTORED, AQ_OK},      {SQLITE_IOERR_DATA, RESTORED, AQ_OK},
           {SQLITE_IOERR_CORRUPTFS, RESTORED, AQ_OK}, {SQLITE_CORRUPT, RESTORED, AQ_OK},
           {SQLITE_NOTADB, RESTORED, AQ_OK}};
  answers_begin();
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    prepare(i, false);
    assert_int_equal(sqlite3_vfs_register(&g_vfs, 1), SQLITE_OK);
    aq_status st = open_with(t[i].code, 0);
    if (st != t[i].st) fail_msg("code %d: %s", t[i].code, aq_status_text(st));
    if (st != AQ_OK && open_store() != AQ_OK) fail_msg("code %d: it does not open afterwards", t[i].code);
    assert_int_equal(attest(RECORDED, 2), t[i].what == RESTORED ? AQ_OK : AQ_E_SLASH);
    close_store();
  }
  answers_end();
}

/* ---- no room ---- */

enum { BIG = 16 << 20, SMALL = 128 << 10 };

/* Waits for the disk until no SMALL record fits any more; itself it is no record. */
static void fill_queue(const uint8_t *bytes) {
  static aq_status st[4];
  const aq_store *p = aq_sqlite_port(g_store);
  for (size_t i = 0; i < AQ_COUNT(st); i++) {
    const aq_store_vote v = {.duty = {UINT64_MAX, AQ_DUTY_ATTESTER},
                             .msg_type = 2,
                             .round = 1,
                             .msg = aq_bytes_of(bytes, i + 1 < AQ_COUNT(st) ? BIG : BIG - SMALL / 2)};
    p->vote(p->ctx, &v, NULL, on_answer, &st[i]);
  }
}

static void on_found(void *arg, aq_status st, const aq_store_vote *v) {
  assert_true(st == AQ_OK || !v);
  *(aq_status *)arg = st;
}

/* A record of each kind over SMALL bytes, under the number of its content; four answers. */
static void put_each(uint8_t *bytes, uint8_t content, aq_status st[4]) {
  const aq_store *p = aq_sqlite_port(g_store);
  const aq_duty duty = {64, AQ_DUTY_PROPOSER};
  const aq_store_vote v = {.duty = duty, .msg_type = 2, .round = 1, .value_hash = {content}, .msg = {bytes, SMALL}};
  const aq_store_decided d = {.duty = duty, .round = 1, .hash = {content}, .commits = {bytes, SMALL}};
  const aq_store_blob b = {.duty = duty, .hash = {content}, .value = {bytes, SMALL}};
  const aq_store_vote other = {.duty = {65, AQ_DUTY_PROPOSER}, .msg_type = 2, .round = 1, .msg = {bytes, 1}};
  const aq_store_sign s = {
      .kind = AQ_SIGN_PARTIAL, .pubkey = {9}, .duty = duty, .root = {content}, .partial = {bytes, SMALL}};
  bytes[0] = content;
  for (size_t i = 0; i < 4; i++) st[i] = AQ_E_CLOSED;
  p->vote(p->ctx, &v, NULL, on_answer, &st[0]);
  p->decided(p->ctx, &d, &b, on_answer, &st[1]);
  p->vote(p->ctx, &other, &b, on_answer, &st[2]);
  p->sign(p->ctx, &s, 1, on_answer, &st[3]);
}

/* Goal: what waits for the disk has a bound; what finds no room is answered as that and is not recorded, a small record
   beside it is, and once the disk took the others there is room again. Method: the queue full to the brim, a record of
   each kind and a question; the same duties with another content later. */
static void no_room(void **state) {
  (void)state;
  uint8_t *bytes = calloc(1, BIG);
  aq_status st[4], found = AQ_OK;
  fault_disk_start(1);
  fake_env_init(&g_env, AQ_SECONDS(1700000000));
  assert_int_equal(open_store(), AQ_OK);
  const aq_store *p = aq_sqlite_port(g_store);
  fill_queue(bytes);
  put_each(bytes, 1, st);
  p->find(p->ctx, (aq_duty){64, AQ_DUTY_PROPOSER}, 2, 1, on_found, &found);
  assert_int_equal(attest(LATER, 1), AQ_OK);
  for (size_t i = 0; i < 4; i++) assert_int_equal(st[i], AQ_E_LIMIT);
  assert_true(found == AQ_E_LIMIT || found == AQ_E_NOTFOUND);
  put_each(bytes, 2, st);
  while (aq_sqlite_turn(g_store)) continue;
  for (size_t i = 0; i < 4; i++) assert_int_equal(st[i], AQ_OK);
  put_each(bytes, 1, st);
  while (aq_sqlite_turn(g_store)) continue;
  for (size_t i = 0; i < 4; i++) assert_int_equal(st[i], AQ_E_SLASH);
  close_store();
  fault_disk_end();
  free(bytes);
}

int main(void) {
  aq_metrics_init();
  aq_log_start(AQ_LOG_ERROR, drop_line, NULL);
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_call_fails), cmocka_unit_test(restored_says_since),
                                     cmocka_unit_test(codes), cmocka_unit_test(sentences), cmocka_unit_test(no_room)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
