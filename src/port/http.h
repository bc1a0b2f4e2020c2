/* port/http.h - HTTP server and client as cores see them. Production: an own server with llhttp, and libcurl.
   Everything is asynchronous and on the loop thread. */
#ifndef AQ_PORT_HTTP_H
#define AQ_PORT_HTTP_H

#include "base/bytes.h"

typedef struct {
  const char *name, *value;
} aq_http_header;

typedef struct {
  const aq_http_header *item;
  size_t cnt;
} aq_http_headers;

/* ---- server ---- */

typedef struct aq_http_req {
  const char *method;   /* upper case */
  const char *path;     /* percent-decoded, without query */
  const char *raw_path; /* as received */
  const char *query;    /* raw, without '?'; "" when absent */
  aq_http_headers headers;
  aq_bytes body;      /* whole, within the limit */
  const char *client; /* the client's address without its port; NULL: not known */
} aq_http_req;

/* A pending answer. The request is valid until the answer is complete or `gone` was called. */
typedef struct aq_http_res aq_http_res;

typedef struct aq_http_server_vt {
  void (*respond)(aq_http_res *res, int code, const aq_http_headers *h, aq_bytes body); /* whole answer; ends res */
  /* streamed answer: in chunks, or of the Content-Length among the headers */
  void (*begin)(aq_http_res *res, int code, const aq_http_headers *h);
  /* copied; returns false when more than 1 MiB waits for the client: stop the source until `drained` */
  bool (*write)(aq_http_res *res, aq_bytes chunk);
  void (*end)(aq_http_res *res); /* ends res; cuts where more or less was written than begin said */
  /* Instead of end: closes the client's connection, so that what was streamed does not look whole; ends res. */
  void (*cut)(aq_http_res *res);
  /* gone: the client left before the end; res is dead then. drained: room again after write returned false. */
  void (*watch)(aq_http_res *res, void (*gone)(void *arg), void (*drained)(void *arg), void *arg);
} aq_http_server_vt;

typedef struct {
  void *arg;
  /* Largest body for the request line; over it the adapter answers 413. */
  size_t (*body_max)(void *arg, const char *method, const char *path);
  void (*handle)(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt);
} aq_http_handler;

/* ---- client ---- */

/* Each pool has connections of its own: what clients ask through the proxy never makes the node's duties wait. */
typedef enum { AQ_HTTPC_OWN, AQ_HTTPC_PROXY, AQ_HTTPC_POOLS } aq_httpc_pool;

typedef struct {
  const char *method;
  const char *url; /* http or https; user:password in it becomes basic auth */
  aq_http_headers headers;
  aq_bytes body;       /* copied */
  uint64_t timeout_ns; /* 0: none (event streams) */
  uint64_t silence_ns; /* the longest time without a byte of the answer, AQ_E_TIMEOUT after it; 0: any */
  aq_httpc_pool pool;
  size_t body_max; /* of the answer; over it AQ_E_LIMIT. 0: 64 MiB */
} aq_httpc_req;

typedef struct {
  int code;                /* 0 when no answer came */
  aq_http_headers headers; /* valid during the call */
  aq_bytes body;           /* whole body; empty when streamed */
  const char *why;         /* without a whole answer: one sentence, the address first (http/http_fault.h); or NULL */
} aq_httpc_res;

/* Whatever the other side sends, in whatever order: at most one head, then data, then exactly one done. Interim answers
   (1xx) and trailers are passed over; 101 and codes outside 200..599 are no answer (AQ_E_CLOSED). Redirects on the same
   origin, and from http to https of the same host, are followed with the same method, body and headers; others are the
   answer. A compressed body is unpacked, and its Content-Encoding and Content-Length are left out of the headers,
   unless the request has an Accept-Encoding of its own; body_max is of what it grows to. */
typedef struct {
  void *arg;
  /* With `data` set the body is streamed: head once, code 200..599, then data; data returning false pauses until
     resume. */
  void (*head)(void *arg, int code, const aq_http_headers *h);
  bool (*data)(void *arg, aq_bytes chunk);
  /* Exactly once unless cancelled. st AQ_OK: a whole answer came, whatever its code. Else AQ_E_TIMEOUT, AQ_E_CLOSED,
     AQ_E_LIMIT, AQ_E_FORMAT (it cannot be unpacked), also after a head: what was streamed is not the whole then. */
  void (*done)(void *arg, aq_status st, const aq_httpc_res *res);
} aq_httpc_cb;

typedef struct aq_httpc {
  void *ctx;
  uint64_t (*start)(void *ctx, const aq_httpc_req *req,
                    const aq_httpc_cb *cb); /* id, never 0; done never from inside */
  void (*resume)(void *ctx, uint64_t id);
  void (*cancel)(void *ctx, uint64_t id); /* no callback after it; harmless for an ended id */
} aq_httpc;

#endif
