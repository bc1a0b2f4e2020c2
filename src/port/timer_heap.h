/* port/timer_heap.h - the armed timers of an environment (port/env.h), the next one first: a heap by time, then by the
   order of arming. For those who implement environments; holds pointers only, the timers are their owners'. */
#ifndef AQ_PORT_TIMER_HEAP_H
#define AQ_PORT_TIMER_HEAP_H

#include <stdlib.h>

#include "base/assert.h"
#include "port/env.h"

/* Zeroed at the start. A timer's pos is its place from 1, 0 when it is not in. */
typedef struct {
  aq_timer **slot;
  size_t cnt, cap;
} aq_timer_heap;

static inline aq_timer *aq_timer_heap_first(const aq_timer_heap *h) { return h->cnt ? h->slot[0] : NULL; }

static inline bool aq_timer_before(const aq_timer *a, const aq_timer *b) {
  return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static inline void aq_timer_heap_place(aq_timer_heap *h, size_t pos, aq_timer *t) {
  h->slot[pos - 1] = t;
  t->pos = pos;
}

static inline void aq_timer_heap_up(aq_timer_heap *h, size_t pos, aq_timer *t) {
  for (; pos > 1 && aq_timer_before(t, h->slot[pos / 2 - 1]); pos /= 2)
    aq_timer_heap_place(h, pos, h->slot[pos / 2 - 1]);
  aq_timer_heap_place(h, pos, t);
}

static inline void aq_timer_heap_down(aq_timer_heap *h, size_t pos, aq_timer *t) {
  for (size_t child; (child = 2 * pos) <= h->cnt; pos = child) {
    if (child < h->cnt && aq_timer_before(h->slot[child], h->slot[child - 1])) child++;
    if (!aq_timer_before(h->slot[child - 1], t)) break;
    aq_timer_heap_place(h, pos, h->slot[child - 1]);
  }
  aq_timer_heap_place(h, pos, t);
}

/* at_ns and seq are set; t is not in. */
static inline void aq_timer_heap_add(aq_timer_heap *h, aq_timer *t) {
  if (h->cnt == h->cap) {
    h->cap = h->cap ? 2 * h->cap : 64;
    h->slot = realloc(h->slot, h->cap * sizeof *h->slot);
    AQ_ASSERT(h->slot);
  }
  aq_timer_heap_up(h, ++h->cnt, t);
}

/* Harmless when it is not in. */
static inline void aq_timer_heap_remove(aq_timer_heap *h, aq_timer *t) {
  size_t pos = t->pos;
  if (pos == 0) return;
  AQ_ASSERT(pos <= h->cnt && h->slot[pos - 1] == t);
  t->pos = 0;
  aq_timer *last = h->slot[--h->cnt];
  if (last == t) return;
  aq_timer_heap_up(h, pos, last);
  if (last->pos == pos) aq_timer_heap_down(h, pos, last);
}

/* The wall clock jumped: timers after a span keep what is left of it. */
static inline void aq_timer_heap_step(aq_timer_heap *h, int64_t step_ns) {
  for (size_t i = 0; i < h->cnt; i++) {
    aq_timer *t = h->slot[i];
    if (!t->span) continue;
    uint64_t back_ns = step_ns < 0 ? -(uint64_t)step_ns : 0;
    if (step_ns < 0)
      t->at_ns = t->at_ns > back_ns ? t->at_ns - back_ns : 0;
    else if (__builtin_add_overflow(t->at_ns, (uint64_t)step_ns, &t->at_ns))
      t->at_ns = UINT64_MAX;
  }
  for (size_t pos = h->cnt / 2; pos > 0; pos--) aq_timer_heap_down(h, pos, h->slot[pos - 1]);
}

static inline void aq_timer_heap_free(aq_timer_heap *h) {
  free(h->slot);
  *h = (aq_timer_heap){0};
}

#endif
