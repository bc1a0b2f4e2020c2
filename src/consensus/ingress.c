/* What peers send, by peer and in turn: decoded on the loop, signatures on workers, then handed to the instance. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bucket.h"
#include "base/line_limit.h"
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"

/* What a peer may send costs a token a message, one for each CHUNK of it and one for each signature that is new here.
   A node in trouble that takes part in the forty attester instances alive, a round a second each, spends about 300 a
   second; one that comes back sends some ten thousand at once. A signature takes 80 us of a worker: a peer that spends
   all it gets costs four hundredths of a core. */
enum {
  RATE = 512,
  BURST = 16384,
  CHUNK = 16 << 10,
  BATCH_SIGS = 32,           /* of one job: 2.5 ms, then the next peer's turn comes */
  LETTER_SPARE = 256 << 10,  /* a decoded message beside its bytes: the votes that it shows */
  QUEUE_MAX = 1024,          /* messages of one peer that wait */
  QUEUE_BYTES_MAX = 40 << 20 /* memory of those: any one message fits */
};
_Static_assert((size_t)QUEUE_BYTES_MAX > AQ_QBFT_MSG_MAX, "any one message fits into an empty queue");
static const aq_bucket_size budget = {.full = BURST, .rate = RATE, .per_ns = AQ_NS_PER_SEC};

enum { REASON_TOO_MANY = AQ_QBFT_WIRE_CNT, REASON_CNT };

/* A message that decoded. */
typedef struct {
  aq_list node;
  aq_arena arena;
  aq_qbft_wire w; /* in the arena */
  aq_qbft_fresh fresh;
  aq_qbft_wire_code code; /* of the signatures */
  uint64_t took_ns;       /* of the loop thread, until now */
} letter;

/* The first messages of a peer's queue while a worker looks at their signatures. */
typedef struct {
  aq_job job;
  aq_consensus *c; /* NULL: gone */
  uint32_t peer;
  aq_list letters;
  uint8_t pubkey[AQ_QBFT_NODES_MAX][33];
} batch;

typedef struct {
  aq_bucket bucket;
  aq_list queue; /* letter.node, in the order of arrival, behind those of the batch */
  uint32_t cnt;  /* with those of the batch, so is bytes */
  size_t bytes;
  batch *batch;
  aq_line_limit line[REASON_CNT];
} source;

struct aq_ingress {
  source peer[AQ_QBFT_NODES_MAX];
};

/* ---- what is refused ---- */

/* Late, early and unfinished messages are no fault of whoever sends them. */
static aq_status fault_of(aq_qbft_wire_code code) {
  switch (code) {
    case AQ_QBFT_WIRE_OK:
    case AQ_QBFT_WIRE_GATED_DUTY:
    case AQ_QBFT_WIRE_EXPIRED:
    case AQ_QBFT_WIRE_VALUE_MISSING: return AQ_OK;
    case AQ_QBFT_WIRE_BAD_SIGNATURE: return AQ_E_AUTH;
    case AQ_QBFT_WIRE_BAD_PEER_INDEX:
    case AQ_QBFT_WIRE_UNSCHEDULED: return AQ_E_UNKNOWN;
    case AQ_QBFT_WIRE_MALFORMED:
    case AQ_QBFT_WIRE_BAD_TYPE:
    case AQ_QBFT_WIRE_BAD_DUTY_TYPE:
    case AQ_QBFT_WIRE_BAD_ROUND:
    case AQ_QBFT_WIRE_ROUND_OOB:
    case AQ_QBFT_WIRE_BAD_PREPARED_ROUND:
    case AQ_QBFT_WIRE_TOO_MANY_JUSTIFICATIONS:
    case AQ_QBFT_WIRE_TOO_MANY_VALUES:
    case AQ_QBFT_WIRE_TOO_LONG:
    case AQ_QBFT_WIRE_DUTY_DIFFERS:
    case AQ_QBFT_WIRE_CNT: break;
  }
  return AQ_E_FORMAT;
}

static void complain(aq_consensus *c, uint32_t peer, int reason, const char *text, aq_status st) {
  aq_line_limit *line = &c->ingress->peer[peer].line[reason];
  aq_net_fault(c->cfg.net, peer, AQ_PROTO_QBFT, st);
  if (!aq_line_due(line, aq_mono_ns(c->cfg.env))) return;
  AQ_LOG(AQ_LOG_WARN, "qbft_refused", AQ_UINT("peer", peer), AQ_STR("reason", text), AQ_UINT("more", line->more),
         AQ_STR("result", "dropped"));
}

static void refuse(aq_consensus *c, uint32_t peer, const aq_qbft_wire *w, aq_qbft_wire_code code) {
  aq_status st = fault_of(code);
  aq_consensus_refuse(w, aq_qbft_wire_result(code), aq_qbft_wire_name(code));
  if (st != AQ_OK) complain(c, peer, (int)code, aq_qbft_wire_name(code), st);
}

static void too_many(aq_consensus *c, uint32_t peer) {
  aq_metric_add(AQ_M_QBFT_MSG_VERIFIED_TOTAL, 1, AQ_LABELS("error", NULL));
  complain(c, peer, REASON_TOO_MANY, "more than this peer's budget", AQ_E_LIMIT);
}

/* ---- letters ---- */

static void letter_free(letter *l) {
  aq_arena_free(&l->arena);
  free(l);
}

static void drop_all(aq_list *letters) {
  AQ_LIST_EACH(letters, l, letter, node) {
    aq_list_remove(&l->node);
    letter_free(l);
  }
}

/* Time has passed: its duty may be over. */
static bool is_dead(const aq_consensus *c, const letter *l) {
  return aq_now_ns(c->cfg.env) >= aq_duty_deadline_ns(c->cfg.chain, l->w.duty);
}

/* The end of a letter's way, with its signatures known. */
static void settle(aq_consensus *c, uint32_t peer, letter *l) {
  uint64_t start = aq_mono_ns(c->cfg.env);
  if (l->code == AQ_QBFT_WIRE_OK) aq_qbft_cache_learn(c->cache, &l->w, &l->fresh);
  if (l->code == AQ_QBFT_WIRE_OK && is_dead(c, l)) l->code = AQ_QBFT_WIRE_EXPIRED;
  if (l->code == AQ_QBFT_WIRE_OK)
    aq_consensus_step(c, peer, &l->w);
  else
    refuse(c, peer, &l->w, l->code);
  l->took_ns += aq_mono_ns(c->cfg.env) - start;
  aq_metric_observe(AQ_M_CONSENSUS_PROC_MS, (double)l->took_ns / 1e6, AQ_LABELS("consensus"));
  if (aq_log_enabled(AQ_LOG_DEBUG)) {
    char trace[40];
    aq_consensus_trace(trace, &l->w);
    AQ_LOG(AQ_LOG_DEBUG, "consensus_recv", AQ_STR("kind", "consensus"), AQ_UINT("from", peer),
           AQ_UINT("latency_ms", l->took_ns / AQ_NS_PER_MS), AQ_STR("result", "recv"), AQ_STR("trace_id", trace));
  }
  letter_free(l);
}

/* ---- signatures, on a worker ---- */

static void verify(aq_job *job) {
  batch *b = AQ_CONTAINER(job, batch, job);
  aq_arena scratch;
  aq_arena_init(&scratch, AQ_INST_SCRATCH);
  AQ_LIST_EACH(&b->letters, l, letter, node) {
    l->code = aq_qbft_wire_verify(&l->w, &scratch, (const uint8_t(*)[33])b->pubkey, &l->fresh);
    aq_arena_reset(&scratch);
  }
  aq_arena_free(&scratch);
}

static void pump(aq_consensus *c, uint32_t peer);

static void leave(source *s, letter *l) {
  aq_list_remove(&l->node);
  s->cnt--;
  s->bytes -= l->arena.used;
}

static void verified(aq_job *job) {
  batch *b = AQ_CONTAINER(job, batch, job);
  aq_consensus *c = b->c;
  uint32_t peer = b->peer;
  if (!c) {
    drop_all(&b->letters);
    free(b);
    return;
  }
  source *s = &c->ingress->peer[peer];
  AQ_LIST_EACH(&b->letters, l, letter, node) {
    leave(s, l);
    settle(c, peer, l);
  }
  s->batch = NULL;
  free(b);
  pump(c, peer);
}

static batch *batch_new(aq_consensus *c, uint32_t peer) {
  batch *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  /* Before all signatures of duties: a round waits for this one, and of each peer there is one short job at most. */
  b->job = (aq_job){verify, verified, AQ_JOB_PROPOSAL, NULL};
  b->c = c;
  b->peer = peer;
  memcpy(b->pubkey, c->cfg.peer_pubkey, c->cfg.n * sizeof *b->pubkey);
  aq_list_init(&b->letters);
  return b;
}

/* The queue's next ones: what needs no worker goes its way, the rest in one batch. */
static void pump(aq_consensus *c, uint32_t peer) {
  source *s = &c->ingress->peer[peer];
  uint32_t sigs = 0;
  batch *b = NULL;
  while (!s->batch && !aq_list_empty(&s->queue) && sigs < BATCH_SIGS) {
    letter *l = AQ_CONTAINER(s->queue.next, letter, node);
    if (is_dead(c, l)) l->code = AQ_QBFT_WIRE_EXPIRED;
    aq_qbft_wire_look(&l->fresh, &l->w, c->cache); /* others may have brought the same ones meanwhile */
    if (l->code != AQ_QBFT_WIRE_OK || (!b && l->fresh.cnt == 0)) {
      leave(s, l);
      settle(c, peer, l);
      continue;
    }
    if (!b && !(b = batch_new(c, peer))) return; /* the next message tries again */
    aq_list_remove(&l->node);
    aq_list_push(&b->letters, &l->node);
    sigs += l->fresh.cnt;
  }
  if (!b) return;
  s->batch = b;
  aq_work(c->cfg.env, &b->job);
}

/* ---- receipt ---- */

static void on_message(void *arg, uint32_t from, aq_bytes msg) {
  aq_consensus *c = arg;
  if (from >= c->cfg.n) return;
  source *s = &c->ingress->peer[from];
  uint64_t start = aq_mono_ns(c->cfg.env);
  aq_metric_add(AQ_M_CONSENSUS_EVENTS_TOTAL, 1, AQ_LABELS("consensus"));
  letter *l = aq_bucket_take(&s->bucket, &budget, start, 1 + msg.len / CHUNK) ? calloc(1, sizeof *l) : NULL;
  if (!l) {
    too_many(c, from);
    return;
  }
  aq_arena_init(&l->arena, AQ_INST_COPIES(msg.len) + LETTER_SPARE);
  aq_qbft_wire_ctx ctx = {.n = c->cfg.n, .chain = c->cfg.chain, .now_ns = aq_now_ns(c->cfg.env)};
  l->code = aq_qbft_wire_decode(&l->w, &l->arena, &ctx, msg);
  if (l->code == AQ_QBFT_WIRE_OK && c->cfg.scheduled && !c->cfg.scheduled(c->cfg.arg, l->w.duty))
    l->code = AQ_QBFT_WIRE_UNSCHEDULED;
  if (l->code == AQ_QBFT_WIRE_OK) aq_qbft_wire_look(&l->fresh, &l->w, c->cache);
  l->took_ns = aq_mono_ns(c->cfg.env) - start;
  if (l->code != AQ_QBFT_WIRE_OK || (l->fresh.cnt == 0 && s->cnt == 0)) {
    settle(c, from, l);
    return;
  }
  bool room = s->cnt == 0 || (s->cnt < QUEUE_MAX && s->bytes + l->arena.used <= QUEUE_BYTES_MAX);
  if (!room || !aq_bucket_take(&s->bucket, &budget, start, l->fresh.cnt)) {
    letter_free(l);
    too_many(c, from);
    return;
  }
  s->cnt++;
  s->bytes += l->arena.used;
  aq_list_push(&s->queue, &l->node);
  pump(c, from);
}

void aq_ingress_start(aq_consensus *c) {
  c->ingress = calloc(1, sizeof *c->ingress);
  AQ_ASSERT(c->ingress);
  for (uint32_t i = 0; i < AQ_QBFT_NODES_MAX; i++) aq_list_init(&c->ingress->peer[i].queue);
  aq_net_handler handler = {.arg = c, .recv = on_message};
  c->cfg.net->handle(c->cfg.net->ctx, AQ_PROTO_QBFT, &handler);
}

/* Batches under way end by themselves. */
void aq_ingress_stop(aq_consensus *c) {
  for (uint32_t i = 0; i < AQ_QBFT_NODES_MAX; i++) {
    source *s = &c->ingress->peer[i];
    if (s->batch) s->batch->c = NULL;
    drop_all(&s->queue);
  }
  free(c->ingress);
}
