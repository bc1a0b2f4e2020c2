/* The event stream for many clients over one to the beacon node. validator-api.md 12 and 13. */
#include "aq_test.h"

#include "api/vapi_internal.h"

#include "beacon/bn_internal.h"
#include "fake/vapi.h"

#define EVENTS "/eth/v1/events?topics="
#define HEAD1 "event: head\ndata: {\"slot\":\"1\"}\n\n"
#define HEAD2 "event: head\ndata: {\"slot\":\"2\"}\n\n"
#define BLOCK1 "event: block\ndata: {\"slot\":\"1\"}\n\n"

typedef struct {
  fv *f;
  const char *refuses; /* topic that the beacon node does not know */
  bool down;
} world;

static void bn(void *arg, fake_ex *ex) {
  world *w = arg;
  if (w->down)
    fake_http_fail(ex, AQ_MILLIS(1), AQ_E_CLOSED);
  else if (w->refuses && strstr(ex->url, w->refuses))
    fake_http_answer(ex, AQ_MILLIS(1), 400, "{\"code\":400,\"message\":\"no such topic here\"}");
}

static world *world_new(size_t bn_cnt) {
  static const char *const urls[] = {"http://bn", "http://bn2"};
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->f = fv_new(&(fv_cfg){.no_bn = true});
  w->f->http.handle = bn;
  w->f->http.arg = w;
  aq_vapi_free(w->f->vapi);
  w->f->bn = aq_bn_new(
      &(aq_bn_cfg){.env = &w->f->env.env, .http = &w->f->http.http, .endpoints = urls, .endpoint_cnt = bn_cnt});
  w->f->vapi = aq_vapi_new(&(aq_vapi_cfg){
      .env = &w->f->env.env, .http = &w->f->http.http, .bn = w->f->bn, .lock = &w->f->lock, .version = "v1"});
  return w;
}

static void world_free(world *w) {
  fv_free(w->f);
  free(w);
}

static fake_res *join(world *w, const char *topics) {
  char target[512];
  snprintf(target, sizeof target, EVENTS "%s", topics);
  fake_res *r = fv_send(w->f, "GET", target, NULL, NULL, aq_bytes_of("", 0));
  fake_env_drain(&w->f->env);
  return r;
}

/* The one stream that waits for its head, or the one that is open. */
static fake_ex *stream(world *w, bool open) {
  fake_ex *found = NULL;
  AQ_LIST_EACH(&w->f->http.open, ex, fake_ex, node) {
    if (!strstr(ex->url, "/eth/v1/events") || ex->streaming != open) continue;
    assert_null(found);
    found = ex;
  }
  assert_non_null(found);
  return found;
}

/* Asked with these topics, in this order, and over connections that are not the node's own. */
static fake_ex *accept(world *w, const char *topics) {
  fake_ex *ex = stream(w, false);
  assert_string_equal(strstr(ex->url, "/eth/v1/events"), topics);
  assert_int_equal(ex->pool, AQ_HTTPC_PROXY);
  fake_http_open(ex, 200);
  fake_env_drain(&w->f->env);
  return ex;
}

static void expect(fake_res *r, const char *text) {
  const char *got = aq_buf_cstr(&r->body);
  assert_int_equal(r->code, 200);
  assert_string_equal(fake_header(r, "Content-Type"), "text/event-stream");
  assert_int_equal(strncmp(got, ":\n\n", 3), 0);
  assert_string_equal(got + 3, text);
  assert_false(r->ended);
}

static void expect_error(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

/* Goal: any number of clients is one stream to the beacon node; each gets what it named, all of it and once; the last
   that leaves ends it.
   Method: 40 clients of two kinds, events in pieces, of two lines, with a comment, and of a topic that nobody named. */
static void test_fans_out(void **state) {
  enum { MANY = 40 };
  (void)state;
  world *w = world_new(1);
  fake_res *r[MANY];
  for (size_t i = 0; i < MANY; i++) r[i] = join(w, i & 1 ? "head,block" : "block&topics=head");
  fake_ex *up = accept(w, "/eth/v1/events?topics=head&topics=block");
  assert_int_equal(fake_http_open_cnt(&w->f->http), 1);
  fake_res *only = join(w, "block");
  fake_http_chunk(up, "event: he");
  fake_http_chunk(
      up, "ad\ndata: {\"slot\":\"1\"}\n\n: comment\n\nevent: chain_reorg\ndata: {}\n\nevent: block\r\ndata: 1\r\n");
  fake_http_chunk(up, "data:2\r\n\r\nevent: nothing\ndata: x\n\n");
  for (size_t i = 0; i < MANY; i++) expect(r[i], HEAD1 "event: block\ndata: 1\ndata: 2\n\n");
  expect(only, "event: block\ndata: 1\ndata: 2\n\n");
  fake_env_run_for(&w->f->env, AQ_SECONDS(14));
  for (size_t i = 0; i < MANY; i++) fake_res_free(r[i]);
  fake_env_drain(&w->f->env);
  assert_int_equal(fake_http_open_cnt(&w->f->http), 1);
  fake_res_free(only);
  fake_env_drain(&w->f->env);
  assert_int_equal(fake_http_open_cnt(&w->f->http), 0);
  assert_int_equal(fake_http_count(&w->f->http, "/eth/v1/events"), 1);
  world_free(w);
}

/* Goal: what is no topic gets 400, as from a beacon node, and asks nobody. Method: unknown, empty, none, a bad escape;
   HEAD. */
static void test_topics(void **state) {
  static const char *const bad[][2] = {
      {EVENTS "weather", "Invalid topic: weather"},       {EVENTS "head,weather", "Invalid topic: weather"},
      {EVENTS "head&topics=HEAD", "Invalid topic: HEAD"}, {EVENTS "head,,block", "Invalid topic: "},
      {EVENTS "", "missing query parameter topics"},      {"/eth/v1/events", "missing query parameter topics"},
      {EVENTS "%zz", "invalid query parameter topics"},   {EVENTS "head&topics=%00", "invalid query parameter topics"}};
  (void)state;
  world *w = world_new(1);
  for (size_t i = 0; i < AQ_COUNT(bad); i++) expect_error(fv_get(w->f, bad[i][0]), 400, bad[i][1]);
  fake_res *r = fv_send(w->f, "HEAD", EVENTS "head", NULL, NULL, aq_bytes_of("", 0));
  assert_true(r->code == 200 && r->ended && r->body.len == 0);
  fake_res_free(r);
  assert_int_equal(fake_http_count(&w->f->http, "/eth/v1/events"), 0);
  world_free(w);
  fv *f = fv_new(&(fv_cfg){.no_bn = true});
  expect_error(fv_get(f, EVENTS "head"), 503, "no beacon node");
  fv_free(f);
}

/* Goal: a topic that comes later widens the stream without a gap and without a double; one that nobody wants any more
   is dropped.
   Method: events on the old stream, on both, and on the new one. */
static void test_widens(void **state) {
  (void)state;
  world *w = world_new(1);
  fake_res *a = join(w, "head");
  fake_ex *old = accept(w, "/eth/v1/events?topics=head");
  fake_res *b = join(w, "block,head");
  fake_http_chunk(old, HEAD1);
  fake_ex *now = accept(w, "/eth/v1/events?topics=head&topics=block");
  assert_int_equal(fake_http_open_cnt(&w->f->http), 2);
  fake_http_chunk(now, HEAD2 BLOCK1);
  fake_http_chunk(old, HEAD2);
  expect(a, HEAD1 HEAD2);
  expect(b, HEAD2 BLOCK1);
  fake_env_run_for(&w->f->env, AQ_SECONDS(2));
  assert_int_equal(fake_http_open_cnt(&w->f->http), 1);
  fake_http_chunk(now, HEAD1);
  expect(a, HEAD1 HEAD2 HEAD1);
  fake_res_free(b);
  fake_env_run_for(&w->f->env, AQ_SECONDS(15));
  fake_ex *less = accept(w, "/eth/v1/events?topics=head");
  fake_env_run_for(&w->f->env, AQ_SECONDS(2));
  fake_http_chunk(less, HEAD2);
  assert_int_equal(fake_http_open_cnt(&w->f->http), 1);
  assert_non_null(strstr(aq_buf_cstr(&a->body), HEAD1 ":\n\n" HEAD2));
  fake_res_free(a);
  world_free(w);
}

/* Goal: who comes while a stream of fewer topics is about to take the place of the one that runs misses nothing.
   Method: the new stream opens, and the client gets one with its topics; it does not open, and the client gets the one
   that runs. */
static void test_joins_while_it_shrinks(void **state) {
  (void)state;
  for (int opens = 0; opens < 2; opens++) {
    world *w = world_new(1);
    fake_res *a = join(w, "head"), *b = NULL;
    accept(w, "/eth/v1/events?topics=head");
    fake_env_run_for(&w->f->env, AQ_SECONDS(2));
    b = join(w, "block");
    fake_ex *up = accept(w, "/eth/v1/events?topics=head&topics=block");
    fake_env_run_for(&w->f->env, AQ_SECONDS(2));
    fake_res_free(b);
    while (fake_http_open_cnt(&w->f->http) == 1) fake_env_run_for(&w->f->env, AQ_SECONDS(1)); /* fewer are asked for */
    b = join(w, "block");
    if (opens) {
      accept(w, "/eth/v1/events?topics=head");
      fake_env_run_for(&w->f->env, AQ_SECONDS(2));
      up = accept(w, "/eth/v1/events?topics=head&topics=block");
    } else {
      fake_http_fail(stream(w, false), 0, AQ_E_CLOSED);
      fake_env_drain(&w->f->env);
    }
    fake_http_chunk(up, BLOCK1);
    expect(b, BLOCK1);
    fake_res_free(a);
    fake_res_free(b);
    world_free(w);
  }
}

/* Goal: a topic that this beacon node does not have is refused to the client that named it, with the beacon node's
   words; the others notice nothing. Method: first, and beside a running stream; a third client waits meanwhile. */
static void test_refused(void **state) {
  (void)state;
  world *w = world_new(1);
  w->refuses = "blob_sidecar";
  fake_res *a = join(w, "blob_sidecar"), *b = join(w, "head");
  fake_env_run_for(&w->f->env, AQ_MILLIS(2));
  expect_error(a, 400, "no such topic here");
  fake_ex *up = accept(w, "/eth/v1/events?topics=head");
  a = join(w, "blob_sidecar");
  fake_res *c = join(w, "block");
  fake_env_run_for(&w->f->env, AQ_MILLIS(2));
  expect_error(a, 400, "no such topic here");
  fake_http_chunk(up, HEAD1);
  accept(w, "/eth/v1/events?topics=head&topics=block");
  expect(b, HEAD1);
  expect(c, "");
  fake_res_free(b);
  fake_res_free(c);
  world_free(w);
}

/* Goal: clients stay while the beacon node restarts; the pause grows but stays short; what it does not know any more
   ends those who named it, and only those. Method: a lost stream, refusals of the connection, another version. */
static void test_restart(void **state) {
  (void)state;
  world *w = world_new(1);
  fake_res *a = join(w, "head"), *b = join(w, "head,blob_sidecar");
  accept(w, "/eth/v1/events?topics=head");
  fake_env_run_for(&w->f->env, AQ_SECONDS(1));
  fake_ex *up = accept(w, "/eth/v1/events?topics=head&topics=blob_sidecar");
  fake_http_chunk(up, HEAD1);
  fake_env_run_for(&w->f->env, AQ_SECONDS(3));
  w->down = true;
  fake_http_fail(up, 0, AQ_E_CLOSED);
  fake_env_run_for(&w->f->env, AQ_SECONDS(60));
  size_t tries = fake_http_count(&w->f->http, "/eth/v1/events") - 2;
  assert_true(tries >= 16 && tries <= 24); /* each time twice */
  assert_true(!a->ended && !b->ended);
  fake_res *late = join(w, "head"); /* who comes now is told after a while */
  fake_env_run_for(&w->f->env, AQ_SECONDS(10));
  expect_error(late, 502, "upstream error");
  w->down = false;
  w->refuses = "blob_sidecar";
  fake_env_run_for(&w->f->env, AQ_SECONDS(10));
  assert_true(b->ended && b->cut);
  up = accept(w, "/eth/v1/events?topics=head");
  fake_http_chunk(up, HEAD2);
  assert_false(a->ended);
  const char *got = aq_buf_cstr(&a->body);
  assert_string_equal(got + strlen(got) - strlen(HEAD2), HEAD2);
  fake_res_free(a);
  fake_res_free(b);
  world_free(w);
}

/* Goal: a stream that says nothing for a minute is opened anew; quiet clients hear a comment. Method: silence. */
static void test_silence(void **state) {
  (void)state;
  world *w = world_new(1);
  fake_res *a = join(w, "voluntary_exit");
  accept(w, "/eth/v1/events?topics=head&topics=voluntary_exit");
  fake_env_run_for(&w->f->env, AQ_SECONDS(59));
  assert_int_equal(fake_http_open_cnt(&w->f->http), 1);
  expect(a, ":\n\n:\n\n:\n\n");
  fake_env_run_for(&w->f->env, AQ_SECONDS(3));
  accept(w, "/eth/v1/events?topics=head&topics=voluntary_exit");
  assert_false(a->ended);
  fake_res_free(a);
  world_free(w);
}

/* Goal: a beacon node that is down sends its client to the next one, and with none left gets 502 at once.
   Method: two beacon nodes that refuse; one that answers 503. */
static void test_next_beacon_node(void **state) {
  (void)state;
  world *w = world_new(2);
  w->down = true;
  fake_res *r = join(w, "head");
  fake_env_run_for(&w->f->env, AQ_MILLIS(10));
  assert_non_null(fake_header(r, "Retry-After"));
  expect_error(r, 502, "upstream error");
  assert_int_equal(fake_http_count(&w->f->http, "http://bn/eth/v1/events"), 1);
  assert_int_equal(fake_http_count(&w->f->http, "http://bn2/eth/v1/events"), 1);
  w->down = false;
  r = join(w, "head");
  fake_env_run_for(&w->f->env, AQ_SECONDS(2));
  fake_http_answer(stream(w, false), 0, 503, "{}");
  fake_env_drain(&w->f->env);
  fake_http_open(stream(w, false), 200);
  expect(r, "");
  fake_res_free(r);
  world_free(w);
}

/* Goal: the one stream moves to a beacon node that is well: when its own is lost, does not even begin to answer, or has
   stopped to answer anything else; clients notice nothing.
   Method: a first beacon node that did well, then each of these. */
static void test_moves(void **state) {
  (void)state;
  for (int way = 0; way < 4; way++) {
    world *w = world_new(2);
    aq_bn *b = w->f->bn;
    for (int i = 0; i < 50; i++) aq_bn_tell(b, 0, true);
    fake_res *r = join(w, "head");
    fake_ex *up = stream(w, false);
    assert_non_null(strstr(up->url, "http://bn/"));
    if (way == 0) { /* says nothing at all */
      fake_env_run_for(&w->f->env, AQ_SECONDS(2));
    } else if (way == 1) { /* a gate that has no such route */
      fake_http_answer(up, 0, 404, "{}");
      fake_env_drain(&w->f->env);
    } else {
      accept(w, "/eth/v1/events?topics=head");
      fake_env_run_for(&w->f->env, AQ_SECONDS(1));
      if (way == 2)
        fake_http_fail(up, 0, AQ_E_CLOSED);
      else
        aq_bn_tell(b, 0, false);
      for (int i = 0; i < 16 && !fake_http_find(&w->f->http, "http://bn2/"); i++)
        fake_env_run_for(&w->f->env, AQ_SECONDS(1));
    }
    assert_non_null(strstr(stream(w, false)->url, "http://bn2/"));
    up = accept(w, "/eth/v1/events?topics=head");
    fake_env_run_for(&w->f->env, AQ_SECONDS(10));
    fake_http_chunk(up, HEAD1);
    assert_non_null(strstr(aq_buf_cstr(&r->body), HEAD1));
    assert_true(!r->ended && fake_http_open_cnt(&w->f->http) == 1);
    fake_res_free(r);
    world_free(w);
  }
}

static void pass_over(void *arg) { aq_bn_pass_over(arg, "another chain"); }

/* Goal: a beacon node that turns out to be of another chain just when it is to be tried ends nothing: another is asked.
   Method: the first refuses; before the second is asked it is passed over. */
static void test_other_chain(void **state) {
  (void)state;
  world *w = world_new(2);
  const aq_env *env = &w->f->env.env;
  aq_timer timer = {0};
  fake_res *r = join(w, "head");
  fake_http_answer(stream(w, false), 0, 503, "{}");
  aq_timer_set(env, &timer, aq_now_ns(env), pass_over, &w->f->bn->ep[1]);
  fake_env_drain(&w->f->env);
  assert_non_null(strstr(stream(w, false)->url, "http://bn/"));
  accept(w, "/eth/v1/events?topics=head");
  expect(r, "");
  fake_res_free(r);
  world_free(w);
}

/* Goal: a client that does not read is cut at once and costs the others nothing; too many clients are told to come
   back. Method: a full one among three; 200 of one program, then another program. */
static void test_bounds(void **state) {
  enum { MANY = 200, EACH = 64 };
  (void)state;
  world *w = world_new(1);
  fake_res *r[MANY];
  for (size_t i = 0; i < 3; i++) r[i] = join(w, "head");
  fake_ex *up = accept(w, "/eth/v1/events?topics=head");
  r[1]->full = true;
  fake_http_chunk(up, HEAD1);
  fake_http_chunk(up, HEAD2);
  expect(r[0], HEAD1 HEAD2);
  expect(r[2], HEAD1 HEAD2);
  assert_true(r[1]->ended && r[1]->cut && r[1]->writes == 2);
  for (size_t i = 0; i < 3; i++) fake_res_free(r[i]);
  for (size_t i = 0; i < MANY; i++) r[i] = join(w, "head");
  fake_req q = {.method = "GET", .target = EVENTS "head", .header = {{"User-Agent", "other"}}, .header_cnt = 1};
  fake_res *other = fake_send(aq_vapi_handler(w->f->vapi), &q);
  assert_int_equal(other->code, 200);
  for (size_t i = 0; i < MANY; i++) {
    assert_int_equal(r[i]->code, i < EACH ? 200 : 503);
    if (i >= EACH) assert_non_null(fake_header(r[i], "Retry-After"));
    fake_res_free(r[i]);
  }
  fake_res_free(other);
  world_free(w);
}

/* Goal: whenever clients come and go, and however streams end, nothing is left and nothing is used after its end.
   Method: 4000 steps by a seed; then everybody leaves, or the node stops. */
static void test_any_order(void **state) {
  static const char *const wanted[] = {"head", "block", "head,blob_sidecar", "attestation", "chain_reorg,block"};
  static const int codes[] = {200, 200, 200, 400, 404, 500, 101, 0};
  enum { CLIENTS = 8, STEPS = 4000 };
  (void)state;
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 20);
  world *w = world_new(2);
  fake_res *r[CLIENTS] = {0};
  for (size_t step = 0; step < STEPS; step++) {
    uint8_t b[4];
    aq_test_rng_bytes(&rng, b, sizeof b);
    fake_res **one = &r[b[0] % CLIENTS];
    fake_ex *ex = NULL;
    AQ_LIST_EACH(&w->f->http.open, any, fake_ex, node) {
      if (!ex || b[1] & 1) ex = any;
    }
    w->down = b[3] > 240;
    w->refuses = b[3] > 200 ? "blob_sidecar" : NULL;
    switch (b[2] % 8) {
      case 0:
        fake_res_free(*one);
        *one = join(w, wanted[b[1] % AQ_COUNT(wanted)]);
        break;
      case 1:
        fake_res_free(*one);
        *one = NULL;
        break;
      case 2:
        if (ex && !ex->streaming) fake_http_open(ex, codes[b[1] % AQ_COUNT(codes)]);
        break;
      case 3:
        if (ex && ex->streaming) fake_http_chunk(ex, b[1] & 2 ? HEAD1 BLOCK1 : "event: block\ndata: 1\n");
        break;
      case 4:
        if (ex) fake_http_fail(ex, 0, b[1] & 2 ? AQ_OK : AQ_E_CLOSED);
        break;
      case 5:
        if (*one) (*one)->full = b[1] & 4;
        break;
      case 6: fake_env_run_for(&w->f->env, AQ_MILLIS(100) * b[1]); break;
      default: fake_env_drain(&w->f->env); break;
    }
    assert_true(fake_http_open_cnt(&w->f->http) <= 3);
    while (w->f->http.log_cnt) free(w->f->http.log[--w->f->http.log_cnt]);
  }
  for (size_t i = 0; i < CLIENTS / 2; i++) fake_res_free(r[i]);
  fake_env_drain(&w->f->env);
  for (size_t i = CLIENTS / 2; i < CLIENTS; i++) {
    if (r[i]) fake_leave(r[i]);
    fake_res_free(r[i]);
  }
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_fans_out),    cmocka_unit_test(test_topics),
                                     cmocka_unit_test(test_widens),      cmocka_unit_test(test_joins_while_it_shrinks),
                                     cmocka_unit_test(test_refused),     cmocka_unit_test(test_restart),
                                     cmocka_unit_test(test_silence),     cmocka_unit_test(test_next_beacon_node),
                                     cmocka_unit_test(test_other_chain), cmocka_unit_test(test_bounds),
                                     cmocka_unit_test(test_any_order),   cmocka_unit_test(test_moves)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
