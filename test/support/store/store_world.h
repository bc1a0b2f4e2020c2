/* test/support/store/store_world.h - what a store must hold, told by port/store.h and EIP-3076 alone: plain arrays and
   loops, no SQL. A world is copied by assignment; a batch that fails is undone by taking the copy back. */
#ifndef AQ_TEST_STORE_WORLD_H
#define AQ_TEST_STORE_WORLD_H

#include "port/store.h"

enum {
  WORLD_VOTES = 512,
  WORLD_BLOBS = 256,
  WORLD_DECIDED = 128,
  WORLD_SIGNS = 1024,
  WORLD_MARKS = 16,
  WORLD_PEERS = 8,
  WORLD_BATCH = 8,
  WORLD_BYTES_MAX = 300000
};

/* Bytes of a message or value: made from a number. */
typedef struct {
  uint32_t seed, len;
} world_bytes;
void world_bytes_make(uint8_t *out, world_bytes b);

typedef struct {
  aq_duty duty;
  uint8_t msg_type;
  uint64_t round, prepared;
  world_bytes msg, just;
} world_vote;

typedef struct {
  aq_duty duty;
  uint32_t hash;
  world_bytes value;
} world_blob;

typedef struct {
  aq_duty duty;
  uint64_t round;
  uint32_t hash;
  world_bytes commits;
} world_decided;

typedef struct {
  uint8_t kind, pubkey;
  aq_duty duty;
  uint32_t sub, root;
  uint64_t source, target;
} world_sign;

typedef struct {
  uint8_t kind, pubkey;
  int64_t source, target, block_slot;
} world_mark;

typedef enum { WORLD_VOTE, WORLD_DECIDE, WORLD_SIGN, WORLD_PEER, WORLD_PRUNE } world_op_kind;
typedef struct {
  world_op_kind kind;
  bool has_blob;
  world_blob blob;
  world_vote vote;
  world_decided decided;
  world_sign sign[3];
  uint32_t sign_cnt, peer, addr; /* addr 0: forget */
  uint64_t before_slot;
} world_op;

typedef struct {
  uint32_t votes, blobs, decided, signs, marks;
  world_vote vote[WORLD_VOTES];
  world_blob blob[WORLD_BLOBS];
  world_decided decision[WORLD_DECIDED];
  world_sign sign[WORLD_SIGNS];
  world_mark mark[WORLD_MARKS];
  uint32_t peer[WORLD_PEERS]; /* 0: none */
  uint64_t compacted_slot;    /* in the memory of the process that has it open */
} world;

/* Applies one call and says what the store must answer. */
aq_status world_apply(world *w, const world_op *op);

/* One number for each kind of row; equal worlds have equal sums, whatever the order. The row functions are for rows
   that come from a store. */
typedef struct {
  uint64_t vote, blob, decided, sign, mark, peer;
  uint32_t rows;
} world_sum;
world_sum world_sum_of(const world *w);
bool world_sum_eq(const world_sum *a, const world_sum *b);
uint64_t world_row_vote(const aq_store_vote *v);
uint64_t world_row_blob(const aq_store_blob *b);
uint64_t world_row_decided(const aq_store_decided *d);
uint64_t world_row_numbers(const uint64_t *v, size_t cnt);
uint64_t world_row_peer(uint32_t peer, const char *addr);

/* The call as the port takes it; bytes live until the next call of the same function. */
aq_store_vote world_port_vote(const world_vote *v);
aq_store_blob world_port_blob(const world_blob *b);
aq_store_decided world_port_decided(const world_decided *d);
aq_store_sign world_port_sign(const world_sign *s);
void world_port_addr(char out[32], uint32_t addr);

#endif
