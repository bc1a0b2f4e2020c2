/* Any bytes as a document and as a string; the string is read back. */
#include "base/assert.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "fake/fuzz_json.h"

enum { INPUT_MAX = 1 << 20 };

/* Any bytes as a document; any bytes as a string, which reads back the same when they are UTF-8. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  aq_bytes in = aq_bytes_of(data, len);
  aq_err err;
  uint64_t n;
  uint8_t hex[4];
  yyjson_doc *doc = aq_json_parse(in, INPUT_MAX, &err);
  if (doc) {
    yyjson_val *root = yyjson_doc_get_root(doc);
    (void)aq_json_u64(root, "n", &n);
    (void)aq_json_hex(root, "h", hex, sizeof hex);
    (void)aq_json_str(root, "s");
    (void)aq_json_val_u64(root, &n);
    yyjson_mut_doc *copy = yyjson_mut_doc_new(NULL);
    AQ_ASSERT(copy);
    yyjson_mut_doc_set_root(copy, aq_json_quoted(copy, root));
    yyjson_mut_doc_free(copy);
    yyjson_doc_free(doc);
  }
  aq_buf out = AQ_BUF(8 * len + 16);
  aq_json_put_str(&out, in);
  doc = aq_json_parse(aq_buf_bytes(&out), out.len, NULL);
  AQ_ASSERT(doc);
  yyjson_val *text = yyjson_doc_get_root(doc);
  aq_bytes back = aq_bytes_of(yyjson_get_str(text), yyjson_get_len(text));
  AQ_ASSERT(aq_utf8_valid(back) && (!aq_utf8_valid(in) || aq_bytes_eq(back, in)));
  yyjson_doc_free(doc);
  aq_buf_free(&out);
  return 0;
}

FUZZ_JSON_MUTATOR(0)
