/* Wire types are scanned before protobuf-c unpacks, which takes more than Go does; packing leaves out what Go leaves
   out. */
#include "codec/pb.h"

#include "base/assert.h"
#include "codec/utf8.h"

enum { DEPTH_MAX = 16, VARINT_MAX = 10, FIELD_MAX = (1 << 29) - 1 };

/* ---- varints ---- */

/* At most VARINT_MAX bytes. */
static size_t varint_put(uint8_t *out, uint64_t v) {
  size_t len = 0;
  for (; v >= 0x80; v >>= 7) out[len++] = (uint8_t)(v | 0x80);
  out[len++] = (uint8_t)v;
  return len;
}

size_t aq_uvarint_put(uint8_t out[9], uint64_t v) {
  AQ_ASSERT(v < UINT64_C(1) << 63);
  return varint_put(out, v);
}

aq_status aq_uvarint_get(uint64_t *out, size_t *used, aq_bytes in) {
  uint64_t v = 0;
  for (size_t i = 0; i < 9; i++) {
    if (i == in.len) return AQ_E_TRUNC;
    v |= (uint64_t)(in.ptr[i] & 0x7f) << (7 * i);
    if (in.ptr[i] & 0x80) continue;
    if (i > 0 && in.ptr[i] == 0) return AQ_E_FORMAT; /* not minimal */
    *out = v;
    *used = i + 1;
    return AQ_OK;
  }
  return AQ_E_FORMAT;
}

/* A protobuf varint: any form of up to ten bytes; false when cut or longer. */
static bool varint_get(uint64_t *out, aq_bytes *in) {
  uint64_t v = 0;
  for (size_t i = 0; i < VARINT_MAX && i < in->len; i++) {
    v |= (uint64_t)(in->ptr[i] & 0x7f) << (7 * i);
    if (in->ptr[i] & 0x80) continue;
    *out = v;
    *in = aq_bytes_sub(*in, i + 1, in->len - i - 1);
    return true;
  }
  return false;
}

/* ---- unpacking ---- */

static bool is_map_entry(const ProtobufCMessageDescriptor *d) {
  return d->n_fields == 2 && d->fields[0].id == 1 && d->fields[1].id == 2 && strcmp(d->fields[0].name, "key") == 0 &&
         strcmp(d->fields[1].name, "value") == 0;
}

/* What protobuf-c does not look at: the text of strings, field numbers, and nesting. */
static bool scan(const ProtobufCMessageDescriptor *d, aq_bytes in, unsigned depth) {
  if (depth > DEPTH_MAX) return false;
  while (in.len) {
    uint64_t tag, len;
    if (!varint_get(&tag, &in) || tag >> 3 == 0 || tag >> 3 > FIELD_MAX) return false;
    switch (tag & 7) {
      case 0:
        if (!varint_get(&len, &in)) return false;
        continue;
      case 1: len = 8; break;
      case 2:
        if (!varint_get(&len, &in)) return false;
        break;
      case 5: len = 4; break;
      default: return false; /* groups */
    }
    if (len > in.len) return false;
    aq_bytes body = aq_bytes_sub(in, 0, (size_t)len);
    in = aq_bytes_sub(in, (size_t)len, in.len - (size_t)len);
    if ((tag & 7) != 2) continue;
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
    if (!f) continue;
    if (f->type == PROTOBUF_C_TYPE_STRING) {
      if (!aq_utf8_valid(body) || (body.len && memchr(body.ptr, 0, body.len))) return false;
    } else if (f->type == PROTOBUF_C_TYPE_MESSAGE && !scan(f->descriptor, body, depth + 1)) {
      return false;
    }
  }
  return true;
}

static const void *member(const ProtobufCMessage *msg, unsigned offset) { return (const uint8_t *)msg + offset; }

static size_t repeated_cnt(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f) {
  return *(const size_t *)member(msg, f->quantifier_offset);
}

static bool has_oneof(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f) {
  return *(const uint32_t *)member(msg, f->quantifier_offset) == f->id;
}

static bool finish(aq_arena *a, ProtobufCMessage *msg);

static bool finish_singular(aq_arena *a, ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f) {
  if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && !has_oneof(msg, f)) return true;
  ProtobufCMessage **sub = (ProtobufCMessage **)(void *)((uint8_t *)msg + f->offset);
  if (*sub) return finish(a, *sub);
  if (f->label == PROTOBUF_C_LABEL_OPTIONAL) return true;
  if (!is_map_entry(msg->descriptor)) return false;
  const ProtobufCMessageDescriptor *d = f->descriptor;
  if (!(*sub = aq_arena_alloc(a, d->sizeof_message))) return false;
  d->message_init(*sub);
  return finish(a, *sub);
}

/* Nil check (wire.md 3.2), and map entries as Go holds them. Depth is that of the descriptor. */
static bool finish(aq_arena *a, ProtobufCMessage *msg) {
  const ProtobufCMessageDescriptor *d = msg->descriptor;
  if (is_map_entry(d)) msg->n_unknown_fields = 0;
  for (unsigned i = 0; i < d->n_fields; i++) {
    const ProtobufCFieldDescriptor *f = &d->fields[i];
    if (f->type != PROTOBUF_C_TYPE_MESSAGE) continue;
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
      if (!finish_singular(a, msg, f)) return false;
      continue;
    }
    ProtobufCMessage *const *sub = *(ProtobufCMessage *const *const *)member(msg, f->offset);
    for (size_t k = 0; k < repeated_cnt(msg, f); k++) {
      if (!finish(a, sub[k])) return false;
    }
  }
  return true;
}

static void *arena_alloc(void *arena, size_t len) { return aq_arena_alloc(arena, len); }
static void arena_keep(void *arena, void *ptr) { (void)arena, (void)ptr; }

void *aq_pb_unpack(aq_arena *a, const ProtobufCMessageDescriptor *d, aq_bytes in) {
  if (!scan(d, in, 0)) return NULL;
  ProtobufCAllocator alloc = {arena_alloc, arena_keep, a};
  ProtobufCMessage *msg = protobuf_c_message_unpack(d, &alloc, in.len, in.len ? in.ptr : (const uint8_t *)"");
  return msg && finish(a, msg) ? msg : NULL;
}

/* ---- packing ---- */

static void put_varint(aq_buf *out, uint64_t v) {
  uint8_t text[VARINT_MAX];
  aq_buf_put(out, text, varint_put(text, v));
}

static void put_le(aq_buf *out, uint64_t v, size_t len) {
  uint8_t le[8];
  aq_le64_put(le, v);
  aq_buf_put(out, le, len);
}

static size_t member_len(ProtobufCType type) {
  switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM: break;
  }
  return 4;
}

static unsigned wire_type(ProtobufCType type) {
  switch (type) {
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 1;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_BYTES: return 2;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return 5;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL: break;
  }
  return 0;
}

/* The number as its varint or fixed form holds it: 32-bit signed ones are extended, zigzag where the type says so. */
static uint64_t number_of(ProtobufCType type, const void *ptr) {
  uint64_t v64 = 0;
  uint32_t v32 = 0;
  size_t len = member_len(type);
  if (len == 8)
    memcpy(&v64, ptr, 8);
  else
    memcpy(&v32, ptr, 4);
  if (type == PROTOBUF_C_TYPE_SINT64) return v64 << 1 ^ (uint64_t)((int64_t)v64 >> 63);
  if (type == PROTOBUF_C_TYPE_SINT32) return v32 << 1 ^ (uint32_t)((int32_t)v32 >> 31);
  if (type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_ENUM) return (uint64_t)(int64_t)(int32_t)v32;
  if (type == PROTOBUF_C_TYPE_BOOL) return v32 != 0;
  return len == 8 ? v64 : v32;
}

/* The bytes after `base` become length-prefixed. */
static void prefix_length(aq_buf *out, size_t base) {
  uint8_t text[VARINT_MAX];
  if (out->failed) return;
  size_t body = out->len - base, len = varint_put(text, body);
  if (!aq_buf_extend(out, len)) return;
  memmove(out->ptr + base + len, out->ptr + base, body);
  memcpy(out->ptr + base, text, len);
}

static void put_text(aq_buf *out, aq_bytes text) {
  put_varint(out, text.len);
  aq_buf_put_bytes(out, text);
}

/* One value without its tag. */
static void put_value(aq_buf *out, const ProtobufCFieldDescriptor *f, const void *ptr) {
  if (f->type == PROTOBUF_C_TYPE_STRING) {
    const char *s = *(const char *const *)ptr;
    put_text(out, aq_bytes_str(s ? s : ""));
  } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
    const ProtobufCBinaryData *b = ptr;
    put_text(out, aq_bytes_of(b->data, b->len));
  } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
    const ProtobufCMessage *sub = *(const ProtobufCMessage *const *)ptr;
    size_t base = out->len;
    if (sub) aq_pb_pack(out, sub);
    prefix_length(out, base);
  } else if (wire_type(f->type) == 0) {
    put_varint(out, number_of(f->type, ptr));
  } else {
    put_le(out, number_of(f->type, ptr), wire_type(f->type) == 1 ? 8 : 4);
  }
}

static void put_tag(aq_buf *out, uint32_t id, unsigned wire) { put_varint(out, (uint64_t)id << 3 | wire); }

static void put_repeated(aq_buf *out, const ProtobufCFieldDescriptor *f, const uint8_t *array, size_t cnt) {
  size_t step = member_len(f->type);
  if (cnt == 0) return;
  if (f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) {
    put_tag(out, f->id, 2);
    size_t base = out->len;
    for (size_t i = 0; i < cnt; i++) put_value(out, f, array + i * step);
    prefix_length(out, base);
    return;
  }
  for (size_t i = 0; i < cnt; i++) {
    put_tag(out, f->id, wire_type(f->type));
    put_value(out, f, array + i * step);
  }
}

static bool is_pointer(const ProtobufCFieldDescriptor *f) {
  return f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
}

/* Whether a singular field appears on the wire. */
static bool is_present(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f, const void *ptr) {
  if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) return has_oneof(msg, f);
  if (f->label == PROTOBUF_C_LABEL_REQUIRED || is_map_entry(msg->descriptor)) return true;
  if (is_pointer(f) && !*(const void *const *)ptr) return false;
  if (f->type == PROTOBUF_C_TYPE_MESSAGE) return true;
  if (f->label == PROTOBUF_C_LABEL_OPTIONAL) {
    if (f->type == PROTOBUF_C_TYPE_STRING) return *(const void *const *)ptr != f->default_value;
    return *(const protobuf_c_boolean *)member(msg, f->quantifier_offset);
  }
  if (f->type == PROTOBUF_C_TYPE_STRING) return **(const char *const *)ptr != 0;
  if (f->type == PROTOBUF_C_TYPE_BYTES) return ((const ProtobufCBinaryData *)ptr)->len != 0;
  return number_of(f->type, ptr) != 0;
}

void aq_pb_pack(aq_buf *out, const ProtobufCMessage *msg) {
  const ProtobufCMessageDescriptor *d = msg->descriptor;
  for (unsigned i = 0; i < d->n_fields && !out->failed; i++) {
    const ProtobufCFieldDescriptor *f = &d->fields[i];
    const void *ptr = member(msg, f->offset);
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
      put_repeated(out, f, *(const uint8_t *const *)ptr, repeated_cnt(msg, f));
    } else if (is_present(msg, f, ptr)) {
      put_tag(out, f->id, wire_type(f->type));
      put_value(out, f, ptr);
    }
  }
  for (unsigned i = 0; i < msg->n_unknown_fields; i++) {
    const ProtobufCMessageUnknownField *u = &msg->unknown_fields[i];
    put_tag(out, u->tag, (unsigned)u->wire_type);
    aq_buf_put(out, u->data, u->len);
  }
}

/* ---- maps ---- */

static const char *key_of(const ProtobufCMessage *entry) {
  const ProtobufCFieldDescriptor *f = &entry->descriptor->fields[0];
  AQ_ASSERT(is_map_entry(entry->descriptor) && f->type == PROTOBUF_C_TYPE_STRING);
  const char *key = *(const char *const *)member(entry, f->offset);
  return key ? key : "";
}

/* Merges the sorted runs [at, mid) and [mid, end); of equal keys the left run's comes first. */
static void merge(ProtobufCMessage **to, ProtobufCMessage **from, size_t at, size_t mid, size_t end) {
  for (size_t l = at, r = mid, i = at; i < end; i++) {
    bool left = l < mid && (r == end || strcmp(key_of(from[l]), key_of(from[r])) <= 0);
    to[i] = left ? from[l++] : from[r++];
  }
}

aq_status aq_pb_sort_map(aq_arena *a, void *entries, size_t *cnt) {
  ProtobufCMessage **entry = entries, **room = aq_arena_array(a, *cnt, sizeof *room);
  size_t n = *cnt, kept = 0;
  if (!room) return AQ_E_LIMIT;
  for (size_t run = 1; run < n; run *= 2) {
    for (size_t at = 0; at < n; at += 2 * run) {
      size_t mid = at + run < n ? at + run : n, end = mid + run < n ? mid + run : n;
      merge(room, entry, at, mid, end);
    }
    memcpy(entry, room, n * sizeof *room);
  }
  for (size_t i = 0; i < n; i++) {
    if (i + 1 < n && strcmp(key_of(entry[i]), key_of(entry[i + 1])) == 0) continue; /* the last one counts */
    entry[kept++] = entry[i];
  }
  *cnt = kept;
  return AQ_OK;
}
