/* fake/nodes.h - whole duty paths of four nodes in one process and in virtual time: real workflow, consensus and
   tss over a fake network, journal and beacon nodes, and a validator client that signs what was agreed. Each message
   is checked: a partial signature leaves only after its record is durable. Header only; for tests. */
#ifndef AQ_FAKE_NODES_H
#define AQ_FAKE_NODES_H

#include "aq_test.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/pb.h"
#include "core.pb-c.h"
#include "fake/bn.h"
#include "fake/store.h"
#include "fake/link.h"
#include "flow/workflow_internal.h"

enum {
  NODES = 4,
  THRESHOLD = 3,
  VALIDATORS = FAKE_BN_VALIDATORS,
  FIRST_INDEX = FAKE_BN_FIRST_INDEX,
  SPE = FAKE_BN_SPE,
  VERDICTS_MAX = 64,
  LINES_MAX = 256
};
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT_NS AQ_SECONDS(12)
#define HEAD_ROOT FAKE_BN_ROOT

typedef struct world world;

typedef struct {
  bool called;
  aq_status st;
  uint32_t cnt;
  aq_status item[VALIDATORS];
  const char *why[VALIDATORS];
} vc_answer;

/* One duty of a validator client: waits for what was agreed, signs, submits. */
typedef struct {
  world *w;
  uint32_t node, validator;
  aq_dutydb_waiter wait;
  vc_answer answer;
} vc_call;

typedef struct {
  world *w;
  uint32_t idx;
  bool up;
  fake_link link;
  fake_disk disk;
  fake_store store; /* over it */
  bool mute;        /* its partial signatures get lost */
  fake_http http;
  aq_bn *bn;
  aq_k1_key *key;
  aq_workflow *workflow;
  vc_call call[4];
  uint32_t partials_sent;
  fake_bn beacon;
  bool tells; /* asked for preparations, it makes them: `tell` is whom its blocks pay from then on */
  uint8_t tell[20];
  uint32_t forgot; /* how often it was asked */
  aq_timer tell_timer;
} node;

struct world {
  fake_env env;
  fake_links links;
  aq_chain chain;
  aq_lock lock;
  aq_operator operators[NODES];
  aq_dist_validator validator[VALIDATORS];
  uint8_t public_share[VALIDATORS][NODES][48], secret[VALIDATORS][32], part[VALIDATORS][NODES][32];
  node node[NODES];
  bool bn_down;
  uint32_t garbage_from; /* operator whose partials are spoilt on their way; NODES: none */
  bool builder_api;
  char verdict[VERDICTS_MAX][1024], line[LINES_MAX][1024]; /* verdict lines; warnings */
  size_t verdict_cnt, line_cnt;
};

/* ---- network ---- */

/* contract.md 7.2: the record first. */
static inline void check_partial(node *n, aq_bytes msg, bool spoil, aq_buf *out) {
  aq_arena a;
  aq_arena_init(&a, 8 << 20);
  Corepb__ParSigExMsg *m = aq_pb_unpack(&a, &corepb__par_sig_ex_msg__descriptor, msg);
  assert_true(m && m->data_set->n_set > 0);
  for (size_t i = 0; i < m->data_set->n_set; i++) {
    Corepb__ParSignedDataSetEntry *e = m->data_set->set[i];
    uint8_t key[48];
    assert_int_equal(aq_hex_decode(key, 48, aq_bytes_str(e->key), AQ_HEX_PREFIX), AQ_OK);
    const aq_duty duty = {m->duty->slot, (aq_duty_type)m->duty->type};
    assert_non_null(fake_disk_sign(&n->disk, AQ_SIGN_PARTIAL, duty, key, NULL));
    assert_int_equal(e->value->share_idx, n->idx + 1);
    aq_signed_data d, bad;
    assert_int_equal(
        aq_signed_decode(&d, &a, (aq_duty_type)m->duty->type, aq_bytes_of(e->value->data.data, e->value->data.len)),
        AQ_OK);
    if (m->duty->type == AQ_DUTY_ATTESTER) {
      uint32_t v = (uint32_t)(d.validator_index - FIRST_INDEX);
      assert_true(v < VALIDATORS && memcmp(n->w->validator[v].pubkey, key, 48) == 0); /* as no root tells */
    }
    if (!spoil) continue;
    aq_buf data = AQ_BUF(8 << 20);
    uint8_t sig[96], root[32] = {9};
    aq_bls_sign(sig, n->w->secret[0], root);
    assert_int_equal(aq_signed_with_sig(&bad, &a, &d, sig), AQ_OK);
    assert_int_equal(aq_signed_encode(&data, &bad), AQ_OK);
    aq_bytes copy = aq_arena_copy(&a, aq_buf_bytes(&data));
    e->value->data = (ProtobufCBinaryData){copy.len, (uint8_t *)(uintptr_t)copy.ptr};
    aq_buf_free(&data);
  }
  if (spoil) aq_pb_pack(out, &m->base);
  n->partials_sent++;
  aq_arena_free(&a);
}

static inline void on_post(void *arg, fake_letter *l, aq_bytes msg) {
  world *w = arg;
  node *n = l->from->of;
  if (n->link.stopped) return;
  assert_true(l->peer < NODES && l->peer != n->idx);
  if (l->proto == AQ_PROTO_PARSIGEX) check_partial(n, msg, w->garbage_from == n->idx, &l->data);
  if (l->data.len == 0) aq_buf_put_bytes(&l->data, msg);
  l->to = &w->node[l->peer].link;
  if (w->node[l->peer].up && !(n->mute && l->proto == AQ_PROTO_PARSIGEX))
    fake_letter_go(l, w->links.delay_ns);
  else
    fake_letter_tell(l, w->links.delay_ns, AQ_E_CLOSED);
}

static inline bool on_connected(void *arg, fake_link *from, uint32_t peer) {
  (void)from;
  return ((world *)arg)->node[peer].up;
}

/* ---- beacon node ---- */

static inline void bn_handle(void *arg, fake_ex *ex) {
  node *n = arg;
  n->beacon.ill = n->w->bn_down;
  fake_bn_handle(&n->beacon, ex);
  assert_true(n->beacon.post_cnt < FAKE_BN_POSTS_MAX);
}

/* ---- validator client ---- */

static inline void vc_done(void *arg, const aq_status *item, const char *const *why, uint32_t cnt) {
  vc_answer *a = arg;
  assert_false(a->called);
  a->called = true;
  a->cnt = cnt;
  assert_true(cnt <= VALIDATORS);
  for (uint32_t i = 0; i < cnt; i++) a->item[i] = item[i], a->why[i] = why[i];
}

/* Signs with the node's share of the validator. */
static inline void vc_sign(world *w, uint32_t n, uint32_t v, aq_arena *a, aq_signed_data *d) {
  uint8_t root[32], sig[96];
  aq_signed_data copy = *d;
  aq_signed_signing_root(root, &w->chain, d);
  aq_bls_sign(sig, w->part[v][n], root);
  assert_int_equal(aq_signed_with_sig(d, a, &copy, sig), AQ_OK);
}

static inline void vc_agreed(void *arg, aq_status st, const aq_unsigned_data *data, const uint8_t *pubkey) {
  vc_call *c = arg;
  world *w = c->w;
  c->answer.st = st;
  (void)pubkey;
  if (st != AQ_OK) return;
  aq_arena a;
  aq_partial p = {.validator = c->validator};
  aq_arena_init(&a, 16 << 20);
  aq_duty duty = {c->wait.slot, c->wait.kind};
  assert_int_equal(aq_signed_of_agreed(&p.data, &a, &w->chain, duty, data), AQ_OK);
  vc_sign(w, c->node, c->validator, &a, &p.data);
  aq_workflow_submit(w->node[c->node].workflow, duty, &p, 1, vc_done, &c->answer);
  aq_arena_free(&a);
}

static inline void vc_wait(world *w, uint32_t n, uint32_t v, aq_duty duty, uint64_t index) {
  vc_call *c = &w->node[n].call[v + (duty.type == AQ_DUTY_PROPOSER ? VALIDATORS : 0)];
  *c = (vc_call){.w = w, .node = n, .validator = v};
  c->wait = (aq_dutydb_waiter){.kind = duty.type, .slot = duty.slot, .index = index, .fn = vc_agreed, .arg = c};
  aq_dutydb_await(aq_workflow_dutydb(w->node[n].workflow), &c->wait, fake_env_now(&w->env) + AQ_SECONDS(20));
}

static inline void vc_randao(world *w, uint32_t n, uint64_t slot, vc_answer *answer) {
  aq_arena a;
  aq_partial p = {.validator = 1, .data = {.duty = AQ_DUTY_RANDAO, .epoch = slot / SPE}};
  aq_arena_init(&a, 1 << 20);
  vc_sign(w, n, 1, &a, &p.data);
  aq_workflow_submit(w->node[n].workflow, (aq_duty){slot, AQ_DUTY_RANDAO}, &p, 1, vc_done, answer);
  aq_arena_free(&a);
}

/* ---- the cluster ---- */

static inline void on_line(void *arg, const char *line, size_t len) {
  world *w = arg;
  if (len >= sizeof w->verdict[0]) return;
  if (strstr(line, "\"level\":\"warn\"") && w->line_cnt < LINES_MAX) {
    memcpy(w->line[w->line_cnt], line, len);
    w->line[w->line_cnt++][len] = 0;
  }
  if (!strstr(line, "\"msg\":\"duty\"")) return;
  assert_true(w->verdict_cnt < VERDICTS_MAX);
  memcpy(w->verdict[w->verdict_cnt], line, len);
  w->verdict[w->verdict_cnt++][len] = 0;
}

static inline void make_keys(world *w) {
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 99);
  w->lock = (aq_lock){.validators = w->validator, .validator_cnt = VALIDATORS};
  w->lock.def.operators = w->operators;
  w->lock.def.operator_cnt = NODES;
  w->lock.def.threshold = THRESHOLD;
  for (uint32_t v = 0; v < VALIDATORS; v++) {
    uint8_t wide[64], coeff[THRESHOLD - 1][32];
    aq_test_rng_bytes(&rng, wide, 64);
    aq_bls_secret_reduce(w->secret[v], wide);
    for (uint32_t i = 0; i < THRESHOLD - 1; i++) {
      aq_test_rng_bytes(&rng, wide, 64);
      aq_bls_secret_reduce(coeff[i], wide);
    }
    assert_int_equal(aq_tbls_split(w->part[v], w->secret[v], (const uint8_t(*)[32])coeff, THRESHOLD, NODES), AQ_OK);
    aq_bls_secret_to_pubkey(w->validator[v].pubkey, w->secret[v]);
    for (uint32_t i = 0; i < NODES; i++) aq_bls_secret_to_pubkey(w->public_share[v][i], w->part[v][i]);
    w->validator[v].share = w->public_share[v];
    w->validator[v].share_cnt = NODES;
  }
  for (uint32_t i = 0; i < NODES; i++) {
    uint8_t secret[32];
    memset(secret, (int)i + 1, 32);
    assert_int_equal(aq_k1_key_new(&w->node[i].key, secret), AQ_OK);
    aq_k1_pubkey(w->operators[i].pubkey, w->node[i].key);
  }
}

static inline void node_told(void *arg) {
  node *n = arg;
  memcpy(n->beacon.fee_recipient, n->tell, sizeof n->tell);
  aq_workflow_prepared(n->workflow);
}

static inline void node_forgot(void *arg) {
  node *n = arg;
  n->forgot++;
  if (n->tells) aq_timer_after(&n->w->env.env, &n->tell_timer, AQ_MILLIS(20), node_told, n);
}

static inline void node_start(world *w, uint32_t i, bool tss, aq_store_state state) {
  static const char *const urls[] = {"http://bn"};
  node *n = &w->node[i];
  n->w = w;
  n->idx = i;
  n->up = true;
  if (n->link.stopped) fake_link_join(&w->links, &n->link, i, n);
  fake_store_open(&n->store, &n->disk, &w->env.env, NULL);
  n->store.port.state = state;
  n->beacon.validator = w->validator, n->beacon.fork = AQ_ELECTRA, n->beacon.ssz_blocks = true;
  n->beacon.parent = (uint8_t)(i + 1); /* a block of its own for each */
  fake_http_init(&n->http, &w->env, bn_handle, n);
  n->bn = aq_bn_new(&(aq_bn_cfg){.env = &w->env.env, .http = &n->http.http, .endpoints = urls, .endpoint_cnt = 1});
  n->workflow = aq_workflow_new(&(aq_workflow_cfg){.env = &w->env.env,
                                                   .net = &n->link.net,
                                                   .store = &n->store.port,
                                                   .bn = n->bn,
                                                   .chain = &w->chain,
                                                   .lock = &w->lock,
                                                   .key = n->key,
                                                   .self = i,
                                                   .started_ns = fake_env_now(&w->env),
                                                   .enable_tss = tss,
                                                   .builder_api = w->builder_api,
                                                   .arg = n,
                                                   .forgot = node_forgot});
  assert_non_null(n->workflow);
  aq_err err;
  assert_int_equal(aq_workflow_start(n->workflow, &err), AQ_OK);
}

static inline void node_stop(world *w, uint32_t i) {
  node *n = &w->node[i];
  if (!n->up) return;
  aq_timer_cancel(&w->env.env, &n->tell_timer);
  fake_link_end(&n->link);
  fake_store_close(&n->store, SIZE_MAX, FAKE_CLOSE_ANSWERS); /* as in the product, before its users go */
  aq_workflow_free(n->workflow);
  fake_link_drop(&n->link);
  aq_bn_free(n->bn);
  fake_http_free(&n->http);
  n->up = false;
}

/* Starts in the first slot of epoch 1. up, tss: bit sets of nodes. */
static inline world *world_new(uint32_t up, uint32_t tss) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  aq_metrics_init();
  aq_log_start(AQ_LOG_INFO, on_line, w);
  fake_env_init(&w->env, GENESIS + SPE * SLOT_NS);
  fake_links_init(&w->links, &w->env, w);
  w->links.post = on_post, w->links.connected = on_connected;
  for (uint32_t i = 0; i < NODES; i++) fake_link_join(&w->links, &w->node[i].link, i, &w->node[i]);
  w->garbage_from = NODES;
  w->chain.clock = (aq_clock){GENESIS, SLOT_NS, SPE};
  for (uint8_t i = 0; i < AQ_FORK_CNT; i++)
    w->chain.fork[i] = (aq_fork_at){i <= AQ_ELECTRA ? 0 : AQ_FAR_EPOCH, {i, 0, 0, 1}};
  make_keys(w);
  for (uint32_t i = 0; i < NODES; i++) {
    fake_disk_init(&w->node[i].disk);
    if (up >> i & 1) node_start(w, i, tss >> i & 1, AQ_STORE_OK);
  }
  return w;
}

static inline void world_free(world *w) {
  for (uint32_t i = 0; i < NODES; i++) {
    node_stop(w, i);
    fake_env_drain(&w->env);
  }
  fake_env_run_for(&w->env, AQ_SECONDS(1));
  fake_links_free(&w->links);
  fake_env_free(&w->env);
  for (uint32_t i = 0; i < NODES; i++) {
    fake_bn_free(&w->node[i].beacon);
    fake_disk_free(&w->node[i].disk);
    aq_k1_key_free(w->node[i].key);
  }
  aq_log_stop();
  free(w);
}

static inline void run_to(world *w, uint64_t slot, uint64_t after_ns) {
  fake_env_run_until(&w->env, GENESIS + slot * SLOT_NS + after_ns);
}

/* Records of a type; partials: whose partial signature is kept. */
static inline size_t signs(const node *n, aq_sign_kind kind, aq_duty_type type, bool partials) {
  size_t cnt = 0;
  for (fake_row *r = NULL; (r = fake_disk_next(&n->disk, r)) != NULL;) {
    const aq_store_sign *s = &r->u.sign;
    bool of_type = r->kind == FAKE_SIGN && s->kind == kind && s->duty.type == type;
    cnt += of_type && (!partials || s->partial.len > 0);
  }
  return cnt;
}

/* Verdict lines of a duty with the result. */
static inline size_t verdicts(const world *w, const char *duty, const char *result) {
  char a[64], b[64];
  size_t cnt = 0;
  snprintf(a, sizeof a, "\"duty\":\"%s\"", duty);
  snprintf(b, sizeof b, "\"result\":\"%s\"", result);
  for (size_t i = 0; i < w->verdict_cnt; i++) cnt += strstr(w->verdict[i], a) && strstr(w->verdict[i], b);
  return cnt;
}

static inline size_t posts(const node *n, const char *path) {
  size_t cnt = 0;
  for (size_t i = 0; i < n->beacon.post_cnt; i++) cnt += strcmp(n->beacon.post[i].path, path) == 0;
  return cnt;
}

#endif
