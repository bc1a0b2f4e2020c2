/* base/line_limit.h - log lines that bytes from outside can cause: one for each cause in ten seconds, with the number
   of those left out. One aq_line_limit a cause, which is a source and a reason; the component owns it. Pure: monotonic
   time comes in. What is counted is counted in the metrics, not here. */
#ifndef AQ_BASE_LINE_LIMIT_H
#define AQ_BASE_LINE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/time.h"

#define AQ_LINE_EVERY_NS AQ_SECONDS(10)

/* Zeroed at the start. */
typedef struct {
  uint64_t next_ns, left_out;
  uint64_t more; /* for the line's field `more`: how many like it were left out before it */
} aq_line_limit;

/* True: write the line, with `more`. */
static inline bool aq_line_due(aq_line_limit *l, uint64_t now_ns) {
  if (now_ns < l->next_ns) {
    l->left_out++;
    return false;
  }
  l->next_ns = now_ns + AQ_LINE_EVERY_NS;
  l->more = l->left_out;
  l->left_out = 0;
  return true;
}

/* Lines each of which is wanted while they are few, as the one of a request: AQ_LINE_BURST at once, then AQ_LINE_RATE a
   second, 400 MB a day. Zeroed at the start. */
enum { AQ_LINE_BURST = 1000, AQ_LINE_RATE = 20 };
typedef struct {
  aq_bucket bucket;
  uint64_t left_out, more;
} aq_line_flow;

static inline bool aq_line_flows(aq_line_flow *f, uint64_t now_ns) {
  static const aq_bucket_size size = {.full = AQ_LINE_BURST, .rate = AQ_LINE_RATE, .per_ns = AQ_NS_PER_SEC};
  if (!aq_bucket_take(&f->bucket, &size, now_ns, 1)) {
    f->left_out++;
    return false;
  }
  f->more = f->left_out;
  f->left_out = 0;
  return true;
}

#endif
