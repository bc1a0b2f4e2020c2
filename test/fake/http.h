/* fake/http.h - the HTTP client of port/http.h in memory and virtual time. What is asked goes one of two ways:

   - to a script: `handle` sees each exchange from inside start and answers it, at once or after a delay, or never;
     a stream is fed by the test;
   - to a server, which is an aq_http_handler (fake/server.h): the request reaches it after a time, and its answer comes
     back the same way, in pieces for whoever asked for a stream.

   A fake_http is all exchanges of one world; several clients may share it, each with a port of its own.
   Faults: connections refused, answers late, missing, cut or of other bytes; a server or a client that is gone.
   Keeps: one done at the most and never from inside start, the limits of time of a request, no callback after cancel.
   Does not: follow redirects, unpack, bound the answer (body_max), pause a stream (resume does nothing).
   Limit: FAKE_HTTP_OPEN_MAX exchanges open; more fails. */
#ifndef AQ_FAKE_HTTP_H
#define AQ_FAKE_HTTP_H

#include "fake/env.h"
#include "fake/server.h"

enum { FAKE_HTTP_OPEN_MAX = 4096, FAKE_HTTP_LOG_MAX = 4096 };

typedef struct fake_http fake_http;

/* A client's port. */
typedef struct {
  aq_httpc http;
  fake_http *h;
  void *who; /* its owner's */
} fake_httpc;

/* Valid until its end: done, cancel, or a side that is gone. */
typedef struct {
  aq_list node;
  fake_http *h;
  const fake_httpc *from;
  uint64_t id;
  char *url;
  /* Of the request, NULL where it has none. For a server gone with its answer. */
  const char *method, *accept, *content_type, *version;
  aq_bytes body; /* a 0 follows */
  aq_httpc_pool pool;
  const aq_httpc_req *asked;     /* from inside start only */
  fake_res *res;                 /* what the server sees, and what came back so far */
  const aq_http_handler *server; /* that it is for, once it arrived; NULL: nobody */
  void *of;                      /* of malloc by whoever handles it, freed with the exchange; or NULL */
  bool streaming;                /* opened by fake_http_open */
  uint64_t silence_ns;
  aq_httpc_cb cb;
  /* Private. */
  bool script, arrived, head_told, in_handler, left;
  size_t told;
  aq_status st;
  const char *why;
  aq_timer step, limit, silence;
} fake_ex;

struct fake_http {
  aq_httpc http; /* pass &fake.http to the code under test */
  fake_env *env;
  void *arg;
  /* Scripts: of every request. With way_ns: of every request that arrives, for fake_http_serve and the like. */
  void (*handle)(void *arg, fake_ex *ex);
  const aq_http_handler *server;              /* without `handle` they all go here; NULL: connections are refused */
  uint64_t delay_ns;                          /* to a server, and of each piece back; way_ns instead where it is set: */
  uint64_t (*way_ns)(void *arg, fake_ex *ex); /* asked for each; AQ_NEVER for a request: it is lost, nothing follows */
  void (*started)(void *arg, const fake_ex *ex);       /* before anything else; may be NULL */
  void (*ended)(void *arg, fake_ex *ex, aq_status st); /* before done is called; may be NULL */
  bool patient;                                        /* silence_ns is not kept */
  uint64_t cancel_cnt, resume_cnt, resumed_id;
  char *log[FAKE_HTTP_LOG_MAX]; /* of scripts: "GET http://a/path?query" */
  size_t log_cnt;
  aq_list open; /* to read: exchanges, in the order of their start */
  /* Private. */
  fake_httpc own;
  size_t open_cnt;
  uint64_t last_id;
};

/* env is borrowed. */
void fake_http_init(fake_http *h, fake_env *env, void (*handle)(void *arg, fake_ex *ex), void *arg);
/* To one server (see there); delay_ns each way. */
void fake_http_bridge(fake_http *h, fake_env *env, const aq_http_handler *server, uint64_t delay_ns);
void fake_http_client(fake_http *h, fake_httpc *out, void *who); /* another client's port; ends with h */
void fake_http_free(fake_http *h);                               /* open exchanges end without a callback */

/* ---- answers of a script ---- */

/* After delay_ns; of a stream that was opened, the rest and its end. content_type and the header may be NULL. */
void fake_http_answer_h(fake_ex *ex, uint64_t delay_ns, int code, const char *content_type, aq_bytes body,
                        const char *name, const char *value);
void fake_http_answer(fake_ex *ex, uint64_t delay_ns, int code, const char *json);
/* No answer, or the end of a stream (AQ_OK too), after delay_ns: AQ_E_CLOSED (refused connection) or another status. */
void fake_http_fail(fake_ex *ex, uint64_t delay_ns, aq_status st);
/* The same with what the client says of it; the text is static. */
void fake_http_fail_why(fake_ex *ex, uint64_t delay_ns, aq_status st, const char *why);
/* Streams: head and chunks, from inside the call; the end is fake_http_fail. */
void fake_http_open_h(fake_ex *ex, int code, const aq_http_headers *h);
void fake_http_open(fake_ex *ex, int code);
void fake_http_chunk(fake_ex *ex, const char *text);

/* ---- a request that arrived ---- */

void fake_http_serve(fake_ex *ex, const aq_http_handler *server);
void fake_http_refuse(fake_ex *ex); /* AQ_E_CLOSED, now */

/* The process is gone. A server's: handlers are told, clients meet a closed connection. A client's: no callbacks. */
void fake_http_cut(fake_http *h, const aq_http_handler *server);
void fake_http_drop(fake_http *h, const void *who);

/* ---- what was asked ---- */

void fake_http_forget(fake_http *h); /* the log: long tests have no room for all of it */
size_t fake_http_open_cnt(const fake_http *h);
size_t fake_http_count(const fake_http *h, const char *text);  /* requests whose log line holds the text */
fake_ex *fake_http_find(const fake_http *h, const char *text); /* the first open one whose URL holds it, or NULL */

#endif
