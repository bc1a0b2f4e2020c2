/* eth/chain.h - the schedule of one chain, domains and signing roots. Spec: core.md 5 and 13.8,
   cluster.md 4.4 and 4.6. Pure. */
#ifndef AQ_ETH_CHAIN_H
#define AQ_ETH_CHAIN_H

#include "base/bytes.h"
#include "eth/clock.h"
#include "eth/fork.h"

#define AQ_FAR_EPOCH UINT64_MAX

typedef struct {
  uint64_t epoch; /* AQ_FAR_EPOCH: not scheduled */
  uint8_t version[4];
} aq_fork_at;

/* What a node knows of its chain, from the beacon node's genesis, spec and fork_schedule. */
typedef struct {
  aq_clock clock;
  uint8_t genesis_version[4]; /* of the lock's network; used by builder registrations and deposits */
  uint8_t capella_version[4]; /* EIP-7044; zero when there is none yet: the version active at the exit's epoch then */
  uint8_t genesis_validators_root[32];
  aq_fork_at fork[AQ_FORK_CNT];
  uint64_t epochs_per_sync_period;           /* 256 */
  uint64_t target_aggregators_per_committee; /* 16 */
  uint64_t sync_committee_size;              /* 512 */
} aq_chain;

aq_fork aq_chain_fork_at(const aq_chain *c, uint64_t epoch); /* the newest fork with epoch <= this one */

/* A known network by name, genesis fork version or chain id; NULL when unknown. */
typedef struct {
  const char *name;
  uint64_t chain_id;
  uint8_t genesis_version[4], capella_version[4];
  uint64_t genesis_time_s, slot_s;
  const char *genesis_validators_root; /* 64 hex digits; NULL: not known (a custom network) */
  bool valuable;                       /* what is staked there is worth money */
} aq_network;
const aq_network *aq_network_by_name(const char *name);
const aq_network *aq_network_by_version(const uint8_t version[4]);

typedef enum {
  AQ_DOMAIN_BEACON_PROPOSER = 0x00000000,
  AQ_DOMAIN_BEACON_ATTESTER = 0x01000000,
  AQ_DOMAIN_RANDAO = 0x02000000,
  AQ_DOMAIN_DEPOSIT = 0x03000000,
  AQ_DOMAIN_VOLUNTARY_EXIT = 0x04000000,
  AQ_DOMAIN_SELECTION_PROOF = 0x05000000,
  AQ_DOMAIN_AGGREGATE_AND_PROOF = 0x06000000,
  AQ_DOMAIN_SYNC_COMMITTEE = 0x07000000,
  AQ_DOMAIN_SYNC_SELECTION_PROOF = 0x08000000,
  AQ_DOMAIN_CONTRIBUTION_AND_PROOF = 0x09000000,
  AQ_DOMAIN_APPLICATION_BUILDER = 0x00000001
} aq_domain_type; /* the four bytes as written, big endian */

void aq_compute_domain(uint8_t out[32], aq_domain_type type, const uint8_t version[4],
                       const uint8_t genesis_validators_root[32]);
void aq_signing_root(uint8_t out[32], const uint8_t object_root[32], const uint8_t domain[32]);
/* Signing root on this chain: domain of the type at the epoch, with the exceptions for exits and registrations. */
void aq_chain_signing_root(uint8_t out[32], const aq_chain *c, aq_domain_type type, uint64_t epoch,
                           const uint8_t object_root[32]);

#endif
