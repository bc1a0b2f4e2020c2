/* cluster/lock.h - cluster definitions and locks of every version (v1.0 to v1.11): parse, verify, write. Spec:
   cluster.md 2. A lock that loaded with verification is trusted by everything above; its strings and arrays live in
   its own arena. */
#ifndef AQ_CLUSTER_LOCK_H
#define AQ_CLUSTER_LOCK_H

#include "base/arena.h"
#include "crypto/bls.h"
#include "crypto/hash.h"
#include "eth/chain.h"

enum { AQ_LOCK_BYTES_MAX = 32 << 20, AQ_OPERATORS_MAX = 32, AQ_VALIDATORS_MAX = 10000 };

typedef struct {
  const char *address; /* EIP-55 or "" */
  const char *enr;
  aq_bytes config_sig, enr_sig;
  uint8_t pubkey[33]; /* from the ENR */
} aq_operator;

typedef struct {
  const char *fee_recipient, *withdrawal; /* addresses of the definition */
} aq_validator_address;

typedef struct {
  const char *name, *uuid, *version, *timestamp, *dkg_algorithm, *consensus_protocol;
  uint8_t fork_version[4];
  uint32_t threshold, validator_cnt, operator_cnt;
  aq_operator *operators;
  aq_validator_address *addresses;
  const char *creator_address;
  aq_bytes creator_config_sig;
  const uint64_t *deposit_amounts; /* Gwei */
  uint32_t deposit_amount_cnt;
  uint64_t target_gas_limit;
  bool compounding;
  uint8_t config_hash[32], definition_hash[32];
  int minor; /* 0..11 */
} aq_definition;

typedef struct {
  uint8_t pubkey[48]; /* amount, credentials and signature as in deposit data */
  uint8_t withdrawal_credentials[32];
  uint64_t amount;
  uint8_t signature[96];
} aq_deposit;

typedef struct {
  uint8_t fee_recipient[20];
  uint64_t gas_limit, timestamp;
  uint8_t pubkey[48];
  uint8_t signature[96];
} aq_registration;

typedef struct {
  uint8_t pubkey[48];   /* group public key */
  uint8_t (*share)[48]; /* public shares, by operator index */
  uint32_t share_cnt;   /* operator_cnt in a lock that verified */
  aq_deposit *deposits;
  uint32_t deposit_cnt;
  bool has_registration, has_override;
  aq_registration registration, override; /* override: a newer one, not of the file (overrides.h) */
} aq_dist_validator;

typedef struct {
  aq_arena arena;
  aq_definition def;
  aq_dist_validator *validators;
  uint32_t validator_cnt;
  uint8_t lock_hash[32];
  char lock_hash_text[67]; /* as in the file */
  uint8_t signature_aggregate[96];
  bool has_aggregate;
  aq_bytes *node_signatures; /* v1.7 on: one a node, 65 bytes */
  uint32_t node_signature_cnt;
} aq_lock;

typedef struct {
  bool no_verify;            /* --no-verify: hashes and signatures are checked, failures only reported in err */
  const aq_network *network; /* custom network that goes before the built-in ones (cluster.md 4.6), NULL: none */
} aq_lock_opts;

/* Parses and verifies in the order of cluster.md 2.11; the first failure wins and err is one line "stage: reason"
   with the stages of that section. Addresses that are smart contracts (EIP-1271) cannot be checked here:
   AQ_E_UNSUPPORTED with a line that says so. opts may be NULL. */
AQ_NODISCARD aq_status aq_lock_load(aq_lock **out, aq_bytes json, const aq_lock_opts *opts, aq_err *err);
void aq_lock_free(aq_lock *l);
AQ_NODISCARD aq_status aq_definition_load(aq_lock **out, aq_bytes json, aq_err *err); /* a lock with no validators */
AQ_NODISCARD aq_status aq_definition_load_with(aq_lock **out, aq_bytes json, const aq_lock_opts *opts, aq_err *err);
/* The network of a definition: `custom` when its version matches, else a built-in one, else NULL. */
const aq_network *aq_definition_network(const aq_definition *d, const aq_network *custom);

/* Writes JSON as Charon does, byte for byte for files it wrote. */
AQ_NODISCARD aq_status aq_lock_write(aq_buf *out, const aq_lock *l);
AQ_NODISCARD aq_status aq_definition_write(aq_buf *out, const aq_lock *l);
void aq_definition_hashes(uint8_t config_hash[32], uint8_t definition_hash[32], const aq_definition *d);
void aq_lock_hash(uint8_t out[32], const aq_lock *l);

/* Whom the validator's blocks pay: the address of its override, or without one that of the definition. False: there is
   none that can be read. */
bool aq_lock_fee_recipient(uint8_t out[20], const aq_lock *l, uint32_t validator);
/* Operator index of an identity key, -1 when it is none of the cluster. Validator index of a group key, -1. */
int aq_lock_operator(const aq_lock *l, const uint8_t pubkey[33]);
int aq_lock_validator(const aq_lock *l, const uint8_t pubkey[48]);

#endif
