/* Messages between nodes in memory: who hears what, and when. */
#include "fake/link.h"

#include <stdlib.h>

enum { MESSAGE_MAX = 64 << 20, ANSWER_MAX = 32 << 20 };
#define REFUSAL_NS AQ_MILLIS(1)

static fake_letter *letter_of(aq_net_reply *r) { return (fake_letter *)(void *)r; }

static void stop_timers(fake_letter *l) {
  aq_timer_cancel(&l->all->env->env, &l->timer);
  aq_timer_cancel(&l->all->env->env, &l->limit);
}

static void letter_free(fake_letter *l) {
  stop_timers(l);
  aq_list_remove(&l->node);
  aq_buf_free(&l->data);
  free(l);
}

/* The sender's callback. A request that waits at its server stays until that is done with it. */
static void settle(fake_letter *l, aq_status st) {
  aq_net_done done = l->done;
  aq_net_answer answer = l->answer;
  void *arg = l->arg;
  AQ_ASSERT(l->from->on_way > 0);
  l->from->on_way--;
  if (l->waits) {
    stop_timers(l);
    l->from = NULL;
  } else {
    letter_free(l);
  }
  if (done) done(arg, st);
  if (answer) answer(arg, st, aq_bytes_of(NULL, 0));
}

static void settle_now(void *arg) { settle(arg, ((fake_letter *)arg)->st); }
static void unanswered(void *arg) { settle(arg, AQ_E_TIMEOUT); }

static void answered(void *arg) {
  fake_letter *l = arg;
  aq_net_answer fn = l->answer;
  aq_buf data = l->data;
  l->data = AQ_BUF(0);
  void *fn_arg = l->arg;
  l->from->on_way--;
  letter_free(l);
  fn(fn_arg, AQ_OK, aq_buf_bytes(&data));
  aq_buf_free(&data);
}

/* ---- the way there ---- */

static bool there(const fake_letter *l) {
  const fake_links *all = l->all;
  return l->to && (all->there ? all->there(all->arg, l) : l->to->up);
}

void fake_letter_deliver(fake_letter *l) {
  if (!there(l)) return;
  const aq_net_handler *h = &l->to->handler[l->proto];
  if (h->recv) h->recv(h->arg, l->from->self, aq_buf_bytes(&l->data));
}

static uint64_t way_back_ns(fake_letter *l) {
  return l->all->way_ns ? l->all->way_ns(l->all->arg, l) : l->all->delay_ns;
}

static void serve(fake_letter *l) {
  const aq_net_handler *h = l->to ? &l->to->handler[l->proto] : NULL;
  if (!h || !there(l) || !h->serve) {
    if (l->all->slow_refusals)
      fake_letter_tell(l, way_back_ns(l), AQ_E_CLOSED);
    else
      settle(l, AQ_E_CLOSED);
    return;
  }
  if (l->all->serve) l->all->serve(l->all->arg, l);
  l->waits = true;
  aq_buf in = l->data;
  l->data = AQ_BUF(ANSWER_MAX);
  h->serve(h->arg, l->from->self, aq_buf_bytes(&in), (aq_net_reply *)(void *)l);
  aq_buf_free(&in);
}

static void arrive(void *arg) {
  fake_letter *l = arg;
  if (l->is_request) {
    serve(l);
    return;
  }
  if (l->all->arrive)
    l->all->arrive(l->all->arg, l);
  else
    fake_letter_deliver(l);
  settle(l, AQ_OK);
}

void fake_letter_go(fake_letter *l, uint64_t after_ns) {
  aq_timer_after(&l->all->env->env, &l->timer, after_ns, arrive, l);
  if (l->is_request && l->all->limit_ns != AQ_NEVER)
    aq_timer_after(&l->all->env->env, &l->limit, l->all->limit_ns, unanswered, l);
}

void fake_letter_tell(fake_letter *l, uint64_t after_ns, aq_status st) {
  l->st = st;
  aq_timer_after(&l->all->env->env, &l->timer, after_ns, settle_now, l);
}

static fake_link *link_of(const fake_links *all, uint32_t peer) {
  AQ_LIST_EACH((aq_list *)(uintptr_t)&all->nodes, n, fake_link, node) {
    if (n->self == peer) return n;
  }
  return NULL;
}

static void post_as_it_is(fake_letter *l, aq_bytes msg) {
  aq_buf_put_bytes(&l->data, msg);
  l->to = link_of(l->all, l->peer);
  if (l->to && l->to->up)
    fake_letter_go(l, l->all->delay_ns);
  else
    fake_letter_tell(l, l->all->delay_ns, AQ_E_CLOSED);
}

static fake_letter *letter_new(fake_link *from, uint32_t peer, aq_net_proto proto) {
  fake_letter *l = calloc(1, sizeof *l);
  AQ_ASSERT(l);
  l->all = from->all, l->from = from, l->peer = peer, l->proto = proto;
  l->data = AQ_BUF(MESSAGE_MAX);
  aq_list_push(&from->all->letters, &l->node);
  from->on_way++;
  return l;
}

static void post(fake_letter *l, aq_bytes msg) {
  fake_links *all = l->all;
  if (all->post)
    all->post(all->arg, l, msg);
  else if (!l->from->stopped)
    post_as_it_is(l, msg);
}

void fake_letter_inject(fake_link *from, fake_link *to, aq_net_proto proto, uint64_t after_ns, aq_bytes msg) {
  fake_letter *l = letter_new(from, to->self, proto);
  l->to = to;
  aq_buf_put_bytes(&l->data, msg);
  fake_letter_go(l, after_ns);
}

/* ---- the port ---- */

static void net_send(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_done done, void *arg) {
  fake_letter *l = letter_new(ctx, peer, proto);
  l->done = done, l->arg = arg;
  post(l, msg);
}

static void net_request(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_answer fn, void *arg) {
  fake_letter *l = letter_new(ctx, peer, proto);
  l->answer = fn, l->arg = arg, l->is_request = true;
  post(l, msg);
}

static void net_respond(void *ctx, aq_net_reply *reply, aq_bytes answer) {
  fake_letter *l = letter_of(reply);
  fake_links *all = l->all;
  (void)ctx;
  l->waits = false;
  if (all && !l->from) {
    letter_free(l);
    return;
  }
  aq_buf_reset(&l->data);
  aq_buf_put_bytes(&l->data, answer);
  l->st = AQ_OK;
  if (!all) return;
  uint64_t ns = way_back_ns(l);
  if (ns != AQ_NEVER) aq_timer_after(&all->env->env, &l->timer, ns, answered, l); /* else the limit ends it */
}

static void net_refuse(void *ctx, aq_net_reply *reply) {
  fake_letter *l = letter_of(reply);
  (void)ctx;
  l->waits = false;
  if (!l->all) return;
  if (l->from)
    fake_letter_tell(l, REFUSAL_NS, AQ_E_CLOSED);
  else
    letter_free(l);
}

static void net_handle(void *ctx, aq_net_proto proto, const aq_net_handler *h) {
  ((fake_link *)ctx)->handler[proto] = *h;
}

static bool net_connected(void *ctx, uint32_t peer) {
  fake_link *n = ctx;
  const fake_links *all = n->all;
  if (all->connected) return all->connected(all->arg, n, peer);
  const fake_link *to = link_of(all, peer);
  return to && to->up;
}

static void net_fault(void *ctx, uint32_t peer, aq_net_proto proto, aq_status st) {
  fake_link *n = ctx;
  if (n->all->fault) n->all->fault(n->all->arg, n, peer, proto, st);
}

/* ---- life ---- */

void fake_links_init(fake_links *all, fake_env *env, void *arg) {
  *all = (fake_links){.env = env, .arg = arg, .delay_ns = AQ_MILLIS(10), .limit_ns = FAKE_LINK_LIMIT_NS};
  aq_list_init(&all->letters);
  aq_list_init(&all->nodes);
}

void fake_links_free(fake_links *all) { AQ_LIST_EACH(&all->letters, l, fake_letter, node) letter_free(l); }

void fake_link_join(fake_links *all, fake_link *out, uint32_t self, void *of) {
  *out = (fake_link){.all = all, .self = self, .of = of, .up = true};
  out->net = (aq_net){out, net_send, net_request, net_respond, net_refuse, net_handle, net_connected, net_fault};
  aq_list_push(&all->nodes, &out->node);
}

/* A letter that is freed has left the list, which the analyser does not see. */
static fake_letter *first_from(const fake_link *n) {
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
  AQ_LIST_EACH(&n->all->letters, l, fake_letter, node) {
    if (l->from == n) return l;
  }
  return NULL;
}

void fake_link_end(fake_link *n) {
  n->stopped = true;
  for (fake_letter *l; (l = first_from(n)) != NULL;) settle(l, AQ_E_CLOSED); /* callbacks may change the list */
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
  AQ_LIST_EACH(&n->all->letters, l, fake_letter, node) {
    if (l->from && l->waits && l->to == n) fake_letter_tell(l, 0, AQ_E_CLOSED);
  }
}

void fake_link_drop(fake_link *n) {
  AQ_LIST_EACH(&n->all->letters, l, fake_letter, node) {
    if (l->waits && l->to == n) l->waits = false;
    if (l->from == n || (!l->from && !l->waits)) letter_free(l);
  }
  n->up = false;
  aq_list_remove(&n->node);
}
