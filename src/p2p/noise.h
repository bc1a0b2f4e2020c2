/* p2p/noise.h - Noise_XX_25519_ChaChaPoly_SHA256 with libp2p's signed payload, then encrypted transport. Spec:
   wire.md 2.4. Bytes in, bytes out; randomness comes from the caller. Does not judge who the other side is: the
   caller compares `remote`. Every Noise message, in the handshake and after it, is u16be length and at most 65535
   bytes. */
#ifndef AQ_P2P_NOISE_H
#define AQ_P2P_NOISE_H

#include "base/bytes.h"
#include "crypto/k1.h"

enum {
  AQ_NOISE_MSG_MAX = 65535,
  AQ_NOISE_PLAIN_MAX = 65535 - 16, /* plaintext of one transport message */
  AQ_NOISE_FRAME_MAX = 2 + AQ_NOISE_MSG_MAX,
  AQ_NOISE_MUXERS_MAX = 100 /* longer lists are ignored */
};

#define AQ_NOISE_MUXER "/yamux/1.0.0"

typedef struct {
  /* both sides; wiped as soon as they are not needed */
  uint8_t ck[32], h[32], k[32];
  uint64_t n;
  uint8_t s_secret[32], s_pub[32], e_secret[32], e_pub[32], rs[32], re[32];
  uint8_t k_out[32], k_in[32];
  uint64_t n_out, n_in;
  const aq_k1_key *key; /* identity, borrowed until the handshake is done */
  uint8_t step;         /* handshake messages written or read */
  bool initiator, done;
  bool muxer; /* after done: both sides named yamux, no further negotiation */
  bool remote_muxer;
  uint8_t remote[33]; /* after done: compressed identity key, its signature verified */
} aq_noise;

/* secrets: two X25519 secrets, static then ephemeral, fresh for each connection. offer_muxer false leaves the
   extension out. */
void aq_noise_init(aq_noise *n, bool initiator, const aq_k1_key *key, const uint8_t secrets[64], bool offer_muxer);
void aq_noise_wipe(aq_noise *n);

/* The initiator's first message, with its length prefix. */
void aq_noise_start(aq_noise *n, aq_buf *out);
/* One whole handshake message without its prefix; the answer, if there is one, is appended to out with its prefix.
   AQ_E_FORMAT, AQ_E_AUTH: close. n->done afterwards says whether transport begins. */
AQ_NODISCARD aq_status aq_noise_handshake(aq_noise *n, aq_bytes msg, aq_buf *out);

/* Transport. seal: plain.len <= AQ_NOISE_PLAIN_MAX; out holds plain.len + 18; returns that number. plain may lie at
   out + 2. */
size_t aq_noise_seal(aq_noise *n, uint8_t *out, aq_bytes plain);
/* msg without prefix; out holds msg.len - 16 bytes and may be msg itself. AQ_E_AUTH is fatal for the connection. */
AQ_NODISCARD aq_status aq_noise_open(aq_noise *n, uint8_t *out, size_t *out_len, aq_bytes msg);

/* A message with its prefix at the front of in: a view of its body; AQ_E_AGAIN: incomplete. */
AQ_NODISCARD aq_status aq_noise_split(aq_bytes *msg, size_t *used, aq_bytes in);

/* libp2p PublicKey protobuf of a secp256k1 key and back (wire.md 1.2); exactly 37 bytes. */
enum { AQ_LIBP2P_KEY_LEN = 37 };
void aq_libp2p_key(uint8_t out[AQ_LIBP2P_KEY_LEN], const uint8_t pubkey[33]);
AQ_NODISCARD aq_status aq_libp2p_key_parse(uint8_t pubkey[33], aq_bytes in);

#endif
