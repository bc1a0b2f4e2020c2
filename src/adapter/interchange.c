/* Export walks the journal by validator; import takes what is strictest of file and journal, all or nothing. */
#include "adapter/interchange.h"

#include "base/hex.h"
#include "base/map.h"
#include "codec/json.h"
#include "crypto/aead.h"

#include <stdio.h>

/* Keys in one export: those of a cluster and what imports brought beside them. */
enum { DUMP_VALUE_MAX = 64, EXPORT_KEYS_MAX = 1 << 20 };

/* ---- whose keys ---- */

/* Both keys of each pair. */
static bool index_init(aq_map *x, const aq_interchange_keys *keys) {
  aq_map_init(x, 48, 2 * (size_t)keys->cnt + 1, NULL);
  for (uint32_t i = 0; i < keys->cnt; i++) {
    void *pair = (void *)(uintptr_t)&keys->pair[i];
    if (aq_map_put(x, keys->pair[i].share, pair) != AQ_OK || aq_map_put(x, keys->pair[i].group, pair) != AQ_OK)
      return false;
  }
  return true;
}

static const aq_key_pair *pair_of(const aq_map *x, const uint8_t pubkey[48]) { return aq_map_get(x, pubkey); }

static const uint8_t *named(const aq_key_pair *p, aq_key_kind as) { return as == AQ_KEYS_SHARE ? p->share : p->group; }

/* ---- export ---- */

static void put_root(aq_buf *out, sqlite3_stmt *s, int at) {
  if (sqlite3_column_bytes(s, at) != 32) return; /* a watermark has none */
  aq_buf_put_str(out, ",\"signing_root\":\"0x");
  aq_buf_put_hex(out, aq_bytes_of(sqlite3_column_blob(s, at), 32));
  aq_buf_put_str(out, "\"");
}

/* What is recorded under either key. Both kinds are named, so that the primary key is the index. */
static aq_status put_rows(aq_db *db, const uint8_t a[48], const uint8_t b[48], bool blocks, aq_buf *out, size_t *cnt) {
  static const char block_sql[] =
      "SELECT DISTINCT slot, 0, root FROM sign WHERE kind IN (1, 2) AND pubkey IN (?1, ?2) AND type IN (1, 5) UNION "
      "SELECT max(block_slot), 0, NULL FROM mark WHERE kind IN (1, 2) AND pubkey IN (?1, ?2) AND block_slot>=0 "
      "HAVING count(*)>0 ORDER BY 1";
  static const char attestation_sql[] =
      "SELECT DISTINCT target, source, root FROM sign WHERE kind IN (1, 2) AND pubkey IN (?1, ?2) AND type=2 UNION "
      "SELECT max(target), max(source), NULL FROM mark WHERE kind IN (1, 2) AND pubkey IN (?1, ?2) AND target>=0 "
      "HAVING count(*)>0 "
      "ORDER BY 1, 2";
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(db->h, blocks ? block_sql : attestation_sql, -1, &s, NULL) != SQLITE_OK) return AQ_E_IO;
  sqlite3_bind_blob(s, 1, a, 48, SQLITE_STATIC);
  sqlite3_bind_blob(s, 2, b, 48, SQLITE_STATIC);
  int rc;
  for (bool first = true; (rc = sqlite3_step(s)) == SQLITE_ROW; first = false) {
    long long number = sqlite3_column_int64(s, 0), source = sqlite3_column_int64(s, 1);
    if (!first) aq_buf_put_str(out, ",");
    if (blocks)
      aq_buf_printf(out, "{\"slot\":\"%lld\"", number);
    else
      aq_buf_printf(out, "{\"source_epoch\":\"%lld\",\"target_epoch\":\"%lld\"", source < 0 ? 0 : source, number);
    put_root(out, s, 2);
    aq_buf_put_str(out, "}");
    ++*cnt;
  }
  sqlite3_finalize(s);
  return rc == SQLITE_DONE ? AQ_OK : AQ_E_IO;
}

/* One entry a validator, also when the journal has records under both of its keys: at the first of them. */
static aq_status put_validator(aq_db *db, const aq_map *x, const uint8_t pubkey[48], aq_key_kind as, aq_map *done,
                               aq_buf *out, aq_interchange_stats *stats) {
  static const aq_key_pair seen;
  const aq_key_pair *p = pair_of(x, pubkey);
  const uint8_t *name = p ? named(p, as) : pubkey;
  if (aq_map_get(done, name)) return AQ_OK;
  if (aq_map_put(done, name, (void *)(uintptr_t)&seen) != AQ_OK) return AQ_E_LIMIT;
  aq_buf_put_str(out, stats->validators ? ",{\"pubkey\":\"0x" : "{\"pubkey\":\"0x");
  aq_buf_put_hex(out, aq_bytes_of(name, 48));
  aq_buf_put_str(out, "\",\"signed_blocks\":[");
  const uint8_t *a = p ? p->share : pubkey, *b = p ? p->group : pubkey;
  aq_status st = put_rows(db, a, b, true, out, &stats->blocks);
  aq_buf_put_str(out, "],\"signed_attestations\":[");
  if (st == AQ_OK) st = put_rows(db, a, b, false, out, &stats->attestations);
  aq_buf_put_str(out, "]}");
  stats->validators++;
  stats->known += p != NULL;
  return st;
}

static aq_status export_root(aq_db *db, const uint8_t *root, uint8_t out[32], aq_err *err) {
  bool proven;
  bool recorded = aq_db_chain_get(db, out, &proven) == AQ_OK;
  if (!root && !recorded)
    return aq_fail(err, AQ_E_NOTFOUND, "the store does not know its network's genesis validators root yet");
  if (!root) return AQ_OK;
  if (recorded && proven && memcmp(out, root, 32) != 0)
    return aq_fail(err, AQ_E_UNKNOWN, "the store is of another network than this genesis validators root");
  memcpy(out, root, 32);
  return AQ_OK;
}

static aq_status put_data(aq_db *db, const aq_map *x, aq_key_kind as, aq_buf *out, aq_interchange_stats *stats) {
  static const char text[] = "SELECT pubkey FROM sign WHERE type IN (1, 2, 5) UNION SELECT pubkey FROM mark ORDER BY 1";
  sqlite3_stmt *s = NULL;
  aq_map done;
  uint8_t seed[16]; /* an import brought the keys: somebody chose them */
  aq_system_random(seed, sizeof seed);
  aq_map_init(&done, 48, EXPORT_KEYS_MAX, seed);
  aq_status st = sqlite3_prepare_v2(db->h, text, -1, &s, NULL) == SQLITE_OK ? AQ_OK : AQ_E_IO;
  int rc = SQLITE_DONE;
  while (st == AQ_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
    bool whole = sqlite3_column_bytes(s, 0) == 48; /* a damaged row names nobody */
    if (whole) st = put_validator(db, x, sqlite3_column_blob(s, 0), as, &done, out, stats);
  }
  sqlite3_finalize(s);
  aq_map_free(&done);
  return st == AQ_OK && rc != SQLITE_DONE ? AQ_E_IO : st;
}

aq_status aq_interchange_export(aq_db *db, const uint8_t *root, const aq_interchange_keys *keys, aq_key_kind as,
                                aq_buf *out, aq_interchange_stats *stats, aq_err *err) {
  uint8_t known[32];
  aq_map x;
  *stats = (aq_interchange_stats){0};
  aq_status st = export_root(db, root, known, err);
  if (st != AQ_OK) return st;
  aq_buf_put_str(out, "{\"metadata\":{\"interchange_format_version\":\"5\",\"genesis_validators_root\":\"0x");
  aq_buf_put_hex(out, aq_bytes_of(known, sizeof known));
  aq_buf_put_str(out, "\"},\"data\":[");
  st = index_init(&x, keys) ? put_data(db, &x, as, out, stats) : AQ_E_LIMIT;
  aq_map_free(&x);
  aq_buf_put_str(out, "]}\n");
  if (st == AQ_E_IO) return aq_fail(err, AQ_E_IO, "cannot read the store: %s", sqlite3_errmsg(db->h));
  return st != AQ_OK || out->failed ? aq_fail(err, AQ_E_LIMIT, "the export is too large") : AQ_OK;
}

/* ---- import ---- */

typedef struct {
  int64_t source, target, block_slot;
} mark;

static bool get_number(yyjson_val *obj, const char *name, int64_t *out) {
  uint64_t v;
  if (!aq_json_u64(obj, name, &v) || v > INT64_MAX) return false;
  *out = (int64_t)v;
  return true;
}

static bool read_blocks(yyjson_val *list, mark *m, size_t *cnt) {
  size_t i, max;
  yyjson_val *it;
  if (!yyjson_is_arr(list)) return false;
  yyjson_arr_foreach(list, i, max, it) {
    int64_t slot;
    if (!get_number(it, "slot", &slot)) return false;
    if (slot > m->block_slot) m->block_slot = slot;
    ++*cnt;
  }
  return true;
}

static bool read_attestations(yyjson_val *list, mark *m, size_t *cnt) {
  size_t i, max;
  yyjson_val *it;
  if (!yyjson_is_arr(list)) return false;
  yyjson_arr_foreach(list, i, max, it) {
    int64_t source, target;
    if (!get_number(it, "source_epoch", &source) || !get_number(it, "target_epoch", &target)) return false;
    if (source > m->source) m->source = source;
    if (target > m->target) m->target = target;
    ++*cnt;
  }
  return true;
}

typedef struct {
  aq_db *db;
  const aq_interchange_import_cfg *cfg;
  aq_map index;
  aq_map seen; /* pairs that the file names */
  aq_interchange_stats *stats;
} import;

/* The pair of a key of the file, when it is of a kind that counts. */
static const aq_key_pair *known_pair(const import *m, const uint8_t pubkey[48]) {
  const aq_key_pair *p = pair_of(&m->index, pubkey);
  if (!p) return NULL;
  bool share = memcmp(p->share, pubkey, 48) == 0, group = memcmp(p->group, pubkey, 48) == 0;
  return (share && !m->cfg->only_groups) || (group && !m->cfg->only_shares) ? p : NULL;
}

static aq_status import_validator(import *m, yyjson_val *entry, aq_err *err) {
  uint8_t pubkey[48];
  mark k = {.source = -1, .target = -1, .block_slot = -1};
  if (!aq_json_hex(entry, "pubkey", pubkey, sizeof pubkey) ||
      !read_blocks(yyjson_obj_get(entry, "signed_blocks"), &k, &m->stats->blocks) ||
      !read_attestations(yyjson_obj_get(entry, "signed_attestations"), &k, &m->stats->attestations)) {
    return aq_fail(err, AQ_E_FORMAT, "entry %zu of data is malformed", m->stats->validators);
  }
  const aq_key_pair *p = known_pair(m, pubkey);
  m->stats->validators++;
  m->stats->known += p != NULL;
  aq_status st = p ? aq_map_put(&m->seen, p->share, (void *)(uintptr_t)p) : AQ_OK;
  if (st == AQ_OK)
    st = aq_db_mark(m->db, p ? named(p, m->cfg->keys.journal) : pubkey, k.source, k.target, k.block_slot);
  return st == AQ_OK ? st : aq_fail(err, st, "cannot write the store: %s", sqlite3_errmsg(m->db->h));
}

/* Format 5, and 4 in its complete form, which differs in this member alone: some versions of Lodestar write it. */
static bool is_read(yyjson_val *metadata) {
  const char *version = aq_json_str(metadata, "interchange_format_version");
  const char *form = aq_json_str(metadata, "interchange_format");
  return version && (strcmp(version, "5") == 0 || (strcmp(version, "4") == 0 && form && strcmp(form, "complete") == 0));
}

/* The file must be of the network that is known, and of the one that is recorded: what a beacon node has proven stays;
   what an earlier file said gives way to what is known now. */
static aq_status check_root(import *m, yyjson_val *metadata, aq_err *err) {
  uint8_t file[32], old[32];
  char text[65];
  bool proven;
  const uint8_t *want = m->cfg->root;
  if (!is_read(metadata) || !aq_json_hex(metadata, "genesis_validators_root", file, 32)) {
    return aq_fail(err, AQ_E_FORMAT, "not an interchange file of format 5 (EIP-3076)");
  }
  bool recorded = aq_db_chain_get(m->db, old, &proven) == AQ_OK, other = recorded && memcmp(old, file, 32) != 0;
  aq_hex_encode(text, aq_bytes_of(file, 32));
  if ((want && memcmp(want, file, 32) != 0) || (other && proven)) {
    return aq_fail(err, AQ_E_UNKNOWN, "the file is of another network (genesis validators root 0x%s) than %s says",
                   text, other && proven ? "the store" : m->cfg->network);
  }
  if (other && !want) {
    return aq_fail(err, AQ_E_UNKNOWN,
                   "an earlier import was of another network than this file (genesis validators root 0x%s): "
                   "--genesis-validators-root or --beacon-node-endpoints says which is right",
                   text);
  }
  m->stats->network_known = want || proven;
  aq_status st = aq_db_chain_say(m->db, file);
  return st == AQ_OK ? st : aq_fail(err, st, "cannot write the store: %s", sqlite3_errmsg(m->db->h));
}

static aq_status check_fit(const import *m, aq_err *err) {
  const aq_interchange_import_cfg *c = m->cfg;
  if (c->force) return AQ_OK;
  if (m->stats->validators == 0)
    return aq_fail(err, AQ_E_NOTFOUND,
                   "the file names no validator, it protects nothing: --force takes it all the same");
  if (c->keys.cnt == 0 || m->stats->known > 0) return AQ_OK;
  return aq_fail(
      err, AQ_E_NOTFOUND,
      "none of the %zu keys of the file is a %s of this operator, it would protect nothing: take the file of "
      "this operator's client or node%s; --force takes it all the same",
      m->stats->validators,
      c->only_shares   ? "share"
      : c->only_groups ? "validator"
                       : "share or a validator",
      c->only_shares || c->only_groups ? ", or leave --keys out" : "");
}

static aq_status import_all(import *m, yyjson_val *file, aq_err *err) {
  size_t i, max;
  yyjson_val *entry, *data = yyjson_obj_get(file, "data");
  aq_status st = check_root(m, yyjson_obj_get(file, "metadata"), err);
  if (st != AQ_OK) return st;
  if (!yyjson_is_arr(data)) return aq_fail(err, AQ_E_FORMAT, "data is not a list");
  yyjson_arr_foreach(data, i, max, entry) {
    st = import_validator(m, entry, err);
    if (st != AQ_OK) return st;
  }
  m->stats->absent = m->cfg->keys.cnt - m->seen.cnt;
  return check_fit(m, err);
}

static aq_status in_transaction(import *m, yyjson_val *file, aq_err *err) {
  aq_db *db = m->db;
  aq_status st = aq_db_run(db, AQ_DB_BEGIN);
  if (st != AQ_OK) return aq_fail(err, st, "cannot write the store: %s", sqlite3_errmsg(db->h));
  st = import_all(m, file, err);
  /* Counted, so that a copy from before the import is noticed, too. */
  if (st == AQ_OK && db->stamp_fd >= 0) st = aq_db_stamp_count(db);
  if (st == AQ_OK && aq_db_run(db, AQ_DB_COMMIT) != AQ_OK) st = AQ_E_IO;
  if (st == AQ_E_IO && err && !err->text[0]) (void)aq_fail(err, st, "cannot commit the import");
  if (st == AQ_OK && db->stamp_fd >= 0) aq_db_stamp_written(db);
  if (st != AQ_OK && !sqlite3_get_autocommit(db->h)) (void)!aq_db_run(db, AQ_DB_ROLLBACK);
  return st;
}

aq_status aq_interchange_import(aq_db *db, const aq_interchange_import_cfg *cfg, aq_bytes text,
                                aq_interchange_stats *stats, aq_err *err) {
import m = {.db = db, .cfg = cfg, .stats = stats };
  *stats = (aq_interchange_stats){0};
  yyjson_doc *doc = aq_json_parse(text, AQ_INTERCHANGE_MAX, err);
  if (!doc) return AQ_E_FORMAT;
  aq_map_init(&m.seen, 48, (size_t)cfg->keys.cnt + 1, NULL);
  aq_status st = index_init(&m.index, &cfg->keys) ? in_transaction(&m, yyjson_doc_get_root(doc), err)
                                                  : aq_fail(err, AQ_E_LIMIT, "too many keys");
  aq_map_free(&m.index);
  aq_map_free(&m.seen);
  yyjson_doc_free(doc);
  return st;
}

/* ---- reports ---- */

aq_status aq_db_check(aq_db *db, aq_buf *out) {
  static const char *const table[] = {"vote", "blob", "decided", "sign", "mark", "peer"};
  sqlite3_stmt *s = NULL;
  bool sound = true;
  int rc = sqlite3_prepare_v2(db->h, "PRAGMA integrity_check(20)", -1, &s, NULL);
  while (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(s, 0);
    bool ok = text && strcmp(text, "ok") == 0;
    if (!ok) aq_buf_printf(out, "damage: %s\n", text ? text : "?");
    sound = sound && ok;
  }
  sqlite3_finalize(s);
  for (size_t i = 0; i < AQ_COUNT(table) && rc == SQLITE_OK; i++) {
    char text[64];
    snprintf(text, sizeof text, "SELECT count(*) FROM %s", table[i]);
    rc = sqlite3_prepare_v2(db->h, text, -1, &s, NULL);
    if (rc == SQLITE_OK && sqlite3_step(s) != SQLITE_ROW) rc = SQLITE_CORRUPT;
    if (rc == SQLITE_OK) aq_buf_printf(out, "%s: %lld\n", table[i], (long long)sqlite3_column_int64(s, 0));
    sqlite3_finalize(s);
  }
  return sound && rc == SQLITE_OK ? AQ_OK : AQ_E_IO;
}

static void put_value(aq_buf *out, sqlite3_stmt *s, int at) {
  int len = sqlite3_column_bytes(s, at);
  switch (sqlite3_column_type(s, at)) {
    case SQLITE_INTEGER: aq_buf_printf(out, "%lld", (long long)sqlite3_column_int64(s, at)); break;
    case SQLITE_TEXT: aq_json_put_str(out, aq_bytes_of(sqlite3_column_text(s, at), (size_t)len)); break;
    case SQLITE_BLOB:
      if (len > DUMP_VALUE_MAX) {
        aq_buf_printf(out, "\"%d bytes\"", len);
        break;
      }
      aq_buf_put_str(out, "\"0x");
      if (len > 0) aq_buf_put_hex(out, aq_bytes_of(sqlite3_column_blob(s, at), (size_t)len));
      aq_buf_put_str(out, "\"");
      break;
    default: aq_buf_put_str(out, "null"); break;
  }
}

aq_status aq_db_dump(aq_db *db, void (*line)(void *arg, aq_bytes line), void *arg) {
  static const char *const table[] = {"meta", "vote", "blob", "decided", "sign", "mark", "peer"};
  aq_buf out = AQ_BUF(AQ_DB_REPORT_MAX);
  aq_status st = AQ_OK;
  for (size_t i = 0; i < AQ_COUNT(table) && st == AQ_OK; i++) {
    sqlite3_stmt *s = NULL;
    char text[64];
    snprintf(text, sizeof text, "SELECT * FROM %s", table[i]);
    int rc = sqlite3_prepare_v2(db->h, text, -1, &s, NULL);
    if (rc != SQLITE_OK) rc = SQLITE_CORRUPT;
    while (rc != SQLITE_CORRUPT && (rc = sqlite3_step(s)) == SQLITE_ROW) {
      aq_buf_reset(&out);
      aq_buf_printf(&out, "{\"table\":\"%s\"", table[i]);
      for (int at = 0; at < sqlite3_column_count(s); at++) {
        aq_buf_printf(&out, ",\"%s\":", sqlite3_column_name(s, at));
        put_value(&out, s, at);
      }
      aq_buf_put_str(&out, "}\n");
      line(arg, aq_buf_bytes(&out));
    }
    sqlite3_finalize(s);
    if (rc != SQLITE_DONE) st = AQ_E_IO;
  }
  aq_buf_free(&out);
  return st;
}
