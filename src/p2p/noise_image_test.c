/* What a handshake leaves in the process's memory. */
#include "aq_test.h"

#include "crypto/aead.h"
#include "crypto/secret.h"
#include "image_scan.h"
#include "p2p/noise.h"

enum { LEN = 32, MASK = AQ_NEEDLE_MASK };

static void flip(uint8_t *out, const uint8_t *in, size_t len) {
  for (size_t i = 0; i < len; i++) out[i] = in[i] ^ MASK;
}

static void add(aq_needles *n, const char *name, const uint8_t *plain) {
  uint8_t hidden[LEN];
  flip(hidden, plain, LEN);
  aq_needles_add(n, name, hidden, LEN, true);
}

static void nothing_left(const aq_needles *n) {
  char where[160];
  size_t found = aq_image_scan(where, n);
  if (found) fail_msg("%zu copies are left, the first of %s", found, where);
}

typedef struct {
  aq_noise side[2];
} pair;

static void pass(aq_noise *to, aq_buf *from, aq_buf *answer, aq_status want) {
  aq_bytes msg;
  size_t used;
  assert_int_equal(aq_noise_split(&msg, &used, aq_buf_bytes(from)), AQ_OK);
  assert_int_equal(aq_noise_handshake(to, msg, answer), want);
}

/* A pair in guarded memory with fresh secrets, which are looked for from now on. */
static pair *pair_new(aq_needles *n, aq_k1_key *const key[2]) {
  uint8_t secrets[64];
  pair *p = aq_guarded_alloc(1, sizeof *p);
  assert_non_null(p);
  for (unsigned i = 0; i < 2; i++) {
    aq_system_random(secrets, sizeof secrets);
    add(n, "static secret", secrets);
    add(n, "ephemeral secret", secrets + 32);
    aq_noise_init(&p->side[i], i == 0, key[i], secrets, true);
  }
  aq_wipe(secrets, sizeof secrets);
  return p;
}

/* Goal: once the handshake is done its secrets are nowhere, and the keys of the connection end with it.
   Method: two sides shake hands and exchange a message; the image is searched before and after they are freed. */
static void test_connection(void **state) {
  (void)state;
  aq_k1_key *key[2] = {aq_k1_key_generate(), aq_k1_key_generate()};
  aq_needles n = {.cnt = 0};
  aq_buf msg[3] = {AQ_BUF(4096), AQ_BUF(4096), AQ_BUF(4096)};
  uint8_t frame[64];
  aq_bytes body;
  size_t len;
  pair *p = pair_new(&n, key);
  aq_noise_start(&p->side[0], &msg[0]);
  pass(&p->side[1], &msg[0], &msg[1], AQ_OK);
  add(&n, "chaining key", p->side[1].ck);
  pass(&p->side[0], &msg[1], &msg[2], AQ_OK);
  pass(&p->side[1], &msg[2], &msg[0], AQ_OK);
  assert_true(p->side[0].done && p->side[1].done);
  nothing_left(&n);
  for (unsigned i = 0; i < 2; i++) {
    len = aq_noise_seal(&p->side[i], frame, aq_bytes_str("hello"));
    assert_int_equal(aq_noise_split(&body, &len, aq_bytes_of(frame, len)), AQ_OK);
    assert_int_equal(aq_noise_open(&p->side[1 - i], frame + 2, &len, body), AQ_OK);
    add(&n, "transport key", p->side[i].k_out);
  }
  char where[160];
  assert_int_equal(aq_image_scan(where, &n), 4); /* both keys, on both sides */
  aq_guarded_free(p);
  nothing_left(&n);
  for (unsigned i = 0; i < 2; i++) aq_k1_key_free(key[i]);
  for (unsigned i = 0; i < 3; i++) aq_buf_free(&msg[i]);
}

/* Goal: a handshake that fails leaves nothing either.
   Method: the second message with one bit changed; a peer whose ephemeral key is a point of small order. */
static void test_broken_handshake(void **state) {
  (void)state;
  aq_k1_key *key[2] = {aq_k1_key_generate(), aq_k1_key_generate()};
  for (unsigned which = 0; which < 2; which++) {
    aq_needles n = {.cnt = 0};
    aq_buf msg[3] = {AQ_BUF(4096), AQ_BUF(4096), AQ_BUF(4096)};
    pair *p = pair_new(&n, key);
    aq_noise_start(&p->side[0], &msg[0]);
    if (which) memset(msg[0].ptr + 2, 0, 32);
    pass(&p->side[1], &msg[0], &msg[1], which ? AQ_E_AUTH : AQ_OK);
    if (!which) {
      add(&n, "chaining key", p->side[1].ck);
      msg[1].ptr[40] ^= 1;
      pass(&p->side[0], &msg[1], &msg[2], AQ_E_AUTH);
    }
    aq_guarded_free(p);
    nothing_left(&n);
    for (unsigned i = 0; i < 3; i++) aq_buf_free(&msg[i]);
  }
  for (unsigned i = 0; i < 2; i++) aq_k1_key_free(key[i]);
}

int main(void) {
  aq_crypto_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_connection),
      cmocka_unit_test(test_broken_handshake),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
