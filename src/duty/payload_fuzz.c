/* Payloads that read are written in one form, and a copy with its signature replaced is the same object. */
#include "base/assert.h"
#include "duty/payload.h"
#include "fake/fuzz_json.h"

enum { ARENA_MAX = 4 << 20, SIGNED = 16 };

static const aq_chain chain = {.clock = {0, 12000000000u, 32}};

/* What decodes is written as bytes that decode to the same bytes again. */
static void fuzz_unsigned(aq_arena *a, aq_duty_type duty, aq_bytes in) {
  aq_unsigned_data d;
  if (aq_unsigned_decode(&d, a, duty, in) != AQ_OK) return;
  aq_buf out = AQ_BUF(ARENA_MAX), again = AQ_BUF(ARENA_MAX);
  AQ_ASSERT(aq_ssz_check(d.type, d.value) == AQ_OK);
  AQ_ASSERT(aq_unsigned_encode(&out, &d) == AQ_OK);
  AQ_ASSERT(aq_unsigned_decode(&d, a, duty, aq_buf_bytes(&out)) == AQ_OK);
  AQ_ASSERT(aq_unsigned_encode(&again, &d) == AQ_OK);
  AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), aq_buf_bytes(&again)));
  aq_buf_free(&out);
  aq_buf_free(&again);
}

/* The old attestation header without index cannot be told from the new one in slots whose low half is 20 (wire.md
   7.3). */
static bool is_ambiguous(const aq_signed_data *d) {
  return d->duty == AQ_DUTY_ATTESTER && !d->has_index && (uint32_t)d->slot == 20;
}

static void fuzz_signed(aq_arena *a, aq_duty_type duty, aq_bytes in) {
  aq_signed_data d, copy;
  uint8_t root[32], other[32];
  if (aq_signed_decode(&d, a, duty, in) != AQ_OK || is_ambiguous(&d)) return;
  aq_buf out = AQ_BUF(ARENA_MAX), again = AQ_BUF(ARENA_MAX);
  aq_signed_message_root(root, &d);
  aq_signed_signing_root(other, &chain, &d);
  AQ_ASSERT(aq_signed_encode(&out, &d) == AQ_OK);
  AQ_ASSERT(aq_signed_with_sig(&copy, a, &d, d.sig) == AQ_OK);
  AQ_ASSERT(aq_signed_decode(&d, a, duty, aq_buf_bytes(&out)) == AQ_OK);
  AQ_ASSERT(aq_signed_encode(&again, &copy) == AQ_OK);
  AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), aq_buf_bytes(&again)));
  aq_signed_message_root(other, &d);
  AQ_ASSERT(memcmp(root, other, sizeof root) == 0);
  AQ_ASSERT(memcmp(d.sig, copy.sig, sizeof d.sig) == 0 && d.slot == copy.slot && d.epoch == copy.epoch);
  AQ_ASSERT(d.fork == copy.fork && d.blinded == copy.blinded && d.validator_index == copy.validator_index);
  aq_buf_free(&out);
  aq_buf_free(&again);
}

/* The first byte: duty type, and whether it is signed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len == 0) return 0;
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  aq_duty_type duty = (aq_duty_type)(data[0] % SIGNED);
  if (data[0] & SIGNED)
    fuzz_signed(&a, duty, in);
  else
    fuzz_unsigned(&a, duty, in);
  aq_arena_free(&a);
  return 0;
}

FUZZ_JSON_MUTATOR(1)
