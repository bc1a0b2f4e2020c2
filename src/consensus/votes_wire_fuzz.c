/* What reads is written back to the same bytes, within its limit. */
#include "consensus/votes_wire.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void same(const aq_buf *out, aq_bytes in) { AQ_ASSERT(!out->failed && aq_bytes_eq(aq_buf_bytes(out), in)); }

/* A request and an answer of /aequa/votes/1.0.0: what is read writes the same bytes again, within its limits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  aq_bytes in = aq_bytes_of(data, len);
  aq_votes_hello h;
  bool wants;
  if (aq_votes_read_request(&h, &wants, in) == AQ_OK) {
    aq_buf out = AQ_BUF(AQ_VOTES_REQUEST_LEN);
    aq_votes_put_request(&out, &h, wants);
    same(&out, in);
    aq_buf_free(&out);
  }
  aq_votes_answer a;
  if (aq_votes_read_answer(&a, in) != AQ_OK) return 0;
  AQ_ASSERT(a.cnt <= AQ_VOTES_MAX && len <= AQ_VOTES_ANSWER_MAX);
  aq_buf out = AQ_BUF(AQ_VOTES_ANSWER_MAX);
  aq_votes_put_answer(&out, a.has_other ? &a.other : NULL, a.cnt);
  uint32_t left = a.cnt;
  for (aq_bytes raw; aq_votes_next(&a, &raw); left--) {
    AQ_ASSERT(raw.len > 0 && raw.len <= AQ_QBFT_RAW_MAX);
    aq_votes_put_vote(&out, raw);
  }
  AQ_ASSERT(left == 0);
  same(&out, in);
  aq_buf_free(&out);
  return 0;
}
