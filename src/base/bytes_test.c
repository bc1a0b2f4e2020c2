/* Views, buffers at their limits and the cursor over every prefix of its input. */
#include "base/bytes.h"

#include "aq_test.h"

/* Goal: views compare and cut as written.
   Method: table of pairs, equal or not; zero detection at each position. */
static void test_views(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    bool equal;
  } row[] = {{"", "", true},   {"", "a", false},  {"a", "", false},
             {"a", "a", true}, {"a", "b", false}, {"ab", "a", false}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    assert_int_equal(aq_bytes_eq(aq_bytes_str(row[i].a), aq_bytes_str(row[i].b)), row[i].equal);
  }
  uint8_t zero[70] = {0};
  assert_true(aq_bytes_is_zero(aq_bytes_of(NULL, 0)));
  assert_true(aq_bytes_is_zero(aq_bytes_of(zero, sizeof zero)));
  for (size_t i = 0; i < sizeof zero; i++) {
    zero[i] = 1;
    assert_false(aq_bytes_is_zero(aq_bytes_of(zero, sizeof zero)));
    zero[i] = 0;
  }
  aq_bytes b = aq_bytes_str("hello");
  assert_true(aq_bytes_eq(aq_bytes_sub(b, 1, 3), aq_bytes_str("ell")));
  assert_int_equal(aq_bytes_sub(b, 5, 0).len, 0);
}

/* Goal: a buffer holds what was put, never more than its maximum, and a failure sticks until reset.
   Method: random appends against a plain array; then one append too long, then reset. */
static void test_buffer(void **state) {
  (void)state;
  enum { MAX = 5000 };
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 2);
  aq_buf b = AQ_BUF(MAX);
  uint8_t want[MAX], piece[64];
  size_t len = 0;
  for (;;) {
    size_t n = (size_t)(aq_test_rng_next(&rng) % sizeof piece);
    aq_test_rng_bytes(&rng, piece, n);
    aq_buf_put(&b, piece, n);
    if (len + n > MAX) break;
    assert_int_equal(aq_buf_status(&b), AQ_OK);
    memcpy(want + len, piece, n);
    len += n;
  }
  assert_int_equal(aq_buf_status(&b), AQ_E_LIMIT);
  assert_bytes(aq_buf_bytes(&b), aq_bytes_of(want, len));
  aq_buf_put_u8(&b, 1);
  assert_int_equal(b.len, len);
  assert_string_equal(aq_buf_cstr(&b), "");
  assert_null(aq_buf_extend(&b, 1));
  aq_buf_reset(&b);
  aq_buf_put_str(&b, "abc");
  aq_buf_printf(&b, "-%d-%s", 42, "x");
  aq_buf_put_hex(&b, aq_bytes_of("\x01\xfe", 2));
  uint8_t *more = aq_buf_extend(&b, 2);
  assert_non_null(more);
  assert_true(more[0] == 0 && more[1] == 0);
  memcpy(more, "yz", 2);
  assert_string_equal(aq_buf_cstr(&b), "abc-42-x01feyz");
  aq_buf_drop_front(&b, 4);
  assert_string_equal(aq_buf_cstr(&b), "42-x01feyz");
  aq_buf_drop_front(&b, b.len);
  assert_int_equal(b.len, 0);
  aq_buf_free(&b);
  aq_buf_put_bytes(&b, aq_bytes_str("again"));
  assert_string_equal(aq_buf_cstr(&b), "again");
  aq_buf_free(&b);
}

/* Goal: the maximum is inclusive for every way to append.
   Method: exactly full and one over, by put, printf, hex and extend. */
static void test_buffer_edges(void **state) {
  (void)state;
  for (int way = 0; way < 4; way++) {
    for (size_t max = 3; max <= 4; max++) {
      aq_buf b = AQ_BUF(max);
      if (way == 0) aq_buf_put(&b, "abcd", 4);
      if (way == 1) aq_buf_printf(&b, "%s", "abcd");
      if (way == 2) aq_buf_put_hex(&b, aq_bytes_of("ab", 2));
      if (way == 3) aq_buf_extend(&b, 4);
      assert_int_equal(aq_buf_status(&b), max == 4 ? AQ_OK : AQ_E_LIMIT);
      assert_int_equal(b.len, max == 4 ? 4 : 0);
      aq_buf_free(&b);
    }
  }
  size_t out = 7;
  assert_false(aq_add_ok(&out, SIZE_MAX, 1));
  assert_false(aq_mul_ok(&out, SIZE_MAX / 2, 3));
  assert_true(aq_add_ok(&out, SIZE_MAX - 1, 1));
  assert_true(aq_mul_ok(&out, 6, 7));
  assert_int_equal(out, 42);
}

/* Goal: the cursor reads in order and cannot pass the end.
   Method: all readers over known bytes; the same sequence over every prefix must fail and give zeros. */
static void test_cursor(void **state) {
  (void)state;
  static const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7};
  for (size_t len = 0; len <= sizeof in; len++) {
    uint8_t copy[2], *heap = malloc(len + 1); /* exact bounds for the sanitizer */
    memcpy(heap, in, len);
    aq_rd r = aq_rd_of(aq_bytes_of(heap, len));
    uint8_t u8 = aq_rd_u8(&r);
    uint16_t be16 = aq_rd_be16(&r);
    aq_rd_copy(&r, copy, 2);
    aq_bytes rest = aq_rd_bytes(&r, 2);
    assert_int_equal(aq_rd_done(&r), len == sizeof in);
    assert_int_equal(aq_rd_ok(&r), len == sizeof in);
    if (len == sizeof in) {
      assert_int_equal(u8, 1);
      assert_int_equal(be16, 0x0203);
      assert_memory_equal(copy, in + 3, 2);
      assert_memory_equal(rest.ptr, in + 5, 2);
    } else {
      assert_int_equal(rest.len, 0);
      assert_int_equal(aq_rd_u8(&r), 0);
    }
    free(heap);
  }
}

/* Goal: endian access is its own inverse and lays bytes as named.
   Method: put, look at the bytes, get. */
static void test_endian(void **state) {
  (void)state;
  uint8_t b[8];
  aq_be64_put(b, UINT64_C(0x0102030405060708));
  assert_true(b[0] == 1 && b[7] == 8 && aq_be64_get(b) == UINT64_C(0x0102030405060708));
  assert_true(aq_le64_get(b) == UINT64_C(0x0807060504030201));
  aq_le64_put(b, UINT64_C(0x0102030405060708));
  assert_true(b[0] == 8 && b[7] == 1);
  aq_be32_put(b, 0xa1b2c3d4u);
  assert_true(b[0] == 0xa1 && aq_be32_get(b) == 0xa1b2c3d4u && aq_le32_get(b) == 0xd4c3b2a1u);
  aq_le32_put(b, 0xa1b2c3d4u);
  assert_true(b[0] == 0xd4 && aq_be16_get(b) == 0xd4c3);
  aq_be16_put(b, 0x1234);
  assert_true(b[0] == 0x12 && b[1] == 0x34);
}

/* Goal: every status has a name, a text and a class, and failures are written once and cut to fit.
   Method: all numbers of the list, one outside, a detail longer than its field. */
static void test_status(void **state) {
  (void)state;
  for (int st = -17; st <= 0; st++) {
    assert_string_not_equal(aq_status_text(st), "unknown status");
    assert_true(strlen(aq_status_name(st)) > 1);
  }
  assert_string_equal(aq_status_text(-1000), "unknown status");
  assert_int_equal(aq_status_class_of(AQ_OK), AQ_CLASS_OK);
  assert_int_equal(aq_status_class_of(AQ_E_AUTH), AQ_CLASS_PEER);
  assert_int_equal(aq_status_class_of(AQ_E_SLASH), AQ_CLASS_ENV);
  aq_err err;
  char text[400];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  assert_int_equal(aq_fail(&err, AQ_E_IO, "%s", text), AQ_E_IO);
  assert_int_equal(err.status, AQ_E_IO);
  assert_int_equal(strlen(err.text), AQ_ERR_TEXT_MAX - 1);
  assert_int_equal(aq_fail(NULL, AQ_E_IO, "%s", text), AQ_E_IO);
}

/* Goal: lines of a text, whatever ends it. Method: texts with and without a last line feed, empty lines, zero bytes. */
static void lines(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t len;
    const char *line[4];
    size_t cnt;
  } row[] = {{"", 0, {""}, 0},
             {"\n", 1, {""}, 1},
             {"a", 1, {"a"}, 1},
             {"a\n\nb", 4, {"a", "", "b"}, 3},
             {"a\nb\n", 4, {"a", "b"}, 2},
             {"a\0b\nc", 5, {"a\0b", "c"}, 2}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_rd r = aq_rd_of(aq_bytes_of(row[i].text, row[i].len));
    aq_bytes line;
    size_t cnt = 0;
    for (; aq_rd_line(&r, &line); cnt++) assert_memory_equal(line.ptr, row[i].line[cnt], line.len);
    assert_int_equal(cnt, row[i].cnt);
    assert_true(aq_rd_done(&r) && !aq_rd_line(&r, &line));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(lines),       cmocka_unit_test(test_views),
                                     cmocka_unit_test(test_buffer), cmocka_unit_test(test_buffer_edges),
                                     cmocka_unit_test(test_cursor), cmocka_unit_test(test_endian),
                                     cmocka_unit_test(test_status)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
