/* base/utf8.h - one step through text that may not be UTF-8. */
#ifndef AQ_BASE_UTF8_H
#define AQ_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length (1 to 4) of the well-formed sequence at p, of which `left` bytes may be read; 0 when there is none: truncated,
   overlong, a surrogate, over U+10FFFF (Unicode table 3-7). */
static inline size_t aq_utf8_step(const uint8_t *p, size_t left) {
  if (left == 0) return 0;
  if (p[0] < 0x80) return 1;
  size_t len = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
  if (len == 0 || left < len) return 0;
  for (size_t i = 1; i < len; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0;
  }
  if (p[0] == 0xe0 && p[1] < 0xa0) return 0;
  if (p[0] == 0xed && p[1] > 0x9f) return 0;
  if (p[0] == 0xf0 && p[1] < 0x90) return 0;
  if (p[0] == 0xf4 && p[1] > 0x8f) return 0;
  return len;
}

#endif
