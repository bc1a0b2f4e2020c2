/* Whose journal it is, and of which chain: the genesis validators root, said by a file or proven by a beacon node. */
#include "adapter/sqlite_db.h"
#include "base/hex.h"
#include "crypto/hash.h"

static const char root_key[] = "genesis_validators_root", from_key[] = "chain_from";

/* Where the root is from. ONLY_FILES: the store held nothing when the first file came, and a beacon node is heard
   before anything is signed: all watermarks are of files. */
enum { FROM_FILE = 0, FROM_BEACON_NODE = 1, FROM_ONLY_FILES = 2 };

void aq_sqlite_client_hash(uint8_t out[32]) { aq_sha256(out, aq_bytes_str("aequa validator client")); }

aq_status aq_db_owner(aq_db *db, uint8_t lock_hash[32], uint32_t *self) {
  static const char text[] =
      "SELECT a.value, b.value FROM meta AS a, meta AS b WHERE a.key='lock_hash' AND b.key='self'";
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(db->h, text, -1, &s, NULL) != SQLITE_OK) return AQ_E_IO;
  bool good = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_bytes(s, 0) == 32;
  if (good) {
    memcpy(lock_hash, sqlite3_column_blob(s, 0), 32);
    *self = (uint32_t)sqlite3_column_int64(s, 1);
  }
  sqlite3_finalize(s);
  return good ? AQ_OK : AQ_E_NOTFOUND;
}

static uint8_t from(aq_db *db) {
  uint8_t v;
  return aq_db_meta_get(db, from_key, &v, 1) == AQ_OK ? v : FROM_FILE;
}

static aq_status put(aq_db *db, const uint8_t root[32], uint8_t v) {
  aq_status st = aq_db_meta_put(db, root_key, aq_bytes_of(root, 32));
  return st == AQ_OK ? aq_db_meta_put(db, from_key, aq_bytes_of(&v, 1)) : st;
}

aq_status aq_db_chain_get(aq_db *db, uint8_t root[32], bool *proven) {
  aq_status st = aq_db_meta_get(db, root_key, root, 32);
  *proven = st == AQ_OK && from(db) == FROM_BEACON_NODE;
  return st;
}

static aq_status is_empty(aq_db *db, bool *empty) {
  sqlite3_stmt *s = NULL;
  const char *text = "SELECT (SELECT count(*) FROM sign) + (SELECT count(*) FROM mark) = 0";
  aq_status st = sqlite3_prepare_v2(db->h, text, -1, &s, NULL) == SQLITE_OK ? AQ_OK : AQ_E_IO;
  if (st == AQ_OK && sqlite3_step(s) != SQLITE_ROW) st = AQ_E_IO;
  if (st == AQ_OK) *empty = sqlite3_column_int(s, 0) != 0;
  sqlite3_finalize(s);
  return st;
}

aq_status aq_db_chain_say(aq_db *db, const uint8_t root[32]) {
  uint8_t known[32];
  bool proven, empty = false;
  aq_status st = AQ_OK;
  bool recorded = aq_db_chain_get(db, known, &proven) == AQ_OK;
  if (recorded && memcmp(known, root, sizeof known) == 0) return AQ_OK;
  if (proven) return AQ_E_IO; /* the caller has looked: the rows change as they are read */
  if (!recorded) st = is_empty(db, &empty);
  uint8_t v = recorded ? from(db) : empty ? FROM_ONLY_FILES : FROM_FILE;
  if (st == AQ_OK && recorded && v == FROM_ONLY_FILES &&
      sqlite3_exec(db->h, "DELETE FROM mark", NULL, NULL, NULL) != SQLITE_OK)
    st = AQ_E_IO;
  return st == AQ_OK ? put(db, root, v) : st;
}

static aq_status record(aq_db *db, const uint8_t root[32], aq_err *err) {
  aq_status st = aq_db_run(db, AQ_DB_BEGIN);
  if (st == AQ_OK) st = put(db, root, FROM_BEACON_NODE);
  if (st == AQ_OK) st = aq_db_run(db, AQ_DB_COMMIT);
  if (st == AQ_OK) return st;
  (void)aq_fail(err, st, "cannot record the chain in the store: %s", sqlite3_errmsg(db->h));
  if (!sqlite3_get_autocommit(db->h)) (void)!aq_db_run(db, AQ_DB_ROLLBACK);
  return st;
}

aq_status aq_db_chain_pin(aq_db *db, const uint8_t root[32], aq_err *err) {
  uint8_t known[32];
  char theirs[65], ours[65];
  bool proven;
  bool recorded = aq_db_chain_get(db, known, &proven) == AQ_OK;
  bool same = recorded && memcmp(known, root, sizeof known) == 0;
  if (same && proven) return AQ_OK;
  if (!recorded || same) return record(db, root, err);
  aq_hex_encode(theirs, aq_bytes_of(root, 32));
  aq_hex_encode(ours, aq_bytes_of(known, 32));
  if (proven) {
    return aq_fail(err, AQ_E_UNKNOWN,
                   "the beacon node is of another chain (genesis validators root 0x%.16s...) than this store's "
                   "signatures (0x%.16s...): give it the right one, or the new chain a store of its own",
                   theirs, ours);
  }
  return aq_fail(
      err, AQ_E_UNKNOWN,
      "the imported slashing protection is of another chain (genesis validators root 0x%.16s...) than the "
      "beacon node (0x%.16s...): import the right file with --genesis-validators-root or --beacon-node-endpoints",
      ours, theirs);
}
