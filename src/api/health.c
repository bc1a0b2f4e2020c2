/* Samples of the registry, one a look, kept for the window that the rules look back over. */
#include "api/health.h"

#include <math.h>

static size_t newest(const aq_health *h) { return h->calls % AQ_HEALTH_SAMPLES; }
static size_t oldest(const aq_health *h) {
  return h->calls < AQ_HEALTH_SAMPLES ? 0 : (h->calls + 1) % AQ_HEALTH_SAMPLES;
}

/* ---- samples ---- */

typedef struct {
  aq_health *h;
  aq_metric_id id;
  size_t label; /* which one tells series apart; those that are equal in it are added up */
} sampler;

static void sample_one(void *arg, const char *const *label, double value, uint64_t cnt) {
  const sampler *s = arg;
  aq_health *h = s->h;
  const char *key = label[s->label] ? label[s->label] : "";
  size_t i = 0;
  while (i < h->series_cnt && (h->series[i].id != s->id || strncmp(h->series[i].key, key, AQ_HEALTH_KEY_MAX - 1) != 0))
    i++;
  if (i == AQ_HEALTH_SERIES_MAX) return;
  aq_health_series *out = &h->series[i];
  if (i == h->series_cnt) {
    *out = (aq_health_series){.id = s->id};
    memcpy(out->key, key, strnlen(key, AQ_HEALTH_KEY_MAX - 1));
    h->series_cnt++;
  }
  out->sum[newest(h)] += value;
  out->cnt[newest(h)] += cnt;
}

static void sample(aq_health *h, aq_metric_id id, size_t label) {
  sampler s = {h, id, label};
  aq_metric_each(id, sample_one, &s);
}

static void add_up(void *arg, const char *const *label, double value, uint64_t cnt) {
  (void)label, (void)cnt;
  *(double *)arg += value;
}

static double total(aq_metric_id id) {
  double sum = 0;
  aq_metric_each(id, add_up, &sum);
  return sum;
}

/* Highest mean of the window among the series of a family whose key passes; 0 without an observation. */
static double worst_mean(const aq_health *h, aq_metric_id id, bool (*passes)(const char *key)) {
  double worst = 0;
  for (size_t i = 0; i < h->series_cnt; i++) {
    const aq_health_series *s = &h->series[i];
    if (s->id != id || !passes(s->key)) continue;
    uint64_t cnt = s->cnt[newest(h)] - s->cnt[oldest(h)];
    double mean = cnt ? (s->sum[newest(h)] - s->sum[oldest(h)]) / (double)cnt : 0;
    if (mean > worst) worst = mean;
  }
  return worst;
}

static bool is_proposal(const char *key) {
  return strcmp(key, "proposal") == 0 || strcmp(key, "submit_blinded_proposal") == 0;
}
static bool is_no_proposal(const char *key) { return !is_proposal(key); }
static bool is_proposer(const char *key) { return strcmp(key, "proposer") == 0; }
static bool is_attester(const char *key) { return strcmp(key, "attester") == 0; }
static bool is_any(const char *key) { return key != NULL; }

/* ---- gauges ---- */

static void find_pending(void *arg, const char *const *label, double value, uint64_t cnt) {
  (void)cnt;
  if (value > 0 && strncmp(label[2], "pending", 7) == 0) *(bool *)arg = true;
}

static void find_late_round(void *arg, const char *const *label, double value, uint64_t cnt) {
  (void)cnt;
  if (value >= 2 && (is_proposer(label[1]) || is_attester(label[1]))) *(bool *)arg = true;
}

static void find_offset(void *arg, const char *const *label, double value, uint64_t cnt) {
  (void)label, (void)cnt;
  if (fabs(value) > 0.2) *(bool *)arg = true;
}

static bool any(aq_metric_id id, aq_metric_fn fn) {
  bool found = false;
  aq_metric_each(id, fn, &found);
  return found;
}

static void count_one(void *arg, const char *const *label, double value, uint64_t cnt) {
  (void)label, (void)value, (void)cnt;
  ++*(size_t *)arg;
}

static bool high_cardinality(uint32_t validator_cnt) {
  bool high = false;
  for (size_t id = 0; id < AQ_METRIC_CNT; id++) {
    size_t cnt = 0;
    aq_metric_each((aq_metric_id)id, count_one, &cnt);
    if (cnt <= (size_t)100 * validator_cnt) {
      aq_metric_clear(AQ_M_APP_HEALTH_METRICS_HIGH_CARDINALITY, AQ_LABELS(aq_metric_name((aq_metric_id)id)));
      continue;
    }
    aq_metric_set(AQ_M_APP_HEALTH_METRICS_HIGH_CARDINALITY, (double)cnt, AQ_LABELS(aq_metric_name((aq_metric_id)id)));
    high = true;
  }
  return high;
}

/* ---- checks ---- */

static void judge(const char *severity, const char *name, const char *description, bool fails) {
  aq_metric_set(AQ_M_APP_HEALTH_CHECKS, fails, AQ_LABELS(severity, name, description));
  aq_metric_add(AQ_M_APP_HEALTH_CHECKS_FAILED_TOTAL, fails, AQ_LABELS(severity, name, description));
}

static void take_samples(aq_health *h, const aq_health_in *in) {
  size_t at = newest(h);
  for (size_t i = 0; i < h->series_cnt; i++) h->series[i].sum[at] = 0, h->series[i].cnt[at] = 0;
  h->connected[at] = in->connected;
  h->round_changes[at] = total(AQ_M_CORE_CONSENSUS_INSUFFICIENT_ROUND_CHANGES_TOTAL);
  h->registrations[at] = total(AQ_M_CORE_SCHEDULER_SUBMIT_REGISTRATION_ERRORS_TOTAL);
  h->stalls[at] = total(AQ_M_LOOP_STALL_SECONDS_TOTAL);
  sample(h, AQ_M_APP_ETH2_LATENCY_SECONDS, 0);
  sample(h, AQ_M_P2P_PING_LATENCY_SECS, 0);
  sample(h, AQ_M_CORE_PARSIGDB_STORE, 0);
}

static uint32_t most_connected(const aq_health *h) {
  uint32_t most = 0;
  for (size_t i = 0; i < AQ_HEALTH_SAMPLES && i <= h->calls; i++) {
    if (h->connected[i] > most) most = h->connected[i];
  }
  return most;
}

void aq_health_check(aq_health *h, const aq_health_in *in) {
  take_samples(h, in);
  size_t now = newest(h), then = oldest(h);
  judge("critical", "beacon_node_syncing", "The beacon node is syncing.", in->beacon_syncing);
  judge("critical", "insufficient_connected_peers", "Fewer peers were connected for minutes than a quorum needs.",
        most_connected(h) < in->needed);
  judge("critical", "old_store", "An older copy of the store was put back, or another node uses this key.",
        total(AQ_M_STATE_STALE_TOTAL) > 0);
  judge("warning", "refused_by_journal", "An earlier record forbids a vote or signature that was made.",
        total(AQ_M_STATE_REFUSED_TOTAL) > 0);
  judge("info", "pending_validators", "Validators of the cluster wait for their activation.",
        any(AQ_M_CORE_SCHEDULER_VALIDATOR_STATUS, find_pending));
  judge("warning", "high_registration_failures_rate", "Builder registrations fail.",
        h->registrations[now] > h->registrations[then]);
  judge("warning", "metrics_high_cardinality", "A family of metrics has too many series.",
        high_cardinality(in->validator_cnt));
  judge("warning", "high_beacon_node_latency", "The beacon node takes more than a second to answer.",
        worst_mean(h, AQ_M_APP_ETH2_LATENCY_SECONDS, is_no_proposal) > 1);
  judge("warning", "high_beacon_node_proposal_latency", "The beacon node takes more than two seconds for a block.",
        worst_mean(h, AQ_M_APP_ETH2_LATENCY_SECONDS, is_proposal) > 2);
  judge("warning", "high_peer_clock_offset", "A peer's clock is more than 200 ms apart.",
        any(AQ_M_APP_PEERINFO_CLOCK_OFFSET_SECONDS, find_offset));
  judge("warning", "high_peer_ping_latency", "A peer takes more than 150 ms to answer a ping.",
        worst_mean(h, AQ_M_P2P_PING_LATENCY_SECS, is_any) > 0.15);
  judge("warning", "using_fallback_beacon_nodes", "A fallback beacon node is used.",
        aq_metric_value(AQ_M_APP_ETH2_USING_FALLBACK, AQ_NO_LABELS) > 0);
  judge("warning", "insufficient_round_changes", "Consensus saw too few round changes.",
        h->round_changes[now] > h->round_changes[then]);
  judge("warning", "high_consensus_rounds", "The last attester or proposer decision took more than one round.",
        any(AQ_M_CORE_CONSENSUS_DECIDED_ROUNDS, find_late_round));
  /* Without the builder API every block is local: no fault. */
  judge("warning", "local_block_proposal", "The last block was local although the builder API is on.",
        in->builder_api && aq_metric_value(AQ_M_CORE_FETCHER_PROPOSAL_BLINDED, AQ_NO_LABELS) >= 2);
  judge("warning", "high_parsigdb_store_latency", "Partial attestations come later than two seconds into the slot.",
        worst_mean(h, AQ_M_CORE_PARSIGDB_STORE, is_attester) > 2);
  judge("warning", "high_parsigdb_store_latency_proposer",
        "Partial proposals come later than three seconds into the slot.",
        worst_mean(h, AQ_M_CORE_PARSIGDB_STORE, is_proposer) > 3);
  judge("critical", "clock_off", "The clock and the last heads of the beacon node are more than a slot apart.",
        in->clock_off);
  judge("warning", "clock_set", "The clock was set, or the machine slept, in the last ten minutes.", in->clock_set);
  judge("warning", "duties_held_back", "Nothing is voted or signed for: the records do not say what was sent before.",
        in->held_back);
  /* Steps of some milliseconds are normal where a slot has hundreds of validators; those add up to far less. */
  judge("warning", "event_loop_stalled", "Long steps held up the event loop for more than 1.5 seconds in five minutes.",
        h->stalls[now] - h->stalls[then] > 1.5);
  judge("critical", "beacon_node_fork_mismatch",
        "No beacon node of this node's chain and fork: upgrade or replace it (msg=beacon_node_unfit).",
        in->fork_mismatch);
  judge("warning", "beacon_nodes_disagree",
        "Beacon nodes differ in chain or forks to come: upgrade those that the log names.", in->beacon_disagree);
  judge("warning", "beacon_node_unfit_answers",
        "Answers of a beacon node do not decode or do not fit: check its address and version.", in->beacon_unfit);
  judge("critical", "store_write_failures", "The store cannot be written: make room or replace the disk.",
        in->store_failing);
  judge("warning", "disk_space_low", "Less than 256 MiB are free on the store's disk: make room.", in->disk_low);
  judge("warning", "cluster_lock_changed", "The cluster lock on disk is not the one in use: restart the node.",
        in->lock_changed);
  h->calls++;
}
