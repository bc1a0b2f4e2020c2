/* Round timers: Charon's table, and patience. */
#include "qbft/timer.h"

#include "base/assert.h"
#include "base/time.h"

static bool is_block(aq_duty_type type) { return aq_duty_of(type)->slash == AQ_SLASH_BLOCK; }

aq_round_timer aq_round_timer_for(const aq_timer_flags *f) {
  return f->eager ? AQ_ROUND_TIMER_EAGER : AQ_ROUND_TIMER_INC;
}

const char *aq_round_timer_name(aq_round_timer t) {
  switch (t) {
    case AQ_ROUND_TIMER_EAGER: return "eager_dlinear";
    case AQ_ROUND_TIMER_INC: return "inc";
  }
  return "unknown";
}

static uint64_t saturating_add(uint64_t a, uint64_t b) {
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? AQ_NEVER - 1 : sum;
}

/* length * slot / full. The rest is taken in microseconds, so that no product leaves 64 bits: slots here have less than
   2^33 ns, a rest less than 2^23 us. */
static uint64_t scale_ns(uint64_t length_ns, uint64_t slot_ns, uint64_t full_ns) {
  uint64_t whole = length_ns / full_ns, rest_us = length_ns % full_ns / 1000;
  return whole * slot_ns + rest_us * slot_ns / (full_ns / 1000);
}

/* In short slots twice the share that it has on mainnet: three rounds fit into a proposer's slot. */
static uint64_t of_slot(uint64_t length_ns, const aq_clock *clock) {
  if (!aq_clock_is_short(clock)) return length_ns;
  return scale_ns(length_ns, clock->slot_ns, AQ_SECONDS(6));
}

uint64_t aq_round_deadline_ns(const aq_timer_flags *f, const aq_chain *chain, aq_duty duty, int64_t round, bool again,
                              uint64_t now_ns, uint64_t prev_ns) {
  AQ_ASSERT(round >= 1 && round <= INT32_MAX);
  uint64_t r = (uint64_t)round;
  bool long_first = is_block(duty.type) && f->proposal_timeout;
  if (aq_round_timer_for(f) == AQ_ROUND_TIMER_INC) {
    if (round == 1 && long_first) return saturating_add(now_ns, AQ_MILLIS(1500));
    return saturating_add(now_ns, AQ_MILLIS(750 + 250 * r));
  }
  uint64_t length_ns = AQ_MILLIS(1000 * r + (long_first ? 500 : 0));
  if (!chain) return saturating_add(again ? prev_ns : now_ns, length_ns);
  length_ns = of_slot(length_ns, &chain->clock);
  return saturating_add(aq_duty_start_ns(chain, duty), again ? 2 * length_ns : length_ns);
}

uint64_t aq_round_patience_ns(const aq_clock *clock, int64_t round) {
  return of_slot(AQ_MILLIS(750) * ((uint64_t)round + 3) / 4, clock);
}
