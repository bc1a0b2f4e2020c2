/* schedule/scheduler.h - slots, epochs and duties: keeps the validators' status and the duties of each epoch, and calls
   `trigger` at the moment of each duty. Spec: core.md 6. Definitions are kept for the current epoch, the next and
   three back. The next epoch is resolved half-way through this one; at both moments the running epoch is asked for
   again, and whenever a head names another root than the duties in hand depend on. Proposers that were told before
   their epoch began are a guess until Fulu: nothing is triggered by them unless the beacon node fails then.
   Limits: 48 cached (kind, epoch) answers, 4096 waiting API calls.
   Validators come by POST, or by GET where a node has no POST (Lodestar 1.5.1); state `head`. Definitions and validator
   states are valid until the next callback of the environment. */
#ifndef AQ_SCHEDULE_SCHEDULER_H
#define AQ_SCHEDULE_SCHEDULER_H

#include "beacon/bn.h"
#include "duty/payload.h"

typedef struct {
  uint32_t validator;          /* index in the lock */
  uint64_t validator_index;    /* on the chain */
  aq_attester_duty attester;   /* attester, aggregator */
  uint32_t sync_positions[16]; /* sync_contribution */
  uint32_t sync_position_cnt;
} aq_duty_def;

typedef struct {
  const aq_duty_def *item; /* ascending by validator */
  uint32_t cnt;
} aq_duty_defs;

typedef struct {
  const aq_env *env;
  aq_bn *bn;
  const aq_chain *chain;
  const uint8_t (*pubkey)[48]; /* group keys by lock index */
  uint32_t validator_cnt;
  uint32_t types; /* bit set of aq_duty_type that are triggered */
  void *arg;
  void (*trigger)(void *arg, aq_duty duty, const aq_duty_defs *defs);
} aq_scheduler_cfg;

typedef struct aq_scheduler aq_scheduler;
aq_scheduler *aq_scheduler_new(const aq_scheduler_cfg *cfg);
void aq_scheduler_free(aq_scheduler *s);
void aq_scheduler_start(aq_scheduler *s);
void aq_scheduler_reorg(aq_scheduler *s, uint64_t epoch); /* forget duties of later epochs, resolve again */
/* A new head: duties that depend on another root than it tells are asked for again. Until the answer the old ones are
   triggered, and calls of the API wait. */
void aq_scheduler_head(aq_scheduler *s, const aq_bn_head *head);
uint64_t aq_scheduler_slot(const aq_scheduler *s);

/* A manual duty (/v1/duty): triggers now with the definitions of the slot, at most once a (slot, type).
   AQ_E_NOTFOUND: none, or the type is off; AQ_E_AGAIN: the epoch is not resolved; AQ_E_EXISTS: triggered before;
   AQ_E_STALE: past its deadline. */
AQ_NODISCARD aq_status aq_scheduler_inject(aq_scheduler *s, aq_duty duty);

/* AQ_OK and the set; AQ_E_AGAIN: the epoch is not resolved yet; AQ_E_NOTFOUND: no such duty in the slot; AQ_E_STALE:
   trimmed. */
AQ_NODISCARD aq_status aq_scheduler_defs(const aq_scheduler *s, aq_duty duty, aq_duty_defs *out);
const aq_duty_def *aq_duty_defs_find(const aq_duty_defs *defs, uint32_t validator); /* NULL */
/* Calls fn once the epoch is resolved (at once, from inside, if it is) or at_ns has passed (ok false). Waiter is
   caller memory. */
typedef struct aq_sched_waiter {
  struct aq_sched_waiter *next, *prev;
  uint64_t epoch;
  aq_timer timer;
  void (*fn)(void *arg, bool ok);
  void *arg;
  aq_scheduler *owner;
} aq_sched_waiter;
void aq_scheduler_await_epoch(aq_scheduler *s, aq_sched_waiter *w, uint64_t epoch, uint64_t until_ns,
                              void (*fn)(void *, bool), void *arg);
void aq_sched_waiter_cancel(aq_sched_waiter *w);

/* Validators of the lock as the chain knows them (refreshed each epoch). */
typedef struct {
  bool known;
  bool pending, active, ongoing; /* what the status says; active is ongoing, exiting or slashed */
  uint64_t index, balance;
  char status[24]; /* "active_ongoing" */
  char *json;      /* the record of the beacon node, for the validator API; NULL when unknown */
} aq_validator_state;
const aq_validator_state *aq_scheduler_validator(const aq_scheduler *s, uint32_t validator);
int aq_scheduler_by_index(const aq_scheduler *s, uint64_t validator_index); /* lock index, -1 */

/* Duties of an epoch as the validator API answers them: asks the beacon node when not cached, one request in flight
   a (kind, epoch). doc: the beacon node's JSON answer restricted to the cluster's validators, with group keys; valid
   during the call. */
typedef void (*aq_duties_fn)(void *arg, aq_status st, yyjson_val *answer);
uint64_t aq_scheduler_duties(aq_scheduler *s, aq_duties_kind kind, uint64_t epoch, aq_duties_fn fn,
                             void *arg); /* id; fn never from inside */
void aq_scheduler_duties_cancel(aq_scheduler *s, uint64_t id);

#endif
