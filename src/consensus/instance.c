/* The machine's effects carried out: timers, votes, decisions; and what the machine is told back. */
#include "consensus/consensus_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/validity.h"

enum { LATE_MS = 5, RETRY_S = 1, OFFER_MS = 300 };

static uint32_t bit(uint32_t node) { return UINT32_C(1) << node; }

static const char *phase_name(aq_qbft_phase p) {
  switch (p) {
    case AQ_QBFT_IDLE: return "idle";
    case AQ_QBFT_PREPREPARED: return "preprepared";
    case AQ_QBFT_PREPARED: return "prepared";
    case AQ_QBFT_DONE: return "decided";
  }
  return "unknown";
}

static uint32_t leader(const void *arg, int64_t round) {
  const aq_instance *in = arg;
  return aq_qbft_leader(in->duty.slot, in->duty.type, round, in->c->cfg.n);
}

void aq_instance_machine(aq_instance *in) {
  if (in->q) return;
  aq_qbft_cfg cfg = {.n = in->c->cfg.n, .self = in->c->cfg.self, .leader = leader, .arg = in};
  void *mem = aq_arena_alloc(&in->arena, aq_qbft_footprint(cfg.n, false));
  void *store = aq_arena_alloc(&in->store_arena, aq_qbft_store_footprint(cfg.n, false));
  AQ_ASSERT(mem && store);
  in->q = aq_qbft_init(mem, store, &cfg);
}

static void log_journal(const aq_instance *in, const char *err, const char *note) {
  int64_t round = in->q ? aq_qbft_round(in->q) : 0;
  AQ_LOG(AQ_LOG_ERROR, "qbft_wal", AQ_UINT("height", in->duty.slot), AQ_INT("round", round),
         AQ_UINT("last_h", in->duty.slot), AQ_INT("last_r", round), AQ_STR("trace_id", in->trace),
         AQ_STR("result", "error"), AQ_STR("note", note), AQ_STR("err", err));
}

/* ---- why a round or a duty failed ---- */

static void append_missing(aq_instance *in, aq_buf *out, uint32_t seen) {
  const char *sep = ", missing ";
  for (uint32_t i = 0; i < in->c->cfg.n; i++) {
    if (seen & bit(i)) continue;
    aq_buf_printf(out, "%s%u", sep, i);
    sep = ",";
  }
}

static uint32_t count(uint32_t mask) { return (uint32_t)__builtin_popcount(mask); }

void aq_instance_explain(aq_instance *in) {
  int64_t round = aq_qbft_round(in->q);
  uint32_t quorum = aq_qbft_quorum(in->c->cfg.n);
  uint32_t changes = aq_qbft_seen(in->q, AQ_QBFT_ROUND_CHANGE, round), from = leader(in, round);
  aq_buf text = AQ_BUF(sizeof in->why);
  aq_buf_printf(&text, "round %lld: ", (long long)round);
  if (round > 1 && count(changes) < quorum) {
    in->short_of_changes = true;
    aq_buf_put_str(&text, "insufficient round-changes");
    append_missing(in, &text, changes);
  } else if (aq_qbft_phase_of(in->q) == AQ_QBFT_IDLE) {
    aq_buf_printf(&text, "no pre-prepare, missing leader %d", from < in->c->cfg.n ? (int)from : -1);
  } else if (aq_qbft_phase_of(in->q) == AQ_QBFT_PREPREPARED) {
    aq_buf_put_str(&text, "insufficient prepares");
    append_missing(in, &text, aq_qbft_seen(in->q, AQ_QBFT_PREPARE, round));
  } else {
    aq_buf_put_str(&text, "insufficient commits");
    append_missing(in, &text, aq_qbft_seen(in->q, AQ_QBFT_COMMIT, round));
  }
  snprintf(in->why, sizeof in->why, "%s", aq_buf_cstr(&text));
  aq_buf_free(&text);
}

/* ---- the decision ---- */

static void later(aq_instance *in, uint64_t after_ns);

static void observe_decision(aq_instance *in, const aq_qbft_msg *d) {
  const char *duty = aq_duty_name(in->duty.type);
  uint64_t now = aq_now_ns(in->c->cfg.env), start = aq_duty_start_ns(in->c->cfg.chain, in->duty);
  uint32_t from = leader(in, d->round);
  aq_metric_set(AQ_M_CORE_CONSENSUS_DECIDED_ROUNDS, (double)d->round,
                AQ_LABELS(AQ_QBFT_PROTOCOL, duty, in->timer_name));
  aq_metric_set(AQ_M_CORE_CONSENSUS_DECIDED_LEADER_INDEX, from < in->c->cfg.n ? (double)from : -1,
                AQ_LABELS(AQ_QBFT_PROTOCOL, duty));
  if (in->short_of_changes) {
    aq_metric_add(AQ_M_CORE_CONSENSUS_INSUFFICIENT_ROUND_CHANGES_TOTAL, 1,
                  AQ_LABELS(AQ_QBFT_PROTOCOL, duty, in->timer_name, "decided"));
  }
  AQ_LOG(AQ_LOG_INFO, "consensus_decided", AQ_STR("duty", duty), AQ_UINT("height", in->duty.slot),
         AQ_INT("round", d->round), AQ_INT("leader", from < in->c->cfg.n ? (int64_t)from : -1),
         AQ_INT("latency_ms", ((int64_t)now - (int64_t)start) / (int64_t)AQ_NS_PER_MS), AQ_HEX("hash", d->value.b, 32),
         AQ_STR("trace_id", in->trace), AQ_STR("result", "ok"));
}

/* Canonical bytes of the decided hash, decoded: consensus.md S4. */
static void deliver(aq_instance *in) {
  const aq_consensus_cfg *cfg = &in->c->cfg;
  const aq_qbft_msg *d = aq_qbft_decided(in->q);
  const aq_inst_value *v = aq_value_find(in, &d->value);
  AQ_ASSERT(d && v && in->recorded && !in->delivered);
  in->delivered = true;
  if (in->proposed) {
    uint64_t now = aq_now_ns(cfg->env), took = now > in->propose_ns ? now - in->propose_ns : 0;
    aq_metric_observe(AQ_M_CORE_CONSENSUS_DURATION_SECONDS, (double)took / 1e9,
                      AQ_LABELS(AQ_QBFT_PROTOCOL, aq_duty_name(in->duty.type), in->timer_name));
  }
  aq_arena scratch;
  aq_arena_init(&scratch, AQ_INST_DECODED(v->bytes.len));
  aq_unsigned_set set = {NULL, 0};
  aq_status st = AQ_OK;
  if (!aq_duty_is(in->duty.type, AQ_DF_INFO)) {
    st = aq_value_decode(&set, &scratch, aq_buf_bytes(&v->bytes));
    if (st == AQ_OK) st = aq_value_readable(&scratch, in->duty.type, &set, NULL);
  }
  if (st == AQ_OK && aq_duty_is(in->duty.type, AQ_DF_INFO) && cfg->decided_info) {
    cfg->decided_info(cfg->arg, in->duty, aq_buf_bytes(&v->bytes), (uint64_t)d->round);
  } else if (st == AQ_OK) {
    cfg->decided(cfg->arg, in->duty, &set, (uint64_t)d->round);
  } else {
    aq_metric_add(AQ_M_CORE_CONSENSUS_ERROR_TOTAL, 1, AQ_LABELS(AQ_QBFT_PROTOCOL));
    AQ_LOG(AQ_LOG_ERROR, "consensus_decided", AQ_STR("duty", aq_duty_name(in->duty.type)),
           AQ_UINT("height", in->duty.slot), AQ_STR("trace_id", in->trace), AQ_STR("result", "error"),
           AQ_STR("err", "the decided value does not decode"));
    if (cfg->failed) cfg->failed(cfg->arg, in->duty, "the decided value does not decode");
  }
  aq_arena_free(&scratch);
}

/* consensus.md 1.10, optional: once, to whoever's COMMIT has not come; a late starter finds it in its queue. */
static void on_offer(void *arg) {
  aq_instance *in = arg;
  const aq_net *net = in->c->cfg.net;
  uint32_t peers = 0;
  for (uint32_t i = 0; i < in->c->cfg.n; i++) {
    if (i == in->c->cfg.self || in->committed & bit(i) || !net->connected(net->ctx, i)) continue;
    peers |= bit(i);
  }
  if (peers) aq_outbox_decided(in, aq_qbft_decided(in->q), peers);
}

static void on_recorded(void *arg, aq_status st) {
  aq_inst_record *r = arg;
  aq_instance *in = r->in;
  if (in && st == AQ_OK) aq_value_durable(in, &r->value);
  aq_list_remove(&r->node);
  free(r);
  if (!in) return;
  in->record = NULL;
  if (st != AQ_OK) {
    aq_metric_add(AQ_M_CORE_CONSENSUS_ERROR_TOTAL, 1, AQ_LABELS(AQ_QBFT_PROTOCOL));
    log_journal(in, aq_status_text(st), NULL);
    if (st == AQ_E_SLASH) aq_metric_add(AQ_M_STATE_REFUSED_TOTAL, 1, AQ_LABELS("decision"));
    in->contradicts = st == AQ_E_SLASH; /* consensus.md S5: another one is recorded; this must not be used */
    if (!in->contradicts) later(in, AQ_SECONDS(RETRY_S));
    return;
  }
  in->recorded = true;
  uint32_t waiting = in->answer_later;
  in->answer_later = 0;
  deliver(in);
  if (waiting) aq_outbox_decided(in, aq_qbft_decided(in->q), waiting);
  aq_timer_after(in->c->cfg.env, &in->offer_timer, AQ_MILLIS(OFFER_MS), on_offer, in);
}

void aq_instance_complete(aq_instance *in) {
  const aq_qbft_msg *d = aq_qbft_decided(in->q);
  if (!d || in->recorded || in->record || in->contradicts) return;
  aq_inst_value *v = aq_value_find(in, &d->value);
  if (!v) {
    if (in->retry_timer.pos == 0) later(in, AQ_SECONDS(RETRY_S));
    return;
  }
  aq_timer_cancel(in->c->cfg.env, &in->retry_timer);
  aq_buf commits = AQ_BUF(AQ_QBFT_JUST_MAX * (AQ_QBFT_RAW_MAX + 4));
  for (uint32_t i = 0; i < d->just_cnt; i++) aq_qbft_wire_put_just(&commits, in->c->cfg.key, in->duty, &d->just[i]);
  AQ_ASSERT(!commits.failed);
  aq_store_decided record = {.duty = in->duty, .round = (uint64_t)d->round, .commits = aq_buf_bytes(&commits)};
  memcpy(record.hash, d->value.b, sizeof record.hash);
  aq_store_blob blob = {.duty = in->duty, .value = aq_buf_bytes(&v->bytes)};
  memcpy(blob.hash, d->value.b, sizeof blob.hash);
  aq_inst_record *r = calloc(1, sizeof *r);
  AQ_ASSERT(r);
  r->c = in->c;
  r->in = in;
  r->value = d->value;
  aq_list_push(&in->c->records, &r->node);
  in->record = r;
  const aq_store *store = in->c->cfg.store;
  store->decided(store->ctx, &record, v->journalled ? NULL : &blob, on_recorded, r);
  aq_buf_free(&commits);
}

/* ---- effects of the machine ---- */

static void on_round_timer(void *arg);

static void arm_at(aq_instance *in, uint64_t at_ns) {
  in->timer_at_ns = at_ns;
  in->timer_deferred = false;
  aq_timer_set(in->c->cfg.env, &in->round_timer, at_ns, on_round_timer, in);
}

/* Decision 011: a round that was armed again for its proposal waits for nobody who has gone on. */
static uint64_t round_end_ns(const aq_instance *in) {
  if (!in->extended || !aq_qbft_ahead(in->q)) return in->round_end_ns;
  uint64_t at_ns = in->voted_ns + aq_round_patience_ns(&in->c->cfg.chain->clock, in->timer_round);
  if (at_ns < in->first_end_ns) at_ns = in->first_end_ns;
  return at_ns < in->round_end_ns ? at_ns : in->round_end_ns;
}

static void look_at_end(aq_instance *in) {
  if (in->extended && in->round_timer.pos && round_end_ns(in) != in->timer_at_ns) arm_at(in, round_end_ns(in));
}

static void arm(aq_instance *in, const aq_qbft_fx *fx) {
  const aq_consensus_cfg *cfg = &in->c->cfg;
  if (fx->again && !in->extended) in->first_end_ns = in->round_end_ns;
  in->extended = fx->again;
  in->round_end_ns = aq_round_deadline_ns(&in->c->flags, cfg->chain, in->duty, fx->round, fx->again,
                                          aq_now_ns(cfg->env), in->round_end_ns);
  in->timer_round = fx->round;
  arm_at(in, round_end_ns(in));
}

static void log_transition(const aq_instance *in, const char *event, int64_t round, const char *note) {
  AQ_LOG(AQ_LOG_DEBUG, "qbft_state", AQ_STR("op", "transition"), AQ_STR("event_type", event),
         AQ_STR("phase", phase_name(aq_qbft_phase_of(in->q))), AQ_UINT("height", in->duty.slot), AQ_INT("round", round),
         AQ_STR("note", note), AQ_STR("trace_id", in->trace), AQ_STR("result", "ok"));
}

static void on_rule(const aq_instance *in, const aq_qbft_fx *fx) {
  if (fx->rule == AQ_QBFT_RULE_QUORUM_PREPARES) aq_metric_add(AQ_M_QBFT_QC_BUILT_TOTAL, 1, AQ_LABELS("prepare"));
  if (fx->rule == AQ_QBFT_RULE_QUORUM_COMMITS) aq_metric_add(AQ_M_QBFT_QC_BUILT_TOTAL, 1, AQ_LABELS("commit"));
  log_transition(in, aq_qbft_rule_name(fx->rule), fx->round, NULL);
}

static void on_round(aq_instance *in, const aq_qbft_fx *fx) {
  if (fx->round > fx->round_old) aq_metric_add(AQ_M_QBFT_VIEW_CHANGES_TOTAL, 1, AQ_NO_LABELS);
  log_transition(in, "round_change", fx->round, aq_qbft_rule_name(fx->rule));
  aq_outbox_trim(in);
}

static void on_decide(aq_instance *in, const aq_qbft_fx *fx) {
  for (uint32_t i = 0; i < fx->msg.just_cnt; i++) in->committed |= bit(fx->msg.just[i].from);
  observe_decision(in, &fx->msg);
  aq_outbox_trim(in);
}

static void on_equivocation(const aq_instance *in, const aq_qbft_fx *fx) {
  aq_line_limit *line = &in->c->equivocation_line[fx->peer];
  if (!aq_line_due(line, aq_mono_ns(in->c->cfg.env))) return;
  AQ_LOG(AQ_LOG_WARN, "qbft_equivocation", AQ_STR("type", aq_qbft_type_label(fx->msg.type, fx->msg.round)),
         AQ_UINT("from", fx->peer), AQ_UINT("height", in->duty.slot), AQ_INT("round", fx->round),
         AQ_UINT("more", line->more), AQ_HEX("first", fx->msg.raw.ptr, fx->msg.raw.len),
         AQ_HEX("second", fx->other.raw.ptr, fx->other.raw.len), AQ_STR("trace_id", in->trace));
}

static void on_answer(aq_instance *in, const aq_qbft_fx *fx) {
  if (in->recorded)
    aq_outbox_decided(in, &fx->msg, bit(fx->peer));
  else
    in->answer_later |= bit(fx->peer);
}

/* A value that a quorum prepared in an earlier round, shown by whoever leads this one. */
static void note_certificate(aq_instance *in, const aq_qbft_msg *m) {
  if (m->type == AQ_QBFT_PRE_PREPARE && aq_value_certified(m, aq_qbft_quorum(in->c->cfg.n))) in->certified = m->value;
}

static void on_effect(aq_instance *in, const aq_qbft_fx *fx) {
  switch (fx->kind) {
    case AQ_QBFT_FX_VOTE:
      note_certificate(in, &fx->msg);
      aq_outbox_vote(in, fx);
      if (fx->msg.type == AQ_QBFT_PREPARE || fx->msg.type == AQ_QBFT_COMMIT) in->voted_ns = aq_now_ns(in->c->cfg.env);
      look_at_end(in);
      break;
    case AQ_QBFT_FX_TIMER: arm(in, fx); break;
    case AQ_QBFT_FX_TIMER_OFF: aq_timer_cancel(in->c->cfg.env, &in->round_timer); break;
    case AQ_QBFT_FX_DECIDE: on_decide(in, fx); break;
    case AQ_QBFT_FX_ANSWER: on_answer(in, fx); break;
    case AQ_QBFT_FX_EQUIVOCATION: on_equivocation(in, fx); break;
    case AQ_QBFT_FX_RULE: on_rule(in, fx); break;
    case AQ_QBFT_FX_ROUND: on_round(in, fx); break;
    case AQ_QBFT_FX_CHECK:
    case AQ_QBFT_FX_UNJUST: break; /* drive answers the one, the caller of recv counts the other */
  }
}

static void log_refused(aq_instance *in, int64_t round, const char *why, const char *note) {
  uint32_t from = leader(in, round);
  aq_line_limit *line = &in->c->value_line[from < in->c->cfg.n ? from : 0];
  if (!aq_line_due(line, aq_mono_ns(in->c->cfg.env))) return;
  AQ_LOG(AQ_LOG_WARN, "qbft_verify", AQ_STR("type", "preprepare"), AQ_UINT("from", from),
         AQ_UINT("height", in->duty.slot), AQ_UINT("more", line->more), AQ_INT("round", round), AQ_STR("note", note),
         AQ_STR("trace_id", in->trace), AQ_STR("result", "error"), AQ_STR("reason", why));
}

static void log_doubt(aq_instance *in, const char *why) {
  if (in->doubted_round != in->judged_round)
    log_refused(in, in->judged_round, why, "taken only if f+1 nodes prepare it in this round");
  in->doubted_round = in->judged_round;
}

/* Hands the verdict to the machine. While it is owed, whatever for, the round ends in its ordinary time. */
static void judge(aq_instance *in, int64_t round, aq_hash value) {
  aq_err err = {AQ_OK, ""};
  in->seconded = aq_value_seconded(in, round, &value);
  aq_value_verdict v = aq_value_check(in, round, &value, &err);
  in->judging = v == AQ_VALUE_WAIT || v == AQ_VALUE_DOUBT;
  in->judged_round = round;
  in->judged = value;
  if (v == AQ_VALUE_BAD) log_refused(in, round, err.text, NULL);
  if (v == AQ_VALUE_DOUBT) log_doubt(in, err.text);
  if (in->judging)
    aq_qbft_doubt(in->q, round, &value);
  else
    aq_qbft_verdict(in->q, round, &value, v == AQ_VALUE_GOOD);
}

static void drive(aq_instance *in) {
  for (bool again = true; again;) {
    aq_qbft_fx fx, wanted;
    again = false;
    while (aq_qbft_next(in->q, &fx)) {
      on_effect(in, &fx);
      if (fx.kind != AQ_QBFT_FX_CHECK) continue;
      wanted = fx;
      again = true;
    }
    if (again) judge(in, wanted.round, wanted.msg.value);
  }
  if (!aq_qbft_decided(in->q)) return;
  in->judging = false;
  aq_arena_free(&in->store_arena);
  aq_instance_complete(in);
}

void aq_instance_judge(aq_instance *in) {
  if (!in->judging) return;
  judge(in, in->judged_round, in->judged);
  drive(in);
}

/* ---- timers ---- */

/* Expired while the loop was busy or before the start: what waits in the sockets goes first (consensus.md 3 "Ours"). */
static void on_round_timer(void *arg) {
  aq_instance *in = arg;
  uint64_t now = aq_now_ns(in->c->cfg.env);
  if (!in->timer_deferred && now > in->timer_at_ns + AQ_MILLIS(LATE_MS)) {
    in->timer_deferred = true;
    aq_timer_after(in->c->cfg.env, &in->round_timer, 0, on_round_timer, in);
    return;
  }
  aq_instance_explain(in);
  aq_metric_add(AQ_M_QBFT_TIMEOUTS_TOTAL, 1, AQ_LABELS(phase_name(aq_qbft_phase_of(in->q))));
  log_transition(in, "timeout", in->timer_round, in->why);
  aq_qbft_timeout(in->q, in->timer_round);
  drive(in);
}

/* A decision that is not complete: its bytes are asked for, or the journal is tried again. */
static void on_retry(void *arg) {
  aq_instance *in = arg;
  const aq_qbft_msg *d = aq_qbft_decided(in->q);
  if (!d) return;
  if (in->recorded) {
    if (!in->delivered) deliver(in); /* after a restart */
    return;
  }
  if (aq_value_find(in, &d->value)) {
    aq_instance_complete(in);
    return;
  }
  aq_qbft_ask(in->q);
  drive(in);
  if (in->retry_timer.pos == 0) later(in, AQ_SECONDS(RETRY_S));
}

static void later(aq_instance *in, uint64_t after_ns) {
  aq_timer_after(in->c->cfg.env, &in->retry_timer, after_ns, on_retry, in);
}

void aq_instance_wake(aq_instance *in) { later(in, 0); }

/* ---- inputs ---- */

void aq_instance_abstain(aq_instance *in, const char *why) {
  if (in->abstain) return;
  in->abstain = true;
  if (in->q) aq_qbft_abstain(in->q);
  aq_metric_add(AQ_M_CORE_CONSENSUS_ERROR_TOTAL, 1, AQ_LABELS(AQ_QBFT_PROTOCOL));
  log_journal(in, why, "no further vote in this instance");
}

aq_status aq_instance_recv(aq_instance *in, uint32_t peer, const aq_qbft_wire *w) {
  const aq_qbft_msg *m = &w->msg;
  AQ_ASSERT(in->running && aq_duty_eq(in->duty, w->duty));
  if (m->type == AQ_QBFT_DECIDED && in->bad_decided[peer] >= AQ_INST_BAD_DECIDED_MAX) return AQ_E_UNJUST;
  const aq_qbft_msg *d = aq_qbft_decided(in->q);
  if (d && m->type == AQ_QBFT_COMMIT && aq_hash_eq(&m->value, &d->value)) in->committed |= bit(m->from);
  if (!in->recorded) aq_values_admit(in, peer, w);
  bool proposal = m->type == AQ_QBFT_PRE_PREPARE && !d;
  if (proposal && !aq_value_find(in, &m->value)) return AQ_E_NOTFOUND;
  if (proposal) note_certificate(in, m);
  aq_status st = aq_qbft_recv(in->q, m);
  if (st == AQ_E_UNJUST && m->type == AQ_QBFT_DECIDED) in->bad_decided[peer]++;
  drive(in);
  if (m->type == AQ_QBFT_ROUND_CHANGE) look_at_end(in);
  if (in->judging && !in->seconded && aq_value_seconded(in, in->judged_round, &in->judged)) aq_instance_judge(in);
  if (aq_qbft_decided(in->q)) {
    if (!in->recorded) aq_values_admit(in, peer, w); /* the last COMMIT may bring the bytes itself */
    aq_instance_complete(in);
  }
  return st;
}

void aq_instance_start(aq_instance *in) {
  AQ_ASSERT(!in->running);
  aq_consensus *c = in->c;
  aq_instance_machine(in);
  aq_values_started(in);
  memset(in->value_cnt, 0, sizeof in->value_cnt);
  in->running = true;
  aq_timer_cancel(c->cfg.env, &in->start_timer);
  if (!in->abstain && aq_consensus_must_abstain(c, in->duty)) in->abstain = true;
  if (in->abstain) aq_qbft_abstain(in->q);
  aq_qbft_start(in->q);
  drive(in);
  for (uint32_t i = 0; i < c->cfg.n; i++) {
    if (in->held_cnt[i]) c->waiting_cnt[i]--;
    in->held_cnt[i] = 0;
  }
  AQ_LIST_EACH(&in->held, h, aq_inst_held, node) {
    aq_arena scratch;
    aq_arena_init(&scratch, AQ_INST_COPIES(h->bytes.len) + AQ_INST_VOTES_ROOM);
    aq_qbft_wire_ctx ctx = {.n = c->cfg.n, .chain = c->cfg.chain, .now_ns = aq_now_ns(c->cfg.env)};
    aq_qbft_wire w;
    aq_status st = AQ_E_STALE;
    if (aq_qbft_wire_decode(&w, &scratch, &ctx, aq_buf_bytes(&h->bytes)) == AQ_QBFT_WIRE_OK)
      st = aq_instance_recv(in, h->peer, &w);
    if (st == AQ_OK) {
      aq_metric_add(AQ_M_QBFT_STATE_TRANSITIONS_TOTAL, 1, AQ_LABELS(aq_qbft_type_label(w.msg.type, w.msg.round)));
    }
    aq_arena_free(&scratch);
    aq_list_remove(&h->node);
    aq_buf_free(&h->bytes);
    free(h);
  }
}

void aq_instance_propose(aq_instance *in, const aq_hash *value) {
  aq_qbft_value(in->q, value);
  drive(in);
}
