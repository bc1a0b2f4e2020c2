/* Requests as bytes. Input: a byte, the length of the pieces; the rest is what a client sends. Head and body are the
   same at every cut; what comes out is within the limits, has its parts, and no byte that a line could end with. */
#include "adapter/http_parse.h"

#include <stdlib.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct {
  int code;
  aq_http_step end;
  size_t used, body_len; /* of the input; of the body */
  uint32_t sum;          /* of the body's bytes, and the head's text */
} outcome;

static void check(const aq_http_head *h) {
  AQ_ASSERT(*h->method && *h->target && h->header_cnt <= AQ_HTTP_HEADERS_MAX);
  AQ_ASSERT(!strpbrk(h->method, " \r\n\t") && !strpbrk(h->target, " \r\n\t#"));
  AQ_ASSERT(!(h->chunked && (h->length || h->old)) && (h->close || !h->old));
  for (size_t i = 0; i < h->header_cnt; i++) {
    AQ_ASSERT(*h->header[i].name && !strpbrk(h->header[i].name, " \r\n\t:") && !strpbrk(h->header[i].value, "\r\n"));
  }
}

static void add(outcome *out, const void *text, size_t len) {
  for (size_t i = 0; i < len; i++) out->sum = out->sum * 31 + ((const uint8_t *)text)[i];
}

static void take_head(outcome *out, aq_http_head *h, aq_http_parse *p) {
  out->code = aq_http_parse_head(h, p);
  AQ_ASSERT(p->text.len <= AQ_HTTP_HEAD_MAX);
  add(out, p->text.ptr, p->text.len);
  if (out->code == 0) check(h);
}

static outcome take(aq_bytes in, size_t piece) {
  outcome out = {0};
  aq_http_parse p;
  aq_http_head h = {0};
  aq_bytes got;
  aq_http_parse_init(&p);
  bool head = false;
  for (;;) {
    size_t have = in.len - out.used < piece ? in.len - out.used : piece;
    uint8_t *copy = malloc(have + !have); /* exact: a read behind it is found */
    AQ_ASSERT(copy);
    memcpy(copy, in.ptr + out.used, have);
    aq_bytes part = aq_bytes_of(copy, have);
    out.end = aq_http_parse_next(&p, &part, &got);
    out.used += have - part.len;
    if (out.end == AQ_HTTP_HEAD) {
      AQ_ASSERT(!head);
      head = true, take_head(&out, &h, &p);
    }
    if (out.end == AQ_HTTP_DATA) {
      AQ_ASSERT(head && got.len > 0 && got.ptr >= copy && got.ptr + got.len <= copy + have);
      add(&out, got.ptr, got.len);
      out.body_len += got.len;
    }
    free(copy);
    if (out.code || out.end == AQ_HTTP_END || out.end == AQ_HTTP_BAD) break;
    if (out.end == AQ_HTTP_MORE && out.used == in.len) break;
  }
  if (out.end == AQ_HTTP_BAD) out.code = p.refuse;
  AQ_ASSERT(out.code == 0 || (out.code >= 400 && out.code <= 505));
  AQ_ASSERT(out.end != AQ_HTTP_BAD || out.code);
  AQ_ASSERT(out.end != AQ_HTTP_END || head);
  if (head && out.code == 0 && !h.chunked) AQ_ASSERT(out.body_len <= h.length);
  if (out.end == AQ_HTTP_END && !h.chunked) AQ_ASSERT(out.body_len == h.length);
  aq_http_parse_reset(&p);
  return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 2) return 0;
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  outcome whole = take(in, in.len), cut = take(in, data[0] + 1u);
  AQ_ASSERT(whole.code == cut.code && whole.end == cut.end && whole.used == cut.used);
  if (whole.code == 0) AQ_ASSERT(whole.sum == cut.sum && whole.body_len == cut.body_len);
  return 0;
}
