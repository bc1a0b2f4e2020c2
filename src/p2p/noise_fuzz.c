/* Includes the module itself: its check of a payload lies behind encryption that no input would pass. */
#include "p2p/noise.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void messages(bool initiator, const aq_k1_key *key, aq_bytes in) {
  uint8_t secrets[64];
  memset(secrets, 7, sizeof secrets);
  aq_noise n;
  aq_buf out = AQ_BUF(AQ_NOISE_FRAME_MAX);
  aq_noise_init(&n, initiator, key, secrets, true);
  if (initiator) aq_noise_start(&n, &out);
  aq_status st = AQ_OK;
  while (st == AQ_OK && !n.done) {
    aq_bytes msg;
    size_t used;
    st = aq_noise_split(&msg, &used, in);
    if (st != AQ_OK) break;
    in = aq_bytes_sub(in, used, in.len - used);
    st = aq_noise_handshake(&n, msg, &out);
  }
  aq_noise_wipe(&n);
  aq_buf_free(&out);
}

/* First byte: 0 a payload, 1 messages for the responder, 2 for the initiator, 3 transport messages. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static aq_k1_key *key;
  static const uint8_t secret[32] = {1};
  if (!key) {
    aq_crypto_init();
    if (aq_k1_key_new(&key, secret) != AQ_OK) return 0;
  }
  if (len == 0) return 0;
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  aq_noise n = {.done = true};
  size_t out_len;
  uint8_t out[1024];
  aq_status st;
  switch (data[0] & 3) {
    case 0:
      if (in.len > PAYLOAD_MAX) break;
      st = check_payload(&n, in);
      (void)st;
      break;
    case 3:
      if (in.len > sizeof out) break;
      st = aq_noise_open(&n, out, &out_len, in);
      (void)st;
      break;
    default: messages(data[0] & 2, key, in); break;
  }
  return 0;
}
