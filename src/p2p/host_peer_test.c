/* One host against a peer of its cluster that says what the test wants, stream by stream: it speaks Noise and yamux
   through p2p/conn, and everything above by hand. */
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "crypto/aead.h"
#include "fake/net.h"
#include "p2p/host_internal.h"
#include "p2p/switch_internal.h"

enum { ROWS_MAX = 4096 };

typedef struct {
  uint32_t id;
  bool ours, fin, reset;
  uint32_t code;
  aq_buf in;
} row;

typedef struct {
  fake_env loop;
  fake_net net;
  aq_k1_key *key[2];
  aq_host_peer peers[2];
  aq_host *host;
  uint32_t recv, served, done_ok, done_bad, answers, leaves;
  aq_status judge; /* what the handlers find */
  aq_status st;
  size_t recv_len;
  /* the scripted peer */
  aq_conn_scratch scratch;
  aq_conn *c;
  uint64_t tcp_id;
  bool up, down, no_credit, closed;
  row row[ROWS_MAX];
  uint32_t row_cnt;
} world;

/* ---- the scripted peer ---- */

static size_t io_write(void *arg, aq_bytes out) {
  world *w = arg;
  aq_tcp *t = &w->net.node[1].tcp;
  return w->closed ? out.len : t->write(t->ctx, w->tcp_id, out);
}

static bool io_secured(void *arg, const uint8_t remote[33]) {
  const world *w = arg;
  assert_memory_equal(remote, w->peers[0].pubkey, 33);
  return true;
}

static void io_up(void *arg) { ((world *)arg)->up = true; }
static void io_down(void *arg, aq_status st) {
  (void)st;
  ((world *)arg)->down = true;
}

static row *row_new(world *w, uint32_t id, bool ours) {
  assert_true(w->row_cnt < ROWS_MAX);
  row *r = &w->row[w->row_cnt++];
  *r = (row){.id = id, .ours = ours, .in = AQ_BUF(64u << 20)};
  return r;
}

static void io_event(void *arg, const aq_yamux_ev *ev) {
  world *w = arg;
  row *r = ev->owner;
  switch (ev->kind) {
    case AQ_YAMUX_EV_OPENED: aq_yamux_own(aq_conn_mux(w->c), ev->stream, row_new(w, ev->stream, false)); break;
    case AQ_YAMUX_EV_DATA:
      aq_buf_put_bytes(&r->in, ev->data);
      if (!w->no_credit) aq_yamux_credit(aq_conn_mux(w->c), ev->stream, ev->data.len);
      break;
    case AQ_YAMUX_EV_FIN: r->fin = true; break;
    case AQ_YAMUX_EV_RESET: r->reset = true, r->code = ev->code; break;
    case AQ_YAMUX_EV_SENT:
    case AQ_YAMUX_EV_PONG:
    case AQ_YAMUX_EV_GOAWAY: break;
  }
}

static bool tcp_accepted(void *arg, uint64_t id, const char *remote) {
  (void)arg, (void)id, (void)remote;
  return false;
}
static void tcp_opened(void *arg, uint64_t id, aq_status st) {
  world *w = arg;
  (void)id;
  assert_int_equal(st, AQ_OK);
  aq_conn_start(w->c);
}
static void tcp_data(void *arg, uint64_t id, aq_bytes in) {
  world *w = arg;
  if (id == w->tcp_id) aq_conn_data(w->c, in);
}
static void tcp_writable(void *arg, uint64_t id) {
  world *w = arg;
  if (id == w->tcp_id) aq_conn_writable(w->c);
}
static void tcp_closed(void *arg, uint64_t id, aq_status st) {
  world *w = arg;
  (void)st;
  if (id != w->tcp_id) return; /* one that many_connections() left behind */
  w->closed = w->down = true;
  aq_conn_abort(w->c);
}

static void peer_connect(world *w) {
  const aq_conn_io io = {w, io_write, io_secured, io_up, io_event, io_down};
  w->up = w->down = w->closed = false;
  w->row_cnt = 0;
  w->c = aq_conn_new(&w->loop.env, w->key[1], &w->scratch, true, &io);
  aq_tcp *t = &w->net.node[1].tcp;
  const aq_tcp_events ev = {w, tcp_accepted, tcp_opened, tcp_data, tcp_writable, tcp_closed};
  t->events(t->ctx, &ev);
  w->tcp_id = t->dial(t->ctx, w->net.node[0].host, FAKE_PORT);
}

static void peer_disconnect(world *w) {
  aq_tcp *t = &w->net.node[1].tcp;
  t->close(t->ctx, w->tcp_id);
  for (uint32_t i = 0; i < w->row_cnt; i++) aq_buf_free(&w->row[i].in);
  w->row_cnt = 0;
  aq_conn_free(w->c);
  w->c = NULL;
}

/* Opens a stream and writes header, name and bytes at once. */
static row *stream(world *w, const char *name, aq_bytes bytes, bool fin) {
  row *r = row_new(w, 0, true);
  aq_yamux *y = aq_conn_mux(w->c);
  assert_int_equal(aq_yamux_open(y, &r->id, r), AQ_OK);
  aq_buf out = AQ_BUF(40u << 20);
  aq_ms_put(&out, AQ_MS_HEADER);
  if (name) aq_ms_put(&out, name);
  aq_buf_put_bytes(&out, bytes);
  assert_int_equal(aq_yamux_write(y, r->id, aq_buf_bytes(&out)), AQ_OK);
  if (fin) aq_yamux_close(y, r->id);
  aq_buf_free(&out);
  aq_conn_flush(w->c);
  return r;
}

/* The n-th stream (from 0) that the host opened for that protocol. */
static row *host_stream(world *w, const char *name, uint32_t n) {
  aq_buf want = AQ_BUF(4096);
  row *found = NULL;
  aq_ms_put(&want, AQ_MS_HEADER);
  aq_ms_put(&want, name);
  for (uint32_t i = 0; i < w->row_cnt && !found; i++) {
    row *r = &w->row[i];
    if (r->ours || r->in.len < want.len || memcmp(r->in.ptr, want.ptr, want.len) != 0) continue;
    if (n-- == 0) found = r;
  }
  aq_buf_free(&want);
  return found;
}

static void say(world *w, row *r, const char *token, aq_bytes bytes, bool fin) {
  aq_yamux *y = aq_conn_mux(w->c);
  aq_buf out = AQ_BUF(1u << 20);
  if (token) {
    aq_ms_put(&out, AQ_MS_HEADER);
    aq_ms_put(&out, token);
  }
  aq_buf_put_bytes(&out, bytes);
  assert_int_equal(aq_yamux_write(y, r->id, aq_buf_bytes(&out)), AQ_OK);
  if (fin) aq_yamux_close(y, r->id);
  aq_buf_free(&out);
  aq_conn_flush(w->c);
}

/* ---- the host ---- */

static void on_recv(void *arg, uint32_t from, aq_bytes msg) {
  world *w = arg;
  assert_int_equal(from, 1);
  w->recv++;
  w->recv_len = msg.len;
  if (w->judge) aq_net_fault(aq_host_net(w->host), from, AQ_PROTO_QBFT, w->judge);
}
static void on_serve(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  world *w = arg;
  (void)from, (void)msg, (void)reply;
  w->served++; /* never answered */
}
static void on_done(void *arg, aq_status st) {
  world *w = arg;
  w->st = st;
  if (st == AQ_OK)
    w->done_ok++;
  else
    w->done_bad++;
}
static void on_answer(void *arg, aq_status st, aq_bytes answer) {
  world *w = arg;
  (void)answer;
  w->st = st;
  w->answers++;
}
static void on_change(void *arg, uint32_t peer, bool connected) {
  (void)peer;
  if (!connected) ((world *)arg)->leaves++;
}

static void world_init(world *w, int32_t score_threshold) {
  memset(w, 0, sizeof *w);
  aq_metrics_init();
  fake_env_init(&w->loop, AQ_SECONDS(1700000000));
  fake_net_init(&w->net, &w->loop.env, 1);
  for (uint8_t i = 0; i < 2; i++) {
    uint8_t secret[32] = {2, i};
    assert_int_equal(aq_k1_key_new(&w->key[i], secret), AQ_OK);
    aq_k1_pubkey(w->peers[i].pubkey, w->key[i]);
    snprintf(w->peers[i].name, sizeof w->peers[i].name, "peer-%d", i);
    fake_net_node(&w->net);
  }
  aq_host_cfg cfg = {.env = &w->loop.env,
                     .tcp = &w->net.node[0].tcp,
                     .key = w->key[0],
                     .peer_cnt = 2,
                     .peers = w->peers,
                     .agent = "aequa/test",
                     .score_threshold = score_threshold,
                     .peer_change = on_change,
                     .arg = w};
  w->host = aq_host_new(&cfg);
  const aq_net *net = aq_host_net(w->host);
  aq_net_handler h = {w, on_recv, on_serve};
  for (int p = 0; p < AQ_PROTO_CNT; p++) net->handle(net->ctx, (aq_net_proto)p, &h);
  aq_host_start(w->host);
  peer_connect(w);
  fake_env_run_for(&w->loop, AQ_SECONDS(1));
  assert_true(w->up);
}

static void world_free(world *w) {
  if (w->c) peer_disconnect(w);
  aq_host_free(w->host);
  fake_net_free(&w->net);
  fake_env_free(&w->loop);
  for (int i = 0; i < 2; i++) aq_k1_key_free(w->key[i]);
}

static void run(world *w, uint64_t ns) { fake_env_run_for(&w->loop, ns); }
static hpeer *peer(world *w) { return &w->host->peer[1]; }
static aq_remote *remote(world *w) { return peer(w)->remote; }

static world *new_world(int32_t score_threshold) {
  world *w = malloc(sizeof *w);
  assert_non_null(w);
  world_init(w, score_threshold);
  return w;
}

static void del_world(world *w) {
  world_free(w);
  free(w);
}

static const char *qbft = "/charon/consensus/qbft/2.0.0";

/* Goal: a peer that connects again and again, and forgets to hang up, has eight connections, the newest; the cluster's
   others find room. Method: 20 whole handshakes, of which none is ended. */
static void many_connections(void **state) {
  (void)state;
  world *w = new_world(0);
  for (uint32_t i = 1; i < 20; i++) {
    assert_int_equal(remote(w)->link_cnt, i < AQ_REMOTE_LINKS_MAX ? i : AQ_REMOTE_LINKS_MAX);
    for (uint32_t k = 0; k < w->row_cnt; k++) aq_buf_free(&w->row[k].in);
    aq_conn_free(w->c);
    peer_connect(w);
    run(w, AQ_MILLIS(200));
    assert_true(w->up && !w->down);
  }
  assert_int_equal(remote(w)->link_cnt, AQ_REMOTE_LINKS_MAX);
  assert_int_equal(w->leaves, 0);
  del_world(w);
}

/* Goal: the host asks for identify and pings at once, serves both, and answers pings in any cut.
   Method: its streams looked at; a ping in two halves; the vector's shape of an identify answer. */
static void services(void **state) {
  (void)state;
  world *w = new_world(0);
  row *id = host_stream(w, "/ipfs/id/1.0.0", 0), *ping = host_stream(w, "/ipfs/ping/1.0.0", 0);
  assert_non_null(id);
  assert_non_null(ping);
  assert_true(ping->fin); /* one ping, closed behind it */
  say(w, ping, "/ipfs/ping/1.0.0", aq_bytes_of(ping->in.ptr + ping->in.len - 32, 32), true);
  row *ask = stream(w, "/ipfs/id/1.0.0", aq_bytes_of(NULL, 0), false);
  row *pong = stream(w, "/ipfs/ping/1.0.0", aq_bytes_str("0123456789abcdef"), false);
  run(w, AQ_SECONDS(1));
  assert_true(aq_metric_value(AQ_M_P2P_PING_SUCCESS, AQ_LABELS("peer-1")) == 1);
  assert_true(ask->fin && ask->in.len > 200);
  say(w, pong, NULL, aq_bytes_str("0123456789abcdefX"), false);
  run(w, AQ_SECONDS(1));
  assert_int_equal(pong->in.len, 20 + 18 + 32);
  say(w, pong, NULL, aq_bytes_str("0123456789abcdef0123456789abcde"), true);
  run(w, AQ_SECONDS(1));
  assert_int_equal(pong->in.len, 20 + 18 + 64);
  assert_true(pong->fin);
  row *none = stream(w, "/nothing/1", aq_bytes_of(NULL, 0), false);
  run(w, AQ_SECONDS(1));
  assert_int_equal(none->in.len, 20 + 4); /* header, na */
  say(w, none, NULL, aq_bytes_str("\x1d/charon/consensus/qbft/2.0.0\n\x01x"), true);
  run(w, AQ_SECONDS(1));
  assert_int_equal(w->recv, 1);
  run(w, AQ_SECONDS(20));
  const aq_link *l = AQ_CONTAINER(remote(w)->links.next, aq_link, of_remote);
  assert_true(aq_link_streams(l) <= 2); /* what was refused or unanswered is gone; later pings */
  del_world(w);
}

/* Goal: what identify says is believed within limits: protocols choose the name of priority, addresses are dialled.
   Method: an answer with one old name and an address; then a request. */
static void identify_used(void **state) {
  (void)state;
  world *w = new_world(0);
  static const char *const addrs[] = {"/ip4/10.0.0.2/tcp/3610", "/ip4/10.0.0.77/udp/1/quic-v1"};
  static const char *const protos[] = {"charon/priority/2.0.0", "/ipfs/ping/1.0.0"};
  aq_identify_own own = {
      .addr = addrs, .addr_cnt = 2, .protocol = protos, .protocol_cnt = 2, .remote = "10.0.0.1:1", .agent = "x"};
  memcpy(own.pubkey, w->peers[1].pubkey, 33);
  aq_buf msg = AQ_BUF(8192), out = AQ_BUF(8192);
  assert_int_equal(aq_identify_write(&msg, &own), AQ_OK);
  aq_delimited_put(&out, aq_buf_bytes(&msg));
  say(w, host_stream(w, "/ipfs/id/1.0.0", 0), "/ipfs/id/1.0.0", aq_buf_bytes(&out), true);
  run(w, AQ_SECONDS(1));
  assert_true(remote(w)->info.heard);
  assert_int_equal(peer(w)->book.cnt, 1);
  const aq_net *net = aq_host_net(w->host);
  net->request(net->ctx, 1, AQ_PROTO_PRIORITY, aq_bytes_str("q"), on_answer, w);
  run(w, AQ_SECONDS(1));
  row *r = host_stream(w, "charon/priority/2.0.0", 0);
  assert_non_null(r);
  assert_true(r->fin); /* name, message and end without waiting */
  say(w, r, "charon/priority/2.0.0", aq_bytes_str("\x01y"), true);
  run(w, AQ_SECONDS(1));
  assert_int_equal(w->answers, 1);
  assert_int_equal(w->st, AQ_OK);
  net->request(net->ctx, 1, AQ_PROTO_VOTES, aq_bytes_str("q"), on_answer, w); /* it did not list our own protocol */
  run(w, AQ_SECONDS(1));
  assert_int_equal(w->answers, 2);
  assert_int_equal(w->st, AQ_E_CLOSED);
  assert_null(host_stream(w, "/aequa/votes/1.0.0", 0));
  row *push = stream(w, "/ipfs/id/push/1.0.0", aq_bytes_str(""), false); /* a push without addresses takes them back */
  own.addr_cnt = 0;
  aq_buf_reset(&msg), aq_buf_reset(&out);
  assert_int_equal(aq_identify_write(&msg, &own), AQ_OK);
  aq_delimited_put(&out, aq_buf_bytes(&msg));
  say(w, push, NULL, aq_buf_bytes(&out), true);
  run(w, AQ_SECONDS(1));
  assert_int_equal(peer(w)->book.cnt, 0);
  aq_buf_free(&msg), aq_buf_free(&out);
  del_world(w);
}

/* Goal: without identify both names of priority are offered one after the other.
   Method: the first is refused by `na`, the second accepted. */
static void two_names(void **state) {
  (void)state;
  world *w = new_world(0);
  const aq_net *net = aq_host_net(w->host);
  net->request(net->ctx, 1, AQ_PROTO_PRIORITY, aq_bytes_str("q"), on_answer, w);
  run(w, AQ_MILLIS(100));
  row *r = host_stream(w, "/charon/priority/2.0.0", 0);
  assert_non_null(r);
  assert_int_equal(r->in.len, 20 + 24); /* header and offer, nothing more */
  say(w, r, "na", aq_bytes_of(NULL, 0), false);
  run(w, AQ_MILLIS(100));
  assert_int_equal(r->in.len, 20 + 24 + 23);
  say(w, r, NULL,
      aq_bytes_str("\x16"
                   "charon/priority/2.0.0\n"),
      false);
  run(w, AQ_MILLIS(100));
  assert_int_equal(r->in.len, 20 + 24 + 23 + 2);
  assert_true(r->fin);
  say(w, r, NULL, aq_bytes_str("\x02ok"), true);
  run(w, AQ_MILLIS(100));
  assert_int_equal(w->answers, 1);
  assert_int_equal(w->st, AQ_OK);
  net->request(net->ctx, 1, AQ_PROTO_PRIORITY, aq_bytes_str("q"), on_answer, w);
  run(w, AQ_MILLIS(100));
  r = host_stream(w, "/charon/priority/2.0.0", 1);
  say(w, r, "na", aq_bytes_str("\x03na\n"), false);
  run(w, AQ_MILLIS(100));
  assert_int_equal(w->answers, 2);
  assert_int_equal(w->st, AQ_E_CLOSED);
  del_world(w);
}

/* Goal: a stream that is reset is tried once more after 100 ms, and no more.
   Method: reset the first, accept the second; reset both. */
static void retries(void **state) {
  (void)state;
  world *w = new_world(0);
  const aq_net *net = aq_host_net(w->host);
  aq_buf big = AQ_BUF(4u << 20);
  assert_non_null(aq_buf_extend(&big, 3u << 20));
  for (uint32_t turn = 0; turn < 2; turn++) {
    net->send(net->ctx, 1, AQ_PROTO_QBFT, turn ? aq_bytes_str("hello") : aq_buf_bytes(&big), on_done, w);
    run(w, AQ_MILLIS(50));
    row *r = host_stream(w, qbft, 2 * turn);
    assert_non_null(r);
    aq_yamux_reset(aq_conn_mux(w->c), r->id, 0);
    aq_conn_flush(w->c);
    run(w, AQ_MILLIS(60));
    assert_null(host_stream(w, qbft, 2 * turn + 1));
    run(w, AQ_MILLIS(100));
    r = host_stream(w, qbft, 2 * turn + 1);
    assert_non_null(r);
    if (turn == 0) {
      assert_int_equal(r->in.len, 20 + 30 + 4 + big.len); /* whole, from its beginning */
      say(w, r, qbft, aq_bytes_of(NULL, 0), true);
    } else {
      aq_yamux_reset(aq_conn_mux(w->c), r->id, 0);
      aq_conn_flush(w->c);
    }
    run(w, AQ_SECONDS(1));
    assert_int_equal(w->done_ok, 1);
    assert_int_equal(w->done_bad, turn);
  }
  assert_int_equal(peer(w)->op_cnt, 0);
  aq_buf_free(&big);
  del_world(w);
}

/* Goal: a peer that takes a message but never reads or accepts it costs 7 s and one reset.
   Method: no credit for 1 MB; no answer at all. */
static void silent_peer(void **state) {
  (void)state;
  world *w = new_world(0);
  const aq_net *net = aq_host_net(w->host);
  w->no_credit = true;
  aq_buf big = AQ_BUF(4u << 20);
  assert_non_null(aq_buf_extend(&big, 1u << 20));
  net->send(net->ctx, 1, AQ_PROTO_QBFT, aq_buf_bytes(&big), on_done, w);
  net->send(net->ctx, 1, AQ_PROTO_PARSIGEX, aq_bytes_str("x"), on_done, w);
  run(w, AQ_SECONDS(6));
  assert_int_equal(w->done_bad, 0);
  run(w, AQ_MILLIS(1010));
  assert_int_equal(w->done_bad, 2);
  assert_int_equal(w->st, AQ_E_TIMEOUT);
  row *r = host_stream(w, qbft, 0);
  assert_true(r->reset);
  assert_int_equal(r->in.len, AQ_YAMUX_WINDOW);
  aq_buf_free(&big);
  del_world(w);
}

/* Goal: broken messages end their stream, count, and lower the score until the peer is put out.
   Method: a length over the limit, one not minimal, garbage as negotiation; threshold 70. */
static void broken_messages(void **state) {
  (void)state;
  world *w = new_world(70);
  row *r = stream(w, qbft, aq_bytes_str("\x81\x80\x80\x10"), false); /* 32 MiB and a byte */
  run(w, AQ_MILLIS(20));
  assert_true(r->reset);
  assert_int_equal(r->code, AQ_YAMUX_RST_VIOLATION);
  r = stream(w, qbft, aq_bytes_of("\x83\x00xxx", 5), false);
  run(w, AQ_MILLIS(20));
  assert_true(r->reset);
  assert_true(aq_metric_value(AQ_M_P2P_MSGS_TOTAL, AQ_LABELS("aequa/qbft/v1", "rx", "decode_error")) == 2);
  r = stream(w, "/x", aq_bytes_str("\x05garbage that is no token"), false);
  run(w, AQ_MILLIS(20));
  assert_true(r->reset);
  assert_int_equal(r->code, AQ_YAMUX_RST_NEGOTIATION);
  r = stream(w, qbft, aq_bytes_str("\x05half"), true); /* ends inside */
  run(w, AQ_MILLIS(20));
  assert_true(r->reset);
  assert_int_equal(w->leaves, 0);
  for (int i = 0; i < 2; i++) {
    stream(w, qbft, aq_bytes_str("\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false);
    run(w, AQ_MILLIS(20));
  }
  assert_int_equal(w->leaves, 1);
  assert_true(w->down);
  peer_disconnect(w);
  peer_connect(w);
  run(w, AQ_SECONDS(1));
  assert_false(w->up); /* refused by its score */
  assert_true(aq_metric_value(AQ_M_P2P_CONN_ATTEMPTS_TOTAL, AQ_LABELS("denied")) == 1);
  peer_disconnect(w);
  run(w, AQ_SECONDS(30)); /* a point a second comes back */
  peer_connect(w);
  run(w, AQ_SECONDS(1));
  assert_true(w->up);
  del_world(w);
}

/* Goal: a connection that breaks yamux or Noise is closed at once.
   Method: more data than the window; garbage instead of a frame. */
static void broken_layers(void **state) {
  (void)state;
  world *w = new_world(0);
  aq_tcp *t = &w->net.node[1].tcp;
  t->write(t->ctx, w->tcp_id, aq_bytes_of("\x00\x20garbage instead of a Noise message that opens", 48));
  run(w, AQ_MILLIS(50));
  assert_int_equal(w->leaves, 1);
  assert_true(w->closed);
  del_world(w);
}

/* Goal: half-done messages hold bounded memory for bounded time: two big ones with full windows, others wait with
   one window. Method: six messages of 30 MB, each all but one byte; then many small ones. */
static void memory_bounded(void **state) {
  (void)state;
  world *w = new_world(0);
  aq_buf big = AQ_BUF(40u << 20);
  aq_buf_put(&big, "\x80\x80\x80\x0f", 4); /* 30 MiB */
  assert_non_null(aq_buf_extend(&big, (30u << 20) - 1));
  for (int i = 0; i < 6; i++) stream(w, qbft, aq_buf_bytes(&big), false);
  run(w, AQ_SECONDS(2));
  assert_int_equal(remote(w)->big_cnt, 2);
  assert_in_range(remote(w)->rx_bytes, 2 * ((30u << 20) - 1), 2 * (30u << 20) + 4 * AQ_YAMUX_WINDOW);
  run(w, AQ_SECONDS(13)); /* three generations of two, 5 s each; the waiting ones time out meanwhile */
  assert_int_equal(remote(w)->rx_bytes, 0);
  assert_int_equal(remote(w)->big_cnt, 0);
  assert_int_equal(w->recv, 0);

  aq_buf part = AQ_BUF(1u << 20);
  aq_buf_put(&part, "\x80\x80\x10", 3); /* 256 KiB: within the first window */
  assert_non_null(aq_buf_extend(&part, (256u << 10) - 100));
  for (int i = 0; i < 500; i++) stream(w, qbft, aq_buf_bytes(&part), false);
  run(w, AQ_SECONDS(1));
  uint32_t refused = 0;
  for (uint32_t i = 0; i < w->row_cnt; i++) refused += w->row[i].reset && w->row[i].code == AQ_YAMUX_RST_LIMIT;
  assert_true(refused > 100);
  assert_true(remote(w)->rx_bytes <= AQ_REMOTE_RX_MAX);
  run(w, AQ_SECONDS(6));
  assert_int_equal(remote(w)->rx_bytes, 0);
  assert_int_equal(w->leaves, 0);
  stream(w, qbft, aq_bytes_str("\x02ok"), true);
  run(w, AQ_SECONDS(1));
  assert_int_equal(w->recv, 1);
  aq_buf_free(&big), aq_buf_free(&part);
  del_world(w);
}

/* Goal: streams that say nothing are closed after 15 s, and too many of them do not hurt.
   Method: 1000 opened at once. */
static void silent_streams(void **state) {
  (void)state;
  world *w = new_world(0);
  for (int i = 0; i < 1000; i++) {
    row *r = row_new(w, 0, true);
    assert_int_equal(aq_yamux_open(aq_conn_mux(w->c), &r->id, r), AQ_OK);
    aq_conn_flush(w->c);
  }
  run(w, AQ_SECONDS(10));
  assert_true(aq_yamux_streams(aq_conn_mux(w->c)) >= 1000);
  run(w, AQ_SECONDS(6));
  uint32_t reset = 0;
  for (uint32_t i = 0; i < w->row_cnt; i++) reset += w->row[i].reset && w->row[i].ours;
  assert_int_equal(reset, 1000);
  assert_int_equal(w->leaves, 0);
  del_world(w);
}

static uint32_t g_lines;

static void on_line(void *arg, const char *line, size_t len) {
  (void)arg, (void)len;
  if (strstr(line, "\"msg\":\"p2p_stream\"")) g_lines++;
}

static double counted(const char *topic, const char *result) {
  return aq_metric_value(AQ_M_P2P_MSGS_TOTAL, AQ_LABELS(topic, "rx", result));
}

/* Goal: a message is counted as what its handler says of it, and costs the peer's score what that is worth.
   Method: the handler finds fault with messages for one reason after the other; threshold 70. */
static void judged(void **state) {
  (void)state;
  static const aq_status found[] = {AQ_OK, AQ_E_FORMAT, AQ_E_TRUNC, AQ_E_LIMIT, AQ_E_LIMIT, AQ_E_AUTH};
  world *w = new_world(70);
  for (size_t i = 0; i < AQ_COUNT(found); i++) {
    w->judge = found[i];
    stream(w, qbft, aq_bytes_str("\x01m"), true);
    run(w, AQ_MILLIS(20));
  }
  assert_int_equal(w->recv, AQ_COUNT(found));
  assert_true(counted("aequa/qbft/v1", "ok") == 1);
  assert_true(counted("aequa/qbft/v1", "decode_error") == 2);
  assert_true(counted("aequa/qbft/v1", "error") == 3);
  assert_int_equal(w->leaves, 1); /* 100 - 3 * 10 - 2 */
  del_world(w);
}

/* Goal: what a peer may ask for has a budget that time gives back, each protocol its own; more is reset, counted, told
   in one line.
   Method: 300 of each request and of pings in one stream; more a minute later. */
static void many_asked(void **state) {
  (void)state;
  static const char *const asked[] = {"/charon/peerinfo/2.0.0", "/charon/priority/2.0.0", "/ipfs/id/1.0.0"};
  world *w = new_world(0);
  g_lines = 0;
  aq_log_start(AQ_LOG_WARN, on_line, NULL);
  for (size_t k = 0; k < AQ_COUNT(asked); k++) {
    uint32_t reset = 0, first = w->row_cnt;
    for (int i = 0; i < 300; i++) stream(w, asked[k], k < 2 ? aq_bytes_str("\x01q") : aq_bytes_str(""), true);
    run(w, AQ_MILLIS(100));
    for (uint32_t i = first; i < w->row_cnt; i++) reset += w->row[i].reset && w->row[i].code == AQ_YAMUX_RST_LIMIT;
    assert_in_range(reset, 230, 236);
  }
  assert_in_range(w->served, 128, 130);
  assert_true(counted("aequa/priority/v1", "error") >= 230);
  static uint8_t pings[300 * AQ_SW_PING_LEN];
  row *r = stream(w, "/ipfs/ping/1.0.0", aq_bytes_of(pings, 100 * AQ_SW_PING_LEN), false);
  for (size_t i = 0; i < 2; i++) {
    run(w, AQ_MILLIS(20));
    assert_false(r->reset);
    say(w, r, NULL, aq_bytes_of(pings, 100 * AQ_SW_PING_LEN), false);
  }
  run(w, AQ_MILLIS(20));
  assert_true(r->reset);
  assert_int_equal(g_lines, 1);
  run(w, AQ_SECONDS(60));
  w->served = 0;
  for (int i = 0; i < 60; i++) stream(w, asked[0], aq_bytes_str("\x01q"), true);
  run(w, AQ_MILLIS(100));
  assert_int_equal(w->served, 60);
  assert_int_equal(w->leaves, 0);
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  del_world(w);
}

/* Goal: streams that a peer opens have a budget; over it they are reset before anything is read of them.
   Method: more than the budget is used up; one at once, one a second later. */
static void many_opened(void **state) {
  (void)state;
  world *w = new_world(0);
  remote(w)->opens = (aq_bucket){17400 * AQ_NS_PER_SEC, aq_mono_ns(&w->loop.env)};
  row *r = stream(w, qbft, aq_bytes_str("\x01m"), true);
  run(w, AQ_MILLIS(20));
  assert_true(r->reset);
  assert_int_equal(r->code, AQ_YAMUX_RST_LIMIT);
  assert_int_equal(w->recv, 0);
  run(w, AQ_SECONDS(1));
  stream(w, qbft, aq_bytes_str("\x01m"), true);
  run(w, AQ_MILLIS(20));
  assert_int_equal(w->recv, 1);
  del_world(w);
}

/* Goal: requests that nobody answers are bounded in number and time.
   Method: 600 requests within the budget; the host's handler never answers. The gauge of streams sees those that wait,
   and their end. */
static void many_requests(void **state) {
  (void)state;
  world *w = new_world(0);
  for (int i = 0; i < 600; i++) {
    remote(w)->asks[aq_switch_names(w->host->sw)->first[AQ_PROTO_PRIORITY]] = (aq_bucket){0};
    stream(w, "/charon/priority/2.0.0", aq_bytes_str("\x01q"), true);
    if (i % 50 == 0) run(w, AQ_MILLIS(2));
  }
  run(w, AQ_SECONDS(1));
  assert_int_equal(w->served, AQ_SWITCH_REPLIES_MAX);
  const char *const *waiting = AQ_LABELS("peer-1", "inbound", "/charon/priority/2.0.0", "tcp");
  run(w, AQ_SECONDS(1));
  assert_true(aq_metric_value(AQ_M_P2P_PEER_STREAMS, waiting) == AQ_SWITCH_REPLIES_MAX);
  run(w, AQ_SECONDS(6));
  assert_true(aq_metric_value(AQ_M_P2P_PEER_STREAMS, waiting) == 0);
  for (int i = 0; i < AQ_SWITCH_REPLIES_MAX; i++) assert_null(w->host->sw->reply[i].stream);
  assert_int_equal(w->leaves, 0);
  del_world(w);
}

static int setup(void **state) {
  (void)state;
  aq_crypto_init();
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(services),      cmocka_unit_test(identify_used),    cmocka_unit_test(two_names),
      cmocka_unit_test(retries),       cmocka_unit_test(silent_peer),      cmocka_unit_test(broken_messages),
      cmocka_unit_test(broken_layers), cmocka_unit_test(memory_bounded),   cmocka_unit_test(silent_streams),
      cmocka_unit_test(many_requests), cmocka_unit_test(many_connections), cmocka_unit_test(judged),
      cmocka_unit_test(many_asked),    cmocka_unit_test(many_opened),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
