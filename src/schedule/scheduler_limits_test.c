/* Epochs that pass, and sync committees as crowded as they can be. */
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/http.h"
#include "schedule/scheduler.h"

/* One validator, without duties but in a sync committee. */
enum { SPE = 8 };
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT AQ_SECONDS(6)

static const uint8_t key[1][48] = {{0}};

typedef struct {
  fake_env env;
  fake_http http;
  aq_chain chain;
  aq_bn *bn;
  aq_scheduler *s;
  uint32_t positions;
} fixture;

static void handle(void *arg, fake_ex *ex) {
  const fixture *f = arg;
  aq_buf out = AQ_BUF(1 << 20);
  aq_buf_put_str(&out, "{\"dependent_root\":\"0x");
  aq_buf_printf(&out, "%064d\",\"execution_optimistic\":false,\"data\":[", 0);
  if (strstr(ex->url, "/states/head/validators"))
    aq_buf_printf(
        &out,
        "{\"index\":\"7\",\"balance\":\"1\",\"status\":\"active_ongoing\",\"validator\":{\"pubkey\":\"0x%096d\","
        "\"activation_epoch\":\"0\"}}",
        0);
  if (strstr(ex->url, "duties/sync")) {
    aq_buf_printf(&out, "{\"validator_index\":\"7\",\"pubkey\":\"0x%096d\",\"validator_sync_committee_indices\":[", 0);
    for (uint32_t i = 0; i < f->positions; i++) aq_buf_put_str(&out, i ? ",\"6\"" : "\"5\"");
    aq_buf_put_str(&out, "]}");
  }
  aq_buf_put_str(&out, "]}");
  fake_http_answer(ex, AQ_MILLIS(5), strstr(ex->url, "/eth/") ? 200 : 404, aq_buf_cstr(&out));
  aq_buf_free(&out);
}

static void on_trigger(void *arg, aq_duty duty, const aq_duty_defs *defs) { (void)arg, (void)duty, (void)defs; }
static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void open_fixture(fixture *f, uint32_t positions) {
  static const char *const urls[] = {"http://bn"};
  memset(f, 0, sizeof *f);
  f->positions = positions;
  f->chain.clock = (aq_clock){GENESIS, SLOT, SPE};
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  fake_env_init(&f->env, GENESIS);
  fake_http_init(&f->http, &f->env, handle, f);
  const aq_bn_cfg bn = {.env = &f->env.env, .http = &f->http.http, .endpoints = urls, .endpoint_cnt = 1};
  f->bn = aq_bn_new(&bn);
  const uint32_t types = 1u << AQ_DUTY_ATTESTER | 1u << AQ_DUTY_PROPOSER | 1u << AQ_DUTY_SYNC_CONTRIBUTION;
  const aq_scheduler_cfg cfg = {.env = &f->env.env,
                                .bn = f->bn,
                                .chain = &f->chain,
                                .pubkey = key,
                                .validator_cnt = 1,
                                .types = types,
                                .trigger = on_trigger};
  f->s = aq_scheduler_new(&cfg);
  aq_scheduler_start(f->s);
}

static void close_fixture(fixture *f) {
  aq_scheduler_free(f->s);
  aq_bn_free(f->bn);
  fake_http_free(&f->http);
  fake_env_free(&f->env);
  aq_log_stop();
}

/* Goal: definitions are kept for three epochs, and no longer (core.md 6.3). Method: those of epoch 0, at both ends of
   the epochs after it. */
static void kept_for_three_epochs(void **state) {
  (void)state;
  static fixture f;
  aq_duty_defs defs;
  const aq_duty first = {0, AQ_DUTY_ATTESTER}; /* it is known that there is none */
  open_fixture(&f, 1);
  for (uint64_t slot = SPE - 1; slot < 5 * SPE; slot += slot % SPE ? 1 : SPE - 1) {
    fake_env_run_until(&f.env, GENESIS + slot * SLOT + SLOT / 2);
    assert_int_equal(aq_scheduler_defs(f.s, first, &defs), slot < 4 * SPE ? AQ_E_NOTFOUND : AQ_E_STALE);
  }
  close_fixture(&f);
}

/* Goal: a validator may have as many places in a sync committee as there are, and no more. Method: the limit, one more.
 */
static void sync_positions(void **state) {
  (void)state;
  static fixture f;
  for (uint32_t more = 0; more < 2; more++) {
    aq_duty_defs defs;
    open_fixture(&f, 4096 + more);
    fake_env_run_for(&f.env, SLOT / 2);
    aq_status st = aq_scheduler_defs(f.s, (aq_duty){0, AQ_DUTY_SYNC_CONTRIBUTION}, &defs);
    assert_int_equal(st, more ? AQ_E_AGAIN : AQ_OK);
    close_fixture(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kept_for_three_epochs), cmocka_unit_test(sync_positions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
