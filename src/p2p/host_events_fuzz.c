/* A host and the events of its sockets in any order: connections that come and go, dials that succeed or not, bytes,
   room to write, closes, from a few addresses at once, with messages of its own and time between them. Nobody passes
   the handshake here (p2p_peer_fuzz does). Places keep their bounds, and nothing is left over. */
#include "base/log.h"
#include "base/metrics.h"
#include "crypto/aead.h"
#include "fake/net.h"
#include "p2p/host_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS_MAX = 200, SOCKETS_MAX = 256, CONNS_MAX = 12, PEERS = 3 };
typedef enum { NONE, DIALLING, OPEN, GONE } socket_state;

static struct {
  fake_env loop;
  aq_tcp tcp;
  aq_tcp_events ev;
  aq_host *host;
  socket_state socket[SOCKETS_MAX];
  uint64_t last; /* socket; its number is its id */
  uint8_t room;  /* what a write takes */
} g;

static void port_events(void *ctx, const aq_tcp_events *ev) {
  (void)ctx;
  g.ev = *ev;
}

static uint64_t port_dial(void *ctx, const char *host, uint16_t port) {
  (void)ctx, (void)host, (void)port;
  AQ_ASSERT(g.last + 1 < SOCKETS_MAX);
  g.socket[++g.last] = DIALLING;
  return g.last;
}

static size_t port_write(void *ctx, uint64_t id, aq_bytes out) {
  (void)ctx;
  AQ_ASSERT(id <= g.last && g.socket[id] == OPEN);
  return out.len < g.room ? out.len : g.room;
}

static void port_close(void *ctx, uint64_t id) {
  (void)ctx;
  AQ_ASSERT(id >= 1 && id <= g.last && g.socket[id] != NONE);
  g.socket[id] = GONE; /* harmless for one that is gone */
}

static void on_recv(void *arg, uint32_t from, aq_bytes msg) {
  (void)arg, (void)from, (void)msg;
  AQ_ASSERT(false); /* nobody said who he is */
}

static void on_serve(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  (void)reply;
  on_recv(arg, from, msg);
}

static void on_answer(void *arg, aq_status st, aq_bytes answer) {
  (void)arg, (void)answer;
  AQ_ASSERT(st != AQ_OK);
}

static void start(void) {
  static aq_k1_key *key;
  static aq_host_peer peers[PEERS];
  if (!key) {
    aq_log_start(AQ_LOG_ERROR, NULL, NULL);
    aq_crypto_init();
    aq_metrics_init();
    for (uint8_t i = 0; i < PEERS; i++) {
      uint8_t secret[32] = {3, i};
      aq_k1_key *k;
      AQ_ASSERT(aq_k1_key_new(&k, secret) == AQ_OK);
      aq_k1_pubkey(peers[i].pubkey, k);
      snprintf(peers[i].name, sizeof peers[i].name, "peer-%d", i);
      if (i == 0)
        key = k;
      else
        aq_k1_key_free(k);
    }
  }
  memset(&g, 0, sizeof g);
  g.room = 255;
  fake_env_init(&g.loop, AQ_SECONDS(1700000000));
  g.tcp = (aq_tcp){&g, port_events, port_dial, port_write, port_close};
  const aq_host_cfg cfg = {.env = &g.loop.env,
                           .tcp = &g.tcp,
                           .key = key,
                           .peer_cnt = PEERS,
                           .peers = peers,
                           .agent = "aequa/fuzz",
                           .conns_max = CONNS_MAX};
  g.host = aq_host_new(&cfg);
  const aq_net *net = aq_host_net(g.host);
  aq_net_handler h = {NULL, on_recv, on_serve};
  for (int p = 0; p < AQ_PROTO_CNT; p++) net->handle(net->ctx, (aq_net_proto)p, &h);
  aq_host_start(g.host);
}

static const char *const remotes[] = {"10.0.0.1:1",      "10.0.0.2:2",      "10.0.0.2:3",     "10.0.0.9:4",
                                      "[2001:db8::1]:5", "[2001:db8::2]:6", "[2001:db9::]:7", "no address at all"};

static void accept(uint8_t which) {
  if (g.last + 3 * PEERS + 12 >= SOCKETS_MAX) return; /* room for the host's own */
  uint64_t id = ++g.last;
  g.socket[id] = OPEN;
  bool keep = g.ev.accepted(g.ev.arg, id, remotes[which % AQ_COUNT(remotes)]);
  AQ_ASSERT(!keep || g.socket[id] == OPEN);
  g.socket[id] = keep ? OPEN : GONE;
}

static void opened(uint64_t id, bool ok) {
  if (g.socket[id] != DIALLING) return;
  g.socket[id] = ok ? OPEN : GONE;
  g.ev.opened(g.ev.arg, id, ok ? AQ_OK : AQ_E_CLOSED);
}

static void own_message(uint8_t which) {
  const aq_net *net = aq_host_net(g.host);
  uint32_t peer = 1 + which % (PEERS - 1);
  if (which & 0x80)
    net->request(net->ctx, peer, AQ_PROTO_PRIORITY, aq_bytes_str("topics"), on_answer, NULL);
  else
    net->send(net->ctx, peer, AQ_PROTO_QBFT, aq_bytes_str("vote"), NULL, NULL);
}

static void add_addr(uint8_t which) {
  if (g.last + 3 * PEERS + 12 >= SOCKETS_MAX) return;
  aq_err err;
  (void)!aq_host_add_addr(g.host, (int)(which % PEERS) - 1, which & 0x10 ? "10.0.0.2:3610" : "[2001:db8::7]:3610",
                          which & 0x20, &err);
}

/* Dials that nothing answers would use up the sockets. */
static void answer_dials(void) {
  for (uint64_t id = 1; id <= g.last; id++) opened(id, false);
  AQ_ASSERT(g.last < SOCKETS_MAX);
}

static void step(aq_rd *in) {
  static const char first[] = "\x13/multistream/1.0.0\n\x07/noise\n";
  uint8_t what = aq_rd_u8(in), which = aq_rd_u8(in);
  uint64_t id = g.last ? 1 + (g.last - 1 - which % (g.last < 8 ? g.last : 8)) : 0;
  switch (what % 12) {
    case 0:
    case 1: accept(which); break;
    case 2: opened(id, true); break;
    case 3: opened(id, false); break;
    case 4: g.ev.data(g.ev.arg, id, aq_rd_bytes(in, which < in->left ? which : in->left)); break;
    case 5: g.ev.data(g.ev.arg, id, aq_bytes_of(first, which % sizeof first)); break;
    case 6: g.ev.writable(g.ev.arg, id); break;
    case 7:
      if (g.socket[id] != OPEN) break;
      g.socket[id] = GONE;
      g.ev.closed(g.ev.arg, id, which & 1 ? AQ_E_CLOSED : AQ_E_IO);
      break;
    case 8: g.room = which; break;
    case 9: own_message(which); break;
    case 10: add_addr(which); break;
    default:
      answer_dials();
      if (g.last + 3 * PEERS + 12 < SOCKETS_MAX) fake_env_run_for(&g.loop, AQ_MILLIS(100) * (which & 31));
      break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  start();
  aq_rd in = aq_rd_of(aq_bytes_of(data, len));
  for (int i = 0; i < STEPS_MAX && in.left > 1; i++) {
    step(&in);
    uint32_t open = 0;
    for (uint64_t id = 1; id <= g.last; id++) open += g.socket[id] == OPEN || g.socket[id] == DIALLING;
    AQ_ASSERT(open == g.host->conn_cnt && open <= CONNS_MAX + PEERS * HOST_DIALS_MAX + 8);
    AQ_ASSERT(aq_host_connected(g.host) == 0);
  }
  aq_host_free(g.host);
  for (uint64_t id = 1; id <= g.last; id++) AQ_ASSERT(g.socket[id] == GONE);
  fake_env_free(&g.loop);
  return 0;
}
