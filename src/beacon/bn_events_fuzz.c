/* Event streams of a beacon node: the parser and the events behind it. The first byte is the chunk length; the events
   must not depend on it. */
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "beacon/bn_internal.h"
#include "fake/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct {
  uint64_t events, bytes, heads, reorgs, mix;
} seen;

static void on_event(void *arg, const char *name, aq_bytes data) {
  seen *s = arg;
  AQ_ASSERT(strlen(name) < AQ_SSE_NAME_MAX && data.len <= AQ_SSE_DATA_MAX);
  s->events++;
  s->bytes += data.len;
  for (size_t i = 0; i < data.len; i++) s->mix = s->mix * 31 + data.ptr[i];
}

static void on_head(void *arg, const aq_bn_head *h) {
  seen *s = arg;
  s->heads++;
  s->mix = s->mix * 31 + h->slot + h->block[0] + h->previous[0] + h->current[0] + h->has_roots;
}

static void on_reorg(void *arg, uint64_t slot, uint64_t depth) {
  seen *s = arg;
  s->reorgs++;
  s->mix = s->mix * 31 + slot + depth;
}

static void no_answer(void *arg, fake_ex *ex) { (void)arg, (void)ex; }
static void quiet(void *arg, const char *line, size_t n) { (void)arg, (void)line, (void)n; }

static seen run(const uint8_t *data, size_t len, size_t chunk) {
  static const char *const urls[] = {"http://bn"};
  static fake_env env;
  static fake_http http;
  seen s = {0};
  aq_sse sse;
  aq_sse_init(&sse);
  for (size_t at = 0; at < len; at += chunk)
    aq_sse_feed(&sse, aq_bytes_of(data + at, len - at < chunk ? len - at : chunk), on_event, &s);
  aq_sse_free(&sse);

  fake_env_init(&env, AQ_SECONDS(1700000000));
  fake_http_init(&http, &env, no_answer, NULL);
  const aq_bn_cfg cfg = {.env = &env.env, .http = &http.http, .endpoints = urls, .endpoint_cnt = 1};
  aq_bn *bn = aq_bn_new(&cfg);
  aq_bn_subscribe(bn, &(aq_bn_events){.arg = &s, .head = on_head, .reorg = on_reorg});
  fake_ex *ex = fake_http_find(&http, "/events");
  fake_http_open(ex, 200);
  for (size_t at = 0; at < len; at += chunk)
    ex->cb.data(ex->cb.arg, aq_bytes_of(data + at, len - at < chunk ? len - at : chunk));
  aq_bn_free(bn);
  fake_http_free(&http);
  fake_env_free(&env);
  return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  if (len == 0) return 0;
  seen whole = run(data + 1, len - 1, len), parts = run(data + 1, len - 1, (size_t)data[0] + 1);
  AQ_ASSERT(memcmp(&whole, &parts, sizeof whole) == 0);
  return 0;
}
