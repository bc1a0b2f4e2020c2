/* cluster/pubkeys.h - group public keys of the lock to their index, by hash. Header only. */
#ifndef AQ_CLUSTER_PUBKEYS_H
#define AQ_CLUSTER_PUBKEYS_H

#include "base/map.h"
#include "cluster/lock.h"
#include "port/env.h"

/* The values are pointers into the lock's validators: their distance is the index. */
static inline aq_status aq_pubkeys_init(aq_map *m, const aq_env *env, const aq_lock *lock) {
  uint8_t seed[16];
  aq_random(env, seed, sizeof seed);
  aq_map_init(m, 48, lock->validator_cnt, seed);
  for (uint32_t i = 0; i < lock->validator_cnt; i++) {
    aq_status st = aq_map_put(m, lock->validators[i].pubkey, &lock->validators[i]);
    if (st) return st;
  }
  return AQ_OK;
}

/* -1: not of the cluster. */
static inline int64_t aq_pubkeys_index(const aq_map *m, const aq_lock *lock, const uint8_t pubkey[48]) {
  const aq_dist_validator *v = aq_map_get(m, pubkey);
  return v ? (int64_t)(v - lock->validators) : -1;
}

#endif
