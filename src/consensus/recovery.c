/* After a start: votes are put back as they were sent, decisions as they were made, and what contradicts them ends
   the duty. */
#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"

typedef struct {
  aq_consensus *c;
  uint32_t votes, bad;
  uint64_t oldest, newest; /* slots of all records */
  uint64_t last_slot;      /* of the newest vote that lives */
  int64_t last_round;
} loader;

bool aq_instance_knows_own(const aq_instance *in, const aq_qbft_msg *m) {
  if (m->type == AQ_QBFT_DECIDED) {
    const aq_qbft_msg *d = in->q ? aq_qbft_decided(in->q) : NULL;
    return d && aq_hash_eq(&d->value, &m->value);
  }
  AQ_LIST_EACH(&in->sent, s, aq_inst_sent, node) {
    if (s->type == m->type && s->round == m->round && s->prepared_round == m->prepared_round &&
        aq_hash_eq(&s->value, &m->value) && aq_hash_eq(&s->prepared_value, &m->prepared_value))
      return true;
  }
  return false;
}

static aq_instance *open_recorded(loader *l, aq_duty duty) {
  aq_consensus *c = l->c;
  if (!aq_duty_is(duty.type, AQ_DF_CONSENSUS)) return NULL;
  if (duty.slot < l->oldest) l->oldest = duty.slot;
  if (duty.slot > l->newest) l->newest = duty.slot;
  if (aq_now_ns(c->cfg.env) >= aq_duty_deadline_ns(c->cfg.chain, duty)) {
    aq_consensus_ended(c, duty);
    return NULL;
  }
  return aq_instance_open(c, duty);
}

static void distrust(loader *l, aq_instance *in, const char *why) {
  l->bad++;
  aq_instance_abstain(in, why);
}

/* The machine takes the PREPAREs of a COMMIT for its own and shows them in the next ROUND-CHANGE. */
static bool is_prepared(const aq_qbft_msg *commit, uint32_t quorum) {
  uint32_t seen = 0;
  for (uint32_t i = 0; i < commit->just_cnt; i++) {
    const aq_qbft_msg *p = &commit->just[i];
    bool fits = p->type == AQ_QBFT_PREPARE && p->round == commit->round && aq_hash_eq(&p->value, &commit->value);
    if (!fits || seen >> p->from & 1) return false;
    seen |= UINT32_C(1) << p->from;
  }
  return commit->just_cnt >= quorum;
}

/* What an own vote shows of us was sent with it, also where its own record is missing. */
static void implied_sent(aq_instance *in, const aq_qbft_msg *m) {
  for (uint32_t i = 0; i < m->just_cnt; i++) {
    const aq_qbft_msg *own = &m->just[i];
    if (own->from == in->c->cfg.self && !aq_instance_knows_own(in, own)) aq_inst_sent_add(in, own);
  }
}

static void on_vote(void *arg, const aq_store_vote *v) {
  loader *l = arg;
  aq_instance *in = open_recorded(l, v->duty);
  if (!in) return;
  aq_instance_machine(in);
  aq_arena_reset(&l->c->scratch);
  aq_qbft_msg m, just[AQ_QBFT_JUST_MAX];
  uint32_t cnt, just_cnt = 0;
  aq_duty duty = v->duty, just_duty = v->duty;
  aq_status st = aq_qbft_wire_read(&m, &cnt, 1, &duty, &l->c->scratch, l->c->cfg.n, v->msg, false);
  if (st == AQ_OK) {
    st = aq_qbft_wire_read(just, &just_cnt, AQ_QBFT_JUST_MAX, &just_duty, &l->c->scratch, l->c->cfg.n, v->just, true);
  }
  bool fits = st == AQ_OK && m.from == l->c->cfg.self && aq_duty_eq(duty, v->duty) && aq_duty_eq(just_duty, v->duty) &&
              m.type == v->msg_type && (uint64_t)m.round == v->round;
  if (!fits) {
    distrust(l, in, "a recorded vote does not decode");
    return;
  }
  m.just = just;
  m.just_cnt = just_cnt;
  if (m.type == AQ_QBFT_COMMIT && !is_prepared(&m, aq_qbft_quorum(l->c->cfg.n))) {
    distrust(l, in, "a recorded COMMIT is without its PREPAREs");
    return;
  }
  st = aq_qbft_restore(in->q, &m);
  if (st != AQ_OK) {
    distrust(l, in, aq_status_text(st));
    return;
  }
  aq_inst_sent_add(in, &m);
  aq_votes_note(in, &m);
  implied_sent(in, &m);
  l->votes++;
  if (v->duty.slot >= l->last_slot) {
    l->last_slot = v->duty.slot;
    l->last_round = m.round;
  }
}

static void on_blob(void *arg, const aq_store_blob *b) {
  loader *l = arg;
  aq_instance *in = open_recorded(l, b->duty);
  if (!in) return;
  aq_hash hash;
  memcpy(hash.b, b->hash, sizeof hash.b);
  uint8_t check[32];
  aq_merkle_bytes(check, b->value, -1);
  if (memcmp(check, hash.b, 32) != 0) {
    distrust(l, in, "a recorded value does not match its hash");
    return;
  }
  if (aq_value_keep(in, l->c->cfg.self, &hash, b->value)) aq_value_durable(in, &hash);
}

static void on_decided(void *arg, const aq_store_decided *d) {
  loader *l = arg;
  aq_instance *in = open_recorded(l, d->duty);
  if (!in) return;
  aq_instance_machine(in);
  aq_arena_reset(&l->c->scratch);
  aq_qbft_msg commits[AQ_QBFT_JUST_MAX];
  uint32_t cnt;
  aq_duty duty = d->duty;
  aq_status st =
      aq_qbft_wire_read(commits, &cnt, 2 * l->c->cfg.n, &duty, &l->c->scratch, l->c->cfg.n, d->commits, true);
  if (st || !aq_duty_eq(duty, d->duty) || cnt < aq_qbft_quorum(l->c->cfg.n) || d->round < 1 ||
      d->round > AQ_QBFT_ROUND_MAX) {
    distrust(l, in, "a recorded decision does not decode");
    return;
  }
  aq_qbft_msg m = {
      .type = AQ_QBFT_DECIDED, .from = l->c->cfg.self, .round = (int64_t)d->round, .just = commits, .just_cnt = cnt};
  memcpy(m.value.b, d->hash, sizeof m.value.b);
  aq_votes_note(in, &m);
  for (uint32_t i = 0; i < cnt; i++) in->committed |= UINT32_C(1) << commits[i].from;
  aq_qbft_restore_decided(in->q, &m);
  in->recorded = true;
}

/* What an earlier run voted in and pruned must not be voted in again when the clock was set back meanwhile. */
static void forget_pruned(const loader *l) {
  uint64_t kept = l->newest > AQ_STORE_KEEP_SLOTS ? l->newest - AQ_STORE_KEEP_SLOTS : 0;
  uint64_t before = l->oldest < kept ? l->oldest : kept;
  for (int type = 0; type < AQ_DUTY_CNT; type++) aq_consensus_ended_before(l->c, (aq_duty_type)type, before);
}

aq_status aq_consensus_recover(aq_consensus *c) {
  const aq_chain *chain = c->cfg.chain;
  uint64_t slot = aq_slot_at(&chain->clock, aq_now_ns(c->cfg.env));
  loader l = {.c = c, .oldest = UINT64_MAX};
  aq_store_visitor visitor = {.arg = &l, .vote = on_vote, .blob = on_blob, .decided = on_decided};
  /* All that was not pruned: what is old by a clock that is ahead may live by the right one. */
  aq_status st = c->cfg.store->load(c->cfg.store->ctx, 0, &visitor);
  const char *result = st == AQ_OK && l.bad == 0 ? "ok" : "fail";
  aq_metric_add(AQ_M_QBFT_WAL_RECOVER_TOTAL, 1, AQ_LABELS(result));
  AQ_LOG(st == AQ_OK ? AQ_LOG_INFO : AQ_LOG_ERROR, "qbft_wal", AQ_STR("op", "load"), AQ_UINT("votes", l.votes),
         AQ_UINT("bad", l.bad), AQ_UINT("instances", c->by_duty.cnt), AQ_UINT("height", slot), AQ_INT("round", 0),
         AQ_UINT("last_h", l.last_slot), AQ_INT("last_r", l.last_round), AQ_STR("result", st == AQ_OK ? "ok" : "error"),
         AQ_STR("err", st == AQ_OK ? NULL : aq_status_text(st)));
  if (st != AQ_OK) return st;
  forget_pruned(&l);
  aq_votes_ask(c);
  AQ_LIST_EACH(&c->all, in, aq_instance, node) {
    if (!in->q) aq_instance_machine(in);
    aq_instance_begin(in);
    /* A decision is handed on again next turn: it may have died between record and delivery. */
    const aq_qbft_msg *d = aq_qbft_decided(in->q);
    if (d && in->recorded && !aq_value_find(in, &d->value))
      in->recorded = false; /* without bytes it must be learnt again */
    if (d) aq_instance_wake(in);
  }
  return AQ_OK;
}
