/* The entry point: finds the command, reads its options, runs it. `aequa --flag ...` means `aequa run --flag ...`. */
#include "cmd/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/sandbox.h"
#include "base/url.h"
#include "base/utf8.h"
#include "cmd/config_file.h"
#include "crypto/aead.h"

extern char **environ;

extern const aq_command aq_cmd_create_enr, aq_cmd_create_cluster, aq_cmd_enr, aq_cmd_cluster_check;
extern const aq_command aq_cmd_store_check, aq_cmd_store_export, aq_cmd_store_import, aq_cmd_store_dump;
extern const aq_command aq_cmd_beacon, aq_cmd_testnet, aq_cmd_run, aq_cmd_validator, aq_cmd_health, aq_cmd_version,
    aq_cmd_help;

const aq_command *const aq_commands[] = {
    &aq_cmd_run,           &aq_cmd_validator,   &aq_cmd_beacon,         &aq_cmd_testnet,
    &aq_cmd_health,        &aq_cmd_create_enr,  &aq_cmd_create_cluster, &aq_cmd_enr,
    &aq_cmd_cluster_check, &aq_cmd_store_check, &aq_cmd_store_export,   &aq_cmd_store_import,
    &aq_cmd_store_dump,    &aq_cmd_version,     &aq_cmd_help,           NULL,
};

enum { ARENA_MAX = 64 << 20, WORDS_MAX = 3, HELP_MAX = 1 << 20 };

static void complain(const char *fmt, va_list args) {
  fputs("aequa: ", stderr);
  vfprintf(stderr, fmt, args);
  fputc('\n', stderr);
}

int aq_cmd_fail(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  complain(fmt, args);
  va_end(args);
  return AQ_EXIT_FAILED;
}

int aq_cmd_usage_error(const aq_command *cmd, const char *fmt, ...) {
  va_list args;
  fprintf(stderr, "see aequa %s --help\n", cmd->name); /* first: the reason is the last line */
  va_start(args, fmt);
  complain(fmt, args);
  va_end(args);
  return AQ_EXIT_USAGE;
}

/* ---- help ---- */

static void put_commands(aq_buf *out) {
  aq_buf_put_str(out, "usage: aequa COMMAND [flags]\n\ncommands:\n");
  for (const aq_command *const *c = aq_commands; *c; c++) aq_buf_printf(out, "  %-18s %s\n", (*c)->name, (*c)->summary);
  aq_buf_put_str(out,
                 "\nFlags without a command mean \"aequa run\". aequa COMMAND --help shows the flags of a command.\n");
}

static void put_command(aq_buf *out, const aq_command *cmd) {
  aq_buf_printf(out, "usage: aequa %s%s", cmd->name, cmd->option_cnt ? " [flags]" : "");
  aq_buf_printf(out, "%s%s\n\n%s\n", cmd->args ? " " : "", cmd->args ? cmd->args : "", cmd->summary);
  if (cmd->text) aq_buf_printf(out, "\n%s\n", cmd->text);
  if (cmd->option_cnt == 0) return;
  aq_buf_put_str(out, "\nflags:\n");
  aq_options_usage(out, cmd->option, cmd->option_cnt);
  aq_buf_put_str(out,
                 "\nEvery flag can also be set as AEQUA_<FLAG> or CHARON_<FLAG> in the environment,\n"
                 "or by its name in charon.json, charon.toml, charon.yaml or charon.yml.\n");
}

void aq_cmd_print_help(const aq_command *cmd, bool to_stderr) {
  aq_buf text = AQ_BUF(HELP_MAX);
  if (cmd)
    put_command(&text, cmd);
  else
    put_commands(&text);
  fputs(aq_buf_cstr(&text), to_stderr ? stderr : stdout);
  aq_buf_free(&text);
}

/* ---- finding the command ---- */

/* The command with the most words that match; *used is their number. */
static const aq_command *find_command(int argc, char **argv, int *used) {
  char name[AQ_OPT_NAME_MAX] = "";
  const aq_command *found = NULL;
  for (int w = 0; w < argc && w < WORDS_MAX && argv[w][0] != '-'; w++) {
    size_t len = strlen(name);
    snprintf(name + len, sizeof name - len, "%s%s", w ? " " : "", argv[w]);
    for (const aq_command *const *c = aq_commands; *c; c++) {
      if (strcmp((*c)->name, name) == 0) found = *c, *used = w + 1;
    }
  }
  return found;
}

static const aq_command *command_by_name(const char *name) {
  for (const aq_command *const *c = aq_commands; *c; c++) {
    if (strcmp((*c)->name, name) == 0) return *c;
  }
  return NULL;
}

/* ---- running it ---- */

/* What follows a blank in a list of addresses is a word, and may hold a password. */
static const char *shown(char out[AQ_URL_SITE_MAX + 1], const char *word) {
  if (strstr(word, "://") || strchr(word, '@'))
    aq_url_site(out, word);
  else
    snprintf(out, 64, "%s", word);
  aq_text_clean(out);
  return out[0] ? out : "...";
}

static int check_args(const aq_command *cmd, const aq_options *opt) {
  char word[AQ_URL_SITE_MAX + 1];
  if (opt->arg_cnt < cmd->arg_min) return aq_cmd_usage_error(cmd, "%s is missing", cmd->args);
  if (opt->arg_cnt > cmd->arg_max && !cmd->args_ignored) {
    return aq_cmd_usage_error(cmd, "unexpected argument \"%s\"", shown(word, opt->arg[cmd->arg_max]));
  }
  for (size_t i = cmd->arg_max; i < opt->arg_cnt; i++) {
    const char *hint = strstr(opt->arg[i], "://") ? ": a list with blanks stands in quotes" : "";
    fprintf(stderr, "aequa: the word \"%s\" is not used%s\n", shown(word, opt->arg[i]), hint);
  }
  /* Charon takes the flag alone, which is true, and drops the word. */
  if (opt->denied) fprintf(stderr, "aequa: \"--%s false\" is taken as --%s=false\n", opt->denied, opt->denied);
  return AQ_EXIT_OK;
}

static int run_command(const aq_command *cmd, const char *program, int argc, char **argv) {
  aq_arena arena;
  aq_arena_init(&arena, ARENA_MAX);
  aq_opt_input in = {.argc = argc, .argv = (const char *const *)argv, .env = (const char *const *)environ};
  aq_options opt;
  aq_err err = {AQ_OK, ""};
  void *cfg = aq_arena_alloc(&arena, cmd->cfg_size ? cmd->cfg_size : 1);
  if (!cfg) return aq_cmd_fail("out of memory");
  int rc = AQ_EXIT_OK;
  aq_config_file file;
  char line[AQ_CONFIG_LINE_MAX];
  aq_status st = aq_config_file_load(&file, &arena, &err);
  if (aq_config_file_announce(line, &file)) fprintf(stderr, "aequa: %s\n", line);
  in.file = file.pair, in.file_cnt = file.cnt;
  if (st != AQ_OK) {
    rc = aq_cmd_fail("%s", err.text);
  } else if (aq_options_parse(&opt, cfg, &arena, cmd->option, cmd->option_cnt, &in, &err) != AQ_OK) {
    aq_cmd_print_help(cmd, true); /* first: the reason is the last line */
    fprintf(stderr, "\naequa: %s\n", err.text);
    rc = AQ_EXIT_USAGE;
  } else if (opt.help) {
    aq_cmd_print_help(cmd, false);
  } else if ((rc = check_args(cmd, &opt)) == AQ_EXIT_OK) {
    rc = cmd->run(&(aq_cmd_ctx){&opt, &arena, program}, cfg);
  }
  aq_arena_free(&arena);
  return rc;
}

/* What a command printed must be out before it has succeeded: a full disk shows only here. */
static int flushed(int rc) {
  bool good = fflush(stdout) == 0 && !ferror(stdout);
  return good || rc != AQ_EXIT_OK ? rc : aq_cmd_fail("cannot write all of the output: is the disk of stdout full?");
}

int main(int argc, char **argv) {
  const char *program = argc > 0 ? argv[0] : "aequa";
  int used = 0;
  argc = argc > 0 ? argc - 1 : 0, argv++;
  aq_process_harden();
  aq_crypto_init();
  const aq_command *cmd = find_command(argc, argv, &used);
  bool is_flag = argc > 0 && argv[0][0] == '-';
  bool is_help =
      is_flag && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "-help") == 0);
  if (is_help && argc == 1) {
    aq_cmd_print_help(NULL, false);
    return flushed(AQ_EXIT_OK);
  }
  if (is_flag && strcmp(argv[0], "--version") == 0)
    cmd = command_by_name("version"), used = 1;
  else if (is_flag || argc == 0)
    cmd = command_by_name("run");
  if (cmd) return flushed(run_command(cmd, program, argc - used, argv + used));
  aq_cmd_print_help(NULL, true);
  if (argc > 0 && !is_flag) fprintf(stderr, "\naequa: there is no command \"%s\"\n", argv[0]);
  return AQ_EXIT_USAGE;
}
