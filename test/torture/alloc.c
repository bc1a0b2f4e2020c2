/* malloc and its kin under --wrap: the k-th call is refused, what is not freed is counted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "torture.h"

enum { LIVE_MAX = 1 << 16 };

static struct {
  bool armed, rest, failed, lasting;
  uint64_t cnt, fail_at, kept;
  uintptr_t stack_end;
  struct {
    void *ptr, *site[TORTURE_SITES];
  } live[LIVE_MAX]; /* open addressing, linear */
} t;

void *__real_malloc(size_t len);
void *__real_calloc(size_t cnt, size_t len);
void *__real_realloc(void *ptr, size_t len);
void __real_free(void *ptr);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t cnt, size_t len);
void *__wrap_realloc(void *ptr, size_t len);
void __wrap_free(void *ptr);
char *__wrap_strdup(const char *s);

static size_t home(const void *ptr) { return (size_t)((uintptr_t)ptr * UINT64_C(0x9e3779b97f4a7c15) >> 48); }

/* The callers, by frame pointers as far as they lead: only for reports. */
__attribute__((no_sanitize("address", "undefined"))) static void walk(void *site[TORTURE_SITES], void *const *frame) {
  for (int i = 0; i < TORTURE_SITES; i++) {
    site[i] = frame[1];
    void *const *next = frame[0];
    if (next <= frame || (uintptr_t)next >= t.stack_end || (uintptr_t)next % sizeof next) return;
    frame = next;
  }
}

static void note(void *ptr, void *const *frame) {
  if (!t.armed || t.lasting || !ptr || t.kept >= LIVE_MAX / 2) return;
  size_t at = home(ptr);
  while (t.live[at].ptr) at = (at + 1) % LIVE_MAX;
  t.live[at].ptr = ptr;
  memset(t.live[at].site, 0, sizeof t.live[at].site);
  walk(t.live[at].site, frame);
  t.kept++;
}

static void drop(void *ptr) {
  if (!t.armed || !ptr || t.kept == 0) return;
  size_t at = home(ptr);
  for (; t.live[at].ptr != ptr; at = (at + 1) % LIVE_MAX) {
    if (!t.live[at].ptr) return; /* older than torture_arm */
  }
  t.kept--;
  for (size_t next = at;;) { /* close the gap */
    t.live[at].ptr = NULL;
    size_t want;
    do {
      next = (next + 1) % LIVE_MAX;
      if (!t.live[next].ptr) return;
      want = home(t.live[next].ptr);
    } while (at <= next ? at < want && want <= next : at < want || want <= next);
    t.live[at] = t.live[next];
    at = next;
  }
}

static bool refuse(void) {
  if (!t.armed) return false;
  t.cnt++;
  if (t.fail_at == 0 || !(t.cnt == t.fail_at || (t.rest && t.cnt > t.fail_at))) return false;
  t.failed = true;
  errno = ENOMEM;
  return true;
}

void *__wrap_malloc(size_t len) {
  if (refuse()) return NULL;
  void *p = __real_malloc(len);
  note(p, __builtin_frame_address(0));
  return p;
}

void *__wrap_calloc(size_t cnt, size_t len) {
  if (refuse()) return NULL;
  void *p = __real_calloc(cnt, len);
  note(p, __builtin_frame_address(0));
  return p;
}

void *__wrap_realloc(void *ptr, size_t len) {
  if (refuse()) return NULL;
  drop(ptr);
  void *p = __real_realloc(ptr, len);
  note(p, __builtin_frame_address(0));
  return p;
}

char *__wrap_strdup(const char *s) {
  if (refuse()) return NULL;
  char *p = __real_strdup(s);
  note(p, __builtin_frame_address(0));
  return p;
}

void __wrap_free(void *ptr) {
  drop(ptr);
  __real_free(ptr);
}

void torture_arm(uint64_t fail_at, bool rest) {
  if (t.kept) memset(t.live, 0, sizeof t.live);
  t.cnt = t.kept = 0;
  t.failed = false;
  t.fail_at = fail_at;
  t.rest = rest;
  t.stack_end = (uintptr_t)__builtin_frame_address(0);
  t.armed = true;
}

uint64_t torture_disarm(uint64_t *kept, void *site[TORTURE_SITES]) {
  t.armed = false;
  *kept = t.kept;
  for (size_t i = 0; t.kept && i < LIVE_MAX; i++) {
    if (!t.live[i].ptr) continue;
    memcpy(site, t.live[i].site, sizeof t.live[i].site);
    break;
  }
  return t.cnt;
}

bool torture_failed(void) { return t.failed; }

/* The series of a metric stay for the life of the process, whichever run meets them first. */
#define LASTING(name)                                                           \
  void __real_##name(aq_metric_id id, double value, const char *const *label);  \
  void __wrap_##name(aq_metric_id id, double value, const char *const *label);  \
  void __wrap_##name(aq_metric_id id, double value, const char *const *label) { \
    t.lasting = true;                                                           \
    __real_##name(id, value, label);                                            \
    t.lasting = false;                                                          \
  }
LASTING(aq_metric_add)
LASTING(aq_metric_set)
LASTING(aq_metric_observe)
