/* The store's own file calls. The program is linked with -Wl,--wrap for each of: open close read write pread pwrite
   fsync rename unlink stat access flock; names outside FAULT_DISK_DIR go to the real ones. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "fault_disk_internal.h"

enum { FD_BASE = 1 << 24, FD_CNT = 16 };

static struct {
  bool used;
  fault_node *node; /* NULL: the folder */
  size_t at;
  char name[FAULT_NAME_MAX];
} slot[FD_CNT];

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
ssize_t __real_read(int fd, void *out, size_t len);
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __real_pread(int fd, void *out, size_t len, off_t at);
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_stat(const char *path, struct stat *out);
int __real_access(const char *path, int mode);
int __real_flock(int fd, int op);
int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_read(int fd, void *out, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_pread(int fd, void *out, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_stat(const char *path, struct stat *out);
int __wrap_access(const char *path, int mode);
int __wrap_flock(int fd, int op);

static bool ours(const char *path) { return strncmp(path, FAULT_DISK_DIR, strlen(FAULT_DISK_DIR)) == 0; }

static bool our_fd(int fd) { return fd >= FD_BASE && fd < FD_BASE + FD_CNT; }

static int fail(uint32_t bad) {
  errno = bad == FAULT_FULL ? ENOSPC : EIO;
  return -1;
}

int __wrap_open(const char *path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
  va_end(ap);
  if (!ours(path)) return __real_open(path, flags, mode);
  uint32_t bad = fault_call(FAULT_OPEN, "file open", path);
  if (bad) return fail(bad);
  bool is_folder = flags & O_DIRECTORY;
  if (!is_folder && !(flags & O_CREAT) && !fault_find(path)) {
    errno = ENOENT;
    return -1;
  }
  int i = 0;
  while (i < FD_CNT && slot[i].used) i++;
  AQ_ASSERT(i < FD_CNT);
  slot[i].used = true, slot[i].at = 0;
  slot[i].node = is_folder ? NULL : fault_make(path);
  snprintf(slot[i].name, sizeof slot[i].name, "%s", path);
  if (slot[i].node) fault_open(slot[i].node);
  if (slot[i].node && (flags & O_TRUNC)) fault_truncate(slot[i].node, 0);
  return FD_BASE + i;
}

int __wrap_close(int fd) {
  if (!our_fd(fd)) return __real_close(fd);
  int i = fd - FD_BASE;
  AQ_ASSERT(slot[i].used);
  slot[i].used = false;
  if (slot[i].node) fault_close(slot[i].node);
  return 0;
}

static ssize_t read_at(int i, void *out, size_t len, size_t at) {
  uint32_t bad = fault_call(FAULT_READ, "file read", slot[i].name);
  return bad ? fail(bad) : (ssize_t)fault_read(slot[i].node, at, out, len);
}

static ssize_t write_at(int i, const void *data, size_t len, size_t at) {
  uint32_t bad = fault_call(FAULT_WRITE | FAULT_FULL, "file write", slot[i].name);
  if (bad == FAULT_DEAD) return fail(bad);
  size_t part = bad ? (size_t)(fault_disk_random() % (len + 1)) : len;
  if (part > 0) fault_write(slot[i].node, at, data, part);
  return bad && part == 0 ? fail(bad) : (ssize_t)part;
}

ssize_t __wrap_read(int fd, void *out, size_t len) {
  if (!our_fd(fd)) return __real_read(fd, out, len);
  ssize_t got = read_at(fd - FD_BASE, out, len, slot[fd - FD_BASE].at);
  if (got > 0) slot[fd - FD_BASE].at += (size_t)got;
  return got;
}

ssize_t __wrap_write(int fd, const void *data, size_t len) {
  if (!our_fd(fd)) return __real_write(fd, data, len);
  ssize_t put = write_at(fd - FD_BASE, data, len, slot[fd - FD_BASE].at);
  if (put > 0) slot[fd - FD_BASE].at += (size_t)put;
  return put;
}

ssize_t __wrap_pread(int fd, void *out, size_t len, off_t at) {
  return our_fd(fd) ? read_at(fd - FD_BASE, out, len, (size_t)at) : __real_pread(fd, out, len, at);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at) {
  return our_fd(fd) ? write_at(fd - FD_BASE, data, len, (size_t)at) : __real_pwrite(fd, data, len, at);
}

int __wrap_fsync(int fd) {
  if (!our_fd(fd)) return __real_fsync(fd);
  int i = fd - FD_BASE;
  uint32_t bad = fault_call(FAULT_SYNC | FAULT_LIE, "file sync", slot[i].name);
  if (bad == FAULT_LIE) return 0;
  if (bad == FAULT_SYNC && slot[i].node) fault_sync_failed(slot[i].node);
  if (bad) return fail(bad);
  if (slot[i].node)
    fault_sync(slot[i].node);
  else
    fault_folder_sync();
  return 0;
}

int __wrap_rename(const char *from, const char *to) {
  if (!ours(from)) return __real_rename(from, to);
  uint32_t bad = fault_call(FAULT_RENAME, "rename", from);
  if (bad) return fail(bad);
  if (fault_rename(from, to)) return 0;
  errno = ENOENT;
  return -1;
}

int __wrap_unlink(const char *path) {
  if (!ours(path)) return __real_unlink(path);
  uint32_t bad = fault_call(FAULT_DELETE, "unlink", path);
  if (bad) return fail(bad);
  if (fault_unlink(path)) return 0;
  errno = ENOENT;
  return -1;
}

int __wrap_stat(const char *path, struct stat *out) {
  if (!ours(path)) return __real_stat(path, out);
  uint32_t bad = fault_call(FAULT_STAT, "stat", path);
  if (bad) return fail(bad);
  memset(out, 0, sizeof *out);
  if (!fault_find(path)) {
    errno = ENOENT;
    return -1;
  }
  out->st_mode = S_IFREG | 0600;
  out->st_size = (off_t)fault_disk_size(path);
  return 0;
}

int __wrap_access(const char *path, int mode) {
  if (!ours(path)) return __real_access(path, mode);
  uint32_t bad = fault_call(FAULT_STAT, "access", path);
  if (bad) return fail(bad);
  if (fault_find(path)) return 0;
  errno = ENOENT;
  return -1;
}

int __wrap_flock(int fd, int op) { return our_fd(fd) ? 0 : __real_flock(fd, op); }
