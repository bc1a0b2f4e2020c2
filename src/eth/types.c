/* A macro a kind and a line a container, in the order of the specification's files. */
#include "eth/types.h"

#include "base/compiler.h"

/* Sizes are those of the mainnet preset; types_test adds up every container's fields. */
#define UINT_OF(bytes) \
  { .kind = AQ_SSZ_UINT, .size = (bytes) }
#define BYTES_OF(bytes) \
  { .kind = AQ_SSZ_BYTES, .size = (bytes) }
#define LIST_OF(each, max) \
  { .kind = AQ_SSZ_LIST, .limit = (max), .elem = &(each) }
#define UINT(name, bytes) static const aq_ssz_type name = UINT_OF(bytes)
#define BYTES(name, bytes) static const aq_ssz_type name = BYTES_OF(bytes)
#define BYTELIST(name, max) static const aq_ssz_type name = {.kind = AQ_SSZ_BYTELIST, .limit = (max)}
#define BITS(name, cnt) \
  static const aq_ssz_type name = {.kind = AQ_SSZ_BITVECTOR, .size = ((cnt) + 7) / 8, .limit = (cnt)}
#define BITLIST(name, max) static const aq_ssz_type name = {.kind = AQ_SSZ_BITLIST, .limit = (max)}
#define LIST(name, each, max) static const aq_ssz_type name = LIST_OF(each, max)
#define VECTOR(name, each, cnt, bytes) \
  static const aq_ssz_type name = {.kind = AQ_SSZ_VECTOR, .size = (bytes), .limit = (cnt), .elem = &(each)}
#define F(name, type) \
  { #name, &(type) }
/* bytes: 0 when a field is variable. */
#define CONTAINER_OF(fields, bytes) \
  { .kind = AQ_SSZ_CONTAINER, .size = (bytes), .field = fields, .field_cnt = AQ_COUNT(fields) }
#define CONTAINER(name, bytes, ...)                         \
  static const aq_ssz_field name##_field[] = {__VA_ARGS__}; \
  const aq_ssz_type name = CONTAINER_OF(name##_field, bytes)
#define LOCAL(name, bytes, ...)                             \
  static const aq_ssz_field name##_field[] = {__VA_ARGS__}; \
  static const aq_ssz_type name = CONTAINER_OF(name##_field, bytes)

const aq_ssz_type aq_t_u64 = UINT_OF(8);
const aq_ssz_type aq_t_root = BYTES_OF(32);
const aq_ssz_type aq_t_pubkey = BYTES_OF(48);
const aq_ssz_type aq_t_signature = BYTES_OF(96);
UINT(u256, 32);
BYTES(version, 4);
BYTES(address, 20);

/* ---- phase0 ---- */

CONTAINER(aq_t_checkpoint, 40, F(epoch, aq_t_u64), F(root, aq_t_root));
CONTAINER(aq_t_attestation_data, 128, F(slot, aq_t_u64), F(index, aq_t_u64), F(beacon_block_root, aq_t_root),
          F(source, aq_t_checkpoint), F(target, aq_t_checkpoint));
BITLIST(committee_bits, 2048);
CONTAINER(aq_t_attestation_phase0, 0, F(aggregation_bits, committee_bits), F(data, aq_t_attestation_data),
          F(signature, aq_t_signature));
CONTAINER(aq_t_aggregate_and_proof_phase0, 0, F(aggregator_index, aq_t_u64), F(aggregate, aq_t_attestation_phase0),
          F(selection_proof, aq_t_signature));
CONTAINER(aq_t_signed_aggregate_and_proof_phase0, 0, F(message, aq_t_aggregate_and_proof_phase0),
          F(signature, aq_t_signature));

CONTAINER(aq_t_fork_data, 36, F(current_version, version), F(genesis_validators_root, aq_t_root));
CONTAINER(aq_t_signing_data, 64, F(object_root, aq_t_root), F(domain, aq_t_root));
CONTAINER(aq_t_deposit_message, 88, F(pubkey, aq_t_pubkey), F(withdrawal_credentials, aq_t_root), F(amount, aq_t_u64));
CONTAINER(aq_t_deposit_data, 184, F(pubkey, aq_t_pubkey), F(withdrawal_credentials, aq_t_root), F(amount, aq_t_u64),
          F(signature, aq_t_signature));
CONTAINER(aq_t_beacon_block_header, 112, F(slot, aq_t_u64), F(proposer_index, aq_t_u64), F(parent_root, aq_t_root),
          F(state_root, aq_t_root), F(body_root, aq_t_root));
CONTAINER(aq_t_signed_beacon_block_header, 208, F(message, aq_t_beacon_block_header), F(signature, aq_t_signature));
CONTAINER(aq_t_voluntary_exit, 16, F(epoch, aq_t_u64), F(validator_index, aq_t_u64));
CONTAINER(aq_t_signed_voluntary_exit, 112, F(message, aq_t_voluntary_exit), F(signature, aq_t_signature));

LOCAL(eth1_data, 72, F(deposit_root, aq_t_root), F(deposit_count, aq_t_u64), F(block_hash, aq_t_root));
LOCAL(proposer_slashing, 416, F(signed_header_1, aq_t_signed_beacon_block_header),
      F(signed_header_2, aq_t_signed_beacon_block_header));
LIST(indices_phase0, aq_t_u64, 2048);
LOCAL(indexed_attestation_phase0, 0, F(attesting_indices, indices_phase0), F(data, aq_t_attestation_data),
      F(signature, aq_t_signature));
LOCAL(attester_slashing_phase0, 0, F(attestation_1, indexed_attestation_phase0),
      F(attestation_2, indexed_attestation_phase0));
VECTOR(deposit_proof, aq_t_root, 33, 33 * 32);
LOCAL(deposit, 1240, F(proof, deposit_proof), F(data, aq_t_deposit_data));

LIST(proposer_slashings, proposer_slashing, 16);
LIST(attester_slashings_phase0, attester_slashing_phase0, 2);
LIST(attestations_phase0, aq_t_attestation_phase0, 128);
LIST(deposits, deposit, 16);
LIST(voluntary_exits, aq_t_signed_voluntary_exit, 16);

#define BODY_HEAD F(randao_reveal, aq_t_signature), F(eth1_data, eth1_data), F(graffiti, aq_t_root)
#define BODY_OPS(fork)                                                                         \
  F(proposer_slashings, proposer_slashings), F(attester_slashings, attester_slashings_##fork), \
      F(attestations, attestations_##fork), F(deposits, deposits), F(voluntary_exits, voluntary_exits)

LOCAL(body_phase0, 0, BODY_HEAD, BODY_OPS(phase0));

/* ---- altair ---- */

BITS(sync_committee_bits, 512);
LOCAL(sync_aggregate, 160, F(sync_committee_bits, sync_committee_bits), F(sync_committee_signature, aq_t_signature));
LOCAL(body_altair, 0, BODY_HEAD, BODY_OPS(phase0), F(sync_aggregate, sync_aggregate));

CONTAINER(aq_t_sync_committee_message, 144, F(slot, aq_t_u64), F(beacon_block_root, aq_t_root),
          F(validator_index, aq_t_u64), F(signature, aq_t_signature));
BITS(subcommittee_bits, 128);
CONTAINER(aq_t_sync_committee_contribution, 160, F(slot, aq_t_u64), F(beacon_block_root, aq_t_root),
          F(subcommittee_index, aq_t_u64), F(aggregation_bits, subcommittee_bits), F(signature, aq_t_signature));
CONTAINER(aq_t_contribution_and_proof, 264, F(aggregator_index, aq_t_u64),
          F(contribution, aq_t_sync_committee_contribution), F(selection_proof, aq_t_signature));
CONTAINER(aq_t_signed_contribution_and_proof, 360, F(message, aq_t_contribution_and_proof),
          F(signature, aq_t_signature));
CONTAINER(aq_t_sync_aggregator_selection_data, 16, F(slot, aq_t_u64), F(subcommittee_index, aq_t_u64));
const aq_ssz_type aq_t_sync_committee_contributions = LIST_OF(aq_t_sync_committee_contribution, AQ_CONTRIBUTIONS_MAX);

/* ---- bellatrix ---- */

BYTES(logs_bloom, 256);
BYTELIST(extra_data, 32);
BYTELIST(transaction, 1u << 30);
LIST(transactions, transaction, 1u << 20);

#define PAYLOAD_HEAD                                                                                           \
  F(parent_hash, aq_t_root), F(fee_recipient, address), F(state_root, aq_t_root), F(receipts_root, aq_t_root), \
      F(logs_bloom, logs_bloom), F(prev_randao, aq_t_root), F(block_number, aq_t_u64), F(gas_limit, aq_t_u64), \
      F(gas_used, aq_t_u64), F(timestamp, aq_t_u64), F(extra_data, extra_data), F(base_fee_per_gas, u256),     \
      F(block_hash, aq_t_root)

LOCAL(payload_bellatrix, 0, PAYLOAD_HEAD, F(transactions, transactions));
LOCAL(payload_header_bellatrix, 0, PAYLOAD_HEAD, F(transactions_root, aq_t_root));
LOCAL(body_bellatrix, 0, BODY_HEAD, BODY_OPS(phase0), F(sync_aggregate, sync_aggregate),
      F(execution_payload, payload_bellatrix));
LOCAL(blinded_body_bellatrix, 0, BODY_HEAD, BODY_OPS(phase0), F(sync_aggregate, sync_aggregate),
      F(execution_payload_header, payload_header_bellatrix));

/* builder-specs bellatrix/builder.md */
CONTAINER(aq_t_validator_registration, 84, F(fee_recipient, address), F(gas_limit, aq_t_u64), F(timestamp, aq_t_u64),
          F(pubkey, aq_t_pubkey));
CONTAINER(aq_t_signed_validator_registration, 180, F(message, aq_t_validator_registration),
          F(signature, aq_t_signature));

/* ---- capella ---- */

LOCAL(withdrawal, 44, F(index, aq_t_u64), F(validator_index, aq_t_u64), F(address, address), F(amount, aq_t_u64));
LIST(withdrawals, withdrawal, 16);
LOCAL(payload_capella, 0, PAYLOAD_HEAD, F(transactions, transactions), F(withdrawals, withdrawals));
LOCAL(payload_header_capella, 0, PAYLOAD_HEAD, F(transactions_root, aq_t_root), F(withdrawals_root, aq_t_root));
LOCAL(bls_to_execution_change, 76, F(validator_index, aq_t_u64), F(from_bls_pubkey, aq_t_pubkey),
      F(to_execution_address, address));
LOCAL(signed_bls_to_execution_change, 172, F(message, bls_to_execution_change), F(signature, aq_t_signature));
LIST(bls_changes, signed_bls_to_execution_change, 16);
LOCAL(body_capella, 0, BODY_HEAD, BODY_OPS(phase0), F(sync_aggregate, sync_aggregate),
      F(execution_payload, payload_capella), F(bls_to_execution_changes, bls_changes));
LOCAL(blinded_body_capella, 0, BODY_HEAD, BODY_OPS(phase0), F(sync_aggregate, sync_aggregate),
      F(execution_payload_header, payload_header_capella), F(bls_to_execution_changes, bls_changes));

/* ---- deneb ---- */

LIST(commitments, aq_t_pubkey, 4096); /* a KZGCommitment and a KZGProof are a G1 point like a public key */
LIST(proofs, aq_t_pubkey, 4096);
BYTES(blob, 131072);
LIST(blobs, blob, 4096);

#define PAYLOAD_GAS F(blob_gas_used, aq_t_u64), F(excess_blob_gas, aq_t_u64)

LOCAL(payload_deneb, 0, PAYLOAD_HEAD, F(transactions, transactions), F(withdrawals, withdrawals), PAYLOAD_GAS);
LOCAL(payload_header_deneb, 0, PAYLOAD_HEAD, F(transactions_root, aq_t_root), F(withdrawals_root, aq_t_root),
      PAYLOAD_GAS);

#define BODY_TAIL_DENEB F(bls_to_execution_changes, bls_changes), F(blob_kzg_commitments, commitments)

LOCAL(body_deneb, 0, BODY_HEAD, BODY_OPS(phase0), F(sync_aggregate, sync_aggregate),
      F(execution_payload, payload_deneb), BODY_TAIL_DENEB);
LOCAL(blinded_body_deneb, 0, BODY_HEAD, BODY_OPS(phase0), F(sync_aggregate, sync_aggregate),
      F(execution_payload_header, payload_header_deneb), BODY_TAIL_DENEB);

/* ---- electra (fulu blocks are the same, its contents carry cell proofs) ---- */

BITLIST(slot_bits, 131072);
BITS(committees, 64);
CONTAINER(aq_t_attestation_electra, 0, F(aggregation_bits, slot_bits), F(data, aq_t_attestation_data),
          F(signature, aq_t_signature), F(committee_bits, committees));
CONTAINER(aq_t_single_attestation, 240, F(committee_index, aq_t_u64), F(attester_index, aq_t_u64),
          F(data, aq_t_attestation_data), F(signature, aq_t_signature));
CONTAINER(aq_t_aggregate_and_proof_electra, 0, F(aggregator_index, aq_t_u64), F(aggregate, aq_t_attestation_electra),
          F(selection_proof, aq_t_signature));
CONTAINER(aq_t_signed_aggregate_and_proof_electra, 0, F(message, aq_t_aggregate_and_proof_electra),
          F(signature, aq_t_signature));

LIST(indices_electra, aq_t_u64, 131072);
LOCAL(indexed_attestation_electra, 0, F(attesting_indices, indices_electra), F(data, aq_t_attestation_data),
      F(signature, aq_t_signature));
LOCAL(attester_slashing_electra, 0, F(attestation_1, indexed_attestation_electra),
      F(attestation_2, indexed_attestation_electra));
LIST(attester_slashings_electra, attester_slashing_electra, 1);
LIST(attestations_electra, aq_t_attestation_electra, 8);

LOCAL(deposit_request, 192, F(pubkey, aq_t_pubkey), F(withdrawal_credentials, aq_t_root), F(amount, aq_t_u64),
      F(signature, aq_t_signature), F(index, aq_t_u64));
LOCAL(withdrawal_request, 76, F(source_address, address), F(validator_pubkey, aq_t_pubkey), F(amount, aq_t_u64));
LOCAL(consolidation_request, 116, F(source_address, address), F(source_pubkey, aq_t_pubkey),
      F(target_pubkey, aq_t_pubkey));
LIST(deposit_requests, deposit_request, 8192);
LIST(withdrawal_requests, withdrawal_request, 16);
LIST(consolidation_requests, consolidation_request, 2);
LOCAL(execution_requests, 0, F(deposits, deposit_requests), F(withdrawals, withdrawal_requests),
      F(consolidations, consolidation_requests));

LOCAL(body_electra, 0, BODY_HEAD, BODY_OPS(electra), F(sync_aggregate, sync_aggregate),
      F(execution_payload, payload_deneb), BODY_TAIL_DENEB, F(execution_requests, execution_requests));
LOCAL(blinded_body_electra, 0, BODY_HEAD, BODY_OPS(electra), F(sync_aggregate, sync_aggregate),
      F(execution_payload_header, payload_header_deneb), BODY_TAIL_DENEB, F(execution_requests, execution_requests));

/* consensus-specs fulu validator.md: FIELD_ELEMENTS_PER_EXT_BLOB * MAX_BLOB_COMMITMENTS_PER_BLOCK; in use are 128 a
   blob. */
LIST(cell_proofs, aq_t_pubkey, 8192 * 4096);

/* ---- blocks and contents ---- */

#define BLOCK(block, body_type)                                                                                        \
  LOCAL(block, 0, F(slot, aq_t_u64), F(proposer_index, aq_t_u64), F(parent_root, aq_t_root), F(state_root, aq_t_root), \
        F(body, body_type));                                                                                           \
  LOCAL(signed_##block, 0, F(message, block), F(signature, aq_t_signature))
#define CONTENTS(fork, block_type, proof_list)                                                 \
  LOCAL(contents_##fork, 0, F(block, block_type), F(kzg_proofs, proof_list), F(blobs, blobs)); \
  LOCAL(signed_contents_##fork, 0, F(signed_block, signed_##block_type), F(kzg_proofs, proof_list), F(blobs, blobs))

BLOCK(block_phase0, body_phase0);
BLOCK(block_altair, body_altair);
BLOCK(block_bellatrix, body_bellatrix);
BLOCK(block_capella, body_capella);
BLOCK(block_deneb, body_deneb);
BLOCK(block_electra, body_electra);
BLOCK(blinded_bellatrix, blinded_body_bellatrix);
BLOCK(blinded_capella, blinded_body_capella);
BLOCK(blinded_deneb, blinded_body_deneb);
BLOCK(blinded_electra, blinded_body_electra);
CONTENTS(deneb, block_deneb, proofs);
CONTENTS(electra, block_electra, proofs);
CONTENTS(fulu, block_electra, cell_proofs);

typedef struct {
  const aq_ssz_type *attestation, *aggregate, *block, *signed_block, *blinded, *signed_blinded, *contents,
      *signed_contents;
} fork_types;

#define ATTESTATIONS(layout) &aq_t_attestation_##layout, &aq_t_signed_aggregate_and_proof_##layout
static const fork_types by_fork[AQ_FORK_CNT] = {
    [AQ_PHASE0] = {ATTESTATIONS(phase0), &block_phase0, &signed_block_phase0, NULL, NULL, NULL, NULL},
    [AQ_ALTAIR] = {ATTESTATIONS(phase0), &block_altair, &signed_block_altair, NULL, NULL, NULL, NULL},
    [AQ_BELLATRIX] = {ATTESTATIONS(phase0), &block_bellatrix, &signed_block_bellatrix, &blinded_bellatrix,
                      &signed_blinded_bellatrix, NULL, NULL},
    [AQ_CAPELLA] = {ATTESTATIONS(phase0), &block_capella, &signed_block_capella, &blinded_capella,
                    &signed_blinded_capella, NULL, NULL},
    [AQ_DENEB] = {ATTESTATIONS(phase0), &block_deneb, &signed_block_deneb, &blinded_deneb, &signed_blinded_deneb,
                  &contents_deneb, &signed_contents_deneb},
    [AQ_ELECTRA] = {ATTESTATIONS(electra), &block_electra, &signed_block_electra, &blinded_electra,
                    &signed_blinded_electra, &contents_electra, &signed_contents_electra},
    [AQ_FULU] = {ATTESTATIONS(electra), &block_electra, &signed_block_electra, &blinded_electra,
                 &signed_blinded_electra, &contents_fulu, &signed_contents_fulu},
};

static const fork_types *of_fork(aq_fork f) {
  static const fork_types none;
  return (unsigned)f < AQ_FORK_CNT ? &by_fork[f] : &none;
}

const aq_ssz_type *aq_t_attestation(aq_fork f) { return of_fork(f)->attestation; }
const aq_ssz_type *aq_t_signed_aggregate(aq_fork f) { return of_fork(f)->aggregate; }
const aq_ssz_type *aq_t_block(aq_fork f) { return of_fork(f)->block; }
const aq_ssz_type *aq_t_signed_block(aq_fork f) { return of_fork(f)->signed_block; }
const aq_ssz_type *aq_t_blinded_block(aq_fork f) { return of_fork(f)->blinded; }
const aq_ssz_type *aq_t_signed_blinded_block(aq_fork f) { return of_fork(f)->signed_blinded; }
const aq_ssz_type *aq_t_block_contents(aq_fork f) { return of_fork(f)->contents; }
const aq_ssz_type *aq_t_signed_block_contents(aq_fork f) { return of_fork(f)->signed_contents; }

const aq_ssz_type *aq_t_proposal(aq_fork f, bool blinded, bool is_signed) {
  const fork_types *t = of_fork(f);
  if (blinded) return is_signed ? t->signed_blinded : t->blinded;
  if (t->contents) return is_signed ? t->signed_contents : t->contents;
  return is_signed ? t->signed_block : t->block;
}
