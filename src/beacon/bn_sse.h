/* beacon/bn_sse.h - parser of an event stream (text/event-stream, WHATWG HTML 9.2.6) in bounded memory. A line or an
   event over its limit is dropped up to the next blank line; the stream goes on. Spec: core.md 12.5. Pure. */
#ifndef AQ_BEACON_BN_SSE_H
#define AQ_BEACON_BN_SSE_H

#include "base/bytes.h"

enum { AQ_SSE_LINE_MAX = 64 << 10, AQ_SSE_DATA_MAX = 64 << 10, AQ_SSE_NAME_MAX = 64 };

typedef struct {
  aq_buf line, data;
  char name[AQ_SSE_NAME_MAX]; /* "message" when the stream named none */
  bool has_data, dropping;    /* dropping: this event is over a limit */
  bool line_dropping, after_cr;
  uint64_t retry_ms; /* last retry field, 0: none */
} aq_sse;

void aq_sse_init(aq_sse *s);
void aq_sse_free(aq_sse *s);
void aq_sse_reset(aq_sse *s); /* a new connection */
/* Calls fn for each complete event; data is valid during the call. */
void aq_sse_feed(aq_sse *s, aq_bytes chunk, void (*fn)(void *arg, const char *name, aq_bytes data), void *arg);

#endif
