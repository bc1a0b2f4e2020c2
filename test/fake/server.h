/* fake/server.h - the server side of port/http in memory: hands one request to a handler and keeps what comes back. As
   strict as the contract: the request's memory is gone as soon as the answer is complete or the client left, and every
   call out of order fails. A target that does not decode and a body over the handler's limit are answered in its place,
   as the adapter does. fake/http.h brings requests here over time; alone it serves tests of handlers.
   Limits: FAKE_HEADERS_MAX headers of a fake_req, four times as many of an answer, 256 MiB of body. */
#ifndef AQ_FAKE_SERVER_H
#define AQ_FAKE_SERVER_H

#include "http/http.h"

enum { FAKE_HEADERS_MAX = 16 };

/* What a test asks; borrowed for the call. */
typedef struct {
  const char *method, *target; /* target: path?query, percent-encoded */
  aq_http_header header[FAKE_HEADERS_MAX];
  size_t header_cnt;
  aq_bytes body;
  const char *client; /* its address, not copied; NULL: not known */
} fake_req;

/* A request and what came of it. */
typedef struct fake_res {
  const aq_http_req *req; /* NULL once the handler may not use it any more */
  bool kept;              /* set it: for scripts, any code will do and the request stays until fake_res_free */
  bool bad_target;        /* its path does not decode: "" */
  int code;               /* 0: no answer yet */
  bool streamed, ended, gone, cut;
  bool full; /* set it: writes say that too much waits, until fake_drain */
  char *header[FAKE_HEADERS_MAX * 4][2];
  size_t header_cnt, writes;
  aq_buf body;
  /* Private. */
  void (*on_gone)(void *arg);
  void (*on_drained)(void *arg);
  void *watch_arg;
  void (*notify)(void *arg, struct fake_res *r);
  void *notify_arg;
} fake_res;

/* Sends it. The answer may have come already; fake_res_free ends it in any case. */
fake_res *fake_send(const aq_http_handler *h, const fake_req *in);

/* The same in two steps: a request that nobody serves yet, its parts copied. notify, which may be NULL: called at the
   head, at each chunk and at the end. */
fake_res *fake_request(const fake_req *in, const aq_http_headers *h, void (*notify)(void *arg, fake_res *r), void *arg);
void fake_serve(fake_res *r, const aq_http_handler *h);
/* A whole answer in a handler's place. h may be NULL. */
void fake_respond(fake_res *r, int code, const aq_http_headers *h, aq_bytes body);

void fake_leave(fake_res *r); /* the client leaves before the end; harmless after it */
void fake_drain(fake_res *r); /* the client read what waited */

const char *fake_header(const fake_res *r, const char *name);                              /* of the answer, or NULL */
aq_http_headers fake_headers(const fake_res *r, aq_http_header out[FAKE_HEADERS_MAX * 4]); /* all of them */
void fake_res_free(fake_res *r); /* leaves first when there is no whole answer yet; NULL is harmless */

/* A request as text: "METHOD target", header lines, an empty line, the body. q points into the result, which the caller
   frees last. Headers over the limit are left out. */
char *fake_read(fake_req *q, const void *data, size_t len);

#endif
