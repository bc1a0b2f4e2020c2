/* `aequa store check|export|import|dump`: looks into the store of a node (contract.md 7.1) and moves its slashing
   protection. Only import needs the node stopped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/interchange.h"
#include "base/hex.h"
#include "cmd/cmd.h"

typedef struct {
  const char *data_dir, *store, *root;
} store_cfg;

#define OPTION_DIR                                                                 \
  {                                                                                \
    .flag = "data-dir", .kind = AQ_OPT_PATH, .off = offsetof(store_cfg, data_dir), \
    .help = "directory of the store; default .charon if it is there, else .aequa"  \
  }
#define OPTION_STORE                                                         \
  {                                                                          \
    .flag = "store", .kind = AQ_OPT_PATH, .off = offsetof(store_cfg, store), \
    .help = "the store itself, e.g. validator.db"                            \
  }
#define OPTION_ROOT                                                                          \
  {                                                                                          \
    .flag = "genesis-validators-root", .kind = AQ_OPT_STR, .off = offsetof(store_cfg, root), \
    .help = "of the network, in hex; default what an import recorded"                        \
  }

static const aq_option options[] = {OPTION_DIR, OPTION_STORE, OPTION_ROOT};
enum { OPTIONS_PLAIN = 2, OPTIONS_ALL = 3 };

static const char *path_of(const store_cfg *c, char out[AQ_DB_PATH_MAX]) {
  const char *dir = c->data_dir[0] ? c->data_dir : access(".charon", F_OK) == 0 ? ".charon" : ".aequa";
  if (c->store[0])
    snprintf(out, AQ_DB_PATH_MAX, "%s", c->store);
  else
    snprintf(out, AQ_DB_PATH_MAX, "%s/aequa.db", dir);
  return out;
}

/* NULL: not given. */
static aq_status root_of(const store_cfg *c, uint8_t out[32], const uint8_t **root) {
  *root = NULL;
  if (!c->root[0]) return AQ_OK;
  *root = out;
  return aq_hex_decode(out, 32, aq_bytes_str(c->root), AQ_HEX_EITHER);
}

static bool same_path(const char *path) { return !path || strcmp(path, "-") == 0; }

/* ---- check ---- */

static void print_identity(aq_db *db) {
  uint8_t hash[32];
  char hex[65];
  if (aq_db_meta_get(db, "lock_hash", hash, sizeof hash) != AQ_OK) return;
  aq_hex_encode(hex, aq_bytes_of(hash, sizeof hash));
  printf("cluster: 0x%s\n", hex);
}

static int run_check(const aq_cmd_ctx *ctx, void *cfg) {
  (void)ctx;
  char path[AQ_DB_PATH_MAX], backup[AQ_DB_PATH_MAX + 8];
  aq_err err = {AQ_OK, ""};
  aq_db db;
  snprintf(backup, sizeof backup, "%s.bak", path_of(cfg, path));
  aq_status st = aq_db_view(&db, path, false, &err);
  if (st == AQ_OK) {
    aq_buf out = AQ_BUF(1 << 20);
    st = aq_db_check(&db, &out);
    print_identity(&db);
    fputs(aq_buf_cstr(&out), stdout);
    aq_buf_free(&out);
    aq_db_close(&db);
  } else {
    printf("%s\n", err.text);
  }
  aq_status backup_st = aq_db_view(&db, backup, false, &err);
  if (backup_st == AQ_OK) aq_db_close(&db);
  printf("backup: %s\n", backup_st == AQ_OK ? "sound" : backup_st == AQ_E_NOTFOUND ? "none" : "damaged");
  printf("store: %s\n", st == AQ_OK ? "sound" : st == AQ_E_NOTFOUND ? "none" : "not usable");
  return st == AQ_OK ? AQ_EXIT_OK : AQ_EXIT_FAILED;
}

/* ---- export ---- */

static int write_out(const char *path, aq_bytes text) {
  FILE *f = same_path(path) ? stdout : fopen(path, "wx");
  if (!f) return aq_cmd_fail("cannot make %s: %s", path, strerror(errno));
  bool good = fwrite(text.ptr, 1, text.len, f) == text.len && fflush(f) == 0;
  if (f != stdout && fclose(f) != 0) good = false;
  return good ? AQ_EXIT_OK : aq_cmd_fail("cannot write the export");
}

static int run_export(const aq_cmd_ctx *ctx, void *cfg) {
  const char *file = ctx->opt->arg_cnt > 0 ? ctx->opt->arg[0] : NULL;
  char path[AQ_DB_PATH_MAX];
  uint8_t bytes[32];
  const uint8_t *root;
  aq_err err = {AQ_OK, ""};
  aq_interchange_stats stats;
  aq_db db;
  if (root_of(cfg, bytes, &root) != AQ_OK) return aq_cmd_fail("--genesis-validators-root takes 32 bytes of hex");
  if (aq_db_view(&db, path_of(cfg, path), false, &err) != AQ_OK) return aq_cmd_fail("%s", err.text);
  aq_buf out = AQ_BUF(AQ_INTERCHANGE_MAX);
  aq_status st = aq_interchange_export(&db, root, &out, &stats, &err);
  aq_db_close(&db);
  int rc = st == AQ_OK ? write_out(file, aq_buf_bytes(&out)) : aq_cmd_fail("%s", err.text);
  aq_buf_free(&out);
  if (rc == AQ_EXIT_OK) {
    fprintf(stderr, "%zu validators, %zu blocks, %zu attestations\n", stats.validators, stats.blocks,
            stats.attestations);
  }
  return rc;
}

/* ---- import ---- */

static aq_status read_in(const char *path, aq_buf *out) {
  char chunk[65536];
  FILE *f = same_path(path) ? stdin : fopen(path, "rb");
  if (!f) return AQ_E_IO;
  for (size_t len; (len = fread(chunk, 1, sizeof chunk, f)) > 0;) aq_buf_put(out, chunk, len);
  bool good = !ferror(f);
  if (f != stdin) fclose(f);
  return good ? aq_buf_status(out) : AQ_E_IO;
}

static int run_import(const aq_cmd_ctx *ctx, void *cfg) {
  const char *file = ctx->opt->arg[0];
  char path[AQ_DB_PATH_MAX];
  uint8_t bytes[32];
  const uint8_t *root;
  aq_err err = {AQ_OK, ""};
  aq_interchange_stats stats;
  aq_db db;
  if (root_of(cfg, bytes, &root) != AQ_OK) return aq_cmd_fail("--genesis-validators-root takes 32 bytes of hex");
  aq_buf text = AQ_BUF(AQ_INTERCHANGE_MAX);
  aq_status st = read_in(file, &text);
  if (st != AQ_OK) {
    aq_buf_free(&text);
    return aq_cmd_fail("cannot read %s: %s", file, st == AQ_E_LIMIT ? "too large" : strerror(errno));
  }
  st = aq_db_view(&db, path_of(cfg, path), true, &err);
  if (st == AQ_OK) {
    st = aq_interchange_import(&db, root, aq_buf_bytes(&text), &stats, &err);
    aq_db_close(&db);
  }
  aq_buf_free(&text);
  if (st != AQ_OK) return aq_cmd_fail("%s", err.text);
  printf("%zu validators, %zu blocks, %zu attestations\n", stats.validators, stats.blocks, stats.attestations);
  return AQ_EXIT_OK;
}

/* ---- dump ---- */

static void print_line(void *arg, aq_bytes line) {
  (void)arg;
  fwrite(line.ptr, 1, line.len, stdout);
}

static int run_dump(const aq_cmd_ctx *ctx, void *cfg) {
  (void)ctx;
  char path[AQ_DB_PATH_MAX];
  aq_err err = {AQ_OK, ""};
  aq_db db;
  if (aq_db_view(&db, path_of(cfg, path), false, &err) != AQ_OK) return aq_cmd_fail("%s", err.text);
  aq_status st = aq_db_dump(&db, print_line, NULL);
  aq_db_close(&db);
  return st == AQ_OK ? AQ_EXIT_OK : aq_cmd_fail("the store could not be read to its end");
}

const aq_command aq_cmd_store_check = {
    .name = "store check",
    .summary = "check the store and its backup",
    .option = options,
    .option_cnt = OPTIONS_PLAIN,
    .cfg_size = sizeof(store_cfg),
    .run = run_check,
};

const aq_command aq_cmd_store_export = {
    .name = "store export",
    .summary = "write the slashing protection (EIP-3076) to a file",
    .args = "[FILE]",
    .arg_max = 1,
    .option = options,
    .option_cnt = OPTIONS_ALL,
    .cfg_size = sizeof(store_cfg),
    .run = run_export,
};

const aq_command aq_cmd_store_import = {
    .name = "store import",
    .summary = "add slashing protection (EIP-3076) from a file; the node must be stopped",
    .args = "FILE",
    .arg_min = 1,
    .arg_max = 1,
    .option = options,
    .option_cnt = OPTIONS_ALL,
    .cfg_size = sizeof(store_cfg),
    .run = run_import,
};

const aq_command aq_cmd_store_dump = {
    .name = "store dump",
    .summary = "print every record as a line of JSON",
    .option = options,
    .option_cnt = OPTIONS_PLAIN,
    .cfg_size = sizeof(store_cfg),
    .run = run_dump,
};
