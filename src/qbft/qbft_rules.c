/* What a message proves: justification, certificates, which value a later round builds on. */
#include "base/assert.h"
#include "qbft/qbft_internal.h"

static uint32_t bit(uint32_t node) { return UINT32_C(1) << node; }

static bool no_value(const aq_hash *h) { return aq_hash_is_zero(h); }

void aq_qbft_pick(const aq_qbft *q, aq_qbft_type type, int64_t round, const aq_hash *value, aq_qbft_refs *out) {
  aq_qbft_it it = {0};
  uint32_t seen = 0;
  out->cnt = 0;
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, type));) {
    if (m->round != round || (value && !aq_hash_eq(&m->value, value)) || seen & bit(m->from)) continue;
    seen |= bit(m->from);
    out->item[out->cnt++] = m;
  }
}

/* ---- justification, consensus.md 1.7 ---- */

/* All of the list are PREPAREs of (round, value) by distinct sources, at least a quorum. */
static bool is_certificate(const aq_qbft *q, const aq_qbft_msg *list, uint32_t cnt, int64_t round,
                           const aq_hash *value) {
  uint32_t seen = 0;
  for (uint32_t i = 0; i < cnt; i++) {
    const aq_qbft_msg *p = &list[i];
    if (p->type != AQ_QBFT_PREPARE || seen & bit(p->from)) return false;
    if (p->round != round || !aq_hash_eq(&p->value, value)) return false;
    seen |= bit(p->from);
  }
  return cnt >= q->quorum;
}

static bool justified_change(const aq_qbft *q, const aq_qbft_msg *m) {
  if (!q->cfg.strict && m->round < 2) return false; /* nobody enters round 1 */
  if (m->just_cnt == 0) return m->prepared_round == 0 && no_value(&m->prepared_value);
  if (!q->cfg.strict) {
    if (m->prepared_round < 1 || m->prepared_round >= m->round || no_value(&m->prepared_value)) return false;
  }
  return is_certificate(q, m->just, m->just_cnt, m->prepared_round, &m->prepared_value);
}

static bool justified_decided(const aq_qbft *q, const aq_qbft_msg *m) {
  uint32_t seen = 0, cnt = 0;
  if (!q->cfg.strict && no_value(&m->value)) return false;
  for (uint32_t i = 0; i < m->just_cnt; i++) {
    const aq_qbft_msg *c = &m->just[i];
    if (c->type != AQ_QBFT_COMMIT || c->round != m->round || !aq_hash_eq(&c->value, &m->value)) continue;
    if (seen & bit(c->from)) continue;
    seen |= bit(c->from);
    cnt++;
  }
  return cnt >= q->quorum;
}

/* J2: the PREPAREs of the justification are the certificate of the highest prepared ROUND-CHANGE. */
static bool justified_by_prepares(const aq_qbft *q, const aq_qbft_msg *m, const aq_qbft_refs *changes) {
  const aq_qbft_msg *first = NULL;
  uint32_t seen = 0, cnt = 0;
  for (uint32_t i = 0; i < m->just_cnt; i++) {
    const aq_qbft_msg *p = &m->just[i];
    if (p->type != AQ_QBFT_PREPARE) continue;
    if (!first) first = p;
    if (seen & bit(p->from) || p->round != first->round || !aq_hash_eq(&p->value, &first->value)) return false;
    seen |= bit(p->from);
    cnt++;
  }
  if (!first || cnt < q->quorum) return false;
  bool claimed = false;
  for (uint32_t i = 0; i < changes->cnt; i++) {
    const aq_qbft_msg *rc = changes->item[i];
    if (rc->prepared_round > first->round) return false;
    if (rc->prepared_round == first->round && aq_hash_eq(&rc->prepared_value, &first->value)) claimed = true;
  }
  if (!claimed) return false;
  if (q->cfg.strict && no_value(&first->value)) return true;
  return aq_hash_eq(&m->value, &first->value);
}

static bool justified_pre_prepare(const aq_qbft *q, const aq_qbft_msg *m) {
  if (q->cfg.leader(q->cfg.arg, m->round) != m->from || no_value(&m->value)) return false;
  if (m->round == 1) return true;
  if (q->cfg.compare && m->round == q->cf + 1) return true; /* strict only, never ours (consensus.md 1.9) */
  aq_qbft_refs changes = {.cnt = 0};
  uint32_t seen = 0;
  bool all_unprepared = true;
  for (uint32_t i = 0; i < m->just_cnt; i++) {
    const aq_qbft_msg *rc = &m->just[i];
    if (rc->type != AQ_QBFT_ROUND_CHANGE || rc->round != m->round || seen & bit(rc->from)) continue;
    seen |= bit(rc->from);
    changes.item[changes.cnt++] = rc;
    if (rc->prepared_round != 0 || !no_value(&rc->prepared_value)) all_unprepared = false;
  }
  if (changes.cnt < q->quorum) return false;
  return all_unprepared || justified_by_prepares(q, m, &changes);
}

bool aq_qbft_justified(const aq_qbft *q, const aq_qbft_msg *m) {
  switch (m->type) {
    case AQ_QBFT_PRE_PREPARE: return justified_pre_prepare(q, m);
    case AQ_QBFT_PREPARE:
    case AQ_QBFT_COMMIT: return q->cfg.strict || !no_value(&m->value);
    case AQ_QBFT_ROUND_CHANGE: return justified_change(q, m);
    case AQ_QBFT_DECIDED: return justified_decided(q, m);
  }
  return false;
}

/* ---- building J as leader, consensus.md 1.7 ---- */

static void add_changes(const aq_qbft *q, int64_t prepared_max, aq_qbft_refs *out, bool *claimed,
                        const aq_hash *value) {
  aq_qbft_it it = {0};
  uint32_t seen = 0;
  out->cnt = 0;
  *claimed = false;
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, AQ_QBFT_ROUND_CHANGE));) {
    if (m->round != q->round || m->prepared_round > prepared_max || seen & bit(m->from)) continue;
    if (prepared_max == 0 && !no_value(&m->prepared_value)) continue;
    seen |= bit(m->from);
    out->item[out->cnt++] = m;
    if (m->prepared_round == prepared_max && aq_hash_eq(&m->prepared_value, value)) *claimed = true;
  }
}

/* J2 on the certificate (round, value): the ROUND-CHANGEs that claim nothing higher, one of them exactly this. */
static bool build_on(const aq_qbft *q, const aq_qbft_msg *claim, const aq_qbft_refs *group, aq_qbft_refs *out) {
  bool claimed;
  if (group->cnt < q->quorum) return false;
  add_changes(q, claim->round, out, &claimed, &claim->value);
  if (out->cnt < q->quorum || !claimed) return false;
  for (uint32_t i = 0; i < group->cnt; i++) out->item[out->cnt++] = group->item[i];
  return true;
}

/* The certificates at hand, highest round first. Strict: any quorum of PREPAREs held; ours: what the ROUND-CHANGEs
   brought, for one of them must claim it. `below`: exclusive. */
static bool build_from_round(const aq_qbft *q, int64_t below, int64_t *round, aq_qbft_refs *out) {
  aq_qbft_it it = {0};
  aq_qbft_type type = q->cfg.strict ? AQ_QBFT_PREPARE : AQ_QBFT_ROUND_CHANGE;
  bool found = false;
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, type));) {
    int64_t at = q->cfg.strict ? m->round : m->prepared_round;
    if (!q->cfg.strict && (m->round != q->round || at == 0)) continue;
    if (at >= below || (found && at <= *round)) continue;
    *round = at;
    found = true;
  }
  if (!found) return false;
  it = (aq_qbft_it){0};
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, type));) {
    aq_qbft_refs group = {.cnt = 0};
    if (q->cfg.strict) {
      if (m->round != *round) continue;
      aq_qbft_pick(q, AQ_QBFT_PREPARE, *round, &m->value, &group);
      if (build_on(q, m, &group, out)) return true;
      continue;
    }
    if (m->round != q->round || m->prepared_round != *round) continue;
    for (uint32_t i = 0; i < m->just_cnt; i++) group.item[group.cnt++] = &m->just[i];
    if (m->just_cnt && build_on(q, &m->just[0], &group, out)) return true;
  }
  out->cnt = 0;
  return true;
}

static bool build_justification(const aq_qbft *q, aq_qbft_refs *out) {
  static const aq_hash zero;
  bool claimed;
  add_changes(q, 0, out, &claimed, &zero);
  if (out->cnt >= q->quorum) return true;
  int64_t round = INT64_MAX;
  while (build_from_round(q, round, &round, out)) {
    if (out->cnt) return true;
  }
  out->cnt = 0;
  return false;
}

/* ---- classification, consensus.md 1.5 ---- */

static bool jump_wanted(const aq_qbft *q) {
  aq_qbft_it it = {0};
  uint32_t seen = 0, cnt = 0;
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, AQ_QBFT_ROUND_CHANGE));) {
    if (m->round <= q->round || seen & bit(m->from)) continue;
    seen |= bit(m->from);
    cnt++;
  }
  return cnt >= q->faulty + 1;
}

/* Strict, consensus.md 1.8: walk until f+1 sources are present, then the smallest of their rounds so far. Ours: the
   (f+1)-th largest of the highest round of each source: one honest node is there or beyond. */
int64_t aq_qbft_jump_round(const aq_qbft *q) {
  int64_t highest[AQ_QBFT_NODES_MAX] = {0};
  aq_qbft_it it = {0};
  uint32_t cnt = 0;
  for (const aq_qbft_msg *m; (m = aq_qbft_store_next(q->store, &it, AQ_QBFT_ROUND_CHANGE));) {
    if (m->round <= q->round) continue;
    if (highest[m->from] == 0) cnt++;
    if (m->round > highest[m->from]) highest[m->from] = m->round;
    if (q->cfg.strict && cnt == q->faulty + 1) break;
  }
  AQ_ASSERT(cnt >= q->faulty + 1);
  int64_t best = 0;
  for (uint32_t i = 0; i < q->cfg.n; i++) {
    uint32_t at_least = 0;
    if (highest[i] == 0) continue;
    for (uint32_t k = 0; k < q->cfg.n; k++) at_least += highest[k] >= highest[i];
    if (at_least >= q->faulty + 1 && highest[i] > best) best = highest[i];
  }
  AQ_ASSERT(best > q->round);
  return best;
}

static aq_qbft_rule classify_change(const aq_qbft *q, const aq_qbft_msg *m, aq_qbft_refs *refs) {
  if (m->round < q->round) return AQ_QBFT_RULE_NONE;
  if (m->round > q->round) return jump_wanted(q) ? AQ_QBFT_RULE_F1_ROUND_CHANGES : AQ_QBFT_RULE_NONE;
  aq_qbft_pick(q, AQ_QBFT_ROUND_CHANGE, q->round, NULL, refs);
  if (refs->cnt < q->quorum) return AQ_QBFT_RULE_NONE;
  if (!build_justification(q, refs)) return AQ_QBFT_RULE_UNJUST_QUORUM;
  if (q->cfg.leader(q->cfg.arg, q->round) != q->cfg.self) return AQ_QBFT_RULE_NONE;
  return AQ_QBFT_RULE_QUORUM_ROUND_CHANGES;
}

aq_qbft_rule aq_qbft_classify(const aq_qbft *q, const aq_qbft_msg *m, aq_qbft_refs *refs) {
  refs->cnt = 0;
  switch (m->type) {
    case AQ_QBFT_DECIDED: return AQ_QBFT_RULE_DECIDED;
    case AQ_QBFT_PRE_PREPARE: return m->round < q->round ? AQ_QBFT_RULE_NONE : AQ_QBFT_RULE_PRE_PREPARE;
    case AQ_QBFT_PREPARE:
      if (m->round != q->round) return AQ_QBFT_RULE_NONE;
      aq_qbft_pick(q, AQ_QBFT_PREPARE, m->round, &m->value, refs);
      return refs->cnt >= q->quorum ? AQ_QBFT_RULE_QUORUM_PREPARES : AQ_QBFT_RULE_NONE;
    case AQ_QBFT_COMMIT: /* ours, consensus.md 1.5: a quorum of any round is a certificate */
      if (q->cfg.strict && m->round != q->round) return AQ_QBFT_RULE_NONE;
      aq_qbft_pick(q, AQ_QBFT_COMMIT, m->round, &m->value, refs);
      return refs->cnt >= q->quorum ? AQ_QBFT_RULE_QUORUM_COMMITS : AQ_QBFT_RULE_NONE;
    case AQ_QBFT_ROUND_CHANGE: return classify_change(q, m, refs);
  }
  return AQ_QBFT_RULE_NONE;
}
