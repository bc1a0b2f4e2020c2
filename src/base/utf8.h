/* base/utf8.h - one step through text that may not be UTF-8, and what of it must not be shown as it is. */
#ifndef AQ_BASE_UTF8_H
#define AQ_BASE_UTF8_H

#include "base/bytes.h"

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

/* Code point of the well-formed sequence of that length at p. */
static inline uint32_t aq_utf8_code(const uint8_t *p, size_t len) {
  uint32_t code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
  for (size_t i = 1; i < len; i++) code = code << 6 | (p[i] & 0x3f);
  return code;
}

/* Control characters, and those that are invisible or change the direction or the lines of the text around them: with
   them a peer's name can pass for another one, or rewrite what an operator's terminal shows. */
static inline bool aq_utf8_is_hidden(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0xad || code == 0x61c || code == 0x180e ||
         (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb) ||
         (code >= 0xe0000 && code <= 0xe0fff);
}

/* Is what stands at p, `left` bytes to the end, the beginning of a sequence? A limit cut it. */
static inline bool aq_utf8_is_cut(const uint8_t *p, size_t left) {
  uint8_t low[4] = {0x80, 0x80, 0x80, 0x80}, high[4] = {0xbf, 0xbf, 0xbf, 0xbf};
  if (left == 0 || left > 3 || p[0] < 0x80) return false;
  memcpy(low, p, left), memcpy(high, p, left);
  return aq_utf8_step(low, 4) > left || aq_utf8_step(high, 4) > left;
}

/* Without the byte order mark that some editors put before a text. */
static inline aq_bytes aq_utf8_unmark(aq_bytes text) {
  bool marked = text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0;
  return marked ? aq_bytes_sub(text, 3, text.len - 3) : text;
}

/* What is hidden or not UTF-8 becomes '?', in place; half a sequence at the end, which a limit cut off, goes. For text
   of others on its way to a terminal or a label. */
void aq_text_clean(char *text);
/* The same into out, as much of it as `size` bytes (at least 1) with the 0 hold, cut between sequences. The length. */
size_t aq_text_copy(char *out, size_t size, const char *text);

#endif
