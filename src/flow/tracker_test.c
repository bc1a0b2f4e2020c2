/* Stories of duties as marks, and the one line that each must leave. */
#include "flow/tracker.h"

#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/env.h"

enum { N = 4, SELF = 1, LINES_MAX = 32, SLOT = 320 };
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT_NS AQ_SECONDS(12)

static const char *const names[N] = {"amber-fox", "brave-owl", "calm-hare", "deep-crow"};

typedef struct {
  fake_env env;
  aq_chain chain;
  aq_tracker *t;
  char line[LINES_MAX][1024];
  size_t line_cnt;
  uint32_t peer; /* the last share that signed */
} fixture;

static void on_line(void *arg, const char *line, size_t len) {
  fixture *f = arg;
  assert_true(f->line_cnt < LINES_MAX && len < sizeof f->line[0]);
  memcpy(f->line[f->line_cnt], line, len);
  f->line[f->line_cnt++][len] = 0;
}

static void open_tracker(fixture *f, bool combines) {
  memset(f, 0, sizeof *f);
  aq_metrics_init();
  aq_log_start(AQ_LOG_INFO, on_line, f);
  fake_env_init(&f->env, GENESIS + SLOT * SLOT_NS);
  f->chain.clock = (aq_clock){GENESIS, SLOT_NS, 32};
  f->t = aq_tracker_new(&(aq_tracker_cfg){&f->env.env, &f->chain, N, SELF, combines, names});
}

static void close_tracker(fixture *f) {
  aq_tracker_free(f->t);
  fake_env_free(&f->env);
  aq_log_stop();
}

static const char *verdict(const fixture *f, const char *duty) {
  char text[64];
  const char *found = NULL;
  snprintf(text, sizeof text, "\"duty\":\"%s\"", duty);
  for (size_t i = 0; i < f->line_cnt; i++) {
    if (!strstr(f->line[i], "\"msg\":\"duty\"") || !strstr(f->line[i], text)) continue;
    assert_null(found); /* one a duty */
    found = f->line[i];
  }
  return found;
}

static void partials(fixture *f, aq_duty d, uint32_t shares) {
  uint8_t root[32] = {1};
  for (uint32_t i = 0; i < N; i++) {
    if (shares >> i & 1) aq_tracker_partial(f->t, d, i + 1, root, false, AQ_OK);
  }
}

static void to_deadline(fixture *f) { fake_env_run_for(&f->env, 66 * SLOT_NS); }

/* Goal: a duty that completes has its line at once, with times from the trigger. Method: two validators, events some
   ms apart. */
static void test_ok(void **state) {
  (void)state;
  fixture f;
  open_tracker(&f, true);
  aq_duty d = {SLOT, AQ_DUTY_ATTESTER};
  aq_tracker_scheduled(f.t, d, 2);
  fake_env_run_for(&f.env, AQ_MILLIS(3));
  aq_tracker_fetched(f.t, d, AQ_OK);
  fake_env_run_for(&f.env, AQ_MILLIS(7));
  aq_tracker_decided(f.t, d, 2, AQ_OK);
  fake_env_run_for(&f.env, AQ_MILLIS(2));
  for (int v = 0; v < 2; v++) partials(&f, d, 0x7);
  aq_tracker_shared(f.t, d, 2);
  fake_env_run_for(&f.env, AQ_MILLIS(3));
  aq_tracker_combined(f.t, d, AQ_OK);
  aq_tracker_combined(f.t, d, AQ_OK);
  fake_env_run_for(&f.env, AQ_MILLIS(2) + AQ_NS_PER_MS / 2);
  aq_tracker_submitted(f.t, d, 1, AQ_OK);
  assert_null(verdict(&f, "attester"));
  aq_tracker_submitted(f.t, d, 1, AQ_OK);
  const char *line = verdict(&f, "attester");
  assert_non_null(line);
  assert_non_null(strstr(line, "\"result\":\"ok\""));
  assert_non_null(strstr(line, "\"steps_ms\":\"fetch=3.0 consensus=10.0 sign=12.0 threshold=15.0 submit=17.5\""));
  assert_non_null(strstr(line, "\"latency_ms\":18,"));
  assert_null(strstr(line, "reason"));
  to_deadline(&f);
  assert_non_null(verdict(&f, "attester"));
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_SUCCESS_DUTIES_TOTAL, AQ_LABELS("attester")) == 1);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_ATTESTATION_SUCCESS_TOTAL, AQ_NO_LABELS) == 2);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_PARTICIPATION_EXPECTED_TOTAL, AQ_LABELS("attester", names[0])) == 2);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_PARTICIPATION_MISSED_TOTAL, AQ_LABELS("attester", names[3])) == 2);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_PARTICIPATION, AQ_LABELS("attester", names[3])) == 0);
  close_tracker(&f);
}

/* Events, one letter each. f F T: fetched, refused by the beacon node, timed out. d D: decided, not stored. o x: own
   partial, refused by the journal. p m: a peer's, one with another root. c C: combined, not possible. s: not kept. B:
   not submitted. r R y: RANDAO of ours, of a peer, combined. a: own selection. */
static const struct {
  const char *events;
  aq_duty_type type;
  const char *step, *reason;
} row[] = {
    {"F", AQ_DUTY_ATTESTER, "fetcher", "fetch_bn_error"},
    {"T", AQ_DUTY_ATTESTER, "fetcher", "fetch_bn_error"},
    {"f", AQ_DUTY_ATTESTER, "consensus", "no_consensus"},
    {"", AQ_DUTY_ATTESTER, "consensus", "no_consensus"},
    {"fD", AQ_DUTY_ATTESTER, "duty_db", "bug_duty_db_error"},
    {"fd", AQ_DUTY_ATTESTER, "validator_api", "no_local_vc_signature"},
    {"dpp", AQ_DUTY_ATTESTER, "validator_api", "no_local_vc_signature"},
    {"dx", AQ_DUTY_ATTESTER, "parsig_db_local", "bug_par_sig_db_internal"},
    {"do", AQ_DUTY_ATTESTER, "parsig_ex", "no_peer_signatures"},
    {"dop", AQ_DUTY_ATTESTER, "parsig_db_external", "insufficient_peer_signatures"},
    {"dopm", AQ_DUTY_ATTESTER, "parsig_db_external", "bug_par_sig_db_inconsistent"},
    {"om", AQ_DUTY_SYNC_MESSAGE, "parsig_db_external", "par_sig_db_inconsistent_sync"},
    {"doppC", AQ_DUTY_ATTESTER, "sig_aggregation", "bug_sig_agg"},
    {"doppcs", AQ_DUTY_ATTESTER, "aggsig_db", "bug_aggregation_error"},
    {"doppcB", AQ_DUTY_ATTESTER, "bcast", "broadcast_bn_error"},
    {"T", AQ_DUTY_PROPOSER, "fetcher", "proposer_zero_randaos"},
    {"rT", AQ_DUTY_PROPOSER, "fetcher", "proposer_no_external_randaos"},
    {"rRT", AQ_DUTY_PROPOSER, "fetcher", "proposer_insufficient_randaos"},
    {"rRyT", AQ_DUTY_PROPOSER, "fetcher", "bug_fetch_error"},
    {"rRyF", AQ_DUTY_PROPOSER, "fetcher", "fetch_bn_error"},
    {"aT", AQ_DUTY_AGGREGATOR, "fetcher", "no_aggregator_selections"},
    {"T", AQ_DUTY_AGGREGATOR, NULL, NULL}, /* the client does no selections */
    {"", AQ_DUTY_AGGREGATOR, NULL, NULL},  /* nobody was selected */
};

static void play(fixture *f, aq_duty d, char e) {
  uint8_t one[32] = {1}, two[32] = {2};
  aq_duty randao = {SLOT, AQ_DUTY_RANDAO}, prepare = {SLOT, AQ_DUTY_PREPARE_AGGREGATOR};
  switch (e) {
    case 'f': aq_tracker_fetched(f->t, d, AQ_OK); break;
    case 'F': aq_tracker_fetched(f->t, d, AQ_E_REFUSED); break;
    case 'T': aq_tracker_fetched(f->t, d, AQ_E_TIMEOUT); break;
    case 'd': aq_tracker_decided(f->t, d, 1, AQ_OK); break;
    case 'D': aq_tracker_decided(f->t, d, 1, AQ_E_EXISTS); break;
    case 'o': aq_tracker_partial(f->t, d, SELF + 1, one, false, AQ_OK), aq_tracker_shared(f->t, d, 1); break;
    case 'x': aq_tracker_partial(f->t, d, SELF + 1, one, false, AQ_E_SLASH); break;
    case 'p': aq_tracker_partial(f->t, d, ++f->peer, one, false, AQ_OK); break;
    case 'm': aq_tracker_partial(f->t, d, 1, two, true, AQ_OK); break;
    case 'c': aq_tracker_combined(f->t, d, AQ_OK); break;
    case 'C': aq_tracker_combined(f->t, d, AQ_E_AUTH); break;
    case 's': aq_tracker_stored(f->t, d, AQ_E_SLASH); break;
    case 'B': aq_tracker_submitted(f->t, d, 1, AQ_E_TIMEOUT); break;
    case 'r': aq_tracker_partial(f->t, randao, SELF + 1, one, false, AQ_OK); break;
    case 'R': aq_tracker_partial(f->t, randao, 1, one, false, AQ_OK); break;
    case 'y': aq_tracker_combined(f->t, randao, AQ_OK); break;
    case 'a': aq_tracker_partial(f->t, prepare, SELF + 1, one, false, AQ_OK); break;
    default: fail();
  }
}

/* Goal: each row of core.md 11.1 gives its step and reason. Method: an event list a row, then the deadline. */
static void test_reasons(void **state) {
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    fixture f;
    char step[64], reason[96];
    aq_duty d = {SLOT, row[i].type};
    open_tracker(&f, true);
    f.peer = 2;
    if (aq_duty_is(d.type, AQ_DF_CONSENSUS)) aq_tracker_scheduled(f.t, d, 1);
    for (const char *e = row[i].events; *e; e++) play(&f, d, *e);
    to_deadline(&f);
    const char *name = aq_duty_name(d.type), *line = verdict(&f, name);
    if (!row[i].reason) {
      assert_null(line);
      close_tracker(&f);
      continue;
    }
    snprintf(step, sizeof step, "\"step\":\"%s\"", row[i].step);
    snprintf(reason, sizeof reason, "\"reason\":\"%s\"", row[i].reason);
    if (!line || !strstr(line, step) || !strstr(line, reason))
      fail_msg("%s of %s: %s", row[i].events, name, line ? line : "no line");
    assert_true(aq_metric_value(AQ_M_CORE_TRACKER_FAILED_DUTY_REASONS_TOTAL, AQ_LABELS(name, row[i].reason)) == 1);
    close_tracker(&f);
  }
}

/* Goal: without tss a duty is done when it is decided and the own partials are shared (architecture.md 7). Method: in
   both orders. */
static void test_not_combining(void **state) {
  (void)state;
  fixture f;
  open_tracker(&f, false);
  aq_duty d = {SLOT, AQ_DUTY_PROPOSER}, agg = {SLOT, AQ_DUTY_AGGREGATOR};
  aq_tracker_scheduled(f.t, d, 1);
  aq_tracker_scheduled(f.t, agg, 1);
  aq_tracker_decided(f.t, d, 1, AQ_OK);
  partials(&f, d, 1u << SELF);
  assert_null(verdict(&f, "proposer"));
  aq_tracker_shared(f.t, d, 1);
  assert_non_null(strstr(verdict(&f, "proposer"), "\"result\":\"ok\""));
  to_deadline(&f);
  assert_null(verdict(&f, "aggregator"));
  close_tracker(&f);
}

/* Goal: partials that no duty explains are counted, and who signs other heads is ranked. Method: strangers' RANDAO; a
   split slot. */
static void test_participation(void **state) {
  (void)state;
  fixture f;
  open_tracker(&f, true);
  partials(&f, (aq_duty){SLOT, AQ_DUTY_RANDAO}, 0x4);
  aq_duty d = {SLOT, AQ_DUTY_SYNC_MESSAGE};
  uint8_t one[32] = {1}, two[32] = {2};
  for (uint32_t i = 0; i < N; i++) aq_tracker_partial(f.t, d, i + 1, i == 3 ? two : one, i == 3, AQ_OK);
  to_deadline(&f);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_UNEXPECTED_EVENTS_TOTAL, AQ_LABELS(names[2])) == 1);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_PARSIG_COHORT_RANK_TOTAL, AQ_LABELS("sync_message", "0", "0")) == 1);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_PARSIG_COHORT_RANK_TOTAL, AQ_LABELS("sync_message", "3", "1")) == 1);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_INCONSISTENT_PARSIGS_TOTAL, AQ_LABELS("sync_message")) == 1);
  close_tracker(&f);
}

static double unexpected(uint32_t peer) {
  return aq_metric_value(AQ_M_CORE_TRACKER_UNEXPECTED_EVENTS_TOTAL, AQ_LABELS(names[peer]));
}

/* Goal: a peer's partial is expected where its duty, or the one that it serves, was scheduled in its slot, where we
   signed too, and without a deadline; else it is counted as unexpected. Method: each type against each scheduled one,
   in the slot, in another, and in one that shares its place in the memory. */
static void test_expected(void **state) {
  (void)state;
  static const aq_duty_type serves[AQ_DUTY_CNT] = {
      [AQ_DUTY_RANDAO] = AQ_DUTY_PROPOSER,
      [AQ_DUTY_PREPARE_AGGREGATOR] = AQ_DUTY_ATTESTER,
      [AQ_DUTY_PREPARE_SYNC_CONTRIBUTION] = AQ_DUTY_SYNC_CONTRIBUTION,
      [AQ_DUTY_SYNC_MESSAGE] = AQ_DUTY_SYNC_CONTRIBUTION,
  };
  static const aq_duty_type scheduled[] = {AQ_DUTY_PROPOSER, AQ_DUTY_ATTESTER, AQ_DUTY_AGGREGATOR,
                                           AQ_DUTY_SYNC_CONTRIBUTION};
  static const aq_duty_type partial[] = {AQ_DUTY_PROPOSER,
                                         AQ_DUTY_ATTESTER,
                                         AQ_DUTY_AGGREGATOR,
                                         AQ_DUTY_SYNC_CONTRIBUTION,
                                         AQ_DUTY_RANDAO,
                                         AQ_DUTY_PREPARE_AGGREGATOR,
                                         AQ_DUTY_PREPARE_SYNC_CONTRIBUTION,
                                         AQ_DUTY_SYNC_MESSAGE,
                                         AQ_DUTY_EXIT,
                                         AQ_DUTY_BUILDER_REGISTRATION};
  for (size_t i = 0; i < AQ_COUNT(partial); i++) {
    for (size_t k = 0; k < AQ_COUNT(scheduled); k++) {
      for (uint32_t at = 0; at < 8; at++) {
        const uint64_t off[] = {0, 1, 256, 256};
        bool own = at >= 4, later = at % 4 == 3; /* there another duty is scheduled in the other slot */
        aq_duty_type there = later ? scheduled[k ? 0 : 1] : scheduled[k];
        fixture f;
        open_tracker(&f, true);
        aq_tracker_scheduled(f.t, (aq_duty){SLOT, scheduled[k]}, 1);
        if (later) aq_tracker_scheduled(f.t, (aq_duty){SLOT + 256, there}, 1);
        partials(&f, (aq_duty){SLOT + off[at % 4], partial[i]}, own ? 0x4 | 1u << SELF : 0x4);
        fake_env_run_for(&f.env, 400 * SLOT_NS);
        bool none = partial[i] == AQ_DUTY_EXIT || partial[i] == AQ_DUTY_BUILDER_REGISTRATION;
        bool fits = partial[i] == there || serves[partial[i]] == there;
        bool want = none || own || ((off[at % 4] == 0 || later) && fits);
        assert_true(unexpected(2) == !want && unexpected(0) == 0 && unexpected(SELF) == 0);
        double taken =
            aq_metric_value(AQ_M_CORE_TRACKER_PARTICIPATION_TOTAL, AQ_LABELS(aq_duty_name(partial[i]), names[2]));
        assert_true(taken == want);
        close_tracker(&f);
      }
    }
  }
}

/* The place of peer i's root when all are ordered by how many signed them, then by who signed first; -1: no partial. */
static int place_of(const uint8_t root[], uint32_t n, uint32_t i) {
  int place = 0;
  uint32_t mine = 0, first = n;
  for (uint32_t k = n; k-- > 0;) {
    if (root[k] == root[i]) mine++, first = k;
  }
  for (uint8_t r = 1; r < 8; r++) {
    uint32_t cnt = 0, from = n;
    for (uint32_t k = n; k-- > 0;) {
      if (root[k] == r) cnt++, from = k;
    }
    place += cnt > mine || (cnt == mine && cnt > 0 && from < first);
  }
  return root[i] ? place : -1;
}

/* Goal: who signs another head than the others is ranked and named, whatever the split. Method: random roots of 1 to 32
   peers, some silent, against the order written down once more. */
static void test_cohorts(void **state) {
  (void)state;
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 284);
  static char text[32][4];
  static const char *many[32];
  for (uint32_t i = 0; i < 32; i++) snprintf(text[i], sizeof text[i], "p%02u", i), many[i] = text[i];
  for (uint32_t n = 1; n <= 32; n++) {
    for (int round = 0; round < 6; round++) {
      fixture f;
      uint8_t root[32] = {0};
      char list[200] = "";
      open_tracker(&f, true);
      aq_tracker_free(f.t);
      f.t = aq_tracker_new(&(aq_tracker_cfg){&f.env.env, &f.chain, n, 0, true, many});
      aq_duty d = {SLOT, AQ_DUTY_SYNC_MESSAGE};
      for (uint32_t i = 0; i < n; i++) {
        root[i] = (uint8_t)(aq_test_rng_next(&rng) % (round < 3 ? 4 : 8));
        uint8_t full[32] = {[31] = (uint8_t)(root[i] - 1)};
        if (root[i]) aq_tracker_partial(f.t, d, i + 1, full, false, AQ_OK);
      }
      to_deadline(&f);
      for (uint32_t i = 0; i < n; i++) {
        int place = place_of(root, n, i);
        char idx[12];
        snprintf(idx, sizeof idx, "%u", i);
        for (int k = 0; k < 8; k++) {
          char rank[12];
          snprintf(rank, sizeof rank, "%d", k);
          double cnt =
              aq_metric_value(AQ_M_CORE_TRACKER_PARSIG_COHORT_RANK_TOTAL, AQ_LABELS("sync_message", idx, rank));
          assert_true(cnt == (k == place));
        }
        if (place > 0) snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", list[0] ? "," : "", many[i]);
      }
      const char *line = NULL;
      for (size_t i = 0; i < f.line_cnt; i++) line = strstr(f.line[i], "duty_heads_differ") ? f.line[i] : line;
      assert_int_equal(line != NULL, list[0] != 0);
      snprintf(list + strlen(list), sizeof list - strlen(list), "\"");
      if (line) assert_non_null(strstr(line, list));
      close_tracker(&f);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ok),
                                     cmocka_unit_test(test_reasons),
                                     cmocka_unit_test(test_not_combining),
                                     cmocka_unit_test(test_participation),
                                     cmocka_unit_test(test_expected),
                                     cmocka_unit_test(test_cohorts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
