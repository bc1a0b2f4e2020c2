/* The handshake against vectors, recorded peers and changed bytes. */
#include "p2p/noise.h"

#include "aq_test.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

typedef struct {
  aq_noise n;
  aq_k1_key *key;
  aq_buf out;
} side;

static void side_init(side *s, yyjson_val *v, bool initiator, bool muxer) {
  aq_buf stat = aq_test_hex_of(v, "static_private"), eph = aq_test_hex_of(v, "ephemeral_private");
  aq_buf id = aq_test_hex_of(v, "identity_private_key");
  uint8_t secrets[64];
  memcpy(secrets, stat.ptr, 32), memcpy(secrets + 32, eph.ptr, 32);
  assert_int_equal(aq_k1_key_new(&s->key, id.ptr), AQ_OK);
  aq_noise_init(&s->n, initiator, s->key, secrets, muxer);
  s->out = AQ_BUF(AQ_NOISE_FRAME_MAX);
  aq_buf_free(&stat), aq_buf_free(&eph), aq_buf_free(&id);
}

static void side_free(side *s) {
  aq_noise_wipe(&s->n);
  aq_k1_key_free(s->key);
  aq_buf_free(&s->out);
}

static void assert_hex(yyjson_val *v, const char *name, const uint8_t *got, size_t len) {
  aq_buf want = aq_test_hex_of(v, name);
  assert_bytes(aq_bytes_of(got, len), aq_buf_bytes(&want));
  aq_buf_free(&want);
}

static aq_status pass(side *from, side *to) {
  aq_bytes msg;
  size_t used;
  assert_int_equal(aq_noise_split(&msg, &used, aq_buf_bytes(&from->out)), AQ_OK);
  assert_int_equal(used, from->out.len);
  aq_buf_reset(&to->out);
  return aq_noise_handshake(&to->n, msg, &to->out);
}

static void check_frames(side *i, side *r, yyjson_val *frames) {
  size_t idx, max;
  yyjson_val *v;
  yyjson_arr_foreach(frames, idx, max, v) {
    bool i2r = strcmp(aq_test_str(v, "direction"), "initiator_to_responder") == 0;
    aq_noise *from = i2r ? &i->n : &r->n, *to = i2r ? &r->n : &i->n;
    aq_buf plain = aq_test_hex_of(v, "plaintext");
    uint8_t frame[256], back[256];
    size_t len = aq_noise_seal(from, frame, aq_buf_bytes(&plain)), back_len;
    assert_hex(v, "frame", frame, len);
    assert_int_equal(aq_noise_open(to, back, &back_len, aq_bytes_of(frame + 2, len - 2)), AQ_OK);
    assert_bytes(aq_bytes_of(back, back_len), aq_buf_bytes(&plain));
    aq_buf_free(&plain);
  }
}

static void check_large(side *i, yyjson_val *v) {
  static uint8_t plain[70000], frame[AQ_NOISE_FRAME_MAX];
  size_t idx, max, off = 0;
  yyjson_val *f;
  for (size_t k = 0; k < sizeof plain; k++) plain[k] = (uint8_t)(7 * k);
  yyjson_arr_foreach(yyjson_obj_get(v, "frames"), idx, max, f) {
    size_t len = sizeof plain - off < AQ_NOISE_PLAIN_MAX ? sizeof plain - off : AQ_NOISE_PLAIN_MAX;
    assert_int_equal(len, aq_test_u64(f, "plaintext_len"));
    size_t sealed = aq_noise_seal(&i->n, frame, aq_bytes_of(plain + off, len));
    assert_int_equal(sealed, aq_test_u64(f, "frame_len"));
    uint8_t hash[32];
    aq_sha256(hash, aq_bytes_of(frame, sealed));
    assert_hex(f, "frame_sha256", hash, 32);
    off += len;
  }
  assert_int_equal(off, sizeof plain);
}

/* Goal: every byte of both reference handshakes, the hash after each message, the keys and the transport frames come
   out. Method: both sides run with the vector's keys. */
static void vectors(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("wire/noise_xx.json");
  size_t idx, max;
  yyjson_val *c;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "cases"), idx, max, c) {
    bool muxer = strcmp(aq_test_str(c, "name"), "without_extension") != 0;
    side i, r;
    side_init(&i, yyjson_obj_get(c, "initiator"), true, muxer);
    side_init(&r, yyjson_obj_get(c, "responder"), false, muxer);
    assert_hex(c, "h_after_prologue", i.n.h, 32);
    aq_noise_start(&i.n, &i.out);
    assert_hex(c, "message1_framed", i.out.ptr, i.out.len);
    assert_hex(c, "h_after_message1", i.n.h, 32);
    assert_int_equal(pass(&i, &r), AQ_OK);
    assert_hex(c, "message2_framed", r.out.ptr, r.out.len);
    assert_hex(c, "h_after_message2", r.n.h, 32);
    assert_int_equal(pass(&r, &i), AQ_OK);
    assert_hex(c, "message3_framed", i.out.ptr, i.out.len);
    assert_hex(c, "h_after_message3", i.n.h, 32);
    assert_int_equal(pass(&i, &r), AQ_OK);
    assert_true(i.n.done && r.n.done);
    assert_int_equal(i.n.muxer, muxer);
    assert_int_equal(r.n.muxer, muxer);
    assert_hex(c, "key_initiator_to_responder", i.n.k_out, 32);
    assert_hex(c, "key_responder_to_initiator", r.n.k_out, 32);
    uint8_t pub[33];
    aq_k1_pubkey(pub, i.key);
    assert_memory_equal(r.n.remote, pub, 33);
    aq_k1_pubkey(pub, r.key);
    assert_memory_equal(i.n.remote, pub, 33);
    check_frames(&i, &r, yyjson_obj_get(c, "transport"));
    if (yyjson_obj_get(c, "large_write")) check_large(&i, yyjson_obj_get(c, "large_write"));
    side_free(&i), side_free(&r);
  }
  yyjson_doc_free(doc);
}

static void pair(side *i, side *r) {
  yyjson_doc *doc = aq_test_json("wire/noise_xx.json");
  yyjson_val *c = yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "cases"));
  side_init(i, yyjson_obj_get(c, "initiator"), true, true);
  side_init(r, yyjson_obj_get(c, "responder"), false, true);
  yyjson_doc_free(doc);
}

/* Runs the handshake with message `which` (1 to 3) changed: byte at flipped, or cut to at bytes. True: somebody
   refused. */
static bool refused(int which, size_t at, bool cut) {
  side i, r;
  pair(&i, &r);
  aq_noise_start(&i.n, &i.out);
  aq_status st = AQ_OK;
  side *from = &i, *to = &r;
  for (int m = 1; m <= 3 && st == AQ_OK; m++) {
    aq_bytes msg = aq_bytes_of(from->out.ptr + 2, from->out.len - 2);
    if (m == which && cut) msg.len = at;
    if (m == which && !cut) from->out.ptr[2 + at] ^= 0x20;
    aq_buf_reset(&to->out);
    st = aq_noise_handshake(&to->n, msg, &to->out);
    side *swap = from;
    from = to, to = swap;
  }
  side_free(&i), side_free(&r);
  return st != AQ_OK;
}

/* Goal: no changed or shortened handshake passes.
   Method: every byte of every message flipped, every message cut at every length. */
static void tampering(void **state) {
  (void)state;
  size_t len[4] = {0, 32, 224, 192};
  for (int m = 1; m <= 3; m++) {
    for (size_t at = 0; at < len[m]; at++) {
      /* The top bit of a public key is ignored by X25519, but not by the hash: bit 5 is flipped. */
      assert_true(refused(m, at, false));
      assert_true(refused(m, at, true));
    }
  }
}

/* Goal: a low-order point gives no shared key.
   Method: message 1 is zeros. */
static void low_order(void **state) {
  (void)state;
  side i, r;
  pair(&i, &r);
  uint8_t zero[32] = {0};
  assert_int_equal(aq_noise_handshake(&r.n, aq_bytes_of(zero, 32), &r.out), AQ_E_AUTH);
  side_free(&i), side_free(&r);
}

/* Goal: a changed, repeated or too short transport message is fatal, an empty one is fine.
   Method: one sealed message each. */
static void transport(void **state) {
  (void)state;
  side i, r;
  pair(&i, &r);
  aq_noise_start(&i.n, &i.out);
  assert_int_equal(pass(&i, &r), AQ_OK);
  assert_int_equal(pass(&r, &i), AQ_OK);
  assert_int_equal(pass(&i, &r), AQ_OK);
  uint8_t frame[64], out[64];
  size_t len = aq_noise_seal(&i.n, frame, aq_bytes_of(NULL, 0)), out_len;
  assert_int_equal(aq_noise_open(&r.n, out, &out_len, aq_bytes_of(frame + 2, len - 2)), AQ_OK);
  assert_int_equal(out_len, 0);
  len = aq_noise_seal(&i.n, frame, aq_bytes_str("hello"));
  memcpy(out, frame + 2, len - 2);
  assert_int_equal(aq_noise_open(&r.n, out, &out_len, aq_bytes_of(out, len - 2)), AQ_OK); /* in place */
  assert_bytes(aq_bytes_of(out, out_len), aq_bytes_str("hello"));
  assert_int_equal(aq_noise_open(&r.n, out, &out_len, aq_bytes_of(frame + 2, len - 2)), AQ_E_AUTH);
  assert_int_equal(aq_noise_open(&r.n, out, &out_len, aq_bytes_of(frame, 15)), AQ_E_FORMAT);
  aq_bytes msg;
  size_t used;
  assert_int_equal(aq_noise_split(&msg, &used, aq_bytes_of(frame, len - 1)), AQ_E_AGAIN);
  assert_int_equal(aq_noise_split(&msg, &used, aq_bytes_of(frame, 1)), AQ_E_AGAIN);
  side_free(&i), side_free(&r);
}

static int setup(void **state) {
  (void)state;
  aq_crypto_init();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors),
      cmocka_unit_test(tampering),
      cmocka_unit_test(low_order),
      cmocka_unit_test(transport),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
