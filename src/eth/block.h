/* eth/block.h - what a proposal says of itself, whatever form it travels in: a block, or from deneb the contents that
   wrap it with proofs and blobs; full or blinded; signed or not. Spec: core.md 4. Pure. */
#ifndef AQ_ETH_BLOCK_H
#define AQ_ETH_BLOCK_H

#include "eth/types.h"

typedef struct {
  bool wrapped;            /* value is contents: kzg_proofs and blobs lie beside the block */
  const aq_ssz_type *type; /* of the block */
  aq_bytes block;
  uint64_t slot, proposer;
  aq_bytes randao, graffiti; /* 96 and 32 bytes */
  aq_bytes signature;        /* 96 bytes; empty: not signed */
} aq_block_view;

/* value: checked SSZ of aq_t_proposal(f, blinded, is_signed), which the fork has. Views into it. */
void aq_block_view_get(aq_block_view *out, aq_fork f, bool blinded, bool is_signed, aq_bytes value);

#endif
