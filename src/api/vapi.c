/* Calls from request to answer, the table of routes, and the maps between share keys and validators. */
#include "api/vapi_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "http/http.h"

/* ---- keys ---- */

static void *tagged(uint32_t i) { return (void *)(uintptr_t)(i + 1); }
static int untagged(void *p) { return (int)(uintptr_t)p - 1; }

int aq_vapi_by_share(const aq_vapi *v, const uint8_t share[48]) { return untagged(aq_map_get(&v->share, share)); }
int aq_vapi_by_group(const aq_vapi *v, const uint8_t pubkey[48]) { return untagged(aq_map_get(&v->group, pubkey)); }

const uint8_t *aq_vapi_share(const aq_vapi *v, uint32_t validator) {
  AQ_ASSERT(validator < v->cfg.lock->validator_cnt);
  return v->cfg.lock->validators[validator].share[v->cfg.self];
}

/* ---- life of a call ---- */

static void call_free(aq_call *c) {
  aq_list_remove(&c->link);
  aq_arena_free(&c->arena);
  free(c);
}

static void call_release(aq_call *c) {
  if (c->duty_wait.db) aq_dutydb_cancel(&c->duty_wait);
  if (c->epoch_wait.owner) aq_sched_waiter_cancel(&c->epoch_wait);
  if (c->duties_id) aq_scheduler_duties_cancel(aq_workflow_scheduler(c->v->cfg.workflow), c->duties_id);
  if (c->bn_id) aq_bn_cancel(c->v->cfg.bn, c->bn_id);
  aq_vapi_proxy_leave(c);
  if (c->topics) aq_vapi_events_leave(c);
  c->topics = 0;
  c->duties_id = c->bn_id = 0;
  if (c->submits == 0) call_free(c);
}

void aq_call_gone(void *arg) {
  aq_call *c = arg;
  c->gone = true;
  call_release(c);
}

void aq_call_done(aq_call *c, int code, const char *err) {
  AQ_ASSERT(!c->answered);
  c->answered = true;
  char code_text[16];
  snprintf(code_text, sizeof code_text, "%d", code);
  const aq_env *env = c->v->cfg.env;
  double ms = (double)(aq_mono_ns(env) - c->start_ns) / 1e6;
  aq_metric_add(AQ_M_API_REQUESTS_TOTAL, 1, AQ_LABELS(c->label, code_text));
  aq_metric_observe(AQ_M_API_LATENCY_MS, ms, AQ_LABELS(c->label));
  if (c->route && !(c->route->flags & AQ_ROUTE_OWN)) {
    aq_metric_observe(AQ_M_CORE_VALIDATORAPI_REQUEST_LATENCY_SECONDS, ms / 1e3, AQ_LABELS(c->route->name));
    if (code >= 400) {
      aq_metric_add(AQ_M_CORE_VALIDATORAPI_REQUEST_ERROR_TOTAL, 1, AQ_LABELS(c->route->name, code_text));
    }
  }
  const char *result = code >= 400 ? "error" : code == 202 ? "accepted" : "ok";
  aq_line_flow *lines = &c->v->lines;
  if (aq_line_flows(lines, aq_mono_ns(env))) {
    AQ_LOG(code >= 400 ? AQ_LOG_ERROR : AQ_LOG_INFO, "api_request", AQ_INT("bytes", (int64_t)c->body_len),
           AQ_INT("code", code), AQ_STR("err", err), AQ_INT("latency_ms", (int64_t)ms),
           AQ_UINT(lines->more ? "more" : NULL, lines->more), AQ_STR("result", result), AQ_STR("route", c->label),
           AQ_STR("trace_id", c->trace_id));
  }
  call_release(c);
}

void aq_call_answer(aq_call *c, int code, const aq_http_headers *h, aq_bytes body, const char *err) {
  c->vt->respond(c->res, code, h, body);
  aq_call_done(c, code, err);
}

void aq_call_json(aq_call *c, int code, aq_bytes body) {
  const aq_http_header type = {"Content-Type", "application/json"};
  aq_call_answer(c, code, &(aq_http_headers){&type, 1}, body, NULL);
}

void aq_call_empty(aq_call *c) { aq_call_answer(c, 200, &(aq_http_headers){NULL, 0}, aq_bytes_of("", 0), NULL); }

void aq_call_error(aq_call *c, int code, const char *fmt, ...) {
  char text[AQ_VAPI_TEXT_MAX];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  aq_buf body = AQ_BUF(AQ_VAPI_ERROR_MAX);
  aq_http_error_json(&body, code, text);
  const aq_http_header type = {"Content-Type", "application/json"};
  aq_call_answer(c, code, &(aq_http_headers){&type, 1}, aq_buf_bytes(&body), text);
  aq_buf_free(&body);
}

void aq_call_no_signature(aq_call *c, const char *what) {
  unsigned long long slot = c->slot;
  if (aq_workflow_combines(c->v->cfg.workflow))
    aq_call_error(c, 504, "waiting for %s of slot %llu", what, slot);
  else
    aq_call_error(c, 408,
                  "waiting for %s of slot %llu; threshold signing is off on this node, it must come from another", what,
                  slot);
}

/* Errors of the runbook's own routes: the short text and a newline (contract.md 4). */
static void call_plain(aq_call *c, int code, const char *text) {
  const aq_http_header h[] = {
      {"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}, {"Allow", "POST"}};
  char body[AQ_VAPI_TEXT_MAX + 2];
  int len = snprintf(body, sizeof body, "%s\n", text);
  aq_call_answer(c, code, &(aq_http_headers){h, code == 405 ? 3u : 2u}, aq_bytes_of(body, (size_t)len), text);
}

/* ---- parsing ---- */

bool aq_call_ready(aq_call *c) {
  if (c->v->cfg.workflow && c->v->cfg.chain) return true;
  aq_call_error(c, 503, "the node is starting: waiting for the beacon node");
  return false;
}

uint64_t aq_call_until(const aq_call *c) {
  const aq_env *env = c->v->cfg.env;
  uint64_t took_ns = aq_mono_ns(env) - c->start_ns;
  return aq_now_ns(env) + (took_ns < AQ_VAPI_CALL_NS ? AQ_VAPI_CALL_NS - took_ns : 0);
}

const char *aq_call_query(aq_call *c, const char *name) {
  size_t max = strlen(c->req->query) + 1;
  char *text = aq_arena_alloc(&c->arena, max);
  return text && aq_http_query_get(c->req->query, name, text, max) ? text : NULL;
}

bool aq_call_query_u64(aq_call *c, const char *name, uint64_t *out) {
  const char *text = aq_call_query(c, name);
  if (!text || !text[0]) {
    aq_call_error(c, 400, "missing query parameter %s", name);
    return false;
  }
  if (aq_u64_parse(out, aq_bytes_str(text)) == AQ_OK) return true;
  aq_call_error(c, 400, "invalid uint path parameter %s [%.64s]", name, text);
  return false;
}

bool aq_call_param_u64(aq_call *c, int i, const char *name, uint64_t *out) {
  if (aq_u64_parse(out, aq_bytes_str(c->param[i])) == AQ_OK) return true;
  aq_call_error(c, 400, "invalid uint path parameter %s [%.64s]", name, c->param[i]);
  return false;
}

bool aq_call_is_ssz(const aq_call *c) {
  const char *type = aq_http_header_get(&c->req->headers, "Content-Type");
  return type && strstr(type, "application/octet-stream");
}

bool aq_call_media(aq_call *c, bool takes_ssz) {
  const char *type = aq_http_header_get(&c->req->headers, "Content-Type");
  if (!type || !type[0] || strstr(type, "application/json")) return true;
  if (!aq_call_is_ssz(c))
    aq_call_error(c, 415, "unsupported media type %.128s", type);
  else if (!takes_ssz)
    aq_call_error(c, 415, "Cannot read the supplied content type.");
  else
    return true;
  return false;
}

/* Weight of a media type in thousandths, -1 when it is not named; where it stands in *at. */
static int weight(const char *accept, const char *type, const char **at) {
  const char *p = strstr(accept, type);
  *at = p;
  if (!p) return -1;
  const char *end = p + strcspn(p, ",");
  while (p < end && !(p[0] == 'q' && p[1] == '=')) p++;
  if (p == end) return 1000;
  int q = 0, unit = 1000;
  for (p += 2; p < end && unit > 0; p++) {
    if (*p == '.') continue;
    if (*p < '0' || *p > '9') break;
    q += (*p - '0') * unit;
    unit /= 10;
  }
  return q;
}

/* The first of the two types named wins unless the other has the higher q; enough for what clients send. */
bool aq_call_wants_ssz(const aq_call *c) {
  const char *accept = aq_http_header_get(&c->req->headers, "Accept"), *ssz_at, *json_at;
  if (!accept) return false;
  int ssz = weight(accept, "application/octet-stream", &ssz_at), json = weight(accept, "application/json", &json_at);
  return ssz > 0 && (ssz > json || (ssz == json && ssz_at < json_at));
}

yyjson_doc *aq_call_body_json(aq_call *c) {
  if (c->req->body.len == 0) {
    aq_call_error(c, 400, "empty request body");
    return NULL;
  }
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_VAPI_BLOCK_MAX, NULL);
  if (!doc) aq_call_error(c, 400, "failed parsing json request body");
  return doc;
}

bool aq_call_version(aq_call *c, uint64_t slot, bool needed, aq_fork *out) {
  const char *text = aq_http_header_get(&c->req->headers, "Eth-Consensus-Version");
  if (!text) {
    if (needed) {
      aq_call_error(c, 400, "missing header Eth-Consensus-Version");
      return false;
    }
    *out = aq_chain_fork_at(c->v->cfg.chain, aq_epoch_of(&c->v->cfg.chain->clock, slot));
    return true;
  }
  if (aq_fork_parse(out, aq_bytes_str(text))) return true;
  aq_call_error(c, 400, "unknown Eth-Consensus-Version [%.32s]", text);
  return false;
}

/* ---- submissions ---- */

bool aq_call_items(aq_call *c, uint32_t cnt) {
  if (cnt > AQ_VAPI_ITEMS_MAX) {
    aq_call_error(c, 413, "too many items: %u, at most %u", cnt, (unsigned)AQ_VAPI_ITEMS_MAX);
    return false;
  }
  c->item = aq_arena_array(&c->arena, cnt, sizeof *c->item);
  c->why = aq_arena_array(&c->arena, cnt, sizeof *c->why);
  c->item_cnt = cnt;
  if (c->item && c->why) return true;
  aq_call_error(c, 413, "too many items: no memory");
  return false;
}

void aq_call_refuse(aq_call *c, uint32_t i, aq_status st, const char *why) {
  c->item[i] = st;
  c->why[i] = why;
}

static const char *item_text(const aq_call *c, uint32_t i) {
  if (c->why[i]) return c->why[i];
  switch (c->item[i]) {
    case AQ_E_AUTH: return "the signature is not valid under this node's key share";
    case AQ_E_SLASH: return "refused: it contradicts what this node signed before";
    case AQ_E_EXISTS: return "another object was signed for this duty before";
    case AQ_E_STALE: return "the duty is past its deadline";
    case AQ_E_FORMAT: return "it differs from what the cluster agreed on";
    default: return aq_status_text(c->item[i]);
  }
}

enum { FAILURE_MAX = 256 }; /* JSON of one refused item: most texts are far shorter */

static void answer_failures(aq_call *c, int code, const char *first) {
  aq_buf out = AQ_BUF((size_t)AQ_VAPI_ITEMS_MAX * FAILURE_MAX + AQ_VAPI_ERROR_MAX);
  aq_json_out o = aq_json_out_line(&out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64(&o, "code", (uint64_t)code);
  aq_json_out_str(&o, "message", first);
  aq_json_out_open(&o, "failures", '[');
  for (uint32_t i = 0; i < c->item_cnt; i++) {
    if (c->item[i] == AQ_OK) continue;
    aq_json_out_open(&o, NULL, '{');
    aq_json_out_u64(&o, "index", i);
    aq_json_out_str(&o, "message", item_text(c, i));
    aq_json_out_close(&o, '}');
  }
  aq_json_out_close(&o, ']');
  aq_json_out_close(&o, '}');
  const aq_http_header type = {"Content-Type", "application/json"};
  aq_call_answer(c, code, &(aq_http_headers){&type, 1}, aq_buf_bytes(&out), first);
  aq_buf_free(&out);
}

void aq_call_submitted(aq_call *c) {
  if (c->submits > 0 || c->answered) return;
  if (c->gone) {
    call_free(c);
    return;
  }
  const char *first = NULL;
  bool only_env = true;
  for (uint32_t i = 0; i < c->item_cnt; i++) {
    if (c->item[i] == AQ_OK) continue;
    if (!first) first = item_text(c, i);
    if (c->item[i] != AQ_E_IO && c->item[i] != AQ_E_CLOSED) only_env = false;
  }
  if (first)
    answer_failures(c, only_env ? 503 : 400, first);
  else
    aq_call_empty(c);
}

typedef struct {
  aq_call *c;
  uint32_t cnt;
  uint32_t pos[];
} submission;

static void submit_done(void *arg, const aq_status *item, const char *const *why, uint32_t cnt) {
  submission *s = arg;
  aq_call *c = s->c;
  AQ_ASSERT(cnt == s->cnt && c->submits > 0);
  for (uint32_t i = 0; i < cnt; i++) c->item[s->pos[i]] = item[i], c->why[s->pos[i]] = why[i];
  c->submits--;
  aq_call_submitted(c);
}

void aq_call_submit(aq_call *c, aq_duty duty, const aq_partial *p, const uint32_t *pos, uint32_t cnt) {
  submission *s = aq_arena_alloc(&c->arena, sizeof *s + cnt * sizeof s->pos[0]);
  if (!s) {
    for (uint32_t i = 0; i < cnt; i++) aq_call_refuse(c, pos[i], AQ_E_LIMIT, NULL);
    return;
  }
  s->c = c;
  s->cnt = cnt;
  memcpy(s->pos, pos, cnt * sizeof pos[0]);
  c->submits++;
  aq_workflow_submit(c->v->cfg.workflow, duty, p, cnt, submit_done, s);
}

/* ---- own routes ---- */

static void get_health(aq_call *c) {
  const aq_http_header type = {"Content-Type", "text/plain; charset=utf-8"};
  bool ok = c->v->why[0] == 0;
  aq_call_answer(c, ok ? 200 : 503, &(aq_http_headers){&type, 1}, aq_bytes_str(ok ? "ok" : c->v->why),
                 ok ? NULL : c->v->why);
}

static aq_duty_type manual_type(const char *text) {
  static const struct {
    const char *name;
    aq_duty_type type;
  } manual[] = {{"attester", AQ_DUTY_ATTESTER}, {"proposer", AQ_DUTY_PROPOSER}, {"sync", AQ_DUTY_SYNC_CONTRIBUTION}};
  for (size_t i = 0; text && i < AQ_COUNT(manual); i++) {
    if (strcmp(text, manual[i].name) == 0) return manual[i].type;
  }
  return AQ_DUTY_UNKNOWN;
}

/* An absent number is 0, as in the Go node. */
static bool member_u64(yyjson_val *obj, const char *name, uint64_t max, uint64_t *out) {
  *out = 0;
  return !yyjson_obj_get(obj, name) || (aq_json_u64(obj, name, out) && *out <= max);
}

static void post_duty(aq_call *c) {
  if (strcmp(c->req->method, "POST") != 0) {
    call_plain(c, 405, "method not allowed");
    return;
  }
  if (c->req->body.len == 0 || c->req->body.len > AQ_VAPI_SMALL_MAX) {
    call_plain(c, 400, c->req->body.len ? "read error" : "empty body");
    return;
  }
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_VAPI_SMALL_MAX, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  uint64_t height = 0, round = 0;
  aq_duty_type type = manual_type(aq_json_str(root, "type"));
  const char *bad = NULL;
  if (!yyjson_is_obj(root))
    bad = "invalid json";
  else if (yyjson_obj_size(root) == 0)
    bad = "empty";
  else if (type == AQ_DUTY_UNKNOWN)
    bad = "invalid type";
  else if (!member_u64(root, "height", UINT64_C(1) << 62, &height))
    bad = "height out of range";
  else if (!member_u64(root, "round", UINT64_C(1) << 40, &round))
    bad = "round out of range";
  yyjson_doc_free(doc);
  if (bad) {
    call_plain(c, 400, bad);
    return;
  }
  if (!c->v->cfg.simulated && c->v->cfg.workflow) {
    call_plain(c, 403, "duty injection is for simulated networks");
    return;
  }
  aq_status st = AQ_E_AGAIN;
  if (c->v->cfg.workflow) {
    st = aq_scheduler_inject(aq_workflow_scheduler(c->v->cfg.workflow), (aq_duty){height, type});
  }
  if (st == AQ_E_AGAIN)
    call_plain(c, 503, "not ready");
  else if (st == AQ_OK || st == AQ_E_EXISTS)
    aq_call_answer(c, 202, &(aq_http_headers){NULL, 0}, aq_bytes_of("", 0), NULL);
  else
    call_plain(c, 400, st == AQ_E_STALE ? "duty is past its deadline" : "no such duty in this slot");
}

static void get_version(aq_call *c) {
  aq_buf body = AQ_BUF(AQ_VAPI_OBJECT_MAX);
  /* "charon" in it makes client libraries skip the RANDAO comparison (validator-api.md 12). */
  char version[AQ_VAPI_TEXT_MAX];
  snprintf(version, sizeof version, "aequa/%s/charon-compatible/linux", c->v->cfg.version);
  aq_json_out o = aq_json_out_line(&body);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_open(&o, "data", '{');
  aq_json_out_str(&o, "version", version);
  aq_json_out_close(&o, '}');
  aq_json_out_close(&o, '}');
  aq_call_json(c, 200, aq_buf_bytes(&body));
  aq_buf_free(&body);
}

/* Registrations come pre-signed from the lock, fee recipients too (validator-api.md 11). */
static void ignore(aq_call *c) { aq_call_empty(c); }
static void retired(aq_call *c) { aq_call_error(c, 404, "NotFound"); }
static void later(aq_call *c) {
  aq_call_error(c, 501, "%s: this version does attester and proposer duties only", c->route->name);
}

#define ETH1 "/eth/v1/"
#define ETH2 "/eth/v2/"
#define ROW(verb, way, label, fn, size, bits) \
  { .route = {verb, way}, .name = label, .handle = fn, .body = AQ_BODY_##size, .flags = bits }
const aq_vapi_route aq_vapi_rows[] = {
    ROW(NULL, "/health", "/health", get_health, READ, AQ_ROUTE_OWN),
    /* Over its own limit the handler answers (contract.md 4.2). */
    ROW(NULL, "/v1/duty", "/v1/duty", post_duty, LIST, AQ_ROUTE_OWN),
    ROW("GET", ETH1 "beacon/states/{}/validators", "get_validators", aq_vapi_get_validators, READ, 0),
    ROW("POST", ETH1 "beacon/states/{}/validators", "get_validators", aq_vapi_get_validators, LIST, 0),
    ROW("GET", ETH1 "beacon/states/{}/validators/{}", "get_validator", aq_vapi_get_validator, READ, 0),
    ROW("POST", ETH1 "validator/duties/attester/{}", "attester_duties", aq_vapi_attester_duties, LIST, 0),
    ROW("GET", ETH1 "validator/duties/proposer/{}", "proposer_duties", aq_vapi_proposer_duties, READ, 0),
    ROW("GET", ETH2 "validator/duties/proposer/{}", "proposer_duties_v2", aq_vapi_proposer_duties, READ, AQ_ROUTE_V2),
    ROW("POST", ETH1 "validator/duties/sync/{}", "sync_committee_duties", aq_vapi_sync_duties, LIST, 0),
    ROW("GET", ETH1 "validator/attestation_data", "attestation_data", aq_vapi_attestation_data, READ, 0),
    ROW("POST", ETH2 "beacon/pool/attestations", "submit_attestations_v2", aq_vapi_submit_attestations, LIST,
        AQ_ROUTE_V2),
    ROW("POST", ETH1 "beacon/pool/attestations", "submit_attestations", aq_vapi_submit_attestations, LIST, 0),
    ROW("GET", "/eth/v3/validator/blocks/{}", "propose_block_v3", aq_vapi_propose_block, READ, AQ_ROUTE_V3),
    ROW("GET", ETH2 "validator/blocks/{}", "propose_block", aq_vapi_propose_block, READ, AQ_ROUTE_V2),
    ROW("POST", ETH1 "beacon/blocks", "submit_proposal_v1", aq_vapi_submit_block, BLOCK, 0),
    ROW("POST", ETH2 "beacon/blocks", "submit_proposal_v2", aq_vapi_submit_block, BLOCK, AQ_ROUTE_V2),
    ROW("POST", ETH1 "beacon/blinded_blocks", "submit_blinded_block_v1", aq_vapi_submit_block, BLOCK, AQ_ROUTE_BLINDED),
    ROW("POST", ETH2 "beacon/blinded_blocks", "submit_blinded_block_v2", aq_vapi_submit_block, BLOCK,
        AQ_ROUTE_V2 | AQ_ROUTE_BLINDED),
    ROW("POST", ETH1 "beacon/pool/voluntary_exits", "submit_voluntary_exit", aq_vapi_submit_exit, LIST, 0),
    ROW("POST", ETH1 "validator/register_validator", "submit_validator_registration", ignore, LIST, 0),
    ROW("POST", ETH1 "validator/prepare_beacon_proposer", "submit_proposal_preparations", ignore, LIST, 0),
    ROW("POST", ETH1 "validator/beacon_committee_subscriptions", "beacon_committee_subscriptions",
        aq_vapi_subscribe_all, LIST, 0),
    ROW("POST", ETH1 "validator/sync_committee_subscriptions", "sync_committee_subscriptions", aq_vapi_subscribe_all,
        LIST, 0),
    ROW("GET", ETH1 "events", "events", aq_vapi_get_events, READ, 0),
    ROW("GET", ETH1 "node/version", "node_version", get_version, READ, 0),
    ROW("GET", "/proposer_config", "proposer_config", retired, READ, 0),
    ROW("GET", "/teku_proposer_config", "teku_proposer_config", retired, READ, 0),
    ROW("GET", ETH1 "validator/blinded_blocks/{}", "propose_blinded_block", retired, READ, 0),
    ROW("GET", ETH1 "validator/aggregate_attestation", "aggregate_attestation", retired, READ, 0),
    ROW("POST", ETH1 "validator/aggregate_and_proofs", "submit_aggregate_and_proofs", retired, LIST, 0),
    ROW("GET", ETH2 "validator/aggregate_attestation", "aggregate_attestation_v2", later, READ, AQ_ROUTE_V2),
    ROW("GET", ETH1 "validator/sync_committee_contribution", "sync_committee_contribution", later, READ, 0),
    /* A partial signature sent to a beacon node would be refused there: better to say so here. */
    ROW("POST", ETH2 "validator/aggregate_and_proofs", "submit_aggregate_and_proofs_v2", later, LIST, AQ_ROUTE_V2),
    ROW("POST", ETH1 "beacon/pool/sync_committees", "submit_sync_committee_messages", later, LIST, 0),
    ROW("POST", ETH1 "validator/contribution_and_proofs", "submit_contribution_and_proofs", later, LIST, 0),
    ROW("POST", ETH1 "validator/beacon_committee_selections", "aggregate_beacon_committee_selections", later, LIST, 0),
    ROW("POST", ETH1 "validator/sync_committee_selections", "aggregate_sync_committee_selections", later, LIST, 0),
};
#undef ROW
const size_t aq_vapi_row_cnt = AQ_COUNT(aq_vapi_rows);

/* ---- routing ---- */

static const aq_vapi_route *find(const char *method, const char *path, char (*param)[AQ_HTTP_PARAM_MAX + 1]) {
  return aq_route_find(AQ_ROUTES(aq_vapi_rows), method, path, param);
}

void aq_call_not_allowed(aq_call *c) {
  char allow[64];
  static const char text[] = "method not allowed";
  aq_route_allowed(AQ_ROUTES(aq_vapi_rows), c->path, allow, sizeof allow);
  const aq_http_header h[] = {{"Content-Type", "application/json"}, {"Allow", allow[0] ? allow : "GET, HEAD"}};
  aq_buf body = AQ_BUF(AQ_VAPI_ERROR_MAX);
  aq_http_error_json(&body, 405, text);
  aq_call_answer(c, 405, &(aq_http_headers){h, 2}, aq_buf_bytes(&body), text);
  aq_buf_free(&body);
}

/* Blocks are large, and only asked back where the cluster has one: else nobody may make us hold so much. */
static bool awaits_block(const aq_vapi *v) {
  return v->cfg.workflow && aq_dutydb_has(aq_workflow_dutydb(v->cfg.workflow), AQ_DUTY_PROPOSER);
}

static size_t body_max(void *arg, const char *method, const char *path) {
  const aq_vapi *v = arg;
  char normal[AQ_VAPI_PATH_MAX + 1];
  static const size_t max[AQ_BODY_CNT] = {
      [AQ_BODY_READ] = AQ_VAPI_READ_MAX, [AQ_BODY_LIST] = AQ_VAPI_BODY_MAX, [AQ_BODY_BLOCK] = AQ_VAPI_BLOCK_MAX};
  const aq_vapi_route *r = aq_vapi_normal(normal, path) ? find(method, normal, NULL) : NULL;
  aq_body_class body = r ? r->body : AQ_BODY_READ;
  return max[body == AQ_BODY_BLOCK && !awaits_block(v) ? AQ_BODY_LIST : body];
}

/* One series with the last value (validator-api.md 2.4). */
static void note_user_agent(aq_vapi *v, const aq_http_req *req) {
  const char *agent = aq_http_header_get(&req->headers, "User-Agent");
  if (!agent || !agent[0] || strncmp(agent, v->user_agent, AQ_VAPI_AGENT_MAX) == 0) return;
  if (v->user_agent[0]) aq_metric_clear(AQ_M_CORE_VALIDATORAPI_VC_USER_AGENT, AQ_LABELS(v->user_agent));
  snprintf(v->user_agent, sizeof v->user_agent, "%s", agent);
  aq_metric_set(AQ_M_CORE_VALIDATORAPI_VC_USER_AGENT, 1, AQ_LABELS(v->user_agent));
}

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  aq_vapi *v = arg;
  aq_call *c = calloc(1, sizeof *c);
  if (!c) {
    vt->respond(res, 503, &(aq_http_headers){NULL, 0}, aq_bytes_of("", 0));
    return;
  }
  c->v = v;
  c->req = req;
  c->res = res;
  c->vt = vt;
  c->start_ns = aq_mono_ns(v->cfg.env);
  c->body_len = req->body.len;
  size_t sent = req->body.len + strlen(req->query);
  aq_arena_init(&c->arena, AQ_VAPI_ARENA_BASE + AQ_VAPI_ARENA_TIMES * sent);
  aq_list_push(&v->calls, &c->link);
  aq_trace_id(c->trace_id, req, aq_now_ns(v->cfg.env));
  vt->watch(res, aq_call_gone, NULL, c);
  bool good = aq_vapi_normal(c->path, req->path);
  if (good) c->route = find(req->method, c->path, c->param);
  bool own = c->route && (c->route->flags & AQ_ROUTE_OWN);
  c->label = c->route ? c->route->route.path : "proxy";
  if (!own) {
    v->last_request_ns = aq_mono_ns(v->cfg.env);
    note_user_agent(v, req);
    aq_metric_add(AQ_M_CORE_VALIDATORAPI_REQUEST_TOTAL, 1,
                  AQ_LABELS(c->route ? c->route->name : "proxy",
                            aq_call_is_ssz(c) ? "application/octet-stream" : "application/json"));
  }
  if (c->route)
    c->route->handle(c);
  else if (good)
    aq_vapi_proxy(c);
  else
    aq_call_error(c, 400, "the path is not one of this API");
}

aq_vapi *aq_vapi_new(const aq_vapi_cfg *cfg) {
  aq_vapi *v = calloc(1, sizeof *v);
  AQ_ASSERT(v);
  v->cfg = *cfg;
  v->handler = (aq_http_handler){v, body_max, handle};
  aq_list_init(&v->calls);
  aq_list_init(&v->proxy_waiting);
  aq_list_init(&v->proxy_open);
  aq_list_init(&v->subscribing);
  aq_list_init(&v->kept);
  v->events = aq_vapi_events_new(v);
  size_t max = (size_t)AQ_VALIDATORS_MAX * AQ_OPERATORS_MAX;
  aq_map_init(&v->share, 48, max, NULL);
  aq_map_init(&v->foreign, 48, max, NULL);
  aq_map_init(&v->group, 48, max, NULL);
  for (uint32_t i = 0; cfg->lock && i < cfg->lock->validator_cnt; i++) {
    aq_status put = aq_map_put(&v->group, cfg->lock->validators[i].pubkey, tagged(i));
    AQ_ASSERT(put == AQ_OK);
    for (uint32_t op = 0; op < cfg->lock->def.operator_cnt; op++) {
      const uint8_t *key = cfg->lock->validators[i].share[op];
      aq_status st = op == cfg->self ? aq_map_put(&v->share, key, tagged(i)) : aq_map_put(&v->foreign, key, tagged(op));
      AQ_ASSERT(st == AQ_OK);
    }
  }
  return v;
}

void aq_vapi_free(aq_vapi *v) {
  if (!v) return;
  AQ_LIST_EACH(&v->calls, c, aq_call, link) {
    c->submits = 0;
    call_release(c);
  }
  aq_timer_cancel(v->cfg.env, &v->proxy_turn);
  aq_vapi_subscribe_stop(v);
  aq_vapi_events_free(v->events);
  aq_map_free(&v->group);
  aq_map_free(&v->share);
  aq_map_free(&v->foreign);
  free(v);
}

void aq_vapi_ready(aq_vapi *v, const aq_chain *chain, aq_workflow *workflow) {
  v->cfg.chain = chain;
  v->cfg.workflow = workflow;
}

void aq_vapi_unhealthy(aq_vapi *v, const char *why) { snprintf(v->why, sizeof v->why, "%s", why ? why : ""); }
const aq_http_handler *aq_vapi_handler(aq_vapi *v) { return &v->handler; }
uint64_t aq_vapi_last_request_ns(const aq_vapi *v) { return v->last_request_ns; }
