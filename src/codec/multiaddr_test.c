/* Addresses of go-multiaddr both ways, and addresses that nobody may take. */
#include "codec/multiaddr.h"

#include "aq_test.h"
#include "codec/base58.h"
#include "codec/base64.h"
#include "codec/pb.h"

/* Goal: text and binary of every address agree with go-multiaddr, both ways.
   Method: multiaddr.json, made with the libraries that Charon uses. */
static void vectors(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/multiaddr.json");
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "addresses"), *it;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    aq_buf want = aq_test_hex_of(it, "bytes"), bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX),
           text = AQ_BUF(AQ_MULTIADDR_TEXT_MAX);
    assert_int_equal(aq_multiaddr_parse(&bin, aq_bytes_str(aq_test_str(it, "text"))), AQ_OK);
    assert_bytes(aq_buf_bytes(&bin), aq_buf_bytes(&want));
    assert_int_equal(aq_multiaddr_print(&text, aq_buf_bytes(&want)), AQ_OK);
    assert_string_equal(aq_buf_cstr(&text), aq_test_str(it, "text"));
    aq_buf_free(&want), aq_buf_free(&bin), aq_buf_free(&text);
  }
  assert_true(max >= 12);
  yyjson_doc_free(doc);
}

/* Goal: protocol codes are those of the reference.
   Method: the code table of multiaddr.json against an address of one part. */
static void codes(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/multiaddr.json");
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "protocol_codes"), *it;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, it) {
    char text[128];
    const char *name = aq_test_str(it, "name");
    const char *value = strcmp(name, "ip4") == 0                               ? "/1.2.3.4"
                        : strcmp(name, "ip6") == 0                             ? "/::1"
                        : strcmp(name, "tcp") == 0 || strcmp(name, "udp") == 0 ? "/9"
                        : strcmp(name, "p2p") == 0 ? "/16Uiu2HAmDUnCnAnkcTkmPirigHc1yuWJCEviQvKVHZeSAyhRpwW2"
                        : yyjson_get_sint(yyjson_obj_get(it, "value_bits")) ? "/x"
                                                                            : "";
    snprintf(text, sizeof text, "/%s%s", name, value);
    aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX);
    assert_int_equal(aq_multiaddr_parse(&bin, aq_bytes_str(text)), AQ_OK);
    aq_buf code = aq_test_hex_of(it, "code_varint");
    assert_bytes(aq_bytes_sub(aq_buf_bytes(&bin), 0, code.len), aq_buf_bytes(&code));
    aq_buf_free(&bin), aq_buf_free(&code);
  }
  yyjson_doc_free(doc);
}

/* Goal: bad text is refused and leaves the output alone.
   Method: a table of one fault each. */
static void bad_text(void **state) {
  (void)state;
  static const struct {
    const char *text;
    aq_status st;
  } row[] = {
      {"", AQ_E_FORMAT},
      {"/", AQ_E_FORMAT},
      {"ip4/1.2.3.4", AQ_E_FORMAT},
      {"/ip4", AQ_E_TRUNC},
      {"/ip4/", AQ_E_TRUNC},
      {"/ip4/1.2.3", AQ_E_FORMAT},
      {"/ip4/1.2.3.256", AQ_E_FORMAT},
      {"/ip6/1.2.3.4", AQ_E_FORMAT},
      {"/ip4/1.2.3.4/tcp/65536", AQ_E_FORMAT},
      {"/ip4/1.2.3.4/tcp/-1", AQ_E_FORMAT},
      {"/ip4/1.2.3.4/tcp/", AQ_E_TRUNC},
      {"/ip4//tcp/1", AQ_E_FORMAT},
      {"/dns//tcp/1", AQ_E_FORMAT},
      {"/dns/a b/tcp/1", AQ_E_FORMAT},
      {"/sctp/1", AQ_E_UNSUPPORTED},
      {"/p2p/0OIl", AQ_E_FORMAT},
      {"/p2p/Qm", AQ_E_FORMAT},
      {"/p2p/baaaa", AQ_E_FORMAT},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX);
    if (aq_multiaddr_parse(&bin, aq_bytes_str(row[i].text)) != row[i].st) fail_msg("%s", row[i].text);
    assert_int_equal(bin.len, 0);
    aq_buf_free(&bin);
  }
}

static aq_status check(aq_bytes bin) {
  aq_multiaddr_part part[AQ_MULTIADDR_PARTS_MAX];
  size_t cnt;
  return aq_multiaddr_split(part, &cnt, bin);
}

/* Goal: no truncated or oversized binary address passes.
   Method: every prefix of a circuit address must be a whole number of parts or fail; too many parts. */
static void bad_binary(void **state) {
  (void)state;
  aq_buf bin = aq_test_hex(
      "04c0000209060e38a503270025080212210295beb46427b090b1ead90746a9d7a12bffb2730bd2afe57bf54fed28c45dbd0ba202");
  for (size_t len = 0; len < bin.len; len++) {
    bool whole = len == 5 || len == 8 || len == 50;
    assert_int_equal(check(aq_bytes_of(bin.ptr, len)) == AQ_OK, whole);
  }
  assert_int_equal(check(aq_buf_bytes(&bin)), AQ_OK);
  aq_buf_free(&bin);
  uint8_t many[2 * (AQ_MULTIADDR_PARTS_MAX + 1)];
  for (size_t i = 0; i < sizeof many; i += 2) many[i] = 0xa2, many[i + 1] = 0x02;
  assert_int_equal(check(aq_bytes_of(many, sizeof many)), AQ_E_LIMIT);
  assert_int_equal(check(aq_bytes_of(many, sizeof many - 2)), AQ_OK);
  static const uint8_t padded_code[] = {0x84, 0x00, 1, 2, 3, 4}, slash[] = {0x35, 3, 'a', '/', 'b'};
  assert_int_equal(check(aq_bytes_of(padded_code, sizeof padded_code)), AQ_E_FORMAT);
  assert_int_equal(check(aq_bytes_of(slash, sizeof slash)), AQ_E_FORMAT);
}

/* Goal: the dialler gets host, port, transport, relay and peer.
   Method: a table of addresses as configured by operators and announced by peers. */
static void targets(void **state) {
  (void)state;
#define ID_A "16Uiu2HAm5WDPQZJZMyEzTNYVQuHpnfE93Seeu1U6eaMCDuM3cEAN"
#define ID_B "16Uiu2HAmDUnCnAnkcTkmPirigHc1yuWJCEviQvKVHZeSAyhRpwW2"
  static const struct {
    const char *text, *host;
    uint16_t port;
    bool tcp, quic, circuit, relay, peer;
    aq_status st;
  } row[] = {
      {"/ip4/10.0.0.1/tcp/3610", "10.0.0.1", 3610, true, false, false, false, false, AQ_OK},
      {"/ip6/2001:db8::1/tcp/1/p2p/" ID_B, "2001:db8::1", 1, true, false, false, false, true, AQ_OK},
      {"/dns4/node.example/udp/9/quic-v1", "node.example", 9, false, true, false, false, false, AQ_OK},
      {"/dns/r.example/tcp/443/wss/p2p/" ID_A, "r.example", 443, false, false, false, false, true, AQ_OK},
      {"/dns/r.example/tcp/80/p2p/" ID_A "/p2p-circuit/p2p/" ID_B, "r.example", 80, true, false, true, true, true,
       AQ_OK},
      {"/ip4/1.2.3.4/tcp/80/p2p-circuit", "1.2.3.4", 80, true, false, true, false, false, AQ_OK},
      {"/p2p-circuit", NULL, 0, false, false, false, false, false, AQ_E_UNSUPPORTED},
      {"/ip4/1.2.3.4", NULL, 0, false, false, false, false, false, AQ_E_UNSUPPORTED},
      {"/ip4/1.2.3.4/tcp/1/p2p/" ID_A "/tcp/2", NULL, 0, false, false, false, false, false, AQ_E_UNSUPPORTED},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX);
    aq_multiaddr_target t;
    assert_int_equal(aq_multiaddr_parse(&bin, aq_bytes_str(row[i].text)), AQ_OK);
    assert_int_equal(aq_multiaddr_target_of(&t, aq_buf_bytes(&bin)), row[i].st);
    if (row[i].st == AQ_OK) {
      assert_string_equal(t.host, row[i].host);
      assert_int_equal(t.port, row[i].port);
      assert_int_equal(t.tcp, row[i].tcp);
      assert_int_equal(t.quic, row[i].quic);
      assert_int_equal(t.circuit, row[i].circuit);
      assert_int_equal(t.relay.len, row[i].relay ? 39 : 0);
      assert_int_equal(t.peer.len, row[i].peer ? 39 : 0);
    }
    aq_buf_free(&bin);
  }
}

/* Goal: host and port become an address of the right kind.
   Method: an IPv4, an IPv6 and a name; a name with a slash is refused. */
static void from_host_port(void **state) {
  (void)state;
  static const char *const row[][2] = {
      {"1.2.3.4", "/ip4/1.2.3.4/tcp/5"}, {"::1", "/ip6/::1/tcp/5"}, {"node0", "/dns/node0/tcp/5"}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX), text = AQ_BUF(AQ_MULTIADDR_TEXT_MAX);
    assert_int_equal(aq_multiaddr_tcp(&bin, row[i][0], 5), AQ_OK);
    assert_int_equal(aq_multiaddr_print(&text, aq_buf_bytes(&bin)), AQ_OK);
    assert_string_equal(aq_buf_cstr(&text), row[i][1]);
    aq_buf_free(&bin), aq_buf_free(&text);
  }
  aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX);
  assert_int_equal(aq_multiaddr_tcp(&bin, "a/tcp/1", 5), AQ_E_FORMAT);
  aq_buf_free(&bin);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors),    cmocka_unit_test(codes),   cmocka_unit_test(bad_text),
      cmocka_unit_test(bad_binary), cmocka_unit_test(targets), cmocka_unit_test(from_host_port),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
