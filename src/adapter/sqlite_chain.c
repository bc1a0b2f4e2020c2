/* Whose journal it is, and of which chain: its genesis validators root, said by an import or proven by a beacon node. */
#include "adapter/sqlite_db.h"
#include "base/hex.h"
#include "crypto/hash.h"

static const char root_key[] = "genesis_validators_root", proven_key[] = "chain_proven";

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

aq_status aq_db_chain_get(aq_db *db, uint8_t root[32], bool *proven) {
  uint8_t flag;
  *proven = false;
  aq_status st = aq_db_meta_get(db, root_key, root, 32);
  if (st == AQ_OK) *proven = aq_db_meta_get(db, proven_key, &flag, 1) == AQ_OK && flag == 1;
  return st;
}

aq_status aq_db_chain_put(aq_db *db, const uint8_t root[32], bool proven) {
  const uint8_t flag = proven;
  aq_status st = aq_db_meta_put(db, root_key, aq_bytes_of(root, 32));
  return st == AQ_OK ? aq_db_meta_put(db, proven_key, aq_bytes_of(&flag, 1)) : st;
}

static aq_status record(aq_db *db, const uint8_t root[32], aq_err *err) {
  aq_status st = aq_db_run(db, AQ_DB_BEGIN);
  if (st == AQ_OK) st = aq_db_chain_put(db, root, true);
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
  return aq_fail(err, AQ_E_UNKNOWN,
                 "the imported slashing protection is of another chain (genesis validators root 0x%.16s...) than the "
                 "beacon node (0x%.16s...): move the store away and import the right file",
                 ours, theirs);
}
