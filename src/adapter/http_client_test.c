/* The client against servers of our own that misbehave byte by byte: pools, time limits, one head and one end a
   call. */
#include "adapter/adapters.h"
#include "aq_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UPSTREAM_MAX = 160, HOST_MAX = 64 /* connections of a pool to one host, http_client.c */, TURNS_MAX = 4000 };

static aq_loop *g_loop;
static const aq_env *g_env;
static aq_curl *g_curl;
static const aq_httpc *g_client;
static int g_listener;
static uint16_t g_port;
static int g_up[UPSTREAM_MAX]; /* the upstream's ends of the connections */
static size_t g_up_cnt;
static uint64_t g_mono_ns; /* the clock of time limits in the tests that stop it */

static uint64_t fake_mono(void *ctx) {
  (void)ctx;
  return g_mono_ns;
}

static int setup(void **state) {
  (void)state;
  struct sockaddr_in addr = {.sin_family = AF_INET};
  socklen_t len = sizeof addr;
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  g_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_int_equal(bind(g_listener, (struct sockaddr *)&addr, sizeof addr), 0);
  assert_int_equal(listen(g_listener, UPSTREAM_MAX), 0);
  assert_int_equal(getsockname(g_listener, (struct sockaddr *)&addr, &len), 0);
  g_port = ntohs(addr.sin_port), g_up_cnt = 0;
  g_loop = aq_loop_new(1), g_env = aq_loop_env(g_loop);
  g_curl = aq_curl_new(g_loop), g_client = aq_curl_port(g_curl);
  return 0;
}

static int setup_stopped_clock(void **state) {
  setup(state);
  g_mono_ns = AQ_SECONDS(1000);
  ((aq_env *)(uintptr_t)g_env)->mono_ns = fake_mono;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  for (size_t i = 0; i < g_up_cnt; i++) close(g_up[i]);
  close(g_listener);
  aq_curl_free(g_curl);
  aq_loop_free(g_loop);
  return 0;
}

/* ---- a call, and the other side ---- */

typedef struct {
  uint64_t id;
  uint32_t heads, dones, after_done; /* callbacks, and those that came after done */
  uint32_t before_head;              /* pieces of a body without a head */
  int code;
  aq_status st;
  size_t len, header_cnt;
  char text[4096], why[512];
  bool pause; /* each piece */
} call;

static void on_head(void *arg, int code, const aq_http_headers *h) {
  call *c = arg;
  c->heads++, c->code = code, c->header_cnt = h->cnt, c->after_done += c->dones;
}

static bool on_data(void *arg, aq_bytes chunk) {
  call *c = arg;
  c->after_done += c->dones, c->before_head += c->heads == 0;
  for (size_t i = 0; i < chunk.len && c->len < sizeof c->text - 1; i++) c->text[c->len++] = (char)chunk.ptr[i];
  return !c->pause;
}

static void on_done(void *arg, aq_status st, const aq_httpc_res *res) {
  call *c = arg;
  c->after_done += c->dones++, c->st = st;
  assert_true((st == AQ_OK) == (res->why == NULL));
  snprintf(c->why, sizeof c->why, "%s", res->why ? res->why : "");
  if (c->heads == 0) c->code = res->code, c->header_cnt = res->headers.cnt;
  for (size_t i = 0; i < res->body.len && c->len < sizeof c->text - 1; i++) c->text[c->len++] = (char)res->body.ptr[i];
}

static void start(call *c, const char *path, bool streamed, aq_httpc_req req) {
  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%u%s", g_port, path);
  if (!req.method) req.method = "GET";
  req.url = url;
  c->id = g_client->start(g_client->ctx, &req,
                          &(aq_httpc_cb){c, streamed ? on_head : NULL, streamed ? on_data : NULL, on_done});
}

static void stop(void *arg) {
  (void)arg;
  aq_loop_stop(g_loop);
}

static void turn(void) {
  aq_timer t = {0};
  aq_timer_set(g_env, &t, aq_now_ns(g_env) + AQ_MILLIS(1), stop, NULL);
  aq_loop_run(g_loop);
  aq_timer_cancel(g_env, &t);
  int fd = g_up_cnt < UPSTREAM_MAX ? accept4(g_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
  if (fd >= 0) g_up[g_up_cnt++] = fd;
}

static void until(const uint32_t *counter, uint32_t want) {
  for (int i = 0; i < TURNS_MAX && *counter != want; i++) turn();
  assert_int_equal(*counter, want);
}

static void connections(size_t want) {
  for (int i = 0; i < TURNS_MAX && g_up_cnt != want; i++) turn();
  assert_int_equal(g_up_cnt, want);
}

static void say(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Waits for a request; its head. */
static const char *heard(int fd) {
  static char head[8192];
  size_t len = 0;
  head[0] = 0;
  for (int i = 0; i < TURNS_MAX && !strstr(head, "\r\n\r\n"); i++) {
    ssize_t got = recv(fd, head + len, sizeof head - 1 - len, 0);
    if (got > 0) len += (size_t)got, head[len] = 0;
    if (got < 0) turn();
  }
  assert_non_null(strstr(head, "\r\n\r\n"));
  return head;
}

/* One call whose answer is these bytes and then the end of the connection. */
static void answered(call *c, const char *method, const char *answer, bool streamed) {
  memset(c, 0, sizeof *c);
  start(c, "/x", streamed, (aq_httpc_req){.method = method, .timeout_ns = AQ_SECONDS(20)});
  connections(g_up_cnt + 1);
  int fd = g_up[g_up_cnt - 1];
  heard(fd);
  say(fd, answer);
  shutdown(fd, SHUT_WR);
  until(&c->dones, 1);
  close(fd), g_up_cnt--;
}

/* ---- pools ---- */

/* Goal: what clients ask through the proxy never takes the connections of the node's own requests, nor the other way.
   Method: more requests than a pool has connections, none answered; then one of the other pool, which is. */
static void test_pools(void **state) {
  (void)state;
  static call many[HOST_MAX + 6];
  for (int flip = 0; flip < 2; flip++) {
    aq_httpc_pool full = flip ? AQ_HTTPC_OWN : AQ_HTTPC_PROXY, other = flip ? AQ_HTTPC_PROXY : AQ_HTTPC_OWN;
    memset(many, 0, sizeof many);
    for (size_t i = 0; i < AQ_COUNT(many); i++) start(&many[i], "/slow", true, (aq_httpc_req){.pool = full});
    connections(HOST_MAX);
    call c = {0};
    start(&c, "/duty", false, (aq_httpc_req){.pool = other, .timeout_ns = AQ_SECONDS(20)});
    connections(HOST_MAX + 1);
    assert_memory_equal(heard(g_up[HOST_MAX]), "GET /duty ", 10);
    say(g_up[HOST_MAX], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    until(&c.dones, 1);
    assert_int_equal(c.st, AQ_OK);
    for (size_t i = 0; i < AQ_COUNT(many); i++) g_client->cancel(g_client->ctx, many[i].id);
    turn();
    for (size_t i = 0; i < g_up_cnt; i++) close(g_up[i]);
    g_up_cnt = 0;
    turn();
  }
}

/* Goal: a request that waits for a free connection keeps its time limit.
   Method: all connections of the pool taken; one more with a limit, on a stopped clock that then passes it. */
static void test_limit_while_waiting(void **state) {
  (void)state;
  static call many[HOST_MAX];
  call c = {0}, d = {0};
  memset(many, 0, sizeof many);
  for (size_t i = 0; i < AQ_COUNT(many); i++) start(&many[i], "/slow", true, (aq_httpc_req){0});
  connections(HOST_MAX);
  start(&c, "/late", false, (aq_httpc_req){.timeout_ns = AQ_MILLIS(40)});
  start(&d, "/silent", false, (aq_httpc_req){.silence_ns = AQ_MILLIS(30)});
  for (int i = 0; i < 60; i++) turn();
  assert_int_equal(c.dones + d.dones, 0);
  g_mono_ns += AQ_MILLIS(35);
  until(&d.dones, 1);
  assert_int_equal(d.st, AQ_E_TIMEOUT);
  assert_int_equal(c.dones, 0);
  g_mono_ns += AQ_MILLIS(10);
  until(&c.dones, 1);
  assert_int_equal(c.st, AQ_E_TIMEOUT);
}

/* Goal: silence is measured from the last byte, however long the answer takes; the reader's own pauses do not count.
   Method: a stopped clock moved by less than the limit between pieces, by more while paused, by more in a silence. */
static void test_silence(void **state) {
  (void)state;
  call c = {0};
  start(&c, "/s", true, (aq_httpc_req){.silence_ns = AQ_MILLIS(30)});
  connections(1);
  heard(g_up[0]);
  g_mono_ns += AQ_MILLIS(20);
  say(g_up[0], "HTTP/1.1 200 OK\r\n\r\n");
  until(&c.heads, 1);
  for (size_t i = 0; i < 10; i++) {
    g_mono_ns += AQ_MILLIS(20);
    for (int k = 0; k < 40; k++) turn(); /* the timer has looked */
    say(g_up[0], ".");
    while (c.len <= i) turn();
  }
  assert_int_equal(c.dones, 0);
  c.pause = true;
  say(g_up[0], "p");
  while (c.len < 11) turn();
  g_mono_ns += AQ_SECONDS(60);
  for (int k = 0; k < 60; k++) turn();
  assert_int_equal(c.dones, 0);
  c.pause = false;
  g_client->resume(g_client->ctx, c.id);
  for (int k = 0; k < 60; k++) turn();
  assert_int_equal(c.dones, 0);
  g_mono_ns += AQ_MILLIS(31);
  until(&c.dones, 1);
  assert_int_equal(c.st, AQ_E_TIMEOUT);
  assert_int_equal(c.after_done, 0);
}

/* ---- answers in odd orders ---- */

/* Goal: whatever comes, the caller hears at most one head with a code of 200 to 599, then data, then one done; AQ_OK
   only for a whole answer.
   Method: a table of answers, each streamed and whole. */
static void test_orders(void **state) {
  (void)state;
  static char flood[70000];
  for (size_t i = 0; i + 25 < sizeof flood; i += 25) memcpy(flood + i, "HTTP/1.1 100 Continue\r\n\r\n", 26);
  static const struct {
    const char *answer;
    aq_status st;
    int code; /* of the head, also when the end was bad; 0: none */
    const char *text;
  } rows[] = {
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: a\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody",
       AQ_OK, 200, "body"},
      {"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 101 S\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 199 E\r\n\r\n", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 100 C\r\n\r\nbody", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 000 X\r\n\r\nraw", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 099 X\r\n\r\nraw", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 600 X\r\n\r\nraw", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 999 X\r\n\r\nraw", AQ_E_CLOSED, 0, ""},
      {"raw bytes\r\n\r\n", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 500 X\r\n\r\n", AQ_OK, 200, "abc"},
      {"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 X\r\n\r\n", AQ_OK, 200, "HTTP/1.1 500 X\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nHTTP/1.1: 500\r\nA: b\r\n\r\n", AQ_OK, 200,
       "ab"},
      {"HTTP/1.1 204 N\r\nContent-Length: 3\r\n\r\nabc", AQ_OK, 204, ""},
      {"HTTP/1.1 304 N\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", AQ_OK, 304, ""},
      {"HTTP/1.1 200 OK\r\nx\nA: b\r\n\r\nq", AQ_E_CLOSED, 0, ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", AQ_E_CLOSED, 200, "short"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", AQ_E_CLOSED, 200, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", AQ_E_CLOSED, 200, "ab"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n", AQ_E_CLOSED, 200, "ab"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", AQ_E_CLOSED, 200, "ab"},
      {"HTTP/1.1 200 OK\r\nContent-Len", AQ_E_CLOSED, 0, ""},
      {"", AQ_E_CLOSED, 0, ""},
      {flood, AQ_E_LIMIT, 0, ""},
  };
  for (size_t i = 0; i < 2 * AQ_COUNT(rows); i++) {
    call c;
    bool streamed = i % 2;
    print_message("%.60s\n", rows[i / 2].answer);
    answered(&c, "GET", rows[i / 2].answer, streamed);
    bool head = streamed && rows[i / 2].code != 0;
    assert_int_equal(c.st, rows[i / 2].st);
    assert_int_equal(c.heads, head);
    assert_int_equal(c.code, streamed || c.st == AQ_OK ? rows[i / 2].code : 0);
    assert_string_equal(c.text, streamed || c.st == AQ_OK ? rows[i / 2].text : "");
    assert_int_equal(c.before_head * (unsigned)streamed + c.after_done, 0);
  }
}

/* Goal: 101 ends a call at once, without waiting for what could follow.
   Method: an upstream that says it and keeps the connection open. */
static void test_switching(void **state) {
  (void)state;
  call c = {0};
  start(&c, "/x", true, (aq_httpc_req){0});
  connections(1);
  heard(g_up[0]);
  say(g_up[0], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
  until(&c.dones, 1);
  assert_int_equal(c.st, AQ_E_CLOSED);
  assert_int_equal(c.heads, 0);
}

/* Goal: a head larger than what is kept is an error, never a shorter head.
   Method: 129 header lines, and lines of 65 KiB; 128 lines pass. */
static void test_head_limits(void **state) {
  (void)state;
  static char head[80000];
  call c;
  for (int lines = 128; lines <= 129; lines++) {
    size_t len = (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < lines; i++) len += (size_t)snprintf(head + len, sizeof head - len, "X-%d: v\r\n", i);
    snprintf(head + len, sizeof head - len, "\r\n");
    answered(&c, "GET", head, true);
    assert_int_equal(c.st, lines == 128 ? AQ_OK : AQ_E_LIMIT);
    assert_int_equal(c.heads, lines == 128);
    if (lines == 128) assert_int_equal(c.header_cnt, 128);
  }
  size_t len = (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 14; i++) len += (size_t)snprintf(head + len, sizeof head - len, "X-%d: %5000d\r\n", i, i);
  answered(&c, "GET", head, true);
  assert_int_equal(c.st, AQ_E_LIMIT);
}

/* Goal: an answer that has no body leaves nothing behind that the next request would take for its answer.
   Method: HEAD, 204 and 304 with bodies that look like answers; the next request gets its own. */
static void test_next_answer(void **state) {
  (void)state;
  static const char *const odd[][2] = {{"HEAD", "200 OK"}, {"GET", "204 N"}, {"GET", "304 N"}};
  for (size_t i = 0; i < AQ_COUNT(odd); i++) {
    char answer[256];
    call c = {0}, next = {0};
    size_t at = g_up_cnt;
    start(&c, "/odd", false, (aq_httpc_req){.method = odd[i][0], .timeout_ns = AQ_SECONDS(20)});
    connections(at + 1);
    heard(g_up[at]);
    snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: 41\r\n\r\n", odd[i][1]);
    say(g_up[at], answer);
    say(g_up[at], "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad");
    until(&c.dones, 1);
    assert_int_equal(c.st, AQ_OK);
    assert_int_equal(c.len, 0);
    start(&next, "/next", false, (aq_httpc_req){.timeout_ns = AQ_SECONDS(20)});
    connections(at + 2);
    assert_memory_equal(heard(g_up[at + 1]), "GET /next ", 10);
    say(g_up[at + 1], "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood");
    until(&next.dones, 1);
    assert_string_equal(next.text, "good");
  }
}

/* ---- why ---- */

static void expect_why(const call *c, aq_status st, const char *want) {
  char text[512];
  snprintf(text, sizeof text, "http://127.0.0.1:%u: %s", g_port, want);
  assert_int_equal(c->st, st);
  if (strncmp(c->why, text, strlen(text)) != 0) assert_string_equal(c->why, text);
  assert_null(strstr(c->why, "SECRET"));
}

/* Goal: each failure is told in a sentence of its own that names the server and nothing else of the address.
   Method: an upstream that fails in each way. */
static void test_why(void **state) {
  (void)state;
  static const struct {
    const char *answer, *want;
    aq_status st;
  } row[] = {
      {"", "it closed the connection without an answer", AQ_E_CLOSED},
      {"\x15\x03\x01\x02\x02\x46", "what came back is no HTTP", AQ_E_CLOSED},
      {"HTTP/1.1 101 X\r\n\r\n", "what came back is no HTTP", AQ_E_CLOSED},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "the connection broke off before the answer was whole",
       AQ_E_CLOSED},
  };
  call c;
  for (size_t i = 0; i < 2 * AQ_COUNT(row); i++) {
    answered(&c, "GET", row[i / 2].answer, i % 2);
    expect_why(&c, row[i / 2].st, row[i / 2].want);
  }
  answered(&c, "GET", "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", false);
  assert_int_equal(c.code, 404);
  assert_string_equal(c.why, "");
  char url[96];
  const aq_httpc_cb cb = {&c, NULL, NULL, on_done};
  close(g_listener);
  snprintf(url, sizeof url, "http://us:SECRET@127.0.0.1:%u/SECRET?key=SECRET", g_port);
  memset(&c, 0, sizeof c);
  g_client->start(g_client->ctx, &(aq_httpc_req){.method = "GET", .url = url}, &cb);
  until(&c.dones, 1);
  expect_why(&c, AQ_E_CLOSED, "connection refused");
  g_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* for the teardown */
}

/* Goal: an answer that does not come in time is another thing than a connection that does not.
   Method: a stopped clock; the second request waits for a connection of its pool. */
static void test_why_late(void **state) {
  (void)state;
  call c = {0};
  start(&c, "/SECRET", false, (aq_httpc_req){.timeout_ns = AQ_SECONDS(2)});
  connections(1);
  heard(g_up[0]);
  g_mono_ns += AQ_SECONDS(3);
  until(&c.dones, 1);
  expect_why(&c, AQ_E_TIMEOUT, "connected, but there was no answer in time");
  static call many[HOST_MAX];
  memset(many, 0, sizeof many);
  for (size_t i = 0; i < AQ_COUNT(many); i++) start(&many[i], "/slow", true, (aq_httpc_req){0});
  connections(1 + HOST_MAX);
  memset(&c, 0, sizeof c);
  start(&c, "/SECRET", false, (aq_httpc_req){.timeout_ns = AQ_SECONDS(2)});
  for (int i = 0; i < 5; i++) turn();
  g_mono_ns += AQ_SECONDS(3);
  until(&c.dones, 1);
  expect_why(&c, AQ_E_TIMEOUT, "no connection in time");
}

/* ---- redirects ---- */

/* Goal: a redirect is followed to the same origin with method, body and headers, streamed or not, and the caller hears
   of the last answer only.
   Method: a POST with a token that is sent on twice, over one connection and over another. */
static void test_redirects(void **state) {
  (void)state;
  static const aq_http_header token = {"X-Token", "secret"};
  for (int i = 0; i < 4; i++) {
    call c = {0};
    bool streamed = i & 1, closes = i & 2;
    size_t at = g_up_cnt;
    start(&c, "/a", streamed,
          (aq_httpc_req){.method = "POST", .headers = {&token, 1}, .body = aq_bytes_str("body"), .body_max = 100});
    for (int hop = 0; hop < 3; hop++) {
      char want[64], answer[256];
      if (hop == 0 || closes) connections(++at);
      const char *head = heard(g_up[at - 1]);
      snprintf(want, sizeof want, "POST /%s HTTP/1.1\r\n", hop ? "b?x" : "a");
      assert_memory_equal(head, want, strlen(want));
      assert_non_null(strstr(head, "X-Token: secret\r\n"));
      assert_non_null(strstr(head, "Content-Length: 4\r\n"));
      assert_non_null(strstr(head, "\r\n\r\nbody"));
      snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nLocation: /b?x\r\nContent-Length: 4\r\n%s\r\nmore",
               hop < 2 ? (hop ? "307 T" : "308 P") : "200 OK", closes || hop == 2 ? "Connection: close\r\n" : "");
      say(g_up[at - 1], answer);
    }
    until(&c.dones, 1);
    assert_true(c.st == AQ_OK && c.code == 200 && c.heads == streamed && c.after_done == 0);
    assert_string_equal(c.text, "more");
  }
}

/* Goal: what leads to another host, or nowhere, is the answer itself; a ring ends; a redirect's body is bounded.
   Method: a location of each kind; a ring; a body without end. */
static void test_redirects_end(void **state) {
  (void)state;
  static const char *const elsewhere[] = {"http://localhost:1/", "//other/", "ftp://127.0.0.1/", "", "/a b"};
  char answer[256];
  for (size_t i = 0; i < AQ_COUNT(elsewhere); i++) {
    call c;
    snprintf(answer, sizeof answer, "HTTP/1.1 302 F\r\nLocation: %s\r\nContent-Length: 2\r\n\r\nno", elsewhere[i]);
    answered(&c, "GET", answer, i & 1);
    assert_true(c.st == AQ_OK && c.code == 302);
    assert_string_equal(c.text, "no");
  }
  call ring = {0}, flood = {0}, see = {0};
  start(&ring, "/a", false, (aq_httpc_req){0});
  connections(1);
  for (int hop = 0; hop < 6; hop++) {
    heard(g_up[0]);
    say(g_up[0], "HTTP/1.1 301 M\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n");
  }
  until(&ring.dones, 1);
  assert_true(ring.st == AQ_OK && ring.code == 301);
  start(&see, "/a", false, (aq_httpc_req){.method = "POST"});
  heard(g_up[0]);
  say(g_up[0], "HTTP/1.1 303 S\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n"); /* would be made a GET of */
  until(&see.dones, 1);
  assert_int_equal(see.code, 303);
  start(&flood, "/a", true, (aq_httpc_req){0});
  heard(g_up[0]);
  say(g_up[0], "HTTP/1.1 301 M\r\nLocation: /a\r\n\r\n");
  static char more[1025];
  memset(more, 'x', sizeof more - 1);
  for (int i = 0; i < 200 && !flood.dones; i++) (void)!send(g_up[0], more, 1024, MSG_NOSIGNAL), turn();
  until(&flood.dones, 1);
  assert_true(flood.st == AQ_E_LIMIT && flood.heads == 0 && flood.len == 0);
}

/* ---- compressed answers ---- */

static void say_bytes(const call *c, int fd, const uint8_t *p, size_t len) {
  for (int i = 0; i < TURNS_MAX && len && !c->dones; i++) {
    ssize_t sent = send(fd, p, len, MSG_NOSIGNAL);
    if (sent > 0) p += sent, len -= (size_t)sent;
    turn();
  }
}

static void packed_answer(call *c, const char *method, const char *head, const uint8_t *p, size_t len, bool streamed,
                          size_t body_max) {
  size_t at = g_up_cnt;
  memset(c, 0, sizeof *c);
  start(c, "/x", streamed, (aq_httpc_req){.method = method, .body_max = body_max});
  connections(at + 1);
  assert_null(strstr(heard(g_up[at]), "Accept-Encoding"));
  say(g_up[at], head);
  say_bytes(c, g_up[at], p, len);
  shutdown(g_up[at], SHUT_WR);
  until(&c->dones, 1);
  close(g_up[at]), g_up_cnt--;
}

static const uint8_t gz[] = {31, 139, 8,  0,   0,  0,  0,  0,   2, 3, 171, 86, 74,  73,  44, 73, 84, 178, 82,
                             42, 72,  76, 206, 78, 77, 81, 170, 5, 0, 167, 65, 113, 190, 17, 0,  0,  0};
static const uint8_t zl[] = {120, 156, 171, 86, 74, 73,  44, 73, 84, 178, 82, 42, 72,
                             76,  206, 78,  77, 81, 170, 5,  0,  50, 243, 5,  189};

/* Goal: a body that comes compressed is unpacked though nobody asked for it so, and the headers are those of what is
   handed on; one that cannot be unpacked is an error. A caller that asks for an encoding gets it as it is.
   Method: gzip and deflate, whole and streamed; HEAD and 304; a spoilt body, an encoding that nobody has, a chain. */
static void test_unpacks(void **state) {
  (void)state;
  static const char head[] = "HTTP/1.1 200 OK\r\nETag: x\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n";
  char text[256];
  call c;
  for (int i = 0; i < 4; i++) {
    const uint8_t *p = i & 1 ? zl : gz;
    size_t len = i & 1 ? sizeof zl : sizeof gz;
    snprintf(text, sizeof text, head, i & 1 ? "Deflate" : "gzip", len);
    packed_answer(&c, "GET", text, p, len, i & 2, 17);
    assert_true(c.st == AQ_OK && c.code == 200 && c.header_cnt == 1);
    assert_string_equal(c.text, "{\"data\":\"packed\"}");
    packed_answer(&c, "GET", text, p, len, false, 16);
    assert_int_equal(c.st, AQ_E_LIMIT);
  }
  packed_answer(&c, "GET", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n",
                (const uint8_t *)"ab", 2, true, 0);
  assert_true(c.st == AQ_OK && c.header_cnt == 2 && strcmp(c.text, "ab") == 0);
  snprintf(text, sizeof text, head, "gzip", sizeof gz);
  packed_answer(&c, "HEAD", text, NULL, 0, true, 0);
  assert_true(c.st == AQ_OK && c.header_cnt == 1 && c.len == 0);
  packed_answer(&c, "GET", "HTTP/1.1 304 N\r\nETag: x\r\nContent-Encoding: gzip\r\n\r\n", NULL, 0, true, 0);
  assert_true(c.st == AQ_OK && c.code == 304 && c.header_cnt == 1 && c.len == 0);
  uint8_t spoilt[sizeof gz];
  memcpy(spoilt, gz, sizeof gz);
  spoilt[10] ^= 0xff;
  packed_answer(&c, "GET", text, spoilt, sizeof spoilt, false, 0);
  assert_int_equal(c.st, AQ_E_FORMAT);
  snprintf(text, sizeof text, head, "unheard-of", sizeof gz);
  packed_answer(&c, "GET", text, gz, sizeof gz, false, 0);
  assert_int_equal(c.st, AQ_E_FORMAT);
  snprintf(text, sizeof text, head, "gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip", sizeof gz);
  packed_answer(&c, "GET", text, gz, sizeof gz, false, 0);
  assert_int_equal(c.st, AQ_E_FORMAT);
  static const aq_http_header takes = {"Accept-Encoding", "gzip"};
  memset(&c, 0, sizeof c);
  start(&c, "/x", true, (aq_httpc_req){.headers = {&takes, 1}});
  connections(1);
  assert_non_null(strstr(heard(g_up[0]), "Accept-Encoding: gzip\r\n"));
  snprintf(text, sizeof text, head, "gzip", sizeof gz);
  say(g_up[0], text);
  say_bytes(&c, g_up[0], gz, sizeof gz);
  until(&c.dones, 1);
  assert_true(c.st == AQ_OK && c.header_cnt == 3 && c.len == sizeof gz);
}

/* A gzip stream of one letter, then as many copies of it as fit: 258 bytes of 13 bits. */
static size_t bomb(uint8_t *out, size_t max) {
  static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
  /* a block of fixed codes, 'a' (0x91), then length 285 (0xc5) at distance 0; codes begin with their highest bit */
  static const char start[] = "01010010001", copy[] = "1100010100000";
  size_t bit = 8 * sizeof head;
  memset(out, 0, max);
  memcpy(out, head, sizeof head);
  for (const char *p = start; *p; p++, bit++) out[bit / 8] |= (uint8_t)((*p & 1) << (bit % 8));
  while (bit + 13 <= 8 * max)
    for (const char *p = copy; *p; p++, bit++) out[bit / 8] |= (uint8_t)((*p & 1) << (bit % 8));
  return bit / 8;
}

/* Goal: what grows beyond its limit ends with the limit's error, early: nothing is kept of more than the limit, and a
   stream that grows as no text does is not handed on for ever.
   Method: 600 KiB that become 95 MB, whole with a limit of 1 MiB, and streamed. */
static void test_bomb(void **state) {
  (void)state;
  enum { PACKED = 600 << 10 };
  uint8_t *p = malloc(PACKED);
  assert_non_null(p);
  size_t len = bomb(p, PACKED);
  for (int streamed = 0; streamed < 2; streamed++) {
    call c;
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", 10 * PACKED);
    packed_answer(&c, "GET", head, p, len, streamed, 1 << 20);
    assert_int_equal(c.st, AQ_E_LIMIT);
    assert_true(streamed ? c.text[0] == 'a' : c.len == 0);
  }
  free(p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define STOPPED(f) cmocka_unit_test_setup_teardown(f, setup_stopped_clock, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_pools),          STOPPED(test_limit_while_waiting),
      STOPPED(test_silence),  T(test_orders),
      T(test_switching),      T(test_head_limits),
      T(test_next_answer),    T(test_why),
      STOPPED(test_why_late), T(test_redirects),
      T(test_redirects_end),  T(test_unpacks),
      T(test_bomb),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
