/* codec/rlp.h - RLP as ENRs need it: byte strings in one list. Strict (canonical) when reading. Spec: Ethereum yellow
   paper appendix B, cluster.md 1.3. Does not descend: a nested list comes out as one item with is_list set. */
#ifndef AQ_CODEC_RLP_H
#define AQ_CODEC_RLP_H

#include "base/bytes.h"

typedef struct {
  bool is_list;
  aq_bytes body; /* the string, or the encoded items of the list; a view into the input */
} aq_rlp_item;

/* The item at the cursor, which moves behind it. AQ_E_TRUNC: it ends outside the input; AQ_E_FORMAT: a longer form
   than needed. */
AQ_NODISCARD aq_status aq_rlp_next(aq_rd *r, aq_rlp_item *out);

void aq_rlp_put_bytes(aq_buf *out, aq_bytes b);
void aq_rlp_put_u64(aq_buf *out, uint64_t v);      /* big endian without leading zeros; 0 is the empty string */
void aq_rlp_put_list(aq_buf *out, aq_bytes items); /* header and the encoded items */

#endif
