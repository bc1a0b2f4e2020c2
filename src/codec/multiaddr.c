/* A row a protocol: code, name and size of the value decide both directions. */
#include "codec/multiaddr.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/hex.h"
#include "codec/base58.h"
#include "codec/base64.h"
#include "codec/pb.h"

enum { SIZE_VARIABLE = -1, PEER_ID_MAX = AQ_BASE58_BYTES_MAX };
_Static_assert(AQ_MULTIADDR_TEXT_MAX >= 2 * AQ_MULTIADDR_BYTES_MAX, "text of most addresses of the allowed size fits");

typedef struct {
  uint32_t code;
  const char *name;
  int size; /* of the value: 0 none, -1 preceded by a varint length */
} proto;

static const proto protos[] = {
    {AQ_MA_IP4, "ip4", 4},
    {AQ_MA_TCP, "tcp", 2},
    {AQ_MA_IP6, "ip6", 16},
    {AQ_MA_IP6ZONE, "ip6zone", SIZE_VARIABLE},
    {AQ_MA_DNS, "dns", SIZE_VARIABLE},
    {AQ_MA_DNS4, "dns4", SIZE_VARIABLE},
    {AQ_MA_DNS6, "dns6", SIZE_VARIABLE},
    {AQ_MA_DNSADDR, "dnsaddr", SIZE_VARIABLE},
    {AQ_MA_UDP, "udp", 2},
    {AQ_MA_CIRCUIT, "p2p-circuit", 0},
    {AQ_MA_P2P, "p2p", SIZE_VARIABLE},
    {AQ_MA_P2P, "ipfs", SIZE_VARIABLE},
    {AQ_MA_TLS, "tls", 0},
    {AQ_MA_QUIC, "quic", 0},
    {AQ_MA_QUIC_V1, "quic-v1", 0},
    {AQ_MA_WS, "ws", 0},
    {AQ_MA_WSS, "wss", 0},
};

static const proto *proto_by_code(uint64_t code) {
  for (size_t i = 0; i < AQ_COUNT(protos); i++) {
    if (protos[i].code == code) return &protos[i];
  }
  return NULL;
}

static const proto *proto_by_name(aq_bytes name) {
  for (size_t i = 0; i < AQ_COUNT(protos); i++) {
    if (aq_bytes_eq(name, aq_bytes_str(protos[i].name))) return &protos[i];
  }
  return NULL;
}

/* A name has no '/', which would make its text another address, and nothing that a terminal or log could trip over. */
static bool name_ok(aq_bytes v) {
  if (v.len == 0 || v.len >= AQ_MULTIADDR_HOST_MAX) return false;
  for (size_t i = 0; i < v.len; i++) {
    if (v.ptr[i] <= ' ' || v.ptr[i] > '~' || v.ptr[i] == '/') return false;
  }
  return true;
}

/* A multihash: code, length, that many bytes. Peer ids are of two codes: identity, whose text starts with '1', and
   SHA-256, "Qm". */
static bool peer_id_ok(aq_bytes v) {
  enum { IDENTITY = 0x00, SHA256 = 0x12 };
  uint64_t code, len;
  size_t used;
  if (v.len > PEER_ID_MAX || aq_uvarint_get(&code, &used, v) != AQ_OK) return false;
  v = aq_bytes_sub(v, used, v.len - used);
  if (aq_uvarint_get(&len, &used, v) != AQ_OK || len != v.len - used) return false;
  return (code == IDENTITY && len > 0) || (code == SHA256 && len == 32);
}

static bool value_ok(uint32_t code, aq_bytes v) {
  if (code == AQ_MA_P2P) return peer_id_ok(v);
  bool is_name =
      code == AQ_MA_DNS || code == AQ_MA_DNS4 || code == AQ_MA_DNS6 || code == AQ_MA_DNSADDR || code == AQ_MA_IP6ZONE;
  return !is_name || name_ok(v);
}

/* ---- binary ---- */

static aq_status take_uvarint(aq_rd *r, uint64_t *out) {
  size_t used;
  aq_status st = aq_uvarint_get(out, &used, aq_bytes_of(r->ptr, r->left));
  if (st == AQ_OK) (void)aq_rd_bytes(r, used);
  return st;
}

static aq_status take_part(aq_rd *r, aq_multiaddr_part *out) {
  uint64_t code, len;
  aq_status st = take_uvarint(r, &code);
  if (st != AQ_OK) return st;
  const proto *p = proto_by_code(code);
  if (!p) return AQ_E_UNSUPPORTED;
  len = p->size >= 0 ? (uint64_t)p->size : 0;
  if (p->size == SIZE_VARIABLE && (st = take_uvarint(r, &len)) != AQ_OK) return st;
  if (len > r->left) return AQ_E_TRUNC;
  *out = (aq_multiaddr_part){p->code, aq_rd_bytes(r, (size_t)len)};
  return value_ok(out->code, out->value) ? AQ_OK : AQ_E_FORMAT;
}

aq_status aq_multiaddr_split(aq_multiaddr_part *part, size_t *cnt, aq_bytes bin) {
  if (bin.len == 0) return AQ_E_FORMAT;
  if (bin.len > AQ_MULTIADDR_BYTES_MAX) return AQ_E_LIMIT;
  aq_rd r = aq_rd_of(bin);
  for (*cnt = 0; r.left > 0; (*cnt)++) {
    if (*cnt == AQ_MULTIADDR_PARTS_MAX) return AQ_E_LIMIT;
    aq_status st = take_part(&r, &part[*cnt]);
    if (st != AQ_OK) return st == AQ_E_AGAIN ? AQ_E_TRUNC : st;
  }
  return AQ_OK;
}

static void print_value(aq_buf *out, const aq_multiaddr_part *p) {
  char text[AQ_BASE58_TEXT_MAX];
  switch (p->code) {
    case AQ_MA_IP4:
    case AQ_MA_IP6:
      inet_ntop(p->code == AQ_MA_IP4 ? AF_INET : AF_INET6, p->value.ptr, text, sizeof text);
      aq_buf_put_str(out, text);
      return;
    case AQ_MA_TCP:
    case AQ_MA_UDP: aq_buf_printf(out, "%u", aq_be16_get(p->value.ptr)); return;
    case AQ_MA_P2P:
      aq_base58_encode(text, p->value);
      aq_buf_put_str(out, text);
      return;
    default: aq_buf_put_bytes(out, p->value);
  }
}

aq_status aq_multiaddr_print(aq_buf *out, aq_bytes bin) {
  aq_multiaddr_part part[AQ_MULTIADDR_PARTS_MAX];
  size_t cnt;
  aq_status st = aq_multiaddr_split(part, &cnt, bin);
  if (st != AQ_OK) return st;
  for (size_t i = 0; i < cnt; i++) {
    const proto *p = proto_by_code(part[i].code);
    aq_buf_printf(out, "/%s", p->name);
    if (p->size == 0) continue;
    aq_buf_put_u8(out, '/');
    print_value(out, &part[i]);
  }
  return aq_buf_status(out);
}

/* ---- text ---- */

/* Everything up to the next '/', which is consumed. */
static aq_bytes take_word(aq_rd *r) {
  const uint8_t *slash = r->left ? memchr(r->ptr, '/', r->left) : NULL;
  aq_bytes word = aq_rd_bytes(r, slash ? (size_t)(slash - r->ptr) : r->left);
  if (slash) (void)aq_rd_u8(r);
  return word;
}

static aq_status put_ip(aq_buf *out, int family, aq_bytes text) {
  char copy[INET6_ADDRSTRLEN];
  uint8_t ip[16];
  if (text.len >= sizeof copy || memchr(text.ptr, 0, text.len)) return AQ_E_FORMAT;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = 0;
  if (inet_pton(family, copy, ip) != 1) return AQ_E_FORMAT;
  aq_buf_put(out, ip, family == AF_INET ? 4 : 16);
  return AQ_OK;
}

static aq_status put_port(aq_buf *out, aq_bytes text) {
  uint64_t port;
  if (aq_u64_parse(&port, text) != AQ_OK || port > UINT16_MAX) return AQ_E_FORMAT;
  uint8_t be[2];
  aq_be16_put(be, (uint16_t)port);
  aq_buf_put(out, be, 2);
  return AQ_OK;
}

static void put_variable(aq_buf *out, aq_bytes v) {
  uint8_t len[9];
  aq_buf_put(out, len, aq_uvarint_put(len, v.len));
  aq_buf_put_bytes(out, v);
}

/* base58, or the CIDv1 form: multibase 'b', version 1, codec 0x72 libp2p-key; no base58 peer id starts with 'b'. */
static aq_status put_peer_id(aq_buf *out, aq_bytes text) {
  uint8_t id[PEER_ID_MAX];
  size_t len = 0;
  if (text.len && text.ptr[0] == 'b') {
    aq_buf cid = AQ_BUF(PEER_ID_MAX + 2);
    aq_status st = aq_base32_decode(&cid, aq_bytes_sub(text, 1, text.len - 1));
    if (st == AQ_OK && (cid.len < 2 || cid.ptr[0] != 0x01 || cid.ptr[1] != 0x72)) st = AQ_E_FORMAT;
    if (st == AQ_OK) memcpy(id, cid.ptr + 2, len = cid.len - 2);
    aq_buf_free(&cid);
    if (st != AQ_OK) return st;
  } else {
    aq_status st = aq_base58_decode(id, &len, sizeof id, text);
    if (st != AQ_OK) return st;
  }
  if (!peer_id_ok(aq_bytes_of(id, len))) return AQ_E_FORMAT;
  put_variable(out, aq_bytes_of(id, len));
  return AQ_OK;
}

static aq_status put_value(aq_buf *out, uint32_t code, aq_bytes text) {
  switch (code) {
    case AQ_MA_IP4: return put_ip(out, AF_INET, text);
    case AQ_MA_IP6: return put_ip(out, AF_INET6, text);
    case AQ_MA_TCP:
    case AQ_MA_UDP: return put_port(out, text);
    case AQ_MA_P2P: return put_peer_id(out, text);
    default:
      if (!value_ok(code, text)) return AQ_E_FORMAT;
      put_variable(out, text);
      return AQ_OK;
  }
}

static aq_status parse_parts(aq_buf *out, aq_rd *r) {
  for (int cnt = 0; r->left > 0; cnt++) {
    if (cnt == AQ_MULTIADDR_PARTS_MAX) return AQ_E_LIMIT;
    const proto *p = proto_by_name(take_word(r));
    if (!p) return AQ_E_UNSUPPORTED;
    uint8_t code[9];
    aq_buf_put(out, code, aq_uvarint_put(code, p->code));
    if (p->size == 0) continue;
    if (r->left == 0) return AQ_E_TRUNC;
    aq_status st = put_value(out, p->code, take_word(r));
    if (st != AQ_OK) return st;
  }
  return AQ_OK;
}

aq_status aq_multiaddr_parse(aq_buf *out, aq_bytes text) {
  if (text.len > AQ_MULTIADDR_TEXT_MAX) return AQ_E_LIMIT;
  while (text.len && text.ptr[text.len - 1] == '/') text.len--;
  if (text.len < 2 || text.ptr[0] != '/') return AQ_E_FORMAT;
  aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX);
  aq_rd r = aq_rd_of(aq_bytes_sub(text, 1, text.len - 1));
  aq_status st = parse_parts(&bin, &r);
  if (st == AQ_OK) st = aq_buf_status(&bin);
  if (st == AQ_OK) {
    aq_buf_put_bytes(out, aq_buf_bytes(&bin));
    st = aq_buf_status(out);
  }
  aq_buf_free(&bin);
  return st;
}

/* ---- dialling ---- */

static bool is_host(uint32_t code) {
  return code == AQ_MA_IP4 || code == AQ_MA_IP6 || code == AQ_MA_DNS || code == AQ_MA_DNS4 || code == AQ_MA_DNS6;
}

static void target_host(aq_multiaddr_target *out, const aq_multiaddr_part *part) {
  out->host_code = part->code;
  if (part->code == AQ_MA_IP4)
    inet_ntop(AF_INET, part->value.ptr, out->host, sizeof out->host);
  else if (part->code == AQ_MA_IP6)
    inet_ntop(AF_INET6, part->value.ptr, out->host, sizeof out->host);
  else
    memcpy(out->host, part->value.ptr, part->value.len); /* name_ok keeps room for the 0, *out is zeroed */
}

aq_status aq_multiaddr_target_of(aq_multiaddr_target *out, aq_bytes bin) {
  aq_multiaddr_part part[AQ_MULTIADDR_PARTS_MAX];
  size_t cnt, i = 2;
  aq_status st = aq_multiaddr_split(part, &cnt, bin);
  if (st != AQ_OK) return st;
  *out = (aq_multiaddr_target){.tcp = false};
  if (cnt < 2 || !is_host(part[0].code) || (part[1].code != AQ_MA_TCP && part[1].code != AQ_MA_UDP))
    return AQ_E_UNSUPPORTED;
  target_host(out, &part[0]);
  out->port = aq_be16_get(part[1].value.ptr);
  out->tcp = part[1].code == AQ_MA_TCP;
  for (; i < cnt && part[i].code != AQ_MA_P2P && part[i].code != AQ_MA_CIRCUIT; i++) {
    out->quic = !out->tcp && part[i].code == AQ_MA_QUIC_V1;
    out->tcp = false;
  }
  if (i < cnt && part[i].code == AQ_MA_P2P) out->peer = part[i++].value;
  if (i < cnt && part[i].code == AQ_MA_CIRCUIT) {
    out->circuit = true;
    out->relay = out->peer;
    out->peer = (aq_bytes){NULL, 0};
    i++;
    if (i < cnt && part[i].code == AQ_MA_P2P) out->peer = part[i++].value;
  }
  return i == cnt ? AQ_OK : AQ_E_UNSUPPORTED;
}

aq_status aq_multiaddr_tcp(aq_buf *out, const char *host, uint16_t port) {
  struct in_addr v4;
  struct in6_addr v6;
  const char *kind = inet_pton(AF_INET, host, &v4) == 1 ? "ip4" : inet_pton(AF_INET6, host, &v6) == 1 ? "ip6" : "dns";
  char text[AQ_MULTIADDR_HOST_MAX + 32];
  if (!name_ok(aq_bytes_str(host))) return AQ_E_FORMAT;
  int len = snprintf(text, sizeof text, "/%s/%s/tcp/%u", kind, host, port);
  return aq_multiaddr_parse(out, aq_bytes_of(text, (size_t)len));
}
