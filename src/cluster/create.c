/* Keys first, then what they sign; files last, so that nothing is on the disk of a cluster that could not be made.
   */
#include "cluster/create.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "cluster/eip712.h"
#include "cluster/lock_internal.h"
#include "crypto/aead.h"
#include "crypto/secret.h"

enum { ARENA_MAX = 256 << 20, PATH_LEN_MAX = 4096 };

static const char version[] = "v1.11.0";
enum { VERSION_MINOR = 11 };

void aq_uuid_random(char out[37]) {
  uint8_t b[16];
  aq_system_random(b, sizeof b);
  b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
  b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
  snprintf(out, 37, "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", b[0], b[1], b[2], b[3],
           b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

void aq_cluster_free(aq_cluster *c) {
  if (!c) return;
  for (size_t i = 0; i < AQ_OPERATORS_MAX; i++) aq_k1_key_free(c->node_key[i]);
  aq_guarded_free(c->share);
  aq_lock_free(c->lock);
  free(c);
}

/* ---- making ---- */

typedef struct {
  aq_cluster *c;
  aq_lock *l;
  const aq_cluster_cfg *cfg;
  uint8_t (*secret)[32]; /* guarded: the validator keys */
  aq_err *err;
} maker;

static aq_status no_memory(const maker *m) {
  return aq_fail(m->err, AQ_E_LIMIT, "out of memory for a cluster of this size");
}

static aq_bytes keep(const maker *m, const void *ptr, size_t len) {
  return aq_arena_copy(&m->l->arena, aq_bytes_of(ptr, len));
}

/* The operators are those of this machine: no addresses, so no signatures either. */
static aq_status make_operators(const maker *m) {
  aq_definition *d = &m->l->def;
  d->operators = aq_arena_array(&m->l->arena, d->operator_cnt, sizeof *d->operators);
  if (!d->operators) return no_memory(m);
  for (uint32_t i = 0; i < d->operator_cnt; i++) {
    aq_buf enr = AQ_BUF(AQ_ENR_TEXT_MAX);
    m->c->node_key[i] = aq_k1_key_generate();
    aq_k1_pubkey(d->operators[i].pubkey, m->c->node_key[i]);
    aq_status st = aq_enr_write(&enr, m->c->node_key[i], NULL);
    d->operators[i].address = "";
    d->operators[i].enr = aq_arena_str(&m->l->arena, aq_buf_bytes(&enr));
    aq_buf_free(&enr);
    if (st != AQ_OK || !d->operators[i].enr) return no_memory(m);
  }
  return AQ_OK;
}

static aq_status make_definition(const maker *m) {
  aq_definition *d = &m->l->def;
  *d = *m->cfg->def;
  d->version = version;
  d->minor = VERSION_MINOR;
  d->creator_address = "";
  d->creator_config_sig = (aq_bytes){NULL, 0};
  memcpy(d->fork_version, m->cfg->network->genesis_version, 4);
  aq_status st = make_operators(m);
  if (st == AQ_OK) st = aq_definition_root(d->config_hash, d, true, m->err);
  if (st == AQ_OK) st = aq_definition_root(d->definition_hash, d, false, m->err);
  return st;
}

static aq_status make_secrets(maker *m) {
  uint32_t cnt = m->l->def.validator_cnt;
  m->secret = aq_guarded_alloc(cnt, sizeof *m->secret);
  m->c->share = aq_guarded_alloc((size_t)cnt * m->l->def.operator_cnt, sizeof *m->c->share);
  if (!m->secret || !m->c->share) return no_memory(m);
  for (uint32_t v = 0; v < cnt; v++) {
    uint8_t seed[64];
    aq_system_random(seed, sizeof seed);
    if (m->cfg->secret)
      memcpy(m->secret[v], m->cfg->secret[v], 32);
    else
      aq_bls_secret_from_seed(m->secret[v], seed, sizeof seed);
    aq_wipe(seed, sizeof seed);
  }
  return AQ_OK;
}

static aq_status split(const maker *m, uint32_t v) {
  const aq_definition *d = &m->l->def;
  uint8_t coeff[AQ_SHARES_MAX][32], share[AQ_SHARES_MAX][32], wide[64];
  for (uint32_t i = 0; i + 1 < d->threshold; i++) {
    aq_system_random(wide, sizeof wide);
    aq_bls_secret_reduce(coeff[i], wide);
  }
  aq_status st = aq_tbls_split(share, m->secret[v], (const uint8_t(*)[32])coeff, d->threshold, d->operator_cnt);
  for (uint32_t n = 0; st == AQ_OK && n < d->operator_cnt; n++) {
    memcpy(m->c->share[(size_t)n * d->validator_cnt + v], share[n], 32);
    aq_bls_secret_to_pubkey(m->l->validators[v].share[n], share[n]);
  }
  aq_wipe(coeff, sizeof coeff);
  aq_wipe(share, sizeof share);
  aq_wipe(wide, sizeof wide);
  return st == AQ_OK ? AQ_OK : aq_fail(m->err, st, "validator key %u cannot be split", v);
}

static aq_status make_deposits(const maker *m, aq_dist_validator *v, uint32_t idx) {
  const aq_definition *d = &m->l->def;
  uint64_t amount[AQ_DEPOSIT_AMOUNTS_MAX];
  uint8_t address[20], root[32];
  size_t cnt = aq_deposit_amounts(amount, d);
  v->deposits = aq_arena_array(&m->l->arena, cnt, sizeof *v->deposits);
  if (!v->deposits) return no_memory(m);
  v->deposit_cnt = (uint32_t)cnt;
  if (aq_address_parse(address, d->addresses[idx].withdrawal) != AQ_OK) {
    return aq_fail(m->err, AQ_E_FORMAT, "withdrawal address \"%.42s\" is not 0x and 40 hex digits",
                   d->addresses[idx].withdrawal);
  }
  for (size_t i = 0; i < cnt; i++) {
    aq_deposit *dep = &v->deposits[i];
    memcpy(dep->pubkey, v->pubkey, 48);
    aq_withdrawal_credentials(dep->withdrawal_credentials, address, d->compounding);
    dep->amount = amount[i];
    aq_deposit_signing_root(root, dep, d->fork_version);
    aq_bls_sign(dep->signature, m->secret[idx], root);
  }
  return AQ_OK;
}

static aq_status make_registration(const maker *m, aq_dist_validator *v, uint32_t idx) {
  const aq_definition *d = &m->l->def;
  aq_registration *r = &v->registration;
  uint8_t root[32];
  if (aq_address_parse(r->fee_recipient, d->addresses[idx].fee_recipient) != AQ_OK) {
    return aq_fail(m->err, AQ_E_FORMAT, "fee recipient \"%.42s\" is not 0x and 40 hex digits",
                   d->addresses[idx].fee_recipient);
  }
  r->gas_limit = d->target_gas_limit ? d->target_gas_limit : AQ_GAS_LIMIT_DEFAULT;
  r->timestamp = m->cfg->registration_s;
  memcpy(r->pubkey, v->pubkey, 48);
  aq_registration_signing_root(root, r, d->fork_version);
  aq_bls_sign(r->signature, m->secret[idx], root);
  v->has_registration = true;
  return AQ_OK;
}

static aq_status make_validators(const maker *m) {
  const aq_definition *d = &m->l->def;
  m->l->validator_cnt = d->validator_cnt;
  m->l->validators = aq_arena_array(&m->l->arena, d->validator_cnt, sizeof *m->l->validators);
  if (!m->l->validators) return no_memory(m);
  for (uint32_t i = 0; i < d->validator_cnt; i++) {
    aq_dist_validator *v = &m->l->validators[i];
    v->share_cnt = d->operator_cnt;
    v->share = aq_arena_array(&m->l->arena, d->operator_cnt, sizeof *v->share);
    if (!v->share) return no_memory(m);
    aq_bls_secret_to_pubkey(v->pubkey, m->secret[i]);
    aq_status st = split(m, i);
    if (st == AQ_OK) st = make_deposits(m, v, i);
    if (st == AQ_OK) st = make_registration(m, v, i);
    if (st != AQ_OK) return st;
  }
  return AQ_OK;
}

/* Every share signs the lock hash; every node signs it too. */
static aq_status sign_lock(const maker *m) {
  aq_lock *l = m->l;
  size_t cnt = (size_t)l->validator_cnt * l->def.operator_cnt;
  aq_status st = aq_lock_root(l->lock_hash, l, m->err);
  if (st != AQ_OK) return st;
  aq_sig *sig = calloc(cnt, sizeof *sig);
  l->node_signatures = aq_arena_array(&l->arena, l->def.operator_cnt, sizeof *l->node_signatures);
  if (!sig || !l->node_signatures) {
    free(sig);
    return no_memory(m);
  }
  for (size_t i = 0; i < cnt; i++) aq_bls_sign(sig[i].b, m->c->share[i], l->lock_hash);
  st = aq_bls_aggregate(l->signature_aggregate, sig, cnt);
  free(sig);
  l->has_aggregate = true;
  l->node_signature_cnt = l->def.operator_cnt;
  for (uint32_t i = 0; st == AQ_OK && i < l->def.operator_cnt; i++) {
    uint8_t k1[AQ_K1_SIG_LEN];
    aq_k1_sign(k1, m->c->node_key[i], l->lock_hash);
    l->node_signatures[i] = keep(m, k1, sizeof k1);
    if (!l->node_signatures[i].ptr) st = no_memory(m);
  }
  return st;
}

/* What others will read is read here first. */
static aq_status check_lock(const maker *m) {
  aq_lock *again = NULL;
  aq_buf json = AQ_BUF(AQ_LOCK_BYTES_MAX);
  const aq_lock_opts opts = {.network = m->cfg->network};
  aq_status st = aq_lock_write(&json, m->l);
  if (st == AQ_OK)
    st = aq_lock_load(&again, aq_buf_bytes(&json), &opts, m->err);
  else
    st = aq_fail(m->err, st, "the lock would be over %d bytes", AQ_LOCK_BYTES_MAX);
  aq_lock_free(again);
  aq_buf_free(&json);
  return st;
}

aq_status aq_cluster_make(aq_cluster **out, const aq_cluster_cfg *cfg, aq_err *err) {
  const aq_definition *d = cfg->def;
  AQ_ASSERT(d->operator_cnt >= 1 && d->operator_cnt <= AQ_OPERATORS_MAX);
  AQ_ASSERT(d->threshold >= 1 && d->threshold <= d->operator_cnt);
  AQ_ASSERT(d->validator_cnt >= 1 && d->validator_cnt <= AQ_VALIDATORS_MAX);
  aq_cluster *c = calloc(1, sizeof *c);
  maker m = {.c = c, .cfg = cfg, .err = err};
  if (c) m.l = c->lock = calloc(1, sizeof *c->lock);
  if (!m.l) {
    free(c);
    return no_memory(&m);
  }
  c->network = cfg->network;
  aq_arena_init(&m.l->arena, ARENA_MAX);
  aq_status st = make_definition(&m);
  if (st == AQ_OK) st = make_secrets(&m);
  if (st == AQ_OK) st = make_validators(&m);
  aq_guarded_readonly(c->share);
  if (st == AQ_OK) st = sign_lock(&m);
  if (st == AQ_OK) st = check_lock(&m);
  aq_guarded_free(m.secret);
  if (st != AQ_OK)
    aq_cluster_free(c);
  else
    *out = c;
  return st;
}

/* ---- writing ---- */

static aq_status node_path(char out[PATH_LEN_MAX], const char *dir, uint32_t node, const char *name, aq_err *err) {
  int len = snprintf(out, PATH_LEN_MAX, "%s/node%u%s%s", dir, node, *name ? "/" : "", name);
  return len > 0 && len < PATH_LEN_MAX ? AQ_OK : aq_fail(err, AQ_E_LIMIT, "%.100s...: the path is too long", dir);
}

/* An empty directory for the key shares is free: a volume that is mounted there. */
static bool is_taken(const char *path) {
  DIR *d = opendir(path);
  if (!d) return access(path, F_OK) == 0;
  int cnt = 0;
  while (readdir(d)) cnt++;
  closedir(d);
  return cnt > 2; /* "." and ".." */
}

static aq_status check_free(const aq_cluster *c, const char *dir, aq_err *err) {
  static const char *const name[] = {AQ_LOCK_FILE, AQ_KEY_FILE, AQ_KEYS_DIR};
  char path[PATH_LEN_MAX];
  for (uint32_t n = 0; n < c->lock->def.operator_cnt; n++) {
    for (size_t i = 0; i < AQ_COUNT(name); i++) {
      aq_status st = node_path(path, dir, n, name[i], err);
      if (st != AQ_OK) return st;
      if (is_taken(path)) return aq_fail(err, AQ_E_EXISTS, "%s: is there already; choose another --cluster-dir", path);
    }
  }
  return AQ_OK;
}

/* The file of one amount, which is the same position in the list of every validator. */
static aq_status write_deposits(const aq_cluster *c, const char *dir, uint32_t position, aq_err *err) {
  const aq_lock *l = c->lock;
  char name[AQ_DEPOSIT_FILE_NAME_MAX], path[PATH_LEN_MAX];
  aq_deposit *list = calloc(l->validator_cnt, sizeof *list);
  if (!list) return aq_fail(err, AQ_E_LIMIT, "out of memory");
  for (uint32_t v = 0; v < l->validator_cnt; v++) list[v] = l->validators[v].deposits[position];
  aq_buf json = AQ_BUF(AQ_LOCK_BYTES_MAX);
  aq_status st = aq_deposit_file_write(&json, list, l->validator_cnt, l->def.fork_version, c->network->name);
  if (st != AQ_OK) st = aq_fail(err, st, "the deposit data does not verify");
  aq_deposit_file_name(name, list[0].amount);
  for (uint32_t n = 0; st == AQ_OK && n < l->def.operator_cnt; n++) {
    st = node_path(path, dir, n, name, err);
    if (st == AQ_OK) st = aq_file_write(path, aq_buf_bytes(&json), 0444, err);
  }
  aq_buf_free(&json);
  free(list);
  return st;
}

static aq_status write_node(const aq_cluster *c, const char *dir, uint32_t n, bool insecure, aq_err *err) {
  char path[PATH_LEN_MAX];
  uint32_t cnt = c->lock->validator_cnt;
  aq_status st = node_path(path, dir, n, "", err);
  if (st == AQ_OK) st = aq_dir_create(path, 0755, err);
  if (st == AQ_OK) st = node_path(path, dir, n, AQ_KEY_FILE, err);
  if (st == AQ_OK) st = aq_identity_store(path, c->node_key[n], err);
  if (st == AQ_OK) st = node_path(path, dir, n, AQ_KEYS_DIR, err);
  if (st == AQ_OK) st = aq_keys_store(path, (const uint8_t(*)[32])(c->share + (size_t)n * cnt), cnt, insecure, err);
  return st;
}

static aq_status write_locks(const aq_cluster *c, const char *dir, aq_err *err) {
  char path[PATH_LEN_MAX];
  aq_buf json = AQ_BUF(AQ_LOCK_BYTES_MAX);
  aq_status st = aq_lock_write(&json, c->lock);
  for (uint32_t n = 0; st == AQ_OK && n < c->lock->def.operator_cnt; n++) {
    st = node_path(path, dir, n, AQ_LOCK_FILE, err);
    if (st == AQ_OK) st = aq_file_write(path, aq_buf_bytes(&json), 0400, err);
  }
  aq_buf_free(&json);
  return st;
}

aq_status aq_cluster_write(const aq_cluster *c, const char *dir, bool insecure_keys, aq_err *err) {
  aq_status st = check_free(c, dir, err);
  for (uint32_t n = 0; st == AQ_OK && n < c->lock->def.operator_cnt; n++)
    st = write_node(c, dir, n, insecure_keys, err);
  for (uint32_t i = 0; st == AQ_OK && i < c->lock->validators[0].deposit_cnt; i++) st = write_deposits(c, dir, i, err);
  return st == AQ_OK ? write_locks(c, dir, err) : st;
}
