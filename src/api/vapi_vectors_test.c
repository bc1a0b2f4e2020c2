/* The recorded exchanges of test/vectors/vapi against a validator API over a real workflow: the recorded cluster, node
   0, and a beacon node that says what the recorded one said, with group keys. What validator-api.md 18 changes is
   listed by record. */
#include "aq_test.h"

#include "fake/vapi.h"

typedef struct {
  const char *name;
  int status;       /* ours */
  const char *text; /* part of our body */
  const char *why;
} difference;

/* validator-api.md 18.1: statuses that tell the truth, and texts that say what is missing. */
static const difference differences[] = {
    {"attestation_data_timeout", 503, "not known yet", "18.2: an epoch far ahead has no duties"},
    {"submit_att_noversion", 400, "missing header Eth-Consensus-Version", "2.1: better 400"},
    {"submit_att_badversion", 400, "unknown Eth-Consensus-Version [gloas]", "2.1: better 400"},
    {"propose_noduty", 400, "no validator of this cluster proposes in slot 26615092", "18.1"},
    {"exit_badsig", 400, "\"failures\":[{\"index\":0,", "18.1 and 18.3"},
    {"exit_unknown", 400, "validator 77 is none of this cluster", "18.1"},
    {"blocks_badversion", 400, "failed parsing json request body", "18.1"},
    {"blocks_badbody", 400, "failed parsing json request body", "18.1"},
    {"beacon_sel_unknown", 501, "attester and proposer duties only", "this version"},
    {"beacon_sel_badsig", 501, "attester and proposer duties only", "this version"},
    {"sync_msg_badsig", 501, "attester and proposer duties only", "this version"},
    {"beacon_sel_empty", 501, "attester and proposer duties only", "this version"},
    {"sync_sel_empty", 501, "attester and proposer duties only", "this version"},
    {"agg_att_noquery", 501, "attester and proposer duties only", "this version"},
    {"contrib_badroot", 501, "attester and proposer duties only", "this version"},
    {"proxy_delete", 405, "method not allowed", "13: reads are forwarded, and no other method"},
    {"deprecated _eth_v1_validator_aggregate_attestation", 404, "NotFound", "same"},
    {"node_version", 200, "charon-compatible", "12: the name must contain charon"},
    {"node_version_beaconmock", 200, "charon-compatible", "12: the name must contain charon"},
    {"attester_duties_empty", 200, "\"validator_index\":\"1\"", "5: all validators; the mock bypassed the cache"},
    {"validators_status_pending", 200, "\"data\":[]", "4: better filter"},
    {"validators_unknown_key", 200, "\"data\":[]", "4: better an empty result"},
    {"validators_dv_key", 200, "\"data\":[]", "4: better an empty result"},
    {"validators_bad_key", 400, "invalid validator id [0xabcd]", "18.1"},
    {"validators_other_share", 400, "the key share of node 1 is loaded in the validator client of node 0", "4"},
};

typedef struct {
  fv *f;
  aq_lock *lock;
  yyjson_doc *doc[4];
  bool no_proposals;
} replay;

static const difference *difference_of(const char *name) {
  for (size_t i = 0; i < AQ_COUNT(differences); i++) {
    if (strcmp(differences[i].name, name) == 0) return &differences[i];
  }
  return NULL;
}

/* ---- the recorded beacon node ---- */

/* Share keys of node 0 become group keys again. */
static char *with_group_keys(const aq_lock *l, yyjson_val *body) {
  char *text = yyjson_val_write(body, 0, NULL);
  assert_non_null(text);
  for (uint32_t v = 0; v < l->validator_cnt; v++) {
    char share[97], group[97];
    aq_hex_encode(share, aq_bytes_of(l->validators[v].share[0], 48));
    aq_hex_encode(group, aq_bytes_of(l->validators[v].pubkey, 48));
    for (char *at = text; (at = strstr(at, share));) memcpy(at, group, 96);
  }
  return text;
}

static yyjson_val *record_of(const replay *r, const char *name) {
  for (size_t i = 0; i < AQ_COUNT(r->doc); i++) {
    yyjson_val *rec;
    size_t k, max;
    yyjson_arr_foreach(yyjson_doc_get_root(r->doc[i]), k, max, rec) {
      if (strcmp(aq_test_str(rec, "name"), name) == 0) return rec;
    }
  }
  fail_msg("no record %s", name);
  return NULL;
}

static void bn(void *arg, fake_ex *ex) {
  static const struct {
    const char *url, *record;
  } known[] = {{"states/head/validators", "validators_all"},
               {"duties/attester/1663443", "attester_duties_str"},
               {"duties/attester/41", "attester_duties"},
               {"duties/proposer/1663443", "proposer_duties_v1"},
               {"duties/proposer/40", "proposer_duties"},
               {"duties/sync/1663440", "sync_duties"},
               {"duties/sync/40", "sync_committee_duties"},
               {"duties/sync/", "sync_duties_none"},
               {"duties/attester/", "attester_duties_empty"},
               {"duties/proposer/41", "attester_duties_empty"},
               {"duties/proposer/1663444", "attester_duties_empty"},
               {"beacon/genesis", "proxy_genesis"}};
  replay *r = arg;
  if (strstr(ex->url, "/eth/v1/events")) return;
  for (size_t i = 0; i < AQ_COUNT(known); i++) {
    if (!strstr(ex->url, known[i].url)) continue;
    bool none = r->no_proposals && strstr(ex->url, "duties/proposer");
    yyjson_val *res = yyjson_obj_get(record_of(r, none ? "attester_duties_empty" : known[i].record), "response");
    char *text = with_group_keys(r->lock, yyjson_obj_get(res, "body"));
    fake_http_answer(ex, AQ_MILLIS(5), 200, text);
    free(text);
    return;
  }
  bool subscriptions = strstr(ex->url, "subscriptions") != NULL, version = strstr(ex->url, "node/version") != NULL;
  if (strcmp(ex->method, "HEAD") == 0)
    fake_http_answer(ex, AQ_MILLIS(5), 200, "");
  else if (version)
    fake_http_answer(ex, AQ_MILLIS(5), 200, "{\"data\":{\"version\":\"charon/static_beacon_mock\"}}");
  else if (subscriptions)
    fake_http_answer_h(ex, AQ_MILLIS(5), 200, NULL, aq_bytes_of("", 0), NULL, NULL);
  else
    fake_http_answer_h(ex, AQ_MILLIS(5), 404, "text/plain; charset=utf-8", aq_bytes_str("no such route"), NULL, NULL);
}

/* ---- replay ---- */

static replay *replay_new(uint64_t slot_ns, uint64_t slot) {
  static const char *const files[] = {"vapi/errors.json", "vapi/accepted.json", "vapi/validators.json",
                                      "vapi/routes.json"};
  replay *r = calloc(1, sizeof *r);
  assert_non_null(r);
  aq_buf text = aq_test_file("vapi/cluster-lock.json");
  aq_err err = {0};
  const aq_network network = {.name = "test", .genesis_version = {0x10, 0, 9, 0x10}};
  if (aq_lock_load(&r->lock, aq_buf_bytes(&text), &(aq_lock_opts){.no_verify = true, .network = &network}, &err) !=
      AQ_OK)
    fail_msg("%s", err.text);
  aq_buf_free(&text);
  for (size_t i = 0; i < AQ_COUNT(files); i++) r->doc[i] = aq_test_json(files[i]);
  r->f = fv_new(&(fv_cfg){
      .fork = AQ_FULU, .lock = r->lock, .slot_ns = slot_ns, .slots_per_epoch = 16, .slot = slot, .bn = bn, .arg = r});
  return r;
}

static void replay_free(replay *r) {
  fv_free(r->f);
  aq_lock_free(r->lock);
  for (size_t i = 0; i < AQ_COUNT(r->doc); i++) yyjson_doc_free(r->doc[i]);
  free(r);
}

static fake_res *send_record(replay *r, yyjson_val *request) {
  char target[2048];
  yyjson_val *query = yyjson_obj_get(request, "query"), *body = yyjson_obj_get(request, "body");
  yyjson_val *headers = yyjson_obj_get(request, "headers"), *name, *value;
  snprintf(target, sizeof target, "%s%s%s", aq_test_str(request, "path"), query ? "?" : "",
           query ? yyjson_get_str(query) : "");
  fake_req q = {.method = aq_test_str(request, "method"), .target = target};
  size_t i, max;
  yyjson_obj_foreach(headers, i, max, name, value) {
    q.header[q.header_cnt++] = (aq_http_header){yyjson_get_str(name), yyjson_get_str(value)};
  }
  aq_buf in = AQ_BUF(1 << 20);
  char *text = body ? yyjson_val_write(body, 0, NULL) : NULL;
  if (text) aq_buf_put_str(&in, text);
  free(text);
  if (yyjson_obj_get(request, "body_text")) aq_buf_put_str(&in, aq_test_str(request, "body_text"));
  if (yyjson_obj_get(request, "body_hex")) {
    aq_buf_free(&in);
    in = aq_test_hex_of(request, "body_hex");
  }
  q.body = aq_buf_bytes(&in);
  fake_res *res = fake_send(aq_vapi_handler(r->f->vapi), &q);
  aq_buf_free(&in);
  fv_wait(r->f, res);
  if (!res->ended) fake_env_run_for(&r->f->env, AQ_SECONDS(11));
  assert_true(res->ended);
  return res;
}

static int by_index(const void *a, const void *b) {
  yyjson_val *x = *(yyjson_val *const *)a, *y = *(yyjson_val *const *)b;
  const char *name = yyjson_obj_get(x, "index") ? "index" : "validator_index";
  uint64_t i = aq_test_u64(x, name), k = aq_test_u64(y, name);
  return (i > k) - (i < k);
}

/* Equal as values; lists of validators and duties in any order (validator-api.md 4). */
static bool same(yyjson_val *got, yyjson_val *want) {
  yyjson_val *a = yyjson_obj_get(got, "data"), *b = yyjson_obj_get(want, "data"), *list[2][16], *key, *val;
  if (!yyjson_is_arr(b)) return yyjson_equals(got, want);
  size_t cnt = yyjson_arr_size(b), i, max;
  if (!yyjson_is_arr(a) || yyjson_arr_size(a) != cnt || cnt > 16) return false;
  for (size_t k = 0; k < cnt; k++) list[0][k] = yyjson_arr_get(a, k), list[1][k] = yyjson_arr_get(b, k);
  qsort(list[0], cnt, sizeof list[0][0], by_index);
  qsort(list[1], cnt, sizeof list[1][0], by_index);
  for (size_t k = 0; k < cnt; k++) {
    if (!yyjson_equals(list[0][k], list[1][k])) return false;
  }
  yyjson_obj_foreach(want, i, max, key, val) {
    bool is_data = strcmp(yyjson_get_str(key), "data") == 0;
    if (!is_data && !yyjson_equals(yyjson_obj_get(got, yyjson_get_str(key)), val)) return false;
  }
  return true;
}

static void check_record(replay *r, yyjson_val *rec) {
  const char *name = aq_test_str(rec, "name");
  const difference *d = difference_of(name);
  yyjson_val *want = yyjson_obj_get(rec, "response"), *body = yyjson_obj_get(want, "body");
  fake_res *res = send_record(r, yyjson_obj_get(rec, "request"));
  const char *text = aq_buf_cstr(&res->body);
  uint64_t status = d ? (uint64_t)d->status : aq_test_u64(want, "status");
  if ((uint64_t)res->code != status) fail_msg("%s: %d, not %d: %s", name, res->code, (int)status, text);
  if (d) {
    if (!strstr(text, d->text)) fail_msg("%s: %s", name, text);
  } else if (body) {
    yyjson_doc *got = yyjson_read(text, res->body.len, 0);
    if (!same(yyjson_doc_get_root(got), body)) fail_msg("%s: %s", name, text);
    yyjson_doc_free(got);
    assert_string_equal(fake_header(res, "Content-Type"), "application/json");
  } else {
    bool has_text = yyjson_obj_get(want, "body_text") != NULL;
    if (!has_text && status == 200 && res->body.len > 0) fail_msg("%s: %s", name, text);
  }
  fake_res_free(res);
}

static void check_file(replay *r, size_t file) {
  yyjson_val *rec;
  size_t i, max;
  yyjson_arr_foreach(yyjson_doc_get_root(r->doc[file]), i, max, rec) check_record(r, rec);
}

/* Goal: every recorded error has our status and, where validator-api.md 18 changes nothing, the recorded body.
   Method: errors.json, slot for slot. */
static void test_errors(void **state) {
  (void)state;
  replay *r = replay_new(AQ_SECONDS(2), 26615089);
  r->no_proposals = true;
  check_file(r, 0);
  replay_free(r);
}

/* Goal: what Charon accepted is accepted, with equal answers. Method: accepted.json. */
static void test_accepted(void **state) {
  (void)state;
  replay *r = replay_new(AQ_SECONDS(2), 26615089);
  check_file(r, 1);
  replay_free(r);
}

/* Goal: validators by share key, index, list, status and unknown ones, with share keys in the answers.
   Method: validators.json. */
static void test_validators(void **state) {
  (void)state;
  replay *r = replay_new(AQ_SECONDS(2), 26615089);
  check_file(r, 2);
  replay_free(r);
}

/* Goal: the routes that need no agreement answer as recorded. Method: their records of routes.json. */
static void test_routes(void **state) {
  static const char *const names[] = {"node_version", "attester_duties", "proposer_duties", "sync_committee_duties"};
  (void)state;
  replay *r = replay_new(AQ_SECONDS(4), 640);
  for (size_t i = 0; i < AQ_COUNT(names); i++) check_record(r, record_of(r, names[i]));
  replay_free(r);
}

/* Goal: every listed difference belongs to a record. Method: the list against the files. */
static void test_list(void **state) {
  (void)state;
  replay *r = replay_new(AQ_SECONDS(2), 26615089);
  for (size_t i = 0; i < AQ_COUNT(differences); i++) {
    assert_non_null(record_of(r, differences[i].name));
    assert_non_null(differences[i].why);
  }
  replay_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_errors), cmocka_unit_test(test_accepted),
                                     cmocka_unit_test(test_validators), cmocka_unit_test(test_routes),
                                     cmocka_unit_test(test_list)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
