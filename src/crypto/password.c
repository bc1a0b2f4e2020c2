/* Plain ASCII goes a way of its own, without a branch on it; the rest is utf8proc's NFKD, less its controls. */
#include "crypto/password.h"

#include <utf8proc.h>

#include "base/assert.h"
#include "base/utf8.h"
#include "crypto/secret.h"

enum { CODES_MAX = 18 * AQ_PASSWORD_MAX / 3 }; /* only sequences of three bytes and more grow so much */

static bool is_control(int32_t code) { return code < 0x20 || (code >= 0x7f && code <= 0x9f); }

static bool is_ascii(aq_bytes text) {
  bool ascii = true;
  for (size_t i = 0; i < text.len; i++) {
    bool wide = text.ptr[i] >> 7;
    AQ_DECLASSIFY(&wide, sizeof wide);
    ascii = ascii && !wide;
  }
  return ascii;
}

void aq_password_plain(uint8_t *out, size_t *len, aq_bytes password) {
  AQ_ASSERT(password.len <= AQ_PASSWORD_MAX);
  *len = 0;
  for (size_t i = 0; i < password.len; i++) {
    bool control = (password.ptr[i] < 0x20) | (password.ptr[i] == 0x7f);
    AQ_DECLASSIFY(&control, sizeof control);
    if (!control) out[(*len)++] = password.ptr[i];
  }
}

bool aq_password_is_utf16(aq_bytes password) {
  if (password.len < 2) return false;
  /* Zero for ff fe and fe ff; without a branch on either byte. */
  unsigned a = password.ptr[0], b = password.ptr[1], differs = ((a ^ 0xff) | (b ^ 0xfe)) * ((a ^ 0xfe) | (b ^ 0xff));
  AQ_DECLASSIFY(&differs, sizeof differs);
  return differs == 0;
}

/* text may lie in out. */
static aq_status normalise(int32_t *code, uint8_t *out, size_t *len, aq_bytes text) {
  utf8proc_ssize_t cnt =
      utf8proc_decompose(text.ptr, (utf8proc_ssize_t)text.len, code, CODES_MAX, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  if (cnt < 0) return AQ_E_FORMAT;
  AQ_ASSERT(cnt <= CODES_MAX);
  *len = 0;
  for (utf8proc_ssize_t i = 0; i < cnt; i++) {
    if (is_control(code[i])) continue;
    AQ_ASSERT(*len + 4 <= AQ_PASSWORD_FORM_MAX);
    *len += (size_t)utf8proc_encode_char(code[i], out + *len);
  }
  return AQ_OK;
}

aq_status aq_password_eip2335(uint8_t *out, size_t *len, aq_bytes password) {
  AQ_ASSERT(password.len <= AQ_PASSWORD_MAX);
  if (is_ascii(password)) {
    aq_password_plain(out, len, password);
    return AQ_OK;
  }
  int32_t *code = aq_guarded_alloc(CODES_MAX, sizeof *code);
  AQ_ASSERT(code);
  memcpy(out, password.ptr, password.len);
  AQ_DECLASSIFY(out, password.len);
  aq_status st = normalise(code, out, len, aq_utf8_unmark(aq_bytes_of(out, password.len)));
  aq_guarded_free(code);
  aq_stack_clear();
  return st;
}
