#include "adapter/trim.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Only mappings that are executable and never written are dropped: they hold nothing but the file's bytes. The
   kernel maps 16 pages around each fault; without that a process keeps a fraction of its libraries. */
static void drop_code(const char *line) {
  uintptr_t from, to;
  char access[5];
  if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, access) != 3) return;
  if (strcmp(access, "r-xp") != 0 || !strchr(line, '/')) return;
  (void)madvise((void *)from, to - from, MADV_RANDOM);
  (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

void aq_trim(void) {
  char line[1024];
  FILE *maps = fopen("/proc/self/maps", "r");
  malloc_trim(0);
  if (!maps) return;
  while (fgets(line, sizeof line, maps)) drop_code(line);
  fclose(maps);
}
