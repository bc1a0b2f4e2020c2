/* test/support/store/store_fire_internal.h - the state of one run, shared by its calls (store_fire.c), its recoveries
   (store_fire_open.c) and its generator (store_fire_gen.c). */
#ifndef AQ_TEST_STORE_FIRE_INTERNAL_H
#define AQ_TEST_STORE_FIRE_INTERNAL_H

#include "adapter/sqlite_db.h"
#include "aq_test.h"
#include "fake/env.h"
#include "fault_disk.h"
#include "store_fire.h"
#include "store_world.h"

#define FIRE_DB FAULT_DISK_DIR "/aequa.db"
#define FIRE_BAK FIRE_DB ".bak"

enum { FIRE_LATE_MAX = 6, FIRE_EVER = 1 << 15, FIRE_LIE = 5 /* bit of FAULT_LIE */ };

typedef struct {
  store_fire_result *out;
  FILE *trace;
  aq_test_rng rng;
  fake_env env;
  aq_sqlite_cfg cfg;
  aq_sqlite *store;
  const aq_store *port;

  /* What a run has: kinds of faults, and which happenings. */
  uint32_t kinds;
  bool cuts, damages, big;

  world base;                /* what was acknowledged */
  world late[FIRE_LATE_MAX]; /* base and one batch that failed since the last one that did not */
  uint32_t late_cnt;
  world bak[2]; /* the backup, and the one before it */
  uint32_t bak_cnt;

  bool fresh;   /* never opened yet, or an empty store was accepted */
  bool damaged; /* the database at rest is not sound */
  bool bak_damaged;
  bool uncertain; /* the disk lied, or single pages are garbage: only invention is checked */
  uint64_t lies_seen;
  uint64_t restored_ns;            /* when the database in use was made or restored, at the latest */
  uint64_t lost_ns, lost_until_ns; /* what was sent up to lost_ns may be unknown; it was noticed until */
  bool restored;                   /* and it came from the backup */
  uint64_t ever[FIRE_EVER];        /* rows that were ever asked for */

  world_op op[WORLD_BATCH];
  aq_status want[WORLD_BATCH], got[WORLD_BATCH + 1];
  bool told[WORLD_BATCH + 1];
  uint32_t op_cnt;
  uint64_t slot;
  uint32_t next_id;
} fire;

uint64_t fire_below(fire *f, uint64_t n);
bool fire_one_in(fire *f, uint64_t n);
/* The first one stays; false always. */
bool fire_wrong(fire *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fire_say(fire *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fire_observe(fire *f, uint64_t v);

world_op fire_next_op(fire *f);

/* Opens the store, with faults and cuts on the way if the run has them, and compares. */
bool fire_open(fire *f);
void fire_close(fire *f);
uint64_t fire_injected(void);
/* What the store holds against base; the disk works meanwhile. */
bool fire_same(fire *f, const char *when);
void fire_ever_add(fire *f, const world *w);

#endif
