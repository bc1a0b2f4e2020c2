/* base/bytes.h - borrowed views, capped growing buffers, a cursor that cannot pass its end, endian access.
   aq_bytes owns nothing: it is valid as long as its source says. aq_buf owns its memory and never grows over `max`. */
#ifndef AQ_BASE_BYTES_H
#define AQ_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/status.h"

typedef struct {
  const uint8_t *ptr;
  size_t len;
} aq_bytes;

static inline aq_bytes aq_bytes_of(const void *ptr, size_t len) { return (aq_bytes){(const uint8_t *)ptr, len}; }
static inline aq_bytes aq_bytes_str(const char *s) { return (aq_bytes){(const uint8_t *)s, strlen(s)}; }
static inline bool aq_bytes_eq(aq_bytes a, aq_bytes b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
bool aq_bytes_is_zero(aq_bytes b);                         /* true for the empty view */
aq_bytes aq_bytes_sub(aq_bytes b, size_t off, size_t len); /* asserts that the range lies inside */

/* Sums and products on lengths: false on overflow, *out untouched then. */
static inline bool aq_add_ok(size_t *out, size_t a, size_t b) { return !__builtin_add_overflow(a, b, out); }
static inline bool aq_mul_ok(size_t *out, size_t a, size_t b) { return !__builtin_mul_overflow(a, b, out); }

/* ---- growing buffer ---- */

/* Zero-initialise with AQ_BUF(max), or aq_buf_init. An append over `max` (or out of memory) sets `failed`, leaves the
   content as it is and makes every later append fail too: check once, at the end. */
typedef struct {
  uint8_t *ptr;
  size_t len, cap, max;
  bool failed;
} aq_buf;

#define AQ_BUF(max_len) ((aq_buf){.max = (max_len)})

void aq_buf_init(aq_buf *b, size_t max);
void aq_buf_free(aq_buf *b);  /* releases the memory; the buffer is empty and usable again */
void aq_buf_reset(aq_buf *b); /* length 0, failed false, memory kept */
void aq_buf_put(aq_buf *b, const void *ptr, size_t len);
void aq_buf_put_bytes(aq_buf *b, aq_bytes bytes);
void aq_buf_put_u8(aq_buf *b, uint8_t v);
void aq_buf_put_str(aq_buf *b, const char *s);
void aq_buf_printf(aq_buf *b, const char *fmt, ...) AQ_PRINTF(2, 3);
void aq_buf_put_hex(aq_buf *b, aq_bytes bytes); /* lower case, no prefix */
uint8_t *aq_buf_extend(aq_buf *b, size_t len);  /* len zero bytes at the end; NULL when failed */
void aq_buf_drop_front(aq_buf *b, size_t len);  /* moves the rest to the front */
const char *aq_buf_cstr(aq_buf *b);             /* 0-terminated (the 0 is not counted); "" when failed */
static inline aq_bytes aq_buf_bytes(const aq_buf *b) { return aq_bytes_of(b->ptr, b->len); }
AQ_NODISCARD static inline aq_status aq_buf_status(const aq_buf *b) { return b->failed ? AQ_E_LIMIT : AQ_OK; }

/* ---- reading cursor ---- */

/* Reads fail by setting `failed` and returning zeros; check once with aq_rd_done or aq_rd_ok. */
typedef struct {
  const uint8_t *ptr;
  size_t left;
  bool failed;
} aq_rd;

static inline aq_rd aq_rd_of(aq_bytes b) { return (aq_rd){.ptr = b.ptr, .left = b.len}; }
static inline bool aq_rd_ok(const aq_rd *r) { return !r->failed; }
static inline bool aq_rd_done(const aq_rd *r) { return !r->failed && r->left == 0; } /* everything was consumed */
aq_bytes aq_rd_bytes(aq_rd *r, size_t len);       /* a view into the input; empty on failure */
void aq_rd_copy(aq_rd *r, void *out, size_t len); /* zeros on failure */
bool aq_rd_line(aq_rd *r, aq_bytes *line);        /* text up to the next line feed, without it; false: no more */
uint8_t aq_rd_u8(aq_rd *r);
uint16_t aq_rd_be16(aq_rd *r);

/* ---- endian access ---- */

static inline uint16_t aq_be16_get(const uint8_t *p) { return (uint16_t)((uint32_t)p[0] << 8 | p[1]); }
static inline uint32_t aq_be32_get(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint32_t aq_le32_get(const uint8_t *p) {
  return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}
static inline uint64_t aq_le64_get(const uint8_t *p) { return (uint64_t)aq_le32_get(p + 4) << 32 | aq_le32_get(p); }
static inline uint64_t aq_be64_get(const uint8_t *p) { return (uint64_t)aq_be32_get(p) << 32 | aq_be32_get(p + 4); }
static inline void aq_be16_put(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static inline void aq_be32_put(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8), p[3] = (uint8_t)v;
}
static inline void aq_be64_put(uint8_t *p, uint64_t v) {
  aq_be32_put(p, (uint32_t)(v >> 32)), aq_be32_put(p + 4, (uint32_t)v);
}
static inline void aq_le32_put(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 24);
}
static inline void aq_le64_put(uint8_t *p, uint64_t v) {
  aq_le32_put(p, (uint32_t)v), aq_le32_put(p + 4, (uint32_t)(v >> 32));
}

#endif
