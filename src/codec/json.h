/* codec/json.h - reading JSON (yyjson) with limits, small getters, and string escaping for writing. A document
   borrows its input for nothing: yyjson copies. Limits: input size by the caller; nesting 64. */
#ifndef AQ_CODEC_JSON_H
#define AQ_CODEC_JSON_H

#include <yyjson.h>

#include "base/bytes.h"

enum { AQ_JSON_DEPTH_MAX = 64 };

/* NULL on malformed input (err says where) or input over max. Free with yyjson_doc_free. Duplicate members: the first
   is found. A byte order mark before the text is passed over (RFC 8259, 8.1). An integer over 2^64-1 becomes a raw
   value, which only aq_json_val_digits reads. */
yyjson_doc *aq_json_parse(aq_bytes text, size_t max, aq_err *err);

/* Members of an object; all return false (and leave out untouched) when absent or of another form. */
bool aq_json_u64(yyjson_val *obj, const char *name, uint64_t *out);            /* decimal string or number */
bool aq_json_hex(yyjson_val *obj, const char *name, uint8_t *out, size_t len); /* 0x, exactly len bytes */
const char *aq_json_str(yyjson_val *obj, const char *name);                    /* NULL */
bool aq_json_val_u64(yyjson_val *val, uint64_t *out);
/* The decimal digits of a string, or of an integer over 2^64-1, of any length. */
bool aq_json_val_digits(yyjson_val *val, aq_bytes *out);
/* A copy in which integers are strings, as the beacon API writes them: clients read nothing else. */
yyjson_mut_val *aq_json_quoted(yyjson_mut_doc *doc, yyjson_val *val);

void aq_json_put_str(aq_buf *out, aq_bytes text); /* quoted and escaped; invalid UTF-8 becomes U+FFFD */

#endif
