/* eth/clock.h - slots and epochs of a chain as times. Times are Unix, in nanoseconds. Pure. */
#ifndef AQ_ETH_CLOCK_H
#define AQ_ETH_CLOCK_H

#include "base/bytes.h"

/* Time of the chain, as the beacon node says it. */
typedef struct {
  uint64_t genesis_ns; /* Unix */
  uint64_t slot_ns;    /* D */
  uint64_t slots_per_epoch;
} aq_clock;

/* Slots shorter than those of any live network: proposals may take the whole slot, and rounds are scaled down
   (qbft/timer.h), or no second leader would ever get a chance (docs/decisions/003). */
static inline bool aq_clock_is_short(const aq_clock *c) { return c->slot_ns < UINT64_C(5000000000); }

static inline uint64_t aq_slot_start_ns(const aq_clock *c, uint64_t slot) { return c->genesis_ns + slot * c->slot_ns; }
uint64_t aq_slot_at(const aq_clock *c, uint64_t now_ns); /* 0 before genesis */
static inline uint64_t aq_epoch_of(const aq_clock *c, uint64_t slot) { return slot / c->slots_per_epoch; }

/* genesis + slot * D + after, at most AQ_NEVER - 1: a peer's slot may be any number, and "never" is another answer. */
uint64_t aq_slot_time_ns(const aq_clock *c, uint64_t slot, uint64_t after_ns);

#endif
