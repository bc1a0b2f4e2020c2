/* Encodings of bytes as text, against libsodium, strtoull and a plain reading of RFC 3629. Input: a text, which is
   also taken as the bytes to encode. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "codec/base58.h"
#include "codec/base64.h"
#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_MAX = 4096 };

static bool is_ascii(aq_bytes in) {
  size_t i = 0;
  while (i < in.len && in.ptr[i] < 0x80) i++;
  return i == in.len;
}

static void base64(aq_bytes in, aq_base64_form form, int variant) {
  aq_buf out = AQ_BUF(4 * INPUT_MAX);
  uint8_t bin[INPUT_MAX];
  char text[2 * INPUT_MAX];
  size_t bin_len;
  bool ours = aq_base64_decode(&out, in, form) == AQ_OK;
  bool theirs = is_ascii(in) && /* libsodium takes some bytes over 0x7f for digits */
                sodium_base642bin(bin, sizeof bin, (const char *)in.ptr, in.len, NULL, &bin_len, NULL, variant) == 0;
  AQ_ASSERT(ours == theirs && (ours || out.len == 0));
  if (ours) {
    AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), aq_bytes_of(bin, bin_len)));
    aq_buf_reset(&out);
    aq_base64_encode(&out, aq_bytes_of(bin, bin_len), form);
    AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), in)); /* one text for each value */
  }
  aq_buf_reset(&out);
  aq_base64_encode(&out, in, form);
  AQ_ASSERT(sodium_bin2base64(text, sizeof text, in.ptr, in.len, variant));
  AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), aq_bytes_str(text)));
  aq_buf_free(&out);
}

static void hex(aq_bytes in) {
  aq_buf out = AQ_BUF(INPUT_MAX);
  uint8_t bin[INPUT_MAX];
  char text[2 * INPUT_MAX + 1], same[2 * INPUT_MAX + 1];
  size_t bin_len = 0;
  const char *end = NULL;
  aq_hex_encode(text, in);
  AQ_ASSERT(strcmp(text, sodium_bin2hex(same, sizeof same, in.ptr, in.len)) == 0);
  bool ours = aq_hex_decode_buf(&out, in, AQ_HEX_BARE) == AQ_OK;
  bool theirs = sodium_hex2bin(bin, sizeof bin, (const char *)in.ptr, in.len, NULL, &bin_len, &end) == 0 &&
                end == (const char *)in.ptr + in.len && in.len % 2 == 0;
  AQ_ASSERT(ours == theirs);
  if (ours) AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), aq_bytes_of(bin, bin_len)));
  AQ_ASSERT((aq_hex_decode(bin, in.len / 2, in, AQ_HEX_BARE) == AQ_OK) == ours);
  bool prefix = in.len >= 2 && in.ptr[0] == '0' && (in.ptr[1] | 0x20) == 'x';
  aq_status with = aq_hex_decode_buf(&out, in, AQ_HEX_PREFIX), either = aq_hex_decode_buf(&out, in, AQ_HEX_EITHER);
  AQ_ASSERT((either == AQ_OK) == (prefix ? with == AQ_OK : ours) && (prefix || with != AQ_OK));
  aq_buf_free(&out);
}

static void number(aq_bytes in) {
  char text[64];
  uint64_t n;
  bool digits = in.len > 0 && in.len <= 20, ours = aq_u64_parse(&n, in) == AQ_OK;
  for (size_t i = 0; digits && i < in.len; i++) digits = in.ptr[i] >= '0' && in.ptr[i] <= '9';
  if (!digits) {
    AQ_ASSERT(!ours); /* over 20 digits are refused, zeros too */
    return;
  }
  memcpy(text, in.ptr, in.len);
  text[in.len] = 0;
  errno = 0;
  unsigned long long want = strtoull(text, NULL, 10);
  AQ_ASSERT(ours == (errno == 0) && (!ours || n == want));
}

static void base58(aq_bytes in) {
  uint8_t bin[AQ_BASE58_BYTES_MAX];
  char text[AQ_BASE58_TEXT_MAX];
  size_t bin_len;
  if (aq_base58_decode(bin, &bin_len, sizeof bin, in) == AQ_OK) {
    aq_base58_encode(text, aq_bytes_of(bin, bin_len));
    AQ_ASSERT(aq_bytes_eq(aq_bytes_str(text), in));
  }
  if (in.len == 0 || in.len > sizeof bin) return;
  aq_base58_encode(text, in);
  AQ_ASSERT(aq_base58_decode(bin, &bin_len, sizeof bin, aq_bytes_str(text)) == AQ_OK);
  AQ_ASSERT(aq_bytes_eq(aq_bytes_of(bin, bin_len), in));
}

/* The multibase form has no encoder: bits are read one by one. */
static void base32(aq_bytes in) {
  aq_buf out = AQ_BUF(INPUT_MAX), want = AQ_BUF(INPUT_MAX);
  bool good = true;
  uint32_t acc = 0, bits = 0;
  for (size_t i = 0; i < in.len && good; i++) {
    const char *at = in.ptr[i] ? strchr("abcdefghijklmnopqrstuvwxyz234567", in.ptr[i]) : NULL;
    good = at != NULL;
    for (int b = 4; good && b >= 0; b--) {
      acc = acc << 1 | ((uint32_t)(at - "abcdefghijklmnopqrstuvwxyz234567") >> b & 1);
      if (++bits % 8 == 0) aq_buf_put_u8(&want, (uint8_t)acc);
    }
  }
  static const bool tail[8] = {true, false, true, false, true, true, false, true};
  bool spare_zero = (acc & ((1u << bits % 8) - 1)) == 0;
  AQ_ASSERT((aq_base32_decode(&out, in) == AQ_OK) == (good && tail[in.len % 8] && spare_zero));
  if (out.len) AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), aq_buf_bytes(&want)));
  aq_buf_free(&out);
  aq_buf_free(&want);
}

static bool utf8_plain(aq_bytes in) {
  for (size_t i = 0; i < in.len;) {
    uint8_t c = in.ptr[i];
    size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 9;
    if (more == 9 || more >= in.len - i) return false;
    uint32_t code = more == 0 ? c : c & (0x3fu >> more);
    for (size_t k = 1; k <= more; k++) {
      if ((in.ptr[i + k] & 0xc0) != 0x80) return false;
      code = code << 6 | (in.ptr[i + k] & 0x3f);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10ffff) return false;
    if (code >= 0xd800 && code < 0xe000) return false;
    i += more + 1;
  }
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len > INPUT_MAX) return 0;
  aq_bytes in = aq_bytes_of(len ? data : (const uint8_t *)"", len);
  AQ_ASSERT(sodium_init() >= 0);
  base64(in, AQ_BASE64_STD, sodium_base64_VARIANT_ORIGINAL);
  base64(in, AQ_BASE64_URL, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  hex(in);
  number(in);
  base58(in);
  base32(in);
  AQ_ASSERT(aq_utf8_valid(in) == utf8_plain(in));
  for (size_t i = 0; i < len; i++) AQ_ASSERT(aq_utf8_step(data + i, len - i) == aq_utf8_len(data + i, len - i));
  return 0;
}
