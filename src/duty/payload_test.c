/* Recorded payloads of every type and fork, and hostile ones. */
#include "aq_test.h"

#include "base/hex.h"
#include "codec/json.h"
#include "duty/payload.h"

enum { ARENA_MAX = 8 << 20 };

static aq_bytes view(const aq_buf *b) { return aq_bytes_of(b->ptr, b->len); }

static void assert_hex(const uint8_t *got, size_t len, yyjson_val *obj, const char *name) {
  aq_buf want = aq_test_hex_of(obj, name);
  assert_bytes(aq_bytes_of(got, len), view(&want));
  aq_buf_free(&want);
}

/* The network behind wire/parsigex.json. */
static aq_chain hoodi(void) {
  static const char root[] = "212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f";
  aq_chain c = {
      .clock = {0, 12000000000u, 32}, .genesis_version = {0x10, 0, 9, 0x10}, .capella_version = {0x40, 0, 9, 0x10}};
  assert_int_equal(aq_hex_decode(c.genesis_validators_root, 32, aq_bytes_str(root), AQ_HEX_BARE), AQ_OK);
  for (size_t f = 0; f < AQ_FORK_CNT; f++) {
    c.fork[f] = (aq_fork_at){f == AQ_ELECTRA ? 2048
                             : f == AQ_FULU  ? 50688
                                             : 0,
                             {(uint8_t)(0x10 + 0x10 * f), 0, 9, 0x10}};
  }
  return c;
}

static bool message_of(const char *name, yyjson_val *v) { return strcmp(aq_test_str(v, "name"), name) == 0; }

/* The payload as JSON, in the form an old peer would send. */
static void decode_json_form(const aq_signed_data *want, aq_duty_type duty, yyjson_val *json) {
  size_t len;
  char *text = yyjson_val_write(json, 0, &len);
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  aq_signed_data d;
  assert_int_equal(aq_signed_decode(&d, &a, duty, aq_bytes_of(text, len)), AQ_OK);
  assert_bytes(d.value, want->value);
  assert_int_equal(d.fork, want->fork);
  assert_int_equal(d.blinded, want->blinded);
  assert_int_equal(d.has_index, want->has_index);
  assert_int_equal(d.validator_index, want->validator_index);
  assert_int_equal(d.slot, want->slot);
  aq_arena_free(&a);
  free(text);
}

static void check_message(const aq_chain *chain, yyjson_val *v) {
  aq_duty_type duty = (aq_duty_type)aq_test_u64(v, "duty_type");
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  aq_buf data = aq_test_hex_of(v, "data"), out = AQ_BUF(ARENA_MAX);
  aq_signed_data d, other;
  uint8_t root[32], blank[96] = {0};
  assert_int_equal(aq_signed_decode(&d, &a, duty, view(&data)), AQ_OK);
  assert_hex(d.sig, 96, v, "signature");
  assert_int_equal(aq_signed_encode(&out, &d), AQ_OK);
  assert_bytes(view(&out), view(&data));
  if (duty != AQ_DUTY_SIGNATURE) {
    aq_signed_message_root(root, &d);
    assert_hex(root, 32, v, "message_root");
    aq_signed_signing_root(root, chain, &d);
    assert_hex(root, 32, v, "signing_root");
  }
  if (duty != AQ_DUTY_SIGNATURE && duty != AQ_DUTY_EXIT && duty != AQ_DUTY_RANDAO &&
      duty != AQ_DUTY_BUILDER_REGISTRATION) {
    assert_int_equal(d.slot, aq_test_u64(v, "duty_slot"));
  }
  if (duty == AQ_DUTY_PROPOSER) {
    uint8_t blinded = data.ptr[8];
    data.ptr[8] = 2; /* blinded is a boolean */
    assert_int_not_equal(aq_signed_decode(&other, &a, duty, view(&data)), AQ_OK);
    data.ptr[8] = blinded;
  }
  if (yyjson_obj_get(v, "json_equivalent")) decode_json_form(&d, duty, yyjson_obj_get(v, "json_equivalent"));
  /* Another signature and the first one again: the same bytes. */
  assert_int_equal(aq_signed_with_sig(&other, &a, &d, blank), AQ_OK);
  aq_buf_reset(&out);
  assert_int_equal(aq_signed_encode(&out, &other), AQ_OK);
  assert_false(aq_bytes_eq(view(&out), view(&data)));
  assert_int_equal(aq_signed_with_sig(&other, &a, &other, d.sig), AQ_OK);
  aq_buf_reset(&out);
  assert_int_equal(aq_signed_encode(&out, &other), AQ_OK);
  assert_bytes(view(&out), view(&data));
  aq_buf_free(&data);
  aq_buf_free(&out);
  aq_arena_free(&a);
}

/* Goal: signed payloads of every duty and fork are read and written byte for byte as Charon does, and sign the same
   root.
   Method: wire/parsigex.json, with the JSON forms of old peers. */
static void signed_vectors(void **state) {
  (void)state;
  aq_chain chain = hoodi();
  yyjson_doc *doc = aq_test_json("wire/parsigex.json");
  yyjson_val *v;
  size_t i, max, old = 0;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "messages"), i, max, v) {
    check_message(&chain, v);
    old += message_of("attester electra, old form without validator index", v);
  }
  assert_int_equal(max, 19);
  assert_int_equal(old, 1);
  yyjson_doc_free(doc);
}

static void check_set(yyjson_val *set) {
  aq_duty_type duty = (aq_duty_type)aq_test_u64(set, "duty_type");
  bool bare = strcmp(aq_test_str(set, "name"), "aggregator legacy unversioned") == 0;
  yyjson_val *v;
  size_t i, max;
  yyjson_arr_foreach(yyjson_obj_get(set, "entries"), i, max, v) {
    aq_arena a;
    aq_arena_init(&a, ARENA_MAX);
    aq_buf data = aq_test_hex_of(v, "data"), out = AQ_BUF(ARENA_MAX);
    aq_unsigned_data d;
    assert_int_equal(aq_unsigned_decode(&d, &a, duty, view(&data)), AQ_OK);
    assert_int_equal(aq_ssz_check(d.type, d.value), AQ_OK);
    assert_int_equal(aq_unsigned_encode(&out, &d), AQ_OK);
    if (bare)
      assert_bytes(aq_bytes_of(out.ptr + 12, out.len - 12), view(&data)); /* we write the versioned form */
    else
      assert_bytes(view(&out), view(&data));
    if (duty == AQ_DUTY_PROPOSER) {
      data.ptr[8] = 2; /* blinded is a boolean */
      assert_int_not_equal(aq_unsigned_decode(&d, &a, duty, view(&data)), AQ_OK);
    }
    aq_buf_free(&data);
    aq_buf_free(&out);
    aq_arena_free(&a);
  }
}

static aq_status decode_unsigned(aq_unsigned_data *d, aq_arena *a, aq_duty_type duty, aq_bytes in) {
  aq_arena_init(a, ARENA_MAX);
  return aq_unsigned_decode(d, a, duty, in);
}

/* Goal: unsigned payloads of every duty and fork, the JSON forms and the malformed ones: the verdicts of Charon.
   Method: consensus/values.json. */
static void unsigned_vectors(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("consensus/values.json");
  yyjson_val *root = yyjson_doc_get_root(doc), *v;
  size_t i, max;
  yyjson_arr_foreach(yyjson_obj_get(root, "sets"), i, max, v) check_set(v);
  assert_true(max >= 18);
  aq_arena a;
  aq_unsigned_data d;
  yyjson_arr_foreach(yyjson_obj_get(root, "malformed_entries"), i, max, v) {
    aq_buf data = aq_test_hex_of(v, "data");
    aq_status st = decode_unsigned(&d, &a, (aq_duty_type)aq_test_u64(v, "duty_type"), view(&data));
    assert_int_equal(st == AQ_OK, yyjson_get_bool(yyjson_obj_get(v, "accepted")));
    aq_arena_free(&a);
    aq_buf_free(&data);
  }
  yyjson_arr_foreach(yyjson_obj_get(root, "json_on_receipt"), i, max, v) {
    aq_duty_type duty = (aq_duty_type)aq_test_u64(v, "duty_type");
    assert_int_equal(decode_unsigned(&d, &a, duty, aq_bytes_str(aq_test_str(v, "json"))), AQ_OK);
    assert_int_equal(aq_ssz_check(d.type, d.value), AQ_OK);
    if (duty == AQ_DUTY_ATTESTER) assert_int_equal(d.attester.committee_length, 128);
    aq_arena_free(&a);
  }
  assert_int_equal(max, 3);
  yyjson_doc_free(doc);
}

/* Goal: a hostile version, fork and blinding never reach a type that does not exist.
   Method: every (version, blinded) pair with a header alone, for both proposals. */
static void impossible_headers(void **state) {
  (void)state;
  for (unsigned version = 0; version < 12; version++) {
    for (uint8_t blinded = 0; blinded < 3; blinded++) {
      uint8_t in[13] = {(uint8_t)version, 0, 0, 0, 0, 0, 0, 0, blinded, 13, 0, 0, 0};
      aq_arena a;
      aq_unsigned_data u;
      aq_signed_data s;
      assert_int_not_equal(decode_unsigned(&u, &a, AQ_DUTY_PROPOSER, aq_bytes_of(in, sizeof in)), AQ_OK);
      assert_int_not_equal(aq_signed_decode(&s, &a, AQ_DUTY_PROPOSER, aq_bytes_of(in, sizeof in)), AQ_OK);
      aq_arena_free(&a);
    }
  }
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  aq_signed_data s;
  aq_unsigned_data u;
  static const aq_duty_type none[] = {AQ_DUTY_UNKNOWN, AQ_DUTY_BUILDER_PROPOSER, AQ_DUTY_INFO_SYNC, (aq_duty_type)99};
  for (size_t i = 0; i < AQ_COUNT(none); i++) {
    assert_int_not_equal(aq_signed_decode(&s, &a, none[i], aq_bytes_str("{}")), AQ_OK);
    assert_int_not_equal(aq_unsigned_decode(&u, &a, none[i], aq_bytes_str("{}")), AQ_OK);
  }
  aq_arena_free(&a);
}

/* Goal: a long text costs no long parse.
   Method: a good selection followed by blanks, up to the limit and one more. */
static void json_limit(void **state) {
  (void)state;
  enum { LIMIT = 256 << 10 };
  aq_signed_data d = {.duty = AQ_DUTY_PREPARE_AGGREGATOR, .slot = 5};
  aq_buf text = AQ_BUF(LIMIT + 1);
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  assert_int_equal(aq_signed_encode(&text, &d), AQ_OK);
  while (text.len < LIMIT) aq_buf_put_u8(&text, ' ');
  assert_int_equal(aq_signed_decode(&d, &a, AQ_DUTY_PREPARE_AGGREGATOR, view(&text)), AQ_OK);
  assert_int_equal(d.slot, 5);
  aq_buf_put_u8(&text, ' ');
  assert_int_not_equal(aq_signed_decode(&d, &a, AQ_DUTY_PREPARE_AGGREGATOR, view(&text)), AQ_OK);
  aq_buf_free(&text);
  aq_arena_free(&a);
}

/* Goal: attestation data in a struct and back.
   Method: distinct bytes in every position. */
static void attestation_data(void **state) {
  (void)state;
  uint8_t in[128], out[128];
  for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)(i * 3 + 1);
  aq_att_data d;
  aq_att_data_get(&d, aq_bytes_of(in, sizeof in));
  aq_bytes ssz = aq_bytes_of(in, sizeof in);
  assert_true(d.slot == aq_ssz_get_u64(&aq_t_attestation_data, ssz, "slot"));
  assert_true(d.index == aq_ssz_get_u64(&aq_t_attestation_data, ssz, "index"));
  assert_true(d.source_epoch == aq_ssz_get_u64(&aq_t_attestation_data, ssz, "source.epoch"));
  assert_true(d.target_epoch == aq_ssz_get_u64(&aq_t_attestation_data, ssz, "target.epoch"));
  assert_bytes(aq_bytes_of(d.target_root, 32), aq_ssz_get(&aq_t_attestation_data, ssz, "target.root"));
  aq_att_data_put(out, &d);
  assert_bytes(aq_bytes_of(out, 128), ssz);
}

/* The body of a request of vapi/routes.json as SSZ of t. */
static aq_buf request_ssz(yyjson_val *record, const aq_ssz_type *t) {
  yyjson_val *request = yyjson_obj_get(record, "request"), *body = yyjson_obj_get(request, "body");
  if (!body) return aq_test_hex_of(request, "body_hex");
  aq_buf out = AQ_BUF(ARENA_MAX);
  if (yyjson_is_arr(body)) body = yyjson_arr_get_first(body);
  assert_int_equal(aq_ssz_from_json(&out, t, body, NULL), AQ_OK);
  return out;
}

static void check_request(const aq_chain *c, yyjson_val *record, yyjson_val *want, aq_duty_type duty) {
  const char *name = aq_test_str(record, "name");
  aq_signed_data d = {.duty = duty, .fork = AQ_FULU, .blinded = strstr(name, "blinded") != NULL};
  if (duty == AQ_DUTY_PROPOSER) d.type = aq_t_proposal(AQ_FULU, d.blinded, true);
  if (duty == AQ_DUTY_AGGREGATOR) d.type = aq_t_signed_aggregate(AQ_FULU);
  if (duty == AQ_DUTY_SYNC_MESSAGE) d.type = &aq_t_sync_committee_message;
  if (duty == AQ_DUTY_SYNC_CONTRIBUTION) d.type = &aq_t_signed_contribution_and_proof;
  aq_buf ssz = request_ssz(record, d.type), wire = AQ_BUF(ARENA_MAX);
  d.value = view(&ssz);
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  aq_signed_data back;
  uint8_t root[32];
  assert_int_equal(aq_signed_encode(&wire, &d), AQ_OK);
  assert_int_equal(aq_signed_decode(&back, &a, duty, view(&wire)), AQ_OK);
  aq_signed_message_root(root, &back);
  assert_hex(root, 32, want, "object_root");
  aq_signed_signing_root(root, c, &back);
  assert_hex(root, 32, want, "signing_root");
  assert_hex(back.sig, 96, want, "signature");
  aq_arena_free(&a);
  aq_buf_free(&ssz);
  aq_buf_free(&wire);
}

/* Goal: what a validator client posts becomes a payload that signs the root it signed.
   Method: bodies of vapi/routes.json (JSON and SSZ) with the roots of vapi/signing.json. */
static void posted_objects(void **state) {
  (void)state;
  static const struct {
    const char *sample, *where;
    aq_duty_type duty;
  } posts[] = {
      {"submit_proposal_v2_ssz", "request.signature", AQ_DUTY_PROPOSER},
      {"submit_blinded_block_v2_json", "request.signature", AQ_DUTY_PROPOSER},
      {"submit_aggregate_and_proofs_v2", "request[0].signature", AQ_DUTY_AGGREGATOR},
      {"submit_sync_committee_messages", "request[0].signature", AQ_DUTY_SYNC_MESSAGE},
      {"submit_contribution_and_proofs", "request[0].signature", AQ_DUTY_SYNC_CONTRIBUTION},
  };
  aq_chain c = {.clock = {0, 4000000000u, 16}, .fork = {[AQ_FULU] = {0, {0x70, 0, 9, 0x10}}}};
  memset(c.genesis_validators_root, 0x21, 32);
  yyjson_doc *signing = aq_test_json("vapi/signing.json"), *routes = aq_test_json("vapi/routes.json");
  size_t done = 0, i, max, k, cnt;
  yyjson_val *sig, *record;
  for (size_t p = 0; p < AQ_COUNT(posts); p++) {
    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(signing), "signatures"), i, max, sig) {
      if (strcmp(aq_test_str(sig, "sample"), posts[p].sample) || strcmp(aq_test_str(sig, "where"), posts[p].where))
        continue;
      yyjson_arr_foreach(yyjson_doc_get_root(routes), k, cnt, record) {
        if (strcmp(aq_test_str(record, "name"), posts[p].sample) != 0) continue;
        check_request(&c, record, sig, posts[p].duty);
        done++;
      }
    }
  }
  assert_int_equal(done, AQ_COUNT(posts));
  yyjson_doc_free(signing);
  yyjson_doc_free(routes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signed_vectors),   cmocka_unit_test(unsigned_vectors), cmocka_unit_test(impossible_headers),
      cmocka_unit_test(attestation_data), cmocka_unit_test(json_limit),       cmocka_unit_test(posted_objects),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
