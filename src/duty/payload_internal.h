/* duty/payload_internal.h - what unsigned and signed payloads share: the versioned SSZ headers and the JSON
   alternatives. Private to payload.c and payload_signed.c. Spec: core.md 4. */
#ifndef AQ_DUTY_PAYLOAD_INTERNAL_H
#define AQ_DUTY_PAYLOAD_INTERNAL_H

#include "duty/payload.h"

/* Longest JSON of a duty. Proposals come as JSON from old peers only: a Deneb block with its blobs is below 4 MiB.
   The longest of the others is an aggregate of 131072 bits. A parsed document takes up to eight times its text. */
enum { AQ_PROPOSAL_JSON_MAX = 16 << 20, AQ_PAYLOAD_JSON_MAX = 256 << 10 };
static inline size_t aq_payload_json_max(aq_duty_type duty) {
  return aq_duty_of(duty)->slash == AQ_SLASH_BLOCK ? AQ_PROPOSAL_JSON_MAX : AQ_PAYLOAD_JSON_MAX;
}

/* u64 version, then (proposals) u8 blinded, then u32 offset of the value. */
enum { AQ_HEADER_LEN = 12, AQ_HEADER_BLINDED_LEN = 13, AQ_HEADER_INDEX_LEN = 20 };

bool aq_version_get(aq_fork *out, uint64_t version);
/* Header with the offset at off_pos, which must lie in [off_pos + 4, len]; *rest is what it points to. */
AQ_NODISCARD aq_status aq_header_get(aq_fork *fork, aq_bytes *rest, aq_bytes in, size_t off_pos);
void aq_header_put(aq_buf *out, aq_fork fork);
/* The whole of it and the value behind, as both write an aggregate and a proposal. */
void aq_versioned_put(aq_buf *out, aq_fork fork, aq_bytes value);
void aq_proposal_put(aq_buf *out, aq_fork fork, bool blinded, aq_bytes value);
void aq_le32_append(aq_buf *out, uint32_t v);

/* The first byte that is no white space, 0 when there is none. */
uint8_t aq_first_char(aq_bytes in);
/* Parses val as JSON of t; the serialised form goes into the arena. */
AQ_NODISCARD aq_status aq_payload_json(aq_bytes *out, aq_arena *a, const aq_ssz_type *t, yyjson_val *val);
bool aq_json_version(aq_fork *out, yyjson_val *obj);

#endif
