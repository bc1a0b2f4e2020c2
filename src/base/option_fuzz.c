/* Values, lists and whole command lines. Input: lines; those that begin with '$' are environment variables, those that
   begin with '-' or '!' (dropped) arguments, all others the configuration file. Whatever comes, the result is a status
   with a reason, values lie within their kinds, and a flag wins over the environment and that over the file. */
#include "base/option.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { LINES_MAX = 64, TEXT_MAX = 1 << 16 };

typedef struct {
  const char *name, *dir;
  bool on;
  uint64_t nodes, wait_ns;
  aq_opt_list list;
} cfg;

static const aq_option rows[] = {
    {.flag = "name", .kind = AQ_OPT_STR, .off = offsetof(cfg, name), .help = "h"},
    {.flag = "data-dir", .other = "dir p2p.dir", .kind = AQ_OPT_PATH, .off = offsetof(cfg, dir), .def = "."},
    {.flag = "on", .kind = AQ_OPT_BOOL, .off = offsetof(cfg, on), .def = "true"},
    {.flag = "nodes", .env = "NODE_COUNT N", .kind = AQ_OPT_U64, .off = offsetof(cfg, nodes), .def = "4"},
    {.flag = "wait", .kind = AQ_OPT_DURATION, .off = offsetof(cfg, wait_ns), .def = "2s"},
    {.flag = "list", .kind = AQ_OPT_LIST, .off = offsetof(cfg, list), .def = "x,y"},
};

typedef struct {
  const char *arg[LINES_MAX], *env[LINES_MAX + 1];
  int arg_cnt;
  size_t env_cnt;
  aq_buf file;
} split;

static void split_lines(split *s, char *text) {
  for (char *end; *text; text = end) {
    end = text + strcspn(text, "\n");
    if (*end) *end++ = 0;
    if (*text == '$' && s->env_cnt < LINES_MAX) {
      s->env[s->env_cnt++] = text + 1;
    } else if ((*text == '-' || *text == '!') && s->arg_cnt < LINES_MAX) {
      s->arg[s->arg_cnt++] = *text == '!' ? text + 1 : text;
    } else {
      aq_buf_put_str(&s->file, text);
      aq_buf_put_u8(&s->file, '\n');
    }
  }
}

static void values(aq_arena *a, const char *text) {
  aq_opt_list list;
  uint64_t ns;
  bool b;
  aq_status st = aq_bool_parse(&b, text);
  (void)st;
  if (aq_duration_parse(&ns, text) == AQ_OK) AQ_ASSERT(strpbrk(text, "0123456789"));
  if (aq_csv_parse(&list, a, text) != AQ_OK) return;
  AQ_ASSERT(list.cnt <= AQ_OPT_LIST_MAX);
  for (size_t i = 0; i < list.cnt; i++) AQ_ASSERT(strlen(list.item[i]) <= strlen(text));
}

static void check(const aq_options *o, const cfg *c, const split *s) {
  AQ_ASSERT(c->name && c->dir && o->arg_cnt <= AQ_OPT_ARGS_MAX);
  for (size_t i = 0; i < c->list.cnt; i++) AQ_ASSERT(c->list.item[i]);
  for (size_t i = 0; i < AQ_COUNT(rows); i++) {
    aq_opt_source from = aq_options_source(o, rows[i].flag);
    AQ_ASSERT(from != AQ_OPT_FLAG || s->arg_cnt > 0);
    AQ_ASSERT((from != AQ_OPT_ENV && from != AQ_OPT_CHARON_ENV) || s->env_cnt > 0);
    AQ_ASSERT(from != AQ_OPT_FILE || s->file.len > 0);
  }
  if (aq_options_source(o, "nodes") == AQ_OPT_DEFAULT) AQ_ASSERT(c->nodes == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len > TEXT_MAX) return 0;
  aq_arena a;
  aq_arena_init(&a, 4 << 20);
  char *text = aq_arena_str(&a, aq_bytes_of(data, len));
  values(&a, text);
  split s = {.file = AQ_BUF(2 * TEXT_MAX)};
  split_lines(&s, text);
  aq_err err = {AQ_OK, ""};
  aq_opt_pair *pair = NULL;
  aq_opt_input in = {.argc = s.arg_cnt, .argv = s.arg, .env = s.env};
  cfg c = {.name = NULL};
  aq_options o;
  aq_status st = aq_options_file(&pair, &in.file_cnt, &a, aq_buf_bytes(&s.file), &err);
  in.file = pair;
  if (st == AQ_OK) st = aq_options_parse(&o, &c, &a, rows, AQ_COUNT(rows), &in, &err);
  AQ_ASSERT(st == AQ_OK || err.text[0]);
  if (st == AQ_OK && !o.help) check(&o, &c, &s);
  aq_buf_free(&s.file);
  aq_arena_free(&a);
  return 0;
}
