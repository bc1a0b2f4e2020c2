/* Validators and duties: what the beacon node says of the cluster's validators, with this node's share keys. Spec:
   validator-api.md 4 and 5. Asked without ids, only the cluster's validators are listed: a validator client has no
   use for the others. */
#include "api/vapi_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "http/http.h"

enum {
  RECORD_MAX = 64 << 10,  /* a beacon node's record of one validator has some hundred bytes */
  RECORDS_MAX = 64 << 20, /* of all that a lock may have */
  ENVELOPE_MAX = 4096     /* what stands around them */
};

/* Which validators a request named: each once, in the order of the request. */
typedef struct {
  uint32_t *validator; /* lock indices */
  uint8_t *seen;       /* by lock index */
  uint32_t cnt, named; /* named: ids of the request, repeated and unknown ones too */
} id_list;

/* Statuses of the beacon API and their groups (beacon-APIs "ValidatorStatus"): "active" names all that begin so. */
static const char *const statuses[] = {
    "pending",        "active",         "exited",         "withdrawal",       "pending_queued", "pending_initialized",
    "active_ongoing", "active_exiting", "active_slashed", "exited_unslashed", "exited_slashed", "withdrawal_possible",
    "withdrawal_done"};
enum { ANY_STATUS = 1 << 30 /* no filter was given */ };

/* The record of the beacon node with the share key in place of the group key. False, and quietly nothing, when it is
   not known. */
static bool put_record(aq_json_out *o, const char *name, const aq_vapi *v, uint32_t validator) {
  const aq_validator_state *state = aq_scheduler_validator(aq_workflow_scheduler(v->cfg.workflow), validator);
  if (!state || !state->known || !state->json) return false;
  bool put = false;
  yyjson_doc *doc = yyjson_read(state->json, strlen(state->json), 0);
  yyjson_mut_doc *copy = doc ? yyjson_doc_mut_copy(doc, NULL) : NULL;
  yyjson_mut_val *inner = yyjson_mut_obj_get(yyjson_mut_doc_get_root(copy), "validator");
  char key[2 + 96 + 1] = "0x";
  aq_hex_encode(key + 2, aq_bytes_of(aq_vapi_share(v, validator), 48));
  yyjson_mut_val *old = yyjson_mut_obj_get(inner, "pubkey");
  if (old) {
    yyjson_mut_set_str(old, key);
    size_t len = 0;
    char *text = yyjson_mut_write(copy, 0, &len);
    if (text) {
      aq_json_out_value(o, name);
      aq_buf_put(o->out, text, len);
      free(text);
      put = true;
    }
  }
  yyjson_mut_doc_free(copy);
  yyjson_doc_free(doc);
  return put;
}

/* Head of an answer about validators. */
static void open_answer(aq_json_out *o) {
  aq_json_out_open(o, NULL, '{');
  aq_json_out_bool(o, "execution_optimistic", false);
  aq_json_out_bool(o, "finalized", false);
}

/* One id, a share key or an index. Returns false when the request was answered with an error. Unknown ones are left
   out: clients poll for keys that are not deposited yet. */
static bool add_id(aq_call *c, id_list *ids, const char *text) {
  int validator = -1;
  if (ids->named++ == AQ_VALIDATORS_MAX) {
    aq_call_error(c, 400, "too many validator ids");
    return false;
  }
  if (strncmp(text, "0x", 2) == 0) {
    uint8_t key[48];
    if (aq_hex_decode(key, sizeof key, aq_bytes_str(text), AQ_HEX_PREFIX) != AQ_OK) {
      aq_call_error(c, 400, "invalid validator id [%.100s]", text);
      return false;
    }
    validator = aq_vapi_by_share(c->v, key);
    void *other = aq_map_get(&c->v->foreign, key);
    if (validator < 0 && other) {
      aq_call_error(c, 400, "the key share of node %u is loaded in the validator client of node %u",
                    (unsigned)(uintptr_t)other - 1, c->v->cfg.self);
      return false;
    }
  } else {
    uint64_t index;
    if (aq_u64_parse(&index, aq_bytes_str(text)) != AQ_OK) {
      aq_call_error(c, 400, "invalid validator id [%.100s]", text);
      return false;
    }
    validator = aq_scheduler_by_index(aq_workflow_scheduler(c->v->cfg.workflow), index);
  }
  if (validator >= 0 && !ids->seen[validator]) {
    ids->seen[validator] = 1;
    ids->validator[ids->cnt++] = (uint32_t)validator;
  }
  return true;
}

/* Comma list of one query parameter; blanks trimmed. */
static bool add_list(aq_call *c, id_list *ids, char *text) {
  for (char *p = text; *p;) {
    size_t len = strcspn(p, ",");
    char *next = p[len] ? p + len + 1 : p + len;
    p[len] = 0;
    while (*p == ' ') p++;
    size_t end = strlen(p);
    while (end && p[end - 1] == ' ') p[--end] = 0;
    if (*p && !add_id(c, ids, p)) return false;
    p = next;
  }
  return true;
}

/* Values of one query parameter, in one pass. The buffer holds the longest; false: 400 was answered. */
static bool each_value(aq_call *c, const char *name, bool (*fn)(aq_call *c, void *arg, char *text), void *arg) {
  const char *at = c->req->query;
  size_t max = strlen(at) + 1;
  char *text = aq_arena_alloc(&c->arena, max);
  aq_status st = text ? AQ_OK : AQ_E_LIMIT;
  while (st == AQ_OK && (st = aq_http_query_next(&at, name, text, max)) == AQ_OK) {
    if (!fn(c, arg, text)) return false;
  }
  if (st == AQ_E_NOTFOUND) return true;
  aq_call_error(c, 400, "invalid query parameter %s", name);
  return false;
}

static bool ids_of_value(aq_call *c, void *arg, char *text) { return add_list(c, arg, text); }

static bool ids_from_body(aq_call *c, id_list *ids, yyjson_val *body) {
  yyjson_val *list = yyjson_obj_get(body, "ids"), *val;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, val) {
    char number[32];
    const char *text = yyjson_get_str(val);
    uint64_t index;
    if (!text) {
      snprintf(number, sizeof number, "no id");
      if (aq_json_val_u64(val, &index)) snprintf(number, sizeof number, "%llu", (unsigned long long)index);
      text = number;
    }
    if (!add_id(c, ids, text)) return false;
  }
  return true;
}

/* ---- statuses: a filter is a bit set, read once ---- */

static uint32_t status_bit(const char *text, size_t len) {
  for (size_t i = 0; i < AQ_COUNT(statuses); i++) {
    if (strlen(statuses[i]) == len && memcmp(statuses[i], text, len) == 0) return UINT32_C(1) << i;
  }
  return 0;
}

/* A comma list. Named, but unknown: nothing has it. */
static uint32_t status_bits(const char *list) {
  uint32_t bits = 0;
  for (const char *p = list; *p; p += *p == ',') {
    while (*p == ' ') p++;
    bits |= status_bit(p, strcspn(p, ", "));
    p += strcspn(p, ",");
  }
  return bits;
}

static bool statuses_of_value(aq_call *c, void *arg, char *text) {
  uint32_t *filter = arg;
  (void)c;
  *filter = (*filter & ~(uint32_t)ANY_STATUS) | status_bits(text);
  return true;
}

static void statuses_from_body(uint32_t *filter, yyjson_val *body) {
  yyjson_val *list = yyjson_obj_get(body, "statuses"), *val;
  size_t i, max;
  yyjson_arr_foreach(list, i, max, val) {
    *filter &= ~(uint32_t)ANY_STATUS;
    if (yyjson_is_str(val)) *filter |= status_bits(yyjson_get_str(val));
  }
}

static void drop_unwanted(const aq_call *c, id_list *ids, uint32_t filter) {
  const aq_scheduler *s = aq_workflow_scheduler(c->v->cfg.workflow);
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < ids->cnt; i++) {
    const char *status = aq_scheduler_validator(s, ids->validator[i])->status;
    uint32_t bits = status_bit(status, strlen(status)) | status_bit(status, strcspn(status, "_"));
    if (bits & filter) ids->validator[cnt++] = ids->validator[i];
  }
  ids->cnt = cnt;
}

static void answer_validators(aq_call *c, const id_list *ids) {
  aq_buf body = AQ_BUF(RECORDS_MAX);
  aq_json_out o = aq_json_out_line(&body);
  open_answer(&o);
  aq_json_out_open(&o, "data", '[');
  for (uint32_t i = 0; i < ids->cnt; i++) (void)put_record(&o, NULL, c->v, ids->validator[i]);
  aq_json_out_close(&o, ']');
  aq_json_out_close(&o, '}');
  aq_call_json(c, 200, aq_buf_bytes(&body));
  aq_buf_free(&body);
}

static void id_list_free(id_list *ids) {
  free(ids->validator);
  free(ids->seen);
}

static bool id_list_new(aq_call *c, id_list *ids) {
  uint32_t max = c->v->cfg.lock->validator_cnt;
  *ids = (id_list){.validator = calloc(max + 1, sizeof *ids->validator), .seen = calloc(max + 1, sizeof *ids->seen)};
  if (ids->validator && ids->seen) return true;
  id_list_free(ids);
  aq_call_error(c, 503, "no memory");
  return false;
}

/* False: 400 was answered. The body's ids count where the query has none, the statuses of both do. */
static bool read_lists(aq_call *c, id_list *ids, uint32_t *filter) {
  if (!each_value(c, "id", ids_of_value, ids) || !each_value(c, "status", statuses_of_value, filter)) return false;
  yyjson_doc *body = NULL;
  if (c->req->body.len > 0 && !(body = aq_call_body_json(c))) return false;
  yyjson_val *root = yyjson_doc_get_root(body);
  bool ok = ids->named > 0 || ids_from_body(c, ids, root);
  if (ok) statuses_from_body(filter, root);
  yyjson_doc_free(body);
  return ok;
}

static void validators_ready(aq_call *c) {
  id_list ids;
  uint32_t filter = ANY_STATUS;
  if (!id_list_new(c, &ids)) return;
  if (read_lists(c, &ids, &filter)) {
    for (uint32_t i = 0; ids.named == 0 && i < c->v->cfg.lock->validator_cnt; i++) ids.validator[ids.cnt++] = i;
    if (filter != ANY_STATUS) drop_unwanted(c, &ids, filter);
    answer_validators(c, &ids);
  }
  id_list_free(&ids);
}

static void one_validator(aq_call *c, const id_list *ids) {
  aq_buf body = AQ_BUF(RECORD_MAX + ENVELOPE_MAX);
  aq_json_out o = aq_json_out_line(&body);
  open_answer(&o);
  bool known = ids->cnt && put_record(&o, "data", c->v, ids->validator[0]);
  aq_json_out_close(&o, '}');
  if (known)
    aq_call_json(c, 200, aq_buf_bytes(&body));
  else
    aq_call_error(c, 404, "NotFound");
  aq_buf_free(&body);
}

static void validator_ready(aq_call *c) {
  id_list ids;
  if (!id_list_new(c, &ids)) return;
  if (add_id(c, &ids, c->param[1])) one_validator(c, &ids);
  id_list_free(&ids);
}

static void epoch_resolved(void *arg, bool ok) {
  aq_call *c = arg;
  if (ok)
    c->epoch_ready(c);
  else
    aq_call_error(c, 503, "the validators are not known yet: the beacon node has not answered");
}

/* Runs fn once the current epoch is resolved: early calls wait instead of failing. */
static void when_resolved(aq_call *c, void (*fn)(aq_call *c)) {
  if (!aq_call_ready(c)) return;
  const aq_env *env = c->v->cfg.env;
  const aq_clock *clock = &c->v->cfg.chain->clock;
  uint64_t epoch = aq_epoch_of(clock, aq_slot_at(clock, aq_now_ns(env)));
  c->epoch_ready = fn;
  aq_scheduler_await_epoch(aq_workflow_scheduler(c->v->cfg.workflow), &c->epoch_wait, epoch, aq_call_until(c),
                           epoch_resolved, c);
}

void aq_vapi_get_validators(aq_call *c) {
  if (c->req->body.len == 0 || aq_call_media(c, false)) when_resolved(c, validators_ready);
}
void aq_vapi_get_validator(aq_call *c) { when_resolved(c, validator_ready); }

/* ---- duties ---- */

enum {
  EPOCHS_BACK = 3 /* as the scheduler keeps */,
  EPOCHS_AHEAD = 2 /* the next, and a clock that is behind */,
  FAR_MAX = 4
};

/* Swaps the group key of each duty for the share key. false: a key that is none of the cluster's. */
static bool map_keys(const aq_vapi *v, yyjson_mut_doc *doc) {
  yyjson_mut_val *list = yyjson_mut_obj_get(yyjson_mut_doc_get_root(doc), "data"), *item;
  size_t i, max;
  yyjson_mut_arr_foreach(list, i, max, item) {
    yyjson_mut_val *key = yyjson_mut_obj_get(item, "pubkey");
    const char *text = yyjson_mut_get_str(key);
    uint8_t group[48];
    if (!text || aq_hex_decode(group, sizeof group, aq_bytes_str(text), AQ_HEX_PREFIX) != AQ_OK) return false;
    int validator = aq_vapi_by_group(v, group);
    if (validator < 0) return false;
    char *share = unsafe_yyjson_mut_str_alc(doc, 98);
    if (!share) return false;
    char hex[97];
    aq_hex_encode(hex, aq_bytes_of(aq_vapi_share(v, (uint32_t)validator), 48));
    memcpy(share, "0x", 2);
    memcpy(share + 2, hex, 96);
    yyjson_mut_set_strn(key, share, 98);
  }
  return true;
}

/* Keeps the duties of the validators that the request named; none named: all. */
static void drop_unasked(const aq_call *c, yyjson_mut_doc *doc, yyjson_val *indices) {
  const aq_scheduler *s = aq_workflow_scheduler(c->v->cfg.workflow);
  yyjson_mut_val *list = yyjson_mut_obj_get(yyjson_mut_doc_get_root(doc), "data"), *item;
  yyjson_val *val;
  size_t i, max;
  bool *asked = calloc(c->v->cfg.lock->validator_cnt + 1, sizeof *asked);
  if (!asked || yyjson_arr_size(indices) == 0) {
    free(asked);
    return;
  }
  yyjson_arr_foreach(indices, i, max, val) {
    uint64_t index;
    int validator = aq_json_val_u64(val, &index) ? aq_scheduler_by_index(s, index) : -1;
    if (validator >= 0) asked[validator] = true;
  }
  yyjson_mut_arr_iter it;
  yyjson_mut_arr_iter_init(list, &it);
  while ((item = yyjson_mut_arr_iter_next(&it))) {
    const char *text = yyjson_mut_get_str(yyjson_mut_obj_get(item, "validator_index"));
    uint64_t index;
    int validator = text && aq_u64_parse(&index, aq_bytes_str(text)) == AQ_OK ? aq_scheduler_by_index(s, index) : -1;
    if (validator < 0 || !asked[validator]) yyjson_mut_arr_iter_remove(&it);
  }
  free(asked);
}

static void duties_answer(void *arg, aq_status st, yyjson_val *answer) {
  aq_call *c = arg;
  c->duties_id = 0;
  if (st != AQ_OK) {
    aq_call_error(c, 503, "duties are not known: %s", aq_status_text(st));
    return;
  }
  yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
  yyjson_mut_doc_set_root(doc, yyjson_val_mut_copy(doc, answer));
  yyjson_doc *body = c->req->body.len ? aq_json_parse(c->req->body, AQ_VAPI_BODY_MAX, NULL) : NULL;
  if (body) drop_unasked(c, doc, yyjson_doc_get_root(body));
  yyjson_doc_free(body);
  size_t len = 0;
  char *text = map_keys(c->v, doc) ? yyjson_mut_write(doc, 0, &len) : NULL;
  yyjson_mut_doc_free(doc);
  if (text)
    aq_call_json(c, 200, aq_bytes_of(text, len));
  else
    aq_call_error(c, 500, "the beacon node answered with a validator outside the cluster");
  free(text);
}

/* Each epoch asks the beacon node over the node's own connections, and takes a place where the schedule has its own:
   attesters and proposers are known for the next epoch only, sync committees for longer, a few of which may be asked
   for at once. False: an answer was given. */
static bool epoch_fits(aq_call *c, aq_duties_kind kind, uint64_t epoch) {
  const aq_clock *clock = &c->v->cfg.chain->clock;
  uint64_t now = aq_epoch_of(clock, aq_slot_at(clock, aq_now_ns(c->v->cfg.env)));
  uint32_t far = 0;
  if (epoch + EPOCHS_BACK >= now && epoch <= now + EPOCHS_AHEAD) return true;
  if (kind != AQ_DUTIES_SYNC || epoch > UINT64_MAX - EPOCHS_BACK) {
    aq_call_error(c, 400, "epoch %llu is not near the current epoch %llu", (unsigned long long)epoch,
                  (unsigned long long)now);
    return false;
  }
  AQ_LIST_EACH(&c->v->calls, other, aq_call, link) far += other->far && other->duties_id;
  c->far = true;
  if (far < FAR_MAX) return true;
  aq_call_busy(c);
  return false;
}

static void duties(aq_call *c, aq_duties_kind kind) {
  uint64_t epoch;
  if (!aq_call_ready(c) || !aq_call_param_u64(c, 0, "epoch", &epoch) || !epoch_fits(c, kind, epoch)) return;
  if (kind != AQ_DUTIES_PROPOSER) {
    if (!aq_call_media(c, false)) return;
    yyjson_doc *body = aq_call_body_json(c);
    if (!body) return;
    bool is_list = yyjson_is_arr(yyjson_doc_get_root(body));
    yyjson_doc_free(body);
    if (!is_list) {
      aq_call_error(c, 400, "failed parsing json request body");
      return;
    }
  }
  c->duties_id = aq_scheduler_duties(aq_workflow_scheduler(c->v->cfg.workflow), kind, epoch, duties_answer, c);
}

void aq_vapi_attester_duties(aq_call *c) { duties(c, AQ_DUTIES_ATTESTER); }
void aq_vapi_proposer_duties(aq_call *c) { duties(c, AQ_DUTIES_PROPOSER); }
void aq_vapi_sync_duties(aq_call *c) { duties(c, AQ_DUTIES_SYNC); }
