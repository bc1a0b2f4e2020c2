/* journal/journal.h - may this be voted, decided or signed, given what is on record? The rules of port/store.h and of
   EIP-3076 (conditions 1 to 5), and what pruning leaves of old records. Pure functions over a view of rows, which the
   store that has them makes: SQLite in production, memory in tests and in the simulator. They record nothing: the store
   does, in the same transaction, what they allowed. Spec: consensus.md 7.2 rules 3 and 4, contract.md 7.2, EIP-3076. */
#ifndef AQ_JOURNAL_JOURNAL_H
#define AQ_JOURNAL_JOURNAL_H

#include "port/store.h"

/* The highest that a validator ever signed, of records that are pruned or came from a file. -1: nothing. */
typedef struct {
  int64_t source, target, block_slot;
} aq_journal_mark;
#define AQ_JOURNAL_NO_MARK ((aq_journal_mark){.source = -1, .target = -1, .block_slot = -1})

/* What a rule is told of one record. */
typedef void (*aq_journal_vote_fn)(void *arg, const aq_store_vote *v);
typedef void (*aq_journal_sign_fn)(void *arg, const aq_store_sign *r);

/* Each call answers AQ_OK, or the store's own failure, which then is the answer of the rule: nothing is allowed. */
typedef struct {
  void *ctx;
  /* All votes of the duty, in any order; msg and just of that under (msg_type, round) of `about` only. */
  aq_status (*votes)(void *ctx, const aq_store_vote *about, aq_journal_vote_fn fn, void *arg);
  /* The decision of the duty, if there is one: its hash. */
  aq_status (*decided)(void *ctx, aq_duty duty, bool *known, uint8_t hash[32]);
  /* Of the kind and pubkey of `about`: the record of its duty and sub; if it attests, all attestations; if it is a
     block, all blocks of its slot, however built. Others do no harm. Partials are not looked at. */
  aq_status (*signs)(void *ctx, const aq_store_sign *about, aq_journal_sign_fn fn, void *arg);
  aq_status (*mark)(void *ctx, aq_sign_kind kind, const uint8_t pubkey[48], aq_journal_mark *out);
} aq_journal_view;

/* AQ_OK: new, and nothing is against it. AQ_E_DUP: recorded already, the same. AQ_E_SLASH: refused. AQ_E_LIMIT: a
   number over 2^63 - 1. */
AQ_NODISCARD aq_status aq_journal_vote(const aq_journal_view *j, const aq_store_vote *v);
AQ_NODISCARD aq_status aq_journal_decided(const aq_journal_view *j, const aq_store_decided *d);
AQ_NODISCARD aq_status aq_journal_sign(const aq_journal_view *j, const aq_store_sign *r, aq_store_refusal *why);

/* Pruning. A record of a duty without a deadline stays; the mark takes over what others forbid, for ever. */
bool aq_journal_stays(aq_duty_type type);
bool aq_journal_marks(aq_duty_type type); /* one that EIP-3076 is about */
void aq_journal_raise(aq_journal_mark *m, const aq_store_sign *r);
void aq_journal_join(aq_journal_mark *m, const aq_journal_mark *other); /* the higher of each */
/* How far votes, values and decisions may go when it is asked for `before`: newest is the slot of the newest vote. */
uint64_t aq_journal_prune_to(uint64_t before_slot, bool any_vote, uint64_t newest_slot);

#endif
