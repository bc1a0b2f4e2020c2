/* Vectors as files, JSON or hex, or the test fails with the file's name. */
#include "aq_test.h"

#include "base/hex.h"

aq_buf aq_test_file(const char *path) {
  char full[1024];
  if (path[0] == '/')
    snprintf(full, sizeof full, "%s", path);
  else
    snprintf(full, sizeof full, "%s/%s", AQ_VECTORS, path);
  FILE *f = fopen(full, "rb");
  if (!f) fail_msg("cannot open %s", full);
  aq_buf out = AQ_BUF(256u << 20);
  uint8_t chunk[65536];
  for (size_t len; (len = fread(chunk, 1, sizeof chunk, f)) > 0;) aq_buf_put(&out, chunk, len);
  fclose(f);
  return out;
}

yyjson_doc *aq_test_json(const char *path) {
  aq_buf text = aq_test_file(path);
  yyjson_doc *doc = yyjson_read((const char *)text.ptr, text.len, 0);
  aq_buf_free(&text);
  if (!doc) fail_msg("%s is not JSON", path);
  return doc;
}

aq_buf aq_test_hex(const char *text) {
  aq_buf out = AQ_BUF(256u << 20);
  if (aq_hex_decode_buf(&out, aq_bytes_str(text), AQ_HEX_EITHER) != AQ_OK) fail_msg("not hex: %.40s", text);
  return out;
}

const char *aq_test_str(yyjson_val *obj, const char *name) {
  const char *s = yyjson_get_str(yyjson_obj_get(obj, name));
  if (!s) fail_msg("vector lacks the string %s", name);
  return s;
}

aq_buf aq_test_hex_of(yyjson_val *obj, const char *name) { return aq_test_hex(aq_test_str(obj, name)); }

uint64_t aq_test_u64(yyjson_val *obj, const char *name) {
  yyjson_val *v = yyjson_obj_get(obj, name);
  if (yyjson_is_uint(v)) return yyjson_get_uint(v);
  if (yyjson_is_sint(v)) return (uint64_t)yyjson_get_sint(v);
  uint64_t out = 0;
  if (!yyjson_is_str(v) || aq_u64_parse(&out, aq_bytes_str(yyjson_get_str(v))) != AQ_OK)
    fail_msg("vector lacks the number %s", name);
  return out;
}

void aq_test_rng_seed(aq_test_rng *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) { /* splitmix64 */
    seed += 0x9e3779b97f4a7c15u;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    r->s[i] = z ^ (z >> 31);
  }
}

uint64_t aq_test_rng_next(aq_test_rng *r) {
  uint64_t *s = r->s;
  uint64_t x = s[1] * 5, out = ((x << 7) | (x >> 57)) * 9, t = s[1] << 17;
  s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t;
  s[3] = (s[3] << 45) | (s[3] >> 19);
  return out;
}

void aq_test_rng_bytes(aq_test_rng *r, void *out, size_t len) {
  uint8_t *p = out;
  for (size_t i = 0; i < len; i++) p[i] = (uint8_t)aq_test_rng_next(r);
}

void aq_test_assert_bytes(aq_bytes got, aq_bytes want, const char *file, int line) {
  if (aq_bytes_eq(got, want)) return;
  size_t at = 0;
  while (at < got.len && at < want.len && got.ptr[at] == want.ptr[at]) at++;
  print_error("%s:%d: bytes differ at %zu (lengths %zu, want %zu)\n", file, line, at, got.len, want.len);
  _fail(file, line);
}
