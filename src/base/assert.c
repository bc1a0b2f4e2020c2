/* The one way out: said on stderr, since the log may be what is broken. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

AQ_NORETURN void aq_assert_failed(const char *file, int line, const char *expr) {
  fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
  fflush(stderr);
  abort();
}
