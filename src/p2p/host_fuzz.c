/* A host whose peer passed the handshake and then sends the input as yamux bytes, in pieces with time between them. */
#include "fake/fuzz_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Pieces: length, then so many bytes. Length 0: time passes, the next byte says how much and what the host sends
   itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static fuzz_host w;
  fuzz_host_start(&w);
  aq_rd in = aq_rd_of(aq_bytes_of(data, len));
  uint8_t ping[12] = {0, 2, 0, 1};
  fuzz_host_feed(&w, aq_bytes_of(ping, sizeof ping)); /* the host sees that yamux runs */
  fake_env_run_for(&w.loop, AQ_MILLIS(5));
  while (in.left > 1 && !w.closed) {
    uint8_t n = aq_rd_u8(&in);
    if (n == 0) {
      fuzz_host_pass(&w, aq_rd_u8(&in));
      continue;
    }
    fuzz_host_feed(&w, aq_rd_bytes(&in, n < in.left ? n : in.left));
    fake_env_run_for(&w.loop, AQ_MILLIS(2));
  }
  fuzz_host_end(&w);
  return 0;
}
