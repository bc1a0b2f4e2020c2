/* The table of protocols. */
#include "p2p/services.h"

#include "aq_test.h"

static const aq_service rows[] = {
    {.name = {"/one/1"}, .pattern = AQ_PATTERN_ONE_WAY},
    {.name = {"/two/2", "/two/1"}, .pattern = AQ_PATTERN_REQUEST},
    {.name = {"/raw/1"}, .pattern = AQ_PATTERN_STREAM},
};

/* Goal: each name leads to its row, and what is offered is what the peer lists, newest first.
   Method: a table of three rows, and what a peer may say. */
static void offers(void **state) {
  (void)state;
  aq_service_names n;
  uint32_t cnt;
  aq_service_names_init(&n, rows, AQ_COUNT(rows));
  assert_int_equal(n.cnt, AQ_SVC_FIRST + 4);
  for (uint32_t row = 0; row < AQ_COUNT(rows); row++) {
    assert_int_equal(n.row[n.first[row]], row);
    assert_string_equal(n.name[n.first[row]], rows[row].name[0]);
  }
  const uint32_t first = n.first[1], newest = 1u << first, older = 2u << first, other = 1u << n.first[0];
  assert_int_equal(aq_service_offer(&cnt, &n, 1, 0), first);
  assert_int_equal(cnt, 2);
  assert_int_equal(aq_service_offer(&cnt, &n, 1, newest | older), first);
  assert_int_equal(cnt, 1);
  assert_int_equal(aq_service_offer(&cnt, &n, 1, older | other), first + 1);
  assert_int_equal(cnt, 1);
  assert_int_equal(aq_service_offer(&cnt, &n, 1, other), first);
  assert_int_equal(cnt, 2);
  assert_int_equal(aq_service_offer(&cnt, &n, 2, 0), n.first[2]);
  assert_int_equal(cnt, 1);
}

/* Goal: the table is whole: what a row's pattern needs stands in it, and no name stands twice.
   Method: every row and every pair of names. */
static void table(void **state) {
  (void)state;
  aq_service_names n;
  aq_service_names_init(&n, aq_services, AQ_PROTO_CNT);
  for (int i = 0; i < AQ_PROTO_CNT; i++) {
    const aq_service *s = &aq_services[i];
    bool messages = s->pattern != AQ_PATTERN_STREAM;
    assert_non_null(s->topic);
    assert_int_not_equal(s->roles, 0);
    assert_true((s->msg_max > 0) == messages && (s->send_limit_ns > 0) == messages &&
                (s->serve_limit_ns > 0) == messages);
  }
  for (uint32_t i = 0; i < n.cnt; i++) {
    for (uint32_t k = 0; k < i; k++) assert_string_not_equal(n.name[i], n.name[k]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(offers), cmocka_unit_test(table)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
