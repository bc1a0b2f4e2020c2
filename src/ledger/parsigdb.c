/* Partial signatures, and the roots that were agreed. */
#include "ledger/parsigdb.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/line_limit.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"

enum {
  SHARES_MAX = 32, /* bits of an entry */
  ENTRIES_MAX = 1 << 18,
  OBJECT_BYTES_MAX = 32 << 20 /* a signed block with its blobs */
};

typedef struct {
  uint8_t root[32], sig[96];
} partial;

typedef struct object {
  struct object *next;
  uint8_t root[32];
  aq_signed_data data;
  aq_arena arena;
} object;

typedef struct {
  aq_list link; /* of its record, or of the exempt ones by age */
  aq_sign_key key;
  uint32_t bits; /* shares present */
  bool has_agreed;
  uint8_t agreed[32];
  object *objects;
  uint32_t object_cnt;
  partial part[];
} entry;

typedef struct {
  aq_list link, entries;
  aq_timer timer;
  aq_duty duty;
  aq_parsigdb *db;
} record;

struct aq_parsigdb {
  aq_parsigdb_cfg cfg;
  aq_list records, exempt;
  aq_map entries;
  aq_line_limit evicted_line[SHARES_MAX], conflict_line[SHARES_MAX];
};

aq_parsigdb *aq_parsigdb_new(const aq_parsigdb_cfg *cfg) {
  aq_parsigdb *db = calloc(1, sizeof *db);
  AQ_ASSERT(db);
  uint8_t seed[16];
  aq_random(cfg->env, seed, sizeof seed);
  db->cfg = *cfg;
  aq_list_init(&db->records);
  aq_list_init(&db->exempt);
  aq_map_init(&db->entries, AQ_SIGN_KEY_LEN, ENTRIES_MAX, seed);
  return db;
}

static entry *find(const aq_parsigdb *db, const aq_sign_key *key) {
  uint8_t k[AQ_SIGN_KEY_LEN];
  aq_sign_key_bytes(k, key);
  return aq_map_get(&db->entries, k);
}

static void entry_free(aq_parsigdb *db, entry *e) {
  uint8_t k[AQ_SIGN_KEY_LEN];
  aq_sign_key_bytes(k, &e->key);
  aq_map_del(&db->entries, k);
  aq_list_remove(&e->link);
  while (e->objects) {
    object *o = e->objects;
    e->objects = o->next;
    aq_arena_free(&o->arena);
    free(o);
  }
  free(e);
}

static void record_free(record *r) {
  AQ_LIST_EACH(&r->entries, e, entry, link) entry_free(r->db, e);
  aq_timer_cancel(r->db->cfg.env, &r->timer);
  aq_list_remove(&r->link);
  free(r);
}

static void record_over(void *arg) { record_free(arg); }

static aq_list *place(aq_parsigdb *db, aq_duty duty, uint64_t deadline_ns) {
  if (deadline_ns == AQ_NEVER) return &db->exempt;
  AQ_LIST_EACH(&db->records, it, record, link) {
    if (aq_duty_eq(it->duty, duty)) return &it->entries;
  }
  record *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->duty = duty;
  r->db = db;
  aq_list_init(&r->entries);
  aq_list_push(&db->records, &r->link);
  aq_timer_set(db->cfg.env, &r->timer, deadline_ns, record_over, r);
  return &r->entries;
}

static entry *entry_new(aq_parsigdb *db, const aq_sign_key *key, uint64_t deadline_ns) {
  uint8_t k[AQ_SIGN_KEY_LEN];
  aq_sign_key_bytes(k, key);
  aq_list *list = place(db, key->duty, deadline_ns);
  entry *e = list ? calloc(1, sizeof *e + db->cfg.n * sizeof(partial)) : NULL;
  if (!e) return NULL;
  e->key = *key;
  aq_list_init(&e->link);
  if (aq_map_put(&db->entries, k, e) != AQ_OK) {
    free(e);
    return NULL;
  }
  aq_list_push(list, &e->link);
  return e;
}

static void complain(const aq_parsigdb *db, aq_line_limit *line, const aq_sign_key *key, uint32_t share,
                     const char *what) {
  if (!aq_line_due(line, aq_mono_ns(db->cfg.env))) return;
  AQ_LOG(AQ_LOG_WARN, "parsigdb", AQ_STR("duty", aq_duty_name(key->duty.type)), AQ_UINT("more", line->more),
         AQ_STR("result", what), AQ_UINT("share", share), AQ_UINT("slot", key->duty.slot),
         AQ_UINT("validator", key->validator));
}

/* A share's eleventh exit of a validator pushes out its oldest. */
static void trim_exempt(aq_parsigdb *db, const aq_sign_key *key, uint32_t share) {
  uint32_t bit = UINT32_C(1) << (share - 1), cnt = 0;
  entry *oldest = NULL;
  AQ_LIST_EACH(&db->exempt, e, entry, link) {
    if (e->key.validator != key->validator || e->key.duty.type != key->duty.type || !(e->bits & bit)) continue;
    if (!oldest) oldest = e;
    cnt++;
  }
  if (cnt < AQ_PARSIGDB_EXEMPT_MAX) return;
  complain(db, &db->evicted_line[share - 1], &oldest->key, share, "evicted");
  oldest->bits &= ~bit;
  if (oldest->bits == 0) entry_free(db, oldest);
}

static aq_status compare(const entry *e, uint32_t share, const uint8_t root[32], const uint8_t sig[96]) {
  if (!e || !(e->bits & (UINT32_C(1) << (share - 1)))) return AQ_OK;
  const partial *p = &e->part[share - 1];
  return memcmp(p->root, root, 32) == 0 && memcmp(p->sig, sig, 96) == 0 ? AQ_E_DUP : AQ_E_EXISTS;
}

aq_status aq_parsigdb_check(const aq_parsigdb *db, const aq_sign_key *key, uint32_t share, const uint8_t root[32],
                            const uint8_t sig[96]) {
  if (aq_duty_deadline_ns(db->cfg.chain, key->duty) <= aq_now_ns(db->cfg.env)) return AQ_E_STALE;
  return compare(find(db, key), share, root, sig);
}

static uint32_t same_root(const aq_parsigdb *db, const entry *e, const uint8_t root[32]) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < db->cfg.n; i++) {
    if ((e->bits >> i & 1) && memcmp(e->part[i].root, root, 32) == 0) bits |= UINT32_C(1) << i;
  }
  return bits;
}

aq_status aq_parsigdb_store(aq_parsigdb *db, const aq_sign_key *key, uint32_t share, const uint8_t root[32],
                            const uint8_t sig[96]) {
  AQ_ASSERT(share >= 1 && share <= db->cfg.n);
  uint64_t deadline = aq_duty_deadline_ns(db->cfg.chain, key->duty);
  if (deadline <= aq_now_ns(db->cfg.env)) return AQ_E_STALE;
  entry *e = find(db, key);
  aq_status st = compare(e, share, root, sig);
  if (st) {
    if (st == AQ_E_EXISTS) complain(db, &db->conflict_line[share - 1], key, share, "conflict");
    return st;
  }
  if (deadline == AQ_NEVER) {
    trim_exempt(db, key, share);
    e = find(db, key);
  }
  if (!e) e = entry_new(db, key, deadline);
  if (!e) return AQ_E_LIMIT;
  partial *p = &e->part[share - 1];
  memcpy(p->root, root, 32);
  memcpy(p->sig, sig, 96);
  e->bits |= UINT32_C(1) << (share - 1);
  return AQ_OK;
}

/* The key's entry, made when missing. */
static aq_status entry_of(aq_parsigdb *db, const aq_sign_key *key, entry **out) {
  uint64_t deadline = aq_duty_deadline_ns(db->cfg.chain, key->duty);
  if (deadline <= aq_now_ns(db->cfg.env)) return AQ_E_STALE;
  *out = find(db, key);
  if (!*out) *out = entry_new(db, key, deadline);
  return *out ? AQ_OK : AQ_E_LIMIT;
}

aq_status aq_parsigdb_agree(aq_parsigdb *db, const aq_sign_key *key, const uint8_t root[32]) {
  entry *e;
  aq_status st = entry_of(db, key, &e);
  if (st) return st;
  if (e->has_agreed) return memcmp(e->agreed, root, 32) == 0 ? AQ_OK : AQ_E_EXISTS;
  memcpy(e->agreed, root, 32);
  e->has_agreed = true;
  return AQ_OK;
}

const uint8_t *aq_parsigdb_agreed(const aq_parsigdb *db, const aq_sign_key *key) {
  const entry *e = find(db, key);
  return e && e->has_agreed ? e->agreed : NULL;
}

static object *object_of(const entry *e, const uint8_t root[32]) {
  for (object *o = e->objects; o; o = o->next) {
    if (memcmp(o->root, root, 32) == 0) return o;
  }
  return NULL;
}

aq_status aq_parsigdb_keep(aq_parsigdb *db, const aq_sign_key *key, const uint8_t root[32], const aq_signed_data *d) {
  entry *e;
  aq_status st = entry_of(db, key, &e);
  if (st) return st;
  object *o = object_of(e, root);
  if (!o) {
    o = e->object_cnt < db->cfg.n ? calloc(1, sizeof *o) : NULL;
    if (!o) return AQ_E_LIMIT;
    memcpy(o->root, root, 32);
    o->next = e->objects;
    e->objects = o;
    e->object_cnt++;
  }
  aq_arena fresh;
  aq_signed_data copy = *d;
  aq_arena_init(&fresh, OBJECT_BYTES_MAX);
  if (d->value.len > 0) copy.value = aq_arena_copy(&fresh, d->value);
  if (d->json.len > 0) copy.json = aq_arena_copy(&fresh, d->json);
  if ((d->value.len > 0 && !copy.value.ptr) || (d->json.len > 0 && !copy.json.ptr)) {
    aq_arena_free(&fresh);
    return AQ_E_LIMIT;
  }
  aq_arena_free(&o->arena);
  o->arena = fresh;
  o->data = copy;
  return AQ_OK;
}

const aq_signed_data *aq_parsigdb_object(const aq_parsigdb *db, const aq_sign_key *key, const uint8_t root[32]) {
  const entry *e = find(db, key);
  const object *o = e ? object_of(e, root) : NULL;
  return o && o->data.duty == key->duty.type ? &o->data : NULL;
}

uint32_t aq_parsigdb_shares(const aq_parsigdb *db, const aq_sign_key *key, uint32_t *roots) {
  const entry *e = find(db, key);
  if (roots) *roots = 0;
  if (!e) return 0;
  for (uint32_t left = e->bits; left != 0 && roots; (*roots)++) {
    left &= ~same_root(db, e, e->part[__builtin_ctz(left)].root);
  }
  return e->bits;
}

void aq_parsigdb_free(aq_parsigdb *db) {
  if (!db) return;
  AQ_LIST_EACH(&db->records, r, record, link) record_free(r);
  AQ_LIST_EACH(&db->exempt, e, entry, link) entry_free(db, e);
  aq_map_free(&db->entries);
  free(db);
}
