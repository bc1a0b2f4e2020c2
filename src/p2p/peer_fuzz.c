/* A peer of the cluster that speaks yamux, multistream and the framing of messages properly, and misbehaves in what it
   does with them. Input: steps, each a byte that says what, a byte that says on which stream, and what the step takes:
   streams with any protocol, whole and broken messages, answers to the host's own streams, windows, resets, silence. */
#include "codec/pb.h"
#include "fake/fuzz_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS_MAX = 80, FRAME_MAX = 4096, HEAD_LEN = 12 };
enum { DATA = 0, WINDOW = 1, PING = 2, AWAY = 3, SYN = 1, ACK = 2, FIN = 4, RST = 8 };

static void frame(fuzz_host *w, uint8_t type, uint16_t flags, uint32_t id, uint32_t len, aq_bytes body) {
  uint8_t out[HEAD_LEN + FRAME_MAX];
  AQ_ASSERT(body.len <= FRAME_MAX);
  out[0] = 0, out[1] = type;
  aq_be16_put(out + 2, flags);
  aq_be32_put(out + 4, id), aq_be32_put(out + 8, len);
  if (body.len) memcpy(out + HEAD_LEN, body.ptr, body.len);
  fuzz_host_feed(w, aq_bytes_of(out, HEAD_LEN + body.len));
}

static void data_frame(fuzz_host *w, uint16_t flags, uint32_t id, aq_bytes body) {
  frame(w, DATA, flags, id, (uint32_t)body.len, body);
}

static const char *name_of(const fuzz_host *w, uint8_t pick) {
  static const char *const strange[] = {"/ipfs/kad/1.0.0", "", "na", "ls", "/noise", AQ_MS_HEADER};
  const aq_service_names *n = aq_switch_names(w->host->sw);
  uint32_t i = pick % (n->cnt + (uint32_t)AQ_COUNT(strange));
  return i < n->cnt ? n->name[(i + AQ_SVC_FIRST) % n->cnt] : strange[i - n->cnt];
}

/* Both names of the negotiation at once, as an initiator that does not wait; the answer to the host's own is alike. */
static void negotiate(fuzz_host *w, uint32_t id, uint8_t pick, uint16_t flags) {
  aq_buf out = AQ_BUF(FRAME_MAX);
  aq_ms_put(&out, AQ_MS_HEADER);
  aq_ms_put(&out, name_of(w, pick));
  data_frame(w, flags, id, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

/* A message of len bytes that begins with the input's; extra: so much longer or shorter is it announced. */
static void message(fuzz_host *w, uint32_t id, aq_rd *in, uint64_t extra, uint16_t flags) {
  uint8_t size[9];
  aq_buf out = AQ_BUF(FRAME_MAX);
  size_t len = aq_rd_u8(in), given = len % 32 < in->left ? len % 32 : in->left;
  len = len > 250 ? 3000 : len;
  aq_buf_put(&out, size, aq_uvarint_put(size, len + extra));
  size_t start = out.len;
  aq_buf_put_bytes(&out, aq_rd_bytes(in, given));
  while (out.len - start < len) aq_buf_put_u8(&out, 0);
  data_frame(w, flags, id, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

static void step(fuzz_host *w, aq_rd *in) {
  uint8_t what = aq_rd_u8(in), which = aq_rd_u8(in);
  uint32_t mine = 1 + 2 * (which & 7u), theirs = 2 + 2 * (which & 7u), any = which & 0x80 ? theirs : mine;
  uint16_t last = which & 0x40 ? FIN : 0;
  switch (what % 16) {
    case 0:
    case 1: negotiate(w, mine, which >> 3 & 15, SYN); break;
    case 2:
    case 3: message(w, any, in, 0, last); break;
    case 4: message(w, any, in, aq_rd_u8(in) * UINT64_C(0x10001), last); break;
    case 5: negotiate(w, theirs, which >> 3 & 15, ACK); break;
    case 6: frame(w, WINDOW, last ? ACK : 0, any, 0x1000u * aq_rd_u8(in), aq_bytes_of(NULL, 0)); break;
    case 7: data_frame(w, FIN, any, aq_bytes_of(NULL, 0)); break;
    case 8: frame(w, WINDOW, RST, any, aq_rd_u8(in), aq_bytes_of(NULL, 0)); break;
    case 9: data_frame(w, 0, any, aq_rd_bytes(in, which >> 3 < in->left ? which >> 3 : in->left)); break;
    case 10: frame(w, PING, last ? ACK : SYN, 0, aq_rd_u8(in), aq_bytes_of(NULL, 0)); break;
    case 11:
      if (which > 200) frame(w, AWAY, 0, 0, which & 3, aq_bytes_of(NULL, 0));
      break;
    case 12: frame(w, WINDOW, SYN, mine, 0x40000, aq_bytes_of(NULL, 0)); break;
    default: fuzz_host_pass(w, which); break;
  }
  fake_env_run_for(&w->loop, AQ_MILLIS(1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static fuzz_host w;
  fuzz_host_start(&w);
  aq_rd in = aq_rd_of(aq_bytes_of(data, len));
  frame(&w, PING, SYN, 0, 0, aq_bytes_of(NULL, 0)); /* the host sees that yamux runs */
  fake_env_run_for(&w.loop, AQ_MILLIS(5));
  for (int i = 0; i < STEPS_MAX && in.left > 1 && !w.closed; i++) step(&w, &in);
  fuzz_host_end(&w);
  return 0;
}
