/* The validator client on the simulated chain, in one process and in virtual time. */
#include "vc/vc.h"

#include "aq_test.h"

#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/http.h"
#include "fake/chain.h"
#include "fake/store.h"
#include "simchain/beacon.h"
#include "vc/vc_internal.h"

enum { VALIDATORS = 16, SPE = 8, LIES_MAX = 16 };
#define GENESIS FAKE_CHAIN_GENESIS
#define SLOT_NS FAKE_CHAIN_SLOT

typedef struct {
  fake_env env, own; /* own: of the client, by whose clock it may be another time */
  aq_beacon *b;
  aq_http_handler liar;
  uint32_t lie_percent, lie_cnt; /* lie_cnt: so many answers on lie_path are lie_text */
  const char *lie_path, *lie_text;
  bool older; /* who asks for attestation data or a block gets those of the slot before */
  struct {
    aq_http_req req;
    char text[320];
  } asked[16];
  uint32_t asked_cnt;
  aq_test_rng rng;
  fake_http bridge;
  fake_disk disk;
  fake_store protection; /* over it */
  uint32_t failures;     /* calls of the client's failed */
  aq_vc *vc;
  uint8_t secret[VALIDATORS][32], pubkey[VALIDATORS][48];
} world;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

/* ---- a beacon node that lies now and then ---- */

/* The question about the slot before; the latest 16 live. */
static const aq_http_req *older_question(world *w, const aq_http_req *req) {
  const bool block = strstr(req->path, "/validator/blocks/") != NULL;
  if (!block && !strstr(req->path, "attestation_data")) return req;
  const char *digits = block ? strrchr(req->path, '/') + 1 : strstr(req->query, "slot=") + 5;
  const char *whole = block ? req->path : req->query;
  char *end, *text = w->asked[w->asked_cnt % 16].text;
  aq_http_req *out = &w->asked[w->asked_cnt++ % 16].req;
  unsigned long long slot = strtoull(digits, &end, 10);
  if (slot == 0) return req;
  *out = *req;
  snprintf(text, sizeof w->asked[0].text, "%.*s%llu%s", (int)(digits - whole), whole, slot - 1, end);
  if (block)
    out->path = out->raw_path = text;
  else
    out->query = text;
  return out;
}

static void lie(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  static const char *const lies[LIES_MAX] = {"",
                                             "{",
                                             "{}",
                                             "[]",
                                             "null",
                                             "{\"data\":null}",
                                             "{\"data\":[{}]}",
                                             "{\"data\":{}}",
                                             "{\"data\":[1,null,\"x\"]}",
                                             "{\"data\":{\"slot\":\"1\"}}",
                                             "{\"version\":\"fulu\",\"data\":{}}",
                                             "{\"version\":\"none\",\"data\":[]}",
                                             "{\"data\":\"\\u0000\"}",
                                             "<html>busy</html>",
                                             "{\"data\":[{\"pubkey\":\"0x00\",\"slot\":\"-1\"}]}",
                                             "{\"data\":[[[[[]]]]]}"};
  static const char *const types[] = {"application/json", "application/octet-stream", "text/html", ""};
  world *w = arg;
  const aq_http_handler *truth = aq_beacon_handler(w->b);
  if (w->lie_cnt && strstr(req->path, w->lie_path)) {
    w->lie_cnt--;
    vt->respond(res, 200, &(aq_http_headers){NULL, 0}, aq_bytes_str(w->lie_text));
    return;
  }
  if (w->older) req = older_question(w, req);
  if (strncmp(req->path, "/sim/", 5) == 0 || aq_test_rng_next(&w->rng) % 100 >= w->lie_percent) {
    truth->handle(truth->arg, req, res, vt);
    return;
  }
  uint64_t pick = aq_test_rng_next(&w->rng);
  int code = pick % 7 == 0 ? 503 : pick % 7 == 1 ? 404 : 200;
  const aq_http_header h[] = {{"Content-Type", types[(pick >> 8) % AQ_COUNT(types)]},
                              {"Eth-Consensus-Version", pick >> 20 & 1 ? "fulu" : "capella"}};
  vt->respond(res, code, &(aq_http_headers){h, 1 + (pick >> 24 & 1)}, aq_bytes_str(lies[(pick >> 32) % LIES_MAX]));
}

static size_t any_body(void *arg, const char *method, const char *path) {
  (void)arg, (void)method, (void)path;
  return 64u << 20;
}

/* ---- world ---- */

static void vc_failed(void *arg, const char *why) {
  assert_true(*why);
  ((world *)arg)->failures++;
}

static void vc_up(world *w, bool ssz) {
  w->vc = aq_vc_new(&(aq_vc_cfg){.env = &w->own.env,
                                 .http = &w->bridge.http,
                                 .store = &w->protection.port,
                                 .url = "http://sim",
                                 .secret = (const uint8_t(*)[32])w->secret,
                                 .key_cnt = VALIDATORS,
                                 .ssz_blocks = ssz,
                                 .arg = w,
                                 .failed = vc_failed});
  aq_vc_start(w->vc);
}

static void vc_down(world *w) {
  aq_vc_free(w->vc);
  w->vc = NULL;
}

static world *world_new(aq_fork fork) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  aq_metrics_init();
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  fake_env_init(&w->env, GENESIS - AQ_SECONDS(5));
  fake_env_join(&w->own, w->env.time, w->env.skew_ns);
  fake_chain_keys(w->secret, w->pubkey, VALIDATORS);
  w->b = fake_chain_new(&w->env, w->pubkey, VALIDATORS, SPE, fork);
  aq_test_rng_seed(&w->rng, 7);
  w->liar = (aq_http_handler){w, any_body, lie};
  fake_disk_init(&w->disk);
  fake_store_open(&w->protection, &w->disk, &w->env.env, NULL);
  fake_http_bridge(&w->bridge, &w->env, &w->liar, AQ_MILLIS(3));
  return w;
}

static void world_free(world *w) {
  vc_down(w);
  fake_env_run_for(&w->env, AQ_MILLIS(5)); /* jobs and writes come back; then the client is gone */
  assert_int_equal(fake_http_open_cnt(&w->bridge), 0);
  aq_beacon_free(w->b);
  fake_env_drain(&w->env);
  fake_env_free(&w->own);
  fake_env_free(&w->env);
  fake_disk_free(&w->disk);
  aq_log_stop();
  free(w);
}

static size_t records(const world *w) { return fake_disk_cnt(&w->disk, FAKE_SIGN); }

static void run_to(world *w, uint64_t slot, uint64_t after_ns) {
  fake_env_run_until(&w->env, GENESIS + slot * SLOT_NS + after_ns);
}

static aq_beacon_stats chain(const world *w) {
  aq_beacon_stats s;
  aq_beacon_stats_get(w->b, &s);
  return s;
}

static aq_vc_stats client(const world *w) {
  aq_vc_stats s;
  aq_vc_stats_get(w->vc, &s);
  return s;
}

static void post(world *w, const char *target, const char *json) {
  fake_req q = {.method = "POST", .target = target, .body = aq_bytes_str(json)};
  fake_res *r = fake_send(aq_beacon_handler(w->b), &q);
  assert_int_equal(r->code, 200);
  fake_res_free(r);
}

static void fault(world *w, const char *path, const char *mode, uint64_t ms, uint32_t count) {
  char json[200];
  snprintf(json, sizeof json, "{\"path\":\"%s\",\"mode\":\"%s\",\"ms\":%llu,\"count\":%u}", path, mode,
           (unsigned long long)ms, count);
  post(w, "/sim/fault", json);
}

/* ---- tests ---- */

/* Goal: every duty of three epochs is done, once and right, in the older and the newer forms, blocks as JSON and as
   SSZ.
   Method: sixteen validators, Capella and Fulu, from before genesis. */
static void test_three_epochs(void **state) {
  static const aq_fork forks[] = {AQ_CAPELLA, AQ_FULU};
  (void)state;
  for (size_t f = 0; f < AQ_COUNT(forks); f++) {
    for (int ssz = 0; ssz < 2; ssz++) {
      world *w = world_new(forks[f]);
      vc_up(w, ssz);
      run_to(w, 3 * SPE, AQ_SECONDS(1));
      aq_beacon_stats s = chain(w);
      assert_int_equal(s.attestations_ok, 3 * VALIDATORS);
      assert_int_equal(s.blocks_ok, 3 * SPE); /* slots 1 to 24 */
      assert_true(s.attestations_missed == 0 && s.blocks_missed == 0 && s.attestations_late == 0);
      assert_true(s.bad == 0 && s.slashable == 0 && s.duplicates == 0);
      aq_vc_stats c = client(w);
      assert_true(c.attestations == 3 * VALIDATORS && c.blocks == 3 * SPE && c.refused_by_protection == 0);
      assert_int_equal(c.errors, 0);
      world_free(w);
    }
  }
}

static uint32_t validator_of(const world *w, const uint8_t pubkey[48]) {
  uint32_t v = 0;
  while (v < VALIDATORS && memcmp(w->pubkey[v], pubkey, 48) != 0) v++;
  assert_true(v < VALIDATORS);
  return v;
}

/* Goal: what the client records of each signature says what was signed: else its protection lets through what it must
   not. Method: three epochs; each record of a vote and a block against the chain: slot, epochs, validator, root. */
static void test_records(void **state) {
  static const aq_fork forks[] = {AQ_CAPELLA, AQ_FULU};
  (void)state;
  for (size_t f = 0; f < AQ_COUNT(forks); f++) {
    world *w = world_new(forks[f]);
    uint32_t votes[VALIDATORS] = {0}, blocks = 0;
    vc_up(w, true);
    run_to(w, 3 * SPE, AQ_SECONDS(1));
    assert_int_equal(records(w), 3 * VALIDATORS + 3 * SPE);
    for (fake_row *i = NULL; (i = fake_disk_next(&w->disk, i)) != NULL;) {
      const aq_store_sign *r = &i->u.sign;
      uint64_t epoch = r->duty.slot / SPE;
      uint32_t v = validator_of(w, r->pubkey);
      if (r->duty.type == AQ_DUTY_PROPOSER) {
        assert_int_equal(v, aq_beacon_proposer(w->b, r->duty.slot));
        assert_false(blocks >> r->duty.slot & 1);
        blocks |= 1u << r->duty.slot;
      } else {
        assert_int_equal(r->duty.type, AQ_DUTY_ATTESTER);
        assert_int_equal(r->target_epoch, epoch);
        assert_int_equal(r->source_epoch, aq_beacon_justified(w->b, epoch));
        assert_false(votes[v] >> epoch & 1);
        votes[v] |= 1u << epoch;
      }
      for (fake_row *k = NULL;
           (k = fake_disk_next(&w->disk, k)) != NULL;) { /* all of a slot vote for the same since Electra */
        const aq_store_sign *o = &k->u.sign;
        bool same = memcmp(o->root, r->root, 32) == 0, here = aq_duty_eq(o->duty, r->duty);
        if (!here || forks[f] == AQ_FULU || k == i) assert_int_equal(same, here);
      }
    }
    world_free(w);
  }
}

/* ---- a clock of its own ---- */

static void own_ahead(world *w, uint64_t ns) { fake_env_set(&w->own, fake_env_now(&w->env) + ns); }

/* Goal: a clock that was ahead when the client started costs no duty of the time after it was set right.
   Method: ahead by some slots, an hour and a year for some slots, then right; the epochs after the running one. */
static void test_clock_that_was_ahead(void **state) {
  (void)state;
  static const uint64_t ahead_s[] = {30, 3600, 31536000};
  for (size_t i = 0; i < AQ_COUNT(ahead_s); i++) {
    world *w = world_new(AQ_FULU);
    run_to(w, 1, 0);
    own_ahead(w, AQ_SECONDS(ahead_s[i]));
    vc_up(w, false);
    run_to(w, SPE + 2, AQ_SECONDS(1));
    own_ahead(w, 0);
    run_to(w, 2 * SPE, 0);
    uint64_t ok = chain(w).attestations_ok;
    run_to(w, 4 * SPE, 0);
    assert_int_equal(chain(w).attestations_ok - ok, 2 * VALIDATORS);
    assert_int_equal(chain(w).slashable, 0);
    world_free(w);
  }
}

/* Goal: duties of an epoch that is not the client's any more by the time they come mislead it in nothing. Method: the
   answers about an epoch take four seconds, in which the clock is two epochs ahead and asks for one with the same place
   in its table; then it is right again. */
static void test_answer_of_another_time(void **state) {
  static const char *const paths[] = {"duties/attester", "duties/proposer"};
  (void)state;
  world *w = world_new(AQ_FULU);
  vc_up(w, false);
  run_to(w, SPE / 2, 0);
  for (size_t i = 0; i < AQ_COUNT(paths); i++) fault(w, paths[i], "late", 4000, 1);
  fake_env_run_for(&w->env, AQ_MILLIS(100)); /* epoch 1 is asked for */
  own_ahead(w, 2 * SPE * SLOT_NS);
  fake_env_run_for(&w->env, AQ_SECONDS(5));
  own_ahead(w, 0);
  run_to(w, 4 * SPE, 0);
  uint64_t ok = chain(w).attestations_ok;
  run_to(w, 6 * SPE, 0);
  assert_int_equal(chain(w).attestations_ok - ok, 2 * VALIDATORS);
  assert_int_equal(chain(w).slashable, 0);
  world_free(w);
}

/* Goal: where the chain is, which bounds a mark that is ahead, is asked for once at a time.
   Method: a mark of ten epochs ahead; two looks at the clock before the answer, one after it. */
static void test_head_asked_once(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  vc_up(w, false);
  run_to(w, 2, AQ_MILLIS(100));
  assert_int_equal(w->vc->head_call, 0);
  w->vc->unproven_ns = fake_env_now(&w->env) + 10 * SPE * SLOT_NS;
  aq_vc_clock(w->vc);
  uint64_t call = w->vc->head_call;
  assert_true(call != 0);
  aq_vc_clock(w->vc);
  assert_int_equal(w->vc->head_call, call);
  fake_env_run_for(&w->env, AQ_MILLIS(100));
  assert_int_equal(w->vc->head_call, 0);
  assert_true(w->vc->unproven_ns < fake_env_now(&w->env) + 9 * SPE * SLOT_NS);
  aq_vc_clock(w->vc);
  assert_int_equal(w->vc->head_call, 0);
  world_free(w);
}

/* Goal: the duties that a clock ahead had taken for its own are done when their time comes, attestations and blocks,
   from the very slot in which it is set right; the journal goes on being kept.
   Method: one epoch ahead, which is as far as a beacon node names duties: from the start, or set while the client runs.
   Right again at the start of that epoch, then two epochs; once more, a second time ahead. */
static void test_clock_that_had_duties(void **state) {
  (void)state;
  for (int running = 0; running < 2; running++) {
    world *w = world_new(AQ_FULU);
    run_to(w, 1, 0);
    own_ahead(w, running ? 0 : SPE * SLOT_NS);
    vc_up(w, false);
    for (uint64_t epoch = 0; epoch < 8; epoch += 4) {
      run_to(w, epoch * SPE + 2, AQ_SECONDS(1));
      own_ahead(w, SPE * SLOT_NS);
      run_to(w, (epoch + 1) * SPE, 0);
      own_ahead(w, 0);
      aq_beacon_stats before = chain(w);
      uint32_t copies = w->protection.backups;
      run_to(w, (epoch + 3) * SPE, 0);
      aq_beacon_stats after = chain(w);
      assert_int_equal(after.attestations_ok - before.attestations_ok, 2 * VALIDATORS);
      assert_int_equal(after.blocks_ok - before.blocks_ok, 2 * SPE);
      assert_int_equal(after.slashable, 0);
      assert_true(w->protection.backups >= copies + 2);
    }
    world_free(w);
  }
}

/* Goal: what the client learnt while its clock was ahead does not stand for what is so now.
   Method: ahead by epochs of the same place in its table, where the answers name no duties, or one validator of all;
   right again, the answers name all: from the next epoch on every attestation is there. */
static void test_learnt_ahead(void **state) {
  (void)state;
  for (int keys = 0; keys < 2; keys++) {
    world *w = world_new(AQ_FULU);
    char hex[97], text[300];
    aq_hex_encode(hex, aq_bytes_of(w->pubkey[3], 48));
    snprintf(text, sizeof text,
             "{\"data\":[{\"index\":\"3\",\"status\":\"active_ongoing\",\"validator\":{\"pubkey\":\"0x%s\"}}]}", hex);
    w->lie_cnt = UINT32_MAX;
    w->lie_path = keys ? "states/head/validators" : "validator/duties/";
    w->lie_text = keys ? text : "{\"data\":[]}";
    run_to(w, 1, 0);
    own_ahead(w, 10 * SPE * SLOT_NS);
    vc_up(w, false);
    run_to(w, 2 * SPE, AQ_SECONDS(1));
    w->lie_cnt = 0;
    own_ahead(w, 0);
    run_to(w, 3 * SPE, 0);
    uint64_t ok = chain(w).attestations_ok;
    run_to(w, 5 * SPE, 0);
    assert_int_equal(chain(w).attestations_ok - ok, 2 * VALIDATORS);
    world_free(w);
  }
}

/* Goal: a fork in the middle changes the forms at its epoch.
   Method: Electra to Fulu is not enough: Deneb at 0, Electra at 2. */
static void test_fork_on_the_way(void **state) {
  (void)state;
  world *w = world_new(AQ_DENEB);
  aq_beacon_free(w->b);
  aq_beacon_cfg cfg = {.env = &w->env.env,
                       .pubkey = (const uint8_t(*)[48])w->pubkey,
                       .validator_cnt = VALIDATORS,
                       .genesis_ns = GENESIS,
                       .slot_ns = SLOT_NS,
                       .slots_per_epoch = SPE,
                       .genesis_version = {0x70, 0, 0, 1},
                       .fork_epoch = {0, 0, 0, 0, 0, 2, 3}};
  w->b = aq_beacon_new(&cfg);
  aq_beacon_start(w->b);
  vc_up(w, true);
  run_to(w, 4 * SPE, AQ_SECONDS(1));
  aq_beacon_stats s = chain(w);
  assert_true(s.attestations_ok == 4 * VALIDATORS && s.blocks_ok == 4 * SPE);
  assert_true(s.bad == 0 && s.attestations_missed == 0 && s.slashable == 0);
  world_free(w);
}

/* Goal: a fork that the beacon node learns while the client runs changes the forms at its epoch.
   Method: Deneb; in epoch 1 Electra is scheduled for epoch 2, in epoch 2 Fulu for epoch 4. */
static void test_fork_learnt(void **state) {
  (void)state;
  world *w = world_new(AQ_DENEB);
  vc_up(w, true);
  run_to(w, SPE + 3, AQ_SECONDS(1));
  post(w, "/sim/fork", "{\"fork\":\"electra\",\"epoch\":\"2\"}");
  run_to(w, 2 * SPE + 3, AQ_SECONDS(1));
  post(w, "/sim/fork", "{\"fork\":\"fulu\",\"epoch\":\"4\"}");
  run_to(w, 5 * SPE, AQ_SECONDS(1));
  aq_beacon_stats s = chain(w);
  assert_true(s.attestations_ok == 5 * VALIDATORS && s.blocks_ok == 5 * SPE);
  assert_true(s.bad == 0 && s.attestations_missed == 0 && s.slashable == 0);
  assert_int_equal(client(w).errors, 0);
  world_free(w);
}

/* Goal: validators that become known to the chain while the client runs get their duties from the next epoch on.
   Method: the first answer about them names one only. */
static void test_keys_appear(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  char hex[97], text[400];
  aq_hex_encode(hex, aq_bytes_of(w->pubkey[3], 48));
  snprintf(text, sizeof text,
           "{\"data\":[{\"index\":\"3\",\"status\":\"active_ongoing\",\"balance\":\"1\",\"validator\":{\"pubkey\":\"0x%"
           "s\"}}]}",
           hex);
  w->lie_cnt = 1, w->lie_path = "states/head/validators", w->lie_text = text;
  vc_up(w, true);
  run_to(w, SPE, AQ_SECONDS(1));
  assert_int_equal(chain(w).attestations_ok, 1);
  run_to(w, 3 * SPE, AQ_SECONDS(1));
  assert_int_equal(chain(w).attestations_ok, 1 + 2 * VALIDATORS);
  assert_true(chain(w).bad == 0 && chain(w).slashable == 0);
  world_free(w);
}

/* Goal: after a restart in the same slot the protection refuses another vote and another block, so that nothing
   slashable leaves.
   Method: the head changes and a fee recipient does, between two lives of the client; the journal stays. */
static void test_protection(void **state) {
  static const aq_fork forks[] = {AQ_CAPELLA, AQ_FULU};
  (void)state;
  for (size_t f = 0; f < AQ_COUNT(forks); f++) {
    world *w = world_new(forks[f]);
    vc_up(w, true);
    run_to(w, SPE + 2, AQ_SECONDS(11));
    fault(w, "/validator/blocks/", "late", 6000, 1);
    run_to(w, SPE + 3, AQ_SECONDS(5)); /* has attested to the head before the block */
    uint64_t attested = chain(w).attestations_ok;
    assert_int_equal(attested, VALIDATORS + 4 * VALIDATORS / SPE);
    run_to(w, SPE + 3, AQ_SECONDS(8)); /* the block came */
    assert_int_equal(chain(w).blocks_ok, SPE + 3);
    vc_down(w);
    aq_buf json = AQ_BUF(1 << 16);
    aq_buf_put_u8(&json, '[');
    for (int i = 0; i < VALIDATORS; i++)
      aq_buf_printf(&json,
                    "%s{\"validator_index\":\"%d\",\"fee_recipient\":\"0x1111111111111111111111111111111111111111\"}",
                    i ? "," : "", i);
    aq_buf_put_u8(&json, ']');
    post(w, "/eth/v1/validator/prepare_beacon_proposer", aq_buf_cstr(&json));
    aq_buf_free(&json);
    vc_up(w, true);
    run_to(w, SPE + 3, AQ_SECONDS(11));
    assert_int_equal(client(w).refused_by_protection, VALIDATORS / SPE + 1); /* votes and the block */
    assert_true(client(w).attestations == 0 && client(w).blocks == 0);
    assert_true(chain(w).slashable == 0 && chain(w).attestations_ok == attested);
    run_to(w, 2 * SPE + 1, AQ_SECONDS(1)); /* and life goes on */
    assert_int_equal(chain(w).attestations_missed, 0);
    assert_true(chain(w).slashable == 0 && chain(w).bad == 0);
    world_free(w);
  }
}

/* Goal: a client whose journal was lost, made anew or put back from a copy signs nothing of duties that began before.
   Method: it attests and proposes in a slot; the journal is emptied in each of the ways a store can say it, the head
   changes, and a new client starts in the same slot. With a journal that says nothing it would vote twice. */
static void test_lost_journal(void **state) {
  (void)state;
  for (int way = 0; way < 4; way++) {
    world *w = world_new(AQ_FULU);
    vc_up(w, true);
    run_to(w, SPE + 2, AQ_SECONDS(11));
    fault(w, "/validator/blocks/", "late", 6000, 1);
    run_to(w, SPE + 3, AQ_SECONDS(8)); /* attested to the head before the block, which came */
    uint64_t attested = chain(w).attestations_ok;
    vc_down(w);
    fake_env_run_for(&w->env, AQ_MILLIS(5));
    fake_disk_lose(&w->disk, 0);
    fake_store_open(&w->protection, &w->disk, &w->env.env, NULL);
    w->protection.port.state = way == 1 ? AQ_STORE_MISS : way == 2 ? AQ_STORE_FALLBACK : AQ_STORE_OK;
    w->protection.port.since_ns = way == 3 ? fake_env_now(&w->env) : 0;
    vc_up(w, true);
    run_to(w, SPE + 3, AQ_SECONDS(11));
    if (way == 0) {
      assert_true(client(w).attestations > 0 && chain(w).slashable > 0);
    } else {
      assert_true(client(w).attestations == 0 && client(w).blocks == 0 && client(w).refused_by_protection == 0);
      assert_true(chain(w).slashable == 0 && chain(w).attestations_ok == attested);
      run_to(w, 2 * SPE + 1, AQ_SECONDS(1)); /* and life goes on */
      assert_true(chain(w).attestations_missed == 0 && chain(w).slashable == 0 && chain(w).bad == 0);
    }
    world_free(w);
  }
}

/* Goal: the journal is pruned and copied once an epoch, and never past the present slot.
   Method: counted over the slots of four epochs, and by a client that starts in the middle of one. */
static void test_keeps_journal(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  vc_up(w, true);
  run_to(w, 0, 0);
  for (uint64_t slot = 0; slot < 4 * (uint64_t)SPE; slot++) {
    run_to(w, slot, AQ_SECONDS(6));
    assert_int_equal(w->protection.prunes, slot / SPE + 1);
    assert_int_equal(w->protection.backups, slot / SPE + 1);
    assert_true(w->protection.pruned_slot <= slot);
  }
  vc_down(w);
  vc_up(w, true);
  run_to(w, 4 * SPE, AQ_SECONDS(1));
  assert_int_equal(w->protection.prunes, 6);
  world_free(w);
}

/* Goal: a journal of one chain does no duty on another, and says so once.
   Method: a client records its chain; another is pinned in its place; then the first again. */
static void test_other_chain(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  vc_up(w, true);
  run_to(w, 1, AQ_SECONDS(6));
  assert_true(w->disk.pinned && w->failures == 0 && records(w) > 0);
  vc_down(w);
  fake_env_run_for(&w->env, AQ_MILLIS(5));
  size_t before = records(w);
  uint64_t done = chain(w).attestations_ok;
  w->disk.chain[0] ^= 1;
  vc_up(w, true);
  run_to(w, SPE, AQ_SECONDS(6));
  assert_int_equal(w->failures, 1);
  assert_true(records(w) == before && chain(w).attestations_ok == done);
  vc_down(w);
  w->disk.chain[0] ^= 1;
  vc_up(w, true);
  run_to(w, 2 * SPE, AQ_SECONDS(6));
  assert_true(w->failures == 1 && chain(w).attestations_ok > done && chain(w).slashable == 0);
  world_free(w);
}

/* Goal: each reason for which a signature is held back has its own text.
   Method: all reasons of the journal and a disk that fails. */
static void test_refusal_texts(void **state) {
  (void)state;
  const char *text[AQ_REFUSAL_EPOCHS + 2];
  for (int i = 0; i <= AQ_REFUSAL_EPOCHS; i++) text[i] = aq_vc_refusal_text(AQ_E_SLASH, (aq_store_refusal)i);
  text[AQ_REFUSAL_EPOCHS + 1] = aq_vc_refusal_text(AQ_E_IO, AQ_REFUSAL_UNKNOWN);
  for (size_t i = 0; i < AQ_COUNT(text); i++) {
    assert_true(text[i] && *text[i]);
    for (size_t k = 0; k < i; k++) assert_string_not_equal(text[i], text[k]);
  }
}

/* Goal: a journal that cannot be written means no signature leaves.
   Method: every write fails; then the disk is back. */
static void test_disk(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  w->disk.fails = true;
  vc_up(w, true);
  run_to(w, SPE, 0);
  assert_true(chain(w).attestations_ok == 0 && chain(w).blocks_ok == 0 && chain(w).bad == 0);
  assert_int_equal(client(w).refused_by_protection, VALIDATORS + SPE - 1);
  w->disk.fails = false;
  run_to(w, 2 * SPE, 0);
  assert_int_equal(chain(w).attestations_ok, VALIDATORS);
  world_free(w);
}

/* Goal: a beacon node that fails, is late, silent or wrong on any route costs at most the duties concerned; what
   follows is done.
   Method: each fault on each route in epoch 0 and 1; epoch 2 is clean. */
static void test_faults(void **state) {
  static const char *const paths[] = {"beacon/genesis",         "config/spec",      "fork_schedule",
                                      "states/head/validators", "duties/attester",  "duties/proposer",
                                      "attestation_data",       "validator/blocks", "pool/attestations",
                                      "beacon/blocks",          "subscriptions"};
  static const char *const modes[] = {"error", "late", "drop", "wrong"};
  (void)state;
  for (size_t p = 0; p < AQ_COUNT(paths); p++) {
    for (size_t m = 0; m < AQ_COUNT(modes); m++) {
      world *w = world_new(AQ_FULU);
      fault(w, paths[p], modes[m], 3000, 3);
      vc_up(w, p % 2);
      run_to(w, 3 * SPE, AQ_SECONDS(1));
      aq_beacon_stats before = chain(w);
      run_to(w, 4 * SPE, AQ_SECONDS(1));
      aq_beacon_stats s = chain(w);
      if (s.attestations_ok != before.attestations_ok + VALIDATORS || s.blocks_ok != before.blocks_ok + SPE)
        fail_msg("%s %s: %d attestations, %d blocks", paths[p], modes[m],
                 (int)(s.attestations_ok - before.attestations_ok), (int)(s.blocks_ok - before.blocks_ok));
      assert_true(s.slashable == 0 && s.bad == 0);
      world_free(w);
    }
  }
}

/* Goal: garbage in any place neither stops nor misleads the client: in the end all duties are done, nothing
   slashable was said.
   Method: a third of all answers are lies for four epochs, from several seeds; then the truth. */
static void test_lies(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 6; seed++) {
    world *w = world_new(seed & 1 ? AQ_FULU : AQ_CAPELLA);
    aq_test_rng_seed(&w->rng, seed);
    w->lie_percent = 30;
    vc_up(w, seed & 2);
    run_to(w, 4 * SPE, AQ_SECONDS(1));
    w->lie_percent = 0;
    run_to(w, 6 * SPE, AQ_SECONDS(1));
    aq_beacon_stats before = chain(w);
    run_to(w, 7 * SPE, AQ_SECONDS(1));
    aq_beacon_stats s = chain(w);
    if (s.attestations_ok != before.attestations_ok + VALIDATORS || s.blocks_ok != before.blocks_ok + SPE ||
        s.slashable != 0)
      fail_msg("seed %d: %d attestations, %d blocks, %d slashable", (int)seed,
               (int)(s.attestations_ok - before.attestations_ok), (int)(s.blocks_ok - before.blocks_ok),
               (int)s.slashable);
    world_free(w);
  }
}

/* Goal: JSON without a list does not pass for "no duties": it is asked again in the next slot.
   Method: one such answer for the validators and for each kind of duties. */
static void test_no_list(void **state) {
  static const char *const paths[] = {"states/head/validators", "duties/attester", "duties/proposer"};
  static const char *const texts[] = {"{}", "[]", "null", "{\"data\":null}", "{\"data\":{}}"};
  (void)state;
  for (size_t p = 0; p < AQ_COUNT(paths); p++) {
    for (size_t t = 0; t < AQ_COUNT(texts); t++) {
      world *w = world_new(AQ_FULU);
      w->lie_cnt = 1, w->lie_path = paths[p], w->lie_text = texts[t];
      vc_up(w, true);
      run_to(w, SPE, AQ_SECONDS(1));
      assert_int_equal(w->lie_cnt, 0);
      assert_int_equal(client(w).errors, 1);
      assert_int_equal(chain(w).attestations_ok, VALIDATORS);
      assert_int_equal(chain(w).blocks_ok, SPE);
      world_free(w);
    }
  }
}

/* Goal: what the client is handed for signing is of the slot and epoch of its duty, or is not signed.
   Method: for an epoch and more the beacon node answers well-formed with what belongs to the slot before; nothing is
   recorded or sent. Then the truth. */
static void test_other_slot(void **state) {
  (void)state;
  for (int ssz = 0; ssz < 2; ssz++) {
    world *w = world_new(ssz ? AQ_FULU : AQ_CAPELLA);
    vc_up(w, ssz);
    run_to(w, SPE - 1, AQ_SECONDS(11));
    size_t cnt = records(w);
    aq_beacon_stats before = chain(w);
    assert_int_equal(before.attestations_ok, VALIDATORS);
    w->older = true;
    run_to(w, 2 * SPE + 1, AQ_SECONDS(11));
    assert_true(w->asked_cnt > SPE);
    assert_int_equal(records(w), cnt);
    aq_beacon_stats s = chain(w);
    assert_true(s.attestations_ok == before.attestations_ok && s.blocks_ok == before.blocks_ok);
    assert_true(s.bad == 0 && s.slashable == 0);
    w->older = false;
    run_to(w, 3 * SPE, AQ_SECONDS(1));
    before = chain(w);
    run_to(w, 4 * SPE, AQ_SECONDS(1));
    assert_int_equal(chain(w).attestations_ok, before.attestations_ok + VALIDATORS);
    assert_int_equal(chain(w).blocks_ok, before.blocks_ok + SPE);
    world_free(w);
  }
}

/* Goal: a client that starts before its beacon node, or outlives it for a while, works once it is there.
   Method: refused connections for ten seconds at the start and for two slots later. */
static void test_no_beacon(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  w->bridge.server = NULL;
  vc_up(w, true);
  fake_env_run_for(&w->env, AQ_SECONDS(20));
  w->bridge.server = &w->liar;
  run_to(w, SPE + 2, 0);
  w->bridge.server = NULL;
  run_to(w, SPE + 4, 0);
  w->bridge.server = &w->liar;
  run_to(w, 2 * SPE, AQ_SECONDS(1));
  aq_beacon_stats before = chain(w);
  run_to(w, 3 * SPE, AQ_SECONDS(1));
  assert_int_equal(chain(w).attestations_ok, before.attestations_ok + VALIDATORS);
  assert_true(chain(w).slashable == 0 && chain(w).bad == 0);
  world_free(w);
}

/* Goal: the client can be freed at any moment. Method: after 0, 1, 2 .. steps of the environment, around a duty. */
static void test_free_anywhere(void **state) {
  (void)state;
  for (uint32_t steps = 0; steps < 60; steps++) {
    world *w = world_new(AQ_FULU);
    vc_up(w, steps & 1);
    if (steps >= 20) run_to(w, 1, steps >= 40 ? AQ_SECONDS(4) : 0);
    for (uint32_t i = 0; i < steps % 20; i++) {
      if (!fake_env_step(&w->env)) fake_env_run_for(&w->env, AQ_MILLIS(1));
    }
    world_free(w);
  }
}

/* Goal: to be stopped while the beacon node does not answer yet is no failure: the process ends with status 0.
   Method: a beacon node that gives half an answer; the client is freed then. */
static void test_stopped_early(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  w->lie_path = "/eth/v1/", w->lie_text = "{", w->lie_cnt = UINT32_MAX;
  vc_up(w, false);
  fake_env_run_for(&w->env, AQ_SECONDS(3));
  vc_down(w);
  assert_int_equal(w->failures, 0);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_three_epochs),
                                     cmocka_unit_test(test_records),
                                     cmocka_unit_test(test_clock_that_was_ahead),
                                     cmocka_unit_test(test_head_asked_once),
                                     cmocka_unit_test(test_answer_of_another_time),
                                     cmocka_unit_test(test_clock_that_had_duties),
                                     cmocka_unit_test(test_learnt_ahead),
                                     cmocka_unit_test(test_fork_on_the_way),
                                     cmocka_unit_test(test_fork_learnt),
                                     cmocka_unit_test(test_keys_appear),
                                     cmocka_unit_test(test_protection),
                                     cmocka_unit_test(test_disk),
                                     cmocka_unit_test(test_lost_journal),
                                     cmocka_unit_test(test_refusal_texts),
                                     cmocka_unit_test(test_keeps_journal),
                                     cmocka_unit_test(test_other_chain),
                                     cmocka_unit_test(test_faults),
                                     cmocka_unit_test(test_lies),
                                     cmocka_unit_test(test_no_list),
                                     cmocka_unit_test(test_no_beacon),
                                     cmocka_unit_test(test_other_slot),
                                     cmocka_unit_test(test_stopped_early),
                                     cmocka_unit_test(test_free_anywhere)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
