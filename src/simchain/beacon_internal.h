/* simchain/beacon_internal.h - state of the simulated chain, shared by its files. */
#ifndef AQ_SIMCHAIN_BEACON_INTERNAL_H
#define AQ_SIMCHAIN_BEACON_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "codec/json.h"
#include "crypto/bls.h"
#include "crypto/hash.h"
#include "duty/payload.h"
#include "http/router.h"
#include "simchain/beacon.h"

enum {
  AQ_SIM_BODY_MAX = 64 << 20,
  AQ_SIM_SMALL_MAX = 64 << 10, /* answers that do not grow with the validators, bodies of /sim */
  AQ_SIM_BLOCK_MAX = 1 << 20,  /* SSZ: blocks here are nearly empty */
  AQ_SIM_OBJECT_MAX = 4096,    /* SSZ of an attestation or exit */
  AQ_SIM_FAULTS_MAX = 16,
  AQ_SIM_VOTES_MAX = 4096, /* attestations remembered a validator; the oldest goes */
  AQ_SIM_STREAMS_MAX = 64,
  AQ_SIM_COMMITTEES_MAX = 4, /* a slot */
  AQ_SIM_ORPHANS_MAX = 64,
  AQ_SIM_BIDS_MAX = 256,  /* a relay */
  AQ_SIM_MISSES_MAX = 256 /* slots listed in /sim/stats */
};

typedef struct {
  uint64_t slot, proposer;
  uint8_t root[32], parent[32];
  aq_fork fork;
  aq_buf ssz; /* signed block */
} aq_sim_block;

/* A vote of a validator whose signature was valid, for the slashing check. */
typedef struct {
  uint64_t source, target;
  uint8_t root[32]; /* of the data */
} aq_sim_vote;

typedef struct {
  aq_bls_pk pk;
  aq_sim_vote *vote;
  uint32_t vote_cnt;
  uint8_t fee_recipient[20];
  uint64_t lost_slot; /* of its newest blinded block without a payload; 0: none */
  uint8_t lost_root[32];
  uint64_t seen[4]; /* by epoch mod 4: slot of the counted attestation, plus one */
  bool leaves;      /* its exit was taken */
} aq_sim_validator;

typedef struct {
  uint32_t slot_off, committee, position; /* in its epoch */
} aq_sim_seat;

/* Seats of an epoch: which validator attests where. */
typedef struct {
  uint64_t epoch;
  uint8_t root[32]; /* that they depend on: the fork choice may leave it */
  bool filled;
  aq_sim_seat *seat; /* by validator */
  uint32_t *order;   /* validators in shuffled order */
} aq_sim_epoch;

typedef enum { AQ_FAULT_ERROR, AQ_FAULT_LATE, AQ_FAULT_DROP, AQ_FAULT_WRONG } aq_fault_mode;
typedef struct {
  char path[96]; /* part of the path */
  aq_fault_mode mode;
  uint64_t ms;
  uint32_t left; /* times; 0: free row */
} aq_sim_fault;

typedef struct {
  aq_list link;
  aq_http_res *res;
  const aq_http_server_vt *vt;
  struct aq_beacon *b;
  bool head, block, reorg;
} aq_sim_stream;

struct aq_beacon {
  aq_beacon_cfg cfg;
  aq_http_handler handler;
  aq_chain chain;
  aq_sim_validator *validator;
  aq_sim_epoch epoch[4]; /* by epoch mod 4 */
  aq_sim_block **block;  /* by slot; grows */
  size_t block_cap;
  aq_sim_block *orphan[AQ_SIM_ORPHANS_MAX]; /* what the fork choice left, the newest ones: still found by root */
  uint32_t orphan_next;
  uint8_t genesis_root[32];
  uint64_t head_slot; /* of the newest block; 0: genesis */
  aq_list calls, streams;
  uint32_t stream_cnt;
  aq_sim_fault fault[AQ_SIM_FAULTS_MAX];
  aq_timer slot_timer;
  uint64_t leak_from, leak_until; /* epochs */
  uint64_t checked_slot;          /* misses are counted up to here, exclusive */
  uint64_t counted_from;          /* slot: duties of earlier ones are neither done nor missed */
  uint64_t first_slot;            /* in which it was started, without the blocks of before; 0: at genesis */
  uint64_t missed_att[AQ_SIM_MISSES_MAX], missed_block[AQ_SIM_MISSES_MAX];
  uint32_t missed_att_cnt, missed_block_cnt;
  char last_bad[200];
  uint32_t jobs; /* verifications under way: freed when they are back */
  bool closing;
  aq_beacon_stats stats;
};

enum {
  AQ_SIM_V2 = 1, /* the version of a route that has others */
  AQ_SIM_V3 = 2,
  AQ_SIM_BLINDED = 4,
  AQ_SIM_CONTROL = 8 /* ours, not the beacon API's: faults spare it */
};

typedef struct aq_sim_call aq_sim_call;
typedef struct {
  aq_route route;
  void (*handle)(aq_sim_call *c);
  unsigned flags;
} aq_sim_route;

/* One request until its answer. */
struct aq_sim_call {
  aq_list link;
  aq_beacon *b;
  const aq_sim_route *route; /* NULL: none */
  const aq_http_req *req;
  aq_http_res *res;
  const aq_http_server_vt *vt;
  char param[AQ_HTTP_PARAMS_MAX][AQ_HTTP_PARAM_MAX + 1];
  aq_timer timer; /* late answers */
  void (*late)(aq_sim_call *c);
  bool gone;
  uint32_t jobs; /* verifications under way; the call lives as long */
  uint32_t bad;
  int code; /* of its answer, when something is bad; 0: 400 */
};

/* answers; each frees the call */
void aq_sim_answer(aq_sim_call *c, int code, const char *type, aq_bytes body);
void aq_sim_json(aq_sim_call *c, aq_buf *body); /* 200; frees body */
void aq_sim_error(aq_sim_call *c, int code, const char *text);
void aq_sim_ok(aq_sim_call *c);
void aq_sim_call_free(aq_sim_call *c);
void aq_sim_destroy(aq_beacon *b); /* closing, and the last job is back */

/* chain.c */
uint64_t aq_sim_now_slot(const aq_beacon *b);
void aq_sim_block_free(aq_sim_block *block);                            /* or NULL */
const aq_sim_block *aq_sim_block_at(const aq_beacon *b, uint64_t slot); /* NULL: none */
const uint8_t *aq_sim_root_at(const aq_beacon *b, uint64_t slot);       /* newest block at or before the slot */
/* What the duties of an epoch depend on: the newest block before the epoch before it (attesters, from Fulu on
   proposers), or before it (proposers, and always by v1 of their route). */
const uint8_t *aq_sim_attester_root(const aq_beacon *b, uint64_t epoch);
const uint8_t *aq_sim_proposer_root(const aq_beacon *b, uint64_t epoch);
const uint8_t *aq_sim_proposer_root_v1(const aq_beacon *b, uint64_t epoch);
const aq_sim_epoch *aq_sim_seats(aq_beacon *b, uint64_t epoch); /* valid until the next call */
uint32_t aq_sim_committees(const aq_beacon *b);
uint32_t aq_sim_committee_size(const aq_beacon *b, uint32_t slot_off, uint32_t committee);
uint64_t aq_sim_proposer(const aq_beacon *b, uint64_t slot);
void aq_sim_att_data(const aq_beacon *b, uint64_t slot, uint64_t index, aq_att_data *out);
AQ_NODISCARD aq_status aq_sim_make_block(aq_beacon *b, uint64_t slot, const uint8_t randao[96],
                                         const uint8_t graffiti[32], aq_buf *out);
void aq_sim_add_block(aq_beacon *b, const aq_beacon_block *block);
void aq_sim_event(aq_beacon *b, const char *topic, const char *json);

/* blind.c: blocks of the builder. Plain, without blobs. */
bool aq_sim_bids(const aq_beacon *b, uint64_t slot);
/* The blinded block of a full one, with the payload of a new bid. */
AQ_NODISCARD aq_status aq_sim_blind(aq_beacon *b, aq_fork fork, aq_bytes block, aq_buf *out);
/* The signed block of a signed blinded one; anything but AQ_REVEAL_YES: nothing was appended. */
aq_reveal aq_sim_unblind(aq_beacon *b, aq_fork fork, aq_bytes signed_blinded, aq_buf *out);

/* handlers */
void aq_sim_post_attestations(aq_sim_call *c);
void aq_sim_post_block(aq_sim_call *c);
void aq_sim_post_exit(aq_sim_call *c);
extern const aq_routes aq_sim_routes; /* of aq_sim_route */
void aq_sim_bad(aq_beacon *b, const char *why, uint64_t slot, uint64_t validator);

#endif
