/* test/support/fault_disk_internal.h - what the disk, its VFS and the wrapped file calls share. Not for tests. */
#ifndef AQ_TEST_FAULT_DISK_INTERNAL_H
#define AQ_TEST_FAULT_DISK_INTERNAL_H

#include "fault_disk.h"

enum { FAULT_NAME_MAX = 96, FAULT_FILES_MAX = 64, FAULT_SHM_MAX = 16 };

typedef struct {
  uint8_t *ptr;
  size_t len, cap;
} fault_bytes;

/* A write (data) or a new length (data NULL, at) that is not durable yet. */
typedef struct fault_change {
  struct fault_change *next;
  uint8_t *data;
  size_t at, len;
} fault_change;

typedef struct fault_node {
  fault_bytes seen, durable;
  fault_change *first, **last;
  uint32_t handles;
  bool used;
  uint8_t *shm[FAULT_SHM_MAX];
} fault_node;

#define FAULT_DEAD (UINT32_C(1) << 31)
/* Begins a call that may fail as one of these kinds. 0: it works; the kind; FAULT_DEAD: there is no power. */
uint32_t fault_call(uint32_t kinds, const char *what, const char *name);
void fault_note(const char *fmt, ...); /* one more word in the trace */

fault_node *fault_find(const char *name);
fault_node *fault_make(const char *name); /* found or made */
bool fault_unlink(const char *name);
bool fault_rename(const char *from, const char *to);
void fault_folder_sync(void);
void fault_open(fault_node *n); /* counts a handle */
void fault_close(fault_node *n);
void fault_write(fault_node *n, size_t at, const void *data, size_t len);
size_t fault_read(const fault_node *n, size_t at, void *out, size_t len);
void fault_truncate(fault_node *n, size_t len);
void fault_sync(fault_node *n);        /* all is durable */
void fault_sync_failed(fault_node *n); /* any part is, the rest never will be */
void fault_vfs_register(void);

#endif
