/* The XX handshake with its signed payload, then records. */
#include "p2p/noise.h"

#include "base/assert.h"
#include "codec/pb.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "libp2p.pb-c.h"

#define SIG_PREFIX "noise-libp2p-static-key:"
enum {
  SIG_PREFIX_LEN = sizeof(SIG_PREFIX) - 1,
  SEALED_KEY_LEN = 32 + AQ_AEAD_TAG,
  PAYLOAD_MAX = 4096,       /* Charon's has about 140 bytes */
  PAYLOAD_ARENA = 64 * 1024 /* what such a payload may unfold to */
};

static const char protocol_name[33] = "Noise_XX_25519_ChaChaPoly_SHA256";
static const uint8_t key_prefix[4] = {0x08, 0x02, 0x12, 0x21};

void aq_libp2p_key(uint8_t out[AQ_LIBP2P_KEY_LEN], const uint8_t pubkey[33]) {
  memcpy(out, key_prefix, sizeof key_prefix);
  memcpy(out + sizeof key_prefix, pubkey, 33);
}

aq_status aq_libp2p_key_parse(uint8_t pubkey[33], aq_bytes in) {
  if (in.len != AQ_LIBP2P_KEY_LEN || memcmp(in.ptr, key_prefix, sizeof key_prefix) != 0) return AQ_E_FORMAT;
  return aq_k1_pubkey_parse(pubkey, aq_bytes_of(in.ptr + sizeof key_prefix, 33));
}

/* ---- the symmetric state ---- */

static void mix_hash(aq_noise *n, aq_bytes data) {
  uint8_t buf[32 + PAYLOAD_MAX + AQ_AEAD_TAG];
  AQ_ASSERT(data.len <= sizeof buf - 32);
  memcpy(buf, n->h, 32);
  if (data.len) memcpy(buf + 32, data.ptr, data.len);
  aq_sha256(n->h, aq_bytes_of(buf, 32 + data.len));
}

static void mix_key(aq_noise *n, const uint8_t dh[32]) {
  uint8_t ck[32];
  aq_noise_hkdf(ck, n->k, n->ck, aq_bytes_of(dh, 32));
  memcpy(n->ck, ck, sizeof ck);
  aq_wipe(ck, sizeof ck);
  n->n = 0;
}

static aq_status mix_dh(aq_noise *n, const uint8_t secret[32], const uint8_t pub[32]) {
  uint8_t dh[32];
  aq_status st = aq_x25519(dh, secret, pub);
  if (st == AQ_OK) mix_key(n, dh);
  aq_wipe(dh, sizeof dh);
  return st;
}

static void seal_hash(aq_noise *n, aq_buf *out, aq_bytes plain) {
  uint8_t sealed[PAYLOAD_MAX + AQ_AEAD_TAG];
  AQ_ASSERT(plain.len <= PAYLOAD_MAX);
  aq_aead_seal(sealed, n->k, n->n++, aq_bytes_of(n->h, 32), plain);
  aq_bytes c = aq_bytes_of(sealed, plain.len + AQ_AEAD_TAG);
  mix_hash(n, c);
  aq_buf_put_bytes(out, c);
}

/* out holds sealed.len - 16 bytes: a static key or a payload, secret to nobody who takes part. */
static aq_status open_hash(aq_noise *n, uint8_t *out, aq_bytes sealed) {
  aq_status st = aq_aead_open(out, n->k, n->n++, aq_bytes_of(n->h, 32), sealed);
  if (st == AQ_OK) {
    AQ_DECLASSIFY(out, sealed.len - AQ_AEAD_TAG);
    mix_hash(n, sealed);
  }
  return st;
}

/* The last key derivation: one key a direction; nothing of the handshake is needed afterwards. */
static void split(aq_noise *n) {
  uint8_t i2r[32], r2i[32];
  aq_noise_hkdf(i2r, r2i, n->ck, aq_bytes_of(NULL, 0));
  memcpy(n->k_out, n->initiator ? i2r : r2i, 32);
  memcpy(n->k_in, n->initiator ? r2i : i2r, 32);
  aq_wipe(i2r, sizeof i2r), aq_wipe(r2i, sizeof r2i);
  aq_wipe(n->ck, sizeof n->ck), aq_wipe(n->k, sizeof n->k);
  aq_wipe(n->s_secret, sizeof n->s_secret), aq_wipe(n->e_secret, sizeof n->e_secret);
  n->key = NULL;
  n->done = true;
  n->muxer = n->muxer && n->remote_muxer;
}

/* ---- the payload ---- */

static void signed_bytes(uint8_t out[SIG_PREFIX_LEN + 32], const uint8_t static_pub[32]) {
  memcpy(out, SIG_PREFIX, SIG_PREFIX_LEN);
  memcpy(out + SIG_PREFIX_LEN, static_pub, 32);
}

static void put_payload(aq_noise *n, aq_buf *out) {
  uint8_t pub[33], id[AQ_LIBP2P_KEY_LEN], msg[SIG_PREFIX_LEN + 32], sig[AQ_K1_DER_MAX];
  aq_k1_pubkey(pub, n->key);
  aq_libp2p_key(id, pub);
  signed_bytes(msg, n->s_pub);
  size_t sig_len = aq_k1_sign_der(sig, n->key, aq_bytes_of(msg, sizeof msg));

  char muxer[] = AQ_NOISE_MUXER;
  char *muxers[] = {muxer};
  Libp2p__NoiseExtensions ext = LIBP2P__NOISE_EXTENSIONS__INIT;
  ext.stream_muxers = muxers;
  ext.n_stream_muxers = 1;
  Libp2p__NoisePayload p = LIBP2P__NOISE_PAYLOAD__INIT;
  p.has_identity_key = p.has_identity_sig = true;
  p.identity_key = (ProtobufCBinaryData){sizeof id, id};
  p.identity_sig = (ProtobufCBinaryData){sig_len, sig};
  p.extensions = n->muxer ? &ext : NULL;
  aq_buf plain = AQ_BUF(PAYLOAD_MAX);
  aq_pb_pack(&plain, &p.base);
  AQ_ASSERT(!plain.failed);
  seal_hash(n, out, aq_buf_bytes(&plain));
  aq_buf_free(&plain);
}

static bool names_muxer(const Libp2p__NoiseExtensions *ext) {
  if (!ext || ext->n_stream_muxers > AQ_NOISE_MUXERS_MAX) return false;
  for (size_t i = 0; i < ext->n_stream_muxers; i++) {
    if (strcmp(ext->stream_muxers[i], AQ_NOISE_MUXER) == 0) return true;
  }
  return false;
}

static aq_status check_payload(aq_noise *n, aq_bytes plain) {
  aq_arena a;
  aq_arena_init(&a, PAYLOAD_ARENA);
  aq_status st = AQ_E_FORMAT;
  const Libp2p__NoisePayload *p = aq_pb_unpack(&a, &libp2p__noise_payload__descriptor, plain);
  if (p && p->has_identity_key && p->has_identity_sig) {
    st = aq_libp2p_key_parse(n->remote, aq_bytes_of(p->identity_key.data, p->identity_key.len));
    if (st == AQ_OK) {
      uint8_t msg[SIG_PREFIX_LEN + 32];
      signed_bytes(msg, n->rs);
      aq_bytes sig = aq_bytes_of(p->identity_sig.data, p->identity_sig.len);
      st = aq_k1_verify_der(n->remote, sig, aq_bytes_of(msg, sizeof msg));
      n->remote_muxer = names_muxer(p->extensions);
    }
  }
  aq_arena_free(&a);
  return st;
}

static aq_status take_payload(aq_noise *n, aq_bytes sealed) {
  uint8_t plain[PAYLOAD_MAX];
  if (sealed.len < AQ_AEAD_TAG) return AQ_E_FORMAT;
  if (sealed.len > PAYLOAD_MAX + AQ_AEAD_TAG) return AQ_E_LIMIT;
  aq_status st = open_hash(n, plain, sealed);
  if (st != AQ_OK) return st;
  return check_payload(n, aq_bytes_of(plain, sealed.len - AQ_AEAD_TAG));
}

/* ---- the three messages ---- */

void aq_noise_init(aq_noise *n, bool initiator, const aq_k1_key *key, const uint8_t secrets[64], bool offer_muxer) {
  memset(n, 0, sizeof *n);
  n->initiator = initiator;
  n->key = key;
  n->muxer = offer_muxer;
  memcpy(n->h, protocol_name, 32);
  memcpy(n->ck, protocol_name, 32);
  memcpy(n->s_secret, secrets, 32);
  memcpy(n->e_secret, secrets + 32, 32);
  aq_x25519_base(n->s_pub, n->s_secret);
  aq_x25519_base(n->e_pub, n->e_secret);
  mix_hash(n, aq_bytes_of(NULL, 0)); /* empty prologue */
}

void aq_noise_wipe(aq_noise *n) { aq_wipe(n, sizeof *n); }

static void frame(aq_buf *out, aq_buf *msg) {
  uint8_t len[2];
  AQ_ASSERT(!msg->failed && msg->len <= AQ_NOISE_MSG_MAX);
  aq_be16_put(len, (uint16_t)msg->len);
  aq_buf_put(out, len, sizeof len);
  aq_buf_put_bytes(out, aq_buf_bytes(msg));
  aq_buf_free(msg);
}

void aq_noise_start(aq_noise *n, aq_buf *out) {
  AQ_ASSERT(n->initiator && n->step == 0);
  aq_buf msg = AQ_BUF(AQ_NOISE_MSG_MAX);
  mix_hash(n, aq_bytes_of(n->e_pub, 32));
  mix_hash(n, aq_bytes_of(NULL, 0));
  aq_buf_put(&msg, n->e_pub, 32);
  frame(out, &msg);
  n->step = 1;
}

/* Responder: message 1 in, message 2 out. */
static aq_status first(aq_noise *n, aq_bytes in, aq_buf *out) {
  if (in.len != 32) return AQ_E_FORMAT; /* no early data (wire.md 2.4) */
  memcpy(n->re, in.ptr, 32);
  mix_hash(n, in);
  mix_hash(n, aq_bytes_of(NULL, 0));
  aq_buf msg = AQ_BUF(AQ_NOISE_MSG_MAX);
  mix_hash(n, aq_bytes_of(n->e_pub, 32));
  aq_buf_put(&msg, n->e_pub, 32);
  aq_status st = mix_dh(n, n->e_secret, n->re);
  if (st == AQ_OK) {
    seal_hash(n, &msg, aq_bytes_of(n->s_pub, 32));
    st = mix_dh(n, n->s_secret, n->re);
  }
  if (st != AQ_OK) {
    aq_buf_free(&msg);
    return st;
  }
  put_payload(n, &msg);
  frame(out, &msg);
  n->step = 2;
  return AQ_OK;
}

/* Initiator: message 2 in, message 3 out. */
static aq_status second(aq_noise *n, aq_bytes in, aq_buf *out) {
  if (in.len < 32 + SEALED_KEY_LEN + AQ_AEAD_TAG) return AQ_E_FORMAT;
  memcpy(n->re, in.ptr, 32);
  mix_hash(n, aq_bytes_of(n->re, 32));
  aq_status st = mix_dh(n, n->e_secret, n->re);
  if (st == AQ_OK) st = open_hash(n, n->rs, aq_bytes_sub(in, 32, SEALED_KEY_LEN));
  if (st == AQ_OK) st = mix_dh(n, n->e_secret, n->rs);
  if (st == AQ_OK) st = take_payload(n, aq_bytes_sub(in, 32 + SEALED_KEY_LEN, in.len - 32 - SEALED_KEY_LEN));
  if (st != AQ_OK) return st;
  aq_buf msg = AQ_BUF(AQ_NOISE_MSG_MAX);
  seal_hash(n, &msg, aq_bytes_of(n->s_pub, 32)); /* same key as payload 2, counter 1 */
  st = mix_dh(n, n->s_secret, n->re);
  if (st != AQ_OK) {
    aq_buf_free(&msg);
    return st;
  }
  put_payload(n, &msg);
  frame(out, &msg);
  split(n);
  return AQ_OK;
}

/* Responder: message 3 in. */
static aq_status third(aq_noise *n, aq_bytes in) {
  if (in.len < SEALED_KEY_LEN + AQ_AEAD_TAG) return AQ_E_FORMAT;
  aq_status st = open_hash(n, n->rs, aq_bytes_sub(in, 0, SEALED_KEY_LEN));
  if (st == AQ_OK) st = mix_dh(n, n->e_secret, n->rs);
  if (st == AQ_OK) st = take_payload(n, aq_bytes_sub(in, SEALED_KEY_LEN, in.len - SEALED_KEY_LEN));
  if (st != AQ_OK) return st;
  split(n);
  return AQ_OK;
}

aq_status aq_noise_handshake(aq_noise *n, aq_bytes msg, aq_buf *out) {
  AQ_ASSERT(!n->done);
  if (n->initiator) return second(n, msg, out);
  return n->step == 0 ? first(n, msg, out) : third(n, msg);
}

/* ---- transport ---- */

size_t aq_noise_seal(aq_noise *n, uint8_t *out, aq_bytes plain) {
  AQ_ASSERT(n->done && plain.len <= AQ_NOISE_PLAIN_MAX);
  size_t len = plain.len + AQ_AEAD_TAG;
  aq_be16_put(out, (uint16_t)len);
  aq_aead_seal(out + 2, n->k_out, n->n_out++, aq_bytes_of(NULL, 0), plain);
  return len + 2;
}

aq_status aq_noise_open(aq_noise *n, uint8_t *out, size_t *out_len, aq_bytes msg) {
  AQ_ASSERT(n->done);
  if (msg.len < AQ_AEAD_TAG) return AQ_E_FORMAT;
  *out_len = msg.len - AQ_AEAD_TAG;
  return aq_aead_open(out, n->k_in, n->n_in++, aq_bytes_of(NULL, 0), msg);
}

aq_status aq_noise_split(aq_bytes *msg, size_t *used, aq_bytes in) {
  *used = 0;
  if (in.len < 2) return AQ_E_AGAIN;
  size_t len = aq_be16_get(in.ptr);
  if (in.len - 2 < len) return AQ_E_AGAIN;
  *msg = aq_bytes_of(in.ptr + 2, len);
  *used = 2 + len;
  return AQ_OK;
}
