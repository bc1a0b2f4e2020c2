/* test/support/fault_disk.h - a file system in memory under FAULT_DISK_DIR with a model of what is durable, on a seed:
   - what was written but not synced is kept or lost sector by sector at a power cut, in any order, torn inside one too;
   - names: a prefix of the changes since the folder was synced survives a cut;
   - a failed sync may have written any part, and never writes the rest (what Linux does).
   SQLite reaches it through its default VFS, the store's own file calls through the linker's --wrap (see the list in
   fault_posix.c). One disk a program, one thread. Not for the product. */
#ifndef AQ_TEST_FAULT_DISK_H
#define AQ_TEST_FAULT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FAULT_DISK_DIR "/fault-disk"

/* What can fail. WRITE and FULL may leave the first part of the bytes; SYNC as above; LIE: a sync that only says so. */
typedef enum {
  FAULT_OPEN = 1,
  FAULT_READ = 2,
  FAULT_WRITE = 4,
  FAULT_FULL = 8,
  FAULT_SYNC = 16,
  FAULT_LIE = 32,
  FAULT_TRUNCATE = 64,
  FAULT_DELETE = 128,
  FAULT_LOCK = 256,
  FAULT_SHM = 512,
  FAULT_STAT = 1024,
  FAULT_RENAME = 2048,
  FAULT_ALL = 4095
} fault_kind;
enum { FAULT_KINDS = 12 };
extern const char *const fault_kind_name[FAULT_KINDS];

typedef struct {
  uint64_t calls, cuts, injected[FAULT_KINDS];
} fault_stats;

void fault_disk_start(uint64_t seed); /* an empty disk that works; the first time it becomes SQLite's default VFS */
void fault_disk_end(void);            /* everything is closed by now; frees all */
void fault_disk_trace(FILE *out);     /* one line a call; NULL: none */

/* From the after-th call on, the next cnt calls of these kinds fail. One plan at a time; cnt 0: none. */
void fault_disk_arm(uint32_t kinds, uint64_t after, uint64_t cnt);
bool fault_disk_armed(void); /* the plan has something left */
/* The power goes at the after-th call from now, before it does anything (0: at once). Then every call fails until
   fault_disk_power_on, for which all files must be closed. */
void fault_disk_cut(uint64_t after);
void fault_disk_calm(void);        /* no plan, no cut to come */
void fault_disk_pause(bool pause); /* meanwhile nothing fails and plans do not advance */
bool fault_disk_dead(void);
void fault_disk_power_on(void);

void fault_disk_settle(void); /* everything is durable */
/* Damage of a file at rest, both what programs see and what is durable. False: there is no such file or place. */
bool fault_disk_garble(const char *name, uint64_t from, uint64_t len);
bool fault_disk_shorten(const char *name, uint64_t len);
bool fault_disk_remove(const char *name);
uint64_t fault_disk_size(const char *name); /* 0: not there */
/* Called after a rename was done. */
void fault_disk_on_rename(void (*fn)(void *arg, const char *to), void *arg);
const fault_stats *fault_disk_stats(void); /* since the program began */
uint64_t fault_disk_random(void);

#endif
