/* Requests beside recorded ones, and answers that are late, garbage or of another kind than was asked for. */
#include "flow/fetcher.h"

#include "aq_test.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "crypto/hash.h"
#include "fake/http.h"

/* 6 s slots; 16 an epoch, as the vectors have them. */
enum { SPE = 16, VALIDATORS = 3, SETS_MAX = 8 };
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT AQ_SECONDS(6)
#define ROOT21 "0x2121212121212121212121212121212121212121212121212121212121212121"

static const char *const urls[] = {"http://bn"};
static uint8_t keys[VALIDATORS][48];

typedef struct {
  aq_duty duty;
  uint32_t cnt;
  uint8_t pubkey[VALIDATORS][48];
  aq_buf data[VALIDATORS];
} got_set;

typedef struct {
  fake_env env;
  fake_http http;
  aq_chain chain;
  aq_bn *bn;
  aq_aggsigdb *aggsigdb;
  aq_dutydb *dutydb;
  aq_fetcher *f;
  aq_duty_def def[VALIDATORS];
  uint64_t delay_ns;
  int code;          /* of all answers, 0: 200 */
  const char *body;  /* instead of the made one */
  uint64_t slot_off; /* added to the slot of made answers */
  bool no_v2_aggregates;
  bool no_v3;   /* Lodestar 1.5.1 */
  aq_buf block; /* SSZ answer to v3 */
  const char *version, *block_json;
  const char *aggregate;
  got_set set[SETS_MAX];
  size_t set_cnt;
  int failures, finals;
  aq_status st;
  char why[256];
  uint64_t failed_ns[64];
} fixture;

static uint64_t query_u64(const char *url, const char *name) {
  const char *at = strstr(url, name);
  return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static char *attestation_json(uint64_t slot, uint64_t index) {
  aq_buf b = AQ_BUF(4096);
  aq_buf_printf(&b,
                "{\"data\":{\"slot\":\"%llu\",\"index\":\"%llu\",\"beacon_block_root\":\"" ROOT21
                "\",\"source\":{\"epoch\":\"%llu\",\"root\":\"" ROOT21
                "\"},\"target\":{\"epoch\":\"%llu\",\"root\":\"" ROOT21 "\"}}}",
                (unsigned long long)slot, (unsigned long long)index, (unsigned long long)(slot / SPE - 1),
                (unsigned long long)(slot / SPE));
  char *out = strdup(aq_buf_cstr(&b));
  aq_buf_free(&b);
  return out;
}

static void handle(void *arg, fake_ex *ex) {
  fixture *f = arg;
  bool old = (f->no_v3 && strstr(ex->url, "/eth/v3/")) ||
             (f->no_v2_aggregates && strstr(ex->url, "/eth/v2/validator/aggregate_attestation"));
  if (old) {
    fake_http_answer(ex, f->delay_ns, 404,
                     "{\"statusCode\":404,\"error\":\"Not Found\",\"message\":\"Route not found\"}");
  } else if (f->code || f->body) {
    fake_http_answer(ex, f->delay_ns, f->code ? f->code : 200, f->body ? f->body : "{}");
  } else if (strstr(ex->url, "attestation_data?")) {
    char *json = attestation_json(query_u64(ex->url, "slot=") + f->slot_off, query_u64(ex->url, "committee_index="));
    fake_http_answer(ex, f->delay_ns, 200, json);
    free(json);
  } else if (strstr(ex->url, "/validator/blocks/")) {
    if (f->block_json && !(f->block.len && strstr(ex->accept, "octet")))
      fake_http_answer(ex, f->delay_ns, 200, f->block_json);
    else
      fake_http_answer_h(ex, f->delay_ns, 200, "application/octet-stream", aq_buf_bytes(&f->block),
                         f->version ? "eth-consensus-version" : NULL, f->version);
  } else if (strstr(ex->url, "aggregate_attestation") && f->aggregate) {
    fake_http_answer(ex, f->delay_ns, 200, f->aggregate);
  } else {
    fake_http_answer(ex, f->delay_ns, 404, "{\"message\":\"nothing there\"}");
  }
}

static void fetched(void *arg, aq_duty duty, const aq_unsigned_set *set) {
  fixture *f = arg;
  assert_true(f->set_cnt < SETS_MAX && set->cnt <= VALIDATORS);
  got_set *g = &f->set[f->set_cnt++];
  g->duty = duty;
  g->cnt = set->cnt;
  for (uint32_t i = 0; i < set->cnt; i++) {
    memcpy(g->pubkey[i], set->item[i].pubkey, 48);
    g->data[i] = AQ_BUF(64 << 20);
    aq_buf_put_bytes(&g->data[i], set->item[i].data);
  }
}

static void failed(void *arg, aq_duty duty, aq_status st, const char *why, bool final) {
  fixture *f = arg;
  (void)duty;
  assert_true(f->failures < 64);
  f->failed_ns[f->failures++] = fake_env_now(&f->env);
  f->finals += final;
  f->st = st;
  snprintf(f->why, sizeof f->why, "%s", why);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void open_fixture(fixture *f, uint64_t now_ns, aq_fork fork) {
  memset(f, 0, sizeof *f);
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  fake_env_init(&f->env, now_ns);
  fake_http_init(&f->http, &f->env, handle, f);
  f->delay_ns = AQ_MILLIS(5);
  f->chain.clock = (aq_clock){GENESIS, SLOT, SPE};
  f->chain.target_aggregators_per_committee = 16;
  for (aq_fork k = AQ_PHASE0; k < AQ_FORK_CNT; k++) f->chain.fork[k].epoch = k <= fork ? 0 : AQ_FAR_EPOCH;
  for (uint32_t i = 0; i < VALIDATORS; i++) {
    memset(keys[i], 0xb0 - (int)i, 48); /* descending: the set must be sorted */
    f->def[i] = (aq_duty_def){.validator = i, .validator_index = 10 + i};
    f->def[i].attester =
        (aq_attester_duty){.validator_index = 10 + i, .committee_index = 1 + i / 2, .committee_length = 9};
    memcpy(f->def[i].attester.pubkey, keys[i], 48);
  }
  const aq_bn_cfg bn = {.env = &f->env.env, .http = &f->http.http, .endpoints = urls, .endpoint_cnt = 1};
  f->bn = aq_bn_new(&bn);
  f->aggsigdb = aq_aggsigdb_new(&f->env.env, &f->chain);
  f->dutydb = aq_dutydb_new(&f->env.env, &f->chain);
  const aq_fetcher_cfg cfg = {.env = &f->env.env,
                              .bn = f->bn,
                              .chain = &f->chain,
                              .aggsigdb = f->aggsigdb,
                              .dutydb = f->dutydb,
                              .pubkey = (const uint8_t(*)[48])keys,
                              .validator_cnt = VALIDATORS,
                              .graffiti = "helloOBLH",
                              .arg = f,
                              .fetched = fetched,
                              .failed = failed};
  f->f = aq_fetcher_new(&cfg);
}

static void close_fixture(fixture *f) {
  aq_fetcher_free(f->f);
  aq_bn_free(f->bn);
  aq_aggsigdb_free(f->aggsigdb);
  aq_dutydb_free(f->dutydb);
  assert_int_equal(fake_http_open_cnt(&f->http), 0);
  fake_env_free(&f->env);
  fake_http_free(&f->http);
  for (size_t i = 0; i < f->set_cnt; i++) {
    for (uint32_t k = 0; k < f->set[i].cnt; k++) aq_buf_free(&f->set[i].data[k]);
  }
  aq_buf_free(&f->block);
}

static uint64_t start_of(uint64_t slot) { return GENESIS + slot * SLOT; }

static void fetch(fixture *f, uint64_t slot, aq_duty_type type, uint32_t cnt) {
  for (uint32_t i = 0; i < VALIDATORS; i++) f->def[i].attester.slot = slot;
  aq_fetcher_fetch(f->f, (aq_duty){slot, type}, &(aq_duty_defs){f->def, cnt});
}

/* A request of the recorded node: its "METHOD url" and Accept. */
static void assert_recorded(const fixture *f, const char *pattern, const char *accept) {
  (void)accept;
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  bool found = false;
  for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
    if (strcmp(aq_test_str(v, "pattern"), pattern) != 0) continue;
    char line[2048];
    snprintf(line, sizeof line, "%s http://bn%s?%s", aq_test_str(v, "method"), aq_test_str(v, "path"),
             aq_test_str(v, "query"));
    assert_string_equal(f->http.log[f->http.log_cnt - 1], line);
    assert_string_equal(accept, aq_test_str(yyjson_obj_get(v, "headers"), "Accept"));
    found = true;
  }
  assert_true(found);
  yyjson_doc_free(doc);
}

/* Goal: from electra one request serves all committees, exactly as a recorded node asks, and the set is what the wire
   wants.
   Method: fetch for three validators; compare with the recorded request; decode the set. */
static void attester_electra(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(640) + SLOT / 3, AQ_FULU);
  fetch(&f, 640, AQ_DUTY_ATTESTER, 3);
  assert_int_equal(f.http.log_cnt, 0); /* never from inside */
  fake_env_drain(&f.env);
  assert_recorded(&f, "/eth/v1/validator/attestation_data", fake_http_find(&f.http, "attestation_data")->accept);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.http.log_cnt, 1);
  assert_int_equal(f.set_cnt, 1);
  assert_int_equal(f.set[0].cnt, 3);
  for (uint32_t i = 0; i < 3; i++) {
    aq_arena arena;
    aq_unsigned_data d;
    aq_arena_init(&arena, 1 << 20);
    assert_memory_equal(f.set[0].pubkey[i], keys[2 - i], 48);
    assert_int_equal(f.set[0].data[i].len, 232);
    assert_int_equal(aq_unsigned_decode(&d, &arena, AQ_DUTY_ATTESTER, aq_buf_bytes(&f.set[0].data[i])), AQ_OK);
    assert_int_equal(d.attester.validator_index, 12 - i);
    assert_int_equal(d.attester.committee_index, f.def[2 - i].attester.committee_index);
    aq_att_data a;
    aq_att_data_get(&a, d.value);
    assert_true(a.slot == 640 && a.index == 0 && a.target_epoch == 40 && a.source_epoch == 39);
    assert_int_equal(a.beacon_block_root[0], 0x21);
    aq_arena_free(&arena);
  }
  assert_int_equal(f.failures, 0);
  close_fixture(&f);
}

/* Goal: before electra there is one request a committee, and each validator gets its committee's data.
   Method: validators 0 and 1 in committee 1, validator 2 in committee 2, at deneb. */
static void attester_before_electra(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(640), AQ_DENEB);
  f.def[1].attester.committee_index = 1;
  fetch(&f, 640, AQ_DUTY_ATTESTER, 3);
  fetch(&f, 640, AQ_DUTY_ATTESTER, 3); /* the same duty again: nothing */
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.http.log_cnt, 2);
  assert_int_equal(f.set_cnt, 1);
  for (uint32_t i = 0; i < 3; i++) {
    aq_att_data a;
    aq_att_data_get(&a, aq_bytes_of(f.set[0].data[i].ptr + 8, 128));
    assert_int_equal(a.index, f.def[2 - i].attester.committee_index);
  }
  close_fixture(&f);
}

/* Goal: garbage is refused, asked for again, and a good answer then goes through.
   Method: truncated and wrongly typed JSON, another slot, index, target; a huge list. */
static void attester_garbage(void **state) {
  (void)state;
  static fixture f;
  char *wrong_index = attestation_json(640, 1), *old_target = attestation_json(640, 0);
  memcpy(strstr(old_target, "\"target\":{\"epoch\":\"40\""), "\"target\":{\"epoch\":\"39\"", 22);
  char *cut = attestation_json(640, 0), *huge = malloc((1 << 20) + 1);
  cut[strlen(cut) / 2] = 0;
  memset(huge, '1', 1 << 20), huge[1 << 20] = 0;
  const char *const bad[] = {"", "[]", "{\"data\":5}", "{\"data\":{\"slot\":[]}}", wrong_index, old_target, cut, huge};
  for (size_t i = 0; i < AQ_COUNT(bad) + 1; i++) {
    open_fixture(&f, start_of(640), AQ_FULU);
    f.body = i < AQ_COUNT(bad) ? bad[i] : NULL;
    f.slot_off = i < AQ_COUNT(bad) ? 0 : 1;
    fetch(&f, 640, AQ_DUTY_ATTESTER, 1);
    fake_env_run_for(&f.env, AQ_SECONDS(1));
    assert_int_equal(f.set_cnt, 0);
    assert_in_range(f.failures, 1, 4);
    assert_int_equal(f.finals, 0);
    f.body = NULL;
    f.slot_off = 0;
    fake_env_run_for(&f.env, AQ_SECONDS(1));
    assert_int_equal(f.set_cnt, 1);
    close_fixture(&f);
  }
  free(wrong_index), free(old_target), free(cut), free(huge);
}

/* Goal: pauses are 250 ms * 1.6^i +-10 %, and the duty's deadline ends the tries.
   Method: a node that answers 503 at once; the times of the failures. */
static void retries_until_the_deadline(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(640), AQ_FULU);
  f.code = 503;
  f.delay_ns = 0;
  fetch(&f, 640, AQ_DUTY_ATTESTER, 1);
  fake_env_run_for(&f.env, AQ_SECONDS(100));
  double want = 0.25;
  for (int i = 1; i < f.failures; i++) {
    double pause = (double)(f.failed_ns[i] - f.failed_ns[i - 1]) / 1e9;
    assert_true(pause >= 0.89 * want && pause <= 1.11 * want);
    want = want * 1.6 < 12 ? want * 1.6 : 12;
  }
  assert_int_equal(f.finals, 1);
  assert_int_equal(f.st, AQ_E_REFUSED);
  assert_non_null(strstr(f.why, "503"));
  uint64_t deadline = aq_duty_deadline_ns(&f.chain, (aq_duty){640, AQ_DUTY_ATTESTER});
  assert_true(f.failed_ns[f.failures - 1] <= deadline && f.failed_ns[f.failures - 1] + AQ_SECONDS(14) > deadline);
  close_fixture(&f);
}

/* Goal: a refusal is final, unless its text says that time will tell; silence is not final.
   Method: 400 with and without "future"; a refused connection, then a good answer. */
static void final_or_not(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(640), AQ_FULU);
  f.code = 400;
  f.body = "{\"code\":400,\"message\":\"no such validator\"}";
  fetch(&f, 640, AQ_DUTY_ATTESTER, 1);
  fake_env_run_for(&f.env, AQ_SECONDS(5));
  assert_true(f.failures == 1 && f.finals == 1);
  assert_string_equal(f.why, "HTTP 400: no such validator");
  f.body = "{\"code\":400,\"message\":\"slot is in the Future\"}";
  fetch(&f, 640, AQ_DUTY_ATTESTER, 1);
  fake_env_run_for(&f.env, AQ_MILLIS(300));
  assert_true(f.failures > 1 && f.finals == 1);
  f.code = 0;
  f.body = NULL;
  fake_env_run_for(&f.env, AQ_SECONDS(2));
  assert_int_equal(f.set_cnt, 1);
  close_fixture(&f);
}

static void put_sig(fixture *f, uint64_t slot, aq_duty_type type, uint32_t validator, const uint8_t sig[96]);
static aq_buf make_block(aq_fork fork, bool blinded, uint64_t slot, const uint8_t randao[96]);

/* Goal: a node that is not ready, or lacks a block, is asked again within the duty's time, for each type of duty.
   Method: its refusals for a second, then an answer. */
static void not_ready(void **state) {
  (void)state;
  static fixture f;
  static const struct {
    int code;
    const char *body;
  } cases[] = {{400, "{\"code\":400,\"message\":\"BAD_REQUEST: HeadBlockNotFullyVerified { }\"}"},
               {400, "{\"message\":\"Block not found\"}"},
               {400, "{\"message\":\"parent unknown\"}"},
               {400, "{\"message\":\"Node is not synced\"}"},
               {401, "{\"message\":\"a gate\"}"},
               {503, "<html>"},
               {500, "{\"message\":\"UNHANDLED_ERROR\"}"}};
  uint8_t randao[96];
  memset(randao, 0x42, sizeof randao);
  for (size_t i = 0; i < 2 * AQ_COUNT(cases); i++) {
    bool block = i & 1;
    open_fixture(&f, start_of(640), AQ_FULU);
    f.code = cases[i / 2].code, f.body = cases[i / 2].body;
    f.block = make_block(AQ_FULU, false, 640, randao), f.version = "fulu";
    if (block) put_sig(&f, 640, AQ_DUTY_RANDAO, 0, randao);
    fetch(&f, 640, block ? AQ_DUTY_PROPOSER : AQ_DUTY_ATTESTER, 1);
    fake_env_run_for(&f.env, AQ_SECONDS(1));
    assert_true(f.set_cnt == 0 && f.finals == 0);
    assert_in_range(f.http.log_cnt, 3, 4);
    f.code = 0, f.body = NULL;
    fake_env_run_for(&f.env, AQ_SECONDS(1));
    assert_int_equal(f.set_cnt, 1);
    close_fixture(&f);
  }
}

static void put_sig(fixture *f, uint64_t slot, aq_duty_type type, uint32_t validator, const uint8_t sig[96]) {
  aq_signed_data d = {.duty = type, .slot = slot};
  memcpy(d.sig, sig, 96);
  assert_int_equal(aq_aggsigdb_store(f->aggsigdb, &(aq_sign_key){.duty = {slot, type}, .validator = validator}, &d),
                   AQ_OK);
}

/* A proposal of default values with a slot and a RANDAO. */
static aq_buf make_block(aq_fork fork, bool blinded, uint64_t slot, const uint8_t randao[96]) {
  const aq_ssz_type *t = aq_t_proposal(fork, blinded, false);
  bool contents = t == aq_t_block_contents(fork);
  aq_buf a = AQ_BUF(1 << 20), b = AQ_BUF(1 << 20), c = AQ_BUF(1 << 20);
  uint8_t le[8];
  aq_le64_put(le, slot);
  assert_int_equal(aq_ssz_default(&a, t), AQ_OK);
  assert_int_equal(aq_ssz_with(&b, t, aq_buf_bytes(&a), contents ? "block.slot" : "slot", aq_bytes_of(le, 8)), AQ_OK);
  assert_int_equal(aq_ssz_with(&c, t, aq_buf_bytes(&b), contents ? "block.body.randao_reveal" : "body.randao_reveal",
                               aq_bytes_of(randao, 96)),
                   AQ_OK);
  aq_buf_free(&a);
  aq_buf_free(&b);
  return c;
}

/* The RANDAO of the recorded request for slot 642. */
static void recorded_randao(uint8_t out[96]) {
  yyjson_doc *doc = aq_test_json("vapi/bn_requests.json");
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  for (yyjson_val *v; (v = yyjson_arr_iter_next(&it));) {
    if (strcmp(aq_test_str(v, "pattern"), "/eth/v3/validator/blocks/{n}") != 0) continue;
    const char *hex = strstr(aq_test_str(v, "query"), "randao_reveal=") + strlen("randao_reveal=");
    assert_int_equal(aq_hex_decode(out, 96, aq_bytes_of(hex, 194), AQ_HEX_PREFIX), AQ_OK);
  }
  yyjson_doc_free(doc);
}

static void assert_proposal(const fixture *f, aq_fork fork, bool blinded, aq_bytes want) {
  aq_arena arena;
  aq_unsigned_data d;
  aq_arena_init(&arena, 4 << 20);
  assert_int_equal(f->set[f->set_cnt - 1].cnt, 1);
  assert_memory_equal(f->set[f->set_cnt - 1].pubkey[0], keys[0], 48);
  assert_int_equal(aq_unsigned_decode(&d, &arena, AQ_DUTY_PROPOSER, aq_buf_bytes(&f->set[f->set_cnt - 1].data[0])),
                   AQ_OK);
  assert_int_equal(d.fork, fork);
  assert_int_equal(d.blinded, blinded);
  assert_bytes(d.value, want);
  aq_arena_free(&arena);
}

/* Goal: a proposal waits for the RANDAO, asks as a recorded node does and takes SSZ.
   Method: nothing is asked before the signature is stored; the recorded request; a fulu block in SSZ. */
static void proposer_ssz(void **state) {
  (void)state;
  static fixture f;
  uint8_t randao[96];
  recorded_randao(randao);
  open_fixture(&f, start_of(642), AQ_FULU);
  f.block = make_block(AQ_FULU, false, 642, randao);
  f.version = "fulu";
  fetch(&f, 642, AQ_DUTY_PROPOSER, 1);
  fake_env_run_for(&f.env, AQ_MILLIS(200));
  assert_int_equal(f.http.log_cnt, 0);
  put_sig(&f, 642, AQ_DUTY_RANDAO, 0, randao);
  assert_recorded(&f, "/eth/v3/validator/blocks/{n}", fake_http_find(&f.http, "/blocks/")->accept);
  fake_env_run_for(&f.env, AQ_MILLIS(10));
  assert_int_equal(f.set_cnt, 1);
  assert_proposal(&f, AQ_FULU, false, aq_buf_bytes(&f.block));
  assert_true(aq_metric_value(AQ_M_CORE_FETCHER_PROPOSAL_BLINDED, AQ_NO_LABELS) == 2);
  close_fixture(&f);
}

/* Goal: JSON answers work for every fork, full and blinded, with version and form from the body.
   Method: default blocks as JSON; the value must be the same SSZ. */
static void proposer_json(void **state) {
  (void)state;
  static fixture f;
  uint8_t randao[96];
  memset(randao, 0x42, sizeof randao);
  for (aq_fork fork = AQ_ALTAIR; fork < AQ_FORK_CNT; fork++) {
    for (int blinded = 0; blinded < (fork >= AQ_BELLATRIX ? 2 : 1); blinded++) {
      open_fixture(&f, start_of(642), fork);
      aq_buf want = make_block(fork, blinded, 642, randao), json = AQ_BUF(4 << 20);
      aq_buf_printf(&json, "{\"version\":\"%s\",\"execution_payload_blinded\":%s,\"data\":", aq_fork_name(fork),
                    blinded ? "true" : "false");
      aq_ssz_to_json(&json, aq_t_proposal(fork, blinded, false), aq_buf_bytes(&want));
      aq_buf_put_str(&json, "}");
      f.block_json = aq_buf_cstr(&json);
      put_sig(&f, 642, AQ_DUTY_RANDAO, 0, randao);
      fetch(&f, 642, AQ_DUTY_PROPOSER, 1);
      fake_env_run_for(&f.env, AQ_MILLIS(10));
      assert_int_equal(f.set_cnt, 1);
      assert_proposal(&f, fork, blinded, aq_buf_bytes(&want));
      aq_buf_free(&want);
      aq_buf_free(&json);
      close_fixture(&f);
    }
  }
}

/* Goal: the old Lodestar's v2 route is found within the same try and remembered.
   Method: 404 on v3; a capella block in JSON on v2; a second proposal asks v2 only. */
static void proposer_old_lodestar(void **state) {
  (void)state;
  static fixture f;
  uint8_t randao[96];
  memset(randao, 0x42, sizeof randao);
  open_fixture(&f, start_of(642), AQ_CAPELLA);
  f.no_v3 = true;
  for (uint64_t slot = 642; slot < 644; slot++) {
    aq_buf block = make_block(AQ_CAPELLA, false, slot, randao), json = AQ_BUF(4 << 20);
    aq_buf_put_str(&json, "{\"version\":\"capella\",\"data\":");
    aq_ssz_to_json(&json, aq_t_block(AQ_CAPELLA), aq_buf_bytes(&block));
    aq_buf_put_str(&json, "}");
    f.block_json = aq_buf_cstr(&json);
    fake_env_run_until(&f.env, start_of(slot));
    put_sig(&f, slot, AQ_DUTY_RANDAO, 0, randao);
    fetch(&f, slot, AQ_DUTY_PROPOSER, 1);
    fake_env_run_for(&f.env, AQ_MILLIS(20));
    assert_int_equal(f.set_cnt, slot - 641);
    assert_proposal(&f, AQ_CAPELLA, false, aq_buf_bytes(&block));
    aq_buf_free(&block);
    aq_buf_free(&json);
  }
  assert_int_equal(f.failures, 0);
  assert_int_equal(fake_http_count(&f.http, "/eth/v3/"), 1);
  assert_int_equal(fake_http_count(&f.http, "/eth/v2/validator/blocks/64"), 2);
  f.code = 404; /* the node was replaced by one without v2 */
  put_sig(&f, 644, AQ_DUTY_RANDAO, 0, randao);
  fetch(&f, 644, AQ_DUTY_PROPOSER, 1);
  fake_env_run_for(&f.env, AQ_MILLIS(20));
  assert_int_equal(fake_http_count(&f.http, "/eth/v3/"), 2);
  close_fixture(&f);
}

/* Goal: a block in SSZ without the headers that say what it is is asked for again, once, in JSON, which says it; later
   ones are asked in JSON at once. JSON that does not say its fork is of the slot's.
   Method: no version header, an empty one, a blinded block whose header is missing; JSON with and without a version;
   two proposals. */
static void proposer_unlabelled(void **state) {
  (void)state;
  static fixture f;
  uint8_t randao[96];
  memset(randao, 0x42, sizeof randao);
  for (int i = 0; i < 4; i++) {
    bool blinded = i == 2;
    open_fixture(&f, start_of(642), AQ_FULU);
    for (uint64_t slot = 642; slot < 644; slot++) {
      aq_buf json = AQ_BUF(4 << 20);
      aq_buf_free(&f.block);
      f.block = make_block(AQ_FULU, blinded, slot, randao);
      f.version = i == 0 ? NULL : blinded ? "fulu" : "";
      aq_buf_printf(&json, "{%s\"execution_payload_blinded\":%s,\"data\":", i == 3 ? "" : "\"version\":\"fulu\",",
                    blinded ? "true" : "false");
      aq_ssz_to_json(&json, aq_t_proposal(AQ_FULU, blinded, false), aq_buf_bytes(&f.block));
      aq_buf_put_str(&json, "}");
      f.block_json = aq_buf_cstr(&json);
      fake_env_run_until(&f.env, start_of(slot));
      put_sig(&f, slot, AQ_DUTY_RANDAO, 0, randao);
      fetch(&f, slot, AQ_DUTY_PROPOSER, 1);
      fake_env_run_for(&f.env, AQ_MILLIS(20));
      assert_int_equal(f.set_cnt, slot - 641);
      assert_proposal(&f, AQ_FULU, blinded, aq_buf_bytes(&f.block));
      assert_int_equal(f.http.log_cnt, slot - 640);
      aq_buf_free(&json);
    }
    assert_int_equal(f.failures, 0);
    close_fixture(&f);
  }
}

/* Goal: a block that is not of this slot, or not with the cluster's RANDAO, or damaged, is not proposed.
   Method: each of these, in SSZ, until the deadline. */
static void proposer_garbage(void **state) {
  (void)state;
  static fixture f;
  uint8_t randao[96], other[96];
  memset(randao, 0x42, sizeof randao);
  memset(other, 0x43, sizeof other);
  for (int i = 0; i < 5; i++) {
    open_fixture(&f, start_of(642), AQ_FULU);
    f.version = i == 4 ? "gloas" : "fulu";
    f.block = make_block(AQ_FULU, false, i == 0 ? 643 : 642, i == 1 ? other : randao);
    if (i == 2) f.block.len--;
    if (i == 3) f.block.ptr[0] ^= 1;
    put_sig(&f, 642, AQ_DUTY_RANDAO, 0, randao);
    fetch(&f, 642, AQ_DUTY_PROPOSER, 1);
    fake_env_run_for(&f.env, AQ_SECONDS(4));
    assert_int_equal(f.set_cnt, 0);
    assert_int_equal(f.finals, 1);
    assert_true(f.failures >= 2);
    close_fixture(&f);
  }
}

/* Goal: without a RANDAO the proposal ends at its deadline, and free in any state leaves nothing behind.
   Method: wait; then free while waiting, while asking, while pausing. */
static void proposer_without_randao(void **state) {
  (void)state;
  static fixture f;
  uint8_t randao[96] = {1};
  open_fixture(&f, start_of(642), AQ_FULU);
  fetch(&f, 642, AQ_DUTY_PROPOSER, 1);
  fake_env_run_for(&f.env, AQ_SECONDS(4));
  assert_int_equal(f.finals, 1);
  assert_int_equal(f.st, AQ_E_TIMEOUT);
  assert_string_equal(f.why, "no aggregated RANDAO");
  fetch(&f, 643, AQ_DUTY_PROPOSER, 1);
  fetch(&f, 644, AQ_DUTY_PROPOSER, 1);
  put_sig(&f, 644, AQ_DUTY_RANDAO, 0, randao);
  fake_env_drain(&f.env);
  assert_int_equal(fake_http_open_cnt(&f.http), 1);
  f.code = 503;
  fetch(&f, 640, AQ_DUTY_ATTESTER, 2);
  fake_env_run_for(&f.env, AQ_MILLIS(6));
  close_fixture(&f);
}

/* ---- aggregator ---- */

/* A selection proof that is (or is not) selected with 32 members: the hash's first number is even (or odd). */
static void proof(uint8_t out[96], bool selected) {
  memset(out, 7, 96);
  for (uint8_t i = 0;; i++) {
    uint8_t hash[32];
    out[0] = i;
    aq_sha256(hash, aq_bytes_of(out, 96));
    if ((aq_le64_get(hash) % 2 == 0) == selected) return;
  }
}

static void put_attestation(fixture *f, uint64_t slot, uint8_t root[32]) {
  char *json = attestation_json(slot, 0);
  yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
  aq_buf ssz = AQ_BUF(256), out = AQ_BUF(1024);
  assert_int_equal(
      aq_ssz_from_json(&ssz, &aq_t_attestation_data, yyjson_obj_get(yyjson_doc_get_root(doc), "data"), NULL), AQ_OK);
  aq_ssz_root(root, &aq_t_attestation_data, aq_buf_bytes(&ssz));
  aq_unsigned_data d = {.duty = AQ_DUTY_ATTESTER, .type = &aq_t_attestation_data, .value = aq_buf_bytes(&ssz)};
  d.attester = f->def[0].attester;
  assert_int_equal(aq_unsigned_encode(&out, &d), AQ_OK);
  aq_unsigned item = {.data = aq_buf_bytes(&out)};
  memcpy(item.pubkey, keys[0], 48);
  assert_int_equal(aq_dutydb_store(f->dutydb, (aq_duty){slot, AQ_DUTY_ATTESTER}, &(aq_unsigned_set){&item, 1}), AQ_OK);
  aq_buf_free(&ssz);
  aq_buf_free(&out);
  yyjson_doc_free(doc);
  free(json);
}

/* Goal: aggregates are asked for selected validators only, as a recorded node asks, and those whose selection never
   comes do not hold the others up beyond the cut-off.
   Method: validator 0 selected, 1 not, 2 silent; an electra aggregate; then one with another root. */
static void aggregator(void **state) {
  (void)state;
  static fixture f;
  uint8_t sig[96], root[32];
  char hex[65], want[256];
  for (int wrong = 0; wrong < 2; wrong++) {
    open_fixture(&f, start_of(656), AQ_FULU);
    for (int i = 0; i < 3; i++) f.def[i].attester.committee_length = 32;
    f.def[0].attester.slot = 656;
    put_attestation(&f, 656, root);
    char *data = attestation_json(656 + (uint64_t)wrong, 0);
    aq_buf json = AQ_BUF(8192);
    aq_buf_printf(&json,
                  "{\"version\":\"fulu\",\"data\":{\"aggregation_bits\":\"0xffff01\",\"committee_bits\":"
                  "\"0x0200000000000000\",\"signature\":\"0x");
    for (int i = 0; i < 96; i++) aq_buf_put_str(&json, "c0");
    aq_buf_printf(&json, "\",%.*s}}", (int)strlen(data) - 2, data + 1);
    f.aggregate = aq_buf_cstr(&json);
    proof(sig, true);
    put_sig(&f, 656, AQ_DUTY_PREPARE_AGGREGATOR, 0, sig);
    proof(sig, false);
    put_sig(&f, 656, AQ_DUTY_PREPARE_AGGREGATOR, 1, sig);
    fake_env_run_for(&f.env, 2 * SLOT / 3);
    fetch(&f, 656, AQ_DUTY_AGGREGATOR, 3);
    fake_env_run_for(&f.env, AQ_MILLIS(499));
    assert_int_equal(f.set_cnt, 0);
    fake_env_run_for(&f.env, AQ_MILLIS(2));
    aq_hex_encode(hex, aq_bytes_of(root, 32));
    snprintf(
        want, sizeof want,
        "GET http://bn/eth/v2/validator/aggregate_attestation?slot=656&attestation_data_root=0x%s&committee_index=1",
        hex);
    assert_string_equal(f.http.log[0], want);
    assert_int_equal(f.set_cnt, wrong ? 0 : 1);
    if (!wrong) {
      aq_arena arena;
      aq_unsigned_data d;
      aq_arena_init(&arena, 1 << 20);
      assert_int_equal(f.http.log_cnt, 1);
      assert_int_equal(f.set[0].cnt, 1);
      assert_int_equal(aq_unsigned_decode(&d, &arena, AQ_DUTY_AGGREGATOR, aq_buf_bytes(&f.set[0].data[0])), AQ_OK);
      assert_int_equal(d.fork, AQ_FULU);
      aq_arena_free(&arena);
    }
    aq_buf_free(&json);
    free(data);
    close_fixture(&f);
  }
}

/* Goal: whoever was cut off stays out, although its selection comes while another's request is under way. Method:
   validator 0 is answered, 1 asked for just before the cut-off, 2 selected between that and 1's answer. */
static void aggregator_cut_off(void **state) {
  (void)state;
  static fixture f;
  uint8_t sig[96], root[32];
  open_fixture(&f, start_of(656), AQ_FULU);
  for (int i = 0; i < 3; i++) f.def[i].attester.committee_length = 32;
  f.def[0].attester.slot = 656;
  put_attestation(&f, 656, root);
  char *data = attestation_json(656, 0);
  aq_buf json = AQ_BUF(8192);
  aq_buf_printf(&json,
                "{\"version\":\"fulu\",\"data\":{\"aggregation_bits\":\"0xffff01\",\"committee_bits\":"
                "\"0x0200000000000000\",\"signature\":\"0x");
  for (int i = 0; i < 96; i++) aq_buf_put_str(&json, "c0");
  aq_buf_printf(&json, "\",%.*s}}", (int)strlen(data) - 2, data + 1);
  f.aggregate = aq_buf_cstr(&json);
  f.def[1].attester.committee_index = f.def[0].attester.committee_index;
  proof(sig, true);
  put_sig(&f, 656, AQ_DUTY_PREPARE_AGGREGATOR, 0, sig);
  fake_env_run_for(&f.env, 2 * SLOT / 3);
  fetch(&f, 656, AQ_DUTY_AGGREGATOR, 3);
  fake_env_run_for(&f.env, AQ_MILLIS(490));
  assert_int_equal(f.http.log_cnt, 1);
  f.delay_ns = AQ_MILLIS(100);
  put_sig(&f, 656, AQ_DUTY_PREPARE_AGGREGATOR, 1, sig);
  fake_env_run_for(&f.env, AQ_MILLIS(20));
  assert_int_equal(f.http.log_cnt, 2);
  assert_int_equal(f.set_cnt, 0);
  put_sig(&f, 656, AQ_DUTY_PREPARE_AGGREGATOR, 2, sig);
  fake_env_run_for(&f.env, AQ_MILLIS(200));
  assert_int_equal(f.http.log_cnt, 2);
  assert_int_equal(f.set_cnt, 1);
  assert_int_equal(f.set[0].cnt, 2);
  assert_int_equal(f.failures, 0);
  aq_buf_free(&json);
  free(data);
  close_fixture(&f);
}

/* Goal: two requests that learn at once that the node has v1 aggregates only do not talk each other out of it.
   Method: two selected validators at capella; 404 on v2, an aggregate on v1. */
static void aggregator_old_lodestar(void **state) {
  (void)state;
  static fixture f;
  uint8_t sig[96], root[32];
  open_fixture(&f, start_of(656), AQ_CAPELLA);
  f.no_v2_aggregates = true;
  f.def[0].attester.committee_index = f.def[1].attester.committee_index = 0;
  f.def[0].attester.slot = 656;
  put_attestation(&f, 656, root);
  char *data = attestation_json(656, 0);
  aq_buf json = AQ_BUF(8192);
  aq_buf_put_str(&json, "{\"data\":{\"aggregation_bits\":\"0xffff01\",\"signature\":\"0x");
  for (int i = 0; i < 96; i++) aq_buf_put_str(&json, "c0");
  aq_buf_printf(&json, "\",%.*s}}", (int)strlen(data) - 2, data + 1);
  f.aggregate = aq_buf_cstr(&json);
  proof(sig, true);
  put_sig(&f, 656, AQ_DUTY_PREPARE_AGGREGATOR, 0, sig);
  put_sig(&f, 656, AQ_DUTY_PREPARE_AGGREGATOR, 1, sig);
  fake_env_run_for(&f.env, 2 * SLOT / 3);
  fetch(&f, 656, AQ_DUTY_AGGREGATOR, 2);
  fake_env_run_for(&f.env, AQ_MILLIS(100));
  assert_int_equal(f.failures, 0);
  assert_true(f.set_cnt == 1 && f.set[0].cnt == 2);
  assert_int_equal(fake_http_count(&f.http, "/eth/v2/validator/aggregate_attestation"), 2);
  assert_int_equal(fake_http_count(&f.http, "/eth/v1/validator/aggregate_attestation?slot=656&attestation_data_root="),
                   2);
  aq_buf_free(&json);
  free(data);
  close_fixture(&f);
}

/* Goal: what is not fetched says so, once and finally, and never from inside.
   Method: a sync contribution; an empty definition set is quiet. */
static void unsupported(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(656), AQ_FULU);
  fetch(&f, 656, AQ_DUTY_SYNC_CONTRIBUTION, 1);
  fetch(&f, 656, AQ_DUTY_ATTESTER, 0);
  assert_int_equal(f.failures, 0);
  fake_env_run_for(&f.env, AQ_SECONDS(9));
  assert_true(f.failures == 1 && f.finals == 1 && f.st == AQ_E_UNSUPPORTED);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(attester_electra),
      cmocka_unit_test(attester_before_electra),
      cmocka_unit_test(attester_garbage),
      cmocka_unit_test(retries_until_the_deadline),
      cmocka_unit_test(final_or_not),
      cmocka_unit_test(not_ready),
      cmocka_unit_test(proposer_ssz),
      cmocka_unit_test(proposer_json),
      cmocka_unit_test(proposer_old_lodestar),
      cmocka_unit_test(proposer_unlabelled),
      cmocka_unit_test(proposer_garbage),
      cmocka_unit_test(proposer_without_randao),
      cmocka_unit_test(aggregator),
      cmocka_unit_test(aggregator_cut_off),
      cmocka_unit_test(aggregator_old_lodestar),
      cmocka_unit_test(unsupported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
