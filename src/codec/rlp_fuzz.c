/* An item that is read is written to the same bytes. */
#include "base/assert.h"
#include "codec/rlp.h"

/* Every item that reads is written again as the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  aq_rd r = aq_rd_of(aq_bytes_of(data, len));
  aq_rlp_item item;
  while (r.left > 0) {
    const uint8_t *start = r.ptr;
    if (aq_rlp_next(&r, &item) != AQ_OK) break;
    aq_buf out = AQ_BUF(len + 16);
    if (item.is_list)
      aq_rlp_put_list(&out, item.body);
    else
      aq_rlp_put_bytes(&out, item.body);
    AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&out), aq_bytes_of(start, (size_t)(r.ptr - start))));
    aq_buf_free(&out);
  }
  return 0;
}
