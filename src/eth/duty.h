/* eth/duty.h - a duty is (slot, type). Numbers are wire values and never change. Spec: core.md 1 and 3.2,
   consensus.md 2.2. */
#ifndef AQ_ETH_DUTY_H
#define AQ_ETH_DUTY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

typedef enum {
  AQ_DUTY_UNKNOWN = 0,
  AQ_DUTY_PROPOSER = 1,
  AQ_DUTY_ATTESTER = 2,
  AQ_DUTY_SIGNATURE = 3,
  AQ_DUTY_EXIT = 4,
  AQ_DUTY_BUILDER_PROPOSER = 5,
  AQ_DUTY_BUILDER_REGISTRATION = 6,
  AQ_DUTY_RANDAO = 7,
  AQ_DUTY_PREPARE_AGGREGATOR = 8,
  AQ_DUTY_AGGREGATOR = 9,
  AQ_DUTY_SYNC_MESSAGE = 10,
  AQ_DUTY_PREPARE_SYNC_CONTRIBUTION = 11,
  AQ_DUTY_SYNC_CONTRIBUTION = 12,
  AQ_DUTY_INFO_SYNC = 13,
  AQ_DUTY_CNT = 14
} aq_duty_type;

typedef struct {
  uint64_t slot;
  aq_duty_type type;
} aq_duty;

static inline bool aq_duty_eq(aq_duty a, aq_duty b) { return a.slot == b.slot && a.type == b.type; }
const char *aq_duty_name(aq_duty_type type);   /* "attester"; "unknown" outside the list */
bool aq_duty_type_valid(int64_t type);         /* 1..13 */
bool aq_duty_has_consensus(aq_duty_type type); /* 1, 2, 9, 12, 13 */

/* Time of the chain, as the beacon node says it. */
typedef struct {
  uint64_t genesis_ns; /* Unix */
  uint64_t slot_ns;    /* D */
  uint64_t slots_per_epoch;
} aq_clock;

/* Slots shorter than those of any live network: proposals may take the whole slot, and rounds are scaled down
   (consensus/timer.h), or no second leader would ever get a chance (docs/decisions/003). */
static inline bool aq_clock_is_short(const aq_clock *c) { return c->slot_ns < UINT64_C(5000000000); }

static inline uint64_t aq_slot_start_ns(const aq_clock *c, uint64_t slot) { return c->genesis_ns + slot * c->slot_ns; }
uint64_t aq_slot_at(const aq_clock *c, uint64_t now_ns); /* 0 before genesis */
static inline uint64_t aq_epoch_of(const aq_clock *c, uint64_t slot) { return slot / c->slots_per_epoch; }

/* slot start + trigger offset: attester D/3, aggregator and sync_contribution (2*D)/3, else 0. */
uint64_t aq_duty_start_ns(const aq_clock *c, aq_duty d);
/* slot start + duration + D/12 (proposals in short slots: duration = the slot); AQ_NEVER for exit and
   builder_registration. */
uint64_t aq_duty_deadline_ns(const aq_clock *c, aq_duty d);
/* The network's gate (core.md 10.7): type 1..13 and epoch(slot) <= epoch(now) + 2. */
bool aq_duty_gate(const aq_clock *c, uint64_t slot, int64_t type, uint64_t now_ns);
/* When the first slot begins that the gate refuses now: nobody takes a message of such a duty. */
uint64_t aq_duty_gate_end_ns(const aq_clock *c, uint64_t now_ns);

/* One set of unsigned or decided data: entries ascending by pubkey, no pubkey twice. Views borrowed. */
typedef struct {
  uint8_t pubkey[48]; /* group public key of the validator */
  aq_bytes data;      /* core.md 4.1 */
} aq_unsigned;
typedef struct {
  const aq_unsigned *item;
  uint32_t cnt;
} aq_unsigned_set;

/* One partial signature with its payload. */
typedef struct {
  uint8_t pubkey[48];
  aq_bytes data;      /* core.md 4.2, with the partial signature inside */
  uint8_t sig[96];    /* the same signature */
  uint32_t share_idx; /* 1..n, as on the wire */
} aq_parsig;
typedef struct {
  const aq_parsig *item;
  uint32_t cnt;
} aq_parsig_set;

#endif
