#include "adapter/interchange.h"

#include "base/hex.h"
#include "codec/json.h"

#include <stdio.h>

static const char root_key[] = "genesis_validators_root";

enum { DUMP_VALUE_MAX = 64 };

/* ---- export ---- */

static void put_root(aq_buf *out, sqlite3_stmt *s, int at) {
  if (sqlite3_column_bytes(s, at) != 32) return; /* a watermark has none */
  aq_buf_put_str(out, ",\"signing_root\":\"0x");
  aq_buf_put_hex(out, aq_bytes_of(sqlite3_column_blob(s, at), 32));
  aq_buf_put_str(out, "\"");
}

static aq_status put_rows(aq_db *db, aq_bytes pubkey, bool blocks, aq_buf *out, size_t *cnt) {
  static const char block_sql[] =
      "SELECT DISTINCT slot, 0, root FROM sign WHERE pubkey=?1 AND type IN (1, 5) UNION "
      "SELECT max(block_slot), 0, NULL FROM mark WHERE pubkey=?1 AND block_slot>=0 "
      "HAVING count(*)>0 ORDER BY 1";
  static const char attestation_sql[] =
      "SELECT DISTINCT target, source, root FROM sign WHERE pubkey=?1 AND type=2 UNION "
      "SELECT max(target), max(source), NULL FROM mark WHERE pubkey=?1 AND target>=0 HAVING count(*)>0 ORDER BY 1, 2";
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(db->h, blocks ? block_sql : attestation_sql, -1, &s, NULL) != SQLITE_OK) return AQ_E_IO;
  sqlite3_bind_blob(s, 1, pubkey.ptr, (int)pubkey.len, SQLITE_STATIC);
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

static aq_status put_validator(aq_db *db, aq_bytes pubkey, aq_buf *out, aq_interchange_stats *stats) {
  aq_buf_put_str(out, "{\"pubkey\":\"0x");
  aq_buf_put_hex(out, pubkey);
  aq_buf_put_str(out, "\",\"signed_blocks\":[");
  aq_status st = put_rows(db, pubkey, true, out, &stats->blocks);
  aq_buf_put_str(out, "],\"signed_attestations\":[");
  if (st == AQ_OK) st = put_rows(db, pubkey, false, out, &stats->attestations);
  aq_buf_put_str(out, "]}");
  stats->validators++;
  return st;
}

aq_status aq_interchange_export(aq_db *db, const uint8_t *root, aq_buf *out, aq_interchange_stats *stats, aq_err *err) {
  uint8_t known[32];
  *stats = (aq_interchange_stats){0};
  if (root)
    memcpy(known, root, sizeof known);
  else if (aq_db_meta_get(db, root_key, known, sizeof known) != AQ_OK) {
    return aq_fail(err, AQ_E_NOTFOUND, "the store does not know the genesis validators root: give it");
  }
  aq_buf_put_str(out, "{\"metadata\":{\"interchange_format_version\":\"5\",\"genesis_validators_root\":\"0x");
  aq_buf_put_hex(out, aq_bytes_of(known, sizeof known));
  aq_buf_put_str(out, "\"},\"data\":[");
  sqlite3_stmt *s = NULL;
  const char *text = "SELECT pubkey FROM sign WHERE type IN (1, 2, 5) UNION SELECT pubkey FROM mark ORDER BY 1";
  aq_status st = sqlite3_prepare_v2(db->h, text, -1, &s, NULL) == SQLITE_OK ? AQ_OK : AQ_E_IO;
  int rc = SQLITE_DONE;
  while (st == AQ_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
    if (stats->validators > 0) aq_buf_put_str(out, ",");
    st = put_validator(db, aq_bytes_of(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0)), out, stats);
  }
  sqlite3_finalize(s);
  aq_buf_put_str(out, "]}\n");
  if (st != AQ_OK || rc != SQLITE_DONE)
    return aq_fail(err, AQ_E_IO, "cannot read the store: %s", sqlite3_errmsg(db->h));
  return out->failed ? aq_fail(err, AQ_E_LIMIT, "the export is too large") : AQ_OK;
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

static aq_status import_validator(aq_db *db, yyjson_val *entry, aq_interchange_stats *stats, aq_err *err) {
  uint8_t pubkey[48];
  mark m = {-1, -1, -1};
  if (!aq_json_hex(entry, "pubkey", pubkey, sizeof pubkey) ||
      !read_blocks(yyjson_obj_get(entry, "signed_blocks"), &m, &stats->blocks) ||
      !read_attestations(yyjson_obj_get(entry, "signed_attestations"), &m, &stats->attestations)) {
    return aq_fail(err, AQ_E_FORMAT, "entry %zu of data is malformed", stats->validators);
  }
  stats->validators++;
  aq_status st = aq_db_mark(db, pubkey, m.source, m.target, m.block_slot);
  return st == AQ_OK ? st : aq_fail(err, st, "cannot write the store: %s", sqlite3_errmsg(db->h));
}

static aq_status check_root(aq_db *db, const uint8_t *root, yyjson_val *metadata, uint8_t out[32], aq_err *err) {
  uint8_t known[32];
  const char *version = aq_json_str(metadata, "interchange_format_version");
  if (!version || strcmp(version, "5") != 0 || !aq_json_hex(metadata, root_key, out, 32)) {
    return aq_fail(err, AQ_E_FORMAT, "not an interchange file of format 5");
  }
  bool recorded = aq_db_meta_get(db, root_key, known, sizeof known) == AQ_OK;
  if ((root && memcmp(root, out, 32) != 0) || (recorded && memcmp(known, out, 32) != 0)) {
    return aq_fail(err, AQ_E_UNKNOWN, "the file is of another network (genesis validators root)");
  }
  return AQ_OK;
}

static aq_status import_all(aq_db *db, const uint8_t *root, yyjson_val *file, aq_interchange_stats *stats,
                            aq_err *err) {
  uint8_t file_root[32];
  size_t i, max;
  yyjson_val *entry, *data = yyjson_obj_get(file, "data");
  aq_status st = check_root(db, root, yyjson_obj_get(file, "metadata"), file_root, err);
  if (st != AQ_OK) return st;
  if (!yyjson_is_arr(data)) return aq_fail(err, AQ_E_FORMAT, "data is not a list");
  yyjson_arr_foreach(data, i, max, entry) {
    st = import_validator(db, entry, stats, err);
    if (st != AQ_OK) return st;
  }
  st = aq_db_meta_put(db, root_key, aq_bytes_of(file_root, sizeof file_root));
  return st == AQ_OK ? st : aq_fail(err, st, "cannot write the store: %s", sqlite3_errmsg(db->h));
}

aq_status aq_interchange_import(aq_db *db, const uint8_t *root, aq_bytes text, aq_interchange_stats *stats,
                                aq_err *err) {
  *stats = (aq_interchange_stats){0};
  yyjson_doc *doc = aq_json_parse(text, AQ_INTERCHANGE_MAX, err);
  if (!doc) return AQ_E_FORMAT;
  aq_status st = aq_db_run(db, AQ_DB_BEGIN);
  if (st != AQ_OK) {
    st = aq_fail(err, st, "cannot write the store: %s", sqlite3_errmsg(db->h));
  } else {
    st = import_all(db, root, yyjson_doc_get_root(doc), stats, err);
    if (st == AQ_OK && aq_db_run(db, AQ_DB_COMMIT) != AQ_OK) st = aq_fail(err, AQ_E_IO, "cannot commit the import");
    if (st != AQ_OK && !sqlite3_get_autocommit(db->h)) (void)!aq_db_run(db, AQ_DB_ROLLBACK);
  }
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
  aq_buf out = AQ_BUF(1 << 20);
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
