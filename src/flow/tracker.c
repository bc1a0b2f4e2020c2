/* What became of each duty, and why. */
#include "flow/tracker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "flow/tracker_internal.h"

enum { KEY_LEN = 12, RECORDS_MAX = 1 << 16, KEEP_S = 60, MARKS = 256 };

struct aq_tracker {
  aq_tracker_cfg cfg;
  aq_map map;
  aq_list records;
  uint32_t absent[AQ_DUTY_CNT]; /* peers that missed the last duty of the type */
  struct {
    uint64_t slot;
    uint32_t types;
  } mark[MARKS]; /* what was scheduled lately */
};

aq_tracker *aq_tracker_new(const aq_tracker_cfg *cfg) {
  aq_tracker *t = calloc(1, sizeof *t);
  AQ_ASSERT(t);
  AQ_ASSERT(cfg->n >= 1 && cfg->n <= AQ_TRACK_PEERS_MAX);
  uint8_t seed[16];
  aq_random(cfg->env, seed, sizeof seed);
  t->cfg = *cfg;
  aq_map_init(&t->map, KEY_LEN, RECORDS_MAX, seed);
  aq_list_init(&t->records);
  return t;
}

static void key_of(uint8_t out[KEY_LEN], aq_duty d) {
  aq_le64_put(out, d.slot);
  aq_le32_put(out + 8, (uint32_t)d.type);
}

static aq_track *find(const aq_tracker *t, aq_duty duty) {
  uint8_t k[KEY_LEN];
  key_of(k, duty);
  return aq_map_get(&t->map, k);
}

static void track_free(aq_track *r) {
  uint8_t k[KEY_LEN];
  key_of(k, r->duty);
  aq_map_del(&r->owner->map, k);
  aq_timer_cancel(r->owner->cfg.env, &r->timer);
  aq_list_remove(&r->link);
  free(r);
}

static void track_over(void *arg) { track_free(arg); }

static void deadline(void *arg);

static bool has_deadline(aq_duty_type type) { return aq_duty_of(type)->window != AQ_WINDOW_NEVER; }

/* NULL: over, or too many. Duties without a deadline are forgotten after an epoch: that nobody else signs an exit is
   no failure. */
static aq_track *get(aq_tracker *t, aq_duty duty) {
  aq_track *r = find(t, duty);
  if (r) return r;
  uint64_t now = aq_now_ns(t->cfg.env), at = aq_duty_deadline_ns(t->cfg.chain, duty);
  if (at == AQ_NEVER) at = now + t->cfg.chain->clock.slots_per_epoch * t->cfg.chain->clock.slot_ns;
  if (at <= now) return NULL;
  uint8_t k[KEY_LEN];
  key_of(k, duty);
  r = calloc(1, sizeof *r);
  if (!r || aq_map_put(&t->map, k, r) != AQ_OK) {
    free(r);
    return NULL;
  }
  r->owner = t;
  r->duty = duty;
  r->begin_ns = now;
  aq_list_push(&t->records, &r->link);
  aq_timer_set(t->cfg.env, &r->timer, at, deadline, r);
  return r;
}

/* ---- the verdict ---- */

static bool by_scheduler(aq_duty_type type) { return aq_duty_is(type, AQ_DF_CONSENSUS); }

/* How many signatures make the duty. 0: not known yet. */
static uint32_t expected(const aq_track *r) {
  if (by_scheduler(r->duty.type)) return r->decided ? r->decided_cnt : 0;
  return r->own_cnt;
}

static bool complete(const aq_tracker *t, const aq_track *r) {
  uint32_t want = expected(r);
  return want > 0 && (t->cfg.combines ? r->submitted_cnt : r->shared_cnt) >= want;
}

static void put_step(char *out, size_t max, const aq_track *r, const char *name, uint64_t at_ns) {
  size_t len = strlen(out);
  if (at_ns == 0) return;
  double ms = at_ns > r->begin_ns ? (double)(at_ns - r->begin_ns) / 1e6 : 0;
  snprintf(out + len, max - len, "%s%s=%.1f", len > 0 ? " " : "", name, ms);
}

/* How a failed duty is explained, and what else is counted of it: a row a type. */
typedef struct {
  /* Why there was nothing to fetch with (core.md 11.2): the signatures needed first are missing, not of peers, not
     combined, or too few; or the data that it is about. */
  const char *none, *alone, *uncombined, *few, *no_data;
  const char *mixed; /* shares over several roots, where that need not be a bug; or NULL */
  bool attestations, cohorts;
} aq_explain_ops;

AQ_DUTY_OPS(aq_explain_ops, explain)

#define MIXED_SYNC "par_sig_db_inconsistent_sync"
const aq_explain_ops aq_explain_proposer = {.none = "proposer_zero_randaos",
                                            .alone = "proposer_no_external_randaos",
                                            .uncombined = "failed_proposer_randao",
                                            .few = "proposer_insufficient_randaos"};
const aq_explain_ops aq_explain_aggregator = {.none = "zero_aggregator_prepares",
                                              .alone = "no_aggregator_selections",
                                              .uncombined = "failed_aggregator_selection",
                                              .few = "insufficient_aggregator_selections",
                                              .no_data = "missing_aggregator_attestation"};
const aq_explain_ops aq_explain_sync_contribution = {.none = "sync_contribution_zero_prepares",
                                                     .alone = "sync_contribution_no_external_prepares",
                                                     .uncombined = "sync_contribution_failed_prepare",
                                                     .few = "sync_contribution_few_prepares",
                                                     .no_data = "sync_contribution_no_sync_msg",
                                                     .mixed = MIXED_SYNC};
const aq_explain_ops aq_explain_attester = {.attestations = true};
const aq_explain_ops aq_explain_sync_message = {.mixed = MIXED_SYNC, .cohorts = true};
const aq_explain_ops aq_explain_signature = {0}, aq_explain_exit = {0}, aq_explain_builder_proposer = {0},
                     aq_explain_builder_registration = {0}, aq_explain_randao = {0},
                     aq_explain_prepare_aggregator = {0}, aq_explain_prepare_sync_contribution = {0},
                     aq_explain_info_sync = {0};

/* NULL: all that the fetch needs was there. */
static const char *needs_reason(const aq_tracker *t, const aq_track *r) {
  const aq_duty_row *row = aq_duty_of(r->duty.type);
  const aq_explain_ops *o = ops_of(r->duty.type);
  if (row->needs == AQ_DUTY_UNKNOWN) return NULL;
  const aq_track *first = find(t, (aq_duty){r->duty.slot, row->needs});
  if (!first || (first->own_cnt == 0 && first->peer_cnt == 0)) return o->none;
  if (first->combined_cnt == 0 && first->peer_cnt == 0) return o->alone;
  if (first->combined_cnt == 0) return first->combine_failed ? o->uncombined : o->few;
  if (row->data == AQ_DUTY_UNKNOWN) return NULL;
  const aq_track *data = find(t, (aq_duty){r->duty.slot, row->data});
  bool there = data && (by_scheduler(row->data) ? data->decided : data->combined_cnt > 0);
  return there ? NULL : o->no_data;
}

static const char *fetch_reason(const aq_tracker *t, const aq_track *r) {
  if (r->fetch_st == AQ_E_REFUSED) return "fetch_bn_error";
  const char *why = needs_reason(t, r);
  if (why) return why;
  bool waits = aq_duty_of(r->duty.type)->needs != AQ_DUTY_UNKNOWN;
  return !waits && aq_status_class_of(r->fetch_st) == AQ_CLASS_ENV ? "fetch_bn_error" : "bug_fetch_error";
}

/* core.md 11.1: by the furthest step that was reached. */
static void explain(const aq_tracker *t, const aq_track *r, const char **step, const char **reason) {
  const aq_explain_ops *o = ops_of(r->duty.type);
  if (r->submit_st)
    *step = "bcast", *reason = "broadcast_bn_error";
  else if (r->store_st)
    *step = "aggsig_db", *reason = "bug_aggregation_error";
  else if (r->combine_failed)
    *step = "sig_aggregation", *reason = "bug_sig_agg";
  else if (by_scheduler(r->duty.type) && !r->decided && r->fetch_st)
    *step = "fetcher", *reason = fetch_reason(t, r);
  else if (by_scheduler(r->duty.type) && !r->decided)
    *step = "consensus", *reason = "no_consensus";
  else if (r->dutydb_st)
    *step = "duty_db", *reason = "bug_duty_db_error";
  else if (r->local_st)
    *step = "parsig_db_local", *reason = "bug_par_sig_db_internal";
  else if (r->own_cnt == 0)
    *step = "validator_api", *reason = "no_local_vc_signature";
  else if (r->peer_cnt == 0)
    *step = "parsig_ex", *reason = "no_peer_signatures";
  else if (r->external_st)
    *step = "parsig_db_external", *reason = "bug_par_sig_db_external";
  else if (r->mixed)
    *step = "parsig_db_external", *reason = o->mixed ? o->mixed : "bug_par_sig_db_inconsistent";
  else
    *step = "parsig_db_external", *reason = "insufficient_peer_signatures";
}

static void missing_peers(char *out, size_t max, const aq_tracker *t, const aq_track *r) {
  out[0] = 0;
  for (uint32_t i = 0; i < t->cfg.n; i++) {
    size_t len = strlen(out);
    if (r->share_cnt[i] < expected(r) || r->share_cnt[i] == 0)
      snprintf(out + len, max - len, "%s%s", len ? "," : "", t->cfg.peer_names[i]);
  }
}

/* Nobody was selected, or this node cannot know whether somebody was: no duty. */
static bool no_duty(const aq_tracker *t, const aq_track *r) {
  if (!by_scheduler(r->duty.type)) return r->own_cnt == 0;
  const aq_duty_row *row = aq_duty_of(r->duty.type);
  if (row->data == AQ_DUTY_UNKNOWN) return r->scheduled_cnt == 0 && !r->decided;
  if (!t->cfg.combines) return r->own_cnt == 0;
  if (r->decided || r->fetch_ns) return false;
  /* A validator client that does no selections has no such duties. */
  const aq_track *o = find(t, (aq_duty){r->duty.slot, row->needs});
  return r->fetch_st == AQ_OK || !o || o->own_cnt == 0;
}

static void verdict(aq_tracker *t, aq_track *r, bool ok) {
  if (r->judged) return;
  r->judged = true;
  const char *name = aq_duty_name(r->duty.type), *step = NULL, *reason = NULL;
  char steps[160] = "", missing[600] = "";
  put_step(steps, sizeof steps, r, "fetch", r->fetch_ns);
  put_step(steps, sizeof steps, r, "consensus", r->decided_ns);
  put_step(steps, sizeof steps, r, "sign", r->sign_ns);
  put_step(steps, sizeof steps, r, "threshold", r->combine_ns);
  put_step(steps, sizeof steps, r, "submit", r->submit_ns);
  if (!ok) {
    explain(t, r, &step, &reason);
    if (!by_scheduler(r->duty.type) || r->decided) missing_peers(missing, sizeof missing, t, r);
    aq_metric_add(AQ_M_CORE_TRACKER_FAILED_DUTY_REASONS_TOTAL, 1, AQ_LABELS(name, reason));
  }
  uint64_t now = aq_now_ns(t->cfg.env), took = now > r->begin_ns ? now - r->begin_ns : 0;
  AQ_LOG(ok ? AQ_LOG_INFO : AQ_LOG_WARN, "duty", AQ_STR("duty", name), AQ_UINT("latency_ms", (took + 500000) / 1000000),
         AQ_STR("peers_missing", missing[0] ? missing : NULL), AQ_STR("reason", reason),
         AQ_STR("result", ok ? "ok" : "failed"), AQ_UINT("slot", r->duty.slot), AQ_STR("step", step),
         AQ_STR("steps_ms", steps));
  aq_metric_add(AQ_M_CORE_TRACKER_EXPECT_DUTIES_TOTAL, 1, AQ_LABELS(name));
  aq_metric_add(ok ? AQ_M_CORE_TRACKER_SUCCESS_DUTIES_TOTAL : AQ_M_CORE_TRACKER_FAILED_DUTIES_TOTAL, 1,
                AQ_LABELS(name));
  if (!ops_of(r->duty.type)->attestations) return;
  uint32_t want = expected(r) > 0 ? expected(r) : r->scheduled_cnt;
  aq_metric_add(AQ_M_CORE_TRACKER_ATTESTATION_EXPECT_TOTAL, want, AQ_NO_LABELS);
  aq_metric_add(AQ_M_CORE_TRACKER_ATTESTATION_SUCCESS_TOTAL, t->cfg.combines ? r->submitted_cnt : r->shared_cnt,
                AQ_NO_LABELS);
}

static void check(aq_tracker *t, aq_track *r) {
  if (!r->judged && complete(t, r)) verdict(t, r, true);
}

/* ---- participation, at the deadline ---- */

static bool was_scheduled(const aq_tracker *t, uint64_t slot, aq_duty_type type) {
  return t->mark[slot % MARKS].slot == slot && (t->mark[slot % MARKS].types >> type & 1);
}

/* Or the duty that it serves. */
static bool is_expected(const aq_tracker *t, aq_duty d) {
  aq_duty_type parent = aq_duty_of(d.type)->parent;
  return !has_deadline(d.type) || was_scheduled(t, d.slot, d.type) ||
         (parent != AQ_DUTY_UNKNOWN && was_scheduled(t, d.slot, parent));
}

static void count_peers(aq_tracker *t, const aq_track *r) {
  const char *name = aq_duty_name(r->duty.type);
  uint32_t most = 0, absent = 0;
  bool wanted = is_expected(t, r->duty) || r->own_cnt > 0;
  for (uint32_t i = 0; i < t->cfg.n; i++) most = r->share_cnt[i] > most ? r->share_cnt[i] : most;
  for (uint32_t i = 0; i < t->cfg.n; i++) {
    const char *peer = t->cfg.peer_names[i];
    uint32_t got = r->share_cnt[i];
    if (!wanted) {
      if (got > 0) aq_metric_add(AQ_M_CORE_TRACKER_UNEXPECTED_EVENTS_TOTAL, got, AQ_LABELS(peer));
      continue;
    }
    aq_metric_set(AQ_M_CORE_TRACKER_PARTICIPATION, got > 0, AQ_LABELS(name, peer));
    aq_metric_add(AQ_M_CORE_TRACKER_PARTICIPATION_TOTAL, got, AQ_LABELS(name, peer));
    aq_metric_add(AQ_M_CORE_TRACKER_PARTICIPATION_SUCCESS_TOTAL, got, AQ_LABELS(name, peer));
    aq_metric_add(AQ_M_CORE_TRACKER_PARTICIPATION_MISSED_TOTAL, most - got, AQ_LABELS(name, peer));
    aq_metric_add(AQ_M_CORE_TRACKER_PARTICIPATION_EXPECTED_TOTAL, most, AQ_LABELS(name, peer));
    if (got < most || most == 0) absent |= UINT32_C(1) << i;
  }
  if (!wanted || most == 0 || absent == t->absent[r->duty.type]) return;
  char missing[600];
  t->absent[r->duty.type] = absent;
  missing_peers(missing, sizeof missing, t, r);
  AQ_LOG(AQ_LOG_INFO, "duty_peers", AQ_STR("duty", name), AQ_STR("peers_missing", absent ? missing : "none"),
         AQ_UINT("slot", r->duty.slot));
}

/* Shares by the head they signed: rank 0 is the largest group; of equal ones that of the first share. */
static void count_cohorts(const aq_tracker *t, const aq_track *r) {
  uint32_t lead[AQ_TRACK_PEERS_MAX] = {0}, size[AQ_TRACK_PEERS_MAX] = {0}; /* a group's first share, and how many */
  char disagree[600] = "";
  for (uint32_t i = 0; i < t->cfg.n; i++) {
    if (r->share_cnt[i] == 0) continue;
    while (r->share_cnt[lead[i]] == 0 || memcmp(r->root[lead[i]], r->root[i], 32) != 0) lead[i]++;
    size[lead[i]]++;
  }
  for (uint32_t i = 0; i < t->cfg.n; i++) {
    uint32_t rank = 0, own = lead[i];
    if (r->share_cnt[i] == 0) continue;
    for (uint32_t k = 0; k < t->cfg.n; k++) rank += size[k] > size[own] || (size[k] == size[own] && k < own);
    char idx[12], text[12];
    snprintf(idx, sizeof idx, "%u", (unsigned)i);
    snprintf(text, sizeof text, "%u", (unsigned)rank);
    aq_metric_add(AQ_M_CORE_TRACKER_PARSIG_COHORT_RANK_TOTAL, 1, AQ_LABELS(aq_duty_name(r->duty.type), idx, text));
    size_t len = strlen(disagree);
    if (rank > 0) snprintf(disagree + len, sizeof disagree - len, "%s%s", len ? "," : "", t->cfg.peer_names[i]);
  }
  if (disagree[0]) AQ_LOG(AQ_LOG_INFO, "duty_heads_differ", AQ_STR("peers", disagree), AQ_UINT("slot", r->duty.slot));
}

static void deadline(void *arg) {
  aq_track *r = arg;
  aq_tracker *t = r->owner;
  if (has_deadline(r->duty.type) && !no_duty(t, r)) verdict(t, r, false);
  count_peers(t, r);
  if (ops_of(r->duty.type)->cohorts) count_cohorts(t, r);
  if (r->mixed) aq_metric_add(AQ_M_CORE_TRACKER_INCONSISTENT_PARSIGS_TOTAL, 1, AQ_LABELS(aq_duty_name(r->duty.type)));
  aq_timer_after(t->cfg.env, &r->timer, AQ_SECONDS(KEEP_S), track_over, r);
}

/* ---- events ---- */

void aq_tracker_scheduled(aq_tracker *t, aq_duty duty, uint32_t cnt) {
  aq_track *r = get(t, duty);
  if (t->mark[duty.slot % MARKS].slot != duty.slot) t->mark[duty.slot % MARKS].types = 0;
  t->mark[duty.slot % MARKS].slot = duty.slot;
  t->mark[duty.slot % MARKS].types |= UINT32_C(1) << duty.type;
  if (!r) return;
  r->scheduled_cnt = cnt;
  r->begin_ns = aq_now_ns(t->cfg.env);
}

void aq_tracker_fetched(aq_tracker *t, aq_duty duty, aq_status st) {
  aq_track *r = get(t, duty);
  if (!r) return;
  if (st == AQ_OK) r->fetch_ns = aq_now_ns(t->cfg.env);
  if (!r->fetch_ns)
    r->fetch_st = st;
  else
    r->fetch_st = AQ_OK;
}

void aq_tracker_decided(aq_tracker *t, aq_duty duty, uint32_t cnt, aq_status stored) {
  aq_track *r = get(t, duty);
  if (!r) return;
  if (!r->decided) r->decided_ns = aq_now_ns(t->cfg.env);
  r->decided = true;
  r->decided_cnt = cnt;
  r->dutydb_st = stored;
  check(t, r);
}

void aq_tracker_partial(aq_tracker *t, aq_duty duty, uint32_t share, const uint8_t root[32], bool mixed, aq_status st) {
  aq_track *r = get(t, duty);
  bool own = share == t->cfg.self + 1;
  if (!r) return;
  AQ_ASSERT(share >= 1 && share <= t->cfg.n);
  if (st) {
    if (own)
      r->local_st = st;
    else
      r->external_st = st;
    return;
  }
  r->share_cnt[share - 1]++;
  memcpy(r->root[share - 1], root, 32);
  r->mixed = r->mixed || mixed;
  if (!own) {
    r->peer_cnt++;
    return;
  }
  if (r->own_cnt++ == 0 && !by_scheduler(duty.type)) r->begin_ns = aq_now_ns(t->cfg.env);
  r->sign_ns = aq_now_ns(t->cfg.env);
}

void aq_tracker_shared(aq_tracker *t, aq_duty duty, uint32_t cnt) {
  aq_track *r = get(t, duty);
  if (!r) return;
  r->shared_cnt += cnt;
  check(t, r);
}

void aq_tracker_combined(aq_tracker *t, aq_duty duty, aq_status st) {
  aq_track *r = find(t, duty);
  if (!r) return;
  if (st) {
    r->combine_failed = true;
    return;
  }
  r->combined_cnt++;
  r->combine_ns = aq_now_ns(t->cfg.env);
}

void aq_tracker_stored(aq_tracker *t, aq_duty duty, aq_status st) {
  aq_track *r = find(t, duty);
  if (r && st) r->store_st = st;
}

void aq_tracker_submitted(aq_tracker *t, aq_duty duty, uint32_t cnt, aq_status st) {
  aq_track *r = find(t, duty);
  if (!r) return;
  if (st) {
    r->submit_st = st;
    return;
  }
  r->submitted_cnt += cnt;
  r->submit_ns = aq_now_ns(t->cfg.env);
  check(t, r);
}

void aq_tracker_free(aq_tracker *t) {
  if (!t) return;
  AQ_LIST_EACH(&t->records, r, aq_track, link) track_free(r);
  aq_map_free(&t->map);
  free(t);
}
