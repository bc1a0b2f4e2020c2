/* A node's process and its validator client's: start, death at any effect, orderly end. The order of the end is that of
   node/node.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/cluster/world.h"

/* What a beacon node says of its chain at a start is believed from then on (KNOWN_RISKS). */
static bool told_garbage(const sim_node *n) {
  const sim_world *w = n->w;
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    const sim_fault *f = &w->fault[i];
    bool then = f->from_ns <= w->time.now_ns && f->until_ns >= n->began_ns && w->opts.keep >> i & 1;
    if (f->kind == SIM_BN_GARBAGE && f->a == n->op && then) return true;
  }
  return false;
}

static void ready(void *arg, uint64_t took_ns) {
  sim_node *n = arg;
  (void)took_ns;
  n->misled = told_garbage(n);
  sim_say(n->w, "node %u ready", n->idx);
}

static void failed(void *arg, const char *why) {
  sim_node *n = arg;
  sim_say(n->w, "node %u cannot start: %s", n->idx, why);
  sim_node_kill(n, AQ_SECONDS(2)); /* as its supervisor would */
}

/* It found another instance of itself: right only where there is one. Its operator starts it when all is over. */
static void unsafe(void *arg, const char *why) {
  sim_node *n = arg;
  sim_say(n->w, "node %u stops itself: %s", n->idx, why);
  if (n->nature == SIM_HONEST && !(n->w->doubled >> n->op & 1))
    sim_fail(n->w, "node %u stopped itself without a second instance: %s", n->op, why);
  bool over = n->w->time.now_ns >= n->w->heal_ns;
  sim_node_kill(n, over ? AQ_SECONDS(5) : n->w->heal_ns - n->w->time.now_ns);
}

/* ---- node ---- */

static void teardown(void *arg);
static void start_again(void *arg) { sim_node_start(arg); }

static void node_died(void *arg) {
  sim_node *n = arg;
  n->leaving = true;
  aq_timer_set(&n->w->own.env.env, &n->teardown, n->w->time.now_ns, teardown, n);
}

static void end_node(sim_node *n, bool killed) {
  sim_world *w = n->w;
  aq_core_stop(&n->core);
  fake_http_cut(&w->web, aq_vapi_handler(n->core.vapi));
  w->wires ? sim_wire_stop(n) : fake_link_end(&n->link);
  sim_store_close(&n->store, killed);
  aq_core_end_duties(&n->core);
  aq_core_free(&n->core);
  w->wires ? sim_wire_end(n) : fake_link_drop(&n->link);
  fake_http_drop(&w->web, &n->proc);
  sim_proc_end(&n->proc);
  aq_timer_cancel(&w->own.env.env, &n->teardown); /* it may have died while it stopped in good order */
  n->up = n->leaving = false;
}

static void teardown(void *arg) {
  sim_node *n = arg;
  sim_say(n->w, "node %u is gone", n->idx);
  end_node(n, true);
}

void sim_node_lose(sim_node *n) {
  fake_disk_lose(&n->disk, n->w->time.now_ns + (uint64_t)n->proc.env.skew_ns);
  n->lost_ns = n->w->time.now_ns;
}

void sim_node_start(sim_node *n) {
  sim_world *w = n->w;
  if (n->leaving) aq_timer_set(&w->own.env.env, &n->restart, w->time.now_ns + AQ_NS_PER_MS, start_again, n);
  if (n->leaving || n->up) return;
  if (n->old_back) {
    fake_disk_copy(&n->disk, &n->old);
    n->old_ns[0] = n->copied_ns, n->old_ns[1] = w->time.now_ns;
    sim_count_fault(w, SIM_OLD_STORE);
  }
  n->old_back = false;
  if (n->lose_disk) sim_node_lose(n);
  n->lose_disk = false;
  sim_proc_init(&n->proc, w, n->idx);
  n->proc.died = node_died, n->proc.died_arg = n;
  n->life++;
  n->up = true;
  n->began_ns = w->time.now_ns;
  sim_say(w, "node %u starts, life %u", n->idx, n->life);
  sim_store_open(&n->store, &n->disk, &n->proc, n, false);
  fake_http_client(&w->web, &n->http, &n->proc);
  w->wires ? sim_wire_start(n) : fake_link_join(&w->links, &n->link, n->op, n);
  const aq_core_cfg cfg = {.env = &n->proc.env.env,
                           .net = &n->link.net,
                           .store = &n->store.fake.port,
                           .http = &n->http.http,
                           .endpoints = n->endpoint,
                           .endpoint_cnt = 1 + (w->paired >> n->op & 1),
                           .beacon_timeout_ns = AQ_SECONDS(2),
                           .beacon_submit_timeout_ns = AQ_SECONDS(2),
                           .lock = &w->lock,
                           .key = w->key[n->op],
                           .self = n->op,
                           .started_ns = aq_now_ns(&n->proc.env.env),
                           .enable_tss = true,
                           .builder_api = w->builder_api,
                           .tss_sessions_max = 0,
                           .graffiti = "sim",
                           .version = "v0.0.0",
                           .peer_names = w->names,
                           .arg = n,
                           .ready = ready,
                           .failed = failed,
                           .unsafe = unsafe};
  aq_core_init(&n->core, &cfg);
  aq_core_start(&n->core);
  for (uint32_t i = 0; i < w->node_cnt && !w->wires; i++) {
    sim_node *o = w->node[i];
    if (o->op != n->op && o->up && !o->leaving) aq_core_peer_up(&o->core, n->op);
  }
}

void sim_node_kill(sim_node *n, uint64_t back_after_ns) {
  sim_world *w = n->w;
  if (back_after_ns != AQ_NEVER)
    aq_timer_set(&w->own.env.env, &n->restart, w->time.now_ns + back_after_ns, start_again, n);
  if (!n->up || n->leaving) return;
  n->proc.env.dead = true;
  node_died(n);
}

void sim_node_stop(sim_node *n) {
  if (!n->up || n->leaving) return;
  sim_say(n->w, "node %u stops", n->idx);
  end_node(n, false);
}

/* ---- validator client ---- */

static void vc_end(void *arg) {
  sim_node *n = arg;
  aq_vc_free(n->vc);
  n->vc = NULL;
  sim_store_close(&n->vc_store, true);
  fake_http_drop(&n->w->web, &n->vc_proc);
  sim_proc_end(&n->vc_proc);
  aq_timer_cancel(&n->w->own.env.env, &n->vc_teardown);
  n->vc_up = false;
}

static void vc_died(void *arg) {
  sim_node *n = arg;
  aq_timer_set(&n->w->own.env.env, &n->vc_teardown, n->w->time.now_ns, vc_end, n);
}

static void vc_again(void *arg) { sim_vc_start(arg); }

void sim_vc_start(sim_node *n) {
  sim_world *w = n->w;
  if (n->vc_up && n->vc_proc.env.dead)
    aq_timer_set(&w->own.env.env, &n->vc_restart, w->time.now_ns + AQ_NS_PER_MS, vc_again, n);
  if (n->vc_up) return;
  if (n->vc_put_back) fake_disk_copy(&n->vc_disk, &n->vc_old);
  n->vc_put_back = false;
  sim_proc_init(&n->vc_proc, w, 100 + n->idx);
  n->vc_proc.died = vc_died, n->vc_proc.died_arg = n;
  sim_store_open(&n->vc_store, &n->vc_disk, &n->vc_proc, n, true);
  fake_http_client(&w->web, &n->vc_http, &n->vc_proc);
  n->vc_up = true;
  const aq_vc_cfg cfg = {.env = &n->vc_proc.env.env,
                         .http = &n->vc_http.http,
                         .store = &n->vc_store.fake.port,
                         .url = n->node_url,
                         .secret = (const uint8_t(*)[32])w->share_secret[n->op],
                         .key_cnt = w->validators,
                         .ssz_blocks = n->idx % 2 == 1};
  n->vc = aq_vc_new(&cfg);
  aq_vc_start(n->vc);
}

void sim_vc_kill(sim_node *n, uint64_t back_after_ns) {
  sim_world *w = n->w;
  if (back_after_ns != AQ_NEVER)
    aq_timer_set(&w->own.env.env, &n->vc_restart, w->time.now_ns + back_after_ns, vc_again, n);
  if (!n->vc_up || n->vc_proc.env.dead) return;
  n->vc_proc.env.dead = true;
  vc_died(n);
}

sim_node *sim_instance(sim_world *w, uint32_t op, sim_nature nature) {
  AQ_ASSERT(w->node_cnt < SIM_INSTANCES_MAX);
  sim_node *n = calloc(1, sizeof *n);
  AQ_ASSERT(n);
  n->w = w, n->idx = w->node_cnt, n->op = op, n->nature = nature;
  fake_disk *disk[] = {&n->disk, &n->old, &n->vc_disk, &n->vc_old};
  for (size_t i = 0; i < AQ_COUNT(disk); i++) {
    fake_disk_init(disk[i]);
    disk[i]->journal_slots = 0; /* so that marks are made, and needed */
  }
  snprintf(n->bn_url[0], sizeof n->bn_url[0], "http://b%u", n->op);
  snprintf(n->bn_url[1], sizeof n->bn_url[1], "http://c%u", n->op);
  snprintf(n->node_url, sizeof n->node_url, "http://n%u", n->idx);
  n->endpoint[0] = n->bn_url[0], n->endpoint[1] = n->bn_url[1];
  w->node[w->node_cnt++] = n;
  return n;
}

static void cancel_timers(sim_node *n) {
  aq_timer *timer[] = {&n->restart, &n->vc_restart, &n->replay, &n->teardown, &n->vc_teardown};
  for (size_t k = 0; k < AQ_COUNT(timer); k++) aq_timer_cancel(&n->w->own.env.env, timer[k]);
}

void sim_nodes_free(sim_world *w) {
  for (uint32_t i = 0; i < w->node_cnt; i++) {
    sim_node *n = w->node[i];
    cancel_timers(n);
    if (n->vc_up) vc_end(n);
    if (n->up) end_node(n, n->leaving);
  }
  for (uint32_t i = 0; i < w->node_cnt; i++) {
    cancel_timers(w->node[i]); /* one that could not start while it ended would have come back */
    fake_disk_free(&w->node[i]->disk);
    fake_disk_free(&w->node[i]->old);
    fake_disk_free(&w->node[i]->vc_disk);
    fake_disk_free(&w->node[i]->vc_old);
    sim_liar_free(w->node[i]);
    free(w->node[i]);
  }
  w->node_cnt = 0;
}
