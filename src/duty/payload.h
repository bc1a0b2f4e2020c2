/* duty/payload.h - the payloads that travel between nodes: unsigned data in consensus values and signed data in
   partial signature sets, both ways, and what is signed in each. Spec: core.md 4 and 5, wire.md 7.3. Views point into
   the input; JSON input is converted into the arena. */
#ifndef AQ_DUTY_PAYLOAD_H
#define AQ_DUTY_PAYLOAD_H

#include "base/arena.h"
#include "duty/duty.h"
#include "eth/chain.h"
#include "eth/types.h"

typedef struct {
  uint8_t pubkey[48];
  uint64_t slot, validator_index, committee_index, committee_length, committees_at_slot, validator_committee_index;
} aq_attester_duty;

/* Decoded unsigned data of one validator. `value` is the SSZ of `type`. */
typedef struct {
  aq_duty_type duty;
  aq_fork fork;            /* proposer, aggregator */
  bool blinded;            /* proposer */
  const aq_ssz_type *type; /* attester: AttestationData */
  aq_bytes value;
  aq_attester_duty attester; /* attester */
} aq_unsigned_data;

AQ_NODISCARD aq_status aq_unsigned_decode(aq_unsigned_data *out, aq_arena *a, aq_duty_type duty, aq_bytes in);
AQ_NODISCARD aq_status aq_unsigned_encode(aq_buf *out, const aq_unsigned_data *in);

/* Decoded signed data of one validator. */
typedef struct {
  aq_duty_type duty;
  aq_fork fork; /* attester, proposer, aggregator */
  bool blinded;
  bool has_index;           /* attester: validator_index known */
  uint64_t validator_index; /* of validator, proposer or aggregator; 0 for randao, registration, signature */
  uint64_t slot;            /* of the object; randao and exit: epoch * slots_per_epoch needs the clock, so 0 there */
  uint64_t epoch;           /* randao, exit */
  uint64_t subcommittee;    /* sync selection, contribution */
  const aq_ssz_type *type;  /* of value; NULL for the JSON-only payloads (3, 7, 8, 11) */
  aq_bytes value;           /* SSZ of the whole signed object, where there is a type */
  uint8_t sig[96];
  uint8_t block_root[32]; /* sync_message */
  aq_bytes json;          /* registration (6) only: as received */
} aq_signed_data;

AQ_NODISCARD aq_status aq_signed_decode(aq_signed_data *out, aq_arena *a, aq_duty_type duty, aq_bytes in);
AQ_NODISCARD aq_status aq_signed_encode(aq_buf *out, const aq_signed_data *in);
/* A copy whose signature is replaced (the combined one); value moves into the arena. */
AQ_NODISCARD aq_status aq_signed_with_sig(aq_signed_data *out, aq_arena *a, const aq_signed_data *in,
                                          const uint8_t sig[96]);

/* Message root (decides which partials belong together), domain and epoch; then the signing root on this chain. Both
   are zero for AQ_DUTY_SIGNATURE, which does not say what it signs. */
void aq_signed_message_root(uint8_t out[32], const aq_signed_data *d);
void aq_signed_signing_root(uint8_t out[32], const aq_chain *c, const aq_signed_data *d);

/* AttestationData fields of a value (SSZ, 128 bytes). */
typedef struct {
  uint64_t slot, index;
  uint8_t beacon_block_root[32];
  uint64_t source_epoch;
  uint8_t source_root[32];
  uint64_t target_epoch;
  uint8_t target_root[32];
} aq_att_data;
void aq_att_data_get(aq_att_data *out, aq_bytes ssz);
void aq_att_data_put(uint8_t out[128], const aq_att_data *in);

#endif
