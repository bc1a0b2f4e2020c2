/* Verdict lines of several nodes, counted. */
#include "lab/report.h"

#include "aq_test.h"

static void line(aq_report *r, uint32_t node, const char *text) { aq_report_line(r, node, text, strlen(text)); }

static void verdict(aq_report *r, uint32_t node, const char *duty, uint64_t slot, const char *result,
                    const char *more) {
  char text[1024];
  snprintf(text, sizeof text, "{\"duty\":\"%s\",\"level\":\"info\",\"msg\":\"duty\",\"result\":\"%s\",\"slot\":%llu%s}",
           duty, result, (unsigned long long)slot, more);
  line(r, node, text);
}

static yyjson_doc *written(const aq_report *r) {
  aq_buf out = AQ_BUF(1 << 20);
  aq_report_write(&out, r);
  assert_int_equal(aq_buf_status(&out), AQ_OK);
  yyjson_doc *doc = yyjson_read((const char *)out.ptr, out.len, 0);
  assert_non_null(doc);
  aq_buf_free(&out);
  return doc;
}

/* Goal: a duty counts once for the cluster, as done when one node says so; each node's own verdicts are kept apart.
   Method: two nodes, all orders of two results, slots out of order. */
static void test_counting(void **state) {
  (void)state;
  aq_report r;
  aq_report_init(&r, 2);
  verdict(&r, 0, "attester", 7, "ok", "");
  verdict(&r, 1, "attester", 7, "failed", ",\"reason\":\"late\"");
  verdict(&r, 0, "attester", 5, "failed", ",\"reason\":\"no quorum\"");
  verdict(&r, 1, "attester", 5, "ok", "");
  verdict(&r, 0, "attester", 6, "failed", "");
  verdict(&r, 1, "attester", 6, "failed", "");
  verdict(&r, 1, "proposer", 6, "ok", "");
  const aq_report_duty *a = &r.duty[AQ_DUTY_ATTESTER];
  assert_int_equal(a->scheduled, 3);
  assert_int_equal(a->ok, 2);
  assert_int_equal(a->failed, 1);
  for (uint32_t i = 1; i < a->seen_cnt; i++) assert_true(a->seen[i - 1] < a->seen[i]);
  assert_int_equal(r.duty[AQ_DUTY_PROPOSER].ok, 1);
  assert_int_equal(r.node[0].duties_ok, 1);
  assert_int_equal(r.node[0].duties_failed, 2);
  assert_int_equal(r.node[1].duties_ok, 2);
  assert_string_equal(r.last_failure, "node 1: attester 6: ?");
  aq_report_free(&r);
}

/* Goal: what began before the count did is not counted, done or failed.
   Method: verdicts of both sides of the first slot. */
static void test_first_slot(void **state) {
  (void)state;
  aq_report r;
  aq_report_init(&r, 1);
  r.first_slot = 3;
  verdict(&r, 0, "attester", 2, "failed", "");
  verdict(&r, 0, "proposer", 2, "ok", ",\"latency_ms\":9");
  const aq_report_duty *a = &r.duty[AQ_DUTY_ATTESTER];
  assert_true(a->scheduled == 0 && r.duty[AQ_DUTY_PROPOSER].scheduled == 0 && !r.last_failure[0]);
  assert_true(r.node[0].duties_ok == 0 && r.node[0].duties_failed == 0 && r.duty[AQ_DUTY_PROPOSER].latency_ms.cnt == 0);
  verdict(&r, 0, "attester", 3, "failed", "");
  assert_true(a->failed == 1 && r.node[0].duties_failed == 1);
  yyjson_doc *doc = written(&r);
  assert_int_equal(aq_test_u64(yyjson_doc_get_root(doc), "first_slot"), 3);
  yyjson_doc_free(doc);
  aq_report_free(&r);
}

/* Goal: times are gathered from successes only; what is no number is left out.
   Method: lines as the tracker writes them. */
static void test_times(void **state) {
  (void)state;
  aq_report r;
  aq_report_init(&r, 1);
  for (uint64_t i = 1; i <= 100; i++) {
    char more[160];
    snprintf(more, sizeof more, ",\"latency_ms\":%llu,\"steps_ms\":\"fetch=%llu.5 consensus=%llu\"",
             (unsigned long long)i, (unsigned long long)i, (unsigned long long)(2 * i));
    verdict(&r, 0, "attester", i, "ok", more);
  }
  verdict(&r, 0, "attester", 101, "failed", ",\"latency_ms\":9000,\"steps_ms\":\"fetch=9000\"");
  verdict(&r, 0, "attester", 102, "ok",
          ",\"latency_ms\":50,\"steps_ms\":\"fetch=nan consensus=inf sign=-inf fetch=50.5\"");
  const aq_report_duty *d = &r.duty[AQ_DUTY_ATTESTER];
  assert_int_equal(d->latency_ms.cnt, 101);
  assert_true(aq_samples_quantile(&d->latency_ms, 0) == 1);
  assert_true(aq_samples_quantile(&d->latency_ms, 0.5) == 50);
  assert_true(aq_samples_quantile(&d->latency_ms, 1) == 100);
  assert_int_equal(d->step_cnt, 2);
  assert_string_equal(d->step[0].name, "fetch");
  assert_int_equal(d->step[0].ms.cnt, 101);
  assert_int_equal(d->step[1].ms.cnt, 100);
  assert_true(aq_samples_quantile(&(aq_samples){0}, 0.5) == 0);
  aq_report_free(&r);
}

/* Goal: lines that are no verdicts change nothing, whatever they hold. Method: one of each. */
static void test_other_lines(void **state) {
  static const char *const lines[] = {
      "",
      "{",
      "Usage: aequa run",
      "[]",
      "{}",
      "null",
      "{\"msg\":\"duty\"}",
      "{\"msg\":7}",
      "{\"msg\":\"duty\",\"duty\":\"attester\",\"result\":\"ok\"}",
      "{\"msg\":\"duty\",\"duty\":\"attester\",\"slot\":1}",
      "{\"msg\":\"duty\",\"duty\":\"attester\",\"result\":1,\"slot\":1}",
      "{\"msg\":\"duty\",\"duty\":\"none of ours\",\"result\":\"ok\",\"slot\":1}",
      "{\"msg\":\"duty\",\"duty\":\"attester\",\"result\":\"ok\",\"slot\":-1}",
      "{\"msg\":\"duty\",\"duty\":\"attester\",\"result\":\"ok\",\"slot\":18446744073709551615}",
      "{\"msg\":\"duties\",\"duty\":\"attester\",\"result\":\"ok\",\"slot\":1}",
  };
  (void)state;
  aq_report r, fresh;
  aq_report_init(&r, 1);
  aq_report_init(&fresh, 1);
  for (size_t i = 0; i < AQ_COUNT(lines); i++) line(&r, 0, lines[i]);
  aq_report_line(&r, 0, "{\"msg\":\"duty\"\0,\"duty\":\"attester\"}", 32);
  assert_memory_equal(&r, &fresh, sizeof r);
  line(&r, 0, "{\"msg\":\"node_ready\",\"ready_ms\":41}");
  assert_int_equal(r.node[0].ready_ms, 41);
  aq_report_free(&r);
}

/* Goal: once the chain was asked its counts win over the verdicts; a bad answer leaves everything as it was.
   Method: GET /sim/stats answers, whole and broken. */
static void test_chain(void **state) {
  static const char *const bad[] = {
      "", "[]", "{}", "{\"slashable\":9}", "{\"bad\":9}", "{\"slashable\":9,\"bad\":\"x\"}"};
  static const char good[] =
      "{\"slot\":9,\"attestations\":{\"ok\":30,\"missed\":2,\"late\":1},\"blocks\":{\"ok\":7,\"missed\":1},\"bad\":3,"
      "\"slashable\":0,\"duplicates\":90,\"last_bad\":\"\",\"missed_attestation_slots\":[],\"missed_block_slots\":[4]}";
  (void)state;
  aq_report r;
  aq_report_init(&r, 1);
  verdict(&r, 0, "attester", 1, "ok", "");
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    assert_int_equal(aq_report_chain(&r, aq_bytes_str(bad[i])), AQ_E_FORMAT);
    assert_true(r.slashable == 0 && r.bad == 0 && r.duty[AQ_DUTY_ATTESTER].ok == 1);
  }
  assert_int_equal(aq_report_chain(&r, aq_bytes_str(good)), AQ_OK);
  const aq_report_duty *a = &r.duty[AQ_DUTY_ATTESTER], *b = &r.duty[AQ_DUTY_PROPOSER];
  assert_true(a->ok == 30 && a->failed == 2 && a->scheduled == 32 && b->ok == 7 && b->failed == 1);
  assert_true(r.bad == 3 && r.late == 1 && r.slashable == 0);
  verdict(&r, 0, "attester", 2, "ok", "");
  assert_int_equal(a->ok, 30);
  aq_report_free(&r);
}

/* Goal: the report is JSON of architecture.md 6, with only the duties that were scheduled. Method: parsed back. */
static void test_write(void **state) {
  (void)state;
  aq_report r;
  aq_report_init(&r, 2);
  yyjson_doc *doc = written(&r);
  assert_int_equal(yyjson_obj_size(yyjson_obj_get(yyjson_doc_get_root(doc), "duties")), 0);
  yyjson_doc_free(doc);
  verdict(&r, 0, "attester", 1, "ok", ",\"latency_ms\":1e308,\"steps_ms\":\"fetch=3.25\"");
  snprintf(r.node[1].binary, sizeof r.node[1].binary, "a \"quoted\"\\path");
  r.slashable = 1;
  doc = written(&r);
  yyjson_val *root = yyjson_doc_get_root(doc), *duties = yyjson_obj_get(root, "duties");
  assert_int_equal(yyjson_obj_size(duties), 1);
  yyjson_val *a = yyjson_obj_get(duties, "attester");
  assert_int_equal(aq_test_u64(a, "scheduled"), 1);
  assert_true(yyjson_get_num(yyjson_ptr_get(a, "/steps_ms/fetch/p99")) == 3.25);
  assert_int_equal(aq_test_u64(root, "slashable"), 1);
  yyjson_val *nodes = yyjson_obj_get(root, "nodes");
  assert_int_equal(yyjson_arr_size(nodes), 2);
  assert_string_equal(aq_test_str(yyjson_arr_get(nodes, 1), "binary"), "a \"quoted\"\\path");
  assert_int_equal(aq_test_u64(yyjson_arr_get(nodes, 0), "duties_ok"), 1);
  yyjson_doc_free(doc);
  aq_report_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_slot), cmocka_unit_test(test_counting),
                                     cmocka_unit_test(test_times),      cmocka_unit_test(test_other_lines),
                                     cmocka_unit_test(test_chain),      cmocka_unit_test(test_write)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
