/* A node's and a client's store: the double of test/fake, with the simulator's faults and eyes. Commits take time,
   fail, or are cut off by the end of the process. */
#include "sim/cluster/world.h"

static bool commit(void *arg, bool *fails) {
  sim_store *s = arg;
  sim_world *w = s->proc->w;
  const sim_fault *broken = s->client ? NULL : sim_fault_of(w, SIM_WRITE_ERROR, s->node->op);
  *fails = !s->client && sim_fault_of(w, SIM_DISK_FULL, s->node->op) != NULL;
  if (*fails) sim_count_fault(w, SIM_DISK_FULL);
  if (!*fails && broken && sim_chance(w, (uint32_t)broken->p)) *fails = true, sim_count_fault(w, SIM_WRITE_ERROR);
  return sim_effect(s->proc); /* dies before the write */
}

static uint64_t delay_ns(void *arg) {
  sim_store *s = arg;
  sim_world *w = s->proc->w;
  if (!sim_effect(s->proc)) return AQ_NEVER;
  const sim_fault *slow = sim_fault_of(w, SIM_SLOW_DISK, s->node->op);
  uint64_t us = sim_between(w, 200, 3000);
  if (slow) us += sim_random(w, slow->p * 1000 + 1), sim_count_fault(w, SIM_SLOW_DISK);
  return us * AQ_NS_PER_US;
}

static void wrote(void *arg, const fake_row *r, bool fresh) {
  const sim_store *s = arg;
  const aq_store_decided *d = &r->u.decided;
  if (r->kind == FAKE_DECIDED)
    sim_check_bytes(s->node, d->duty, d->hash, fake_disk_blob(s->fake.disk, d->duty, d->hash));
  if (s->client && r->kind == FAKE_SIGN && fresh) sim_check_client(s->node, &r->u.sign);
}

static void refused(const sim_store *s, const aq_list *rows) {
  for (const aq_list *it = rows->next; it != rows; it = it->next) {
    const fake_row *r = AQ_CONTAINER(it, const fake_row, turn);
    if (r->kind == FAKE_BLOB) continue;
    sim_check_refused(s->node, r->kind != FAKE_SIGN, fake_row_duty(r));
    return;
  }
}

static void applied(void *arg, fake_store_op op, const aq_list *rows, aq_status st) {
  const sim_store *s = arg;
  if (st == AQ_E_SLASH && !s->client) refused(s, rows);
  sim_trace(s->proc->w, st == AQ_E_IO ? "write_err" : "write", s->proc->id, (uint64_t)op, aq_bytes_of(&st, sizeof st));
}

/* ---- what is seen before it is queued ---- */

static void put_vote(void *ctx, const aq_store_vote *v, const aq_store_blob *blob, aq_store_done done, void *arg) {
  sim_store *s = ctx;
  if (!s->proc->env.dead) sim_check_voted(s->node, v);
  s->plain.vote(ctx, v, blob, done, arg);
}

static void put_decided(void *ctx, const aq_store_decided *d, const aq_store_blob *blob, aq_store_done done,
                        void *arg) {
  sim_store *s = ctx;
  if (!s->proc->env.dead) sim_check_decided(s->node, d);
  s->plain.decided(ctx, d, blob, done, arg);
}

/* The others end by themselves. */
static void put_over(void *ctx, const uint8_t pubkey[48], aq_duty duty) {
  const sim_store *s = ctx;
  if (duty.type == AQ_DUTY_EXIT) s->plain.over(ctx, pubkey, duty);
}

void sim_store_open(sim_store *s, fake_disk *d, sim_proc *proc, sim_node *node, bool client) {
  *s = (sim_store){.proc = proc, .node = node, .client = client};
  fake_store_open(
      &s->fake, d, &proc->env.env,
      &(fake_store_hooks){.arg = s, .delay_ns = delay_ns, .commit = commit, .wrote = wrote, .applied = applied});
  s->plain = s->fake.port;
  s->fake.port.vote = put_vote, s->fake.port.decided = put_decided, s->fake.port.over = put_over;
}

void sim_store_close(sim_store *s, bool killed) {
  size_t cnt = fake_store_waiting(&s->fake), written = 0;
  bool lands = killed && sim_chance(s->proc->w, 500);
  for (; lands && written < cnt; written += lands) lands = !sim_chance(s->proc->w, 200);
  fake_store_close(&s->fake, killed ? written : SIZE_MAX, killed ? FAKE_CLOSE_FAILS : FAKE_CLOSE_ANSWERS);
}

bool sim_disk_decision(aq_bytes *value, const fake_disk *d, aq_duty duty) {
  const aq_store_decided *decided = fake_disk_decided(d, duty);
  const aq_store_blob *blob = decided ? fake_disk_blob(d, duty, decided->hash) : NULL;
  if (blob) *value = blob->value;
  return blob != NULL;
}
