/* fake/store.h - the store port over a disk in memory (fake/disk.h), for tests, fuzzers and simulators. Writes wait in
   one queue and are committed together, in order, a moment later on the environment's clock; an answer comes after the
   commit. Faults are options: a disk that fails, a rule that refuses all, hooks for who needs more. Not done: peers'
   addresses are not kept, a backup is only counted. */
#ifndef AQ_FAKE_STORE_H
#define AQ_FAKE_STORE_H

#include "port/env.h"
#include "fake/disk.h"

typedef enum {
  FAKE_OP_VOTE,
  FAKE_OP_DECIDED,
  FAKE_OP_SIGN,
  FAKE_OP_PRUNE,
  FAKE_OP_FIND,
  FAKE_OP_MARK,
  FAKE_OP_OVER
} fake_store_op;

/* What a simulator adds; each may be NULL. */
typedef struct {
  void *arg;
  uint64_t (*delay_ns)(void *arg); /* from the first of a queue to its commit; AQ_NEVER: none comes. NULL: 1 ms */
  bool (*commit)(void *arg, bool *fails); /* before it. False: the process ends here, and nothing is written */
  fake_wrote_fn wrote;
  /* Before an answer; rows by turn. Not of what `ends` ends. */
  void (*applied)(void *arg, fake_store_op op, const aq_list *rows, aq_status st);
} fake_store_hooks;

typedef struct {
  aq_store port;
  aq_env *env;
  fake_disk *disk;
  fake_store_hooks hook;
  aq_status ends[FAKE_OP_SIGN + 1]; /* by operation; unless 0: what each that is called now will end with, unwritten */
  aq_store_refusal refuses;         /* unless 0: what every signed root is refused with */
  uint32_t prunes, backups;         /* calls */
  uint64_t pruned_slot;             /* of the latest */
  aq_store_refusal refusal_;        /* of the answer that is being given */
  aq_list queue_;
  aq_timer commit_;
} fake_store;

/* As a process finds its database: the state is what the disk says. hooks may be NULL. All borrowed but hooks. */
void fake_store_open(fake_store *s, fake_disk *d, aq_env *env, const fake_store_hooks *hooks);
size_t fake_store_waiting(const fake_store *s);
void fake_store_commit(fake_store *s); /* now */

/* The process ends: of what waits the first `written` operations are on the disk. */
typedef enum {
  FAKE_CLOSE_ANSWERS, /* each as it went, the rest with AQ_E_IO */
  FAKE_CLOSE_FAILS,   /* all with AQ_E_IO, whatever is on the disk */
  FAKE_CLOSE_SILENT   /* nobody is left to be told */
} fake_close;
void fake_store_close(fake_store *s, size_t written, fake_close how);

#endif
