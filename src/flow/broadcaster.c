/* Submissions to the beacon node: a row of operations a type of duty. */
#include "flow/broadcaster.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "beacon/retry.h"
#include "codec/json.h"
#include "codec/json_out.h"
#include "eth/block.h"

enum { TASKS_MAX = 1024, BODY_MAX = 128 << 20, RESENDS_MAX = 4, ANSWER_MAX = 1 << 20 };

/* Which forms of the routes this beacon node takes: learnt from its answers, for all later calls (Lodestar 1.5.1 has
   v1 only). */
typedef struct {
  bool v1[AQ_DUTY_CNT]; /* by type; blinded blocks have their own */
  bool blinded_v1, blocks_json;
} routes;

/* One request: a batch of a duty, or one of its objects where the route takes one. */
typedef struct {
  aq_list link;
  aq_broadcaster *b;
  aq_duty duty;
  aq_fork fork;
  bool blinded, is_block;
  uint32_t *validator; /* of each object, by position in the body */
  uint32_t cnt;
  aq_buf body;             /* JSON, or the block's SSZ */
  const aq_ssz_type *type; /* block: of body while it is SSZ */
  uint64_t deadline_ns;
  uint64_t call_id;
  bool old_form; /* the form of the route used last */
  bool sent;     /* not only told */
  uint32_t tries, resends;
  aq_timer timer;
  aq_status st; /* of an object that cannot be sent: told by the timer */
  char why[AQ_FAILURE_TEXT_MAX];
} task;

struct aq_broadcaster {
  aq_broadcaster_cfg cfg;
  aq_list tasks;
  size_t task_cnt;
  routes old;
};

static void send(void *arg);

typedef void submit_fn(aq_broadcaster *b, aq_duty duty, const aq_signed_data *d, const uint32_t *validators,
                       uint32_t cnt);
static submit_fn submit_block, submit_batch, submit_each;

typedef struct {
  submit_fn *submit;                      /* NULL: nothing is sent, and all is well */
  const char *endpoint, *path, *old_path; /* old_path: v1 form or NULL */
  bool versioned;                         /* Eth-Consensus-Version */
  bool single;                            /* where committees are bits: objects of one validator (core.md 4.2) */
} aq_submit_ops;

AQ_DUTY_OPS(aq_submit_ops, submit)

const aq_submit_ops aq_submit_proposer = {.submit = submit_block,
                                          .endpoint = "submit_proposal",
                                          .path = "/eth/v2/beacon/blocks",
                                          .old_path = "/eth/v1/beacon/blocks",
                                          .versioned = true};
static const aq_submit_ops blinded_block = {.endpoint = "submit_blinded_proposal",
                                            .path = "/eth/v2/beacon/blinded_blocks",
                                            .old_path = "/eth/v1/beacon/blinded_blocks",
                                            .versioned = true};
const aq_submit_ops aq_submit_attester = {.submit = submit_batch,
                                          .endpoint = "submit_attestations",
                                          .path = "/eth/v2/beacon/pool/attestations",
                                          .old_path = "/eth/v1/beacon/pool/attestations",
                                          .versioned = true,
                                          .single = true};
const aq_submit_ops aq_submit_aggregator = {.submit = submit_batch,
                                            .endpoint = "submit_aggregate_attestations",
                                            .path = "/eth/v2/validator/aggregate_and_proofs",
                                            .old_path = "/eth/v1/validator/aggregate_and_proofs",
                                            .versioned = true};
const aq_submit_ops aq_submit_sync_message = {.submit = submit_batch,
                                              .endpoint = "submit_sync_committee_messages",
                                              .path = "/eth/v1/beacon/pool/sync_committees"};
const aq_submit_ops aq_submit_sync_contribution = {.submit = submit_batch,
                                                   .endpoint = "submit_sync_committee_contributions",
                                                   .path = "/eth/v1/validator/contribution_and_proofs"};
const aq_submit_ops aq_submit_exit = {
    .submit = submit_each, .endpoint = "submit_voluntary_exit", .path = "/eth/v1/beacon/pool/voluntary_exits"};
const aq_submit_ops aq_submit_signature = {0}, aq_submit_builder_proposer = {0}, aq_submit_builder_registration = {0},
                    aq_submit_randao = {0}, aq_submit_prepare_aggregator = {0},
                    aq_submit_prepare_sync_contribution = {0}, aq_submit_info_sync = {0};

static void task_free(task *t) {
  if (t->call_id) aq_bn_cancel(t->b->cfg.bn, t->call_id);
  aq_timer_cancel(t->b->cfg.env, &t->timer);
  aq_list_remove(&t->link);
  t->b->task_cnt--;
  aq_buf_free(&t->body);
  free(t->validator);
  free(t);
}

static void account(const task *t) {
  const aq_env *env = t->b->cfg.env;
  uint64_t start_ns = aq_duty_start_ns(t->b->cfg.chain, t->duty), now_ns = aq_now_ns(env);
  const char *const *label = AQ_LABELS(aq_duty_name(t->duty.type));
  aq_metric_add(AQ_M_CORE_BCAST_BROADCAST_TOTAL, 1, label);
  if (now_ns >= start_ns && t->deadline_ns != AQ_NEVER)
    aq_metric_observe(AQ_M_CORE_BCAST_BROADCAST_DELAY_SECONDS, (double)(now_ns - start_ns) / 1e9, label);
}

static void finish(task *t, aq_status st, const char *why) {
  const aq_broadcaster_cfg *cfg = &t->b->cfg;
  aq_duty duty = t->duty;
  uint32_t *validator = t->validator, cnt = t->cnt;
  if (st == AQ_OK && t->sent) account(t);
  t->validator = NULL;
  task_free(t);
  if (cnt > 0) cfg->done(cfg->arg, duty, validator, cnt, st, why);
  free(validator);
}

/* ---- answers ---- */

/* What beacon nodes say when a peer was faster: as good as success. */
static bool known_text(const char *text) {
  static const char *const known[] = {"alreadyknown", "already known", "already_known", "priorattestationknown",
                                      "already seen", "already exist", "alreadyseen",   "duplicate"};
  const aq_bn_answer ans = {.body = aq_bytes_str(text)};
  for (size_t i = 0; i < AQ_COUNT(known); i++) {
    if (aq_answer_has(&ans, known[i])) return true;
  }
  return false;
}

/* The verdict on each object of a batch: {"code":400,"message":"..","failures":[{"index":0,"message":".."}]}. Those
   not named were taken. False: the answer does not say. */
static bool verdicts(const task *t, const aq_bn_answer *ans, bool *is_bad, char why[AQ_FAILURE_TEXT_MAX]) {
  yyjson_doc *doc = aq_json_parse(ans->body, ANSWER_MAX, NULL);
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "failures");
  bool told = yyjson_is_arr(list) && yyjson_arr_size(list) > 0;
  yyjson_arr_iter it = yyjson_arr_iter_with(list);
  for (yyjson_val *v; told && (v = yyjson_arr_iter_next(&it));) {
    const char *message = aq_json_str(v, "message");
    uint64_t index;
    if (message && known_text(message)) continue;
    told = aq_json_u64(v, "index", &index) && index < t->cnt;
    if (!told) break;
    is_bad[index] = true;
    snprintf(why, AQ_FAILURE_TEXT_MAX, "HTTP %d: %.150s", ans->code, message ? message : "");
  }
  yyjson_doc_free(doc);
  return told;
}

/* Tells the two groups of a batch apart: the objects that failed, and the rest. */
static void finish_apart(task *t, const bool *is_bad, const char *why) {
  const aq_broadcaster_cfg *cfg = &t->b->cfg;
  aq_duty duty = t->duty;
  uint32_t *validator = t->validator, cnt = t->cnt, failed = 0;
  for (uint32_t i = 0; i < cnt; i++) {
    if (!is_bad[i]) continue;
    uint32_t v = validator[i];
    validator[i] = validator[failed];
    validator[failed++] = v;
  }
  if (failed < cnt) account(t);
  t->validator = NULL;
  task_free(t);
  if (failed < cnt) cfg->done(cfg->arg, duty, validator + failed, cnt - failed, AQ_OK, "");
  if (failed > 0) cfg->done(cfg->arg, duty, validator, failed, AQ_E_REFUSED, why);
  free(validator);
}

/* True: every object has its verdict and the task is over. Objects that may be taken later keep the whole batch
   alive, until it is late: then those not named were taken all the same. */
static bool judge_batch(task *t, aq_failure kind, const aq_bn_answer *ans, bool late) {
  char why[AQ_FAILURE_TEXT_MAX] = "";
  bool *is_bad = calloc(t->cnt, sizeof *is_bad), any = false;
  AQ_ASSERT(is_bad);
  bool told = verdicts(t, ans, is_bad, why);
  for (uint32_t i = 0; i < t->cnt; i++) any |= is_bad[i];
  told = told && (!any || kind == AQ_FAILURE_FINAL || late);
  if (told) finish_apart(t, is_bad, why);
  free(is_bad);
  return told;
}

/* The other form of the route, when there is one. */
static bool *route_form(task *t) {
  routes *r = &t->b->old;
  const aq_submit_ops *o = ops_of(t->duty.type);
  if (t->blinded) return &r->blinded_v1;
  return o->old_path && (t->is_block || aq_fork_of(t->fork)->old_pool_routes) ? &r->v1[t->duty.type] : NULL;
}

static bool resend(task *t, aq_failure kind) {
  bool *form = kind == AQ_FAILURE_ROUTE ? route_form(t) : NULL;
  if (kind == AQ_FAILURE_MEDIA && t->type) form = &t->b->old.blocks_json; /* it went out in SSZ */
  if (!form || t->resends >= RESENDS_MAX) return false;
  t->resends++;
  if (kind == AQ_FAILURE_MEDIA)
    *form = true;
  else if (*form == t->old_form) /* else another task learnt it meanwhile */
    *form = !*form;
  send(t);
  return true;
}

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  task *t = arg;
  const aq_env *env = t->b->cfg.env;
  t->call_id = 0;
  if (st == AQ_OK) {
    if (t->is_block && ans->code == 202) AQ_LOG(AQ_LOG_WARN, "block_not_imported", AQ_UINT("slot", t->duty.slot));
    finish(t, AQ_OK, "");
    return;
  }
  aq_failure kind = aq_failure_of(st, ans);
  uint64_t now_ns = aq_now_ns(env), pause_ns = aq_retry_pause_ns(env, t->tries);
  bool late = now_ns > t->deadline_ns || t->deadline_ns - now_ns < pause_ns;
  if (resend(t, kind)) return;
  if (ans && !t->is_block && judge_batch(t, kind, ans, late)) return;
  aq_failure_text(t->why, st, ans);
  if (ans && (known_text(t->why) || (ans->code < 500 && aq_answer_has(ans, "priorattestationknown")))) {
    finish(t, AQ_OK, "");
    return;
  }
  if (kind == AQ_FAILURE_FINAL || kind == AQ_FAILURE_MEDIA || late) {
    char why[AQ_FAILURE_TEXT_MAX];
    memcpy(why, t->why, sizeof why);
    finish(t, st, why);
    return;
  }
  AQ_LOG(AQ_LOG_WARN, "broadcast_retry", AQ_STR("duty", aq_duty_name(t->duty.type)), AQ_UINT("slot", t->duty.slot),
         AQ_STR("err", t->why), AQ_UINT("retry_ms", pause_ns / AQ_NS_PER_MS));
  t->tries++;
  t->resends = 0;
  aq_timer_after(env, &t->timer, pause_ns, send, t);
}

/* ---- requests ---- */

static void to_json(task *t) {
  aq_buf json = AQ_BUF(BODY_MAX);
  aq_ssz_to_json(&json, t->type, aq_buf_bytes(&t->body));
  aq_buf_free(&t->body);
  t->body = json;
  t->type = NULL;
}

static void send(void *arg) {
  task *t = arg;
  const aq_submit_ops *s = t->blinded ? &blinded_block : ops_of(t->duty.type);
  const bool *form = route_form(t);
  bool v1 = form && *form;
  t->old_form = v1;
  /* Before v2 a block was published in JSON only. */
  if (t->type && (t->blinded || t->b->old.blocks_json || v1)) to_json(t);
  if (t->body.failed) {
    finish(t, AQ_E_LIMIT, "the object is too large");
    return;
  }
  const aq_bn_req req = {.endpoint = s->endpoint,
                         .method = "POST",
                         .path = v1 ? s->old_path : s->path,
                         .body = aq_buf_bytes(&t->body),
                         .content_type = t->type ? "application/octet-stream" : NULL,
                         .consensus_version = s->versioned ? aq_fork_name(t->fork) : NULL,
                         .submit = true,
                         .body_max = ANSWER_MAX};
  t->sent = true;
  t->call_id = aq_bn_call(t->b->cfg.bn, &req, answered, t);
}

static void tell(void *arg) {
  task *t = arg;
  char why[AQ_FAILURE_TEXT_MAX];
  memcpy(why, t->why, sizeof why);
  finish(t, t->st, why);
}

/* ---- objects ---- */

/* electra: {"committee_index","attester_index","data","signature"}; core.md 4.2. False: not of the form that the node
   makes. */
static bool put_single(aq_buf *out, const aq_signed_data *d) {
  aq_bytes bits = aq_ssz_get(d->type, d->value, "committee_bits");
  uint64_t committee = 0, set = 0;
  for (uint64_t i = 0; i < 8 * bits.len; i++) {
    if (!(bits.ptr[i / 8] >> (i % 8) & 1)) continue;
    committee = i;
    set++;
  }
  if (set != 1 || !d->has_index) return false;
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64_str(&o, "committee_index", committee);
  aq_json_out_u64_str(&o, "attester_index", d->validator_index);
  aq_json_out_value(&o, "data");
  aq_ssz_to_json(out, &aq_t_attestation_data, aq_ssz_get(d->type, d->value, "data"));
  aq_json_out_hex(&o, "signature", aq_bytes_of(d->sig, 96));
  aq_json_out_close(&o, '}');
  return true;
}

static bool put_object(aq_buf *out, aq_duty_type type, const aq_signed_data *d) {
  if (!d->type) return false;
  if (ops_of(type)->single && aq_fork_of(d->fork)->committee_bits) return put_single(out, d);
  aq_ssz_to_json(out, d->type, d->value);
  return true;
}

/* core.md 10.5: pretended blocks are never sent. */
static bool is_synthetic(const aq_signed_data *d) {
  static const char mark[] = "SYNTHETIC BLOCK: DO NOT SUBMIT";
  aq_block_view view;
  aq_block_view_get(&view, d->fork, d->blinded, true, d->value);
  return memcmp(view.graffiti.ptr, mark, sizeof mark - 1) == 0;
}

static task *task_new(aq_broadcaster *b, aq_duty duty, uint32_t cnt_max) {
  task *t = calloc(1, sizeof *t);
  AQ_ASSERT(t);
  *t = (task){.b = b, .duty = duty, .body = AQ_BUF(BODY_MAX)};
  t->deadline_ns = aq_duty_deadline_ns(b->cfg.chain, duty);
  t->validator = calloc(cnt_max ? cnt_max : 1, sizeof *t->validator);
  AQ_ASSERT(t->validator);
  aq_list_push(&b->tasks, &t->link);
  b->task_cnt++;
  return t;
}

/* done with st, from a timer. */
static void tell_later(aq_broadcaster *b, aq_duty duty, const uint32_t *validators, uint32_t cnt, aq_status st,
                       const char *why) {
  task *t = task_new(b, duty, cnt);
  if (cnt) memcpy(t->validator, validators, cnt * sizeof *validators);
  t->cnt = cnt;
  t->st = st;
  snprintf(t->why, sizeof t->why, "%s", why);
  aq_timer_after(b->cfg.env, &t->timer, 0, tell, t);
}

static void submit_block(aq_broadcaster *b, aq_duty duty, const aq_signed_data *d, const uint32_t *validators,
                         uint32_t cnt) {
  if (cnt != 1 || !d->type) {
    tell_later(b, duty, validators, cnt, AQ_E_FORMAT, "a slot has one block");
    return;
  }
  if (is_synthetic(d)) {
    tell_later(b, duty, validators, cnt, AQ_OK, "");
    return;
  }
  task *t = task_new(b, duty, 1);
  t->validator[0] = validators[0];
  t->cnt = 1;
  t->fork = d->fork;
  t->blinded = d->blinded;
  t->is_block = true;
  t->type = d->type;
  aq_buf_put_bytes(&t->body, d->value);
  aq_timer_after(b->cfg.env, &t->timer, 0, send, t);
}

/* One request with all objects of a fork, in a JSON list; what cannot be sent gets its own verdict. */
static void submit_batch(aq_broadcaster *b, aq_duty duty, const aq_signed_data *d, const uint32_t *validators,
                         uint32_t cnt) {
  task *t = task_new(b, duty, cnt);
  t->fork = d[0].fork;
  aq_buf_put_u8(&t->body, '[');
  for (uint32_t i = 0; i < cnt; i++) {
    size_t from = t->body.len;
    if (t->cnt) aq_buf_put_u8(&t->body, ',');
    if (d[i].fork == t->fork && put_object(&t->body, duty.type, &d[i])) {
      t->validator[t->cnt++] = validators[i];
    } else {
      t->body.len = from;
      tell_later(b, duty, &validators[i], 1, AQ_E_FORMAT, "no validator index or another fork");
    }
  }
  aq_buf_put_u8(&t->body, ']');
  if (t->cnt)
    aq_timer_after(b->cfg.env, &t->timer, 0, send, t);
  else
    task_free(t);
}

static void submit_each(aq_broadcaster *b, aq_duty duty, const aq_signed_data *d, const uint32_t *validators,
                        uint32_t cnt) {
  for (uint32_t i = 0; i < cnt; i++) {
    task *t = task_new(b, duty, 1);
    t->validator[0] = validators[i];
    t->cnt = 1;
    t->fork = d[i].fork;
    t->st = put_object(&t->body, duty.type, &d[i]) ? AQ_OK : AQ_E_FORMAT;
    if (t->st != AQ_OK) memcpy(t->why, "no object", sizeof "no object");
    aq_timer_after(b->cfg.env, &t->timer, 0, t->st == AQ_OK ? send : tell, t);
  }
}

void aq_broadcaster_submit(aq_broadcaster *b, aq_duty duty, const aq_signed_data *data, const uint32_t *validators,
                           uint32_t cnt) {
  if (cnt == 0) return;
  if (b->task_cnt >= TASKS_MAX) {
    tell_later(b, duty, validators, cnt, AQ_E_LIMIT, "too many submissions are under way");
    return;
  }
  submit_fn *submit = ops_of(duty.type)->submit;
  if (submit)
    submit(b, duty, data, validators, cnt);
  else
    tell_later(b, duty, validators, cnt, AQ_OK, "");
}

aq_broadcaster *aq_broadcaster_new(const aq_broadcaster_cfg *cfg) {
  aq_broadcaster *b = calloc(1, sizeof *b);
  AQ_ASSERT(b);
  b->cfg = *cfg;
  aq_list_init(&b->tasks);
  return b;
}

void aq_broadcaster_free(aq_broadcaster *b) {
  if (!b) return;
  for (aq_list *first; (first = aq_list_pop(&b->tasks));) task_free(AQ_CONTAINER(first, task, link));
  free(b);
}
