/* Locks and definitions as JSON: what loads once loads again from what we write. */
#include "base/assert.h"
#include "cluster/lock.h"
#include "crypto/aead.h"
#include "fake/fuzz_json.h"

/* Any bytes give a status and a reason. What loads without verification can be asked for its hashes by writing it,
   and what was written loads again with hashes that hold. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const aq_lock_opts opts = {.no_verify = true};
  aq_crypto_init();
  aq_lock *l = NULL, *again = NULL;
  aq_err err = {AQ_OK, ""};
  if (aq_definition_load(&l, aq_bytes_of(data, len), &err) == AQ_OK) aq_lock_free(l);
  if (aq_lock_load(&l, aq_bytes_of(data, len), &opts, &err) != AQ_OK) {
    AQ_ASSERT(err.text[0] != 0);
    return 0;
  }
  aq_buf json = AQ_BUF(AQ_LOCK_BYTES_MAX);
  if (aq_lock_write(&json, l) == AQ_OK) {
    AQ_ASSERT(aq_lock_load(&again, aq_buf_bytes(&json), &opts, &err) == AQ_OK);
    AQ_ASSERT(strncmp(err.text, "hashes", 6) != 0);
    aq_lock_free(again);
  }
  aq_buf_free(&json);
  aq_lock_free(l);
  return 0;
}

FUZZ_JSON_MUTATOR(0)
