/* cluster/create.h - makes a whole cluster on one machine: validator keys, their shares, node identities, deposits,
   registrations and the signed lock (v1.11), and writes it as directories node0, node1, ... as the reference does.
   Spec: cluster.md 5.6. Blocking, for commands. Secrets lie in guarded memory until aq_cluster_free. */
#ifndef AQ_CLUSTER_CREATE_H
#define AQ_CLUSTER_CREATE_H

#include "cluster/datadir.h"
#include "cluster/deposit.h"
#include "cluster/lock.h"
#include "cluster/threshold.h"

typedef struct {
  const aq_definition
      *def; /* name, uuid, timestamp, counts, threshold, addresses, amounts, ...; operators, creator and hashes are
                               made anew: of a definition with Ethereum addresses only the rest is kept */
  const aq_network *network;
  const uint8_t (*secret)[32]; /* validator_cnt existing validator keys, NULL: generate them */
  uint64_t registration_s;     /* time stamp of the builder registrations */
} aq_cluster_cfg;

typedef struct {
  aq_lock *lock;
  const aq_network *network;
  aq_k1_key *node_key[AQ_OPERATORS_MAX];
  uint8_t (*share)[32]; /* guarded; of node n and validator v at n * validator_cnt + v */
} aq_cluster;

/* The lock has passed the same verification as on loading. */
AQ_NODISCARD aq_status aq_cluster_make(aq_cluster **out, const aq_cluster_cfg *cfg, aq_err *err);
void aq_cluster_free(aq_cluster *c);

/* Writes dir/node<i>, the lock of each last, so that an interrupted run leaves no usable half. AQ_E_EXISTS when a
   node directory has a key or lock already. */
AQ_NODISCARD aq_status aq_cluster_write(const aq_cluster *c, const char *dir, bool insecure_keys, aq_err *err);

/* A random version-4 UUID, upper case. */
void aq_uuid_random(char out[37]);

#endif
