/* cmd/store_scope.h - what a store command works on: which database, whose keys it names and of which network it is,
   from the flags and the files beside it. Reads the cluster lock for its keys only: its hash must hold, its signatures
   are `aequa cluster check`'s business. */
#ifndef AQ_CMD_STORE_SCOPE_H
#define AQ_CMD_STORE_SCOPE_H

#include "adapter/interchange.h"
#include "cluster/lock.h"
#include "cmd/network.h"

typedef struct {
  const char *data_dir, *store, *lock_file, *keys_dir, *root, *keys, *beacon_ca;
  aq_opt_list beacon;
  bool force, accept_empty;
  aq_network_flags custom;
} aq_store_flags;

typedef struct {
  char path[AQ_DB_PATH_MAX];
  bool found;  /* a store is there */
  bool client; /* the built-in client's database; else a node's store */
  bool proven; /* a beacon node has told the store its chain */
  aq_lock *lock;
  char lock_path[AQ_DB_PATH_MAX]; /* of the lock, or where it was looked for */
  uint32_t self;                  /* operator index, when there are keys of a lock */
  aq_key_pair *pair;
  aq_interchange_keys keys;
  bool has_root; /* the network is known */
  uint8_t root[32];
  char network[64]; /* who says so, for texts */
} aq_store_scope;

/* The path alone, for commands that only look. */
void aq_store_path(char out[AQ_DB_PATH_MAX], const aq_store_flags *f);
/* err: one line that names the mend. Close also after a failure. */
AQ_NODISCARD aq_status aq_store_scope_open(aq_store_scope *s, const aq_store_flags *f, aq_err *err);
void aq_store_scope_close(aq_store_scope *s);
/* What aq_db_open wants to know of a store that is to be made. AQ_E_NOTFOUND: a node's, without its lock or key. */
AQ_NODISCARD aq_status aq_store_scope_cfg(aq_sqlite_cfg *out, const aq_store_scope *s, aq_err *err);

#endif
