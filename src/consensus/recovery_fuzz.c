/* A component that starts on a journal which somebody else wrote: votes, values and decisions made of the input, well
   signed or spoilt, in any order and contradiction. It starts, and then neither votes against what it took over nor
   sends what is not durable (fake/cluster.h asserts both); what it distrusts it abstains from. Input: rows; each is a
   byte of kind and flags, type and round, value, and for spoilt ones a place and a byte. */
#include "base/log.h"
#include "base/metrics.h"
#include "consensus/validity.h"
#include "duty/payload.h"
#include "fake/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { N = 4, SELF = 1, ROWS_MAX = 32, VALUES = 3, OUT_MAX = 1 << 14 };

static const aq_duty duty = {320, AQ_DUTY_ATTESTER};
static aq_buf value[VALUES];
static aq_hash hash[VALUES];

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void make_values(void) {
  for (uint32_t v = 0; v < VALUES; v++) {
    aq_arena a;
    aq_arena_init(&a, 1 << 20);
    uint8_t ssz[128];
    aq_att_data data = {.slot = duty.slot, .source_epoch = 9, .target_epoch = 10};
    memset(data.beacon_block_root, (int)v + 1, 32);
    aq_att_data_put(ssz, &data);
    aq_unsigned_data u = {.duty = AQ_DUTY_ATTESTER, .type = &aq_t_attestation_data, .value = aq_bytes_of(ssz, 128)};
    u.attester = (aq_attester_duty){{7}, duty.slot, 3, 0, 8, 1, 1};
    aq_buf one = AQ_BUF(4096);
    AQ_ASSERT(aq_unsigned_encode(&one, &u) == AQ_OK);
    const aq_unsigned item = {{7}, aq_buf_bytes(&one)};
    value[v] = AQ_BUF(4096);
    AQ_ASSERT(aq_qbft_value_encode(&value[v], &hash[v], &a, &(aq_unsigned_set){&item, 1}) == AQ_OK);
    aq_buf_free(&one);
    aq_arena_free(&a);
  }
}

static aq_qbft_msg vote_of(aq_rd *in, uint32_t from) {
  uint8_t what = aq_rd_u8(in), which = aq_rd_u8(in);
  aq_qbft_msg m = {.type = (aq_qbft_type)(1 + (what & 3)), .from = from, .round = 1 + (what >> 2 & 7)};
  if (m.type != AQ_QBFT_ROUND_CHANGE)
    m.value = hash[which % VALUES];
  else if (which & 0x80)
    m.prepared_round = which >> 2 & 7, m.prepared_value = hash[which % VALUES];
  return m;
}

static void spoil(aq_buf *b, aq_rd *in) {
  size_t at = aq_rd_u8(in);
  uint8_t with = aq_rd_u8(in);
  if (b->len) b->ptr[at % b->len] ^= with;
  if (with & 1) b->len -= at < b->len ? at : b->len;
}

static void row(fake_cluster *w, aq_rd *in) {
  uint8_t how = aq_rd_u8(in), raw[AQ_QBFT_RAW_MAX];
  fake_node *n = &w->node[SELF];
  aq_buf just = AQ_BUF(OUT_MAX);
  aq_qbft_msg m = vote_of(in, how & 0x20 ? how >> 6 : SELF);
  size_t len = aq_qbft_wire_sign(raw, w->node[m.from].key, duty, &m);
  for (uint32_t i = 0; i < (how >> 2 & 7u); i++) {
    uint32_t from = (i + 1) % N;
    aq_qbft_msg j = vote_of(in, from);
    if (how & 0x40) j = (aq_qbft_msg){.type = AQ_QBFT_COMMIT, .from = from, .round = m.round, .value = m.value};
    aq_qbft_wire_put_just(&just, w->node[from].key, duty, &j);
  }
  bool is_blob = how % 4 == 2, is_decided = how % 4 == 3;
  aq_buf a = AQ_BUF(OUT_MAX), b = AQ_BUF(OUT_MAX);
  aq_buf_put_bytes(&a, is_blob      ? aq_buf_bytes(&value[m.round % VALUES])
                       : is_decided ? aq_buf_bytes(&just)
                                    : aq_bytes_of(raw, len));
  if (!is_blob && !is_decided) aq_buf_put_bytes(&b, aq_buf_bytes(&just));
  bool second = is_decided && fake_disk_decided(&n->disk, duty); /* one a duty: it is the key */
  if (!second && how & 0x80 && in->left >= 2) spoil(how & 0x40 ? &b : &a, in);
  aq_store_blob blob = {.duty = duty, .value = aq_buf_bytes(&a)};
  aq_store_decided decided = {.duty = duty, .round = (uint64_t)m.round, .commits = aq_buf_bytes(&a)};
  aq_store_vote vote = {.duty = duty, .msg_type = (uint8_t)m.type, .round = (uint64_t)m.round};
  vote.prepared_round = (uint64_t)m.prepared_round, vote.msg = aq_buf_bytes(&a), vote.just = aq_buf_bytes(&b);
  memcpy(blob.hash, hash[how & 0x80 ? 0 : m.round % VALUES].b, 32);
  memcpy(decided.hash, m.value.b, 32);
  memcpy(vote.value_hash, m.value.b, 32);
  if (!second)
    fake_disk_put(&n->disk, is_blob      ? fake_row_blob(&blob)
                            : is_decided ? fake_row_decided(&decided)
                                         : fake_row_vote(&vote));
  aq_buf_free(&just), aq_buf_free(&a), aq_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (!value[0].len) {
    aq_log_start(AQ_LOG_ERROR, quiet, NULL);
    aq_metrics_init();
    make_values();
  }
  if (len == 0) return 0;
  aq_rd in = aq_rd_of(aq_bytes_of(data + 1, len - 1));
  fake_cluster *w = fake_cluster_new(N, AQ_ELECTRA);
  fake_hold_until(w, aq_duty_start_ns(&w->chain, duty) + AQ_MILLIS(10) * data[0]);
  for (int i = 0; i < ROWS_MAX && in.left >= 3; i++) row(w, &in);
  w->node[SELF].foreign_rows = true;
  fake_boot(w, SELF, AQ_STORE_OK);
  (void)!aq_consensus_participate(w->node[SELF].c, duty);
  fake_run_until(w, fake_cluster_now(w) + AQ_SECONDS(1));
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  aq_unsigned_set set;
  AQ_ASSERT(aq_value_decode(&set, &a, aq_buf_bytes(&value[0])) == AQ_OK);
  (void)!aq_consensus_propose(w->node[SELF].c, duty, &set);
  aq_arena_free(&a);
  fake_run_until(w, fake_cluster_now(w) + AQ_SECONDS(12));
  fake_cluster_free(w);
  return 0;
}
