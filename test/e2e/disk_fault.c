/* Preloaded into a node by disk.py: the calls that write its store fail while the test says so. Both map the file that
   AQ_DISK_FAULT names: byte 0 is what fails (0: nothing, 's': syncs, 'w': writes, 'n': writes for want of room), byte 1
   becomes 1 with the first call that did. Mapped at the start, so that no call is added to those that the sandbox sees.
   Watched is what has "aequa.db" in its name. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FDS = 4096, CONTROL = 4096 };

static _Atomic unsigned char *control;
static _Atomic bool watched[FDS];

/* Not through the functions below: other libraries may not have begun yet. */
__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("AQ_DISK_FAULT");
  long fd = name ? syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0) : -1;
  if (fd < 0) return;
  void *at = mmap(NULL, CONTROL, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
  syscall(SYS_close, fd);
  if (at != MAP_FAILED) control = at;
}

static void *next(const char *name) {
  void *f = dlsym(RTLD_NEXT, name);
  if (!f) abort();
  return f;
}

static bool is_watched(int fd) { return fd >= 0 && fd < FDS && watched[fd]; }

static bool fails(int fd, bool sync) {
  unsigned char what = control ? control[0] : 0;
  if (!is_watched(fd) || what == 0 || sync != (what == 's')) return false;
  control[1] = 1;
  errno = what == 'n' ? ENOSPC : EIO;
  return true;
}

static int open_by(const char *call, const char *path, int flags, unsigned mode) {
  int (*f)(const char *, int, ...);
  void *at = next(call);
  memcpy(&f, &at, sizeof f);
  int fd = f(path, flags, mode);
  if (fd >= 0 && fd < FDS) watched[fd] = strstr(path, "aequa.db") != NULL;
  return fd;
}

static unsigned mode_of(int flags, va_list args) { return flags & O_CREAT ? va_arg(args, unsigned) : 0; }

int open(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  unsigned mode = mode_of(flags, args);
  va_end(args);
  return open_by("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  unsigned mode = mode_of(flags, args);
  va_end(args);
  return open_by("open64", path, flags, mode);
}

static ssize_t pwrite_by(const char *call, int fd, const void *data, size_t len, off_t at) {
  ssize_t (*f)(int, const void *, size_t, off_t);
  void *found = next(call);
  memcpy(&f, &found, sizeof f);
  return fails(fd, false) ? -1 : f(fd, data, len, at);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return pwrite_by("pwrite", fd, data, len, at); }

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) { return pwrite_by("pwrite64", fd, data, len, at); }

ssize_t write(int fd, const void *data, size_t len) {
  ssize_t (*f)(int, const void *, size_t);
  void *found = next("write");
  memcpy(&f, &found, sizeof f);
  return fails(fd, false) ? -1 : f(fd, data, len);
}

static int sync_by(const char *call, int fd) {
  int (*f)(int);
  void *found = next(call);
  memcpy(&f, &found, sizeof f);
  return fails(fd, true) ? -1 : f(fd);
}

int fsync(int fd) { return sync_by("fsync", fd); }

int fdatasync(int fd) { return sync_by("fdatasync", fd); }
