/* Client and server on one loop: requests and answers of every form arrive as they were sent. */
#include "adapter/http_raw.h"
#include "http/http.h"

#include <time.h>

enum { STREAM_LEN = 5 << 20, BODY_MAX = 100000 };
#define PATIENT_NS AQ_SECONDS(1200) /* a call that must not end by its limit, however slow the machine */

static aq_curl *g_curl;
static const aq_httpc *g_client;

/* ---- the server's core: what it does depends on the path ---- */

static const aq_http_server_vt *g_vt;
static aq_http_res *g_held; /* /hold: answered by the test */
static uint32_t g_handled, g_gone, g_drained;
static size_t g_stream_at;
static bool g_streaming;

static uint8_t stream_byte(size_t at) { return (uint8_t)(at * 7 + (at >> 12)); }

static size_t body_max(void *arg, const char *method, const char *path) {
  (void)arg, (void)method;
  return strcmp(path, "/big") == 0 ? STREAM_LEN : BODY_MAX;
}

static void on_gone(void *arg) {
  (void)arg;
  g_gone++, g_streaming = false, g_held = NULL;
}

static void pump(void *arg) {
  static uint8_t chunk[50000];
  aq_http_res *res = arg;
  while (g_stream_at < STREAM_LEN) {
    size_t len = STREAM_LEN - g_stream_at < sizeof chunk ? STREAM_LEN - g_stream_at : sizeof chunk;
    for (size_t i = 0; i < len; i++) chunk[i] = stream_byte(g_stream_at + i);
    g_stream_at += len;
    if (!g_vt->write(res, aq_bytes_of(chunk, len))) return;
  }
  g_streaming = false;
  g_vt->end(res);
}

static void on_drained(void *arg) {
  g_drained++;
  pump(arg);
}

static void echo(const aq_http_req *req, aq_http_res *res) {
  aq_buf out = AQ_BUF(STREAM_LEN + 4096);
  const char *type = aq_http_header_get(&req->headers, "content-type");
  const char *auth = aq_http_header_get(&req->headers, "Authorization");
  aq_buf_printf(&out, "%s|%s|%s|%s|%s|%s|", req->method, req->path, req->raw_path, req->query, type ? type : "-",
                auth ? auth : "-");
  aq_buf_put_bytes(&out, req->body);
  const aq_http_header h[] = {{"Content-Type", "text/x-echo"}, {"X-One", "1"}, {"Content-Length", "999"}};
  g_vt->respond(res, 207, &(aq_http_headers){h, AQ_COUNT(h)}, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  (void)arg;
  g_handled++, g_vt = vt;
  if (strcmp(req->path, "/hold") == 0) {
    vt->watch(res, on_gone, NULL, NULL);
    g_held = res;
  } else if (strcmp(req->path, "/stream") == 0) {
    const aq_http_header h = {"Content-Type", "application/octet-stream"};
    vt->watch(res, on_gone, on_drained, res);
    g_stream_at = 0, g_streaming = true;
    vt->begin(res, 200, &(aq_http_headers){&h, 1});
    pump(res);
  } else if (strcmp(req->path, "/events") == 0) {
    vt->watch(res, on_gone, NULL, NULL);
    vt->begin(res, 200, NULL);
    vt->write(res, aq_bytes_str("first"));
    g_held = res;
  } else {
    echo(req, res);
  }
}

static int setup(void **state) {
  (void)state;
  const aq_http_server_cfg cfg = {"127.0.0.1", 0, 64, 120};
  const aq_http_handler h = {NULL, body_max, handle};
  g_loop = aq_loop_new(1), g_env = aq_loop_env(g_loop);
  assert_int_equal(aq_http_server_new(&g_server, g_loop, &cfg, &h, NULL), AQ_OK);
  g_curl = aq_curl_new(g_loop), g_client = aq_curl_port(g_curl);
  g_held = NULL, g_handled = g_gone = g_drained = 0, g_streaming = false;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_http_server_free(g_server);
  aq_curl_free(g_curl);
  aq_loop_free(g_loop);
  return 0;
}

/* ---- one client call ---- */

typedef struct {
  uint64_t id;
  uint32_t heads, dones;
  int code;
  aq_status st;
  aq_buf body;
  size_t stream_len;
  bool pause_once, wrong_byte, cancel_in_head, cancel_in_data, stop_on_data, keep_running;
  char type[64];
} call;

static void on_head(void *arg, int code, const aq_http_headers *h) {
  call *c = arg;
  c->heads++, c->code = code;
  const char *type = aq_http_header_get(h, "Content-Type");
  snprintf(c->type, sizeof c->type, "%s", type ? type : "");
  if (c->cancel_in_head) g_client->cancel(g_client->ctx, c->id), aq_loop_stop(g_loop);
}

static bool on_data(void *arg, aq_bytes chunk) {
  call *c = arg;
  for (size_t i = 0; i < chunk.len; i++) c->wrong_byte |= chunk.ptr[i] != stream_byte(c->stream_len + i);
  c->stream_len += chunk.len;
  if (c->cancel_in_data) g_client->cancel(g_client->ctx, c->id);
  if (c->stop_on_data || c->cancel_in_data) aq_loop_stop(g_loop);
  bool go_on = !c->pause_once;
  c->pause_once = false;
  return go_on;
}

static void on_done(void *arg, aq_status st, const aq_httpc_res *res) {
  call *c = arg;
  c->dones++, c->st = st, c->code = res->code;
  aq_buf_init(&c->body, STREAM_LEN * 2);
  if (res->body.len > 0) aq_buf_put_bytes(&c->body, res->body);
  if (c->heads == 0) {
    const char *type = aq_http_header_get(&res->headers, "content-type");
    snprintf(c->type, sizeof c->type, "%s", type ? type : "");
  }
  if (!c->keep_running) aq_loop_stop(g_loop);
}

static const char *url_of(const char *path) {
  static char url[256];
  snprintf(url, sizeof url, "http://user:pa%%20ss@127.0.0.1:%u%s", aq_http_server_port(g_server), path);
  return url;
}

static void start(call *c, const char *method, const char *path, aq_bytes body, bool streamed, uint64_t timeout_ns) {
  const aq_http_header h = {"Content-Type", "application/json"};
  aq_httpc_req req = {
      .method = method, .url = url_of(path), .headers = {&h, body.len > 0}, .body = body, .timeout_ns = timeout_ns};
  aq_httpc_cb cb = {c, streamed ? on_head : NULL, streamed ? on_data : NULL, on_done};
  c->id = g_client->start(g_client->ctx, &req, &cb);
  assert_int_not_equal(c->id, 0);
  assert_int_equal(c->dones, 0);
}

static void perform(call *c, const char *method, const char *path, aq_bytes body) {
  memset(c, 0, sizeof *c);
  start(c, method, path, body, false, PATIENT_NS);
  aq_loop_run(g_loop);
  assert_int_equal(c->dones, 1);
}

static void expect(const call *c, int code, const char *text) {
  assert_int_equal(c->st, AQ_OK);
  assert_int_equal(c->code, code);
  assert_bytes(aq_buf_bytes(&c->body), aq_bytes_str(text));
}

/* Goal: method, path, query, headers, body and basic auth arrive as sent; code, headers, body come back.
   Method: an echo over GET, POST, PUT, DELETE and HEAD, with escapes in the path. */
static void test_exchange(void **state) {
  (void)state;
  call c;
  perform(&c, "POST", "/a%2Fb%20c?x=1&y=%20", aq_bytes_str("{\"k\":1}"));
  expect(&c, 207, "POST|/a/b c|/a%2Fb%20c|x=1&y=%20|application/json|Basic dXNlcjpwYSBzcw==|{\"k\":1}");
  assert_string_equal(c.type, "text/x-echo");
  aq_buf_free(&c.body);
  perform(&c, "GET", "/", aq_bytes_of(NULL, 0));
  expect(&c, 207, "GET|/|/||-|Basic dXNlcjpwYSBzcw==|");
  aq_buf_free(&c.body);
  perform(&c, "POST", "/empty?", aq_bytes_of(NULL, 0));
  expect(&c, 207, "POST|/empty|/empty||-|Basic dXNlcjpwYSBzcw==|");
  aq_buf_free(&c.body);
  perform(&c, "PUT", "/p", aq_bytes_str("\0b"));
  aq_buf_free(&c.body);
  perform(&c, "DELETE", "/d", aq_bytes_str("body"));
  expect(&c, 207, "DELETE|/d|/d||application/json|Basic dXNlcjpwYSBzcw==|body");
  aq_buf_free(&c.body);
  perform(&c, "HEAD", "/h", aq_bytes_of(NULL, 0));
  expect(&c, 207, "");
  perform(&c, "GET", "/bad%00", aq_bytes_of(NULL, 0));
  assert_int_equal(c.code, 400);
  aq_buf_free(&c.body);
  perform(&c, "GET", "/bad%2", aq_bytes_of(NULL, 0));
  assert_int_equal(c.code, 400);
  aq_buf_free(&c.body);
}

/* Goal: the limit of the body is exact and over it the answer is 413; the core does not see such a request.
   Method: bodies of exactly the limit, one more, and a large one on the route that allows it. */
static void test_body_limit(void **state) {
  (void)state;
  static uint8_t body[STREAM_LEN + 1];
  memset(body, 'b', sizeof body);
  call c;
  perform(&c, "POST", "/x", aq_bytes_of(body, BODY_MAX));
  assert_int_equal(c.code, 207);
  assert_true(c.body.len > BODY_MAX);
  aq_buf_free(&c.body);
  uint32_t handled = g_handled;
  perform(&c, "POST", "/x", aq_bytes_of(body, BODY_MAX + 1));
  assert_int_equal(c.code, 413);
  aq_buf_free(&c.body);
  assert_int_equal(g_handled, handled);
  perform(&c, "POST", "/big", aq_bytes_of(body, STREAM_LEN));
  assert_int_equal(c.code, 207);
  assert_true(c.body.len > STREAM_LEN);
  aq_buf_free(&c.body);
}

/* Goal: a streamed answer arrives whole; back pressure works from the paused client through the sockets to the source.
   Method: 5 MiB; the client pauses at the first chunk, the source must come to rest, then the client resumes. */
static void test_stream(void **state) {
  (void)state;
  call c = {.pause_once = true, .stop_on_data = true};
  start(&c, "GET", "/stream", aq_bytes_of(NULL, 0), true, PATIENT_NS);
  aq_loop_run(g_loop);
  assert_int_equal(c.heads, 1);
  assert_int_equal(c.code, 200);
  assert_string_equal(c.type, "application/octet-stream");
  c.stop_on_data = false;
  size_t got = c.stream_len;
  run_for(AQ_MILLIS(100));
  assert_true(g_streaming && c.dones == 0);
  assert_int_equal(c.stream_len, got);
  g_client->resume(g_client->ctx, c.id);
  aq_loop_run(g_loop);
  assert_int_equal(c.st, AQ_OK);
  assert_int_equal(c.dones, 1);
  assert_int_equal(c.stream_len, STREAM_LEN);
  assert_false(c.wrong_byte);
  assert_true(g_drained > 0);
  assert_int_equal(g_gone, 0);
}

/* Goal: a waiting request is answered later, keeps its connection, and costs no processor time.
   Method: held for 50 ms, answered from outside; the process's clock shows that nothing spun. */
static void test_hold(void **state) {
  (void)state;
  call c = {0};
  start(&c, "GET", "/hold", aq_bytes_of(NULL, 0), false, PATIENT_NS);
  run_until(&g_handled, 1);
  assert_non_null(g_held);
  clock_t before = clock();
  run_for(AQ_MILLIS(100));
  assert_true(clock() - before < CLOCKS_PER_SEC / 20);
  g_vt->respond(g_held, 503, NULL, aq_bytes_str("late"));
  aq_loop_run(g_loop);
  expect(&c, 503, "late");
  aq_buf_free(&c.body);
  assert_int_equal(g_gone, 0);
}

/* Goal: a client that leaves is noticed once, while the answer waits and while it streams; time limits end a call.
   Method: calls with a limit of 50 ms on a held request and on an event stream that gets no second event. */
static void test_gone(void **state) {
  (void)state;
  call c = {0};
  start(&c, "GET", "/hold", aq_bytes_of(NULL, 0), false, AQ_MILLIS(50));
  aq_loop_run(g_loop);
  assert_int_equal(c.st, AQ_E_TIMEOUT);
  assert_int_equal(c.code, 0);
  run_until(&g_gone, 1);
  call e = {.stop_on_data = true};
  start(&e, "GET", "/events", aq_bytes_of(NULL, 0), true, 0);
  aq_loop_run(g_loop);
  assert_int_equal(e.stream_len, 5);
  g_client->cancel(g_client->ctx, e.id);
  run_until(&g_gone, 2);
  assert_int_equal(e.dones, 0);
}

/* Goal: cancel works from inside every callback and no callback follows.
   Method: in head, in data, before the first turn, twice, and of an ended call. */
static void test_cancel(void **state) {
  (void)state;
  call c = {.cancel_in_head = true}, d = {.cancel_in_data = true}, e = {0}, f;
  start(&c, "GET", "/stream", aq_bytes_of(NULL, 0), true, 0);
  aq_loop_run(g_loop);
  run_for(AQ_MILLIS(30));
  assert_int_equal(c.heads, 1);
  assert_int_equal(c.stream_len + c.dones, 0);
  start(&d, "GET", "/stream", aq_bytes_of(NULL, 0), true, 0);
  aq_loop_run(g_loop);
  size_t got = d.stream_len;
  run_for(AQ_MILLIS(30));
  assert_int_equal(d.stream_len, got);
  assert_int_equal(d.dones, 0);
  run_until(&g_gone, 2);
  start(&e, "GET", "/x", aq_bytes_of(NULL, 0), false, 0);
  g_client->cancel(g_client->ctx, e.id), g_client->cancel(g_client->ctx, e.id);
  perform(&f, "GET", "/x", aq_bytes_of(NULL, 0));
  aq_buf_free(&f.body);
  g_client->cancel(g_client->ctx, f.id);
  g_client->resume(g_client->ctx, f.id);
  assert_int_equal(e.dones, 0);
}

/* Goal: many calls at once all end, and their answers are not mixed up.
   Method: 200 calls, each with its own path, over at most 16 connections; 40 at once, so that the limit for a connect
   holds on a machine that is twenty times slower, too. */
static void test_many(void **state) {
  (void)state;
  static call c[200];
  memset(c, 0, sizeof c);
  for (size_t i = 0, done = 0; done < AQ_COUNT(c);) {
    for (; i < AQ_COUNT(c) && i < done + 40; i++) {
      char path[16];
      snprintf(path, sizeof path, "/n%zu", i);
      c[i].keep_running = true;
      start(&c[i], "GET", path, aq_bytes_of(NULL, 0), false, PATIENT_NS);
    }
    run_for(AQ_MILLIS(20));
    done = 0;
    for (size_t k = 0; k < i; k++) done += c[k].dones;
  }
  for (size_t i = 0; i < AQ_COUNT(c); i++) {
    char want[64];
    snprintf(want, sizeof want, "GET|/n%zu|/n%zu||-|Basic dXNlcjpwYSBzcw==|", i, i);
    expect(&c[i], 207, want);
    aq_buf_free(&c[i].body);
  }
}

/* Goal: calls that cannot work end with a status, later.
   Method: nobody listens; not a URL; a scheme that is not HTTP; an answer over the limit. */
static void test_failures(void **state) {
  (void)state;
  static const char *const url[] = {"http://127.0.0.1:1/", "::::", "file:///etc/hostname", "http://"};
  for (size_t i = 0; i < AQ_COUNT(url); i++) {
    call c = {0};
    aq_httpc_req req = {.method = "GET", .url = url[i], .timeout_ns = PATIENT_NS};
    g_client->start(g_client->ctx, &req, &(aq_httpc_cb){&c, NULL, NULL, on_done});
    assert_int_equal(c.dones, 0);
    aq_loop_run(g_loop);
    assert_int_equal(c.dones, 1);
    assert_int_equal(c.st, AQ_E_CLOSED);
  }
  call c = {0};
  aq_httpc_req req = {.method = "GET", .url = url_of("/stream"), .timeout_ns = PATIENT_NS, .body_max = 4096};
  g_client->start(g_client->ctx, &req, &(aq_httpc_cb){&c, NULL, NULL, on_done});
  aq_loop_run(g_loop);
  assert_int_equal(c.st, AQ_E_LIMIT);
  assert_int_equal(c.body.len, 0);
}

/* ---- raw sockets ---- */

/* Goal: Expect: 100-continue is answered before the body, and refused at once when the body would be too large.
   Method: a raw client that waits for the interim answer. */
static void test_continue(void **state) {
  (void)state;
  int fd = raw_connect();
  raw_send(fd, "POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  assert_true(raw_expect(fd, "HTTP/1.1 100 "));
  raw_send(fd, "body");
  assert_true(raw_expect(fd, "POST|/c|/c||-|-|body"));
  raw_send(fd, "POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
  assert_true(raw_expect(fd, "HTTP/1.1 413 "));
  assert_null(strstr(g_raw, "100 Continue"));
  close(fd);
}

/* Goal: chunked bodies are joined; over the limit they get 413; endless ones end the connection.
   Method: a raw client with chunked encoding. */
static void test_chunked(void **state) {
  (void)state;
  int fd = raw_connect();
  raw_send(fd, "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  assert_true(raw_expect(fd, "POST|/c|/c||-|-|abcde"));
  raw_send(fd, "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  static char chunk[0x8000 + 16];
  int head = snprintf(chunk, sizeof chunk, "8000\r\n");
  memset(chunk + head, 'x', 0x8000);
  memcpy(chunk + head + 0x8000, "\r\n", 3);
  for (int i = 0; i < 4; i++) raw_send(fd, chunk), run_for(AQ_MILLIS(2));
  raw_send(fd, "0\r\n\r\n");
  assert_true(raw_expect(fd, "HTTP/1.1 413 "));
  close(fd);
  fd = raw_connect();
  raw_send(fd, "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  bool ended = false;
  for (int i = 0; i < 600 && !ended; i++) {
    ended = send(fd, chunk, strlen(chunk), MSG_NOSIGNAL) < 0 && errno != EAGAIN;
    run_for(AQ_MILLIS(2));
  }
  assert_true(ended);
  close(fd);
  assert_int_equal(g_handled, 1);
}

/* Goal: one connection serves many requests, also when they come in one piece.
   Method: 100 in turn, then two pipelined ones. */
static void test_keep_alive(void **state) {
  (void)state;
  int fd = raw_connect();
  for (int i = 0; i < 100; i++) {
    raw_send(fd, "GET /k HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "GET|/k|/k||-|-|"));
  }
  raw_send(fd, "GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_true(raw_expect(fd, "GET|/two|"));
  assert_int_equal(g_handled, 102);
  raw_send(fd, "GET /k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assert_true(raw_expect(fd, "GET|/k|/k||-|-|"));
  assert_true(raw_closed(fd));
  close(fd);
  fd = raw_connect();
  raw_send(fd, "GET http://x/abs?q=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_true(raw_expect(fd, "GET|/abs|/abs|q=1|"));
  raw_send(fd, "GET /old HTTP/1.0\r\n\r\n");
  assert_true(raw_expect(fd, "GET|/old|"));
  close(fd);
}

/* Goal: bytes that are not HTTP never reach the core and never stop the server.
   Method: a table of garbage, random bytes with a printed seed, a head of 40 KiB; then a good request. */
static void test_garbage(void **state) {
  (void)state;
  static const char *const garbage[] = {
      "\r\n\r\n\r\n",
      "GET\r\n\r\n",
      "GET /\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      " / HTTP/1.1\r\n\r\n",
      "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1\r\n: x\r\n\r\n",
      "GET relative HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  };
  for (size_t i = 0; i < AQ_COUNT(garbage); i++) {
    int fd = raw_connect();
    raw_send(fd, garbage[i]);
    run_for(AQ_MILLIS(5));
    close(fd);
  }
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 7);
  print_message("seed 7\n");
  for (int i = 0; i < 50; i++) {
    uint8_t bytes[300];
    aq_test_rng_bytes(&rng, bytes, sizeof bytes);
    int fd = raw_connect();
    assert_int_equal(send(fd, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
    send(fd, "\r\n\r\n", 4, MSG_NOSIGNAL);
    run_for(AQ_MILLIS(2));
    close(fd);
  }
  uint32_t handled = g_handled;
  int fd = raw_connect();
  static char head[40000];
  int len = snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
  memset(head + len, 'h', sizeof head - (size_t)len - 1);
  send(fd, head, sizeof head - 1, MSG_NOSIGNAL);
  run_for(AQ_MILLIS(20));
  send(fd, "\r\n\r\n", 4, MSG_NOSIGNAL);
  assert_true(raw_expect(fd, "HTTP/1.1 431 ") || raw_closed(fd));
  close(fd);
  assert_int_equal(g_handled, handled);
  call c;
  perform(&c, "GET", "/fine", aq_bytes_of(NULL, 0));
  assert_int_equal(c.code, 207);
  aq_buf_free(&c.body);
}

/* Goal: HEAD of a streamed answer sends no body and lets the source run to its end.
   Method: a raw client on the 5 MiB stream, then another request on the same connection. */
static void test_head_of_stream(void **state) {
  (void)state;
  int fd = raw_connect();
  raw_send(fd, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_true(raw_expect(fd, "\r\n\r\n"));
  assert_non_null(strstr(g_raw, "200 OK"));
  assert_false(g_streaming);
  raw_send(fd, "GET /k HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_true(raw_expect(fd, "GET|/k|/k||-|-|"));
  raw_send(fd, "HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_true(raw_expect(fd, "\r\n\r\n"));
  assert_null(strstr(g_raw, "first"));
  g_vt->write(g_held, aq_bytes_str("more"));
  g_vt->end(g_held);
  raw_send(fd, "GET /l HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_true(raw_expect(fd, "GET|/l|/l||-|-|"));
  assert_memory_equal(g_raw, "HTTP/1.1 207 ", 13);
  close(fd);
}

/* Goal: freeing the server with requests in every state tells the core once a request, and leaks nothing.
   Method: one held, one streaming to a client that does not read, one half received. */
static void test_free_busy(void **state) {
  (void)state;
  int held = raw_connect(), stream = raw_connect(), half = raw_connect();
  raw_send(held, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  raw_send(stream, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  raw_send(half, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  run_until(&g_handled, 2);
  assert_non_null(g_held);
  assert_true(g_streaming);
  call c = {0};
  start(&c, "GET", "/hold", aq_bytes_of(NULL, 0), false, 0);
  run_until(&g_handled, 3);
  aq_http_server_free(g_server);
  g_server = NULL;
  assert_int_equal(g_gone, 3);
  aq_loop_run(g_loop);
  assert_int_equal(c.st, AQ_E_CLOSED);
  assert_true(raw_closed(held));
  close(held), close(stream), close(half);
}

/* Goal: when all connections have a request with the core, a client waits until another leaves.
   Method: all 64 taken by held requests, one more that gets its answer only after the first has closed. */
static void test_connections_cap(void **state) {
  (void)state;
  int fd[64];
  for (size_t i = 0; i < AQ_COUNT(fd); i++) {
    fd[i] = raw_connect();
    raw_send(fd[i], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  run_until(&g_handled, 64);
  int more = raw_connect();
  raw_send(more, "GET /more HTTP/1.1\r\nHost: x\r\n\r\n");
  run_for(AQ_MILLIS(50));
  assert_int_equal(g_handled, 64);
  close(fd[0]);
  assert_true(raw_expect(more, "GET|/more|"));
  for (size_t i = 1; i < AQ_COUNT(fd); i++) close(fd[i]);
  close(more);
}

/* Goal: an address that is taken is an error that names it.
   Method: a second server on the first one's port. */
static void test_address_taken(void **state) {
  (void)state;
  aq_err err = {0};
  aq_http_server *other = NULL;
  const aq_http_server_cfg cfg = {"127.0.0.1", aq_http_server_port(g_server), 4, 5};
  const aq_http_handler h = {NULL, body_max, handle};
  assert_int_equal(aq_http_server_new(&other, g_loop, &cfg, &h, &err), AQ_E_IO);
  assert_non_null(strstr(err.text, "127.0.0.1:"));
  assert_null(other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_exchange),      T(test_body_limit), T(test_stream),         T(test_hold),      T(test_gone),
      T(test_cancel),        T(test_many),       T(test_failures),       T(test_continue),  T(test_chunked),
      T(test_keep_alive),    T(test_garbage),    T(test_head_of_stream), T(test_free_busy), T(test_connections_cap),
      T(test_address_taken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
