/* ledger/parsigdb.h - partial signatures by (duty, validator, subcommittee) and share, until the duty's deadline. Spec:
   core.md 9.1. Holds roots and signatures, and the objects that this node would submit. Verifies nothing. Limits: one
   partial a share and key; exits and registrations, which have no deadline: the ten newest a (share, validator, type).
   */
#ifndef AQ_LEDGER_PARSIGDB_H
#define AQ_LEDGER_PARSIGDB_H

#include "duty/payload.h"
#include "port/env.h"

enum { AQ_PARSIGDB_EXEMPT_MAX = 10 };

typedef struct {
  const aq_env *env;
  const aq_chain *chain;
  uint32_t n;
} aq_parsigdb_cfg;

typedef struct aq_parsigdb aq_parsigdb;
aq_parsigdb *aq_parsigdb_new(const aq_parsigdb_cfg *cfg);
void aq_parsigdb_free(aq_parsigdb *db);

/* root: signing root. AQ_OK; AQ_E_DUP: equal one there; AQ_E_EXISTS: another one of the share is there (nothing
   changed); AQ_E_STALE; AQ_E_LIMIT. share: 1..n. */
AQ_NODISCARD aq_status aq_parsigdb_store(aq_parsigdb *db, const aq_sign_key *key, uint32_t share,
                                         const uint8_t root[32], const uint8_t sig[96]);
/* What store would answer, without storing. */
aq_status aq_parsigdb_check(const aq_parsigdb *db, const aq_sign_key *key, uint32_t share, const uint8_t root[32],
                            const uint8_t sig[96]);

/* The root that consensus fixed. AQ_E_EXISTS: another one before. */
AQ_NODISCARD aq_status aq_parsigdb_agree(aq_parsigdb *db, const aq_sign_key *key, const uint8_t root[32]);
const uint8_t *aq_parsigdb_agreed(const aq_parsigdb *db, const aq_sign_key *key); /* 32 bytes; NULL: none */

/* An object with that signing root, into which a group signature can be put: the own validator client's, or made from
   agreed data. Copied; a later one replaces it. At most n a key. */
AQ_NODISCARD aq_status aq_parsigdb_keep(aq_parsigdb *db, const aq_sign_key *key, const uint8_t root[32],
                                        const aq_signed_data *d);
const aq_signed_data *aq_parsigdb_object(const aq_parsigdb *db, const aq_sign_key *key,
                                         const uint8_t root[32]); /* NULL: none */

/* Shares of the key, and the number of different roots among them. */
uint32_t aq_parsigdb_shares(const aq_parsigdb *db, const aq_sign_key *key, uint32_t *roots);

#endif
