/* `aequa cluster check`: what a lock, a definition or a node's directory holds, and whether it fits together. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "cluster/datadir.h"
#include "cluster/threshold.h"
#include "cmd/cmd.h"
#include "cmd/network.h"
#include "codec/json.h"
#include "codec/json_out.h"
#include "crypto/bls.h"
#include "identity/identity.h"

typedef struct {
  bool json, no_verify;
  aq_network_flags custom;
} check_cfg;

static const aq_option options[] = {
    {.flag = "json", .kind = AQ_OPT_BOOL, .off = offsetof(check_cfg, json), .help = "print the result as JSON"},
    {.flag = "no-verify",
     .kind = AQ_OPT_BOOL,
     .off = offsetof(check_cfg, no_verify),
     .help = "failures of hashes and signatures are only warnings"},
    AQ_NETWORK_OPTIONS(check_cfg, custom),
};

typedef struct {
  const check_cfg *c;
  const aq_network *network;
  aq_lock *lock;
  bool is_definition, is_dir;
  bool has_keys;
  uint32_t key_cnt;
  int node; /* operator index of the key file; -1: no data directory */
  char warning[AQ_ERR_TEXT_MAX];
  aq_err err;
} check;

/* ---- checking ---- */

/* A definition has no member cluster_definition; names match in any case (cluster.md 2.2). */
static bool is_definition(aq_bytes json) {
  yyjson_doc *doc = aq_json_parse(json, AQ_LOCK_BYTES_MAX, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  bool is = yyjson_is_obj(root) && !yyjson_obj_get(root, "cluster_definition") && yyjson_obj_get(root, "config_hash");
  yyjson_doc_free(doc);
  return is;
}

/* A definition may still wait for an operator's ENR; one that is there must be one. */
static aq_status check_enrs(check *k) {
  const aq_definition *d = &k->lock->def;
  for (uint32_t i = 0; i < d->operator_cnt; i++) {
    aq_enr enr;
    aq_err why = {AQ_OK, ""};
    if (!*d->operators[i].enr) continue;
    aq_status st = aq_enr_parse(&enr, aq_bytes_str(d->operators[i].enr), &why);
    if (st == AQ_OK) continue;
    const char *text = why.text[0] ? why.text : aq_status_text(st);
    if (!k->c->no_verify) return aq_fail(&k->err, st, "signatures: the ENR of operator %u is wrong: %.160s", i, text);
    if (!k->warning[0]) snprintf(k->warning, sizeof k->warning, "the ENR of operator %u is wrong: %.160s", i, text);
  }
  return AQ_OK;
}

static aq_status check_file(check *k, const char *path) {
  aq_buf json = AQ_BUF(AQ_LOCK_BYTES_MAX);
  const aq_lock_opts opts = {.no_verify = k->c->no_verify, .network = k->network};
  aq_err why = {AQ_OK, ""};
  aq_status st = aq_file_read(&json, path, &why);
  if (st != AQ_OK) {
    (void)aq_fail(&k->err, st, "read: %s", why.text);
  } else {
    k->is_definition = is_definition(aq_buf_bytes(&json));
    st = k->is_definition ? aq_definition_load_with(&k->lock, aq_buf_bytes(&json), &opts, &k->err)
                          : aq_lock_load(&k->lock, aq_buf_bytes(&json), &opts, &k->err);
    if (st == AQ_OK) snprintf(k->warning, sizeof k->warning, "%s", k->err.text);
  }
  aq_buf_free(&json);
  if (st == AQ_OK) st = check_enrs(k);
  if (st != AQ_OK) return st;
  const aq_definition *d = &k->lock->def;
  st = aq_threshold_check(d->operator_cnt, d->threshold, &why);
  return st == AQ_OK ? AQ_OK : aq_fail(&k->err, st, "threshold: %.220s", why.text);
}

static aq_status check_identity(check *k, const char *path) {
  aq_k1_key *key = NULL;
  uint8_t pubkey[33];
  aq_err why = {AQ_OK, ""};
  aq_status st = aq_identity_load(&key, path, &why);
  if (st != AQ_OK) return aq_fail(&k->err, st, "identity: %s", why.text);
  aq_k1_pubkey(pubkey, key);
  aq_k1_key_free(key);
  k->node = aq_lock_operator(k->lock, pubkey);
  return k->node >= 0 ? AQ_OK : aq_fail(&k->err, AQ_E_UNKNOWN, "identity: %s belongs to no operator of the lock", path);
}

/* The validator and operator whose public share this is; false: of none. */
static bool find_share(const aq_lock *l, const uint8_t pubkey[48], uint32_t *validator, uint32_t *node) {
  for (uint32_t v = 0; v < l->validator_cnt; v++) {
    for (uint32_t n = 0; n < l->validators[v].share_cnt; n++) {
      if (memcmp(l->validators[v].share[n], pubkey, 48) != 0) continue;
      *validator = v, *node = n;
      return true;
    }
  }
  return false;
}

static aq_status match_keys(check *k, const aq_keys *keys, bool *seen) {
  for (uint32_t i = 0; i < keys->cnt; i++) {
    uint8_t pubkey[48];
    uint32_t v, n;
    aq_bls_secret_to_pubkey(pubkey, keys->secret[i]);
    if (!find_share(k->lock, pubkey, &v, &n))
      return aq_fail(&k->err, AQ_E_UNKNOWN, "keystores: key %u is no share of this cluster", i);
    if (n != (uint32_t)k->node)
      return aq_fail(&k->err, AQ_E_UNKNOWN, "keystores: key %u is the share of node %u", i, n);
    if (seen[v]) return aq_fail(&k->err, AQ_E_DUP, "keystores: two keys for validator %u", v);
    seen[v] = true;
  }
  if (keys->cnt == k->lock->validator_cnt) return AQ_OK;
  return aq_fail(&k->err, AQ_E_FORMAT, "keystores: %u keys for %u validators", keys->cnt, k->lock->validator_cnt);
}

/* Key shares may live elsewhere (a keymanager, another machine): no directory is no fault. */
static aq_status check_keys(check *k, const aq_cmd_ctx *ctx, const char *path) {
  struct stat st_dir;
  aq_keys keys = {.secret = NULL};
  aq_err why = {AQ_OK, ""};
  if (stat(path, &st_dir) != 0) return AQ_OK;
  bool *seen = aq_arena_array(ctx->arena, k->lock->validator_cnt + 1, sizeof *seen);
  if (!seen) return aq_fail(&k->err, AQ_E_LIMIT, "keystores: out of memory");
  aq_status st = aq_keys_load(&keys, path, &why);
  if (st != AQ_OK) return aq_fail(&k->err, st, "keystores: %s", why.text);
  k->has_keys = true;
  k->key_cnt = keys.cnt;
  st = match_keys(k, &keys, seen);
  aq_keys_free(&keys);
  return st;
}

static aq_status check_path(check *k, const aq_cmd_ctx *ctx, const char *path) {
  char name[3][4096];
  static const char *const part[] = {AQ_LOCK_FILE, AQ_KEY_FILE, AQ_KEYS_DIR};
  struct stat st_path;
  k->is_dir = stat(path, &st_path) == 0 && S_ISDIR(st_path.st_mode);
  if (!k->is_dir) return check_file(k, path);
  for (size_t i = 0; i < AQ_COUNT(part); i++) {
    int len = snprintf(name[i], sizeof name[i], "%s/%s", path, part[i]);
    if (len < 0 || (size_t)len >= sizeof name[i]) return aq_fail(&k->err, AQ_E_LIMIT, "read: the path is too long");
  }
  aq_status st = check_file(k, name[0]);
  if (st == AQ_OK) st = check_identity(k, name[1]);
  return st == AQ_OK ? check_keys(k, ctx, name[2]) : st;
}

/* ---- result ---- */

static const char *kind_of(const check *k) {
  return k->is_dir ? "data directory" : k->is_definition ? "definition" : "lock";
}

static void print_text(const check *k, const char *path) {
  const aq_definition *d = &k->lock->def;
  char hash[65], fork[9], name[512], version[64];
  snprintf(name, sizeof name, "%s", d->name ? d->name : "");
  snprintf(version, sizeof version, "%s", d->version);
  aq_text_clean(name), aq_text_clean(version);
  aq_hex_encode(hash, aq_bytes_of(k->is_definition ? d->definition_hash : k->lock->lock_hash, 32));
  aq_hex_encode(fork, aq_bytes_of(d->fork_version, 4));
  const aq_network *n = aq_definition_network(d, k->network);
  printf("%s: %s %s is valid\n", path, kind_of(k), version);
  if (k->warning[0]) printf("  WARNING     not verified: %s\n", k->warning);
  printf("  name        %s\n  hash        0x%s\n  network     %s (fork version 0x%s)\n", name, hash,
         n ? n->name : "unknown", fork);
  printf("  nodes       %u, threshold %u\n  validators  %u\n", d->operator_cnt, d->threshold, d->validator_cnt);
  char unusual[160];
  if (!aq_threshold_usual(d->operator_cnt, d->threshold, unusual)) printf("  WARNING     %s\n", unusual);
  if (k->node >= 0) printf("  this node   %d (share %d)\n", k->node, k->node + 1);
  if (k->has_keys)
    printf("  keystores   %u, all of this node\n", k->key_cnt);
  else if (k->is_dir)
    printf("  keystores   none here\n");
}

static void put_operators(aq_json_out *o, const aq_definition *d) {
  aq_json_out_open(o, "operators", '[');
  for (uint32_t i = 0; i < d->operator_cnt; i++) {
    char peer[AQ_PEER_ID_TEXT_MAX] = "";
    if (d->operators[i].pubkey[0]) aq_peer_id_text(peer, d->operators[i].pubkey);
    aq_json_out_open(o, NULL, '{');
    aq_json_out_u64(o, "share_index", i + 1);
    aq_json_out_str(o, "peer_id", peer);
    aq_json_out_str(o, "address", d->operators[i].address);
    aq_json_out_close(o, '}');
  }
  aq_json_out_close(o, ']');
}

static void put_summary(aq_json_out *o, const check *k) {
  const aq_definition *d = &k->lock->def;
  const aq_network *n = aq_definition_network(d, k->network);
  aq_json_out_str(o, "kind", kind_of(k));
  aq_json_out_str(o, "version", d->version);
  aq_json_out_str(o, "name", d->name);
  aq_json_out_str(o, "uuid", d->uuid);
  aq_json_out_str(o, "network", n ? n->name : "");
  aq_json_out_hex(o, "fork_version", aq_bytes_of(d->fork_version, 4));
  aq_json_out_u64(o, "nodes", d->operator_cnt);
  aq_json_out_u64(o, "threshold", d->threshold);
  aq_json_out_u64(o, "num_validators", d->validator_cnt);
  aq_json_out_hex(o, "config_hash", aq_bytes_of(d->config_hash, 32));
  aq_json_out_hex(o, "definition_hash", aq_bytes_of(d->definition_hash, 32));
  if (!k->is_definition) aq_json_out_hex(o, "lock_hash", aq_bytes_of(k->lock->lock_hash, 32));
  put_operators(o, d);
  aq_json_out_open(o, "validators", '[');
  for (uint32_t i = 0; i < k->lock->validator_cnt; i++)
    aq_json_out_hex(o, NULL, aq_bytes_of(k->lock->validators[i].pubkey, 48));
  aq_json_out_close(o, ']');
  if (k->node >= 0) aq_json_out_u64(o, "node_index", (uint64_t)k->node);
  if (k->is_dir) aq_json_out_u64(o, "keystores", k->key_cnt);
  if (k->warning[0]) aq_json_out_str(o, "warning", k->warning);
  char unusual[160];
  if (!aq_threshold_usual(d->operator_cnt, d->threshold, unusual)) aq_json_out_str(o, "threshold_warning", unusual);
}

/* "stage: reason" apart. */
static void put_failure(aq_json_out *o, const char *text) {
  const char *colon = strstr(text, ": ");
  char stage[64];
  snprintf(stage, sizeof stage, "%.*s", colon ? (int)(colon - text) : 0, text);
  aq_json_out_str(o, "stage", stage);
  aq_json_out_str(o, "reason", colon ? colon + 2 : text);
}

static void print_json(const check *k, const char *path, bool ok) {
  aq_buf out = AQ_BUF(AQ_LOCK_BYTES_MAX);
  aq_json_out o = aq_json_out_of(&out, 2);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_str(&o, "path", path);
  aq_json_out_bool(&o, "valid", ok);
  if (ok)
    put_summary(&o, k);
  else
    put_failure(&o, k->err.text);
  aq_json_out_close(&o, '}');
  puts(aq_buf_cstr(&out));
  aq_buf_free(&out);
}

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  const char *path = ctx->opt->arg[0];
  aq_network store;
  check k = {.c = cfg, .node = -1};
  if (aq_network_of_flags(&k.network, &store, &k.c->custom, &k.err) != AQ_OK) return aq_cmd_fail("%s", k.err.text);
  bool ok = check_path(&k, ctx, path) == AQ_OK;
  if (k.c->json)
    print_json(&k, path, ok);
  else if (ok)
    print_text(&k, path);
  else
    fprintf(stderr, "%s\n", k.err.text);
  aq_lock_free(k.lock);
  return ok ? AQ_EXIT_OK : AQ_EXIT_FAILED;
}

const aq_command aq_cmd_cluster_check = {
    .name = "cluster check",
    .summary = "verify a cluster lock, a definition, or a node's data directory",
    .args = "FILE|DIR",
    .arg_min = 1,
    .arg_max = 1,
    .text =
        "Checks everything that `aequa run` checks; of a directory also that its key is of an operator and that its\n"
        "keystores hold this node's shares. Exit status 1 and one line \"stage: reason\" on failure.",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(check_cfg),
    .run = run,
};
