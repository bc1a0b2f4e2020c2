/* The reference's ENRs and peer ids, both ways, and one of each altered in every character. */
#include "identity/identity.h"

#include "aq_test.h"
#include "base/hex.h"
#include "codec/base64.h"
#include "crypto/aead.h"

static aq_k1_key *key_of(const char *hex) {
  uint8_t secret[32];
  aq_k1_key *key;
  assert_int_equal(aq_hex_decode(secret, 32, aq_bytes_str(hex), AQ_HEX_EITHER), AQ_OK);
  assert_int_equal(aq_k1_key_new(&key, secret), AQ_OK);
  return key;
}

static void expect_enr(const aq_k1_key *key, const aq_enr *fields, const char *want) {
  aq_buf text = AQ_BUF(AQ_ENR_TEXT_MAX);
  assert_int_equal(aq_enr_write(&text, key, fields), AQ_OK);
  assert_string_equal(aq_buf_cstr(&text), want);
  aq_buf_free(&text);
}

/* Goal: key file content gives the reference's ENR and peer id, and both lead back to the key.
   Method: enr.json and peer_ids.json, made by Charon. */
static void identities(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("cluster/enr.json");
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "identities"), *it;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    aq_k1_key *key = key_of(aq_test_str(it, "private_key_file_content"));
    aq_buf want = aq_test_hex_of(it, "compressed_public_key"), id = aq_test_hex_of(it, "peer_id_bytes");
    uint8_t pub[33], got_id[AQ_PEER_ID_LEN];
    char text[AQ_PEER_ID_TEXT_MAX];
    aq_enr enr;
    aq_k1_pubkey(pub, key);
    assert_bytes(aq_bytes_of(pub, 33), aq_buf_bytes(&want));
    expect_enr(key, NULL, aq_test_str(it, "enr"));
    assert_int_equal(aq_enr_parse(&enr, aq_bytes_str(aq_test_str(it, "enr")), NULL), AQ_OK);
    assert_memory_equal(enr.pubkey, pub, 33);
    assert_true(enr.seq == 0 && !enr.has_ip && !enr.has_tcp && !enr.has_udp);
    aq_peer_id(got_id, pub);
    assert_bytes(aq_bytes_of(got_id, sizeof got_id), aq_buf_bytes(&id));
    aq_peer_id_text(text, pub);
    assert_string_equal(text, aq_test_str(it, "peer_id"));
    memset(pub, 0, sizeof pub);
    assert_int_equal(aq_peer_id_parse(pub, aq_bytes_str(text)), AQ_OK);
    assert_memory_equal(pub, enr.pubkey, 33);
    aq_k1_key_free(key);
    aq_buf_free(&want), aq_buf_free(&id);
  }
  assert_true(max > 0);
  yyjson_doc_free(doc);
}

/* Goal: the CIDv1 form of a peer id is read, an address in an ENR is written and read.
   Method: peer_ids.json. */
static void cid_and_address(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/peer_ids.json");
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "keys"), *it;
  const aq_enr fields = {
      .has_ip = true, .ip = {192, 0, 2, 7}, .has_tcp = true, .tcp = 3610, .has_udp = true, .udp = 9999};
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    aq_k1_key *key = key_of(aq_test_str(it, "private_key"));
    uint8_t pub[33], parsed[33];
    aq_k1_pubkey(pub, key);
    assert_int_equal(aq_peer_id_parse(parsed, aq_bytes_str(aq_test_str(it, "peer_id_cidv1_base32"))), AQ_OK);
    assert_memory_equal(parsed, pub, 33);
    const char *text = aq_test_str(it, "enr_ip_192.0.2.7_tcp_3610_udp_9999");
    aq_enr enr;
    expect_enr(key, &fields, text);
    assert_int_equal(aq_enr_parse(&enr, aq_bytes_str(text), NULL), AQ_OK);
    assert_true(enr.has_ip && enr.has_tcp && enr.has_udp && enr.tcp == 3610 && enr.udp == 9999);
    assert_memory_equal(enr.ip, fields.ip, 4);
    aq_k1_key_free(key);
  }
  yyjson_doc_free(doc);
}

/* Goal: IPv6 addresses of EIP-778 are written and read, in the order of the keys' bytes.
   Method: one record with all of them, one with an address of the wrong length. */
static void address_v6(void **state) {
  (void)state;
  aq_k1_key *key = key_of("0101010101010101010101010101010101010101010101010101010101010101");
  const aq_enr all = {.has_ip = true,
                      .ip = {192, 0, 2, 7},
                      .has_ip6 = true,
                      .ip6 = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
                      .has_tcp = true,
                      .tcp = 3610,
                      .has_tcp6 = true,
                      .tcp6 = 3611,
                      .has_udp = true,
                      .udp = 9999};
  aq_buf text = AQ_BUF(AQ_ENR_TEXT_MAX), raw = AQ_BUF(AQ_ENR_TEXT_MAX);
  aq_enr enr;
  assert_int_equal(aq_enr_write(&text, key, &all), AQ_OK);
  assert_int_equal(aq_enr_parse(&enr, aq_buf_bytes(&text), NULL), AQ_OK);
  assert_true(enr.has_ip && enr.has_ip6 && enr.has_tcp && enr.has_tcp6 && enr.has_udp);
  assert_memory_equal(enr.ip6, all.ip6, 16);
  assert_int_equal(enr.tcp6, 3611);
  assert_int_equal(enr.tcp, 3610);
  assert_int_equal(aq_base64_decode(&raw, aq_bytes_of(text.ptr + 4, text.len - 4), AQ_BASE64_URL), AQ_OK);
  static const char *const order[] = {"id", "ip", "ip6", "secp256k1", "tcp", "tcp6", "udp"};
  const uint8_t *at = raw.ptr;
  for (size_t i = 0; i < AQ_COUNT(order); i++) {
    at = memmem(at, raw.len - (size_t)(at - raw.ptr), order[i], strlen(order[i]));
    assert_non_null(at);
    at += strlen(order[i]);
  }
  aq_buf_free(&text);
  aq_buf_free(&raw);
  aq_k1_key_free(key);
}

/* Goal: the same texts are accepted and refused as by the reference, for the same reason.
   Method: `parse` of enr.json; its codes are mapped to words of our reasons. */
static void parse(void **state) {
  (void)state;
  static const char *const word[][2] = {
      {"prefix", "starts with"},     {"base64", "base64url"},         {"signature", "signature"},
      {"rlp", "the ENR is not"},     {"too_few_elements", "too few"}, {"no_public_key", "no public key"},
      {"identity_scheme", "scheme"}, {"duplicate_key", "duplicate"},  {"odd_elements", "odd"},
  };
  yyjson_doc *doc = aq_test_json("cluster/enr.json");
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "parse"), *it;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    aq_enr enr;
    aq_err err = {AQ_OK, ""};
    bool ok = aq_enr_parse(&enr, aq_bytes_str(aq_test_str(it, "enr")), &err) == AQ_OK;
    if (ok != (strcmp(aq_test_str(it, "result"), "ok") == 0)) fail_msg("%s: %s", aq_test_str(it, "what"), err.text);
    for (size_t k = 0; !ok && k < AQ_COUNT(word); k++) {
      if (strcmp(word[k][0], aq_test_str(it, "code")) != 0) continue;
      if (!strstr(err.text, word[k][1])) fail_msg("%s: %s", aq_test_str(it, "what"), err.text);
    }
  }
  assert_true(max >= 19);
  yyjson_doc_free(doc);
}

/* Goal: no truncated or altered ENR or peer id is taken for another key.
   Method: every prefix and every changed character of one valid text. */
static void mutations(void **state) {
  (void)state;
  static const char good[] =
      "enr:-HW4QE_6eqYdQda8kEkB2VN43rVxsA4JgoXP4KlCft6IqcyzPydkWRl1HBWDQhzToXhnvAzwU5qsJ9T_"
      "uDqdEyfd9TuAgmlkgnY0iXNlY3AyNTZrMaEC"
      "whntGd7SFTgKyZvNIi3wTnOM0IPLH4IZCLzwkgA9F0o";
  aq_enr want, got;
  assert_int_equal(aq_enr_parse(&want, aq_bytes_str(good), NULL), AQ_OK);
  for (size_t len = 0; len < sizeof good - 1; len++)
    assert_int_not_equal(aq_enr_parse(&got, aq_bytes_of(good, len), NULL), AQ_OK);
  for (size_t at = 0; at < sizeof good - 1; at++) {
    char bad[sizeof good];
    memcpy(bad, good, sizeof good);
    bad[at] = bad[at] == 'A' ? 'B' : 'A';
    assert_int_not_equal(aq_enr_parse(&got, aq_bytes_str(bad), NULL), AQ_OK);
  }
  uint8_t pub[33];
  static const char *const id[] = {"",
                                   "1",
                                   "b",
                                   "bafz",
                                   "16Uiu2HAm3cuhhRL2msUuLF62KRSfneFDx94RsuouyW25Ho42cFM",
                                   "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"};
  for (size_t i = 0; i < AQ_COUNT(id); i++) assert_int_not_equal(aq_peer_id_parse(pub, aq_bytes_str(id[i])), AQ_OK);
}

/* Goal: names are stable words, different for different keys.
   Method: two keys, twice. */
static void names(void **state) {
  (void)state;
  const uint8_t a[33] = {2, 1}, b[33] = {2, 2};
  char one[32], two[32], again[32];
  aq_peer_name(one, a), aq_peer_name(two, b), aq_peer_name(again, a);
  assert_string_equal(one, again);
  assert_string_not_equal(one, two);
  assert_non_null(strchr(one, '-'));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(identities), cmocka_unit_test(cid_and_address),
                                     cmocka_unit_test(address_v6), cmocka_unit_test(parse),
                                     cmocka_unit_test(mutations),  cmocka_unit_test(names)};
  aq_crypto_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
