/* base/bucket.h - token bucket: how often something may happen, with a burst. Pure: monotonic time comes in. */
#ifndef AQ_BASE_BUCKET_H
#define AQ_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* full: tokens of a burst; `rate` come back in each per_ns. full * per_ns and rate * per_ns stay below 2^63. */
typedef struct {
  uint64_t full, rate, per_ns;
} aq_bucket_size;

/* Zeroed it is full at its first use. */
typedef struct {
  uint64_t missing, filled_ns; /* missing: tokens times per_ns */
} aq_bucket;

/* Takes cnt tokens; false when there are not so many: nothing is taken then. */
static inline bool aq_bucket_take(aq_bucket *b, const aq_bucket_size *size, uint64_t now_ns, uint64_t cnt) {
  uint64_t passed = now_ns - b->filled_ns;
  b->filled_ns = now_ns;
  b->missing = passed >= b->missing / size->rate + 1 ? 0 : b->missing - passed * size->rate;
  if (cnt > size->full || b->missing > (size->full - cnt) * size->per_ns) return false;
  b->missing += cnt * size->per_ns;
  return true;
}

#endif
