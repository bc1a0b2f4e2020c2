/* Protobuf to the machine's message and back; every check that needs no signature comes first. */
#include "qbft/qbft_wire.h"

#include "base/assert.h"
#include "base/hex.h"
#include "codec/pb.h"
#include "core.pb-c.h"

static const char set_url[] = "type.googleapis.com/core.corepb.v1.UnsignedDataSet";
static const char priority_url[] = AQ_QBFT_INFO_URL;

enum { SIG_LEN = 65, TAG_MSG = 0x0a, TAG_JUST = 0x12, TAG_VALUE = 0x1a, TAG_1 = 0x0a, TAG_2 = 0x12, KEY_LEN = 98 };

const char *aq_qbft_wire_name(aq_qbft_wire_code c) {
  switch (c) {
#define X(name, text) \
  case AQ_QBFT_WIRE_##name: return text;
    AQ_QBFT_WIRE_MAP(X)
#undef X
    case AQ_QBFT_WIRE_CNT: break;
  }
  return "unknown";
}

const char *aq_qbft_wire_result(aq_qbft_wire_code c) {
  switch (c) {
    case AQ_QBFT_WIRE_OK: return NULL;
    case AQ_QBFT_WIRE_BAD_PEER_INDEX: return "unauthorized";
    case AQ_QBFT_WIRE_BAD_SIGNATURE: return "sig_invalid";
    case AQ_QBFT_WIRE_EXPIRED: return "old";
    case AQ_QBFT_WIRE_GATED_DUTY:
    case AQ_QBFT_WIRE_ROUND_OOB: return "round_oob";
    case AQ_QBFT_WIRE_MALFORMED:
    case AQ_QBFT_WIRE_BAD_TYPE:
    case AQ_QBFT_WIRE_BAD_DUTY_TYPE:
    case AQ_QBFT_WIRE_BAD_ROUND:
    case AQ_QBFT_WIRE_BAD_PREPARED_ROUND:
    case AQ_QBFT_WIRE_TOO_MANY_JUSTIFICATIONS:
    case AQ_QBFT_WIRE_TOO_MANY_VALUES:
    case AQ_QBFT_WIRE_TOO_LONG:
    case AQ_QBFT_WIRE_DUTY_DIFFERS:
    case AQ_QBFT_WIRE_VALUE_MISSING:
    case AQ_QBFT_WIRE_UNSCHEDULED:
    case AQ_QBFT_WIRE_CNT: break;
  }
  return "error";
}

/* ---- one QBFTMsg ---- */

/* A hash field of any other length counts as no value (consensus.md 4.6). */
static aq_hash hash_field(ProtobufCBinaryData f) {
  aq_hash h = {{0}};
  if (f.len == sizeof h.b) memcpy(h.b, f.data, sizeof h.b);
  return h;
}

static aq_qbft_wire_code convert(aq_qbft_msg *out, aq_duty *duty, aq_arena *a, uint32_t n, const Corepb__QBFTMsg *m) {
  if (m->type < AQ_QBFT_PRE_PREPARE || m->type > AQ_QBFT_DECIDED) return AQ_QBFT_WIRE_BAD_TYPE;
  if (!aq_duty_type_valid(m->duty->type)) return AQ_QBFT_WIRE_BAD_DUTY_TYPE;
  if (!aq_duty_is((aq_duty_type)m->duty->type, AQ_DF_CONSENSUS)) return AQ_QBFT_WIRE_BAD_DUTY_TYPE;
  if (m->round < 1) return AQ_QBFT_WIRE_BAD_ROUND;
  if (m->prepared_round < 0) return AQ_QBFT_WIRE_BAD_PREPARED_ROUND;
  if (m->round > AQ_QBFT_ROUND_MAX || m->prepared_round > AQ_QBFT_ROUND_MAX) return AQ_QBFT_WIRE_ROUND_OOB;
  if (m->peer_idx < 0 || m->peer_idx >= (int64_t)n) return AQ_QBFT_WIRE_BAD_PEER_INDEX;
  if (m->signature.len != SIG_LEN) return AQ_QBFT_WIRE_BAD_SIGNATURE;
  aq_buf raw = AQ_BUF(AQ_QBFT_RAW_MAX);
  aq_pb_pack(&raw, &m->base);
  aq_bytes kept = raw.failed ? aq_bytes_of(NULL, 0) : aq_arena_copy(a, aq_buf_bytes(&raw));
  aq_buf_free(&raw);
  if (!kept.ptr) return AQ_QBFT_WIRE_TOO_LONG;
  *duty = (aq_duty){m->duty->slot, (aq_duty_type)m->duty->type};
  *out = (aq_qbft_msg){.type = (aq_qbft_type)m->type,
                       .from = (uint32_t)m->peer_idx,
                       .round = m->round,
                       .prepared_round = m->prepared_round,
                       .value = hash_field(m->value_hash),
                       .prepared_value = hash_field(m->prepared_value_hash),
                       .raw = kept};
  return AQ_QBFT_WIRE_OK;
}

static bool digest_of(aq_hash *out, Corepb__QBFTMsg *m) {
  ProtobufCBinaryData signature = m->signature;
  m->signature = (ProtobufCBinaryData){0, NULL};
  aq_buf text = AQ_BUF(AQ_QBFT_RAW_MAX);
  aq_pb_pack(&text, &m->base);
  bool ok = !text.failed;
  if (ok) aq_merkle_bytes(out->b, aq_buf_bytes(&text), -1);
  aq_buf_free(&text);
  m->signature = signature;
  return ok;
}

static Corepb__QBFTMsg *unpack(aq_arena *a, aq_bytes raw) { return aq_pb_unpack(a, &corepb__qbftmsg__descriptor, raw); }

bool aq_qbft_digest(aq_hash *out, aq_arena *a, aq_bytes raw) {
  Corepb__QBFTMsg *m = unpack(a, raw);
  return m && digest_of(out, m);
}

bool aq_qbft_wire_verify_one(aq_arena *a, const aq_qbft_msg *m, const uint8_t (*pubkey)[33]) {
  Corepb__QBFTMsg *pb = unpack(a, m->raw);
  aq_hash digest;
  if (!pb || pb->signature.len != SIG_LEN || !digest_of(&digest, pb)) return false;
  return aq_k1_verify65(pubkey[m->from], pb->signature.data, digest.b) == AQ_OK;
}

/* ---- signatures met before ---- */

/* Of the whole message, signature and index too: a good one must not make a foreign one good, for we relay both. */
static void cache_key(aq_hash *key, const aq_qbft_msg *m) { aq_sha256(key->b, m->raw); }

static size_t cache_place(const aq_hash *key) { return aq_be32_get(key->b) % AQ_QBFT_CACHE_MAX; }

static const aq_qbft_msg *part(const aq_qbft_wire *w, uint32_t i) { return i == 0 ? &w->msg : &w->msg.just[i - 1]; }

void aq_qbft_wire_look(aq_qbft_fresh *out, const aq_qbft_wire *w, const aq_qbft_cache *cache) {
  *out = (aq_qbft_fresh){.cnt = 0};
  for (uint32_t i = 0; i <= w->msg.just_cnt; i++) {
    aq_hash key;
    cache_key(&key, part(w, i));
    out->is[i] = memcmp(cache->key[cache_place(&key)], key.b, sizeof key.b) != 0;
    out->cnt += out->is[i];
  }
}

void aq_qbft_cache_learn(aq_qbft_cache *cache, const aq_qbft_wire *w, const aq_qbft_fresh *fresh) {
  for (uint32_t i = 0; i <= w->msg.just_cnt; i++) {
    aq_hash key;
    if (!fresh->is[i]) continue;
    cache_key(&key, part(w, i));
    memcpy(cache->key[cache_place(&key)], key.b, sizeof key.b);
  }
}

aq_qbft_wire_code aq_qbft_wire_verify(aq_qbft_wire *w, aq_arena *a, const uint8_t (*pubkey)[33],
                                      const aq_qbft_fresh *fresh) {
  for (uint32_t i = 0; fresh->cnt && i <= w->msg.just_cnt; i++) {
    w->nested = i > 0;
    if (fresh->is[i] && !aq_qbft_wire_verify_one(a, part(w, i), pubkey)) return AQ_QBFT_WIRE_BAD_SIGNATURE;
  }
  w->nested = false;
  return AQ_QBFT_WIRE_OK;
}

size_t aq_qbft_wire_sign(uint8_t out[AQ_QBFT_RAW_MAX], const aq_k1_key *key, aq_duty duty, const aq_qbft_msg *m) {
  Corepb__Duty d = COREPB__DUTY__INIT;
  d.slot = duty.slot;
  d.type = (int32_t)duty.type;
  aq_hash value = m->value, prepared = m->prepared_value, digest;
  Corepb__QBFTMsg pb = COREPB__QBFTMSG__INIT;
  pb.type = m->type;
  pb.duty = &d;
  pb.peer_idx = m->from;
  pb.round = m->round;
  pb.prepared_round = m->prepared_round;
  pb.value_hash = (ProtobufCBinaryData){32, value.b};
  pb.prepared_value_hash = (ProtobufCBinaryData){32, prepared.b};
  bool ok = digest_of(&digest, &pb);
  AQ_ASSERT(ok);
  uint8_t sig[SIG_LEN];
  aq_k1_sign(sig, key, digest.b);
  pb.signature = (ProtobufCBinaryData){SIG_LEN, sig};
  aq_buf text = AQ_BUF(AQ_QBFT_RAW_MAX);
  aq_pb_pack(&text, &pb.base);
  AQ_ASSERT(!text.failed);
  size_t len = text.len;
  memcpy(out, text.ptr, len);
  aq_buf_free(&text);
  return len;
}

/* ---- QBFTConsensusMsg ---- */

static aq_qbft_wire_code justifications(aq_qbft_wire *out, aq_arena *a, uint32_t n, const Corepb__QBFTConsensusMsg *m) {
  aq_qbft_msg *just = aq_arena_array(a, m->n_justification, sizeof *just);
  if (!just) return AQ_QBFT_WIRE_TOO_LONG;
  out->nested = true;
  for (size_t i = 0; i < m->n_justification; i++) {
    aq_duty duty;
    aq_qbft_wire_code c = convert(&just[i], &duty, a, n, m->justification[i]);
    if (c != AQ_QBFT_WIRE_OK) return c;
    if (!aq_duty_eq(duty, out->duty)) return AQ_QBFT_WIRE_DUTY_DIFFERS;
  }
  out->nested = false;
  out->msg.just = just;
  out->msg.just_cnt = (uint32_t)m->n_justification;
  return AQ_QBFT_WIRE_OK;
}

aq_qbft_wire_code aq_qbft_wire_decode(aq_qbft_wire *out, aq_arena *a, const aq_qbft_wire_ctx *ctx, aq_bytes in) {
  *out = (aq_qbft_wire){.nested = false};
  if (in.len > AQ_QBFT_MSG_MAX) return AQ_QBFT_WIRE_TOO_LONG;
  Corepb__QBFTConsensusMsg *m = aq_pb_unpack(a, &corepb__qbftconsensus_msg__descriptor, in);
  if (!m) return AQ_QBFT_WIRE_MALFORMED;
  aq_qbft_wire_code c = convert(&out->msg, &out->duty, a, ctx->n, m->msg);
  if (c != AQ_QBFT_WIRE_OK) return c;
  if (!aq_duty_gate(&ctx->chain->clock, out->duty.slot, out->duty.type, ctx->now_ns)) return AQ_QBFT_WIRE_GATED_DUTY;
  if (m->n_justification > 2 * (size_t)ctx->n) return AQ_QBFT_WIRE_TOO_MANY_JUSTIFICATIONS;
  if (m->n_values > 2 * (m->n_justification + 1)) return AQ_QBFT_WIRE_TOO_MANY_VALUES;
  if (ctx->now_ns >= aq_duty_deadline_ns(ctx->chain, out->duty)) return AQ_QBFT_WIRE_EXPIRED;
  c = justifications(out, a, ctx->n, m);
  if (c != AQ_QBFT_WIRE_OK) return c;
  aq_qbft_any *any = aq_arena_array(a, m->n_values, sizeof *any);
  if (!any) return AQ_QBFT_WIRE_TOO_LONG;
  for (size_t i = 0; i < m->n_values; i++) {
    any[i].type_url = aq_bytes_str(m->values[i]->type_url);
    any[i].value = aq_bytes_of(m->values[i]->value.data, m->values[i]->value.len);
  }
  out->any = any;
  out->any_cnt = (uint32_t)m->n_values;
  return AQ_QBFT_WIRE_OK;
}

static void put_field(aq_buf *out, uint8_t tag, aq_bytes body) {
  uint8_t len[9];
  aq_buf_put_u8(out, tag);
  aq_buf_put(out, len, aq_uvarint_put(len, body.len));
  aq_buf_put_bytes(out, body);
}

void aq_qbft_wire_put_msg(aq_buf *out, aq_bytes raw) { put_field(out, TAG_MSG, raw); }

void aq_qbft_wire_put_just(aq_buf *out, const aq_k1_key *key, aq_duty duty, const aq_qbft_msg *m) {
  uint8_t own[AQ_QBFT_RAW_MAX];
  aq_bytes raw = m->raw;
  if (raw.len == 0) raw = aq_bytes_of(own, aq_qbft_wire_sign(own, key, duty, m));
  put_field(out, TAG_JUST, raw);
}

void aq_qbft_wire_put_value(aq_buf *out, aq_duty_type type, aq_bytes canonical) {
  aq_bytes url = aq_bytes_str(aq_duty_is(type, AQ_DF_INFO) ? priority_url : set_url);
  uint8_t len[9];
  size_t url_len = 1 + aq_uvarint_put(len, url.len) + url.len;
  size_t value_len = 1 + aq_uvarint_put(len, canonical.len) + canonical.len;
  aq_buf_put_u8(out, TAG_VALUE);
  aq_buf_put(out, len, aq_uvarint_put(len, url_len + value_len));
  put_field(out, TAG_1, url);
  put_field(out, TAG_2, canonical);
}

static aq_status read_one(aq_qbft_msg *out, aq_duty *duty, aq_arena *a, uint32_t n, aq_bytes raw) {
  const Corepb__QBFTMsg *m = unpack(a, raw);
  return m && convert(out, duty, a, n, m) == AQ_QBFT_WIRE_OK ? AQ_OK : AQ_E_FORMAT;
}

aq_status aq_qbft_wire_read(aq_qbft_msg *out, uint32_t *cnt, uint32_t max, aq_duty *duty, aq_arena *a, uint32_t n,
                            aq_bytes in, bool list) {
  *cnt = 0;
  if (!list) {
    *cnt = 1;
    return max ? read_one(out, duty, a, n, in) : AQ_E_LIMIT;
  }
  while (in.len) {
    uint64_t len;
    size_t used;
    if (in.ptr[0] != TAG_JUST) return AQ_E_FORMAT;
    in = aq_bytes_sub(in, 1, in.len - 1);
    aq_status st = aq_uvarint_get(&len, &used, in);
    if (st) return st;
    in = aq_bytes_sub(in, used, in.len - used);
    if (len > in.len) return AQ_E_TRUNC;
    if (*cnt == max) return AQ_E_LIMIT;
    aq_duty d;
    st = read_one(&out[*cnt], &d, a, n, aq_bytes_sub(in, 0, (size_t)len));
    if (st) return st;
    if (*cnt && !aq_duty_eq(d, *duty)) return AQ_E_FORMAT;
    *duty = d;
    (*cnt)++;
    in = aq_bytes_sub(in, (size_t)len, in.len - (size_t)len);
  }
  return AQ_OK;
}

/* ---- values ---- */

/* Charon looks only at what follows the last slash; so do we. */
static bool url_is(aq_bytes got, const char *want) {
  const char *name = strrchr(want, '/') + 1;
  size_t at = got.len;
  while (at && got.ptr[at - 1] != '/') at--;
  return aq_bytes_eq(aq_bytes_sub(got, at, got.len - at), aq_bytes_str(name));
}

static aq_status pack_value(aq_buf *out, aq_hash *hash, const ProtobufCMessage *m) {
  size_t base = out->len;
  aq_pb_pack(out, m);
  if (out->failed) return AQ_E_LIMIT;
  aq_merkle_bytes(hash->b, aq_bytes_of(out->ptr ? out->ptr + base : NULL, out->len - base), -1);
  return AQ_OK;
}

aq_status aq_qbft_value_canon(aq_buf *out, aq_hash *hash, aq_arena *a, aq_duty_type type, const aq_qbft_any *in) {
  if (aq_duty_is(type, AQ_DF_INFO)) {
    if (!url_is(in->type_url, priority_url)) return AQ_E_FORMAT;
    const Corepb__PriorityResult *r = aq_pb_unpack(a, &corepb__priority_result__descriptor, in->value);
    return r ? pack_value(out, hash, &r->base) : AQ_E_FORMAT;
  }
  if (!url_is(in->type_url, set_url)) return AQ_E_FORMAT;
  Corepb__UnsignedDataSet *s = aq_pb_unpack(a, &corepb__unsigned_data_set__descriptor, in->value);
  if (!s) return AQ_E_FORMAT;
  aq_status st = aq_pb_sort_map(a, s->set, &s->n_set);
  return st ? st : pack_value(out, hash, &s->base);
}

aq_status aq_qbft_value_encode(aq_buf *out, aq_hash *hash, aq_arena *a, const aq_unsigned_set *set) {
  Corepb__UnsignedDataSet s = COREPB__UNSIGNED_DATA_SET__INIT;
  Corepb__UnsignedDataSetEntry *entry = aq_arena_array(a, set->cnt, sizeof *entry);
  s.set = aq_arena_array(a, set->cnt, sizeof *s.set);
  char *keys = aq_arena_array(a, set->cnt, KEY_LEN + 1);
  if (!entry || !s.set || !keys) return AQ_E_LIMIT;
  for (uint32_t i = 0; i < set->cnt; i++) {
    AQ_ASSERT(i == 0 || memcmp(set->item[i - 1].pubkey, set->item[i].pubkey, 48) < 0);
    char *key = keys + i * (size_t)(KEY_LEN + 1);
    memcpy(key, "0x", 2);
    aq_hex_encode(key + 2, aq_bytes_of(set->item[i].pubkey, 48));
    corepb__unsigned_data_set_entry__init(&entry[i]);
    entry[i].key = key;
    entry[i].value.len = set->item[i].data.len;
    entry[i].value.data = (uint8_t *)(uintptr_t)set->item[i].data.ptr;
    s.set[i] = &entry[i];
  }
  s.n_set = set->cnt;
  return pack_value(out, hash, &s.base);
}
