/* Messages between the nodes, whole, over fake/link.h: delayed by region, lost, doubled, reordered, cut, changed by
   liars, and checked. */
#include "base/assert.h"
#include "qbft/qbft_wire.h"
#include "sim/cluster/world.h"

static sim_node *sender_of(const fake_letter *l) { return l->from->of; }
static sim_node *receiver_of(const fake_letter *l) { return l->to->of; }

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

/* A consensus message as a reader of a trace wants it. */
static void say_vote(const fake_letter *l) {
  sim_world *w = l->all->arg;
  aq_qbft_msg m = {0};
  uint32_t cnt = 0;
  aq_duty duty;
  aq_bytes raw;
  size_t end;
  if (!w->opts.trace || l->proto != AQ_PROTO_QBFT || !sim_first_vote(&raw, &end, aq_buf_bytes(&l->data))) return;
  aq_arena a;
  aq_arena_init(&a, SIM_SCRATCH);
  if (aq_qbft_wire_read(&m, &cnt, 1, &duty, &a, w->n, raw, false) == AQ_OK) {
    static const char *const name[] = {"?", "PRE-PREPARE", "PREPARE", "COMMIT", "ROUND-CHANGE", "DECIDED"};
    const char *type = (size_t)m.type < AQ_COUNT(name) ? name[m.type] : "?";
    sim_say(w, "  vote    %u -> %u  slot %llu %s, %s of round %lld, value %02x%02x, prepared %02x%02x in round %lld",
            sender_of(l)->idx, receiver_of(l)->idx, (unsigned long long)duty.slot, aq_duty_name(duty.type), type,
            (long long)m.round, m.value.b[0], m.value.b[1], m.prepared_value.b[0], m.prepared_value.b[1],
            (long long)m.prepared_round);
  }
  aq_arena_free(&a);
}

static bool there(void *arg, const fake_letter *l) {
  const sim_node *to = receiver_of(l);
  (void)arg;
  return to->up && !to->leaving && to->life == l->to_life;
}

static void deliver(fake_letter *l, bool again) {
  if (!l->to || !there(NULL, l)) return;
  sim_node *from = sender_of(l), *to = receiver_of(l);
  sim_trace(from->w, again ? "again" : "deliver", from->idx, to->idx, aq_buf_bytes(&l->data));
  say_vote(l);
  if (l->proto == AQ_PROTO_QBFT) sim_check_told(from, aq_buf_bytes(&l->data));
  if (to->nature == SIM_LIAR) sim_liar_heard(to, l->proto, aq_buf_bytes(&l->data));
  fake_letter_deliver(l);
}

static void arrive(void *arg, fake_letter *l) {
  sim_world *w = arg;
  deliver(l, false);
  const sim_fault *f = sim_fault_of(w, SIM_DUPLICATE, sender_of(l)->op);
  if (!f || !sim_chance(w, (uint32_t)f->p)) return;
  sim_count_fault(w, SIM_DUPLICATE);
  deliver(l, true);
}

static void serve(void *arg, fake_letter *l) {
  sim_trace(arg, "serve", sender_of(l)->idx, receiver_of(l)->idx, aq_buf_bytes(&l->data));
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

static void post(void *arg, fake_letter *l, aq_bytes msg) {
  sim_world *w = arg;
  sim_node *from = sender_of(l), *to;
  if (from->link.on_way > SIM_SENDS_MAX && from->nature == SIM_HONEST)
    sim_fail(w, "node %u has %u messages on their way", from->op, from->link.on_way);
  if (from->link.stopped || !sim_effect(&from->proc)) return; /* ends with its process */
  w->out->messages++;
  if (from->nature == SIM_HONEST) sim_check_sent(from, l->peer, l->proto, msg);
  if (from->nature != SIM_LIAR || !sim_lie(from, l->proto, msg, &l->data)) aq_buf_put_bytes(&l->data, msg);
  const sim_fault *loss = sim_fault_of(w, SIM_LOSS, from->op);
  to = pick(from, l->peer);
  l->to = to ? &to->link : NULL;
  l->to_life = to ? to->life : 0;
  uint64_t ns = sim_way_us(w, from->op, l->peer) * AQ_NS_PER_US;
  bool lost = loss && sim_chance(w, (uint32_t)loss->p);
  if (lost) sim_count_fault(w, SIM_LOSS);
  bool hidden = sim_hides(from, l->peer, l->proto, msg);
  if (to && !sim_cut(w, from->op, l->peer) && !lost && !hidden) {
    fake_letter_go(l, ns);
    return;
  }
  /* A stream that breaks: told sooner or later, or never known to have failed. */
  aq_status st = lost && !l->is_request && sim_chance(w, 500) ? AQ_OK : sim_chance(w, 500) ? AQ_E_CLOSED : AQ_E_TIMEOUT;
  fake_letter_tell(l, st == AQ_E_TIMEOUT ? FAKE_LINK_LIMIT_NS : ns, st);
}

static uint64_t way_ns(void *arg, fake_letter *l) {
  sim_node *server = receiver_of(l);
  if (!sim_effect(&server->proc)) return AQ_NEVER;
  return sim_way_us(arg, server->op, sender_of(l)->op) * AQ_NS_PER_US;
}

static bool connected(void *arg, fake_link *from, uint32_t peer) {
  sim_node *n = from->of;
  return pick(n, peer) != NULL && !sim_cut(arg, n->op, peer) && !sim_cut(arg, peer, n->op);
}

void sim_links_init(sim_world *w) {
  fake_links_init(&w->links, &w->own.env, w);
  w->links.post = post, w->links.there = there, w->links.arrive = arrive, w->links.serve = serve;
  w->links.way_ns = way_ns, w->links.connected = connected;
}

void sim_net_reset(sim_world *w, uint32_t a, uint32_t b) {
  AQ_LIST_EACH(&w->links.letters, l, fake_letter, node) {
    if (!l->from || l->waits) continue;
    uint32_t from = sender_of(l)->op;
    if (!(from == a && l->peer == b) && !(from == b && l->peer == a)) continue;
    sim_count_fault(w, SIM_RESET);
    fake_letter_tell(l, 0, AQ_E_CLOSED);
  }
}
