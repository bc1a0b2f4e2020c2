/* Duties that a reorganisation moves: what a new head says of the roots that they depend on. */
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "fake/http.h"
#include "schedule/scheduler.h"

/* One validator of index 10, on a chain of 6 s slots, 8 an epoch. */
enum { SPE = 8, FIRED_MAX = 128 };
#define GENESIS AQ_SECONDS(1700000000)
#define SLOT AQ_SECONDS(6)
#define BOTH ((1u << AQ_DUTY_ATTESTER) | (1u << AQ_DUTY_PROPOSER))

static const char *const urls[] = {"http://bn"};
static uint8_t keys[1][48];

typedef struct {
  fake_env env;
  fake_http http;
  aq_chain chain;
  aq_bn *bn;
  aq_scheduler *s;
  bool down, mute, events; /* mute: it does not say what duties depend on; events: it has a stream of them */
  uint8_t
      root[8]; /* first byte of the newest block before an epoch begins: what duties depend on, and where they are */
  uint64_t delay_ns;
  aq_duty fired[FIRED_MAX];
  size_t fired_cnt;
} fixture;

static uint8_t root_of(const fixture *f, bool attester, uint64_t epoch) {
  return f->root[attester && epoch ? epoch - 1 : epoch];
}

/* Both duties are in the slot that the root names. */
static void handle(void *arg, fake_ex *ex) {
  fixture *f = arg;
  aq_buf out = AQ_BUF(1 << 16);
  const char *duties = strstr(ex->url, "/duties/");
  if (f->events && strstr(ex->url, "/eth/v1/events")) return;
  if (f->down) {
    fake_http_fail(ex, f->delay_ns, AQ_E_CLOSED);
  } else if (strstr(ex->url, "/states/head/validators")) {
    aq_buf_put_str(&out,
                   "{\"data\":[{\"index\":\"10\",\"balance\":\"1\",\"status\":\"active_ongoing\",\"validator\":{"
                   "\"activation_epoch\":\"0\",\"pubkey\":\"0x");
    aq_buf_put_hex(&out, aq_bytes_of(keys[0], 48));
    aq_buf_put_str(&out, "\"}}]}");
    fake_http_answer(ex, f->delay_ns, 200, aq_buf_cstr(&out));
  } else if (duties && !strstr(duties, "sync")) {
    uint64_t epoch = strtoull(strrchr(duties, '/') + 1, NULL, 10);
    uint8_t root = root_of(f, strstr(duties, "attester") != NULL, epoch);
    aq_buf_printf(&out,
                  "{\"dependent_root\":\"0x%02x%062d\",\"data\":[{\"slot\":\"%llu\",\"validator_index\":\"10\","
                  "\"committee_index\":\"0\",\"committee_length\":\"1\",\"committees_at_slot\":\"1\","
                  "\"validator_committee_index\":\"0\",\"pubkey\":\"0x",
                  f->mute ? 0 : root, 0, (unsigned long long)(epoch * SPE + root % SPE));
    aq_buf_put_hex(&out, aq_bytes_of(keys[0], 48));
    aq_buf_put_str(&out, "\"}]}");
    fake_http_answer(ex, f->delay_ns, 200, aq_buf_cstr(&out));
  } else {
    fake_http_answer(ex, 0, 404, "{}");
  }
  aq_buf_free(&out);
}

static void on_trigger(void *arg, aq_duty duty, const aq_duty_defs *defs) {
  fixture *f = arg;
  assert_true(f->fired_cnt < FIRED_MAX && defs->cnt == 1);
  f->fired[f->fired_cnt++] = duty;
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void open_fixture(fixture *f, aq_fork fork) {
  memset(f, 0, sizeof *f);
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  memset(keys, 0xa0, sizeof keys);
  fake_env_init(&f->env, GENESIS);
  fake_http_init(&f->http, &f->env, handle, f);
  f->delay_ns = AQ_MILLIS(5);
  for (uint8_t i = 0; i < AQ_COUNT(f->root); i++) f->root[i] = 0x13; /* slot 3 */
  f->chain.clock = (aq_clock){GENESIS, SLOT, SPE};
  for (int k = 0; k < AQ_FORK_CNT; k++) f->chain.fork[k].epoch = k <= (int)fork ? 0 : AQ_FAR_EPOCH;
  const aq_bn_cfg bn = {.env = &f->env.env, .http = &f->http.http, .endpoints = urls, .endpoint_cnt = 1};
  f->bn = aq_bn_new(&bn);
  const aq_scheduler_cfg cfg = {.env = &f->env.env,
                                .bn = f->bn,
                                .chain = &f->chain,
                                .pubkey = (const uint8_t(*)[48])keys,
                                .validator_cnt = 1,
                                .types = BOTH,
                                .arg = f,
                                .trigger = on_trigger};
  f->s = aq_scheduler_new(&cfg);
  aq_scheduler_start(f->s);
}

static void close_fixture(fixture *f) {
  aq_scheduler_free(f->s);
  aq_bn_free(f->bn);
  assert_int_equal(fake_http_open_cnt(&f->http), 0);
  fake_env_free(&f->env);
  fake_http_free(&f->http);
  aq_log_stop();
}

static void run_to(fixture *f, uint64_t slot, uint64_t after_ns) {
  fake_env_run_until(&f->env, GENESIS + slot * SLOT + after_ns);
}

static size_t asked(fixture *f, const char *what) { return fake_http_count(&f->http, what); }

static bool fired(const fixture *f, uint64_t slot, aq_duty_type type) {
  for (size_t i = 0; i < f->fired_cnt; i++) {
    if (aq_duty_eq(f->fired[i], (aq_duty){slot, type})) return true;
  }
  return false;
}

/* The head of a slot, as the beacon node would tell it now. */
static void tell_head(fixture *f, uint64_t slot) {
  uint64_t epoch = slot / SPE;
  aq_bn_head h = {.slot = slot, .has_roots = true};
  h.block[0] = f->root[epoch + 1];
  h.current[0] = f->root[epoch];
  h.previous[0] = f->root[epoch ? epoch - 1 : 0];
  aq_scheduler_head(f->s, &h);
}

/* Goal: a head that tells of another root moves the duties that depend on it, of this epoch and the next, and no other
   ones; a head that does not, asks for nothing.
   Method: the last block before epoch 2, on which proposers of 2 and attesters of 3 depend, is left in slot 21; that
   before epoch 1, for attesters of 2, too. */
static void test_moved(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, AQ_ELECTRA);
  run_to(&f, 2 * SPE + 1, 0);
  f.root[2] = 0x17; /* proposers of epoch 2 and attesters of epoch 3: slot 7 */
  size_t attesters = asked(&f, "attester/2"), proposers = asked(&f, "proposer/2");
  tell_head(&f, 2 * SPE + 1);
  run_to(&f, 2 * SPE + 2, 0);
  assert_int_equal(asked(&f, "attester/2"), attesters);
  assert_int_equal(asked(&f, "proposer/2"), proposers + 1);
  tell_head(&f, 2 * SPE + 2);
  assert_int_equal(asked(&f, "proposer/2"), proposers + 1);
  f.root[1] = 0x16; /* attesters of epoch 2: slot 6 */
  tell_head(&f, 2 * SPE + 2);
  run_to(&f, 2 * SPE + 6, 0);
  assert_int_equal(asked(&f, "attester/3"), 1);
  f.root[2] = 0x15; /* once more, when epoch 3 was asked for already; and no time is left to wait for its begin */
  tell_head(&f, 2 * SPE + 6);
  run_to(&f, 4 * SPE, 0);
  for (uint64_t slot = 2 * SPE; slot < 4 * SPE; slot++) {
    assert_int_equal(fired(&f, slot, AQ_DUTY_ATTESTER), slot == 2 * SPE + 6 || slot == 3 * SPE + 5);
    assert_int_equal(fired(&f, slot, AQ_DUTY_PROPOSER), slot == 3 * SPE + 3);
  }
  close_fixture(&f);
}

/* Goal: duties of the next epoch that are in hand move as well, before it begins.
   Method: the definitions in the last slots of epoch 2 after a head that told of another root. */
static void test_next_epoch(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, AQ_FULU);
  run_to(&f, 2 * SPE + 6, 0);
  aq_duty_defs defs;
  assert_int_equal(aq_scheduler_defs(f.s, (aq_duty){3 * SPE + 3, AQ_DUTY_ATTESTER}, &defs), AQ_OK);
  f.root[2] = 0x15;
  tell_head(&f, 2 * SPE + 6);
  run_to(&f, 2 * SPE + 6, AQ_SECONDS(1));
  assert_int_equal(aq_scheduler_defs(f.s, (aq_duty){3 * SPE + 3, AQ_DUTY_ATTESTER}, &defs), AQ_E_NOTFOUND);
  assert_int_equal(aq_scheduler_defs(f.s, (aq_duty){3 * SPE + 5, AQ_DUTY_ATTESTER}, &defs), AQ_OK);
  close_fixture(&f);
}

/* Goal: the block of the last slot before an epoch that comes late moves its proposers, though the head that tells of
   it is of the epoch before. Method: such a head in slot 1 of epoch 2. */
static void test_late_block(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, AQ_ELECTRA);
  run_to(&f, 2 * SPE + 1, 0);
  f.root[2] = 0x17;
  tell_head(&f, 2 * SPE - 1);
  run_to(&f, 3 * SPE - 1, SLOT / 2);
  assert_false(fired(&f, 2 * SPE + 3, AQ_DUTY_PROPOSER));
  assert_true(fired(&f, 2 * SPE + 7, AQ_DUTY_PROPOSER));
  close_fixture(&f);
}

/* Goal: beacon nodes that differ for long, or do not say what duties depend on, are not asked all the time.
   Method: heads that never fit the answers: of one root, of two in turn; answers without roots. */
static void test_never_fits(void **state) {
  (void)state;
  static fixture f;
  for (int mute = 0; mute < 2; mute++) {
    open_fixture(&f, AQ_ELECTRA);
    f.mute = mute;
    run_to(&f, 2 * SPE, AQ_SECONDS(1));
    size_t before = asked(&f, "attester/2");
    aq_bn_head h = {.slot = 2 * SPE, .has_roots = true, .current = {0x51}, .previous = {0x52}};
    for (int i = 0; i < 20; i++) {
      fake_env_run_for(&f.env, AQ_MILLIS(20));
      aq_scheduler_head(f.s, &h);
    }
    assert_int_equal(asked(&f, "attester/2") - before, mute ? 0 : 1);
    run_to(&f, 2 * SPE + 1, AQ_SECONDS(1));
    aq_scheduler_head(f.s, &h);
    assert_int_equal(asked(&f, "attester/2") - before, mute ? 0 : 2);
    h.has_roots = false;
    h.previous[0] = 0x53;
    run_to(&f, 2 * SPE + 2, AQ_SECONDS(1));
    aq_scheduler_head(f.s, &h);
    assert_int_equal(asked(&f, "attester/2") - before, mute ? 0 : 2);
    close_fixture(&f);
  }
}

/* Goal: an answer that was under way when the chain moved is not taken for one of after it.
   Method: answers take two seconds; the head comes after one. */
static void test_under_way(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, AQ_ELECTRA);
  run_to(&f, 2 * SPE - 1, SLOT / 2);
  tell_head(&f, 2 * SPE - 1);
  f.delay_ns = AQ_SECONDS(1);
  run_to(&f, 2 * SPE, AQ_MILLIS(100)); /* asked at the epoch's begin */
  tell_head(&f, 2 * SPE);
  f.root[1] = 0x17;
  run_to(&f, 2 * SPE, AQ_MILLIS(600));
  tell_head(&f, 2 * SPE);
  run_to(&f, 3 * SPE - 1, SLOT / 2 + AQ_SECONDS(1));
  assert_false(fired(&f, 2 * SPE + 3, AQ_DUTY_ATTESTER));
  assert_true(fired(&f, 2 * SPE + 7, AQ_DUTY_ATTESTER));
  close_fixture(&f);
}

typedef struct {
  int cnt;
  aq_status st;
  uint64_t slot;
} heard;

static void on_duties(void *arg, aq_status st, yyjson_val *answer) {
  heard *h = arg;
  h->cnt++;
  h->st = st;
  if (st == AQ_OK) aq_json_u64(yyjson_arr_get_first(yyjson_obj_get(answer, "data")), "slot", &h->slot);
}

/* Goal: whoever asks for duties gets none of a chain that was left; where the beacon node does not answer he gets the
   old ones, and the node asks on until it does.
   Method: calls of the API between a head and its answer, with a beacon node that answers and one that is down. */
static void test_calls_wait(void **state) {
  (void)state;
  static fixture f;
  for (int down = 0; down < 2; down++) {
    heard h = {0};
    open_fixture(&f, AQ_ELECTRA);
    run_to(&f, 2 * SPE + 1, 0);
    f.root[1] = 0x17;
    f.down = down;
    tell_head(&f, 2 * SPE + 1);
    aq_scheduler_duties(f.s, AQ_DUTIES_ATTESTER, 2, on_duties, &h);
    run_to(&f, 2 * SPE + 1, AQ_SECONDS(1));
    assert_int_equal(h.cnt, 1);
    assert_int_equal(h.st, AQ_OK);
    assert_int_equal(h.slot, 2 * SPE + (down ? 3 : 7));
    f.down = false;
    run_to(&f, 2 * SPE + 2, AQ_SECONDS(1));
    aq_scheduler_duties(f.s, AQ_DUTIES_ATTESTER, 2, on_duties, &h);
    run_to(&f, 2 * SPE + 2, AQ_SECONDS(2));
    assert_int_equal(h.slot, 2 * SPE + 7);
    run_to(&f, 3 * SPE - 1, SLOT / 2);
    assert_true(fired(&f, 2 * SPE + 7, AQ_DUTY_ATTESTER));
    assert_false(fired(&f, 2 * SPE + 3, AQ_DUTY_ATTESTER));
    close_fixture(&f);
  }
}

/* Goal: proposers that were told before their epoch began are not acted on until they are told again, unless the beacon
   node fails then; from Fulu on they are. The API gets them ahead, and the new ones once the epoch runs.
   Method: the root of epoch 2's first slot changes after they were asked for; a beacon node that is down at its
   begin; both forks. */
static void test_guess(void **state) {
  (void)state;
  static fixture f;
  for (int way = 0; way < 3; way++) { /* told again; down; Fulu */
    heard h = {0};
    open_fixture(&f, way == 2 ? AQ_FULU : AQ_ELECTRA);
    f.root[2] = 0x10; /* slot 0 */
    run_to(&f, 2 * SPE - 2, 0);
    aq_scheduler_duties(f.s, AQ_DUTIES_PROPOSER, 2, on_duties, &h);
    run_to(&f, 2 * SPE - 1, SLOT - 1);
    assert_int_equal(h.slot, 2 * SPE);
    f.root[2] = 0x11;
    f.down = way == 1;
    f.delay_ns = AQ_MILLIS(50);
    run_to(&f, 2 * SPE, AQ_MILLIS(10));
    assert_int_equal(fired(&f, 2 * SPE, AQ_DUTY_PROPOSER), way == 2);
    aq_scheduler_duties(f.s, AQ_DUTIES_PROPOSER, 2, on_duties, &h);
    run_to(&f, 2 * SPE, AQ_MILLIS(500));
    assert_int_equal(fired(&f, 2 * SPE, AQ_DUTY_PROPOSER), way != 0);
    assert_int_equal(h.cnt, 2);
    assert_int_equal(h.slot, 2 * SPE + (way == 0));
    f.down = false;
    run_to(&f, 2 * SPE + 2, 0);
    assert_true(fired(&f, 2 * SPE + 1, AQ_DUTY_PROPOSER));
    close_fixture(&f);
  }
}

/* ---- as beacon nodes tell it ---- */

typedef struct {
  fixture f;
  int heads;
  aq_bn_head last;
} listener;

static void on_head(void *arg, const aq_bn_head *h) {
  listener *l = arg;
  l->heads++;
  l->last = *h;
  aq_scheduler_head(l->f.s, h);
}

static void chunk(fake_ex *ex, int previous, int current) {
  char text[400];
  snprintf(text, sizeof text,
           "event: head\ndata: {\"slot\":\"17\",\"block\":\"0x%064d\",\"previous_duty_dependent_root\":\"0x%02x%062d\","
           "\"current_duty_dependent_root\":\"0x%02x%062d\"}\n\n",
           0, (unsigned)previous & 255, 0, (unsigned)current & 255, 0);
  fake_http_chunk(ex, text);
}

/* Goal: the roots that duties depend on are handed on with a head, once, and again when only they change; without them
   a head moves nothing.
   Method: the same head twice, one without roots, one that left blocks below it. */
static void test_events(void **state) {
  (void)state;
  static listener l;
  fixture *f = &l.f;
  open_fixture(f, AQ_ELECTRA);
  l.heads = 0;
  run_to(f, 2 * SPE + 1, 0);
  f->events = true;
  aq_bn_subscribe(f->bn, &(aq_bn_events){.arg = &l, .head = on_head});
  fake_ex *ex = fake_http_find(&f->http, "/eth/v1/events");
  fake_http_open(ex, 200);
  chunk(ex, 0x13, 0x13);
  chunk(ex, 0x13, 0x13);
  assert_int_equal(l.heads, 1);
  assert_true(l.last.has_roots && l.last.slot == 17);
  f->root[1] = 0x17;
  fake_http_chunk(
      ex,
      "event: head\ndata: {\"slot\":\"17\",\"block\":\"0x1100000000000000000000000000000000000000000000000000"
      "000000000000\"}\n\n");
  assert_int_equal(l.heads, 2);
  assert_false(l.last.has_roots);
  size_t before = asked(f, "attester/2");
  fake_env_run_for(&f->env, AQ_MILLIS(50));
  assert_int_equal(asked(f, "attester/2"), before);
  chunk(ex, 0x17, 0x13);
  assert_int_equal(l.heads, 3);
  fake_env_run_for(&f->env, AQ_MILLIS(50));
  assert_int_equal(asked(f, "attester/2"), before + 1);
  close_fixture(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_events),     cmocka_unit_test(test_moved),
                                     cmocka_unit_test(test_next_epoch), cmocka_unit_test(test_late_block),
                                     cmocka_unit_test(test_never_fits), cmocka_unit_test(test_under_way),
                                     cmocka_unit_test(test_calls_wait), cmocka_unit_test(test_guess)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
