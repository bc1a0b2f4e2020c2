#include "adapter/memory.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* libgnutls comes with libmicrohttpd, which uses it for TLS only; we serve none, so its start-up work is skipped. */
int _gnutls_global_init_skip(void);
int _gnutls_global_init_skip(void) { return 1; }

/* Drops the pages of files that are mapped without write permission and hold no page of our own (relocated data would
   be lost): nothing is lost, they come back from the page cache. */
static void drop_file_pages(void) {
  FILE *f = fopen("/proc/self/smaps", "r");
  char line[512], perm[5] = "";
  uintptr_t from = 0, to = 0, next_from, next_to;
  char next_perm[5];
  bool is_file = false;
  unsigned long kib;
  while (f && fgets(line, sizeof line, f)) {
    int path = 0;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %n", &next_from, &next_to, next_perm, &path) == 3) {
      from = next_from, to = next_to;
      memcpy(perm, next_perm, sizeof perm);
      is_file = path > 0 && line[path] == '/';
    } else if (is_file && perm[1] == '-' && sscanf(line, "Anonymous: %lu kB", &kib) == 1 && kib == 0) {
      (void)madvise((void *)from, to - from, MADV_DONTNEED);
    }
  }
  if (f) fclose(f);
}

void aq_memory_trim(void) {
  malloc_trim(0);
  drop_file_pages();
}
