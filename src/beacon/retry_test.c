/* What beacon nodes of each make really said, and whether it is asked again. */
#include "beacon/retry.h"

#include "aq_test.h"

/* Goal: what may be taken a moment later is asked again, in the words of each beacon node; a verdict is final.
   Method: refusals as beacon nodes and gateways write them. */
static void kinds(void **state) {
  (void)state;
  static const struct {
    int code;
    const char *body;
    aq_failure kind;
  } cases[] = {
      {400, "{\"message\":\"Verification: UnknownHeadBlock { beacon_block_root: 0xc871 }\"}", AQ_FAILURE_AGAIN},
      {400, "{\"message\":\"BAD_REQUEST: Invalid block: ParentUnknown\"}", AQ_FAILURE_AGAIN},
      {400, "{\"message\":\"Verification: UnknownTargetRoot(0xab)\"}", AQ_FAILURE_AGAIN},
      {400, "{\"message\":\"HeadBlockNotFullyVerified { }\"}", AQ_FAILURE_AGAIN},
      {400, "ATTESTATION_ERROR_UNKNOWN_OR_PREFINALIZED_BEACON_BLOCK_ROOT", AQ_FAILURE_AGAIN},
      {400, "BLOCK_ERROR_PARENT_UNKNOWN", AQ_FAILURE_AGAIN},
      {400, "attestation's unknown beacon block root", AQ_FAILURE_AGAIN},
      {400, "its target block isn't known", AQ_FAILURE_AGAIN},
      {400, "the head state is optimistic", AQ_FAILURE_AGAIN},
      {400, "Beacon node is NOT synced", AQ_FAILURE_AGAIN},
      {400, "MissingParent", AQ_FAILURE_AGAIN},
      {400, "Block not found", AQ_FAILURE_AGAIN},
      {400, "slot is in the Future", AQ_FAILURE_AGAIN},
      {400, "not current or previous epoch", AQ_FAILURE_AGAIN},
      {500, "{\"message\":\"InvalidSignature\"}", AQ_FAILURE_AGAIN}, /* the node's own trouble */
      {503, "", AQ_FAILURE_AGAIN},
      {429, "", AQ_FAILURE_AGAIN},
      {401, "", AQ_FAILURE_AGAIN},
      {403, "", AQ_FAILURE_AGAIN},
      {302, "", AQ_FAILURE_AGAIN},
      {400, "{\"message\":\"Verification: InvalidSignature\"}", AQ_FAILURE_FINAL},
      {400, "{\"message\":\"the block is invalid\"}", AQ_FAILURE_FINAL},
      {400, "{\"message\":\"unknown validator\"}", AQ_FAILURE_FINAL},
      {400, "{\"message\":\"WouldRevertFinalizedSlot\"}", AQ_FAILURE_FINAL},
      {400, "unknown hea", AQ_FAILURE_FINAL}, /* cut */
      {400, "", AQ_FAILURE_FINAL},
      {422, "x", AQ_FAILURE_FINAL},
      {404, "Block not found", AQ_FAILURE_ROUTE},
      {405, "", AQ_FAILURE_ROUTE},
      {501, "", AQ_FAILURE_ROUTE},
      {415, "", AQ_FAILURE_MEDIA},
  };
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    const aq_bn_answer ans = {.code = cases[i].code, .body = aq_bytes_str(cases[i].body), .content_type = ""};
    aq_failure got = aq_failure_of(AQ_E_REFUSED, &ans);
    if (got != cases[i].kind) fail_msg("%d %s: %d", cases[i].code, cases[i].body, (int)got);
  }
  assert_int_equal(aq_failure_of(AQ_E_CLOSED, NULL), AQ_FAILURE_AGAIN);
  assert_int_equal(aq_failure_of(AQ_E_FORMAT, &(aq_bn_answer){.code = 200}), AQ_FAILURE_AGAIN);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kinds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
