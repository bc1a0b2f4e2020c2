/* Files, folders and what of each is durable, as lists of changes that a power cut may keep or drop. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "aq_test.h"
#include "base/assert.h"
#include "fault_disk_internal.h"

enum { SECTOR = 512 };

const char *const fault_kind_name[FAULT_KINDS] = {"open",     "read",   "write", "full", "sync", "lie",
                                                  "truncate", "delete", "lock",  "shm",  "stat", "rename"};

typedef struct {
  char name[FAULT_NAME_MAX];
  fault_node *node;
} entry;

typedef struct {
  entry at[FAULT_FILES_MAX];
  uint32_t cnt;
} folder;

/* A change of names that is not durable yet. to empty: removed; from empty: made. */
typedef struct {
  char from[FAULT_NAME_MAX], to[FAULT_NAME_MAX];
  fault_node *node;
} name_change;

enum { NAME_CHANGES_MAX = 4096 };

static struct {
  aq_test_rng rng;
  fault_node node[FAULT_FILES_MAX];
  folder seen, durable;
  name_change change[NAME_CHANGES_MAX];
  uint32_t change_cnt;
  uint32_t kinds;
  uint64_t plan_after, plan_cnt;
  bool dead, cutting, paused;
  uint64_t cut_after;
  fault_stats stats;
  FILE *trace;
  void (*on_rename)(void *arg, const char *to);
  void *rename_arg;
} disk;

uint64_t fault_disk_random(void) { return aq_test_rng_next(&disk.rng); }

static uint64_t below(uint64_t n) { return n ? fault_disk_random() % n : 0; }

static bool one_in(uint64_t n) { return below(n) == 0; }

void fault_note(const char *fmt, ...) {
  if (!disk.trace) return;
  va_list ap;
  va_start(ap, fmt);
  vfprintf(disk.trace, fmt, ap);
  va_end(ap);
}

/* ---- bytes ---- */

static void bytes_resize(fault_bytes *b, size_t len) {
  if (len > b->cap) {
    size_t cap = b->cap ? b->cap : 4096;
    while (cap < len) cap *= 2;
    b->ptr = realloc(b->ptr, cap);
    AQ_ASSERT(b->ptr);
    b->cap = cap;
  }
  if (len > b->len) memset(b->ptr + b->len, 0, len - b->len);
  b->len = len;
}

static void bytes_put(fault_bytes *b, size_t at, const uint8_t *data, size_t len) {
  if (len == 0) return;
  if (at + len > b->len) bytes_resize(b, at + len);
  memcpy(b->ptr + at, data, len);
}

static void changes_drop(fault_node *n) {
  while (n->first) {
    fault_change *c = n->first;
    n->first = c->next;
    free(c->data);
    free(c);
  }
  n->last = &n->first;
}

static void change_add(fault_node *n, const void *data, size_t at, size_t len) {
  fault_change *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  c->at = at, c->len = len;
  if (data) {
    c->data = malloc(len ? len : 1);
    AQ_ASSERT(c->data);
    memcpy(c->data, data, len);
  }
  *n->last = c;
  n->last = &c->next;
}

void fault_write(fault_node *n, size_t at, const void *data, size_t len) {
  bytes_put(&n->seen, at, data, len);
  change_add(n, data, at, len);
}

size_t fault_read(const fault_node *n, size_t at, void *out, size_t len) {
  if (at >= n->seen.len) return 0;
  size_t got = n->seen.len - at < len ? n->seen.len - at : len;
  memcpy(out, n->seen.ptr + at, got);
  return got;
}

void fault_truncate(fault_node *n, size_t len) {
  bytes_resize(&n->seen, len);
  change_add(n, NULL, len, 0);
}

void fault_sync(fault_node *n) {
  for (const fault_change *c = n->first; c; c = c->next) {
    if (c->data)
      bytes_put(&n->durable, c->at, c->data, c->len);
    else
      bytes_resize(&n->durable, c->at);
  }
  changes_drop(n);
}

/* Of 4 cuts one keeps nothing, one keeps all; the others toss a coin for each sector, and one sector in 8 is torn. */
static void settle_write(fault_node *n, const fault_change *c, uint64_t mode) {
  for (size_t done = 0; done < c->len;) {
    size_t len = SECTOR - (c->at + done) % SECTOR;
    if (len > c->len - done) len = c->len - done;
    bool keep = mode == 1 || (mode > 1 && one_in(2));
    size_t kept = keep ? len : 0;
    if (mode > 1 && one_in(8)) kept = (size_t)below(len + 1);
    bytes_put(&n->durable, c->at + done, c->data + done, kept);
    done += len;
  }
}

static void settle(fault_node *n) {
  uint64_t mode = below(4);
  for (const fault_change *c = n->first; c; c = c->next) {
    if (c->data)
      settle_write(n, c, mode);
    else if (mode == 1 || (mode > 1 && one_in(2)))
      bytes_resize(&n->durable, c->at);
  }
  changes_drop(n);
}

void fault_sync_failed(fault_node *n) { settle(n); }

/* ---- names ---- */

static entry *entry_of(folder *f, const char *name) {
  for (uint32_t i = 0; i < f->cnt; i++) {
    if (strcmp(f->at[i].name, name) == 0) return &f->at[i];
  }
  return NULL;
}

static void folder_set(folder *f, const char *name, fault_node *node) {
  entry *e = entry_of(f, name);
  if (!e) {
    AQ_ASSERT(f->cnt < FAULT_FILES_MAX);
    e = &f->at[f->cnt++];
    snprintf(e->name, sizeof e->name, "%s", name);
  }
  e->node = node;
}

static bool folder_unset(folder *f, const char *name) {
  entry *e = entry_of(f, name);
  if (!e) return false;
  *e = f->at[--f->cnt];
  return true;
}

static void name_apply(folder *f, const name_change *c) {
  if (c->from[0]) (void)folder_unset(f, c->from);
  if (c->to[0]) folder_set(f, c->to, c->node);
}

static void node_release(fault_node *n) {
  changes_drop(n);
  free(n->seen.ptr), free(n->durable.ptr);
  for (size_t i = 0; i < FAULT_SHM_MAX; i++) free(n->shm[i]);
  memset(n, 0, sizeof *n);
}

static bool named(const folder *f, const fault_node *n) {
  for (uint32_t i = 0; i < f->cnt; i++) {
    if (f->at[i].node == n) return true;
  }
  return false;
}

/* A file goes when it has no name and nobody has it open. */
static void nodes_sweep(void) {
  for (size_t i = 0; i < FAULT_FILES_MAX; i++) {
    fault_node *n = &disk.node[i];
    bool wanted = n->handles > 0 || named(&disk.seen, n) || named(&disk.durable, n);
    for (uint32_t k = 0; k < disk.change_cnt; k++) wanted = wanted || disk.change[k].node == n;
    if (n->used && !wanted) node_release(n);
  }
}

void fault_folder_sync(void) {
  for (uint32_t i = 0; i < disk.change_cnt; i++) name_apply(&disk.durable, &disk.change[i]);
  disk.change_cnt = 0;
  nodes_sweep();
}

static void name_changed(const char *from, const char *to, fault_node *node) {
  if (disk.change_cnt == NAME_CHANGES_MAX) fault_folder_sync();
  name_change *c = &disk.change[disk.change_cnt++];
  snprintf(c->from, sizeof c->from, "%s", from);
  snprintf(c->to, sizeof c->to, "%s", to);
  c->node = node;
  name_apply(&disk.seen, c);
}

fault_node *fault_find(const char *name) {
  entry *e = entry_of(&disk.seen, name);
  return e ? e->node : NULL;
}

fault_node *fault_make(const char *name) {
  fault_node *n = name[0] ? fault_find(name) : NULL;
  if (n) return n;
  for (size_t i = 0; i < FAULT_FILES_MAX && !n; i++) {
    if (!disk.node[i].used) n = &disk.node[i];
  }
  AQ_ASSERT(n);
  n->used = true;
  n->last = &n->first;
  if (name[0]) name_changed("", name, n);
  return n;
}

bool fault_unlink(const char *name) {
  fault_node *n = fault_find(name);
  if (!n) return false;
  name_changed(name, "", n);
  return true;
}

bool fault_rename(const char *from, const char *to) {
  fault_node *n = fault_find(from);
  if (!n) return false;
  name_changed(from, to, n);
  if (disk.on_rename) disk.on_rename(disk.rename_arg, to);
  return true;
}

void fault_open(fault_node *n) { n->handles++; }

void fault_close(fault_node *n) {
  AQ_ASSERT(n->handles > 0);
  if (--n->handles == 0) nodes_sweep();
}

void fault_disk_on_rename(void (*fn)(void *arg, const char *to), void *arg) {
  disk.on_rename = fn, disk.rename_arg = arg;
}

/* ---- power ---- */

static void cut(void) {
  disk.dead = true, disk.cutting = false;
  disk.stats.cuts++;
  fault_note("  -- power cut\n");
  uint32_t kept = (uint32_t)below(disk.change_cnt + 1);
  for (uint32_t i = 0; i < kept; i++) name_apply(&disk.durable, &disk.change[i]);
  disk.change_cnt = 0;
  for (size_t i = 0; i < FAULT_FILES_MAX; i++) {
    if (disk.node[i].used) settle(&disk.node[i]);
  }
}

void fault_disk_cut(uint64_t after) {
  disk.cutting = true, disk.cut_after = after;
  if (after == 0) cut();
}

void fault_disk_calm(void) {
  disk.cutting = false;
  fault_disk_arm(0, 0, 0);
}

void fault_disk_pause(bool pause) { disk.paused = pause; }

bool fault_disk_dead(void) { return disk.dead; }

void fault_disk_power_on(void) {
  AQ_ASSERT(disk.dead);
  disk.dead = false;
  disk.seen = disk.durable;
  for (size_t i = 0; i < FAULT_FILES_MAX; i++) {
    fault_node *n = &disk.node[i];
    AQ_ASSERT(n->handles == 0);
    if (!n->used) continue;
    bytes_resize(&n->seen, 0);
    bytes_put(&n->seen, 0, n->durable.ptr, n->durable.len);
  }
  nodes_sweep();
  fault_disk_arm(0, 0, 0);
}

/* ---- calls ---- */

void fault_disk_arm(uint32_t kinds, uint64_t after, uint64_t cnt) {
  disk.kinds = kinds, disk.plan_after = after, disk.plan_cnt = cnt;
}

bool fault_disk_armed(void) { return disk.plan_cnt > 0; }

static uint32_t planned(uint32_t kinds) {
  uint32_t both = kinds & disk.kinds;
  if (disk.plan_cnt == 0 || both == 0) return 0;
  if (disk.plan_after > 0) {
    disk.plan_after--;
    return 0;
  }
  disk.plan_cnt--;
  uint32_t bit = (uint32_t)below(FAULT_KINDS);
  while (!(both & (UINT32_C(1) << bit))) bit = (bit + 1) % FAULT_KINDS;
  disk.stats.injected[bit]++;
  fault_note(" FAILS(%s)", fault_kind_name[bit]);
  return UINT32_C(1) << bit;
}

uint32_t fault_call(uint32_t kinds, const char *what, const char *name) {
  if (disk.paused) return 0;
  disk.stats.calls++;
  if (disk.cutting && disk.cut_after-- == 0) cut();
  if (disk.dead) return FAULT_DEAD;
  fault_note("  %s %s", what, name);
  uint32_t kind = planned(kinds);
  fault_note("\n");
  return kind;
}

void fault_disk_trace(FILE *out) { disk.trace = out; }

const fault_stats *fault_disk_stats(void) { return &disk.stats; }

/* ---- start and end ---- */

void fault_disk_start(uint64_t seed) {
  fault_disk_end();
  disk.seen.cnt = disk.durable.cnt = 0;
  disk.change_cnt = 0;
  disk.dead = disk.cutting = disk.paused = false;
  fault_disk_arm(0, 0, 0);
  aq_test_rng_seed(&disk.rng, seed);
  fault_vfs_register();
}

void fault_disk_end(void) {
  for (size_t i = 0; i < FAULT_FILES_MAX; i++) {
    AQ_ASSERT(disk.node[i].handles == 0);
    if (disk.node[i].used) node_release(&disk.node[i]);
  }
}

/* ---- damage ---- */

void fault_disk_settle(void) {
  for (size_t i = 0; i < FAULT_FILES_MAX; i++) {
    if (disk.node[i].used) fault_sync(&disk.node[i]);
  }
  fault_folder_sync();
}

bool fault_disk_garble(const char *name, uint64_t from, uint64_t len) {
  fault_node *n = fault_find(name);
  if (!n || from >= n->seen.len) return false;
  if (len > n->seen.len - from) len = n->seen.len - from;
  fault_sync(n);
  bytes_resize(&n->durable, n->seen.len);
  for (size_t i = (size_t)from; i < (size_t)(from + len); i++) n->seen.ptr[i] = (uint8_t)fault_disk_random();
  bytes_put(&n->durable, (size_t)from, n->seen.ptr + from, (size_t)len);
  return true;
}

bool fault_disk_shorten(const char *name, uint64_t len) {
  fault_node *n = fault_find(name);
  if (!n || len >= n->seen.len) return false;
  fault_sync(n);
  bytes_resize(&n->seen, (size_t)len);
  bytes_resize(&n->durable, (size_t)len);
  return true;
}

bool fault_disk_remove(const char *name) {
  bool was = fault_unlink(name);
  fault_folder_sync();
  return was;
}

uint64_t fault_disk_size(const char *name) {
  const fault_node *n = fault_find(name);
  return n ? n->seen.len : 0;
}
