/* The adversary: knows every message that was ever sent, signs as itself only, uses any message or part of one in any
   justification. It talks straight to nodes, with delays of its own choice. */
#include "sim/qbft/world.h"

enum { JUST_MAX = 2 * WORLD_NODES_MAX };

typedef struct {
  aq_qbft_msg item[JUST_MAX];
  uint32_t cnt;
} list;

static void add(list *l, const aq_qbft_msg *m) {
  if (l->cnt == JUST_MAX) return;
  l->item[l->cnt] = *m;
  l->item[l->cnt].just = NULL;
  l->item[l->cnt++].just_cnt = 0;
}

static aq_qbft_msg lie(uint32_t self, aq_qbft_type type, int64_t round, aq_hash value) {
  return (aq_qbft_msg){.type = type, .from = self, .round = round, .value = value};
}

static int64_t some_round(world *w) {
  int64_t r = (int64_t)world_random(w, (uint64_t)w->round_max + 3);
  return r < 1 ? 1 : r;
}

static aq_hash some_value(world *w) {
  static const aq_hash none;
  switch (world_random(w, 8)) {
    case 0: return none;
    case 1: return world_value(WORLD_INVALID_FROM + (uint32_t)world_random(w, 3));
    case 2: return world_value(1 + (uint32_t)world_random(w, 60));
    default: break;
  }
  if (w->seen_cnt == 0) return world_value(1);
  const aq_qbft_msg *m = &w->seen[world_random(w, w->seen_cnt)]->m;
  return aq_hash_is_zero(&m->value) ? world_value(1 + (uint32_t)world_random(w, 9)) : m->value;
}

/* One message of each source that fits, liars made up on the spot; false when short of a quorum. */
static bool gather(world *w, aq_qbft_type type, int64_t round, const aq_hash *value, list *out) {
  uint32_t have = 0, start = out->cnt;
  for (uint32_t i = 0; i < w->n; i++) {
    if (!w->node[i].liar) continue;
    aq_qbft_msg m = lie(i, type, round, value ? *value : (aq_hash){{0}});
    add(out, &m);
    have |= UINT32_C(1) << i;
  }
  for (uint32_t i = 0; i < w->seen_cnt; i++) {
    const packet *p = w->seen[i];
    if (p->m.type != type || p->m.round != round || have >> p->m.from & 1) continue;
    if (value && !aq_hash_eq(&p->m.value, value)) continue;
    if (!value && p->m.prepared_round > 0 && world_chance(w, 60)) continue; /* hide certificates when it can */
    have |= UINT32_C(1) << p->m.from;
    add(out, &p->m);
  }
  return out->cnt - start >= w->quorum;
}

/* A quorum of PREPAREs for the claim of some ROUND-CHANGE in the list, or for anything. */
static void add_certificate(world *w, list *l, aq_hash *value) {
  const aq_qbft_msg *best = NULL;
  for (uint32_t i = 0; i < l->cnt; i++) {
    if (!best || l->item[i].prepared_round > best->prepared_round) best = &l->item[i];
  }
  for (uint32_t i = 0; i < l->cnt && world_chance(w, 40); i++) { /* a lower claim, as if the highest were not there */
    if (l->item[i].prepared_round > 0) best = &l->item[i];
  }
  if (!best || best->prepared_round == 0) return;
  *value = best->prepared_value;
  (void)gather(w, AQ_QBFT_PREPARE, best->prepared_round, &best->prepared_value, l);
}

static void tell(world *w, const aq_qbft_msg *m, uint32_t peers, bool honest) {
  packet *p = packet_new(m);
  check_lie(w, m);
  for (uint32_t i = 0; i < w->n; i++) {
    if (peers >> i & 1 && !w->node[i].liar) world_send(w, p, i, 1 + world_random(w, 80 * WORLD_MS), honest);
  }
  packet_drop(p);
}

static uint32_t some_peers(world *w) { return (uint32_t)world_random(w, UINT64_C(1) << w->n); }

/* A liar's ROUND-CHANGE in the list claims to have prepared the value just now, on the word of the liars. */
static void claim(world *w, list *l, int64_t round, aq_hash *value) {
  for (uint32_t i = 0; i < l->cnt; i++) {
    if (!w->node[l->item[i].from].liar) continue;
    l->item[i].prepared_round = 1 + (int64_t)world_random(w, (uint64_t)round);
    l->item[i].prepared_value = *value;
    return;
  }
}

/* Two values for one round, each to a part of the cluster, justified as well as it can. */
static void propose(world *w, uint32_t self) {
  for (int tries = 0; tries < 4; tries++) {
    int64_t round = some_round(w);
    if (world_leader(w, round) != self && world_chance(w, 95)) continue;
    list just = {.cnt = 0};
    aq_hash value = some_value(w);
    if (round > 1 || world_chance(w, 20)) {
      (void)gather(w, AQ_QBFT_ROUND_CHANGE, round, NULL, &just);
      if (world_chance(w, 30)) claim(w, &just, round, &value);
      add_certificate(w, &just, &value);
    }
    uint32_t peers = some_peers(w);
    aq_qbft_msg m = lie(self, AQ_QBFT_PRE_PREPARE, round, value);
    m.just = just.item;
    m.just_cnt = just.cnt;
    tell(w, &m, peers, false);
    m.value = some_value(w);
    tell(w, &m, world_chance(w, 80) ? ~peers : some_peers(w), false);
    return;
  }
}

static void vote(world *w, uint32_t self) {
  aq_qbft_type type = world_chance(w, 50) ? AQ_QBFT_PREPARE : AQ_QBFT_COMMIT;
  int64_t round = some_round(w);
  aq_qbft_msg m = lie(self, type, round, some_value(w));
  uint32_t peers = some_peers(w);
  tell(w, &m, peers, false);
  m.value = some_value(w);
  if (world_chance(w, 60)) tell(w, &m, ~peers, false);
}

static void change(world *w, uint32_t self) {
  aq_qbft_msg m = lie(self, AQ_QBFT_ROUND_CHANGE, some_round(w) + (int64_t)world_random(w, 2), (aq_hash){{0}});
  list just = {.cnt = 0};
  if (world_chance(w, 50)) {
    m.prepared_round = some_round(w);
    m.prepared_value = some_value(w);
    (void)gather(w, AQ_QBFT_PREPARE, m.prepared_round, &m.prepared_value, &just);
    if (just.cnt > w->n) just.cnt = w->n;
    m.just = just.item;
    m.just_cnt = world_chance(w, 80) ? just.cnt : 0;
  }
  if (world_chance(w, 3)) m.round = AQ_QBFT_ROUND_MAX - (int64_t)world_random(w, 3);
  tell(w, &m, some_peers(w), false);
}

static void decide(world *w, uint32_t self) {
  aq_qbft_msg m = lie(self, AQ_QBFT_DECIDED, some_round(w), some_value(w));
  list just = {.cnt = 0};
  if (!gather(w, AQ_QBFT_COMMIT, m.round, &m.value, &just) && just.cnt) {
    while (just.cnt < w->quorum) add(&just, &just.item[0]); /* one source many times */
  }
  m.just = just.item;
  m.just_cnt = just.cnt;
  tell(w, &m, some_peers(w), false);
}

/* Old messages again; whole ones are as good as new, stripped or regrouped ones are a lie. */
static void replay(world *w) {
  if (w->seen_cnt == 0) return;
  const packet *p = w->seen[world_random(w, w->seen_cnt)];
  aq_qbft_msg m = p->m;
  bool whole = world_chance(w, 60);
  list just = {.cnt = 0};
  if (!whole) {
    for (uint32_t i = 0; i < p->m.just_cnt; i++) {
      if (world_chance(w, 70)) add(&just, &p->just[i]);
    }
    const packet *other = w->seen[world_random(w, w->seen_cnt)];
    add(&just, &other->m);
    m.just = just.item;
    m.just_cnt = just.cnt;
  }
  packet *copy = packet_new(&m);
  uint32_t peers = some_peers(w), times = 1 + (uint32_t)world_random(w, 3);
  for (uint32_t i = 0; i < w->n; i++) {
    for (uint32_t k = 0; k < times && peers >> i & 1 && !w->node[i].liar; k++)
      world_send(w, copy, i, 1 + world_random(w, 80 * WORLD_MS), whole);
  }
  packet_drop(copy);
}

void liar_act(world *w, uint32_t self) {
  switch (world_random(w, 6)) {
    case 0: propose(w, self); break;
    case 1:
    case 2: vote(w, self); break;
    case 3: change(w, self); break;
    case 4: decide(w, self); break;
    default: replay(w); break;
  }
}
