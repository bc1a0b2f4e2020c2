/* Lies about values: what a hostile leader proposes instead of what its beacon node gave. The value is well-formed, its
   hash is right, the proposal and the votes for it are signed again; all peers are told the same. */
#include <stdlib.h>

#include "base/assert.h"
#include "consensus/validity.h"
#include "qbft/qbft_wire.h"
#include "sim/cluster/world.h"

enum { LIES_MAX = 16, VALUE_MAX = 8 << 20 };

static const char *const text[SIM_TRICK_CNT] = {
#define X(name, t) t,
    SIM_TRICK_MAP(X)
#undef X
};

_Static_assert((int)SIM_TRICK_CNT <= (int)AQ_SIM_TRICKS_MAX, "lies about values");

const char *aq_sim_trick_name(uint32_t trick) { return trick < SIM_TRICK_CNT ? text[trick] : NULL; }

/* One that was told, for the votes that follow. */
typedef struct {
  aq_duty duty;
  int64_t round;
  aq_hash from, to;
  aq_buf value;
} lie;

struct sim_lies {
  lie item[LIES_MAX];
  uint32_t next;
};

/* An entry of a set of attestations. */
typedef struct {
  uint8_t pubkey[48];
  aq_att_data data;
  aq_attester_duty duty;
} entry;

typedef struct {
  sim_world *w;
  entry item[SIM_VALIDATORS_MAX];
  uint32_t cnt;
  uint64_t epoch; /* of the slot */
} votes;

static void strange(sim_world *w, uint8_t root[32]) {
  for (int i = 0; i < 32; i++) root[i] = (uint8_t)sim_random(w, 256);
}

/* ---- tricks: false where there is too little for them ---- */

static bool left_out(votes *v) {
  if (v->cnt < 2) return false;
  v->cnt--;
  return true;
}

static bool two_sources(votes *v) {
  if (v->cnt < 2) return false;
  strange(v->w, v->item[v->cnt - 1].data.source_root);
  return true;
}

static bool two_heads(votes *v) {
  for (uint32_t i = 1; i < v->cnt; i++) {
    if (v->item[i].duty.committee_index != v->item[0].duty.committee_index) continue;
    strange(v->w, v->item[i].data.beacon_block_root);
    return true;
  }
  return false;
}

static bool wrong_index(votes *v) {
  for (uint32_t i = 0; i < v->cnt; i++) v->item[i].data.index++;
  return true;
}

static void source_of_all(votes *v, uint64_t epoch, const uint8_t root[32]) {
  for (uint32_t i = 0; i < v->cnt; i++) {
    v->item[i].data.source_epoch = epoch;
    memcpy(v->item[i].data.source_root, root, 32);
  }
}

/* Surrounds nothing, is taken by every journal, and bars what is honest while its epoch is not justified. */
static bool for_itself(votes *v) {
  uint8_t root[32];
  if (v->epoch == 0) return false;
  memcpy(root, v->item[0].data.target_root, 32);
  source_of_all(v, v->epoch, root);
  return true;
}

/* The same while the chain justifies nothing. */
static bool not_justified(votes *v) {
  uint8_t root[32];
  if (v->epoch == 0 || v->item[0].data.source_epoch + 1 >= v->epoch) return false;
  memcpy(root, v->item[0].data.target_root, 32);
  source_of_all(v, v->epoch - 1, root);
  return true;
}

static bool source_zero(votes *v) {
  static const uint8_t zero[32];
  if (v->item[0].data.source_epoch == 0) return false;
  source_of_all(v, 0, zero);
  return true;
}

static bool foreign_source(votes *v) {
  uint8_t root[32];
  strange(v->w, root);
  source_of_all(v, v->item[0].data.source_epoch, root);
  return true;
}

static bool foreign_target(votes *v) {
  uint8_t root[32];
  strange(v->w, root);
  for (uint32_t i = 0; i < v->cnt; i++) memcpy(v->item[i].data.target_root, root, 32);
  return true;
}

static bool false_duty(votes *v) {
  aq_attester_duty *d = &v->item[sim_random(v->w, v->cnt)].duty;
  switch (sim_random(v->w, 4)) {
    case 0: d->validator_index++; break;
    case 1: d->committee_length++; break;
    case 2: d->committees_at_slot++; break;
    default: d->validator_committee_index ^= 1; break;
  }
  return true;
}

static bool (*const trick[SIM_TRICK_CNT])(votes *v) = {
    [SIM_LEFT_OUT] = left_out,       [SIM_TWO_SOURCES] = two_sources,       [SIM_TWO_HEADS] = two_heads,
    [SIM_WRONG_INDEX] = wrong_index, [SIM_FOR_ITSELF] = for_itself,         [SIM_NOT_JUSTIFIED] = not_justified,
    [SIM_SOURCE_ZERO] = source_zero, [SIM_FOREIGN_SOURCE] = foreign_source, [SIM_FOREIGN_TARGET] = foreign_target,
    [SIM_FALSE_DUTY] = false_duty,
};

/* ---- forging ---- */

static bool read_votes(votes *v, aq_arena *a, const aq_unsigned_set *set) {
  for (uint32_t i = 0; i < set->cnt && v->cnt < AQ_COUNT(v->item); i++) {
    aq_unsigned_data d;
    entry *e = &v->item[v->cnt++];
    if (aq_unsigned_decode(&d, a, AQ_DUTY_ATTESTER, set->item[i].data) != AQ_OK) return false;
    memcpy(e->pubkey, set->item[i].pubkey, 48);
    aq_att_data_get(&e->data, d.value);
    e->duty = d.attester;
  }
  return v->cnt > 0;
}

static void write_votes(aq_buf *out, aq_hash *hash, aq_arena *a, const votes *v) {
  aq_unsigned item[SIM_VALIDATORS_MAX];
  aq_buf data[SIM_VALIDATORS_MAX] = {{0}};
  for (uint32_t i = 0; i < v->cnt; i++) {
    uint8_t ssz[128];
    aq_att_data_put(ssz, &v->item[i].data);
    aq_unsigned_data d = {.duty = AQ_DUTY_ATTESTER, .value = aq_bytes_of(ssz, sizeof ssz), .attester = v->item[i].duty};
    data[i] = AQ_BUF(SIM_OBJECT_MAX);
    AQ_MUST(aq_unsigned_encode(&data[i], &d) == AQ_OK);
    memcpy(item[i].pubkey, v->item[i].pubkey, 48);
    item[i].data = aq_buf_bytes(&data[i]);
  }
  AQ_MUST(aq_qbft_value_encode(out, hash, a, &(aq_unsigned_set){item, v->cnt}) == AQ_OK);
  for (uint32_t i = 0; i < v->cnt; i++) aq_buf_free(&data[i]);
}

static bool forge_votes(sim_world *w, uint64_t slot, aq_buf *out, aq_hash *hash, aq_arena *a,
                        const aq_unsigned_set *set) {
  votes v = {.w = w, .epoch = slot / w->slots_per_epoch};
  if (!read_votes(&v, a, set)) return false;
  uint32_t first = (uint32_t)sim_random(w, SIM_TRICK_CNT);
  for (uint32_t i = 0; i < SIM_TRICK_CNT; i++) {
    uint32_t k = (first + i) % SIM_TRICK_CNT;
    if (!trick[k] || !trick[k](&v)) continue;
    sim_say(w, "          a lie about slot %llu: %s", (unsigned long long)slot, text[k]);
    w->out->tricks[k]++;
    write_votes(out, hash, a, &v);
    return true;
  }
  return false;
}

/* The block pays the liar. One of the builder is then one that the relay does not know. */
static bool forge_block(sim_world *w, aq_buf *out, aq_hash *hash, aq_arena *a, const aq_unsigned_set *set) {
  static const uint8_t pays[20] = {0xba, 0xd0};
  aq_unsigned_data d;
  if (aq_unsigned_decode(&d, a, AQ_DUTY_PROPOSER, set->item[0].data) != AQ_OK || d.fork < AQ_BELLATRIX) return false;
  const char *full = aq_t_block_contents(d.fork) ? "block.body.execution_payload.fee_recipient"
                                                 : "body.execution_payload.fee_recipient";
  aq_buf value = AQ_BUF(VALUE_MAX), data = AQ_BUF(VALUE_MAX);
  aq_status st = aq_ssz_with(&value, d.type, d.value, d.blinded ? "body.execution_payload_header.fee_recipient" : full,
                             aq_bytes_of(pays, sizeof pays));
  d.value = aq_buf_bytes(&value);
  if (st == AQ_OK) st = aq_unsigned_encode(&data, &d);
  aq_unsigned item = set->item[0];
  item.data = aq_buf_bytes(&data);
  if (st == AQ_OK) st = aq_qbft_value_encode(out, hash, a, &(aq_unsigned_set){&item, 1});
  if (st == AQ_OK) w->out->tricks[SIM_OTHER_FEE]++;
  aq_buf_free(&value);
  aq_buf_free(&data);
  return st == AQ_OK;
}

/* ---- telling ---- */

static lie *find(const sim_node *n, const aq_qbft_wire *m) {
  for (uint32_t i = 0; n->lies && i < LIES_MAX; i++) {
    lie *l = &n->lies->item[i];
    if (l->round == m->msg.round && aq_duty_eq(l->duty, m->duty)) return l;
  }
  return NULL;
}

static lie *make(sim_node *n, aq_arena *a, const aq_qbft_wire *m) {
  sim_world *w = n->w;
  aq_buf bytes = AQ_BUF(VALUE_MAX), value = AQ_BUF(VALUE_MAX);
  aq_hash hash = {{0}};
  aq_unsigned_set set;
  bool ok = false;
  for (uint32_t i = 0; i < m->any_cnt && !ok; i++) {
    aq_buf_reset(&bytes);
    if (aq_qbft_value_canon(&bytes, &hash, a, m->duty.type, &m->any[i]) != AQ_OK || !aq_hash_eq(&hash, &m->msg.value) ||
        aq_value_decode(&set, a, aq_buf_bytes(&bytes)) != AQ_OK)
      continue;
    ok = m->duty.type == AQ_DUTY_ATTESTER ? forge_votes(w, m->duty.slot, &value, &hash, a, &set)
                                          : forge_block(w, &value, &hash, a, &set);
  }
  aq_buf_free(&bytes);
  if (!ok) {
    aq_buf_free(&value);
    return NULL;
  }
  if (!n->lies) n->lies = calloc(1, sizeof *n->lies);
  AQ_ASSERT(n->lies);
  lie *l = &n->lies->item[n->lies->next++ % LIES_MAX];
  aq_buf_free(&l->value);
  *l = (lie){.duty = m->duty, .round = m->msg.round, .from = m->msg.value, .to = hash, .value = value};
  sim_count_fault(w, SIM_LIE_VALUES);
  return l;
}

/* A value that a quorum prepared stays: another one would not be justified. */
static bool free_choice(const aq_qbft_wire *m) {
  if (m->msg.type != AQ_QBFT_PRE_PREPARE) return false;
  for (uint32_t i = 0; i < m->msg.just_cnt; i++) {
    if (m->msg.just[i].type == AQ_QBFT_PREPARE) return false;
  }
  return m->duty.type == AQ_DUTY_ATTESTER || m->duty.type == AQ_DUTY_PROPOSER;
}

static void tell(const sim_node *n, const lie *l, const aq_qbft_wire *m, aq_buf *out) {
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_qbft_msg other = m->msg;
  other.value = l->to;
  aq_buf_reset(out);
  aq_qbft_wire_put_msg(out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, n->w->key[n->op], m->duty, &other)));
  for (uint32_t i = 0; i < m->msg.just_cnt; i++) aq_qbft_wire_put_just(out, n->w->key[n->op], m->duty, &m->msg.just[i]);
  aq_qbft_wire_put_value(out, m->duty.type, aq_buf_bytes(&l->value));
}

bool sim_lie_values(sim_node *n, aq_bytes msg, aq_buf *out) {
  sim_world *w = n->w;
  if (!n->core.chain_known || (!n->lies && !sim_fault_of(w, SIM_LIE_VALUES, n->op))) return false;
  aq_arena a;
  aq_arena_init(&a, 2 * msg.len + SIM_MESSAGE_SCRATCH);
  const aq_qbft_wire_ctx ctx = {.n = w->n, .chain = &n->core.chain, .now_ns = aq_now_ns(&n->proc.env.env)};
  aq_qbft_wire m;
  lie *l = NULL;
  if (aq_qbft_wire_decode(&m, &a, &ctx, msg) == AQ_QBFT_WIRE_OK && m.msg.from == n->op) {
    l = find(n, &m);
    if (!l && free_choice(&m) && sim_fault_of(w, SIM_LIE_VALUES, n->op)) l = make(n, &a, &m);
    bool vote = m.msg.type <= AQ_QBFT_COMMIT && l && aq_hash_eq(&m.msg.value, &l->from);
    if (vote)
      tell(n, l, &m, out);
    else
      l = NULL;
  }
  aq_arena_free(&a);
  return l != NULL;
}

void sim_values_free(sim_node *n) {
  for (uint32_t i = 0; n->lies && i < LIES_MAX; i++) aq_buf_free(&n->lies->item[i].value);
  free(n->lies);
}
