/* The other side of a handshake that does not keep to the rules: the module itself is taken in, so that a message
   can be
   put together from its parts with one of them wrong. */
#include "p2p/noise.c"

#include "aq_test.h"

/* What the liar puts into its payload. */
typedef struct {
  uint8_t id[64]; /* libp2p public key */
  size_t id_len;
  bool has_id, has_sig;
  const aq_k1_key *signer;
  uint8_t signed_pub[32]; /* the static key that the signature is for */
  size_t sig_len;         /* 0: the whole signature */
  size_t padding;         /* surplus bytes, as stream muxers */
} lie;

static aq_k1_key *key_of(uint8_t fill) {
  uint8_t secret[32];
  aq_k1_key *k;
  memset(secret, fill, sizeof secret);
  assert_int_equal(aq_k1_key_new(&k, secret), AQ_OK);
  return k;
}

static void side_init(aq_noise *n, bool initiator, const aq_k1_key *key) {
  uint8_t secrets[64];
  memset(secrets, initiator ? 0x11 : 0x22, 32);
  memset(secrets + 32, initiator ? 0x33 : 0x44, 32);
  aq_noise_init(n, initiator, key, secrets, true);
}

static void put_lie(aq_noise *n, aq_buf *out, lie *l) {
  uint8_t text[SIG_PREFIX_LEN + 32], sig[AQ_K1_DER_MAX];
  char *muxer = calloc(1, l->padding + 1);
  assert_non_null(muxer);
  memset(muxer, 'x', l->padding);
  signed_bytes(text, l->signed_pub);
  size_t len = aq_k1_sign_der(sig, l->signer, aq_bytes_of(text, sizeof text));
  Libp2p__NoiseExtensions ext = LIBP2P__NOISE_EXTENSIONS__INIT;
  ext.stream_muxers = &muxer;
  ext.n_stream_muxers = l->padding ? 1 : 0;
  Libp2p__NoisePayload p = LIBP2P__NOISE_PAYLOAD__INIT;
  p.has_identity_key = l->has_id;
  p.identity_key = (ProtobufCBinaryData){l->id_len, l->id};
  p.has_identity_sig = l->has_sig;
  p.identity_sig = (ProtobufCBinaryData){l->sig_len ? l->sig_len : len, sig};
  p.extensions = &ext;
  aq_buf plain = AQ_BUF(2 * PAYLOAD_MAX), sealed = AQ_BUF(2 * PAYLOAD_MAX + AQ_AEAD_TAG);
  aq_pb_pack(&plain, &p.base);
  uint8_t *to = aq_buf_extend(&sealed, plain.len + AQ_AEAD_TAG);
  assert_non_null(to);
  aq_aead_seal(to, n->k, n->n++, aq_bytes_of(n->h, 32), aq_buf_bytes(&plain)); /* nothing follows: no hash */
  aq_buf_put_bytes(out, aq_buf_bytes(&sealed));
  aq_buf_free(&plain), aq_buf_free(&sealed);
  free(muxer);
}

/* Message 3 of an initiator with a payload of its own: second() but for that. */
static void forge_third(aq_noise *n, aq_bytes in, aq_buf *out, lie *l) {
  memcpy(n->re, in.ptr, 32);
  mix_hash(n, aq_bytes_of(n->re, 32));
  assert_int_equal(mix_dh(n, n->e_secret, n->re), AQ_OK);
  assert_int_equal(open_hash(n, n->rs, aq_bytes_sub(in, 32, SEALED_KEY_LEN)), AQ_OK);
  assert_int_equal(mix_dh(n, n->e_secret, n->rs), AQ_OK);
  assert_int_equal(take_payload(n, aq_bytes_sub(in, 32 + SEALED_KEY_LEN, in.len - 32 - SEALED_KEY_LEN)), AQ_OK);
  seal_hash(n, out, aq_bytes_of(n->s_pub, 32));
  assert_int_equal(mix_dh(n, n->s_secret, n->re), AQ_OK);
  put_lie(n, out, l);
}

/* What an honest responder says to it; *remote: whom it takes the other side for. */
static aq_status verdict(lie *l, const aq_k1_key *mine, const aq_k1_key *theirs, bool *believed) {
  aq_noise i, r;
  uint8_t claimed[33];
  aq_buf first_msg = AQ_BUF(AQ_NOISE_FRAME_MAX), second_msg = AQ_BUF(AQ_NOISE_FRAME_MAX), third_msg = AQ_BUF(1 << 16);
  aq_buf none = AQ_BUF(AQ_NOISE_FRAME_MAX);
  side_init(&i, true, mine);
  side_init(&r, false, theirs);
  if (l->signed_pub[0] == 0) memcpy(l->signed_pub, i.s_pub, 32);
  aq_noise_start(&i, &first_msg);
  assert_int_equal(aq_noise_handshake(&r, aq_bytes_of(first_msg.ptr + 2, first_msg.len - 2), &second_msg), AQ_OK);
  forge_third(&i, aq_bytes_of(second_msg.ptr + 2, second_msg.len - 2), &third_msg, l);
  aq_status st = aq_noise_handshake(&r, aq_buf_bytes(&third_msg), &none);
  memcpy(claimed, l->id + 4, 33);
  *believed = r.done && memcmp(r.remote, claimed, 33) == 0;
  aq_noise_wipe(&i), aq_noise_wipe(&r);
  aq_buf_free(&first_msg), aq_buf_free(&second_msg), aq_buf_free(&third_msg), aq_buf_free(&none);
  return st;
}

static lie honest(const aq_k1_key *key) {
  uint8_t pub[33];
  lie l = {.has_id = true, .has_sig = true, .signer = key, .id_len = AQ_LIBP2P_KEY_LEN};
  aq_k1_pubkey(pub, key);
  aq_libp2p_key(l.id, pub);
  return l;
}

static void expect(lie l, aq_status want) {
  aq_k1_key *mine = key_of(5), *theirs = key_of(6);
  bool believed;
  assert_int_equal(verdict(&l, mine, theirs, &believed), want);
  assert_int_equal(believed, want == AQ_OK);
  aq_k1_key_free(mine), aq_k1_key_free(theirs);
}

/* Goal: nobody is taken for the owner of a key that did not sign this connection's static key (wire.md 2.4).
   Method: an honest payload put together by hand; then another signer, another static key, half a signature, no
   signature, no key. */
static void identities(void **state) {
  (void)state;
  aq_k1_key *mine = key_of(5), *victim = key_of(7);
  lie l = honest(mine);
  expect(l, AQ_OK);
  l = honest(victim);
  l.signer = mine;
  expect(l, AQ_E_AUTH);
  l = honest(mine);
  memset(l.signed_pub, 9, sizeof l.signed_pub); /* as another connection had it */
  expect(l, AQ_E_AUTH);
  l = honest(mine);
  l.sig_len = 20;
  expect(l, AQ_E_FORMAT);
  l = honest(mine);
  l.has_sig = false;
  expect(l, AQ_E_FORMAT);
  l = honest(mine);
  l.has_id = false;
  expect(l, AQ_E_FORMAT);
  aq_k1_key_free(mine), aq_k1_key_free(victim);
}

/* Goal: a key of another kind or form is no identity, and a payload has a limit.
   Method: Ed25519's number, one byte more and less, no point; a payload of 4096 bytes and one of more. */
static void forms(void **state) {
  (void)state;
  aq_k1_key *mine = key_of(5);
  lie l = honest(mine);
  l.id[1] = 1;
  expect(l, AQ_E_FORMAT);
  for (int more = -1; more <= 1; more += 2) {
    l = honest(mine);
    l.id_len = (size_t)(AQ_LIBP2P_KEY_LEN + more);
    expect(l, AQ_E_FORMAT);
  }
  l = honest(mine);
  l.id[4] = 5;
  expect(l, AQ_E_FORMAT);
  l = honest(mine);
  l.padding = PAYLOAD_MAX - 200;
  expect(l, AQ_OK);
  l.padding = PAYLOAD_MAX;
  expect(l, AQ_E_LIMIT);
  aq_k1_key_free(mine);
}

static int setup(void **state) {
  (void)state;
  aq_crypto_init();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(identities), cmocka_unit_test(forms)};
  return cmocka_run_group_tests(tests, setup, NULL);
}
