/* Asks peers for our own earlier votes, answers theirs, and listens for a second process of this identity. */
#include "consensus/votes.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/consensus_internal.h"

static uint32_t bit(uint32_t node) { return UINT32_C(1) << node; }

/* ---- what we keep for others ---- */

static void note_one(aq_instance *in, const aq_qbft_msg *m) {
  if (m->from == in->c->cfg.self || m->type > AQ_QBFT_ROUND_CHANGE || m->raw.len == 0) return;
  aq_votes_seen **seen = &in->seen[m->from];
  if (!*seen) {
    *seen = aq_arena_alloc(&in->arena, sizeof **seen);
    if (!*seen) return;
    memset(*seen, 0, sizeof **seen);
  }
  uint32_t kind = (uint32_t)m->type - AQ_QBFT_PRE_PREPARE;
  if (m->round <= (*seen)->of[kind].round || m->raw.len > AQ_QBFT_RAW_MAX) return;
  (*seen)->of[kind].round = m->round;
  (*seen)->of[kind].len = (uint16_t)m->raw.len;
  memcpy((*seen)->of[kind].raw, m->raw.ptr, m->raw.len);
}

void aq_votes_note(aq_instance *in, const aq_qbft_msg *m) {
  note_one(in, m);
  for (uint32_t i = 0; i < m->just_cnt; i++) note_one(in, &m->just[i]);
}

static uint32_t count_votes(const aq_consensus *c, uint32_t of, aq_buf *out) {
  uint32_t cnt = 0;
  AQ_LIST_EACH(&c->all, in, aq_instance, node) {
    const aq_votes_seen *seen = in->seen[of];
    for (size_t i = 0; seen && i < AQ_COUNT(seen->of) && cnt < AQ_VOTES_MAX; i++) {
      if (seen->of[i].round == 0) continue;
      cnt++;
      if (out) aq_votes_put_vote(out, aq_bytes_of(seen->of[i].raw, seen->of[i].len));
    }
  }
  return cnt;
}

/* Is a process that was heard then hardly there any more? */
static bool is_gone(const aq_consensus *c, const aq_votes_heard *h) {
  uint64_t lasts_ns = AQ_VOTES_OTHER_SLOTS * c->cfg.chain->clock.slot_ns;
  return h->at_ns == 0 || aq_mono_ns(c->cfg.env) > h->at_ns + lasts_ns;
}

static aq_votes_heard heard_now(const aq_consensus *c, const aq_votes_hello *h) {
  uint64_t now = aq_mono_ns(c->cfg.env);
  return (aq_votes_heard){*h, now ? now : 1};
}

/* Notes who is there now; gives the other live process of that identity, NULL: none known. */
static const aq_votes_hello *hear(aq_consensus *c, uint32_t from, const aq_votes_hello *h) {
  aq_votes_peer *p = &c->votes.peer[from];
  if (p->newest.at_ns && memcmp(p->newest.hello.id, h->id, sizeof h->id) != 0) p->before = p->newest;
  p->newest = heard_now(c, h);
  return is_gone(c, &p->before) ? NULL : &p->before.hello;
}

static bool may_give(const aq_consensus *c, aq_votes_peer *p) {
  uint64_t now = aq_mono_ns(c->cfg.env);
  if (now >= p->window_ns + AQ_SECONDS(AQ_VOTES_WINDOW_S)) p->window_ns = now, p->given = 0;
  return p->given++ < AQ_VOTES_GIVEN_MAX;
}

static void on_request(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  aq_consensus *c = arg;
  const aq_net *net = c->cfg.net;
  aq_votes_hello h;
  bool wants;
  if (from >= c->cfg.n || aq_votes_read_request(&h, &wants, msg) != AQ_OK) {
    AQ_LOG(AQ_LOG_DEBUG, "votes_recv", AQ_UINT("from", from), AQ_STR("err", "not a request"));
    net->refuse(net->ctx, reply);
    return;
  }
  wants = wants && may_give(c, &c->votes.peer[from]);
  aq_buf out = AQ_BUF(AQ_VOTES_ANSWER_MAX);
  aq_votes_put_answer(&out, hear(c, from, &h), wants ? count_votes(c, from, NULL) : 0);
  if (wants) (void)count_votes(c, from, &out);
  if (out.failed)
    net->refuse(net->ctx, reply);
  else
    net->respond(net->ctx, reply, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

/* ---- what they know of us ---- */

static void log_stale(uint32_t peer, aq_duty duty, const aq_qbft_msg *m) {
  AQ_LOG(
      AQ_LOG_ERROR, "store_stale", AQ_UINT("from", peer), AQ_STR("duty", aq_duty_name(duty.type)),
      AQ_UINT("height", duty.slot), AQ_INT("round", m->round), AQ_STR("type", aq_qbft_type_label(m->type, m->round)),
      AQ_STR("err",
             "a peer has a vote of this node that its store lacks: an older copy of the store was put back, or another "
             "process uses this key. Duties that began before now are left out; do not put back copies of the store"));
}

void aq_votes_stale(aq_consensus *c, aq_duty duty, const aq_qbft_msg *m, uint32_t peer) {
  if (aq_consensus_must_abstain(c, duty)) return; /* told */
  aq_instance *here = aq_instance_open(c, duty);
  if (here) here->foreign_own = true; /* told here */
  aq_metric_add(AQ_M_STATE_STALE_TOTAL, 1, AQ_LABELS("peer"));
  log_stale(peer, duty, m);
  c->votes.stale_ns = aq_now_ns(c->cfg.env);
}

/* False: the peer makes things up, the rest of its answer is not looked at. */
static bool take_vote(aq_consensus *c, uint32_t peer, aq_bytes raw) {
  aq_arena a;
  aq_qbft_msg m;
  aq_duty duty;
  uint32_t cnt = 0;
  aq_arena_init(&a, AQ_INST_VOTES_ROOM);
  bool good = aq_qbft_wire_read(&m, &cnt, 1, &duty, &a, c->cfg.n, raw, false) == AQ_OK && m.from == c->cfg.self &&
              m.type <= AQ_QBFT_ROUND_CHANGE && aq_duty_is(duty.type, AQ_DF_CONSENSUS);
  const aq_instance *in = good ? aq_instance_find(c, duty) : NULL;
  bool over =
      good && (aq_now_ns(c->cfg.env) >= aq_duty_deadline_ns(c->cfg.chain, duty) || aq_consensus_has_ended(c, duty));
  bool news = good && !over && !aq_consensus_must_abstain(c, duty) && !(in && aq_instance_knows_own(in, &m));
  if (news) good = aq_qbft_wire_verify_one(&a, &m, c->cfg.peer_pubkey);
  if (news && good) aq_consensus_own_unknown(c, duty, &m, peer, true);
  aq_arena_free(&a);
  return good;
}

/* ---- another process of our identity ---- */

static bool same_id(const uint8_t *a, const uint8_t *b) { return memcmp(a, b, AQ_VOTES_ID_LEN) == 0; }

/* Was that process there when this one began? Peers said so in their first answers, and nobody can have known an id
   before it was. */
static bool was_there(const aq_consensus *c, const uint8_t *id) {
  for (uint32_t i = 0; i < c->cfg.n; i++) {
    const aq_votes_peer *p = &c->votes.peer[i];
    if (p->found_one && same_id(p->found, id)) return true;
  }
  return false;
}

static uint64_t rank_beside(const aq_consensus *c, const uint8_t *id) {
  return c->votes.started_ns | (was_there(c, id) ? AQ_VOTES_AFTER : 0);
}

/* Does this process call itself the later one of the two, in what it signs? */
static bool is_later_than(const aq_consensus *c, const aq_votes_hello *other) {
  uint64_t mine = rank_beside(c, other->id);
  if (mine != other->started_ns) return mine > other->started_ns;
  return memcmp(c->votes.own.id, other->id, sizeof other->id) > 0;
}

static void name(aq_consensus *c, const aq_votes_hello *other) {
  aq_votes *v = &c->votes;
  if (same_id(v->own.sees, other->id)) return;
  memcpy(v->own.sees, other->id, sizeof other->id);
  v->own.started_ns = rank_beside(c, other->id);
  aq_votes_hello_sign(&v->own, c->cfg.key, v->cluster);
}

/* Another one each slot of those that peers told of lately: a member that goes on telling of a run long gone must not
   hide who is there. */
static void name_next(aq_consensus *c) {
  aq_votes *v = &c->votes;
  for (uint32_t i = 0; i < c->cfg.n; i++) {
    v->turn = (v->turn + 1) % c->cfg.n;
    const aq_votes_heard *told = &v->peer[v->turn].told;
    if (is_gone(c, told) || same_id(told->hello.id, v->own.sees)) continue;
    name(c, &told->hello);
    return;
  }
}

static bool is_named_alive(const aq_consensus *c) {
  for (uint32_t i = 0; i < c->cfg.n; i++) {
    const aq_votes_heard *told = &c->votes.peer[i].told;
    if (!is_gone(c, told) && same_id(told->hello.id, c->votes.own.sees)) return true;
  }
  return false;
}

static void meet(aq_consensus *c, uint32_t peer, const aq_votes_hello *other) {
  aq_votes *v = &c->votes;
  aq_votes_peer *p = &v->peer[peer];
  uint64_t young_ns = c->started_mono_ns + AQ_VOTES_OTHER_SLOTS * c->cfg.chain->clock.slot_ns;
  if (same_id(other->id, v->own.id)) return;
  if (!aq_votes_hello_ok(other, c->cfg.peer_pubkey[c->cfg.self], v->cluster)) return;
  if (!p->answered && aq_mono_ns(c->cfg.env) <= young_ns) {
    p->found_one = true;
    memcpy(p->found, other->id, sizeof p->found);
  }
  p->told = heard_now(c, other);
  if (!is_named_alive(c)) name(c, other);
  if (!same_id(other->sees, v->own.id)) return; /* may be an earlier run of ours, long gone */
  if (is_later_than(c, other)) {
    if (!c->cfg.live_double || c->double_told) return;
    c->double_told = true;
    c->cfg.live_double(c->cfg.arg,
                       "another instance with this identity is running and began earlier: stop it before this "
                       "is started again");
  } else if (!v->earlier_told) {
    v->earlier_told = true;
    AQ_LOG(AQ_LOG_ERROR, "live_double", AQ_STR("result", "goes on"),
           AQ_STR("err",
                  "another instance with this identity was started after this one: it is to stop by itself; see that "
                  "it stays away"));
  }
}

/* ---- asking ---- */

static void end_asking(aq_consensus *c) {
  aq_votes *v = &c->votes;
  if (!v->asking) return;
  v->asking = false;
  aq_timer_cancel(c->cfg.env, &v->limit);
  AQ_LIST_EACH(&c->all, in, aq_instance, node) {
    if (in->wants_start && !in->running) aq_instance_start(in);
  }
}

static void on_answer(void *arg, aq_status st, aq_bytes answer) {
  aq_votes_asked *q = arg;
  aq_consensus *c = q->c;
  uint32_t peer = q->peer;
  aq_list_remove(&q->node);
  free(q);
  if (!c) return;
  aq_votes *v = &c->votes;
  v->peer[peer].asks = false;
  aq_votes_answer a;
  if (st == AQ_OK && aq_votes_read_answer(&a, answer) == AQ_OK) {
    for (aq_bytes raw; aq_votes_next(&a, &raw) && take_vote(c, peer, raw);) continue;
    if (a.has_other) meet(c, peer, &a.other);
    v->peer[peer].answered = true;
  } else if (st == AQ_OK) {
    AQ_LOG(AQ_LOG_DEBUG, "votes_recv", AQ_UINT("from", peer), AQ_STR("err", "not an answer"));
  }
  v->waiting &= ~bit(peer);
  if (v->waiting == 0) end_asking(c);
}

static void ask(aq_consensus *c, uint32_t peer, bool wants_votes) {
  aq_votes_peer *p = &c->votes.peer[peer];
  if (p->asks) return;
  p->asks = true;
  aq_buf msg = AQ_BUF(AQ_VOTES_REQUEST_LEN);
  aq_votes_put_request(&msg, &c->votes.own, wants_votes);
  AQ_ASSERT(!msg.failed);
  aq_votes_asked *q = calloc(1, sizeof *q);
  AQ_ASSERT(q);
  q->c = c, q->peer = peer;
  aq_list_push(&c->votes.asked, &q->node);
  c->cfg.net->request(c->cfg.net->ctx, peer, AQ_PROTO_VOTES, aq_buf_bytes(&msg), on_answer, q);
  aq_buf_free(&msg);
}

static void on_limit(void *arg) { end_asking(arg); }

static void on_period(void *arg) {
  aq_consensus *c = arg;
  const aq_net *net = c->cfg.net;
  name_next(c);
  for (uint32_t i = 0; i < c->cfg.n; i++) {
    if (i != c->cfg.self && net->connected(net->ctx, i)) ask(c, i, false);
  }
  aq_timer_after(c->cfg.env, &c->votes.period, c->cfg.chain->clock.slot_ns, on_period, c);
}

void aq_votes_ask(aq_consensus *c) {
  aq_votes *v = &c->votes;
  aq_timer_after(c->cfg.env, &v->period, c->cfg.chain->clock.slot_ns, on_period, c);
  if (c->cfg.n == 1) return;
  v->asking = true;
  v->waiting = (c->cfg.n == 32 ? UINT32_MAX : bit(c->cfg.n) - 1) & ~bit(c->cfg.self);
  aq_timer_after(c->cfg.env, &v->limit, AQ_MILLIS(AQ_VOTES_ASK_MS), on_limit, c);
  for (uint32_t i = 0; i < c->cfg.n; i++) {
    if (i != c->cfg.self) ask(c, i, true);
  }
}

_Static_assert(AQ_VOTES_ANSWER_MAX <= 128 << 10, "an answer fits into the protocol's limit, port/net.h");

bool aq_votes_must_wait(const aq_consensus *c, aq_duty duty) {
  uint64_t alive_ns = c->cfg.started_ns + AQ_STORE_MARGIN_NS;
  return c->votes.asking && aq_duty_start_ns(c->cfg.chain, duty) <= alive_ns;
}

/* ---- life ---- */

void aq_votes_init(aq_consensus *c) {
  aq_votes *v = &c->votes;
  aq_list_init(&v->asked);
  aq_sha256(v->cluster, aq_bytes_of(c->cfg.peer_pubkey, c->cfg.n * sizeof *c->cfg.peer_pubkey));
  aq_random(c->cfg.env, v->own.id, sizeof v->own.id);
  v->started_ns = v->own.started_ns = c->cfg.started_ns & ~AQ_VOTES_AFTER;
  aq_votes_hello_sign(&v->own, c->cfg.key, v->cluster);
  aq_net_handler handler = {.arg = c, .serve = on_request};
  c->cfg.net->handle(c->cfg.net->ctx, AQ_PROTO_VOTES, &handler);
}

void aq_votes_free(aq_consensus *c) {
  aq_timer_cancel(c->cfg.env, &c->votes.limit);
  aq_timer_cancel(c->cfg.env, &c->votes.period);
  c->cfg.net->handle(c->cfg.net->ctx, AQ_PROTO_VOTES, &(aq_net_handler){0});
  AQ_LIST_EACH(&c->votes.asked, q, aq_votes_asked, node) {
    aq_list_remove(&q->node);
    q->c = NULL;
  }
}
