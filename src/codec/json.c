/* Depth is counted first: yyjson has no limit of its own, and readers of documents recurse. */
#include "codec/json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "codec/utf8.h"

/* yyjson has no limit on nesting of its own, and readers of documents recurse. */
static bool too_deep(aq_bytes text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.ptr[i];
    if (quoted) {
      if (c == '\\') i++;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if ((c == '[' || c == '{') && ++depth > AQ_JSON_DEPTH_MAX) return true;
    if ((c == ']' || c == '}') && depth > 0) depth--;
  }
  return false;
}

yyjson_doc *aq_json_parse(aq_bytes text, size_t max, aq_err *err) {
  yyjson_read_err why;
  if (text.len > max) {
    (void)aq_fail(err, AQ_E_LIMIT, "JSON of %zu bytes is over the limit of %zu", text.len, max);
    return NULL;
  }
  if (text.len == 0) {
    (void)aq_fail(err, AQ_E_FORMAT, "JSON is empty");
    return NULL;
  }
  if (too_deep(text)) {
    (void)aq_fail(err, AQ_E_LIMIT, "JSON is nested deeper than %d", AQ_JSON_DEPTH_MAX);
    return NULL;
  }
  text = aq_utf8_unmark(text);
  /* Without the in-place flag the text is only read. Numbers that no uint64 holds stay as they are written. */
  yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, YYJSON_READ_BIGNUM_AS_RAW, NULL, &why);
  if (!doc) (void)aq_fail(err, AQ_E_FORMAT, "JSON, byte %zu: %s", why.pos, why.msg);
  return doc;
}

bool aq_json_val_digits(yyjson_val *val, aq_bytes *out) {
  if (yyjson_is_str(val))
    *out = aq_bytes_of(yyjson_get_str(val), yyjson_get_len(val));
  else if (yyjson_is_raw(val))
    *out = aq_bytes_of(yyjson_get_raw(val), yyjson_get_len(val));
  else
    return false;
  for (size_t i = 0; i < out->len; i++) {
    if (out->ptr[i] < '0' || out->ptr[i] > '9') return false;
  }
  return out->len > 0;
}

static void quote(yyjson_mut_doc *doc, yyjson_mut_val *val) {
  char text[21];
  size_t i, max;
  yyjson_mut_val *key, *item, *str = NULL;
  if (yyjson_mut_is_obj(val)) {
    yyjson_mut_obj_foreach(val, i, max, key, item) { quote(doc, item); }
  } else if (yyjson_mut_is_arr(val)) {
    yyjson_mut_arr_foreach(val, i, max, item) { quote(doc, item); }
  } else if (yyjson_mut_is_uint(val)) {
    int len = snprintf(text, sizeof text, "%" PRIu64, yyjson_mut_get_uint(val));
    str = yyjson_mut_strncpy(doc, text, (size_t)len);
  } else if (yyjson_mut_is_raw(val)) {
    str = yyjson_mut_strncpy(doc, yyjson_mut_get_raw(val), yyjson_mut_get_len(val));
  }
  if (str) yyjson_mut_set_strn(val, yyjson_mut_get_str(str), yyjson_mut_get_len(str));
}

yyjson_mut_val *aq_json_quoted(yyjson_mut_doc *doc, yyjson_val *val) {
  yyjson_mut_val *out = yyjson_val_mut_copy(doc, val);
  if (out) quote(doc, out);
  return out;
}

bool aq_json_val_u64(yyjson_val *val, uint64_t *out) {
  if (yyjson_is_uint(val)) {
    *out = yyjson_get_uint(val);
    return true;
  }
  return yyjson_is_str(val) && aq_u64_parse(out, aq_bytes_of(yyjson_get_str(val), yyjson_get_len(val))) == AQ_OK;
}

bool aq_json_u64(yyjson_val *obj, const char *name, uint64_t *out) {
  return aq_json_val_u64(yyjson_obj_get(obj, name), out);
}

bool aq_json_hex(yyjson_val *obj, const char *name, uint8_t *out, size_t len) {
  yyjson_val *val = yyjson_obj_get(obj, name);
  return yyjson_is_str(val) &&
         aq_hex_decode(out, len, aq_bytes_of(yyjson_get_str(val), yyjson_get_len(val)), AQ_HEX_PREFIX) == AQ_OK;
}

const char *aq_json_str(yyjson_val *obj, const char *name) { return yyjson_get_str(yyjson_obj_get(obj, name)); }

void aq_json_put_str(aq_buf *out, aq_bytes text) {
  static const char *const named[] = {
      ['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
  aq_buf_put_u8(out, '"');
  for (size_t i = 0; i < text.len;) {
    uint8_t c = text.ptr[i];
    size_t len = aq_utf8_len(text.ptr + i, text.len - i);
    if (c < AQ_COUNT(named) && named[c]) {
      aq_buf_put_str(out, named[c]);
    } else if (c < 0x20 || c == 0x7f) {
      aq_buf_printf(out, "\\u%04x", c);
    } else if (len == 0) {
      aq_buf_put_str(out, "\xef\xbf\xbd");
    } else {
      aq_buf_put(out, text.ptr + i, len);
    }
    i += len ? len : 1;
  }
  aq_buf_put_u8(out, '"');
}
