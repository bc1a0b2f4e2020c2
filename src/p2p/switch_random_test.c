/* Switches under a storm: everything that a user of streams may do, at any time, also from inside callbacks of other
   streams and other links, while links come and go. */
#include "base/log.h"
#include "crypto/aead.h"
#include "fake/switches.h"

enum { POINTS_MAX = 48, MAILS_MAX = 200, STEPS = 400, JOINS_MAX = 60, PIECE_MAX = 100000 };

/* One end of a stream of pattern STREAM. */
typedef struct {
  aq_stream *s; /* NULL: free */
  bool settled, finned;
  size_t owed;
} point;

typedef struct {
  aq_buf wire;
  uint32_t ends;
} mail;

static struct {
  world *w;
  uint64_t rng;
  point point[POINTS_MAX];
  mail mail[MAILS_MAX];
  uint32_t mail_cnt, joins, depth, opened, gone;
  size_t read, wrote;
} g;

static uint32_t pick(uint32_t n) { return (uint32_t)(fake_splitmix(&g.rng) % n); }

static point *point_new(aq_stream *s, bool settled) {
  for (uint32_t i = 0; i < POINTS_MAX; i++) {
    point *p = &g.point[i];
    if (p->s) continue;
    *p = (point){.s = s, .settled = settled};
    return p;
  }
  return NULL;
}

static void write_some(point *p) {
  static const uint8_t bytes[PIECE_MAX];
  size_t len = 1 + pick(PIECE_MAX);
  if (!p->settled || p->finned) return;
  if (aq_stream_write(p->s, aq_bytes_of(bytes, len)) == AQ_OK) g.wrote += len;
}

/* The stream may be gone afterwards. */
static void act(point *p) {
  aq_link *l = aq_stream_link(p->s);
  aq_stream *s = p->s;
  switch (pick(12)) {
    case 0:
      if (p->settled && !p->finned) aq_stream_fin(s);
      p->finned = p->settled;
      break;
    case 1:
      p->s = NULL;
      aq_stream_release(s);
      break;
    case 2:
      p->s = NULL;
      aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
      break;
    case 3:
      if (pick(8) == 0) aq_link_close(l, AQ_YAMUX_CODE_NONE);
      break;
    case 4:
    case 5:
    case 6:
      aq_stream_credit(s, p->owed);
      p->owed = 0;
      break;
    default: write_some(p); break;
  }
  aq_link_flush(l);
}

static void act_any(void) {
  point *p = &g.point[pick(POINTS_MAX)];
  if (p->s) act(p);
}

/* From inside a callback. */
static void stir(void) {
  if (g.depth >= 4 || pick(3)) return;
  g.depth++;
  act_any();
  g.depth--;
}

static void on_settled(void *arg) {
  ((point *)arg)->settled = true;
  stir();
}
static void on_data(void *arg, aq_bytes in) {
  point *p = arg;
  assert_true(p->s && p->settled);
  p->owed += in.len;
  g.read += in.len;
  assert_true(p->owed <= AQ_YAMUX_WINDOW);
  stir();
}
static void on_quiet(void *arg) {
  assert_non_null(((point *)arg)->s);
  stir();
}
static void on_failed(void *arg, aq_status st) {
  point *p = arg;
  assert_true(p->s && st != AQ_OK);
  p->s = NULL;
  g.gone++;
  stir();
}

static aq_stream_events events_of(point *p) {
  return (aq_stream_events){
      .arg = p, .settled = on_settled, .data = on_data, .fin = on_quiet, .sent = on_quiet, .failed = on_failed};
}

static void on_opened(void *arg, aq_remote *from, aq_stream *s) {
  (void)arg, (void)from;
  point *p = point_new(s, true);
  if (!p) return;
  g.opened++;
  const aq_stream_events on = events_of(p);
  aq_stream_use(s, &on);
  stir();
}

static aq_link *any_link(void) {
  end *e = g.w->end_cnt ? &g.w->ends[pick(g.w->end_cnt)] : NULL;
  return e && !e->closed && e->link->up ? e->link : NULL;
}

static void open_some(void) {
  aq_link *l = any_link();
  point *p = NULL;
  for (uint32_t i = 0; i < POINTS_MAX && !p; i++) p = g.point[i].s ? NULL : &g.point[i];
  if (!l || !p) return;
  const aq_stream_events on = events_of(p);
  aq_status st;
  *p = (point){0};
  p->s = aq_stream_open(l, &st, SYNC + pick(3), &on);
  aq_link_flush(l);
}

static void on_storm_note(void *arg, aq_remote *from, aq_bytes msg) {
  (void)arg, (void)from, (void)msg;
  stir();
}

static void mail_end(void *arg) { ((mail *)arg)->ends++; }
static void mail_answer(void *arg, aq_bytes msg) {
  (void)msg;
  mail_end(arg);
}
static void mail_failed(void *arg, aq_status st) {
  (void)st;
  mail_end(arg);
}

static void post(void) {
  aq_link *l = any_link();
  if (!l || g.mail_cnt == MAILS_MAX) return;
  mail *m = &g.mail[g.mail_cnt++];
  *m = (mail){.wire = AQ_BUF(MSG_MAX + 1024)};
  aq_buf msg = AQ_BUF(MSG_MAX);
  size_t len = pick(4) ? pick(2000) : pick(MSG_MAX);
  if (len) memset(aq_buf_extend(&msg, len), 1, len);
  uint32_t row = pick(2) ? NOTE : ECHO;
  aq_switch_wire(l->sw, &m->wire, row, aq_buf_bytes(&msg));
  aq_buf_free(&msg);
  const aq_stream_events on = {
      .arg = m, .sent = mail_end, .answer = mail_answer, .failed = mail_failed, .lost = mail_end};
  aq_status st;
  if (!aq_stream_send(l, &st, row, &m->wire, &on)) m->ends++;
  aq_link_flush(l);
}

static void step(void) {
  party *p = g.w->p;
  aq_link *l;
  switch (pick(10)) {
    case 0:
      if (g.joins++ < JOINS_MAX) join(g.w, &p[pick(3)], &p[pick(3)]);
      break;
    case 1:
      l = any_link();
      if (l && pick(6) == 0) aq_link_broken(l, AQ_E_IO);
      break;
    case 2:
    case 3: open_some(); break;
    case 4: post(); break;
    case 5: run(g.w, AQ_MILLIS(pick(20))); break;
    default: act_any(); break;
  }
}

static void one(uint64_t seed) {
  memset(&g, 0, sizeof g);
  g.w = world_new();
  g.rng = seed;
  g.w->hook = stir;
  for (int i = 0; i < 3; i++) {
    for (uint32_t row = SYNC; row <= STOP; row++) {
      if ((row == HOP) != (i == 2)) continue;
      aq_switch_handle(g.w->p[i].sw, row, &(aq_service_handler){.opened = on_opened});
    }
  }
  for (int i = 0; i < 2; i++) aq_switch_handle(g.w->p[i].sw, NOTE, &(aq_service_handler){.recv = on_storm_note});
  for (int i = 0; i < STEPS; i++) step();
  run(g.w, AQ_SECONDS(60));
  g.w->hook = NULL;
  for (int i = 0; i < 3; i++) aq_switch_stop(g.w->p[i].sw);
  for (int i = 0; i < POINTS_MAX; i++) assert_null(g.point[i].s);
  for (uint32_t i = 0; i < g.mail_cnt; i++) {
    assert_int_equal(g.mail[i].ends, 1);
    aq_buf_free(&g.mail[i].wire);
  }
  for (int i = 0; i < 2; i++) {
    const aq_remote *r = g.w->p[i].member;
    assert_true(r->rx_bytes == 0 && r->big_cnt == 0 && r->link_cnt == 0 && r->refs == 0);
    for (int svc = 0; svc < AQ_SERVICE_NAMES_MAX; svc++) assert_true(r->streams[0][svc] + r->streams[1][svc] == 0);
  }
  world_free(g.w);
}

/* Goal: nothing that users do with streams, in any order and from inside any callback, is used after its end, told
   twice or never, or left behind; nobody reads more ahead than a window.
   Method: random steps on three switches; at the end every stream and message has ended once, every count is zero. */
static void storm(void **state) {
  (void)state;
  uint64_t opened = 0, gone = 0, read = 0, seeds = 60;
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    one(seed);
    opened += g.opened, gone += g.gone, read += g.read;
  }
  print_message("streams %llu, lost %llu, bytes %llu\n", (unsigned long long)opened, (unsigned long long)gone,
                (unsigned long long)read);
  assert_true(opened > 10 * seeds && gone > seeds && read > 300000 * seeds);
}

static int setup(void **state) {
  (void)state;
  aq_crypto_init();
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(storm)};
  return cmocka_run_group_tests(tests, setup, NULL);
}
