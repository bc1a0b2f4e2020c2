/* Numbers of a seed, the same on every machine. */
#include "fake/rng.h"

#include "base/bytes.h"

uint64_t fake_splitmix(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

void fake_rng_seed(fake_rng *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) r->s[i] = fake_splitmix(&seed);
}

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

uint64_t fake_rng_next(fake_rng *r) {
  uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return result;
}

uint64_t fake_rng_below(fake_rng *r, uint64_t below) { return below ? fake_rng_next(r) % below : 0; }

void fake_rng_bytes(fake_rng *r, void *out, size_t len) {
  uint8_t *at = out;
  for (; len >= 8; at += 8, len -= 8) aq_le64_put(at, fake_rng_next(r));
  for (uint64_t v = fake_rng_next(r); len > 0; len--, v >>= 8) *at++ = (uint8_t)v;
}
