/* Keystore files: the first byte is the length of the password, which follows; the rest is JSON. */
#include "crypto/keystore.h"

#include "base/assert.h"
#include "crypto/aead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Full costs would only slow the fuzzer down: numbers keep three digits. */
static void cheapen(uint8_t *json, size_t len) {
  bool inside = false; /* a string */
  size_t run = 0;
  for (size_t i = 0; i < len; i++) {
    if (json[i] == '"') inside = !inside;
    if (inside && json[i] == '\\' && ++i == len) break;
    run = !inside && json[i] >= '0' && json[i] <= '9' ? run + 1 : 0;
    if (run > 3) json[i] = ' ';
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  uint8_t secret[32];
  aq_err err;
  if (len < 1 || len < 1u + data[0] || len > 1 << 16) return 0;
  aq_crypto_init();
  aq_bytes password = aq_bytes_of(data + 1, data[0]);
  aq_buf json = AQ_BUF(1 << 17);
  aq_buf_put(&json, data + 1 + data[0], len - 1 - data[0]);
  if (json.len) cheapen(json.ptr, json.len);
  aq_status st = aq_keystore_read(secret, aq_buf_bytes(&json), password, &err);
  AQ_ASSERT(st == AQ_OK || err.status == st);
  aq_buf_free(&json);
  return 0;
}
