/* adapter/http_answer.h - heads of answers as bytes. No sockets and no clock. */
#ifndef AQ_ADAPTER_HTTP_ANSWER_H
#define AQ_ADAPTER_HTTP_ANSWER_H

#include "port/http.h"

/* How the client finds the end of the body. */
typedef enum {
  AQ_HTTP_BARE,   /* no body; a Content-Length of the core's is of the body that GET would give */
  AQ_HTTP_LENGTH, /* `length` bytes */
  AQ_HTTP_CHUNKS,
  AQ_HTTP_CLOSE /* the connection's end; HTTP/1.0 knows nothing else for a stream */
} aq_http_framing;

typedef struct {
  int code; /* anything but 200..599 becomes 500 */
  aq_http_framing framing;
  uint64_t length;
  bool close;      /* say so */
  uint64_t now_ns; /* Unix */
} aq_http_answer;

/* Appends status line, headers and the empty line. Headers that this writes itself, and those whose name or value could
   end a line early, are left out. */
void aq_http_answer_head(aq_buf *out, const aq_http_answer *a, const aq_http_headers *h);

/* No body follows such an answer, whatever the core gave. */
static inline bool aq_http_bare(const char *method, int code) {
  return strcmp(method, "HEAD") == 0 || code == 204 || code == 304;
}

#endif
