/* One look at every form of a proposal. */
#include "eth/block.h"

#include "base/assert.h"

void aq_block_view_get(aq_block_view *out, aq_fork f, bool blinded, bool is_signed, aq_bytes value) {
  const aq_ssz_type *t = aq_t_proposal(f, blinded, is_signed);
  AQ_ASSERT(t);
  *out = (aq_block_view){.wrapped = !blinded && aq_t_block_contents(f)};
  if (out->wrapped) {
    const char *inner = is_signed ? "signed_block" : "block";
    value = aq_ssz_get(t, value, inner);
    t = aq_ssz_type_at(t, inner);
  }
  if (is_signed) {
    out->signature = aq_ssz_get(t, value, "signature");
    value = aq_ssz_get(t, value, "message");
    t = aq_ssz_type_at(t, "message");
  }
  out->type = t;
  out->block = value;
  out->slot = aq_ssz_get_u64(t, value, "slot");
  out->proposer = aq_ssz_get_u64(t, value, "proposer_index");
  out->randao = aq_ssz_get(t, value, "body.randao_reveal");
  out->graffiti = aq_ssz_get(t, value, "body.graffiti");
}
