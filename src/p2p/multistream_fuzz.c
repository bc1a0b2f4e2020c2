/* Both sides of a negotiation against bytes of a stranger. */
#include "p2p/multistream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int find(void *arg, aq_bytes name) {
  (void)arg;
  return aq_bytes_eq(name, aq_bytes_str("/noise")) ? 0 : -1;
}

/* The first byte says in which pieces the rest arrives; both roles must read the same whatever the cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const char *const offer[] = {"/charon/priority/2.0.0", "charon/priority/2.0.0"};
  if (len == 0) return 0;
  size_t step = data[0] ? data[0] : len;
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  for (int role = 0; role < 2; role++) {
    aq_ms_responder r = {0};
    aq_ms_initiator i;
    aq_buf out = AQ_BUF(1u << 20);
    if (role) aq_ms_propose(&i, offer, 2, &out);
    size_t start = 0, end = 0, used;
    int chosen;
    aq_status st = AQ_E_AGAIN;
    while (end < in.len && st == AQ_E_AGAIN) {
      end = in.len - end < step ? in.len : end + step;
      aq_bytes part = aq_bytes_sub(in, start, end - start);
      st = role ? aq_ms_answer(&i, &used, part, &out) : aq_ms_respond(&r, &chosen, &used, part, &out, find, NULL);
      start += used;
    }
    aq_buf_free(&out);
  }
  return 0;
}
