/* Requests in their smallest differences, cut at every byte: what is taken, what is refused and with which code. */
#include "adapter/http_parse.h"

#include "aq_test.h"

static aq_http_parse g_parse;

/* 0: the head is taken, -1: more is wanted, else the code of the refusal. */
static int parse(aq_http_head *h, const char *in, size_t len, size_t piece) {
  aq_http_step step = AQ_HTTP_MORE;
  aq_bytes data;
  aq_http_parse_reset(&g_parse);
  for (size_t at = 0; at < len && step == AQ_HTTP_MORE; at += piece) {
    aq_bytes part = aq_bytes_of(in + at, len - at < piece ? len - at : piece);
    step = aq_http_parse_next(&g_parse, &part, &data);
    if (step == AQ_HTTP_MORE) assert_int_equal(part.len, 0);
  }
  if (step == AQ_HTTP_MORE) return -1;
  return step == AQ_HTTP_BAD ? g_parse.refuse : aq_http_parse_head(h, &g_parse);
}

#define HOST "Host: x\r\n"

static const struct {
  const char *text;
  int code;
} heads[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", 0},
    {"GET /a?b=c&d=%20 HTTP/1.1\r\n" HOST "A:b\r\nC: \t d e \t\r\nF:\r\n\r\n", 0},
    {"GET / HTTP/1.0\r\n\r\n", 0},
    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0},
    {"GET http://h?q HTTP/1.1\r\n" HOST "\r\n", 0},
    {"GET https://h:80/a HTTP/1.1\r\n" HOST "\r\n", 0},
    {"GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: x\r\n\r\n", 0},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0},
    {"M-SEARCH / HTTP/1.1\r\n" HOST "\r\n", 0},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n", 0},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 010\r\n\r\n", 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n", 0},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n", 0},
    {"GET / HTTP/1.1\r\n" HOST "\r", -1},
    {"GET / HTT", -1},
    {"", -1},
    /* lengths */
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1 1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 413},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     400},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    /* lines */
    {"GET / HTTP/1.1\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\r\r\n\r\n", 400},
    {"\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"\r\n\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"\rGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"\r\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A:\r\n b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\n c\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n 0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n x\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Connection: close\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Upgrade: x\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A\t: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n A: b\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A(: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A\xc3\xa4: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A: b\x7f\r\n\r\n", 400},
    /* request line */
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /  HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
    {"GET / a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {" GET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / http/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.10\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/x.1\r\n" HOST "\r\n", 400},
    {"GET /\r\n" HOST "\r\n", 400},
    {"GET\r\n" HOST "\r\n", 400},
    {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GE(T / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"get / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"FOO / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"GETS / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"GE / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"CONNECT x:80 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"DESCRIBE / RTSP/1.0\r\n\r\n", 400},
    {"SOURCE / ICE/1.0\r\n\r\n", 400},
    {"GET / HTTP/0.9\r\n\r\n", 505},
    {"GET / HTTP/1.2\r\n" HOST "\r\n", 505},
    {"GET / HTTP/3.0\r\n" HOST "\r\n", 505},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\n", 505},
    /* host, expectation */
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: more\r\n\r\n", 417},
};

/* Goal: what has one meaning is taken, what two readers could take in two ways is refused, at every cut.
   Method: a table of heads with the code of the refusal, in one piece and bytewise. */
static void test_heads(void **state) {
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(heads); i++) {
    for (size_t piece = 1; piece < 5000; piece += 4000) {
      aq_http_head h;
      print_message("%s\n", heads[i].text);
      assert_int_equal(parse(&h, heads[i].text, strlen(heads[i].text), piece), heads[i].code);
    }
  }
  static const char nul[] = "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n";
  aq_http_head h;
  assert_int_equal(parse(&h, nul, sizeof nul - 1, 4), 400);
}

/* Goal: the parts of a head come out as they stand there.
   Method: two heads, field by field. */
static void test_parts(void **state) {
  (void)state;
  aq_http_head h;
  const char *in =
      "PUT /a?b=c HTTP/1.1\r\nhost: x\r\nA:  b c\t\r\nConnection: x, Close\r\nContent-Length: 7\r\n"
      "Expect: 100-continue\r\n\r\nbody";
  assert_int_equal(parse(&h, in, strlen(in), 3), 0);
  assert_string_equal(h.method, "PUT");
  assert_string_equal(h.target, "/a?b=c");
  assert_int_equal(h.header_cnt, 5);
  assert_string_equal(h.header[1].name, "A");
  assert_string_equal(h.header[1].value, "b c");
  assert_true(h.close && h.expects && !h.old && !h.chunked);
  assert_int_equal(h.length, 7);
  in = "GET / HTTP/1.0\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\n";
  assert_int_equal(parse(&h, in, strlen(in), 3), 0);
  assert_true(h.close && h.old && !h.expects && !h.chunked && h.length == 0);
}

/* Goal: heads up to the limits are taken, longer ones are refused with the code that names what was too long.
   Method: 100 lines and 101; a head of 32 KiB and one byte more; a target without an end. */
static void test_limits(void **state) {
  (void)state;
  static char in[AQ_HTTP_HEAD_MAX + 100];
  aq_http_head h;
  for (int lines = AQ_HTTP_HEADERS_MAX; lines <= AQ_HTTP_HEADERS_MAX + 1; lines++) {
    size_t len = (size_t)snprintf(in, sizeof in, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 1; i < lines; i++) len += (size_t)snprintf(in + len, sizeof in - len, "A%d: b\r\n", i);
    len += (size_t)snprintf(in + len, sizeof in - len, "\r\n");
    assert_int_equal(parse(&h, in, len, 1000), lines > AQ_HTTP_HEADERS_MAX ? 431 : 0);
  }
  for (int more = 0; more < 2; more++) {
    size_t len = (size_t)snprintf(in, sizeof in, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
    memset(in + len, 'a', AQ_HTTP_HEAD_MAX);
    memcpy(in + AQ_HTTP_HEAD_MAX - 4 + more, "\r\n\r\n", 4);
    assert_int_equal(parse(&h, in, AQ_HTTP_HEAD_MAX + (size_t)more, 1000), more ? 431 : 0);
  }
  memset(in, 'a', sizeof in);
  memcpy(in, "GET /", 5);
  assert_int_equal(parse(&h, in, AQ_HTTP_HEAD_MAX - 1, 1000), -1);
  assert_int_equal(parse(&h, in, AQ_HTTP_HEAD_MAX, 1000), 414);
}

/* A parser behind a head with that length, or with chunks. */
static void behind_head(int length) {
  char head[100];
  aq_http_head h;
  int len = length < 0 ? snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n")
                       : snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", length);
  assert_int_equal(parse(&h, head, (size_t)len, 1000), 0);
}

/* The body in pieces, joined; NULL when it is bad or not whole. *left: what stands behind it. */
static const char *body(int length, const char *text, size_t piece, size_t *left) {
  static char out[1024];
  size_t len = strlen(text), at = 0, got = 0;
  behind_head(length);
  for (;;) {
    aq_bytes in = aq_bytes_of(text + at, len - at < piece ? len - at : piece), data;
    size_t before = in.len;
    aq_http_step step = aq_http_parse_next(&g_parse, &in, &data);
    at += before - in.len;
    if (step == AQ_HTTP_DATA) memcpy(out + got, data.ptr, data.len), got += data.len;
    if (step == AQ_HTTP_BAD || (step == AQ_HTTP_MORE && at == len)) return NULL;
    if (step == AQ_HTTP_END) break;
  }
  out[got] = 0, *left = len - at;
  return out;
}

/* Goal: chunks and lengths give the body and nothing of what follows, at every cut; odd chunks are refused.
   Method: a table, in pieces of 1, 2, 3 and all bytes. */
static void test_bodies(void **state) {
  (void)state;
  static const struct {
    int length; /* -1: chunks */
    const char *text, *want;
    size_t left;
  } rows[] = {
      {0, "GET", "", 3},
      {3, "abcGET", "abc", 3},
      {3, "ab", NULL, 0},
      {-1, "3\r\nabc\r\n0\r\n\r\nGET", "abc", 3},
      {-1, "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n", "abc0123456789", 0},
      {-1, "b\r\n0123456789a\r\n0\r\n\r\n", "0123456789a", 0},
      {-1, "3;x=\"y z\"\r\nabc\r\n0;q\r\nA: b\r\nC: d\r\n\r\n..", "abc", 2},
      {-1, "0\r\n\r\n", "", 0},
      {-1, "0\r\nContent-Length: 5\r\n\r\nGET", NULL, 0},
      {-1, "0\r\nTransfer-Encoding: gzip\r\n\r\nGET", NULL, 0},
      {-1, "12345678;\r\n", NULL, 0},
      {-1, "ffffffffffffffff0\r\n", NULL, 0},
      {-1, "3\r\nabc\r\n0\r\n", NULL, 0},
      {-1, "3\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, "3\r\nabc\n0\r\n\r\n", NULL, 0},
      {-1, "3\r\nabcd\r\n0\r\n\r\n", NULL, 0},
      {-1, "3 \r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, " 3\r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, "0x3\r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, "+3\r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, "-1\r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, "\r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, ";x\r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, "000000003\r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, "3;\n\r\nabc\r\n0\r\n\r\n", NULL, 0},
      {-1, "3\r\nabc\r\n0\r\n folded\r\n\r\n", NULL, 0},
      {-1, "3\r\nabc\r\n0\r\nA: b\n\r\n", NULL, 0},
      {-1, "3\r\nabc\r\n0\r\n\n", NULL, 0},
  };
  for (size_t i = 0; i < AQ_COUNT(rows); i++) {
    for (size_t piece = 1; piece <= 4; piece++) {
      size_t left = 0;
      print_message("%s\n", rows[i].text);
      const char *got = body(rows[i].length, rows[i].text, piece < 4 ? piece : 1000, &left);
      if (!rows[i].want) {
        assert_null(got);
        continue;
      }
      assert_non_null(got);
      assert_string_equal(got, rows[i].want);
      assert_int_equal(left, rows[i].left);
    }
  }
}

/* Goal: no header makes the connection another protocol's: what follows is a body of the length, then a request.
   Method: an upgrade with a body and without one; trailers that would mean something in a head. */
static void test_upgrade(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t body, left;
  } rows[] = {
      {"GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: x\r\n\r\nGET", 0, 3},
      {"POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nabGET", 2, 3},
      {"POST / HTTP/1.1\r\n" HOST
       "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nGET",
       2, 3},
      {"POST / HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 2\r\n\r\nabGET", 2, 3},
  };
  for (size_t i = 0; i < AQ_COUNT(rows); i++) {
    aq_bytes in = aq_bytes_str(rows[i].text), data;
    size_t got = 0;
    aq_http_step step;
    aq_http_parse_reset(&g_parse);
    while ((step = aq_http_parse_next(&g_parse, &in, &data)) == AQ_HTTP_HEAD || step == AQ_HTTP_DATA)
      got += step == AQ_HTTP_DATA ? data.len : 0;
    print_message("%s\n", rows[i].text);
    assert_int_equal(step, AQ_HTTP_END);
    assert_int_equal(got, rows[i].body);
    assert_int_equal(in.len, rows[i].left);
  }
}

/* Goal: what is read over between chunks is bounded.
   Method: an extension and trailers without an end. */
static void test_body_limits(void **state) {
  (void)state;
  static char text[8000];
  size_t taken[2];
  for (int i = 0; i < 2; i++) {
    behind_head(-1);
    memset(text, 'x', sizeof text);
    memcpy(text, i ? "0\r\nA" : "3;xx", 4);
    aq_bytes in = aq_bytes_of(text, sizeof text), data;
    assert_int_equal(aq_http_parse_next(&g_parse, &in, &data), AQ_HTTP_BAD);
    taken[i] = sizeof text - in.len;
  }
  assert_in_range(taken[0], AQ_HTTP_CHUNK_LINE_MAX - 10, AQ_HTTP_CHUNK_LINE_MAX + 10);
  assert_in_range(taken[1], AQ_HTTP_TRAILER_MAX - 10, AQ_HTTP_TRAILER_MAX + 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_heads),  cmocka_unit_test(test_parts),   cmocka_unit_test(test_limits),
      cmocka_unit_test(test_bodies), cmocka_unit_test(test_upgrade), cmocka_unit_test(test_body_limits),
  };
  aq_http_parse_init(&g_parse);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
