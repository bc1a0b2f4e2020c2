#include "eth/duty.h"

#include "base/time.h"

static const char *const names[AQ_DUTY_CNT] = {
    [AQ_DUTY_UNKNOWN] = "unknown",
    [AQ_DUTY_PROPOSER] = "proposer",
    [AQ_DUTY_ATTESTER] = "attester",
    [AQ_DUTY_SIGNATURE] = "signature",
    [AQ_DUTY_EXIT] = "exit",
    [AQ_DUTY_BUILDER_PROPOSER] = "builder_proposer",
    [AQ_DUTY_BUILDER_REGISTRATION] = "builder_registration",
    [AQ_DUTY_RANDAO] = "randao",
    [AQ_DUTY_PREPARE_AGGREGATOR] = "prepare_aggregator",
    [AQ_DUTY_AGGREGATOR] = "aggregator",
    [AQ_DUTY_SYNC_MESSAGE] = "sync_message",
    [AQ_DUTY_PREPARE_SYNC_CONTRIBUTION] = "prepare_sync_contribution",
    [AQ_DUTY_SYNC_CONTRIBUTION] = "sync_contribution",
    [AQ_DUTY_INFO_SYNC] = "info_sync",
};

const char *aq_duty_name(aq_duty_type type) {
  return aq_duty_type_valid((int64_t)type) ? names[type] : names[AQ_DUTY_UNKNOWN];
}

bool aq_duty_type_valid(int64_t type) { return type > AQ_DUTY_UNKNOWN && type < AQ_DUTY_CNT; }

bool aq_duty_has_consensus(aq_duty_type type) {
  return type == AQ_DUTY_PROPOSER || type == AQ_DUTY_ATTESTER || type == AQ_DUTY_AGGREGATOR ||
         type == AQ_DUTY_SYNC_CONTRIBUTION || type == AQ_DUTY_INFO_SYNC;
}

uint64_t aq_slot_at(const aq_clock *c, uint64_t now_ns) {
  return now_ns < c->genesis_ns ? 0 : (now_ns - c->genesis_ns) / c->slot_ns;
}

/* genesis + slot * D + after, at most AQ_NEVER - 1: a peer's slot may be any number, and "never" is another answer. */
static uint64_t time_of(const aq_clock *c, uint64_t slot, uint64_t after_ns) {
  uint64_t t;
  if (__builtin_mul_overflow(slot, c->slot_ns, &t) || __builtin_add_overflow(t, c->genesis_ns, &t) ||
      __builtin_add_overflow(t, after_ns, &t) || t == AQ_NEVER) {
    return AQ_NEVER - 1;
  }
  return t;
}

uint64_t aq_duty_start_ns(const aq_clock *c, aq_duty d) {
  uint64_t after = 0;
  if (d.type == AQ_DUTY_ATTESTER) after = c->slot_ns / 3;
  if (d.type == AQ_DUTY_AGGREGATOR || d.type == AQ_DUTY_SYNC_CONTRIBUTION) after = 2 * c->slot_ns / 3;
  return time_of(c, d.slot, after);
}

uint64_t aq_duty_deadline_ns(const aq_clock *c, aq_duty d) {
  uint64_t duration = c->slot_ns;
  switch (d.type) {
    case AQ_DUTY_EXIT:
    case AQ_DUTY_BUILDER_REGISTRATION: return AQ_NEVER;
    case AQ_DUTY_PROPOSER:
    case AQ_DUTY_RANDAO: duration = aq_clock_is_short(c) ? c->slot_ns : c->slot_ns / 3; break;
    case AQ_DUTY_ATTESTER:
    case AQ_DUTY_AGGREGATOR: duration = c->slots_per_epoch * c->slot_ns; break;
    case AQ_DUTY_PREPARE_AGGREGATOR:
    case AQ_DUTY_PREPARE_SYNC_CONTRIBUTION: duration = 2 * c->slots_per_epoch * c->slot_ns; break;
    case AQ_DUTY_UNKNOWN:
    case AQ_DUTY_SIGNATURE:
    case AQ_DUTY_BUILDER_PROPOSER:
    case AQ_DUTY_SYNC_MESSAGE:
    case AQ_DUTY_SYNC_CONTRIBUTION:
    case AQ_DUTY_INFO_SYNC:
    case AQ_DUTY_CNT: break;
  }
  return time_of(c, d.slot, duration + c->slot_ns / 12);
}

uint64_t aq_duty_gate_end_ns(const aq_clock *c, uint64_t now_ns) {
  return time_of(c, (aq_epoch_of(c, aq_slot_at(c, now_ns)) + 3) * c->slots_per_epoch, 0);
}

bool aq_duty_gate(const aq_clock *c, uint64_t slot, int64_t type, uint64_t now_ns) {
  return aq_duty_type_valid(type) && aq_epoch_of(c, slot) <= aq_epoch_of(c, aq_slot_at(c, now_ns)) + 2;
}
