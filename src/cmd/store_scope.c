/* What a flag does not say is looked for beside the database, then asked of a beacon node. */
#include "cmd/store_scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/url.h"
#include "beacon/bn.h"
#include "cluster/datadir.h"
#include "codec/json.h"

enum { GENESIS_MAX = 1 << 16 }; /* of /eth/v1/beacon/genesis: some 200 bytes */

/* Where things lie when no flag says so. */
static const char charon_dir[] = ".charon", client_name[] = "validator.db", node_name[] = "aequa.db";

enum { ASK_SECONDS = 5 };

/* ---- places ---- */

static const char *data_dir_of(const aq_store_flags *f) {
  if (f->data_dir[0]) return f->data_dir;
  return access(charon_dir, F_OK) == 0 ? charon_dir : ".aequa";
}

void aq_store_path(char out[AQ_DB_PATH_MAX], const aq_store_flags *f) {
  if (f->store[0])
    snprintf(out, AQ_DB_PATH_MAX, "%s", f->store);
  else
    snprintf(out, AQ_DB_PATH_MAX, "%s/%s", data_dir_of(f), node_name);
}

static bool ends_in(const char *path, const char *name) {
  const char *slash = strrchr(path, '/');
  return strcmp(slash ? slash + 1 : path, name) == 0;
}

/* `name` in --data-dir, else beside the store, else in .charon: the first that is there; false: out is the first. */
static bool find_beside(char out[AQ_DB_PATH_MAX], const aq_store_flags *f, const char *name) {
  char beside[AQ_DB_PATH_MAX] = ".";
  const char *slash = strrchr(f->store, '/');
  if (slash) snprintf(beside, sizeof beside, "%.*s", (int)(slash - f->store), f->store);
  const char *const dir[] = {f->data_dir[0] || !f->store[0] ? data_dir_of(f) : beside, beside, charon_dir};
  for (size_t i = 0; i < AQ_COUNT(dir); i++) {
    int len = snprintf(out, AQ_DB_PATH_MAX, "%s/%s", dir[i], name);
    bool own = i == 0 || (f->store[0] && !f->data_dir[0]); /* --data-dir names the one place */
    if (own && len < AQ_DB_PATH_MAX && access(out, F_OK) == 0) return true;
  }
  snprintf(out, AQ_DB_PATH_MAX, "%s/%s", dir[0], name);
  return false;
}

/* ---- whose store ---- */

static aq_status look_at_store(aq_store_scope *s, uint8_t lock_hash[32], aq_err *err) {
  uint8_t client[32], known[32];
  aq_db db;
  if (access(s->path, F_OK) != 0) {
    s->client = ends_in(s->path, client_name);
    if (s->client || ends_in(s->path, node_name)) return AQ_OK;
    return aq_fail(err, AQ_E_NOTFOUND, "there is no store %s, and only %s (a node's) or %s (a client's) can be made",
                   s->path, node_name, client_name);
  }
  aq_status st = aq_db_view(&db, s->path, false, err);
  if (st != AQ_OK) return st;
  s->found = true;
  st = aq_db_owner(&db, lock_hash, &s->self);
  (void)!aq_db_chain_get(&db, known, &s->proven);
  aq_db_close(&db);
  aq_sqlite_client_hash(client);
  s->client = st == AQ_OK && memcmp(client, lock_hash, 32) == 0;
  return st == AQ_OK ? st : aq_fail(err, st, "%s names no owner: it is damaged (aequa store check)", s->path);
}

static aq_status load_lock(aq_store_scope *s, const aq_store_flags *f, const aq_network *network, aq_err *err) {
  uint8_t hash[32];
  aq_err why = {AQ_OK, ""};
  const aq_lock_opts opts = {.no_verify = true, .network = network};
  if (f->lock_file[0])
    snprintf(s->lock_path, sizeof s->lock_path, "%s", f->lock_file);
  else if (!find_beside(s->lock_path, f, AQ_LOCK_FILE))
    return AQ_OK;
  aq_buf text = AQ_BUF(AQ_LOCK_BYTES_MAX);
  aq_status st = aq_file_read(&text, s->lock_path, err);
  if (st == AQ_OK && aq_lock_load(&s->lock, aq_buf_bytes(&text), &opts, &why) != AQ_OK)
    st = aq_fail(err, AQ_E_FORMAT, "%s: %s", s->lock_path, why.text);
  aq_buf_free(&text);
  if (st != AQ_OK) return st;
  aq_lock_hash(hash, s->lock);
  if (memcmp(hash, s->lock->lock_hash, 32) == 0) return AQ_OK;
  return aq_fail(err, AQ_E_AUTH, "%s was altered: its hash is another (aequa cluster check)", s->lock_path);
}

/* What the keystores of a client name. */
typedef struct {
  uint8_t (*key)[48];
  uint32_t cnt;
  aq_map map;
} own_keys;

static aq_status own_init(own_keys *o, const char *dir, aq_err *err) {
  aq_status st = aq_keys_pubkeys(&o->key, &o->cnt, dir, err);
  aq_map_init(&o->map, 48, AQ_VALIDATORS_MAX, NULL);
  for (uint32_t i = 0; st == AQ_OK && i < o->cnt; i++) st = aq_map_put(&o->map, o->key[i], o->key[i]);
  return st;
}

static void own_free(own_keys *o) {
  aq_map_free(&o->map);
  free(o->key);
}

static int operator_of_keys(const aq_lock *l, const own_keys *own) {
  for (uint32_t v = 0; v < l->validator_cnt; v++) {
    for (uint32_t i = 0; i < l->validators[v].share_cnt; i++) {
      if (own->cnt > 0 && aq_map_get(&own->map, l->validators[v].share[i])) return (int)i;
    }
  }
  return -1;
}

/* By the identity key; a client's directory may have only keystores, whose names say whose shares they are. */
static aq_status find_self(aq_store_scope *s, const aq_store_flags *f, const own_keys *own, aq_err *err) {
  char path[AQ_DB_PATH_MAX];
  uint8_t pubkey[33];
  aq_k1_key *key = NULL;
  int self = -1;
  const char *slash = strrchr(s->lock_path, '/');
  snprintf(path, sizeof path, "%.*s/%s", slash ? (int)(slash - s->lock_path) : 1, slash ? s->lock_path : ".",
           AQ_KEY_FILE);
  if (access(path, F_OK) != 0 && !find_beside(path, f, AQ_KEY_FILE)) path[0] = 0;
  if (path[0]) {
    aq_status st = aq_identity_load(&key, path, err);
    if (st != AQ_OK) return st;
    aq_k1_pubkey(pubkey, key);
    aq_k1_key_free(key);
    self = aq_lock_operator(s->lock, pubkey);
  }
  if (self < 0) self = operator_of_keys(s->lock, own);
  if (self < 0 && !s->client) {
    return aq_fail(err, AQ_E_NOTFOUND,
                   "no %s of an operator of %s was found: --data-dir is the directory that was made for this node",
                   AQ_KEY_FILE, s->lock_path);
  }
  if (self < 0) {
    aq_lock_free(s->lock); /* says nothing about this client's keys */
    s->lock = NULL;
    return AQ_OK;
  }
  s->self = (uint32_t)self;
  return AQ_OK;
}

/* Of the lock, and for a client also what its keystores name beside: such a key is its own pair. */
static aq_status pair_keys(aq_store_scope *s, own_keys *own, aq_err *err) {
  uint32_t lock_cnt = s->lock ? s->lock->validator_cnt : 0, cnt = 0;
  s->pair = calloc((size_t)lock_cnt + own->cnt + 1, sizeof *s->pair);
  if (!s->pair) return aq_fail(err, AQ_E_LIMIT, "out of memory");
  for (uint32_t v = 0; v < lock_cnt; v++) {
    const aq_dist_validator *d = &s->lock->validators[v];
    if (s->self >= d->share_cnt)
      return aq_fail(err, AQ_E_FORMAT, "%s lacks this operator's share of validator %u", s->lock_path, v);
    memcpy(s->pair[cnt].share, d->share[s->self], 48);
    memcpy(s->pair[cnt++].group, d->pubkey, 48);
    if (own->cnt > 0) (void)aq_map_del(&own->map, d->share[s->self]);
  }
  for (uint32_t i = 0; i < own->cnt && s->client; i++) {
    if (!aq_map_del(&own->map, own->key[i])) continue; /* of the lock, or named twice */
    memcpy(s->pair[cnt].share, own->key[i], 48);
    memcpy(s->pair[cnt++].group, own->key[i], 48);
  }
  s->keys = (aq_interchange_keys){s->pair, cnt, s->client ? AQ_KEYS_SHARE : AQ_KEYS_GROUP};
  return AQ_OK;
}

/* ---- of which network ---- */

typedef struct {
  aq_loop *loop;
  aq_bn *bn;
  uint8_t *root;
  bool known;
  char why[AQ_BN_WHY_MAX];
} question;

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  question *q = arg;
  yyjson_doc *doc = st == AQ_OK ? aq_json_parse(ans->body, GENESIS_MAX, NULL) : NULL;
  yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data");
  q->known = aq_json_hex(data, "genesis_validators_root", q->root, 32);
  yyjson_doc_free(doc);
  snprintf(q->why, sizeof q->why, "%s", st == AQ_OK ? "its genesis has no validators root" : aq_bn_why(q->bn));
  aq_loop_stop(q->loop);
}

static bool any_tls(const aq_opt_list *urls) {
  for (size_t i = 0; i < urls->cnt; i++) {
    if (aq_url_is_tls(urls->item[i])) return true;
  }
  return false;
}

static void ask(question *q, aq_curl *curl, const aq_opt_list *urls) {
  const aq_bn_cfg cfg = {.env = aq_loop_env(q->loop),
                         .http = aq_curl_port(curl),
                         .endpoints = urls->item,
                         .endpoint_cnt = urls->cnt,
                         .timeout_ns = AQ_SECONDS(ASK_SECONDS)};
  const aq_bn_req req = {.endpoint = "genesis", .method = "GET", .path = "/eth/v1/beacon/genesis"};
  q->bn = aq_bn_new(&cfg);
  aq_bn_call(q->bn, &req, answered, q);
  aq_loop_run(q->loop);
  aq_bn_free(q->bn);
}

static aq_status ask_beacon_node(uint8_t root[32], const aq_store_flags *f, aq_err *err) {
  aq_metrics_init();
  question q = {.loop = aq_loop_new(0), .root = root};
  aq_curl *curl = aq_curl_new(q.loop);
  aq_status st = aq_curl_trust(curl, f->beacon_ca, any_tls(&f->beacon), err);
  if (st == AQ_OK) ask(&q, curl, &f->beacon);
  aq_curl_free(curl);
  aq_loop_free(q.loop);
  if (st != AQ_OK || q.known) return st;
  return aq_fail(err, AQ_E_IO, "--beacon-node-endpoints: the beacon node does not tell its genesis: %s", q.why);
}

/* A flag says more than the fork version of the lock, but not against it. A beacon node is only asked when nothing else
   is known: its address may be there for the node. */
static aq_status find_network(aq_store_scope *s, const aq_store_flags *f, const aq_network *custom, aq_err *err) {
  uint8_t built_in[32];
  const aq_network *net = s->lock ? aq_definition_network(&s->lock->def, custom) : NULL;
  bool has_built_in = net && net->genesis_validators_root &&
                      aq_hex_decode(built_in, 32, aq_bytes_str(net->genesis_validators_root), AQ_HEX_BARE) == AQ_OK;
  if (f->root[0]) {
    if (aq_hex_decode(s->root, 32, aq_bytes_str(f->root), AQ_HEX_EITHER) != AQ_OK)
      return aq_fail(err, AQ_E_FORMAT, "--genesis-validators-root takes 32 bytes of hex");
    snprintf(s->network, sizeof s->network, "--genesis-validators-root");
    s->has_root = true;
  } else if (f->beacon.cnt > 0 && !has_built_in && !s->proven) {
    aq_status st = ask_beacon_node(s->root, f, err);
    if (st != AQ_OK) return st;
    snprintf(s->network, sizeof s->network, "the beacon node");
    s->has_root = true;
  }
  if (s->has_root && has_built_in && memcmp(s->root, built_in, 32) != 0 && !f->force) {
    return aq_fail(err, AQ_E_UNKNOWN,
                   "%s names another genesis validators root than that of %s, the network of %s (--force: a private "
                   "chain with its fork version)",
                   s->network, net->name, s->lock_path);
  }
  if (!s->has_root && has_built_in) {
    memcpy(s->root, built_in, 32);
    snprintf(s->network, sizeof s->network, "%s", net->name);
    s->has_root = true;
  }
  return AQ_OK;
}

/* ---- all of it ---- */

static aq_status find_keys(aq_store_scope *s, const aq_store_flags *f, const uint8_t lock_hash[32], aq_err *err) {
  char dir[AQ_DB_PATH_MAX];
  own_keys own = {.cnt = 0};
  aq_status st = AQ_OK;
  if (f->keys_dir[0]) snprintf(dir, sizeof dir, "%s", f->keys_dir);
  if (s->client && (f->keys_dir[0] || find_beside(dir, f, AQ_KEYS_DIR))) st = own_init(&own, dir, err);
  bool names_self = s->found && !s->client; /* a node's store names its operator */
  if (st == AQ_OK && s->lock && names_self && memcmp(lock_hash, s->lock->lock_hash, 32) != 0) {
    st = aq_fail(err, AQ_E_UNKNOWN, "%s is of another cluster than %s: --lock-file names the right lock", s->path,
                 s->lock_path);
  }
  if (st == AQ_OK && s->lock && !names_self) st = find_self(s, f, &own, err);
  if (st == AQ_OK) st = pair_keys(s, &own, err);
  own_free(&own);
  return st;
}

aq_status aq_store_scope_open(aq_store_scope *s, const aq_store_flags *f, aq_err *err) {
  uint8_t lock_hash[32];
  aq_network store;
  const aq_network *custom;
  *s = (aq_store_scope){.found = false};
  aq_store_path(s->path, f);
  aq_status st = aq_network_of_flags(&custom, &store, &f->custom, err);
  if (st == AQ_OK) st = look_at_store(s, lock_hash, err);
  if (st == AQ_OK) st = load_lock(s, f, custom, err);
  if (st == AQ_OK) st = find_keys(s, f, lock_hash, err);
  if (st == AQ_OK) st = find_network(s, f, custom, err);
  return st;
}

void aq_store_scope_close(aq_store_scope *s) {
  aq_lock_free(s->lock);
  free(s->pair);
  s->lock = NULL, s->pair = NULL;
}

aq_status aq_store_scope_cfg(aq_sqlite_cfg *out, const aq_store_scope *s, aq_err *err) {
  *out = (aq_sqlite_cfg){.path = s->path};
  if (s->client) {
    aq_sqlite_client_hash(out->lock_hash);
    return AQ_OK;
  }
  if (!s->lock) {
    return aq_fail(err, AQ_E_NOTFOUND,
                   "there is no %s, of whose cluster the store would be: --data-dir or --lock-file names it; for the "
                   "built-in client --store .../%s",
                   s->lock_path, client_name);
  }
  memcpy(out->lock_hash, s->lock->lock_hash, 32);
  out->self = s->self;
  return AQ_OK;
}
