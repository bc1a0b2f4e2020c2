/* What a request costs, in steps: the validator API and the tables that it asks are compiled into this test once more
   with a counter in every basic block (cmake/tests.cmake). Twice the input may cost little more than twice the steps:
   n log n, never n times n. */
#include "aq_test.h"

#include "api/vapi_internal.h"

#include "fake/vapi.h"

#define VALIDATORS "/eth/v1/beacon/states/head/validators"

static uint64_t steps;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) { steps++; }

/* One request of n parts. */
typedef fake_res *(*request)(fv *f, uint32_t n);

static uint64_t cost(fv *f, request fn, uint32_t n, int code) {
  uint64_t before = steps;
  fake_res *r = fn(f, n);
  uint64_t took = steps - before;
  if (r->code != code) fail_msg("%u: %d %.200s", n, r->code, aq_buf_cstr(&r->body));
  fake_res_free(r);
  return took;
}

static void expect_growth(fv *f, const char *name, request fn, uint32_t n, int code) {
  uint64_t first = cost(f, fn, n, code), last = first;
  if (steps == 0) skip(); /* not compiled with the counter */
  for (int i = 0; i < 3; i++) {
    n *= 2;
    uint64_t now = cost(f, fn, n, code);
    if (now > last * 5 / 2)
      fail_msg("%s: %u parts cost %llu steps, half of them %llu", name, n, (unsigned long long)now,
               (unsigned long long)last);
    last = now;
  }
  if (first < n / 8) fail_msg("%s: %llu steps for %u parts are not counted", name, (unsigned long long)first, n / 8);
}

static void repeat(aq_buf *out, uint32_t n, const char *part, const char *between) {
  for (uint32_t i = 0; i < n; i++) aq_buf_printf(out, "%s%s", i ? between : "", part);
}

static fake_res *send(fv *f, const char *method, aq_buf *target, const char *version, aq_buf *body) {
  fake_res *r = fv_wait(f, fv_send(f, method, aq_buf_cstr(target), version, NULL, aq_buf_bytes(body)));
  aq_buf_free(target);
  aq_buf_free(body);
  return r;
}

/* A query and a body of n parts each. */
static fake_res *lists(fv *f, const char *method, const char *path, const char *in_query, const char *in_body,
                       const char *version, uint32_t n) {
  aq_buf target = AQ_BUF(1 << 22), body = AQ_BUF(1 << 22);
  aq_buf_printf(&target, "%s%s", path, in_query ? "?" : "");
  if (in_query) repeat(&target, n, in_query, "&");
  const char *open = in_body ? strchr(in_body, '@') : NULL;
  if (open) {
    aq_buf_put(&body, in_body, (size_t)(open - in_body));
    const char *part = open + 1, *shut = strchr(part, '@');
    char one[512];
    snprintf(one, sizeof one, "%.*s", (int)(shut - part), part);
    repeat(&body, n, one, ",");
    aq_buf_put_str(&body, shut + 1);
  }
  return send(f, method, &target, version, &body);
}

static fake_res *ids_in_query(fv *f, uint32_t n) { return lists(f, "GET", VALIDATORS, "id=10", NULL, NULL, n); }
static fake_res *statuses_in_query(fv *f, uint32_t n) {
  return lists(f, "GET", VALIDATORS, "status=active_ongoing", NULL, NULL, n);
}
static fake_res *ids_by_statuses(fv *f, uint32_t n) {
  return lists(f, "POST", VALIDATORS, "status=x", "{\"ids\":[@\"10\"@]}", NULL, n);
}
static fake_res *both_in_body(fv *f, uint32_t n) {
  aq_buf target = AQ_BUF(256), body = AQ_BUF(1 << 20);
  aq_buf_put_str(&target, VALIDATORS);
  aq_buf_put_str(&body, "{\"ids\":[");
  repeat(&body, n, "\"11\",\"12\"", ",");
  aq_buf_put_str(&body, "],\"statuses\":[");
  repeat(&body, n, "\"x\"", ",");
  aq_buf_put_str(&body, "]}");
  return send(f, "POST", &target, NULL, &body);
}
static fake_res *commas(fv *f, uint32_t n) { return lists(f, "GET", VALIDATORS, "x=1", NULL, NULL, n); }
static fake_res *duties(fv *f, uint32_t n) {
  return lists(f, "POST", "/eth/v1/validator/duties/attester/1", NULL, "[@\"11\"@]", NULL, n);
}
static fake_res *topics(fv *f, uint32_t n) {
  return lists(f, "GET", "/eth/v1/events", "topics=head,block,x", NULL, NULL, n);
}
static fake_res *rubbish(fv *f, uint32_t n) {
  return lists(f, "POST", "/eth/v2/beacon/pool/attestations", NULL, "[@{}@]", "electra", n);
}

/* Goal: lists of ids, statuses, indices, topics and items are read once. Method: each kind doubled three times. */
static void test_lists(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  expect_growth(f, "ids in the query", ids_in_query, 500, 200);
  expect_growth(f, "statuses in the query", statuses_in_query, 500, 200);
  expect_growth(f, "ids and statuses", ids_by_statuses, 500, 200);
  expect_growth(f, "ids and statuses of the body", both_in_body, 500, 200);
  expect_growth(f, "other parameters", commas, 500, 200);
  expect_growth(f, "indices", duties, 500, 200);
  expect_growth(f, "topics", topics, 500, 400);
  expect_growth(f, "rubbish", rubbish, 1000, 400);
  fv_free(f);
}

/* ---- good attestations ---- */

static fake_res *attestations(fv *f, uint32_t n) {
  aq_buf target = AQ_BUF(256), body = AQ_BUF(1 << 22);
  aq_att_data d;
  fake_bn_data(&f->beacon, &d, FV_ATTEST, 0);
  aq_buf_put_str(&target, "/eth/v2/beacon/pool/attestations");
  aq_buf_put_u8(&body, '[');
  aq_buf one = AQ_BUF(4096);
  fv_put_attestation(f, &one, 0, 0, &d, 0);
  repeat(&body, n, aq_buf_cstr(&one), ",");
  aq_buf_put_u8(&body, ']');
  aq_buf_free(&one);
  return send(f, "POST", &target, "electra", &body);
}

/* Goal: good items cost the same each, as do those of many slots. Method: one attestation many times. */
static void test_attestations(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  fv_run_to(f, FV_ATTEST, AQ_SECONDS(5));
  expect_growth(f, "attestations", attestations, 20, 200);
  fv_free(f);
}

/* ---- a large cluster ---- */

enum { LARGE_MAX = 256 };

typedef struct {
  fv *f;
  aq_lock lock;
  aq_dist_validator validator[LARGE_MAX];
  uint8_t share[LARGE_MAX][1][48];
} cluster;

static void put_validators(const cluster *c, aq_buf *out) {
  aq_buf_put_str(out, "{\"data\":[");
  for (uint32_t v = 0; v < c->lock.validator_cnt; v++) {
    aq_buf_printf(out, "%s{\"index\":\"%u\",\"balance\":\"1\",\"status\":\"active_ongoing\",\"validator\":{\"pubkey\":",
                  v ? "," : "", FV_FIRST_INDEX + v);
    fake_put_hex(out, c->validator[v].pubkey, 48);
    aq_buf_put_str(out, "}}");
  }
  aq_buf_put_str(out, "]}");
}

static void put_duties(const cluster *c, aq_buf *out, uint64_t epoch) {
  aq_buf_put_str(out, "{\"dependent_root\":\"" FAKE_BN_ROOT "\",\"data\":[");
  for (uint32_t v = 0; v < c->lock.validator_cnt; v++) {
    aq_buf_printf(
        out,
        "%s{\"slot\":\"%llu\",\"validator_index\":\"%u\",\"committee_index\":\"%u\",\"committee_length\":\"9\","
        "\"committees_at_slot\":\"64\",\"validator_committee_index\":\"%u\",\"pubkey\":",
        v ? "," : "", (unsigned long long)(epoch * FV_SPE + v % FV_SPE), FV_FIRST_INDEX + v, v % 64, v / 64);
    fake_put_hex(out, c->validator[v].pubkey, 48);
    aq_buf_put_u8(out, '}');
  }
  aq_buf_put_str(out, "]}");
}

static void large_bn(void *arg, fake_ex *ex) {
  cluster *c = arg;
  const char *duties_at = strstr(ex->url, "/validator/duties/attester/");
  if (strstr(ex->url, "/eth/v1/events")) return;
  aq_buf out = AQ_BUF(1 << 22);
  if (strstr(ex->url, "/states/head/validators"))
    put_validators(c, &out);
  else if (duties_at)
    put_duties(c, &out, strtoull(strrchr(ex->url, '/') + 1, NULL, 10));
  else
    aq_buf_put_str(&out, "{\"dependent_root\":\"" FAKE_BN_ROOT "\",\"data\":[]}");
  fake_http_answer(ex, AQ_MILLIS(5), 200, aq_buf_cstr(&out));
  aq_buf_free(&out);
}

/* The steps of everything that the API says of n validators. */
static uint64_t cost_of_cluster(uint32_t n) {
  cluster *c = calloc(1, sizeof *c);
  assert_non_null(c);
  aq_operator member = {0};
  for (uint32_t v = 0; v < n; v++) {
    uint8_t seed[32] = {1, (uint8_t)v, (uint8_t)(v >> 8)}, secret[32];
    aq_bls_secret_from_seed(secret, seed, sizeof seed);
    aq_bls_secret_to_pubkey(c->validator[v].pubkey, secret);
    memcpy(c->share[v][0], c->validator[v].pubkey, 48);
    c->validator[v].share = c->share[v];
    c->validator[v].share_cnt = 1;
  }
  c->lock = (aq_lock){.validators = c->validator, .validator_cnt = n};
  c->lock.def.operators = &member;
  c->lock.def.operator_cnt = c->lock.def.threshold = 1;
  aq_k1_key *key;
  uint8_t identity[32];
  memset(identity, 1, 32); /* that of fake_vapi.h */
  assert_int_equal(aq_k1_key_new(&key, identity), AQ_OK);
  aq_k1_pubkey(member.pubkey, key);
  aq_k1_key_free(key);
  c->f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA, .lock = &c->lock, .bn = large_bn, .arg = c});
  fake_env_run_for(&c->f->env, AQ_SECONDS(1));
  uint64_t before = steps;
  fake_res *r[] = {fv_get(c->f, VALIDATORS), fv_get(c->f, VALIDATORS "?status=active"),
                   fv_post_json(c->f, "/eth/v1/validator/duties/attester/1", NULL, "[]")};
  uint64_t took = steps - before;
  for (size_t i = 0; i < AQ_COUNT(r); i++) {
    assert_int_equal(r[i]->code, 200);
    fake_res_free(r[i]);
  }
  fv_free(c->f);
  free(c);
  return took;
}

/* Goal: twice the validators cost twice the steps. Method: clusters of 32 to 256. */
static void test_validators(void **state) {
  (void)state;
  uint64_t last = cost_of_cluster(32);
  if (steps == 0) skip();
  for (uint32_t n = 64; n <= LARGE_MAX; n *= 2) {
    uint64_t now = cost_of_cluster(n);
    if (now > last * 5 / 2)
      fail_msg("%u validators cost %llu steps, half of them %llu", n, (unsigned long long)now,
               (unsigned long long)last);
    last = now;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists), cmocka_unit_test(test_attestations),
                                     cmocka_unit_test(test_validators)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
