/* Fixed-length fields in one order, read whole or not at all. */
#include "consensus/votes_wire.h"

enum { VERSION = 1, WANTS_VOTES = 1, HAS_OTHER = 1 };

static void digest_of(uint8_t out[32], const aq_votes_hello *h, const uint8_t cluster[32]) {
  static const char domain[] = "aequa votes hello 1";
  uint8_t text[sizeof domain + 32 + 2 * AQ_VOTES_ID_LEN + 8], *at = text;
  memcpy(at, domain, sizeof domain), at += sizeof domain;
  memcpy(at, cluster, 32), at += 32;
  memcpy(at, h->id, sizeof h->id), at += sizeof h->id;
  memcpy(at, h->sees, sizeof h->sees), at += sizeof h->sees;
  aq_le64_put(at, h->started_ns);
  aq_sha256(out, aq_bytes_of(text, sizeof text));
}

void aq_votes_hello_sign(aq_votes_hello *h, const aq_k1_key *key, const uint8_t cluster[32]) {
  uint8_t digest[32];
  digest_of(digest, h, cluster);
  aq_k1_sign(h->sig, key, digest);
}

bool aq_votes_hello_ok(const aq_votes_hello *h, const uint8_t pubkey[33], const uint8_t cluster[32]) {
  uint8_t digest[32];
  digest_of(digest, h, cluster);
  return aq_k1_verify65(pubkey, h->sig, digest) == AQ_OK;
}

static void put_head(aq_buf *out, uint8_t flags) {
  const uint8_t head[2] = {VERSION, flags};
  aq_buf_put(out, head, sizeof head);
}

static void put_hello(aq_buf *out, const aq_votes_hello *h) {
  uint8_t number[8];
  aq_le64_put(number, h->started_ns);
  aq_buf_put(out, h->id, sizeof h->id);
  aq_buf_put(out, h->sees, sizeof h->sees);
  aq_buf_put(out, number, sizeof number);
  aq_buf_put(out, h->sig, sizeof h->sig);
}

static void read_hello(aq_votes_hello *h, const uint8_t *at) {
  memcpy(h->id, at, sizeof h->id), at += sizeof h->id;
  memcpy(h->sees, at, sizeof h->sees), at += sizeof h->sees;
  h->started_ns = aq_le64_get(at), at += 8;
  memcpy(h->sig, at, sizeof h->sig);
}

void aq_votes_put_request(aq_buf *out, const aq_votes_hello *own, bool wants_votes) {
  put_head(out, wants_votes ? WANTS_VOTES : 0);
  put_hello(out, own);
}

aq_status aq_votes_read_request(aq_votes_hello *h, bool *wants_votes, aq_bytes in) {
  if (in.len != AQ_VOTES_REQUEST_LEN || in.ptr[0] != VERSION || in.ptr[1] & ~WANTS_VOTES) return AQ_E_FORMAT;
  *wants_votes = in.ptr[1] & WANTS_VOTES;
  read_hello(h, in.ptr + 2);
  return AQ_OK;
}

static void put_u16(aq_buf *out, size_t v) {
  const uint8_t number[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
  aq_buf_put(out, number, sizeof number);
}

void aq_votes_put_answer(aq_buf *out, const aq_votes_hello *other, uint32_t cnt) {
  put_head(out, other ? HAS_OTHER : 0);
  if (other) put_hello(out, other);
  put_u16(out, cnt);
}

void aq_votes_put_vote(aq_buf *out, aq_bytes raw) {
  put_u16(out, raw.len);
  aq_buf_put_bytes(out, raw);
}

static bool take_u16(uint32_t *out, aq_bytes *in) {
  if (in->len < 2) return false;
  *out = (uint32_t)in->ptr[0] | (uint32_t)in->ptr[1] << 8;
  *in = aq_bytes_sub(*in, 2, in->len - 2);
  return true;
}

static aq_status take_vote(aq_bytes *raw, aq_bytes *in) {
  uint32_t len;
  if (!take_u16(&len, in)) return AQ_E_FORMAT;
  if (len > AQ_QBFT_RAW_MAX) return AQ_E_LIMIT;
  if (len == 0 || len > in->len) return AQ_E_FORMAT;
  *raw = aq_bytes_sub(*in, 0, len);
  *in = aq_bytes_sub(*in, len, in->len - len);
  return AQ_OK;
}

aq_status aq_votes_read_answer(aq_votes_answer *out, aq_bytes in) {
  if (in.len < 2 || in.ptr[0] != VERSION || in.ptr[1] & ~HAS_OTHER) return AQ_E_FORMAT;
  *out = (aq_votes_answer){.has_other = in.ptr[1] & HAS_OTHER};
  in = aq_bytes_sub(in, 2, in.len - 2);
  if (out->has_other) {
    if (in.len < AQ_VOTES_HELLO_LEN) return AQ_E_FORMAT;
    read_hello(&out->other, in.ptr);
    in = aq_bytes_sub(in, AQ_VOTES_HELLO_LEN, in.len - AQ_VOTES_HELLO_LEN);
  }
  if (!take_u16(&out->cnt, &in)) return AQ_E_FORMAT;
  if (out->cnt > AQ_VOTES_MAX) return AQ_E_LIMIT;
  out->rest = in;
  aq_bytes raw;
  for (uint32_t i = 0; i < out->cnt; i++) {
    aq_status st = take_vote(&raw, &in);
    if (st != AQ_OK) return st;
  }
  return in.len == 0 ? AQ_OK : AQ_E_FORMAT;
}

bool aq_votes_next(aq_votes_answer *a, aq_bytes *raw) {
  if (a->cnt == 0 || take_vote(raw, &a->rest) != AQ_OK) return false;
  a->cnt--;
  return true;
}
