/* A task a duty, an item a request: what is common to all duties. What each asks is in fetcher_requests.c. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "flow/fetcher_internal.h"

#define CUT_AFTER_NS AQ_MILLIS(500) /* after the trigger: core.md 7.2, 14.1 */

_Static_assert((int)AQ_FETCH_VALUE_MAX <= (int)AQ_BN_BODY_MAX, "the client reads whatever the fetcher takes");

static void try_task(void *arg);

static void item_stop(aq_fetch_item *it) {
  if (it->call_id) aq_bn_cancel(it->task->f->cfg.bn, it->call_id);
  it->call_id = 0;
  if (it->sig_wait.fn) aq_aggsigdb_cancel(&it->sig_wait);
  if (it->data_wait.fn) aq_dutydb_cancel(&it->data_wait);
  it->sig_wait.fn = NULL;
  it->data_wait.fn = NULL;
}

static void task_free(aq_fetch_task *t) {
  const aq_env *env = t->f->cfg.env;
  for (uint32_t i = 0; i < t->item_cnt; i++) {
    item_stop(&t->item[i]);
    aq_buf_free(&t->item[i].value);
  }
  aq_timer_cancel(env, &t->timer);
  aq_timer_cancel(env, &t->cut_timer);
  aq_list_remove(&t->link);
  t->f->task_cnt--;
  free(t->item_of);
  free(t->item);
  free(t->def);
  free(t);
}

/* ---- the set ---- */

static int by_pubkey(const void *a, const void *b) {
  return memcmp(((const aq_unsigned *)a)->pubkey, ((const aq_unsigned *)b)->pubkey, 48);
}

/* Encodes each definition's value; the views are set when the buffer has its final place. */
static aq_status encode_set(aq_fetch_task *t, aq_buf *all, aq_unsigned *entry, uint32_t *cnt) {
  for (uint32_t i = 0; i < t->def_cnt; i++) {
    const aq_fetch_item *it = &t->item[t->item_of[i]];
    if (it->none) continue;
    const aq_unsigned_data d = {.duty = t->duty.type,
                                .fork = it->fork,
                                .blinded = it->blinded,
                                .type = it->type,
                                .value = aq_buf_bytes(&it->value),
                                .attester = t->def[i].attester};
    size_t from = all->len;
    aq_status st = aq_unsigned_encode(all, &d);
    if (st != AQ_OK) return st;
    memcpy(entry[*cnt].pubkey, t->f->cfg.pubkey[t->def[i].validator], 48);
    entry[(*cnt)++].data = aq_bytes_of(NULL, all->len - from);
  }
  const uint8_t *at = all->ptr;
  for (uint32_t i = 0; i < *cnt; i++) {
    entry[i].data.ptr = at;
    at += entry[i].data.len;
  }
  qsort(entry, *cnt, sizeof *entry, by_pubkey);
  return aq_buf_status(all);
}

static void deliver(aq_fetch_task *t) {
  const aq_fetcher_cfg *cfg = &t->f->cfg;
  aq_buf all = AQ_BUF(2 * (size_t)AQ_FETCH_VALUE_MAX);
  aq_unsigned *entry = calloc(t->def_cnt, sizeof *entry);
  AQ_ASSERT(entry);
  aq_unsigned_set set = {entry, 0};
  aq_status st = encode_set(t, &all, entry, &set.cnt);
  aq_duty duty = t->duty;
  task_free(t);
  if (st != AQ_OK)
    cfg->failed(cfg->arg, duty, st, "the fetched data cannot be encoded", true);
  else if (set.cnt > 0)
    cfg->fetched(cfg->arg, duty, &set);
  free(entry);
  aq_buf_free(&all);
}

/* ---- tries ---- */

static void try_end(aq_fetch_task *t) {
  const aq_fetcher_cfg *cfg = &t->f->cfg;
  uint64_t now_ns = aq_now_ns(cfg->env), pause_ns = aq_retry_pause_ns(cfg->env, t->tries);
  if (t->st == AQ_OK && now_ns <= t->deadline_ns) {
    deliver(t);
    return;
  }
  if (t->st == AQ_OK) {
    t->st = AQ_E_STALE;
    memcpy(t->why, "too late", sizeof "too late");
  }
  bool final = t->final || now_ns > t->deadline_ns || t->deadline_ns - now_ns < pause_ns;
  aq_duty duty = t->duty;
  aq_status st = t->st;
  char why[AQ_FAILURE_TEXT_MAX];
  memcpy(why, t->why, sizeof why);
  if (final) {
    task_free(t);
  } else {
    t->tries++;
    aq_timer_after(cfg->env, &t->timer, pause_ns, try_task, t);
  }
  cfg->failed(cfg->arg, duty, st, why, final);
}

static bool cuts(const aq_fetch_task *t) {
  return aq_duty_of(t->duty.type)->data != AQ_DUTY_UNKNOWN &&
         aq_now_ns(t->f->cfg.env) >= aq_duty_start_ns(t->f->cfg.chain, t->duty) + CUT_AFTER_NS;
}

/* Once something is there, those who still wait for their validator are left out: the cluster decides a whole set at
   once. */
static void cut_off(void *arg) {
  aq_fetch_task *t = arg;
  bool some = false;
  for (uint32_t i = 0; i < t->item_cnt; i++) some |= t->item[i].got && !t->item[i].none;
  for (uint32_t i = 0; some && i < t->item_cnt; i++) {
    aq_fetch_item *it = &t->item[i];
    if (!it->open || !it->waiting) continue;
    item_stop(it);
    it->open = it->waiting = false;
    it->got = it->none = true;
    t->open--;
  }
  if (some && t->open == 0) try_end(t);
}

void aq_fetch_end(aq_fetch_item *it, aq_status st, bool final, const char *why) {
  aq_fetch_task *t = it->task;
  AQ_ASSERT(it->open);
  it->open = it->waiting = false;
  it->got = st == AQ_OK;
  if (st != AQ_OK && (t->st == AQ_OK || final)) {
    t->st = st;
    t->final |= final;
    aq_buf text = AQ_BUF(AQ_FAILURE_TEXT_MAX - 1);
    aq_buf_put_str(&text, why);
    memcpy(t->why, aq_buf_cstr(&text), text.len + 1);
    aq_buf_free(&text);
  }
  if (--t->open == 0)
    try_end(t);
  else if (cuts(t))
    cut_off(t);
}

void aq_fetch_failed(aq_fetch_item *it, aq_status st, const aq_bn_answer *ans) {
  char why[AQ_FAILURE_TEXT_MAX];
  aq_failure_text(why, st, ans);
  aq_failure kind = aq_failure_of(st, ans);
  aq_fetch_end(it, st, kind == AQ_FAILURE_FINAL || kind == AQ_FAILURE_MEDIA, why);
}

static void start_item(aq_fetch_item *it) {
  aq_buf_reset(&it->value);
  it->none = it->resent = false;
  const aq_fetch_ops *o = aq_fetch_ops_of(it->task->duty.type);
  if (o->start)
    o->start(it);
  else
    aq_fetch_end(it, AQ_E_UNSUPPORTED, true, "this duty type is not fetched");
}

static void try_task(void *arg) {
  aq_fetch_task *t = arg;
  t->st = AQ_OK;
  t->open = 1; /* ours: items may end at once */
  for (uint32_t i = 0; i < t->item_cnt; i++) {
    t->item[i].open = !t->item[i].got;
    if (t->item[i].open) t->open++;
  }
  for (uint32_t i = 0; i < t->item_cnt; i++) {
    if (t->item[i].open) start_item(&t->item[i]);
  }
  if (--t->open == 0)
    try_end(t);
  else if (cuts(t))
    cut_off(t);
}

/* ---- tasks ---- */

static void make_items(aq_fetch_task *t) {
  const aq_chain *chain = t->f->cfg.chain;
  aq_fork fork = aq_chain_fork_at(chain, aq_epoch_of(&chain->clock, t->duty.slot));
  bool shared = aq_fetch_ops_of(t->duty.type)->by_committee;
  for (uint32_t i = 0; i < t->def_cnt; i++) {
    uint64_t committee = aq_fork_of(fork)->committee_bits && shared ? 0 : t->def[i].attester.committee_index;
    uint32_t at = t->item_cnt;
    for (uint32_t k = 0; shared && k < t->item_cnt; k++) {
      if (t->item[k].committee == committee) at = k;
    }
    t->item_of[i] = at;
    if (at < t->item_cnt) continue;
    t->item[t->item_cnt++] =
        (aq_fetch_item){.task = t, .def = i, .committee = committee, .value = AQ_BUF(AQ_FETCH_VALUE_MAX)};
  }
}

void aq_fetcher_fetch(aq_fetcher *f, aq_duty duty, const aq_duty_defs *defs) {
  AQ_LIST_EACH(&f->tasks, other, aq_fetch_task, link) {
    if (aq_duty_eq(other->duty, duty)) return;
  }
  if (f->task_cnt >= AQ_FETCH_TASKS_MAX) {
    f->cfg.failed(f->cfg.arg, duty, AQ_E_LIMIT, "too many duties are being fetched", true);
    return;
  }
  if (defs->cnt == 0) return;
  aq_fetch_task *t = calloc(1, sizeof *t);
  AQ_ASSERT(t);
  *t = (aq_fetch_task){.f = f, .duty = duty, .def_cnt = defs->cnt};
  t->deadline_ns = aq_duty_deadline_ns(f->cfg.chain, duty);
  t->def = calloc(defs->cnt, sizeof *t->def);
  t->item = calloc(defs->cnt, sizeof *t->item);
  t->item_of = calloc(defs->cnt, sizeof *t->item_of);
  AQ_ASSERT(t->def && t->item && t->item_of);
  memcpy(t->def, defs->item, defs->cnt * sizeof *t->def);
  for (uint32_t i = 0; i < defs->cnt; i++) AQ_ASSERT(t->def[i].validator < f->cfg.validator_cnt);
  make_items(t);
  aq_list_push(&f->tasks, &t->link);
  f->task_cnt++;
  aq_timer_after(f->cfg.env, &t->timer, 0, try_task, t);
  if (aq_duty_of(duty.type)->data != AQ_DUTY_UNKNOWN) {
    aq_timer_set(f->cfg.env, &t->cut_timer, aq_duty_start_ns(f->cfg.chain, duty) + CUT_AFTER_NS, cut_off, t);
  }
}

aq_fetcher *aq_fetcher_new(const aq_fetcher_cfg *cfg) {
  AQ_ASSERT(cfg->fetched && cfg->failed);
  aq_fetcher *f = calloc(1, sizeof *f);
  AQ_ASSERT(f);
  f->cfg = *cfg;
  aq_list_init(&f->tasks);
  return f;
}

void aq_fetcher_free(aq_fetcher *f) {
  if (!f) return;
  for (aq_list *first; (first = aq_list_pop(&f->tasks));) task_free(AQ_CONTAINER(first, aq_fetch_task, link));
  free(f);
}
