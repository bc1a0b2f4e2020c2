/* cluster/overrides.h - builder registrations made after the lock: who changes a validator's fee recipient has the
   cluster sign a newer one, and all nodes get the file that Charon's `feerecipient fetch` writes. Spec: cluster.md 3.6.
   Only the fee recipients are used; registrations are not sent. The file is read at the start, not watched. */
#ifndef AQ_CLUSTER_OVERRIDES_H
#define AQ_CLUSTER_OVERRIDES_H

#include "cluster/lock.h"

enum {
  AQ_OVERRIDES_BYTES_MAX = 16 << 20,
  AQ_OVERRIDES_ENTRY = 600 /* bytes, about */
};
_Static_assert(2 * AQ_OVERRIDES_ENTRY * AQ_VALIDATORS_MAX <= AQ_OVERRIDES_BYTES_MAX, "all validators, and white space");

/* Takes for each validator the newest registration that is newer than the lock's; *taken: how many validators have one.
   Keys that the lock does not have are passed over, but one entry that is malformed or whose signature is wrong
   (AQ_E_AUTH) refuses the whole file, and nothing is taken. */
AQ_NODISCARD aq_status aq_overrides_take(aq_lock *l, uint32_t *taken, aq_bytes json, aq_err *err);

#endif
