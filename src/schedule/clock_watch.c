/* A run of heads on the same wrong side is told; one alone may be late or lie. */
#include "schedule/clock_watch.h"

#include "base/time.h"

#define BEHIND_NS ((int64_t)AQ_SECONDS(1)) /* a head may come a little early: honest clocks differ */

void aq_clock_watch_init(aq_clock_watch *w, const aq_clock *clock) { *w = (aq_clock_watch){.clock = clock}; }

void aq_clock_watch_forget(aq_clock_watch *w) {
  w->cnt = 0;
  w->off = false;
}

static bool judge(aq_clock_watch *w) {
  int64_t min_ns = INT64_MAX, max_ns = INT64_MIN, slot_ns = (int64_t)w->clock->slot_ns;
  for (size_t i = 0; i < AQ_CLOCK_HEADS; i++) {
    if (w->late_ns[i] < min_ns) min_ns = w->late_ns[i];
    if (w->late_ns[i] > max_ns) max_ns = w->late_ns[i];
  }
  if (max_ns - min_ns > slot_ns) return false; /* a beacon node that catches up */
  bool was = w->off;
  w->off = min_ns > slot_ns || max_ns < -BEHIND_NS;
  w->off_ns = min_ns > slot_ns ? min_ns : max_ns;
  return w->off != was;
}

bool aq_clock_watch_head(aq_clock_watch *w, uint64_t slot, uint64_t now_ns) {
  if (w->known && w->slot == slot) return false;
  w->known = true;
  w->slot = slot;
  uint64_t start_ns = aq_slot_time_ns(w->clock, slot, 0);
  const uint64_t most_ns = INT64_MAX / 4; /* differences of two stay in range */
  uint64_t apart_ns = now_ns > start_ns ? now_ns - start_ns : start_ns - now_ns;
  int64_t late_ns = (int64_t)(apart_ns < most_ns ? apart_ns : most_ns);
  w->late_ns[w->cnt++ % AQ_CLOCK_HEADS] = now_ns > start_ns ? late_ns : -late_ns;
  return w->cnt >= AQ_CLOCK_HEADS && judge(w);
}
