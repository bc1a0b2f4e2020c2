/* cmd/cmd.h - what a command is. To add one: write cmd_<name>.c with `const aq_command aq_cmd_<name>`, and add one
   row to the table in main.c. Flags, environment, configuration file, --help and usage errors are handled before run
   is called. */
#ifndef AQ_CMD_CMD_H
#define AQ_CMD_CMD_H

#include "base/option.h"

typedef struct {
  const aq_options *opt; /* which values were given, and the arguments that are no flags */
  aq_arena *arena;       /* lives until the process ends */
  const char *program;   /* argv[0] */
} aq_cmd_ctx;

typedef struct aq_command {
  const char *name;    /* "run", "create enr" */
  const char *summary; /* one line, lower case, no full stop */
  const char *args;    /* names of the arguments for the usage line, NULL: none allowed */
  size_t arg_min, arg_max;
  bool args_ignored; /* surplus arguments: a line each, no error (as Charon's create cluster, run, version) */
  const char *text;  /* more help, NULL: none */
  const aq_option *option;
  size_t option_cnt;
  size_t cfg_size;                              /* of the struct that the options fill; zeroed */
  int (*run)(const aq_cmd_ctx *ctx, void *cfg); /* the exit status: 0, 1 failed, 2 usage, 3 safety (contract.md 1.3) */
} aq_command;

enum { AQ_EXIT_OK = 0, AQ_EXIT_FAILED = 1, AQ_EXIT_USAGE = 2, AQ_EXIT_SAFETY = 3 };

/* "aequa: <text>" on stderr; returns AQ_EXIT_FAILED. */
int aq_cmd_fail(const char *fmt, ...) AQ_PRINTF(1, 2);
/* For values that parse but contradict each other: the message and a pointer to --help; returns AQ_EXIT_USAGE. */
int aq_cmd_usage_error(const aq_command *cmd, const char *fmt, ...) AQ_PRINTF(2, 3);

/* The row of --no-sandbox, the same for every command that has it; member: bool. */
#define AQ_NO_SANDBOX_OPTION(cfg, member)                                                    \
  {                                                                                          \
    .flag = "no-sandbox", .kind = AQ_OPT_BOOL, .off = offsetof(cfg, member), .def = "false", \
    .help = "run without limits on system calls (docs/operate.md)"                           \
  }

extern const aq_command *const aq_commands[];                  /* the table, ended by NULL */
void aq_cmd_print_help(const aq_command *cmd, bool to_stderr); /* NULL: the list of commands */

#endif
