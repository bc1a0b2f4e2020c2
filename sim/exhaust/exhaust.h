/* sim/exhaust/exhaust.h - every run of the QBFT machine (qbft/qbft.h) of four nodes, one of them byzantine, over rounds
   1 and 2 with two values. Private to aequa-exhaust.

   Model. Nobody ever loses a message: what an honest node sent, and whatever the byzantine can make at that moment
   out of its own signature and of all that was sent, may reach any node at any later moment, or never, in any order,
   any number of times. Therefore the messages on the way need no place in the state: they follow from what the
   honest nodes sent, and the state is the triple of honest machines. Timers (round 1 only), the own proposal of a
   leader and the verdict on a proposal are steps that a node takes at any moment.

   Reduction. A delivery that makes the machine do nothing is put off until the step that needs it: only least sets
   of messages that make a node act are delivered, each as one step. This rests on the machine's rules being rules
   about the set of messages held; `--walk` checks it by runs that deliver anything at any time and must meet no
   state that the search has not met. Two honest nodes that lead no round are exchangeable.

   Not covered: crash and restart (aequa-sim), abstention, values that fail the verdict, more than two contents of a
   source, rounds above 2. */
#ifndef AQ_SIM_EXHAUST_EXHAUST_H
#define AQ_SIM_EXHAUST_EXHAUST_H

#include "qbft/qbft_internal.h"

enum { EX_N = 4, EX_HONEST = 3, EX_BYZ = 3, EX_ROUNDS = 2, EX_VALUES = 2 };

/* A message is a bit: everything else about it is either fixed by the bit or, as soon as it is justified, without
   influence on who takes it. The steps that are no messages follow. */
typedef uint64_t ex_mask;
enum {
  EX_PP = 0,                                   /* (round, value), by the leader */
  EX_P = EX_PP + EX_ROUNDS * EX_VALUES,        /* (source, round, value) */
  EX_C = EX_P + EX_N * EX_ROUNDS * EX_VALUES,  /* (source, round, value) */
  EX_RC = EX_C + EX_N * EX_ROUNDS * EX_VALUES, /* (source, claim), of round 2; claim 0: never prepared */
  EX_D = EX_RC + EX_N * (1 + EX_VALUES),       /* (round, value), by anybody */
  EX_TIMEOUT = EX_D + EX_ROUNDS * EX_VALUES,
  EX_INPUT,
  EX_VERDICT,
  EX_EVENTS
};
static inline ex_mask ex_bit(uint32_t i) { return UINT64_C(1) << i; }
static inline uint32_t ex_rv(uint32_t round, uint32_t value) { return (round - 1) * EX_VALUES + value; }
static inline uint32_t ex_p(uint32_t src, uint32_t round, uint32_t v) { return EX_P + src * 4 + ex_rv(round, v); }
static inline uint32_t ex_c(uint32_t src, uint32_t round, uint32_t v) { return EX_C + src * 4 + ex_rv(round, v); }
static inline uint32_t ex_rc(uint32_t src, uint32_t claim) { return EX_RC + src * 3 + claim; }

typedef struct {
  uint32_t leader[EX_ROUNDS + 1]; /* by round; [0] unused */
  bool silent;                    /* the byzantine never sends */
  bool timeouts;                  /* timers may run out */
  int bug;                        /* 0, or what the harness breaks in each machine, see ex_break */
} ex_cfg;

/* ---- messages ---- */

void ex_messages_init(const ex_cfg *cfg); /* what can be justified by which sets of messages, asked of the machine */
void ex_make(aq_qbft_msg *out, uint32_t bit); /* justified; just lives in static memory until the next call */
uint32_t ex_bit_of(const aq_qbft_msg *m);     /* EX_EVENTS: no message of this model */
/* All that may be delivered once the honest nodes sent `sent`; decided: bits of EX_D of honest nodes' decisions. */
ex_mask ex_available(const ex_cfg *cfg, ex_mask sent, ex_mask decided, bool silent);
ex_mask ex_swap(ex_mask m); /* nodes 1 and 2 exchanged */
void ex_name(char out[16], uint32_t event);

void *ex_grow(void *mem, size_t len); /* realloc that cannot fail */

/* ---- machines ---- */

typedef struct {
  aq_qbft *q;
  void *mem, *store;
  uint32_t self;
  ex_mask sent, decided;
  const char *bad; /* a rule broken by this node alone, or NULL */
} ex_machine;

void ex_machine_new(ex_machine *m);
void ex_machine_start(ex_machine *m, const ex_cfg *cfg, uint32_t self);
bool ex_machine_step(ex_machine *m, const ex_cfg *cfg, uint32_t event);      /* true: it acted */
bool ex_machine_can(const ex_machine *m, const ex_cfg *cfg, uint32_t event); /* a step that is no message */
void ex_machine_digest(uint8_t out[32], const ex_machine *m, const ex_cfg *cfg);
bool ex_judge(const ex_cfg *cfg, const aq_qbft_msg *m); /* would any machine take it as justified? */

/* ---- local states: the machine of one node, up to what can still matter ---- */

enum { EX_NONE = 0xfffff, EX_LOCALS_MAX = 0xfffff, EX_STEP_EVENTS = 4 };
typedef struct {
  ex_mask need;
  uint8_t event[EX_STEP_EVENTS];
  uint8_t cnt;
  uint32_t next; /* EX_NONE: not made yet */
} ex_step;
typedef struct {
  uint8_t digest[32];
  ex_mask sent, decided;
  uint32_t parent, step_first, step_cnt;
  uint8_t event[EX_STEP_EVENTS], cnt; /* from parent */
  bool expanded;
} ex_local;

typedef struct {
  const ex_cfg *cfg;
  uint32_t self;
  ex_local *item;
  uint32_t cnt, cap;
  uint32_t *slot; /* hash table of ids + 1 */
  uint32_t slots;
  ex_step *step;
  uint32_t step_cnt, step_cap;
  ex_machine machine;
  uint64_t runs;
  char bad[160];
} ex_table;

uint32_t ex_table_init(ex_table *t, const ex_cfg *cfg, uint32_t self); /* id of the start */
void ex_table_free(ex_table *t);
void ex_table_expand(ex_table *t, uint32_t id); /* the steps of a local state, over all messages there are */
uint32_t ex_table_take(ex_table *t, uint32_t id, uint32_t step); /* id after it */

#endif
