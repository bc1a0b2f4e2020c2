/* cmd/config_file.h - the configuration file in the working directory: the first of charon.json, charon.toml,
   charon.yaml, charon.yml that exists. Flat, keys are flag names. Spec: cluster.md 5.2. */
#ifndef AQ_CMD_CONFIG_FILE_H
#define AQ_CMD_CONFIG_FILE_H

#include "base/option.h"

enum { AQ_CONFIG_FILE_MAX = 1 << 20, AQ_CONFIG_LINE_MAX = 256 };

typedef struct {
  const char *name; /* of the file that is used, NULL: none is there */
  const aq_opt_pair *pair;
  size_t cnt;
  const char *ignored; /* another one that is there, too, NULL: none */
} aq_config_file;

/* No file: AQ_OK and no pairs. err names the file. */
AQ_NODISCARD aq_status aq_config_file_load(aq_config_file *out, aq_arena *arena, aq_err *err);
/* The line that says so: a file that nobody thought of must not set anything in silence. Names of settings, no values.
   false: there is no file. */
bool aq_config_file_announce(char out[AQ_CONFIG_LINE_MAX], const aq_config_file *f);

#endif
