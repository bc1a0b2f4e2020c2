/* Older copies of the database, and what the stamp beside it knows of them. */
#include "aq_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/sqlite_db.h"
#include "base/metrics.h"

static char g_dir[64], g_path[96];
static uint64_t g_now = AQ_SECONDS(2000000000);

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f) {
  (void)st, (void)flag, (void)f;
  return remove(path);
}

static int setup(void **state) {
  (void)state;
  snprintf(g_dir, sizeof g_dir, "/tmp/aequa-stamp-XXXXXX");
  assert_non_null(mkdtemp(g_dir));
  snprintf(g_path, sizeof g_path, "%s/aequa.db", g_dir);
  g_now += AQ_SECONDS(10000);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  return nftw(g_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Into the file itself, so that its inode stays. */
static void copy(const char *from, const char *to) {
  uint8_t chunk[4096];
  char in_name[128], out_name[128];
  snprintf(in_name, sizeof in_name, "%s%s", g_path, from), snprintf(out_name, sizeof out_name, "%s%s", g_path, to);
  int in = open(in_name, O_RDONLY), out = open(out_name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(in >= 0 && out >= 0);
  for (ssize_t len; (len = read(in, chunk, sizeof chunk)) > 0;) assert_int_equal(write(out, chunk, (size_t)len), len);
  close(in), close(out);
}

static void spoil(int place) {
  char name[128];
  snprintf(name, sizeof name, "%s.stamp", g_path);
  int fd = open(name, O_WRONLY);
  assert_int_equal(pwrite(fd, "spoilt", 6, (off_t)place * 512 + 30), 6);
  close(fd);
}

/* Opens, commits so often, and closes; how it was found. */
static aq_store_state use(int commits) {
  aq_db db;
  aq_sqlite_cfg cfg = {.path = g_path};
  aq_err err = {AQ_OK, ""};
  g_now += AQ_SECONDS(700); /* what was restored speaks as restored for ten minutes */
  if (aq_db_open(&db, &cfg, g_now, &err) != AQ_OK) fail_msg("%s", err.text);
  aq_store_state state = db.state;
  for (int i = 0; i < commits; i++) {
    assert_int_equal(aq_db_run(&db, AQ_DB_BEGIN), AQ_OK);
    assert_int_equal(aq_db_stamp_count(&db), AQ_OK);
    assert_int_equal(aq_db_run(&db, AQ_DB_COMMIT), AQ_OK);
    aq_db_stamp_written(&db);
  }
  aq_db_close(&db);
  return state;
}

static double stale(void) { return aq_metric_value(AQ_M_STATE_STALE_TOTAL, AQ_LABELS("stamp")); }

/* Goal: an older copy of the database is noticed when it is put back, whichever of two that have parted since; the
   newest one is not. Method: a copy after some commits, put back after more; then the one that it replaced. */
static void old_copies_are_noticed(void **state) {
  (void)state;
  double before = stale();
  assert_int_equal(use(3), AQ_STORE_MISS);
  assert_int_equal(use(0), AQ_STORE_OK);
  assert_int_equal(use(5), AQ_STORE_OK);
  copy("", ".same"), copy(".same", "");
  assert_int_equal(use(0), AQ_STORE_OK);
  copy("", ".early");
  assert_int_equal(use(1), AQ_STORE_OK);
  copy("", ".late"), copy(".early", "");
  assert_true(stale() == before);
  assert_int_equal(use(9), AQ_STORE_FALLBACK); /* it counts past the other one */
  assert_true(stale() == before + 1);
  assert_int_equal(use(1), AQ_STORE_OK);
  copy(".late", "");
  assert_int_equal(use(0), AQ_STORE_FALLBACK);
  assert_true(stale() == before + 2);
  assert_int_equal(use(0), AQ_STORE_OK);
}

/* Goal: a database that came without its stamp, or as a new file with it, speaks for nothing before its start; that is
   no old copy yet. One place of the stamp that was torn changes nothing. Method: each, then a further start. */
static void copies_and_lost_stamps(void **state) {
  (void)state;
  char stamp[128], file[128];
  double before = stale();
  snprintf(stamp, sizeof stamp, "%s.stamp", g_path), snprintf(file, sizeof file, "%s.copy", g_path);
  assert_int_equal(use(4), AQ_STORE_MISS);
  for (int place = 0; place < 2; place++) {
    spoil(place);
    assert_int_equal(use(2), AQ_STORE_OK);
  }
  spoil(0), spoil(1);
  assert_int_equal(use(2), AQ_STORE_FALLBACK);
  assert_int_equal(use(2), AQ_STORE_OK);
  assert_int_equal(unlink(stamp), 0);
  assert_int_equal(use(2), AQ_STORE_FALLBACK);
  assert_int_equal(use(2), AQ_STORE_OK);
  copy("", ".copy");
  assert_int_equal(rename(file, g_path), 0);
  assert_int_equal(use(2), AQ_STORE_FALLBACK);
  assert_int_equal(use(2), AQ_STORE_OK);
  assert_true(stale() == before);
}

/* Goal: a database of an earlier version is as good as it was, and counts from then on. Method: the rows taken out. */
static void earlier_versions_go_on(void **state) {
  (void)state;
  assert_int_equal(use(2), AQ_STORE_MISS);
  sqlite3 *h = NULL;
  assert_int_equal(sqlite3_open(g_path, &h), SQLITE_OK);
  assert_int_equal(sqlite3_exec(h, "DELETE FROM meta WHERE key IN ('line', 'commits')", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(h);
  assert_int_equal(use(2), AQ_STORE_OK);
  copy("", ".early");
  assert_int_equal(use(2), AQ_STORE_OK);
  copy(".early", "");
  assert_int_equal(use(0), AQ_STORE_FALLBACK);
}

/* Goal: a new line of commits begins only when both places of its stamp are written and synced: without it the next
   old copy would pass. Method: a stamp that is read-only, one whose second place is over the limit of a file, one that
   takes writes and cannot be synced; then one that works. */
static void begins_on_the_disk(void **state) {
  (void)state;
  aq_db db;
  aq_sqlite_cfg cfg = {.path = g_path};
  aq_err err = {AQ_OK, ""};
  char name[128];
  struct rlimit limit, small;
  snprintf(name, sizeof name, "%s.stamp", g_path);
  assert_int_equal(aq_db_open(&db, &cfg, g_now, &err), AQ_OK);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  small = (struct rlimit){520, limit.rlim_max};
  assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
  const struct {
    const char *name;
    int flags;
    const struct rlimit *limit;
    aq_status st;
  } t[] = {{name, O_RDONLY, &limit, AQ_E_IO},
           {name, O_RDWR, &small, AQ_E_IO},
           {"/dev/null", O_RDWR, &limit, AQ_E_IO},
           {name, O_RDWR, &limit, AQ_OK}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    close(db.stamp_fd);
    db.stamp_fd = open(t[i].name, t[i].flags | O_CLOEXEC);
    assert_true(db.stamp_fd >= 0);
    assert_int_equal(aq_db_run(&db, AQ_DB_BEGIN), AQ_OK); /* so that the limit meets the stamp only */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, t[i].limit), 0);
    aq_status st = aq_db_stamp_begin(&db, g_path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(aq_db_run(&db, st == AQ_OK ? AQ_DB_COMMIT : AQ_DB_ROLLBACK), AQ_OK);
    if (st != t[i].st) fail_msg("case %zu: %s", i, aq_status_text(st));
  }
  aq_db_close(&db);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  aq_metrics_init();
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {T(old_copies_are_noticed), T(copies_and_lost_stamps), T(earlier_versions_go_on),
                                     T(begins_on_the_disk)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
