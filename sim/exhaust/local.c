/* What one node alone can do: every state that its machine reaches under the messages of the model, found once and
   kept as a table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/exhaust/exhaust.h"

/* ---- machines ---- */

void *ex_grow(void *mem, size_t len) {
  void *p = realloc(mem, len);
  AQ_ASSERT(p);
  return p;
}

static uint32_t leader(const void *arg, int64_t round) {
  const ex_cfg *cfg = arg;
  return round >= 1 && round <= EX_ROUNDS ? cfg->leader[round] : EX_N;
}

void ex_machine_new(ex_machine *m) {
  *m = (ex_machine){.q = NULL};
  m->mem = ex_grow(NULL, aq_qbft_footprint(EX_N, false));
  m->store = ex_grow(NULL, aq_qbft_store_footprint(EX_N, false));
}

static void init(ex_machine *m, const ex_cfg *cfg, uint32_t self) {
  aq_qbft_cfg qc = {.n = EX_N, .self = self, .leader = leader, .arg = cfg};
  m->q = aq_qbft_init(m->mem, m->store, &qc);
  if (cfg->bug == 1) m->q->quorum--;
  m->self = self;
  m->sent = m->decided = 0;
  m->bad = NULL;
}

bool ex_judge(const ex_cfg *cfg, const aq_qbft_msg *m) {
  static ex_machine judge;
  if (!judge.mem) ex_machine_new(&judge);
  init(&judge, cfg, 0);
  return aq_qbft_justified(judge.q, m);
}

/* What port/store.h refuses of an own vote. */
static const char *contradiction(uint32_t self, ex_mask sent, uint32_t bit) {
  ex_mask own_p = UINT64_C(15) << ex_p(self, 1, 0), own_c = UINT64_C(15) << ex_c(self, 1, 0);
  ex_mask own_rc = UINT64_C(7) << ex_rc(self, 0);
  if (bit < EX_P) return sent >> (bit & ~UINT32_C(1)) & 3 ? "two proposals of a round" : NULL;
  if (bit < EX_RC) {
    ex_mask own = bit < EX_C ? own_p : own_c, of_round = UINT64_C(3) << (bit & ~UINT32_C(1));
    if (sent & own & of_round) return "two votes of a round";
    bool first = (bit - EX_P) % 4 < EX_VALUES;
    if (first && sent & (own_rc | (own & of_round << EX_VALUES))) return "a vote below its own round";
    return NULL;
  }
  if (sent & own_rc) return "two ROUND-CHANGEs of a round";
  uint32_t claim = (bit - EX_RC) % 3;
  for (uint32_t v = 0; v < EX_VALUES; v++) {
    if (sent & ex_bit(ex_c(self, 1, v)) && claim != 1 + v) return "a ROUND-CHANGE that hides its COMMIT";
  }
  return NULL;
}

static void on_vote(ex_machine *m, const ex_cfg *cfg, const aq_qbft_msg *v) {
  uint32_t bit = ex_bit_of(v);
  aq_qbft_msg bare = *v;
  if (v->type == AQ_QBFT_COMMIT) bare.just_cnt = 0;
  if (bit >= EX_TIMEOUT || v->from != m->self) {
    m->bad = "a vote that does not exist";
    return;
  }
  if (!m->bad) m->bad = contradiction(m->self, m->sent, bit);
  if (!m->bad && !ex_judge(cfg, &bare)) m->bad = "a vote that others drop as unjustified";
  m->sent |= ex_bit(bit);
  if (cfg->bug == 2 && v->type == AQ_QBFT_COMMIT) { /* forgets what it prepared */
    m->q->pr = 0;
    m->q->pv = (aq_hash){{0}};
    m->q->pj.cnt = 0;
  }
}

static void on_decide(ex_machine *m, const aq_qbft_msg *d) {
  uint32_t seen = 0;
  for (uint32_t i = 0; i < d->just_cnt; i++) {
    const aq_qbft_msg *c = &d->just[i];
    if (c->type == AQ_QBFT_COMMIT && c->round == d->round && aq_hash_eq(&c->value, &d->value)) seen |= 1U << c->from;
  }
  if (__builtin_popcount(seen) < 3) m->bad = "a decision without a quorum of COMMITs";
  uint32_t bit = ex_bit_of(d);
  if (bit >= EX_TIMEOUT || m->decided) {
    m->bad = "a decision that does not exist, or a second one";
  } else {
    m->decided = ex_bit(bit);
  }
}

static bool drain(ex_machine *m, const ex_cfg *cfg) {
  bool acted = false;
  for (aq_qbft_fx fx; aq_qbft_next(m->q, &fx);) {
    switch (fx.kind) {
      case AQ_QBFT_FX_VOTE: on_vote(m, cfg, &fx.msg); break;
      case AQ_QBFT_FX_DECIDE: on_decide(m, &fx.msg); break;
      case AQ_QBFT_FX_UNJUST: m->bad = "drops as unjustified what another machine takes"; break;
      case AQ_QBFT_FX_TIMER:
      case AQ_QBFT_FX_TIMER_OFF:
      case AQ_QBFT_FX_CHECK:
      case AQ_QBFT_FX_ROUND: break;
      case AQ_QBFT_FX_ANSWER:
      case AQ_QBFT_FX_EQUIVOCATION:
      case AQ_QBFT_FX_RULE: continue;
    }
    acted = true;
  }
  return acted;
}

void ex_machine_start(ex_machine *m, const ex_cfg *cfg, uint32_t self) {
  init(m, cfg, self);
  aq_qbft_start(m->q);
  (void)drain(m, cfg);
}

static bool leads(const ex_cfg *cfg, uint32_t self) { return self == cfg->leader[1] || self == cfg->leader[2]; }

bool ex_machine_can(const ex_machine *m, const ex_cfg *cfg, uint32_t event) {
  const aq_qbft *q = m->q;
  if (q->decided) return false;
  switch (event) {
    case EX_TIMEOUT: return cfg->timeouts && q->round == 1 && q->timer_round == 1;
    case EX_INPUT: return leads(cfg, m->self) && !q->has_input;
    case EX_VERDICT: return q->checking;
    default: return false;
  }
}

bool ex_machine_step(ex_machine *m, const ex_cfg *cfg, uint32_t event) {
  bool owed = m->q->pending, had = m->q->has_input;
  aq_hash value = {{0}};
  if (event == EX_TIMEOUT) {
    aq_qbft_timeout(m->q, 1);
  } else if (event == EX_INPUT) { /* the leaders of the two rounds want different values */
    value.b[0] = m->self == cfg->leader[1] ? 1 : 2;
    aq_qbft_value(m->q, &value);
  } else if (event == EX_VERDICT) {
    value = m->q->check_value;
    aq_qbft_verdict(m->q, m->q->round, &value, true);
  } else {
    aq_qbft_msg msg;
    ex_make(&msg, event);
    (void)!aq_qbft_recv(m->q, &msg);
  }
  bool acted = drain(m, cfg);
  return acted || owed != m->q->pending || had != m->q->has_input;
}

/* What the machine can still make use of. Left out: after a decision all but it; PREPAREs of rounds left or already
   certified here; PRE-PREPAREs (they act on arrival or never); ROUND-CHANGEs where this node does not lead the round
   or has proposed; which of the PREPAREs make up a certificate. */
void ex_machine_digest(uint8_t out[32], const ex_machine *m, const ex_cfg *cfg) {
  const aq_qbft *q = m->q;
  struct {
    ex_mask sent, decided, held;
    int64_t round, pr, fired[AQ_QBFT_RULE_CNT], last[AQ_QBFT_DECIDED], timer_round, armed_round;
    aq_hash pv, input, check;
    uint8_t pending, has_input, checking, extended;
  } d;
  memset(&d, 0, sizeof d);
  d.sent = m->sent;
  d.decided = m->decided;
  if (!m->decided) {
    static const aq_qbft_type type[] = {AQ_QBFT_PREPARE, AQ_QBFT_COMMIT, AQ_QBFT_ROUND_CHANGE};
    for (size_t t = 0; t < AQ_COUNT(type); t++) {
      aq_qbft_it it = {0};
      for (const aq_qbft_msg *k; (k = aq_qbft_store_next(q->store, &it, type[t]));) {
        if (k->type == AQ_QBFT_PREPARE && k->round < q->round) continue;
        if (k->type == AQ_QBFT_PREPARE && q->fired[AQ_QBFT_RULE_QUORUM_PREPARES] == k->round) continue;
        bool useless = leader(cfg, q->round) != m->self || q->fired[AQ_QBFT_RULE_QUORUM_ROUND_CHANGES] == q->round;
        if (k->type == AQ_QBFT_ROUND_CHANGE && k->round == q->round && useless) continue;
        d.held |= ex_bit(ex_bit_of(k));
      }
    }
    d.round = q->round;
    d.pr = q->pr;
    memcpy(d.fired, q->fired, sizeof d.fired);
    d.fired[AQ_QBFT_RULE_UNJUST_QUORUM] = 0; /* does nothing */
    memcpy(d.last, q->last, sizeof d.last);
    d.timer_round = q->timer_round;
    d.armed_round = q->armed_round;
    d.pv = q->pv;
    d.input = q->input;
    if (q->checking) d.check = q->check_value;
    d.pending = q->pending;
    d.has_input = q->has_input;
    d.checking = q->checking;
    d.extended = q->extended;
  }
  aq_sha256(out, aq_bytes_of(&d, sizeof d));
}

/* ---- the table ---- */

static uint32_t *find(ex_table *t, const uint8_t digest[32]) {
  uint64_t h;
  memcpy(&h, digest, sizeof h);
  uint32_t at = (uint32_t)h & (t->slots - 1);
  while (t->slot[at] && memcmp(t->item[t->slot[at] - 1].digest, digest, 32) != 0) at = (at + 1) & (t->slots - 1);
  return &t->slot[at];
}

static void widen(ex_table *t) {
  if (2 * (t->cnt + 1) <= t->slots) return;
  free(t->slot);
  t->slots *= 2;
  t->slot = ex_grow(NULL, t->slots * sizeof *t->slot);
  memset(t->slot, 0, t->slots * sizeof *t->slot);
  for (uint32_t i = 0; i < t->cnt; i++) *find(t, t->item[i].digest) = i + 1;
}

static uint32_t keep(ex_table *t, uint32_t parent, const ex_step *by) {
  uint8_t digest[32];
  ex_machine_digest(digest, &t->machine, t->cfg);
  widen(t);
  uint32_t *slot = find(t, digest);
  if (*slot) return *slot - 1;
  AQ_ASSERT(t->cnt < EX_LOCALS_MAX);
  if (t->cnt == t->cap) {
    t->cap = t->cap ? 2 * t->cap : 1024;
    t->item = ex_grow(t->item, t->cap * sizeof *t->item);
  }
  ex_local *l = &t->item[t->cnt];
  *l = (ex_local){.sent = t->machine.sent, .decided = t->machine.decided, .parent = parent};
  memcpy(l->digest, digest, 32);
  if (by) {
    l->cnt = by->cnt;
    memcpy(l->event, by->event, sizeof l->event);
  }
  *slot = ++t->cnt;
  return t->cnt - 1;
}

uint32_t ex_table_init(ex_table *t, const ex_cfg *cfg, uint32_t self) {
  *t = (ex_table){.cfg = cfg, .self = self, .slots = 1024};
  t->slot = ex_grow(NULL, t->slots * sizeof *t->slot);
  memset(t->slot, 0, t->slots * sizeof *t->slot);
  ex_machine_new(&t->machine);
  ex_machine_start(&t->machine, cfg, self);
  return keep(t, EX_NONE, NULL);
}

void ex_table_free(ex_table *t) {
  free(t->item);
  free(t->slot);
  free(t->step);
  free(t->machine.mem);
  free(t->machine.store);
}

static void replay(ex_table *t, uint32_t id) {
  uint32_t path[64], depth = 0;
  for (uint32_t i = id; t->item[i].parent != EX_NONE; i = t->item[i].parent) {
    AQ_ASSERT(depth < AQ_COUNT(path));
    path[depth++] = i;
  }
  ex_machine_start(&t->machine, t->cfg, t->self);
  while (depth) {
    const ex_local *l = &t->item[path[--depth]];
    for (uint32_t i = 0; i < l->cnt; i++) (void)ex_machine_step(&t->machine, t->cfg, l->event[i]);
  }
  t->runs++;
}

static void add_step(ex_table *t, const ex_step *s) {
  if (t->step_cnt == t->step_cap) {
    t->step_cap = t->step_cap ? 2 * t->step_cap : 4096;
    t->step = ex_grow(t->step, t->step_cap * sizeof *t->step);
  }
  t->step[t->step_cnt++] = *s;
}

/* From state id, the events of s in order (or backwards): does only the last one act? */
static bool acts(ex_table *t, uint32_t id, const ex_step *s, bool backwards) {
  replay(t, id);
  bool acted = false;
  for (uint32_t i = 0; i < s->cnt && !acted; i++) {
    acted = ex_machine_step(&t->machine, t->cfg, s->event[backwards ? s->cnt - 1 - i : i]);
  }
  return acted;
}

static bool covered(const ex_table *t, uint32_t first, ex_mask need) {
  for (uint32_t i = first; i < t->step_cnt; i++) {
    if ((t->step[i].need & ~need) == 0) return true;
  }
  return false;
}

/* All least sets out of the bits base..base+width*EX_N-1, one bit a source, own ones aside. */
static void sets_of(ex_table *t, uint32_t id, const uint32_t *bit, const uint32_t *src, uint32_t cnt) {
  uint32_t first = t->item[id].step_first;
  for (uint32_t size = 1; size <= EX_STEP_EVENTS; size++) {
    for (uint32_t pick = 0; pick < 1U << cnt; pick++) {
      if (__builtin_popcount(pick) != (int)size) continue;
      ex_step s = {.next = EX_NONE};
      uint32_t used = 1U << t->self;
      for (uint32_t i = 0; i < cnt; i++) {
        if (!(pick >> i & 1)) continue;
        if (src[i] != EX_BYZ && used >> src[i] & 1) s.cnt = EX_STEP_EVENTS + 1; /* honest nodes do not equivocate */
        if (s.cnt >= EX_STEP_EVENTS) break;
        used |= 1U << src[i];
        s.need |= ex_bit(bit[i]);
        s.event[s.cnt++] = (uint8_t)bit[i];
      }
      if (s.cnt != size || covered(t, first, s.need) || !acts(t, id, &s, false)) continue;
      add_step(t, &s);
    }
  }
}

static void one_each(ex_table *t, uint32_t id, uint32_t from, uint32_t to) {
  for (uint32_t bit = from; bit < to; bit++) {
    ex_step s = {.need = ex_bit(bit), .event = {(uint8_t)bit}, .cnt = 1, .next = EX_NONE};
    if (acts(t, id, &s, false)) add_step(t, &s);
  }
}

void ex_table_expand(ex_table *t, uint32_t id) {
  if (t->item[id].expanded) return;
  t->item[id].expanded = true;
  t->item[id].step_first = t->step_cnt;
  replay(t, id);
  for (uint32_t e = EX_TIMEOUT; e < EX_EVENTS && !t->machine.decided; e++) {
    ex_step s = {.event = {(uint8_t)e}, .cnt = 1, .next = EX_NONE};
    if (ex_machine_can(&t->machine, t->cfg, e)) add_step(t, &s);
  }
  uint32_t internal = t->step_cnt;
  if (!t->machine.decided) {
    uint32_t start = t->item[id].step_first;
    t->item[id].step_first = internal; /* `covered` looks at message steps only */
    one_each(t, id, EX_PP, EX_P);
    one_each(t, id, EX_D, EX_TIMEOUT);
    for (uint32_t kind = EX_P; kind <= EX_C; kind += EX_C - EX_P) {
      for (uint32_t r = 1; r <= EX_ROUNDS; r++) {
        uint32_t bit[8], src[8];
        for (uint32_t i = 0; i < 8; i++) bit[i] = kind + i / 2 * 4 + ex_rv(r, i % 2), src[i] = i / 2;
        sets_of(t, id, bit, src, 8);
      }
    }
    uint32_t bit[12], src[12];
    for (uint32_t i = 0; i < 12; i++) bit[i] = EX_RC + i, src[i] = i / 3;
    sets_of(t, id, bit, src, 12);
    t->item[id].step_first = start;
  }
  t->item[id].step_cnt = t->step_cnt - t->item[id].step_first;
}

uint32_t ex_table_take(ex_table *t, uint32_t id, uint32_t step) {
  ex_step s = t->step[step];
  if (s.next != EX_NONE) return s.next;
  uint8_t one[32], two[32];
  (void)acts(t, id, &s, true);
  ex_machine_digest(one, &t->machine, t->cfg);
  (void)acts(t, id, &s, false);
  ex_machine_digest(two, &t->machine, t->cfg);
  if (t->machine.bad) snprintf(t->bad, sizeof t->bad, "node %u: %s", t->self, t->machine.bad);
  if (memcmp(one, two, 32) != 0 && !t->bad[0]) snprintf(t->bad, sizeof t->bad, "node %u: order matters", t->self);
  uint32_t next = keep(t, id, &s);
  t->step[step].next = next;
  return next;
}
