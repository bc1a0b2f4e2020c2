/* Operators leave: in a part of the seeds each posts its partial exit of one validator to its own node, at a time of
   its own, and again until it is taken. Domains and roots are worked out here, apart from eth/chain.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "codec/json.h"
#include "sim/cluster/world.h"
#include "simchain/beacon_internal.h"

enum { POSTS_MAX = 3 * SIM_NODES_MAX, TRIES_MAX = 200 };

#define PATIENCE_NS AQ_SECONDS(30)

typedef enum {
  GOOD,
  AGAIN,         /* the same bytes once more */
  OTHER_EPOCH,   /* well signed: too few do so for a group signature */
  FOREIGN_DOMAIN /* signed under the version of another fork: to be refused */
} post_kind;

typedef struct {
  sim_world *w;
  post_kind kind;
  uint32_t op, tries;
  uint64_t at_ns, epoch;
  uint64_t began_ns, acked_ns; /* when it left first; when it was taken; 0: not yet */
  char body[400];
  aq_timer timer;
} post;

struct sim_exits {
  uint64_t validator, epoch;
  post item[POSTS_MAX];
  uint32_t cnt;
  fake_httpc http;
  fake_rng rng;
  uint64_t seen_ns; /* by the chain */
};

static uint64_t below(sim_exits *x, uint64_t n) { return fake_rng_below(&x->rng, n); }

/* ---- the object ---- */

static void root_of(uint8_t root[32], const sim_world *w, uint64_t epoch, aq_fork version) {
  const uint8_t fork_version[4] = {(uint8_t)(0x20 + version), 0, 0, 1};
  uint8_t domain[32], message[16];
  aq_le64_put(message, epoch);
  aq_le64_put(message + 8, w->exits->validator);
  aq_compute_domain(domain, AQ_DOMAIN_VOLUNTARY_EXIT, fork_version, w->bn[0]->chain.genesis_validators_root);
  aq_ssz_root(root, &aq_t_voluntary_exit, aq_bytes_of(message, sizeof message));
  aq_signing_root(root, root, domain);
}

static aq_duty duty_of(const sim_world *w, uint64_t epoch) {
  return (aq_duty){epoch * w->slots_per_epoch, AQ_DUTY_EXIT};
}

static void sign(post *p) {
  sim_world *w = p->w;
  bool later = w->fork > AQ_CAPELLA;
  uint8_t root[32], sig[96];
  char hex[193];
  root_of(root, w, p->epoch, p->kind != FOREIGN_DOMAIN ? AQ_CAPELLA : later ? w->fork : AQ_PHASE0);
  aq_bls_sign(sig, w->share_secret[p->op][w->exits->validator], root);
  aq_hex_encode(hex, aq_bytes_of(sig, sizeof sig));
  snprintf(p->body, sizeof p->body,
           "{\"message\":{\"epoch\":\"%llu\",\"validator_index\":\"%llu\"},\"signature\":\"0x%s\"}",
           (unsigned long long)p->epoch, (unsigned long long)w->exits->validator, hex);
}

/* ---- who posts what when ---- */

static post *add(sim_world *w, post_kind kind, uint32_t op, uint64_t at_ns, uint64_t epoch) {
  sim_exits *x = w->exits;
  AQ_ASSERT(x->cnt < POSTS_MAX);
  post *p = &x->item[x->cnt++];
  *p = (post){.w = w, .kind = kind, .op = op, .at_ns = at_ns, .epoch = epoch};
  return p;
}

/* Just before something happens to the operator's node; 0: nothing does. */
static uint64_t before_trouble(const sim_world *w, sim_exits *x, uint32_t op) {
  uint64_t at_ns = 0;
  for (uint32_t i = 0, met = 0; i < w->fault_cnt; i++) {
    const sim_fault *f = &w->fault[i];
    bool restarts = f->kind == SIM_CRASH || f->kind == SIM_UPGRADE || f->kind == SIM_CRASH_ALL;
    if (!restarts || (f->a != op && f->kind != SIM_CRASH_ALL) || f->from_ns < w->genesis_ns + w->slot_ns) continue;
    if (below(x, ++met) == 0) at_ns = f->from_ns - below(x, AQ_SECONDS(1));
  }
  return at_ns;
}

static void plan_of(sim_world *w, uint32_t op, uint64_t base_ns) {
  sim_exits *x = w->exits;
  const uint64_t spread_ns[] = {AQ_SECONDS(5), 3 * w->slot_ns, 3 * w->slots_per_epoch * w->slot_ns};
  uint64_t at_ns = base_ns + below(x, spread_ns[below(x, AQ_COUNT(spread_ns))]);
  uint64_t last_ns = w->heal_ns + (w->end_ns - w->heal_ns) / 4, trouble_ns = before_trouble(w, x, op);
  uint64_t dice = below(x, 12);
  if (trouble_ns && below(x, 2) == 0) at_ns = trouble_ns;
  if (at_ns < base_ns) at_ns = base_ns;
  if (at_ns > last_ns) at_ns = last_ns;
  if (dice == 0) return; /* it stays */
  if (dice == 1) add(w, FOREIGN_DOMAIN, op, at_ns - below(x, w->slot_ns), x->epoch);
  add(w, GOOD, op, at_ns, x->epoch);
  if (dice <= 4) add(w, AGAIN, op, at_ns + below(x, 2 * w->slots_per_epoch * w->slot_ns), x->epoch);
}

/* Restarts of who has posted. They belong to the script, so that they can be left out and count as trouble. */
static void restarts(sim_world *w) {
  sim_exits *x = w->exits;
  if (below(x, 2) == 0) return;
  for (uint32_t i = 0; i < x->cnt && w->fault_cnt < SIM_FAULTS_MAX; i++) {
    const post *p = &x->item[i];
    if (p->kind != GOOD || below(x, 2) == 0) continue;
    sim_fault f = {.kind = below(x, 2) ? SIM_UPGRADE : SIM_CRASH, .a = p->op, .p = 1 + below(x, 40)};
    f.from_ns = p->at_ns + below(x, below(x, 2) ? AQ_SECONDS(1) : 2 * w->slots_per_epoch * w->slot_ns);
    f.until_ns = f.from_ns + AQ_MILLIS(100) + below(x, AQ_SECONDS(3));
    if (f.until_ns < w->heal_ns) w->fault[w->fault_cnt++] = f;
  }
}

/* All at once, when some have posted: what was said before it is on the disks alone. */
static void power_cut(sim_world *w) {
  sim_exits *x = w->exits;
  if (x->cnt == 0 || below(x, 3) > 0 || w->fault_cnt >= SIM_FAULTS_MAX) return;
  sim_fault f = {.kind = SIM_CRASH_ALL, .p = 1 + below(x, 20)};
  f.from_ns = x->item[below(x, x->cnt)].at_ns + below(x, AQ_SECONDS(1));
  f.until_ns = f.from_ns + AQ_MILLIS(500) + below(x, AQ_SECONDS(3));
  if (f.until_ns < w->heal_ns) w->fault[w->fault_cnt++] = f;
}

/* Of random numbers of its own: seeds without exits stay what they were, and those of sim/seeds until now have none. */
void sim_exits_make(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x6578fe88));
  if (w->opts.calm || fake_rng_below(&r, 4) > 0) return;
  sim_exits *x = w->exits = calloc(1, sizeof *x);
  AQ_ASSERT(x);
  x->rng = r;
  x->validator = below(x, w->validators);
  uint64_t base_ns = w->genesis_ns + w->slot_ns + below(x, w->heal_ns - w->genesis_ns - w->slot_ns);
  x->epoch = below(x, (base_ns - w->genesis_ns) / w->slot_ns / w->slots_per_epoch + 1);
  for (uint32_t op = 0; op < w->n; op++) plan_of(w, op, base_ns);
  if (x->cnt > 0 && x->epoch > 0 && below(x, 3) == 0) {
    const post *p = &x->item[below(x, x->cnt)];
    add(w, OTHER_EPOCH, p->op, base_ns + below(x, w->slots_per_epoch * w->slot_ns), x->epoch - 1);
  }
  restarts(w);
  power_cut(w);
}

/* ---- posting ---- */

static void send(void *arg);

static void send_later(post *p) {
  sim_world *w = p->w;
  uint64_t after_ns = AQ_SECONDS(1) + below(w->exits, AQ_SECONDS(10));
  if (p->tries < TRIES_MAX) aq_timer_set(&w->own.env.env, &p->timer, w->time.now_ns + after_ns, send, p);
}

static bool acked_before(const sim_world *w, const post *p) {
  for (uint32_t i = 0; i < w->exits->cnt; i++) {
    const post *o = &w->exits->item[i];
    if (o->op == p->op && o->kind == GOOD && o->acked_ns) return true;
  }
  return false;
}

static void answered(void *arg, aq_status st, const aq_httpc_res *res) {
  post *p = arg;
  sim_world *w = p->w;
  const sim_node *n = w->node[p->op];
  bool taken = st == AQ_OK && res->code / 100 == 2, honest = n->nature == SIM_HONEST && !n->misled;
  sim_say(w, "exit of validator %llu posted to node %u: %d %.*s", (unsigned long long)w->exits->validator, p->op,
          st == AQ_OK ? res->code : 0, st == AQ_OK ? (int)res->body.len : 0, st == AQ_OK ? (char *)res->body.ptr : "");
  if (p->kind == FOREIGN_DOMAIN) {
    if (taken && honest) sim_fail(w, "node %u took an exit that is signed for another fork", p->op);
    if (st != AQ_OK || res->code != 400) send_later(p);
    return;
  }
  if (!taken) {
    send_later(p);
    return;
  }
  p->acked_ns = w->time.now_ns;
}

static void send(void *arg) {
  post *p = arg;
  sim_world *w = p->w;
  sim_exits *x = w->exits;
  char url[100];
  if (p->kind == AGAIN && !acked_before(w, p)) {
    send_later(p);
    return;
  }
  if (!p->began_ns) {
    p->began_ns = w->time.now_ns;
    sign(p);
  }
  p->tries++;
  snprintf(url, sizeof url, "%s/eth/v1/beacon/pool/voluntary_exits", w->node[p->op]->node_url);
  const aq_http_header h = {"Content-Type", "application/json"};
  const aq_httpc_req req = {
      .method = "POST", .url = url, .headers = {&h, 1}, .body = aq_bytes_str(p->body), .timeout_ns = AQ_SECONDS(5)};
  x->http.http.start(x->http.http.ctx, &req, &(aq_httpc_cb){.arg = p, .done = answered});
}

void sim_exits_arm(sim_world *w) {
  sim_exits *x = w->exits;
  if (!x) return;
  fake_http_client(&w->web, &x->http, &w->own);
  w->out->exits_asked = 1;
  for (uint32_t i = 0; i < x->cnt; i++)
    aq_timer_set(&w->own.env.env, &x->item[i].timer, x->item[i].at_ns, send, &x->item[i]);
}

void sim_exits_free(sim_world *w) {
  sim_exits *x = w->exits;
  if (!x) return;
  for (uint32_t i = 0; i < x->cnt; i++) aq_timer_cancel(&w->own.env.env, &x->item[i].timer);
  if (x->http.who) fake_http_drop(&w->web, &w->own);
}

/* ---- what is promised ---- */

static const post *asked(const sim_world *w, uint32_t op, uint64_t validator, uint64_t epoch) {
  for (uint32_t i = 0; w->exits && i < w->exits->cnt; i++) {
    const post *p = &w->exits->item[i];
    bool well = p->kind == GOOD || p->kind == OTHER_EPOCH;
    if (well && p->began_ns && p->op == op && p->epoch == epoch && w->exits->validator == validator) return p;
  }
  return NULL;
}

void sim_exit_sent(sim_node *n, aq_duty duty, const aq_parsigex_item *it) {
  sim_world *w = n->w;
  uint8_t root[32];
  uint64_t epoch = duty.slot / w->slots_per_epoch;
  if (!asked(w, n->op, it->validator, epoch)) {
    sim_fail(w, "node %u sent an exit share of validator %u, epoch %llu, that its client did not sign", n->op,
             it->validator, (unsigned long long)epoch);
    return;
  }
  root_of(root, w, epoch, AQ_CAPELLA);
  if (memcmp(root, it->root, 32) != 0) sim_fail(w, "node %u sent an exit share under another domain", n->op);
  if (!fake_disk_sign(&n->disk, AQ_SIGN_PARTIAL, duty, w->dist[it->validator].pubkey, root))
    sim_fail(w, "node %u sent an exit share whose root is not on its disk", n->op);
  if (!w->exits->seen_ns && !fake_disk_has_partial(&n->disk, duty, w->dist[it->validator].pubkey))
    sim_fail(w, "node %u sent an exit share that it would not have after a restart", n->op);
}

void sim_exit_submitted(sim_node *n, const aq_httpc_req *req) {
  sim_world *w = n->w;
  const aq_ssz_type *t = &aq_t_signed_voluntary_exit;
  uint8_t root[32];
  aq_buf ssz = AQ_BUF(SIM_OBJECT_MAX);
  yyjson_doc *doc = aq_json_parse(req->body, SIM_OBJECT_MAX, NULL);
  if (!w->exits || !doc || aq_ssz_from_json(&ssz, t, yyjson_doc_get_root(doc), NULL) != AQ_OK) {
    sim_fail(w, "node %u submitted what is no exit, or nobody leaves", n->op);
  } else {
    aq_bytes in = aq_buf_bytes(&ssz);
    uint64_t epoch = aq_ssz_get_u64(t, in, "message.epoch");
    root_of(root, w, epoch, AQ_CAPELLA);
    if (!fake_disk_sign(&n->disk, AQ_SIGN_GROUP, duty_of(w, epoch), w->dist[w->exits->validator].pubkey, root))
      sim_fail(w, "node %u submitted an exit that is not on its disk", n->op);
  }
  yyjson_doc_free(doc);
  aq_buf_free(&ssz);
}

void sim_exit_seen(sim_world *w, uint32_t op, uint64_t validator, uint64_t epoch, bool valid) {
  uint32_t signers = 0;
  sim_say(w, "beacon node %u gets an exit of validator %llu, epoch %llu: %s", op, (unsigned long long)validator,
          (unsigned long long)epoch, valid ? "right" : "wrong");
  if (!valid) {
    if (!(w->liars >> op & 1)) sim_fail(w, "node %u submitted an exit that does not verify", op);
    return;
  }
  for (uint32_t i = 0; i < w->n; i++) signers += asked(w, i, validator, epoch) != NULL;
  if (signers < w->threshold)
    sim_fail(w, "the chain got an exit of validator %llu that %u operators signed", (unsigned long long)validator,
             signers);
  if (w->exits->seen_ns) return;
  w->exits->seen_ns = w->time.now_ns;
  for (uint32_t i = 0; i < w->n; i++) aq_beacon_leaves(w->bn[i], validator);
}

static bool sound(const sim_node *n) { return n->nature == SIM_HONEST && !(n->w->doubled >> n->op & 1) && !n->misled; }

/* Who told its client that it has the exit, and was not brought to forget it. */
static bool must_know(const sim_node *n, uint64_t acked_ns) {
  bool forgot = n->lost_ns >= acked_ns || (n->old_ns[1] >= acked_ns && n->old_ns[0] <= acked_ns);
  return sound(n) && !forgot && acked_ns != 0;
}

/* What was posted again and again, half a minute and more after the faults were over. */
static void check_taken(sim_world *w, const post *p, uint64_t latest_ns) {
  if (p->kind != GOOD || p->acked_ns || p->at_ns + PATIENCE_NS > latest_ns || w->heal_ns + PATIENCE_NS > latest_ns)
    return;
  if (sound(w->node[p->op]))
    sim_fail(w, "node %u did not take the exit that its client signed, in %u tries", p->op, p->tries);
}

/* An epoch after the faults are over, and the last of a threshold's exits is taken, the chain has it. */
void sim_exit_end(sim_world *w) {
  sim_exits *x = w->exits;
  uint64_t latest_ns = w->end_ns - (w->slots_per_epoch + 3) * w->slot_ns;
  uint32_t cnt = 0;
  if (!x) return;
  for (uint32_t i = 0; i < x->cnt; i++) {
    const post *p = &x->item[i];
    check_taken(w, p, latest_ns);
    cnt += p->kind == GOOD && p->acked_ns < latest_ns && must_know(w->node[p->op], p->acked_ns);
  }
  bool must = cnt >= w->threshold && w->heal_ns < latest_ns;
  w->out->exits_must = must, w->out->exits_seen = x->seen_ns != 0;
  if (must && !x->seen_ns)
    sim_fail(w, "the chain did not get the exit of validator %llu, which %u nodes had taken",
             (unsigned long long)x->validator, cnt);
}
