/* SHA-256 as trees use it, and Keccak-256. */
#include <stdlib.h>

#include "base/assert.h"
#include "bench.h"
#include "crypto/hash.h"

enum { LEN = 1 << 20 };

static uint8_t *data, root[32];

static void op_pair(void *arg) {
  (void)arg;
  aq_sha256_pair(root, root, root);
}

static void op_merkle(void *arg) {
  (void)arg;
  aq_merkle_bytes(root, aq_bytes_of(data, LEN), -1);
}

static void op_sha(void *arg) {
  (void)arg;
  aq_sha256(root, aq_bytes_of(data, LEN));
}

static void op_keccak(void *arg) {
  (void)arg;
  aq_keccak256(root, aq_bytes_of(data, LEN / 16));
}

void aq_bench_hash(aq_bench *b);
void aq_bench_hash(aq_bench *b) {
  data = calloc(1, LEN);
  AQ_ASSERT(data);
  aq_bench_run(b, "BenchmarkSha256Pair", op_pair, NULL, 64);
  aq_bench_run(b, "BenchmarkSha256", op_sha, NULL, LEN);
  aq_bench_run(b, "BenchmarkMerkle", op_merkle, NULL, LEN);
  aq_bench_run(b, "BenchmarkKeccak256", op_keccak, NULL, LEN / 16);
  free(data);
}
