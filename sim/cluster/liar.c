/* What hostile nodes do besides running our own code on two sides at once: change what they say and sign it again,
   spoil their shares, repeat what they heard, flood. They hold their own keys only. */
#include <stdlib.h>

#include "base/assert.h"
#include "qbft/qbft_wire.h"
#include "sim/cluster/world.h"

enum { HEARD_MAX = 24, HEARD_LEN_MAX = 1 << 16, REPEATS = 6 };

typedef struct {
  aq_net_proto proto;
  aq_buf data;
} heard;

struct sim_memory {
  heard item[HEARD_MAX];
  uint32_t next;
};

static void change(sim_world *w, aq_qbft_msg *m) {
  switch (sim_random(w, 6)) {
    case 0: m->value.b[sim_random(w, 32)] ^= 1; break;
    case 1: m->round += (int64_t)sim_between(w, 1, 3); break;
    case 2: m->type = (aq_qbft_type)sim_between(w, 1, 5); break;
    case 3: m->prepared_round = m->round > 1 ? (int64_t)sim_random(w, (uint64_t)m->round) : 0; break;
    case 4: m->prepared_value.b[sim_random(w, 32)] ^= 1; break;
    default: m->round = m->round > 1 ? m->round - 1 : 1; break;
  }
}

static bool mutate(sim_node *n, aq_bytes msg, aq_buf *out) {
  sim_world *w = n->w;
  aq_bytes raw;
  size_t end;
  if (!sim_fault_of(w, SIM_LIE_MUTATE, n->op) || !sim_chance(w, 600) || !sim_first_vote(&raw, &end, msg)) return false;
  aq_arena a;
  aq_qbft_msg m = {0};
  uint32_t cnt = 0;
  aq_duty duty;
  uint8_t signed_raw[AQ_QBFT_RAW_MAX];
  aq_arena_init(&a, SIM_SCRATCH);
  bool ok = aq_qbft_wire_read(&m, &cnt, 1, &duty, &a, w->n, raw, false) == AQ_OK;
  if (ok) {
    change(w, &m);
    size_t len = aq_qbft_wire_sign(signed_raw, w->key[n->op], duty, &m);
    aq_qbft_wire_put_msg(out, aq_bytes_of(signed_raw, len));
    aq_buf_put(out, msg.ptr + end, msg.len - end);
    sim_count_fault(w, SIM_LIE_MUTATE);
  }
  aq_arena_free(&a);
  return ok;
}

/* Well-formed, signed with the liar's own share, of another root than the payload's. */
static bool sign_another(sim_node *n, aq_bytes msg, aq_buf *out) {
  sim_world *w = n->w;
  aq_parsigex_set set;
  aq_parsig item[SIM_VALIDATORS_MAX];
  aq_buf data[SIM_VALIDATORS_MAX] = {{0}};
  aq_arena a;
  aq_arena_init(&a, SIM_VALUE_SCRATCH);
  bool ok = sim_read_shares(&set, &a, n, msg) == AQ_OK && set.cnt <= AQ_COUNT(item);
  for (uint32_t i = 0; ok && i < set.cnt; i++) {
    const aq_parsigex_item *it = &set.item[i];
    aq_signed_data d;
    uint8_t root[32];
    memcpy(root, it->root, 32);
    root[0] ^= 1;
    item[i].share_idx = n->op + 1;
    memcpy(item[i].pubkey, w->dist[it->validator].pubkey, 48);
    aq_bls_sign(item[i].sig, w->share_secret[n->op][it->validator], root);
    data[i] = AQ_BUF(SIM_VALUE_SCRATCH);
    ok = aq_signed_with_sig(&d, &a, it->data, item[i].sig) == AQ_OK && aq_signed_encode(&data[i], &d) == AQ_OK;
    item[i].data = aq_buf_bytes(&data[i]);
  }
  ok = ok && aq_parsigex_encode(out, &a, set.duty, &(aq_parsig_set){item, set.cnt}) == AQ_OK;
  for (size_t i = 0; i < AQ_COUNT(data); i++) aq_buf_free(&data[i]);
  aq_arena_free(&a);
  return ok;
}

static bool spoil_shares(sim_node *n, aq_bytes msg, aq_buf *out) {
  sim_world *w = n->w;
  if (!sim_fault_of(w, SIM_LIE_SHARES, n->op) || msg.len < 64) return false;
  sim_count_fault(w, SIM_LIE_SHARES);
  if (sim_chance(w, 600) && sign_another(n, msg, out)) return true;
  aq_buf_reset(out);
  aq_buf_put_bytes(out, msg);
  for (uint64_t i = sim_between(w, 1, 3); i > 0; i--) {
    size_t at = (size_t)(sim_chance(w, 700) ? out->len - 1 - sim_random(w, 60) : sim_random(w, out->len));
    out->ptr[at] ^= (uint8_t)sim_between(w, 1, 255);
  }
  return true;
}

bool sim_hides(sim_node *n, uint32_t op, aq_net_proto proto, aq_bytes msg) {
  sim_world *w = n->w;
  if (n->nature != SIM_LIAR || proto != AQ_PROTO_QBFT || !sim_fault_of(w, SIM_LIE_SHOW, n->op)) return false;
  aq_qbft_msg m = {0};
  uint32_t cnt = 0;
  aq_duty duty;
  aq_bytes raw;
  size_t end;
  aq_arena a;
  aq_arena_init(&a, SIM_SCRATCH);
  bool shown = sim_first_vote(&raw, &end, msg) &&
               aq_qbft_wire_read(&m, &cnt, 1, &duty, &a, w->n, raw, false) == AQ_OK && m.type == AQ_QBFT_PRE_PREPARE;
  aq_arena_free(&a);
  if (shown && w->liars >> op & 1) return false;
  uint32_t honest = w->n - (uint32_t)__builtin_popcount(w->liars);
  uint32_t rank = (uint32_t)__builtin_popcount(~w->liars & ((1u << op) - 1));
  if (shown && (rank + duty.slot + (uint64_t)m.round) % honest >= w->f) return false;
  sim_count_fault(w, SIM_LIE_SHOW);
  return true;
}

bool sim_lie(sim_node *n, aq_net_proto proto, aq_bytes msg, aq_buf *out) {
  if (proto == AQ_PROTO_QBFT) return sim_lie_values(n, msg, out) || mutate(n, msg, out);
  if (proto == AQ_PROTO_PARSIGEX) return spoil_shares(n, msg, out);
  return false;
}

void sim_liar_heard(sim_node *n, aq_net_proto proto, aq_bytes msg) {
  sim_world *w = n->w;
  if (msg.len > HEARD_LEN_MAX || !sim_fault_of(w, SIM_LIE_REPLAY, n->op)) return;
  if (!n->memory) n->memory = calloc(1, sizeof *n->memory);
  AQ_ASSERT(n->memory);
  heard *h = &n->memory->item[n->memory->next++ % HEARD_MAX];
  if (h->data.max == 0) h->data = AQ_BUF(HEARD_LEN_MAX);
  h->proto = proto;
  aq_buf_reset(&h->data);
  aq_buf_put_bytes(&h->data, msg);
}

static void say(sim_node *n, aq_net_proto proto, aq_bytes msg) {
  uint32_t peer = (n->op + 1 + (uint32_t)sim_random(n->w, n->w->n - 1)) % n->w->n;
  n->link.net.send(n->link.net.ctx, peer, proto, msg, NULL, NULL);
}

static void flood(sim_node *n, const sim_fault *f) {
  sim_world *w = n->w;
  for (uint64_t i = 0; i < f->p; i++) {
    aq_buf b = AQ_BUF(SIM_VALUE_SCRATCH);
    size_t len = (size_t)(sim_chance(w, 20) ? sim_between(w, 1 << 16, 1 << 20) : sim_random(w, 600));
    uint8_t *p = aq_buf_extend(&b, len);
    for (size_t k = 0; p && k < len; k += 1 + len / 256) p[k] = (uint8_t)sim_random(w, 256);
    say(n, sim_chance(w, 500) ? AQ_PROTO_QBFT : AQ_PROTO_PARSIGEX, aq_buf_bytes(&b));
    aq_buf_free(&b);
  }
  sim_count_fault(w, SIM_LIE_FLOOD);
}

static void repeat(sim_node *n) {
  for (int i = 0; i < REPEATS; i++) {
    const heard *h = &n->memory->item[sim_random(n->w, HEARD_MAX)];
    if (h->data.len) say(n, h->proto, aq_buf_bytes(&h->data));
  }
  sim_count_fault(n->w, SIM_LIE_REPLAY);
}

static void act(void *arg) {
  sim_node *n = arg;
  sim_world *w = n->w;
  const sim_fault *floods = sim_fault_of(w, SIM_LIE_FLOOD, n->op);
  bool repeats = sim_fault_of(w, SIM_LIE_REPLAY, n->op) != NULL;
  if (!floods && !repeats) return;
  aq_timer_set(&w->own.env.env, &n->replay, w->time.now_ns + AQ_MILLIS(sim_between(w, 200, 900)), act, n);
  if (!n->up || n->leaving) return;
  if (floods) flood(n, floods);
  if (repeats && n->memory) repeat(n);
}

void sim_liar_arm(sim_node *n) {
  if (n->replay.pos == 0) aq_timer_set(&n->w->own.env.env, &n->replay, n->w->time.now_ns, act, n);
}

void sim_liar_free(sim_node *n) {
  sim_values_free(n);
  if (!n->memory) return;
  for (size_t i = 0; i < HEARD_MAX; i++) aq_buf_free(&n->memory->item[i].data);
  free(n->memory);
}
