/* Numbered records go in one after the other; what number was answered is said at once, so that a kill leaves a
   proof. */
#include "sim/store/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapter/adapters.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"

enum { KEPT = 64, WINDOW = 6, TRIED = 6 };

static struct {
  aq_loop *loop;
  const aq_store *port;
  uint64_t acked, sent, lowest, found, votes; /* of the records that are there; found: the highest */
  uint64_t next, done;
  aq_status got;
  char why[160];
} w;

static bool wrong(const char *what, uint64_t i) {
  if (!w.why[0]) snprintf(w.why, sizeof w.why, "%s: record %" PRIu64, what, i);
  return false;
}

/* Only a whole line leaves: it is one write to a pipe. */
static void say(const char *word, uint64_t i) {
  char line[64];
  int len = snprintf(line, sizeof line, "%s %" PRIu64 "\n", word, i);
  if (write(STDOUT_FILENO, line, (size_t)len) != len) _exit(1);
}

/* ---- record i: a vote with its value, a decision, two signed roots ---- */

static aq_bytes text_of(uint64_t i, uint8_t *out, size_t size) {
  size_t len = 50 + (size_t)(i * 7919 % (size - 50));
  for (size_t k = 0; k < len; k++) out[k] = (uint8_t)(i * 31 + k * (i % 7 + 1));
  return aq_bytes_of(out, len);
}

static aq_store_vote vote_of(uint64_t i) {
  static uint8_t msg[6000];
  aq_store_vote v = {.duty = {i, AQ_DUTY_ATTESTER}, .msg_type = 3, .round = 1};
  aq_le64_put(v.value_hash, i);
  v.msg = text_of(i, msg, sizeof msg), v.just = aq_bytes_str("just");
  return v;
}

static aq_store_sign sign_of(uint64_t i, unsigned kind) {
  aq_store_sign s = {.kind = (aq_sign_kind)kind, .pubkey = {1}, .duty = {i, AQ_DUTY_ATTESTER}};
  aq_le64_put(s.root, i);
  s.source_epoch = i, s.target_epoch = i + 1;
  return s;
}

static void on_ok(void *arg, aq_status st) {
  (void)arg;
  if (st != AQ_OK) {
    fprintf(stderr, "record %" PRIu64 ": %s\n", w.done + 1, aq_status_name(st));
    _exit(1);
  }
  say("ok", ++w.done);
}

static void record(uint64_t i, aq_store_done done) {
  static uint8_t value[20000];
  aq_store_vote v = vote_of(i);
  aq_store_blob b = {.duty = v.duty, .value = text_of(i + 1, value, sizeof value)};
  memcpy(b.hash, v.value_hash, sizeof b.hash);
  aq_store_decided d = {.duty = v.duty, .round = 1, .commits = aq_bytes_str("commits")};
  memcpy(d.hash, v.value_hash, sizeof d.hash);
  const aq_store_sign s[] = {sign_of(i, AQ_SIGN_PARTIAL), sign_of(i, AQ_SIGN_GROUP)};
  w.port->vote(w.port->ctx, &v, &b, NULL, NULL);
  w.port->decided(w.port->ctx, &d, &b, NULL, NULL);
  w.port->sign(w.port->ctx, s, 2, done, NULL);
  if (i % 16 == 0 && i > KEPT) w.port->prune(w.port->ctx, i - KEPT);
  if (i % 24 == 0) w.port->backup(w.port->ctx);
}

static void go_on(void *arg) {
  (void)arg;
  while (w.next < w.done + WINDOW) {
    say("sent", ++w.next);
    record(w.next, on_ok);
  }
  aq_loop_post(w.loop, go_on, NULL);
  usleep(200);
}

/* ---- what is there ---- */

static void see_vote(void *arg, const aq_store_vote *v) {
  (void)arg;
  aq_store_vote want = vote_of(v->duty.slot);
  if (v->duty.slot > w.sent) (void)wrong("never sent", v->duty.slot);
  if (!aq_bytes_eq(want.msg, v->msg) || memcmp(want.value_hash, v->value_hash, 32) != 0)
    (void)wrong("vote changed", v->duty.slot);
  if (v->duty.slot > w.found) w.found = v->duty.slot;
  if (w.votes++ == 0) w.lowest = v->duty.slot;
}

static void see_blob(void *arg, const aq_store_blob *b) {
  (void)arg;
  static uint8_t value[20000];
  if (!aq_bytes_eq(text_of(b->duty.slot + 1, value, sizeof value), b->value))
    (void)wrong("value changed", b->duty.slot);
}

static void on_try(void *arg, aq_status st) {
  (void)arg;
  w.got = st;
  aq_loop_stop(w.loop);
}

static bool try_vote(uint64_t i, const char *msg, aq_status want) {
  aq_store_vote v = vote_of(i);
  if (msg) v.msg = aq_bytes_str(msg);
  w.port->vote(w.port->ctx, &v, NULL, on_try, NULL);
  aq_loop_run(w.loop);
  return w.got == want || wrong(msg ? "another vote is not refused" : "the same vote is refused", i);
}

static bool try_sign(uint64_t i, unsigned kind, uint8_t flip, aq_status want) {
  aq_store_sign s = sign_of(i, kind);
  s.root[31] = flip;
  w.port->sign(w.port->ctx, &s, 1, on_try, NULL);
  aq_loop_run(w.loop);
  return w.got == want || wrong(flip ? "another signature is not refused" : "the same signature is refused", i);
}

static bool check(void) {
  const aq_store_visitor v = {NULL, see_vote, see_blob, NULL, NULL, NULL};
  if (w.port->load(w.port->ctx, 0, &v) != AQ_OK) return wrong("load failed", 0);
  if (w.why[0]) return false;
  if (w.found < w.acked) return wrong("acknowledged, but gone", w.found + 1);
  if (w.votes > 0 && (w.found - w.lowest + 1 != w.votes || (w.lowest > 1 && w.lowest + KEPT > w.sent)))
    return wrong("some are gone below", w.found);
  if (w.acked > 0 && w.port->state != AQ_STORE_OK) return wrong("the state is not ok", w.acked);
  for (uint64_t i = w.acked; i > 0 && i + TRIED > w.acked; i--) {
    bool good = try_vote(i, "another", AQ_E_SLASH) && try_vote(i, NULL, AQ_OK);
    for (unsigned kind = AQ_SIGN_PARTIAL; kind <= AQ_SIGN_GROUP; kind++)
      good = good && try_sign(i, kind, 1, AQ_E_SLASH) && try_sign(i, kind, 0, AQ_OK);
    if (!good) return false;
  }
  return true;
}

static void drop_line(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int store_writer_main(int argc, char **argv) {
  aq_sqlite *store = NULL;
  aq_err err = {0};
  if (argc != 4 || aq_u64_parse(&w.acked, aq_bytes_str(argv[2])) || aq_u64_parse(&w.sent, aq_bytes_str(argv[3]))) {
    fprintf(stderr, "usage: aequa-sim-store writer PATH ACKED SENT\n");
    return 2;
  }
  const aq_sqlite_cfg cfg = {.path = argv[1], .lock_hash = {7}, .self = 1};
  aq_metrics_init();
  aq_log_start(AQ_LOG_ERROR, drop_line, NULL);
  w.loop = aq_loop_new(1);
  if (aq_sqlite_open(&store, w.loop, &cfg, &err) != AQ_OK) {
    fprintf(stderr, "%s\n", err.text);
    return 1;
  }
  w.port = aq_sqlite_port(store);
  if (!check()) {
    fprintf(stderr, "%s\n", w.why);
    return 1;
  }
  say("checked", w.found);
  w.next = w.done = w.found;
  aq_loop_post(w.loop, go_on, NULL);
  aq_loop_run(w.loop);
  return 0;
}
