/* Hash-tree-root straight from the serialised form: consensus-specs ssz/simple-serialize.md, "Merkleization". */
#include "base/assert.h"
#include "codec/ssz.h"
#include "crypto/hash.h"

enum { CHUNK = 32, LEVELS = 64 };

/* A Merkle tree whose leaves arrive from left to right: node[k] waits for its right sibling on level k while bit k of
   cnt is set. Memory does not depend on the number of leaves. */
typedef struct {
  uint8_t node[LEVELS][CHUNK];
  uint64_t cnt;
} tree;

static void tree_push(tree *m, const uint8_t leaf[CHUNK]) {
  unsigned level = 0;
  uint8_t h[CHUNK];
  memcpy(h, leaf, CHUNK);
  for (uint64_t c = m->cnt; c & 1; c >>= 1) aq_sha256_pair(h, m->node[level], h), level++;
  memcpy(m->node[level], h, CHUNK);
  m->cnt++;
}

/* The root of a tree of 2^depth leaves, the missing ones zero. */
static void tree_root(uint8_t out[CHUNK], const tree *m, unsigned depth) {
  AQ_ASSERT(depth < LEVELS && m->cnt <= UINT64_C(1) << depth);
  if (m->cnt == 0) {
    memcpy(out, aq_zero_hash(depth), CHUNK);
    return;
  }
  if (m->cnt >> depth) {
    memcpy(out, m->node[depth], CHUNK);
    return;
  }
  bool open = false; /* out holds the unfinished right edge */
  for (unsigned level = 0; level < depth; level++) {
    if (m->cnt >> level & 1) {
      aq_sha256_pair(out, m->node[level], open ? out : aq_zero_hash(level));
      open = true;
    } else if (open) {
      aq_sha256_pair(out, out, aq_zero_hash(level));
    }
  }
}

/* Levels above the leaves that hold `chunks`. */
static unsigned depth_of(uint64_t chunks) { return chunks <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(chunks - 1); }

static void push_bytes(tree *m, aq_bytes in) {
  size_t pos = 0;
  for (; in.len - pos >= CHUNK; pos += CHUNK) tree_push(m, in.ptr + pos);
  if (pos == in.len) return;
  uint8_t last[CHUNK] = {0};
  memcpy(last, in.ptr + pos, in.len - pos);
  tree_push(m, last);
}

static void bytes_root(uint8_t out[CHUNK], aq_bytes in, uint64_t len_max) {
  if (len_max <= CHUNK) {
    memset(out, 0, CHUNK);
    if (in.len) memcpy(out, in.ptr, in.len);
    return;
  }
  tree m;
  m.cnt = 0;
  push_bytes(&m, in);
  tree_root(out, &m, depth_of((len_max + CHUNK - 1) / CHUNK));
}

static void mix_in_length(uint8_t root[CHUNK], uint64_t len) {
  uint8_t chunk[CHUNK] = {0};
  aq_le64_put(chunk, len);
  aq_sha256_pair(root, root, chunk);
}

/* The bits without the delimiter, which may stand in the last byte or in one of its own. */
static void bitlist_root(uint8_t out[CHUNK], const aq_ssz_type *t, aq_bytes in) {
  size_t bits = aq_ssz_count(t, in), bytes = (bits + 7) / 8, whole = bits / 8 / CHUNK * CHUNK;
  tree m;
  m.cnt = 0;
  push_bytes(&m, aq_bytes_of(in.ptr, whole));
  if (bytes > whole) {
    uint8_t last[CHUNK] = {0};
    memcpy(last, in.ptr + whole, bytes - whole);
    if (bits % 8) last[bytes - whole - 1] = (uint8_t)(last[bytes - whole - 1] & ((1u << bits % 8) - 1));
    tree_push(&m, last);
  }
  tree_root(out, &m, depth_of((t->limit + 8 * CHUNK - 1) / (8 * CHUNK)));
  mix_in_length(out, bits);
}

static void elements_root(uint8_t out[CHUNK], const aq_ssz_type *t, aq_bytes in) {
  const aq_ssz_type *e = t->elem;
  size_t cnt = aq_ssz_count(t, in);
  if (e->kind == AQ_SSZ_UINT || e->kind == AQ_SSZ_BOOL) {
    tree m;
    m.cnt = 0;
    push_bytes(&m, in);
    tree_root(out, &m, depth_of((t->limit * e->size + CHUNK - 1) / CHUNK));
  } else {
    tree m;
    m.cnt = 0;
    for (size_t i = 0; i < cnt; i++) {
      uint8_t leaf[CHUNK];
      aq_ssz_root(leaf, e, aq_ssz_elem(t, in, i));
      tree_push(&m, leaf);
    }
    tree_root(out, &m, depth_of(t->limit));
  }
  if (t->kind == AQ_SSZ_LIST) mix_in_length(out, cnt);
}

static void container_root(uint8_t out[CHUNK], const aq_ssz_type *t, aq_bytes in) {
  tree m;
  m.cnt = 0;
  size_t pos = 0;
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    const aq_ssz_type *ft = t->field[i].type;
    uint8_t leaf[CHUNK];
    aq_ssz_root(leaf, ft, ft->size ? aq_bytes_sub(in, pos, ft->size) : aq_ssz_get(t, in, t->field[i].name));
    tree_push(&m, leaf);
    pos += ft->size ? ft->size : 4;
  }
  tree_root(out, &m, depth_of(t->field_cnt));
}

void aq_ssz_root(uint8_t out[32], const aq_ssz_type *t, aq_bytes in) {
  switch (t->kind) {
    case AQ_SSZ_UINT:
    case AQ_SSZ_BOOL:
    case AQ_SSZ_BYTES: bytes_root(out, in, t->size); return;
    case AQ_SSZ_BITVECTOR: bytes_root(out, in, (t->limit + 7) / 8); return;
    case AQ_SSZ_BYTELIST: {
      bytes_root(out, in, t->limit);
      mix_in_length(out, in.len);
      return;
    }
    case AQ_SSZ_BITLIST: bitlist_root(out, t, in); return;
    case AQ_SSZ_VECTOR:
    case AQ_SSZ_LIST: elements_root(out, t, in); return;
    case AQ_SSZ_CONTAINER: container_root(out, t, in); return;
  }
}
