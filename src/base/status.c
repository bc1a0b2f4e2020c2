/* Names, texts and classes out of the one X-macro. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

const char *aq_status_name(aq_status st) {
  switch (st) {
    case AQ_OK: return "OK";
#define X(name, num, cls, text) \
  case (num): return #name;
      AQ_STATUS_MAP(X)
#undef X
    default: return "unknown status";
  }
}

const char *aq_status_text(aq_status st) {
  switch (st) {
    case AQ_OK: return "ok";
#define X(name, num, cls, text) \
  case (num): return text;
      AQ_STATUS_MAP(X)
#undef X
    default: return "unknown status";
  }
}

aq_status_class aq_status_class_of(aq_status st) {
  switch (st) {
    case AQ_OK: return AQ_CLASS_OK;
#define X(name, num, cls, text) \
  case (num): return AQ_CLASS_##cls;
      AQ_STATUS_MAP(X)
#undef X
    default: return AQ_CLASS_ENV;
  }
}

aq_status aq_fail(aq_err *err, aq_status st, const char *fmt, ...) {
  if (!err) return st;
  err->status = st;
  va_list args;
  va_start(args, fmt);
  vsnprintf(err->text, sizeof err->text, fmt, args);
  va_end(args);
  aq_text_clean(err->text); /* it may quote a file or a peer */
  return st;
}
