/* node/node.h - builds a node from its configuration and runs it until a signal: wiring, lifecycle, readiness.
   Production only; the simulator wires the same cores itself. Every failure to start is one log line that names the
   thing and the mend. */
#ifndef AQ_NODE_NODE_H
#define AQ_NODE_NODE_H

#include "adapter/loop.h"
#include "base/bytes.h"
#include "base/log.h"
#include "beacon/bn.h"

enum { AQ_NODE_LIST_MAX = 32 };

typedef struct {
  const char *item[AQ_NODE_LIST_MAX];
  size_t cnt;
} aq_node_list;

/* What a node may run on where it finds no cluster (lab/throwaway.h is one). All views live until free. */
typedef struct {
  const char *data_dir, *beacon; /* a URL */
  const aq_network *network;
} aq_stand_in_place;
typedef struct {
  /* Makes a cluster with its chain; AQ_OK: *self is freed by `free`. */
  aq_status (*start)(void **self, aq_stand_in_place *out, aq_loop *l, aq_err *err);
  aq_status (*serve)(void *self, uint16_t vapi_port, aq_err *err); /* the validator API listens there now */
  void (*stop)(void *self);                                        /* before the loop ends */
  void (*free)(void *self);                                        /* nothing of it is kept */
} aq_stand_in;

/* Strings are borrowed for the whole run. */
typedef struct {
  const char *data_dir;
  const char *private_key_file, *lock_file, *overrides_file; /* NULL: in data_dir */
  bool private_key_lock, no_verify;
  const aq_stand_in *stand_in;            /* where there is no cluster; NULL: an error */
  const aq_network *network;              /* custom, NULL: the built-in ones */
  const char *validator_api, *monitoring; /* host:port */
  aq_node_list p2p_listen;                /* host:port */
  const char *p2p_external_ip, *p2p_external_hostname;
  aq_node_list p2p_peers; /* host:port or multiaddr */
  uint32_t p2p_max_conns, p2p_rate_limit;
  int32_t p2p_score_threshold;
  aq_node_list beacon, beacon_fallback; /* base/url.h, at most AQ_BN_ENDPOINTS_MAX each */
  aq_http_header beacon_header[AQ_BN_HEADERS_MAX];
  size_t beacon_header_cnt;
  const char *beacon_ca; /* a file, "": none */
  uint64_t beacon_timeout_ns, beacon_submit_timeout_ns;
  bool enable_tss, tss_strict;
  uint32_t tss_max_sessions;
  const char *graffiti, *nickname; /* NULL or "" */
  bool builder_api, accept_empty_store;
  bool no_sandbox; /* adapter/sandbox.h */
  aq_log_level log_level;
} aq_node_cfg;

/* Exit statuses (contract.md 1.3). */
enum { AQ_NODE_STOPPED = 0, AQ_NODE_FAILED = 1, AQ_NODE_UNSAFE = 3 };

int aq_node_run(const aq_node_cfg *cfg);

/* "host:port", "[v6]:port" or ":port" (all addresses) into its parts. */
AQ_NODISCARD aq_status aq_host_port_parse(const char *text, char *host, size_t host_len, uint16_t *port);

#endif
