/* fake/cluster.h - n consensus components over fakes of every port, in virtual time: links with delay, loss
   and a filter that may change what a node sends, stores that commit later and survive a kill. Each send is checked:
   votes leave only after their record is durable (consensus.md I8), and a node never shows two contents of one type and
   round, restarts included (consensus.md S1). Header only; for tests. */
#ifndef AQ_FAKE_CLUSTER_H
#define AQ_FAKE_CLUSTER_H

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/time.h"
#include "consensus/consensus.h"
#include "fake/link.h"
#include "fake/store.h"
#include "qbft/qbft_wire.h"

enum { FAKE_NODES_MAX = 10, FAKE_SHOWN_MAX = 4096 };

typedef struct fake_cluster fake_cluster;

typedef struct {
  aq_duty duty;
  aq_hash hash;
  uint64_t round, at_ns;
  uint32_t entries, times;
} fake_decision;

typedef struct {
  fake_cluster *w;
  uint32_t idx, life;
  bool up;
  fake_env env; /* of the cluster's time; jobs run at once and are told of next */
  fake_link link;
  fake_disk disk;
  fake_store store;  /* over it */
  bool foreign_rows; /* a test wrote its journal: the guard may have something to refuse */
  bool brought;      /* the set that is written has bytes that were not there */
  bool mute;         /* does not answer for votes, as peers of another make do not */
  aq_consensus *c;
  aq_k1_key *key;
  bool always_reject, always_waits, trusts_prepared, doubts;
  aq_value_case asked[64]; /* what `valid` was asked */
  size_t asked_cnt;
  fake_decision decision[64];
  size_t decision_cnt;
  uint32_t failures, sends;
  char why[160];
} fake_node;

typedef enum { FAKE_PASS, FAKE_DROP, FAKE_REPLACE, FAKE_ERROR } fake_verdict;

struct fake_cluster {
  uint32_t n;
  fake_time time;
  fake_env between; /* what is on its way */
  fake_links links;
  uint64_t commit_ns;
  uint64_t delay_ns[FAKE_NODES_MAX][FAKE_NODES_MAX];
  fake_node node[FAKE_NODES_MAX];
  uint8_t pubkey[FAKE_NODES_MAX][33];
  aq_chain chain;
  fake_verdict (*filter)(fake_cluster *w, uint32_t from, uint32_t to, const aq_qbft_wire *m, aq_buf *out,
                         uint64_t *extra_ns);
  struct {
    uint32_t node;
    aq_duty duty;
    aq_qbft_msg m;
  } shown[FAKE_SHOWN_MAX];
  size_t shown_cnt;
  bool (*scheduled)(void *arg, aq_duty duty); /* NULL: any duty */
  aq_arena arena;
};

static inline uint64_t fake_cluster_now(const fake_cluster *w) { return fake_env_now(&w->between); }

/* ---- net ---- */

static inline bool fake_same_msg(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  return a->type == b->type && a->round == b->round && a->prepared_round == b->prepared_round &&
         aq_hash_eq(&a->value, &b->value) && aq_hash_eq(&a->prepared_value, &b->prepared_value);
}

static inline void fake_check_send(fake_node *n, const aq_qbft_wire *m) {
  fake_cluster *w = n->w;
  if (m->msg.type == AQ_QBFT_DECIDED) {
    AQ_ASSERT(fake_disk_decided(&n->disk, m->duty));
    return;
  }
  const aq_store_vote *v = fake_disk_vote(&n->disk, m->duty, (uint8_t)m->msg.type, (uint64_t)m->msg.round);
  AQ_ASSERT(v && aq_bytes_eq(v->msg, m->msg.raw)); /* consensus.md I8 */
  for (size_t i = 0; i < w->shown_cnt; i++) {
    if (w->shown[i].node != n->idx || !aq_duty_eq(w->shown[i].duty, m->duty)) continue;
    if (w->shown[i].m.type != m->msg.type || w->shown[i].m.round != m->msg.round) continue;
    AQ_ASSERT(fake_same_msg(&w->shown[i].m, &m->msg)); /* consensus.md S1 */
    return;
  }
  AQ_ASSERT(w->shown_cnt < FAKE_SHOWN_MAX);
  w->shown[w->shown_cnt].node = n->idx;
  w->shown[w->shown_cnt].duty = m->duty;
  w->shown[w->shown_cnt++].m = m->msg;
}

/* Requests are not filtered. */
static inline void fake_on_post(void *arg, fake_letter *l, aq_bytes msg) {
  fake_cluster *w = arg;
  fake_node *n = l->from->of;
  uint64_t extra = 0, delay = w->delay_ns[n->idx][l->peer];
  if (n->link.stopped) return;
  AQ_ASSERT(l->proto == (l->is_request ? AQ_PROTO_VOTES : AQ_PROTO_QBFT) && l->peer < w->n && l->peer != n->idx);
  l->to = &w->node[l->peer].link;
  if (l->is_request) {
    aq_buf_put_bytes(&l->data, msg);
    fake_letter_go(l, delay);
    return;
  }
  aq_qbft_wire_ctx wc = {w->n, &w->chain, fake_cluster_now(w)};
  aq_qbft_wire m;
  aq_arena_reset(&w->arena);
  AQ_ASSERT(aq_qbft_wire_decode(&m, &w->arena, &wc, msg) == AQ_QBFT_WIRE_OK);
  fake_check_send(n, &m);
  n->sends++;
  fake_verdict v = w->filter ? w->filter(w, n->idx, l->peer, &m, &l->data, &extra) : FAKE_PASS;
  if (!w->node[l->peer].up) v = FAKE_ERROR;
  if (v == FAKE_PASS) {
    aq_buf_reset(&l->data);
    aq_buf_put_bytes(&l->data, msg);
  }
  if (v == FAKE_PASS || v == FAKE_REPLACE)
    fake_letter_go(l, delay + extra);
  else
    fake_letter_tell(l, delay + extra, v == FAKE_ERROR ? AQ_E_CLOSED : AQ_OK);
}

static inline bool fake_there(void *arg, const fake_letter *l) {
  const fake_node *to = l->to->of;
  (void)arg;
  return to && to->up && !(l->is_request && to->mute);
}

static inline uint64_t fake_way_ns(void *arg, fake_letter *l) {
  const fake_node *from = l->from->of;
  return ((fake_cluster *)arg)->delay_ns[l->peer][from->idx];
}

static inline bool fake_connected(void *arg, fake_link *from, uint32_t peer) {
  (void)from;
  return ((fake_cluster *)arg)->node[peer].up;
}

/* ---- store ---- */

static inline uint64_t fake_commit_ns(void *arg) { return ((fake_node *)arg)->w->commit_ns; }

static inline bool fake_has_bytes(const fake_node *n, aq_duty duty, const uint8_t hash[32]) {
  const aq_store_blob *b = fake_disk_blob(&n->disk, duty, hash);
  uint8_t check[32];
  if (b) aq_merkle_bytes(check, b->value, -1);
  return b && memcmp(check, hash, 32) == 0;
}

static inline void fake_wrote(void *arg, const fake_row *r, bool fresh) {
  fake_node *n = arg;
  if (r->kind == FAKE_BLOB) n->brought = fresh;
  if (r->kind != FAKE_DECIDED) return;
  AQ_ASSERT(fake_has_bytes(n, r->u.decided.duty, r->u.decided.hash)); /* with its bytes, or worth nothing */
  AQ_ASSERT(fresh || n->brought);                                     /* again only for bytes that were missing */
}

/* No test wants our own code to run into the guard (consensus.md S4, S5). */
static inline void fake_applied(void *arg, fake_store_op op, const aq_list *rows, aq_status st) {
  fake_node *n = arg;
  (void)op, (void)rows;
  n->brought = false;
  AQ_ASSERT(st != AQ_E_SLASH || n->foreign_rows);
}

/* ---- nodes ---- */

static inline aq_value_verdict fake_valid(void *arg, const aq_value_case *c, const aq_unsigned_set *set, aq_err *err) {
  fake_node *n = arg;
  (void)set;
  if (n->asked_cnt < AQ_COUNT(n->asked)) n->asked[n->asked_cnt++] = *c;
  if (n->always_waits) return AQ_VALUE_WAIT;
  if (n->doubts && !c->seconded) {
    (void)aq_fail(err, AQ_E_UNKNOWN, "a test doubts it");
    return AQ_VALUE_DOUBT;
  }
  if (n->always_reject && !(n->trusts_prepared && c->prepared)) {
    (void)aq_fail(err, AQ_E_UNKNOWN, "a test refuses it");
    return AQ_VALUE_BAD;
  }
  return AQ_VALUE_GOOD;
}

static inline void fake_on_decided(void *arg, aq_duty duty, const aq_unsigned_set *set, uint64_t round) {
  fake_node *n = arg;
  aq_hash hash = {{0}};
  aq_buf bytes = AQ_BUF(AQ_QBFT_MSG_MAX);
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  if (set->cnt) AQ_ASSERT(aq_qbft_value_encode(&bytes, &hash, &a, set) == AQ_OK);
  aq_arena_free(&a);
  aq_buf_free(&bytes);
  const aq_store_decided *d = fake_disk_decided(&n->disk, duty);
  AQ_ASSERT(d && (set->cnt == 0 || memcmp(d->hash, hash.b, 32) == 0));
  for (size_t i = 0; i < n->decision_cnt; i++) {
    if (!aq_duty_eq(n->decision[i].duty, duty)) continue;
    AQ_ASSERT(aq_hash_eq(&n->decision[i].hash, &hash)); /* consensus.md S5 */
    n->decision[i].times++;
    return;
  }
  AQ_ASSERT(n->decision_cnt < 64);
  n->decision[n->decision_cnt++] = (fake_decision){duty, hash, round, fake_cluster_now(n->w), set->cnt, 1};
}

static inline void fake_on_failed(void *arg, aq_duty duty, const char *why) {
  fake_node *n = arg;
  (void)duty;
  n->failures++;
  snprintf(n->why, sizeof n->why, "%s", why);
}

static inline void fake_boot(fake_cluster *w, uint32_t i, aq_store_state state) {
  fake_node *n = &w->node[i];
  n->up = true;
  fake_link_join(&w->links, &n->link, i, n);
  fake_store_open(
      &n->store, &n->disk, &n->env.env,
      &(fake_store_hooks){.arg = n, .delay_ns = fake_commit_ns, .wrote = fake_wrote, .applied = fake_applied});
  n->store.port.state = state;
  aq_consensus_cfg cfg = {.env = &n->env.env,
                          .net = &n->link.net,
                          .store = &n->store.port,
                          .chain = &w->chain,
                          .key = n->key,
                          .n = w->n,
                          .self = i,
                          .peer_pubkey = (const uint8_t(*)[33])w->pubkey,
                          .started_ns = fake_cluster_now(w),
                          .eager_timer = true,
                          .proposal_timeout = true,
                          .arg = n,
                          .valid = fake_valid,
                          .decided = fake_on_decided,
                          .failed = fake_on_failed,
                          .scheduled = w->scheduled};
  n->c = aq_consensus_new(&cfg);
  AQ_ASSERT(aq_consensus_recover(n->c) == AQ_OK);
}

/* As kill -9: what was not durable is gone, callbacks never come. */
static inline void fake_kill(fake_cluster *w, uint32_t i) {
  fake_node *n = &w->node[i];
  if (!n->c) return;
  fake_link_end(&n->link); /* as a host that stops */
  aq_consensus_free(n->c);
  fake_store_close(&n->store, 0, FAKE_CLOSE_SILENT);
  n->c = NULL;
  fake_link_drop(&n->link);
  AQ_ASSERT(n->env.timers.cnt == fake_env_untold(&n->env)); /* another one would run on freed memory */
  n->up = false;
  n->life++;
}

static inline void fake_forget(fake_cluster *w, uint32_t i) {
  fake_disk *d = &w->node[i].disk;
  for (fake_row *r; (r = fake_disk_next(d, NULL)) != NULL;) fake_disk_drop(r);
}

static inline uint64_t fake_cluster_job_ns(void *arg) {
  (void)arg;
  return 0;
}

static inline fake_cluster *fake_cluster_new(uint32_t n, aq_fork fork) {
  fake_cluster *w = calloc(1, sizeof *w);
  AQ_ASSERT(w && n <= FAKE_NODES_MAX);
  w->n = n;
  w->chain.clock = (aq_clock){.genesis_ns = AQ_SECONDS(1000000), .slot_ns = AQ_SECONDS(12), .slots_per_epoch = 32};
  for (int f = 0; f < AQ_FORK_CNT; f++) w->chain.fork[f].epoch = f <= (int)fork ? 0 : AQ_FAR_EPOCH;
  fake_time_init(&w->time, w->chain.clock.genesis_ns, 1);
  fake_env_join(&w->between, &w->time, 0);
  fake_links_init(&w->links, &w->between, w);
  w->links.post = fake_on_post, w->links.there = fake_there;
  w->links.way_ns = fake_way_ns, w->links.connected = fake_connected, w->links.slow_refusals = true;
  w->links.limit_ns = AQ_NEVER;
  aq_arena_init(&w->arena, 8 << 20);
  for (uint32_t i = 0; i < n; i++) {
    uint8_t secret[32];
    memset(secret, (int)i + 1, sizeof secret);
    w->node[i].w = w;
    w->node[i].idx = i;
    fake_env_join(&w->node[i].env, &w->time, 0);
    w->node[i].env.job_ns = fake_cluster_job_ns;
    fake_disk_init(&w->node[i].disk);
    AQ_ASSERT(aq_k1_key_new(&w->node[i].key, secret) == AQ_OK);
    aq_k1_pubkey(w->pubkey[i], w->node[i].key);
    for (uint32_t k = 0; k < n; k++) w->delay_ns[i][k] = AQ_MILLIS(10);
  }
  return w;
}

static inline void fake_cluster_free(fake_cluster *w) {
  for (uint32_t i = 0; i < w->n; i++) {
    fake_kill(w, i);
    fake_disk_free(&w->node[i].disk);
    fake_env_free(&w->node[i].env);
    aq_k1_key_free(w->node[i].key);
  }
  fake_links_free(&w->links);
  fake_env_free(&w->between);
  aq_arena_free(&w->arena);
  free(w);
}

/* ---- time ---- */

static inline void fake_run_until(fake_cluster *w, uint64_t until_ns) { fake_env_run_until(&w->between, until_ns); }

/* Time passes while all processes stand still. */
static inline void fake_hold_until(fake_cluster *w, uint64_t until_ns) {
  AQ_ASSERT(until_ns >= fake_cluster_now(w));
  fake_env_hold(&w->between, until_ns - fake_cluster_now(w));
}

/* Ends all jobs; no time passes. */
static inline void fake_jobs_end(fake_cluster *w) {
  for (uint32_t i = 0; i < w->n; i++) fake_env_jobs(&w->node[i].env);
}

/* A message by hand: no time passes, its signatures are known afterwards. */
static inline void fake_hand_over(fake_cluster *w, uint32_t to, uint32_t from, aq_bytes msg) {
  fake_node *n = &w->node[to];
  n->link.handler[AQ_PROTO_QBFT].recv(n->link.handler[AQ_PROTO_QBFT].arg, from, msg);
  fake_jobs_end(w);
}

/* Everybody's wall clock jumps; what is on its way keeps what is left. */
static inline void fake_step(fake_cluster *w, int64_t step_ns) {
  fake_env_shift(&w->between, step_ns);
  for (uint32_t i = 0; i < w->n; i++) fake_env_shift(&w->node[i].env, step_ns);
}

static inline const fake_decision *fake_decision_of(const fake_cluster *w, uint32_t node, aq_duty duty) {
  for (size_t i = 0; i < w->node[node].decision_cnt; i++) {
    if (aq_duty_eq(w->node[node].decision[i].duty, duty)) return &w->node[node].decision[i];
  }
  return NULL;
}

/* Of n nodes those that are not `away` are up and take part in a duty that begins 50 ms later. */
static inline fake_cluster *fake_cluster_before(uint32_t n, uint32_t away, aq_duty duty) {
  fake_cluster *w = fake_cluster_new(n, AQ_DENEB);
  w->commit_ns = AQ_MILLIS(2);
  fake_run_until(w, aq_duty_start_ns(&w->chain, duty) - AQ_MILLIS(100));
  for (uint32_t i = 0; i < n; i++) {
    if (away >> i & 1) continue;
    fake_boot(w, i, AQ_STORE_OK);
    AQ_ASSERT(aq_consensus_participate(w->node[i].c, duty) == AQ_OK);
  }
  fake_run_until(w, fake_cluster_now(w) + AQ_MILLIS(50)); /* the peers' first answers */
  return w;
}

#endif
