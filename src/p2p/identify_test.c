/* Recorded identify messages of other programs, and hostile ones. */
#include "p2p/identify.h"

#include "aq_test.h"
#include "identity/identity.h"
#include "p2p/noise.h"

static void pubkey_of(uint8_t out[33], yyjson_val *v) {
  aq_buf key = aq_test_hex_of(v, "public_key");
  assert_int_equal(aq_libp2p_key_parse(out, aq_buf_bytes(&key)), AQ_OK);
  aq_buf_free(&key);
}

static size_t strings(const char **out, yyjson_val *arr) {
  size_t i, max;
  yyjson_val *v;
  yyjson_arr_foreach(arr, i, max, v) out[i] = yyjson_get_str(v);
  return max;
}

/* Goal: our message is the vector's suggested one, byte for byte.
   Method: its fields written by us. */
static void written(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/identify.json");
  yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), "suggested_for_aequa");
  const char *addrs[8], *protocols[16];
  aq_identify_own own = {.addr = addrs, .protocol = protocols, .remote = "198.51.100.4:51234"};
  pubkey_of(own.pubkey, v);
  own.addr_cnt = strings(addrs, yyjson_obj_get(v, "listen_addrs"));
  own.protocol_cnt = strings(protocols, yyjson_obj_get(v, "protocols"));
  own.agent = aq_test_str(v, "agent_version");
  aq_buf want = aq_test_hex_of(v, "message"), got = AQ_BUF(AQ_IDENTIFY_MSG_MAX);
  assert_int_equal(aq_identify_write(&got, &own), AQ_OK);
  assert_bytes(aq_buf_bytes(&got), aq_buf_bytes(&want));
  aq_buf_free(&want), aq_buf_free(&got);
  yyjson_doc_free(doc);
}

/* Goal: what a Charon host says is understood, and its loopback address only counts over loopback.
   Method: the captured message over two kinds of connection. */
static void captured(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/identify.json");
  yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), "captured_from_charon_host");
  uint8_t pubkey[33];
  pubkey_of(pubkey, v);
  aq_buf stream = aq_test_hex_of(v, "stream_bytes");
  aq_bytes msg = aq_bytes_of(stream.ptr + 2, stream.len - 2);
  assert_int_equal(msg.len, aq_test_u64(v, "length_prefix"));
  const char *names[] = {"/charon/parsigex/2.0.0", "/ipfs/ping/1.0.0", "/ipfs/id/push/1.0.0"};
  aq_identify_info info = {0};
  assert_int_equal(aq_identify_read(&info, msg, pubkey, "127.0.0.1:5", names, 3), AQ_OK);
  assert_string_equal(info.agent, aq_test_str(v, "agent_version"));
  assert_int_equal(info.known, 6);
  assert_int_equal(info.addr_cnt, 1);
  assert_string_equal(info.addr[0].host, "127.0.0.1");
  assert_int_equal(info.addr[0].port, 43411);
  info = (aq_identify_info){0};
  assert_int_equal(aq_identify_read(&info, msg, pubkey, "10.0.0.1:5", names, 3), AQ_OK);
  assert_int_equal(info.addr_cnt, 0);
  for (size_t len = 0; len < msg.len; len++) { /* cut messages must not crash; a cut at a field border parses */
    info = (aq_identify_info){0};
    aq_status st = aq_identify_read(&info, aq_bytes_of(msg.ptr, len), pubkey, "127.0.0.1:5", names, 3);
    assert_true(st == AQ_OK || st == AQ_E_FORMAT);
  }
  aq_buf_free(&stream);
  yyjson_doc_free(doc);
}

/* Goal: own loopback addresses are told over loopback only; what does not parse is left out; hostile lists are cut.
   Method: written and read back over both kinds; 100 addresses. */
static void addresses(void **state) {
  (void)state;
  const char *addrs[] = {"/ip4/127.0.0.1/tcp/1", "/ip4/10.1.1.1/tcp/2", "nonsense",
                         "/dns/node-1/tcp/3",    "/ip6/::1/tcp/4",      "/ip4/10.1.1.1/udp/2/quic-v1"};
  uint8_t pubkey[33] = {2, 1};
  for (int loop = 0; loop < 2; loop++) {
    aq_identify_own own = {.addr = addrs, .addr_cnt = 6, .remote = loop ? "[::1]:9" : "[2001:db8::1]:9", .agent = "a"};
    memcpy(own.pubkey, pubkey, 33);
    aq_buf out = AQ_BUF(AQ_IDENTIFY_MSG_MAX);
    aq_identify_info info = {0};
    assert_int_equal(aq_identify_write(&out, &own), AQ_OK);
    assert_int_equal(aq_identify_read(&info, aq_buf_bytes(&out), pubkey, own.remote, NULL, 0), AQ_OK);
    assert_int_equal(info.addr_cnt, loop ? 4 : 2);
    assert_string_equal(info.addr[info.addr_cnt - (loop ? 2 : 1)].host, "node-1");
    aq_buf_free(&out);
  }
  const char *many[100];
  char text[100][40];
  for (int i = 0; i < 100; i++) {
    snprintf(text[i], sizeof text[i], "/ip4/10.0.0.%d/tcp/%d", i, i + 1);
    many[i] = text[i];
  }
  aq_identify_own own = {.addr = many, .addr_cnt = 100, .remote = "10.0.0.1:1", .agent = ""};
  aq_buf out = AQ_BUF(AQ_IDENTIFY_MSG_MAX);
  aq_identify_info info = {0};
  assert_int_equal(aq_identify_write(&out, &own), AQ_OK);
  assert_int_equal(aq_identify_read(&info, aq_buf_bytes(&out), pubkey, own.remote, NULL, 0), AQ_OK);
  assert_int_equal(info.addr_cnt, AQ_IDENTIFY_ADDRS_MAX);
  aq_buf_free(&out);
}

/* Our key and one address with the peer id of `named` behind it. */
static uint32_t addrs_naming(const uint8_t named[33], const uint8_t pubkey[33]) {
  char id[AQ_PEER_ID_TEXT_MAX], text[128];
  aq_peer_id_text(id, named);
  snprintf(text, sizeof text, "/ip4/10.1.1.1/tcp/2/p2p/%s", id);
  const char *addr = text;
  aq_identify_own own = {.addr = &addr, .addr_cnt = 1, .remote = "10.0.0.1:1", .agent = "a"};
  memcpy(own.pubkey, pubkey, 33);
  aq_buf out = AQ_BUF(AQ_IDENTIFY_MSG_MAX);
  aq_identify_info info = {0};
  assert_int_equal(aq_identify_write(&out, &own), AQ_OK);
  assert_int_equal(aq_identify_read(&info, aq_buf_bytes(&out), pubkey, own.remote, NULL, 0), AQ_OK);
  aq_buf_free(&out);
  return info.addr_cnt;
}

/* Goal: a peer sends nobody to another peer's door: an address with a foreign peer id is left out.
   Method: the same address under the own id and under another. */
static void foreign_addresses(void **state) {
  (void)state;
  uint8_t secret[32], key[2][33];
  for (uint8_t i = 0; i < 2; i++) {
    aq_k1_key *k;
    memset(secret, i + 1, sizeof secret);
    assert_int_equal(aq_k1_key_new(&k, secret), AQ_OK);
    aq_k1_pubkey(key[i], k);
    aq_k1_key_free(k);
  }
  assert_int_equal(addrs_naming(key[0], key[0]), 1);
  assert_int_equal(addrs_naming(key[1], key[0]), 0);
}

/* Goal: where a connection comes from is only told when it is an address.
   Method: remotes of every kind; the observed address is field 4 of the message. */
static void remotes(void **state) {
  (void)state;
  static const struct {
    const char *remote;
    bool told;
  } t[] = {{"10.0.0.1:1", true},  {"[::1]:65535", true}, {"10.0.0.1", false}, {"10.0.0.1:65536", false},
           {"10.0.0.1:x", false}, {"[::1:9", false},     {"[:9", false},      {"", false}};
  char text[200];
  memset(text, '1', sizeof text);
  memcpy(text + sizeof text - 4, ":90", 4);
  for (size_t i = 0; i <= AQ_COUNT(t); i++) {
    aq_identify_own own = {.remote = i < AQ_COUNT(t) ? t[i].remote : text, .agent = "a", .pubkey = {2, 1}};
    aq_buf with = AQ_BUF(AQ_IDENTIFY_MSG_MAX), none = AQ_BUF(AQ_IDENTIFY_MSG_MAX);
    assert_int_equal(aq_identify_write(&with, &own), AQ_OK);
    own.remote = "nowhere";
    assert_int_equal(aq_identify_write(&none, &own), AQ_OK);
    assert_int_equal(with.len > none.len, i < AQ_COUNT(t) && t[i].told);
    aq_buf_free(&with), aq_buf_free(&none);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(written),           cmocka_unit_test(captured), cmocka_unit_test(addresses),
      cmocka_unit_test(foreign_addresses), cmocka_unit_test(remotes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
