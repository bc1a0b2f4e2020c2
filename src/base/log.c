/* Lines are formatted by the caller and wait in a ring for the one thread that writes; a full ring counts what it
   drops. */
#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/utf8.h"

static const char *const level_name[] = {"debug", "info", "warn", "error"};

/* ---- formatting ---- */

/* Writes that do not fit set `full`; one byte stays free for the newline. */
typedef struct {
  char *ptr;
  size_t len, value_max; /* value_max: output bytes of one string or hex value */
  bool full;
} line;

static void put(line *l, const void *text, size_t len) {
  if (l->full || len > AQ_LOG_LINE_MAX - 1 - l->len) {
    l->full = true;
    return;
  }
  memcpy(l->ptr + l->len, text, len);
  l->len += len;
}

enum { ESCAPED_MAX = 16 };

static size_t put_code(char out[ESCAPED_MAX], uint32_t code) {
  if (code < 0x10000) return (size_t)snprintf(out, ESCAPED_MAX, "\\u%04x", code);
  code -= 0x10000;
  return (size_t)snprintf(out, ESCAPED_MAX, "\\u%04x\\u%04x", 0xd800 | code >> 10, 0xdc00 | (code & 0x3ff));
}

/* One escaped character of the text at p into out; returns the bytes read. What is hidden is written as its number, so
   that a line shows on a terminal what it says. */
static size_t escape(char out[ESCAPED_MAX], size_t *out_len, const char *p, size_t left) {
  size_t step = aq_utf8_step((const uint8_t *)p, left);
  unsigned char c = (unsigned char)*p;
  if (step == 0) {
    memcpy(out, "\xef\xbf\xbd", 3); /* U+FFFD for a byte that is not UTF-8 */
    *out_len = 3;
    return 1;
  }
  if (c == '"' || c == '\\') {
    out[0] = '\\', out[1] = *p;
    *out_len = 2;
  } else if (aq_utf8_is_hidden(aq_utf8_code((const uint8_t *)p, step))) {
    *out_len = put_code(out, aq_utf8_code((const uint8_t *)p, step));
  } else {
    memcpy(out, p, step);
    *out_len = step;
  }
  return step;
}

static void put_string(line *l, const char *text) {
  put(l, "\"", 1);
  size_t left = strnlen(text, AQ_LOG_LINE_MAX), room = l->value_max;
  while (left > 0) {
    char piece[ESCAPED_MAX];
    size_t len, step = escape(piece, &len, text, left);
    if (len > room) break;
    put(l, piece, len);
    room -= len, text += step, left -= step;
  }
  put(l, "\"", 1);
}

static void put_hex(line *l, aq_bytes in) {
  static const char digit[] = "0123456789abcdef";
  put(l, "\"0x", 3);
  for (size_t i = 0; i < in.len && 2 * i + 2 <= l->value_max; i++) {
    char two[2] = {digit[in.ptr[i] >> 4], digit[in.ptr[i] & 15]};
    put(l, two, 2);
  }
  put(l, "\"", 1);
}

static void put_double(line *l, double v) {
  char text[32];
  if (!isfinite(v)) {
    put(l, "null", 4);
    return;
  }
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    if (strtod(text, NULL) == v) break;
  }
  put(l, text, strlen(text));
}

static void put_value(line *l, const aq_log_field *f) {
  char text[32];
  switch (f->kind) {
    case AQ_FIELD_STR: put_string(l, f->v.s); return;
    case AQ_FIELD_HEX: put_hex(l, f->v.hex); return;
    case AQ_FIELD_DOUBLE: put_double(l, f->v.d); return;
    case AQ_FIELD_BOOL: put(l, f->v.b ? "true" : "false", f->v.b ? 4 : 5); return;
    case AQ_FIELD_INT: put(l, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)f->v.i)); return;
    case AQ_FIELD_UINT: put(l, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)f->v.u)); return;
    default: break;
  }
  AQ_ASSERT(f->kind <= AQ_FIELD_HEX);
}

static void format_time(char out[40], uint64_t unix_ns) {
  time_t sec = (time_t)(unix_ns / AQ_NS_PER_SEC);
  struct tm tm;
  AQ_MUST(gmtime_r(&sec, &tm));
  size_t len = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(out + len, 40 - len, ".%09uZ", (unsigned)(unix_ns % AQ_NS_PER_SEC));
}

/* Sorts by key; absent strings and repeated keys are left out (the first, so level, msg and ts, wins). */
static size_t collect(const aq_log_field **out, const aq_log_field *field, size_t cnt, size_t have) {
  for (size_t i = 0; i < cnt; i++) {
    if (!field[i].key || (field[i].kind == AQ_FIELD_STR && !field[i].v.s)) continue;
    size_t pos = have;
    while (pos > 0 && strcmp(out[pos - 1]->key, field[i].key) > 0) pos--;
    if (pos > 0 && strcmp(out[pos - 1]->key, field[i].key) == 0) continue;
    memmove(&out[pos + 1], &out[pos], (have - pos) * sizeof(*out));
    out[pos] = &field[i];
    have++;
  }
  return have;
}

size_t aq_log_format(char *out, uint64_t unix_ns, aq_log_level level, const char *msg, const aq_log_field *field,
                     size_t cnt) {
  enum { VALUE_MIN = 16, FIXED = 3 };
  char ts[40];
  format_time(ts, unix_ns);
  const aq_log_field fixed[FIXED] = {AQ_STR("level", level_name[level]), AQ_STR("msg", msg), AQ_STR("ts", ts)};
  const aq_log_field *list[FIXED + AQ_LOG_FIELDS_MAX];
  size_t have = collect(list, fixed, FIXED, 0);
  have = collect(list, field, cnt < AQ_LOG_FIELDS_MAX ? cnt : AQ_LOG_FIELDS_MAX, have);
  line l = {.ptr = out, .value_max = AQ_LOG_LINE_MAX};
  for (;;) {
    put(&l, "{", 1);
    for (size_t i = 0; i < have; i++) {
      if (i) put(&l, ",", 1);
      put_string(&l, list[i]->key);
      put(&l, ":", 1);
      put_value(&l, list[i]);
    }
    put(&l, "}", 1);
    if (!l.full) break;
    /* Too long: cut the values harder; names alone that do not fit leave only the fixed fields. */
    if (l.value_max <= VALUE_MIN) have = collect(list, fixed, FIXED, 0);
    l = (line){.ptr = out, .value_max = l.value_max <= VALUE_MIN ? VALUE_MIN * 4 : l.value_max / 2};
  }
  out[l.len++] = '\n';
  return l.len;
}

/* ---- output ---- */

enum { RING_MAX = 1 << 20 };

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t thread;
  char *fill; /* lines that the writer has not taken yet */
  size_t len;
  bool running, stopping;
  aq_log_sink sink;
  void *sink_arg;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static atomic_int min_level = AQ_LOG_INFO;
static atomic_uint_fast64_t dropped;

static void drop(uint64_t lines) {
  atomic_fetch_add_explicit(&dropped, lines, memory_order_relaxed);
  aq_metric_add(AQ_M_LOG_DROPPED_TOTAL, (double)lines, AQ_NO_LABELS);
}

static uint64_t count_lines(const char *text, size_t len) {
  uint64_t n = 0;
  for (size_t i = 0; i < len; i++) n += text[i] == '\n';
  return n;
}

static void write_all(const char *text, size_t len) {
  while (len > 0) {
    ssize_t n = write(STDOUT_FILENO, text, len);
    if (n > 0) {
      text += n, len -= (size_t)n;
    } else if (errno == EAGAIN) {
      poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, 1000);
    } else if (errno != EINTR) {
      drop(count_lines(text, len));
      return;
    }
  }
}

/* Two buffers change places: callers fill one while the other is written without the lock. */
static void *writer(void *arg) {
  char *mine = arg;
  pthread_mutex_lock(&out.lock);
  for (;;) {
    while (out.len == 0 && !out.stopping) pthread_cond_wait(&out.wake, &out.lock);
    size_t len = out.len;
    if (len == 0) break;
    char *full = out.fill;
    out.fill = mine;
    out.len = 0;
    pthread_mutex_unlock(&out.lock);
    write_all(full, len);
    mine = full;
    pthread_mutex_lock(&out.lock);
  }
  pthread_mutex_unlock(&out.lock);
  free(mine);
  return NULL;
}

void aq_log_start(aq_log_level min, aq_log_sink sink, void *arg) {
  aq_log_stop();
  atomic_store(&min_level, (int)min);
  pthread_mutex_lock(&out.lock);
  out.sink = sink;
  out.sink_arg = arg;
  if (!sink) {
    char *other = malloc(RING_MAX);
    out.fill = malloc(RING_MAX);
    out.stopping = false;
    out.running = other && out.fill && pthread_create(&out.thread, NULL, writer, other) == 0;
    if (!out.running) { /* lines then go straight to stdout */
      free(other);
      free(out.fill);
      out.fill = NULL;
    }
  }
  pthread_mutex_unlock(&out.lock);
}

void aq_log_stop(void) {
  pthread_mutex_lock(&out.lock);
  bool running = out.running;
  out.running = false;
  out.stopping = true;
  out.sink = NULL;
  pthread_cond_signal(&out.wake);
  pthread_mutex_unlock(&out.lock);
  if (!running) return;
  pthread_join(out.thread, NULL);
  free(out.fill);
  out.fill = NULL;
}

uint64_t aq_log_dropped(void) { return atomic_load_explicit(&dropped, memory_order_relaxed); }

bool aq_log_enabled(aq_log_level level) { return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed); }

void aq_log(aq_log_level level, const char *msg, const aq_log_field *field, size_t cnt) {
  if (level == AQ_LOG_WARN) aq_metric_add(AQ_M_APP_LOG_WARN_TOTAL, 1, AQ_LABELS(msg));
  if (level == AQ_LOG_ERROR) aq_metric_add(AQ_M_APP_LOG_ERROR_TOTAL, 1, AQ_LABELS(msg));
  if (!aq_log_enabled(level)) return;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  char text[AQ_LOG_LINE_MAX];
  size_t len =
      aq_log_format(text, (uint64_t)now.tv_sec * AQ_NS_PER_SEC + (uint64_t)now.tv_nsec, level, msg, field, cnt);
  pthread_mutex_lock(&out.lock);
  aq_log_sink sink = out.sink;
  void *arg = out.sink_arg;
  bool running = out.running, lost = false;
  if (running && len > RING_MAX - out.len) {
    lost = true;
  } else if (running) {
    memcpy(out.fill + out.len, text, len);
    if (out.len == 0) pthread_cond_signal(&out.wake);
    out.len += len;
  }
  pthread_mutex_unlock(&out.lock);
  if (lost) drop(1);
  if (sink) {
    sink(arg, text, len);
  } else if (!running) {
    write_all(text, len);
  }
}
