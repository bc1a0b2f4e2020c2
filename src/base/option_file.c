/* The flat configuration file in its two notations. */
#include <ctype.h>

#include "base/option.h"

static aq_bytes trim(aq_bytes b) {
  while (b.len && isspace(b.ptr[0])) b.ptr++, b.len--;
  while (b.len && isspace(b.ptr[b.len - 1])) b.len--;
  return b;
}

/* A quoted value up to its closing quote, or everything before a comment. */
static aq_bytes unquote(aq_bytes v) {
  if (v.len >= 2 && (v.ptr[0] == '"' || v.ptr[0] == '\'')) {
    const uint8_t *end = memchr(v.ptr + 1, v.ptr[0], v.len - 1);
    if (end) return aq_bytes_of(v.ptr + 1, (size_t)(end - v.ptr - 1));
  }
  for (size_t i = 0; i < v.len; i++) {
    if (v.ptr[i] == '#' && (i == 0 || isspace(v.ptr[i - 1]))) return trim(aq_bytes_sub(v, 0, i));
  }
  return v;
}

static bool is_key_char(uint8_t c) { return isalnum(c) || c == '-' || c == '_' || c == '.'; }

/* AQ_E_NOTFOUND: a line that says nothing. */
static aq_status file_line(aq_opt_pair *out, aq_arena *arena, aq_bytes line) {
  line = trim(line);
  if (line.len == 0 || line.ptr[0] == '#' || (line.len == 3 && memcmp(line.ptr, "---", 3) == 0)) return AQ_E_NOTFOUND;
  size_t len = 0;
  bool quoted = line.ptr[0] == '"';
  if (quoted) line = aq_bytes_sub(line, 1, line.len - 1);
  while (len < line.len && is_key_char(line.ptr[len])) len++;
  aq_bytes key = aq_bytes_sub(line, 0, len), rest = aq_bytes_sub(line, len, line.len - len);
  if (quoted) {
    if (rest.len == 0 || rest.ptr[0] != '"') return AQ_E_FORMAT;
    rest = aq_bytes_sub(rest, 1, rest.len - 1);
  }
  rest = trim(rest);
  if (key.len == 0 || rest.len == 0 || (rest.ptr[0] != ':' && rest.ptr[0] != '=')) return AQ_E_FORMAT;
  out->key = aq_arena_str(arena, key);
  out->value = aq_arena_str(arena, unquote(trim(aq_bytes_sub(rest, 1, rest.len - 1))));
  return out->key && out->value ? AQ_OK : AQ_E_LIMIT;
}

aq_status aq_options_file(aq_opt_pair **out, size_t *cnt, aq_arena *arena, aq_bytes text, aq_err *err) {
  size_t lines = 1, number = 0;
  for (size_t i = 0; i < text.len; i++) lines += text.ptr[i] == '\n';
  *cnt = 0;
  *out = aq_arena_array(arena, lines, sizeof **out);
  if (!*out) return aq_fail(err, AQ_E_LIMIT, "the configuration file is too long");
  while (text.len) {
    const uint8_t *end = memchr(text.ptr, '\n', text.len);
    aq_bytes line = aq_bytes_sub(text, 0, end ? (size_t)(end - text.ptr) : text.len);
    size_t skip = line.len + (end ? 1 : 0);
    text = aq_bytes_sub(text, skip, text.len - skip);
    number++;
    aq_status st = file_line(&(*out)[*cnt], arena, line);
    if (st == AQ_OK)
      (*cnt)++;
    else if (st != AQ_E_NOTFOUND)
      return aq_fail(err, st, "line %zu is not \"key: value\"", number);
  }
  return AQ_OK;
}
