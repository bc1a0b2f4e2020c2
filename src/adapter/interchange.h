/* adapter/interchange.h - the slashing protection interchange of EIP-3076, format 5, between a file and the journal of
   the store; and reports on a store for `aequa store`. Limits: files of 256 MiB. An import only raises the watermark of
   each validator (the EIP's minification): all that it forbids stays forbidden, whatever is pruned. */
#ifndef AQ_ADAPTER_INTERCHANGE_H
#define AQ_ADAPTER_INTERCHANGE_H

#include "adapter/sqlite_db.h"

enum { AQ_INTERCHANGE_MAX = 256 << 20, AQ_DB_REPORT_MAX = 1 << 20 }; /* of a report: a line a table or fault */

/* A validator has two keys at one operator: the share, which the operator's client signs with, and the group's. Client
   databases and the files of clients name shares, the store of a node names groups. */
typedef enum { AQ_KEYS_SHARE, AQ_KEYS_GROUP } aq_key_kind;
typedef struct {
  uint8_t share[48], group[48];
} aq_key_pair;

typedef struct {
  const aq_key_pair *pair; /* the keys of this operator */
  uint32_t cnt;            /* 0: they are not known, and every key is taken as it is named */
  aq_key_kind journal;     /* which of the two the records of this store name */
} aq_interchange_keys;

typedef struct {
  size_t validators, blocks, attestations;
  size_t known;       /* validators of the file that are of this operator; 0 when no keys are given */
  size_t absent;      /* imports: this operator's keys that the file lacks */
  bool network_known; /* imports: the file's network was compared with what is known or proven */
} aq_interchange_stats;

/* root: genesis validators root, or NULL: the recorded one (AQ_E_NOTFOUND without one). AQ_E_UNKNOWN: a beacon node has
   proven another. as: which keys the file names; those that are not of this operator stay as they are. */
AQ_NODISCARD aq_status aq_interchange_export(aq_db *db, const uint8_t *root, const aq_interchange_keys *keys,
                                             aq_key_kind as, aq_buf *out, aq_interchange_stats *stats, aq_err *err);

typedef struct {
  const uint8_t *root; /* of the network that the file must be of, NULL: not known, then the recorded one counts */
  const char *network; /* who says so, for the text; "" without root */
  aq_interchange_keys keys;
  bool only_shares, only_groups; /* which keys of the file count as known; none set: both kinds */
  bool force;                    /* takes a file that names none of the keys, or no validator at all */
} aq_interchange_import_cfg;

/* All or nothing. Keys of this operator are recorded under the journal's name of them, others as they are.
   AQ_E_UNKNOWN: another network; AQ_E_NOTFOUND: none of the keys is known here; AQ_E_FORMAT, AQ_E_IO. A root that only
   an earlier import recorded gives way to cfg->root, with what that import forbade; one that a beacon node has proven
   never does. */
AQ_NODISCARD aq_status aq_interchange_import(aq_db *db, const aq_interchange_import_cfg *cfg, aq_bytes text,
                                             aq_interchange_stats *stats, aq_err *err);

/* The full integrity check; appends one line a finding and the counts. AQ_E_IO when something is wrong. */
AQ_NODISCARD aq_status aq_db_check(aq_db *db, aq_buf *out);
/* Every row as one line of JSON, values longer than 64 bytes as their length. */
AQ_NODISCARD aq_status aq_db_dump(aq_db *db, void (*line)(void *arg, aq_bytes line), void *arg);

#endif
