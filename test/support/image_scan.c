/* The needle is XORed with a mask, in the buffer too, so that the scan does not find itself. */
#include "image_scan.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WINDOW = 1 << 20, MAPS_MAX = 1 << 20, LINE_MAX_LEN = 512 };
static const uint64_t map_max = UINT64_C(1) << 30;

static aq_needle *next_needle(aq_needles *n, const char *name, size_t len) {
  if (n->cnt == AQ_NEEDLES_MAX || len > AQ_NEEDLE_MAX) abort();
  aq_needle *to = &n->needle[n->cnt++];
  to->name = name;
  to->form = "raw";
  to->len = len;
  return to;
}

/* The digits of a nibble, masked at once: the plain text stands nowhere. */
static uint8_t masked_digit(unsigned nibble, char ten) {
  return (uint8_t)((nibble < 10 ? '0' + nibble : (unsigned)ten + nibble - 10) ^ AQ_NEEDLE_MASK);
}

static void add_hex(aq_needles *n, const char *name, const uint8_t *masked, size_t len, char ten) {
  aq_needle *to = next_needle(n, name, 2 * len);
  to->form = "hex";
  for (size_t i = 0; i < len; i++) {
    to->masked[2 * i] = masked_digit((unsigned)(masked[i] ^ AQ_NEEDLE_MASK) >> 4, ten);
    to->masked[2 * i + 1] = masked_digit((masked[i] ^ AQ_NEEDLE_MASK) & 15u, ten);
  }
}

void aq_needles_add(aq_needles *n, const char *name, const uint8_t *masked, size_t len, bool forms) {
  aq_needle *raw = next_needle(n, name, len);
  memcpy(raw->masked, masked, len);
  if (!forms) return;
  aq_needle *reversed = next_needle(n, name, len);
  reversed->form = "reversed";
  for (size_t i = 0; i < len; i++) reversed->masked[i] = masked[len - 1 - i];
  add_hex(n, name, masked, len, 'a');
  add_hex(n, name, masked, len, 'A');
}

static bool is_at(const aq_needle *n, const uint8_t *p) {
  for (size_t i = 0; i < n->len; i++) {
    if ((p[i] ^ AQ_NEEDLE_MASK) != n->masked[i]) return false;
  }
  return true;
}

typedef struct {
  const aq_needles *needles;
  uint8_t *window; /* its own mapping, which is left out */
  char *where;
  size_t found;
  int mem;
} scan;

static void scan_window(scan *s, uint64_t at, size_t len) {
  for (size_t k = 0; k < s->needles->cnt; k++) {
    const aq_needle *n = &s->needles->needle[k];
    const uint8_t first = n->masked[0] ^ AQ_NEEDLE_MASK;
    for (size_t i = 0; i + n->len <= len; i++) {
      const uint8_t *p = memchr(s->window + i, first, len - n->len - i + 1);
      if (!p) break;
      i = (size_t)(p - s->window);
      if (!is_at(n, p)) continue;
      if (s->found++ == 0) snprintf(s->where, 160, "%s, %s, at %" PRIx64, n->name, n->form, at + i);
    }
  }
}

/* Windows overlap by the longest needle; what cannot be read (guard pages) is passed over. */
static void scan_map(scan *s, uint64_t from, uint64_t to) {
  for (uint64_t at = from; at < to; at += WINDOW - AQ_NEEDLE_MAX) {
    size_t want = to - at < WINDOW ? (size_t)(to - at) : WINDOW;
    ssize_t got = pread(s->mem, s->window, want, (off_t)at);
    if (got > 0) scan_window(s, at, (size_t)got);
    if (want < WINDOW) break;
  }
}

size_t aq_image_scan(char where[160], const aq_needles *n) {
  static char maps[MAPS_MAX];
  scan s = {.needles = n, .where = where, .mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC)};
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  s.window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fd < 0 || s.mem < 0 || s.window == MAP_FAILED) abort();
  where[0] = 0;
  size_t len = 0;
  for (ssize_t n_read; len + 1 < MAPS_MAX && (n_read = read(fd, maps + len, MAPS_MAX - 1 - len)) > 0;) {
    len += (size_t)n_read;
  }
  maps[len] = 0;
  for (char *line = maps, *end; *line && (end = strchr(line, '\n')); line = end + 1) {
    unsigned long long from, to;
    char mode[5];
    *end = 0;
    if (sscanf(line, "%llx-%llx %4s", &from, &to, mode) != 3 || mode[0] != 'r') continue;
    if (to - from > map_max || from == (uintptr_t)s.window) continue;
    scan_map(&s, from, to);
  }
  munmap(s.window, WINDOW);
  close(fd);
  close(s.mem);
  return s.found;
}
