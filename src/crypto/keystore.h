/* crypto/keystore.h - EIP-2335 keystores, read and written, scrypt and PBKDF2. Spec: cluster.md 3.2. Slow by design:
   run it on a worker or in a command. */
#ifndef AQ_CRYPTO_KEYSTORE_H
#define AQ_CRYPTO_KEYSTORE_H

#include "base/bytes.h"

typedef enum { AQ_KEYSTORE_SCRYPT, AQ_KEYSTORE_PBKDF2 } aq_keystore_kdf;

typedef struct {
  aq_keystore_kdf kdf;
  bool insecure;           /* the tiny costs that Charon uses for insecure keys: tests and test networks only */
  const char *path;        /* EIP-2334 derivation path, may be "" */
  const char *description; /* may be NULL */
} aq_keystore_opts;

enum { AQ_KEYSTORE_PASSWORD_MAX = 1024 };

/* Parses JSON of at most 64 KiB and decrypts. Control characters of the password are stripped as EIP-2335 says. NFKD is
   not done: a non-ASCII password works when it is in that form already, else AQ_E_UNSUPPORTED; writing refuses it.
   AQ_E_AUTH: wrong password. The caller wipes secret. */
AQ_NODISCARD aq_status aq_keystore_read(uint8_t secret[32], aq_bytes json, aq_bytes password, aq_err *err);
AQ_NODISCARD aq_status aq_keystore_write(aq_buf *json, const uint8_t secret[32], aq_bytes password,
                                         const aq_keystore_opts *opts);

#endif
