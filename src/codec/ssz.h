/* codec/ssz.h - one descriptor per type drives validation, hash-tree-root and Beacon-API JSON in both directions.
   Values live in their serialised SSZ form (docs/decisions/001): no second representation, no copies of megabyte
   blocks; fields are views found by name. Spec: consensus-specs ssz/simple-serialize.md, beacon-APIs JSON mapping. No
   recursion on peer input deeper than the descriptor's own nesting, which is at most 16. */
#ifndef AQ_CODEC_SSZ_H
#define AQ_CODEC_SSZ_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/bytes.h"

typedef enum {
  AQ_SSZ_UINT,      /* size 1, 2, 4, 8 or 32 bytes, little endian; JSON: decimal string */
  AQ_SSZ_BOOL,      /* JSON: true or false */
  AQ_SSZ_BYTES,     /* ByteVector of `size`; JSON: 0x hex */
  AQ_SSZ_BYTELIST,  /* ByteList up to `limit`; JSON: 0x hex */
  AQ_SSZ_BITVECTOR, /* `limit` bits; JSON: 0x hex of the serialised form */
  AQ_SSZ_BITLIST,   /* up to `limit` bits; JSON: 0x hex of the serialised form, with delimiter */
  AQ_SSZ_VECTOR,    /* `limit` elements */
  AQ_SSZ_LIST,      /* up to `limit` elements */
  AQ_SSZ_CONTAINER
} aq_ssz_kind;

typedef struct aq_ssz_type aq_ssz_type;
typedef struct {
  const char *name; /* as in the JSON API */
  const aq_ssz_type *type;
} aq_ssz_field;
struct aq_ssz_type {
  aq_ssz_kind kind;
  uint32_t size; /* bytes of the serialised form when fixed, 0 when variable */
  uint64_t limit;
  const aq_ssz_type *elem;
  const aq_ssz_field *field;
  uint32_t field_cnt;
};

/* Strict: every offset, length, limit, bit padding and boolean. AQ_E_TRUNC, AQ_E_FORMAT, AQ_E_LIMIT. All functions
   below but from_json want bytes that passed it, or that our own code made. */
AQ_NODISCARD aq_status aq_ssz_check(const aq_ssz_type *t, aq_bytes in);
void aq_ssz_root(uint8_t out[32], const aq_ssz_type *t, aq_bytes in);

/* A field's bytes by name; the field must exist (asserted: names are ours). A dotted path descends:
   "message.body.graffiti". */
aq_bytes aq_ssz_get(const aq_ssz_type *t, aq_bytes in, const char *path);
uint64_t aq_ssz_get_u64(const aq_ssz_type *t, aq_bytes in, const char *path);
const aq_ssz_type *aq_ssz_type_at(const aq_ssz_type *t, const char *path);
/* Element i of a list or vector, and their number (lists of bits: number of bits). */
size_t aq_ssz_count(const aq_ssz_type *t, aq_bytes in);
aq_bytes aq_ssz_elem(const aq_ssz_type *t, aq_bytes in, size_t i);
bool aq_ssz_bit(const aq_ssz_type *t, aq_bytes in, size_t i);

/* Builds a container from its fields' serialised forms, in order; the number must match. Each part must be valid for
   its field. */
AQ_NODISCARD aq_status aq_ssz_pack(aq_buf *out, const aq_ssz_type *t, const aq_bytes *part, size_t cnt);
/* Appends the default value (zeros, empty lists). */
AQ_NODISCARD aq_status aq_ssz_default(aq_buf *out, const aq_ssz_type *t);
/* Appends `in` with the field at the dotted path replaced; `value` must be valid for it. */
AQ_NODISCARD aq_status aq_ssz_with(aq_buf *out, const aq_ssz_type *t, aq_bytes in, const char *path, aq_bytes value);

/* JSON. to_json appends compact text in field order. from_json: unknown members are ignored, missing ones
   AQ_E_FORMAT, hex of either case, integers as decimal strings or numbers; err names the path of the offence. Appends
   the serialised form, which passes aq_ssz_check. */
void aq_ssz_to_json(aq_buf *out, const aq_ssz_type *t, aq_bytes in);
AQ_NODISCARD aq_status aq_ssz_from_json(aq_buf *out, const aq_ssz_type *t, yyjson_val *val, aq_err *err);

#endif
