/* The rules of consensus, judged from outside on what nodes release, accept and decide; the first broken one ends
   the run. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/qbft/world.h"

static bool same(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  return aq_hash_eq(&a->value, &b->value) && a->prepared_round == b->prepared_round &&
         aq_hash_eq(&a->prepared_value, &b->prepared_value);
}

/* consensus.md I4: once a quorum committed (r, v), liars counted as committing whatever helps, no later proposal may
   carry anything else. */
static void note_commit(world *w, uint32_t from, const aq_qbft_msg *m) {
  lock *l = NULL;
  for (uint32_t i = 0; i < w->lock_cnt && !l; i++) {
    if (w->locks[i].round == m->round && aq_hash_eq(&w->locks[i].value, &m->value)) l = &w->locks[i];
  }
  if (!l) {
    if (w->lock_cnt == WORLD_LOCKS_MAX) return;
    l = &w->locks[w->lock_cnt++];
    *l = (lock){.round = m->round, .value = m->value};
    for (uint32_t i = 0; i < w->n; i++) l->committed |= (uint32_t)w->node[i].liar << i;
  }
  l->committed |= UINT32_C(1) << from;
}

void check_released(world *w, uint32_t from, const aq_qbft_msg *m, bool again) {
  node *n = &w->node[from];
  for (uint32_t i = 0; i < n->sent_cnt; i++) {
    const aq_qbft_msg *old = &n->sent[i];
    if (old->type == m->type && old->round == m->round) {
      if (!same(old, m)) world_fail(w, "S1: node %u sent two contents of %s", from, world_describe(m));
      return;
    }
    if (again) continue;
    bool falls =
        old->type == m->type ? m->round < old->round : old->type == AQ_QBFT_ROUND_CHANGE && m->round < old->round;
    if (falls) world_fail(w, "S3: node %u sent %s after a later round", from, world_describe(m));
    if (old->type == AQ_QBFT_ROUND_CHANGE && m->type == AQ_QBFT_ROUND_CHANGE && m->prepared_round < old->prepared_round)
      world_fail(w, "S2: node %u hides its certificate in %s", from, world_describe(m));
    if (old->type == AQ_QBFT_COMMIT && m->type == AQ_QBFT_ROUND_CHANGE && m->prepared_round < old->round)
      world_fail(w, "S2: node %u hides its COMMIT in %s", from, world_describe(m));
  }
  if (n->sent_cnt == n->sent_cap) {
    n->sent_cap = n->sent_cap ? 2 * n->sent_cap : 16;
    n->sent = realloc(n->sent, n->sent_cap * sizeof *n->sent);
    AQ_ASSERT(n->sent);
  }
  n->sent[n->sent_cnt++] = *m;
  if (m->type == AQ_QBFT_PRE_PREPARE) w->proposed[world_value_number(&m->value)] = true;
  if (m->type == AQ_QBFT_COMMIT) note_commit(w, from, m);
}

void check_lie(world *w, const aq_qbft_msg *m) {
  if (m->type == AQ_QBFT_PRE_PREPARE) w->proposed[world_value_number(&m->value)] = true;
}

void check_accepted(world *w, uint32_t at, const aq_qbft_msg *m) {
  for (uint32_t i = 0; i < w->lock_cnt; i++) {
    const lock *l = &w->locks[i];
    if ((uint32_t)__builtin_popcount(l->committed) < w->quorum || m->round <= l->round) continue;
    if (!aq_hash_eq(&l->value, &m->value))
      world_fail(w, "I4: node %u takes %s against the lock of round %lld", at, world_describe(m), (long long)l->round);
  }
}

void check_unjust(world *w, uint32_t at, const aq_qbft_msg *m, bool honest) {
  w->out->unjust++;
  if (honest) world_fail(w, "I5/I6: node %u drops honest %s", at, world_describe(m));
}

void check_decided(world *w, uint32_t at, const aq_qbft_msg *d) {
  uint32_t v = world_value_number(&d->value);
  if (w->any_decided && !aq_hash_eq(&w->decided_value, &d->value))
    world_fail(w, "I1: node %u decides value %u, another node value %u", at, v, world_value_number(&w->decided_value));
  w->any_decided = true;
  w->decided_value = d->value;
  if (!w->proposed[v]) world_fail(w, "I3: node %u decides value %u, which nobody proposed", at, v);
  if (v >= WORLD_INVALID_FROM) world_fail(w, "I3: node %u decides the invalid value %u", at, v);
  if (w->all_honest && !w->input[v]) world_fail(w, "I3: node %u decides value %u, no node's input", at, v);
  if (w->node[at].decided) world_fail(w, "I2: node %u decides twice", at);
  w->node[at].decided = true;
  w->node[at].decided_round = d->round;
  w->node[at].decided_at = w->now;
  if (d->round > w->out->round) w->out->round = d->round;
  uint32_t seen = 0;
  for (uint32_t i = 0; i < d->just_cnt; i++) {
    const aq_qbft_msg *c = &d->just[i];
    if (c->type == AQ_QBFT_COMMIT && c->round == d->round && aq_hash_eq(&c->value, &d->value))
      seen |= UINT32_C(1) << c->from;
  }
  if ((uint32_t)__builtin_popcount(seen) < w->quorum)
    world_fail(w, "S4: node %u decides without a quorum of COMMITs", at);
}

static uint32_t beyond(const int64_t *told, uint32_t n, int64_t round) {
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < n; i++) cnt += told[i] >= round;
  return cnt;
}

/* consensus.md I10: f+1 nodes, one of them honest, are there or further when a node leaves its round because others
   did. */
void check_jump(world *w, uint32_t at, int64_t from, int64_t to) {
  uint32_t cnt = beyond(w->node[at].told, w->n, to);
  if (cnt <= w->faulty)
    world_fail(w, "I10: node %u goes from round %lld to %lld after %u others", at, (long long)from, (long long)to, cnt);
}

/* consensus.md I10: and then it does leave it. */
void check_followed(world *w, uint32_t at) {
  const node *n = &w->node[at];
  int64_t told[WORLD_NODES_MAX], round = aq_qbft_round(n->q);
  memcpy(told, n->told_honestly, sizeof told);
  told[at] = 0;
  if (!aq_qbft_decided(n->q) && beyond(told, w->n, round + 1) > w->faulty)
    world_fail(w, "I10: node %u stays in round %lld, which f+1 honest ones left", at, (long long)round);
}

/* consensus.md I8: the journal alone gives back the round and the prepared state. */
void check_restored(world *w, uint32_t at) {
  const node *n = &w->node[at];
  int64_t round = 1, commit = 0;
  bool decided = false;
  for (uint32_t i = 0; i < n->rec_cnt; i++) {
    const aq_qbft_msg *m = &n->rec[i].p->m;
    if (m->type == AQ_QBFT_DECIDED) {
      decided = true;
      continue;
    }
    if (m->round > round) round = m->round;
    if (m->type == AQ_QBFT_COMMIT && m->round > commit) commit = m->round;
  }
  if (decided != (aq_qbft_decided(n->q) != NULL)) world_fail(w, "I8: node %u lost its decision in a restart", at);
  if (!decided && aq_qbft_round(n->q) != round)
    world_fail(w, "I8: node %u restarts in round %lld, journal says %lld", at, (long long)aq_qbft_round(n->q),
               (long long)round);
}

void check_end(world *w) {
  uint32_t voters = 0;
  for (uint32_t i = 0; i < w->n; i++) voters += !w->node[i].liar && !w->node[i].away && !w->node[i].lost_store;
  if (voters < w->quorum) return;
  for (uint32_t i = 0; i < w->n; i++) {
    const node *n = &w->node[i];
    if (n->liar || n->away || n->lost_store) continue; /* who abstains cannot ask, consensus.md 7.3 */
    if (!n->decided) {
      world_fail(w, "I9: node %u has not decided %llu ms after the network healed", i,
                 (unsigned long long)((w->end_at - w->heal_at) / WORLD_MS));
      return;
    }
    uint64_t after = n->decided_at > w->heal_at ? (n->decided_at - w->heal_at) / WORLD_MS : 0;
    if (after > w->out->after_heal_ms) w->out->after_heal_ms = after;
  }
}
