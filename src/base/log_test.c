/* Lines as the contract has them, hostile strings in them, and threads that write at once. */
#include "base/log.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "aq_test.h"
#include "base/metrics.h"

static const uint64_t when = UINT64_C(1767225600000000001); /* 2026-01-01T00:00:00.000000001Z */

static const char *format(aq_log_level level, const char *msg, const aq_log_field *field, size_t cnt) {
  static char out[AQ_LOG_LINE_MAX + 1];
  size_t len = aq_log_format(out, when, level, msg, field, cnt);
  assert_true(len <= AQ_LOG_LINE_MAX && out[len - 1] == '\n');
  out[len] = 0;
  return out;
}
#define FORMAT(level, msg, ...)                               \
  format((level), (msg), (const aq_log_field[]){__VA_ARGS__}, \
         sizeof((const aq_log_field[]){__VA_ARGS__}) / sizeof(aq_log_field))

/* Goal: the shapes of contract.md section 5, byte for byte.
   Method: its three sample lines. */
static void test_contract_samples(void **state) {
  (void)state;
  assert_string_equal(FORMAT(AQ_LOG_INFO, "api_request", AQ_STR("trace_id", "t-1"), AQ_STR("route", "/health"),
                             AQ_INT("code", 200), AQ_STR("result", "ok"), AQ_INT("latency_ms", 0), AQ_STR("err", NULL)),
                      "{\"code\":200,\"latency_ms\":0,\"level\":\"info\",\"msg\":\"api_request\",\"result\":\"ok\","
                      "\"route\":\"/health\",\"trace_id\":\"t-1\",\"ts\":\"2026-01-01T00:00:00.000000001Z\"}\n");
  assert_string_equal(
      FORMAT(AQ_LOG_ERROR, "api_request", AQ_STR("trace_id", "t-3"), AQ_STR("route", "/v1/duty"), AQ_INT("code", 400),
             AQ_STR("result", "error"), AQ_UINT("latency_ms", 0), AQ_STR("err", "invalid type")),
      "{\"code\":400,\"err\":\"invalid type\",\"latency_ms\":0,\"level\":\"error\",\"msg\":\"api_request\","
      "\"result\":\"error\",\"route\":\"/v1/duty\",\"trace_id\":\"t-3\",\"ts\":\"2026-01-01T00:00:00.000000001Z\"}\n");
}

/* Goal: every kind of value; keys that repeat or clash with the fixed ones are left out.
   Method: one line with all kinds and edge numbers. */
static void test_kinds(void **state) {
  (void)state;
  assert_string_equal(
      FORMAT(AQ_LOG_WARN, "m", AQ_INT("a", INT64_MIN), AQ_UINT("b", UINT64_MAX), AQ_DBL("c", 0.1), AQ_DBL("d", NAN),
             AQ_DBL("e", INFINITY), AQ_FLAG("f", true), AQ_FLAG("g", false), AQ_HEX("h", "\x00\xff", 2),
             AQ_HEX("i", NULL, 0), AQ_DBL("j", 3), AQ_INT("ts", 1), AQ_INT("level", 1), AQ_INT("a", 7)),
      "{\"a\":-9223372036854775808,\"b\":18446744073709551615,\"c\":0.1,\"d\":null,\"e\":null,\"f\":true,\"g\":false,"
      "\"h\":\"0x00ff\",\"i\":\"0x\",\"j\":3,\"level\":\"warn\",\"msg\":\"m\","
      "\"ts\":\"2026-01-01T00:00:00.000000001Z\"}\n");
}

static void check_json(const char *line, size_t len) {
  assert_true(len > 0 && len <= AQ_LOG_LINE_MAX && line[len - 1] == '\n');
  assert_null(memchr(line, '\n', len - 1));
  yyjson_doc *doc = yyjson_read(line, len, 0); /* strict: also checks UTF-8 */
  assert_non_null(doc);
  yyjson_val *root = yyjson_doc_get_root(doc), *key;
  static const char *const fixed[] = {"level", "msg", "ts"};
  for (size_t i = 0; i < AQ_COUNT(fixed); i++) assert_non_null(yyjson_get_str(yyjson_obj_get(root, fixed[i])));
  const char *before = "";
  yyjson_obj_iter it = yyjson_obj_iter_with(root);
  while ((key = yyjson_obj_iter_next(&it))) {
    assert_true(strcmp(before, yyjson_get_str(key)) < 0);
    before = yyjson_get_str(key);
  }
  yyjson_doc_free(doc);
}

/* Goal: one line of strict JSON with sorted keys, whatever the strings hold.
   Method: every single byte, then 20,000 random strings of lengths up to far over the line limit, parsed strictly. */
static void test_any_bytes(void **state) {
  (void)state;
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 8);
  static char text[3][6000];
  char out[AQ_LOG_LINE_MAX];
  for (int c = 1; c < 256; c++) {
    char one[4] = {'a', (char)c, 'b', 0};
    check_json(out, aq_log_format(out, when, AQ_LOG_INFO, one, (aq_log_field[]){AQ_STR("k", one)}, 1));
  }
  for (int round = 0; round < 20000; round++) {
    for (size_t i = 0; i < 3; i++) {
      size_t len = (size_t)(aq_test_rng_next(&rng) % (round % 20 ? 40 : sizeof text[i] - 1));
      for (size_t k = 0; k < len; k++) {
        uint64_t r = aq_test_rng_next(&rng);
        static const char special[] = "\"\\\n\xc3\xa9\xf0\x9f\x94\x91\xed\xa0\xff";
        text[i][k] = r % 4 ? (char)(1 + (r >> 8) % 255) : special[(r >> 8) % (sizeof special - 1)];
      }
      text[i][len] = 0;
    }
    aq_log_field field[] = {AQ_STR("zeta", text[0]), AQ_STR("alpha", text[1]), AQ_HEX("hex", text[1], sizeof text[1]),
                            AQ_INT("n", round)};
    check_json(out, aq_log_format(out, when, AQ_LOG_INFO, text[2], field, round % 3 ? 4 : 2));
  }
}

/* Goal: long values are cut, many long values too, and more fields than allowed do no harm.
   Method: a value of exactly each length around the limit; 30 fields of 5,000 bytes. */
static void test_limits(void **state) {
  (void)state;
  static char text[8000], key[40][8];
  char out[AQ_LOG_LINE_MAX];
  for (size_t len = 3900; len < 4200; len++) {
    memset(text, 'x', len);
    text[len] = 0;
    check_json(out, aq_log_format(out, when, AQ_LOG_INFO, "m", (aq_log_field[]){AQ_STR("k", text)}, 1));
  }
  aq_log_field field[40];
  for (size_t i = 0; i < 40; i++) {
    snprintf(key[i], sizeof key[i], "k%02zu", i);
    field[i] = AQ_STR(key[i], text);
  }
  for (size_t cnt = 0; cnt <= 40; cnt++) check_json(out, aq_log_format(out, when, AQ_LOG_INFO, text, field, cnt));
  static char long_key[2][3000];
  memset(long_key[0], 'a', 2999), memset(long_key[1], 'b', 2999);
  aq_log_field wide[] = {AQ_STR(long_key[0], "x"), AQ_STR(long_key[1], "x")};
  check_json(out, aq_log_format(out, when, AQ_LOG_INFO, "m", wide, 2));
}

static int sink_lines;
static void sink(void *arg, const char *line, size_t len) {
  assert_ptr_equal(arg, &sink_lines);
  check_json(line, len);
  sink_lines++;
}

/* Goal: the level filters, the sink gets lines at once, and warnings and errors are counted by message.
   Method: one line of each level at each minimum. */
static void test_levels(void **state) {
  (void)state;
  aq_metrics_init();
  for (int min = AQ_LOG_DEBUG; min <= AQ_LOG_ERROR; min++) {
    sink_lines = 0;
    aq_log_start((aq_log_level)min, sink, &sink_lines);
    for (int level = AQ_LOG_DEBUG; level <= AQ_LOG_ERROR; level++) {
      assert_int_equal(aq_log_enabled((aq_log_level)level), level >= min);
      AQ_LOG((aq_log_level)level, "msg", AQ_INT("n", 1));
    }
    assert_int_equal(sink_lines, AQ_LOG_ERROR - min + 1);
  }
  aq_log_stop();
  assert_int_equal(aq_metric_value(AQ_M_APP_LOG_WARN_TOTAL, AQ_LABELS("msg")), 4);
  assert_int_equal(aq_metric_value(AQ_M_APP_LOG_ERROR_TOTAL, AQ_LABELS("msg")), 4);
}

enum { THREADS = 4, LINES = 20000 };

static void *spam(void *arg) {
  for (int i = 0; i < LINES; i++) AQ_LOG(AQ_LOG_INFO, "spam", AQ_UINT("thread", *(uint64_t *)arg), AQ_INT("n", i));
  return NULL;
}

/* Goal: lines of many threads come out whole and in each thread's order; stop empties the ring; what was dropped is
   counted, so that written plus dropped is everything.
   Method: four threads write to a file in place of stdout. */
static void test_threads(void **state) {
  (void)state;
  char path[] = "/tmp/aq_log_XXXXXX";
  int file = mkstemp(path), saved = dup(STDOUT_FILENO);
  fflush(stdout);
  assert_true(file >= 0 && saved >= 0 && dup2(file, STDOUT_FILENO) >= 0);
  uint64_t before = aq_log_dropped();
  aq_log_start(AQ_LOG_INFO, NULL, NULL);
  pthread_t thread[THREADS];
  uint64_t id[THREADS];
  for (uint64_t i = 0; i < THREADS; i++) id[i] = i, pthread_create(&thread[i], NULL, spam, &id[i]);
  for (size_t i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  aq_log_stop();
  dup2(saved, STDOUT_FILENO);
  close(saved), close(file);
  aq_buf text = aq_test_file(path);
  unlink(path);
  uint64_t lines = 0;
  int64_t next[THREADS] = {0};
  for (size_t at = 0; at < text.len; lines++) {
    const char *line = (const char *)text.ptr + at, *end = memchr(line, '\n', text.len - at);
    assert_non_null(end);
    yyjson_doc *doc = yyjson_read(line, (size_t)(end - line), 0);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    uint64_t from = aq_test_u64(root, "thread");
    int64_t n = (int64_t)aq_test_u64(root, "n");
    assert_true(from < THREADS && n >= next[from]);
    next[from] = n + 1;
    yyjson_doc_free(doc);
    at += (size_t)(end - line) + 1;
  }
  assert_true(lines > 0);
  assert_true(lines + aq_log_dropped() - before == (uint64_t)THREADS * LINES);
  aq_buf_free(&text);
}

static void *count_lines(void *arg) {
  static uint64_t lines;
  char chunk[65536];
  lines = 0;
  for (ssize_t n; (n = read(*(int *)arg, chunk, sizeof chunk)) > 0;) {
    for (ssize_t i = 0; i < n; i++) lines += chunk[i] == '\n';
  }
  return &lines;
}

/* Goal: a reader that stands still never blocks the callers: lines are dropped and counted, the others still come out,
   also those that wait when the log stops.
   Method: stdout is a pipe nobody reads until all lines are logged; few lines (none may be lost) and far too many. */
static void test_slow_reader(void **state) {
  (void)state;
  static const uint64_t total[] = {5000, 60000};
  for (size_t k = 0; k < AQ_COUNT(total); k++) {
    int fd[2], saved = dup(STDOUT_FILENO);
    fflush(stdout);
    assert_true(pipe(fd) == 0 && saved >= 0 && dup2(fd[1], STDOUT_FILENO) >= 0);
    close(fd[1]);
    aq_metrics_init();
    uint64_t before = aq_log_dropped();
    aq_log_start(AQ_LOG_INFO, NULL, NULL);
    for (uint64_t i = 0; i < total[k]; i++) AQ_LOG(AQ_LOG_INFO, "line", AQ_UINT("n", i));
    uint64_t lost = aq_log_dropped() - before;
    pthread_t reader;
    pthread_create(&reader, NULL, count_lines, &fd[0]);
    aq_log_stop();
    dup2(saved, STDOUT_FILENO); /* closes the last writing end */
    close(saved);
    void *lines;
    pthread_join(reader, &lines);
    close(fd[0]);
    assert_true(*(uint64_t *)lines + lost == total[k]);
    assert_int_equal(lost > 0, k == 1);
    assert_true(aq_metric_value(AQ_M_LOG_DROPPED_TOTAL, AQ_NO_LABELS) == (double)lost);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_contract_samples), cmocka_unit_test(test_kinds),
                                     cmocka_unit_test(test_any_bytes),        cmocka_unit_test(test_limits),
                                     cmocka_unit_test(test_levels),           cmocka_unit_test(test_threads),
                                     cmocka_unit_test(test_slow_reader)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
