/* base/metric_families.h - one row a metric family: X(id, name, type, labels, preset, help). Names, labels and label
   sets of a released row never change; new needs get new rows (contract.md, "Two rules"). The id is the name in upper
   case. A summary's name stands for name_sum and name_count. labels: the order in which AQ_LABELS takes the values.
   preset: the series that exist at 0 from the first scrape, "service=api|p2p;op=start|stop" for each combination,
   several lists joined by " + "; "": one series without labels if the family has none, else nothing; "-": nothing. A
   histogram's preset starts with its buckets (H0 to H3 of core.md 13.4, or bounds). Included by base/metrics.h only. */
#ifndef AQ_BASE_METRIC_FAMILIES_H
#define AQ_BASE_METRIC_FAMILIES_H

/* clang-format off */
#define AQ_METRIC_FAMILIES(X) \
  /* contract.md 6.2: API and services */ \
  X(DVT_UP, "dvt_up", AQ_M_GAUGE, "", "", "1 while the process runs") \
  X(API_REQUESTS_TOTAL, "api_requests_total", AQ_M_COUNTER, "route,code", \
    "route=/health;code=200 + route=/metrics;code=200 + route=/v1/duty;code=202|400|403|405|503 + " \
    "route=/v1/tx/plain;code=202|400|405|503 + route=proxy;code=200|404|502", "requests answered") \
  X(API_LATENCY_MS, "api_latency_ms", AQ_M_SUMMARY, "route", \
    "route=/health|/metrics|/v1/duty|/v1/tx/plain|proxy", "time from request to answer") \
  X(SERVICE_OP_MS, "service_op_ms", AQ_M_SUMMARY, "service,op", \
    "service=api|monitoring|p2p|consensus|tss;op=start|stop + service=tss;op=sign|verify|combine|selftest", \
    "duration of service operations") \
  /* contract.md 6.3: consensus */ \
  X(CONSENSUS_EVENTS_TOTAL, "consensus_events_total", AQ_M_COUNTER, "kind", \
    "kind=duty|consensus", "events taken from the queue") \
  X(CONSENSUS_PROC_MS, "consensus_proc_ms", AQ_M_SUMMARY, "kind", "kind=duty|consensus", "time to process an event") \
  X(QBFT_MSG_VERIFIED_TOTAL, "qbft_msg_verified_total", AQ_M_COUNTER, "result,type", \
    "type=preprepare|prepare|commit|view_change|new_view + result=error|unauthorized|sig_invalid|old|round_oob|" \
    "replay", "messages verified: type when accepted, result when refused") \
  X(QBFT_STATE_TRANSITIONS_TOTAL, "qbft_state_transitions_total", AQ_M_COUNTER, "type", \
    "type=preprepare|prepare|commit|view_change|new_view", "verified messages stepped without error") \
  X(QBFT_MSG_TOTAL, "qbft_msg_total", AQ_M_COUNTER, "type", \
    "type=preprepare|prepare|commit|view_change|new_view", "messages that reached the state machine") \
  X(QBFT_QC_BUILT_TOTAL, "qbft_qc_built_total", AQ_M_COUNTER, "kind", \
    "kind=prepare|commit", "quorum certificates completed") \
  X(QBFT_VIEW_CHANGES_TOTAL, "qbft_view_changes_total", AQ_M_COUNTER, "", "", "rounds raised") \
  X(QBFT_TIMEOUTS_TOTAL, "qbft_timeouts_total", AQ_M_COUNTER, "phase", \
    "phase=idle|preprepared|prepared", "round timers fired") \
  X(QBFT_WAL_APPENDS_TOTAL, "qbft_wal_appends_total", AQ_M_COUNTER, "", "", "own votes journalled") \
  X(QBFT_WAL_RECOVER_TOTAL, "qbft_wal_recover_total", AQ_M_COUNTER, "result", \
    "result=ok|fail", "vote journals read at start") \
  X(QBFT_WAL_GUARD_DROPS_TOTAL, "qbft_wal_guard_drops_total", AQ_M_COUNTER, "", \
    "", "own votes suppressed because the journal is ahead") \
  X(CONSENSUS_BROADCAST_TOTAL, "consensus_broadcast_total", AQ_M_COUNTER, "type,result", \
    "type=preprepare|prepare|commit|view_change|new_view;result=ok|error", "own messages handed to the transport") \
  /* contract.md 6.4: state and sync */ \
  X(STATE_PERSIST_MS, "state_persist_ms", AQ_M_SUMMARY, "", "", "time to make state durable") \
  X(STATE_RECOVERY_TOTAL, "state_recovery_total", AQ_M_COUNTER, "result", \
    "result=ok|fallback|fail|miss", "state found at start") \
  X(STATE_PERSIST_ERRORS_TOTAL, "state_persist_errors_total", AQ_M_COUNTER, "", "", "failed writes of state") \
  X(STATE_STALE_TOTAL, "state_stale_total", AQ_M_COUNTER, "found_by", \
    "found_by=stamp|peer", "signs that an older copy of the store was put back") \
  X(STATE_REFUSED_TOTAL, "state_refused_total", AQ_M_COUNTER, "kind", \
    "kind=vote|decision|partial|group", "own votes and signatures that an earlier record forbids") \
  X(STATE_SYNC_VERIFIED_TOTAL, "state_sync_verified_total", AQ_M_COUNTER, "result", \
    "result=ok|fail|disabled", "synced headers checked") \
  /* contract.md 6.5: peers */ \
  X(P2P_CONN_ATTEMPTS_TOTAL, "p2p_conn_attempts_total", AQ_M_COUNTER, "result", \
    "result=allowed|denied|limited|dkg_denied", "connection attempts judged") \
  X(P2P_CONNS_OPEN, "p2p_conns_open", AQ_M_GAUGE, "", "", "authenticated connections now") \
  X(P2P_CONN_OPEN_TOTAL, "p2p_conn_open_total", AQ_M_COUNTER, "", "", "connections opened") \
  X(P2P_CONN_CLOSE_TOTAL, "p2p_conn_close_total", AQ_M_COUNTER, "", "", "connections closed") \
  X(P2P_PEERS_ADDED_TOTAL, "p2p_peers_added_total", AQ_M_COUNTER, "", "", "peers added to the table") \
  X(P2P_PEERS_REMOVED_TOTAL, "p2p_peers_removed_total", AQ_M_COUNTER, "", "", "peers removed from the table") \
  X(P2P_PEERS_JOINED_TOTAL, "p2p_peers_joined_total", AQ_M_COUNTER, "", "", "peers that joined") \
  X(P2P_PEERS_LEFT_TOTAL, "p2p_peers_left_total", AQ_M_COUNTER, "", "", "peers that left") \
  X(P2P_MESSAGES_TOTAL, "p2p_messages_total", AQ_M_COUNTER, "kind", "kind=broadcast", "broadcast calls") \
  X(P2P_BROADCAST_MS, "p2p_broadcast_ms", AQ_M_SUMMARY, "kind", "kind=broadcast", "duration of broadcast calls") \
  X(P2P_CONFIG_CHECKS_TOTAL, "p2p_config_checks_total", AQ_M_COUNTER, "result", \
    "result=ok|error", "start-up checks of the configuration") \
  X(P2P_DKG_CLUSTER_CHECKS_TOTAL, "p2p_dkg_cluster_checks_total", AQ_M_COUNTER, "result", \
    "result=ok|error", "start-up checks of the cluster lock") \
  X(P2P_MSGS_TOTAL, "p2p_msgs_total", AQ_M_COUNTER, "topic,direction,result", \
    "topic=aequa/qbft/v1|aequa/parsigex/v1|aequa/priority/v1|aequa/peerinfo/v1|aequa/ping/v1|aequa/votes/v1|" \
    "aequa/dkg/v1;direction=rx|tx;result=ok|error|decode_error", "messages sent and received") \
  X(P2P_BYTES_TOTAL, "p2p_bytes_total", AQ_M_COUNTER, "topic,direction", \
    "topic=aequa/qbft/v1|aequa/parsigex/v1|aequa/priority/v1|aequa/peerinfo/v1|aequa/ping/v1|aequa/votes/v1|" \
    "aequa/dkg/v1;direction=rx|tx", "message bytes sent and received") \
  /* contract.md 6.6, tss.md 10: threshold signing */ \
  X(TSS_RATE_LIMITED_TOTAL, "tss_rate_limited_total", AQ_M_COUNTER, "kind", \
    "kind=tss_session|tss_partial|tss_group|tss_verify", "work refused by a limit") \
  X(TSS_SESSIONS_OPEN, "tss_sessions_open", AQ_M_GAUGE, "", "", "signing sessions now") \
  X(TSS_SESSIONS_TOTAL, "tss_sessions_total", AQ_M_COUNTER, "result", \
    "result=ok|timeout|invalid|conflict|unarmed|cancelled", "signing sessions ended") \
  X(TSS_MSGS_TOTAL, "tss_msgs_total", AQ_M_COUNTER, "type", \
    "type=partial_local|partial_remote|partial_late|partial_duplicate|partial_bad", "partial signatures handled") \
  X(TSS_ROUND_MS, "tss_round_ms", AQ_M_SUMMARY, "round", "round=init|gather|combine", "time spent in a phase") \
  X(TSS_PERSIST_MS, "tss_persist_ms", AQ_M_SUMMARY, "", "", "time to write key share and session files") \
  X(TSS_PERSIST_ERRORS_TOTAL, "tss_persist_errors_total", AQ_M_COUNTER, "", \
    "", "failed writes of key share and session files") \
  X(TSS_RECOVERY_TOTAL, "tss_recovery_total", AQ_M_COUNTER, "result", \
    "result=ok|fallback|fail", "key share and session files read at start") \
  X(TSS_E2E_REQUESTS_TOTAL, "tss_e2e_requests_total", AQ_M_COUNTER, "code", "-", "test hook requests (test builds)") \
  X(TSS_E2E_LATENCY_MS, "tss_e2e_latency_ms", AQ_M_SUMMARY, "", "-", "test hook latency (test builds)") \
  X(BLOCK_SIGN_TOTAL, "block_sign_total", AQ_M_COUNTER, "result", "result=ok|error", "committed blocks signed") \
  X(TSS_BATCH_SESSIONS, "tss_batch_sessions", AQ_M_SUMMARY, "", "", "sessions in one verification batch") \
  X(TSS_BATCH_FAILED_TOTAL, "tss_batch_failed_total", AQ_M_COUNTER, "reason", \
    "reason=encoding|subgroup|signature|conflict", "verification batches that failed") \
  X(TSS_HASH_CACHE_TOTAL, "tss_hash_cache_total", AQ_M_COUNTER, "result", \
    "result=hit|miss", "look-ups of hashed roots") \
  X(TSS_PEER_SUSPECT, "tss_peer_suspect", AQ_M_GAUGE, "peer", \
    "-", "1 while partials of the peer are verified before they count") \
  /* contract.md 6.7, dfba.md, beast.md: pools, builder, auction, private path */ \
  X(MEMPOOL_IN_TOTAL, "mempool_in_total", AQ_M_COUNTER, "result", \
    "result=ok|invalid|old|future|dup", "transactions offered to the pool") \
  X(MEMPOOL_SIZE, "mempool_size", AQ_M_GAUGE, "", "", "transactions in the pool") \
  X(PRIVATE_POOL_IN_TOTAL, "private_pool_in_total", AQ_M_COUNTER, "result", \
    "result=ok|invalid|overflow|dup", "private transactions offered to the pool") \
  X(PRIVATE_POOL_SIZE, "private_pool_size", AQ_M_GAUGE, "", "", "private transactions in the pool") \
  X(BUILDER_POLICY_TOTAL, "builder_policy_total", AQ_M_COUNTER, "result", \
    "result=default|custom", "block policies in force") \
  X(BUILDER_SELECTED_TOTAL, "builder_selected_total", AQ_M_COUNTER, "type", \
    "type=plaintext_v1|auction_bid_v1|private_v1|order_v1", "items selected for blocks") \
  X(BUILDER_REJECT_TOTAL, "builder_reject_total", AQ_M_COUNTER, "type,reason", \
    "type=plaintext_v1|auction_bid_v1|private_v1|order_v1;reason=late|below_min_bid|below_min_fee|dfba_no_match", \
    "items rejected from blocks") \
  X(BLOCK_VALUE_BIDS, "block_value_bids", AQ_M_SUMMARY, "", "", "bids in committed blocks") \
  X(BLOCK_VALUE_FEES, "block_value_fees", AQ_M_SUMMARY, "", "", "fees in committed blocks") \
  X(DFBA_SOLVE_MS, "dfba_solve_ms", AQ_M_SUMMARY, "", "", "time to solve an auction") \
  X(DFBA_SOLVE_TOTAL, "dfba_solve_total", AQ_M_COUNTER, "result", "result=ok|fallback", "auctions solved") \
  X(DFBA_ACCEPTED_TOTAL, "dfba_accepted_total", AQ_M_COUNTER, "flow", \
    "flow=solver|user|maker|taker", "items accepted by the auction") \
  X(DFBA_REJECTED_TOTAL, "dfba_rejected_total", AQ_M_COUNTER, "flow,reason", \
    "flow=solver|user;reason=no_pair + flow=maker|taker;reason=self_trade|no_cross|price|rationed|cap", \
    "items rejected by the auction") \
  X(DFBA_CLEARING_PRICE, "dfba_clearing_price", AQ_M_GAUGE, "", "", "last clearing price") \
  X(DFBA_KEPT_TOTAL, "dfba_kept_total", AQ_M_COUNTER, "type", "-", "items kept for a later block") \
  X(DFBA_MARKET_VOLUME_TOTAL, "dfba_market_volume_total", AQ_M_COUNTER, "auction,market", "-", "volume traded") \
  X(BEAST_DECRYPT_TOTAL, "beast_decrypt_total", AQ_M_COUNTER, "result", \
    "result=ok|early|invalid|not_ready|cipher_error|empty|decode_error|error", "private transactions decrypted") \
  X(BEAST_DKG_TOTAL, "beast_dkg_total", AQ_M_COUNTER, "result", \
    "result=skip|config_error|init_error|start_error|decrypt_enable_error|ok|epoch_bump|bad_sig|complaint|" \
    "dealer_disqualified", "events of the key generation") \
  X(BEAST_SHARES_TOTAL, "beast_shares_total", AQ_M_COUNTER, "direction,result", "-", "decryption shares exchanged") \
  X(BEAST_EQUIVOCATION_TOTAL, "beast_equivocation_total", AQ_M_COUNTER, "", \
    "", "members that released two different shares") \
  /* core.md 13.4: the node */ \
  X(APP_VERSION, "app_version", AQ_M_GAUGE, "version", "-", "constant 1 with the version") \
  X(APP_GIT_COMMIT, "app_git_commit", AQ_M_GAUGE, "git_hash", "-", "constant 1 with the revision") \
  X(APP_START_TIME_SECS, "app_start_time_secs", AQ_M_GAUGE, "", "", "start of the process, Unix seconds") \
  X(APP_FEATURE_FLAGS, "app_feature_flags", AQ_M_GAUGE, "feature_flags", "-", "constant 1 with the enabled features") \
  X(APP_PEER_NAME, "app_peer_name", AQ_M_GAUGE, "peer_name", "-", "constant 1 with the own peer name") \
  X(CLUSTER_OPERATORS, "cluster_operators", AQ_M_GAUGE, "", "", "operators in the cluster lock") \
  X(CLUSTER_THRESHOLD, "cluster_threshold", AQ_M_GAUGE, "", "", "threshold in the cluster lock") \
  X(CLUSTER_VALIDATORS, "cluster_validators", AQ_M_GAUGE, "", "", "validators in the cluster lock") \
  X(CLUSTER_NETWORK, "cluster_network", AQ_M_GAUGE, "network", "-", "constant 1 with the network") \
  X(APP_MONITORING_READYZ, "app_monitoring_readyz", AQ_M_GAUGE, "", \
    "", "readiness: 1 ready, other numbers name the reason") \
  X(APP_BEACON_NODE_PEERS, "app_beacon_node_peers", AQ_M_GAUGE, "", "", "peers of the beacon node") \
  X(APP_BEACON_NODE_VERSION, "app_beacon_node_version", AQ_M_GAUGE, "version,beacon_id", \
    "-", "constant 1 with the version of the beacon node") \
  X(APP_EXECUTION_LAYER_VERSION, "app_execution_layer_version", AQ_M_GAUGE, "version", \
    "-", "constant 1 with the version of the execution client") \
  X(APP_BEACON_NODE_SSE_HEAD_SLOT, "app_beacon_node_sse_head_slot", AQ_M_GAUGE, "addr", \
    "-", "slot of the last head event") \
  X(APP_BEACON_NODE_SSE_HEAD_DELAY, "app_beacon_node_sse_head_delay", AQ_M_HISTOGRAM, "addr", \
    "buckets=2 4 6 8 10 12", "seconds from slot start to head event") \
  X(APP_BEACON_NODE_SSE_CHAIN_REORG_DEPTH, "app_beacon_node_sse_chain_reorg_depth", AQ_M_HISTOGRAM, "addr", \
    "buckets=1 2 4 6 8 16", "depth of chain reorganisations") \
  X(APP_BEACON_NODE_SSE_BLOCK, "app_beacon_node_sse_block", AQ_M_HISTOGRAM, "addr", \
    "buckets=.5 1 1.5 2 2.5 3 3.5 4 4.5 5 6 8 10 12", "seconds from slot start to block event") \
  X(APP_BEACON_NODE_SSE_BLOCK_GOSSIP, "app_beacon_node_sse_block_gossip", AQ_M_HISTOGRAM, "addr", \
    "buckets=.5 1 1.5 2 2.5 3 3.5 4 4.5 5 6 8 10 12", "seconds from slot start to block gossip event") \
  X(APP_BEACON_NODE_SSE_BLOCK_PROCESSING_TIME, "app_beacon_node_sse_block_processing_time", AQ_M_HISTOGRAM, "addr", \
    "buckets=.01 .05 .1 .2 .3 .4 .5 .6 .7 .8 .9 1 2 4", "seconds from block gossip to head event") \
  X(APP_CACHE_HITS_TOTAL, "app_cache_hits_total", AQ_M_COUNTER, "endpoint", "-", "answers from the cache") \
  X(APP_CACHE_MISSES_TOTAL, "app_cache_misses_total", AQ_M_COUNTER, "endpoint", "-", "answers not in the cache") \
  X(APP_CACHE_INVALIDATED_REORG_TOTAL, "app_cache_invalidated_reorg_total", AQ_M_COUNTER, "endpoint", \
    "-", "cache entries dropped after a reorganisation") \
  X(APP_ETH2_LATENCY_SECONDS, "app_eth2_latency_seconds", AQ_M_HISTOGRAM, "endpoint", \
    "buckets=H1", "latency of beacon node requests") \
  X(APP_ETH2_REQUESTS_TOTAL, "app_eth2_requests_total", AQ_M_COUNTER, "endpoint", "-", "beacon node requests") \
  X(APP_ETH2_ERRORS_TOTAL, "app_eth2_errors_total", AQ_M_COUNTER, "endpoint", "-", "failed beacon node requests") \
  X(APP_ETH2_USING_FALLBACK, "app_eth2_using_fallback", AQ_M_GAUGE, "", "", "1 while a fallback beacon node is used") \
  X(APP_HEALTH_CHECKS, "app_health_checks", AQ_M_GAUGE, "severity,name,description", "-", "1 while the check fails") \
  X(APP_HEALTH_CHECKS_FAILED_TOTAL, "app_health_checks_failed_total", AQ_M_COUNTER, "severity,name,description", \
    "-", "failed checks") \
  X(APP_HEALTH_METRICS_HIGH_CARDINALITY, "app_health_metrics_high_cardinality", AQ_M_GAUGE, "name", \
    "-", "series of families that have too many") \
  X(APP_LOG_ERROR_TOTAL, "app_log_error_total", AQ_M_COUNTER, "topic", "-", "error lines logged") \
  X(APP_LOG_WARN_TOTAL, "app_log_warn_total", AQ_M_COUNTER, "topic", "-", "warning lines logged") \
  X(APP_PEERINFO_BUILDER_API_ENABLED, "app_peerinfo_builder_api_enabled", AQ_M_GAUGE, "peer", \
    "-", "1 if the peer uses the builder API") \
  X(APP_PEERINFO_CLOCK_OFFSET_SECONDS, "app_peerinfo_clock_offset_seconds", AQ_M_GAUGE, "peer", \
    "-", "clock of the peer minus own clock") \
  X(APP_PEERINFO_INDEX, "app_peerinfo_index", AQ_M_GAUGE, "peer", "-", "index of the peer") \
  X(APP_PEERINFO_START_TIME_SECS, "app_peerinfo_start_time_secs", AQ_M_GAUGE, "peer", \
    "-", "start of the peer, Unix seconds") \
  X(APP_PEERINFO_VERSION_SUPPORT, "app_peerinfo_version_support", AQ_M_GAUGE, "peer", \
    "-", "1 if the version of the peer is supported") \
  X(APP_PEERINFO_DV_CLIENT, "app_peerinfo_dv_client", AQ_M_GAUGE, "peer,dv_client", \
    "-", "constant 1 with the client of the peer") \
  X(APP_PEERINFO_GIT_COMMIT, "app_peerinfo_git_commit", AQ_M_GAUGE, "peer,git_hash", \
    "-", "constant 1 with the revision of the peer") \
  X(APP_PEERINFO_NICKNAME, "app_peerinfo_nickname", AQ_M_GAUGE, "peer,peer_nickname", \
    "-", "constant 1 with the nickname of the peer") \
  X(APP_PEERINFO_VERSION, "app_peerinfo_version", AQ_M_GAUGE, "peer,version", \
    "-", "constant 1 with the version of the peer") \
  /* core.md 13.4: duties */ \
  X(CORE_SCHEDULER_CURRENT_SLOT, "core_scheduler_current_slot", AQ_M_GAUGE, "", "", "slot of the clock") \
  X(CORE_SCHEDULER_CURRENT_EPOCH, "core_scheduler_current_epoch", AQ_M_GAUGE, "", "", "epoch of the clock") \
  X(CORE_SCHEDULER_VALIDATORS_ACTIVE, "core_scheduler_validators_active", AQ_M_GAUGE, "", \
    "", "active validators of the cluster") \
  X(CORE_SCHEDULER_DUTY_TOTAL, "core_scheduler_duty_total", AQ_M_COUNTER, "duty", \
    "-", "duties scheduled, counted by validator") \
  X(CORE_SCHEDULER_SKIPPED_SLOTS_TOTAL, "core_scheduler_skipped_slots_total", AQ_M_COUNTER, "", \
    "", "slots that were skipped") \
  X(CORE_SCHEDULER_SUBMIT_REGISTRATION_TOTAL, "core_scheduler_submit_registration_total", AQ_M_COUNTER, "", \
    "", "builder registrations submitted") \
  X(CORE_SCHEDULER_SUBMIT_REGISTRATION_ERRORS_TOTAL, "core_scheduler_submit_registration_errors_total", \
    AQ_M_COUNTER, "", \
    "", "failed submissions of builder registrations") \
  X(CORE_SCHEDULER_VALIDATOR_BALANCE_GWEI, "core_scheduler_validator_balance_gwei", \
    AQ_M_GAUGE, "pubkey_full,pubkey", \
    "-", "balance of the validator") \
  X(CORE_SCHEDULER_VALIDATOR_STATUS, "core_scheduler_validator_status", AQ_M_GAUGE, "pubkey_full,pubkey,status", \
    "-", "1 for the current status of the validator") \
  X(CORE_FETCHER_PROPOSAL_BLINDED, "core_fetcher_proposal_blinded", AQ_M_GAUGE, "", \
    "", "1 if the last proposal was blinded, 2 if not") \
  X(CORE_FETCHER_PROPOSAL_LOCAL_MISMATCH_FEE_RECIPIENT, "core_fetcher_proposal_local_mismatch_fee_recipient", \
    AQ_M_GAUGE, "", \
    "", "1 if the last full block seen, own or proposed, pays the cluster's fee recipient, 2 if another one") \
  X(CORE_CONSENSUS_DECIDED_LEADER_INDEX, "core_consensus_decided_leader_index", AQ_M_GAUGE, "protocol,duty", \
    "-", "leader of the last decided round") \
  X(CORE_CONSENSUS_DECIDED_ROUNDS, "core_consensus_decided_rounds", AQ_M_GAUGE, "protocol,duty,timer", \
    "-", "round of the last decision") \
  X(CORE_CONSENSUS_DURATION_SECONDS, "core_consensus_duration_seconds", AQ_M_HISTOGRAM, "protocol,duty,timer", \
    "buckets=H1", "duration of consensus instances") \
  X(CORE_CONSENSUS_ERROR_TOTAL, "core_consensus_error_total", AQ_M_COUNTER, "protocol", "-", "consensus errors") \
  X(CORE_CONSENSUS_TIMEOUT_TOTAL, "core_consensus_timeout_total", AQ_M_COUNTER, "protocol,duty,timer", \
    "-", "consensus instances that timed out") \
  X(CORE_CONSENSUS_INSUFFICIENT_ROUND_CHANGES_TOTAL, "core_consensus_insufficient_round_changes_total", \
    AQ_M_COUNTER, "protocol,duty,timer,outcome", \
    "-", "instances that saw too few round changes") \
  X(CORE_PARSIGDB_STORE, "core_parsigdb_store", AQ_M_HISTOGRAM, "duty,peer_idx", \
    "buckets=H2", "seconds from slot start to a stored partial signature") \
  X(CORE_PARSIGDB_EXIT_TOTAL, "core_parsigdb_exit_total", AQ_M_COUNTER, "pubkey", "-", "partial exits stored") \
  X(CORE_PARSIGEX_SET_VERIFICATION_SECONDS, "core_parsigex_set_verification_seconds", AQ_M_HISTOGRAM, "duty", \
    "buckets=H3", "time to verify a received set") \
  X(CORE_SIGAGG_SLOT_AGGREGATION_SECONDS, "core_sigagg_slot_aggregation_seconds", AQ_M_HISTOGRAM, "duty", \
    "buckets=H3", "time to aggregate the signatures of a duty") \
  X(CORE_BCAST_BROADCAST_TOTAL, "core_bcast_broadcast_total", AQ_M_COUNTER, "duty", \
    "-", "duties broadcast to the beacon node") \
  X(CORE_BCAST_BROADCAST_DELAY_SECONDS, "core_bcast_broadcast_delay_seconds", AQ_M_HISTOGRAM, "duty", \
    "buckets=.05 .1 .25 .5 1 2.5 5 10 20 30 60", "seconds from slot start to broadcast") \
  X(CORE_TRACKER_EXPECT_DUTIES_TOTAL, "core_tracker_expect_duties_total", AQ_M_COUNTER, "duty", \
    "duty=proposer|attester|signature|exit|builder_proposer|builder_registration|randao|prepare_aggregator|" \
    "aggregator|sync_message|prepare_sync_contribution|sync_contribution|info_sync", "duties expected") \
  X(CORE_TRACKER_SUCCESS_DUTIES_TOTAL, "core_tracker_success_duties_total", AQ_M_COUNTER, "duty", \
    "duty=proposer|attester|signature|exit|builder_proposer|builder_registration|randao|prepare_aggregator|" \
    "aggregator|sync_message|prepare_sync_contribution|sync_contribution|info_sync", "duties done") \
  X(CORE_TRACKER_FAILED_DUTIES_TOTAL, "core_tracker_failed_duties_total", AQ_M_COUNTER, "duty", \
    "duty=proposer|attester|signature|exit|builder_proposer|builder_registration|randao|prepare_aggregator|" \
    "aggregator|sync_message|prepare_sync_contribution|sync_contribution|info_sync", "duties failed") \
  X(CORE_TRACKER_FAILED_DUTY_REASONS_TOTAL, "core_tracker_failed_duty_reasons_total", AQ_M_COUNTER, "duty,reason", \
    "-", "duties failed, by reason") \
  X(CORE_TRACKER_ATTESTATION_EXPECT_TOTAL, "core_tracker_attestation_expect_total", AQ_M_COUNTER, "", \
    "", "attestations expected") \
  X(CORE_TRACKER_ATTESTATION_SUCCESS_TOTAL, "core_tracker_attestation_success_total", AQ_M_COUNTER, "", \
    "", "attestations done") \
  X(CORE_TRACKER_INCONSISTENT_PARSIGS_TOTAL, "core_tracker_inconsistent_parsigs_total", AQ_M_COUNTER, "duty", \
    "-", "duties whose partial signatures differ") \
  X(CORE_TRACKER_INCLUSION_MISSED_TOTAL, "core_tracker_inclusion_missed_total", AQ_M_COUNTER, "duty", \
    "-", "duties not found in a block") \
  X(CORE_TRACKER_INCLUSION_DELAY, "core_tracker_inclusion_delay", AQ_M_GAUGE, "", \
    "-", "slots from attestation to inclusion") \
  X(CORE_TRACKER_PARSIG_COHORT_RANK_TOTAL, "core_tracker_parsig_cohort_rank_total", \
    AQ_M_COUNTER, "duty,peer_idx,rank", \
    "-", "rank of the group of equal roots a peer was in") \
  X(CORE_TRACKER_PARTICIPATION, "core_tracker_participation", AQ_M_GAUGE, "duty,peer", \
    "-", "1 if the peer took part in the last duty") \
  X(CORE_TRACKER_PARTICIPATION_TOTAL, "core_tracker_participation_total", AQ_M_COUNTER, "duty,peer", \
    "-", "duties the peer took part in (old name)") \
  X(CORE_TRACKER_PARTICIPATION_SUCCESS_TOTAL, "core_tracker_participation_success_total", AQ_M_COUNTER, "duty,peer", \
    "-", "duties the peer took part in") \
  X(CORE_TRACKER_PARTICIPATION_MISSED_TOTAL, "core_tracker_participation_missed_total", AQ_M_COUNTER, "duty,peer", \
    "-", "duties the peer missed") \
  X(CORE_TRACKER_PARTICIPATION_EXPECTED_TOTAL, "core_tracker_participation_expected_total", \
    AQ_M_COUNTER, "duty,peer", \
    "-", "duties the peer was expected in") \
  X(CORE_TRACKER_UNEXPECTED_EVENTS_TOTAL, "core_tracker_unexpected_events_total", AQ_M_COUNTER, "peer", \
    "-", "events that no duty explains") \
  X(CORE_VALIDATORAPI_REQUEST_LATENCY_SECONDS, "core_validatorapi_request_latency_seconds", \
    AQ_M_HISTOGRAM, "endpoint", \
    "buckets=H0", "latency of the validator API") \
  X(CORE_VALIDATORAPI_PROXY_REQUEST_LATENCY_SECONDS, "core_validatorapi_proxy_request_latency_seconds", \
    AQ_M_HISTOGRAM, "path", \
    "buckets=H0", "latency of proxied requests") \
  X(CORE_VALIDATORAPI_REQUEST_TOTAL, "core_validatorapi_request_total", AQ_M_COUNTER, "endpoint,content_type", \
    "-", "requests to the validator API") \
  X(CORE_VALIDATORAPI_REQUEST_ERROR_TOTAL, "core_validatorapi_request_error_total", \
    AQ_M_COUNTER, "endpoint,status_code", \
    "-", "failed requests to the validator API") \
  X(CORE_VALIDATORAPI_VC_USER_AGENT, "core_validatorapi_vc_user_agent", AQ_M_GAUGE, "user_agent", \
    "-", "constant 1 with the last user agent") \
  /* core.md 13.4: links to peers */ \
  X(P2P_PING_LATENCY_SECS, "p2p_ping_latency_secs", AQ_M_HISTOGRAM, "peer", "buckets=H0", "round trip time") \
  X(P2P_PING_ERROR_TOTAL, "p2p_ping_error_total", AQ_M_COUNTER, "peer", "-", "failed pings") \
  X(P2P_PING_SUCCESS, "p2p_ping_success", AQ_M_GAUGE, "peer", "-", "1 if the last ping was answered") \
  X(P2P_PEER_CONNECTION_TOTAL, "p2p_peer_connection_total", AQ_M_COUNTER, "peer", \
    "-", "connections made with the peer") \
  X(P2P_PEER_CONNECTION_TYPES, "p2p_peer_connection_types", AQ_M_GAUGE, "peer,type,protocol", \
    "-", "connections with the peer now") \
  X(P2P_RELAY_CONNECTION_TYPES, "p2p_relay_connection_types", AQ_M_GAUGE, "peer,type,protocol", \
    "-", "connections with the relay now") \
  X(P2P_PEER_NETWORK_RECEIVE_BYTES_TOTAL, "p2p_peer_network_receive_bytes_total", \
    AQ_M_COUNTER, "peer,protocol,transport", \
    "-", "bytes received from the peer") \
  X(P2P_PEER_NETWORK_SENT_BYTES_TOTAL, "p2p_peer_network_sent_bytes_total", AQ_M_COUNTER, "peer,protocol,transport", \
    "-", "bytes sent to the peer") \
  X(P2P_PEER_STREAMS, "p2p_peer_streams", AQ_M_GAUGE, "peer,direction,protocol,transport", \
    "-", "streams with the peer now") \
  X(P2P_REACHABILITY_STATUS, "p2p_reachability_status", AQ_M_GAUGE, "", "", "0 unknown, 1 public, 2 private") \
  X(P2P_RELAY_CONNECTIONS, "p2p_relay_connections", AQ_M_GAUGE, "peer", "-", "connections with the relay now") \
  X(P2P_SEND_DURATION_SECONDS, "p2p_send_duration_seconds", AQ_M_HISTOGRAM, "peer,protocol,topic", \
    "buckets=.0001 .0002 .0004 .0008 .0016 .0032 .0064 .0128 .0256 .0512 .1024 .2048 .4096 .8192 1.6384 3.2768 " \
    "6.5536 13.1072", "time to send a message") \
  /* process and own health */ \
  X(PROCESS_CPU_SECONDS_TOTAL, "process_cpu_seconds_total", AQ_M_COUNTER, "", "", "processor time used") \
  X(PROCESS_RESIDENT_MEMORY_BYTES, "process_resident_memory_bytes", AQ_M_GAUGE, "", "", "resident memory") \
  X(PROCESS_VIRTUAL_MEMORY_BYTES, "process_virtual_memory_bytes", AQ_M_GAUGE, "", "", "virtual memory") \
  X(PROCESS_START_TIME_SECONDS, "process_start_time_seconds", AQ_M_GAUGE, "", \
    "", "start of the process, Unix seconds") \
  X(PROCESS_OPEN_FDS, "process_open_fds", AQ_M_GAUGE, "", "", "open file descriptors") \
  X(PROCESS_MAX_FDS, "process_max_fds", AQ_M_GAUGE, "", "", "limit of open file descriptors") \
  X(AEQUA_BUILD_INFO, "aequa_build_info", AQ_M_GAUGE, "version,revision", \
    "-", "constant 1 with version and revision") \
  X(LOG_DROPPED_TOTAL, "log_dropped_total", AQ_M_COUNTER, "", "", "log lines dropped because the ring was full") \
  X(METRICS_SERIES_DROPPED_TOTAL, "metrics_series_dropped_total", AQ_M_COUNTER, "", \
    "", "series dropped because their family was full") \
  X(LOOP_STALLS_TOTAL, "loop_stalls_total", AQ_M_COUNTER, "", "", "loop steps that took longer than allowed") \
  X(LOOP_STALL_SECONDS_TOTAL, "loop_stall_seconds_total", AQ_M_COUNTER, "", "", "time of those steps")
/* clang-format on */

#endif
