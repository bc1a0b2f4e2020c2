/* Slots at times and times of slots. */
#include "eth/clock.h"

#include "base/time.h"

uint64_t aq_slot_at(const aq_clock *c, uint64_t now_ns) {
  return now_ns < c->genesis_ns ? 0 : (now_ns - c->genesis_ns) / c->slot_ns;
}

uint64_t aq_slot_time_ns(const aq_clock *c, uint64_t slot, uint64_t after_ns) {
  uint64_t t;
  if (__builtin_mul_overflow(slot, c->slot_ns, &t) || __builtin_add_overflow(t, c->genesis_ns, &t) ||
      __builtin_add_overflow(t, after_ns, &t) || t == AQ_NEVER) {
    return AQ_NEVER - 1;
  }
  return t;
}
