/* Peer ids of libp2p, leading zeros, and texts that are no base58, base64 or base32. */
#include "codec/base58.h"

#include "aq_test.h"
#include "codec/base64.h"

/* Goal: peer ids in base58 and base32 are those of libp2p.
   Method: peer_ids.json, both directions of base58, decoding of base32. */
static void peer_ids(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/peer_ids.json");
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "keys"), *it;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    aq_buf id = aq_test_hex_of(it, "peer_id_bytes"), cid = AQ_BUF(64);
    char text[AQ_BASE58_TEXT_MAX];
    uint8_t back[AQ_BASE58_BYTES_MAX];
    size_t len = 0;
    aq_base58_encode(text, aq_buf_bytes(&id));
    assert_string_equal(text, aq_test_str(it, "peer_id_base58"));
    assert_int_equal(aq_base58_decode(back, &len, sizeof back, aq_bytes_str(text)), AQ_OK);
    assert_bytes(aq_bytes_of(back, len), aq_buf_bytes(&id));
    assert_int_equal(aq_base32_decode(&cid, aq_bytes_str(aq_test_str(it, "peer_id_cidv1_base32") + 1)), AQ_OK);
    assert_bytes(aq_bytes_of(cid.ptr + 2, cid.len - 2), aq_buf_bytes(&id));
    aq_buf_free(&id), aq_buf_free(&cid);
  }
  assert_true(max > 0);
  yyjson_doc_free(doc);
}

/* Goal: base58 keeps leading zeros, any length up to the limit survives, wrong text fails.
   Method: random round trips with a fixed seed; a table of faults. */
static void base58_edges(void **state) {
  (void)state;
  aq_test_rng rng;
  aq_test_rng_seed(&rng, 58);
  for (size_t len = 1; len <= AQ_BASE58_BYTES_MAX; len++) {
    uint8_t in[AQ_BASE58_BYTES_MAX], back[AQ_BASE58_BYTES_MAX];
    char text[AQ_BASE58_TEXT_MAX];
    size_t back_len = 0;
    aq_test_rng_bytes(&rng, in, len);
    memset(in, 0, len / 3);
    aq_base58_encode(text, aq_bytes_of(in, len));
    assert_int_equal(aq_base58_decode(back, &back_len, sizeof back, aq_bytes_str(text)), AQ_OK);
    assert_bytes(aq_bytes_of(back, back_len), aq_bytes_of(in, len));
    assert_int_equal(aq_base58_decode(back, &back_len, len - 1, aq_bytes_str(text)), AQ_E_LIMIT);
  }
  uint8_t out[8];
  size_t len;
  static const char *const bad[] = {"", "0", "O", "I", "l", "a b", "a+"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    assert_int_equal(aq_base58_decode(out, &len, sizeof out, aq_bytes_str(bad[i])), AQ_E_FORMAT);
  }
}

/* Goal: base64 of both alphabets, strictly.
   Method: the examples of RFC 4648 section 10, and texts that a lenient decoder would take. */
static void base64(void **state) {
  (void)state;
  static const char *const row[][3] = {{"", "", ""},
                                       {"f", "Zg==", "Zg"},
                                       {"fo", "Zm8=", "Zm8"},
                                       {"foo", "Zm9v", "Zm9v"},
                                       {"foob", "Zm9vYg==", "Zm9vYg"},
                                       {"\xfb\xff\xfe", "+//+", "-__-"}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    for (int form = AQ_BASE64_STD; form <= AQ_BASE64_URL; form++) {
      aq_buf text = AQ_BUF(64), back = AQ_BUF(64);
      aq_base64_encode(&text, aq_bytes_str(row[i][0]), (aq_base64_form)form);
      assert_string_equal(aq_buf_cstr(&text), row[i][1 + form]);
      assert_int_equal(aq_base64_decode(&back, aq_buf_bytes(&text), (aq_base64_form)form), AQ_OK);
      assert_bytes(aq_buf_bytes(&back), aq_bytes_str(row[i][0]));
      aq_buf_free(&text), aq_buf_free(&back);
    }
  }
  static const char *const bad_std[] = {"Zg", "Zg=", "Zh==", "Zg==Zg==", "Z===", "====", "Zm9\n", "-__-"};
  static const char *const bad_url[] = {"Z", "Zh", "Zg==", "+//+", "Zm9vY"};
  aq_buf out = AQ_BUF(64);
  for (size_t i = 0; i < AQ_COUNT(bad_std); i++) {
    assert_int_equal(aq_base64_decode(&out, aq_bytes_str(bad_std[i]), AQ_BASE64_STD), AQ_E_FORMAT);
  }
  for (size_t i = 0; i < AQ_COUNT(bad_url); i++) {
    assert_int_equal(aq_base64_decode(&out, aq_bytes_str(bad_url[i]), AQ_BASE64_URL), AQ_E_FORMAT);
  }
  assert_int_equal(aq_base32_decode(&out, aq_bytes_str("a")), AQ_E_FORMAT);
  assert_int_equal(out.len, 0);
  aq_buf_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(peer_ids), cmocka_unit_test(base58_edges),
                                     cmocka_unit_test(base64)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
