/* fake/store_dir.h - for tests: a store in a directory of its own, whose work is done on the test's thread
   (`flush`). setup and teardown are the test's; `reopen` is a restart. */
#ifndef AQ_FAKE_STORE_DIR_H
#define AQ_FAKE_STORE_DIR_H

#include "adapter/sqlite_db.h"
#include "aq_test.h"
#include "base/metrics.h"
#include "fake/env.h"

#include <ftw.h>
#include <unistd.h>

static char g_dir[64], g_path[96];
static fake_env g_env;
static aq_sqlite *g_store;
static const aq_store *g_port;

static inline void open_store(aq_store_state want) {
  const aq_sqlite_cfg cfg = {.path = g_path, .self = 2, .lock_hash = {1, 2, 3}, .by_hand = &g_env.env};
  assert_int_equal(aq_sqlite_open(&g_store, NULL, &cfg, NULL), AQ_OK);
  g_port = aq_sqlite_port(g_store);
  assert_int_equal(g_port->state, want);
}

static inline void reopen(void) {
  aq_sqlite_close(g_store);
  open_store(AQ_STORE_OK);
}

static inline int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(g_dir, sizeof g_dir, "%.32s/aequa-store-XXXXXX", tmp ? tmp : P_tmpdir);
  if (!mkdtemp(g_dir)) return -1;
  snprintf(g_path, sizeof g_path, "%s/aequa.db", g_dir);
  aq_metrics_init();
  fake_env_init(&g_env, UINT64_C(1700000000) * AQ_NS_PER_SEC);
  open_store(AQ_STORE_MISS);
  return 0;
}

static inline int remove_one(const char *path, const struct stat *info, int flag, struct FTW *ftw) {
  (void)info, (void)flag, (void)ftw;
  return remove(path);
}

static inline int teardown(void **state) {
  (void)state;
  aq_sqlite_close(g_store);
  return nftw(g_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void flush(void) {
  while (aq_sqlite_turn(g_store)) continue;
}

static inline void on_answer(void *arg, aq_status st) { *(aq_status *)arg = st; }

#endif
