/* Time stamps of real files, and texts that are nearly one. */
#include "cluster/rfc3339.h"

#include "aq_test.h"
#include "base/time.h"

/* Goal: time stamps of the reference's files are read and ours have its form.
   Method: known instants, among them the leap days; each printed text reads back. */
static void known(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t s, ns;
  } row[] = {{"1970-01-01T00:00:00Z", 0, 0},
             {"2000-02-29T23:59:59Z", 951868799, 0},
             {"2026-11-23T14:41:33.318153257Z", 1795444893, 318153257},
             {"2026-11-23T15:41:33.318153257+01:00", 1795444893, 318153257},
             {"2026-11-23T09:11:33.5-05:30", 1795444893, 500000000},
             {"2100-03-01T00:00:00Z", 4107542400, 0}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    uint64_t ns, again;
    char text[AQ_RFC3339_MAX];
    assert_int_equal(aq_rfc3339_parse(&ns, aq_bytes_str(row[i].text)), AQ_OK);
    assert_int_equal(ns, row[i].s * AQ_NS_PER_SEC + row[i].ns);
    aq_rfc3339_print(text, ns, false);
    if (strchr(row[i].text, 'Z')) assert_string_equal(text, row[i].text);
    assert_int_equal(aq_rfc3339_parse(&again, aq_bytes_str(text)), AQ_OK);
    assert_int_equal(again, ns);
    aq_rfc3339_print(text, ns, true);
    assert_null(strchr(text, '.'));
  }
}

/* Goal: anything else is refused.
   Method: a table of one fault each. */
static void faults(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "2026-11-23",
                                    "2026-11-23T14:41:33",
                                    "2026-11-23 14:41:33Z",
                                    "2026-13-23T14:41:33Z",
                                    "2026-04-32T14:41:33Z",
                                    "2026-11-23T24:41:33Z",
                                    "2026-11-23T14:41:33.Z",
                                    "2026-11-23T14:41:33.0123456789Z",
                                    "2026-11-23T14:41:33+1:00",
                                    "2026-11-23T14:41:33Zx",
                                    "1969-12-31T23:59:59Z",
                                    "1970-01-01T00:59:59+01:00",
                                    "2262-01-01T00:00:00Z"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    uint64_t ns;
    assert_int_equal(aq_rfc3339_parse(&ns, aq_bytes_str(bad[i])), AQ_E_FORMAT);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(faults)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
