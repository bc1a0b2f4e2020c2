/* fake/fuzz_json.h - a libFuzzer mutator that keeps JSON well-formed, for targets whose input ends in a document: one
   value of it is replaced, copied, doubled, removed, renamed or respelt at a time. Inputs without a document, and one
   in four, go to libFuzzer's own mutations. Header only; for *_fuzz.c here and above. */
#ifndef AQ_FAKE_FUZZ_JSON_H
#define AQ_FAKE_FUZZ_JSON_H

#include <stdlib.h>

#include "codec/json.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { FUZZ_JSON_VALUES_MAX = 4096, FUZZ_JSON_TEXT_MAX = 256 };

typedef struct {
  yyjson_mut_val *val, *parent, *key;
  size_t idx;
} fuzz_json_node;

typedef struct {
  yyjson_mut_doc *doc;
  fuzz_json_node node[FUZZ_JSON_VALUES_MAX];
  size_t cnt;
  uint32_t rng;
} fuzz_json;

static inline uint32_t fuzz_json_next_(fuzz_json *f) {
  f->rng ^= f->rng << 13, f->rng ^= f->rng >> 17, f->rng ^= f->rng << 5;
  return f->rng;
}

/* Every value in the order of discovery. */
static inline void fuzz_json_list_(fuzz_json *f) {
  f->node[f->cnt++] = (fuzz_json_node){yyjson_mut_doc_get_root(f->doc), NULL, NULL, 0};
  for (size_t at = 0; at < f->cnt; at++) {
    yyjson_mut_val *parent = f->node[at].val, *key, *val;
    size_t i, max;
    if (yyjson_mut_is_obj(parent)) {
      yyjson_mut_obj_foreach(parent, i, max, key, val) {
        if (f->cnt < FUZZ_JSON_VALUES_MAX) f->node[f->cnt++] = (fuzz_json_node){val, parent, key, i};
      }
    } else if (yyjson_mut_is_arr(parent)) {
      yyjson_mut_arr_foreach(parent, i, max, val) {
        if (f->cnt < FUZZ_JSON_VALUES_MAX) f->node[f->cnt++] = (fuzz_json_node){val, parent, NULL, i};
      }
    }
  }
}

static inline yyjson_mut_val *fuzz_json_edge_(fuzz_json *f) {
  static const char *const edge[] = {"",
                                     "0",
                                     "-1",
                                     "00",
                                     "18446744073709551615",
                                     "18446744073709551616",
                                     "9223372036854775808",
                                     "4294967296",
                                     "0x",
                                     "0x0",
                                     "0x00",
                                     "0X01",
                                     "true",
                                     "null",
                                     "1e3",
                                     " 1",
                                     "\xc3\xa9",
                                     "electra",
                                     "fulu",
                                     "phase0",
                                     "capella"};
  uint32_t pick = fuzz_json_next_(f) % (AQ_COUNT(edge) + 8);
  if (pick < AQ_COUNT(edge)) return yyjson_mut_str(f->doc, edge[pick]);
  switch (pick - AQ_COUNT(edge)) {
    case 0: return yyjson_mut_null(f->doc);
    case 1: return yyjson_mut_bool(f->doc, fuzz_json_next_(f) & 1);
    case 2: return yyjson_mut_uint(f->doc, UINT64_MAX >> (fuzz_json_next_(f) % 64));
    case 3: return yyjson_mut_sint(f->doc, -(int64_t)(fuzz_json_next_(f) % 1000));
    case 4: return yyjson_mut_real(f->doc, 1.5e300);
    case 5: return yyjson_mut_arr(f->doc);
    case 6: return yyjson_mut_obj(f->doc);
    default: return yyjson_mut_uint(f->doc, fuzz_json_next_(f) % 300);
  }
}

/* A text, changed by the fuzzer or in length by a digit or a byte of hex. */
static inline yyjson_mut_val *fuzz_json_text_(fuzz_json *f, yyjson_mut_val *from) {
  uint8_t text[FUZZ_JSON_TEXT_MAX];
  size_t len = yyjson_mut_get_len(from);
  if (len > sizeof text - 8) return yyjson_mut_strncpy(f->doc, yyjson_mut_get_str(from), len - len % 64);
  memcpy(text, yyjson_mut_get_str(from), len);
  switch (fuzz_json_next_(f) % 4) {
    case 0: len -= len > 1 ? 2 : len; break;
    case 1: memcpy(text + len, "00", 2), len += 2; break;
    case 2: text[len ? fuzz_json_next_(f) % len : 0] = (uint8_t) "0123456789abcdefx-."[fuzz_json_next_(f) % 19]; break;
    default: len = LLVMFuzzerMutate(text, len, sizeof text); break;
  }
  for (size_t i = 0; i < len; i++) text[i] &= 0x7f; /* stays UTF-8 */
  return yyjson_mut_strncpy(f->doc, (const char *)text, len);
}

static inline void fuzz_json_put_(fuzz_json *f, const fuzz_json_node *n, yyjson_mut_val *val) {
  if (!val) return;
  if (!n->parent)
    yyjson_mut_doc_set_root(f->doc, val);
  else if (n->key)
    yyjson_mut_obj_replace(n->parent, n->key, val);
  else
    yyjson_mut_arr_replace(n->parent, n->idx, val);
}

static inline void fuzz_json_change_(fuzz_json *f) {
  const fuzz_json_node *n = &f->node[fuzz_json_next_(f) % f->cnt], *o = &f->node[fuzz_json_next_(f) % f->cnt];
  yyjson_mut_val *copy = yyjson_mut_val_mut_copy(f->doc, o->val), *list;
  switch (fuzz_json_next_(f) % 8) {
    case 0: fuzz_json_put_(f, n, copy); break;
    case 1:
      if (n->key) yyjson_mut_obj_remove_key(n->parent, yyjson_mut_get_str(n->key));
      if (n->parent && !n->key) yyjson_mut_arr_remove(n->parent, n->idx);
      break;
    case 2:
      copy = yyjson_mut_val_mut_copy(f->doc, n->val);
      if (n->key) yyjson_mut_obj_add(n->parent, yyjson_mut_val_mut_copy(f->doc, n->key), copy);
      if (n->parent && !n->key) yyjson_mut_arr_append(n->parent, copy);
      break;
    case 3:
      list = yyjson_mut_arr(f->doc);
      yyjson_mut_arr_append(list, copy);
      fuzz_json_put_(f, n, list);
      break;
    case 4:
      if (n->key && o->key) yyjson_mut_obj_add(n->parent, yyjson_mut_val_mut_copy(f->doc, o->key), copy);
      break;
    case 5:
    case 6: fuzz_json_put_(f, n, yyjson_mut_is_str(n->val) ? fuzz_json_text_(f, n->val) : fuzz_json_edge_(f)); break;
    default: fuzz_json_put_(f, n, fuzz_json_edge_(f)); break;
  }
}

/* The new size; 0: there is no document from `from` on. */
static inline size_t fuzz_json_tail_(uint8_t *data, size_t size, size_t max_size, unsigned int seed, size_t from) {
  if (from >= size) return 0;
  yyjson_doc *doc = aq_json_parse(aq_bytes_of(data + from, size - from), size, NULL);
  fuzz_json *f = doc ? calloc(1, sizeof *f) : NULL;
  size_t len = 0;
  if (f && (f->doc = yyjson_doc_mut_copy(doc, NULL))) {
    f->rng = seed | 1;
    fuzz_json_list_(f);
    fuzz_json_change_(f);
    char *text = yyjson_mut_write(f->doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
    if (text && len <= max_size - from)
      memcpy(data + from, text, len);
    else
      len = 0;
    free(text);
    yyjson_mut_doc_free(f->doc);
  }
  free(f);
  yyjson_doc_free(doc);
  return len ? from + len : 0;
}

/* from: where the document begins in the input. */
static inline size_t fuzz_json_mutate(uint8_t *data, size_t size, size_t max_size, unsigned int seed, size_t from) {
  size_t len = seed % 4 ? fuzz_json_tail_(data, size, max_size, seed * 2654435761u >> 1, from) : 0;
  return len ? len : LLVMFuzzerMutate(data, size, max_size);
}

/* Where the body of a request as text begins: behind the first empty line. */
static inline size_t fuzz_json_body(const uint8_t *data, size_t size) {
  const uint8_t *at = size ? memmem(data, size, "\n\n", 2) : NULL;
  return at ? (size_t)(at - data) + 2 : size;
}

#define FUZZ_JSON_MUTATOR(from)                                                                    \
  size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) { \
    return fuzz_json_mutate(data, size, max_size, seed, (from));                                   \
  }

#endif
