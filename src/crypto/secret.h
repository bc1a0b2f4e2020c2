/* crypto/secret.h - how secrets are kept: guarded memory, text forms in constant time, clearing of what a call leaves
   below on the stack, and the marks for the constant-time test (test/ctime). Every long-lived secret of the program
   lies in memory of aq_guarded_alloc. Keeps nothing itself. */
#ifndef AQ_CRYPTO_SECRET_H
#define AQ_CRYPTO_SECRET_H

#include "base/bytes.h"

/* ---- guarded memory ---- */

/* cnt * size bytes between unreadable pages (libsodium): not in core dumps, not in swap where RLIMIT_MEMLOCK allows.
   Whole pages a call, so not for many small things. NULL: no memory. The content is not zero. */
void *aq_guarded_alloc(size_t cnt, size_t size);
void aq_guarded_free(void *ptr);     /* wipes; NULL is fine */
void aq_guarded_readonly(void *ptr); /* until freed; NULL is fine */

/* ---- text ---- */

/* 2*len lower-case digits and a 0: out holds 2*len+1. No table, no branch on a digit. */
void aq_secret_hex_encode(char *out, const uint8_t *in, size_t len);
/* Exactly 2*len digits of either case without prefix; AQ_E_FORMAT else, and out is zero then. Only whether it is hex
   shows in the time. */
AQ_NODISCARD aq_status aq_secret_hex_decode(uint8_t *out, size_t len, aq_bytes text);
/* Without the blanks, tabs and line ends around it; only their number shows in the time. */
aq_bytes aq_secret_trim(aq_bytes text);

/* ---- the stack and the registers ---- */

/* Overwrites 16 KiB of stack below the caller's frame, and the vector registers: what libraries that do not clean up
   after themselves left there. Called after an operation with a secret, last; about 0.1 us. */
void aq_stack_clear(void);

/* ---- constant time ---- */

/* The value becomes public here (a signature, a public key, whether a check held): from this line on branches may
   depend on it. In the constant-time test it tells valgrind so; else it is only a barrier that keeps the compiler from
   mixing the code before with the branch after. */
#ifdef AQ_CTIME
#include <valgrind/memcheck.h>
#define AQ_DECLASSIFY(ptr, len) ((void)VALGRIND_MAKE_MEM_DEFINED((ptr), (len)))
#else
#define AQ_DECLASSIFY(ptr, len) AQ_BARRIER(ptr)
#endif

#endif
