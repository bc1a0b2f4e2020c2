/* JSON, YAML and TOML become the same pairs, which base/option.h reads like flags. */
#include "cmd/config_file.h"

#include <stdio.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cluster/datadir.h"
#include "codec/json.h"

/* Scalars as their text; ptr NULL for what is none. */
static aq_bytes scalar_text(char num[32], yyjson_val *v) {
  if (yyjson_is_str(v)) return aq_bytes_of(yyjson_get_str(v), yyjson_get_len(v));
  if (yyjson_is_bool(v)) return aq_bytes_str(yyjson_get_bool(v) ? "true" : "false");
  if (!yyjson_is_uint(v)) return aq_bytes_of(NULL, 0);
  return aq_bytes_of(num, (size_t)snprintf(num, 32, "%llu", (unsigned long long)yyjson_get_uint(v)));
}

/* A list of scalars as CSV; anything else that is nested cannot belong to a flag and is left out: NULL. */
static const char *value_text(aq_arena *arena, yyjson_val *v) {
  char num[32];
  aq_bytes one = scalar_text(num, v);
  if (one.ptr) return aq_arena_str(arena, one);
  if (!yyjson_is_arr(v)) return NULL;
  aq_buf csv = AQ_BUF(2 * AQ_CONFIG_FILE_MAX);
  yyjson_val *item;
  bool plain = true, first = true;
  yyjson_arr_iter it = yyjson_arr_iter_with(v);
  while ((item = yyjson_arr_iter_next(&it))) {
    one = scalar_text(num, item);
    plain = plain && one.ptr;
    aq_csv_put(&csv, first, one);
    first = false;
  }
  const char *text = plain && !csv.failed ? aq_arena_str(arena, aq_buf_bytes(&csv)) : NULL;
  aq_buf_free(&csv);
  return text;
}

static aq_status pairs_of_json(aq_opt_pair **out, size_t *cnt, aq_arena *arena, aq_bytes text, aq_err *err) {
  yyjson_doc *doc = aq_json_parse(aq_utf8_unmark(text), AQ_CONFIG_FILE_MAX, err);
  if (!doc) return AQ_E_FORMAT;
  yyjson_val *root = yyjson_doc_get_root(doc), *key;
  aq_status st = yyjson_is_obj(root) ? AQ_OK : aq_fail(err, AQ_E_FORMAT, "not a JSON object");
  *out = st == AQ_OK ? aq_arena_array(arena, yyjson_obj_size(root) + 1, sizeof **out) : NULL;
  if (st == AQ_OK && !*out) st = aq_fail(err, AQ_E_LIMIT, "too long");
  yyjson_obj_iter it = yyjson_obj_iter_with(root);
  while (st == AQ_OK && (key = yyjson_obj_iter_next(&it))) {
    const char *value = value_text(arena, yyjson_obj_iter_get_val(key));
    const char *name = aq_arena_str(arena, aq_bytes_of(yyjson_get_str(key), yyjson_get_len(key)));
    if (value && name) (*out)[(*cnt)++] = (aq_opt_pair){name, value};
  }
  yyjson_doc_free(doc);
  return st;
}

aq_status aq_config_file_load(aq_config_file *out, aq_arena *arena, aq_err *err) {
  static const char *const name[] = {"charon.json", "charon.toml", "charon.yaml", "charon.yml"};
  *out = (aq_config_file){.name = NULL};
  for (size_t i = 0; i < AQ_COUNT(name); i++) {
    if (access(name[i], F_OK) != 0) continue;
    if (!out->name)
      out->name = name[i];
    else if (!out->ignored)
      out->ignored = name[i];
  }
  if (!out->name) return AQ_OK;
  aq_buf text = AQ_BUF(AQ_CONFIG_FILE_MAX);
  aq_opt_pair *pair = NULL;
  aq_err why = {AQ_OK, ""};
  aq_status st = aq_file_read(&text, out->name, err);
  if (st == AQ_OK) {
    st = out->name == name[0] ? pairs_of_json(&pair, &out->cnt, arena, aq_buf_bytes(&text), &why)
                              : aq_options_file(&pair, &out->cnt, arena, aq_buf_bytes(&text), &why);
    if (st != AQ_OK) aq_fail(err, st, "%s: %s", out->name, why.text);
  }
  out->pair = pair;
  aq_buf_free(&text);
  return st;
}

bool aq_config_file_announce(char out[AQ_CONFIG_LINE_MAX], const aq_config_file *f) {
  if (!f->name) return false;
  char names[96] = "";
  size_t len = 0;
  for (size_t i = 0; i < f->cnt; i++) {
    const char *more = len ? ", " : "";
    if (len + strlen(more) + strlen(f->pair[i].key) + sizeof ", ..." > sizeof names) {
      snprintf(names + len, sizeof names - len, "%s...", more);
      break;
    }
    len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", more, f->pair[i].key);
  }
  for (char *c = names; *c; c++) {
    if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f) *c = '?';
  }
  snprintf(out, AQ_CONFIG_LINE_MAX, "%s of the current directory sets %s%s%s%s", f->name, names[0] ? names : "nothing",
           f->ignored ? "; " : "", f->ignored ? f->ignored : "", f->ignored ? " is not read" : "");
  return true;
}
