/* schedule/scheduler_internal.h - what files of the scheduler share: validators, the cache of duties, definitions by
   epoch. */
#ifndef AQ_SCHEDULE_SCHEDULER_INTERNAL_H
#define AQ_SCHEDULE_SCHEDULER_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "schedule/scheduler.h"

enum {
  AQ_SCHED_KINDS = AQ_DUTIES_NONE,
  AQ_SCHED_KEEP = 3,       /* epochs back: core.md 6.3 */
  AQ_SCHED_EPOCHS = 8,     /* places for definitions: kept, current, next, and room for a jump */
  AQ_SCHED_CACHE_MAX = 48, /* (kind, epoch) answers */
  AQ_SCHED_CALLS_MAX = 4096,
  AQ_SCHED_DONE_MAX = 256, /* triggered duties remembered */
  AQ_SCHED_GET_IDS = 64    /* validators a GET request, 100 characters each */
};

/* One API call that waits for duties. */
typedef struct {
  aq_list link;
  uint64_t id;
  aq_duties_fn fn;
  void *arg;
} aq_sched_call;

/* The answer of one (kind, epoch), and the one request in flight for it. */
typedef struct {
  aq_list link;
  aq_scheduler *s;
  aq_duties_kind kind;
  uint64_t epoch;
  uint64_t call_id;    /* 0: no request in flight */
  bool wanted;         /* ask once the validators are known */
  bool asked;          /* once at least */
  bool busy;           /* its calls are being answered: doc must stay */
  bool asked_early;    /* the last question was for proposers that were not certain yet, */
  bool guess;          /* and doc is such an answer */
  bool doubted;        /* doc is of a chain that the beacon node left: calls wait for the next answer */
  bool heard;          /* `told` is there */
  uint8_t told[32];    /* dependent root by the last head */
  uint64_t doubt_slot; /* plus one: in which it was asked again for that */
  yyjson_doc *doc;     /* restricted to the cluster; NULL: not known */
  yyjson_doc *fresh;   /* judged good, not taken yet */
  aq_list calls;
  aq_timer timer; /* hands a known answer on, never from inside */
} aq_sched_duties;

/* Definitions of one epoch, each list ascending by (slot, validator). */
typedef struct {
  aq_duty_def *item;
  uint64_t *slot; /* of each item; NULL for sync: all slots of the epoch */
  uint32_t cnt;
} aq_sched_defs;

typedef struct {
  bool used;
  uint64_t epoch;
  bool have[AQ_SCHED_KINDS];
  aq_sched_defs defs[AQ_SCHED_KINDS];
} aq_sched_epoch;

/* A refresh of the validators under way: new states are built beside the old ones. */
typedef struct {
  uint64_t call_id;
  uint32_t at; /* next validator to ask for, GET only */
  aq_validator_state *state;
  uint64_t *activation;
} aq_sched_refresh;

/* The next moment of one duty type. */
typedef struct {
  aq_scheduler *s;
  aq_timer timer;
  aq_duty duty;
} aq_sched_trigger;

struct aq_scheduler {
  aq_scheduler_cfg cfg;
  bool started, ticking; /* ticking: `slot` was announced */
  uint64_t slot;
  aq_timer tick_timer;
  aq_sched_trigger trigger[AQ_DUTY_CNT];
  aq_duty done[AQ_SCHED_DONE_MAX];
  size_t done_next;

  aq_map by_pubkey, by_index; /* -> lock index + 1 */
  aq_validator_state *state;
  uint64_t *activation;                        /* activation epochs */
  bool validators_known, refresh_due, use_get; /* use_get: this beacon node has no POST (Lodestar 1.5.1) */
  aq_sched_refresh refresh;

  aq_list cache;           /* of aq_sched_duties, oldest first */
  aq_sched_duties refused; /* holds the calls over the limits, until they are told so */
  size_t cache_cnt, call_cnt;
  uint64_t last_call;
  aq_sched_epoch epoch[AQ_SCHED_EPOCHS];
  aq_sched_waiter waiters; /* ring head */
};

uint64_t aq_sched_epoch_now(const aq_scheduler *s);

/* ---- validators ---- */
void aq_sched_validators_init(aq_scheduler *s);
void aq_sched_validators_free(aq_scheduler *s);
void aq_sched_validators_refresh(aq_scheduler *s);
bool aq_sched_active_in(const aq_scheduler *s, uint32_t validator, uint64_t epoch);
int aq_sched_by_pubkey(const aq_scheduler *s, const uint8_t pubkey[48]); /* lock index, -1 */
void aq_sched_validators_done(aq_scheduler *s, aq_status st);            /* scheduler.c: a refresh ended */

/* ---- duties ---- */
void aq_sched_duties_init(aq_scheduler *s);
void aq_sched_duties_free(aq_scheduler *s);
void aq_sched_resolve(aq_scheduler *s, uint64_t epoch, bool again); /* again: although it is known */
void aq_sched_duties_trim(aq_scheduler *s);
void aq_sched_duties_forget(aq_scheduler *s, uint64_t after_epoch);
void aq_sched_duties_head(aq_scheduler *s, const aq_bn_head *head);
void aq_sched_duties_retry(aq_scheduler *s); /* of answers that are not to be trusted */
void aq_sched_duties_renew(aq_scheduler *s); /* other validators than those asked for are active now */
void aq_sched_duties_validators(aq_scheduler *s, aq_status st); /* the validators became known, or did not */
const aq_sched_epoch *aq_sched_epoch_of(const aq_scheduler *s, uint64_t epoch); /* NULL */
bool aq_sched_resolved(const aq_scheduler *s, uint64_t epoch);
void aq_sched_epoch_changed(aq_scheduler *s, uint64_t epoch); /* scheduler.c: new definitions */

#endif
