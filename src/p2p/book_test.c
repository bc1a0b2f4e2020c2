/* When addresses are tried, which are kept, and by whom they may be replaced. */
#include "p2p/book.h"

#include "aq_test.h"
#include "identity/identity.h"

/* Goal: both forms of addresses are read, others refused.
   Method: a table; the multiaddr with a peer id from peer_ids.json. */
static void texts(void **state) {
  (void)state;
  static const struct {
    const char *text, *host;
    uint16_t port;
    aq_status st;
  } cases[] = {
      {"10.0.0.1:3610", "10.0.0.1", 3610, AQ_OK},
      {"node-1:3610", "node-1", 3610, AQ_OK},
      {"[fe80::1]:1", "fe80::1", 1, AQ_OK},
      {"/ip4/10.0.0.1/tcp/3610", "10.0.0.1", 3610, AQ_OK},
      {"/dns/node-1/tcp/3610", "node-1", 3610, AQ_OK},
      {"/ip4/10.0.0.1/udp/3610/quic-v1", "", 0, AQ_E_UNSUPPORTED},
      {"/dns/no de/tcp/3610", "", 0, AQ_E_FORMAT},
      {"node-1", "", 0, AQ_E_FORMAT},
      {":3610", "", 0, AQ_E_FORMAT},
      {"node-1:0", "", 0, AQ_E_FORMAT},
      {"node-1:65536", "", 0, AQ_E_FORMAT},
      {"no de:1", "", 0, AQ_E_FORMAT},
      {"fe80::1:1", "", 0, AQ_E_FORMAT},
      {"", "", 0, AQ_E_FORMAT},
  };
  char host[AQ_BOOK_HOST_LEN], text[300];
  uint16_t port;
  uint8_t peer[33];
  bool has_peer;
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    assert_int_equal(aq_addr_parse(host, &port, peer, &has_peer, cases[i].text), cases[i].st);
    if (cases[i].st != AQ_OK) continue;
    assert_string_equal(host, cases[i].host);
    assert_int_equal(port, cases[i].port);
    assert_false(has_peer);
  }
  yyjson_doc *doc = aq_test_json("wire/peer_ids.json");
  yyjson_val *key = yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "keys"));
  aq_buf want = aq_test_hex_of(key, "public_key_compressed");
  snprintf(text, sizeof text, "/ip4/10.0.0.1/tcp/1/p2p/%s", aq_test_str(key, "peer_id_base58"));
  assert_int_equal(aq_addr_parse(host, &port, peer, &has_peer, text), AQ_OK);
  assert_true(has_peer);
  assert_bytes(aq_bytes_of(peer, 33), aq_buf_bytes(&want));
  aq_buf_free(&want);
  yyjson_doc_free(doc);
  aq_addr_text(text, sizeof text, "fe80::1", 5);
  assert_string_equal(text, "[fe80::1]:5");
  aq_addr_text(text, sizeof text, "node-1", 5);
  assert_string_equal(text, "node-1:5");
}

/* Goal: waits double from 1 s to 30 s with at most a fifth of jitter; static addresses are never dropped, others
   after 5 failures. Method: failures with the extreme random numbers. */
static void back_off(void **state) {
  (void)state;
  aq_book b;
  aq_book_init(&b, 4);
  uint64_t now = AQ_SECONDS(100), want_s[] = {1, 2, 4, 8, 16, 30, 30, 30};
  assert_int_equal(aq_book_add(&b, "a", 1, AQ_ADDR_STATIC, now), AQ_OK);
  assert_int_equal(aq_book_add(&b, "b", 1, AQ_ADDR_ANNOUNCED, now), AQ_OK);
  assert_int_equal(aq_book_next_ns(&b), now);
  for (size_t i = 0; i < AQ_COUNT(want_s); i++) {
    aq_book_failed(&b, "a", 1, now, 0);
    assert_int_equal(aq_book_find(&b, "a", 1)->next_ns, now + AQ_SECONDS(want_s[i]));
    aq_book_failed(&b, "b", 1, now, UINT32_MAX);
    aq_addr *second = aq_book_find(&b, "b", 1);
    assert_int_equal(second != NULL, i < 4);
    if (second) assert_in_range(second->next_ns - now, AQ_SECONDS(want_s[i]) * 4 / 5, AQ_SECONDS(want_s[i]));
  }
  assert_null(aq_book_due(&b, now + AQ_SECONDS(30) - 1));
  aq_book_wake(&b, now);
  assert_non_null(aq_book_due(&b, now));
  aq_book_worked(&b, "a", 1, now, 0);
  assert_int_equal(aq_book_find(&b, "a", 1)->fails, 0);
  aq_book_free(&b);
}

/* Goal: a full book keeps static addresses and prefers them; an address in use is not handed out again.
   Method: 4 places. */
static void order_and_limit(void **state) {
  (void)state;
  aq_book b;
  aq_book_init(&b, 4);
  assert_int_equal(aq_book_add(&b, "x", 1, AQ_ADDR_REMEMBERED, 0), AQ_OK);
  assert_int_equal(aq_book_add(&b, "y", 1, AQ_ADDR_ANNOUNCED, 0), AQ_OK);
  assert_int_equal(aq_book_add(&b, "s", 1, AQ_ADDR_STATIC, 0), AQ_OK);
  assert_int_equal(aq_book_add(&b, "t", 1, AQ_ADDR_STATIC, 0), AQ_OK);
  assert_int_equal(aq_book_add(&b, "z", 1, AQ_ADDR_ANNOUNCED, 0), AQ_E_LIMIT);
  assert_int_equal(aq_book_add(&b, "x", 1, AQ_ADDR_ANNOUNCED, 0), AQ_OK);
  aq_addr *a = aq_book_due(&b, 0);
  assert_string_equal(a->host, "s");
  a->dialing = true;
  assert_string_equal(aq_book_due(&b, 0)->host, "t");
  aq_book_failed(&b, "y", 1, 0, 0);
  assert_int_equal(aq_book_add(&b, "u", 1, AQ_ADDR_STATIC, 0), AQ_OK);
  assert_null(aq_book_find(&b, "y", 1));
  assert_int_equal(aq_book_add(&b, "x", 1, AQ_ADDR_STATIC, 0), AQ_OK);
  assert_int_equal(aq_book_add(&b, "v", 1, AQ_ADDR_STATIC, 0), AQ_E_LIMIT);
  aq_book_drop(&b, "t", 1);
  assert_int_equal(b.cnt, 3);
  assert_int_equal(aq_book_add(&b, "w", 1, AQ_ADDR_ANNOUNCED, 0), AQ_OK);
  aq_book_drop_source(&b, AQ_ADDR_ANNOUNCED);
  assert_int_equal(b.cnt, 3);
  aq_book_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts),
      cmocka_unit_test(back_off),
      cmocka_unit_test(order_and_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
