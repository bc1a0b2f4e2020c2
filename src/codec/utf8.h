/* codec/utf8.h - well-formed UTF-8 (Unicode standard, table 3-7): no surrogates, nothing overlong. */
#ifndef AQ_CODEC_UTF8_H
#define AQ_CODEC_UTF8_H

#include "base/bytes.h"

/* Length of the sequence that begins at ptr, `left` > 0 bytes being there; 0 when it is malformed. */
size_t aq_utf8_len(const uint8_t *ptr, size_t left);
bool aq_utf8_valid(aq_bytes text);

#endif
