/* Answers of the beacon node by kind and epoch: kept, compared, handed to the API, made into definitions. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "schedule/scheduler_internal.h"

enum { ANSWER_BASE = 1 << 20, ANSWER_EACH = 2048, SYNC_POSITIONS_MAX = 4096 };

typedef struct {
  const char *endpoint, *method, *path; /* of the request */
  const char *cache;                    /* label of app_cache_* */
} kind_info;

static const kind_info kinds[AQ_SCHED_KINDS] = {
    {"attester_duties", "POST", "/eth/v1/validator/duties/attester/", "attester_duties"},
    {"proposer_duties", "GET", "/eth/v1/validator/duties/proposer/", "proposer_duties"},
    {"sync_committee_duties", "POST", "/eth/v1/validator/duties/sync/", "sync_committee_duties"}};

/* ---- definitions ---- */

static aq_sched_epoch *epoch_find(aq_scheduler *s, uint64_t epoch) {
  for (size_t i = 0; i < AQ_SCHED_EPOCHS; i++) {
    if (s->epoch[i].used && s->epoch[i].epoch == epoch) return &s->epoch[i];
  }
  return NULL;
}

const aq_sched_epoch *aq_sched_epoch_of(const aq_scheduler *s, uint64_t epoch) {
  for (size_t i = 0; i < AQ_SCHED_EPOCHS; i++) {
    if (s->epoch[i].used && s->epoch[i].epoch == epoch) return &s->epoch[i];
  }
  return NULL;
}

static void defs_free(aq_sched_defs *d) {
  free(d->item);
  free(d->slot);
  *d = (aq_sched_defs){0};
}

static void epoch_drop(aq_sched_epoch *e) {
  for (size_t k = 0; k < AQ_SCHED_KINDS; k++) defs_free(&e->defs[k]);
  *e = (aq_sched_epoch){0};
}

/* A free place, or that of the oldest epoch. */
static aq_sched_epoch *epoch_get(aq_scheduler *s, uint64_t epoch) {
  aq_sched_epoch *e = epoch_find(s, epoch), *oldest = &s->epoch[0];
  if (e) return e;
  for (size_t i = 0; i < AQ_SCHED_EPOCHS && !e; i++) {
    if (!s->epoch[i].used) e = &s->epoch[i];
    if (s->epoch[i].epoch < oldest->epoch) oldest = &s->epoch[i];
  }
  if (!e) {
    e = oldest;
    epoch_drop(e);
  }
  e->used = true;
  e->epoch = epoch;
  return e;
}

/* Proposer duties of a coming epoch are not final, and some beacon nodes refuse to guess: they are needed once it
   runs. Sync duties never hold an epoch up. */
bool aq_sched_resolved(const aq_scheduler *s, uint64_t epoch) {
  const aq_sched_epoch *e = aq_sched_epoch_of(s, epoch);
  return e && e->have[AQ_DUTIES_ATTESTER] && (e->have[AQ_DUTIES_PROPOSER] || epoch > aq_sched_epoch_now(s));
}

static void take_sync(aq_duty_def *def, yyjson_val *item) {
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(item, "validator_sync_committee_indices"));
  for (yyjson_val *v; def->sync_position_cnt < AQ_COUNT(def->sync_positions) && (v = yyjson_arr_iter_next(&it));) {
    uint64_t position;
    if (aq_json_val_u64(v, &position) && position <= UINT32_MAX)
      def->sync_positions[def->sync_position_cnt++] = (uint32_t)position;
  }
}

typedef struct {
  uint64_t slot;
  aq_duty_def def;
} slot_def;

static int by_slot(const void *a, const void *b) {
  const slot_def *x = a, *y = b;
  if (x->slot != y->slot) return x->slot < y->slot ? -1 : 1;
  return x->def.validator < y->def.validator ? -1 : x->def.validator > y->def.validator;
}

/* The items were checked when the answer was restricted. */
static void take_item(slot_def *out, const aq_scheduler *s, aq_duties_kind kind, yyjson_val *item) {
  aq_attester_duty *a = &out->def.attester;
  aq_json_u64(item, "validator_index", &out->def.validator_index);
  out->def.validator = (uint32_t)aq_scheduler_by_index(s, out->def.validator_index);
  memcpy(a->pubkey, s->cfg.pubkey[out->def.validator], 48);
  a->validator_index = out->def.validator_index;
  if (kind == AQ_DUTIES_SYNC) {
    take_sync(&out->def, item);
    return;
  }
  aq_json_u64(item, "slot", &out->slot);
  a->slot = out->slot;
  aq_json_u64(item, "committee_index", &a->committee_index);
  aq_json_u64(item, "committee_length", &a->committee_length);
  aq_json_u64(item, "committees_at_slot", &a->committees_at_slot);
  aq_json_u64(item, "validator_committee_index", &a->validator_committee_index);
}

/* Definitions of a restricted answer; of two for the same (duty, validator) the first stays. */
static aq_sched_defs defs_of(const aq_scheduler *s, aq_duties_kind kind, yyjson_val *answer) {
  yyjson_val *data = yyjson_obj_get(answer, "data");
  size_t n = yyjson_arr_size(data), cnt = 0;
  slot_def *list = calloc(n + 1, sizeof *list);
  aq_sched_defs d = {.item = calloc(n + 1, sizeof *d.item), .slot = calloc(n + 1, sizeof *d.slot)};
  AQ_ASSERT(list && d.item && d.slot);
  yyjson_arr_iter it = yyjson_arr_iter_with(data);
  for (yyjson_val *item; (item = yyjson_arr_iter_next(&it));) take_item(&list[cnt++], s, kind, item);
  qsort(list, cnt, sizeof *list, by_slot);
  for (size_t i = 0; i < cnt; i++) {
    if (i > 0 && by_slot(&list[i - 1], &list[i]) == 0) continue;
    memcpy(&d.item[d.cnt], &list[i].def, sizeof *d.item); /* with its padding: defs_eq */
    d.slot[d.cnt++] = list[i].slot;
  }
  free(list);
  if (kind == AQ_DUTIES_SYNC) {
    free(d.slot);
    d.slot = NULL;
  }
  return d;
}

static bool defs_eq(const aq_sched_defs *a, const aq_sched_defs *b) {
  if (a->cnt != b->cnt || !a->slot != !b->slot) return false;
  if (a->slot && memcmp(a->slot, b->slot, a->cnt * sizeof *a->slot) != 0) return false;
  return a->cnt == 0 || memcmp(a->item, b->item, a->cnt * sizeof *a->item) == 0;
}

static void defs_take(aq_scheduler *s, const aq_sched_duties *d) {
  aq_sched_epoch *e = epoch_find(s, d->epoch);
  if (!e || d->guess) return; /* asked by the API only; not certain */
  aq_sched_defs fresh = defs_of(s, d->kind, yyjson_doc_get_root(d->doc));
  bool had = e->have[d->kind], same = had && defs_eq(&fresh, &e->defs[d->kind]);
  if (same) {
    defs_free(&fresh);
    return;
  }
  defs_free(&e->defs[d->kind]);
  e->defs[d->kind] = fresh;
  e->have[d->kind] = true;
  AQ_LOG(had ? AQ_LOG_WARN : AQ_LOG_DEBUG, had ? "duties_changed" : "duties_resolved",
         AQ_STR("kind", kinds[d->kind].cache), AQ_UINT("epoch", d->epoch), AQ_UINT("duties", fresh.cnt));
  aq_sched_epoch_changed(s, d->epoch);
}

/* ---- answers of the beacon node ---- */

/* AQ_OK: one of ours. AQ_E_UNKNOWN: of another validator. AQ_E_FORMAT: the answer cannot be believed. */
static aq_status check_item(const aq_scheduler *s, aq_duties_kind kind, uint64_t epoch, yyjson_val *item) {
  uint64_t index, slot, number;
  uint8_t pubkey[48];
  if (!aq_json_u64(item, "validator_index", &index) || !aq_json_hex(item, "pubkey", pubkey, 48)) return AQ_E_FORMAT;
  if (kind == AQ_DUTIES_SYNC) {
    yyjson_val *positions = yyjson_obj_get(item, "validator_sync_committee_indices");
    if (!yyjson_is_arr(positions) || yyjson_arr_size(positions) > SYNC_POSITIONS_MAX) return AQ_E_FORMAT;
  } else {
    if (!aq_json_u64(item, "slot", &slot) || aq_epoch_of(&s->cfg.chain->clock, slot) != epoch) return AQ_E_FORMAT;
  }
  if (kind == AQ_DUTIES_ATTESTER &&
      (!aq_json_u64(item, "committee_index", &number) || !aq_json_u64(item, "committee_length", &number) ||
       !aq_json_u64(item, "committees_at_slot", &number) || !aq_json_u64(item, "validator_committee_index", &number))) {
    return AQ_E_FORMAT;
  }
  int at = aq_scheduler_by_index(s, index);
  if (at < 0) return AQ_E_UNKNOWN;
  return memcmp(s->cfg.pubkey[at], pubkey, 48) == 0 ? AQ_OK : AQ_E_FORMAT;
}

static size_t answer_max(const aq_scheduler *s) { return ANSWER_BASE + (size_t)ANSWER_EACH * s->cfg.validator_cnt; }

/* The answer with the cluster's items only; NULL when malformed. */
static yyjson_doc *restrict_answer(const aq_scheduler *s, aq_duties_kind kind, uint64_t epoch, aq_bytes body) {
  yyjson_doc *in = aq_json_parse(body, answer_max(s), NULL), *out = NULL;
  yyjson_val *root = yyjson_doc_get_root(in), *data = yyjson_obj_get(root, "data");
  yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
  aq_status st = yyjson_is_arr(data) && doc ? AQ_OK : AQ_E_FORMAT;
  yyjson_mut_val *obj = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
  yyjson_arr_iter it = yyjson_arr_iter_with(data);
  for (yyjson_val *item; st == AQ_OK && (item = yyjson_arr_iter_next(&it));) {
    st = check_item(s, kind, epoch, item);
    if (st == AQ_OK) yyjson_mut_arr_append(list, aq_json_quoted(doc, item));
    if (st == AQ_E_UNKNOWN) st = AQ_OK;
  }
  if (st == AQ_OK) {
    uint8_t dependent[32] = {0};
    char text[67] = "0x";
    aq_json_hex(root, "dependent_root", dependent, 32);
    aq_hex_encode(text + 2, aq_bytes_of(dependent, 32));
    if (kind != AQ_DUTIES_SYNC) yyjson_mut_obj_add_strcpy(doc, obj, "dependent_root", text);
    yyjson_mut_obj_add_val(doc, obj, "data", list);
    yyjson_mut_obj_add_bool(doc, obj, "execution_optimistic",
                            yyjson_get_bool(yyjson_obj_get(root, "execution_optimistic")));
    yyjson_mut_doc_set_root(doc, obj);
    out = yyjson_mut_doc_imut_copy(doc, NULL);
  }
  yyjson_mut_doc_free(doc);
  yyjson_doc_free(in);
  return out;
}

/* ---- the cache ---- */

static void hand_on(void *arg);

static void call_end(aq_sched_duties *d, aq_sched_call *c, aq_status st) {
  d->s->call_cnt--;
  c->fn(c->arg, st, st == AQ_OK ? yyjson_doc_get_root(d->doc) : NULL);
  free(c);
}

/* Calls that come while these end wait for the next turn, unless some of these were cancelled. */
static void calls_end(aq_sched_duties *d, aq_status st) {
  size_t cnt = 0;
  AQ_LIST_EACH(&d->calls, c, aq_sched_call, link) { cnt++; }
  d->busy = true;
  for (aq_list *first; cnt-- > 0 && (first = aq_list_pop(&d->calls));)
    call_end(d, AQ_CONTAINER(first, aq_sched_call, link), st);
  d->busy = false;
}

static void duties_drop(aq_sched_duties *d) {
  if (d->call_id) aq_bn_cancel(d->s->cfg.bn, d->call_id);
  aq_timer_cancel(d->s->cfg.env, &d->timer);
  aq_list_remove(&d->link);
  d->s->cache_cnt--;
  yyjson_doc_free(d->doc);
  yyjson_doc_free(d->fresh);
  free(d);
}

static aq_sched_duties *duties_find(aq_scheduler *s, aq_duties_kind kind, uint64_t epoch) {
  AQ_LIST_EACH(&s->cache, d, aq_sched_duties, link) {
    if (d->kind == kind && d->epoch == epoch) return d;
  }
  return NULL;
}

/* Nobody waits for it and the scheduler does not live on it. */
static bool disposable(const aq_scheduler *s, const aq_sched_duties *d) {
  return aq_list_empty(&d->calls) && !d->busy && !aq_sched_epoch_of(s, d->epoch);
}

/* NULL: the cache is full of answers in use. */
static aq_sched_duties *duties_get(aq_scheduler *s, aq_duties_kind kind, uint64_t epoch) {
  aq_sched_duties *d = duties_find(s, kind, epoch);
  if (d) return d;
  AQ_LIST_EACH(&s->cache, old, aq_sched_duties, link) {
    if (s->cache_cnt >= AQ_SCHED_CACHE_MAX && disposable(s, old)) duties_drop(old);
  }
  if (s->cache_cnt >= AQ_SCHED_CACHE_MAX) return NULL;
  d = calloc(1, sizeof *d);
  AQ_ASSERT(d);
  d->s = s;
  d->kind = kind;
  d->epoch = epoch;
  aq_list_init(&d->calls);
  aq_list_push(&s->cache, &d->link);
  s->cache_cnt++;
  return d;
}

static bool good(void *arg, const aq_bn_answer *ans) {
  aq_sched_duties *d = arg;
  yyjson_doc_free(d->fresh);
  d->fresh = restrict_answer(d->s, d->kind, d->epoch, ans->body);
  return d->fresh != NULL;
}

static void deliver_soon(aq_sched_duties *d) {
  const aq_env *env = d->s->cfg.env;
  if (!aq_list_empty(&d->calls)) aq_timer_after(env, &d->timer, 0, hand_on, d);
}

/* Proposers of a coming epoch: not needed yet, and not every beacon node can tell. Lodestar 1.5.1 answers with slots
   of the epoch before, which check_item refuses. */
static bool is_guess(const aq_sched_duties *d) {
  return d->kind == AQ_DUTIES_PROPOSER && d->epoch > aq_sched_epoch_now(d->s);
}

/* Until they are fixed ahead the last block before the epoch decides. */
static bool uncertain(const aq_sched_duties *d) {
  return is_guess(d) && !aq_fork_of(aq_chain_fork_at(d->s->cfg.chain, aq_sched_epoch_now(d->s)))->proposers_ahead;
}

/* May it be handed out? A guess only before its epoch. */
static bool current(const aq_sched_duties *d) { return d->doc && !d->doubted && (!d->guess || is_guess(d)); }

/* For want of an answer what there is must do, until the next question. */
static void make_do(aq_sched_duties *d) {
  d->doubted |= !current(d);
  deliver_soon(d);
  if (!d->guess || is_guess(d)) return;
  d->guess = false;
  defs_take(d->s, d);
}

static void ask(aq_sched_duties *d);

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_sched_duties *d = arg;
  d->call_id = 0;
  if (st == AQ_OK) {
    d->doubted = false;
    d->guess = d->asked_early;
    yyjson_doc_free(d->doc);
    d->doc = d->fresh;
    d->fresh = NULL;
    if (!current(d)) { /* its epoch began meanwhile */
      ask(d);
      return;
    }
    deliver_soon(d); /* before the definitions: their users may reorganise the cache */
    defs_take(d->s, d);
    return;
  }
  AQ_LOG(is_guess(d) ? AQ_LOG_DEBUG : AQ_LOG_WARN, "duties_unknown", AQ_STR("kind", kinds[d->kind].cache),
         AQ_UINT("epoch", d->epoch), AQ_STR("err", aq_status_text(st)), AQ_INT("code", ans ? ans->code : 0));
  if (d->doc)
    make_do(d);
  else
    calls_end(d, st);
}

static void no_validators(aq_sched_duties *d) {
  static const char none[] =
      "{\"dependent_root\":\"0x0000000000000000000000000000000000000000000000000000000000000000\",\"data\":[],"
      "\"execution_optimistic\":false}";
  yyjson_doc_free(d->doc);
  d->guess = d->doubted = false;
  d->doc = yyjson_read(none, sizeof none - 1, 0);
  AQ_ASSERT(d->doc);
  deliver_soon(d);
  defs_take(d->s, d);
}

static uint32_t put_indices(aq_buf *out, const aq_scheduler *s, uint64_t epoch) {
  uint32_t cnt = 0;
  aq_buf_put_u8(out, '[');
  for (uint32_t i = 0; i < s->cfg.validator_cnt; i++) {
    if (!aq_sched_active_in(s, i, epoch)) continue;
    aq_buf_printf(out, "%s\"%llu\"", cnt++ ? "," : "", (unsigned long long)s->state[i].index);
  }
  aq_buf_put_u8(out, ']');
  return cnt;
}

static void ask(aq_sched_duties *d) {
  aq_scheduler *s = d->s;
  if (d->call_id) return;
  d->asked = true;
  d->asked_early = uncertain(d);
  if (!s->validators_known) {
    d->wanted = true;
    aq_sched_validators_refresh(s);
    return;
  }
  char path[80];
  aq_buf body = AQ_BUF(64 + (size_t)24 * s->cfg.validator_cnt);
  uint32_t cnt = put_indices(&body, s, d->epoch);
  AQ_ASSERT(!body.failed);
  snprintf(path, sizeof path, "%s%llu", kinds[d->kind].path, (unsigned long long)d->epoch);
  aq_bn_req req = {.endpoint = kinds[d->kind].endpoint,
                   .method = kinds[d->kind].method,
                   .path = path,
                   .body_max = answer_max(s),
                   .good = good,
                   .forgiving = is_guess(d)};
  if (d->kind != AQ_DUTIES_PROPOSER) req.body = aq_buf_bytes(&body);
  if (cnt > 0)
    d->call_id = aq_bn_call(s->cfg.bn, &req, answered, d);
  else
    no_validators(d);
  aq_buf_free(&body);
}

static void hand_on(void *arg) {
  aq_sched_duties *d = arg;
  if (d->doc)
    calls_end(d, AQ_OK);
  else
    ask(d); /* a reorganisation came between */
}

void aq_sched_resolve(aq_scheduler *s, uint64_t epoch, bool again) {
  bool committees = aq_fork_of(aq_chain_fork_at(s->cfg.chain, epoch))->sync_committees;
  epoch_get(s, epoch);
  for (int kind = 0; kind < AQ_SCHED_KINDS; kind++) {
    if (kind == AQ_DUTIES_SYNC && !committees) continue;
    aq_sched_duties *d = duties_get(s, (aq_duties_kind)kind, epoch);
    const aq_sched_epoch *e = aq_sched_epoch_of(s, epoch);
    if (!d || !e) continue;
    if (d->doc && !e->have[kind]) defs_take(s, d);
    if (again || (d->doc ? !current(d) : !(d->asked && is_guess(d)))) ask(d);
  }
}

static aq_sched_duties *first_wanted(aq_scheduler *s) {
  AQ_LIST_EACH(&s->cache, d, aq_sched_duties, link) {
    if (d->wanted) return d;
  }
  return NULL;
}

void aq_sched_duties_validators(aq_scheduler *s, aq_status st) {
  for (aq_sched_duties *d; (d = first_wanted(s));) { /* each step may change the cache */
    d->wanted = false;
    if (st == AQ_OK)
      ask(d);
    else
      calls_end(d, st);
  }
}

/* Far ahead is what a clock asked for that was set back since: it must not take the places of live epochs. */
static bool out_of_time(uint64_t epoch, uint64_t now) { return epoch + AQ_SCHED_KEEP < now || epoch > now + 1; }

void aq_sched_duties_trim(aq_scheduler *s) {
  uint64_t now = aq_sched_epoch_now(s);
  for (size_t i = 0; i < AQ_SCHED_EPOCHS; i++) {
    if (s->epoch[i].used && out_of_time(s->epoch[i].epoch, now)) epoch_drop(&s->epoch[i]);
  }
  AQ_LIST_EACH(&s->cache, d, aq_sched_duties, link) {
    if (out_of_time(d->epoch, now) && disposable(s, d)) duties_drop(d);
  }
}

void aq_sched_duties_forget(aq_scheduler *s, uint64_t after_epoch) {
  for (size_t i = 0; i < AQ_SCHED_EPOCHS; i++) {
    if (s->epoch[i].used && s->epoch[i].epoch > after_epoch) epoch_drop(&s->epoch[i]);
  }
  AQ_LIST_EACH(&s->cache, d, aq_sched_duties, link) {
    if (d->epoch <= after_epoch || d->busy) continue;
    aq_metric_add(AQ_M_APP_CACHE_INVALIDATED_REORG_TOTAL, 1, AQ_LABELS(kinds[d->kind].cache));
    if (aq_list_empty(&d->calls)) {
      duties_drop(d);
      continue;
    }
    if (d->call_id) aq_bn_cancel(s->cfg.bn, d->call_id);
    d->call_id = 0;
    yyjson_doc_free(d->doc);
    d->doc = NULL;
    ask(d);
  }
}

/* The root that the duties depend on, as a head tells it; NULL: it does not, or they are a guess. beacon-APIs, v1 of
   the duties routes: attesters go by the last block before the epoch before theirs, proposers by that before theirs. */
static const uint8_t *dependent(const aq_sched_duties *d, const aq_bn_head *head) {
  uint64_t of_head = aq_epoch_of(&d->s->cfg.chain->clock, head->slot), until = d->epoch;
  if (d->kind == AQ_DUTIES_SYNC || d->epoch < aq_sched_epoch_now(d->s) || is_guess(d)) return NULL;
  if (d->kind == AQ_DUTIES_ATTESTER && until > 0) until--;
  if (until > of_head) return head->block;
  if (until == of_head) return head->current;
  return until + 1 == of_head ? head->previous : NULL;
}

/* Not known: zero, of beacon nodes that do not say. */
static bool depends_on(const aq_sched_duties *d, const uint8_t root[32]) {
  uint8_t own[32] = {0};
  aq_json_hex(yyjson_doc_get_root(d->doc), "dependent_root", own, 32);
  return aq_bytes_is_zero(aq_bytes_of(own, 32)) || memcmp(own, root, 32) == 0;
}

/* Once a slot where a root stays: beacon nodes may differ for long. */
static void hear_root(aq_sched_duties *d, const uint8_t root[32]) {
  bool moved = d->heard && memcmp(d->told, root, 32) != 0, late = d->call_id && moved;
  d->heard = true;
  memcpy(d->told, root, 32);
  if ((d->call_id && !late) || (!late && (!d->doc || depends_on(d, root)))) return;
  if (!moved && d->doubt_slot == d->s->slot + 1) return;
  d->doubt_slot = d->s->slot + 1;
  d->doubted = d->doc != NULL;
  if (late) aq_bn_cancel(d->s->cfg.bn, d->call_id); /* its answer may be of before */
  d->call_id = 0;
  aq_metric_add(AQ_M_APP_CACHE_INVALIDATED_REORG_TOTAL, 1, AQ_LABELS(kinds[d->kind].cache));
  AQ_LOG(AQ_LOG_INFO, "duties_doubted", AQ_STR("kind", kinds[d->kind].cache), AQ_UINT("epoch", d->epoch),
         AQ_HEX("dependent_root", root, 32));
  ask(d);
}

void aq_sched_duties_head(aq_scheduler *s, const aq_bn_head *head) {
  AQ_LIST_EACH(&s->cache, d, aq_sched_duties, link) {
    const uint8_t *root = dependent(d, head);
    if (root) hear_root(d, root);
  }
}

void aq_sched_duties_retry(aq_scheduler *s) {
  AQ_LIST_EACH(&s->cache, d, aq_sched_duties, link) {
    if (d->doc && !current(d) && d->epoch >= aq_sched_epoch_now(s)) ask(d);
  }
}

void aq_sched_duties_renew(aq_scheduler *s) {
  AQ_LIST_EACH(&s->cache, d, aq_sched_duties, link) {
    if (d->kind == AQ_DUTIES_PROPOSER || !d->asked || d->epoch < aq_sched_epoch_now(s)) continue;
    if (d->call_id) aq_bn_cancel(s->cfg.bn, d->call_id);
    d->call_id = 0;
    ask(d);
  }
}

void aq_sched_duties_init(aq_scheduler *s) {
  aq_list_init(&s->cache);
  s->refused.s = s;
  aq_list_init(&s->refused.calls);
}

void aq_sched_duties_free(aq_scheduler *s) {
  aq_timer_cancel(s->cfg.env, &s->refused.timer);
  calls_end(&s->refused, AQ_E_CLOSED);
  for (aq_list *first; (first = aq_list_pop(&s->cache));) {
    aq_sched_duties *d = AQ_CONTAINER(first, aq_sched_duties, link);
    calls_end(d, AQ_E_CLOSED);
    duties_drop(d);
  }
  for (size_t i = 0; i < AQ_SCHED_EPOCHS; i++) epoch_drop(&s->epoch[i]);
}

/* ---- the API's side ---- */

static void refused(void *arg) { calls_end(arg, AQ_E_LIMIT); }

uint64_t aq_scheduler_duties(aq_scheduler *s, aq_duties_kind kind, uint64_t epoch, aq_duties_fn fn, void *arg) {
  aq_sched_duties *d = s->call_cnt < AQ_SCHED_CALLS_MAX ? duties_get(s, kind, epoch) : NULL;
  aq_sched_call *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  *c = (aq_sched_call){.id = ++s->last_call, .fn = fn, .arg = arg};
  s->call_cnt++;
  bool hit = d && current(d);
  aq_metric_add(hit ? AQ_M_APP_CACHE_HITS_TOTAL : AQ_M_APP_CACHE_MISSES_TOTAL, 1, AQ_LABELS(kinds[kind].cache));
  aq_list_push(d ? &d->calls : &s->refused.calls, &c->link);
  if (!d)
    aq_timer_after(s->cfg.env, &s->refused.timer, 0, refused, &s->refused);
  else if (hit)
    deliver_soon(d);
  else
    ask(d);
  return c->id;
}

static bool cancel_in(aq_sched_duties *d, uint64_t id) {
  AQ_LIST_EACH(&d->calls, c, aq_sched_call, link) {
    if (c->id != id) continue;
    aq_list_remove(&c->link);
    d->s->call_cnt--;
    free(c);
    return true;
  }
  return false;
}

void aq_scheduler_duties_cancel(aq_scheduler *s, uint64_t id) {
  if (cancel_in(&s->refused, id)) return;
  AQ_LIST_EACH(&s->cache, d, aq_sched_duties, link) {
    if (cancel_in(d, id)) return;
  }
}
