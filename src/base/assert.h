/* base/assert.h - assertions that stay on in release. A failed one prints file, line and expression to stderr and
   aborts: a safety bug becomes a liveness bug. Never used on bytes from a peer, a file or HTTP: those get a status.
   An assertion only looks: what it calls changes nothing (tools/lint_faults.py has the names). AQ_MUST is for a call
   that does something and must not fail, so that nobody takes it for a check that may go. */
#ifndef AQ_BASE_ASSERT_H
#define AQ_BASE_ASSERT_H

#include "base/compiler.h"

AQ_NORETURN void aq_assert_failed(const char *file, int line, const char *expr);

#define AQ_ASSERT(expr) (AQ_LIKELY(expr) ? (void)0 : aq_assert_failed(__FILE__, __LINE__, #expr))

#define AQ_MUST(call) AQ_ASSERT(call)

#ifdef AQ_DEBUG_CHECKS
#define AQ_DEBUG_ASSERT(expr) AQ_ASSERT(expr)
#else
#define AQ_DEBUG_ASSERT(expr) ((void)0)
#endif

#endif
