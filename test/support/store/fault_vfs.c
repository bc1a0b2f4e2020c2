/* SQLite's VFS over that disk. */
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/assert.h"
#include "fault_disk_internal.h"

enum { LOCK_SLOTS = 8 };

typedef struct file {
  sqlite3_file base;
  fault_node *node;
  char name[FAULT_NAME_MAX];
  struct file *next; /* all that are open */
  int lock;
  bool sync_folder, remove, has_shm;
  uint32_t shm_shared, shm_own;
} file;

static file *open_files;
static int64_t clock_ms = INT64_C(212500000000000);

/* ---- contents ---- */

static int vfs_close(sqlite3_file *base) {
  file *f = (file *)base;
  for (file **at = &open_files; *at; at = &(*at)->next) {
    if (*at != f) continue;
    *at = f->next;
    break;
  }
  if (f->remove && !fault_disk_dead()) (void)fault_unlink(f->name);
  fault_close(f->node);
  return SQLITE_OK;
}

static int vfs_read(sqlite3_file *base, void *out, int len, sqlite3_int64 at) {
  file *f = (file *)base;
  uint32_t bad = fault_call(FAULT_READ, "read", f->name);
  if (bad) return SQLITE_IOERR_READ;
  size_t got = fault_read(f->node, (size_t)at, out, (size_t)len);
  if (got == (size_t)len) return SQLITE_OK;
  memset((uint8_t *)out + got, 0, (size_t)len - got);
  return SQLITE_IOERR_SHORT_READ;
}

static int vfs_write(sqlite3_file *base, const void *data, int len, sqlite3_int64 at) {
  file *f = (file *)base;
  bool grows = at + len > (sqlite3_int64)f->node->seen.len;
  uint32_t bad = fault_call(FAULT_WRITE | (grows ? FAULT_FULL : 0), "write", f->name);
  fault_note("    %d at %lld\n", len, at);
  if (bad == FAULT_DEAD) return SQLITE_IOERR_WRITE;
  if (!bad) {
    fault_write(f->node, (size_t)at, data, (size_t)len);
    return SQLITE_OK;
  }
  size_t part = (size_t)(fault_disk_random() % ((uint64_t)len + 1));
  if (part > 0) fault_write(f->node, (size_t)at, data, part);
  return bad == FAULT_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int vfs_truncate(sqlite3_file *base, sqlite3_int64 len) {
  file *f = (file *)base;
  if (fault_call(FAULT_TRUNCATE, "truncate", f->name)) return SQLITE_IOERR_TRUNCATE;
  fault_truncate(f->node, (size_t)len);
  return SQLITE_OK;
}

static int vfs_sync(sqlite3_file *base, int flags) {
  (void)flags;
  file *f = (file *)base;
  uint32_t bad = fault_call(FAULT_SYNC | FAULT_LIE, "sync", f->name);
  if (bad == FAULT_DEAD) return SQLITE_IOERR_FSYNC;
  if (bad == FAULT_SYNC) {
    fault_sync_failed(f->node);
    return SQLITE_IOERR_FSYNC;
  }
  if (bad == FAULT_LIE) return SQLITE_OK;
  fault_sync(f->node);
  if (f->sync_folder) fault_folder_sync();
  f->sync_folder = false;
  return SQLITE_OK;
}

static int vfs_size(sqlite3_file *base, sqlite3_int64 *out) {
  file *f = (file *)base;
  if (fault_call(FAULT_STAT, "size", f->name)) return SQLITE_IOERR_FSTAT;
  *out = (sqlite3_int64)f->node->seen.len;
  return SQLITE_OK;
}

/* ---- locks ---- */

static int vfs_lock(sqlite3_file *base, int level) {
  file *f = (file *)base;
  if (level <= f->lock) return SQLITE_OK;
  if (fault_call(FAULT_LOCK, "lock", f->name)) return SQLITE_IOERR_LOCK;
  for (const file *o = open_files; o; o = o->next) {
    if (o == f || o->node != f->node) continue;
    if (level == SQLITE_LOCK_SHARED && o->lock >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
    if (level >= SQLITE_LOCK_RESERVED && o->lock >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
    if (level == SQLITE_LOCK_EXCLUSIVE && o->lock >= SQLITE_LOCK_SHARED) {
      f->lock = SQLITE_LOCK_PENDING;
      return SQLITE_BUSY;
    }
  }
  f->lock = level;
  return SQLITE_OK;
}

static int vfs_unlock(sqlite3_file *base, int level) {
  file *f = (file *)base;
  if (level < f->lock) f->lock = level;
  return SQLITE_OK;
}

static int vfs_check_reserved(sqlite3_file *base, int *out) {
  const file *f = (const file *)base;
  if (fault_call(FAULT_LOCK, "check lock", f->name)) return SQLITE_IOERR_CHECKRESERVEDLOCK;
  *out = 0;
  for (const file *o = open_files; o; o = o->next) *out |= o->node == f->node && o->lock >= SQLITE_LOCK_RESERVED;
  return SQLITE_OK;
}

static int vfs_control(sqlite3_file *base, int op, void *arg) {
  (void)base, (void)op, (void)arg;
  return SQLITE_NOTFOUND;
}

/* As SQLite's own VFS: a write changes no byte beside it, whatever happens to the power. */
static int vfs_sector(sqlite3_file *base) {
  (void)base;
  return 4096;
}

static int vfs_traits(sqlite3_file *base) {
  (void)base;
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- shared memory of the log's index ---- */

static int vfs_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out) {
  file *f = (file *)base;
  *out = NULL;
  if (fault_call(FAULT_SHM, "shm", f->name)) return SQLITE_IOERR_SHMSIZE;
  if (region < 0 || region >= FAULT_SHM_MAX) return SQLITE_IOERR_SHMMAP;
  f->has_shm = true;
  uint8_t **at = &f->node->shm[region];
  if (!*at && extend) {
    *at = calloc(1, (size_t)size);
    AQ_ASSERT(*at);
  }
  *out = *at;
  return SQLITE_OK;
}

static int vfs_shm_lock(sqlite3_file *base, int first, int cnt, int flags) {
  file *f = (file *)base;
  uint32_t mask = ((UINT32_C(1) << cnt) - 1) << first;
  AQ_ASSERT(first >= 0 && cnt > 0 && first + cnt <= LOCK_SLOTS);
  if (flags & SQLITE_SHM_UNLOCK) {
    f->shm_shared &= ~mask, f->shm_own &= ~mask;
    return SQLITE_OK;
  }
  if (fault_call(FAULT_SHM, "shm lock", f->name)) return SQLITE_IOERR_SHMLOCK;
  for (const file *o = open_files; o; o = o->next) {
    if (o == f || o->node != f->node) continue;
    if (o->shm_own & mask) return SQLITE_BUSY;
    if ((flags & SQLITE_SHM_EXCLUSIVE) && (o->shm_shared & mask)) return SQLITE_BUSY;
  }
  if (flags & SQLITE_SHM_EXCLUSIVE)
    f->shm_own |= mask;
  else
    f->shm_shared |= mask;
  return SQLITE_OK;
}

static void vfs_shm_barrier(sqlite3_file *base) { (void)base; }

static int vfs_shm_unmap(sqlite3_file *base, int remove) {
  (void)remove;
  file *f = (file *)base;
  f->has_shm = false, f->shm_shared = f->shm_own = 0;
  for (const file *o = open_files; o; o = o->next) {
    if (o->node == f->node && o->has_shm) return SQLITE_OK;
  }
  for (size_t i = 0; i < FAULT_SHM_MAX; i++) {
    free(f->node->shm[i]);
    f->node->shm[i] = NULL;
  }
  return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_size,
    .xLock = vfs_lock,
    .xUnlock = vfs_unlock,
    .xCheckReservedLock = vfs_check_reserved,
    .xFileControl = vfs_control,
    .xSectorSize = vfs_sector,
    .xDeviceCharacteristics = vfs_traits,
    .xShmMap = vfs_shm_map,
    .xShmLock = vfs_shm_lock,
    .xShmBarrier = vfs_shm_barrier,
    .xShmUnmap = vfs_shm_unmap,
};

/* ---- the file system ---- */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags) {
  (void)vfs;
  file *f = (file *)base;
  memset(f, 0, sizeof *f);
  if (fault_call(FAULT_OPEN, "open", name ? name : "(unnamed)")) return SQLITE_CANTOPEN;
  bool there = name && fault_find(name);
  if (name && !there && !(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
  f->node = fault_make(name ? name : "");
  snprintf(f->name, sizeof f->name, "%s", name ? name : "");
  f->remove = name && (flags & SQLITE_OPEN_DELETEONCLOSE);
  /* As SQLite's own: the first sync of a journal or log makes its name durable too, whether it was there or not. */
  f->sync_folder = (flags & SQLITE_OPEN_CREATE) &&
                   (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL));
  fault_open(f->node);
  f->base.pMethods = &methods;
  f->next = open_files;
  open_files = f;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
  (void)vfs;
  if (fault_call(FAULT_DELETE, "delete", name)) return SQLITE_IOERR_DELETE;
  if (!fault_unlink(name)) return SQLITE_IOERR_DELETE_NOENT;
  if (sync_folder) fault_folder_sync();
  return SQLITE_OK;
}

/* An empty file counts as none, as in SQLite's own. */
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
  (void)vfs;
  if (fault_call(FAULT_STAT, "access", name)) return SQLITE_IOERR_ACCESS;
  const fault_node *n = fault_find(name);
  *out = n && (flags != SQLITE_ACCESS_EXISTS || n->seen.len > 0);
  return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int len, char *out) {
  (void)vfs;
  snprintf(out, (size_t)len, "%s", name);
  return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int len, char *out) {
  (void)vfs;
  for (int i = 0; i < len; i++) out[i] = (char)fault_disk_random();
  return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us) {
  (void)vfs;
  return us;
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *out) {
  (void)vfs;
  *out = clock_ms++;
  return SQLITE_OK;
}

static int vfs_error(sqlite3_vfs *vfs, int len, char *out) {
  (void)vfs, (void)len, (void)out;
  return 0;
}

static sqlite3_vfs fault_vfs = {
    .iVersion = 2,
    .szOsFile = sizeof(file),
    .mxPathname = FAULT_NAME_MAX,
    .zName = "fault",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xRandomness = vfs_random,
    .xSleep = vfs_sleep,
    .xCurrentTimeInt64 = vfs_time,
    .xGetLastError = vfs_error,
};

/* SQLite's own random state would carry over from one seed to the next. */
void fault_vfs_register(void) {
  AQ_MUST(sqlite3_vfs_register(&fault_vfs, 1) == SQLITE_OK);
  sqlite3_randomness(0, NULL);
}
