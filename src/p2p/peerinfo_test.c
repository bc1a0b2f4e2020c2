/* Questions and answers about versions, clocks and locks, in virtual time. */
#include "p2p/peerinfo.h"

#include "aq_test.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/peerinfo_version.h"
#include "fake/net.h"

/* A net that records what peerinfo does with it. */
typedef struct {
  fake_env loop;
  aq_net net;
  aq_net_handler handler;
  aq_buf asked, answered;
  uint32_t requests;
  aq_net_answer fn;
  void *fn_arg;
  aq_peerinfo *p;
} world;

static void net_request(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_answer fn, void *arg) {
  world *w = ctx;
  assert_int_equal(proto, AQ_PROTO_PEERINFO);
  assert_int_equal(peer, 1);
  aq_buf_reset(&w->asked);
  aq_buf_put_bytes(&w->asked, msg);
  w->requests++;
  w->fn = fn;
  w->fn_arg = arg;
}

static void net_respond(void *ctx, aq_net_reply *reply, aq_bytes answer) {
  world *w = ctx;
  assert_null(reply);
  aq_buf_reset(&w->answered);
  aq_buf_put_bytes(&w->answered, answer);
}

static void net_handle(void *ctx, aq_net_proto proto, const aq_net_handler *h) {
  assert_int_equal(proto, AQ_PROTO_PEERINFO);
  ((world *)ctx)->handler = *h;
}

static const char *const names[] = {"me", "other"};

static void world_init(world *w, uint64_t now_ns) {
  memset(w, 0, sizeof *w);
  aq_metrics_init();
  fake_env_init(&w->loop, now_ns);
  w->net = (aq_net){.ctx = w, .request = net_request, .respond = net_respond, .handle = net_handle};
  w->asked = w->answered = AQ_BUF(65536);
  aq_peerinfo_cfg cfg = {.env = &w->loop.env,
                         .net = &w->net,
                         .self = 0,
                         .peer_cnt = 2,
                         .peer_names = names,
                         .wire_version = "v1.11.0",
                         .git_hash = "0a1b2c3",
                         .nickname = "n",
                         .builder_api = true};
  assert_int_equal(
      aq_hex_decode(cfg.lock_hash, 32, aq_bytes_str("06e384449fe6bf5f5a57eaed6ae2fabc76b36a4a2895c71a158c20bd046ef8f1"),
                    AQ_HEX_BARE),
      AQ_OK);
  w->p = aq_peerinfo_new(&cfg);
  aq_peerinfo_start(w->p);
}

static void world_free(world *w) {
  aq_peerinfo_free(w->p);
  aq_buf_free(&w->asked), aq_buf_free(&w->answered);
  fake_env_free(&w->loop);
}

static aq_buf vector(size_t idx) {
  yyjson_doc *doc = aq_test_json("wire/peerinfo.json");
  aq_buf out = aq_test_hex_of(yyjson_arr_get(yyjson_obj_get(yyjson_doc_get_root(doc), "messages"), idx), "delimited");
  aq_buf_drop_front(&out, 1); /* the length */
  yyjson_doc_free(doc);
  return out;
}

/* Goal: our answer is the vector's message of an aequa node, byte for byte, whatever the request says.
   Method: the same fields and clock; the empty request of relays. */
static void answer(void **state) {
  (void)state;
  world w;
  world_init(&w, UINT64_C(1763890000) * AQ_NS_PER_SEC + 2);
  fake_env_set(&w.loop, UINT64_C(1763900000) * AQ_NS_PER_SEC + 1);
  aq_buf want = vector(2);
  w.handler.serve(w.handler.arg, 1, aq_bytes_of(NULL, 0), NULL);
  assert_bytes(aq_buf_bytes(&w.answered), aq_buf_bytes(&want));
  w.handler.serve(w.handler.arg, 1, aq_bytes_str("\xff garbage"), NULL);
  assert_bytes(aq_buf_bytes(&w.answered), aq_buf_bytes(&want));
  aq_buf_free(&want);
  world_free(&w);
}

/* Goal: each peer is asked every minute, the first time after a minute, and a Charon node's answer shows in the
   metrics. Method: virtual time; the vector's answer; then silence. */
static void asking(void **state) {
  (void)state;
  world w;
  world_init(&w, UINT64_C(1763900000) * AQ_NS_PER_SEC - AQ_SECONDS(60));
  fake_env_run_for(&w.loop, AQ_SECONDS(60) - 1);
  assert_int_equal(w.requests, 0);
  fake_env_run_for(&w.loop, 1);
  assert_int_equal(w.requests, 1);
  fake_env_hold(&w.loop, AQ_MILLIS(200)); /* round trip */
  aq_buf msg = vector(1);
  w.fn(w.fn_arg, AQ_OK, aq_buf_bytes(&msg));
  aq_buf_free(&msg);
  assert_true(aq_metric_value(AQ_M_APP_PEERINFO_VERSION, AQ_LABELS("other", "v1.11.0-dev")) == 1);
  assert_true(aq_metric_value(AQ_M_APP_PEERINFO_DV_CLIENT, AQ_LABELS("other", "charon")) == 1);
  assert_true(aq_metric_value(AQ_M_APP_PEERINFO_NICKNAME, AQ_LABELS("other", "wire0")) == 1);
  assert_true(aq_metric_value(AQ_M_APP_PEERINFO_GIT_COMMIT, AQ_LABELS("other", "unknown")) == 1);
  assert_true(aq_metric_value(AQ_M_APP_PEERINFO_VERSION_SUPPORT, AQ_LABELS("other")) == 1);
  assert_true(aq_metric_value(AQ_M_APP_PEERINFO_START_TIME_SECS, AQ_LABELS("other")) == 1763890000);
  double offset = aq_metric_value(AQ_M_APP_PEERINFO_CLOCK_OFFSET_SECONDS, AQ_LABELS("other"));
  assert_true(offset > 0.0233 && offset < 0.0236); /* 123.456789 ms ahead, half of 200 ms under way */
  fake_env_run_for(&w.loop, AQ_SECONDS(60));
  assert_int_equal(w.requests, 2);
  fake_env_run_for(&w.loop, AQ_SECONDS(180));
  assert_int_equal(w.requests, 2); /* one at a time */
  w.fn(w.fn_arg, AQ_E_TIMEOUT, aq_bytes_of(NULL, 0));
  fake_env_run_for(&w.loop, AQ_SECONDS(60));
  assert_int_equal(w.requests, 3);
  aq_buf again = vector(2);
  w.fn(w.fn_arg, AQ_OK, aq_buf_bytes(&again));
  aq_buf_free(&again);
  assert_true(aq_metric_value(AQ_M_APP_PEERINFO_DV_CLIENT, AQ_LABELS("other", "aequa")) == 1);
  assert_true(aq_metric_value(AQ_M_APP_PEERINFO_DV_CLIENT, AQ_LABELS("other", "charon")) == 0);
  world_free(&w);
}

/* Goal: answers that are broken in any way change nothing and never crash.
   Method: every prefix and every flipped byte of the vector's answer. */
static void broken_answers(void **state) {
  (void)state;
  world w;
  world_init(&w, UINT64_C(1763900000) * AQ_NS_PER_SEC);
  fake_env_run_for(&w.loop, AQ_SECONDS(60));
  aq_buf msg = vector(1);
  for (size_t len = 0; len < msg.len; len++) w.fn(w.fn_arg, AQ_OK, aq_bytes_of(msg.ptr, len));
  for (size_t i = 0; i < msg.len; i++) {
    for (int bit = 0; bit < 8; bit++) {
      msg.ptr[i] ^= (uint8_t)(1 << bit);
      w.fn(w.fn_arg, AQ_OK, aq_buf_bytes(&msg));
      msg.ptr[i] ^= (uint8_t)(1 << bit);
    }
  }
  aq_buf_free(&msg);
  world_free(&w);
}

/* Goal: the version rule of Charon, and its form of git hashes.
   Method: the vector's verdicts; a table. */
static void versions(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/peerinfo.json");
  size_t i, max;
  yyjson_val *v;
  aq_wire_version own;
  assert_int_equal(aq_wire_version_parse(&own, aq_bytes_str("v1.11.0")), AQ_OK);
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "version_checks"), i, max, v) {
    bool ok = aq_wire_version_ok(&own, aq_bytes_str(aq_test_str(v, "peer")));
    assert_int_equal(ok, yyjson_get_bool(yyjson_obj_get(v, "accepted")));
  }
  yyjson_doc_free(doc);
  static const char *const bad[] = {"", "v", "v1.", "v1.2.", "v1.2-", "v1.2.3-", "v1.x", "v1.2.3.4", "v-1.2", "v1.11 "};
  for (i = 0; i < AQ_COUNT(bad); i++) assert_false(aq_wire_version_ok(&own, aq_bytes_str(bad[i])));
  assert_true(aq_git_hash_ok("0a1b2c3") && aq_git_hash_ok("unknown"));
  assert_false(aq_git_hash_ok("") || aq_git_hash_ok("0A1b2c3") || aq_git_hash_ok("0a1b2c34"));
}

static int setup(void **state) {
  (void)state;
  aq_log_start(AQ_LOG_ERROR, NULL, NULL);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answer),
      cmocka_unit_test(asking),
      cmocka_unit_test(broken_answers),
      cmocka_unit_test(versions),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
