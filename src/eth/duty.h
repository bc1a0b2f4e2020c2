/* eth/duty.h - a duty is (slot, type); the clock of its chain. Spec: core.md 1 and 3.2, consensus.md 2.2. */
#ifndef AQ_ETH_DUTY_H
#define AQ_ETH_DUTY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "eth/duty_table.h"

typedef enum {
  AQ_DUTY_UNKNOWN = 0,
#define X(a, b, id, name, number, ...) AQ_DUTY_##id = (number),
  AQ_DUTY_MAP(X, , )
#undef X
      AQ_DUTY_CNT
} aq_duty_type;
_Static_assert(AQ_DUTY_CNT <= 32, "types are bits of a word: scheduler, tracker");

typedef struct {
  const char *name; /* "attester" */
  aq_duty_start start;
  aq_duty_window window;
  aq_duties_kind definitions;
  aq_duty_type needs, data, parent; /* AQ_DUTY_UNKNOWN: none */
  aq_duty_slash slash;
  uint32_t flags; /* AQ_DF_ */
} aq_duty_row;

const aq_duty_row *aq_duty_of(aq_duty_type type); /* outside the list that of "unknown", which is nothing; never NULL */
static inline bool aq_duty_is(aq_duty_type type, uint32_t flag) { return (aq_duty_of(type)->flags & flag) != 0; }

typedef struct {
  uint64_t slot;
  aq_duty_type type;
} aq_duty;

/* What one signature is for. */
typedef struct {
  aq_duty duty;
  uint32_t validator; /* index in the lock */
  uint32_t sub;       /* subcommittee; 0 where a type has none */
} aq_sign_key;
enum { AQ_SIGN_KEY_LEN = 20 };
void aq_sign_key_bytes(uint8_t out[AQ_SIGN_KEY_LEN], const aq_sign_key *key); /* for maps */

static inline bool aq_duty_eq(aq_duty a, aq_duty b) { return a.slot == b.slot && a.type == b.type; }
const char *aq_duty_name(aq_duty_type type); /* "attester"; "unknown" outside the list */
bool aq_duty_type_valid(int64_t type);       /* 1..13 */

/* What a type does stands in rows of operations, `const T aq_<set>_<name>`, one for each type of the table. This
   declares them, and makes `ops_of`, which finds a type's row; outside the table it is zero. Once in a file. */
#define AQ_DUTY_ROW_DECLARED(T, set, id, name, ...) extern const T aq_##set##_##name;
#define AQ_DUTY_ROW_PLACED(T, set, id, name, ...) [AQ_DUTY_##id] = &aq_##set##_##name,
#define AQ_DUTY_OPS(T, set)                                                                                        \
  AQ_DUTY_MAP(AQ_DUTY_ROW_DECLARED, T, set)                                                                        \
  static const T *ops_of(aq_duty_type type) {                                                                      \
    static const T none = {0};                                                                                     \
    static const T *const ops[AQ_DUTY_CNT] = {[AQ_DUTY_UNKNOWN] = &none, AQ_DUTY_MAP(AQ_DUTY_ROW_PLACED, T, set)}; \
    return ops[aq_duty_type_valid((int64_t)type) ? type : AQ_DUTY_UNKNOWN];                                        \
  }

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

/* genesis + slot * D + after, at most AQ_NEVER - 1: a peer's slot may be any number, and "never" is another answer. */
uint64_t aq_slot_time_ns(const aq_clock *c, uint64_t slot, uint64_t after_ns);
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
