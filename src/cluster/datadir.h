/* cluster/datadir.h - the files of a node's data directory: identity key, key lock, cluster lock, keystores, deposit
   data. Blocking file access: commands and start-up only. Spec: cluster.md 1.1, 1.5, 3. Every error line names the
   file and the mend. */
#ifndef AQ_CLUSTER_DATADIR_H
#define AQ_CLUSTER_DATADIR_H

#include "cluster/lock.h"
#include "identity/identity.h"

#define AQ_KEY_FILE "charon-enr-private-key"
#define AQ_LOCK_FILE "cluster-lock.json"
#define AQ_KEYS_DIR "validator_keys"

/* Every file is read by this or aq_secret_file_*: a FIFO, a device, a socket or a directory is refused by name
   (AQ_E_IO) without being opened. At most out->max bytes, AQ_E_LIMIT over it. */
AQ_NODISCARD aq_status aq_file_read(aq_buf *out, const char *path, aq_err *err);
AQ_NODISCARD aq_status aq_file_write(const char *path, aq_bytes data, int mode,
                                     aq_err *err); /* temp file, fsync, rename */

/* A file with a secret, read into `out` (guarded memory of the caller) without a copy elsewhere. AQ_E_LIMIT: over
   max. Refused (AQ_E_IO) when others than its owner may use it, but only warned about on a read-only file system, where
   containers mount secrets with modes that nobody can change. try: whoever may use it, for a file that may not hold a
   secret at all; once it did, private says what read would have. */
enum { AQ_PASSWORD_FILE_MAX = 2048 };
AQ_NODISCARD aq_status aq_secret_file_read(uint8_t *out, size_t *len, size_t max, const char *path, aq_err *err);
AQ_NODISCARD aq_status aq_secret_file_try(uint8_t *out, size_t *len, size_t max, const char *path, aq_err *err);
AQ_NODISCARD aq_status aq_secret_file_private(const char *path, aq_err *err);

/* Creates the directory and its missing parents with that mode; one that is there is fine. */
AQ_NODISCARD aq_status aq_dir_create(const char *path, int mode, aq_err *err);
/* Removes the directory and all below it, without following links; stops at what cannot be removed. */
void aq_dir_remove(const char *path);

AQ_NODISCARD aq_status aq_identity_load(aq_k1_key **out, const char *path, aq_err *err);
AQ_NODISCARD aq_status aq_identity_create(aq_k1_key **out, const char *path,
                                          aq_err *err); /* AQ_E_EXISTS when it is there */
/* For a key that exists already; never over another file (AQ_E_EXISTS). The directory must be there. */
AQ_NODISCARD aq_status aq_identity_store(const char *path, const aq_k1_key *key, aq_err *err);

/* The key lock file beside the key (cluster.md 1.5): refuses when another process is alive or the cluster changed too
   recently. touch each second keeps it. command: our own name. */
AQ_NODISCARD aq_status aq_keylock_take(const char *key_path, const char *command, const char *lock_hash_text,
                                       uint64_t now_ns, aq_err *err);
AQ_NODISCARD aq_status aq_keylock_touch(const char *key_path, const char *command, const char *lock_hash_text,
                                        uint64_t now_ns);

/* All keystore-*.json with their .txt passwords, in order of the number in the name. secrets: guarded memory,
   aq_keys_free wipes. */
typedef struct {
  uint8_t (*secret)[32];
  uint32_t cnt;
  bool sequenced; /* the numbers in the names are exactly 0..cnt-1: entry i belongs to validator i */
} aq_keys;
AQ_NODISCARD aq_status aq_keys_load(aq_keys *out, const char *dir, aq_err *err);
/* Every *.json of the directory and those below it that is an object, each with the .txt of its name, then with every
   other .txt found; in no particular order, so `sequenced` is false. For keys that other programs wrote. */
AQ_NODISCARD aq_status aq_keys_load_any(aq_keys *out, const char *dir, aq_err *err);
/* The public keys that the keystores of aq_keys_load name, without opening them; those that name none are left out.
   *out is the caller's to free. AQ_E_NOTFOUND: no keystores. */
AQ_NODISCARD aq_status aq_keys_pubkeys(uint8_t (**out)[48], uint32_t *cnt, const char *dir, aq_err *err);
void aq_keys_free(aq_keys *k);
/* keystore-<i>.json or keystore-insecure-<i>.json, and the password file beside it. Creates the directory. Slow unless
   insecure: the work is spread over the cores. */
AQ_NODISCARD aq_status aq_keys_store(const char *dir, const uint8_t (*secret)[32], uint32_t cnt, bool insecure,
                                     aq_err *err);

#endif
