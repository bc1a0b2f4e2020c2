/* Health checks over the metrics. core.md 13.3. */
#include "aq_test.h"

#include "api/health.h"

static double failing(const char *severity, const char *name) {
  double out = -1;
  static const char *const about[] = {
      "The beacon node is syncing.",
      "Fewer peers were connected for minutes than a quorum needs.",
      "Validators of the cluster wait for their activation.",
      "Builder registrations fail.",
      "A family of metrics has too many series.",
      "The beacon node takes more than a second to answer.",
      "The beacon node takes more than two seconds for a block.",
      "A peer's clock is more than 200 ms apart.",
      "A peer takes more than 150 ms to answer a ping.",
      "A fallback beacon node is used.",
      "Consensus saw too few round changes.",
      "The last attester or proposer decision took more than one round.",
      "The last block was local although the builder API is on.",
      "Partial attestations come later than two seconds into the slot.",
      "Partial proposals come later than three seconds into the slot.",
      "No beacon node of this node's chain and fork: upgrade or replace it (msg=beacon_node_unfit).",
      "Beacon nodes differ in chain or forks to come: upgrade those that the log names.",
      "Answers of a beacon node do not decode or do not fit: check its address and version.",
      "The store cannot be written: make room or replace the disk.",
      "Less than 256 MiB are free on the store's disk: make room.",
      "The cluster lock on disk is not the one in use: restart the node.",
      "The clock and the last heads of the beacon node are more than a slot apart.",
      "The clock was set, or the machine slept, in the last ten minutes.",
      "Nothing is voted or signed for: the records do not say what was sent before.",
      "Long steps held up the event loop for more than 1.5 seconds in five minutes."};
  aq_buf all = AQ_BUF(8 << 20);
  aq_metrics_write(&all);
  for (size_t i = 0; i < AQ_COUNT(about); i++) {
    char line[400];
    snprintf(line, sizeof line, "app_health_checks{description=\"%s\",name=\"%s\",severity=\"%s\"} ", about[i], name,
             severity);
    const char *at = strstr(aq_buf_cstr(&all), line);
    if (at) out = strtod(at + strlen(line), NULL);
  }
  aq_buf_free(&all);
  if (out < 0) fail_msg("no check %s of severity %s", name, severity);
  return out;
}

static const aq_health_in well = {.connected = 3, .needed = 2, .validator_cnt = 8};

static aq_health *new_health(void) {
  aq_metrics_init();
  aq_health *h = calloc(1, sizeof *h);
  assert_non_null(h);
  return h;
}

static const char *const names[][2] = {{"critical", "beacon_node_syncing"},
                                       {"critical", "insufficient_connected_peers"},
                                       {"info", "pending_validators"},
                                       {"warning", "high_registration_failures_rate"},
                                       {"warning", "metrics_high_cardinality"},
                                       {"warning", "high_beacon_node_latency"},
                                       {"warning", "high_beacon_node_proposal_latency"},
                                       {"warning", "high_peer_clock_offset"},
                                       {"warning", "high_peer_ping_latency"},
                                       {"warning", "using_fallback_beacon_nodes"},
                                       {"warning", "insufficient_round_changes"},
                                       {"warning", "high_consensus_rounds"},
                                       {"warning", "local_block_proposal"},
                                       {"warning", "high_parsigdb_store_latency"},
                                       {"warning", "high_parsigdb_store_latency_proposer"},
                                       {"warning", "event_loop_stalled"},
                                       {"critical", "clock_off"},
                                       {"warning", "clock_set"},
                                       {"warning", "duties_held_back"},
                                       {"critical", "beacon_node_fork_mismatch"},
                                       {"warning", "beacon_nodes_disagree"},
                                       {"warning", "beacon_node_unfit_answers"},
                                       {"critical", "store_write_failures"},
                                       {"warning", "disk_space_low"},
                                       {"warning", "cluster_lock_changed"}};

static void make_ill(const char *name, aq_health_in *in) {
  const aq_metric_id bn = AQ_M_APP_ETH2_LATENCY_SECONDS, store = AQ_M_CORE_PARSIGDB_STORE;
  const aq_metric_id rounds = AQ_M_CORE_CONSENSUS_INSUFFICIENT_ROUND_CHANGES_TOTAL;
  if (strcmp(name, "beacon_node_syncing") == 0) in->beacon_syncing = true;
  if (strcmp(name, "insufficient_connected_peers") == 0) in->connected = 1;
  if (strcmp(name, "clock_off") == 0) in->clock_off = true;
  if (strcmp(name, "clock_set") == 0) in->clock_set = true;
  if (strcmp(name, "duties_held_back") == 0) in->held_back = true;
  if (strcmp(name, "pending_validators") == 0)
    aq_metric_set(AQ_M_CORE_SCHEDULER_VALIDATOR_STATUS, 1, AQ_LABELS("0x1", "0x", "pending_queued"));
  if (strcmp(name, "high_registration_failures_rate") == 0)
    aq_metric_add(AQ_M_CORE_SCHEDULER_SUBMIT_REGISTRATION_ERRORS_TOTAL, 1, AQ_NO_LABELS);
  for (int i = 0; strcmp(name, "metrics_high_cardinality") == 0 && i < 801; i++) {
    char topic[20];
    snprintf(topic, sizeof topic, "topic-%d", i);
    aq_metric_add(AQ_M_APP_LOG_WARN_TOTAL, 1, AQ_LABELS(topic));
  }
  if (strcmp(name, "high_beacon_node_latency") == 0) aq_metric_observe(bn, 1.01, AQ_LABELS("attester_duties"));
  if (strcmp(name, "high_beacon_node_proposal_latency") == 0) aq_metric_observe(bn, 2.01, AQ_LABELS("proposal"));
  if (strcmp(name, "high_peer_clock_offset") == 0)
    aq_metric_set(AQ_M_APP_PEERINFO_CLOCK_OFFSET_SECONDS, -0.21, AQ_LABELS("peer"));
  if (strcmp(name, "high_peer_ping_latency") == 0)
    aq_metric_observe(AQ_M_P2P_PING_LATENCY_SECS, 0.16, AQ_LABELS("peer"));
  if (strcmp(name, "using_fallback_beacon_nodes") == 0) aq_metric_set(AQ_M_APP_ETH2_USING_FALLBACK, 1, AQ_NO_LABELS);
  if (strcmp(name, "insufficient_round_changes") == 0)
    aq_metric_add(rounds, 1, AQ_LABELS("p", "attester", "t", "timeout"));
  if (strcmp(name, "high_consensus_rounds") == 0)
    aq_metric_set(AQ_M_CORE_CONSENSUS_DECIDED_ROUNDS, 2, AQ_LABELS("p", "attester", "t"));
  if (strcmp(name, "local_block_proposal") == 0) {
    in->builder_api = true;
    aq_metric_set(AQ_M_CORE_FETCHER_PROPOSAL_BLINDED, 2, AQ_NO_LABELS);
  }
  if (strcmp(name, "beacon_node_fork_mismatch") == 0) in->fork_mismatch = true;
  if (strcmp(name, "beacon_nodes_disagree") == 0) in->beacon_disagree = true;
  if (strcmp(name, "beacon_node_unfit_answers") == 0) in->beacon_unfit = true;
  if (strcmp(name, "store_write_failures") == 0) in->store_failing = true;
  if (strcmp(name, "disk_space_low") == 0) in->disk_low = true;
  if (strcmp(name, "cluster_lock_changed") == 0) in->lock_changed = true;
  if (strcmp(name, "high_parsigdb_store_latency") == 0) aq_metric_observe(store, 2.01, AQ_LABELS("attester", "1"));
  if (strcmp(name, "high_parsigdb_store_latency_proposer") == 0)
    aq_metric_observe(store, 3.01, AQ_LABELS("proposer", "1"));
  if (strcmp(name, "event_loop_stalled") == 0) aq_metric_add(AQ_M_LOOP_STALL_SECONDS_TOTAL, 1.6, AQ_NO_LABELS);
}

/* What is not yet ill: each figure just below its limit, or of a kind that the check leaves out. */
static void almost_ill(void) {
  aq_metric_add(AQ_M_LOOP_STALL_SECONDS_TOTAL, 1.5, AQ_NO_LABELS);
  aq_metric_observe(AQ_M_APP_ETH2_LATENCY_SECONDS, 0.99, AQ_LABELS("attester_duties"));
  aq_metric_observe(AQ_M_APP_ETH2_LATENCY_SECONDS, 1.99, AQ_LABELS("proposal"));
  aq_metric_observe(AQ_M_P2P_PING_LATENCY_SECS, 0.14, AQ_LABELS("peer"));
  aq_metric_observe(AQ_M_CORE_PARSIGDB_STORE, 1.99, AQ_LABELS("attester", "1"));
  aq_metric_observe(AQ_M_CORE_PARSIGDB_STORE, 2.99, AQ_LABELS("proposer", "1"));
  aq_metric_observe(AQ_M_CORE_PARSIGDB_STORE, 9, AQ_LABELS("randao", "1"));
  aq_metric_set(AQ_M_APP_PEERINFO_CLOCK_OFFSET_SECONDS, 0.19, AQ_LABELS("other"));
  aq_metric_set(AQ_M_CORE_CONSENSUS_DECIDED_ROUNDS, 1, AQ_LABELS("p", "attester", "t"));
  aq_metric_set(AQ_M_CORE_CONSENSUS_DECIDED_ROUNDS, 3, AQ_LABELS("p", "info_sync", "t"));
  aq_metric_set(AQ_M_CORE_SCHEDULER_VALIDATOR_STATUS, 0, AQ_LABELS("0x2", "0x", "pending_queued"));
  aq_metric_set(AQ_M_CORE_SCHEDULER_VALIDATOR_STATUS, 1, AQ_LABELS("0x2", "0x", "active_ongoing"));
  aq_metric_set(AQ_M_CORE_FETCHER_PROPOSAL_BLINDED, 2, AQ_NO_LABELS);
}

/* Goal: each check fails for its own reason and no other, at its limit.
   Method: a node where all figures are just within their limits; then one of them is over it. */
static void test_each_check(void **state) {
  (void)state;
  for (size_t ill = 0; ill < AQ_COUNT(names); ill++) {
    aq_health *h = new_health();
    aq_health_in in = well;
    aq_health_check(h, &in);
    almost_ill();
    aq_health_check(h, &in);
    for (size_t i = 0; i < AQ_COUNT(names); i++) {
      if (failing(names[i][0], names[i][1]) != 0) fail_msg("%s fails on a healthy node", names[i][1]);
    }
    free(h);
    h = new_health();
    aq_health_check(h, &(aq_health_in){.needed = 2, .validator_cnt = 8});
    make_ill(names[ill][1], &in);
    aq_health_check(h, &in);
    for (size_t i = 0; i < AQ_COUNT(names); i++) {
      if (failing(names[i][0], names[i][1]) != (i == ill)) fail_msg("%s: %s is wrong", names[ill][1], names[i][1]);
    }
    free(h);
  }
}

/* Goal: means and growth are those of the last ten samples; too few peers count only when that lasts.
   Method: one slow answer and one lost connection, then calls until both are out of the window. */
static void test_window(void **state) {
  (void)state;
  aq_health *h = new_health();
  aq_health_in in = well;
  aq_health_check(h, &in);
  aq_metric_observe(AQ_M_APP_ETH2_LATENCY_SECONDS, 30, AQ_LABELS("genesis"));
  aq_metric_add(AQ_M_CORE_CONSENSUS_INSUFFICIENT_ROUND_CHANGES_TOTAL, 1, AQ_LABELS("p", "attester", "t", "timeout"));
  in.connected = 1;
  for (int i = 0; i < AQ_HEALTH_SAMPLES - 1; i++) {
    aq_health_check(h, &in);
    assert_true(failing("warning", "high_beacon_node_latency") == 1);
    assert_true(failing("warning", "insufficient_round_changes") == 1);
    assert_true(failing("critical", "insufficient_connected_peers") == 0);
  }
  aq_health_check(h, &in);
  assert_true(failing("warning", "high_beacon_node_latency") == 0);
  assert_true(failing("warning", "insufficient_round_changes") == 0);
  assert_true(failing("critical", "insufficient_connected_peers") == 1);
  const char *const *failed =
      AQ_LABELS("warning", "high_beacon_node_latency", "The beacon node takes more than a second to answer.");
  assert_true(aq_metric_value(AQ_M_APP_HEALTH_CHECKS_FAILED_TOTAL, failed) == AQ_HEALTH_SAMPLES - 1);
  free(h);
}

/* Goal: more series than there is room for do no harm. Method: 300 peers' pings, all slow. */
static void test_many_series(void **state) {
  (void)state;
  aq_health *h = new_health();
  for (int i = 0; i < 300; i++) {
    char peer[100];
    snprintf(peer, sizeof peer, "peer-%080d", i);
    aq_metric_observe(AQ_M_P2P_PING_LATENCY_SECS, 1, AQ_LABELS(peer));
    snprintf(peer, sizeof peer, "%d", i);
    aq_metric_observe(AQ_M_P2P_PING_LATENCY_SECS, 1, AQ_LABELS(peer));
  }
  aq_health_check(h, &well);
  aq_metric_observe(AQ_M_P2P_PING_LATENCY_SECS, 1, AQ_LABELS("0"));
  aq_health_check(h, &well);
  assert_true(failing("warning", "high_peer_ping_latency") == 1);
  assert_true(h->series_cnt == AQ_HEALTH_SERIES_MAX);
  free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_check), cmocka_unit_test(test_window),
                                     cmocka_unit_test(test_many_series)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
