/* base/line_limit.h - log lines that bytes from outside can cause: one for each cause in ten seconds, with the number of
   those left out. One aq_line_limit a cause, which is a source and a reason; the component owns it. Pure: monotonic
   time comes in. What is counted is counted in the metrics, not here. */
#ifndef AQ_BASE_LINE_LIMIT_H
#define AQ_BASE_LINE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

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

#endif
