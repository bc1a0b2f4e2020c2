/* Consensus components among themselves, and one of them in the hands of the input: its own machine is silent, and
   what it says are properly signed messages with justifications and values made of what was heard, of its own lies,
   and of both. Three honest nodes with real keys, stores and timers; deliveries, losses, kills and restarts come from
   the input too, so do failing disks and late starts. Nobody decides two values, no node shows two contents of one
   vote or sends before its record is durable (fake/cluster.h asserts both), what is decided somebody proposed, and
   instances and justifications keep their bounds. */
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/validity.h"
#include "duty/payload.h"
#include "fake/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { N = 4, HEARD_MAX = 512, VALUES = 4, STEPS_MAX = 300, OUT_MAX = 1 << 16 };

typedef struct {
  aq_qbft_msg m;
  uint8_t raw[AQ_QBFT_RAW_MAX];
} heard;

typedef struct {
  fake_cluster *w;
  aq_duty duty;
  uint32_t liar;
  heard heard[HEARD_MAX];
  size_t heard_cnt;
  aq_buf value[VALUES];
  aq_hash hash[VALUES];
  uint8_t lost[N]; /* percent, from each */
  aq_rd in;
} world;

static world g;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void keep(const aq_qbft_msg *m) {
  if (g.heard_cnt == HEARD_MAX || m->type == AQ_QBFT_DECIDED || m->raw.len > AQ_QBFT_RAW_MAX) return;
  for (size_t i = 0; i < g.heard_cnt; i++) {
    if (aq_bytes_eq(g.heard[i].m.raw, m->raw)) return;
  }
  heard *h = &g.heard[g.heard_cnt++];
  h->m = *m;
  memcpy(h->raw, m->raw.ptr, m->raw.len);
  h->m.raw = aq_bytes_of(h->raw, m->raw.len);
  h->m.just = NULL, h->m.just_cnt = 0;
}

static fake_verdict on_send(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                            uint64_t *extra_ns) {
  (void)w, (void)out;
  AQ_ASSERT(m->msg.just_cnt <= 2 * N && m->any_cnt <= AQ_QBFT_VALUES_MAX);
  if (from == g.liar) return FAKE_DROP;
  keep(&m->msg);
  if (to == g.liar) return FAKE_DROP;
  uint8_t luck = g.in.left ? aq_rd_u8(&g.in) : 255;
  if (luck < g.lost[from]) return FAKE_DROP;
  *extra_ns = AQ_MILLIS(10) * (luck & 15);
  return FAKE_PASS;
}

/* The liar's word: fields from the input, justification from what was heard or signed by itself. */
static aq_qbft_msg own(uint8_t what, uint8_t which) {
  static const aq_qbft_type type[] = {AQ_QBFT_PRE_PREPARE, AQ_QBFT_PREPARE, AQ_QBFT_COMMIT, AQ_QBFT_ROUND_CHANGE};
  aq_qbft_msg m = {.type = type[what & 3], .from = g.liar, .round = 1 + (what >> 2 & 7)};
  if (m.type != AQ_QBFT_ROUND_CHANGE) {
    m.value = g.hash[which % VALUES];
  } else if (which & 0x80 && m.round > 1) {
    m.prepared_round = 1 + (which >> 2 & 7) % (m.round - 1);
    m.prepared_value = g.hash[which % VALUES];
  }
  return m;
}

static void put_values(aq_buf *out, uint8_t mask) {
  for (uint32_t i = 0; i < VALUES; i++) {
    if (mask >> i & 1) aq_qbft_wire_put_value(out, g.duty.type, aq_buf_bytes(&g.value[i]));
  }
}

/* The wanted votes of one round among what was heard: a quorum that a machine may believe. */
static uint32_t quorum_of(aq_buf *out, aq_qbft_type type, int64_t round, uint32_t most) {
  uint32_t cnt = 0, seen = 0;
  for (size_t i = 0; i < g.heard_cnt && cnt < most; i++) {
    const aq_qbft_msg *m = &g.heard[i].m;
    if (m->type != type || m->round != round || seen >> m->from & 1) continue;
    seen |= UINT32_C(1) << m->from;
    aq_qbft_wire_put_just(out, NULL, g.duty, m);
    cnt++;
  }
  return cnt;
}

static void justify(aq_buf *out, const aq_qbft_msg *m, uint8_t how) {
  const aq_k1_key *key = g.w->node[g.liar].key;
  if (how & 0x80) { /* as an honest node would: round changes of the round, prepares of the one that was prepared */
    uint32_t cnt = quorum_of(out, AQ_QBFT_ROUND_CHANGE, m->round, 3);
    aq_qbft_msg vote = {.type = AQ_QBFT_ROUND_CHANGE, .from = g.liar, .round = m->round};
    if (cnt < 3 && how & 1) aq_qbft_wire_put_just(out, key, g.duty, &vote);
    int64_t prepared = m->type == AQ_QBFT_ROUND_CHANGE ? m->prepared_round : how >> 1 & 7;
    if (prepared == 0) return;
    cnt = quorum_of(out, AQ_QBFT_PREPARE, prepared, 3);
    vote = (aq_qbft_msg){.type = AQ_QBFT_PREPARE, .from = g.liar, .round = prepared, .value = m->value};
    if (m->type == AQ_QBFT_ROUND_CHANGE) vote.value = m->prepared_value;
    if (cnt < 3 && how & 0x10) aq_qbft_wire_put_just(out, key, g.duty, &vote);
    return;
  }
  for (uint32_t i = 0; i < (how & 7u); i++) {
    uint8_t pick = aq_rd_u8(&g.in);
    aq_qbft_msg vote = own(pick, aq_rd_u8(&g.in));
    if (pick & 0x80 && g.heard_cnt)
      aq_qbft_wire_put_just(out, NULL, g.duty, &g.heard[pick % g.heard_cnt].m);
    else
      aq_qbft_wire_put_just(out, key, g.duty, &vote);
  }
}

static void lie(void) {
  uint8_t what = aq_rd_u8(&g.in), which = aq_rd_u8(&g.in), how = aq_rd_u8(&g.in), peers = aq_rd_u8(&g.in);
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_qbft_msg m = own(what, which);
  aq_buf out = AQ_BUF(OUT_MAX);
  size_t len = aq_qbft_wire_sign(raw, g.w->node[g.liar].key, g.duty, &m);
  aq_qbft_wire_put_msg(&out, aq_bytes_of(raw, len));
  justify(&out, &m, how);
  put_values(&out, peers >> 4);
  for (uint32_t to = 0; to < N; to++) {
    if (to == g.liar || !(peers >> to & 1) || !g.w->node[to].up) continue;
    fake_letter_inject(&g.w->node[g.liar].link, &g.w->node[to].link, AQ_PROTO_QBFT, AQ_MILLIS(1), aq_buf_bytes(&out));
  }
  aq_buf_free(&out);
}

static aq_unsigned_set set_of(aq_arena *a, uint32_t v) {
  aq_unsigned_set set;
  AQ_ASSERT(aq_value_decode(&set, a, aq_buf_bytes(&g.value[v])) == AQ_OK);
  return set;
}

static void propose(uint32_t node, uint32_t v) {
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  aq_unsigned_set set = set_of(&a, v);
  if (g.w->node[node].up) (void)!aq_consensus_propose(g.w->node[node].c, g.duty, &set);
  aq_arena_free(&a);
}

/* Disks that fail, values that the node will not prepare, late starts, the end of the duty. */
static void trouble(fake_node *n, uint8_t what) {
  switch (what % 5) {
    case 0: n->disk.fails = !n->disk.fails; break;
    case 1: n->always_reject = !n->always_reject; break;
    case 2: fake_run_until(g.w, fake_cluster_now(g.w) + AQ_SECONDS(what)); break;
    default:
      if (n->up) (void)!aq_consensus_participate(n->c, g.duty);
      break;
  }
}

static void step(void) {
  uint8_t op = aq_rd_u8(&g.in);
  uint32_t node = (g.liar + 1 + op % 3u) % N;
  if (op < 120) {
    lie();
  } else if (op < 200) {
    fake_run_until(g.w, fake_cluster_now(g.w) + AQ_MILLIS(20) * (1 + op % 64));
  } else if (op < 225) {
    propose(node, op % VALUES);
  } else if (op < 235) {
    if (g.w->node[node].up) fake_kill(g.w, node);
  } else if (op < 248) {
    if (g.w->node[node].up) return;
    fake_boot(g.w, node, AQ_STORE_OK);
    (void)!aq_consensus_participate(g.w->node[node].c, g.duty);
  } else if (op < 252) {
    g.lost[node] = aq_rd_u8(&g.in);
  } else {
    trouble(&g.w->node[node], aq_rd_u8(&g.in));
  }
}

static void check(void) {
  const fake_decision *first = NULL;
  for (uint32_t i = 0; i < N; i++) {
    const fake_decision *d = fake_decision_of(g.w, i, g.duty);
    if (g.w->node[i].up) AQ_ASSERT(aq_consensus_instances(g.w->node[i].c) <= 1);
    if (!d || i == g.liar) continue;
    AQ_ASSERT(!first || aq_hash_eq(&first->hash, &d->hash));
    first = d;
    bool known = false;
    for (uint32_t v = 0; v < VALUES; v++) known |= aq_hash_eq(&d->hash, &g.hash[v]);
    AQ_ASSERT(known);
  }
}

/* Attestation data of one validator, apart by head. */
static void make_values(void) {
  for (uint32_t v = 0; v < VALUES; v++) {
    aq_arena a;
    aq_arena_init(&a, 1 << 20);
    uint8_t ssz[128];
    aq_att_data data = {.slot = g.duty.slot, .target_epoch = g.duty.slot / 32};
    data.source_epoch = data.target_epoch - 1;
    memset(data.beacon_block_root, (int)v + 1, 32);
    aq_att_data_put(ssz, &data);
    aq_unsigned_data u = {.duty = AQ_DUTY_ATTESTER, .type = &aq_t_attestation_data, .value = aq_bytes_of(ssz, 128)};
    u.attester = (aq_attester_duty){{7}, g.duty.slot, 3, 0, 8, 1, 1};
    aq_buf one = AQ_BUF(4096);
    AQ_ASSERT(aq_unsigned_encode(&one, &u) == AQ_OK);
    const aq_unsigned item = {{7}, aq_buf_bytes(&one)};
    g.value[v] = AQ_BUF(4096);
    AQ_ASSERT(aq_qbft_value_encode(&g.value[v], &g.hash[v], &a, &(aq_unsigned_set){&item, 1}) == AQ_OK);
    aq_buf_free(&one);
    aq_arena_free(&a);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 2) return 0;
  if (!g.value[0].len) {
    aq_log_start(AQ_LOG_ERROR, quiet, NULL);
    aq_metrics_init();
    g.duty = (aq_duty){320, AQ_DUTY_ATTESTER};
    make_values();
  }
  g.in = aq_rd_of(aq_bytes_of(data + 1, len - 1));
  g.liar = data[0] % N;
  g.heard_cnt = 0;
  memset(g.lost, 0, sizeof g.lost);
  g.w = fake_cluster_new(N, AQ_ELECTRA);
  g.w->filter = on_send;
  fake_hold_until(g.w, aq_duty_start_ns(&g.w->chain, g.duty) - AQ_SECONDS(3));
  for (uint32_t i = 0; i < N; i++) fake_boot(g.w, i, AQ_STORE_OK);
  fake_run_until(g.w, aq_duty_start_ns(&g.w->chain, g.duty));
  for (uint32_t i = 0; i < N; i++) {
    bool late = data[0] >> 2 >> i & 1; /* others' messages wait until it starts */
    if (i != g.liar && !late) (void)!aq_consensus_participate(g.w->node[i].c, g.duty);
  }
  for (int i = 0; i < STEPS_MAX && g.in.left; i++) step();
  fake_run_until(g.w, fake_cluster_now(g.w) + AQ_SECONDS(2));
  check();
  fake_cluster_free(g.w);
  return 0;
}
