/* An ENR is signed RLP with sorted keys; a peer id is the key itself in a wrapper. */
#include "identity/identity.h"

#include <stdio.h>

#include "base/assert.h"
#include "codec/base58.h"
#include "codec/base64.h"
#include "codec/rlp.h"
#include "crypto/hash.h"

/* Identity multihash of the protobuf PublicKey {Type 2 = Secp256k1, Data}: cluster.md 1.2. */
static const uint8_t id_prefix[AQ_PEER_ID_LEN - 33] = {0x00, 0x25, 0x08, 0x02, 0x12, 0x21};

void aq_peer_id(uint8_t out[AQ_PEER_ID_LEN], const uint8_t pubkey[33]) {
  memcpy(out, id_prefix, sizeof id_prefix);
  memcpy(out + sizeof id_prefix, pubkey, 33);
}

void aq_peer_id_text(char out[AQ_PEER_ID_TEXT_MAX], const uint8_t pubkey[33]) {
  uint8_t id[AQ_PEER_ID_LEN];
  char text[AQ_BASE58_TEXT_MAX];
  aq_peer_id(id, pubkey);
  aq_base58_encode(text, aq_bytes_of(id, sizeof id));
  size_t len = strlen(text);
  AQ_ASSERT(len < AQ_PEER_ID_TEXT_MAX);
  memcpy(out, text, len + 1);
}

aq_status aq_peer_id_pubkey(uint8_t pubkey[33], aq_bytes id) {
  if (id.len != AQ_PEER_ID_LEN || memcmp(id.ptr, id_prefix, sizeof id_prefix) != 0) return AQ_E_FORMAT;
  return aq_k1_pubkey_parse(pubkey, aq_bytes_sub(id, sizeof id_prefix, 33));
}

aq_status aq_peer_id_parse(uint8_t pubkey[33], aq_bytes text) {
  uint8_t id[AQ_BASE58_BYTES_MAX];
  size_t len = 0;
  if (text.len == 0) return AQ_E_FORMAT;
  if (text.ptr[0] != 'b') {
    aq_status st = aq_base58_decode(id, &len, sizeof id, text);
    return st == AQ_OK ? aq_peer_id_pubkey(pubkey, aq_bytes_of(id, len)) : st;
  }
  /* CIDv1: multibase 'b' (base32), version 1, codec 0x72 (libp2p-key), then the multihash. */
  aq_buf cid = AQ_BUF(AQ_PEER_ID_LEN + 2);
  aq_status st = aq_base32_decode(&cid, aq_bytes_sub(text, 1, text.len - 1));
  if (st == AQ_OK && (cid.len != AQ_PEER_ID_LEN + 2 || cid.ptr[0] != 0x01 || cid.ptr[1] != 0x72)) st = AQ_E_FORMAT;
  if (st == AQ_OK) st = aq_peer_id_pubkey(pubkey, aq_bytes_of(cid.ptr + 2, AQ_PEER_ID_LEN));
  aq_buf_free(&cid);
  return st;
}

/* Our own words: names never travel and are stored nowhere (cluster.md 1.4). 4096 names; two peers of one cluster
   share one about once in 700 clusters of four, so names are for reading, keys for deciding. */
static const char *const adjective[64] = {
    "amber",  "ancient", "bold",   "brave",  "bright",  "brisk",  "calm",   "candid", "clear", "clever", "copper",
    "coral",  "crisp",   "daring", "dawn",   "deep",    "eager",  "early",  "easy",   "fair",  "fast",   "fine",
    "firm",   "fond",    "fresh",  "gentle", "glad",    "golden", "grand",  "green",  "happy", "hardy",  "honest",
    "humble", "jolly",   "keen",   "kind",   "late",    "light",  "lively", "loyal",  "lucky", "mellow", "merry",
    "mild",   "modest",  "neat",   "noble",  "patient", "plain",  "proud",  "quick",  "quiet", "rapid",  "ready",
    "silver", "solid",   "steady", "stout",  "sunny",   "swift",  "tidy",   "warm",   "wise",
};
static const char *const noun[64] = {
    "acorn",  "anchor",  "badger", "bay",   "beacon", "birch",  "brook",   "cedar",  "cliff",  "cloud",   "comet",
    "crane",  "creek",   "delta",  "dune",  "eagle",  "elm",    "falcon",  "fern",   "field",  "finch",   "fjord",
    "forest", "fox",     "glade",  "grove", "harbor", "hawk",   "heron",   "hill",   "island", "kestrel", "lagoon",
    "lake",   "lark",    "maple",  "marsh", "meadow", "meteor", "moon",    "moss",   "oak",    "ocean",   "orchid",
    "otter",  "owl",     "pebble", "pine",  "planet", "pond",   "prairie", "raven",  "reef",   "ridge",   "river",
    "robin",  "sparrow", "spring", "stone", "summit", "tide",   "valley",  "willow", "wren",
};

void aq_peer_name(char out[32], const uint8_t pubkey[33]) {
  uint8_t hash[32];
  aq_sha256(hash, aq_bytes_of(pubkey, 33));
  snprintf(out, 32, "%s-%s", adjective[hash[0] & 63], noun[hash[1] & 63]);
}

/* ---- ENR ---- */

/* A record of EIP-778 is at most 300 bytes; files keep up to 1024 characters. */
enum { ENR_ITEMS_MAX = 64, ENR_BYTES_MAX = AQ_ENR_TEXT_MAX };

static aq_status enr_decode(aq_buf *out, aq_bytes text, aq_err *err) {
  if (text.len < 4 || memcmp(text.ptr, "enr:", 4) != 0) return aq_fail(err, AQ_E_FORMAT, "an ENR starts with \"enr:\"");
  if (text.len > AQ_ENR_TEXT_MAX) return aq_fail(err, AQ_E_LIMIT, "the ENR is over %d characters", AQ_ENR_TEXT_MAX);
  text = aq_bytes_sub(text, 4, text.len - 4);
  while (text.len && text.ptr[text.len - 1] == '=') text.len--; /* very old files were padded */
  aq_status st = aq_base64_decode(out, text, AQ_BASE64_URL);
  return st == AQ_OK ? AQ_OK : aq_fail(err, st, "the ENR is not base64url");
}

/* The items of the one list; bytes after it are ignored, as the reference does. */
static aq_status enr_items(aq_bytes *item, size_t *cnt, aq_bytes raw, aq_err *err) {
  aq_rlp_item list = {.is_list = true, .body = {NULL, 0}};
  aq_rd r = aq_rd_of(raw);
  aq_status st = raw.len ? aq_rlp_next(&r, &list) : AQ_OK;
  if (st == AQ_OK && !list.is_list) st = AQ_E_FORMAT;
  r = aq_rd_of(list.body);
  for (*cnt = 0; st == AQ_OK && r.left > 0; (*cnt)++) {
    if (*cnt == ENR_ITEMS_MAX) return aq_fail(err, AQ_E_LIMIT, "the ENR has more than %d elements", ENR_ITEMS_MAX);
    aq_rlp_item it;
    st = aq_rlp_next(&r, &it);
    if (st == AQ_OK && it.is_list) st = AQ_E_FORMAT;
    if (st == AQ_OK) item[*cnt] = it.body;
  }
  if (st != AQ_OK) return aq_fail(err, st, "the ENR is not an RLP list of strings");
  if (*cnt < 4) return aq_fail(err, AQ_E_FORMAT, "the ENR has too few elements");
  if (*cnt % 2 != 0) return aq_fail(err, AQ_E_FORMAT, "the ENR has an odd number of elements");
  return AQ_OK;
}

static bool key_is(aq_bytes key, const char *name) { return aq_bytes_eq(key, aq_bytes_str(name)); }

static void take_port(bool *has, uint16_t *port, aq_bytes v) {
  if (v.len == 0 || v.len > 2) return;
  *has = true;
  *port = v.len == 2 ? aq_be16_get(v.ptr) : v.ptr[0];
}

static aq_status enr_fields(aq_enr *out, const aq_bytes *item, size_t cnt, aq_err *err) {
  bool has_key = false;
  for (size_t i = 2; i < cnt; i += 2) {
    aq_bytes key = item[i], v = item[i + 1];
    for (size_t k = 2; k < i; k += 2) {
      if (aq_bytes_eq(item[k], key)) return aq_fail(err, AQ_E_FORMAT, "the ENR has a duplicate key");
    }
    if (key_is(key, "secp256k1")) {
      if (aq_k1_pubkey_parse(out->pubkey, v) != AQ_OK)
        return aq_fail(err, AQ_E_FORMAT, "the public key of the ENR is no point");
      has_key = true;
    } else if (key_is(key, "id")) {
      if (!key_is(v, "v4")) return aq_fail(err, AQ_E_UNSUPPORTED, "the identity scheme of the ENR is not v4");
    } else if (key_is(key, "ip") && v.len == 4) {
      out->has_ip = true;
      memcpy(out->ip, v.ptr, 4);
    } else if (key_is(key, "ip6") && v.len == 16) {
      out->has_ip6 = true;
      memcpy(out->ip6, v.ptr, 16);
    } else if (key_is(key, "tcp6")) {
      take_port(&out->has_tcp6, &out->tcp6, v);
    } else if (key_is(key, "tcp")) {
      take_port(&out->has_tcp, &out->tcp, v);
    } else if (key_is(key, "udp")) {
      take_port(&out->has_udp, &out->udp, v);
    }
  }
  return has_key ? AQ_OK : aq_fail(err, AQ_E_FORMAT, "the ENR has no public key");
}

static void list_digest(uint8_t out[32], aq_bytes items) {
  aq_buf list = AQ_BUF(items.len + 16);
  aq_rlp_put_list(&list, items);
  aq_keccak256(out, aq_buf_bytes(&list));
  aq_buf_free(&list);
}

/* The signature covers the items after it, encoded again. */
static aq_status enr_verify(const aq_enr *e, const aq_bytes *item, size_t cnt, aq_err *err) {
  uint8_t digest[32];
  aq_buf items = AQ_BUF(2 * ENR_BYTES_MAX);
  for (size_t i = 1; i < cnt; i++) aq_rlp_put_bytes(&items, item[i]);
  aq_status st = aq_buf_status(&items);
  if (st == AQ_OK) list_digest(digest, aq_buf_bytes(&items));
  aq_buf_free(&items);
  if (st != AQ_OK) return aq_fail(err, st, "the ENR is too long");
  if (item[0].len != 64 || aq_k1_verify64(e->pubkey, item[0].ptr, digest) != AQ_OK) {
    return aq_fail(err, AQ_E_AUTH, "the signature of the ENR is wrong");
  }
  return AQ_OK;
}

static aq_status enr_seq(uint64_t *out, aq_bytes v, aq_err *err) {
  *out = 0;
  if (v.len > 8) return aq_fail(err, AQ_E_FORMAT, "the sequence number of the ENR is over 8 bytes");
  for (size_t i = 0; i < v.len; i++) *out = *out << 8 | v.ptr[i];
  return AQ_OK;
}

aq_status aq_enr_parse(aq_enr *out, aq_bytes text, aq_err *err) {
  aq_bytes item[ENR_ITEMS_MAX] = {{NULL, 0}};
  size_t cnt = 0;
  aq_enr e = {.seq = 0};
  aq_buf raw = AQ_BUF(ENR_BYTES_MAX);
  aq_status st = enr_decode(&raw, text, err);
  if (st == AQ_OK) st = enr_items(item, &cnt, aq_buf_bytes(&raw), err);
  if (st == AQ_OK) st = enr_fields(&e, item, cnt, err);
  if (st == AQ_OK) st = enr_seq(&e.seq, item[1], err);
  if (st == AQ_OK) st = enr_verify(&e, item, cnt, err);
  if (st == AQ_OK) *out = e;
  aq_buf_free(&raw);
  return st;
}

static void put_pair(aq_buf *out, const char *key, aq_bytes v) {
  aq_rlp_put_bytes(out, aq_bytes_str(key));
  aq_rlp_put_bytes(out, v);
}

static void put_port(aq_buf *out, const char *key, uint16_t port) {
  aq_rlp_put_bytes(out, aq_bytes_str(key));
  aq_rlp_put_u64(out, port);
}

aq_status aq_enr_write(aq_buf *out, const aq_k1_key *key, const aq_enr *fields) {
  static const aq_enr none;
  const aq_enr *f = fields ? fields : &none;
  uint8_t pubkey[33], digest[32], sig[65];
  aq_k1_pubkey(pubkey, key);
  aq_buf items = AQ_BUF(ENR_BYTES_MAX), all = AQ_BUF(ENR_BYTES_MAX), raw = AQ_BUF(ENR_BYTES_MAX);
  aq_rlp_put_u64(&items, f->seq); /* then the keys in the order of their bytes */
  put_pair(&items, "id", aq_bytes_str("v4"));
  if (f->has_ip) put_pair(&items, "ip", aq_bytes_of(f->ip, 4));
  if (f->has_ip6) put_pair(&items, "ip6", aq_bytes_of(f->ip6, 16));
  put_pair(&items, "secp256k1", aq_bytes_of(pubkey, sizeof pubkey));
  if (f->has_tcp) put_port(&items, "tcp", f->tcp);
  if (f->has_tcp6) put_port(&items, "tcp6", f->tcp6);
  if (f->has_udp) put_port(&items, "udp", f->udp);
  list_digest(digest, aq_buf_bytes(&items));
  aq_k1_sign(sig, key, digest);
  aq_rlp_put_bytes(&all, aq_bytes_of(sig, 64));
  aq_buf_put_bytes(&all, aq_buf_bytes(&items));
  aq_rlp_put_list(&raw, aq_buf_bytes(&all));
  aq_buf_put_str(out, "enr:");
  aq_base64_encode(out, aq_buf_bytes(&raw), AQ_BASE64_URL);
  aq_buf_free(&items);
  aq_buf_free(&all);
  aq_buf_free(&raw);
  return aq_buf_status(out);
}
