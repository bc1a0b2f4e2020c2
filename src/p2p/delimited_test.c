/* Messages cut anywhere, lengths that lie, and what they may cost. */
#include "p2p/delimited.h"

#include "aq_test.h"

/* Goal: length prefixes are written as the reference does.
   Method: the vector's lengths, by the prefix of a message of that length where that is small. */
static void lengths(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/delimited.json");
  size_t i, max;
  yyjson_val *v;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "lengths"), i, max, v) {
    aq_buf want = aq_test_hex_of(v, "varint"), msg = AQ_BUF(256u << 20), out = AQ_BUF(256u << 20);
    uint64_t len = aq_test_u64(v, "length");
    aq_delimited d;
    size_t used;
    aq_delimited_init(&d, 128u << 20);
    aq_status st = aq_delimited_feed(&d, &used, aq_buf_bytes(&want));
    assert_int_equal(st, len ? AQ_E_AGAIN : AQ_OK);
    assert_int_equal(d.len, len);
    assert_true(d.body.cap <= 128); /* nothing was allocated for what has not come */
    if (len <= 1048576) {
      if (len) assert_non_null(aq_buf_extend(&msg, len));
      aq_delimited_put(&out, aq_buf_bytes(&msg));
      assert_bytes(aq_bytes_of(out.ptr, want.len), aq_buf_bytes(&want));
      assert_int_equal(out.len, want.len + len);
    }
    aq_delimited_free(&d);
    aq_buf_free(&want), aq_buf_free(&msg), aq_buf_free(&out);
  }
  yyjson_doc_free(doc);
}

/* Goal: the verdicts of the reference reader, whatever the cut; bytes behind the message are left.
   Method: the vector's reader cases, in pieces of one byte and whole, with a byte behind. */
static void reader_cases(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/delimited.json");
  size_t i, max;
  yyjson_val *v;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "reader_cases"), i, max, v) {
    aq_buf in = aq_test_hex_of(v, "bytes");
    const char *verdict = aq_test_str(v, "reader_result");
    aq_status want = AQ_OK; /* the protobuf inside is not our business here */
    if (strcmp(verdict, "unexpected EOF") == 0) want = AQ_E_AGAIN;
    if (strcmp(verdict, "short buffer") == 0) want = AQ_E_LIMIT;
    if (strncmp(verdict, "varint", 6) == 0) want = AQ_E_FORMAT;
    for (size_t step = 1; step <= in.len; step += in.len > 1 ? in.len - 1 : 1) {
      aq_delimited d;
      aq_delimited_init(&d, aq_test_u64(v, "limit"));
      aq_status st = AQ_E_AGAIN;
      size_t off = 0, used;
      while (off < in.len && st == AQ_E_AGAIN) {
        size_t len = in.len - off < step ? in.len - off : step;
        st = aq_delimited_feed(&d, &used, aq_bytes_of(in.ptr + off, len));
        off += used;
      }
      assert_int_equal(st, want);
      if (st == AQ_OK) assert_int_equal(off, in.len);
      aq_delimited_free(&d);
    }
    if (want == AQ_OK) {
      aq_delimited d;
      size_t used, len = in.len;
      aq_delimited_init(&d, aq_test_u64(v, "limit"));
      aq_buf_put_u8(&in, 0xaa);
      assert_int_equal(aq_delimited_feed(&d, &used, aq_buf_bytes(&in)), AQ_OK);
      assert_int_equal(used, len);
      aq_delimited_free(&d);
    }
    aq_buf_free(&in);
  }
  yyjson_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(lengths), cmocka_unit_test(reader_cases)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
