/* beacon/bn.h - client of the beacon nodes: each call goes to all primaries (submissions complete on all of them,
   reads take the first good answer and cancel the others), then to the fallbacks. Spec: core.md 12. Metrics
   app_eth2_*. No parsing here but the chain's own parameters. */
#ifndef AQ_BEACON_BN_H
#define AQ_BEACON_BN_H

#include "eth/chain.h"
#include "port/env.h"
#include "port/http.h"

enum {
  AQ_BN_ENDPOINTS_MAX = 16,
  AQ_BN_HEADERS_MAX = 16,
  AQ_BN_CALLS_MAX = 4096,
  AQ_BN_BODY_MAX = 64 << 20,
  AQ_BN_URL_MAX = 1 << 16 /* of a route without a list of ids */
};
enum { AQ_BN_WHY_MAX = 320, AQ_BN_UNFIT_RUN = 3 };

typedef struct {
  const aq_env *env;
  const aq_httpc *http;
  const char *const *endpoints, *const *fallbacks; /* in the normal form of base/url.h; borrowed */
  size_t endpoint_cnt, fallback_cnt;
  aq_http_headers headers;                /* --beacon-node-headers, at most AQ_BN_HEADERS_MAX */
  uint64_t timeout_ns, submit_timeout_ns; /* 2 s each */
  /* Judges the chain that one beacon node described, before it is taken (aq_bn_load_chain): not AQ_OK, with a text,
     passes that node over, and ends the load when there is no other: then the text begins with that node's address, and
     is not logged here. NULL: any chain. */
  void *arg;
  aq_status (*accepts)(void *arg, const aq_chain *chain, aq_err *err);
  void (*opened)(void *arg); /* an event stream opened: that node may be a restarted one. NULL: nobody wants to know */
} aq_bn_cfg;

typedef struct {
  int code;
  aq_bytes body;
  const char *content_type; /* "" when absent */
  aq_http_headers headers;
} aq_bn_answer;

/* st: AQ_OK for 2xx; AQ_E_REFUSED for another code, AQ_E_FORMAT when `good` refused (the most telling answer is
   given, its body cut at 64 KiB, without headers); AQ_E_TIMEOUT, AQ_E_CLOSED, AQ_E_LIMIT, AQ_E_FORMAT without one (ans
   NULL). */
typedef void (*aq_bn_fn)(void *arg, aq_status st, const aq_bn_answer *ans);

typedef struct {
  const char *endpoint;          /* label of core.md 13.4: "attestation_data" */
  const char *method, *path;     /* path with query */
  aq_bytes body;                 /* copied */
  const char *content_type;      /* NULL: application/json when there is a body */
  const char *accept;            /* NULL: application/json */
  const char *consensus_version; /* Eth-Consensus-Version, NULL: none */
  bool submit;                   /* to every beacon node, the submit timeout; OK when one took it */
  uint64_t timeout_ns;           /* 0: the default */
  size_t body_max;               /* of an answer; 0: AQ_BN_BODY_MAX */
  aq_httpc_pool pool;            /* AQ_HTTPC_PROXY for what a client asked */
  /* Judges a 2xx answer of one beacon node (same arg as fn); false makes it count as that node's failure, so that
     garbage of one node does not win over a good answer of another. When all fail the call ends with AQ_E_FORMAT or
     AQ_E_REFUSED. NULL: all are good. */
  bool (*good)(void *arg, const aq_bn_answer *ans);
  bool forgiving; /* good may refuse what a sane node says: it does not count against the node */
} aq_bn_req;

typedef struct aq_bn aq_bn;
aq_bn *aq_bn_new(const aq_bn_cfg *cfg);
void aq_bn_free(aq_bn *b);                                                   /* open calls end with AQ_E_CLOSED */
uint64_t aq_bn_call(aq_bn *b, const aq_bn_req *req, aq_bn_fn fn, void *arg); /* fn never from inside; id, never 0 */
void aq_bn_cancel(aq_bn *b, uint64_t id);
/* From inside fn, st not AQ_OK: why, in one sentence that begins with the beacon node's address. */
const char *aq_bn_why(const aq_bn *b);
/* The address (aq_url_request) of the best beacon node: of our chain, reached when it was last asked, in sync; then the
   one with most answers of late. */
const char *aq_bn_best(const aq_bn *b);
/* The best of those whose bits are not in *tried, which gets its bit; *place says for aq_bn_tell which it is. NULL:
   none of our chain is left. */
const char *aq_bn_next(const aq_bn *b, uint32_t *tried, size_t *place);
/* What came of a request that was sent there without a call: an answer, or none in its time. */
void aq_bn_tell(aq_bn *b, size_t place, bool answered);
/* It did not answer when it was last asked, or is not in sync. */
bool aq_bn_ails(const aq_bn *b, size_t place);
aq_http_headers aq_bn_headers(const aq_bn *b); /* --beacon-node-headers, for streams */

/* genesis, spec, fork_schedule -> chain, all of one beacon node, waiting for one that is not there yet or not synced
   (core.md 6.1), with a log line a step. Keys of forks that the beacon node does not know are taken as never (Lodestar
   1.5.1). */
void aq_bn_load_chain(aq_bn *b, void (*fn)(void *arg, aq_status st, const aq_chain *chain, const char *why), void *arg);

/* After the load: asks every beacon node for the three again, at both ends of each epoch, when its event stream opens
   and when an answer contradicts what it said. What is new counts once a node said it twice in a row.
   *chain (borrowed until free, read by all on the loop thread) then changes in place: forks that did not begin yet,
   from the next epoch on at the earliest; a fork that some node knows beats "never", of several epochs the one that
   most name. What began never changes. Beacon nodes of another chain (genesis, slot time, epoch length), and those that
   do not know a fork that began, are named in a line and not used, until they fit. */
void aq_bn_watch_chain(aq_bn *b, aq_chain *chain);
/* From inside `good`: is this the fork of that epoch? If not, what the answering node says of the chain is asked for at
   once (once a slot). */
bool aq_bn_version_fits(aq_bn *b, aq_fork fork, uint64_t epoch);

/* A new head, and the last blocks before its epoch (current) and before the epoch before that (previous): duties depend
   on these. */
typedef struct {
  uint64_t slot;
  uint8_t block[32], previous[32], current[32];
  bool has_roots; /* previous and current were told */
} aq_bn_head;

/* Events (core.md 12.5): head and chain_reorg, reconnecting for ever with back-off 1 to 30 s. */
typedef struct {
  void *arg;
  void (*head)(void *arg, const aq_bn_head *head);
  void (*heard)(void *arg, uint64_t slot); /* every head of a usable node, also one that our clock does not believe */
  void (*reorg)(void *arg, uint64_t slot, uint64_t depth);
} aq_bn_events;
void aq_bn_subscribe(aq_bn *b, const aq_bn_events *ev);

/* What readiness wants to know, asked each slot while subscribed. */
typedef struct {
  bool reachable, syncing;
  uint64_t sync_distance, peers, head_slot;
  bool peers_known, head_known;
  /* Of the watch: no beacon node is left whose chain and present fork are ours; some node differs from us or from
     another, also in what is to come; `why`: one of them by scheme://host:port, and the mend. */
  bool fork_mismatch, disagree;
  char why[AQ_BN_WHY_MAX];
  /* The last AQ_BN_UNFIT_RUN questions found no believable answer; one node's last answers were not believed. */
  bool unfit, some_unfit;
} aq_bn_health;
void aq_bn_health_get(const aq_bn *b, aq_bn_health *out);

#endif
