/* Streams whose bytes are their user's, on switches that know no cluster: a ceremony's, and a relay's. */
#include "base/log.h"
#include "codec/pb.h"
#include "crypto/aead.h"
#include "fake/switches.h"
#include "p2p/delimited.h"

/* ---- a ceremony: one stream for all of it, framed by its user ---- */

typedef struct {
  aq_stream *s;
  aq_delimited in;
  uint32_t step, fins, ended;
  aq_status st;
} ceremony;

static void say(ceremony *c, uint32_t step) {
  uint8_t body[4];
  aq_buf out = AQ_BUF(64);
  aq_be32_put(body, step);
  aq_delimited_put(&out, aq_bytes_of(body, sizeof body));
  assert_int_equal(aq_stream_write(c->s, aq_buf_bytes(&out)), AQ_OK);
  aq_buf_free(&out);
  aq_link_flush(aq_stream_link(c->s));
}

static void ceremony_settled(void *arg) { say(arg, 1); }

static void ceremony_data(void *arg, aq_bytes in) {
  ceremony *c = arg;
  aq_stream_credit(c->s, in.len);
  while (in.len) {
    size_t used;
    if (aq_delimited_feed(&c->in, &used, in) != AQ_OK) return;
    in = aq_bytes_sub(in, used, in.len - used);
    c->step = aq_be32_get(c->in.body.ptr);
    aq_delimited_free(&c->in);
    aq_delimited_init(&c->in, 64);
    if (c->step < 10) say(c, c->step + 1);
  }
}

static void ceremony_fin(void *arg) { ((ceremony *)arg)->fins++; }
static void ceremony_failed(void *arg, aq_status st) {
  ceremony *c = arg;
  c->ended++;
  c->st = st;
  c->s = NULL;
}

static aq_stream_events ceremony_events(ceremony *c) {
  aq_delimited_init(&c->in, 64);
  return (aq_stream_events){
      .arg = c, .settled = ceremony_settled, .data = ceremony_data, .fin = ceremony_fin, .failed = ceremony_failed};
}

static void ceremony_opened(void *arg, aq_remote *from, aq_stream *s) {
  ceremony *c = arg;
  assert_string_equal(from->label, "zero");
  c->s = s;
  const aq_stream_events on = ceremony_events(c);
  aq_stream_use(s, &on);
}

/* Goal: a stream of pattern STREAM lives as long as its users want, with their framing, and both hear of its end.
   Method: ten steps, an hour of silence, ten more; an end in good order, and one with the pipe; a row that the other
   side does not handle. */
static void long_stream(void **state) {
  (void)state;
  world *w = world_new();
  party *a = &w->p[0], *b = &w->p[1];
  aq_link *l = join(w, a, b);
  run(w, AQ_SECONDS(1));
  ceremony mine = {0}, theirs = {0};
  aq_status st;
  const aq_stream_events on = ceremony_events(&mine);
  mine.s = aq_stream_open(l, &st, SYNC, &on);
  aq_link_flush(l);
  run(w, AQ_SECONDS(1));
  assert_int_equal(mine.ended, 1); /* nobody there */
  assert_int_equal(mine.st, AQ_E_CLOSED);
  aq_switch_handle(b->sw, SYNC, &(aq_service_handler){.arg = &theirs, .opened = ceremony_opened});
  for (int turn = 0; turn < 2; turn++) {
    mine.ended = theirs.ended = theirs.fins = 0;
    mine.s = aq_stream_open(l, &st, SYNC, &on);
    assert_int_equal(st, AQ_OK);
    aq_link_flush(l);
    run(w, AQ_SECONDS(1));
    assert_true(mine.step == 10 && theirs.step == 9);
    static uint8_t much[AQ_STREAM_UNSENT_MAX + 1];
    assert_int_equal(aq_stream_write(mine.s, aq_bytes_of(much, sizeof much)), AQ_E_LIMIT);
    run(w, AQ_SECONDS(3600));
    say(&mine, 1);
    run(w, AQ_SECONDS(1));
    assert_true(mine.step == 10 && theirs.step == 9 && mine.ended == 0 && theirs.ended == 0);
    if (turn == 0) {
      aq_stream_release(mine.s);
      aq_link_flush(l);
      run(w, AQ_SECONDS(1));
      assert_int_equal(theirs.fins, 1);
      aq_stream_release(theirs.s);
      aq_link_flush(aq_remote_best(b->member));
      run(w, AQ_SECONDS(1));
      assert_int_equal(aq_link_streams(l), 0);
    } else {
      aq_link_broken(l, AQ_E_IO);
      run(w, AQ_SECONDS(1));
      assert_true(mine.ended == 1 && theirs.ended == 1);
    }
  }
  aq_delimited_free(&mine.in), aq_delimited_free(&theirs.in);
  world_free(w);
}

/* ---- a relay's server: splices what a stranger sends with a stream to another ---- */

struct relay;
typedef struct side {
  struct relay *r;
  struct side *other;
  aq_stream *s; /* NULL: gone */
  bool settled;
  aq_buf early; /* for this side, before it was settled: the other's first window at most */
  size_t owed;  /* came in, and has not left on the other side */
} side;

typedef struct relay {
  party *p;
  aq_remote *target;
  side pair[2];
  size_t passed, held_max;
} relay;

static void side_pass(side *s, aq_bytes in) {
  if (!s->settled) {
    aq_buf_put_bytes(&s->early, in);
    return;
  }
  assert_int_equal(aq_stream_write(s->s, in), AQ_OK);
  aq_link_flush(aq_stream_link(s->s));
}

static void side_data(void *arg, aq_bytes in) {
  side *s = arg;
  s->owed += in.len;
  s->r->passed += in.len;
  if (s->owed > s->r->held_max) s->r->held_max = s->owed;
  side_pass(s->other, in);
}

static void side_sent(void *arg) {
  side *from = ((side *)arg)->other;
  if (!from->s) return;
  size_t owed = from->owed;
  from->owed = 0;
  aq_stream_credit(from->s, owed);
  aq_link_flush(aq_stream_link(from->s));
}

static void side_settled(void *arg) {
  side *s = arg;
  s->settled = true;
  aq_buf early = s->early;
  s->early = AQ_BUF(AQ_YAMUX_WINDOW);
  side_pass(s, aq_buf_bytes(&early));
  aq_buf_free(&early);
}

static void side_fin(void *arg) {
  side *to = ((side *)arg)->other;
  if (!to->s) return;
  aq_stream_fin(to->s);
  aq_link_flush(aq_stream_link(to->s));
}

static void side_failed(void *arg, aq_status st) {
  side *s = arg, *to = s->other;
  (void)st;
  s->s = NULL;
  if (!to->s) return;
  aq_link *l = aq_stream_link(to->s);
  aq_stream_reset(to->s, AQ_YAMUX_CODE_NONE);
  to->s = NULL;
  aq_link_flush(l);
}

static aq_stream_events side_events(side *s) {
  return (aq_stream_events){
      .arg = s, .settled = side_settled, .data = side_data, .fin = side_fin, .sent = side_sent, .failed = side_failed};
}

static void hop_opened(void *arg, aq_remote *from, aq_stream *s) {
  relay *r = arg;
  aq_link *l = aq_remote_best(r->target);
  aq_status st;
  assert_null(from->label);
  if (!l) return;
  for (int i = 0; i < 2; i++) r->pair[i] = (side){.r = r, .other = &r->pair[!i], .early = AQ_BUF(AQ_YAMUX_WINDOW)};
  r->pair[0].s = s;
  r->pair[0].settled = true;
  aq_stream_events on = side_events(&r->pair[0]);
  aq_stream_use(s, &on);
  on = side_events(&r->pair[1]);
  r->pair[1].s = aq_stream_open(l, &st, STOP, &on);
  assert_int_equal(st, AQ_OK);
  aq_link_flush(l);
}

/* ---- its clients: a link within a stream ---- */

enum { TUNNEL_UNSENT_MAX = 64 * 1024 };

typedef struct {
  party *p;
  aq_stream *s; /* NULL: gone */
  aq_link *link;
} tunnel;

static size_t tunnel_write(void *ctx, aq_bytes out) {
  tunnel *t = ctx;
  if (!t->s) return out.len;
  size_t unsent = aq_stream_unsent(t->s), room = unsent < TUNNEL_UNSENT_MAX ? TUNNEL_UNSENT_MAX - unsent : 0;
  size_t len = out.len < room ? out.len : room;
  assert_int_equal(aq_stream_write(t->s, aq_bytes_of(out.ptr, len)), AQ_OK);
  aq_link_flush(aq_stream_link(t->s));
  return len;
}

static void tunnel_close(void *ctx) {
  tunnel *t = ctx;
  if (!t->s) return;
  aq_link *below = aq_stream_link(t->s);
  aq_stream_release(t->s);
  t->s = NULL;
  aq_link_flush(below);
}

static void tunnel_start(tunnel *t, bool inbound) {
  const aq_pipe pipe = {.ctx = t, .write = tunnel_write, .close = tunnel_close, .nested = true};
  t->link = aq_switch_link(t->p->sw, &pipe, inbound, "", NULL);
  aq_link_start(t->link);
}

static void tunnel_settled(void *arg) { tunnel_start(arg, false); }
static void tunnel_data(void *arg, aq_bytes in) {
  tunnel *t = arg;
  aq_link_data(t->link, in);
  if (t->s) aq_stream_credit(t->s, in.len);
}
static void tunnel_sent(void *arg) { aq_link_writable(((tunnel *)arg)->link); }
static void tunnel_fin(void *arg) { aq_link_broken(((tunnel *)arg)->link, AQ_E_CLOSED); }
static void tunnel_failed(void *arg, aq_status st) {
  tunnel *t = arg;
  t->s = NULL;
  if (t->link) aq_link_broken(t->link, st);
}

static aq_stream_events tunnel_events(tunnel *t) {
  return (aq_stream_events){.arg = t,
                            .settled = tunnel_settled,
                            .data = tunnel_data,
                            .fin = tunnel_fin,
                            .sent = tunnel_sent,
                            .failed = tunnel_failed};
}

static void stop_opened(void *arg, aq_remote *from, aq_stream *s) {
  tunnel *t = arg;
  (void)from;
  t->s = s;
  const aq_stream_events on = tunnel_events(t);
  aq_stream_use(s, &on);
  tunnel_start(t, true);
}

static size_t g_recv_len;
static void on_big(void *arg, aq_remote *from, aq_bytes msg) {
  party *p = arg;
  assert_ptr_equal(from, p->member);
  g_recv_len = msg.len;
}

static uint32_t g_big_sent;
static void big_sent(void *arg) {
  (void)arg;
  g_big_sent++;
}

static void send_big(party *p) {
  static aq_buf wire;
  aq_buf msg = AQ_BUF(MSG_MAX);
  wire = AQ_BUF(MSG_MAX + 1024);
  memset(aq_buf_extend(&msg, MSG_MAX), 9, MSG_MAX);
  aq_switch_wire(p->sw, &wire, NOTE, aq_buf_bytes(&msg));
  aq_buf_free(&msg);
  const aq_stream_events on = {.sent = big_sent};
  aq_link *l = aq_remote_best(p->member);
  aq_status st;
  assert_non_null(aq_stream_send(l, &st, NOTE, &wire, &on));
  aq_link_flush(l);
  run(p->w, AQ_SECONDS(20));
  aq_buf_free(&wire);
}

/* Goal: two that only a third can reach speak through it, as over any pipe: they know each other, it knows neither and
   holds no more than a window of what they say. A ceremony runs over it; its end is theirs, too.
   Method: links to the relay, a hop and a stop that it splices, a link within them; ten steps, a message of many
   windows, then the relay loses one of the two. */
static void relayed(void **state) {
  (void)state;
  world *w = world_new();
  party *a = &w->p[0], *b = &w->p[1], *r = &w->p[2];
  relay server = {.p = r};
  tunnel at[2] = {{.p = a}, {.p = b}};
  ceremony mine = {0}, theirs = {0};
  aq_switch_handle(r->sw, HOP, &(aq_service_handler){.arg = &server, .opened = hop_opened});
  aq_switch_handle(b->sw, STOP, &(aq_service_handler){.arg = &at[1], .opened = stop_opened});
  aq_switch_handle(b->sw, SYNC, &(aq_service_handler){.arg = &theirs, .opened = ceremony_opened});
  aq_switch_handle(b->sw, NOTE, &(aq_service_handler){.arg = b, .recv = on_big});
  aq_link *down = join(w, b, r);
  run(w, AQ_SECONDS(1));
  server.target = r->last;
  aq_link *l = join(w, a, r);
  run(w, AQ_SECONDS(1));
  aq_status st;
  aq_stream_events on = tunnel_events(&at[0]);
  at[0].s = aq_stream_open(l, &st, HOP, &on);
  aq_link_flush(l);
  run(w, AQ_SECONDS(1));
  assert_true(a->joined == 2 && b->joined == 2 && a->member->link_cnt == 1 && b->member->link_cnt == 1);
  on = ceremony_events(&mine);
  mine.s = aq_stream_open(aq_remote_best(a->member), &st, SYNC, &on);
  aq_link_flush(aq_remote_best(a->member));
  run(w, AQ_SECONDS(2));
  assert_true(mine.step == 10 && theirs.step == 9);
  send_big(a);
  assert_int_equal(g_big_sent, 1);
  assert_int_equal(g_recv_len, MSG_MAX);
  assert_true(server.passed > MSG_MAX);
  assert_in_range(server.held_max, 1, AQ_YAMUX_WINDOW);
  run(w, AQ_SECONDS(600)); /* pings and keep-alives through it */
  assert_int_equal(a->member->link_cnt, 1);
  aq_link_close(down, AQ_YAMUX_CODE_NONE);
  run(w, AQ_SECONDS(1));
  assert_true(a->member->link_cnt == 0 && b->member->link_cnt == 0 && mine.ended == 1 && theirs.ended == 1);
  assert_true(at[0].s == NULL && at[1].s == NULL);
  assert_int_equal(aq_link_streams(l), 0);
  aq_delimited_free(&mine.in), aq_delimited_free(&theirs.in);
  world_free(w);
}

static int setup(void **state) {
  (void)state;
  aq_crypto_init();
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(long_stream), cmocka_unit_test(relayed)};
  return cmocka_run_group_tests(tests, setup, NULL);
}
