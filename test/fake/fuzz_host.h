/* fake/fuzz_host.h - a host in virtual time whose one peer passed the handshake and is the caller's: what it sends are
   plain bytes of yamux, sealed here; what the host sends is not looked at. Header only; for *_fuzz.c. */
#ifndef AQ_FAKE_FUZZ_HOST_H
#define AQ_FAKE_FUZZ_HOST_H

#include "base/log.h"
#include "base/metrics.h"
#include "crypto/aead.h"
#include "fake/net.h"
#include "p2p/host_internal.h"
#include "p2p/multistream.h"

typedef struct {
  fake_env loop;
  fake_net net;
  aq_host *host;
  aq_noise noise;
  aq_buf in; /* from the host, not understood yet */
  uint64_t conn;
  bool secure, closed;
} fuzz_host;

static aq_k1_key *fuzz_key[2];
static aq_host_peer fuzz_peers[2];

static inline void fuzz_put_(fuzz_host *w, aq_bytes out) {
  aq_tcp *t = &w->net.node[1].tcp;
  if (!w->closed && t->write(t->ctx, w->conn, out) != out.len) w->closed = true;
}

static inline void fuzz_opened_(void *arg, uint64_t conn, aq_status st) {
  fuzz_host *w = arg;
  w->conn = conn;
  w->closed = st != AQ_OK;
  aq_buf out = AQ_BUF(256);
  aq_ms_put(&out, AQ_MS_HEADER);
  aq_ms_put(&out, "/noise");
  uint8_t secrets[64];
  memset(secrets, 9, sizeof secrets);
  aq_noise_init(&w->noise, true, fuzz_key[1], secrets, true);
  aq_noise_start(&w->noise, &out);
  fuzz_put_(w, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

/* The host answers header, echo and message 2; the rest is not looked at. */
static inline void fuzz_received_(void *arg, uint64_t conn, aq_bytes in) {
  fuzz_host *w = arg;
  (void)conn;
  enum { ECHO_LEN = 20 + 8 };
  if (w->secure) return;
  aq_buf_put_bytes(&w->in, in);
  aq_bytes msg;
  size_t used;
  if (w->in.len < ECHO_LEN) return;
  aq_bytes rest = aq_bytes_of(w->in.ptr + ECHO_LEN, w->in.len - ECHO_LEN);
  if (aq_noise_split(&msg, &used, rest) != AQ_OK) return;
  aq_buf out = AQ_BUF(1024);
  AQ_ASSERT(aq_noise_handshake(&w->noise, msg, &out) == AQ_OK && w->noise.done);
  fuzz_put_(w, aq_buf_bytes(&out));
  w->secure = true;
  aq_buf_free(&out);
}

static inline bool fuzz_accepted_(void *arg, uint64_t conn, const char *remote) {
  (void)arg, (void)conn, (void)remote;
  return false;
}
static inline void fuzz_writable_(void *arg, uint64_t conn) { (void)arg, (void)conn; }
static inline void fuzz_closed_(void *arg, uint64_t conn, aq_status st) {
  (void)conn, (void)st;
  ((fuzz_host *)arg)->closed = true;
}

/* Handlers find fault with some messages: enough of it ends all connections of the peer from inside. */
static inline void fuzz_judge_(fuzz_host *w, uint32_t from, aq_net_proto proto, aq_bytes msg) {
  static const aq_status found[] = {AQ_E_FORMAT, AQ_E_LIMIT, AQ_E_AUTH};
  if (msg.len % 5 == 4) aq_net_fault(aq_host_net(w->host), from, proto, found[msg.len % AQ_COUNT(found)]);
}
static inline void fuzz_on_recv_(void *arg, uint32_t from, aq_bytes msg) { fuzz_judge_(arg, from, AQ_PROTO_QBFT, msg); }
static inline void fuzz_on_serve_(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  fuzz_host *w = arg;
  const aq_net *net = aq_host_net(w->host);
  fuzz_judge_(w, from, AQ_PROTO_PRIORITY, msg);
  if (msg.len % 3 == 0)
    net->respond(net->ctx, reply, msg);
  else if (msg.len % 3 == 1)
    net->refuse(net->ctx, reply);
}
static inline void fuzz_on_answer_(void *arg, aq_status st, aq_bytes msg) { (void)arg, (void)st, (void)msg; }

static inline void fuzz_host_once(void) {
  static const uint8_t secret[2][32] = {{1, 1}, {1, 2}};
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  aq_crypto_init();
  aq_metrics_init();
  for (int i = 0; i < 2; i++) {
    AQ_ASSERT(aq_k1_key_new(&fuzz_key[i], secret[i]) == AQ_OK);
    aq_k1_pubkey(fuzz_peers[i].pubkey, fuzz_key[i]);
    snprintf(fuzz_peers[i].name, sizeof fuzz_peers[i].name, "peer-%d", i);
  }
}

static inline void fuzz_host_start(fuzz_host *w) {
  if (!fuzz_key[0]) fuzz_host_once();
  memset(w, 0, sizeof *w);
  fake_env_init(&w->loop, AQ_SECONDS(1700000000));
  fake_net_init(&w->net, &w->loop.env, 1);
  fake_net_node(&w->net), fake_net_node(&w->net);
  w->in = AQ_BUF(65536);
  aq_host_cfg cfg = {.env = &w->loop.env,
                     .tcp = &w->net.node[0].tcp,
                     .key = fuzz_key[0],
                     .peer_cnt = 2,
                     .peers = fuzz_peers,
                     .agent = "aequa/fuzz",
                     .score_threshold = 60};
  w->host = aq_host_new(&cfg);
  const aq_net *net = aq_host_net(w->host);
  aq_net_handler h = {w, fuzz_on_recv_, fuzz_on_serve_};
  for (int p = 0; p < AQ_PROTO_CNT; p++) net->handle(net->ctx, (aq_net_proto)p, &h);
  aq_host_start(w->host);
  aq_tcp *t = &w->net.node[1].tcp;
  const aq_tcp_events ev = {w, fuzz_accepted_, fuzz_opened_, fuzz_received_, fuzz_writable_, fuzz_closed_};
  t->events(t->ctx, &ev);
  w->conn = t->dial(t->ctx, w->net.node[0].host, FAKE_PORT);
  fake_env_run_for(&w->loop, AQ_MILLIS(20));
  AQ_ASSERT(w->secure);
}

/* At most a Noise message. */
static inline void fuzz_host_feed(fuzz_host *w, aq_bytes plain) {
  static uint8_t frame[65535 + 2];
  size_t len = aq_noise_seal(&w->noise, frame, plain);
  fuzz_put_(w, aq_bytes_of(frame, len));
}

/* Time passes, and the host sends of itself: bit 0 a vote, bit 1 a request. */
static inline void fuzz_host_pass(fuzz_host *w, uint8_t what) {
  const aq_net *net = aq_host_net(w->host);
  if (what & 1) net->send(net->ctx, 1, AQ_PROTO_QBFT, aq_bytes_str("vote"), NULL, NULL);
  if (what & 2) net->request(net->ctx, 1, AQ_PROTO_PRIORITY, aq_bytes_str("topics"), fuzz_on_answer_, NULL);
  fake_env_run_for(&w->loop, AQ_MILLIS(100) * (what >> 2));
}

/* Long enough for every limit of a stream; then nothing of the peer may be held. */
static inline void fuzz_host_end(fuzz_host *w) {
  fake_env_run_for(&w->loop, AQ_SECONDS(20));
  const aq_remote *r = w->host->peer[1].remote;
  AQ_ASSERT(r->rx_bytes == 0 && r->big_cnt == 0 && w->host->peer[1].op_cnt == 0);
  aq_host_free(w->host);
  fake_net_free(&w->net);
  fake_env_free(&w->loop);
  aq_buf_free(&w->in);
}

#endif
