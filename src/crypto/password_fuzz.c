/* Passwords: the input is one. Its form is UTF-8, has no control characters and stays what it is. */
#include "crypto/password.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "crypto/aead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool is_control(uint32_t code) { return code < 0x20 || (code >= 0x7f && code <= 0x9f); }

static bool has_control(const uint8_t *text, size_t len) {
  for (size_t i = 0, step; i < len; i += step) {
    step = aq_utf8_step(text + i, len - i);
    if (step == 0 || is_control(aq_utf8_code(text + i, step))) return true;
  }
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static uint8_t form[AQ_PASSWORD_FORM_MAX], again[AQ_PASSWORD_FORM_MAX];
  size_t form_len, again_len, step;
  if (len > AQ_PASSWORD_MAX) return 0;
  aq_crypto_init();
  aq_password_plain(form, &form_len, aq_bytes_of(data, len));
  AQ_ASSERT(form_len <= len);
  if (aq_password_eip2335(form, &form_len, aq_bytes_of(data, len)) != AQ_OK) return 0;
  for (size_t i = 0; i < form_len; i += step) {
    step = aq_utf8_step(form + i, form_len - i);
    AQ_ASSERT(step > 0);
    uint32_t code = aq_utf8_code(form + i, step);
    AQ_ASSERT(!is_control(code));
  }
  /* Marks that a control character kept apart have another order without it. */
  if (has_control(data, len) || form_len > AQ_PASSWORD_MAX || (form_len > 2 && memcmp(form, "\xef\xbb\xbf", 3) == 0))
    return 0;
  AQ_ASSERT(aq_password_eip2335(again, &again_len, aq_bytes_of(form, form_len)) == AQ_OK);
  AQ_ASSERT(again_len == form_len && memcmp(again, form, form_len) == 0);
  return 0;
}
