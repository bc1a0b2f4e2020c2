/* fake/scenario.h - one recorded run of Charon's whole component (test/vectors/consensus), replayed with ours
   on the fake cluster: its values, who starts, proposes and restarts when, and what came of it. Tests only. */
#ifndef AQ_FAKE_SCENARIO_H
#define AQ_FAKE_SCENARIO_H

#include "aq_test.h"
#include "codec/pb.h"
#include "consensus/validity.h"
#include "fake/cluster.h"

enum { SLOT_AT = 106 + 13, BLOCK_ROOT_AT = 106 + 24 };

typedef struct {
  aq_buf bytes;
  aq_hash hash;
  char name[16];
} value;

typedef struct {
  const char *name;
  fake_cluster *w;
  aq_duty duty;
  uint64_t start_ns;
  value values[FAKE_NODES_MAX + 1];
  uint32_t value_cnt;
  int64_t participate_ms[FAKE_NODES_MAX], propose_ms[FAKE_NODES_MAX], restart_ms[FAKE_NODES_MAX];
  bool offline[FAKE_NODES_MAX];
  aq_store_state store_state[FAKE_NODES_MAX];
} scenario;

static inline const aq_hash *hash_of(const scenario *s, const char *name) {
  for (uint32_t i = 0; i < s->value_cnt; i++) {
    if (strcmp(s->values[i].name, name) == 0) return &s->values[i].hash;
  }
  fail_msg("%s: no value %s", s->name, name);
  return NULL;
}

static inline void scenario_values(scenario *s, yyjson_val *values) {
  yyjson_obj_iter it = yyjson_obj_iter_with(values);
  for (yyjson_val *k; (k = yyjson_obj_iter_next(&it));) {
    yyjson_val *v = yyjson_obj_iter_get_val(k);
    value *out = &s->values[s->value_cnt++];
    snprintf(out->name, sizeof out->name, "%s", yyjson_get_str(k));
    out->bytes = aq_test_hex_of(v, "proto");
    aq_buf hash = aq_test_hex_of(v, "hash");
    memcpy(out->hash.b, hash.ptr, 32);
    aq_buf_free(&hash);
    if (s->duty.type != AQ_DUTY_PROPOSER) continue;
    /* The recorded blocks are of some random slot, which ours would not prepare: the slot follows the entry's 13 byte
       head. */
    assert_true(out->bytes.len > SLOT_AT + 8);
    aq_le64_put(out->bytes.ptr + SLOT_AT, s->duty.slot);
    aq_merkle_bytes(out->hash.b, aq_buf_bytes(&out->bytes), -1);
  }
}

/* X0: V0 with another head. */
static inline void add_x0(scenario *s) {
  value *x = &s->values[s->value_cnt++];
  snprintf(x->name, sizeof x->name, "X0");
  x->bytes = AQ_BUF(1 << 20);
  aq_buf_put_bytes(&x->bytes, aq_buf_bytes(&s->values[0].bytes));
  if (x->bytes.len > BLOCK_ROOT_AT) x->bytes.ptr[BLOCK_ROOT_AT] ^= 1;
  aq_merkle_bytes(x->hash.b, aq_buf_bytes(&x->bytes), -1);
}

static inline void scenario_read(scenario *s, yyjson_val *t) {
  memset(s, 0, sizeof *s);
  s->name = aq_test_str(t, "name");
  yyjson_val *duty = yyjson_obj_get(t, "duty"), *nodes = yyjson_obj_get(t, "nodes"), *links;
  s->duty = (aq_duty){aq_test_u64(duty, "slot"), (aq_duty_type)aq_test_u64(duty, "type")};
  uint32_t n = (uint32_t)aq_test_u64(t, "n");
  /* The recorded attestations have index 0 in committee 3, as since Electra; the blocks are Capella's. */
  s->w = fake_cluster_new(n, s->duty.type == AQ_DUTY_ATTESTER ? AQ_ELECTRA : AQ_CAPELLA);
  s->start_ns = aq_duty_start_ns(&s->w->chain, s->duty);
  links = yyjson_obj_get(t, "latency_ns_from_to");
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t k = 0; k < n; k++)
      s->w->delay_ns[i][k] = yyjson_get_uint(yyjson_arr_get(yyjson_arr_get(links, i), k));
    char key[16];
    snprintf(key, sizeof key, "%u", i);
    yyjson_val *node = yyjson_obj_get(nodes, key);
    s->offline[i] = yyjson_is_str(node);
    if (s->offline[i]) continue;
    s->participate_ms[i] = yyjson_get_sint(yyjson_obj_get(node, "participate_ms"));
    s->propose_ms[i] = yyjson_get_sint(yyjson_obj_get(node, "propose_ms"));
    s->restart_ms[i] = yyjson_get_sint(yyjson_obj_get(node, "restart_ms"));
  }
  scenario_values(s, yyjson_obj_get(t, "values"));
  add_x0(s);
}

static inline void scenario_free(scenario *s) {
  fake_cluster_free(s->w);
  for (uint32_t i = 0; i < s->value_cnt; i++) aq_buf_free(&s->values[i].bytes);
}

static inline void propose(scenario *s, uint32_t node) {
  char name[16];
  snprintf(name, sizeof name, "V%u", node);
  const value *v = NULL;
  for (uint32_t i = 0; i < s->value_cnt; i++) {
    if (strcmp(s->values[i].name, name) == 0) v = &s->values[i];
  }
  assert_non_null(v);
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  aq_unsigned_set set;
  assert_int_equal(aq_value_decode(&set, &a, aq_buf_bytes(&v->bytes)), AQ_OK);
  aq_status st = aq_consensus_propose(s->w->node[node].c, s->duty, &set);
  assert_true(st == AQ_OK || st == AQ_E_EXISTS);
  aq_arena_free(&a);
}

/* One pass of the clock in steps of a millisecond, with the scenario's own inputs at their times. */
static inline void scenario_run(scenario *s, int64_t until_ms) {
  fake_cluster *w = s->w;
  fake_hold_until(w, s->start_ns - AQ_SECONDS(3));
  for (uint32_t i = 0; i < w->n; i++) {
    if (!s->offline[i]) fake_boot(w, i, s->store_state[i]);
  }
  fake_run_until(w, s->start_ns);
  for (int64_t ms = 0; ms <= until_ms; ms++) {
    fake_run_until(w, s->start_ns + AQ_MILLIS(ms));
    for (uint32_t i = 0; i < w->n; i++) {
      if (s->offline[i]) continue;
      if (s->restart_ms[i] && ms == s->restart_ms[i]) {
        fake_kill(w, i);
        fake_boot(w, i, AQ_STORE_OK);
        assert_true(aq_consensus_participate(w->node[i].c, s->duty) != AQ_E_STALE);
      }
      if (s->participate_ms[i] == ms) assert_int_equal(aq_consensus_participate(w->node[i].c, s->duty), AQ_OK);
      if (s->propose_ms[i] == ms || (s->restart_ms[i] && ms == s->restart_ms[i] + 100)) propose(s, i);
    }
  }
}

static inline yyjson_val *find(yyjson_doc *doc, const char *name) {
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  for (yyjson_val *t; (t = yyjson_arr_iter_next(&it));) {
    if (strcmp(aq_test_str(t, "name"), name) == 0) return t;
  }
  fail_msg("no scenario %s", name);
  return NULL;
}

static inline double decided_ms(const scenario *s, uint32_t node) {
  const fake_decision *d = fake_decision_of(s->w, node, s->duty);
  return d ? (double)(d->at_ns - s->start_ns) / 1e6 : -1;
}

static inline void expect_decided(const scenario *s, uint32_t node, const char *value_name, double until_ms) {
  const fake_decision *d = fake_decision_of(s->w, node, s->duty);
  if (!d) fail_msg("%s: node %u did not decide", s->name, node);
  if (!aq_hash_eq(&d->hash, hash_of(s, value_name))) {
    fail_msg("%s: node %u decided another value than %s, round %u at %.3f ms", s->name, node, value_name,
             (unsigned)d->round, decided_ms(s, node));
  }
  if (decided_ms(s, node) > until_ms) fail_msg("%s: node %u at %.3f ms", s->name, node, decided_ms(s, node));
}

static inline void put_signed(aq_buf *out, const fake_node *n, aq_duty duty, const aq_qbft_msg *m) {
  uint8_t raw[AQ_QBFT_RAW_MAX];
  aq_qbft_wire_put_msg(out, aq_bytes_of(raw, aq_qbft_wire_sign(raw, n->key, duty, m)));
}

/* Node 0 shows X0 to nodes 2 and 3 in its PRE-PREPAREs, PREPAREs and COMMITs. */
static inline yyjson_doc *happy(scenario *s) {
  yyjson_doc *doc = aq_test_json("consensus/transcripts_component.json");
  scenario_read(s, find(doc, "happy_n4"));
  return doc;
}

static inline void finish(scenario *s, yyjson_doc *doc) {
  scenario_free(s);
  yyjson_doc_free(doc);
}

/* A message of node `from` to node `to`, outside the simulated links. */
static inline void inject(fake_cluster *w, uint32_t from, uint32_t to, aq_duty duty, const aq_qbft_msg *m,
                          aq_bytes bytes) {
  aq_buf out = AQ_BUF(1 << 20);
  put_signed(&out, &w->node[m->from], duty, m);
  for (uint32_t i = 0; i < m->just_cnt; i++)
    aq_qbft_wire_put_just(&out, w->node[m->just[i].from].key, duty, &m->just[i]);
  if (bytes.len) aq_qbft_wire_put_value(&out, duty.type, bytes);
  fake_hand_over(w, to, from, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

#endif
