/* Validators and duties beyond the recorded exchanges (vapi_vectors_test.c). validator-api.md 4 and 5. */
#include "aq_test.h"

#include "api/vapi_internal.h"

#include "fake/vapi.h"

#define VALIDATORS "/eth/v1/beacon/states/head/validators"

/* Indices in the answer's data, as text "10,11"; the status must be 200. */
static void expect_indices(fake_res *r, const char *name, const char *want) {
  char got[128] = "";
  size_t len = 0, i, max;
  yyjson_doc *doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
  yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data"), *it;
  if (r->code != 200) fail_msg("%d %s", r->code, aq_buf_cstr(&r->body));
  assert_true(yyjson_is_arr(data));
  yyjson_arr_foreach(data, i, max, it) {
    len += (size_t)snprintf(got + len, sizeof got - len, "%s%llu", i ? "," : "",
                            (unsigned long long)aq_test_u64(it, name));
  }
  assert_string_equal(got, want);
  yyjson_doc_free(doc);
  fake_res_free(r);
}

static void expect(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

/* Goal: ids in every form, in the order of the request, filtered by status. Method: two validators, active_ongoing and
   active_exiting; one query or body each. */
static void test_lists(void **state) {
  static const struct {
    const char *query, *body, *want;
  } cases[] = {{"", NULL, "10,11"},
               {"?id=11,10", NULL, "11,10"},
               {"?id=11&id=10", NULL, "11,10"},
               {"?id=%2010%20,,%2011", NULL, "10,11"},
               {"?id=12,11", NULL, "11"},
               {"?id=11,10,11&id=11", NULL, "11,10"}, /* each once */
               {"?id=10&status=active_exiting", "{\"statuses\":[\"active_ongoing\"]}", "10"},
               {"?status=withdrawal,exited,active_slashed", NULL, ""},
               {"?id=18446744073709551615", NULL, ""},
               {"?status=active", NULL, "10,11"},
               {"?status=active_exiting", NULL, "11"},
               {"?status=pending,active_ongoing", NULL, "10"},
               {"?status=pending&status=active_exiting&id=10,11", NULL, "11"},
               {"?status=activ", NULL, ""},
               {"?status=", NULL, ""},
               {"", "{}", "10,11"},
               {"", "{\"ids\":null}", "10,11"},
               {"", "{\"ids\":[\"11\",10]}", "11,10"},
               {"?id=10", "{\"ids\":[\"11\"]}", "10"},
               {"", "{\"ids\":[\"10\",\"11\"],\"statuses\":[\"active_exiting\"]}", "11"},
               {"", "{\"statuses\":[\"pending_queued\"]}", ""},
               {"", "{\"statuses\":null}", "10,11"},
               {"", "{\"statuses\":[1]}", ""}};
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    char target[256];
    snprintf(target, sizeof target, VALIDATORS "%s", cases[i].query);
    expect_indices(cases[i].body ? fv_post_json(f, target, NULL, cases[i].body) : fv_get(f, target), "index",
                   cases[i].want);
  }
  fv_free(f);
}

/* Goal: what is no id is refused, never taken for another validator. Method: JSON values and texts of other kinds. */
static void test_bad_ids(void **state) {
  static const char *const ids[] = {"-1", "null", "{}", "[]", "true", "1.5", "\"x\"", "\"\"", "\"0x\"", "\"10 \""};
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  for (size_t i = 0; i < AQ_COUNT(ids); i++) {
    char body[64];
    snprintf(body, sizeof body, "{\"ids\":[%s]}", ids[i]);
    expect(fv_post_json(f, VALIDATORS, NULL, body), 400, "invalid validator id [");
  }
  expect(fv_get(f, VALIDATORS "?id=ten"), 400, "invalid validator id [ten]");
  expect(fv_get(f, VALIDATORS "?id=10&id=%zz"), 400, "invalid query parameter id");
  expect(fv_get(f, VALIDATORS "?id=%zz"), 400, "invalid query parameter id"); /* not: all */
  expect(fv_get(f, VALIDATORS "?status=%"), 400, "invalid query parameter status");
  expect(fv_post_json(f, VALIDATORS, NULL, "{bad"), 400, "failed parsing json request body");
  expect(fv_send(f, "POST", VALIDATORS, NULL, "application/octet-stream", aq_bytes_str("x")), 415, "Cannot read");
  aq_buf many = AQ_BUF(1 << 20);
  aq_buf_put_str(&many, "{\"ids\":[\"10\"");
  for (size_t i = 0; i < AQ_VALIDATORS_MAX; i++) aq_buf_put_str(&many, ",\"10\"");
  aq_buf_put_str(&many, "]}");
  expect(fv_post_json(f, VALIDATORS, NULL, aq_buf_cstr(&many)), 400, "too many validator ids");
  aq_buf_free(&many);
  fv_free(f);
}

/* Goal: the single form by index and key. Method: known, unknown, malformed. */
static void test_single(void **state) {
  char target[256], hex[97];
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  aq_hex_encode(hex, aq_bytes_of(f->share[1][0], 48));
  snprintf(target, sizeof target, VALIDATORS "/0x%s", hex);
  expect(fv_get(f, target), 200, "\"data\":{\"index\":\"11\",\"balance\"");
  expect(fv_get(f, VALIDATORS "/10"), 200, "\"data\":{\"index\":\"10\",\"balance\"");
  expect(fv_get(f, VALIDATORS "/12"), 404, "{\"code\":404,\"message\":\"NotFound\"}");
  expect(fv_get(f, VALIDATORS "/x"), 400, "invalid validator id [x]");
  memset(target, '1', sizeof target);
  memcpy(target, VALIDATORS "/", sizeof VALIDATORS);
  target[sizeof target - 1] = 0;
  expect(fv_get(f, target), 400, "invalid validator id [111");
  fv_free(f);
}

/* Goal: duties of the validators that were asked for; an empty list means all. Method: attester and sync routes. */
static void test_duties(void **state) {
  static const struct {
    const char *body, *want;
  } cases[] = {{"[]", "10,11"}, {"[\"11\"]", "11"},           {"[10,\"11\"]", "10,11"},
               {"[12]", ""},    {"[\"x\",-1,null,11]", "11"}, {"[18446744073709551615]", ""}};
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    expect_indices(fv_post_json(f, "/eth/v1/validator/duties/attester/1", NULL, cases[i].body), "validator_index",
                   cases[i].want);
    expect_indices(fv_post_json(f, "/eth/v1/validator/duties/sync/1", NULL, cases[i].body), "validator_index", "");
  }
  expect(fv_post_json(f, "/eth/v1/validator/duties/attester/1", NULL, "{}"), 400, "failed parsing json request body");
  expect_indices(fv_get(f, "/eth/v1/validator/duties/proposer/1"), "validator_index", "11");
  expect_indices(fv_get(f, "/eth/v2/validator/duties/proposer/1"), "validator_index", "11");
  fake_res *r = fv_get(f, "/eth/v1/validator/duties/proposer/1");
  expect(r, 200, "\"dependent_root\":\"" FAKE_BN_ROOT "\"");
  fv_free(f);
}

/* Goal: a client that leaves while the beacon node is asked leaves nothing; duties that cannot be had give 503.
   Method: leaves at once; a beacon node that is down. */
static void test_duties_wait(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  fake_res_free(fv_send(f, "POST", "/eth/v1/validator/duties/attester/1", NULL, NULL, aq_bytes_str("[]")));
  fake_res_free(fv_send(f, "GET", VALIDATORS, NULL, NULL, aq_bytes_of("", 0)));
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  f->beacon.gone = true;
  expect(fv_post_json(f, "/eth/v1/validator/duties/attester/2", NULL, "[]"), 503, "duties are not known");
  f->beacon.gone = false;
  expect_indices(fv_post_json(f, "/eth/v1/validator/duties/attester/2", NULL, "[]"), "validator_index", "10,11");
  fv_free(f);
}

/* Goal: clients cannot fill the places of the schedule, nor the connections of the node's own requests, with duties of
   any epoch. Method: epochs around and far from now; a beacon node that is silent and a hundred sync epochs. */
static void test_duties_far(void **state) {
  enum { MANY = 100, FAR = 4 };
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA, .slot = 10 * FV_SPE});
  char target[96];
  static const char *const kinds[] = {"attester", "proposer"};
  for (uint64_t epoch = 5; epoch <= 15; epoch++) {
    for (size_t k = 0; k < AQ_COUNT(kinds); k++) {
      snprintf(target, sizeof target, "/eth/v1/validator/duties/%s/%llu", kinds[k], (unsigned long long)epoch);
      fake_res *r = k == 0 ? fv_post_json(f, target, NULL, "[]") : fv_get(f, target);
      bool near = epoch >= 7 && epoch <= 12;
      if (r->code != (near ? 200 : 400)) fail_msg("%s: %d", target, r->code);
      fake_res_free(r);
    }
  }
  expect(fv_get(f, "/eth/v1/validator/duties/proposer/18446744073709551615"), 400, "is not near");
  expect(fv_post_json(f, "/eth/v1/validator/duties/sync/18446744073709551615", NULL, "[]"), 400, "is not near");
  f->beacon.silent = true;
  fake_res *r[MANY];
  size_t open = 0;
  for (uint32_t i = 0; i < MANY; i++) {
    snprintf(target, sizeof target, "/eth/v1/validator/duties/sync/%u", 100 + i);
    r[i] = fv_send(f, "POST", target, NULL, NULL, aq_bytes_str("[]"));
    open += r[i]->code == 0;
    assert_true(r[i]->code == 0 || (r[i]->code == 503 && fake_header(r[i], "Retry-After")));
  }
  assert_int_equal(open, FAR);
  for (uint32_t i = 0; i < MANY; i++) fake_res_free(r[i]);
  fv_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists),       cmocka_unit_test(test_bad_ids),
                                     cmocka_unit_test(test_single),      cmocka_unit_test(test_duties),
                                     cmocka_unit_test(test_duties_wait), cmocka_unit_test(test_duties_far)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
