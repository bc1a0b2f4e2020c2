/* Combined signatures. */
#include "ledger/aggsigdb.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/map.h"

enum {
  ENTRIES_MAX = 1 << 20,
  ENTRY_BYTES_MAX = 32 << 20, /* a signed block with its blobs */
  EXEMPT_MAX = 1024           /* exits and registrations have no deadline: the oldest go */
};

typedef struct {
  aq_list link;
  uint8_t key[AQ_SIGN_KEY_LEN];
  aq_arena arena;
  aq_signed_data data;
} entry;

/* The entries of one duty. */
typedef struct {
  aq_list link, entries;
  aq_timer timer;
  aq_duty duty;
  aq_aggsigdb *db;
} record;

struct aq_aggsigdb {
  const aq_env *env;
  const aq_chain *chain;
  aq_list records, waiters, exempt;
  uint32_t exempt_cnt;
  aq_map entries;
};

aq_aggsigdb *aq_aggsigdb_new(const aq_env *env, const aq_chain *chain) {
  aq_aggsigdb *db = calloc(1, sizeof *db);
  AQ_ASSERT(db);
  uint8_t seed[16];
  aq_random(env, seed, sizeof seed);
  db->env = env;
  db->chain = chain;
  aq_list_init(&db->records);
  aq_list_init(&db->waiters);
  aq_list_init(&db->exempt);
  aq_map_init(&db->entries, AQ_SIGN_KEY_LEN, ENTRIES_MAX, seed);
  return db;
}

static void entry_free(aq_aggsigdb *db, entry *e) {
  aq_map_del(&db->entries, e->key);
  aq_list_remove(&e->link);
  aq_arena_free(&e->arena);
  free(e);
}

static void record_free(record *r) {
  AQ_LIST_EACH(&r->entries, e, entry, link) entry_free(r->db, e);
  aq_timer_cancel(r->db->env, &r->timer);
  aq_list_remove(&r->link);
  free(r);
}

static void record_over(void *arg) { record_free(arg); }

/* Where an entry of the duty is kept; NULL: no memory. */
static aq_list *place(aq_aggsigdb *db, aq_duty duty, uint64_t deadline_ns) {
  if (deadline_ns == AQ_NEVER) {
    if (db->exempt_cnt == EXEMPT_MAX) {
      entry_free(db, AQ_CONTAINER(db->exempt.next, entry, link));
      db->exempt_cnt--;
    }
    db->exempt_cnt++;
    return &db->exempt;
  }
  AQ_LIST_EACH(&db->records, it, record, link) {
    if (aq_duty_eq(it->duty, duty)) return &it->entries;
  }
  record *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->duty = duty;
  r->db = db;
  aq_list_init(&r->entries);
  aq_list_push(&db->records, &r->link);
  aq_timer_set(db->env, &r->timer, deadline_ns, record_over, r);
  return &r->entries;
}

static bool copy(entry *e, const aq_signed_data *data) {
  aq_arena_init(&e->arena, ENTRY_BYTES_MAX);
  e->data = *data;
  if (data->value.len > 0) e->data.value = aq_arena_copy(&e->arena, data->value);
  if (data->json.len > 0) e->data.json = aq_arena_copy(&e->arena, data->json);
  return (data->value.len == 0 || e->data.value.ptr) && (data->json.len == 0 || e->data.json.ptr);
}

static bool equal(const aq_signed_data *a, const aq_signed_data *b) {
  return memcmp(a->sig, b->sig, 96) == 0 && a->fork == b->fork && a->blinded == b->blinded && a->epoch == b->epoch &&
         a->slot == b->slot && a->subcommittee == b->subcommittee && aq_bytes_eq(a->value, b->value);
}

static void answer(aq_aggsigdb_waiter *w, aq_status st, const aq_signed_data *data) {
  if (w->db) {
    aq_timer_cancel(w->db->env, &w->timer);
    aq_list_remove(&w->link);
  }
  w->db = NULL;
  w->fn(w->arg, st, data);
}

/* A waiter's call may cancel another or store: start again after each. */
static void wake(aq_aggsigdb *db, const entry *e) {
  for (bool again = true; again;) {
    again = false;
    AQ_LIST_EACH(&db->waiters, w, aq_aggsigdb_waiter, link) {
      uint8_t key[AQ_SIGN_KEY_LEN];
      aq_sign_key_bytes(key, &w->key);
      if (memcmp(key, e->key, AQ_SIGN_KEY_LEN) != 0) continue;
      answer(w, AQ_OK, &e->data);
      again = true;
      break;
    }
  }
}

aq_status aq_aggsigdb_store(aq_aggsigdb *db, const aq_sign_key *key, const aq_signed_data *data) {
  uint8_t k[AQ_SIGN_KEY_LEN];
  uint64_t deadline = aq_duty_deadline_ns(db->chain, key->duty);
  if (deadline <= aq_now_ns(db->env)) return AQ_E_STALE;
  aq_sign_key_bytes(k, key);
  entry *old = aq_map_get(&db->entries, k);
  if (old) return equal(&old->data, data) ? AQ_OK : AQ_E_EXISTS;
  entry *e = calloc(1, sizeof *e);
  if (!e) return AQ_E_LIMIT;
  aq_list_init(&e->link);
  memcpy(e->key, k, AQ_SIGN_KEY_LEN);
  aq_list *list = copy(e, data) ? place(db, key->duty, deadline) : NULL;
  if (!list || aq_map_put(&db->entries, k, e) != AQ_OK) {
    aq_arena_free(&e->arena);
    free(e);
    return AQ_E_LIMIT;
  }
  aq_list_push(list, &e->link);
  wake(db, e);
  return AQ_OK;
}

static void waiter_late(void *arg) { answer(arg, AQ_E_TIMEOUT, NULL); }

void aq_aggsigdb_await(aq_aggsigdb *db, aq_aggsigdb_waiter *w, uint64_t until_ns) {
  uint8_t key[AQ_SIGN_KEY_LEN];
  aq_sign_key_bytes(key, &w->key);
  const entry *e = aq_map_get(&db->entries, key);
  w->db = NULL;
  if (e) {
    answer(w, AQ_OK, &e->data);
    return;
  }
  w->db = db;
  memset(&w->timer, 0, sizeof w->timer);
  aq_list_push(&db->waiters, &w->link);
  aq_timer_until(db->env, &w->timer, until_ns, waiter_late, w);
}

void aq_aggsigdb_cancel(aq_aggsigdb_waiter *w) {
  if (!w->db) return;
  aq_timer_cancel(w->db->env, &w->timer);
  aq_list_remove(&w->link);
  w->db = NULL;
}

void aq_aggsigdb_free(aq_aggsigdb *db) {
  if (!db) return;
  while (!aq_list_empty(&db->waiters))
    answer(AQ_CONTAINER(db->waiters.next, aq_aggsigdb_waiter, link), AQ_E_CLOSED, NULL);
  AQ_LIST_EACH(&db->records, r, record, link) record_free(r);
  AQ_LIST_EACH(&db->exempt, e, entry, link) entry_free(db, e);
  aq_map_free(&db->entries);
  free(db);
}
