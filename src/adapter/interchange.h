/* adapter/interchange.h - the slashing protection interchange of EIP-3076, format 5, between a file and the journal of
   the store; and reports on a store for `aequa store`. Limits: files of 256 MiB. An import only raises the watermark of
   each validator (the EIP's minification): all that it forbids stays forbidden, whatever is pruned. */
#ifndef AQ_ADAPTER_INTERCHANGE_H
#define AQ_ADAPTER_INTERCHANGE_H

#include "adapter/sqlite_db.h"

enum { AQ_INTERCHANGE_MAX = 256 << 20 };

typedef struct {
  size_t validators, blocks, attestations;
} aq_interchange_stats;

/* root: genesis validators root, or NULL: the one that an import recorded (AQ_E_NOTFOUND without one). */
AQ_NODISCARD aq_status aq_interchange_export(aq_db *db, const uint8_t *root, aq_buf *out, aq_interchange_stats *stats,
                                             aq_err *err);
/* All or nothing. root: what the file must carry, NULL: what is recorded, or anything the first time. AQ_E_UNKNOWN for
   another root, AQ_E_FORMAT, AQ_E_IO. */
AQ_NODISCARD aq_status aq_interchange_import(aq_db *db, const uint8_t *root, aq_bytes text, aq_interchange_stats *stats,
                                             aq_err *err);

/* The full integrity check; appends one line a finding and the counts. AQ_E_IO when something is wrong. */
AQ_NODISCARD aq_status aq_db_check(aq_db *db, aq_buf *out);
/* Every row as one line of JSON, values longer than 64 bytes as their length. */
AQ_NODISCARD aq_status aq_db_dump(aq_db *db, void (*line)(void *arg, aq_bytes line), void *arg);

#endif
