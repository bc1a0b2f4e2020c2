/* Processes, virtual time, the one order of all events. */
#include <stdarg.h>
#include <stdio.h>

#include "sim/cluster/world.h"

/* ---- randomness ---- */

uint64_t sim_random(sim_world *w, uint64_t below) { return fake_rng_below(&w->time.rng, below); }
bool sim_chance(sim_world *w, uint32_t per_mille) { return per_mille && sim_random(w, 1000) < per_mille; }
uint64_t sim_between(sim_world *w, uint64_t low, uint64_t high) { return low + sim_random(w, high - low + 1); }

/* ---- the record of what happens ---- */

static uint64_t mixed(uint64_t h, uint64_t v) {
  h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ (h >> 29);
}

void sim_trace(sim_world *w, const char *kind, uint64_t a, uint64_t b, aq_bytes data) {
  uint64_t h = mixed(w->out->hash, w->time.now_ns);
  for (const char *p = kind; *p; p++) h = mixed(h, (uint8_t)*p);
  h = mixed(mixed(h, a), b);
  size_t i = 0;
  for (; i + 8 <= data.len; i += 8) h = mixed(h, aq_le64_get(data.ptr + i));
  for (; i < data.len; i++) h = mixed(h, data.ptr[i]);
  w->out->hash = mixed(h, data.len);
  if (!w->opts.trace) return;
  sim_say(w, "%-9s %llu -> %llu  %zu bytes", kind, (unsigned long long)a, (unsigned long long)b, data.len);
}

void sim_say(sim_world *w, const char *fmt, ...) {
  va_list ap;
  if (!w->opts.trace) return;
  uint64_t ns = w->time.now_ns - w->genesis_ns;
  bool before = w->time.now_ns < w->genesis_ns;
  if (before) ns = w->genesis_ns - w->time.now_ns;
  printf("%8llu %s%3llu.%06llu  ", (unsigned long long)w->time.fired, before ? "-" : " ",
         (unsigned long long)(ns / AQ_NS_PER_SEC), (unsigned long long)(ns % AQ_NS_PER_SEC / 1000));
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
  putchar('\n');
}

void sim_fail(sim_world *w, const char *fmt, ...) {
  va_list ap;
  char text[sizeof w->out->why];
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  sim_say(w, "BROKEN: %s", text);
  if (w->out->why[0]) return;
  uint64_t slot = w->time.now_ns > w->genesis_ns ? (w->time.now_ns - w->genesis_ns) / w->slot_ns : 0;
  snprintf(w->out->why, sizeof w->out->why, "slot %llu, step %llu: %.330s", (unsigned long long)slot,
           (unsigned long long)w->time.fired, text);
}

/* ---- processes ---- */

void sim_proc_step(sim_proc *p, int64_t step_ns) { fake_env_shift(&p->env, step_ns); }

/* Workers take a while. */
static uint64_t job_ns(void *arg) { return sim_between(arg, 100, 2000) * AQ_NS_PER_US; }

void sim_proc_init(sim_proc *p, sim_world *w, uint32_t id) {
  int64_t skew_ns = p->env.skew_ns;
  *p = (sim_proc){.w = w, .id = id, .effects_left = UINT64_MAX};
  fake_env_join(&p->env, &w->time, skew_ns);
  p->env.job_ns = job_ns, p->env.job_arg = w;
}

void sim_proc_end(sim_proc *p) {
  size_t armed = fake_env_end(&p->env);
  if (armed > 0) sim_fail(p->w, "process %u ended with %zu timers armed", p->id, armed);
}

bool sim_effect(sim_proc *p) {
  if (p->env.dead) return false;
  if (p->effects_left == UINT64_MAX || --p->effects_left > 0) return true;
  p->env.dead = true;
  p->died(p->died_arg);
  return false;
}

bool sim_step(sim_world *w) { return fake_time_step(&w->time, w->end_ns - 1); }
