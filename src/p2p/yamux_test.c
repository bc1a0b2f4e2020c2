/* The multiplexer against recorded frames, itself, and sides that break its rules. */
#include "p2p/yamux.h"

#include "aq_test.h"

/* One end with what its owner saw; `wire` is what it sent and the other end has not read. */
typedef struct {
  aq_yamux *y;
  aq_buf wire, data, sent_log;
  uint32_t opened, fin, reset, reset_code, goaway_cnt, goaway_code, pongs, sent, last;
  size_t window;     /* opened for streams of the other side */
  bool hold;         /* do not credit what arrives */
  uint32_t data_max; /* longest single event */
  aq_status st;
} endpoint;

static void endpoint_init(endpoint *e, bool client, uint32_t streams_max) {
  memset(e, 0, sizeof *e);
  e->y = aq_yamux_new(&(aq_yamux_cfg){.client = client, .streams_max = streams_max}, 0);
  e->wire = AQ_BUF(64u << 20);
  e->data = AQ_BUF(64u << 20);
}

static void endpoint_free(endpoint *e) {
  aq_yamux_free(e->y);
  aq_buf_free(&e->wire), aq_buf_free(&e->data);
}

static void events(endpoint *e) {
  aq_yamux_ev ev;
  while (aq_yamux_next(e->y, &ev)) {
    switch (ev.kind) {
      case AQ_YAMUX_EV_OPENED:
        e->opened++;
        e->last = ev.stream;
        aq_yamux_own(e->y, ev.stream, e);
        if (e->window) aq_yamux_window(e->y, ev.stream, e->window);
        break;
      case AQ_YAMUX_EV_DATA:
        assert_ptr_equal(ev.owner, e);
        aq_buf_put_bytes(&e->data, ev.data);
        if (ev.data.len > e->data_max) e->data_max = (uint32_t)ev.data.len;
        if (!e->hold) aq_yamux_credit(e->y, ev.stream, ev.data.len);
        break;
      case AQ_YAMUX_EV_FIN: e->fin++; break;
      case AQ_YAMUX_EV_RESET: e->reset++, e->reset_code = ev.code; break;
      case AQ_YAMUX_EV_SENT: e->sent++; break;
      case AQ_YAMUX_EV_PONG: e->pongs++; break;
      case AQ_YAMUX_EV_GOAWAY: e->goaway_cnt++, e->goaway_code = ev.code; break;
      default: fail();
    }
  }
}

static void flush(endpoint *e, uint64_t now) {
  uint8_t out[65519];
  for (size_t len; (len = aq_yamux_send(e->y, out, sizeof out, now)) > 0;) aq_buf_put(&e->wire, out, len);
  events(e);
}

/* Feeds bytes in pieces of step (0: all at once). */
static aq_status feed(endpoint *e, aq_bytes in, size_t step, uint64_t now) {
  for (size_t off = 0; off < in.len;) {
    size_t until = step && off + step < in.len ? off + step : in.len;
    while (off < until) {
      size_t used;
      aq_status st = aq_yamux_recv(e->y, &used, aq_bytes_of(in.ptr + off, until - off), now);
      events(e);
      if (st != AQ_OK) return e->st = st;
      assert_true(used > 0);
      off += used;
    }
  }
  return AQ_OK;
}

static aq_status feed_hex(endpoint *e, const char *hex) {
  aq_buf in = aq_test_hex(hex);
  aq_status st = feed(e, aq_buf_bytes(&in), 0, 0);
  aq_buf_free(&in);
  return st;
}

/* Lets both ends talk until nothing moves. */
static void settle(endpoint *a, endpoint *b, size_t step, uint64_t now) {
  for (;;) {
    flush(a, now), flush(b, now);
    if (a->wire.len == 0 && b->wire.len == 0) return;
    aq_buf in = a->wire;
    a->wire = AQ_BUF(64u << 20);
    assert_int_equal(feed(b, aq_buf_bytes(&in), step, now), AQ_OK);
    aq_buf_free(&in);
    in = b->wire;
    b->wire = AQ_BUF(64u << 20);
    assert_int_equal(feed(a, aq_buf_bytes(&in), step, now), AQ_OK);
    aq_buf_free(&in);
  }
}

static uint32_t open_stream(endpoint *e) {
  uint32_t id;
  assert_int_equal(aq_yamux_open(e->y, &id, e), AQ_OK);
  return id;
}

static void assert_wire(endpoint *e, const char *hex) {
  aq_buf want = aq_test_hex(hex);
  flush(e, 0);
  assert_bytes(aq_buf_bytes(&e->wire), aq_buf_bytes(&want));
  aq_buf_reset(&e->wire);
  aq_buf_free(&want);
}

/* Goal: each frame that we write is the reference's, byte for byte.
   Method: one call each, compared with the vector's frames. */
static void frames_written(void **state) {
  (void)state;
  endpoint c, s;
  endpoint_init(&c, true, 16), endpoint_init(&s, false, 16);
  assert_wire(&c, "000200010000000000000000"); /* the first ping */
  assert_wire(&s, "000200010000000000000000");
  uint32_t id = open_stream(&c);
  assert_int_equal(id, 1);
  assert_wire(&c, "000100010000000100000000");
  assert_int_equal(feed_hex(&s, "000100010000000100000000"), AQ_OK);
  assert_int_equal(s.opened, 1);
  assert_wire(&s, "000100020000000100000000");
  assert_int_equal(feed_hex(&c, "000100020000000100000000"), AQ_OK);
  assert_int_equal(aq_yamux_write(c.y, id, aq_bytes_str("hello")), AQ_OK);
  assert_wire(&c, "00000000000000010000000568656c6c6f");
  aq_yamux_close(c.y, id);
  assert_wire(&c, "000100040000000100000000");
  aq_yamux_reset(c.y, id, AQ_YAMUX_RST_NEGOTIATION);
  assert_wire(&c, "000100080000000100001001");
  uint32_t three = open_stream(&c);
  assert_int_equal(aq_yamux_write(c.y, three, aq_bytes_str("\x01\x02")), AQ_OK);
  assert_wire(&c, "0000000100000003000000020102");
  assert_int_equal(feed_hex(&c, "000200010000000000000007"), AQ_OK);
  assert_wire(&c, "000200020000000000000007");
  aq_yamux_goaway(c.y, 1);
  assert_wire(&c, "000300000000000000000001");
  endpoint_free(&c), endpoint_free(&s);
}

/* Goal: the whole recorded connection of the reference is understood, whatever the cut. Method: the client's frames
   into a server and the server's into a client, in pieces of 1, 7, 12, 13 bytes and all at once. */
static void recorded(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/yamux.json");
  size_t idx, max;
  yyjson_val *v;
  aq_buf to_server = AQ_BUF(1u << 20), to_client = AQ_BUF(1u << 20);
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "recorded_connection"), idx, max, v) {
    aq_buf *to = strcmp(aq_test_str(v, "from"), "client") == 0 ? &to_server : &to_client;
    aq_buf head = aq_test_hex_of(v, "header");
    aq_buf_put_bytes(to, aq_buf_bytes(&head));
    size_t len = strcmp(aq_test_str(v, "type"), "data") == 0 ? aq_test_u64(v, "length") : 0;
    yyjson_val *body = yyjson_obj_get(v, "body");
    if (body && len) {
      aq_buf b = aq_test_hex_of(v, "body");
      aq_buf_put_bytes(to, aq_buf_bytes(&b));
      aq_buf_free(&b);
    } else if (len) {
      assert_non_null(aq_buf_extend(to, len));
    }
    aq_buf_free(&head);
  }
  size_t steps[] = {1, 7, 12, 13, 0};
  for (size_t i = 0; i < AQ_COUNT(steps); i++) {
    endpoint c, s;
    endpoint_init(&s, false, 16), endpoint_init(&c, true, 16);
    /* The recorded client had been granted 170304 bytes by its server: ours grants by its own rule, in time for
       them. */
    for (size_t off = 0; off < to_server.len;) {
      size_t len = to_server.len - off < 60000 ? to_server.len - off : 60000;
      assert_int_equal(feed(&s, aq_bytes_of(to_server.ptr + off, len), steps[i], 0), AQ_OK);
      flush(&s, 0);
      off += len;
    }
    assert_int_equal(s.opened, 2);
    assert_int_equal(s.data.len, 300005 + 3);
    assert_int_equal(s.fin, 1);
    assert_int_equal(s.goaway_code, 0x1007);
    assert_int_equal(aq_yamux_streams(s.y), 2);
    flush(&c, 0);
    open_stream(&c), open_stream(&c);
    flush(&c, 0);
    assert_int_equal(feed(&c, aq_buf_bytes(&to_client), steps[i], 0), AQ_OK);
    assert_int_equal(c.pongs, 1);
    assert_int_equal(c.data.len, 10);
    assert_int_equal(c.fin, 1);
    assert_int_equal(c.reset, 1);
    assert_int_equal(c.reset_code, 0x1001);
    endpoint_free(&c), endpoint_free(&s);
  }
  aq_buf_free(&to_server), aq_buf_free(&to_client);
  yyjson_doc_free(doc);
}

/* Goal: 20 MB pass at every pace of the reader, in order, and the sender never exceeds its credit.
   Method: random cuts from fixed seeds; a window raised as the host does, and not. */
static void large(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 4; seed++) {
    aq_test_rng rng;
    aq_test_rng_seed(&rng, seed);
    endpoint c, s;
    endpoint_init(&c, true, 16), endpoint_init(&s, false, 16);
    aq_buf msg = AQ_BUF(32u << 20);
    size_t len = 20u << 20;
    s.window = seed > 2 ? len : 0;
    uint8_t *p = aq_buf_extend(&msg, len);
    for (size_t i = 0; i < len; i += 64) p[i] = (uint8_t)aq_test_rng_next(&rng);
    aq_buf copy = AQ_BUF(32u << 20);
    aq_buf_put_bytes(&copy, aq_buf_bytes(&msg));
    uint32_t id = open_stream(&c);
    assert_int_equal(aq_yamux_give(c.y, id, &msg), AQ_OK);
    aq_yamux_close(c.y, id);
    assert_int_equal(msg.len, 0);
    settle(&c, &s, seed == 1 ? 0 : 1 + aq_test_rng_next(&rng) % 100000, 0);
    assert_bytes(aq_buf_bytes(&s.data), aq_buf_bytes(&copy));
    assert_int_equal(s.fin, 1);
    assert_int_equal(c.sent > 0, 1);
    aq_buf_free(&copy);
    endpoint_free(&c), endpoint_free(&s);
  }
}

/* Goal: a reader that does not credit stops the sender after exactly one window, credit moves it on by halves.
   Method: 1 MiB against a holding reader. */
static void back_pressure(void **state) {
  (void)state;
  endpoint c, s;
  endpoint_init(&c, true, 16), endpoint_init(&s, false, 16);
  s.hold = true;
  aq_buf msg = AQ_BUF(1u << 20);
  assert_non_null(aq_buf_extend(&msg, 1u << 20));
  uint32_t id = open_stream(&c);
  assert_int_equal(aq_yamux_give(c.y, id, &msg), AQ_OK);
  settle(&c, &s, 0, 0);
  assert_int_equal(s.data.len, AQ_YAMUX_WINDOW);
  assert_int_equal(aq_yamux_unsent(c.y, id), (1u << 20) - AQ_YAMUX_WINDOW);
  aq_yamux_credit(s.y, 1, AQ_YAMUX_WINDOW / 2 - 1);
  settle(&c, &s, 0, 0);
  assert_int_equal(s.data.len, AQ_YAMUX_WINDOW);
  aq_yamux_credit(s.y, 1, 1);
  settle(&c, &s, 0, 0);
  assert_int_equal(s.data.len, AQ_YAMUX_WINDOW + AQ_YAMUX_WINDOW / 2);
  aq_yamux_window(s.y, 1, 1u << 20);
  settle(&c, &s, 0, 0);
  assert_int_equal(s.data.len, 1u << 20);
  endpoint_free(&c), endpoint_free(&s);
}

/* Goal: what breaks the protocol ends the connection with go away 1, what is only unknown is skipped.
   Method: one frame each into a fresh server. */
static void violations(void **state) {
  (void)state;
  static const struct {
    const char *hex;
    aq_status want;
  } cases[] = {
      {"010100010000000100000000", AQ_E_FORMAT},                         /* version */
      {"000400010000000100000000", AQ_E_FORMAT},                         /* type */
      {"000100110000000100000000", AQ_E_FORMAT},                         /* flag */
      {"000100010000000200000000", AQ_E_FORMAT},                         /* parity */
      {"000100010000000000000000", AQ_E_FORMAT},                         /* id 0 */
      {"000100010000000100000000000100010000000100000000", AQ_E_FORMAT}, /* twice */
      {"000000010000000100040001", AQ_E_LIMIT},                          /* one byte over the window */
      {"0000000000000009000000020102000200010000000000000007", AQ_OK},   /* data of an unknown stream */
      {"000100080000000700000000", AQ_OK},                               /* reset of an unknown stream */
      {"0000000800000007000000020102", AQ_OK},
      {"000100040000000700000000", AQ_OK},
      {"0001000000000009ffffffff", AQ_OK},
      {"000000010000000100040000", AQ_OK}, /* a whole window */
  };
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    endpoint s;
    endpoint_init(&s, false, 16);
    flush(&s, 0);
    aq_buf_reset(&s.wire);
    assert_int_equal(feed_hex(&s, cases[i].hex), cases[i].want);
    flush(&s, 0);
    if (cases[i].want != AQ_OK) {
      aq_buf away = aq_test_hex("000300000000000000000001");
      assert_true(s.wire.len >= 12);
      assert_bytes(aq_bytes_of(s.wire.ptr, 12), aq_buf_bytes(&away));
      aq_buf_free(&away);
    }
    endpoint_free(&s);
  }
}

/* Goal: floods cost bounded memory: streams over the limit are reset, then the connection ends; pings are answered
   up to 32. Method: 2000 SYNs and 5000 pings without reading the answers. */
static void floods(void **state) {
  (void)state;
  endpoint s;
  endpoint_init(&s, false, 100);
  uint8_t f[12] = {0, 1, 0, 1};
  aq_status st = AQ_OK;
  uint32_t n = 0;
  for (; n < 2000 && st == AQ_OK; n++) {
    aq_be32_put(f + 4, 2 * n + 1);
    st = feed(&s, aq_bytes_of(f, 12), 0, 0);
  }
  assert_int_equal(st, AQ_E_LIMIT);
  assert_int_equal(n, 100 + 64 + 1);
  assert_int_equal(aq_yamux_streams(s.y), 100);
  endpoint_free(&s);
  endpoint_init(&s, false, 100);
  uint8_t ping[12] = {0, 2, 0, 1};
  for (uint32_t i = 0; i < 5000; i++) {
    aq_be32_put(ping + 8, i);
    assert_int_equal(feed(&s, aq_bytes_of(ping, 12), 0, 0), AQ_OK);
  }
  flush(&s, 0);
  assert_int_equal(s.wire.len, 12 * (32 + 1));
  endpoint_free(&s);
}

/* Goal: never more than 256 streams without ACK, the rest follow as ACKs or resets come.
   Method: 600 opened against a silent peer, then acknowledged one by one. */
static void unacked(void **state) {
  (void)state;
  endpoint c;
  endpoint_init(&c, true, 1024);
  for (int i = 0; i < 600; i++) open_stream(&c);
  flush(&c, 0);
  assert_int_equal(c.wire.len, 12 * (256 + 1));
  uint8_t f[12] = {0, 1, 0, 2};
  for (uint32_t i = 0; i < 600; i++) {
    f[3] = i % 2 ? 2 : 8;
    aq_be32_put(f + 4, 2 * i + 1);
    assert_int_equal(feed(&c, aq_bytes_of(f, 12), 0, 0), AQ_OK);
    flush(&c, 0);
    assert_int_equal(c.wire.len, 12 * ((i + 1 + 256 < 600 ? i + 1 + 256 : 600) + 1));
  }
  assert_int_equal(c.reset, 300);
  assert_int_equal(aq_yamux_streams(c.y), 300);
  endpoint_free(&c);
}

/* Goal: the owner is told when there is no more: streams, room for what is written, the connection.
   Method: one call beyond each limit, and after the other side took its leave. */
static void owner_limits(void **state) {
  (void)state;
  static const uint8_t goaway[12] = {0, 3}, byte[1];
  endpoint c;
  uint32_t id, last = 0;
  endpoint_init(&c, true, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(aq_yamux_open(c.y, &last, &c), AQ_OK);
  assert_int_equal(aq_yamux_open(c.y, &id, &c), AQ_E_LIMIT);
  uint8_t *much = calloc(1, AQ_YAMUX_OUT_MAX + 1);
  assert_non_null(much);
  assert_int_equal(aq_yamux_write(c.y, last, aq_bytes_of(much, AQ_YAMUX_OUT_MAX + 1)), AQ_E_LIMIT);
  assert_int_equal(aq_yamux_write(c.y, last, aq_bytes_of(much, AQ_YAMUX_OUT_MAX)), AQ_OK);
  assert_int_equal(aq_yamux_write(c.y, last, aq_bytes_of(byte, 1)), AQ_E_LIMIT);
  free(much);
  assert_int_equal(feed(&c, aq_bytes_of(goaway, sizeof goaway), 0, 0), AQ_OK);
  assert_int_equal(aq_yamux_open(c.y, &id, &c), AQ_E_CLOSED);
  endpoint_free(&c);
}

/* Goal: ids are forgotten when both sides are done, released streams vanish, unanswered ones after 30 s.
   Method: the four orders of closing; one peer that never closes. */
static void life(void **state) {
  (void)state;
  endpoint c, s;
  endpoint_init(&c, true, 16), endpoint_init(&s, false, 16);
  uint32_t id = open_stream(&c);
  settle(&c, &s, 0, 0);
  aq_yamux_release(c.y, id);
  settle(&c, &s, 0, 0);
  assert_int_equal(s.fin, 1);
  aq_yamux_release(s.y, id);
  settle(&c, &s, 0, 0);
  assert_int_equal(aq_yamux_streams(c.y) + aq_yamux_streams(s.y), 0);

  id = open_stream(&c);
  assert_int_equal(aq_yamux_write(c.y, id, aq_bytes_str("x")), AQ_OK);
  aq_yamux_release(c.y, id);
  settle(&c, &s, 0, 0);
  assert_int_equal(s.data.len, 1);
  assert_int_equal(aq_yamux_write(s.y, id, aq_bytes_str("dropped")), AQ_OK);
  settle(&c, &s, 0, 0);
  assert_int_equal(c.data.len, 0);
  assert_int_equal(aq_yamux_tick(c.y, AQ_SECONDS(31)), AQ_OK);
  settle(&c, &s, 0, AQ_SECONDS(31));
  assert_int_equal(s.reset, 1);
  assert_int_equal(aq_yamux_streams(c.y) + aq_yamux_streams(s.y), 0);

  id = open_stream(&c);
  aq_yamux_reset(c.y, id, 0); /* before the SYN left: nothing leaves */
  flush(&c, 0);
  assert_int_equal(aq_yamux_streams(c.y), 0);
  endpoint_free(&c), endpoint_free(&s);
}

/* Goal: a silent connection is found dead 10 s after a ping, one that only sends data is not.
   Method: virtual time over the deadlines that the muxer asks for. */
static void keep_alive(void **state) {
  (void)state;
  endpoint c, s;
  endpoint_init(&c, true, 16), endpoint_init(&s, false, 16);
  settle(&c, &s, 0, 0);
  assert_int_equal(c.pongs, 1);
  uint64_t now = aq_yamux_deadline_ns(c.y);
  assert_int_equal(now, AQ_SECONDS(30));
  assert_int_equal(aq_yamux_tick(c.y, now), AQ_OK);
  settle(&c, &s, 0, now);
  assert_int_equal(c.pongs, 2);
  now = aq_yamux_deadline_ns(c.y);
  assert_int_equal(now, AQ_SECONDS(60));
  assert_int_equal(aq_yamux_tick(c.y, now), AQ_OK);
  flush(&c, now); /* lost */
  now = aq_yamux_deadline_ns(c.y);
  assert_int_equal(now, AQ_SECONDS(70));
  assert_int_equal(aq_yamux_tick(c.y, now - 1), AQ_OK);
  uint8_t any[12] = {0, 1, 0, 0, 0, 0, 0, 9};
  assert_int_equal(feed(&c, aq_bytes_of(any, 12), 0, AQ_SECONDS(65)), AQ_OK);
  assert_int_equal(aq_yamux_tick(c.y, now), AQ_OK);
  assert_int_equal(aq_yamux_tick(c.y, AQ_SECONDS(75)), AQ_E_TIMEOUT);
  endpoint_free(&c), endpoint_free(&s);
}

/* Goal: a short message overtakes a long one.
   Method: 1 MiB queued first, then 10 bytes; the short one is in the first chunk. */
static void short_first(void **state) {
  (void)state;
  endpoint c;
  endpoint_init(&c, true, 16);
  aq_buf msg = AQ_BUF(1u << 20);
  assert_non_null(aq_buf_extend(&msg, 1u << 20));
  uint32_t big = open_stream(&c);
  assert_int_equal(aq_yamux_give(c.y, big, &msg), AQ_OK);
  uint8_t out[65519];
  assert_true(aq_yamux_send(c.y, out, sizeof out, 0) > 60000);
  uint32_t small = open_stream(&c);
  assert_int_equal(aq_yamux_write(c.y, small, aq_bytes_str("0123456789")), AQ_OK);
  assert_true(aq_yamux_send(c.y, out, sizeof out, 0) > 60000);
  assert_int_equal(aq_be32_get(out + 4), small);
  assert_int_equal(aq_yamux_unsent(c.y, small), 0);
  endpoint_free(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frames_written), cmocka_unit_test(recorded),     cmocka_unit_test(large),
      cmocka_unit_test(back_pressure),  cmocka_unit_test(violations),   cmocka_unit_test(floods),
      cmocka_unit_test(unacked),        cmocka_unit_test(owner_limits), cmocka_unit_test(life),
      cmocka_unit_test(keep_alive),     cmocka_unit_test(short_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
