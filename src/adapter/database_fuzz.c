/* Database files that somebody else wrote. Input: a byte: 0, then rows as their table, and for each column a kind and
   value; or 1, then places and bytes that change the file itself. Whatever lies there, opening gives a status, what is
   loaded keeps the sizes that recovery relies on, and the reports are lines of JSON. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/interchange.h"
#include "base/assert.h"
#include "base/metrics.h"
#include "cluster/datadir.h"
#include "codec/json.h"
#include "crypto/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { FILE_MAX = 1 << 20, ROWS_MAX = 24 };

static char dir[64], path[96];
static aq_buf fresh;

static void tidy(void) {
  aq_dir_remove(dir);
  aq_buf_free(&fresh);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void once(void) {
  const char *tmp = getenv("TMPDIR");
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  snprintf(dir, sizeof dir, "%.32s/aequa-db-XXXXXX", tmp ? tmp : P_tmpdir);
  AQ_ASSERT(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/aequa.db", dir);
  AQ_ASSERT(aq_db_create(path, &(aq_sqlite_cfg){.path = path}, 1, NULL) == AQ_OK);
  fresh = AQ_BUF(FILE_MAX);
  AQ_ASSERT(aq_file_read(&fresh, path, NULL) == AQ_OK);
  atexit(tidy);
}

/* The database alone; what an earlier input left beside it goes. */
static void put(aq_bytes file) {
  static const char *const beside[] = {"",     "-wal",     "-shm",         "-journal", ".new",
                                       ".bak", ".damaged", ".damaged-wal", ".lock"};
  for (size_t i = 0; i < AQ_COUNT(beside); i++) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", path, beside[i]);
    (void)unlink(name);
  }
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  AQ_ASSERT(fd >= 0 && write(fd, file.ptr, file.len) == (ssize_t)file.len);
  close(fd);
}

static void bind(sqlite3_stmt *s, int at, aq_rd *in) {
  uint8_t kind = aq_rd_u8(in);
  size_t len = kind >> 3 == 31 ? 48 : kind >> 3 == 30 ? 32 : kind >> 3;
  aq_bytes bytes = aq_rd_bytes(in, len < in->left ? len : in->left);
  switch (kind & 7) {
    case 0: break; /* NULL */
    case 1: sqlite3_bind_text(s, at, (const char *)bytes.ptr, (int)bytes.len, SQLITE_TRANSIENT); break;
    case 2: sqlite3_bind_double(s, at, 1.5e18); break;
    case 3: sqlite3_bind_int64(s, at, bytes.len >= 8 ? (int64_t)aq_le64_get(bytes.ptr) : -(int64_t)len); break;
    case 4:
    case 5: sqlite3_bind_int64(s, at, (int64_t)len); break;
    default:
      sqlite3_bind_blob(s, at, bytes.len ? (const void *)bytes.ptr : "", (int)bytes.len, SQLITE_TRANSIENT);
      break;
  }
}

static void rows(aq_rd *in) {
  static const struct {
    const char *name;
    int columns;
  } table[] = {{"meta", 2}, {"vote", 8}, {"blob", 4}, {"decided", 5}, {"sign", 8}, {"mark", 5}, {"peer", 2}};
  sqlite3 *h = NULL;
  AQ_ASSERT(sqlite3_open(path, &h) == SQLITE_OK);
  AQ_ASSERT(sqlite3_exec(h, "PRAGMA synchronous=OFF; BEGIN", NULL, NULL, NULL) == SQLITE_OK);
  for (int i = 0; i < ROWS_MAX && in->left; i++) {
    size_t t = aq_rd_u8(in) % AQ_COUNT(table);
    char text[128];
    snprintf(text, sizeof text, "INSERT OR REPLACE INTO %s VALUES(%.*s)", table[t].name, 2 * table[t].columns - 1,
             "?,?,?,?,?,?,?,?");
    sqlite3_stmt *s = NULL;
    AQ_ASSERT(sqlite3_prepare_v2(h, text, -1, &s, NULL) == SQLITE_OK);
    for (int c = 1; c <= table[t].columns; c++) bind(s, c, in);
    sqlite3_step(s); /* may break a NOT NULL */
    sqlite3_finalize(s);
  }
  sqlite3_exec(h, "COMMIT", NULL, NULL, NULL);
  sqlite3_close(h);
}

static void damage(aq_rd *in) {
  aq_buf file = AQ_BUF(FILE_MAX);
  aq_buf_put_bytes(&file, aq_buf_bytes(&fresh));
  while (in->left >= 4) {
    size_t at = aq_rd_be16(in) % file.len, page = aq_rd_u8(in);
    file.ptr[page < 0x80 ? at % 100 : at] ^= aq_rd_u8(in); /* the header as often as all else */
  }
  if (in->left && aq_rd_u8(in) % 4 == 0) file.len /= 2;
  put(aq_buf_bytes(&file));
  aq_buf_free(&file);
}

/* Views are read to their ends. */
static void touch(aq_bytes b) {
  uint8_t root[32];
  aq_sha256(root, b);
}
static void on_vote(void *arg, const aq_store_vote *v) {
  (void)arg;
  touch(v->msg), touch(v->just), touch(aq_bytes_of(v->value_hash, 32));
}
static void on_blob(void *arg, const aq_store_blob *b) {
  (void)arg;
  touch(b->value), touch(aq_bytes_of(b->hash, 32));
}
static void on_decided(void *arg, const aq_store_decided *d) {
  (void)arg;
  touch(d->commits), touch(aq_bytes_of(d->hash, 32));
}
static void on_peer(void *arg, uint32_t peer, const char *addr) {
  (void)arg, (void)peer;
  touch(aq_bytes_str(addr));
}

static void on_line(void *arg, aq_bytes line) {
  (void)arg;
  yyjson_doc *doc = aq_json_parse(line, FILE_MAX, NULL);
  AQ_ASSERT(doc && line.ptr[line.len - 1] == '\n');
  yyjson_doc_free(doc);
}

/* Everything that is written, over whatever lies there. A journal that is written to never forgets: the same again is
   taken, another root is not. */
static void write_some(aq_db *db, const aq_store_sign *s) {
  static const uint8_t msg[3] = {1, 2, 3};
  const aq_bytes bytes = {msg, sizeof msg};
  const aq_store_vote v = {.duty = {5, AQ_DUTY_ATTESTER}, .msg_type = 2, .round = 1, .msg = bytes, .just = bytes};
  const aq_store_decided d = {.duty = {5, AQ_DUTY_ATTESTER}, .round = 1, .hash = {1}, .commits = bytes};
  const aq_store_blob blob = {.duty = {5, AQ_DUTY_ATTESTER}, .hash = {1}, .value = bytes};
  aq_store_sign att = *s, other = *s;
  if (aq_db_run(db, AQ_DB_BEGIN) != AQ_OK) return;
  att.duty = (aq_duty){6, AQ_DUTY_ATTESTER}, att.source_epoch = 1, att.target_epoch = 2, other.root[0] ^= 1;
  aq_status st = aq_db_sign(db, s, 1);
  if (st == AQ_OK) AQ_ASSERT(aq_db_sign(db, s, 1) != AQ_E_SLASH && aq_db_sign(db, &other, 1) != AQ_OK);
  if (st != AQ_E_IO) st = aq_db_sign(db, &att, 1);
  if (st != AQ_E_IO) st = aq_db_vote(db, &v, &blob);
  if (st != AQ_E_IO) st = aq_db_decided(db, &d, &blob);
  if (st != AQ_E_IO) st = aq_db_peer(db, 1, "host:1");
  if (st != AQ_E_IO) st = aq_db_prune(db, 2000);
  if (!sqlite3_get_autocommit(db->h)) st = aq_db_run(db, AQ_DB_ROLLBACK);
  (void)st;
}

static void use(aq_db *db) {
  static const aq_store_visitor visitor = {NULL, on_vote, on_blob, on_decided, on_peer, NULL};
  static const uint8_t root[32] = {1};
  static const aq_key_pair pair = {{1}, {2}};
  static const char interchange[] =
      "{\"metadata\":{\"interchange_format_version\":\"5\",\"genesis_validators_root\":\"0x"
      "0300000000000000000000000000000000000000000000000000000000000000\"},\"data\":[]}";
  const aq_interchange_keys keys = {&pair, 1, AQ_KEYS_GROUP};
  const aq_interchange_import_cfg cfg = {.network = "", .keys = keys, .force = true};
  uint8_t hash[32];
  uint32_t self;
  bool proven;
  const aq_store_sign s = {AQ_SIGN_PARTIAL, {1}, {5, AQ_DUTY_PROPOSER}, 0, {1}, 0, 0, {NULL, 0}};
  aq_interchange_stats stats;
  aq_buf out = AQ_BUF(FILE_MAX);
  aq_status st = aq_db_load(db, 0, &visitor);
  st = aq_db_load(db, UINT64_MAX, &visitor);
  st = aq_db_check(db, &out);
  st = aq_db_dump(db, on_line, NULL);
  st = aq_interchange_export(db, root, &keys, AQ_KEYS_SHARE, &out, &stats, NULL);
  st = aq_db_owner(db, hash, &self);
  st = aq_db_chain_get(db, hash, &proven);
  st = aq_db_chain_pin(db, root, NULL);
  st = aq_interchange_import(db, &cfg, aq_bytes_str(interchange), &stats, NULL);
  write_some(db, &s);
  (void)st;
  aq_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len == 0 || len > 1 << 14) return 0;
  if (!*dir) once();
  aq_rd in = aq_rd_of(aq_bytes_of(data + 1, len - 1));
  aq_db db;
  aq_err err = {AQ_OK, ""};
  put(aq_buf_bytes(&fresh));
  if (data[0] & 1)
    damage(&in);
  else
    rows(&in);
  aq_status st = data[0] & 2 ? aq_db_view(&db, path, true, &err)
                             : aq_db_open(&db, &(aq_sqlite_cfg){.path = path, .accept_empty = data[0] & 4}, 1, &err);
  AQ_ASSERT(st == AQ_OK || err.text[0]);
  if (st != AQ_OK) return 0;
  use(&db);
  aq_db_close(&db);
  return 0;
}
