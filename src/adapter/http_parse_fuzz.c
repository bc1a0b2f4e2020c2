/* Requests as bytes. Input: a byte, the length of the pieces; the rest is what a client sends. Head and body are the
   same at every cut; what comes out is within the limits, has its parts, and no byte that a line could end with. */
#include "adapter/http_parse.h"

#include <stdlib.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct {
  int code;
  size_t head_len, used; /* of the head; of the whole request */
  aq_http_body_step end;
  uint32_t sum; /* of the body's bytes */
  size_t body_len;
} outcome;

static void check(const aq_http_head *h) {
  AQ_ASSERT(*h->method && *h->target && h->header_cnt <= AQ_HTTP_HEADERS_MAX);
  AQ_ASSERT(!strpbrk(h->method, " \r\n\t") && !strpbrk(h->target, " \r\n\t#"));
  AQ_ASSERT(!(h->chunked && (h->length || h->old)) && (h->close || !h->old));
  for (size_t i = 0; i < h->header_cnt; i++) {
    AQ_ASSERT(*h->header[i].name && !strpbrk(h->header[i].name, " \r\n\t:") && !strpbrk(h->header[i].value, "\r\n"));
  }
}

static void read_body(outcome *out, const aq_http_head *h, aq_bytes rest, size_t piece) {
  aq_http_body b;
  size_t at = 0;
  aq_http_body_start(&b, h);
  for (;;) {
    size_t have = rest.len - at < piece ? rest.len - at : piece;
    aq_bytes in = aq_bytes_sub(rest, at, have), got;
    out->end = aq_http_body_next(&b, &in, &got);
    at += have - in.len;
    if (out->end == AQ_HTTP_BODY_DATA) {
      AQ_ASSERT(got.len > 0 && got.len <= have);
      for (size_t i = 0; i < got.len; i++) out->sum = out->sum * 31 + got.ptr[i];
      out->body_len += got.len;
      continue;
    }
    if (out->end != AQ_HTTP_BODY_MORE || at == rest.len) break;
  }
  AQ_ASSERT(h->chunked || out->end != AQ_HTTP_BODY_BAD);
  AQ_ASSERT(h->chunked || out->body_len == (h->length < rest.len ? h->length : rest.len));
  if (out->end != AQ_HTTP_BODY_BAD) out->used = at;
}

static outcome take(aq_bytes in, size_t piece) {
  outcome out = {0};
  aq_http_head h;
  size_t seen = 0;
  for (size_t have = 0; have < in.len && out.code == 0 && out.head_len == 0;) {
    have = in.len - have < piece ? in.len : have + piece;
    out.head_len = aq_http_head_find(aq_bytes_sub(in, 0, have), &seen, &out.code);
    AQ_ASSERT(out.head_len <= have && out.head_len <= AQ_HTTP_HEAD_MAX && !(out.head_len && out.code));
  }
  if (out.head_len == 0) return out;
  char *text = malloc(out.head_len); /* exact: a read behind it is found */
  AQ_ASSERT(text);
  memcpy(text, in.ptr, out.head_len);
  out.code = aq_http_head_parse(&h, text, out.head_len);
  AQ_ASSERT(out.code == 0 || (out.code >= 400 && out.code <= 505));
  if (out.code == 0) {
    check(&h);
    read_body(&out, &h, aq_bytes_sub(in, out.head_len, in.len - out.head_len), piece);
  }
  free(text);
  return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 2) return 0;
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  outcome whole = take(in, in.len), cut = take(in, data[0] + 1u);
  AQ_ASSERT(whole.code == cut.code && whole.head_len == cut.head_len && whole.used == cut.used);
  AQ_ASSERT(whole.end == cut.end && whole.sum == cut.sum && whole.body_len == cut.body_len);
  return 0;
}
