/* Readiness as core.md 13.1 says, evaluated once a slot; process figures at each scrape. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/metrics.h"
#include "base/version.h"
#include "crypto/hash.h"
#include "node/node_internal.h"

enum { QUORUM_MISSES_MAX = 6 };

static bool vc_seen(const aq_node *n, uint64_t mono_ns) {
  uint64_t epoch_ns = n->core.chain.clock.slot_ns * n->core.chain.clock.slots_per_epoch;
  uint64_t last_ns = aq_vapi_last_request_ns(n->core.vapi);
  uint64_t since_ns = last_ns ? last_ns : n->started_mono_ns; /* starts as connected */
  return mono_ns < since_ns + 2 * epoch_ns;
}

static void add_count(void *arg, const char *const *label, double value, uint64_t cnt) {
  (void)label, (void)value;
  *(uint64_t *)arg += cnt;
}

static uint64_t disk_free(const aq_node *n) {
  struct statvfs fs;
  return statvfs(n->cfg->data_dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

static void evaluate(aq_node *n) {
  uint64_t commits = 0;
  aq_metric_each(AQ_M_STATE_PERSIST_MS, add_count, &commits);
  aq_ready_store_see(&n->store_seen, aq_metric_value(AQ_M_STATE_PERSIST_ERRORS_TOTAL, AQ_NO_LABELS), commits);
  aq_core_clock clock;
  aq_core_clock_get(&n->core, &clock);
  uint32_t cnt = n->lock->def.operator_cnt, quorum = (2 * cnt + 2) / 3;
  if (aq_host_connected(n->host) + 1 >= quorum)
    n->quorum_misses = 0;
  else
    n->quorum_misses++;
  aq_ready_in in = {.chain_known = n->core.chain_known,
                    .clock_off = clock.off,
                    .held_back = clock.held_back,
                    .quorum = n->quorum_misses < QUORUM_MISSES_MAX,
                    .vc_seen = vc_seen(n, aq_mono_ns(n->env)),
                    .enable_tss = n->cfg->enable_tss,
                    .store_failing = n->store_seen.failing,
                    .disk_free = disk_free(n)};
  if (n->core.bn) aq_bn_health_get(n->core.bn, &in.bn);
  bool was_healthy = n->ready.healthy;
  aq_ready_judge(&n->ready, &in);
  aq_vapi_unhealthy(n->core.vapi, n->ready.healthy ? NULL : n->ready.text);
  if (was_healthy && !n->ready.healthy) AQ_LOG(AQ_LOG_ERROR, "node_unhealthy", AQ_STR("err", n->ready.text));
}

/* The lock was read at the start. Another one on the disk counts once the node is started again: said once a change. */
static bool lock_changed(aq_node *n) {
  struct stat st;
  if (stat(n->lock_path, &st) != 0) return n->lock_differs; /* away for a moment, or for good: ours is in memory */
  bool same_file = st.st_mtim.tv_sec == n->lock_seen.st_mtim.tv_sec && st.st_size == n->lock_seen.st_size &&
                   st.st_mtim.tv_nsec == n->lock_seen.st_mtim.tv_nsec && st.st_ino == n->lock_seen.st_ino;
  n->lock_seen = st;
  if (same_file) return n->lock_differs;
  aq_buf text = AQ_BUF(AQ_LOCK_BYTES_MAX);
  uint8_t hash[32] = {0};
  if (aq_file_read(&text, n->lock_path, NULL) == AQ_OK) aq_sha256(hash, aq_buf_bytes(&text));
  aq_buf_free(&text);
  n->lock_differs = memcmp(hash, n->lock_file_hash, 32) != 0;
  if (n->lock_differs)
    AQ_LOG(AQ_LOG_WARN, "lock_changed", AQ_STR("path", n->lock_path),
           AQ_STR("note",
                  "the cluster lock on disk is another than the one in use: restart the node to use it, or put "
                  "the former one back"));
  return n->lock_differs;
}

static void check_health(aq_node *n) {
  uint64_t now_ns = aq_mono_ns(n->env);
  if (now_ns < n->health_ns) return;
  n->health_ns = now_ns + AQ_SECONDS(AQ_HEALTH_EVERY_S);
  aq_bn_health bn = {0};
  if (n->core.bn) aq_bn_health_get(n->core.bn, &bn);
  aq_core_clock clock;
  aq_core_clock_get(&n->core, &clock);
  uint32_t cnt = n->lock->def.operator_cnt;
  const aq_health_in in = {.connected = aq_host_connected(n->host),
                           .needed = (2 * cnt + 2) / 3 - 1,
                           .validator_cnt = n->lock->validator_cnt,
                           .beacon_syncing = bn.reachable && bn.syncing,
                           .fork_mismatch = bn.fork_mismatch,
                           .beacon_disagree = bn.disagree,
                           .beacon_unfit = bn.unfit || bn.some_unfit,
                           .store_failing = n->store_seen.failing,
                           .disk_low = disk_free(n) < AQ_DISK_LOW_BYTES,
                           .lock_changed = lock_changed(n),
                           .clock_off = clock.off,
                           .clock_set = clock.set,
                           .held_back = clock.held_back,
                           .builder_api = n->cfg->builder_api};
  aq_health_check(&n->health, &in);
}

static void status_tick(void *arg) {
  aq_node *n = arg;
  evaluate(n);
  check_health(n);
  uint64_t step_ns = n->core.chain_known ? n->core.chain.clock.slot_ns : AQ_SECONDS(1);
  aq_timer_after(n->env, &n->status_timer, step_ns, status_tick, n);
}

void aq_node_status_start(aq_node *n) {
  n->ready = (aq_ready){.state = AQ_READY_NO_QUORUM, .text = "ready check uninitialised", .healthy = true};
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
  *text = n->ready.text;
  return n->ready.state;
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
