/* The run of one seed: events in the order of their time, links and the journal with their faults, crashes, the end.
   */
#include "sim/qbft/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/qbft/world.h"

enum { CANARY = 64, CANARY_BYTE = 0xa5, EVENTS_MAX = 4000000 };

/* ---- randomness ---- */

uint64_t world_random(world *w, uint64_t below) { return fake_rng_below(&w->rng, below); }
bool world_chance(world *w, uint32_t pct) { return world_random(w, 100) < pct; }

/* ---- small things ---- */

aq_hash world_value(uint32_t v) {
  aq_hash h = {{0}};
  h.b[31] = (uint8_t)v;
  return h;
}

uint32_t world_value_number(const aq_hash *h) {
  uint32_t v = h->b[31];
  return v < WORLD_VALUES ? v : 0;
}

uint32_t world_leader(const void *arg, int64_t round) {
  const world *w = arg;
  return (uint32_t)((w->shift + (uint64_t)round) % w->n);
}

const char *world_describe(const aq_qbft_msg *m) {
  static const char *const name[] = {"?", "PP", "P", "C", "RC", "D"};
  static char text[4][96];
  static unsigned at;
  char *out = text[at++ % 4];
  snprintf(out, sizeof text[0], "%s %u@%" PRId64 " v=%u pr=%" PRId64 " pv=%u just=%u", name[m->type], m->from, m->round,
           world_value_number(&m->value), m->prepared_round, world_value_number(&m->prepared_value), m->just_cnt);
  return out;
}

void world_fail(world *w, const char *fmt, ...) {
  if (w->out->why[0]) return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(w->out->why, sizeof w->out->why, fmt, args);
  va_end(args);
}

static void trace(const world *w, const char *fmt, ...) AQ_PRINTF(2, 3);
static void trace(const world *w, const char *fmt, ...) {
  if (!w->trace) return;
  va_list args;
  va_start(args, fmt);
  printf("%9.3f ms  ", (double)w->now / 1000);
  vprintf(fmt, args);
  printf("\n");
  va_end(args);
}

/* ---- events: a heap by (time, order of creation) ---- */

static bool before(const event *a, const event *b) { return a->at != b->at ? a->at < b->at : a->seq < b->seq; }

static void push(world *w, event e) {
  e.seq = ++w->seq;
  if (w->heap_cnt == w->heap_cap) {
    w->heap_cap = w->heap_cap ? 2 * w->heap_cap : 1024;
    w->heap = realloc(w->heap, w->heap_cap * sizeof *w->heap);
    AQ_ASSERT(w->heap);
  }
  size_t i = w->heap_cnt++;
  for (; i && before(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
  w->heap[i] = e;
}

static event pop(world *w) {
  event top = w->heap[0], last = w->heap[--w->heap_cnt];
  size_t i = 0;
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= w->heap_cnt) break;
    if (child + 1 < w->heap_cnt && before(&w->heap[child + 1], &w->heap[child])) child++;
    if (!before(&w->heap[child], &last)) break;
    w->heap[i] = w->heap[child];
    i = child;
  }
  if (w->heap_cnt) w->heap[i] = last;
  return top;
}

static event event_for(world *w, event_kind kind, uint32_t at, uint64_t after) {
  return (event){.kind = kind, .node = at, .life = w->node[at].life, .at = w->now + after};
}

void world_send(world *w, packet *p, uint32_t to, uint64_t after, bool honest) {
  event e = event_for(w, EV_PACKET, to, after);
  e.p = p;
  e.honest = honest;
  p->refs++;
  w->out->messages++;
  push(w, e);
}

/* ---- links ---- */

static uint64_t link_delay(world *w) {
  if (w->now >= w->heal_at) return 1 * WORLD_MS + world_random(w, 80 * WORLD_MS);
  return 1 * WORLD_MS + world_random(w, w->delay_max_ms * WORLD_MS);
}

static bool lost(world *w, uint32_t from, uint32_t to) {
  if (w->now >= w->heal_at) return false;
  if (w->now >= w->part_from && w->now < w->part_until && (w->side >> from & 1) != (w->side >> to & 1)) return true;
  return world_chance(w, w->loss_pct);
}

static void broadcast(world *w, uint32_t from, packet *p, uint32_t peers) {
  for (uint32_t to = 0; to < w->n; to++) {
    if (to == from || !(peers >> to & 1)) continue;
    uint32_t copies = lost(w, from, to) ? 0 : world_chance(w, w->double_pct) ? 2 : 1;
    for (uint32_t i = 0; i < copies; i++) world_send(w, p, to, link_delay(w), true);
  }
  p->refs++;
  packet_drop(w->seen[w->seen_next]);
  w->seen[w->seen_next] = p;
  w->seen_next = (w->seen_next + 1) % WORLD_SEEN_MAX;
  if (w->seen_cnt < WORLD_SEEN_MAX) w->seen_cnt++;
  if (p->m.round > w->round_max && p->m.round < 1000) w->round_max = p->m.round;
}

/* ---- journal ---- */

/* Records land in order; what is not there at a crash never was. */
static void journal(world *w, uint32_t self, const aq_qbft_msg *m, bool again) {
  node *n = &w->node[self];
  packet *p = packet_new(m);
  uint64_t lands = w->now + world_random(w, w->store_max_ms * WORLD_MS + 1);
  if (lands < n->journal_at) lands = n->journal_at;
  n->journal_at = lands;
  if (n->rec_cnt == n->rec_cap) {
    n->rec_cap = n->rec_cap ? 2 * n->rec_cap : 32;
    n->rec = realloc(n->rec, n->rec_cap * sizeof *n->rec);
    AQ_ASSERT(n->rec);
  }
  event e = event_for(w, EV_STORED, self, lands - w->now);
  e.p = p;
  e.honest = again;
  e.round = (int64_t)n->rec_cnt;
  if (!again) {
    p->refs++;
    n->rec[n->rec_cnt++] = (record){p, false};
  }
  push(w, e);
}

static void on_stored(world *w, const event *e) {
  node *n = &w->node[e->node];
  const aq_qbft_msg *m = &e->p->m;
  if (!e->honest) n->rec[e->round].durable = true;
  if (m->type == AQ_QBFT_DECIDED) {
    trace(w, "node %u decided %s", e->node, world_describe(m));
    check_decided(w, e->node, m);
    return;
  }
  trace(w, "node %u sends %s", e->node, world_describe(m));
  check_released(w, e->node, m, e->honest);
  packet *out = e->p;
  if (m->type == AQ_QBFT_COMMIT) { /* its proof stays at home */
    aq_qbft_msg bare = *m;
    bare.just_cnt = 0;
    out = packet_new(&bare);
  }
  broadcast(w, e->node, out, UINT32_MAX);
  if (out != e->p) packet_drop(out);
}

/* ---- nodes ---- */

static uint64_t round_end(const world *w, int64_t round, bool again) {
  if (!w->eager_timer || round > 1000) return w->now + (750 + 250 * (uint64_t)(round > 1000 ? 1000 : round)) * WORLD_MS;
  uint64_t end = (again ? 2 : 1) * (uint64_t)round * 1000 * WORLD_MS;
  return end > w->now ? end : w->now;
}

static void drain(world *w, uint32_t self, const event *cause) {
  node *n = &w->node[self];
  for (aq_qbft_fx fx; aq_qbft_next(n->q, &fx);) {
    event e = event_for(w, EV_TIMER, self, 0);
    switch (fx.kind) {
      case AQ_QBFT_FX_VOTE: journal(w, self, &fx.msg, fx.again); break;
      case AQ_QBFT_FX_DECIDE:
        if (!n->decided) journal(w, self, &fx.msg, false);
        break;
      case AQ_QBFT_FX_TIMER:
        e.at = round_end(w, fx.round, fx.again);
        e.round = fx.round;
        push(w, e);
        break;
      case AQ_QBFT_FX_CHECK:
        e.kind = EV_VERDICT;
        e.at = w->now + world_random(w, 20 * WORLD_MS);
        e.round = fx.round;
        e.value = fx.msg.value;
        e.honest = world_value_number(&fx.msg.value) < WORLD_INVALID_FROM;
        push(w, e);
        break;
      case AQ_QBFT_FX_ANSWER:
        if (n->decided) {
          packet *p = packet_new(&fx.msg);
          broadcast(w, self, p, UINT32_C(1) << fx.peer);
          packet_drop(p);
        }
        break;
      case AQ_QBFT_FX_RULE:
        trace(w, "node %u rule %s on round %" PRId64 " of node %u", self, aq_qbft_rule_name(fx.rule), fx.round,
              fx.peer);
        if (fx.rule == AQ_QBFT_RULE_PRE_PREPARE && cause && cause->kind == EV_PACKET &&
            cause->p->m.type == AQ_QBFT_PRE_PREPARE)
          check_accepted(w, self, &cause->p->m);
        break;
      case AQ_QBFT_FX_UNJUST: check_unjust(w, self, &fx.msg, cause && cause->honest); break;
      case AQ_QBFT_FX_ROUND:
        trace(w, "node %u round %" PRId64 " -> %" PRId64 " %s", self, fx.round_old, fx.round,
              aq_qbft_rule_name(fx.rule));
        if (fx.rule == AQ_QBFT_RULE_F1_ROUND_CHANGES) check_jump(w, self, fx.round_old, fx.round);
        break;
      case AQ_QBFT_FX_TIMER_OFF:
      case AQ_QBFT_FX_EQUIVOCATION: break;
    }
  }
}

static void *with_canary(size_t len) {
  uint8_t *mem = malloc(len + CANARY);
  AQ_ASSERT(mem);
  memset(mem + len, CANARY_BYTE, CANARY);
  return mem;
}

static void free_checked(world *w, void *mem, size_t len) {
  const uint8_t *end = (const uint8_t *)mem + len;
  for (size_t i = 0; i < CANARY; i++) {
    if (end[i] != CANARY_BYTE) world_fail(w, "I7: a machine wrote past its memory");
  }
  free(mem);
}

static void node_down(world *w, uint32_t self) {
  node *n = &w->node[self];
  if (!n->q) return;
  free_checked(w, n->mem, aq_qbft_footprint(w->n, false));
  free_checked(w, n->store, aq_qbft_store_footprint(w->n, false));
  n->q = NULL;
  n->up = false;
}

/* Only what was durable is read back, in any order. */
static void node_up(world *w, uint32_t self) {
  node *n = &w->node[self];
  aq_qbft_cfg cfg = {.n = w->n, .self = self, .leader = world_leader, .arg = w};
  n->mem = with_canary(aq_qbft_footprint(w->n, false));
  n->store = with_canary(aq_qbft_store_footprint(w->n, false));
  n->q = aq_qbft_init(n->mem, n->store, &cfg);
  memset(n->told, 0, sizeof n->told);
  memset(n->told_honestly, 0, sizeof n->told_honestly);
  n->up = true;
  n->journal_at = w->now;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n->rec_cnt; i++) {
    if (n->rec[i].durable && !n->lost_store)
      n->rec[kept++] = n->rec[i];
    else
      packet_drop(n->rec[i].p);
  }
  n->rec_cnt = kept;
  for (uint32_t i = kept; i > 1; i--) {
    uint32_t k = (uint32_t)world_random(w, i);
    record t = n->rec[k];
    n->rec[k] = n->rec[i - 1], n->rec[i - 1] = t;
  }
  for (uint32_t i = 0; i < kept; i++) {
    const aq_qbft_msg *m = &n->rec[i].p->m;
    if (m->type == AQ_QBFT_DECIDED) {
      aq_qbft_restore_decided(n->q, m);
    } else if (aq_qbft_restore(n->q, m) != AQ_OK) {
      world_fail(w, "I8: node %u cannot restore its own %s", self, world_describe(m));
    }
  }
  check_restored(w, self);
  if (n->lost_store) aq_qbft_abstain(n->q);
  aq_qbft_start(n->q);
  drain(w, self, NULL);
  event value = event_for(w, EV_VALUE, self, world_random(w, w->now < w->heal_at ? 1500 * WORLD_MS : 50 * WORLD_MS));
  push(w, value);
}

static void on_value(world *w, uint32_t self) {
  uint32_t v = world_chance(w, 40) ? 1 : 1 + (uint32_t)world_random(w, 60);
  aq_hash h = world_value(v);
  w->input[v] = true;
  trace(w, "node %u value %u", self, v);
  aq_qbft_value(w->node[self].q, &h);
  drain(w, self, NULL);
}

static void on_crash(world *w, uint32_t self) {
  node *n = &w->node[self];
  if (!n->up) return;
  trace(w, "node %u crashes", self);
  uint32_t cannot_vote = 0;
  for (uint32_t i = 0; i < w->n; i++) cannot_vote += w->node[i].liar || w->node[i].away || w->node[i].lost_store;
  if (!n->lost_store && cannot_vote < w->faulty && world_chance(w, 15)) {
    n->lost_store = true;
    if (n->decided) n->decided = false; /* must learn it again */
  }
  node_down(w, self);
  n->life++;
  w->out->crashes++;
  uint64_t back = w->now + world_random(w, 2500 * WORLD_MS);
  if (back > w->heal_at) back = w->heal_at;
  push(w, (event){.kind = EV_RESTART, .node = self, .life = n->life, .at = back < w->now ? w->now : back});
}

static void hear(node *n, const event *e) {
  const aq_qbft_msg *m = &e->p->m;
  if (m->type != AQ_QBFT_ROUND_CHANGE) return;
  if (m->round > n->told[m->from]) n->told[m->from] = m->round;
  if (e->honest && m->round > n->told_honestly[m->from]) n->told_honestly[m->from] = m->round;
}

static void dispatch(world *w, const event *e) {
  node *n = &w->node[e->node];
  if (e->kind != EV_LIE && (e->life != n->life || (!n->up && e->kind != EV_START && e->kind != EV_RESTART))) {
    if (e->kind != EV_PACKET || !n->up) return; /* of an earlier life, or to a dead node; packets find the new life */
  }
  switch (e->kind) {
    case EV_START:
    case EV_RESTART:
      trace(w, "node %u starts", e->node);
      node_up(w, e->node);
      break;
    case EV_VALUE: on_value(w, e->node); break;
    case EV_TIMER:
      aq_qbft_timeout(n->q, e->round);
      drain(w, e->node, e);
      break;
    case EV_PACKET:
      if (n->liar) return;
      trace(w, "node %u gets %s%s", e->node, world_describe(&e->p->m), e->honest ? "" : " (lie)");
      hear(n, e);
      (void)!aq_qbft_recv(n->q, &e->p->m);
      drain(w, e->node, e);
      check_followed(w, e->node);
      break;
    case EV_STORED: on_stored(w, e); break;
    case EV_VERDICT:
      aq_qbft_verdict(n->q, e->round, &e->value, e->honest);
      drain(w, e->node, NULL);
      break;
    case EV_CRASH: on_crash(w, e->node); break;
    case EV_LIE: {
      liar_act(w, e->node);
      event again = event_for(w, EV_LIE, e->node, (5 + world_random(w, 150)) * WORLD_MS);
      if (again.at < w->end_at) push(w, again);
      break;
    }
  }
}

/* ---- a run ---- */

/* The sizes between the usual ones come from random numbers of their own. */
static uint32_t size_of(world *w, uint64_t seed) {
  static const uint32_t sizes[] = {4, 4, 4, 7, 7, 10, 3, 1}, between[] = {5, 6, 8, 9};
  uint32_t n = sizes[world_random(w, AQ_COUNT(sizes))];
  fake_rng r;
  fake_rng_seed(&r, seed ^ UINT64_C(0x73697a65));
  return fake_rng_below(&r, 4) ? n : between[fake_rng_below(&r, AQ_COUNT(between))];
}

/* Nodes that are down for good: no more than leave a quorum of honest ones, which has to be enough. Of random numbers
   of their own, and after the liars. */
static void leave_out(world *w, uint64_t seed) {
  fake_rng r;
  fake_rng_seed(&r, seed ^ UINT64_C(0x61776179));
  uint32_t most = w->n - w->quorum > w->liars ? w->n - w->quorum - w->liars : 0;
  if (most == 0 || fake_rng_below(&r, 3) > 0) return;
  for (w->away = 1 + (uint32_t)fake_rng_below(&r, most), most = w->away; most > 0;) {
    node *n = &w->node[fake_rng_below(&r, w->n)];
    if (n->liar || n->away) continue;
    n->away = true;
    most--;
  }
}

/* Thresholds of our own: the product's may be wrong. */
static void set_up(world *w, uint64_t seed, uint32_t nodes) {
  fake_rng_seed(&w->rng, seed);
  w->n = size_of(w, seed);
  if (nodes) w->n = nodes;
  for (w->quorum = 1; 3 * w->quorum < 2 * w->n;) w->quorum++;
  for (w->faulty = 0; 3 * (w->faulty + 1) < w->n;) w->faulty++;
  w->shift = (uint32_t)world_random(w, w->n);
  w->eager_timer = world_chance(w, 50);
  w->loss_pct = world_chance(w, 30) ? 0 : (uint32_t)world_random(w, 50);
  w->double_pct = (uint32_t)world_random(w, 30);
  w->delay_max_ms = world_chance(w, 30) ? 20 : 10 + (uint32_t)world_random(w, 900);
  w->store_max_ms = (uint32_t)world_random(w, 15);
  w->heal_at = (1000 + world_random(w, 6000)) * WORLD_MS;
  w->side = (uint32_t)world_random(w, UINT64_C(1) << w->n);
  w->part_from = world_random(w, w->heal_at);
  w->part_until = world_chance(w, 50) ? w->part_from + world_random(w, 3000 * WORLD_MS) : w->part_from;
  w->liars = world_chance(w, 35) ? 0 : (uint32_t)world_random(w, w->faulty + 1);
  w->all_honest = w->liars == 0;
  for (uint32_t i = 0; i < w->liars; i++) {
    uint32_t k = (uint32_t)world_random(w, w->n);
    while (w->node[k].liar) k = (k + 1) % w->n;
    w->node[k].liar = true;
    push(w, event_for(w, EV_LIE, k, world_random(w, 50 * WORLD_MS)));
  }
  leave_out(w, seed);
  uint32_t bad = w->liars + w->away > w->faulty ? w->liars + w->away : w->faulty;
  /* consensus.md I9. With absolute timers the nodes share their rounds, and each one that a bad node leads may stretch
     to twice its end. With relative ones they share them once a round is longer than what lies between the nodes. */
  w->end_at = w->eager_timer ? (w->heal_at + 3000 * WORLD_MS) << (bad + 1) : w->heal_at + 300000 * WORLD_MS;
  for (uint32_t i = 0; i < w->n; i++) {
    if (w->node[i].liar || w->node[i].away) continue;
    push(w, event_for(w, EV_START, i, world_chance(w, 60) ? 0 : world_random(w, w->heal_at / 2)));
  }
  w->crashes_left = world_chance(w, 40) ? 0 : (uint32_t)world_random(w, 2 * w->n + 1);
  for (uint32_t i = 0; i < w->crashes_left; i++) {
    event e = {.kind = EV_CRASH, .node = (uint32_t)world_random(w, w->n), .at = world_random(w, w->heal_at)};
    push(w, e);
  }
}

static void tear_down(world *w) {
  while (w->heap_cnt) packet_drop(pop(w).p);
  for (uint32_t i = 0; i < w->n; i++) {
    node_down(w, i);
    for (uint32_t k = 0; k < w->node[i].rec_cnt; k++) packet_drop(w->node[i].rec[k].p);
    free(w->node[i].rec);
    free(w->node[i].sent);
  }
  for (uint32_t i = 0; i < WORLD_SEEN_MAX; i++) packet_drop(w->seen[i]);
  free(w->heap);
  free(w);
}

/* All honest nodes decided and nothing is left that could contradict it soon. */
static bool settled(const world *w) {
  if (w->now < w->heal_at) return false;
  for (uint32_t i = 0; i < w->n; i++) {
    const node *n = &w->node[i];
    if (!n->liar && !n->away && !n->lost_store && !n->decided) return false;
  }
  return true;
}

bool aq_qbft_sim_run(uint64_t seed, uint32_t nodes, bool tracing, aq_qbft_sim_result *out) {
  memset(out, 0, sizeof *out);
  world *w = calloc(1, sizeof *w);
  AQ_ASSERT(w);
  w->out = out;
  w->trace = tracing;
  w->round_max = 1;
  set_up(w, seed, nodes);
  out->nodes = w->n;
  out->liars = w->liars;
  while (w->heap_cnt && !out->why[0] && !settled(w)) {
    event e = pop(w);
    if (e.kind == EV_CRASH) e.life = w->node[e.node].life;
    if (e.at > w->end_at || out->events > EVENTS_MAX) {
      packet_drop(e.p);
      break;
    }
    w->now = e.at;
    out->events++;
    dispatch(w, &e);
    packet_drop(e.p);
  }
  if (!out->why[0]) check_end(w);
  tear_down(w);
  return out->why[0] == 0;
}
