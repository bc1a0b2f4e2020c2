/* beacon/bn_internal.h - what the files of the beacon node client share: its state, one call, the event streams. */
#ifndef AQ_BEACON_BN_INTERNAL_H
#define AQ_BEACON_BN_INTERNAL_H

#include "base/arena.h"
#include "base/list.h"
#include "base/metrics.h"
#include "base/url.h"
#include "beacon/bn.h"
#include "beacon/bn_sse.h"
#include "http/http_fault.h"

enum {
  AQ_BN_ALL_MAX = 2 * AQ_BN_ENDPOINTS_MAX,
  AQ_BN_ERROR_BODY_MAX = 64 << 10,
  AQ_BN_SMALL_MAX = 1 << 20 /* genesis, spec, fork schedule, node */
};

typedef struct aq_bn_endpoint aq_bn_endpoint;

/* One event stream: connected, or waiting for `timer` to connect again. */
typedef struct {
  aq_sse sse;
  uint64_t http_id;  /* 0: not connected */
  aq_timer timer;    /* reconnects; while connected: the stall check */
  uint64_t pause_ns; /* before the next connection */
  uint64_t heard_ns; /* last byte, monotonic */
  bool few_topics;   /* this node refuses block_gossip (Lodestar 1.5.1) */
  bool opened;       /* a 2xx head came */
  uint64_t gossip_slot, gossip_ns;
} aq_bn_stream;

/* The three answers that make a chain. */
enum { AQ_BN_GENESIS, AQ_BN_SPEC, AQ_BN_SCHEDULE, AQ_BN_PARTS };
extern const char *const aq_bn_part_path[AQ_BN_PARTS];

typedef struct {
  aq_chain chain;
  uint8_t genesis_fork_version[4];
  uint64_t strange_epoch; /* of a fork that this program does not know; AQ_FAR_EPOCH: none */
  uint8_t strange_version[4];
  bool head_known;
  uint64_t head_slot; /* of a node that is in sync */
} aq_bn_told;

/* AQ_OK, AQ_E_AGAIN (ask again: no answer of a beacon node), AQ_E_FORMAT (no chain we can work on). In order: each part
   builds on the ones before. */
AQ_NODISCARD aq_status aq_bn_told_take(aq_bn_told *t, int part, aq_bytes body, aq_err *err);

typedef enum {
  AQ_BN_FIT_UNKNOWN,
  AQ_BN_FITS,
  AQ_BN_OTHER_CHAIN,
  AQ_BN_BEHIND,  /* lacks a fork that began */
  AQ_BN_AHEAD,   /* has a fork that we take part in from the next epoch on */
  AQ_BN_STRANGE, /* has a fork that this program does not know */
  AQ_BN_FIT_CNT
} aq_bn_fit;

/* What one beacon node says of the chain. */
typedef struct {
  uint64_t http_id; /* 0: not being asked */
  int part;
  bool due, again, pressed;     /* ask at the next tick; once the answer under way is there; was asked twice */
  aq_bn_told told, last, known; /* being read; said last; said twice in a row */
  bool has_known;
  aq_bn_fit fit;
  char why[AQ_BN_WHY_MAX];
  uint64_t doubt_slot; /* plus 1: of the last question for an answer's sake */
} aq_bn_view;

struct aq_bn_endpoint {
  aq_bn *bn;
  const char *url;                /* borrowed; user, path and query may be secrets */
  char site[AQ_URL_SITE_MAX + 1]; /* what labels and logs show of it */
  aq_bn_view view;
  uint32_t unfit_run;         /* answers in a row that `good` refused */
  bool away, unsynced;        /* when it was last asked */
  uint64_t minute;            /* of ok_now */
  uint32_t ok_now, ok_before; /* answers in this minute and the one before */
  aq_bn_stream stream;
  char trouble[AQ_HTTP_WHY_MAX]; /* as it was logged last; "": none since it answered */
  uint64_t version_id;           /* 0: not being asked */
  char version[AQ_METRIC_LABEL_MAX + 1];
};

typedef struct aq_bn_call_rec aq_bn_call_rec;

typedef struct {
  aq_bn_call_rec *call;
  aq_bn_endpoint *ep;
  uint64_t http_id; /* 0: ended */
} aq_bn_leg;

struct aq_bn_call_rec {
  aq_list link;
  aq_bn *bn;
  uint64_t id;
  aq_bn_req req; /* its strings and body lie in the arena */
  aq_bn_fn fn;
  void *arg;
  aq_arena arena;
  aq_timer timer; /* ends a call that could not start */
  uint64_t start_ns;
  bool answered; /* fn was called: a submission goes on with the other nodes */
  bool on_fallbacks;
  aq_bn_leg leg[AQ_BN_ENDPOINTS_MAX];
  size_t leg_cnt, open;
  aq_bn_endpoint *only; /* NULL: all */
  int best_rank;        /* 0: no failure yet */
  aq_status best_st;
  aq_bn_answer best;
  const char *best_why; /* static, or in the arena */
};

typedef struct {
  aq_bn *bn;
  int step;
  uint32_t tries;
  uint64_t call_id;
  aq_timer timer;
  aq_bn_endpoint *ep; /* whose chain it is; NULL: of the first that answers */
  aq_bn_told told;
  void (*fn)(void *arg, aq_status st, const aq_chain *chain, const char *why);
  void *arg;
} aq_bn_load;

struct aq_bn {
  aq_bn_cfg cfg;
  aq_bn_endpoint ep[AQ_BN_ALL_MAX]; /* primaries first */
  size_t ep_cnt;
  aq_list calls;
  size_t call_cnt;
  uint64_t last_id;
  aq_bn_load *load;
  bool chain_known;
  aq_clock clock;
  aq_bn_told loaded; /* as its beacon node said */
  aq_bn_endpoint *loaded_from;
  aq_chain *shared; /* NULL: not watched */
  uint64_t watched_epoch;
  aq_timer watch_timer;
  char disagree[AQ_BN_WHY_MAX];
  aq_bn_endpoint *answering; /* whose answer is being judged or handed on */
  const char *why;           /* of the call that is ending, or NULL */
  uint32_t unfit_run;        /* calls in a row that ended for want of a believable answer */
  bool subscribed;
  aq_bn_events events;
  aq_bn_head head; /* the last one handed on */
  bool head_seen;
  uint64_t reorg_slot, reorg_depth;
  bool reorg_seen;
  uint8_t reorg_head[32];
  aq_timer health_timer;
  uint64_t syncing_id, peers_id, peers_asked_ns;
  aq_bn_health health;
};

/* What keeps an answer from being one: the client's sentence, or what its code means. */
void aq_bn_why_of(char out[AQ_HTTP_WHY_MAX], const aq_bn_endpoint *ep, aq_status st, const aq_httpc_res *res);
/* One line when it is another than before. */
void aq_bn_trouble(aq_bn_endpoint *ep, const char *why);
void aq_bn_stream_stop(aq_bn *b);
void aq_bn_version_ask(aq_bn_endpoint *ep); /* sets app_beacon_node_version */
void aq_bn_version_stop(aq_bn_endpoint *ep);
void aq_bn_load_stop(aq_bn *b);
/* As aq_bn_call, on one beacon node. */
uint64_t aq_bn_call_on(aq_bn *b, aq_bn_endpoint *only, const aq_bn_req *req, aq_bn_fn fn, void *arg);
uint64_t aq_bn_quiet_ns(const aq_bn *b); /* until three quarters of a slot, when nothing else is due */

bool aq_bn_usable(const aq_bn_endpoint *ep);
/* A request ended; code 0: without an answer. A node that is in no state to answer (5xx) is as good as away. */
void aq_bn_heard(aq_bn_endpoint *ep, int code);
void aq_bn_watch_ask(aq_bn_endpoint *ep); /* nothing before aq_bn_watch_chain */
void aq_bn_watch_doubt(aq_bn_endpoint *ep);
void aq_bn_watch_stop(aq_bn *b);
void aq_bn_watch_health(const aq_bn *b, aq_bn_health *out);
void aq_bn_pass_over(aq_bn_endpoint *ep, const char *why); /* of another chain, found out at the load */
/* One event of a stream; text limits were checked by the parser. */
void aq_bn_event(aq_bn_endpoint *ep, const char *name, aq_bytes data);

#endif
