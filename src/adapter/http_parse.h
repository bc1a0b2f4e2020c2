/* adapter/http_parse.h - requests of HTTP/1.0 and 1.1 out of bytes that come in any pieces. RFC 9112, read strictly:
   what two programs could read in two ways is refused, because a proxy before us or a beacon node behind us may read
   it the other way. llhttp reads the bytes, with none of its lenient flags; what it takes nevertheless, and limits,
   are checked here. No sockets and no clock. */
#ifndef AQ_ADAPTER_HTTP_PARSE_H
#define AQ_ADAPTER_HTTP_PARSE_H

#include "port/http.h"

#include <llhttp.h>

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

typedef enum { AQ_HTTP_MORE, AQ_HTTP_HEAD, AQ_HTTP_DATA, AQ_HTTP_END, AQ_HTTP_BAD } aq_http_step;

/* One request. */
typedef struct {
  llhttp_t machine;
  int stage;
  int refuse;  /* BAD: the code of the answer */
  bool paused; /* the machine may go on without another byte */
  aq_http_step event;
  aq_bytes data;
  aq_buf text; /* of the head: method, target, then names and values, each with a 0 */
  size_t mark; /* of text: where the part under way begins */
  size_t header_cnt;
  size_t used;      /* bytes of the head, or of a chunk's line, or of all trailers */
  size_t at;        /* of them: where "HTTP" begins, or a chunk's size */
  size_t extension; /* of a chunk's line: where it begins; 0: none */
  uint64_t left;    /* of the chunk */
  const char *piece;
} aq_http_parse;

void aq_http_parse_init(aq_http_parse *p);
/* Gives the memory back; ready for the next request. */
void aq_http_parse_reset(aq_http_parse *p);
/* Takes from the front of *in. MORE: it is used up. HEAD: once, before all of the body. DATA: *data, a view into it, is
   next of the body. END: *in begins behind the request. BAD: p->refuse; so for ever. */
aq_http_step aq_http_parse_next(aq_http_parse *p, aq_bytes *in, aq_bytes *data);
/* After HEAD: the head; its text is the parser's, and may be changed. Returns 0 or the code to refuse with. */
int aq_http_parse_head(aq_http_head *out, aq_http_parse *p);
/* Some of a request, even if it is a blank line before it, has come. */
bool aq_http_parse_begun(const aq_http_parse *p);
/* As far as it is known; "" before. */
const char *aq_http_parse_method(const aq_http_parse *p);

#endif
