/* Offsets are checked once for a whole value; after that fields are found by walking the descriptor. */
#include "codec/ssz.h"

#include "base/assert.h"

enum { OFFSET_LEN = 4 };

/* ---- layout ---- */

static size_t slot_len(const aq_ssz_type *t) { return t->size ? t->size : OFFSET_LEN; }

static size_t fixed_part_len(const aq_ssz_type *t) {
  size_t len = 0;
  for (uint32_t i = 0; i < t->field_cnt; i++) len += slot_len(t->field[i].type);
  return len;
}

/* Field idx of a checked container. */
static aq_bytes field_at(const aq_ssz_type *t, aq_bytes in, uint32_t idx) {
  size_t pos = 0;
  for (uint32_t i = 0; i < idx; i++) pos += slot_len(t->field[i].type);
  const aq_ssz_type *ft = t->field[idx].type;
  if (ft->size) return aq_bytes_sub(in, pos, ft->size);
  size_t start = aq_le32_get(in.ptr + pos), end = in.len;
  pos += OFFSET_LEN;
  for (uint32_t i = idx + 1; i < t->field_cnt; i++) {
    if (!t->field[i].type->size) {
      end = aq_le32_get(in.ptr + pos);
      break;
    }
    pos += t->field[i].type->size;
  }
  return aq_bytes_sub(in, start, end - start);
}

/* Descends one name of a dotted path and moves it on; the index of the field in *t. */
static uint32_t path_step(const aq_ssz_type *t, const char **path) {
  size_t len = strcspn(*path, ".");
  uint32_t i = 0;
  while (i < t->field_cnt && (strlen(t->field[i].name) != len || memcmp(t->field[i].name, *path, len) != 0)) i++;
  AQ_ASSERT(i < t->field_cnt); /* the type has such a field */
  *path += len + ((*path)[len] == '.');
  return i;
}

const aq_ssz_type *aq_ssz_type_at(const aq_ssz_type *t, const char *path) {
  while (*path) t = t->field[path_step(t, &path)].type;
  return t;
}

aq_bytes aq_ssz_get(const aq_ssz_type *t, aq_bytes in, const char *path) {
  while (*path) {
    uint32_t idx = path_step(t, &path);
    in = field_at(t, in, idx);
    t = t->field[idx].type;
  }
  return in;
}

uint64_t aq_ssz_get_u64(const aq_ssz_type *t, aq_bytes in, const char *path) {
  aq_bytes b = aq_ssz_get(t, in, path);
  AQ_ASSERT(b.len == 8);
  return aq_le64_get(b.ptr);
}

static unsigned top_bit(uint8_t v) { return 31u - (unsigned)__builtin_clz(v); }

size_t aq_ssz_count(const aq_ssz_type *t, aq_bytes in) {
  if (t->kind == AQ_SSZ_BITLIST) return (in.len - 1) * 8 + top_bit(in.ptr[in.len - 1]);
  if (t->kind == AQ_SSZ_BITVECTOR || t->kind == AQ_SSZ_VECTOR) return (size_t)t->limit;
  AQ_ASSERT(t->kind == AQ_SSZ_LIST);
  if (t->elem->size) return in.len / t->elem->size;
  return in.len ? aq_le32_get(in.ptr) / OFFSET_LEN : 0;
}

aq_bytes aq_ssz_elem(const aq_ssz_type *t, aq_bytes in, size_t i) {
  AQ_ASSERT(t->kind == AQ_SSZ_LIST || t->kind == AQ_SSZ_VECTOR);
  size_t cnt = aq_ssz_count(t, in);
  AQ_ASSERT(i < cnt);
  if (t->elem->size) return aq_bytes_sub(in, i * t->elem->size, t->elem->size);
  size_t start = aq_le32_get(in.ptr + i * OFFSET_LEN);
  size_t end = i + 1 < cnt ? aq_le32_get(in.ptr + (i + 1) * OFFSET_LEN) : in.len;
  return aq_bytes_sub(in, start, end - start);
}

bool aq_ssz_bit(const aq_ssz_type *t, aq_bytes in, size_t i) {
  AQ_ASSERT(t->kind == AQ_SSZ_BITLIST || t->kind == AQ_SSZ_BITVECTOR);
  AQ_ASSERT(i < aq_ssz_count(t, in));
  return in.ptr[i / 8] >> (i % 8) & 1;
}

/* ---- validation ---- */

static aq_status check_variable_container(const aq_ssz_type *t, aq_bytes in) {
  size_t fixed = fixed_part_len(t), pos = 0, start = 0;
  if (in.len < fixed) return AQ_E_TRUNC;
  const aq_ssz_type *open = NULL; /* variable field that begins at start and ends at the next offset */
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    const aq_ssz_type *ft = t->field[i].type;
    if (ft->size) {
      aq_status st = aq_ssz_check(ft, aq_bytes_sub(in, pos, ft->size));
      if (st) return st;
      pos += ft->size;
      continue;
    }
    size_t off = aq_le32_get(in.ptr + pos);
    pos += OFFSET_LEN;
    if (!open && off != fixed) return AQ_E_FORMAT;
    if (off > in.len) return AQ_E_TRUNC;
    if (open) {
      if (off < start) return AQ_E_FORMAT;
      aq_status st = aq_ssz_check(open, aq_bytes_sub(in, start, off - start));
      if (st) return st;
    }
    open = ft;
    start = off;
  }
  AQ_ASSERT(open != NULL);
  return aq_ssz_check(open, aq_bytes_sub(in, start, in.len - start));
}

static aq_status check_fixed_container(const aq_ssz_type *t, aq_bytes in) {
  size_t pos = 0;
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    const aq_ssz_type *ft = t->field[i].type;
    aq_status st = aq_ssz_check(ft, aq_bytes_sub(in, pos, ft->size));
    if (st) return st;
    pos += ft->size;
  }
  return AQ_OK;
}

/* Any bytes of the right length are a value. */
static bool is_plain(const aq_ssz_type *t) { return t->kind == AQ_SSZ_UINT || t->kind == AQ_SSZ_BYTES; }

static aq_status check_count(const aq_ssz_type *t, size_t cnt) {
  if (t->kind == AQ_SSZ_LIST) return cnt <= t->limit ? AQ_OK : AQ_E_LIMIT;
  return cnt == t->limit ? AQ_OK : AQ_E_FORMAT;
}

static aq_status check_elements(const aq_ssz_type *t, aq_bytes in) {
  const aq_ssz_type *e = t->elem;
  size_t cnt = 0;
  if (e->size) {
    if (in.len % e->size) return AQ_E_FORMAT;
    cnt = in.len / e->size;
  } else if (in.len) {
    if (in.len < OFFSET_LEN) return AQ_E_TRUNC;
    size_t first = aq_le32_get(in.ptr);
    if (first == 0 || first % OFFSET_LEN) return AQ_E_FORMAT;
    if (first > in.len) return AQ_E_TRUNC;
    cnt = first / OFFSET_LEN;
  }
  aq_status st = check_count(t, cnt);
  if (st || is_plain(e)) return st;
  for (size_t i = 0; i < cnt && st == AQ_OK; i++) {
    if (e->size) {
      st = aq_ssz_check(e, aq_bytes_sub(in, i * e->size, e->size));
      continue;
    }
    size_t start = aq_le32_get(in.ptr + i * OFFSET_LEN);
    size_t end = i + 1 < cnt ? aq_le32_get(in.ptr + (i + 1) * OFFSET_LEN) : in.len;
    if (end > in.len) return AQ_E_TRUNC;
    if (end < start) return AQ_E_FORMAT;
    st = aq_ssz_check(e, aq_bytes_sub(in, start, end - start));
  }
  return st;
}

static aq_status check_bits(const aq_ssz_type *t, aq_bytes in) {
  if (t->kind == AQ_SSZ_BITVECTOR) {
    unsigned used = (unsigned)(t->limit % 8);
    return used && in.ptr[in.len - 1] >> used ? AQ_E_FORMAT : AQ_OK;
  }
  if (in.len == 0) return AQ_E_TRUNC;
  if (in.ptr[in.len - 1] == 0) return AQ_E_FORMAT; /* no delimiter */
  return aq_ssz_count(t, in) <= t->limit ? AQ_OK : AQ_E_LIMIT;
}

aq_status aq_ssz_check(const aq_ssz_type *t, aq_bytes in) {
  if (t->size && in.len != t->size) return in.len < t->size ? AQ_E_TRUNC : AQ_E_FORMAT;
  switch (t->kind) {
    case AQ_SSZ_UINT:
    case AQ_SSZ_BYTES: return AQ_OK;
    case AQ_SSZ_BOOL: return in.ptr[0] <= 1 ? AQ_OK : AQ_E_FORMAT;
    case AQ_SSZ_BYTELIST: return in.len <= t->limit ? AQ_OK : AQ_E_LIMIT;
    case AQ_SSZ_BITVECTOR:
    case AQ_SSZ_BITLIST: return check_bits(t, in);
    case AQ_SSZ_VECTOR:
    case AQ_SSZ_LIST: return check_elements(t, in);
    case AQ_SSZ_CONTAINER: return t->size ? check_fixed_container(t, in) : check_variable_container(t, in);
  }
  return AQ_E_FORMAT;
}

/* ---- building ---- */

aq_status aq_ssz_pack(aq_buf *out, const aq_ssz_type *t, const aq_bytes *part, size_t cnt) {
  AQ_ASSERT(t->kind == AQ_SSZ_CONTAINER && cnt == t->field_cnt);
  size_t off = fixed_part_len(t);
  for (size_t i = 0; i < cnt; i++) {
    const aq_ssz_type *ft = t->field[i].type;
    if (ft->size) {
      AQ_ASSERT(part[i].len == ft->size);
      aq_buf_put_bytes(out, part[i]);
      continue;
    }
    uint8_t le[OFFSET_LEN];
    if (off > UINT32_MAX) return AQ_E_LIMIT;
    aq_le32_put(le, (uint32_t)off);
    aq_buf_put(out, le, sizeof le);
    if (!aq_add_ok(&off, off, part[i].len)) return AQ_E_LIMIT;
  }
  for (size_t i = 0; i < cnt; i++) {
    if (!t->field[i].type->size) aq_buf_put_bytes(out, part[i]);
  }
  return out->failed ? AQ_E_LIMIT : AQ_OK;
}

/* The offsets of a variable part whose elements all have their default, which follows. */
static aq_status default_container(aq_buf *out, const aq_ssz_type *t) {
  size_t base = out->len, pos = base;
  if (!aq_buf_extend(out, fixed_part_len(t))) return AQ_E_LIMIT;
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    const aq_ssz_type *ft = t->field[i].type;
    if (!ft->size) {
      aq_le32_put(out->ptr + pos, (uint32_t)(out->len - base));
      aq_status st = aq_ssz_default(out, ft);
      if (st) return st;
    }
    pos += slot_len(ft);
  }
  return AQ_OK;
}

aq_status aq_ssz_default(aq_buf *out, const aq_ssz_type *t) {
  if (t->size) return aq_buf_extend(out, t->size) ? AQ_OK : AQ_E_LIMIT;
  if (t->kind == AQ_SSZ_CONTAINER) return default_container(out, t);
  AQ_ASSERT(t->kind != AQ_SSZ_VECTOR); /* no type has a vector of variable elements */
  if (t->kind == AQ_SSZ_BITLIST) aq_buf_put_u8(out, 1);
  return out->failed ? AQ_E_LIMIT : AQ_OK;
}

/* Moves the offsets of the fields behind idx in the container that starts at ptr. */
static void shift_offsets(const aq_ssz_type *t, uint8_t *ptr, uint32_t idx, size_t grown, size_t shrunk) {
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    const aq_ssz_type *ft = t->field[i].type;
    if (i > idx && !ft->size) aq_le32_put(ptr, (uint32_t)(aq_le32_get(ptr) + grown - shrunk));
    ptr += slot_len(ft);
  }
}

aq_status aq_ssz_with(aq_buf *out, const aq_ssz_type *t, aq_bytes in, const char *path, aq_bytes value) {
  aq_bytes old = aq_ssz_get(t, in, path);
  size_t head = (size_t)(old.ptr - in.ptr), base = out->len, len;
  if (!aq_add_ok(&len, in.len - old.len, value.len) || len > UINT32_MAX) return AQ_E_LIMIT;
  aq_buf_put(out, in.ptr, head);
  aq_buf_put_bytes(out, value);
  aq_buf_put(out, old.ptr + old.len, in.len - head - old.len);
  if (out->failed) return AQ_E_LIMIT;
  if (value.len == old.len) return AQ_OK;
  for (aq_bytes at = in; *path;) {
    uint32_t idx = path_step(t, &path);
    shift_offsets(t, out->ptr + base + (at.ptr - in.ptr), idx, value.len, old.len);
    at = field_at(t, at, idx);
    t = t->field[idx].type;
  }
  return AQ_OK;
}
