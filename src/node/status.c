/* Readiness as core.md 13.1 says, evaluated once a slot; process figures at each scrape. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/metrics.h"
#include "base/version.h"
#include "node/node_internal.h"

enum { QUORUM_MISSES_MAX = 6, SYNC_DISTANCE_MAX = 320 };

typedef enum {
  READY = 1,
  BN_DOWN = 2,
  BN_SYNCING = 3,
  NO_QUORUM = 4,
  NO_VC = 5,
  BN_NO_PEERS = 7,
  BN_FAR_BEHIND = 8
} readiness;

static bool vc_seen(const aq_node *n, uint64_t now_ns) {
  uint64_t epoch_ns = n->core.chain.clock.slot_ns * n->core.chain.clock.slots_per_epoch;
  uint64_t last_ns = aq_vapi_last_request_ns(n->core.vapi);
  uint64_t since_ns = last_ns ? last_ns : n->started_ns; /* starts as connected */
  return now_ns < since_ns + 2 * epoch_ns;
}

static void evaluate(aq_node *n) {
  aq_bn_health bn = {0};
  if (n->core.bn) aq_bn_health_get(n->core.bn, &bn);
  uint32_t cnt = n->lock->def.operator_cnt, quorum = (2 * cnt + 2) / 3;
  if (aq_host_connected(n->host) + 1 >= quorum)
    n->quorum_misses = 0;
  else
    n->quorum_misses++;
  n->ready_state = READY, n->ready_text = "ok";
  if (!n->core.chain_known || !bn.reachable)
    n->ready_state = BN_DOWN, n->ready_text = "beacon node down";
  else if (bn.syncing)
    n->ready_state = BN_SYNCING, n->ready_text = "beacon node not synced";
  else if (bn.peers_known && bn.peers == 0)
    n->ready_state = BN_NO_PEERS, n->ready_text = "beacon node has zero peers";
  else if (bn.sync_distance > SYNC_DISTANCE_MAX)
    n->ready_state = BN_FAR_BEHIND, n->ready_text = "beacon node far behind";
  else if (n->quorum_misses >= QUORUM_MISSES_MAX)
    n->ready_state = NO_QUORUM, n->ready_text = "quorum peers not connected";
  else if (!vc_seen(n, aq_now_ns(n->env)))
    n->ready_state = NO_VC, n->ready_text = "vc not connected";
  else if (!n->cfg->enable_tss)
    n->ready_text = "ok (threshold signing off: other nodes submit)";
}

static void check_health(aq_node *n) {
  uint64_t now_ns = aq_mono_ns(n->env);
  if (now_ns < n->health_ns) return;
  n->health_ns = now_ns + AQ_SECONDS(AQ_HEALTH_EVERY_S);
  aq_bn_health bn = {0};
  if (n->core.bn) aq_bn_health_get(n->core.bn, &bn);
  uint32_t cnt = n->lock->def.operator_cnt;
  const aq_health_in in = {.connected = aq_host_connected(n->host),
                           .needed = (2 * cnt + 2) / 3 - 1,
                           .validator_cnt = n->lock->validator_cnt,
                           .beacon_syncing = bn.reachable && bn.syncing,
                           .builder_api = n->cfg->builder_api};
  aq_health_check(&n->health, &in);
}

static void status_tick(void *arg) {
  aq_node *n = arg;
  evaluate(n);
  check_health(n);
  uint64_t step_ns = n->core.chain_known ? n->core.chain.clock.slot_ns : AQ_SECONDS(1);
  aq_timer_set(n->env, &n->status_timer, aq_now_ns(n->env) + step_ns, status_tick, n);
}

void aq_node_status_start(aq_node *n) {
  n->ready_state = NO_QUORUM;
  n->ready_text = "ready check uninitialised";
  n->quorum_misses = QUORUM_MISSES_MAX;
  status_tick(n);
}

static void process_figures(void) {
  long pages = 0, pages_virtual = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f) {
    if (fscanf(f, "%ld %ld", &pages_virtual, &pages) != 2) pages = pages_virtual = 0;
    fclose(f);
  }
  aq_metric_set(AQ_M_PROCESS_RESIDENT_MEMORY_BYTES, (double)pages * (double)sysconf(_SC_PAGESIZE), AQ_NO_LABELS);
  aq_metric_set(AQ_M_PROCESS_VIRTUAL_MEMORY_BYTES, (double)pages_virtual * (double)sysconf(_SC_PAGESIZE), AQ_NO_LABELS);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) aq_metric_set(AQ_M_PROCESS_MAX_FDS, (double)files.rlim_cur, AQ_NO_LABELS);
  struct rusage use;
  if (getrusage(RUSAGE_SELF, &use) == 0) {
    double cpu_s = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    aq_metric_set(AQ_M_PROCESS_CPU_SECONDS_TOTAL, cpu_s, AQ_NO_LABELS);
  }
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) return;
  double fds = -3; /* ".", ".." and the one that reads */
  while (readdir(dir)) fds++;
  closedir(dir);
  aq_metric_set(AQ_M_PROCESS_OPEN_FDS, fds, AQ_NO_LABELS);
}

int aq_node_ready(void *arg, const char **text) {
  aq_node *n = arg;
  process_figures();
  *text = n->ready_text;
  return n->ready_state;
}

void aq_node_set_info(const aq_node *n) {
  aq_metric_set(AQ_M_CLUSTER_OPERATORS, n->lock->def.operator_cnt, AQ_NO_LABELS);
  aq_metric_set(AQ_M_CLUSTER_THRESHOLD, n->lock->def.threshold, AQ_NO_LABELS);
  aq_metric_set(AQ_M_CLUSTER_VALIDATORS, n->lock->validator_cnt, AQ_NO_LABELS);
  aq_metric_set(AQ_M_APP_PEER_NAME, 1, AQ_LABELS(n->peer_names[n->self]));
  aq_metric_set(AQ_M_AEQUA_BUILD_INFO, 1, AQ_LABELS("v" AQ_VERSION, AQ_GIT_HASH));
  aq_metric_set(AQ_M_APP_GIT_COMMIT, 1, AQ_LABELS(n->git_hash));
  /* Of Charon's features (core.md 13.6) those that are in force here; none can be switched. */
  aq_metric_set(AQ_M_APP_FEATURE_FLAGS, 1, AQ_LABELS("eager_double_linear,proposal_timeout"));
  aq_metric_set(AQ_M_APP_VERSION, 1, AQ_LABELS(AQ_VERSION));
  aq_metric_set(AQ_M_APP_START_TIME_SECS, (double)n->started_ns / 1e9, AQ_NO_LABELS);
  aq_metric_set(AQ_M_PROCESS_START_TIME_SECONDS, (double)n->started_ns / 1e9, AQ_NO_LABELS);
}
