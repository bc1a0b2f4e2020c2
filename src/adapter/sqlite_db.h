/* adapter/sqlite_db.h - the database file of the store: how it is found, checked, restored and made; and the rules of
   port/store.h as operations inside a transaction. Used by one thread at a time. Schema 1, contract.md 7.1. */
#ifndef AQ_ADAPTER_SQLITE_DB_H
#define AQ_ADAPTER_SQLITE_DB_H

#include "adapter/adapters.h"

#include <sqlite3.h>

#include "base/log.h"

enum {
  AQ_DB_APPLICATION_ID = 0x61657161, /* "aeqa" */
  AQ_DB_SCHEMA = 1,
  AQ_DB_PATH_MAX = 1024,
  AQ_DB_LINE_LEN = 16,
  /* Signed roots stay this many slots longer than the rest; then the validator's watermark speaks for them. */
  AQ_DB_JOURNAL_SLOTS = 1024,
};

typedef enum {
  AQ_DB_BEGIN,
  AQ_DB_COMMIT,
  AQ_DB_ROLLBACK,
  AQ_DB_SAVE,
  AQ_DB_SAVE_UNDO,
  AQ_DB_SAVE_END,
  AQ_DB_VOTES,
  AQ_DB_VOTE_FIND,
  AQ_DB_VOTE_NEWEST,
  AQ_DB_VOTE_PUT,
  AQ_DB_BLOB_PUT,
  AQ_DB_DECIDED_GET,
  AQ_DB_DECIDED_PUT,
  AQ_DB_SIGN_GET,
  AQ_DB_SIGN_PUT,
  AQ_DB_PARTIAL_PUT,
  AQ_DB_PARTIAL_DEL,
  AQ_DB_ATTESTATIONS,
  AQ_DB_BLOCKS,
  AQ_DB_MARK_GET,
  AQ_DB_MARK_PUT,
  AQ_DB_PEER_PUT,
  AQ_DB_PEER_DEL,
  AQ_DB_COUNT_PUT, /* sqlite_stamp.c */
  AQ_DB_STMT_CNT
} aq_db_stmt;

typedef struct {
  sqlite3 *h;
  int lock_fd;
  aq_store_state state;
  uint64_t since_ns;
  uint64_t compacted_slot;
  aq_store_refusal refusal; /* of the last AQ_E_SLASH of aq_db_sign */
  sqlite3_stmt *stmt[AQ_DB_STMT_CNT];
  int stamp_fd; /* < 0: none is kept */
  uint8_t line[AQ_DB_LINE_LEN];
  uint64_t commits, inode;
} aq_db;

/* As aq_sqlite_open; counts state_recovery_total. now_ns: Unix. */
/* A consensus_state line that is about no single duty (contract.md 5). */
void aq_db_log(aq_log_level level, const char *op, const char *result, uint64_t height, const char *err);
AQ_NODISCARD aq_status aq_db_open(aq_db *db, const aq_sqlite_cfg *cfg, uint64_t now_ns, aq_err *err);
void aq_db_close(aq_db *db);
/* Opens the database of any cluster as it is: nothing is restored or made. write: takes the lock, so that no node may
   run meanwhile (AQ_E_EXISTS). AQ_E_NOTFOUND, AQ_E_IO (damaged), AQ_E_UNSUPPORTED (newer schema). */
AQ_NODISCARD aq_status aq_db_view(aq_db *db, const char *path, bool write, aq_err *err);
/* A whole new database under `path`, nothing else there: for aq_db_open and tests. */
AQ_NODISCARD aq_status aq_db_create(const char *path, const aq_sqlite_cfg *cfg, uint64_t now_ns, aq_err *err);

/* Makes the names in the folder of a file durable. */
void aq_db_sync_folder(const char *path);

/* Rows of the meta table. get: AQ_E_NOTFOUND unless it is there with that length. */
AQ_NODISCARD aq_status aq_db_meta_get(aq_db *db, const char *key, void *out, size_t len);
AQ_NODISCARD aq_status aq_db_meta_put(aq_db *db, const char *key, aq_bytes value);

/* Whose store it is. AQ_E_NOTFOUND: the rows are not there. */
AQ_NODISCARD aq_status aq_db_owner(aq_db *db, uint8_t lock_hash[32], uint32_t *self);
/* The genesis validators root of the chain that the journal is of. proven: a beacon node said so, not only a file.
   get: AQ_E_NOTFOUND when none is recorded. say: what a file names, inside a transaction, never against a beacon
   node (AQ_E_IO); when it takes the place of another file's, and the store has nothing but what files brought, their
   watermarks go. pin: what the beacon node says; records it the first time, AQ_E_UNKNOWN with the mend when the journal
   is of another chain. */
AQ_NODISCARD aq_status aq_db_chain_get(aq_db *db, uint8_t root[32], bool *proven);
AQ_NODISCARD aq_status aq_db_chain_say(aq_db *db, const uint8_t root[32]);
AQ_NODISCARD aq_status aq_db_chain_pin(aq_db *db, const uint8_t root[32], aq_err *err);

/* sqlite_stamp.c: what the file beside the database says about it. open: reads both and keeps the file. begin: a new
   line of commits from here on, outside a transaction. count: inside the transaction that will be commits + 1; written:
   that one is durable. */
typedef enum {
  AQ_DB_STAMP_OK,
  AQ_DB_STAMP_NEW,     /* the database counts no commits: made by an earlier version, or just now */
  AQ_DB_STAMP_MISSING, /* it does, and the file is missing or unreadable */
  AQ_DB_STAMP_MOVED,   /* a copy, as new as the file says */
  AQ_DB_STAMP_STALE    /* older than the file says, or of another line */
} aq_db_stamp;
AQ_NODISCARD aq_status aq_db_stamp_open(aq_db *db, const char *path, aq_db_stamp *found);
AQ_NODISCARD aq_status aq_db_stamp_begin(aq_db *db, const char *path);
AQ_NODISCARD aq_status aq_db_stamp_count(aq_db *db);
void aq_db_stamp_written(aq_db *db);

/* AQ_E_IO: the transaction must be rolled back. */
AQ_NODISCARD aq_status aq_db_run(aq_db *db, aq_db_stmt id);

/* Inside a transaction: AQ_OK, AQ_E_SLASH or AQ_E_LIMIT (nothing changed), AQ_E_IO (roll back). */
AQ_NODISCARD aq_status aq_db_vote(aq_db *db, const aq_store_vote *v, const aq_store_blob *blob);
AQ_NODISCARD aq_status aq_db_decided(aq_db *db, const aq_store_decided *d, const aq_store_blob *blob);
AQ_NODISCARD aq_status aq_db_sign(aq_db *db, const aq_store_sign *s, uint32_t cnt);
AQ_NODISCARD aq_status aq_db_over(aq_db *db, const uint8_t pubkey[48], aq_duty duty);
AQ_NODISCARD aq_status aq_db_peer(aq_db *db, uint32_t peer, const char *addr);
AQ_NODISCARD aq_status aq_db_prune(aq_db *db, uint64_t before_slot);
/* Fills in what is recorded under the key in *v; msg views the row and is valid until the next call. AQ_E_NOTFOUND. */
AQ_NODISCARD aq_status aq_db_find(aq_db *db, aq_store_vote *v);
AQ_NODISCARD aq_status aq_db_since(aq_db *db, uint64_t since_ns);
AQ_NODISCARD aq_status aq_db_load(aq_db *db, uint64_t from_slot, const aq_store_visitor *v);

/* Raises the watermarks of a validator, both kinds; a negative number leaves that one. For imports. */
AQ_NODISCARD aq_status aq_db_mark(aq_db *db, const uint8_t pubkey[48], int64_t source, int64_t target,
                                  int64_t block_slot);

#endif
