/* consensus/votes_wire.h - bytes of /aequa/votes/1.0.0, our own protocol between aequa nodes (docs/decisions/007): a
   node tells each peer which process of its identity it is, and asks for its own newest votes as that peer saw them.
   Numbers are little endian. Request: version 1, flags, hello. Answer: version 1, flags, hello of another process of
   the asking identity (flag 1), u16 count, then u16 length and QBFTMsg for each vote. Nothing may follow, no other flag
   be set. Pure; what is read points into the input. */
#ifndef AQ_CONSENSUS_VOTES_WIRE_H
#define AQ_CONSENSUS_VOTES_WIRE_H

#include "crypto/k1.h"
#include "qbft/qbft.h"

enum {
  AQ_VOTES_ID_LEN = 16,
  AQ_VOTES_HELLO_LEN = 2 * AQ_VOTES_ID_LEN + 8 + 65,
  AQ_VOTES_REQUEST_LEN = 2 + AQ_VOTES_HELLO_LEN,
  AQ_VOTES_MAX = 256, /* four kinds of 64 duties alive: an honest cluster has fewer than 48 instances */
  AQ_VOTES_ANSWER_MAX = AQ_VOTES_REQUEST_LEN + 2 + AQ_VOTES_MAX * (2 + AQ_QBFT_RAW_MAX)
};

#define AQ_VOTES_AFTER (UINT64_C(1) << 63) /* so the greater number is the later process */

/* One process of an identity, in its own words. `sees`: one of the other processes of the identity that it was
   told of lately, by turns; zeros: none. A hello that sees the reader was signed after the reader had begun:
   nobody can know an id before. */
typedef struct {
  uint8_t id[AQ_VOTES_ID_LEN], sees[AQ_VOTES_ID_LEN];
  uint64_t started_ns; /* Unix, by its own clock; AQ_VOTES_AFTER: whom it sees was there when it began */
  uint8_t sig[65];
} aq_votes_hello;

/* cluster: what keeps hellos of one key in two clusters apart. */
void aq_votes_hello_sign(aq_votes_hello *h, const aq_k1_key *key, const uint8_t cluster[32]);
bool aq_votes_hello_ok(const aq_votes_hello *h, const uint8_t pubkey[33], const uint8_t cluster[32]);

void aq_votes_put_request(aq_buf *out, const aq_votes_hello *own, bool wants_votes);
AQ_NODISCARD aq_status aq_votes_read_request(aq_votes_hello *h, bool *wants_votes, aq_bytes in); /* AQ_E_FORMAT */

/* other: or NULL. Exactly cnt calls of aq_votes_put_vote follow. */
void aq_votes_put_answer(aq_buf *out, const aq_votes_hello *other, uint32_t cnt);
void aq_votes_put_vote(aq_buf *out, aq_bytes raw);

typedef struct {
  bool has_other;
  aq_votes_hello other;
  uint32_t cnt;
  aq_bytes rest;
} aq_votes_answer;
/* AQ_E_FORMAT, AQ_E_LIMIT: more votes or longer ones than are allowed. */
AQ_NODISCARD aq_status aq_votes_read_answer(aq_votes_answer *out, aq_bytes in);
bool aq_votes_next(aq_votes_answer *a, aq_bytes *raw); /* the votes one by one; false: no more */

#endif
