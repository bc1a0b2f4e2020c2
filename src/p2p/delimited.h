/* p2p/delimited.h - reads one message of the form uvarint(length) || bytes from a stream of pieces. Spec: wire.md
   3.1. Memory grows with the bytes that arrived, not with the length that was announced. */
#ifndef AQ_P2P_DELIMITED_H
#define AQ_P2P_DELIMITED_H

#include "base/bytes.h"

typedef struct {
  uint8_t head[9];
  uint32_t head_len;
  bool have_len; /* len is known */
  uint64_t len, max;
  aq_buf body;
} aq_delimited;

void aq_delimited_init(aq_delimited *d, size_t max);
void aq_delimited_free(aq_delimited *d); /* empty and usable again */
/* AQ_OK: body is the whole message and *used may be less than in.len. AQ_E_AGAIN: all of in was taken. AQ_E_FORMAT:
   the length is not minimal or over 63 bits. AQ_E_LIMIT: over max. */
AQ_NODISCARD aq_status aq_delimited_feed(aq_delimited *d, size_t *used, aq_bytes in);
void aq_delimited_put(aq_buf *out, aq_bytes msg);

#endif
