/* The server before bare sockets: framing, limits of memory and time, who gives way to whom. */
#include "adapter/http_raw.h"

#include <uv.h>

enum { CONNS = 64, BODY_MAX = 64 << 20, SHARE = 64 * 1024, POT = 64 << 20 /* http_server.c */ };

/* ---- a core whose answers the tests give ---- */

static const aq_http_server_vt *g_vt;
static aq_http_res *g_res[CONNS * 2]; /* in the order of requests */
static const aq_http_req *g_req[CONNS * 2];
static uint32_t g_handled, g_gone, g_drained;
static uint64_t g_mono_ns;

static size_t body_max(void *arg, const char *method, const char *path) {
  (void)arg, (void)method;
  return strcmp(path, "/big") == 0 ? BODY_MAX : 1000;
}

static void on_gone(void *arg) { *(aq_http_res **)arg = NULL, g_gone++; }
static void on_drained(void *arg) { (void)arg, g_drained++; }

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  (void)arg;
  g_vt = vt;
  size_t i = g_handled++ % AQ_COUNT(g_res);
  if (strcmp(req->path, "/now") == 0) {
    vt->respond(res, 200, NULL, aq_bytes_str("now"));
    return;
  }
  g_res[i] = res, g_req[i] = req;
  vt->watch(res, on_gone, on_drained, &g_res[i]);
}

static uint64_t stopped_clock(void *ctx) {
  (void)ctx;
  return g_mono_ns;
}

static int setup(void **state) {
  (void)state;
  const aq_http_server_cfg cfg = {"127.0.0.1", 0, CONNS, 120};
  const aq_http_handler h = {NULL, body_max, handle};
  g_loop = aq_loop_new(1), g_env = aq_loop_env(g_loop);
  g_mono_ns = AQ_SECONDS(1000);
  ((aq_env *)(uintptr_t)g_env)->mono_ns = stopped_clock;
  assert_int_equal(aq_http_server_new(&g_server, g_loop, &cfg, &h, NULL), AQ_OK);
  g_handled = g_gone = g_drained = 0;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_http_server_free(g_server);
  aq_loop_free(g_loop);
  return 0;
}

/* One request that the core holds; its place in g_res. */
static size_t ask(int fd, const char *text) {
  uint32_t before = g_handled;
  raw_send(fd, text);
  run_until(&g_handled, before + 1);
  return before;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static int held_request(void) {
  int fd = raw_connect();
  ask(fd, GET("/hold"));
  return fd;
}

static void held_is(size_t min, size_t max) {
  for (int turn = 0; turn < 2000 && aq_http_server_held(g_server) < min; turn++) run_for(AQ_MILLIS(5));
  assert_in_range(aq_http_server_held(g_server), min, max);
}

static void held_falls_to(size_t max) {
  for (int turn = 0; turn < 2000 && aq_http_server_held(g_server) > max; turn++) run_for(AQ_MILLIS(5));
  assert_in_range(aq_http_server_held(g_server), 0, max);
}

/* Sends all of it, however slowly the server takes it. False: the connection broke. */
static bool pour(int fd, size_t len) {
  static uint8_t piece[65536];
  for (size_t sent = 0; sent < len;) {
    size_t want = len - sent < sizeof piece ? len - sent : sizeof piece;
    ssize_t n = send(fd, piece, want, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return false;
    if (n > 0) sent += (size_t)n;
    run_for(AQ_MILLIS(1) / 10);
  }
  return true;
}

/* ---- strictness ---- */

/* Goal: bytes that two programs could read in two ways get 400, end the connection and never reach the core, nor does
   what is hidden behind them.
   Method: a table of heads, each with a second request behind it. */
static void test_strict(void **state) {
  (void)state;
  static const char *const odd[] = {
      "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\n",
      "GET /now HTTP/1.1\nHost: x\n\n",
      "GET /now HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
      "GET /now HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
      "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
      "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\nabcd\n0\n\n",
      "GET now HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET ftp://x/now HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /now%00 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /now#x HTTP/1.1\r\nHost: x\r\n\r\n",
      "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
      "\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n",
  };
  for (size_t i = 0; i < AQ_COUNT(odd); i++) {
    int fd = raw_connect();
    print_message("%s\n", odd[i]);
    raw_send(fd, odd[i]);
    raw_send(fd, GET("/now"));
    assert_true(raw_expect(fd, "HTTP/1.1 400 "));
    assert_non_null(strstr(g_raw, "Connection: close\r\n"));
    assert_true(raw_closed(fd));
    close(fd);
  }
  int fd = raw_connect();
  static const char nul[] = "GET /now HTTP/1.1\r\nHost: x\r\nA: b\0\r\n\r\n";
  assert_int_equal(send(fd, nul, sizeof nul - 1, MSG_NOSIGNAL), sizeof nul - 1);
  assert_true(raw_expect(fd, "HTTP/1.1 400 "));
  close(fd);
  assert_int_equal(g_handled, 0);
}

/* Goal: a long query arrives whole; one that is too long, or too many headers, are answered and not cut.
   Method: 30 KB, 33 KB, a header of 33 KB, 101 headers. */
static void test_long(void **state) {
  (void)state;
  static char text[40000];
  for (int i = 0; i < 4; i++) {
    int fd = raw_connect();
    size_t len =
        (size_t)snprintf(text, sizeof text, "GET /hold?id=%0*d HTTP/1.1\r\nHost: x\r\n", i == 1 ? 33000 : 30000, 7);
    if (i == 2) len = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x\r\nA: %033000d\r\n", 7);
    if (i == 3) len = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int k = 0; i == 3 && k < 100; k++) len += (size_t)snprintf(text + len, sizeof text - len, "A: b\r\n");
    snprintf(text + len, sizeof text - len, "\r\n");
    raw_send(fd, text);
    if (i == 0) {
      run_until(&g_handled, 1);
      assert_int_equal(strlen(g_req[0]->query), 30003);
      g_vt->respond(g_res[0], 200, NULL, aq_bytes_str("seen"));
    }
    assert_true(raw_expect(fd, i == 0 ? "seen" : i == 1 ? "HTTP/1.1 414 " : "HTTP/1.1 431 "));
    close(fd);
  }
  assert_int_equal(g_handled, 1);
}

/* ---- answers ---- */

/* True: the connection was reset; false: it ended in order. What came is in g_raw. */
static bool read_to_end(int fd) {
  size_t len = 0;
  g_raw[0] = 0;
  for (int turn = 0; turn < 2000; turn++) {
    ssize_t got = recv(fd, g_raw + len, sizeof g_raw - 1 - len, 0);
    if (got == 0) return false;
    if (got < 0 && errno != EAGAIN) return true;
    if (got > 0) len += (size_t)got, g_raw[len] = 0;
    if (got < 0) run_for(AQ_MILLIS(5));
  }
  fail_msg("the connection does not end");
  return false;
}

/* Goal: an answer that was cut never looks whole, for clients of both versions; the core is not told that they left.
   Method: cut after all was sent, before anything was, and before begin; raw clients look at the end of the
   connection. */
static void test_cut(void **state) {
  (void)state;
  for (int version = 0; version < 2; version++) {
    for (int when = 0; when < 3; when++) {
      int fd = raw_connect();
      size_t i = ask(fd, version ? "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /hold HTTP/1.0\r\n\r\n");
      if (when < 2) g_vt->begin(g_res[i], 200, NULL), g_vt->write(g_res[i], aq_bytes_str("piece"));
      if (when == 0) assert_true(raw_expect(fd, "piece"));
      g_vt->cut(g_res[i]);
      assert_true(read_to_end(fd));
      assert_null(strstr(g_raw, "\r\n0\r\n"));
      close(fd);
    }
  }
  assert_int_equal(g_gone, 0);
  held_falls_to(0);
}

static void ends_with_reset(int fd) {
  char sink[4096];
  ssize_t got = -1;
  errno = EAGAIN;
  for (int turn = 0; turn < 20000 && (got > 0 || (got < 0 && errno == EAGAIN)); turn++) {
    run_for(got > 0 ? AQ_MILLIS(1) / 10 : AQ_MILLIS(5));
    got = recv(fd, sink, sizeof sink, 0);
  }
  assert_int_equal(got, -1);
  assert_int_equal(errno, ECONNRESET);
}

/* Goal: nor does one that the server or the client ends for other reasons: HTTP/1.0 has no other sign of a whole answer
   than the connection's end in order.
   Method: a client that closes its half within a stream; answers that are not read, when their place is wanted and when
   the server ends. */
static void test_half_answers(void **state) {
  (void)state;
  static uint8_t bytes[8 << 20];
  int fd = raw_connect(), held[CONNS];
  size_t at = ask(fd, "GET /hold HTTP/1.0\r\n\r\n");
  g_vt->begin(g_res[at], 200, NULL), g_vt->write(g_res[at], aq_bytes_str("piece"));
  assert_true(raw_expect(fd, "piece"));
  shutdown(fd, SHUT_WR);
  run_until(&g_gone, 1);
  ends_with_reset(fd);
  close(fd);
  for (int way = 0; way < 2; way++) {
    fd = raw_connect();
    at = ask(fd, "GET /hold HTTP/1.0\r\n\r\n");
    g_vt->begin(g_res[at], 200, NULL), g_vt->write(g_res[at], aq_bytes_of(bytes, sizeof bytes)), g_vt->end(g_res[at]);
    run_for(AQ_MILLIS(1));
    g_mono_ns += AQ_SECONDS(6);
    for (int i = 0; way == 0 && i < CONNS; i++) held[i] = held_request();
    for (int i = 0; way == 0 && i < CONNS; i++) close(held[i]);
    if (way == 1) aq_http_server_free(g_server), g_server = NULL;
    ends_with_reset(fd);
    close(fd);
  }
}

/* Goal: a streamed answer ends with the last chunk, for HTTP/1.0 with the connection, in order.
   Method: raw clients of both versions. */
static void test_whole(void **state) {
  (void)state;
  int fd = raw_connect();
  size_t i = ask(fd, "GET /hold HTTP/1.0\r\n\r\n");
  g_vt->begin(g_res[i], 200, NULL), g_vt->write(g_res[i], aq_bytes_str("piece")), g_vt->end(g_res[i]);
  assert_false(read_to_end(fd));
  assert_null(strstr(g_raw, "chunked"));
  assert_string_equal(strstr(g_raw, "\r\n\r\n"), "\r\n\r\npiece");
  close(fd);
  fd = raw_connect();
  i = ask(fd, "GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  g_vt->begin(g_res[i], 200, NULL), g_vt->write(g_res[i], aq_bytes_str("piece")), g_vt->end(g_res[i]);
  assert_false(read_to_end(fd));
  assert_string_equal(strstr(g_raw, "\r\n\r\n"), "\r\n\r\n5\r\npiece\r\n0\r\n\r\n");
  close(fd);
}

/* Goal: a streamed answer whose length the core names comes by that length, to both versions, and the next one is in
   step; with more or less behind it the connection ends. What is no length is none.
   Method: lengths that are right, too short, too long, and no numbers. */
static void test_sized(void **state) {
  enum { LONG = 1 };
  (void)state;
  static const struct {
    const char *length;
    enum { BY_LENGTH, BY_CHUNKS, CUT } how;
  } rows[] = {{"5", BY_LENGTH},
              {"4", CUT},
              {"6", CUT},
              {"0", CUT},
              {"five", BY_CHUNKS},
              {"-5", BY_CHUNKS},
              {"18446744073709551621", BY_CHUNKS}};
  for (size_t row = 0; row < AQ_COUNT(rows); row++) {
    const aq_http_header own = {"content-length", rows[row].length};
    bool sized = rows[row].how == BY_LENGTH;
    int fd = raw_connect();
    size_t at = ask(fd, sized ? GET("/hold") : "GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    g_vt->begin(g_res[at], 200, &(aq_http_headers){&own, 1});
    g_vt->write(g_res[at], aq_bytes_str("pi")), g_vt->write(g_res[at], aq_bytes_str("ece"));
    if (row != LONG) g_vt->end(g_res[at]); /* that one is cut before its end */
    if (rows[row].how == CUT) {
      ends_with_reset(fd);
      close(fd);
      continue;
    }
    if (sized)
      assert_true(raw_expect(fd, "piece"));
    else
      assert_false(read_to_end(fd));
    assert_int_equal(strstr(g_raw, "chunked") == NULL, sized);
    assert_string_equal(strstr(g_raw, "\r\n\r\n"),
                        sized ? "\r\n\r\npiece" : "\r\n\r\n2\r\npi\r\n3\r\nece\r\n0\r\n\r\n");
    if (sized) raw_send(fd, GET("/now"));
    if (sized) assert_true(raw_expect(fd, "now"));
    close(fd);
  }
  const aq_http_header own = {"Content-Length", "5"};
  int fd = raw_connect();
  size_t at = ask(fd, "GET /hold HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  g_vt->begin(g_res[at], 200, &(aq_http_headers){&own, 1}), g_vt->write(g_res[at], aq_bytes_str("piece"));
  g_vt->end(g_res[at]);
  assert_true(raw_expect(fd, "\r\n\r\npiece"));
  assert_non_null(strstr(g_raw, "\r\nContent-Length: 5\r\n"));
  close(fd);
}

/* Goal: answers to HEAD, 204 and 304 carry no body, so that the next answer on the connection is in step; HEAD says
   the length that GET would give.
   Method: each with a body, whole and streamed; what follows is the next request's answer. */
static void test_no_body(void **state) {
  (void)state;
  static const struct {
    const char *method;
    int code;
    const char *own; /* Content-Length of the core's */
    const char *body;
    const char *length; /* of a whole answer; NULL: none is said */
  } rows[] = {
      {"HEAD", 200, NULL, "body", "\r\nContent-Length: 4\r\n"},
      {"HEAD", 200, "77", "", "\r\nContent-Length: 77\r\n"},
      {"HEAD", 404, NULL, "", NULL},
      {"GET", 204, "4", "body", NULL},
      {"GET", 304, NULL, "body", NULL},
      {"GET", 304, "77", "body", "\r\nContent-Length: 77\r\n"},
  };
  for (size_t i = 0; i < 2 * AQ_COUNT(rows); i++) {
    const size_t row = i / 2;
    const bool streamed = i % 2;
    char text[100];
    const aq_http_header own = {"Content-Length", rows[row].own ? rows[row].own : ""};
    const aq_http_headers h = {&own, rows[row].own != NULL};
    int fd = raw_connect();
    snprintf(text, sizeof text, "%s /hold HTTP/1.1\r\nHost: x\r\n\r\n", rows[row].method);
    size_t at = ask(fd, text);
    if (streamed) {
      g_vt->begin(g_res[at], rows[row].code, &h);
      g_vt->write(g_res[at], aq_bytes_str("body"));
      g_vt->end(g_res[at]);
    } else {
      g_vt->respond(g_res[at], rows[row].code, &h, aq_bytes_str(rows[row].body));
    }
    assert_true(raw_expect(fd, "\r\n\r\n"));
    assert_string_equal(strstr(g_raw, "\r\n\r\n"), "\r\n\r\n");
    assert_null(strstr(g_raw, "chunked"));
    if (!streamed && rows[row].length) assert_non_null(strstr(g_raw, rows[row].length));
    if (!streamed && !rows[row].length) assert_null(strstr(g_raw, "Content-Length"));
    if (streamed && rows[row].own && rows[row].code != 204)
      assert_non_null(strstr(g_raw, "\r\nContent-Length: 77\r\n"));
    if (rows[row].code == 204) assert_null(strstr(g_raw, "Content-Length"));
    raw_send(fd, GET("/now"));
    assert_true(raw_expect(fd, "now"));
    assert_memory_equal(g_raw, "HTTP/1.1 200 OK\r\n", 17);
    close(fd);
  }
}

/* Goal: codes that are no end of a request, and calls in an order that the port does not know, never end the process:
   the client gets 500, or a broken connection.
   Method: each code whole and streamed; each wrong order. */
static void test_odd_core(void **state) {
  (void)state;
  static const int code[] = {-1, 0, 99, 100, 101, 103, 199, 600, 1000};
  for (size_t i = 0; i < 2 * AQ_COUNT(code); i++) {
    int fd = raw_connect();
    size_t at = ask(fd, GET("/hold"));
    if (i % 2)
      g_vt->begin(g_res[at], code[i / 2], NULL), g_vt->end(g_res[at]);
    else
      g_vt->respond(g_res[at], code[i / 2], NULL, aq_bytes_str("body"));
    assert_true(raw_expect(fd, i % 2 ? "\r\n0\r\n\r\n" : "body"));
    assert_memory_equal(g_raw, "HTTP/1.1 500 ", 13);
    close(fd);
  }
  for (int order = 0; order < 4; order++) {
    int fd = raw_connect();
    size_t at = ask(fd, GET("/hold"));
    aq_http_res *res = g_res[at];
    if (order == 0) g_vt->write(res, aq_bytes_str("early"));
    if (order != 1 && order != 0) g_vt->begin(res, 200, NULL);
    if (order == 2) g_vt->begin(res, 200, NULL);
    if (order == 3)
      g_vt->respond(res, 200, NULL, aq_bytes_str("twice"));
    else
      g_vt->end(res);
    assert_true(read_to_end(fd));
    assert_null(strstr(g_raw, "\r\n0\r\n"));
    close(fd);
  }
}

/* Goal: headers that would end a line early, or that the server writes itself, are left out.
   Method: a raw look at the head. */
static void test_answer_headers(void **state) {
  (void)state;
  const aq_http_header item[] = {
      {"A", "b\r\nX: y"},  {"B\r\nX: y", "c"},      {" C", "d"},           {"", "e"}, {"D:", "f"},
      {"Connection", "x"}, {"Content-Length", "9"}, {"E", "g\th \xc3\xa4"}};
  int fd = raw_connect();
  size_t at = ask(fd, GET("/hold"));
  g_vt->respond(g_res[at], 207, &(aq_http_headers){item, AQ_COUNT(item)}, aq_bytes_str("body"));
  assert_true(raw_expect(fd, "body"));
  char *date = strstr(g_raw, "Date: "), *behind = date ? strstr(date, "\r\n") : NULL;
  assert_non_null(behind);
  assert_int_equal(behind - date, 35);
  assert_string_equal(behind, "\r\nContent-Length: 4\r\nE: g\th \xc3\xa4\r\n\r\nbody");
  close(fd);
}

/* ---- memory ---- */

/* Goal: what was announced costs nothing, what has arrived is counted, and all of it is given back.
   Method: 64 clients that announce 64 MiB and send a byte; then they leave. */
static void test_announced(void **state) {
  (void)state;
  int fd[CONNS];
  for (size_t i = 0; i < CONNS; i++) {
    fd[i] = raw_connect();
    raw_send(fd[i], "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\n.");
  }
  held_is(CONNS, CONNS * 1024);
  for (int turn = 0; turn < 20; turn++) run_for(AQ_MILLIS(1));
  held_is(CONNS, CONNS * 1024);
  for (size_t i = 0; i < CONNS; i++) close(fd[i]);
  held_falls_to(0);
}

/* Goal: all bodies together stay in the server's memory; over it the one that has dawdled for longest gives way with
   503 and Retry-After, the newest comes through, and small requests are served meanwhile.
   Method: ten clients with 8 MiB each and no end, then one with 8 MiB. */
static void test_bodies_budget(void **state) {
  (void)state;
  int fd[10];
  for (size_t i = 0; i < AQ_COUNT(fd); i++) {
    fd[i] = raw_connect();
    g_mono_ns += AQ_MILLIS(1);
    raw_send(fd[i], "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 8388609\r\n\r\n");
    assert_true(pour(fd[i], 8 << 20));
    assert_true(aq_http_server_held(g_server) <= POT + (i + 1) * SHARE);
  }
  held_is(POT - (8 << 20), POT + 10 * SHARE);
  int last = raw_connect();
  raw_send(last, "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
  assert_true(pour(last, 8 << 20));
  run_until(&g_handled, 1);
  assert_int_equal(g_req[0]->body.len, 8 << 20);
  assert_true(aq_http_server_held(g_server) <= POT + 11 * SHARE);
  for (size_t i = 0; i < 3; i++) {
    assert_true(raw_expect(fd[i], "HTTP/1.1 503 "));
    assert_non_null(strstr(g_raw, "Retry-After: 1\r\n"));
  }
  raw_send(fd[9], ".");
  run_until(&g_handled, 2);
  int small = raw_connect();
  raw_send(small, GET("/now"));
  assert_true(raw_expect(small, "now"));
  for (size_t i = 0; i < AQ_COUNT(fd); i++) close(fd[i]);
  close(last), close(small);
}

/* Goal: answers that nobody fetches stay in the server's memory too: the oldest are cut, and a stream is told to
   stop.
   Method: clients that do not read: ten whole answers of 8 MiB, then a stream; a last one larger than all memory. */
static void test_answers_budget(void **state) {
  (void)state;
  static uint8_t bytes[POT + 2 * SHARE];
  int fd[11];
  for (size_t i = 0; i < AQ_COUNT(fd); i++) {
    g_mono_ns += AQ_MILLIS(1);
    fd[i] = held_request();
    if (i < 10) g_vt->respond(g_res[i], 200, NULL, aq_bytes_of(bytes, 8 << 20));
    assert_true(aq_http_server_held(g_server) <= POT + CONNS * SHARE);
  }
  run_for(AQ_MILLIS(20));
  g_vt->begin(g_res[10], 200, NULL);
  size_t wrote = 0;
  while (wrote < (4 << 20) && g_vt->write(g_res[10], aq_bytes_of(bytes, 4096))) wrote += 4096;
  assert_in_range(wrote, 4096, (1 << 20) + 8192);
  int large = raw_connect();
  size_t at = ask(large, GET("/hold"));
  g_vt->respond(g_res[at], 200, NULL, aq_bytes_of(bytes, sizeof bytes));
  assert_true(raw_expect(large, "HTTP/1.1 503 "));
  for (size_t i = 0; i < AQ_COUNT(fd); i++) close(fd[i]);
  close(large);
}

/* Goal: a stream whose source does not stop is cut, and the core is told once.
   Method: writes without end to a client that does not read. */
static void test_source_without_end(void **state) {
  (void)state;
  static uint8_t bytes[1 << 20];
  int fd = held_request();
  g_vt->begin(g_res[0], 200, NULL);
  for (int i = 0; i < 40 && g_res[0]; i++) {
    g_vt->write(g_res[0], aq_bytes_of(bytes, sizeof bytes));
    assert_true(aq_http_server_held(g_server) <= (17 << 20));
  }
  run_until(&g_gone, 1);
  held_falls_to(0);
  close(fd);
}

/* ---- places and time ---- */

/* Goal: newcomers get the place of the connection that has been idle for longest, then of a slow head; never that of
   a request that the core has.
   Method: 64 connections: one in the core, 62 idle, one within a head; 64 newcomers with requests that are held. */
static void test_idle_gives_way(void **state) {
  (void)state;
  int fd[CONNS], more[CONNS];
  fd[0] = held_request();
  for (size_t i = 1; i < CONNS; i++) {
    g_mono_ns += AQ_MILLIS(1);
    fd[i] = raw_connect();
    raw_send(fd[i], i == 1 ? "GET /now HTTP/1.1\r\n" : GET("/now"));
    if (i > 1) assert_true(raw_expect(fd[i], "now"));
  }
  uint32_t before = g_handled;
  for (size_t i = 0; i + 1 < CONNS; i++) {
    g_mono_ns += AQ_MILLIS(1);
    more[i] = held_request();
    const size_t victim = i + 2 < CONNS ? i + 2 : 1;
    assert_true(raw_closed(fd[victim]));
  }
  assert_int_equal(g_handled, before + CONNS - 1);
  assert_int_equal(g_gone, 0);
  g_vt->respond(g_res[0], 200, NULL, aq_bytes_str("kept"));
  assert_true(raw_expect(fd[0], "kept"));
  for (size_t i = 0; i < CONNS; i++) close(fd[i]);
  for (size_t i = 0; i + 1 < CONNS; i++) close(more[i]);
}

/* Goal: one client cannot have all places; its own idle connections give way first, then it is told to come later.
   Method: 48 of 64 places held from one address, one more from there and one from elsewhere; then one of its own
   idle. */
static void test_one_client(void **state) {
  (void)state;
  enum { MOST = CONNS * 3 / 4 };
  int fd[MOST];
  for (size_t i = 0; i < MOST; i++) {
    fd[i] = raw_connect_from(INADDR_LOOPBACK + 1);
    ask(fd[i], GET("/hold"));
  }
  assert_string_equal(g_req[0]->client, "127.0.0.2");
  int more = raw_connect_from(INADDR_LOOPBACK + 1), other = raw_connect_from(INADDR_LOOPBACK + 2);
  assert_true(raw_expect(more, "HTTP/1.1 503 "));
  assert_true(raw_closed(more));
  raw_send(other, GET("/now"));
  assert_true(raw_expect(other, "now"));
  close(more);
  g_vt->respond(g_res[5], 200, NULL, aq_bytes_str("done"));
  assert_true(raw_expect(fd[5], "done"));
  more = raw_connect_from(INADDR_LOOPBACK + 1);
  raw_send(more, GET("/now"));
  assert_true(raw_expect(more, "now"));
  assert_true(raw_closed(fd[5]));
  for (size_t i = 0; i < MOST; i++) close(fd[i]);
  close(more), close(other);
}

/* Goal: heads, bodies, idle connections and readers that take too long end; what waits for the core does not.
   Method: one client of each kind on a stopped clock that is moved past each limit. */
static void test_time_limits(void **state) {
  (void)state;
  static uint8_t bytes[8 << 20];
  int fresh = raw_connect(), head = raw_connect(), body = raw_connect(), idle = raw_connect();
  raw_send(head, "GET /now HTTP/1.1\r\n");
  raw_send(body, "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n.");
  raw_send(idle, GET("/now"));
  assert_true(raw_expect(idle, "now"));
  int core = held_request(), reader = held_request();
  g_vt->respond(g_res[g_handled - 1], 200, NULL, aq_bytes_of(bytes, sizeof bytes));
  run_for(AQ_MILLIS(20));
  char c;
  const int fd[] = {fresh, head, body, idle};
  static const uint64_t past_s[] = {11, 0, 50, 60};
  for (size_t i = 0; i < AQ_COUNT(fd); i++) {
    if (past_s[i]) {
      for (size_t k = i; k < AQ_COUNT(fd); k++) assert_int_equal(recv(fd[k], &c, 1, MSG_PEEK), -1);
    }
    g_mono_ns += AQ_SECONDS(past_s[i]);
    assert_true(raw_closed(fd[i]));
  }
  g_mono_ns += AQ_SECONDS(121);
  held_falls_to(1000); /* the core's request is left */
  g_vt->respond(g_res[g_handled - 2], 200, NULL, aq_bytes_str("core"));
  assert_true(raw_expect(core, "core"));
  for (size_t i = 0; i < AQ_COUNT(fd); i++) close(fd[i]);
  close(core), close(reader);
}

/* Goal: blank lines keep no connection: a second one ends it, whenever it comes, and behind the first the time of a
   head runs.
   Method: clients that send nothing else; each line was taken when another client, who sent later, is served. */
static void test_blank_lines(void **state) {
  (void)state;
  int fd[2] = {raw_connect(), raw_connect()}, other = raw_connect();
  for (int i = 0; i < 2; i++) raw_send(fd[i], "\r\n");
  for (int i = 0; i < 2; i++) {
    raw_send(other, GET("/now"));
    assert_true(raw_expect(other, "now"));
    g_mono_ns += AQ_SECONDS(6);
    if (i == 0) raw_send(fd[0], "\r\n");
    if (i == 0) assert_true(raw_expect(fd[0], "HTTP/1.1 400 "));
  }
  assert_true(raw_closed(fd[1]));
  close(fd[0]), close(fd[1]), close(other);
}

static uint32_t g_other;

static void on_other(uv_poll_t *h, int status, int events) { (void)h, (void)status, (void)events, g_other++; }

/* Goal: a turn of the loop reads a bounded piece of each connection, however much there is, and lets others be
   polled.
   Method: eight uploads with full socket buffers; after each single turn the bytes taken, and a pipe that is readable
   all the time was seen. */
static void test_turns(void **state) {
  (void)state;
  static uint8_t bytes[1 << 20];
  enum { UPLOADS = 8, READ_MAX = 16 * 1024 };
  int fd[UPLOADS], other[2];
  uv_poll_t poll;
  for (size_t i = 0; i < UPLOADS; i++) {
    fd[i] = raw_connect();
    raw_send(fd[i], "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
  }
  held_is(UPLOADS * 40, UPLOADS * 1000); /* all heads */
  assert_int_equal(pipe(other), 0);
  assert_int_equal(write(other[1], "x", 1), 1);
  assert_int_equal(uv_poll_init(aq_loop_uv(g_loop), &poll, other[0]), 0);
  assert_int_equal(uv_poll_start(&poll, UV_READABLE, on_other), 0);
  g_other = 0;
  for (uint32_t turn = 1; turn <= 20; turn++) {
    for (size_t i = 0; i < UPLOADS; i++) (void)!send(fd[i], bytes, sizeof bytes, MSG_NOSIGNAL);
    size_t before = aq_http_server_held(g_server);
    uv_run(aq_loop_uv(g_loop), UV_RUN_NOWAIT);
    assert_true(aq_http_server_held(g_server) - before <= UPLOADS * READ_MAX);
    assert_int_equal(g_other, turn);
  }
  uv_close((uv_handle_t *)&poll, NULL);
  for (size_t i = 0; i < UPLOADS; i++) close(fd[i]);
  run_for(AQ_MILLIS(5));
  close(other[0]), close(other[1]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_strict),
      T(test_long),
      T(test_cut),
      T(test_half_answers),
      T(test_whole),
      T(test_sized),
      T(test_no_body),
      T(test_odd_core),
      T(test_answer_headers),
      T(test_announced),
      T(test_bodies_budget),
      T(test_answers_budget),
      T(test_source_without_end),
      T(test_idle_gives_way),
      T(test_one_client),
      T(test_time_limits),
      T(test_blank_lines),
      T(test_turns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
