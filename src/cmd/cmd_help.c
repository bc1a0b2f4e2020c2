/* `aequa help`: a command's own usage, or the list of all. */
#include "cmd/cmd.h"

#include <stdio.h>

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  (void)cfg;
  char name[AQ_OPT_NAME_MAX] = "";
  for (size_t i = 0; i < ctx->opt->arg_cnt; i++) {
    size_t len = strlen(name);
    snprintf(name + len, sizeof name - len, "%s%s", i ? " " : "", ctx->opt->arg[i]);
  }
  const aq_command *cmd = NULL;
  for (const aq_command *const *c = aq_commands; *name && *c; c++) {
    if (strcmp((*c)->name, name) == 0) cmd = *c;
  }
  if (*name && !cmd) return aq_cmd_fail("there is no command \"%s\"", name);
  aq_cmd_print_help(cmd, false);
  return AQ_EXIT_OK;
}

const aq_command aq_cmd_help = {
    .name = "help",
    .summary = "show the commands, or the flags of one",
    .args = "[COMMAND]",
    .arg_max = 3,
    .run = run,
};
