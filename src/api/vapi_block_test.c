/* Block proposals and exits through the validator API. validator-api.md 8 and 11. */
#include "aq_test.h"

#include "api/vapi_internal.h"

#include "fake/vapi.h"

#define BLOCKS "/eth/v2/beacon/blocks"
#define BLINDED "/eth/v2/beacon/blinded_blocks"
#define EXITS "/eth/v1/beacon/pool/voluntary_exits"
#define SSZ "application/octet-stream"

static void expect(fake_res *r, int code, const char *text) {
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %.300s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

static fv *at_proposal(aq_fork fork, bool blinded) {
  fv *f = fv_new(&(fv_cfg){.fork = fork});
  f->beacon.blinded = blinded;
  fv_run_to(f, FV_PROPOSE, 0);
  return f;
}

static fake_res *ask_at(fv *f, const char *path, uint32_t signer, const char *accept) {
  char target[512], hex[193];
  uint8_t sig[96];
  fv_sign_epoch(f, signer, sig, FV_PROPOSE / FV_SPE);
  aq_hex_encode(hex, aq_bytes_of(sig, sizeof sig));
  snprintf(target, sizeof target, "%s?randao_reveal=0x%s&graffiti=0x00&builder_boost_factor=100", path, hex);
  fake_req q = {.method = "GET", .target = target, .header = {{"Accept", accept}}, .header_cnt = 1};
  return fake_send(aq_vapi_handler(f->vapi), &q);
}

static fake_res *ask(fv *f, const char *accept) { return ask_at(f, "/eth/v3/validator/blocks/13", 1, accept); }

/* The block in SSZ, as handed out; free with aq_buf_free. */
static aq_buf produced(fv *f) {
  fake_res *r = fv_wait(f, ask(f, SSZ));
  assert_int_equal(r->code, 200);
  aq_buf out = r->body;
  r->body = AQ_BUF(0);
  fake_res_free(r);
  assert_int_equal(aq_ssz_check(aq_t_proposal(f->cfg.fork, f->beacon.blinded, false), aq_buf_bytes(&out)), AQ_OK);
  return out;
}

/* What a validator client makes of it: the signed form, by validator `signer`. */
static aq_buf sign(const fv *f, const aq_buf *value, uint32_t signer) {
  const aq_ssz_type *t = aq_t_proposal(f->cfg.fork, f->beacon.blinded, false),
                    *st = aq_t_proposal(f->cfg.fork, f->beacon.blinded, true);
  bool contents = !f->beacon.blinded && f->cfg.fork >= AQ_DENEB;
  const aq_ssz_type *bt = contents ? aq_ssz_type_at(t, "block") : t;
  aq_bytes in = aq_buf_bytes(value), block = contents ? aq_ssz_get(t, in, "block") : in;
  uint8_t root[32], sig[96];
  aq_ssz_root(root, bt, block);
  fv_sign_root(f, signer, sig, AQ_DOMAIN_BEACON_PROPOSER, FV_PROPOSE / FV_SPE, root);
  aq_buf one = AQ_BUF(FV_BUF_MAX), out = AQ_BUF(FV_BUF_MAX);
  const aq_bytes pair[] = {block, aq_bytes_of(sig, sizeof sig)};
  if (!contents) {
    assert_int_equal(aq_ssz_pack(&out, st, pair, 2), AQ_OK);
    return out;
  }
  assert_int_equal(aq_ssz_pack(&one, aq_ssz_type_at(st, "signed_block"), pair, 2), AQ_OK);
  const aq_bytes part[] = {aq_buf_bytes(&one), aq_ssz_get(t, in, "kzg_proofs"), aq_ssz_get(t, in, "blobs")};
  assert_int_equal(aq_ssz_pack(&out, st, part, 3), AQ_OK);
  aq_buf_free(&one);
  return out;
}

static fake_res *post_ssz(fv *f, const char *path, const char *version, const aq_buf *value) {
  return fv_wait(f, fv_send(f, "POST", path, version, SSZ, aq_buf_bytes(value)));
}

static fake_res *post_json(fv *f, const char *path, const char *version, const aq_buf *value) {
  aq_buf json = AQ_BUF(FV_BUF_MAX);
  aq_ssz_to_json(&json, aq_t_proposal(f->cfg.fork, f->beacon.blinded, true), aq_buf_bytes(value));
  fake_res *r = fv_post_json(f, path, version, aq_buf_cstr(&json));
  aq_buf_free(&json);
  return r;
}

/* The block that the beacon node was sent, or NULL. */
static const fake_bn_post *published(fv *f) {
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  const fake_bn_post *found = NULL;
  for (size_t i = 0; i < f->beacon.post_cnt; i++) {
    if (!strstr(f->beacon.post[i].path, "/beacon/b")) continue;
    assert_null(found);
    found = &f->beacon.post[i];
  }
  return found;
}

/* Its SSZ: the broadcaster sends either form. */
static aq_buf published_ssz(const fv *f, const fake_bn_post *p) {
  aq_buf out = AQ_BUF(FV_BUF_MAX);
  if (strcmp(p->type, SSZ) == 0) {
    aq_buf_put_bytes(&out, aq_buf_bytes(&p->body));
    return out;
  }
  yyjson_doc *doc = yyjson_read((const char *)p->body.ptr, p->body.len, 0);
  const aq_ssz_type *t = aq_t_proposal(f->cfg.fork, f->beacon.blinded, true);
  assert_int_equal(aq_ssz_from_json(&out, t, yyjson_doc_get_root(doc), NULL), AQ_OK);
  yyjson_doc_free(doc);
  return out;
}

/* ---- production ---- */

/* Goal: v3 hands out the agreed block in both encodings, equal as values, with the four headers, after the RANDAO
   was taken.
   Method: every fork, full and blinded; JSON read back into SSZ. */
static void test_produce(void **state) {
  (void)state;
  for (aq_fork fork = AQ_PHASE0; fork < AQ_FORK_CNT; fork++) {
    for (int blinded = 0; blinded <= (fork >= AQ_BELLATRIX); blinded++) {
      fv *f = at_proposal(fork, blinded);
      fake_res *json = fv_wait(f, ask(f, "application/json"));
      assert_int_equal(json->code, 200);
      assert_string_equal(fake_header(json, "Eth-Consensus-Version"), aq_fork_name(fork));
      assert_string_equal(fake_header(json, "Eth-Execution-Payload-Blinded"), blinded ? "true" : "false");
      assert_string_equal(fake_header(json, "Eth-Execution-Payload-Value"), "1");
      assert_string_equal(fake_header(json, "Eth-Consensus-Block-Value"), "1");
      assert_string_equal(fake_header(json, "Content-Type"), "application/json");
      yyjson_doc *doc = yyjson_read(aq_buf_cstr(&json->body), json->body.len, 0);
      yyjson_val *root = yyjson_doc_get_root(doc);
      assert_string_equal(aq_test_str(root, "version"), aq_fork_name(fork));
      assert_string_equal(aq_test_str(root, "execution_payload_value"), "1");
      assert_string_equal(aq_test_str(root, "consensus_block_value"), "1");
      assert_int_equal(yyjson_is_true(yyjson_obj_get(root, "execution_payload_blinded")), blinded);
      aq_buf from_json = AQ_BUF(FV_BUF_MAX), ssz = produced(f);
      assert_int_equal(
          aq_ssz_from_json(&from_json, aq_t_proposal(fork, blinded, false), yyjson_obj_get(root, "data"), NULL), AQ_OK);
      assert_bytes(aq_buf_bytes(&from_json), aq_buf_bytes(&ssz));
      yyjson_doc_free(doc);
      aq_buf_free(&from_json);
      aq_buf_free(&ssz);
      fake_res_free(json);
      fv_free(f);
    }
  }
}

/* Goal: v2 is served on chains before Deneb, in its own form, and gone after. Method: Capella and Electra. */
static void test_produce_v2(void **state) {
  (void)state;
  fv *f = at_proposal(AQ_CAPELLA, false);
  fake_res *r = fv_wait(f, ask_at(f, "/eth/v2/validator/blocks/13", 1, "application/json"));
  assert_null(fake_header(r, "Eth-Execution-Payload-Blinded"));
  expect(r, 200, "{\"version\":\"capella\",\"block_value\":\"1\",\"data\":{\"slot\":\"13\",\"proposer_index\":\"11\"");
  fv_free(f);
  f = at_proposal(AQ_ELECTRA, false);
  expect(ask_at(f, "/eth/v2/validator/blocks/13", 1, "application/json"), 404, "NotFound");
  fv_free(f);
}

/* Goal: a wrong RANDAO, one of another form and a slot without duty are refused at once, each with its text.
   Method: validator-api.md 2.2 and 18.1. */
static void test_produce_refused(void **state) {
  (void)state;
  fv *f = at_proposal(AQ_ELECTRA, false);
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  expect(fv_wait(f, ask_at(f, "/eth/v3/validator/blocks/13", 0, "*/*")), 400,
         "\"failures\":[{\"index\":0,\"message\":\"the signature is not valid under this node's key share\"}]");
  expect(fv_wait(f, ask_at(f, "/eth/v3/validator/blocks/14", 1, "*/*")), 400, "no validator of this cluster proposes");
  expect(fv_wait(f, ask_at(f, "/eth/v3/validator/blocks/x", 1, "*/*")), 400, "invalid uint path parameter slot [x]");
  static const struct {
    const char *query, *text;
  } cases[] = {{"", "missing 0x-hex query parameter randao_reveal"},
               {"?randao_reveal=", "missing 0x-hex query parameter randao_reveal"},
               {"?randao_reveal=0xabcd", "invalid length for 0x-hex query parameter randao_reveal, expect 96 bytes"},
               {"?randao_reveal=0x", "invalid length for 0x-hex query parameter randao_reveal, expect 96 bytes"},
               {"?randao_reveal=abcd", "invalid 0x-hex query parameter randao_reveal [abcd]"},
               {"?randao_reveal=0xabc", "invalid 0x-hex query parameter randao_reveal [0xabc]"},
               {"?randao_reveal=0xzz", "invalid 0x-hex query parameter randao_reveal [0xzz]"}};
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    char target[128];
    snprintf(target, sizeof target, "/eth/v3/validator/blocks/13%s", cases[i].query);
    expect(fv_get(f, target), 400, cases[i].text);
  }
  fv_free(f);
}

/* Goal: no agreement ends with 504 after ten seconds of the whole call; a client that leaves at any moment leaves
   nothing behind.
   Method: a beacon node that goes away; clients that go after 0, 1, 2 .. steps. */
static void test_produce_waits(void **state) {
  (void)state;
  fv *f = at_proposal(AQ_ELECTRA, false);
  f->beacon.gone = true;
  fake_res *r = ask(f, "*/*");
  fake_env_run_for(&f->env, AQ_VAPI_CALL_NS - 1);
  assert_int_equal(r->code, 0);
  fake_env_run_for(&f->env, 1);
  expect(r, 504, "waiting for the RANDAO of the cluster or consensus on the block of slot 13");
  fv_free(f);
  for (uint32_t steps = 0; steps < 12; steps++) {
    f = at_proposal(AQ_ELECTRA, false);
    r = ask(f, "*/*");
    for (uint32_t i = 0; i < steps; i++) {
      if (!fake_env_step(&f->env)) fake_env_run_for(&f->env, AQ_MILLIS(1));
    }
    fake_res_free(r);
    expect(fv_wait(f, ask(f, "*/*")), 200, "\"version\":\"electra\"");
    fv_free(f);
  }
}

/* Goal: with signing off everywhere no block can come; that is no server error of this node (contract.md 10: the API
   5xx alert is quiet on the plain testnet).
   Method: a block request to a node that does not combine, and what is counted. */
static void test_produce_without_signing(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA, .tss_off = true});
  fv_run_to(f, FV_PROPOSE, 0);
  fake_res *r = ask(f, "*/*");
  fake_env_run_for(&f->env, AQ_VAPI_CALL_NS - 1);
  assert_int_equal(r->code, 0);
  fake_env_run_for(&f->env, 1);
  expect(r, 408, "the block of slot 13; threshold signing is off on this node");
  const char *route = "/eth/v3/validator/blocks/{}";
  assert_true(aq_metric_value(AQ_M_API_REQUESTS_TOTAL, AQ_LABELS(route, "408")) == 1);
  assert_true(aq_metric_value(AQ_M_API_REQUESTS_TOTAL, AQ_LABELS(route, "504")) == 0);
  fv_free(f);
}

/* ---- submission ---- */

/* Goal: the agreed block, signed, goes out as one submission, the same whether the client speaks JSON or SSZ, on v1
   and v2.
   Method: Capella, Deneb with a blob, Fulu, and blinded Electra. */
static void test_submit(void **state) {
  static const struct {
    aq_fork fork;
    bool blinded, blobs;
  } cases[] = {{AQ_PHASE0, false, false}, {AQ_CAPELLA, false, false}, {AQ_DENEB, false, true},
               {AQ_FULU, false, false},   {AQ_ELECTRA, true, false},  {AQ_BELLATRIX, true, false}};
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    aq_buf body[4];
    for (int way = 0; way < 4; way++) {
      fv *f = at_proposal(cases[i].fork, cases[i].blinded);
      f->beacon.blobs = cases[i].blobs;
      const char *path = way & 1 ? (cases[i].blinded ? "/eth/v1/beacon/blinded_blocks" : "/eth/v1/beacon/blocks")
                                 : (cases[i].blinded ? BLINDED : BLOCKS);
      const char *version = aq_fork_name(cases[i].fork);
      aq_buf value = produced(f), full = sign(f, &value, 1);
      fake_res *r = way & 2 ? post_ssz(f, path, version, &full) : post_json(f, path, way & 1 ? NULL : version, &full);
      assert_int_equal(r->body.len, 0);
      expect(r, 200, "");
      const fake_bn_post *p = published(f);
      assert_non_null(p);
      assert_string_equal(p->version, version);
      assert_int_equal(strstr(p->path, "blinded") != NULL, cases[i].blinded);
      body[way] = published_ssz(f, p);
      assert_bytes(aq_buf_bytes(&body[way]), aq_buf_bytes(&body[0]));
      assert_bytes(aq_buf_bytes(&body[way]), aq_buf_bytes(&full)); /* one node: the partial is the group signature */
      aq_buf_free(&value);
      aq_buf_free(&full);
      fv_free(f);
    }
    for (int way = 0; way < 4; way++) aq_buf_free(&body[way]);
  }
}

/* Goal: nothing but the agreed block is taken: neither another root, nor another form or fork of the same root, nor
   another signature; the good one still is.
   Method: one alteration each; a blinded block of the same root over the full one. */
static void test_submit_refused(void **state) {
  (void)state;
  fv *f = at_proposal(AQ_ELECTRA, false);
  aq_buf value = produced(f), good = sign(f, &value, 1), other = sign(f, &value, 0), altered = AQ_BUF(FV_BUF_MAX);
  const aq_ssz_type *t = aq_t_proposal(AQ_ELECTRA, false, false);
  uint8_t graffiti[32] = "changed", zero[96] = {0};
  assert_int_equal(aq_ssz_with(&altered, t, aq_buf_bytes(&value), "block.body.graffiti", aq_bytes_of(graffiti, 32)),
                   AQ_OK);
  aq_buf changed = sign(f, &altered, 1);
  expect(post_ssz(f, BLOCKS, "electra", &changed), 400, "it differs from what the cluster agreed on");
  expect(post_json(f, BLOCKS, "electra", &changed), 400, "it differs from what the cluster agreed on");
  expect(post_ssz(f, BLOCKS, "electra", &other), 400, "not valid under this node's key share");
  expect(post_ssz(f, BLOCKS, "fulu", &good), 400, "another fork");
  expect(post_ssz(f, BLOCKS, "deneb", &good), 415, "failed parsing ssz request body");
  expect(post_ssz(f, BLINDED, "electra", &good), 415, "failed parsing ssz request body");
  aq_buf no_sig = AQ_BUF(FV_BUF_MAX), later = AQ_BUF(FV_BUF_MAX);
  const aq_ssz_type *st = aq_t_proposal(AQ_ELECTRA, false, true);
  assert_int_equal(aq_ssz_with(&no_sig, st, aq_buf_bytes(&good), "signed_block.signature", aq_bytes_of(zero, 96)),
                   AQ_OK);
  expect(post_ssz(f, BLOCKS, "electra", &no_sig), 400, "not valid");
  zero[0] = 14; /* slot */
  assert_int_equal(aq_ssz_with(&later, st, aq_buf_bytes(&good), "signed_block.message.slot", aq_bytes_of(zero, 8)),
                   AQ_OK);
  expect(post_ssz(f, BLOCKS, "electra", &later), 400, "no validator of this cluster proposes in slot 14");
  assert_null(published(f));
  expect(post_ssz(f, BLOCKS, "electra", &good), 200, "");
  expect(post_json(f, BLOCKS, NULL, &good), 200, ""); /* a repetition */
  assert_non_null(published(f));
  expect(post_ssz(f, BLOCKS, "electra", &changed), 400, "it differs");
  aq_buf *all[] = {&value, &good, &other, &altered, &changed, &no_sig, &later};
  for (size_t i = 0; i < AQ_COUNT(all); i++) aq_buf_free(all[i]);
  fv_free(f);
}

/* Goal: a blinded block of the agreed block's root is refused, since nobody could unblind it.
   Method: the blinded form made by hand with the payload's root in the header. */
static void test_submit_blinded_twin(void **state) {
  (void)state;
  fv *f = at_proposal(AQ_CAPELLA, false);
  aq_buf value = produced(f);
  const aq_ssz_type *t = aq_t_block(AQ_CAPELLA), *bt = aq_t_blinded_block(AQ_CAPELLA);
  aq_buf twin = AQ_BUF(FV_BUF_MAX), blinded = AQ_BUF(FV_BUF_MAX);
  static const char *const same[] = {"slot",       "proposer_index",     "parent_root",
                                     "state_root", "body.randao_reveal", "body.graffiti"};
  static const char *const lists[] = {"transactions", "withdrawals"};
  assert_int_equal(aq_ssz_default(&twin, bt), AQ_OK);
  for (size_t i = 0; i < AQ_COUNT(same); i++) {
    aq_bytes field = aq_ssz_get(t, aq_buf_bytes(&value), same[i]);
    fake_set_field(&twin, bt, same[i], field.ptr, field.len);
  }
  for (size_t i = 0; i < AQ_COUNT(lists); i++) {
    char from[64], to[64];
    uint8_t root[32];
    snprintf(from, sizeof from, "body.execution_payload.%s", lists[i]);
    snprintf(to, sizeof to, "body.execution_payload_header.%s_root", lists[i]);
    aq_ssz_root(root, aq_ssz_type_at(t, from), aq_ssz_get(t, aq_buf_bytes(&value), from));
    fake_set_field(&twin, bt, to, root, 32);
  }
  uint8_t a[32], b[32];
  aq_ssz_root(a, t, aq_buf_bytes(&value));
  aq_ssz_root(b, bt, aq_buf_bytes(&twin));
  assert_memory_equal(a, b, 32);
  f->beacon.blinded = true;
  blinded = sign(f, &twin, 1);
  expect(post_ssz(f, BLINDED, "capella", &blinded), 400, "blinded or not");
  expect(post_json(f, BLINDED, "capella", &blinded), 400, "blinded or not");
  f->beacon.blinded = false;
  assert_null(published(f));
  aq_buf_free(&value), aq_buf_free(&twin), aq_buf_free(&blinded);
  fv_free(f);
}

/* Goal: of an agreed blinded block too nothing but itself is taken, on its own route. Method: another graffiti, and
   another header, which pays somebody else; signed well. */
static void test_submit_other_blinded(void **state) {
  (void)state;
  static const struct {
    const char *field;
    size_t len;
  } cases[] = {{"body.graffiti", 32}, {"body.execution_payload_header.fee_recipient", 20}};
  fv *f = at_proposal(AQ_ELECTRA, true);
  aq_buf value = produced(f), good = sign(f, &value, 1);
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    uint8_t changed[32] = "changed";
    aq_buf altered = AQ_BUF(FV_BUF_MAX);
    assert_int_equal(aq_ssz_with(&altered, aq_t_blinded_block(AQ_ELECTRA), aq_buf_bytes(&value), cases[i].field,
                                 aq_bytes_of(changed, cases[i].len)),
                     AQ_OK);
    aq_buf other = sign(f, &altered, 1);
    expect(post_ssz(f, BLINDED, "electra", &other), 400, "it differs from what the cluster agreed on");
    expect(post_json(f, BLINDED, "electra", &other), 400, "it differs from what the cluster agreed on");
    aq_buf_free(&altered);
    aq_buf_free(&other);
  }
  expect(post_ssz(f, BLOCKS, "electra", &good), 415, "failed parsing ssz request body");
  assert_null(published(f));
  expect(post_ssz(f, BLINDED, "electra", &good), 200, "");
  assert_non_null(published(f));
  aq_buf_free(&value);
  aq_buf_free(&good);
  fv_free(f);
}

/* Goal: blobs are not covered by the signature: what goes out are the agreed ones.
   Method: a client that lost its blob. */
static void test_submit_without_blobs(void **state) {
  (void)state;
  fv *f = at_proposal(AQ_DENEB, false);
  f->beacon.blobs = true;
  aq_buf value = produced(f), good = sign(f, &value, 1), bare = AQ_BUF(FV_BUF_MAX);
  const aq_ssz_type *st = aq_t_proposal(AQ_DENEB, false, true);
  aq_buf_put_bytes(&bare, aq_buf_bytes(&good));
  fake_set_field(&bare, st, "blobs", "", 0);
  fake_set_field(&bare, st, "kzg_proofs", "", 0);
  expect(post_ssz(f, BLOCKS, "deneb", &bare), 200, "");
  const fake_bn_post *p = published(f);
  assert_non_null(p);
  aq_buf sent = published_ssz(f, p);
  assert_bytes(aq_buf_bytes(&sent), aq_buf_bytes(&good));
  aq_buf_free(&value), aq_buf_free(&good), aq_buf_free(&bare), aq_buf_free(&sent);
  fv_free(f);
}

/* Goal: bodies that are no block get a status and a text, whatever is cut off.
   Method: truncations, JSON rubbish, headers. */
static void test_submit_rubbish(void **state) {
  (void)state;
  fv *f = at_proposal(AQ_ELECTRA, false);
  aq_buf value = produced(f), good = sign(f, &value, 1);
  for (size_t len = 0; len < good.len; len += len < 200 ? 1 : 97) {
    aq_buf cut = AQ_BUF(FV_BUF_MAX);
    aq_buf_put(&cut, good.ptr, len);
    expect(post_ssz(f, BLOCKS, "electra", &cut), 415, "failed parsing ssz request body");
    aq_buf_free(&cut);
  }
  static const char *const bad[] = {"{",
                                    "[]",
                                    "{}",
                                    "null",
                                    "{\"message\":{}}",
                                    "{\"message\":{\"slot\":\"x\"}}",
                                    "{\"signed_block\":{\"message\":{\"slot\":\"13\"}}}"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++)
    expect(fv_post_json(f, BLOCKS, "electra", bad[i]), 400, "failed parsing json request body");
  expect(fv_post_json(f, BLOCKS, "electra", ""), 400, "empty request body");
  expect(post_json(f, BLOCKS, "nope", &good), 400, "unknown Eth-Consensus-Version [nope]");
  expect(post_ssz(f, BLOCKS, "nope", &good), 400, "unknown Eth-Consensus-Version [nope]");
  expect(fv_send(f, "POST", BLOCKS, "electra", "text/plain", aq_buf_bytes(&good)), 415, "unsupported media type");
  const aq_http_handler *h = aq_vapi_handler(f->vapi);
  assert_int_equal(h->body_max(h->arg, "POST", BLOCKS), AQ_VAPI_BLOCK_MAX);
  assert_int_equal(h->body_max(h->arg, "POST", EXITS), AQ_VAPI_BODY_MAX);
  aq_buf_free(&value), aq_buf_free(&good);
  fv_free(f);
}

/* Goal: a block before the cluster has agreed on one is refused with that reason.
   Method: posted in the slot's first moment. */
static void test_submit_early(void **state) {
  (void)state;
  fv *f = at_proposal(AQ_CAPELLA, false), *g = at_proposal(AQ_CAPELLA, false);
  aq_buf value = produced(g), good = sign(g, &value, 1);
  expect(post_ssz(f, BLOCKS, "capella", &good), 400, "consensus has not decided a block for that slot");
  aq_buf_free(&value), aq_buf_free(&good);
  aq_log_start(AQ_LOG_INFO, fv_line_, g);
  fv_free(f);
  aq_log_start(AQ_LOG_INFO, fv_line_, g);
  fv_free(g);
}

/* Goal: a reorganisation between fetching and posting changes nothing: the block that was agreed on and handed out is
   taken, and handed out again. Method: duties forgotten and not told anew, or told with another proposer; full and
   blinded. */
static void test_submit_after_reorg(void **state) {
  (void)state;
  for (int way = 0; way < 4; way++) {
    fv *f = at_proposal(AQ_ELECTRA, way & 1);
    aq_buf value = produced(f), good = sign(f, &value, 1);
    fv_reorg(f, way & 2);
    aq_duty_defs defs;
    aq_duty duty = {FV_PROPOSE, AQ_DUTY_PROPOSER};
    assert_int_not_equal(aq_scheduler_defs(aq_workflow_scheduler(f->workflow), duty, &defs), AQ_OK);
    aq_buf again = produced(f);
    assert_bytes(aq_buf_bytes(&again), aq_buf_bytes(&value));
    expect(post_ssz(f, way & 1 ? BLINDED : BLOCKS, "electra", &good), 200, "");
    f->beacon.silent = false;
    aq_buf_free(&value), aq_buf_free(&good), aq_buf_free(&again);
    fv_free(f);
  }
}

/* Goal: what the journal refuses is refused with its rule, each with its own text. Method: each rule of port/store.h
   over a good block. */
static void test_refusal_texts(void **state) {
  static const struct {
    aq_store_refusal why;
    const char *text;
  } cases[] = {
      {AQ_REFUSAL_ROOT, "another object was signed"},      {AQ_REFUSAL_BLOCK, "another block was signed for that slot"},
      {AQ_REFUSAL_TARGET, "another vote for that target"}, {AQ_REFUSAL_SURROUND, "surrounds"},
      {AQ_REFUSAL_MARK, "a clock that was ahead"},         {AQ_REFUSAL_EPOCHS, "source epoch"}};
  (void)state;
  fv *f = at_proposal(AQ_CAPELLA, false);
  aq_buf value = produced(f), good = sign(f, &value, 1);
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    f->store.refuses = cases[i].why;
    fake_res *r = post_ssz(f, BLOCKS, "capella", &good);
    assert_non_null(strstr(aq_buf_cstr(&r->body), "refused by the journal"));
    expect(r, 400, cases[i].text);
  }
  assert_null(published(f));
  f->store.refuses = 0;
  expect(post_ssz(f, BLOCKS, "capella", &good), 200, "");
  aq_buf_free(&value), aq_buf_free(&good);
  fv_free(f);
}

/* ---- exits ---- */

static fake_res *post_exit(fv *f, uint64_t epoch, uint64_t index, uint32_t signer) {
  uint8_t ssz[16], root[32], sig[96];
  char json[512], hex[193];
  aq_le64_put(ssz, epoch);
  aq_le64_put(ssz + 8, index);
  aq_ssz_root(root, &aq_t_voluntary_exit, aq_bytes_of(ssz, sizeof ssz));
  fv_sign_root(f, signer, sig, AQ_DOMAIN_VOLUNTARY_EXIT, epoch, root);
  aq_hex_encode(hex, aq_bytes_of(sig, sizeof sig));
  snprintf(json, sizeof json, "{\"message\":{\"epoch\":\"%llu\",\"validator_index\":\"%llu\"},\"signature\":\"0x%s\"}",
           (unsigned long long)epoch, (unsigned long long)index, hex);
  return fv_post_json(f, EXITS, NULL, json);
}

/* Goal: a partial exit is taken and, with its threshold, published; others say why not.
   Method: a good one; wrong share, unknown index, huge epoch, rubbish. */
static void test_exits(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  expect(post_exit(f, 1, FV_FIRST_INDEX, 1), 400, "not valid under this node's key share");
  expect(post_exit(f, 1, 77, 0), 400, "validator 77 is none of this cluster");
  expect(post_exit(f, UINT64_MAX, FV_FIRST_INDEX, 0), 400, "epoch out of range");
  expect(fv_post_json(f, EXITS, NULL, "{}"), 400, "failed parsing json request body");
  expect(fv_post_json(f, EXITS, NULL, "[]"), 400, "failed parsing json request body");
  expect(fv_send(f, "POST", EXITS, NULL, SSZ, aq_bytes_str("x")), 415, "Cannot read the supplied content type.");
  assert_int_equal(f->beacon.post_cnt, 0);
  expect(post_exit(f, 1, FV_FIRST_INDEX, 0), 200, "");
  expect(post_exit(f, 1, FV_FIRST_INDEX, 0), 200, "");
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  assert_int_equal(f->beacon.post_cnt, 1);
  assert_string_equal(f->beacon.post[0].path, EXITS);
  fv_free(f);
}

/* Goal: an exit of a past epoch is signed by a node whose records begin later, since no second exit can be slashed; one
   that cannot be taken says why. Method: a lost store at epoch 3; then a deadline, in a duty that has one. */
static void test_past_exit(void **state) {
  (void)state;
  fv *f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA, .slot = 3 * FV_SPE, .store_lost = true});
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  expect(post_exit(f, 1, FV_FIRST_INDEX, 0), 200, "");
  fake_env_run_for(&f->env, AQ_SECONDS(1));
  assert_int_equal(f->beacon.post_cnt, 1);
  f->store.refuses = AQ_REFUSAL_ROOT;
  expect(post_exit(f, 2, FV_FIRST_INDEX, 0), 400, "another exit of that epoch was signed before");
  fv_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_produce),
                                     cmocka_unit_test(test_produce_v2),
                                     cmocka_unit_test(test_produce_refused),
                                     cmocka_unit_test(test_produce_waits),
                                     cmocka_unit_test(test_produce_without_signing),
                                     cmocka_unit_test(test_submit),
                                     cmocka_unit_test(test_submit_refused),
                                     cmocka_unit_test(test_submit_blinded_twin),
                                     cmocka_unit_test(test_submit_other_blinded),
                                     cmocka_unit_test(test_submit_without_blobs),
                                     cmocka_unit_test(test_submit_rubbish),
                                     cmocka_unit_test(test_submit_early),
                                     cmocka_unit_test(test_submit_after_reorg),
                                     cmocka_unit_test(test_refusal_texts),
                                     cmocka_unit_test(test_past_exit),
                                     cmocka_unit_test(test_exits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
