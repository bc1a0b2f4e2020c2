/* simchain/beacon.h - the simulated chain as a core over port/http: one beacon node for a whole test network. It
   answers what nodes and validator clients ask, verifies every signature it is sent under the validators' real keys,
   counts what was done, missed, refused and slashable, and misbehaves on request. Duties depend on a block root, as on
   the real chain: who leaves that block moves them. With a relay it takes the bids of a builder and hands out blinded
   blocks. Not a consensus client: no execution layer, no peers, empty blocks, every valid message counts. Spec:
   core.md 12 and 15, beacon-APIs, builder-specs. */
#ifndef AQ_SIMCHAIN_BEACON_H
#define AQ_SIMCHAIN_BEACON_H

#include "duty/payload.h"
#include "port/env.h"
#include "port/http.h"

typedef struct {
  uint64_t slot, proposer;
  uint8_t root[32], parent[32];
  aq_fork fork;
  bool blinded; /* it was sent so */
  aq_bytes ssz; /* signed block; empty: a block of others whose content nobody asks for, or whose payload nobody has */
} aq_beacon_block;

/* Sees each message whose signature is right, before the rest of it is judged, and each whose signature is wrong. */
typedef struct {
  void *arg;
  void (*attested)(void *arg, uint64_t validator, const aq_att_data *data, const uint8_t root[32]);
  void (*proposed)(void *arg, const aq_beacon_block *block);
  void (*forged)(void *arg, uint64_t slot, uint64_t validator);
  void (*told)(void *arg, uint64_t epoch); /* duties of that epoch are handed out; NULL: nobody wants to know */
  void (*exited)(void *arg, uint64_t validator, uint64_t epoch, bool valid); /* right or wrong; or NULL */
} aq_beacon_watch;

/* A builder and its relay, which the beacon nodes of a chain may share: each question gets a bid of its own, whose
   payload is kept. The newest 256 of them. */
typedef struct aq_relay aq_relay;
aq_relay *aq_relay_new(void);
void aq_relay_free(aq_relay *r); /* after its beacon nodes and their jobs; or NULL */

typedef enum {
  AQ_REVEAL_YES,
  AQ_REVEAL_UNKNOWN, /* this beacon node cannot find who made the bid: 400 */
  AQ_REVEAL_NO       /* the relay keeps the payload for itself: 502 */
} aq_reveal;

/* A beacon node's way to the relay. Asked for each block and each blinded block that was sent. */
typedef struct {
  aq_relay *relay;
  void *arg;
  bool (*bids)(void *arg, uint64_t slot);         /* NULL: always */
  aq_reveal (*reveals)(void *arg, uint64_t slot); /* NULL: always */
} aq_beacon_builder;

typedef struct {
  const aq_env *env;
  const uint8_t (*pubkey)[48]; /* all validators of the chain, active from genesis; borrowed */
  uint32_t validator_cnt;
  uint64_t genesis_ns, slot_ns;
  uint64_t slots_per_epoch;
  uint8_t genesis_version[4]; /* fork i gets the version with i added to the first byte, as known test networks do */
  uint64_t fork_epoch[AQ_FORK_CNT]; /* AQ_FAR_EPOCH: never */
  const aq_beacon_watch *watch;     /* borrowed; NULL: nobody */
  const aq_beacon_builder *builder; /* borrowed; NULL: none, all blocks are full */
} aq_beacon_cfg;

/* Faults, from the options and from POST /sim/fault
   {"path":"attestation_data","mode":"error|late|wrong|drop","ms":500,"count":3}.
   A fork that is scheduled while the chain runs: POST /sim/fork {"fork":"fulu","epoch":"3"}.
   Duties are counted from a slot on, which has not begun: POST /sim/count {"slot":"3"}. */

typedef struct {
  uint64_t attestations_ok, attestations_missed, attestations_late;
  uint64_t blocks_ok, blocks_missed;
  uint64_t bad, slashable, duplicates, exits;
} aq_beacon_stats;

typedef struct aq_beacon aq_beacon;
aq_beacon *aq_beacon_new(const aq_beacon_cfg *cfg); /* NULL: a public key is no point of the curve */
void aq_beacon_free(aq_beacon *b);
void aq_beacon_start(aq_beacon *b);
const aq_http_handler *aq_beacon_handler(
    aq_beacon *b); /* also GET /sim/stats: JSON of the counts, per validator and slot lists of misses */
/* Duties of earlier slots are neither done nor missed: a network counts once all of it is up. What is wrong or
   slashable counts at any time. False: the slot has begun. */
AQ_NODISCARD bool aq_beacon_count_from(aq_beacon *b, uint64_t slot);
/* For chains of several beacon nodes. A block that another one had: not verified; it takes the place of another at its
   slot. And one that the fork choice leaves. Both tell the subscribers. */
void aq_beacon_import(aq_beacon *b, const aq_beacon_block *block);
void aq_beacon_orphan(aq_beacon *b, uint64_t slot);
/* No epoch from `from` on to the one before `until` gets another source than the one that epoch `from` - 1 had: the
   chain justifies nothing. One such span at a time. */
void aq_beacon_unjustified(aq_beacon *b, uint64_t from, uint64_t until);
uint64_t aq_beacon_justified(const aq_beacon *b, uint64_t epoch); /* source epoch of that epoch's votes */
const uint8_t *aq_beacon_genesis(const aq_beacon *b);             /* root before all blocks */
uint64_t aq_beacon_proposer(const aq_beacon *b, uint64_t slot);
/* The schedule changes, as when a beacon node is upgraded. AQ_FAR_EPOCH: never. */
void aq_beacon_schedule(aq_beacon *b, aq_fork fork, uint64_t epoch);
/* The chain has an exit of the validator that another beacon node was sent. */
void aq_beacon_leaves(aq_beacon *b, uint64_t validator);
/* A restart: streams end, and what validators prepared is forgotten. The chain stays. */
void aq_beacon_restart(aq_beacon *b);
/* Slot of the epoch in which a validator attests. */
uint64_t aq_beacon_attests_at(aq_beacon *b, uint64_t epoch, uint64_t validator);
void aq_beacon_stats_get(const aq_beacon *b, aq_beacon_stats *out);

#endif
