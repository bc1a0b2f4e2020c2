/* eth/types.h - the descriptor table: every container of phase0 to fulu that a validator or its node touches (mainnet
   preset). Spec: consensus-specs, the named fork's beacon-chain.md. */
#ifndef AQ_ETH_TYPES_H
#define AQ_ETH_TYPES_H

#include "codec/ssz.h"
#include "eth/chain.h"

extern const aq_ssz_type aq_t_u64, aq_t_root, aq_t_pubkey, aq_t_signature;
extern const aq_ssz_type aq_t_checkpoint;       /* {epoch, root} 40 bytes */
extern const aq_ssz_type aq_t_attestation_data; /* 128 bytes */
extern const aq_ssz_type aq_t_attestation_phase0, aq_t_attestation_electra, aq_t_single_attestation;
extern const aq_ssz_type aq_t_aggregate_and_proof_phase0, aq_t_aggregate_and_proof_electra;
extern const aq_ssz_type aq_t_signed_aggregate_and_proof_phase0, aq_t_signed_aggregate_and_proof_electra;
extern const aq_ssz_type aq_t_sync_committee_message, aq_t_sync_committee_contribution;
enum { AQ_CONTRIBUTIONS_MAX = 128 }; /* one validator has at most one for each of 4 subcommittees */
extern const aq_ssz_type
    aq_t_sync_committee_contributions; /* the plural unsigned payload (core.md 4.1); JSON on the wire */
extern const aq_ssz_type aq_t_contribution_and_proof, aq_t_signed_contribution_and_proof;
extern const aq_ssz_type aq_t_sync_aggregator_selection_data;
extern const aq_ssz_type aq_t_voluntary_exit, aq_t_signed_voluntary_exit;
extern const aq_ssz_type aq_t_validator_registration, aq_t_signed_validator_registration;
extern const aq_ssz_type aq_t_beacon_block_header, aq_t_signed_beacon_block_header, aq_t_fork_data, aq_t_signing_data;
extern const aq_ssz_type aq_t_deposit_message, aq_t_deposit_data;

/* By fork; NULL where the fork has none (blinded before bellatrix, contents before deneb). */
const aq_ssz_type *aq_t_attestation(aq_fork f); /* phase0 layout up to deneb, electra layout after */
const aq_ssz_type *aq_t_signed_aggregate(aq_fork f);
const aq_ssz_type *aq_t_block(aq_fork f); /* BeaconBlock */
const aq_ssz_type *aq_t_signed_block(aq_fork f);
const aq_ssz_type *aq_t_blinded_block(aq_fork f);
const aq_ssz_type *aq_t_signed_blinded_block(aq_fork f);
const aq_ssz_type *aq_t_block_contents(aq_fork f);        /* {block, kzg_proofs, blobs} from deneb */
const aq_ssz_type *aq_t_signed_block_contents(aq_fork f); /* {signed_block, kzg_proofs, blobs} */
/* What travels: contents from deneb, the block before; signed or not, blinded or not. */
const aq_ssz_type *aq_t_proposal(aq_fork f, bool blinded, bool is_signed);

#endif
