/* fake/protection.h - the slashing protection of a validator client in memory and virtual time: refuses what
   contradicts an earlier record of the key, answers a millisecond later. Header only; for tests. */
#ifndef AQ_FAKE_PROTECTION_H
#define AQ_FAKE_PROTECTION_H

#include "fake/env.h"
#include "port/store.h"

#include <stdlib.h>

enum { PROTECTION_MAX = 1024 };

typedef struct {
  aq_store store; /* pass &protection.store to the client */
  fake_env *env;
  aq_status disk; /* what every write ends with */
  aq_store_sign record[PROTECTION_MAX];
  size_t cnt;
  uint64_t pruned_slot; /* of the latest prune */
  uint32_t prunes, backups;
  bool pinned;
  uint8_t chain[32]; /* when pinned */
} fake_protection;

typedef struct {
  aq_timer timer;
  aq_store_done done;
  void *arg;
  aq_status st;
} protection_commit_;

static inline void protection_done_(void *arg) {
  protection_commit_ *c = arg;
  c->done(c->arg, c->st);
  free(c);
}

static inline bool protection_against_(const aq_store_sign *r, const aq_store_sign *s) {
  if (memcmp(r->pubkey, s->pubkey, 48) != 0 || r->duty.type != s->duty.type) return false;
  bool same = memcmp(r->root, s->root, 32) == 0;
  if (s->duty.type == AQ_DUTY_PROPOSER) return r->duty.slot == s->duty.slot && !same;
  return (r->target_epoch == s->target_epoch && !same) ||
         (r->source_epoch < s->source_epoch && s->target_epoch < r->target_epoch) ||
         (s->source_epoch < r->source_epoch && r->target_epoch < s->target_epoch);
}

static inline void protection_sign_(void *ctx, const aq_store_sign *s, uint32_t cnt, aq_store_done done, void *arg) {
  fake_protection *p = ctx;
  protection_commit_ *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  *c = (protection_commit_){.done = done, .arg = arg, .st = p->disk};
  for (uint32_t k = 0; k < cnt && c->st == AQ_OK; k++) {
    for (size_t i = 0; i < p->cnt; i++) {
      if (protection_against_(&p->record[i], &s[k])) c->st = AQ_E_SLASH;
    }
    if (p->cnt == PROTECTION_MAX) c->st = AQ_E_LIMIT;
    if (c->st == AQ_OK) p->record[p->cnt++] = s[k];
  }
  aq_timer_after(&p->env->env, &c->timer, AQ_MILLIS(1), protection_done_, c);
}

static inline void protection_prune_(void *ctx, uint64_t before_slot) {
  fake_protection *p = ctx;
  p->pruned_slot = before_slot;
  p->prunes++;
}

static inline void protection_backup_(void *ctx) { ((fake_protection *)ctx)->backups++; }

static inline aq_status protection_pin_(void *ctx, const uint8_t root[32], aq_err *err) {
  fake_protection *p = ctx;
  if (p->pinned && memcmp(p->chain, root, 32) != 0) return aq_fail(err, AQ_E_UNKNOWN, "another chain");
  memcpy(p->chain, root, 32);
  p->pinned = true;
  return AQ_OK;
}

static inline void fake_protection_init(fake_protection *p, fake_env *env) {
  p->env = env, p->disk = AQ_OK, p->cnt = 0, p->prunes = p->backups = 0, p->pinned = false;
  p->store = (aq_store){.ctx = p,
                        .sign = protection_sign_,
                        .prune = protection_prune_,
                        .backup = protection_backup_,
                        .pin = protection_pin_};
}

#endif
