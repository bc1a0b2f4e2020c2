/* What is read once and can change: the chain as the beacon nodes describe it. */
#include "beacon/bn.h"

#include "aq_test.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fake/http.h"

/* Epochs of 8 slots of 4 s; the tests begin in epoch 5. */
enum { SPE = 8, NOW_EPOCH = 5, HOSTS = 3 };
#define SLOT_NS AQ_SECONDS(4)
#define GENESIS_S 1700000000u
#define EPOCH_NS(e) (AQ_SECONDS(GENESIS_S) + (uint64_t)(e)*SPE * SLOT_NS)
#define NEVER AQ_FAR_EPOCH

static const char *const primaries[] = {"http://u:pw@a:1/key", "http://b:2"};
static const char *const spare[] = {"http://c:3"};

/* What a host says of the chain. */
typedef struct {
  bool down, garbage;
  uint8_t root, fulu_version;
  uint64_t late_ms, genesis_s, spe, electra, fulu, strange; /* epochs */
  const char *block_version;
  uint8_t capella_version; /* 0: not in the spec */
  uint64_t capella;
  bool no_genesis_version; /* in the spec */
  int refuses;             /* what is asked besides, with this code */
} host;

typedef struct {
  fake_env env;
  fake_http http;
  aq_bn *bn;
  aq_chain chain;
  bool loaded;
  host host[HOSTS];
  char why[AQ_ERR_TEXT_MAX];
  char lines[16384]; /* of the log */
  uint8_t wanted_root;
  int calls, opened;
  aq_status st;
} fixture;

static void line(void *arg, const char *text, size_t len) {
  fixture *f = arg;
  size_t used = strlen(f->lines);
  assert_true(used + len < sizeof f->lines);
  memcpy(f->lines + used, text, len);
}

static host *host_of(fixture *f, const char *url) {
  return strstr(url, "a:1") ? &f->host[0] : strstr(url, "b:2") ? &f->host[1] : &f->host[2];
}

static void genesis_json(const host *h, aq_buf *out) {
  aq_buf_printf(out, "{\"data\":{\"genesis_time\":\"%llu\",\"genesis_fork_version\":\"0x00000001\",",
                (unsigned long long)h->genesis_s);
  aq_buf_put_str(out, "\"genesis_validators_root\":\"0x");
  for (int i = 0; i < 32; i++) aq_buf_printf(out, "%02x", h->root);
  aq_buf_put_str(out, "\"}}");
}

static void spec_json(const host *h, aq_buf *out) {
  aq_buf_printf(out,
                "{\"data\":{\"SECONDS_PER_SLOT\":\"4\",\"SLOTS_PER_EPOCH\":\"%llu\",%s"
                "\"ELECTRA_FORK_VERSION\":\"0x50000001\","
                "\"ELECTRA_FORK_EPOCH\":\"%llu\",\"FULU_FORK_VERSION\":\"0x%02x000001\",\"FULU_FORK_EPOCH\":\"%llu\"",
                (unsigned long long)h->spe, h->no_genesis_version ? "" : "\"GENESIS_FORK_VERSION\":\"0x00000001\",",
                (unsigned long long)h->electra, h->fulu_version, (unsigned long long)h->fulu);
  if (h->capella_version)
    aq_buf_printf(out, ",\"CAPELLA_FORK_VERSION\":\"0x%02x000001\",\"CAPELLA_FORK_EPOCH\":\"%llu\"", h->capella_version,
                  (unsigned long long)h->capella);
  aq_buf_put_str(out, "}}");
}

static void schedule_json(const host *h, aq_buf *out) {
  aq_buf_put_str(out, "{\"data\":[{\"current_version\":\"0x00000001\",\"epoch\":\"0\"}");
  const struct {
    unsigned version;
    uint64_t epoch;
  } fork[] = {{0x50, h->electra},
              {h->fulu_version, h->fulu},
              {0x99, h->strange},
              {h->capella_version, h->capella_version ? h->capella : NEVER}};
  for (size_t i = 0; i < AQ_COUNT(fork); i++) {
    if (fork[i].epoch != NEVER)
      aq_buf_printf(out, ",{\"current_version\":\"0x%02x000001\",\"epoch\":\"%llu\"}", fork[i].version,
                    (unsigned long long)fork[i].epoch);
  }
  aq_buf_put_str(out, "]}");
}

static void handle(void *arg, fake_ex *ex) {
  fixture *f = arg;
  const host *h = host_of(f, ex->url);
  if (h->down) {
    fake_http_fail(ex, AQ_MILLIS(1), AQ_E_CLOSED);
    return;
  }
  if (strstr(ex->url, "/eth/v1/events")) {
    fake_http_open(ex, 200);
    return;
  }
  aq_buf out = AQ_BUF(1 << 16);
  if (h->garbage)
    aq_buf_put_str(&out, "<html>");
  else if (strstr(ex->url, "beacon/genesis"))
    genesis_json(h, &out);
  else if (strstr(ex->url, "config/spec"))
    spec_json(h, &out);
  else if (strstr(ex->url, "fork_schedule"))
    schedule_json(h, &out);
  else if (strstr(ex->url, "node/syncing"))
    aq_buf_put_str(&out, "{\"data\":{\"is_syncing\":false,\"sync_distance\":\"0\"}}");
  else
    aq_buf_printf(&out, "{\"version\":\"%s\"}", h->block_version ? h->block_version : "electra");
  bool block = strstr(aq_buf_cstr(&out), "\"version\"") != NULL;
  fake_http_answer(ex, AQ_MILLIS(1 + h->late_ms), block && h->refuses ? h->refuses : 200, aq_buf_cstr(&out));
  aq_buf_free(&out);
}

static void loaded(void *arg, aq_status st, const aq_chain *chain, const char *why) {
  fixture *f = arg;
  f->loaded = st == AQ_OK;
  if (st == AQ_OK) f->chain = *chain;
  snprintf(f->why, sizeof f->why, "%s", why);
}

static aq_status accepts(void *arg, const aq_chain *chain, aq_err *err) {
  const fixture *f = arg;
  if (f->wanted_root == 0 || chain->genesis_validators_root[0] == f->wanted_root) return AQ_OK;
  return aq_fail(err, AQ_E_UNKNOWN, "not our network");
}

static void opened(void *arg) { ((fixture *)arg)->opened++; }

static void nodes(fixture *f, size_t primary_cnt, size_t spare_cnt) {
  memset(f, 0, sizeof *f);
  aq_log_start(AQ_LOG_INFO, line, f);
  aq_metrics_init();
  fake_env_init(&f->env, EPOCH_NS(NOW_EPOCH) + SLOT_NS / 4);
  fake_http_init(&f->http, &f->env, handle, f);
  for (int i = 0; i < HOSTS; i++)
    f->host[i] = (host){.root = 0x21,
                        .fulu_version = 0x60,
                        .genesis_s = GENESIS_S,
                        .spe = SPE,
                        .electra = 0,
                        .fulu = NEVER,
                        .strange = NEVER};
  f->bn = aq_bn_new(&(aq_bn_cfg){.env = &f->env.env,
                                 .http = &f->http.http,
                                 .endpoints = primaries,
                                 .endpoint_cnt = primary_cnt,
                                 .fallbacks = spare,
                                 .fallback_cnt = spare_cnt,
                                 .arg = f,
                                 .accepts = accepts,
                                 .opened = opened});
}

static void watch(fixture *f) {
  aq_bn_load_chain(f->bn, loaded, f);
  fake_env_run_for(&f->env, AQ_MILLIS(300));
  assert_true(f->loaded);
  aq_bn_watch_chain(f->bn, &f->chain);
}

static void done(fixture *f) {
  aq_bn_free(f->bn);
  assert_int_equal(fake_http_open_cnt(&f->http), 0);
  fake_env_free(&f->env);
  fake_http_free(&f->http);
  aq_log_stop();
}

static aq_bn_health health(const fixture *f) {
  aq_bn_health h;
  aq_bn_health_get(f->bn, &h);
  return h;
}

static void to_slot(fixture *f, uint64_t epoch, uint64_t slot) {
  fake_env_run_until(&f->env, EPOCH_NS(epoch) + slot * SLOT_NS);
}

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  fixture *f = arg;
  (void)ans;
  f->calls++;
  f->st = st;
}

/* A question, to its end. */
static void ask(fixture *f, const char *path, bool (*good)(void *arg, const aq_bn_answer *ans)) {
  const aq_bn_req req = {.endpoint = "genesis", .method = "GET", .path = path, .good = good};
  int before = f->calls;
  aq_bn_call(f->bn, &req, answered, f);
  fake_env_run_for(&f->env, AQ_MILLIS(20));
  assert_int_equal(f->calls, before + 1);
}

/* ---- one beacon node ---- */

/* Goal: a fork that the beacon node learns while we run is in force from its epoch, and not before; one that is called
   off is forgotten; what began stays.
   Method: Fulu is scheduled, moved, called off, scheduled; then "never" after it began. */
static void learns_a_fork(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 1, 0);
  watch(&f);
  assert_int_equal(aq_chain_fork_at(&f.chain, 100), AQ_ELECTRA);
  f.host[0].fulu = 9;
  to_slot(&f, NOW_EPOCH + 1, 0);
  assert_true(f.chain.fork[AQ_FULU].epoch == 9);
  assert_memory_equal(f.chain.fork[AQ_FULU].version, "\x60\x00\x00\x01", 4);
  assert_int_equal(aq_chain_fork_at(&f.chain, 8), AQ_ELECTRA);
  assert_non_null(strstr(f.lines, "\"msg\":\"fork_schedule\""));
  f.host[0].fulu = 12;
  to_slot(&f, NOW_EPOCH + 2, 0);
  assert_true(f.chain.fork[AQ_FULU].epoch == 12);
  f.host[0].fulu = NEVER;
  to_slot(&f, NOW_EPOCH + 3, 0);
  assert_true(f.chain.fork[AQ_FULU].epoch == NEVER);
  f.host[0].fulu = 10, f.host[0].fulu_version = 0x61; /* and a version that is another meanwhile */
  to_slot(&f, 10, 1);
  assert_true(f.chain.fork[AQ_FULU].epoch == 10);
  assert_int_equal(f.chain.fork[AQ_FULU].version[0], 0x61);
  assert_int_equal(aq_chain_fork_at(&f.chain, 10), AQ_FULU);
  assert_false(health(&f).fork_mismatch);
  f.host[0].fulu = NEVER;
  to_slot(&f, 11, 1);
  assert_int_equal(aq_chain_fork_at(&f.chain, 11), AQ_FULU);
  assert_true(health(&f).fork_mismatch);
  assert_non_null(strstr(health(&f).why, "http://a:1 does not know fork fulu"));
  assert_null(strstr(f.lines, "pw"));
  assert_null(strstr(f.lines, "/key"));
  done(&f);
}

/* Goal: whatever begins with the next epoch is known when it begins, although it was said late in this one; and when
   the event stream opens again it is known at once.
   Method: scheduled in the last slot but one; scheduled with the stream lost, in the middle of an epoch. */
static void learns_in_time(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 1, 0);
  watch(&f);
  to_slot(&f, NOW_EPOCH, SPE - 2);
  f.host[0].fulu = NOW_EPOCH + 1;
  to_slot(&f, NOW_EPOCH + 1, 0);
  assert_int_equal(aq_chain_fork_at(&f.chain, NOW_EPOCH + 1), AQ_FULU);
  done(&f);
  nodes(&f, 1, 0);
  watch(&f);
  aq_bn_subscribe(f.bn, &(aq_bn_events){0});
  to_slot(&f, NOW_EPOCH + 1, 3);
  fake_ex *stream = fake_http_find(&f.http, "/eth/v1/events");
  assert_non_null(stream);
  int opens = f.opened;
  f.host[0].fulu = NOW_EPOCH + 2;
  fake_http_fail(stream, 0, AQ_E_CLOSED);
  fake_env_run_for(&f.env, AQ_MILLIS(1100)); /* it comes back after a second */
  assert_true(f.chain.fork[AQ_FULU].epoch == NOW_EPOCH + 2);
  assert_int_equal(f.opened, opens + 1);
  done(&f);
}

/* Goal: a fork that began before we heard of it is used from the next epoch on; until then the node is not ready and
   says why.
   Method: the beacon node says that Fulu began two epochs ago. */
static void learns_too_late(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 1, 0);
  watch(&f);
  f.host[0].fulu = NOW_EPOCH - 2;
  to_slot(&f, NOW_EPOCH, 1);
  assert_int_equal(aq_chain_fork_at(&f.chain, NOW_EPOCH), AQ_ELECTRA);
  assert_true(f.chain.fork[AQ_FULU].epoch == NOW_EPOCH + 1);
  assert_true(health(&f).fork_mismatch);
  assert_non_null(strstr(health(&f).why, "learnt too late"));
  to_slot(&f, NOW_EPOCH + 1, 1);
  assert_int_equal(aq_chain_fork_at(&f.chain, NOW_EPOCH + 1), AQ_FULU);
  assert_false(health(&f).fork_mismatch);
  assert_non_null(strstr(f.lines, "beacon_node_fits"));
  done(&f);
}

/* Goal: what is said once only, and otherwise before and after, changes nothing.
   Method: one schedule of many, at each moment of the questions, names a fork for the next epoch. */
static void said_once(void **state) {
  (void)state;
  for (int nth = 0; nth < 12; nth++) {
    static fixture f;
    nodes(&f, 1, 0);
    watch(&f);
    size_t asked = 0;
    while (aq_now_ns(&f.env.env) < EPOCH_NS(NOW_EPOCH + 2)) {
      fake_env_run_for(&f.env, AQ_NS_PER_MS / 2);
      size_t now = fake_http_count(&f.http, "fork_schedule");
      f.host[0].fulu = now == asked + 1 && now == (size_t)nth + 1 ? NOW_EPOCH + 1 : NEVER;
      if (f.host[0].fulu == NEVER) asked = now;
    }
    assert_true(f.chain.fork[AQ_FULU].epoch == NEVER);
    done(&f);
  }
}

/* Goal: another chain is never taken, in any of its parts; it is named, and not asked for anything else.
   Method: each part changes while we run; then it is right again. */
static void another_chain(void **state) {
  (void)state;
  static const char *const part[] = {"genesis_validators_root", "genesis_time", "SLOTS_PER_EPOCH", "version of"};
  for (size_t i = 0; i < AQ_COUNT(part); i++) {
    static fixture f;
    nodes(&f, 1, 0);
    f.host[0].fulu = 2;
    watch(&f);
    const aq_chain before = f.chain;
    if (i == 0) f.host[0].root = 0x22;
    if (i == 1) f.host[0].genesis_s++;
    if (i == 2) f.host[0].spe = 16;
    if (i == 3) f.host[0].fulu_version = 0x61;
    to_slot(&f, NOW_EPOCH + 1, 1);
    assert_true(health(&f).fork_mismatch);
    if (!strstr(health(&f).why, part[i])) fail_msg("%s: %s", part[i], health(&f).why);
    assert_memory_equal(&f.chain, &before, sizeof before);
    assert_string_equal(aq_bn_best(f.bn), primaries[0]);
    ask(&f, "/x", NULL);
    assert_int_equal(fake_http_count(&f.http, "/x"), 0);
    assert_int_equal(f.st, AQ_E_CLOSED);
    if (i == 0) f.host[0].root = 0x21;
    if (i == 1) f.host[0].genesis_s--;
    if (i == 2) f.host[0].spe = SPE;
    if (i == 3) f.host[0].fulu_version = 0x60;
    to_slot(&f, NOW_EPOCH + 1, 2);
    assert_false(health(&f).fork_mismatch);
    ask(&f, "/x", NULL);
    assert_int_equal(f.st, AQ_OK);
    done(&f);
  }
}

/* ---- several ---- */

/* Goal: of nodes that differ the one that has the fork is believed, one line names them all, and when the fork began
   who lacks it is not used; duties go on.
   Method: b has Fulu, a has not; through the fork's epoch. */
static void one_is_older(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 2, 0);
  watch(&f);
  f.host[1].fulu = 8;
  to_slot(&f, NOW_EPOCH + 1, 0);
  assert_true(f.chain.fork[AQ_FULU].epoch == 8);
  assert_non_null(strstr(f.lines, "\"forks\":\"http://a:1 no fork to come; http://b:2 fulu=8\""));
  assert_true(health(&f).disagree && !health(&f).fork_mismatch);
  ask(&f, "/x", NULL);
  assert_int_equal(fake_http_count(&f.http, "/x"), 2);
  to_slot(&f, 8, 1);
  assert_int_equal(aq_chain_fork_at(&f.chain, 8), AQ_FULU);
  assert_true(health(&f).disagree && !health(&f).fork_mismatch);
  assert_string_equal(aq_bn_best(f.bn), primaries[1]);
  ask(&f, "/x", NULL);
  assert_int_equal(f.st, AQ_OK);
  assert_int_equal(fake_http_count(&f.http, "/x"), 3);
  f.host[0].fulu = 8;
  to_slot(&f, 8, 2);
  assert_false(health(&f).disagree);
  ask(&f, "/x", NULL);
  assert_int_equal(fake_http_count(&f.http, "/x"), 5);
  done(&f);
}

/* Goal: of several epochs for one fork the one that most name is taken. Method: 9, 10 and 10. */
static void most_of_them(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 2, 1);
  watch(&f);
  f.host[0].fulu = 9, f.host[1].fulu = f.host[2].fulu = 10;
  to_slot(&f, NOW_EPOCH + 1, 0);
  assert_true(f.chain.fork[AQ_FULU].epoch == 10);
  done(&f);
}

/* Goal: a beacon node of another network that answers first does not decide what chain we are on; a fault of the last
   one is told once, by who asked for the chain.
   Method: a is of another one; then both are; then a alone. */
static void wrong_from_the_start(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 2, 0);
  f.wanted_root = 0x21;
  f.host[0].root = 0x33;
  watch(&f);
  assert_int_equal(f.chain.genesis_validators_root[0], 0x21);
  assert_non_null(strstr(f.lines, "\"addr\":\"http://a:1\",\"err\":\"http://a:1: not our network\""));
  assert_string_equal(aq_bn_best(f.bn), primaries[1]);
  assert_true(health(&f).disagree && !health(&f).fork_mismatch);
  to_slot(&f, NOW_EPOCH + 1, 1);
  assert_false(health(&f).fork_mismatch);
  done(&f);
  nodes(&f, 2, 0);
  f.wanted_root = 0x44;
  aq_bn_load_chain(f.bn, loaded, &f);
  fake_env_run_for(&f.env, AQ_SECONDS(2));
  assert_false(f.loaded);
  assert_string_equal(f.why, "http://b:2: not our network");
  assert_non_null(strstr(f.lines, "\"err\":\"http://a:1: not our network\""));
  assert_null(strstr(f.lines, "\"addr\":\"http://b:2\""));
  done(&f);
  nodes(&f, 1, 0);
  f.wanted_root = 0x44;
  aq_bn_load_chain(f.bn, loaded, &f);
  fake_env_run_for(&f.env, AQ_SECONDS(2));
  assert_false(f.loaded);
  assert_string_equal(f.why, "http://a:1: not our network");
  assert_null(strstr(f.lines, "beacon_node_unfit"));
  done(&f);
}

/* Goal: genesis, spec and schedule are all of one beacon node.
   Method: b's chain is another; a is the first with its genesis and the last with the rest; then it dies between. */
static void parts_of_one(void **state) {
  (void)state;
  for (int dies = 0; dies < 2; dies++) {
    static fixture f;
    nodes(&f, 2, 0);
    f.host[1].late_ms = 5, f.host[1].root = 0x22, f.host[1].spe = 16;
    aq_bn_load_chain(f.bn, loaded, &f);
    fake_env_run_for(&f.env, AQ_MILLIS(1));
    assert_int_equal(fake_http_count(&f.http, "a:1/key/eth/v1/config/spec"), 1);
    f.host[0].late_ms = 10;
    f.host[0].down = dies;
    if (dies) fake_http_fail(fake_http_find(&f.http, "a:1/key/eth/v1/config/spec"), 0, AQ_E_CLOSED);
    fake_env_run_for(&f.env, AQ_SECONDS(2));
    assert_true(f.loaded);
    assert_int_equal(f.chain.genesis_validators_root[0], dies ? 0x22 : 0x21);
    assert_int_equal(f.chain.clock.slots_per_epoch, dies ? 16 : SPE);
    done(&f);
  }
}

/* Goal: a fork that this program does not know is announced while it is to come, and keeps the node from being ready
   once it began.
   Method: version 0x99 in the schedule, two epochs ahead. */
static void unknown_fork(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 1, 0);
  watch(&f);
  f.host[0].strange = NOW_EPOCH + 2;
  to_slot(&f, NOW_EPOCH + 1, 0);
  assert_true(health(&f).disagree && !health(&f).fork_mismatch);
  assert_non_null(strstr(health(&f).why, "0x99000001=7"));
  to_slot(&f, NOW_EPOCH + 2, 1);
  assert_true(health(&f).fork_mismatch);
  assert_non_null(strstr(health(&f).why, "upgrade aequa"));
  done(&f);
}

/* ---- answers ---- */

static bool is_electra(void *arg, const aq_bn_answer *ans) {
  fixture *f = arg;
  aq_fork fork = aq_bytes_eq(ans->body, aq_bytes_str("{\"version\":\"fulu\"}")) ? AQ_FULU : AQ_ELECTRA;
  return aq_bn_version_fits(f->bn, fork, NOW_EPOCH);
}

/* Goal: an answer of another version than the schedule says asks for the schedule at once, once a slot.
   Method: blocks of Fulu in an epoch of Electra. */
static void version_of_an_answer(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 1, 0);
  watch(&f);
  to_slot(&f, NOW_EPOCH, 2);
  size_t asked = fake_http_count(&f.http, "fork_schedule");
  ask(&f, "/block", is_electra);
  assert_int_equal(f.st, AQ_OK);
  assert_int_equal(fake_http_count(&f.http, "fork_schedule"), asked);
  f.host[0].block_version = "fulu";
  f.host[0].fulu = NOW_EPOCH + 1;
  for (int i = 0; i < 3; i++) ask(&f, "/block", is_electra);
  assert_int_equal(f.st, AQ_E_FORMAT);
  assert_int_equal(fake_http_count(&f.http, "fork_schedule"), asked + 2); /* what is new is asked for twice */
  assert_true(f.chain.fork[AQ_FULU].epoch == NOW_EPOCH + 1);
  done(&f);
}

/* Goal: a submission that the beacon node cannot read asks for its schedule, and no other answer does.
   Method: codes for submissions and for questions. */
static void refused_submission(void **state) {
  (void)state;
  static const int code[] = {200, 400, 404, 415, 500};
  static fixture f;
  for (size_t i = 0; i < 2 * AQ_COUNT(code); i++) {
    nodes(&f, 1, 0);
    watch(&f);
    to_slot(&f, NOW_EPOCH, 2);
    f.host[0].refuses = code[i / 2];
    size_t asked = fake_http_count(&f.http, "fork_schedule");
    const aq_bn_req req = {.endpoint = "x", .method = "POST", .path = "/x", .submit = i % 2 == 0};
    aq_bn_call(f.bn, &req, answered, &f);
    fake_env_run_for(&f.env, AQ_MILLIS(20));
    assert_int_equal(f.calls, 1);
    bool doubt = req.submit && (code[i / 2] == 400 || code[i / 2] == 415);
    assert_int_equal(fake_http_count(&f.http, "fork_schedule"), asked + doubt);
    done(&f);
  }
}

/* Goal: the schedule of a beacon node that fits is asked for at both ends of an epoch, and not between. Method: the
   questions in each slot of three epochs. */
static void when_it_is_asked(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 1, 0);
  watch(&f);
  to_slot(&f, NOW_EPOCH + 1, 0);
  for (uint64_t slot = 0; slot < 3 * SPE; slot++) {
    size_t asked = fake_http_count(&f.http, "fork_schedule");
    to_slot(&f, NOW_EPOCH + 1, slot + 1);
    bool end = slot % SPE == 0 || slot % SPE == SPE - 1;
    assert_int_equal(fake_http_count(&f.http, "fork_schedule"), asked + end);
  }
  done(&f);
}

/* Goal: exits are signed under the version of Capella: that of the start, or the first that we learn of.
   Method: Capella scheduled while we run, or known from the start; then with another version before it begins. */
static void version_of_exits(void **state) {
  (void)state;
  static fixture f;
  for (int known = 0; known < 2; known++) {
    nodes(&f, 1, 0);
    f.host[0].capella_version = 0x30;
    f.host[0].capella = known ? NOW_EPOCH + 20 : NEVER;
    watch(&f);
    static const uint8_t none[4] = {0}, first[4] = {0x30, 0, 0, 1};
    assert_memory_equal(f.chain.capella_version, known ? first : none, 4);
    f.host[0].capella = NOW_EPOCH + 20;
    to_slot(&f, NOW_EPOCH + 1, 0);
    assert_memory_equal(f.chain.capella_version, first, 4);
    f.host[0].capella_version = 0x31;
    to_slot(&f, NOW_EPOCH + 2, 0);
    assert_int_equal(f.chain.fork[AQ_CAPELLA].version[0], 0x31);
    assert_memory_equal(f.chain.capella_version, first, 4);
    done(&f);
  }
}

/* Goal: a spec without the genesis version leaves that of the genesis. Method: such a one. */
static void genesis_version(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 1, 0);
  f.host[0].no_genesis_version = true;
  watch(&f);
  assert_memory_equal(f.chain.genesis_version, "\0\0\0\1", 4);
  assert_memory_equal(f.chain.fork[AQ_PHASE0].version, "\0\0\0\1", 4);
  assert_int_equal(aq_chain_fork_at(&f.chain, 100), AQ_ELECTRA);
  done(&f);
}

static bool is_json(void *arg, const aq_bn_answer *ans) {
  (void)arg;
  return ans->body.len && ans->body.ptr[0] == '{';
}

/* Goal: answers that nobody can believe are noticed, of one node and of all; a good one ends that.
   Method: garbage on one of two, then on both, then on none. */
static void garbage(void **state) {
  (void)state;
  static fixture f;
  nodes(&f, 2, 0);
  watch(&f);
  f.host[0].garbage = true;
  f.host[1].down = true;
  for (int i = 0; i < AQ_BN_UNFIT_RUN; i++) {
    assert_false(health(&f).unfit || health(&f).some_unfit);
    ask(&f, "/x", is_json);
  }
  assert_true(health(&f).unfit && health(&f).some_unfit);
  f.host[0].down = true, f.host[1].down = false;
  ask(&f, "/x", is_json);
  assert_true(!health(&f).unfit && health(&f).some_unfit);
  f.host[0].garbage = f.host[0].down = false, f.host[1].down = true;
  ask(&f, "/x", is_json);
  assert_true(!health(&f).unfit && !health(&f).some_unfit);
  done(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(learns_a_fork),      cmocka_unit_test(learns_in_time),       cmocka_unit_test(learns_too_late),
      cmocka_unit_test(said_once),          cmocka_unit_test(another_chain),        cmocka_unit_test(one_is_older),
      cmocka_unit_test(most_of_them),       cmocka_unit_test(wrong_from_the_start), cmocka_unit_test(parts_of_one),
      cmocka_unit_test(unknown_fork),       cmocka_unit_test(version_of_an_answer), cmocka_unit_test(garbage),
      cmocka_unit_test(refused_submission), cmocka_unit_test(when_it_is_asked),     cmocka_unit_test(version_of_exits),
      cmocka_unit_test(genesis_version)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
