/* codec/base64.h - RFC 4648 text: base64 in both alphabets, and base32 in lower case without padding (multibase "b").
   Strict: no blanks, no line ends; unused bits of the last digit must be zero. */
#ifndef AQ_CODEC_BASE64_H
#define AQ_CODEC_BASE64_H

#include "base/bytes.h"

typedef enum {
  AQ_BASE64_STD, /* '+' and '/', padded with '=' */
  AQ_BASE64_URL  /* '-' and '_', no padding */
} aq_base64_form;

void aq_base64_encode(aq_buf *out, aq_bytes in, aq_base64_form form);
/* Appends the bytes. AQ_E_FORMAT leaves out as it was, AQ_E_LIMIT: over out->max. */
AQ_NODISCARD aq_status aq_base64_decode(aq_buf *out, aq_bytes text, aq_base64_form form);
AQ_NODISCARD aq_status aq_base32_decode(aq_buf *out, aq_bytes text);

#endif
