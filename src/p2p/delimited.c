/* A message after its length, from pieces of any size. */
#include "p2p/delimited.h"

#include "codec/pb.h"

void aq_delimited_init(aq_delimited *d, size_t max) { *d = (aq_delimited){.max = max, .body = AQ_BUF(max)}; }

void aq_delimited_free(aq_delimited *d) {
  aq_buf_free(&d->body);
  aq_delimited_init(d, (size_t)d->max);
}

static aq_status length(aq_delimited *d, size_t *used, aq_bytes in) {
  while (!d->have_len) {
    if (*used == in.len) return AQ_E_AGAIN;
    d->head[d->head_len++] = in.ptr[(*used)++];
    size_t head_used;
    aq_status st = aq_uvarint_get(&d->len, &head_used, aq_bytes_of(d->head, d->head_len));
    if (st == AQ_E_TRUNC) continue;
    if (st != AQ_OK) return st;
    if (d->len > d->max) return AQ_E_LIMIT;
    d->have_len = true;
  }
  return AQ_OK;
}

aq_status aq_delimited_feed(aq_delimited *d, size_t *used, aq_bytes in) {
  *used = 0;
  aq_status st = length(d, used, in);
  if (st != AQ_OK) return st;
  size_t need = (size_t)d->len - d->body.len, len = in.len - *used;
  if (len > need) len = need;
  aq_buf_put(&d->body, in.ptr + *used, len);
  *used += len;
  if (d->body.failed) return AQ_E_LIMIT;
  return d->body.len == d->len ? AQ_OK : AQ_E_AGAIN;
}

void aq_delimited_put(aq_buf *out, aq_bytes msg) {
  uint8_t head[9];
  aq_buf_put(out, head, aq_uvarint_put(head, msg.len));
  aq_buf_put_bytes(out, msg);
}
