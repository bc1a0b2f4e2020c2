/* duty/duty.h - a duty is (slot, type): what its type is like, when it begins and ends. Spec: core.md 1 and 3.2,
   consensus.md 2.2. */
#ifndef AQ_DUTY_DUTY_H
#define AQ_DUTY_DUTY_H

#include "base/bytes.h"
#include "duty/duty_table.h"
#include "eth/chain.h"

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

/* slot start + what its fork says of such duties (attester D/3, aggregates and contributions 2 D/3). */
uint64_t aq_duty_start_ns(const aq_chain *c, aq_duty d);
/* slot start + window + D/12 (proposals in short slots: the window is the slot); AQ_NEVER where it never ends. */
uint64_t aq_duty_deadline_ns(const aq_chain *c, aq_duty d);

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
