/* A switch that knows no cluster: messages over any pipe, what identify lists, what a stranger may cost. */
#include "base/log.h"
#include "crypto/aead.h"
#include "fake/switches.h"

/* ---- own messages ---- */

typedef struct {
  aq_buf wire;
  uint32_t sent, answers, failed, lost;
  aq_status st;
  size_t len;
} mail;

static void mail_sent(void *arg) { ((mail *)arg)->sent++; }
static void mail_answer(void *arg, aq_bytes msg) {
  ((mail *)arg)->answers++;
  ((mail *)arg)->len = msg.len;
}
static void mail_failed(void *arg, aq_status st) {
  ((mail *)arg)->failed++;
  ((mail *)arg)->st = st;
}
static void mail_lost(void *arg) { ((mail *)arg)->lost++; }

static void post(party *p, aq_link *l, mail *m, uint32_t row, size_t len) {
  aq_buf msg = AQ_BUF(MSG_MAX);
  *m = (mail){.wire = AQ_BUF(MSG_MAX + 1024)};
  if (len) memset(aq_buf_extend(&msg, len), 3, len);
  aq_switch_wire(p->sw, &m->wire, row, aq_buf_bytes(&msg));
  aq_buf_free(&msg);
  const aq_stream_events on = {
      .arg = m, .sent = mail_sent, .answer = mail_answer, .failed = mail_failed, .lost = mail_lost};
  aq_status st;
  assert_non_null(aq_stream_send(l, &st, row, &m->wire, &on));
  aq_link_flush(l);
}

/* Goal: messages of a table that only this test knows go over any pipe, under one name or several, small and big, and a
   message whose link breaks comes back whole.
   Method: two members; sizes around the window; the pipe is cut under a request. */
static void messages(void **state) {
  (void)state;
  world *w = world_new();
  party *a = &w->p[0], *b = &w->p[1];
  aq_link *l = join(w, a, b);
  run(w, AQ_SECONDS(1));
  assert_true(a->joined == 1 && b->joined == 1 && a->last == a->member && b->last == b->member);
  static const size_t sizes[] = {0, 1, AQ_YAMUX_WINDOW + 1, MSG_MAX};
  mail m[AQ_COUNT(sizes)], q[AQ_COUNT(sizes)];
  for (size_t i = 0; i < AQ_COUNT(sizes); i++) {
    post(a, l, &m[i], NOTE, sizes[i]);
    run(w, AQ_SECONDS(2));
    assert_int_equal(m[i].sent, 1);
    assert_int_equal(b->note_len[i], sizes[i]);
    post(b, aq_remote_best(b->member), &q[i], ECHO, sizes[i]);
    run(w, AQ_SECONDS(2));
    assert_int_equal(q[i].answers, 1);
    assert_int_equal(q[i].len, sizes[i]);
    aq_buf_free(&m[i].wire), aq_buf_free(&q[i].wire);
  }
  assert_true(b->notes == AQ_COUNT(sizes) && a->served == AQ_COUNT(sizes));
  assert_true(aq_metric_value(AQ_M_P2P_PING_SUCCESS, AQ_LABELS("one")) == 1);
  mail cut;
  post(a, l, &cut, ECHO, 100);
  aq_link_broken(l, AQ_E_IO);
  assert_int_equal(cut.lost, 1);
  assert_int_equal(cut.wire.len, 20 + 14 + 1 + 100); /* header, name, length, message */
  assert_null(aq_remote_best(a->member));
  run(w, AQ_SECONDS(1));
  assert_int_equal(b->ended, 1);
  aq_buf_free(&cut.wire);
  world_free(w);
}

/* Goal: what is not handled is refused.
   Method: rows whose handler was taken away, before the name and behind it. */
static void refusals(void **state) {
  (void)state;
  world *w = world_new();
  party *a = &w->p[0], *b = &w->p[1];
  aq_link *l = join(w, a, b);
  run(w, AQ_SECONDS(1));
  aq_switch_handle(b->sw, ECHO, &(aq_service_handler){0});
  mail m;
  post(a, l, &m, ECHO, 10);
  run(w, AQ_SECONDS(1));
  assert_int_equal(m.lost, 1); /* reset: its message did not wait for the name, and is no name itself */
  assert_int_equal(b->served, 0);
  aq_buf_free(&m.wire);
  post(a, l, &m, NOTE, MSG_MAX);
  run(w, AQ_MILLIS(5));
  assert_int_equal(m.sent, 0);
  aq_switch_handle(b->sw, NOTE, &(aq_service_handler){0});
  run(w, AQ_SECONDS(2));
  assert_int_equal(b->notes, 0);
  aq_buf_free(&m.wire);
  world_free(w);
}

/* Goal: identify lists the rows of a role and no others; a link over it knows what the other side speaks.
   Method: members of a ceremony and the relay hear from each other. */
static void roles(void **state) {
  (void)state;
  world *w = world_new();
  party *a = &w->p[0], *r = &w->p[2];
  join(w, a, &w->p[1]);
  join(w, a, r);
  run(w, AQ_SECONDS(1));
  assert_true(a->member->info.heard);
  assert_true(aq_remote_speaks(a->member, NOTE) && aq_remote_speaks(a->member, SYNC));
  assert_false(aq_remote_speaks(a->member, HOP));
  assert_true(aq_remote_speaks(a->last, HOP));
  assert_false(aq_remote_speaks(a->last, NOTE));
  assert_true(aq_remote_speaks(r->last, STOP));
  assert_null(r->last->label);
  world_free(w);
}

/* ---- strangers ---- */

static void ignore(void *arg, aq_status st) {
  (void)st;
  ++*(uint32_t *)arg;
}

static void hop_opened(void *arg, aq_remote *from, aq_stream *s) {
  party *p = arg;
  (void)from;
  p->opened++;
  const aq_stream_events on = {.arg = &p->ended_streams, .failed = ignore};
  aq_stream_use(s, &on);
}

/* Goal: strangers are few, each has few links and as many streams as the row says; one that leaves makes room.
   Method: one more than each limit; a switch that takes none. */
static void strangers(void **state) {
  (void)state;
  world *w = world_new();
  party *a = &w->p[0], *r = &w->p[2];
  aq_switch_handle(r->sw, HOP, &(aq_service_handler){.arg = r, .opened = hop_opened});
  w->p[1].strangers = false;
  join(w, r, &w->p[1]);
  run(w, AQ_SECONDS(1));
  assert_true(w->p[1].up == 0 && w->p[1].ended == 1 && w->p[1].refused == AQ_E_UNKNOWN);
  aq_link *l = join(w, a, r);
  run(w, AQ_SECONDS(1));
  aq_remote *first = r->last;
  uint32_t ended = 0;
  for (int i = 0; i < 3; i++) {
    const aq_stream_events on = {.arg = &ended, .failed = ignore};
    aq_status st;
    assert_non_null(aq_stream_open(l, &st, HOP, &on));
  }
  aq_link_flush(l);
  run(w, AQ_SECONDS(1));
  assert_true(r->opened == 2 && ended == 1 && r->faults == 1 && r->fault == AQ_E_LIMIT);
  for (int i = 0; i < 2; i++) join(w, a, r);
  run(w, AQ_SECONDS(1));
  assert_int_equal(r->last, first);
  assert_int_equal(first->link_cnt, 2); /* the oldest made room, and its streams went */
  assert_int_equal(r->ended_streams, 2);
  party crowd[AQ_SWITCH_STRANGERS_MAX] = {0};
  uint32_t up = r->up;
  for (uint32_t i = 0; i < AQ_SWITCH_STRANGERS_MAX; i++) {
    crowd[i].key = key_of(2, (uint8_t)i);
    crowd[i].strangers = true;
    party_start(w, &crowd[i], AQ_ROLE_DKG);
    join(w, &crowd[i], r);
    run(w, AQ_MILLIS(50));
  }
  assert_int_equal(r->up - up, AQ_SWITCH_STRANGERS_MAX - 1); /* a itself is one */
  party *late = &crowd[AQ_SWITCH_STRANGERS_MAX - 1];
  assert_true(late->up == 0 && late->ended == 1);
  aq_switch_stop(crowd[0].sw);
  run(w, AQ_SECONDS(1));
  join(w, late, r);
  run(w, AQ_SECONDS(1));
  assert_int_equal(late->up, 1);
  for (uint32_t i = 0; i < AQ_SWITCH_STRANGERS_MAX; i++) {
    aq_switch_free(crowd[i].sw);
    aq_k1_key_free(crowd[i].key);
  }
  world_free(w);
}

static int setup(void **state) {
  (void)state;
  aq_crypto_init();
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(messages), cmocka_unit_test(refusals), cmocka_unit_test(roles),
                                     cmocka_unit_test(strangers)};
  return cmocka_run_group_tests(tests, setup, NULL);
}
