/* What a lost store is put together from, and what of an attempt that failed stays behind. The threads' maker is caught
   by the linker (cmake/tests.cmake). */
#include "adapter/sqlite_db.h"
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char g_dir[64], g_path[96];
static aq_sqlite_cfg g_cfg;

static bool g_no_thread;
int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg) {
  return g_no_thread ? EAGAIN : __real_pthread_create(out, attr, fn, arg);
}

static int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(g_dir, sizeof g_dir, "%.32s/aequa-restore-XXXXXX", tmp ? tmp : P_tmpdir);
  if (!mkdtemp(g_dir)) return -1;
  snprintf(g_path, sizeof g_path, "%s/aequa.db", g_dir);
  g_cfg = (aq_sqlite_cfg){.path = g_path, .self = 2, .lock_hash = {1}};
  aq_metrics_init();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  char rm[128];
  snprintf(rm, sizeof rm, "rm -r '%s'", g_dir);
  return system(rm);
}

static const char *beside(const char *suffix) {
  static char name[128];
  snprintf(name, sizeof name, "%s%s", g_path, suffix);
  return name;
}

static void copy_to(const char *from, const char *to) {
  aq_buf bytes = aq_test_file(beside(from));
  FILE *f = fopen(beside(to), "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
  fclose(f);
  aq_buf_free(&bytes);
}

/* A database of `since_ns` under the suffix, with its log emptied into it. */
static void make(const char *suffix, uint64_t since_ns) {
  sqlite3 *h;
  assert_int_equal(aq_db_create(beside(suffix), &g_cfg, since_ns, NULL), AQ_OK);
  assert_int_equal(sqlite3_open(beside(suffix), &h), SQLITE_OK);
  assert_int_equal(sqlite3_exec(h, "PRAGMA journal_mode=WAL", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

/* What a process leaves that dies while it puts a copy in order: path.new, and a log with another operator's number. */
static void leave_behind(void) {
  sqlite3 *h;
  make(".new", 5);
  assert_int_equal(sqlite3_open(beside(".new"), &h), SQLITE_OK);
  assert_int_equal(sqlite3_exec(h, "UPDATE meta SET value=3 WHERE key='self'", NULL, NULL, NULL), SQLITE_OK);
  copy_to(".new-wal", ".kept");
  assert_int_equal(sqlite3_close(h), SQLITE_OK);
  copy_to(".kept", ".new-wal");
  copy_to(".kept", ".new-journal");
  copy_to(".kept", ".new-shm");
}

/* Goal: what an attempt left behind that died does not meet the next one: neither what is made of the backup nor what
   is made anew has anything of it, and nothing of it stays. Method: the copy, its log and the other files beside it,
   all of another content; a start with a backup, without one, and with one that is not sound. */
static void leftovers_are_not_met(void **state) {
  (void)state;
  enum { BACKUP, NONE, UNSOUND, CNT };
  static const char *const suffix[] = {".new", ".new-wal", ".new-shm", ".new-journal"};
  for (int i = 0; i < CNT; i++) {
    aq_db db;
    (void)unlink(g_path), (void)unlink(beside(".bak")), (void)unlink(beside(".stamp"));
    if (i == BACKUP) make(".bak", 7);
    leave_behind();
    if (i == UNSOUND) copy_to(".kept", ".bak");
    assert_int_equal(aq_db_open(&db, &g_cfg, 1000 + (uint64_t)i, NULL), i == UNSOUND ? AQ_E_IO : AQ_OK);
    for (size_t k = 0; k < AQ_COUNT(suffix); k++) assert_int_equal(access(beside(suffix[k]), F_OK), -1);
    if (i == UNSOUND) continue;
    assert_int_equal(db.state, i == BACKUP ? AQ_STORE_FALLBACK : AQ_STORE_MISS);
    assert_int_equal(db.since_ns, 1000 + (uint64_t)i);
    aq_db_close(&db);
  }
}

/* Goal: a row of the meta table of another length than was asked for is none. Method: shorter, longer and empty ones,
   one that is not there. */
static void rows_have_their_length(void **state) {
  (void)state;
  aq_db db;
  uint8_t out[4];
  make("", 1);
  assert_int_equal(aq_db_view(&db, g_path, true, NULL), AQ_OK);
  for (size_t len = 0; len < 8; len++) {
    assert_int_equal(aq_db_meta_put(&db, "row", aq_bytes_of((const uint8_t *)"12345678", len)), AQ_OK);
    memset(out, 0, sizeof out);
    assert_int_equal(aq_db_meta_get(&db, "row", out, sizeof out), len == sizeof out ? AQ_OK : AQ_E_NOTFOUND);
    assert_memory_equal(out, len == sizeof out ? "1234" : "\0\0\0\0", sizeof out);
  }
  assert_int_equal(aq_db_meta_get(&db, "none", out, sizeof out), AQ_E_NOTFOUND);
  aq_db_close(&db);
}

/* Goal: a store that cannot be made says so and leaves nothing; one that can says nothing. Method: a folder that is not
   there, and one that is. */
static void what_cannot_be_made(void **state) {
  (void)state;
  aq_err err = {AQ_OK, ""};
  assert_int_equal(aq_db_create(beside("/none/aequa.db"), &g_cfg, 1, &err), AQ_E_IO);
  assert_non_null(strstr(err.text, "cannot make the store"));
  err = (aq_err){AQ_OK, ""};
  assert_int_equal(aq_db_create(g_path, &g_cfg, 1, &err), AQ_OK);
  assert_string_equal(err.text, "");
}

/* Goal: who looks into a store that is none hears why: damage, a newer version, or files that cannot be used.
   Method: each of them, for reading and for writing. */
static void why_it_is_not_viewed(void **state) {
  (void)state;
  enum { EMPTY, GARBAGE, NEWER, PIPE, CNT };
  static const char *const want[CNT] = {"damaged or no store", "damaged or no store", "newer version", "must be files"};
  for (int i = 0; i < 2 * CNT; i++) {
    aq_db db;
    aq_err err = {AQ_OK, ""};
    int what = i / 2;
    make("", 1);
    if (what == EMPTY) assert_int_equal(truncate(g_path, 0), 0);
    if (what == GARBAGE) {
      FILE *f = fopen(g_path, "r+b");
      assert_non_null(f);
      assert_true(fputs("garbage garbage ", f) > 0 && fclose(f) == 0);
    }
    if (what == NEWER) {
      sqlite3 *h;
      assert_int_equal(sqlite3_open(g_path, &h), SQLITE_OK);
      assert_int_equal(sqlite3_exec(h, "PRAGMA user_version=2", NULL, NULL, NULL), SQLITE_OK);
      assert_int_equal(sqlite3_close(h), SQLITE_OK);
    }
    if (what == PIPE) assert_int_equal(mkfifo(beside("-journal"), 0600), 0);
    assert_int_equal(aq_db_view(&db, g_path, i % 2, &err), what == NEWER ? AQ_E_UNSUPPORTED : AQ_E_IO);
    if (!strstr(err.text, want[what])) fail_msg("%d: %s", i, err.text);
  }
}

static sqlite3 *g_other;
static int g_slept, g_patience;

/* Whoever waits sees the other one leave after so many times. */
static int sleep_a_little(sqlite3_vfs *vfs, int us) {
  (void)vfs;
  if (++g_slept >= g_patience && g_other) {
    assert_int_equal(sqlite3_close(g_other), SQLITE_OK);
    g_other = NULL;
  }
  return us;
}

/* Goal: a store that another program has locked for a moment, as one that looks into it may, is waited for; one that
   stays locked is refused as that, not taken for damaged. Method: the lock goes while SQLite sleeps, or does not. */
static void locked_for_a_moment(void **state) {
  (void)state;
  sqlite3_vfs vfs = *sqlite3_vfs_find(NULL);
  vfs.zName = "patient", vfs.xSleep = sleep_a_little;
  for (int stays = 0; stays < 2; stays++) {
    aq_db db;
    make("", 1);
    make(".bak", 1);
    assert_int_equal(sqlite3_open(g_path, &g_other), SQLITE_OK);
    const char *lock = "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE meta SET value=value";
    assert_int_equal(sqlite3_exec(g_other, lock, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
    g_slept = 0, g_patience = stays ? INT32_MAX : 3;
    aq_status st = aq_db_open(&db, &g_cfg, 2, NULL);
    assert_int_equal(sqlite3_vfs_unregister(&vfs), SQLITE_OK);
    assert_int_equal(st, stays ? AQ_E_EXISTS : AQ_OK);
    assert_true(stays ? g_slept > 3 : g_slept == 3);
    if (st == AQ_OK) aq_db_close(&db);
    sqlite3_close(g_other);
    g_other = NULL;
  }
}

/* Goal: a store whose thread cannot be started is refused with the reason, and nothing of it is kept: it opens once
   threads can be made again. Method: their maker fails; the sanitizer sees what is left. */
static void no_thread(void **state) {
  (void)state;
  aq_loop *loop = aq_loop_new(1);
  aq_sqlite *s = NULL;
  aq_err err = {AQ_OK, ""};
  g_no_thread = true;
  assert_int_equal(aq_sqlite_open(&s, loop, &g_cfg, &err), AQ_E_IO);
  assert_non_null(strstr(err.text, "thread"));
  assert_null(s);
  g_no_thread = false;
  assert_int_equal(aq_sqlite_open(&s, loop, &g_cfg, &err), AQ_OK);
  aq_sqlite_close(s);
  aq_loop_free(loop);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void drop_line(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  aq_log_start(AQ_LOG_ERROR, drop_line, NULL);
  const struct CMUnitTest tests[] = {T(leftovers_are_not_met), T(rows_have_their_length), T(what_cannot_be_made),
                                     T(why_it_is_not_viewed),  T(locked_for_a_moment),    T(no_thread)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
