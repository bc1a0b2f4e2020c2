/* cmd/config_file.h - the configuration file in the working directory: the first of charon.json, charon.toml,
   charon.yaml, charon.yml that exists. Flat, keys are flag names. Spec: cluster.md 5.2. */
#ifndef AQ_CMD_CONFIG_FILE_H
#define AQ_CMD_CONFIG_FILE_H

#include "base/option.h"

enum { AQ_CONFIG_FILE_MAX = 1 << 20 };

/* No file: AQ_OK and no pairs. err names the file. */
AQ_NODISCARD aq_status aq_config_file_load(const aq_opt_pair **out, size_t *cnt, aq_arena *arena, aq_err *err);

#endif
