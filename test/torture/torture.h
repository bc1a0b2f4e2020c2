/* torture.h - an allocator that fails on demand. The program is linked with --wrap for malloc, calloc, realloc, free
   and strdup, so that every call of our own code and of the libraries linked into it passes here; libraries loaded at
   run time keep theirs. Not thread safe. */
#ifndef AQ_TORTURE_H
#define AQ_TORTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here on count calls and watch what stays allocated. fail_at: the number, from 1, of the call that returns NULL;
   0: none. rest: all later ones too. */
void torture_arm(uint64_t fail_at, bool rest);
/* Calls since torture_arm; *kept: pieces allocated since then and not freed; site: who allocated one of them, innermost
   first. */
enum { TORTURE_SITES = 6 };
uint64_t torture_disarm(uint64_t *kept, void *site[TORTURE_SITES]);
bool torture_failed(void); /* a call was refused since torture_arm */

/* ---- the fuzz targets, in the programs that CMake gives their list ---- */

#ifdef TORTURE_TARGETS
#define X(name) int name(const uint8_t *data, size_t len);
TORTURE_TARGETS
#undef X
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

typedef int torture_run(const uint8_t *data, size_t len);
static const struct {
  const char *name;
  torture_run *run;
} target[] = {
#define X(name) {#name, name},
    TORTURE_TARGETS
#undef X
};
#endif

#endif
