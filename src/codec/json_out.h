/* codec/json_out.h - the one writer of JSON, in two forms. Files as the reference has them: one space a level, ": "
   after names, '\n' line ends, no newline at the end, '<', '>', '&', U+2028 and U+2029 escaped (cluster.md 2.2). And
   lines, as HTTP and logs have them: no blanks, nothing escaped that JSON does not ask for. Only crypto/keystore.c
   writes its own, since it stands below. */
#ifndef AQ_CODEC_JSON_OUT_H
#define AQ_CODEC_JSON_OUT_H

#include "base/bytes.h"

typedef struct {
  aq_buf *out;
  unsigned depth, indent; /* indent: spaces a level */
  bool first;
  bool line; /* all in one */
} aq_json_out;

static inline aq_json_out aq_json_out_of(aq_buf *out, unsigned indent) {
  return (aq_json_out){.out = out, .indent = indent, .first = true};
}
static inline aq_json_out aq_json_out_line(aq_buf *out) {
  return (aq_json_out){.out = out, .first = true, .line = true};
}

/* name: NULL for the top value and for entries of a list. */
void aq_json_out_open(aq_json_out *o, const char *name, char bracket); /* '{' or '[' */
/* The caller puts the value, whole, right behind it: SSZ as JSON, text that is JSON already. */
void aq_json_out_value(aq_json_out *o, const char *name);
void aq_json_out_close(aq_json_out *o, char bracket);
void aq_json_out_str(aq_json_out *o, const char *name, const char *text);
void aq_json_out_u64(aq_json_out *o, const char *name, uint64_t v);
void aq_json_out_u64_str(aq_json_out *o, const char *name, uint64_t v); /* a number in quotes */
void aq_json_out_bool(aq_json_out *o, const char *name, bool v);
void aq_json_out_null(aq_json_out *o, const char *name);
void aq_json_out_hex(aq_json_out *o, const char *name, aq_bytes b); /* 0x..., "" when empty */
void aq_json_out_hex_bare(aq_json_out *o, const char *name, aq_bytes b);
void aq_json_out_base64(aq_json_out *o, const char *name, aq_bytes b); /* null when empty */

#endif
