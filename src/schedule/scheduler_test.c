/* Epochs on virtual time before a beacon node that is away, old, wrong or ahead. */
#include "schedule/scheduler.h"

#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "fake/http.h"

/* A chain of 6 s slots, 8 an epoch; validators 0..2 of the cluster have indices 10..12, validator 3 is unknown to the
   chain. */
enum { SPE = 8, VALIDATORS = 4, TRIGGERS_MAX = 256 };
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT AQ_SECONDS(6)

static const char *const urls[] = {"http://bn"};
static uint8_t keys[VALIDATORS][48];

typedef struct {
  aq_duty duty;
  uint64_t at_ns;
  uint32_t cnt;
  aq_duty_def def[4];
} fired;

typedef struct {
  fake_env env;
  fake_http http;
  aq_chain chain;
  aq_bn *bn;
  aq_scheduler *s;
  /* the beacon node */
  bool down, no_next_proposers, garbage, bare;
  int no_post;               /* what POST of validators answers, 0: as GET */
  const char *status;        /* of validator 2; NULL: active. Other than active: it has no duties */
  bool same_index, same_key; /* validator 1 has validator 0's index, or its key */
  const char *raw_attester;  /* instead of the made answer */
  uint64_t shift;            /* moves all attester duties: a changed shuffling */
  uint64_t delay_ns;
  /* what the scheduler did */
  fired fired[TRIGGERS_MAX];
  size_t fired_cnt;
} fixture;

static void put_key(aq_buf *out, uint32_t i) {
  aq_buf_put_str(out, "\"0x");
  aq_buf_put_hex(out, aq_bytes_of(keys[i], 48));
  aq_buf_put_str(out, "\"");
}

static void validators_json(const fixture *f, aq_buf *out, const char *asked) {
  size_t n = 0;
  aq_buf_put_str(out, "{\"execution_optimistic\":false,\"data\":[");
  for (uint32_t i = 0; i < 3; i++) {
    char hex[97];
    for (int b = 0; b < 48; b++) snprintf(hex + 2 * b, 3, "%02x", keys[i][b]);
    if (!strstr(asked, hex)) continue;
    aq_buf_printf(out, "%s{\"index\":\"%u\",\"balance\":\"32000000000\",\"status\":\"%s\",\"validator\":{\"pubkey\":",
                  n++ ? "," : "", 10 + i, i == 2 && f->status ? f->status : "active_ongoing");
    put_key(out, i);
    aq_buf_printf(out, ",\"activation_epoch\":\"%s\"}}", i == 2 && f->status ? "18446744073709551615" : "0");
  }
  aq_buf_put_str(out, "]}");
}

/* Validator i attests in slot 3 i + shift of the epoch; validator 1 proposes slot 5, a stranger slot 6. */
static void attesters_json(fixture *f, aq_buf *out, uint64_t epoch, const char *asked) {
  aq_buf_printf(out, "{\"dependent_root\":\"0x%064llx\",\"execution_optimistic\":false,\"data\":[",
                (unsigned long long)(epoch + f->shift));
  for (uint32_t i = 0, n = 0; i < 3; i++) {
    char index[16];
    snprintf(index, sizeof index, "\"%u\"", 10 + i);
    if (!strstr(asked, index)) continue;
    aq_buf_printf(
        out,
        "%s{\"slot\":\"%llu\",\"validator_index\":\"%u\",\"committee_index\":\"%u\",\"committee_length\":\"9\","
        "\"committees_at_slot\":\"4\",\"validator_committee_index\":\"%u\",\"pubkey\":",
        n++ ? "," : "", (unsigned long long)(epoch * SPE + (3 * i + f->shift) % SPE), 10 + i, i, i + 1);
    put_key(out, i);
    aq_buf_put_str(out, "}");
  }
  aq_buf_put_str(out, "]}");
}

static void proposers_json(aq_buf *out, uint64_t epoch) {
  aq_buf_printf(out,
                "{\"dependent_root\":\"0x%064llx\",\"execution_optimistic\":true,\"data\":[{\"slot\":\"%llu\","
                "\"validator_index\":\"11\",\"pubkey\":",
                (unsigned long long)epoch, (unsigned long long)(epoch * SPE + 5));
  put_key(out, 1);
  aq_buf_printf(out, "},{\"slot\":\"%llu\",\"validator_index\":\"77\",\"pubkey\":\"0x",
                (unsigned long long)(epoch * SPE + 6));
  for (int i = 0; i < 48; i++) aq_buf_put_str(out, "99");
  aq_buf_put_str(out, "\"}]}");
}

static uint64_t now_epoch(const fixture *f) {
  return aq_epoch_of(&f->chain.clock, aq_slot_at(&f->chain.clock, fake_env_now(&f->env)));
}

/* What no beacon node may say of validator 1. */
static void contradict(const fixture *f, char *json) {
  char hex[2][97];
  for (int i = 0; i < 2; i++) {
    for (int b = 0; b < 48; b++) snprintf(hex[i] + 2 * b, 3, "%02x", keys[i][b]);
  }
  char *index = strstr(json, "\"index\":\"11\""), *key = strstr(json, hex[1]);
  if (f->same_index && index) index[strlen("\"index\":\"1")] = '0';
  if (f->same_key && key) memcpy(key, hex[0], 96);
}

/* Strings of digits become numbers. */
static void unquote(aq_buf *b) {
  size_t len = 0;
  for (size_t i = 0; i < b->len; i++) {
    size_t digits = b->ptr[i] == '"' ? strspn((const char *)b->ptr + i + 1, "0123456789") : 0;
    if (digits && b->ptr[i + 1 + digits] == '"') {
      memmove(b->ptr + len, b->ptr + i + 1, digits);
      len += digits;
      i += digits + 1;
    } else {
      b->ptr[len++] = b->ptr[i];
    }
  }
  b->len = len;
}

static void handle(void *arg, fake_ex *ex) {
  fixture *f = arg;
  aq_buf out = AQ_BUF(1 << 20);
  const char *duties = strstr(ex->url, "/eth/v1/validator/duties/");
  uint64_t epoch = duties ? strtoull(strrchr(duties, '/') + 1, NULL, 10) : 0;
  int code = 200;
  if (f->down) {
    fake_http_fail(ex, f->delay_ns, AQ_E_CLOSED);
    return;
  }
  if (strstr(ex->url, "/eth/v1/beacon/states/head/validators")) {
    if (f->no_post && strcmp(ex->method, "POST") == 0)
      code = f->no_post;
    else
      validators_json(f, &out, ex->body.len ? (const char *)ex->body.ptr : ex->url);
    if (out.len) contradict(f, (char *)(uintptr_t)aq_buf_cstr(&out));
  } else if (duties && strstr(duties, "attester")) {
    if (f->raw_attester)
      aq_buf_put_str(&out, f->raw_attester);
    else
      attesters_json(f, &out, epoch, (const char *)ex->body.ptr);
  } else if (duties && strstr(duties, "proposer")) {
    if (f->no_next_proposers && epoch > now_epoch(f))
      code = 400;
    else
      proposers_json(&out, epoch);
  } else if (duties && strstr(duties, "sync")) {
    aq_buf_put_str(&out,
                   "{\"execution_optimistic\":false,\"data\":[{\"validator_index\":\"12\","
                   "\"validator_sync_committee_indices\":[\"5\",\"300\"],\"pubkey\":");
    put_key(&out, 2);
    aq_buf_put_str(&out, "}]}");
  } else {
    code = 404;
  }
  if (f->bare) (void)aq_buf_cstr(&out), unquote(&out);
  if (f->garbage) out.len /= 2;
  fake_http_answer(ex, f->delay_ns, code, aq_buf_cstr(&out));
  aq_buf_free(&out);
}

static void on_trigger(void *arg, aq_duty duty, const aq_duty_defs *defs) {
  fixture *f = arg;
  assert_true(f->fired_cnt < TRIGGERS_MAX && defs->cnt > 0 && defs->cnt <= 4);
  fired *t = &f->fired[f->fired_cnt++];
  *t = (fired){.duty = duty, .at_ns = fake_env_now(&f->env), .cnt = defs->cnt};
  memcpy(t->def, defs->item, defs->cnt * sizeof *defs->item);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void open_fixture(fixture *f, uint64_t now_ns, uint32_t types) {
  memset(f, 0, sizeof *f);
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  for (uint32_t i = 0; i < VALIDATORS; i++) memset(keys[i], 0xa0 + (int)i, 48);
  fake_env_init(&f->env, now_ns);
  fake_http_init(&f->http, &f->env, handle, f);
  f->delay_ns = AQ_MILLIS(5);
  f->chain.clock = (aq_clock){GENESIS, SLOT, SPE};
  for (int k = 0; k < AQ_FORK_CNT; k++) f->chain.fork[k].epoch = 0;
  const aq_bn_cfg bn = {.env = &f->env.env, .http = &f->http.http, .endpoints = urls, .endpoint_cnt = 1};
  f->bn = aq_bn_new(&bn);
  const aq_scheduler_cfg cfg = {.env = &f->env.env,
                                .bn = f->bn,
                                .chain = &f->chain,
                                .pubkey = (const uint8_t(*)[48])keys,
                                .validator_cnt = VALIDATORS,
                                .types = types,
                                .arg = f,
                                .trigger = on_trigger};
  f->s = aq_scheduler_new(&cfg);
}

static void close_fixture(fixture *f) {
  aq_scheduler_free(f->s);
  aq_bn_free(f->bn);
  assert_int_equal(fake_http_open_cnt(&f->http), 0);
  fake_env_free(&f->env);
  fake_http_free(&f->http);
}

#define BOTH ((1u << AQ_DUTY_ATTESTER) | (1u << AQ_DUTY_PROPOSER))

static uint64_t start_of(uint64_t slot) { return GENESIS + slot * SLOT; }

static const fired *find(const fixture *f, uint64_t slot, aq_duty_type type) {
  const fired *found = NULL;
  for (size_t i = 0; i < f->fired_cnt; i++) {
    if (!aq_duty_eq(f->fired[i].duty, (aq_duty){slot, type})) continue;
    assert_null(found); /* never twice */
    found = &f->fired[i];
  }
  return found;
}

/* Goal: each duty triggers once, at its offset to the nanosecond, with the right definitions; slots are entered at
   their start.
   Method: start before genesis, run three epochs, compare with the fake's duties. */
static void triggers_at_the_right_time(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, GENESIS - AQ_SECONDS(30), BOTH);
  aq_scheduler_start(f.s);
  assert_int_equal(f.http.log_cnt, 0);
  for (uint64_t slot = 0; slot < 3 * SPE; slot++) {
    fake_env_run_until(&f.env, start_of(slot));
    assert_int_equal(aq_scheduler_slot(f.s), slot);
    fake_env_run_until(&f.env, start_of(slot + 1) - 1);
    assert_int_equal(aq_scheduler_slot(f.s), slot);
  }
  assert_int_equal(f.fired_cnt, 3 * 3 + 3);
  for (uint64_t e = 0; e < 3; e++) {
    for (uint32_t i = 0; i < 3; i++) {
      const fired *t = find(&f, e * SPE + 3 * i, AQ_DUTY_ATTESTER);
      assert_non_null(t);
      assert_true(t->at_ns == start_of(t->duty.slot) + SLOT / 3);
      assert_int_equal(t->cnt, 1);
      assert_int_equal(t->def[0].validator, i);
      assert_int_equal(t->def[0].validator_index, 10 + i);
      assert_int_equal(t->def[0].attester.committee_index, i);
      assert_int_equal(t->def[0].attester.validator_committee_index, i + 1);
      assert_int_equal(t->def[0].attester.committee_length, 9);
      assert_int_equal(t->def[0].attester.slot, t->duty.slot);
      assert_memory_equal(t->def[0].attester.pubkey, keys[i], 48);
    }
    const fired *p = find(&f, e * SPE + 5, AQ_DUTY_PROPOSER);
    assert_non_null(p);
    assert_true(p->at_ns == start_of(p->duty.slot));
    assert_int_equal(p->def[0].validator, 1);
  }
  assert_true(aq_metric_value(AQ_M_CORE_SCHEDULER_SKIPPED_SLOTS_TOTAL, AQ_NO_LABELS) == 0);
  assert_true(aq_metric_value(AQ_M_CORE_SCHEDULER_DUTY_TOTAL, AQ_LABELS("attester")) == 9);
  assert_true(aq_metric_value(AQ_M_CORE_SCHEDULER_VALIDATORS_ACTIVE, AQ_NO_LABELS) == 3);
  assert_true(aq_metric_value(AQ_M_CORE_SCHEDULER_CURRENT_EPOCH, AQ_NO_LABELS) == 2);
  close_fixture(&f);
}

/* Goal: aggregator and sync contribution trigger at 2D/3 when their bits are set, with positions, and not else.
   Method: one epoch with all bits. */
static void other_types_by_bit(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, GENESIS - AQ_SECONDS(5), (1u << AQ_DUTY_AGGREGATOR) | (1u << AQ_DUTY_SYNC_CONTRIBUTION));
  aq_scheduler_start(f.s);
  fake_env_run_until(&f.env, start_of(SPE) - 1);
  const fired *a = find(&f, 3, AQ_DUTY_AGGREGATOR);
  assert_true(a && a->at_ns == start_of(3) + 2 * SLOT / 3);
  assert_null(find(&f, 3, AQ_DUTY_ATTESTER));
  for (uint64_t slot = 0; slot < SPE; slot++) {
    const fired *c = find(&f, slot, AQ_DUTY_SYNC_CONTRIBUTION);
    assert_true(c && c->cnt == 1 && c->def[0].validator == 2 && c->def[0].sync_position_cnt == 2);
    assert_int_equal(c->def[0].sync_positions[1], 300);
  }
  close_fixture(&f);
}

/* Goal: a late start triggers the running slot's duties at once if their deadline is not past, and nothing older.
   Method: start in slot 5 at 3 s: the attester of slot 5 (shifted) triggers, its proposer is past D/3 + D/12; start
   at 2.1 s: both. */
static void late_start(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(5) + AQ_SECONDS(3), BOTH);
  f.shift = 5; /* validator 0 in slot 5 */
  aq_scheduler_start(f.s);
  fake_env_run_for(&f.env, AQ_MILLIS(100));
  assert_int_equal(f.fired_cnt, 1);
  assert_non_null(find(&f, 5, AQ_DUTY_ATTESTER));
  assert_int_equal(aq_scheduler_slot(f.s), 5);
  close_fixture(&f);
  open_fixture(&f, start_of(5) + AQ_MILLIS(2100), BOTH);
  f.shift = 5;
  aq_scheduler_start(f.s);
  fake_env_run_for(&f.env, AQ_MILLIS(100));
  assert_int_equal(f.fired_cnt, 2);
  assert_non_null(find(&f, 5, AQ_DUTY_PROPOSER));
  close_fixture(&f);
}

/* Goal: a beacon node that is away at the start, or goes for an epoch, costs only what it must.
   Method: down for two slots, then up; then down from mid-epoch over the next epoch's first half. */
static void node_gone_and_back(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(1), BOTH);
  f.down = true;
  aq_scheduler_start(f.s);
  fake_env_run_until(&f.env, start_of(3) + SLOT / 10); /* asked again within the slot, before its attestations */
  assert_int_equal(f.fired_cnt, 0);
  aq_duty_defs defs;
  assert_int_equal(aq_scheduler_defs(f.s, (aq_duty){3, AQ_DUTY_ATTESTER}, &defs), AQ_E_AGAIN);
  f.down = false;
  fake_env_run_until(&f.env, start_of(4));
  assert_non_null(find(&f, 3, AQ_DUTY_ATTESTER));
  fake_env_run_until(&f.env, start_of(6)); /* the next epoch is resolved */
  f.down = true;
  fake_env_run_until(&f.env, start_of(SPE + 7));
  for (uint64_t slot = SPE; slot < SPE + 7; slot += 3) assert_non_null(find(&f, slot, AQ_DUTY_ATTESTER));
  assert_non_null(find(&f, SPE + 5, AQ_DUTY_PROPOSER));
  f.down = false;
  fake_env_run_until(&f.env, start_of(3 * SPE));
  assert_non_null(find(&f, 2 * SPE, AQ_DUTY_ATTESTER));
  close_fixture(&f);
}

/* Goal: the old Lodestar's routes work: validators by GET, remembered; no proposer duties ahead.
   Method: POST answers 404, and as other nodes and gateways refuse it; proposers of the next epoch 400. */
static void old_lodestar(void **state) {
  (void)state;
  static fixture f;
  static const int codes[] = {404, 400, 405, 413, 415, 501};
  for (size_t i = 0; i < AQ_COUNT(codes); i++) {
    open_fixture(&f, start_of(0), BOTH);
    f.no_post = codes[i];
    f.no_next_proposers = true;
    aq_scheduler_start(f.s);
    fake_env_run_until(&f.env, start_of(2 * SPE) - 1);
    assert_int_equal(fake_http_count(&f.http, "POST http://bn/eth/v1/beacon/states/head/validators"), 1);
    assert_int_equal(fake_http_count(&f.http, "GET http://bn/eth/v1/beacon/states/head/validators?id=0xa0a0"), 2);
    assert_int_equal(fake_http_count(&f.http, "&id=0xa1a1"), 2);
    assert_non_null(find(&f, SPE + 3, AQ_DUTY_ATTESTER));
    assert_non_null(find(&f, 5, AQ_DUTY_PROPOSER));
    assert_non_null(find(&f, SPE + 5, AQ_DUTY_PROPOSER));
    /* one guess, one at the epoch's start, one half-way */
    assert_int_equal(fake_http_count(&f.http, "duties/proposer/1"), 3);
    close_fixture(&f);
  }
}

/* Goal: duties are asked again at the epoch's start, and a changed shuffling replaces the old one.
   Method: epoch 1 is resolved in epoch 0, then all duties move by one slot; also an announced reorganisation. */
static void shuffling_changes(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(0), BOTH);
  aq_scheduler_start(f.s);
  fake_env_run_until(&f.env, start_of(7));
  aq_duty_defs defs;
  assert_int_equal(aq_scheduler_defs(f.s, (aq_duty){SPE + 3, AQ_DUTY_ATTESTER}, &defs), AQ_OK);
  f.shift = 1;
  fake_env_run_until(&f.env, start_of(2 * SPE) - 1);
  assert_null(find(&f, SPE + 3, AQ_DUTY_ATTESTER));
  assert_non_null(find(&f, SPE + 4, AQ_DUTY_ATTESTER));
  f.shift = 2;
  fake_env_run_until(&f.env, start_of(2 * SPE) + AQ_SECONDS(1));
  f.shift = 1;
  aq_scheduler_reorg(f.s, 1);
  assert_int_equal(aq_scheduler_defs(f.s, (aq_duty){2 * SPE + 4, AQ_DUTY_ATTESTER}, &defs), AQ_E_AGAIN);
  fake_env_run_until(&f.env, start_of(3 * SPE) - 1);
  assert_non_null(find(&f, 2 * SPE + 4, AQ_DUTY_ATTESTER));
  assert_null(find(&f, 2 * SPE + 5, AQ_DUTY_ATTESTER));
  close_fixture(&f);
}

/* Goal: garbage never becomes a definition, and good answers heal it.
   Method: truncated JSON, wrong types, slots of another epoch, a key that is not the index's, a huge list; then the
   truth. */
static void garbage_answers(void **state) {
  (void)state;
  static fixture f;
#define KEY_A0 "0xa0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"
#define DUTY(slot, index)                                                         \
  "{\"pubkey\":\"" KEY_A0 "\",\"slot\":\"" slot "\",\"validator_index\":\"" index \
  "\",\"committee_index\":\"0\","                                                 \
  "\"committee_length\":\"1\",\"committees_at_slot\":\"1\",\"validator_committee_index\":\"0\"}"
  static const char *const bad[] = {"",
                                    "[]",
                                    "{\"data\":{}}",
                                    "{\"data\":[5]}",
                                    "{\"data\":[" DUTY("99", "10") "]}",
                                    "{\"data\":[" DUTY("0", "11") "]}",
                                    "{\"data\":[" DUTY("-1", "10") "]}",
                                    "{\"data\":[{\"slot\":\"0\",\"validator_index\":\"10\"}]}"};
  for (size_t i = 0; i < AQ_COUNT(bad) + 2; i++) {
    open_fixture(&f, start_of(0), BOTH);
    char *huge = NULL;
    if (i < AQ_COUNT(bad)) f.raw_attester = bad[i];
    if (i == AQ_COUNT(bad)) f.garbage = true;
    if (i == AQ_COUNT(bad) + 1) {
      size_t len = 3u << 20;
      huge = malloc(len + 1);
      memset(huge, '[', len), huge[len] = 0;
      f.raw_attester = huge;
    }
    aq_scheduler_start(f.s);
    fake_env_run_until(&f.env, start_of(2));
    assert_null(find(&f, 0, AQ_DUTY_ATTESTER));
    aq_duty_defs defs;
    assert_int_equal(aq_scheduler_defs(f.s, (aq_duty){0, AQ_DUTY_ATTESTER}, &defs), AQ_E_AGAIN);
    f.raw_attester = NULL;
    f.garbage = false;
    fake_env_run_until(&f.env, start_of(4));
    assert_non_null(find(&f, 3, AQ_DUTY_ATTESTER));
    close_fixture(&f);
    free(huge);
  }
}

/* Goal: a clock set forward skips slots and counts them; one set back goes on where it is, within a quarter of a slot,
   does what had no turn, and nothing twice.
   Method: jump ten slots ahead, then five back, run on; 2 s back over the start of a slot. */
static void clock_jumps(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(0), BOTH);
  aq_scheduler_start(f.s);
  fake_env_run_until(&f.env, start_of(2));
  fake_env_set(&f.env, start_of(12));
  fake_env_run_for(&f.env, SLOT / 4);
  assert_int_equal(aq_scheduler_slot(f.s), 12);
  assert_true(aq_metric_value(AQ_M_CORE_SCHEDULER_SKIPPED_SLOTS_TOTAL, AQ_NO_LABELS) == 9);
  fake_env_set(&f.env, start_of(7));
  fake_env_run_for(&f.env, SLOT / 4);
  assert_int_equal(aq_scheduler_slot(f.s), 7);
  fake_env_run_until(&f.env, start_of(9) + AQ_SECONDS(1));
  assert_non_null(find(&f, 8, AQ_DUTY_ATTESTER));
  fake_env_set(&f.env, start_of(9) - AQ_SECONDS(1));
  fake_env_run_until(&f.env, start_of(10) - 1);
  assert_int_equal(aq_scheduler_slot(f.s), 9);
  fake_env_run_until(&f.env, start_of(14) + AQ_SECONDS(2));
  assert_int_equal(aq_scheduler_slot(f.s), 14);
  assert_true(aq_metric_value(AQ_M_CORE_SCHEDULER_SKIPPED_SLOTS_TOTAL, AQ_NO_LABELS) == 9);
  assert_non_null(find(&f, 14, AQ_DUTY_ATTESTER));
  assert_non_null(find(&f, 13, AQ_DUTY_PROPOSER));
  fake_env_run_until(&f.env, start_of(15) - AQ_MILLIS(10));
  aq_timer *early = fake_env_first_timer(&f.env); /* an environment that fires before its time */
  assert_true(early->at_ns == start_of(15));
  f.env.env.timer_cancel(&f.env, early);
  early->fn(early->arg);
  assert_int_equal(aq_scheduler_slot(f.s), 14);
  fake_env_run_until(&f.env, start_of(15));
  assert_int_equal(aq_scheduler_slot(f.s), 15);
  close_fixture(&f);
}

/* Ahead by so many slots for two slots, then right: the duties of the next whole epoch. Ends in the one behind it. */
static uint64_t ahead_and_back(fixture *f, uint64_t slot, uint64_t ahead) {
  fake_env_set(&f->env, start_of(slot + ahead));
  fake_env_run_for(&f->env, 2 * SLOT + 1);
  slot += 2;
  fake_env_set(&f->env, start_of(slot));
  slot = (slot / SPE + 2) * SPE;
  f->fired_cnt = 0;
  fake_env_run_until(&f->env, start_of(slot) + SLOT / 2);
  for (uint64_t s = slot - SPE; s < slot; s++) {
    uint64_t in_epoch = s % SPE;
    assert_int_equal(find(f, s, AQ_DUTY_ATTESTER) != NULL, in_epoch == 0 || in_epoch == 3 || in_epoch == 6);
    assert_int_equal(find(f, s, AQ_DUTY_PROPOSER) != NULL, in_epoch == 5);
  }
  return slot;
}

/* Goal: a clock that was far ahead, once or again and again, leaves nothing behind that costs a duty of the right time.
   Method: twelve times years ahead for some slots, each time farther; as often, each time less far, so that no later
   time makes the earlier ones old; after each the duties of the next epoch all trigger. */
static void clock_far_ahead(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(0), BOTH);
  aq_scheduler_start(f.s);
  uint64_t slot = 2;
  fake_env_run_until(&f.env, start_of(slot));
  for (uint64_t k = 1; k <= 12; k++) slot = ahead_and_back(&f, slot, k * 5000000);
  for (uint64_t k = 12; k > 0; k--) slot = ahead_and_back(&f, slot, k * 5000000);
  for (uint64_t k = 12; k > 1; k--) slot = ahead_and_back(&f, slot, k * 3 * SPE);
  close_fixture(&f);
}

static void count_answer(void *arg, aq_status st, yyjson_val *answer) {
  assert_int_equal(st, AQ_OK);
  assert_non_null(answer);
  ++*(int *)arg;
}

/* Goal: what a beacon node answered while the clock was ahead is not believed when its time comes near.
   Method: three epochs ahead, where definitions and a client's answer are there; right again they are gone, and a
   client that asks makes a new request; the epoch next to now stays. */
static void told_ahead_is_forgotten(void **state) {
  (void)state;
  static fixture f;
  aq_duty_defs defs;
  const aq_duty then = {5 * SPE, AQ_DUTY_ATTESTER}, next = {2 * SPE, AQ_DUTY_ATTESTER};
  static const char question[] = "POST http://bn/eth/v1/validator/duties/attester/5";
  int answers = 0;
  open_fixture(&f, start_of(SPE + 6), BOTH);
  aq_scheduler_start(f.s);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(aq_scheduler_defs(f.s, next, &defs), AQ_OK);
  fake_env_set(&f.env, start_of(4 * SPE + 6));
  fake_env_run_for(&f.env, SLOT);
  assert_int_equal(aq_scheduler_defs(f.s, then, &defs), AQ_OK);
  size_t asked = fake_http_count(&f.http, question);
  aq_scheduler_duties(f.s, AQ_DUTIES_ATTESTER, 5, count_answer, &answers);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(fake_http_count(&f.http, question), asked);
  fake_env_set(&f.env, start_of(SPE + 7));
  fake_env_run_for(&f.env, SLOT / 2);
  assert_int_equal(aq_scheduler_defs(f.s, then, &defs), AQ_E_AGAIN);
  assert_int_equal(aq_scheduler_defs(f.s, next, &defs), AQ_OK);
  aq_scheduler_duties(f.s, AQ_DUTIES_ATTESTER, 5, count_answer, &answers);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(fake_http_count(&f.http, question), asked + 1);
  assert_int_equal(answers, 2);
  close_fixture(&f);
}

/* Goal: a manual duty runs once, instead of its own trigger, and only where there is one.
   Method: inject a coming slot, again, one without duty, one past its deadline, a type that is off, before resolve.
   */
static void manual_duty(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(0), BOTH);
  aq_scheduler_start(f.s);
  assert_int_equal(aq_scheduler_inject(f.s, (aq_duty){3, AQ_DUTY_ATTESTER}), AQ_E_AGAIN);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(aq_scheduler_inject(f.s, (aq_duty){3, AQ_DUTY_ATTESTER}), AQ_OK);
  assert_int_equal(aq_scheduler_inject(f.s, (aq_duty){3, AQ_DUTY_ATTESTER}), AQ_E_EXISTS);
  assert_int_equal(aq_scheduler_inject(f.s, (aq_duty){2, AQ_DUTY_ATTESTER}), AQ_E_NOTFOUND);
  assert_int_equal(aq_scheduler_inject(f.s, (aq_duty){3, AQ_DUTY_AGGREGATOR}), AQ_E_NOTFOUND);
  assert_int_equal(aq_scheduler_inject(f.s, (aq_duty){3, AQ_DUTY_EXIT}), AQ_E_NOTFOUND);
  aq_duty_defs defs;
  assert_int_equal(aq_scheduler_defs(f.s, (aq_duty){3, AQ_DUTY_EXIT}, &defs), AQ_E_NOTFOUND);
  fake_env_run_until(&f.env, start_of(4));
  assert_true(find(&f, 3, AQ_DUTY_ATTESTER)->at_ns == start_of(0) + AQ_SECONDS(1));
  fake_env_run_until(&f.env, start_of(6 * SPE));
  assert_int_equal(aq_scheduler_inject(f.s, (aq_duty){0, AQ_DUTY_ATTESTER}), AQ_E_STALE);
  assert_int_equal(aq_scheduler_inject(f.s, (aq_duty){5 * SPE + 5, AQ_DUTY_PROPOSER}), AQ_E_EXISTS);
  close_fixture(&f);
}

typedef struct {
  int calls;
  bool ok;
} waited;

static void woken(void *arg, bool ok) {
  waited *w = arg;
  w->calls++;
  w->ok = ok;
}

/* Goal: waiters for an epoch are called once: when it is resolved, when their time is up, or at once.
   Method: one of each, one cancelled, one open at free. */
static void await_epoch(void **state) {
  (void)state;
  static fixture f;
  waited w[5] = {{0}};
  static aq_sched_waiter waiter[5];
  open_fixture(&f, start_of(0), BOTH);
  aq_scheduler_start(f.s);
  aq_scheduler_await_epoch(f.s, &waiter[0], 0, start_of(2), woken, &w[0]);
  aq_scheduler_await_epoch(f.s, &waiter[1], 1, start_of(2), woken, &w[1]);
  aq_scheduler_await_epoch(f.s, &waiter[2], 1, start_of(2), woken, &w[2]);
  aq_sched_waiter_cancel(&waiter[2]);
  aq_sched_waiter_cancel(&waiter[2]);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_true(w[0].calls == 1 && w[0].ok && w[1].calls == 0);
  aq_scheduler_await_epoch(f.s, &waiter[3], 0, start_of(9), woken, &w[3]);
  assert_true(w[3].calls == 1 && w[3].ok);
  fake_env_run_until(&f.env, start_of(2));
  assert_true(w[1].calls == 1 && !w[1].ok && w[2].calls == 0);
  aq_scheduler_await_epoch(f.s, &waiter[4], 7, start_of(90), woken, &w[4]);
  close_fixture(&f);
  assert_true(w[4].calls == 1 && !w[4].ok && w[0].calls == 1);
}

typedef struct {
  int calls;
  aq_status st;
  size_t items;
  char text[2048];
} duties;

static void got_duties(void *arg, aq_status st, yyjson_val *answer) {
  duties *d = arg;
  d->calls++;
  d->st = st;
  d->items = yyjson_arr_size(yyjson_obj_get(answer, "data"));
  char *text = yyjson_val_write(answer, 0, NULL);
  snprintf(d->text, sizeof d->text, "%s", text ? text : "");
  free(text);
}

/* Goal: the API's duties are the beacon node's, restricted to the cluster, with root and flag kept, and one request
   serves all.
   Method: concurrent calls before anything is known; a cached call; a cancelled one; another epoch; a failing node.
   */
static void duties_for_the_api(void **state) {
  (void)state;
  static fixture f;
  static duties d[6];
  memset(d, 0, sizeof d);
  open_fixture(&f, start_of(0), BOTH);
  aq_scheduler_start(f.s);
  for (int i = 0; i < 3; i++)
    assert_int_not_equal(aq_scheduler_duties(f.s, AQ_DUTIES_PROPOSER, 0, got_duties, &d[i]), 0);
  aq_scheduler_duties_cancel(f.s, aq_scheduler_duties(f.s, AQ_DUTIES_PROPOSER, 0, got_duties, &d[5]));
  assert_int_equal(d[0].calls, 0);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  for (int i = 0; i < 3; i++) assert_true(d[i].calls == 1 && d[i].st == AQ_OK && d[i].items == 1);
  assert_non_null(strstr(d[0].text, "\"dependent_root\":\"0x0000"));
  assert_non_null(strstr(d[0].text, "\"execution_optimistic\":true"));
  assert_non_null(strstr(d[0].text, "\"validator_index\":\"11\""));
  assert_null(strstr(d[0].text, "77"));
  assert_int_equal(fake_http_count(&f.http, "duties/proposer/0"), 1);
  aq_scheduler_duties(f.s, AQ_DUTIES_ATTESTER, 0, got_duties, &d[3]);
  assert_int_equal(d[3].calls, 0);
  fake_env_drain(&f.env);
  assert_true(d[3].calls == 1 && d[3].items == 3);
  aq_scheduler_duties(f.s, AQ_DUTIES_SYNC, 40, got_duties, &d[4]);
  fake_env_run_for(&f.env, AQ_MILLIS(6));
  assert_true(d[4].calls == 1 && d[4].items == 1);
  assert_null(strstr(d[4].text, "dependent_root"));
  assert_non_null(strstr(d[4].text, "[\"5\",\"300\"]"));
  assert_int_equal(fake_http_count(&f.http, "POST http://bn/eth/v1/validator/duties/sync/40"), 1);
  f.down = true;
  aq_scheduler_duties(f.s, AQ_DUTIES_SYNC, 41, got_duties, &d[4]);
  fake_env_run_for(&f.env, AQ_MILLIS(6));
  assert_true(d[4].calls == 2 && d[4].st == AQ_E_CLOSED);
  assert_int_equal(d[5].calls, 0);
  aq_scheduler_duties(f.s, AQ_DUTIES_SYNC, 42, got_duties, &d[4]);
  close_fixture(&f);
  assert_true(d[4].calls == 3 && d[4].st == AQ_E_CLOSED);
}

/* Goal: calls over the limits are told so, from a timer, and the cache stays bounded.
   Method: a silent beacon node and a thousand epochs. */
static void duties_are_bounded(void **state) {
  (void)state;
  static fixture f;
  static duties d;
  memset(&d, 0, sizeof d);
  open_fixture(&f, start_of(0), BOTH);
  aq_scheduler_start(f.s);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  f.delay_ns = AQ_SECONDS(1);
  for (uint64_t i = 0; i < 1000; i++) aq_scheduler_duties(f.s, AQ_DUTIES_ATTESTER, 100 + i, got_duties, &d);
  assert_int_equal(d.calls, 0);
  fake_env_drain(&f.env);
  assert_in_range(d.calls, 900, 999);
  assert_int_equal(d.st, AQ_E_LIMIT);
  fake_env_run_for(&f.env, AQ_SECONDS(2));
  assert_int_equal(d.calls, 1000);
  assert_int_equal(d.st, AQ_OK);
  f.delay_ns = 1;
  aq_scheduler_duties(f.s, AQ_DUTIES_ATTESTER, 5000, got_duties, &d);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(d.calls, 1001);
  assert_int_equal(d.st, AQ_OK);
  close_fixture(&f);
}

/* Goal: numbers where strings are usual are read the same, and clients get strings.
   Method: a beacon node that quotes no number; duties, definitions, the validators' records. */
static void bare_numbers(void **state) {
  (void)state;
  static fixture f;
  static duties d[AQ_DUTIES_SYNC + 1];
  open_fixture(&f, start_of(0), BOTH);
  f.bare = true;
  aq_scheduler_start(f.s);
  for (int k = 0; k <= AQ_DUTIES_SYNC; k++) aq_scheduler_duties(f.s, (aq_duties_kind)k, 0, got_duties, &d[k]);
  fake_env_run_until(&f.env, start_of(SPE + 7));
  assert_non_null(find(&f, SPE + 3, AQ_DUTY_ATTESTER));
  assert_non_null(find(&f, SPE + 5, AQ_DUTY_PROPOSER));
  assert_non_null(strstr(d[AQ_DUTIES_ATTESTER].text, "\"slot\":\"3\",\"validator_index\":\"11\""));
  assert_non_null(strstr(d[AQ_DUTIES_PROPOSER].text, "\"slot\":\"5\""));
  assert_non_null(strstr(d[AQ_DUTIES_SYNC].text, "[\"5\",\"300\"]"));
  const aq_validator_state *v = aq_scheduler_validator(f.s, 2);
  assert_true(v->known && v->index == 12 && v->balance == UINT64_C(32000000000));
  assert_non_null(strstr(v->json, "\"activation_epoch\":\"0\""));
  close_fixture(&f);
}

/* Goal: the validators are known as the chain knows them, with the node's record kept.
   Method: look at known, unknown, by index. */
static void validators(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(0), BOTH);
  aq_scheduler_start(f.s);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  const aq_validator_state *v = aq_scheduler_validator(f.s, 2);
  assert_true(v->known && v->active && v->index == 12 && v->balance == UINT64_C(32000000000));
  assert_string_equal(v->status, "active_ongoing");
  assert_non_null(strstr(v->json, "\"activation_epoch\":\"0\""));
  assert_false(aq_scheduler_validator(f.s, 3)->known);
  assert_int_equal(aq_scheduler_by_index(f.s, 11), 1);
  assert_int_equal(aq_scheduler_by_index(f.s, 13), -1);
  f.garbage = true;
  fake_env_run_until(&f.env, start_of(SPE + 1));
  assert_true(aq_scheduler_validator(f.s, 2)->known);
  close_fixture(&f);
}

/* Goal: a validator that becomes active has its duties from that epoch on, one that leaves has none.
   Method: validator 2 waits, with its duty in the second slot of an epoch; is active in epoch 1; has left in 3. */
static void activation(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, start_of(0), BOTH);
  f.shift = 3;
  f.status = "pending_queued";
  aq_scheduler_start(f.s);
  fake_env_run_until(&f.env, start_of(SPE - 1));
  assert_null(find(&f, 1, AQ_DUTY_ATTESTER));
  f.status = NULL;
  fake_env_run_until(&f.env, start_of(3 * SPE - 1));
  for (uint64_t e = 1; e < 3; e++) {
    const fired *t = find(&f, e * SPE + 1, AQ_DUTY_ATTESTER);
    assert_non_null(t);
    assert_int_equal(t->def[0].validator, 2);
  }
  f.status = "exited_unslashed";
  fake_env_run_until(&f.env, start_of(4 * SPE));
  assert_null(find(&f, 3 * SPE + 1, AQ_DUTY_ATTESTER));
  assert_non_null(find(&f, 3 * SPE + 3, AQ_DUTY_ATTESTER));
  close_fixture(&f);
}

/* Goal: two of our validators under one index, or one under two, is not believed: a duty would go to the wrong one.
   Method: such answers at the start, then the truth. */
static void contradictions(void **state) {
  (void)state;
  static fixture f;
  for (int k = 0; k < 2; k++) {
    open_fixture(&f, start_of(0), BOTH);
    f.same_index = k == 0, f.same_key = k == 1;
    aq_scheduler_start(f.s);
    fake_env_run_until(&f.env, start_of(1));
    for (uint32_t v = 0; v < 3; v++) assert_false(aq_scheduler_validator(f.s, v)->known);
    assert_int_equal(f.fired_cnt, 0);
    f.same_index = f.same_key = false;
    fake_env_run_until(&f.env, start_of(SPE + 1));
    for (uint32_t v = 0; v < 3; v++) assert_true(aq_scheduler_validator(f.s, v)->known);
    close_fixture(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(triggers_at_the_right_time),
      cmocka_unit_test(other_types_by_bit),
      cmocka_unit_test(late_start),
      cmocka_unit_test(node_gone_and_back),
      cmocka_unit_test(old_lodestar),
      cmocka_unit_test(bare_numbers),
      cmocka_unit_test(shuffling_changes),
      cmocka_unit_test(garbage_answers),
      cmocka_unit_test(clock_jumps),
      cmocka_unit_test(clock_far_ahead),
      cmocka_unit_test(told_ahead_is_forgotten),
      cmocka_unit_test(manual_duty),
      cmocka_unit_test(await_epoch),
      cmocka_unit_test(duties_for_the_api),
      cmocka_unit_test(duties_are_bounded),
      cmocka_unit_test(validators),
      cmocka_unit_test(activation),
      cmocka_unit_test(contradictions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
