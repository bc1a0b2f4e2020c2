/* One item at a time, each length in its only form. */
#include "codec/rlp.h"

enum { STRING = 0x80, LIST = 0xc0, SHORT_MAX = 55, LEN_BYTES_MAX = 8 };

/* The length after a long-form header of n length bytes: no leading zero, and over what the short form holds. */
static aq_status long_length(aq_rd *r, size_t *out, size_t n) {
  uint64_t len = 0;
  aq_bytes b = aq_rd_bytes(r, n);
  if (!aq_rd_ok(r)) return AQ_E_TRUNC;
  if (b.ptr[0] == 0) return AQ_E_FORMAT;
  for (size_t i = 0; i < n; i++) len = len << 8 | b.ptr[i];
  if (len <= SHORT_MAX) return AQ_E_FORMAT;
  if (len > r->left) return AQ_E_TRUNC;
  *out = (size_t)len;
  return AQ_OK;
}

aq_status aq_rlp_next(aq_rd *r, aq_rlp_item *out) {
  if (r->left == 0) return AQ_E_TRUNC;
  uint8_t head = r->ptr[0];
  if (head < STRING) {
    *out = (aq_rlp_item){false, aq_rd_bytes(r, 1)};
    return AQ_OK;
  }
  (void)aq_rd_u8(r);
  out->is_list = head >= LIST;
  size_t len = (size_t)head - (out->is_list ? LIST : STRING);
  if (len > SHORT_MAX) {
    aq_status st = long_length(r, &len, len - SHORT_MAX);
    if (st != AQ_OK) return st;
  }
  out->body = aq_rd_bytes(r, len);
  if (!aq_rd_ok(r)) return AQ_E_TRUNC;
  return !out->is_list && len == 1 && out->body.ptr[0] < STRING ? AQ_E_FORMAT : AQ_OK;
}

/* Big endian without leading zeros; returns the length. */
static size_t put_be(uint8_t out[LEN_BYTES_MAX], uint64_t v) {
  size_t len = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    uint8_t byte = (uint8_t)(v >> shift);
    if (len || byte) out[len++] = byte;
  }
  return len;
}

static void put_header(aq_buf *out, uint8_t base, size_t len) {
  uint8_t be[LEN_BYTES_MAX];
  if (len <= SHORT_MAX) {
    aq_buf_put_u8(out, (uint8_t)(base + len));
    return;
  }
  size_t n = put_be(be, len);
  aq_buf_put_u8(out, (uint8_t)(base + SHORT_MAX + n));
  aq_buf_put(out, be, n);
}

void aq_rlp_put_bytes(aq_buf *out, aq_bytes b) {
  if (b.len != 1 || b.ptr[0] >= STRING) put_header(out, STRING, b.len);
  aq_buf_put_bytes(out, b);
}

void aq_rlp_put_u64(aq_buf *out, uint64_t v) {
  uint8_t be[LEN_BYTES_MAX];
  aq_rlp_put_bytes(out, aq_bytes_of(be, put_be(be, v)));
}

void aq_rlp_put_list(aq_buf *out, aq_bytes items) {
  put_header(out, LIST, items.len);
  aq_buf_put_bytes(out, items);
}
