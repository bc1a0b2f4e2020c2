/* adapter/http_parse.h - requests of HTTP/1.0 and 1.1 out of bytes that come in any pieces. RFC 9112, read strictly:
   what two programs could read in two ways is refused, because a proxy before us or a beacon node behind us may read
   it the other way. No sockets and no clock. */
#ifndef AQ_ADAPTER_HTTP_PARSE_H
#define AQ_ADAPTER_HTTP_PARSE_H

#include "port/http.h"

enum {
  AQ_HTTP_HEAD_MAX = 32 * 1024,  /* request line and headers (validator-api.md 18.8) */
  AQ_HTTP_HEADERS_MAX = 100,     /* lines; what other servers take */
  AQ_HTTP_CHUNK_LINE_MAX = 256,  /* a size is 8 digits; extensions are read over */
  AQ_HTTP_TRAILER_MAX = 4 * 1024 /* all lines; they are read over */
};

typedef struct {
  const char *method, *target;
  aq_http_header header[AQ_HTTP_HEADERS_MAX];
  size_t header_cnt;
  bool old;   /* HTTP/1.0: no chunks, closes after the answer */
  bool close; /* the client wants it */
  bool chunked;
  bool expects;    /* waits for 100 before the body */
  uint64_t length; /* of the body when it is not chunked */
} aq_http_head;

/* Length of the head at the front of `in` with its empty line. 0: more must come, or *refuse is the code of the
   answer to bytes that are no head or too long a one. *seen: 0 before the first call; how far earlier calls have
   looked. */
size_t aq_http_head_find(aq_bytes in, size_t *seen, int *refuse);
/* Reads a head that was found; text is changed and must live as long as *out. Returns 0 or the code to refuse with.
   */
int aq_http_head_parse(aq_http_head *out, char *text, size_t len);

/* The body that follows a head. */
typedef struct {
  int state;
  uint64_t left; /* of the length, or of a chunk */
  size_t line;   /* bytes of the line of a chunk's size, or of all trailers */
} aq_http_body;

typedef enum { AQ_HTTP_BODY_MORE, AQ_HTTP_BODY_DATA, AQ_HTTP_BODY_END, AQ_HTTP_BODY_BAD } aq_http_body_step;

void aq_http_body_start(aq_http_body *b, const aq_http_head *h);
/* Takes from the front of *in. MORE: it is used up. DATA: *data, a view into it, is next. END: *in begins behind the
   body. BAD: no chunks. */
aq_http_body_step aq_http_body_next(aq_http_body *b, aq_bytes *in, aq_bytes *data);

#endif
