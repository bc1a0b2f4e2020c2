/* Text to binary and back, binary to text and back: what passes one way passes the other. */
#include "base/assert.h"
#include "codec/multiaddr.h"

/* Binary that passes prints as text that parses to the same bytes, and text that parses is printable; nothing
   crashes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  aq_bytes in = aq_bytes_of(data, len);
  aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX), text = AQ_BUF(4 * AQ_MULTIADDR_TEXT_MAX);
  aq_multiaddr_target target;
  if (aq_multiaddr_print(&text, in) == AQ_OK && text.len <= AQ_MULTIADDR_TEXT_MAX) {
    AQ_ASSERT(aq_multiaddr_parse(&bin, aq_buf_bytes(&text)) == AQ_OK);
    AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&bin), in));
    (void)!aq_multiaddr_target_of(&target, in);
  }
  aq_buf_reset(&bin);
  aq_buf_reset(&text);
  if (aq_multiaddr_parse(&bin, in) == AQ_OK) AQ_ASSERT(aq_multiaddr_print(&text, aq_buf_bytes(&bin)) == AQ_OK);
  aq_buf_free(&bin);
  aq_buf_free(&text);
  return 0;
}
