/* Hosts over sockets in memory: they find one another, talk, lose one another. */
#include "base/log.h"
#include "crypto/aead.h"
#include "fake/hosts.h"
#include "identity/identity.h"
#include "p2p/host_internal.h"

/* Goal: two hosts that know each other's address connect, exchange both kinds of messages, and say so.
   Method: one dials; a one-way message and a request in each direction. */
static void two_hosts(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 1);
  member_start(&c, 0, (limits){0});
  member_start(&c, 1, (limits){0});
  know(&c, 0, 1, 1);
  aq_host_start(c.m[0].host), aq_host_start(c.m[1].host);
  run(&c, AQ_SECONDS(1));
  assert_int_equal(aq_host_connected(c.m[0].host), 1);
  assert_int_equal(aq_host_connected(c.m[1].host), 1);
  assert_int_equal(c.m[0].joins, 1);
  assert_int_equal(c.m[1].joins, 1);
  assert_string_equal(c.m[0].addr, "10.0.0.2:3610");
  for (uint32_t from = 0; from < 2; from++) {
    send(&c, from, 1 - from, AQ_PROTO_QBFT, aq_bytes_str("vote"));
    assert_int_equal(c.m[from].sent_ok, 0); /* never from inside send */
    run(&c, AQ_MILLIS(100));
    assert_int_equal(c.m[from].sent_ok, 1);
    assert_int_equal(c.m[1 - from].recv, 1);
    assert_int_equal(c.m[1 - from].last_from, from);
    assert_int_equal(c.m[1 - from].last_len, 4);
    ask(&c, from, 1 - from, AQ_PROTO_PEERINFO, aq_bytes_str(""));
    ask(&c, from, 1 - from, AQ_PROTO_PRIORITY, aq_bytes_str("topics"));
    run(&c, AQ_MILLIS(100));
    assert_int_equal(c.m[from].answers, 2);
    assert_int_equal(c.m[1 - from].served, 2);
  }
  assert_true(aq_metric_value(AQ_M_P2P_MSGS_TOTAL, AQ_LABELS("aequa/qbft/v1", "rx", "ok")) == 2);
  assert_true(aq_metric_value(AQ_M_P2P_BYTES_TOTAL, AQ_LABELS("aequa/qbft/v1", "tx")) == 8);
  assert_true(aq_metric_value(AQ_M_P2P_PING_SUCCESS, AQ_LABELS("peer-1")) == 1);
  assert_true(aq_metric_value(AQ_M_P2P_CONN_OPEN_TOTAL, AQ_NO_LABELS) == 2); /* one registry for both hosts */
  assert_true(aq_host_bytes(c.m[0].host, true) > 500 && aq_host_bytes(c.m[0].host, false) > 500);
  cluster_free(&c);
}

/* Goal: a cluster finds together from one list of addresses, keeps one connection a pair, and every message arrives.
   Method: 4, 7 and 10 hosts, all given all addresses without owners; double dials are ended. */
static void clusters(void **state) {
  (void)state;
  for (uint32_t n = 4; n <= 10; n += 3) {
    cluster c;
    cluster_init(&c, n, n);
    cluster_start(&c);
    run(&c, AQ_SECONDS(2));
    for (uint32_t i = 0; i < n; i++) assert_int_equal(aq_host_connected(c.m[i].host), n - 1);
    for (uint32_t i = 0; i < n; i++) {
      for (uint32_t k = 0; k < n; k++) {
        if (k != i) send(&c, i, k, AQ_PROTO_QBFT, aq_bytes_str("vote"));
      }
    }
    run(&c, AQ_SECONDS(8));
    for (uint32_t i = 0; i < n; i++) {
      assert_int_equal(c.m[i].recv, n - 1);
      assert_int_equal(c.m[i].sent_ok, n - 1);
      assert_int_equal(fake_net_conns(&c.net, i), n - 1);
      assert_int_equal(c.m[i].leaves, 0);
    }
    double open = aq_metric_value(AQ_M_P2P_CONN_OPEN_TOTAL, AQ_NO_LABELS);
    double close = aq_metric_value(AQ_M_P2P_CONN_CLOSE_TOTAL, AQ_NO_LABELS);
    assert_true(open - close == n * (n - 1));
    uint32_t dials = c.net.dials;
    run(&c, AQ_SECONDS(120));
    assert_int_equal(c.net.dials, dials); /* all is quiet */
    cluster_free(&c);
  }
}

static void hash_of(uint8_t out[32], const aq_buf *b) { aq_sha256(out, aq_buf_bytes(b)); }

static aq_buf random_message(uint64_t seed, size_t len) {
  aq_buf b = AQ_BUF(64u << 20);
  uint8_t *p = aq_buf_extend(&b, len);
  aq_test_rng rng;
  aq_test_rng_seed(&rng, seed);
  for (size_t i = 0; i < len; i += 61) p[i] = (uint8_t)aq_test_rng_next(&rng);
  return b;
}

/* Goal: how bytes are cut on the way makes no difference.
   Method: 60 seeds, pieces of 1 to 1, 2, 13, 700, 5000 bytes; a short and a long message, a request. */
static void fragmentation(void **state) {
  (void)state;
  static const size_t chunk[] = {1, 2, 13, 700, 5000};
  for (uint64_t seed = 0; seed < 60; seed++) {
    cluster c;
    cluster_init(&c, 2, seed);
    c.net.chunk_max = chunk[seed % AQ_COUNT(chunk)];
    cluster_start(&c);
    run(&c, AQ_SECONDS(5));
    aq_buf msg = random_message(seed, seed % 7 == 0 ? 300000 : 3000);
    uint8_t want[32];
    hash_of(want, &msg);
    send(&c, 0, 1, AQ_PROTO_PARSIGEX, aq_buf_bytes(&msg));
    send(&c, 1, 0, AQ_PROTO_QBFT, aq_bytes_str("x"));
    ask(&c, 1, 0, AQ_PROTO_PRIORITY, aq_bytes_str("q"));
    run(&c, AQ_SECONDS(5));
    assert_int_equal(c.m[0].sent_ok, 1);
    assert_int_equal(c.m[1].recv, 1);
    assert_int_equal(c.m[1].answers, 1);
    assert_memory_equal(c.m[1].last_hash, want, 32);
    aq_buf_free(&msg);
    cluster_free(&c);
  }
}

/* Goal: 20 MB pass in both directions at once over a line that takes 4 s for them, and small messages overtake them.
   Method: 5 MB/s, 20 ms latency; a vote sent a second after the block. */
static void large_messages(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 3);
  c.net.latency_ns = AQ_MILLIS(20);
  c.net.bytes_per_ms = 5400;
  cluster_start(&c);
  run(&c, AQ_SECONDS(20));
  aq_buf msg = random_message(1, 20u << 20);
  uint8_t want[32];
  hash_of(want, &msg);
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_buf_bytes(&msg));
  send(&c, 1, 0, AQ_PROTO_QBFT, aq_buf_bytes(&msg));
  run(&c, AQ_SECONDS(1));
  send(&c, 0, 1, AQ_PROTO_PARSIGEX, aq_bytes_str("small"));
  run(&c, AQ_MILLIS(1200)); /* behind what the sockets hold, 4 MiB at most */
  assert_int_equal(c.m[1].recv, 1);
  assert_int_equal(c.m[1].last_len, 5);
  run(&c, AQ_SECONDS(4));
  assert_int_equal(c.m[1].recv, 2);
  assert_int_equal(c.m[0].recv, 1);
  assert_memory_equal(c.m[1].last_hash, want, 32);
  assert_memory_equal(c.m[0].last_hash, want, 32);
  assert_int_equal(c.m[0].sent_ok + c.m[1].sent_ok, 3);
  aq_buf_free(&msg);
  cluster_free(&c);
}

/* Goal: a line too slow for a message ends the message, not the connection; nothing is kept.
   Method: 20 MB at 1 MB/s. */
static void too_slow(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 4);
  c.net.bytes_per_ms = 1000;
  cluster_start(&c);
  run(&c, AQ_SECONDS(20));
  aq_buf msg = random_message(1, 20u << 20);
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_buf_bytes(&msg));
  run(&c, AQ_SECONDS(20));
  assert_int_equal(c.m[0].sent_bad, 1);
  assert_int_equal(c.m[1].recv, 0);
  assert_int_equal(c.m[0].leaves, 0);
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_str("next"));
  run(&c, AQ_SECONDS(2));
  assert_int_equal(c.m[1].recv, 1);
  assert_int_equal(c.m[1].host->peer[0].remote->rx_bytes, 0);
  assert_int_equal(c.m[1].host->peer[0].remote->big_cnt, 0);
  assert_int_equal(c.m[0].host->peer[1].op_bytes, 0);
  aq_buf_free(&msg);
  cluster_free(&c);
}

/* Goal: lost connections come back at once, and a message sent meanwhile arrives.
   Method: resets between two hosts, one of which knows the other's address; sends from both sides just after. */
static void reconnect(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 5);
  member_start(&c, 0, (limits){0}), member_start(&c, 1, (limits){0});
  know(&c, 0, 1, 1);
  aq_host_start(c.m[0].host), aq_host_start(c.m[1].host);
  run(&c, AQ_SECONDS(10));
  for (uint32_t i = 1; i <= 5; i++) {
    fake_net_reset(&c.net, 0, 1);
    run(&c, AQ_MILLIS(2));
    assert_int_equal(aq_host_connected(c.m[0].host), 0);
    send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_str("a"));
    send(&c, 1, 0, AQ_PROTO_QBFT, aq_bytes_str("b"));
    run(&c, AQ_SECONDS(8));
    assert_int_equal(c.m[1].recv, i);
    assert_int_equal(c.m[0].recv, i);
    assert_int_equal(c.m[0].joins, i + 1);
    assert_int_equal(c.m[0].leaves, i);
  }
  cluster_free(&c);
}

/* Goal: a message to a peer without connection waits 7 s for one, then fails; one that comes up in time gets it.
   Method: a peer that is down for 3 s, and one for 20 s. */
static void unconnected(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 3, 6);
  member_start(&c, 0, (limits){0}), member_start(&c, 1, (limits){0}), member_start(&c, 2, (limits){0});
  know(&c, 0, 1, 1), know(&c, 0, 2, 2);
  c.net.node[1].down = c.net.node[2].down = true;
  for (int i = 0; i < 3; i++) aq_host_start(c.m[i].host);
  run(&c, AQ_SECONDS(60)); /* the back-off is at its longest now */
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_str("to 1"));
  send(&c, 0, 2, AQ_PROTO_QBFT, aq_bytes_str("to 2"));
  run(&c, AQ_SECONDS(3));
  fake_net_up(&c.net, 1);
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_str("again")); /* asks for another dial */
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[1].recv, 2);
  assert_int_equal(c.m[0].sent_ok, 2);
  assert_int_equal(c.m[0].sent_bad, 0);
  run(&c, AQ_SECONDS(4));
  assert_int_equal(c.m[0].sent_bad, 1);
  assert_int_equal(c.m[0].last_st, AQ_E_TIMEOUT);
  fake_net_up(&c.net, 2);
  run(&c, AQ_SECONDS(31)); /* back-off ends by itself */
  assert_int_equal(aq_host_connected(c.m[0].host), 2);
  cluster_free(&c);
}

/* Goal: a peer that was alive is dialled again from the shortest wait on, whatever its address had failed before.
   Method: an address that failed for a minute; the peer connects by itself, dies, and comes back 2 s later. */
static void back_off_restarts(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 15);
  for (uint32_t i = 0; i < 2; i++) member_start(&c, i, (limits){0});
  know(&c, 0, 1, 1);
  c.net.node[1].down = true;
  aq_host_start(c.m[0].host);
  run(&c, AQ_SECONDS(61));
  fake_net_up(&c.net, 1);
  know(&c, 1, 0, 0);
  aq_host_start(c.m[1].host);
  run(&c, AQ_SECONDS(1));
  assert_int_equal(aq_host_connected(c.m[0].host), 1);
  fake_net_crash(&c.net, 1, false);
  aq_host_free(c.m[1].host);
  run(&c, AQ_SECONDS(2));
  fake_net_up(&c.net, 1);
  member_start(&c, 1, (limits){0}); /* does not know where the other is */
  aq_host_start(c.m[1].host);
  run(&c, AQ_SECONDS(3));
  assert_int_equal(aq_host_connected(c.m[0].host), 1);
  cluster_free(&c);
}

/* Goal: dials to a dead address stay rare: 1 s, 2 s ... 30 s; learned addresses are given up, static ones never.
   Method: dials counted over ten minutes. */
static void dial_rate(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 7);
  member_start(&c, 0, (limits){0}), member_start(&c, 1, (limits){0});
  know(&c, 0, 1, 1);
  assert_int_equal(aq_host_add_addr(c.m[0].host, 1, "/ip4/10.9.9.9/tcp/1", false, NULL), AQ_OK);
  c.net.node[1].down = true;
  aq_host_start(c.m[0].host), aq_host_start(c.m[1].host);
  run(&c, AQ_SECONDS(600));
  assert_in_range(c.net.dials, 5 + 20, 5 + 32);
  for (int i = 0; i < 1000; i++) send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_str("x"));
  uint32_t before = c.net.dials;
  run(&c, AQ_SECONDS(1));
  assert_in_range(c.net.dials, before + 1, before + 3); /* a storm of messages is no storm of dials */
  cluster_free(&c);
}

/* Goal: a peer that died without a word is noticed within 40 s; when it comes back and dials, its new connection is
   used at once. Method: silent crash, restart with the same key; messages right after. */
static void silent_crash(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 8);
  member_start(&c, 0, (limits){0}), member_start(&c, 1, (limits){0});
  know(&c, 1, 0, 0);
  aq_host_start(c.m[0].host), aq_host_start(c.m[1].host);
  run(&c, AQ_SECONDS(20));
  fake_net_crash(&c.net, 1, true);
  aq_host_free(c.m[1].host);
  run(&c, AQ_SECONDS(2));
  assert_int_equal(aq_host_connected(c.m[0].host), 1); /* not known yet */
  fake_net_up(&c.net, 1);
  member_start(&c, 1, (limits){0});
  know(&c, 1, 0, 0);
  aq_host_start(c.m[1].host);
  run(&c, AQ_SECONDS(1));
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_str("hello again"));
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[1].recv, 1);
  fake_net_crash(&c.net, 1, true);
  aq_host_free(c.m[1].host);
  c.m[1].host = NULL;
  run(&c, AQ_SECONDS(41));
  assert_int_equal(aq_host_connected(c.m[0].host), 0);
  assert_int_equal(c.m[0].leaves, 1);
  cluster_free(&c);
}

/* Goal: a cut shorter than the keep-alive limit costs nothing but time, a longer one ends in a new connection.
   Method: 5 s and 60 s of cut link, a message into each. */
static void cut_link(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 9);
  cluster_start(&c);
  run(&c, AQ_SECONDS(20));
  fake_net_cut(&c.net, 0, 1, true);
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_str("late"));
  run(&c, AQ_SECONDS(5));
  fake_net_cut(&c.net, 0, 1, false);
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[1].recv, 1);
  assert_int_equal(c.m[0].sent_ok, 1);
  assert_int_equal(c.m[0].leaves, 0);
  fake_net_cut(&c.net, 0, 1, true);
  run(&c, AQ_SECONDS(60));
  assert_int_equal(aq_host_connected(c.m[0].host), 0);
  fake_net_cut(&c.net, 0, 1, false);
  run(&c, AQ_SECONDS(40));
  assert_int_equal(aq_host_connected(c.m[0].host), 1);
  send(&c, 1, 0, AQ_PROTO_QBFT, aq_bytes_str("back"));
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[0].recv, 1);
  cluster_free(&c);
}

/* Goal: an address that cannot be dialled, or one too many, is refused with words for the operator.
   Method: texts that name no TCP address; fixed addresses beyond what a peer may have. */
static void bad_addresses(void **state) {
  (void)state;
  static const char *const bad[] = {"", "host", "host:0", "host:65536", "/ip4/10.0.0.1/udp/1", "/nonsense"};
  cluster c;
  aq_err err = {AQ_OK, ""};
  cluster_init(&c, 2, 10);
  member_start(&c, 0, (limits){0});
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    assert_int_equal(aq_host_add_addr(c.m[0].host, 1, bad[i], true, &err), AQ_E_FORMAT);
    assert_non_null(strstr(err.text, "neither host:port nor a multiaddr"));
  }
  aq_status st = AQ_OK;
  uint32_t added = 0;
  for (; st == AQ_OK && added < 1000; added++) {
    char addr[32];
    snprintf(addr, sizeof addr, "10.1.%u.%u:1", added / 200, added % 200);
    st = aq_host_add_addr(c.m[0].host, 1, addr, true, &err);
  }
  assert_int_equal(st, AQ_E_LIMIT);
  assert_non_null(strstr(err.text, "addresses for one peer"));
  cluster_free(&c);
}

/* Goal: who answers at an address is taken for nobody else: a peer's address at which another peer sits is given up,
   and an id in an address decides whose it is. Method: members 0 and 2 run; 0 is told of 2's address in each way. */
static void wrong_doors(void **state) {
  (void)state;
  static const struct {
    int peer, id; /* id -1: none; 3: a stranger's */
    bool meets;
  } t[] = {{1, -1, false}, {2, -1, true}, {-1, 2, true}, {2, 2, true}, {-1, 1, false}, {1, 2, false}, {-1, 3, false}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    cluster c;
    char id[AQ_PEER_ID_TEXT_MAX] = "", addr[160];
    cluster_init(&c, 4, 10);
    c.n = 3;
    member_start(&c, 0, (limits){0}), member_start(&c, 2, (limits){0});
    if (t[i].id >= 0) aq_peer_id_text(id, c.peers[t[i].id].pubkey);
    snprintf(addr, sizeof addr, "/ip4/%s/tcp/%d%s%s", c.net.node[2].host, FAKE_PORT, *id ? "/p2p/" : "", id);
    assert_int_equal(aq_host_add_addr(c.m[0].host, t[i].peer, addr, true, NULL), AQ_OK);
    aq_host_start(c.m[0].host), aq_host_start(c.m[2].host);
    run(&c, AQ_SECONDS(30));
    assert_int_equal(aq_host_connected(c.m[0].host), t[i].meets);
    assert_int_equal(c.m[0].joins, t[i].meets);
    c.n = 4;
    cluster_free(&c);
  }
}

/* Goal: a node of another cluster is dropped after the handshake, both when it dials and when it is dialled; own and
   foreign addresses in the list do no harm. Method: two clusters on one network. */
static void strangers(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 3, 10);
  c.n = 2; /* member 2 is unknown to the others, and knows only itself */
  for (uint32_t i = 0; i < 2; i++) member_start(&c, i, (limits){0});
  c.n = 3;
  member_start(&c, 2, (limits){0});
  know(&c, 2, 0, 0);
  know(&c, 1, -1, 2), know(&c, 1, -1, 1), know(&c, 1, -1, 0);
  for (uint32_t i = 0; i < 3; i++) aq_host_start(c.m[i].host);
  run(&c, AQ_SECONDS(30));
  assert_int_equal(aq_host_connected(c.m[2].host), 0);
  assert_int_equal(c.m[2].joins, 0);
  assert_int_equal(aq_host_connected(c.m[0].host), 1);
  assert_int_equal(aq_host_connected(c.m[1].host), 1);
  assert_true(aq_metric_value(AQ_M_P2P_CONN_ATTEMPTS_TOTAL, AQ_LABELS("dkg_denied")) >= 4);
  assert_true(aq_metric_value(AQ_M_P2P_CONN_ATTEMPTS_TOTAL, AQ_LABELS("denied")) == 0);
  cluster_free(&c);
}

/* Goal: requests that are refused, not answered in 5 s, or answered too late.
   Method: one of each; the late answer must hurt nobody. */
static void requests(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 12);
  cluster_start(&c);
  run(&c, AQ_SECONDS(5));
  c.m[1].refuse = true;
  ask(&c, 0, 1, AQ_PROTO_PRIORITY, aq_bytes_str("q"));
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[0].answers_bad, 1);
  assert_int_equal(c.m[0].last_st, AQ_E_CLOSED);
  c.m[1].refuse = false;
  c.m[1].hold = true;
  ask(&c, 0, 1, AQ_PROTO_PRIORITY, aq_bytes_str("q"));
  run(&c, AQ_SECONDS(4));
  assert_int_equal(c.m[0].answers_bad, 1);
  const aq_net *net = aq_host_net(c.m[1].host);
  net->respond(net->ctx, c.m[1].held, aq_bytes_str("re:"));
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[0].answers, 1);
  net->respond(net->ctx, c.m[1].held, aq_bytes_str("re:twice"));
  ask(&c, 0, 1, AQ_PROTO_PRIORITY, aq_bytes_str("q"));
  run(&c, AQ_SECONDS(13)); /* 5 s, a second try, and again */
  assert_int_equal(c.m[0].answers_bad, 2);
  net->respond(net->ctx, c.m[1].held, aq_bytes_str("re:late"));
  net->refuse(net->ctx, c.m[1].held);
  c.m[1].hold = false;
  ask(&c, 0, 1, AQ_PROTO_PRIORITY, aq_bytes_str("q"));
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[0].answers, 2);
  cluster_free(&c);
}

/* Goal: messages over the limit of their protocol are refused here, those at the limit pass.
   Method: 32 MiB and one byte more; 1 MiB requests likewise. */
static void size_limits(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 2, 13);
  cluster_start(&c);
  run(&c, AQ_SECONDS(5));
  aq_buf msg = random_message(1, (32u << 20) + 1);
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_buf_bytes(&msg));
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[0].last_st, AQ_E_LIMIT);
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_of(msg.ptr, msg.len - 1));
  run(&c, AQ_SECONDS(2));
  assert_int_equal(c.m[0].last_st, AQ_OK);
  assert_int_equal(c.m[1].last_len, 32u << 20);
  ask(&c, 0, 1, AQ_PROTO_PRIORITY, aq_bytes_of(msg.ptr, (1u << 20) + 1));
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[0].last_st, AQ_E_LIMIT);
  ask(&c, 0, 1, AQ_PROTO_PRIORITY, aq_bytes_of(msg.ptr, (1u << 20) - 3));
  run(&c, AQ_SECONDS(1));
  assert_int_equal(c.m[0].answers, 1);
  assert_int_equal(c.m[0].last_len, 1u << 20);
  aq_buf_free(&msg);
  cluster_free(&c);
}

/* Goal: what is under way when the host stops ends with AQ_E_CLOSED, once, and so does what comes later.
   Method: a held request, a message to an unconnected peer, one after the stop. */
static void stopping(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 3, 14);
  for (uint32_t i = 0; i < 2; i++) member_start(&c, i, (limits){0});
  know(&c, 0, 1, 1);
  for (uint32_t i = 0; i < 2; i++) aq_host_start(c.m[i].host);
  run(&c, AQ_SECONDS(5));
  c.m[1].hold = true;
  ask(&c, 0, 1, AQ_PROTO_PEERINFO, aq_bytes_str("q"));
  send(&c, 0, 2, AQ_PROTO_QBFT, aq_bytes_str("nobody"));
  run(&c, AQ_MILLIS(100));
  aq_host_stop(c.m[0].host);
  assert_int_equal(c.m[0].answers_bad, 1);
  assert_int_equal(c.m[0].sent_bad, 1);
  assert_int_equal(c.m[0].last_st, AQ_E_CLOSED);
  send(&c, 0, 1, AQ_PROTO_QBFT, aq_bytes_str("after"));
  run(&c, AQ_MILLIS(100));
  assert_int_equal(c.m[0].sent_bad, 2);
  assert_int_equal(aq_host_connected(c.m[0].host), 0);
  assert_int_equal(aq_host_connected(c.m[1].host), 0); /* the go-away told it */
  cluster_free(&c);
}

/* Goal: nothing that a network can do makes a host crash, leak or stay disconnected.
   Method: 40 seeds of a 4-node cluster with cuts, resets, crashes and traffic; afterwards all is whole again. */
static void chaos(void **state) {
  (void)state;
  for (uint64_t seed = 100; seed < 140; seed++) {
    cluster c;
    cluster_init(&c, 4, seed);
    c.net.chunk_max = seed % 3 ? 3000 : 0;
    cluster_start(&c);
    aq_test_rng rng;
    aq_test_rng_seed(&rng, seed);
    aq_buf msg = random_message(seed, 400000);
    for (int step = 0; step < 200; step++) {
      uint64_t r = aq_test_rng_next(&rng);
      uint32_t a = (uint32_t)(r >> 8) % 4, b = (uint32_t)(r >> 16) % 4;
      if (a == b) continue;
      switch (r % 8) {
        case 0: fake_net_cut(&c.net, a, b, r & 0x1000000); break;
        case 1: fake_net_reset(&c.net, a, b); break;
        case 2:
          if (r & 0x7000000) break;
          fake_net_crash(&c.net, a, r & 0x8000000);
          aq_host_free(c.m[a].host);
          fake_net_up(&c.net, a);
          member_start(&c, a, (limits){0});
          for (uint32_t k = 0; k < 4; k++) know(&c, a, -1, k);
          aq_host_start(c.m[a].host);
          break;
        case 3: send(&c, a, b, AQ_PROTO_QBFT, aq_buf_bytes(&msg)); break;
        case 4: ask(&c, a, b, AQ_PROTO_PRIORITY, aq_bytes_of(msg.ptr, 300000)); break;
        default: send(&c, a, b, AQ_PROTO_PARSIGEX, aq_bytes_str("small")); break;
      }
      run(&c, r % AQ_SECONDS(2));
    }
    for (uint32_t a = 0; a < 4; a++) {
      for (uint32_t b = 0; b < 4; b++) fake_net_cut(&c.net, a, b, false);
    }
    run(&c, AQ_SECONDS(80));
    for (uint32_t i = 0; i < 4; i++) {
      if (aq_host_connected(c.m[i].host) != 3)
        fail_msg("seed %llu: host %u has %u peers", (unsigned long long)seed, i, aq_host_connected(c.m[i].host));
      for (uint32_t k = 0; k < 4; k++) {
        assert_int_equal(c.m[i].host->peer[k].op_cnt, 0);
        assert_int_equal(c.m[i].host->peer[k].remote->rx_bytes, 0);
        assert_int_equal(c.m[i].host->peer[k].remote->big_cnt, 0);
      }
    }
    aq_buf_free(&msg);
    cluster_free(&c);
  }
}

static int setup(void **state) {
  (void)state;
  aq_crypto_init();
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_hosts),      cmocka_unit_test(clusters),          cmocka_unit_test(fragmentation),
      cmocka_unit_test(large_messages), cmocka_unit_test(too_slow),          cmocka_unit_test(reconnect),
      cmocka_unit_test(unconnected),    cmocka_unit_test(back_off_restarts), cmocka_unit_test(dial_rate),
      cmocka_unit_test(silent_crash),   cmocka_unit_test(cut_link),          cmocka_unit_test(bad_addresses),
      cmocka_unit_test(wrong_doors),    cmocka_unit_test(strangers),         cmocka_unit_test(requests),
      cmocka_unit_test(size_limits),    cmocka_unit_test(stopping),          cmocka_unit_test(chaos),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
