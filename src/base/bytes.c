/* A buffer that failed takes nothing more, so that callers look once, at the end. */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

bool aq_bytes_is_zero(aq_bytes b) {
  for (size_t i = 0; i < b.len; i++) {
    if (b.ptr[i]) return false;
  }
  return true;
}

aq_bytes aq_bytes_sub(aq_bytes b, size_t off, size_t len) {
  AQ_ASSERT(off <= b.len && len <= b.len - off);
  return aq_bytes_of(off ? b.ptr + off : b.ptr, len); /* NULL + 0 is undefined */
}

void aq_buf_init(aq_buf *b, size_t max) { *b = AQ_BUF(max); }

void aq_buf_free(aq_buf *b) {
  free(b->ptr);
  *b = AQ_BUF(b->max);
}

void aq_buf_reset(aq_buf *b) {
  b->len = 0;
  b->failed = false;
}

/* Room for len more bytes plus one for a terminator, which is not charged against max. */
static bool reserve(aq_buf *b, size_t len) {
  if (b->failed) return false;
  size_t need;
  if (!aq_add_ok(&need, b->len, len) || need > b->max) {
    b->failed = true;
    return false;
  }
  if (need + 1 <= b->cap) return true;
  size_t cap = b->cap ? b->cap : 64;
  while (cap < need + 1) cap *= 2;
  uint8_t *ptr = realloc(b->ptr, cap);
  if (!ptr) {
    b->failed = true;
    return false;
  }
  b->ptr = ptr;
  b->cap = cap;
  return true;
}

void aq_buf_put(aq_buf *b, const void *ptr, size_t len) {
  if (!reserve(b, len)) return;
  if (len) memcpy(b->ptr + b->len, ptr, len);
  b->len += len;
}

void aq_buf_put_bytes(aq_buf *b, aq_bytes bytes) { aq_buf_put(b, bytes.ptr, bytes.len); }
void aq_buf_put_u8(aq_buf *b, uint8_t v) { aq_buf_put(b, &v, 1); }
void aq_buf_put_str(aq_buf *b, const char *s) { aq_buf_put(b, s, strlen(s)); }

void aq_buf_printf(aq_buf *b, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int len = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  AQ_ASSERT(len >= 0);
  if (!reserve(b, (size_t)len)) return;
  va_start(args, fmt);
  vsnprintf((char *)b->ptr + b->len, (size_t)len + 1, fmt, args);
  va_end(args);
  b->len += (size_t)len;
}

void aq_buf_put_hex(aq_buf *b, aq_bytes bytes) {
  static const char digit[] = "0123456789abcdef";
  if (bytes.len > b->max || !reserve(b, bytes.len * 2)) {
    b->failed = true;
    return;
  }
  uint8_t *out = b->ptr + b->len;
  for (size_t i = 0; i < bytes.len; i++) {
    *out++ = (uint8_t)digit[bytes.ptr[i] >> 4];
    *out++ = (uint8_t)digit[bytes.ptr[i] & 15];
  }
  b->len += bytes.len * 2;
}

uint8_t *aq_buf_extend(aq_buf *b, size_t len) {
  if (!reserve(b, len)) return NULL;
  uint8_t *out = b->ptr + b->len;
  if (len) memset(out, 0, len);
  b->len += len;
  return out;
}

void aq_buf_drop_front(aq_buf *b, size_t len) {
  AQ_ASSERT(len <= b->len);
  if (len == 0) return;
  memmove(b->ptr, b->ptr + len, b->len - len);
  b->len -= len;
}

const char *aq_buf_cstr(aq_buf *b) {
  if (!reserve(b, 0)) return "";
  b->ptr[b->len] = 0;
  return (const char *)b->ptr;
}

aq_bytes aq_rd_bytes(aq_rd *r, size_t len) {
  if (r->failed || len > r->left) {
    r->failed = true;
    return (aq_bytes){NULL, 0};
  }
  aq_bytes out = aq_bytes_of(r->ptr, len);
  if (len) r->ptr += len;
  r->left -= len;
  return out;
}

void aq_rd_copy(aq_rd *r, void *out, size_t len) {
  aq_bytes b = aq_rd_bytes(r, len);
  if (len == 0) return;
  if (b.len == len)
    memcpy(out, b.ptr, len);
  else
    memset(out, 0, len);
}

bool aq_rd_line(aq_rd *r, aq_bytes *line) {
  if (r->failed || r->left == 0) return false;
  const uint8_t *end = memchr(r->ptr, '\n', r->left);
  *line = aq_rd_bytes(r, end ? (size_t)(end - r->ptr) : r->left);
  if (end) (void)aq_rd_bytes(r, 1);
  return true;
}

uint8_t aq_rd_u8(aq_rd *r) {
  aq_bytes b = aq_rd_bytes(r, 1);
  return b.len ? b.ptr[0] : 0;
}

uint16_t aq_rd_be16(aq_rd *r) {
  aq_bytes b = aq_rd_bytes(r, 2);
  return b.len ? aq_be16_get(b.ptr) : 0;
}
