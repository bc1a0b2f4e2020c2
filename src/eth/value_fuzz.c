/* Values of every SSZ type, made from the input so that their offsets are right: such a value passes the check, its
   JSON reads back as the same bytes, its root is that of a plain Merkle tree of the parts, and its parts are found.
   Then one byte or the length is changed: whatever passes the check all the same keeps these laws. Input: type, where
   and how to change (5 bytes), then bytes for the fields and lengths. */
#include <stdlib.h>

#include "base/assert.h"
#include "codec/json.h"
#include "crypto/hash.h"
#include "eth/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEAD_LEN = 6, OUT_MAX = 1 << 20, LIST_MAX = 3 };

static const aq_ssz_type *const plain[] = {
    &aq_t_u64,
    &aq_t_root,
    &aq_t_pubkey,
    &aq_t_signature,
    &aq_t_checkpoint,
    &aq_t_attestation_data,
    &aq_t_attestation_phase0,
    &aq_t_attestation_electra,
    &aq_t_single_attestation,
    &aq_t_aggregate_and_proof_phase0,
    &aq_t_aggregate_and_proof_electra,
    &aq_t_signed_aggregate_and_proof_phase0,
    &aq_t_signed_aggregate_and_proof_electra,
    &aq_t_sync_committee_message,
    &aq_t_sync_committee_contribution,
    &aq_t_sync_committee_contributions,
    &aq_t_contribution_and_proof,
    &aq_t_signed_contribution_and_proof,
    &aq_t_sync_aggregator_selection_data,
    &aq_t_voluntary_exit,
    &aq_t_signed_voluntary_exit,
    &aq_t_validator_registration,
    &aq_t_signed_validator_registration,
    &aq_t_beacon_block_header,
    &aq_t_signed_beacon_block_header,
    &aq_t_fork_data,
    &aq_t_signing_data,
    &aq_t_deposit_message,
    &aq_t_deposit_data,
};

static const aq_ssz_type *choose(uint8_t n) {
  static const aq_ssz_type *(*const of[])(aq_fork) = {aq_t_block,          aq_t_signed_block,
                                                      aq_t_blinded_block,  aq_t_signed_blinded_block,
                                                      aq_t_block_contents, aq_t_signed_block_contents};
  if (n < AQ_COUNT(plain)) return plain[n];
  n = (uint8_t)(n - AQ_COUNT(plain));
  return n < AQ_COUNT(of) * AQ_FORK_CNT ? of[n / AQ_FORK_CNT]((aq_fork)(n % AQ_FORK_CNT)) : NULL;
}

/* ---- making a value; the depth is that of the descriptor ---- */

static void make_bytes(aq_buf *out, aq_rd *in, size_t len) {
  uint8_t *to = aq_buf_extend(out, len);
  if (to && in->left) memcpy(to, in->ptr, len < in->left ? len : in->left);
  (void)aq_rd_bytes(in, len < in->left ? len : in->left);
}

static uint64_t make_count(aq_rd *in, uint64_t limit, uint64_t most) {
  uint64_t cnt = in->left ? aq_rd_u8(in) : 0;
  cnt = cnt > 250 ? most : cnt % (LIST_MAX + 1);
  return cnt < limit ? cnt : limit;
}

static void make(aq_buf *out, const aq_ssz_type *t, aq_rd *in);

/* Fields or elements: the fixed parts, then the others behind their offsets. */
static void make_parts(aq_buf *out, const aq_ssz_type *t, size_t cnt, aq_rd *in) {
  aq_buf fixed = AQ_BUF(OUT_MAX), rest = AQ_BUF(OUT_MAX);
  size_t head = 0;
  for (size_t i = 0; i < cnt; i++) {
    const aq_ssz_type *part = t->kind == AQ_SSZ_CONTAINER ? t->field[i].type : t->elem;
    head += part->size ? part->size : 4;
  }
  for (size_t i = 0; i < cnt; i++) {
    const aq_ssz_type *part = t->kind == AQ_SSZ_CONTAINER ? t->field[i].type : t->elem;
    if (part->size) {
      make(&fixed, part, in);
      continue;
    }
    uint8_t offset[4];
    aq_le32_put(offset, (uint32_t)(head + rest.len));
    aq_buf_put(&fixed, offset, 4);
    make(&rest, part, in);
  }
  aq_buf_put_bytes(out, aq_buf_bytes(&fixed));
  aq_buf_put_bytes(out, aq_buf_bytes(&rest));
  out->failed |= fixed.failed || rest.failed;
  aq_buf_free(&fixed);
  aq_buf_free(&rest);
}

static void make_bits(aq_buf *out, const aq_ssz_type *t, aq_rd *in) {
  bool list = t->kind == AQ_SSZ_BITLIST;
  uint64_t bits = list ? make_count(in, t->limit, 70) : t->limit;
  size_t start = out->len, len = (size_t)(bits + (list ? 1 : 0) + 7) / 8;
  make_bytes(out, in, len);
  if (out->failed || len == 0) return;
  uint8_t *last = out->ptr + start + len - 1, keep = (uint8_t)((1u << bits % 8) - 1);
  if (bits % 8 || list) *last &= keep;
  if (list) *last |= (uint8_t)(1u << bits % 8);
}

static void make(aq_buf *out, const aq_ssz_type *t, aq_rd *in) {
  switch (t->kind) {
    case AQ_SSZ_UINT:
    case AQ_SSZ_BYTES: make_bytes(out, in, t->size); break;
    case AQ_SSZ_BOOL: aq_buf_put_u8(out, in->left ? aq_rd_u8(in) & 1 : 0); break;
    case AQ_SSZ_BYTELIST: make_bytes(out, in, (size_t)make_count(in, t->limit, 300)); break;
    case AQ_SSZ_BITVECTOR:
    case AQ_SSZ_BITLIST: make_bits(out, t, in); break;
    case AQ_SSZ_VECTOR: make_parts(out, t, (size_t)t->limit, in); break;
    case AQ_SSZ_LIST: make_parts(out, t, (size_t)make_count(in, t->limit, 9), in); break;
    case AQ_SSZ_CONTAINER: make_parts(out, t, t->field_cnt, in); break;
  }
}

/* ---- a root by the definition, simple-serialize.md "Merkleization" ---- */

static void pair(uint8_t out[32], const uint8_t a[32], const uint8_t b[32]) {
  uint8_t both[64];
  memcpy(both, a, 32), memcpy(both + 32, b, 32);
  aq_sha256(out, aq_bytes_of(both, 64));
}

/* Chunks up to a limit of `limit` leaves, as deep as that asks. */
static void tree(uint8_t out[32], const uint8_t *chunk, size_t cnt, uint64_t limit) {
  unsigned depth = 0;
  while (depth < 63 && (UINT64_C(1) << depth) < limit) depth++;
  uint8_t(*level)[32] = calloc(cnt + 2, 32), zero[32] = {0};
  AQ_ASSERT(level);
  if (cnt) memcpy(level, chunk, cnt * 32);
  for (unsigned d = 0; d < depth; d++) {
    memcpy(level[cnt], zero, 32);
    cnt = (cnt + 1) / 2;
    for (size_t i = 0; i < cnt; i++) pair(level[i], level[2 * i], level[2 * i + 1]);
    pair(zero, zero, zero);
    if (cnt == 0) memcpy(level[0], zero, 32);
  }
  memcpy(out, level[0], 32);
  free(level);
}

static void tree_of_bytes(uint8_t out[32], aq_bytes in, uint64_t limit_len) {
  size_t cnt = (in.len + 31) / 32;
  uint8_t *chunk = calloc(cnt + 1, 32);
  AQ_ASSERT(chunk);
  if (in.len) memcpy(chunk, in.ptr, in.len);
  tree(out, chunk, cnt, (limit_len + 31) / 32);
  free(chunk);
}

static void mix_in(uint8_t root[32], uint64_t n) {
  uint8_t chunk[32] = {0};
  aq_le64_put(chunk, n);
  pair(root, root, chunk);
}

static void root_of(uint8_t out[32], const aq_ssz_type *t, aq_bytes in);

static void root_of_parts(uint8_t out[32], const aq_ssz_type *t, aq_bytes in, size_t cnt, uint64_t limit) {
  uint8_t(*chunk)[32] = calloc(cnt + 1, 32);
  AQ_ASSERT(chunk);
  size_t at = 0;
  for (size_t i = 0; i < cnt; i++) {
    const aq_ssz_type *part = t->kind == AQ_SSZ_CONTAINER ? t->field[i].type : t->elem;
    size_t from = at, len = part->size;
    if (!part->size) {
      from = aq_le32_get(in.ptr + at);
      size_t next = at + 4, end = in.len; /* the next variable part ends this one */
      for (size_t k = i + 1; k < cnt && end == in.len; k++) {
        const aq_ssz_type *other = t->kind == AQ_SSZ_CONTAINER ? t->field[k].type : t->elem;
        if (!other->size) {
          end = aq_le32_get(in.ptr + next);
          break;
        }
        next += other->size;
      }
      len = end - from;
    }
    at += part->size ? part->size : 4;
    root_of(chunk[i], part, aq_bytes_sub(in, from, len));
  }
  tree(out, chunk[0], cnt, limit);
  free(chunk);
}

static void root_of_series(uint8_t out[32], const aq_ssz_type *t, aq_bytes in) {
  const aq_ssz_type *e = t->elem;
  size_t cnt = t->kind == AQ_SSZ_VECTOR ? (size_t)t->limit
               : in.len == 0            ? 0
               : e->size                ? in.len / e->size
                                        : aq_le32_get(in.ptr) / 4;
  if (e->kind == AQ_SSZ_UINT || e->kind == AQ_SSZ_BOOL)
    tree_of_bytes(out, in, t->limit * e->size);
  else
    root_of_parts(out, t, in, cnt, t->limit);
  if (t->kind == AQ_SSZ_LIST) mix_in(out, cnt);
}

static void root_of_bitlist(uint8_t out[32], const aq_ssz_type *t, aq_bytes in) {
  uint8_t *copy = malloc(in.len);
  AQ_ASSERT(copy && in.len > 0);
  memcpy(copy, in.ptr, in.len);
  unsigned top = 7;
  while (!(copy[in.len - 1] >> top & 1)) top--;
  copy[in.len - 1] ^= (uint8_t)(1u << top);
  tree_of_bytes(out, aq_bytes_of(copy, in.len - (top == 0)), (t->limit + 255) / 256 * 32);
  mix_in(out, (in.len - 1) * 8 + top);
  free(copy);
}

static void root_of(uint8_t out[32], const aq_ssz_type *t, aq_bytes in) {
  switch (t->kind) {
    case AQ_SSZ_UINT:
    case AQ_SSZ_BOOL:
    case AQ_SSZ_BYTES: tree_of_bytes(out, in, t->size); break;
    case AQ_SSZ_BITVECTOR: tree_of_bytes(out, in, (t->limit + 255) / 256 * 32); break;
    case AQ_SSZ_BITLIST: root_of_bitlist(out, t, in); break;
    case AQ_SSZ_BYTELIST:
      tree_of_bytes(out, in, t->limit);
      mix_in(out, in.len);
      break;
    case AQ_SSZ_VECTOR:
    case AQ_SSZ_LIST: root_of_series(out, t, in); break;
    case AQ_SSZ_CONTAINER: root_of_parts(out, t, in, t->field_cnt, t->field_cnt); break;
  }
}

/* ---- laws ---- */

static void parts(const aq_ssz_type *t, aq_bytes in) {
  aq_bytes part[64];
  if (t->kind != AQ_SSZ_CONTAINER) return;
  AQ_ASSERT(t->field_cnt <= AQ_COUNT(part));
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    part[i] = aq_ssz_get(t, in, t->field[i].name);
    AQ_ASSERT(aq_ssz_check(t->field[i].type, part[i]) == AQ_OK);
  }
  aq_buf again = AQ_BUF(OUT_MAX), with = AQ_BUF(OUT_MAX);
  AQ_ASSERT(aq_ssz_pack(&again, t, part, t->field_cnt) == AQ_OK && aq_bytes_eq(aq_buf_bytes(&again), in));
  uint32_t last = t->field_cnt - 1;
  AQ_ASSERT(aq_ssz_with(&with, t, in, t->field[last].name, part[last]) == AQ_OK);
  AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&with), in));
  aq_buf_free(&again);
  aq_buf_free(&with);
}

static void laws(const aq_ssz_type *t, aq_bytes in) {
  aq_buf json = AQ_BUF(8 * OUT_MAX), back = AQ_BUF(2 * OUT_MAX);
  uint8_t root[32], want[32];
  aq_ssz_root(root, t, in);
  root_of(want, t, in);
  AQ_ASSERT(memcmp(root, want, 32) == 0);
  aq_ssz_to_json(&json, t, in);
  yyjson_doc *doc = aq_json_parse(aq_buf_bytes(&json), 8 * OUT_MAX, NULL);
  AQ_ASSERT(doc && aq_ssz_from_json(&back, t, yyjson_doc_get_root(doc), NULL) == AQ_OK);
  AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&back), in));
  parts(t, in);
  yyjson_doc_free(doc);
  aq_buf_free(&json);
  aq_buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  const aq_ssz_type *t = len >= HEAD_LEN ? choose(data[0]) : NULL;
  if (!t) return 0;
  aq_rd in = aq_rd_of(aq_bytes_of(data + HEAD_LEN, len - HEAD_LEN));
  aq_buf value = AQ_BUF(OUT_MAX);
  make(&value, t, &in);
  if (value.failed || value.len == 0) {
    aq_buf_free(&value);
    return 0;
  }
  AQ_ASSERT(aq_ssz_check(t, aq_buf_bytes(&value)) == AQ_OK);
  laws(t, aq_buf_bytes(&value));
  value.ptr[aq_le32_get(data + 1) % value.len] ^= data[5];
  size_t cut = data[5] % 3 == 2 && value.len > data[1] ? value.len - data[1] : value.len;
  if (aq_ssz_check(t, aq_bytes_of(value.ptr, cut)) == AQ_OK) laws(t, aq_bytes_of(value.ptr, cut));
  aq_buf_free(&value);
  return 0;
}
