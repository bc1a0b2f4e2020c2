/* Signatures, own ones and the cluster's: checked, recorded, then kept, shared and submitted, in this order. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "flow/workflow_internal.h"

enum { ITEM_ARENA = 4096 }; /* an item, its partial and a small object; large ones come alone */

/* ---- partial signatures of the validator client ---- */

typedef struct submission submission;
typedef struct {
  submission *s;
  aq_sign_key key;
  aq_signed_data data;
  uint8_t root[32];
  aq_status st;
  const char *why; /* for the client, or NULL */
  bool open;       /* still on its way; AQ_OK so far */
  bool recorded;   /* the journal has its root: nothing of it leaves before */
} sub_item;

struct submission {
  aq_list link;
  aq_workflow *w; /* NULL: stopped */
  aq_arena arena;
  aq_duty duty;
  sub_item *item;
  uint32_t cnt, waiting; /* for the store */
  bool verifying;
  aq_timer timer;
  aq_submit_done done;
  void *arg;
};

static void submission_free(submission *s) {
  aq_list_remove(&s->link);
  aq_arena_free(&s->arena);
  free(s);
}

static void tell(submission *s) {
  aq_status *st = aq_arena_array(&s->arena, s->cnt, sizeof *st);
  const char **why = aq_arena_array(&s->arena, s->cnt, sizeof *why);
  AQ_ASSERT(st && why);
  for (uint32_t i = 0; i < s->cnt; i++) st[i] = s->item[i].st, why[i] = s->item[i].why;
  if (s->done) s->done(s->arg, st, why, s->cnt);
}

static void finish(void *arg) {
  submission *s = arg;
  tell(s);
  submission_free(s);
}

/* ---- why not ---- */

static aq_status refuse(sub_item *it, aq_status st, const char *why) {
  it->why = why;
  return st;
}

/* The journal's reasons in the words of who reads them in a validator client's log. */
static const char *journal_text(aq_duty_type type, aq_store_refusal refusal) {
  switch (refusal) {
    case AQ_REFUSAL_TARGET: return "refused by the journal: another vote for that target epoch was signed before";
    case AQ_REFUSAL_SURROUND:
      return "refused by the journal: a vote signed before surrounds this one, or is surrounded by it";
    case AQ_REFUSAL_BLOCK: return "refused by the journal: another block was signed for that slot before";
    case AQ_REFUSAL_MARK:
      return "refused by the journal: it is not above this validator's highest record, which a clock that was ahead or "
             "an imported file may have set; it passes once the chain is past it";
    case AQ_REFUSAL_EPOCHS: return "refused by the journal: its source epoch lies behind its target epoch";
    case AQ_REFUSAL_ROOT:
    case AQ_REFUSAL_UNKNOWN: break;
  }
  if (aq_duty_of(type)->slash == AQ_SLASH_ATTESTATION)
    return "refused by the journal: another vote was signed for that slot before";
  if (aq_duty_of(type)->window == AQ_WINDOW_NEVER)
    return "refused by the journal: another exit of that epoch was signed before";
  return "refused by the journal: another object was signed for that duty before";
}

/* contract.md 13.6: without its records this node cannot know what it signed before it started. */
static bool abstains(aq_workflow *w, aq_duty duty) {
  uint64_t until = w->unproven_until_ns;
  uint64_t shown = aq_consensus_unproven_until_ns(w->consensus);
  if (shown > until) until = shown;
  if (until == 0) return false;
  bool yes = aq_duty_start_ns(w->cfg.chain, duty) <= until;
  if (yes && !w->abstain_logged) {
    w->abstain_logged = true;
    AQ_LOG(AQ_LOG_WARN, "abstain",
           AQ_STR("note", "no record of earlier signatures: duties that began before the start are not signed"),
           AQ_UINT("until_slot", aq_slot_at(&w->cfg.chain->clock, until)));
  }
  return yes;
}

/* What a chain punishes a second one of: only these does a node without records abstain from. */
static bool slashable(aq_duty_type type) { return aq_duty_of(type)->slash != AQ_SLASH_NONE; }

static aq_status precheck(aq_workflow *w, sub_item *it, uint32_t validator) {
  aq_duty duty = it->key.duty;
  if (validator >= w->cfg.lock->validator_cnt || it->data.duty != duty.type || !aq_parsigex_travels(duty.type))
    return refuse(it, AQ_E_FORMAT, "it is no object of a duty of this cluster");
  if (!aq_parsigex_belongs(w->cfg.chain, duty, &it->data))
    return refuse(it, AQ_E_FORMAT, "it belongs to another slot or epoch than its duty");
  if (aq_duty_deadline_ns(w->cfg.chain, duty) <= aq_now_ns(w->cfg.env))
    return refuse(it, AQ_E_STALE, "the duty is past its deadline by this node's clock");
  if (aq_bytes_is_zero(aq_bytes_of(it->data.sig, 96))) return AQ_E_AUTH;
  aq_signed_signing_root(it->root, w->cfg.chain, &it->data);
  if (!slashable(duty.type)) return AQ_OK;
  const uint8_t *agreed = aq_parsigdb_agreed(w->parsigdb, &it->key);
  if (!agreed) return refuse(it, AQ_E_FORMAT, "consensus has not decided that duty");
  if (memcmp(agreed, it->root, 32) != 0) return refuse(it, AQ_E_FORMAT, NULL);
  if (abstains(w, duty))
    return refuse(
        it, AQ_E_STALE,
        "not signed: this node's records begin after that duty did (a new, lost or restored store), so it may "
        "have signed another one before; later duties are signed");
  return AQ_OK;
}

/* Sends what was stored to the peers: one message a subcommittee, since a set has one entry a validator (wire.md
   7.2). */
static void share(submission *s, uint32_t sub) {
  aq_workflow *w = s->w;
  aq_parsig_set set = {0};
  aq_parsig *p = aq_arena_array(&s->arena, s->cnt, sizeof *p);
  AQ_ASSERT(p);
  for (uint32_t i = 0; i < s->cnt; i++) {
    const sub_item *it = &s->item[i];
    if (!it->open || it->key.sub != sub) continue;
    AQ_ASSERT(it->recorded); /* the last look before peers see it: journalled and release have had theirs */
    aq_buf buf = AQ_BUF(AQ_WORKFLOW_OBJECT_MAX);
    aq_status st = aq_signed_encode(&buf, &it->data);
    aq_parsig *out = &p[set.cnt];
    if (st == AQ_OK) out->data = aq_arena_copy(&s->arena, aq_buf_bytes(&buf));
    aq_buf_free(&buf);
    if (st != AQ_OK || !out->data.ptr) continue;
    memcpy(out->pubkey, w->pubkey[it->key.validator], 48);
    memcpy(out->sig, it->data.sig, 96);
    out->share_idx = w->cfg.self + 1;
    aq_workflow_leaving(w, s->duty, it->key.validator, out);
    set.cnt++;
  }
  if (set.cnt == 0) return;
  set.item = p;
  aq_parsigex_broadcast(w->parsigex, s->duty, &set);
  aq_tracker_shared(w->tracker, s->duty, set.cnt);
}

static void observe_store(const aq_workflow *w, aq_duty duty, uint32_t share_idx) {
  char idx[12];
  uint64_t now = aq_now_ns(w->cfg.env), start = aq_duty_start_ns(w->cfg.chain, duty);
  snprintf(idx, sizeof idx, "%u", (unsigned)share_idx - 1);
  aq_metric_observe(AQ_M_CORE_PARSIGDB_STORE, now > start ? (double)(now - start) / 1e9 : 0,
                    AQ_LABELS(aq_duty_name(duty.type), idx));
}

/* Everything that the journal let pass: keep it, tell the peers, count it. */
static void release(submission *s) {
  aq_workflow *w = s->w;
  aq_tss_partial *p = aq_arena_array(&s->arena, s->cnt, sizeof *p);
  uint32_t cnt = 0, own = w->cfg.self + 1, subs = 0;
  AQ_ASSERT(p);
  for (uint32_t i = 0; i < s->cnt; i++) {
    sub_item *it = &s->item[i];
    if (!it->open) continue;
    AQ_ASSERT(it->recorded);
    it->st = aq_parsigdb_store(w->parsigdb, &it->key, own, it->root, it->data.sig);
    it->open = it->st == AQ_OK;
    if (it->st == AQ_E_DUP) it->st = AQ_OK; /* twice in one request, or in two at once */
    if (!it->open) continue;
    uint32_t roots;
    (void)aq_parsigdb_shares(w->parsigdb, &it->key, &roots);
    /* The agreed object is kept already: the signature covers neither blobs nor committee bits, so the client's copy
       may lack them. */
    bool known = aq_parsigdb_object(w->parsigdb, &it->key, it->root) != NULL;
    if (w->tss && !known && aq_parsigdb_keep(w->parsigdb, &it->key, it->root, &it->data) != AQ_OK) {
      AQ_LOG(AQ_LOG_ERROR, "parsigdb", AQ_STR("err", "no room for an object"), AQ_UINT("slot", s->duty.slot));
    }
    aq_tracker_partial(w->tracker, s->duty, own, it->root, roots > 1, AQ_OK);
    observe_store(w, s->duty, own);
    p[cnt] = (aq_tss_partial){.key = it->key, .share_idx = own};
    memcpy(p[cnt].root, it->root, 32);
    memcpy(p[cnt++].sig, it->data.sig, 96);
    subs |= UINT32_C(1) << it->key.sub;
  }
  for (uint32_t sub = 0; sub < 32; sub++) {
    if (subs >> sub & 1) share(s, sub);
  }
  if (w->tss && cnt > 0) aq_tss_local(w->tss, p, cnt);
  finish(s);
}

static void journalled(void *arg, aq_status st) {
  sub_item *it = arg;
  submission *s = it->s;
  s->waiting--;
  if (!s->w) {
    if (s->waiting == 0) submission_free(s);
    return;
  }
  it->recorded = st == AQ_OK;
  if (st != AQ_OK) {
    const aq_store *store = s->w->cfg.store;
    if (st == AQ_E_SLASH)
      it->why = journal_text(s->duty.type, store->refusal ? store->refusal(store->ctx) : AQ_REFUSAL_UNKNOWN);
    it->st = st;
    it->open = false;
    if (st == AQ_E_SLASH) aq_metric_add(AQ_M_STATE_REFUSED_TOTAL, 1, AQ_LABELS("partial"));
    aq_tracker_partial(s->w->tracker, s->duty, s->w->cfg.self + 1, it->root, false, st);
    AQ_LOG(AQ_LOG_ERROR, "sign", AQ_STR("duty", aq_duty_name(s->duty.type)),
           AQ_STR("err", it->why ? it->why : aq_status_text(st)), AQ_UINT("slot", s->duty.slot),
           AQ_UINT("validator", it->key.validator));
  }
  if (s->waiting == 0) release(s);
}

static aq_store_sign record_of(const aq_workflow *w, aq_sign_kind kind, const aq_sign_key *key, const uint8_t root[32],
                               const aq_signed_data *d) {
  AQ_ASSERT(key->validator < w->cfg.lock->validator_cnt && d->duty == key->duty.type);
  aq_store_sign r = {.kind = kind, .duty = key->duty, .sub = key->sub};
  memcpy(r.pubkey, w->pubkey[key->validator], 48);
  memcpy(r.root, root, 32);
  if (aq_duty_of(key->duty.type)->slash == AQ_SLASH_ATTESTATION) {
    r.source_epoch = aq_ssz_get_u64(d->type, d->value, "data.source.epoch");
    r.target_epoch = aq_ssz_get_u64(d->type, d->value, "data.target.epoch");
  }
  return r;
}

static void verified(void *arg, const bool *bad, uint32_t bad_cnt) {
  submission *s = arg;
  aq_workflow *w = s->w;
  (void)bad_cnt;
  s->verifying = false;
  if (!w) {
    submission_free(s);
    return;
  }
  uint32_t at = 0;
  for (uint32_t i = 0; i < s->cnt; i++) {
    sub_item *it = &s->item[i];
    if (!it->open) continue;
    it->st = bad[at++] ? AQ_E_AUTH : aq_parsigdb_check(w->parsigdb, &it->key, w->cfg.self + 1, it->root, it->data.sig);
    it->open = it->st == AQ_OK;
    if (it->st == AQ_E_DUP) it->st = AQ_OK; /* stored and shared before */
    s->waiting += it->open;
  }
  if (s->waiting == 0) {
    finish(s);
    return;
  }
  for (uint32_t i = 0, left = s->waiting; left > 0; i++) { /* the last answer frees s: none comes from inside */
    sub_item *it = &s->item[i];
    if (!it->open) continue;
    left--;
    aq_store_sign r = record_of(w, AQ_SIGN_PARTIAL, &it->key, it->root, &it->data);
    aq_buf kept;
    aq_workflow_keep(&kept, &it->data);
    r.partial = aq_buf_bytes(&kept);
    w->cfg.store->sign(w->cfg.store->ctx, &r, 1, journalled, it);
    aq_buf_free(&kept);
  }
}

static bool copy_in(submission *s, const aq_partial *p) {
  for (uint32_t i = 0; i < s->cnt; i++) {
    sub_item *it = &s->item[i];
    it->s = s;
    it->key = (aq_sign_key){.duty = s->duty, .validator = p[i].validator};
    it->data = p[i].data;
    if (aq_duty_is(s->duty.type, AQ_DF_SUBCOMMITTEE)) it->key.sub = (uint32_t)(p[i].data.subcommittee & 31);
    if (it->data.value.len > 0) it->data.value = aq_arena_copy(&s->arena, it->data.value);
    if (it->data.json.len > 0) it->data.json = aq_arena_copy(&s->arena, it->data.json);
    if ((it->data.value.len > 0 && !it->data.value.ptr) || (it->data.json.len > 0 && !it->data.json.ptr)) return false;
  }
  return true;
}

void aq_workflow_submit(aq_workflow *w, aq_duty duty, const aq_partial *p, uint32_t cnt, aq_submit_done done,
                        void *arg) {
  submission *s = calloc(1, sizeof *s);
  AQ_ASSERT(s && cnt > 0);
  *s = (submission){.w = w, .duty = duty, .cnt = cnt, .done = done, .arg = arg};
  aq_list_push(&w->submissions, &s->link);
  aq_arena_init(&s->arena, (size_t)AQ_WORKFLOW_OBJECT_MAX * 2 + (size_t)cnt * ITEM_ARENA);
  s->item = aq_arena_array(&s->arena, cnt, sizeof *s->item);
  AQ_ASSERT(s->item);
  bool room = copy_in(s, p);
  aq_tss_partial *list = aq_arena_array(&s->arena, cnt, sizeof *list);
  uint32_t open = 0;
  for (uint32_t i = 0; i < cnt; i++) {
    sub_item *it = &s->item[i];
    it->st = room && list ? precheck(w, it, p[i].validator) : AQ_E_LIMIT;
    it->open = it->st == AQ_OK;
    if (!it->open) continue;
    list[open] = (aq_tss_partial){.key = it->key, .share_idx = w->cfg.self + 1};
    memcpy(list[open].root, it->root, 32);
    memcpy(list[open++].sig, it->data.sig, 96);
  }
  if (open == 0) {
    aq_timer_after(w->cfg.env, &s->timer, 0, finish, s);
    return;
  }
  s->verifying = true;
  aq_tss_verify_local(w->cfg.env, &w->cluster, list, open, verified, s);
}

/* ---- partial signatures of the peers ---- */

/* A sync message over another head than ours: should its group complete, this is what we submit. Only the validator
   index is not covered by the signature, so it comes from the chain. */
static void keep_sync(aq_workflow *w, const aq_sign_key *key, const aq_parsigex_item *it) {
  const aq_validator_state *v = aq_scheduler_validator(w->scheduler, key->validator);
  aq_signed_data d = *it->data;
  uint8_t ssz[144];
  if (!w->tss || !v || !v->known || d.value.len != sizeof ssz || aq_parsigdb_object(w->parsigdb, key, it->root)) return;
  memcpy(ssz, d.value.ptr, sizeof ssz);
  aq_le64_put(ssz + 40, v->index);
  d.value = aq_bytes_of(ssz, sizeof ssz);
  d.validator_index = v->index;
  (void)!aq_parsigdb_keep(w->parsigdb, key, it->root, &d);
}

void aq_workflow_received(void *arg, const aq_parsigex_set *set) {
  aq_workflow *w = arg;
  aq_tss_partial *p = calloc(set->cnt, sizeof *p);
  uint32_t cnt = 0;
  if (!p) return;
  for (uint32_t i = 0; i < set->cnt; i++) {
    const aq_parsigex_item *it = &set->item[i];
    const aq_sign_key key = {.duty = set->duty, .validator = it->validator, .sub = it->sub};
    aq_status st = aq_parsigdb_store(w->parsigdb, &key, set->share, it->root, it->sig);
    if (st == AQ_E_DUP) continue;
    if (st != AQ_OK) { /* one share that contradicts itself: the rest of the set is dropped (wire.md 7.4 step 5) */
      aq_tracker_partial(w->tracker, set->duty, set->share, it->root, false, st);
      break;
    }
    uint32_t roots;
    (void)aq_parsigdb_shares(w->parsigdb, &key, &roots);
    aq_tracker_partial(w->tracker, set->duty, set->share, it->root, roots > 1, AQ_OK);
    observe_store(w, set->duty, set->share);
    if (set->duty.type == AQ_DUTY_SYNC_MESSAGE) keep_sync(w, &key, it);
    if (set->duty.type == AQ_DUTY_EXIT) {
      char hex[97];
      aq_hex_encode(hex, aq_bytes_of(w->pubkey[it->validator], 48));
      aq_metric_add(AQ_M_CORE_PARSIGDB_EXIT_TOTAL, 1, AQ_LABELS(hex));
    }
    p[cnt] = (aq_tss_partial){.key = key, .share_idx = set->share};
    memcpy(p[cnt].root, it->root, 32);
    memcpy(p[cnt++].sig, it->sig, 96);
  }
  if (w->tss && cnt > 0) {
    aq_status st = aq_tss_remote(w->tss, p, cnt);
    if (st != AQ_OK && st != AQ_E_DUP) {
      aq_line_limit *line = &w->refused_line[set->share - 1];
      if (aq_line_due(line, aq_mono_ns(w->cfg.env))) {
        AQ_LOG(AQ_LOG_WARN, "tss_remote", AQ_STR("duty", aq_duty_name(set->duty.type)),
               AQ_STR("err", aq_status_text(st)), AQ_UINT("more", line->more),
               AQ_STR("peer", w->peer_name[set->share - 1]), AQ_UINT("slot", set->duty.slot));
      }
    }
  }
  free(p);
}

/* ---- group signatures ---- */

typedef struct {
  aq_list link;
  aq_workflow *w; /* NULL: stopped */
  aq_sign_key key;
  aq_arena arena;
  aq_signed_data data;
  bool stored; /* in the journal and in aggsigdb: waits for the flush */
} group;

static void group_free(group *g) {
  aq_list_remove(&g->link);
  aq_arena_free(&g->arena);
  free(g);
}

/* One submission for all validators of a duty whose records were committed together. */
static void submit_duty(aq_workflow *w, aq_duty duty, uint32_t max) {
  aq_signed_data *data = calloc(max, sizeof *data);
  uint32_t *validator = calloc(max, sizeof *validator), cnt = 0;
  group **sent = calloc(max, sizeof *sent);
  AQ_ASSERT(data && validator && sent);
  AQ_LIST_EACH(&w->groups, g, group, link) {
    if (!g->stored || !aq_duty_eq(g->key.duty, duty)) continue;
    AQ_ASSERT(cnt < max);
    data[cnt] = g->data;
    validator[cnt] = g->key.validator;
    sent[cnt++] = g;
  }
  aq_broadcaster_submit(w->broadcaster, duty, data, validator, cnt);
  for (uint32_t i = 0; i < cnt; i++) group_free(sent[i]);
  free(data);
  free(validator);
  free(sent);
}

/* One duty a turn. */
static void flush(void *arg) {
  aq_workflow *w = arg;
  const group *first = NULL;
  uint32_t cnt = 0;
  bool more = false;
  AQ_LIST_EACH(&w->groups, g, group, link) {
    if (!g->stored) continue;
    if (!first) first = g;
    if (aq_duty_eq(g->key.duty, first->key.duty))
      cnt++;
    else
      more = true;
  }
  if (!first) return;
  if (more) aq_timer_after(w->cfg.env, &w->flush, 0, flush, w);
  submit_duty(w, first->key.duty, cnt);
}

static void group_journalled(void *arg, aq_status st) {
  group *g = arg;
  aq_workflow *w = g->w;
  if (!w) {
    group_free(g);
    return;
  }
  if (st == AQ_E_SLASH) aq_metric_add(AQ_M_STATE_REFUSED_TOTAL, 1, AQ_LABELS("group"));
  if (st == AQ_OK) st = aq_aggsigdb_store(w->aggsigdb, &g->key, &g->data);
  aq_tracker_stored(w->tracker, g->key.duty, st);
  if (st != AQ_OK) {
    AQ_LOG(AQ_LOG_ERROR, "group_signature", AQ_STR("duty", aq_duty_name(g->key.duty.type)),
           AQ_STR("err", aq_status_text(st)), AQ_UINT("slot", g->key.duty.slot),
           AQ_UINT("validator", g->key.validator));
    group_free(g);
    return;
  }
  g->stored = true;
  aq_timer_after(w->cfg.env, &w->flush, 0, flush, w);
}

void aq_workflow_signature(void *arg, const aq_sign_key *key, const uint8_t root[32], const uint8_t sig[96]) {
  aq_workflow *w = arg;
  const aq_signed_data *object = aq_parsigdb_object(w->parsigdb, key, root);
  aq_tracker_combined(w->tracker, key->duty, AQ_OK);
  group *g = object ? calloc(1, sizeof *g) : NULL;
  if (!g) {
    AQ_LOG(AQ_LOG_ERROR, "group_signature", AQ_STR("duty", aq_duty_name(key->duty.type)),
           AQ_STR("err", "there is no object to submit"), AQ_UINT("slot", key->duty.slot),
           AQ_UINT("validator", key->validator));
    aq_tracker_stored(w->tracker, key->duty, AQ_E_NOTFOUND);
    return;
  }
  *g = (group){.w = w, .key = *key};
  aq_arena_init(&g->arena, AQ_WORKFLOW_OBJECT_MAX);
  aq_list_push(&w->groups, &g->link);
  if (aq_signed_with_sig(&g->data, &g->arena, object, sig) != AQ_OK) {
    aq_tracker_stored(w->tracker, key->duty, AQ_E_LIMIT);
    group_free(g);
    return;
  }
  aq_store_sign r = record_of(w, AQ_SIGN_GROUP, &g->key, root, &g->data);
  w->cfg.store->sign(w->cfg.store->ctx, &r, 1, group_journalled, g);
}

/* What a worker or the store still holds is freed when it comes back. */
void aq_workflow_sign_stop(aq_workflow *w) {
  aq_timer_cancel(w->cfg.env, &w->flush);
  AQ_LIST_EACH(&w->submissions, s, submission, link) {
    aq_list_remove(&s->link);
    aq_timer_cancel(w->cfg.env, &s->timer);
    for (uint32_t i = 0; i < s->cnt; i++) s->item[i].st = AQ_E_CLOSED, s->item[i].why = NULL;
    if (!s->verifying && s->waiting == 0) {
      finish(s);
      continue;
    }
    tell(s);
    s->w = NULL;
  }
  AQ_LIST_EACH(&w->groups, g, group, link) {
    aq_list_remove(&g->link);
    g->w = NULL;
    if (g->stored) group_free(g);
  }
}
