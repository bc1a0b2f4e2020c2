/* The simulated chain's builder: blinded blocks of each fork, there and back, and what it refuses. */
#include "aq_test.h"

#include "base/hex.h"
#include "base/log.h"
#include "fake/chain.h"
#include "fake/env.h"
#include "fake/server.h"
#include "simchain/beacon_internal.h"

enum { VALIDATORS = 8, SPE = 8 };

typedef struct {
  fake_env env;
  aq_beacon *b[2]; /* two beacon nodes of one chain, the second without a way to the relay */
  aq_relay *relay;
  aq_beacon_builder way;
  bool bids;
  aq_reveal reveals;
  uint32_t blinded_seen;
  aq_beacon_watch watch;
  aq_fork fork;
  uint8_t secret[VALIDATORS][32], pubkey[VALIDATORS][48];
} world;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }
static bool bids(void *arg, uint64_t slot) { return slot > 0 && ((world *)arg)->bids; }
static aq_reveal reveals(void *arg, uint64_t slot) { return slot > 0 ? ((world *)arg)->reveals : AQ_REVEAL_NO; }
static void seen(void *arg, const aq_beacon_block *block) { ((world *)arg)->blinded_seen += block->blinded; }
static void forged(void *arg, uint64_t slot, uint64_t validator) { (void)arg, (void)slot, (void)validator; }

static world *world_new(aq_fork fork) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  aq_log_start(AQ_LOG_INFO, quiet, NULL);
  fake_env_init(&w->env, FAKE_CHAIN_GENESIS);
  fake_chain_keys(w->secret, w->pubkey, VALIDATORS);
  w->fork = fork, w->bids = true;
  w->relay = aq_relay_new();
  w->way = (aq_beacon_builder){w->relay, w, bids, reveals};
  w->watch = (aq_beacon_watch){.arg = w, .proposed = seen, .forged = forged};
  w->b[0] = fake_chain_with(&w->env, w->pubkey, VALIDATORS, SPE, fork, &w->way, &w->watch);
  w->b[1] = fake_chain_new(&w->env, w->pubkey, VALIDATORS, SPE, fork);
  return w;
}

static void world_free(world *w) {
  for (int i = 0; i < 2; i++) aq_beacon_free(w->b[i]);
  fake_env_drain(&w->env);
  aq_relay_free(w->relay);
  fake_env_free(&w->env);
  free(w);
}

static void run_to(world *w, uint64_t slot) {
  fake_env_run_until(&w->env, FAKE_CHAIN_GENESIS + slot * FAKE_CHAIN_SLOT);
}

static aq_beacon_stats stats(const world *w, int node) {
  aq_beacon_stats s;
  aq_beacon_stats_get(w->b[node], &s);
  return s;
}

static void sign_root(const world *w, uint64_t v, uint8_t sig[96], aq_domain_type domain, uint64_t epoch,
                      const uint8_t object[32]) {
  uint8_t root[32];
  aq_chain_signing_root(root, &w->b[0]->chain, domain, epoch, object);
  aq_bls_sign(sig, w->secret[v], root);
}

/* The question about a block, with the right RANDAO and more query keys. */
static fake_res *ask(world *w, int node, int version, uint64_t slot, const char *more, bool ssz) {
  uint8_t object[32] = {0}, randao[96];
  char target[400], hex[193];
  aq_le64_put(object, slot / SPE);
  sign_root(w, aq_beacon_proposer(w->b[0], slot), randao, AQ_DOMAIN_RANDAO, slot / SPE, object);
  aq_hex_encode(hex, aq_bytes_of(randao, sizeof randao));
  snprintf(target, sizeof target, "/eth/v%d/validator/blocks/%llu?randao_reveal=0x%s%s", version,
           (unsigned long long)slot, hex, more);
  fake_req q = {.method = "GET", .target = target};
  if (ssz) q.header[q.header_cnt++] = (aq_http_header){"Accept", "application/octet-stream"};
  fake_res *r = fake_send(aq_beacon_handler(w->b[node]), &q);
  fake_env_drain(&w->env);
  return r;
}

static void expect(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %.300s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

/* ---- blinded blocks ---- */

static aq_buf draft(world *w, uint64_t slot) {
  aq_buf out = AQ_BUF(1 << 20);
  fake_res *r = ask(w, 0, 3, slot, "", true);
  assert_int_equal(r->code, 200);
  assert_string_equal(fake_header(r, "Eth-Execution-Payload-Blinded"), "true");
  assert_string_equal(fake_header(r, "Eth-Consensus-Version"), aq_fork_name(w->fork));
  assert_int_equal(aq_ssz_check(aq_t_blinded_block(w->fork), aq_buf_bytes(&r->body)), AQ_OK);
  aq_buf_put_bytes(&out, aq_buf_bytes(&r->body));
  fake_res_free(r);
  return out;
}

static void change(const world *w, aq_buf *block, const char *path, const void *ptr, size_t len) {
  aq_buf out = AQ_BUF(1 << 20);
  assert_int_equal(aq_ssz_with(&out, aq_t_blinded_block(w->fork), aq_buf_bytes(block), path, aq_bytes_of(ptr, len)),
                   AQ_OK);
  aq_buf_free(block);
  *block = out;
}

static void root_of(const world *w, uint8_t root[32], const aq_buf *block) {
  aq_ssz_root(root, aq_t_blinded_block(w->fork), aq_buf_bytes(block));
}

static aq_buf signed_by(const world *w, const aq_buf *block, uint64_t signer, uint64_t slot) {
  uint8_t root[32], sig[96];
  aq_buf out = AQ_BUF(1 << 20);
  root_of(w, root, block);
  sign_root(w, signer, sig, AQ_DOMAIN_BEACON_PROPOSER, slot / SPE, root);
  const aq_bytes pair[] = {aq_buf_bytes(block), aq_bytes_of(sig, 96)};
  assert_int_equal(aq_ssz_pack(&out, aq_t_signed_blinded_block(w->fork), pair, 2), AQ_OK);
  return out;
}

static fake_res *post_as(world *w, int node, const char *target, bool json, const aq_ssz_type *t, const aq_buf *full) {
  aq_buf text = AQ_BUF(4 << 20);
  if (json) aq_ssz_to_json(&text, t, aq_buf_bytes(full));
  fake_req q = {.method = "POST",
                .target = target,
                .header = {{"Eth-Consensus-Version", aq_fork_name(w->fork)},
                           {"Content-Type", json ? "application/json" : "application/octet-stream"}},
                .header_cnt = 2,
                .body = aq_buf_bytes(json ? &text : full)};
  fake_res *r = fake_send(aq_beacon_handler(w->b[node]), &q);
  fake_env_drain(&w->env);
  aq_buf_free(&text);
  return r;
}

/* Signs and posts it. */
static fake_res *post(world *w, int node, const aq_buf *block, uint64_t signer, uint64_t slot, bool json) {
  aq_buf full = signed_by(w, block, signer, slot);
  fake_res *r = post_as(w, node, json ? "/eth/v1/beacon/blinded_blocks" : "/eth/v2/beacon/blinded_blocks", json,
                        aq_t_signed_blinded_block(w->fork), &full);
  aq_buf_free(&full);
  return r;
}

static uint64_t proposer(const world *w, uint64_t slot) { return aq_beacon_proposer(w->b[0], slot); }

/* ---- tests ---- */

/* Goal: a bid becomes a blinded block in each fork that has one, in both encodings; signed it becomes the head as a
   full block with the same root and the builder's payload.
   Method: slots 1 and 2 of each fork, posted to v2 as SSZ and to v1 as JSON; the block read back and blinded again. */
static void test_forks(void **state) {
  (void)state;
  for (aq_fork fork = AQ_BELLATRIX; fork < AQ_FORK_CNT; fork++) {
    world *w = world_new(fork);
    for (uint64_t slot = 1; slot <= 2; slot++) {
      uint8_t root[32], full[32];
      run_to(w, slot);
      aq_buf block = draft(w, slot);
      root_of(w, root, &block);
      aq_bytes header = aq_ssz_get(aq_t_blinded_block(fork), aq_buf_bytes(&block), "body.execution_payload_header");
      expect(post(w, 0, &block, proposer(w, slot), slot, slot == 2), 200, "");
      const aq_sim_block *at = aq_sim_block_at(w->b[0], slot);
      assert_memory_equal(aq_sim_root_at(w->b[0], slot), root, 32);
      aq_bytes in = aq_buf_bytes(&at->ssz);
      assert_int_equal(aq_ssz_check(aq_t_signed_block(fork), in), AQ_OK);
      aq_ssz_root(full, aq_t_block(fork), aq_ssz_get(aq_t_signed_block(fork), in, "message"));
      assert_memory_equal(full, root, 32);
      const aq_ssz_type *header_type = aq_ssz_type_at(aq_t_blinded_block(fork), "body.execution_payload_header");
      const char *same[] = {"fee_recipient", "block_hash", "extra_data", "timestamp", "block_number"};
      for (size_t i = 0; i < AQ_COUNT(same); i++) {
        char path[64];
        snprintf(path, sizeof path, "message.body.execution_payload.%s", same[i]);
        assert_bytes(aq_ssz_get(aq_t_signed_block(fork), in, path), aq_ssz_get(header_type, header, same[i]));
      }
      assert_int_equal(aq_ssz_get(aq_t_signed_block(fork), in, "message.body.execution_payload.fee_recipient").ptr[0],
                       0xb0);
      aq_buf_free(&block);
    }
    aq_beacon_stats s = stats(w, 0);
    assert_true(s.blocks_ok == 2 && s.bad == 0 && s.slashable == 0 && w->blinded_seen == 2);
    world_free(w);
  }
}

/* Goal: the JSON answer says in head and envelope that it is blinded, and holds the same kind of block; each bid is
   another one. Method: two questions. */
static void test_json(void **state) {
  (void)state;
  world *w = world_new(AQ_DENEB);
  uint8_t root[2][32];
  run_to(w, 1);
  for (int i = 0; i < 2; i++) {
    fake_res *r = ask(w, 0, 3, 1, "&builder_boost_factor=18446744073709551615", false);
    assert_string_equal(fake_header(r, "Eth-Execution-Payload-Blinded"), "true");
    yyjson_doc *doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
    yyjson_val *top = yyjson_doc_get_root(doc);
    assert_true(yyjson_is_true(yyjson_obj_get(top, "execution_payload_blinded")));
    assert_string_equal(yyjson_get_str(yyjson_obj_get(top, "version")), "deneb");
    aq_buf block = AQ_BUF(1 << 20);
    assert_int_equal(aq_ssz_from_json(&block, aq_t_blinded_block(w->fork), yyjson_obj_get(top, "data"), NULL), AQ_OK);
    root_of(w, root[i], &block);
    aq_buf_free(&block);
    yyjson_doc_free(doc);
    fake_res_free(r);
  }
  assert_memory_not_equal(root[0], root[1], 32);
  world_free(w);
}

/* Goal: a full block is the answer where the builder is not wanted, does not bid, or cannot be.
   Method: boost 0; the older route; no bid; a beacon node without a way to it; a fork without payloads. */
static void test_full(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) {
    world *w = world_new(i == 4 ? AQ_ALTAIR : AQ_CAPELLA);
    run_to(w, 1);
    w->bids = i != 2;
    fake_res *r = ask(w, i == 3, i == 1 ? 2 : 3, 1, i == 0 ? "&builder_boost_factor=0" : "", true);
    assert_int_equal(r->code, 200);
    assert_string_equal(fake_header(r, "Eth-Execution-Payload-Blinded"), "false");
    assert_int_equal(aq_ssz_check(aq_t_block(w->fork), aq_buf_bytes(&r->body)), AQ_OK);
    fake_res_free(r);
    expect(ask(w, 0, 3, 1, "&builder_boost_factor=much", false), 400, "builder_boost_factor");
    world_free(w);
  }
}

/* Goal: what is wrong in a blinded block is refused and counted as in a full one; each form has its own route.
   Method: one alteration a block, signed by the proposer but for the wrong signature; the routes exchanged. */
static void test_refused(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  run_to(w, 3);
  uint8_t junk[96] = {1}, le[8];
  uint64_t who = proposer(w, 3), other = (who + 1) % VALIDATORS;
  aq_buf block = draft(w, 3);
  expect(post(w, 0, &block, other, 3, false), 400, "block signature is wrong");
  aq_le64_put(le, other);
  change(w, &block, "proposer_index", le, 8);
  expect(post(w, 0, &block, other, 3, false), 400, "not the proposer of that slot");
  aq_buf_free(&block);
  block = draft(w, 3);
  change(w, &block, "body.randao_reveal", junk, 96);
  expect(post(w, 0, &block, who, 3, true), 400, "RANDAO reveal is wrong");
  aq_buf_free(&block);
  block = draft(w, 3);
  change(w, &block, "parent_root", junk, 32);
  expect(post(w, 0, &block, who, 3, false), 400, "parent is not known");
  aq_buf_free(&block);
  block = draft(w, 3);
  aq_buf full = signed_by(w, &block, who, 3);
  for (int json = 0; json < 2; json++)
    expect(post_as(w, 0, "/eth/v2/beacon/blocks", json, aq_t_signed_blinded_block(w->fork), &full), 400,
           "does not parse");
  assert_true(stats(w, 0).bad == 6 && stats(w, 0).blocks_ok == 0 && stats(w, 0).slashable == 0);
  expect(post(w, 0, &block, who, 3, false), 200, "");
  expect(post(w, 0, &block, who, 3, true), 200, "");
  assert_true(stats(w, 0).bad == 6 && stats(w, 0).blocks_ok == 1 && stats(w, 0).duplicates == 1);
  aq_buf_reset(&full);
  aq_buf_put_bytes(&full, aq_buf_bytes(&aq_sim_block_at(w->b[0], 3)->ssz));
  expect(post_as(w, 0, "/eth/v2/beacon/blinded_blocks", false, aq_t_signed_block(w->fork), &full), 400,
         "does not parse");
  aq_buf_free(&full);
  aq_buf_free(&block);
  world_free(w);
}

/* Goal: without its payload a blinded block is refused and comes not on the chain, and that is held against nobody; it
   was signed all the same, so another one of its slot is slashable.
   Method: a header that nobody bid; a relay that keeps the payload, then gives it; a second bid of the slot. */
static void test_no_payload(void **state) {
  (void)state;
  world *w = world_new(AQ_CAPELLA);
  uint8_t junk[32] = {1};
  run_to(w, 2);
  aq_buf block = draft(w, 2), again = draft(w, 2);
  w->reveals = AQ_REVEAL_NO;
  expect(post(w, 0, &block, proposer(w, 2), 2, false), 502, "does not reveal");
  assert_true(aq_sim_block_at(w->b[0], 2) == NULL && w->blinded_seen == 1);
  w->reveals = AQ_REVEAL_UNKNOWN;
  expect(post(w, 0, &block, proposer(w, 2), 2, false), 400, "no payload of that header");
  w->reveals = AQ_REVEAL_YES;
  assert_true(stats(w, 0).bad == 0 && stats(w, 0).blocks_ok == 0 && stats(w, 0).slashable == 0);
  expect(post(w, 0, &block, proposer(w, 2), 2, false), 200, "");
  assert_true(stats(w, 0).blocks_ok == 1 && stats(w, 0).slashable == 0);
  expect(post(w, 0, &again, proposer(w, 2), 2, false), 200, "");
  assert_int_equal(stats(w, 0).slashable, 1);
  aq_buf_free(&block);
  aq_buf_free(&again);
  run_to(w, 3);
  block = draft(w, 3), again = draft(w, 3);
  change(w, &block, "body.execution_payload_header.receipts_root", junk, 32);
  expect(post(w, 0, &block, proposer(w, 3), 3, true), 400, "no payload of that header");
  assert_true(stats(w, 0).slashable == 1 && stats(w, 0).bad == 0);
  expect(post(w, 0, &again, proposer(w, 3), 3, true), 200, "");
  assert_int_equal(stats(w, 0).slashable, 2);
  aq_buf_free(&block);
  aq_buf_free(&again);
  world_free(w);
}

/* Goal: a beacon node without a way to the relay cannot unblind, until it has the block from others.
   Method: the other node of the chain. */
static void test_no_relay(void **state) {
  (void)state;
  world *w = world_new(AQ_ELECTRA);
  run_to(w, 1);
  aq_buf block = draft(w, 1);
  expect(post(w, 1, &block, proposer(w, 1), 1, false), 400, "no payload of that header");
  expect(post(w, 0, &block, proposer(w, 1), 1, false), 200, "");
  const aq_sim_block *at = aq_sim_block_at(w->b[0], 1);
  aq_beacon_block known = {.slot = 1, .proposer = proposer(w, 1), .fork = w->fork, .ssz = aq_buf_bytes(&at->ssz)};
  memcpy(known.root, at->root, 32);
  aq_beacon_import(w->b[1], &known);
  expect(post(w, 1, &block, proposer(w, 1), 1, false), 200, "");
  assert_true(stats(w, 1).bad == 0 && stats(w, 1).duplicates == 1);
  aq_buf_free(&block);
  world_free(w);
}

/* Goal: a relay keeps the newest 256 payloads. Method: as many bids after the first; then the first one, then the last.
 */
static void test_old_bid(void **state) {
  (void)state;
  world *w = world_new(AQ_BELLATRIX);
  run_to(w, 1);
  aq_buf first = draft(w, 1), last = draft(w, 1);
  for (int i = 1; i < AQ_SIM_BIDS_MAX; i++) {
    aq_buf_free(&last);
    last = draft(w, 1);
  }
  expect(post(w, 0, &first, proposer(w, 1), 1, false), 400, "no payload of that header");
  expect(post(w, 0, &last, proposer(w, 1), 1, false), 200, "");
  aq_buf_free(&first);
  aq_buf_free(&last);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_forks),      cmocka_unit_test(test_json),
                                     cmocka_unit_test(test_full),       cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_no_payload), cmocka_unit_test(test_no_relay),
                                     cmocka_unit_test(test_old_bid)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
