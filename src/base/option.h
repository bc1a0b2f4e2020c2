/* base/option.h - one table of options drives flags, environment variables, the configuration file, defaults and help
   of every command. Pure: works on the arrays it is given, so that it can be tested. Spec: contract.md 1.1 and 2,
   cluster.md 5.2. Highest first: flag, AEQUA_<FLAG>, the row's own variables, CHARON_<FLAG>, configuration file,
   default. In variable names '-' and '.' become '_'; an empty variable counts as not set. Other names of a flag have
   variables and file keys too. Flags: --name value, --name=value, one dash or two, anywhere among the arguments; "--"
   ends them. A boolean may stand alone, or before the word true or false. Text values point into argv, the
   environment, the pairs or the arena: all must outlive the configuration. */
#ifndef AQ_BASE_OPTION_H
#define AQ_BASE_OPTION_H

#include "base/arena.h"
#include "base/bytes.h"

typedef enum {
  AQ_OPT_STR,      /* const char *, never NULL: "" when there is no default */
  AQ_OPT_PATH,     /* the same; shown as PATH */
  AQ_OPT_BOOL,     /* bool; true: 1 t true yes on, false: 0 f false no off, any case */
  AQ_OPT_U64,      /* uint64_t, decimal */
  AQ_OPT_DURATION, /* uint64_t nanoseconds: "300ms", "2s", "1m30s", "1.5h", "0" */
  AQ_OPT_LIST      /* aq_opt_list; one CSV record, blanks around its fields do not count; a repeated flag appends, an
                      empty value is the empty list */
} aq_opt_kind;

typedef struct {
  const char **item;
  size_t cnt;
} aq_opt_list;

enum { AQ_OPT_ROWS_MAX = 256, AQ_OPT_LIST_MAX = 10000, AQ_OPT_ARGS_MAX = 64, AQ_OPT_NAME_MAX = 80 };

typedef struct {
  const char *flag;  /* without dashes */
  const char *other; /* other names of the flag, separated by blanks, or NULL */
  const char *env;   /* more variables, whole names separated by blanks, or NULL */
  aq_opt_kind kind;
  size_t off;      /* of the member in the command's configuration, whose type is that of the kind */
  const char *def; /* as text; NULL: zero, "", empty list */
  const char *help;
  bool required, hidden; /* hidden: not in the usage text */
  bool secret;           /* no error shows the value */
  bool no_effect;        /* another program's, taken so that its command line works; whoever gives it is told */
} aq_option;

/* A row: {.flag = "nodes", .kind = AQ_OPT_U64, .off = offsetof(my_cfg, nodes), .def = "4", .help = "number of nodes"}
   */

typedef enum { AQ_OPT_DEFAULT, AQ_OPT_FILE, AQ_OPT_CHARON_ENV, AQ_OPT_ENV, AQ_OPT_FLAG } aq_opt_source;

typedef struct {
  const char *key, *value; /* one line of the configuration file */
} aq_opt_pair;

typedef struct {
  int argc; /* without the program's and the command's name */
  const char *const *argv;
  const char *const *env; /* "NAME=value", ended by NULL; NULL: none */
  const aq_opt_pair *file;
  size_t file_cnt;
} aq_opt_input;

typedef struct {
  const aq_option *row;
  size_t cnt;
  aq_opt_source source[AQ_OPT_ROWS_MAX]; /* where each row's value comes from */
  const char *arg[AQ_OPT_ARGS_MAX];      /* what is no flag, in order */
  size_t arg_cnt;
  const char *denied; /* a boolean flag with the word false behind it, NULL: none */
  bool help;          /* --help or -h was there: everything else may be incomplete */
} aq_options;

/* Fills the configuration at cfg. AQ_E_FORMAT: unknown flag, missing or wrong value, required value missing;
   AQ_E_LIMIT. err is one line without the program's name. Own faults of the table are asserted. */
AQ_NODISCARD aq_status aq_options_parse(aq_options *out, void *cfg, aq_arena *arena, const aq_option *row, size_t cnt,
                                        const aq_opt_input *in, aq_err *err);

/* Source of the value of a flag of the table (asserted). */
aq_opt_source aq_options_source(const aq_options *o, const char *flag);
static inline bool aq_options_given(const aq_options *o, const char *flag) {
  return aq_options_source(o, flag) != AQ_OPT_DEFAULT;
}

/* The flags of a table as text, one or two lines each, for --help. */
void aq_options_usage(aq_buf *out, const aq_option *row, size_t cnt);

/* "key: value" (YAML) or "key = value" (TOML) lines, flat; '#' starts a comment line or a comment after a blank;
   quotes around a value are taken off. A list, "[a, b]" over any lines or "- a" lines below its key, becomes CSV. A
   byte order mark at the start is skipped. The pairs live in the arena. AQ_E_FORMAT names the line. */
AQ_NODISCARD aq_status aq_options_file(aq_opt_pair **out, size_t *cnt, aq_arena *arena, aq_bytes text, aq_err *err);

/* Appends an item to a CSV record as AQ_OPT_LIST reads it. */
void aq_csv_put(aq_buf *out, bool first, aq_bytes item);

/* The value forms, for other readers. */
AQ_NODISCARD aq_status aq_bool_parse(bool *out, const char *text);
AQ_NODISCARD aq_status aq_duration_parse(uint64_t *out_ns, const char *text);
AQ_NODISCARD aq_status aq_csv_parse(aq_opt_list *out, aq_arena *arena, const char *text); /* replaces *out */

#endif
