/* codec/base58.h - base58 with the Bitcoin alphabet, as libp2p writes peer ids. Quadratic in the length, hence the
   limit. */
#ifndef AQ_CODEC_BASE58_H
#define AQ_CODEC_BASE58_H

#include "base/bytes.h"

/* Peer ids are 39 bytes and 53 digits; a SHA-256 multihash is 34. */
enum { AQ_BASE58_BYTES_MAX = 64, AQ_BASE58_TEXT_MAX = 96 };

/* Writes the digits and a 0 terminator; in.len <= AQ_BASE58_BYTES_MAX is the caller's duty (asserted). */
void aq_base58_encode(char out[AQ_BASE58_TEXT_MAX], aq_bytes in);
/* AQ_E_LIMIT: over max bytes (max <= AQ_BASE58_BYTES_MAX). AQ_E_FORMAT: empty text or a character outside the
   alphabet. */
AQ_NODISCARD aq_status aq_base58_decode(uint8_t *out, size_t *out_len, size_t max, aq_bytes text);

#endif
