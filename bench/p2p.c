/* What the peer link costs: a handshake, sealed bytes, yamux, and a message through the whole stack of both sides. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "bench.h"
#include "crypto/aead.h"
#include "fake/net.h"
#include "p2p/host.h"
#include "p2p/conn.h"

enum { PLAIN_LEN = AQ_NOISE_PLAIN_MAX, BULK_LEN = 1 << 20, VOTE_LEN = 600, HANDSHAKE_MAX = 1024 };

static aq_k1_key *key;
static aq_noise sender, receiver;
static uint8_t frame[AQ_NOISE_FRAME_MAX], plain[PLAIN_LEN], bulk[BULK_LEN];

static void pass(aq_noise *to, aq_buf *msg, aq_buf *answer) {
  aq_status st = aq_noise_handshake(to, aq_bytes_of(msg->ptr + 2, msg->len - 2), answer);
  AQ_ASSERT(st == AQ_OK);
}

static void handshake(void *arg) {
  (void)arg;
  uint8_t secrets[64];
  aq_buf a = AQ_BUF(HANDSHAKE_MAX), b = AQ_BUF(HANDSHAKE_MAX), c = AQ_BUF(HANDSHAKE_MAX);
  memset(secrets, 3, sizeof secrets);
  aq_noise_init(&sender, true, key, secrets, true);
  aq_noise_init(&receiver, false, key, secrets, true);
  aq_noise_start(&sender, &a);
  pass(&receiver, &a, &b);
  pass(&sender, &b, &c);
  pass(&receiver, &c, &a);
  AQ_ASSERT(sender.done && receiver.done);
  aq_buf_free(&a), aq_buf_free(&b), aq_buf_free(&c);
}

static void seal(void *arg) {
  (void)arg;
  aq_noise_seal(&sender, frame, aq_bytes_of(plain, PLAIN_LEN));
}

static void seal_open(void *arg) {
  (void)arg;
  size_t out_len, len = aq_noise_seal(&sender, frame, aq_bytes_of(plain, PLAIN_LEN));
  aq_status st = aq_noise_open(&receiver, plain, &out_len, aq_bytes_of(frame + 2, len - 2));
  AQ_ASSERT(st == AQ_OK);
}

/* ---- yamux: one stream a message, as the host does ---- */

static aq_yamux *mux[2];
static size_t got;

static void drain(aq_yamux *y) {
  aq_yamux_ev ev;
  while (aq_yamux_next(y, &ev)) {
    if (ev.kind == AQ_YAMUX_EV_OPENED) aq_yamux_own(y, ev.stream, &got);
    if (ev.kind == AQ_YAMUX_EV_DATA) got += ev.data.len, aq_yamux_credit(y, ev.stream, ev.data.len);
    if (ev.kind == AQ_YAMUX_EV_FIN) aq_yamux_release(y, ev.stream);
  }
}

static bool move(aq_yamux *from, aq_yamux *to) {
  static uint8_t wire[PLAIN_LEN];
  size_t len = aq_yamux_send(from, wire, sizeof wire, 0), used;
  for (size_t off = 0; off < len; off += used) {
    aq_status st = aq_yamux_recv(to, &used, aq_bytes_of(wire + off, len - off), 0);
    AQ_ASSERT(st == AQ_OK);
    drain(to);
  }
  drain(from);
  return len > 0;
}

static void mux_message(aq_bytes msg) {
  uint32_t id;
  got = 0;
  aq_status st = aq_yamux_open(mux[0], &id, &got);
  if (st == AQ_OK) st = aq_yamux_write(mux[0], id, msg);
  AQ_ASSERT(st == AQ_OK);
  aq_yamux_release(mux[0], id);
  while (move(mux[0], mux[1]) || move(mux[1], mux[0])) {
  }
  AQ_ASSERT(got == msg.len);
}

static void mux_bulk(void *arg) {
  (void)arg;
  mux_message(aq_bytes_of(bulk, BULK_LEN));
}

static void mux_vote(void *arg) {
  (void)arg;
  mux_message(aq_bytes_of(bulk, VOTE_LEN));
}

/* ---- two hosts ---- */

static fake_env loop;
static fake_net net;
static aq_host *host[2];
static uint32_t received;

static void on_recv(void *arg, uint32_t from, aq_bytes msg) {
  (void)arg, (void)from, (void)msg;
  received++;
}

static void hosts_start(void) {
  static aq_host_peer peers[2];
  static aq_k1_key *keys[2];
  fake_env_init(&loop, AQ_SECONDS(1700000000));
  fake_net_init(&net, &loop.env, 1);
  net.latency_ns = AQ_NS_PER_US;
  for (uint32_t i = 0; i < 2; i++) {
    keys[i] = aq_k1_key_generate();
    aq_k1_pubkey(peers[i].pubkey, keys[i]);
    fake_net_node(&net);
  }
  for (uint32_t i = 0; i < 2; i++) {
    aq_host_cfg cfg = {.env = &loop.env,
                       .tcp = &net.node[i].tcp,
                       .key = keys[i],
                       .self = i,
                       .peer_cnt = 2,
                       .peers = peers,
                       .agent = "aequa/bench"};
    host[i] = aq_host_new(&cfg);
    aq_net_handler h = {.recv = on_recv};
    aq_host_net(host[i])->handle(aq_host_net(host[i])->ctx, AQ_PROTO_QBFT, &h);
  }
  aq_status st = aq_host_add_addr(host[0], 1, "10.0.0.2:3610", true, NULL);
  AQ_ASSERT(st == AQ_OK);
  aq_host_start(host[0]), aq_host_start(host[1]);
  fake_env_run_for(&loop, AQ_SECONDS(1));
  AQ_ASSERT(aq_host_connected(host[0]) == 1);
}

static void host_message(aq_bytes msg) {
  uint32_t before = received;
  const aq_net *n = aq_host_net(host[0]);
  n->send(n->ctx, 1, AQ_PROTO_QBFT, msg, NULL, NULL);
  while (received == before) fake_env_run_for(&loop, AQ_MILLIS(1));
}

static void host_vote(void *arg) {
  (void)arg;
  host_message(aq_bytes_of(bulk, VOTE_LEN));
}

static void host_bulk(void *arg) {
  (void)arg;
  host_message(aq_bytes_of(bulk, BULK_LEN));
}

void aq_bench_p2p(aq_bench *b);
void aq_bench_p2p(aq_bench *b) {
  aq_crypto_init();
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  key = aq_k1_key_generate();
  aq_bench_run(b, "BenchmarkNoiseHandshake", handshake, NULL, 0);
  aq_bench_run(b, "BenchmarkNoiseSealOpen", seal_open, NULL, PLAIN_LEN);
  aq_bench_run(b, "BenchmarkNoiseSeal", seal, NULL, PLAIN_LEN);
  for (int i = 0; i < 2; i++) mux[i] = aq_yamux_new(&(aq_yamux_cfg){.client = i == 0, .streams_max = 64}, 0);
  aq_bench_run(b, "BenchmarkYamuxVote", mux_vote, NULL, VOTE_LEN);
  aq_bench_run(b, "BenchmarkYamuxMegabyte", mux_bulk, NULL, BULK_LEN);
  for (int i = 0; i < 2; i++) aq_yamux_free(mux[i]);
  hosts_start();
  aq_bench_run(b, "BenchmarkHostVote", host_vote, NULL, VOTE_LEN);
  aq_bench_run(b, "BenchmarkHostMegabyte", host_bulk, NULL, BULK_LEN);
  aq_host_free(host[0]), aq_host_free(host[1]);
  fake_net_free(&net);
  fake_env_free(&loop);
  aq_k1_key_free(key);
}
