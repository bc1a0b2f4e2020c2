/* A small table of routes, asked for everything near to its rows. */
#include "http/router.h"
#include "aq_test.h"

/* A surface's own row is larger than what the router knows of it. */
typedef struct {
  aq_route route;
  int id;
  char more[40];
} row;

static const row g_row[] = {{{NULL, "/any"}, 1, ""},
                            {{"GET", "/eth/v1/blocks/{}"}, 2, ""},
                            {{"POST", "/eth/v1/blocks/{}"}, 3, ""},
                            {{"GET", "/eth/v1/blocks/{}/root"}, 4, ""},
                            {{"GET", "/eth/v1/blocks/head"}, 5, ""}};

/* 0: none. */
static int found(const char *method, const char *path, char (*param)[AQ_HTTP_PARAM_MAX + 1]) {
  const row *r = aq_route_find(AQ_ROUTES(g_row), method, path, param);
  return r ? r->id : 0;
}

/* Goal: a request meets the row of its method and path, the first of several, or none.
   Method: rows with and without a method, with and without a segment that is free. */
static void test_find(void **state) {
  (void)state;
  static const struct {
    const char *method, *path;
    int id;
  } cases[] = {{"GET", "/any", 1},
               {"DELETE", "/any", 1},
               {"HEAD", "/any", 1},
               {"TRACE", "/any", 0}, /* RFC 9110, 9.3.8: asks for an echo */
               {"CONNECT", "/any", 0},
               {"GET", "/eth/v1/blocks/7", 2},
               {"HEAD", "/eth/v1/blocks/7", 2},
               {"POST", "/eth/v1/blocks/7", 3},
               {"PUT", "/eth/v1/blocks/7", 0},
               {"get", "/eth/v1/blocks/7", 0}, /* methods have a case: RFC 9110, 9.1 */
               {"GET", "/eth/v1/blocks/7/root", 4},
               {"POST", "/eth/v1/blocks/7/root", 0},
               {"GET", "/eth/v1/blocks/head", 2}, /* the first row that takes it */
               {"GET", "/eth/v1/blocks/", 0},
               {"GET", "/", 0}};
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    print_message("%s %s\n", cases[i].method, cases[i].path);
    assert_int_equal(found(cases[i].method, cases[i].path, NULL), cases[i].id);
  }
  char param[AQ_HTTP_PARAMS_MAX][AQ_HTTP_PARAM_MAX + 1];
  assert_int_equal(found("GET", "/eth/v1/blocks/0xab/root", param), 4);
  assert_string_equal(param[0], "0xab");
}

/* Goal: a path says which methods it has. Method: two, one that is met twice, any, none; a short buffer. */
static void test_allowed(void **state) {
  (void)state;
  char out[64], little[8];
  aq_route_allowed(AQ_ROUTES(g_row), "/eth/v1/blocks/7", out, sizeof out);
  assert_string_equal(out, "GET, POST");
  aq_route_allowed(AQ_ROUTES(g_row), "/any", out, sizeof out);
  assert_string_equal(out, "");
  aq_route_allowed(AQ_ROUTES(g_row), "/none", out, sizeof out);
  assert_string_equal(out, "");
  aq_route_allowed(AQ_ROUTES(g_row), "/eth/v1/blocks/head", little, sizeof little);
  assert_string_equal(little, "GET, PO");
}

/* Goal: an error is JSON whatever its text. Method: quotes, a newline and a byte that is no character. */
static void test_error(void **state) {
  (void)state;
  aq_buf out = AQ_BUF(256);
  aq_http_error_json(&out, 400, "not \"that\"\n\xff");
  assert_string_equal(aq_buf_cstr(&out), "{\"code\":400,\"message\":\"not \\\"that\\\"\\n\xef\xbf\xbd\"}");
  aq_buf_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_allowed),
                                     cmocka_unit_test(test_error)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
