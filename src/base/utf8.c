/* Bytes that are no text, and controls that a terminal would obey, become a mark. */
#include "base/utf8.h"

size_t aq_text_copy(char *out, size_t size, const char *text) {
  size_t left = strlen(text), len = 0;
  while (left > 0) {
    const uint8_t *at = (const uint8_t *)text;
    size_t step = aq_utf8_step(at, left), used = step ? step : 1;
    bool shown = step && !aq_utf8_is_hidden(aq_utf8_code(at, step));
    size_t put = shown ? step : 1;
    if (put > size - 1 - len || aq_utf8_is_cut(at, left)) break;
    memmove(out + len, shown ? text : "?", put); /* never ahead of what is read: out may be text */
    len += put, text += used, left -= used;
  }
  out[len] = 0;
  return len;
}

void aq_text_clean(char *text) { (void)aq_text_copy(text, strlen(text) + 1, text); }
