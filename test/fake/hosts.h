/* fake/hosts.h - a cluster of hosts in one process over fake_net.h: what each sends, answers and hears is counted.
   Header only; for tests. */
#ifndef AQ_FAKE_HOSTS_H
#define AQ_FAKE_HOSTS_H

#include "aq_test.h"
#include "base/metrics.h"
#include "crypto/hash.h"
#include "fake/net.h"
#include "p2p/host.h"

enum { N_MAX = 10 };

/* A cluster of hosts in one process. */
typedef struct {
  struct cluster *c;
  uint32_t idx;
  aq_host *host;
  fake_node *node;
  uint32_t recv, sent_ok, sent_bad, answers, answers_bad, joins, leaves, served;
  aq_status last_st;
  size_t last_len;
  uint8_t last_hash[32];
  uint32_t last_from;
  aq_net_reply *held;
  bool hold, refuse;
  char addr[64];
} member;

typedef struct cluster {
  fake_env loop;
  fake_net net;
  uint32_t n;
  aq_host_peer peers[N_MAX];
  aq_k1_key *key[N_MAX];
  member m[N_MAX];
} cluster;

static inline void on_recv(void *arg, uint32_t from, aq_bytes msg) {
  member *m = arg;
  m->recv++;
  m->last_from = from;
  m->last_len = msg.len;
  aq_sha256(m->last_hash, msg);
}

static inline void on_serve(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  member *m = arg;
  const aq_net *net = aq_host_net(m->host);
  m->served++;
  m->last_from = from;
  if (m->hold) {
    m->held = reply;
    return;
  }
  if (m->refuse) {
    net->refuse(net->ctx, reply);
    return;
  }
  aq_buf answer = AQ_BUF(1u << 20);
  aq_buf_put_str(&answer, "re:");
  aq_buf_put_bytes(&answer, msg);
  net->respond(net->ctx, reply, aq_buf_bytes(&answer));
  aq_buf_free(&answer);
}

static inline void on_sent(void *arg, aq_status st) {
  member *m = arg;
  m->last_st = st;
  if (st == AQ_OK)
    m->sent_ok++;
  else
    m->sent_bad++;
}

static inline void on_answer(void *arg, aq_status st, aq_bytes answer) {
  member *m = arg;
  m->last_st = st;
  if (st != AQ_OK) {
    assert_int_equal(answer.len, 0);
    m->answers_bad++;
    return;
  }
  m->answers++;
  m->last_len = answer.len;
  assert_memory_equal(answer.ptr, "re:", 3);
}

static inline void on_peer_addr(void *arg, uint32_t peer, const char *addr) {
  member *m = arg;
  (void)peer;
  snprintf(m->addr, sizeof m->addr, "%s", addr);
}

static inline void on_peer_change(void *arg, uint32_t peer, bool connected) {
  member *m = arg;
  (void)peer;
  if (connected)
    m->joins++;
  else
    m->leaves++;
}

typedef struct {
  uint32_t rate_limit, conns_max;
  int32_t score_threshold;
} limits;

static inline void member_start(cluster *c, uint32_t i, limits l) {
  member *m = &c->m[i];
  m->c = c;
  m->idx = i;
  m->node = &c->net.node[i];
  aq_host_cfg cfg = {.env = &c->loop.env,
                     .tcp = &m->node->tcp,
                     .key = c->key[i],
                     .self = i,
                     .peer_cnt = c->n,
                     .peers = c->peers,
                     .agent = "aequa/test",
                     .conns_max = l.conns_max,
                     .rate_limit = l.rate_limit,
                     .score_threshold = l.score_threshold,
                     .peer_addr = on_peer_addr,
                     .peer_change = on_peer_change,
                     .arg = m};
  m->host = aq_host_new(&cfg);
  const aq_net *net = aq_host_net(m->host);
  aq_net_handler h = {m, on_recv, on_serve};
  for (int p = 0; p < AQ_PROTO_CNT; p++) net->handle(net->ctx, (aq_net_proto)p, &h);
}

static inline void cluster_init(cluster *c, uint32_t n, uint64_t seed) {
  memset(c, 0, sizeof *c);
  aq_metrics_init();
  c->n = n;
  fake_env_init(&c->loop, AQ_SECONDS(1700000000));
  fake_rng_seed(&c->loop.time->rng, seed);
  fake_net_init(&c->net, &c->loop.env, seed);
  for (uint32_t i = 0; i < n; i++) {
    uint8_t secret[32] = {1, (uint8_t)(i + 1), (uint8_t)seed};
    assert_int_equal(aq_k1_key_new(&c->key[i], secret), AQ_OK);
    aq_k1_pubkey(c->peers[i].pubkey, c->key[i]);
    snprintf(c->peers[i].name, sizeof c->peers[i].name, "peer-%u", i);
    fake_net_node(&c->net);
  }
}

static inline void cluster_free(cluster *c) {
  for (uint32_t i = 0; i < c->n; i++) {
    aq_host_free(c->m[i].host);
    aq_k1_key_free(c->key[i]);
  }
  fake_net_free(&c->net);
  fake_env_free(&c->loop);
}

static inline void know(cluster *c, uint32_t from, int peer, uint32_t at) {
  char addr[64];
  snprintf(addr, sizeof addr, "%s:%d", c->net.node[at].host, FAKE_PORT);
  assert_int_equal(aq_host_add_addr(c->m[from].host, peer, addr, true, NULL), AQ_OK);
}

/* All members, each knowing the list of all addresses but not whose they are, as with --p2p-peers. */
static inline void cluster_start(cluster *c) {
  for (uint32_t i = 0; i < c->n; i++) {
    member_start(c, i, (limits){0});
    for (uint32_t k = 0; k < c->n; k++) know(c, i, -1, k);
  }
  for (uint32_t i = 0; i < c->n; i++) aq_host_start(c->m[i].host);
}

static inline void run(cluster *c, uint64_t ns) { fake_env_run_for(&c->loop, ns); }

static inline void send(cluster *c, uint32_t from, uint32_t to, aq_net_proto proto, aq_bytes msg) {
  const aq_net *net = aq_host_net(c->m[from].host);
  net->send(net->ctx, to, proto, msg, on_sent, &c->m[from]);
}

static inline void ask(cluster *c, uint32_t from, uint32_t to, aq_net_proto proto, aq_bytes msg) {
  const aq_net *net = aq_host_net(c->m[from].host);
  net->request(net->ctx, to, proto, msg, on_answer, &c->m[from]);
}

#endif
