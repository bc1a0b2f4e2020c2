/* sim/rng.h - the randomness of the simulators: xoshiro256**, seeded by splitmix64. Header only. */
#ifndef AQ_SIM_RNG_H
#define AQ_SIM_RNG_H

#include <stdint.h>

typedef struct {
  uint64_t s[4];
} sim_rng;

static inline void sim_rng_seed(sim_rng *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    r->s[i] = z ^ z >> 31;
  }
}

static inline uint64_t sim_rng_rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

static inline uint64_t sim_rng_next(sim_rng *r) {
  uint64_t *s = r->s, result = sim_rng_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t;
  s[3] = sim_rng_rotl(s[3], 45);
  return result;
}

/* 0 <= result < below; 0 for below 0. */
static inline uint64_t sim_rng_below(sim_rng *r, uint64_t below) { return below ? sim_rng_next(r) % below : 0; }

#endif
