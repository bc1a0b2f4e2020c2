/* The simulated chain's answers: beacon API routes that only read, faults and statistics. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "codec/json_out.h"
#include "http/http.h"
#include "simchain/beacon_internal.h"

typedef unsigned long long ull;

static void put_hex(aq_json_out *o, const char *name, const void *ptr, size_t len) {
  aq_json_out_hex(o, name, aq_bytes_of(ptr, len));
}

/* {"data":, with what most answers say of the state that they are about. */
static aq_json_out open_data(aq_buf *out, char bracket) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_open(&o, "data", bracket);
  return o;
}

static aq_json_out open_state(aq_buf *out) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_bool(&o, "execution_optimistic", false);
  aq_json_out_bool(&o, "finalized", false);
  return o;
}

static void close_data(aq_json_out *o, char bracket) {
  aq_json_out_close(o, bracket);
  aq_json_out_close(o, '}');
}

/* ---- config ---- */

static void get_genesis(aq_sim_call *c) {
  const aq_beacon *b = c->b;
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_data(&out, '{');
  aq_json_out_u64_str(&o, "genesis_time", b->cfg.genesis_ns / AQ_NS_PER_SEC);
  put_hex(&o, "genesis_validators_root", b->chain.genesis_validators_root, 32);
  put_hex(&o, "genesis_fork_version", b->chain.genesis_version, 4);
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void get_spec(aq_sim_call *c) {
  static const struct {
    const char *name;
    uint8_t value; /* its first byte */
  } domain[] = {{"BEACON_PROPOSER", 0},
                {"BEACON_ATTESTER", 1},
                {"RANDAO", 2},
                {"DEPOSIT", 3},
                {"VOLUNTARY_EXIT", 4},
                {"SELECTION_PROOF", 5},
                {"AGGREGATE_AND_PROOF", 6},
                {"SYNC_COMMITTEE", 7},
                {"SYNC_COMMITTEE_SELECTION_PROOF", 8},
                {"CONTRIBUTION_AND_PROOF", 9}};
  static const struct {
    const char *name, *value;
  } constant[] = {{"DOMAIN_APPLICATION_BUILDER", "0x00000001"},
                  {"EPOCHS_PER_SYNC_COMMITTEE_PERIOD", "256"},
                  {"SYNC_COMMITTEE_SIZE", "512"},
                  {"SYNC_COMMITTEE_SUBNET_COUNT", "4"},
                  {"TARGET_AGGREGATORS_PER_COMMITTEE", "16"},
                  {"TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE", "16"},
                  {"MAX_COMMITTEES_PER_SLOT", "64"},
                  {"DEPOSIT_CHAIN_ID", "1337"},
                  {"DEPOSIT_NETWORK_ID", "1337"},
                  {"DEPOSIT_CONTRACT_ADDRESS", "0x0000000000000000000000000000000000000000"}};
  char name[64];
  const aq_beacon *b = c->b;
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  uint64_t slot_s = (b->cfg.slot_ns + AQ_NS_PER_SEC - 1) / AQ_NS_PER_SEC;
  aq_json_out o = open_data(&out, '{');
  aq_json_out_str(&o, "CONFIG_NAME", "aequa-sim");
  aq_json_out_str(&o, "PRESET_BASE", "mainnet");
  aq_json_out_u64_str(&o, "SECONDS_PER_SLOT", slot_s);
  aq_json_out_u64_str(&o, "SLOT_DURATION_MS", b->cfg.slot_ns / AQ_NS_PER_MS);
  aq_json_out_u64_str(&o, "SLOTS_PER_EPOCH", b->cfg.slots_per_epoch);
  for (aq_fork f = 0; f < AQ_FORK_CNT; f++) {
    const char *key = aq_fork_of(f)->spec_key;
    snprintf(name, sizeof name, "%s_FORK_VERSION", key);
    put_hex(&o, name, b->chain.fork[f].version, 4);
    snprintf(name, sizeof name, "%s_FORK_EPOCH", key);
    if (!aq_fork_is_first(f)) aq_json_out_u64_str(&o, name, b->chain.fork[f].epoch);
  }
  for (size_t i = 0; i < AQ_COUNT(domain); i++) {
    snprintf(name, sizeof name, "DOMAIN_%s", domain[i].name);
    put_hex(&o, name, (const uint8_t[4]){domain[i].value}, 4);
  }
  for (size_t i = 0; i < AQ_COUNT(constant); i++) aq_json_out_str(&o, constant[i].name, constant[i].value);
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void put_fork(aq_json_out *o, const char *name, const aq_beacon *b, int f) {
  aq_json_out_open(o, name, '{');
  put_hex(o, "previous_version", b->chain.fork[f ? f - 1 : 0].version, 4);
  put_hex(o, "current_version", b->chain.fork[f].version, 4);
  aq_json_out_u64_str(o, "epoch", b->chain.fork[f].epoch);
  aq_json_out_close(o, '}');
}

static void get_fork_schedule(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_data(&out, '[');
  for (int f = 0; f < AQ_FORK_CNT; f++) {
    if (c->b->chain.fork[f].epoch != AQ_FAR_EPOCH) put_fork(&o, NULL, c->b, f);
  }
  close_data(&o, ']');
  aq_sim_json(c, &out);
}

static void get_fork(aq_sim_call *c) {
  aq_fork f = aq_chain_fork_at(&c->b->chain, aq_epoch_of(&c->b->chain.clock, aq_sim_now_slot(c->b)));
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_state(&out);
  put_fork(&o, "data", c->b, (int)f);
  aq_json_out_close(&o, '}');
  aq_sim_json(c, &out);
}

static void get_deposit_contract(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_data(&out, '{');
  aq_json_out_str(&o, "chain_id", "1337");
  aq_json_out_str(&o, "address", "0x0000000000000000000000000000000000000000");
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void get_version(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_data(&out, '{');
  aq_json_out_str(&o, "version", "aequa-sim/v" AQ_VERSION);
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void get_version2(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_data(&out, '{');
  aq_json_out_open(&o, "beacon_node", '{');
  aq_json_out_str(&o, "code", "AQ");
  aq_json_out_str(&o, "name", "aequa-sim");
  aq_json_out_str(&o, "version", "v" AQ_VERSION);
  aq_json_out_str(&o, "commit", "00000000");
  aq_json_out_close(&o, '}');
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void get_peer_count(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_data(&out, '{');
  aq_json_out_str(&o, "disconnected", "0");
  aq_json_out_str(&o, "connecting", "0");
  aq_json_out_str(&o, "connected", "50");
  aq_json_out_str(&o, "disconnecting", "0");
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void get_identity(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_data(&out, '{');
  aq_json_out_str(&o, "peer_id", "sim");
  aq_json_out_str(&o, "enr", "");
  aq_json_out_open(&o, "p2p_addresses", '[');
  aq_json_out_close(&o, ']');
  aq_json_out_open(&o, "discovery_addresses", '[');
  aq_json_out_close(&o, ']');
  aq_json_out_open(&o, "metadata", '{');
  aq_json_out_str(&o, "seq_number", "0");
  aq_json_out_str(&o, "attnets", "0x0000000000000000");
  aq_json_out_str(&o, "syncnets", "0x00");
  aq_json_out_close(&o, '}');
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void get_health(aq_sim_call *c) { aq_sim_ok(c); }
static void ignore(aq_sim_call *c) { aq_sim_ok(c); }

static void get_syncing(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_data(&out, '{');
  aq_json_out_u64_str(&o, "head_slot", aq_sim_now_slot(c->b));
  aq_json_out_str(&o, "sync_distance", "0");
  aq_json_out_bool(&o, "is_syncing", false);
  aq_json_out_bool(&o, "is_optimistic", false);
  aq_json_out_bool(&o, "el_offline", false);
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

/* ---- validators ---- */

static void put_validator(aq_json_out *o, const char *name, const aq_beacon *b, uint64_t i) {
  aq_json_out_open(o, name, '{');
  aq_json_out_u64_str(o, "index", i);
  aq_json_out_str(o, "balance", "32000000000");
  aq_json_out_str(o, "status", b->validator[i].leaves ? "active_exiting" : "active_ongoing");
  aq_json_out_open(o, "validator", '{');
  put_hex(o, "pubkey", b->cfg.pubkey[i], 48);
  aq_json_out_str(o, "withdrawal_credentials", "0x0100000000000000000000000000000000000000000000000000000000000000");
  aq_json_out_str(o, "effective_balance", "32000000000");
  aq_json_out_bool(o, "slashed", false);
  aq_json_out_str(o, "activation_eligibility_epoch", "0");
  aq_json_out_str(o, "activation_epoch", "0");
  aq_json_out_u64_str(o, "exit_epoch", AQ_FAR_EPOCH);
  aq_json_out_u64_str(o, "withdrawable_epoch", AQ_FAR_EPOCH);
  aq_json_out_close(o, '}');
  aq_json_out_close(o, '}');
}

static int64_t validator_id(const aq_beacon *b, const char *text) {
  uint8_t key[48];
  uint64_t index;
  if (aq_hex_decode(key, sizeof key, aq_bytes_str(text), AQ_HEX_PREFIX) == AQ_OK) {
    for (uint32_t i = 0; i < b->cfg.validator_cnt; i++) {
      if (memcmp(b->cfg.pubkey[i], key, 48) == 0) return i;
    }
    return -1;
  }
  return aq_u64_parse(&index, aq_bytes_str(text)) == AQ_OK && index < b->cfg.validator_cnt ? (int64_t)index : -1;
}

static void put_listed(aq_json_out *o, const aq_beacon *b, const char *id) {
  int64_t i = validator_id(b, id);
  if (i >= 0) put_validator(o, NULL, b, (uint64_t)i);
}

static void ids_of_body(aq_sim_call *c, aq_json_out *o, bool *any) {
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_BODY_MAX, NULL);
  yyjson_val *val;
  size_t i, max;
  yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "ids"), i, max, val) {
    *any = true;
    if (yyjson_is_str(val)) put_listed(o, c->b, yyjson_get_str(val));
  }
  yyjson_doc_free(doc);
}

static void ids_of_query(aq_sim_call *c, aq_json_out *o, bool *any) {
  size_t max = strlen(c->req->query) + 1;
  char *text = malloc(max);
  AQ_ASSERT(text);
  for (size_t nth = 0; aq_http_query_nth(c->req->query, "id", nth, text, max); nth++) {
    for (char *p = text; *p;) {
      size_t len = strcspn(p, ",");
      char *next = p[len] ? p + len + 1 : p + len;
      p[len] = 0;
      *any = true;
      put_listed(o, c->b, p);
      p = next;
    }
  }
  free(text);
}

static void get_validators(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_BODY_MAX);
  bool any = false;
  aq_json_out o = open_state(&out);
  aq_json_out_open(&o, "data", '[');
  ids_of_query(c, &o, &any);
  if (c->req->body.len) ids_of_body(c, &o, &any);
  for (uint32_t i = 0; !any && i < c->b->cfg.validator_cnt; i++) put_validator(&o, NULL, c->b, i);
  close_data(&o, ']');
  aq_sim_json(c, &out);
}

static void get_validator(aq_sim_call *c) {
  int64_t i = validator_id(c->b, c->param[1]);
  if (i < 0) {
    aq_sim_error(c, 404, "NotFound");
    return;
  }
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_state(&out);
  put_validator(&o, "data", c->b, (uint64_t)i);
  aq_json_out_close(&o, '}');
  aq_sim_json(c, &out);
}

/* ---- duties ---- */

static aq_json_out open_duties(aq_buf *out, const uint8_t dependent[32]) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  put_hex(&o, "dependent_root", dependent, 32);
  aq_json_out_bool(&o, "execution_optimistic", false);
  aq_json_out_open(&o, "data", '[');
  return o;
}

static bool epoch_param(aq_sim_call *c, uint64_t *epoch) {
  uint64_t now = aq_epoch_of(&c->b->chain.clock, aq_sim_now_slot(c->b));
  if (aq_u64_parse(epoch, aq_bytes_str(c->param[0])) == AQ_OK && *epoch <= now + 1) return true;
  aq_sim_error(c, 400, "epoch is too far ahead");
  return false;
}

static void post_attester_duties(aq_sim_call *c) {
  aq_beacon *b = c->b;
  uint64_t epoch, index;
  if (!epoch_param(c, &epoch)) return;
  const aq_sim_epoch *e = aq_sim_seats(b, epoch);
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_BODY_MAX, NULL);
  yyjson_val *val;
  size_t i, max;
  aq_buf out = AQ_BUF(AQ_SIM_BODY_MAX);
  if (b->cfg.watch && b->cfg.watch->told) b->cfg.watch->told(b->cfg.watch->arg, epoch);
  aq_json_out o = open_duties(&out, e->root);
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, val) {
    if (!aq_json_val_u64(val, &index) || index >= b->cfg.validator_cnt) continue;
    const aq_sim_seat *s = &e->seat[index];
    aq_json_out_open(&o, NULL, '{');
    put_hex(&o, "pubkey", b->cfg.pubkey[index], 48);
    aq_json_out_u64_str(&o, "slot", epoch * b->cfg.slots_per_epoch + s->slot_off);
    aq_json_out_u64_str(&o, "validator_index", index);
    aq_json_out_u64_str(&o, "committee_index", s->committee);
    aq_json_out_u64_str(&o, "committee_length", aq_sim_committee_size(b, s->slot_off, s->committee));
    aq_json_out_u64_str(&o, "committees_at_slot", aq_sim_committees(b));
    aq_json_out_u64_str(&o, "validator_committee_index", s->position);
    aq_json_out_close(&o, '}');
  }
  yyjson_doc_free(doc);
  close_data(&o, ']');
  aq_sim_json(c, &out);
}

static void get_proposer_duties(aq_sim_call *c) {
  aq_beacon *b = c->b;
  uint64_t epoch;
  if (!epoch_param(c, &epoch)) return;
  bool v2 = c->route->flags & AQ_SIM_V2;
  aq_buf out = AQ_BUF(AQ_SIM_BODY_MAX);
  if (b->cfg.watch && b->cfg.watch->told) b->cfg.watch->told(b->cfg.watch->arg, epoch);
  aq_json_out o = open_duties(&out, v2 ? aq_sim_proposer_root(b, epoch) : aq_sim_proposer_root_v1(b, epoch));
  uint64_t first = epoch * b->cfg.slots_per_epoch;
  for (uint64_t slot = first ? first : 1; slot < first + b->cfg.slots_per_epoch; slot++) {
    uint64_t who = aq_sim_proposer(b, slot);
    aq_json_out_open(&o, NULL, '{');
    put_hex(&o, "pubkey", b->cfg.pubkey[who], 48);
    aq_json_out_u64_str(&o, "slot", slot);
    aq_json_out_u64_str(&o, "validator_index", who);
    aq_json_out_close(&o, '}');
  }
  close_data(&o, ']');
  aq_sim_json(c, &out);
}

static void post_sync_duties(aq_sim_call *c) {
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = aq_json_out_line(&out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_bool(&o, "execution_optimistic", false);
  aq_json_out_open(&o, "data", '[');
  close_data(&o, ']');
  aq_sim_json(c, &out);
}

static void post_preparations(aq_sim_call *c) {
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_BODY_MAX, NULL);
  yyjson_val *val;
  size_t i, max;
  uint64_t index;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, val) {
    if (!aq_json_u64(val, "validator_index", &index) || index >= c->b->cfg.validator_cnt) continue;
    aq_json_hex(val, "fee_recipient", c->b->validator[index].fee_recipient, 20);
  }
  yyjson_doc_free(doc);
  aq_sim_ok(c);
}

/* ---- what validators sign ---- */

static void get_attestation_data(aq_sim_call *c) {
  char text[32];
  uint64_t slot, index;
  if (!aq_http_query_get(c->req->query, "slot", text, sizeof text) ||
      aq_u64_parse(&slot, aq_bytes_str(text)) != AQ_OK ||
      !aq_http_query_get(c->req->query, "committee_index", text, sizeof text) ||
      aq_u64_parse(&index, aq_bytes_str(text)) != AQ_OK) {
    aq_sim_error(c, 400, "slot and committee_index are needed");
    return;
  }
  if (slot > aq_sim_now_slot(c->b) || slot + 2 * c->b->cfg.slots_per_epoch < aq_sim_now_slot(c->b)) {
    aq_sim_error(c, 400, "slot is not the current or previous epoch's");
    return;
  }
  aq_fork fork = aq_chain_fork_at(&c->b->chain, slot / c->b->cfg.slots_per_epoch);
  aq_att_data data;
  uint8_t ssz[128];
  aq_sim_att_data(c->b, slot, aq_fork_of(fork)->committee_bits ? 0 : index, &data);
  aq_att_data_put(ssz, &data);
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = aq_json_out_line(&out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_value(&o, "data");
  aq_ssz_to_json(&out, &aq_t_attestation_data, aq_bytes_of(ssz, sizeof ssz));
  aq_json_out_close(&o, '}');
  aq_sim_json(c, &out);
}

static void answer_block(aq_sim_call *c, aq_fork fork, bool blinded, aq_bytes value) {
  const char *accept = aq_http_header_get(&c->req->headers, "Accept");
  bool ssz = accept && strncmp(accept, "application/octet-stream", 24) == 0, v3 = c->route->flags & AQ_SIM_V3;
  const aq_http_header h[] = {{"Content-Type", ssz ? "application/octet-stream" : "application/json"},
                              {"Eth-Consensus-Version", aq_fork_name(fork)},
                              {"Eth-Execution-Payload-Blinded", blinded ? "true" : "false"},
                              {"Eth-Execution-Payload-Value", "1"},
                              {"Eth-Consensus-Block-Value", "1"}};
  aq_buf out = AQ_BUF(AQ_SIM_BODY_MAX);
  if (!ssz) {
    aq_json_out o = aq_json_out_line(&out);
    aq_json_out_open(&o, NULL, '{');
    aq_json_out_str(&o, "version", aq_fork_name(fork));
    if (v3) {
      aq_json_out_bool(&o, "execution_payload_blinded", blinded);
      aq_json_out_str(&o, "execution_payload_value", "1");
      aq_json_out_str(&o, "consensus_block_value", "1");
    }
    aq_json_out_value(&o, "data");
    aq_ssz_to_json(&out, aq_t_proposal(fork, blinded, false), value);
    aq_json_out_close(&o, '}');
  }
  c->vt->respond(c->res, 200, &(aq_http_headers){h, 5}, ssz ? value : aq_buf_bytes(&out));
  aq_buf_free(&out);
  aq_sim_call_free(c);
}

/* May a builder's block be the answer? v2 has none; a boost of 0 wants none. False: 400 was answered. */
static bool wants_bids(aq_sim_call *c, bool *out) {
  uint64_t boost = 100;
  char text[64];
  if (aq_http_query_get(c->req->query, "builder_boost_factor", text, sizeof text) &&
      aq_u64_parse(&boost, aq_bytes_str(text)) != AQ_OK) {
    aq_sim_error(c, 400, "builder_boost_factor is no number");
    return false;
  }
  *out = boost > 0 && c->route->flags & AQ_SIM_V3;
  return true;
}

static void propose(aq_sim_call *c, uint64_t slot, aq_fork fork, bool blinded, aq_bytes value) {
  aq_buf other = AQ_BUF(AQ_SIM_BLOCK_MAX);
  const aq_ssz_type *contents = aq_t_block_contents(fork);
  aq_bytes block = contents ? aq_ssz_get(contents, value, "block") : value;
  if (!blinded || !aq_sim_bids(c->b, slot))
    answer_block(c, fork, false, value);
  else if (aq_sim_blind(c->b, fork, block, &other) == AQ_OK)
    answer_block(c, fork, true, aq_buf_bytes(&other));
  else
    aq_sim_error(c, 500, "no block could be made");
  aq_buf_free(&other);
}

static void get_block_proposal(aq_sim_call *c) {
  uint64_t slot;
  bool blinded;
  char text[200];
  uint8_t randao[96], graffiti[32] = {0};
  if (aq_u64_parse(&slot, aq_bytes_str(c->param[0])) != AQ_OK || slot == 0 || slot > aq_sim_now_slot(c->b) + 1) {
    aq_sim_error(c, 400, "slot is not the current one");
    return;
  }
  if (!aq_http_query_get(c->req->query, "randao_reveal", text, sizeof text) ||
      aq_hex_decode(randao, sizeof randao, aq_bytes_str(text), AQ_HEX_PREFIX) != AQ_OK) {
    aq_sim_error(c, 400, "randao_reveal is needed");
    return;
  }
  if (aq_http_query_get(c->req->query, "graffiti", text, sizeof text) &&
      aq_hex_decode(graffiti, sizeof graffiti, aq_bytes_str(text), AQ_HEX_PREFIX) != AQ_OK) {
    aq_sim_error(c, 400, "graffiti is not 32 bytes of hex");
    return;
  }
  if (!wants_bids(c, &blinded)) return;
  aq_buf value = AQ_BUF(AQ_SIM_BLOCK_MAX);
  aq_fork fork = aq_chain_fork_at(&c->b->chain, slot / c->b->cfg.slots_per_epoch);
  if (aq_sim_make_block(c->b, slot, randao, graffiti, &value) == AQ_OK)
    propose(c, slot, fork, blinded, aq_buf_bytes(&value));
  else
    aq_sim_error(c, 500, "no block could be made");
  aq_buf_free(&value);
}

/* "head", "genesis", a slot or a root; NULL for what is not there (genesis has no block). */
static const aq_sim_block *block_id(const aq_beacon *b, const char *id) {
  uint64_t slot = b->head_slot;
  uint8_t root[32];
  if (strcmp(id, "head") == 0 || strcmp(id, "justified") == 0 || strcmp(id, "finalized") == 0)
    return aq_sim_block_at(b, slot);
  if (aq_u64_parse(&slot, aq_bytes_str(id)) == AQ_OK) return aq_sim_block_at(b, slot);
  if (aq_hex_decode(root, sizeof root, aq_bytes_str(id), AQ_HEX_PREFIX) != AQ_OK) return NULL;
  for (size_t i = 0; i < b->block_cap; i++) {
    if (b->block[i] && memcmp(b->block[i]->root, root, 32) == 0) return b->block[i];
  }
  for (size_t i = 0; i < AQ_COUNT(b->orphan); i++) {
    if (b->orphan[i] && memcmp(b->orphan[i]->root, root, 32) == 0) return b->orphan[i];
  }
  return NULL;
}

static void get_block_root(aq_sim_call *c) {
  const aq_sim_block *block = block_id(c->b, c->param[0]);
  bool head = strcmp(c->param[0], "head") == 0 || strcmp(c->param[0], "genesis") == 0;
  if (!block && !head) {
    aq_sim_error(c, 404, "NotFound");
    return;
  }
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_state(&out);
  aq_json_out_open(&o, "data", '{');
  put_hex(&o, "root", block ? block->root : c->b->genesis_root, 32);
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void get_block(aq_sim_call *c) {
  const aq_sim_block *block = block_id(c->b, c->param[0]);
  if (!block) {
    aq_sim_error(c, 404, "NotFound");
    return;
  }
  aq_buf out = AQ_BUF(AQ_SIM_BODY_MAX);
  aq_json_out o = aq_json_out_line(&out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_str(&o, "version", aq_fork_name(block->fork));
  aq_json_out_bool(&o, "execution_optimistic", false);
  aq_json_out_bool(&o, "finalized", false);
  aq_json_out_value(&o, "data");
  aq_ssz_to_json(&out, aq_t_signed_block(block->fork), aq_buf_bytes(&block->ssz));
  aq_json_out_close(&o, '}');
  aq_sim_json(c, &out);
}

/* Of a block, or of the state before all blocks. The roots of state and body are not kept: zero. */
static void get_header(aq_sim_call *c) {
  static const uint8_t zero[96];
  const aq_beacon *b = c->b;
  const char *id = c->param[0];
  const aq_sim_block *block = block_id(b, id);
  uint8_t root[32];
  bool genesis =
      strcmp(id, "genesis") == 0 || (strcmp(id, "head") == 0 && b->head_slot == 0) ||
      (aq_hex_decode(root, 32, aq_bytes_str(id), AQ_HEX_PREFIX) == AQ_OK && memcmp(root, b->genesis_root, 32) == 0);
  if (!block && !genesis) {
    aq_sim_error(c, 404, "NotFound");
    return;
  }
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_state(&out);
  aq_json_out_open(&o, "data", '{');
  put_hex(&o, "root", block ? block->root : b->genesis_root, 32);
  aq_json_out_bool(&o, "canonical", !block || block == aq_sim_block_at(b, block->slot));
  aq_json_out_open(&o, "header", '{');
  aq_json_out_open(&o, "message", '{');
  aq_json_out_u64_str(&o, "slot", block ? block->slot : 0);
  aq_json_out_u64_str(&o, "proposer_index", block ? block->proposer : 0);
  put_hex(&o, "parent_root", block ? block->parent : zero, 32);
  put_hex(&o, "state_root", zero, 32);
  put_hex(&o, "body_root", zero, 32);
  aq_json_out_close(&o, '}');
  put_hex(&o, "signature", zero, 96);
  aq_json_out_close(&o, '}');
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

static void get_finality(aq_sim_call *c) {
  const aq_beacon *b = c->b;
  uint64_t now = aq_epoch_of(&b->chain.clock, aq_sim_now_slot(b)), back[3] = {2, 1, 2};
  uint64_t epoch = aq_beacon_justified(b, now) + 1;
  static const char *const name[] = {"previous_justified", "current_justified", "finalized"};
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = open_state(&out);
  aq_json_out_open(&o, "data", '{');
  for (int i = 0; i < 3; i++) {
    uint64_t e = epoch > back[i] ? epoch - back[i] : 0;
    aq_json_out_open(&o, name[i], '{');
    aq_json_out_u64_str(&o, "epoch", e);
    put_hex(&o, "root", aq_sim_root_at(b, e * b->cfg.slots_per_epoch), 32);
    aq_json_out_close(&o, '}');
  }
  close_data(&o, '}');
  aq_sim_json(c, &out);
}

/* ---- events ---- */

static void stream_gone(void *arg) {
  aq_sim_stream *s = arg;
  aq_list_remove(&s->link);
  s->b->stream_cnt--;
  free(s);
}

static void get_events(aq_sim_call *c) {
  if (c->b->stream_cnt >= AQ_SIM_STREAMS_MAX) {
    aq_sim_error(c, 503, "too many event streams");
    return;
  }
  aq_sim_stream *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  *s = (aq_sim_stream){.res = c->res, .vt = c->vt, .b = c->b};
  s->head = strstr(c->req->query, "head") != NULL;
  s->block = strstr(c->req->query, "block") != NULL;
  s->reorg = strstr(c->req->query, "chain_reorg") != NULL;
  aq_list_push(&c->b->streams, &s->link);
  c->b->stream_cnt++;
  const aq_http_header h = {"Content-Type", "text/event-stream"};
  c->vt->watch(c->res, stream_gone, NULL, s);
  c->vt->begin(c->res, 200, &(aq_http_headers){&h, 1});
  c->vt->write(c->res, aq_bytes_str(": here\n\n"));
  aq_sim_call_free(c);
}

/* ---- faults and statistics ---- */

static void post_fault(aq_sim_call *c) {
  static const char *const modes[] = {"error", "late", "drop", "wrong"};
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_SMALL_MAX, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  const char *path = aq_json_str(root, "path"), *mode = aq_json_str(root, "mode");
  aq_sim_fault f = {.left = 1};
  uint64_t count = 1;
  bool ok = path && mode && strlen(path) < sizeof f.path, known = false, placed = false;
  for (size_t i = 0; ok && i < AQ_COUNT(modes); i++) {
    if (strcmp(mode, modes[i]) == 0) f.mode = (aq_fault_mode)i, known = true;
  }
  if (ok && known) {
    snprintf(f.path, sizeof f.path, "%s", path);
    aq_json_u64(root, "ms", &f.ms);
    aq_json_u64(root, "count", &count);
    f.left = (uint32_t)count;
    for (int i = 0; i < AQ_SIM_FAULTS_MAX && !placed; i++) {
      if (c->b->fault[i].left) continue;
      c->b->fault[i] = f;
      placed = true;
    }
  }
  yyjson_doc_free(doc);
  if (placed)
    aq_sim_ok(c);
  else
    aq_sim_error(c, 400,
                 "want {\"path\":..,\"mode\":\"error|late|drop|wrong\",\"ms\":..,\"count\":..}, at most 16 at a time");
}

static void post_fork(aq_sim_call *c) {
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_SMALL_MAX, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  const char *name = aq_json_str(root, "fork");
  aq_fork fork = AQ_PHASE0;
  uint64_t epoch;
  bool ok =
      name && aq_fork_parse(&fork, aq_bytes_str(name)) && !aq_fork_is_first(fork) && aq_json_u64(root, "epoch", &epoch);
  yyjson_doc_free(doc);
  if (!ok) {
    aq_sim_error(c, 400, "want {\"fork\":\"fulu\",\"epoch\":\"3\"}");
    return;
  }
  aq_beacon_schedule(c->b, fork, epoch);
  aq_sim_ok(c);
}

static void post_count(aq_sim_call *c) {
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_SMALL_MAX, NULL);
  uint64_t slot;
  bool ok = aq_json_u64(yyjson_doc_get_root(doc), "slot", &slot) && slot < UINT32_MAX;
  yyjson_doc_free(doc);
  if (!ok)
    aq_sim_error(c, 400, "want {\"slot\":\"3\"}");
  else if (!aq_beacon_count_from(c->b, slot))
    aq_sim_error(c, 409, "the slot has begun");
  else
    aq_sim_ok(c);
}

static void put_slots(aq_json_out *o, const char *name, const uint64_t *slot, uint32_t cnt) {
  aq_json_out_open(o, name, '[');
  for (uint32_t i = 0; i < cnt; i++) aq_json_out_u64(o, NULL, slot[i]);
  aq_json_out_close(o, ']');
}

static void get_stats(aq_sim_call *c) {
  const aq_beacon *b = c->b;
  const aq_beacon_stats *s = &b->stats;
  aq_buf out = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_json_out o = aq_json_out_line(&out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64(&o, "slot", aq_sim_now_slot(b));
  aq_json_out_open(&o, "attestations", '{');
  aq_json_out_u64(&o, "ok", s->attestations_ok);
  aq_json_out_u64(&o, "missed", s->attestations_missed);
  aq_json_out_u64(&o, "late", s->attestations_late);
  aq_json_out_close(&o, '}');
  aq_json_out_open(&o, "blocks", '{');
  aq_json_out_u64(&o, "ok", s->blocks_ok);
  aq_json_out_u64(&o, "missed", s->blocks_missed);
  aq_json_out_close(&o, '}');
  aq_json_out_u64(&o, "bad", s->bad);
  aq_json_out_u64(&o, "slashable", s->slashable);
  aq_json_out_u64(&o, "duplicates", s->duplicates);
  aq_json_out_u64(&o, "exits", s->exits);
  aq_json_out_str(&o, "last_bad", b->last_bad);
  put_slots(&o, "missed_attestation_slots", b->missed_att, b->missed_att_cnt);
  put_slots(&o, "missed_block_slots", b->missed_block, b->missed_block_cnt);
  aq_json_out_close(&o, '}');
  aq_sim_json(c, &out);
}

#define V1 "/eth/v1/"
#define V2 "/eth/v2/"
static const aq_sim_route rows[] = {
    {{"GET", V1 "beacon/genesis"}, get_genesis, 0},
    {{"GET", V1 "config/spec"}, get_spec, 0},
    {{"GET", V1 "config/fork_schedule"}, get_fork_schedule, 0},
    {{"GET", V1 "config/deposit_contract"}, get_deposit_contract, 0},
    {{"GET", V1 "node/version"}, get_version, 0},
    {{"GET", V2 "node/version"}, get_version2, 0},
    {{"GET", V1 "node/syncing"}, get_syncing, 0},
    {{"GET", V1 "node/health"}, get_health, 0},
    {{"GET", V1 "node/peer_count"}, get_peer_count, 0},
    {{"GET", V1 "node/identity"}, get_identity, 0},
    {{"GET", V1 "beacon/states/{}/validators"}, get_validators, 0},
    {{"POST", V1 "beacon/states/{}/validators"}, get_validators, 0},
    {{"GET", V1 "beacon/states/{}/validators/{}"}, get_validator, 0},
    {{"GET", V1 "beacon/states/{}/fork"}, get_fork, 0},
    {{"GET", V1 "beacon/states/{}/finality_checkpoints"}, get_finality, 0},
    {{"POST", V1 "validator/duties/attester/{}"}, post_attester_duties, 0},
    {{"GET", V1 "validator/duties/proposer/{}"}, get_proposer_duties, 0},
    {{"GET", V2 "validator/duties/proposer/{}"}, get_proposer_duties, AQ_SIM_V2},
    {{"POST", V1 "validator/duties/sync/{}"}, post_sync_duties, 0},
    {{"GET", V1 "validator/attestation_data"}, get_attestation_data, 0},
    {{"POST", V1 "beacon/pool/attestations"}, aq_sim_post_attestations, 0},
    {{"POST", V2 "beacon/pool/attestations"}, aq_sim_post_attestations, AQ_SIM_V2},
    {{"GET", V2 "validator/blocks/{}"}, get_block_proposal, AQ_SIM_V2},
    {{"GET", "/eth/v3/validator/blocks/{}"}, get_block_proposal, AQ_SIM_V3},
    {{"POST", V1 "beacon/blocks"}, aq_sim_post_block, 0},
    {{"POST", V2 "beacon/blocks"}, aq_sim_post_block, AQ_SIM_V2},
    {{"POST", V1 "beacon/blinded_blocks"}, aq_sim_post_block, AQ_SIM_BLINDED},
    {{"POST", V2 "beacon/blinded_blocks"}, aq_sim_post_block, AQ_SIM_V2 | AQ_SIM_BLINDED},
    {{"POST", V1 "beacon/pool/voluntary_exits"}, aq_sim_post_exit, 0},
    {{"GET", V1 "beacon/blocks/{}/root"}, get_block_root, 0},
    {{"GET", V1 "beacon/headers/{}"}, get_header, 0},
    {{"GET", V2 "beacon/blocks/{}"}, get_block, AQ_SIM_V2},
    {{"POST", V1 "validator/beacon_committee_subscriptions"}, ignore, 0},
    {{"POST", V1 "validator/sync_committee_subscriptions"}, ignore, 0},
    {{"POST", V1 "validator/prepare_beacon_proposer"}, post_preparations, 0},
    {{"POST", V1 "validator/register_validator"}, ignore, 0},
    {{"GET", V1 "events"}, get_events, 0},
    {{"POST", "/sim/fault"}, post_fault, AQ_SIM_CONTROL},
    {{"POST", "/sim/fork"}, post_fork, AQ_SIM_CONTROL},
    {{"POST", "/sim/count"}, post_count, AQ_SIM_CONTROL},
    {{"GET", "/sim/stats"}, get_stats, AQ_SIM_CONTROL},
};
const aq_routes aq_sim_routes = {.rows = rows, .cnt = AQ_COUNT(rows), .size = sizeof *rows};
