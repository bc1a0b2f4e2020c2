/* Files of EIP-3076 into a store in memory of the machine. Input: a document. What is imported is forbidden: the store
   refuses to sign at or below it; what is exported then imports into another store and exports as the same text. What
   is refused changes nothing. Then the same once more into the journal of a node that knows every second key of the
   file as its share of a group: forbidden are the groups, and the export names shares again. */
#include "adapter/interchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/metrics.h"
#include "cluster/datadir.h"
#include "fake/fuzz_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { OUT_MAX = 8 << 20, NAMES_MAX = 8 };

static char dir[64];
static aq_db store[2];

static void tidy(void) {
  for (int i = 0; i < 2; i++) aq_db_close(&store[i]);
  aq_dir_remove(dir);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void once(void) {
  const char *tmp = getenv("TMPDIR");
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  snprintf(dir, sizeof dir, "%.32s/aequa-eip-XXXXXX", tmp ? tmp : P_tmpdir);
  AQ_ASSERT(mkdtemp(dir));
  for (int i = 0; i < 2; i++) {
    char path[96];
    snprintf(path, sizeof path, "%s/%d.db", dir, i);
    AQ_ASSERT(aq_db_create(path, &(aq_sqlite_cfg){.path = path}, 1, NULL) == AQ_OK);
    AQ_ASSERT(aq_db_view(&store[i], path, true, NULL) == AQ_OK);
    AQ_ASSERT(sqlite3_exec(store[i].h, "PRAGMA synchronous=OFF", NULL, NULL, NULL) == SQLITE_OK);
  }
  atexit(tidy);
}

static void empty(void) {
  static const char text[] =
      "DELETE FROM sign; DELETE FROM mark; DELETE FROM meta WHERE key IN ('genesis_validators_root', 'chain_from')";
  for (int i = 0; i < 2; i++) AQ_ASSERT(sqlite3_exec(store[i].h, text, NULL, NULL, NULL) == SQLITE_OK);
}

static long long number(const char *text) {
  sqlite3_stmt *s = NULL;
  AQ_ASSERT(sqlite3_prepare_v2(store[0].h, text, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW);
  long long n = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return n;
}

static aq_status import(aq_db *db, const aq_interchange_keys *keys, aq_bytes text, aq_err *err) {
  aq_interchange_stats stats;
  const aq_interchange_import_cfg cfg = {.network = "", .keys = *keys, .force = true};
  aq_status st = aq_interchange_import(db, &cfg, text, &stats, err);
  AQ_ASSERT(stats.known <= stats.validators && stats.absent <= keys->cnt);
  return st;
}

static void export(aq_db *db, const aq_interchange_keys *keys, aq_buf *out) {
  aq_interchange_stats stats;
  AQ_ASSERT(aq_interchange_export(db, NULL, keys, AQ_KEYS_SHARE, out, &stats, NULL) == AQ_OK);
  AQ_ASSERT(stats.known <= stats.validators);
}

static aq_status sign(const aq_store_sign *s) {
  AQ_ASSERT(aq_db_run(&store[0], AQ_DB_BEGIN) == AQ_OK);
  aq_status st = aq_db_sign(&store[0], s, 1);
  AQ_ASSERT(aq_db_run(&store[0], AQ_DB_ROLLBACK) == AQ_OK);
  return st;
}

/* Each of the first validators: at the highest of what the file names, nothing may be signed. */
static void forbidden(yyjson_val *data, const aq_interchange_keys *keys) {
  size_t i, max, k, cnt;
  yyjson_val *entry, *it;
  yyjson_arr_foreach(data, i, max, entry) {
    aq_store_sign a = {.kind = AQ_SIGN_PARTIAL, .root = {0xee}}, b = a;
    uint64_t v;
    if (i == NAMES_MAX) break;
    AQ_ASSERT(aq_json_hex(entry, "pubkey", a.pubkey, 48));
    for (uint32_t p = 0; p < keys->cnt; p++) {
      if (memcmp(keys->pair[p].share, a.pubkey, 48) == 0) memcpy(a.pubkey, keys->pair[p].group, 48);
    }
    memcpy(b.pubkey, a.pubkey, 48);
    a.duty.type = AQ_DUTY_ATTESTER, b.duty.type = AQ_DUTY_PROPOSER;
    yyjson_arr_foreach(yyjson_obj_get(entry, "signed_attestations"), k, cnt, it) {
      AQ_ASSERT(aq_json_u64(it, "target_epoch", &v));
      a.target_epoch = v, a.source_epoch = v ? v - 1 : 0;
      AQ_ASSERT(sign(&a) == AQ_E_SLASH);
    }
    yyjson_arr_foreach(yyjson_obj_get(entry, "signed_blocks"), k, cnt, it) {
      AQ_ASSERT(aq_json_u64(it, "slot", &b.duty.slot));
      AQ_ASSERT(sign(&b) == AQ_E_SLASH);
    }
  }
}

static void round_trip(const aq_interchange_keys *keys) {
  aq_buf out = AQ_BUF(OUT_MAX), again = AQ_BUF(OUT_MAX);
  export(&store[0], keys, &out);
  AQ_ASSERT(import(&store[1], keys, aq_buf_bytes(&out), NULL) == AQ_OK);
  export(&store[1], keys, &again);
  AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), aq_buf_bytes(&again)));
  aq_buf_free(&out);
  aq_buf_free(&again);
}

/* Every second key of the first ones, once each; its group is the key with its first bits turned. */
static uint32_t pairs_of(aq_key_pair pair[NAMES_MAX], yyjson_val *data) {
  size_t i, max;
  yyjson_val *entry;
  uint32_t cnt = 0;
  yyjson_arr_foreach(data, i, max, entry) {
    aq_key_pair *p = &pair[cnt];
    bool again = false;
    if (i == NAMES_MAX) break;
    if (i % 2 || !aq_json_hex(entry, "pubkey", p->share, 48)) continue;
    for (uint32_t k = 0; k < cnt; k++) {
      again |= memcmp(pair[k].share, p->share, 48) == 0 || memcmp(pair[k].group, p->share, 48) == 0;
    }
    if (again) continue;
    memcpy(p->group, p->share, 48);
    p->group[0] = (uint8_t)~p->group[0];
    cnt++;
  }
  return cnt;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const aq_interchange_keys none;
  aq_key_pair pair[NAMES_MAX];
  aq_err err = {AQ_OK, ""};
  if (len > 1 << 16) return 0;
  if (!*dir) once();
  empty();
  aq_bytes text = aq_bytes_of(data, len);
  if (import(&store[0], &none, text, &err) != AQ_OK) {
    AQ_ASSERT(err.text[0] && number("SELECT count(*) FROM mark") == 0);
    AQ_ASSERT(number("SELECT count(*) FROM meta WHERE key='genesis_validators_root'") == 0);
    return 0;
  }
  yyjson_doc *doc = aq_json_parse(text, len, NULL);
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "data");
  forbidden(list, &none);
  round_trip(&none);
  empty();
  const aq_interchange_keys node = {pair, pairs_of(pair, list), AQ_KEYS_GROUP};
  AQ_ASSERT(import(&store[0], &node, text, &err) == AQ_OK);
  forbidden(list, &node);
  round_trip(&node);
  yyjson_doc_free(doc);
  return 0;
}

FUZZ_JSON_MUTATOR(0)
