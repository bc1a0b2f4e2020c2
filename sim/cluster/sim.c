/* One seed: the shape of the cluster, its keys, its run. */
#include "sim/cluster/cluster.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "sim/cluster/world.h"

/* ---- keys ---- */

static void secret_of(uint8_t out[32], uint64_t seed, char kind, uint64_t number) {
  uint8_t in[17], hash[32], again[32];
  aq_le64_put(in, seed);
  in[8] = (uint8_t)kind;
  aq_le64_put(in + 9, number);
  aq_sha256(hash, aq_bytes_of(in, sizeof in));
  aq_sha256(again, aq_bytes_of(hash, 32));
  memcpy(out, again, 32);
  out[0] &= 0x3f; /* below both groups' orders */
}

static void make_validator(sim_world *w, uint32_t v) {
  uint8_t secret[32], ikm[32], wide[64], coeff[SIM_NODES_MAX][32], share[SIM_NODES_MAX][32];
  aq_dist_validator *d = &w->dist[v];
  secret_of(ikm, w->opts.seed, 'v', v);
  aq_bls_secret_from_seed(secret, ikm, sizeof ikm);
  aq_bls_secret_to_pubkey(d->pubkey, secret);
  memcpy(w->chain_pub[v], d->pubkey, 48);
  for (uint32_t i = 0; i + 1 < w->threshold; i++) {
    secret_of(wide, w->opts.seed, 'c', v * 64 + i);
    secret_of(wide + 32, w->opts.seed, 'd', v * 64 + i);
    aq_bls_secret_reduce(coeff[i], wide);
  }
  AQ_MUST(aq_tbls_split(share, secret, (const uint8_t(*)[32])coeff, w->threshold, w->n) == AQ_OK);
  for (uint32_t i = 0; i < w->n; i++) {
    memcpy(w->share_secret[i][v], share[i], 32);
    aq_bls_secret_to_pubkey(w->share_pub[v][i], share[i]);
  }
  d->share = w->share_pub[v];
  d->share_cnt = w->n;
  w->addresses[v] = (aq_validator_address){.fee_recipient = "0x0000000000000000000000000000000000000001",
                                           .withdrawal = "0x0000000000000000000000000000000000000002"};
}

static void make_lock(sim_world *w) {
  for (uint32_t i = 0; i < w->n; i++) {
    uint8_t secret[32];
    secret_of(secret, w->opts.seed, 'k', i);
    AQ_MUST(aq_k1_key_new(&w->key[i], secret) == AQ_OK);
    aq_k1_pubkey(w->operators[i].pubkey, w->key[i]);
    w->operators[i].address = w->operators[i].enr = "";
    snprintf(w->name[i], sizeof w->name[i], "node-%u", i);
    w->names[i] = w->name[i];
    memcpy(w->peers[i].pubkey, w->operators[i].pubkey, 33);
    memcpy(w->peers[i].name, w->name[i], sizeof w->name[i]);
  }
  for (uint32_t v = 0; v < w->validators; v++) make_validator(w, v);
  for (uint32_t v = w->validators; v < w->chain_validators; v++) {
    uint8_t ikm[32], secret[32];
    secret_of(ikm, w->opts.seed, 'o', v);
    aq_bls_secret_from_seed(secret, ikm, sizeof ikm);
    aq_bls_secret_to_pubkey(w->chain_pub[v], secret);
  }
  w->lock.def = (aq_definition){.name = "sim",
                                .uuid = "00000000-0000-4000-8000-000000000000",
                                .version = "v1.11.0",
                                .timestamp = "",
                                .dkg_algorithm = "default",
                                .consensus_protocol = "",
                                .fork_version = {0x20, 0, 0, 1},
                                .threshold = w->threshold,
                                .validator_cnt = w->validators,
                                .operator_cnt = w->n,
                                .operators = w->operators,
                                .addresses = w->addresses,
                                .creator_address = "",
                                .minor = 11};
  w->lock.validators = w->dist;
  w->lock.validator_cnt = w->validators;
  aq_sha256(w->lock.lock_hash, aq_bytes_of(w->chain_pub, sizeof w->chain_pub));
  snprintf(w->lock.lock_hash_text, sizeof w->lock.lock_hash_text, "0x%02x%02x", w->lock.lock_hash[0],
           w->lock.lock_hash[1]);
}

/* ---- shape ---- */

static void regions(sim_world *w) {
  static const uint32_t ms[4][4] = {{1, 40, 75, 120}, {40, 1, 45, 110}, {75, 45, 2, 160}, {120, 110, 160, 2}};
  bool spread = !w->opts.calm && sim_chance(w, 500);
  for (uint32_t i = 0; i < w->n; i++) {
    for (uint32_t k = 0; k < w->n; k++) w->base_ms[i][k] = spread ? ms[i % 4][k % 4] : 1;
  }
}

/* Half of the sevens are eights and nines, of random numbers of their own: other seeds stay what they were. */
static uint32_t operators_of(sim_world *w) {
  static const uint32_t sizes[] = {4, 4, 4, 4, 4, 3, 5, 6, 7, 7, 10};
  uint32_t n = sizes[sim_random(w, AQ_COUNT(sizes))];
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x73697a65));
  if (n == 7 && fake_rng_below(&r, 2) == 0) n = 8 + (uint32_t)fake_rng_below(&r, 2);
  return n;
}

/* Of random numbers of their own too, and those of sim/seeds until now have none. */
static void pairs(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x706190af));
  if (w->opts.calm || fake_rng_below(&r, 4) > 0) return;
  w->paired = (1u << w->n) - 1;
  if (fake_rng_below(&r, 2) > 0) w->paired = (uint32_t)fake_rng_below(&r, UINT64_C(1) << w->n);
}

static void shape(sim_world *w) {
  static const aq_fork forks[] = {AQ_CAPELLA, AQ_DENEB, AQ_ELECTRA, AQ_ELECTRA, AQ_FULU};
  bool calm = w->opts.calm, wide = calm || sim_chance(w, 200);
  w->n = calm ? 4 : operators_of(w);
  if (w->opts.nodes) w->n = w->opts.nodes;
  w->threshold = (2 * w->n + 2) / 3;
  w->f = (w->n - 1) / 3;
  w->validators = calm ? 8 : (uint32_t)sim_between(w, 1, 8);
  w->fork = calm ? AQ_ELECTRA : forks[sim_random(w, AQ_COUNT(forks))];
  /* A main network's epochs, where a few validators of many have a duty now and then; or short and dense. */
  w->slots_per_epoch = wide ? 32 : sim_between(w, 2, 8);
  w->chain_validators = wide ? 64 : w->validators + (uint32_t)sim_random(w, 8);
  w->slots = wide ? 128 : sim_between(w, 24, 40);
  w->slot_ns = AQ_SECONDS(calm || sim_chance(w, 700) ? 12 : sim_chance(w, 500) ? 5 : 2);
  if (!calm && w->f > 0 && sim_chance(w, 500)) {
    while ((uint32_t)__builtin_popcount(w->liars) < w->f && sim_chance(w, 700)) w->liars |= 1u << sim_random(w, w->n);
  }
  w->genesis_ns = UINT64_C(1700000000) * AQ_NS_PER_SEC;
  w->time.now_ns = w->genesis_ns - AQ_SECONDS(3);
  w->heal_ns = w->genesis_ns + w->slots * 6 / 10 * w->slot_ns;
  w->end_ns = w->genesis_ns + w->slots * w->slot_ns;
  sim_chain_shape(w);
  regions(w);
  pairs(w);
  sim_builder_shape(w);
}

static sim_world *world_new(const aq_sim_opts *opts, aq_sim_result *out) {
  sim_world *w = calloc(1, sizeof *w);
  AQ_ASSERT(w);
  w->opts = *opts;
  w->out = out;
  fake_time_init(&w->time, 0, opts->seed);
  aq_list_init(&w->blocks);
  shape(w);
  sim_proc_init(&w->own, w, 999);
  sim_http_init(w);
  sim_links_init(w);
  make_lock(w);
  if (opts->wire) sim_wire_init(w);
  sim_faults_make(w);
  sim_exits_make(w);
  out->nodes = w->n, out->slots = w->slots;
  out->liars = (uint32_t)__builtin_popcount(w->liars);
  return w;
}

static void world_free(sim_world *w) {
  sim_faults_free(w);
  sim_exits_free(w);
  sim_nodes_free(w);
  sim_chain_free(w);
  sim_check_free(w);
  aq_relay_free(w->relay);
  free(w->exits);
  fake_http_free(&w->web);
  fake_links_free(&w->links);
  if (w->wires) sim_wire_free(w);
  sim_proc_end(&w->own);
  for (uint32_t i = 0; i < w->n; i++) aq_k1_key_free(w->key[i]);
  free(w);
}

static void log_line(void *arg, const char *line, size_t len) { sim_say(arg, "log %.*s", (int)len, line); }

bool aq_sim_cluster_run(const aq_sim_opts *opts, aq_sim_result *out) {
  *out = (aq_sim_result){0};
  sim_world *w = world_new(opts, out);
  aq_log_start(opts->logs ? AQ_LOG_INFO : AQ_LOG_ERROR, log_line, w);
  if (opts->trace) {
    char later[48] = "";
    if (w->fork_epoch != AQ_FAR_EPOCH)
      snprintf(later, sizeof later, ", %s at epoch %llu", aq_fork_name(w->next_fork),
               (unsigned long long)w->fork_epoch);
    printf(
        "seed %llu: %u nodes (liars 0x%x, pairs of beacon nodes 0x%x), %u validators of %u, %llu slots of %llu s, "
        "epochs "
        "of %llu, %s%s%s\n",
        (unsigned long long)opts->seed, w->n, w->liars, w->paired, w->validators, w->chain_validators,
        (unsigned long long)w->slots, (unsigned long long)(w->slot_ns / AQ_NS_PER_SEC),
        (unsigned long long)w->slots_per_epoch, aq_fork_name(w->fork), later,
        w->builder_api ? ", builder"
        : w->relay     ? ", builder off"
                       : "");
    sim_faults_print(w);
  }
  sim_chain_start(w);
  for (uint32_t op = 0; op < w->n; op++) sim_instance(w, op, w->liars >> op & 1 ? SIM_LIAR : SIM_HONEST);
  for (uint32_t op = 0; op < w->n; op++) {
    sim_node_start(w->node[op]);
    sim_vc_start(w->node[op]);
  }
  sim_faults_arm(w);
  sim_exits_arm(w);
  while (!out->why[0] && (opts->until == 0 || w->time.fired < opts->until) && sim_step(w)) {
  }
  if (!out->why[0]) sim_check_end(w);
  out->steps = w->time.fired;
  world_free(w);
  aq_log_stop();
  return !out->why[0];
}

uint32_t aq_sim_cluster_script(const aq_sim_opts *opts, bool print) {
  aq_sim_result out = {0};
  sim_world *w = world_new(opts, &out);
  uint32_t cnt = print ? sim_faults_print(w) : w->fault_cnt;
  world_free(w);
  return cnt;
}
