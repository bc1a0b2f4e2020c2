/* Own partial signatures across a restart: what the store keeps of each, and how they go out once more. They take the
   way of a validator client's post, with all of its checks. */
#include <stdlib.h>

#include "base/log.h"
#include "cluster/pubkeys.h"
#include "flow/workflow_internal.h"

enum {
  KEPT_LEN_MAX = 64 << 10, /* one record's; a longer object is not kept */
  RESUMED_MAX = 1 << 16    /* at a start */
};

typedef struct {
  aq_list link;
  aq_duty duty;
  aq_partial p;
  uint8_t sig[96];
  bool ready; /* p is whole: the rest of it was agreed on, or was kept with it */
  aq_arena arena;
} resumed;

/* The object is that of the decision, which the store has too: a block would be there twice. */
static bool is_agreed(aq_duty_type type) { return aq_duty_is(type, AQ_DF_AGREED); }

void aq_workflow_keep(aq_buf *out, const aq_signed_data *d) {
  *out = AQ_BUF(KEPT_LEN_MAX);
  if (is_agreed(d->duty))
    aq_buf_put(out, d->sig, sizeof d->sig);
  else if (aq_signed_encode(out, d) != AQ_OK || out->failed)
    aq_buf_reset(out);
}

static void drop(resumed *r) {
  aq_list_remove(&r->link);
  aq_arena_free(&r->arena);
  free(r);
}

static bool over(const aq_workflow *w, aq_duty duty) {
  return aq_duty_deadline_ns(w->cfg.chain, duty) <= aq_now_ns(w->cfg.env);
}

/* One that does not decode is left out: who signed it may post it again. */
static bool decode(resumed *r, aq_bytes in) {
  if (is_agreed(r->duty.type)) {
    if (in.len != sizeof r->sig) return false;
    memcpy(r->sig, in.ptr, sizeof r->sig);
    return true;
  }
  aq_arena_init(&r->arena, (size_t)4 * KEPT_LEN_MAX);
  aq_bytes copy = in.len <= KEPT_LEN_MAX ? aq_arena_copy(&r->arena, in) : aq_bytes_of(NULL, 0);
  r->ready = copy.ptr && aq_signed_decode(&r->p.data, &r->arena, r->duty.type, copy) == AQ_OK;
  return r->ready;
}

static void on_partial(void *arg, const aq_store_partial *in) {
  aq_workflow *w = arg;
  int64_t validator = aq_pubkeys_index(&w->validators, w->cfg.lock, in->pubkey);
  bool wanted = validator >= 0 && aq_duty_type_valid(in->duty.type) && !over(w, in->duty);
  resumed *r = wanted && w->resumed_cnt < RESUMED_MAX ? calloc(1, sizeof *r) : NULL;
  if (!r) return;
  r->duty = in->duty;
  r->p.validator = (uint32_t)validator;
  aq_list_push(&w->resumed, &r->link);
  w->resumed_cnt++;
  if (!decode(r, in->partial)) drop(r);
}

void aq_workflow_recall(aq_workflow *w, const aq_sign_key *key, const aq_signed_data *agreed) {
  AQ_LIST_EACH(&w->resumed, r, resumed, link) {
    if (r->ready || !aq_duty_eq(r->duty, key->duty) || r->p.validator != key->validator) continue;
    aq_arena_init(&r->arena, AQ_WORKFLOW_OBJECT_MAX);
    r->ready = aq_signed_with_sig(&r->p.data, &r->arena, agreed, r->sig) == AQ_OK;
    if (!r->ready) drop(r);
  }
}

void aq_workflow_resend(aq_workflow *w, aq_duty duty) {
  uint32_t cnt = 0, max = 0;
  AQ_LIST_EACH(&w->resumed, r, resumed, link) max += r->ready && aq_duty_eq(r->duty, duty);
  aq_partial *p = max ? calloc(max, sizeof *p) : NULL;
  if (!p) return;
  AQ_LIST_EACH(&w->resumed, r, resumed, link) {
    if (r->ready && aq_duty_eq(r->duty, duty)) p[cnt++] = r->p;
  }
  AQ_LOG(AQ_LOG_INFO, "resume", AQ_STR("duty", aq_duty_name(duty.type)), AQ_UINT("partials", cnt),
         AQ_UINT("slot", duty.slot));
  aq_workflow_submit(w, duty, p, cnt, NULL, NULL);
  AQ_LIST_EACH(&w->resumed, r, resumed, link) {
    if ((r->ready && aq_duty_eq(r->duty, duty)) || over(w, r->duty)) drop(r);
  }
  free(p);
}

static bool next_ready(const aq_workflow *w, aq_duty *out) {
  AQ_LIST_EACH(&w->resumed, r, resumed, link) {
    *out = r->duty;
    if (r->ready) return true;
  }
  return false;
}

aq_status aq_workflow_resume(aq_workflow *w) {
  const aq_store_visitor visitor = {.arg = w, .partial = on_partial};
  aq_status st = w->cfg.store->load(w->cfg.store->ctx, 0, &visitor); /* all, as the votes */
  for (aq_duty duty; st == AQ_OK && next_ready(w, &duty);) aq_workflow_resend(w, duty);
  return st;
}

void aq_workflow_resume_stop(aq_workflow *w) { AQ_LIST_EACH(&w->resumed, r, resumed, link) drop(r); }
