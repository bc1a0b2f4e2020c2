/* A beacon node that refuses, goes away and comes back. */
#include "schedule/preparer.h"

#include "fake/nodes.h"

static aq_validator_address address[VALIDATORS] = {{"0x00000000000000000000000000000000000000a1", ""},
                                                   {"0x00000000000000000000000000000000000000a2", ""}};

typedef struct {
  world *w;
  uint32_t fails, refuses, asked, told;
} beacon;

static beacon *beacon_now; /* of the requests that bn_handle does not know */

static void handle(void *arg, fake_ex *ex) {
  if (!strstr(ex->url, "/prepare_beacon_proposer")) {
    bn_handle(arg, ex);
    return;
  }
  beacon *b = beacon_now;
  b->asked++;
  if (b->w->validator[0].has_override)
    assert_non_null(strstr((const char *)ex->body.ptr, "{\"validator_index\":\"10\",\"fee_recipient\":\"0xcc"));
  assert_non_null(strstr((const char *)ex->body.ptr,
                         "{\"validator_index\":\"11\",\"fee_recipient\":\"0x0000000000000000000"
                         "0000000000000000000a2\"}"));
  if (b->fails)
    b->fails--, fake_http_fail(ex, AQ_MILLIS(5), AQ_E_CLOSED);
  else if (b->refuses)
    b->refuses--, fake_http_answer(ex, AQ_MILLIS(5), 500, "{}");
  else
    fake_http_answer(ex, AQ_MILLIS(5), 200, "{}");
}

static void told(void *arg) { ((beacon *)arg)->told++; }

/* Goal: a beacon node that is away or refuses is told the fee recipients once it is back, not an epoch later or never:
   its blocks would pay somebody else, and the cluster would not sign them. Method: connections that fail, then errors;
   after that once an epoch, and when it may have forgotten. */
static void test_asked_until_taken(void **state) {
  (void)state;
  world *w = world_new(0, 0);
  beacon b = {.w = w, .fails = 3, .refuses = 2};
  beacon_now = &b;
  w->lock.def.addresses = address;
  node_start(w, 0, true, AQ_STORE_OK);
  w->node[0].http.handle = handle;
  run_to(w, SPE, AQ_SECONDS(6));
  aq_preparer *p = aq_preparer_new(&(aq_preparer_cfg){&w->env.env, w->node[0].bn, &w->chain,
                                                      aq_workflow_scheduler(w->node[0].workflow), &w->lock, &b, told});
  aq_preparer_start(p);
  run_to(w, SPE + 2, 0);
  assert_int_equal(b.asked, 6);
  run_to(w, 2 * SPE - 1, 0);
  assert_int_equal(b.asked, 6);
  assert_int_equal(b.told, 1);
  w->validator[0].has_override = true;
  w->validator[0].override.fee_recipient[0] = 0xcc;
  run_to(w, 2 * SPE + 1, 0);
  assert_int_equal(b.asked, 7);
  aq_preparer_again(p);
  run_to(w, 2 * SPE + 2, 0);
  assert_int_equal(b.asked, 8);
  run_to(w, 3 * SPE + 1, 0);
  assert_int_equal(b.asked, 9);
  aq_preparer_free(p);
  run_to(w, 4 * SPE + 1, 0);
  assert_int_equal(b.asked, 9);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_asked_until_taken)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
