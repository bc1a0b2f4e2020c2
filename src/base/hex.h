/* base/hex.h - hexadecimal text. Not for secrets: crypto/secret.h has theirs. */
#ifndef AQ_BASE_HEX_H
#define AQ_BASE_HEX_H

#include "base/bytes.h"

/* Writes 2*len lower-case digits and a 0 terminator: out holds 2*len+1. */
void aq_hex_encode(char *out, aq_bytes in);

/* Exactly 2*len digits of either case, an optional 0x before them when `prefix` allows it. AQ_E_FORMAT else; out is
   untouched then. */
typedef enum { AQ_HEX_BARE, AQ_HEX_PREFIX, AQ_HEX_EITHER } aq_hex_form;
AQ_NODISCARD aq_status aq_hex_decode(uint8_t *out, size_t len, aq_bytes text, aq_hex_form form);

/* Appends the bytes of a text of any even length; AQ_E_FORMAT leaves out as it was. */
AQ_NODISCARD aq_status aq_hex_decode_buf(aq_buf *out, aq_bytes text, aq_hex_form form);

/* Decimal digits only, no sign, no blanks, at most 2^64-1. */
AQ_NODISCARD aq_status aq_u64_parse(uint64_t *out, aq_bytes text);

#endif
