/* The table of well-formed sequences, as ranges of the second byte. */
#include "codec/utf8.h"

size_t aq_utf8_len(const uint8_t *ptr, size_t left) {
  uint8_t c = ptr[0], low = 0x80, high = 0xbf;
  size_t len;
  if (c < 0x80) return 1;
  if (c >= 0xc2 && c <= 0xdf) {
    len = 2;
  } else if (c >= 0xe0 && c <= 0xef) {
    len = 3;
    if (c == 0xe0) low = 0xa0;
    if (c == 0xed) high = 0x9f;
  } else if (c >= 0xf0 && c <= 0xf4) {
    len = 4;
    if (c == 0xf0) low = 0x90;
    if (c == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (left < len || ptr[1] < low || ptr[1] > high) return 0;
  for (size_t i = 2; i < len; i++) {
    if (ptr[i] < 0x80 || ptr[i] > 0xbf) return 0;
  }
  return len;
}

bool aq_utf8_valid(aq_bytes text) {
  for (size_t i = 0, len; i < text.len; i += len) {
    len = aq_utf8_len(text.ptr + i, text.len - i);
    if (len == 0) return false;
  }
  return true;
}
