/* The simulated chain as judge: what is right counts, each wrong thing is refused and counted. */
#include "aq_test.h"

#include "base/hex.h"
#include "base/log.h"
#include "eth/block.h"
#include "fake/chain.h"
#include "fake/env.h"
#include "fake/server.h"
#include "simchain/beacon_internal.h"

enum { VALIDATORS = 16, SPE = 8 };
#define GENESIS FAKE_CHAIN_GENESIS
#define SLOT_NS FAKE_CHAIN_SLOT

typedef struct {
  fake_env env;
  aq_beacon *b;
  uint8_t secret[VALIDATORS][32], pubkey[VALIDATORS][48];
} world;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static world *world_new(aq_fork fork) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  aq_log_start(AQ_LOG_INFO, quiet, NULL);
  fake_env_init(&w->env, GENESIS);
  fake_chain_keys(w->secret, w->pubkey, VALIDATORS);
  w->b = fake_chain_new(&w->env, w->pubkey, VALIDATORS, SPE, fork);
  return w;
}

static void world_free(world *w) {
  aq_beacon_free(w->b);
  fake_env_drain(&w->env);
  fake_env_free(&w->env);
  free(w);
}

static void run_to(world *w, uint64_t slot, uint64_t after_ns) {
  fake_env_run_until(&w->env, GENESIS + slot * SLOT_NS + after_ns);
}

static aq_beacon_stats stats(const world *w) {
  aq_beacon_stats s;
  aq_beacon_stats_get(w->b, &s);
  return s;
}

static fake_res *send_as(world *w, const char *method, const char *target, const char *name, const char *value,
                         const char *type, aq_bytes body) {
  fake_req q = {.method = method, .target = target, .body = body};
  if (name) q.header[q.header_cnt++] = (aq_http_header){name, value};
  if (type) q.header[q.header_cnt++] = (aq_http_header){"Content-Type", type};
  fake_res *r = fake_send(aq_beacon_handler(w->b), &q);
  fake_env_drain(&w->env);
  return r;
}

static fake_res *get(world *w, const char *target) {
  return send_as(w, "GET", target, NULL, NULL, NULL, aq_bytes_of("", 0));
}

static void expect(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %.300s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

static void sign_root(const world *w, uint64_t v, uint8_t sig[96], aq_domain_type domain, uint64_t epoch,
                      const uint8_t object[32]) {
  uint8_t root[32];
  aq_chain_signing_root(root, &w->b->chain, domain, epoch, object);
  aq_bls_sign(sig, w->secret[v], root);
}

/* ---- blocks ---- */

typedef struct {
  uint64_t slot, proposer;
  aq_fork fork;
  aq_buf value; /* what the chain made */
} draft;

static draft draft_of(world *w, uint64_t slot, aq_fork fork) {
  draft d = {.slot = slot, .proposer = aq_sim_proposer(w->b, slot), .fork = fork, .value = AQ_BUF(1 << 20)};
  uint8_t object[32] = {0}, randao[96], graffiti[32] = "graffiti";
  aq_le64_put(object, slot / SPE);
  sign_root(w, d.proposer, randao, AQ_DOMAIN_RANDAO, slot / SPE, object);
  assert_int_equal(aq_sim_make_block(w->b, slot, randao, graffiti, &d.value), AQ_OK);
  return d;
}

static aq_block_view draft_view(const draft *d) {
  aq_block_view view;
  aq_block_view_get(&view, d->fork, false, false, aq_buf_bytes(&d->value));
  return view;
}

static void draft_set(draft *d, const char *field, const void *ptr, size_t len) {
  const aq_ssz_type *t = aq_t_proposal(d->fork, false, false);
  char path[64];
  aq_buf out = AQ_BUF(1 << 20);
  snprintf(path, sizeof path, "%s%s", draft_view(d).wrapped ? "block." : "", field);
  assert_int_equal(aq_ssz_with(&out, t, aq_buf_bytes(&d->value), path, aq_bytes_of(ptr, len)), AQ_OK);
  aq_buf_free(&d->value);
  d->value = out;
}

static void draft_root(const draft *d, uint8_t root[32]) { aq_ssz_root(root, draft_view(d).type, draft_view(d).block); }

static aq_buf draft_sign(const world *w, const draft *d, uint64_t signer) {
  const aq_ssz_type *st = aq_t_proposal(d->fork, false, true);
  aq_block_view view = draft_view(d);
  aq_buf one = AQ_BUF(1 << 20), out = AQ_BUF(1 << 20);
  uint8_t root[32], sig[96];
  draft_root(d, root);
  sign_root(w, signer, sig, AQ_DOMAIN_BEACON_PROPOSER, d->slot / SPE, root);
  const aq_bytes pair[] = {view.block, aq_bytes_of(sig, 96)};
  if (!view.wrapped) {
    assert_int_equal(aq_ssz_pack(&out, st, pair, 2), AQ_OK);
    return out;
  }
  assert_int_equal(aq_ssz_pack(&one, aq_t_signed_block(d->fork), pair, 2), AQ_OK);
  const aq_bytes part[] = {aq_buf_bytes(&one), aq_bytes_of("", 0), aq_bytes_of("", 0)};
  assert_int_equal(aq_ssz_pack(&out, st, part, 3), AQ_OK);
  aq_buf_free(&one);
  return out;
}

/* Signs and posts; frees the draft. */
static fake_res *post_draft(world *w, draft *d, uint64_t signer, bool json) {
  aq_buf full = draft_sign(w, d, signer), text = AQ_BUF(4 << 20);
  aq_ssz_to_json(&text, aq_t_proposal(d->fork, false, true), aq_buf_bytes(&full));
  fake_res *r = send_as(w, "POST", json ? "/eth/v1/beacon/blocks" : "/eth/v2/beacon/blocks", "Eth-Consensus-Version",
                        aq_fork_name(d->fork), json ? "application/json" : "application/octet-stream",
                        aq_buf_bytes(json ? &text : &full));
  aq_buf_free(&full);
  aq_buf_free(&text);
  aq_buf_free(&d->value);
  return r;
}

/* Goal: the chain's blocks are valid SSZ in every fork, the same over HTTP in both encodings, and once signed they
   become the head.
   Method: slots 1 and 2 of each fork, posted as SSZ and as JSON; read back. */
static void test_blocks(void **state) {
  (void)state;
  for (aq_fork fork = AQ_PHASE0; fork < AQ_FORK_CNT; fork++) {
    world *w = world_new(fork);
    for (uint64_t slot = 1; slot <= 2; slot++) {
      char target[400], hex[193], text[256];
      run_to(w, slot, 0);
      draft d = draft_of(w, slot, fork);
      assert_int_equal(aq_ssz_check(aq_t_proposal(fork, false, false), aq_buf_bytes(&d.value)), AQ_OK);
      aq_hex_encode(hex, draft_view(&d).randao);
      snprintf(
          target, sizeof target,
          "/eth/v%d/validator/blocks/%llu?randao_reveal=0x%s&graffiti=0x67726166666974690000000000000000000000000000"
          "00000000000000000000",
          slot == 1 ? 3 : 2, (unsigned long long)slot, hex);
      fake_res *r = send_as(w, "GET", target, "Accept", "application/octet-stream", NULL, aq_bytes_of("", 0));
      assert_string_equal(fake_header(r, "Eth-Consensus-Version"), aq_fork_name(fork));
      assert_bytes(aq_buf_bytes(&r->body), aq_buf_bytes(&d.value));
      fake_res_free(r);
      r = get(w, target);
      yyjson_doc *doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
      aq_buf back = AQ_BUF(1 << 20);
      assert_int_equal(aq_ssz_from_json(&back, aq_t_proposal(fork, false, false),
                                        yyjson_obj_get(yyjson_doc_get_root(doc), "data"), NULL),
                       AQ_OK);
      assert_bytes(aq_buf_bytes(&back), aq_buf_bytes(&d.value));
      aq_buf_free(&back);
      yyjson_doc_free(doc);
      fake_res_free(r);
      uint8_t root[32];
      draft_root(&d, root);
      expect(post_draft(w, &d, d.proposer, slot == 2), 200, "");
      assert_memory_equal(aq_sim_root_at(w->b, slot), root, 32);
      aq_hex_encode(hex, aq_bytes_of(root, 32));
      snprintf(text, sizeof text, "\"root\":\"0x%s\"", hex);
      expect(get(w, "/eth/v1/beacon/blocks/head/root"), 200, text);
      snprintf(text, sizeof text, "{\"version\":\"%s\"", aq_fork_name(fork));
      expect(get(w, "/eth/v2/beacon/blocks/head"), 200, text);
    }
    assert_true(stats(w).blocks_ok == 2 && stats(w).bad == 0);
    world_free(w);
  }
}

/* Goal: each wrong thing in a block is refused with its reason and counted, and no harm is done: the right one
   still counts.
   Method: one alteration a block, signed by the proposer but for the wrong signature. */
static void test_bad_blocks(void **state) {
  static const aq_fork forks[] = {AQ_CAPELLA, AQ_FULU};
  (void)state;
  for (size_t f = 0; f < AQ_COUNT(forks); f++) {
    world *w = world_new(forks[f]);
    run_to(w, 3, 0);
    uint8_t junk[96] = {1}, le[8];
    draft d = draft_of(w, 3, forks[f]);
    uint64_t who = d.proposer, other = (who + 1) % VALIDATORS;
    expect(post_draft(w, &d, other, false), 400, "block signature is wrong");
    d = draft_of(w, 3, forks[f]);
    aq_le64_put(le, other);
    draft_set(&d, "proposer_index", le, 8);
    expect(post_draft(w, &d, other, false), 400, "not the proposer of that slot");
    d = draft_of(w, 3, forks[f]);
    draft_set(&d, "body.randao_reveal", junk, 96);
    expect(post_draft(w, &d, who, true), 400, "RANDAO reveal is wrong");
    d = draft_of(w, 3, forks[f]);
    draft_set(&d, "parent_root", junk, 32);
    expect(post_draft(w, &d, who, false), 400, "parent is not known");
    d = draft_of(w, 4, forks[f]);
    expect(post_draft(w, &d, d.proposer, false), 400, "block is from the future");
    d = draft_of(w, 3, forks[f]);
    d.fork = forks[f] == AQ_FULU ? AQ_ELECTRA : AQ_CAPELLA; /* the same layout under another name */
    if (forks[f] == AQ_FULU) {
      expect(post_draft(w, &d, who, false), 400, "block of another fork");
    } else {
      aq_buf_free(&d.value);
      expect(send_as(w, "POST", "/eth/v2/beacon/blocks", "Eth-Consensus-Version", "nope", NULL, aq_bytes_str("{}")),
             400, "block does not parse");
    }
    expect(send_as(w, "POST", "/eth/v2/beacon/blocks", NULL, NULL, NULL, aq_bytes_str("{}")), 400, "does not parse");
    expect(send_as(w, "POST", "/eth/v2/beacon/blocks", NULL, NULL, "application/octet-stream", aq_bytes_str("x")), 400,
           "does not parse");
    assert_true(stats(w).bad == 8 && stats(w).blocks_ok == 0 && stats(w).slashable == 0);
    d = draft_of(w, 3, forks[f]);
    expect(post_draft(w, &d, who, false), 200, "");
    assert_true(stats(w).bad == 8 && stats(w).blocks_ok == 1);
    world_free(w);
  }
}

/* Goal: the same block again is a duplicate; a second one of its slot, well signed, is slashable, also when it is
   wrong in itself; not when somebody else signed it.
   Method: graffiti changed; then the parent too. */
static void test_second_block(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  run_to(w, 2, 0);
  uint8_t graffiti[32] = "other", junk[32] = {1};
  draft d = draft_of(w, 2, AQ_FULU);
  uint64_t who = d.proposer;
  expect(post_draft(w, &d, who, false), 200, "");
  d = draft_of(w, 2, AQ_FULU);
  expect(post_draft(w, &d, who, true), 200, "");
  assert_true(stats(w).duplicates == 1 && stats(w).slashable == 0);
  d = draft_of(w, 2, AQ_FULU);
  draft_set(&d, "body.graffiti", graffiti, 32);
  expect(post_draft(w, &d, (who + 1) % VALIDATORS, false), 400, "block signature is wrong");
  assert_int_equal(stats(w).slashable, 0);
  d = draft_of(w, 2, AQ_FULU);
  draft_set(&d, "body.graffiti", graffiti, 32);
  fake_res_free(post_draft(w, &d, who, false));
  assert_int_equal(stats(w).slashable, 1);
  d = draft_of(w, 2, AQ_FULU);
  draft_set(&d, "parent_root", junk, 32);
  expect(post_draft(w, &d, who, false), 400, "parent is not known");
  assert_int_equal(stats(w).slashable, 2);
  assert_int_equal(stats(w).blocks_ok, 1);
  world_free(w);
}

/* ---- attestations ---- */

static uint64_t attester_of(world *w, uint64_t slot) {
  const aq_sim_epoch *e = aq_sim_seats(w->b, slot / SPE);
  for (uint32_t i = 0; i < VALIDATORS; i++) {
    if (e->seat[i].slot_off == slot % SPE && e->seat[i].position == 0) return i;
  }
  fail();
  return 0;
}

static void put_attestation(world *w, aq_buf *out, uint64_t v, const aq_att_data *d, uint64_t signer) {
  const aq_sim_seat *s = &aq_sim_seats(w->b, d->slot / SPE)->seat[v];
  bool electra = aq_chain_fork_at(&w->b->chain, d->slot / SPE) >= AQ_ELECTRA;
  uint8_t ssz[128], root[32], sig[96];
  char hex[193];
  aq_att_data_put(ssz, d);
  aq_ssz_root(root, &aq_t_attestation_data, aq_bytes_of(ssz, sizeof ssz));
  sign_root(w, signer, sig, AQ_DOMAIN_BEACON_ATTESTER, d->target_epoch, root);
  if (electra)
    aq_buf_printf(out, "{\"committee_index\":\"%u\",\"attester_index\":\"%llu\",\"data\":", s->committee,
                  (unsigned long long)v);
  else
    aq_buf_printf(out, "{\"aggregation_bits\":\"0x%02x\",\"data\":", 1u << s->position | 4u);
  aq_ssz_to_json(out, &aq_t_attestation_data, aq_bytes_of(ssz, sizeof ssz));
  aq_hex_encode(hex, aq_bytes_of(sig, sizeof sig));
  aq_buf_printf(out, ",\"signature\":\"0x%s\"}", hex);
}

static fake_res *post_text(world *w, aq_fork fork, const char *text) {
  return send_as(w, "POST", "/eth/v2/beacon/pool/attestations", "Eth-Consensus-Version", aq_fork_name(fork),
                 "application/json", aq_bytes_str(text));
}

static fake_res *post_att(world *w, aq_fork fork, uint64_t v, const aq_att_data *d, uint64_t signer) {
  aq_buf body = AQ_BUF(1 << 16);
  aq_buf_put_u8(&body, '[');
  put_attestation(w, &body, v, d, signer);
  aq_buf_put_u8(&body, ']');
  fake_res *r = post_text(w, fork, aq_buf_cstr(&body));
  aq_buf_free(&body);
  return r;
}

static aq_att_data right(world *w, uint64_t slot) {
  aq_att_data d;
  aq_sim_att_data(w->b, slot, 0, &d);
  return d;
}

/* Goal: a right attestation counts once, in the form of its fork; repetitions are duplicates.
   Method: what attestation_data answers, signed by the validator in its seat; before and after Electra. */
static void test_attestations(void **state) {
  static const aq_fork forks[] = {AQ_CAPELLA, AQ_FULU};
  (void)state;
  for (size_t f = 0; f < AQ_COUNT(forks); f++) {
    world *w = world_new(forks[f]);
    run_to(w, SPE + 1, AQ_SECONDS(4));
    uint64_t slot = SPE + 1, v = attester_of(w, slot);
    aq_att_data d = right(w, slot);
    char want[64];
    snprintf(want, sizeof want, "{\"data\":{\"slot\":\"%llu\",\"index\":\"0\"", (unsigned long long)slot);
    expect(get(w, "/eth/v1/validator/attestation_data?slot=9&committee_index=0"), 200, want);
    expect(post_att(w, forks[f], v, &d, v), 200, "");
    assert_int_equal(stats(w).attestations_ok, 1);
    for (int i = 0; i < 2; i++) expect(post_att(w, forks[f], v, &d, v), 200, "");
    assert_int_equal(stats(w).duplicates, 2);
    aq_buf twice = AQ_BUF(1 << 16); /* in one request, before either is verified */
    run_to(w, SPE + 2, AQ_SECONDS(4));
    v = attester_of(w, SPE + 2), d = right(w, SPE + 2);
    aq_buf_put_u8(&twice, '[');
    put_attestation(w, &twice, v, &d, v);
    aq_buf_put_u8(&twice, ',');
    put_attestation(w, &twice, v, &d, v);
    aq_buf_put_u8(&twice, ']');
    expect(post_text(w, forks[f], aq_buf_cstr(&twice)), 200, "");
    aq_buf_free(&twice);
    assert_true(stats(w).attestations_ok == 2 && stats(w).duplicates == 3 && stats(w).bad == 0);
    world_free(w);
  }
}

/* Goal: a chain that was started anew has lost its blocks: what was made on them is refused, and held against nobody.
   Method: an attestation on a block that is not there, of the slot of the start, and of the next one. */
static void test_before_start(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  run_to(w, SPE + 1, AQ_SECONDS(4));
  aq_beacon_start(w->b);
  for (uint64_t slot = SPE + 1; slot <= SPE + 2; slot++) {
    run_to(w, slot, AQ_SECONDS(5));
    uint64_t v = attester_of(w, slot);
    aq_att_data d = right(w, slot);
    d.target_root[0] ^= 1;
    expect(post_att(w, AQ_FULU, v, &d, v), 400, "target root is wrong");
    assert_int_equal(stats(w).bad, slot - SPE - 1);
  }
  world_free(w);
}

/* Goal: each wrong thing in an attestation is refused with its reason and counted.
   Method: one field changed and signed well; other keys, seats, forks and forms. */
static void test_bad_attestations(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  run_to(w, SPE + 1, AQ_SECONDS(4));
  uint64_t v = attester_of(w, SPE + 1), bad = 0;
  const aq_att_data good = right(w, SPE + 1);
  expect(post_att(w, AQ_FULU, v, &good, (v + 1) % VALIDATORS), 400, "attestation signature is wrong");
  aq_att_data d = good;
  d.index = 1;
  expect(post_att(w, AQ_FULU, (v + 9) % VALIDATORS, &d, (v + 9) % VALIDATORS), 400, "data.index is not 0");
  bad = 2;
  struct {
    const char *text;
    aq_att_data d;
    uint64_t v;
  } cases[] = {{"source or target epoch is wrong", good, 0},
               {"source or target epoch is wrong", good, 1},
               {"target root is wrong", good, 2},
               {"source root is wrong", good, 3},
               {"head is not a recent block", good, 4},
               {"slot is in the future", good, 5},
               {"the validator has no seat in that committee", good, 6}};
  cases[0].d.target_epoch++, cases[1].d.source_epoch = 7, cases[2].d.target_root[0] ^= 1,
                             cases[3].d.source_root[0] ^= 1;
  cases[4].d.beacon_block_root[0] ^= 1, cases[5].d.slot += 1;
  for (size_t i = 0; i < AQ_COUNT(cases); i++) { /* each by another validator: none is a second vote */
    uint64_t who = (v + 1 + cases[i].v) % VALIDATORS;
    if (i == 6) assert_true(aq_sim_seats(w->b, 1)->seat[who].slot_off != 1);
    expect(post_att(w, AQ_FULU, who, &cases[i].d, who), 400, cases[i].text);
    bad++;
  }
  expect(post_att(w, AQ_CAPELLA, v, &good, v), 400, "not an Attestation"), bad++;
  static const char *const texts[] = {"[{}]", "[1]", "[null]",
                                      "[{\"committee_index\":\"0\",\"attester_index\":\"x\"}]"};
  for (size_t i = 0; i < AQ_COUNT(texts); i++, bad++)
    expect(post_text(w, AQ_FULU, texts[i]), 400, "not a SingleAttestation");
  expect(post_text(w, AQ_FULU, "{}"), 400, "without version or list"), bad++;
  expect(send_as(w, "POST", "/eth/v2/beacon/pool/attestations", NULL, NULL, NULL, aq_bytes_str("[]")), 400,
         "without version or list"),
      bad++;
  assert_true(stats(w).bad == bad && stats(w).slashable == 0 && stats(w).attestations_ok == 0);
  expect(post_att(w, AQ_FULU, v, &good, v), 200, "");
  assert_int_equal(stats(w).attestations_ok, 1);
  /* The older form under its own name on this chain. */
  aq_buf body = AQ_BUF(1 << 16);
  uint8_t ssz[128];
  aq_att_data_put(ssz, &good);
  aq_buf_put_str(&body, "[{\"aggregation_bits\":\"0x05\",\"data\":");
  aq_ssz_to_json(&body, &aq_t_attestation_data, aq_bytes_of(ssz, sizeof ssz));
  aq_buf_put_str(&body, ",\"signature\":\"0xc0");
  for (int i = 0; i < 95; i++) aq_buf_put_str(&body, "00");
  aq_buf_put_str(&body, "\"}]");
  expect(post_text(w, AQ_DENEB, aq_buf_cstr(&body)), 400, "attestation of another fork");
  char *bits = strstr((char *)(uintptr_t)aq_buf_cstr(&body), "0x05"); /* one bit fewer and one more than two seats */
  memcpy(bits, "0x03", 4);
  expect(post_text(w, AQ_DENEB, aq_buf_cstr(&body)), 400, "not a bit for each of the committee");
  memcpy(bits, "0x09", 4);
  expect(post_text(w, AQ_DENEB, aq_buf_cstr(&body)), 400, "not a bit for each of the committee");
  aq_buf_free(&body);
  world_free(w);
}

/* Goal: two different votes for a target, and one around another, are slashable, whatever else is wrong with the
   second; a stranger's signature is not. A slashable vote is no done duty.
   Method: is_slashable_attestation_data of the specs, with heads and sources changed. */
static void test_slashable(void **state) {
  (void)state;
  world *w = world_new(AQ_CAPELLA);
  run_to(w, 3 * SPE + 7, AQ_SECONDS(4));
  uint64_t slot = 3 * SPE + 1, v = attester_of(w, slot);
  aq_att_data good = right(w, slot), d = good;
  expect(post_att(w, AQ_CAPELLA, v, &good, v), 200, "");
  d.beacon_block_root[0] ^= 1;
  expect(post_att(w, AQ_CAPELLA, v, &d, (v + 1) % VALIDATORS), 400, "head is not a recent block");
  assert_int_equal(stats(w).slashable, 0);
  expect(post_att(w, AQ_CAPELLA, v, &d, v), 400, "head is not a recent block"); /* double vote */
  assert_int_equal(stats(w).slashable, 1);
  run_to(w, 4 * SPE + 7, AQ_SECONDS(4));
  uint64_t around_slot = 4 * SPE;
  while (attester_of(w, around_slot) != v && around_slot < 5 * SPE - 1) around_slot++;
  if (attester_of(w, around_slot) == v) {
    d = right(w, around_slot);
    d.source_epoch = 1; /* surrounds 2 -> 3 */
    expect(post_att(w, AQ_CAPELLA, v, &d, v), 400, "source or target epoch is wrong");
    assert_int_equal(stats(w).slashable, 2);
  }
  assert_int_equal(stats(w).attestations_ok, 1);
  world_free(w);
}

/* Goal: the same on Electra chains, where any validator can be named. Method: one vote around and one within. */
static void test_surround(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  run_to(w, 5 * SPE + 7, AQ_SECONDS(4));
  uint64_t seat = aq_beacon_attests_at(w->b, 3, 5);
  aq_att_data d = right(w, 3 * SPE + (seat == 3 * SPE + 1 ? 3 : 1));
  expect(post_att(w, AQ_FULU, 5, &d, 5), 400, ""); /* 2 -> 3, refused for its seat, but signed */
  d = right(w, 4 * SPE + 1);
  d.source_epoch = 1;
  expect(post_att(w, AQ_FULU, 5, &d, 5), 400, "source or target epoch is wrong");
  assert_int_equal(stats(w).slashable, 1);
  d = right(w, 5 * SPE + 1); /* 4 -> 5: conflicts with nothing */
  fake_res_free(post_att(w, AQ_FULU, 5, &d, 5));
  assert_int_equal(stats(w).slashable, 1);
  d = right(w, 3 * SPE + 2);
  d.source_epoch = 3, d.target_epoch = 3; /* within 1 -> 4, and a second vote for 3: counted once */
  expect(post_att(w, AQ_FULU, 5, &d, 5), 400, "source or target epoch is wrong");
  assert_int_equal(stats(w).slashable, 2);
  world_free(w);
}

/* ---- accounting ---- */

/* Goal: a seat that is silent two slots on is missed; coming later moves it to late; over an epoch late it stays
   missed. Blocks alike.
   Method: epoch 1 in which some attest in time, late, much too late or never. */
static void test_accounting(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  run_to(w, 2, 0);
  uint64_t base = stats(w).attestations_missed; /* slot 0 */
  assert_int_equal(base, VALIDATORS / SPE);
  run_to(w, 4, AQ_SECONDS(4)); /* slots 1 and 2 have passed with nobody */
  assert_int_equal(stats(w).attestations_missed, 3 * base);
  assert_int_equal(stats(w).blocks_missed, 2);
  uint64_t v = attester_of(w, 2);
  aq_att_data d = right(w, 2);
  expect(post_att(w, AQ_FULU, v, &d, v), 200, "");
  assert_int_equal(stats(w).attestations_missed, 3 * base - 1);
  assert_int_equal(stats(w).attestations_late, 1);
  draft block = draft_of(w, 2, AQ_FULU);
  expect(post_draft(w, &block, block.proposer, false), 200, "");
  assert_true(stats(w).blocks_ok == 1 && stats(w).blocks_missed == 1);
  v = attester_of(w, 4), d = right(w, 4);
  expect(post_att(w, AQ_FULU, v, &d, v), 200, "");
  run_to(w, 6, AQ_SECONDS(4));
  assert_int_equal(stats(w).attestations_missed, 5 * base - 2);
  /* More than an epoch late. */
  run_to(w, 3 * SPE, 0);
  uint64_t before = stats(w).attestations_missed, late = stats(w).attestations_late, ok = stats(w).attestations_ok;
  v = attester_of(w, SPE + 2), d = right(w, SPE + 2);
  expect(post_att(w, AQ_FULU, v, &d, v), 200, "");
  assert_true(stats(w).attestations_missed == before && stats(w).attestations_late == late + 1);
  assert_int_equal(stats(w).attestations_ok, ok);
  yyjson_doc *doc;
  fake_res *r = get(w, "/sim/stats");
  doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
  yyjson_val *root = yyjson_doc_get_root(doc);
  assert_int_equal(aq_test_u64(yyjson_obj_get(root, "attestations"), "missed"), before);
  assert_int_equal(aq_test_u64(root, "slot"), 3 * SPE);
  assert_true(yyjson_arr_size(yyjson_obj_get(root, "missed_block_slots")) > 0);
  yyjson_doc_free(doc);
  fake_res_free(r);
  world_free(w);
}

/* Goal: who is silent in the last slot of an epoch has missed it, although the next epoch's vote comes before the
   count.
   Method: a validator that sits in the last slot of an epoch and in the first of the next. */
static void test_miss_at_the_end(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  uint64_t epoch = 0, v = VALIDATORS;
  for (; v == VALIDATORS; epoch++) {
    for (v = 0; v < VALIDATORS; v++) {
      uint32_t last = aq_sim_seats(w->b, epoch)->seat[v].slot_off;
      if (last == SPE - 1 && aq_sim_seats(w->b, epoch + 1)->seat[v].slot_off == 0) break;
    }
  }
  run_to(w, epoch * SPE, AQ_SECONDS(4));
  uint64_t before = stats(w).attestations_missed;
  aq_att_data d = right(w, epoch * SPE);
  expect(post_att(w, AQ_FULU, v, &d, v), 200, "");
  run_to(w, epoch * SPE + 1, AQ_SECONDS(4));
  assert_int_equal(stats(w).attestations_missed, before + VALIDATORS / SPE);
  run_to(w, epoch * SPE + 2, AQ_SECONDS(4));
  assert_int_equal(stats(w).attestations_missed, before + 2 * VALIDATORS / SPE - 1);
  world_free(w);
}

/* Goal: a chain that starts in the middle of its life has missed nothing. Method: started in slot 100. */
static void test_late_start(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  aq_timer_cancel(&w->env.env, &w->b->slot_timer);
  fake_env_set(&w->env, GENESIS + 100 * SLOT_NS + 1);
  aq_beacon_start(w->b);
  run_to(w, 101, 0);
  assert_true(stats(w).attestations_missed == 0 && stats(w).blocks_missed == 0);
  run_to(w, 102, 0);
  assert_int_equal(stats(w).blocks_missed, 1);
  world_free(w);
}

static fake_res *count_from(world *w, const char *json) {
  return send_as(w, "POST", "/sim/count", NULL, NULL, NULL, aq_bytes_str(json));
}

/* Goal: duties count from the slot that was named, whatever came or did not come before; wrong messages always count.
   Method: slot 3 is named in slot 2, after silence, a vote and a block; then votes and blocks of slots 2 and 3 come, in
   time and late. A slot that has begun is refused. */
static void test_count_from(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  uint64_t v = attester_of(w, 1), seats = VALIDATORS / SPE;
  run_to(w, 1, AQ_SECONDS(4));
  aq_att_data d = right(w, 1);
  expect(post_att(w, AQ_FULU, v, &d, (v + 1) % VALIDATORS), 400, "");
  expect(post_att(w, AQ_FULU, v, &d, v), 200, "");
  draft block = draft_of(w, 1, AQ_FULU);
  expect(post_draft(w, &block, block.proposer, false), 200, "");
  run_to(w, 2, AQ_SECONDS(4));
  assert_true(stats(w).attestations_missed == seats && stats(w).attestations_ok == 1 && stats(w).blocks_ok == 1);
  static const char *const refused[][2] = {{"{}", "want"}, {"{\"slot\":\"x\"}", "want"}, {"{\"slot\":\"2\"}", "begun"}};
  for (size_t i = 0; i < AQ_COUNT(refused); i++)
    expect(count_from(w, refused[i][0]), i == 2 ? 409 : 400, refused[i][1]);
  assert_int_equal(stats(w).attestations_missed, seats);
  expect(count_from(w, "{\"slot\":\"3\"}"), 200, "");
  run_to(w, 4, AQ_SECONDS(4)); /* slot 2 is due */
  v = attester_of(w, 2), d = right(w, 2);
  expect(post_att(w, AQ_FULU, v, &d, v), 200, "");
  aq_beacon_stats s = stats(w);
  assert_true(s.attestations_ok + s.attestations_missed + s.attestations_late + s.blocks_ok + s.blocks_missed == 0);
  assert_int_equal(s.bad, 1);
  expect(get(w, "/sim/stats"), 200, "\"missed_attestation_slots\":[],\"missed_block_slots\":[]");
  run_to(w, 5, AQ_SECONDS(4)); /* slot 3 is due */
  block = draft_of(w, 2, AQ_FULU);
  expect(post_draft(w, &block, block.proposer, false), 200, "");
  s = stats(w);
  assert_true(s.attestations_missed == seats && s.blocks_missed == 1 && s.blocks_ok == 0);
  v = attester_of(w, 3), d = right(w, 3);
  expect(post_att(w, AQ_FULU, v, &d, v), 200, "");
  assert_true(stats(w).attestations_missed == seats - 1 && stats(w).attestations_ok == 1);
  block = draft_of(w, 3, AQ_FULU);
  expect(post_draft(w, &block, block.proposer, false), 200, "");
  assert_true(stats(w).blocks_missed == 0 && stats(w).blocks_ok == 1);
  world_free(w);
}

/* ---- faults ---- */

static fake_res *fault(world *w, const char *json) {
  return send_as(w, "POST", "/sim/fault", NULL, NULL, NULL, aq_bytes_str(json));
}

/* Goal: each fault does what it says, as often as it says, on its path only. Method: one of each on node/version. */
static void test_faults(void **state) {
  const char *target = "/eth/v1/node/version";
  (void)state;
  world *w = world_new(AQ_FULU);
  expect(fault(w, "{\"path\":\"node/version\",\"mode\":\"error\",\"count\":2}"), 200, "");
  expect(get(w, "/eth/v1/node/syncing"), 200, "head_slot");
  for (int i = 0; i < 2; i++) expect(get(w, target), 500, "simulated failure");
  expect(get(w, target), 200, "aequa-sim");
  expect(fault(w, "{\"path\":\"version\",\"mode\":\"late\",\"ms\":700}"), 200, "");
  fake_res *r = get(w, target);
  fake_env_run_for(&w->env, AQ_MILLIS(699));
  assert_int_equal(r->code, 0);
  fake_env_run_for(&w->env, AQ_MILLIS(1));
  expect(r, 200, "aequa-sim");
  expect(fault(w, "{\"path\":\"version\",\"mode\":\"late\",\"ms\":700}"), 200, "");
  fake_res_free(get(w, target)); /* and the client does not wait */
  expect(fault(w, "{\"path\":\"version\",\"mode\":\"drop\"}"), 200, "");
  r = get(w, target);
  fake_env_run_for(&w->env, AQ_SECONDS(3600));
  assert_int_equal(r->code, 0);
  fake_res_free(r);
  expect(fault(w, "{\"path\":\"version\",\"mode\":\"wrong\"}"), 200, "");
  r = get(w, target);
  assert_null(yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0));
  expect(r, 200, "no number");
  expect(get(w, target), 200, "aequa-sim");
  static const char *const bad[] = {
      "", "[]", "{}", "{\"path\":\"a\"}", "{\"path\":\"a\",\"mode\":\"other\"}", "{\"path\":1,\"mode\":\"late\"}"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) expect(fault(w, bad[i]), 400, "want {");
  for (int i = 0; i < AQ_SIM_FAULTS_MAX; i++) expect(fault(w, "{\"path\":\"version\",\"mode\":\"error\"}"), 200, "");
  expect(fault(w, "{\"path\":\"version\",\"mode\":\"error\"}"), 400, "at most 16");
  expect(get(w, "/sim/stats"), 200, "\"bad\":0"); /* never faulty itself */
  world_free(w);
}

/* ---- events ---- */

/* Goal: streams get the topics they asked for, when a block comes; one that left is forgotten; too many are refused.
   Method: three streams, one block. */
static void test_events(void **state) {
  static const char *const topics[] = {"head", "block", "head,block"};
  (void)state;
  world *w = world_new(AQ_FULU);
  fake_res *r[3];
  for (size_t i = 0; i < 3; i++) {
    char target[64];
    snprintf(target, sizeof target, "/eth/v1/events?topics=%s", topics[i]);
    r[i] = get(w, target);
    assert_true(r[i]->streamed && r[i]->code == 200 && !r[i]->ended);
    assert_string_equal(fake_header(r[i], "content-type"), "text/event-stream");
  }
  run_to(w, 1, 0);
  draft d = draft_of(w, 1, AQ_FULU);
  expect(post_draft(w, &d, d.proposer, false), 200, "");
  for (size_t i = 0; i < 3; i++) {
    const char *text = aq_buf_cstr(&r[i]->body);
    assert_int_equal(strstr(text, "event: head\ndata: {\"slot\":\"1\"") != NULL, i != 1);
    assert_int_equal(strstr(text, "event: block\ndata: {\"slot\":\"1\"") != NULL, i != 0);
    fake_res_free(r[i]);
  }
  run_to(w, 2, 0);
  d = draft_of(w, 2, AQ_FULU);
  expect(post_draft(w, &d, d.proposer, false), 200, ""); /* nobody listens */
  fake_res *many[AQ_SIM_STREAMS_MAX];
  for (size_t i = 0; i < AQ_COUNT(many); i++) many[i] = get(w, "/eth/v1/events?topics=head");
  expect(get(w, "/eth/v1/events?topics=head"), 503, "too many event streams");
  for (size_t i = 0; i < AQ_COUNT(many); i++) fake_res_free(many[i]);
  world_free(w);
}

/* ---- the rest ---- */

/* Goal: a block that the fork choice left is still found by its root, and by nothing else, as real beacon nodes do it.
   Method: another block in its place, then none. */
static void test_orphans(void **state) {
  (void)state;
  world *w = world_new(AQ_CAPELLA);
  run_to(w, 5, 0);
  aq_beacon_block first = {.slot = 4, .root = {0x41}, .fork = AQ_CAPELLA}, second = first;
  char path[2][128];
  second.root[0] = 0x42;
  for (int i = 0; i < 2; i++) snprintf(path[i], sizeof path[i], "/eth/v1/beacon/headers/0x4%d%062d", i + 1, 0);
  expect(get(w, path[0]), 404, "NotFound");
  aq_beacon_import(w->b, &first);
  expect(get(w, path[0]), 200, "\"canonical\":true");
  aq_beacon_import(w->b, &second);
  expect(get(w, path[0]), 200, "\"canonical\":false");
  expect(get(w, path[1]), 200, "\"canonical\":true");
  expect(get(w, "/eth/v1/beacon/headers/4"), 200, path[1] + strlen("/eth/v1/beacon/headers/"));
  aq_beacon_orphan(w->b, 4);
  expect(get(w, path[1]), 200, "\"canonical\":false");
  expect(get(w, "/eth/v1/beacon/headers/4"), 404, "NotFound");
  world_free(w);
}

/* Goal: every seat of an epoch is given out exactly once, as the duties say; validators by key and index.
   Method: all duties of an epoch. */
static void test_duties(void **state) {
  (void)state;
  world *w = world_new(AQ_FULU);
  aq_buf body = AQ_BUF(4096);
  for (uint32_t i = 0; i < VALIDATORS; i++) aq_buf_printf(&body, "%s\"%u\"", i ? "," : "[", i);
  aq_buf_put_u8(&body, ']');
  fake_res *r = send_as(w, "POST", "/eth/v1/validator/duties/attester/1", NULL, NULL, NULL, aq_buf_bytes(&body));
  yyjson_doc *doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
  yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data"), *it;
  uint32_t seen[SPE][2] = {{0}};
  size_t i, max;
  assert_int_equal(yyjson_arr_size(data), VALIDATORS);
  yyjson_arr_foreach(data, i, max, it) {
    assert_int_equal(aq_test_u64(it, "committee_length"), 2);
    seen[aq_test_u64(it, "slot") - SPE][aq_test_u64(it, "validator_committee_index")]++;
  }
  for (size_t s = 0; s < SPE; s++) assert_true(seen[s][0] == 1 && seen[s][1] == 1);
  yyjson_doc_free(doc);
  fake_res_free(r);
  aq_buf_free(&body);
  r = get(w, "/eth/v1/validator/duties/proposer/0");
  doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
  assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "data")), SPE - 1); /* genesis has none */
  yyjson_doc_free(doc);
  fake_res_free(r);
  expect(get(w, "/eth/v1/validator/duties/proposer/2"), 400, "too far ahead");
  char target[200], hex[97];
  aq_hex_encode(hex, aq_bytes_of(w->pubkey[3], 48));
  snprintf(target, sizeof target, "/eth/v1/beacon/states/head/validators?id=0x%s,15,16", hex);
  expect(get(w, target), 200, "{\"index\":\"15\"");
  snprintf(target, sizeof target, "/eth/v1/beacon/states/head/validators/0x%s", hex);
  expect(get(w, target), 200, "\"data\":{\"index\":\"3\"");
  expect(get(w, "/eth/v1/beacon/states/head/validators/16"), 404, "NotFound");
  expect(get(w, "/eth/v1/none"), 404, "NotFound");
  world_free(w);
}

/* Goal: the chain can go while signatures are checked, also when the client went first.
   Method: freed with jobs waiting. */
static void test_free_with_jobs(void **state) {
  (void)state;
  for (int leaves = 0; leaves < 2; leaves++) {
    world *w = world_new(AQ_FULU);
    run_to(w, 1, AQ_SECONDS(4));
    aq_att_data d = right(w, 1);
    uint64_t v = attester_of(w, 1);
    aq_buf body = AQ_BUF(1 << 16);
    aq_buf_put_u8(&body, '[');
    put_attestation(w, &body, v, &d, v);
    aq_buf_put_u8(&body, ']');
    fake_req q = {.method = "POST",
                  .target = "/eth/v2/beacon/pool/attestations",
                  .header = {{"Eth-Consensus-Version", "fulu"}},
                  .header_cnt = 1,
                  .body = aq_buf_bytes(&body)};
    fake_res *r = fake_send(aq_beacon_handler(w->b), &q);
    aq_buf_free(&body);
    fake_res_free(r); /* the server goes before the chain */
    if (leaves) fake_env_drain(&w->env);
    world_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks),        cmocka_unit_test(test_bad_blocks),
                                     cmocka_unit_test(test_second_block),  cmocka_unit_test(test_attestations),
                                     cmocka_unit_test(test_before_start),  cmocka_unit_test(test_bad_attestations),
                                     cmocka_unit_test(test_slashable),     cmocka_unit_test(test_surround),
                                     cmocka_unit_test(test_accounting),    cmocka_unit_test(test_miss_at_the_end),
                                     cmocka_unit_test(test_late_start),    cmocka_unit_test(test_count_from),
                                     cmocka_unit_test(test_faults),        cmocka_unit_test(test_events),
                                     cmocka_unit_test(test_orphans),       cmocka_unit_test(test_duties),
                                     cmocka_unit_test(test_free_with_jobs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
