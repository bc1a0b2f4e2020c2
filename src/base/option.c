/* Each source is asked in the order of its rank, and the row's kind says how its text becomes a value. */
#include "base/option.h"

#include <ctype.h>
#include <strings.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/time.h"

/* ---- values ---- */

static bool word_is(const char *text, const char *const *word, size_t cnt) {
  for (size_t i = 0; i < cnt; i++) {
    if (strcasecmp(text, word[i]) == 0) return true;
  }
  return false;
}

aq_status aq_bool_parse(bool *out, const char *text) {
  static const char *const yes[] = {"1", "t", "true", "yes", "on"}, *const no[] = {"0", "f", "false", "no", "off"};
  bool is_yes = word_is(text, yes, AQ_COUNT(yes));
  if (!is_yes && !word_is(text, no, AQ_COUNT(no))) return AQ_E_FORMAT;
  *out = is_yes;
  return AQ_OK;
}

static uint64_t unit_ns(const char **at) {
  static const struct {
    const char *name;
    uint64_t ns;
  } unit[] = {{"ns", 1},
              {"us", AQ_NS_PER_US},
              {"\xc2\xb5s", AQ_NS_PER_US},
              {"ms", AQ_NS_PER_MS},
              {"s", AQ_NS_PER_SEC},
              {"m", 60 * AQ_NS_PER_SEC},
              {"h", 3600 * AQ_NS_PER_SEC}};
  for (size_t i = 0; i < AQ_COUNT(unit); i++) {
    size_t len = strlen(unit[i].name);
    if (strncmp(*at, unit[i].name, len) == 0) {
      *at += len;
      return unit[i].ns;
    }
  }
  return 0;
}

/* One "<decimal><unit>" of a duration. */
static aq_status duration_part(uint64_t *sum, const char **at) {
  uint64_t whole = 0, frac = 0, scale = 1;
  const char *start = *at;
  for (; isdigit((unsigned char)**at); (*at)++) {
    if (__builtin_mul_overflow(whole, 10u, &whole) || __builtin_add_overflow(whole, (uint64_t)(**at - '0'), &whole))
      return AQ_E_LIMIT;
  }
  size_t digits = (size_t)(*at - start);
  if (**at == '.') {
    for ((*at)++; isdigit((unsigned char)**at); (*at)++, digits++) {
      if (scale < 100000) frac = frac * 10 + (uint64_t)(**at - '0'), scale *= 10;
    }
  }
  uint64_t ns = digits ? unit_ns(at) : 0;
  if (ns == 0) return AQ_E_FORMAT;
  if (__builtin_mul_overflow(whole, ns, &whole)) return AQ_E_LIMIT;
  if (__builtin_add_overflow(*sum, whole, sum) || __builtin_add_overflow(*sum, frac * ns / scale, sum))
    return AQ_E_LIMIT;
  return AQ_OK;
}

aq_status aq_duration_parse(uint64_t *out_ns, const char *text) {
  uint64_t sum = 0;
  if (strcmp(text, "0") == 0) {
    *out_ns = 0;
    return AQ_OK;
  }
  if (!*text) return AQ_E_FORMAT;
  while (*text) {
    aq_status st = duration_part(&sum, &text);
    if (st != AQ_OK) return st;
  }
  *out_ns = sum;
  return AQ_OK;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Copies one CSV field to `to`, which is as large as the rest of the text; *at stops at the comma or the end. Blanks
   around it count inside quotes only: people write "a, b". */
static aq_status csv_field(char *to, const char **at) {
  const char *p = *at, *start = to;
  while (is_blank(*p)) p++;
  if (*p != '"') {
    while (*p && *p != ',') {
      if (*p == '"') return AQ_E_FORMAT;
      *to++ = *p++;
    }
    while (to > start && is_blank(to[-1])) to--;
  } else {
    for (p++; *p != '"' || p[1] == '"'; p++) {
      if (!*p) return AQ_E_FORMAT;
      if (*p == '"') p++;
      *to++ = *p;
    }
    for (p++; is_blank(*p);) p++;
    if (*p && *p != ',') return AQ_E_FORMAT;
  }
  *to = 0;
  *at = p;
  return AQ_OK;
}

static aq_status list_append(aq_opt_list *list, aq_arena *arena, const char *text) {
  if (!*text) return AQ_OK;
  size_t cnt = 1;
  for (const char *p = text; *p; p++) cnt += *p == ',';
  if (cnt > AQ_OPT_LIST_MAX || list->cnt + cnt > AQ_OPT_LIST_MAX) return AQ_E_LIMIT;
  const char **item = aq_arena_array(arena, list->cnt + cnt, sizeof *item);
  char *room = aq_arena_str(arena, aq_bytes_str(text));
  if (!item || !room) return AQ_E_LIMIT;
  size_t have = list->cnt;
  if (have) memcpy(item, list->item, have * sizeof *item);
  for (;; text++) {
    aq_status st = csv_field(room, &text);
    if (st != AQ_OK) return st;
    item[have++] = room;
    room += strlen(room) + 1;
    if (!*text) break;
  }
  *list = (aq_opt_list){item, have};
  return AQ_OK;
}

aq_status aq_csv_parse(aq_opt_list *out, aq_arena *arena, const char *text) {
  aq_opt_list list = {NULL, 0};
  aq_status st = list_append(&list, arena, text);
  if (st == AQ_OK) *out = list;
  return st;
}

/* ---- names ---- */

/* The next word of a list of names; false at the end. */
static bool next_name(aq_bytes *out, const char **at) {
  while (**at == ' ') (*at)++;
  const char *start = *at;
  while (**at && **at != ' ') (*at)++;
  *out = aq_bytes_of(start, (size_t)(*at - start));
  return out->len > 0;
}

static bool same_name(aq_bytes a, aq_bytes b, bool any_case) {
  if (a.len != b.len) return false;
  return any_case ? strncasecmp((const char *)a.ptr, (const char *)b.ptr, a.len) == 0 : aq_bytes_eq(a, b);
}

static bool row_has_name(const aq_option *row, aq_bytes name, bool any_case) {
  if (same_name(aq_bytes_str(row->flag), name, any_case)) return true;
  aq_bytes other;
  for (const char *at = row->other ? row->other : ""; next_name(&other, &at);) {
    if (same_name(other, name, any_case)) return true;
  }
  return false;
}

static size_t find_row(const aq_options *o, aq_bytes name, bool any_case) {
  for (size_t i = 0; i < o->cnt; i++) {
    if (row_has_name(&o->row[i], name, any_case)) return i;
  }
  return o->cnt;
}

static const char *env_get(const char *const *env, const char *name) {
  size_t len = strlen(name);
  for (; env && *env; env++) {
    if (strncmp(*env, name, len) == 0 && (*env)[len] == '=' && (*env)[len + 1]) return *env + len + 1;
  }
  return NULL;
}

static const char *env_of_flag(const char *const *env, const char *prefix, aq_bytes flag) {
  char name[AQ_OPT_NAME_MAX + 16];
  size_t len = strlen(prefix);
  AQ_ASSERT(flag.len <= AQ_OPT_NAME_MAX);
  memcpy(name, prefix, len);
  for (size_t i = 0; i < flag.len; i++) {
    uint8_t c = flag.ptr[i];
    name[len++] = c == '-' || c == '.' ? '_' : (char)toupper(c);
  }
  name[len] = 0;
  return env_get(env, name);
}

static const char *env_of_names(const char *const *env, const char *prefix, const aq_option *row) {
  const char *value = env_of_flag(env, prefix, aq_bytes_str(row->flag));
  aq_bytes other;
  for (const char *at = row->other ? row->other : ""; !value && next_name(&other, &at);) {
    value = env_of_flag(env, prefix, other);
  }
  return value;
}

static const char *env_of_row(const char *const *env, const aq_option *row, aq_opt_source *source) {
  const char *value = env_of_names(env, "AEQUA_", row);
  *source = AQ_OPT_ENV;
  aq_bytes name;
  for (const char *at = row->env ? row->env : ""; !value && next_name(&name, &at);) value = env_of_flag(env, "", name);
  if (value) return value;
  *source = AQ_OPT_CHARON_ENV;
  return env_of_names(env, "CHARON_", row);
}

/* ---- parsing ---- */

typedef struct {
  aq_options *o;
  uint8_t *cfg;
  aq_arena *arena;
  const aq_opt_input *in;
  aq_err *err;
} parse;

static aq_status set(const parse *p, size_t i, const char *text, aq_opt_source source) {
  const aq_option *row = &p->o->row[i];
  void *to = p->cfg + row->off;
  bool again = p->o->source[i] == source && source == AQ_OPT_FLAG;
  p->o->source[i] = source;
  switch (row->kind) {
    case AQ_OPT_STR:
    case AQ_OPT_PATH: *(const char **)to = text; return AQ_OK;
    case AQ_OPT_BOOL: return aq_bool_parse(to, text);
    case AQ_OPT_U64: return aq_u64_parse(to, aq_bytes_str(text));
    case AQ_OPT_DURATION: return aq_duration_parse(to, text);
    case AQ_OPT_LIST: return again ? list_append(to, p->arena, text) : aq_csv_parse(to, p->arena, text);
  }
  return AQ_E_FORMAT;
}

static const char *kind_name(aq_opt_kind kind) {
  switch (kind) {
    case AQ_OPT_STR: return "TEXT";
    case AQ_OPT_PATH: return "PATH";
    case AQ_OPT_BOOL: return "BOOL";
    case AQ_OPT_U64: return "NUMBER";
    case AQ_OPT_DURATION: return "DURATION";
    case AQ_OPT_LIST: return "LIST";
  }
  return "";
}

static aq_status bad_value(const parse *p, size_t i, const char *text, const char *where, aq_status st) {
  const aq_option *row = &p->o->row[i];
  if (row->secret) return aq_fail(p->err, st, "%s--%s: that is not a %s", where, row->flag, kind_name(row->kind));
  return aq_fail(p->err, st, "%s--%s: \"%.60s\" is not a %s", where, row->flag, text, kind_name(row->kind));
}

static aq_status set_from(const parse *p, size_t i, const char *text, aq_opt_source source) {
  static const char *const where[] = {[AQ_OPT_DEFAULT] = "default of ",
                                      [AQ_OPT_FILE] = "configuration file, ",
                                      [AQ_OPT_CHARON_ENV] = "environment, ",
                                      [AQ_OPT_ENV] = "environment, ",
                                      [AQ_OPT_FLAG] = ""};
  aq_status st = set(p, i, text, source);
  return st == AQ_OK ? AQ_OK : bad_value(p, i, text, where[source], st);
}

static aq_status parse_defaults(const parse *p) {
  for (size_t i = 0; i < p->o->cnt; i++) {
    const aq_option *row = &p->o->row[i];
    bool is_text = row->kind == AQ_OPT_STR || row->kind == AQ_OPT_PATH;
    if (!row->def && !is_text) continue;
    aq_status st = set_from(p, i, row->def ? row->def : "", AQ_OPT_DEFAULT);
    AQ_ASSERT(st != AQ_E_FORMAT);
    if (st != AQ_OK) return st;
  }
  return AQ_OK;
}

/* Keys that no option has are ignored: one file serves several commands. */
static aq_status parse_file(const parse *p) {
  for (size_t k = 0; k < p->in->file_cnt; k++) {
    size_t i = find_row(p->o, aq_bytes_str(p->in->file[k].key), true);
    if (i == p->o->cnt) continue;
    aq_status st = set_from(p, i, p->in->file[k].value, AQ_OPT_FILE);
    if (st != AQ_OK) return st;
  }
  return AQ_OK;
}

static aq_status parse_env(const parse *p) {
  for (size_t i = 0; i < p->o->cnt; i++) {
    aq_opt_source source;
    const char *value = env_of_row(p->in->env, &p->o->row[i], &source);
    aq_status st = value ? set_from(p, i, value, source) : AQ_OK;
    if (st != AQ_OK) return st;
  }
  return AQ_OK;
}

/* What a boolean flag at argv[*k] says: itself, or the word true or false behind it, as people write it. */
static const char *bool_word(const parse *p, int *k, size_t i) {
  const char *next = *k + 1 < p->in->argc ? p->in->argv[*k + 1] : "";
  bool is_false = strcasecmp(next, "false") == 0;
  if (!is_false && strcasecmp(next, "true") != 0) return "true";
  if (is_false) p->o->denied = p->o->row[i].flag;
  ++*k;
  return next;
}

/* The flag at argv[*k]; *k moves over a value that is an argument of its own. */
static aq_status parse_flag(const parse *p, int *k) {
  const char *word = p->in->argv[*k] + 1;
  if (*word == '-') word++;
  const char *eq = strchr(word, '=');
  aq_bytes name = aq_bytes_of(word, eq ? (size_t)(eq - word) : strlen(word));
  size_t i = find_row(p->o, name, false);
  if (i == p->o->cnt)
    return aq_fail(p->err, AQ_E_FORMAT, "unknown flag --%.*s", (int)(name.len > 60 ? 60 : name.len), word);
  if (eq) return set_from(p, i, eq + 1, AQ_OPT_FLAG);
  if (p->o->row[i].kind == AQ_OPT_BOOL) return set_from(p, i, bool_word(p, k, i), AQ_OPT_FLAG);
  if (*k + 1 >= p->in->argc) return aq_fail(p->err, AQ_E_FORMAT, "--%s needs a value", p->o->row[i].flag);
  return set_from(p, i, p->in->argv[++*k], AQ_OPT_FLAG);
}

static aq_status parse_args(const parse *p) {
  bool flags = true;
  for (int k = 0; k < p->in->argc; k++) {
    const char *word = p->in->argv[k];
    if (flags && strcmp(word, "--") == 0) {
      flags = false;
    } else if (flags && word[0] == '-' && word[1]) {
      aq_status st = parse_flag(p, &k);
      if (st != AQ_OK) return st;
    } else {
      if (p->o->arg_cnt == AQ_OPT_ARGS_MAX)
        return aq_fail(p->err, AQ_E_LIMIT, "more than %d arguments", AQ_OPT_ARGS_MAX);
      p->o->arg[p->o->arg_cnt++] = word;
    }
  }
  return AQ_OK;
}

static bool wants_help(const aq_opt_input *in) {
  static const char *const help[] = {"--help", "-help", "-h", "--h"};
  for (int k = 0; k < in->argc && strcmp(in->argv[k], "--") != 0; k++) {
    for (size_t i = 0; i < AQ_COUNT(help); i++) {
      if (strcmp(in->argv[k], help[i]) == 0) return true;
    }
  }
  return false;
}

static aq_status check_required(const parse *p) {
  for (size_t i = 0; i < p->o->cnt; i++) {
    if (!p->o->row[i].required || p->o->source[i] != AQ_OPT_DEFAULT) continue;
    return aq_fail(p->err, AQ_E_FORMAT, "--%s is required", p->o->row[i].flag);
  }
  return AQ_OK;
}

aq_status aq_options_parse(aq_options *out, void *cfg, aq_arena *arena, const aq_option *row, size_t cnt,
                           const aq_opt_input *in, aq_err *err) {
  AQ_ASSERT(cnt <= AQ_OPT_ROWS_MAX);
  *out = (aq_options){.row = row, .cnt = cnt, .help = wants_help(in)};
  if (out->help) return AQ_OK;
  parse p = {out, cfg, arena, in, err};
  aq_status st = parse_defaults(&p);
  if (st == AQ_OK) st = parse_file(&p);
  if (st == AQ_OK) st = parse_env(&p);
  if (st == AQ_OK) st = parse_args(&p);
  if (st == AQ_OK) st = check_required(&p);
  return st;
}

aq_opt_source aq_options_source(const aq_options *o, const char *flag) {
  size_t i = find_row(o, aq_bytes_str(flag), false);
  AQ_ASSERT(i < o->cnt);
  return o->source[i];
}

/* ---- help ---- */

void aq_options_usage(aq_buf *out, const aq_option *row, size_t cnt) {
  enum { HELP_COLUMN = 34 };
  for (size_t i = 0; i < cnt; i++) {
    if (row[i].hidden) continue;
    size_t start = out->len;
    aq_buf_printf(out, "  --%s", row[i].flag);
    if (row[i].kind != AQ_OPT_BOOL) aq_buf_printf(out, " %s", kind_name(row[i].kind));
    if (out->len - start >= HELP_COLUMN) aq_buf_put_u8(out, '\n'), start = out->len;
    while (!out->failed && out->len - start < HELP_COLUMN) aq_buf_put_u8(out, ' ');
    aq_buf_put_str(out, row[i].help);
    if (row[i].required)
      aq_buf_put_str(out, " (required)");
    else if (row[i].def && *row[i].def && row[i].kind != AQ_OPT_BOOL && strcmp(row[i].def, "0") != 0)
      aq_buf_printf(out, " (default %s)", row[i].def);
    else if (row[i].def && row[i].kind == AQ_OPT_BOOL && strcmp(row[i].def, "true") == 0)
      aq_buf_put_str(out, " (default true)");
    if (row[i].other) aq_buf_printf(out, " [also --%s]", row[i].other);
    aq_buf_put_u8(out, '\n');
  }
}
