/* When duties are due, and who has them. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "schedule/scheduler_internal.h"

enum { LOOKS_PER_SLOT = 4 }; /* at the clock: it may have been set */

/* ---- definitions ---- */

/* How many items are of earlier slots: they ascend. */
static uint32_t before_slot(const aq_sched_defs *d, uint64_t slot) {
  uint32_t from = 0, to = d->cnt;
  while (from < to) {
    uint32_t mid = from + (to - from) / 2;
    if (d->slot[mid] < slot)
      from = mid + 1;
    else
      to = mid;
  }
  return from;
}

static aq_duty_defs defs_of_slot(const aq_sched_defs *d, uint64_t slot) {
  if (!d->slot) return (aq_duty_defs){d->item, d->cnt};
  uint32_t from = before_slot(d, slot), to = slot == UINT64_MAX ? d->cnt : before_slot(d, slot + 1);
  return (aq_duty_defs){d->item + from, to - from};
}

aq_status aq_scheduler_defs(const aq_scheduler *s, aq_duty duty, aq_duty_defs *out) {
  aq_duties_kind kind = aq_duty_of(duty.type)->definitions;
  uint64_t epoch = aq_epoch_of(&s->cfg.chain->clock, duty.slot);
  if (kind == AQ_DUTIES_NONE) return AQ_E_NOTFOUND;
  if (s->ticking && epoch + AQ_SCHED_KEEP < aq_sched_epoch_now(s)) return AQ_E_STALE;
  const aq_sched_epoch *e = aq_sched_epoch_of(s, epoch);
  if (!e || !e->have[kind]) return AQ_E_AGAIN;
  aq_duty_defs defs = defs_of_slot(&e->defs[kind], duty.slot);
  if (defs.cnt == 0) return AQ_E_NOTFOUND;
  *out = defs;
  return AQ_OK;
}

static int by_validator(const void *validator, const void *def) {
  uint32_t a = *(const uint32_t *)validator, b = ((const aq_duty_def *)def)->validator;
  return a < b ? -1 : a > b;
}

const aq_duty_def *aq_duty_defs_find(const aq_duty_defs *defs, uint32_t validator) {
  return defs->cnt ? bsearch(&validator, defs->item, defs->cnt, sizeof *defs->item, by_validator) : NULL;
}

/* ---- triggers ---- */

static bool is_done(const aq_scheduler *s, aq_duty duty) {
  for (size_t i = 0; i < AQ_SCHED_DONE_MAX; i++) {
    if (aq_duty_eq(s->done[i], duty)) return true;
  }
  return false;
}

static void trigger(aq_scheduler *s, aq_duty duty, const aq_duty_defs *defs) {
  s->done[s->done_next] = duty;
  s->done_next = (s->done_next + 1) % AQ_SCHED_DONE_MAX;
  aq_metric_add(AQ_M_CORE_SCHEDULER_DUTY_TOTAL, defs->cnt, AQ_LABELS(aq_duty_name(duty.type)));
  s->cfg.trigger(s->cfg.arg, duty, defs);
}

static bool wanted_type(const aq_scheduler *s, aq_duty_type type) {
  return aq_duty_of(type)->definitions != AQ_DUTIES_NONE && (s->cfg.types >> (unsigned)type & 1u) != 0;
}

/* The moment of a duty came, or its definitions did, later. */
static void try_trigger(aq_scheduler *s, aq_duty duty) {
  aq_duty_defs defs;
  uint64_t now_ns = aq_now_ns(s->cfg.env);
  if (now_ns < aq_duty_start_ns(s->cfg.chain, duty)) return;
  if (now_ns > aq_duty_deadline_ns(s->cfg.chain, duty) || is_done(s, duty)) return;
  if (aq_scheduler_defs(s, duty, &defs) == AQ_OK) trigger(s, duty, &defs);
}

/* A timer that fires slots late belongs to a machine that slept: only the running slot and the one before matter
   then. */
static void trigger_due(void *arg) {
  const aq_sched_trigger *t = arg;
  uint64_t slot = aq_slot_at(&t->s->cfg.chain->clock, aq_now_ns(t->s->cfg.env));
  if (slot <= t->duty.slot + 1) try_trigger(t->s, t->duty);
}

static void arm_triggers(aq_scheduler *s) {
  uint64_t now_ns = aq_now_ns(s->cfg.env), slot = s->slot;
  for (int t = 0; t < AQ_DUTY_CNT; t++) {
    aq_duty duty = {slot, (aq_duty_type)t};
    if (!wanted_type(s, duty.type)) continue;
    uint64_t at_ns = aq_duty_start_ns(s->cfg.chain, duty);
    s->trigger[t].s = s;
    s->trigger[t].duty = duty;
    if (at_ns > now_ns)
      aq_timer_set(s->cfg.env, &s->trigger[t].timer, at_ns, trigger_due, &s->trigger[t]);
    else
      try_trigger(s, duty);
  }
}

aq_status aq_scheduler_inject(aq_scheduler *s, aq_duty duty) {
  aq_duty_defs defs;
  if (!wanted_type(s, duty.type)) return AQ_E_NOTFOUND;
  aq_status st = aq_scheduler_defs(s, duty, &defs);
  if (st != AQ_OK) return st;
  if (is_done(s, duty)) return AQ_E_EXISTS;
  if (aq_now_ns(s->cfg.env) > aq_duty_deadline_ns(s->cfg.chain, duty)) return AQ_E_STALE;
  trigger(s, duty, &defs);
  return AQ_OK;
}

/* ---- slots ---- */

uint64_t aq_scheduler_slot(const aq_scheduler *s) {
  return s->ticking ? s->slot : aq_slot_at(&s->cfg.chain->clock, aq_now_ns(s->cfg.env));
}

uint64_t aq_sched_epoch_now(const aq_scheduler *s) { return aq_epoch_of(&s->cfg.chain->clock, aq_scheduler_slot(s)); }

/* Asks for what is missing. The next epoch from half-way through this one (core.md 6.2, 5); at both moments the
   epochs are asked for again: a head that told of another dependent root may have been missed. */
static void resolve_due(aq_scheduler *s, bool new_epoch) {
  const aq_clock *clock = &s->cfg.chain->clock;
  uint64_t epoch = aq_sched_epoch_now(s), in_epoch = s->slot % clock->slots_per_epoch;
  bool half = s->ticking && in_epoch >= (clock->slots_per_epoch + 1) / 2;
  bool half_now = s->ticking && in_epoch == (clock->slots_per_epoch + 1) / 2;
  aq_sched_resolve(s, epoch, new_epoch || half_now);
  if (half) aq_sched_resolve(s, epoch + 1, false);
}

/* What a beacon node refused at the slot's start, it may give a moment later. */
static void ask_missing(aq_scheduler *s) {
  if (s->refresh_due) aq_sched_validators_refresh(s);
  if (s->validators_known && !aq_sched_resolved(s, aq_sched_epoch_now(s))) resolve_due(s, false);
  if (s->validators_known) aq_sched_duties_retry(s);
}

static void slot_started(aq_scheduler *s, uint64_t slot) {
  const aq_clock *clock = &s->cfg.chain->clock;
  bool new_epoch = !s->ticking || aq_epoch_of(clock, slot) != aq_epoch_of(clock, s->slot);
  if (s->ticking && slot > s->slot + 1) {
    uint64_t skipped = slot - s->slot - 1;
    aq_metric_add(AQ_M_CORE_SCHEDULER_SKIPPED_SLOTS_TOTAL, (double)skipped, AQ_NO_LABELS);
    AQ_LOG(AQ_LOG_WARN, "slots_skipped", AQ_UINT("slot", slot), AQ_UINT("skipped", skipped));
  }
  s->ticking = true;
  s->slot = slot;
  aq_metric_set(AQ_M_CORE_SCHEDULER_CURRENT_SLOT, (double)slot, AQ_NO_LABELS);
  aq_metric_set(AQ_M_CORE_SCHEDULER_CURRENT_EPOCH, (double)aq_epoch_of(clock, slot), AQ_NO_LABELS);
  if (new_epoch) {
    aq_sched_duties_trim(s);
    s->refresh_due = true;
  }
  if (s->refresh_due) aq_sched_validators_refresh(s);
  if (s->validators_known) resolve_due(s, new_epoch);
  arm_triggers(s);
}

static void tick(void *arg) {
  aq_scheduler *s = arg;
  const aq_clock *clock = &s->cfg.chain->clock;
  uint64_t now_ns = aq_now_ns(s->cfg.env), wait_ns;
  if (now_ns < clock->genesis_ns) {
    if (s->refresh_due) aq_sched_validators_refresh(s);
    if (s->validators_known) resolve_due(s, false);
    wait_ns = clock->genesis_ns - now_ns < clock->slot_ns ? clock->genesis_ns - now_ns : clock->slot_ns;
  } else {
    uint64_t slot = aq_slot_at(clock, now_ns);
    /* A clock that was set back by little runs through a slot that had its turn. By more, it was ahead: most slots had
       none, and those duties that had their turn are not triggered twice. */
    if (!s->ticking || slot > s->slot || slot + 1 < s->slot)
      slot_started(s, slot);
    else
      ask_missing(s);
    wait_ns = aq_slot_start_ns(clock, slot + 1) - now_ns;
    if (wait_ns > clock->slot_ns / LOOKS_PER_SLOT) wait_ns = clock->slot_ns / LOOKS_PER_SLOT;
  }
  aq_timer_after(s->cfg.env, &s->tick_timer, wait_ns, tick, s);
}

void aq_sched_validators_done(aq_scheduler *s, aq_status st) {
  aq_sched_duties_validators(s, st);
  if (st == AQ_OK) resolve_due(s, false);
}

static aq_sched_waiter *first_waiter(aq_scheduler *s, uint64_t epoch) {
  for (aq_sched_waiter *w = s->waiters.next; w && w != &s->waiters; w = w->next) {
    if (w->epoch == epoch) return w;
  }
  return NULL;
}

/* From the start after each: fn may change the ring. */
static void wake(aq_scheduler *s, uint64_t epoch) {
  if (!aq_sched_resolved(s, epoch)) return;
  for (aq_sched_waiter *w; (w = first_waiter(s, epoch));) {
    aq_sched_waiter_cancel(w);
    w->fn(w->arg, true);
  }
}

void aq_sched_epoch_changed(aq_scheduler *s, uint64_t epoch) {
  wake(s, epoch);
  if (!s->ticking || epoch != aq_sched_epoch_now(s)) return;
  for (int t = 0; t < AQ_DUTY_CNT; t++) {
    if (wanted_type(s, (aq_duty_type)t)) try_trigger(s, (aq_duty){s->slot, (aq_duty_type)t});
  }
}

void aq_scheduler_reorg(aq_scheduler *s, uint64_t epoch) {
  aq_sched_duties_forget(s, epoch);
  if (s->started && s->validators_known) resolve_due(s, false);
}

void aq_scheduler_head(aq_scheduler *s, const aq_bn_head *head) {
  if (s->ticking && head->has_roots) aq_sched_duties_head(s, head);
}

/* ---- waiters ---- */

void aq_sched_waiter_cancel(aq_sched_waiter *w) {
  if (!w->owner) return;
  aq_timer_cancel(w->owner->cfg.env, &w->timer);
  w->prev->next = w->next;
  w->next->prev = w->prev;
  w->next = w->prev = NULL;
  w->owner = NULL;
}

static void waiter_late(void *arg) {
  aq_sched_waiter *w = arg;
  aq_sched_waiter_cancel(w);
  w->fn(w->arg, false);
}

void aq_scheduler_await_epoch(aq_scheduler *s, aq_sched_waiter *w, uint64_t epoch, uint64_t until_ns,
                              void (*fn)(void *, bool), void *arg) {
  *w = (aq_sched_waiter){.epoch = epoch, .fn = fn, .arg = arg};
  if (aq_sched_resolved(s, epoch)) {
    fn(arg, true);
    return;
  }
  if (s->ticking && epoch + AQ_SCHED_KEEP < aq_sched_epoch_now(s)) {
    fn(arg, false);
    return;
  }
  w->owner = s;
  w->next = &s->waiters;
  w->prev = s->waiters.prev;
  w->prev->next = w->next->prev = w;
  aq_timer_until(s->cfg.env, &w->timer, until_ns, waiter_late, w);
}

/* ---- life ---- */

aq_scheduler *aq_scheduler_new(const aq_scheduler_cfg *cfg) {
  aq_scheduler *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  s->cfg = *cfg;
  s->waiters.next = s->waiters.prev = &s->waiters;
  s->refresh_due = true;
  for (size_t i = 0; i < AQ_SCHED_DONE_MAX; i++) s->done[i] = (aq_duty){UINT64_MAX, AQ_DUTY_UNKNOWN};
  aq_sched_validators_init(s);
  aq_sched_duties_init(s);
  return s;
}

void aq_scheduler_free(aq_scheduler *s) {
  if (!s) return;
  aq_timer_cancel(s->cfg.env, &s->tick_timer);
  for (int t = 0; t < AQ_DUTY_CNT; t++) aq_timer_cancel(s->cfg.env, &s->trigger[t].timer);
  while (s->waiters.next != &s->waiters) waiter_late(s->waiters.next);
  aq_sched_duties_free(s);
  aq_sched_validators_free(s);
  free(s);
}

void aq_scheduler_start(aq_scheduler *s) {
  AQ_ASSERT(!s->started);
  s->started = true;
  aq_timer_after(s->cfg.env, &s->tick_timer, 0, tick, s);
}
