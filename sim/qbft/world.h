/* sim/qbft/world.h - the simulated cluster, shared by qbft_sim.c (events, nodes, journal), qbft_liar.c (the
   adversary) and qbft_check.c (the invariants). Private. */
#ifndef AQ_SIM_QBFT_WORLD_H
#define AQ_SIM_QBFT_WORLD_H

#include "qbft/qbft.h"
#include "sim/qbft/sim.h"
#include "fake/rng.h"

enum {
  WORLD_NODES_MAX = AQ_QBFT_SIM_NODES_MAX,
  WORLD_SEEN_MAX = 4096,
  WORLD_LOCKS_MAX = 1024,
  WORLD_VALUES = 200, /* values from 100 on are not valid (consensus.md 5.1) */
  WORLD_INVALID_FROM = 100
};

#define WORLD_MS UINT64_C(1000) /* time is in microseconds */

/* A message on the wire, with its justification; shared by all that hold it. */
typedef struct {
  uint32_t refs;
  aq_qbft_msg m;
  aq_qbft_msg just[];
} packet;

typedef enum {
  EV_START,
  EV_VALUE,
  EV_TIMER,
  EV_PACKET,
  EV_STORED,
  EV_VERDICT,
  EV_CRASH,
  EV_RESTART,
  EV_LIE
} event_kind;

typedef struct {
  uint64_t at, seq;
  event_kind kind;
  uint32_t node, life;
  packet *p;
  int64_t round;
  aq_hash value;
  bool honest; /* packet: as an honest node sent it; verdict: valid */
  uint32_t peers;
} event;

/* What lies in the journal, or is on its way there. */
typedef struct {
  packet *p;
  bool durable;
} record;

typedef struct {
  aq_qbft *q;
  void *mem, *store;
  uint32_t life;
  bool up, liar, away, lost_store, has_value, decided; /* away: for the whole run */
  uint64_t journal_at;                                 /* when the latest record lands */
  record *rec;
  uint32_t rec_cnt, rec_cap;
  aq_qbft_msg *sent; /* what left, for consensus.md S1 and S3 */
  uint32_t sent_cnt, sent_cap;
  int64_t decided_round;
  uint64_t decided_at;
  int64_t told[WORLD_NODES_MAX], told_honestly[WORLD_NODES_MAX]; /* highest ROUND-CHANGE of each, in this life */
} node;

typedef struct {
  int64_t round;
  aq_hash value;
  uint32_t committed; /* who sent C(round, value) */
} lock;

typedef struct {
  fake_rng rng;
  bool trace;
  uint32_t n, quorum, faulty, away, shift; /* leader(r) = (shift + r) mod n */
  uint64_t now, seq, heal_at, end_at;
  event *heap;
  size_t heap_cnt, heap_cap;
  node node[WORLD_NODES_MAX];
  uint32_t liars, crashes_left;
  bool eager_timer, all_honest;
  uint32_t loss_pct, double_pct, delay_max_ms, store_max_ms, part_pct;
  uint32_t side; /* mask: nodes on one side of the partition */
  uint64_t part_from, part_until;
  packet *seen[WORLD_SEEN_MAX];
  uint32_t seen_cnt, seen_next;
  int64_t round_max;
  bool proposed[WORLD_VALUES], input[WORLD_VALUES];
  lock locks[WORLD_LOCKS_MAX];
  uint32_t lock_cnt;
  bool any_decided;
  aq_hash decided_value;
  aq_qbft_sim_result *out;
} world;

/* qbft_sim.c */
uint64_t world_random(world *w, uint64_t below); /* 0 <= result < below */
bool world_chance(world *w, uint32_t pct);
void world_send(world *w, packet *p, uint32_t to, uint64_t after, bool honest); /* takes no reference */
uint32_t world_leader(const void *arg, int64_t round);
aq_hash world_value(uint32_t v);
uint32_t world_value_number(const aq_hash *h);
void world_fail(world *w, const char *fmt, ...);
const char *world_describe(const aq_qbft_msg *m); /* static buffer */

/* qbft_packet.c */
packet *packet_new(const aq_qbft_msg *m); /* copies the justification, one level; one reference */
void packet_drop(packet *p);

/* qbft_liar.c */
void liar_act(world *w, uint32_t self);

/* qbft_check.c */
void check_released(world *w, uint32_t from, const aq_qbft_msg *m, bool again); /* an honest node's vote leaves */
void check_lie(world *w, const aq_qbft_msg *m);
void check_accepted(world *w, uint32_t at, const aq_qbft_msg *pre_prepare);
void check_unjust(world *w, uint32_t at, const aq_qbft_msg *m, bool honest);
void check_decided(world *w, uint32_t at, const aq_qbft_msg *decided);
void check_restored(world *w, uint32_t at);
void check_jump(world *w, uint32_t at, int64_t from, int64_t to);
void check_followed(world *w, uint32_t at);
void check_end(world *w);

#endif
