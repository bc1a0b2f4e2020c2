/* schedule/clock_watch.h - is our clock that of the chain? Compares it with the heads that beacon nodes announce: the
   head of a slot comes within that slot, give or take, and never before it. One late head says nothing (a late block,
   an empty slot); several that agree do. Pure: no I/O, no clock of its own. */
#ifndef AQ_SCHEDULE_CLOCK_WATCH_H
#define AQ_SCHEDULE_CLOCK_WATCH_H

#include "duty/duty.h"

enum { AQ_CLOCK_HEADS = 4 }; /* that must agree, within a slot */

typedef struct {
  const aq_clock *clock;
  bool known;
  uint64_t slot; /* of the last head: the chain has come at least this far */
  int64_t late_ns[AQ_CLOCK_HEADS];
  uint32_t cnt;
  bool off;       /* over a slot ahead, or behind: heads of the future come */
  int64_t off_ns; /* how far: > 0 ahead */
} aq_clock_watch;

void aq_clock_watch_init(aq_clock_watch *w, const aq_clock *clock); /* borrowed */
/* A head of this slot came; the first of a slot counts. True: `off` is another than before. */
bool aq_clock_watch_head(aq_clock_watch *w, uint64_t slot, uint64_t now_ns);
/* The clock was set: what was heard before says nothing about it. */
void aq_clock_watch_forget(aq_clock_watch *w);

#endif
