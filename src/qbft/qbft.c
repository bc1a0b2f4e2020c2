/* Inputs, the rules that they fire, and the effects that are left to be drained. */
#include "qbft/qbft.h"

#include "base/assert.h"
#include "qbft/qbft_internal.h"

static const aq_hash zero;

const char *aq_qbft_rule_name(aq_qbft_rule r) {
  static const char *const name[AQ_QBFT_RULE_CNT] = {
      "none",
      "justified_pre_prepare",
      "quorum_prepares",
      "quorum_commits",
      "unjust_quorum_round_changes",
      "f_plus_1_round_changes",
      "quorum_round_changes",
      "justified_decided",
      "round_timeout",
  };
  return r < AQ_QBFT_RULE_CNT ? name[r] : name[0];
}

uint32_t aq_qbft_quorum(uint32_t n) { return (2 * n + 2) / 3; }
uint32_t aq_qbft_faulty(uint32_t n) { return (n - 1) / 3; }

uint32_t aq_qbft_leader(uint64_t slot, int64_t type, int64_t round, uint32_t n) {
  int64_t sum = (int64_t)(slot + (uint64_t)type + (uint64_t)round);
  int64_t idx = sum % (int64_t)n;
  return idx < 0 ? UINT32_MAX : (uint32_t)idx;
}

/* ---- memory ---- */

static size_t aligned(size_t len) { return (len + 15) & ~(size_t)15; }

static size_t kept_size(uint32_t max) {
  return aligned(max * sizeof(aq_qbft_slot)) + aligned(max * sizeof(aq_qbft_msg));
}

size_t aq_qbft_footprint(uint32_t n, bool strict) {
  (void)strict;
  return aligned(sizeof(aq_qbft)) + kept_size(n) + 2 * kept_size(2 * n);
}

size_t aq_qbft_store_footprint(uint32_t n, bool strict) { return aq_qbft_store_size(n, strict); }

static uint8_t *kept_init(aq_qbft_kept *k, uint8_t *mem, uint32_t max) {
  *k = (aq_qbft_kept){.max = max};
  k->slot = (aq_qbft_slot *)(void *)mem;
  k->msg = (aq_qbft_msg *)(void *)(mem + aligned(max * sizeof(aq_qbft_slot)));
  return mem + kept_size(max);
}

static void kept_add(aq_qbft_kept *k, const aq_qbft_msg *m) {
  AQ_ASSERT(k->cnt < k->max);
  aq_qbft_slot_set(&k->slot[k->cnt], m);
  k->msg[k->cnt] = k->slot[k->cnt].m;
  k->cnt++;
}

static void kept_refs(aq_qbft_kept *k, const aq_qbft_refs *refs) {
  k->cnt = 0;
  for (uint32_t i = 0; i < refs->cnt; i++) kept_add(k, refs->item[i]);
}

aq_qbft *aq_qbft_init(void *mem, void *store_mem, const aq_qbft_cfg *cfg) {
  AQ_ASSERT(cfg->n >= 1 && cfg->n <= AQ_QBFT_NODES_MAX && cfg->self < cfg->n);
  AQ_ASSERT(cfg->strict || !cfg->compare);
  aq_qbft *q = mem;
  memset(q, 0, sizeof *q);
  uint8_t *rest = (uint8_t *)mem + aligned(sizeof *q);
  rest = kept_init(&q->pj, rest, cfg->n);
  rest = kept_init(&q->just, rest, 2 * cfg->n);
  (void)kept_init(&q->commits, rest, 2 * cfg->n);
  q->cfg = *cfg;
  q->quorum = aq_qbft_quorum(cfg->n);
  q->faulty = aq_qbft_faulty(cfg->n);
  q->store = aq_qbft_store_init(store_mem, cfg->n, cfg->strict);
  q->round = 1;
  return q;
}

/* ---- effects ---- */

static aq_qbft_fx *effect(aq_qbft *q, aq_qbft_fx_kind kind) {
  AQ_ASSERT(q->fx_cnt < AQ_QBFT_FX_MAX);
  aq_qbft_fx *fx = &q->fx[q->fx_cnt++];
  memset(fx, 0, sizeof *fx);
  fx->kind = kind;
  fx->round = q->round;
  fx->peer = q->cfg.self;
  return fx;
}

static void arm(aq_qbft *q) {
  aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_TIMER);
  fx->again = q->extended = q->armed_round == q->round;
  q->timer_round = q->armed_round = q->round;
}

/* The only place where an own message comes into being. consensus.md S1 and S3: each kind at most once a
   round, rounds never fall. */
static void vote(aq_qbft *q, aq_qbft_type type, const aq_hash *value, const aq_qbft_kept *just) {
  if (q->abstain) return;
  AQ_ASSERT(!q->decided);
  if (!q->cfg.strict) {
    AQ_ASSERT(q->round > q->last[type]);
    AQ_ASSERT(q->round >= q->last[AQ_QBFT_ROUND_CHANGE]);
    AQ_ASSERT(type == AQ_QBFT_ROUND_CHANGE || !aq_hash_is_zero(value));
  }
  q->last[type] = q->round;
  aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_VOTE);
  fx->msg = (aq_qbft_msg){.type = type, .from = q->cfg.self, .round = q->round, .value = *value};
  if (type == AQ_QBFT_ROUND_CHANGE) {
    fx->msg.prepared_round = q->pr;
    fx->msg.prepared_value = q->pv;
  }
  if (just) {
    fx->msg.just = just->msg;
    fx->msg.just_cnt = just->cnt;
  }
  AQ_ASSERT(q->own_cnt < AQ_QBFT_OWN_MAX);
  q->own[q->own_cnt++] = fx->msg;
}

static void change_round(aq_qbft *q, int64_t round, aq_qbft_rule why) {
  if (round == q->round) return;
  aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_ROUND);
  fx->round_old = q->round;
  fx->round = round;
  fx->rule = why;
  q->round = round;
  memset(q->fired, 0, sizeof q->fired);
  q->pending = q->checking = q->shortened = false;
  q->moved = true;
}

/* ---- actions, consensus.md 1.8 ---- */

static void on_pre_prepare(aq_qbft *q, const aq_qbft_msg *m) {
  change_round(q, m->round, AQ_QBFT_RULE_PRE_PREPARE);
  q->fired[AQ_QBFT_RULE_PRE_PREPARE] = m->round; /* the change emptied it, and one PP a round is all that may count */
  arm(q);
  if (q->cfg.strict && !q->cfg.compare) {
    vote(q, AQ_QBFT_PREPARE, &m->value, NULL);
    return;
  }
  q->checking = true;
  q->check_value = m->value;
  effect(q, AQ_QBFT_FX_CHECK)->msg.value = m->value;
}

static void on_quorum_prepares(aq_qbft *q, const aq_qbft_msg *m, const aq_qbft_refs *refs) {
  AQ_ASSERT(refs->cnt >= q->quorum && m->round == q->round); /* consensus.md S2 */
  q->pr = q->round;
  q->pv = m->value;
  kept_refs(&q->pj, refs);
  vote(q, AQ_QBFT_COMMIT, &m->value, &q->pj);
}

static void on_decision(aq_qbft *q, const aq_qbft_msg *m, const aq_qbft_refs *refs, aq_qbft_rule rule) {
  AQ_ASSERT(!q->decided); /* consensus.md S4 */
  q->commits.cnt = 0;
  if (rule == AQ_QBFT_RULE_QUORUM_COMMITS) {
    kept_refs(&q->commits, refs);
  } else {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < m->just_cnt; i++) {
      const aq_qbft_msg *c = &m->just[i];
      bool fits = c->type == AQ_QBFT_COMMIT && c->round == m->round && aq_hash_eq(&c->value, &m->value);
      if (!q->cfg.strict && (!fits || seen >> c->from & 1)) continue;
      seen |= UINT32_C(1) << c->from;
      kept_add(&q->commits, c);
    }
  }
  AQ_ASSERT(q->commits.cnt >= q->quorum);
  aq_hash value = m->value;
  change_round(q, m->round, rule);
  q->decided = true;
  q->pending = q->checking = q->moved = false;
  q->timer_round = 0;
  q->decision = (aq_qbft_msg){.type = AQ_QBFT_DECIDED,
                              .from = q->cfg.self,
                              .round = q->round,
                              .value = value,
                              .just = q->commits.msg,
                              .just_cnt = q->commits.cnt};
  effect(q, AQ_QBFT_FX_TIMER_OFF);
  effect(q, AQ_QBFT_FX_DECIDE)->msg = q->decision;
}

static void on_jump(aq_qbft *q) {
  change_round(q, aq_qbft_jump_round(q), AQ_QBFT_RULE_F1_ROUND_CHANGES);
  arm(q);
  vote(q, AQ_QBFT_ROUND_CHANGE, &zero, &q->pj);
}

static void on_quorum_changes(aq_qbft *q, const aq_qbft_refs *refs) {
  const aq_qbft_msg *prepared = NULL;
  if (!q->cfg.strict && q->last[AQ_QBFT_PRE_PREPARE] >= q->round) return;
  kept_refs(&q->just, refs);
  for (uint32_t i = 0; i < q->just.cnt && !prepared; i++) {
    if (q->just.msg[i].type == AQ_QBFT_PREPARE) prepared = &q->just.msg[i];
  }
  if (prepared && !(q->cfg.compare && q->cf == prepared->round)) {
    vote(q, AQ_QBFT_PRE_PREPARE, &prepared->value, &q->just);
  } else if (q->has_input) {
    vote(q, AQ_QBFT_PRE_PREPARE, &q->input, &q->just);
  } else {
    q->pending = true;
  }
}

static void act(aq_qbft *q, aq_qbft_rule rule, const aq_qbft_msg *m, const aq_qbft_refs *refs) {
  if (rule == AQ_QBFT_RULE_NONE || q->fired[rule] == m->round) return;
  q->fired[rule] = m->round;
  aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_RULE);
  fx->rule = rule;
  fx->round = m->round;
  fx->peer = m->from;
  switch (rule) {
    case AQ_QBFT_RULE_PRE_PREPARE: on_pre_prepare(q, m); break;
    case AQ_QBFT_RULE_QUORUM_PREPARES: on_quorum_prepares(q, m, refs); break;
    case AQ_QBFT_RULE_QUORUM_COMMITS:
    case AQ_QBFT_RULE_DECIDED: on_decision(q, m, refs, rule); break;
    case AQ_QBFT_RULE_F1_ROUND_CHANGES: on_jump(q); break;
    case AQ_QBFT_RULE_QUORUM_ROUND_CHANGES: on_quorum_changes(q, refs); break;
    case AQ_QBFT_RULE_UNJUST_QUORUM:
    case AQ_QBFT_RULE_NONE:
    case AQ_QBFT_RULE_TIMEOUT:
    case AQ_QBFT_RULE_CNT: break;
  }
}

/* consensus.md 1.10: DECIDED for whoever still asks; ours also for votes of later rounds. */
static void answer(aq_qbft *q, const aq_qbft_msg *m) {
  bool asks = m->type == AQ_QBFT_ROUND_CHANGE;
  if (!q->cfg.strict && (m->type == AQ_QBFT_PREPARE || m->type == AQ_QBFT_COMMIT)) asks = m->round > q->decision.round;
  if (!asks || m->from == q->cfg.self) return;
  if (m->round <= q->resent[m->from].round || q->resent[m->from].cnt >= AQ_QBFT_ANSWERS_MAX) return;
  q->resent[m->from].round = m->round;
  q->resent[m->from].cnt++;
  aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_ANSWER);
  fx->msg = q->decision;
  fx->peer = m->from;
}

static aq_status take(aq_qbft *q, const aq_qbft_msg *m) {
  if (q->decided) {
    answer(q, m);
    return AQ_OK;
  }
  if (!aq_qbft_justified(q, m)) {
    aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_UNJUST);
    fx->peer = m->from;
    fx->round = m->round;
    fx->msg = *m;
    return AQ_E_UNJUST;
  }
  const aq_qbft_msg *other;
  aq_status st = aq_qbft_store_add(q->store, m, &other);
  if (other && st != AQ_E_DUP) {
    aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_EQUIVOCATION);
    fx->peer = m->from;
    fx->round = m->round;
    fx->msg = *other;
    fx->other = *m;
  }
  if (st != AQ_OK) return st;
  aq_qbft_refs refs;
  aq_qbft_rule rule = aq_qbft_classify(q, m, &refs);
  act(q, rule, m, &refs);
  return AQ_OK;
}

/* consensus.md 1.5 "Ours" (b): what came too early counts once its round is reached. */
static void settle(aq_qbft *q) {
  static const aq_qbft_type order[] = {AQ_QBFT_COMMIT, AQ_QBFT_PREPARE, AQ_QBFT_ROUND_CHANGE};
  q->moved = false;
  for (size_t i = 0; i < AQ_COUNT(order); i++) {
    aq_qbft_it it = {0};
    for (const aq_qbft_msg *m; !q->moved && !q->decided && (m = aq_qbft_store_next(q->store, &it, order[i]));) {
      aq_qbft_refs refs;
      aq_qbft_rule rule = aq_qbft_classify(q, m, &refs);
      act(q, rule, m, &refs);
    }
  }
}

/* ---- inputs ---- */

static void idle(const aq_qbft *q) { AQ_ASSERT(q->fx_head == q->fx_cnt && q->own_cnt == 0 && !q->moved); }

static void begin_input(aq_qbft *q) {
  idle(q);
  q->fx_head = q->fx_cnt = 0;
}

bool aq_qbft_next(aq_qbft *q, aq_qbft_fx *out) {
  for (;;) {
    if (q->fx_head < q->fx_cnt) {
      *out = q->fx[q->fx_head++];
      return true;
    }
    q->fx_head = q->fx_cnt = 0;
    if (q->own_cnt) {
      aq_qbft_msg m = q->own[0];
      q->own_cnt--;
      memmove(q->own, q->own + 1, q->own_cnt * sizeof q->own[0]);
      aq_status st = take(q, &m);
      AQ_ASSERT(st != AQ_E_UNJUST || q->cfg.strict); /* consensus.md I6 on ourselves */
    } else if (q->moved && !q->cfg.strict) {
      settle(q);
    } else {
      q->moved = false;
      return false;
    }
  }
}

void aq_qbft_value(aq_qbft *q, const aq_hash *value) {
  begin_input(q);
  AQ_ASSERT(!aq_hash_is_zero(value));
  if (q->has_input) return;
  q->has_input = true;
  q->input = *value;
  if (q->pending && !q->decided) {
    vote(q, AQ_QBFT_PRE_PREPARE, &q->input, &q->just);
    q->pending = false;
  }
}

aq_status aq_qbft_recv(aq_qbft *q, const aq_qbft_msg *msg) {
  begin_input(q);
  AQ_ASSERT(q->started && msg->from < q->cfg.n);
  AQ_ASSERT(msg->just_cnt <= 2 * q->cfg.n);
  if (!q->cfg.strict) AQ_ASSERT(msg->round >= 1 && msg->round <= AQ_QBFT_ROUND_MAX);
  return take(q, msg);
}

void aq_qbft_timeout(aq_qbft *q, int64_t round) {
  begin_input(q);
  if (q->decided || q->timer_round == 0 || round != q->timer_round) return;
  if (q->round >= AQ_QBFT_ROUND_MAX) return;
  change_round(q, q->round + 1, AQ_QBFT_RULE_TIMEOUT);
  arm(q);
  vote(q, AQ_QBFT_ROUND_CHANGE, &zero, &q->pj);
}

/* A PREPARE that comes after the COMMIT of its round is of the same value. */
static bool committed_other(const aq_qbft *q, const aq_hash *value) {
  return q->last[AQ_QBFT_COMMIT] == q->round && !aq_hash_eq(value, &q->pv);
}

static bool is_checked(const aq_qbft *q, int64_t round, const aq_hash *value) {
  return !q->decided && q->checking && round == q->round && aq_hash_eq(value, &q->check_value);
}

/* consensus.md 5.1: as if the proposal had not come: a bad leader costs its round only, the extension is taken back. */
static void shorten(aq_qbft *q) {
  if (!q->cfg.strict && q->extended) effect(q, AQ_QBFT_FX_TIMER);
  q->shortened |= q->extended;
  q->extended = false;
}

void aq_qbft_verdict(aq_qbft *q, int64_t round, const aq_hash *value, bool ok) {
  begin_input(q);
  if (!is_checked(q, round, value)) return;
  q->checking = false;
  if (!ok) {
    q->cf = q->round;
    shorten(q);
    return;
  }
  if (q->shortened) arm(q);
  q->shortened = false;
  if (q->cfg.strict || (q->last[AQ_QBFT_PREPARE] < q->round && !committed_other(q, value)))
    vote(q, AQ_QBFT_PREPARE, value, NULL);
}

void aq_qbft_doubt(aq_qbft *q, int64_t round, const aq_hash *value) {
  begin_input(q);
  if (is_checked(q, round, value)) shorten(q);
}

void aq_qbft_ask(aq_qbft *q) {
  begin_input(q);
  AQ_ASSERT(q->decided && !q->cfg.strict);
  if (q->abstain) return;
  int64_t round = q->decision.round;
  for (size_t i = 0; i < AQ_COUNT(q->last); i++) {
    if (q->last[i] > round) round = q->last[i];
  }
  if (round >= AQ_QBFT_ROUND_MAX) return;
  q->last[AQ_QBFT_ROUND_CHANGE] = round + 1;
  aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_VOTE);
  fx->msg = (aq_qbft_msg){.type = AQ_QBFT_ROUND_CHANGE,
                          .from = q->cfg.self,
                          .round = round + 1,
                          .prepared_round = q->pr,
                          .prepared_value = q->pv,
                          .just = q->pj.msg,
                          .just_cnt = q->pj.cnt};
}

void aq_qbft_abstain(aq_qbft *q) {
  q->abstain = true;
  q->pending = false;
}

/* consensus.md 7.3: what was sent in the current round, once, to all, as recorded. */
static void resend(aq_qbft *q) {
  static const aq_qbft_type order[] = {AQ_QBFT_ROUND_CHANGE, AQ_QBFT_PRE_PREPARE, AQ_QBFT_PREPARE, AQ_QBFT_COMMIT};
  for (size_t i = 0; i < AQ_COUNT(order); i++) {
    aq_qbft_it it = {0};
    for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, order[i]));) {
      if (m->from != q->cfg.self || m->round != q->round) continue;
      aq_qbft_fx *fx = effect(q, AQ_QBFT_FX_VOTE);
      fx->again = true;
      fx->msg = *m;
      const aq_qbft_kept *just = m->type == AQ_QBFT_PRE_PREPARE ? &q->just : m->type == AQ_QBFT_COMMIT ? &q->pj : NULL;
      if (just) {
        fx->msg.just = just->msg;
        fx->msg.just_cnt = just->cnt;
      }
      if (m->type == AQ_QBFT_PRE_PREPARE && q->last[AQ_QBFT_PREPARE] < q->round) {
        q->checking = true; /* proposed, but died before its own PREPARE */
        q->check_value = m->value;
        effect(q, AQ_QBFT_FX_CHECK)->msg.value = m->value;
      }
    }
  }
}

void aq_qbft_start(aq_qbft *q) {
  begin_input(q);
  AQ_ASSERT(!q->started);
  q->started = true;
  if (q->decided) return;
  bool leads = q->cfg.leader(q->cfg.arg, q->round) == q->cfg.self;
  if (q->round == 1 && leads && q->last[AQ_QBFT_PRE_PREPARE] == 0 && !q->abstain) {
    q->just.cnt = 0;
    if (q->has_input) {
      vote(q, AQ_QBFT_PRE_PREPARE, &q->input, &q->just);
    } else {
      q->pending = true;
    }
  }
  if (q->restored) {
    if (q->last[AQ_QBFT_PRE_PREPARE] == q->round || q->last[AQ_QBFT_PREPARE] == q->round) q->armed_round = q->round;
    q->moved = true;
  }
  arm(q);
  if (q->restored && !q->abstain) resend(q);
}

/* ---- recovery, consensus.md 7.3 ---- */

static void adopt(aq_qbft *q, int64_t round, const aq_hash *value, const aq_qbft_msg *vote_msg) {
  if (round <= q->pr) return;
  q->pr = round;
  q->pv = *value;
  q->pj.cnt = 0;
  for (uint32_t i = 0; i < vote_msg->just_cnt && i < q->pj.max; i++) kept_add(&q->pj, &vote_msg->just[i]);
}

static bool contradicts(const aq_qbft *q, const aq_qbft_msg *m) {
  aq_qbft_it it = {0};
  for (const aq_qbft_msg *old; (old = aq_qbft_store_next(q->store, &it, m->type));) {
    if (old->round != m->round) continue;
    bool same = aq_hash_eq(&old->value, &m->value) && aq_hash_eq(&old->prepared_value, &m->prepared_value);
    if (!same || old->prepared_round != m->prepared_round) return true;
  }
  return false;
}

/* A COMMIT implies its PREPARE: the record of that one may be the write that failed, while the COMMIT's certificate,
   which a later ROUND-CHANGE shows, has it. */
static aq_status restore_implied(aq_qbft *q, const aq_qbft_msg *commit) {
  if (commit->round > q->last[AQ_QBFT_PREPARE]) q->last[AQ_QBFT_PREPARE] = commit->round;
  for (uint32_t i = 0; i < commit->just_cnt; i++) {
    const aq_qbft_msg *p = &commit->just[i];
    if (p->type != AQ_QBFT_PREPARE || p->from != q->cfg.self) continue;
    if (contradicts(q, p)) return AQ_E_SLASH;
    const aq_qbft_msg *other;
    (void)!aq_qbft_store_add(q->store, p, &other);
  }
  return AQ_OK;
}

aq_status aq_qbft_restore(aq_qbft *q, const aq_qbft_msg *m) {
  AQ_ASSERT(!q->started && !q->cfg.strict && m->from == q->cfg.self);
  if (m->type > AQ_QBFT_ROUND_CHANGE || m->round < 1 || m->round > AQ_QBFT_ROUND_MAX) return AQ_E_FORMAT;
  if (m->just_cnt > 2 * q->cfg.n) return AQ_E_LIMIT;
  bool carries = m->type == AQ_QBFT_COMMIT || (m->type == AQ_QBFT_ROUND_CHANGE && m->prepared_round > 0);
  if (carries && m->just_cnt < q->quorum) return AQ_E_UNJUST;
  if (!aq_qbft_justified(q, m)) return AQ_E_UNJUST;
  if (contradicts(q, m)) return AQ_E_SLASH;
  if (m->type == AQ_QBFT_COMMIT) {
    aq_status st = restore_implied(q, m);
    if (st != AQ_OK) return st;
  }
  const aq_qbft_msg *other;
  if (aq_qbft_store_add(q->store, m, &other) == AQ_E_DUP) return AQ_OK;
  q->restored = true;
  if (m->type == AQ_QBFT_COMMIT) adopt(q, m->round, &m->value, m);
  if (m->type == AQ_QBFT_ROUND_CHANGE) adopt(q, m->prepared_round, &m->prepared_value, m);
  if (m->type == AQ_QBFT_PRE_PREPARE && m->round > q->last[AQ_QBFT_PRE_PREPARE]) {
    q->just.cnt = 0;
    for (uint32_t i = 0; i < m->just_cnt; i++) kept_add(&q->just, &m->just[i]);
  }
  if (m->round > q->last[m->type]) q->last[m->type] = m->round;
  if (m->round >= q->round) q->round = m->round;
  memset(q->fired, 0, sizeof q->fired);
  if (q->last[AQ_QBFT_PREPARE] == q->round || q->last[AQ_QBFT_PRE_PREPARE] == q->round) {
    q->fired[AQ_QBFT_RULE_PRE_PREPARE] = q->round;
  }
  if (q->last[AQ_QBFT_COMMIT] == q->round) q->fired[AQ_QBFT_RULE_QUORUM_PREPARES] = q->round;
  if (q->last[AQ_QBFT_PRE_PREPARE] == q->round) q->fired[AQ_QBFT_RULE_QUORUM_ROUND_CHANGES] = q->round;
  return AQ_OK;
}

void aq_qbft_restore_decided(aq_qbft *q, const aq_qbft_msg *m) {
  AQ_ASSERT(!q->started && m->type == AQ_QBFT_DECIDED && m->just_cnt >= q->quorum && m->just_cnt <= 2 * q->cfg.n);
  q->commits.cnt = 0;
  for (uint32_t i = 0; i < m->just_cnt; i++) kept_add(&q->commits, &m->just[i]);
  q->decision = *m;
  q->decision.from = q->cfg.self;
  q->decision.just = q->commits.msg;
  q->decision.just_cnt = q->commits.cnt;
  q->round = m->round;
  q->decided = true;
}

/* ---- looking in ---- */

int64_t aq_qbft_round(const aq_qbft *q) { return q->round; }

aq_qbft_phase aq_qbft_phase_of(const aq_qbft *q) {
  if (q->decided) return AQ_QBFT_DONE;
  if (q->pr == q->round) return AQ_QBFT_PREPARED;
  return q->fired[AQ_QBFT_RULE_PRE_PREPARE] == q->round ? AQ_QBFT_PREPREPARED : AQ_QBFT_IDLE;
}

const aq_qbft_msg *aq_qbft_decided(const aq_qbft *q) { return q->decided ? &q->decision : NULL; }

uint32_t aq_qbft_seen(const aq_qbft *q, aq_qbft_type type, int64_t round) {
  if (q->decided) return 0;
  aq_qbft_it it = {0};
  uint32_t seen = 0;
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, type));) {
    if (m->round == round) seen |= UINT32_C(1) << m->from;
  }
  return seen;
}

bool aq_qbft_ahead(const aq_qbft *q) {
  if (q->decided) return false;
  aq_qbft_it it = {0};
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, AQ_QBFT_ROUND_CHANGE));) {
    if (m->round > q->round) return true;
  }
  return false;
}

uint32_t aq_qbft_preparers(const aq_qbft *q, int64_t round, const aq_hash *value) {
  if (q->decided) return 0;
  aq_qbft_refs refs;
  uint32_t seen = 0;
  aq_qbft_pick(q, AQ_QBFT_PREPARE, round, value, &refs);
  for (uint32_t i = 0; i < refs.cnt; i++) seen |= UINT32_C(1) << refs.item[i]->from;
  return seen;
}
