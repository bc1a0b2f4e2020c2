/* Log lines of a node and, after an empty line, an answer of /sim/stats. Input: text. Whatever they hold, the
   report that comes out is JSON, and its counts agree with each other. */
#include <stdlib.h>
#include <yyjson.h>

#include "base/assert.h"
#include "fake/fuzz_json.h"
#include "lab/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_json(const aq_report *r) {
  aq_buf out = AQ_BUF(8 << 20);
  aq_report_write(&out, r);
  AQ_ASSERT(!out.failed);
  yyjson_doc *doc = yyjson_read((const char *)out.ptr, out.len, 0);
  AQ_ASSERT(doc);
  yyjson_doc_free(doc);
  aq_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len > 1 << 18) return 0;
  aq_report r;
  aq_report_init(&r, 2);
  const char *at = (const char *)data, *end = at + len;
  for (uint32_t i = 0; at < end && *at != '\n'; i++) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop) stop = end;
    aq_report_line(&r, i % 2, at, (size_t)(stop - at));
    at = stop < end ? stop + 1 : end;
  }
  for (int t = 0; t < AQ_DUTY_CNT; t++) {
    const aq_report_duty *d = &r.duty[t];
    AQ_ASSERT(d->scheduled == d->ok + d->failed && d->scheduled == d->seen_cnt);
    for (uint32_t i = 1; i < d->seen_cnt; i++) AQ_ASSERT(d->seen[i - 1] >> 1 < d->seen[i] >> 1);
  }
  check_json(&r);
  if (at < end && aq_report_chain(&r, aq_bytes_of(at + 1, (size_t)(end - at) - 1)) == AQ_OK) check_json(&r);
  aq_report_free(&r);
  return 0;
}

FUZZ_JSON_MUTATOR(fuzz_json_body(data, size))
