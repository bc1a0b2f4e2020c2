/* Leaves are collected, a level is closed by merging what it gathered; a fault anywhere spoils the root. */
#include "cluster/hash_tree.h"

#include "base/assert.h"
#include "crypto/hash.h"

enum { CHUNK = 32, LEFT_MAX = 128 };

static int depth_of(uint64_t chunks) {
  int depth = 0;
  while ((UINT64_C(1) << depth) < chunks) depth++;
  return depth;
}

static uint64_t chunks_of(uint64_t len) { return (len + CHUNK - 1) / CHUNK; }

static void mix_in(uint8_t root[32], uint64_t n) {
  uint8_t chunk[CHUNK] = {0};
  aq_le64_put(chunk, n);
  aq_sha256_pair(root, root, chunk);
}

void aq_tree_chunk(aq_tree *t, const uint8_t chunk[32]) { aq_buf_put(&t->leaf, chunk, CHUNK); }

void aq_tree_u64(aq_tree *t, uint64_t v) {
  uint8_t chunk[CHUNK] = {0};
  aq_le64_put(chunk, v);
  aq_tree_chunk(t, chunk);
}

void aq_tree_fixed(aq_tree *t, aq_bytes b) {
  uint8_t root[32];
  AQ_ASSERT(b.len > 0);
  aq_merkle_bytes(root, b, -1);
  aq_tree_chunk(t, root);
}

void aq_tree_left(aq_tree *t, aq_bytes b, size_t n, const char *fault) {
  uint8_t full[LEFT_MAX] = {0};
  AQ_ASSERT(n <= sizeof full);
  if (b.len > n && !t->fault) t->fault = fault;
  if (b.len > n) b.len = n;
  if (b.len) memcpy(full + n - b.len, b.ptr, b.len);
  aq_tree_fixed(t, aq_bytes_of(full, n));
}

void aq_tree_text(aq_tree *t, const char *text, size_t limit, const char *fault) {
  uint8_t root[32];
  aq_bytes b = aq_bytes_str(text);
  if (b.len > limit && !t->fault) t->fault = fault;
  if (b.len > limit) b.len = limit;
  aq_merkle_bytes(root, b, depth_of(chunks_of(limit)));
  mix_in(root, b.len);
  aq_tree_chunk(t, root);
}

void aq_tree_raw(aq_tree *t, aq_bytes b) {
  if (b.len) aq_tree_fixed(t, b);
}

void aq_tree_u64_list(aq_tree *t, const uint64_t *v, size_t cnt, size_t limit) {
  aq_buf packed = AQ_BUF(AQ_TREE_LEAVES_MAX);
  uint8_t root[32];
  if (cnt > limit && !t->fault) t->fault = "a list of numbers is too long";
  for (size_t i = 0; i < cnt && i < limit; i++) {
    uint8_t le[8];
    aq_le64_put(le, v[i]);
    aq_buf_put(&packed, le, 8);
  }
  aq_merkle_bytes(root, aq_buf_bytes(&packed), depth_of(chunks_of(8 * limit)));
  mix_in(root, cnt);
  aq_tree_chunk(t, root);
  aq_buf_free(&packed);
}

static void pass_fault(aq_tree *parent, const aq_tree *child) {
  if (!parent->fault) parent->fault = child->fault;
  if (!parent->fault && child->leaf.failed) parent->fault = "a list is too long";
}

void aq_tree_close(aq_tree *parent, aq_tree *child) {
  uint8_t root[32];
  pass_fault(parent, child);
  aq_merkle_bytes(root, aq_buf_bytes(&child->leaf), -1);
  aq_tree_chunk(parent, root);
  aq_buf_free(&child->leaf);
}

void aq_tree_close_list(aq_tree *parent, aq_tree *child, uint64_t limit, uint64_t cnt) {
  uint8_t root[32] = {0};
  pass_fault(parent, child);
  if (child->leaf.len / CHUNK > limit) {
    if (!parent->fault) parent->fault = "a list is too long";
  } else {
    aq_merkle_bytes(root, aq_buf_bytes(&child->leaf), depth_of(limit));
  }
  mix_in(root, cnt);
  aq_tree_chunk(parent, root);
  aq_buf_free(&child->leaf);
}

aq_status aq_tree_root(uint8_t out[32], aq_tree *t, aq_err *err) {
  aq_tree top = AQ_TREE;
  aq_tree_close(&top, t);
  memset(out, 0, 32);
  const char *fault = top.fault;
  if (!fault && top.leaf.failed) fault = "out of memory";
  if (!fault) memcpy(out, top.leaf.ptr, 32);
  aq_buf_free(&top.leaf);
  return fault ? aq_fail(err, AQ_E_FORMAT, "%s", fault) : AQ_OK;
}
