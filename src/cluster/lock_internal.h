/* cluster/lock_internal.h - what the files of the lock module share. */
#ifndef AQ_CLUSTER_LOCK_INTERNAL_H
#define AQ_CLUSTER_LOCK_INTERNAL_H

#include "cluster/deposit.h"
#include "cluster/hash_tree.h"
#include "cluster/lock.h"

/* Lengths of hex members are not checked while parsing (cluster.md 2.2): what does not fit the fixed fields of
   aq_lock is kept as a reason and reported at the stage where the reference notices it. NULL: nothing wrong. */
typedef struct {
  const char *config_hash, *definition_hash, *lock_hash; /* hash stage */
  const char *aggregate, *share, *registration, *node;   /* signature stage */
} aq_lock_late;

enum {
  AQ_K1_SIG_LEN = 65,
  AQ_K1_SIGS_MAX = 32 /* pieces of a v1.11 contract wallet signature */
};

/* Limits of ByteList members, which both hashing and writing know. */
enum { AQ_NAME_MAX = 256, AQ_UUID_MAX = 64, AQ_VERSION_MAX = 16, AQ_TIMESTAMP_MAX = 32, AQ_ALGORITHM_MAX = 32 };

/* Stage "parse". definition_only: the document is a definition. */
AQ_NODISCARD aq_status aq_lock_parse(aq_lock **out, aq_lock_late *late, aq_bytes json, bool definition_only,
                                     aq_err *err);

/* The leaves of a definition's container, 32 bytes each, without (config hash) or with what operators add later. */
AQ_NODISCARD aq_status aq_definition_leaves(aq_buf *out, const aq_definition *d, bool config_only, aq_err *err);
/* AQ_E_FORMAT when a member cannot be hashed: the reason in err. The definition root uses d->config_hash as it
   stands. */
AQ_NODISCARD aq_status aq_definition_root(uint8_t out[32], const aq_definition *d, bool config_only, aq_err *err);
AQ_NODISCARD aq_status aq_lock_root(uint8_t out[32], const aq_lock *l, aq_err *err);

/* Stages "hashes" and "signatures"; reasons come without the stage. network: of the fork version, NULL when unknown. */
AQ_NODISCARD aq_status aq_definition_verify_hashes(const aq_definition *d, const aq_lock_late *late, aq_err *err);
AQ_NODISCARD aq_status aq_lock_verify_hashes(const aq_lock *l, const aq_lock_late *late, aq_err *err);
AQ_NODISCARD aq_status aq_definition_verify_signatures(const aq_definition *d, const aq_network *network, aq_err *err);
AQ_NODISCARD aq_status aq_lock_verify_signatures(const aq_lock *l, const aq_lock_late *late, const aq_network *network,
                                                 aq_err *err);

#endif
