/* qbft/qbft.h - one QBFT instance as a pure state machine on hashes. Spec: consensus.md 1 and 8.2 ("The Istanbul
   BFT Consensus Algorithm", arXiv 2002.03613, with Charon's fifth message DECIDED). No I/O, clock, allocation or
   cryptography: messages arrive authenticated with all their nested ones, effects are drained. Call one input
   function, then aq_qbft_next until it returns false, then the next input. Equal inputs give equal effects. Strict
   mode replays Charon's transcripts step by step; production uses the rules marked "Ours" there. */
#ifndef AQ_QBFT_QBFT_H
#define AQ_QBFT_QBFT_H

#include "crypto/hash.h"

enum {
  AQ_QBFT_NODES_MAX = 32,
  AQ_QBFT_JUST_MAX = 2 * AQ_QBFT_NODES_MAX, /* consensus.md 4.6 step 10 */
  AQ_QBFT_RAW_MAX = 256,   /* a signed QBFTMsg has at most 166 bytes; the rest is room for fields of a later version */
  AQ_QBFT_ANSWERS_MAX = 16 /* DECIDED answers a source, consensus.md 1.10 */
};
#define AQ_QBFT_ROUND_MAX INT32_MAX /* higher ones are refused on receipt; strict mode takes any */

typedef enum {
  AQ_QBFT_PRE_PREPARE = 1,
  AQ_QBFT_PREPARE,
  AQ_QBFT_COMMIT,
  AQ_QBFT_ROUND_CHANGE,
  AQ_QBFT_DECIDED
} aq_qbft_type;

typedef struct aq_qbft_msg {
  aq_qbft_type type;
  uint32_t from; /* node index, < n */
  int64_t round, prepared_round;
  aq_hash value, prepared_value; /* all zero: no value */
  aq_bytes raw; /* signed QBFTMsg for relaying, at most AQ_QBFT_RAW_MAX; empty for own messages: the host
                                     makes them again from the fields, signatures being deterministic */
  const struct aq_qbft_msg *just; /* justification, one level deep, at most AQ_QBFT_JUST_MAX */
  uint32_t just_cnt;
} aq_qbft_msg;

typedef enum {
  AQ_QBFT_RULE_NONE,
  AQ_QBFT_RULE_PRE_PREPARE, /* justified_pre_prepare */
  AQ_QBFT_RULE_QUORUM_PREPARES,
  AQ_QBFT_RULE_QUORUM_COMMITS,
  AQ_QBFT_RULE_UNJUST_QUORUM,    /* unjust_quorum_round_changes */
  AQ_QBFT_RULE_F1_ROUND_CHANGES, /* f_plus_1_round_changes */
  AQ_QBFT_RULE_QUORUM_ROUND_CHANGES,
  AQ_QBFT_RULE_DECIDED, /* justified_decided */
  AQ_QBFT_RULE_TIMEOUT, /* only as a reason of a round change */
  AQ_QBFT_RULE_CNT
} aq_qbft_rule;
const char *aq_qbft_rule_name(aq_qbft_rule r);

typedef enum {
  AQ_QBFT_FX_VOTE,  /* msg: journal, then send to all. A COMMIT's just is its quorum of PREPAREs, for the journal only.
                              again: a recorded vote that is sent once more after a restart */
  AQ_QBFT_FX_TIMER, /* round: arm, replaces the older one; again: the second arming, which extends the round */
  AQ_QBFT_FX_TIMER_OFF,
  AQ_QBFT_FX_CHECK,        /* round, msg.value: is it valid? Answer later with aq_qbft_verdict */
  AQ_QBFT_FX_DECIDE,       /* msg: the DECIDED of this node, just = the commits. Journal, then deliver */
  AQ_QBFT_FX_ANSWER,       /* msg: the DECIDED, for `peer` */
  AQ_QBFT_FX_EQUIVOCATION, /* msg and other: two contents of one source, type and round */
  AQ_QBFT_FX_RULE,         /* rule ran on a message of `round` from `peer` */
  AQ_QBFT_FX_ROUND,        /* from round_old to round because of rule */
  AQ_QBFT_FX_UNJUST        /* message of `peer` dropped */
} aq_qbft_fx_kind;

/* msg, other and their just are valid until the next call of aq_qbft_next or an input. */
typedef struct {
  aq_qbft_fx_kind kind;
  aq_qbft_rule rule;
  int64_t round, round_old;
  uint32_t peer;
  bool again;
  aq_qbft_msg msg, other;
} aq_qbft_fx;

typedef struct {
  uint32_t n, self;
  uint32_t (*leader)(const void *arg, int64_t round); /* node index, n or more: nobody; same on all nodes */
  const void *arg;
  bool strict;  /* consensus.md 8.3 */
  bool compare; /* strict only: Charon's chain_split_halt (consensus.md 1.9); CHECK is answered before the next input */
} aq_qbft_cfg;

typedef struct aq_qbft aq_qbft;

/* The host gives two pieces of memory. The second, larger one holds the messages; it may be freed once aq_qbft_decided
   returns non-NULL and the effects were drained. It need not be cleared and is touched only as it fills. */
size_t aq_qbft_footprint(uint32_t n, bool strict);
size_t aq_qbft_store_footprint(uint32_t n, bool strict);
aq_qbft *aq_qbft_init(void *mem, void *store_mem, const aq_qbft_cfg *cfg); /* aligned for any type; asserts cfg */

/* Before start: what this node sent in an earlier life. Votes in any order; a COMMIT with its PREPAREs as just. A
   vote that contradicts another one is AQ_E_SLASH. decided: a DECIDED with its commits; nothing else matters then. */
AQ_NODISCARD aq_status aq_qbft_restore(aq_qbft *q, const aq_qbft_msg *vote);
void aq_qbft_restore_decided(aq_qbft *q, const aq_qbft_msg *decided);
void aq_qbft_start(aq_qbft *q);
void aq_qbft_abstain(
    aq_qbft *q); /* from now on no vote of its own, consensus.md 7.3; learns, decides and answers as before */

void aq_qbft_value(aq_qbft *q, const aq_hash *value); /* own proposal, not zero; a second one is ignored */
/* After start. msg.from < n, and of all nested ones; rounds >= 1; outside strict mode rounds <= AQ_QBFT_ROUND_MAX.
   AQ_E_UNJUST: dropped. AQ_E_DUP, AQ_E_LIMIT, AQ_E_STALE: nothing changed. */
AQ_NODISCARD aq_status aq_qbft_recv(aq_qbft *q, const aq_qbft_msg *msg);
void aq_qbft_timeout(aq_qbft *q, int64_t round);                                /* a timer that is not armed: ignored */
void aq_qbft_verdict(aq_qbft *q, int64_t round, const aq_hash *value, bool ok); /* of an old CHECK: ignored */
/* Not yet, and it may be never: the round ends in its ordinary time unless aq_qbft_verdict follows. */
void aq_qbft_doubt(aq_qbft *q, int64_t round, const aq_hash *value);
/* The decision's bytes are missing (consensus.md 4.6): a ROUND-CHANGE of a still later round, which others answer with
   DECIDED. */
void aq_qbft_ask(aq_qbft *q);
bool aq_qbft_next(aq_qbft *q, aq_qbft_fx *out); /* false: nothing left */

typedef enum { AQ_QBFT_IDLE, AQ_QBFT_PREPREPARED, AQ_QBFT_PREPARED, AQ_QBFT_DONE } aq_qbft_phase;
int64_t aq_qbft_round(const aq_qbft *q);
aq_qbft_phase aq_qbft_phase_of(const aq_qbft *q); /* of the current round */
/* The decision as this node's DECIDED message with its commits, NULL before. */
const aq_qbft_msg *aq_qbft_decided(const aq_qbft *q);
/* Bit i: node i's message of the type and round is held (any value). 0 after the decision. */
uint32_t aq_qbft_seen(const aq_qbft *q, aq_qbft_type type, int64_t round);
/* Is a ROUND-CHANGE of a later round than the current one held? false after the decision. */
bool aq_qbft_ahead(const aq_qbft *q);
/* Bit i: node i's PREPARE of the round and value is held. 0 after the decision. */
uint32_t aq_qbft_preparers(const aq_qbft *q, int64_t round, const aq_hash *value);

uint32_t aq_qbft_quorum(uint32_t n); /* ceil(2n/3) */
uint32_t aq_qbft_faulty(uint32_t n); /* floor((n-1)/3) */
/* consensus.md 2.1, wrapping as Charon's arithmetic does; UINT32_MAX: nobody. */
uint32_t aq_qbft_leader(uint64_t slot, int64_t type, int64_t round, uint32_t n);

#endif
