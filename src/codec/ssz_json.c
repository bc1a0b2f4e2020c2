/* Beacon-API JSON of the SSZ types, both ways. */
#include <stdio.h>

#include "base/hex.h"
#include "codec/json.h"
#include "codec/ssz.h"

enum { OFFSET_LEN = 4, U256_LEN = 32, U256_DIGITS_MAX = 78 };

/* ---- writing ---- */

static void put_u64(aq_buf *out, uint64_t v) {
  char text[20];
  size_t at = sizeof text;
  do text[--at] = (char)('0' + v % 10);
  while (v /= 10);
  aq_buf_put(out, text + at, sizeof text - at);
}

/* Nine digits a round, lowest first. */
static void put_u256(aq_buf *out, const uint8_t *le) {
  uint32_t limb[8];
  char text[U256_DIGITS_MAX + 9];
  size_t at = sizeof text;
  for (size_t i = 0; i < 8; i++) limb[i] = aq_le32_get(le + 4 * i);
  for (bool more = true; more;) {
    uint64_t rest = 0;
    more = false;
    for (size_t i = 8; i-- > 0;) {
      uint64_t v = rest << 32 | limb[i];
      limb[i] = (uint32_t)(v / 1000000000u);
      rest = v % 1000000000u;
      more |= limb[i] != 0;
    }
    for (int i = 0; i < 9 && (more || rest); i++, rest /= 10) text[--at] = (char)('0' + rest % 10);
  }
  if (at == sizeof text) text[--at] = '0';
  aq_buf_put(out, text + at, sizeof text - at);
}

static void put_uint(aq_buf *out, aq_bytes in) {
  aq_buf_put_u8(out, '"');
  if (in.len == U256_LEN) {
    put_u256(out, in.ptr);
  } else {
    uint64_t v = 0;
    for (size_t i = in.len; i-- > 0;) v = v << 8 | in.ptr[i];
    put_u64(out, v);
  }
  aq_buf_put_u8(out, '"');
}

static void put_elements(aq_buf *out, const aq_ssz_type *t, aq_bytes in) {
  aq_buf_put_u8(out, '[');
  size_t cnt = aq_ssz_count(t, in);
  for (size_t i = 0; i < cnt && !out->failed; i++) {
    if (i) aq_buf_put_u8(out, ',');
    aq_ssz_to_json(out, t->elem, aq_ssz_elem(t, in, i));
  }
  aq_buf_put_u8(out, ']');
}

static void put_container(aq_buf *out, const aq_ssz_type *t, aq_bytes in) {
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    aq_buf_put_str(out, i ? ",\"" : "{\"");
    aq_buf_put_str(out, t->field[i].name);
    aq_buf_put_str(out, "\":");
    aq_ssz_to_json(out, t->field[i].type, aq_ssz_get(t, in, t->field[i].name));
  }
  aq_buf_put_u8(out, '}');
}

void aq_ssz_to_json(aq_buf *out, const aq_ssz_type *t, aq_bytes in) {
  switch (t->kind) {
    case AQ_SSZ_UINT: put_uint(out, in); return;
    case AQ_SSZ_BOOL: aq_buf_put_str(out, in.ptr[0] ? "true" : "false"); return;
    case AQ_SSZ_BYTES:
    case AQ_SSZ_BYTELIST:
    case AQ_SSZ_BITVECTOR:
    case AQ_SSZ_BITLIST:
      aq_buf_put_str(out, "\"0x");
      aq_buf_put_hex(out, in);
      aq_buf_put_u8(out, '"');
      return;
    case AQ_SSZ_VECTOR:
    case AQ_SSZ_LIST: put_elements(out, t, in); return;
    case AQ_SSZ_CONTAINER: put_container(out, t, in); return;
  }
}

/* ---- reading ---- */

/* Where in the document we are, for the error text: one link a level, on the stack. */
typedef struct at {
  const struct at *up;
  const char *name; /* NULL: element idx */
  size_t idx;
} at;

static aq_status bad(const at *here, aq_err *err, aq_status st, const char *what) {
  const at *chain[64];
  size_t cnt = 0;
  char path[AQ_ERR_TEXT_MAX / 2];
  size_t len = 0;
  path[0] = 0;
  for (; here && cnt < AQ_COUNT(chain); here = here->up) chain[cnt++] = here;
  while (cnt-- > 0 && len < sizeof path) {
    const char *dot = len ? "." : "";
    int add = chain[cnt]->name ? snprintf(path + len, sizeof path - len, "%s%s", dot, chain[cnt]->name)
                               : snprintf(path + len, sizeof path - len, "[%zu]", chain[cnt]->idx);
    len += (size_t)add;
  }
  return aq_fail(err, st, "%s: %s", path[0] ? path : "value", what);
}

static aq_bytes text_of(yyjson_val *val) { return aq_bytes_of(yyjson_get_str(val), yyjson_get_len(val)); }

static bool u256_parse(uint8_t *le, aq_bytes text) {
  uint32_t limb[8] = {0};
  if (text.len == 0 || text.len > U256_DIGITS_MAX) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    uint64_t carry = (uint64_t)(text.ptr[i] - '0');
    for (size_t k = 0; k < 8; k++) {
      carry += (uint64_t)limb[k] * 10;
      limb[k] = (uint32_t)carry;
      carry >>= 32;
    }
    if (carry) return false;
  }
  for (size_t k = 0; k < 8; k++) aq_le32_put(le + 4 * k, limb[k]);
  return true;
}

static bool read_uint(uint8_t *dst, size_t len, yyjson_val *val) {
  uint64_t v = 0;
  aq_bytes digits;
  if (len == U256_LEN && aq_json_val_digits(val, &digits)) return u256_parse(dst, digits);
  if (!aq_json_val_u64(val, &v) || (len < 8 && v >> (8 * len))) return false;
  for (size_t i = 0; i < len && i < 8; i++) dst[i] = (uint8_t)(v >> (8 * i));
  return true;
}

static aq_status read_fixed(uint8_t *dst, const aq_ssz_type *t, yyjson_val *val, const at *here, aq_err *err);

static aq_status read_fixed_parts(uint8_t *dst, const aq_ssz_type *t, yyjson_val *val, const at *here, aq_err *err) {
  if (t->kind == AQ_SSZ_VECTOR) {
    if (!yyjson_is_arr(val) || yyjson_arr_size(val) != t->limit) {
      return bad(here, err, AQ_E_FORMAT, "wants a list of the exact length");
    }
    yyjson_arr_iter it = yyjson_arr_iter_with(val);
    for (size_t i = 0; i < t->limit; i++) {
      const at sub = {here, NULL, i};
      aq_status st = read_fixed(dst + i * t->elem->size, t->elem, yyjson_arr_iter_next(&it), &sub, err);
      if (st) return st;
    }
    return AQ_OK;
  }
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    const aq_ssz_field *f = &t->field[i];
    const at sub = {here, f->name, 0};
    aq_status st = read_fixed(dst, f->type, yyjson_obj_get(val, f->name), &sub, err);
    if (st) return st;
    dst += f->type->size;
  }
  return AQ_OK;
}

/* dst holds t->size bytes. */
static aq_status read_fixed(uint8_t *dst, const aq_ssz_type *t, yyjson_val *val, const at *here, aq_err *err) {
  if (!val) return bad(here, err, AQ_E_FORMAT, "is missing");
  switch (t->kind) {
    case AQ_SSZ_UINT:
      return read_uint(dst, t->size, val) ? AQ_OK : bad(here, err, AQ_E_FORMAT, "is not a number in range");
    case AQ_SSZ_BOOL:
      if (!yyjson_is_bool(val)) return bad(here, err, AQ_E_FORMAT, "is neither true nor false");
      *dst = yyjson_get_bool(val);
      return AQ_OK;
    case AQ_SSZ_BYTES:
    case AQ_SSZ_BITVECTOR:
      if (!yyjson_is_str(val) || aq_hex_decode(dst, t->size, text_of(val), AQ_HEX_PREFIX) != AQ_OK ||
          aq_ssz_check(t, aq_bytes_of(dst, t->size)) != AQ_OK) {
        return bad(here, err, AQ_E_FORMAT, "is not 0x-hex of the right length");
      }
      return AQ_OK;
    case AQ_SSZ_CONTAINER:
      if (!yyjson_is_obj(val)) return bad(here, err, AQ_E_FORMAT, "is not an object");
      return read_fixed_parts(dst, t, val, here, err);
    case AQ_SSZ_VECTOR: return read_fixed_parts(dst, t, val, here, err);
    case AQ_SSZ_BYTELIST:
    case AQ_SSZ_BITLIST:
    case AQ_SSZ_LIST: break;
  }
  return bad(here, err, AQ_E_FORMAT, "has no fixed size"); /* read_any takes the lists */
}

static aq_status read_any(aq_buf *out, const aq_ssz_type *t, yyjson_val *val, const at *here, aq_err *err);

/* Fills in the offset at out[base + pos] of a part that begins at the end of out. */
static aq_status put_offset(aq_buf *out, size_t base, size_t pos, const at *here, aq_err *err) {
  if (out->len - base > UINT32_MAX) return bad(here, err, AQ_E_LIMIT, "is too long");
  aq_le32_put(out->ptr + base + pos, (uint32_t)(out->len - base));
  return AQ_OK;
}

static aq_status read_container(aq_buf *out, const aq_ssz_type *t, yyjson_val *val, const at *here, aq_err *err) {
  if (!yyjson_is_obj(val)) return bad(here, err, AQ_E_FORMAT, "is not an object");
  size_t base = out->len, pos = 0, fixed = 0;
  for (uint32_t i = 0; i < t->field_cnt; i++) fixed += t->field[i].type->size ? t->field[i].type->size : OFFSET_LEN;
  if (!aq_buf_extend(out, fixed)) return bad(here, err, AQ_E_LIMIT, "is too long");
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    const aq_ssz_type *ft = t->field[i].type;
    const at sub = {here, t->field[i].name, 0};
    yyjson_val *member = yyjson_obj_get(val, t->field[i].name);
    aq_status st;
    if (ft->size) {
      st = read_fixed(out->ptr + base + pos, ft, member, &sub, err);
    } else {
      st = put_offset(out, base, pos, &sub, err);
      if (st == AQ_OK) st = read_any(out, ft, member, &sub, err);
    }
    if (st) return st;
    pos += ft->size ? ft->size : OFFSET_LEN;
  }
  return AQ_OK;
}

static aq_status read_elements(aq_buf *out, const aq_ssz_type *t, yyjson_val *val, const at *here, aq_err *err) {
  if (!yyjson_is_arr(val)) return bad(here, err, AQ_E_FORMAT, "is not a list");
  size_t cnt = yyjson_arr_size(val), base = out->len, step = t->elem->size ? t->elem->size : OFFSET_LEN, len;
  if (cnt > t->limit) return bad(here, err, AQ_E_LIMIT, "has too many elements");
  if (t->kind == AQ_SSZ_VECTOR && cnt != t->limit) return bad(here, err, AQ_E_FORMAT, "has too few elements");
  if (!aq_mul_ok(&len, cnt, step) || !aq_buf_extend(out, len)) return bad(here, err, AQ_E_LIMIT, "is too long");
  yyjson_arr_iter it = yyjson_arr_iter_with(val);
  for (size_t i = 0; i < cnt; i++) {
    const at sub = {here, NULL, i};
    yyjson_val *elem = yyjson_arr_iter_next(&it);
    aq_status st;
    if (t->elem->size) {
      st = read_fixed(out->ptr + base + i * step, t->elem, elem, &sub, err);
    } else {
      st = put_offset(out, base, i * step, &sub, err);
      if (st == AQ_OK) st = read_any(out, t->elem, elem, &sub, err);
    }
    if (st) return st;
  }
  return AQ_OK;
}

static aq_status read_hex(aq_buf *out, const aq_ssz_type *t, yyjson_val *val, const at *here, aq_err *err) {
  size_t base = out->len;
  aq_status st = yyjson_is_str(val) ? aq_hex_decode_buf(out, text_of(val), AQ_HEX_PREFIX) : AQ_E_FORMAT;
  if (st) return bad(here, err, st, st == AQ_E_LIMIT ? "is too long" : "is not 0x-hex");
  st = aq_ssz_check(t, aq_bytes_of(out->ptr + base, out->len - base));
  return st ? bad(here, err, st, "is not a list of bits or bytes within its limit") : AQ_OK;
}

/* Types of variable size append. */
static aq_status read_any(aq_buf *out, const aq_ssz_type *t, yyjson_val *val, const at *here, aq_err *err) {
  if (!val) return bad(here, err, AQ_E_FORMAT, "is missing");
  if (t->kind == AQ_SSZ_CONTAINER) return read_container(out, t, val, here, err);
  if (t->kind == AQ_SSZ_LIST || t->kind == AQ_SSZ_VECTOR) return read_elements(out, t, val, here, err);
  return read_hex(out, t, val, here, err);
}

aq_status aq_ssz_from_json(aq_buf *out, const aq_ssz_type *t, yyjson_val *val, aq_err *err) {
  size_t start = out->len;
  aq_status st;
  if (t->size) {
    uint8_t *dst = aq_buf_extend(out, t->size);
    st = dst ? read_fixed(dst, t, val, NULL, err) : bad(NULL, err, AQ_E_LIMIT, "is too long");
  } else {
    st = read_any(out, t, val, NULL, err);
  }
  if (st) out->len = start;
  return st;
}
