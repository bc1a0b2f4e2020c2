/* base/log.h - log lines: one JSON object a line on stdout, keys in alphabetical order, always with level, msg and ts
   (RFC 3339, nanoseconds, UTC). contract.md section 5 fixes names and shapes. Logging never blocks: lines go into a
   ring that a writer thread empties; a full ring drops the line and counts it in log_dropped_total. No secrets. */
#ifndef AQ_BASE_LOG_H
#define AQ_BASE_LOG_H

#include "base/bytes.h"

typedef enum { AQ_LOG_DEBUG, AQ_LOG_INFO, AQ_LOG_WARN, AQ_LOG_ERROR } aq_log_level;
typedef enum { AQ_FIELD_STR, AQ_FIELD_INT, AQ_FIELD_UINT, AQ_FIELD_DOUBLE, AQ_FIELD_BOOL, AQ_FIELD_HEX } aq_field_kind;

typedef struct {
  const char *key;
  aq_field_kind kind;
  union {
    const char *s; /* NULL: the field is left out */
    int64_t i;
    uint64_t u;
    double d;
    bool b;
    aq_bytes hex; /* written as 0x... */
  } v;
} aq_log_field;

#define AQ_STR(k, x) ((aq_log_field){(k), AQ_FIELD_STR, {.s = (x)}})
#define AQ_INT(k, x) ((aq_log_field){(k), AQ_FIELD_INT, {.i = (x)}})
#define AQ_UINT(k, x) ((aq_log_field){(k), AQ_FIELD_UINT, {.u = (x)}})
#define AQ_DBL(k, x) ((aq_log_field){(k), AQ_FIELD_DOUBLE, {.d = (x)}})
#define AQ_FLAG(k, x) ((aq_log_field){(k), AQ_FIELD_BOOL, {.b = (x)}})
#define AQ_HEX(k, p, n) ((aq_log_field){(k), AQ_FIELD_HEX, {.hex = aq_bytes_of((p), (n))}})

enum { AQ_LOG_LINE_MAX = 4096, AQ_LOG_FIELDS_MAX = 24 }; /* a longer string value is cut, the line stays valid JSON */

/* AQ_LOG(AQ_LOG_INFO, "service_op", AQ_STR("service", "api"), AQ_STR("op", "start"), AQ_INT("latency_ms", 3)); */
#define AQ_LOG(level, msg, ...)                               \
  aq_log((level), (msg), (const aq_log_field[]){__VA_ARGS__}, \
         sizeof((const aq_log_field[]){__VA_ARGS__}) / sizeof(aq_log_field))

void aq_log(aq_log_level level, const char *msg, const aq_log_field *field, size_t cnt);

/* Formats a line with its newline into out, which AQ_LOG_LINE_MAX bytes always hold; returns the length. Pure: for
   tests and for sinks. */
size_t aq_log_format(char *out, uint64_t unix_ns, aq_log_level level, const char *msg, const aq_log_field *field,
                     size_t cnt);

typedef void (*aq_log_sink)(void *arg, const char *line, size_t len);

/* start: lines below `min` are dropped; sink NULL means stdout through the writer thread, else the sink is called at
   once on the calling thread (tests, simulator). Before start, lines go straight to stdout. stop empties the ring. */
void aq_log_start(aq_log_level min, aq_log_sink sink, void *arg);
void aq_log_stop(void);
uint64_t aq_log_dropped(void);
bool aq_log_enabled(aq_log_level level);

#endif
