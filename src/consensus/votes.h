/* consensus/votes.h - what peers know of us (docs/decisions/007): before this process votes for a duty that was alive
   when it began, it asks each peer for its own newest votes, since a store that was put back does not know what it
   lacks. And each slot it tells them which process it is, so that two live ones of one identity learn of each other.
   Private to the component. */
#ifndef AQ_CONSENSUS_VOTES_H
#define AQ_CONSENSUS_VOTES_H

#include "base/list.h"
#include "consensus/votes_wire.h"
#include "port/env.h"
#include "qbft/qbft_wire.h"

struct aq_consensus;
struct aq_instance;

enum {
  AQ_VOTES_ASK_MS = 2000, /* that long a duty waits for the peers' answers */
  AQ_VOTES_GIVEN_MAX = 8, /* a peer gets its votes so often in a window: once a start, and an answer may have 64 KiB */
  AQ_VOTES_WINDOW_S = 10,
  AQ_VOTES_OTHER_SLOTS = 4, /* a process not heard for so long is gone */
};

/* The newest vote of each kind of one node in one duty, as it was signed. */
typedef struct {
  struct {
    int64_t round; /* 0: none */
    uint16_t len;
    uint8_t raw[AQ_QBFT_RAW_MAX];
  } of[AQ_QBFT_ROUND_CHANGE];
} aq_votes_seen;

typedef struct {
  aq_votes_hello hello;
  uint64_t at_ns; /* monotonic; 0: none */
} aq_votes_heard;

/* A request under way; the net answers each one, the component may be gone then. */
typedef struct {
  aq_list node;
  struct aq_consensus *c; /* NULL: gone */
  uint32_t peer;
} aq_votes_asked;

typedef struct {
  bool asks;                     /* a request is under way */
  uint64_t window_ns;            /* monotonic */
  uint32_t given;                /* in that window */
  aq_votes_heard newest, before; /* the processes of its identity that said hello last */
  aq_votes_heard told;           /* the process of ours that it told of last */
  bool answered, found_one;
  uint8_t found[AQ_VOTES_ID_LEN]; /* whom it told of in its first answer, soon after our start */
} aq_votes_peer;

typedef struct {
  aq_votes_hello own;
  uint64_t started_ns;
  uint32_t turn; /* the peer whose word own.sees follows */
  uint8_t cluster[32];
  aq_votes_peer peer[AQ_QBFT_NODES_MAX];
  aq_list asked;
  uint32_t waiting; /* peers whose first answer is due */
  bool asking;      /* duties that were alive at the start wait */
  bool earlier_told;
  uint64_t stale_ns; /* a peer showed a vote that the store lacks, Unix; 0: none did */
  aq_timer limit, period;
} aq_votes;

void aq_votes_init(struct aq_consensus *c);
void aq_votes_free(struct aq_consensus *c);
void aq_votes_ask(struct aq_consensus *c); /* at the start, after the journal was read */
bool aq_votes_must_wait(const struct aq_consensus *c, aq_duty duty);
/* A message whose signatures are good: what it shows of others is kept for them. */
void aq_votes_note(struct aq_instance *in, const aq_qbft_msg *m);
/* A peer showed a vote of ours that the journal lacks. */
void aq_votes_stale(struct aq_consensus *c, aq_duty duty, const aq_qbft_msg *m, uint32_t peer);

#endif
