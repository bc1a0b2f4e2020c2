/* Own exits wait for the other operators over any time, and a peer may have been cut off, down or in another epoch by
   its clock for longer than a message is repeated. So they go to all peers once an epoch until a beacon node has taken
   the exit or the chain has it; who has a share already takes it for nothing new. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "flow/workflow_internal.h"

enum { LEAVING_MAX = 1024, DATA_MAX = 4096 }; /* shares; the oldest goes */

typedef struct {
  aq_list link;
  aq_duty duty;
  uint32_t validator;
  bool told; /* in this round */
  aq_parsig p;
  uint8_t data[];
} leaving;

/* What is dropped has left the list, which the analyser does not see. */
/* NOLINTBEGIN(clang-analyzer-unix.Malloc) */
static void drop(aq_workflow *w, leaving *l) {
  aq_list_remove(&l->link);
  w->leaving_cnt--;
  free(l);
}

static void send_again(void *arg);

static void arm(aq_workflow *w) {
  const aq_clock *c = &w->cfg.chain->clock;
  if (w->leave_again.pos == 0)
    aq_timer_after(w->cfg.env, &w->leave_again, c->slots_per_epoch * c->slot_ns, send_again, w);
}

void aq_workflow_left(aq_workflow *w, aq_duty duty, uint32_t validator) {
  AQ_LIST_EACH(&w->leaving, l, leaving, link) {
    if (aq_duty_eq(l->duty, duty) && l->validator == validator) drop(w, l);
  }
}

void aq_workflow_leaving(aq_workflow *w, aq_duty duty, uint32_t validator, const aq_parsig *p) {
  if (duty.type != AQ_DUTY_EXIT || p->data.len > DATA_MAX) return;
  aq_workflow_left(w, duty, validator);
  if (w->leaving_cnt == LEAVING_MAX) drop(w, AQ_CONTAINER(w->leaving.next, leaving, link));
  leaving *l = calloc(1, sizeof *l + p->data.len);
  AQ_ASSERT(l);
  l->duty = duty, l->validator = validator, l->p = *p;
  memcpy(l->data, p->data.ptr, p->data.len);
  l->p.data = aq_bytes_of(l->data, p->data.len);
  aq_list_push(&w->leaving, &l->link);
  w->leaving_cnt++;
  arm(w);
}

/* By this exit or another one: a node that does not combine learns it from the chain alone. */
static bool gone(const aq_workflow *w, uint32_t validator) {
  const aq_validator_state *v = aq_scheduler_validator(w->scheduler, validator);
  return v && v->known && !v->ongoing && !v->pending;
}

static void forget_gone(aq_workflow *w) {
  const aq_store *store = w->cfg.store;
  AQ_LIST_EACH(&w->leaving, l, leaving, link) {
    if (!gone(w, l->validator)) continue;
    if (store->over) store->over(store->ctx, w->pubkey[l->validator], l->duty);
    drop(w, l);
  }
}

/* One message a duty, as a set has one entry a validator. */
static void send_again(void *arg) {
  aq_workflow *w = arg;
  forget_gone(w);
  aq_parsig *p = calloc((size_t)w->leaving_cnt + 1, sizeof *p);
  AQ_ASSERT(p);
  AQ_LIST_EACH(&w->leaving, l, leaving, link) l->told = false;
  AQ_LIST_EACH(&w->leaving, first, leaving, link) {
    uint32_t cnt = 0;
    if (first->told) continue;
    AQ_LIST_EACH(&w->leaving, l, leaving, link) {
      if (!aq_duty_eq(l->duty, first->duty)) continue;
      l->told = true;
      p[cnt++] = l->p;
    }
    aq_parsigex_broadcast(w->parsigex, first->duty, &(aq_parsig_set){p, cnt});
  }
  free(p);
  if (w->leaving_cnt > 0) arm(w);
}

void aq_workflow_exit_stop(aq_workflow *w) {
  aq_timer_cancel(w->cfg.env, &w->leave_again);
  AQ_LIST_EACH(&w->leaving, l, leaving, link) drop(w, l);
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */
