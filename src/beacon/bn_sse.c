/* Line by line into two bounded buffers; an event that outgrows them is skipped, and so is only that one. */
#include "beacon/bn_sse.h"

#include "base/hex.h"

void aq_sse_init(aq_sse *s) { *s = (aq_sse){.line = AQ_BUF(AQ_SSE_LINE_MAX), .data = AQ_BUF(AQ_SSE_DATA_MAX)}; }

void aq_sse_free(aq_sse *s) {
  aq_buf_free(&s->line);
  aq_buf_free(&s->data);
}

static void event_reset(aq_sse *s) {
  aq_buf_reset(&s->data);
  s->name[0] = 0;
  s->has_data = s->dropping = false;
}

void aq_sse_reset(aq_sse *s) {
  event_reset(s);
  aq_buf_reset(&s->line);
  s->line_dropping = s->after_cr = false;
  s->retry_ms = 0;
}

static void field(aq_sse *s, aq_bytes name, aq_bytes value) {
  if (aq_bytes_eq(name, aq_bytes_str("data"))) {
    if (s->has_data) aq_buf_put_u8(&s->data, '\n');
    aq_buf_put_bytes(&s->data, value);
    s->has_data = true;
    if (s->data.failed) s->dropping = true;
  } else if (aq_bytes_eq(name, aq_bytes_str("event"))) {
    if (value.len >= sizeof s->name || memchr(value.ptr, 0, value.len)) {
      s->dropping = true;
      return;
    }
    memcpy(s->name, value.ptr, value.len);
    s->name[value.len] = 0;
  } else if (aq_bytes_eq(name, aq_bytes_str("retry"))) {
    uint64_t ms;
    if (aq_u64_parse(&ms, value) == AQ_OK) s->retry_ms = ms;
  }
}

static void line_end(aq_sse *s, void (*fn)(void *, const char *, aq_bytes), void *arg) {
  aq_bytes line = aq_buf_bytes(&s->line);
  if (s->line_dropping) {
    s->dropping = true;
  } else if (line.len == 0) {
    if (s->has_data && !s->dropping) fn(arg, s->name[0] ? s->name : "message", aq_buf_bytes(&s->data));
    event_reset(s);
  } else if (line.ptr[0] != ':') {
    const uint8_t *colon = memchr(line.ptr, ':', line.len);
    size_t name_len = colon ? (size_t)(colon - line.ptr) : line.len;
    size_t skip = colon ? name_len + 1 : name_len;
    if (skip < line.len && line.ptr[skip] == ' ') skip++;
    field(s, aq_bytes_of(line.ptr, name_len), aq_bytes_of(line.ptr + skip, line.len - skip));
  }
  aq_buf_reset(&s->line);
  s->line_dropping = false;
}

void aq_sse_feed(aq_sse *s, aq_bytes chunk, void (*fn)(void *arg, const char *name, aq_bytes data), void *arg) {
  size_t at = 0;
  while (at < chunk.len) {
    uint8_t c = chunk.ptr[at];
    if (s->after_cr && c == '\n') {
      s->after_cr = false;
      at++;
      continue;
    }
    s->after_cr = false;
    size_t end = at;
    while (end < chunk.len && chunk.ptr[end] != '\n' && chunk.ptr[end] != '\r') end++;
    if (end > at) {
      aq_buf_put(&s->line, chunk.ptr + at, end - at);
      if (s->line.failed) s->line_dropping = true;
    }
    if (end == chunk.len) return;
    s->after_cr = chunk.ptr[end] == '\r';
    at = end + 1;
    line_end(s, fn, arg);
  }
}
