/* ledger/aggsigdb.h - combined signatures until their deadline. Spec: core.md 9.4. */
#ifndef AQ_LEDGER_AGGSIGDB_H
#define AQ_LEDGER_AGGSIGDB_H

#include "base/list.h"
#include "duty/payload.h"
#include "port/env.h"

typedef struct aq_aggsigdb aq_aggsigdb;
aq_aggsigdb *aq_aggsigdb_new(const aq_env *env, const aq_chain *chain);
void aq_aggsigdb_free(aq_aggsigdb *db);

/* First wins: equal again AQ_OK, different AQ_E_EXISTS. Copied. */
AQ_NODISCARD aq_status aq_aggsigdb_store(aq_aggsigdb *db, const aq_sign_key *key, const aq_signed_data *data);

typedef struct aq_aggsigdb_waiter {
  aq_list link;
  aq_timer timer;
  aq_sign_key key;
  void (*fn)(void *arg, aq_status st, const aq_signed_data *data); /* once; at once from inside when present */
  void *arg;
  aq_aggsigdb *db;
} aq_aggsigdb_waiter;
void aq_aggsigdb_await(aq_aggsigdb *db, aq_aggsigdb_waiter *w, uint64_t until_ns);
void aq_aggsigdb_cancel(aq_aggsigdb_waiter *w);

#endif
