/* exchange/parsigex.h - exchange of partial signatures between nodes. Spec: wire.md 7, core.md 9.2. Received sets are
   checked for form and their roots computed from the payload; no signature is verified here (tss does, in batches). A
   message with one bad entry is dropped as a whole. Stricter than Charon: a peer delivers its own share only, and the
   payload belongs to the duty. */
#ifndef AQ_EXCHANGE_PARSIGEX_H
#define AQ_EXCHANGE_PARSIGEX_H

#include "base/map.h"
#include "cluster/lock.h"
#include "duty/payload.h"
#include "port/env.h"
#include "port/net.h"

typedef struct {
  uint32_t validator, sub;
  uint8_t root[32]; /* signing root */
  uint8_t sig[96];
  const aq_signed_data *data;
} aq_parsigex_item;

typedef struct {
  aq_duty duty;
  uint32_t share;
  const aq_parsigex_item *item;
  uint32_t cnt;
} aq_parsigex_set;

typedef struct {
  const aq_env *env;
  const aq_net *net;
  const aq_chain *chain;
  const aq_lock *lock;
  uint32_t self;
  void *arg;
  void (*received)(void *arg, const aq_parsigex_set *set); /* valid during the call */
} aq_parsigex_cfg;

enum {
  AQ_PARSIGEX_TRIES = 5,
  AQ_PARSIGEX_KEPT_MAX = 128, /* messages: a few a slot, for as long as duties live; the oldest goes */
  AQ_PARSIGEX_KEPT_BYTES_MAX = 64 << 20
};

typedef struct aq_parsigex aq_parsigex;
aq_parsigex *aq_parsigex_new(const aq_parsigex_cfg *cfg); /* registers its handler with net */
void aq_parsigex_free(aq_parsigex *px);                   /* after the net ended what was under way */

/* To every other node, without waiting. All items have this node's share index; one subcommittee a call. It is kept
   while the duty lives (an exit, which has no deadline: for an epoch) and sent again to whoever did not get it or came
   back, at most AQ_PARSIGEX_TRIES times to each, unless a fork that we learnt of meanwhile made it invalid; receivers
   take an equal one for nothing new. */
void aq_parsigex_broadcast(aq_parsigex *px, aq_duty duty, const aq_parsig_set *set);

/* A connection to the peer was made: what is kept goes to it again, soon. */
void aq_parsigex_again(aq_parsigex *px, uint32_t peer);

/* The payload is of this duty, not of another one under its name: slot, epoch, subcommittee. */
bool aq_parsigex_belongs(const aq_chain *c, aq_duty duty, const aq_signed_data *d);
bool aq_parsigex_travels(aq_duty_type type); /* types that nodes exchange, wire.md 7.2 */

/* wire.md 7.4 steps 1 to 4 without the signature. validators: map of aq_pubkeys_init. Results live in the arena.
   AQ_E_FORMAT: not the protocol; AQ_E_STALE: over, or too far ahead; AQ_E_UNKNOWN: not of the cluster, not the
   sender's share; AQ_E_LIMIT. */
AQ_NODISCARD aq_status aq_parsigex_decode(aq_parsigex_set *out, aq_arena *a, const aq_parsigex_cfg *cfg,
                                          const aq_map *validators, uint32_t from, aq_bytes msg);
AQ_NODISCARD aq_status aq_parsigex_encode(aq_buf *out, aq_arena *a, aq_duty duty, const aq_parsig_set *set);

#endif
