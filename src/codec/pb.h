/* codec/pb.h - protobuf glue: protobuf-c messages in an arena, the strict rules of wire.md 3.2 that protobuf-c leaves
   to us, and libp2p's varint framing. Messages are generated from the files in codec/proto. Unknown fields are kept
   and written again. */
#ifndef AQ_CODEC_PB_H
#define AQ_CODEC_PB_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/bytes.h"

/* The message lives in the arena (never protobuf_c_message_free_unpacked). NULL: malformed, over the arena's limit, a
   string that is not UTF-8 or holds a 0 (which a C string cannot keep), or an absent singular message field (nil
   check; members of a oneof and proto2 `optional` fields excepted: protoc-c knows no proto3 `optional`), at any
   depth. Nesting is bounded by the descriptor, and by 16. In map entries an absent message value becomes an empty
   one, and unknown fields are dropped. */
void *aq_pb_unpack(aq_arena *a, const ProtobufCMessageDescriptor *d, aq_bytes in);
/* Deterministic: fields in order, defaults left out, unknown fields last. Map fields (repeated entry messages with
   key 1 and value 2) must be sorted by the caller: aq_pb_sort_map does, and keeps the last of equal keys. Both
   members of an entry are always written. Over the buffer's limit it becomes `failed`. */
void aq_pb_pack(aq_buf *out, const ProtobufCMessage *msg);
/* entries: the array of pointers of a map field with string keys; *cnt: its count, reduced when keys repeat. The
   arena lends room for as many pointers; AQ_E_LIMIT when it has none (the order is unchanged then). */
AQ_NODISCARD aq_status aq_pb_sort_map(aq_arena *a, void *entries, size_t *cnt);

/* Minimal unsigned LEB128 below 2^63, at most 9 bytes. get: AQ_OK and *used; AQ_E_TRUNC: more bytes needed;
   AQ_E_FORMAT. */
size_t aq_uvarint_put(uint8_t out[9], uint64_t v);
AQ_NODISCARD aq_status aq_uvarint_get(uint64_t *out, size_t *used, aq_bytes in);

#endif
