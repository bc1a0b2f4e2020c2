/* qbft/qbft_wire.h - QBFT messages as bytes: decode with every check of consensus.md 4.6, encode, hash, sign,
   verify. Order of the checks is ours: everything cheap before any signature, votes apart from values. No lock
   knowledge but the node count and the identity keys. Limits: 32 MiB a message, 2n justifications, 2(justifications +
   1) values, AQ_QBFT_RAW_MAX a QBFTMsg. */
#ifndef AQ_QBFT_QBFT_WIRE_H
#define AQ_QBFT_QBFT_WIRE_H

#include "base/arena.h"
#include "crypto/k1.h"
#include "duty/duty.h"
#include "eth/chain.h"
#include "qbft/qbft.h"

enum { AQ_QBFT_MSG_MAX = 32 << 20, AQ_QBFT_VALUES_MAX = 2 * (AQ_QBFT_JUST_MAX + 1) };

/* Verdict on a received message; names are those of consensus.md 4.6. */
#define AQ_QBFT_WIRE_MAP(X)                             \
  X(OK, "accepted")                                     \
  X(MALFORMED, "missing_field")                         \
  X(BAD_TYPE, "bad_type")                               \
  X(BAD_DUTY_TYPE, "bad_duty_type")                     \
  X(BAD_ROUND, "bad_round")                             \
  X(ROUND_OOB, "round_oob")                             \
  X(BAD_PREPARED_ROUND, "bad_prepared_round")           \
  X(BAD_PEER_INDEX, "bad_peer_index")                   \
  X(BAD_SIGNATURE, "bad_signature")                     \
  X(GATED_DUTY, "gated_duty")                           \
  X(TOO_MANY_JUSTIFICATIONS, "too_many_justifications") \
  X(TOO_MANY_VALUES, "too_many_values")                 \
  X(TOO_LONG, "too_long")                               \
  X(DUTY_DIFFERS, "duty_differs")                       \
  X(VALUE_MISSING, "value_missing")                     \
  X(EXPIRED, "expired_or_exempt")                       \
  X(UNSCHEDULED, "unscheduled_duty")
typedef enum {
#define X(name, text) AQ_QBFT_WIRE_##name,
  AQ_QBFT_WIRE_MAP(X)
#undef X
      AQ_QBFT_WIRE_CNT
} aq_qbft_wire_code;
const char *aq_qbft_wire_name(aq_qbft_wire_code c);
const char *aq_qbft_wire_result(aq_qbft_wire_code c); /* label `result` of qbft_msg_verified_total */

#define AQ_QBFT_INFO_URL "type.googleapis.com/core.corepb.v1.PriorityResult"

typedef struct {
  aq_bytes type_url, value;
} aq_qbft_any;

typedef struct {
  aq_duty duty;
  aq_qbft_msg msg; /* with justification; raw is the canonical encoding */
  bool nested;     /* the verdict is about a justification */
  uint32_t any_cnt;
  const aq_qbft_any *any; /* as received */
} aq_qbft_wire;

typedef struct {
  uint32_t n;
  const aq_chain *chain;
  uint64_t now_ns;
} aq_qbft_wire_ctx;

/* Everything but signatures and values. Lives in the arena; in may go afterwards. */
aq_qbft_wire_code aq_qbft_wire_decode(aq_qbft_wire *out, aq_arena *a, const aq_qbft_wire_ctx *ctx, aq_bytes in);

/* Signatures found good, so that a message met again inside others costs no curve arithmetic. Caller memory, zeroed. */
enum { AQ_QBFT_CACHE_MAX = 4096 };
typedef struct {
  uint8_t key[AQ_QBFT_CACHE_MAX][32];
} aq_qbft_cache;

/* Which signatures of a message are to be checked: its own, then those of its justification. */
typedef struct {
  uint32_t cnt;
  bool is[1 + AQ_QBFT_JUST_MAX];
} aq_qbft_fresh;
void aq_qbft_wire_look(aq_qbft_fresh *out, const aq_qbft_wire *w, const aq_qbft_cache *cache);
/* All of them were found good. */
void aq_qbft_cache_learn(aq_qbft_cache *cache, const aq_qbft_wire *w, const aq_qbft_fresh *fresh);

/* Signature of one message (raw) by its `from`. On any thread, so is the next one. */
bool aq_qbft_wire_verify_one(aq_arena *a, const aq_qbft_msg *m, const uint8_t (*pubkey)[33]);
/* OK or BAD_SIGNATURE, of those that are fresh. The arena is scratch. */
aq_qbft_wire_code aq_qbft_wire_verify(aq_qbft_wire *w, aq_arena *a, const uint8_t (*pubkey)[33],
                                      const aq_qbft_fresh *fresh);

/* Digest that is signed: the message without field 8, unknown fields kept (consensus.md 4.5). False: not a QBFTMsg. */
bool aq_qbft_digest(aq_hash *out, aq_arena *a, aq_bytes raw);

/* The signed QBFTMsg of an own message; length. */
size_t aq_qbft_wire_sign(uint8_t out[AQ_QBFT_RAW_MAX], const aq_k1_key *key, aq_duty duty, const aq_qbft_msg *m);

/* One justification as it stands in a QBFTConsensusMsg; a list of them is what the journal keeps. Own messages (raw
   empty) are signed on the way. */
void aq_qbft_wire_put_just(aq_buf *out, const aq_k1_key *key, aq_duty duty, const aq_qbft_msg *m);
/* Reads such a list, or with one element a QBFTMsg alone (list false). From our own journal: checked, but not its
   signatures. *duty is that of all elements. */
AQ_NODISCARD aq_status aq_qbft_wire_read(aq_qbft_msg *out, uint32_t *cnt, uint32_t max, aq_duty *duty, aq_arena *a,
                                         uint32_t n, aq_bytes in, bool list);
/* QBFTConsensusMsg = message, justifications, values; parts in this order. */
void aq_qbft_wire_put_msg(aq_buf *out, aq_bytes raw);
void aq_qbft_wire_put_value(aq_buf *out, aq_duty_type type, aq_bytes canonical);

/* ---- values, consensus.md 4.4 ---- */

/* Appends the canonical bytes of a received value of the duty type and gives their hash. AQ_E_FORMAT: other type url,
   or not decodable. */
AQ_NODISCARD aq_status aq_qbft_value_canon(aq_buf *out, aq_hash *hash, aq_arena *a, aq_duty_type type,
                                           const aq_qbft_any *in);
/* Canonical bytes of an own set. */
AQ_NODISCARD aq_status aq_qbft_value_encode(aq_buf *out, aq_hash *hash, aq_arena *a, const aq_unsigned_set *set);

#endif
