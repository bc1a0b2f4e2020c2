/* Messages between the nodes, whole, as port/net.h has them: delayed by region, lost, doubled, reordered, cut. What
   lies below (sockets, Noise, streams) is short-circuited here. */
#include <stdlib.h>

#include "base/assert.h"
#include "qbft/qbft_wire.h"
#include "sim/cluster/world.h"

/* One message on its way, or the answer to a request on its way back. */
typedef struct {
  aq_list link;
  sim_world *w;
  sim_node *from, *to; /* to NULL: nobody gets it; from NULL: nobody waits for the answer any more */
  uint32_t to_life, to_op;
  aq_net_proto proto;
  aq_buf data;
  aq_net_done done;
  aq_net_answer answer;
  void *arg;
  bool is_request, waits; /* waits: at the server, for its answer */
  aq_status st;
  aq_timer timer, limit;
} letter;

static letter *letter_of(aq_net_reply *r) { return (letter *)(void *)r; }

static void letter_free(letter *l) {
  aq_timer_cancel(&l->w->own.env.env, &l->timer);
  aq_timer_cancel(&l->w->own.env.env, &l->limit);
  aq_list_remove(&l->link);
  aq_buf_free(&l->data);
  free(l);
}

bool sim_cut(sim_world *w, uint32_t from, uint32_t to) {
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    const sim_fault *f = &w->fault[i];
    if (!f->on) continue;
    bool hit = (f->kind == SIM_PARTITION && ((f->p >> from ^ f->p >> to) & 1)) ||
               (f->kind == SIM_ONE_WAY && f->a == from && f->b == to) ||
               (f->kind == SIM_ISOLATE && (f->a == from) != (f->a == to));
    if (!hit) continue;
    sim_count_fault(w, f->kind);
    return true;
  }
  return false;
}

uint64_t sim_way_us(sim_world *w, uint32_t from, uint32_t to) {
  uint64_t us = (uint64_t)w->base_ms[from][to] * 1000 + sim_between(w, 50, 2000);
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    const sim_fault *f = &w->fault[i];
    if (!f->on || (f->kind != SIM_REORDER && !(f->kind == SIM_DELAY && f->a == from))) continue;
    us += sim_random(w, f->p * 1000 + 1);
    sim_count_fault(w, f->kind);
  }
  return us;
}

/* The sender's callback. A request that waits at its server stays until that is done with it. */
static void settle(letter *l, aq_status st) {
  aq_net_done done = l->done;
  aq_net_answer answer = l->answer;
  void *arg = l->arg;
  AQ_ASSERT(l->from->link.on_way > 0);
  l->from->link.on_way--;
  if (l->waits) {
    aq_timer_cancel(&l->w->own.env.env, &l->timer);
    aq_timer_cancel(&l->w->own.env.env, &l->limit);
    l->from = NULL;
  } else {
    letter_free(l);
  }
  if (done) done(arg, st);
  if (answer) answer(arg, st, aq_bytes_of(NULL, 0));
}

static void settle_now(void *arg) { settle(arg, ((letter *)arg)->st); }

static void answered(void *arg) {
  letter *l = arg;
  aq_net_answer fn = l->answer;
  aq_buf data = l->data;
  l->data = AQ_BUF(0);
  void *fn_arg = l->arg;
  sim_node *from = l->from;
  letter_free(l);
  from->link.on_way--;
  fn(fn_arg, AQ_OK, aq_buf_bytes(&data));
  aq_buf_free(&data);
}

static void unanswered(void *arg) { settle(arg, AQ_E_TIMEOUT); }

/* A consensus message as a reader of a trace wants it. */
static void say_vote(const letter *l) {
  sim_world *w = l->w;
  aq_qbft_msg m = {0};
  uint32_t cnt = 0;
  aq_duty duty;
  aq_bytes raw;
  size_t end;
  if (!w->opts.trace || l->proto != AQ_PROTO_QBFT || !sim_first_vote(&raw, &end, aq_buf_bytes(&l->data))) return;
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  if (aq_qbft_wire_read(&m, &cnt, 1, &duty, &a, w->n, raw, false) == AQ_OK) {
    static const char *const name[] = {"?", "PRE-PREPARE", "PREPARE", "COMMIT", "ROUND-CHANGE", "DECIDED"};
    const char *type = (size_t)m.type < AQ_COUNT(name) ? name[m.type] : "?";
    sim_say(w, "  vote    %u -> %u  slot %llu %s, %s of round %lld, value %02x%02x, prepared %02x%02x in round %lld",
            l->from->idx, l->to->idx, (unsigned long long)duty.slot, aq_duty_name(duty.type), type, (long long)m.round,
            m.value.b[0], m.value.b[1], m.prepared_value.b[0], m.prepared_value.b[1], (long long)m.prepared_round);
  }
  aq_arena_free(&a);
}

static void deliver(letter *l, bool again) {
  sim_node *to = l->to;
  if (!to || !to->up || to->leaving || to->life != l->to_life) return;
  const aq_net_handler *h = &to->link.handler[l->proto];
  sim_trace(l->w, again ? "again" : "deliver", l->from->idx, to->idx, aq_buf_bytes(&l->data));
  say_vote(l);
  if (l->proto == AQ_PROTO_QBFT) sim_check_told(l->from, aq_buf_bytes(&l->data));
  if (to->nature == SIM_LIAR) sim_liar_heard(to, l->proto, aq_buf_bytes(&l->data));
  if (h->recv) h->recv(h->arg, l->from->op, aq_buf_bytes(&l->data));
}

static void arrive(void *arg) {
  letter *l = arg;
  sim_world *w = l->w;
  if (!l->is_request) {
    deliver(l, false);
    const sim_fault *f = sim_fault_of(w, SIM_DUPLICATE, l->from->op);
    if (f && sim_chance(w, (uint32_t)f->p)) {
      sim_count_fault(w, SIM_DUPLICATE);
      deliver(l, true);
    }
    settle(l, AQ_OK);
    return;
  }
  sim_node *to = l->to;
  const aq_net_handler *h = to ? &to->link.handler[l->proto] : NULL;
  if (!to || !to->up || to->leaving || to->life != l->to_life || !h->serve) {
    settle(l, AQ_E_CLOSED);
    return;
  }
  sim_trace(w, "serve", l->from->idx, to->idx, aq_buf_bytes(&l->data));
  l->waits = true;
  aq_buf in = l->data;
  l->data = AQ_BUF(32u << 20);
  h->serve(h->arg, l->from->op, aq_buf_bytes(&in), (aq_net_reply *)(void *)l);
  aq_buf_free(&in);
}

/* Which instance of an operator a message reaches: with twins, each sees its own half and the operators' side changes
   with time. */
static sim_node *pick(sim_node *from, uint32_t op) {
  sim_world *w = from->w;
  sim_node *choice[SIM_INSTANCES_MAX];
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < w->node_cnt; i++) {
    if (w->node[i]->op == op && w->node[i]->up && !w->node[i]->leaving) choice[cnt++] = w->node[i];
  }
  if (cnt == 0) return NULL;
  uint64_t slot = w->time.now_ns / w->slot_ns;
  return choice[(from->idx + slot / 3) % cnt];
}

static void post(sim_node *from, uint32_t peer, aq_net_proto proto, aq_bytes msg, letter *l) {
  sim_world *w = from->w;
  l->w = w, l->from = from, l->proto = proto, l->to_op = peer;
  l->data = AQ_BUF(64u << 20);
  aq_list_push(&w->letters, &l->link);
  if (++from->link.on_way > SIM_SENDS_MAX && from->nature == SIM_HONEST)
    sim_fail(w, "node %u has %u messages on their way", from->op, from->link.on_way);
  if (from->link.stopped || !sim_effect(&from->proc)) return; /* ends with its process */
  w->out->messages++;
  if (from->nature == SIM_HONEST) sim_check_sent(from, peer, proto, msg);
  if (from->nature != SIM_LIAR || !sim_lie(from, proto, msg, &l->data)) aq_buf_put_bytes(&l->data, msg);
  const sim_fault *loss = sim_fault_of(w, SIM_LOSS, from->op);
  l->to = pick(from, peer);
  l->to_life = l->to ? l->to->life : 0;
  uint64_t now_ns = aq_now_ns(&w->own.env.env), us = sim_way_us(w, from->op, peer);
  bool lost = loss && sim_chance(w, (uint32_t)loss->p);
  if (lost) sim_count_fault(w, SIM_LOSS);
  bool hidden = sim_hides(from, peer, proto, msg);
  if (!l->to || sim_cut(w, from->op, peer) || lost || hidden) {
    /* A stream that breaks: told sooner or later, or never known to have failed. */
    l->st = lost && !l->is_request && sim_chance(w, 500) ? AQ_OK : sim_chance(w, 500) ? AQ_E_CLOSED : AQ_E_TIMEOUT;
    uint64_t after_ns = l->st == AQ_E_TIMEOUT ? AQ_SECONDS(7) : us * AQ_NS_PER_US;
    aq_timer_set(&w->own.env.env, &l->timer, now_ns + after_ns, settle_now, l);
    return;
  }
  aq_timer_set(&w->own.env.env, &l->timer, now_ns + us * AQ_NS_PER_US, arrive, l);
  if (l->is_request) aq_timer_set(&w->own.env.env, &l->limit, now_ns + AQ_SECONDS(7), unanswered, l);
}

static letter *letter_new(void) {
  letter *l = calloc(1, sizeof *l);
  AQ_ASSERT(l);
  return l;
}

static void net_send(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_done done, void *arg) {
  letter *l = letter_new();
  l->done = done, l->arg = arg;
  post(ctx, peer, proto, msg, l);
}

static void net_request(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_answer fn, void *arg) {
  letter *l = letter_new();
  l->answer = fn, l->arg = arg, l->is_request = true;
  post(ctx, peer, proto, msg, l);
}

static void net_respond(void *ctx, aq_net_reply *reply, aq_bytes answer) {
  sim_node *n = ctx;
  letter *l = letter_of(reply);
  sim_world *w = n->w;
  l->waits = false;
  if (!l->from) {
    letter_free(l);
    return;
  }
  if (!sim_effect(&n->proc)) return; /* never comes: the limit ends it */
  aq_buf_put_bytes(&l->data, answer);
  aq_timer_set(&w->own.env.env, &l->timer,
               aq_now_ns(&w->own.env.env) + sim_way_us(w, n->op, l->from->op) * AQ_NS_PER_US, answered, l);
}

static void net_refuse(void *ctx, aq_net_reply *reply) {
  sim_node *n = ctx;
  letter *l = letter_of(reply);
  l->waits = false;
  if (!l->from) {
    letter_free(l);
    return;
  }
  l->st = AQ_E_CLOSED;
  aq_timer_set(&n->w->own.env.env, &l->timer, aq_now_ns(&n->w->own.env.env) + AQ_NS_PER_MS, settle_now, l);
}

static void net_handle(void *ctx, aq_net_proto proto, const aq_net_handler *h) {
  ((sim_node *)ctx)->link.handler[proto] = *h;
}

static bool net_connected(void *ctx, uint32_t peer) {
  sim_node *n = ctx;
  return pick(n, peer) != NULL && !sim_cut(n->w, n->op, peer) && !sim_cut(n->w, peer, n->op);
}

void sim_link_init(sim_node *n) {
  n->link = (sim_link){.net = {n, net_send, net_request, net_respond, net_refuse, net_handle, net_connected, NULL}};
}

/* A letter that is freed has left the list, which the analyser does not see. */
static letter *first_from(const sim_node *n) {
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
  AQ_LIST_EACH(&n->w->letters, l, letter, link) {
    if (l->from == n) return l;
  }
  return NULL;
}

/* As a host that stops: own sends and requests end, whoever waits for an answer from here is told. */
void sim_link_end(sim_node *n) {
  sim_world *w = n->w;
  n->link.stopped = true;
  for (letter *l; (l = first_from(n)) != NULL;) settle(l, AQ_E_CLOSED); /* callbacks may change the list */
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
  AQ_LIST_EACH(&w->letters, l, letter, link) {
    if (!l->from || !l->waits || l->to != n) continue;
    l->st = AQ_E_CLOSED;
    aq_timer_set(&w->own.env.env, &l->timer, w->time.now_ns, settle_now, l);
  }
}

void sim_link_drop(sim_node *n) {
  AQ_LIST_EACH(&n->w->letters, l, letter, link) {
    if (l->waits && l->to == n) l->waits = false;
    if (l->from == n || (!l->from && !l->waits)) letter_free(l);
  }
}

void sim_net_reset(sim_world *w, uint32_t a, uint32_t b) {
  AQ_LIST_EACH(&w->letters, l, letter, link) {
    if (!l->from || l->waits) continue;
    bool between = (l->from->op == a && l->to_op == b) || (l->from->op == b && l->to_op == a);
    if (!between) continue;
    sim_count_fault(w, SIM_RESET);
    l->st = AQ_E_CLOSED;
    aq_timer_set(&w->own.env.env, &l->timer, w->time.now_ns, settle_now, l);
  }
}
