/* port/store.h - what is durable before what leaves (architecture.md 2 rule 3, contract.md 7.2, consensus.md 7.2).
   Writes are queued and committed together once a loop turn; `done` is called on the loop thread, in the order of the
   calls, after the commit (or its failure). Check and record are one step: the store itself refuses what contradicts an
   earlier record with AQ_E_SLASH and then changes nothing; an equal repetition is AQ_OK. After AQ_E_IO nothing of that
   commit is seen again in this run; after a crash the last one that failed may be there, whole. All views are copied
   before the call returns. */
#ifndef AQ_PORT_STORE_H
#define AQ_PORT_STORE_H

#include "base/bytes.h"
#include "duty/duty.h"

typedef void (*aq_store_done)(void *arg, aq_status st);
struct aq_store_vote;
typedef void (*aq_store_found)(void *arg, aq_status st, const struct aq_store_vote *vote);

/* An own consensus message. Key: (duty, msg_type, round); content = msg, just. Refused besides other content under
   the key: a PREPARE or COMMIT below the highest recorded ROUND-CHANGE round or below the highest recorded round of
   its kind, a PREPARE below the highest recorded COMMIT round, or of another value than the COMMIT of its own round
   (the certificate of that COMMIT may show a PREPARE whose own record failed), a ROUND-CHANGE below the highest
   recorded one, and a ROUND-CHANGE whose prepared_round is below an earlier one's or below the round of a COMMIT. */
typedef struct aq_store_vote {
  aq_duty duty;
  uint8_t msg_type; /* 1 pre-prepare, 2 prepare, 3 commit, 4 round-change */
  uint64_t round;
  uint64_t prepared_round;
  uint8_t value_hash[32];
  aq_bytes msg;  /* own signed QBFTMsg */
  aq_bytes just; /* encoded justification, opaque to the store */
} aq_store_vote;

/* Key: (duty, hash). Other bytes take the place of those under the key: these were damaged, since both are to have the
   hash. */
typedef struct {
  aq_duty duty;
  uint8_t hash[32];
  aq_bytes value; /* canonical bytes of the inner message */
} aq_store_blob;

/* Key: duty. A second decision with another hash is refused. */
typedef struct {
  aq_duty duty;
  uint64_t round;
  uint8_t hash[32];
  aq_bytes commits; /* encoded q commits, opaque */
} aq_store_decided;

/* A root signed by this node's share, or submitted for the group. Key: (kind, pubkey, duty, sub). Refused: another
   root under the key; for attestations also a surround vote or a second target of the validator (EIP-3076), for
   proposals a second block of the slot. The journal of a validator keeps its highest source and target for ever.
   `partial` is on the disk with its record or not at all; it stays as long as votes do, that of a duty without a
   deadline until `over`. A repetition brings one that is missing, and changes none. */
typedef enum { AQ_SIGN_PARTIAL = 1, AQ_SIGN_GROUP = 2 } aq_sign_kind;
typedef struct {
  aq_sign_kind kind;
  uint8_t pubkey[48];
  aq_duty duty;
  uint32_t sub;                        /* subcommittee for types 11 and 12, else 0 */
  uint8_t root[32];                    /* signing root */
  uint64_t source_epoch, target_epoch; /* attester only, else 0 */
  aq_bytes partial;                    /* what the signature is made of again after a restart, opaque; empty: nothing */
} aq_store_sign;

/* A partial signature whose root is recorded, as it was handed to `sign`. */
typedef struct {
  uint8_t pubkey[48];
  aq_duty duty;
  uint32_t sub;
  aq_bytes partial;
} aq_store_partial;

/* Which rule refused a record of `sign`, for who must be told. */
typedef enum {
  AQ_REFUSAL_UNKNOWN,
  AQ_REFUSAL_ROOT,     /* another object of the same duty is recorded */
  AQ_REFUSAL_TARGET,   /* a vote of another slot for that target */
  AQ_REFUSAL_SURROUND, /* a vote that surrounds it, or is surrounded */
  AQ_REFUSAL_BLOCK,    /* another block of that slot */
  AQ_REFUSAL_MARK,     /* not above the validator's highest record */
  AQ_REFUSAL_EPOCHS    /* its source lies behind its target */
} aq_store_refusal;

/* What recovery reads; NULL: not that. Views are valid during the call. */
typedef struct {
  void *arg;
  void (*vote)(void *arg, const aq_store_vote *v);
  void (*blob)(void *arg, const aq_store_blob *b);
  void (*decided)(void *arg, const aq_store_decided *d);
  void (*peer)(void *arg, uint32_t peer, const char *addr);
  void (*partial)(void *arg, const aq_store_partial *p); /* those without a deadline from any slot */
} aq_store_visitor;

/* How the store was found at start (contract.md 7.1, consensus.md 7.3). */
typedef enum { AQ_STORE_OK, AQ_STORE_FALLBACK, AQ_STORE_MISS } aq_store_state;

typedef struct aq_store {
  void *ctx;
  aq_store_state state;
  uint64_t since_ns; /* Unix time when the database was made or restored: it proves nothing about what was sent before.
                        0: for ever */
  void (*vote)(void *ctx, const aq_store_vote *v, const aq_store_blob *blob, aq_store_done done,
               void *arg); /* blob: or NULL */
  void (*decided)(void *ctx, const aq_store_decided *d, const aq_store_blob *blob, aq_store_done done, void *arg);
  /* All of the set or nothing. */
  void (*sign)(void *ctx, const aq_store_sign *s, uint32_t cnt, aq_store_done done, void *arg);
  void (*peer)(void *ctx, uint32_t peer, const char *addr); /* last good address of a peer; "" forgets. No answer */
  /* Votes, blobs, decisions, partials of older slots; never the journal. Whatever is asked for, what is within
     AQ_STORE_KEEP_SLOTS of the newest vote stays: a clock that is ahead must not forget live duties. */
  void (*prune)(void *ctx, uint64_t before_slot);
  void (*backup)(void *ctx); /* in the background */
  /* At start, blocking. from_slot UINT64_MAX: only the peers' addresses. */
  AQ_NODISCARD aq_status (*load)(void *ctx, uint64_t from_slot, const aq_store_visitor *v);
  /* At start, blocking: the chain that the beacon node is of. Recorded the first time; AQ_E_UNKNOWN, with the mend in
     err, when the journal is of another. NULL: this store keeps none (tests). */
  AQ_NODISCARD aq_status (*pin)(void *ctx, const uint8_t genesis_validators_root[32], aq_err *err);
  /* Of the AQ_E_SLASH of `sign` whose `done` is running. NULL: this store does not tell. */
  aq_store_refusal (*refusal)(void *ctx);
  /* The vote recorded under a key, behind all writes called before: AQ_OK and the vote, valid during the call, without
     its justification; AQ_E_NOTFOUND: none; AQ_E_IO. Message type 5 asks for the decision: its hash and round only. */
  void (*find)(void *ctx, aq_duty duty, uint8_t msg_type, uint64_t round, aq_store_found done, void *arg);
  /* Moves the mark since_ns: at once here, soon on the disk. No answer. */
  void (*mark)(void *ctx, uint64_t since_ns);
  /* The validator's duty is done (a beacon node took it): its partials may go. No answer. NULL: this store keeps
     none. */
  void (*over)(void *ctx, const uint8_t pubkey[48], aq_duty duty);
} aq_store;

enum { AQ_STORE_KEEP_SLOTS = 96 }; /* three epochs of a main network: attester duties live for one */

#define AQ_STORE_MARGIN_NS UINT64_C(2000000000) /* for clocks of two runs */

/* Duties that began up to this time (Unix; 0: none) may have been voted or signed for without a record here: abstain
   from them (consensus.md 7.3, contract.md 13.6). It may lie in the future when a clock was ahead: who abstains by it
   bounds it (docs/decisions/008). */
static inline uint64_t aq_store_unproven_until_ns(const aq_store *s, uint64_t started_ns) {
  uint64_t from_ns = s->state != AQ_STORE_OK ? started_ns : s->since_ns;
  uint64_t until_ns = from_ns + AQ_STORE_MARGIN_NS;
  return from_ns == 0 ? 0 : until_ns < from_ns ? UINT64_MAX : until_ns;
}

#endif
