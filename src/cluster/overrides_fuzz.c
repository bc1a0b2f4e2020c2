/* A file of builder registrations for a lock of the two validators of golden/hoodi-4x2. What is taken is newer than the
   lock's; what is refused changes nothing. */
#include "base/assert.h"
#include "base/hex.h"
#include "cluster/overrides.h"
#include "fake/fuzz_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const keys[] = {
    "a2ee6f5768e1b9d46a8356cc4ede4b29b0785077a72d2eb7df3c3d47fa72778845411be55a2badfb4e484e794bba70d1",
    "b291dfedd67d513e575fa2f1d2ec9044780fc7578a02ed52166d3fb45c8313e645b64494af805ef42996122ad655dc90"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len > 1 << 14) return 0;
  aq_validator_address address[2] = {{"0x0000000000000000000000000000000000000001", ""}, {"no address", ""}};
  aq_dist_validator validator[2] = {{.has_registration = true, .registration.timestamp = 1700000000}};
  aq_lock lock = {.def = {.fork_version = {0x10, 0, 0x09, 0x10}, .addresses = address},
                  .validators = validator,
                  .validator_cnt = 2};
  for (int i = 0; i < 2; i++)
    AQ_ASSERT(aq_hex_decode(validator[i].pubkey, 48, aq_bytes_str(keys[i]), AQ_HEX_BARE) == AQ_OK);
  aq_err err = {AQ_OK, ""};
  uint32_t taken, cnt = 0;
  aq_status st = aq_overrides_take(&lock, &taken, aq_bytes_of(data, len), &err);
  for (uint32_t i = 0; i < 2; i++) {
    uint8_t pays[20];
    const aq_dist_validator *v = &validator[i];
    cnt += v->has_override;
    AQ_ASSERT(aq_lock_fee_recipient(pays, &lock, i) == (v->has_override || i == 0));
    AQ_ASSERT(!v->has_override || v->override.timestamp > v->registration.timestamp);
  }
  AQ_ASSERT(taken == cnt && (st == AQ_OK || (cnt == 0 && err.text[0])));
  return 0;
}

FUZZ_JSON_MUTATOR(0)
