/* base/status.h - the one list of failures. The class decides what a caller does:
   AGAIN  needs more input or room;
   PEER   bytes from outside are wrong: count, score, drop;
   ENV    disk, socket, beacon node: retry or degrade.
   Broken invariants of our own are no status: AQ_ASSERT (base/assert.h). */
#ifndef AQ_BASE_STATUS_H
#define AQ_BASE_STATUS_H

#include "base/compiler.h"

#define AQ_STATUS_MAP(X)                                               \
  X(AGAIN, -1, AGAIN, "more input or room needed")                     \
  X(TRUNC, -2, PEER, "input ends inside an item")                      \
  X(LIMIT, -3, PEER, "a length or count is over its limit")            \
  X(FORMAT, -4, PEER, "bytes violate the encoding")                    \
  X(AUTH, -5, PEER, "signature or MAC is wrong")                       \
  X(UNJUST, -6, PEER, "consensus message lacks its justification")     \
  X(STALE, -7, PEER, "duty is past its deadline")                      \
  X(IO, -8, ENV, "the system refused an operation")                    \
  X(TIMEOUT, -9, ENV, "no answer before the deadline")                 \
  X(SLASH, -10, ENV, "signing or voting would contradict the journal") \
  X(NOTFOUND, -11, ENV, "there is no such thing")                      \
  X(EXISTS, -12, ENV, "it is there already")                           \
  X(DUP, -13, PEER, "an equal item was received before")               \
  X(UNKNOWN, -14, PEER, "names something outside the cluster")         \
  X(CLOSED, -15, ENV, "the other side is gone or we are stopping")     \
  X(UNSUPPORTED, -16, ENV, "this build or version does not do that")   \
  X(REFUSED, -17, ENV, "the other side answered with an error")

typedef int aq_status;

enum {
  AQ_OK = 0,
#define X(name, num, cls, text) AQ_E_##name = (num),
  AQ_STATUS_MAP(X)
#undef X
};

typedef enum { AQ_CLASS_OK, AQ_CLASS_AGAIN, AQ_CLASS_PEER, AQ_CLASS_ENV } aq_status_class;

/* Static texts; "unknown status" for a number outside the list. */
const char *aq_status_name(aq_status st);
const char *aq_status_text(aq_status st);
aq_status_class aq_status_class_of(aq_status st);

enum { AQ_ERR_TEXT_MAX = 400 };

/* Detail of one failure, written once, where it happened. Callers pass NULL when they do not want it. */
typedef struct {
  aq_status status;
  char text[AQ_ERR_TEXT_MAX];
} aq_err;

/* Writes the detail (cut to fit, cleaned as aq_text_clean does) into err unless it is NULL. Returns st, for `return
   aq_fail(...)`. */
aq_status aq_fail(aq_err *err, aq_status st, const char *fmt, ...) AQ_PRINTF(3, 4);

#endif
