/* Addresses of listeners, as flags name them. */
#include "node/node.h"

#include "aq_test.h"

/* Goal: addresses of listeners as flags and documents have them; what could be read in two ways is refused.
   Method: one text each, with the parts it must give. */
static void test_host_port(void **state) {
  static const struct {
    const char *text, *host; /* NULL: refused */
    uint16_t port;
  } cases[] = {{"127.0.0.1:3600", "127.0.0.1", 3600},
               {":4600", "0.0.0.0", 4600},
               {"0.0.0.0:0", "0.0.0.0", 0},
               {"node-0.example:65535", "node-0.example", 65535},
               {"[::1]:3610", "::1", 3610},
               {"[::]:3610", "::", 3610},
               {"", NULL, 0},
               {"localhost", NULL, 0},
               {"3600", NULL, 0},
               {"localhost:", NULL, 0},
               {"localhost:65536", NULL, 0},
               {"localhost:-1", NULL, 0},
               {"localhost:+1", NULL, 0},
               {"localhost: 1", NULL, 0},
               {"localhost:0x10", NULL, 0},
               {"localhost:18446744073709551617", NULL, 0},
               {"::1:3610", NULL, 0},
               {"fe80::1", NULL, 0},
               {"[]:3610", NULL, 0},
               {"[::1:3610", NULL, 0},
               {"::1]:3610", NULL, 0},
               {"[::1]]:3610", NULL, 0},
               {"http://host:3600", NULL, 0}};
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    char host[64];
    uint16_t port;
    aq_status st = aq_host_port_parse(cases[i].text, host, sizeof host, &port);
    if ((st == AQ_OK) != (cases[i].host != NULL)) fail_msg("%s", cases[i].text);
    if (st != AQ_OK) continue;
    assert_string_equal(host, cases[i].host);
    assert_int_equal(port, cases[i].port);
  }
}

/* Goal: a host that does not fit is refused, one that just fits is whole. Method: a buffer of eleven bytes. */
static void test_host_fits(void **state) {
  char host[11];
  uint16_t port;
  (void)state;
  assert_int_equal(aq_host_port_parse("0123456789:1", host, sizeof host, &port), AQ_OK);
  assert_string_equal(host, "0123456789");
  assert_int_equal(aq_host_port_parse("0123456789a:1", host, sizeof host, &port), AQ_E_FORMAT);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_host_port), cmocka_unit_test(test_host_fits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
