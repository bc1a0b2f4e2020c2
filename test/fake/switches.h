/* fake/switches.h - three switches that know no cluster, over pipes in memory, with a table of services of their own: a
   row here and its handler are all that a protocol takes. Two know each other by key, as in a ceremony, the third takes
   whoever comes, as a relay. Header only; for tests. */
#ifndef AQ_FAKE_SWITCHES_H
#define AQ_FAKE_SWITCHES_H

#include <stdlib.h>

#include "aq_test.h"
#include "base/metrics.h"
#include "fake/net.h"
#include "p2p/switch.h"

enum { NOTE, ECHO, SYNC, HOP, STOP, ROW_CNT };
enum { PIPE_MAX = 64 * 1024, MSG_MAX = 4 << 20, ENDS_MAX = 2 * AQ_SWITCH_STRANGERS_MAX + 16, NOTES_MAX = 8 };

static const aq_service rows[ROW_CNT] = {
    [NOTE] = {.name = {"/test/note/2", "/test/note/1"},
              .topic = "test/note",
              .pattern = AQ_PATTERN_ONE_WAY,
              .roles = AQ_ROLE_RUN | AQ_ROLE_DKG,
              .msg_max = MSG_MAX,
              .serve_limit_ns = AQ_SECONDS(5)},
    [ECHO] = {.name = {"/test/echo/1"},
              .topic = "test/echo",
              .pattern = AQ_PATTERN_REQUEST,
              .roles = AQ_ROLE_RUN | AQ_ROLE_DKG,
              .msg_max = MSG_MAX,
              .serve_limit_ns = AQ_SECONDS(5)},
    [SYNC] = {.name = {"/test/sync/1"}, .topic = "test/sync", .pattern = AQ_PATTERN_STREAM, .roles = AQ_ROLE_DKG},
    [HOP] = {.name = {"/test/hop/1"},
             .topic = "test/hop",
             .pattern = AQ_PATTERN_STREAM,
             .roles = AQ_ROLE_RELAY,
             .streams_max = 2},
    [STOP] = {.name = {"/test/stop/1"}, .topic = "test/stop", .pattern = AQ_PATTERN_STREAM, .roles = AQ_ROLE_DKG},
};

/* ---- pipes ---- */

typedef struct end {
  struct end *other;
  aq_link *link;
  aq_buf in; /* on its way to this end */
  bool closed, waits;
  aq_timer timer;
  const aq_env *env;
} end;

static inline void on_arrived(void *arg) {
  end *e = arg;
  aq_buf in = e->in;
  e->in = AQ_BUF(PIPE_MAX);
  if (!e->closed && in.len) aq_link_data(e->link, aq_buf_bytes(&in));
  aq_buf_free(&in);
  end *o = e->other;
  if (o->closed && !e->closed && e->in.len == 0) aq_link_broken(e->link, AQ_E_CLOSED);
  if (o->waits && !o->closed) {
    o->waits = false;
    aq_link_writable(o->link);
  }
}

static inline void soon(end *e) { aq_timer_after(e->env, &e->timer, AQ_MILLIS(1), on_arrived, e); }

static inline size_t end_write(void *ctx, aq_bytes out) {
  end *e = ctx;
  assert_false(e->closed);
  size_t len = PIPE_MAX - e->other->in.len < out.len ? PIPE_MAX - e->other->in.len : out.len;
  if (len < out.len) e->waits = true;
  aq_buf_put(&e->other->in, out.ptr, len);
  soon(e->other);
  return len;
}

static inline void end_close(void *ctx) {
  end *e = ctx;
  assert_false(e->closed);
  e->closed = true;
  aq_timer_cancel(e->env, &e->timer);
  if (!e->other->closed) soon(e->other);
}

/* ---- parties ---- */

typedef struct party {
  struct world *w;
  aq_k1_key *key;
  uint8_t pubkey[33];
  aq_switch *sw;
  aq_remote *member; /* the one that it knows */
  bool strangers;    /* takes them */
  aq_remote *last;   /* who came up last */
  uint32_t joined, up, ended, faults, notes, served, opened, ended_streams;
  size_t note_len[NOTES_MAX];
  aq_status fault, refused;
} party;

typedef struct world {
  fake_env loop;
  party p[3];
  end ends[ENDS_MAX];
  uint32_t end_cnt;
  void (*hook)(void); /* from inside every callback of a switch */
} world;

static inline void hook(const party *p) {
  if (p->w->hook) p->w->hook();
}

static inline aq_remote *on_secured(void *arg, aq_link *l, const uint8_t key[33]) {
  party *p = arg;
  (void)l;
  if (p->member && memcmp(p->member->key, key, 33) == 0) return p->member;
  return p->strangers ? aq_switch_stranger(p->sw, key) : NULL;
}
static inline void on_joined(void *arg, aq_remote *r) {
  party *p = arg;
  assert_int_equal(r->link_cnt, 1);
  p->joined++;
  hook(p);
}
static inline void on_up(void *arg, aq_link *l) {
  party *p = arg;
  p->up++;
  p->last = l->remote;
  hook(p);
}
static inline void on_ended(void *arg, aq_link *l, aq_status st) {
  party *p = arg;
  p->ended++;
  if (!l->up) p->refused = st;
  hook(p);
}
static inline void on_fault(void *arg, aq_remote *r, aq_status st) {
  party *p = arg;
  (void)r;
  p->faults++;
  p->fault = st;
  hook(p);
}

static inline void on_note(void *arg, aq_remote *from, aq_bytes msg) {
  party *p = arg;
  assert_ptr_equal(from->sw, p->sw);
  assert_true(p->notes < NOTES_MAX);
  p->note_len[p->notes++] = msg.len;
}
static inline void on_echo(void *arg, aq_remote *from, aq_bytes msg, aq_reply *reply) {
  party *p = arg;
  (void)from;
  p->served++;
  aq_switch_respond(p->sw, reply, msg);
}

static inline aq_k1_key *key_of(uint8_t a, uint8_t b) {
  const uint8_t secret[32] = {7, a, b};
  aq_k1_key *key;
  assert_int_equal(aq_k1_key_new(&key, secret), AQ_OK);
  return key;
}

static inline void party_start(world *w, party *p, uint32_t role) {
  p->w = w;
  const aq_switch_cfg cfg = {
      .env = &w->loop.env,
      .key = p->key,
      .rows = rows,
      .row_cnt = ROW_CNT,
      .role = role,
      .agent = "test",
      .on = {.arg = p, .secured = on_secured, .joined = on_joined, .up = on_up, .ended = on_ended, .fault = on_fault}};
  p->sw = aq_switch_new(&cfg);
  if (role == AQ_ROLE_RELAY) return;
  aq_switch_handle(p->sw, NOTE, &(aq_service_handler){.arg = p, .recv = on_note});
  aq_switch_handle(p->sw, ECHO, &(aq_service_handler){.arg = p, .serve = on_echo});
}

/* Two of a ceremony, who know each other, and a third that takes everybody. */
static inline world *world_new(void) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  aq_metrics_init();
  fake_env_init(&w->loop, AQ_SECONDS(1700000000));
  fake_rng_seed(&w->loop.time->rng, 5);
  for (uint8_t i = 0; i < 3; i++) {
    w->p[i].key = key_of(1, i);
    aq_k1_pubkey(w->p[i].pubkey, w->p[i].key);
    party_start(w, &w->p[i], i < 2 ? AQ_ROLE_DKG : AQ_ROLE_RELAY);
  }
  for (int i = 0; i < 2; i++) w->p[i].member = aq_switch_member(w->p[i].sw, w->p[!i].pubkey, i ? "zero" : "one", NULL);
  for (int i = 0; i < 3; i++) w->p[i].strangers = true;
  return w;
}

static inline void world_free(world *w) {
  for (int i = 0; i < 3; i++) aq_switch_stop(w->p[i].sw);
  for (int i = 0; i < 3; i++) {
    aq_switch_free(w->p[i].sw);
    aq_k1_key_free(w->p[i].key);
  }
  for (uint32_t i = 0; i < w->end_cnt; i++) {
    assert_true(w->ends[i].closed);
    aq_timer_cancel(&w->loop.env, &w->ends[i].timer);
    aq_buf_free(&w->ends[i].in);
  }
  fake_env_free(&w->loop);
  free(w);
}

static inline void run(world *w, uint64_t ns) { fake_env_run_for(&w->loop, ns); }

static inline end *end_new(world *w) {
  assert_true(w->end_cnt < ENDS_MAX);
  end *e = &w->ends[w->end_cnt++];
  *e = (end){.env = &w->loop.env, .in = AQ_BUF(PIPE_MAX)};
  return e;
}

/* The link of `from`. */
static inline aq_link *join(world *w, party *from, party *to) {
  end *e[2] = {end_new(w), end_new(w)};
  party *p[2] = {from, to};
  for (int i = 0; i < 2; i++) {
    e[i]->other = e[!i];
    const aq_pipe pipe = {.ctx = e[i], .write = end_write, .close = end_close};
    e[i]->link = aq_switch_link(p[i]->sw, &pipe, i == 1, "", NULL);
  }
  for (int i = 0; i < 2; i++) aq_link_start(e[i]->link);
  return e[0]->link;
}

#endif
