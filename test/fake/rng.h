/* fake/rng.h - the randomness of doubles and simulators: xoshiro256**, seeded by splitmix64. The same seed gives the
   same numbers everywhere. Not for keys. */
#ifndef AQ_FAKE_RNG_H
#define AQ_FAKE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint64_t s[4];
} fake_rng;

uint64_t fake_splitmix(uint64_t *state); /* the next number of a small generator, whose state may be any number */

void fake_rng_seed(fake_rng *r, uint64_t seed);
uint64_t fake_rng_next(fake_rng *r);
uint64_t fake_rng_below(fake_rng *r, uint64_t below);    /* 0 <= result < below; 0 for below 0, and draws nothing */
void fake_rng_bytes(fake_rng *r, void *out, size_t len); /* a number for each 8 bytes, and one for the rest */

#endif
