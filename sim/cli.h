/* sim/cli.h - what the command lines of the simulators share. Header only. */
#ifndef AQ_SIM_CLI_H
#define AQ_SIM_CLI_H

#include <time.h>

#include "base/hex.h"

/* text NULL: there was no argument left. */
static inline bool cli_number(uint64_t *out, const char *text) {
  return text && aq_u64_parse(out, aq_bytes_str(text)) == AQ_OK;
}

static inline double cli_seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
