/* cluster/hash_tree.h - building SSZ hash tree roots leaf by leaf, with the lock's own oddities: values extended on
   the left, and "raw" byte strings that add no leaf when empty (cluster.md 2.5, 2.8). Containers nest: a closed child
   becomes a leaf of its parent. Not for consensus types: those have descriptors (codec/ssz.h). */
#ifndef AQ_CLUSTER_HASH_TREE_H
#define AQ_CLUSTER_HASH_TREE_H

#include "base/bytes.h"

typedef struct {
  aq_buf leaf;       /* 32 bytes each */
  const char *fault; /* the first thing that cannot be hashed; NULL: none */
} aq_tree;

enum { AQ_TREE_LEAVES_MAX = 1 << 20 }; /* bytes: three times the leaves of the largest lock */
#define AQ_TREE ((aq_tree){AQ_BUF(AQ_TREE_LEAVES_MAX), NULL})

void aq_tree_chunk(aq_tree *t, const uint8_t chunk[32]);
void aq_tree_u64(aq_tree *t, uint64_t v);
void aq_tree_fixed(aq_tree *t, aq_bytes b);                             /* Bytes[N], N = b.len > 0 */
void aq_tree_left(aq_tree *t, aq_bytes b, size_t n, const char *fault); /* Bytes[n], zeros before b; n <= 128 */
void aq_tree_text(aq_tree *t, const char *text, size_t limit, const char *fault); /* ByteList[limit] */
void aq_tree_raw(aq_tree *t, aq_bytes b);
void aq_tree_u64_list(aq_tree *t, const uint64_t *v, size_t cnt, size_t limit);

/* Both free the child and hand its fault to the parent. */
void aq_tree_close(aq_tree *parent, aq_tree *child);                                    /* container */
void aq_tree_close_list(aq_tree *parent, aq_tree *child, uint64_t limit, uint64_t cnt); /* mixes in cnt */

/* Root of the container; frees the tree. AQ_E_FORMAT and the fault in err, *out zero then. */
AQ_NODISCARD aq_status aq_tree_root(uint8_t out[32], aq_tree *t, aq_err *err);

#endif
