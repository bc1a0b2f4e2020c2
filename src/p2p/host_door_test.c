/* Strangers at the door of a host: rates, caps, silence. */
#include "base/log.h"
#include "crypto/aead.h"
#include "fake/hosts.h"
#include "p2p/host_internal.h"

/* Goal: the operator's rate limit and the one for strangers refuse at the door and count it; one stranger has few
   places.
   Method: 40 connections from one address against each limit. */
static void limited(void **state) {
  (void)state;
  static const limits l[] = {{.conns_max = 100}, {.rate_limit = 10}};
  static const uint32_t limited[] = {40 - AQ_GATE_STRANGER_BURST, 30};
  for (size_t k = 0; k < AQ_COUNT(l); k++) {
    cluster c;
    cluster_init(&c, 2, 11);
    member_start(&c, 0, l[k]);
    aq_host_start(c.m[0].host);
    fake_node *attacker = &c.net.node[1];
    for (int i = 0; i < 40; i++) {
      assert_true(attacker->tcp.dial(attacker->tcp.ctx, c.net.node[0].host, FAKE_PORT) > 0);
    }
    /* The attacker handles no event: give it some that do nothing. */
    static const limits none = {0};
    member_start(&c, 1, none);
    run(&c, AQ_MILLIS(100));
    assert_true(aq_metric_value(AQ_M_P2P_CONN_ATTEMPTS_TOTAL, AQ_LABELS("limited")) == limited[k]);
    assert_int_equal(fake_net_conns(&c.net, 0), HOST_STRANGERS_EACH);
    run(&c, AQ_SECONDS(16)); /* silent ones are closed after 15 s */
    assert_int_equal(fake_net_conns(&c.net, 0), 0);
    cluster_free(&c);
  }
}

/* Goal: silent strangers that fill the cap do not keep a peer out, nor this node in.
   Method: five of five places taken by connections of two strangers that say nothing; the peer dials, or is dialled. */
static void silent_strangers(void **state) {
  (void)state;
  for (uint32_t dialler = 0; dialler < 2; dialler++) {
    cluster c;
    cluster_init(&c, 2, 16);
    member_start(&c, 0, (limits){.conns_max = 5}), member_start(&c, 1, (limits){0});
    for (uint32_t i = 0; i < 2; i++) {
      fake_node *attacker = fake_net_node(&c.net);
      attacker->ev = c.m[1].node->ev; /* handles what comes for unknown connections: not at all */
      for (int k = 0; k < 3; k++) assert_true(attacker->tcp.dial(attacker->tcp.ctx, "10.0.0.1", FAKE_PORT) > 0);
    }
    aq_host_start(c.m[0].host), aq_host_start(c.m[1].host);
    run(&c, AQ_MILLIS(100));
    assert_int_equal(fake_net_conns(&c.net, 0), 5);
    know(&c, dialler, 1 - (int)dialler, 1 - dialler);
    run(&c, AQ_MILLIS(100));
    assert_int_equal(aq_host_connected(c.m[0].host), 1);
    cluster_free(&c);
  }
}

/* Goal: own dials need no place under the cap.
   Method: a node with a cap of one dials four peers at once; two more answer nothing, at two addresses each. */
static void own_dials(void **state) {
  (void)state;
  cluster c;
  cluster_init(&c, 7, 18);
  for (uint32_t i = 0; i < c.n; i++) member_start(&c, i, (limits){.conns_max = 1});
  for (uint32_t i = 1; i < c.n; i++) {
    know(&c, 0, (int)i, i);
    assert_int_equal(aq_host_add_addr(c.m[0].host, (int)i, "10.9.9.9:1", true, NULL), AQ_OK);
  }
  for (uint32_t i = 0; i < 5; i++) aq_host_start(c.m[i].host);
  run(&c, AQ_MILLIS(100));
  assert_int_equal(aq_host_connected(c.m[0].host), 4);
  cluster_free(&c);
}

/* Half a millisecond passes between two of them. */
typedef struct {
  cluster *c;
  aq_timer timer;
  fake_node *node[50];
  uint32_t cnt, next;
  bool speak;
} crowd;

static void knock(void *arg) {
  crowd *x = arg;
  fake_node *n = x->node[x->next++ % x->cnt];
  const aq_tcp *t = &n->tcp;
  t->dial(t->ctx, "10.0.0.1", FAKE_PORT);
  aq_timer_set(&x->c->loop.env, &x->timer, aq_now_ns(&x->c->loop.env) + AQ_NS_PER_MS / 2, knock, x);
}

static void crowd_opened(void *arg, uint64_t id, aq_status st) {
  crowd *x = arg;
  const aq_tcp *t = &x->node[0]->tcp;
  if (st == AQ_OK && x->speak) t->write(t->ctx, id, aq_bytes_str("\x13/multistream/1.0.0\n"));
}
static void crowd_data(void *arg, uint64_t id, aq_bytes in) { (void)arg, (void)id, (void)in; }
static void crowd_closed(void *arg, uint64_t id, aq_status st) { (void)arg, (void)id, (void)st; }
static void crowd_writable(void *arg, uint64_t id) { (void)arg, (void)id; }

/* Goal: whatever crowd of strangers knocks, a peer gets in with its first handshake, and stays.
   Method: two thousand connects a second for two seconds before it and for ten behind it; of one address and of fifty,
   silent and with a good first packet, of the peer's own address; the peer's address is known here or not. */
static void crowds(void **state) {
  (void)state;
  static const struct {
    uint32_t from;
    bool speak, known, same_address;
  } t[] = {{1, false, true, false},   {1, false, false, false}, {1, true, false, false},
           {50, false, false, false}, {50, true, true, false},  {1, false, true, true}};
  for (size_t i = 0; i < AQ_COUNT(t); i++) {
    cluster c;
    crowd x = {.c = &c, .cnt = t[i].from, .speak = t[i].speak};
    cluster_init(&c, 2, 17);
    for (uint32_t k = 0; k < x.cnt; k++) {
      x.node[k] = fake_net_node(&c.net);
      x.node[k]->ev = (aq_tcp_events){&x, NULL, crowd_opened, crowd_data, crowd_writable, crowd_closed};
      if (t[i].same_address) memcpy(x.node[k]->host, c.net.node[1].host, sizeof x.node[k]->host);
    }
    member_start(&c, 0, (limits){0}), member_start(&c, 1, (limits){0});
    if (t[i].known) know(&c, 0, 1, 1);
    aq_host_start(c.m[0].host);
    knock(&x);
    run(&c, AQ_SECONDS(2));
    assert_int_equal(aq_host_connected(c.m[0].host), 0);
    know(&c, 1, 0, 0);
    aq_host_start(c.m[1].host);
    run(&c, AQ_MILLIS(50));
    if (aq_host_connected(c.m[0].host) != 1) fail_msg("case %zu: the peer is kept out", i);
    run(&c, AQ_SECONDS(10));
    assert_int_equal(c.m[0].leaves, 0);
    assert_in_range(fake_net_conns(&c.net, 0), 1, HOST_STRANGERS_MAX + 2);
    aq_timer_cancel(&c.loop.env, &x.timer);
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
      cmocka_unit_test(limited),
      cmocka_unit_test(silent_strangers),
      cmocka_unit_test(own_dials),
      cmocka_unit_test(crowds),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
