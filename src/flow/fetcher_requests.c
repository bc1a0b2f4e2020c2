/* What is asked for each duty type, and what an answer must be to be believed. */
#include <strings.h>

#include "base/log.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "crypto/hash.h"
#include "eth/block.h"
#include "flow/fetcher_internal.h"
#include "http/http.h"

enum { PATH_MAX_LEN = 1024 };

#define ACCEPT_SSZ "application/octet-stream;q=1,application/json;q=0.9"

typedef struct {
  const char *endpoint, *accept;
  size_t body_max;
  bool (*good)(void *arg, const aq_bn_answer *ans);
  aq_bn_fn fn;
} question;

static void ask(aq_fetch_item *it, const question *q, aq_buf *path) {
  const aq_bn_req req = {.endpoint = q->endpoint,
                         .method = "GET",
                         .path = aq_buf_cstr(path),
                         .accept = q->accept,
                         .body_max = q->body_max,
                         .good = q->good};
  it->waiting = false;
  it->call_id = aq_bn_call(it->task->f->cfg.bn, &req, q->fn, it);
  aq_buf_free(path);
}

static bool is_ssz(const aq_bn_answer *ans) { return strncmp(ans->content_type, "application/octet-stream", 24) == 0; }

/* SSZ of t from the member `data` of a JSON answer. */
static bool from_json(aq_buf *out, const aq_ssz_type *t, yyjson_val *root) {
  aq_buf_reset(out);
  return t && aq_ssz_from_json(out, t, yyjson_obj_get(root, "data"), NULL) == AQ_OK;
}

static bool fork_of(aq_fork *out, const aq_bn_answer *ans, yyjson_val *root) {
  const char *name = aq_http_header_get(&ans->headers, "Eth-Consensus-Version");
  if (!name || !*name) name = aq_json_str(root, "version");
  return name && aq_fork_parse(out, aq_bytes_str(name));
}

static uint64_t epoch_of(const aq_fetch_item *it) {
  return aq_epoch_of(&it->task->f->cfg.chain->clock, it->task->duty.slot);
}

static aq_fork fork_now(const aq_fetch_item *it) { return aq_chain_fork_at(it->task->f->cfg.chain, epoch_of(it)); }

/* A node that lacks this form of the route may have the other; what worked is remembered. True: it was asked again.
   */
static bool other_route(aq_fetch_item *it, bool *form, aq_status st, const aq_bn_answer *ans,
                        void (*again)(aq_fetch_item *)) {
  if (aq_failure_of(st, ans) != AQ_FAILURE_ROUTE || it->resent) return false;
  it->resent = true;
  if (*form == it->old_form) *form = !*form; /* else another item learnt it meanwhile */
  again(it);
  return true;
}

/* ---- attester: core.md 7.1 ---- */

static bool attestation_good(void *arg, const aq_bn_answer *ans) {
  aq_fetch_item *it = arg;
  yyjson_doc *doc = aq_json_parse(ans->body, AQ_FETCH_SMALL_MAX, NULL);
  it->type = &aq_t_attestation_data;
  bool good = from_json(&it->value, it->type, yyjson_doc_get_root(doc));
  yyjson_doc_free(doc);
  if (!good) return false;
  aq_att_data d;
  aq_att_data_get(&d, aq_buf_bytes(&it->value));
  return d.slot == it->task->duty.slot && d.index == it->committee && d.target_epoch == epoch_of(it) &&
         (d.source_epoch < d.target_epoch || d.target_epoch == 0);
}

static void attestation_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_fetch_item *it = arg;
  it->call_id = 0;
  if (st == AQ_OK)
    aq_fetch_end(it, AQ_OK, false, "");
  else
    aq_fetch_failed(it, st, ans);
}

static void fetch_attestation(aq_fetch_item *it) {
  static const question q = {.endpoint = "attestation_data",
                             .body_max = AQ_FETCH_SMALL_MAX,
                             .good = attestation_good,
                             .fn = attestation_answer};
  aq_buf path = AQ_BUF(PATH_MAX_LEN);
  aq_buf_printf(&path, "/eth/v1/validator/attestation_data?slot=%llu&committee_index=%llu",
                (unsigned long long)it->task->duty.slot, (unsigned long long)it->committee);
  ask(it, &q, &path);
}

/* ---- proposer: core.md 7.3 ---- */

/* Which kind of block it is; root NULL: by the headers alone. JSON that does not name a fork is of the slot's. */
static bool block_header(aq_fetch_item *it, const aq_bn_answer *ans, yyjson_val *root) {
  const char *blinded = aq_http_header_get(&ans->headers, "Eth-Execution-Payload-Blinded");
  it->blinded = blinded && *blinded ? strcasecmp(blinded, "true") == 0
                                    : yyjson_get_bool(yyjson_obj_get(root, "execution_payload_blinded"));
  const char *version = aq_http_header_get(&ans->headers, "Eth-Consensus-Version");
  bool nameless = root && !(version && *version) && !yyjson_obj_get(root, "version");
  if (nameless) it->fork = fork_now(it);
  if (!nameless && !fork_of(&it->fork, ans, root)) return false;
  if (!aq_bn_version_fits(it->task->f->cfg.bn, it->fork, epoch_of(it))) return false;
  it->type = aq_t_proposal(it->fork, it->blinded, false);
  return it->type != NULL;
}

/* Some gateways drop headers that they do not know. */
static bool lacks_labels(const aq_bn_answer *ans) {
  const char *version = aq_http_header_get(&ans->headers, "Eth-Consensus-Version");
  const char *blinded = aq_http_header_get(&ans->headers, "Eth-Execution-Payload-Blinded");
  return !version || !*version || !blinded || !*blinded;
}

/* The block is of this slot and carries the cluster's RANDAO. */
static bool block_ours(const aq_fetch_item *it) {
  aq_block_view view;
  aq_block_view_get(&view, it->fork, it->blinded, false, aq_buf_bytes(&it->value));
  return view.slot == it->task->duty.slot && aq_bytes_eq(view.randao, aq_bytes_of(it->sig, 96));
}

static bool block_good(void *arg, const aq_bn_answer *ans) {
  aq_fetch_item *it = arg;
  bool good;
  if (is_ssz(ans)) {
    good = block_header(it, ans, NULL) && aq_ssz_check(it->type, ans->body) == AQ_OK;
    aq_buf_reset(&it->value);
    if (good) aq_buf_put_bytes(&it->value, ans->body);
    good = good && !it->value.failed;
    it->unlabelled |= !good && lacks_labels(ans);
  } else {
    yyjson_doc *doc = aq_json_parse(ans->body, AQ_FETCH_VALUE_MAX, NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    good = block_header(it, ans, root) && from_json(&it->value, it->type, root);
    yyjson_doc_free(doc);
  }
  return good && block_ours(it);
}

static void block_answer(void *arg, aq_status st, const aq_bn_answer *ans);

static void ask_block(aq_fetch_item *it) {
  static const question any = {.endpoint = "proposal",
                               .accept = ACCEPT_SSZ,
                               .body_max = AQ_FETCH_VALUE_MAX,
                               .good = block_good,
                               .fn = block_answer},
                        json = {"proposal", NULL, AQ_FETCH_VALUE_MAX, block_good, block_answer};
  const aq_fetcher *f = it->task->f;
  it->unlabelled = false;
  it->old_form = f->blocks_v2;
  uint8_t graffiti[32] = {0};
  aq_buf path = AQ_BUF(PATH_MAX_LEN);
  size_t len = f->cfg.graffiti ? strlen(f->cfg.graffiti) : 0;
  if (len) memcpy(graffiti, f->cfg.graffiti, len < 32 ? len : 32);
  aq_buf_printf(&path, "/eth/v%d/validator/blocks/%llu?randao_reveal=0x", f->blocks_v2 ? 2 : 3,
                (unsigned long long)it->task->duty.slot);
  aq_buf_put_hex(&path, aq_bytes_of(it->sig, 96));
  aq_buf_put_str(&path, "&graffiti=0x");
  aq_buf_put_hex(&path, aq_bytes_of(graffiti, 32));
  if (!f->blocks_v2)
    aq_buf_printf(&path, "&builder_boost_factor=%s", f->cfg.builder_api ? "18446744073709551615" : "0");
  ask(it, it->json_only || f->blocks_json ? &json : &any, &path);
}

static void block_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_fetch_item *it = arg;
  it->call_id = 0;
  if (st == AQ_OK) {
    it->task->f->blocks_json |= it->json_only;
    aq_metric_set(AQ_M_CORE_FETCHER_PROPOSAL_BLINDED, it->blinded ? 1 : 2, AQ_NO_LABELS);
    aq_fetch_end(it, AQ_OK, false, "");
  } else if (it->unlabelled && !it->json_only) {
    it->json_only = true;
    ask_block(it);
  } else if (!other_route(it, &it->task->f->blocks_v2, st, ans, ask_block)) {
    aq_fetch_failed(it, st, ans);
  }
}

/* A wait in aggsigdb ended: the signature is in it->sig. */
static bool have_sig(aq_fetch_item *it, aq_status st, const aq_signed_data *data) {
  it->sig_wait.fn = NULL;
  it->waiting = false;
  if (st == AQ_OK) memcpy(it->sig, data->sig, 96);
  return st == AQ_OK;
}

/* The group signature that the duty needs first. */
static void await_sig(aq_fetch_item *it, void (*fn)(void *, aq_status, const aq_signed_data *)) {
  aq_fetch_task *t = it->task;
  it->waiting = true;
  it->sig_wait = (aq_aggsigdb_waiter){
      .key = {.duty = {t->duty.slot, aq_duty_of(t->duty.type)->needs}, .validator = t->def[it->def].validator},
      .fn = fn,
      .arg = it};
  aq_aggsigdb_await(t->f->cfg.aggsigdb, &it->sig_wait, t->deadline_ns);
}

static void randao_ready(void *arg, aq_status st, const aq_signed_data *data) {
  aq_fetch_item *it = arg;
  if (have_sig(it, st, data))
    ask_block(it);
  else
    aq_fetch_end(it, st, true, "no aggregated RANDAO");
}

static void fetch_block(aq_fetch_item *it) { await_sig(it, randao_ready); }

/* ---- aggregator: core.md 7.2 ---- */

static bool aggregate_good(void *arg, const aq_bn_answer *ans) {
  aq_fetch_item *it = arg;
  yyjson_doc *doc = aq_json_parse(ans->body, AQ_FETCH_AGGREGATE_MAX, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  if (!fork_of(&it->fork, ans, root)) it->fork = fork_now(it); /* v1 names none */
  if (!aq_bn_version_fits(it->task->f->cfg.bn, it->fork, epoch_of(it))) {
    yyjson_doc_free(doc);
    return false;
  }
  it->type = aq_t_attestation(it->fork);
  bool good = from_json(&it->value, it->type, root);
  yyjson_doc_free(doc);
  if (!good) return false;
  uint8_t root_of_data[32];
  aq_ssz_root(root_of_data, &aq_t_attestation_data, aq_ssz_get(it->type, aq_buf_bytes(&it->value), "data"));
  return memcmp(root_of_data, it->root, 32) == 0;
}

static void aggregate_answer(void *arg, aq_status st, const aq_bn_answer *ans);

static void ask_aggregate(aq_fetch_item *it) {
  static const question q = {.endpoint = "aggregate_attestation",
                             .body_max = AQ_FETCH_AGGREGATE_MAX,
                             .good = aggregate_good,
                             .fn = aggregate_answer};
  const aq_fetcher *f = it->task->f;
  it->old_form = f->aggregate_v1;
  aq_buf path = AQ_BUF(PATH_MAX_LEN);
  aq_buf_printf(&path, "/eth/v%d/validator/aggregate_attestation?slot=%llu&attestation_data_root=0x",
                f->aggregate_v1 ? 1 : 2, (unsigned long long)it->task->duty.slot);
  aq_buf_put_hex(&path, aq_bytes_of(it->root, 32));
  if (!f->aggregate_v1) aq_buf_printf(&path, "&committee_index=%llu", (unsigned long long)it->committee);
  ask(it, &q, &path);
}

static void aggregate_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_fetch_item *it = arg;
  it->call_id = 0;
  /* 404 may also mean "no such aggregate yet": v1 is for chains that may have an old node. */
  bool v1_possible = it->task->f->aggregate_v1 || aq_fork_of(fork_now(it))->old_pool_routes;
  if (st == AQ_OK)
    aq_fetch_end(it, AQ_OK, false, "");
  else if (!v1_possible || !other_route(it, &it->task->f->aggregate_v1, st, ans, ask_aggregate))
    aq_fetch_failed(it, st, ans);
}

static void data_ready(void *arg, aq_status st, const aq_unsigned_data *data, const uint8_t *pubkey) {
  aq_fetch_item *it = arg;
  (void)pubkey;
  it->data_wait.fn = NULL;
  it->waiting = false;
  if (st != AQ_OK) {
    aq_fetch_end(it, st, true, "no agreed attestation data");
    return;
  }
  aq_ssz_root(it->root, &aq_t_attestation_data, data->value);
  ask_aggregate(it);
}

/* u64_le(sha256(proof)[0:8]) mod max(1, committee_length / TARGET_AGGREGATORS_PER_COMMITTEE) == 0 */
static bool selected(const aq_fetch_item *it) {
  uint8_t hash[32];
  uint64_t modulo =
      it->task->def[it->def].attester.committee_length / it->task->f->cfg.chain->target_aggregators_per_committee;
  aq_sha256(hash, aq_bytes_of(it->sig, 96));
  return aq_le64_get(hash) % (modulo ? modulo : 1) == 0;
}

static void selection_ready(void *arg, aq_status st, const aq_signed_data *data) {
  aq_fetch_item *it = arg;
  if (!have_sig(it, st, data)) {
    aq_fetch_end(it, st, true, "no aggregated selection proof");
    return;
  }
  if (!selected(it)) {
    it->none = true;
    aq_fetch_end(it, AQ_OK, false, "");
    return;
  }
  it->waiting = true;
  it->data_wait = (aq_dutydb_waiter){
      .kind = aq_duty_of(it->task->duty.type)->data, .slot = it->task->duty.slot, .fn = data_ready, .arg = it};
  it->data_wait.index = aq_fork_of(fork_now(it))->committee_bits ? 0 : it->committee;
  aq_dutydb_await(it->task->f->cfg.dutydb, &it->data_wait, it->task->deadline_ns);
}

static void fetch_aggregate(aq_fetch_item *it) { await_sig(it, selection_ready); }

/* ---- the rows ---- */

AQ_DUTY_OPS(aq_fetch_ops, fetch)

const aq_fetch_ops aq_fetch_attester = {fetch_attestation, true};
const aq_fetch_ops aq_fetch_proposer = {fetch_block, false};
const aq_fetch_ops aq_fetch_aggregator = {fetch_aggregate, false};
const aq_fetch_ops aq_fetch_signature = {0}, aq_fetch_exit = {0}, aq_fetch_builder_proposer = {0},
                   aq_fetch_builder_registration = {0}, aq_fetch_randao = {0}, aq_fetch_prepare_aggregator = {0},
                   aq_fetch_sync_message = {0}, aq_fetch_prepare_sync_contribution = {0},
                   aq_fetch_sync_contribution = {0}, aq_fetch_info_sync = {0};

const aq_fetch_ops *aq_fetch_ops_of(aq_duty_type type) { return ops_of(type); }
