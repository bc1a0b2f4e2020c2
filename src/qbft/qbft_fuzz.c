/* A byte string as the schedule of four machines, the last of them a liar whose messages come from the bytes too:
   deliver, drop, double, time out, crash and restart on the journal. Agreement, one content a round, a quorum behind
   each decision, honest messages never unjust. */
#include <stdlib.h>

#include "base/assert.h"
#include "qbft/qbft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { N = 4, LIAR = 3, PACKETS_MAX = 256, JUST_MAX = 8, LOG_MAX = 128, STEPS_MAX = 600 };

typedef struct {
  aq_qbft_msg m, just[JUST_MAX];
  uint32_t to;
  bool honest;
} packet;

typedef struct {
  aq_qbft *q;
  void *mem, *store;
  packet log[LOG_MAX]; /* journal: every vote, durable at once */
  uint32_t log_cnt;
  bool has_decided;
  packet decided;
} node;

typedef struct {
  node node[N];
  packet packet[PACKETS_MAX], seen[PACKETS_MAX];
  uint32_t packet_cnt, seen_cnt;
  bool any;
  aq_hash value;
  aq_rd in;
} world;

static uint32_t leader(const void *arg, int64_t round) {
  (void)arg;
  return (uint32_t)((round + 2) % N); /* the liar leads round 1 */
}

static void copy(packet *p, const aq_qbft_msg *m, uint32_t to, bool honest) {
  AQ_ASSERT(m->just_cnt <= JUST_MAX);
  p->m = *m;
  p->to = to;
  p->honest = honest;
  for (uint32_t i = 0; i < m->just_cnt; i++) {
    p->just[i] = m->just[i];
    p->just[i].just = NULL;
    p->just[i].just_cnt = 0;
  }
}

static void post(world *w, const aq_qbft_msg *m, uint32_t peers, bool honest) {
  for (uint32_t to = 0; to < LIAR; to++) {
    if (to == m->from || !(peers >> to & 1) || w->packet_cnt == PACKETS_MAX) continue;
    copy(&w->packet[w->packet_cnt++], m, to, honest);
  }
  if (honest && w->seen_cnt < PACKETS_MAX) copy(&w->seen[w->seen_cnt++], m, 0, true);
}

static bool same(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  return aq_hash_eq(&a->value, &b->value) && a->prepared_round == b->prepared_round &&
         aq_hash_eq(&a->prepared_value, &b->prepared_value);
}

static void on_vote(world *w, uint32_t self, const aq_qbft_msg *m) {
  node *n = &w->node[self];
  for (uint32_t i = 0; i < n->log_cnt; i++) {
    if (n->log[i].m.type == m->type && n->log[i].m.round == m->round) {
      AQ_ASSERT(same(&n->log[i].m, m)); /* consensus.md S1 */
      return;
    }
  }
  if (n->log_cnt == LOG_MAX) { /* the run ends here */
    w->in.left = 0;
    return;
  }
  copy(&n->log[n->log_cnt++], m, self, true);
  aq_qbft_msg bare = *m;
  if (m->type == AQ_QBFT_COMMIT) bare.just_cnt = 0;
  post(w, &bare, UINT32_MAX, true);
}

static void on_decide(world *w, uint32_t self, const aq_qbft_msg *m) {
  uint32_t seen = 0;
  for (uint32_t i = 0; i < m->just_cnt; i++) seen |= UINT32_C(1) << m->just[i].from;
  AQ_ASSERT(__builtin_popcount(seen) >= 3);
  AQ_ASSERT(!w->any || aq_hash_eq(&w->value, &m->value)); /* consensus.md I1 */
  w->any = true;
  w->value = m->value;
  w->node[self].has_decided = true;
  copy(&w->node[self].decided, m, self, true);
}

static void drain(world *w, uint32_t self, const packet *cause) {
  for (bool again = true; again;) {
    aq_qbft_fx fx, check = {.kind = AQ_QBFT_FX_TIMER};
    again = false;
    while (aq_qbft_next(w->node[self].q, &fx)) {
      if (fx.kind == AQ_QBFT_FX_VOTE) on_vote(w, self, &fx.msg);
      if (fx.kind == AQ_QBFT_FX_DECIDE) on_decide(w, self, &fx.msg);
      if (fx.kind == AQ_QBFT_FX_ANSWER) post(w, &fx.msg, UINT32_C(1) << fx.peer, true);
      if (fx.kind == AQ_QBFT_FX_UNJUST) AQ_ASSERT(!cause || !cause->honest); /* consensus.md I6 */
      if (fx.kind != AQ_QBFT_FX_CHECK) continue;
      check = fx;
      again = true;
    }
    if (again) aq_qbft_verdict(w->node[self].q, check.round, &check.msg.value, check.msg.value.b[0] != 4);
  }
}

static void boot(world *w, uint32_t self) {
  node *n = &w->node[self];
  aq_qbft_cfg cfg = {.n = N, .self = self, .leader = leader};
  n->q = aq_qbft_init(n->mem, n->store, &cfg);
  for (uint32_t i = 0; i < n->log_cnt; i++) {
    n->log[i].m.just = n->log[i].just;
    AQ_ASSERT(aq_qbft_restore(n->q, &n->log[i].m) == AQ_OK); /* consensus.md I8 */
  }
  if (n->has_decided) {
    n->decided.m.just = n->decided.just;
    aq_qbft_restore_decided(n->q, &n->decided.m);
  }
  aq_qbft_start(n->q);
  drain(w, self, NULL);
}

static void lie(world *w) {
  uint8_t what = aq_rd_u8(&w->in), peers = aq_rd_u8(&w->in), just_cnt = aq_rd_u8(&w->in) % (JUST_MAX + 1);
  aq_qbft_msg m = {.type = (aq_qbft_type)(1 + what % 5), .from = LIAR, .round = 1 + (what >> 4) % 6}, just[JUST_MAX];
  m.value.b[0] = what >> 3 & 7;
  for (uint32_t i = 0; i < just_cnt; i++) {
    uint8_t pick = aq_rd_u8(&w->in);
    if (w->seen_cnt && pick < 200) {
      just[i] = w->seen[pick % w->seen_cnt].m;
    } else {
      just[i] = (aq_qbft_msg){.type = (aq_qbft_type)(2 + pick % 3), .from = LIAR, .round = m.round - (pick >> 2 & 1)};
      just[i].value = just[i].type == AQ_QBFT_ROUND_CHANGE ? (aq_hash){{0}} : m.value;
    }
    just[i].just = NULL;
    just[i].just_cnt = 0;
  }
  if (m.type == AQ_QBFT_ROUND_CHANGE) {
    m.value = (aq_hash){{0}};
    if (just_cnt) m.prepared_round = just[0].round, m.prepared_value = just[0].value;
  }
  m.just = just;
  m.just_cnt = just_cnt;
  post(w, &m, peers, false);
}

static void step(world *w) {
  uint8_t op = aq_rd_u8(&w->in);
  uint32_t self = op % LIAR;
  node *n = &w->node[self];
  if (op < 150 && w->packet_cnt) {
    uint32_t at = aq_rd_u8(&w->in) % w->packet_cnt;
    packet p = w->packet[at];
    if (op >= 20) w->packet[at] = w->packet[--w->packet_cnt]; /* else it stays for another time */
    if (op >= 20 && op < 30) return;                          /* lost */
    p.m.just = p.just;
    (void)!aq_qbft_recv(w->node[p.to].q, &p.m);
    drain(w, p.to, &p);
  } else if (op < 175) {
    aq_qbft_timeout(n->q, aq_qbft_round(n->q));
    drain(w, self, NULL);
  } else if (op < 185) {
    aq_hash v = {{1}};
    v.b[0] = (uint8_t)(1 + self);
    aq_qbft_value(n->q, &v);
    drain(w, self, NULL);
  } else if (op < 195) {
    boot(w, self);
  } else {
    lie(w);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  world *w = calloc(1, sizeof *w);
  AQ_ASSERT(w);
  w->in = aq_rd_of(aq_bytes_of(data, len));
  for (uint32_t i = 0; i < LIAR; i++) {
    w->node[i].mem = malloc(aq_qbft_footprint(N, false));
    w->node[i].store = malloc(aq_qbft_store_footprint(N, false));
    AQ_ASSERT(w->node[i].mem && w->node[i].store);
    boot(w, i);
  }
  for (int i = 0; i < STEPS_MAX && w->in.left; i++) step(w);
  for (uint32_t i = 0; i < LIAR; i++) {
    free(w->node[i].mem);
    free(w->node[i].store);
  }
  free(w);
  return 0;
}
