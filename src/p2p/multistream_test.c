/* Recorded negotiations, cut anywhere, and what no honest side says. */
#include "p2p/multistream.h"

#include "aq_test.h"

enum { NAMES_MAX = 8 };
typedef struct {
  const char *name[NAMES_MAX];
  uint32_t cnt;
} names;

static names names_of(yyjson_val *arr) {
  names n = {.cnt = 0};
  size_t i, max;
  yyjson_val *v;
  yyjson_arr_foreach(arr, i, max, v) n.name[n.cnt++] = yyjson_get_str(v);
  return n;
}

static int find(void *arg, aq_bytes name) {
  const names *n = arg;
  for (uint32_t i = 0; i < n->cnt; i++) {
    if (aq_bytes_eq(name, aq_bytes_str(n->name[i]))) return (int)i;
  }
  return -1;
}

/* Goal: tokens are encoded and read as the reference does, and no prefix of one is taken for a whole one.
   Method: vector tokens both ways; every proper prefix must ask for more. */
static void tokens(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/multistream.json");
  size_t i, max;
  yyjson_val *v;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "tokens"), i, max, v) {
    aq_buf want = aq_test_hex_of(v, "encoded"), got = AQ_BUF(2048);
    aq_ms_put(&got, aq_test_str(v, "token"));
    assert_bytes(aq_buf_bytes(&got), aq_buf_bytes(&want));
    aq_bytes token;
    size_t used;
    assert_int_equal(aq_ms_get(&token, &used, aq_buf_bytes(&want)), AQ_OK);
    assert_int_equal(used, want.len);
    assert_bytes(token, aq_bytes_str(aq_test_str(v, "token")));
    for (size_t len = 0; len < want.len; len++) {
      assert_int_equal(aq_ms_get(&token, &used, aq_bytes_of(want.ptr, len)), AQ_E_AGAIN);
    }
    aq_buf_free(&want), aq_buf_free(&got);
  }
  yyjson_doc_free(doc);
}

/* Goal: what the reference reader refuses is refused, and so is a length that never ends.
   Method: the vector's invalid encodings; a long varint. */
static void invalid(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/multistream.json");
  size_t i, max, used;
  yyjson_val *v;
  aq_bytes token;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "invalid"), i, max, v) {
    aq_buf in = aq_test_hex_of(v, "encoded");
    aq_status st = aq_ms_get(&token, &used, aq_buf_bytes(&in));
    assert_true(st == AQ_E_FORMAT || st == AQ_E_LIMIT);
    aq_buf_free(&in);
  }
  assert_int_equal(aq_ms_get(&token, &used, aq_bytes_str("\xff\xff\xff")), AQ_E_LIMIT);
  yyjson_doc_free(doc);
}

/* Feeds `in` in pieces of `step` bytes; true when the negotiation ended well. *rest: bytes behind it. */
static bool respond_all(names *support, aq_bytes in, size_t step, aq_buf *out, int *chosen, aq_status *last,
                        size_t *rest) {
  aq_ms_responder r = {0};
  size_t start = 0, used;
  *last = aq_ms_respond(&r, chosen, &used, aq_bytes_of(in.ptr, 0), out, find, support);
  for (size_t end = 0; end < in.len && *last == AQ_E_AGAIN;) {
    end = end + step < in.len ? end + step : in.len;
    *last = aq_ms_respond(&r, chosen, &used, aq_bytes_of(in.ptr + start, end - start), out, find, support);
    start += used;
  }
  *rest = start;
  return *last == AQ_OK;
}

/* Goal: both roles write exactly what the recorded negotiations contain, however the bytes are cut, and leave
   application bytes. Method: each vector exchange, both sides, in pieces of every length up to the whole. */
static void exchanges(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/multistream.json");
  size_t i, max;
  yyjson_val *v;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "exchanges"), i, max, v) {
    aq_buf init = aq_test_hex_of(v, "initiator_sends"), resp = aq_test_hex_of(v, "responder_sends");
    bool lazy = !yyjson_obj_get(v, "initiator_offers");
    const char *result = lazy ? "/ipfs/ping/1.0.0" : aq_test_str(v, "result");
    bool fails = strncmp(result, "error", 5) == 0;
    names support = lazy ? (names){{result}, 1} : names_of(yyjson_obj_get(v, "responder_supports"));
    names offers = lazy ? (names){{result}, 1} : names_of(yyjson_obj_get(v, "initiator_offers"));
    size_t app = lazy ? 32 : 0;
    for (size_t step = 1; step <= init.len; step++) {
      aq_buf out = AQ_BUF(4096);
      int chosen = -1;
      aq_status last;
      size_t rest;
      bool ok = respond_all(&support, aq_buf_bytes(&init), step, &out, &chosen, &last, &rest);
      assert_int_equal(ok, !fails);
      assert_bytes(aq_buf_bytes(&out), aq_bytes_of(resp.ptr, resp.len - app));
      if (ok) assert_string_equal(support.name[chosen], result);
      if (ok) assert_int_equal(init.len - rest, app);
      aq_buf_free(&out);
    }
    for (size_t step = 1; step <= resp.len; step++) {
      aq_buf out = AQ_BUF(4096);
      aq_ms_initiator in;
      aq_ms_propose(&in, offers.name, offers.cnt, &out);
      aq_status st = AQ_E_AGAIN;
      size_t start = 0, used;
      for (size_t end = 0; end < resp.len && st == AQ_E_AGAIN;) {
        end = end + step < resp.len ? end + step : resp.len;
        st = aq_ms_answer(&in, &used, aq_bytes_of(resp.ptr + start, end - start), &out);
        start += used;
      }
      assert_int_equal(st, fails ? AQ_E_UNSUPPORTED : AQ_OK);
      assert_bytes(aq_buf_bytes(&out), aq_bytes_of(init.ptr, init.len - app));
      if (!fails) assert_string_equal(offers.name[in.idx], result);
      if (!fails) assert_int_equal(resp.len - start, app);
      aq_buf_free(&out);
    }
    aq_buf_free(&init), aq_buf_free(&resp);
  }
  yyjson_doc_free(doc);
}

/* Goal: an initiator that proposes for ever is stopped, and a wrong header ends the negotiation.
   Method: 33 unknown names; another header. */
static void endless_proposals(void **state) {
  (void)state;
  aq_buf in = AQ_BUF(65536), out = AQ_BUF(65536);
  names support = {{"/noise"}, 1};
  int chosen;
  aq_status last;
  size_t rest;
  aq_ms_put(&in, AQ_MS_HEADER);
  for (int i = 0; i <= AQ_MS_PROPOSALS_MAX; i++) aq_ms_put(&in, "/x");
  assert_false(respond_all(&support, aq_buf_bytes(&in), in.len, &out, &chosen, &last, &rest));
  assert_int_equal(last, AQ_E_LIMIT);
  aq_buf_reset(&in);
  aq_ms_put(&in, "/multistream/2.0.0");
  assert_false(respond_all(&support, aq_buf_bytes(&in), in.len, &out, &chosen, &last, &rest));
  assert_int_equal(last, AQ_E_FORMAT);
  aq_buf_free(&in), aq_buf_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tokens),
      cmocka_unit_test(invalid),
      cmocka_unit_test(exchanges),
      cmocka_unit_test(endless_proposals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
