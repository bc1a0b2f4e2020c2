/* The flat configuration file in its two notations. */
#include <ctype.h>

#include "base/option.h"
#include "base/utf8.h"

/* The text that is left, and the line that it begins on. */
typedef struct {
  aq_bytes left;
  size_t number;
} cursor;

static aq_bytes trim(aq_bytes b) {
  while (b.len && isspace(b.ptr[0])) b.ptr++, b.len--;
  while (b.len && isspace(b.ptr[b.len - 1])) b.len--;
  return b;
}

static void skip(cursor *c, size_t cnt) {
  for (size_t i = 0; i < cnt; i++) c->number += c->left.ptr[i] == '\n';
  c->left = aq_bytes_sub(c->left, cnt, c->left.len - cnt);
}

static aq_bytes line_of(const cursor *c) {
  const uint8_t *end = c->left.len ? memchr(c->left.ptr, '\n', c->left.len) : NULL;
  return aq_bytes_sub(c->left, 0, end ? (size_t)(end - c->left.ptr) : c->left.len);
}

static void skip_line(cursor *c) {
  size_t len = line_of(c).len;
  skip(c, len + (len < c->left.len));
}

static bool is_nothing(aq_bytes line) {
  line = trim(line);
  return line.len == 0 || line.ptr[0] == '#';
}

static bool is_comment(aq_bytes text, size_t at) {
  return text.ptr[at] == '#' && (at == 0 || isspace(text.ptr[at - 1]));
}

/* A quoted value up to its closing quote, or everything before a comment. */
static aq_bytes unquote(aq_bytes v) {
  if (v.len >= 2 && (v.ptr[0] == '"' || v.ptr[0] == '\'')) {
    const uint8_t *end = memchr(v.ptr + 1, v.ptr[0], v.len - 1);
    if (end) return aq_bytes_of(v.ptr + 1, (size_t)(end - v.ptr - 1));
  }
  for (size_t i = 0; i < v.len; i++) {
    if (is_comment(v, i)) return trim(aq_bytes_sub(v, 0, i));
  }
  return v;
}

/* ---- lists ---- */

void aq_csv_put(aq_buf *out, bool first, aq_bytes item) {
  bool quoted = item.len ? memchr(item.ptr, ',', item.len) || memchr(item.ptr, '"', item.len) : first;
  if (!first) aq_buf_put_u8(out, ',');
  if (quoted) aq_buf_put_u8(out, '"');
  for (size_t i = 0; i < item.len; i++) {
    if (item.ptr[i] == '"') aq_buf_put_u8(out, '"');
    aq_buf_put_u8(out, item.ptr[i]);
  }
  if (quoted) aq_buf_put_u8(out, '"');
}

/* Blanks, line ends and comments between the items of a list. */
static void skip_between(cursor *c) {
  while (c->left.len) {
    if (c->left.ptr[0] == '#')
      skip_line(c);
    else if (isspace(c->left.ptr[0]))
      skip(c, 1);
    else
      return;
  }
}

static bool take(cursor *c, char ch) {
  bool is = c->left.len && c->left.ptr[0] == (uint8_t)ch;
  if (is) skip(c, 1);
  return is;
}

/* A quoted item, or a word up to what ends it. */
static bool list_item(cursor *c, aq_bytes *out) {
  uint8_t quote = c->left.len ? c->left.ptr[0] : 0;
  size_t len = 0;
  if (quote == '"' || quote == '\'') {
    skip(c, 1);
    aq_bytes line = line_of(c);
    const uint8_t *end = line.len ? memchr(line.ptr, quote, line.len) : NULL;
    if (!end) return false;
    *out = aq_bytes_sub(line, 0, (size_t)(end - line.ptr));
    skip(c, out->len + 1);
    return true;
  }
  while (len < c->left.len && !memchr(",]\n[", c->left.ptr[len], 4) && !is_comment(c->left, len)) len++;
  *out = trim(aq_bytes_sub(c->left, 0, len));
  skip(c, len);
  return out->len > 0;
}

/* "[a, 'b']", over as many lines as it takes, and nothing behind it on its last one. false: *c is where it was. */
static bool flow_list(aq_buf *csv, cursor *c) {
  cursor at = *c;
  bool first = true, open = take(&at, '[');
  if (!open) return false;
  for (skip_between(&at); !take(&at, ']'); skip_between(&at)) {
    aq_bytes item;
    if (!first && !take(&at, ',')) return false;
    skip_between(&at);
    if (!first && take(&at, ']')) break; /* a comma may end a list */
    if (!list_item(&at, &item)) return false;
    aq_csv_put(csv, first, item);
    first = false;
  }
  if (!is_nothing(line_of(&at))) return false;
  skip_line(&at);
  *c = at;
  return true;
}

/* Lines "- item" below a key without a value. */
static void block_list(aq_buf *csv, cursor *c) {
  for (bool first = true;;) {
    aq_bytes line = trim(line_of(c));
    if (c->left.len == 0 || !(is_nothing(line) || (line.ptr[0] == '-' && (line.len == 1 || isspace(line.ptr[1])))))
      return;
    if (!is_nothing(line)) {
      aq_csv_put(csv, first, unquote(trim(aq_bytes_sub(line, 1, line.len - 1))));
      first = false;
    }
    skip_line(c);
  }
}

/* ---- lines ---- */

static bool is_key_char(uint8_t c) { return isalnum(c) || c == '-' || c == '_' || c == '.'; }

/* The key of a line; *value_at is where its value begins, *mark what stood between. */
static aq_status key_of(aq_bytes *key, size_t *value_at, uint8_t *mark, aq_bytes line) {
  size_t at = 0, len = 0;
  while (at < line.len && isspace(line.ptr[at])) at++;
  bool quoted = at < line.len && line.ptr[at] == '"';
  at += quoted;
  while (at + len < line.len && is_key_char(line.ptr[at + len])) len++;
  *key = aq_bytes_sub(line, at, len);
  at += len;
  if (quoted && (at == line.len || line.ptr[at++] != '"')) return AQ_E_FORMAT;
  while (at < line.len && isspace(line.ptr[at])) at++;
  if (len == 0 || at == line.len || (line.ptr[at] != ':' && line.ptr[at] != '=')) return AQ_E_FORMAT;
  *mark = line.ptr[at++];
  while (at < line.len && isspace(line.ptr[at])) at++;
  *value_at = at;
  return AQ_OK;
}

/* AQ_E_NOTFOUND: a line that says nothing. */
static aq_status file_pair(aq_opt_pair *out, aq_arena *arena, cursor *c) {
  aq_bytes line = line_of(c), key, value;
  size_t value_at;
  uint8_t mark;
  bool is_list = false;
  if (is_nothing(line) || aq_bytes_eq(trim(line), aq_bytes_str("---"))) {
    skip_line(c);
    return AQ_E_NOTFOUND;
  }
  aq_status st = key_of(&key, &value_at, &mark, line);
  if (st != AQ_OK) return st;
  value = unquote(trim(aq_bytes_sub(line, value_at, line.len - value_at)));
  aq_buf csv = AQ_BUF(c->left.len * 2 + 8); /* quotes may double */
  skip(c, value_at);
  is_list = flow_list(&csv, c);
  if (!is_list) {
    aq_buf_reset(&csv);
    skip_line(c);
    is_list = mark == ':' && value.len == 0 && is_nothing(aq_bytes_sub(line, value_at, line.len - value_at));
    if (is_list) block_list(&csv, c);
  }
  out->key = aq_arena_str(arena, key);
  out->value = aq_arena_str(arena, is_list ? aq_buf_bytes(&csv) : value);
  st = out->key && out->value ? aq_buf_status(&csv) : AQ_E_LIMIT;
  if (!is_list && value.len && value.ptr[0] == '[' && !memchr(value.ptr, ']', value.len)) st = AQ_E_FORMAT;
  aq_buf_free(&csv);
  return st;
}

aq_status aq_options_file(aq_opt_pair **out, size_t *cnt, aq_arena *arena, aq_bytes text, aq_err *err) {
  size_t lines = 1;
  for (size_t i = 0; i < text.len; i++) lines += text.ptr[i] == '\n';
  *cnt = 0;
  *out = aq_arena_array(arena, lines, sizeof **out);
  if (!*out) return aq_fail(err, AQ_E_LIMIT, "the configuration file is too long");
  for (cursor c = {aq_utf8_unmark(text), 1}; c.left.len;) {
    size_t number = c.number;
    aq_status st = file_pair(&(*out)[*cnt], arena, &c);
    if (st == AQ_OK)
      (*cnt)++;
    else if (st != AQ_E_NOTFOUND)
      return aq_fail(err, st, "line %zu is not \"key: value\"", number);
  }
  return AQ_OK;
}
