/* ledger/dutydb.h - what the cluster agreed on, one truth per key, until the duty's deadline. Spec: core.md 8.2.
   Values are kept once, as the bytes that were decided. */
#ifndef AQ_LEDGER_DUTYDB_H
#define AQ_LEDGER_DUTYDB_H

#include "base/list.h"
#include "duty/payload.h"
#include "port/env.h"

typedef struct aq_dutydb aq_dutydb;
aq_dutydb *aq_dutydb_new(const aq_env *env, const aq_chain *chain);
void aq_dutydb_free(aq_dutydb *db); /* waiters end with AQ_E_CLOSED */

/* Copies. AQ_E_EXISTS: contradicts what is there (nothing changed); equal again is AQ_OK; AQ_E_STALE; AQ_E_FORMAT. */
AQ_NODISCARD aq_status aq_dutydb_store(aq_dutydb *db, aq_duty duty, const aq_unsigned_set *set);

/* Blocking queries: fn is called once, at once from inside when the value is there, else when it comes; AQ_E_TIMEOUT
   at until_ns. The waiter is caller memory; cancel is harmless after the call. data is valid during the call. */
typedef struct aq_dutydb_waiter {
  aq_list link;
  aq_timer timer;
  aq_duty_type kind;    /* ATTESTER, PROPOSER, AGGREGATOR, SYNC_CONTRIBUTION */
  uint64_t slot, index; /* index: committee or subcommittee */
  uint8_t root[32];     /* aggregate: data root; contribution: block root */
  void (*fn)(void *arg, aq_status st, const aq_unsigned_data *data, const uint8_t *pubkey);
  void *arg;
  aq_dutydb *db;
} aq_dutydb_waiter;
void aq_dutydb_await(aq_dutydb *db, aq_dutydb_waiter *w, uint64_t until_ns); /* fill kind .. arg first */
void aq_dutydb_cancel(aq_dutydb_waiter *w);

/* What was decided, for checks on submission: the schedule of the moment may have changed since. Valid until the next
   callback of the environment; NULL when none was. */
typedef struct {
  const aq_unsigned_data *data;
  const uint8_t *pubkey; /* group key */
} aq_dutydb_entry;
/* The validator that attests there; committee_index its own or 0. Its duty: data->attester. */
aq_dutydb_entry aq_dutydb_attester(const aq_dutydb *db, uint64_t slot, uint64_t committee_index,
                                   uint64_t validator_index);
/* The same by its place in its committee. */
aq_dutydb_entry aq_dutydb_member(const aq_dutydb *db, uint64_t slot, uint64_t committee_index, uint64_t place);
aq_dutydb_entry aq_dutydb_proposal(const aq_dutydb *db, uint64_t slot);
bool aq_dutydb_has(const aq_dutydb *db, aq_duty_type type); /* any live one of that type */
/* The decided attestation data (128 bytes) of a slot and committee, NULL ptr when none; for checks on submission. */
aq_bytes aq_dutydb_attestation(const aq_dutydb *db, uint64_t slot, uint64_t committee_index);

#endif
