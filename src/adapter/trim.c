/* Gives back the pages of files that only the start read, and what malloc keeps. */
#include "adapter/trim.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* libgnutls comes with libcurl, whose RTMP part wants it; we speak none, so its start-up work is skipped. The
   library looks this name up in the program (cmake/layers.cmake exports it). */
int _gnutls_global_init_skip(void);
int _gnutls_global_init_skip(void) { return 1; }

/* One mapping of /proc/self/smaps. */
typedef struct {
  uintptr_t from, to;
  bool is_file, writable;
} mapping;

/* Pages of a file that nobody may write and none of which is our own copy (relocated data would be lost) hold nothing
   but the file's bytes. The kernel maps 16 pages around each fault; without that a process keeps a fraction of its
   libraries. */
static void drop(const mapping *m) {
  if (!m->is_file || m->writable) return;
  (void)madvise((void *)m->from, m->to - m->from, MADV_RANDOM);
  (void)madvise((void *)m->from, m->to - m->from, MADV_DONTNEED);
}

void aq_trim(void) {
  char line[1024], access[5];
  mapping m = {0};
  unsigned long kib;
  malloc_trim(0);
  FILE *smaps = fopen("/proc/self/smaps", "r");
  while (smaps && fgets(line, sizeof line, smaps)) {
    uintptr_t from, to;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, access) == 3) {
      m = (mapping){.from = from, .to = to, .is_file = strchr(line, '/') != NULL, .writable = access[1] == 'w'};
    } else if (sscanf(line, "Anonymous: %lu kB", &kib) == 1 && kib == 0) {
      drop(&m);
    }
  }
  if (smaps) fclose(smaps);
}
