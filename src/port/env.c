/* Both clocks are read at each look: what their difference moved by is the step. */
#include "port/env.h"

enum { LOOKS_MAX = 3 };
#define LOOK_NS AQ_MILLIS(10) /* longer between two readings: this thread was off the processor */

int64_t aq_clock_stepped(const aq_env *e, aq_clock_look *l) {
  for (int i = 0; i < LOOKS_MAX; i++) {
    uint64_t before_ns = aq_mono_ns(e), off_ns = aq_now_ns(e) - before_ns;
    if (aq_mono_ns(e) - before_ns > LOOK_NS) continue;
    int64_t step_ns = l->set ? (int64_t)(off_ns - l->off_ns) : 0;
    *l = (aq_clock_look){.set = true, .off_ns = off_ns};
    return step_ns >= (int64_t)AQ_CLOCK_STEP_NS || step_ns <= -(int64_t)AQ_CLOCK_STEP_NS ? step_ns : 0;
  }
  return 0;
}
