/* node/node_internal.h - the running node, shared by lifecycle and status. */
#ifndef AQ_NODE_NODE_INTERNAL_H
#define AQ_NODE_NODE_INTERNAL_H

#include <sys/stat.h>

#include "adapter/adapters.h"
#include "api/health.h"
#include "api/monitor.h"
#include "cluster/datadir.h"
#include "cluster/lock.h"
#include "codec/multiaddr.h"
#include "node/core.h"
#include "node/node.h"
#include "node/ready.h"
#include "p2p/host.h"
#include "p2p/peerinfo.h"

typedef struct {
  const aq_node_cfg *cfg;
  aq_node_cfg own_cfg; /* cfg points here when a stand-in changes it */
  void *stand_in;      /* of cfg->stand_in; NULL: there is a cluster */
  uint64_t started_ns, started_mono_ns;
  char key_path[1024], lock_path[1024], store_path[1024];
  aq_k1_key *key;
  aq_lock *lock;
  uint32_t self;
  aq_host_peer peers[AQ_OPERATORS_MAX];
  const char *peer_names[AQ_OPERATORS_MAX];
  aq_loop *loop;
  const aq_env *env;
  aq_sqlite *sqlite;
  const aq_store *store;
  aq_uv_tcp *tcp;
  aq_host *host;
  bool p2p_started;
  aq_peerinfo *peerinfo;
  aq_curl *curl;
  aq_core core;
  aq_monitor *monitor;
  aq_http_server *vapi_server, *monitor_server;
  aq_timer status_timer, keylock_timer;
  char listen_addr[AQ_NODE_LIST_MAX][AQ_MULTIADDR_HOST_MAX + 32];
  const char *listen_addrs[AQ_NODE_LIST_MAX];
  size_t listen_addr_cnt;
  char graffiti[33], version[64], git_hash[8]; /* 7 hex digits or "unknown", as peers and dashboards want it */
  aq_health health;
  uint64_t health_ns;     /* next check of it, monotonic */
  uint32_t quorum_misses; /* evaluations in a row without a quorum of peers */
  aq_ready ready;
  aq_ready_store store_seen;
  uint8_t lock_file_hash[32]; /* of the lock file as it was read */
  struct stat lock_seen;      /* when it was looked at last */
  bool lock_differs;
  int exit_code;
  /* Why it could not start or go on: told last, so that it is what an operator finds. */
  const char *failed_msg, *failed_service;
  char failed_why[AQ_ERR_TEXT_MAX];
} aq_node;

/* status.c: readiness each slot, process figures at each scrape. */
void aq_node_status_start(aq_node *n);
int aq_node_ready(void *arg, const char **text);
void aq_node_set_info(const aq_node *n);

#endif
