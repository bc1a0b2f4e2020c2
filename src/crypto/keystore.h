/* crypto/keystore.h - EIP-2335 keystores, read and written, scrypt and PBKDF2. Spec: cluster.md 3.2. Slow by design:
   run it on a worker or in a command. */
#ifndef AQ_CRYPTO_KEYSTORE_H
#define AQ_CRYPTO_KEYSTORE_H

#include "crypto/password.h"

typedef enum { AQ_KEYSTORE_SCRYPT, AQ_KEYSTORE_PBKDF2 } aq_keystore_kdf;

typedef struct {
  aq_keystore_kdf kdf;
  bool insecure;           /* the tiny costs that Charon uses for insecure keys: tests and test networks only */
  const char *path;        /* EIP-2334 derivation path, may be "" */
  const char *description; /* may be NULL */
} aq_keystore_opts;

/* Parses JSON of at most 64 KiB and decrypts. The password is taken as EIP-2335 says (crypto/password.h) and, when that
   is not it, as the bytes that it is: some programs do not normalise, and one that is not UTF-8 has no other form.
   AQ_E_AUTH: wrong password. AQ_E_FORMAT: broken, or its pubkey is another key's. The caller wipes secret. */
AQ_NODISCARD aq_status aq_keystore_read(uint8_t secret[32], aq_bytes json, aq_bytes password, aq_err *err);
/* AQ_E_FORMAT: the password is not UTF-8, or path or description cannot be written. */
AQ_NODISCARD aq_status aq_keystore_write(aq_buf *json, const uint8_t secret[32], aq_bytes password,
                                         const aq_keystore_opts *opts);

#endif
