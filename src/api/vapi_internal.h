/* api/vapi_internal.h - what the files of the validator API share: one call's state, the route table, answers. */
#ifndef AQ_API_VAPI_INTERNAL_H
#define AQ_API_VAPI_INTERNAL_H

#include "api/trace_id.h"
#include "api/vapi.h"
#include "base/line_limit.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "codec/json_out.h"
#include "http/router.h"

enum {
  AQ_VAPI_PATH_MAX = 1024,      /* the longest that anybody serves has a key and a peer id */
  AQ_VAPI_READ_MAX = 1 << 20,   /* bodies of reads, all indices of a large cluster some times over; proxied too */
  AQ_VAPI_SMALL_MAX = 1 << 20,  /* own routes: contract.md 4 */
  AQ_VAPI_BODY_MAX = 8 << 20,   /* validator-api.md 1 */
  AQ_VAPI_BLOCK_MAX = 64 << 20, /* blocks with blobs */
  AQ_VAPI_AGENT_MAX = 127,
  AQ_VAPI_ITEMS_MAX = AQ_VALIDATORS_MAX, /* of one submission */
  AQ_VAPI_OBJECT_MAX = 4096,             /* JSON of one object of fixed size: attestation data, the version */
  AQ_VAPI_TEXT_MAX = 256,
  AQ_VAPI_ERROR_MAX = 4096, /* the body with such a text, each character escaped */
  AQ_VAPI_SUBMITS_MAX = 64, /* distinct slots of one submission */
  /* What one call may hold besides its request: a little, and some times what it sent. */
  AQ_VAPI_ARENA_BASE = 64 << 10,
  AQ_VAPI_ARENA_TIMES = 8
};
#define AQ_VAPI_CALL_NS AQ_SECONDS(10) /* validator-api.md 2.3 */

typedef struct aq_call aq_call;
typedef struct aq_vapi_events aq_vapi_events; /* vapi_events.c */

typedef enum { AQ_BODY_READ, AQ_BODY_LIST, AQ_BODY_BLOCK, AQ_BODY_CNT } aq_body_class; /* of requests */
enum {
  AQ_ROUTE_OWN = 1, /* the runbook's (contract.md 4): no validator client asks it */
  AQ_ROUTE_V2 = 2,  /* the second version of a route: what it sends or gets has its fork beside it */
  AQ_ROUTE_V3 = 4,  /* the third, of a block: whose it is and what it pays are told too */
  AQ_ROUTE_BLINDED = 8
};

typedef struct {
  aq_route route;
  const char *name; /* route name of validator-api.md 3, label `endpoint` */
  void (*handle)(aq_call *c);
  aq_body_class body;
  unsigned flags; /* AQ_ROUTE_ */
} aq_vapi_route;

struct aq_vapi {
  aq_vapi_cfg cfg;
  aq_http_handler handler;
  aq_list calls;
  aq_list proxy_waiting, proxy_open, subscribing; /* calls by age: vapi_proxy.c, vapi_subscribe.c */
  aq_list kept;                                   /* subscriptions of living duties: vapi_subscribe.c */
  size_t kept_cnt, kept_bytes;
  uint64_t kept_id, again_id; /* the last one's number; the request under way that repeats one, 0: none */
  aq_timer proxy_turn;
  aq_vapi_events *events;
  aq_map share;   /* own public share -> validator + 1 */
  aq_map group;   /* group key -> validator + 1 */
  aq_map foreign; /* other nodes' public shares -> operator + 1 */
  uint64_t last_request_ns;
  aq_line_flow lines;                     /* of requests */
  char user_agent[AQ_VAPI_AGENT_MAX + 1]; /* of the last request */
  char why[AQ_VAPI_TEXT_MAX];             /* "" = healthy */
};

/* Which beacon nodes a read was sent to so far. */
typedef struct {
  uint32_t tried;
  size_t cnt, place; /* place: of the last one, for aq_bn_tell */
} aq_vapi_tries;

/* One request to a beacon node for a call that is forwarded. */
typedef struct {
  aq_call *c;
  uint64_t id; /* 0: none */
  size_t place;
  bool failed; /* what it began to answer is not handed on: it ends at the next turn */
} aq_vapi_leg;

enum { AQ_VAPI_LEGS = 2 }; /* at once: when one is slow */

/* One request from arrival to answer. Freed when answered or gone, and no submission is under way any more. */
struct aq_call {
  aq_vapi *v;
  const aq_vapi_route *route; /* NULL: the proxy */
  const char *label;          /* label `route` of the runbook's families */
  const aq_http_req *req;
  aq_http_res *res;
  const aq_http_server_vt *vt;
  aq_list link;
  uint64_t start_ns;
  size_t body_len;                 /* the request is gone when the answer is written */
  char path[AQ_VAPI_PATH_MAX + 1]; /* of the request, normal form: the only one that is looked at */
  char trace_id[AQ_TRACE_ID_MAX + 1];
  char param[AQ_HTTP_PARAMS_MAX][AQ_HTTP_PARAM_MAX + 1]; /* path parameters in order */
  bool answered, gone;
  aq_arena arena;
  uint32_t submits; /* submissions under way; the call lives as long */
  aq_status *item;  /* statuses of a submission's items, by position in the request */
  const char **why; /* text of an item refused before the submission, or NULL */
  uint32_t item_cnt;
  aq_dutydb_waiter duty_wait;
  aq_sched_waiter epoch_wait;
  void (*epoch_ready)(aq_call *c);
  uint64_t duties_id, bn_id, kept_id;
  bool far; /* duties of an epoch that the schedule does not have */
  /* A call that is forwarded or an event stream; its place among the others of the client. */
  aq_list proxy_link;
  uint64_t proxy_client; /* 0: neither */
  aq_timer proxy_timer;
  aq_timer proxy_slow, proxy_drop;
  aq_vapi_tries proxy_tries;
  aq_vapi_leg proxy_leg[AQ_VAPI_LEGS], *proxy_won; /* won: whose answer is handed on */
  int proxy_refused;                               /* the last code that was not handed on */
  const char *proxy_why;                           /* the last failure without an answer, or NULL */
  int proxy_code;                                  /* of the beacon node's answer, 0 before it */
  aq_http_header *proxy_head;
  size_t proxy_head_cnt;
  uint32_t topics; /* bits of vapi_events.c */
  bool streaming;  /* the event stream has begun */
  uint64_t slot;
  uint8_t randao[96]; /* partial reveal of a block request */
  bool ssz;           /* answer in SSZ */
};

extern const aq_vapi_route aq_vapi_rows[];
extern const size_t aq_vapi_row_cnt;

/* ---- answers: each ends the call ---- */
void aq_call_json(aq_call *c, int code, aq_bytes body);
void aq_call_answer(aq_call *c, int code, const aq_http_headers *h, aq_bytes body, const char *err);
void aq_call_error(aq_call *c, int code, const char *fmt, ...) AQ_PRINTF(3, 4);
/* A wait for something that only a combined signature gives was in vain: 504, but 408 where this node does not combine
   (--enable-tss off): nothing failed here, the answer hung on other nodes, and no alert may ring for it. */
void aq_call_no_signature(aq_call *c, const char *what);
void aq_call_empty(aq_call *c);                           /* 200, no body */
void aq_call_done(aq_call *c, int code, const char *err); /* accounting and release after a streamed answer */
void aq_vapi_not_found(aq_call *c);                       /* 404, as Go's file server says it */
void aq_call_busy(aq_call *c);                            /* 503: the client has too many requests open; later */
void aq_call_not_allowed(aq_call *c);                     /* 405 with the methods that the path has */
void aq_call_gone(void *arg);                             /* for watch: the client left */

/* ---- paths: vapi_path.c ---- */
/* The one form of a percent-decoded path: no empty segments, no dot segments, no slash at the end. False: it has
   characters that no such path has, or is too long. */
bool aq_vapi_normal(char out[AQ_VAPI_PATH_MAX + 1], const char *path);
/* Of a request that no route takes: it goes to the beacon node. path in normal form. */
bool aq_vapi_forwards(const char *method, const char *path);

/* FNV-1a, to tell clients and events apart; nothing depends on who chooses them. */
#define AQ_VAPI_HASH_START UINT64_C(14695981039346656037)
static inline uint64_t aq_vapi_hash(uint64_t h, aq_bytes in) {
  for (size_t i = 0; i < in.len; i++) h = (h ^ in.ptr[i]) * UINT64_C(1099511628211);
  return h;
}

/* ---- budgets of clients: vapi_proxy.c ---- */
uint64_t aq_vapi_client(const aq_http_req *req); /* who asks; never 0 */
/* Whether one more fits into a list of calls (by proxy_link): max in all, each of one client. */
bool aq_vapi_room(aq_list *list, uint64_t client, size_t max, size_t each);
/* The beacon node for the next try of a read; NULL: no more tries. A lone one is tried twice: it may have closed the
   kept connection that the request was sent on. */
const char *aq_vapi_upstream(const aq_vapi *v, aq_vapi_tries *t);
/* Whether there is one that was not tried. */
bool aq_vapi_another(const aq_vapi *v, const aq_vapi_tries *t);
void aq_vapi_proxy_leave(aq_call *c); /* ends its requests and gives its place away; harmless when it has none */

/* ---- parsing ---- */
bool aq_call_ready(aq_call *c);                                      /* false: 503 was answered */
uint64_t aq_call_until(const aq_call *c);                            /* wall clock: the end of the call's time */
bool aq_call_query_u64(aq_call *c, const char *name, uint64_t *out); /* false: 400 was answered */
bool aq_call_param_u64(aq_call *c, int i, const char *name, uint64_t *out);
/* A query value of any length in the call's memory; NULL when absent. */
const char *aq_call_query(aq_call *c, const char *name);
yyjson_doc *aq_call_body_json(aq_call *c);      /* NULL: 400 was answered; free the document */
bool aq_call_is_ssz(const aq_call *c);          /* content type of the request */
bool aq_call_media(aq_call *c, bool takes_ssz); /* false: 415 was answered */
bool aq_call_wants_ssz(const aq_call *c);       /* Accept prefers SSZ */
bool aq_call_version(aq_call *c, uint64_t slot, bool needed,
                     aq_fork *out);                               /* Eth-Consensus-Version, else the fork of the slot */
int aq_vapi_by_share(const aq_vapi *v, const uint8_t share[48]);  /* validator, -1 */
int aq_vapi_by_group(const aq_vapi *v, const uint8_t pubkey[48]); /* validator, -1 */
const uint8_t *aq_vapi_share(const aq_vapi *v, uint32_t validator);

/* Items of a submission. start allocates item statuses (all AQ_OK); each submit takes those of one duty; when all
   came back the answer is written: empty 200, or the indexed error form. */
bool aq_call_items(aq_call *c, uint32_t cnt);
void aq_call_refuse(aq_call *c, uint32_t i, aq_status st, const char *why);
void aq_call_submit(aq_call *c, aq_duty duty, const aq_partial *p, const uint32_t *pos, uint32_t cnt);
void aq_call_submitted(aq_call *c); /* all submits were started */

/* ---- handlers by file ---- */
void aq_vapi_get_validators(aq_call *c);
void aq_vapi_get_validator(aq_call *c);
void aq_vapi_attester_duties(aq_call *c);
void aq_vapi_proposer_duties(aq_call *c);
void aq_vapi_sync_duties(aq_call *c);
void aq_vapi_attestation_data(aq_call *c);
void aq_vapi_submit_attestations(aq_call *c);
void aq_vapi_propose_block(aq_call *c);
void aq_vapi_submit_block(aq_call *c);
void aq_vapi_submit_exit(aq_call *c);
void aq_vapi_get_events(aq_call *c);
void aq_vapi_proxy(aq_call *c);
void aq_vapi_subscribe_all(aq_call *c); /* subscriptions: to every beacon node */
void aq_vapi_subscribe_stop(aq_vapi *v);

/* ---- vapi_events.c ---- */
aq_vapi_events *aq_vapi_events_new(aq_vapi *v);
void aq_vapi_events_free(aq_vapi_events *e);
void aq_vapi_events_leave(aq_call *c); /* after aq_vapi_proxy_leave */

#endif
