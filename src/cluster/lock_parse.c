/* Stage "parse": JSON of every version into aq_lock. Spec: cluster.md 2.2 to 2.4. Lenient where the reference is:
   unknown members, order, duplicates (the last counts), names of any case, missing and null members. */
#include <stdlib.h>
#include <strings.h>

#include "base/hex.h"
#include "cluster/lock_internal.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "identity/identity.h"

enum { ARENA_MAX = 256 << 20, DEPOSITS_MAX = 256, BYTES_MAX = 4096, TEXT_MAX = 4096 };
enum { V1_HEX = 2, V1_CREATOR = 4, V1_ADDRESS_LIST = 5, V1_DEPOSITS = 6, V1_REGISTRATIONS = 7, V1_AMOUNTS = 8 };
enum { V1_PROTOCOL = 9, V1_GAS_LIMIT = 10, V1_NEWEST = 11 };

typedef struct {
  aq_lock *l;
  aq_lock_late *late;
  aq_err *err;
  aq_status st; /* the first failure; getters give zero values after it */
} parser;

static void fault(parser *p, aq_status st, const char *name, const char *what) {
  if (p->st == AQ_OK) p->st = aq_fail(p->err, st, "parse: %s %s", name, what);
}

static void *take(parser *p, size_t cnt, size_t size) {
  void *mem = p->st == AQ_OK ? aq_arena_array(&p->l->arena, cnt ? cnt : 1, size) : NULL;
  if (!mem) fault(p, AQ_E_LIMIT, "the document", "is too large");
  return mem;
}

/* ---- members ---- */

/* NULL for an absent member and for null. */
static yyjson_val *member(yyjson_val *obj, const char *name) {
  yyjson_val *found = NULL, *key;
  size_t len = strlen(name);
  yyjson_obj_iter it = yyjson_obj_iter_with(obj);
  while ((key = yyjson_obj_iter_next(&it))) {
    if (yyjson_get_len(key) == len && strncasecmp(yyjson_get_str(key), name, len) == 0)
      found = yyjson_obj_iter_get_val(key);
  }
  return yyjson_is_null(found) ? NULL : found;
}

static aq_bytes str_view(parser *p, yyjson_val *v, const char *name) {
  if (!v || yyjson_is_null(v)) return (aq_bytes){NULL, 0};
  if (!yyjson_is_str(v)) fault(p, AQ_E_FORMAT, name, "is no string");
  return p->st == AQ_OK ? aq_bytes_of(yyjson_get_str(v), yyjson_get_len(v)) : (aq_bytes){NULL, 0};
}

static const char *get_str(parser *p, yyjson_val *obj, const char *name) {
  aq_bytes text = str_view(p, member(obj, name), name);
  if (text.len > TEXT_MAX) fault(p, AQ_E_LIMIT, name, "is too long");
  if (text.len && memchr(text.ptr, 0, text.len)) fault(p, AQ_E_FORMAT, name, "has a zero character");
  char *copy = p->st == AQ_OK ? aq_arena_str(&p->l->arena, text) : NULL;
  if (!copy) fault(p, AQ_E_LIMIT, name, "is too long");
  return copy ? copy : "";
}

static uint64_t get_u64(parser *p, yyjson_val *obj, const char *name, uint64_t max) {
  yyjson_val *v = member(obj, name);
  if (!v) return 0;
  if (!yyjson_is_uint(v))
    fault(p, AQ_E_FORMAT, name, "is no whole number");
  else if (yyjson_get_uint(v) > max)
    fault(p, AQ_E_LIMIT, name, "is too large");
  return p->st == AQ_OK ? yyjson_get_uint(v) : 0;
}

static bool get_bool(parser *p, yyjson_val *obj, const char *name) {
  yyjson_val *v = member(obj, name);
  if (v && !yyjson_is_bool(v)) fault(p, AQ_E_FORMAT, name, "is neither true nor false");
  return yyjson_get_bool(v);
}

/* A decimal number in a string; a bare number is an error. */
static uint64_t gwei_of(parser *p, yyjson_val *v, const char *name) {
  uint64_t out = 0;
  aq_bytes text = str_view(p, v, name);
  if (text.len && aq_u64_parse(&out, text) != AQ_OK) fault(p, AQ_E_FORMAT, name, "is no decimal number");
  return out;
}

static yyjson_val *get_obj(parser *p, yyjson_val *obj, const char *name) {
  yyjson_val *v = member(obj, name);
  if (v && !yyjson_is_obj(v)) fault(p, AQ_E_FORMAT, name, "is no object");
  return p->st == AQ_OK ? v : NULL;
}

/* NULL and 0 when absent. */
static yyjson_val *get_arr(parser *p, yyjson_val *obj, const char *name, size_t max, uint32_t *cnt) {
  yyjson_val *v = member(obj, name);
  *cnt = 0;
  if (!v) return NULL;
  if (!yyjson_is_arr(v))
    fault(p, AQ_E_FORMAT, name, "is no list");
  else if (yyjson_arr_size(v) > max)
    fault(p, AQ_E_LIMIT, name, "has too many entries");
  if (p->st != AQ_OK) return NULL;
  *cnt = (uint32_t)yyjson_arr_size(v);
  return v;
}

static bool is_item(parser *p, yyjson_val *v, const char *name) {
  if (!yyjson_is_obj(v)) fault(p, AQ_E_FORMAT, name, "has an entry that is no object");
  return p->st == AQ_OK;
}

/* The bytes of a text: hex, or base64 in v1.0 and v1.1 when `old_base64`. Any length. */
static aq_bytes bytes_of(parser *p, yyjson_val *v, const char *name, bool old_base64) {
  aq_bytes text = str_view(p, v, name);
  if (text.len > 2 * BYTES_MAX) fault(p, AQ_E_LIMIT, name, "is too long");
  if (p->st != AQ_OK || text.len == 0) return (aq_bytes){NULL, 0};
  aq_buf raw = AQ_BUF(BYTES_MAX);
  bool base64 = old_base64 && p->l->def.minor < V1_HEX;
  aq_status st = base64 ? aq_base64_decode(&raw, text, AQ_BASE64_STD) : aq_hex_decode_buf(&raw, text, AQ_HEX_EITHER);
  aq_bytes copy = {NULL, 0};
  if (st != AQ_OK)
    fault(p, st, name, base64 ? "is no base64" : "is no hex");
  else if (!(copy = aq_arena_copy(&p->l->arena, aq_buf_bytes(&raw))).ptr)
    fault(p, AQ_E_LIMIT, name, "is too long");
  aq_buf_free(&raw);
  return copy;
}

static aq_bytes get_bytes(parser *p, yyjson_val *obj, const char *name) {
  return bytes_of(p, member(obj, name), name, true);
}

static void note(const char **late, const char *reason) {
  if (!*late) *late = reason;
}

/* Into n bytes, zeros on the left when short (cluster.md 2.5 hashes it so). Too long: cannot be hashed. Short but not
   empty: no key and no signature. */
static void put_fixed(uint8_t *out, size_t n, aq_bytes b, const char **too_long, const char **too_short,
                      const char *reason) {
  memset(out, 0, n);
  if (b.len > n) {
    note(too_long, reason);
    return;
  }
  if (b.len != n) note(too_short, reason);
  if (b.len) memcpy(out + n - b.len, b.ptr, b.len);
}

static void get_hash(parser *p, uint8_t out[32], yyjson_val *obj, const char *name, const char **late) {
  aq_bytes b = get_bytes(p, obj, name);
  put_fixed(out, 32, b, late, late, "is not 32 bytes");
}

/* ---- definition ---- */

static int minor_of(const char *version) {
  static const char *const known[] = {"v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0",  "v1.5.0",
                                      "v1.6.0", "v1.7.0", "v1.8.0", "v1.9.0", "v1.10.0", "v1.11.0"};
  _Static_assert(AQ_COUNT(known) == V1_NEWEST + 1, "one name a version");
  for (size_t i = 0; i < AQ_COUNT(known); i++) {
    if (strcmp(version, known[i]) == 0) return (int)i;
  }
  return -1;
}

static void parse_operator(parser *p, aq_operator *op, yyjson_val *obj) {
  op->address = get_str(p, obj, "address");
  op->enr = get_str(p, obj, "enr");
  op->config_sig = get_bytes(p, obj, "config_signature");
  op->enr_sig = get_bytes(p, obj, "enr_signature");
  if (p->l->def.minor < V1_HEX && get_u64(p, obj, "nonce", UINT64_MAX) != 0) fault(p, AQ_E_FORMAT, "nonce", "is not 0");
  aq_enr enr;
  aq_err why = {AQ_OK, ""};
  if (p->st == AQ_OK && aq_enr_parse(&enr, aq_bytes_str(op->enr), &why) == AQ_OK)
    memcpy(op->pubkey, enr.pubkey, sizeof op->pubkey);
}

static void parse_operators(parser *p, aq_definition *d, yyjson_val *obj) {
  yyjson_val *list = get_arr(p, obj, "operators", AQ_OPERATORS_MAX, &d->operator_cnt), *it;
  d->operators = take(p, d->operator_cnt, sizeof *d->operators);
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    if (!is_item(p, it, "operators")) return;
    parse_operator(p, &d->operators[i], it);
  }
}

/* v1.5 on: a pair for each validator. Before: one pair for all. */
static void parse_addresses(parser *p, aq_definition *d, yyjson_val *obj) {
  d->addresses = take(p, d->validator_cnt, sizeof *d->addresses);
  if (d->minor < V1_ADDRESS_LIST) {
    aq_validator_address pair = {.fee_recipient = get_str(p, obj, "fee_recipient_address"),
                                 .withdrawal = get_str(p, obj, "withdrawal_address")};
    for (uint32_t k = 0; p->st == AQ_OK && k < d->validator_cnt; k++) d->addresses[k] = pair;
    return;
  }
  uint32_t cnt;
  yyjson_val *list = get_arr(p, obj, "validators", AQ_VALIDATORS_MAX, &cnt), *it;
  if (cnt != d->validator_cnt) fault(p, AQ_E_FORMAT, "num_validators", "is not the number of validators");
  if (p->st != AQ_OK) return;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    if (!is_item(p, it, "validators")) return;
    d->addresses[i] = (aq_validator_address){.fee_recipient = get_str(p, it, "fee_recipient_address"),
                                             .withdrawal = get_str(p, it, "withdrawal_address")};
  }
}

static void parse_amounts(parser *p, aq_definition *d, yyjson_val *obj) {
  yyjson_val *list = get_arr(p, obj, "deposit_amounts", AQ_DEPOSIT_AMOUNTS_MAX, &d->deposit_amount_cnt), *it;
  uint64_t *amount = take(p, d->deposit_amount_cnt, sizeof *amount);
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) amount[i] = gwei_of(p, it, "deposit_amounts");
  d->deposit_amounts = amount;
  aq_err why = {AQ_OK, ""};
  if (p->st == AQ_OK && aq_deposit_amounts_check(amount, d->deposit_amount_cnt, d->compounding, &why) != AQ_OK) {
    fault(p, AQ_E_FORMAT, "deposit_amounts:", why.text);
  }
}

static void parse_definition(parser *p, yyjson_val *obj) {
  aq_definition *d = &p->l->def;
  const char *ignored = NULL;
  d->version = get_str(p, obj, "version");
  d->minor = minor_of(d->version);
  if (d->minor < 0) {
    d->minor = V1_NEWEST;
    fault(p, AQ_E_UNSUPPORTED, "version", "is none of v1.0.0 to v1.11.0");
  }
  d->name = get_str(p, obj, "name");
  d->uuid = get_str(p, obj, "uuid");
  d->timestamp = get_str(p, obj, "timestamp"); /* v1.0 may have one, in its config hash only */
  d->dkg_algorithm = get_str(p, obj, "dkg_algorithm");
  d->validator_cnt = (uint32_t)get_u64(p, obj, "num_validators", AQ_VALIDATORS_MAX);
  d->threshold = (uint32_t)get_u64(p, obj, "threshold", UINT32_MAX);
  const char *fork_long = NULL;
  put_fixed(d->fork_version, 4, bytes_of(p, member(obj, "fork_version"), "fork_version", false), &fork_long, &ignored,
            "");
  if (fork_long) note(&p->late->config_hash, "fork_version is over 4 bytes");
  yyjson_val *creator = d->minor >= V1_CREATOR ? get_obj(p, obj, "creator") : NULL;
  d->creator_address = get_str(p, creator, "address");
  d->creator_config_sig = get_bytes(p, creator, "config_signature");
  d->consensus_protocol = d->minor >= V1_PROTOCOL ? get_str(p, obj, "consensus_protocol") : "";
  d->target_gas_limit = d->minor >= V1_GAS_LIMIT ? get_u64(p, obj, "target_gas_limit", UINT64_MAX) : 0;
  d->compounding = d->minor >= V1_GAS_LIMIT && get_bool(p, obj, "compounding");
  get_hash(p, d->config_hash, obj, "config_hash", &p->late->config_hash);
  get_hash(p, d->definition_hash, obj, "definition_hash", &p->late->definition_hash);
  parse_operators(p, d, obj);
  parse_addresses(p, d, obj);
  if (d->minor >= V1_AMOUNTS) parse_amounts(p, d, obj);
}

/* ---- validators ---- */

static void parse_shares(parser *p, aq_dist_validator *v, yyjson_val *obj) {
  yyjson_val *list = get_arr(p, obj, "public_shares", AQ_OPERATORS_MAX, &v->share_cnt), *it;
  v->share = take(p, v->share_cnt, sizeof *v->share);
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    aq_bytes b = bytes_of(p, it, "public_shares", true);
    if (p->st != AQ_OK) return;
    put_fixed(v->share[i], 48, b, &p->late->lock_hash, &p->late->share, "a public share is not 48 bytes");
  }
}

/* Deposit data is not verified (cluster.md 2.11), only hashed: short members are no fault. */
static void parse_deposit(parser *p, aq_deposit *d, yyjson_val *obj) {
  const char *ignored = NULL, **late = &p->late->lock_hash;
  put_fixed(d->pubkey, 48, get_bytes(p, obj, "pubkey"), late, &ignored, "deposit pubkey is over 48 bytes");
  put_fixed(d->withdrawal_credentials, 32, get_bytes(p, obj, "withdrawal_credentials"), late, &ignored,
            "withdrawal_credentials is over 32 bytes");
  put_fixed(d->signature, 96, get_bytes(p, obj, "signature"), late, &ignored, "deposit signature is over 96 bytes");
  d->amount = gwei_of(p, member(obj, "amount"), "amount");
}

static void parse_deposits(parser *p, aq_dist_validator *v, yyjson_val *obj) {
  if (p->l->def.minor < V1_AMOUNTS) {
    yyjson_val *one = get_obj(p, obj, "deposit_data");
    v->deposits = take(p, 1, sizeof *v->deposits);
    if (!one || p->st != AQ_OK) return;
    v->deposit_cnt = 1;
    parse_deposit(p, &v->deposits[0], one);
    return;
  }
  yyjson_val *list = get_arr(p, obj, "partial_deposit_data", DEPOSITS_MAX, &v->deposit_cnt), *it;
  v->deposits = take(p, v->deposit_cnt, sizeof *v->deposits);
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    if (!is_item(p, it, "partial_deposit_data")) return;
    parse_deposit(p, &v->deposits[i], it);
  }
}

static void parse_registration(parser *p, aq_dist_validator *v, yyjson_val *obj) {
  yyjson_val *outer = get_obj(p, obj, "builder_registration"), *msg = get_obj(p, outer, "message");
  aq_registration *r = &v->registration;
  aq_bytes recipient = get_bytes(p, msg, "fee_recipient"), pubkey = get_bytes(p, msg, "pubkey");
  aq_bytes sig = get_bytes(p, outer, "signature");
  r->gas_limit = get_u64(p, msg, "gas_limit", UINT64_MAX);
  r->timestamp = get_u64(p, msg, "timestamp", UINT64_MAX);
  const char *empty = NULL; /* absent altogether is another fault */
  v->has_registration = recipient.len && pubkey.len && sig.len;
  const char **late = &p->late->lock_hash, **sig_late = v->has_registration ? &p->late->registration : &empty;
  put_fixed(r->fee_recipient, 20, recipient, late, sig_late, "a registration's fee_recipient is not 20 bytes");
  put_fixed(r->pubkey, 48, pubkey, late, sig_late, "a registration's pubkey is not 48 bytes");
  put_fixed(r->signature, 96, sig, late, sig_late, "a registration's signature is not 96 bytes");
}

static void parse_validator(parser *p, aq_dist_validator *v, yyjson_val *obj) {
  int minor = p->l->def.minor;
  aq_bytes pubkey = bytes_of(p, member(obj, "distributed_public_key"), "distributed_public_key", false);
  put_fixed(v->pubkey, 48, pubkey, &p->late->lock_hash, &p->late->share, "distributed_public_key is not 48 bytes");
  parse_shares(p, v, obj);
  if (minor >= V1_DEPOSITS) parse_deposits(p, v, obj);
  if (minor >= V1_REGISTRATIONS) parse_registration(p, v, obj);
  if (minor < V1_DEPOSITS && *get_str(p, obj, "fee_recipient_address")) {
    fault(p, AQ_E_UNSUPPORTED, "fee_recipient_address", "of a distributed validator is no longer supported");
  }
}

static void parse_node_signatures(parser *p, yyjson_val *obj) {
  aq_lock *l = p->l;
  yyjson_val *list = get_arr(p, obj, "node_signatures", AQ_OPERATORS_MAX, &l->node_signature_cnt), *it;
  l->node_signatures = take(p, l->node_signature_cnt, sizeof *l->node_signatures);
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    aq_bytes b = bytes_of(p, it, "node_signatures", true);
    if (p->st != AQ_OK) return;
    if (b.len != AQ_K1_SIG_LEN) note(&p->late->node, "a node signature is not 65 bytes");
    l->node_signatures[i] = b;
  }
}

static void parse_lock(parser *p, yyjson_val *obj) {
  aq_lock *l = p->l;
  parse_definition(p, get_obj(p, obj, "cluster_definition"));
  yyjson_val *list = get_arr(p, obj, "distributed_validators", AQ_VALIDATORS_MAX, &l->validator_cnt), *it;
  l->validators = take(p, l->validator_cnt, sizeof *l->validators);
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    if (!is_item(p, it, "distributed_validators")) return;
    parse_validator(p, &l->validators[i], it);
  }
  aq_bytes aggregate = get_bytes(p, obj, "signature_aggregate");
  l->has_aggregate = aggregate.len > 0;
  put_fixed(l->signature_aggregate, 96, aggregate, &p->late->aggregate, &p->late->aggregate,
            "signature_aggregate is not 96 bytes");
  get_hash(p, l->lock_hash, obj, "lock_hash", &p->late->lock_hash);
  aq_bytes text = str_view(p, member(obj, "lock_hash"), "lock_hash");
  size_t len = text.len < sizeof l->lock_hash_text ? text.len : sizeof l->lock_hash_text - 1;
  if (len) memcpy(l->lock_hash_text, text.ptr, len);
  if (l->def.minor >= V1_REGISTRATIONS) parse_node_signatures(p, obj);
}

aq_status aq_lock_parse(aq_lock **out, aq_lock_late *late, aq_bytes json, bool definition_only, aq_err *err) {
  aq_err why = {AQ_OK, ""};
  *late = (aq_lock_late){0};
  yyjson_doc *doc = aq_json_parse(json, AQ_LOCK_BYTES_MAX, &why);
  if (!doc) return aq_fail(err, why.status, "parse: %s", why.text);
  aq_lock *l = calloc(1, sizeof *l);
  if (!l) {
    yyjson_doc_free(doc);
    return aq_fail(err, AQ_E_LIMIT, "parse: out of memory");
  }
  aq_arena_init(&l->arena, ARENA_MAX);
  parser p = {l, late, err, AQ_OK};
  yyjson_val *root = yyjson_doc_get_root(doc);
  if (!yyjson_is_obj(root))
    fault(&p, AQ_E_FORMAT, "the document", "is no JSON object");
  else if (definition_only)
    parse_definition(&p, root);
  else
    parse_lock(&p, root);
  yyjson_doc_free(doc);
  if (p.st != AQ_OK)
    aq_lock_free(l);
  else
    *out = l;
  return p.st;
}
