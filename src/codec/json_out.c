/* Commas, line ends and indentation follow from what was opened; only strings need a look at each byte. */
#include "codec/json_out.h"

#include "codec/base64.h"
#include "codec/json.h"

static void new_line(aq_json_out *o) {
  aq_buf_put_u8(o->out, '\n');
  for (unsigned i = 0; i < o->depth * o->indent; i++) aq_buf_put_u8(o->out, ' ');
}

/* The reference escapes for HTML too. Only inside strings do these characters occur in text that aq_json_put_str
   made. */
static void put_text(aq_json_out *o, const char *text) {
  if (o->line) {
    aq_json_put_str(o->out, aq_bytes_str(text));
    return;
  }
  aq_buf plain = AQ_BUF(o->out->max);
  aq_json_put_str(&plain, aq_bytes_str(text));
  for (size_t i = 0; i < plain.len; i++) {
    uint8_t c = plain.ptr[i];
    bool line_sep = c == 0xe2 && i + 2 < plain.len && plain.ptr[i + 1] == 0x80 && (plain.ptr[i + 2] | 1) == 0xa9;
    if (c == '<' || c == '>' || c == '&') {
      aq_buf_printf(o->out, "\\u%04x", c);
    } else if (line_sep) {
      aq_buf_printf(o->out, "\\u20%02x", plain.ptr[i + 2] - 0x80u);
      i += 2;
    } else {
      aq_buf_put_u8(o->out, c);
    }
  }
  aq_buf_free(&plain);
}

static void begin(aq_json_out *o, const char *name) {
  if (o->depth > 0) {
    if (!o->first) aq_buf_put_u8(o->out, ',');
    if (!o->line) new_line(o);
  }
  o->first = false;
  if (!name) return;
  put_text(o, name);
  aq_buf_put_str(o->out, o->line ? ":" : ": ");
}

void aq_json_out_open(aq_json_out *o, const char *name, char bracket) {
  begin(o, name);
  aq_buf_put_u8(o->out, (uint8_t)bracket);
  o->depth++;
  o->first = true;
}

void aq_json_out_value(aq_json_out *o, const char *name) { begin(o, name); }

void aq_json_out_close(aq_json_out *o, char bracket) {
  o->depth--;
  if (!o->first && !o->line) new_line(o);
  o->first = false;
  aq_buf_put_u8(o->out, (uint8_t)bracket);
}

void aq_json_out_str(aq_json_out *o, const char *name, const char *text) {
  begin(o, name);
  put_text(o, text);
}

void aq_json_out_u64(aq_json_out *o, const char *name, uint64_t v) {
  begin(o, name);
  aq_buf_printf(o->out, "%llu", (unsigned long long)v);
}

void aq_json_out_u64_str(aq_json_out *o, const char *name, uint64_t v) {
  begin(o, name);
  aq_buf_printf(o->out, "\"%llu\"", (unsigned long long)v);
}

void aq_json_out_bool(aq_json_out *o, const char *name, bool v) {
  begin(o, name);
  aq_buf_put_str(o->out, v ? "true" : "false");
}

void aq_json_out_null(aq_json_out *o, const char *name) {
  begin(o, name);
  aq_buf_put_str(o->out, "null");
}

static void put_hex(aq_json_out *o, const char *name, const char *prefix, aq_bytes b) {
  begin(o, name);
  aq_buf_printf(o->out, "\"%s", b.len ? prefix : "");
  aq_buf_put_hex(o->out, b);
  aq_buf_put_u8(o->out, '"');
}

void aq_json_out_hex(aq_json_out *o, const char *name, aq_bytes b) { put_hex(o, name, "0x", b); }
void aq_json_out_hex_bare(aq_json_out *o, const char *name, aq_bytes b) { put_hex(o, name, "", b); }

void aq_json_out_base64(aq_json_out *o, const char *name, aq_bytes b) {
  if (b.len == 0) {
    aq_json_out_null(o, name);
    return;
  }
  begin(o, name);
  aq_buf_put_u8(o->out, '"');
  aq_base64_encode(o->out, b, AQ_BASE64_STD);
  aq_buf_put_u8(o->out, '"');
}
