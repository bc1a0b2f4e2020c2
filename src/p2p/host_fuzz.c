/* A host whose peer passed the handshake and then sends the input as yamux bytes, in pieces with time between them. */
#include "base/log.h"
#include "base/metrics.h"
#include "crypto/aead.h"
#include "p2p/fake_net.h"
#include "p2p/host_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct {
  fake_loop loop;
  fake_net net;
  aq_host *host;
  aq_noise noise;
  aq_buf in; /* from the host, not understood yet */
  uint64_t conn;
  bool secure, closed;
} world;

static aq_k1_key *key[2];
static aq_host_peer peers[2];

static void put(world *w, aq_bytes out) {
  aq_tcp *t = &w->net.node[1].tcp;
  if (!w->closed && t->write(t->ctx, w->conn, out) != out.len) w->closed = true;
}

static void opened(void *arg, uint64_t conn, aq_status st) {
  world *w = arg;
  w->conn = conn;
  w->closed = st != AQ_OK;
  aq_buf out = AQ_BUF(256);
  aq_ms_put(&out, AQ_MS_HEADER);
  aq_ms_put(&out, "/noise");
  uint8_t secrets[64];
  memset(secrets, 9, sizeof secrets);
  aq_noise_init(&w->noise, true, key[1], secrets, true);
  aq_noise_start(&w->noise, &out);
  put(w, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

/* The host answers header, echo and message 2; the rest is not looked at. */
static void received(void *arg, uint64_t conn, aq_bytes in) {
  world *w = arg;
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
  put(w, aq_buf_bytes(&out));
  w->secure = true;
  aq_buf_free(&out);
}

static bool accepted(void *arg, uint64_t conn, const char *remote) {
  (void)arg, (void)conn, (void)remote;
  return false;
}
static void writable(void *arg, uint64_t conn) { (void)arg, (void)conn; }
static void closed(void *arg, uint64_t conn, aq_status st) {
  (void)conn, (void)st;
  ((world *)arg)->closed = true;
}

static void on_recv(void *arg, uint32_t from, aq_bytes msg) { (void)arg, (void)from, (void)msg; }
static void on_serve(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  world *w = arg;
  const aq_net *net = aq_host_net(w->host);
  (void)from;
  if (msg.len % 3 == 0)
    net->respond(net->ctx, reply, msg);
  else if (msg.len % 3 == 1)
    net->refuse(net->ctx, reply);
}
static void on_answer(void *arg, aq_status st, aq_bytes msg) { (void)arg, (void)st, (void)msg; }

static void start(world *w) {
  memset(w, 0, sizeof *w);
  fake_loop_init(&w->loop, 1);
  fake_net_init(&w->net, &w->loop.env, 1);
  fake_net_node(&w->net), fake_net_node(&w->net);
  w->in = AQ_BUF(65536);
  aq_host_cfg cfg = {.env = &w->loop.env,
                     .tcp = &w->net.node[0].tcp,
                     .key = key[0],
                     .peer_cnt = 2,
                     .peers = peers,
                     .agent = "aequa/fuzz"};
  w->host = aq_host_new(&cfg);
  const aq_net *net = aq_host_net(w->host);
  aq_net_handler h = {w, on_recv, on_serve};
  for (int p = 0; p < AQ_PROTO_CNT; p++) net->handle(net->ctx, (aq_net_proto)p, &h);
  aq_host_start(w->host);
  aq_tcp *t = &w->net.node[1].tcp;
  const aq_tcp_events ev = {w, accepted, opened, received, writable, closed};
  t->events(t->ctx, &ev);
  w->conn = t->dial(t->ctx, w->net.node[0].host, FAKE_PORT);
  fake_loop_run(&w->loop, AQ_MILLIS(20));
  AQ_ASSERT(w->secure);
}

static void feed(world *w, aq_bytes plain) {
  uint8_t frame[256 + 18];
  size_t len = aq_noise_seal(&w->noise, frame, plain);
  put(w, aq_bytes_of(frame, len));
}

static void once(void) {
  static const uint8_t secret[2][32] = {{1, 1}, {1, 2}};
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  aq_crypto_init();
  aq_metrics_init();
  for (int i = 0; i < 2; i++) {
    AQ_ASSERT(aq_k1_key_new(&key[i], secret[i]) == AQ_OK);
    aq_k1_pubkey(peers[i].pubkey, key[i]);
    snprintf(peers[i].name, sizeof peers[i].name, "peer-%d", i);
  }
}

/* Pieces: length, then so many bytes. Length 0: time passes, the next byte says how much and what the host sends
   itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static world w;
  if (!key[0]) once();
  start(&w);
  const aq_net *net = aq_host_net(w.host);
  aq_rd in = aq_rd_of(aq_bytes_of(data, len));
  uint8_t ping[12] = {0, 2, 0, 1};
  feed(&w, aq_bytes_of(ping, sizeof ping)); /* the host sees that yamux runs */
  fake_loop_run(&w.loop, AQ_MILLIS(5));
  while (in.left > 1 && !w.closed) {
    uint8_t n = aq_rd_u8(&in);
    if (n == 0) {
      uint8_t what = aq_rd_u8(&in);
      if (what & 1) net->send(net->ctx, 1, AQ_PROTO_QBFT, aq_bytes_str("vote"), NULL, NULL);
      if (what & 2) net->request(net->ctx, 1, AQ_PROTO_PRIORITY, aq_bytes_str("topics"), on_answer, NULL);
      fake_loop_run(&w.loop, AQ_MILLIS(100) * (what >> 2));
      continue;
    }
    feed(&w, aq_rd_bytes(&in, n < in.left ? n : in.left));
    fake_loop_run(&w.loop, AQ_MILLIS(2));
  }
  fake_loop_run(&w.loop, AQ_SECONDS(20));
  AQ_ASSERT(w.host->peer[1].rx_bytes == 0 && w.host->peer[1].op_cnt == 0 && w.host->peer[1].big_cnt == 0);
  aq_host_free(w.host);
  fake_net_free(&w.net);
  AQ_ASSERT(w.loop.cnt == 0);
  fake_loop_free(&w.loop);
  aq_buf_free(&w.in);
  return 0;
}
