/* The examples of the RLP page, and longer forms of each. */
#include "codec/rlp.h"

#include "aq_test.h"

static void check_string(aq_bytes in, const char *hex) {
  aq_buf out = AQ_BUF(1 << 20), want = aq_test_hex(hex);
  aq_rlp_put_bytes(&out, in);
  assert_bytes(aq_buf_bytes(&out), aq_buf_bytes(&want));
  aq_rd r = aq_rd_of(aq_buf_bytes(&out));
  aq_rlp_item item;
  assert_int_equal(aq_rlp_next(&r, &item), AQ_OK);
  assert_false(item.is_list);
  assert_bytes(item.body, in);
  assert_true(aq_rd_done(&r));
  aq_buf_free(&out), aq_buf_free(&want);
}

/* Goal: strings, numbers and lists have the bytes of the RLP page.
   Method: its examples, written and read back. */
static void examples(void **state) {
  (void)state;
  check_string(aq_bytes_str("dog"), "83646f67");
  check_string(aq_bytes_str(""), "80");
  check_string(aq_bytes_str("\x0f"), "0f");
  check_string(aq_bytes_str("\x7f"), "7f");
  check_string(aq_bytes_str("\x80"), "8180");
  check_string(aq_bytes_str("Lorem ipsum dolor sit amet, consectetur adipisicing elit"),
               "b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e736563746574757220616469706973696369"
               "6e6720656c6974");
  static const struct {
    uint64_t v;
    const char *hex;
  } row[] = {{0, "80"}, {15, "0f"}, {1024, "820400"}, {UINT64_MAX, "88ffffffffffffffff"}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_buf out = AQ_BUF(16), want = aq_test_hex(row[i].hex);
    aq_rlp_put_u64(&out, row[i].v);
    assert_bytes(aq_buf_bytes(&out), aq_buf_bytes(&want));
    aq_buf_free(&out), aq_buf_free(&want);
  }
  aq_buf items = AQ_BUF(64), out = AQ_BUF(64), want = aq_test_hex("c88363617483646f67");
  aq_rlp_put_bytes(&items, aq_bytes_str("cat"));
  aq_rlp_put_bytes(&items, aq_bytes_str("dog"));
  aq_rlp_put_list(&out, aq_buf_bytes(&items));
  assert_bytes(aq_buf_bytes(&out), aq_buf_bytes(&want));
  aq_buf_free(&items), aq_buf_free(&out), aq_buf_free(&want);
}

/* Goal: long strings and lists use the long form; every truncation is noticed.
   Method: lengths around the borders, every prefix of the encoding. */
static void lengths(void **state) {
  (void)state;
  static const size_t len[] = {54, 55, 56, 57, 255, 256, 65535, 65536};
  static uint8_t body[65536];
  for (size_t i = 0; i < AQ_COUNT(len); i++) {
    aq_buf out = AQ_BUF(1 << 20);
    aq_rlp_put_list(&out, aq_bytes_of(body, len[i]));
    aq_rlp_item item;
    aq_rd r = aq_rd_of(aq_buf_bytes(&out));
    assert_int_equal(aq_rlp_next(&r, &item), AQ_OK);
    assert_true(item.is_list && item.body.len == len[i] && aq_rd_done(&r));
    for (size_t cut = 0; cut < out.len; cut += 1 + out.len / 50) {
      r = aq_rd_of(aq_bytes_of(out.ptr, cut));
      assert_int_equal(aq_rlp_next(&r, &item), AQ_E_TRUNC);
    }
    aq_buf_free(&out);
  }
}

/* Goal: a longer form than needed is refused, and so are lengths past the end, however large.
   Method: a table. */
static void strict(void **state) {
  (void)state;
  static const struct {
    const char *hex;
    aq_status st;
  } row[] = {{"8105", AQ_E_FORMAT},
             {"b80161", AQ_E_FORMAT},
             {"b900ff", AQ_E_FORMAT},
             {"f800", AQ_E_FORMAT},
             {"b8028080", AQ_E_FORMAT},
             {"f80180", AQ_E_FORMAT},
             {"b8", AQ_E_TRUNC},
             {"bfffffffffffffffff", AQ_E_TRUNC},
             {"ffffffffffffffffff", AQ_E_TRUNC},
             {"83646f", AQ_E_TRUNC}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_buf in = aq_test_hex(row[i].hex);
    aq_rd r = aq_rd_of(aq_buf_bytes(&in));
    aq_rlp_item item;
    assert_int_equal(aq_rlp_next(&r, &item), row[i].st);
    aq_buf_free(&in);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(examples), cmocka_unit_test(lengths), cmocka_unit_test(strict)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
