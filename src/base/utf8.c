#include "base/utf8.h"

#include <string.h>

void aq_text_clean(char *text) {
  size_t left = strlen(text), len = 0;
  for (const char *p = text; left > 0;) {
    const uint8_t *at = (const uint8_t *)p;
    size_t step = aq_utf8_step(at, left), used = step ? step : 1;
    if (step == 0 || aq_utf8_is_hidden(aq_utf8_code(at, step))) {
      text[len++] = '?';
    } else {
      memmove(text + len, p, step);
      len += step;
    }
    p += used, left -= used;
  }
  text[len] = 0;
}
