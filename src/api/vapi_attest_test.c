/* Attestations through the validator API: the agreed data goes out, partial attestations come in. validator-api.md
   6. */
#include "aq_test.h"

#include "api/vapi_internal.h"

#include "fake/vapi.h"

#define V2 "/eth/v2/beacon/pool/attestations"
#define V1 "/eth/v1/beacon/pool/attestations"
#define DATA "/eth/v1/validator/attestation_data?slot=11&committee_index="

static void expect(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

/* A world in which the attester duty of epoch 1 is decided. */
static fv *decided(aq_fork fork) {
  fv *f = fv_new(&(fv_cfg){.fork = fork});
  fv_run_to(f, FV_ATTEST, AQ_SECONDS(5));
  assert_non_null(aq_dutydb_attestation(aq_workflow_dutydb(f->workflow), FV_ATTEST, 0).ptr);
  return f;
}

static aq_att_data agreed(const fv *f, uint64_t committee) {
  aq_att_data d;
  fake_bn_data(&f->beacon, &d, FV_ATTEST, committee);
  return d;
}

/* Posts one attestation of validator v, signed by `signer`. */
static fake_res *post_one(fv *f, const char *path, const char *version, uint32_t v, uint64_t committee,
                          const aq_att_data *d, uint32_t signer) {
  aq_buf body = AQ_BUF(1 << 16);
  aq_buf_put_u8(&body, '[');
  fv_put_attestation(f, &body, v, committee, d, signer);
  aq_buf_put_u8(&body, ']');
  fake_res *r = fv_post_json(f, path, version, aq_buf_cstr(&body));
  aq_buf_free(&body);
  return r;
}

/* Attestations that reached the beacon node, with the committee of the nth. */
static size_t sent(const fv *f, size_t nth, uint64_t *committee) {
  size_t cnt = 0;
  for (size_t i = 0; i < f->beacon.post_cnt; i++) {
    if (!strstr(f->beacon.post[i].path, "pool/attestations")) continue;
    yyjson_doc *doc = yyjson_read((const char *)f->beacon.post[i].body.ptr, f->beacon.post[i].body.len, 0);
    yyjson_val *it;
    size_t k, max;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), k, max, it) {
      yyjson_val *data = yyjson_obj_get(it, "data");
      bool single = yyjson_obj_get(it, "committee_index") != NULL;
      if (cnt == nth && committee)
        *committee = single ? aq_test_u64(it, "committee_index") : aq_test_u64(data, "index");
      cnt++;
    }
    yyjson_doc_free(doc);
  }
  return cnt;
}

/* ---- attestation_data ---- */

/* Goal: a request waits until the cluster has decided and then answers what was agreed; own index and 0 both work.
   Method: asked at the slot's start, D/3 before the decision can come. */
static void test_data_waits(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  fv_run_to(f, FV_ATTEST, 0);
  fake_res *r[2];
  for (size_t i = 0; i < 2; i++) r[i] = fv_send(f, "GET", i ? DATA "1" : DATA "0", NULL, NULL, aq_bytes_of("", 0));
  fv_run_to(f, FV_ATTEST, AQ_SECONDS(4) - 1);
  assert_true(r[0]->code == 0 && r[1]->code == 0);
  fv_run_to(f, FV_ATTEST, AQ_SECONDS(5));
  aq_att_data d = agreed(f, 0);
  aq_buf want = AQ_BUF(4096);
  aq_buf_put_str(&want, "{\"data\":");
  fake_put_att_data(&want, &d);
  aq_buf_put_u8(&want, '}');
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(r[i]->code, 200);
    assert_string_equal(fake_header(r[i], "content-type"), "application/json");
    assert_bytes(aq_buf_bytes(&r[i]->body), aq_buf_bytes(&want));
    fake_res_free(r[i]);
  }
  expect(fv_get(f, DATA "1"), 200, "\"slot\":\"11\""); /* at once, and again */
  aq_buf_free(&want);
  fv_free(f);
}

/* Goal: before Electra each committee has its own data, index 0 is an alias until committee 0 decides it.
   Method: Capella, both committees. */
static void test_data_committees(void **state) {
  (void)state;
  fv *f = decided(AQ_CAPELLA);
  expect(fv_get(f, DATA "0"), 200, "\"slot\":\"11\",\"index\":\"0\"");
  expect(fv_get(f, DATA "1"), 200, "\"slot\":\"11\",\"index\":\"1\"");
  fv_free(f);
}

/* Goal: SSZ when the client prefers it, JSON else. Method: Accept headers as clients send them, and odd ones. */
static void test_data_accept(void **state) {
  static const struct {
    const char *accept;
    bool ssz;
  } cases[] = {{"application/json", false},
               {"*/*", false},
               {"application/octet-stream", true},
               {"application/octet-stream;q=1,application/json;q=0.9", true},
               {"application/octet-stream;q=1.0,application/json;q=0.9", true},
               {"application/json,application/octet-stream", false},
               {"application/json;q=0.5, application/octet-stream;q=0.7", true},
               {"application/octet-stream; q=0.5, application/json; q=0.9", false},
               {"application/octet-stream;q=0", false},
               {"application/octet-stream;q=0.001,application/json;q=0", true},
               {"application/octet-stream;q=", false},
               {"text/html", false}};
  (void)state;
  fv *f = decided(AQ_ELECTRA);
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    fake_req q = {.method = "GET", .target = DATA "0", .header = {{"Accept", cases[i].accept}}, .header_cnt = 1};
    fake_res *r = fv_wait(f, fake_send(aq_vapi_handler(f->vapi), &q));
    assert_int_equal(r->code, 200);
    bool ssz = strcmp(fake_header(r, "content-type"), "application/octet-stream") == 0;
    if (ssz != cases[i].ssz) fail_msg("%s", cases[i].accept);
    if (ssz) {
      uint8_t want[128];
      aq_att_data d = agreed(f, 0);
      aq_att_data_put(want, &d);
      assert_bytes(aq_buf_bytes(&r->body), aq_bytes_of(want, sizeof want));
    }
    fake_res_free(r);
  }
  fv_free(f);
}

/* Goal: a slot without duty is answered at once with 503, which demotes no endpoint for long (validator-api.md 18.2);
   bad queries 400.
   Method: the neighbouring slot; the texts of validator-api.md 2.2. */
static void test_data_refused(void **state) {
  (void)state;
  fv *f = decided(AQ_ELECTRA);
  expect(
      fv_send(f, "GET", "/eth/v1/validator/attestation_data?slot=12&committee_index=0", NULL, NULL, aq_bytes_of("", 0)),
      503, "no validator of this cluster attests in slot 12");
  expect(fv_get(f, "/eth/v1/validator/attestation_data?committee_index=0"), 400, "missing query parameter slot");
  expect(fv_get(f, "/eth/v1/validator/attestation_data?slot=11"), 400, "missing query parameter committee_index");
  expect(fv_get(f, "/eth/v1/validator/attestation_data?slot=&committee_index=0"), 400, "missing query parameter slot");
  expect(fv_get(f, "/eth/v1/validator/attestation_data?slot=-1&committee_index=0"), 400,
         "invalid uint path parameter slot [-1]");
  expect(fv_get(f,
                "/eth/v1/validator/attestation_data?slot=11&committee_index="
                "11111111111111111111111111111111111111111111111111111111111111111111111111111111"),
         400, "invalid uint path parameter committee_index [1111");
  fv_free(f);
}

/* Goal: without a decision the call ends with 504 after its ten seconds, not later, naming what is missing.
   Method: a beacon node that stops answering after the duties are known; an unknown committee. */
static void test_data_timeout(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  fv_run_to(f, FV_ATTEST, 0);
  f->beacon.gone = true;
  fake_res *r = fv_send(f, "GET", DATA "0", NULL, NULL, aq_bytes_of("", 0));
  fake_env_run_for(&f->env, AQ_VAPI_CALL_NS - 1);
  assert_int_equal(r->code, 0);
  fake_env_run_for(&f->env, 1);
  expect(r, 504, "waiting for consensus on the attestation data of slot 11");
  f->beacon.gone = false;
  fake_env_run_for(&f->env, AQ_SECONDS(12));
  r = fv_send(f, "GET", DATA "63", NULL, NULL, aq_bytes_of("", 0));
  fake_env_run_for(&f->env, AQ_VAPI_CALL_NS);
  expect(r, 504, "waiting for consensus");
  fv_free(f);
}

/* Goal: a client that leaves frees its waiter, and the next one is served. Method: leaves at each stage of waiting. */
static void test_client_gone(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  size_t timers = f->env.timers.cnt;
  fake_res *early = fv_send(f, "GET", DATA "0", NULL, NULL, aq_bytes_of("", 0)); /* the epoch is not resolved */
  assert_true(f->env.timers.cnt > timers);
  fake_res_free(early);
  assert_int_equal(f->env.timers.cnt, timers);
  fv_run_to(f, FV_ATTEST, 0);
  fake_res *r[8];
  timers = f->env.timers.cnt;
  for (size_t i = 0; i < AQ_COUNT(r); i++) r[i] = fv_send(f, "GET", DATA "0", NULL, NULL, aq_bytes_of("", 0));
  assert_int_equal(f->env.timers.cnt, timers + AQ_COUNT(r));
  for (size_t i = 0; i + 1 < AQ_COUNT(r); i++) fake_res_free(r[i]);
  assert_int_equal(f->env.timers.cnt, timers + 1);
  expect(fv_wait(f, fv_wait(f, fv_wait(f, r[AQ_COUNT(r) - 1]))), 200, "\"slot\":\"11\"");
  /* A submission under way outlives its client. */
  aq_att_data d = agreed(f, 0);
  aq_buf body = AQ_BUF(1 << 16);
  aq_buf_put_u8(&body, '[');
  fv_put_attestation(f, &body, 0, 0, &d, 0);
  aq_buf_put_u8(&body, ']');
  fake_res_free(fv_send(f, "POST", V2, "electra", NULL, aq_buf_bytes(&body)));
  aq_buf_free(&body);
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  assert_int_equal(sent(f, 0, NULL), 1);
  fv_free(f);
}

/* Goal: whatever waits when the node stops is answered, and nothing is left.
   Method: the workflow goes first, as in the node, with a waiter and a submission in each stage. */
static void test_stop(void **state) {
  (void)state;
  for (uint32_t steps = 0; steps < 4; steps++) {
    fv *f = decided(AQ_ELECTRA);
    aq_att_data d = agreed(f, 0);
    aq_buf body = AQ_BUF(1 << 16);
    aq_buf_put_u8(&body, '[');
    fv_put_attestation(f, &body, 0, 0, &d, 0);
    aq_buf_put_u8(&body, ']');
    fake_res *post = fv_send(f, "POST", V2, "electra", NULL, aq_buf_bytes(&body));
    fake_res *get = fv_send(f, "GET", DATA "9", NULL, NULL, aq_bytes_of("", 0));
    fake_res *far = fv_send(f, "GET", "/eth/v1/validator/attestation_data?slot=99&committee_index=0", NULL, NULL,
                            aq_bytes_of("", 0));
    fake_res *duties = fv_send(f, "POST", "/eth/v1/validator/duties/attester/3", NULL, NULL, aq_bytes_str("[]"));
    aq_buf_free(&body);
    for (uint32_t i = 0; i < steps; i++) fake_env_step(&f->env);
    aq_workflow_free(f->workflow);
    f->workflow = NULL;
    assert_true(post->ended && (post->code == 503 || post->code == 200));
    expect(get, 504, "slot 11");
    expect(far, 503, "slot 99");
    assert_true(duties->code == 503 || duties->code == 200);
    fake_res_free(post);
    fake_res_free(duties);
    fv_free(f);
  }
}

/* ---- submissions ---- */

/* Goal: an Electra attestation is taken under its own committee index and under 0, and reaches the beacon node
   under its own.
   Method: validator 1 of committee 1 both ways; validator 0 beside it. */
static void test_submit_electra(void **state) {
  (void)state;
  for (uint64_t committee = 0; committee <= 1; committee++) {
    fv *f = decided(AQ_ELECTRA);
    aq_att_data d = agreed(f, 0);
    uint64_t got = 99;
    fake_res *r = post_one(f, V2, "electra", 1, committee, &d, 1);
    assert_int_equal(r->code, 200);
    assert_int_equal(r->body.len, 0);
    assert_null(fake_header(r, "Content-Type"));
    fake_res_free(r);
    fake_env_run_for(&f->env, AQ_SECONDS(1));
    assert_int_equal(sent(f, 0, &got), 1);
    assert_int_equal(got, 1);
    assert_string_equal(f->beacon.post[f->beacon.post_cnt - 1].version, "electra");
    fv_free(f);
  }
}

/* Goal: older forks: one bit of the committee, on both routes; the version header is needed on v2 only.
   Method: Capella. */
static void test_submit_capella(void **state) {
  (void)state;
  fv *f = decided(AQ_CAPELLA);
  aq_att_data d0 = agreed(f, 0), d1 = agreed(f, 1);
  uint64_t committee = 99;
  expect(post_one(f, V1, NULL, 0, 0, &d0, 0), 200, "");
  expect(post_one(f, V2, "capella", 1, 1, &d1, 1), 200, "");
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  assert_int_equal(sent(f, 1, &committee), 2);
  assert_int_equal(committee, 1);
  expect(post_one(f, V2, NULL, 0, 0, &d0, 0), 400, "missing header Eth-Consensus-Version");
  expect(post_one(f, V2, "deneb", 0, 0, &d0, 0), 400, "Eth-Consensus-Version is not the fork of that slot");
  expect(post_one(f, V2, "electra", 0, 0, &d0, 0), 400, "not a SingleAttestation");
  static const struct {
    const char *bits, *text;
  } bits[] = {{"0x0202", "has that position"}, /* bit 1: taken by validator 0 in committee 0, but here by data of 1 */
              {"0x0002", "exactly one aggregation bit"},
              {"0x0602", "exactly one aggregation bit"},
              {"0x0402", ""},
              {"0x8002", "has that position"},
              {"0x0404", "has that position"}, /* ten members */
              {"0x0400", "not an Attestation"},
              {"0x", "not an Attestation"}};
  for (size_t i = 0; i < AQ_COUNT(bits); i++) {
    aq_buf body = AQ_BUF(1 << 16);
    aq_buf_put_u8(&body, '[');
    fv_put_attestation(f, &body, 1, 1, &d1, 1);
    aq_buf_put_u8(&body, ']');
    char *text = strdup(aq_buf_cstr(&body)), *old = strstr(text, "0x0402");
    assert_non_null(old);
    aq_buf_reset(&body);
    aq_buf_put(&body, text, (size_t)(old - text));
    aq_buf_put_str(&body, bits[i].bits);
    aq_buf_put_str(&body, old + 6);
    free(text);
    expect(fv_post_json(f, V2, "capella", aq_buf_cstr(&body)), bits[i].text[0] ? 400 : 200, bits[i].text);
    aq_buf_free(&body);
  }
  fv_free(f);
}

/* Goal: good items of a batch go through, bad ones are named by their index in the standard form (validator-api.md
   18.3).
   Method: a wrong signature beside a good one, in both orders; unknown ones and rubbish between them. */
static void test_submit_mixed(void **state) {
  (void)state;
  for (uint32_t bad = 0; bad < FV_VALIDATORS; bad++) {
    fv *f = decided(AQ_ELECTRA);
    aq_att_data d = agreed(f, 0);
    aq_buf body = AQ_BUF(1 << 16);
    aq_buf_put_str(&body, "[{},");
    for (uint32_t v = 0; v < FV_VALIDATORS; v++) {
      fv_put_attestation(f, &body, v, v, &d, v == bad ? 1 - v : v);
      aq_buf_put_u8(&body, ',');
    }
    fv_put_attestation(f, &body, 7, 1, &d, 0);
    aq_buf_put_u8(&body, ',');
    fv_put_attestation(f, &body, 0, 64, &d, 0);
    aq_buf_put_str(&body, "]");
    fake_res *r = fv_post_json(f, V2, "electra", aq_buf_cstr(&body));
    yyjson_doc *doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *list = yyjson_obj_get(root, "failures");
    assert_int_equal(r->code, 400);
    assert_int_equal(aq_test_u64(root, "code"), 400);
    assert_string_equal(aq_test_str(root, "message"), "not a SingleAttestation");
    assert_int_equal(yyjson_arr_size(list), 4);
    static const char *const text[] = {"not a SingleAttestation", "not valid under this node's key share",
                                       "no validator of this cluster", "not below 64"};
    const uint64_t index[] = {0, 1 + bad, 3, 4};
    for (size_t i = 0; i < 4; i++) {
      yyjson_val *it = yyjson_arr_get(list, i);
      assert_int_equal(aq_test_u64(it, "index"), index[i]);
      assert_non_null(strstr(aq_test_str(it, "message"), text[i]));
    }
    yyjson_doc_free(doc);
    fake_res_free(r);
    aq_buf_free(&body);
    fake_env_run_for(&f->env, AQ_SECONDS(1));
    assert_int_equal(sent(f, 0, NULL), 1);
    fv_free(f);
  }
}

/* Goal: what contradicts the agreed data is refused before any signature check counts, also as a second, different
   one; a repetition is fine.
   Method: each field of the data changed and signed well. */
static void test_submit_other_data(void **state) {
  (void)state;
  fv *f = decided(AQ_ELECTRA);
  aq_att_data good = agreed(f, 0), bad[5] = {good, good, good, good, good};
  bad[0].beacon_block_root[0] ^= 1;
  bad[1].source_epoch++;
  bad[2].target_root[31] ^= 1;
  bad[3].target_epoch++;
  bad[4].index = 1;
  for (int turn = 0; turn < 2; turn++) {
    for (size_t i = 0; i < AQ_COUNT(bad); i++)
      expect(post_one(f, V2, "electra", 0, 0, &bad[i], 0), 400, "it differs from what the cluster agreed on");
    expect(post_one(f, V2, "electra", 0, 0, &good, 0), 200, "");
    fake_env_run_for(&f->env, AQ_SECONDS(1));
    assert_int_equal(sent(f, 0, NULL), 1);
  }
  aq_att_data other = good;
  other.slot = FV_ATTEST + 1;
  expect(post_one(f, V2, "electra", 0, 0, &other, 0), 400, "no validator of this cluster has that attester duty");
  expect(post_one(f, V2, "fulu", 0, 0, &good, 0), 400, "Eth-Consensus-Version is not the fork of that slot");
  expect(post_one(f, V2, "capella", 0, 0, &good, 0), 400, "not an Attestation");
  fv_free(f);
}

/* Goal: bodies that are no list of attestations, and headers that are missing, get 400 or 415 with a text that says so.
   Method: one of each; also a list over the limit. */
static void test_submit_rubbish(void **state) {
  (void)state;
  fv *f = decided(AQ_ELECTRA);
  expect(fv_post_json(f, V2, "electra", ""), 400, "empty request body");
  expect(fv_post_json(f, V2, "electra", "{bad"), 400, "failed parsing json request body");
  expect(fv_post_json(f, V2, "electra", "{}"), 400, "failed parsing json request body");
  expect(fv_post_json(f, V2, NULL, "[]"), 400, "missing header Eth-Consensus-Version");
  expect(fv_post_json(f, V2, "gloas", "[]"), 400, "unknown Eth-Consensus-Version [gloas]");
  expect(fv_post_json(f, V2, "ELECTRA", "[]"), 200, "");
  expect(fv_post_json(f, V2, "electra", "[1,null,\"x\",[]]"), 400, "\"index\":3,");
  expect(fv_post_json(f, V1, NULL, "[]"), 404, "NotFound");
  expect(fv_send(f, "POST", V2, "electra", "application/octet-stream", aq_bytes_of("", 0)), 415,
         "Cannot read the supplied content type.");
  expect(fv_send(f, "POST", V2, "electra", "text/xml", aq_bytes_str("[]")), 415, "unsupported media type text/xml");
  aq_buf many = AQ_BUF(1 << 20);
  aq_buf_put_str(&many, "[{}");
  for (size_t i = 0; i < AQ_VAPI_ITEMS_MAX; i++) aq_buf_put_str(&many, ",{}");
  aq_buf_put_u8(&many, ']');
  expect(fv_post_json(f, V2, "electra", aq_buf_cstr(&many)), 413, "too many items");
  many.len -= 4;
  many.ptr[many.len++] = ']';
  fake_res *r = fv_post_json(f, V2, "electra", aq_buf_cstr(&many)); /* at the limit the answer is whole */
  yyjson_doc *doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
  assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "failures")), AQ_VAPI_ITEMS_MAX);
  yyjson_doc_free(doc);
  fake_res_free(r);
  aq_buf_free(&many);
  fv_free(f);
}

/* Goal: two clients with the same shares: equal content is fine for both. Method: the same post, at once. */
static void test_submit_twice(void **state) {
  (void)state;
  fv *f = decided(AQ_ELECTRA);
  aq_att_data d = agreed(f, 0);
  aq_buf body = AQ_BUF(1 << 16);
  aq_buf_put_u8(&body, '[');
  fv_put_attestation(f, &body, 0, 0, &d, 0);
  aq_buf_put_u8(&body, ',');
  fv_put_attestation(f, &body, 0, 0, &d, 0); /* and twice in one request */
  aq_buf_put_u8(&body, ']');
  fake_res *a = fv_send(f, "POST", V2, "electra", NULL, aq_buf_bytes(&body));
  fake_res *b = fv_send(f, "POST", V2, "electra", NULL, aq_buf_bytes(&body));
  expect(fv_wait(f, a), 200, "");
  expect(fv_wait(f, b), 200, "");
  aq_buf_free(&body);
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  assert_int_equal(sent(f, 0, NULL), 1);
  fv_free(f);
}

/* Goal: a reorganisation after the decision changes nothing: the data is served, and attestations are matched with the
   duties that were agreed on, whatever the schedule says by now. Method: one and many forks' forms; duties forgotten,
   and told anew in other slots, committees and places. */
static void test_after_reorg(void **state) {
  static const aq_fork forks[] = {AQ_CAPELLA, AQ_ELECTRA};
  (void)state;
  for (int way = 0; way < 4; way++) {
    aq_fork fork = forks[way & 1];
    fv *f = decided(fork);
    fv_reorg(f, way & 2);
    aq_duty_defs defs;
    aq_duty duty = {FV_ATTEST, AQ_DUTY_ATTESTER};
    assert_int_not_equal(aq_scheduler_defs(aq_workflow_scheduler(f->workflow), duty, &defs), AQ_OK);
    expect(fv_get(f, DATA "1"), 200, "\"slot\":\"11\"");
    aq_att_data d = agreed(f, 1);
    expect(post_one(f, V2, aq_fork_name(fork), 1, fork >= AQ_ELECTRA ? 0 : 1, &d, 1), 200, "");
    f->beacon.silent = false;
    fake_env_run_for(&f->env, AQ_SECONDS(1));
    uint64_t committee = 99;
    if (way & 2) assert_int_equal(sent(f, 0, &committee), 1);
    if (way & 2) assert_int_equal(committee, 1);
    fv_free(f);
  }
}

/* Goal: data that is decided while the schedule is being asked for again is served when it comes. Method: a client that
   waits; a reorganisation with a beacon node that tells no duties, then the decision. */
static void test_decided_while_unresolved(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  fv_run_to(f, FV_ATTEST, AQ_SECONDS(4) + AQ_MILLIS(1));
  assert_null(aq_dutydb_attestation(aq_workflow_dutydb(f->workflow), FV_ATTEST, 0).ptr);
  fv_run_to(f, FV_ATTEST, AQ_SECONDS(4) + AQ_MILLIS(4));
  fv_reorg(f, false);
  fake_res *r = fv_send(f, "GET", DATA "0", NULL, NULL, aq_bytes_of("", 0));
  assert_int_equal(r->code, 0);
  expect(fv_wait(f, r), 200, "\"slot\":\"11\"");
  fv_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_data_waits),
                                     cmocka_unit_test(test_data_committees),
                                     cmocka_unit_test(test_data_accept),
                                     cmocka_unit_test(test_data_refused),
                                     cmocka_unit_test(test_data_timeout),
                                     cmocka_unit_test(test_client_gone),
                                     cmocka_unit_test(test_stop),
                                     cmocka_unit_test(test_submit_electra),
                                     cmocka_unit_test(test_submit_capella),
                                     cmocka_unit_test(test_submit_mixed),
                                     cmocka_unit_test(test_submit_other_data),
                                     cmocka_unit_test(test_submit_rubbish),
                                     cmocka_unit_test(test_after_reorg),
                                     cmocka_unit_test(test_decided_while_unresolved),
                                     cmocka_unit_test(test_submit_twice)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
