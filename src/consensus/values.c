/* Bytes behind the hashes: who brought them, how many a peer may bring, and what the caller says of each. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "consensus/consensus_internal.h"
#include "consensus/validity.h"

aq_inst_value *aq_value_find(const aq_instance *in, const aq_hash *hash) {
  AQ_LIST_EACH(&in->values, v, aq_inst_value, node) {
    if (aq_hash_eq(&v->hash, hash)) return v;
  }
  return NULL;
}

static void value_free(aq_instance *in, aq_inst_value *v) {
  aq_consensus *c = in->c;
  c->held_bytes[v->peer] -= v->bytes.len;
  if (!in->running) c->waiting_bytes[v->peer] -= v->bytes.len;
  aq_list_remove(&v->node);
  aq_buf_free(&v->bytes);
  free(v);
}

aq_inst_value *aq_value_keep(aq_instance *in, uint32_t peer, const aq_hash *hash, aq_bytes bytes) {
  aq_inst_value *v = aq_value_find(in, hash);
  if (v) return v;
  v = calloc(1, sizeof *v);
  if (!v) return NULL;
  v->hash = *hash;
  v->peer = peer;
  v->bytes = AQ_BUF(AQ_INST_VALUE_MAX);
  aq_buf_put_bytes(&v->bytes, bytes);
  if (v->bytes.failed) {
    free(v);
    return NULL;
  }
  in->c->held_bytes[peer] += bytes.len;
  if (!in->running) in->c->waiting_bytes[peer] += bytes.len;
  aq_list_push(&in->values, &v->node);
  return v;
}

void aq_value_durable(aq_instance *in, const aq_hash *hash) {
  aq_inst_value *v = aq_value_find(in, hash);
  if (v) v->journalled = true;
}

void aq_values_drop_peer(aq_instance *in, uint32_t peer) {
  AQ_LIST_EACH(&in->values, v, aq_inst_value, node) {
    if (v->peer == peer) value_free(in, v);
  }
  in->value_cnt[peer] = 0;
}

void aq_values_started(aq_instance *in) {
  AQ_ASSERT(!in->running);
  AQ_LIST_EACH(&in->values, v, aq_inst_value, node) { in->c->waiting_bytes[v->peer] -= v->bytes.len; }
}

static bool missing(const aq_instance *in, const aq_hash *hash) {
  return !aq_hash_is_zero(hash) && !aq_value_find(in, hash);
}

static bool names(const aq_qbft_msg *m, const aq_hash *hash) {
  return aq_hash_eq(&m->value, hash) || aq_hash_eq(&m->prepared_value, hash);
}

static bool message_names(const aq_qbft_wire *w, const aq_hash *hash) {
  if (names(&w->msg, hash)) return true;
  for (uint32_t i = 0; i < w->msg.just_cnt; i++) {
    if (names(&w->msg.just[i], hash)) return true;
  }
  return false;
}

static bool wants_any(const aq_instance *in, const aq_qbft_wire *w) {
  if (missing(in, &w->msg.value) || missing(in, &w->msg.prepared_value)) return true;
  for (uint32_t i = 0; i < w->msg.just_cnt; i++) {
    if (missing(in, &w->msg.just[i].value) || missing(in, &w->msg.just[i].prepared_value)) return true;
  }
  return false;
}

/* A peer's room for values, by who delivers, so that nobody spends another's. The decided value always fits. */
static bool has_room(const aq_instance *in, uint32_t peer, const aq_hash *hash, size_t len) {
  const aq_qbft_msg *decision = in->q ? aq_qbft_decided(in->q) : NULL;
  if (decision && aq_hash_eq(&decision->value, hash)) return true;
  if (in->c->held_bytes[peer] + len > AQ_INST_HELD_BYTES) return false;
  if (in->running) return in->value_cnt[peer] < AQ_INST_VALUES_PER_PEER;
  return in->value_cnt[peer] < AQ_INST_WAITING_VALUES && in->c->waiting_bytes[peer] + len <= AQ_INST_WAITING_BYTES;
}

void aq_values_admit(aq_instance *in, uint32_t peer, const aq_qbft_wire *w) {
  if (!wants_any(in, w)) return;
  for (uint32_t i = 0; i < w->any_cnt; i++) {
    aq_buf bytes = AQ_BUF(AQ_INST_VALUE_MAX);
    aq_hash hash;
    aq_arena scratch;
    aq_arena_init(&scratch, AQ_INST_COPIES(w->any[i].value.len) + AQ_INST_SCRATCH);
    aq_status st = aq_qbft_value_canon(&bytes, &hash, &scratch, in->duty.type, &w->any[i]);
    aq_arena_free(&scratch);
    if (st == AQ_OK && message_names(w, &hash) && missing(in, &hash) && has_room(in, peer, &hash, bytes.len)) {
      if (aq_value_keep(in, peer, &hash, aq_buf_bytes(&bytes))) in->value_cnt[peer]++;
    }
    aq_buf_free(&bytes);
  }
}

/* Not every PREPARE of a justification counts: a leader may add what it likes to one that needs none. */
bool aq_value_certified(const aq_qbft_msg *proposal, uint32_t quorum) {
  for (uint32_t first = 0; first < proposal->just_cnt; first++) {
    int64_t round = proposal->just[first].round;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < proposal->just_cnt; i++) {
      const aq_qbft_msg *p = &proposal->just[i];
      bool fits = p->type == AQ_QBFT_PREPARE && p->round == round && p->round < proposal->round &&
                  aq_hash_eq(&p->value, &proposal->value);
      if (fits) seen |= UINT32_C(1) << p->from;
    }
    if ((uint32_t)__builtin_popcount(seen) >= quorum) return true;
  }
  return false;
}

bool aq_value_seconded(const aq_instance *in, int64_t round, const aq_hash *hash) {
  uint32_t by = (uint32_t)__builtin_popcount(aq_qbft_preparers(in->q, round, hash));
  return by > aq_qbft_faulty(in->c->cfg.n);
}

static aq_value_verdict check_info(const aq_instance *in, aq_arena *scratch, aq_bytes bytes, aq_err *err) {
  const aq_consensus_cfg *cfg = &in->c->cfg;
  bool ok = aq_value_priority_ok(scratch, bytes) && (!cfg->valid_info || cfg->valid_info(cfg->arg, in->duty, bytes));
  if (!ok) (void)aq_fail(err, AQ_E_FORMAT, "not a priority result of this cluster");
  return ok ? AQ_VALUE_GOOD : AQ_VALUE_BAD;
}

static aq_value_verdict check_set(const aq_instance *in, aq_arena *scratch, const aq_value_case *c, aq_bytes bytes,
                                  aq_err *err) {
  const aq_consensus_cfg *cfg = &in->c->cfg;
  aq_unsigned_set set;
  aq_status st = aq_value_decode(&set, scratch, bytes);
  if (st) (void)aq_fail(err, st, "not a set of unsigned data");
  if (st == AQ_OK) st = aq_value_valid(scratch, cfg->chain, in->duty, &set, err);
  if (st) return AQ_VALUE_BAD;
  return cfg->valid ? cfg->valid(cfg->arg, c, &set, err) : AQ_VALUE_GOOD;
}

aq_value_verdict aq_value_check(aq_instance *in, int64_t round, const aq_hash *hash, aq_err *err) {
  const aq_inst_value *v = aq_value_find(in, hash);
  const aq_value_case c = {.duty = in->duty,
                           .round = round,
                           .prepared = aq_hash_eq(&in->certified, hash),
                           .seconded = aq_value_seconded(in, round, hash)};
  if (!v) {
    (void)aq_fail(err, AQ_E_NOTFOUND, "no bytes for the proposed hash");
    return AQ_VALUE_BAD;
  }
  aq_arena scratch;
  aq_arena_init(&scratch, AQ_INST_DECODED(v->bytes.len));
  aq_bytes bytes = aq_buf_bytes(&v->bytes);
  aq_value_verdict ok = aq_duty_is(in->duty.type, AQ_DF_INFO) ? check_info(in, &scratch, bytes, err)
                                                              : check_set(in, &scratch, &c, bytes, err);
  aq_arena_free(&scratch);
  return ok;
}
