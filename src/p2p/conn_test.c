/* Two connections over bytes in memory, cut anywhere, and others that break every rule on the way. */
#include "p2p/conn.h"

#include "aq_test.h"
#include "crypto/aead.h"
#include "fake/net.h"
#include "p2p/multistream.h"

/* A connection whose pipe is two buffers of the test. */
typedef struct {
  aq_conn *c;
  aq_buf out;
  size_t room; /* bytes that write takes before it says no */
  bool up, down, refuse;
  aq_status st;
  uint8_t remote[33];
  aq_buf data;
  uint32_t fins;
} side;

typedef struct {
  fake_env loop;
  aq_k1_key *key[2];
  aq_conn_scratch scratch;
  side s[2];
} world;

static size_t io_write(void *arg, aq_bytes out) {
  side *s = arg;
  size_t len = out.len < s->room ? out.len : s->room;
  s->room -= len;
  aq_buf_put(&s->out, out.ptr, len);
  return len;
}
static bool io_secured(void *arg, const uint8_t remote[33]) {
  side *s = arg;
  memcpy(s->remote, remote, 33);
  return !s->refuse;
}
static void io_up(void *arg) { ((side *)arg)->up = true; }
static void io_down(void *arg, aq_status st) {
  side *s = arg;
  assert_false(s->down);
  s->down = true;
  s->st = st;
}
static void io_event(void *arg, const aq_yamux_ev *ev) {
  side *s = arg;
  aq_yamux *y = aq_conn_mux(s->c);
  if (ev->kind == AQ_YAMUX_EV_OPENED) aq_yamux_own(y, ev->stream, s);
  if (ev->kind == AQ_YAMUX_EV_DATA) {
    aq_buf_put_bytes(&s->data, ev->data);
    aq_yamux_credit(y, ev->stream, ev->data.len);
  }
  if (ev->kind == AQ_YAMUX_EV_FIN) s->fins++, aq_yamux_release(y, ev->stream);
}

static void side_start(world *w, int i, bool initiator) {
  side *s = &w->s[i];
  const aq_conn_io io = {s, io_write, io_secured, io_up, io_event, io_down};
  *s = (side){.out = AQ_BUF(64u << 20), .data = AQ_BUF(64u << 20), .room = SIZE_MAX};
  s->c = aq_conn_new(&w->loop.env, w->key[i], &w->scratch, initiator, &io);
  aq_conn_start(s->c);
}

static void side_free(side *s) {
  aq_conn_free(s->c);
  aq_buf_free(&s->out), aq_buf_free(&s->data);
  *s = (side){0};
}

static void world_init(world *w) {
  memset(w, 0, sizeof *w);
  fake_env_init(&w->loop, AQ_SECONDS(1700000000));
  for (uint8_t i = 0; i < 2; i++) {
    uint8_t secret[32] = {3, i};
    assert_int_equal(aq_k1_key_new(&w->key[i], secret), AQ_OK);
  }
}

static void world_free(world *w) {
  for (int i = 0; i < 2; i++) {
    if (w->s[i].c) side_free(&w->s[i]);
    aq_k1_key_free(w->key[i]);
  }
  fake_env_free(&w->loop);
}

/* Moves what one side wrote, in pieces of step (0: at once), the first piece ending at cut. */
static void move(side *from, side *to, size_t step, size_t *cut) {
  aq_buf in = from->out;
  from->out = AQ_BUF(64u << 20);
  for (size_t off = 0; off < in.len;) {
    size_t len = step ? step : in.len;
    if (*cut && *cut < len) len = *cut;
    if (len > in.len - off) len = in.len - off;
    if (*cut) *cut -= len;
    aq_conn_data(to->c, aq_bytes_of(in.ptr + off, len));
    off += len;
  }
  aq_buf_free(&in);
}

static void settle(world *w, size_t step, size_t cut0, size_t cut1) {
  while (w->s[0].out.len || w->s[1].out.len) {
    move(&w->s[0], &w->s[1], step, &cut0);
    move(&w->s[1], &w->s[0], step, &cut1);
  }
}

static void say(world *w, const char *text) {
  uint32_t id;
  aq_yamux *y = aq_conn_mux(w->s[0].c);
  assert_int_equal(aq_yamux_open(y, &id, &w->s[0]), AQ_OK);
  assert_int_equal(aq_yamux_write(y, id, aq_bytes_str(text)), AQ_OK);
  aq_yamux_release(y, id);
  aq_conn_flush(w->s[0].c);
}

/* Goal: set-up works wherever the byte stream is cut, in both directions.
   Method: each cut position of the first 500 bytes of either direction; every piece length up to 40. */
static void every_cut(void **state) {
  (void)state;
  world w;
  world_init(&w);
  for (size_t i = 0; i < 1040; i++) {
    size_t step = i < 40 ? i + 1 : 0, cut0 = i >= 40 && i < 540 ? i - 39 : 0, cut1 = i >= 540 ? i - 539 : 0;
    side_start(&w, 0, true), side_start(&w, 1, false);
    settle(&w, step, cut0, cut1);
    assert_true(aq_conn_is_up(w.s[0].c) && aq_conn_is_up(w.s[1].c));
    assert_true(w.s[0].up && w.s[1].up);
    say(&w, "hello");
    settle(&w, step, 0, 0);
    assert_int_equal(w.s[1].data.len, 5);
    assert_int_equal(w.s[1].fins, 1);
    assert_true(aq_conn_rtt_ns(w.s[0].c) > 0);
    side_free(&w.s[0]), side_free(&w.s[1]);
  }
  world_free(&w);
}

/* Goal: a pipe that takes bytes as it likes loses none.
   Method: 3 MB with 1 to 5000 bytes of room at a time. */
static void partial_writes(void **state) {
  (void)state;
  world w;
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 1);
  world_init(&w);
  side_start(&w, 0, true), side_start(&w, 1, false);
  settle(&w, 0, 0, 0);
  aq_buf msg = AQ_BUF(4u << 20);
  aq_test_rng_bytes(&rng, aq_buf_extend(&msg, 3u << 20), 3u << 20);
  uint32_t id;
  aq_yamux *y = aq_conn_mux(w.s[0].c);
  w.s[0].room = 0;
  assert_int_equal(aq_yamux_open(y, &id, &w.s[0]), AQ_OK);
  assert_int_equal(aq_yamux_write(y, id, aq_buf_bytes(&msg)), AQ_OK);
  aq_yamux_release(y, id);
  aq_conn_flush(w.s[0].c);
  while (w.s[1].fins == 0) {
    w.s[0].room = 1 + aq_test_rng_next(&rng) % 5000;
    aq_conn_writable(w.s[0].c);
    settle(&w, 0, 0, 0);
  }
  assert_bytes(aq_buf_bytes(&w.s[1].data), aq_buf_bytes(&msg));
  aq_buf_free(&msg);
  world_free(&w);
}

/* Goal: set-up is bounded in time, and so is a pipe that takes nothing.
   Method: a silent other side; no room for 30 s. */
static void limits_in_time(void **state) {
  (void)state;
  world w;
  world_init(&w);
  side_start(&w, 0, true), side_start(&w, 1, false);
  fake_env_run_for(&w.loop, AQ_SECONDS(15) - 1);
  assert_false(w.s[0].down || w.s[1].down);
  fake_env_run_for(&w.loop, 1);
  assert_true(w.s[0].down && w.s[1].down);
  assert_int_equal(w.s[0].st, AQ_E_TIMEOUT);
  side_free(&w.s[0]), side_free(&w.s[1]);
  side_start(&w, 0, true), side_start(&w, 1, false);
  settle(&w, 0, 0, 0);
  w.s[0].room = 0;
  say(&w, "x");
  for (int i = 0; i < 90 && !w.s[0].down; i++) { /* the other side is alive: only the stall counts */
    say(&w, "y");
    uint32_t id;
    assert_int_equal(aq_yamux_open(aq_conn_mux(w.s[1].c), &id, &w.s[1]), AQ_OK);
    aq_yamux_release(aq_conn_mux(w.s[1].c), id);
    aq_conn_flush(w.s[1].c);
    size_t cut = 0;
    move(&w.s[1], &w.s[0], 0, &cut);
    fake_env_run_for(&w.loop, AQ_SECONDS(1));
  }
  assert_true(w.s[0].down);
  assert_int_equal(w.s[0].st, AQ_E_TIMEOUT);
  world_free(&w);
}

/* Goal: who is refused after the handshake is dropped without a word, and never thinks it is up.
   Method: either side refuses. */
static void refused(void **state) {
  (void)state;
  for (int who = 0; who < 2; who++) {
    world w;
    world_init(&w);
    side_start(&w, 0, true), side_start(&w, 1, false);
    w.s[who].refuse = true;
    settle(&w, 0, 0, 0);
    uint8_t pub[33];
    aq_k1_pubkey(pub, w.key[1 - who]);
    assert_memory_equal(w.s[who].remote, pub, 33);
    assert_true(w.s[who].down);
    assert_int_equal(w.s[who].st, AQ_E_UNKNOWN);
    assert_false(w.s[0].up || w.s[1].up);
    world_free(&w);
  }
}

/* ---- the other side by hand, without the muxer extension ---- */

typedef struct {
  aq_noise n;
  aq_buf in;
} hand;

static aq_bytes take_frame(hand *h, side *s) {
  aq_bytes msg;
  size_t used;
  aq_buf_reset(&h->in);
  aq_buf_put_bytes(&h->in, aq_buf_bytes(&s->out));
  assert_int_equal(aq_noise_split(&msg, &used, aq_buf_bytes(&h->in)), AQ_OK);
  aq_buf_drop_front(&s->out, used);
  return msg;
}

static void hand_init(hand *h, world *w, bool initiator) {
  uint8_t secrets[64];
  memset(secrets, 5, sizeof secrets);
  h->in = AQ_BUF(1u << 20);
  aq_noise_init(&h->n, initiator, w->key[1], secrets, false);
}

static void put_sealed(hand *h, side *s, aq_bytes plain) {
  uint8_t frame[512];
  size_t len = aq_noise_seal(&h->n, frame, plain);
  aq_conn_data(s->c, aq_bytes_of(frame, len));
}

static void assert_plain(hand *h, side *s, const char *want, size_t want_len) {
  uint8_t plain[1024];
  size_t len;
  aq_bytes msg = take_frame(h, s);
  assert_true(msg.len <= sizeof plain);
  assert_int_equal(aq_noise_open(&h->n, plain, &len, msg), AQ_OK);
  assert_bytes(aq_bytes_of(plain, len), aq_bytes_of(want, want_len));
}

static const char ms_noise[] = "\x13/multistream/1.0.0\n\x07/noise\n";
static const char ms_yamux[] = "\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n";
static const char yamux_ping[] = "\0\2\0\1\0\0\0\0\0\0\0\0";

/* Goal: a responder without the extension gets a negotiation for yamux inside Noise, in our first transport message.
   Method: its side by hand; then a ping so that the connection is up. */
static void fallback_initiator(void **state) {
  (void)state;
  world w;
  hand h;
  world_init(&w);
  hand_init(&h, &w, false);
  side_start(&w, 0, true);
  side *s = &w.s[0];
  assert_bytes(aq_buf_bytes(&s->out), aq_bytes_of(ms_noise, 28));
  aq_buf_reset(&s->out);
  aq_conn_data(s->c, aq_bytes_of(ms_noise, 28));
  aq_buf answer = AQ_BUF(1024);
  assert_int_equal(aq_noise_handshake(&h.n, take_frame(&h, s), &answer), AQ_OK);
  aq_conn_data(s->c, aq_buf_bytes(&answer));
  assert_int_equal(aq_noise_handshake(&h.n, take_frame(&h, s), &answer), AQ_OK);
  assert_true(h.n.done && h.n.remote_muxer && !h.n.muxer);
  assert_plain(&h, s, ms_yamux, 34);
  assert_int_equal(s->out.len, 0);
  put_sealed(&h, s, aq_bytes_of(ms_yamux, 10));
  assert_false(s->up);
  aq_buf_reset(&answer);
  aq_buf_put(&answer, ms_yamux + 10, 24);
  aq_buf_put(&answer, yamux_ping, 12);
  put_sealed(&h, s, aq_buf_bytes(&answer));
  assert_true(s->up);
  assert_plain(&h, s, "\0\2\0\2\0\0\0\0\0\0\0\0\0\2\0\1\0\0\0\0\0\0\0\0", 24); /* pong, and our ping */
  aq_buf_free(&answer), aq_buf_free(&h.in);
  world_free(&w);
}

/* Goal: the same as responder, with an initiator that proposes another muxer first.
   Method: by hand: /mplex is refused, yamux accepted. */
static void fallback_responder(void **state) {
  (void)state;
  world w;
  hand h;
  world_init(&w);
  hand_init(&h, &w, true);
  side_start(&w, 0, false);
  side *s = &w.s[0];
  assert_bytes(aq_buf_bytes(&s->out), aq_bytes_of(ms_noise, 20)); /* the header leaves at once */
  aq_buf_reset(&s->out);
  aq_buf msg = AQ_BUF(1024);
  aq_buf_put(&msg, ms_noise, 28);
  aq_noise_start(&h.n, &msg);
  aq_conn_data(s->c, aq_buf_bytes(&msg)); /* lazily: name and message 1 in one */
  assert_memory_equal(s->out.ptr, ms_noise + 20, 8);
  aq_buf_drop_front(&s->out, 8);
  aq_buf_reset(&msg);
  assert_int_equal(aq_noise_handshake(&h.n, take_frame(&h, s), &msg), AQ_OK);
  aq_conn_data(s->c, aq_buf_bytes(&msg));
  assert_plain(&h, s, ms_yamux, 20);
  assert_int_equal(s->out.len, 0);
  put_sealed(&h, s, aq_bytes_str("\x13/multistream/1.0.0\n\x0d/mplex/6.7.0\n"));
  assert_plain(&h, s, "\x03na\n", 4);
  put_sealed(&h, s, aq_bytes_str("\x0d/yamux/1.0.0\n"));
  assert_plain(&h, s, "\x0d/yamux/1.0.0\n", 14);
  put_sealed(&h, s, aq_bytes_of(yamux_ping, 12));
  assert_true(s->up);
  aq_buf_free(&msg), aq_buf_free(&h.in);
  world_free(&w);
}

/* Goal: garbage at each layer ends the connection, never more.
   Method: after every prefix of a recorded set-up, random bytes from fixed seeds. */
static void garbage(void **state) {
  (void)state;
  world w;
  world_init(&w);
  for (uint64_t seed = 0; seed < 400; seed++) {
    aq_test_rng rng;
    aq_test_rng_seed(&rng, seed);
    side_start(&w, 0, true), side_start(&w, 1, false);
    int rounds = (int)(aq_test_rng_next(&rng) % 6);
    size_t none = 0;
    for (int i = 0; i < rounds; i++) move(&w.s[i % 2], &w.s[1 - i % 2], 0, &none);
    uint8_t junk[3000];
    aq_test_rng_bytes(&rng, junk, sizeof junk);
    for (int i = 0; i < 60 && !w.s[1].down; i++) aq_conn_data(w.s[1].c, aq_bytes_of(junk, sizeof junk));
    assert_true(w.s[1].down);
    assert_int_equal(aq_status_class_of(w.s[1].st), AQ_CLASS_PEER);
    side_free(&w.s[0]), side_free(&w.s[1]);
  }
  world_free(&w);
}

static int setup(void **state) {
  (void)state;
  aq_crypto_init();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cut), cmocka_unit_test(partial_writes),     cmocka_unit_test(limits_in_time),
      cmocka_unit_test(refused),   cmocka_unit_test(fallback_initiator), cmocka_unit_test(fallback_responder),
      cmocka_unit_test(garbage),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
