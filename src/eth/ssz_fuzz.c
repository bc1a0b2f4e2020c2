/* Any bytes as a value of any type: what is valid goes to JSON and comes back. */
#include "base/assert.h"
#include "codec/json.h"
#include "eth/types.h"
#include "fake/fuzz_json.h"

enum { OUT_MAX = 4 << 20 };

/* The first byte chooses the type: plain ones from 0, the others by fork. */
static const aq_ssz_type *choose(uint8_t n) {
  static const aq_ssz_type *const plain[] = {
      &aq_t_attestation_data,
      &aq_t_attestation_phase0,
      &aq_t_attestation_electra,
      &aq_t_single_attestation,
      &aq_t_signed_aggregate_and_proof_phase0,
      &aq_t_signed_aggregate_and_proof_electra,
      &aq_t_sync_committee_message,
      &aq_t_signed_contribution_and_proof,
      &aq_t_sync_committee_contributions,
      &aq_t_signed_voluntary_exit,
      &aq_t_signed_validator_registration,
      &aq_t_signed_beacon_block_header,
      &aq_t_deposit_data,
  };
  static const aq_ssz_type *(*const of[])(aq_fork) = {aq_t_block,          aq_t_signed_block,
                                                      aq_t_blinded_block,  aq_t_signed_blinded_block,
                                                      aq_t_block_contents, aq_t_signed_block_contents};
  if (n < AQ_COUNT(plain)) return plain[n];
  n = (uint8_t)(n - AQ_COUNT(plain));
  return n < AQ_COUNT(of) * AQ_FORK_CNT ? of[n / AQ_FORK_CNT]((aq_fork)(n % AQ_FORK_CNT)) : NULL;
}

/* What passes the check has a root, and its JSON reads back as the same bytes. Anything else must only be refused. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  const aq_ssz_type *t = len ? choose(data[0]) : NULL;
  if (!t) return 0;
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  aq_buf out = AQ_BUF(OUT_MAX), back = AQ_BUF(OUT_MAX);
  yyjson_doc *doc = aq_json_parse(in, len, NULL);
  if (doc && aq_ssz_from_json(&back, t, yyjson_doc_get_root(doc), NULL) == AQ_OK) {
    AQ_ASSERT(aq_ssz_check(t, aq_buf_bytes(&back)) == AQ_OK);
  }
  yyjson_doc_free(doc);
  if (aq_ssz_check(t, in) == AQ_OK) {
    uint8_t root[32];
    aq_ssz_root(root, t, in);
    aq_ssz_to_json(&out, t, in);
    doc = aq_json_parse(aq_buf_bytes(&out), OUT_MAX, NULL);
    AQ_ASSERT(doc);
    aq_buf_reset(&back);
    AQ_ASSERT(aq_ssz_from_json(&back, t, yyjson_doc_get_root(doc), NULL) == AQ_OK);
    AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&back), in));
    yyjson_doc_free(doc);
  }
  aq_buf_free(&out);
  aq_buf_free(&back);
  return 0;
}

FUZZ_JSON_MUTATOR(1)
