/* `aequa store check|export|import|dump`: looks into the store of a node or the database of the built-in client
   (contract.md 7.1) and moves its slashing protection. Only import needs its owner stopped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "beacon/bn.h"
#include "cluster/datadir.h"
#include "cmd/cmd.h"
#include "cmd/endpoints.h"
#include "cmd/store_scope.h"

#define OPTION(f, k, member, h) \
  { .flag = (f), .kind = (k), .off = offsetof(aq_store_flags, member), .help = (h) }
#define OPTION_DIR                          \
  OPTION("data-dir", AQ_OPT_PATH, data_dir, \
         "directory of the store and its cluster; default .charon if it is there, else .aequa")
#define OPTION_STORE                  \
  OPTION("store", AQ_OPT_PATH, store, \
         "the store itself: .../aequa.db of a node, .../validator.db of the built-in client")
#define OPTION_BEACON                                                                                              \
  {                                                                                                                \
    .flag = "beacon-node-endpoints", .kind = AQ_OPT_LIST, .off = offsetof(aq_store_flags, beacon), .secret = true, \
    .help = "beacon nodes that are asked for it instead"                                                           \
  }
#define OPTIONS_MOVE(keys_help, root_help)                                                                          \
  OPTION_DIR, OPTION_STORE, OPTION("keys", AQ_OPT_STR, keys, keys_help),                                            \
      OPTION("lock-file", AQ_OPT_PATH, lock_file,                                                                   \
             "cluster lock that maps the keys; default cluster-lock.json beside"),                                  \
      OPTION("keys-dir", AQ_OPT_PATH, keys_dir, "keystores of the built-in client; default validator_keys beside"), \
      OPTION("genesis-validators-root", AQ_OPT_STR, root, root_help), OPTION_BEACON,                                \
      OPTION("beacon-node-ca", AQ_OPT_PATH, beacon_ca, "certificates (PEM) of a private CA of theirs"),             \
      AQ_NETWORK_OPTIONS(aq_store_flags, custom)

static const aq_option plain_options[] = {OPTION_DIR, OPTION_STORE};
static const aq_option export_options[] = {
    OPTIONS_MOVE("which keys the file names: share (default), as validator clients do, or group",
                 "of the network, in hex; default what the store or the lock says"),
    OPTION("force", AQ_OPT_BOOL, force, "write for another network than the lock's"),
};
static const aq_option import_options[] = {
    OPTIONS_MOVE("which keys of the file count: share or group; default both",
                 "that the file must have, in hex; default what the store or the lock says"),
    OPTION("force", AQ_OPT_BOOL, force, "take a file although it names none of this operator's keys"),
    OPTION("accept-empty-store", AQ_OPT_BOOL, accept_empty, "make a new store although its backup is damaged"),
};

extern const aq_command aq_cmd_store_export, aq_cmd_store_import;

static bool is_stdio(const char *path) { return !path || strcmp(path, "-") == 0; }

/* stdout is for the file that is written. */
static void to_stderr(void *arg, const char *line, size_t len) {
  (void)arg;
  fwrite(line, 1, len, stderr);
}

static int refused(aq_status st, const aq_err *err) {
  if (st == AQ_E_EXISTS) return aq_cmd_fail("%s: stop it first, then repeat this", err->text);
  return aq_cmd_fail("%s", err->text);
}

/* ---- check ---- */

static void print_identity(aq_db *db) {
  uint8_t hash[32], client[32];
  uint32_t self;
  char hex[65];
  bool proven;
  aq_sqlite_client_hash(client);
  if (aq_db_owner(db, hash, &self) == AQ_OK) {
    aq_hex_encode(hex, aq_bytes_of(hash, sizeof hash));
    if (memcmp(hash, client, sizeof hash) == 0)
      puts("owner: the built-in validator client");
    else
      printf("cluster: 0x%s\nowner: operator %u\n", hex, self);
  }
  if (aq_db_chain_get(db, hash, &proven) != AQ_OK) return;
  aq_hex_encode(hex, aq_bytes_of(hash, sizeof hash));
  printf("genesis validators root: 0x%s (%s)\n", hex, proven ? "of its beacon node" : "of an import");
}

static int run_check(const aq_cmd_ctx *ctx, void *cfg) {
  (void)ctx;
  char path[AQ_DB_PATH_MAX], backup[AQ_DB_PATH_MAX + 8];
  aq_err err = {AQ_OK, ""};
  aq_db db;
  aq_store_path(path, cfg);
  snprintf(backup, sizeof backup, "%s.bak", path);
  aq_status st = aq_db_view(&db, path, false, &err);
  if (st == AQ_OK) {
    aq_buf out = AQ_BUF(AQ_DB_REPORT_MAX);
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
  FILE *f = is_stdio(path) ? stdout : fopen(path, "wx");
  if (!f) return aq_cmd_fail("cannot make %s: %s", path, strerror(errno));
  bool good = fwrite(text.ptr, 1, text.len, f) == text.len && fflush(f) == 0 && (f == stdout || fsync(fileno(f)) == 0);
  int why = errno;
  if (f != stdout && fclose(f) != 0 && good) good = false, why = errno;
  if (good) return AQ_EXIT_OK;
  if (f != stdout) (void)unlink(path); /* half a file would bar the next try */
  return aq_cmd_fail("cannot write %s: %s", is_stdio(path) ? "to stdout" : path, strerror(why));
}

/* false: another word. *given: the flag was there. */
static bool kind_of_keys(const char *text, aq_key_kind *out, bool *given) {
  *given = text[0] != 0;
  *out = strcmp(text, "group") == 0 ? AQ_KEYS_GROUP : AQ_KEYS_SHARE;
  return !*given || strcmp(text, "group") == 0 || strcmp(text, "share") == 0;
}

/* 0, or the status of a usage error. */
static int check_flags(const aq_cmd_ctx *ctx, const aq_command *cmd, aq_store_flags *f, aq_key_kind *kind,
                       bool *given) {
  uint8_t root[32];
  aq_opt_list urls = {aq_arena_array(ctx->arena, AQ_BN_ENDPOINTS_MAX, sizeof *urls.item), 0};
  aq_err err = {AQ_OK, ""};
  if (!urls.item) return aq_cmd_fail("out of memory");
  if (aq_endpoints_of(urls.item, &urls.cnt, AQ_BN_ENDPOINTS_MAX, &f->beacon, "beacon-node-endpoints", ctx->arena,
                      &err) != AQ_OK)
    return aq_cmd_usage_error(cmd, "%s", err.text);
  f->beacon = urls;
  if (!kind_of_keys(f->keys, kind, given)) return aq_cmd_usage_error(cmd, "--keys is share or group");
  if (f->root[0] && aq_hex_decode(root, 32, aq_bytes_str(f->root), AQ_HEX_EITHER) != AQ_OK)
    return aq_cmd_usage_error(cmd, "--genesis-validators-root takes 32 bytes of hex");
  return 0;
}

static aq_status export_scope(aq_store_scope *s, const aq_store_flags *f, aq_key_kind as, aq_err *err) {
  aq_status st = aq_store_scope_open(s, f, err);
  if (st != AQ_OK || !s->found)
    return st != AQ_OK ? st
                       : aq_fail(err, AQ_E_NOTFOUND, "there is no store %s: --data-dir or --store names it", s->path);
  if (s->lock || as == s->keys.journal) return AQ_OK;
  return aq_fail(err, AQ_E_NOTFOUND,
                 "there is no %s, which maps %s: --lock-file names it, --keys %s writes the keys as they are",
                 s->lock_path, s->client ? "shares to validators" : "validators to the shares that a client signs with",
                 s->client ? "share" : "group");
}

static int run_export(const aq_cmd_ctx *ctx, void *cfg) {
  const char *file = ctx->opt->arg_cnt > 0 ? ctx->opt->arg[0] : NULL;
  const aq_store_flags *f = cfg;
  aq_err err = {AQ_OK, ""};
  aq_interchange_stats stats = {0};
  aq_store_scope s;
  aq_db db = {.lock_fd = -1, .stamp_fd = -1};
  aq_key_kind as = AQ_KEYS_SHARE;
  bool given = false;
  int rc = check_flags(ctx, &aq_cmd_store_export, cfg, &as, &given);
  if (rc) return rc;
  aq_log_start(AQ_LOG_WARN, to_stderr, NULL);
  aq_buf out = AQ_BUF(AQ_INTERCHANGE_MAX);
  aq_status st = export_scope(&s, f, as, &err);
  if (st == AQ_OK) st = aq_db_view(&db, s.path, false, &err);
  if (st == AQ_OK) {
    st = aq_interchange_export(&db, s.has_root ? s.root : NULL, &s.keys, as, &out, &stats, &err);
    aq_db_close(&db);
    if (st == AQ_E_NOTFOUND) {
      (void)aq_fail(&err, st,
                    "the store does not know its network yet: --genesis-validators-root names it, or "
                    "--beacon-node-endpoints asks");
    }
  }
  rc = st == AQ_OK ? write_out(file, aq_buf_bytes(&out)) : refused(st, &err);
  aq_buf_free(&out);
  if (rc == AQ_EXIT_OK) {
    fprintf(stderr, "%zu validators, %zu blocks, %zu attestations; by %s keys\n", stats.validators, stats.blocks,
            stats.attestations, as == AQ_KEYS_SHARE ? "share" : "group");
    if (stats.known < stats.validators && s.keys.cnt > 0)
      fprintf(stderr, "%zu of them are not of this operator: named as the store has them\n",
              stats.validators - stats.known);
  }
  aq_store_scope_close(&s);
  return rc;
}

/* ---- import ---- */

static aq_status read_in(const char *path, aq_buf *out, aq_err *err) {
  char chunk[65536];
  if (!is_stdio(path)) return aq_file_read(out, path, err);
  for (size_t len; !out->failed && (len = fread(chunk, 1, sizeof chunk, stdin)) > 0;) aq_buf_put(out, chunk, len);
  if (ferror(stdin)) return aq_fail(err, AQ_E_IO, "cannot read stdin: %s", strerror(errno));
  return out->failed ? aq_fail(err, AQ_E_LIMIT, "stdin: over %zu bytes", out->max) : AQ_OK;
}

/* The store that is there, or a new one; *made: nothing was there before, so that a failed import takes it away. */
static aq_status open_to_write(aq_db *db, const aq_store_scope *s, bool accept_empty, bool *made, aq_err *err) {
  char dir[AQ_DB_PATH_MAX];
  struct timespec now;
  aq_sqlite_cfg cfg;
  *made = false;
  if (s->found) {
    aq_db_stamp mark;
    aq_status opened = aq_db_view(db, s->path, true, err);
    if (opened != AQ_OK) return opened;
    /* Only a stamp that fits goes on; what is wrong with another is for the owner's next start to see. */
    if (aq_db_stamp_open(db, s->path, &mark) != AQ_OK || mark == AQ_DB_STAMP_OK) return AQ_OK;
    close(db->stamp_fd);
    db->stamp_fd = -1;
    return AQ_OK;
  }
  aq_status st = aq_store_scope_cfg(&cfg, s, err);
  cfg.accept_empty = accept_empty;
  snprintf(dir, sizeof dir, "%s", s->path);
  char *slash = strrchr(dir, '/');
  if (st == AQ_OK && slash && slash != dir) {
    *slash = 0;
    st = aq_dir_create(dir, 0755, err);
  }
  clock_gettime(CLOCK_REALTIME, &now);
  aq_metrics_init();
  if (st == AQ_OK) st = aq_db_open(db, &cfg, (uint64_t)now.tv_sec * AQ_NS_PER_SEC + (uint64_t)now.tv_nsec, err);
  *made = st == AQ_OK && db->state == AQ_STORE_MISS; /* else a backup was there */
  return st;
}

static void take_away(const char *path) {
  static const char *const suffix[] = {"", "-wal", "-shm", ".stamp"};
  char name[AQ_DB_PATH_MAX + 8];
  for (size_t i = 0; i < AQ_COUNT(suffix); i++) {
    snprintf(name, sizeof name, "%s%s", path, suffix[i]);
    (void)unlink(name);
  }
}

static void print_import(const aq_store_scope *s, const aq_interchange_stats *stats, bool made) {
  printf("%zu validators, %zu blocks, %zu attestations\n", stats->validators, stats->blocks, stats->attestations);
  if (s->keys.cnt > 0) {
    printf("%zu of the %zu keys are known here; %zu of this operator's %u keys are not in the file\n", stats->known,
           stats->validators, stats->absent, s->keys.cnt);
  } else {
    fprintf(stderr,
            "note: the keys are not compared: neither a cluster lock nor keystores are beside the store "
            "(--lock-file, --keys-dir)\n");
  }
  if (!stats->network_known) {
    fprintf(stderr,
            "note: the network is not compared until the first start (--genesis-validators-root, "
            "--beacon-node-endpoints)\n");
  }
  if (made) printf("made %s\n", s->path);
}

static aq_status import_scope(aq_store_scope *s, const aq_store_flags *f, aq_err *err) {
  aq_status st = aq_store_scope_open(s, f, err);
  if (st != AQ_OK || s->client || s->lock || strcmp(f->keys, "group") == 0) return st;
  return aq_fail(err, AQ_E_NOTFOUND,
                 "there is no %s, which maps the shares of a client to this node's validators: --data-dir or "
                 "--lock-file names it; for the built-in client --store .../validator.db",
                 s->lock_path);
}

static aq_status import_file(const aq_store_scope *s, const aq_store_flags *f, aq_bytes text, aq_err *err) {
  aq_interchange_import_cfg cfg = {
      .root = s->has_root ? s->root : NULL, .network = s->network, .keys = s->keys, .force = f->force};
  aq_interchange_stats stats = {0};
  aq_key_kind kind = AQ_KEYS_SHARE;
  bool given, made;
  aq_db db = {.lock_fd = -1, .stamp_fd = -1};
  (void)kind_of_keys(f->keys, &kind, &given);
  cfg.only_shares = given && kind == AQ_KEYS_SHARE, cfg.only_groups = given && kind == AQ_KEYS_GROUP;
  aq_status st = open_to_write(&db, s, f->accept_empty, &made, err);
  if (st != AQ_OK) return st;
  st = aq_interchange_import(&db, &cfg, text, &stats, err);
  if (st != AQ_OK && made) take_away(s->path); /* while it is locked: the next one here may be of another import */
  aq_db_close(&db);
  if (st == AQ_OK) print_import(s, &stats, made);
  return st;
}

static int run_import(const aq_cmd_ctx *ctx, void *cfg) {
  const char *file = ctx->opt->arg[0];
  const aq_store_flags *f = cfg;
  aq_err err = {AQ_OK, ""};
  aq_store_scope s;
  aq_key_kind kind = AQ_KEYS_SHARE;
  bool given = false;
  int rc = check_flags(ctx, &aq_cmd_store_import, cfg, &kind, &given);
  if (rc) return rc;
  aq_log_start(AQ_LOG_WARN, to_stderr, NULL);
  aq_buf text = AQ_BUF(AQ_INTERCHANGE_MAX);
  aq_status st = read_in(file, &text, &err);
  if (st != AQ_OK) {
    aq_buf_free(&text);
    return aq_cmd_fail("%s", err.text);
  }
  st = import_scope(&s, f, &err);
  if (st == AQ_OK) st = import_file(&s, f, aq_buf_bytes(&text), &err);
  aq_buf_free(&text);
  rc = st == AQ_OK ? AQ_EXIT_OK : refused(st, &err);
  aq_store_scope_close(&s);
  return rc;
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
  aq_store_path(path, cfg);
  aq_status st = aq_db_view(&db, path, false, &err);
  if (st != AQ_OK) return refused(st, &err);
  st = aq_db_dump(&db, print_line, NULL);
  aq_db_close(&db);
  return st == AQ_OK ? AQ_EXIT_OK : aq_cmd_fail("the store could not be read to its end");
}

const aq_command aq_cmd_store_check = {
    .name = "store check",
    .summary = "check the store and its backup",
    .option = plain_options,
    .option_cnt = AQ_COUNT(plain_options),
    .cfg_size = sizeof(aq_store_flags),
    .run = run_check,
};

const aq_command aq_cmd_store_export = {
    .name = "store export",
    .summary = "write the slashing protection (EIP-3076) to a file",
    .args = "[FILE]",
    .arg_max = 1,
    .text =
        "For a client on another machine or of another make: a node's store names validators, clients sign with "
        "shares;\n"
        "the cluster lock maps them. Without FILE, or with -, to stdout; an existing file is not replaced.",
    .option = export_options,
    .option_cnt = AQ_COUNT(export_options),
    .cfg_size = sizeof(aq_store_flags),
    .run = run_export,
};

const aq_command aq_cmd_store_import = {
    .name = "store import",
    .summary = "add slashing protection (EIP-3076) from a file; the owner of the store must be stopped",
    .args = "FILE",
    .arg_min = 1,
    .arg_max = 1,
    .text =
        "Raises watermarks: what the file forbids stays forbidden. Makes the store when there is none. FILE may be - "
        "for\n"
        "stdin. Says how many of the keys are known here, and refuses a file of another network or of other keys.",
    .option = import_options,
    .option_cnt = AQ_COUNT(import_options),
    .cfg_size = sizeof(aq_store_flags),
    .run = run_import,
};

const aq_command aq_cmd_store_dump = {
    .name = "store dump",
    .summary = "print every record as a line of JSON",
    .option = plain_options,
    .option_cnt = AQ_COUNT(plain_options),
    .cfg_size = sizeof(aq_store_flags),
    .run = run_dump,
};
