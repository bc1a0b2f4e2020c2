/* crypto/k1_internal.h - the one secp256k1 context: made and randomised once, read only afterwards, so any thread
   may use it. */
#ifndef AQ_CRYPTO_K1_INTERNAL_H
#define AQ_CRYPTO_K1_INTERNAL_H

#include <secp256k1.h>

const secp256k1_context *aq_k1_ctx(void);

#endif
