/* A vote from the journal to every peer: written first, sent when the store answered, sent again until it is late.
   */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"
#include "port/broadcast.h"

/* A failed send is repeated to that peer after 100 ms, 250 ms, then each 500 ms (consensus.md 8.5). */
enum {
  RETRY_FIRST_MS = 100,
  RETRY_SECOND_MS = 250,
  RETRY_MS = 500,
  AFTER_DECISION_S = 10,
  NEEDS_MAX = AQ_QBFT_NODES_MAX + 2
};

typedef struct {
  aq_tx *tx;
  aq_timer timer;
  uint32_t tries;
} tx_peer;

/* One own message on its way: to disk, then to each peer. It outlives its instance while a callback is due. */
struct aq_tx {
  aq_list all, node; /* of the component; of the instance */
  aq_consensus *c;
  aq_instance *in; /* NULL: closed */
  aq_qbft_type type;
  int64_t round;
  uint8_t raw[AQ_QBFT_RAW_MAX];
  size_t raw_len;
  aq_buf just; /* as it is sent */
  aq_hash need[NEEDS_MAX];
  uint32_t need_cnt;
  uint32_t under_way; /* callbacks due and timers armed */
  uint32_t peers;     /* who is to get it */
  bool recorded;      /* the journal has it, or the decision that it shows: nothing leaves before */
  bool again;
  bool brings_value; /* its record carries the bytes of `brought` */
  aq_hash brought;
  uint64_t give_up_ns;
  tx_peer peer[AQ_QBFT_NODES_MAX];
};

static void need(aq_tx *tx, const aq_hash *hash) {
  if (aq_hash_is_zero(hash)) return;
  for (uint32_t i = 0; i < tx->need_cnt; i++) {
    if (aq_hash_eq(&tx->need[i], hash)) return;
  }
  if (tx->need_cnt < NEEDS_MAX) tx->need[tx->need_cnt++] = *hash;
}

static aq_tx *tx_new(aq_instance *in, const aq_qbft_msg *m, bool with_just) {
  aq_tx *tx = calloc(1, sizeof *tx);
  AQ_ASSERT(tx);
  tx->c = in->c;
  tx->in = in;
  tx->type = m->type;
  tx->round = m->round;
  tx->just = AQ_BUF(AQ_QBFT_JUST_MAX * (AQ_QBFT_RAW_MAX + 4));
  if (m->raw.len) {
    memcpy(tx->raw, m->raw.ptr, m->raw.len);
    tx->raw_len = m->raw.len;
  } else {
    tx->raw_len = aq_qbft_wire_sign(tx->raw, in->c->cfg.key, in->duty, m);
  }
  need(tx, &m->value);
  need(tx, &m->prepared_value);
  for (uint32_t i = 0; with_just && i < m->just_cnt; i++) {
    aq_qbft_wire_put_just(&tx->just, in->c->cfg.key, in->duty, &m->just[i]);
    need(tx, &m->just[i].value);
    need(tx, &m->just[i].prepared_value);
  }
  AQ_ASSERT(!tx->just.failed);
  for (uint32_t i = 0; i < in->c->cfg.n; i++) tx->peer[i].tx = tx;
  aq_list_push(&in->c->tx_all, &tx->all);
  aq_list_push(&in->outbox, &tx->node);
  return tx;
}

static void tx_free(aq_tx *tx) {
  for (uint32_t i = 0; i < tx->c->cfg.n; i++) aq_timer_cancel(tx->c->cfg.env, &tx->peer[i].timer);
  aq_list_remove(&tx->all);
  aq_list_remove(&tx->node);
  aq_buf_free(&tx->just);
  free(tx);
}

static void tx_release(aq_tx *tx) {
  AQ_ASSERT(tx->under_way > 0);
  if (--tx->under_way == 0) tx_free(tx);
}

/* ---- sending ---- */

/* The whole message with the bytes of every hash in it (consensus.md 4.3). False: some bytes are not known; it goes out
   without. */
static bool encode(const aq_tx *tx, aq_buf *out) {
  bool complete = true;
  aq_qbft_wire_put_msg(out, aq_bytes_of(tx->raw, tx->raw_len));
  aq_buf_put_bytes(out, aq_buf_bytes(&tx->just));
  for (uint32_t i = 0; i < tx->need_cnt; i++) {
    const aq_inst_value *v = aq_value_find(tx->in, &tx->need[i]);
    if (v)
      aq_qbft_wire_put_value(out, tx->in->duty.type, aq_buf_bytes(&v->bytes));
    else
      complete = false;
  }
  return complete;
}

static void on_sent(void *arg, aq_status st);

/* Where a vote leaves: what on_stored and aq_outbox_decided say of the journal is asserted once more. */
static void send_to(aq_tx *tx, uint32_t peer, aq_bytes msg) {
  AQ_ASSERT(tx->recorded && peer != tx->c->cfg.self);
  tx->under_way++;
  tx->c->cfg.net->send(tx->c->cfg.net->ctx, peer, AQ_PROTO_QBFT, msg, on_sent, &tx->peer[peer]);
}

/* consensus.md S6: nothing for a duty past its deadline. */
static bool still_wanted(const aq_tx *tx) {
  if (!tx->in || tx->in->abstain) return false;
  uint64_t now = aq_now_ns(tx->c->cfg.env);
  if (now >= aq_duty_deadline_ns(tx->c->cfg.chain, tx->in->duty)) return false;
  return tx->give_up_ns == 0 || now < tx->give_up_ns;
}

static void on_retry(void *arg) {
  tx_peer *p = arg;
  aq_tx *tx = p->tx;
  aq_buf msg = AQ_BUF(AQ_QBFT_MSG_MAX);
  if (still_wanted(tx)) {
    (void)encode(tx, &msg);
    if (!msg.failed) send_to(tx, (uint32_t)(p - tx->peer), aq_buf_bytes(&msg));
  }
  aq_buf_free(&msg);
  tx_release(tx);
}

static void on_sent(void *arg, aq_status st) {
  tx_peer *p = arg;
  aq_tx *tx = p->tx;
  if (st != AQ_OK && still_wanted(tx)) {
    uint64_t wait_ms = p->tries == 0 ? RETRY_FIRST_MS : p->tries == 1 ? RETRY_SECOND_MS : RETRY_MS;
    p->tries++;
    tx->under_way++;
    aq_timer_after(tx->c->cfg.env, &p->timer, AQ_MILLIS(wait_ms), on_retry, p);
  }
  tx_release(tx);
}

static void broadcast(aq_tx *tx) {
  if (!still_wanted(tx)) return;
  const aq_consensus_cfg *cfg = &tx->c->cfg;
  uint64_t start = aq_mono_ns(cfg->env);
  aq_buf msg = AQ_BUF(AQ_QBFT_MSG_MAX);
  bool ok = encode(tx, &msg) && !msg.failed;
  const char *type = aq_qbft_type_label(tx->type, tx->round), *result = ok ? "ok" : "error";
  aq_metric_add(AQ_M_CONSENSUS_BROADCAST_TOTAL, 1, AQ_LABELS(type, result));
  AQ_LOG(AQ_LOG_DEBUG, "consensus_broadcast", AQ_STR("type", type), AQ_UINT("height", tx->in->duty.slot),
         AQ_INT("round", tx->round), AQ_STR("trace_id", tx->in->trace), AQ_STR("result", result),
         AQ_STR("err", ok ? NULL : "value bytes not known"));
  for (uint32_t i = 0; !msg.failed && i < cfg->n; i++) {
    if (tx->peers >> i & 1) send_to(tx, i, aq_buf_bytes(&msg));
  }
  aq_broadcast_note(cfg->env, "aequa/qbft/v1", start, (uint32_t)__builtin_popcount(tx->peers),
                    msg.failed ? "the message is too long" : NULL);
  aq_buf_free(&msg);
}

/* ---- the journal first ---- */

static void refused_by_store(aq_tx *tx, aq_status st) {
  const char *type = aq_qbft_type_label(tx->type, tx->round);
  aq_metric_add(AQ_M_CONSENSUS_BROADCAST_TOTAL, 1, AQ_LABELS(type, "error"));
  if (st == AQ_E_SLASH) {
    aq_metric_add(AQ_M_QBFT_WAL_GUARD_DROPS_TOTAL, 1, AQ_NO_LABELS);
    aq_metric_add(AQ_M_STATE_REFUSED_TOTAL, 1, AQ_LABELS("vote"));
    AQ_LOG(AQ_LOG_ERROR, "qbft_wal_guard", AQ_STR("type", type), AQ_INT("round", tx->round),
           AQ_STR("trace_id", tx->in ? tx->in->trace : NULL), AQ_UINT("height", tx->in ? tx->in->duty.slot : 0),
           AQ_UINT("last_h", tx->in ? tx->in->duty.slot : 0),
           AQ_INT("last_r", tx->in ? aq_qbft_round(tx->in->q) : tx->round), AQ_STR("result", "drop"),
           AQ_STR("err", "own vote contradicts the journal: a bug, please report"));
  }
  if (tx->in) aq_instance_abstain(tx->in, aq_status_text(st));
}

static void sent_drop(aq_tx *tx) {
  AQ_LIST_EACH(&tx->in->sent, s, aq_inst_sent, node) {
    if (s->type == tx->type && s->round == tx->round) aq_list_remove(&s->node);
  }
}

static void on_stored(void *arg, aq_status st) {
  aq_tx *tx = arg;
  if (st == AQ_OK) {
    if (tx->in && tx->brings_value) aq_value_durable(tx->in, &tx->brought);
    if (!tx->again) aq_metric_add(AQ_M_QBFT_WAL_APPENDS_TOTAL, 1, AQ_NO_LABELS);
    tx->recorded = true;
    broadcast(tx);
  } else {
    if (tx->in && !tx->again) sent_drop(tx); /* it never left: who shows it to us is another one */
    refused_by_store(tx, st);
  }
  tx_release(tx);
}

void aq_inst_sent_add(aq_instance *in, const aq_qbft_msg *m) {
  aq_inst_sent *s = aq_arena_alloc(&in->arena, sizeof *s);
  AQ_ASSERT(s);
  s->type = m->type;
  s->round = m->round;
  s->prepared_round = m->prepared_round;
  s->value = m->value;
  s->prepared_value = m->prepared_value;
  aq_list_push(&in->sent, &s->node);
}

void aq_outbox_vote(aq_instance *in, const aq_qbft_fx *fx) {
  const aq_qbft_msg *m = &fx->msg;
  if (in->abstain) return;
  AQ_ASSERT(m->type >= AQ_QBFT_PRE_PREPARE && m->type <= AQ_QBFT_ROUND_CHANGE && m->from == in->c->cfg.self);
  if (!fx->again) aq_inst_sent_add(in, m);
  aq_tx *tx = tx_new(in, m, m->type != AQ_QBFT_COMMIT);
  tx->again = fx->again;
  tx->peers =
      ((in->c->cfg.n == 32 ? UINT32_MAX : (UINT32_C(1) << in->c->cfg.n) - 1)) & ~(UINT32_C(1) << in->c->cfg.self);
  aq_buf proof = AQ_BUF(AQ_QBFT_JUST_MAX * (AQ_QBFT_RAW_MAX + 4));
  if (m->type == AQ_QBFT_COMMIT) {
    for (uint32_t i = 0; i < m->just_cnt; i++) aq_qbft_wire_put_just(&proof, in->c->cfg.key, in->duty, &m->just[i]);
  }
  aq_store_vote v = {.duty = in->duty,
                     .msg_type = (uint8_t)m->type,
                     .round = (uint64_t)m->round,
                     .prepared_round = (uint64_t)m->prepared_round,
                     .msg = aq_bytes_of(tx->raw, tx->raw_len),
                     .just = aq_buf_bytes(m->type == AQ_QBFT_COMMIT ? &proof : &tx->just)};
  memcpy(v.value_hash, m->value.b, sizeof v.value_hash);
  /* Sendable again after a restart, and so with its bytes; a PREPARE need not be (consensus.md 7.2). */
  const aq_hash *hash = m->type == AQ_QBFT_ROUND_CHANGE ? &m->prepared_value : &m->value;
  aq_inst_value *value = m->type == AQ_QBFT_PREPARE || aq_hash_is_zero(hash) ? NULL : aq_value_find(in, hash);
  aq_store_blob blob = {.duty = in->duty};
  if (value && !value->journalled) {
    memcpy(blob.hash, value->hash.b, sizeof blob.hash);
    blob.value = aq_buf_bytes(&value->bytes);
    tx->brings_value = true;
    tx->brought = value->hash;
  }
  tx->under_way++;
  in->c->cfg.store->vote(in->c->cfg.store->ctx, &v, blob.value.ptr ? &blob : NULL, on_stored, tx);
  aq_buf_free(&proof);
}

void aq_outbox_decided(aq_instance *in, const aq_qbft_msg *decided, uint32_t peers) {
  AQ_ASSERT(in->recorded && decided->type == AQ_QBFT_DECIDED);
  aq_tx *tx = tx_new(in, decided, true);
  tx->recorded = in->recorded;
  tx->peers = peers;
  tx->under_way++;
  broadcast(tx);
  tx_release(tx);
}

/* ---- giving up ---- */

static void stop_timers(aq_tx *tx) {
  tx->under_way++;
  for (uint32_t i = 0; i < tx->c->cfg.n; i++) {
    if (tx->peer[i].timer.pos == 0) continue;
    aq_timer_cancel(tx->c->cfg.env, &tx->peer[i].timer);
    tx->under_way--;
  }
  tx_release(tx);
}

void aq_outbox_trim(aq_instance *in) {
  bool decided = aq_qbft_decided(in->q) != NULL;
  uint64_t now = aq_now_ns(in->c->cfg.env);
  AQ_LIST_EACH(&in->outbox, tx, aq_tx, node) {
    if (decided) {
      if (tx->give_up_ns == 0) tx->give_up_ns = now + AQ_SECONDS(AFTER_DECISION_S);
    } else if (tx->round + 2 <= aq_qbft_round(in->q)) {
      tx->give_up_ns = now;
      stop_timers(tx);
    }
  }
}

void aq_outbox_stop(aq_instance *in) {
  AQ_LIST_EACH(&in->outbox, tx, aq_tx, node) {
    aq_list_remove(&tx->node);
    tx->in = NULL;
    stop_timers(tx);
  }
}

void aq_outbox_free(aq_consensus *c) {
  AQ_LIST_EACH(&c->tx_all, tx, aq_tx, all) { tx_free(tx); }
}
